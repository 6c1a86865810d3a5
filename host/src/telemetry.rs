//! Logs: one line a record, as text for people or JSON for machines, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

use crate::config::LogConfig;

/// Starts logging. A second call changes nothing.
pub fn start(config: &LogConfig) {
    // Checked by the configuration; if the environment names another one it goes before.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&config.level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(SystemTime)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let outcome = if config.json { builder.json().flatten_event(true).try_init() } else { builder.try_init() };
    // Already started by the program that embeds us: its subscriber stays.
    drop(outcome);
}
