//! Who is let in: API tokens, sessions, the second factor, roles, the licence, the mandatory `User-Agent`.

use core_emulator::{Licence, NewUser, Seed, Settings, Version, fixtures};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{BOTH, Lab, PASSWORD, new_user, says, with_json};

const UNKNOWN_TOKEN: &str = "dg-00000000000000000000000000000000";

#[tokio::test]
async fn what_a_credential_opens() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        lab.control.add_user(&NewUser::new("plain", "plain@x.example").password(PASSWORD)).unwrap();
        let (admin, plain) = (
            lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session(),
            lab.log_in("plain", PASSWORD).await.session(),
        );
        let plain_token = lab.control.add_api_token("plain").unwrap();
        let bearer = |token: &str| Some(("authorization", format!("Bearer {token}")));
        let cookie = |session: &str| Some(("cookie", format!("a=b; defguard_session={session}")));
        let table = [
            ("an administrator's token", bearer(fixtures::TOKEN), says(200, "")),
            ("an administrator's session", cookie(&admin), says(200, "")),
            ("nothing", None, says(401, "Session is required")),
            ("an unknown token", bearer(UNKNOWN_TOKEN), says(401, "Invalid API token")),
            ("another scheme", Some(("authorization", "Basic YTpi".into())), says(401, "Invalid auth header")),
            ("an unknown session", cookie("abc"), says(401, "Session not found")),
            (
                "a token of no administrator",
                bearer(&plain_token),
                says(403, "Token authentication is not allowed for normal users"),
            ),
            ("a session of no administrator", cookie(&plain), says(403, "access denied")),
        ];
        for (name, header, expected) in table {
            let mut request = lab.bare(Method::GET, "user");
            if let Some((header, value)) = header {
                request = request.header(header, value);
            }
            let (status, words) = lab.send(request).await.said();
            let words = if status == 200 { String::new() } else { words };
            assert_eq!((status, words), expected, "{version:?}, {name}");
        }
    }
}

#[tokio::test]
async fn without_an_active_licence_a_token_is_not_looked_at() {
    const LIMITED: Licence = Licence::Business { users: Some(1) };
    let refused = says(401, "Session is required");
    // name, version, licence, users beside the administrator, whether the token counts
    let table = [
        ("Business", Version::V1_6, Licence::BUSINESS, 9, true),
        ("Business", Version::V2_0, Licence::BUSINESS, 9, true),
        ("Business within its limit", Version::V2_0, LIMITED, 0, true),
        ("Business beyond its limit", Version::V2_0, LIMITED, 1, false),
        ("expired", Version::V1_6, Licence::Expired, 0, false),
        ("expired", Version::V2_0, Licence::Expired, 0, false),
        ("none", Version::V1_6, Licence::None, 0, false),
        ("free, five users", Version::V1_6, Licence::FREE, 4, true),
        ("free, six users", Version::V1_6, Licence::FREE, 5, false),
        ("nothing is free in 2.0", Version::V2_0, Licence::FREE, 0, false),
    ];
    for (name, version, licence, others, counts) in table {
        let lab = Lab::with(Settings::new(version).licence(licence)).await;
        for number in 0..others {
            lab.add(&format!("user{number}"));
        }
        let reply = lab.get("me").await;
        if counts {
            assert_eq!(reply.json()["username"], fixtures::ADMIN, "{version:?}, {name}");
        } else {
            assert_eq!(reply.said(), refused, "{version:?}, {name}");
            let unknown = lab.send(lab.bare(Method::GET, "me").bearer_auth(UNKNOWN_TOKEN)).await;
            assert_eq!(unknown.said(), refused, "{version:?}, {name}: a wrong one isn't either");
        }
        let session = lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session();
        assert_eq!(lab.send(lab.as_session(&session, Method::GET, "me")).await.status, 200, "{version:?}, {name}");
        let both = lab.as_session(&session, Method::GET, "me").bearer_auth(UNKNOWN_TOKEN);
        assert_eq!(lab.send(both).await.status, if counts { 401 } else { 200 }, "{version:?}, {name}: token first");
    }
}

#[tokio::test]
async fn a_disabled_user_does_not_count_for_the_licence() {
    let lab = Lab::with(Settings::new(Version::V2_0).licence(Licence::Business { users: Some(1) })).await;
    lab.add("ada");
    assert_eq!(lab.get("me").await.status, 401);
    lab.control.set_active("ada", false).unwrap();
    assert_eq!(lab.get("me").await.status, 200);
}

#[tokio::test]
async fn a_disabled_administrator_is_refused() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        lab.control.set_active(fixtures::ADMIN, false).unwrap();
        assert_eq!(lab.get("user").await.said(), says(403, "user is disabled"), "{version:?}");
        assert_eq!(lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.status, 401, "{version:?}");
    }
}

#[tokio::test]
async fn a_change_needs_a_user_agent() {
    let start = json!({"send_enrollment_notification": false});
    // name, method, path, body, whether it is asked for
    let table: [(&str, Method, &str, Value, bool); 10] = [
        ("create", Method::POST, "user", new_user("bob", "bob@x.example"), true),
        ("modify", Method::PUT, "user/ada", json!({}), true),
        ("delete", Method::DELETE, "user/ada", json!({}), true),
        ("start_enrollment", Method::POST, "user/ada/start_enrollment", start.clone(), true),
        ("start_desktop", Method::POST, "user/ada/start_desktop", start, true),
        ("make a token", Method::POST, "user/admin/api_token", json!({"name": "n"}), true),
        ("make a group", Method::POST, "group", json!({"name": "g", "members": [], "is_admin": false}), true),
        ("assign", Method::POST, "groups-assign", json!({"groups": [], "users": []}), true),
        ("available", Method::POST, "user/available", json!({"username": "bob"}), false),
        ("list", Method::GET, "user", json!({}), false),
    ];
    for version in BOTH {
        let lab = Lab::start(version).await;
        lab.add("ada");
        for (name, method, path, body, asked) in &table {
            let request = with_json(lab.bare(method.clone(), path).bearer_auth(fixtures::TOKEN), body);
            let reply = lab.send(request).await;
            if *asked {
                assert_eq!(reply.said(), says(400, "Missing UserAgent header"), "{version:?}, {name}");
            } else {
                assert_eq!(reply.status, 200, "{version:?}, {name}: {}", reply.body);
            }
        }
        assert_eq!(lab.control.users().len(), 2, "{version:?}: nothing was done");
        let nobody = lab.send(with_json(lab.bare(Method::POST, "user"), &new_user("bob", "bob@x.example"))).await;
        assert_eq!(nobody.said(), says(401, "Session is required"), "{version:?}: the credential is looked at first");
    }
}

#[tokio::test]
async fn logging_in() {
    for version in BOTH {
        let seed = Seed::demo()
            .user(NewUser::new("ada", "ada@contoso.example").password(PASSWORD))
            .user(NewUser::new("off", "off@contoso.example").password(PASSWORD).disabled())
            .user(NewUser::new("mfa", "mfa@contoso.example").password(PASSWORD).mfa())
            .user(NewUser::new("new", "new@contoso.example"));
        let lab = Lab::with(Settings::new(version).seed(seed)).await;
        let table = [
            ("by name", "ada", PASSWORD, 200),
            ("by address", "ada@contoso.example", PASSWORD, 200),
            ("by address, another case", "ADA@contoso.example", PASSWORD, 200),
            ("a name in another case", "ADA", PASSWORD, 401),
            ("a wrong password", "ada", "wrong", 401),
            ("nobody", "nobody", PASSWORD, 401),
            ("disabled", "off", PASSWORD, 401),
            ("without password", "new", "", 401),
            ("a second factor is due", "mfa", PASSWORD, 201),
        ];
        for (name, username, password, status) in table {
            let reply = lab.log_in(username, password).await;
            assert_eq!(reply.status, status, "{version:?}, {name}: {}", reply.body);
            match status {
                200 => {
                    assert_eq!(reply.json()["user"]["username"], "ada", "{version:?}, {name}");
                    let me = lab.send(lab.as_session(&reply.session(), Method::GET, "me")).await;
                    assert_eq!(me.json()["username"], "ada", "{version:?}, {name}");
                }
                201 => {
                    assert_eq!(reply.json()["totp_available"], true, "{version:?}, {name}");
                    let me = lab.send(lab.as_session(&reply.session(), Method::GET, "me")).await;
                    assert_eq!(me.said(), says(401, "MFA not verified"), "{version:?}, {name}");
                }
                _ => assert_eq!(reply.header("set-cookie"), "", "{version:?}, {name}"),
            }
        }
        let unnamed = with_json(lab.bare(Method::POST, "auth"), &json!({"username": "ada", "password": PASSWORD}));
        let reply = lab.send(unnamed).await;
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (400, "Header of type `user-agent` was missing"),
            "{version:?}"
        );
    }
}

#[tokio::test]
async fn a_session_ends() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        let log_in = async || lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session();
        let me = async |session: &str| lab.send(lab.as_session(session, Method::GET, "me")).await.said();

        let session = log_in().await;
        let logout = lab.send(lab.as_session(&session, Method::POST, "auth/logout")).await;
        assert_eq!((logout.status, logout.body.as_str()), (200, "null"), "{version:?}");
        assert_eq!(me(&session).await, says(401, "Session not found"), "{version:?}, logged out");

        let session = log_in().await;
        lab.control.end_sessions();
        assert_eq!(me(&session).await, says(401, "Session not found"), "{version:?}, ended");

        let session = log_in().await;
        lab.control.advance_clock(7 * 24 * 60 * 60 - 60);
        assert_eq!(me(&session).await.0, 200, "{version:?}, in its last minute");
        lab.control.advance_clock(120);
        assert_eq!(me(&session).await, says(401, "Session expired"), "{version:?}");
        assert_eq!(me(&session).await, says(401, "Session not found"), "{version:?}, and deleted");
    }
}

#[tokio::test]
async fn five_wrong_passwords_lock_a_name() {
    let lab = Lab::start(Version::V2_0).await;
    for attempt in 1..=5 {
        assert_eq!(lab.log_in(fixtures::ADMIN, "wrong").await.status, 401, "attempt {attempt}");
    }
    let locked = lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await;
    assert_eq!(locked.said(), says(429, "Too many login attempts"));
    lab.control.advance_clock(301);
    assert_eq!(lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.status, 200);
}

#[tokio::test]
async fn an_administrator_makes_a_token() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        lab.add("ada");
        let session = lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session();
        let make = async |owner: &str| {
            let request = lab.as_session(&session, Method::POST, &format!("user/{owner}/api_token"));
            lab.send(with_json(request, &json!({"name": "host"}))).await
        };
        let reply = make(fixtures::ADMIN).await;
        assert_eq!(reply.status, 201, "{version:?}: {}", reply.body);
        let token = reply.json()["token"].as_str().unwrap().to_owned();
        assert!(token.len() == 35 && token.starts_with("dg-"), "{version:?}: {token}");
        assert_eq!(lab.send(lab.bare(Method::GET, "user").bearer_auth(&token)).await.status, 200, "{version:?}");
        let list = lab.get("user/admin/api_token").await;
        assert_eq!(list.json()[1]["name"], "host", "{version:?}");
        assert!(!list.body.contains(&token), "{version:?}: only what it is called");

        assert_eq!(make("ada").await.said(), says(403, "Cannot create API token for non-admin user"), "{version:?}");
        assert_eq!(make("nobody").await.said(), says(404, "user nobody not found"), "{version:?}");
        lab.control.set_licence(Licence::None);
        assert_eq!(make(fixtures::ADMIN).await.said(), says(403, "Enterprise features are disabled"), "{version:?}");
        lab.control.set_licence(Licence::BUSINESS);
        assert!(lab.control.revoke_api_token(&token), "{version:?}");
        let revoked = lab.send(lab.bare(Method::GET, "user").bearer_auth(&token)).await;
        assert_eq!(revoked.said(), says(401, "Invalid API token"), "{version:?}");
    }
}
