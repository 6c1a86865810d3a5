//! Groups: how a path names one, and what happens to what doesn't exist.

use core_emulator::{NewUser, Seed, Settings, Version};
use serde_json::json;

use crate::support::{BOTH, Lab, says};

async fn lab(version: Version) -> Lab {
    let seed = Seed::demo()
        .group("staff", false)
        .user(NewUser::new("bob", "bob@x.example"))
        .user(NewUser::new("ada", "ada@x.example").group("staff"));
    Lab::with(Settings::new(version).seed(seed)).await
}

/// How a path names the group `staff`, which is number 2.
fn staff(version: Version) -> &'static str {
    match version {
        Version::V1_6 => "staff",
        Version::V2_0 => "2",
    }
}

fn members(lab: &Lab, name: &str) -> Vec<String> {
    lab.control.groups().into_iter().find(|group| group.name == name).unwrap().members
}

#[tokio::test]
async fn groups_are_listed() {
    for version in BOTH {
        let lab = lab(version).await;
        assert_eq!(lab.get("group").await.json(), json!({"groups": ["admin", "staff"]}), "{version:?}");
        let staff_info = json!({"id": 2, "name": "staff", "members": ["ada"], "vpn_locations": [], "is_admin": false});
        assert_eq!(lab.get("group-info").await.json()[1], staff_info, "{version:?}");
        assert_eq!(lab.get(&format!("group/{}", staff(version))).await.json(), staff_info, "{version:?}");
    }
}

#[tokio::test]
async fn a_path_names_a_group_in_1_6_and_numbers_it_in_2_0() {
    let table = [
        (Version::V1_6, "group/staff", 200),
        (Version::V1_6, "group/2", 404),
        (Version::V1_6, "group/Staff", 404),
        (Version::V2_0, "group/2", 200),
        (Version::V2_0, "group/9", 404),
        (Version::V2_0, "group/staff", 400),
    ];
    for (version, path, status) in table {
        let lab = lab(version).await;
        assert_eq!(lab.get(path).await.status, status, "{version:?}, GET {path}");
        let post = lab.post(path, &json!({"username": "bob"})).await;
        assert_eq!(post.status, status, "{version:?}, POST {path}");
        assert_eq!(lab.delete(&format!("{path}/user/bob")).await.status, status, "{version:?}, DELETE {path}");
    }
}

#[tokio::test]
async fn members_come_and_go() {
    for version in BOTH {
        let lab = lab(version).await;
        let path = format!("group/{}", staff(version));
        for turn in ["once", "twice"] {
            let reply = lab.post(&path, &json!({"username": "bob"})).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "null"), "{version:?}, added {turn}");
            assert_eq!(members(&lab, "staff"), ["ada", "bob"], "{version:?}, added {turn}");
        }
        for turn in ["once", "twice"] {
            let reply = lab.delete(&format!("{path}/user/bob")).await;
            assert_eq!((reply.status, reply.body.as_str()), (200, "{}"), "{version:?}, taken away {turn}");
            assert_eq!(members(&lab, "staff"), ["ada"], "{version:?}, taken away {turn}");
        }
        let nobody = says(404, "User nobody not found");
        assert_eq!(lab.post(&path, &json!({"username": "nobody"})).await.said(), nobody, "{version:?}");
        assert_eq!(lab.delete(&format!("{path}/user/nobody")).await.said(), nobody, "{version:?}");
    }
}

#[tokio::test]
async fn a_group_is_made() {
    for version in BOTH {
        let lab = lab(version).await;
        let body = json!({"name": "ops", "members": ["ada", "bob"], "is_admin": true});
        let reply = lab.post("group", &body).await;
        assert_eq!((reply.status, reply.json()), (201, body.clone()), "{version:?}: no number in the answer");
        assert!(lab.control.user("ada").unwrap().is_admin, "{version:?}");
        assert_eq!(lab.post("group", &body).await.said(), says(500, "Internal server error"), "{version:?}: duplicate");

        let body = json!({"name": "half", "members": ["ada", "nobody"], "is_admin": true});
        assert_eq!(lab.post("group", &body).await.said(), says(404, "Failed to find user nobody"), "{version:?}");
        let half = lab.control.groups().into_iter().find(|group| group.name == "half").unwrap();
        assert!(half.members.is_empty() && !half.is_admin, "{version:?}: the group is left behind");
    }
}

#[tokio::test]
async fn a_group_is_replaced() {
    // name, what is sent, status, the groups afterwards; the group is staff, or admin
    let table = [
        ("another name", "staff", json!({"name": "crew", "members": ["ada"], "is_admin": false}), 200, "crew: ada"),
        ("other members", "staff", json!({"name": "staff", "members": ["bob"], "is_admin": false}), 200, "staff: bob"),
        ("nobody", "staff", json!({"name": "staff", "members": [], "is_admin": false}), 200, "staff: "),
        (
            "one who isn't there",
            "staff",
            json!({"name": "staff", "members": ["ada", "nobody"], "is_admin": false}),
            200,
            "staff: ada",
        ),
        ("rights", "staff", json!({"name": "staff", "members": ["ada"], "is_admin": true}), 200, "staff*: ada"),
        (
            "a name that is there",
            "staff",
            json!({"name": "admin", "members": ["ada"], "is_admin": false}),
            500,
            "staff: ada",
        ),
        (
            "the last administrators' rights",
            "admin",
            json!({"name": "admin", "members": [], "is_admin": false}),
            400,
            "staff: ada",
        ),
        ("without a member of the record", "staff", json!({"name": "crew", "members": []}), 422, "staff: ada"),
    ];
    for version in BOTH {
        for (name, which, body, status, expected) in &table {
            let lab = lab(version).await;
            let place = match (version, *which) {
                (Version::V2_0, "admin") => "1",
                (Version::V2_0, _) => "2",
                (Version::V1_6, which) => which,
            };
            let reply = lab.put(&format!("group/{place}"), body).await;
            assert_eq!(reply.status, *status, "{version:?}, {name}: {}", reply.body);
            let groups = lab.control.groups();
            let line = |star: &str| format!("{}{star}: {}", groups[1].name, groups[1].members.join(" "));
            assert_eq!(line(if groups[1].is_admin { "*" } else { "" }), *expected, "{version:?}, {name}");
            assert!(groups[0].is_admin && groups.len() == 2, "{version:?}, {name}");
        }
    }
}

#[tokio::test]
async fn a_group_is_deleted_but_not_the_last_of_administrators() {
    for version in BOTH {
        let lab = lab(version).await;
        let path = format!("group/{}", staff(version));
        let reply = lab.delete(&path).await;
        assert_eq!((reply.status, reply.body.as_str()), (200, "null"), "{version:?}");
        assert!(lab.control.user("ada").unwrap().groups.is_empty(), "{version:?}");
        assert_eq!(lab.delete(&path).await.status, 404, "{version:?}: again");
        let admin = if version == Version::V1_6 { "group/admin" } else { "group/1" };
        let kept = lab.delete(admin).await;
        assert_eq!((kept.status, kept.body.as_str()), (400, "{}"), "{version:?}");
        assert_eq!(lab.control.groups().len(), 1, "{version:?}");
    }
}

#[tokio::test]
async fn a_path_names_odd_groups_percent_encoded() {
    let lab = lab(Version::V1_6).await;
    lab.control.add_group("a b/c?d%", false).unwrap();
    assert_eq!(lab.post("group/a%20b%2Fc%3Fd%25", &json!({"username": "bob"})).await.status, 200);
    assert_eq!(lab.get("group/a%20b%2Fc%3Fd%25").await.json()["members"], json!(["bob"]));
    assert_eq!(lab.delete("group/a%20b%2Fc%3Fd%25/user/bob").await.status, 200);
    assert_eq!(lab.delete("group/a%20b%2Fc%3Fd%25").await.status, 200);
}

#[tokio::test]
async fn many_are_assigned_or_none() {
    let (no_user, no_group) =
        ("Request contained users that doesn't exists in db.", "Request contained groups that doesn't exists in db.");
    // name, groups, users, refusal
    let table = [
        ("two to two", json!(["staff", "admin"]), json!([2, 3]), None),
        ("nobody", json!(["staff"]), json!([]), None),
        ("an unknown user", json!(["staff"]), json!([2, 99]), Some(no_user)),
        ("an unknown group", json!(["staff", "vpn"]), json!([2]), Some(no_group)),
        ("a user twice", json!(["staff"]), json!([2, 2]), Some(no_user)),
        ("a group twice", json!(["staff", "staff"]), json!([2]), Some(no_group)),
    ];
    for version in BOTH {
        for (name, groups, users, refusal) in &table {
            let lab = lab(version).await;
            let before = lab.control.groups();
            let reply = lab.post("groups-assign", &json!({"groups": groups, "users": users})).await;
            match refusal {
                Some(words) => {
                    assert_eq!(reply.said(), says(400, words), "{version:?}, {name}");
                    assert_eq!(lab.control.groups(), before, "{version:?}, {name}");
                }
                None => assert_eq!((reply.status, reply.body.as_str()), (200, "{}"), "{version:?}, {name}"),
            }
        }
        let lab = lab(version).await;
        lab.post("groups-assign", &json!({"groups": ["staff", "admin"], "users": [2]})).await;
        assert_eq!(lab.control.user("bob").unwrap().groups, ["admin", "staff"], "{version:?}");
        assert_eq!(members(&lab, "staff"), ["ada", "bob"], "{version:?}: nobody is taken away");
    }
}
