//! One run of directory synchronisation, as `sync --now` makes it, in a process that knows nothing else: one line of JSON with the
//! run's report, the host's memory before and at its peak, and the plugin's.

use std::path::PathBuf;

use defguard_openid_host::storage::{StorageConfig, StorageUrl};
use defguard_openid_host::{Config, Gateway, sync};
use serde_json::json;

/// A line of `/proc/self/status` (proc_pid_status(5)), in bytes.
fn memory(line: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let value = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
    let kilobytes =
        value.and_then(|value| value.trim().strip_suffix("kB")).ok_or("no such line in /proc/self/status")?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).map(PathBuf::from).ok_or("usage: sync-once CONFIG")?;
    let mut config = Config::load(&path)?;
    let storage = std::mem::replace(&mut config.storage, StorageConfig::plain(StorageUrl::Memory));
    config.audit_file = None;
    let gateway = Gateway::start(config).await?;
    let provider = gateway.config().providers.first().ok_or("no provider")?;
    // Compiling the plugin is over: from here on, the peak is the run's (proc_pid_clear_refs(5)).
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = memory("VmRSS")?;
    let report = sync::run_with(&gateway, provider, &storage, |_| {}).await;
    let line = json!({
        "report": report,
        "before_bytes": before,
        "peak_bytes": memory("VmHWM")?,
        "guest_peak_bytes": gateway.guest_memory_peak(),
    });
    println!("{line}");
    Ok(())
}
