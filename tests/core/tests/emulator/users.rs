//! Reading users.

use core_emulator::{NewUser, Settings, Version, fixtures};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{BOTH, Lab, PASSWORD, says};

#[tokio::test]
async fn a_user_as_core_shows_one() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        let reply = lab.get("user/admin").await.json();
        let expected = json!({
            "id": 1, "username": "admin", "last_name": "Administrator", "first_name": "DefGuard",
            "email": fixtures::ADMIN_EMAIL, "phone": null, "mfa_enabled": false, "totp_enabled": false,
            "email_mfa_enabled": false, "groups": ["admin"], "mfa_method": "None", "authorized_apps": [],
            "is_active": true, "enrolled": true, "is_admin": true, "ldap_pass_requires_change": false,
        });
        assert_eq!(reply["user"], expected, "{version:?}: no openid_sub, no password");
        assert_eq!(lab.get("me").await.json(), expected, "{version:?}");
        assert_eq!(reply["biometric_enabled_devices"], json!([]), "{version:?}");
        assert_eq!(reply["security_keys"], json!([]), "{version:?}");
        assert_eq!(reply.get("devices").is_some(), version == Version::V1_6);
    }
}

#[tokio::test]
async fn who_is_enrolled() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        let table = [
            ("without password", NewUser::new("a", "a@x.example"), false),
            ("with password", NewUser::new("b", "b@x.example").password(PASSWORD), true),
            ("through Core's own OpenID", NewUser::new("c", "c@x.example").openid_sub("sub"), true),
        ];
        for (name, user, expected) in table {
            lab.control.add_user(&user).unwrap();
            let reply = lab.get(&format!("user/{}", user.username)).await.json();
            assert_eq!(reply["user"]["enrolled"], expected, "{version:?}, {name}");
            assert!(!reply.to_string().contains("sub"), "{version:?}, {name}");
        }
    }
}

#[tokio::test]
async fn one_user_is_for_administrators_and_for_that_user() {
    for version in BOTH {
        let lab = Lab::start(version).await;
        for name in ["ada", "bob"] {
            lab.control.add_user(&NewUser::new(name, format!("{name}@x.example")).password(PASSWORD)).unwrap();
        }
        let session = lab.log_in("ada", PASSWORD).await.session();
        let as_ada = async |path: &str| lab.send(lab.as_session(&session, Method::GET, path)).await;
        assert_eq!(as_ada("user/ada").await.json()["user"]["username"], "ada", "{version:?}");
        assert_eq!(as_ada("user/bob").await.said(), says(403, "requires privileged access"), "{version:?}");
        assert_eq!(as_ada("user/nobody").await.said(), says(403, "requires privileged access"), "{version:?}");
        assert_eq!(lab.get("user/nobody").await.said(), says(404, "user nobody not found"), "{version:?}");
        assert_eq!(lab.get("user/ADA").await.said(), says(404, "user ADA not found"), "{version:?}: to the letter");
    }
}

#[tokio::test]
async fn whether_a_name_is_free() {
    let long = "a".repeat(64);
    for version in BOTH {
        let lab = Lab::start(version).await;
        let table = [
            ("free", "ada", 200),
            ("taken", "admin", 400),
            ("taken in another case", "Admin", 200),
            ("no name", "a b", 400),
            ("too long", long.as_str(), 400),
        ];
        for (name, username, status) in table {
            let reply = lab.post("user/available", &json!({ "username": username })).await;
            assert_eq!((reply.status, reply.body.as_str()), (status, "{}"), "{version:?}, {name}");
        }
    }
}

async fn crowd(version: Version) -> Lab {
    let lab = Lab::with(Settings::new(version)).await;
    for number in 1..=119 {
        lab.add(&format!("user{number:03}"));
    }
    lab
}

#[tokio::test]
async fn in_1_6_a_list_is_everybody() {
    let lab = crowd(Version::V1_6).await;
    for query in ["", "?page=2&per_page=10", "?page=x"] {
        let list = lab.get(&format!("user{query}")).await.json();
        assert_eq!(list.as_array().unwrap().len(), 120, "{query}");
    }
}

#[tokio::test]
async fn in_2_0_a_list_has_pages() {
    let lab = crowd(Version::V2_0).await;
    // query, first and number of users, [current_page, page_size, total_pages], next_page
    let table = [
        ("", Some("admin"), 50, [1, 50, 3], Some(2)),
        ("?page=3", Some("user100"), 20, [3, 50, 3], None),
        ("?per_page=100", Some("admin"), 100, [1, 100, 2], Some(2)),
        ("?page=2&per_page=100", Some("user100"), 20, [2, 100, 2], None),
        ("?per_page=1000", Some("admin"), 100, [1, 100, 2], Some(2)),
        ("?page=0&per_page=0", Some("admin"), 1, [1, 1, 120], Some(2)),
        ("?page=9", None, 0, [9, 50, 3], None),
        ("?search=ada", Some("admin"), 50, [1, 50, 3], Some(2)),
    ];
    for (query, first, count, [page, size, pages], next) in table {
        let reply = lab.get(&format!("user{query}")).await;
        assert_eq!(reply.header("content-type"), "", "{query}: Core gives none");
        let list = reply.json();
        let users = list["data"].as_array().unwrap();
        assert_eq!(users.len(), count, "{query}");
        assert_eq!(users.first().map(|user| user["username"].as_str().unwrap()), first, "{query}");
        let expected = json!({
            "current_page": page, "page_size": size, "total_items": 120, "total_pages": pages,
            "next_page": next.map_or(Value::Null, Value::from),
        });
        assert_eq!(list["pagination"], expected, "{query}");
    }
    assert_eq!(lab.get("user?page=x").await.status, 400, "refused by the web framework");
}

#[tokio::test]
async fn an_upgrade_changes_the_shape_under_a_running_client() {
    let lab = Lab::start(Version::V1_6).await;
    assert!(lab.get("user").await.json().is_array());
    lab.control.set_version(Version::V2_0);
    assert!(lab.get("user").await.json()["data"].is_array());
}
