//! Many at once, and providers that are slow or silent: what a sign-in may cost the provider, how long it may take, and
//! what others notice of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::{Answer, Entra, HostOptions, TestHost, entra_provider};
use defguard_openid_host::capability::TraceId;
use defguard_openid_host::gateway::Flow;
use defguard_openid_host::sandbox::Limits;
use entra_emulator::fixtures::person;
use entra_emulator::{Emulator, Fault, FaultAction, Seed, Side, TokenMischief};

async fn all<T: Send + 'static>(tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_page_loads_cost_one_discovery() {
    // T8
    let stack = Entra::plain().await;
    for _ in 0..10 {
        let answers = all((0..100).map(|_| {
            let browser = stack.browser();
            async move { browser.auth_info().await }
        }))
        .await;
        for answer in answers {
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
    assert_eq!(stack.entra.control().count(Side::Login, "*/openid-configuration"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_forged_kids_cost_one_key_fetch() {
    // V14: one fetch at the start, one for the first unknown key, none for the others.
    let stack = Entra::plain().await;
    let control = stack.entra.control();
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    assert_eq!(control.count(Side::Login, "*/keys"), 1);
    control.mischief_always(TokenMischief::UnknownKid);
    for _ in 0..20 {
        let answers = all((0..50).map(|_| {
            let browser = stack.browser();
            async move { browser.sign_in(person::ADA).await }
        }))
        .await;
        for answer in answers {
            assert_eq!(answer.code(), "id_token_key_unknown", "{}", answer.body);
        }
    }
    assert_eq!(control.count(Side::Login, "*/token"), 1001);
    assert_eq!(control.count(Side::Login, "*/keys"), 2);
    control.clear_mischief();
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "good logins go on");
}

/// One of two providers hangs, with as many sign-ins as there are instances: it has half of them, and somebody of the other one doesn't wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_hangs_leaves_half_to_the_others() {
    const CALLS: u32 = 8;
    let hangs = Emulator::start(Seed::demo()).await.unwrap();
    let works = Emulator::start(Seed::demo()).await.unwrap();
    let options =
        [("hangs", &hangs), ("works", &works)].into_iter().fold(HostOptions::default(), |options, (id, entra)| {
            let mut keys = entra_provider(entra);
            keys.push(("id".into(), format!("{id:?}")));
            options.with_provider(&keys)
        });
    let limits = Limits { concurrent_calls: CALLS, ..Limits::default() };
    let host = TestHost::start(HostOptions { limits, ..options }).await;
    let gateway = &host.gateway;
    hangs.control().add_fault(Fault::new(FaultAction::Hang).on(Side::Login).path("*/openid-configuration"));
    let stuck: Vec<_> = (0..2 * CALLS)
        .map(|_| {
            let gateway = Arc::clone(gateway);
            tokio::spawn(async move {
                let provider = gateway.provider(Some("hangs")).unwrap();
                gateway
                    .begin(provider, Flow::Enrollment, None, &TraceId::new())
                    .await
                    .map(drop)
                    .map_err(|error| error.code().to_owned())
            })
        })
        .collect();
    let half = format!("defguard_openid_instances_in_use {}", CALLS / 2);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !gateway.metrics().text().unwrap().contains(&half) {
        assert!(Instant::now() < deadline, "{}", gateway.metrics().text().unwrap());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let provider = gateway.provider(Some("works")).unwrap();
    gateway.begin(provider, Flow::Enrollment, None, &TraceId::new()).await.unwrap();
    assert!(stuck.iter().all(|stuck| !stuck.is_finished()), "it waited for none of them");
    for stuck in stuck {
        let ended = stuck.await.unwrap();
        assert!(matches!(ended.as_ref().map_err(String::as_str), Err("provider_timeout" | "plugin_busy")), "{ended:?}");
    }
    // Nobody was refused: the provider doesn't work, and that is what an alarm looks at.
    let text = gateway.metrics().text().unwrap();
    let failed = r#"logins_total{provider="hangs",step="begin",outcome="failed",code="provider_timeout"}"#;
    assert!(text.contains(failed) && !text.contains(r#"outcome="refused""#), "{text}");
}

/// Ends within 30 s, in a refusal with a code, and says so.
fn ended(name: &str, started: Instant, answer: &Answer, codes: &[&str]) {
    assert!(started.elapsed() < Duration::from_secs(30), "{name}: {:?}", started.elapsed());
    assert!(codes.contains(&answer.code().as_str()), "{name}: {} {}", answer.status, answer.body);
    assert!((500..600).contains(&answer.status), "{name}: {}", answer.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_and_disturbs_nobody() {
    let places = [("discovery", "*/openid-configuration"), ("token", "*/token"), ("keys", "*/keys")];
    let cases = places.into_iter().flat_map(|(name, path)| {
        [(name, path, FaultAction::Hang), (name, path, FaultAction::SlowDrip { interval_ms: 200 })]
    });
    all(cases.map(|(place, path, action)| async move {
        let name = format!("{place}: {action:?}");
        let stack = Entra::plain().await;
        let control = stack.entra.control();
        if place == "discovery" {
            control.add_fault(Fault::new(action).on(Side::Login).path(path));
            let started = Instant::now();
            let answer = stack.browser().auth_info().await;
            ended(&name, started, &answer, &["provider_timeout"]);
            return;
        }
        let browser = stack.browser();
        let callback = browser.callback_url(person::ADA).await;
        control.add_fault(Fault::new(action).on(Side::Login).path(path).times(1));
        let started = Instant::now();
        let (answer, others) = tokio::join!(browser.finish(&callback), async {
            // The silent one has arrived: everybody else goes on meanwhile.
            assert!(control.wait_for_requests(Side::Login, "*/token", 1, Duration::from_secs(20)).await);
            let begun = Instant::now();
            let page = stack.browser().auth_info().await;
            (page.status, begun.elapsed())
        });
        ended(&name, started, &answer, &["provider_timeout"]);
        assert_eq!(others.0, 200, "{name}");
        assert!(others.1 < started.elapsed(), "{name}: the others waited {:?}", others.1);
    }))
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_provider_is_no_error() {
    // Defguard #1640: everything delayed by 4 s.
    let stack = Entra::plain().await;
    stack.entra.control().add_fault(Fault::new(FaultAction::Delay { delay_ms: 4000 }));
    let finished = stack.browser().sign_in(person::MAIL_IN_USERINFO).await;
    assert_eq!(finished.status, 200, "{}", finished.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_outlive_an_outage() {
    let stack = Entra::plain().await;
    let control = stack.entra.control();
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    control.add_fault(Fault::new(FaultAction::DiscoveryDown));
    control.add_fault(Fault::new(FaultAction::JwksDown));
    // Two hours later they are old, are asked for once more each, and used all the same.
    stack.host.clock.advance(7200);
    control.advance_clock(7200);
    for _ in 0..5 {
        let finished = stack.browser().sign_in(person::ADA).await;
        assert_eq!(finished.status, 200, "{}", finished.body);
    }
    assert_eq!(control.count(Side::Login, "*/openid-configuration"), 2);
    assert_eq!(control.count(Side::Login, "*/keys"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_down_is_not_hammered() {
    let stack = Entra::plain().await;
    let control = stack.entra.control();
    control.add_fault(Fault::new(FaultAction::DiscoveryDown));
    for _ in 0..50 {
        let answer = stack.browser().auth_info().await;
        assert_eq!((answer.status, answer.code().as_str()), (502, "provider_error"), "{}", answer.body);
    }
    let asked = control.count(Side::Login, "*/openid-configuration");
    assert!(asked <= 3, "{asked} requests for 50 page loads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_is_gone_is_said_to_be() {
    let stack = Entra::plain().await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    stack.entra.stop().await;
    let answer = browser.finish(&callback).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "provider_unreachable"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_people_at_once_get_in() {
    let stack = Entra::plain().await;
    let answers = all((0..50).map(|_| {
        let browser = stack.browser();
        async move { browser.sign_in(person::ADA).await }
    }))
    .await;
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}
