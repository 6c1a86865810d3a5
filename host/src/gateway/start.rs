//! From a configuration to a service that takes sign-ins.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::Audit;
use crate::capability::{Cache, ClientCredential, Clock, Outgoing, ProviderContext, SystemClock};
use crate::config::{Config, ConfigError, HandoverConfig, PluginsConfig, Problem, Provider};
use crate::credential;
use crate::handover::{CoreHandover, Handover, LocalHandover};
use crate::metrics::{Measured, Metrics};
use crate::sandbox::bindings::exports::defguard::openid::configuration::Severity;
use crate::sandbox::shelf::ShelfError;
use crate::sandbox::{
    CallError, Limits, LoadError, Plugin, Plugins, Runtime, Shelf, choose_any, first, keep_prepared, watch,
};
use crate::storage::{Namespace, Renewed, Storage};
use crate::sync::at_login::AtLogin;

use super::share::Shares;
use super::{Gateway, Lasting, StartError, Tasks};

/// How often the plugin's file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_millis(500);
/// How often expired state is deleted.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The namespace that plugins' state lives in, beside those of the host. One plugin runs at a time, and a sign-in that began with one
/// ends with the next: it is the provider's, not the plugin's.
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
        let (audit, outgoing) = (audit(&config)?, Arc::new(Outgoing::new(config.loopback_http)?));
        let runtime = Arc::new(Runtime::new(limits)?);
        let shelf = shelf(&config)?;
        let metrics = Arc::new(Metrics::new(&config.providers).with_sandbox(runtime.metrics()));
        let audit = audit.counted(metrics.service());
        let storage: Arc<dyn Storage> =
            Arc::new(Measured::new(storage, config.storage.url.backend(), metrics.storage()));
        let started = Plugins::start(runtime, config.plugin_settings(), shelf, metrics.plugins()).await;
        let plugins = started.map_err(|error| located(&config, error))?;
        let plugin = plugins.current();
        warn(&validate(&plugin, &config).await?);
        tracing::info!(
            path = %plugin.path().display(), sha256 = plugin.sha256(), version = plugin.version(),
            signed = plugin.signed().is_some(), pooling = plugins.runtime().is_pooling(), "plugin loaded"
        );
        let mut tasks = vec![
            tokio::spawn(watch(Arc::downgrade(&plugins), RELOAD_INTERVAL)),
            tokio::spawn(keep_prepared(Arc::downgrade(&plugins))),
            tokio::spawn(sweep(Arc::clone(&storage), Arc::clone(&clock))),
        ];
        let protection = &config.storage.protection;
        if protection.previous_key.is_some() || protection.accept_unencrypted {
            tasks.push(tokio::spawn(renew(Arc::clone(&storage), Arc::clone(&clock))));
        }
        let tasks = Tasks(tasks);
        let lasting = Lasting {
            plugins,
            storage,
            cache: Arc::new(Cache::default()),
            metrics,
            clock,
            readiness: Arc::default(),
            _tasks: Arc::new(tasks),
        };
        Self::over(config, lasting, audit, &outgoing).await
    }

    /// Another configuration over the same storage, plugin, cache and metrics: the plugin takes it, or nothing changes. What can't
    /// change while the service runs is kept by whoever calls this.
    pub async fn reconfigured(&self, config: Config) -> Result<Arc<Self>, StartError> {
        let (audit, outgoing) = (audit(&config)?, Arc::new(Outgoing::new(config.loopback_http)?));
        let changed = self.lasting.plugins.change(config.plugin_settings()).await;
        let change = changed.map_err(|error| located(&config, error))?;
        warn(&validate(change.plugin(), &config).await?);
        let audit = audit.counted(self.lasting.metrics.service());
        let next = Self::over(config, self.lasting.clone(), audit, &outgoing).await?;
        change.make();
        next.lasting.metrics.providers(&next.config.providers);
        Ok(next)
    }

    async fn over(
        config: Config,
        lasting: Lasting,
        audit: Audit,
        outgoing: &Arc<Outgoing>,
    ) -> Result<Arc<Self>, StartError> {
        let Lasting { storage, cache, metrics, clock, .. } = &lasting;
        let providers = config
            .providers
            .iter()
            .map(|provider| (provider.id.clone(), Arc::new(context(provider, storage, outgoing, cache, clock))))
            .collect();
        let handover: Box<dyn Handover> = match &config.handover {
            HandoverConfig::Local { accounts } => {
                let url = format!("{}/", config.public_url.origin());
                Box::new(LocalHandover::start(Arc::clone(storage), Arc::clone(clock), url, accounts).await?)
            }
            HandoverConfig::Core { settings, options } => {
                let (storage, clock) = (Arc::clone(storage), Arc::clone(clock));
                Box::new(CoreHandover::new(settings, options.clone(), storage, clock, metrics.core())?)
            }
        };
        let own = Tasks(vec![tokio::spawn(credential::watch(config.providers.clone(), Arc::clone(clock)))]);
        let at_login = AtLogin::new(metrics.directory());
        let shares = Shares::new(&config, lasting.plugins.runtime().limits());
        Ok(Arc::new(Self { config, lasting, providers, handover, audit, at_login, shares, _own: own }))
    }
}

fn audit(config: &Config) -> Result<Audit, StartError> {
    let audit = Audit::new(config.audit_file.clone());
    audit.try_open().map_err(StartError::Audit)?;
    Ok(audit)
}

fn warn(warnings: &[Problem]) {
    for warning in warnings {
        tracing::warn!(key = %warning.path, "{} ({})", warning.message, warning.hint);
    }
}

/// The host's own folder for plugins. One that nobody asked for may fail: then each start compiles, and only this process knows the
/// way back.
pub fn shelf(config: &Config) -> Result<Option<Shelf>, ShelfError> {
    if config.plugins.notes { opened(config, Shelf::open) } else { shelf_to_read(config) }
}

/// The same for a command that only tries something: it is neither made nor changed.
fn shelf_to_read(config: &Config) -> Result<Option<Shelf>, ShelfError> {
    let is_there = config.plugins.folder.as_ref().is_some_and(|folder| folder.exists());
    if is_there { opened(config, Shelf::look_into) } else { Ok(None) }
}

fn opened(config: &Config, open: impl Fn(&Path) -> Result<Shelf, ShelfError>) -> Result<Option<Shelf>, ShelfError> {
    let PluginsConfig { folder, folder_is_named, .. } = &config.plugins;
    let Some(folder) = folder else { return Ok(None) };
    match open(folder) {
        Ok(shelf) => Ok(Some(shelf)),
        Err(error) if *folder_is_named => Err(error),
        Err(error) => {
            tracing::warn!(%error, "former plugins and compiled code aren't kept");
            Ok(None)
        }
    }
}

/// The plugin that the service would use under this configuration, its warnings, and the files that were refused before it: for
/// commands that try and don't serve.
pub async fn load_plugin(
    config: &Config,
    runtime: &Arc<Runtime>,
) -> Result<(Plugin, Vec<Problem>, Vec<LoadError>), StartError> {
    let (settings, shelf) = (config.plugin_settings(), shelf_to_read(config)?);
    match choose_any(runtime, &settings, shelf.as_ref()).await {
        Err(errors) => Err(located(config, first(errors, &settings))),
        Ok((plugin, _, refused)) => {
            let warnings = validate(&plugin, config).await?;
            Ok((plugin, warnings, refused.into_iter().map(|refused| refused.error).collect()))
        }
    }
}

/// A configuration that the plugin refuses, with its keys and lines.
fn located(config: &Config, error: LoadError) -> StartError {
    match error {
        LoadError::Configuration { problems, .. } if !problems.is_empty() => {
            let mut problems: Vec<Problem> = problems
                .into_iter()
                .map(|(provider, problem)| of_plugin(&format!("provider.{provider}"), problem))
                .collect();
            crate::config::locate(&config.source, &mut problems);
            ConfigError::Invalid { file: config.source.clone(), problems }.into()
        }
        error => error.into(),
    }
}

fn of_plugin(place: &str, problem: crate::sandbox::Problem) -> Problem {
    Problem {
        path: format!("{place}.{}", problem.path),
        line: None,
        message: problem.message,
        hint: problem.hint,
        is_warning: problem.severity == Severity::Warning,
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
    Ok(plugin.validate(json).await?.into_iter().map(|problem| of_plugin(place, problem)).collect())
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

/// With another key than before, everything that is stored is sealed with it by and by; then the former one can go.
async fn renew(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) {
    match storage.renew(clock.now_unix_ms()).await {
        Ok(Renewed { sealed, unreadable: 0 }) => tracing::info!(
            sealed,
            "everything stored is sealed with storage.key_file's key: when every host says so, the former key, and \
             storage.accept_unencrypted, aren't needed any more"
        ),
        Ok(Renewed { sealed, unreadable }) => tracing::error!(
            sealed,
            unreadable,
            "values that are stored open with neither key (storage.key_file, storage.previous_key_file): whose they are can't sign in"
        ),
        Err(error) => {
            tracing::error!(%error, "not everything stored is sealed with the present key: the next start goes on");
        }
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
