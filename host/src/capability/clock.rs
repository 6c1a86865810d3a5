//! `clock`: the time, for the component and for what expires in the host.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::sandbox::CallState;
use crate::sandbox::bindings::defguard::openid::clock;

/// Where the time comes from; tests have one of their own.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    fn now_unix_ms(&self) -> u64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_unix_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl CallState {
    /// No time in an instance whose memory is kept: it would be that of every later one.
    fn refuse_clock_in_preparation(&self) -> wasmtime::Result<()> {
        if self.grant.is_preparation {
            return Err(wasmtime::Error::msg(
                "clock in preparation.prepare: every sign-in would begin at the same time",
            ));
        }
        Ok(())
    }
}

impl clock::Host for CallState {
    async fn now_unix_ms(&mut self) -> wasmtime::Result<u64> {
        self.refuse_clock_in_preparation()?;
        Ok(self
            .grant
            .provider
            .as_ref()
            .map_or_else(|| SystemClock.now_unix_ms(), |context| context.clock.now_unix_ms()))
    }

    async fn monotonic_ms(&mut self) -> wasmtime::Result<u64> {
        self.refuse_clock_in_preparation()?;
        Ok(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
