//! `redis:` and `rediss:` — one state for several hosts, in Redis or Valkey. Every operation is one script, which the server runs
//! alone: what it reads is what it changes. Of a namespace there are a hash of values, a sorted set of names (for lists), a sorted set of
//! when what expires, and a count of bytes (for the quota); so nothing expires beside the books, and the hosts' own sweep deletes.

mod address;
mod scripts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ::redis::aio::{ConnectionManager, ConnectionManagerConfig};
use ::redis::io::tcp::{TcpSettings, socket2};
use ::redis::{Client, ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind};
use arc_swap::ArcSwap;
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
/// After so many operations in a row that got no answer, another connection is made: this one may lead to nobody any more, and nothing
/// else would say so for a quarter of an hour.
const SILENT: u32 = 3;
/// No more often than this.
const RENEWAL: Duration = Duration::from_secs(1);
/// A connection on which nothing comes is probed after that, and given up when what was sent isn't taken for as long as the second.
const DEAD: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(10));
/// Names that one script of a sweep deletes: the server does nothing else meanwhile.
const SWEEP: usize = 1000;
/// Names that one script of a list looks at.
const LIST: usize = 2000;

/// State in Redis.
pub struct RedisStorage {
    client: Client,
    connection: ArcSwap<Connection>,
    /// Operations in a row that got no answer.
    silent: AtomicU32,
    scripts: Scripts,
    place: String,
}

/// The connection that all operations share; it connects anew by itself when it is closed, and only then.
struct Connection {
    manager: ConnectionManager,
    since: Instant,
}

fn managed() -> ConnectionManagerConfig {
    ConnectionManagerConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(OPERATION))
        .set_min_delay(PAUSE.0)
        .set_max_delay(PAUSE.1)
        .set_number_of_retries(3)
}

/// After a failover the former primary keeps its connections; new ones to the same address reach the new one.
fn leads_elsewhere(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
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
        let keepalive = socket2::TcpKeepalive::new().with_time(DEAD.0).with_interval(DEAD.0 / 3);
        let tcp = TcpSettings::default().set_keepalive(keepalive).set_user_timeout(DEAD.1);
        let address = url.connection(password).set_tcp_settings(tcp);
        let client = Client::open(address).map_err(|error| unavailable(&error))?;
        let connecting = ConnectionManager::new_with_config(client.clone(), managed());
        let manager = match tokio::time::timeout(2 * OPERATION, connecting).await {
            Ok(connected) => connected.map_err(|error| unavailable(&error))?,
            Err(_) => {
                return Err(StorageError::Unavailable(format!(
                    "{place}: no connection within {} s",
                    (2 * OPERATION).as_secs()
                )));
            }
        };
        let connection = ArcSwap::from_pointee(Connection { manager, since: Instant::now() });
        let storage = Self { client, connection, silent: AtomicU32::new(0), scripts: Scripts::default(), place };
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
        let mut command = ::redis::cmd(name);
        command.arg(arguments);
        self.within(name, async |mut connection| command.query_async(&mut connection).await).await
    }

    async fn run<T: FromRedisValue>(
        &self,
        name: &'static str,
        invocation: &ScriptInvocation<'_>,
    ) -> Result<T, StorageError> {
        self.within(name, async |mut connection| invocation.invoke_async(&mut connection).await).await
    }

    /// Nothing is sent again whose answer was lost: who took a value may have taken it.
    async fn within<T>(
        &self,
        name: &str,
        operation: impl AsyncFnOnce(ConnectionManager) -> Result<T, RedisError>,
    ) -> Result<T, StorageError> {
        let used = self.connection.load_full();
        let outcome = tokio::time::timeout(OPERATION, operation(used.manager.clone())).await;
        match outcome {
            Ok(Err(error)) if !error.is_timeout() => {
                self.silent.store(0, Ordering::Relaxed);
                if leads_elsewhere(&error) {
                    self.renew(&used, "its server isn't the primary any more");
                }
                Err(StorageError::Unavailable(told(&self.place, name, &error)))
            }
            Ok(Ok(value)) => {
                self.silent.store(0, Ordering::Relaxed);
                Ok(value)
            }
            Ok(Err(_)) | Err(_) => {
                if self.silent.fetch_add(1, Ordering::Relaxed) + 1 >= SILENT {
                    self.renew(&used, "nothing answers on it");
                }
                let seconds = OPERATION.as_secs();
                Err(StorageError::Unavailable(format!("{}: no answer to {name} within {seconds} s", self.place)))
            }
        }
    }

    /// The next operation makes a connection of its own, unless another one has seen to that.
    fn renew(&self, used: &Arc<Connection>, why: &str) {
        if used.since.elapsed() < RENEWAL {
            return;
        }
        let Ok(manager) = ConnectionManager::new_lazy_with_config(self.client.clone(), managed()) else { return };
        let renewed = Arc::new(Connection { manager, since: Instant::now() });
        if Arc::ptr_eq(&self.connection.compare_and_swap(used, renewed), used) {
            self.silent.store(0, Ordering::Relaxed);
            tracing::warn!(place = self.place, "the connection to the storage is replaced: {why}");
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
