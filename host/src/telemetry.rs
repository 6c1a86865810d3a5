//! Logs: one line a record, as text for people or JSON for machines, on standard error; and traces to a collector, if there is one.

mod otlp;

use tracing::Metadata;
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter};

pub use otlp::{TelemetryError, Traces};
pub(crate) use otlp::{continue_trace, is_on, span};

use crate::config::{LogConfig, TelemetryConfig};

/// Lines that wait to be written; more are dropped, and counted. Each has some 200 bytes.
const WAITING_LINES: usize = 16_384;

/// Starts logging, for a command that ends soon: line by line. A second call changes nothing.
pub fn start(config: &LogConfig) {
    // Already started by the program that embeds us: its subscriber stays.
    drop(tracing_subscriber::registry().with(log(config, std::io::stderr)).try_init());
}

/// A service's log and traces, to be kept until it ends.
pub struct Telemetry {
    traces: Option<Traces>,
    dropped: ErrorCounter,
    // Writes what waits when it is dropped.
    _writer: WorkerGuard,
}

impl Telemetry {
    /// Lines that were dropped since the start, because whoever reads them was too slow.
    pub fn dropped_lines(&self) -> ErrorCounter {
        self.dropped.clone()
    }

    /// The last spans are sent, the last lines written.
    pub async fn finish(self) {
        if let Some(traces) = self.traces {
            traces.finish().await;
        }
    }
}

/// Starts a service's logging, which a reader that stops doesn't hold up, and traces if the configuration asks for them; within a runtime.
pub fn start_traced(config: &LogConfig, collector: Option<&TelemetryConfig>) -> Result<Telemetry, TelemetryError> {
    let (writer, guard): (NonBlocking, _) =
        NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).thread_name("log").finish(std::io::stderr());
    let dropped = writer.error_counter();
    let telemetry = |traces| Telemetry { traces, dropped, _writer: guard };
    let log = log(config, writer);
    let Some(collector) = collector else {
        drop(tracing_subscriber::registry().with(log).try_init());
        return Ok(telemetry(None));
    };
    let (traces, source) = Traces::start(collector)?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(source)
        // Events are the log's, which says more than may leave this machine; places in the source are of no use there.
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter::filter_fn(|metadata| metadata.is_span() && metadata.target() == otlp::TARGET));
    drop(tracing_subscriber::registry().with(log).with(spans).try_init());
    Ok(telemetry(Some(traces)))
}

/// The log, without spans.
fn log<W>(config: &LogConfig, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Checked by the configuration; if the environment names another one it goes before.
    let named = std::env::var("RUST_LOG").ok().filter(|text| !text.trim().is_empty());
    let named = named.and_then(|text| EnvFilter::try_new(text).ok());
    let level = named.unwrap_or_else(|| EnvFilter::new(&config.level));
    let layer = tracing_subscriber::fmt::layer()
        .with_timer(SystemTime)
        .with_writer(writer)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()));
    let layer = if config.json { layer.json().flatten_event(true).boxed() } else { layer.boxed() };
    layer.with_filter(filter::filter_fn(is_record)).with_filter(level).boxed()
}

fn is_record(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}
