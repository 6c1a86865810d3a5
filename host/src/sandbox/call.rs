//! One call of an export: a permit, a fresh store and instance, the bounds, and one error for each way to end badly. The
//! store is dropped after every call, good or bad, so nothing of one login is there for the next.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::SemaphorePermit;
use wasmtime::component::Instance;
use wasmtime::{Store, UpdateDeadline};

use super::call_error::{CallError, Stage, cause};
use super::engine::Runtime;
use super::export::{Export, Linked};
use super::limits::Limits;
use super::memory::Limiter;
use crate::capability::Grant;
use crate::metrics::SandboxMetrics;

/// What belongs to one call: its bounds, and what it was granted.
pub struct CallState {
    limiter: Limiter,
    ticks_left: u32,
    pub(crate) limits: Arc<Limits>,
    pub(crate) grant: Grant,
    pub(crate) metrics: SandboxMetrics,
    pub(crate) started: Instant,
    pub(crate) http_requests_left: u32,
    pub(crate) storage_calls_left: u32,
    pub(crate) cache_calls_left: u32,
    pub(crate) log_records_left: u32,
    pub(crate) log_records_dropped: u32,
}

impl CallState {
    /// Linear memory that the call has had at most, in bytes; it never shrinks.
    pub(super) fn memory_bytes(&self) -> usize {
        self.limiter.memory_peak
    }
}

/// A component, and the runtime that made it.
#[derive(Clone, Copy)]
pub(super) struct Callee<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) linked: &'a Linked,
}

impl Callee<'_> {
    /// Runs `body` on a fresh instance that has what `grant` gives, within these limits: of the same memory, which the pool has.
    pub(super) async fn run<T>(
        self,
        export: Export,
        grant: Grant,
        limits: &Arc<Limits>,
        body: impl AsyncFnOnce(&mut Store<CallState>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let place = admit(self.runtime, export, limits).await?;
        self.run_in(place, export, grant, limits, body).await
    }

    /// The same, in a place that was waited for.
    pub(super) async fn run_in<T>(
        self,
        _place: SemaphorePermit<'_>,
        export: Export,
        grant: Grant,
        limits: &Arc<Limits>,
        body: impl AsyncFnOnce(&mut Store<CallState>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        // On the heap only from here on: those that wait are many, and small.
        let outcome = Box::pin(self.bounded(grant, limits, body)).await;
        if let Err(error) = &outcome {
            self.runtime.metrics().failed(export, error);
        }
        outcome
    }

    async fn bounded<T>(
        self,
        grant: Grant,
        limits: &Arc<Limits>,
        body: impl AsyncFnOnce(&mut Store<CallState>, &Instance) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let _runs = self.runtime.metrics().runs();
        let mut store = store(self.runtime, grant, limits);
        let outcome = tokio::time::timeout(limits.call_wall, async {
            let made = self.linked.pre.instantiate_async(&mut store).await;
            let instance = made.map_err(|error| (error, Stage::Instantiation))?;
            body(&mut store, &instance).await.map_err(|error| (error, Stage::Export))
        })
        .await;
        let after = store.data();
        self.runtime.saw_memory(after.limiter.memory_peak);
        if after.log_records_dropped > 0 {
            tracing::warn!(dropped = after.log_records_dropped, trace = %after.grant.trace, "log records over the limit");
        }
        match outcome {
            Err(_) => Err(CallError::Timeout(limits.call_wall)),
            Ok(Err((error, stage))) => Err(cause(&error, stage, after.ticks_left, &after.limiter, limits)),
            Ok(Ok(value)) => Ok(value),
        }
    }
}

/// A place in the pool: beyond it instantiation fails instead of waiting, so the wait is here, first come, first served.
pub(super) async fn admit<'a>(
    runtime: &'a Runtime,
    export: Export,
    limits: &Limits,
) -> Result<SemaphorePermit<'a>, CallError> {
    if let Ok(permit) = runtime.gate().try_acquire() {
        return Ok(permit);
    }
    let busy = || {
        let busy = CallError::Busy(limits.concurrent_calls);
        runtime.metrics().failed(export, &busy);
        busy
    };
    let _place = runtime.queue().try_acquire().map_err(|_| busy())?;
    let _waits = runtime.metrics().waits();
    match tokio::time::timeout(limits.queue_wait, runtime.gate().acquire()).await {
        Ok(Ok(permit)) => Ok(permit),
        _ => Err(busy()),
    }
}

fn store(runtime: &Runtime, grant: Grant, limits: &Arc<Limits>) -> Store<CallState> {
    let state = CallState {
        limiter: Limiter::new(limits, runtime.shared_memory()),
        ticks_left: limits.call_cpu_ticks,
        metrics: if grant.is_counted() { runtime.metrics().clone() } else { SandboxMetrics::default() },
        grant,
        started: Instant::now(),
        http_requests_left: limits.http_requests,
        storage_calls_left: limits.storage_calls,
        cache_calls_left: limits.cache_calls,
        log_records_left: limits.log_records,
        log_records_dropped: 0,
        limits: Arc::clone(limits),
    };
    let mut store = Store::new(runtime.engine(), state);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(limits.hostcall_bytes);
    // One tick, then the callback decides: others get their turn on this worker at every tick.
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        state.ticks_left = state.ticks_left.saturating_sub(1);
        Ok(if state.ticks_left == 0 { UpdateDeadline::Interrupt } else { UpdateDeadline::Yield(1) })
    });
    store
}
