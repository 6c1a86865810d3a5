//! `memory:` — for tests, demonstrations, and hosts that may forget logins under way when they end.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::usage::{Usage, size};
use super::{Entry, Key, Namespace, Storage, StorageError};

/// State in this process's memory.
#[derive(Default)]
pub struct MemoryStorage {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: BTreeMap<Key, Entry>,
    usage: Usage,
}

impl Inner {
    fn live(&self, key: &Key, now: u64) -> Option<&Entry> {
        self.entries.get(key).filter(|entry| entry.is_live(now))
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.usage.remove(key.namespace.as_str(), size(key, &entry.value));
        Some(entry)
    }

    fn insert(&mut self, key: Key, entry: Entry) -> Result<(), StorageError> {
        let replaced = self.entries.get(&key).map(|old| size(&key, &old.value));
        self.usage.check(&key, &entry.value, replaced)?;
        self.remove(&key);
        self.usage.add(key.namespace.as_str(), size(&key, &entry.value));
        self.entries.insert(key, entry);
        Ok(())
    }
}

impl MemoryStorage {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No operation on it can panic half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, key: &Key, now: u64) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.lock().live(key, now).map(|entry| entry.value.clone()))
    }

    async fn put(&self, key: Key, entry: Entry, _now: u64) -> Result<(), StorageError> {
        self.lock().insert(key, entry)
    }

    async fn take(&self, key: Key, now: u64) -> Result<Option<Vec<u8>>, StorageError> {
        Ok(self.lock().remove(&key).filter(|entry| entry.is_live(now)).map(|entry| entry.value))
    }

    async fn compare_and_swap(
        &self,
        key: Key,
        expected: Option<Vec<u8>>,
        entry: Entry,
        now: u64,
    ) -> Result<bool, StorageError> {
        let mut inner = self.lock();
        if inner.live(&key, now).map(|entry| &entry.value) != expected.as_ref() {
            return Ok(false);
        }
        inner.insert(key, entry)?;
        Ok(true)
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let start = |name: &str| Key { namespace: namespace.clone(), name: name.to_owned() };
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(start(after)),
            _ => Bound::Included(start(prefix)),
        };
        let inner = self.lock();
        let matching = inner
            .entries
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.namespace == *namespace && key.name.starts_with(prefix));
        let live = matching.filter(|(_, entry)| entry.is_live(now));
        Ok(live.take(limit).map(|(key, entry)| (key.name.clone(), entry.value.clone())).collect())
    }

    async fn replace(&self, key: Key, expected: Vec<u8>, value: Vec<u8>, now: u64) -> Result<bool, StorageError> {
        let mut inner = self.lock();
        let Some(entry) = inner.live(&key, now).filter(|entry| entry.value == expected) else { return Ok(false) };
        let entry = Entry { value, expires_at_unix_ms: entry.expires_at_unix_ms };
        inner.remove(&key);
        inner.usage.add(key.namespace.as_str(), size(&key, &entry.value));
        inner.entries.insert(key, entry);
        Ok(true)
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>, StorageError> {
        let mut namespaces: Vec<_> = self.lock().entries.keys().map(|key| key.namespace.clone()).collect();
        namespaces.dedup();
        Ok(namespaces)
    }

    async fn sweep(&self, now: u64) -> Result<u64, StorageError> {
        let mut inner = self.lock();
        let dead: Vec<Key> =
            inner.entries.iter().filter(|(_, entry)| !entry.is_live(now)).map(|(key, _)| key.clone()).collect();
        for key in &dead {
            inner.remove(key);
        }
        Ok(dead.len() as u64)
    }
}
