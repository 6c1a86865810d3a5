//! Sign-ins that end well: each person of the emulator whom the configuration lets in, both ways in.

use conformance::{Browser, Entra, HostOptions};
use entra_emulator::fixtures::person;
use entra_emulator::{DocumentMischief, Side, TokenMischief, fixtures};
use serde_json::{Value, json};

/// A person, and what of the identity must be so.
struct Accepted {
    name: &'static str,
    person: &'static str,
    expected: Value,
}

fn accepted() -> Vec<Accepted> {
    let row = |name, person, expected| Accepted { name, person, expected };
    vec![
        row(
            "everything filled in",
            person::ADA,
            json!({"username": "adacontoso.example", "email": "ada@contoso.example", "given_name": "Ada", "family_name": "Example", "email_verified": true, "tenant_id": fixtures::CONTOSO}),
        ),
        row("no names at all", person::NO_NAMES, json!({})),
        row("no mailbox: the user principal name is the address", person::NO_MAIL, json!({})),
        row("no given name", person::NO_GIVEN_NAME, json!({})),
        row("apostrophe and plus tag", person::APOSTROPHE, json!({})),
        row("a name of 113 characters", person::LONG_NAME, json!({})),
        row("names outside ASCII", person::UNICODE, json!({})),
        row("address not verified by its domain's owner", person::EDOV_FALSE, json!({"email_verified": false})),
        row("xms_edov as text", person::EDOV_TEXT, json!({"email_verified": true})),
        row("no xms_edov", person::EDOV_ABSENT, json!({"email_verified": null})),
        row("address in userinfo only", person::MAIL_IN_USERINFO, json!({})),
        row("more groups than a token holds", person::OVERAGE, json!({"groups": {"state": "not_requested"}})),
        row("hasgroups", person::HAS_GROUPS, json!({"groups": {"state": "not_requested"}})),
    ]
}

/// What holds for every identity.
fn check_shape(name: &str, identity: &Value) {
    let text =
        |field: &str| identity[field].as_str().unwrap_or_else(|| panic!("{name}: {field} of {identity}")).to_owned();
    let username = text("username");
    assert!((1..=63).contains(&username.len()), "{name}: {username}");
    assert!(username.starts_with(|c: char| c.is_ascii_alphanumeric()), "{name}: {username}");
    assert!(username.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c)), "{name}: {username}");
    assert_eq!(text("email").matches('@').count(), 1, "{name}");
    for field in ["given_name", "family_name", "display_name", "issuer", "subject", "tenant_id", "object_id"] {
        assert!(!text(field).is_empty(), "{name}: {field}");
    }
}

#[tokio::test]
async fn everybody_who_should_gets_in() {
    let stack = Entra::plain().await;
    for Accepted { name, person, expected } in accepted() {
        let browser = stack.browser();
        let finished = browser.sign_in(person).await;
        assert_eq!(finished.status, 200, "{name}: {}", finished.body);
        let identity = browser.identity(&finished).await;
        check_shape(name, &identity);
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&identity[field], value, "{name}: {field}");
        }
        assert_eq!(browser.cookies(), [], "{name}: the cookie is gone");
    }
}

#[tokio::test]
async fn the_way_of_a_browser_without_defguards_page() {
    let stack = Entra::plain().await;
    let browser = stack.browser();
    let page = browser.get("/").await;
    assert_eq!(
        (page.status, page.location.as_deref()),
        (303, Some(format!("{}/openid/sign-in", stack.host.url).as_str()))
    );
    let page = browser.get("/openid/sign-in").await;
    assert!(page.body.contains("/openid/start?provider=entra"), "{}", page.body);
    let start = browser.get("/openid/start?provider=entra").await;
    assert_eq!(start.status, 303, "{}", start.body);
    let back = browser.at_entra(&start.location.unwrap(), person::ADA).await;
    let done = browser.get(&back.location.unwrap()).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(done.body.contains("Ada Example"), "{}", done.body);
    assert_eq!(done.element("token").len(), 32);
    assert_eq!(done.element("url"), format!("{}/", stack.host.url));
    assert!(done.cookies[0].contains("Max-Age=0; ") || done.cookies[0].ends_with("Max-Age=0"), "{:?}", done.cookies);
}

#[tokio::test]
async fn form_post_is_taken_as_well() {
    let stack = Entra::plain().await;
    let browser = stack.browser();
    let callback = url::Url::parse(&browser.callback_url(person::ADA).await).unwrap();
    let form: Vec<(String, String)> = callback.query_pairs().into_owned().collect();
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // A browser keeps the cookie back from another site's form, and sends it when it follows the redirect.
    let cookies = browser.cookies();
    browser.forget();
    let redirect = browser.post_form("/openid/callback", &form).await;
    assert_eq!(redirect.status, 303, "{}", redirect.body);
    for (name, value) in cookies {
        browser.set_cookie(&name, &value);
    }
    let done = browser.get(&redirect.location.unwrap()).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let nothing = stack.browser().post_form("/openid/callback/none", &form).await;
    assert_eq!(
        (nothing.status, nothing.location),
        (404, None),
        "an address of no provider is no redirect: {}",
        nothing.body
    );
}

#[tokio::test]
async fn the_authorization_request_is_complete() {
    let stack = Entra::start(
        HostOptions::default().set("domain_hint", "\"contoso.example\"").set("login_hint", "\"ada@contoso.example\""),
    )
    .await;
    let answer = stack.browser().auth_info().await;
    assert_eq!(answer.json()["button_display_name"], "Sign in with Microsoft");
    let url = url::Url::parse(answer.json()["url"].as_str().unwrap()).unwrap();
    let get = |name: &str| {
        let values: Vec<_> =
            url.query_pairs().filter(|(found, _)| found == name).map(|(_, value)| value.into_owned()).collect();
        assert_eq!(values.len(), 1, "{name} in {url}");
        values[0].clone()
    };
    assert_eq!(get("response_type"), "code");
    assert_eq!(get("client_id"), fixtures::CLIENT_ID);
    assert_eq!(get("redirect_uri"), format!("{}/openid/callback", stack.host.url));
    assert_eq!(get("scope"), "openid profile email");
    assert_eq!(get("code_challenge_method"), "S256");
    assert_eq!(get("domain_hint"), "contoso.example");
    assert_eq!(get("login_hint"), "ada@contoso.example");
    for secret in ["state", "nonce", "code_challenge"] {
        assert_eq!(get(secret).len(), 43, "{secret}: 256 bits in base64url");
    }
    let cookie = &answer.cookies[0];
    assert!(
        cookie.starts_with("__Host-openid-") && cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="),
        "{cookie}"
    );
    assert!(!cookie.contains(&get("state")) && !cookie.contains(&get("nonce")), "{cookie}");
}

#[tokio::test]
async fn two_tabs_both_finish_in_any_order() {
    let stack = Entra::plain().await;
    let browser = stack.browser();
    let first = browser.callback_url(person::ADA).await;
    let second = browser.callback_url(person::NO_NAMES).await;
    let second = browser.finish(&second).await;
    let first = browser.finish(&first).await;
    assert_eq!((first.status, second.status), (200, 200), "{} {}", first.body, second.body);
    assert_eq!(browser.identity(&first).await["email"], "ada@contoso.example");
}

#[tokio::test]
async fn a_person_keeps_the_key_and_others_do_not_get_it() {
    let stack = Entra::plain().await;
    let key = async |person: &str| {
        let browser = stack.browser();
        let finished = browser.sign_in(person).await;
        let identity = browser.identity(&finished).await;
        (identity["tenant_id"].clone(), identity["object_id"].clone())
    };
    let ada = key(person::ADA).await;
    stack.entra.control().edit_person(person::ADA, |ada| ada.mail = Some("countess@contoso.example".into())).unwrap();
    assert_eq!(key(person::ADA).await, ada, "a new address is the same person");
    assert_ne!(key(person::UNICODE).await, ada);
}

/// Deviations that are none: honest documents of other kinds, which must work.
#[tokio::test]
async fn honest_variants_work() {
    let documents = [
        DocumentMischief::DiscoveryOnlyBasic,
        DocumentMischief::DiscoveryNoAuthMethods,
        DocumentMischief::DiscoveryNoUserinfo,
        DocumentMischief::KeySetNoIssuers,
        DocumentMischief::KeySetUnknownTypes,
    ];
    for document in documents {
        let stack = Entra::plain().await;
        stack.entra.control().set_document_mischief(document, true);
        let finished = stack.browser().sign_in(person::ADA).await;
        assert_eq!(finished.status, 200, "{document:?}: {}", finished.body);
    }
    let stack = Entra::plain().await;
    stack.entra.control().mischief_once(TokenMischief::RightAtHash);
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "at_hash that fits");
}

/// Ways to write the base URL, all the same.
#[tokio::test]
async fn base_url_in_each_of_its_forms() {
    let entra = entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap();
    let login = entra.login_url();
    let contoso = fixtures::CONTOSO;
    let table = [
        ("the tenant's GUID", format!("{login}/{contoso}/v2.0"), None),
        ("a slash at the end", format!("{login}/{contoso}/v2.0/"), None),
        ("GUID in upper case", format!("{login}/{}/v2.0", contoso.to_uppercase()), None),
        ("a domain", format!("{login}/{}/v2.0", fixtures::CONTOSO_DOMAIN), None),
        ("the placeholder and a GUID", format!("{login}/<TENANT_ID>/v2.0"), Some(contoso)),
        ("the placeholder and a domain", format!("{login}/<TENANT_ID>/v2.0"), Some(fixtures::CONTOSO_DOMAIN)),
        ("the whole discovery address", format!("{login}/{contoso}/v2.0/.well-known/openid-configuration"), None),
    ];
    for (name, base_url, tenant) in table {
        let mut options = HostOptions::default().set("base_url", &format!("{base_url:?}"));
        if let Some(tenant) = tenant {
            options = options.set("tenant", &format!("{tenant:?}"));
        }
        let host = conformance::TestHost::start(options.with_provider(&conformance::entra_provider(&entra))).await;
        conformance::register(&entra, &host);
        let finished = Browser::new(&host.url).sign_in(person::ADA).await;
        assert_eq!(finished.status, 200, "{name}: {}", finished.body);
    }
}

/// `organizations` with a list of tenants (V3, V4).
#[tokio::test]
async fn several_tenants_by_an_explicit_list() {
    let entra = entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap();
    let base_url = format!("{:?}", entra.authority("organizations"));
    let client = format!("{:?}", fixtures::MULTI_TENANT_CLIENT_ID);
    let options = |tenants: &[&str]| {
        HostOptions::default()
            .set("base_url", &base_url)
            .set("client_id", &client)
            .set("allowed_tenants", &format!("{tenants:?}"))
            .with_provider(&conformance::entra_provider(&entra))
    };
    let host = conformance::TestHost::start(options(&[fixtures::CONTOSO, fixtures::FABRIKAM])).await;
    conformance::register(&entra, &host);
    for person in [person::ADA, person::FABRIKAM_MEMBER] {
        let finished = Browser::new(&host.url).sign_in(person).await;
        assert_eq!(finished.status, 200, "{person}: {}", finished.body);
    }
    let host = conformance::TestHost::start(options(&[fixtures::CONTOSO])).await;
    conformance::register(&entra, &host);
    let refused = Browser::new(&host.url).sign_in(person::SPOOFER).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "tenant_not_allowed"), "{}", refused.body);
    let error =
        conformance::TestHost::try_start(options(&[])).await.err().expect("an empty list is refused").to_string();
    assert!(error.contains("allowed_tenants") && error.contains("every tenant in the world"), "{error}");
}

#[tokio::test]
async fn the_client_authenticates_as_discovery_says_and_the_secret_stays_where_it_belongs() {
    let stack = Entra::plain().await;
    stack.browser().sign_in(person::ADA).await;
    let requests = stack.entra.control().requests();
    let token: Vec<_> = requests.iter().filter(|request| request.path.ends_with("/token")).collect();
    assert_eq!(token.len(), 1);
    assert!(token[0].has_code_verifier);
    assert_eq!(token[0].client_request_id.as_deref().map(str::len), Some(36), "Microsoft's support finds it by that");
    for request in requests
        .iter()
        .filter(|request| request.user_agent.as_deref().is_some_and(|agent| agent.starts_with("defguard-openid")))
    {
        assert_eq!(request.origin, None, "{request:?}");
        assert!(!request.secret_in_url && !request.secret_outside_token_endpoint && !request.has_cookie, "{request:?}");
    }
    assert_eq!(stack.entra.control().count(Side::Graph, "*"), 0, "nothing was missing: the directory wasn't asked");
}
