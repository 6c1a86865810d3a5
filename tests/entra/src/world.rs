//! What all request handlers share: addresses, clock, randomness and the state behind one lock.
//! The lock is held for look-ups and updates only, never across an await or while signing.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::control::confidential::Confidentials;
use crate::control::faults::Faults;
use crate::control::mischief::{DocumentMischief, Switches};
use crate::control::requests::RequestLog;
use crate::directory::Directory;
use crate::graph::delta::DeltaStore;
use crate::graph::settings::GraphSettings;
use crate::graph::throttle::Buckets;
use crate::keys::{KeyError, KeyRing};
use crate::login::client_assertion::UsedAssertions;
use crate::login::codes::IssuedCode;
use crate::random::Random;
use crate::seed::Seed;

/// Everything there is.
#[derive(Debug)]
pub(crate) struct World {
    /// Origin of the login listener, without a slash at the end.
    pub(crate) login_url: String,
    /// Origin of the Graph listener, without a slash at the end.
    pub(crate) graph_url: String,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// Counts requests as they arrive, for those who wait.
    pub(crate) arrivals: watch::Sender<u64>,
    /// The directory at start.
    initial: Directory,
    state: Mutex<State>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) directory: Directory,
    pub(crate) keys: KeyRing,
    pub(crate) codes: HashMap<String, IssuedCode>,
    /// The `uti` of each access token that is still accepted.
    pub(crate) access_tokens: HashSet<String>,
    /// The `uti` of those that count as issued before consent.
    pub(crate) stale_tokens: HashSet<String>,
    pub(crate) faults: Faults,
    pub(crate) switches: Switches,
    pub(crate) used_assertions: UsedAssertions,
    pub(crate) graph: GraphSettings,
    pub(crate) deltas: DeltaStore,
    pub(crate) throttle: Buckets,
    pub(crate) log: RequestLog,
    pub(crate) confidential: Confidentials,
}

impl World {
    pub(crate) fn new(seed: Seed, login_url: String, graph_url: String) -> Result<Self, KeyError> {
        let initial = Directory::new(seed);
        let state = State {
            directory: initial.clone(),
            keys: KeyRing::load()?,
            codes: HashMap::new(),
            access_tokens: HashSet::new(),
            stale_tokens: HashSet::new(),
            faults: Faults::default(),
            switches: Switches::default(),
            used_assertions: UsedAssertions::default(),
            graph: GraphSettings::default(),
            deltas: DeltaStore::default(),
            throttle: Buckets::default(),
            log: RequestLog::default(),
            confidential: Confidentials::default(),
        };
        Ok(Self {
            login_url,
            graph_url,
            clock: Clock::default(),
            random: Random::new(),
            arrivals: watch::Sender::new(0),
            initial,
            state: Mutex::new(state),
        })
    }

    /// The state. A handler that panicked left it consistent: updates are single steps.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a document's deviation is on.
    pub(crate) fn document_mischief(&self, mischief: DocumentMischief) -> bool {
        self.state().switches.document(mischief)
    }

    /// Everything back to how it was at start; the random sequence goes on, so no code or token ever comes twice.
    pub(crate) fn reset(&self) {
        self.clock.set_offset(0);
        let mut state = self.state();
        state.directory = self.initial.clone();
        state.keys.reset();
        state.codes.clear();
        state.access_tokens.clear();
        state.stale_tokens.clear();
        state.faults.clear();
        state.switches = Switches::default();
        state.used_assertions = UsedAssertions::default();
        state.graph = GraphSettings::default();
        state.deltas.reset();
        state.throttle = Buckets::default();
        state.log.clear();
        state.confidential = Confidentials::default();
    }
}
