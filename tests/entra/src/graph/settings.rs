//! What of Graph's behaviour differs from tenant to tenant or day to day and so is settable: the size of pages, where it gives up.

use serde::{Deserialize, Serialize};

/// How Graph cuts its lists into pages, and where it gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GraphSettings {
    /// How many ids `getMemberGroups` answers at most; with more it answers `Directory_ResultSizeLimitExceeded`.
    pub member_groups_limit: usize,
    /// How many items a page has at most, whatever `$top` says. Without it `getMemberGroups` has one page, other lists pages of 100.
    pub page_size: Option<usize>,
    /// The numbers, from 1, of pages that come empty, before what would have been on them. A client must go on.
    pub empty_pages: Vec<usize>,
    /// How many members a group's object of a delta page names at most: with more the object comes several times.
    pub members_at_once: usize,
    /// Whether a delta round says again what the round before it said, before its own news.
    pub delta_replays: bool,
    /// Whether a delta round comes in the opposite order, so that members come before the people that they are.
    pub delta_backwards: bool,
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self {
            member_groups_limit: 11_000,
            page_size: None,
            empty_pages: Vec::new(),
            members_at_once: 100,
            delta_replays: false,
            delta_backwards: false,
        }
    }
}
