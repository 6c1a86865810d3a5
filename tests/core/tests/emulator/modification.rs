//! `PUT` and `DELETE /api/v1/user/{username}`: the whole record replaces, and what goes with it.

use core_emulator::{NewUser, Seed, Settings, Version, fixtures};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{BOTH, Lab, PASSWORD, changed, says, with_json};

/// Ada, an enrolled member of staff with a session and, as an administrator once was, an API token.
async fn lab(version: Version) -> (Lab, String) {
    let ada = NewUser::new("ada", "ada@contoso.example").password(PASSWORD).group("staff");
    let seed = Seed::demo().group("staff", false).group("vpn", false).user(ada);
    let lab = Lab::with(Settings::new(version).seed(seed)).await;
    lab.control.add_api_token("ada").unwrap();
    let session = lab.log_in("ada", PASSWORD).await.session();
    (lab, session)
}

async fn ada(lab: &Lab) -> Value {
    lab.get("user/ada").await.json()["user"].clone()
}

fn tokens_of_ada(lab: &Lab) -> usize {
    lab.control.api_tokens().iter().filter(|token| token.owner == "ada").count()
}

#[tokio::test]
async fn groups_replace_and_unknown_ones_are_ignored() {
    let table = [
        ("as it was", json!(["staff"]), vec!["staff"]),
        ("one more", json!(["staff", "vpn"]), vec!["staff", "vpn"]),
        ("another", json!(["vpn"]), vec!["vpn"]),
        ("none", json!([]), vec![]),
        ("an unknown one", json!(["staff", "no such group"]), vec!["staff"]),
        ("only an unknown one", json!(["no such group"]), vec![]),
        ("another case", json!(["Staff"]), vec![]),
        ("administrators, without a question", json!(["admin"]), vec!["admin"]),
    ];
    for version in BOTH {
        for (name, groups, expected) in &table {
            let (lab, _) = lab(version).await;
            let reply = lab.put("user/ada", &changed(ada(&lab).await, &json!({ "groups": groups }))).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "null"), "{version:?}, {name}");
            assert_eq!(lab.control.user("ada").unwrap().groups, *expected, "{version:?}, {name}");
            assert_eq!(lab.control.groups().len(), 3, "{version:?}, {name}: none is made");
        }
    }
}

#[tokio::test]
async fn the_last_administrator_can_be_lost() {
    for version in BOTH {
        let (lab, _) = lab(version).await;
        let admin = lab.get("user/admin").await.json()["user"].clone();
        assert_eq!(lab.put("user/admin", &changed(admin, &json!({"groups": []}))).await.status, 200, "{version:?}");
        assert!(lab.control.users().iter().all(|user| !user.is_admin), "{version:?}");
        let after = lab.get("user").await.said();
        assert_eq!(after, says(403, "Token authentication is not allowed for normal users"), "{version:?}");
    }
}

#[tokio::test]
async fn who_is_disabled_is_logged_out_and_loses_tokens() {
    for version in BOTH {
        let (lab, session) = lab(version).await;
        let body = changed(ada(&lab).await, &json!({"is_active": false}));
        assert_eq!(lab.put("user/ada", &body).await.status, 200, "{version:?}");
        let found = lab.control.user("ada").unwrap();
        assert_eq!((found.is_active, found.sessions, tokens_of_ada(&lab)), (false, 0, 0), "{version:?}");
        assert_eq!(found.groups, ["staff"], "{version:?}");
        let after = lab.send(lab.as_session(&session, Method::GET, "me")).await;
        assert_eq!(after.said(), says(401, "Session not found"), "{version:?}");
        let body = changed(ada(&lab).await, &json!({"is_active": true}));
        assert_eq!(lab.put("user/ada", &body).await.status, 200, "{version:?}");
        assert!(lab.control.user("ada").unwrap().is_active, "{version:?}, and back");
    }
}

#[tokio::test]
async fn with_a_change_of_groups_the_status_is_not_looked_at() {
    for version in BOTH {
        let (lab, _) = lab(version).await;
        let body = changed(ada(&lab).await, &json!({"is_active": false, "groups": []}));
        assert_eq!(lab.put("user/ada", &body).await.status, 200, "{version:?}");
        let found = lab.control.user("ada").unwrap();
        assert!(found.groups.is_empty() && found.is_active, "{version:?}: only the groups changed");
        assert_eq!((found.sessions, tokens_of_ada(&lab)), (1, 1), "{version:?}");
        assert_eq!(lab.put("user/ada", &body).await.status, 200, "{version:?}");
        assert!(!lab.control.user("ada").unwrap().is_active, "{version:?}: the same again");
    }
}

#[tokio::test]
async fn the_rest_of_the_record() {
    // name, change, status, what is found at the member of that name
    let table = [
        ("names", json!({"first_name": "Ada", "last_name": "Lovelace"}), 200, true),
        ("a name that is free", json!({"username": "ada.l"}), 200, true),
        ("a name that is none", json!({"username": "a b"}), 400, false),
        ("a name that is there", json!({"username": "admin"}), 500, false),
        ("an address that is free", json!({"email": "ada@fabrikam.example"}), 200, true),
        ("an address that is there", json!({"email": fixtures::ADMIN_EMAIL}), 500, false),
        ("one that only fits as a pattern", json!({"email": "%"}), 200, true),
        ("no telephone number", json!({"phone": "call me"}), 400, false),
        ("the number isn't for change", json!({"id": 77}), 200, false),
        ("nor who is enrolled", json!({"enrolled": false}), 200, false),
        ("nor who is an administrator", json!({"is_admin": true}), 200, false),
    ];
    for version in BOTH {
        for (name, change, status, takes) in &table {
            let (lab, _) = lab(version).await;
            let before = ada(&lab).await;
            let reply = lab.put("user/ada", &changed(before.clone(), change)).await;
            assert_eq!(reply.status, *status, "{version:?}, {name}: {}", reply.body);
            let username = if *takes { change["username"].as_str().unwrap_or("ada") } else { "ada" };
            let after = lab.get(&format!("user/{username}")).await.json()["user"].clone();
            let expected = if *takes { changed(before, change) } else { before };
            assert_eq!(after, expected, "{version:?}, {name}");
        }
    }
}

#[tokio::test]
async fn every_member_must_be_there() {
    for version in BOTH {
        let (lab, _) = lab(version).await;
        let whole = ada(&lab).await;
        for member in whole.as_object().unwrap().keys() {
            let mut part = whole.clone();
            part.as_object_mut().unwrap().remove(member);
            let status = lab.put("user/ada", &part).await.status;
            assert_eq!(status, if member == "phone" { 200 } else { 422 }, "{version:?}, without {member}");
        }
    }
}

#[tokio::test]
async fn nobody_disables_or_deletes_themselves() {
    for version in BOTH {
        let (lab, _) = lab(version).await;
        let admin = lab.get("user/admin").await.json()["user"].clone();
        let disabled = lab.put("user/admin", &changed(admin, &json!({"is_active": false}))).await;
        assert_eq!((disabled.status, disabled.body.as_str()), (400, "{}"), "{version:?}");
        let deleted = lab.delete("user/admin").await;
        assert_eq!((deleted.status, deleted.body.as_str()), (400, "{}"), "{version:?}");
        assert!(lab.control.user("admin").unwrap().is_active, "{version:?}");
    }
}

#[tokio::test]
async fn a_user_changes_no_more_than_the_telephone_number() {
    for version in BOTH {
        let (lab, session) = lab(version).await;
        let change = json!({"phone": "123456789", "first_name": "X", "groups": ["admin"], "is_active": false});
        let body = changed(ada(&lab).await, &change);
        let as_ada = |path: &str| with_json(lab.as_session(&session, Method::PUT, path), &body);
        assert_eq!(lab.send(as_ada("user/ada")).await.status, 200, "{version:?}");
        let found = lab.control.user("ada").unwrap();
        assert_eq!((found.phone.as_deref(), found.first_name.as_str()), (Some("123456789"), "Local"), "{version:?}");
        assert!(found.is_active && found.groups == ["staff"], "{version:?}");
        let other = lab.send(as_ada("user/admin")).await;
        assert_eq!(other.said(), says(403, "requires privileged access"), "{version:?}");
    }
}

#[tokio::test]
async fn who_is_deleted_is_gone_with_everything() {
    for version in BOTH {
        let (lab, session) = lab(version).await;
        let start = lab.post("user/ada/start_desktop", &json!({})).await;
        assert_eq!(start.status, 201, "{version:?}");
        let reply = lab.delete("user/ada").await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "null"), "{version:?}");
        assert!(lab.control.user("ada").is_none() && lab.control.enrollment_tokens().is_empty(), "{version:?}");
        assert!(lab.control.groups().iter().all(|group| !group.members.contains(&"ada".to_owned())), "{version:?}");
        assert_eq!(tokens_of_ada(&lab), 0, "{version:?}");
        assert_eq!(lab.send(lab.as_session(&session, Method::GET, "me")).await.status, 401, "{version:?}");
        assert_eq!(lab.delete("user/ada").await.said(), says(404, "User ada not found"), "{version:?}");
    }
}
