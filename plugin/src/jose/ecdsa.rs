//! ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4): signatures are r and s, 32 bytes each. The arithmetic is that of the crate `modular`,
//! for public values only; as with RSA, a key is prepared when a signature is looked at, and what that makes can be kept with it.

use modular::p256::{Key, Point};
use sha2::{Digest, Sha256};

/// A public key: a point on the curve.
#[derive(Debug, Clone)]
pub struct P256Key {
    point: Point,
    /// [`Self::prepared`], or nothing.
    prepared: Vec<u8>,
}

/// The same key is the same, prepared or not.
impl PartialEq for P256Key {
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
    }
}

impl Eq for P256Key {}

impl P256Key {
    /// From the big-endian coordinates, 32 bytes each (RFC 7518 section 6.2.1). `None`: no point on the curve.
    pub fn new(x: &[u8], y: &[u8]) -> Option<Self> {
        Some(Self { point: Point::new(x, y)?, prepared: Vec::new() })
    }

    /// What verification begins with, to be kept beside the key and given back by [`Self::set_prepared`]: numbers that follow from the point.
    pub(super) fn prepared(&self) -> Vec<u8> {
        Key::new(&self.point).multiples()
    }

    /// With what [`Self::prepared`] was before. What can't be it is computed anew; that of another key must not get here, as verdicts follow from it.
    pub(super) fn set_prepared(&mut self, prepared: Vec<u8>) {
        self.prepared = prepared;
    }

    /// RFC 7518 section 3.4.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = Key::with_multiples(&self.point, &self.prepared).unwrap_or_else(|| Key::new(&self.point));
        key.verifies(&Sha256::digest(message).into(), signature)
    }
}
