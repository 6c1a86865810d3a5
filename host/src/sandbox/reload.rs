//! The place of the plugin in use, and the watch on its file: a changed file is loaded and checked beside the old one,
//! then takes its place in one step. Calls under way finish on the old one; a file that fails any check changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::plugin::{Plugin, sha256_hex};
use super::{LoadError, Runtime, bindings::exports::defguard::openid::configuration::Severity};

/// Holds the plugin in use.
pub struct PluginSlot {
    current: ArcSwap<Plugin>,
}

impl PluginSlot {
    /// A slot that begins with `plugin`.
    pub fn new(plugin: Plugin) -> Self {
        Self { current: ArcSwap::from_pointee(plugin) }
    }

    /// The plugin to call now; hold it for one call only.
    pub fn current(&self) -> Arc<Plugin> {
        self.current.load_full()
    }

    /// Loads the file, has it validate the configurations in use, and swaps it in.
    ///
    /// Returns the SHA-256 of the new plugin, or nothing if the file is the one in use.
    pub async fn reload(
        &self,
        runtime: &Arc<Runtime>,
        path: &Path,
        providers: &[(String, String)],
    ) -> Result<Option<String>, LoadError> {
        if tokio::fs::read(path).await.is_ok_and(|bytes| sha256_hex(&bytes) == self.current().sha256()) {
            return Ok(None);
        }
        let plugin = Plugin::load(runtime, path).await?;
        refuse_if_configuration_fails(&plugin, providers).await?;
        let hash = plugin.sha256().to_owned();
        self.current.store(Arc::new(plugin));
        Ok(Some(hash))
    }
}

async fn refuse_if_configuration_fails(plugin: &Plugin, providers: &[(String, String)]) -> Result<(), LoadError> {
    for (provider, json) in providers {
        let failed = |problem: String| LoadError::Configuration {
            path: plugin.path().into(),
            provider: provider.clone(),
            problem,
        };
        let problems = plugin.validate(json).await.map_err(|error| failed(error.to_string()))?;
        if let Some(problem) = problems.iter().find(|problem| problem.severity == Severity::Error) {
            return Err(failed(format!("{}: {}", problem.path, problem.message)));
        }
    }
    Ok(())
}

/// Looks at the file every `interval` until the slot is gone, and reloads it when its content has changed and rests.
///
/// `providers` are pairs of provider id and configuration, as the component gets them.
pub async fn watch(
    slot: std::sync::Weak<PluginSlot>,
    runtime: Arc<Runtime>,
    path: PathBuf,
    providers: Vec<(String, String)>,
    interval: Duration,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut checked, mut last_seen) = (None, None);
    loop {
        ticks.tick().await;
        let Some(slot) = slot.upgrade() else { return };
        let seen = stamp(&path).await;
        // A file that is still being written changes between two looks: wait until it rests.
        let rests = seen == last_seen;
        last_seen = seen;
        if !rests || seen == checked {
            continue;
        }
        checked = seen;
        match slot.reload(&runtime, &path, &providers).await {
            Ok(Some(sha256)) => tracing::info!(path = %path.display(), %sha256, "plugin reloaded"),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "plugin not reloaded: the one in use stays"),
        }
    }
}

/// What tells cheaply that a file may have changed.
async fn stamp(path: &Path) -> Option<(u64, Option<std::time::SystemTime>)> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}
