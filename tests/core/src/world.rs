//! What all request handlers share: version, licence, clock, randomness and the state behind one lock.
//! The lock is held for look-ups and updates only, never across an await.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::control::faults::Faults;
use crate::control::requests::RequestLog;
use crate::credentials::Credentials;
use crate::directory::{Directory, DirectoryError};
use crate::random::Random;
use crate::settings::{Licence, Settings, Version};

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    /// Origin of the listener, without a slash at the end.
    pub(crate) url: String,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// Counts requests as they arrive, for those who wait.
    pub(crate) arrivals: watch::Sender<u64>,
    settings: Settings,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) version: Version,
    pub(crate) licence: Licence,
    pub(crate) directory: Directory,
    pub(crate) credentials: Credentials,
    pub(crate) enrollment_url: String,
    pub(crate) token_life_s: u64,
    pub(crate) enrollment_session_s: u64,
    pub(crate) faults: Faults,
    /// How long every call waits first.
    pub(crate) delay: Duration,
    pub(crate) log: RequestLog,
    /// Every secret that was brought or issued.
    pub(crate) secrets: BTreeSet<String>,
}

impl State {
    fn new(settings: &Settings, url: &str, now_unix_s: i64) -> Result<Self, DirectoryError> {
        let directory = Directory::from_seed(&settings.seed)?;
        let mut credentials = Credentials::default();
        for new in &settings.seed.api_tokens {
            if let Some(owner) = directory.user(&new.owner) {
                credentials.add_api_token(owner.id, &new.name, &new.token, now_unix_s);
            }
        }
        Ok(Self {
            version: settings.version,
            licence: settings.licence,
            directory,
            credentials,
            enrollment_url: settings.enrollment_url.clone().unwrap_or_else(|| format!("{url}/")),
            token_life_s: settings.token_life_s,
            enrollment_session_s: settings.enrollment_session_s,
            faults: Faults::default(),
            delay: Duration::ZERO,
            log: RequestLog::default(),
            secrets: settings.seed.api_tokens.iter().map(|new| new.token.clone()).collect(),
        })
    }

    /// Whether enterprise features work: API tokens and their making among them.
    pub(crate) fn is_licensed(&self) -> bool {
        self.licence.is_active(self.version, self.directory.active_users())
    }
}

impl World {
    pub(crate) fn new(settings: Settings, url: String) -> Result<Self, DirectoryError> {
        let clock = Clock::default();
        let state = Mutex::new(State::new(&settings, &url, clock.now_unix_s())?);
        Ok(Self { url, clock, random: Random::new(), arrivals: watch::Sender::new(0), settings, state })
    }

    /// The state. A handler that panicked left it consistent: updates are single steps.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything back to how it was at start; the random sequence goes on, so no token ever comes twice.
    pub(crate) fn reset(&self) {
        self.clock.reset();
        // The seed was fine at start, so it is now.
        if let Ok(fresh) = State::new(&self.settings, &self.url, self.clock.now_unix_s()) {
            *self.state() = fresh;
        }
    }
}
