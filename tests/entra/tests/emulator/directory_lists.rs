//! Lists of the directory beyond a page of everything: filtered, counted, nested, cast, deleted.

use entra_emulator::fixtures::{self, group, person};
use entra_emulator::seed::Guid;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Lab, Reply};

async fn get(lab: &Lab, token: &str, path: &str, eventual: bool) -> Reply {
    let request = lab.client.get(lab.graph(path)).header("authorization", format!("Bearer {token}"));
    lab.send(if eventual { request.header("consistencylevel", "eventual") } else { request }).await
}

fn ids(reply: &Reply) -> Vec<String> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let text = |object: &Value| object["id"].as_str().unwrap().to_owned();
    reply.json()["value"].as_array().unwrap().iter().map(text).collect()
}

#[tokio::test]
async fn lists_are_filtered_by_what_is_asked_for() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let oids = |keys: &[&str]| -> Vec<String> { keys.iter().map(|key| lab.oid(key)).collect() };
    let twins = [group::TWIN_A, group::TWIN_B].map(str::to_owned).to_vec();
    let table = [
        ("one person", "users", "userPrincipalName eq 'ada@contoso.example'", oids(&[person::ADA])),
        ("without case", "users", "userPrincipalName eq 'ADA@Contoso.example'", oids(&[person::ADA])),
        ("disabled", "users", "accountEnabled eq false", oids(&[person::DISABLED])),
        ("nobody", "users", "mail eq 'nobody@contoso.example'", Vec::new()),
        ("groups of one name", "groups", "displayName eq 'admins'", twins.clone()),
        ("several names", "groups", "displayName in ('admins','nothing')", twins),
        ("no security group", "groups", "securityEnabled eq false", vec![group::NEWSLETTER.to_owned()]),
        (
            "one or the other",
            "groups",
            "displayName eq 'staff' or startswith(displayName,'vpn')",
            vec![group::VPN_USERS.to_owned(), group::STAFF.to_owned()],
        ),
    ];
    for (name, collection, filter, expected) in table {
        let encoded: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let reply = get(&lab, &token, &format!("/v1.0/{collection}?$select=id&$filter={encoded}"), false).await;
        assert_eq!(ids(&reply), expected, "{name}");
        let count = get(&lab, &token, &format!("/v1.0/{collection}/$count?$filter={encoded}"), true).await;
        assert_eq!(
            (count.body.as_str(), count.header("content-type")),
            (&*expected.len().to_string(), "text/plain"),
            "{name}"
        );
    }
    for (name, path, eventual) in [
        ("ne", "/v1.0/users?$filter=mail%20ne%20'x'", false),
        ("an unknown property", "/v1.0/users?$filter=shoeSize%20eq%20'x'", false),
        ("$count without its header", "/v1.0/users/$count", false),
        ("$count=true without its header", "/v1.0/users?$count=true", false),
        ("$skip", "/v1.0/users?$skip=5", true),
        ("$orderby", "/v1.0/groups?$orderby=displayName", true),
        ("$search", "/v1.0/groups?$search=x", true),
        ("$expand", "/v1.0/groups?$expand=members", true),
    ] {
        let reply = get(&lab, &token, path, eventual).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (400, &json!("Request_UnsupportedQuery")), "{name}");
    }
}

#[tokio::test]
async fn a_filtered_list_has_pages_and_a_count() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let start = "/v1.0/groups?$select=id&$top=100&$count=true&$filter=startswith(displayName,'team-')";
    let first = get(&lab, &token, start, true).await;
    assert_eq!((first.json()["@odata.count"].as_u64(), ids(&first).len()), (Some(250), 100));
    let (mut found, mut next) = (ids(&first), first.json()["@odata.nextLink"].clone());
    while let Some(link) = next.as_str() {
        let reply = get(&lab, &token, link.strip_prefix(lab.entra.graph_url()).unwrap(), true).await;
        found.extend(ids(&reply));
        assert_eq!(reply.json().get("@odata.count"), None, "on the first page alone");
        next = reply.json()["@odata.nextLink"].clone();
    }
    assert_eq!(found, (1..=250).map(group::team).collect::<Vec<_>>());
}

#[tokio::test]
async fn memberships_are_listed_at_every_depth_and_from_both_sides() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let (nested, cycle) = (lab.oid(person::IN_NESTED_GROUP), lab.oid(person::IN_CYCLE));
    let text = |list: &[&str]| -> Vec<String> { list.iter().map(ToString::to_string).collect() };
    let of = |id: &str, rest: &str| format!("/v1.0/groups/{id}/{rest}");
    let table = [
        ("direct", of(group::OUTER, "members"), text(&[group::MIDDLE])),
        ("all", of(group::OUTER, "transitiveMembers"), text(&[group::MIDDLE, group::INNER, &nested])),
        ("in a circle", of(group::CYCLE_A, "transitiveMembers"), text(&[group::CYCLE_B, &cycle, group::CYCLE_A])),
        ("people alone", of(group::CYCLE_A, "members/microsoft.graph.user?$count=true"), text(&[&cycle])),
        ("direct groups", format!("/v1.0/users/{nested}/memberOf"), text(&[group::INNER])),
        ("cast", format!("/v1.0/users/{nested}/memberOf/microsoft.graph.group"), text(&[group::INNER])),
        (
            "all groups",
            format!("/v1.0/users/{nested}/transitiveMemberOf"),
            text(&[group::OUTER, group::MIDDLE, group::INNER]),
        ),
    ];
    for (name, path, expected) in table {
        assert_eq!(ids(&get(&lab, &token, &path, true).await), expected, "{name}");
    }
    for (name, path, eventual) in [
        ("the cast without the count", of(group::CYCLE_A, "members/microsoft.graph.user"), true),
        ("the cast without the header", of(group::CYCLE_A, "members/microsoft.graph.user?$count=true"), false),
        ("another cast", of(group::CYCLE_A, "members/microsoft.graph.device"), true),
    ] {
        assert_eq!(get(&lab, &token, &path, eventual).await.status, 400, "{name}");
    }
    let objects = lab.graph(&format!("/v1.0/users/{}/getMemberObjects", lab.oid(person::IN_GROUPS)));
    for (name, security_enabled_only, count) in [("groups and roles", false, 4), ("security groups", true, 2)] {
        let body = json!({"securityEnabledOnly": security_enabled_only});
        let reply = lab.post_json_with_token(&objects, &token, &body).await;
        assert_eq!(reply.json()["value"].as_array().unwrap().len(), count, "{name}: {}", reply.body);
    }
    let token = lab.app_token_with(&["GroupMember.Read.All"]).await;
    let members = get(&lab, &token, &of(group::INNER, "members"), false).await.json();
    assert_eq!((&members["value"][0]["id"], &members["value"][0]["mail"]), (&json!(nested), &Value::Null));
}

#[tokio::test]
async fn what_was_deleted_is_listed_until_it_is_gone() {
    const USERS: &str = "/v1.0/directory/deletedItems/microsoft.graph.user";
    const GROUPS: &str = "/v1.0/directory/deletedItems/microsoft.graph.group";
    let lab = Lab::start().await;
    let (ada, guest) = (lab.oid(person::ADA), lab.oid(person::GUEST));
    let both = ["User.Read.All", "Group.Read.All"];
    let token = lab.app_token_with(&both).await;
    for key in [person::ADA, person::GUEST] {
        lab.control.remove_person(key).unwrap();
    }
    for id in [group::STAFF, group::NEWSLETTER] {
        lab.control.remove_group(id).unwrap();
    }
    assert_eq!(ids(&get(&lab, &token, USERS, false).await), [ada.clone(), guest.clone()]);
    assert_eq!(ids(&get(&lab, &token, GROUPS, false).await), [group::NEWSLETTER], "no security group");
    let shown = get(&lab, &token, &format!("{USERS}?$select=id,deletedDateTime"), false).await.json();
    assert!(shown["value"][0]["deletedDateTime"].as_str().unwrap().ends_with('Z'));
    assert_eq!(get(&lab, &token, "/v1.0/directory/deletedItems", false).await.status, 400, "the cast is required");
    assert_eq!(get(&lab, &token, &format!("/v1.0/users/{ada}"), false).await.status, 404);

    lab.control.restore_person(person::ADA).unwrap();
    assert_eq!(ids(&get(&lab, &token, USERS, false).await), [guest], "restored");
    lab.control.advance_clock(30 * 24 * 3600 + 1);
    let token = lab.app_token().await;
    assert_eq!(ids(&get(&lab, &token, USERS, false).await), Vec::<String>::new(), "after 30 days");
    assert!(lab.control.restore_person(person::GUEST).is_err());
    let token = lab.app_token_with(&["User.Read.All", "GroupMember.Read.All"]).await;
    assert_eq!(get(&lab, &token, GROUPS, false).await.status, 403, "needs more than to read members");
}

#[tokio::test]
async fn the_directory_takes_orders() {
    let lab = Lab::start().await;
    let order = |body: Value| {
        let request = lab.client.request(Method::POST, lab.graph("/__admin/directory"));
        lab.send(request.header("content-type", "application/json").body(body.to_string()))
    };
    let ada = serde_json::to_value(lab.control.directory().person(person::ADA).unwrap()).unwrap();
    let with = |changes: &[(&str, &str)]| {
        let mut person = ada.clone();
        for (name, value) in changes {
            person[*name] = (*value).into();
        }
        person
    };
    let newcomer = with(&[
        ("key", "new"),
        ("oid", "33333333-3333-4333-8333-0000000000fe"),
        ("user_principal_name", "new@contoso.example"),
    ]);
    let crowd = json!({
        "id": "44444444-4444-4444-8444-0000000000fe", "tenant": fixtures::CONTOSO, "display_name": "crowd",
        "members": [{"user": newcomer["oid"]}],
    });
    // name, orders, status
    let table = [
        ("a new person", json!({"do": "upsert_person", "person": newcomer}), 204),
        ("another name", json!({"do": "upsert_person", "person": with(&[("display_name", "Countess")])}), 204),
        ("a key that is taken", json!({"do": "upsert_person", "person": with(&[("key", "new")])}), 409),
        ("a new group", json!({"do": "upsert_group", "group": crowd}), 204),
        ("the same again", json!({"do": "upsert_group", "group": crowd}), 204),
        ("a move", json!({"do": "move", "person": "new", "from": crowd["id"], "to": group::STAFF}), 204),
        ("a move to nowhere", json!({"do": "move", "person": "new", "from": group::STAFF, "to": "nothing"}), 404),
        ("several", json!([{"do": "disable", "person": "new"}, {"do": "enable", "person": "disabled"}]), 204),
        ("a deletion", json!({"do": "delete", "person": "guest"}), 204),
        ("a deletion of nobody", json!({"do": "delete", "person": "guest"}), 404),
        ("of nothing", json!({"do": "delete"}), 404),
        ("a restoration", json!({"do": "restore", "person": "guest"}), 204),
        ("a restoration of nobody", json!({"do": "restore", "person": "guest"}), 404),
        ("for good", json!({"do": "delete", "group": group::VPN_USERS, "permanently": true}), 204),
        ("an unknown order", json!({"do": "promote", "person": "guest"}), 422),
    ];
    for (name, body, status) in table {
        let reply = order(body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
    }
    let directory = lab.control.directory();
    let outcome = |key: &str| directory.person(key).unwrap().outcome;
    assert_eq!(directory.person(person::ADA).unwrap().display_name.as_deref(), Some("Countess"));
    assert_eq!((outcome("new") == outcome(person::ADA), outcome("disabled") == outcome(person::ADA)), (false, true));
    let newcomer = Guid::parse("33333333-3333-4333-8333-0000000000fe").unwrap();
    let groups: Vec<&str> = directory.groups_of(&newcomer).iter().map(|group| group.id.as_str()).collect();
    assert_eq!(groups, [group::STAFF]);
    assert!(directory.group(group::VPN_USERS).is_none() && directory.person(person::GUEST).is_some());

    for (name, body, status) in [
        ("a share", json!({"percent": 50, "seed": 1}), 200),
        ("a number", json!({"changes": 10, "seed": 1}), 200),
        ("neither", json!({"seed": 1}), 422),
        ("both", json!({"percent": 1, "changes": 1, "seed": 1}), 422),
    ] {
        assert_eq!(lab.post_json(&lab.login("/__admin/directory/churn"), &body).await.status, status, "{name}");
    }
}
