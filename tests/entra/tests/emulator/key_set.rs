//! The key set: shape, issuers, roll-over, and its deviations.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entra_emulator::fixtures::{self, person};
use entra_emulator::{DocumentMischief as M, Rotation};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use serde_json::Value;

use crate::support::{Lab, header, signed_by, verifies};

type Holds = fn(&[Value], &str) -> bool;

fn kids(keys: &[Value]) -> Vec<&str> {
    keys.iter().map(|key| key["kid"].as_str().unwrap_or_default()).collect()
}

#[tokio::test]
async fn keys_look_as_entra_publishes_them() {
    let lab = Lab::start().await;
    for segment in [fixtures::CONTOSO, fixtures::CONTOSO_DOMAIN, "common", "organizations", "consumers"] {
        let keys = lab.key_set(segment).await;
        assert!(keys.len() >= 3, "{segment}: two work keys and that of personal accounts");
        assert_eq!(kids(&keys).into_iter().collect::<HashSet<_>>().len(), keys.len(), "{segment}: ids differ");
        for key in &keys {
            let kid = key["kid"].as_str().unwrap();
            assert_eq!(kid.len(), 27, "{segment}");
            assert_eq!(key["x5t"], kid, "{segment}");
            assert_eq!((&key["kty"], &key["use"]), (&"RSA".into(), &"sig".into()), "{segment}");
            assert_eq!(key["e"], "AQAB", "{segment}");
            assert!(key.get("alg").is_none(), "{segment}: Entra names no algorithm");
            let certificate = STANDARD.decode(key["x5c"][0].as_str().unwrap()).unwrap();
            let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate));
            assert_eq!(thumbprint, kid, "{segment}: the id is the certificate's thumbprint");
            let modulus = URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap();
            assert!(certificate.windows(modulus.len()).any(|window| window == modulus), "{segment}: of that key");
        }
    }
}

#[tokio::test]
async fn issuers_of_keys_are_the_template_the_tenant_and_personal_accounts() {
    let lab = Lab::start().await;
    let issuers = |keys: Vec<Value>| -> HashSet<String> {
        keys.iter().map(|key| key["issuer"].as_str().unwrap().to_owned()).collect()
    };
    let issuer = |tenant: &str| lab.login(&format!("/{tenant}/v2.0"));
    let (template, personal) = (issuer("{tenantid}"), issuer(fixtures::PERSONAL_TENANT));
    let of_tenant = HashSet::from([template.clone(), personal.clone(), issuer(fixtures::CONTOSO)]);
    assert_eq!(issuers(lab.key_set(fixtures::CONTOSO).await), of_tenant);
    assert_eq!(issuers(lab.key_set("common").await), HashSet::from([template, personal]));
}

#[tokio::test]
async fn after_each_roll_over_tokens_fit_the_published_keys() {
    let lab = Lab::start().await;
    let mut signing = lab.control.signing_kid();
    // name, rotation, whether the signing key changes, whether the old key stays published
    let table = [
        ("add", Rotation::Add, false, true),
        ("swap", Rotation::Swap, true, true),
        ("emergency", Rotation::Emergency, true, false),
        ("swap after an emergency", Rotation::Swap, true, true),
    ];
    for (name, rotation, changes, old_stays) in table {
        let before = lab.key_set(fixtures::CONTOSO).await;
        let kid = lab.control.rotate_keys(rotation);
        assert_eq!(kid != signing, changes, "{name}");
        let tokens = lab.sign_in(person::ADA).await;
        let id_token = tokens["id_token"].as_str().unwrap();
        assert_eq!(header(id_token)["kid"], kid, "{name}");
        let keys = lab.key_set(fixtures::CONTOSO).await;
        assert!(signed_by(id_token, &keys), "{name}");
        assert_eq!(kids(&keys).contains(&signing.as_str()), old_stays, "{name}");
        assert!(keys.len() >= 3, "{name}: never fewer than two work keys");
        if rotation == Rotation::Emergency {
            let personal = |key: &&Value| key["issuer"].as_str().unwrap().contains(fixtures::PERSONAL_TENANT);
            let work_before: Vec<_> = before.iter().filter(|key| !personal(key)).cloned().collect();
            assert!(kids(&work_before).iter().all(|old| !kids(&keys).contains(old)), "{name}: no old key is left");
        }
        signing = kid;
    }
    lab.control.reset();
    assert_eq!(lab.control.published_kids().len(), 2, "reset");
}

#[tokio::test]
async fn tokens_of_personal_accounts_are_signed_with_the_key_of_their_issuer() {
    let lab = Lab::start().await;
    let app = [("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))];
    let tokens = lab.sign_in_as("common", person::PERSONAL, &app).await;
    let id_token = tokens["id_token"].as_str().unwrap();
    let keys = lab.key_set("common").await;
    let key = keys.iter().find(|key| key["kid"] == header(id_token)["kid"]).unwrap();
    assert!(verifies(id_token, key));
    assert_eq!(key["issuer"], lab.login(&format!("/{}/v2.0", fixtures::PERSONAL_TENANT)));
}

#[tokio::test]
async fn each_deviation_changes_what_it_names() {
    let lab = Lab::start().await;
    let signing = lab.control.signing_kid();
    let honest = lab.key_set(fixtures::CONTOSO).await;
    let table: [(M, Holds); 7] = [
        (M::KeySetEmpty, |keys, _| keys.is_empty()),
        (M::KeySetNoIssuers, |keys, _| keys.iter().all(|key| key.get("issuer").is_none())),
        (M::KeySetForeignIssuers, |keys, _| {
            keys.iter().all(|key| key["issuer"].as_str().unwrap().contains(fixtures::FABRIKAM))
        }),
        (M::KeySetDuplicateKid, |keys, signing| {
            let same: Vec<_> = keys.iter().filter(|key| key["kid"] == signing).collect();
            same.len() == 2 && same[0]["n"] != same[1]["n"]
        }),
        (M::KeySetForEncryption, |keys, _| keys.iter().all(|key| key["use"] == "enc")),
        (M::KeySetUnknownTypes, |keys, signing| {
            keys.iter().any(|key| key["kty"] == "FUTURE") && kids(keys).contains(&signing)
        }),
        (M::KeySetHuge, |keys, signing| keys.len() > 1000 && kids(keys).contains(&signing)),
    ];
    for (mischief, holds) in table {
        assert!(!holds(&honest, &signing), "{mischief:?} while it is off");
        lab.control.set_document_mischief(mischief, true);
        assert!(holds(&lab.key_set(fixtures::CONTOSO).await, &signing), "{mischief:?}");
        lab.control.clear_mischief();
        assert_eq!(lab.key_set(fixtures::CONTOSO).await, honest, "{mischief:?} after it is off");
    }
}
