//! Enrollment tokens: who gets one, how long it lives, and what the proxy's enrollment start makes of it.

use core_emulator::{NewUser, Seed, Settings, TokenKind, Version, fixtures};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{BOTH, Lab, PASSWORD, Reply, says, with_json};

async fn lab(version: Version) -> Lab {
    let seed = Seed::demo()
        .user(NewUser::new("new", "new@x.example").names("Neo", "Phyte"))
        .user(NewUser::new("old", "old@x.example").password(PASSWORD))
        .user(NewUser::new("sub", "sub@x.example").openid_sub("sub"))
        .user(NewUser::new("off", "off@x.example").disabled())
        .user(NewUser::new("oldoff", "oldoff@x.example").password(PASSWORD).disabled());
    Lab::with(Settings::new(version).seed(seed)).await
}

async fn start(lab: &Lab, call: &str, username: &str) -> Reply {
    lab.post(&format!("user/{username}/{call}"), &json!({"send_enrollment_notification": false})).await
}

/// The proxy's call, without any credential or name.
async fn exchange(lab: &Lab, token: &str) -> Reply {
    lab.send(with_json(lab.bare(Method::POST, "enrollment/start"), &json!({ "token": token }))).await
}

#[track_caller]
fn token_in(reply: &Reply) -> String {
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.json()["enrollment_token"].as_str().unwrap().to_owned()
}

fn error(status: u16, words: &str) -> (u16, Value) {
    (status, json!({ "error": words }))
}

#[tokio::test]
async fn who_gets_a_token() {
    let active = "User account is already activated";
    let disabled = "Enrollment user is disabled";
    // username, start_enrollment, start_desktop
    let table = [
        ("new", None, None),
        ("old", Some(says(400, active)), None),
        ("sub", Some(says(400, active)), None),
        ("off", Some(says(401, disabled)), Some(says(401, disabled))),
        ("oldoff", Some(says(400, active)), Some(says(401, disabled))),
        ("nobody", Some(says(404, "user nobody not found")), Some(says(404, "user nobody not found"))),
    ];
    for version in BOTH {
        for (username, enrollment, desktop) in &table {
            for (call, refusal) in [("start_enrollment", enrollment), ("start_desktop", desktop)] {
                let lab = lab(version).await;
                let reply = start(&lab, call, username).await;
                if let Some(refusal) = refusal {
                    assert_eq!(reply.said(), *refusal, "{version:?}, {call} of {username}");
                    assert!(lab.control.enrollment_tokens().is_empty(), "{version:?}, {call} of {username}");
                    continue;
                }
                let token = token_in(&reply);
                assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{token}");
                assert_eq!(reply.json()["enrollment_url"], format!("{}/", lab.core.url()), "{version:?}");
                let user = lab.control.user(username).unwrap();
                assert_eq!(user.enrollment_pending, call == "start_enrollment", "{version:?}, {call} of {username}");
                let record = &user.tokens[0];
                let email = (call == "start_desktop").then(|| format!("{username}@x.example"));
                assert_eq!((&record.token, &record.email), (&token, &email), "{version:?}, {call} of {username}");
                assert_eq!(record.admin.as_deref(), Some(fixtures::ADMIN), "the owner of the API token");
            }
        }
    }
}

#[tokio::test]
async fn a_notification_needs_an_address() {
    for version in BOTH {
        let lab = lab(version).await;
        let notify = json!({"send_enrollment_notification": true});
        let words = "Email notification is enabled, but email was not provided";
        assert_eq!(lab.post("user/new/start_enrollment", &notify).await.said(), says(400, words), "{version:?}");
        assert_eq!(lab.post("user/new/start_desktop", &notify).await.status, 201, "{version:?}: the user's is taken");
        let notify = json!({"send_enrollment_notification": true, "email": "private@x.example"});
        assert_eq!(lab.post("user/new/start_enrollment", &notify).await.status, 201, "{version:?}");
        let tokens = lab.control.enrollment_tokens();
        assert_eq!(tokens[0].email.as_deref(), Some("private@x.example"), "{version:?}");
    }
}

#[tokio::test]
async fn a_start_deletes_all_unused_tokens_of_the_user() {
    for version in BOTH {
        for call in ["start_enrollment", "start_desktop"] {
            let lab = lab(version).await;
            let used = token_in(&start(&lab, "start_enrollment", "new").await);
            assert_eq!(exchange(&lab, &used).await.status, 200, "{version:?}, {call}");
            let unused = token_in(&start(&lab, "start_desktop", "new").await);
            let reset = lab.control.add_password_reset("new").unwrap();
            let others = token_in(&start(&lab, "start_desktop", "old").await);
            let fresh = token_in(&start(&lab, call, "new").await);
            let left: Vec<String> = lab.control.enrollment_tokens().into_iter().map(|token| token.token).collect();
            assert_eq!(left, [used, others, fresh], "{version:?}, {call}: not {unused}, not {reset}");
        }
    }
}

#[tokio::test]
async fn how_long_a_token_lives() {
    const DAY: i64 = 24 * 60 * 60;
    let with = |time: &str| json!({ "token_expiration_time": time });
    let table = [
        ("unsaid", "start_enrollment", json!({}), DAY),
        ("an hour", "start_enrollment", with("1h"), 3600),
        ("in words", "start_enrollment", with("1day 2hours"), DAY + 7200),
        ("start_desktop doesn't listen", "start_desktop", with("1h"), DAY),
        ("not even to nonsense", "start_desktop", with("soon"), DAY),
    ];
    for version in BOTH {
        for (name, call, body, life) in &table {
            let lab = lab(version).await;
            let token = token_in(&lab.post(&format!("user/new/{call}"), body).await);
            let record = &lab.control.enrollment_tokens()[0];
            assert_eq!(record.expires_at_unix_s - record.created_at_unix_s, *life, "{version:?}, {name}");
            lab.control.advance_clock(life + 5);
            let late = exchange(&lab, &token).await;
            assert_eq!((late.status, late.json()), error(401, "token expired"), "{version:?}, {name}");
        }
        let lab = lab(version).await;
        let nonsense = lab.post("user/new/start_enrollment", &with("soon")).await;
        assert_eq!(nonsense.said(), says(400, "Failed to parse token expiration time"), "{version:?}");
    }
}

#[tokio::test]
async fn the_proxy_exchanges_a_token_for_a_session() {
    for version in BOTH {
        let lab = lab(version).await;
        let token = token_in(&start(&lab, "start_enrollment", "new").await);
        let before = lab.control.now_unix_s();
        let reply = exchange(&lab, &token).await;
        assert_eq!(reply.status, 200, "{version:?}: {}", reply.body);
        let body = reply.json();
        let user = json!({
            "first_name": "Neo", "last_name": "Phyte", "login": "new", "email": "new@x.example", "phone_number": null,
            "is_active": true, "device_names": [], "enrolled": false, "is_admin": false,
        });
        assert_eq!(body["user"], user, "{version:?}");
        assert_eq!(body["admin"]["email"], fixtures::ADMIN_EMAIL, "{version:?}");
        assert_eq!(body["instance"]["proxy_url"], format!("{}/", lab.core.url()), "{version:?}");
        let deadline = body["deadline_timestamp"].as_i64().unwrap();
        assert!((before + 600..=before + 660).contains(&deadline), "{version:?}: {deadline}");
        let cookie = reply.header("set-cookie");
        assert!(cookie.starts_with("defguard_proxy=") && cookie.contains("; Expires="), "{version:?}: {cookie}");
        assert!(!cookie.contains(&token), "{version:?}: encrypted");
        assert_eq!(reply.header("defguard-core-connected"), "true", "{version:?}");

        let again = exchange(&lab, &token).await.json();
        assert_eq!(again["deadline_timestamp"], deadline, "{version:?}: the same session goes on");
        lab.control.advance_clock(700);
        let late = exchange(&lab, &token).await;
        assert_eq!((late.status, late.json()), error(401, "invalid token"), "{version:?}: its session is over");
    }
}

#[tokio::test]
async fn what_the_proxy_refuses() {
    for version in BOTH {
        let lab = lab(version).await;
        let unknown = exchange(&lab, "abc").await;
        assert_eq!((unknown.status, unknown.json()), error(401, "invalid token"), "{version:?}, unknown");
        let reset = exchange(&lab, &lab.control.add_password_reset("new").unwrap()).await;
        assert_eq!((reset.status, reset.json()), error(403, "invalid token"), "{version:?}, of another type");
        let token = token_in(&start(&lab, "start_desktop", "new").await);
        lab.control.set_active("new", false).unwrap();
        let disabled = exchange(&lab, &token).await;
        assert_eq!((disabled.status, disabled.json()), error(403, "user is disabled"), "{version:?}, disabled since");
        lab.control.delete_user("new");
        let deleted = exchange(&lab, &token).await;
        assert_eq!((deleted.status, deleted.json()), error(401, "invalid token"), "{version:?}, deleted since");
    }
}

#[tokio::test]
async fn a_hand_over_from_end_to_end() {
    for version in BOTH {
        let lab = Lab::with(Settings::new(version).enrollment_url("https://enroll.example/")).await;
        let body = json!({
            "username": "ada", "last_name": "Lovelace", "first_name": "Ada", "email": "ada@contoso.example",
            "phone": null, "password": null,
        });
        assert_eq!(lab.post("user", &body).await.json()["enrolled"], false, "{version:?}");
        let reply = start(&lab, "start_enrollment", "ada").await;
        assert_eq!(reply.json()["enrollment_url"], "https://enroll.example/", "{version:?}");
        let started = exchange(&lab, &token_in(&reply)).await.json();
        assert_eq!(started["user"]["login"], "ada", "{version:?}");
        let kinds: Vec<_> = lab.control.enrollment_tokens().iter().map(|token| token.kind).collect();
        assert_eq!(kinds, [TokenKind::Enrollment], "{version:?}");
    }
}

#[tokio::test]
async fn a_user_starts_a_desktop_for_themselves_only() {
    for version in BOTH {
        let lab = lab(version).await;
        let session = lab.log_in("old", PASSWORD).await.session();
        let post =
            async |path: &str| lab.send(with_json(lab.as_session(&session, Method::POST, path), &json!({}))).await;
        assert_eq!(post("user/old/start_desktop").await.status, 201, "{version:?}");
        let refused = says(403, "requires privileged access");
        assert_eq!(post("user/new/start_desktop").await.said(), refused, "{version:?}");
        assert_eq!(post("user/old/start_enrollment").await.said(), says(403, "access denied"), "{version:?}");
    }
}
