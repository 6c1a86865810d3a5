//! `redis:` and `rediss:` — one state for several hosts, in Redis or Valkey. Every operation is one script, which the server runs
//! alone: what it reads is what it changes. Of a namespace there are a hash of values, a sorted set of names (for lists), a sorted set of
//! when what expires, and a count of bytes (for the quota); so nothing expires beside the books, and the hosts' own sweep deletes.

mod address;
mod scripts;

use std::time::Duration;

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::{FromRedisValue, RedisError, ScriptInvocation};
use async_trait::async_trait;

pub use address::RedisUrl;
use scripts::{PREFIX, Scripts};

use super::{Entry, Key, NAMESPACE_BYTES, NAMESPACE_ENTRIES, Namespace, Storage, StorageError};
use crate::config::Secret;

/// One operation, the way there and back included. A sign-in makes a handful.
const OPERATION: Duration = Duration::from_secs(2);
/// One attempt to connect.
const CONNECT: Duration = Duration::from_secs(1);
/// Between attempts to connect, at first and at most. An operation waits for them no longer than [`OPERATION`].
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));
/// Names that one script of a sweep deletes: the server does nothing else meanwhile.
const SWEEP: usize = 1000;
/// Names that one script of a list looks at.
const LIST: usize = 2000;

/// State in Redis.
pub struct RedisStorage {
    connection: ConnectionManager,
    scripts: Scripts,
    place: String,
}

/// When a value is written.
enum Condition {
    None,
    Free,
    Holds(Vec<u8>),
}

/// What `doctor` wants to know of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisServer {
    /// As it says it.
    pub version: String,
    /// `maxmemory-policy`: anything but `noeviction` may forget state, except those that begin with `volatile-`. Empty: it isn't told.
    pub eviction: String,
    /// Whether it would know its state after a restart.
    pub is_durable: bool,
}

impl RedisStorage {
    /// Connects. `password` goes before the URL's own.
    pub async fn open(url: &RedisUrl, password: Option<&Secret>) -> Result<Self, StorageError> {
        // Fails only if there is one already, which then is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = url.to_string();
        let unavailable = |error: &RedisError| StorageError::Unavailable(told(&place, "connect", error));
        let client = ::redis::Client::open(url.connection(password)).map_err(|error| unavailable(&error))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(OPERATION))
            .set_min_delay(PAUSE.0)
            .set_max_delay(PAUSE.1)
            .set_number_of_retries(3);
        let connecting = ConnectionManager::new_with_config(client, config);
        let connection = match tokio::time::timeout(2 * OPERATION, connecting).await {
            Ok(connected) => connected.map_err(|error| unavailable(&error))?,
            Err(_) => {
                return Err(StorageError::Unavailable(format!(
                    "{place}: no connection within {} s",
                    (2 * OPERATION).as_secs()
                )));
            }
        };
        let storage = Self { connection, scripts: Scripts::default(), place };
        storage.ping().await?;
        Ok(storage)
    }

    /// Looks at the server itself.
    pub async fn server(&self) -> Result<RedisServer, StorageError> {
        let info: String = self.command("INFO", &[]).await?;
        let of =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default();
        // Providers of Redis as a service forbid CONFIG.
        let snapshots: Vec<String> = self.command("CONFIG", &["GET", "save"]).await.unwrap_or_default();
        let has_snapshots = snapshots.get(1).is_some_and(|save| !save.is_empty());
        Ok(RedisServer {
            version: of("redis_version").to_owned(),
            eviction: of("maxmemory_policy").to_owned(),
            is_durable: of("aof_enabled") == "1" || has_snapshots,
        })
    }

    async fn command<T: FromRedisValue>(&self, name: &str, arguments: &[&str]) -> Result<T, StorageError> {
        let mut connection = self.connection.clone();
        let mut command = ::redis::cmd(name);
        command.arg(arguments);
        self.within(name, command.query_async(&mut connection)).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, StorageError> {
        let mut connection = self.connection.clone();
        self.within(name, invocation.invoke_async(&mut connection)).await
    }

    /// Nothing is sent again whose answer was lost: who took a value may have taken it.
    async fn within<T>(
        &self,
        name: &str,
        operation: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, StorageError> {
        match tokio::time::timeout(OPERATION, operation).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(StorageError::Unavailable(told(&self.place, name, &error))),
            Err(_) => {
                let seconds = OPERATION.as_secs();
                Err(StorageError::Unavailable(format!("{}: no answer to {name} within {seconds} s", self.place)))
            }
        }
    }

    async fn write(
        &self,
        name: &'static str,
        key: &Key,
        condition: Condition,
        entry: Entry,
        now_unix_ms: u64,
    ) -> Result<bool, StorageError> {
        let (is_conditional, has_expected, expected) = match condition {
            Condition::None => (0, 0, Vec::new()),
            Condition::Free => (1, 0, Vec::new()),
            Condition::Holds(value) => (1, 1, value),
        };
        let mut invocation = self.scripts.write.prepare_invoke();
        scripts::keys(&mut invocation, &key.namespace);
        // An entry that stays has no place among those that expire.
        let expires =
            if entry.expires_at_unix_ms == u64::MAX { String::new() } else { entry.expires_at_unix_ms.to_string() };
        invocation
            .arg(&key.name)
            .arg(now_unix_ms)
            .arg(entry.value)
            .arg(expires)
            .arg(is_conditional)
            .arg(has_expected)
            .arg(expected)
            .arg(key.path().len())
            .arg(NAMESPACE_BYTES)
            .arg(NAMESPACE_ENTRIES)
            .arg(key.namespace.as_str());
        match self.run::<i64>(name, &invocation).await? {
            1 => Ok(true),
            0 => Ok(false),
            _ => Err(StorageError::QuotaExceeded),
        }
    }
}

#[async_trait]
impl Storage for RedisStorage {
    async fn get(&self, key: &Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let mut invocation = self.scripts.get.prepare_invoke();
        scripts::keys(&mut invocation, &key.namespace);
        self.run("get", invocation.arg(&key.name).arg(now_unix_ms)).await
    }

    async fn put(&self, key: Key, entry: Entry, now_unix_ms: u64) -> Result<(), StorageError> {
        self.write("put", &key, Condition::None, entry, now_unix_ms).await.map(|_| ())
    }

    async fn take(&self, key: Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let mut invocation = self.scripts.take.prepare_invoke();
        scripts::keys(&mut invocation, &key.namespace);
        self.run("take", invocation.arg(&key.name).arg(now_unix_ms).arg(key.path().len())).await
    }

    async fn compare_and_swap(
        &self,
        key: Key,
        expected: Option<Vec<u8>>,
        entry: Entry,
        now_unix_ms: u64,
    ) -> Result<bool, StorageError> {
        let condition = expected.map_or(Condition::Free, Condition::Holds);
        self.write("compare-and-swap", &key, condition, entry, now_unix_ms).await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now_unix_ms: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let mut found = Vec::new();
        let mut from = match after {
            Some(after) if after >= prefix => [b"(", after.as_bytes()].concat(),
            _ => [b"[", prefix.as_bytes()].concat(),
        };
        // No name has this byte: they are UTF-8.
        let to = if prefix.is_empty() { b"+".to_vec() } else { [b"(", prefix.as_bytes(), b"\xff"].concat() };
        while found.len() < limit {
            let mut invocation = self.scripts.list.prepare_invoke();
            scripts::keys(&mut invocation, namespace);
            let wanted = (limit - found.len()).min(LIST);
            invocation.arg(&from).arg(&to).arg(wanted).arg(now_unix_ms);
            let (last, page): (Option<Vec<u8>>, Vec<(String, Vec<u8>)>) = self.run("list", &invocation).await?;
            found.extend(page);
            match last {
                Some(last) => from = [b"(", last.as_slice()].concat(),
                None => break,
            }
        }
        Ok(found)
    }

    async fn replace(
        &self,
        key: Key,
        expected: Vec<u8>,
        value: Vec<u8>,
        now_unix_ms: u64,
    ) -> Result<bool, StorageError> {
        let mut invocation = self.scripts.replace.prepare_invoke();
        scripts::keys(&mut invocation, &key.namespace);
        invocation.arg(&key.name).arg(now_unix_ms).arg(expected).arg(value);
        Ok(self.run::<i64>("replace", &invocation).await? == 1)
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>, StorageError> {
        let names: Vec<String> = self.command("SMEMBERS", &[&format!("{PREFIX}namespaces")]).await?;
        Ok(names.into_iter().map(|name| Namespace(name.into())).collect())
    }

    async fn sweep(&self, now_unix_ms: u64) -> Result<u64, StorageError> {
        let mut deleted = 0;
        for namespace in self.namespaces().await? {
            let namespace = namespace.as_str();
            loop {
                let mut invocation = self.scripts.sweep.prepare_invoke();
                scripts::names(&mut invocation, namespace);
                invocation.arg(now_unix_ms).arg(SWEEP).arg(namespace.len() + 1);
                let now_deleted: u64 = self.run("sweep", &invocation).await?;
                deleted += now_deleted;
                if now_deleted < SWEEP as u64 {
                    break;
                }
            }
        }
        Ok(deleted)
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.command::<String>("PING", &[]).await.map(|_| ())
    }
}

/// What went wrong, where, and what to do about what an operator can. Never holds the password: errors of the library don't.
fn told(place: &str, operation: &str, error: &RedisError) -> String {
    let advice = match error.code() {
        Some("READONLY") => "; it is a replica: storage.url must name the primary",
        Some("OOM") => "; it is full: raise its maxmemory",
        Some("MISCONF") => "; it can't write its snapshot: its disk is full or not writable",
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => "; storage.password_file, or the user in storage.url",
        Some("LOADING") => "; it is reading its state from disk",
        _ if error.kind() == ::redis::ErrorKind::AuthenticationFailed => {
            "; storage.password_file, or the user in storage.url"
        }
        _ if error.is_timeout() => "; it is slow, or the network is",
        _ => "",
    };
    format!("{place}: {operation}: {error}{advice}")
}
