//! One call of an export: a permit, a fresh store and instance, the bounds, and one error for each way to end badly. The
//! store is dropped after every call, good or bad, so nothing of one login is there for the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::{ResourceLimiter, Store, StoreLimits, StoreLimitsBuilder, Trap, UpdateDeadline};

use super::bindings::{Plugin, PluginPre};
use super::engine::Runtime;
use super::limits::Limits;
use crate::capability::Grant;
use crate::metrics::SandboxMetrics;

/// Why a call of the component gave no answer. The host goes on in every case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// All instances were in use for longer than a call waits.
    #[error("all {0} instances of the plugin were busy for too long")]
    Busy(u32),
    /// No instance could be made.
    #[error("no instance of the plugin could be made: {0}")]
    Instantiate(String),
    /// The wall clock ran out.
    #[error("the plugin had not answered within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The processor time ran out.
    #[error("the plugin used more than {} ms of processor time", .0.as_millis())]
    CpuExhausted(Duration),
    /// It asked for more memory than it may have.
    #[error("the plugin asked for more than its {0} bytes of memory")]
    MemoryExhausted(usize),
    /// Its call stack was too deep.
    #[error("the plugin's call stack overflowed")]
    StackOverflow,
    /// It stopped itself, or broke a rule of the ABI.
    #[error("the plugin trapped: {0}")]
    Trap(String),
}

impl CallError {
    /// A stable name, for metrics, logs and error answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy(_) => "plugin_busy",
            Self::Instantiate(_) => "plugin_unavailable",
            Self::Timeout(_) => "plugin_timeout",
            Self::CpuExhausted(_) => "plugin_cpu_exhausted",
            Self::MemoryExhausted(_) => "plugin_memory_exhausted",
            Self::StackOverflow => "plugin_stack_overflow",
            Self::Trap(_) => "plugin_trapped",
        }
    }
}

/// What belongs to one call: its bounds, and what it was granted.
pub struct CallState {
    limiter: Limiter,
    ticks_left: u32,
    pub(crate) limits: Arc<Limits>,
    pub(crate) grant: Grant,
    pub(crate) metrics: SandboxMetrics,
    pub(crate) started: Instant,
    pub(crate) http_requests_left: u32,
    pub(crate) log_records_left: u32,
    pub(crate) log_records_dropped: u32,
}

/// wasmtime's limiter, which also remembers that it was the memory that ran out, and how much there was at most.
struct Limiter {
    inner: StoreLimits,
    memory_refused: bool,
    memory_peak: usize,
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = self.inner.memory_growing(current, desired, maximum);
        // Instantiation comes by here too, and memory never shrinks.
        if matches!(allowed, Ok(true)) {
            self.memory_peak = self.memory_peak.max(desired);
        } else {
            self.memory_refused = true;
        }
        allowed
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.inner.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.inner.instances()
    }

    fn tables(&self) -> usize {
        self.inner.tables()
    }

    fn memories(&self) -> usize {
        self.inner.memories()
    }
}

/// Runs `body` on a fresh instance that has what `grant` gives, within the limits of the runtime.
pub(super) async fn run<T>(
    runtime: &Runtime,
    pre: &PluginPre<CallState>,
    grant: Grant,
    body: impl AsyncFnOnce(&mut Store<CallState>, &Plugin) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    run_within(runtime, pre, grant, runtime.limits(), body).await
}

/// As [`run`], within other limits: of the same memory, which the pool has.
pub(super) async fn run_within<T>(
    runtime: &Runtime,
    pre: &PluginPre<CallState>,
    grant: Grant,
    limits: &Arc<Limits>,
    body: impl AsyncFnOnce(&mut Store<CallState>, &Plugin) -> wasmtime::Result<T>,
) -> Result<T, CallError> {
    // Beyond the pool instantiation fails instead of waiting: so wait here.
    let waits = runtime.metrics().waits();
    let Ok(Ok(_permit)) = tokio::time::timeout(limits.queue_wait, runtime.gate().acquire()).await else {
        return Err(CallError::Busy(limits.concurrent_calls));
    };
    drop(waits);
    let _runs = runtime.metrics().runs();
    let mut store = store(runtime, grant, limits);
    let outcome = tokio::time::timeout(limits.call_wall, async {
        let plugin =
            pre.instantiate_async(&mut store).await.map_err(|error| CallError::Instantiate(format!("{error:#}")))?;
        body(&mut store, &plugin).await.map_err(|error| cause(&error, limits))
    })
    .await;
    let state = store.data();
    runtime.saw_memory(state.limiter.memory_peak);
    if state.log_records_dropped > 0 {
        tracing::warn!(dropped = state.log_records_dropped, trace = %state.grant.trace, "log records over the limit");
    }
    match outcome {
        Err(_) => Err(CallError::Timeout(limits.call_wall)),
        Ok(Err(CallError::Trap(_))) if state.ticks_left == 0 => {
            Err(CallError::CpuExhausted(limits.epoch_tick.saturating_mul(limits.call_cpu_ticks)))
        }
        Ok(Err(CallError::Trap(_))) if state.limiter.memory_refused => {
            Err(CallError::MemoryExhausted(limits.memory_bytes))
        }
        Ok(result) => result,
    }
}

fn store(runtime: &Runtime, grant: Grant, limits: &Arc<Limits>) -> Store<CallState> {
    let limiter = Limiter {
        inner: StoreLimitsBuilder::new()
            .memory_size(limits.memory_bytes)
            .table_elements(limits.table_elements)
            .memories(1)
            .tables(4)
            .instances(8)
            .build(),
        memory_refused: false,
        memory_peak: 0,
    };
    let state = CallState {
        limiter,
        ticks_left: limits.call_cpu_ticks,
        grant,
        metrics: runtime.metrics().clone(),
        started: Instant::now(),
        http_requests_left: limits.http_requests,
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

/// The cause of a failed call. Traps carry the component's symbols at most, never a value.
fn cause(error: &wasmtime::Error, limits: &Limits) -> CallError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => CallError::StackOverflow,
        Some(Trap::Interrupt) => CallError::CpuExhausted(limits.epoch_tick.saturating_mul(limits.call_cpu_ticks)),
        Some(trap) => CallError::Trap(trap.to_string()),
        None => CallError::Trap(error.root_cause().to_string()),
    }
}
