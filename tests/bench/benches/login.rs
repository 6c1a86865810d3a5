//! The sandboxed sign-in, step by step: an instance, `configuration.validate`, `login.begin`, `login.complete`. The last
//! one goes over loopback to the emulator's token endpoint, whose own time is in the figure.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use std::time::{Duration, Instant};

use bench::report::{Report, criterion_us};
use conformance::{Browser, Entra};
use criterion::{Criterion, criterion_group};
use defguard_openid_host::capability::TraceId;
use defguard_openid_host::gateway::Flow;
use entra_emulator::fixtures::person;

fn benches(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stack = runtime.block_on(Entra::plain());
    let gateway = std::sync::Arc::clone(&stack.host.gateway);
    let plugin = gateway.plugin();
    criterion.bench_function("instance", |bencher| {
        bencher.to_async(&runtime).iter(|| async { plugin.instantiate_only().await.unwrap() });
    });
    criterion.bench_function("configuration.validate", |bencher| {
        let json = gateway.provider(None).unwrap().component_json.clone();
        bencher.to_async(&runtime).iter(|| async { plugin.validate(&json).await.unwrap() });
    });
    criterion.bench_function("login.begin", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            let provider = gateway.provider(None).unwrap();
            gateway.begin(provider, Flow::Enrollment, None, &TraceId::new()).await.unwrap()
        });
    });
    criterion.bench_function("login.complete", |bencher| {
        bencher.to_async(&runtime).iter_custom(|rounds| {
            let gateway = std::sync::Arc::clone(&gateway);
            let url = stack.host.url.clone();
            async move {
                let mut total = Duration::ZERO;
                for _ in 0..rounds {
                    let provider = gateway.provider(None).unwrap();
                    let begun = gateway.begin(provider, Flow::Enrollment, None, &TraceId::new()).await.unwrap();
                    let back = Browser::new(&url).at_entra(&begun.url, person::ADA).await.location.unwrap();
                    let parameters = url::Url::parse(&back).unwrap().query_pairs().into_owned().collect();
                    let started = Instant::now();
                    gateway
                        .complete(provider, Flow::Enrollment, parameters, Some(begun.browser_binding), &TraceId::new())
                        .await
                        .unwrap();
                    total += started.elapsed();
                }
                total
            }
        });
    });
}

criterion_group!(
    name = all;
    config = Criterion::default().sample_size(50).measurement_time(Duration::from_secs(5)).warm_up_time(Duration::from_secs(1));
    targets = benches
);

fn main() {
    all();
    Criterion::default().configure_from_args().final_summary();
    let mut report = Report::default();
    for (name, figure) in [
        ("instance", "instantiate_us"),
        ("configuration.validate", "configuration.validate_us"),
        ("login.begin", "login.begin_us"),
        ("login.complete", "login.complete_us"),
    ] {
        if let Some(microseconds) = criterion_us(name) {
            report.figure(figure, microseconds);
        }
    }
    report.add().unwrap();
}
