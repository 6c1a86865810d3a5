//! Sign-ins with a provider that shares no code with ours: npm `oidc-provider`, certified by the OpenID Foundation.

use conformance::oidc_provider::{ClientAuthentication, OidcProvider, Options, account};
use conformance::{Browser, HostOptions};
use serde_json::{Value, json};

/// The whole way; the final answer and the browser that got it.
async fn sign_in(provider: &OidcProvider, host: &conformance::TestHost, login: &str) -> (Browser, conformance::Answer) {
    let browser = Browser::new(&host.url);
    let url = browser.begin().await;
    let back = provider.sign_in(&browser, &url, login).await;
    let callback = back
        .location
        .clone()
        .unwrap_or_else(|| panic!("{login}: {} {}\n{}", back.status, back.body, provider.stderr()));
    let finished = browser.finish(&callback).await;
    (browser, finished)
}

#[tokio::test]
async fn each_algorithm_and_each_way_to_authenticate() {
    use ClientAuthentication::{Basic, Post};
    let table = [
        ("RS256", Basic, ""),
        ("RS256", Post, ""),
        ("RS384", Basic, ""),
        ("RS512", Post, ""),
        ("PS256", Basic, ""),
        ("ES256", Post, ""),
        ("EdDSA", Basic, ""),
        ("RS256", Basic, "/tenant"),
    ];
    for (algorithm, authentication, issuer_path) in table {
        let options = Options {
            authentication,
            id_token_algorithm: algorithm.into(),
            issuer_path: issuer_path.into(),
            ..Options::default()
        };
        let provider = OidcProvider::start(options).await;
        let host = provider.host(HostOptions::default()).await;
        let (browser, finished) = sign_in(&provider, &host, "anna").await;
        assert_eq!(
            finished.status,
            200,
            "{algorithm} {authentication:?} {issuer_path}: {}\n{}",
            finished.body,
            provider.stderr()
        );
        let identity = browser.identity(&finished).await;
        assert_eq!(identity["issuer"], json!(provider.issuer), "{algorithm}");
        assert_eq!(identity["email"], "anna.kowalska@acme.example", "{algorithm}");
    }
}

#[tokio::test]
async fn each_person_whether_the_claims_are_in_the_id_token_or_in_userinfo() {
    // Defguard #1748: the address is in userinfo only.
    let table: [(&str, u16, Value); 4] = [
        (
            "anna",
            200,
            json!({"username": "anna.kowalska", "email_verified": true, "given_name": "Anna", "family_name": "Kowalska"}),
        ),
        ("bo", 200, json!({"username": "bo", "given_name": "bo", "family_name": "bo"})),
        ("cai", 200, json!({"email_verified": false, "username": "cai"})),
        ("dee", 200, json!({"subject": account("dee").claims["sub"], "given_name": "Dè-Đỗ"})),
    ];
    for claims_in_id_token in [true, false] {
        let provider = OidcProvider::start(Options { claims_in_id_token, ..Options::default() }).await;
        for (login, status, expected) in &table {
            // Two of them have the same address, so each comes to a host of their own.
            let host = provider.host(HostOptions::default()).await;
            let (browser, finished) = sign_in(&provider, &host, login).await;
            assert_eq!(finished.status, *status, "{login}: {}\n{}", finished.body, provider.stderr());
            let identity = browser.identity(&finished).await;
            for (field, value) in expected.as_object().unwrap() {
                assert_eq!(&identity[field], value, "{login}, in the ID token: {claims_in_id_token}: {field}");
            }
            assert_eq!(identity["tenant_id"], Value::Null);
        }
        let host = provider.host(HostOptions::default()).await;
        let (_, refused) = sign_in(&provider, &host, "finn").await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "email_missing"), "{}", refused.body);
    }
}

#[tokio::test]
async fn whoever_declines_is_told_so() {
    let declining = conformance::oidc_provider::accounts().into_iter().find(|account| account.declines).unwrap();
    let provider = OidcProvider::start(Options::default()).await;
    let host = provider.host(HostOptions::default()).await;
    let (_, refused) = sign_in(&provider, &host, &declining.login).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "access_denied"), "{}", refused.body);
}

#[tokio::test]
async fn new_keys_are_found() {
    let provider = OidcProvider::start(Options::default()).await;
    let host = provider.host(HostOptions::default()).await;
    assert_eq!(sign_in(&provider, &host, "anna").await.1.status, 200);
    provider.rotate_keys().await;
    let (_, finished) = sign_in(&provider, &host, "anna").await;
    assert_eq!(finished.status, 200, "{}", finished.body);
    provider.rotate_keys().await;
    let (_, refused) = sign_in(&provider, &host, "anna").await;
    assert_eq!(refused.code(), "id_token_key_unknown", "a second change within five minutes: {}", refused.body);
}

#[tokio::test]
async fn the_callback_must_name_its_issuer() {
    // RFC 9207: the provider says that it sends `iss`, so a callback without it isn't its own (V8).
    let provider = OidcProvider::start(Options::default()).await;
    let host = provider.host(HostOptions::default()).await;
    for (name, spoil) in [("none", None), ("another", Some("https://evil.example")), ("with a slash", Some("SLASH"))] {
        let browser = Browser::new(&host.url);
        let url = browser.begin().await;
        let callback = provider.sign_in(&browser, &url, "anna").await.location.unwrap();
        let callback = url::Url::parse(&callback).unwrap();
        assert!(callback.query_pairs().any(|(name, value)| name == "iss" && value == provider.issuer), "{callback}");
        let mut parameters: Vec<(String, String)> =
            callback.query_pairs().into_owned().filter(|(name, _)| name != "iss").collect();
        if let Some(issuer) = spoil {
            parameters.push(("iss".into(), issuer.replace("SLASH", &format!("{}/", provider.issuer))));
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        let refused = browser.get(&format!("/openid/callback?{query}")).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (400, "callback_issuer_mismatch"),
            "{name}: {}",
            refused.body
        );
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_is_refused() {
    let provider = OidcProvider::start(Options { id_token_algorithm: "ES256".into(), ..Options::default() }).await;
    let host = provider.host(HostOptions::default().set("id_token_algorithms", "[\"RS256\", \"EdDSA\"]")).await;
    let (_, refused) = sign_in(&provider, &host, "anna").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "id_token_algorithm_refused"), "{}", refused.body);
}

#[tokio::test]
async fn a_wrong_secret_and_a_wrong_issuer_are_told_apart() {
    let provider = OidcProvider::start(Options::default()).await;
    let host = provider.host(HostOptions::default().set("secret", "wrong")).await;
    let (_, refused) = sign_in(&provider, &host, "anna").await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "client_refused"), "{}", refused.body);
    let other = format!("{:?}", provider.issuer.replace("127.0.0.1", "localhost"));
    let host = provider.host(HostOptions::default().set("base_url", &other)).await;
    let refused = Browser::new(&host.url).auth_info().await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "discovery_mismatch"), "{}", refused.body);
}

#[tokio::test]
async fn pushed_authorization_requests() {
    use conformance::oidc_provider::PushedRequests::{No, Only, Yes};
    let table = [
        (No, "never", 200, false),
        (No, "when-offered", 200, false),
        (No, "required", 502, false),
        (Yes, "never", 200, false),
        (Yes, "when-offered", 200, true),
        (Yes, "required", 200, true),
        (Only, "never", 502, false),
        (Only, "when-offered", 200, true),
    ];
    for (offered, option, status, pushed) in table {
        let name = format!("{offered:?} {option}");
        let provider = OidcProvider::start(Options { pushed_requests: offered, ..Options::default() }).await;
        let options = HostOptions::default().set("pushed_authorization_requests", &format!("{option:?}"));
        let host = provider.host(options).await;
        let begun = Browser::new(&host.url).auth_info().await;
        assert_eq!(begun.status, status, "{name}: {}\n{}", begun.body, provider.stderr());
        if status != 200 {
            assert_eq!(begun.code(), "pushed_requests_mismatch", "{name}");
            continue;
        }
        let url = url::Url::parse(begun.json()["url"].as_str().unwrap()).unwrap();
        let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(names == ["client_id", "request_uri"], pushed, "{name}: {names:?}");
        let (browser, finished) = sign_in(&provider, &host, "anna").await;
        assert_eq!(finished.status, 200, "{name}: {}\n{}", finished.body, provider.stderr());
        assert_eq!(browser.identity(&finished).await["email"], "anna.kowalska@acme.example", "{name}");
    }
}

#[tokio::test]
async fn the_answer_as_a_form_and_the_age_of_the_authentication() {
    let provider = OidcProvider::start(Options::default()).await;
    let options = HostOptions::default().set("response_mode", "\"form_post\"").set("max_age", "600");
    let host = provider.host(options).await;
    let browser = Browser::new(&host.url);
    let start = browser.get("/openid/start?provider=independent").await;
    let page = provider.sign_in(&browser, &start.location.unwrap(), "anna").await;
    let form = page.form().unwrap_or_else(|| panic!("no form: {} {}\n{}", page.status, page.body, provider.stderr()));
    assert!(form.fields.iter().any(|(name, _)| name == "iss"), "{form:?}");
    let done = browser.submit_from_elsewhere(&form).await;
    assert_eq!(done.status, 200, "{}", done.body);
    // A class of authentication that this provider doesn't state is refused, not assumed.
    let host = provider.host(HostOptions::default().set("required_acr", "[\"urn:acme:gold\"]")).await;
    let (_, refused) = sign_in(&provider, &host, "anna").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "authentication_context_missing"), "{}", refused.body);
}
