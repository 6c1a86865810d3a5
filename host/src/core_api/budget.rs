//! The time of one hand-over: all its calls share it, so that a slow Core costs the person no more than that.

use std::time::{Duration, Instant};

/// When it must be over.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    total: Duration,
    ends: Instant,
}

impl Budget {
    /// From now on.
    pub fn new(total: Duration) -> Self {
        Self { total, ends: Instant::now() + total }
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now())
    }

    /// All of it.
    pub fn total(&self) -> Duration {
        self.total
    }
}
