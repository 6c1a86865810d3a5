//! Credentials of an app registration other than secrets: certificates and federated credentials ("Certificates & secrets").
//! Only data and its checks; `login::client_assertion` decides whether an assertion fits one of them.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::SeedError;
use crate::certificate::X509;
use crate::encoding::from_base64url;

/// How many federated credentials Entra lets an app have.
const MAX_FEDERATED_CREDENTIALS: usize = 20;

/// A certificate of an app registration; several may be valid at once, for a change without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The X.509 certificate with its RSA key, one PEM block. Its end of validity counts by the emulator's clock.
    pub pem: String,
}

/// Trust in tokens that another identity provider issues for a workload (`federatedIdentityCredential`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FederatedCredential {
    /// `iss` of the tokens, compared by every character.
    pub issuer: String,
    /// `sub` of the tokens, compared by every character.
    pub subject: String,
    /// `aud` of the tokens, compared by every character.
    #[serde(default = "token_exchange_audience")]
    pub audience: String,
    /// The provider's keys. Entra fetches them through the issuer's metadata; the emulator fetches nothing.
    pub jwks: JwkSet,
}

fn token_exchange_audience() -> String {
    super::fixtures::FEDERATED_AUDIENCE.to_owned()
}

/// A key set of another provider (RFC 7517 section 5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<RsaJwk>,
}

/// An RSA public key (RFC 7518 section 6.3.1). Members that do not matter here are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RsaJwk {
    /// The key's type, `RSA`.
    pub kty: String,
    /// The key's id, which the token's header names.
    pub kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
}

impl RsaJwk {
    /// Modulus and exponent; none if the key is not RSA or not base64url.
    pub(crate) fn modulus_and_exponent(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let (n, e) = (from_base64url(&self.n)?, from_base64url(&self.e)?);
        (self.kty == "RSA" && !n.is_empty() && !e.is_empty()).then_some((n, e))
    }
}

/// Refuses certificates and federated credentials that no assertion could ever be checked against.
pub(super) fn check(
    client_id: &str,
    certificates: &[Certificate],
    federated: &[FederatedCredential],
) -> Result<(), SeedError> {
    for certificate in certificates {
        X509::from_pem(&certificate.pem)
            .map_err(|reason| SeedError::Certificate { client_id: client_id.to_owned(), reason })?;
    }
    let unusable = |reason: String| SeedError::FederatedCredential { client_id: client_id.to_owned(), reason };
    if federated.len() > MAX_FEDERATED_CREDENTIALS {
        return Err(unusable(format!("there are {}, and Entra allows {MAX_FEDERATED_CREDENTIALS}", federated.len())));
    }
    let mut seen = HashSet::new();
    for FederatedCredential { issuer, subject, jwks, .. } in federated {
        if !seen.insert((issuer, subject)) {
            return Err(unusable(format!("issuer {issuer:?} and subject {subject:?} occur twice")));
        }
        if let Some(key) = jwks.keys.iter().find(|key| key.modulus_and_exponent().is_none()) {
            return Err(unusable(format!("key {:?} of issuer {issuer:?} is not an RSA key", key.kid)));
        }
    }
    Ok(())
}
