//! What is measured of loading plugins: how each attempt ended, which one is in use, and calls that the former one still has.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{LoadError, Plugin};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LoadLabels {
    outcome: &'static str,
    code: &'static str,
}

/// How an attempt to have the plugin prepared ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Preparation {
    /// It is.
    Prepared,
    /// It is, by what was kept of an earlier time.
    Kept,
    /// It isn't; why.
    Failed(&'static str),
    /// It was, and isn't any more: a call failed with this code.
    GivenUp(&'static str),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InUseLabels {
    name: String,
    version: String,
    sha256: String,
    signed: &'static str,
}

/// Clones count together.
#[derive(Clone, Default)]
pub struct PluginMetrics {
    loads: Family<LoadLabels, Counter>,
    in_use: Family<InUseLabels, Gauge>,
    draining: Gauge,
    prepared: Gauge,
    preparations: Family<LoadLabels, Counter>,
}

impl PluginMetrics {
    /// A plugin took over.
    pub(super) fn took_over(&self, plugin: &Plugin) {
        self.loads.get_or_create(&LoadLabels { outcome: "loaded", code: "" }).inc();
        self.shows(plugin);
    }

    /// The former one is back.
    pub(super) fn rolled_back(&self, code: &'static str, plugin: &Plugin) {
        self.loads.get_or_create(&LoadLabels { outcome: "rolled_back", code }).inc();
        self.shows(plugin);
    }

    /// A file was refused.
    pub(super) fn refused(&self, error: &LoadError) {
        self.loads.get_or_create(&LoadLabels { outcome: "refused", code: error.code() }).inc();
    }

    /// How many calls former plugins still have under way.
    pub(super) fn draining(&self, calls: u64) {
        self.draining.set(i64::try_from(calls).unwrap_or(i64::MAX));
    }

    /// Whether instances of the one in use begin with its configurations read.
    pub(super) fn prepared(&self, is_prepared: bool) {
        self.prepared.set(i64::from(is_prepared));
    }

    /// An attempt to have it so has ended, or what it came to.
    pub(super) fn preparation(&self, ended: Preparation) {
        let (outcome, code) = match ended {
            Preparation::Prepared => ("prepared", ""),
            Preparation::Kept => ("kept", ""),
            Preparation::Failed(code) => ("failed", code),
            Preparation::GivenUp(code) => ("given_up", code),
        };
        self.preparations.get_or_create(&LoadLabels { outcome, code }).inc();
    }

    fn shows(&self, plugin: &Plugin) {
        let bounded = |text: &str| text.chars().take(64).collect::<String>();
        self.in_use.clear();
        let labels = InUseLabels {
            name: bounded(plugin.name()),
            version: bounded(plugin.version()),
            sha256: plugin.sha256().to_owned(),
            signed: if plugin.signed().is_some() { "yes" } else { "no" },
        };
        self.in_use.get_or_create(&labels).set(1);
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "plugin_loads",
            "Plugin files that were tried: loaded, refused (the code says why), rolled_back",
            self.loads.clone(),
        );
        registry.register("plugin_in_use", "1 for the plugin in use", self.in_use.clone());
        registry.register(
            "plugin_prepared",
            "1 while instances of the plugin in use begin with its configurations read",
            self.prepared.clone(),
        );
        registry.register(
            "plugin_preparations",
            "Attempts to prepare the plugin in use: prepared, kept (of an earlier start), failed or given_up (the code says why)",
            self.preparations.clone(),
        );
        registry.register(
            "plugin_calls_draining",
            "Calls that plugins which aren't in use any more still have under way",
            self.draining.clone(),
        );
    }
}
