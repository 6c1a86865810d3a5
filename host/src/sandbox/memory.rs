//! What linear memory and tables a call may have: its own bounds, and a share of what all calls together may have beyond
//! what each of them is sure of. So a plugin that takes all it can get takes nothing from the sign-ins beside it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

use super::Limits;

/// What is left of [`Limits::memory_shared_bytes`].
#[derive(Debug)]
pub(super) struct SharedMemory(AtomicUsize);

impl SharedMemory {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(AtomicUsize::new(limits.memory_shared_bytes))
    }

    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::AcqRel);
    }
}

/// wasmtime's limiter, which also remembers what it refused, and how much memory there was at most.
pub(super) struct Limiter {
    inner: StoreLimits,
    own: usize,
    shared: Arc<SharedMemory>,
    /// Taken from `shared`, until this is dropped.
    taken: usize,
    pub(super) memory_refused: bool,
    /// Refused for what the others have.
    pub(super) shared_refused: bool,
    pub(super) table_refused: bool,
    pub(super) memory_peak: usize,
}

impl Limiter {
    pub(super) fn new(limits: &Limits, shared: &Arc<SharedMemory>) -> Self {
        Self {
            inner: StoreLimitsBuilder::new()
                .memory_size(limits.memory_bytes)
                .table_elements(limits.table_elements)
                .memories(1)
                .tables(4)
                .instances(8)
                .build(),
            own: limits.memory_own_bytes,
            shared: Arc::clone(shared),
            taken: 0,
            memory_refused: false,
            shared_refused: false,
            table_refused: false,
            memory_peak: 0,
        }
    }

    /// Takes what `desired` needs beyond this call's own; whether there was as much.
    fn share(&mut self, desired: usize) -> bool {
        let more = desired.saturating_sub(self.own).saturating_sub(self.taken);
        let has = self.shared.take(more);
        if has {
            self.taken = self.taken.saturating_add(more);
        }
        has
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.shared.give_back(self.taken);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let own = self.inner.memory_growing(current, desired, maximum)?;
        let allowed = own && self.share(desired);
        self.shared_refused |= own && !allowed;
        // Instantiation comes by here too, and memory never shrinks.
        if allowed {
            self.memory_peak = self.memory_peak.max(desired);
        } else {
            self.memory_refused = true;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let allowed = self.inner.table_growing(current, desired, maximum)?;
        self.table_refused |= !allowed;
        Ok(allowed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_call_takes_is_not_taken_from_the_others_share() {
        let limits = Limits { memory_own_bytes: 100, memory_shared_bytes: 50, memory_bytes: 140, ..Limits::default() };
        let shared = Arc::new(SharedMemory::new(&limits));
        let (mut greedy, mut modest) = (Limiter::new(&limits, &shared), Limiter::new(&limits, &shared));
        assert!(greedy.memory_growing(0, 100, None).unwrap());
        assert!(greedy.memory_growing(100, 140, None).unwrap());
        assert!(!greedy.memory_growing(140, 141, None).unwrap(), "its own bound");
        assert!(modest.memory_growing(0, 100, None).unwrap(), "what everybody is sure of");
        assert!(!modest.memory_growing(100, 120, None).unwrap(), "the greedy one has the rest");
        assert!(modest.memory_refused && modest.shared_refused);
        assert!(greedy.memory_refused && !greedy.shared_refused);
        drop(greedy);
        assert!(modest.memory_growing(100, 140, None).unwrap(), "it came back");
        assert_eq!(modest.memory_peak, 140);
    }
}
