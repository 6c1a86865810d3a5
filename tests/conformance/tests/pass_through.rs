//! In front of a Defguard proxy, and inside one: what isn't ours passes through untouched, and the proxy's own web page works as
//! it always did. A program of its own, since it measures memory.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use conformance::service::Service;
use conformance::{Browser, Entra, HostOptions};
use defguard_openid_host::{Elsewhere, router_beside};
use entra_emulator::fixtures::person;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;
use tower::ServiceExt as _;

/// A request as the proxy behind saw it.
#[derive(Debug, Clone)]
struct Seen {
    line: String,
    headers: HeaderMap,
    body: Bytes,
}

/// What stands in for Defguard's proxy 1.6: its page at every path, its API, and a record of everything.
struct Proxy {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// 1 GiB, in pieces of 64 KiB.
const BIG: usize = 1 << 30;
const PIECE: usize = 64 << 10;

async fn big() -> Response {
    let piece = Bytes::from(vec![7_u8; PIECE]);
    let pieces = futures_util::stream::iter((0..BIG / PIECE).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    ([(header::CONTENT_LENGTH, BIG)], Body::from_stream(pieces)).into_response()
}

async fn count(body: Body) -> String {
    let mut bytes = 0;
    let mut pieces = body.into_data_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        bytes += piece.len();
    }
    bytes.to_string()
}

impl Proxy {
    async fn start() -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let record = Arc::clone(&seen);
        let app = Router::new().route("/big", get(big)).route("/count", post(count)).fallback(
            async move |request: Request| {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
                let line = format!("{} {}", parts.method, parts.uri);
                record.lock().unwrap().push(Seen { line, headers: parts.headers, body });
                answer(parts.uri.path())
            },
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Self { url, seen, server }
    }

    fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().cloned().expect("a request came")
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn answer(path: &str) -> Response {
    let mark = [("x-powered-by", "Defguard"), ("connection", "x-of-this-hop"), ("x-of-this-hop", "1")];
    match path {
        "/api/v1/enrollment/start" => (mark, [("set-cookie", "defguard_proxy=abc")], "{}").into_response(),
        "/gone" => (StatusCode::GONE, mark, "gone").into_response(),
        "/moved" => (StatusCode::FOUND, mark, [("location", "/elsewhere")], "").into_response(),
        path if path.starts_with("/api/") => (mark, r#"{"from":"proxy"}"#).into_response(),
        _ => (mark, [("content-type", "text/html")], "<!doctype html><title>Defguard</title>").into_response(),
    }
}

async fn in_front_of(proxy: &Proxy, more: &str) -> Entra {
    let top = format!("upstream = {:?}", proxy.url);
    Entra::start(HostOptions { top, more: more.into(), ..HostOptions::default() }).await
}

#[tokio::test]
async fn what_is_not_ours_is_the_proxys() {
    let proxy = Proxy::start().await;
    let stack = in_front_of(&proxy, "").await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let table = [
        ("GET", "/", 200),
        ("GET", "/enrollment-start?a=b%20c&a=d", 200),
        ("HEAD", "/enrollment-start", 200),
        ("GET", "/gone", 410),
        ("GET", "/moved", 302),
        ("POST", "/api/v1/enrollment/start", 200),
        ("PUT", "/api/v1/whatever", 200),
        ("GET", "/api/v1/health", 200),
        ("GET", "/openid/mfa", 200),
        ("GET", "/openid/error", 200),
        ("POST", "/api/v1/openid/callback/mfa", 200),
    ];
    for (method, path, status) in table {
        let request = client
            .request(method.parse().unwrap(), format!("{}{path}", stack.host.url))
            .header("cookie", "defguard_proxy=abc; __Host-openid-0011223344556677=entra.1.x")
            .header("x-forwarded-for", "10.9.9.9")
            .body(if method == "POST" { "a body" } else { "" });
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(answer.headers()["x-powered-by"], "Defguard", "{method} {path}");
        assert!(answer.headers().get("x-of-this-hop").is_none(), "{method} {path}: {:?}", answer.headers());
        assert!(answer.headers().get("content-security-policy").is_none(), "{method} {path}: its answers stay its own");
        let seen = proxy.last();
        assert_eq!(seen.line, format!("{method} {path}"));
        assert_eq!(seen.body, if method == "POST" { "a body" } else { "" }, "{method} {path}");
        assert_eq!(seen.headers["cookie"], "defguard_proxy=abc", "{method} {path}: not our cookies");
        assert_eq!(seen.headers["x-forwarded-for"], "127.0.0.1", "{method} {path}: not the client's word");
        assert_eq!(seen.headers["host"], stack.host.url.trim_start_matches("http://"), "{method} {path}");
    }
}

/// None of our headers is on it.
fn is_the_proxys_own(answer: &conformance::Answer, name: &str) {
    let has = |wanted: &str| answer.headers.iter().any(|(name, _)| name == wanted);
    assert!(has("x-powered-by") && !has("content-security-policy") && !has("cache-control"), "{name}: {answer:?}");
}

#[tokio::test]
async fn multi_factor_sign_in_is_the_proxys() {
    let proxy = Proxy::start().await;
    let stack = in_front_of(&proxy, "").await;
    for path in ["auth_info", "callback"] {
        let body = json!({ "type": "mfa", "state": "token", "code": "c" });
        let answer = stack.browser().post_json(&format!("/api/v1/openid/{path}"), &body).await;
        assert_eq!(answer.body, r#"{"from":"proxy"}"#, "{path}");
        assert_eq!(proxy.last().body, body.to_string(), "{path}: untouched");
        is_the_proxys_own(&answer, path);
    }
}

#[tokio::test]
async fn the_proxys_own_page_works_unchanged() {
    let proxy = Proxy::start().await;
    let stack = in_front_of(&proxy, "[pages]\ncallback = \"proxy\"\n").await;
    let browser = stack.browser();
    // What the page calls: auth_info, then, at the callback, our API, then the enrollment of the proxy with our token.
    let info = browser.auth_info().await.json();
    assert!(info["button_display_name"].is_string() && info["url"].is_string(), "{info}");
    let back = browser.at_entra(info["url"].as_str().unwrap(), person::ADA).await;
    let callback = back.location.unwrap();
    let page = browser.get(&callback).await;
    assert!(page.body.contains("<title>Defguard</title>"), "the proxy's page: {}", page.body);
    is_the_proxys_own(&page, "its page would not work under our policy");
    let done = browser.finish(&callback).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let token = done.json()["token"].clone();
    let started = browser.post_json("/api/v1/enrollment/start", &json!({ "token": token })).await;
    assert_eq!((started.status, started.body.as_str()), (200, "{}"));
    assert_eq!(proxy.last().body, json!({ "token": token }).to_string());
    // What that page drops is ours to explain (Defguard #2950).
    let before = proxy.count();
    let refused = browser.get("/openid/callback?error=access_denied&state=x").await;
    assert_eq!((refused.status, proxy.count()), (400, before), "{}", refused.body);
}

#[tokio::test]
async fn single_sign_on_only() {
    // Defguard #879
    let proxy = Proxy::start().await;
    let table = [("", false), ("[pages]\ntoken_enrollment = false\n", true)];
    for (more, only) in table {
        let stack = in_front_of(&proxy, more).await;
        for path in ["/", "/enrollment-start"] {
            let page = stack.browser().get(path).await;
            assert_eq!(page.location.is_some_and(|to| to.ends_with("/openid/sign-in")), only, "{more}: {path}");
        }
        let page = stack.browser().get("/openid/sign-in").await;
        assert_eq!(page.body.contains("/enrollment-start"), !only, "{more}: {}", page.body);
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there() {
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let stack = Entra::start(HostOptions { top: format!("upstream = {nobody:?}"), ..HostOptions::default() }).await;
    for path in ["/", "/api/v1/info"] {
        let answer = stack.browser().get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_unreachable"), "{path}: {}", answer.body);
        assert!(answer.headers.iter().any(|(name, _)| name == "content-security-policy"), "{path}: this page is ours");
    }
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "sign-in doesn't need it");
}

#[tokio::test]
async fn a_web_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() || message.is_binary() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let stack = Entra::start(HostOptions { top: format!("upstream = {url:?}"), ..HostOptions::default() }).await;
    let address = format!("{}/ws", stack.host.url.replace("http://", "ws://"));
    let (mut socket, answer) = tokio_tungstenite::connect_async(address).await.unwrap();
    assert_eq!(answer.status().as_u16(), 101);
    for message in [Message::text("hello"), Message::binary(vec![1; 1 << 20])] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    tokio::time::timeout(Duration::from_secs(20), server).await.expect("its end is passed on").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_outlives_every_limit_of_ours() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    });
    let limits = "[limits]\nheader_timeout_s = 1\nbody_timeout_s = 1\nwrite_timeout_s = 1\n";
    // Longer than each of them.
    let rest = Duration::from_millis(2500);
    let options =
        |url: &str| HostOptions { top: format!("upstream = {url:?}"), more: limits.into(), ..HostOptions::default() };
    let stack = Entra::start(options(&url)).await;
    let address = format!("{}/ws", stack.host.url.replace("http://", "ws://"));
    let (mut socket, _) = tokio_tungstenite::connect_async(address).await.unwrap();
    tokio::time::sleep(rest).await;
    socket.send(Message::text("still there")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("still there"), "a web socket that rests");
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    tokio::time::timeout(Duration::from_secs(20), server).await.expect("its end is passed on").unwrap();

    let proxy = Proxy::start().await;
    let stack = Entra::start(options(&proxy.url)).await;
    let client = reqwest::Client::new();
    let mut answer = client.get(format!("{}/big", stack.host.url)).send().await.unwrap();
    let mut bytes = answer.chunk().await.unwrap().unwrap().len();
    // Both sides' buffers are full by now, and nothing is taken.
    tokio::time::sleep(rest).await;
    while let Some(piece) = answer.chunk().await.unwrap() {
        bytes += piece.len();
    }
    assert_eq!(bytes, BIG, "a download that pauses");
    let pieces = futures_util::stream::iter(0..4).then(move |_| async move {
        tokio::time::sleep(rest / 2).await;
        Ok::<_, std::io::Error>(Bytes::from_static(b"piece"))
    });
    let upload = client.post(format!("{}/count", stack.host.url)).body(reqwest::Body::wrap_stream(pieces));
    assert_eq!(upload.send().await.unwrap().text().await.unwrap(), "20", "an upload that takes its time");
}

/// Resident memory of this process, which is host, proxy and client at once, in MiB.
fn resident_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gigabyte_each_way_at_constant_memory() {
    let proxy = Proxy::start().await;
    let stack = in_front_of(&proxy, "").await;
    let client = reqwest::Client::new();
    let before = resident_mib();
    let mut most = before;
    let mut answer = client.get(format!("{}/big", stack.host.url)).send().await.unwrap();
    assert_eq!(answer.headers()["content-length"], BIG.to_string().as_str());
    let mut bytes = 0;
    while let Some(piece) = answer.chunk().await.unwrap() {
        bytes += piece.len();
        if bytes % (64 << 20) < piece.len() {
            most = most.max(resident_mib());
        }
    }
    assert_eq!(bytes, BIG, "down");
    let piece = Bytes::from(vec![7_u8; PIECE]);
    let pieces = futures_util::stream::iter((0..BIG / PIECE).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    let upload = client.post(format!("{}/count", stack.host.url)).body(reqwest::Body::wrap_stream(pieces));
    assert_eq!(upload.send().await.unwrap().text().await.unwrap(), BIG.to_string(), "up");
    most = most.max(resident_mib());
    // Whatever else this process does at the same time counts as well.
    assert!(most < before + 200, "from {before} to {most} MiB");
}

#[tokio::test]
async fn inside_the_proxys_own_router() {
    #[derive(Clone)]
    struct TheirState(&'static str);

    let stack = Entra::plain().await;
    let mfa = Elsewhere::new(async |request: Request| format!("theirs: {}", request.uri().path()).into_response());
    let app: Router = Router::new()
        .route(
            "/api/v1/info",
            get(async |axum::extract::State(TheirState(name)): axum::extract::State<TheirState>| name),
        )
        .route("/api/v1/openid/callback/mfa", post(async || "theirs"))
        .merge(router_beside(Arc::clone(&stack.host.gateway), mfa))
        .fallback(async || axum::response::Html("their page"))
        .with_state(TheirState("theirs"));
    let json = |body: &'static str| (header::CONTENT_TYPE, body);
    let table = [
        ("GET", "/api/v1/info", "", "theirs"),
        ("GET", "/openid/mfa", "", "their page"),
        ("GET", "/", "", "their page"),
        ("POST", "/api/v1/openid/callback/mfa", "{}", "theirs"),
        ("POST", "/api/v1/openid/auth_info", r#"{"type":"mfa"}"#, "theirs: /api/v1/openid/auth_info"),
        ("POST", "/api/v1/openid/auth_info", r#"{"type":"enrollment"}"#, "button_display_name"),
        ("GET", "/api/v1/openid/providers", "", "entra"),
        ("GET", "/openid/sign-in", "", "Sign in to enroll"),
    ];
    for (method, path, body, expected) in table {
        let (name, value) = json("application/json");
        let request = Request::builder().method(method).uri(path).header(name, value).body(Body::from(body)).unwrap();
        let answer = app.clone().oneshot(request).await.unwrap();
        let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(expected), "{method} {path}: {text}");
    }
    // A browser signs in there as anywhere.
    assert_eq!(Browser::new(&stack.host.url).sign_in(person::ADA).await.status, 200);
}

#[tokio::test]
async fn the_example_serves() {
    let service = Service::prepare(HostOptions::default()).await;
    // Cargo puts it beside the folder of this very program.
    let example = std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("in_proxy");
    assert!(example.exists(), "{} isn't there: cargo test builds it with everything else", example.display());
    let mut running = service.run(Command::new(example).arg(service.config())).await;
    let browser = Browser::new(&service.url);
    let table = [
        ("/", "The proxy's web page"),
        ("/openid/sign-in", "Sign in to enroll"),
        ("/openid/mfa", "The proxy's web page"),
        ("/api/v1/health", "Defguard proxy is up"),
        ("/api/v1/openid/providers", "entra"),
    ];
    for (path, expected) in table {
        let page = browser.get(path).await;
        assert!(page.body.contains(expected), "{path}: {}", page.body);
    }
    let theirs = browser.post_json("/api/v1/openid/auth_info", &json!({ "type": "mfa" })).await;
    assert_eq!(theirs.body, r#"{"error":"Internal server error"}"#);
    let finished = browser.sign_in(person::ADA).await;
    assert_eq!(finished.status, 200, "{}", finished.body);
    running.kill().await.unwrap();
}
