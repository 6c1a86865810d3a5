//! Injected faults as a client meets them: what arrives, and whether the work was done.

use std::time::{Duration, Instant};

use core_emulator::{Fault, FaultAction as A, Version, fixtures};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Lab, new_user, says};

const PATIENCE: Duration = Duration::from_secs(20);

/// What arrives on a connection of one's own: everything until the end, or the error that ends it.
async fn raw_create(lab: &Lab) -> Result<String, std::io::Error> {
    let address = lab.core.url().trim_start_matches("http://").to_owned();
    let body = new_user("ada", "ada@x.example").to_string();
    let head = format!(
        "POST /api/v1/user HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nUser-Agent: raw\r\n\
         Authorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        fixtures::TOKEN,
        body.len()
    );
    let mut stream = TcpStream::connect(&address).await?;
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn an_answer_with_or_without_the_work() {
    let unavailable = A::Status { status: 503, body: None, retry_after: Some("7".into()) };
    // name, action, status, start of the body, whether the user was made
    let table = [
        ("500, nothing done", A::status(500), 500, r#"{"msg":"Internal Server Error"}"#, false),
        ("503 with Retry-After", unavailable, 503, r#"{"msg":"Service Unavailable"}"#, false),
        ("a body of one's own", A::answer(403, r#"{"msg":"no"}"#), 403, r#"{"msg":"no"}"#, false),
        ("500 although it was done", A::DoneBut { status: 500 }, 500, r#"{"msg":"Internal Server Error"}"#, true),
        ("broken JSON", A::BadJson, 201, r#"{"id":1,"user"#, true),
        ("a page", A::Html { status: 502 }, 502, "<!DOCTYPE html>", false),
        ("a page with 200", A::Html { status: 200 }, 200, "<!DOCTYPE html>", false),
        ("a redirect", A::Redirect { location: "https://login.example/".into() }, 302, "", false),
        ("a big body", A::BigBody { bytes: 3_000_000 }, 200, r#"{"padding":"xxx"#, false),
        ("later", A::Delay { delay_ms: 10 }, 201, "{", true),
        ("done at once, answered later", A::LateAnswer { delay_ms: 10 }, 201, "{", true),
        ("drop by drop", A::SlowDrip { interval_ms: 0 }, 201, "{", true),
    ];
    for (name, action, status, body, done) in table {
        let lab = Lab::start(Version::V2_0).await;
        let id = lab.control.add_fault(Fault::new(action.clone()).on("POST", "/api/v1/user"));
        let reply = lab.post("user", &new_user("ada", "ada@x.example")).await;
        assert_eq!(reply.status, status, "{name}");
        assert!(reply.body.starts_with(body), "{name}: {}", reply.body.get(..99).unwrap_or(&reply.body));
        assert_eq!(lab.control.user("ada").is_some(), done, "{name}");
        assert_eq!(lab.control.fault_hits(id), 1, "{name}");
        assert_eq!(lab.get("user").await.status, 200, "{name}: others work");
        let record = &lab.control.requests()[0];
        assert_eq!(record.status, Some(status), "{name}");
        let kind = serde_json::to_value(action).unwrap()["kind"].clone();
        assert_eq!(record.fault.as_deref().map(Value::from), Some(kind), "{name}");
        assert_eq!(reply.header("retry-after"), if status == 503 { "7" } else { "" }, "{name}");
        assert!(name != "a big body" || reply.body.len() == 3_000_000, "{name}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_with_or_without_the_work() {
    for (name, action, done) in [("reset", A::Reset, false), ("done, then reset", A::DoneThenReset, true)] {
        let lab = Lab::start(Version::V2_0).await;
        lab.control.add_fault(Fault::new(action).times(1));
        let error = raw_create(&lab).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{name}");
        assert_eq!(lab.control.user("ada").is_some(), done, "{name}");
        let status = if done { "HTTP/1.1 400" } else { "HTTP/1.1 201" };
        assert!(raw_create(&lab).await.unwrap().starts_with(status), "{name}: the next connection works");
    }
}

#[tokio::test]
async fn a_truncated_answer_announces_more_than_it_brings() {
    let lab = Lab::start(Version::V2_0).await;
    lab.control.add_fault(Fault::new(A::Truncate { at: 10 }).on("POST", "/api/v1/user"));
    let answer = raw_create(&lab).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 201") && body.len() == 10, "{answer}");
    assert!(lab.control.user("ada").is_some());
    let request = lab.request(Method::GET, "me");
    lab.control.add_fault(Fault::new(A::Truncate { at: 10 }).path("/api/v1/me"));
    assert!(request.send().await.unwrap().bytes().await.is_err(), "a client notices");
}

#[tokio::test]
async fn silence_with_or_without_the_work() {
    for (name, action, done) in [("silence", A::Hang, false), ("done, then silence", A::DoneThenHang, true)] {
        let lab = Lab::start(Version::V2_0).await;
        lab.control.add_fault(Fault::new(action).on("POST", "/api/v1/user"));
        let body = new_user("ada", "ada@x.example").to_string();
        let request = lab.request(Method::POST, "user").header("content-type", "application/json").body(body);
        let asked = tokio::spawn(request.send());
        assert!(lab.control.wait_for_requests("POST", "/api/v1/user", 1, PATIENCE).await, "{name}");
        while lab.control.user("ada").is_some() != done {
            tokio::task::yield_now().await;
        }
        assert!(!asked.is_finished(), "{name}");
        assert_eq!(lab.get("me").await.status, 200, "{name}: others work");
        asked.abort();
    }
}

#[tokio::test]
async fn a_route_fails_so_often_and_then_works() {
    let lab = Lab::start(Version::V1_6).await;
    lab.add("ada");
    let id = lab.control.add_fault(Fault::new(A::status(500)).path("/api/v1/user/*/start_*").times(2));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(lab.post("user/ada/start_desktop", &json!({})).await.status);
    }
    assert_eq!(statuses, [500, 500, 201]);
    assert_eq!(lab.control.fault_hits(id), 2);
    assert!(lab.control.remove_fault(id) && !lab.control.remove_fault(id), "once");
}

#[tokio::test]
async fn created_and_then_500_leaves_the_client_to_find_out() {
    let lab = Lab::start(Version::V2_0).await;
    lab.control.add_fault(Fault::new(A::DoneBut { status: 500 }).on("POST", "/api/v1/user").times(1));
    assert_eq!(lab.post("user", &new_user("ada", "ada@x.example")).await.status, 500);
    let again = lab.post("user", &new_user("ada", "ada@x.example")).await;
    assert_eq!(again.said(), says(400, "{}"), "a retry without a look is refused");
    assert_eq!(lab.get("user/ada").await.json()["user"]["email"], "ada@x.example", "a look finds it");
}

#[tokio::test]
async fn every_call_can_be_slow() {
    let lab = Lab::start(Version::V2_0).await;
    lab.control.delay_all(Duration::from_millis(60));
    for path in ["info", "user", "group-info"] {
        let start = Instant::now();
        assert_eq!(lab.get(path).await.status, 200, "{path}");
        assert!(start.elapsed() >= Duration::from_millis(60), "{path}");
    }
    let start = Instant::now();
    let twenty = (0..20).map(|_| lab.get("me"));
    futures_util::future::join_all(twenty).await;
    assert!(start.elapsed() < Duration::from_millis(20 * 60), "side by side, not one after another");
}
