//! The two steps of a sign-in inside this process. `login.complete` is measured after the network has answered: the HTTP capability hands
//! over an answer that is there already. In turns with it, on the same tokens and keys: the `openidconnect` crate in native code, which
//! parses the answer, verifies the token and reads its claims; and ring, which verifies the bare signature.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use std::sync::Arc;
use std::time::Duration;

use bench::built;
use bench::native::Native;
use bench::offline::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI, Signer, Stage};
use bench::report::{Report, criterion_us};
use bench::sample::Sample;
use conformance::component;
use criterion::Criterion;
use defguard_openid_host::sandbox::{Limits, Plugin, Runtime};
use openidconnect::Nonce;

/// What the guest does whose calls of the host are measured.
const NO_CALLS: &str = "nothing";
const CALLS: &str = "a-thousand-calls";

/// Sign-ins of one turn, and turns.
const TURN: usize = 16;

fn turns() -> usize {
    std::env::var("OPENID_BENCH_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(60)
}

/// What one sign-in takes, for each side.
#[derive(Default)]
struct Sides {
    ours: Sample,
    openidconnect: Sample,
    ring: Sample,
}

async fn compare(signer: Signer, with_rule: bool, is_prepared: bool) -> Sides {
    let stage = Stage::with_limits(signer, &component(), with_rule, Limits::default()).await;
    let stage = if is_prepared { stage.prepared().await } else { stage };
    let provider = &stage.provider;
    let native = Native::new(
        provider.discovery.as_bytes(),
        provider.key_set.as_bytes(),
        (CLIENT_ID, CLIENT_SECRET),
        REDIRECT_URI,
    );
    let ring = provider.verifier();
    let mut sides = Sides::default();
    for turn in 0..=turns() {
        let mut begun = Vec::new();
        for _ in 0..TURN {
            begun.push(stage.begun().await);
        }
        let mut measured = Sides::default();
        for (request, signed, _) in &begun {
            provider.answers(signed.answer.clone());
            let started = std::time::Instant::now();
            let completion = stage.complete(request).await;
            measured.ours.add(started.elapsed());
            assert_eq!(completion.identity.email, "ada@contoso.example");
        }
        for (_, signed, nonce) in &begun {
            let nonce = Nonce::new(nonce.clone());
            let person = measured.openidconnect.time(|| native.complete(&signed.answer, &nonce));
            assert_eq!(person.email.as_deref(), Some("ada@contoso.example"));
        }
        for (_, signed, _) in &begun {
            measured.ring.time(|| ring.verify(&signed.message, &signed.signature)).unwrap();
        }
        // The first turn fetches the documents and warms everything.
        if turn > 0 {
            sides.ours.extend(&measured.ours);
            sides.openidconnect.extend(&measured.openidconnect);
            sides.ring.extend(&measured.ring);
        }
    }
    sides
}

/// Name, as figures have it, signer, whether the policy has a rule in JMESPath, and whether the plugin is prepared, as it is some seconds after
/// a start. The plain name is what Entra does.
const CASES: [(&str, Signer, bool, bool); 5] = [
    ("", Signer::Rsa2048, false, true),
    (".rs256-4096", Signer::Rsa4096, false, true),
    (".es256", Signer::P256, false, true),
    (".with-rule", Signer::Rsa2048, true, true),
    (".unprepared", Signer::Rsa2048, false, false),
];

fn compared(runtime: &tokio::runtime::Runtime, report: &mut Report) {
    for (name, signer, with_rule, is_prepared) in CASES {
        let sides = runtime.block_on(compare(signer, with_rule, is_prepared));
        let (ours, theirs, ring) = (sides.ours.median_us(), sides.openidconnect.median_us(), sides.ring.median_us());
        report.ratio(&format!("login.complete{name}/openidconnect"), ours, theirs);
        report.ratio(&format!("login.complete{name}/ring"), ours, ring);
        report.figure(&format!("login.complete{name}_us"), ours);
        if !with_rule && is_prepared {
            report.figure(&format!("openidconnect{name}_us"), theirs);
            report.figure(&format!("ring{name}_us"), ring);
        }
        println!("login.complete{name}: {ours:.1} µs, openidconnect {theirs:.1} µs, ring {ring:.1} µs");
    }
}

fn steps(criterion: &mut Criterion) {
    let runtime = runtime();
    let stage = runtime.block_on(Stage::new(Signer::Rsa2048, &component(), false));
    criterion.bench_function("instance", |bencher| {
        bencher.to_async(&runtime).iter(|| async { stage.plugin.instantiate_only().await.unwrap() });
    });
    criterion.bench_function("configuration.validate", |bencher| {
        bencher.to_async(&runtime).iter(|| async { stage.plugin.validate(stage.json()).await.unwrap() });
    });
    criterion.bench_function("login.begin", |bencher| {
        bencher.to_async(&runtime).iter(|| stage.begin());
    });
    // A guest that asks for the time a thousand times, and one that doesn't: what is between them is the way out and back.
    let sandbox = Arc::new(Runtime::new(Limits { concurrent_calls: 8, ..Limits::default() }).unwrap());
    let guest = runtime.block_on(Plugin::load(&sandbox, &built("hostile.wasm"))).unwrap();
    for behaviour in [NO_CALLS, CALLS] {
        let json = format!(r#"{{"behaviour":"{behaviour}","at":"validate"}}"#);
        criterion.bench_function(behaviour, |bencher| {
            bencher.to_async(&runtime).iter(|| async { guest.validate(&json).await.unwrap() });
        });
    }
}

/// Of one thread: what is measured here is one sign-in's work, not how many run beside each other.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn main() {
    if !bench::is_chosen("login") {
        return;
    }
    let mut report = Report::default();
    compared(&runtime(), &mut report);
    if std::env::var_os("OPENID_BENCH_COMPARED_ONLY").is_some() {
        return;
    }
    // Its own arguments aren't read: it takes one word to choose by, and refuses a second.
    let criterion = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(5));
    let mut criterion = criterion.warm_up_time(Duration::from_secs(1));
    steps(&mut criterion);
    criterion.final_summary();
    for (name, figure) in [
        ("instance", "instantiate_us"),
        ("configuration.validate", "configuration.validate_us"),
        ("login.begin", "login.begin_us"),
    ] {
        if let Some(microseconds) = criterion_us(name) {
            report.figure(figure, microseconds);
        }
    }
    if let (Some(none), Some(thousand)) = (criterion_us(NO_CALLS), criterion_us(CALLS)) {
        report.figure("host_call_us", (thousand - none) / 1000.0);
    }
    report.add().unwrap();
}
