//! Traces to a collector over OTLP/HTTP, as an option. Spans are made here and in the files that use `span!`: a request, the phases of
//! a sign-in, requests to providers, the storage. Their attributes are names and numbers that the host chose: no path, query, address
//! or identity of anybody. Providers never get a `traceparent`. A collector that is slow or down costs spans, nothing else.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::http::HeaderMap;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::config::TelemetryConfig;

/// For one batch of spans.
const EXPORT: Duration = Duration::from_secs(5);
/// What the last spans get at the end of the process.
const LAST: Duration = Duration::from_secs(3);

/// Whether anybody wants spans: without, none are made.
static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether anybody wants spans.
pub(crate) fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// A span for the collector, or none if there is no collector. Logs don't show it.
macro_rules! span {
    ($($arguments:tt)*) => {
        if $crate::telemetry::is_on() {
            tracing::info_span!(target: "defguard_openid_trace", $($arguments)*)
        } else {
            tracing::Span::none()
        }
    };
}
pub(crate) use span;

/// The target of our spans.
pub(super) const TARGET: &str = "defguard_openid_trace";

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
#[error("traces can't be sent (the configuration's [telemetry]): {0}")]
pub struct TelemetryError(String);

/// The way to the collector, until it is dropped by [`Traces::finish`].
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Prepares to send; nothing is asked of the collector yet.
    pub(super) fn start(config: &TelemetryConfig) -> Result<(Self, SdkTracer), TelemetryError> {
        // Fails only if there is one already, which then is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("defguard-openid/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(EXPORT)
            .build()
            .map_err(|error| TelemetryError(crate::capability::causes::chain(&error)))?;
        let runtime = tokio::runtime::Handle::try_current().map_err(|error| TelemetryError(error.to_string()))?;
        let headers: HashMap<String, String> =
            config.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Sender { client, runtime, said: Arc::default() })
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", config.otlp_endpoint))
            .with_headers(headers)
            .with_timeout(EXPORT)
            .build()
            .map_err(|error| TelemetryError(error.to_string()))?;
        let resource = Resource::builder_empty()
            .with_service_name(config.service_name.clone())
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sampling_ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("defguard-openid");
        IS_ON.store(true, Ordering::Relaxed);
        Ok((Self(provider), tracer))
    }

    /// Sends what is left, within seconds, and ends.
    pub async fn finish(self) {
        // It waits on a thread of its own; what can't be sent is lost.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::debug!("the last traces weren't taken by the collector");
        }
    }
}

/// Makes a span the child of what a trusted proxy says in `traceparent` (W3C Trace Context).
pub(crate) fn continue_trace(span: &tracing::Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    // A span that nobody wants has no parent either.
    let _ = span.set_parent(parent);
}

/// Sends batches, from the exporter's own thread.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: tokio::runtime::Handle,
    said: Arc<Said>,
}

/// When a failure was last said: once a minute is enough.
#[derive(Debug)]
struct Said {
    since: Instant,
    next_s: AtomicU64,
}

impl Default for Said {
    fn default() -> Self {
        Self { since: Instant::now(), next_s: AtomicU64::new(0) }
    }
}

impl Said {
    fn failure(&self, reason: &str) {
        let now = self.since.elapsed().as_secs();
        if now >= self.next_s.load(Ordering::Relaxed) {
            self.next_s.store(now.saturating_add(60), Ordering::Relaxed);
            tracing::warn!(reason, "the collector takes no traces (telemetry.otlp_endpoint): they are lost");
        }
    }
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = self.client.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let sending = self.runtime.spawn(async move {
            let answer = request.send().await?;
            let status = answer.status();
            // What a collector says of single spans is of no use to us.
            Ok::<_, reqwest::Error>(status)
        });
        let status = sending.await?.inspect_err(|error| self.said.failure(&crate::capability::causes::chain(error)))?;
        if !status.is_success() {
            self.said.failure(status.as_str());
        }
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = status;
        Ok(response)
    }
}
