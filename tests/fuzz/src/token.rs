//! ID tokens and key sets: `UntrustedIdToken::parse` and `verify` over `JwkSet::parse`. Input: four lines, and the key set.
//!
//! ```text
//! oidc RS256,ES256 now=1800000000 nonce=x client=y     scene (oidc, entra, several), algorithms; the rest may be left out
//! {"alg":"RS256"}      header: JSON that is encoded, or `@rs256…`: a known token's header and what follows, or text as it is
//! {"iss":"…"}          payload, likewise
//! @rs256               signature, likewise; `@`: it is left out, with its dot
//! {"keys":[…]}         `@rsa` in it stands for the modulus of the world's RSA key, and so on
//! ```
//!
//! Asserted: `Verified` comes out only of a token that is, byte for byte, one of those that were really signed (RFC 7515:
//! base64url without padding has one form), of an algorithm that is allowed, with its signer's key in the set, within its
//! time, with this login's nonce and client, and with the payload's claims and no others.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openid::entra::TenantId;
use openid::jose::{JwkSet, SigningAlgorithm};
use openid::login::trace::Trace;
use openid::oidc::id_token::{EntraExpectations, Expectations, ExpectedIssuer, MAX_TOKEN_BYTES, UntrustedIdToken};
use serde_json::{Map, Value, json};

use crate::Seeds;
use crate::common::{
    ACCESS_TOKEN, CLIENT_ID, ISSUER, NONCE, NOW_S, OTHER_TENANT, Scene, Signer, TEMPLATE, TENANT, base64url,
    ed25519_key, entra_issuer, p256_key, rsa_key, stranger_key,
};
use crate::properties::assert_checks;

/// The order of P-256's group: s and this minus s are both signatures of one message.
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa,
    0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// A token that was really signed.
struct Known {
    /// How an input names it.
    name: &'static str,
    scenes: &'static [&'static str],
    /// `None`: it must never be accepted.
    algorithm: Option<SigningAlgorithm>,
    /// The member of the signer's key that names it: RSA `n`, else `x`; decoded.
    signer: Vec<u8>,
    token: String,
}

/// Checks one token and key set; whether the token is good.
pub fn check(input: &[u8]) -> bool {
    let mut lines = input.splitn(5, |byte| *byte == b'\n').map(String::from_utf8_lossy);
    let mut next = || lines.next().unwrap_or_default().into_owned();
    let (setting, header, payload, signature, keys) = (Setting::read(&next()), next(), next(), next(), next());
    let mut token = format!("{}.{}", part(&header, 0), part(&payload, 1));
    if signature != "@" {
        token.push('.');
        token.push_str(&part(&signature, 2));
    }
    let key_set_text = fill_keys(&keys);
    let keys = JwkSet::parse(key_set_text.as_bytes());
    let parsed = UntrustedIdToken::parse(&token, &setting.allowed);
    let untrusted = match parsed {
        Ok(untrusted) => untrusted,
        Err(error) => {
            assert_error(&error.to_string(), error.code(), &token);
            return false;
        }
    };
    assert!(token.len() <= MAX_TOKEN_BYTES && token.split('.').count() == 3);
    assert!(setting.allowed.contains(&untrusted.algorithm()));
    let header: Map<String, Value> = decoded_object(&token, 0).unwrap();
    assert_eq!(header.get("alg").and_then(Value::as_str), Some(untrusted.algorithm().as_str()));
    assert_eq!(header.get("kid").and_then(Value::as_str), untrusted.kid(), "two readers of one header");

    let Ok(keys) = keys else { return false };
    let mut trace = Trace::default();
    let verified = untrusted.verify(&keys, &setting.expectations(), setting.now_s, &mut trace);
    match &verified {
        Err(error) => assert_error(&error.to_string(), error.code(), &token),
        Ok(verified) => {
            let known = known().iter().find(|known| known.token == token && known.scenes.contains(&setting.scene));
            let known = known.unwrap_or_else(|| panic!("nobody signed {token}"));
            let algorithm = known.algorithm.unwrap_or_else(|| panic!("{} must never be accepted", known.name));
            assert!(setting.allowed.contains(&algorithm), "{algorithm} isn't allowed");
            assert!(has_key(&key_set_text, &known.signer), "{}: its signer isn't in the set", known.name);
            assert_eq!((setting.nonce.as_str(), setting.client_id.as_str()), (NONCE, CLIENT_ID));
            assert!(NOW_S <= setting.now_s + 300 && setting.now_s < NOW_S + 600, "out of its time: {}", setting.now_s);
            let claims = verified.claims();
            assert_eq!(Some(&claims.all), decoded_object(&token, 1).as_ref());
            assert_eq!(claims.all.get("iss").and_then(Value::as_str), Some(claims.issuer.as_str()));
            assert_eq!(claims.all.get("sub").and_then(Value::as_str), Some(claims.subject.as_str()));
            assert_eq!(claims.tenant.is_some(), setting.scene != "oidc");
        }
    }
    assert_checks(&trace.into_checks());
    verified.is_ok()
}

/// RFC 8725: an error says which check failed; it is a line of the table, and short.
fn assert_error(text: &str, code: &str, token: &str) {
    assert!(code.starts_with("id_token_") || code == "tenant_not_allowed", "{code}");
    assert!(text.len() <= 4096, "{} bytes of error: {text}", text.len());
    let signature = token.rsplit('.').next().unwrap_or_default();
    let elsewhere = token.strip_suffix(signature).is_some_and(|rest| rest.contains(signature));
    assert!(signature.len() < 40 || elsewhere || !text.contains(signature), "a signature in an error: {text}");
}

/// What is allowed and expected.
struct Setting {
    scene: &'static str,
    allowed: Vec<SigningAlgorithm>,
    now_s: u64,
    nonce: String,
    client_id: String,
}

impl Setting {
    fn read(line: &str) -> Self {
        let mut words = line.split(' ');
        let scene = words.next().unwrap_or_default();
        let scene = ["entra", "several"].into_iter().find(|known| *known == scene).unwrap_or("oidc");
        let names = words.next().unwrap_or_default();
        let allowed = match names {
            "" | "all" => SigningAlgorithm::ALL.to_vec(),
            names => names.split(',').filter_map(|name| name.parse().ok()).collect(),
        };
        let mut setting = Self { scene, allowed, now_s: NOW_S, nonce: NONCE.into(), client_id: CLIENT_ID.into() };
        for (name, value) in words.filter_map(|word| word.split_once('=')) {
            match name {
                "now" => setting.now_s = value.parse::<u64>().unwrap_or(NOW_S).min(1 << 60),
                "nonce" => value.clone_into(&mut setting.nonce),
                "client" => value.clone_into(&mut setting.client_id),
                _ => {}
            }
        }
        setting
    }

    fn expectations(&self) -> Expectations<'_> {
        let (issuer, entra) = match self.scene {
            "entra" => (
                ExpectedIssuer::Exact(entra_issuer(TENANT)),
                Some(EntraExpectations { tenant: TenantId::parse(TENANT) }),
            ),
            "several" => (
                ExpectedIssuer::Template {
                    template: TEMPLATE.into(),
                    tenants: [TENANT, OTHER_TENANT].into_iter().filter_map(TenantId::parse).collect(),
                },
                Some(EntraExpectations { tenant: None }),
            ),
            _ => (ExpectedIssuer::Exact(ISSUER.into()), None),
        };
        Expectations { issuer, client_id: &self.client_id, nonce: &self.nonce, access_token: Some(ACCESS_TOKEN), entra }
    }
}

/// The tokens of the plugin's own tests, signed once in each run.
fn known() -> &'static [Known] {
    static KNOWN: OnceLock<Vec<Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        use SigningAlgorithm::{EdDsa, Es256, Ps256, Rs256, Rs384, Rs512};
        let [rsa, p256, ed25519, stranger] = signers();
        let by = |algorithm| Scene::oidc().by(algorithm).token();
        let es256 = by(Es256);
        let negated = negate(&es256);
        let known = |name, scenes, algorithm, signer: &Vec<u8>, token| Known {
            name,
            scenes,
            algorithm,
            signer: signer.clone(),
            token,
        };
        let oidc: &[&str] = &["oidc"];
        vec![
            known("rs256", oidc, Some(Rs256), &rsa, by(Rs256)),
            known("rs384", oidc, Some(Rs384), &rsa, by(Rs384)),
            known("rs512", oidc, Some(Rs512), &rsa, by(Rs512)),
            known("ps256", oidc, Some(Ps256), &rsa, by(Ps256)),
            known("es256", oidc, Some(Es256), &p256, es256),
            // JWS asks for no low s (RFC 7518 section 3.4): the other root is the same signature.
            known("es256-negated", oidc, Some(Es256), &p256, negated),
            known("eddsa", oidc, Some(EdDsa), &ed25519, by(EdDsa)),
            known("entra", &["entra", "several"], Some(Rs256), &rsa, Scene::entra().token()),
            known("stranger", oidc, Some(Rs256), &stranger, Scene::oidc().signed(Signer::Stranger).token()),
            known(
                "hmac",
                oidc,
                None,
                &rsa,
                Scene::oidc().header("alg", "HS256").signed(Signer::HmacWithPublicKey).token(),
            ),
            known("der", oidc, None, &p256, Scene::oidc().by(Es256).signed(Signer::Es256AsDer).token()),
            known("expired", oidc, None, &rsa, Scene::oidc().claim("exp", NOW_S - 10_000).token()),
            known("replayed", oidc, None, &rsa, Scene::oidc().claim("nonce", "another-login").token()),
            known("another-client", oidc, None, &rsa, Scene::oidc().claim("aud", "another").token()),
            known("crit", oidc, None, &rsa, Scene::oidc().header("crit", json!(["exp"])).token()),
            known(
                "own-key",
                oidc,
                None,
                &stranger,
                Scene::oidc().header("jwk", stranger_key("rsa")).signed(Signer::Stranger).token(),
            ),
        ]
    })
}

/// What names each key: RSA's modulus, the others' `x`.
fn signers() -> [Vec<u8>; 4] {
    [(rsa_key(""), "n"), (p256_key(""), "x"), (ed25519_key(""), "x"), (stranger_key(""), "n")]
        .map(|(key, member)| URL_SAFE_NO_PAD.decode(key.get(member).and_then(Value::as_str).unwrap()).unwrap())
}

/// The token with the other s.
fn negate(token: &str) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0_i16;
    for (byte, order) in bytes.iter_mut().rev().zip(P256_ORDER.iter().rev()) {
        let difference = i16::from(*order) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{message}.{}", base64url(bytes))
}

/// A part of the token from its line.
fn part(line: &str, position: usize) -> String {
    if line.starts_with('{') {
        return base64url(line);
    }
    let Some(rest) = line.strip_prefix('@') else { return line.to_owned() };
    // The longest name first: `es256-negated` begins with `es256`.
    let named = known().iter().filter(|known| rest.starts_with(known.name)).max_by_key(|known| known.name.len());
    match named {
        Some(named) => {
            let own = named.token.split('.').nth(position).unwrap();
            format!("{own}{}", rest.strip_prefix(named.name).unwrap_or_default())
        }
        None => line.to_owned(),
    }
}

/// Members of the world's keys by name.
fn fill_keys(text: &str) -> String {
    static MEMBERS: OnceLock<BTreeMap<&str, String>> = OnceLock::new();
    let members = MEMBERS.get_or_init(|| {
        let member = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).unwrap().to_owned();
        BTreeMap::from([
            ("@rsa", member(&rsa_key(""), "n")),
            ("@stranger", member(&stranger_key(""), "n")),
            ("@p256x", member(&p256_key(""), "x")),
            ("@p256y", member(&p256_key(""), "y")),
            ("@ed25519", member(&ed25519_key(""), "x")),
        ])
    });
    members.iter().fold(text.to_owned(), |text, (name, member)| text.replace(name, member))
}

/// Whether a key of the set has this modulus or x, whatever else it says.
fn has_key(set: &str, signer: &[u8]) -> bool {
    let set: Value = serde_json::from_str(set).unwrap();
    let keys = set.get("keys").and_then(Value::as_array).unwrap();
    let significant = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<u8>>();
    keys.iter().flat_map(|key| [key.get("n"), key.get("x")]).flatten().filter_map(Value::as_str).any(|text| {
        URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).is_ok_and(|bytes| significant(&bytes) == significant(signer))
    })
}

fn decoded_object(token: &str, position: usize) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(position)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// The tokens of the plugin's own tests, and what is between them and the attacks that they show.
pub fn seeds() -> Seeds {
    let names = |key: Value| key.to_string();
    let set = key_set_with_names();
    let mut seeds: Seeds = known()
        .iter()
        .map(|known| {
            let name = known.name;
            let scene = known.scenes.first().unwrap();
            (format!("known-{name}"), format!("{scene} all\n@{name}\n@{name}\n@{name}\n{set}"))
        })
        .map(|(name, text)| (name, text.into_bytes()))
        .collect();
    let json_part = |known: &Known, position| Value::Object(decoded_object(&known.token, position).unwrap());
    for known in known().iter().filter(|known| ["rs256", "eddsa", "entra"].contains(&known.name)) {
        let (header, payload) = (names(json_part(known, 0)), names(json_part(known, 1)));
        let scene = known.scenes.first().unwrap();
        let text = format!("{scene} all\n{header}\n{payload}\n@{}\n{set}", known.name);
        seeds.push((format!("decoded-{}", known.name), text.into_bytes()));
        // PKCS #1 v1.5 and Ed25519 sign alike each time: these stay good.
        let parts: Vec<&str> = known.token.split('.').collect();
        let text = format!("{scene} all\n{}\n{set}", parts.join("\n"));
        seeds.push((format!("written-{}", known.name), text.into_bytes()));
    }
    #[rustfmt::skip]
    let cases = [
        ("no-kid", r#"{"alg":"RS256"}"#, "@rs256", "@rs256"),
        ("none", r#"{"alg":"none"}"#, "@rs256", ""),
        ("two-parts", "@rs256", "@rs256", "@"),
        ("five-parts", "@rs256", "@rs256", "a.b.c"),
        ("padded", "@rs256", "@rs256", "@rs256="),
        ("doubled-claim", "@rs256", r#"{"iss":"a","iss":"b"}"#, "@rs256"),
        ("symmetric", r#"{"alg":"HS256","kid":"rsa"}"#, "@rs256", "@hmac"),
        ("confused-families", r#"{"alg":"ES256","kid":"rsa"}"#, "@rs256", "@rs256"),
        ("header-of-another", "@rs384", "@rs256", "@rs256"),
        ("remote-key", r#"{"alg":"RS256","jku":"https://evil.example/keys"}"#, "@rs256", "@stranger"),
    ];
    for (name, header, payload, signature) in cases {
        seeds.push((name.into(), format!("oidc all\n{header}\n{payload}\n{signature}\n{set}").into_bytes()));
    }
    let settings = [
        ("another-nonce", "oidc all nonce=another"),
        ("no-nonce", "oidc all nonce="),
        ("another-client-id", "oidc all client=another"),
        ("late", "oidc all now=1800000599"),
        ("too-late", "oidc all now=1800000600"),
        ("early", "oidc all now=1799999700"),
    ];
    for (name, setting) in settings {
        seeds.push((name.into(), format!("{setting}\n@rs256\n@rs256\n@rs256\n{set}").into_bytes()));
    }
    seeds
}

/// The world's key set, and the stranger's key under another name.
fn key_set_with_names() -> String {
    json!({ "keys": [
        { "kty": "RSA", "use": "sig", "kid": "rsa", "n": "@rsa", "e": "AQAB" },
        { "kty": "EC", "crv": "P-256", "use": "sig", "kid": "p256", "x": "@p256x", "y": "@p256y" },
        { "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "ed25519", "x": "@ed25519" },
        { "kty": "RSA", "key_ops": ["verify"], "kid": "stranger", "n": "@stranger", "e": "AQAB", "issuer": TEMPLATE },
    ] })
    .to_string()
}
