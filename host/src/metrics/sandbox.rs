//! What is measured of the component: its calls of the host by interface and outcome, how long the phases of a sign-in take, the
//! pool of instances. Interfaces, outcomes and phases are the host's words; the component can't add one.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::sandbox::{CallError, Export};

/// Upper bounds of how long a phase took, in seconds: of a call that only computes, and of one that waits for a provider.
const PHASE_SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CapabilityLabels {
    interface: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    provider: String,
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    export: &'static str,
    code: &'static str,
}

/// Clones count together.
#[derive(Clone)]
pub struct SandboxMetrics {
    calls: Family<CapabilityLabels, Counter>,
    failures: Family<FailureLabels, Counter>,
    phases: Family<PhaseLabels, Histogram>,
    in_use: Gauge,
    waiting: Gauge,
    limit: Gauge,
}

impl Default for SandboxMetrics {
    fn default() -> Self {
        Self {
            calls: Family::default(),
            failures: Family::default(),
            phases: Family::new_with_constructor(|| Histogram::new(PHASE_SECONDS)),
            in_use: Gauge::default(),
            waiting: Gauge::default(),
            limit: Gauge::default(),
        }
    }
}

impl SandboxMetrics {
    /// A call of the host by the component: through which interface, and `ok` or why not.
    pub fn capability(&self, interface: &'static str, outcome: &'static str) {
        self.calls.get_or_create(&CapabilityLabels { interface, outcome }).inc();
    }

    /// A call of the component that ended without an answer, whoever asked for it: out of a bound, trapped, not to the contract.
    pub(crate) fn failed(&self, export: Export, error: &CallError) {
        self.failures.get_or_create(&FailureLabels { export: export.as_str(), code: error.code() }).inc();
    }

    /// How many calls of an export ended with a code.
    pub fn failures(&self, export: Export, code: &'static str) -> u64 {
        self.failures.get(&FailureLabels { export: export.as_str(), code }).map_or(0, |counter| counter.get())
    }

    /// A phase of a sign-in that ended, well or not.
    pub fn phase(&self, provider: &str, phase: &'static str, took: Duration) {
        let labels = PhaseLabels { provider: provider.to_owned(), phase };
        self.phases.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// How many instances there may be.
    pub fn instances(&self, limit: u32) {
        self.limit.set(limit.into());
    }

    /// A call that waits for an instance.
    pub fn waits(&self) -> super::Present {
        super::Present::of(&self.waiting)
    }

    /// A call that has one.
    pub fn runs(&self) -> super::Present {
        super::Present::of(&self.in_use)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "capability_calls",
            "Calls of the host by the component, by interface: ok, or why it didn't get what it asked for",
            self.calls.clone(),
        );
        registry.register(
            "plugin_failures",
            "Calls of the plugin that ended without an answer: out of a bound, trapped, not to the contract",
            self.failures.clone(),
        );
        registry.register_with_unit(
            "login_phase_duration",
            "How long the phases of sign-ins took",
            Unit::Seconds,
            self.phases.clone(),
        );
        registry.register("instances_in_use", "Instances of the component that are running", self.in_use.clone());
        registry.register("instances_waiting", "Calls that wait for an instance", self.waiting.clone());
        registry.register("instances_limit", "How many instances may run at once", self.limit.clone());
    }
}
