//! Which is newer: what a run has read, or what a sign-in was told. A run makes the number odd when it begins to read and even when it
//! has ended, another one if it changed anything; the storage has it, so it counts for all hosts. Whatever was learned under another number may be older than what a run has
//! done since, and must not undo that.

use std::sync::Arc;

use crate::capability::Clock;
use crate::config::ProviderId;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};

/// A moment between runs, or within one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(u64);

/// What has happened since then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// No run: what was learned then is the newest.
    Nothing,
    /// A whole run: it has read everything anew.
    WholeRun,
    /// A part of one, or nobody knows: another run has to tell.
    PartOfARun,
}

impl Epoch {
    /// What has happened until `now`.
    pub fn until(self, now: Self) -> Since {
        let is_within = |epoch: u64| epoch % 2 == 1;
        let next_whole = if is_within(self.0) { self.0 + 3 } else { self.0 + 2 };
        if self == now && !is_within(self.0) {
            Since::Nothing
        } else if now.0 >= next_whole {
            Since::WholeRun
        } else {
            Since::PartOfARun
        }
    }
}

/// One provider's.
#[derive(Clone)]
pub struct Epochs {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    key: Key,
}

impl Epochs {
    /// In the shared storage.
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, provider: &ProviderId) -> Self {
        let key = Key { namespace: Namespace::new("host", "sync"), name: format!("epoch/{provider}") };
        Self { storage, clock, key }
    }

    /// Now.
    pub async fn now(&self) -> Result<Epoch, StorageError> {
        let found = self.storage.get(&self.key, self.clock.now_unix_ms()).await?;
        let number = found.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
        Ok(Epoch(number))
    }

    /// A run begins to read; what was before. Only who has the lease says so. One that was killed has left the number odd.
    pub async fn begin(&self) -> Result<Epoch, StorageError> {
        let before = self.now().await?;
        self.set(before.0 + if before.0 % 2 == 1 { 2 } else { 1 }).await?;
        Ok(before)
    }

    /// It has ended. One that changed nothing (it failed, was held, or only looked) is as if it hadn't been: what was learned before it
    /// is still the newest. But for one that was killed before it, which is over now: nothing would be the newest for ever.
    pub async fn end(&self, before: Epoch, has_applied: bool) -> Result<(), StorageError> {
        let Epoch(now) = self.now().await?;
        self.set(if has_applied { now + now % 2 } else { before.0 + before.0 % 2 }).await
    }

    async fn set(&self, number: u64) -> Result<(), StorageError> {
        let entry = Entry::lasting(number.to_be_bytes().to_vec());
        self.storage.put(self.key.clone(), entry, self.clock.now_unix_ms()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::SystemClock;
    use crate::storage::MemoryStorage;

    #[test]
    fn what_is_newer() {
        for (name, learned, now, expected) in [
            ("no run since", 4, 4, Since::Nothing),
            ("one is under way", 4, 5, Since::PartOfARun),
            ("one has ended", 4, 6, Since::WholeRun),
            ("many have", 4, 40, Since::WholeRun),
            ("it was within one, which is still under way", 5, 5, Since::PartOfARun),
            ("which has ended", 5, 6, Since::PartOfARun),
            ("and another has begun", 5, 7, Since::PartOfARun),
            ("and ended", 5, 8, Since::WholeRun),
            ("the storage has forgotten", 9, 0, Since::PartOfARun),
        ] {
            assert_eq!(Epoch(learned).until(Epoch(now)), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn runs_that_end_and_one_that_is_killed() {
        let provider = ProviderId::parse("entra").unwrap();
        let epochs = Epochs::new(Arc::new(MemoryStorage::default()), Arc::new(SystemClock), &provider);
        let mut found = vec![epochs.now().await.unwrap().0];
        // How each run ends: it has applied something or not, or it is killed.
        for ends in [Some(true), None, Some(false), Some(true), Some(false)] {
            let before = epochs.begin().await.unwrap();
            found.push(epochs.now().await.unwrap().0);
            if let Some(has_applied) = ends {
                epochs.end(before, has_applied).await.unwrap();
                found.push(epochs.now().await.unwrap().0);
            }
        }
        assert_eq!(found, [0, 1, 2, 3, 5, 4, 5, 6, 7, 6]);
    }
}
