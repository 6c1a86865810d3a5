//! Which key of a provider's set a token is checked with. There is never a guess: one key, or a reason why not.

use crate::jose::{Jwk, JwkSet, SigningAlgorithm};

/// Why no key was chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeySelectionError {
    /// The set has no key of that name: it may be newer than the set.
    #[error("no key has the token's kid; the set has {known} keys")]
    UnknownKid {
        /// How many keys there are.
        known: usize,
    },
    /// The key of that name is for something else.
    #[error("the key with the token's kid is not one for {0}")]
    WrongKind(SigningAlgorithm),
    /// Several different keys have that name, or the token names none and several could be meant.
    #[error("{0} different keys could be meant")]
    Ambiguous(usize),
}

/// Chooses the key for a token of `algorithm` with `kid` (OIDC Core 10.1, RFC 7517 section 4.5).
pub fn select<'a>(
    set: &'a JwkSet,
    algorithm: SigningAlgorithm,
    kid: Option<&str>,
) -> Result<&'a Jwk, KeySelectionError> {
    let named: Vec<&Jwk> = match kid {
        Some(kid) => set.keys.iter().filter(|jwk| jwk.kid.as_deref() == Some(kid)).collect(),
        None => set.keys.iter().collect(),
    };
    if named.is_empty() {
        return Err(KeySelectionError::UnknownKid { known: set.known });
    }
    let mut fitting = named
        .into_iter()
        .filter(|jwk| jwk.key.fits(algorithm) && jwk.algorithm.is_none_or(|only| only == algorithm))
        .collect::<Vec<_>>();
    // The same key twice is one key.
    fitting.dedup_by(|a, b| a.key == b.key && a.issuer == b.issuer);
    match fitting.as_slice() {
        [jwk] => Ok(jwk),
        [] => Err(KeySelectionError::WrongKind(algorithm)),
        several => Err(KeySelectionError::Ambiguous(several.len())),
    }
}
