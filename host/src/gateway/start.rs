//! From a configuration to a service that takes sign-ins.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::Audit;
use crate::capability::{Cache, ClientCredential, Clock, Outgoing, ProviderContext, SystemClock};
use crate::config::{Config, ConfigError, HandoverConfig, Problem, Provider};
use crate::credential;
use crate::handover::{CoreHandover, Handover, LocalHandover};
use crate::metrics::{Measured, Metrics};
use crate::sandbox::bindings::exports::defguard::openid::configuration::Severity;
use crate::sandbox::{CallError, Limits, Plugin, PluginSlot, Runtime, watch};
use crate::storage::{Namespace, Storage};
use crate::sync::at_login::AtLogin;

use super::readiness::Readiness;
use super::{Gateway, StartError};

/// How often the plugin's file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_millis(500);
/// How often expired state is deleted.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The namespace that this plugin's state lives in.
const PLUGIN_NAMESPACE: &str = "openid";

impl Gateway {
    /// Opens the storage, loads the plugin, has it validate each provider, and starts to watch its file.
    pub async fn start(config: Config) -> Result<Arc<Self>, StartError> {
        Self::start_with(config, Limits::default(), Arc::new(SystemClock)).await
    }

    /// As [`Gateway::start`], with other bounds and another clock.
    pub async fn start_with(config: Config, limits: Limits, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StartError> {
        let storage = config.storage.open(clock.now_unix_ms()).await?;
        Self::start_over(config, limits, clock, storage).await
    }

    /// As [`Gateway::start_with`], over a storage that is open already, perhaps another host's as well.
    pub async fn start_over(
        config: Config,
        limits: Limits,
        clock: Arc<dyn Clock>,
        storage: Arc<dyn Storage>,
    ) -> Result<Arc<Self>, StartError> {
        let audit = Audit::new(config.audit_file.clone());
        audit.try_open().map_err(StartError::Audit)?;
        let runtime = Arc::new(Runtime::new(limits)?);
        let metrics = Metrics::new(&config.providers).with_sandbox(runtime.metrics());
        let audit = audit.counted(metrics.service());
        let storage: Arc<dyn Storage> =
            Arc::new(Measured::new(storage, config.storage.url.backend(), metrics.storage()));
        let plugin = Plugin::load(&runtime, &config.plugin).await?;
        for warning in validate(&plugin, &config).await? {
            tracing::warn!(key = %warning.path, "{} ({})", warning.message, warning.hint);
        }
        tracing::info!(path = %plugin.path().display(), sha256 = plugin.sha256(), pooling = runtime.is_pooling(), "plugin loaded");
        let outgoing = Arc::new(Outgoing::new(config.loopback_http)?);
        let cache = Arc::new(Cache::default());
        let providers = config
            .providers
            .iter()
            .map(|provider| (provider.id.clone(), Arc::new(context(provider, &storage, &outgoing, &cache, &clock))))
            .collect();
        let handover: Box<dyn Handover> = match &config.handover {
            HandoverConfig::Local { accounts } => {
                let url = format!("{}/", config.public_url.origin());
                Box::new(LocalHandover::start(Arc::clone(&storage), Arc::clone(&clock), url, accounts).await?)
            }
            HandoverConfig::Core { settings, options } => {
                let (storage, clock) = (Arc::clone(&storage), Arc::clone(&clock));
                Box::new(CoreHandover::new(settings, options.clone(), storage, clock, metrics.core())?)
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
            tokio::spawn(sweep(Arc::clone(&storage), Arc::clone(&clock))),
            tokio::spawn(credential::watch(config.providers.clone(), Arc::clone(&clock))),
        ];
        let at_login = AtLogin::new(metrics.directory());
        let readiness = Readiness::default();
        Ok(Arc::new(Self {
            config,
            slot,
            providers,
            handover,
            audit,
            metrics,
            storage,
            at_login,
            clock,
            readiness,
            tasks,
        }))
    }
}

/// Has the component look at every provider's configuration: the warnings, or all problems as an error.
pub async fn validate(plugin: &Plugin, config: &Config) -> Result<Vec<Problem>, StartError> {
    let mut problems = config.warnings.clone();
    for provider in &config.providers {
        let place = format!("provider.{}", provider.id);
        let found = component_problems(plugin, &place, &provider.component_json).await;
        problems.extend(found.map_err(StartError::Validation)?);
    }
    crate::config::locate(&config.source, &mut problems);
    if problems.iter().all(|problem| problem.is_warning) {
        return Ok(problems);
    }
    problems.retain(|problem| !problem.is_warning);
    Err(ConfigError::Invalid { file: config.source.clone(), problems }.into())
}

/// What the component finds in one provider's table, which is at `place`: `provider.entra`. Without lines.
pub async fn component_problems(plugin: &Plugin, place: &str, json: &str) -> Result<Vec<Problem>, CallError> {
    let found = plugin.validate(json).await?.into_iter().map(|problem| Problem {
        path: format!("{place}.{}", problem.path),
        line: None,
        message: problem.message,
        hint: problem.hint,
        is_warning: problem.severity == Severity::Warning,
    });
    Ok(found.collect())
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
        credential: ClientCredential::new(provider.client_id.clone(), provider.credential.clone()),
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
