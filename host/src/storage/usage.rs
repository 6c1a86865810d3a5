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

    /// Whether an entry fits; `replaced`: the size of the one whose place it takes.
    pub(super) fn check(&self, key: &Key, value: &[u8], replaced: Option<u64>) -> Result<(), StorageError> {
        let (used, entries) = self.0.get(key.namespace.as_str()).copied().unwrap_or_default();
        let used = used.saturating_sub(replaced.unwrap_or(0)).saturating_add(size(key, value));
        let fits = used <= NAMESPACE_BYTES && (replaced.is_some() || entries < NAMESPACE_ENTRIES);
        if fits { Ok(()) } else { Err(StorageError::QuotaExceeded) }
    }
}

/// What an entry counts for, in bytes.
pub(super) fn size(key: &Key, value: &[u8]) -> u64 {
    (key.path().len() + value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Namespace;

    #[test]
    fn a_namespace_has_a_quota_that_replacing_does_not_pass_by() {
        let key = Key { namespace: Namespace::new("a", "b"), name: "k".into() };
        let mut usage = Usage::default();
        usage.add("a/b", NAMESPACE_BYTES - 100);
        assert_eq!(usage.check(&key, &[0; 50], None), Ok(()));
        assert_eq!(usage.check(&key, &[0; 200], None), Err(StorageError::QuotaExceeded));
        assert_eq!(usage.check(&key, &[0; 200], Some(10)), Err(StorageError::QuotaExceeded));
        assert_eq!(usage.check(&key, &[0; 200], Some(150)), Ok(()));
        let mut full = Usage::default();
        (0..NAMESPACE_ENTRIES).for_each(|_| full.add("a/b", 1));
        assert_eq!(full.check(&key, b"", None), Err(StorageError::QuotaExceeded));
        assert_eq!(full.check(&key, b"", Some(5)), Ok(()));
    }
}
