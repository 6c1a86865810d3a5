//! What an operator sees: metrics after a known story, the log line of a request, the audit log's address, traces at a collector, and
//! nothing of all that which shouldn't be there.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use conformance::service::{Service, all_of};
use conformance::{Browser, Entra, HostOptions};
use entra_emulator::TokenMischief;
use entra_emulator::fixtures::{self, person};
use tokio::net::TcpListener;
use tokio::process::Child;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_after_a_known_story() {
    let stack = Entra::start(HostOptions::default()).await;
    // Two people sign in, one comes back with a forged token, one looks at a page that isn't there.
    for _ in 0..2 {
        assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    }
    stack.entra.control().mischief_once(TokenMischief::WrongNonce);
    assert_eq!(stack.browser().sign_in(person::ADA).await.code(), "id_token_nonce_mismatch");
    assert_eq!(stack.browser().get("/openid/secret-path?code=secret-code").await.status, 404);
    let gateway = &stack.host.gateway;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let scraped = format!("http://{}", listener.local_addr().unwrap());
    let router = defguard_openid_host::metrics::router(Arc::clone(gateway));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let text = Browser::new(&scraped).get("/metrics").await.body;
    let value = |row: &str| -> f64 {
        let line =
            text.lines().find_map(|line| line.strip_prefix("defguard_openid_")?.strip_prefix(row)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no row {row} in:\n{text}")).parse().unwrap()
    };
    let table = [
        (r#"logins_total{provider="entra",step="begin",outcome="ok",code=""}"#, 3.0),
        (r#"logins_total{provider="entra",step="complete",outcome="ok",code=""}"#, 2.0),
        (r#"logins_total{provider="entra",step="complete",outcome="refused",code="id_token_nonce_mismatch"}"#, 1.0),
        (r#"login_phase_duration_seconds_count{provider="entra",phase="begin"}"#, 3.0),
        (r#"login_phase_duration_seconds_count{provider="entra",phase="complete"}"#, 3.0),
        (r#"login_phase_duration_seconds_count{provider="entra",phase="token_request"}"#, 3.0),
        (r#"login_phase_duration_seconds_count{provider="entra",phase="handover"}"#, 2.0),
        (r#"capability_calls_total{interface="credentials",outcome="ok"}"#, 3.0),
        // Discovery and keys, once each.
        (r#"capability_calls_total{interface="http",outcome="ok"}"#, 2.0),
        (r#"http_requests_total{route="(none)",status="404"}"#, 1.0),
        ("instances_in_use", 0.0),
        ("instances_waiting", 0.0),
        ("instances_limit", 64.0),
        ("http_requests_under_way", 0.0),
        ("audit_failures_total", 0.0),
    ];
    for (row, expected) in table {
        assert!((value(row) - expected).abs() < 0.5, "{row}: {} instead of {expected}", value(row));
    }
    assert!(value(r#"storage_operations_total{backend="memory",operation="compare_and_swap",outcome="ok"}"#) >= 3.0);
    assert!(value(r#"storage_operations_total{backend="memory",operation="take",outcome="ok"}"#) >= 3.0);
    assert!(value(r#"storage_operation_duration_seconds_count{backend="memory",operation="take"}"#) >= 3.0);
    assert!(value(r#"key_set_age_seconds{provider="entra"}"#) < 60.0);
    assert!(value("connections_accepted_total") >= 1.0);
    assert!(!text.contains("self-test"), "nor of the plugin's self-test:\n{text}");
    assert!(!text.contains("secret-"), "nothing of a path or query:\n{text}");
}

fn terminate(child: &Child) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_for_each_request() {
    let options = HostOptions {
        top: "trusted_proxies = [\"127.0.0.1\"]".into(),
        more: "[log]\nformat = \"json\"\nlevel = \"debug\"\n".into(),
        ..HostOptions::default()
    };
    let service = Service::prepare(options).await;
    let mut child = service.spawn().await;
    let answer = reqwest::Client::new()
        .get(format!("{}/openid/callback?error=access_denied&state=secret-state", service.url))
        .header("x-forwarded-for", "203.0.113.9, 192.0.2.7")
        .send()
        .await
        .unwrap();
    let trace = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(answer.status().as_u16(), 400);
    terminate(&child);
    let (_, log) = all_of(&mut child).await;
    let records = || log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let of_request = records().find(|record| record["message"] == "request" && record["trace"] == trace.as_str());
    let record = of_request.unwrap_or_else(|| panic!("no line of {trace}: {log}"));
    assert_eq!(
        (&record["method"], &record["route"], &record["status"]),
        (&"GET".into(), &"/openid/callback".into(), &400.into()),
        "{record}"
    );
    assert_eq!(record["client"], "192.0.2.7", "{record}");
    assert!(record["duration_ms"].is_u64(), "{record}");
    assert!(!log.contains("secret-state"), "{log}");
    let audit = std::fs::read_to_string(service.folder.path().join("audit.jsonl")).unwrap();
    let audited: serde_json::Value = serde_json::from_str(audit.lines().last().unwrap()).unwrap();
    assert_eq!((&audited["trace"], &audited["client"]), (&trace.into(), &"192.0.2.7".into()), "{audit}");
}

/// What a collector got.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

impl Collector {
    async fn start(&self) -> String {
        let taken = self.clone();
        let app = Router::new().route(
            "/v1/traces",
            post(async move |headers: HeaderMap, body: Bytes| {
                taken.0.lock().unwrap().push((headers, body));
                StatusCode::OK
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }

    /// All batches, one after the other: names and values are in it as they are (protobuf).
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().iter().flat_map(|(_, body)| body.to_vec()).collect()
    }
}

fn holds(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_at_a_collector() {
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let options = HostOptions {
        top: "trusted_proxies = [\"127.0.0.1\"]".into(),
        more: format!(
            "[telemetry]\notlp_endpoint = \"{endpoint}\"\nservice_name = \"enrollment\"\nheaders_file = \"headers\"\n"
        ),
        files: vec![("headers".into(), "authorization: Bearer collector-credential\n".into())],
        ..HostOptions::default()
    };
    let service = Service::prepare(options).await;
    let mut child = service.spawn().await;
    let browser = Browser::new(&service.url);
    let callback = browser.callback_url(person::ADA).await;
    let finished = browser.finish(&callback).await;
    assert_eq!(finished.status, 200, "{}", finished.body);
    let token = finished.json()["token"].as_str().unwrap_or_default().to_owned();
    let parent = "4bf92f3577b34da6a3ce929d0e0e4736";
    let traced = reqwest::Client::new().get(format!("{}/openid/sign-in?code=secret-query", service.url));
    let traced = traced.header("traceparent", format!("00-{parent}-00f067aa0ba902b7-01")).send().await.unwrap();
    let request_id = traced.headers()["x-request-id"].to_str().unwrap().to_owned();
    terminate(&child);
    let (code, log) = all_of(&mut child).await;
    assert_eq!(code, Some(0), "{log}");
    // The last spans are sent before the process ends.
    let bytes = collector.bytes();
    for wanted in [
        "enrollment",
        "/api/v1/openid/auth_info",
        "/openid/sign-in",
        "begin",
        "complete",
        "handover",
        "storage",
        "compare_and_swap",
        "server.address",
        &request_id,
    ] {
        assert!(holds(&bytes, wanted.as_bytes()), "no {wanted} in {} bytes", bytes.len());
    }
    let trace_id: Vec<u8> = (0..32).step_by(2).map(|at| u8::from_str_radix(&parent[at..at + 2], 16).unwrap()).collect();
    assert!(holds(&bytes, &trace_id), "a trusted proxy's trace goes on");
    let url = url::Url::parse(&callback).unwrap();
    let parameters = url.query_pairs().map(|(_, value)| value.into_owned()).filter(|value| value.len() > 8);
    let secrets = [fixtures::CLIENT_SECRET.to_owned(), "secret-query".into(), "ada@".into(), token];
    for secret in parameters.chain(secrets).filter(|secret| !secret.is_empty()) {
        assert!(!holds(&bytes, secret.as_bytes()), "{secret} is in a trace");
    }
    assert!(!log.contains("collector-credential"), "{log}");
    for (headers, _) in collector.0.lock().unwrap().iter() {
        assert_eq!(headers["authorization"], "Bearer collector-credential");
        assert_eq!(headers["content-type"], "application/x-protobuf");
    }
    for request in service.entra.control().requests() {
        assert!(!request.header_names.iter().any(|name| name == "traceparent" || name == "tracestate"), "{request:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_not_there_hurts_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = conformance::free_address();
    for (name, address) in [("nobody listens", nobody), ("it never answers", silent.local_addr().unwrap())] {
        let more = format!("[telemetry]\notlp_endpoint = \"http://{address}\"\n");
        let service = Service::prepare(HostOptions { more, ..HostOptions::default() }).await;
        let mut child = service.spawn().await;
        let started = Instant::now();
        assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200, "{name}");
        terminate(&child);
        let (code, log) = all_of(&mut child).await;
        assert_eq!(code, Some(0), "{name}: {log}");
        assert!(started.elapsed() < Duration::from_secs(30), "{name}: {:?}", started.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_traceparent_counts_for_nothing() {
    let collector = Collector::default();
    let endpoint = collector.start().await;
    let more = format!("[telemetry]\notlp_endpoint = \"{endpoint}\"\nsampling_ratio = 0.0\n");
    let service = Service::prepare(HostOptions { more, ..HostOptions::default() }).await;
    let mut child = service.spawn().await;
    let asked = reqwest::Client::new().get(format!("{}/openid/sign-in", service.url));
    let asked = asked.header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    assert_eq!(asked.send().await.unwrap().status().as_u16(), 200);
    terminate(&child);
    assert_eq!(all_of(&mut child).await.0, Some(0));
    assert!(collector.bytes().is_empty(), "nobody outside decides what is traced");
}

#[test]
fn a_configuration_can_be_printed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("secret", "client-secret-value"),
        ("core", "dg-core-token-value"),
        ("headers", "x: header-value"),
        ("admin", "admin-password-value"),
    ] {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let text = "public_url = \"https://enroll.example\"\n[handover]\nkind = \"core\"\nurl = \"https://core.example\"\n\
                token_file = \"core\"\n[telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\nheaders_file = \"headers\"\n\
                [admin]\npassword_file = \"admin\"\n[[provider]]\nid = \"op\"\nkind = \"oidc\"\n\
                base_url = \"https://op.example\"\nclient_id = \"x\"\nclient_secret_file = \"secret\"\n";
    let path = folder.path().join("openid.toml");
    let config = defguard_openid_host::Config::parse(&path, text).unwrap();
    let printed = format!("{config:?}{config:#?}");
    assert!(printed.contains("[secret]"), "{printed}");
    for secret in ["client-secret-value", "dg-core-token-value", "header-value", "admin-password-value"] {
        assert!(!printed.contains(secret), "{secret} can be printed");
    }
}
