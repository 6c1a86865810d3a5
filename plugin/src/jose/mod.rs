//! Signatures and keys (RFC 7515, 7517, 7518, 8037): verification only, no key of ours is ever here. Which key a token may
//! be checked with is `oidc::key_set`'s subject, what its claims must say `oidc::id_token`'s.

mod algorithm;
mod ecdsa;
mod eddsa;
mod jwk;
mod pss;
mod rsa;
mod unique;

pub use algorithm::SigningAlgorithm;
pub use ecdsa::P256Key;
pub use eddsa::Ed25519Key;
pub use jwk::{Jwk, JwkSet, JwkSetError, KeptJwkSet, MAX_JWKS_BYTES, MAX_KEYS};
pub use rsa::{MAX_BITS, MIN_BITS, RsaKey, RsaKeyError};
pub use unique::{UniqueObject, parse_unique_object};

use std::borrow::Cow;

use jwt_compact::{Algorithm, AlgorithmSignature, UntrustedToken, ValidationError};

/// A key that can verify, of one of the families.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyingKey {
    /// RFC 7518 section 6.3.
    Rsa(RsaKey),
    /// RFC 7518 section 6.2, P-256 only.
    P256(P256Key),
    /// RFC 8037 section 2, Ed25519 only.
    Ed25519(Ed25519Key),
}

impl VerifyingKey {
    /// Whether this is a key for `algorithm`.
    pub fn fits(&self, algorithm: SigningAlgorithm) -> bool {
        matches!(
            (self, algorithm),
            (
                Self::Rsa(_),
                SigningAlgorithm::Rs256 | SigningAlgorithm::Rs384 | SigningAlgorithm::Rs512 | SigningAlgorithm::Ps256
            ) | (Self::P256(_), SigningAlgorithm::Es256)
                | (Self::Ed25519(_), SigningAlgorithm::EdDsa)
        )
    }

    /// What verification with this key begins with, if that is worth keeping: it follows from the key.
    fn prepared(&self) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => key.prepared(),
            Self::P256(key) => Some(key.prepared()),
            Self::Ed25519(_) => None,
        }
    }

    /// With what [`Self::prepared`] was before.
    fn set_prepared(&mut self, prepared: Vec<u8>) {
        match self {
            Self::Rsa(key) => key.set_prepared(prepared),
            Self::P256(key) => key.set_prepared(prepared),
            Self::Ed25519(_) => {}
        }
    }

    /// Whether `signature` is one of this key over `message` by `algorithm`. A key of another family verifies nothing.
    pub fn verifies(&self, algorithm: SigningAlgorithm, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Rsa(key) => key.verifies(algorithm, message, signature),
            Self::P256(key) => algorithm == SigningAlgorithm::Es256 && key.verifies(message, signature),
            Self::Ed25519(key) => algorithm == SigningAlgorithm::EdDsa && key.verifies(message, signature),
        }
    }
}

/// The signing key of an algorithm that only verifies: there is none.
#[derive(Debug, Clone, Copy)]
pub enum Never {}

/// Signature bytes as the token has them; the key says whether their length is right.
#[derive(Debug, Clone)]
pub struct SignatureBytes(Vec<u8>);

impl AlgorithmSignature for SignatureBytes {
    fn try_from_slice(slice: &[u8]) -> anyhow::Result<Self> {
        Ok(Self(slice.to_vec()))
    }

    fn as_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0)
    }
}

impl Algorithm for SigningAlgorithm {
    type SigningKey = Never;
    type VerifyingKey = VerifyingKey;
    type Signature = SignatureBytes;

    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(self.as_str())
    }

    fn sign(&self, signing_key: &Never, _message: &[u8]) -> SignatureBytes {
        match *signing_key {}
    }

    fn verify_signature(&self, signature: &SignatureBytes, verifying_key: &VerifyingKey, message: &[u8]) -> bool {
        verifying_key.verifies(*self, message, &signature.0)
    }
}

/// Checks the token's signature with `key`; jwt-compact compares the header's `alg` with `algorithm` once more.
pub(crate) fn check_signature(
    token: &UntrustedToken<'_>,
    algorithm: SigningAlgorithm,
    key: &VerifyingKey,
) -> Result<(), ValidationError> {
    use jwt_compact::AlgorithmExt as _;
    algorithm.validator::<jwt_compact::Empty>(key).validate(token).map(|_| ())
}
