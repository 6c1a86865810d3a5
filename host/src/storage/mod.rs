//! Durable state: a trait with one file for each backend. Values expire; a key belongs to a namespace, and a namespace
//! has a quota. All backends pass the same tests (`contract`).

mod memory;
mod redb;
mod usage;

#[cfg(test)]
mod contract;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryStorage;
pub use redb::RedbStorage;

/// Bytes that one namespace may hold, keys and values.
pub const NAMESPACE_BYTES: u64 = 256 << 20;
/// Entries that one namespace may hold: at 600 s a transaction, 800 logins begun each second.
pub const NAMESPACE_ENTRIES: u64 = 500_000;

/// Whose keys: a plugin's for one provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// The namespace of a plugin for a provider. Neither part may hold a slash; the configuration sees to that.
    pub fn new(plugin: &str, provider: &str) -> Self {
        Self(format!("{plugin}/{provider}").into())
    }

    /// As it stands in front of a key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A key in its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Whose.
    pub namespace: Namespace,
    /// Which: visible ASCII.
    pub name: String,
}

impl Key {
    /// One string for backends that know no namespaces. A name may hold anything: the first two slashes decide.
    fn path(&self) -> String {
        format!("{}/{}", self.namespace.as_str(), self.name)
    }
}

/// A value and when it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Vec<u8>,
    /// Milliseconds since 1970; from then on it isn't there.
    pub expires_at_unix_ms: u64,
}

impl Entry {
    /// A value that is gone `ttl` after `now_unix_ms`.
    pub fn expiring(value: Vec<u8>, now_unix_ms: u64, ttl: Duration) -> Self {
        let ttl = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        Self { value, expires_at_unix_ms: now_unix_ms.saturating_add(ttl) }
    }

    /// A value that stays.
    pub fn lasting(value: Vec<u8>) -> Self {
        Self { value, expires_at_unix_ms: u64::MAX }
    }

    fn is_live(&self, now_unix_ms: u64) -> bool {
        self.expires_at_unix_ms > now_unix_ms
    }
}

/// Why nothing was read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The namespace is full.
    #[error("the storage namespace is full ({NAMESPACE_BYTES} bytes, {NAMESPACE_ENTRIES} entries)")]
    QuotaExceeded,
    /// The backend can't do it now.
    #[error("the storage can't be used: {0}")]
    Unavailable(String),
}

/// A backend. All times are the caller's, so that tests and several hosts agree on them.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Reads a value that is live.
    async fn get(&self, key: &Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes a value.
    async fn put(&self, key: Key, entry: Entry, now_unix_ms: u64) -> Result<(), StorageError>;

    /// Reads and deletes a value that is live: of all callers exactly one gets it.
    async fn take(&self, key: Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError>;

    /// Writes a value if the live one equals `expected`; whether it did.
    async fn compare_and_swap(
        &self,
        key: Key,
        expected: Option<Vec<u8>>,
        entry: Entry,
        now_unix_ms: u64,
    ) -> Result<bool, StorageError>;

    /// A page of what is live in a namespace, names and values: at most `limit` of the names that start with `prefix`, in the
    /// order of their bytes, from the first one after `after` on. A page that isn't full is the last. Who reads page after
    /// page meets every entry that was there all the while, once; not necessarily those that came or went meanwhile.
    ///
    /// A shared backend needs an index for it: Redis' `SCAN` knows no order and may give a name twice, so there every
    /// namespace is a sorted set of its names beside the values, changed in the same transaction and read with
    /// `ZRANGEBYLEX`.
    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now_unix_ms: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError>;

    /// Deletes what has expired; how many entries. The host calls it now and then.
    async fn sweep(&self, now_unix_ms: u64) -> Result<u64, StorageError>;
}

/// Which backend, as the configuration's `storage.url` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageUrl {
    /// `memory:` — gone when the host ends.
    Memory,
    /// `redb:PATH` — an embedded database in one file.
    Redb(PathBuf),
}

/// Makes a file, if it isn't there, so that only this user reads it.
pub(crate) fn private_file(path: &std::path::Path) -> Result<(), StorageError> {
    redb::private(path)
}

impl FromStr for StorageUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("redb", "")) => Err("redb: needs the path of a file, as in redb:state.redb".into()),
            Some(("redb", path)) => Ok(Self::Redb(path.into())),
            Some(("redis" | "rediss", _)) => {
                Err("this version has no redis storage yet; use redb:PATH, with one proxy".into())
            }
            _ => Err(format!("{text:?} is none of memory:, redb:PATH")),
        }
    }
}

impl StorageUrl {
    /// Opens the backend. Relative paths count from the working directory.
    pub async fn open(&self, now_unix_ms: u64) -> Result<Arc<dyn Storage>, StorageError> {
        Ok(match self {
            Self::Memory => Arc::new(MemoryStorage::default()),
            Self::Redb(path) => Arc::new(RedbStorage::open(path.clone(), now_unix_ms).await?),
        })
    }
}
