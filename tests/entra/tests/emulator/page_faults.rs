//! Faults of Graph's paths: the general ones at a `POST`, links that lead astray, pages that lie.

use std::time::Duration;

use entra_emulator::fixtures::{group, person};
use entra_emulator::{Fault, FaultAction as A, PageLie, Side};
use serde_json::{Value, json};

use crate::support::{Lab, Reply};

const PATH: &str = "/v1.0/users/*/getMemberGroups";

async fn member_groups(lab: &Lab, token: &str) -> Reply {
    let url = lab.graph(&format!("/v1.0/users/{}/getMemberGroups", lab.oid(person::AT_GROUP_LIMIT)));
    lab.post_json_with_token(&url, token, &json!({"securityEnabledOnly": true})).await
}

fn fault(action: A) -> Fault {
    Fault::new(action).on(Side::Graph).path(PATH)
}

#[tokio::test]
async fn general_faults_hit_graphs_paths() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let status = |status| A::Status { status, retry_after: Some("3".to_owned()), html: false };
    let own = A::GraphError { status: 400, code: "Directory_ExpiredPageToken".to_owned() };
    // name, action, status, code, Retry-After
    let table = [
        ("throttled", status(429), 429, "TooManyRequests", "3"),
        ("token refused", status(401), 401, "InvalidAuthenticationToken", "3"),
        ("permission gone", status(403), 403, "Authorization_RequestDenied", "3"),
        ("user gone", status(404), 404, "Request_ResourceNotFound", "3"),
        ("down", status(503), 503, "serviceNotAvailable", "3"),
        ("an error of one's own", own, 400, "Directory_ExpiredPageToken", ""),
    ];
    for (name, action, status, code, retry_after) in table {
        lab.control.clear_faults();
        let id = lab.control.add_fault(fault(action).times(1));
        let reply = member_groups(&lab, &token).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &json!(code)), "{name}");
        assert_eq!(reply.header("retry-after"), retry_after, "{name}");
        assert_eq!((lab.control.fault_hits(id), member_groups(&lab, &token).await.status), (1, 200), "{name}: once");
    }
    for (name, action) in [("cut", A::Truncate { at: 20 }), ("reset", A::Reset), ("hang", A::Hang)] {
        lab.control.clear_faults();
        lab.control.add_fault(fault(action));
        let url = lab.graph(&format!("/v1.0/users/{}/getMemberGroups", lab.oid(person::AT_GROUP_LIMIT)));
        let request =
            lab.client.post(url).timeout(Duration::from_millis(500)).header("authorization", format!("Bearer {token}"));
        let request = request.header("content-type", "application/json").body(r#"{"securityEnabledOnly":true}"#);
        let ended = match request.send().await {
            Ok(response) => response.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(ended, "{name}");
    }
}

#[tokio::test]
async fn links_lead_astray_where_they_can_be_seen() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    lab.control.edit_graph(|graph| graph.page_size = Some(150));
    let body = json!({"securityEnabledOnly": true});
    let genuine = member_groups(&lab, &token).await.json();
    let path = |link: &Value| link.as_str().unwrap().split_once("/v1.0/").unwrap().1.to_owned();

    lab.control.add_fault(fault(A::ForeignNextlink { origin: None }).nth([1]));
    let page = member_groups(&lab, &token).await.json();
    let link = page["@odata.nextLink"].as_str().unwrap();
    let port = lab.entra.graph_url().rsplit(':').next().unwrap();
    assert!(link.starts_with(&format!("http://localhost:{port}/")), "another origin: {link}");
    assert_eq!(path(&page["@odata.nextLink"]), path(&genuine["@odata.nextLink"]), "and the genuine path");
    assert_eq!(page["value"], genuine["value"]);
    let reply = lab.post_json_with_token(link, &token, &body).await;
    assert_eq!(reply.status, 200, "it answers");
    let record = lab.control.requests().pop().unwrap();
    assert_eq!((record.host_header.as_deref(), record.has_bearer), (Some(format!("localhost:{port}").as_str()), true));

    lab.control.clear_faults();
    lab.control.add_fault(fault(A::ForeignNextlink { origin: Some("https://attacker.example".to_owned()) }));
    let last = lab.post_json_with_token(genuine["@odata.nextLink"].as_str().unwrap(), &token, &body).await.json();
    assert!(
        last["@odata.nextLink"].as_str().unwrap().starts_with("https://attacker.example/v1.0/users/"),
        "on a last page, too"
    );

    lab.control.clear_faults();
    lab.control.add_fault(fault(A::NextlinkLoop));
    let page = member_groups(&lab, &token).await.json();
    let itself = lab.post_json_with_token(page["@odata.nextLink"].as_str().unwrap(), &token, &body).await.json();
    assert_eq!(itself, page, "a page that links to itself");
    assert!(path(&page["@odata.nextLink"]).ends_with("/getMemberGroups"));

    lab.control.clear_faults();
    lab.control.add_fault(fault(A::NextlinkLoop));
    let refused = lab.graph("/v1.0/users/nobody/getMemberGroups");
    let reply = lab.post_json_with_token(&refused, &token, &body).await;
    assert_eq!((reply.status, reply.json().get("@odata.nextLink")), (404, None), "an error stays as it is");
}

#[tokio::test]
async fn pages_lie_as_their_names_say() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    lab.control.edit_graph(|graph| graph.page_size = Some(150));
    let genuine = member_groups(&lab, &token).await.json();
    for &lie in PageLie::ALL {
        lab.control.clear_faults();
        lab.control.add_fault(fault(A::LyingPage { lie }));
        let reply = member_groups(&lab, &token).await;
        let page = reply.json();
        assert_eq!(reply.status, 200, "{lie:?}");
        let (value, link) = (&page["value"], &page["@odata.nextLink"]);
        let items = value.as_array().cloned().unwrap_or_default();
        let as_told = match lie {
            PageLie::NoValue => page.get("value").is_none() && link.is_string(),
            PageLie::ValueNotAList => value.is_object(),
            PageLie::ItemsOfOtherTypes => {
                items[..150] == genuine["value"].as_array().unwrap()[..]
                    && items[150..] == [json!(7), Value::Null, json!([])]
            }
            PageLie::IdsNotGuids => items.len() == 150 && items.iter().all(|item| item == "../../users"),
            PageLie::EndsEarly => items.len() == 75 && page.get("@odata.nextLink").is_none(),
            PageLie::NextlinkNotText => link.is_number(),
            PageLie::NextlinkNotAUrl => link.as_str().unwrap().starts_with('/'),
            PageLie::ErrorInside => page["error"]["code"].is_string() && page.get("value").is_none(),
            // A list of ids has no states.
            PageLie::StateUnsaid => page == genuine,
        };
        assert!(as_told, "{lie:?}: {page}");
    }
    lab.control.clear_faults();
    lab.control.add_fault(Fault::new(A::LyingPage { lie: PageLie::IdsNotGuids }).path("*/transitiveMemberOf"));
    let url = lab.graph(&format!("/v1.0/users/{}/transitiveMemberOf?$select=id", lab.oid(person::IN_CYCLE)));
    let page = lab.get_with_token(&url, &token).await.json();
    assert_eq!(page["value"][0]["id"], "../../users", "in objects, too: {page} {}", group::CYCLE_A);
    lab.control.add_fault(Fault::new(A::LyingPage { lie: PageLie::StateUnsaid }).path("/v1.0/users"));
    let url = lab.graph("/v1.0/users?$select=id,accountEnabled&$top=2");
    let page = lab.get_with_token(&url, &token).await.json();
    let people = page["value"].as_array().unwrap();
    let is_unsaid = |person: &Value| person["id"].is_string() && person["accountEnabled"].is_null();
    assert!(people.len() == 2 && people.iter().all(is_unsaid), "{page}");
}

#[tokio::test]
async fn page_faults_are_written_in_json() {
    let lab = Lab::start().await;
    for action in [
        json!({"kind": "foreign_nextlink"}),
        json!({"kind": "foreign_nextlink", "origin": "https://attacker.example"}),
        json!({"kind": "nextlink_loop"}),
        json!({"kind": "lying_page", "lie": "value_not_a_list"}),
        json!({"kind": "graph_error", "status": 400, "code": "Directory_ExpiredPageToken"}),
    ] {
        let reply = lab.post_json(&lab.login("/__admin/faults"), &json!({ "action": action })).await;
        assert_eq!(reply.status, 201, "{action}: {}", reply.body);
    }
}
