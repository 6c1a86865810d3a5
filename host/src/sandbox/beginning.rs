//! What a plugin's instances are made of: the plugin as its file is, or as it was prepared.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::export::Linked;

/// What instances begin with.
pub(super) struct Beginning {
    linked: Arc<Linked>,
    state: State,
}

enum State {
    /// As the file is.
    Original,
    /// Prepared for what the key names.
    Prepared(String),
    /// As the file is, since what was prepared for this key failed in use, then.
    GivenUp(String, Instant),
}

impl Beginning {
    /// The plugin as its file is.
    pub(super) fn original(linked: &Arc<Linked>) -> Self {
        Self { linked: Arc::clone(linked), state: State::Original }
    }

    /// The plugin as it was prepared.
    pub(super) fn prepared(linked: &Arc<Linked>, key: String) -> Self {
        Self { linked: Arc::clone(linked), state: State::Prepared(key) }
    }

    /// The plugin as its file is, since what was prepared for this failed.
    pub(super) fn given_up(original: &Arc<Linked>, key: String) -> Self {
        Self { linked: Arc::clone(original), state: State::GivenUp(key, Instant::now()) }
    }

    pub(super) fn linked(&self) -> &Linked {
        &self.linked
    }

    /// What it is prepared for, if it is.
    pub(super) fn prepared_for(&self) -> Option<&str> {
        match &self.state {
            State::Prepared(key) => Some(key),
            State::Original | State::GivenUp(..) => None,
        }
    }

    /// Whether it was prepared for this, and failed in use.
    pub(super) fn was_given_up(&self, key: &str) -> bool {
        matches!(&self.state, State::GivenUp(of, _) if of == key)
    }

    /// Whether a call that takes as long as `wall` may have begun with what failed.
    pub(super) fn was_given_up_within(&self, wall: Duration) -> bool {
        matches!(&self.state, State::GivenUp(_, at) if at.elapsed() <= wall)
    }
}
