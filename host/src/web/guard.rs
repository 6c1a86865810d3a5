//! What every request of ours goes through, before and after its handler: a name, who asks, how many are worked on at once, a
//! bounded body that comes in time; a line in the log, a row in the metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, MatchedPath, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::BODY_BYTES;
use super::answer::Answer;
use super::browser;
use super::elsewhere::NotOurs;
use super::language::Language;
use super::rates::Rates;
use crate::capability::TraceId;
use crate::client::{TrustedProxies, peer};
use crate::config::Config;
use crate::metrics::ServiceMetrics;
use crate::telemetry::{self, span};

/// What a path that isn't one of ours is called in log and metrics: whatever was asked for is in neither.
const NO_ROUTE: &str = "(none)";
/// Bytes of a body that is read before its request waits for its turn: a callback has some 2 KiB.
const EARLY_BODY_BYTES: u64 = 4 << 10;

/// The requests of one router.
pub(super) struct Guard {
    rates: Rates,
    places: Semaphore,
    queue: Semaphore,
    wait: Duration,
    body_timeout: Duration,
    trusted: TrustedProxies,
    metrics: ServiceMetrics,
}

impl Guard {
    pub(super) fn new(config: &Config, metrics: ServiceMetrics) -> Arc<Self> {
        Arc::new(Self {
            rates: Rates::new(&config.limits, metrics.clone()),
            places: Semaphore::new(config.limits.requests as usize),
            // Our own listener has no more requests than connections; the application around a router may have.
            queue: Semaphore::new(config.limits.connections as usize),
            wait: config.limits.requests_wait,
            body_timeout: config.limits.body_timeout,
            trusted: config.trusted_proxies.clone(),
            metrics,
        })
    }

    /// A place among the requests that are worked on, first come, first served: a crowd waits here, where a request holds little
    /// more than its head, and not for a slot of the component, where it holds ten times as much.
    async fn place(&self) -> Result<SemaphorePermit<'_>, Answer> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        if let Ok(_in_queue) = self.queue.try_acquire() {
            let _waits = self.metrics.waits();
            if let Ok(Ok(place)) = tokio::time::timeout(self.wait, self.places.acquire()).await {
                return Ok(place);
            }
        }
        self.metrics.turned_away("requests");
        let message = "Too many people are signing in right now. Please try again in a moment.";
        let busy = Answer::new(StatusCode::SERVICE_UNAVAILABLE, "service_busy", message, true);
        Err(Answer { retry_after_s: Some(1), keeps_transaction: true, ..busy })
    }

    /// For a step of a sign-in: whether whoever asks may take it.
    pub(super) fn step(&self, trace: &TraceId) -> Result<(), Answer> {
        self.rates.step(trace.client()).map_err(|over| {
            tracing::debug!(%trace, client = trace.client().map(tracing::field::display), scope = over.scope, "over the rate limit");
            let message = match over.scope {
                "client" => "Too many sign-ins come from your network right now. Please try again in a moment.",
                _ => "Too many people are signing in right now. Please try again in a moment.",
            };
            Answer {
                retry_after_s: Some(over.retry_after_s),
                keeps_transaction: true,
                ..Answer::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message, true)
            }
        })
    }
}

/// The request's name, as [`observe`] gave it; without that, a new one.
impl<S: Send + Sync> FromRequestParts<S> for TraceId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Outermost: names the request and whoever asks, and tells how it ended. Method, route and status only: paths and queries
/// hold codes.
pub(super) async fn observe(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let _present = guard.metrics.under_way();
    let client = peer(request.extensions()).map(|peer| guard.trusted.client(peer, request.headers()));
    let trace = TraceId::asked_by(client);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    request.extensions_mut().insert(trace.clone());
    let span = span!(
        "request",
        otel.name = route,
        otel.kind = "server",
        http.request.method = method.as_str(),
        http.route = route,
        http.response.status_code = Empty,
        defguard.trace = trace.as_str(),
    );
    // Anybody else could make this host's traces part of theirs, or have all of their requests traced.
    if telemetry::is_on() && peer(request.extensions()).is_some_and(|peer| guard.trusted.contains(peer)) {
        telemetry::continue_trace(&span, request.headers());
    }
    let mut response = next.run(request).instrument(span.clone()).await;
    if response.extensions().get::<NotOurs>().is_none()
        && let Ok(value) = HeaderValue::from_str(trace.as_str())
    {
        response.headers_mut().insert("x-request-id", value);
    }
    let took = started.elapsed();
    let status = response.status().as_u16();
    span.record("http.response.status_code", status);
    guard.metrics.request(route, status, took);
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let client = client.map(tracing::field::display);
    // Style sheets and logos are of interest to nobody; and what anybody may ask for as often as they like must not fill the disk: it is in
    // the metrics.
    let is_noise = route == NO_ROUTE || status == StatusCode::TOO_MANY_REQUESTS;
    if is_noise || (route.contains("/assets/") && status < 400) {
        tracing::debug!(%method, route, status, duration_ms, %trace, client, "request");
    } else {
        tracing::info!(%method, route, status, duration_ms, %trace, client, "request");
    }
    response
}

/// Innermost: lets a request through to its handler, with its whole body, when it is its turn; or answers it.
pub(super) async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let trace = request.extensions().get::<TraceId>().cloned().unwrap_or_default();
    let form = Form::of(&request);
    let waits = !is_at_once(&request);
    // A client that leaves is noticed while its request waits only if nothing of it is unread. What is larger would cost too much.
    let early = http_body::Body::size_hint(request.body()).upper().is_some_and(|bytes| bytes <= EARLY_BODY_BYTES);
    let admitted = async {
        let request = if early { whole(request, guard.body_timeout).await.map_err(unread)? } else { request };
        let request = if waits && guard.places.available_permits() == 0 { on_its_own(request) } else { request };
        let place = if waits { Some(guard.place().await.map_err(|answer| (answer, !early))?) } else { None };
        let request = if early { request } else { whole(request, guard.body_timeout).await.map_err(unread)? };
        Ok((request, place))
    };
    match admitted.await {
        Ok((request, _place)) => next.run(request).await,
        Err((answer, is_unread)) => {
            let mut response = form.answer(&answer, &trace);
            if is_unread {
                // What is left of the body is not read: so this connection can't go on.
                response.headers_mut().insert("connection", HeaderValue::from_static("close"));
            }
            response
        }
    }
}

/// The same request, sharing no memory with the buffer that it was read into: that has 8 KiB, and a request that waits a few hundred
/// bytes.
fn on_its_own(request: Request) -> Request {
    let (mut parts, body) = request.into_parts();
    let copy = |uri: &Uri| Uri::try_from(uri.to_string());
    if let Ok(uri) = copy(&parts.uri) {
        parts.uri = uri;
    }
    if let Some(OriginalUri(original)) = parts.extensions.get_mut::<OriginalUri>()
        && let Ok(uri) = copy(original)
    {
        *original = uri;
    }
    for value in parts.headers.values_mut() {
        if let Ok(own) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = own;
        }
    }
    Request::from_parts(parts, body)
}

fn unread(answer: Answer) -> (Answer, bool) {
    (answer, true)
}

/// Pages and what belongs to them are answered from memory, whatever a crowd of sign-ins waits for.
fn is_at_once(request: &Request) -> bool {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let is_page = route.contains("/assets/") || route.ends_with("/sign-in") || route.ends_with("/providers");
    is_page && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// A request with its body, which is small, and there in time.
async fn whole(request: Request, limit: Duration) -> Result<Request, Answer> {
    let (parts, body) = request.into_parts();
    if http_body::Body::is_end_stream(&body) {
        return Ok(Request::from_parts(parts, body));
    }
    let oversized = || {
        let message = "The request is larger than any that this takes.";
        Answer::new(StatusCode::PAYLOAD_TOO_LARGE, "request_oversized", message, false)
    };
    if http_body::Body::size_hint(&body).lower() > BODY_BYTES as u64 {
        return Err(oversized());
    }
    match tokio::time::timeout(limit, axum::body::to_bytes(body, BODY_BYTES)).await {
        // A copy: what was read is a part of the connection's buffer, which would stay for it.
        Ok(Ok(bytes)) => Ok(Request::from_parts(parts, Body::from(Bytes::copy_from_slice(&bytes)))),
        Ok(Err(error)) if is_over_limit(&error) => Err(oversized()),
        Ok(Err(_)) => Err(Answer::malformed("The request's body broke off.")),
        Err(_) => {
            let message = "The request took too long to arrive. Please try again.";
            Err(Answer::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message, true))
        }
    }
}

fn is_over_limit(error: &axum::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<http_body_util::LengthLimitError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// In which form a request is answered: JSON for programs, a page for people.
struct Form {
    language: Option<Language>,
}

impl Form {
    fn of(request: &Request) -> Self {
        let is_api = request.uri().path().starts_with("/api/");
        Self { language: (!is_api).then(|| Language::of(request.headers())) }
    }

    fn answer(&self, answer: &Answer, trace: &TraceId) -> Response {
        match self.language {
            Some(language) => browser::refuse(language, answer, HeaderMap::new(), trace),
            None => answer.json(trace),
        }
    }
}

/// Bodies are whole when handlers get them.
pub(super) async fn bytes(body: Body) -> Bytes {
    // It was read within these bounds before.
    axum::body::to_bytes(body, BODY_BYTES).await.unwrap_or_default()
}
