//! Every number that bounds the component, in one table. Facts behind them: the wasmtime documentation of each knob, and
//! the measurements in `docs/decisions/0002-sandbox.md`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What one plugin and its calls may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Calls that may run at the same time; more of them wait, `queued_calls` at most, each up to `queue_wait`.
    pub concurrent_calls: u32,
    /// Calls that may wait for a free instance; one more is refused as busy at once. Each costs some KiB.
    pub queued_calls: u32,
    /// How long a call waits for a free instance before it is refused as busy. A provider that is merely slow must not be the
    /// reason: 10 000 people who come back within a second, with answers that take one, are all in within this. Whoever closes
    /// the connection before leaves the queue, with a transaction that is good yet.
    pub queue_wait: Duration,
    /// Wall clock of one call, everything in it included. Browsers and proxies give up at 30 s or later.
    pub call_wall: Duration,
    /// Processor time of one call, in ticks of [`Limits::epoch_tick`].
    pub call_cpu_ticks: u32,
    /// The granularity of processor time.
    pub epoch_tick: Duration,
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: usize,
    /// How much of that every instance may have whatever the others have, in bytes: a sign-in needs a third of it.
    pub memory_own_bytes: usize,
    /// What all instances together may have beyond [`Limits::memory_own_bytes`] each, in bytes.
    pub memory_shared_bytes: usize,
    /// Elements of each table.
    pub table_elements: usize,
    /// Bytes that the component may hand to the host in one call of an import, or as the answer of an export.
    pub hostcall_bytes: usize,
    /// Handles to resources: the contract has none.
    pub component_handles: usize,
    /// HTTP requests of one call.
    pub http_requests: u32,
    /// Requests that `send-all` takes.
    pub http_batch: usize,
    /// Longest wait for one HTTP response.
    pub http_timeout: Duration,
    /// Largest HTTP response body, in bytes.
    pub http_response_bytes: u64,
    /// Largest HTTP request body, in bytes.
    pub http_request_bytes: usize,
    /// Log records of one call.
    pub log_records: u32,
    /// Uses of `storage` in one call; a sign-in has one in each of its two.
    pub storage_calls: u32,
    /// Uses of `cache` in one call.
    pub cache_calls: u32,
    /// Keys that one call may be elected to fetch at the same time.
    pub cache_leases: usize,
    /// Largest plugin file, in bytes.
    pub plugin_bytes: u64,
    /// How long a plugin may take to compile.
    pub compile_wall: Duration,
    /// Where linear memory comes from in place of the pool: for the test that looks into it.
    #[doc(hidden)]
    pub memory_source: Option<MemorySource>,
    /// Whether perf(1) is told where which compiled function is (`/tmp/perf-PID.map`): for the flame graph of the benches.
    #[doc(hidden)]
    pub perf_map: bool,
}

/// Makes linear memories. Only tests have one: what a component's memory holds can't be seen from outside otherwise.
#[doc(hidden)]
#[derive(Clone)]
pub struct MemorySource(pub Arc<dyn wasmtime::MemoryCreator>);

impl fmt::Debug for MemorySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("MemorySource")
    }
}

impl Limits {
    /// Of a call that reads a page of a directory: one group of 60 000 members has 7 MB of JSON. Nobody waits for it.
    #[must_use]
    pub fn of_directory(&self) -> Self {
        Self {
            http_response_bytes: self.http_response_bytes.saturating_mul(8),
            hostcall_bytes: self.hostcall_bytes.saturating_mul(8),
            call_cpu_ticks: self.call_cpu_ticks.saturating_mul(5),
            ..self.clone()
        }
    }

    /// Of a call that somebody who signs in waits for, `budget` and [`ASIDE_MARGIN`] at most: it reads one person.
    #[must_use]
    pub fn of_person(&self, budget: Duration) -> Self {
        let wall = budget.saturating_add(ASIDE_MARGIN);
        let ticks = wall.as_millis().div_ceil(self.epoch_tick.as_millis().max(1));
        Self {
            call_wall: wall.min(self.call_wall),
            call_cpu_ticks: u32::try_from(ticks).unwrap_or(u32::MAX).min(self.call_cpu_ticks),
            queue_wait: budget.min(self.queue_wait),
            http_timeout: budget.min(self.http_timeout),
            ..self.clone()
        }
    }

    /// How much memory an instance of a prepared plugin may begin with, in bytes. The rest of [`Limits::memory_own_bytes`] is for the call, so that
    /// a crowd of calls takes nothing of [`Limits::memory_shared_bytes`].
    #[must_use]
    pub fn memory_first_bytes(&self) -> usize {
        self.memory_own_bytes / 4 * 3
    }

    /// How many of [`Limits::concurrent_calls`] may be such: with a directory that hangs, the rest is there for sign-ins.
    #[must_use]
    pub fn asides(&self) -> u32 {
        (self.concurrent_calls / 2).max(1)
    }
}

/// What the component may take beyond the time that it was told, for its own work.
pub const ASIDE_MARGIN: Duration = Duration::from_millis(100);

impl Default for Limits {
    fn default() -> Self {
        Self {
            concurrent_calls: 256, // each has some 0.5 MiB in use: with 10 000 waiting the process stays within 512 MiB
            queued_calls: 16_384,
            queue_wait: Duration::from_secs(60),
            call_wall: Duration::from_secs(25),
            call_cpu_ticks: 200, // 2 s; a login takes well under one tick
            epoch_tick: Duration::from_millis(10),
            memory_bytes: 64 << 20,
            memory_own_bytes: 4 << 20,
            memory_shared_bytes: 512 << 20,
            table_elements: 10_000,
            hostcall_bytes: 4 << 20,
            component_handles: 256,
            http_requests: 64,
            http_batch: 16,
            http_timeout: Duration::from_secs(10),
            http_response_bytes: 1 << 20,
            http_request_bytes: 64 << 10,
            log_records: 64,
            storage_calls: 64,
            cache_calls: 256,
            cache_leases: 16,
            plugin_bytes: 16 << 20,
            memory_source: None,
            perf_map: false,
            compile_wall: Duration::from_secs(120), // ours takes a second or two
        }
    }
}
