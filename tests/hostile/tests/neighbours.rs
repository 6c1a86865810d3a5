//! A thousand hostile calls over HTTP while others sign in: nobody else notices, memory comes back, everything is counted,
//! and the log has nothing in it that they wrote. A program of its own, since it measures the process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use conformance::logs::Logs;
use conformance::{Browser, HostOptions, TestHost};
use defguard_openid_host::sandbox::Limits;
use hostile::{SECRET, Server};

/// How often each goes on, what it does, and the code that a browser sees.
const TABLE: [(usize, &str, &str); 10] = [
    (200, "memory-little-by-little", "plugin_memory_exhausted"),
    (110, "memory-at-once", "plugin_memory_exhausted"),
    (200, "recursion", "plugin_stack_overflow"),
    (200, "panic", "plugin_trapped"),
    (100, "huge-log", "plugin_too_much_data"),
    (40, "log-injection", "reported"),
    (10, "loop", "plugin_cpu_exhausted"),
    (50, "trap-after-put", "plugin_trapped"),
    (40, "storage-flood", "reported"),
    (50, "cache-flood", "reported"),
];

/// What of this process is in memory, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it says so");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

async fn host(server: &Server) -> TestHost {
    let limits = Limits { concurrent_calls: 16, call_cpu_ticks: 400, ..Limits::default() };
    let mut options = HostOptions { limits, ..hostile::options() };
    let behaviours = std::iter::once("good").chain(TABLE.iter().map(|(_, behaviour, _)| *behaviour));
    for behaviour in behaviours {
        let mut keys = vec![
            ("id".to_owned(), format!("{behaviour:?}")),
            ("kind".into(), "\"oidc\"".into()),
            ("base_url".into(), format!("{:?}", server.url)),
            ("client_id".into(), "\"client\"".into()),
            ("secret".into(), SECRET.into()),
        ];
        if behaviour != "good" {
            keys.push(("behaviour".into(), format!("{behaviour:?}")));
        }
        options = options.with_provider(&keys);
    }
    TestHost::start(options).await
}

async fn begin(url: &str, provider: &str) -> conformance::Answer {
    let body = serde_json::json!({ "type": "enrollment", "provider": provider });
    Browser::new(url).post_json("/api/v1/openid/auth_info", &body).await
}

async fn sign_in(url: &str) -> conformance::Answer {
    let browser = Browser::new(url);
    let begun = browser.post_json("/api/v1/openid/auth_info", &serde_json::json!({ "type": "enrollment" })).await;
    assert_eq!(begun.status, 200, "the neighbour begins: {}", begun.body);
    let url = begun.json()["url"].as_str().expect("a URL").to_owned();
    let (_, state) = url.split_once("state=").expect("a state");
    let body = serde_json::json!({ "type": "enrollment", "code": "ada", "state": state });
    browser.post_json("/api/v1/openid/callback", &body).await
}

/// All of the table, `1 / part` of each, eight at a time: the codes that came.
async fn attack(url: &str, part: usize) -> BTreeMap<(String, String), usize> {
    let all = TABLE.iter().flat_map(|(times, behaviour, _)| std::iter::repeat_n(*behaviour, times.div_ceil(part)));
    let mut waiting: Vec<&str> = all.collect();
    // One of each after the other.
    waiting.sort_by_key(|behaviour| behaviour.len() % 3);
    let mut codes = BTreeMap::new();
    for some in waiting.chunks(8) {
        let answers = some.iter().map(|behaviour| async move { (*behaviour, begin(url, behaviour).await.code()) });
        for (behaviour, code) in futures_util::future::join_all(answers).await {
            *codes.entry((behaviour.to_owned(), code)).or_insert(0) += 1;
        }
    }
    codes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_hostile_calls_change_nothing_for_anybody_else() {
    let logs = Logs::capture();
    let server = Server::start().await;
    let host = host(&server).await;
    // What is only ever made once: threads, pools, caches, the storage of those that fill it.
    attack(&host.url, 10).await;
    assert_eq!(sign_in(&host.url).await.status, 200, "before");
    let before = resident();
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let neighbour = tokio::spawn({
        let (url, stop, done) = (host.url.clone(), Arc::clone(&stop), Arc::clone(&done));
        async move {
            while !stop.load(Ordering::SeqCst) {
                let answer = sign_in(&url).await;
                assert_eq!(answer.status, 200, "the neighbour: {}", answer.body);
                done.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    let codes = attack(&host.url, 1).await;
    stop.store(true, Ordering::SeqCst);
    neighbour.await.unwrap();
    assert!(done.load(Ordering::SeqCst) > 10, "signed in meanwhile: {done:?}");
    let expected: BTreeMap<(String, String), usize> =
        TABLE.iter().map(|(times, behaviour, code)| (((*behaviour).to_owned(), (*code).to_owned()), *times)).collect();
    assert_eq!(codes, expected, "each ends in its own way, and in no other");
    assert_eq!(codes.values().sum::<usize>(), 1000);
    assert_eq!(sign_in(&host.url).await.status, 200, "after");
    let after = resident();
    println!("resident: {before} MiB before, {after} MiB after 1000 hostile calls");
    assert!(after <= before + 32, "{before} MiB before, {after} MiB after");
    counted(&host);
    nothing_hostile_is_written(&logs.text());
}

/// Every failure is in the metrics, by its code, and the memory that one call had at most.
fn counted(host: &TestHost) {
    host.gateway.metrics().guest_memory_peak(host.gateway.guest_memory_peak());
    let text = host.gateway.metrics().text().unwrap();
    let value = |row: &str| {
        let line = text.lines().find(|line| line.starts_with(row)).unwrap_or_else(|| panic!("{row} isn't in:\n{text}"));
        line.rsplit(' ').next().and_then(|value| value.parse::<u64>().ok()).expect("a number")
    };
    for code in ["plugin_memory_exhausted", "plugin_stack_overflow", "plugin_trapped", "plugin_cpu_exhausted"] {
        let expected: usize =
            TABLE.iter().filter(|(_, _, of)| *of == code).map(|(times, ..)| times + times.div_ceil(10)).sum();
        let row = format!("defguard_openid_plugin_failures_total{{export=\"begin\",code=\"{code}\"}}");
        assert_eq!(value(&row), expected as u64, "{row}");
    }
    let peak = value("defguard_openid_guest_memory_peak_bytes");
    assert!((60 << 20..=64 << 20).contains(&peak), "{peak}");
}

fn nothing_hostile_is_written(log: &str) {
    for line in log.split('\n').filter(|line| conformance::logs::is_ours(line)) {
        assert!(!line.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{202e}')), "{line:?}");
        assert!(line.len() < 4096, "{} bytes: {}", line.len(), line.get(..200).unwrap_or_default());
        assert!(!line.contains(SECRET), "{line}");
        assert!(line.is_empty() || line.starts_with("20"), "a line that isn't a record: {line:?}");
        assert!(!line.starts_with("2026-11-23T00:00:00Z"), "a forged record: {line}");
    }
}
