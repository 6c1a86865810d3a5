//! Makes the ID token, honest or spoiled in one chosen way ([`TokenMischief`]). Every spoiled token is otherwise the honest one, so a
//! client that refuses it does so for that one reason.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::{Map, Value, json};

use super::errors::Refusal;
use super::id_token::issuer;
use super::key_set::json_web_key;
use crate::control::mischief::TokenMischief as M;
use crate::encoding::base64url;
use crate::keys::{KeyError, Scheme, SigningKey};
use crate::seed::{Guid, fixtures};
use crate::world::World;

/// A client that is not the one the token is for.
const FOREIGN_CLIENT: &str = "99999999-9999-4999-8999-999999999999";

/// What a token is made of.
pub(super) struct Draft {
    header: Map<String, Value>,
    claims: Map<String, Value>,
    key: Arc<SigningKey>,
    scheme: Scheme,
    /// Replaces the serialised claims.
    payload: Option<String>,
}

/// The serialised ID token. `access_token` is what `at_hash` would be about.
pub(super) fn id_token(
    world: &World,
    claims: Map<String, Value>,
    mischief: Option<M>,
    access_token: &str,
) -> Result<String, Refusal> {
    let key = signing_key(world, &claims)?;
    let header = header(&key);
    let mut draft = Draft { header, claims, key, scheme: Scheme::Rs256, payload: None };
    if let Some(mischief) = mischief {
        spoil_claims(world, mischief, &mut draft, access_token);
        spoil_header(world, mischief, &mut draft);
        spoil_key(world, mischief, &mut draft);
        spoil_payload(mischief, &mut draft);
    }
    let token = draft.sign().map_err(|error| Refusal::Internal { reason: error.to_string() })?;
    Ok(match mischief {
        Some(mischief) => spoil_form(world, mischief, &draft, token),
        None => token,
    })
}

/// Tokens of personal accounts are signed with the key that carries their issuer.
fn signing_key(world: &World, claims: &Map<String, Value>) -> Result<Arc<SigningKey>, Refusal> {
    let state = world.state();
    if claims.get("iss").and_then(Value::as_str) == Some(&issuer(world, fixtures::PERSONAL_TENANT)) {
        return Ok(state.keys.personal());
    }
    state.keys.signing_key().ok_or_else(|| Refusal::Internal { reason: "no key signs".to_owned() })
}

fn header(key: &SigningKey) -> Map<String, Value> {
    let pairs = [("typ", "JWT"), ("alg", Scheme::Rs256.name()), ("kid", key.kid())];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

impl Draft {
    fn set_header(&mut self, name: &str, value: impl Into<Value>) {
        self.header.insert(name.to_owned(), value.into());
    }

    fn set_claim(&mut self, name: &str, value: impl Into<Value>) {
        self.claims.insert(name.to_owned(), value.into());
    }

    fn text_claim(&self, name: &str) -> String {
        self.claims.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn payload(&self) -> String {
        self.payload.clone().unwrap_or_else(|| Value::from(self.claims.clone()).to_string())
    }

    fn signing_input(&self) -> String {
        format!("{}.{}", base64url(Value::from(self.header.clone()).to_string()), base64url(self.payload()))
    }

    fn sign(&self) -> Result<String, KeyError> {
        let input = self.signing_input();
        let signature = self.key.sign(self.scheme, input.as_bytes())?;
        Ok(format!("{input}.{}", base64url(signature)))
    }

    /// Signed by the attacker, with the attacker's id unless the mischief wants another.
    fn sign_as_stranger(&mut self, world: &World) {
        self.key = world.state().keys.stranger();
        let kid = self.key.kid().to_owned();
        self.set_header("kid", kid);
    }
}

fn spoil_claims(world: &World, mischief: M, draft: &mut Draft, access_token: &str) {
    let now = world.clock.now_unix_s();
    let client = draft.text_claim("aud");
    match mischief {
        M::WrongAudience => draft.set_claim("aud", FOREIGN_CLIENT),
        M::ForeignAudienceList => draft.set_claim("aud", json!([client, FOREIGN_CLIENT])),
        M::ForeignAudienceListAzp => {
            draft.set_claim("aud", json!([client, FOREIGN_CLIENT]));
            draft.set_claim("azp", FOREIGN_CLIENT);
        }
        M::ForeignAzp => draft.set_claim("azp", FOREIGN_CLIENT),
        M::WrongIssuer => {
            let tenant = draft.text_claim("tid");
            draft.set_claim("iss", format!("https://login.attacker.example/{tenant}/v2.0"));
        }
        M::IssuerTrailingSlash => draft.set_claim("iss", format!("{}/", draft.text_claim("iss"))),
        M::WrongTenant => draft.set_claim("tid", other_tenant(draft)),
        M::TidNotGuid => set_tenant(world, draft, "organizations"),
        M::ForeignTenantValidKey => {
            let other = other_tenant(draft);
            set_tenant(world, draft, other);
        }
        M::EmptySub => draft.set_claim("sub", ""),
        M::NumericSub => draft.set_claim("sub", 4711),
        M::WrongNonce => draft.set_claim("nonce", "a-nonce-that-nobody-sent"),
        M::NonceArray => draft.set_claim("nonce", json!([draft.text_claim("nonce")])),
        M::Expired => {
            draft.set_claim("iat", now - 7200);
            draft.set_claim("nbf", now - 7200);
            draft.set_claim("exp", now - 3600);
        }
        M::NotYetValid => {
            draft.set_claim("nbf", now + 3600);
            draft.set_claim("exp", now + 7200);
        }
        M::IssuedInFuture => {
            draft.set_claim("iat", now + 3600);
            draft.set_claim("exp", now + 7200);
        }
        M::ExpiryAsText => draft.set_claim("exp", (now + 3600).to_string()),
        M::ExpiryHuge => draft.set_claim("exp", 1e300),
        M::WrongAtHash => draft.set_claim("at_hash", base64url([0; 16])),
        M::RightAtHash => draft.set_claim("at_hash", at_hash(access_token)),
        M::V1Token => {
            let (tenant, name) = (draft.text_claim("tid"), draft.text_claim("preferred_username"));
            draft.set_claim("iss", format!("https://sts.windows.net/{tenant}/"));
            draft.set_claim("ver", "1.0");
            draft.set_claim("unique_name", name);
            draft.claims.remove("preferred_username");
        }
        _ => {}
    }
    if let Some(name) = missing_claim(mischief) {
        draft.claims.remove(name);
    }
}

fn missing_claim(mischief: M) -> Option<&'static str> {
    Some(match mischief {
        M::NoAudience => "aud",
        M::NoIssuer => "iss",
        M::NoTid => "tid",
        M::NoOid => "oid",
        M::NoSub => "sub",
        M::NoNonce => "nonce",
        M::NoExpiry => "exp",
        M::NoIssuedAt => "iat",
        _ => return None,
    })
}

/// A tenant that is not the token's own.
fn other_tenant(draft: &Draft) -> &'static str {
    if draft.text_claim("tid") == fixtures::FABRIKAM { fixtures::CONTOSO } else { fixtures::FABRIKAM }
}

fn set_tenant(world: &World, draft: &mut Draft, tenant: &str) {
    draft.set_claim("tid", tenant);
    draft.set_claim("iss", issuer(world, tenant));
}

/// OpenID Connect Core section 3.1.3.6: the left half of the hash, here SHA-256.
fn at_hash(access_token: &str) -> String {
    base64url(digest(&SHA256, access_token.as_bytes()).as_ref().get(..16).unwrap_or_default())
}

fn spoil_header(world: &World, mischief: M, draft: &mut Draft) {
    match mischief {
        M::UnknownKid => draft.set_header("kid", world.random.text(20)),
        M::NoKid => {
            draft.header.remove("kid");
        }
        M::HeaderCrit => {
            draft.set_header("crit", json!(["urn:example:must-understand"]));
            draft.set_header("urn:example:must-understand", true);
        }
        M::HeaderZip => draft.set_header("zip", "DEF"),
        M::HeaderAccessTokenType => draft.set_header("typ", "at+jwt"),
        M::V1Token => draft.set_header("x5t", draft.key.kid().to_owned()),
        _ => {}
    }
}

fn spoil_key(world: &World, mischief: M, draft: &mut Draft) {
    match mischief {
        M::RequestedPs256 => {
            draft.scheme = Scheme::Ps256;
            draft.set_header("alg", Scheme::Ps256.name());
        }
        M::RequestedRs384 => {
            draft.scheme = Scheme::Rs384;
            draft.set_header("alg", Scheme::Rs384.name());
        }
        M::ForeignKey => {
            draft.key = foreign_key(world, &draft.key);
            draft.set_header("kid", draft.key.kid().to_owned());
        }
        M::StrangerKey => draft.key = world.state().keys.stranger(),
        M::HeaderJwk => {
            draft.sign_as_stranger(world);
            draft.set_header("jwk", json_web_key(world, &draft.key, None));
        }
        M::HeaderJku => {
            draft.sign_as_stranger(world);
            draft.set_header("jku", format!("{}/attacker/keys", world.login_url));
        }
        M::HeaderX5u => {
            draft.sign_as_stranger(world);
            draft.set_header("x5u", format!("{}/attacker/certificate", world.login_url));
        }
        M::HeaderX5c => {
            draft.sign_as_stranger(world);
            draft.set_header("x5c", json!([STANDARD.encode(draft.key.certificate())]));
        }
        _ => {}
    }
}

/// A published key whose issuer is not the token's: that of personal accounts for work accounts, and the reverse.
fn foreign_key(world: &World, own: &Arc<SigningKey>) -> Arc<SigningKey> {
    let keys = &world.state().keys;
    let personal = keys.personal();
    if own.kid() == personal.kid() { keys.signing_key().unwrap_or(personal) } else { personal }
}

fn spoil_payload(mischief: M, draft: &mut Draft) {
    let honest = draft.payload();
    let behind_the_brace = honest.strip_prefix('{').unwrap_or_default();
    let payload = match mischief {
        M::PayloadNotJson => "this is not JSON".to_owned(),
        M::PayloadArray => format!("[{honest}]"),
        M::DuplicateClaims => {
            let (sub, oid) = (base64url([7; 32]), Guid::from_bytes([7; 16]));
            format!(r#"{{"sub":"{sub}","oid":"{oid}","email":"admin@contoso.example",{behind_the_brace}"#)
        }
        M::DeepNesting => {
            let depth = 5000;
            format!(r#"{{"nested":{}{},{behind_the_brace}"#, "[".repeat(depth), "]".repeat(depth))
        }
        M::OversizedToken => format!(r#"{{"padding":"{}",{behind_the_brace}"#, "x".repeat(70 * 1024)),
        _ => return,
    };
    draft.payload = Some(payload);
}

fn spoil_form(world: &World, mischief: M, draft: &Draft, token: String) -> String {
    let (input, signature) = token.rsplit_once('.').unwrap_or_default();
    match mischief {
        M::AlgNone => unsigned(draft, "none"),
        M::AlgNoneMixedCase => unsigned(draft, "nOnE"),
        M::Hs256WithPublicKey => {
            let input = input_with_algorithm(draft, "HS256");
            let secret = hmac::Key::new(hmac::HMAC_SHA256, draft.key.public_der());
            format!("{input}.{}", base64url(hmac::sign(&secret, input.as_bytes())))
        }
        M::BadSignature => format!("{input}.{}", with_a_flipped_bit(signature)),
        M::EmptySignature => format!("{input}."),
        M::TruncatedToken => input.to_owned(),
        M::PaddedBase64 => token.split('.').map(padded).collect::<Vec<_>>().join("."),
        M::Jwe5Parts => {
            let header = json!({"alg": "RSA-OAEP", "enc": "A256GCM", "kid": draft.key.kid(), "cty": "JWT"});
            let parts = [256, 12, 700, 16].map(|length| world.random.text(length));
            format!("{}.{}", base64url(header.to_string()), parts.join("."))
        }
        M::EmptyIdToken => String::new(),
        _ => token,
    }
}

fn input_with_algorithm(draft: &Draft, algorithm: &str) -> String {
    let mut header = draft.header.clone();
    header.insert("alg".to_owned(), algorithm.into());
    format!("{}.{}", base64url(Value::from(header).to_string()), base64url(draft.payload()))
}

fn unsigned(draft: &Draft, algorithm: &str) -> String {
    format!("{}.", input_with_algorithm(draft, algorithm))
}

fn with_a_flipped_bit(signature: &str) -> String {
    let mut bytes = crate::encoding::from_base64url(signature).unwrap_or_default();
    if let Some(byte) = bytes.get_mut(100) {
        *byte ^= 1;
    }
    base64url(bytes)
}

fn padded(part: &str) -> String {
    format!("{part}{}", "=".repeat((4 - part.len() % 4) % 4))
}
