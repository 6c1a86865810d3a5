//! Where a run's result goes: a document (`document`) or Defguard Core (`core`). A target says what is there, and does the steps of
//! a plan one after another; whatever stops it, the next run sees what is left to be done.

use async_trait::async_trait;

use super::SyncError;
use super::action::Action;
use super::lease::Lease;
use super::plan::{Abilities, Skipped};
use super::state::{Counts, State};

/// A place that follows the directory.
#[async_trait]
pub trait Target: Send + Sync {
    /// As a person knows it, without secrets: `file:…`, `core https://…`. A plan is good for one target only.
    fn name(&self) -> String;

    /// What it can do.
    fn abilities(&self) -> Abilities;

    /// What is there.
    async fn read(&self) -> Result<State, SyncError>;

    /// Does it, as long as the lease lasts. `state` is what [`Target::read`] said, `done` hears of each step that is done for good. An
    /// error: it ended before its time.
    async fn apply(
        &self,
        lease: &Lease,
        state: State,
        actions: Vec<Action>,
        done: &mut (dyn for<'a> FnMut(&'a Action) + Send),
    ) -> Result<Applied, SyncError>;
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Applied {
    /// What is there now.
    pub counts: Counts,
    /// Steps that this target refuses, with its reasons; the others are done.
    pub skipped: Vec<Skipped>,
    /// Steps that failed, in a sentence; all the others were done.
    pub failed: Option<String>,
}
