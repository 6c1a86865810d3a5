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
        // Also of one that isn't in use any more.
        if let Some(former) = &pair {
            former.tell(&plugins);
        }
        let (mut now, is_new) = match pair.take().filter(|pair| pair.is_in_use(&plugins)) {
            Some(now) => (now, false),
            None => (Pair::found(&plugins), true),
        };
        plugins.metrics().prepared(now.is_prepared());
        if is_new {
            now.take_from_shelf(&plugins).await;
        } else {
            now.attend(&plugins).await;
        }
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
    /// It is prepared, or isn't to be.
    Over,
}

impl Pair {
    /// A pair that has just come into use.
    fn found(plugins: &Plugins) -> Self {
        let (plugin, settings) = (plugins.current(), plugins.settings());
        let providers: Vec<String> = settings.providers.iter().map(|(_, json)| json.clone()).collect();
        plugin.is_used_for(&providers);
        let is_over =
            !plugin.is_preparable() || plugin.is_prepared_for(&providers) || plugin.was_given_up_for(&providers);
        let stands = if is_over { Stands::Over } else { Stands::Waits(Instant::now() + REST, ATTEMPTS - 1) };
        Self { plugin, settings, providers, stands }
    }

    fn is_in_use(&self, plugins: &Plugins) -> bool {
        Arc::ptr_eq(&self.plugin, &plugins.current()) && Arc::ptr_eq(&self.settings, &plugins.settings())
    }

    fn is_prepared(&self) -> bool {
        self.plugin.is_prepared_for(&self.providers)
    }

    /// Counts that it gave up, which a failed call has said in the log; the next start isn't to begin with that.
    fn tell(&self, plugins: &Plugins) {
        if let Some(code) = self.plugin.tells_that_it_gave_up() {
            plugins.metrics().preparation(Preparation::GivenUp(code));
            self.forget(plugins);
        }
    }

    /// It may have been prepared at an earlier start.
    async fn take_from_shelf(&mut self, plugins: &Plugins) {
        let Some(place) = plugins.shelf().filter(|_| matches!(self.stands, Stands::Waits(..))) else { return };
        match self.plugin.prepare_from(place, &self.providers).await {
            Ok(true) => {
                tracing::info!(sha256 = self.plugin.sha256(), "plugin prepared for its providers at an earlier start");
                plugins.metrics().preparation(Preparation::Kept);
                self.stands = Stands::Over;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "what was kept of a prepared plugin isn't used, and made anew");
                plugins.metrics().preparation(Preparation::Failed(error.code()));
            }
        }
    }

    /// Does what there is to do now.
    async fn attend(&mut self, plugins: &Plugins) {
        let Stands::Waits(until, more) = self.stands else { return };
        if Instant::now() < until {
            return;
        }
        let started = Instant::now();
        let sha256 = self.plugin.sha256();
        tracing::debug!(sha256, "the plugin is being prepared");
        self.stands = match self.plugin.prepare(&self.providers, plugins.shelf()).await {
            Ok(()) => {
                let took_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                tracing::info!(sha256, took_ms, "plugin prepared for its providers");
                plugins.metrics().preparation(Preparation::Prepared);
                Stands::Over
            }
            Err(error) => {
                plugins.metrics().preparation(Preparation::Failed(error.code()));
                let again = again(&error, more);
                if matches!(again, Stands::Waits(..)) {
                    tracing::warn!(%error, sha256, "the plugin isn't prepared yet: it is tried again in a minute");
                } else {
                    tracing::warn!(%error, sha256, "the plugin isn't prepared, and reads its configuration in each call");
                    // Of other configurations, at most.
                    self.forget(plugins);
                }
                again
            }
        };
    }

    fn forget(&self, plugins: &Plugins) {
        if let Some(place) = plugins.shelf() {
            place.forget_prepared(self.plugin.sha256());
        }
    }
}

/// After an attempt that failed, with so many left.
fn again(error: &PrepareError, more: u32) -> Stands {
    match more.checked_sub(1).filter(|_| !error.is_lasting()) {
        Some(more) => Stands::Waits(Instant::now() + PAUSE, more),
        None => Stands::Over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{CallError, LoadError};

    #[test]
    fn what_is_tried_again() {
        let call = PrepareError::Call;
        let table = [
            (call(CallError::Timeout(REST)), true),
            (call(CallError::Busy(1)), true),
            (call(CallError::Instantiate("no memory".into())), true),
            (call(CallError::Trap("unreachable".into())), false),
            (call(CallError::MemoryExhausted(1)), false),
            (call(CallError::CpuExhausted(REST)), false),
            (PrepareError::Unread { read: 1, given: 2 }, false),
            (PrepareError::TooLarge { bytes: 2, limit: 1 }, false),
            (PrepareError::Unsuitable("tables".into()), false),
            (PrepareError::Timeout(REST), true),
            (PrepareError::Broken("no thread".into()), true),
            (LoadError::SelfTest { path: "p".into(), reason: "busy".into() }.into(), true),
        ];
        for (error, expected) in table {
            let attempts = |mut more: u32| {
                let mut attempts = 1;
                while let Stands::Waits(until, left) = again(&error, more) {
                    assert!(until > Instant::now(), "not at once");
                    (more, attempts) = (left, attempts + 1);
                }
                attempts
            };
            assert_eq!(attempts(ATTEMPTS - 1), if expected { ATTEMPTS } else { 1 }, "{error}");
        }
    }
}
