//! ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4): signatures are r and s, 32 bytes each.

use p256::Sec1Point;
use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{Signature, VerifyingKey};

/// A public key: a point on the curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct P256Key(VerifyingKey);

impl P256Key {
    /// From the big-endian coordinates, 32 bytes each (RFC 7518 section 6.2.1). `None`: no point on the curve.
    pub fn new(x: &[u8], y: &[u8]) -> Option<Self> {
        let (x, y): (&[u8; 32], &[u8; 32]) = (x.try_into().ok()?, y.try_into().ok()?);
        let point = Sec1Point::from_affine_coordinates(x.into(), y.into(), false);
        VerifyingKey::from_sec1_point(&point).ok().map(Self)
    }

    /// RFC 7518 section 3.4.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify(message, &signature).is_ok())
    }
}
