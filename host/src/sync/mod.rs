//! Directory synchronisation: the component reads the directory page by page (`round`), a mirror on disk keeps it (`mirror`), what
//! Defguard should look like is worked out from that (`snapshot`, `plan`) as steps (`action`), and these are done to a target
//! (`document`, `core`). Nothing is taken away from anybody before everything was read. One run at a time (`lease`), by themselves or when asked
//! for (`schedule`, `control`). What the directory says of whoever signs in right now is `at_login`'s subject.

pub mod action;
pub mod at_login;
pub mod control;
pub mod core;
pub mod document;
pub mod epoch;
pub mod lease;
pub mod metrics;
pub mod mirror;
pub mod oid;
pub mod plan;
mod prefetch;
mod presence;
pub mod proposal;
mod record;
pub mod round;
mod run;
pub mod schedule;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod target;

use serde::{Deserialize, Serialize};

use crate::config::Provider;
use crate::gateway::{Gateway, LoginError};
use crate::storage::{StorageConfig, StorageError};
use mirror::MirrorError;
use plan::Skipped;
use proposal::Proposal;

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
    /// The result can't be applied.
    #[error("{target}: {reason}")]
    Apply {
        /// Where.
        target: String,
        /// The system's words.
        reason: String,
    },
    /// Another run has the lease.
    #[error("another run for provider {0} is under way, here or on another host")]
    UnderWay(String),
    /// This run was away for longer than its lease.
    #[error("this run was stopped for so long that another one may be under way: it does nothing more")]
    LeaseLost,
    /// The storage of leases and links.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is to be applied doesn't fit.
    #[error("this difference can't be applied: {0}")]
    Proposal(String),
}

impl SyncError {
    /// The code of a run that another one was in the way of.
    pub const UNDER_WAY: &str = "run_under_way";

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
            Self::Mirror(MirrorError::InUse(_)) | Self::UnderWay(_) => Self::UNDER_WAY,
            Self::LeaseLost => "lease_lost",
            Self::Storage(_) => "storage_failed",
            Self::Proposal(_) => "difference_unfit",
            Self::Mirror(_) => "mirror_failed",
            Self::Apply { .. } => "apply_failed",
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Applied, or of a dry run: nothing is in the way of it.
    Done,
    /// A safety rule holds it: nothing was applied.
    Held,
    /// The rest wasn't applied.
    Failed,
}

impl Outcome {
    /// Stable.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

/// What a run came to: the last line of `sync --now`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was held or failed: a stable code, and a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A sentence about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Steps that were done, or of a dry run: that would be.
    pub steps: u64,
    /// Users and groups that a safety rule kept from being removed.
    pub held_removals: u64,
    /// What wasn't done, and why. The first hundred; the log has them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// Steps of an approved difference that there was no reason for any more.
    #[serde(default)]
    pub lapsed: u64,
    /// Milliseconds.
    pub duration_ms: u64,
}

/// What is told while a run is under way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Steps to be done.
    pub steps: u64,
    /// Of these, done.
    pub done: u64,
}

/// What a run is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Job {
    /// Read, and apply what changed.
    Now,
    /// Read, and say what would be applied.
    DryRun,
    /// Read, and apply of what changed what is in this difference too. An administrator has seen it: limits don't hold it.
    Apply(Box<Proposal>),
}

/// How a run ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    /// What it came to.
    pub report: Report,
    /// Of a dry run: the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<Proposal>,
}

/// One run for one provider: reads until the directory is complete, and applies. Never two at the same time.
pub async fn run(gateway: &Gateway, provider: &Provider, progress: impl FnMut(&Progress) + Send) -> Report {
    run_with(gateway, provider, &gateway.config().storage, progress).await
}

/// As [`run`], with the mirror beside another storage than the gateway's.
pub async fn run_with(
    gateway: &Gateway,
    provider: &Provider,
    storage: &StorageConfig,
    progress: impl FnMut(&Progress) + Send,
) -> Report {
    perform(gateway, provider, storage, Job::Now, progress).await.report
}

/// Brings the memberships of somebody who just signed in up to date, unless a run may know better: then nothing is done, and the answer is
/// whether another run is wanted.
pub async fn seen(gateway: &Gateway, provider: &Provider, person: &at_login::PersonSeen) -> bool {
    run::seen(gateway, provider, person).await
}

/// One run, whatever it is to do, with the mirror beside this storage.
pub async fn perform(
    gateway: &Gateway,
    provider: &Provider,
    storage: &StorageConfig,
    job: Job,
    progress: impl FnMut(&Progress) + Send,
) -> Ended {
    run::run(gateway, provider, storage, job, progress).await
}
