//! JSON Web Key Sets (RFC 7517): strict in the keys that can verify, lenient in everything else, since providers publish
//! keys of other kinds beside the ones that we need.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ecdsa::P256Key;
use super::eddsa::Ed25519Key;
use super::rsa::RsaKey;
use super::{SigningAlgorithm, VerifyingKey};

/// The most that is read of a key set, in bytes; escaped, it must fit into a value of the cache (1 MiB).
pub const MAX_JWKS_BYTES: u32 = 512 << 10;
/// The most keys that are looked at.
pub const MAX_KEYS: usize = 1000;
/// Of so many keys of a set is kept what their arithmetic begins with; providers publish about six.
const MAX_PREPARED: usize = 16;
/// The longest `kid`, in bytes.
const MAX_KID_BYTES: usize = 512;

/// A key that can verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    /// RFC 7517 section 4.5.
    pub kid: Option<String>,
    /// RFC 7517 section 4.4: if it is there, the only algorithm of this key.
    pub algorithm: Option<SigningAlgorithm>,
    /// Microsoft's: whose tokens this key signs, possibly with `{tenantid}`.
    pub issuer: Option<String>,
    /// The key.
    pub key: VerifyingKey,
}

/// The keys of a set that can verify.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JwkSet {
    /// In the set's order.
    pub keys: Vec<Jwk>,
    /// How many keys the set has that can verify: more than `keys` if only those of one `kid` were read.
    pub known: usize,
    /// How many keys were passed over, and why the last of them was.
    pub passed_over: (usize, Option<String>),
}

/// Why there is no key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwkSetError {
    /// RFC 7517 section 5: an object with an array `keys`.
    #[error("not a JSON Web Key Set: {0}")]
    Malformed(String),
    /// More than [`MAX_KEYS`].
    #[error("the key set has {0} keys, more than the {MAX_KEYS} that are looked at")]
    TooMany(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Members {
    kty: String,
    #[serde(rename = "use", skip_serializing_if = "Option::is_none")]
    usage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_ops: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alg: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    n: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<String>,
}

impl Members {
    /// As a provider publishes them: a member that is read, and isn't what it should be, makes it no key.
    fn published(value: &Value) -> Result<Self, String> {
        let members = value.as_object().ok_or("not a key: it isn't an object")?;
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(format!("not a key: its {name} isn't a text")),
        };
        let key_ops = match members.get("key_ops") {
            None | Some(Value::Null) => None,
            Some(operations) => {
                let items = operations.as_array().into_iter().flatten();
                let texts: Option<Vec<_>> = items.map(|item| item.as_str().map(str::to_owned)).collect();
                Some(texts.filter(|_| operations.is_array()).ok_or("not a key: its key_ops aren't a list of texts")?)
            }
        };
        Ok(Self {
            kty: text("kty")?.ok_or("not a key: it has no kty")?,
            usage: text("use")?,
            key_ops,
            alg: text("alg")?,
            kid: text("kid")?,
            issuer: text("issuer")?,
            crv: text("crv")?,
            n: text("n")?,
            e: text("e")?,
            x: text("x")?,
            y: text("y")?,
        })
    }
}

/// What is kept of a set between two logins: the keys that can verify, and of each what is read. Certificates, which are most of what
/// providers publish, aren't in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptJwkSet(Vec<KeptJwk>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptJwk {
    #[serde(deserialize_with = "crate::json::as_object")]
    members: Members,
    /// What the key's arithmetic begins with, in base64url: [`VerifyingKey::prepared`]. Whoever computes it otherwise gives it another number: a
    /// plugin finds what the one before it kept.
    #[serde(rename = "prepared-1", skip_serializing_if = "Option::is_none")]
    prepared: Option<String>,
}

impl KeptJwkSet {
    /// The keys of that name, or all if there is none: what a token names is all that is read for it.
    pub fn named(&self, kid: Option<&str>) -> JwkSet {
        let mut set = JwkSet::default();
        for kept in self.0.iter().filter(|kept| kid.is_none() || kept.members.kid.as_deref() == kid) {
            set.add(parse_key(&kept.members).map(|mut jwk| {
                if let Some(prepared) = &kept.prepared {
                    // What can't be read is computed anew.
                    jwk.key.set_prepared(URL_SAFE_NO_PAD.decode(prepared).unwrap_or_default());
                }
                jwk
            }));
        }
        set.known = self.0.len();
        set
    }
}

impl JwkSet {
    /// Parses a set.
    pub fn parse(bytes: &[u8]) -> Result<Self, JwkSetError> {
        Self::parse_and_keep(bytes).map(|(set, _)| set)
    }

    /// Parses a set; and what is to be kept of it.
    pub fn parse_and_keep(bytes: &[u8]) -> Result<(Self, KeptJwkSet), JwkSetError> {
        if bytes.len() > MAX_JWKS_BYTES as usize {
            return Err(JwkSetError::Malformed(format!("{} bytes, at most {MAX_JWKS_BYTES} are read", bytes.len())));
        }
        let mut document = super::parse_unique_object(bytes).map_err(|problem| {
            let is_json = !problem.starts_with("not JSON");
            JwkSetError::Malformed(if is_json { "expected an object with an array \"keys\"".into() } else { problem })
        })?;
        let Some(Value::Array(keys)) = document.remove("keys") else {
            return Err(JwkSetError::Malformed("expected an object with an array \"keys\"".into()));
        };
        if keys.len() > MAX_KEYS {
            return Err(JwkSetError::TooMany(keys.len()));
        }
        let (mut set, mut kept) = (Self::default(), KeptJwkSet::default());
        for value in &keys {
            match Members::published(value) {
                Ok(members) => {
                    let key = parse_key(&members);
                    if let Ok(jwk) = &key {
                        let prepared = (kept.0.len() < MAX_PREPARED).then(|| jwk.key.prepared()).flatten();
                        let prepared = prepared.map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
                        kept.0.push(KeptJwk { members, prepared });
                    }
                    set.add(key);
                }
                Err(error) => set.add(Err(error)),
            }
        }
        Ok((set, kept))
    }

    fn add(&mut self, key: Result<Jwk, String>) {
        match key {
            Ok(key) => {
                self.keys.push(key);
                self.known = self.keys.len();
            }
            Err(reason) => self.passed_over = (self.passed_over.0.saturating_add(1), Some(reason)),
        }
    }
}

fn parse_key(members: &Members) -> Result<Jwk, String> {
    // RFC 7517 sections 4.2 and 4.3: a key for encryption doesn't verify.
    if members.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return Err("its use isn't sig".into());
    }
    if members.key_ops.as_ref().is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
        return Err("its key_ops have no verify".into());
    }
    if members.kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
        return Err(format!("its kid has more than {MAX_KID_BYTES} bytes"));
    }
    let algorithm = match members.alg.as_deref() {
        None => None,
        Some(name) => Some(name.parse().map_err(|()| "its alg is none of ours".to_owned())?),
    };
    let key = key(members)?;
    if algorithm.is_some_and(|algorithm| !key.fits(algorithm)) {
        return Err("its alg doesn't fit its kty".into());
    }
    Ok(Jwk { kid: members.kid.clone(), algorithm, issuer: members.issuer.clone(), key })
}

fn key(members: &Members) -> Result<VerifyingKey, String> {
    match (members.kty.as_str(), members.crv.as_deref()) {
        ("RSA", _) => {
            let (n, e) = (decode(members.n.as_deref(), "n")?, decode(members.e.as_deref(), "e")?);
            RsaKey::new(&n, &e).map(VerifyingKey::Rsa).map_err(|error| error.to_string())
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (decode(members.x.as_deref(), "x")?, decode(members.y.as_deref(), "y")?);
            P256Key::new(&x, &y).map(VerifyingKey::P256).ok_or_else(|| "it is no point of P-256".into())
        }
        ("OKP", Some("Ed25519")) => {
            let x = decode(members.x.as_deref(), "x")?;
            Ed25519Key::new(&x).map(VerifyingKey::Ed25519).ok_or_else(|| "it is no safe point of Ed25519".into())
        }
        (kty, crv) => Err(format!("its kind {:?} {:?} is none of ours", kty, crv.unwrap_or_default())),
    }
}

fn decode(text: Option<&str>, name: &str) -> Result<Vec<u8>, String> {
    let text = text.ok_or_else(|| format!("it has no {name}"))?;
    // The largest modulus has 1024 bytes.
    if text.len() > 2048 {
        return Err(format!("its {name} is too long"));
    }
    // Some providers pad, against RFC 7515 section 2.
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| format!("its {name} isn't base64url"))
}
