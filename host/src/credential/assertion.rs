//! The signed assertion of `private_key_jwt`: RFC 7523 section 3, in the form that Entra documents for certificate
//! credentials. Each is made for one request and is good for five minutes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use serde::Serialize;

use super::{Certificate, UseError};
use crate::config::Secret;

/// How long an assertion is good for, in seconds: long enough for a clock that is a little off, no longer.
pub const LIFETIME_S: u64 = 300;

/// How assertions are signed (RFC 7518 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AssertionAlgorithm {
    /// RSASSA-PSS with SHA-256; the certificate is named by `x5t#S256`. Entra's documentation asks for this one.
    #[default]
    Ps256,
    /// RSASSA-PKCS1-v1_5 with SHA-256; the certificate is named by `x5t`, a SHA-1. For providers that know no other.
    Rs256,
}

impl AssertionAlgorithm {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Ps256, Self::Rs256];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ps256 => "PS256",
            Self::Rs256 => "RS256",
        }
    }

    fn encoding(self) -> &'static dyn RsaEncoding {
        match self {
            Self::Ps256 => &RSA_PSS_SHA256,
            Self::Rs256 => &RSA_PKCS1_SHA256,
        }
    }
}

/// RFC 7515 section 4.1.
#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    #[serde(rename = "x5t#S256", skip_serializing_if = "Option::is_none")]
    x5t_s256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x5t: Option<String>,
}

/// RFC 7523 section 3.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    nbf: u64,
    exp: u64,
}

/// Signs a fresh assertion.
pub(super) fn sign(
    certificate: &Certificate,
    algorithm: AssertionAlgorithm,
    client_id: &str,
    audience: &str,
    now_unix_s: u64,
) -> Result<Secret, UseError> {
    let random = SystemRandom::new();
    let header = Header {
        alg: algorithm.as_str(),
        typ: "JWT",
        x5t_s256: (algorithm == AssertionAlgorithm::Ps256).then(|| URL_SAFE_NO_PAD.encode(certificate.sha256())),
        x5t: (algorithm == AssertionAlgorithm::Rs256).then(|| URL_SAFE_NO_PAD.encode(certificate.sha1())),
    };
    let claims = Claims {
        iss: client_id,
        sub: client_id,
        aud: audience,
        jti: unique_id(&random)?,
        iat: now_unix_s,
        nbf: now_unix_s,
        exp: now_unix_s.saturating_add(LIFETIME_S),
    };
    let signed = format!("{}.{}", part(&header)?, part(&claims)?);
    let mut signature = vec![0; certificate.key().public().modulus_len()];
    certificate
        .key()
        .sign(algorithm.encoding(), &random, signed.as_bytes(), &mut signature)
        .map_err(|_| UseError::Unusable("the client certificate's key can't sign".into()))?;
    Ok(Secret::new(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))))
}

fn part(of: &impl Serialize) -> Result<String, UseError> {
    let json = serde_json::to_vec(of).map_err(|error| UseError::Unusable(format!("no assertion: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

/// A random UUID (RFC 9562 section 5.4): Entra's `jti` is a GUID. 122 of its 128 bits are random.
fn unique_id(random: &SystemRandom) -> Result<String, UseError> {
    let mut bytes = [0_u8; 16];
    random.fill(&mut bytes).map_err(|_| UseError::Unusable("the system has no randomness to give".into()))?;
    // Version 4, variant 10.
    let id = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{id:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    Ok(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rsa::pkcs1::DecodeRsaPublicKey as _;
    use rsa::signature::Verifier as _;
    use rsa::{RsaPublicKey, pkcs1v15, pss};
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;
    use serde_json::Value;
    use sha2::{Digest as _, Sha256};
    use x509_cert::der::Decode as _;

    use super::super::fixtures::{BOTH_VALID_UNIX_S, CERTIFICATE_1, first};
    use super::*;

    const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
    const AUDIENCE: &str = "https://login.example/contoso.example/oauth2/v2.0/token";

    fn assertion(algorithm: AssertionAlgorithm) -> String {
        sign(&first(), algorithm, CLIENT, AUDIENCE, BOTH_VALID_UNIX_S).unwrap().expose().to_owned()
    }

    /// The three parts: two as JSON, and what is signed with its signature.
    fn taken_apart(assertion: &str) -> (Value, Value, String, Vec<u8>) {
        let parts: Vec<&str> = assertion.split('.').collect();
        assert_eq!(parts.len(), 3);
        let json = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
        let signed = format!("{}.{}", parts[0], parts[1]);
        (json(parts[0]), json(parts[1]), signed, URL_SAFE_NO_PAD.decode(parts[2]).unwrap())
    }

    /// RustCrypto's view of the certificate's key: nothing of ring is in it.
    fn public_key(pem: &str) -> RsaPublicKey {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let certificate = x509_cert::Certificate::from_der(&der).unwrap();
        let key = certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes().to_vec();
        RsaPublicKey::from_pkcs1_der(&key).unwrap()
    }

    fn verifies(algorithm: AssertionAlgorithm, pem: &str, signed: &str, signature: &[u8]) -> bool {
        let key = public_key(pem);
        match algorithm {
            AssertionAlgorithm::Ps256 => pss::VerifyingKey::<Sha256>::new(key)
                .verify(signed.as_bytes(), &pss::Signature::try_from(signature).unwrap())
                .is_ok(),
            AssertionAlgorithm::Rs256 => pkcs1v15::VerifyingKey::<Sha256>::new(key)
                .verify(signed.as_bytes(), &pkcs1v15::Signature::try_from(signature).unwrap())
                .is_ok(),
        }
    }

    #[test]
    fn another_library_verifies_the_signature_with_the_certificate_alone() {
        for algorithm in AssertionAlgorithm::ALL {
            let (_, _, signed, signature) = taken_apart(&assertion(algorithm));
            let name = algorithm.as_str();
            assert!(verifies(algorithm, CERTIFICATE_1, &signed, &signature), "{name}");
            assert!(!verifies(algorithm, CERTIFICATE_1, &format!("{signed}x"), &signature), "{name}: other text");
            let other = super::super::fixtures::CERTIFICATE_2;
            assert!(!verifies(algorithm, other, &signed, &signature), "{name}: other certificate");
        }
    }

    #[test]
    fn the_header_names_the_certificate() {
        let der = CertificateDer::from_pem_slice(CERTIFICATE_1.as_bytes()).unwrap();
        // openssl x509 -fingerprint -sha1, checked in certificate.rs.
        let sha1 = first().thumbprint();
        let sha1: Vec<u8> = (0..40).step_by(2).map(|at| u8::from_str_radix(&sha1[at..at + 2], 16).unwrap()).collect();
        let (header, ..) = taken_apart(&assertion(AssertionAlgorithm::Ps256));
        let x5t_s256 = URL_SAFE_NO_PAD.encode(Sha256::digest(&der));
        assert_eq!(header, serde_json::json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": x5t_s256 }));
        let (header, ..) = taken_apart(&assertion(AssertionAlgorithm::Rs256));
        assert_eq!(header, serde_json::json!({ "alg": "RS256", "typ": "JWT", "x5t": URL_SAFE_NO_PAD.encode(sha1) }));
    }

    #[test]
    fn the_claims_are_those_of_rfc_7523_and_no_more() {
        let (_, mut claims, ..) = taken_apart(&assertion(AssertionAlgorithm::Ps256));
        let jti = claims.as_object_mut().unwrap().remove("jti").unwrap();
        assert_eq!(
            claims,
            serde_json::json!({
                "iss": CLIENT,
                "sub": CLIENT,
                "aud": AUDIENCE,
                "iat": BOTH_VALID_UNIX_S,
                "nbf": BOTH_VALID_UNIX_S,
                "exp": BOTH_VALID_UNIX_S + 300,
            })
        );
        let jti: Vec<char> = jti.as_str().unwrap().chars().collect();
        assert_eq!(jti.len(), 36);
        assert!(jti.iter().enumerate().all(|(at, character)| match at {
            8 | 13 | 18 | 23 => *character == '-',
            14 => *character == '4',
            19 => "89ab".contains(*character),
            _ => character.is_ascii_hexdigit() && !character.is_ascii_uppercase(),
        }));
    }

    #[test]
    fn no_two_have_the_same_jti() {
        let random = SystemRandom::new();
        let seen: BTreeSet<String> = (0..1000).map(|_| unique_id(&random).unwrap()).collect();
        assert_eq!(seen.len(), 1000);
        // Nor do assertions, all else being equal.
        let (_, one, ..) = taken_apart(&assertion(AssertionAlgorithm::Ps256));
        let (_, other, ..) = taken_apart(&assertion(AssertionAlgorithm::Ps256));
        assert_ne!(one["jti"], other["jti"]);
    }
}
