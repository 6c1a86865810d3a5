//! One run at a time for each provider, on one host or on several that share a storage: a lease that is kept while the run lasts, with a
//! fencing token. Whoever was asleep longer than their lease finds a newer token, and does nothing more.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SyncError;
use crate::capability::{Clock, TraceId};
use crate::config::ProviderId;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};

/// How long a lease is good without being renewed: so long a run may be stopped when its host dies.
const LIFE: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEWED: Duration = Duration::from_secs(20);
/// How often a token is tried for when other hosts are faster.
const ATTEMPTS: usize = 64;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    /// Grows with each lease of the provider.
    token: u64,
    /// The process that has it.
    #[serde(default)]
    process: String,
}

/// Another one each time that this program starts.
fn this_process() -> &'static str {
    static PROCESS: OnceLock<String> = OnceLock::new();
    PROCESS.get_or_init(|| TraceId::new().to_string())
}

/// The right to run, until it is dropped or lost.
pub struct Lease {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    key: Key,
    record: Vec<u8>,
    token: u64,
    renewal: tokio::task::JoinHandle<()>,
}

fn key(kind: &str, provider: &ProviderId) -> Key {
    Key { namespace: Namespace::new("host", "sync"), name: format!("{kind}/{provider}") }
}

impl Lease {
    /// Takes it, unless another run has it. `is_alone`: no other process can have the storage open, so what an earlier one left behind is
    /// over.
    pub async fn acquire(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        provider: &ProviderId,
        is_alone: bool,
    ) -> Result<Self, SyncError> {
        let key = key("lease", provider);
        let found = storage.get(&key, clock.now_unix_ms()).await?;
        let is_left_behind = |record: &Vec<u8>| {
            is_alone && serde_json::from_slice::<Record>(record).is_ok_and(|record| record.process != this_process())
        };
        if found.as_ref().is_some_and(|record| !is_left_behind(record)) {
            return Err(SyncError::UnderWay(provider.to_string()));
        }
        let token = next_token(storage.as_ref(), clock.as_ref(), provider).await?;
        let record = serde_json::to_vec(&Record { token, process: this_process().to_owned() })
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let now = clock.now_unix_ms();
        if !storage.compare_and_swap(key.clone(), found, Entry::expiring(record.clone(), now, LIFE), now).await? {
            return Err(SyncError::UnderWay(provider.to_string()));
        }
        let renewal = tokio::spawn(renew(Arc::clone(&storage), Arc::clone(&clock), key.clone(), record.clone()));
        Ok(Self { storage, clock, key, record, token, renewal })
    }

    /// Grows with each lease of the provider: what is done under an older one comes too late.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Whether it is still this run's; asked before each step that changes something.
    pub async fn check(&self) -> Result<(), SyncError> {
        let found = self.storage.get(&self.key, self.clock.now_unix_ms()).await?;
        if found.as_ref() == Some(&self.record) { Ok(()) } else { Err(SyncError::LeaseLost) }
    }

    /// Gives it back, if it is still this run's.
    pub async fn release(self) -> Result<(), SyncError> {
        self.renewal.abort();
        let now = self.clock.now_unix_ms();
        // A moment that is over: the next one finds nothing.
        let over = Entry { value: self.record.clone(), expires_at_unix_ms: now };
        self.storage.compare_and_swap(self.key.clone(), Some(self.record.clone()), over, now).await?;
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, key: Key, record: Vec<u8>) {
    loop {
        tokio::time::sleep(RENEWED).await;
        let now = clock.now_unix_ms();
        let entry = Entry::expiring(record.clone(), now, LIFE);
        match storage.compare_and_swap(key.clone(), Some(record.clone()), entry, now).await {
            Ok(true) => {}
            // Another run has it.
            Ok(false) => return,
            Err(error) => tracing::warn!(%error, "the lease of a synchronisation can't be renewed"),
        }
    }
}

async fn next_token(storage: &dyn Storage, clock: &dyn Clock, provider: &ProviderId) -> Result<u64, SyncError> {
    let key = key("fence", provider);
    for _ in 0..ATTEMPTS {
        let now = clock.now_unix_ms();
        let found = storage.get(&key, now).await?;
        let last = found.as_deref().and_then(|bytes| serde_json::from_slice::<Record>(bytes).ok());
        let token = last.map_or(0, |record| record.token) + 1;
        let record = serde_json::to_vec(&Record { token, process: this_process().to_owned() })
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        if storage.compare_and_swap(key.clone(), found, Entry::lasting(record), now).await? {
            return Ok(token);
        }
    }
    Err(SyncError::UnderWay(provider.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::SystemClock;
    use crate::storage::MemoryStorage;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[derive(Default)]
    struct Later(AtomicU64);

    impl Clock for Later {
        fn now_unix_ms(&self) -> u64 {
            self.0.load(Ordering::SeqCst) + 1_700_000_000_000
        }
    }

    #[tokio::test]
    async fn one_at_a_time_and_whoever_slept_too_long_is_fenced_off() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
        let clock = Arc::new(Later::default());
        let provider = ProviderId::parse("entra").unwrap();
        let other = ProviderId::parse("other").unwrap();
        let take = async |provider: &ProviderId| {
            Lease::acquire(Arc::clone(&storage), Arc::clone(&clock) as Arc<dyn Clock>, provider, true).await
        };
        let first = take(&provider).await.unwrap();
        assert!(matches!(take(&provider).await, Err(SyncError::UnderWay(_))));
        assert!(take(&other).await.is_ok(), "another provider's is another one");
        first.check().await.unwrap();
        clock.0.fetch_add(u64::try_from(LIFE.as_millis()).unwrap() + 1, Ordering::SeqCst);
        assert!(matches!(first.check().await, Err(SyncError::LeaseLost)), "it is over");
        let second = take(&provider).await.unwrap();
        assert!(second.token() > first.token());
        assert!(matches!(first.check().await, Err(SyncError::LeaseLost)), "it is another's");
        first.release().await.unwrap();
        second.check().await.unwrap();
        second.release().await.unwrap();
        take(&provider).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_process_that_was_killed_left_behind_is_over_where_it_was_alone() {
        let provider = ProviderId::parse("entra").unwrap();
        for (is_alone, expected) in [(true, true), (false, false)] {
            let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
            let left = serde_json::to_vec(&Record { token: 7, process: "another".into() }).unwrap();
            let now = SystemClock.now_unix_ms();
            storage.put(key("lease", &provider), Entry::expiring(left, now, LIFE), now).await.unwrap();
            let taken = Lease::acquire(storage, Arc::new(SystemClock), &provider, is_alone).await;
            assert_eq!(taken.is_ok(), expected, "alone: {is_alone}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_at_once_one_runs() {
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
        let provider = ProviderId::parse("entra").unwrap();
        let tasks: Vec<_> = (0..32)
            .map(|_| {
                let (storage, provider) = (Arc::clone(&storage), provider.clone());
                tokio::spawn(async move { Lease::acquire(storage, Arc::new(SystemClock), &provider, true).await.ok() })
            })
            .collect();
        let mut leases = Vec::new();
        for task in tasks {
            leases.extend(task.await.unwrap());
        }
        assert_eq!(leases.len(), 1);
    }
}
