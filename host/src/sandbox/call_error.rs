//! Why a call of the component gave no answer: one case, and one code, for each way to end badly.

use std::time::Duration;

use wasmtime::Trap;

use super::Limits;
use super::memory::Limiter;
use crate::text::clean;

/// Bytes of wasmtime's words on a failure: they may repeat names that the component gave to its functions.
const REASON_BYTES: usize = 256;

/// Why a call of the component gave no answer. The host goes on in every case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// All instances were in use for longer than a call waits, or too many wait already.
    #[error("all {0} instances of the plugin were busy for too long, or too many calls wait for one")]
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
    /// It asked for more memory than it may have, or than there is for all.
    #[error("the plugin asked for more than its {0} bytes of memory")]
    MemoryExhausted(usize),
    /// It asked for memory of which all calls together have no more: others took it.
    #[error("the plugin asked for memory, and all calls together have no more")]
    MemoryShared,
    /// It asked for a larger table than it may have.
    #[error("the plugin asked for a table of more than {0} elements")]
    TableExhausted(usize),
    /// Its call stack was too deep.
    #[error("the plugin's call stack overflowed")]
    StackOverflow,
    /// It handed over more than the host takes, as an argument of an import or as its answer.
    #[error("the plugin handed over more than {0} bytes at once")]
    TooMuchData(usize),
    /// It stopped itself.
    #[error("the plugin trapped: {0}")]
    Trap(String),
    /// What it handed over isn't encoded as the component model has it: a pointer outside its memory, text that isn't UTF-8,
    /// a case that a variant doesn't have; or it broke a rule of an import that ends the call.
    #[error("the plugin broke the rules of the interface: {0}")]
    Interface(String),
    /// Its answer isn't what the contract promises of it.
    #[error("the plugin's answer breaks the contract: {0}")]
    Contract(&'static str),
}

impl CallError {
    /// A stable name, for metrics, logs and error answers.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Busy(_) => "plugin_busy",
            Self::Instantiate(_) => "plugin_unavailable",
            Self::Timeout(_) => "plugin_timeout",
            Self::CpuExhausted(_) => "plugin_cpu_exhausted",
            Self::MemoryExhausted(_) | Self::MemoryShared => "plugin_memory_exhausted",
            Self::TableExhausted(_) => "plugin_table_exhausted",
            Self::StackOverflow => "plugin_stack_overflow",
            Self::TooMuchData(_) => "plugin_too_much_data",
            Self::Trap(_) => "plugin_trapped",
            Self::Interface(_) => "plugin_interface_broken",
            Self::Contract(_) => "plugin_contract_broken",
        }
    }
}

impl CallError {
    /// Whether what the instance did, or began with, is the cause: not a place that wasn't free, a provider that didn't answer, a machine
    /// without memory, or what others took.
    pub(super) fn is_of_the_instance(&self) -> bool {
        !matches!(self, Self::Busy(_) | Self::Timeout(_) | Self::Instantiate(_) | Self::MemoryShared)
    }
}

/// Where a call was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Its instance was being made: no code of the component ran, or its start function did.
    Instantiation,
    /// In an export.
    Export,
}

/// What wasmtime's error means, with what the bounds saw. `ticks_left`: of the processor time.
pub(super) fn cause(
    error: &wasmtime::Error,
    stage: Stage,
    ticks_left: u32,
    limiter: &Limiter,
    limits: &Limits,
) -> CallError {
    let reason = clean(&error.root_cause().to_string(), REASON_BYTES);
    let trap = error.downcast_ref::<Trap>();
    // A component that is refused memory may end in any way it likes: the refusal is the cause.
    match trap {
        _ if ticks_left == 0 || trap == Some(&Trap::Interrupt) => {
            CallError::CpuExhausted(limits.epoch_tick.saturating_mul(limits.call_cpu_ticks))
        }
        Some(Trap::StackOverflow) => CallError::StackOverflow,
        _ if limiter.shared_refused => CallError::MemoryShared,
        _ if limiter.memory_refused => CallError::MemoryExhausted(limits.memory_bytes),
        _ if limiter.table_refused => CallError::TableExhausted(limits.table_elements),
        Some(_) => CallError::Trap(reason),
        None if stage == Stage::Instantiation => CallError::Instantiate(reason),
        // wasmtime keeps the type to itself.
        None if reason.contains("fuel allocated for hostcalls") => CallError::TooMuchData(limits.hostcall_bytes),
        None => CallError::Interface(reason),
    }
}
