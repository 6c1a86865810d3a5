//! The HTTP service around sign-in: headers of every answer, the request's name, the base URL that no request can change, and the
//! orderly end of the process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use conformance::raw::Raw;
use conformance::service::{Service, all_of};
use conformance::{Answer, Browser, Entra, HostOptions};
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};
use tokio::net::TcpStream;

fn header<'a>(answer: &'a Answer, wanted: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
}

#[tokio::test]
async fn every_answer_is_protected_and_has_a_name() {
    let stack = Entra::plain().await;
    let mut names = std::collections::BTreeSet::new();
    for path in [
        "/openid/sign-in",
        "/openid/start",
        "/openid/callback?error=access_denied&state=x",
        "/openid/nothing",
        "/openid/assets/style.css",
        "/api/v1/openid/providers",
        "/api/v1/openid/nothing",
    ] {
        let answer = stack.browser().look_at(path, "").await;
        for (name, expected) in [
            ("content-security-policy", "default-src 'none'"),
            ("content-security-policy", "frame-ancestors 'none'"),
            ("content-security-policy", "require-trusted-types-for 'script'"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("permissions-policy", "camera=()"),
            ("cache-control", ""),
        ] {
            let value = header(&answer, name).unwrap_or_else(|| panic!("{path}: no {name}"));
            assert!(value.contains(expected), "{path}: {name}: {value}");
        }
        assert_eq!(header(&answer, "strict-transport-security"), None, "{path}: public_url is http here");
        let name = header(&answer, "x-request-id").unwrap_or_else(|| panic!("{path}: no name"));
        assert_eq!(name.len(), 10, "{path}");
        assert!(names.insert(name.to_owned()), "{path}: the name {name} was given before");
        let shown = [answer.element("trace"), answer.json()["trace"].as_str().unwrap_or_default().to_owned()].concat();
        assert!(shown.is_empty() || shown == name, "{path}: {shown} on the page, {name} in the header");
    }
}

#[tokio::test]
async fn behind_https_browsers_are_told_to_stay_there() {
    let stack = Entra::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let options = conformance::signing::signed_component(folder.path());
    let options = options.with_provider(&conformance::entra_provider(&stack.entra));
    let https = stack.host.twin_at("https://enroll.example.com", options).await;
    for (path, has) in [("/openid/sign-in", true), ("/api/v1/openid/providers", true)] {
        let answer = Browser::new(&https.url).get(path).await;
        assert_eq!(header(&answer, "strict-transport-security").is_some(), has, "{path}");
    }
}

#[tokio::test]
async fn where_browsers_find_us_is_no_requests_word() {
    let stack =
        Entra::start(HostOptions { top: "trusted_proxies = [\"127.0.0.1\"]".into(), ..HostOptions::default() }).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let expected: String =
        url::form_urlencoded::byte_serialize(format!("{}/openid/callback", stack.host.url).as_bytes()).collect();
    for (name, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "666"),
        ("x-forwarded-prefix", "/evil.example"),
        ("x-original-url", "/evil.example"),
        ("x-rewrite-url", "/evil.example"),
        ("forwarded", "host=evil.example;proto=https"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ] {
        let url = |path: &str| format!("{}{path}", stack.host.url);
        let begun = client.get(url("/openid/start")).header(name, value).send().await.unwrap();
        let location = begun.headers()["location"].to_str().unwrap();
        assert!(
            location.contains(&format!("redirect_uri={expected}&"))
                || location.ends_with(&format!("redirect_uri={expected}")),
            "{name}: {location}"
        );
        let asked =
            client.post(url("/api/v1/openid/auth_info")).header("content-type", "application/json").header(name, value);
        let info: serde_json::Value =
            asked.body(r#"{"type":"enrollment"}"#).send().await.unwrap().json().await.unwrap();
        assert!(info["url"].as_str().unwrap().contains(&expected), "{name}: {info}");
        for path in ["/openid/sign-in", "/", "/openid/callback?error=access_denied&state=x", "/openid/nothing"] {
            let page = client.get(url(path)).header(name, value).send().await.unwrap();
            let headers = format!("{:?}", page.headers());
            let text = page.text().await.unwrap();
            assert!(
                !text.contains("evil.example") && !headers.contains("evil.example"),
                "{name}: {path}: {headers} {text}"
            );
        }
    }
}

fn terminate(child: &tokio::process::Child) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orderly_end() {
    let metrics = conformance::free_address();
    let more = format!("[metrics]\nlisten = \"{metrics}\"\n");
    let service = Service::prepare(HostOptions { more, ..HostOptions::default() }).await;
    let mut child = service.spawn().await;
    let mut idle = Raw::connect(&service.url).await;
    idle.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(idle.read_until("\"ok\"").await.0.starts_with("HTTP/1.1 200"));
    let mut half = Raw::connect(&service.url).await;
    half.send("GET /health HTTP/1.1\r\nhost:").await;
    let people: Vec<Browser> = (0..8).map(|_| Browser::new(&service.url)).collect();
    let mut callbacks = Vec::new();
    for browser in &people {
        callbacks.push(browser.callback_url(person::ADA).await);
    }
    let control = service.entra.control();
    control.add_fault(Fault::new(FaultAction::Delay { delay_ms: 4000 }).on(Side::Login).path("*/token").times(8));
    let answered = AtomicUsize::new(0);
    let finishing = people.iter().zip(&callbacks).map(|(browser, callback)| async {
        let answer = browser.finish(callback).await;
        answered.fetch_add(1, Ordering::Relaxed);
        answer
    });
    let (finished, ()) = tokio::join!(futures_util::future::join_all(finishing), async {
        assert!(control.wait_for_requests(Side::Login, "*/token", 8, Duration::from_secs(20)).await);
        terminate(&child);
        // No connection is taken any more; those that have nothing to do are closed.
        let address = service.url.trim_start_matches("http://");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_ok() {
            assert!(Instant::now() < deadline, "it still takes connections");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(idle.read_to_end().await, "", "an idle connection");
        assert_eq!(half.read_to_end().await, "", "one that says half of what it wants");
        assert_eq!(answered.load(Ordering::Relaxed), 0, "and nobody waited for the other half");
        let operators = Browser::new(&format!("http://{metrics}"));
        let health = operators.get("/health").await;
        assert_eq!((health.status, &health.json()["status"]), (200, &"draining".into()), "{}", health.body);
        assert_eq!(operators.get("/ready").await.status, 503);
    });
    for answer in finished {
        assert_eq!(answer.status, 200, "a sign-in under way finishes: {}", answer.body);
    }
    let (code, log) = all_of(&mut child).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped") && !log.contains("still under way"), "{log}");
}
