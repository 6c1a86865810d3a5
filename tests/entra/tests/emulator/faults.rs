//! Injected faults as a client meets them.

use std::time::Duration;

use entra_emulator::fixtures::{self, person};
use entra_emulator::{Fault, FaultAction as A, Side};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Lab, app_token_request, basic, changed};

const KEYS: &str = "/common/discovery/v2.0/keys";

fn status(status: u16, retry_after: Option<&str>, html: bool) -> A {
    A::Status { status, retry_after: retry_after.map(str::to_owned), html }
}

/// What arrives on a connection of one's own: everything until the end, or the error that ends it.
async fn raw(lab: &Lab, path: &str) -> Result<Vec<u8>, std::io::Error> {
    let address = lab.entra.login_url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

#[tokio::test]
async fn an_answer_in_place_of_the_genuine_one() {
    let lab = Lab::start().await;
    let keys = lab.login(KEYS);
    // name, action, status, start of the content type, header with value
    let table = [
        ("503", status(503, None, false), 503, "application/json", None),
        ("429 with seconds", status(429, Some("7"), false), 429, "application/json", Some(("retry-after", "7"))),
        (
            "429 with a date",
            status(429, Some("Wed, 21 Oct 2026 07:28:00 GMT"), false),
            429,
            "application/json",
            Some(("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")),
        ),
        ("502 page", status(502, None, true), 502, "text/html", None),
        ("page", A::Html, 200, "text/html", None),
        ("content type", A::WrongContentType { content_type: "text/plain".into() }, 200, "text/plain", None),
        (
            "redirect",
            A::Redirect { location: "https://attacker.example/".into(), status: 307 },
            307,
            "",
            Some(("location", "https://attacker.example/")),
        ),
        ("keys down", A::JwksDown, 503, "application/json", None),
    ];
    for (name, action, status, content_type, header) in table {
        lab.control.clear_faults();
        let id = lab.control.add_fault(Fault::new(action).on(Side::Login));
        let reply = lab.get(&keys).await;
        assert_eq!(reply.status, status, "{name}");
        assert!(reply.header("content-type").starts_with(content_type), "{name}: {}", reply.header("content-type"));
        if let Some((header, value)) = header {
            assert_eq!(reply.header(header), value, "{name}");
        }
        assert_eq!(lab.control.fault_hits(id), 1, "{name}");
    }
    lab.control.clear_faults();
    assert_eq!(lab.get(&keys).await.status, 200, "all faults are gone");
}

#[tokio::test]
async fn error_bodies_are_those_of_the_side() {
    let lab = Lab::start().await;
    lab.control.add_fault(Fault::new(status(503, None, false)));
    assert!(lab.get(&lab.login(KEYS)).await.json()["error_codes"].is_array(), "login");
    assert_eq!(lab.get(&lab.graph("/v1.0/users/x")).await.json()["error"]["code"], "serviceNotAvailable", "graph");
}

#[tokio::test]
async fn discovery_and_keys_go_down_one_by_one() {
    let lab = Lab::start().await;
    let (discovery, keys) = (lab.login("/common/v2.0/.well-known/openid-configuration"), lab.login(KEYS));
    for (name, action, expected) in [("discovery", A::DiscoveryDown, (503, 200)), ("keys", A::JwksDown, (200, 503))] {
        let id = lab.control.add_fault(Fault::new(action));
        assert_eq!((lab.get(&discovery).await.status, lab.get(&keys).await.status), expected, "{name}");
        assert!(lab.control.remove_fault(id), "{name}");
        assert!(!lab.control.remove_fault(id), "{name}: only once");
    }
}

#[tokio::test]
async fn broken_json_is_not_json() {
    let lab = Lab::start().await;
    lab.control.add_fault(Fault::new(A::BadJson));
    let reply = lab.get(&lab.login(KEYS)).await;
    assert_eq!(reply.status, 200);
    assert!(serde_json::from_str::<Value>(&reply.body).is_err());
}

#[tokio::test]
async fn a_truncated_answer_announces_more_than_it_brings() {
    let lab = Lab::start().await;
    let whole = lab.get(&lab.login(KEYS)).await.body.len();
    lab.control.add_fault(Fault::new(A::Truncate { at: 100 }));
    let answer = String::from_utf8(raw(&lab, KEYS).await.unwrap()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.to_ascii_lowercase().contains(&format!("content-length: {whole}")), "{head}");
    assert_eq!(body.len(), 100);
    let response = lab.client.get(lab.login(KEYS)).send().await.unwrap();
    assert!(response.bytes().await.is_err(), "a client notices");
}

#[tokio::test]
async fn a_reset_is_a_reset() {
    let lab = Lab::start().await;
    lab.control.add_fault(Fault::new(A::Reset).times(1));
    let error = raw(&lab, KEYS).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert!(raw(&lab, KEYS).await.unwrap().starts_with(b"HTTP/1.1 200"), "the next connection works");
    let record = lab.control.requests().remove(0);
    assert_eq!((record.fault.as_deref(), record.status), (Some("reset"), None));
}

#[tokio::test]
async fn a_hanging_request_arrives_and_is_never_answered() {
    let lab = Lab::start().await;
    lab.control.add_fault(Fault::new(A::Hang).times(1));
    let waiting = tokio::spawn(lab.client.get(lab.login(KEYS)).timeout(Duration::from_secs(2)).send());
    assert!(lab.control.wait_for_requests(Side::Login, KEYS, 1, Duration::from_secs(10)).await);
    assert!(waiting.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(lab.control.requests()[0].status, None);
    assert_eq!(lab.get(&lab.login(KEYS)).await.status, 200, "others are served meanwhile");
}

#[tokio::test]
async fn late_and_slow_answers_are_the_genuine_ones() {
    let lab = Lab::start().await;
    let path = "/common/discovery/instance";
    let genuine = lab.get(&lab.login(path)).await.body;
    for (name, action) in [("late", A::Delay { delay_ms: 120 }), ("slow", A::SlowDrip { interval_ms: 1 })] {
        lab.control.clear_faults();
        lab.control.add_fault(Fault::new(action));
        let start = std::time::Instant::now();
        assert_eq!(lab.get(&lab.login(path)).await.body, genuine, "{name}");
        assert!(start.elapsed() >= Duration::from_millis(100), "{name}: {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_big_body_has_exactly_the_size_asked_for_and_no_announcement() {
    let lab = Lab::start().await;
    for bytes in [1_000, 3 * 1024 * 1024 + 5] {
        lab.control.clear_faults();
        lab.control.add_fault(Fault::new(A::BigBody { bytes }));
        let reply = lab.get(&lab.login(KEYS)).await;
        assert_eq!((reply.status, reply.body.len() as u64), (200, bytes));
        assert_eq!(reply.header("content-length"), "", "streamed");
        assert!(reply.json()["padding"].is_string(), "well-formed");
    }
}

#[tokio::test]
async fn an_error_of_entras_own_choosing() {
    let lab = Lab::start().await;
    let (code, error, suberror) = (50_076, "invalid_grant", Some("basic_action".to_owned()));
    lab.control.add_fault(Fault::new(A::Aadsts { code, error: error.into(), suberror }).path("*/token").times(1));
    let request = app_token_request(lab.entra.graph_url());
    let reply = lab.token(fixtures::CONTOSO, &request).await;
    let body = reply.json();
    assert_eq!((reply.status, &body["error"], &body["suberror"]), (400, &json!(error), &json!("basic_action")));
    assert_eq!(body["error_codes"], json!([50_076]));
    assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS50076: "));
    assert_eq!(lab.token(fixtures::CONTOSO, &request).await.status, 200, "once");
}

#[tokio::test]
async fn an_error_can_repeat_the_secret_it_was_sent() {
    let lab = Lab::start().await;
    lab.control.add_fault(Fault::new(A::EchoSecret));
    let form = app_token_request(lab.entra.graph_url());
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let without = changed(form.clone(), &[("client_secret", None)]);
    let by_basic =
        lab.form(&url, &without).header("authorization", basic(fixtures::CLIENT_ID, fixtures::CLIENT_SECRET));
    for (name, request) in [("form", lab.form(&url, &form)), ("Basic", by_basic)] {
        let reply = lab.send(request).await;
        assert_eq!((reply.status, &reply.json()["error"]), (401, &json!("invalid_client")), "{name}");
        assert!(reply.json()["error_description"].as_str().unwrap().contains(fixtures::CLIENT_SECRET), "{name}");
    }
    assert!(lab.control.requests().iter().all(|record| record.fault.as_deref() == Some("echo_secret")));
}

#[tokio::test]
async fn a_fault_in_mid_flow_leaves_the_code_usable_only_if_the_request_did_not_get_through() {
    let lab = Lab::start().await;
    let form = crate::support::token_request(&lab.code(person::ADA).await);
    let id = lab.control.add_fault(Fault::new(status(503, None, false)).path("*/token"));
    assert_eq!(lab.token(fixtures::CONTOSO, &form).await.status, 503);
    lab.control.remove_fault(id);
    let id = lab.control.add_fault(Fault::new(A::Truncate { at: 10 }).path("*/token"));
    let url = lab.login(&format!("/{}/oauth2/v2.0/token", fixtures::CONTOSO));
    let response = lab.form(&url, &form).send().await.unwrap();
    assert!(response.bytes().await.is_err());
    lab.control.remove_fault(id);
    let reply = lab.token(fixtures::CONTOSO, &form).await;
    assert_eq!(reply.json()["error_codes"], json!([54_005]), "the lost answer had redeemed it");
}
