//! What is known of the parts that a sign-in needs: whether the storage answers, how old the providers' keys are, whether the host
//! is stopping.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Gateway;
use crate::config::ProviderId;
use crate::storage::{Entry, Key, Namespace};

/// How long the storage may take.
const STORAGE_BUDGET: Duration = Duration::from_secs(2);
/// How long its answer is good for: whoever asks for readiness often doesn't ask the storage as often.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How long what is written to try it stays there.
const PROBE_LIFE: Duration = Duration::from_secs(10);

/// What is remembered between two questions.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    draining: AtomicBool,
    storage: Mutex<Option<(Instant, bool)>>,
}

impl Gateway {
    /// From now on this host says that it is stopping.
    pub fn drain(&self) {
        self.lasting.readiness.draining.store(true, Ordering::SeqCst);
    }

    /// Whether this host is stopping.
    pub fn is_draining(&self) -> bool {
        self.lasting.readiness.draining.load(Ordering::SeqCst)
    }

    /// Whether the storage took a value within the last second, or does now, within two: one that only answers reads, as a
    /// replica or a full disk, can't keep a sign-in.
    pub async fn storage_answers(&self) -> bool {
        let mut known = self.lasting.readiness.storage.lock().await;
        let before = match *known {
            Some((at, answered)) if at.elapsed() < GOOD_FOR => return answered,
            Some((_, answered)) => answered,
            None => true,
        };
        let key = Key { namespace: Namespace::new("host", "ready"), name: "probe".into() };
        let now = self.lasting.clock.now_unix_ms();
        let entry = Entry::expiring(Vec::new(), now, PROBE_LIFE);
        let asked = tokio::time::timeout(STORAGE_BUDGET, self.lasting.storage.put(key, entry, now)).await;
        let answered = matches!(asked, Ok(Ok(())));
        if before != answered {
            match &asked {
                Ok(Ok(())) => tracing::info!("the storage answers again"),
                Ok(Err(error)) => tracing::error!(%error, "not ready: the storage can't be used"),
                Err(_) => tracing::error!(budget = ?STORAGE_BUDGET, "not ready: the storage doesn't answer in time"),
            }
        }
        *known = Some((Instant::now(), answered));
        answered
    }

    /// How long ago a provider's key set was fetched; `None`: there is none, as before the first sign-in.
    pub fn key_set_age(&self, provider: &ProviderId) -> Option<Duration> {
        self.providers.get(provider).and_then(|context| context.cache.age(&context.namespace, "jwks/"))
    }
}
