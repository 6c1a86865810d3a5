//! A provider that signs ID tokens as a test wants them, and the scene in which one is verified: token, key set,
//! expectations and time, all of them good until a test changes one. The keys are those of `tests/keys`; signatures and
//! hashes are made with ring, so that no code of the plugin's checks itself.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "a test's own arrangement may fail the test")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openid::entra::TenantId;
use openid::jose::{JwkSet, SigningAlgorithm};
use openid::login::trace::Trace;
use openid::oidc::id_token::{
    EntraExpectations, Expectations, ExpectedIssuer, IdTokenClaims, IdTokenError, UntrustedIdToken, Verified,
};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding,
    RsaKeyPair,
};
use ring::{digest, hmac};
use serde_json::{Value, json};

pub(crate) const NOW_S: u64 = 1_800_000_000;
pub(crate) const CLIENT_ID: &str = "33333333-3333-4333-8333-33333333abcd";
pub(crate) const NONCE: &str = "n-0S6_WzA2Mj-this-login-only-43-characters-";
pub(crate) const ACCESS_TOKEN: &str = "ya29.an-access-token-of-this-login";
pub(crate) const ISSUER: &str = "https://idp.example/realms/acme";
pub(crate) const TENANT: &str = "11111111-1111-4111-8111-1111111111aa";
pub(crate) const OTHER_TENANT: &str = "22222222-2222-4222-8222-2222222222bb";
pub(crate) const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub(crate) const OID: &str = "00000000-0000-4000-8000-00000000ada0";
/// The issuer of Entra's authorities of several tenants.
pub(crate) const TEMPLATE: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";

/// base64url without padding (RFC 7515 section 2).
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Entra's issuer for a tenant.
pub(crate) fn entra_issuer(tenant: &str) -> String {
    TEMPLATE.replace("{tenantid}", tenant)
}

/// The first `bytes` bytes of a hash of the access token, as `at_hash` (OpenID Connect Core 3.1.3.6).
pub(crate) fn at_hash(hash: &'static digest::Algorithm, bytes: usize) -> String {
    base64url(digest::digest(hash, ACCESS_TOKEN.as_bytes()).as_ref().split_at(bytes).0)
}

/// Who signs, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signer {
    /// The provider, as the algorithm says.
    Provider(SigningAlgorithm),
    /// RS256 by a key that is in no honest set.
    Stranger,
    /// HS256 with the provider's RSA modulus as the secret: the classic confusion (RFC 8725 section 2.1).
    HmacWithPublicKey,
    /// ES256, but the signature is an ASN.1 structure, as most libraries make it.
    Es256AsDer,
    /// Nobody: the signature is empty.
    Nobody,
}

impl Signer {
    /// Signs.
    pub(crate) fn sign(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Provider(SigningAlgorithm::Rs256) => rsa_sign(&provider_rsa(), &RSA_PKCS1_SHA256, message),
            Self::Provider(SigningAlgorithm::Rs384) => rsa_sign(&provider_rsa(), &RSA_PKCS1_SHA384, message),
            Self::Provider(SigningAlgorithm::Rs512) => rsa_sign(&provider_rsa(), &RSA_PKCS1_SHA512, message),
            Self::Provider(SigningAlgorithm::Ps256) => rsa_sign(&provider_rsa(), &RSA_PSS_SHA256, message),
            Self::Provider(SigningAlgorithm::Es256) => p256_sign(&ECDSA_P256_SHA256_FIXED_SIGNING, message),
            Self::Provider(SigningAlgorithm::EdDsa) => provider_ed25519().sign(message).as_ref().to_vec(),
            Self::Stranger => rsa_sign(&stranger_rsa(), &RSA_PKCS1_SHA256, message),
            Self::HmacWithPublicKey => {
                let secret = PublicKeyComponents::<Vec<u8>>::from(provider_rsa().public()).n;
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), message).as_ref().to_vec()
            }
            Self::Es256AsDer => p256_sign(&ECDSA_P256_SHA256_ASN1_SIGNING, message),
            Self::Nobody => Vec::new(),
        }
    }
}

fn provider_rsa() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(include_bytes!("../keys/provider_rsa.pk8")).unwrap()
}

fn stranger_rsa() -> RsaKeyPair {
    RsaKeyPair::from_pkcs8(include_bytes!("../keys/stranger_rsa.pk8")).unwrap()
}

fn provider_p256(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    EcdsaKeyPair::from_pkcs8(algorithm, include_bytes!("../keys/provider_p256.pk8"), &SystemRandom::new()).unwrap()
}

fn provider_ed25519() -> Ed25519KeyPair {
    // "Unchecked": openssl's form has no public key to compare with.
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(include_bytes!("../keys/provider_ed25519.pk8")).unwrap()
}

fn rsa_sign(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

fn p256_sign(algorithm: &'static EcdsaSigningAlgorithm, message: &[u8]) -> Vec<u8> {
    provider_p256(algorithm).sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
}

fn rsa_jwk(kid: &str, pair: &RsaKeyPair) -> Value {
    let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": base64url(public.n), "e": base64url(public.e) })
}

/// The provider's RSA key, under a name.
pub(crate) fn rsa_key(kid: &str) -> Value {
    rsa_jwk(kid, &provider_rsa())
}

/// Another RSA key, under a name.
pub(crate) fn stranger_key(kid: &str) -> Value {
    rsa_jwk(kid, &stranger_rsa())
}

/// The provider's key on P-256, under a name.
pub(crate) fn p256_key(kid: &str) -> Value {
    let pair = provider_p256(&ECDSA_P256_SHA256_FIXED_SIGNING);
    // 0x04, then the coordinates.
    let (x, y) = pair.public_key().as_ref().split_at(1).1.split_at(32);
    json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": base64url(x), "y": base64url(y) })
}

/// The provider's Ed25519 key, under a name.
pub(crate) fn ed25519_key(kid: &str) -> Value {
    let x = base64url(provider_ed25519().public_key());
    json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x })
}

/// The key with a member more, or another one.
pub(crate) fn with(mut key: Value, member: &str, value: impl Into<Value>) -> Value {
    key.as_object_mut().unwrap().insert(member.to_owned(), value.into());
    key
}

/// The key without a member.
pub(crate) fn without(mut key: Value, member: &str) -> Value {
    key.as_object_mut().unwrap().remove(member);
    key
}

/// The `kid` of the provider's key for an algorithm.
fn kid_for(algorithm: SigningAlgorithm) -> &'static str {
    match algorithm {
        SigningAlgorithm::Es256 => "p256",
        SigningAlgorithm::EdDsa => "ed25519",
        _ => "rsa",
    }
}

/// A token on its way to be verified. Each method changes one thing and gives the scene back.
#[derive(Clone)]
pub(crate) struct Scene {
    header: Value,
    claims: Value,
    /// In place of `header` and `claims`, byte for byte.
    written_header: Option<Vec<u8>>,
    written_payload: Option<Vec<u8>>,
    signer: Signer,
    /// What happens to the token after it was signed.
    transport: fn(&str) -> String,
    keys: Vec<Value>,
    allowed: Vec<SigningAlgorithm>,
    issuer: ExpectedIssuer,
    access_token: Option<&'static str>,
    entra: Option<EntraExpectations>,
    now_s: u64,
}

impl Scene {
    /// A good token of any provider.
    pub(crate) fn oidc() -> Self {
        Self {
            header: json!({ "typ": "JWT", "alg": "RS256", "kid": "rsa" }),
            claims: json!({
                "iss": ISSUER, "aud": CLIENT_ID, "sub": "ada-1815", "nonce": NONCE,
                "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 300, "email": "ada@acme.example",
            }),
            written_header: None,
            written_payload: None,
            signer: Signer::Provider(SigningAlgorithm::Rs256),
            transport: str::to_owned,
            keys: vec![rsa_key("rsa"), p256_key("p256"), ed25519_key("ed25519")],
            allowed: SigningAlgorithm::ALL.to_vec(),
            issuer: ExpectedIssuer::Exact(ISSUER.into()),
            access_token: Some(ACCESS_TOKEN),
            entra: None,
            now_s: NOW_S,
        }
    }

    /// A good token of Entra, one tenant.
    pub(crate) fn entra() -> Self {
        let mut scene = Self::oidc()
            .claim("iss", entra_issuer(TENANT))
            .claim("ver", "2.0")
            .claim("tid", TENANT)
            .claim("oid", OID)
            .keys(&[with(rsa_key("rsa"), "issuer", TEMPLATE)]);
        scene.issuer = ExpectedIssuer::Exact(entra_issuer(TENANT));
        scene.entra = Some(EntraExpectations { tenant: TenantId::parse(TENANT) });
        scene
    }

    /// A good token of Entra's authority `organizations`, where two tenants are let in.
    pub(crate) fn several_tenants() -> Self {
        let mut scene = Self::entra();
        scene.issuer = ExpectedIssuer::Template {
            template: TEMPLATE.into(),
            tenants: [TENANT, OTHER_TENANT].into_iter().filter_map(TenantId::parse).collect(),
        };
        scene.entra = Some(EntraExpectations { tenant: None });
        scene
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims = with(self.claims, name, value);
        self
    }

    pub(crate) fn no_claim(mut self, name: &str) -> Self {
        self.claims = without(self.claims, name);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header = with(self.header, name, value);
        self
    }

    pub(crate) fn no_header(mut self, name: &str) -> Self {
        self.header = without(self.header, name);
        self
    }

    /// The header's bytes as they are.
    pub(crate) fn written_header(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.written_header = Some(bytes.as_ref().to_vec());
        self
    }

    /// The payload's bytes as they are.
    pub(crate) fn written_payload(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.written_payload = Some(bytes.as_ref().to_vec());
        self
    }

    /// The good payload with something written before its last brace.
    pub(crate) fn payload_ends_with(self, text: &str) -> Self {
        let payload = self.claims.to_string();
        let open = payload.strip_suffix('}').unwrap();
        let written = format!("{open}{text}}}");
        self.written_payload(written)
    }

    /// Another algorithm of the provider's: header, key and signature.
    pub(crate) fn by(self, algorithm: SigningAlgorithm) -> Self {
        self.header("alg", algorithm.as_str()).header("kid", kid_for(algorithm)).signed(Signer::Provider(algorithm))
    }

    /// Another signature, the header stays.
    pub(crate) fn signed(mut self, signer: Signer) -> Self {
        self.signer = signer;
        self
    }

    /// Something happens to the token after it was signed.
    pub(crate) fn then(mut self, transport: fn(&str) -> String) -> Self {
        self.transport = transport;
        self
    }

    pub(crate) fn keys(mut self, keys: &[Value]) -> Self {
        self.keys = keys.to_vec();
        self
    }

    pub(crate) fn allowed(mut self, allowed: &[SigningAlgorithm]) -> Self {
        self.allowed = allowed.to_vec();
        self
    }

    pub(crate) fn issuer(mut self, issuer: ExpectedIssuer) -> Self {
        self.issuer = issuer;
        self
    }

    pub(crate) fn no_access_token(mut self) -> Self {
        self.access_token = None;
        self
    }

    /// Moves our clock.
    pub(crate) fn at(mut self, now_s: u64) -> Self {
        self.now_s = now_s;
        self
    }

    /// Signs the token and sends it on its way.
    pub(crate) fn token(&self) -> String {
        let part = |written: &Option<Vec<u8>>, value: &Value| {
            base64url(written.clone().unwrap_or_else(|| value.to_string().into_bytes()))
        };
        let message =
            format!("{}.{}", part(&self.written_header, &self.header), part(&self.written_payload, &self.claims));
        let signature = base64url(self.signer.sign(message.as_bytes()));
        (self.transport)(&format!("{message}.{signature}"))
    }

    /// The key set as the plugin reads it.
    pub(crate) fn key_set(&self) -> JwkSet {
        JwkSet::parse(json!({ "keys": self.keys }).to_string().as_bytes()).unwrap()
    }

    /// Verifies a token in this scene.
    pub(crate) fn verify(
        &self,
        token: &str,
        keys: &JwkSet,
        trace: &mut Trace,
    ) -> Result<Verified<IdTokenClaims>, IdTokenError> {
        let expected = Expectations {
            issuer: self.issuer.clone(),
            client_id: CLIENT_ID,
            nonce: NONCE,
            access_token: self.access_token,
            entra: self.entra.clone(),
        };
        UntrustedIdToken::parse(token, &self.allowed)?.verify(keys, &expected, self.now_s, trace)
    }
}
