//! The control interface over HTTP.

use core_emulator::{Version, fixtures};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Lab, Reply, with_json};

async fn admin(lab: &Lab, method: Method, path: &str, body: Value) -> Reply {
    let url = format!("{}/__admin/{path}", lab.core.url());
    lab.send(with_json(lab.client.request(method, url), &body)).await
}

#[tokio::test]
async fn what_the_handle_does_can_be_done_over_http() {
    let lab = Lab::start(Version::V2_0).await;
    let ada = json!({"username": "ada", "email": "ada@x.example", "groups": []});
    let table = [
        ("add a group", Method::POST, "groups", json!({"name": "staff"}), 201),
        ("the same again", Method::POST, "groups", json!({"name": "staff"}), 409),
        ("add a user", Method::POST, "users", ada.clone(), 201),
        ("the same again", Method::POST, "users", ada, 409),
        ("change a user", Method::PATCH, "users/ada", json!({"is_active": false, "groups": ["staff"]}), 204),
        ("to no group", Method::PATCH, "users/ada", json!({"groups": ["vpn"]}), 404),
        ("what isn't offered", Method::PATCH, "users/ada", json!({"id": 7}), 422),
        ("of nobody", Method::PATCH, "users/nobody", json!({"is_active": false}), 404),
        ("one user", Method::GET, "users/ada", json!({}), 200),
        ("nobody", Method::GET, "users/nobody", json!({}), 404),
        ("the clock", Method::POST, "clock", json!({"advance_s": 10}), 200),
        ("the delay", Method::POST, "delay", json!({"delay_ms": 0}), 204),
        ("a fault", Method::POST, "faults", json!({"action": {"kind": "status", "status": 500}, "times": 1}), 201),
        ("no fault", Method::POST, "faults", json!({"action": {"kind": "no_such"}}), 422),
        ("away with it", Method::DELETE, "faults/1", json!({}), 204),
        ("once", Method::DELETE, "faults/1", json!({}), 404),
        ("all faults", Method::DELETE, "faults", json!({}), 204),
        ("the licence", Method::POST, "licence", json!({"kind": "business", "users": 7}), 204),
        ("the sessions", Method::DELETE, "sessions", json!({}), 204),
        ("the log", Method::DELETE, "requests", json!({}), 204),
    ];
    for (name, method, path, body, status) in table {
        let reply = admin(&lab, method, path, body).await;
        assert_eq!(reply.status, status, "{name}: {}", reply.body);
    }
    let ada = lab.control.user("ada").unwrap();
    assert!(!ada.is_active && ada.groups == ["staff"]);
    let users = admin(&lab, Method::GET, "users", json!({})).await.json();
    assert_eq!(users, serde_json::to_value(lab.control.users()).unwrap());
    assert!(!users.to_string().contains(fixtures::ADMIN_PASSWORD));
    assert!(lab.control.requests().is_empty(), "it isn't logged");
    assert_eq!(admin(&lab, Method::POST, "reset", json!({})).await.status, 204);
    assert_eq!(lab.control.users().len(), 1);
}
