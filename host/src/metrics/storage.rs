//! A storage whose operations are counted and timed, whichever backend it is.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tracing::Instrument as _;

use crate::storage::{Entry, Key, Namespace, Renewed, Storage, StorageError};
use crate::telemetry::span;

/// Upper bounds of how long an operation took, in seconds: of memory, of a file, of a network.
const OPERATION_SECONDS: [f64; 10] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    backend: &'static str,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabels {
    backend: &'static str,
    operation: &'static str,
}

/// Clones count together.
#[derive(Clone)]
pub struct StorageMetrics {
    operations: Family<OutcomeLabels, Counter>,
    durations: Family<OperationLabels, Histogram>,
}

impl Default for StorageMetrics {
    fn default() -> Self {
        Self {
            operations: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(OPERATION_SECONDS)),
        }
    }
}

impl StorageMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("storage_operations", "Operations of the storage that ended", self.operations.clone());
        registry.register_with_unit(
            "storage_operation_duration",
            "How long operations of the storage took",
            Unit::Seconds,
            self.durations.clone(),
        );
    }
}

/// The storage, and what it is counted as.
pub struct Measured {
    inner: Arc<dyn Storage>,
    backend: &'static str,
    metrics: StorageMetrics,
}

impl Measured {
    /// `backend`: `memory`, `redb` …, the metric's label.
    pub fn new(inner: Arc<dyn Storage>, backend: &'static str, metrics: StorageMetrics) -> Self {
        Self { inner, backend, metrics }
    }

    async fn timed<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        let started = Instant::now();
        let result = work.instrument(span!("storage", operation, backend = self.backend)).await;
        let outcome = match &result {
            Ok(_) => "ok",
            Err(StorageError::QuotaExceeded) => "quota_exceeded",
            Err(_) => "unavailable",
        };
        let backend = self.backend;
        self.metrics.operations.get_or_create(&OutcomeLabels { backend, operation, outcome }).inc();
        let took = started.elapsed().as_secs_f64();
        self.metrics.durations.get_or_create(&OperationLabels { backend, operation }).observe(took);
        result
    }
}

#[async_trait]
impl Storage for Measured {
    async fn get(&self, key: &Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.timed("get", self.inner.get(key, now_unix_ms)).await
    }

    async fn put(&self, key: Key, entry: Entry, now_unix_ms: u64) -> Result<(), StorageError> {
        self.timed("put", self.inner.put(key, entry, now_unix_ms)).await
    }

    async fn take(&self, key: Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError> {
        self.timed("take", self.inner.take(key, now_unix_ms)).await
    }

    async fn compare_and_swap(
        &self,
        key: Key,
        expected: Option<Vec<u8>>,
        entry: Entry,
        now_unix_ms: u64,
    ) -> Result<bool, StorageError> {
        self.timed("compare_and_swap", self.inner.compare_and_swap(key, expected, entry, now_unix_ms)).await
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now_unix_ms: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        self.timed("list", self.inner.list(namespace, prefix, after, limit, now_unix_ms)).await
    }

    async fn renew(&self, now_unix_ms: u64) -> Result<Renewed, StorageError> {
        self.timed("renew", self.inner.renew(now_unix_ms)).await
    }

    async fn sweep(&self, now_unix_ms: u64) -> Result<u64, StorageError> {
        self.timed("sweep", self.inner.sweep(now_unix_ms)).await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.timed("ping", self.inner.ping()).await
    }
}
