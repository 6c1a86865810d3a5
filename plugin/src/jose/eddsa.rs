//! Ed25519 (RFC 8032, RFC 8037), in the strict form: no small-order keys, no malleable signatures.

use ed25519_dalek::{Signature, VerifyingKey};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ed25519Key(VerifyingKey);

impl Ed25519Key {
    /// From the 32 bytes of `x` (RFC 8037 section 2). `None`: no point, or one of small order.
    pub fn new(x: &[u8]) -> Option<Self> {
        let key = VerifyingKey::from_bytes(x.try_into().ok()?).ok()?;
        (!key.is_weak()).then_some(Self(key))
    }

    /// RFC 8032 section 5.1.7.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}
