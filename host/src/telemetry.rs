//! Logs: one line a record, as text for people or JSON for machines, on standard error; and traces to a collector, if there is one.

mod otlp;

use tracing::Metadata;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter};

pub use otlp::{TelemetryError, Traces};
pub(crate) use otlp::{continue_trace, is_on, span};

use crate::config::{LogConfig, TelemetryConfig};

/// Starts logging. A second call changes nothing.
pub fn start(config: &LogConfig) {
    // Already started by the program that embeds us: its subscriber stays.
    drop(tracing_subscriber::registry().with(log(config)).try_init());
}

/// Starts logging, and traces if the configuration asks for them; within a runtime.
pub fn start_traced(config: &LogConfig, collector: Option<&TelemetryConfig>) -> Result<Option<Traces>, TelemetryError> {
    let Some(collector) = collector else {
        start(config);
        return Ok(None);
    };
    let (traces, source) = Traces::start(collector)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(source)
        // Events are the log's, which says more than may leave this machine; places in the source are of no use there.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter::filter_fn(|metadata| metadata.is_span() && metadata.target() == otlp::TARGET));
    drop(tracing_subscriber::registry().with(log(config).boxed()).with(spans).try_init());
    Ok(Some(traces))
}

/// The log, without spans.
fn log(config: &LogConfig) -> Box<dyn Layer<Registry> + Send + Sync> {
    // Checked by the configuration; if the environment names another one it goes before.
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&config.level));
    let layer = tracing_subscriber::fmt::layer()
        .with_timer(SystemTime)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let layer = if config.json { layer.json().flatten_event(true).boxed() } else { layer.boxed() };
    layer.with_filter(filter::filter_fn(is_record)).with_filter(level).boxed()
}

fn is_record(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}
