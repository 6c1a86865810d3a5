//! ID tokens that differ from a good one in one thing each, and the verdict (OpenID Connect Core 1.0, sections 2 and
//! 3.1.3.7; RFC 7515, 7519, 8725; Entra's rules). A line is a case: name, token and scene, the refusal's code or [`GOOD`].
//! Whether single signatures and keys are read rightly is the subject of `signatures.rs`.
#![expect(clippy::unwrap_used, reason = "a test's own arrangement may fail the test")]

mod common;

use common::{
    ACCESS_TOKEN, CLIENT_ID, ISSUER, NONCE, NOW_S, OID, OTHER_TENANT, PERSONAL, Scene, Signer, TEMPLATE, TENANT,
    at_hash, base64url, ed25519_key, entra_issuer, p256_key, rsa_key, stranger_key, with, without,
};
use openid::entra::TenantId;
use openid::jose::SigningAlgorithm::{self, EdDsa, Es256, Ps256, Rs256, Rs384, Rs512};
use openid::login::trace::{Trace, Verdict};
use openid::oidc::id_token::{ExpectedIssuer, MAX_TOKEN_BYTES, UntrustedIdToken};
use ring::digest::{SHA256, SHA384, SHA512};
use serde_json::{Value, json};

/// The verdict on a token that passes.
const GOOD: &str = "good";

/// Name, scene, verdict.
type Case = (&'static str, fn() -> Scene, &'static str);

fn verdict(scene: &Scene) -> String {
    let token = scene.token();
    match scene.verify(&token, &scene.key_set(), &mut Trace::default()) {
        Ok(_) => GOOD.into(),
        Err(error) => {
            let text = error.to_string();
            let signature = token.rsplit('.').next().unwrap_or_default();
            for secret in [NONCE, ACCESS_TOKEN, signature].into_iter().filter(|secret| !secret.is_empty()) {
                assert!(!text.contains(secret), "{}: the text tells a secret: {text}", error.code());
            }
            error.code().into()
        }
    }
}

fn judge(cases: &[Case]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(name, scene, expected)| (name, verdict(&scene()), expected))
        .filter(|(_, found, expected)| found != *expected)
        .map(|(name, found, expected)| format!("{name}: {found}, expected {expected}"))
        .collect();
    println!("{} cases", cases.len());
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The parts of a token.
fn parts(token: &str) -> [&str; 3] {
    let parts: Vec<&str> = token.split('.').collect();
    parts.try_into().unwrap()
}

fn several(tenants: &[&str]) -> ExpectedIssuer {
    let tenants = tenants.iter().filter_map(|tenant| TenantId::parse(tenant)).collect();
    ExpectedIssuer::Template { template: TEMPLATE.into(), tenants }
}

#[test]
#[rustfmt::skip]
fn the_form_of_a_token() {
    judge(&[
        ("as it should be", Scene::oidc, GOOD),
        ("nothing", || Scene::oidc().then(|_| String::new()), "id_token_malformed"),
        ("no dot", || Scene::oidc().then(|token| token.replace('.', "")), "id_token_malformed"),
        ("dots alone", || Scene::oidc().then(|_| "..".into()), "id_token_malformed"),
        ("two parts", || Scene::oidc().then(|token| token.rsplit_once('.').unwrap().0.into()), "id_token_malformed"),
        ("four parts", || Scene::oidc().then(|token| format!("{token}.")), "id_token_malformed"),
        ("five parts, encrypted", || Scene::oidc().then(|token| format!("{token}.AAAA.AAAA")), "id_token_malformed"),
        ("the JSON form of a JWS", || Scene::oidc().then(|token| {
            let [protected, payload, signature] = parts(token);
            json!({ "protected": protected, "payload": payload, "signature": signature }).to_string()
        }), "id_token_malformed"),
        ("a space before", || Scene::oidc().then(|token| format!(" {token}")), "id_token_malformed"),
        ("a line break after", || Scene::oidc().then(|token| format!("{token}\n")), "id_token_malformed"),
        ("a line break within", || Scene::oidc().then(|token| token.replacen('.', ".\n", 1)), "id_token_malformed"),
        ("a letter outside ASCII", || Scene::oidc().then(|token| format!("\u{e9}{token}")), "id_token_malformed"),
        ("a header with padding", || Scene::oidc().written_header(r#"{"alg":"RS256","kid":"rsa"} "#).then(|token| token.replacen('.', "=.", 1)), "id_token_malformed"),
        ("a payload in the standard alphabet", || Scene::oidc().then(|token| {
            let [header, payload, signature] = parts(token);
            format!("{header}.{payload}+/+/.{signature}")
        }), "id_token_malformed"),
        ("a signature with padding", || Scene::oidc().then(|token| format!("{token}==")), "id_token_malformed"),
        ("a signature that isn't base64url", || Scene::oidc().then(|token| format!("{}.!", token.rsplit_once('.').unwrap().0)), "id_token_malformed"),
        ("a header that isn't JSON", || Scene::oidc().written_header("alg=RS256"), "id_token_malformed"),
        ("a header that is a list", || Scene::oidc().written_header(r#"["RS256"]"#), "id_token_malformed"),
        ("a header with a byte order mark", || Scene::oidc().written_header("\u{feff}{\"alg\":\"RS256\",\"kid\":\"rsa\"}"), "id_token_malformed"),
        ("alg twice", || Scene::oidc().written_header(r#"{"alg":"none","alg":"RS256","kid":"rsa"}"#), "id_token_malformed"),
        ("kid twice, once escaped", || Scene::oidc().written_header(r#"{"alg":"RS256","kid":"other","k\u0069d":"rsa"}"#), "id_token_malformed"),
        ("a payload that isn't JSON", || Scene::oidc().written_payload("iss=https"), "id_token_malformed"),
        ("a payload that is empty", || Scene::oidc().written_payload(""), "id_token_malformed"),
        ("a payload that is a list", || Scene::oidc().written_payload("[]"), "id_token_malformed"),
        ("a payload that is no UTF-8", || Scene::oidc().written_payload(b"{\"iss\":\"\xff\"}"), "id_token_malformed"),
        ("a payload with half a surrogate pair", || Scene::oidc().payload_ends_with(r#","name":"\ud800""#), "id_token_malformed"),
        ("a payload with something after it", || Scene::oidc().payload_ends_with("}{"), "id_token_malformed"),
        ("iss twice", || Scene::oidc().payload_ends_with(r#","iss":"https://evil.example""#), "id_token_malformed"),
        ("sub twice, the same", || Scene::oidc().payload_ends_with(r#","sub":"ada-1815""#), "id_token_malformed"),
        ("sub twice, once escaped", || Scene::oidc().payload_ends_with(r#","s\u0075b":"eve""#), "id_token_malformed"),
        ("not a number", || Scene::oidc().payload_ends_with(r#","n":NaN"#), "id_token_malformed"),
        ("a number beyond all", || Scene::oidc().payload_ends_with(r#","n":1e999"#), "id_token_malformed"),
        ("33 levels", || Scene::oidc().payload_ends_with(&format!(r#","deep":{}{}"#, "[".repeat(33), "]".repeat(33))), "id_token_malformed"),
        ("32 levels", || Scene::oidc().payload_ends_with(&format!(r#","deep":{}{}"#, "[".repeat(32), "]".repeat(32))), GOOD),
        ("5000 levels", || Scene::oidc().payload_ends_with(&format!(r#","deep":{}{}"#, "[".repeat(5000), "]".repeat(5000))), "id_token_malformed"),
        ("too large", || Scene::oidc().claim("groups", "g".repeat(MAX_TOKEN_BYTES)), "id_token_too_large"),
        ("too large, and nothing of a token", || Scene::oidc().then(|_| "x".repeat(MAX_TOKEN_BYTES + 1)), "id_token_too_large"),
        ("large: 200 groups", || Scene::oidc().claim("groups", vec![OID; 200]), GOOD),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_header_of_a_token() {
    judge(&[
        ("typ missing", || Scene::oidc().no_header("typ"), GOOD),
        ("typ in lower case", || Scene::oidc().header("typ", "jwt"), GOOD),
        ("unknown members", || Scene::oidc().header("nonce", "abc").header("xms", json!({ "any": ["thing"] })), GOOD),
        ("x5t, the digest of a certificate", || Scene::oidc().header("x5t", base64url([7; 20])), GOOD),
        ("x5t, the digest in hexadecimal", || Scene::oidc().header("x5t", base64url("65af6909b1b0758e06c6e048c46002b5c695e36b")), GOOD),
        ("x5t, no digest", || Scene::oidc().header("x5t", "aGVsbG8"), "id_token_malformed"),
        ("crit", || Scene::oidc().header("crit", json!(["exp"])), "id_token_header_refused"),
        ("crit, empty", || Scene::oidc().header("crit", json!([])), "id_token_header_refused"),
        ("crit, null", || Scene::oidc().header("crit", Value::Null), "id_token_header_refused"),
        ("the stranger's key in jwk", || Scene::oidc().header("jwk", stranger_key("rsa")).signed(Signer::Stranger), "id_token_header_refused"),
        ("our key in jwk", || Scene::oidc().header("jwk", rsa_key("rsa")), "id_token_header_refused"),
        ("jku", || Scene::oidc().header("jku", "https://evil.example/keys"), "id_token_header_refused"),
        ("x5u", || Scene::oidc().header("x5u", "https://evil.example/chain"), "id_token_header_refused"),
        ("x5c", || Scene::oidc().header("x5c", json!(["MIIB"])), "id_token_header_refused"),
        ("zip", || Scene::oidc().header("zip", "DEF"), "id_token_header_refused"),
        ("b64", || Scene::oidc().header("b64", false), "id_token_header_refused"),
        ("typ of an access token", || Scene::oidc().header("typ", "at+jwt"), "id_token_header_refused"),
        ("typ of a logout token", || Scene::oidc().header("typ", "logout+jwt"), "id_token_header_refused"),
        ("typ not a text", || Scene::oidc().header("typ", json!(["JWT"])), "id_token_header_refused"),
        ("a token within the token", || Scene::oidc().header("cty", "JWT"), "id_token_malformed"),
        ("kid a number", || Scene::oidc().header("kid", 1), "id_token_header_refused"),
        ("kid null", || Scene::oidc().header("kid", Value::Null), "id_token_header_refused"),
        ("kid of 513 bytes", || Scene::oidc().header("kid", "k".repeat(513)), "id_token_header_refused"),
        ("kid of 512 bytes", || Scene::oidc().header("kid", "k".repeat(512)).keys(&[rsa_key(&"k".repeat(512))]), GOOD),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_algorithm_of_a_token() {
    judge(&[
        ("RS256", || Scene::oidc().by(Rs256).allowed(&[Rs256]), GOOD),
        ("RS384", || Scene::oidc().by(Rs384).allowed(&[Rs384]), GOOD),
        ("RS512", || Scene::oidc().by(Rs512).allowed(&[Rs512]), GOOD),
        ("PS256", || Scene::oidc().by(Ps256).allowed(&[Ps256]), GOOD),
        ("ES256", || Scene::oidc().by(Es256).allowed(&[Es256]), GOOD),
        ("EdDSA", || Scene::oidc().by(EdDsa).allowed(&[EdDsa]), GOOD),
        ("none, no signature", || Scene::oidc().header("alg", "none").signed(Signer::Nobody), "id_token_algorithm_refused"),
        ("None, no signature", || Scene::oidc().header("alg", "None").signed(Signer::Nobody), "id_token_algorithm_refused"),
        ("none, a good signature", || Scene::oidc().header("alg", "none"), "id_token_algorithm_refused"),
        ("HS256 by the public key", || Scene::oidc().header("alg", "HS256").signed(Signer::HmacWithPublicKey), "id_token_algorithm_refused"),
        ("alg in lower case", || Scene::oidc().header("alg", "rs256"), "id_token_algorithm_refused"),
        ("alg with a space", || Scene::oidc().header("alg", "RS256 "), "id_token_algorithm_refused"),
        ("alg missing", || Scene::oidc().no_header("alg"), "id_token_algorithm_refused"),
        ("alg null", || Scene::oidc().header("alg", Value::Null), "id_token_algorithm_refused"),
        ("alg a list", || Scene::oidc().header("alg", json!(["RS256"])), "id_token_algorithm_refused"),
        ("alg in another case of its name", || Scene::oidc().no_header("alg").header("ALG", "RS256"), "id_token_algorithm_refused"),
        ("PS512, which we don't know", || Scene::oidc().header("alg", "PS512"), "id_token_algorithm_refused"),
        ("ES256K, which we don't know", || Scene::oidc().header("alg", "ES256K"), "id_token_algorithm_refused"),
        ("RS512, not in the list", || Scene::oidc().by(Rs512).allowed(&[Rs256]), "id_token_algorithm_refused"),
        ("ES256, not in the list", || Scene::oidc().by(Es256).allowed(&[Rs256]), "id_token_algorithm_refused"),
        ("RS256, not in the list", || Scene::oidc().allowed(&[Es256, EdDsa]), "id_token_algorithm_refused"),
        ("the list is empty", || Scene::oidc().allowed(&[]), "id_token_algorithm_refused"),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_key_of_a_token() {
    judge(&[
        ("no kid, one key", || Scene::oidc().no_header("kid").keys(&[rsa_key("any")]), GOOD),
        ("no kid, one key without kid", || Scene::oidc().no_header("kid").keys(&[without(rsa_key(""), "kid")]), GOOD),
        ("no kid, one key of each family", || Scene::oidc().no_header("kid"), GOOD),
        ("no kid, another key for encryption", || Scene::oidc().no_header("kid").keys(&[with(stranger_key("1"), "use", "enc"), rsa_key("2")]), GOOD),
        ("no kid, another key of another alg", || Scene::oidc().no_header("kid").keys(&[with(stranger_key("1"), "alg", "RS512"), rsa_key("2")]), GOOD),
        ("no kid, two keys", || Scene::oidc().no_header("kid").keys(&[rsa_key("1"), stranger_key("2")]), "id_token_key_ambiguous"),
        ("no kid, no key", || Scene::oidc().no_header("kid").keys(&[]), "id_token_key_unknown"),
        ("no kid, keys of other families", || Scene::oidc().no_header("kid").keys(&[p256_key("1"), ed25519_key("2")]), "id_token_key_unfit"),
        ("the kid twice, the same key", || Scene::oidc().keys(&[rsa_key("rsa"), rsa_key("rsa")]), GOOD),
        ("the kid twice, the same key with another one between", || Scene::oidc().keys(&[rsa_key("rsa"), stranger_key("x"), rsa_key("rsa")]), GOOD),
        ("the kid twice, another family", || Scene::oidc().keys(&[p256_key("rsa"), rsa_key("rsa")]), GOOD),
        ("the kid twice, two keys", || Scene::oidc().keys(&[rsa_key("rsa"), stranger_key("rsa")]), "id_token_key_ambiguous"),
        ("an unknown kid", || Scene::oidc().header("kid", "new"), "id_token_key_unknown"),
        ("an unknown kid, one key", || Scene::oidc().header("kid", "new").keys(&[rsa_key("rsa")]), "id_token_key_unknown"),
        ("kid in another case", || Scene::oidc().header("kid", "RSA"), "id_token_key_unknown"),
        ("kid empty", || Scene::oidc().header("kid", ""), "id_token_key_unknown"),
        ("a kid, and keys without", || Scene::oidc().keys(&[without(rsa_key(""), "kid")]), "id_token_key_unknown"),
        ("no keys", || Scene::oidc().keys(&[]), "id_token_key_unknown"),
        ("the key is for encryption", || Scene::oidc().keys(&[with(rsa_key("rsa"), "use", "enc")]), "id_token_key_unknown"),
        ("kid of a key on P-256", || Scene::oidc().header("kid", "p256"), "id_token_key_unfit"),
        ("kid of an Ed25519 key", || Scene::oidc().header("kid", "ed25519"), "id_token_key_unfit"),
        ("ES256 with an RSA key", || Scene::oidc().by(Es256).header("kid", "rsa"), "id_token_key_unfit"),
        ("the key's alg is another", || Scene::oidc().keys(&[with(rsa_key("rsa"), "alg", "PS256")]), "id_token_key_unfit"),
        ("the key's alg is this", || Scene::oidc().keys(&[with(rsa_key("rsa"), "alg", "RS256")]), GOOD),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_signature_of_a_token() {
    judge(&[
        ("the stranger's", || Scene::oidc().signed(Signer::Stranger), "id_token_signature_invalid"),
        ("nobody's", || Scene::oidc().signed(Signer::Nobody), "id_token_signature_invalid"),
        ("nobody's, ES256", || Scene::oidc().by(Es256).signed(Signer::Nobody), "id_token_signature_invalid"),
        ("nobody's, EdDSA", || Scene::oidc().by(EdDsa).signed(Signer::Nobody), "id_token_signature_invalid"),
        ("an HMAC by the public key", || Scene::oidc().signed(Signer::HmacWithPublicKey), "id_token_signature_invalid"),
        ("RSA, zeros", || Scene::oidc().then(|token| other_signature(token, &[0; 256])), "id_token_signature_invalid"),
        ("RSA, the number 1", || Scene::oidc().then(|token| other_signature(token, &[&[0; 255][..], &[1]].concat())), "id_token_signature_invalid"),
        ("RSA, a zero before it", || Scene::oidc().then(|token| other_signature(token, &[&[0][..], &signature_of(token)].concat())), "id_token_signature_invalid"),
        ("ES256, zeros: CVE-2022-21449", || Scene::oidc().by(Es256).then(|token| other_signature(token, &[0; 64])), "id_token_signature_invalid"),
        ("ES256, an ASN.1 structure", || Scene::oidc().by(Es256).signed(Signer::Es256AsDer), "id_token_signature_invalid"),
        ("ES256, bytes after it", || Scene::oidc().by(Es256).then(|token| other_signature(token, &[signature_of(token), vec![0; 2]].concat())), "id_token_signature_invalid"),
        ("EdDSA, zeros", || Scene::oidc().by(EdDsa).then(|token| other_signature(token, &[0; 64])), "id_token_signature_invalid"),
        ("PS256's under RS256", || Scene::oidc().signed(Signer::Provider(Ps256)), "id_token_signature_invalid"),
        ("RS256's under PS256", || Scene::oidc().by(Ps256).signed(Signer::Provider(Rs256)), "id_token_signature_invalid"),
        ("RS384's under RS256", || Scene::oidc().signed(Signer::Provider(Rs384)), "id_token_signature_invalid"),
        ("RS256's under RS512", || Scene::oidc().by(Rs512).signed(Signer::Provider(Rs256)), "id_token_signature_invalid"),
        ("ES256's under RS256", || Scene::oidc().signed(Signer::Provider(Es256)), "id_token_signature_invalid"),
        ("of another payload", || Scene::oidc().then(|token| other_payload(token, "{}")), "id_token_signature_invalid"),
        ("of the payload with a space more", || Scene::oidc().then(|token| {
            let payload = Scene::oidc().token();
            let payload = String::from_utf8(decode(parts(&payload)[1])).unwrap();
            other_payload(token, &format!("{payload} "))
        }), "id_token_signature_invalid"),
        ("before the claims are looked at", || Scene::oidc().claim("iss", "https://evil.example").signed(Signer::Stranger), "id_token_signature_invalid"),
    ]);
}

fn decode(part: &str) -> Vec<u8> {
    base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, part).unwrap()
}

fn signature_of(token: &str) -> Vec<u8> {
    decode(parts(token)[2])
}

fn other_signature(token: &str, signature: &[u8]) -> String {
    let [header, payload, _] = parts(token);
    format!("{header}.{payload}.{}", base64url(signature))
}

fn other_payload(token: &str, payload: &str) -> String {
    let [header, _, signature] = parts(token);
    format!("{header}.{}.{signature}", base64url(payload))
}

#[test]
#[rustfmt::skip]
fn issuer_and_audience() {
    judge(&[
        ("iss missing", || Scene::oidc().no_claim("iss"), "id_token_claim_invalid"),
        ("iss a list", || Scene::oidc().claim("iss", json!([ISSUER])), "id_token_claim_invalid"),
        ("iss null", || Scene::oidc().claim("iss", Value::Null), "id_token_claim_invalid"),
        ("iss empty", || Scene::oidc().claim("iss", ""), "id_token_issuer_mismatch"),
        ("iss another's", || Scene::oidc().claim("iss", "https://evil.example"), "id_token_issuer_mismatch"),
        ("iss with a slash more", || Scene::oidc().claim("iss", format!("{ISSUER}/")), "id_token_issuer_mismatch"),
        ("iss begins like ours", || Scene::oidc().claim("iss", format!("{ISSUER}.evil.example")), "id_token_issuer_mismatch"),
        ("iss is a part of ours", || Scene::oidc().claim("iss", "https://idp.example"), "id_token_issuer_mismatch"),
        ("iss over http", || Scene::oidc().claim("iss", ISSUER.replace("https", "http")), "id_token_issuer_mismatch"),
        ("iss with capitals", || Scene::oidc().claim("iss", ISSUER.replace("idp", "IDP")), "id_token_issuer_mismatch"),
        ("iss with the port written", || Scene::oidc().claim("iss", ISSUER.replace("example", "example:443")), "id_token_issuer_mismatch"),
        ("aud a list of us", || Scene::oidc().claim("aud", json!([CLIENT_ID])), GOOD),
        ("aud us twice", || Scene::oidc().claim("aud", json!([CLIENT_ID, CLIENT_ID])), GOOD),
        ("aud us, azp us", || Scene::oidc().claim("azp", CLIENT_ID), GOOD),
        ("aud us and others, azp us", || Scene::oidc().claim("aud", json!(["api", CLIENT_ID])).claim("azp", CLIENT_ID), GOOD),
        ("aud missing", || Scene::oidc().no_claim("aud"), "id_token_claim_invalid"),
        ("aud a number", || Scene::oidc().claim("aud", 7), "id_token_claim_invalid"),
        ("aud an object", || Scene::oidc().claim("aud", json!({ CLIENT_ID: true })), "id_token_claim_invalid"),
        ("aud a list with a number", || Scene::oidc().claim("aud", json!([CLIENT_ID, 7])), "id_token_claim_invalid"),
        ("aud a list in a list", || Scene::oidc().claim("aud", json!([[CLIENT_ID]])), "id_token_claim_invalid"),
        ("aud an empty list", || Scene::oidc().claim("aud", json!([])), "id_token_audience_mismatch"),
        ("aud another client", || Scene::oidc().claim("aud", "another"), "id_token_audience_mismatch"),
        ("aud another client, azp us", || Scene::oidc().claim("aud", "another").claim("azp", CLIENT_ID), "id_token_audience_mismatch"),
        ("aud in capitals", || Scene::oidc().claim("aud", CLIENT_ID.to_uppercase()), "id_token_audience_mismatch"),
        ("aud with a space", || Scene::oidc().claim("aud", format!("{CLIENT_ID} ")), "id_token_audience_mismatch"),
        ("aud us and others, no azp", || Scene::oidc().claim("aud", json!([CLIENT_ID, "api"])), "id_token_audience_mismatch"),
        ("aud us and others, azp the other", || Scene::oidc().claim("aud", json!([CLIENT_ID, "api"])).claim("azp", "api"), "id_token_audience_mismatch"),
        ("aud us, azp another", || Scene::oidc().claim("azp", "another"), "id_token_audience_mismatch"),
        ("azp a list", || Scene::oidc().claim("azp", json!([CLIENT_ID])), "id_token_claim_invalid"),
    ]);
}

#[test]
#[rustfmt::skip]
fn times() {
    judge(&[
        ("exp 299 seconds ago", || Scene::oidc().claim("exp", NOW_S - 299), GOOD),
        ("exp 300 seconds ago", || Scene::oidc().claim("exp", NOW_S - 300), "id_token_expired"),
        ("exp 300.5 seconds ago", || Scene::oidc().claim("exp", json!(1_799_999_699.5)), "id_token_expired"),
        ("exp 0", || Scene::oidc().claim("exp", 0), "id_token_expired"),
        ("exp, our clock an hour later", || Scene::oidc().at(NOW_S + 3600), "id_token_expired"),
        ("exp, our clock at the end of time", || Scene::oidc().at(u64::MAX), "id_token_expired"),
        ("exp in the year 9999", || Scene::oidc().claim("exp", 253_402_300_799_u64), GOOD),
        ("exp in milliseconds", || Scene::oidc().claim("exp", NOW_S * 1000), "id_token_claim_invalid"),
        ("exp beyond all time", || Scene::oidc().claim("exp", u64::MAX), "id_token_claim_invalid"),
        ("exp 1e300", || Scene::oidc().claim("exp", json!(1e300)), "id_token_claim_invalid"),
        ("exp negative", || Scene::oidc().claim("exp", -1), "id_token_claim_invalid"),
        ("exp missing", || Scene::oidc().no_claim("exp"), "id_token_claim_invalid"),
        ("exp null", || Scene::oidc().claim("exp", Value::Null), "id_token_claim_invalid"),
        ("exp a text", || Scene::oidc().claim("exp", (NOW_S + 300).to_string()), "id_token_claim_invalid"),
        ("exp a date", || Scene::oidc().claim("exp", "2027-01-15T08:00:00Z"), "id_token_claim_invalid"),
        ("exp true", || Scene::oidc().claim("exp", true), "id_token_claim_invalid"),
        ("iat in 300 seconds", || Scene::oidc().claim("iat", NOW_S + 300), GOOD),
        ("iat in 301 seconds", || Scene::oidc().claim("iat", NOW_S + 301), "id_token_not_yet_valid"),
        ("iat long ago", || Scene::oidc().claim("iat", 1), GOOD),
        ("iat missing", || Scene::oidc().no_claim("iat"), "id_token_claim_invalid"),
        ("iat a text", || Scene::oidc().claim("iat", "now"), "id_token_claim_invalid"),
        ("nbf missing", || Scene::oidc().no_claim("nbf"), GOOD),
        ("nbf in 300 seconds", || Scene::oidc().claim("nbf", NOW_S + 300), GOOD),
        ("nbf in 301 seconds", || Scene::oidc().claim("nbf", NOW_S + 301), "id_token_not_yet_valid"),
        ("nbf a list", || Scene::oidc().claim("nbf", json!([NOW_S])), "id_token_claim_invalid"),
        ("our clock 300 seconds slow", || Scene::oidc().at(NOW_S - 300), GOOD),
        ("our clock 301 seconds slow", || Scene::oidc().at(NOW_S - 301), "id_token_not_yet_valid"),
        ("our clock at 1970", || Scene::oidc().at(0), "id_token_not_yet_valid"),
        ("times with a fraction", || Scene::oidc().claim("exp", json!(1_800_000_300.75)).claim("iat", json!(1_799_999_999.25)), GOOD),
        ("a time that is a text, and the stranger's signature", || Scene::oidc().claim("exp", "soon").signed(Signer::Stranger), "id_token_claim_invalid"),
        ("times as 1.8e9", || Scene::oidc().no_claim("exp").no_claim("iat").payload_ends_with(r#","exp":1.8000003E9,"iat":1.8e+9"#), GOOD),
    ]);
}

#[test]
#[rustfmt::skip]
fn nonce_subject_and_access_token() {
    judge(&[
        ("nonce missing", || Scene::oidc().no_claim("nonce"), "id_token_claim_invalid"),
        ("nonce a list", || Scene::oidc().claim("nonce", json!([NONCE])), "id_token_claim_invalid"),
        ("nonce empty", || Scene::oidc().claim("nonce", ""), "id_token_nonce_mismatch"),
        ("nonce of another login", || Scene::oidc().claim("nonce", NONCE.replace("only", "else")), "id_token_nonce_mismatch"),
        ("nonce in capitals", || Scene::oidc().claim("nonce", NONCE.to_uppercase()), "id_token_nonce_mismatch"),
        ("nonce begins like ours", || Scene::oidc().claim("nonce", format!("{NONCE}-")), "id_token_nonce_mismatch"),
        ("nonce is the beginning of ours", || Scene::oidc().claim("nonce", NONCE.strip_suffix('-').unwrap()), "id_token_nonce_mismatch"),
        ("at_hash of RS256", || Scene::oidc().claim("at_hash", at_hash(&SHA256, 16)), GOOD),
        ("at_hash of RS384", || Scene::oidc().by(Rs384).claim("at_hash", at_hash(&SHA384, 24)), GOOD),
        ("at_hash of RS512", || Scene::oidc().by(Rs512).claim("at_hash", at_hash(&SHA512, 32)), GOOD),
        ("at_hash of PS256", || Scene::oidc().by(Ps256).claim("at_hash", at_hash(&SHA256, 16)), GOOD),
        ("at_hash of ES256", || Scene::oidc().by(Es256).claim("at_hash", at_hash(&SHA256, 16)), GOOD),
        ("at_hash of EdDSA", || Scene::oidc().by(EdDsa).claim("at_hash", at_hash(&SHA512, 32)), GOOD),
        ("at_hash, and no access token came", || Scene::oidc().no_access_token().claim("at_hash", "anything"), GOOD),
        ("at_hash of another token", || Scene::oidc().claim("at_hash", "MTIzNDU2Nzg5MDEyMzQ1Ng"), "id_token_at_hash_mismatch"),
        ("at_hash, the whole of it", || Scene::oidc().claim("at_hash", at_hash(&SHA256, 32)), "id_token_at_hash_mismatch"),
        ("at_hash, a quarter of it", || Scene::oidc().claim("at_hash", at_hash(&SHA256, 8)), "id_token_at_hash_mismatch"),
        ("at_hash by RS256's hash under RS512", || Scene::oidc().by(Rs512).claim("at_hash", at_hash(&SHA256, 16)), "id_token_at_hash_mismatch"),
        ("at_hash with padding", || Scene::oidc().claim("at_hash", format!("{}==", at_hash(&SHA256, 16))), "id_token_at_hash_mismatch"),
        ("at_hash empty", || Scene::oidc().claim("at_hash", ""), "id_token_at_hash_mismatch"),
        ("at_hash a number", || Scene::oidc().claim("at_hash", 1), "id_token_claim_invalid"),
        ("sub of 255 characters", || Scene::oidc().claim("sub", "s".repeat(255)), GOOD),
        ("sub of 256 characters", || Scene::oidc().claim("sub", "s".repeat(256)), "id_token_claim_invalid"),
        ("sub missing", || Scene::oidc().no_claim("sub"), "id_token_claim_invalid"),
        ("sub empty", || Scene::oidc().claim("sub", ""), "id_token_claim_invalid"),
        ("sub a number", || Scene::oidc().claim("sub", 1815), "id_token_claim_invalid"),
        ("sub outside ASCII", || Scene::oidc().claim("sub", "ad\u{430}"), "id_token_claim_invalid"),
        ("sub with a zero byte", || Scene::oidc().claim("sub", "ada\u{0}"), "id_token_claim_invalid"),
        ("sub with a line break", || Scene::oidc().claim("sub", "ada\n"), "id_token_claim_invalid"),
    ]);
}

#[test]
#[rustfmt::skip]
fn the_rules_of_entra() {
    judge(&[
        ("one tenant", Scene::entra, GOOD),
        ("tid in capitals", || Scene::entra().claim("tid", TENANT.to_uppercase()), GOOD),
        ("a key without issuer", || Scene::entra().keys(&[rsa_key("rsa")]), GOOD),
        ("a key of this tenant's issuer", || Scene::entra().keys(&[with(rsa_key("rsa"), "issuer", entra_issuer(TENANT))]), GOOD),
        ("a key with {TenantId}", || Scene::entra().keys(&[with(rsa_key("rsa"), "issuer", TEMPLATE.replace("tenantid", "TenantId"))]), GOOD),
        ("oid missing", || Scene::entra().no_claim("oid"), GOOD),
        ("ver missing", || Scene::entra().no_claim("ver"), "id_token_claim_invalid"),
        ("ver a number", || Scene::entra().claim("ver", json!(2.0)), "id_token_claim_invalid"),
        ("ver 1.0", || Scene::entra().claim("ver", "1.0"), "id_token_version_refused"),
        ("tid missing", || Scene::entra().no_claim("tid"), "id_token_claim_invalid"),
        ("tid a domain", || Scene::entra().claim("tid", "contoso.example"), "id_token_claim_invalid"),
        ("tid with a path", || Scene::entra().claim("tid", format!("{TENANT}/../{OTHER_TENANT}")), "id_token_claim_invalid"),
        ("tid of another tenant", || Scene::entra().claim("tid", OTHER_TENANT), "tenant_not_allowed"),
        ("tid and iss of another tenant", || Scene::entra().claim("tid", OTHER_TENANT).claim("iss", entra_issuer(OTHER_TENANT)), "tenant_not_allowed"),
        ("tid of personal accounts", || Scene::entra().claim("tid", PERSONAL).claim("iss", entra_issuer(PERSONAL)), "tenant_not_allowed"),
        ("iss of another tenant", || Scene::entra().claim("iss", entra_issuer(OTHER_TENANT)), "id_token_issuer_mismatch"),
        ("iss of version 1", || Scene::entra().claim("iss", format!("https://sts.windows.net/{TENANT}/")), "id_token_issuer_mismatch"),
        ("iss of another cloud", || Scene::entra().claim("iss", entra_issuer(TENANT).replace(".com", ".us")), "id_token_issuer_mismatch"),
        ("a key of another tenant", || Scene::entra().keys(&[with(rsa_key("rsa"), "issuer", entra_issuer(OTHER_TENANT))]), "id_token_key_issuer_mismatch"),
        ("a key of personal accounts", || Scene::entra().keys(&[with(rsa_key("rsa"), "issuer", entra_issuer(PERSONAL))]), "id_token_key_issuer_mismatch"),
        ("oid not a GUID", || Scene::entra().claim("oid", "ada"), "id_token_claim_invalid"),
        ("oid a number", || Scene::entra().claim("oid", 7), "id_token_claim_invalid"),
        ("several tenants, the first", Scene::several_tenants, GOOD),
        ("several tenants, the second", || Scene::several_tenants().claim("tid", OTHER_TENANT).claim("iss", entra_issuer(OTHER_TENANT)), GOOD),
        ("several tenants, a key of each", || Scene::several_tenants().header("kid", "2").claim("tid", OTHER_TENANT).claim("iss", entra_issuer(OTHER_TENANT)).keys(&[
            with(stranger_key("1"), "issuer", entra_issuer(TENANT)), with(rsa_key("2"), "issuer", entra_issuer(OTHER_TENANT)),
        ]), GOOD),
        ("several tenants, tid the second and iss the first", || Scene::several_tenants().claim("tid", OTHER_TENANT), "id_token_issuer_mismatch"),
        ("several tenants, iss the template", || Scene::several_tenants().claim("iss", TEMPLATE), "id_token_issuer_mismatch"),
        ("several tenants, personal accounts", || Scene::several_tenants().claim("tid", PERSONAL).claim("iss", entra_issuer(PERSONAL)), "tenant_not_allowed"),
        ("several tenants, one that isn't listed", || Scene::several_tenants().issuer(several(&[OTHER_TENANT])), "tenant_not_allowed"),
        ("several tenants, none listed", || Scene::several_tenants().issuer(several(&[])), "tenant_not_allowed"),
        ("several tenants, a key of the other", || Scene::several_tenants().keys(&[with(rsa_key("rsa"), "issuer", entra_issuer(OTHER_TENANT))]), "id_token_key_issuer_mismatch"),
        ("no tenant named", || Scene::several_tenants().issuer(ExpectedIssuer::Exact(entra_issuer(TENANT))), "tenant_not_allowed"),
        ("another provider's tid means nothing", || Scene::oidc().claim("tid", 7).claim("ver", 1).claim("oid", "ada"), GOOD),
        ("another provider's key has an issuer", || Scene::oidc().keys(&[with(rsa_key("rsa"), "issuer", "https://else.example")]), GOOD),
    ]);
}

/// What a verified token gives, and that every check was made, in order.
#[test]
fn a_good_token_of_entra() {
    let scene = Scene::entra().claim("oid", OID.to_uppercase()).claim("tid", TENANT.to_uppercase());
    let scene = scene.claim("at_hash", at_hash(&SHA256, 16));
    let mut trace = Trace::default();
    let verified = scene.verify(&scene.token(), &scene.key_set(), &mut trace).unwrap();
    let claims = verified.claims();
    assert_eq!(claims.issuer, entra_issuer(TENANT));
    assert_eq!(claims.subject, "ada-1815");
    assert_eq!(claims.tenant, TenantId::parse(TENANT));
    assert_eq!(claims.object_id.as_deref(), Some(OID), "one form only");
    assert_eq!(claims.all.get("email"), Some(&json!("ada@acme.example")));
    let checks = trace.into_checks();
    assert!(checks.iter().all(|check| check.verdict == Verdict::Pass), "{checks:?}");
    let checked: Vec<&str> = checks.iter().map(|check| check.name).collect();
    let rules = "key signature tenant issuer key_issuer audience time nonce at_hash";
    assert_eq!(checked, rules.split(' ').map(|rule| format!("id_token.{rule}")).collect::<Vec<_>>());
    for secret in [NONCE, ACCESS_TOKEN] {
        assert!(checks.iter().all(|check| !check.detail.contains(secret)), "{checks:?}");
    }
}

/// The algorithms are compared without a key, so that a token can't ask for keys to be fetched by naming another one.
#[test]
fn a_token_is_refused_for_its_algorithm_before_keys_are_looked_at() {
    let token = Scene::oidc().header("kid", "unknown").token();
    assert!(UntrustedIdToken::parse(&token, &[Es256]).is_err_and(|error| error.code() == "id_token_algorithm_refused"));
    let parsed = UntrustedIdToken::parse(&token, &[Es256, Rs256]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((parsed.kid(), parsed.algorithm()), (Some("unknown"), Rs256));
}

/// Claims enough to be good and no more, so that each of many tokens is short.
fn shortest(algorithm: SigningAlgorithm) -> Scene {
    Scene::oidc().by(algorithm).no_claim("nbf").no_claim("email").no_header("typ")
}

/// How many of some damaged tokens were refused; one that passes fails the test, and so does a panic.
fn all_refused(scene: &Scene, damaged: impl Iterator<Item = String>) -> usize {
    let keys = scene.key_set();
    damaged
        .inspect(|token| {
            assert!(scene.verify(token, &keys, &mut Trace::default()).is_err(), "it passes: {token}");
        })
        .count()
}

#[test]
fn no_truncated_token_passes() {
    for algorithm in SigningAlgorithm::ALL {
        let scene = shortest(algorithm);
        let token = scene.token();
        assert_eq!(verdict(&scene), GOOD, "{algorithm}");
        let beginnings = (0..token.len()).map(|end| token.split_at(end).0.to_owned());
        let ends = (1..token.len()).map(|start| token.split_at(start).1.to_owned());
        let refused = all_refused(&scene, beginnings.chain(ends));
        println!("{algorithm}: {refused} truncated tokens refused");
        assert_eq!(refused, 2 * token.len() - 1, "{algorithm}");
    }
}

/// The eighth bit of a character would leave UTF-8, which a token that came in JSON can't; the seven others are flipped.
#[test]
fn no_token_with_a_flipped_bit_passes() {
    for algorithm in SigningAlgorithm::ALL {
        let scene = shortest(algorithm);
        let token = scene.token();
        assert_eq!(verdict(&scene), GOOD, "{algorithm}");
        let flipped = (0..token.len()).flat_map(|place| (0..7).map(move |bit| (place, bit))).map(|(place, bit)| {
            let mut bytes = token.clone().into_bytes();
            *bytes.get_mut(place).unwrap() ^= 1 << bit;
            String::from_utf8(bytes).unwrap()
        });
        let refused = all_refused(&scene, flipped);
        println!("{algorithm}: {refused} tokens with a flipped bit refused");
        assert_eq!(refused, 7 * token.len(), "{algorithm}");
    }
}
