//! `POST /api/v1/user`: what is checked, by what, and what the database is left to refuse.

use core_emulator::{Licence, NewUser, Settings, Version};
use serde_json::{Value, json};

use crate::support::{BOTH, Lab, PASSWORD, changed, new_user, says};

#[tokio::test]
async fn a_user_is_made() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        let reply = lab.post("user", &new_user("ada", "ada@contoso.example")).await;
        assert_eq!(reply.status, 201, "{version:?}: {}", reply.body);
        let user = reply.json();
        assert_eq!((&user["id"], &user["enrolled"], &user["is_active"]), (&json!(2), &json!(false), &json!(true)));
        assert_eq!((&user["groups"], &user["is_admin"]), (&json!([]), &json!(false)), "{version:?}");
        assert_eq!(lab.control.user("ada").unwrap().email, "ada@contoso.example", "{version:?}");
        assert!(lab.control.delete_user("ada"), "{version:?}");
        let again = lab.post("user", &new_user("ada", "ada@contoso.example")).await.json();
        assert_eq!(again["id"], 3, "{version:?}: a number isn't given twice");
    }
}

#[tokio::test]
async fn what_is_refused_without_a_reason() {
    let (longest, too_long) = ("a".repeat(63), "a".repeat(64));
    let with = |change: Value| changed(new_user("bob", "bob@contoso.example"), &change);
    let table = [
        ("63 characters", with(json!({ "username": longest })), 201),
        ("64 characters", with(json!({ "username": too_long })), 400),
        ("no name", with(json!({"username": ""})), 400),
        ("an address for a name", with(json!({"username": "bob@contoso.example"})), 400),
        ("a strong password", with(json!({ "password": PASSWORD })), 201),
        ("a weak password", with(json!({"password": "secret"})), 400),
        ("a telephone number", with(json!({"phone": "+48 123 456 789"})), 201),
        ("no telephone number", with(json!({"phone": "call me"})), 400),
        (
            "phone and password left out",
            json!({"username": "bob", "last_name": "L", "first_name": "A", "email": "b@c"}),
            201,
        ),
        ("any address at all", with(json!({"email": "not an address"})), 201),
    ];
    for version in BOTH {
        for (name, body, status) in &table {
            let lab = Lab::start(version).await;
            let reply = lab.post("user", body).await;
            assert_eq!(reply.status, *status, "{version:?}, {name}: {}", reply.body);
            if *status == 400 {
                assert_eq!(reply.body, "{}", "{version:?}, {name}");
            }
            assert_eq!(lab.control.users().len(), if *status == 201 { 2 } else { 1 }, "{version:?}, {name}");
        }
    }
}

#[tokio::test]
async fn an_address_is_looked_up_by_pattern() {
    let table = [
        ("the same", "john.doe@contoso.example", 400),
        ("another case", "John.Doe@Contoso.Example", 400),
        ("an underscore fits any character", "john_doe@contoso.example", 400),
        ("a percent sign fits any text", "%@contoso.example", 400),
        ("anybody", "%", 400),
        ("an escaped underscore is itself", r"john\_doe@contoso.example", 201),
        ("a lone backslash at the end is an error of the database", r"john@contoso.example\", 500),
        ("another", "johndoe@contoso.example", 201),
    ];
    for version in BOTH {
        for (name, email, status) in table {
            let lab = Lab::start(version).await;
            lab.control.add_user(&NewUser::new("john", "john.doe@contoso.example")).unwrap();
            let reply = lab.post("user", &new_user("other", email)).await;
            assert_eq!(reply.status, status, "{version:?}, {name}: {}", reply.body);
        }
        let lab = Lab::start(version).await;
        lab.control.add_user(&NewUser::new("john", "john_doe@contoso.example")).unwrap();
        let reply = lab.post("user", &new_user("other", "john.doe@contoso.example")).await;
        assert_eq!(reply.status, 201, "{version:?}: what is stored is no pattern");
    }
}

#[tokio::test]
async fn a_name_that_is_there_is_an_error_of_the_database() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        lab.add("ada");
        let reply = lab.post("user", &new_user("ada", "other@contoso.example")).await;
        assert_eq!(reply.said(), says(500, "Internal server error"), "{version:?}");
        let both = lab.post("user", &new_user("ada", "ada@contoso.example")).await;
        assert_eq!((both.status, both.body.as_str()), (400, "{}"), "{version:?}: the address is looked at first");
        assert_eq!(lab.post("user", &new_user("Ada", "other@contoso.example")).await.status, 201, "{version:?}: case");
    }
}

#[tokio::test]
async fn fifty_at_once_make_one() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        let posts = (0..50).map(|number| {
            let body = new_user("ada", &format!("ada{number}@contoso.example"));
            let lab = &lab;
            async move { lab.post("user", &body).await.status }
        });
        let mut statuses = futures_util::future::join_all(posts).await;
        statuses.sort_unstable();
        assert_eq!((statuses[0], &statuses[1..]), (201, [500; 49].as_slice()), "{version:?}");
    }
}

#[tokio::test]
async fn the_licence_limits_at_its_number_exactly() {
    for version in BOTH {
        let lab = Lab::with(Settings::new(version).licence(Licence::Business { users: Some(2) })).await;
        assert_eq!(lab.post("user", &new_user("ada", "ada@x.example")).await.status, 201, "{version:?}, below");
        let full = lab.post("user", &new_user("bob", "bob@x.example")).await;
        assert_eq!(full.said(), says(403, "License limit reached."), "{version:?}, at the limit");
        let invalid = lab.post("user", &new_user("a b", "ada@x.example")).await;
        assert_eq!(invalid.status, 403, "{version:?}: looked at before the rest");
        lab.control.set_active("ada", false).unwrap();
        assert_eq!(lab.post("user", &new_user("bob", "bob@x.example")).await.status, 201, "{version:?}, one less");
    }
    let lab = Lab::with(Settings::new(Version::V1_6).licence(Licence::Free { users: 1 })).await;
    assert_eq!(lab.post("user", &new_user("ada", "ada@x.example")).await.status, 201, "free: no limit of users");
    let after = lab.post("user", &new_user("bob", "bob@x.example")).await;
    assert_eq!(after.said(), says(401, "Session is required"), "but then the token isn't looked at");
}

#[tokio::test]
async fn a_body_that_is_none_is_refused_by_the_web_framework() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        let table = [
            ("no JSON", "application/json", "{", 400),
            ("a member is missing", "application/json", r#"{"username":"ada"}"#, 422),
            ("another content type", "text/plain", "{}", 415),
        ];
        for (name, content_type, body, status) in table {
            let request = lab.request(reqwest::Method::POST, "user").header("content-type", content_type).body(body);
            let reply = lab.send(request).await;
            assert_eq!(reply.status, status, "{version:?}, {name}");
            assert!(reply.header("content-type").starts_with("text/plain"), "{version:?}, {name}");
        }
    }
}
