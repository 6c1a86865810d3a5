//! Durable state: a trait with one file for each backend. Values expire; a key belongs to a namespace, and a namespace
//! has a quota. All backends pass the same tests (`contract`).

mod memory;
mod redb;
mod redis;
mod sealed;
mod usage;

#[cfg(test)]
mod contract;

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::config::Secret;

pub use memory::MemoryStorage;
pub use redb::RedbStorage;
pub use redis::{RedisServer, RedisStorage, RedisUrl};
pub use sealed::{Protection, Sealed, SealingKey};

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

/// What came of [`Storage::renew`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Renewed {
    /// Values that are sealed with the present key now.
    pub sealed: u64,
    /// Values that open with none of the keys.
    pub unreadable: u64,
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
    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now_unix_ms: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError>;

    /// Writes another value in the place of `expected`, for as long as that would have lived; whether it did. For who writes the
    /// same in another form: quotas don't count.
    async fn replace(
        &self,
        _key: Key,
        _expected: Vec<u8>,
        _value: Vec<u8>,
        _now_unix_ms: u64,
    ) -> Result<bool, StorageError> {
        Ok(false)
    }

    /// Every namespace that has an entry, perhaps one that has expired.
    async fn namespaces(&self) -> Result<Vec<Namespace>, StorageError> {
        Ok(Vec::new())
    }

    /// Writes everything that isn't sealed with the present key anew, if there is one.
    async fn renew(&self, _now_unix_ms: u64) -> Result<Renewed, StorageError> {
        Ok(Renewed::default())
    }

    /// Deletes what has expired; how many entries. The host calls it now and then.
    async fn sweep(&self, now_unix_ms: u64) -> Result<u64, StorageError>;

    /// Whether it can be used now, cheaply: for who asks whether the host is ready.
    async fn ping(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Which backend, as the configuration's `storage.url` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StorageUrl {
    /// `memory:` — gone when the host ends.
    Memory,
    /// `redb:PATH` — an embedded database in one file.
    Redb(PathBuf),
    /// `redis://HOST:PORT/DB`, `rediss://…` — Redis or Valkey, for several hosts.
    Redis(RedisUrl),
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
            Some(("redis" | "rediss", _)) => text
                .parse()
                .map(Self::Redis)
                .map_err(|reason| format!("{reason}; a password is better in storage.password_file")),
            _ => Err(format!("{text:?} is none of memory:, redb:PATH, redis://HOST:PORT/DB, rediss://HOST:PORT/DB")),
        }
    }
}

impl StorageUrl {
    /// The backend's name, as the URL begins: for metrics.
    pub fn backend(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redb(_) => "redb",
            Self::Redis(_) => "redis",
        }
    }
}

/// `[storage]`.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// Which backend.
    pub url: StorageUrl,
    /// Of Redis, if it isn't in the URL.
    pub password: Option<Secret>,
    /// Whether and how values are encrypted.
    pub protection: Protection,
    /// A folder of this host's own: for the mirrors of directories and the control socket, where the backend isn't a file.
    pub folder: Option<PathBuf>,
}

impl StorageConfig {
    /// A backend, as it is.
    pub fn plain(url: StorageUrl) -> Self {
        Self { url, password: None, protection: Protection::default(), folder: None }
    }

    /// Whether it is the same backend, used in the same way, if perhaps with another password.
    pub(crate) fn is_as(&self, other: &Self) -> bool {
        (&self.url, &self.protection, &self.folder) == (&other.url, &other.protection, &other.folder)
    }

    /// Whether the password is the same, which the backend has had since it was opened.
    pub(crate) fn has_password_of(&self, other: &Self) -> bool {
        self.password.as_ref().map(Secret::expose) == other.password.as_ref().map(Secret::expose)
    }

    /// Opens the backend. Relative paths count from the working directory.
    pub async fn open(&self, now_unix_ms: u64) -> Result<Arc<dyn Storage>, StorageError> {
        let backend: Arc<dyn Storage> = match &self.url {
            StorageUrl::Memory => Arc::new(MemoryStorage::default()),
            StorageUrl::Redb(path) => Arc::new(RedbStorage::open(path.clone(), now_unix_ms).await?),
            StorageUrl::Redis(url) => Arc::new(RedisStorage::open(url, self.password.as_ref()).await?),
        };
        Ok(Arc::new(Sealed::new(backend, self.protection.clone())))
    }

    /// Whether no other process can have the backend open.
    pub fn is_alone(&self) -> bool {
        match self.url {
            StorageUrl::Memory | StorageUrl::Redb(_) => true,
            StorageUrl::Redis(_) => false,
        }
    }

    /// The file of this host alone that belongs to the storage and ends so; none if it is in memory.
    pub fn beside(&self, ending: &str) -> Option<PathBuf> {
        match (&self.url, &self.folder) {
            (StorageUrl::Memory, _) | (StorageUrl::Redis(_), None) => None,
            (StorageUrl::Redb(path), _) => Some(path.with_extension(ending)),
            (StorageUrl::Redis(_), Some(folder)) => Some(folder.join(format!("openid.{ending}"))),
        }
    }
}
