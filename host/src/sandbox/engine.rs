//! The one wasmtime engine of the process, its clock, and the linker with the contract's imports and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use super::LoadError;
use super::call::CallState;
use super::contract;
use super::limits::Limits;
use super::memory::SharedMemory;
use crate::metrics::SandboxMetrics;

/// Engine, linker and epoch clock: made once, shared by every plugin and call (one engine, one linker: GHSA-hgjw,
/// GHSA-hfr4).
pub struct Runtime {
    engine: Engine,
    linker: Linker<CallState>,
    limits: Arc<Limits>,
    directory_limits: Arc<Limits>,
    pooling: bool,
    gate: Semaphore,
    queue: Semaphore,
    asides: Semaphore,
    shared_memory: Arc<SharedMemory>,
    compiler: Arc<tokio::sync::Mutex<()>>,
    memory_peak: AtomicUsize,
    ticks: Arc<Ticks>,
    metrics: SandboxMetrics,
}

impl Runtime {
    /// Builds the engine, with the pooling allocator where the address space allows it, else with one allocation a call.
    pub fn new(limits: Limits) -> Result<Self, LoadError> {
        let directory_limits = Arc::new(limits.of_directory());
        let limits = Arc::new(limits);
        let (engine, pooling) = engine(&limits)?;
        Self::over(engine, pooling, limits, directory_limits)
    }

    /// One for a single call, of a component that is compiled for it alone: quickly rather than well, and without a pool.
    pub(super) fn scratch(limits: &Limits) -> Result<Self, LoadError> {
        let limits = Limits { concurrent_calls: 1, memory_source: None, perf_map: false, ..limits.clone() };
        let mut config = configuration(&limits, false);
        config.cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&config).map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let limits = Arc::new(limits);
        Self::over(engine, false, Arc::clone(&limits), limits)
    }

    fn over(
        engine: Engine,
        pooling: bool,
        limits: Arc<Limits>,
        directory_limits: Arc<Limits>,
    ) -> Result<Self, LoadError> {
        let mut linker = Linker::new(&engine);
        contract::link(&mut linker).map_err(|error| LoadError::Engine(format!("{error:#}")))?;
        let ticks = Arc::new(Ticks::default());
        start_epochs(&engine, limits.epoch_tick, &ticks)?;
        let metrics = SandboxMetrics::default();
        metrics.instances(limits.concurrent_calls);
        Ok(Self {
            gate: Semaphore::new(limits.concurrent_calls as usize),
            queue: Semaphore::new(limits.queued_calls as usize),
            asides: Semaphore::new(limits.asides() as usize),
            shared_memory: Arc::new(SharedMemory::new(&limits)),
            compiler: Arc::default(),
            memory_peak: AtomicUsize::new(0),
            metrics,
            ticks,
            engine,
            linker,
            limits,
            directory_limits,
            pooling,
        })
    }

    /// The engine that compiled every component of this runtime.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// An engine that compiles for this one, and runs nothing. It is dropped afterwards, with what a compiler keeps for the next
    /// time: some 25 MiB, for as long as the process lives.
    pub(super) fn compiler_engine(&self) -> wasmtime::Result<Engine> {
        Engine::new(&configuration(&self.limits, false))
    }

    /// The bounds that every call runs under.
    pub fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    /// Those of a call that reads a directory.
    pub fn directory_limits(&self) -> &Arc<Limits> {
        &self.directory_limits
    }

    /// Whether instances come from the pool.
    pub fn is_pooling(&self) -> bool {
        self.pooling
    }

    /// What is measured of its calls.
    pub fn metrics(&self) -> &SandboxMetrics {
        &self.metrics
    }

    /// Whether the epoch clock runs: without it nothing stops a call that loops.
    pub fn is_ticking(&self) -> bool {
        self.ticks.is_running()
    }

    /// The most linear memory that a call had at its end, in bytes: of all calls since the start, those that failed too.
    pub fn memory_peak(&self) -> usize {
        self.memory_peak.load(Ordering::Relaxed)
    }

    /// A call has ended that had this much.
    pub(super) fn saw_memory(&self, bytes: usize) {
        self.memory_peak.fetch_max(bytes, Ordering::Relaxed);
    }

    /// One place in the pool each: during a reload two plugins share it.
    pub(super) fn gate(&self) -> &Semaphore {
        &self.gate
    }

    /// A place for each call that waits for one of [`Runtime::gate`].
    pub(super) fn queue(&self) -> &Semaphore {
        &self.queue
    }

    /// What all calls together may have beyond their own.
    pub(super) fn shared_memory(&self) -> &Arc<SharedMemory> {
        &self.shared_memory
    }

    /// A place for each call beside a sign-in, which takes one of [`Runtime::gate`] as well.
    pub(super) fn asides(&self) -> &Semaphore {
        &self.asides
    }

    /// Whoever compiles holds it.
    pub(super) fn compiler(&self) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(&self.compiler)
    }

    pub(super) fn linker(&self) -> &Linker<CallState> {
        &self.linker
    }
}

/// When the epoch clock ticked last.
struct Ticks {
    since: Instant,
    last_ms: AtomicU64,
}

/// A tick takes 10 ms; a machine may be busy for a while.
const TICKS_STOPPED: Duration = Duration::from_secs(5);

impl Default for Ticks {
    fn default() -> Self {
        Self { since: Instant::now(), last_ms: AtomicU64::new(0) }
    }
}

impl Ticks {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn tick(&self) {
        self.last_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    fn is_running(&self) -> bool {
        let ago = self.now_ms().saturating_sub(self.last_ms.load(Ordering::Relaxed));
        Duration::from_millis(ago) < TICKS_STOPPED
    }
}

/// The engine, and whether it has a pool.
fn engine(limits: &Limits) -> Result<(Engine, bool), LoadError> {
    if limits.memory_source.is_none() {
        match Engine::new(&configuration(limits, true)) {
            Ok(engine) => return Ok((engine, true)),
            Err(error) => {
                tracing::warn!(%error, "no pooled instances on this machine: each call allocates its own (ulimit -v?)");
            }
        }
    }
    let engine = Engine::new(&configuration(limits, false));
    Ok((engine.map_err(|error| LoadError::Engine(format!("{error:#}")))?, false))
}

/// Advances the engine's epoch every tick, on a thread of its own: it must run when every worker is inside a component.
/// It ends with the engine.
fn start_epochs(engine: &Engine, tick: Duration, ticks: &Arc<Ticks>) -> Result<(), LoadError> {
    let weak = engine.weak();
    let ticks = Arc::clone(ticks);
    std::thread::Builder::new()
        .name("epochs".into())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                ticks.tick();
                drop(engine);
                std::thread::sleep(tick);
            }
        })
        .map(|_| ())
        .map_err(|error| LoadError::Engine(format!("no thread for the epoch clock: {error}")))
}

/// The configuration, knob by knob. What isn't named keeps wasmtime's default (guard pages, copy-on-write images,
/// signals-based traps).
fn configuration(limits: &Limits, pooling: bool) -> Config {
    let mut config = Config::new();
    // Stops endless loops; about 10 % cost where fuel would take two to three times as long.
    config.epoch_interruption(true);
    // What a host function gets of the fiber's stack is the difference of the two.
    config.max_wasm_stack(512 << 10);
    config.async_stack_size(2 << 20);
    // 64 x 64 -> 128 bit multiplication: RSA in the component takes a quarter of the time.
    config.wasm_wide_arithmetic(true);
    // What the component doesn't use is attack surface for nothing; several of these came with advisories in 2025 and 2026.
    config.gc_support(false);
    config.wasm_threads(false);
    config.wasm_memory64(false);
    config.wasm_multi_memory(false);
    config.wasm_tail_call(false);
    config.wasm_simd(false);
    config.wasm_relaxed_simd(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_extended_const(false);
    config.concurrency_support(false);
    if pooling {
        let calls = limits.concurrent_calls;
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(calls);
        pool.total_memories(calls);
        pool.total_stacks(calls);
        // An encoded component has two tables and three core instances (the shim's among them).
        pool.total_tables(calls.saturating_mul(3));
        pool.total_core_instances(calls.saturating_mul(4));
        // One that needs more would take other calls' places: it isn't loaded.
        pool.max_tables_per_component(3);
        pool.max_core_instances_per_component(4);
        pool.max_memories_per_component(1);
        pool.max_memory_size(limits.memory_bytes);
        pool.table_elements(limits.table_elements);
        // What a call has written is put back in place, and its pages stay for the next one, which then faults on none of them: a sign-in
        // writes to some 0.3 MiB, of its stack, its data and its heap, that lie far apart. The kernel says which pages those are (Linux 6.7);
        // where it can't, the first of them in order are put back, and the others are given up.
        pool.pagemap_scan(Enabled::Auto);
        pool.linear_memory_keep_resident(512 << 10);
        pool.table_keep_resident(64 << 10);
        pool.max_unused_warm_slots(calls / 8);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    } else {
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    }
    if limits.perf_map {
        config.profiler(wasmtime::ProfilingStrategy::PerfMap);
    }
    if let Some(source) = &limits.memory_source {
        // No reservation and no guard pages: bounds are checked in code, so that memory may lie anywhere.
        config.memory_reservation(0).memory_guard_size(0).memory_init_cow(false);
        config.with_host_memory(Arc::clone(&source.0));
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stands_still_is_noticed() {
        let ticks = Ticks { since: Instant::now().checked_sub(TICKS_STOPPED * 2).unwrap(), ..Ticks::default() };
        assert!(!ticks.is_running(), "it never ticked");
        ticks.tick();
        assert!(ticks.is_running());
    }
}
