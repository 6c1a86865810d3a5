//! Values that look random and are the same in every run: HMAC-SHA-256 of a counter.
//! Never a source of secrets; a real provider would use the system's generator.

use std::sync::atomic::{AtomicU64, Ordering};

use ring::hmac;

use crate::encoding::base64url;
use crate::seed::Guid;

/// A deterministic generator.
#[derive(Debug)]
pub(crate) struct Random {
    key: hmac::Key,
    counter: AtomicU64,
}

impl Random {
    /// A generator that always gives the same sequence.
    pub(crate) fn new() -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, b"entra-emulator"), counter: AtomicU64::new(0) }
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 32);
        while bytes.len() < length {
            let count = self.counter.fetch_add(1, Ordering::SeqCst);
            bytes.extend_from_slice(hmac::sign(&self.key, &count.to_be_bytes()).as_ref());
        }
        bytes.truncate(length);
        bytes
    }

    /// The next `length` bytes as base64url text.
    pub(crate) fn text(&self, length: usize) -> String {
        base64url(self.bytes(length))
    }

    /// The next GUID.
    pub(crate) fn guid(&self) -> Guid {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(self.bytes(16)) {
            *to = from;
        }
        Guid::from_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_generators_agree_and_one_never_repeats() {
        let (one, other) = (Random::new(), Random::new());
        let first = one.bytes(40);
        assert_eq!(first, other.bytes(40));
        assert_ne!(first, one.bytes(40));
        assert_eq!(one.bytes(5).len(), 5);
    }
}
