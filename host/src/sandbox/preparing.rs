//! When the plugin in use is prepared: in the background, once it and its configuration have been in use for a while. Sign-ins wait for
//! none of it.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::metrics::Preparation;
use super::{Plugin, Plugins, PrepareError, Settings};

/// How long a plugin and a configuration rest before one is prepared for the other: compiling takes a core that a start, or a row of changes,
/// has better use for.
const REST: Duration = Duration::from_secs(5);
/// How long after an attempt that the machine, or a crowd, may have kept from its end.
const PAUSE: Duration = Duration::from_mins(1);
/// How many attempts there are.
const ATTEMPTS: u32 = 3;
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
        let now = match pair.take().filter(|pair| pair.is_in_use(&plugins)) {
            Some(mut now) => {
                now.attend(&plugins).await;
                now
            }
            None => Pair::found(&plugins).await,
        };
        plugins.metrics().prepared(now.is_prepared());
        pair = Some(now);
    }
}

/// A plugin and the configurations that it is used with.
struct Pair {
    plugin: Arc<Plugin>,
    settings: Arc<Settings>,
    providers: Vec<String>,
    stands: Stands,
}

/// How far it is.
enum Stands {
    /// The next attempt comes then; how many there are after it.
    Waits(Instant, u32),
    Prepared,
    /// It isn't to be, or can't.
    Left,
}

impl Pair {
    /// A pair that has just come into use: it may have been prepared at an earlier start.
    async fn found(plugins: &Plugins) -> Self {
        let (plugin, settings) = (plugins.current(), plugins.settings());
        let providers: Vec<String> = settings.providers.iter().map(|(_, json)| json.clone()).collect();
        let stands = if plugin.is_prepared_for(&providers) {
            Stands::Prepared
        } else if !plugin.is_preparable() || plugin.was_given_up_for(&providers).is_some() {
            Stands::Left
        } else {
            Stands::Waits(Instant::now() + REST, ATTEMPTS - 1)
        };
        let mut found = Self { plugin, settings, providers, stands };
        if matches!(found.stands, Stands::Waits(..)) {
            found.take_from_shelf(plugins).await;
        }
        found
    }

    fn is_in_use(&self, plugins: &Plugins) -> bool {
        Arc::ptr_eq(&self.plugin, &plugins.current()) && Arc::ptr_eq(&self.settings, &plugins.settings())
    }

    fn is_prepared(&self) -> bool {
        self.plugin.is_prepared_for(&self.providers)
    }

    async fn take_from_shelf(&mut self, plugins: &Plugins) {
        let Some(place) = plugins.shelf() else { return };
        match self.plugin.prepare_from(place, &self.providers).await {
            Ok(true) => {
                plugins.metrics().preparation(Preparation::Kept);
                self.stands = Stands::Prepared;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "what was kept of a prepared plugin isn't used, and made anew");
                plugins.metrics().preparation(Preparation::Failed(error.code()));
                self.forget(plugins);
            }
        }
    }

    /// Does what there is to do now.
    async fn attend(&mut self, plugins: &Plugins) {
        match self.stands {
            Stands::Waits(until, more) if Instant::now() >= until => self.prepare(plugins, more).await,
            Stands::Prepared => {
                // A failed call has said so in the log.
                if let Some(code) = self.plugin.was_given_up_for(&self.providers) {
                    plugins.metrics().preparation(Preparation::GivenUp(code));
                    self.leave(plugins);
                }
            }
            Stands::Waits(..) | Stands::Left => {}
        }
    }

    async fn prepare(&mut self, plugins: &Plugins, more: u32) {
        let started = Instant::now();
        tracing::debug!(sha256 = self.plugin.sha256(), "the plugin is being prepared");
        match self.plugin.prepare(&self.providers, plugins.shelf()).await {
            Ok(()) => {
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(sha256 = self.plugin.sha256(), took_ms, "plugin prepared for its providers");
                plugins.metrics().preparation(Preparation::Prepared);
                self.stands = Stands::Prepared;
            }
            Err(error) => {
                plugins.metrics().preparation(Preparation::Failed(error.code()));
                let sha256 = self.plugin.sha256();
                match again(&error, more) {
                    Some(again) => {
                        tracing::warn!(%error, sha256, "the plugin isn't prepared yet: it is tried again in a minute");
                        self.stands = again;
                    }
                    None => {
                        tracing::warn!(%error, sha256, "the plugin isn't prepared, and reads its configuration in each call");
                        self.leave(plugins);
                    }
                }
            }
        }
    }

    /// It isn't to be prepared; nor is it by what is kept at the next start.
    fn leave(&mut self, plugins: &Plugins) {
        self.stands = Stands::Left;
        self.forget(plugins);
    }

    fn forget(&self, plugins: &Plugins) {
        if let Some(place) = plugins.shelf() {
            place.forget_prepared(self.plugin.sha256());
        }
    }
}

fn again(error: &PrepareError, more: u32) -> Option<Stands> {
    let more = more.checked_sub(1).filter(|_| !error.is_lasting());
    more.map(|more| Stands::Waits(Instant::now() + PAUSE, more))
}
