//! The first step: what is asked of the provider, what is stored, and what a provider may answer to discovery.

mod support;

use openid::capability::{HttpError, StorageError};
use openid::login::begin::begin;
use openid::login::refusal;
use serde_json::{Value, json};
use support::{
    CLIENT_ID, ISSUER, LOGIN, OTHER_TENANT, REDIRECT_URI, Stage, TENANT, discovery_url, entra_document, json_response,
    oidc_document, parameters, response, verdict, with,
};

fn entra_discovery() -> String {
    discovery_url(&format!("{LOGIN}/{TENANT}/v2.0"))
}

#[test]
fn the_authorization_request_says_what_the_specifications_want() {
    let stage = Stage::microsoft();
    let begun = stage.begun();
    assert!(begun.url.starts_with(&format!("{LOGIN}/{TENANT}/oauth2/v2.0/authorize?")), "{}", begun.url);
    let sent = parameters(&begun.url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid profile email"),
        ("state", begun.state.as_str()),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent[name], value, "{name}");
    }
    for name in ["state", "nonce", "code_challenge"] {
        // 32 bytes in base64url.
        assert_eq!(sent[name].len(), 43, "{name}");
    }
    assert_eq!(sent.len(), 8, "{sent:?}");
    assert_eq!(begun.expires_at_unix_s, support::NOW_S + 600);
    assert_eq!(stage.token_requests().len(), 0);
}

#[test]
fn what_is_stored_names_neither_the_state_nor_the_binding() {
    let stage = Stage::microsoft();
    let begun = stage.begun();
    let keys = stage.stored_keys();
    assert!(keys.len() == 1 && keys[0].starts_with("txn/"), "{keys:?}");
    let stored = format!("{keys:?} {}", stage.stored_text());
    assert!(!stored.contains(&begun.state) && !stored.contains(&begun.browser_binding), "{stored}");
    stage.pass_time(599);
    assert_eq!(stage.stored_keys().len(), 1);
    stage.pass_time(1);
    assert_eq!(stage.stored_keys().len(), 0, "a transaction lives ten minutes");
}

#[test]
fn every_login_has_secrets_of_its_own() {
    let stage = Stage::microsoft();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let begun = stage.begun();
        let sent = parameters(&begun.url);
        for secret in [&begun.state, &begun.browser_binding, &sent["nonce"], &sent["code_challenge"]] {
            assert!(seen.insert(secret.clone()), "{secret} twice");
        }
    }
}

/// Name, configuration, hint of the call, parameter, expected.
type ParameterRow<'a> = (&'a str, Value, Option<&'a str>, &'a str, Option<&'a str>);

#[test]
fn optional_parameters_are_sent_as_configured() {
    #[rustfmt::skip]
    let table: [ParameterRow<'_>; 10] = [
        ("no prompt", json!({}), None, "prompt", None),
        ("a prompt", json!({ "prompt": "select_account" }), None, "prompt", Some("select_account")),
        ("a domain hint", json!({ "domain_hint": "contoso.example" }), None, "domain_hint", Some("contoso.example")),
        ("a configured hint", json!({ "login_hint": "ada@contoso.example" }), None, "login_hint", Some("ada@contoso.example")),
        ("the call's hint goes first", json!({ "login_hint": "x@contoso.example" }), Some("ada@contoso.example"), "login_hint", Some("ada@contoso.example")),
        ("no hint beside select_account", json!({ "prompt": "select_account" }), Some("ada@contoso.example"), "login_hint", None),
        ("no configured hint beside it", json!({ "prompt": "select_account", "login_hint": "a@b.example" }), None, "login_hint", None),
        ("other scopes", json!({ "scopes": ["openid", "https://graph.microsoft.com/User.Read"] }), None, "scope", Some("openid https://graph.microsoft.com/User.Read")),
        ("a hint that tries to add parameters", json!({}), Some("a&prompt=none"), "login_hint", Some("a&prompt=none")),
        ("no response_mode", json!({}), None, "response_mode", None),
    ];
    for (name, configuration, hint, parameter, expected) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&configuration);
        let mut request = stage.begin_request();
        request.login_hint = hint.map(str::to_owned);
        let begun = begin(stage.world(), &request).unwrap_or_else(|(refusal, _)| panic!("{name}: {refusal:?}"));
        assert_eq!(parameters(&begun.url).get(parameter).map(String::as_str), expected, "{name}");
    }
}

#[test]
fn the_endpoints_own_query_stays_but_never_overrules_ours() {
    let stage = Stage::oidc();
    let endpoint = format!("{ISSUER}/auth?realm=acme&state=theirs&code_challenge_method=plain&x=1%262");
    stage.answer_json(&discovery_url(ISSUER), &with(oidc_document(), &json!({ "authorization_endpoint": endpoint })));
    let begun = stage.begun();
    let sent = parameters(&begun.url);
    assert_eq!((sent["realm"].as_str(), sent["x"].as_str()), ("acme", "1&2"));
    assert_eq!((&sent["state"], sent["code_challenge_method"].as_str()), (&begun.state, "S256"));
}

/// V10: PKCE isn't something that metadata can switch off.
#[test]
fn pkce_is_sent_whatever_the_metadata_says() {
    for methods in [Value::Null, json!([]), json!(["plain"]), json!(["S256"])] {
        let stage = Stage::oidc();
        let document = with(oidc_document(), &json!({ "code_challenge_methods_supported": methods }));
        stage.answer_json(&discovery_url(ISSUER), &document);
        assert_eq!(parameters(&stage.begun().url)["code_challenge_method"], "S256", "{methods}");
    }
}

#[test]
fn app_id_in_discovery_is_a_switch() {
    for (switch, query) in [(false, ""), (true, "?appid=33333333-3333-4333-8333-333333333333")] {
        let mut stage = Stage::microsoft();
        stage.configure(&json!({ "app_id_in_discovery": switch }));
        stage.begun();
        assert_eq!(stage.requests()[0].url, format!("{}{query}", entra_discovery()));
    }
}

#[test]
fn what_entra_may_answer_to_discovery() {
    let good = || entra_document(TENANT);
    let issuer = |issuer: &str| with(good(), &json!({ "issuer": issuer }));
    #[rustfmt::skip]
    let table: Vec<(&str, Value, &str, &str)> = vec![
        ("as it should be", good(), "ok", ""),
        ("unknown members", with(good(), &json!({ "x": { "y": [1] } })), "ok", ""),
        ("no userinfo", with(good(), &json!({ "userinfo_endpoint": null })), "ok", ""),
        ("another tenant", issuer(&format!("{LOGIN}/{OTHER_TENANT}/v2.0")), "discovery_mismatch", OTHER_TENANT),
        ("the template", issuer(&format!("{LOGIN}/{{tenantid}}/v2.0")), "discovery_mismatch", "{tenantid}"),
        ("a v1 issuer", issuer(&format!("https://sts.windows.net/{TENANT}/")), "discovery_mismatch", "sts.windows.net"),
        ("another host", issuer(&format!("https://login.evil.example/{TENANT}/v2.0")), "discovery_mismatch", "evil"),
        ("a slash more", issuer(&format!("{LOGIN}/{TENANT}/v2.0/")), "discovery_mismatch", "expected"),
        ("no issuer", with(good(), &json!({ "issuer": null })), "provider_answer_invalid", "issuer"),
        ("an issuer that is no text", with(good(), &json!({ "issuer": 7 })), "provider_answer_invalid", "invalid type"),
        ("no jwks_uri", with(good(), &json!({ "jwks_uri": null })), "provider_answer_invalid", "jwks_uri"),
        ("the token endpoint elsewhere (V19)", with(good(), &json!({ "token_endpoint": "https://evil.example/token" })), "provider_answer_invalid", "token_endpoint"),
        ("the token endpoint on another port", with(good(), &json!({ "token_endpoint": "https://login.microsoftonline.com:8443/token" })), "provider_answer_invalid", "token_endpoint"),
        ("the key set elsewhere", with(good(), &json!({ "jwks_uri": "https://evil.example/keys" })), "provider_answer_invalid", "jwks_uri"),
        ("userinfo elsewhere", with(good(), &json!({ "userinfo_endpoint": "https://evil.example/me" })), "provider_answer_invalid", "userinfo_endpoint"),
        ("a host that begins alike", with(good(), &json!({ "jwks_uri": "https://login.microsoftonline.com.evil.example/keys" })), "provider_answer_invalid", "jwks_uri"),
        ("user information", with(good(), &json!({ "token_endpoint": "https://a:b@login.microsoftonline.com/token" })), "provider_answer_invalid", "user information"),
    ];
    for (name, document, code, part) in table {
        let stage = Stage::microsoft();
        stage.answer_json(&entra_discovery(), &document);
        let (found, detail) = verdict(&stage.begin());
        assert!(found == code && detail.contains(part), "{name}: {found} {detail}");
    }
}

#[test]
fn what_any_provider_may_answer_to_discovery() {
    let issuer = |issuer: &str| with(oidc_document(), &json!({ "issuer": issuer }));
    #[rustfmt::skip]
    let table: Vec<(&str, Value, &str, &str)> = vec![
        ("as it should be", oidc_document(), "ok", ""),
        ("a slash at the end of the issuer", issuer(&format!("{ISSUER}/")), "ok", ""),
        ("another path", issuer("https://idp.example/realms/other"), "discovery_mismatch", "realms/other"),
        ("upper case in the path", issuer("https://idp.example/Realms/acme"), "discovery_mismatch", "Realms"),
        ("only the host", issuer("https://idp.example"), "discovery_mismatch", "expected"),
        ("http", issuer("http://idp.example/realms/acme"), "discovery_mismatch", "expected"),
        ("endpoints on another host", with(oidc_document(), &json!({ "token_endpoint": "https://api.idp.example/token" })), "ok", ""),
        ("plain http", with(oidc_document(), &json!({ "token_endpoint": "http://idp.example/token" })), "provider_answer_invalid", "https"),
        ("http to loopback", with(oidc_document(), &json!({ "jwks_uri": "http://127.0.0.1/keys" })), "provider_answer_invalid", "https"),
        ("a fragment", with(oidc_document(), &json!({ "authorization_endpoint": "https://idp.example/auth#x" })), "provider_answer_invalid", "fragment"),
        ("a relative address", with(oidc_document(), &json!({ "jwks_uri": "/keys" })), "provider_answer_invalid", "jwks_uri"),
        ("a javascript address", with(oidc_document(), &json!({ "authorization_endpoint": "javascript:alert(1)" })), "provider_answer_invalid", "authorization_endpoint"),
    ];
    for (name, document, code, part) in table {
        let stage = Stage::oidc();
        stage.answer_json(&discovery_url(ISSUER), &document);
        let (found, detail) = verdict(&stage.begin());
        assert!(found == code && detail.contains(part), "{name}: {found} {detail}");
    }
}

#[test]
fn a_discovery_that_fails() {
    type Answer = fn() -> Result<openid::capability::Response, HttpError>;
    #[rustfmt::skip]
    let table: [(&str, Answer, &str, &str); 13] = [
        ("HTML", || Ok(response(200, "text/html; charset=utf-8", "<html>")), "provider_answer_invalid", "text/html"),
        ("JSON that says it is text", || Ok(response(200, "text/plain", "{}")), "provider_answer_invalid", "text/plain"),
        ("not JSON", || Ok(response(200, "application/json", "{")), "provider_answer_invalid", "isn't JSON"),
        ("a list", || Ok(response(200, "application/json", "[]")), "provider_answer_invalid", "discovery"),
        ("nothing", || Ok(response(200, "application/json", "")), "provider_answer_invalid", "isn't JSON"),
        ("too large", || Ok(response(200, "application/json", vec![b' '; (256 << 10) + 1])), "provider_answer_invalid", "262144"),
        ("a redirect", || Ok(response(302, "text/html", "")), "provider_answer_invalid", "redirect"),
        ("not found", || Ok(response(404, "text/html", "")), "provider_answer_invalid", "404"),
        ("throttled", || Ok(response(429, "application/json", "{}")), "provider_throttled", "429"),
        ("broken", || Ok(response(503, "text/html", "")), "provider_error", "503"),
        ("no connection", || Err(HttpError::Connect("refused".into())), "provider_unreachable", "refused"),
        ("silence", || Err(HttpError::Timeout), "provider_timeout", "time"),
        ("not allowed by the host", || Err(HttpError::Denied("10.0.0.1 is private".into())), "provider_unreachable", "private"),
    ];
    for (name, answer, code, part) in table {
        let stage = Stage::oidc();
        stage.answer(&discovery_url(ISSUER), move |_| answer());
        let (found, detail) = verdict(&stage.begin());
        assert!(found == code && detail.contains(part), "{name}: {found} {detail}");
        assert_eq!(stage.stored_keys().len(), 0, "{name}");
    }
}

#[test]
fn a_tenant_that_isnt_there_is_explained() {
    let stage = Stage::microsoft();
    stage.answer(&entra_discovery(), |_| {
        Ok(json_response(
            400,
            &json!({ "error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found.\r\nTrace ID: x" }),
        ))
    });
    let Err((refusal, _)) = stage.begin() else { panic!("accepted") };
    assert!(refusal.admin_hint().contains("AADSTS90002"), "{}", refusal.admin_hint());
    let said = &refusal.provider_said;
    assert!(said.iter().any(|(name, value)| name == "error" && value == "invalid_tenant"), "{said:?}");
    assert!(said.iter().all(|(_, value)| !value.contains(['\r', '\n'])), "{said:?}");
}

#[test]
fn a_domain_becomes_the_tenant_that_discovery_names() {
    for (name, issuer, code) in [
        ("the GUID form", format!("{LOGIN}/{TENANT}/v2.0"), "ok"),
        ("the domain form", format!("{LOGIN}/contoso.example/v2.0"), "discovery_mismatch"),
        ("another host", format!("https://evil.example/{TENANT}/v2.0"), "discovery_mismatch"),
        ("a longer path", format!("{LOGIN}/{TENANT}/x/v2.0"), "discovery_mismatch"),
        ("the template", format!("{LOGIN}/{{tenantid}}/v2.0"), "discovery_mismatch"),
    ] {
        let mut stage = Stage::microsoft();
        stage.configure(&json!({ "tenant": "contoso.example" }));
        let document = with(entra_document(TENANT), &json!({ "issuer": issuer }));
        stage.answer_json(&discovery_url(&format!("{LOGIN}/contoso.example/v2.0")), &document);
        assert_eq!(verdict(&stage.begin()).0, code, "{name}");
    }
}

/// T8: page loads don't ask the provider each time.
#[test]
fn a_thousand_page_loads_are_one_discovery() {
    let stage = Stage::microsoft();
    for _ in 0..1000 {
        stage.begun();
    }
    assert_eq!(stage.count(&entra_discovery()), 1);
}

#[test]
fn a_provider_that_is_down_is_asked_once_in_ten_seconds() {
    let stage = Stage::oidc();
    let url = discovery_url(ISSUER);
    stage.answer(&url, |_| Err(HttpError::Timeout));
    for _ in 0..100 {
        assert_eq!(verdict(&stage.begin()).0, "provider_timeout");
    }
    assert_eq!(stage.count(&url), 1);
    stage.pass_time(10);
    stage.answer_json(&url, &oidc_document());
    stage.begun();
    assert_eq!(stage.count(&url), 2);
}

#[test]
fn an_old_document_is_used_while_the_provider_is_down_and_no_longer_than_a_day() {
    let stage = Stage::oidc();
    let url = discovery_url(ISSUER);
    stage.begun();
    stage.answer(&url, |_| Err(HttpError::Timeout));
    stage.pass_time(3599);
    stage.begun();
    assert_eq!(stage.count(&url), 1, "fresh for an hour");
    stage.pass_time(1);
    for _ in 0..50 {
        stage.begun();
    }
    assert_eq!(stage.count(&url), 2, "one try a minute, and the old document for all");
    stage.pass_time(60);
    stage.begun();
    assert_eq!(stage.count(&url), 3);
    assert!(stage.log().iter().any(|record| record.contains("not refreshed")), "{:?}", stage.log());
    stage.pass_time(86_400);
    assert_eq!(verdict(&stage.begin()).0, "provider_timeout");
}

#[test]
fn a_refreshed_document_replaces_the_old_one() {
    let stage = Stage::oidc();
    stage.begun();
    let moved = with(oidc_document(), &json!({ "authorization_endpoint": "https://new.idp.example/auth" }));
    stage.answer_json(&discovery_url(ISSUER), &moved);
    stage.pass_time(3600);
    assert!(stage.begun().url.starts_with("https://new.idp.example/auth?"));
}

/// A document that turned into another provider's isn't taken over the good one.
#[test]
fn a_refresh_with_another_issuer_is_dropped() {
    let stage = Stage::oidc();
    stage.begun();
    stage.answer_json(&discovery_url(ISSUER), &with(oidc_document(), &json!({ "issuer": "https://evil.example" })));
    stage.pass_time(3600);
    assert!(stage.begun().url.starts_with(&format!("{ISSUER}/auth?")));
}

#[test]
fn what_the_installation_may_do() {
    type Arrange = fn(&mut Stage);
    #[rustfmt::skip]
    let table: [(&str, Arrange, &str); 8] = [
        ("no randomness", |stage| stage.random_is_broken.set(true), "internal"),
        ("the storage is down", |stage| *stage.storage_fails.borrow_mut() = Some(StorageError::Unavailable("down".into())), "storage_unavailable"),
        ("the storage is full", |stage| *stage.storage_fails.borrow_mut() = Some(StorageError::QuotaExceeded), "storage_unavailable"),
        ("a broken configuration", |stage| stage.configure(&json!({ "client_id": null })), "configuration_invalid"),
        ("an unknown key", |stage| stage.configure(&json!({ "clientid": "x" })), "configuration_invalid"),
        ("a problem that has no hint of its own", |stage| stage.configure(&json!({ "prompt": "maybe" })), "configuration_invalid"),
        ("somebody else fetches and hangs", |stage| stage.somebody_fetches("discovery/"), "provider_timeout"),
        ("as it should be", |_| (), "ok"),
    ];
    for (name, arrange, code) in table {
        let mut stage = Stage::microsoft();
        arrange(&mut stage);
        let outcome = stage.begin();
        assert_eq!(verdict(&outcome).0, code, "{name}");
        if let Err((refusal, _)) = outcome {
            assert!(!refusal.admin_hint().is_empty(), "{name}");
        }
    }
    assert!(refusal::ALL.iter().all(|rule| !rule.hint.is_empty() && (400..600).contains(&rule.status)));
}
