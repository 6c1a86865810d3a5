//! The token request: what is sent, with which credential, and what each answer becomes. It goes out once, whatever comes
//! back.

mod support;

use openid::capability::{ClientAuthentication, CredentialFailure, HttpError, Method, Response};
use openid::login::refusal::RefusalKind;
use openid::oidc::pkce;
use serde_json::{Value, json};
use support::{
    ISSUER, LOGIN, REDIRECT_URI, Stage, TENANT, discovery_url, json_response, oidc_document, parameters, response,
    verdict, with,
};

const ENTRA_TOKEN_ENDPOINT: &str =
    "https://login.microsoftonline.com/11111111-1111-4111-8111-111111111111/oauth2/v2.0/token";

#[test]
fn the_request_is_the_one_that_the_specification_describes() {
    let stage = Stage::microsoft();
    let begun = stage.begun();
    // A code is opaque: whatever is in it arrives as it was.
    let code = "1.AX+/=&grant_type=password%20 ü";
    let outcome = stage.finish(&begun, &stage.callback_with(&begun, &[("code", code), ("state", &begun.state)]));
    assert_eq!(verdict(&outcome).0, "ok");
    let sent = stage.token_requests();
    let [(request, _)] = sent.as_slice() else { panic!("{} token requests", sent.len()) };
    assert_eq!((request.method, request.url.as_str()), (Method::Post, ENTRA_TOKEN_ENDPOINT));
    let header = |name: &str| request.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!(header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(header("accept"), Some("application/json"));
    assert_eq!(header("authorization"), None, "the credential is the host's");
    let body = String::from_utf8(request.body.clone().unwrap_or_default()).unwrap();
    let form = parameters(&format!("https://x.example/?{body}"));
    assert_eq!(form["grant_type"], "authorization_code");
    assert_eq!(form["code"], code);
    assert_eq!(form["redirect_uri"], REDIRECT_URI);
    assert_eq!(pkce::challenge(&form["code_verifier"]), parameters(&begun.url)["code_challenge"]);
    assert_eq!(form.len(), 4, "client_id and credential are added by the host: {form:?}");
    assert!(request.timeout_ms <= 10_000);
}

/// Name, whether Entra, what discovery says (null: nothing), what the host has, what is configured, what is used.
type CredentialRow<'a> =
    (&'a str, bool, Value, &'a [ClientAuthentication], Option<&'a str>, Result<ClientAuthentication, &'a str>);

#[test]
fn the_credential_is_the_one_that_both_sides_know() {
    use ClientAuthentication::{PrivateKeyJwt, SecretBasic, SecretPost};
    let secret: &[ClientAuthentication] = &[SecretPost, SecretBasic];
    #[rustfmt::skip]
    let table: Vec<CredentialRow<'_>> = vec![
        ("Entra prefers the form", true, json!(["client_secret_basic", "client_secret_post"]), secret, None, Ok(SecretPost)),
        ("others prefer Basic", false, json!(["client_secret_post", "client_secret_basic"]), secret, None, Ok(SecretBasic)),
        ("discovery silent: Basic (RFC 8414)", false, Value::Null, secret, None, Ok(SecretBasic)),
        ("only the form", false, json!(["client_secret_post"]), secret, None, Ok(SecretPost)),
        ("unknown methods beside", false, json!(["tls_client_auth", "client_secret_post"]), secret, None, Ok(SecretPost)),
        ("the configuration goes first", false, json!(["client_secret_basic"]), secret, Some("client_secret_post"), Ok(SecretPost)),
        ("a certificate goes before a secret", true, json!(["client_secret_post", "private_key_jwt"]), &[SecretPost, PrivateKeyJwt], None, Ok(PrivateKeyJwt)),
        ("nothing in common", false, json!(["private_key_jwt"]), secret, None, Err("credential_unusable")),
        ("only methods that we don't know", false, json!(["none"]), secret, None, Err("credential_unusable")),
        ("no credential at all", false, Value::Null, &[], None, Err("credential_unusable")),
        ("configured, and not there", false, Value::Null, &[PrivateKeyJwt], Some("client_secret_post"), Err("credential_unusable")),
    ];
    for (name, entra, supported, available, configured, expected) in table {
        let mut stage = if entra { Stage::microsoft() } else { Stage::oidc() };
        let change = json!({ "token_endpoint_auth_methods_supported": supported });
        if entra {
            let url = discovery_url(&format!("{LOGIN}/{TENANT}/v2.0"));
            stage.answer_json(&url, &with(support::entra_document(TENANT), &change));
        } else {
            stage.answer_json(&discovery_url(ISSUER), &with(oidc_document(), &change));
        }
        stage.configure(&json!({ "token_endpoint_auth_method": configured }));
        *stage.available.borrow_mut() = available.to_vec();
        let outcome = stage.sign_in();
        match expected {
            Ok(method) => {
                assert_eq!(verdict(&outcome).0, "ok", "{name}");
                assert_eq!(stage.token_requests().last().map(|(_, method)| *method), Some(method), "{name}");
            }
            Err(code) => assert_eq!(verdict(&outcome).0, code, "{name}"),
        }
    }
}

fn entra_error(error: &str, description: &str) -> Value {
    json!({
        "error": error, "error_description": format!("{description}\r\nTrace ID: 0001\r\nTimestamp: 2026-01-02 03:04:05Z"),
        "error_codes": [1], "timestamp": "2026-01-02 03:04:05Z", "trace_id": "0001", "correlation_id": "0002",
    })
}

#[test]
fn what_each_answer_becomes() {
    use RefusalKind::{DeniedByProvider, Misconfigured, ProviderUnavailable};
    type Outcome = Result<Response, CredentialFailure>;
    let json = |status: u16, document: Value| -> Outcome { Ok(json_response(status, &document)) };
    let raw = |status: u16, kind: &str, body: &str| -> Outcome { Ok(response(status, kind, body)) };
    let failed = |error: HttpError| -> Outcome { Err(CredentialFailure::Http(error)) };
    // Name, answer, code, kind, a part of the check's detail or of the administrator's hint.
    #[rustfmt::skip]
    let table: Vec<(&str, Outcome, &str, RefusalKind, &str)> = vec![
        // RFC 6749 section 5.2
        ("the code is spent", json(400, entra_error("invalid_grant", "AADSTS54005: redeemed")), "code_refused", DeniedByProvider, "AADSTS54005"),
        ("the code expired", json(400, entra_error("invalid_grant", "AADSTS70008: expired")), "code_refused", DeniedByProvider, "expired"),
        ("another verifier", json(400, entra_error("invalid_grant", "AADSTS501481: verifier")), "code_refused", DeniedByProvider, "PKCE"),
        ("a wrong secret", json(401, entra_error("invalid_client", "AADSTS7000215: Invalid client secret")), "client_refused", Misconfigured, "Value"),
        ("a wrong secret, as 400", json(400, entra_error("invalid_client", "AADSTS7000215: Invalid")), "client_refused", Misconfigured, "Value"),
        ("an expired secret", json(401, entra_error("invalid_client", "AADSTS7000222: expired")), "client_refused", Misconfigured, "AADSTS7000222"),
        ("a public client", json(401, entra_error("invalid_client", "AADSTS700025: public")), "client_refused", Misconfigured, "type Web"),
        ("not ours", json(400, entra_error("unauthorized_client", "AADSTS700016: not found")), "client_refused", Misconfigured, "AADSTS700016"),
        ("a wrong redirect URI", json(400, entra_error("invalid_request", "AADSTS50011: mismatch")), "request_refused", Misconfigured, "AADSTS50011"),
        ("a wrong scope", json(400, entra_error("invalid_scope", "AADSTS70011: scope")), "request_refused", Misconfigured, "scope"),
        ("a second factor", json(400, entra_error("interaction_required", "AADSTS50079: MFA")), "interaction_required", DeniedByProvider, "register"),
        ("a number without a rule", json(400, entra_error("invalid_grant", "AADSTS999999: new")), "code_refused", DeniedByProvider, "expired, used"),
        ("an error without a rule", json(400, json!({ "error": "brand_new" })), "denied_by_provider", DeniedByProvider, "brand_new"),
        ("an error with 200", json(200, json!({ "error": "invalid_grant" })), "code_refused", DeniedByProvider, "invalid_grant"),
        ("an error beside a token", json(200, json!({ "error": "invalid_grant", "id_token": "x.y.z", "token_type": "Bearer" })), "code_refused", DeniedByProvider, "invalid_grant"),
        ("busy", json(503, json!({ "error": "temporarily_unavailable" })), "provider_error", ProviderUnavailable, "temporarily"),
        ("a new error with 500", json(500, json!({ "error": "boom" })), "provider_error", ProviderUnavailable, "boom"),
        ("a new error with 429", json(429, json!({ "error": "slow_down" })), "provider_throttled", ProviderUnavailable, "slow_down"),
        // no OAuth answer
        ("a redirect", raw(302, "text/html", ""), "provider_answer_invalid", ProviderUnavailable, "redirect"),
        ("a redirect with a body", raw(307, "application/json", "{\"id_token\":\"x\"}"), "provider_answer_invalid", ProviderUnavailable, "redirect"),
        ("HTML", raw(200, "text/html", "<html>"), "provider_answer_invalid", ProviderUnavailable, "text/html"),
        ("no content type", Ok(Response { status: 200, headers: Vec::new(), body: b"{}".to_vec() }), "provider_answer_invalid", ProviderUnavailable, "no content type"),
        ("not JSON", raw(200, "application/json", "token"), "provider_answer_invalid", ProviderUnavailable, "isn't a JSON object"),
        ("a list", raw(200, "application/json", "[]"), "provider_answer_invalid", ProviderUnavailable, "isn't a JSON object"),
        ("a doubled member", raw(200, "application/json", "{\"id_token\":\"a\",\"id_token\":\"b\"}"), "provider_answer_invalid", ProviderUnavailable, "isn't a JSON object"),
        ("HTML with 500", raw(500, "text/html", "<html>"), "provider_error", ProviderUnavailable, "500"),
        ("HTML with 429", raw(429, "text/html", "<html>"), "provider_throttled", ProviderUnavailable, "429"),
        ("HTML with 404", raw(404, "text/html", "<html>"), "provider_answer_invalid", ProviderUnavailable, "404"),
        ("201", json(201, json!({ "token_type": "Bearer", "id_token": "x" })), "provider_answer_invalid", ProviderUnavailable, "201"),
        ("no id_token", json(200, json!({ "token_type": "Bearer", "access_token": "a" })), "provider_answer_invalid", ProviderUnavailable, "no id_token"),
        ("an empty id_token", json(200, json!({ "token_type": "Bearer", "id_token": "" })), "provider_answer_invalid", ProviderUnavailable, "no id_token"),
        ("an id_token that is no text", json(200, json!({ "token_type": "Bearer", "id_token": {} })), "provider_answer_invalid", ProviderUnavailable, "no id_token"),
        ("another token type", json(200, json!({ "token_type": "mac", "id_token": "x" })), "provider_answer_invalid", ProviderUnavailable, "\"mac\""),
        ("no token type", json(200, json!({ "id_token": "x" })), "provider_answer_invalid", ProviderUnavailable, "token_type"),
        // no answer
        ("silence", failed(HttpError::Timeout), "provider_timeout", ProviderUnavailable, "time"),
        ("no connection", failed(HttpError::Connect("reset".into())), "provider_unreachable", ProviderUnavailable, "reset"),
        ("TLS", failed(HttpError::Tls("expired".into())), "provider_unreachable", ProviderUnavailable, "expired"),
        ("50 MB", failed(HttpError::TooLarge(131_072)), "provider_answer_invalid", ProviderUnavailable, "131072"),
        ("cut short, or repeats the secret", failed(HttpError::Protocol("the response repeats the secret".into())), "provider_answer_invalid", ProviderUnavailable, "repeats"),
        ("not allowed", failed(HttpError::Denied("not on the list".into())), "provider_unreachable", ProviderUnavailable, "list"),
        ("an unreadable secret", Err(CredentialFailure::Unusable("the file is gone".into())), "credential_unusable", Misconfigured, "file is gone"),
    ];
    for (name, answer, code, kind, part) in table {
        let stage = Stage::microsoft();
        stage.answer_tokens(move || answer.clone());
        let outcome = stage.sign_in();
        let (found, detail) = verdict(&outcome);
        let Err((refusal, _)) = outcome else { panic!("{name} was accepted") };
        assert_eq!((found.as_str(), refusal.rule.kind), (code, kind), "{name}: {detail}");
        let said = format!("{detail} {}", refusal.admin_hint());
        assert!(said.contains(part), "{name}: {said}");
        assert!(refusal.provider_said.iter().all(|(_, value)| !value.contains(['\r', '\n'])), "{name}");
        assert_eq!(stage.token_requests().len(), 1, "{name}: never sent twice");
    }
}

#[test]
fn the_correlation_ids_reach_the_administrator() {
    let stage = Stage::microsoft();
    stage.answer_tokens(|| Ok(json_response(400, &entra_error("invalid_grant", "AADSTS54005: x"))));
    let Err((refusal, _)) = stage.sign_in() else { panic!("accepted") };
    for pair in [("trace_id", "0001"), ("correlation_id", "0002"), ("error", "invalid_grant")] {
        assert!(refusal.provider_said.contains(&(pair.0.into(), pair.1.into())), "{:?}", refusal.provider_said);
    }
}

#[test]
fn answers_that_are_good() {
    for (name, change) in [
        ("as it should be", json!({})),
        ("bearer in lower case", json!({ "token_type": "bearer" })),
        ("no access token", json!({ "access_token": null })),
        ("a refresh token that nobody asked for", json!({ "refresh_token": "r" })),
        ("members of tomorrow", json!({ "ext_expires_in": 3599, "x": [1] })),
    ] {
        let stage = Stage::microsoft();
        let begun = stage.begun();
        stage.claim(&json!({ "nonce": parameters(&begun.url)["nonce"] }));
        let tokens = with(stage.tokens(), &change);
        stage.answer_tokens(move || Ok(json_response(200, &tokens)));
        assert_eq!(verdict(&stage.finish(&begun, &stage.callback(&begun))).0, "ok", "{name}");
    }
}

/// The rest of the ID token's table is in `id_token.rs`; here that its refusals come through as such.
#[test]
fn a_token_that_fails_is_refused_with_its_check() {
    for (name, change, code, check) in [
        ("another login's nonce", json!({ "nonce": "another" }), "id_token_nonce_mismatch", "id_token.nonce"),
        ("another client", json!({ "aud": "another" }), "id_token_audience_mismatch", "id_token.audience"),
        ("expired", json!({ "exp": support::NOW_S - 301 }), "id_token_expired", "id_token.time"),
        ("another tenant (V3)", json!({ "tid": support::OTHER_TENANT }), "tenant_not_allowed", "id_token.tenant"),
        ("version 1", json!({ "ver": "1.0" }), "id_token_version_refused", "id_token.version"),
    ] {
        let stage = Stage::microsoft();
        stage.claim(&change);
        let outcome = stage.sign_in();
        let (found, detail) = verdict(&outcome);
        assert!(found == code && detail.starts_with(check), "{name}: {found} {detail}");
        assert_eq!(stage.count(support::USERINFO), 0, "{name}: an unverified token asks nobody");
    }
}

#[test]
fn the_algorithm_is_looked_at_before_any_key() {
    let stage = Stage::microsoft();
    let token = format!("{}.e30.AAAA", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9");
    stage.answer_tokens(move || Ok(json_response(200, &json!({ "token_type": "Bearer", "id_token": token }))));
    let (code, detail) = verdict(&stage.sign_in());
    assert!(code == "id_token_algorithm_refused" && detail.starts_with("id_token.algorithm"), "{detail}");
    assert_eq!(stage.count(&format!("{LOGIN}/{TENANT}/discovery/v2.0/keys")), 0);
}
