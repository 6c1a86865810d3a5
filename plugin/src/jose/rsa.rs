//! RSA verification (RFC 8017 sections 8.1 and 8.2) over the `rsa` crate. Only public values are computed with, so its
//! advisory about private-key timing (RUSTSEC-2023-0071) doesn't concern us.

use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::Verifier as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{BoxedUint, RsaPublicKey, pkcs1v15, pss};

use super::SigningAlgorithm;

/// The smallest modulus that counts as safe (NIST SP 800-131A), in bits.
pub const MIN_BITS: u32 = 2048;
/// The largest that is worth its time, in bits.
pub const MAX_BITS: u32 = 8192;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RsaKey(RsaPublicKey);

/// Why a public key isn't used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RsaKeyError {
    /// Outside [`MIN_BITS`]..=[`MAX_BITS`].
    #[error("the modulus has {0} bits, expected {MIN_BITS} to {MAX_BITS}")]
    Size(u32),
    /// Even, too small or too large.
    #[error("the exponent is not an odd number from 3 to 2^33")]
    Exponent,
    /// Anything else that the library refuses.
    #[error("the key isn't valid: {0}")]
    Invalid(String),
}

impl RsaKey {
    /// From the big-endian modulus and exponent.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, RsaKeyError> {
        let modulus = trim(modulus);
        let leading = modulus.first().map_or(0, |byte| byte.leading_zeros());
        let bits = u32::try_from(modulus.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(leading);
        if !(MIN_BITS..=MAX_BITS).contains(&bits) {
            return Err(RsaKeyError::Size(bits));
        }
        let exponent = trim(exponent);
        let odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
        if exponent.len() > 5 || !odd || exponent == [1] {
            return Err(RsaKeyError::Exponent);
        }
        let invalid = |error: &dyn std::fmt::Display| RsaKeyError::Invalid(error.to_string());
        let precision = bits.next_multiple_of(64);
        let n = BoxedUint::from_be_slice(modulus, precision).map_err(|error| invalid(&error))?;
        let e = BoxedUint::from_be_slice(exponent, 64).map_err(|error| invalid(&error))?;
        RsaPublicKey::new_with_size_limits(n, e, MIN_BITS as usize..=MAX_BITS as usize)
            .map(Self)
            .map_err(|error| invalid(&error))
    }

    /// RFC 8017 sections 8.2.2 (PKCS #1 v1.5) and 8.1.2 (PSS).
    pub fn verifies(&self, algorithm: SigningAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        // Step 1 of both: the length is the modulus's.
        if signature.len() != self.0.size() {
            return false;
        }
        match algorithm {
            SigningAlgorithm::Rs256 => {
                pkcs1(&pkcs1v15::VerifyingKey::<Sha256>::new(self.0.clone()), message, signature)
            }
            SigningAlgorithm::Rs384 => {
                pkcs1(&pkcs1v15::VerifyingKey::<Sha384>::new(self.0.clone()), message, signature)
            }
            SigningAlgorithm::Rs512 => {
                pkcs1(&pkcs1v15::VerifyingKey::<Sha512>::new(self.0.clone()), message, signature)
            }
            // RFC 7518 section 3.5: the salt is as long as the hash.
            SigningAlgorithm::Ps256 => pss::Signature::try_from(signature).is_ok_and(|signature| {
                pss::VerifyingKey::<Sha256>::new_with_salt_len(self.0.clone(), 32).verify(message, &signature).is_ok()
            }),
            SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => false,
        }
    }
}

fn pkcs1(key: &impl rsa::signature::Verifier<pkcs1v15::Signature>, message: &[u8], signature: &[u8]) -> bool {
    pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
}

/// Without leading zeros.
fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    bytes.get(start..).unwrap_or_default()
}
