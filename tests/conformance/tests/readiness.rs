//! `/health` and `/ready` tell the truth: about the storage, the providers' keys, and a host that is stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use conformance::{Answer, Entra, HostOptions, TestHost, entra_provider, register};
use defguard_openid_host::storage::{Entry, Key, MemoryStorage, Namespace, Storage, StorageError};
use entra_emulator::fixtures::person;
use entra_emulator::{Emulator, Seed};
use serde_json::json;

/// A storage that does what a test says: 0 works, 1 fails, 2 doesn't answer.
#[derive(Default)]
struct Moody {
    inner: MemoryStorage,
    mood: AtomicU8,
}

impl Moody {
    async fn mood(&self) -> Result<(), StorageError> {
        match self.mood.load(Ordering::SeqCst) {
            0 => Ok(()),
            1 => Err(StorageError::Unavailable("secret-host.internal:6379 refused".into())),
            _ => std::future::pending().await,
        }
    }
}

#[async_trait]
impl Storage for Moody {
    async fn get(&self, key: &Key, now: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.mood().await?;
        self.inner.get(key, now).await
    }

    async fn put(&self, key: Key, entry: Entry, now: u64) -> Result<(), StorageError> {
        self.mood().await?;
        self.inner.put(key, entry, now).await
    }

    async fn take(&self, key: Key, now: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.mood().await?;
        self.inner.take(key, now).await
    }

    async fn compare_and_swap(
        &self,
        key: Key,
        expected: Option<Vec<u8>>,
        entry: Entry,
        now: u64,
    ) -> Result<bool, StorageError> {
        self.mood().await?;
        self.inner.compare_and_swap(key, expected, entry, now).await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        self.mood().await?;
        self.inner.list(namespace, prefix, after, limit, now).await
    }

    async fn sweep(&self, now: u64) -> Result<u64, StorageError> {
        self.inner.sweep(now).await
    }
}

async fn ready(host: &TestHost) -> Answer {
    conformance::Browser::new(&host.url).get("/ready").await
}

/// Waits until `/ready` says so: what it knows of the storage may be a second old.
async fn becomes(host: &TestHost, name: &str, status: u16) -> Answer {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ready(host).await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "{name}: {} {}", answer.status, answer.body);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_comes_and_goes() {
    let entra = Emulator::start(Seed::demo()).await.unwrap();
    let storage = Arc::new(Moody::default());
    let options = HostOptions::default().with_provider(&entra_provider(&entra));
    let host = TestHost::try_start_over(options, Some(Arc::clone(&storage) as Arc<dyn Storage>)).await.unwrap();
    register(&entra, &host);
    assert_eq!(ready(&host).await.json()["status"], "ready");
    for (name, mood) in [("it fails", 1), ("it doesn't answer", 2)] {
        storage.mood.store(mood, Ordering::SeqCst);
        let answer = becomes(&host, name, 503).await;
        let body = answer.json();
        assert_eq!((&body["status"], &body["storage"]), (&json!("unready"), &json!({ "reachable": false })), "{name}");
        assert_eq!(body["reasons"][0]["code"], "storage_unreachable", "{name}: {}", answer.body);
        assert!(!answer.body.contains("secret-host"), "{name}: its words are the log's: {}", answer.body);
        let alive = conformance::Browser::new(&host.url).get("/health").await;
        assert_eq!((alive.status, &alive.json()["status"]), (200, &json!("ok")), "{name}: a restart wouldn't mend it");
        storage.mood.store(0, Ordering::SeqCst);
        becomes(&host, name, 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_known_when_somebody_has_signed_in() {
    let stack = Entra::plain().await;
    let before = ready(&stack.host).await;
    assert_eq!(
        (before.status, &before.json()["providers"][0]),
        (200, &json!({ "id": "entra", "keys": "unknown", "keys_age_s": null }))
    );
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    let after = ready(&stack.host).await.json();
    assert_eq!(after["providers"][0]["keys"], "known", "{after}");
    assert!(after["providers"][0]["keys_age_s"].as_u64().unwrap() < 60, "{after}");
    assert_eq!(after["plugin"]["sha256"], stack.host.gateway.plugin().sha256());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_stops_says_so() {
    let stack = Entra::plain().await;
    stack.host.gateway.drain();
    let answer = ready(&stack.host).await;
    assert_eq!((answer.status, &answer.json()["reasons"][0]["code"]), (503, &json!("draining")), "{}", answer.body);
    let health = stack.browser().get("/health").await;
    assert_eq!((health.status, &health.json()["status"]), (200, &json!("draining")), "it lives: {}", health.body);
}
