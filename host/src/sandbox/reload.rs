//! The plugin in use, and everything that changes it: a new file, a roll-back, another configuration. A new one is loaded and
//! checked beside the old one, then takes its place in one step; calls under way finish on the old one; whatever fails changes
//! nothing. One change at a time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Mutex, MutexGuard};

use super::candidate::{self, Candidate};
use super::choice::{self, Choice, Refused, choose, choose_any};
use super::load::{accepts, examine};
use super::metrics::PluginMetrics;
use super::probation::{PROBATION, Score};
use super::shelf::Release;
use super::{LoadError, Plugin, Runtime, Settings, Shelf};

/// What came of a look at the files.
#[derive(Debug)]
pub enum Looked {
    /// Nothing is new.
    Same,
    /// A new plugin took over; its SHA-256.
    TookOver(String),
    /// The newest file was refused, and what was in use stays.
    Refused(LoadError),
}

/// The plugin in use.
pub struct Plugins {
    current: ArcSwap<Plugin>,
    runtime: Arc<Runtime>,
    settings: ArcSwap<Settings>,
    shelf: Option<Shelf>,
    metrics: PluginMetrics,
    changes: Mutex<Changes>,
}

/// What only whoever makes a change needs.
#[derive(Default)]
struct Changes {
    /// Fingerprints of files that failed: each is tried once.
    refused: BTreeSet<String>,
    former: Option<Arc<Plugin>>,
    probation: Option<Probation>,
    /// Plugins that are over, with calls under way.
    draining: Vec<Arc<Plugin>>,
}

struct Probation {
    until: Instant,
    /// Of the new one when it took over: the self-test's calls.
    before: Score,
    /// Of the one before it.
    former: Score,
}

impl Plugins {
    /// Loads the newest plugin that passes every check; else, loudly, the one that was last in use.
    pub async fn start(
        runtime: Arc<Runtime>,
        settings: Settings,
        shelf: Option<Shelf>,
        metrics: PluginMetrics,
    ) -> Result<Arc<Self>, LoadError> {
        let chosen = choose_any(&runtime, &settings, shelf.as_ref()).await;
        let (plugin, candidate, refused) = match chosen {
            Ok(chosen) => chosen,
            Err(errors) => return Err(first(errors, &settings)),
        };
        for Refused { error, .. } in &refused {
            metrics.refused(error);
            tracing::error!(%error, code = error.code(), "this plugin isn't loaded: another one is used");
        }
        let refused = refused.into_iter().map(|refused| refused.fingerprint).collect();
        remember(shelf.as_ref(), &plugin, Some(&candidate));
        metrics.took_over(&plugin);
        Ok(Arc::new(Self {
            current: ArcSwap::from_pointee(plugin),
            runtime,
            settings: ArcSwap::from_pointee(settings),
            shelf,
            metrics,
            changes: Mutex::new(Changes { refused, ..Changes::default() }),
        }))
    }

    /// The plugin to call now; hold it for one call only.
    pub fn current(&self) -> Arc<Plugin> {
        self.current.load_full()
    }

    /// What compiled and runs every plugin.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// What a plugin has to fit now.
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// What is measured of them.
    pub(super) fn metrics(&self) -> &PluginMetrics {
        &self.metrics
    }

    /// The host's own folder for plugins, if there is one.
    pub fn shelf(&self) -> Option<&Shelf> {
        self.shelf.as_ref()
    }

    /// Looks at the files, and has a newer plugin take over.
    pub async fn look(&self) -> Looked {
        let mut changes = self.changes.lock().await;
        let (settings, current) = (self.settings(), self.current());
        let chosen = choose(&self.runtime, &settings, self.shelf.as_ref(), Some(&current), &changes.refused);
        let Choice { found, refused } = match chosen.await {
            Ok(choice) => choice,
            Err(error) => Choice { found: None, refused: vec![Refused { fingerprint: error.to_string(), error }] },
        };
        let mut last = None;
        for Refused { fingerprint, error } in refused {
            self.metrics.refused(&error);
            tracing::error!(%error, code = error.code(), in_use = current.sha256(), "plugin not reloaded: the one in use stays");
            changes.refused.insert(fingerprint);
            last.get_or_insert(error);
        }
        match (found, last) {
            (Some((plugin, candidate)), _) => {
                let sha256 = plugin.sha256().to_owned();
                self.take_over(&mut changes, Arc::new(plugin), Some(&candidate));
                Looked::TookOver(sha256)
            }
            (None, Some(error)) => Looked::Refused(error),
            (None, None) => Looked::Same,
        }
    }

    /// What another configuration means for the plugin: the change that is to be made with it. Until that is dropped or made, there
    /// is no other.
    pub async fn change(&self, settings: Settings) -> Result<Change<'_>, LoadError> {
        let changes = self.changes.lock().await;
        let (now, current) = (self.settings(), self.current());
        let same = now.path == settings.path && now.trust == settings.trust;
        let stays = same || {
            let newest = choice::trusted(&self.runtime, &settings).await?.0.into_iter().next();
            newest.is_some_and(|newest| newest.candidate.sha256 == current.sha256())
        };
        let next = if stays {
            accepts(&current, &settings).await?;
            None
        } else {
            let nothing = BTreeSet::new();
            let choice = choose(&self.runtime, &settings, self.shelf.as_ref(), None, &nothing).await?;
            Some(choice.found.ok_or_else(|| first(choice.refused.into_iter().map(|one| one.error), &settings))?)
        };
        Ok(Change { plugins: self, changes, settings, current, next })
    }

    /// Goes back to the former plugin, and sets the one in use aside.
    pub async fn roll_back(&self, reason: &str) -> Result<String, String> {
        self.go_back(&mut *self.changes.lock().await, "asked", reason).await
    }

    async fn go_back(&self, changes: &mut Changes, code: &'static str, reason: &str) -> Result<String, String> {
        changes.probation = None;
        let (settings, current) = (self.settings(), self.current());
        // Not what an attempt that fails takes away: with its key, or its configuration, back, there is a way back.
        let target = match changes.former.clone() {
            Some(former) => still_fits(&former, &settings).await.map(|()| former),
            None => self.former_kept(&settings).await,
        };
        let former = match target {
            Ok(former) => former,
            Err(error) => {
                tracing::error!(%error, reason, in_use = current.sha256(), "no way back to a former plugin: the one in use stays");
                return Err(error.to_string());
            }
        };
        changes.former = None;
        let sha256 = former.sha256().to_owned();
        tracing::error!(reason, from = current.sha256(), to = %sha256, "plugin rolled back");
        if let Some(shelf) = &self.shelf {
            let release = Release::of(&former);
            let noted = shelf.change(|state| state.went_back(release, current.sha256(), reason));
            noted.map_or_else(|error| tracing::error!(%error, "the roll-back isn't remembered"), drop);
        }
        // Without a folder nobody else remembers it: it isn't tried again until it changes.
        for file in candidate::files(&settings.path).unwrap_or_default() {
            if let Ok(found) = Candidate::read(&file, self.runtime.limits().plugin_bytes).await
                && found.sha256 == current.sha256()
            {
                changes.refused.insert(found.fingerprint());
            }
        }
        self.metrics.rolled_back(code, &former);
        self.current.store(former);
        changes.draining.push(current);
        Ok(sha256)
    }

    async fn former_kept(&self, fit: &Settings) -> Result<Arc<Plugin>, LoadError> {
        let none = LoadError::NoFormer;
        let place = self.shelf.as_ref().ok_or_else(|| none("without plugins.folder none is kept"))?;
        let state = place.state();
        // Whoever asked for it has noted already which one is to be in use.
        let current = self.current();
        let noted = state.in_use.as_ref().filter(|noted| noted.sha256 != current.sha256());
        let release = noted
            .or_else(|| state.back_to())
            .ok_or_else(|| none("none was in use before the present one, or it is gone"))?;
        let checked = place.kept_and_trusted(release, self.runtime.limits().plugin_bytes, &fit.trust).await?;
        Ok(Arc::new(examine(&self.runtime, checked, fit, Some(place)).await?))
    }

    fn take_over(&self, changes: &mut Changes, plugin: Arc<Plugin>, candidate: Option<&Candidate>) {
        remember(self.shelf.as_ref(), &plugin, candidate);
        let former = self.current();
        changes.probation = Some(Probation {
            until: Instant::now() + PROBATION,
            before: plugin.tally().score(),
            former: former.tally().score(),
        });
        self.metrics.took_over(&plugin);
        tracing::info!(path = %plugin.path().display(), sha256 = plugin.sha256(), version = plugin.version(), "plugin reloaded");
        self.current.store(plugin);
        changes.former = Some(Arc::clone(&former));
        changes.draining.push(former);
    }

    /// Says which former plugins have ended their last call.
    fn drain(&self, changes: &mut Changes) {
        let mut calls = 0_u64;
        changes.draining.retain(|plugin| {
            let under_way = plugin.tally().under_way();
            calls = calls.saturating_add(under_way);
            if under_way == 0 {
                tracing::info!(sha256 = plugin.sha256(), "the former plugin has ended its last call");
            }
            under_way > 0
        });
        self.metrics.draining(calls);
    }

    /// Whether the plugin in use has failed its probation; why.
    fn failed_probation(&self, changes: &mut Changes) -> Option<String> {
        let probation = changes.probation.as_ref()?;
        let score = self.current().tally().score().since(probation.before);
        let (former, is_over) = (probation.former, Instant::now() > probation.until);
        if score.is_worse_than(former) {
            return Some(format!(
                "{} of its {} calls failed since it took over, of the former one's {} of {}",
                score.failed, score.over, former.failed, former.over
            ));
        }
        if is_over {
            changes.probation = None;
        }
        None
    }

    /// Everything that is looked at now and then, but the files.
    async fn attend(&self, state_changed: bool) {
        let mut changes = self.changes.lock().await;
        self.drain(&mut changes);
        if let Some(reason) = self.failed_probation(&mut changes) {
            // Said by it.
            drop(self.go_back(&mut changes, "probation", &reason).await);
        }
        if state_changed && let Some(shelf) = &self.shelf {
            let reason = shelf.state().reason_against(self.current().sha256()).map(str::to_owned);
            if let Some(reason) = reason {
                changes.former = None;
                drop(self.go_back(&mut changes, "asked", &reason).await);
            }
        }
    }
}

/// A change that another configuration brings.
pub struct Change<'a> {
    plugins: &'a Plugins,
    changes: MutexGuard<'a, Changes>,
    settings: Settings,
    current: Arc<Plugin>,
    next: Option<(Plugin, Candidate)>,
}

impl Change<'_> {
    /// The plugin that will be in use.
    pub fn plugin(&self) -> &Plugin {
        self.next.as_ref().map_or(&self.current, |(plugin, _)| plugin)
    }

    /// Makes it.
    pub fn make(mut self) {
        self.plugins.settings.store(Arc::new(self.settings));
        // What one configuration refuses, another may take.
        self.changes.refused.clear();
        if let Some((plugin, candidate)) = self.next {
            self.plugins.take_over(&mut self.changes, Arc::new(plugin), Some(&candidate));
        }
    }
}

/// Whether a plugin that was in use may be so again: keys may have been taken out of the configuration since, and providers changed.
async fn still_fits(former: &Plugin, settings: &Settings) -> Result<(), LoadError> {
    settings.trust.still_trusts(former.signed()).map_err(|reason| LoadError::FormerUntrusted {
        name: format!("{} {}", former.name(), former.version()),
        sha256: former.sha256().to_owned(),
        reason,
    })?;
    accepts(former, settings).await
}

/// The first refusal.
pub(crate) fn first(errors: impl IntoIterator<Item = LoadError>, settings: &Settings) -> LoadError {
    let nothing = || LoadError::Unreadable { path: settings.path.clone(), reason: "there is no plugin".into() };
    errors.into_iter().next().unwrap_or_else(nothing)
}

fn remember(shelf: Option<&Shelf>, plugin: &Plugin, candidate: Option<&Candidate>) {
    let Some(shelf) = shelf else { return };
    let noted = candidate.map_or(Ok(()), |candidate| shelf.keep(candidate));
    if let Err(error) = noted.and_then(|()| shelf.change(|state| state.took_over(Release::of(plugin))).map(drop)) {
        tracing::warn!(%error, "the plugin in use isn't kept: nothing to go back to after a restart");
    }
}

type Stamp = (Vec<(PathBuf, u64, Option<SystemTime>)>, PathBuf);

/// Looks every `interval` until the plugins are gone: at the files, at what was noted, and at how the one in use does. A file counts
/// when it has changed and rests.
pub async fn watch(plugins: Weak<Plugins>, interval: Duration) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut checked, mut last_seen, mut noted): (Option<Stamp>, Option<Stamp>, _) = (None, None, None);
    loop {
        ticks.tick().await;
        let Some(plugins) = plugins.upgrade() else { return };
        let path = plugins.settings().path.clone();
        let state = plugins.shelf.as_ref().map(Shelf::state_path);
        let looked = tokio::task::spawn_blocking(move || {
            let state = state.and_then(|path| std::fs::metadata(path).ok()?.modified().ok());
            ((candidate::stamp(&path), path), state)
        });
        let Ok((seen, state)) = looked.await else { continue };
        plugins.attend(state != noted).await;
        noted = state;
        // A file that is still being written changes between two looks: wait until it rests.
        let rests = last_seen.as_ref() == Some(&seen);
        let is_new = checked.as_ref() != Some(&seen);
        last_seen = Some(seen);
        if rests && is_new {
            checked.clone_from(&last_seen);
            plugins.look().await;
        }
    }
}
