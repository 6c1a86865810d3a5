//! `getMemberGroups` and `checkMemberGroups`: what they answer, page by page, and every refusal.

use entra_emulator::fixtures::{self, group, person};
use serde_json::{Value, json};

use crate::support::{Lab, Reply, app_token_request, changed};

const BOTH: [&str; 2] = ["User.Read.All", "GroupMember.Read.All"];

/// Numbers or sizes of pages.
type Sizes = &'static [usize];

fn action(lab: &Lab, person: &str, name: &str) -> String {
    lab.graph(&format!("/v1.0/users/{}/{name}", lab.oid(person)))
}

async fn member_groups(lab: &Lab, token: &str, person: &str, security_enabled_only: bool) -> Reply {
    let body = json!({"securityEnabledOnly": security_enabled_only});
    lab.post_json_with_token(&action(lab, person, "getMemberGroups"), token, &body).await
}

/// All pages: the values on each, following each link with the same body.
async fn pages(lab: &Lab, token: &str, person: &str) -> Vec<Vec<Value>> {
    let body = json!({"securityEnabledOnly": true});
    let mut url = action(lab, person, "getMemberGroups");
    let mut pages = Vec::new();
    loop {
        let reply = lab.post_json_with_token(&url, token, &body).await;
        assert_eq!(reply.status, 200, "{url}: {}", reply.body);
        let page = reply.json();
        pages.push(page["value"].as_array().unwrap().clone());
        match page["@odata.nextLink"].as_str() {
            Some(next) => next.clone_into(&mut url),
            None => return pages,
        }
    }
}

fn teams(count: u32) -> Vec<Value> {
    (1..=count).map(|number| group::team(number).into()).collect()
}

#[tokio::test]
async fn every_group_is_answered_nested_ones_too() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    // name, person, securityEnabledOnly, ids
    let table = [
        ("none", person::ADA, true, json!([])),
        ("security groups", person::IN_GROUPS, true, json!([group::VPN_USERS, group::STAFF])),
        ("all groups, no roles", person::IN_GROUPS, false, json!([group::VPN_USERS, group::STAFF, group::NEWSLETTER])),
        ("nested", person::IN_NESTED_GROUP, true, json!([group::OUTER, group::MIDDLE, group::INNER])),
        ("circle", person::IN_CYCLE, true, json!([group::CYCLE_A, group::CYCLE_B])),
        ("marker in the token", person::HAS_GROUPS, true, teams(6).into()),
        ("200", person::AT_GROUP_LIMIT, true, teams(200).into()),
        ("more than a token holds", person::OVERAGE, true, teams(250).into()),
    ];
    for (name, person, security_enabled_only, expected) in table {
        let reply = member_groups(&lab, &token, person, security_enabled_only).await;
        let context = lab.graph("/v1.0/$metadata#Collection(Edm.String)");
        assert_eq!(reply.json(), json!({"@odata.context": context, "value": expected}), "{name}");
        assert_eq!((reply.status, reply.header("x-ms-resource-unit")), (200, "2"), "{name}");
    }
    let by_name = lab.graph("/v1.0/users/gil@contoso.example/getMemberGroups");
    let reply = lab.post_json_with_token(&by_name, &token, &json!({"securityEnabledOnly": true})).await;
    assert_eq!(reply.json()["value"], json!([group::VPN_USERS, group::STAFF]), "by principal name");
}

#[tokio::test]
async fn pages_are_followed_with_post_and_the_same_body() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    // name, page size, empty pages, sizes of the pages
    let table: [(&str, Option<usize>, Sizes, Sizes); 5] = [
        ("one page", None, &[], &[250]),
        ("three pages", Some(100), &[], &[100, 100, 50]),
        ("the last one full", Some(125), &[], &[125, 125]),
        ("an empty one in between", Some(200), &[2], &[200, 0, 50]),
        ("empty ones at both ends", Some(250), &[1, 3], &[0, 250, 0]),
    ];
    for (name, page_size, empty_pages, expected) in table {
        lab.control.edit_graph(|graph| {
            graph.page_size = page_size;
            graph.empty_pages = empty_pages.to_vec();
        });
        let pages = pages(&lab, &token, person::OVERAGE).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{name}");
        assert_eq!(pages.concat(), teams(250), "{name}");
    }

    lab.control
        .edit_graph(|graph| *graph = entra_emulator::GraphSettings { page_size: Some(100), ..Default::default() });
    let first = member_groups(&lab, &token, person::OVERAGE, true).await.json();
    let next = first["@odata.nextLink"].as_str().unwrap();
    let refused = [
        ("GET", lab.get_with_token(next, &token).await, 405),
        ("another body", lab.post_json_with_token(next, &token, &json!({"securityEnabledOnly": false})).await, 400),
        ("no body", lab.post_json_with_token(next, &token, &Value::Null).await, 400),
        ("no token", lab.post_json(next, &json!({"securityEnabledOnly": true})).await, 401),
        (
            "another person's list",
            {
                let other = next.replace(&lab.oid(person::OVERAGE), &lab.oid(person::AT_GROUP_LIMIT));
                lab.post_json_with_token(&other, &token, &json!({"securityEnabledOnly": true})).await
            },
            400,
        ),
    ];
    for (name, reply, status) in refused {
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        assert!(reply.json()["error"]["code"].is_string(), "{name}");
    }
}

#[tokio::test]
async fn beyond_its_limit_graph_gives_up() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    for (name, limit, status) in [("within", 250, 200), ("beyond", 249, 400)] {
        lab.control.edit_graph(|graph| graph.member_groups_limit = limit);
        let reply = member_groups(&lab, &token, person::OVERAGE, true).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        if status == 400 {
            assert_eq!(reply.json()["error"]["code"], "Directory_ResultSizeLimitExceeded", "{name}");
        }
    }
}

#[tokio::test]
async fn groups_are_checked_twenty_at_a_time() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let unknown = "44444444-4444-4444-8444-999999999999";
    let asked = json!([group::INNER, group::OUTER, group::STAFF, group::FABRIKAM_STAFF, unknown]);
    // name, person, ids asked about, status, answer
    let table = [
        ("some", person::IN_NESTED_GROUP, asked.clone(), 200, json!([group::OUTER, group::INNER])),
        ("none", person::ADA, asked, 200, json!([])),
        ("nothing asked", person::ADA, json!([]), 200, json!([])),
        ("twenty", person::OVERAGE, teams(20).into(), 200, teams(20).into()),
        ("twenty-one", person::OVERAGE, teams(21).into(), 400, json!("Request_BadRequest")),
        ("no GUID", person::ADA, json!(["admins"]), 400, json!("Request_BadRequest")),
    ];
    for (name, person, ids, status, expected) in table {
        let url = action(&lab, person, "checkMemberGroups");
        let reply = lab.post_json_with_token(&url, &token, &json!({"groupIds": ids})).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
        let found = if status == 200 { &reply.json()["value"] } else { &reply.json()["error"]["code"] };
        assert_eq!(*found, expected, "{name}");
    }
}

#[tokio::test]
async fn bodies_and_options_that_are_refused() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let url = action(&lab, person::IN_GROUPS, "getMemberGroups");
    let good = r#"{"securityEnabledOnly":true}"#;
    // name, query, content type, body
    let table = [
        ("empty", "", "application/json", ""),
        ("no member", "", "application/json", "{}"),
        ("text for a boolean", "", "application/json", r#"{"securityEnabledOnly":"true"}"#),
        ("a member too many", "", "application/json", r#"{"securityEnabledOnly":true,"groupIds":[]}"#),
        ("no JSON type", "", "application/x-www-form-urlencoded", good),
        ("$top", "?$top=5", "application/json", good),
        ("$select", "?$select=id", "application/json", good),
        ("made-up token", "?$skiptoken=abc", "application/json", good),
    ];
    for (name, query, content_type, body) in table {
        let request = lab.client.post(format!("{url}{query}")).header("authorization", format!("Bearer {token}"));
        let reply = lab.send(request.header("content-type", content_type).body(body)).await;
        assert_eq!(reply.status, 400, "{name}: {}", reply.body);
    }
    let request = lab.client.post(&url).header("authorization", format!("Bearer {token}"));
    let reply = lab.send(request.header("content-type", "application/json; charset=utf-8").body(good)).await;
    assert_eq!(reply.status, 200, "the request itself was right");
    assert_eq!(lab.get_with_token(&url, &token).await.status, 405, "GET");
    assert_eq!(lab.get(&url).await.status, 401, "GET without a token");
}

#[tokio::test]
async fn both_permissions_are_needed() {
    let lab = Lab::start().await;
    let delegated = lab.sign_in_as(fixtures::CONTOSO, person::ADA, &[("scope", Some("openid User.Read"))]).await;
    let table: [(&str, &[&str], u16); 5] = [
        ("both", &BOTH, 200),
        ("the wider one of groups", &["User.Read.All", "Group.Read.All"], 200),
        ("users alone", &BOTH[..1], 403),
        ("groups alone", &BOTH[1..], 403),
        ("none", &[], 403),
    ];
    for (name, roles, status) in table {
        let token = lab.app_token_with(roles).await;
        let check = json!({"groupIds": [group::STAFF]});
        let replies = [
            member_groups(&lab, &token, person::IN_GROUPS, true).await,
            lab.post_json_with_token(&action(&lab, person::IN_GROUPS, "checkMemberGroups"), &token, &check).await,
        ];
        for reply in replies {
            assert_eq!(reply.status, status, "{name}: {}", reply.body);
            let code = if status == 403 { json!("Authorization_RequestDenied") } else { Value::Null };
            assert_eq!(reply.json()["error"]["code"], code, "{name}");
        }
    }
    let reply = member_groups(&lab, delegated["access_token"].as_str().unwrap(), person::ADA, true).await;
    assert_eq!(reply.status, 403, "a person's token");
}

#[tokio::test]
async fn a_token_sees_its_tenant_alone_and_nobody_who_has_gone() {
    let lab = Lab::start().await;
    let multi = [("client_id", Some(fixtures::MULTI_TENANT_CLIENT_ID))];
    let form = changed(app_token_request(lab.entra.graph_url()), &multi);
    let reply = lab.token(fixtures::FABRIKAM, &form).await;
    let (of_fabrikam, of_contoso) = (reply.json()["access_token"].as_str().unwrap().to_owned(), lab.app_token().await);
    let table = [
        ("own", &of_contoso, person::IN_GROUPS, 200),
        ("foreign", &of_contoso, person::FABRIKAM_MEMBER, 404),
        ("own, at Fabrikam", &of_fabrikam, person::FABRIKAM_MEMBER, 200),
        ("foreign, at Fabrikam", &of_fabrikam, person::IN_GROUPS, 404),
    ];
    for (name, token, person, status) in table {
        let reply = member_groups(&lab, token, person, true).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
    }
    let reply = member_groups(&lab, &of_fabrikam, person::FABRIKAM_MEMBER, true).await;
    assert_eq!(reply.json()["value"], json!([group::FABRIKAM_STAFF]));

    let url = action(&lab, person::IN_GROUPS, "getMemberGroups");
    lab.control.remove_person(person::IN_GROUPS).unwrap();
    let reply = lab.post_json_with_token(&url, &of_contoso, &json!({"securityEnabledOnly": true})).await;
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (404, &json!("Request_ResourceNotFound")), "gone");
}
