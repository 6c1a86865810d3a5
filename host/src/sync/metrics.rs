//! What is measured of directory synchronisation. Providers, outcomes and reasons are the only labels.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::status::Status;
use super::{Outcome, Report};
use crate::config::ProviderId;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    provider: String,
    outcome: &'static str,
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabels {
    provider: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    provider: String,
    object: &'static str,
}

/// Clones count together.
#[derive(Clone, Default)]
pub struct SyncMetrics {
    runs: Family<RunLabels, Counter>,
    requests: Family<ProviderLabels, Counter>,
    throttled: Family<ProviderLabels, Counter>,
    steps: Family<ProviderLabels, Counter>,
    last_success: Family<ProviderLabels, Gauge>,
    duration: Family<ProviderLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
    held_removals: Family<ProviderLabels, Gauge>,
    cursor: Family<ProviderLabels, Gauge>,
    objects: Family<ObjectLabels, Gauge>,
}

fn gauge(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl SyncMetrics {
    /// A run that ended now. `cursor_at`: when the directory said everything last.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run are far from 2^52")]
    pub fn ended(&self, provider: &ProviderId, report: &Report, now_unix_s: u64, cursor_at: Option<u64>) {
        let labels = ProviderLabels { provider: provider.to_string() };
        let reason = report.reason.clone().unwrap_or_default();
        let run = RunLabels { provider: provider.to_string(), outcome: report.outcome.as_str(), reason };
        self.runs.get_or_create(&run).inc();
        self.requests.get_or_create(&labels).inc_by(report.requests);
        self.throttled.get_or_create(&labels).inc_by(report.refused);
        self.duration.get_or_create(&labels).set(report.duration_ms as f64 / 1000.0);
        // A run that failed doesn't know whether what was held still is.
        if report.outcome != Outcome::Failed {
            self.held_removals.get_or_create(&labels).set(gauge(report.held_removals));
        }
        if let Some(at) = cursor_at {
            self.cursor.get_or_create(&labels).set(gauge(at));
        }
        self.steps.get_or_create(&labels).inc_by(report.steps);
        if report.outcome == Outcome::Done {
            self.last_success.get_or_create(&labels).set(gauge(now_unix_s));
            for (object, number) in
                [("users", report.users), ("groups", report.groups), ("memberships", report.memberships)]
            {
                let labels = ObjectLabels { provider: provider.to_string(), object };
                self.objects.get_or_create(&labels).set(gauge(number));
            }
        }
    }

    /// As it stood when the service ended: an alert on the age of the last success goes on through a restart.
    pub fn restore(&self, provider: &ProviderId, status: &Status) {
        let labels = ProviderLabels { provider: provider.to_string() };
        // A host that has never been done counts from 1970: that is old enough for any alert.
        let success = status.kept.succeeded_at_unix_s.unwrap_or_default();
        self.last_success.get_or_create(&labels).set(gauge(success));
        if let Some(at) = status.cursor_at_unix_s {
            self.cursor.get_or_create(&labels).set(gauge(at));
        }
        let held = status.kept.last.as_ref().map_or(0, |last| last.held_removals);
        self.held_removals.get_or_create(&labels).set(gauge(held));
    }

    /// Adds its rows.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("sync_runs", "Runs of directory synchronisation that ended", self.runs.clone());
        registry.register("sync_requests", "Requests to the directory", self.requests.clone());
        registry.register(
            "sync_throttled_requests",
            "Requests that the directory refused for being too many, or for a fault that passed",
            self.throttled.clone(),
        );
        registry.register("sync_steps", "Steps that runs did to Defguard", self.steps.clone());
        registry.register_with_unit(
            "sync_last_success_timestamp",
            "When the last run that was done ended, in seconds since 1970",
            Unit::Seconds,
            self.last_success.clone(),
        );
        registry.register_with_unit(
            "sync_last_duration",
            "How long the last run took",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register(
            "sync_held_removals",
            "Users and groups that the last run would have removed, had a safety rule not held it",
            self.held_removals.clone(),
        );
        registry.register_with_unit(
            "sync_cursor_timestamp",
            "When the directory said everything last, in seconds since 1970: the age of the cursor counts from there",
            Unit::Seconds,
            self.cursor.clone(),
        );
        registry.register(
            "sync_objects",
            "Users, groups and memberships after the last run that was done",
            self.objects.clone(),
        );
    }
}
