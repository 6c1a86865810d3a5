//! How synchronisation stands: what `sync status` says. It is kept in the mirror, so it outlives the host.

use serde::{Deserialize, Serialize};

use super::Report;
use super::mirror::{Mirror, MirrorError};
use super::state::Counts;

/// What is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// When the last run ended, in seconds since 1970.
    pub ended_at_unix_s: Option<u64>,
    /// How.
    pub last: Option<Report>,
    /// When the last run that was done ended, in seconds since 1970.
    pub succeeded_at_unix_s: Option<u64>,
}

impl Kept {
    /// With a run that ended now.
    #[must_use]
    pub fn with(self, report: &Report, now_unix_s: u64) -> Self {
        let is_done = report.outcome == super::Outcome::Done;
        Self {
            ended_at_unix_s: Some(now_unix_s),
            last: Some(report.clone()),
            succeeded_at_unix_s: if is_done { Some(now_unix_s) } else { self.succeeded_at_unix_s },
        }
    }
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The provider's id.
    pub provider: String,
    /// Of the runs.
    #[serde(flatten)]
    pub kept: Kept,
    /// Whether one is under way.
    pub is_running: bool,
    /// When the directory said everything last, in seconds since 1970: the age of the cursor counts from there.
    pub cursor_at_unix_s: Option<u64>,
    /// What the mirror has: people, groups, direct memberships.
    pub mirror: Counts,
}

impl Status {
    /// As the mirror has it.
    pub fn read(mirror: &Mirror, provider: &str) -> Result<Self, MirrorError> {
        let (users, groups, memberships) = mirror.counts()?;
        Ok(Self {
            provider: provider.to_owned(),
            kept: mirror.kept()?,
            is_running: false,
            cursor_at_unix_s: mirror.round_ended_at()?,
            mirror: Counts { users, groups, memberships },
        })
    }
}
