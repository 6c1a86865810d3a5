//! What is measured of the HTTP service: requests by route, what was turned away and why, connections. Routes are the names of
//! our own (whatever a client asks for can't add one).

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Upper bounds of how long a request took, in seconds: a page takes a millisecond, a sign-in ends after 45 s.
const REQUEST_SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ScopeLabels {
    scope: &'static str,
}

/// Clones count together.
#[derive(Clone)]
pub struct ServiceMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, Histogram>,
    under_way: Gauge,
    waiting: Gauge,
    rate_limited: Family<ScopeLabels, Counter>,
    rate_limited_clients: Gauge,
    connections: Gauge,
    accepted: Counter,
    turned_away: Family<ReasonLabels, Counter>,
    certificate_expiry: Family<super::NoLabels, Gauge>,
    audit_failures: Counter,
    log_dropped: Counter,
}

impl Default for ServiceMetrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(REQUEST_SECONDS)),
            under_way: Gauge::default(),
            waiting: Gauge::default(),
            rate_limited: Family::default(),
            rate_limited_clients: Gauge::default(),
            connections: Gauge::default(),
            accepted: Counter::default(),
            turned_away: Family::default(),
            certificate_expiry: Family::default(),
            audit_failures: Counter::default(),
            log_dropped: Counter::default(),
        }
    }
}

/// Counts one for as long as it lives.
pub struct Present(Gauge);

impl Present {
    pub(super) fn of(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ServiceMetrics {
    /// A request of ours that was answered; `route` is one of ours.
    pub fn request(&self, route: &str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { route: route.to_owned(), status }).inc();
        self.durations.get_or_create(&RouteLabels { route: route.to_owned() }).observe(took.as_secs_f64());
    }

    /// A request of ours that is worked on.
    pub fn under_way(&self) -> Present {
        Present::of(&self.under_way)
    }

    /// A request that waits for its turn, because as many are worked on as may be.
    pub fn waits(&self) -> Present {
        Present::of(&self.waiting)
    }

    /// A request over a rate limit: `client` or `global`.
    pub fn rate_limited(&self, scope: &'static str) {
        self.rate_limited.get_or_create(&ScopeLabels { scope }).inc();
    }

    /// How many clients the rate limit remembers.
    pub fn rate_limited_clients(&self, clients: usize) {
        self.rate_limited_clients.set(i64::try_from(clients).unwrap_or(i64::MAX));
    }

    /// A connection that was taken.
    pub fn connection(&self) -> Present {
        self.accepted.inc();
        Present::of(&self.connections)
    }

    /// A connection that was closed without an answer, or ended before it had one.
    pub fn turned_away(&self, reason: &'static str) {
        self.turned_away.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// When our own certificate ends, in seconds since 1970.
    pub fn certificate_expiry(&self, at_unix_s: i64) {
        self.certificate_expiry.get_or_create(&[]).set(at_unix_s);
    }

    /// An audit record that couldn't be written.
    pub fn audit_failed(&self) {
        self.audit_failures.inc();
    }

    /// Lines of the log that nobody took in time.
    pub fn log_dropped(&self, lines: u64) {
        self.log_dropped.inc_by(lines);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests of ours that were answered, by route", self.requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "How long requests of ours took, from the head to the head of the answer",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "http_requests_under_way",
            "Requests of ours that aren't answered yet, those that wait for their turn included",
            self.under_way.clone(),
        );
        registry.register(
            "http_requests_waiting",
            "Steps of sign-ins that wait for their turn, beyond limits.requests",
            self.waiting.clone(),
        );
        registry.register("rate_limited", "Requests that were over a rate limit", self.rate_limited.clone());
        registry.register(
            "rate_limit_clients",
            "Clients that the rate limit remembers, 65536 at most",
            self.rate_limited_clients.clone(),
        );
        registry.register("connections", "Connections that are open, upgraded ones too", self.connections.clone());
        registry.register("connections_accepted", "Connections that were taken", self.accepted.clone());
        registry.register(
            "connections_ended_early",
            "Connections that were refused, or ended by a time limit or a failure",
            self.turned_away.clone(),
        );
        registry.register_with_unit(
            "tls_certificate_expiry_timestamp",
            "When the certificate of this host's own listener ends, in seconds since 1970",
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
        registry.register(
            "audit_failures",
            "Audit records that couldn't be written: what they would have said is lost, the sign-in went on",
            self.audit_failures.clone(),
        );
        registry.register(
            "log_lines_dropped",
            "Lines of the log that were dropped because whoever reads them was too slow",
            self.log_dropped.clone(),
        );
    }
}
