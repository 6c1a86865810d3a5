//! Spoiled claims that only some clients care about: each deviates as its name says, under a genuine signature.

use entra_emulator::fixtures::{self, group, person};
use entra_emulator::{ClaimMischief as M, TokenMischief};
use serde_json::{Value, json};

use crate::support::{Lab, claims, signed_by};

fn is_spoiled(lab: &Lab, mischief: M, claims: &Value) -> bool {
    let claim = |name: &str| claims[name].clone();
    let issuer = |tenant: &str| json!(lab.login(&format!("/{tenant}/v2.0")));
    match mischief {
        M::AcrsAsText => claim("acrs") == "c1",
        M::AcrsWithNonTexts => claim("acrs") == json!(["c1", 1, null]),
        M::AuthTimeMissing => claims.get("auth_time").is_none(),
        M::AuthTimeAsText => claim("auth_time").as_str().is_some_and(|text| text.parse::<i64>().is_ok()),
        M::AuthTimeInFuture => claim("auth_time").as_i64().unwrap() > lab.control.now_unix_s() + 300 * 86_400,
        M::GroupsAsText => claim("groups") == group::VPN_USERS,
        M::GroupsWithNonTexts => claim("groups") == json!([group::VPN_USERS, 7, null, {"id": group::VPN_USERS}]),
        M::GroupsWithOverage => {
            claim("groups") == json!([group::VPN_USERS])
                && claim("_claim_names") == json!({"groups": "src1"})
                && claim("_claim_sources")["src1"]["endpoint"].is_string()
        }
        M::AcctAsText => claim("acct") == "1",
        M::AcctGuest => claim("acct") == 1,
        M::IdpForeign => {
            claim("acct") == 0 && claim("idp") == format!("https://sts.windows.net/{}/", fixtures::FABRIKAM)
        }
        M::TidPersonal => {
            claim("tid") == fixtures::PERSONAL_TENANT && claim("iss") == issuer(fixtures::PERSONAL_TENANT)
        }
    }
}

#[tokio::test]
async fn every_claim_mischief_does_what_its_name_says() {
    let lab = Lab::start().await;
    let keys = lab.key_set(fixtures::CONTOSO).await;
    for &mischief in M::ALL {
        let honest = lab.id_token_of(person::ADA, &[]).await;
        assert!(!is_spoiled(&lab, mischief, &honest), "{mischief:?}: not by itself");
        lab.control.claim_mischief_once(mischief);
        let tokens = lab.sign_in(person::ADA).await;
        let token = tokens["id_token"].as_str().unwrap();
        assert!(is_spoiled(&lab, mischief, &claims(token)), "{mischief:?}: {}", claims(token));
        assert!(signed_by(token, &keys), "{mischief:?}: signed genuinely");
        assert_eq!(claims(token)["sub"], honest["sub"], "{mischief:?}: otherwise the same");
        let over = lab.id_token_of(person::ADA, &[]).await;
        assert!(!is_spoiled(&lab, mischief, &over), "{mischief:?} is over");
    }
}

#[tokio::test]
async fn the_key_of_a_personal_account_carries_its_issuer() {
    let lab = Lab::start().await;
    lab.control.claim_mischief_once(M::TidPersonal);
    let tokens = lab.sign_in(person::ADA).await;
    let kid = crate::support::header(tokens["id_token"].as_str().unwrap())["kid"].clone();
    let keys = lab.key_set(fixtures::CONTOSO).await;
    let key = keys.iter().find(|key| key["kid"] == kid).unwrap();
    assert!(key["issuer"].as_str().unwrap().contains(fixtures::PERSONAL_TENANT), "{key}");
}

#[tokio::test]
async fn claim_mischief_goes_with_token_mischief_and_ends_with_it() {
    let lab = Lab::start().await;
    lab.control.claim_mischief_always(M::AcctGuest);
    lab.control.claim_mischief_once(M::AcctAsText);
    lab.control.mischief_once(TokenMischief::WrongNonce);
    let spoiled = lab.id_token_of(person::ADA, &[]).await;
    assert_eq!((&spoiled["acct"], spoiled["nonce"] == "nonce-1"), (&json!("1"), false), "both, the queue first");
    assert_eq!(lab.id_token_of(person::ADA, &[]).await["acct"], 1, "always");
    lab.control.clear_mischief();
    assert_eq!(lab.id_token_of(person::ADA, &[]).await["acct"], 0, "cleared");
}
