//! The emulator's clock: the machine's time plus an offset that tests move. Tokens and sessions live by it; timeouts do not.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Real time with an adjustable offset.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    offset_s: AtomicI64,
}

impl Clock {
    /// Unix seconds now.
    pub(crate) fn now_unix_s(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
        i64::try_from(real).unwrap_or(i64::MAX).saturating_add(self.offset_s.load(Ordering::SeqCst))
    }

    /// Moves the clock by this many seconds, backwards if negative.
    pub(crate) fn advance(&self, seconds: i64) {
        self.offset_s.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Back to real time.
    pub(crate) fn reset(&self) {
        self.offset_s.store(0, Ordering::SeqCst);
    }
}
