//! What it does: one function each. Those that can't end have no report.

use std::fmt::Write as _;

use crate::bindings::defguard::openid::http::{self, Method, Request};
use crate::bindings::defguard::openid::log::{self, Entry, Level, Value};
use crate::bindings::defguard::openid::{cache, clock, credentials, random, storage};
use crate::setting;

pub(crate) fn act(behaviour: &str, configuration: &str) -> String {
    match behaviour {
        "loop" => endless(),
        "loop-of-calls" => loop {
            clock::now_unix_ms();
        },
        "loop-of-random" => loop {
            random::bytes(1024);
        },
        "recursion" => recursion(1).to_string(),
        "memory-at-once" => touched(100 << 20),
        "memory-little-by-little" => loop {
            std::mem::forget(core::hint::black_box(vec![1_u8; 1000]));
        },
        "hoard" => {
            std::mem::forget(core::hint::black_box(vec![1_u8; 3 << 20]));
            String::new()
        }
        "panic" => panic!("at its own wish"),
        "long-panic" => panic!("{}", "\u{1b}[2J\n".repeat(100_000)),
        "abort" => core::arch::wasm32::unreachable(),
        "draw" => random::bytes(16).len().to_string(),
        "too-much-random" => random::bytes(1025).len().to_string(),
        "trap-after-put" => {
            let _ = storage::put("half-done", b"x", 60);
            core::arch::wasm32::unreachable()
        }
        "log-flood" => log_flood(),
        "log-injection" => log_injection(),
        "huge-log" => {
            write("huge", &"x".repeat(6 << 20));
            String::new()
        }
        "many-fields" => {
            let fields = vec![(String::new(), Value::Flag(true)); 1_000_000];
            log::write(&Entry { level: Level::Info, event: "many".into(), fields });
            String::new()
        }
        "storage-limits" => storage_limits(),
        "storage-flood" => storage_flood(),
        "foreign-keys" => foreign_keys(setting(configuration, "keys").unwrap_or_default()),
        "write" => format!("{:?} {:?}", storage::put("mine", b"secret of one", 600), {
            cache::put("mine", b"secret of one", 600);
        }),
        "cache-flood" => cache_flood(),
        "cache-leases" => cache_leases(),
        "requests" => requests(setting(configuration, "urls").unwrap_or_default()),
        "headers" => headers(setting(configuration, "base_url").unwrap_or_default()),
        "many-requests" => many_requests(setting(configuration, "base_url").unwrap_or_default()),
        "many-batches" => many_batches(setting(configuration, "base_url").unwrap_or_default()),
        "huge-batch" => huge_batch(setting(configuration, "base_url").unwrap_or_default()),
        "timeouts" => timeouts(setting(configuration, "base_url").unwrap_or_default()),
        "large-request" => large_request(setting(configuration, "base_url").unwrap_or_default()),
        "credential" => credential(setting(configuration, "urls").unwrap_or_default()),
        "wait" => loop {
            let _ = http::send(&get(&format!("{}/silent", setting(configuration, "base_url").unwrap_or_default())));
        },
        // For the bench of a call's round trip.
        "a-thousand-calls" => (0..1000).map(|_| clock::now_unix_ms()).max().unwrap_or_default().to_string(),
        "nothing" | "few" => String::from("done"),
        other => format!("there is no behaviour {other}"),
    }
}

fn endless() -> String {
    let mut number = 0_u64;
    loop {
        number = core::hint::black_box(number.wrapping_add(1));
    }
}

#[expect(unconditional_recursion, reason = "that is what it is for")]
fn recursion(depth: u64) -> u64 {
    core::hint::black_box(recursion(core::hint::black_box(depth + 1)) + 1)
}

fn touched(bytes: usize) -> String {
    let mut memory = vec![0_u8; bytes];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    core::hint::black_box(memory).len().to_string()
}

fn write(event: &str, text: &str) {
    let fields = vec![("text".into(), Value::Text(text.into()))];
    log::write(&Entry { level: Level::Error, event: event.into(), fields });
}

fn log_flood() -> String {
    for number in 0..10_000 {
        write("flood", &format!("{number} {}", "x".repeat(2000)));
    }
    String::from("done")
}

/// Everything that would look like a record of the host's own, or do something to a terminal.
fn log_injection() -> String {
    let forged = "\r\n2026-11-23T00:00:00Z ERROR host: forged-record provider=\"entra\" \u{1b}[2J\u{9b}1m\u{2028}\u{202e}\u{7}\u{0}";
    write(forged, forged);
    log::write(&Entry {
        level: Level::Error,
        event: "login outcome=\"ok\" provider=\"entra\" trace=\"0\"".into(),
        fields: vec![
            ("provider=\"entra\" \u{1b}[31m\n".into(), Value::Text(forged.into())),
            ("secret".into(), Value::Secret),
        ],
    });
    forged.repeat(3)
}

fn storage_limits() -> String {
    let long = "k".repeat(201);
    let mut report = String::new();
    let mut tell = |name: &str, outcome: Result<(), storage::Error>| {
        let word = match outcome {
            Ok(()) => "stored",
            Err(storage::Error::Invalid(_)) => "invalid",
            Err(storage::Error::QuotaExceeded) => "quota",
            Err(storage::Error::Unavailable(_)) => "unavailable",
            Err(storage::Error::Other(_)) => "other",
        };
        let _ = write!(report, "{name}: {word}; ");
    };
    tell("empty key", storage::put("", b"", 1));
    tell("long key", storage::put(&long, b"", 1));
    tell("space", storage::put("a b", b"", 1));
    tell("line break", storage::put("a\nb", b"", 1));
    tell("zero", storage::put("a\0b", b"", 1));
    tell("letter", storage::put("ä", b"", 1));
    tell("large value", storage::put("k", &vec![0; (64 << 10) + 1], 1));
    tell("no life", storage::put("k", b"", 0));
    tell("endless life", storage::put("k", b"", u32::MAX));
    tell("good", storage::put("k", &[0xff; 64 << 10], 31_536_000));
    tell("put-if-absent", storage::put_if_absent("ä", b"", 1).map(|_| ()));
    tell("compare-and-swap", storage::compare_and_swap("k", None, b"", 0).map(|_| ()));
    tell("take", storage::take("ä").map(|_| ()));
    tell("get", storage::get(&long).map(|_| ()));
    report
}

fn storage_flood() -> String {
    let value = vec![7_u8; 64 << 10];
    let stored = (0..1000).filter(|number| storage::put(&format!("flood/{number}"), &value, 60).is_ok()).count();
    format!("stored {stored}")
}

fn foreign_keys(keys: &str) -> String {
    let mut found = String::from("found:");
    for key in keys.split(' ') {
        let stored =
            [storage::get(key).ok().flatten(), storage::take(key).ok().flatten(), cache::get(key), cache::take(key)];
        if stored.iter().any(Option::is_some) {
            let _ = write!(found, " {key}");
        }
    }
    found
}

fn cache_flood() -> String {
    let value = vec![7_u8; 1 << 20];
    for number in 0..200 {
        cache::put(&format!("flood/{number}"), &value, u32::MAX);
        cache::put(&format!("flood/{number}"), &value, 604_800);
    }
    cache::put("huge", &vec![0; (1 << 20) + 1], 60);
    String::from("done")
}

fn cache_leases() -> String {
    let elected =
        (0..200).filter(|number| matches!(cache::claim(&format!("l/{number}"), 0), cache::Claimed::Fetch)).count();
    format!("elected {elected}")
}

fn get(url: &str) -> Request {
    Request {
        method: Method::Get,
        url: url.into(),
        headers: Vec::new(),
        body: None,
        timeout_ms: 10_000,
        max_response_bytes: u32::MAX,
    }
}

/// One word for what became of a request.
fn word(outcome: &Result<http::Response, http::Error>) -> String {
    match outcome {
        Ok(response) => format!("{}/{}", response.status, response.body.len()),
        Err(http::Error::Denied(_)) => "denied".into(),
        Err(http::Error::InvalidRequest(_)) => "invalid".into(),
        Err(http::Error::Dns(_)) => "dns".into(),
        Err(http::Error::Connect(_)) => "connect".into(),
        Err(http::Error::Tls(_)) => "tls".into(),
        Err(http::Error::Timeout) => "timeout".into(),
        Err(http::Error::TooLarge(_)) => "too-large".into(),
        Err(http::Error::Protocol(_)) => "protocol".into(),
        Err(http::Error::BudgetExhausted) => "budget".into(),
        Err(http::Error::Other(_)) => "other".into(),
    }
}

/// `urls` of the configuration, divided by spaces; `%s` stands for a space, `%r` and `%n` for the ends of a line.
fn requests(urls: &str) -> String {
    let unescaped = |url: &str| url.replace("%s", " ").replace("%r", "\r").replace("%n", "\n");
    urls.split(' ').map(|url| word(&http::send(&get(&unescaped(url))))).collect::<Vec<_>>().join(" ")
}

fn headers(base_url: &str) -> String {
    const HEADERS: [(&str, &str); 26] = [
        ("Host", "attacker.example"),
        ("Origin", "https://attacker.example"),
        ("Referer", "https://attacker.example"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("tRANSFER-eNCODING", "chunked"),
        ("Connection", "upgrade"),
        ("Upgrade", "websocket"),
        ("Cookie", "a=b"),
        ("Expect", "100-continue"),
        ("Te", "trailers"),
        ("Trailer", "x"),
        ("Via", "1.1 x"),
        ("Keep-Alive", "x"),
        ("Forwarded", "for=127.0.0.1"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Host", "x"),
        ("X-Real-IP", "127.0.0.1"),
        ("Proxy-Authorization", "Basic x"),
        ("a", "b\r\nx-injected: 1"),
        ("a", "b\nx-injected: 1"),
        ("a", "b\0"),
        ("a\r\nx-injected", "1"),
        ("a b", "c"),
        ("a:", "c"),
        ("", "c"),
    ];
    let mut passed = String::from("passed:");
    for (name, value) in HEADERS {
        let request = Request { headers: vec![(name.into(), value.into())], ..get(&format!("{base_url}/ok")) };
        if !matches!(http::send(&request), Err(http::Error::InvalidRequest(_))) {
            let _ = write!(passed, " {name:?}={value:?}");
        }
    }
    passed
}

fn many_requests(base_url: &str) -> String {
    let request = get(&format!("{base_url}/ok"));
    let answered = (0..5000).filter(|_| http::send(&request).is_ok()).count();
    format!("answered {answered}")
}

fn many_batches(base_url: &str) -> String {
    let batch = vec![get(&format!("{base_url}/ok")); 16];
    let answered: usize =
        (0..500).map(|_| http::send_all(&batch).iter().filter(|outcome| outcome.is_ok()).count()).sum();
    format!("answered {answered}")
}

fn huge_batch(base_url: &str) -> String {
    let outcomes = http::send_all(&vec![get(&format!("{base_url}/ok")); 2000]);
    let mut words: Vec<String> = outcomes.iter().map(word).collect();
    words.dedup();
    format!("{} {}", outcomes.len(), words.join(" "))
}

fn timeouts(base_url: &str) -> String {
    let wait = |timeout_ms| {
        let begun = clock::monotonic_ms();
        let outcome = word(&http::send(&Request { timeout_ms, ..get(&format!("{base_url}/silent")) }));
        format!("{outcome} after {} ms", clock::monotonic_ms().saturating_sub(begun))
    };
    format!("{}; {}", wait(0), wait(u32::MAX))
}

fn large_request(base_url: &str) -> String {
    let url = format!("{base_url}/ok");
    let outcomes = [
        http::send(&Request { body: Some(vec![0; (64 << 10) + 1]), ..get(&url) }),
        http::send(&get(&format!("{url}?{}", "a".repeat(9000)))),
        http::send(&Request { headers: vec![("a".into(), "b".repeat(9000))], ..get(&url) }),
        http::send(&Request { headers: vec![("a".into(), "b".into()); 33], ..get(&url) }),
    ];
    outcomes.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// Asks for the credential to be added: to each of `urls` as it should be, then in every way that it shouldn't.
fn credential(urls: &str) -> String {
    let form = |url: &str, body: &str, headers: &[(&str, &str)]| {
        let mut all = vec![("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let request = Request { method: Method::Post, headers: all, body: Some(body.into()), ..get(url) };
        match credentials::send_authenticated(&request, credentials::Method::ClientSecretPost) {
            Ok(response) => {
                let leaks = String::from_utf8_lossy(&response.body).contains("hostile-client-secret");
                format!("{}{}", response.status, if leaks { " LEAKED" } else { "" })
            }
            Err(credentials::Failure::MethodUnavailable) => "unavailable".into(),
            Err(credentials::Failure::CredentialUnusable(_)) => "unusable".into(),
            Err(credentials::Failure::InvalidRequest(_)) => "invalid".into(),
            Err(credentials::Failure::Http(error)) => word(&Err(error)),
        }
    };
    let mut report: Vec<String> = urls.split(' ').map(|url| form(url, "grant_type=x", &[])).collect();
    let own = urls.split(' ').next().unwrap_or_default();
    report.push(form(own, "client_secret=x", &[]));
    report.push(form(own, "client_assertion=x", &[]));
    report.push(form(own, "client_id=another", &[]));
    report.push(form(own, "a=b", &[("Authorization", "Basic eA==")]));
    report.push(form(own, "a=b", &[("Content-Type", "text/plain")]));
    report.join(" ")
}
