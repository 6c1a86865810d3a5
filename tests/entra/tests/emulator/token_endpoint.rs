//! The token endpoint: the whole code flow, client credentials, and every refusal with its body.

use base64::Engine as _;
use entra_emulator::fixtures::{self, person};
use entra_emulator::{Side, seed::Guid};
use serde_json::json;

use crate::support::{
    Change, Lab, app_token_request, authorization_request, basic, changed, claims, encoded, header, signed_by,
    token_request,
};

#[tokio::test]
async fn the_code_flow_ends_in_entras_token_response() {
    let lab = Lab::start().await;
    let code = lab.code(person::ADA).await;
    let reply = lab.token(fixtures::CONTOSO, &token_request(&code)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(reply.header("cache-control"), "no-store, no-cache");
    assert!(!reply.header("x-ms-request-id").is_empty());
    let tokens = reply.json();
    let mut names: Vec<&str> = tokens.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["access_token", "expires_in", "ext_expires_in", "id_token", "scope", "token_type"]);
    assert_eq!((&tokens["token_type"], &tokens["scope"]), (&json!("Bearer"), &json!("openid profile email")));
    assert_eq!((&tokens["expires_in"], &tokens["ext_expires_in"]), (&json!(3599), &json!(3599)));
    assert!(signed_by(tokens["id_token"].as_str().unwrap(), &lab.key_set(fixtures::CONTOSO).await));
}

#[tokio::test]
async fn scopes_decide_what_the_response_holds() {
    let lab = Lab::start().await;
    // name, scope, ID token, refresh token
    let table = [
        ("openid", "openid", true, false),
        ("no openid", "profile User.Read", false, false),
        ("offline_access", "openid offline_access", true, true),
    ];
    for (name, scope, id_token, refresh_token) in table {
        let tokens = lab.sign_in_as(fixtures::CONTOSO, person::ADA, &[("scope", Some(scope))]).await;
        assert_eq!(tokens.get("id_token").is_some(), id_token, "{name}");
        assert_eq!(tokens.get("refresh_token").is_some(), refresh_token, "{name}");
    }
}

#[tokio::test]
async fn the_secret_is_accepted_in_the_form_and_as_basic() {
    let lab = Lab::start().await;
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let right = basic(fixtures::CLIENT_ID, fixtures::CLIENT_SECRET);
    for (name, changes) in [
        ("Basic with client_id in the form", vec![("client_secret", None)]),
        ("Basic alone", vec![("client_secret", None), ("client_id", None)]),
    ] {
        let form = changed(token_request(&lab.code(person::ADA).await), &changes);
        let reply = lab.send(lab.form(&url, &form).header("authorization", &right)).await;
        assert_eq!(reply.status, 200, "{name}: {}", reply.body);
    }
    // Without the encoding of RFC 6749 section 2.3.1 the secret's special characters turn into others.
    let raw = format!("{}:{}", fixtures::CLIENT_ID, fixtures::CLIENT_SECRET);
    let raw = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(raw));
    let form = changed(token_request(&lab.code(person::ADA).await), &[("client_secret", None)]);
    let reply = lab.send(lab.form(&url, &form).header("authorization", &raw)).await;
    assert_eq!((reply.status, reply.json()["error_codes"][0].as_u64()), (401, Some(7_000_215)), "not encoded");
}

#[tokio::test]
async fn refusals_of_the_code_grant() {
    let other = "http://localhost/openid/callback";
    // name, changes, status, error, AADSTS number
    let table: Vec<(&str, Vec<Change<'_>>, u16, &str, u32)> = vec![
        ("no grant_type", vec![("grant_type", None)], 400, "invalid_request", 900_144),
        ("unknown grant_type", vec![("grant_type", Some("password"))], 400, "unsupported_grant_type", 70_003),
        ("no client_id", vec![("client_id", None)], 400, "invalid_request", 900_144),
        ("unknown client", vec![("client_id", Some("nobody"))], 400, "unauthorized_client", 700_016),
        ("no secret", vec![("client_secret", None)], 401, "invalid_client", 7_000_218),
        ("empty secret", vec![("client_secret", Some(""))], 401, "invalid_client", 7_000_218),
        ("wrong secret", vec![("client_secret", Some("wrong"))], 401, "invalid_client", 7_000_215),
        ("expired secret", vec![("client_secret", Some(fixtures::EXPIRED_SECRET))], 401, "invalid_client", 7_000_222),
        (
            "assertion without its type",
            vec![("client_secret", None), ("client_assertion", Some("a.b.c"))],
            400,
            "invalid_request",
            900_144,
        ),
        ("secret and assertion", vec![("client_assertion", Some("a.b.c"))], 400, "invalid_request", 9_000_411),
        ("no code", vec![("code", None)], 400, "invalid_request", 900_144),
        ("made-up code", vec![("code", Some("1.Amadeup"))], 400, "invalid_grant", 70_000),
        (
            "another app's code",
            vec![("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))],
            400,
            "invalid_grant",
            70_000,
        ),
        ("no redirect_uri", vec![("redirect_uri", None)], 400, "invalid_request", 900_144),
        ("another redirect_uri", vec![("redirect_uri", Some(other))], 400, "invalid_grant", 500_112),
        ("no verifier", vec![("code_verifier", None)], 400, "invalid_grant", 501_481),
        ("wrong verifier", vec![("code_verifier", Some("x"))], 400, "invalid_grant", 501_481),
    ];
    let lab = Lab::start().await;
    let code = lab.code(person::ADA).await;
    for (name, changes, status, error, number) in table {
        let reply = lab.token(fixtures::CONTOSO, &changed(token_request(&code), &changes)).await;
        let body = reply.json();
        assert_eq!((reply.status, body["error"].as_str()), (status, Some(error)), "{name}: {body}");
        assert_eq!(body["error_codes"], json!([number]), "{name}: {body}");
    }
    let reply = lab.token(fixtures::CONTOSO, &token_request(&code)).await;
    assert_eq!(reply.status, 200, "a refused redemption leaves the code usable: {}", reply.body);
}

#[tokio::test]
async fn a_code_works_once_for_ten_minutes_and_at_its_tenant() {
    let lab = Lab::start().await;
    let number = |reply: crate::support::Reply| reply.json()["error_codes"][0].as_u64();

    let code = lab.code(person::ADA).await;
    assert_eq!(lab.token(fixtures::CONTOSO, &token_request(&code)).await.status, 200);
    assert_eq!(number(lab.token(fixtures::CONTOSO, &token_request(&code)).await), Some(54_005), "replay");

    let code = lab.code(person::ADA).await;
    lab.control.advance_clock(590);
    assert_eq!(lab.token(fixtures::CONTOSO, &token_request(&code)).await.status, 200, "before ten minutes are over");
    let code = lab.code(person::ADA).await;
    lab.control.advance_clock(601);
    assert_eq!(number(lab.token(fixtures::CONTOSO, &token_request(&code)).await), Some(70_008), "after ten minutes");

    let app = ("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID));
    let request = changed(authorization_request(), &[app, ("x_user", Some(person::ADA))]);
    for (name, issued_at, redeemed_at, expected) in [
        ("same tenant by domain", fixtures::CONTOSO, fixtures::CONTOSO_DOMAIN, None),
        ("other tenant", fixtures::CONTOSO, fixtures::FABRIKAM, Some(700_005)),
        ("common, same", "common", "common", None),
        ("common, at the person's tenant", "common", fixtures::CONTOSO, None),
        ("common, at another tenant", "common", fixtures::FABRIKAM, Some(700_005)),
        ("tenant, at common", fixtures::CONTOSO, "common", Some(700_005)),
    ] {
        let code = lab.authorize(issued_at, &request).await.redirect_query().remove("code").unwrap();
        let reply = lab.token(redeemed_at, &changed(token_request(&code), &[app])).await;
        assert_eq!(number(reply), expected, "{name}");
    }
}

#[tokio::test]
async fn pkce_without_method_is_plain_and_a_verifier_needs_a_challenge() {
    let lab = Lab::start().await;
    let plain = "plain-verifier-of-sufficient-length-0123456789";
    let ada = ("x_user", Some(person::ADA));
    let request =
        changed(authorization_request(), &[ada, ("code_challenge", Some(plain)), ("code_challenge_method", None)]);
    let code = lab.authorize(fixtures::CONTOSO, &request).await.redirect_query().remove("code").unwrap();
    let form = changed(token_request(&code), &[("code_verifier", Some(plain))]);
    assert_eq!(lab.token(fixtures::CONTOSO, &form).await.status, 200, "plain");

    let request = changed(authorization_request(), &[ada, ("code_challenge", None), ("code_challenge_method", None)]);
    let code = lab.authorize(fixtures::CONTOSO, &request).await.redirect_query().remove("code").unwrap();
    let reply = lab.token(fixtures::CONTOSO, &token_request(&code)).await;
    assert_eq!(reply.json()["error_codes"], json!([50_147]), "verifier without challenge");
    let form = changed(token_request(&code), &[("code_verifier", None)]);
    assert_eq!(lab.token(fixtures::CONTOSO, &form).await.status, 200, "no PKCE at all");
}

#[tokio::test]
async fn an_error_body_has_every_member_and_entras_way_of_writing() {
    let lab = Lab::start().await;
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let correlation = "66666666-6666-4666-8666-666666666666";
    let form = changed(token_request("x"), &[("client_secret", Some("wrong"))]);
    let reply = lab.send(lab.form(&url, &form).header("client-request-id", correlation)).await;
    let body = reply.json();
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    assert!(Guid::parse(&text("trace_id")).is_ok());
    assert_eq!(text("correlation_id"), correlation, "the client's own id comes back");
    let timestamp = text("timestamp");
    assert_eq!((timestamp.len(), timestamp.as_bytes()[10], timestamp.as_bytes()[19]), (20, b' ', b'Z'), "{timestamp}");
    let trail =
        format!("\r\nTrace ID: {}\r\nCorrelation ID: {correlation}\r\nTimestamp: {timestamp}", text("trace_id"));
    assert!(text("error_description").starts_with("AADSTS7000215: Invalid client secret provided."));
    assert!(text("error_description").ends_with(&trail), "{body}");
    assert_eq!(text("error_uri"), lab.login("/error?code=7000215"));
    assert_eq!(reply.header("cache-control"), "no-store, no-cache");
    assert!(!reply.body.contains("wrong\""), "the secret is not repeated");
}

#[tokio::test]
async fn malformed_requests() {
    let lab = Lab::start().await;
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let form = token_request(&lab.code(person::ADA).await);
    let number = |reply: crate::support::Reply| reply.json()["error_codes"][0].as_u64();

    let json = lab.post_json(&url, &json!({"grant_type": "authorization_code"})).await;
    assert_eq!(number(json), Some(900_144), "JSON in place of a form");
    let doubled = format!("{}&code=another", encoded(&form));
    let request = lab.client.post(&url).header("content-type", "application/x-www-form-urlencoded").body(doubled);
    assert_eq!(number(lab.send(request).await), Some(9_000_411), "doubled parameter");
    let reply = lab.send(lab.form(&url, &form).header("origin", "https://app.example")).await;
    assert_eq!(number(reply), Some(9_002_326), "credentials out of a browser");
    let reply = lab.send(lab.form(&url, &form).header("authorization", basic("another", "secret"))).await;
    assert_eq!(number(reply), Some(9_000_411), "two different clients");
    let reply = lab.token("nowhere.example", &form).await;
    assert_eq!((reply.json()["error"].clone(), number(reply)), (json!("invalid_request"), Some(90_002)));
    assert_eq!(lab.get(&url).await.status, 405, "GET");
    assert_eq!(lab.token(fixtures::CONTOSO, &form).await.status, 200, "the request itself was right");
}

#[tokio::test]
async fn client_credentials_give_exactly_four_members() {
    let lab = Lab::start().await;
    let reply = lab.token(fixtures::CONTOSO, &app_token_request(lab.entra.graph_url())).await;
    let body = reply.json();
    let mut names: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["access_token", "expires_in", "ext_expires_in", "token_type"]);
    let token = body["access_token"].as_str().unwrap();
    assert_eq!(header(token)["alg"], "RS256");
    let claims = claims(token);
    assert_eq!((&claims["aud"], &claims["idtyp"]), (&json!(lab.entra.graph_url()), &json!("app")));
    assert_eq!(claims["roles"], json!(["User.Read.All", "GroupMember.Read.All"]));
    assert_eq!((&claims["appid"], &claims["ver"]), (&json!(fixtures::CLIENT_ID), &json!("1.0")));
    assert_eq!((&claims["appidacr"], &claims["tid"]), (&json!("1"), &json!(fixtures::CONTOSO)));

    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles.clear()).unwrap();
    let token = lab.app_token().await;
    assert!(crate::support::claims(&token).get("roles").is_none(), "nothing consented: no roles, but a token");
}

#[tokio::test]
async fn refusals_of_client_credentials() {
    let lab = Lab::start().await;
    let graph = lab.entra.graph_url().to_owned();
    let (permission, two) = (format!("{graph}/User.Read.All"), format!("{graph}/.default openid"));
    let table: Vec<(&str, &str, Vec<Change<'_>>, &str, u32)> = vec![
        ("no scope", fixtures::CONTOSO, vec![("scope", None)], "invalid_request", 900_144),
        ("single permission", fixtures::CONTOSO, vec![("scope", Some(&permission))], "invalid_scope", 70_011),
        ("two scopes", fixtures::CONTOSO, vec![("scope", Some(&two))], "invalid_scope", 70_011),
        (
            "Graph of another cloud",
            fixtures::CONTOSO,
            vec![("scope", Some("https://graph.microsoft.us/.default"))],
            "invalid_resource",
            500_011,
        ),
        ("common", "common", vec![("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))], "invalid_request", 9_001_023),
        (
            "organizations",
            "organizations",
            vec![("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))],
            "invalid_request",
            9_001_023,
        ),
        (
            "consumers",
            "consumers",
            vec![("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))],
            "invalid_request",
            9_001_023,
        ),
        ("foreign tenant", fixtures::FABRIKAM, vec![], "unauthorized_client", 700_016),
    ];
    for (name, segment, changes, error, number) in table {
        let reply = lab.token(segment, &changed(app_token_request(&graph), &changes)).await;
        let body = reply.json();
        assert_eq!((reply.status, body["error"].as_str()), (400, Some(error)), "{name}: {body}");
        assert_eq!(body["error_codes"], json!([number]), "{name}");
    }
}

#[tokio::test]
async fn a_secret_ends_by_the_emulators_clock() {
    let lab = Lab::start().await;
    let end = lab.control.now_unix_s() + 3600;
    lab.control.edit_app(fixtures::CLIENT_ID, |app| app.secrets[0].expires_at_unix_s = Some(end)).unwrap();
    let request = app_token_request(lab.entra.graph_url());
    assert_eq!(lab.token(fixtures::CONTOSO, &request).await.status, 200);
    lab.control.advance_clock(3601);
    let reply = lab.token(fixtures::CONTOSO, &request).await;
    assert_eq!(reply.json()["error_codes"], json!([7_000_222]));
    assert_eq!(lab.control.count(Side::Login, "/*/oauth2/v2.0/token"), 2);
}
