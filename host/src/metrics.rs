//! Metrics for Prometheus, in the OpenMetrics text format, on a listener of their own: what is counted is of no use to
//! browsers, and none of their business. Names of providers, steps, outcomes and codes are the only labels; nothing of a
//! person is ever one, and a component can't make up labels without end.

mod sandbox;
mod service;
mod storage;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::config::{Provider, ProviderId};
use crate::credential::expiries;
use crate::gateway::Gateway;
use crate::sandbox::metrics::PluginMetrics;
use crate::sync::metrics::SyncMetrics;

pub use sandbox::SandboxMetrics;
pub use service::{Present, ServiceMetrics};
pub use storage::{Measured, StorageMetrics};

/// The media type of OpenMetrics 1.0.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// How many different codes are counted by name. The component and the host have some 100 between them; a component that
/// makes up more gets [`OTHER_CODE`] for them.
const MAX_CODES: usize = 128;
/// Bytes of a code that is counted by name.
const MAX_CODE_BYTES: usize = 64;
const OTHER_CODE: &str = "other";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoginLabels {
    provider: String,
    step: &'static str,
    outcome: &'static str,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExpiryLabels {
    provider: String,
    credential: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    call: &'static str,
}

/// One row, which is there once it was set.
type NoLabels = [(&'static str, &'static str); 0];

/// Upper bounds of how long a call of Core took, in seconds: a call ends after 10 s by default, after 60 s at most.
const CALL_SECONDS: [f64; 9] = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// What is measured of Defguard Core. Clones count together.
#[derive(Clone)]
pub struct CoreMetrics {
    calls: Family<CallLabels, Counter>,
    durations: Family<DurationLabels, Histogram>,
    breaker_open: Family<NoLabels, Gauge>,
}

impl Default for CoreMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(CALL_SECONDS)),
            breaker_open: Family::default(),
        }
    }
}

impl CoreMetrics {
    /// Counts a call: how it ended, and how long that took.
    pub fn call(&self, call: &'static str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&CallLabels { call, outcome }).inc();
        self.durations.get_or_create(&DurationLabels { call }).observe(took.as_secs_f64());
    }

    /// Whether Core is asked, or the breaker is open.
    pub fn breaker(&self, is_closed: bool) {
        self.breaker_open.get_or_create(&[]).set(i64::from(!is_closed));
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("core_calls", "Calls of Defguard Core", self.calls.clone());
        registry.register_with_unit(
            "core_call_duration",
            "How long calls of Defguard Core took",
            Unit::Seconds,
            self.durations.clone(),
        );
        registry.register(
            "core_breaker_open",
            "1 while Defguard Core isn't asked, because it failed too often in a row",
            self.breaker_open.clone(),
        );
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabels {
    provider: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

/// What is measured of the directory at sign-ins. Clones count together.
#[derive(Clone, Default)]
pub struct DirectoryMetrics {
    login_checks: Family<CheckLabels, Counter>,
    people_dropped: Family<ProviderLabels, Counter>,
}

impl DirectoryMetrics {
    /// Counts a sign-in that the directory was to be asked about, and what came of that.
    pub fn login_check(&self, provider: &ProviderId, outcome: &'static str) {
        self.login_checks.get_or_create(&CheckLabels { provider: provider.to_string(), outcome }).inc();
    }

    /// Counts somebody whose groups couldn't be handed on.
    pub fn dropped(&self, provider: &ProviderId) {
        self.people_dropped.get_or_create(&ProviderLabels { provider: provider.to_string() }).inc();
    }

    fn register(&self, registry: &mut Registry) {
        registry.register(
            "directory_login_checks",
            "Sign-ins that the directory was to be asked about",
            self.login_checks.clone(),
        );
        registry.register(
            "directory_people_dropped",
            "People who signed in, and whose groups the synchronisation had no room for at once",
            self.people_dropped.clone(),
        );
    }
}

/// Everything that is measured.
pub struct Metrics {
    registry: Registry,
    logins: Family<LoginLabels, Counter>,
    core: CoreMetrics,
    sync: SyncMetrics,
    directory: DirectoryMetrics,
    service: ServiceMetrics,
    storage: StorageMetrics,
    key_set_age: Family<ProviderLabels, Gauge>,
    expiry: Family<ExpiryLabels, Gauge>,
    plugins: PluginMetrics,
    configurations: Family<OutcomeLabels, Counter>,
    guest_memory_peak: Gauge,
    codes: Mutex<BTreeSet<String>>,
}

impl Metrics {
    /// For these providers; nothing has happened yet.
    pub fn new(providers: &[Provider]) -> Self {
        let mut registry = Registry::with_prefix("defguard_openid");
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of this host", version);
        let expiry = Family::<ExpiryLabels, Gauge>::default();
        registry.register_with_unit(
            "credential_expiry_timestamp",
            "When a client secret or certificate expires, in seconds since 1970",
            Unit::Seconds,
            expiry.clone(),
        );
        let logins = Family::<LoginLabels, Counter>::default();
        registry.register("logins", "Steps of sign-ins that ended: begin, complete", logins.clone());
        let core = CoreMetrics::default();
        core.register(&mut registry);
        let sync = SyncMetrics::default();
        sync.register(&mut registry);
        let directory = DirectoryMetrics::default();
        directory.register(&mut registry);
        let service = ServiceMetrics::default();
        service.register(&mut registry);
        let storage = StorageMetrics::default();
        storage.register(&mut registry);
        let key_set_age = Family::<ProviderLabels, Gauge>::default();
        registry.register_with_unit(
            "key_set_age",
            "How long ago a provider's key set was fetched; without a row, there is none",
            Unit::Seconds,
            key_set_age.clone(),
        );
        let guest_memory_peak = Gauge::default();
        registry.register_with_unit(
            "guest_memory_peak",
            "The most linear memory that a call of the plugin had since the start",
            Unit::Bytes,
            guest_memory_peak.clone(),
        );
        let plugins = PluginMetrics::default();
        plugins.register(&mut registry);
        let configurations = Family::<OutcomeLabels, Counter>::default();
        registry.register(
            "configuration_reloads",
            "Configurations that were read while the service ran: used, refused",
            configurations.clone(),
        );
        let metrics = Self {
            registry,
            logins,
            core,
            sync,
            directory,
            service,
            storage,
            key_set_age,
            expiry,
            plugins,
            configurations,
            guest_memory_peak,
            codes: Mutex::default(),
        };
        metrics.providers(providers);
        metrics
    }

    /// From now on these are the providers: when their credentials expire.
    pub fn providers(&self, providers: &[Provider]) {
        self.expiry.clear();
        for provider in providers {
            for end in expiries(provider) {
                let labels = ExpiryLabels { provider: provider.id.to_string(), credential: end.what.label() };
                self.expiry.get_or_create(&labels).set(i64::try_from(end.at_unix_s).unwrap_or(i64::MAX));
            }
        }
    }

    /// Counts a configuration that was read while the service ran.
    pub fn configuration(&self, is_used: bool) {
        let outcome = if is_used { "used" } else { "refused" };
        self.configurations.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    /// Where the loading of plugins is counted.
    pub fn plugins(&self) -> PluginMetrics {
        self.plugins.clone()
    }

    /// The most linear memory that a call of the plugin had, in bytes.
    pub fn guest_memory_peak(&self, bytes: usize) {
        self.guest_memory_peak.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Where calls of Defguard Core are counted; without any there are no rows.
    pub fn core(&self) -> CoreMetrics {
        self.core.clone()
    }

    /// Where runs of directory synchronisation are counted; without any there are no rows.
    pub fn sync(&self) -> &SyncMetrics {
        &self.sync
    }

    /// Where the directory at sign-ins is counted; without any there are no rows.
    pub fn directory(&self) -> DirectoryMetrics {
        self.directory.clone()
    }

    /// Adds the rows of a sandbox.
    #[must_use]
    pub fn with_sandbox(mut self, sandbox: &SandboxMetrics) -> Self {
        sandbox.register(&mut self.registry);
        self
    }

    /// Where the storage is counted.
    pub fn storage(&self) -> StorageMetrics {
        self.storage.clone()
    }

    /// How long ago a provider's keys were fetched; `None`: there are none.
    pub fn key_set_age(&self, provider: &ProviderId, age: Option<Duration>) {
        let labels = ProviderLabels { provider: provider.to_string() };
        match age {
            Some(age) => {
                self.key_set_age.get_or_create(&labels).set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
            }
            None => drop(self.key_set_age.remove(&labels)),
        }
    }

    /// Where the HTTP service is counted.
    pub fn service(&self) -> ServiceMetrics {
        self.service.clone()
    }

    /// Counts one step of a sign-in: `begin` or `complete`, how it ended (`ok`, `refused`, `failed`), and the stable code
    /// if it ended badly.
    pub fn login(&self, step: &'static str, provider: &ProviderId, outcome: &'static str, code: Option<&str>) {
        let code = code.map_or_else(String::new, |code| self.bounded(code));
        self.logins.get_or_create(&LoginLabels { provider: provider.to_string(), step, outcome, code }).inc();
    }

    /// The code, if it looks like one and there aren't too many different ones already.
    fn bounded(&self, code: &str) -> String {
        let is_code = (1..=MAX_CODE_BYTES).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        // A set of texts is whole whatever its last user did.
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_code || (codes.len() >= MAX_CODES && !codes.contains(code)) {
            return OTHER_CODE.to_owned();
        }
        if !codes.contains(code) {
            codes.insert(code.to_owned());
        }
        code.to_owned()
    }

    /// Everything as OpenMetrics text.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// `GET /metrics`, for a listener that only Prometheus reaches.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(gateway)
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    gateway.metrics().guest_memory_peak(gateway.guest_memory_peak());
    for provider in &gateway.config().providers {
        gateway.metrics().key_set_age(&provider.id, gateway.key_set_age(&provider.id));
    }
    match gateway.metrics().text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("no metrics: {error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn provider(name: &str) -> ProviderId {
        ProviderId::parse(name).unwrap()
    }

    #[test]
    fn what_is_counted() {
        let metrics = Metrics::new(&[]);
        metrics.login("begin", &provider("entra"), "ok", None);
        metrics.login("begin", &provider("entra"), "ok", None);
        metrics.login("complete", &provider("entra"), "refused", Some("state_unknown"));
        metrics.login("complete", &provider("other-1"), "failed", Some("plugin_timeout"));
        let text = metrics.text().unwrap();
        for line in [
            r#"defguard_openid_logins_total{provider="entra",step="begin",outcome="ok",code=""} 2"#,
            r#"defguard_openid_logins_total{provider="entra",step="complete",outcome="refused",code="state_unknown"} 1"#,
            r#"defguard_openid_logins_total{provider="other-1",step="complete",outcome="failed",code="plugin_timeout"} 1"#,
            concat!("defguard_openid_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "# TYPE defguard_openid_logins counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} isn't in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn memory_of_the_plugin() {
        let metrics = Metrics::new(&[]);
        metrics.guest_memory_peak(1_179_648);
        let text = metrics.text().unwrap();
        for line in
            ["# UNIT defguard_openid_guest_memory_peak_bytes bytes", "defguard_openid_guest_memory_peak_bytes 1179648"]
        {
            assert!(text.lines().any(|found| found == line), "{line} isn't in:\n{text}");
        }
    }

    #[test]
    fn calls_of_core() {
        let metrics = Metrics::new(&[]);
        assert!(!metrics.text().unwrap().lines().any(|line| line.starts_with("defguard_openid_core")));
        let core = metrics.core();
        core.call("create_user", "ok", Duration::from_millis(70));
        core.call("create_user", "slow", Duration::from_secs(10));
        core.breaker(false);
        let text = metrics.text().unwrap();
        for line in [
            r#"defguard_openid_core_calls_total{call="create_user",outcome="slow"} 1"#,
            r#"defguard_openid_core_call_duration_seconds_count{call="create_user"} 2"#,
            r#"defguard_openid_core_call_duration_seconds_bucket{le="0.1",call="create_user"} 1"#,
            "defguard_openid_core_breaker_open{} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} isn't in:\n{text}");
        }
    }

    #[test]
    fn the_directory_at_sign_ins() {
        let metrics = Metrics::new(&[]);
        assert!(!metrics.text().unwrap().lines().any(|line| line.starts_with("defguard_openid_directory")));
        metrics.directory().login_check(&provider("entra"), "enabled");
        metrics.directory().dropped(&provider("entra"));
        let text = metrics.text().unwrap();
        for line in [
            r#"defguard_openid_directory_login_checks_total{provider="entra",outcome="enabled"} 1"#,
            r#"defguard_openid_directory_people_dropped_total{provider="entra"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} isn't in:\n{text}");
        }
    }

    #[test]
    fn when_credentials_expire() {
        let text = "public_url = \"https://enroll.example\"\n[handover]\nkind = \"local\"\n[[provider]]\nid = \"op\"\n\
                    kind = \"oidc\"\nbase_url = \"https://op.example\"\nclient_id = \"x\"\n\
                    client_secret_env = \"CARGO_PKG_NAME\"\nclient_secret_expires = 2027-01-31";
        let config = Config::parse("openid.toml".as_ref(), text).unwrap();
        let text = Metrics::new(&config.providers).text().unwrap();
        for line in [
            "# TYPE defguard_openid_credential_expiry_timestamp_seconds gauge",
            "# UNIT defguard_openid_credential_expiry_timestamp_seconds seconds",
            r#"defguard_openid_credential_expiry_timestamp_seconds{provider="op",credential="secret"} 1801353600"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} isn't in:\n{text}");
        }
    }

    #[test]
    fn a_component_makes_no_labels_without_end() {
        let metrics = Metrics::new(&[]);
        let count = |code: &str| metrics.login("complete", &provider("entra"), "refused", Some(code));
        for strange in ["", "Bob", "a b", "x\"} 1\nfake", "é", &"a".repeat(65)] {
            count(strange);
        }
        for number in 0..1000 {
            count(&format!("code_{number}"));
        }
        count("code_5");
        let text = metrics.text().unwrap();
        let rows = text.lines().filter(|line| line.starts_with("defguard_openid_logins_total")).count();
        assert_eq!(rows, MAX_CODES + 1);
        let has = |row: &str| text.contains(&format!(r#"outcome="refused",{row}"#));
        assert!(has(r#"code="other"} 878"#) && has(r#"code="code_5"} 2"#), "{text}");
        assert!(!text.contains("fake"));
    }
}
