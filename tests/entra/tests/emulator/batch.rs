//! `$batch`: several requests in one, each of them on its own.

use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side, Throttling};
use serde_json::{Value, json};

use crate::support::{Lab, Reply};

const PATH: &str = "/v1.0/$batch";

async fn post(lab: &Lab, token: &str, requests: Value) -> Reply {
    lab.post_json_with_token(&lab.graph(PATH), token, &json!({ "requests": requests })).await
}

fn get(id: &str, url: &str) -> Value {
    json!({"id": id, "method": "GET", "url": url})
}

/// The response to one of the requests.
#[track_caller]
fn response(reply: &Reply, id: &str) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.body);
    let all = reply.json();
    let mut found = all["responses"].as_array().unwrap().iter().filter(|response| response["id"] == id);
    let one = found.next().cloned().unwrap();
    assert!(found.next().is_none(), "{id} twice");
    one
}

#[tokio::test]
async fn every_request_has_its_own_answer() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let ada = lab.oid(person::ADA);
    let requests = json!([
        get("one", &format!("/users/{ada}?$select=mail")),
        get("none", "users/nobody@contoso.example"),
        {
            "id": "posted", "method": "POST", "url": format!("/users/{}/getMemberGroups", lab.oid(person::IN_GROUPS)),
            "headers": {"Content-Type": "application/json"}, "body": {"securityEnabledOnly": true},
        },
        {"id": "header", "method": "GET", "url": "/users/$count", "headers": {"ConsistencyLevel": "eventual"}},
        get("no header", "/users/$count"),
        {"id": "own token", "method": "GET", "url": "/users", "headers": {"Authorization": "Bearer nonsense"}},
        {"id": "after", "method": "GET", "url": format!("/users/{ada}"), "dependsOn": ["one"]},
        {"id": "after none", "method": "GET", "url": format!("/users/{ada}"), "dependsOn": ["one", "none"]},
        {"id": "after that", "method": "GET", "url": format!("/users/{ada}"), "dependsOn": ["after none"]},
        get("a batch", "/$batch"),
    ]);
    let reply = post(&lab, &token, requests.clone()).await;
    for (id, status) in [
        ("one", 200),
        ("none", 404),
        ("posted", 200),
        ("header", 200),
        ("no header", 400),
        ("own token", 401),
        ("after", 200),
        ("after none", 424),
        ("after that", 424),
        ("a batch", 400),
    ] {
        assert_eq!(response(&reply, id)["status"], status, "{id}");
    }
    assert_eq!(response(&reply, "one")["body"]["mail"], "ada@contoso.example");
    assert_eq!(response(&reply, "one")["headers"]["x-ms-resource-unit"], "1");
    assert_eq!(response(&reply, "posted")["body"]["value"].as_array().unwrap().len(), 2);
    assert!(response(&reply, "header")["body"].as_u64().unwrap() > 20);
    let order = |list: &Value| list.as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
    assert_ne!(order(&reply.json()["responses"]), order(&requests), "in another order");
    let in_batch = |record: &&entra_emulator::RequestRecord| record.in_batch;
    assert_eq!(lab.control.requests().iter().filter(in_batch).count(), 8, "those that were made are in the log");
    assert_eq!(lab.control.count(Side::Graph, PATH), 2, "the batch and the one inside");
}

#[tokio::test]
async fn faults_and_limits_meet_one_request_of_a_batch() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let ada = format!("/users/{}", lab.oid(person::ADA));
    let four = json!([get("1", &ada), get("2", &ada), get("3", &ada), get("4", &ada)]);
    let statuses = |reply: &Reply| ["1", "2", "3", "4"].map(|id| response(reply, id)["status"].clone());
    let refusal = FaultAction::Status { status: 429, retry_after: Some("7".into()), html: false };
    lab.control.add_fault(Fault::new(refusal).on(Side::Graph).path("/v1.0/users/*").nth([2]));
    let reply = post(&lab, &token, four.clone()).await;
    assert_eq!(statuses(&reply), [200, 429, 200, 200]);
    assert_eq!(response(&reply, "2")["headers"]["retry-after"], "7");

    lab.control.clear_faults();
    lab.control.edit_graph(|graph| graph.throttling = Throttling::Units(3));
    let reply = post(&lab, &token, four.clone()).await;
    assert_eq!(statuses(&reply), [200, 200, 200, 429]);
    assert_eq!(response(&reply, "4")["headers"]["x-ms-throttle-information"], "ResourceUnitLimitExceeded");

    lab.control.edit_graph(|graph| graph.throttling = Throttling::Off);
    for (name, action, status) in [
        ("a broken answer", FaultAction::Truncate { at: 20 }, 502),
        ("a page", FaultAction::Html, 200),
        ("down", FaultAction::Status { status: 503, retry_after: None, html: false }, 503),
    ] {
        lab.control.clear_faults();
        lab.control.add_fault(Fault::new(action).on(Side::Graph).path("/v1.0/users/*").nth([3]));
        assert_eq!(statuses(&post(&lab, &token, four.clone()).await), [200, 200, status, 200], "{name}");
    }
    lab.control.clear_faults();
    lab.control.add_fault(Fault::new(FaultAction::Reset).on(Side::Graph).path("/v1.0/users/*").nth([3]));
    let request = lab.client.post(lab.graph(PATH)).header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", "application/json").body(json!({ "requests": four }).to_string());
    assert!(request.send().await.is_err(), "a reset is one of the connection");
}

#[tokio::test]
async fn a_batch_that_is_not_one_is_refused_as_a_whole() {
    let lab = Lab::start().await;
    let token = lab.app_token().await;
    let many = |count: u32| (0..count).map(|number| get(&number.to_string(), "/groups?$top=1")).collect::<Value>();
    let table = [
        ("twenty", many(20), 200, Value::Null),
        ("more", many(21), 400, json!("MaximumValueExceeded")),
        ("an id twice", json!([get("1", "/users"), get("1", "/users")]), 400, json!("Request_BadRequest")),
        ("an absolute url", json!([get("1", "https://attacker.example/")]), 400, json!("Request_BadRequest")),
        ("an absolute url without scheme", json!([get("1", "//attacker.example/")]), 400, json!("Request_BadRequest")),
        ("no method", json!([{"id": "1", "url": "/users"}]), 400, json!("Request_BadRequest")),
        (
            "an unknown member",
            json!([{"id": "1", "method": "GET", "url": "/", "x": 1}]),
            400,
            json!("Request_BadRequest"),
        ),
        (
            "what is not there yet",
            json!([{"id": "1", "method": "GET", "url": "/users", "dependsOn": ["2"]}, get("2", "/users")]),
            400,
            json!("Request_BadRequest"),
        ),
        ("none", json!([]), 200, Value::Null),
    ];
    for (name, requests, status, code) in table {
        let reply = post(&lab, &token, requests).await;
        assert_eq!((reply.status, &reply.json()["error"]["code"]), (status, &code), "{name}");
    }
    assert_eq!(post(&lab, "nonsense", many(1)).await.status, 401, "without a token");
    let reply = lab.get_with_token(&lab.graph(PATH), &token).await;
    assert_eq!(reply.status, 400, "not with GET");
}
