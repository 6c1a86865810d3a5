//! `random`: the operating system's generator.

use ring::rand::{SecureRandom, SystemRandom};

use crate::sandbox::CallState;
use crate::sandbox::bindings::defguard::openid::random;

/// The most that one request gives, in bytes.
const MAX: u32 = 1024;

impl random::Host for CallState {
    async fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        if length > MAX {
            return Err(wasmtime::Error::msg(format!("random.bytes: {length} bytes asked for, at most {MAX} given")));
        }
        if self.grant.is_preparation {
            let reason = "random.bytes in preparation.prepare: every sign-in would begin with the same";
            return Err(wasmtime::Error::msg(reason));
        }
        let mut bytes = vec![0; length as usize];
        SystemRandom::new().fill(&mut bytes).map_err(|_| wasmtime::Error::msg("the system has no randomness"))?;
        Ok(bytes)
    }
}
