//! The claims of honest ID tokens: by scope, by configuration, by person.

use entra_emulator::fixtures::{self, person};
use serde_json::{Value, json};

use crate::support::{Change, Lab, claims, header};

type Names = &'static [&'static str];

async fn id_token(lab: &Lab, segment: &str, person: &str, changes: &[Change<'_>]) -> Value {
    let tokens = lab.sign_in_as(segment, person, changes).await;
    claims(tokens["id_token"].as_str().unwrap())
}

fn names(claims: &Value) -> Vec<&str> {
    claims.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_complete_member_with_all_scopes() {
    let lab = Lab::start().await;
    let tokens = lab.sign_in(person::ADA).await;
    let token = tokens["id_token"].as_str().unwrap();
    assert_eq!(header(token), json!({"typ": "JWT", "alg": "RS256", "kid": lab.control.signing_kid()}));
    let claims = claims(token);
    let mut expected = vec![
        "acct",
        "aio",
        "aud",
        "auth_time",
        "email",
        "exp",
        "family_name",
        "given_name",
        "iat",
        "iss",
        "name",
        "nbf",
        "nonce",
        "oid",
        "preferred_username",
        "rh",
        "sub",
        "tid",
        "uti",
        "ver",
        "xms_edov",
    ];
    expected.sort_unstable();
    let mut present = names(&claims);
    present.sort_unstable();
    assert_eq!(present, expected);
    for (name, value) in [
        ("aud", json!(fixtures::CLIENT_ID)),
        ("iss", json!(lab.login(&format!("/{}/v2.0", fixtures::CONTOSO)))),
        ("tid", json!(fixtures::CONTOSO)),
        ("oid", json!("33333333-3333-4333-8333-000000000001")),
        ("ver", json!("2.0")),
        ("nonce", json!("nonce-1")),
        ("name", json!("Ada Example")),
        ("given_name", json!("Ada")),
        ("family_name", json!("Example")),
        ("email", json!("ada@contoso.example")),
        ("preferred_username", json!("ada@contoso.example")),
        ("xms_edov", json!(true)),
        ("acct", json!(0)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["sub"].as_str().unwrap().len(), 43);
    let number = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(number("iat"), number("nbf"));
    assert_eq!(number("exp") - number("iat"), 3900, "valid for an hour, back-dated by five minutes");
    assert!((lab.control.now_unix_s() - 300 - number("iat")).abs() < 30);
}

#[tokio::test]
async fn scopes_and_configuration_decide_which_claims_there_are() {
    let lab = Lab::start().await;
    // name, optional claims of the app, scope, present, absent
    let table: [(&str, Names, &str, Names, Names); 6] = [
        (
            "openid alone, nothing configured",
            &[],
            "openid",
            &["sub", "iss", "aud"],
            &["oid", "tid", "name", "preferred_username", "email", "given_name", "xms_edov"],
        ),
        ("email by scope", &[], "openid email", &["email"], &["xms_edov", "oid"]),
        ("email by configuration", &["email"], "openid", &["email"], &["oid"]),
        ("names need profile", &["given_name", "family_name", "upn"], "openid", &[], &["given_name", "upn"]),
        (
            "names with profile",
            &["given_name", "family_name", "upn"],
            "openid profile",
            &["given_name", "family_name", "upn", "oid", "tid"],
            &["email"],
        ),
        ("xms_edov needs email", &["xms_edov"], "openid profile", &[], &["xms_edov", "email"]),
    ];
    for (name, optional, scope, present, absent) in table {
        lab.control
            .edit_app(fixtures::CLIENT_ID, |app| {
                app.optional_claims = optional.iter().map(ToString::to_string).collect();
            })
            .unwrap();
        let claims = id_token(&lab, fixtures::CONTOSO, person::ADA, &[("scope", Some(scope))]).await;
        assert!(present.iter().all(|claim| claims.get(claim).is_some()), "{name}: {:?}", names(&claims));
        assert!(absent.iter().all(|claim| claims.get(claim).is_none()), "{name}: {:?}", names(&claims));
        assert!(claims.get("email_verified").is_none() && claims.get("at_hash").is_none(), "{name}: never at Entra");
    }
}

#[tokio::test]
async fn people_differ() {
    let lab = Lab::start().await;
    // name, person, expected values; null: the claim is absent
    let table = [
        ("no names", person::NO_NAMES, json!({"name": null, "given_name": null, "family_name": null})),
        ("no mailbox", person::NO_MAIL, json!({"email": null, "xms_edov": null, "name": "Nora Mailless"})),
        ("family name only", person::NO_GIVEN_NAME, json!({"given_name": null, "family_name": "Suharto"})),
        ("apostrophe and plus", person::APOSTROPHE, json!({"email": "miles.o'brien+tag@contoso.example"})),
        ("outside ASCII", person::UNICODE, json!({"given_name": "Zoë", "name": "Zoë Łukasiewicz 中村"})),
        ("edov false", person::EDOV_FALSE, json!({"xms_edov": false})),
        ("edov text", person::EDOV_TEXT, json!({"xms_edov": "1"})),
        ("edov absent", person::EDOV_ABSENT, json!({"xms_edov": null, "email": "abe@contoso.example"})),
        ("mail in userinfo", person::MAIL_IN_USERINFO, json!({"email": null, "name": "Ulla Infodottir"})),
        (
            "guest",
            person::GUEST,
            json!({
                "acct": 1,
                "tid": fixtures::CONTOSO,
                "idp": format!("https://sts.windows.net/{}/", fixtures::FABRIKAM),
                "email": "grace@fabrikam.example",
                "preferred_username": "grace@fabrikam.example",
                "upn": null,
            }),
        ),
        ("guest with a personal account", person::GUEST_PERSONAL, json!({"acct": 1, "idp": "live.com"})),
        (
            "guest without acct",
            person::GUEST_WITHOUT_ACCT,
            json!({"acct": null, "idp": format!("https://sts.windows.net/{}/", fixtures::FABRIKAM)}),
        ),
        ("member", person::ADA, json!({"acct": 0, "idp": null, "groups": null, "acrs": null})),
    ];
    for (name, person, expected) in table {
        let claims = id_token(&lab, fixtures::CONTOSO, person, &[]).await;
        for (claim, value) in expected.as_object().unwrap() {
            assert_eq!(claims.get(claim).unwrap_or(&Value::Null), value, "{name}: {claim}");
        }
    }
}

#[tokio::test]
async fn subjects_are_pairwise_and_stable_and_guests_are_told_by_idp() {
    let lab = Lab::start().await;
    let multi = [("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))];
    let first = id_token(&lab, fixtures::CONTOSO, person::ADA, &[]).await;
    let again = id_token(&lab, fixtures::CONTOSO, person::ADA, &[]).await;
    let other_app = id_token(&lab, fixtures::CONTOSO, person::ADA, &multi).await;
    assert_eq!(first["sub"], again["sub"]);
    assert_ne!(first["uti"], again["uti"]);
    assert_ne!(first["sub"], other_app["sub"]);
    assert_eq!(first["oid"], other_app["oid"]);
}

#[tokio::test]
async fn accounts_of_other_tenants_carry_their_own_issuer() {
    let lab = Lab::start().await;
    let multi = [("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))];
    // name, authority, person, tenant
    let table = [
        ("nOAuth", "organizations", person::SPOOFER, fixtures::FABRIKAM),
        ("nOAuth at the foreign tenant", fixtures::FABRIKAM, person::SPOOFER, fixtures::FABRIKAM),
        ("own member at organizations", "organizations", person::ADA, fixtures::CONTOSO),
        ("personal account", "consumers", person::PERSONAL, fixtures::PERSONAL_TENANT),
    ];
    for (name, segment, person, tenant) in table {
        let claims = id_token(&lab, segment, person, &multi).await;
        assert_eq!(claims["tid"], tenant, "{name}");
        assert_eq!(claims["iss"], lab.login(&format!("/{tenant}/v2.0")), "{name}");
    }
    let spoofer = id_token(&lab, "organizations", person::SPOOFER, &multi).await;
    let ada = id_token(&lab, "organizations", person::ADA, &multi).await;
    assert_eq!(spoofer["email"], ada["email"], "the spoofer shows Ada's address");
    assert_ne!((&spoofer["sub"], &spoofer["oid"]), (&ada["sub"], &ada["oid"]));
}

#[tokio::test]
async fn no_nonce_is_made_up_and_extra_claims_are_added_as_they_are() {
    let lab = Lab::start().await;
    lab.control
        .edit_person(person::ADA, |ada| {
            ada.extra_claims.insert("department".into(), json!({"code": 7}));
        })
        .unwrap();
    let claims = id_token(&lab, fixtures::CONTOSO, person::ADA, &[("nonce", None)]).await;
    assert!(claims.get("nonce").is_none());
    assert_eq!(claims["department"], json!({"code": 7}));
}
