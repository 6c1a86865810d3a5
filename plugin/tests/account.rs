//! Whose account it is, and whether accounts of that kind are let in: members, guests, personal accounts.

mod support;

use openid::configuration::{Severity, validate};
use serde_json::{Value, json};
use support::{LOGIN, MSA, OTHER_TENANT, Stage, TENANT, verdict};

/// Name, claims, whether guests are let in, the code.
type Row<'a> = (&'a str, Value, bool, &'a str);

#[test]
fn guests_by_every_sign_that_there_is() {
    let here = format!("{LOGIN}/{TENANT}/v2.0");
    #[rustfmt::skip]
    let table: Vec<Row<'_>> = vec![
        ("nothing is said: a member", json!({}), false, "ok"),
        ("acct 0", json!({ "acct": 0 }), false, "ok"),
        ("acct \"0\"", json!({ "acct": "0" }), false, "ok"),
        ("acct 1", json!({ "acct": 1 }), false, "guest_not_allowed"),
        ("acct \"1\"", json!({ "acct": "1" }), false, "guest_not_allowed"),
        ("acct 2: not documented", json!({ "acct": 2 }), false, "guest_not_allowed"),
        ("acct true: not documented", json!({ "acct": true }), false, "guest_not_allowed"),
        ("acct of a list", json!({ "acct": [0] }), false, "guest_not_allowed"),
        ("idp: the issuer itself", json!({ "idp": here }), false, "ok"),
        ("idp: the tenant's older token service", json!({ "idp": format!("https://sts.windows.net/{TENANT}/") }), false, "ok"),
        ("idp: another tenant", json!({ "idp": format!("https://sts.windows.net/{OTHER_TENANT}/") }), false, "guest_not_allowed"),
        ("idp: a personal account's", json!({ "idp": "live.com" }), false, "guest_not_allowed"),
        ("idp: a one-time passcode's", json!({ "idp": "mail" }), false, "guest_not_allowed"),
        ("idp: not a text", json!({ "idp": 1 }), false, "guest_not_allowed"),
        ("acct says member, idp says guest", json!({ "acct": 0, "idp": "live.com" }), false, "guest_not_allowed"),
        ("acct says guest, idp says member", json!({ "acct": 1, "idp": here }), false, "guest_not_allowed"),
        ("an invited account's name", json!({ "preferred_username": "ada_home.example#EXT#@contoso.onmicrosoft.com" }), false, "guest_not_allowed"),
        ("an invited account's upn, in lower case", json!({ "upn": "ada_home.example#ext#@contoso.onmicrosoft.com" }), false, "guest_not_allowed"),
        ("guests are let in: acct", json!({ "acct": 1 }), true, "ok"),
        ("guests are let in: idp", json!({ "idp": "live.com" }), true, "ok"),
        ("guests are let in: members as well", json!({ "acct": 0 }), true, "ok"),
    ];
    for (name, claims, guests, code) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&json!({ "guests": guests }));
        stage.claim(&claims);
        let (found, detail) = verdict(&stage.sign_in());
        assert_eq!(found, code, "{name}: {detail}");
    }
}

#[test]
fn claims_of_other_providers_say_nothing() {
    let stage = Stage::oidc();
    stage.claim(&json!({ "acct": 1, "idp": "elsewhere", "tid": MSA }));
    assert_eq!(verdict(&stage.sign_in()).0, "ok");
}

#[test]
fn personal_accounts_are_asked_for_in_the_configuration() {
    let common = |tenants: Value| json!({ "base_url": format!("{LOGIN}/common/v2.0"), "tenant": null, "allowed_tenants": tenants });
    let consumers = || json!({ "base_url": format!("{LOGIN}/consumers/v2.0"), "tenant": null });
    let and =
        |configuration: Value, personal: bool| support::with(configuration, &json!({ "personal_accounts": personal }));
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Option<&str>)> = vec![
        ("one tenant", json!({}), None),
        ("one tenant, personal accounts wished for", and(json!({}), true), Some("personal_accounts")),
        ("common with a tenant", common(json!([TENANT])), None),
        ("common with a tenant, personal accounts wished for", and(common(json!([TENANT])), true), Some("personal_accounts")),
        ("common with theirs, and wished for", and(common(json!([TENANT, MSA])), true), None),
        ("common with theirs, not wished for", and(common(json!([TENANT, MSA])), false), Some("personal_accounts")),
        ("consumers, and wished for", and(consumers(), true), None),
        ("consumers, not wished for", consumers(), Some("personal_accounts")),
        ("common without tenants (V4)", common(json!([])), Some("allowed_tenants")),
    ];
    for (name, configuration, path) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&configuration);
        let errors: Vec<_> = validate(&stage.provider.to_string())
            .into_iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(|problem| problem.path)
            .collect();
        assert_eq!(errors.iter().map(String::as_str).next(), path, "{name}");
    }
    let mut stage = Stage::oidc();
    stage.configure(&json!({ "guests": true, "personal_accounts": true }));
    let errors = validate(&stage.provider.to_string());
    let paths: Vec<_> = errors.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["guests", "personal_accounts"]);
}
