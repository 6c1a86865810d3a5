//! RSA verification (RFC 8017 sections 8.1.2 and 8.2.2), over the arithmetic of the crate `modular`. Only public values
//! are computed with, and only in this direction: what is known of timing attacks on RSA concerns private keys.
//!
//! A key is prepared for its arithmetic when a signature is looked at, not when a key set is read: a set has many keys, and a
//! sign-in needs one. What takes longest of that can be kept with the key.

use modular::Modulus;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::SigningAlgorithm;
use super::pss;

/// The smallest modulus that counts as safe (NIST SP 800-131A), in bits.
pub const MIN_BITS: u32 = 2048;
/// The largest that is worth its time, in bits.
pub const MAX_BITS: u32 = 8192;
/// The largest exponent that is worth its time.
const MAX_EXPONENT: u64 = (1 << 33) - 1;

/// What precedes a hash in an encoded message: the DER of a DigestInfo up to it (RFC 8017 section 9.2, note 1).
const SHA_256: &[u8] = b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20";
const SHA_384: &[u8] = b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30";
const SHA_512: &[u8] = b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40";

/// A public key.
#[derive(Debug, Clone)]
pub struct RsaKey {
    /// Big-endian, without leading zeros; odd.
    modulus: Vec<u8>,
    bits: u32,
    exponent: u64,
    /// [`Self::prepared`], or nothing.
    prepared: Vec<u8>,
}

/// The same key is the same, prepared or not.
impl PartialEq for RsaKey {
    fn eq(&self, other: &Self) -> bool {
        self.modulus == other.modulus && self.exponent == other.exponent
    }
}

impl Eq for RsaKey {}

/// Why a public key isn't used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RsaKeyError {
    /// Outside [`MIN_BITS`]..=[`MAX_BITS`].
    #[error("the modulus has {0} bits, expected {MIN_BITS} to {MAX_BITS}")]
    Size(u32),
    /// Even, too small or too large.
    #[error("the exponent is not an odd number from 3 to 2^33")]
    Exponent,
    /// It is no product of two odd primes.
    #[error("the key isn't valid: the modulus is even")]
    Even,
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
        if exponent.len() > size_of::<u64>() {
            return Err(RsaKeyError::Exponent);
        }
        let exponent = exponent.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
        if exponent % 2 == 0 || !(3..=MAX_EXPONENT).contains(&exponent) {
            return Err(RsaKeyError::Exponent);
        }
        if modulus.last().is_none_or(|byte| byte % 2 == 0) {
            return Err(RsaKeyError::Even);
        }
        Ok(Self { modulus: modulus.to_vec(), bits, exponent, prepared: Vec::new() })
    }

    /// What verification begins with, to be kept beside the key and given back by [`Self::set_prepared`]: a number that follows from the modulus.
    pub(super) fn prepared(&self) -> Option<Vec<u8>> {
        Some(Modulus::new(&self.modulus)?.r_squared())
    }

    /// With what [`Self::prepared`] was before. A number that can't be it is computed anew. Whoever can choose
    /// another can choose what verifies, as whoever can choose the key beside it.
    pub(super) fn set_prepared(&mut self, prepared: Vec<u8>) {
        self.prepared = prepared;
    }

    /// RFC 8017 sections 8.2.2 (PKCS #1 v1.5) and 8.1.2 (PSS).
    pub fn verifies(&self, algorithm: SigningAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        match algorithm {
            SigningAlgorithm::Rs256 => self.is_encoded(signature, SHA_256, &Sha256::digest(message)),
            SigningAlgorithm::Rs384 => self.is_encoded(signature, SHA_384, &Sha384::digest(message)),
            SigningAlgorithm::Rs512 => self.is_encoded(signature, SHA_512, &Sha512::digest(message)),
            // RFC 8017 section 8.1.2: one bit less than the modulus has.
            SigningAlgorithm::Ps256 => self.recover(signature).is_some_and(|encoded| {
                pss::is_encoded(&encoded, self.bits.saturating_sub(1), &Sha256::digest(message))
            }),
            SigningAlgorithm::Es256 | SigningAlgorithm::EdDsa => false,
        }
    }

    /// Section 8.2.2, steps 2 to 4: the one encoding that there is of this hash is made and compared, nothing is parsed.
    fn is_encoded(&self, signature: &[u8], digest_info: &[u8], hash: &[u8]) -> bool {
        let Some(found) = self.recover(signature) else { return false };
        // Section 9.2: 00 01 FF … FF 00 DigestInfo. The smallest modulus has room for the longest of them.
        let mut expected = vec![0xff; found.len()];
        let tail = digest_info.len() + hash.len();
        let Some((padding, info)) = expected.split_at_mut_checked(found.len().saturating_sub(tail)) else {
            return false;
        };
        let [first, second, .., last] = padding else { return false };
        (*first, *second, *last) = (0, 1, 0);
        let (algorithm, value) = info.split_at_mut(digest_info.len());
        algorithm.copy_from_slice(digest_info);
        value.copy_from_slice(hash);
        found == expected
    }

    /// RSAVP1 (section 5.2.2), and the result in as many bytes as the modulus has (section 4.1). `None`: the signature isn't
    /// as long as the modulus, or not below it.
    fn recover(&self, signature: &[u8]) -> Option<Vec<u8>> {
        if signature.len() != self.modulus.len() || signature >= self.modulus.as_slice() {
            return None;
        }
        let modulus = Modulus::with_r_squared(&self.modulus, &self.prepared).or_else(|| Modulus::new(&self.modulus))?;
        Some(modulus.power(signature, self.exponent))
    }
}

/// Without leading zeros.
fn trim(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    bytes.get(start..).unwrap_or_default()
}
