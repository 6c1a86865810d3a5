//! The provider of the self-test: discovery, keys and a token endpoint that checks what it gets, as answers to URLs. Its key is
//! made anew each time, so nobody else can sign for it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};

use crate::capability::{Clock as _, Script, SystemClock};
use crate::sandbox::bindings::defguard::openid::http::Response;

pub(super) const ISSUER: &str = "https://provider.self-test.invalid";
pub(super) const CLIENT_ID: &str = "self-test";
/// Known to everybody: it opens nothing but this file.
pub(super) const CLIENT_SECRET: &str = "self-test-client-secret";
pub(super) const SUBJECT: &str = "8f4cf3a5-self-test";
pub(super) const EMAIL: &str = "self.test@self-test.invalid";
const KEY_ID: &str = "self-test";

/// The `[[provider]]` table, as the component gets it.
pub(super) fn configuration() -> Result<String, String> {
    let text = format!(
        "id = \"self-test\"\nkind = \"oidc\"\nbase_url = \"{ISSUER}\"\nclient_id = \"{CLIENT_ID}\"\nid_token_algorithms = [\"ES256\"]\n"
    );
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
    provider_table::component_json(&table, false).map_err(|error| error.to_string())
}

/// What a sign-in that began must come back with.
#[derive(Debug, Clone, Default)]
pub(super) struct Expected {
    pub(super) nonce: String,
    /// RFC 7636 section 4.2.
    pub(super) challenge: String,
    pub(super) redirect_uri: String,
    pub(super) code: String,
}

/// Which ID token the token endpoint gives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Token {
    #[default]
    Good,
    /// Signed by a key that isn't in the key set.
    Forged,
    /// Of another sign-in.
    OtherNonce,
}

pub(super) struct SelfTestProvider {
    key: EcdsaKeyPair,
    stranger: EcdsaKeyPair,
    random: SystemRandom,
    next: Mutex<(Expected, Token)>,
}

impl SelfTestProvider {
    pub(super) fn new() -> Result<Self, String> {
        let random = SystemRandom::new();
        let key = || {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                .map_err(|_| "no key can be made: the system has no randomness".to_owned())?;
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random)
                .map_err(|error| error.to_string())
        };
        Ok(Self { key: key()?, stranger: key()?, random: random.clone(), next: Mutex::default() })
    }

    /// What the next token request must bring, and what it gets.
    pub(super) fn expect(&self, expected: Expected, token: Token) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = (expected, token);
    }

    fn keys(&self) -> Value {
        // SEC 1 section 2.3.3: 0x04, x, y.
        let point = self.key.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY_ID,
            "x": coordinate(1), "y": coordinate(33) }] })
    }

    /// RFC 6749 section 4.1.3, RFC 7636 section 4.6.
    fn token(&self, body: &[u8]) -> Result<Value, String> {
        let form: BTreeMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let (expected, token) = self.next.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let verifier = form.get("code_verifier").map_or("", String::as_str);
        let challenge = URL_SAFE_NO_PAD.encode(ring::digest::digest(&ring::digest::SHA256, verifier.as_bytes()));
        let found = |name: &str| form.get(name).map_or("", String::as_str);
        for (name, found, wanted) in [
            ("grant_type", found("grant_type"), "authorization_code"),
            ("code", found("code"), expected.code.as_str()),
            ("redirect_uri", found("redirect_uri"), expected.redirect_uri.as_str()),
            ("client_id", found("client_id"), CLIENT_ID),
            ("client_secret", found("client_secret"), CLIENT_SECRET),
            ("code_verifier", challenge.as_str(), expected.challenge.as_str()),
        ] {
            if found != wanted {
                return Err(format!("{name} isn't what it must be"));
            }
        }
        let id_token = self.id_token(&expected, token)?;
        Ok(json!({ "access_token": "self-test", "token_type": "Bearer", "expires_in": 300, "id_token": id_token }))
    }

    fn id_token(&self, expected: &Expected, token: Token) -> Result<String, String> {
        let now = SystemClock.now_unix_ms() / 1000;
        let nonce = if token == Token::OtherNonce { "another" } else { expected.nonce.as_str() };
        let claims = json!({
            "iss": ISSUER, "sub": SUBJECT, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce,
            "email": EMAIL, "email_verified": true, "preferred_username": "self.test",
            "name": "Self Test", "given_name": "Self", "family_name": "Test",
        });
        let header = json!({ "alg": "ES256", "kid": KEY_ID, "typ": "JWT" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let key = if token == Token::Forged { &self.stranger } else { &self.key };
        let signature =
            key.sign(&self.random, signed.as_bytes()).map_err(|_| "the token can't be signed".to_owned())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Script for SelfTestProvider {
    fn answer(&self, url: &Url, body: &[u8]) -> Response {
        let (status, document) = match url.path() {
            "/.well-known/openid-configuration" => (200, discovery()),
            "/keys" => (200, self.keys()),
            "/token" => match self.token(body) {
                Ok(tokens) => (200, tokens),
                Err(reason) => (400, json!({ "error": "invalid_grant", "error_description": reason })),
            },
            _ => (404, json!({ "error": "not_found" })),
        };
        let headers = vec![("content-type".into(), "application/json".into())];
        Response { status, headers, body: document.to_string().into_bytes() }
    }
}

fn discovery() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/authorize"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "code_challenge_methods_supported": ["S256"],
    })
}
