//! The control handle and its HTTP form: log, directory, clock, reset.

use std::net::SocketAddr;
use std::time::Duration;

use entra_emulator::fixtures::{self, person};
use entra_emulator::{
    ClaimMischief, ClientAuth, Control, ControlError, Emulator, GraphSettings, Rotation, Seed, Side, StartError,
    TokenMischief,
};
use serde_json::{Value, json};

use crate::support::{Lab, app_token_request, basic, changed, token_request};

#[tokio::test]
async fn the_log_tells_how_a_sign_in_went_without_its_secrets() {
    let lab = Lab::start().await;
    let code = lab.code(person::ADA).await;
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let form = changed(token_request(&code), &[("client_secret", None)]);
    let request = lab
        .form(&url, &form)
        .header("authorization", basic(fixtures::CLIENT_ID, fixtures::CLIENT_SECRET))
        .header("client-request-id", "an-id")
        .header("user-agent", "client/1");
    let tokens = lab.send(request).await.json();
    let access_token = tokens["access_token"].as_str().unwrap();
    lab.get_with_token(&lab.graph("/oidc/userinfo"), access_token).await;

    let records = lab.control.requests();
    assert_eq!(records.iter().map(|record| record.seq).collect::<Vec<_>>(), [1, 2, 3]);
    let [authorize, token, userinfo] = &records[..] else { panic!("{records:?}") };
    assert_eq!((authorize.side, authorize.method.as_str(), authorize.status), (Side::Login, "GET", Some(302)));
    assert!(authorize.query_keys.contains(&"code_challenge".to_owned()));
    assert_eq!((token.client_auth, token.grant_type.as_deref()), (ClientAuth::Basic, Some("authorization_code")));
    assert!(token.has_code_verifier && !token.secret_in_url && !token.secret_outside_token_endpoint);
    assert_eq!((token.client_request_id.as_deref(), token.user_agent.as_deref()), (Some("an-id"), Some("client/1")));
    assert_eq!(token.origin, None);
    assert_eq!((userinfo.side, userinfo.has_bearer, userinfo.status), (Side::Graph, true, Some(200)));

    let text = serde_json::to_string(&records).unwrap();
    for (name, secret) in [
        ("secret", fixtures::CLIENT_SECRET),
        ("code", &code),
        ("verifier", crate::support::VERIFIER),
        ("access token", access_token),
    ] {
        assert!(!text.contains(secret), "{name}");
    }
    assert_eq!(lab.control.count(Side::Login, "*/token"), 1);
    assert_eq!(lab.control.count(Side::Graph, "*/token"), 0);
    assert_eq!(lab.control.counts()["graph /oidc/userinfo"], 1);
    lab.control.clear_requests();
    assert!(lab.control.requests().is_empty());
}

#[tokio::test]
async fn ways_of_authenticating_are_told_apart() {
    let lab = Lab::start().await;
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let form = app_token_request(lab.entra.graph_url());
    let without = changed(form.clone(), &[("client_secret", None)]);
    let assertion = changed(without.clone(), &[("client_assertion", Some("a.b.c"))]);
    let credentials = basic(fixtures::CLIENT_ID, fixtures::CLIENT_SECRET);
    let table = [
        ("none", lab.form(&url, &without), ClientAuth::None),
        ("post", lab.form(&url, &form), ClientAuth::Post),
        ("basic", lab.form(&url, &without).header("authorization", &credentials), ClientAuth::Basic),
        ("assertion", lab.form(&url, &assertion), ClientAuth::Assertion),
        ("several", lab.form(&url, &form).header("authorization", &credentials), ClientAuth::Several),
    ];
    for (name, request, expected) in table {
        lab.send(request).await;
        assert_eq!(lab.control.requests().last().unwrap().client_auth, expected, "{name}");
    }
}

#[tokio::test]
async fn waiting_for_requests_ends_with_the_request_or_the_timeout() {
    let lab = Lab::start().await;
    let control = lab.control.clone();
    let waiting =
        tokio::spawn(
            async move { control.wait_for_requests(Side::Login, "/attacker/*", 2, Duration::from_secs(20)).await },
        );
    lab.get(&lab.login("/attacker/keys")).await;
    assert_eq!(lab.get(&lab.login("/attacker/certificate")).await.status, 200);
    assert!(waiting.await.unwrap());
    assert!(!lab.control.wait_for_requests(Side::Graph, "*", 1, Duration::from_millis(20)).await);
}

#[tokio::test]
async fn the_directory_changes_only_as_a_whole() {
    let lab = Lab::start().await;
    let unknown = lab.control.edit_person("nobody", |_| ());
    assert!(matches!(unknown, Err(ControlError::UnknownPerson(key)) if key == "nobody"));
    assert!(matches!(lab.control.add_redirect_uri("nobody", "x"), Err(ControlError::UnknownApp(_))));

    let before = lab.control.directory();
    let twin = before.person(person::ADA).unwrap().clone();
    assert!(matches!(lab.control.add_person(twin.clone()), Err(ControlError::Inconsistent(_))));
    assert_eq!(lab.control.directory(), before);

    let mut newcomer = twin;
    newcomer.key = "new".into();
    newcomer.oid = entra_emulator::seed::Guid::parse("33333333-3333-4333-8333-0000000000ff").unwrap();
    newcomer.user_principal_name = "new@contoso.example".into();
    lab.control.add_person(newcomer).unwrap();
    lab.sign_in("new").await;

    let seed = lab.control.directory();
    for change in [Control::remove_group, Control::remove_person] {
        assert!(change(&lab.control, "nothing").is_err());
    }
    assert!(
        matches!(lab.control.edit_group("nothing", |_| ()), Err(ControlError::UnknownGroup(id)) if id == "nothing")
    );
    assert_eq!(lab.control.directory(), seed);
    lab.control.remove_group(fixtures::group::CYCLE_B).unwrap();
    lab.control.remove_person(person::IN_CYCLE).unwrap();
    assert_eq!(lab.control.directory().group(fixtures::group::CYCLE_A).unwrap().members, [], "left behind");
}

#[tokio::test]
async fn reset_brings_everything_back() {
    let lab = Lab::start().await;
    let seed = lab.control.directory();
    let kids = lab.control.published_kids();
    let code = lab.code(person::ADA).await;
    lab.control.advance_clock(10_000);
    lab.control.rotate_keys(Rotation::Emergency);
    lab.control.mischief_always(TokenMischief::Expired);
    lab.control.add_fault(entra_emulator::Fault::new(entra_emulator::FaultAction::Html));
    lab.control.add_redirect_uri(fixtures::CLIENT_ID, "https://added.example/").unwrap();
    lab.control.claim_mischief_always(ClaimMischief::AcctGuest);
    lab.control.edit_graph(|graph| graph.page_size = Some(1));
    lab.control.remove_group(fixtures::group::STAFF).unwrap();
    lab.control.reset();
    assert_eq!(lab.control.graph_settings(), GraphSettings::default());
    assert_eq!(lab.control.confidential(), []);
    assert_eq!(lab.control.directory(), seed);
    assert_eq!(lab.control.published_kids(), kids);
    assert!(lab.control.requests().is_empty());
    let reply = lab.token(fixtures::CONTOSO, &token_request(&code)).await;
    assert_eq!(reply.json()["error_codes"], json!([70_000]), "codes from before are gone");
    let tokens = lab.sign_in(person::ADA).await;
    let claims = crate::support::claims(tokens["id_token"].as_str().unwrap());
    let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert_eq!(claims["acct"], 0, "no mischief");
    assert!(claims["exp"].as_u64().unwrap().abs_diff(real + 3600) < 60, "the clock is the machine's again");
}

/// Sends an order to the HTTP form of the control interface.
async fn order(lab: &Lab, method: reqwest::Method, path: &str, body: Value) -> crate::support::Reply {
    let request = lab.client.request(method, lab.login(&format!("/__admin{path}")));
    let request = if body.is_null() {
        request
    } else {
        request.header("content-type", "application/json").body(body.to_string())
    };
    lab.send(request).await
}

#[tokio::test]
async fn every_operation_exists_over_http() {
    use reqwest::Method as H;
    let lab = Lab::start().await;
    let app = format!("/apps/{}", fixtures::CLIENT_ID);
    let fault =
        json!({"match": {"host": "graph", "path": "/v1.0/*", "nth": [2]}, "action": {"kind": "hang"}, "times": 1});
    let mut newcomer = serde_json::to_value(lab.control.directory().person(person::ADA).unwrap()).unwrap();
    newcomer["key"] = "new".into();
    newcomer["oid"] = "33333333-3333-4333-8333-0000000000ff".into();
    let group = json!({
        "id": "44444444-4444-4444-8444-0000000000ff", "tenant": fixtures::CONTOSO, "display_name": "new",
        "members": [{"user": newcomer["oid"]}, {"group": fixtures::group::STAFF}],
    });
    let (group_path, no_group) = ("/groups/44444444-4444-4444-8444-0000000000ff", "/groups/nothing");
    let settings = json!({"page_size": 50, "empty_pages": [2]});
    // name, method, path, body, expected status
    let table = [
        ("clock", H::POST, "/clock", json!({"advance_s": 3600}), 200),
        ("read the clock", H::GET, "/clock", Value::Null, 200),
        ("rotate", H::POST, "/keys/rotate", json!({"mode": "emergency"}), 200),
        ("unknown rotation", H::POST, "/keys/rotate", json!({"mode": "sideways"}), 422),
        ("keys", H::GET, "/keys", Value::Null, 200),
        ("add a fault", H::POST, "/faults", fault, 201),
        ("unknown fault", H::POST, "/faults", json!({"action": {"kind": "explode"}}), 422),
        ("faults", H::GET, "/faults", Value::Null, 200),
        ("remove a fault", H::DELETE, "/faults/1", Value::Null, 204),
        ("remove it again", H::DELETE, "/faults/1", Value::Null, 404),
        ("clear faults", H::DELETE, "/faults", Value::Null, 204),
        ("mischief", H::POST, "/mischief", json!({"token": "wrong_audience"}), 204),
        ("claim", H::POST, "/mischief", json!({"claim": "acrs_as_text", "always": true}), 204),
        ("mischief of no kind", H::POST, "/mischief", json!({"always": true}), 422),
        ("document", H::POST, "/documents", json!({"document": "key_set_empty", "on": true}), 204),
        ("clear mischief", H::DELETE, "/mischief", Value::Null, 204),
        ("directory", H::GET, "/directory", Value::Null, 200),
        ("edit a person", H::PATCH, "/persons/ada", json!({"outcome": "mfa_required", "mail": null}), 204),
        ("edit nobody", H::PATCH, "/persons/nobody", json!({}), 404),
        ("edit wrongly", H::PATCH, "/persons/ada", json!({"outcome": "vanishes"}), 422),
        ("edit into a clash", H::PATCH, "/persons/ada", json!({"key": "guest"}), 409),
        ("add a person", H::POST, "/persons", newcomer.clone(), 201),
        ("add it again", H::POST, "/persons", newcomer, 409),
        ("add a group", H::POST, "/groups", group.clone(), 201),
        ("add it again", H::POST, "/groups", group, 409),
        ("edit a group", H::PATCH, group_path, json!({"display_name": "newer"}), 204),
        ("edit a group wrongly", H::PATCH, group_path, json!({"members": [{"user": fixtures::CONTOSO}]}), 409),
        ("edit no group", H::PATCH, no_group, json!({}), 404),
        ("remove a person", H::DELETE, "/persons/new", Value::Null, 204),
        ("remove nobody", H::DELETE, "/persons/new", Value::Null, 404),
        ("remove a group", H::DELETE, group_path, Value::Null, 204),
        ("remove no group", H::DELETE, no_group, Value::Null, 404),
        ("Graph's settings", H::PATCH, "/graph", settings, 204),
        ("unknown setting", H::PATCH, "/graph", json!({"page_sise": 1}), 422),
        ("read them", H::GET, "/graph", Value::Null, 200),
        ("no secrets over HTTP", H::GET, "/confidential", Value::Null, 404),
        ("edit an app", H::PATCH, app.as_str(), json!({"redirect_uris": ["https://rp.example/cb"]}), 204),
        ("revoke", H::POST, "/tokens/revoke", Value::Null, 204),
        ("requests", H::GET, "/requests", Value::Null, 200),
        ("counts", H::GET, "/requests/counts", Value::Null, 200),
        ("clear requests", H::DELETE, "/requests", Value::Null, 204),
    ];
    for (name, method, path, body, status) in table {
        let reply = order(&lab, method, path, body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
    }
    let clock = order(&lab, H::GET, "/clock", Value::Null).await.json();
    assert_eq!(clock["offset_s"], 3600);
    let settings = lab.control.graph_settings();
    assert_eq!((settings.member_groups_limit, settings.page_size, settings.empty_pages), (11_000, Some(50), vec![2]));
    let directory = lab.control.directory();
    assert_eq!(directory.person(person::ADA).unwrap().mail, None);
    assert_eq!(directory.app(fixtures::CLIENT_ID).unwrap().redirect_uris, ["https://rp.example/cb"]);
    assert!(lab.control.requests().is_empty(), "orders are not logged");
    assert_eq!(order(&lab, H::POST, "/reset", Value::Null).await.status, 204);
    assert_eq!(lab.control.directory(), Seed::demo());
    assert_eq!(lab.get(&lab.graph("/__admin/clock")).await.json()["offset_s"], 0, "on both listeners");
}

#[tokio::test]
async fn only_loopback_addresses_are_served() {
    let any: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let loopback: SocketAddr = "127.0.0.1:0".parse().unwrap();
    for (name, login, graph) in [("login", any, loopback), ("graph", loopback, any)] {
        let refused = Emulator::start_on(Seed::demo(), login, graph).await;
        assert!(matches!(refused, Err(StartError::NotLoopback(address)) if address == any), "{name}");
    }
}

#[tokio::test]
async fn stopping_closes_both_listeners() {
    let lab = Lab::start().await;
    let (login, graph) = (lab.login("/"), lab.graph("/"));
    assert_eq!(lab.get(&login).await.status, 404);
    lab.entra.stop().await;
    for url in [login, graph] {
        assert!(crate::support::client().get(url).send().await.unwrap_err().is_connect());
    }
}
