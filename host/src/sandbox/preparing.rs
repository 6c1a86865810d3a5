//! When the plugin in use is prepared: in the background, once it and its configuration have been in use for a while. Sign-ins wait for
//! none of it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::{Plugin, Plugins, Settings};

/// How long a plugin and a configuration rest before one is prepared for the other: compiling takes a core that a start, or a row of changes,
/// has better use for.
const REST: Duration = Duration::from_secs(5);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Has the plugin in use prepared, until the plugins are gone.
pub async fn keep_prepared(plugins: Weak<Plugins>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut pair: Option<Pair> = None;
    loop {
        ticks.tick().await;
        let Some(plugins) = plugins.upgrade() else { return };
        let now = pair.take().filter(|pair| pair.is_in_use(&plugins));
        let first_seen = now.is_none();
        let mut now = now.unwrap_or_else(|| Pair::of(&plugins));
        if first_seen {
            now.take_from_shelf(&plugins).await;
        } else if !now.is_over && now.since.elapsed() >= REST {
            now.prepare(&plugins).await;
        }
        plugins.metrics().prepared(now.plugin.is_prepared_for(&now.providers));
        pair = Some(now);
    }
}

/// A plugin and the configurations that it is used with.
struct Pair {
    plugin: Arc<Plugin>,
    settings: Arc<Settings>,
    providers: Vec<String>,
    since: Instant,
    /// Prepared, or not to be: it is tried once.
    is_over: bool,
}

impl Pair {
    fn of(plugins: &Plugins) -> Self {
        let (plugin, settings) = (plugins.current(), plugins.settings());
        let providers: Vec<String> = settings.providers.iter().map(|(_, json)| json.clone()).collect();
        let is_over = !plugin.is_preparable() || plugin.is_prepared_for(&providers);
        Self { plugin, settings, providers, since: Instant::now(), is_over }
    }

    fn is_in_use(&self, plugins: &Plugins) -> bool {
        Arc::ptr_eq(&self.plugin, &plugins.current()) && Arc::ptr_eq(&self.settings, &plugins.settings())
    }

    async fn take_from_shelf(&mut self, plugins: &Plugins) {
        let Some(place) = plugins.shelf().filter(|_| !self.is_over) else { return };
        match self.plugin.prepare_from(place, &self.providers).await {
            Ok(was_there) => self.is_over = was_there,
            // It is made anew.
            Err(error) => tracing::warn!(%error, "what was kept of a prepared plugin isn't used"),
        }
    }

    async fn prepare(&mut self, plugins: &Plugins) {
        self.is_over = true;
        let started = Instant::now();
        match self.plugin.prepare(&self.providers, plugins.shelf()).await {
            Ok(()) => {
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(sha256 = self.plugin.sha256(), took_ms, "plugin prepared for its providers");
            }
            Err(error) => {
                tracing::warn!(%error, sha256 = self.plugin.sha256(), "the plugin isn't prepared, and reads its configuration in each call");
            }
        }
    }
}
