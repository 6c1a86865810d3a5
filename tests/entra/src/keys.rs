//! Signing keys and their roll-over. A key's id is the SHA-1 thumbprint of its certificate, as Entra makes it (`kid` = `x5t`).
//! Which keys a key set document shows, and with which issuer, is decided in `login::key_set`.

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding,
    RsaKeyPair,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use thiserror::Error;

use crate::encoding::base64url;

/// The private keys and certificates of `keys/`.
macro_rules! fixture {
    ($name:literal) => {
        (
            $name,
            include_bytes!(concat!("../keys/", $name, ".pk8")).as_slice(),
            include_bytes!(concat!("../keys/", $name, ".crt")).as_slice(),
        )
    };
}

const WORK: [(&str, &[u8], &[u8]); 6] = [
    fixture!("work-1"),
    fixture!("work-2"),
    fixture!("work-3"),
    fixture!("work-4"),
    fixture!("work-5"),
    fixture!("work-6"),
];
const PERSONAL: (&str, &[u8], &[u8]) = fixture!("personal");
const STRANGER: (&str, &[u8], &[u8]) = fixture!("stranger");

/// A key pair could not be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file in `keys/` is not a PKCS#8 RSA key.
    #[error("key {name} of the emulator is not usable: {reason}")]
    Unusable {
        /// The file's name without extension.
        name: &'static str,
        /// What `ring` said.
        reason: String,
    },
    /// Signing failed.
    #[error("signing with key {kid} failed")]
    Signing {
        /// The key's id.
        kid: String,
    },
}

/// The signature schemes that the emulator's tokens use: one honest, the others for misbehaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256, the only one of Entra's ID tokens.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl Scheme {
    /// The `alg` header parameter (RFC 7518 section 3.1).
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Ps256 => "PS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Rs256 => &RSA_PKCS1_SHA256,
            Self::Rs384 => &RSA_PKCS1_SHA384,
            Self::Ps256 => &RSA_PSS_SHA256,
        }
    }
}

/// How many work keys are published at most: two of the six stay unused, for the next emergency.
const MAX_PUBLISHED: usize = 4;

/// An RSA key with its certificate.
#[derive(Debug)]
pub(crate) struct SigningKey {
    kid: String,
    pair: RsaKeyPair,
    certificate: &'static [u8],
}

impl SigningKey {
    fn load((name, private_key, certificate): (&'static str, &[u8], &'static [u8])) -> Result<Self, KeyError> {
        let pair = RsaKeyPair::from_pkcs8(private_key)
            .map_err(|rejected| KeyError::Unusable { name, reason: rejected.to_string() })?;
        Ok(Self { kid: base64url(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate)), pair, certificate })
    }

    /// The key id, 27 characters.
    pub(crate) fn kid(&self) -> &str {
        &self.kid
    }

    /// The certificate in DER.
    pub(crate) fn certificate(&self) -> &'static [u8] {
        self.certificate
    }

    /// Modulus and exponent, base64url (RFC 7518 section 6.3.1).
    pub(crate) fn modulus_and_exponent(&self) -> (String, String) {
        let parts = PublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        (base64url(parts.n), base64url(parts.e))
    }

    /// The public key as `RSAPublicKey` DER (RFC 8017 appendix A.1.1): the bytes an HS256 confusion would use.
    pub(crate) fn public_der(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Signs the message.
    pub(crate) fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(scheme.encoding(), &SystemRandom::new(), message, &mut signature)
            .map_err(|_| KeyError::Signing { kid: self.kid.clone() })?;
        Ok(signature)
    }

    /// Whether this key made the RS256 signature.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        ring::signature::UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.public_der())
            .verify(message, signature)
            .is_ok()
    }
}

/// How keys are rolled over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// A new key is published; the old one goes on signing.
    Add,
    /// The newest published key signs from now on, a new one if the newest signs already; all stay published.
    Swap,
    /// A new key signs and all earlier work keys vanish from the key set at once.
    Emergency,
}

/// The keys and which of them are published and signing.
#[derive(Debug)]
pub(crate) struct KeyRing {
    work: Vec<Arc<SigningKey>>,
    personal: Arc<SigningKey>,
    stranger: Arc<SigningKey>,
    /// Indexes into `work`, oldest first.
    published: Vec<usize>,
    /// Index into `work`.
    signing: usize,
}

impl KeyRing {
    /// Loads the fixture keys; two work keys are published and the first signs.
    pub(crate) fn load() -> Result<Self, KeyError> {
        Ok(Self {
            work: WORK.into_iter().map(|file| SigningKey::load(file).map(Arc::new)).collect::<Result<_, _>>()?,
            personal: Arc::new(SigningKey::load(PERSONAL)?),
            stranger: Arc::new(SigningKey::load(STRANGER)?),
            published: vec![0, 1],
            signing: 0,
        })
    }

    /// Back to the state at start.
    pub(crate) fn reset(&mut self) {
        self.published = vec![0, 1];
        self.signing = 0;
    }

    /// Rolls over and returns the id of the key that signs afterwards.
    pub(crate) fn rotate(&mut self, rotation: Rotation) -> String {
        match rotation {
            Rotation::Add => self.publish_another(),
            Rotation::Swap => {
                if self.published.last() == Some(&self.signing) {
                    self.publish_another();
                }
                self.signing = self.published.last().copied().unwrap_or(self.signing);
            }
            Rotation::Emergency => {
                let mut gone = self.published.clone();
                let standby = self.fresh(&gone);
                gone.push(standby);
                self.signing = self.fresh(&gone);
                // Entra never publishes a single key.
                self.published = vec![standby, self.signing];
            }
        }
        self.signing_key().map(|key| key.kid.clone()).unwrap_or_default()
    }

    /// Publishes a key that is not; the oldest that does not sign makes room.
    fn publish_another(&mut self) {
        let next = self.fresh(&self.published);
        self.published.push(next);
        if self.published.len() > MAX_PUBLISHED
            && let Some(oldest) = self.published.iter().position(|&index| index != self.signing)
        {
            self.published.remove(oldest);
        }
    }

    /// The next key in order that is none of `used`.
    fn fresh(&self, used: &[usize]) -> usize {
        let newest = used.last().copied().unwrap_or(0);
        let count = self.work.len();
        (1..=count).map(|step| (newest + step) % count).find(|index| !used.contains(index)).unwrap_or(newest)
    }

    /// The work key that signs now.
    pub(crate) fn signing_key(&self) -> Option<Arc<SigningKey>> {
        self.work.get(self.signing).cloned()
    }

    /// The published work keys, oldest first.
    pub(crate) fn published(&self) -> Vec<Arc<SigningKey>> {
        self.published.iter().filter_map(|&index| self.work.get(index).cloned()).collect()
    }

    /// The key for personal accounts.
    pub(crate) fn personal(&self) -> Arc<SigningKey> {
        Arc::clone(&self.personal)
    }

    /// The key of an attacker.
    pub(crate) fn stranger(&self) -> Arc<SigningKey> {
        Arc::clone(&self.stranger)
    }

    /// Any key of the emulator's own by id, published or not: its Graph side goes on accepting access tokens after a roll-over.
    pub(crate) fn own_key(&self, kid: &str) -> Option<Arc<SigningKey>> {
        self.work.iter().chain(std::iter::once(&self.personal)).find(|key| key.kid == kid).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_signs_for_itself_alone_and_has_an_id_of_its_own() {
        let ring = KeyRing::load().unwrap();
        let mut keys = ring.work.clone();
        keys.extend([ring.personal(), ring.stranger()]);
        let mut ids: Vec<_> = keys.iter().map(|key| key.kid().to_owned()).collect();
        assert!(ids.iter().all(|id| id.len() == 27));
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), keys.len());
        let signature = keys[0].sign(Scheme::Rs256, b"message").unwrap();
        assert!(keys[0].verifies(b"message", &signature));
        assert!(!keys[1].verifies(b"message", &signature));
        assert!(!keys[0].verifies(b"massage", &signature));
    }

    #[test]
    fn roll_over_changes_what_is_published_and_what_signs() {
        let mut ring = KeyRing::load().unwrap();
        let ids = |ring: &KeyRing| ring.published().iter().map(|key| key.kid().to_owned()).collect::<Vec<_>>();
        let (first, at_start) = (ring.signing_key().unwrap().kid().to_owned(), ids(&ring));

        assert_eq!(ring.rotate(Rotation::Add), first, "add: the old key goes on signing");
        let after_add = ids(&ring);
        assert_eq!(after_add.len(), 3, "add: one more is published");

        let swapped = ring.rotate(Rotation::Swap);
        assert_eq!(Some(&swapped), after_add.last(), "swap: the newest signs");
        assert_eq!(ids(&ring), after_add, "swap: all stay");

        let emergency = ring.rotate(Rotation::Emergency);
        let after_emergency = ids(&ring);
        assert!(after_emergency.contains(&emergency), "emergency: the new key is published");
        assert!(after_emergency.len() >= 2, "emergency: never a single key");
        assert!(
            after_add.iter().chain(&at_start).all(|old| !after_emergency.contains(old)),
            "emergency: no earlier key is left"
        );
    }

    #[test]
    fn roll_over_never_runs_out_of_keys() {
        let mut ring = KeyRing::load().unwrap();
        for round in 0..20 {
            for rotation in [Rotation::Add, Rotation::Swap, Rotation::Swap, Rotation::Emergency, Rotation::Add] {
                let before = ring.signing_key().unwrap().kid().to_owned();
                let published_before = ring.published.clone();
                let kid = ring.rotate(rotation);
                if rotation == Rotation::Emergency {
                    let kept = ring.published.iter().any(|index| published_before.contains(index));
                    assert!(!kept, "round {round}: an emergency keeps no earlier key");
                }
                assert_eq!(kid == before, rotation == Rotation::Add, "round {round}, {rotation:?}");
                assert!(ring.published().iter().any(|key| key.kid() == kid), "round {round}, {rotation:?}");
            }
        }
    }
}
