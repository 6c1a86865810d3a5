//! When the provider's key set is fetched: once for all logins, again when a token names a key that isn't there, and never
//! as often as somebody who forges tokens would like (entra_graph section 4.1, V13, V14).
#![expect(clippy::indexing_slicing, reason = "in the helpers of these tests, where it fails the test")]

mod support;

use openid::capability::HttpError;
use serde_json::json;
use support::{ISSUER, KID, Key, Stage, id_token_by, json_response, key_set, parameters, response, verdict};

const KEYS: &str = "https://idp.example/realms/acme/keys";

/// A sign-in whose ID token is signed by `key` and names `kid`.
fn sign_in_with(stage: &Stage, kid: &str, key: Key) -> String {
    let begun = stage.begun();
    stage.claim(&json!({ "nonce": parameters(&begun.url)["nonce"] }));
    let tokens = json!({
        "token_type": "Bearer", "access_token": "a", "id_token": id_token_by(&stage.claims.borrow(), kid, key),
    });
    stage.answer_tokens(move || Ok(json_response(200, &tokens)));
    let (code, detail) = verdict(&stage.finish(&begun, &stage.callback(&begun)));
    if code == "ok" { code } else { format!("{code} {detail}") }
}

fn keep_valid(stage: &Stage) {
    stage.claim(&json!({ "iat": stage.now_s.get(), "exp": stage.now_s.get() + 300 }));
}

#[test]
fn a_thousand_logins_are_one_fetch() {
    let stage = Stage::oidc();
    for _ in 0..200 {
        assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    }
    assert_eq!(stage.count(KEYS), 1);
}

#[test]
fn a_thousand_forged_kids_are_one_fetch_in_five_minutes_and_good_logins_go_on() {
    let stage = Stage::oidc();
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    for number in 0..1000 {
        let outcome = sign_in_with(&stage, &format!("forged-{number}"), Key::Stranger);
        assert!(outcome.starts_with("id_token_key_unknown id_token.key"), "{number}: {outcome}");
    }
    assert_eq!(stage.count(KEYS), 2);
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    stage.pass_time(299);
    sign_in_with(&stage, "forged", Key::Stranger);
    assert_eq!(stage.count(KEYS), 2, "299 s later");
    stage.pass_time(1);
    for number in 0..100 {
        sign_in_with(&stage, &format!("forged-again-{number}"), Key::Stranger);
    }
    assert_eq!(stage.count(KEYS), 3, "300 s later");
}

#[test]
fn a_forged_token_with_a_known_kid_fetches_nothing() {
    let stage = Stage::oidc();
    for _ in 0..50 {
        let outcome = sign_in_with(&stage, KID, Key::Stranger);
        assert!(outcome.starts_with("id_token_signature_invalid id_token.signature"), "{outcome}");
    }
    assert_eq!(stage.count(KEYS), 1);
}

#[test]
fn a_new_key_is_found_at_its_first_use() {
    let stage = Stage::oidc();
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    stage.answer_json(KEYS, &key_set(&[(KID, Key::Provider), ("key-2", Key::Stranger)]));
    assert_eq!(sign_in_with(&stage, "key-2", Key::Stranger), "ok");
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok", "the old key still signs");
    assert_eq!(stage.count(KEYS), 2);
}

#[test]
fn a_withdrawn_key_is_gone_with_the_next_set() {
    let stage = Stage::oidc();
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    stage.answer_json(KEYS, &key_set(&[("key-2", Key::Stranger)]));
    assert_eq!(sign_in_with(&stage, "key-2", Key::Stranger), "ok");
    assert!(sign_in_with(&stage, KID, Key::Provider).starts_with("id_token_key_unknown id_token.key"));
}

#[test]
fn a_refetch_that_fails_keeps_the_last_good_keys_and_counts() {
    for (name, answer) in [
        ("no connection", (|| Err(HttpError::Connect("refused".into()))) as fn() -> Result<_, _>),
        ("silence", || Err(HttpError::Timeout)),
        ("an empty set", || Ok(json_response(200, &json!({ "keys": [] })))),
        ("no key of ours", || Ok(json_response(200, &json!({ "keys": [{ "kty": "EC", "crv": "P-521" }] })))),
        ("HTML", || Ok(response(200, "text/html", "<html>"))),
        ("not a set", || Ok(json_response(200, &json!({ "x": 1 })))),
        ("more than 1 MiB", || Ok(response(200, "application/json", vec![b' '; (1 << 20) + 1]))),
    ] {
        let stage = Stage::oidc();
        assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok", "{name}");
        stage.answer(KEYS, move |_| answer());
        for number in 0..10 {
            let outcome = sign_in_with(&stage, &format!("forged-{number}"), Key::Stranger);
            assert!(outcome.starts_with("id_token_key_unknown id_token.key"), "{name}: {outcome}");
            assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok", "{name}");
        }
        assert_eq!(stage.count(KEYS), 2, "{name}: one failed attempt in five minutes");
    }
}

#[test]
fn a_first_fetch_that_fails_is_not_repeated_for_ten_seconds() {
    let stage = Stage::oidc();
    stage.answer(KEYS, |_| Err(HttpError::Timeout));
    for _ in 0..20 {
        assert!(sign_in_with(&stage, KID, Key::Provider).starts_with("provider_timeout key_set"));
    }
    assert_eq!(stage.count(KEYS), 1);
    stage.pass_time(10);
    stage.answer_json(KEYS, &key_set(&[(KID, Key::Provider)]));
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
}

#[test]
fn an_old_set_is_refreshed_hourly_and_survives_an_outage_of_a_day() {
    let stage = Stage::oidc();
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    stage.pass_time(3600);
    keep_valid(&stage);
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    assert_eq!(stage.count(KEYS), 2, "after an hour");
    stage.answer(KEYS, |_| Err(HttpError::Connect("refused".into())));
    for hour in 1..=23 {
        stage.pass_time(3600);
        keep_valid(&stage);
        assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok", "hour {hour} of the outage");
    }
    stage.pass_time(3600);
    keep_valid(&stage);
    assert!(sign_in_with(&stage, KID, Key::Provider).starts_with("provider_unreachable key_set"));
}

#[test]
fn somebody_who_hangs_while_fetching_holds_up_nobody_for_long() {
    let stage = Stage::oidc();
    stage.somebody_fetches("jwks/");
    assert!(sign_in_with(&stage, KID, Key::Provider).starts_with("provider_timeout key_set"));
    stage.nobody_fetches();
    assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
    stage.somebody_fetches("jwks-refetch/");
    assert!(sign_in_with(&stage, "forged", Key::Stranger).starts_with("id_token_key_unknown id_token.key"));
    assert_eq!(stage.count(KEYS), 1);
}

#[test]
fn a_cache_that_forgets_costs_a_fetch_and_nothing_else() {
    let stage = Stage::oidc();
    for fetches in 1..=3 {
        stage.forget();
        assert_eq!(sign_in_with(&stage, KID, Key::Provider), "ok");
        assert_eq!(stage.count(KEYS), fetches);
    }
}

/// V13: what a token's header says is never requested.
#[test]
fn only_the_providers_own_addresses_are_ever_asked() {
    let stage = Stage::oidc();
    for kid in [KID, "https://evil.example/keys", "../../etc/passwd", "' OR 1=1 --", ""] {
        sign_in_with(&stage, kid, Key::Stranger);
    }
    for request in stage.requests() {
        assert!(request.url.starts_with(ISSUER), "{}", request.url);
    }
}
