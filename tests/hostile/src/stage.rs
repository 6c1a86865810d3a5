//! A plugin in the sandbox with everything that a sign-in is granted, and nothing of the HTTP in front of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use defguard_openid_host::capability::{
    AllowedOrigins, Cache, ClientCredential, Grant, Outgoing, ProviderContext, SystemClock, TraceId,
};
use defguard_openid_host::config::{ProviderId, Secret};
use defguard_openid_host::credential::{ClientSecret, Credential};
use defguard_openid_host::sandbox::bindings::exports::defguard::openid::login::{
    Authorization, BeginRequest, CompleteRequest, Completion, Flow, Refusal,
};
use defguard_openid_host::sandbox::{CallError, Limits, LoadError, Plugin, Runtime};
use defguard_openid_host::storage::{MemoryStorage, Namespace, Storage};

use crate::SECRET;

/// A runtime, what its calls share, and the bounds.
pub struct Stage {
    /// The runtime.
    pub runtime: Arc<Runtime>,
    /// Durable state, of all providers.
    pub storage: Arc<dyn Storage>,
    cache: Arc<Cache>,
    outgoing: Arc<Outgoing>,
    loopback: bool,
}

/// Bounds that end a hostile call soon: a fifth of a second of processor time, two of wall clock.
pub fn short() -> Limits {
    Limits {
        concurrent_calls: 16,
        call_cpu_ticks: 20,
        call_wall: Duration::from_secs(3),
        http_timeout: Duration::from_secs(1),
        ..Limits::default()
    }
}

impl Stage {
    /// `loopback`: as `development.loopback_http`.
    pub fn new(limits: Limits, loopback: bool) -> Self {
        Self {
            runtime: Arc::new(Runtime::new(limits).expect("the engine starts")),
            storage: Arc::new(MemoryStorage::default()),
            cache: Arc::new(Cache::default()),
            outgoing: Arc::new(Outgoing::new(loopback).expect("an HTTP client")),
            loopback,
        }
    }

    /// Loads a plugin.
    pub async fn load(&self, path: &Path) -> Plugin {
        Plugin::load(&self.runtime, path).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Loads a plugin from bytes.
    pub async fn load_bytes(&self, bytes: &[u8]) -> Result<Plugin, LoadError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("plugin.wasm");
        std::fs::write(&path, bytes).expect("the folder can be written");
        Plugin::load(&self.runtime, &path).await
    }

    /// What a call for a provider is granted; `origins`: where it may go.
    pub fn grant(&self, provider: &str, origins: &[&str]) -> Grant {
        let mut allowed = AllowedOrigins::new(self.loopback);
        for origin in origins {
            allowed.add(&url::Url::parse(origin).expect("a URL")).expect("it may be allowed");
        }
        let secret = ClientSecret { secret: Secret::new(SECRET), expires: None };
        let context = ProviderContext {
            id: ProviderId::parse(provider).expect("an id"),
            namespace: Namespace::new("openid", provider),
            credential_origins: allowed.clone(),
            allowed,
            credential: ClientCredential::new("client".into(), Credential::Secret(secret)),
            outgoing: Arc::clone(&self.outgoing),
            storage: Arc::clone(&self.storage),
            cache: Arc::clone(&self.cache),
            clock: Arc::new(SystemClock),
        };
        Grant::provider(Arc::new(context), TraceId::new())
    }

    /// `login.begin` of a provider that may go to `base_url`.
    pub async fn begin(
        &self,
        plugin: &Plugin,
        base_url: &str,
        configuration: &str,
    ) -> Result<Result<Authorization, Refusal>, CallError> {
        plugin.begin(self.grant("hostile", &[base_url]), &begin_request(configuration)).await
    }

    /// What a behaviour reports of itself when it ends.
    pub async fn report(&self, plugin: &Plugin, grant: Grant, configuration: &str) -> String {
        match plugin.begin(grant, &begin_request(configuration)).await {
            Ok(Err(refusal)) if refusal.code == "reported" => refusal.message,
            other => panic!("{configuration}: no report: {other:?}"),
        }
    }

    /// A whole sign-in of a plugin that behaves.
    pub async fn sign_in(&self, plugin: &Plugin, base_url: &str) -> Result<Completion, String> {
        let configuration = configuration(&[("base_url", base_url)]);
        let begun = plugin.begin(self.grant("neighbour", &[base_url]), &begin_request(&configuration)).await;
        let begun = begun.map_err(|error| error.to_string())?.map_err(|refusal| refusal.message)?;
        let request = CompleteRequest {
            provider: configuration,
            flow: Flow::Enrollment,
            redirect_uri: "http://127.0.0.1/openid/callback".into(),
            parameters: vec![("code".into(), "ada".into()), ("state".into(), begun.state)],
            browser_binding: Some(begun.browser_binding),
        };
        let done = plugin.complete(self.grant("neighbour", &[base_url]), &request).await;
        done.map_err(|error| error.to_string())?.map_err(|refusal| format!("{} {}", refusal.code, refusal.message))
    }
}

/// A provider's configuration, as the plugin gets it.
pub fn configuration(keys: &[(&str, &str)]) -> String {
    let object: serde_json::Map<String, serde_json::Value> =
        keys.iter().map(|(key, value)| ((*key).to_owned(), (*value).into())).collect();
    serde_json::Value::Object(object).to_string()
}

/// A request to begin with that configuration.
pub fn begin_request(configuration: &str) -> BeginRequest {
    BeginRequest {
        provider: configuration.to_owned(),
        flow: Flow::Enrollment,
        redirect_uri: "http://127.0.0.1/openid/callback".into(),
        login_hint: None,
    }
}
