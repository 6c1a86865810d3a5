//! What of Graph's behaviour differs from tenant to tenant or day to day and so is settable: the size of pages, where it gives up.

use serde::{Deserialize, Serialize};

/// How Graph cuts its lists into pages, and where it gives up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct GraphSettings {
    /// How many ids `getMemberGroups` answers at most; with more it answers `Directory_ResultSizeLimitExceeded`.
    pub member_groups_limit: usize,
    /// How many items a page has at most, whatever `$top` says. Without it `getMemberGroups` has one page, other lists pages of 100.
    pub page_size: Option<usize>,
    /// The numbers, from 1, of pages that come empty, before what would have been on them. A client must go on.
    pub empty_pages: Vec<usize>,
    /// How many members a group's object of a delta page names at most: with more the object comes several times.
    pub members_at_once: usize,
    /// How many memberships a delta page tells before it ends; the object that reaches the number is told in full or in its part.
    pub members_on_page: usize,
    /// Whether a delta round says again what the round before it said, before its own news.
    pub delta_replays: bool,
    /// Whether a delta round comes in the opposite order, so that members come before the people that they are.
    pub delta_backwards: bool,
    /// Every n-th object of a delta round comes a second time, after the others.
    pub delta_duplicates: Option<usize>,
    /// A delta round's objects come in a random order, the same for the same number.
    pub delta_shuffle: Option<u64>,
    /// Whether delta rounds leave out properties that have no value and had none when the round before ended; without it they are
    /// `null`. Graph leaves out what was never set.
    pub delta_omits_unset: bool,
    /// Whether a first delta round also names what there is no longer (`@removed`).
    pub delta_removed_at_first: bool,
    /// The delay of replication: how many of the latest changes delta rounds do not see yet.
    pub delta_hidden_revisions: u64,
    /// Whether requests are limited, and to how much.
    pub throttling: Throttling,
}

/// How many resource units an app may use in a tenant in ten seconds of the emulator's clock (throttling-limits, identity and access).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Throttling {
    /// Any number.
    #[default]
    Off,
    /// As Graph has it: 3 500 below 50 users, 5 000 up to 500, 8 000 beyond.
    BySize,
    /// This many.
    Units(u32),
}

impl Default for GraphSettings {
    fn default() -> Self {
        Self {
            member_groups_limit: 11_000,
            page_size: None,
            empty_pages: Vec::new(),
            members_at_once: 100,
            members_on_page: 2_000,
            delta_replays: false,
            delta_backwards: false,
            delta_duplicates: None,
            delta_shuffle: None,
            delta_omits_unset: false,
            delta_removed_at_first: false,
            delta_hidden_revisions: 0,
            throttling: Throttling::Off,
        }
    }
}
