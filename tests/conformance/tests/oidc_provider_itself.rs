//! Whether the independent provider is one: a code flow done by hand, without any part of ours. When this fails, what the
//! other tests say about it means nothing.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use conformance::Browser;
use conformance::oidc_provider::{ClientAuthentication, OidcProvider, Options, account};
use serde_json::{Value, json};
use url::Url;

const REDIRECT_URI: &str = "http://127.0.0.1:1/openid/callback";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn started(options: Options) -> (OidcProvider, Browser, Value) {
    let provider = OidcProvider::start(options).await;
    provider.register(&[REDIRECT_URI.to_owned()]).await;
    let browser = Browser::new(&provider.issuer);
    let discovery = browser.get(&format!("{}/.well-known/openid-configuration", provider.issuer)).await.json();
    (provider, browser, discovery)
}

fn authorization_url(discovery: &Value, client_id: &str, challenge: &[(&str, &str)]) -> String {
    let mut url = Url::parse(discovery["authorization_endpoint"].as_str().unwrap()).unwrap();
    url.query_pairs_mut()
        .extend_pairs([("response_type", "code"), ("client_id", client_id), ("redirect_uri", REDIRECT_URI)])
        .extend_pairs([("scope", "openid profile email"), ("state", "a state"), ("nonce", "a nonce")])
        .extend_pairs(challenge);
    url.into()
}

const PKCE: &[(&str, &str)] = &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];

/// The callback's parameter of that name.
fn parameter(callback: &str, name: &str) -> Option<String> {
    let url = Url::parse(callback).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// RFC 6749 2.3.1: each part in the form's encoding, then base64.
fn basic(client_id: &str, secret: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client_id), encoded(secret))))
}

/// The token response, and its status.
async fn redeem(discovery: &Value, options: &Options, secret: &str, code: &str) -> (u16, Value) {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ];
    let mut request =
        reqwest::Client::builder().no_proxy().build().unwrap().post(discovery["token_endpoint"].as_str().unwrap());
    match options.authentication {
        ClientAuthentication::Basic => request = request.header("authorization", basic(&options.client_id, secret)),
        ClientAuthentication::Post => {
            form.extend([("client_id", options.client_id.as_str()), ("client_secret", secret)]);
        }
    }
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
    let response = request.send().await.unwrap();
    (response.status().as_u16(), serde_json::from_str(&response.text().await.unwrap()).unwrap())
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test]
async fn a_code_flow_by_hand() {
    for (name, authentication, claims_in_id_token) in [
        ("basic, claims at userinfo", ClientAuthentication::Basic, false),
        ("post, claims in the ID token", ClientAuthentication::Post, true),
    ] {
        let options =
            Options { authentication, claims_in_id_token, issuer_path: "/tenant".into(), ..Options::default() };
        let (provider, browser, discovery) = started(options.clone()).await;
        assert_eq!(discovery["issuer"], json!(provider.issuer), "{name}");
        assert_eq!(discovery["authorization_response_iss_parameter_supported"], json!(true), "{name}");

        let url = authorization_url(&discovery, &options.client_id, PKCE);
        let callback = provider.sign_in(&browser, &url, "anna").await.location.expect(name);
        assert!(callback.starts_with(REDIRECT_URI), "{name}: {callback}");
        assert_eq!(parameter(&callback, "state").as_deref(), Some("a state"), "{name}");
        assert_eq!(parameter(&callback, "iss").as_deref(), Some(provider.issuer.as_str()), "{name}: RFC 9207");
        let code = parameter(&callback, "code").expect(name);

        let (status, refused) = redeem(&discovery, &options, "wrong", &code).await;
        assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")), "{name}: a wrong secret");
        let (status, tokens) = redeem(&discovery, &options, &options.client_secret, &code).await;
        assert_eq!(status, 200, "{name}: {tokens}\n{}", provider.stderr());
        let id_token = claims(tokens["id_token"].as_str().expect(name));
        let anna = account("anna").claims;
        assert_eq!(id_token["sub"], anna["sub"], "{name}");
        assert_eq!(id_token["nonce"], json!("a nonce"), "{name}");
        assert_eq!(id_token["email"].is_string(), claims_in_id_token, "{name}: {id_token}");

        let (status, again) = redeem(&discovery, &options, &options.client_secret, &code).await;
        assert_eq!((status, &again["error"]), (400, &json!("invalid_grant")), "{name}: a code is good once");
    }
}

#[tokio::test]
async fn requests_that_it_refuses() {
    let (provider, browser, discovery) = started(Options::default()).await;
    let client_id = &provider.options.client_id;
    for (name, login, url, error) in [
        ("no PKCE", "anna", authorization_url(&discovery, client_id, &[]), "invalid_request"),
        (
            "PKCE without a hash",
            "anna",
            authorization_url(&discovery, client_id, &[("code_challenge", CHALLENGE)]),
            "invalid_request",
        ),
        ("the person declines", "eve", authorization_url(&discovery, client_id, PKCE), "access_denied"),
    ] {
        let answer = provider.sign_in(&browser, &url, login).await;
        let callback = answer.location.unwrap_or_else(|| panic!("{name}: {} {}", answer.status, answer.body));
        assert_eq!(parameter(&callback, "error").as_deref(), Some(error), "{name}: {callback}");
        assert_eq!(parameter(&callback, "code"), None, "{name}");
    }
    let unknown = provider.sign_in(&browser, &authorization_url(&discovery, "someone else", PKCE), "anna").await;
    assert_eq!((unknown.status, unknown.location), (400, None), "an unknown client is sent nowhere");
}

#[tokio::test]
async fn a_page_for_people() {
    let (provider, browser, discovery) = started(Options::default()).await;
    let url = authorization_url(&discovery, &provider.options.client_id, PKCE);
    let page = browser.get(&browser.get(&url).await.location.expect("to the page")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for account in conformance::oidc_provider::accounts() {
        assert!(page.body.contains(&format!("value=\"{}\"", account.login)), "{}", account.login);
    }
}

#[tokio::test]
async fn rotation_replaces_every_key_and_keeps_codes_good() {
    let (provider, browser, discovery) = started(Options::default()).await;
    let kids = async || -> Vec<String> {
        let keys = browser.get(discovery["jwks_uri"].as_str().unwrap()).await.json();
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let before = kids().await;
    let url = authorization_url(&discovery, &provider.options.client_id, PKCE);
    let callback = provider.sign_in(&browser, &url, "anna").await.location.expect("a callback");

    let rotated = provider.rotate_keys().await;
    assert_eq!(kids().await, rotated);
    assert!(before.iter().all(|kid| !rotated.contains(kid)), "{before:?} {rotated:?}");
    let code = parameter(&callback, "code").expect("a code");
    let (status, tokens) = redeem(&discovery, &provider.options, &provider.options.client_secret, &code).await;
    assert_eq!(status, 200, "{tokens}");
}
