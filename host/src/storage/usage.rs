//! What each namespace holds, for its quota.

use std::collections::HashMap;

use super::{Key, NAMESPACE_BYTES, NAMESPACE_ENTRIES, StorageError};

/// Bytes and entries by namespace.
#[derive(Debug, Default, Clone)]
pub(super) struct Usage(HashMap<String, (u64, u64)>);

impl Usage {
    /// Counts an entry that is there.
    pub(super) fn add(&mut self, namespace: &str, bytes: u64) {
        let (used, entries) = self.0.entry(namespace.to_owned()).or_default();
        *used = used.saturating_add(bytes);
        *entries = entries.saturating_add(1);
    }

    /// Counts an entry that is gone.
    pub(super) fn remove(&mut self, namespace: &str, bytes: u64) {
        if let Some((used, entries)) = self.0.get_mut(namespace) {
            *used = used.saturating_sub(bytes);
            *entries = entries.saturating_sub(1);
        }
    }

    /// Whether one more entry fits.
    pub(super) fn check(&self, key: &Key, value: &[u8]) -> Result<(), StorageError> {
        let (used, entries) = self.0.get(key.namespace.as_str()).copied().unwrap_or_default();
        let fits = used.saturating_add(size(key, value)) <= NAMESPACE_BYTES && entries < NAMESPACE_ENTRIES;
        if fits { Ok(()) } else { Err(StorageError::QuotaExceeded) }
    }
}

/// What an entry counts for, in bytes.
pub(super) fn size(key: &Key, value: &[u8]) -> u64 {
    (key.path().len() + value.len()) as u64
}
