//! The sign-in service: it owns the plugin, the storage and the hand-over, and knows the two steps of a login. What a
//! request looks like, and what an answer, is `web`'s subject.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::capability::origin::UrlRefusal;
use crate::capability::{Cache, Clock, Grant, Outgoing, OutgoingError, ProviderContext, SystemClock, TraceId};
use crate::config::{Config, ConfigError, HandoverConfig, Problem, Provider, ProviderId};
use crate::handover::{Enrollment, Handover, HandoverError, LocalHandover};
use crate::identity::Identity;
use crate::sandbox::bindings::exports::defguard::openid::configuration::Severity;
use crate::sandbox::bindings::exports::defguard::openid::login;
use crate::sandbox::{CallError, Limits, LoadError, Plugin, PluginSlot, Runtime, watch};
use crate::storage::{Namespace, Storage, StorageError};

pub use login::{Authorization, Flow, Refusal, RefusalKind};

/// How often the plugin's file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_millis(500);
/// How often expired state is deleted.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The namespace that this plugin's state lives in.
const PLUGIN_NAMESPACE: &str = "openid";

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plugin.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// The plugin fails while it validates.
    #[error("the plugin fails while it validates the configuration: {0}")]
    Validation(CallError),
    /// The HTTP client.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a login didn't go on. `web` and the command line turn it into words for people.
#[derive(Debug)]
pub enum LoginError {
    /// No provider has this id.
    UnknownProvider(String),
    /// The component says no.
    Refused(Box<Refusal>),
    /// The component would send the browser somewhere that isn't the provider's.
    ForeignRedirect(UrlRefusal),
    /// The component failed.
    Plugin(CallError),
    /// The identity is good, and could not be handed over.
    Handover(HandoverError),
}

/// A finished login.
#[derive(Debug)]
pub struct Completed {
    /// Who.
    pub identity: Identity,
    /// Defguard's answer.
    pub enrollment: Enrollment,
}

/// The service.
pub struct Gateway {
    config: Config,
    slot: Arc<PluginSlot>,
    providers: BTreeMap<ProviderId, Arc<ProviderContext>>,
    handover: Box<dyn Handover>,
    clock: Arc<dyn Clock>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Gateway {
    /// Opens the storage, loads the plugin, has it validate each provider, and starts to watch its file.
    pub async fn start(config: Config) -> Result<Arc<Self>, StartError> {
        Self::start_with(config, Limits::default(), Arc::new(SystemClock)).await
    }

    /// As [`Gateway::start`], with other bounds and another clock.
    pub async fn start_with(config: Config, limits: Limits, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StartError> {
        let runtime = Arc::new(Runtime::new(limits)?);
        let plugin = Plugin::load(&runtime, &config.plugin).await?;
        for warning in validate(&plugin, &config).await? {
            tracing::warn!(key = %warning.path, "{} ({})", warning.message, warning.hint);
        }
        tracing::info!(path = %plugin.path().display(), sha256 = plugin.sha256(), pooling = runtime.is_pooling(), "plugin loaded");
        let storage = config.storage.open(clock.now_unix_ms()).await?;
        let outgoing = Arc::new(Outgoing::new(config.loopback_http)?);
        let cache = Arc::new(Cache::default());
        let providers = config
            .providers
            .iter()
            .map(|provider| (provider.id.clone(), Arc::new(context(provider, &storage, &outgoing, &cache, &clock))))
            .collect();
        let handover: Box<dyn Handover> = match config.handover {
            HandoverConfig::Local => {
                let url = format!("{}/", config.public_url.origin());
                Box::new(LocalHandover::new(Arc::clone(&storage), Arc::clone(&clock), url))
            }
        };
        let slot = Arc::new(PluginSlot::new(plugin));
        let tasks = vec![
            tokio::spawn(watch(
                Arc::downgrade(&slot),
                runtime,
                config.plugin.clone(),
                component_configurations(&config),
                RELOAD_INTERVAL,
            )),
            tokio::spawn(sweep(storage, Arc::clone(&clock))),
        ];
        Ok(Arc::new(Self { config, slot, providers, handover, clock, tasks }))
    }

    /// The configuration in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The plugin in use.
    pub fn plugin(&self) -> Arc<Plugin> {
        self.slot.current()
    }

    /// The hand-over in use.
    pub fn handover(&self) -> &dyn Handover {
        self.handover.as_ref()
    }

    /// Milliseconds since 1970, by the service's clock.
    pub fn now_unix_ms(&self) -> u64 {
        self.clock.now_unix_ms()
    }

    /// The provider of that id; of none, the first one.
    pub fn provider(&self, id: Option<&str>) -> Result<&Provider, LoginError> {
        let mut providers = self.config.providers.iter();
        match id {
            None => providers.next(),
            Some(id) => providers.find(|provider| provider.id.as_str() == id),
        }
        .ok_or_else(|| LoginError::UnknownProvider(id.unwrap_or_default().to_owned()))
    }

    /// The first step: where to send the browser.
    pub async fn begin(
        &self,
        provider: &Provider,
        flow: Flow,
        login_hint: Option<String>,
        trace: &TraceId,
    ) -> Result<Authorization, LoginError> {
        let request = login::BeginRequest {
            provider: provider.component_json.clone(),
            flow,
            redirect_uri: self.config.redirect_uri(&provider.id),
            login_hint,
        };
        let outcome = self.slot.current().begin(self.grant(provider, trace)?, &request).await;
        // A component, or a provider's document, doesn't make an open redirector of this host (V18).
        let result = settle(outcome).and_then(|begun| match provider.allowed.check(&begun.url) {
            Ok(_) => Ok(begun),
            Err(refusal) => Err(LoginError::ForeignRedirect(refusal)),
        });
        report("begin", provider, trace, &result);
        result
    }

    /// The second step: from the callback's parameters to an enrollment.
    pub async fn complete(
        &self,
        provider: &Provider,
        flow: Flow,
        parameters: Vec<(String, String)>,
        browser_binding: Option<String>,
        trace: &TraceId,
    ) -> Result<Completed, LoginError> {
        let request = login::CompleteRequest {
            provider: provider.component_json.clone(),
            flow,
            redirect_uri: self.config.redirect_uri(&provider.id),
            parameters,
            browser_binding,
        };
        let outcome = self.slot.current().complete(self.grant(provider, trace)?, &request).await;
        let result = match settle(outcome) {
            Ok(completion) => {
                let identity = Identity::from_component(provider.id.as_str(), completion.identity);
                match identity.check() {
                    Ok(()) => self.hand_over(identity, trace).await,
                    Err(reason) => {
                        Err(LoginError::Plugin(CallError::Trap(format!("its identity breaks the contract: {reason}"))))
                    }
                }
            }
            Err(error) => Err(error),
        };
        report("complete", provider, trace, &result);
        result
    }

    async fn hand_over(&self, identity: Identity, trace: &TraceId) -> Result<Completed, LoginError> {
        let enrollment = self.handover.hand_over(&identity, trace).await.map_err(LoginError::Handover)?;
        Ok(Completed { identity, enrollment })
    }

    fn grant(&self, provider: &Provider, trace: &TraceId) -> Result<Grant, LoginError> {
        let context =
            self.providers.get(&provider.id).ok_or_else(|| LoginError::UnknownProvider(provider.id.to_string()))?;
        Ok(Grant::provider(Arc::clone(context), trace.clone()))
    }
}

/// Has the component look at every provider's configuration: the warnings, or all problems as an error.
pub async fn validate(plugin: &Plugin, config: &Config) -> Result<Vec<Problem>, StartError> {
    let mut problems = Vec::new();
    for provider in &config.providers {
        let found = plugin.validate(&provider.component_json).await.map_err(StartError::Validation)?;
        problems.extend(found.into_iter().map(|problem| Problem {
            path: format!("provider.{}.{}", provider.id, problem.path),
            line: None,
            message: problem.message,
            hint: problem.hint,
            is_warning: problem.severity == Severity::Warning,
        }));
    }
    crate::config::locate(&config.source, &mut problems);
    if problems.iter().all(|problem| problem.is_warning) {
        return Ok(problems);
    }
    problems.retain(|problem| !problem.is_warning);
    Err(ConfigError::Invalid { file: config.source.clone(), problems }.into())
}

fn component_configurations(config: &Config) -> Vec<(String, String)> {
    config.providers.iter().map(|provider| (provider.id.to_string(), provider.component_json.clone())).collect()
}

fn context(
    provider: &Provider,
    storage: &Arc<dyn Storage>,
    outgoing: &Arc<Outgoing>,
    cache: &Arc<Cache>,
    clock: &Arc<dyn Clock>,
) -> ProviderContext {
    ProviderContext {
        id: provider.id.clone(),
        namespace: Namespace::new(PLUGIN_NAMESPACE, provider.id.as_str()),
        allowed: provider.allowed.clone(),
        credential_origins: provider.credential_origins.clone(),
        credential: crate::capability::ClientCredential {
            client_id: provider.client_id.clone(),
            client_secret: provider.client_secret.clone(),
        },
        outgoing: Arc::clone(outgoing),
        storage: Arc::clone(storage),
        cache: Arc::clone(cache),
        clock: Arc::clone(clock),
    }
}

async fn sweep(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match storage.sweep(clock.now_unix_ms()).await {
            Ok(0) => {}
            Ok(entries) => tracing::debug!(entries, "expired state deleted"),
            Err(error) => tracing::warn!(%error, "expired state not deleted"),
        }
    }
}

fn settle<T>(outcome: Result<Result<T, Refusal>, CallError>) -> Result<T, LoginError> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => Err(LoginError::Refused(Box::new(refusal))),
        Err(error) => Err(LoginError::Plugin(error)),
    }
}

/// One record for each step. Codes and checks, never parameters, tokens or claims.
fn report<T>(step: &'static str, provider: &Provider, trace: &TraceId, result: &Result<T, LoginError>) {
    let provider = provider.id.as_str();
    match result {
        Ok(_) => tracing::info!(step, provider, %trace, outcome = "ok", "login"),
        Err(LoginError::Refused(refusal)) => {
            let failed = refusal
                .checks
                .iter()
                .filter(|check| check.verdict == login::Verdict::Fail)
                .map(|check| format!("{}: {}", check.name, check.detail))
                .collect::<Vec<_>>()
                .join("; ");
            let provider_said = refusal
                .provider_said
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect::<Vec<_>>()
                .join(" ");
            tracing::warn!(
                step, provider, %trace, outcome = "refused", code = refusal.code, failed, provider_said,
                hint = refusal.admin_hint, "login",
            );
        }
        Err(LoginError::Plugin(error)) => {
            tracing::error!(step, provider, %trace, outcome = "failed", code = error.code(), %error, "login");
        }
        Err(LoginError::ForeignRedirect(refusal)) => {
            tracing::error!(
                step, provider, %trace, outcome = "failed", code = "authorization_url_refused", error = %refusal, "login",
            );
        }
        Err(LoginError::Handover(error)) => {
            tracing::error!(step, provider, %trace, outcome = "failed", code = "handover_failed", %error, "login");
        }
        Err(LoginError::UnknownProvider(id)) => {
            tracing::warn!(step, %trace, outcome = "refused", code = "provider_unknown", id, "login");
        }
    }
}
