//! Pushed authorization requests (RFC 9126), and response modes that a provider may not have.

mod support;

use openid::capability::{ClientAuthentication, HttpError, Response};
use serde_json::{Value, json};
use support::{
    CLIENT_ID, ISSUER, LOGIN, REDIRECT_URI, Stage, TENANT, discovery_url, entra_document, json_response, oidc_document,
    parameters, response, verdict, with,
};
use url::form_urlencoded;

const REFERENCE: &str = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c";

fn endpoint() -> String {
    format!("{ISSUER}/par")
}

/// A provider that has the endpoint, and accepts.
fn stage(option: &str, document: &Value) -> Stage {
    let mut stage = Stage::oidc();
    stage.configure(&json!({ "pushed_authorization_requests": option }));
    let offers = json!({ "pushed_authorization_request_endpoint": endpoint() });
    stage.answer_json(&discovery_url(ISSUER), &with(with(oidc_document(), &offers), document));
    stage.answer(&endpoint(), |_| Ok(json_response(201, &json!({ "request_uri": REFERENCE, "expires_in": 60 }))));
    stage
}

#[test]
fn the_whole_request_is_pushed_and_the_browser_carries_a_reference() {
    let mut stage = stage("when-offered", &json!({}));
    stage.configure(&json!({ "max_age": 60, "prompt": "login" }));
    let begun = stage.begun();
    let (request, method) = stage.token_requests().pop().expect("one request was sent");
    assert_eq!((request.url.as_str(), method), (endpoint().as_str(), ClientAuthentication::SecretBasic));
    let body = request.body.unwrap_or_default();
    let form: std::collections::BTreeMap<_, _> = form_urlencoded::parse(&body).into_owned().collect();
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("state", begun.state.as_str()),
        ("code_challenge_method", "S256"),
        ("max_age", "60"),
        ("prompt", "login"),
    ] {
        assert_eq!(form[name], value, "{name}");
    }
    let expected = [("client_id", CLIENT_ID), ("request_uri", REFERENCE)];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(parameters(&begun.url), expected, "the browser carries nothing else");
    assert!(begun.url.starts_with(&format!("{ISSUER}/auth?")), "{}", begun.url);
    // And the sign-in ends as any other.
    stage.claim(&json!({ "nonce": form["nonce"], "auth_time": support::NOW_S }));
    let finished = stage.finish(&begun, &stage.callback(&begun));
    assert_eq!(verdict(&finished).0, "ok");
}

#[test]
fn configuration_and_provider_must_agree() {
    let nothing = json!({ "pushed_authorization_request_endpoint": null });
    let demands = json!({ "require_pushed_authorization_requests": true });
    let elsewhere = json!({ "pushed_authorization_request_endpoint": "http://idp.example/par" });
    #[rustfmt::skip]
    let table: [(&str, &str, &Value, &str, usize); 8] = [
        ("never, offered", "never", &json!({}), "ok", 0),
        ("never, demanded", "never", &demands, "pushed_requests_mismatch", 0),
        ("when offered, and it is", "when-offered", &json!({}), "ok", 1),
        ("when offered, and it isn't", "when-offered", &nothing, "ok", 0),
        ("when offered, and demanded", "when-offered", &demands, "ok", 1),
        ("required, and offered", "required", &json!({}), "ok", 1),
        ("required, and not offered", "required", &nothing, "pushed_requests_mismatch", 0),
        ("an endpoint that isn't https", "required", &elsewhere, "provider_answer_invalid", 0),
    ];
    for (name, option, document, code, sent) in table {
        let stage = stage(option, document);
        let (found, detail) = verdict(&stage.begin());
        assert_eq!((found.as_str(), stage.token_requests().len()), (code, sent), "{name}: {detail}");
    }
}

#[test]
fn what_the_endpoint_may_answer() {
    let good = json!({ "request_uri": REFERENCE, "expires_in": 60 });
    let error = |error: &str| json_response(400, &json!({ "error": error, "error_description": "no" }));
    let json = |changes: Value| json_response(201, &with(good.clone(), &changes));
    #[rustfmt::skip]
    let table: Vec<(&str, Result<Response, HttpError>, &str)> = vec![
        ("200 in place of 201", Ok(json_response(200, &good)), "ok"),
        ("a reference by https", Ok(json(json!({ "request_uri": "https://idp.example/r/1" }))), "ok"),
        ("members that we don't know", Ok(json(json!({ "x": [1] }))), "ok"),
        ("no reference", Ok(json(json!({ "request_uri": null }))), "provider_answer_invalid"),
        ("an empty reference", Ok(json(json!({ "request_uri": "" }))), "provider_answer_invalid"),
        ("a reference that is no address", Ok(json(json!({ "request_uri": "r1" }))), "provider_answer_invalid"),
        ("a reference that is a script", Ok(json(json!({ "request_uri": "javascript:alert(1)" }))), "provider_answer_invalid"),
        ("a reference with a line break", Ok(json(json!({ "request_uri": "urn:a\r\nb" }))), "provider_answer_invalid"),
        ("an endless reference", Ok(json(json!({ "request_uri": format!("urn:{}", "a".repeat(1024)) }))), "provider_answer_invalid"),
        ("a number", Ok(json(json!({ "request_uri": 1 }))), "provider_answer_invalid"),
        ("no life", Ok(json(json!({ "expires_in": null }))), "provider_answer_invalid"),
        ("a life of 0 s", Ok(json(json!({ "expires_in": 0 }))), "provider_answer_invalid"),
        ("a page", Ok(response(200, "text/html", "<html>")), "provider_answer_invalid"),
        ("a redirect", Ok(response(302, "text/html", "")), "provider_answer_invalid"),
        ("twice the same member", Ok(response(201, "application/json", format!("{{\"request_uri\":\"{REFERENCE}\",\"request_uri\":\"urn:x\",\"expires_in\":60}}"))), "provider_answer_invalid"),
        ("not found", Ok(response(404, "text/plain", "")), "provider_answer_invalid"),
        ("down", Ok(response(503, "text/html", "")), "provider_error"),
        ("throttled", Ok(response(429, "text/html", "")), "provider_throttled"),
        ("invalid_request", Ok(error("invalid_request")), "pushed_request_refused"),
        ("invalid_redirect_uri", Ok(error("invalid_redirect_uri")), "pushed_request_refused"),
        ("invalid_client", Ok(error("invalid_client")), "client_refused"),
        ("server_error", Ok(error("server_error")), "provider_error"),
        ("no connection", Err(HttpError::Connect("refused".into())), "provider_unreachable"),
        ("no answer", Err(HttpError::Timeout), "provider_timeout"),
    ];
    for (name, answer, code) in table {
        let stage = stage("required", &json!({}));
        stage.answer(&endpoint(), move |_| answer.clone());
        let (found, detail) = verdict(&stage.begin());
        assert_eq!(found, code, "{name}: {detail}");
        assert_eq!(stage.token_requests().len(), 1, "{name}: it is sent once");
    }
}

#[test]
fn a_client_without_a_fitting_credential_pushes_nothing() {
    let stage = stage("required", &json!({ "token_endpoint_auth_methods_supported": ["tls_client_auth"] }));
    assert_eq!(verdict(&stage.begin()).0, "credential_unusable");
    assert_eq!(stage.token_requests().len(), 0);
}

#[test]
fn entra_does_not_offer_it() {
    let mut stage = Stage::microsoft();
    stage.configure(&json!({ "pushed_authorization_requests": "when-offered" }));
    assert!(parameters(&stage.begun().url).contains_key("code_challenge"));
}

#[test]
fn a_response_mode_that_the_provider_does_not_have() {
    #[rustfmt::skip]
    let table = [
        ("offered", "form_post", json!(["query", "fragment", "form_post"]), "ok"),
        ("not offered", "form_post", json!(["query", "fragment"]), "response_mode_unsupported"),
        ("an empty list", "query", json!([]), "response_mode_unsupported"),
        ("not said", "form_post", Value::Null, "ok"),
    ];
    for (name, mode, offered, code) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&json!({ "response_mode": mode }));
        let document = with(entra_document(TENANT), &json!({ "response_modes_supported": offered }));
        stage.answer_json(&discovery_url(&format!("{LOGIN}/{TENANT}/v2.0")), &document);
        assert_eq!(verdict(&stage.begin()).0, code, "{name}");
    }
}
