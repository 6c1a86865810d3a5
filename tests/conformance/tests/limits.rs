//! What a client may cost: slow, large, silent and senseless ones are told so or left, and nobody else notices. Rate limits go by
//! the client's address, which a header says only if it comes from a trusted proxy.

use std::time::{Duration, Instant};

use conformance::raw::Raw;
use conformance::{Answer, Browser, Entra, HostOptions};
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};

fn limited(limits: &str) -> HostOptions {
    HostOptions { more: format!("[limits]\n{limits}\n"), ..HostOptions::default() }
}

/// A value of `/metrics`; 0 if the row isn't there.
fn metric(stack: &Entra, row: &str) -> f64 {
    let text = stack.host.gateway.metrics().text().unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(row)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits for a value of `/metrics`.
async fn metric_becomes(stack: &Entra, name: &str, row: &str, wanted: impl Fn(f64) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !wanted(metric(stack, row)) {
        assert!(Instant::now() < deadline, "{name}: {row} is {}", metric(stack, row));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const ENDED: &str = "defguard_openid_connections_ended_early_total";

fn post(headers: &str, body: &str) -> String {
    format!(
        "POST /api/v1/openid/auth_info HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{body}"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn senseless_clients() {
    let stack = Entra::start(limited("header_timeout_s = 1\nbody_timeout_s = 1\nwrite_timeout_s = 1")).await;
    let good = "GET /openid/assets/style.css HTTP/1.1\r\nhost: x\r\n\r\n";
    let cookies = format!("GET / HTTP/1.1\r\nhost: x\r\ncookie: {}\r\n\r\n", "a=b; ".repeat(12_000));
    let lines = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(101));
    let chunks = format!(
        "{}{}",
        post("transfer-encoding: chunked", ""),
        "ffff\r\n".to_owned() + &"x".repeat(0xffff) + "\r\n8\r\n12345678\r\n"
    );
    // What is sent at once; what the answer begins with, or holds; why the connection ended, in the metric.
    let table: [(&str, String, &str, &str, &str); 12] = [
        ("nothing at all", String::new(), "", "", "header_timeout"),
        ("half a head", "GET / HTTP/1.1\r\nhost:".into(), "", "", "header_timeout"),
        ("an idle connection", good.into(), "HTTP/1.1 200", "", "header_timeout"),
        ("a body that doesn't come", post("content-length: 30", "{"), "HTTP/1.1 408", "request_timeout", ""),
        ("a body too large by its word", post("content-length: 70000", ""), "HTTP/1.1 413", "request_oversized", ""),
        ("a body too large by itself", chunks, "HTTP/1.1 413", "request_oversized", ""),
        ("a head too large", cookies, "HTTP/1.1 431", "", "header_oversized"),
        ("too many lines", lines, "HTTP/1.1 431", "", "header_oversized"),
        ("two lengths", post("content-length: 2\r\ncontent-length: 3", "{}x"), "HTTP/1.1 400", "", "malformed"),
        ("no HTTP", "\u{16}\u{3}\u{1}hello\r\n\r\n".into(), "HTTP/1.1 400", "", "malformed"),
        (
            "rubbish after a good request",
            format!("{good}rubbish\u{1}\r\n\r\n"),
            "HTTP/1.1 200",
            "HTTP/1.1 400",
            "malformed",
        ),
        ("the head of another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), "", "", "malformed"),
    ];
    for (name, sent, beginning, holds, reason) in table {
        let row = format!("{ENDED}{{reason=\"{reason}\"}}");
        let before = metric(&stack, &row);
        let mut client = Raw::connect(&stack.host.url).await;
        client.send(&sent).await;
        let answer = client.read_to_end().await;
        assert!(answer.starts_with(beginning) && answer.contains(holds), "{name}: {answer}");
        if !holds.is_empty() && holds.contains('_') {
            assert!(answer.contains("x-request-id: ") && answer.contains("connection: close"), "{name}: {answer}");
        }
        if !reason.is_empty() {
            metric_becomes(&stack, name, &row, |value| value > before).await;
        }
        let others = stack.browser().auth_info().await;
        assert_eq!(others.status, 200, "{name}: others don't notice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients() {
    let stack = Entra::start(limited("header_timeout_s = 1\nbody_timeout_s = 1")).await;
    let pause = Duration::from_millis(50);
    // Something comes all the time, and never enough.
    let mut head = Raw::connect(&stack.host.url).await;
    head.drip("GET / HTTP/1.1\r\nhost: x\r\nx-endless: ".as_bytes(), Duration::ZERO).await;
    head.drip(&[b'x'; 1000], pause).await;
    assert_eq!(head.read_to_end().await, "", "a head without end");
    let mut body = Raw::connect(&stack.host.url).await;
    body.send(post("content-length: 1000", "")).await;
    let (answer, ()) = tokio::join!(async { "" }, body.drip(&[b' '; 100], pause));
    assert_eq!(answer, "");
    let answer = body.read_to_end().await;
    // A client that goes on sending may miss the answer: what counts is that it is left.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    metric_becomes(&stack, "all are gone", "defguard_openid_connections", |open| open < 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_it_is_done() {
    let stack = Entra::plain().await;
    let mut client = Raw::connect(&stack.host.url).await;
    client.finish().await;
    assert_eq!(client.read_to_end().await, "", "before it said anything");
    let mut client = Raw::connect(&stack.host.url).await;
    client.send(post("content-length: 30", "{")).await;
    client.finish().await;
    let answer = client.read_to_end().await;
    assert!(answer.is_empty() || answer.contains("request_malformed"), "within its body: {answer}");
    metric_becomes(&stack, "all are gone", "defguard_openid_connections", |open| open < 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_no_answer() {
    let stack = Entra::start(limited("write_timeout_s = 1")).await;
    let mut client = Raw::connect(&stack.host.url).await;
    let ask = "GET /openid/assets/style.css HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    // Until both sides' buffers are full; what is sent then is refused, or not taken.
    let asking = async { while client.send(&ask).await {} };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("the host leaves it");
    let row = format!("{ENDED}{{reason=\"write_timeout\"}}");
    metric_becomes(&stack, "a client that takes no answer", &row, |value| value > 0.0).await;
    metric_becomes(&stack, "it is gone", "defguard_openid_connections", |open| open < 1.0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_connections_than_there_are_places() {
    let stack = Entra::start(limited("connections = 16\nheader_timeout_s = 2")).await;
    let mut held = Vec::new();
    for _ in 0..16 {
        held.push(Raw::connect(&stack.host.url).await);
    }
    metric_becomes(&stack, "all places", "defguard_openid_connections", |open| open > 15.0).await;
    // The next waits in the system's queue, until those that say nothing are left.
    let answer = stack.browser().get("/openid/sign-in").await;
    assert_eq!(answer.status, 200);
    for mut client in held {
        assert_eq!(client.read_to_end().await, "", "a connection that said nothing");
    }
}

/// A sign-in that is worked on until its provider answers, in five seconds.
async fn slow_sign_in(stack: &Entra) -> tokio::task::JoinHandle<Answer> {
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let control = stack.entra.control();
    control.add_fault(Fault::new(FaultAction::Delay { delay_ms: 5000 }).on(Side::Login).path("*/token"));
    let finishing = tokio::spawn(async move { browser.finish(&callback).await });
    assert!(control.wait_for_requests(Side::Login, "*/token", 1, Duration::from_secs(20)).await);
    finishing
}

const WAITING: &str = "defguard_openid_http_requests_waiting";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_requests_than_are_worked_on_wait_for_their_turn() {
    let stack = Entra::start(limited("requests = 1")).await;
    let finishing = slow_sign_in(&stack).await;
    let waiting = stack.browser();
    let waiting = tokio::spawn(async move { waiting.auth_info().await });
    metric_becomes(&stack, "one waits", WAITING, |waiting| waiting > 0.0).await;
    // Pages wait for nobody.
    for path in ["/openid/sign-in", "/openid/assets/style.css", "/api/v1/openid/providers", "/health", "/ready"] {
        let page = tokio::time::timeout(Duration::from_secs(2), stack.browser().get(path)).await;
        assert_eq!(page.expect("at once").status, 200, "{path}");
    }
    assert!(!finishing.is_finished() && !waiting.is_finished());
    assert_eq!(finishing.await.unwrap().status, 200);
    assert_eq!(waiting.await.unwrap().status, 200, "its turn came");
    assert!(metric(&stack, WAITING) < 1.0);
    assert!(metric(&stack, &format!("{ENDED}{{reason=\"requests\"}}")) < 1.0, "nobody was sent away");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_too_long_is_asked_to_come_again() {
    for (wait, name) in [(0, "nobody waits"), (1, "a second")] {
        let stack = Entra::start(limited(&format!("requests = 1\nrequests_wait_s = {wait}"))).await;
        let other = stack.browser();
        let callback = other.callback_url(person::ADA).await;
        let finishing = slow_sign_in(&stack).await;
        let before = Instant::now();
        for answer in [stack.browser().auth_info().await, other.finish(&callback).await] {
            assert_eq!((answer.status, answer.code().as_str()), (503, "service_busy"), "{name}: {}", answer.body);
            assert_eq!(header(&answer, "retry-after"), "1", "{name}");
            assert!(answer.cookies.is_empty(), "{name}: the sign-in isn't over: {:?}", answer.cookies);
        }
        assert!(before.elapsed() >= Duration::from_secs(2 * wait), "{name}: {:?}", before.elapsed());
        assert!(metric(&stack, &format!("{ENDED}{{reason=\"requests\"}}")) > 1.0, "{name}");
        assert_eq!(finishing.await.unwrap().status, 200, "{name}");
        assert_eq!(other.finish(&callback).await.status, 200, "{name}: afterwards");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_while_waiting_has_used_nothing() {
    let stack = Entra::start(limited("requests = 1")).await;
    let left = stack.browser();
    let callback = left.callback_url(person::ADA).await;
    let finishing = slow_sign_in(&stack).await;
    let cookies: Vec<_> = left.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut parameters = serde_json::json!({ "type": "enrollment" });
    for (name, value) in url::Url::parse(&callback).unwrap().query_pairs() {
        parameters[name.as_ref()] = value.into();
    }
    let body = parameters.to_string();
    let mut client = Raw::connect(&stack.host.url).await;
    client
        .send(format!(
            "POST /api/v1/openid/callback HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncookie: {}\r\n\
             content-length: {}\r\n\r\n{body}",
            cookies.join("; "),
            body.len()
        ))
        .await;
    metric_becomes(&stack, "it waits", WAITING, |waiting| waiting > 0.0).await;
    drop(client);
    metric_becomes(&stack, "it is gone", WAITING, |waiting| waiting < 1.0).await;
    assert!(!finishing.is_finished(), "before its turn came");
    assert_eq!(finishing.await.unwrap().status, 200);
    assert_eq!(left.finish(&callback).await.status, 200, "the transaction is good yet");
}

fn header<'a>(answer: &'a Answer, wanted: &str) -> &'a str {
    answer.headers.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value)
}

const JSON: &str = r#"{"type":"enrollment"}"#;

/// A sign-in that begins, by the API, with this `X-Forwarded-For`.
async fn begin_as(stack: &Entra, forwarded: &str) -> reqwest::Response {
    let request = reqwest::Client::new().post(format!("{}/api/v1/openid/auth_info", stack.host.url));
    let request = request.header("content-type", "application/json").header("x-forwarded-for", forwarded).body(JSON);
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let stack = Entra::start(HostOptions {
        top: "trusted_proxies = [\"127.0.0.1\", \"10.0.0.0/8\"]".into(),
        ..limited("client_rate = 1\nclient_burst = 3")
    })
    .await;
    for number in 0..3 {
        assert_eq!(begin_as(&stack, "192.0.2.1").await.status().as_u16(), 200, "step {number}");
    }
    // Whatever it writes before it, and through whichever proxies it comes.
    for forwarded in ["192.0.2.1", "203.0.113.5, 192.0.2.1", "192.0.2.1, 10.0.0.7", "::ffff:192.0.2.1"] {
        let answer = begin_as(&stack, forwarded).await;
        assert_eq!(answer.status().as_u16(), 429, "{forwarded}");
        let after: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=3).contains(&after), "{forwarded}: {after}");
        let trace = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((&body["code"], body["trace"].as_str().unwrap()), (&"rate_limited".into(), trace.as_str()));
    }
    for forwarded in ["192.0.2.2", "2001:db8::1"] {
        assert_eq!(begin_as(&stack, forwarded).await.status().as_u16(), 200, "{forwarded} is somebody else");
    }
    let page = reqwest::Client::new()
        .get(format!("{}/openid/start", stack.host.url))
        .header("x-forwarded-for", "192.0.2.1")
        .header("accept-language", "de")
        .send()
        .await
        .unwrap();
    assert_eq!(page.status().as_u16(), 429);
    assert!(page.headers().contains_key("retry-after") && page.headers().contains_key("content-security-policy"));
    let text = page.text().await.unwrap();
    assert!(
        text.contains("Aus Ihrem Netz kommen gerade zu viele Anmeldungen") && text.contains("rate_limited"),
        "{text}"
    );
    // Pages are free: whoever waits can read why.
    for _ in 0..20 {
        let page = reqwest::Client::new().get(format!("{}/openid/sign-in", stack.host.url));
        assert_eq!(page.header("x-forwarded-for", "192.0.2.1").send().await.unwrap().status().as_u16(), 200);
    }
    assert!(metric(&stack, r#"defguard_openid_rate_limited_total{scope="client"}"#) >= 5.0);
    assert!(metric(&stack, "defguard_openid_rate_limit_clients") >= 3.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limited_sign_in_can_be_finished_later() {
    let stack = Entra::start(limited("global_rate = 1\nglobal_burst = 1")).await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut refused = 0;
    loop {
        // Somebody else takes the step that there is.
        if refused == 0 {
            Browser::new(&stack.host.url).auth_info().await;
        }
        let answer = browser.finish(&callback).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"), "{}", answer.body);
        assert!(answer.cookies.is_empty(), "the sign-in isn't over: {:?}", answer.cookies);
        refused += 1;
        assert!(Instant::now() < deadline, "refused {refused} times");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(metric(&stack, r#"defguard_openid_rate_limited_total{scope="global"}"#) >= 1.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_trusted_proxy_nobody_is_told_apart_by_a_header() {
    let stack = Entra::start(limited("client_rate = 1\nclient_burst = 1")).await;
    for number in 0..10 {
        // All are this machine: a proxy that the configuration doesn't name. A limit for it would be everybody's.
        assert_eq!(begin_as(&stack, "192.0.2.1").await.status().as_u16(), 200, "{number}");
    }
}
