//! What a plugin's instances are made of: the plugin as its file is, or as it was prepared.

use std::sync::Arc;

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
    /// As the file is, since what was prepared for this key failed in use, with this code.
    GivenUp(String, &'static str),
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
    pub(super) fn given_up(original: &Arc<Linked>, key: String, code: &'static str) -> Self {
        Self { linked: Arc::clone(original), state: State::GivenUp(key, code) }
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

    /// Why it isn't prepared for this any more: the code of the failure.
    pub(super) fn was_given_up(&self, key: &str) -> Option<&'static str> {
        match &self.state {
            State::GivenUp(of, code) if of == key => Some(code),
            _ => None,
        }
    }
}
