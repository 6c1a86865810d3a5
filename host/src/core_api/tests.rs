//! The client against a Core that misbehaves.

use std::time::{Duration, Instant};

use serde_json::json;

use super::fake::{FakeCore, Fault, TOKEN};
use super::*;
use crate::config::Secret;
use crate::metrics::CoreMetrics;

/// Whether a failure is the expected one.
type Fits = fn(&Failure) -> bool;

fn budget() -> Budget {
    Budget::new(Duration::from_secs(20))
}

fn client(settings: &CoreSettings) -> CoreClient {
    CoreClient::new(settings, CoreMetrics::default()).unwrap()
}

fn new_user<'a>(username: &'a str, email: &'a str) -> NewUser<'a> {
    NewUser { username, last_name: "L", first_name: "Ada", email, phone: None, password: None }
}

#[tokio::test]
async fn both_generations() {
    for generation in [Generation::V1, Generation::V2] {
        let core = FakeCore::start(generation).await;
        for number in 0..250 {
            core.add(&format!("user{number}"), &format!("user{number}@a.example"), json!({}));
        }
        let client = client(&core.settings());
        assert_eq!(client.generation(), None);
        let last = client.find(|user| user.has_address("USER249@a.example"), budget()).await.unwrap().unwrap();
        assert_eq!((last.username.as_str(), last.enrolled), ("user249", true), "{generation:?}");
        assert_eq!(client.generation(), Some(generation), "by the list's form");
        assert_eq!(client.find(|user| user.username == "nobody", budget()).await.unwrap(), None, "{generation:?}");
        let calls = core.calls();
        assert_eq!(calls.len(), if generation == Generation::V1 { 2 } else { 6 }, "{generation:?}: {calls:?}");
        assert!(client.is_available("ada", budget()).await.unwrap());
        let made = client.create(&new_user("ada", "ada@a.example"), budget()).await.unwrap();
        assert!(!made.enrolled && made.is_active && !made.may_be_admin(), "{made:?}");
        assert!(!client.is_available("ada", budget()).await.unwrap());
        assert_eq!(client.user("ada", budget()).await.unwrap(), Some(made));
        assert_eq!(client.user("Ada", budget()).await.unwrap(), None, "names are compared to the letter");
        let started = client.start("ada", Start::Enrollment { token_life: None }, budget()).await.unwrap();
        assert_eq!(started.enrollment_token, "enrollment-ada");
        let started = client.start("ada", Start::Desktop, budget()).await.unwrap();
        assert_eq!(started.enrollment_token, "desktop-ada");
        assert_eq!(Generation::of(&client.info(budget()).await.unwrap().version), Some(generation));
    }
}

#[tokio::test]
async fn names_that_would_change_the_path_are_never_asked_for() {
    let core = FakeCore::start(Generation::V2).await;
    let client = client(&core.settings());
    for name in ["", "..", "a/b", "a?b", "a#b", "a%2fb", "ä", &"a".repeat(64)] {
        assert_eq!(client.user(name, budget()).await.unwrap(), None, "{name}");
        let started = client.start(name, Start::Desktop, budget()).await;
        assert!(matches!(started.unwrap_err().failure, Failure::NotFound(_)), "{name}");
    }
    assert!(core.calls().is_empty());
}

#[tokio::test]
async fn every_failure_is_told_apart() {
    let settings = |core: &FakeCore| CoreSettings { call_timeout: Duration::from_millis(300), ..core.settings() };
    let table: [(&str, Fault, Fits); 13] = [
        ("silence", Fault::Silence, |failure| *failure == Failure::Slow(300)),
        ("a wrong token", Fault::Answer(401, r#"{"msg":"Invalid API token"}"#), |failure| {
            *failure == Failure::TokenInvalid
        }),
        ("no licence", Fault::Answer(401, r#"{"msg":"Session is required"}"#), |failure| {
            *failure == Failure::LicenseMissing
        }),
        ("401 without a word", Fault::Answer(401, ""), |failure| matches!(failure, Failure::Unauthorized(_))),
        (
            "no rights",
            Fault::Answer(403, r#"{"msg":"access denied"}"#),
            |failure| matches!(failure, Failure::Forbidden(said) if said.has("access denied")),
        ),
        ("the limit", Fault::Answer(403, r#"{"msg":"License limit reached."}"#), |failure| {
            *failure == Failure::LicenseLimit
        }),
        ("a refusal", Fault::Answer(422, "{}"), |failure| matches!(failure, Failure::Rejected { status: 422, .. })),
        ("500", Fault::Answer(500, "{}"), |failure| matches!(failure, Failure::Failed { status: 500, .. })),
        ("a proxy's page", Fault::Answer(503, "<html>"), |failure| {
            matches!(failure, Failure::Failed { status: 503, .. })
        }),
        ("HTML", Fault::Answer(201, "<html>"), |failure| matches!(failure, Failure::Malformed(_))),
        ("other JSON", Fault::Answer(201, "[]"), |failure| matches!(failure, Failure::Malformed(_))),
        ("a redirect", Fault::Answer(302, ""), |failure| matches!(failure, Failure::Malformed(_))),
        ("another status", Fault::Answer(200, "{}"), |failure| matches!(failure, Failure::Malformed(_))),
    ];
    for (name, fault, fits) in table {
        let core = FakeCore::start(Generation::V2).await;
        core.always(Some(("POST user", fault)));
        let error = client(&settings(&core)).create(&new_user("ada", "ada@a.example"), budget()).await.unwrap_err();
        assert!(error.call == Call::CreateUser && fits(&error.failure), "{name}: {error:?}");
        assert!(!format!("{error} {error:?}").contains(TOKEN), "{name}");
    }
    let core = FakeCore::start(Generation::V2).await;
    let mut elsewhere = settings(&core);
    elsewhere.url = "http://127.0.0.1:1".parse().unwrap();
    let error = client(&elsewhere).info(budget()).await.unwrap_err();
    assert!(matches!(&error.failure, Failure::Unreachable(reason) if !reason.is_empty()), "{error:?}");
    elsewhere.url = core.url.replace("http:", "https:").parse().unwrap();
    let error = client(&elsewhere).info(budget()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_large_answer_is_cut_off() {
    let core = FakeCore::start(Generation::V2).await;
    let large: &'static str = Box::leak(format!("[{}]", " ".repeat(2 << 20)).into_boxed_str());
    core.once("GET info", Fault::Answer(200, large));
    let error = client(&core.settings()).info(budget()).await.unwrap_err();
    assert!(matches!(&error.failure, Failure::Malformed(reason) if reason.contains("1048576 bytes")), "{error:?}");
}

#[tokio::test]
async fn a_token_that_is_replaced_is_read_again() {
    let core = FakeCore::start(Generation::V2).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), TOKEN).unwrap();
    let credential = CoreCredential::Token(SecretSource::File(file.path().into()));
    let client = client(&CoreSettings { credential, ..core.settings() });
    client.info(budget()).await.unwrap();
    core.set_tokens(&["dg-new"]);
    let error = client.info(budget()).await.unwrap_err();
    assert_eq!(error.failure, Failure::TokenInvalid, "the file still has the old one");
    core.calls();
    std::fs::write(file.path(), "dg-new\n").unwrap();
    client.info(budget()).await.unwrap();
    assert_eq!(core.calls().len(), 2, "refused, and then again with the new one");
    client.info(budget()).await.unwrap();
    assert_eq!(core.calls().len(), 1);
    std::fs::remove_file(file.path()).unwrap();
    client.info(budget()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_opened_once_and_renewed_once() {
    let core = FakeCore::start(Generation::V1).await;
    let password = SecretSource::Value(Secret::new("password"));
    let credential = CoreCredential::Account { username: "robot".into(), password };
    let settings = CoreSettings { credential, ..core.settings() };
    let client = std::sync::Arc::new(client(&settings));
    for round in ["the first", "after all sessions ended"] {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let client = std::sync::Arc::clone(&client);
                tokio::spawn(async move { client.info(budget()).await })
            })
            .collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        let log_ins = core.calls().iter().filter(|call| *call == "POST auth").count();
        assert_eq!(log_ins, 1, "{round}");
        core.end_sessions();
    }
    for (name, fault, failure) in [
        ("a second factor", Fault::Answer(201, "{}"), Failure::MfaDue),
        ("a wrong password", Fault::Answer(401, "{}"), Failure::Unauthorized(Said::default())),
    ] {
        core.once("POST auth", fault);
        let error = client.info(budget()).await.unwrap_err();
        assert_eq!(error, CoreError { call: Call::LogIn, failure }, "{name}");
        core.end_sessions();
    }
}

#[tokio::test]
async fn the_breaker_spares_core_and_says_so() {
    let core = FakeCore::start(Generation::V2).await;
    let breaker = BreakerLimits { failures: 3, pause: Duration::from_millis(300) };
    let client = client(&CoreSettings { breaker, ..core.settings() });
    core.always(Some(("GET info", Fault::Answer(503, "{}"))));
    for _ in 0..3 {
        assert!(matches!(client.info(budget()).await.unwrap_err().failure, Failure::Failed { status: 503, .. }));
    }
    core.calls();
    let error = client.info(budget()).await.unwrap_err();
    assert_eq!(error.failure, Failure::Open { failures: 3, retry_after_s: 1 });
    assert!(core.calls().is_empty(), "it isn't asked");
    assert!(matches!(client.breaker(), BreakerState::Open { .. }));
    core.always(None);
    let started = Instant::now();
    while client.info(budget()).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(10), "it never closes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(client.breaker(), BreakerState::Closed);
    assert_eq!(core.calls().len(), 1, "one call decided");
}

#[tokio::test]
async fn a_name_that_is_taken_is_no_failure_of_core() {
    // 500, as facts C2 has it: many such answers in a row say nothing of Core's health.
    let core = FakeCore::start(Generation::V2).await;
    core.add("ada", "other@a.example", json!({}));
    let client = client(&core.settings());
    for _ in 0..10 {
        let error = client.create(&new_user("ada", "ada@a.example"), budget()).await.unwrap_err();
        assert!(matches!(error.failure, Failure::Failed { status: 500, .. }), "{error:?}");
    }
    assert_eq!(client.breaker(), BreakerState::Closed);
}

#[tokio::test]
async fn all_calls_share_one_budget_and_few_run_at_once() {
    let core = FakeCore::start(Generation::V2).await;
    core.always(Some(("", Fault::Late(Duration::from_millis(400)))));
    let client = client(&CoreSettings { concurrent_calls: 1, ..core.settings() });
    let short = || Budget::new(Duration::from_millis(600));
    let (one, other) = (short(), short());
    let (first, second) = tokio::join!(client.info(one), client.info(other));
    let failures: Vec<_> = [first, second].into_iter().filter_map(Result::err).map(|error| error.failure).collect();
    assert!(matches!(failures.as_slice(), [Failure::Slow(600)]), "the second waited 400 ms for its turn: {failures:?}");
    let spent = Budget::new(Duration::ZERO);
    assert_eq!(client.info(spent).await.unwrap_err().failure, Failure::Slow(0));
    core.always(Some(("", Fault::Silence)));
    let (one, other) = (short(), short());
    let (first, second) = tokio::join!(client.info(one), client.info(other));
    let mut failures: Vec<_> = [first, second].into_iter().map(|result| result.unwrap_err().failure).collect();
    failures.sort_by_key(|failure| *failure == Failure::Busy);
    assert!(matches!(failures.as_slice(), [Failure::Slow(600), Failure::Busy | Failure::Slow(_)]), "{failures:?}");
    assert_eq!(client.breaker(), BreakerState::Closed, "our own time was short: that says nothing of Core");
}
