//! The sign-in service: it owns the plugin, the storage and the hand-over, and knows the two steps of a login. What a
//! request looks like, and what an answer, is `web`'s subject.

mod directory;
mod error;
mod login;
mod readiness;
mod share;
mod start;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::audit::Audit;
use crate::capability::{Cache, Clock, Grant, ProviderContext, TraceId};
use crate::config::{Config, Provider, ProviderId};
use crate::handover::Handover;
use crate::metrics::Metrics;
use crate::sandbox::bindings::exports::defguard::openid::login as contract;
use crate::sandbox::{Plugin, Plugins};
use crate::storage::Storage;
use crate::sync::at_login::AtLogin;
use crate::sync::epoch::Epochs;

pub use contract::{Authorization, Check, Flow, Refusal, RefusalKind, Verdict};
pub use error::{LoginError, StartError};
pub use login::{Completed, Tested};
pub use start::{component_problems, load_plugin, shelf, validate};

/// The service, for one configuration: another one is another gateway over the same [`Lasting`] parts.
pub struct Gateway {
    config: Config,
    lasting: Lasting,
    providers: BTreeMap<ProviderId, Arc<ProviderContext>>,
    handover: Box<dyn Handover>,
    audit: Audit,
    at_login: AtLogin,
    shares: share::Shares,
    /// Ends with this gateway.
    _own: Tasks,
}

/// What outlives a change of the configuration.
#[derive(Clone)]
struct Lasting {
    plugins: Arc<Plugins>,
    storage: Arc<dyn Storage>,
    cache: Arc<Cache>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    readiness: Arc<readiness::Readiness>,
    /// End with the last gateway.
    _tasks: Arc<Tasks>,
}

/// Tasks that end when this is dropped.
struct Tasks(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

impl Gateway {
    /// The configuration in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The plugin in use.
    pub fn plugin(&self) -> Arc<Plugin> {
        self.lasting.plugins.current()
    }

    /// The plugin in use, and what changes it.
    pub fn plugins(&self) -> &Arc<Plugins> {
        &self.lasting.plugins
    }

    /// The most linear memory that a call of the plugin had since the start, in bytes.
    pub fn guest_memory_peak(&self) -> usize {
        self.lasting.plugins.runtime().memory_peak()
    }

    /// What is measured.
    pub fn metrics(&self) -> &Metrics {
        &self.lasting.metrics
    }

    /// What the directory says of people who sign in.
    pub fn at_login(&self) -> &AtLogin {
        &self.at_login
    }

    /// The hand-over in use.
    pub fn handover(&self) -> &dyn Handover {
        self.handover.as_ref()
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The storage in use.
    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.lasting.storage)
    }

    /// Whether no other process can have the storage open.
    pub fn is_alone(&self) -> bool {
        self.config.storage.is_alone()
    }

    /// The service's clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.lasting.clock)
    }

    /// Which of a run and a sign-in knows better.
    pub(crate) fn epochs(&self, provider: &ProviderId) -> Epochs {
        Epochs::new(self.storage(), self.clock(), provider)
    }

    /// Milliseconds since 1970, by the service's clock.
    pub fn now_unix_ms(&self) -> u64 {
        self.lasting.clock.now_unix_ms()
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

    fn grant(&self, provider: &Provider, trace: &TraceId) -> Result<Grant, LoginError> {
        let context =
            self.providers.get(&provider.id).ok_or_else(|| LoginError::UnknownProvider(provider.id.to_string()))?;
        Ok(Grant::provider(Arc::clone(context), trace.clone()))
    }
}
