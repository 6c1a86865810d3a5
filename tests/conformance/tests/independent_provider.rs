//! Sign-ins at a certified provider that shares no code with ours: npm `oidc-provider`. What both sides have to agree on
//! without having agreed: discovery, client authentication, PKCE, every signature algorithm, userinfo, key rotation.

use conformance::oidc_provider::{ClientAuthentication, OidcProvider, Options, account};
use conformance::{Browser, HostOptions, TestHost};
use serde_json::{Value, json};

/// Begins, goes through the provider as `login`, and finishes.
async fn sign_in(provider: &OidcProvider, host: &TestHost, login: &str) -> (Browser, conformance::Answer) {
    let browser = Browser::new(&host.url);
    let url = browser.begin().await;
    let answer = provider.sign_in(&browser, &url, login).await;
    let callback = answer.location.unwrap_or_else(|| panic!("{login}: {} {}\n{}", answer.status, answer.body, provider.stderr()));
    let finished = browser.finish(&callback).await;
    (browser, finished)
}

async fn stack(options: Options) -> (OidcProvider, TestHost) {
    let provider = OidcProvider::start(options).await;
    let host = provider.host(HostOptions::default()).await;
    (provider, host)
}

#[tokio::test]
async fn every_way_to_set_it_up() {
    let basic = Options::default;
    let post = || Options { authentication: ClientAuthentication::Post, ..basic() };
    let signed = |algorithm: &str| Options { id_token_algorithm: algorithm.into(), ..basic() };
    for (name, options) in [
        ("client_secret_basic, a secret of awkward characters", basic()),
        ("client_secret_post, the same secret", post()),
        ("an issuer with a path", Options { issuer_path: "/realms/acme".into(), ..basic() }),
        ("claims in the ID token", Options { claims_in_id_token: true, ..basic() }),
        ("RS384", signed("RS384")),
        ("RS512", signed("RS512")),
        ("PS256", signed("PS256")),
        ("ES256", signed("ES256")),
        ("EdDSA", signed("EdDSA")),
    ] {
        let (provider, host) = stack(options).await;
        let (browser, finished) = sign_in(&provider, &host, "anna").await;
        assert_eq!(finished.status, 200, "{name}: {}\n{}", finished.body, provider.stderr());
        let identity = browser.identity(&finished).await;
        let anna = account("anna").claims;
        assert_eq!(identity["issuer"], json!(provider.issuer), "{name}");
        assert_eq!(identity["subject"], anna["sub"], "{name}");
        for claim in ["email", "email_verified", "given_name", "family_name"] {
            assert_eq!(identity[claim], anna[claim], "{name}: {claim}");
        }
        assert_eq!(identity["display_name"], anna["name"], "{name}");
        assert_eq!(identity["object_id"], Value::Null, "{name}: that is Entra's");
    }
}

#[tokio::test]
async fn each_person() {
    let (provider, host) = stack(Options::default()).await;
    for (login, expected) in [
        ("anna", Ok(json!({ "given_name": "Anna", "email_verified": true }))),
        ("bo", Ok(json!({ "email": "bo@acme.example" }))),
        ("cai", Ok(json!({ "email": "anna.kowalska@acme.example", "email_verified": false, "given_name": "Cai" }))),
        ("dee", Ok(json!({ "subject": account("dee").claims["sub"], "given_name": "Dè-Đỗ", "family_name": "O'Ångström" }))),
        ("finn", Err("email_missing")),
        ("eve", Err("access_denied")),
    ] {
        let about = account(login).about;
        let (browser, finished) = sign_in(&provider, &host, login).await;
        match expected {
            Ok(expected) => {
                let identity = browser.identity(&finished).await;
                for (field, value) in expected.as_object().unwrap() {
                    assert_eq!(&identity[field], value, "{login}, {about}: {field}");
                }
                for field in ["username", "given_name", "family_name", "display_name"] {
                    assert!(identity[field].as_str().is_some_and(|text| !text.is_empty()), "{login}, {about}: {field}");
                }
            }
            Err(code) => assert_eq!(finished.code(), code, "{login}, {about}: {}", finished.body),
        }
    }
}

#[tokio::test]
async fn deviations_of_the_configuration() {
    let (provider, _) = stack(Options::default()).await;
    let wrong_secret = HostOptions::default().set("secret", "another");
    let other_algorithm = HostOptions::default().set("id_token_algorithms", r#"["ES256"]"#);
    for (name, options, code) in [
        ("another secret", wrong_secret, "client_refused"),
        ("an algorithm that the provider doesn't use for us", other_algorithm, "id_token_algorithm_refused"),
    ] {
        let host = provider.host(options).await;
        let (_, finished) = sign_in(&provider, &host, "anna").await;
        assert_eq!(finished.code(), code, "{name}: {} {}", finished.status, finished.body);
    }
}

#[tokio::test]
async fn a_code_is_good_once() {
    let (provider, host) = stack(Options::default()).await;
    let browser = Browser::new(&host.url);
    let url = browser.begin().await;
    let callback = provider.sign_in(&browser, &url, "anna").await.location.expect("a callback");
    assert_eq!(browser.finish(&callback).await.status, 200);
    let again = browser.finish(&callback).await;
    assert_eq!(again.code(), "transaction_used", "{}", again.body);
}

/// All keys replaced between two sign-ins, and between authorization and token request.
#[tokio::test]
async fn key_rotation() {
    let (provider, host) = stack(Options::default()).await;
    let (_, finished) = sign_in(&provider, &host, "anna").await;
    assert_eq!(finished.status, 200, "before: {}", finished.body);

    let browser = Browser::new(&host.url);
    let url = browser.begin().await;
    let callback = provider.sign_in(&browser, &url, "bo").await.location.expect("a callback");
    provider.rotate_keys().await;
    let finished = browser.finish(&callback).await;
    assert_eq!(finished.status, 200, "the unknown kid leads to one new fetch of the keys: {}", finished.body);
}
