//! The whole hand-over against a Core that has the quirks of the real one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::Barrier;

use super::*;
use crate::capability::SystemClock;
use crate::core_api::fake::{FakeCore, Fault};
use crate::core_api::{BreakerLimits, Failure, Generation};
use crate::handover::Enrollment;
use crate::identity::Identity;
use crate::linking::{EmailLinking, LinkDecision};
use crate::storage::MemoryStorage;

/// A Core, and hosts that share a storage.
pub(super) struct Stack {
    pub(super) core: FakeCore,
    pub(super) storage: Arc<MemoryStorage>,
    pub(super) options: CoreOptions,
}

pub(super) fn options() -> CoreOptions {
    CoreOptions {
        create_accounts: true,
        enrollment: EnrollmentMode::Auto,
        token_life: None,
        time_budget: Duration::from_secs(20),
    }
}

impl Stack {
    pub(super) async fn start(generation: Generation) -> Self {
        Self { core: FakeCore::start(generation).await, storage: Arc::default(), options: options() }
    }

    pub(super) fn host_with(&self, settings: &CoreSettings) -> CoreHandover {
        let storage = Arc::clone(&self.storage) as Arc<dyn Storage>;
        CoreHandover::new(settings, self.options.clone(), storage, Arc::new(SystemClock), CoreMetrics::default())
            .unwrap()
    }

    pub(super) fn host(&self) -> CoreHandover {
        self.host_with(&self.core.settings())
    }
}

/// How a sign-in ended.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) result: Result<(LinkDecision, String, String), HandoverError>,
    pub(super) checks: Vec<Check>,
}

impl Outcome {
    /// `decision account token`, or the code.
    pub(super) fn line(&self) -> String {
        match &self.result {
            Ok((decision, account, token)) => format!("{} {account} {token}", decision.as_str()),
            Err(error) => error.words().code.to_owned(),
        }
    }
}

pub(super) fn person(object: &str, username: &str, email: &str) -> Identity {
    Identity { object_id: Some(object.into()), username: username.into(), email: email.into(), ..Identity::sample() }
}

pub(super) fn ada() -> Identity {
    person("ada", "ada", "ada@a.example")
}

pub(super) fn allowed() -> EmailLinking {
    EmailLinking::Allowed("verified".into())
}

pub(super) fn approval() -> EmailLinking {
    EmailLinking::NeedsApproval("not verified".into())
}

pub(super) async fn sign_in_as(
    host: &CoreHandover,
    identity: &Identity,
    email_linking: EmailLinking,
    approved: Option<&str>,
) -> Outcome {
    let request = HandoverRequest { identity, email_linking: &email_linking, approved_account: approved };
    let mut checks = Vec::new();
    let result = host.hand_over(&request, &TraceId::new(), &mut checks).await;
    let result = result.map(|HandedOver { enrollment: Enrollment { url, token }, linking }| {
        assert_eq!(url, "https://enroll.example/");
        (linking.decision, linking.account.unwrap_or_default(), token)
    });
    if let Ok((_, _, token)) = &result {
        assert!(checks.iter().all(|check| !check.detail.contains(token.as_str())), "a token in {checks:?}");
    }
    Outcome { result, checks }
}

pub(super) async fn sign_in(host: &CoreHandover, identity: &Identity) -> Outcome {
    sign_in_as(host, identity, approval(), None).await
}

#[tokio::test]
async fn a_first_sign_in_costs_three_calls_and_a_later_one_two() {
    for generation in [Generation::V1, Generation::V2] {
        let stack = Stack::start(generation).await;
        let host = stack.host();
        let first = sign_in(&host, &ada()).await;
        assert_eq!(first.line(), "new ada enrollment-ada", "{generation:?}");
        assert_eq!(stack.core.calls(), ["POST user/available", "POST user", "POST user/ada/start_enrollment"]);
        let names: Vec<_> = first.checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(names, ["core.available", "core.create_user", "core.start_enrollment"]);
        let user = stack.core.user("ada");
        assert_eq!((&user["first_name"], &user["email"]), (&"Ada".into(), &"ada@a.example".into()));
        let again = sign_in(&host, &Identity { email: "new@a.example".into(), ..ada() }).await;
        assert_eq!(again.line(), "linked ada enrollment-ada", "the key decides (V2)");
        assert_eq!(stack.core.calls(), ["GET user/ada", "POST user/ada/start_enrollment"]);
        stack.core.edit("ada", json!({ "enrolled": true }));
        assert_eq!(sign_in(&host, &ada()).await.line(), "linked ada desktop-ada");
        assert_eq!(stack.core.names(), ["ada"]);
    }
}

#[tokio::test]
async fn which_token_a_person_gets() {
    use EnrollmentMode::{Auto, Desktop, Enrollment};
    for (name, enrollment, enrolled, expected) in [
        ("auto, new", Auto, false, "linked ada enrollment-ada"),
        ("auto, enrolled", Auto, true, "linked ada desktop-ada"),
        ("desktop, new", Desktop, false, "linked ada desktop-ada"),
        ("desktop, enrolled", Desktop, true, "linked ada desktop-ada"),
        ("enrollment, new", Enrollment, false, "linked ada enrollment-ada"),
        ("enrollment, enrolled: Core refuses", Enrollment, true, "core_rejected"),
    ] {
        let mut stack = Stack::start(Generation::V2).await;
        stack.options.enrollment = enrollment;
        stack.core.add("ada", "ada@a.example", json!({ "enrolled": enrolled }));
        assert_eq!(sign_in_as(&stack.host(), &ada(), allowed(), None).await.line(), expected, "{name}");
    }
    // Enrolled between two calls.
    let stack = Stack::start(Generation::V2).await;
    let refusal = Fault::Answer(400, r#"{"msg":"User account is already activated"}"#);
    stack.core.once("start_enrollment", refusal);
    assert_eq!(sign_in(&stack.host(), &ada()).await.line(), "new ada desktop-ada");
}

#[tokio::test]
async fn users_that_were_there_before() {
    let never = || EmailLinking::Never("a guest".into());
    let eve = Identity { provider: "other".into(), issuer: "https://other.example".into(), ..ada() };
    let table: [(&str, Value, EmailLinking, Option<&str>, &str); 14] = [
        ("the same address, proven", json!({}), allowed(), None, "linked countess desktop-countess"),
        ("not proven (V1)", json!({}), approval(), None, "link_needs_approval"),
        ("never", json!({}), never(), None, "link_refused"),
        ("an administrator's, proven", json!({ "is_admin": true }), allowed(), None, "link_needs_approval"),
        ("of an old Core that doesn't say", json!({ "is_admin": null }), allowed(), None, "link_needs_approval"),
        ("disabled", json!({ "is_active": false }), allowed(), None, "account_disabled"),
        ("disabled, not proven: not told", json!({ "is_active": false }), approval(), None, "link_refused"),
        ("approved", json!({}), never(), Some("countess"), "linked countess desktop-countess"),
        (
            "an administrator's, approved",
            json!({ "is_admin": true }),
            never(),
            Some("countess"),
            "linked countess desktop-countess",
        ),
        ("approved, disabled", json!({ "is_active": false }), never(), Some("countess"), "account_disabled"),
        ("approved, not there", json!({}), allowed(), Some("nobody"), "link_refused"),
        ("approved, no name at all", json!({}), allowed(), Some("../auth"), "link_refused"),
        ("in other letters", json!({ "email": "ADA@A.example" }), allowed(), None, "linked countess desktop-countess"),
        (
            "only an address that looks alike",
            json!({ "email": "adax@a.example" }),
            allowed(),
            None,
            "new ada enrollment-ada",
        ),
    ];
    for create_accounts in [true, false] {
        for (name, change, email_linking, approved, expected) in &table {
            for generation in [Generation::V1, Generation::V2] {
                let mut stack = Stack::start(generation).await;
                stack.options.create_accounts = create_accounts;
                stack.core.add("countess", "ada@a.example", change.clone());
                let host = stack.host();
                let expected =
                    if expected.starts_with("new") && !create_accounts { "account_missing" } else { expected };
                let request = HandoverRequest { identity: &ada(), email_linking, approved_account: *approved };
                let previewed = host.preview(&request, &mut Vec::new()).await.unwrap();
                assert_eq!(stack.core.names(), ["countess"], "{name}: a preview changes nothing");
                let outcome = sign_in_as(&host, &ada(), email_linking.clone(), *approved).await;
                assert_eq!(outcome.line(), expected, "{name}, {generation:?}: {outcome:?}");
                let decision = match &outcome.result {
                    Ok((decision, ..)) => *decision,
                    Err(error) => error.linking().map_or(LinkDecision::Refused, |linking| linking.decision),
                };
                assert_eq!(previewed.decision, decision, "{name}, {generation:?}: {previewed:?}");
                // Once it is somebody's, it is nobody else's.
                if expected.starts_with("linked") {
                    let other = person("mallory", "mallory", "ada@a.example");
                    for approved in [None, Some("countess")] {
                        let outcome = sign_in_as(&host, &other, allowed(), approved).await;
                        assert_eq!(outcome.line(), "link_refused", "{name}: {outcome:?}");
                    }
                    let outcome = sign_in_as(&host, &eve, allowed(), None).await;
                    assert_eq!(outcome.line(), "link_needs_approval", "{name}: another provider's");
                    let outcome = sign_in_as(&host, &eve, approval(), Some("countess")).await;
                    assert_eq!(outcome.line(), "linked countess desktop-countess", "{name}: and approved");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_user_of_the_same_name_isn_t_taken_over() {
    let stack = Stack::start(Generation::V2).await;
    let id = stack.core.add("ada", "other@a.example", json!({}));
    let host = stack.host();
    let outcome = sign_in(&host, &ada()).await;
    let name = format!("ada-{}", &ada().key().digest()[..4]);
    assert_eq!(outcome.line(), format!("new {name} enrollment-{name}"));
    assert_eq!(sign_in(&host, &ada()).await.line(), format!("linked {name} enrollment-{name}"), "the same each time");
    assert_eq!(stack.core.user("ada")["id"], id);
    // None is left.
    let stack = Stack::start(Generation::V2).await;
    stack.core.always(Some(("available", Fault::Answer(400, "{}"))));
    assert_eq!(sign_in(&stack.host(), &ada()).await.line(), "username_taken");
    stack.core.always(None);
    assert_eq!(sign_in(&stack.host(), &ada()).await.line(), "new ada enrollment-ada", "nothing was kept");
}

#[tokio::test]
async fn core_s_patterns_are_named() {
    // facts D2: john_doe@x finds john.doe@x.
    let stack = Stack::start(Generation::V2).await;
    stack.core.add("john.doe", "john.doe@a.example", json!({}));
    let host = stack.host();
    let underscore = person("jd", "john_doe", "john_doe@a.example");
    let outcome = sign_in_as(&host, &underscore, allowed(), None).await;
    assert_eq!(outcome.line(), "core_address_lookalike", "{outcome:?}");
    // The other way round it is no pattern.
    let stack = Stack::start(Generation::V2).await;
    stack.core.add("john_doe", "john_doe@a.example", json!({}));
    let dot = person("jd", "john.doe", "john.doe@a.example");
    assert_eq!(sign_in_as(&stack.host(), &dot, allowed(), None).await.line(), "new john.doe enrollment-john.doe");
    // A refusal that nothing explains.
    let stack = Stack::start(Generation::V2).await;
    stack.core.once("POST user", Fault::Answer(200, "{}"));
    stack.core.once("POST user", Fault::Answer(400, "{}"));
    assert_eq!(sign_in(&stack.host(), &ada()).await.line(), "core_rejected");
}

#[tokio::test]
async fn a_user_who_is_renamed_or_replaced() {
    for generation in [Generation::V1, Generation::V2] {
        let stack = Stack::start(generation).await;
        let host = stack.host();
        sign_in(&host, &ada()).await;
        stack.core.edit("ada", json!({ "username": "countess" }));
        assert_eq!(sign_in(&host, &ada()).await.line(), "linked countess enrollment-countess", "{generation:?}");
        stack.core.calls();
        assert_eq!(sign_in(&host, &ada()).await.line(), "linked countess enrollment-countess");
        assert_eq!(stack.core.calls().len(), 2, "the new name was noted");
        // Renamed again, and the name given to somebody else.
        stack.core.edit("countess", json!({ "username": "lovelace" }));
        stack.core.add("countess", "other@a.example", json!({}));
        assert_eq!(sign_in(&host, &ada()).await.line(), "linked lovelace enrollment-lovelace");
        // Deleted, and the name given to somebody else, even with her address: nothing is revived (V23).
        stack.core.delete("lovelace");
        stack.core.add("lovelace", "ada@a.example", json!({}));
        let outcome = sign_in_as(&host, &ada(), allowed(), None).await;
        assert_eq!(outcome.line(), "link_refused", "{outcome:?}");
    }
}

#[tokio::test]
async fn a_retry_never_makes_a_second_user() {
    let together = |first: &'static str, then: Option<Fault>| (first, then);
    let table = [
        ("made, and 500", Fault::DoneBut(500), together("POST user", None), "linked ada enrollment-ada"),
        ("made, and a proxy's 502", Fault::DoneBut(502), together("POST user", None), "linked ada enrollment-ada"),
        (
            "made, and 500, and then it is away for a moment",
            Fault::DoneBut(500),
            together("GET user/ada", Some(Fault::Answer(503, "{}"))),
            "core_failed",
        ),
        (
            "made, and nothing more is heard",
            Fault::DoneBut(504),
            together("GET user/ada", Some(Fault::Silence)),
            "core_failed",
        ),
    ];
    for (name, fault, (place, then), expected) in table {
        let stack = Stack::start(Generation::V2).await;
        let host = stack.host_with(&CoreSettings { call_timeout: Duration::from_millis(500), ..stack.core.settings() });
        // The first of these is `available`.
        stack.core.once("POST user", Fault::Late(Duration::ZERO));
        stack.core.once("POST user", fault);
        if let Some(then) = then {
            stack.core.once(place, then);
        }
        let first = sign_in(&host, &ada()).await;
        assert_eq!(first.line(), expected, "{name}: {first:?}");
        // The person tries again, perhaps at another host, and with a new first name at that.
        let renamed = Identity { given_name: "Augusta".into(), ..ada() };
        let again = sign_in(&stack.host(), &renamed).await;
        assert_eq!(again.line(), "linked ada enrollment-ada", "{name}: {again:?}");
        assert_eq!(stack.core.names(), ["ada"], "{name}");
        // And so it is hers.
        let other = sign_in_as(&host, &person("eve", "eve", "ada@a.example"), allowed(), None).await;
        assert_eq!(other.line(), "link_refused", "{name}");
    }
}

#[tokio::test]
async fn a_host_that_stopped_in_between_goes_on() {
    for (place, description) in [
        ("POST user/available", "before the user was made"),
        ("POST user/ada/start_enrollment", "after the user was made"),
    ] {
        let stack = Stack::start(Generation::V2).await;
        stack.core.once(place, Fault::Silence);
        let host = stack.host();
        let identity = ada();
        let task = tokio::spawn(async move { sign_in(&host, &identity).await });
        let started = Instant::now();
        while !stack.core.calls().iter().any(|call| call == place) {
            assert!(started.elapsed() < Duration::from_secs(10), "{description}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        task.abort();
        assert!(task.await.is_err());
        let outcome = sign_in(&stack.host(), &ada()).await;
        assert!(outcome.line().ends_with("ada enrollment-ada"), "{description}: {outcome:?}");
        assert_eq!(stack.core.names(), ["ada"], "{description}");
    }
}

#[tokio::test]
async fn what_was_intended_takes_over_nobody_else_s_user() {
    let change = |change: Value| change;
    for (name, user) in [
        ("another address", change(json!({ "email": "other@a.example" }))),
        ("other names", change(json!({ "first_name": "Eve" }))),
        ("an administrator", change(json!({ "is_admin": true }))),
        ("somebody who has enrolled", change(json!({ "enrolled": true }))),
    ] {
        let stack = Stack::start(Generation::V2).await;
        let host = stack.host();
        // The user isn't made, and the host doesn't know.
        stack.core.once("POST user", Fault::Late(Duration::ZERO));
        stack.core.once("POST user", Fault::Answer(504, "{}"));
        assert_eq!(sign_in(&host, &ada()).await.line(), "core_failed", "{name}");
        // An administrator makes one of that name meanwhile.
        let like_hers = json!({ "enrolled": false, "first_name": "Ada", "last_name": "Example" });
        stack.core.add("ada", "ada@a.example", like_hers);
        stack.core.edit("ada", user);
        let outcome = sign_in(&host, &ada()).await;
        let is_taken_over = outcome.result.as_ref().is_ok_and(|(_, account, _)| account == "ada");
        assert!(!is_taken_over, "{name}: {outcome:?}");
    }
}

#[tokio::test]
async fn definite_refusals_leave_nothing_behind() {
    let stack = Stack::start(Generation::V2).await;
    let host = stack.host();
    stack.core.once("POST user", Fault::Late(Duration::ZERO));
    stack.core.once("POST user", Fault::Answer(403, r#"{"msg":"License limit reached."}"#));
    assert_eq!(sign_in(&host, &ada()).await.line(), "core_license_limit");
    // Somebody else with the same name and address isn't held up by it.
    let other = person("other", "ada", "ada@a.example");
    assert_eq!(sign_in(&host, &other).await.line(), "new ada enrollment-ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_person_twice_at_once_on_two_hosts() {
    for generation in [Generation::V1, Generation::V2] {
        let stack = Stack::start(generation).await;
        // Both have seen that the name is free before either makes the user.
        let barrier = Arc::new(Barrier::new(2));
        stack.core.once("POST user/available", Fault::Together(Arc::clone(&barrier)));
        stack.core.once("POST user/available", Fault::Together(barrier));
        let (one, other) = (stack.host(), stack.host());
        let (identity, twin) = (ada(), ada());
        let (first, second) = tokio::join!(sign_in(&one, &identity), sign_in(&other, &twin));
        for outcome in [&first, &second] {
            assert!(outcome.line().ends_with(" ada enrollment-ada"), "{generation:?}: {outcome:?}");
        }
        assert_eq!(stack.core.names(), ["ada"], "{generation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_people_at_once_on_two_hosts() {
    let stack = Stack::start(Generation::V2).await;
    let settings = CoreSettings { concurrent_calls: 8, ..stack.core.settings() };
    let hosts = [Arc::new(stack.host_with(&settings)), Arc::new(stack.host_with(&settings))];
    let mut tasks = Vec::new();
    // 50 people, each twice, five of each name.
    for round in 0..100_usize {
        let host = Arc::clone(&hosts[round % 2]);
        let number = round / 2;
        let identity = person(&format!("p{number}"), &format!("name{}", number / 5), &format!("p{number}@a.example"));
        tasks.push(tokio::spawn(async move { (number, sign_in(&host, &identity).await) }));
    }
    let mut names: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    for task in tasks {
        let (number, outcome) = task.await.unwrap();
        let (_, account, _) = outcome.result.unwrap_or_else(|error| panic!("{number}: {error}: {:?}", outcome.checks));
        names.entry(number).or_default().insert(account);
    }
    assert!(names.values().all(|names| names.len() == 1), "one user a person: {names:?}");
    let all: BTreeSet<_> = names.values().flatten().collect();
    assert_eq!((all.len(), stack.core.names().len()), (50, 50), "and none shared");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_with_one_address_at_once() {
    let stack = Stack::start(Generation::V2).await;
    let host = stack.host();
    let (one, other) = (person("one", "one", "shared@a.example"), person("other", "other", "shared@a.example"));
    let (first, second) =
        tokio::join!(sign_in_as(&host, &one, allowed(), None), sign_in_as(&host, &other, allowed(), None));
    let mut lines = [first.line(), second.line()];
    lines.sort();
    assert!(lines[0] == "link_refused" && lines[1].starts_with("new "), "{lines:?}");
    assert_eq!(stack.core.names().len(), 1);
}

#[tokio::test]
async fn failures_come_through_with_their_codes() {
    let table = [
        ("GET", r#"{"msg":"Invalid API token"}"#, 401, "core_token_invalid"),
        ("GET", r#"{"msg":"Session is required"}"#, 401, "core_license_missing"),
        ("GET", "{}", 401, "core_unauthorized"),
        ("GET", r#"{"msg":"access denied"}"#, 403, "core_forbidden"),
        ("GET", "{}", 500, "core_failed"),
        ("GET", "<html>", 200, "core_malformed"),
        ("POST", r#"{"msg":"Can't create enrollment token for disabled user ada"}"#, 401, "account_disabled"),
        ("POST", r#"{"msg":"user not found"}"#, 404, "link_refused"),
        ("POST", r#"{"enrollment_token":"a","enrollment_url":"javascript:alert(1)"}"#, 201, "core_malformed"),
        ("POST", r#"{"msg":"Missing UserAgent header"}"#, 400, "core_rejected"),
    ];
    let stack = Stack::start(Generation::V2).await;
    sign_in(&stack.host(), &ada()).await;
    for (place, body, status, expected) in table {
        stack.core.always(Some((place, Fault::Answer(status, body))));
        let outcome = sign_in(&stack.host(), &ada()).await;
        assert_eq!(outcome.line(), expected, "{place} {status} {body}");
        let last = outcome.checks.last().unwrap();
        assert!(last.name.starts_with("core.") && !last.detail.is_empty(), "{last:?}");
    }
}

#[tokio::test]
async fn a_slow_core_ends_in_time_and_then_is_spared() {
    let mut stack = Stack::start(Generation::V2).await;
    stack.options.time_budget = Duration::from_millis(700);
    let settings = CoreSettings {
        call_timeout: Duration::from_millis(200),
        breaker: BreakerLimits { failures: 2, pause: Duration::from_secs(30) },
        ..stack.core.settings()
    };
    let host = stack.host_with(&settings);
    stack.core.always(Some(("", Fault::Silence)));
    for _ in 0..2 {
        let started = Instant::now();
        assert_eq!(sign_in(&host, &ada()).await.line(), "core_slow");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    let outcome = sign_in(&host, &ada()).await;
    let error = outcome.result.as_ref().unwrap_err();
    assert_eq!((error.words().code, error.retry_after_s()), ("core_unavailable_for_now", Some(30)));
    let health = host.health().unwrap();
    assert_eq!((health.is_good, health.breaker, health.retry_after_s), (false, "open", Some(30)));
    // 400 ms for each call, and 1.2 s in all.
    let mut stack = Stack::start(Generation::V2).await;
    stack.options.time_budget = Duration::from_secs(1);
    stack.core.always(Some(("", Fault::Late(Duration::from_millis(400)))));
    let started = Instant::now();
    let outcome = sign_in(&stack.host(), &ada()).await;
    assert!(
        matches!(&outcome.result, Err(HandoverError::Core(error)) if error.failure == Failure::Slow(1000)),
        "{outcome:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn what_doctor_finds() {
    let lines = async |host: &CoreHandover| {
        let findings = host.examine().await;
        findings
            .into_iter()
            .map(|found| (found.name, crate::audit::verdict(found.verdict), found.hint))
            .collect::<Vec<_>>()
    };
    for generation in [Generation::V1, Generation::V2] {
        let stack = Stack::start(generation).await;
        let found = lines(&stack.host()).await;
        let names: Vec<_> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["core.reachable", "core.credential", "core.version", "core.license", "core.rights"]);
        assert!(found.iter().all(|(_, verdict, _)| *verdict == "pass"), "{generation:?}: {found:?}");
        assert!(stack.core.calls().iter().all(|call| call.starts_with("GET")), "it changes nothing");
    }
    let table = [
        ("a wrong token", "GET", Fault::Answer(401, r#"{"msg":"Invalid API token"}"#), "core.credential"),
        ("no licence", "GET", Fault::Answer(401, r#"{"msg":"Session is required"}"#), "core.license"),
        ("a token of a normal user", "GET", Fault::Answer(403, r#"{"msg":"not allowed"}"#), "core.rights"),
        ("no rights", "GET user", Fault::Answer(403, r#"{"msg":"access denied"}"#), "core.rights"),
        ("another server", "GET", Fault::Answer(200, "<html>"), "core.version"),
        ("an old Core", "GET info", Fault::Answer(200, r#"{"version":"1.4.0"}"#), "core.version"),
        ("a Core to come", "GET info", Fault::Answer(200, r#"{"version":"3.0.0"}"#), "core.version"),
        ("5xx", "GET", Fault::Answer(502, ""), "core.reachable"),
        (
            "a licence that expired",
            "GET enterprise",
            Fault::Answer(200, r#"{"license_info":{"expired":true}}"#),
            "core.license",
        ),
        ("no licence in 2.x", "GET enterprise", Fault::Answer(200, r#"{"license_info":null}"#), "core.license"),
        (
            "limits in 2.x",
            "GET enterprise",
            Fault::Answer(200, r#"{"license_info":{"expired":false,"limits_exceeded":{"user":true}}}"#),
            "core.license",
        ),
    ];
    for (name, place, fault, expected) in table {
        let stack = Stack::start(Generation::V2).await;
        stack.core.always(Some((place, fault)));
        let found = lines(&stack.host()).await;
        let failed: Vec<_> = found.iter().filter(|(_, verdict, _)| *verdict == "fail").collect();
        assert!(
            matches!(failed.as_slice(), [(found, _, hint)] if found == expected && hint.len() > 20),
            "{name}: {found:?}"
        );
    }
}
