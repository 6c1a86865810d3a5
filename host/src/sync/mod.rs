//! Directory synchronisation: the component reads the directory page by page (`round`), a mirror on disk keeps it (`mirror`), what
//! Defguard should look like is worked out from that (`snapshot`, `plan`), and applied (`document`). Nothing is taken away from anybody
//! before everything was read.

pub mod document;
pub mod mirror;
pub mod plan;
pub mod round;
pub mod schedule;
pub mod snapshot;

use std::time::Instant;

use serde::Serialize;

use crate::capability::TraceId;
use crate::config::{DirectoryApply, DirectoryConfig, Provider};
use crate::gateway::{Gateway, LoginError};
use crate::storage::StorageUrl;
use mirror::{Mirror, MirrorError};
use plan::Held;
use snapshot::Snapshot;

/// Why a run failed. Nothing was applied; what was read stays in the mirror, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// `[provider.directory]` doesn't ask for it.
    #[error("provider {0} has no directory synchronisation: enabled = true in [provider.directory]")]
    Off(String),
    /// The component refuses the configuration.
    #[error("the directory can't be read: {0}")]
    Misconfigured(String),
    /// A permission is missing.
    #[error("{detail}: the application permission {permission} is missing. {hint}")]
    Denied {
        /// Its name.
        permission: String,
        /// What the provider said.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// The application can't authenticate.
    #[error("{detail}. {hint}")]
    Credential {
        /// What the provider said.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// The provider fails on and on.
    #[error("the directory can't be read: {detail} ({attempts} attempts in a row)")]
    Unavailable {
        /// The last answer.
        detail: String,
        /// How many.
        attempts: u32,
    },
    /// It asks for a longer wait than a run may take.
    #[error("the provider asks to wait {0} s")]
    Throttled(u64),
    /// Its answers make no sense.
    #[error("the directory's answers make no sense: {0}")]
    Malformed(String),
    /// The component broke a bound, or stopped.
    #[error(transparent)]
    Plugin(#[from] LoginError),
    /// The mirror.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The options name groups that aren't there, or not only once.
    #[error("{0}")]
    Groups(String),
    /// The result can't be written.
    #[error("{path}: {reason}")]
    Apply {
        /// Where.
        path: String,
        /// The system's words.
        reason: String,
    },
}

impl SyncError {
    /// Stable, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Off(_) => "sync_off",
            Self::Misconfigured(_) => "directory_misconfigured",
            Self::Denied { .. } => "permission_missing",
            Self::Credential { .. } => "credential_refused",
            Self::Unavailable { .. } => "directory_unavailable",
            Self::Throttled(_) => "directory_throttled",
            Self::Malformed(_) => "directory_malformed",
            Self::Plugin(_) => "plugin_failed",
            Self::Mirror(MirrorError::InUse(_)) => "run_under_way",
            Self::Mirror(_) => "mirror_failed",
            Self::Groups(_) => "groups_ambiguous",
            Self::Apply { .. } => "apply_failed",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Applied.
    Done,
    /// A safety rule holds it: nothing was applied.
    Held,
    /// Nothing was applied.
    Failed,
}

/// What a run came to: the last line of `sync --now`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was held or failed: a stable code, and a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Requests to the directory, those for access tokens not counted.
    pub requests: u64,
    /// Of these, refused for being too many or for a fault that passed.
    pub refused: u64,
    /// Users in the result.
    pub users: u64,
    /// Groups in the result.
    pub groups: u64,
    /// Memberships in the result, nested groups resolved.
    pub memberships: u64,
    /// Milliseconds.
    pub duration_ms: u64,
}

/// What is told while a run is under way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Pages read.
    pub pages: u64,
    /// Requests made.
    pub requests: u64,
    /// Of these, refused.
    pub refused: u64,
    /// Changes to people.
    pub users: u64,
    /// Changes to groups.
    pub groups: u64,
    /// Memberships added or removed.
    pub memberships: u64,
}

/// One run for one provider: reads until the directory is complete, and applies. Never two at the same time.
pub async fn run(gateway: &Gateway, provider: &Provider, progress: impl FnMut(&Progress)) -> Report {
    run_with(gateway, provider, &gateway.config().storage, progress).await
}

/// As [`run`], with the mirror beside another storage than the gateway's.
pub async fn run_with(
    gateway: &Gateway,
    provider: &Provider,
    storage: &StorageUrl,
    progress: impl FnMut(&Progress),
) -> Report {
    let started = Instant::now();
    let trace = TraceId::new();
    let mut run = Run {
        gateway,
        provider,
        storage,
        trace: &trace,
        read: Progress::default(),
        counts: document::Counts::default(),
    };
    let result = run.run(progress).await;
    let (outcome, reason, detail) = match result {
        Ok(None) => (Outcome::Done, None, None),
        Ok(Some(held)) => (Outcome::Held, Some(held.code().to_owned()), Some(held.to_string())),
        Err(error) => (Outcome::Failed, Some(error.code().to_owned()), Some(error.to_string())),
    };
    let report = Report {
        outcome,
        reason,
        detail,
        requests: run.read.requests,
        refused: run.read.refused,
        users: run.counts.users,
        groups: run.counts.groups,
        memberships: run.counts.memberships,
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    };
    tell(provider, &trace, &report);
    report
}

fn tell(provider: &Provider, trace: &TraceId, report: &Report) {
    let (id, detail) = (&provider.id, report.detail.as_deref().unwrap_or_default());
    match report.outcome {
        Outcome::Done => tracing::info!(
            provider = %id, %trace, requests = report.requests, users = report.users, groups = report.groups,
            memberships = report.memberships, duration_ms = report.duration_ms, "directory synchronised"
        ),
        Outcome::Held => {
            tracing::warn!(provider = %id, %trace, reason = report.reason, "directory synchronisation held: {detail}");
        }
        Outcome::Failed => {
            tracing::error!(provider = %id, %trace, reason = report.reason, "directory synchronisation failed: {detail}");
        }
    }
}

struct Run<'a> {
    gateway: &'a Gateway,
    provider: &'a Provider,
    storage: &'a StorageUrl,
    trace: &'a TraceId,
    read: Progress,
    counts: document::Counts,
}

impl Run<'_> {
    async fn run(&mut self, progress: impl FnMut(&Progress)) -> Result<Option<Held>, SyncError> {
        let config = self.provider.directory.as_ref().filter(|directory| directory.enabled);
        let config = config.ok_or_else(|| SyncError::Off(self.provider.id.to_string()))?;
        let mirror = Mirror::open(self.storage, &self.provider.id).await?;
        round::read(self.gateway, self.provider, self.trace, &mirror, &mut self.read, progress).await?;
        let DirectoryApply::File(path) = &config.apply;
        let (config, path) = (config.clone(), path.clone());
        // Everything from here on is this machine's work, and not a little.
        let applied = tokio::task::spawn_blocking(move || apply(&mirror, &config, &path)).await;
        let (held, counts) = applied.map_err(|error| SyncError::Malformed(error.to_string()))??;
        self.counts = counts;
        Ok(held)
    }
}

fn apply(
    mirror: &Mirror,
    config: &DirectoryConfig,
    path: &std::path::Path,
) -> Result<(Option<Held>, document::Counts), SyncError> {
    let snapshot = Snapshot::read(mirror)?;
    let before = document::read(path)?;
    let is_first = !mirror.was_applied()?;
    match plan::plan(&snapshot, &before, config, is_first).map_err(SyncError::Groups)? {
        plan::Verdict::Hold(held) => Ok((Some(held), document::Counts::default())),
        plan::Verdict::Apply(plan) => {
            let counts = document::write(path, &snapshot, &before, &plan)?;
            mirror.set_applied()?;
            Ok((None, counts))
        }
    }
}
