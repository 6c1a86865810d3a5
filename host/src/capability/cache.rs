//! `cache`: memory of this host, bounded for each provider, with the election of one caller to fetch what many wait for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::storage::check_key;
use crate::sandbox::CallState;
use crate::sandbox::bindings::defguard::openid::cache::{self, Claimed};
use crate::storage::{Key, Namespace};

/// Bytes of a value.
const VALUE_BYTES: usize = 1 << 20;
/// Bytes of all values of one provider.
const NAMESPACE_BYTES: usize = 16 << 20;
/// Entries of one provider.
const NAMESPACE_ENTRIES: usize = 4096;
/// A week.
const TTL_S: u32 = 604_800;
/// The longest wait for another call's fetch.
const WAIT: Duration = Duration::from_secs(10);

/// All providers' cached values.
#[derive(Default)]
pub struct Cache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    values: HashMap<Key, Value>,
    used: HashMap<Namespace, Used>,
    elected: HashMap<Key, Arc<Notify>>,
}

struct Value {
    bytes: Vec<u8>,
    stored: Instant,
    expires: Instant,
}

#[derive(Default, Clone, Copy)]
struct Used {
    bytes: usize,
    entries: usize,
}

/// A key that one call was elected to fetch. Dropped with the call, so that a trap doesn't leave others waiting.
pub(super) struct Lease {
    cache: Arc<Cache>,
    key: Key,
    notify: Arc<Notify>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut inner = self.cache.lock();
        if inner.elected.get(&self.key).is_some_and(|current| Arc::ptr_eq(current, &self.notify)) {
            inner.elected.remove(&self.key);
        }
        drop(inner);
        self.notify.notify_waiters();
    }
}

impl Inner {
    fn get(&self, key: &Key, now: Instant) -> Option<&[u8]> {
        self.values.get(key).filter(|value| value.expires > now).map(|value| value.bytes.as_slice())
    }

    fn remove(&mut self, key: &Key) -> Option<Value> {
        let value = self.values.remove(key)?;
        if let Some(used) = self.used.get_mut(&key.namespace) {
            used.bytes = used.bytes.saturating_sub(value.bytes.len());
            used.entries = used.entries.saturating_sub(1);
        }
        Some(value)
    }

    /// Makes room by dropping what has expired, then what expires first. Returns whether there is room.
    fn make_room(&mut self, namespace: &Namespace, bytes: usize, now: Instant) -> bool {
        if bytes > VALUE_BYTES {
            return false;
        }
        if self.fits(namespace, bytes) {
            return true;
        }
        let mut keys: Vec<(Instant, Key)> = self
            .values
            .iter()
            .filter(|(key, _)| &key.namespace == namespace)
            .map(|(key, value)| (value.expires, key.clone()))
            .collect();
        keys.sort_by_key(|(expires, _)| *expires);
        for (expires, key) in keys {
            if expires > now && self.fits(namespace, bytes) {
                break;
            }
            self.remove(&key);
        }
        self.fits(namespace, bytes)
    }

    fn fits(&self, namespace: &Namespace, bytes: usize) -> bool {
        let used = self.used.get(namespace).copied().unwrap_or_default();
        used.bytes.saturating_add(bytes) <= NAMESPACE_BYTES && used.entries < NAMESPACE_ENTRIES
    }

    fn put(&mut self, key: Key, bytes: Vec<u8>, ttl_s: u32, now: Instant) -> bool {
        self.remove(&key);
        if ttl_s == 0 || ttl_s > TTL_S || !self.make_room(&key.namespace, bytes.len(), now) {
            return false;
        }
        let used = self.used.entry(key.namespace.clone()).or_default();
        used.bytes = used.bytes.saturating_add(bytes.len());
        used.entries = used.entries.saturating_add(1);
        let expires = now + Duration::from_secs(u64::from(ttl_s));
        self.values.insert(key, Value { bytes, stored: now, expires });
        true
    }
}

impl Cache {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic while it was held can't leave it half-written in a way that matters: it may forget anything.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago the newest live value whose name begins so was stored. A value that is kept for less than a minute is no
    /// document but the memory of a failure, and doesn't count.
    pub(crate) fn age(&self, namespace: &Namespace, prefix: &str) -> Option<Duration> {
        const LASTING: Duration = Duration::from_secs(60);
        let (inner, now) = (self.lock(), Instant::now());
        let values = inner.values.iter().filter(|(key, value)| {
            let is_document = value.expires > now && value.expires.duration_since(value.stored) >= LASTING;
            is_document && &key.namespace == namespace && key.name.starts_with(prefix)
        });
        values.map(|(_, value)| now.duration_since(value.stored)).min()
    }

    fn get(&self, key: &Key) -> Option<Vec<u8>> {
        self.lock().get(key, Instant::now()).map(<[u8]>::to_vec)
    }

    /// The value, or the lease to fetch it, or neither after `wait`.
    async fn claim(self: &Arc<Self>, key: &Key, wait: Duration) -> (Option<Vec<u8>>, Option<Lease>) {
        let deadline = tokio::time::Instant::now() + wait.min(WAIT);
        loop {
            let notify = {
                let mut inner = self.lock();
                if let Some(value) = inner.get(key, Instant::now()) {
                    return (Some(value.to_vec()), None);
                }
                match inner.elected.get(key) {
                    Some(notify) => Arc::clone(notify),
                    None => {
                        let notify = Arc::new(Notify::new());
                        inner.elected.insert(key.clone(), Arc::clone(&notify));
                        return (None, Some(Lease { cache: Arc::clone(self), key: key.clone(), notify }));
                    }
                }
            };
            let notified = notify.notified();
            tokio::pin!(notified);
            // Registered before the second look, so a release in between isn't missed.
            notified.as_mut().enable();
            let still_elected = self.lock().elected.get(key).is_some_and(|current| Arc::ptr_eq(current, &notify));
            if still_elected && tokio::time::timeout_at(deadline, notified).await.is_err() {
                return (None, None);
            }
        }
    }

    fn compare_and_swap(&self, key: Key, expected: Option<&[u8]>, value: Vec<u8>, ttl_s: u32) -> bool {
        let (mut inner, now) = (self.lock(), Instant::now());
        if inner.get(&key, now) != expected {
            return false;
        }
        inner.put(key, value, ttl_s, now)
    }
}

impl CallState {
    fn cache_key(&mut self, key: &str) -> Option<(Key, Arc<Cache>)> {
        let found = self.granted_cache_key(key);
        self.metrics.capability("cache", if found.is_some() { "ok" } else { "denied" });
        found
    }

    /// The key, and one use of the cache less to go; `None`: the component finds nothing, and nothing is kept.
    fn granted_cache_key(&mut self, key: &str) -> Option<(Key, Arc<Cache>)> {
        let context = self.grant.provider.as_ref()?;
        self.cache_calls_left = self.cache_calls_left.checked_sub(1)?;
        check_key(key).ok()?;
        let key = Key { namespace: context.namespace.clone(), name: key.to_owned() };
        Some((key, Arc::clone(&context.cache)))
    }
}

impl cache::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.cache_key(&key).and_then(|(key, cache)| cache.get(&key)))
    }

    async fn claim(&mut self, key: String, wait_ms: u32) -> wasmtime::Result<Claimed> {
        let Some((key, cache)) = self.cache_key(&key) else { return Ok(Claimed::Fetch) };
        if self.grant.leases.iter().any(|lease| lease.key == key) {
            return Ok(Claimed::Fetch);
        }
        if self.grant.leases.len() >= self.limits.cache_leases {
            return Ok(Claimed::Busy);
        }
        Ok(match cache.claim(&key, Duration::from_millis(u64::from(wait_ms))).await {
            (Some(value), _) => Claimed::Value(value),
            (None, Some(lease)) => {
                self.grant.leases.push(lease);
                Claimed::Fetch
            }
            (None, None) => Claimed::Busy,
        })
    }

    async fn release(&mut self, key: String) -> wasmtime::Result<()> {
        if let Some((key, _)) = self.cache_key(&key) {
            self.grant.leases.retain(|lease| lease.key != key);
        }
        Ok(())
    }

    async fn put(&mut self, key: String, value: Vec<u8>, ttl_s: u32) -> wasmtime::Result<()> {
        if let Some((key, cache)) = self.cache_key(&key) {
            cache.lock().put(key.clone(), value, ttl_s, Instant::now());
            self.grant.leases.retain(|lease| lease.key != key);
        }
        Ok(())
    }

    async fn put_if_absent(&mut self, key: String, value: Vec<u8>, ttl_s: u32) -> wasmtime::Result<bool> {
        Ok(self.cache_key(&key).is_some_and(|(key, cache)| cache.compare_and_swap(key, None, value, ttl_s)))
    }

    async fn take(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.cache_key(&key).and_then(|(key, cache)| {
            let mut inner = cache.lock();
            let live = inner.get(&key, Instant::now()).is_some();
            inner.remove(&key).filter(|_| live).map(|value| value.bytes)
        }))
    }

    async fn compare_and_swap(
        &mut self,
        key: String,
        expected: Option<Vec<u8>>,
        value: Vec<u8>,
        ttl_s: u32,
    ) -> wasmtime::Result<bool> {
        Ok(self
            .cache_key(&key)
            .is_some_and(|(key, cache)| cache.compare_and_swap(key, expected.as_deref(), value, ttl_s)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Key {
        Key { namespace: Namespace::new("plugin", "p"), name: name.into() }
    }

    #[tokio::test]
    async fn of_a_thousand_callers_one_fetches_and_all_get_the_value() {
        let cache = Arc::new(Cache::default());
        let fetched = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let callers = (0..1000).map(|_| {
            let (cache, fetched) = (Arc::clone(&cache), Arc::clone(&fetched));
            tokio::spawn(async move {
                match cache.claim(&key("k"), WAIT).await {
                    (Some(value), _) => value,
                    (None, Some(lease)) => {
                        fetched.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        cache.lock().put(key("k"), b"v".to_vec(), 60, Instant::now());
                        drop(lease);
                        b"v".to_vec()
                    }
                    (None, None) => panic!("busy"),
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            assert_eq!(caller.await.unwrap(), b"v");
        }
        assert_eq!(fetched.load(std::sync::atomic::Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_caller_that_dies_is_replaced_by_the_next() {
        let cache = Arc::new(Cache::default());
        let (_, first) = cache.claim(&key("k"), WAIT).await;
        let second = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.claim(&key("k"), WAIT).await.1.is_some() }
        });
        drop(first);
        assert!(second.await.unwrap());
    }

    #[tokio::test]
    async fn a_caller_that_is_slow_makes_the_others_busy() {
        let cache = Arc::new(Cache::default());
        let _lease = cache.claim(&key("k"), WAIT).await;
        assert!(matches!(cache.claim(&key("k"), Duration::from_millis(1)).await, (None, None)));
    }

    #[test]
    fn how_old_a_document_is() {
        let cache = Cache::default();
        let namespace = Namespace::new("plugin", "p");
        let now = Instant::now();
        let ago = |seconds| now.checked_sub(Duration::from_secs(seconds)).unwrap();
        assert_eq!(cache.age(&namespace, "jwks/"), None, "nothing is there");
        cache.lock().put(key("jwks/a"), b"failed".to_vec(), 10, now);
        cache.lock().put(key("discovery/a"), b"d".to_vec(), 3600, now);
        assert_eq!(cache.age(&namespace, "jwks/"), None, "a failure is no document");
        cache.lock().put(key("jwks/a"), b"{}".to_vec(), 3600, ago(120));
        assert_eq!(cache.age(&namespace, "jwks/").map(|age| age.as_secs() / 10), Some(12));
        cache.lock().put(key("jwks/b"), b"{}".to_vec(), 3600, ago(60));
        assert_eq!(cache.age(&namespace, "jwks/").map(|age| age.as_secs() / 10), Some(6), "the newest");
        assert_eq!(cache.age(&Namespace::new("plugin", "q"), "jwks/"), None, "another provider's");
        cache.lock().put(key("jwks/a"), b"{}".to_vec(), 61, ago(62));
        cache.lock().put(key("jwks/b"), b"{}".to_vec(), 61, ago(62));
        assert_eq!(cache.age(&namespace, "jwks/"), None, "over");
    }

    #[test]
    fn it_is_bounded_and_drops_what_expires_first() {
        let cache = Cache::default();
        let now = Instant::now();
        let mut inner = cache.lock();
        for number in 0..17_u32 {
            assert!(inner.put(key(&number.to_string()), vec![0; 1 << 20], 100 + number, now), "{number}");
        }
        assert!(inner.get(&key("0"), now).is_none());
        assert!(inner.get(&key("16"), now).is_some());
        assert!(!inner.put(key("huge"), vec![0; (1 << 20) + 1], 1, now));
    }
}
