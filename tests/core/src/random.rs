//! Values that look random and are the same in every run: HMAC-SHA-256 of a counter.
//! Never a source of secrets; the real Core uses the system's generator.

use std::sync::atomic::{AtomicU64, Ordering};

use ring::hmac;

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A deterministic generator.
#[derive(Debug)]
pub(crate) struct Random {
    key: hmac::Key,
    counter: AtomicU64,
}

impl Random {
    /// A generator that always gives the same sequence.
    pub(crate) fn new() -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, b"core-emulator"), counter: AtomicU64::new(0) }
    }

    /// The next 32 letters and digits, the form of all of Core's tokens.
    pub(crate) fn token(&self) -> String {
        let count = self.counter.fetch_add(1, Ordering::SeqCst);
        let block = hmac::sign(&self.key, &count.to_be_bytes());
        let letter = |byte: &u8| ALPHABET.get(usize::from(*byte) % ALPHABET.len()).copied().map_or('0', char::from);
        block.as_ref().iter().map(letter).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_generators_agree_and_one_never_repeats() {
        let (one, other) = (Random::new(), Random::new());
        let first = one.token();
        assert_eq!(first, other.token());
        assert_ne!(first, one.token());
        assert_eq!(first.len(), 32);
        assert!(first.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{first}");
    }
}
