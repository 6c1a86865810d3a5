//! `redb:PATH` — an embedded database in one file, for one host. Every change is on the disk before it counts: a
//! transaction that was taken stays taken through a crash. Changes that wait for each other share one commit.

use std::ops::Bound;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use async_trait::async_trait;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use tokio::sync::oneshot;

use super::usage::{Usage, size};
use super::{Entry, Key, Namespace, Storage, StorageError};

/// Key path → expiry (8 bytes, big-endian milliseconds) and value.
const ENTRIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("entries_v1");
/// (expiry, key path): what to sweep first.
const EXPIRIES: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("expiries_v1");
/// Changes that share one commit at most.
const BATCH: usize = 256;
/// Changes that may wait.
const QUEUE: usize = 4096;
/// Entries that one sweep deletes at most, so that others get their turn.
const SWEEP: usize = 10_000;

/// State in a redb file.
pub struct RedbStorage {
    database: Arc<Database>,
    // Both are there until the drop.
    writer: Option<SyncSender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for RedbStorage {
    /// Ends the writer and waits for its last commit, so that the file is closed when the storage is gone.
    fn drop(&mut self) {
        drop(self.writer.take());
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has ended as well.
            let _ = thread.join();
        }
    }
}

enum Change {
    Put(Key, Entry),
    Take(Key),
    CompareAndSwap(Key, Option<Vec<u8>>, Entry),
    Replace(Key, Vec<u8>, Vec<u8>),
    Sweep,
}

enum Done {
    Written,
    Taken(Option<Vec<u8>>),
    Swapped(bool),
    Swept(u64),
}

struct Job {
    change: Change,
    now: u64,
    reply: oneshot::Sender<Result<Done, StorageError>>,
}

fn unavailable(error: impl std::fmt::Display) -> StorageError {
    StorageError::Unavailable(error.to_string())
}

impl RedbStorage {
    /// Opens or makes the file.
    pub async fn open(path: PathBuf, now_unix_ms: u64) -> Result<Self, StorageError> {
        tokio::task::spawn_blocking(move || Self::open_blocking(&path, now_unix_ms)).await.map_err(unavailable)?
    }

    fn open_blocking(path: &std::path::Path, now: u64) -> Result<Self, StorageError> {
        private(path)?;
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StorageError::Unavailable(format!(
                "{} is in use by another process; one host has one redb file (several proxies need a shared storage)",
                path.display()
            )),
            error => StorageError::Unavailable(format!(
                "{}: {error}; put a backup in its place, or move the file away and begin anew: links of people to accounts and \
                 sign-ins under way are lost then",
                path.display()
            )),
        })?;
        let transaction = database.begin_write().map_err(unavailable)?;
        let mut usage = Usage::default();
        {
            let entries = transaction.open_table(ENTRIES).map_err(unavailable)?;
            transaction.open_table(EXPIRIES).map_err(unavailable)?;
            for row in entries.iter().map_err(unavailable)? {
                let (key, value) = row.map_err(unavailable)?;
                let bytes = (key.value().len() + value.value().len().saturating_sub(8)) as u64;
                usage.add(namespace_of(key.value()), bytes);
            }
        }
        transaction.commit().map_err(unavailable)?;
        let database = Arc::new(database);
        let (writer, jobs) = sync_channel(QUEUE);
        let (thread_database, mut state) = (Arc::clone(&database), Writer { usage });
        let thread = std::thread::Builder::new()
            .name("storage".into())
            .spawn(move || state.run(&thread_database, &jobs))
            .map_err(unavailable)?;
        tracing::debug!(path = %path.display(), now, "storage opened");
        Ok(Self { database, writer: Some(writer), thread: Some(thread) })
    }

    async fn change(&self, change: Change, now: u64) -> Result<Done, StorageError> {
        let (reply, done) = oneshot::channel();
        let ended = || unavailable("the storage's thread has ended");
        let writer = self.writer.as_ref().ok_or_else(ended)?;
        writer.try_send(Job { change, now, reply }).map_err(|error| match error {
            TrySendError::Full(_) => unavailable("too many changes are waiting for the disk"),
            TrySendError::Disconnected(_) => ended(),
        })?;
        done.await.map_err(|_| ended())?
    }
}

/// Makes the file, if it isn't there, so that only this user reads it: identities and verifiers are in it.
pub(super) fn private(path: &std::path::Path) -> Result<(), StorageError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StorageError::Unavailable(format!("{}: {error}", path.display()))),
    }
}

/// A path is plugin/provider/name: the namespace is what stands before the second slash.
fn namespace_of(path: &str) -> &str {
    path.match_indices('/').nth(1).and_then(|(end, _)| path.get(..end)).unwrap_or(path)
}

struct Writer {
    usage: Usage,
}

type Entries<'t> = redb::Table<'t, &'static str, &'static [u8]>;
type Expiries<'t> = redb::Table<'t, (u64, &'static str), ()>;

impl Writer {
    fn run(&mut self, database: &Database, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH {
                let Ok(job) = jobs.try_recv() else { break };
                batch.push(job);
            }
            self.commit(database, batch);
        }
    }

    /// Applies a batch in one transaction; every caller hears of it only after the commit.
    fn commit(&mut self, database: &Database, batch: Vec<Job>) {
        let usage_before = self.usage.clone();
        let outcome = database.begin_write().map_err(unavailable).and_then(|transaction| {
            let results = self.apply(&transaction, &batch)?;
            transaction.commit().map_err(unavailable)?;
            Ok(results)
        });
        match outcome {
            Ok(results) => {
                for (job, result) in batch.into_iter().zip(results) {
                    // A caller that is gone needs no answer.
                    let _ = job.reply.send(result);
                }
            }
            Err(error) => {
                self.usage = usage_before;
                tracing::error!(%error, changes = batch.len(), "storage: nothing written");
                for job in batch {
                    let _ = job.reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn apply(
        &mut self,
        transaction: &WriteTransaction,
        batch: &[Job],
    ) -> Result<Vec<Result<Done, StorageError>>, StorageError> {
        let mut entries = transaction.open_table(ENTRIES).map_err(unavailable)?;
        let mut expiries = transaction.open_table(EXPIRIES).map_err(unavailable)?;
        batch.iter().map(|job| self.apply_one(&mut entries, &mut expiries, job)).collect()
    }

    /// The outer error ends the batch (the file is at fault), the inner one is this job's own.
    fn apply_one(
        &mut self,
        entries: &mut Entries<'_>,
        expiries: &mut Expiries<'_>,
        job: &Job,
    ) -> Result<Result<Done, StorageError>, StorageError> {
        match &job.change {
            Change::Put(key, entry) => Ok(self.insert(entries, expiries, key, entry)?.map(|()| Done::Written)),
            Change::Take(key) => {
                let taken = self.remove(entries, expiries, &key.path())?;
                Ok(Ok(Done::Taken(taken.filter(|entry| entry.is_live(job.now)).map(|entry| entry.value))))
            }
            Change::CompareAndSwap(key, expected, entry) => {
                let present = read(entries, &key.path())?.filter(|entry| entry.is_live(job.now));
                if present.map(|entry| entry.value) != *expected {
                    return Ok(Ok(Done::Swapped(false)));
                }
                Ok(self.insert(entries, expiries, key, entry)?.map(|()| Done::Swapped(true)))
            }
            Change::Replace(key, expected, value) => {
                let present = read(entries, &key.path())?.filter(|entry| entry.is_live(job.now));
                let Some(present) = present.filter(|entry| entry.value == *expected) else {
                    return Ok(Ok(Done::Swapped(false)));
                };
                self.remove(entries, expiries, &key.path())?;
                let entry = Entry { value: value.clone(), expires_at_unix_ms: present.expires_at_unix_ms };
                self.write(entries, expiries, key, &entry)?;
                Ok(Ok(Done::Swapped(true)))
            }
            Change::Sweep => Ok(Ok(Done::Swept(self.sweep(entries, expiries, job.now)?))),
        }
    }

    fn insert(
        &mut self,
        entries: &mut Entries<'_>,
        expiries: &mut Expiries<'_>,
        key: &Key,
        entry: &Entry,
    ) -> Result<Result<(), StorageError>, StorageError> {
        let path = key.path();
        let replaced = read(entries, &path)?.map(|old| size(key, &old.value));
        if let Err(error) = self.usage.check(key, &entry.value, replaced) {
            return Ok(Err(error));
        }
        self.remove(entries, expiries, &path)?;
        self.write(entries, expiries, key, entry)?;
        Ok(Ok(()))
    }

    /// Where there is nothing.
    fn write(
        &mut self,
        entries: &mut Entries<'_>,
        expiries: &mut Expiries<'_>,
        key: &Key,
        entry: &Entry,
    ) -> Result<(), StorageError> {
        let path = key.path();
        let mut row = entry.expires_at_unix_ms.to_be_bytes().to_vec();
        row.extend_from_slice(&entry.value);
        entries.insert(path.as_str(), row.as_slice()).map_err(unavailable)?;
        expiries.insert((entry.expires_at_unix_ms, path.as_str()), ()).map_err(unavailable)?;
        self.usage.add(key.namespace.as_str(), size(key, &entry.value));
        Ok(())
    }

    fn remove(
        &mut self,
        entries: &mut Entries<'_>,
        expiries: &mut Expiries<'_>,
        path: &str,
    ) -> Result<Option<Entry>, StorageError> {
        let Some(entry) = entries.remove(path).map_err(unavailable)?.and_then(|row| decode(row.value())) else {
            return Ok(None);
        };
        expiries.remove((entry.expires_at_unix_ms, path)).map_err(unavailable)?;
        self.usage.remove(namespace_of(path), (path.len() + entry.value.len()) as u64);
        Ok(Some(entry))
    }

    fn sweep(&mut self, entries: &mut Entries<'_>, expiries: &mut Expiries<'_>, now: u64) -> Result<u64, StorageError> {
        let mut dead = Vec::new();
        for row in expiries.range(..=(now, "\u{10ffff}")).map_err(unavailable)?.take(SWEEP) {
            dead.push(row.map_err(unavailable)?.0.value().1.to_owned());
        }
        for path in &dead {
            self.remove(entries, expiries, path)?;
        }
        Ok(dead.len() as u64)
    }
}

fn decode(row: &[u8]) -> Option<Entry> {
    let (expires, value) = row.split_first_chunk::<8>()?;
    Some(Entry { expires_at_unix_ms: u64::from_be_bytes(*expires), value: value.to_vec() })
}

fn read(entries: &impl ReadableTable<&'static str, &'static [u8]>, path: &str) -> Result<Option<Entry>, StorageError> {
    Ok(entries.get(path).map_err(unavailable)?.and_then(|row| decode(row.value())))
}

/// Rows of one namespace in the order of their keys' bytes; names without the namespace.
fn list(
    entries: &impl ReadableTable<&'static str, &'static [u8]>,
    namespace: &str,
    (prefix, after): (&str, Option<&str>),
    limit: usize,
    now: u64,
) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
    let (first, start) = (format!("{namespace}/{prefix}"), format!("{namespace}/{}", after.unwrap_or_default()));
    let from = if start >= first && after.is_some() { Bound::Excluded(&*start) } else { Bound::Included(&*first) };
    let mut found = Vec::new();
    for row in entries.range::<&str>((from, Bound::Unbounded)).map_err(unavailable)? {
        let (path, value) = row.map_err(unavailable)?;
        if found.len() == limit || !path.value().starts_with(&first) {
            break;
        }
        let name = path.value().get(namespace.len() + 1..).unwrap_or_default();
        if let Some(entry) = decode(value.value()).filter(|entry| entry.is_live(now)) {
            found.push((name.to_owned(), entry.value));
        }
    }
    Ok(found)
}

#[async_trait]
impl Storage for RedbStorage {
    async fn get(&self, key: &Key, now: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let (database, path) = (Arc::clone(&self.database), key.path());
        tokio::task::spawn_blocking(move || {
            let transaction = database.begin_read().map_err(unavailable)?;
            let entries = transaction.open_table(ENTRIES).map_err(unavailable)?;
            Ok(read(&entries, &path)?.filter(|entry| entry.is_live(now)).map(|entry| entry.value))
        })
        .await
        .map_err(unavailable)?
    }

    async fn put(&self, key: Key, entry: Entry, now: u64) -> Result<(), StorageError> {
        self.change(Change::Put(key, entry), now).await.map(|_| ())
    }

    async fn take(&self, key: Key, now: u64) -> Result<Option<Vec<u8>>, StorageError> {
        match self.change(Change::Take(key), now).await? {
            Done::Taken(value) => Ok(value),
            _ => Err(unavailable("the storage answered another question")),
        }
    }

    async fn compare_and_swap(
        &self,
        key: Key,
        expected: Option<Vec<u8>>,
        entry: Entry,
        now: u64,
    ) -> Result<bool, StorageError> {
        match self.change(Change::CompareAndSwap(key, expected, entry), now).await? {
            Done::Swapped(swapped) => Ok(swapped),
            _ => Err(unavailable("the storage answered another question")),
        }
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let (database, namespace) = (Arc::clone(&self.database), namespace.clone());
        let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
        tokio::task::spawn_blocking(move || {
            let transaction = database.begin_read().map_err(unavailable)?;
            let entries = transaction.open_table(ENTRIES).map_err(unavailable)?;
            list(&entries, namespace.as_str(), (&prefix, after.as_deref()), limit, now)
        })
        .await
        .map_err(unavailable)?
    }

    async fn replace(&self, key: Key, expected: Vec<u8>, value: Vec<u8>, now: u64) -> Result<bool, StorageError> {
        match self.change(Change::Replace(key, expected, value), now).await? {
            Done::Swapped(swapped) => Ok(swapped),
            _ => Err(unavailable("the storage answered another question")),
        }
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>, StorageError> {
        let database = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || {
            let transaction = database.begin_read().map_err(unavailable)?;
            let entries = transaction.open_table(ENTRIES).map_err(unavailable)?;
            let (mut namespaces, mut from) = (Vec::new(), String::new());
            while let Some(row) = entries.range(from.as_str()..).map_err(unavailable)?.next() {
                let namespace = namespace_of(row.map_err(unavailable)?.0.value()).to_owned();
                // The first that can be another's: after a slash comes a zero.
                from = format!("{namespace}0");
                namespaces.push(Namespace(namespace.into()));
            }
            Ok(namespaces)
        })
        .await
        .map_err(unavailable)?
    }

    async fn sweep(&self, now: u64) -> Result<u64, StorageError> {
        let mut total = 0;
        loop {
            // One commit each, so that sign-ins get their turn in between.
            match self.change(Change::Sweep, now).await? {
                Done::Swept(entries) => {
                    total += entries;
                    if entries < SWEEP as u64 {
                        return Ok(total);
                    }
                }
                _ => return Err(unavailable("the storage answered another question")),
            }
        }
    }
}
