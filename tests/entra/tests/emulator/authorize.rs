//! The authorization endpoint: what it refuses and where it says so, who signs in, how sign-ins end, and the ways back.

use entra_emulator::fixtures::{self, person};
use url::Url;

use crate::support::{Change, Lab, authorization_request, challenge, changed, encoded};

#[tokio::test]
async fn refusals_on_entras_page_of_which_the_client_hears_nothing() {
    let redirect = |uri| vec![("redirect_uri", Some(uri))];
    let user = |key| vec![("x_user", Some(key))];
    let other_client = "99999999-9999-4999-8999-999999999999";
    let contoso = fixtures::CONTOSO;
    // name, authority, changes, AADSTS number
    let table: Vec<(&str, &str, Vec<Change<'_>>, u32)> = vec![
        ("unknown tenant", "nowhere.example", vec![], 90_002),
        ("no client_id", contoso, vec![("client_id", None)], 900_144),
        ("unknown client", contoso, vec![("client_id", Some(other_client))], 700_016),
        ("single-tenant app elsewhere", fixtures::FABRIKAM, vec![], 700_016),
        ("single-tenant app at common", "common", vec![], 50_194),
        ("single-tenant app at organizations", "organizations", vec![], 50_194),
        ("unregistered redirect URI", contoso, redirect("https://attacker.example/cb"), 50_011),
        ("redirect URI in another case", contoso, redirect("http://127.0.0.1:8080/OpenID/callback"), 50_011),
        ("another port of 127.0.0.1", contoso, redirect("http://127.0.0.1:8081/openid/callback"), 50_011),
        ("redirect URI with a slash more", contoso, redirect("http://127.0.0.1:8080/openid/callback/"), 50_011),
        ("unknown person", contoso, user("nobody"), 50_034),
        ("person of another tenant", contoso, user(person::SPOOFER), 50_020),
        ("personal account at a tenant", contoso, user(person::PERSONAL), 500_208),
    ];
    let lab = Lab::start().await;
    for (name, segment, changes, code) in table {
        let reply = lab.authorize(segment, &changed(authorization_request(), &changes)).await;
        assert_eq!(reply.status, 400, "{name}: {}", reply.body);
        assert!(reply.header("location").is_empty(), "{name}: no redirect");
        assert!(reply.header("content-type").starts_with("text/html"), "{name}");
        assert!(reply.body.contains(&format!("AADSTS{code}:")), "{name}: {}", reply.body);
        assert!(reply.body.contains("Trace ID"), "{name}");
    }
}

#[tokio::test]
async fn refusals_that_go_back_to_the_client() {
    let (long, short) = ("x".repeat(129), &challenge("x")[..42]);
    let scope = |scope| vec![("scope", Some(scope))];
    let response_type = |value| vec![("response_type", value)];
    let prompt = |value| vec![("prompt", Some(value))];
    let hinted = vec![("prompt", Some("select_account")), ("login_hint", Some("ada@contoso.example"))];
    let too_long = vec![("code_challenge", Some(long.as_str())), ("code_challenge_method", Some("plain"))];
    let method = vec![("code_challenge_method", Some("S512"))];
    // name, changes, error, AADSTS number
    let table: Vec<(&str, Vec<Change<'_>>, &str, u32)> = vec![
        ("no response_type", response_type(None), "invalid_request", 900_144),
        ("implicit flow", response_type(Some("id_token")), "unsupported_response_type", 700_054),
        ("hybrid flow", response_type(Some("code id_token")), "unsupported_response_type", 700_054),
        ("unknown response_type", response_type(Some("device")), "unsupported_response_type", 70_005),
        ("unknown response_mode", vec![("response_mode", Some("web_message"))], "invalid_request", 70_007),
        ("no scope", vec![("scope", None)], "invalid_request", 900_144),
        ("scope phone", scope("openid phone"), "invalid_scope", 70_011),
        ("scope address", scope("openid address"), "invalid_scope", 70_011),
        ("unknown prompt", prompt("create"), "invalid_request", 90_023),
        ("claims that are not JSON", vec![("claims", Some("{"))], "invalid_request", 90_023),
        ("claims that are a list", vec![("claims", Some("[]"))], "invalid_request", 90_023),
        (
            "a context that is no text",
            vec![("claims", Some(r#"{"id_token":{"acrs":{"value":1}}}"#))],
            "invalid_request",
            90_023,
        ),
        ("two prompts", prompt("login consent"), "invalid_request", 90_023),
        ("select_account with login_hint", hinted, "invalid_request", 90_023),
        ("silent, nobody known", prompt("none"), "login_required", 50_058),
        ("challenge method without challenge", vec![("code_challenge", None)], "invalid_request", 50_147),
        ("unknown challenge method", method, "invalid_request", 50_149),
        ("challenge too short", vec![("code_challenge", Some(short))], "invalid_request", 501_491),
        ("challenge too long", too_long, "invalid_request", 501_491),
    ];
    let lab = Lab::start().await;
    for (name, changes, error, code) in table {
        let reply = lab.authorize(fixtures::CONTOSO, &changed(authorization_request(), &changes)).await;
        let query = reply.redirect_query();
        assert_eq!(query["error"], error, "{name}");
        assert!(query["error_description"].starts_with(&format!("AADSTS{code}: ")), "{name}: {query:?}");
        assert!(query["error_description"].contains("\r\nTrace ID: "), "{name}");
        assert_eq!(query["error_uri"], lab.login(&format!("/error?code={code}")), "{name}");
        assert_eq!(query["state"], "state-1", "{name}");
        assert!(!query.contains_key("code"), "{name}");
    }
}

#[tokio::test]
async fn a_doubled_parameter_is_refused_on_the_page() {
    let lab = Lab::start().await;
    let query = encoded(&authorization_request());
    let url = lab.login(&format!("/{}/oauth2/v2.0/authorize?{query}&state=state-2", fixtures::CONTOSO));
    let reply = lab.get(&url).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.contains("AADSTS9000411:") && reply.body.contains("state"));
}

#[tokio::test]
async fn sign_ins_end_as_the_person_says() {
    // name, person, error, AADSTS number
    let table = [
        ("admin consent", person::ADMIN_CONSENT, "access_denied", 90_094),
        ("declined consent", person::DECLINES, "access_denied", 65_004),
        ("no consent", person::NOT_CONSENTED, "consent_required", 65_001),
        ("second factor", person::MFA, "interaction_required", 50_076),
        ("Conditional Access", person::BLOCKED, "access_denied", 53_003),
        ("disabled", person::DISABLED, "access_denied", 50_057),
    ];
    let lab = Lab::start().await;
    for (name, person, error, code) in table {
        let request = changed(authorization_request(), &[("x_user", Some(person))]);
        let query = lab.authorize(fixtures::CONTOSO, &request).await.redirect_query();
        assert_eq!(query["error"], error, "{name}");
        assert!(query["error_description"].starts_with(&format!("AADSTS{code}: ")), "{name}: {query:?}");
        assert!(!query.contains_key("error_subcode"), "{name}");
        assert_eq!(query["state"], "state-1", "{name}");
    }
}

#[tokio::test]
async fn cancelling_has_a_subcode_and_no_description() {
    let lab = Lab::start().await;
    let request = changed(authorization_request(), &[("x_user", Some(person::CANCELS))]);
    let query = lab.authorize(fixtures::CONTOSO, &request).await.redirect_query();
    let names: Vec<&str> = query.keys().map(String::as_str).collect();
    assert_eq!(names, ["error", "error_subcode", "state"]);
    assert_eq!((query["error"].as_str(), query["error_subcode"].as_str()), ("access_denied", "cancel"));
}

#[tokio::test]
async fn whoever_is_not_assigned_stays_on_entras_page_where_assignment_is_required() {
    let lab = Lab::start().await;
    let request = changed(authorization_request(), &[("x_user", Some(person::UNASSIGNED))]);
    let reply = lab.authorize(fixtures::CONTOSO, &request).await;
    assert_eq!((reply.status, reply.header("location")), (400, ""));
    assert!(reply.body.contains("AADSTS50105:"), "{}", reply.body);

    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.assignment_required = false).unwrap();
    assert!(lab.authorize(fixtures::CONTOSO, &request).await.redirect_query().contains_key("code"));
}

#[tokio::test]
async fn success_brings_code_state_and_session_state() {
    let lab = Lab::start().await;
    let request = changed(authorization_request(), &[("x_user", Some(person::ADA))]);
    let reply = lab.authorize(fixtures::CONTOSO, &request).await;
    assert!(reply.header("location").starts_with(&format!("{}?", fixtures::DEFAULT_REDIRECT_URI)));
    assert_eq!(reply.header("cache-control"), "no-store, no-cache");
    let query = reply.redirect_query();
    let names: Vec<&str> = query.keys().map(String::as_str).collect();
    assert_eq!(names, ["code", "session_state", "state"]);
    assert_eq!(query["state"], "state-1");
    assert!(query["code"].len() > 300, "{}", query["code"].len());
    let again = lab.authorize(fixtures::CONTOSO, &request).await.redirect_query();
    assert_ne!(again["code"], query["code"], "a code never comes twice");
}

#[tokio::test]
async fn a_person_is_chosen_in_several_ways() {
    let lab = Lab::start().await;
    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.optional_claims.push("login_hint".into())).unwrap();
    let tokens = lab.sign_in(person::ADA).await;
    let opaque = crate::support::claims(tokens["id_token"].as_str().unwrap())["login_hint"].clone();
    let opaque = opaque.as_str().unwrap();
    let table: [(&str, Change<'_>); 7] = [
        ("key", ("x_user", Some(person::ADA))),
        ("object id", ("x_user", Some("33333333-3333-4333-8333-000000000001"))),
        ("address", ("x_user", Some("ada@contoso.example"))),
        ("hint: address", ("login_hint", Some("ada@contoso.example"))),
        ("hint: case does not count", ("login_hint", Some("Ada@Contoso.Example"))),
        ("hint: opaque", ("login_hint", Some(opaque))),
        ("hint: a guest's home address", ("login_hint", Some("grace@fabrikam.example"))),
    ];
    for (name, choice) in table {
        let request = changed(authorization_request(), &[choice]);
        assert!(lab.authorize(fixtures::CONTOSO, &request).await.redirect_query().contains_key("code"), "{name}");
    }
    let silent =
        changed(authorization_request(), &[("prompt", Some("none")), ("login_hint", Some("ada@contoso.example"))]);
    assert!(
        lab.authorize(fixtures::CONTOSO, &silent).await.redirect_query().contains_key("code"),
        "silent with a hint"
    );
}

#[tokio::test]
async fn the_picker_lists_who_can_sign_in_here() {
    let app = [("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))];
    // name, authority, listed, not listed
    let table = [
        ("tenant", fixtures::CONTOSO, vec![person::ADA, person::GUEST], vec![person::SPOOFER, person::PERSONAL]),
        ("organizations", "organizations", vec![person::ADA, person::SPOOFER], vec![person::GUEST, person::PERSONAL]),
        ("common", "common", vec![person::ADA, person::PERSONAL], vec![person::GUEST]),
        ("consumers", "consumers", vec![person::PERSONAL], vec![person::ADA]),
    ];
    let lab = Lab::start().await;
    for (name, segment, listed, not_listed) in table {
        let page = lab.authorize(segment, &changed(authorization_request(), &app)).await;
        assert_eq!(page.status, 200, "{name}: {}", page.body);
        assert!(page.header("content-type").starts_with("text/html"), "{name}");
        let has = |key: &str| page.body.contains(&format!("x_user={key}\""));
        assert!(listed.iter().all(|key| has(key)), "{name}");
        assert!(!not_listed.iter().any(|key| has(key)), "{name}");
        assert!(!page.body.contains("<script"), "{name}: works without scripts");
    }
}

#[tokio::test]
async fn the_picker_tells_apart_who_will_be_refused() {
    let lab = Lab::start().await;
    let page = lab.authorize(fixtures::CONTOSO, &authorization_request()).await.body;
    let (welcome, refused) = page.split_once("Sign-in ends otherwise").unwrap();
    for (person, in_which) in [(person::ADA, welcome), (person::UNASSIGNED, refused), (person::MFA, refused)] {
        assert!(in_which.contains(&format!("x_user={person}\"")), "{person}");
    }
}

#[tokio::test]
async fn a_link_of_the_picker_goes_on_with_the_same_request() {
    let lab = Lab::start().await;
    let tricky = "a&b=\"<script>";
    let request = changed(authorization_request(), &[("state", Some(tricky))]);
    let url = lab.login(&format!("/{}/oauth2/v2.0/authorize", fixtures::CONTOSO));
    // The picker after a POST has to carry the form's parameters on, too.
    let by_get = lab.authorize(fixtures::CONTOSO, &request).await;
    let by_post = lab.send(lab.form(&url, &request)).await;
    for (name, page) in [("GET", by_get), ("POST", by_post)] {
        assert!(!page.body.contains(tricky), "{name}: escaped");
        let end = page.body.find("x_user=apostrophe\"").unwrap() + "x_user=apostrophe".len();
        let start = page.body[..end].rfind("href=\"").unwrap() + "href=\"".len();
        let link = page.body[start..end].replace("&amp;", "&");
        let next = Url::parse(&url).unwrap().join(&link).unwrap();
        let query = lab.get(next.as_str()).await.redirect_query();
        assert_eq!(query["state"], tricky, "{name}");
        assert!(query.contains_key("code"), "{name}");
    }
}

#[tokio::test]
async fn the_picker_says_when_a_hint_means_nobody() {
    let lab = Lab::start().await;
    let request = changed(authorization_request(), &[("login_hint", Some("nobody@contoso.example"))]);
    let page = lab.authorize(fixtures::CONTOSO, &request).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("nobody@contoso.example"));
}

#[tokio::test]
async fn answers_go_back_in_the_mode_asked_for() {
    let lab = Lab::start().await;
    let with_query = format!("{}?kept=1", fixtures::DEFAULT_REDIRECT_URI);
    lab.control.add_redirect_uri(fixtures::CLIENT_ID, with_query.as_str()).unwrap();
    let ada = ("x_user", Some(person::ADA));

    let request = changed(authorization_request(), &[ada, ("redirect_uri", Some(&with_query))]);
    let query = lab.authorize(fixtures::CONTOSO, &request).await.redirect_query();
    assert!(query.contains_key("code") && query["kept"] == "1", "query: an own query stays");

    let request = changed(authorization_request(), &[ada, ("response_mode", Some("fragment"))]);
    let location = Url::parse(lab.authorize(fixtures::CONTOSO, &request).await.header("location")).unwrap();
    assert_eq!(location.query(), None, "fragment");
    assert!(location.fragment().unwrap().starts_with("code=1.A"), "fragment");

    for person in [person::ADA, person::CANCELS] {
        let request = changed(
            authorization_request(),
            &[("x_user", Some(person)), ("response_mode", Some("form_post")), ("state", Some("<\"&"))],
        );
        let page = lab.authorize(fixtures::CONTOSO, &request).await;
        assert_eq!((page.status, page.header("location")), (200, ""), "form_post {person}");
        assert!(page.body.contains(&format!("action=\"{}\"", fixtures::DEFAULT_REDIRECT_URI)), "form_post {person}");
        assert!(page.body.contains("name=\"state\" value=\"&lt;&quot;&amp;\""), "form_post {person}: {}", page.body);
        let (_, without_scripts) = page.body.split_once("<noscript>").unwrap();
        let (without_scripts, behind) = without_scripts.split_once("</noscript>").unwrap();
        assert!(without_scripts.contains("<button type=\"submit\">"), "form_post {person}: a button without scripts");
        let (form, behind) = behind.split_once("</form>").unwrap();
        assert!(!form.contains("<form"), "form_post {person}: the button is the form's");
        assert!(behind.contains("<script>document.forms[0].submit();</script>"), "form_post {person}: submits itself");
        assert_eq!(page.header("content-security-policy"), "", "form_post {person}: nothing stops the script");
        let field = if person == person::ADA { "name=\"code\"" } else { "name=\"error_subcode\"" };
        assert!(page.body.contains(field), "form_post {person}");
    }
}

#[tokio::test]
async fn redirect_uris_that_entra_is_generous_about() {
    let lab = Lab::start().await;
    let ada = ("x_user", Some(person::ADA));
    let any_port = "http://localhost:49152/openid/callback";
    let request = changed(authorization_request(), &[ada, ("redirect_uri", Some(any_port))]);
    let reply = lab.authorize(fixtures::CONTOSO, &request).await;
    assert!(reply.header("location").starts_with(any_port), "any port of localhost");

    let request = changed(authorization_request(), &[ada, ("redirect_uri", None)]);
    let reply = lab.authorize(fixtures::CONTOSO, &request).await;
    assert!(reply.header("location").starts_with(fixtures::DEFAULT_REDIRECT_URI), "none sent: a registered one");

    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.redirect_uris = vec!["https://rp.example".into()]).unwrap();
    let request = changed(authorization_request(), &[ada, ("redirect_uri", Some("https://rp.example"))]);
    let reply = lab.authorize(fixtures::CONTOSO, &request).await;
    assert!(reply.header("location").starts_with("https://rp.example/?"), "without path: comes back with a slash");
}

#[tokio::test]
async fn signing_out_and_admin_consent_lead_back_to_registered_addresses_only() {
    let lab = Lab::start().await;
    let registered: String = url::form_urlencoded::byte_serialize(fixtures::DEFAULT_REDIRECT_URI.as_bytes()).collect();
    let foreign = "https%3A%2F%2Fattacker.example%2F";
    let (tenant, client) = (fixtures::CONTOSO, fixtures::CLIENT_ID);
    let logout = |uri: &str| lab.login(&format!("/{tenant}/oauth2/v2.0/logout?post_logout_redirect_uri={uri}"));
    assert_eq!(lab.get(&logout(&registered)).await.header("location"), fixtures::DEFAULT_REDIRECT_URI);
    let page = lab.get(&logout(foreign)).await;
    assert_eq!((page.status, page.header("location")), (200, ""));

    let consent =
        |uri: &str| lab.login(&format!("/{tenant}/adminconsent?client_id={client}&redirect_uri={uri}&state=s"));
    let query = lab.get(&consent(&registered)).await.redirect_query();
    assert_eq!((query["tenant"].as_str(), query["admin_consent"].as_str()), (tenant, "True"));
    assert_eq!(query["state"], "s");
    let page = lab.get(&consent(foreign)).await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("AADSTS50011:"));
}
