//! Client assertions in the making: a good one of each form, to be varied and signed. Written without the emulator's own code, so that
//! a misunderstanding there shows.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entra_emulator::fixtures;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

use crate::support::Lab;

/// The bytes of a PEM block.
pub(crate) fn der(pem: &str) -> Vec<u8> {
    STANDARD.decode(pem.lines().filter(|line| !line.starts_with("-----")).collect::<String>()).unwrap()
}

/// A PEM block of a certificate.
pub(crate) fn certificate_pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

/// `x5t` of a certificate (RFC 7515 section 4.1.7).
pub(crate) fn x5t(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate))
}

/// `x5t#S256` of a certificate (RFC 7515 section 4.1.8).
pub(crate) fn x5t_s256(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, certificate))
}

/// An assertion before it is signed. The signature is of the scheme that `alg` names, RS256 where it names none.
#[derive(Clone)]
pub(crate) struct Draft {
    header: Value,
    pub(crate) claims: Value,
    key: Vec<u8>,
}

impl Draft {
    /// As Microsoft documents it now.
    pub(crate) fn ps256(lab: &Lab) -> Self {
        let certificate = der(fixtures::CLIENT_CERTIFICATE_PEM);
        Self {
            header: json!({"alg": "PS256", "typ": "JWT", "x5t#S256": x5t_s256(&certificate)}),
            claims: own_claims(lab),
            key: der(fixtures::CLIENT_CERTIFICATE_KEY_PEM),
        }
    }

    /// As most libraries make it.
    pub(crate) fn rs256(lab: &Lab) -> Self {
        let certificate = der(fixtures::CLIENT_CERTIFICATE_PEM);
        Self { header: json!({"alg": "RS256", "typ": "JWT", "x5t": x5t(&certificate)}), ..Self::ps256(lab) }
    }

    /// A token of the provider that the federated credential trusts.
    pub(crate) fn federated(lab: &Lab) -> Self {
        let now = lab.control.now_unix_s();
        Self {
            header: json!({"alg": "RS256", "typ": "JWT", "kid": fixtures::FEDERATED_KEY_ID}),
            claims: json!({
                "iss": fixtures::FEDERATED_ISSUER, "sub": fixtures::FEDERATED_SUBJECT, "aud": fixtures::FEDERATED_AUDIENCE,
                "iat": now, "exp": now + 3600,
            }),
            key: der(fixtures::FEDERATED_KEY_PEM),
        }
    }

    /// With these members of the header changed; `null` takes one away.
    pub(crate) fn header(mut self, changes: &Value) -> Self {
        merge(&mut self.header, changes);
        self
    }

    /// With these claims changed; `null` takes one away.
    pub(crate) fn claims(mut self, changes: &Value) -> Self {
        merge(&mut self.claims, changes);
        self
    }

    /// Signed with another key.
    pub(crate) fn key(mut self, pkcs8: &[u8]) -> Self {
        self.key = pkcs8.to_vec();
        self
    }

    /// The signed JWT in compact form.
    pub(crate) fn sign(&self) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let input = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let scheme: &dyn RsaEncoding = match self.header["alg"].as_str() {
            Some("PS256") => &RSA_PSS_SHA256,
            Some("RS384") => &RSA_PKCS1_SHA384,
            _ => &RSA_PKCS1_SHA256,
        };
        let pair = RsaKeyPair::from_pkcs8(&self.key).unwrap();
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(scheme, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn merge(object: &mut Value, changes: &Value) {
    let members = object.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
}

fn own_claims(lab: &Lab) -> Value {
    let now = lab.control.now_unix_s();
    json!({
        "aud": token_endpoint(lab, fixtures::CONTOSO), "iss": fixtures::CLIENT_ID, "sub": fixtures::CLIENT_ID,
        "jti": "77777777-7777-4777-8777-777777777777", "nbf": now, "iat": now, "exp": now + 600,
    })
}

/// The token endpoint of a tenant.
pub(crate) fn token_endpoint(lab: &Lab, segment: &str) -> String {
    lab.login(&format!("/{segment}/oauth2/v2.0/token"))
}
