//! The directory's word on whoever signs in: a user whom it says to be disabled or gone stays out, and nothing else that it does, or
//! fails to do, turns a good sign-in into an error (`login_check` in `[provider.directory]`).

use conformance::{Browser, Entra, EntraAndCore, HostOptions, TestHost, entra_provider, register};
use core_emulator::{Settings, Version};
use defguard_openid_host::sync::at_login::{PersonSeen, SeenGroups};
use defguard_openid_host::sync::oid::Oid;
use entra_emulator::fixtures::{self, person};
use entra_emulator::seed::Outcome as SignInOutcome;
use entra_emulator::{Emulator, Fault, FaultAction, Seed, Side};
use futures_util::future::join_all;
use serde_json::Value;

const CHECK: &str = "directory.login_check";

fn options(settings: &[(&str, &str)]) -> HostOptions {
    let all = [("directory.enabled", "true"), ("directory.apply", "\"file:state.json\"")];
    all.iter().chain(settings).fold(HostOptions::default(), |options, (key, value)| options.set(key, value))
}

/// The last audit record.
fn record(host: &TestHost) -> Value {
    serde_json::from_str(host.audit().lines().last().expect("a record")).expect("JSON")
}

/// Verdict and detail of the check; none: nobody thought of it.
fn check(host: &TestHost) -> Option<(String, String)> {
    let record = record(host);
    let check = record["checks"].as_array()?.iter().find(|check| check["name"] == CHECK)?;
    Some((check["verdict"].as_str()?.to_owned(), check["detail"].as_str()?.to_owned()))
}

/// How often a sign-in's question ended so.
fn counted(host: &TestHost, outcome: &str) -> u64 {
    let text = host.gateway.metrics().text().expect("metrics");
    let row = format!("defguard_openid_directory_login_checks_total{{provider=\"entra\",outcome=\"{outcome}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&row)?.parse().ok()).unwrap_or(0)
}

/// Userinfo, which Entra serves from Graph's host, isn't the directory.
fn graph_requests(entra: &Emulator) -> usize {
    entra.control().count(Side::Graph, "/v1.0/*")
}

/// What happens between the sign-in at Entra and the callback, which Entra's login side doesn't see any more.
type Between = fn(&entra_emulator::Control);

fn disable(control: &entra_emulator::Control) {
    control.edit_person(person::ADA, |ada| ada.outcome = SignInOutcome::Disabled).expect("Ada is there");
}

fn remove(control: &entra_emulator::Control) {
    control.remove_person(person::ADA).expect("Ada is there");
}

#[tokio::test]
async fn who_is_disabled_or_gone_stays_out() {
    let table: [(&str, &str, Between, u16, &str, &str); 5] = [
        ("enabled", person::ADA, |_| {}, 200, "", "pass"),
        ("a guest", person::GUEST, |_| {}, 200, "", "pass"),
        ("disabled since", person::ADA, disable, 403, "directory_account_disabled", "fail"),
        ("deleted since", person::ADA, remove, 403, "directory_account_missing", "fail"),
        (
            "the directory doesn't show the state",
            person::ADA,
            |control| {
                control
                    .edit_app(fixtures::CLIENT_ID, |app| app.granted_roles = vec!["GroupMember.Read.All".into()])
                    .expect("the application is there");
            },
            200,
            "",
            "skip",
        ),
    ];
    for (name, person, between, status, code, verdict) in table {
        let all = EntraAndCore::start(Settings::new(Version::V2_0), options(&[("guests", "true")]), "").await;
        let mut seen = all.stack.host.gateway.at_login().receive();
        let browser = all.stack.browser();
        let callback = browser.callback_url(person).await;
        between(&all.stack.entra.control());
        let answer = browser.finish(&callback).await;
        assert_eq!(answer.status, status, "{name}: {}", answer.body);
        let (found, detail) = check(&all.stack.host).unwrap_or_else(|| panic!("{name}: no check"));
        assert_eq!(found, verdict, "{name}: {detail}");
        let record = record(&all.stack.host);
        if status == 200 {
            assert_eq!((all.new_users().len(), &record["outcome"]), (1, &"ok".into()), "{name}");
        } else {
            assert_eq!(answer.code(), code, "{name}: {}", answer.body);
            assert!(answer.json().get("token").is_none(), "{name}: {}", answer.body);
            assert!(all.new_users().is_empty(), "{name}: {:?}", all.new_users());
            assert_eq!(all.core.control().count("POST", "*"), 0, "{name}: nothing was made or begun in Core");
            assert_eq!((&record["outcome"], &record["code"]), (&"refused".into(), &code.into()), "{name}");
            assert!(record["who"]["object_id"].is_string() && record["hint"].is_string(), "{name}: {record}");
        }
        // Whoever brings memberships up to date learns of those who are in, and of those who are disabled.
        let told = seen.try_recv().ok().map(|seen| seen.enabled);
        let expected = match verdict {
            "pass" => Some(Some(true)),
            "fail" if code == "directory_account_disabled" => Some(Some(false)),
            _ => None,
        };
        assert_eq!(told, expected, "{name}");
    }
}

#[tokio::test]
async fn the_groups_are_handed_on_nested_ones_included() {
    let stack = Entra::start(options(&[])).await;
    let directory = stack.entra.control().directory();
    let mut seen = stack.host.gateway.at_login().receive();
    let id = |text: &str| Oid::parse(text).expect("a GUID");
    for key in [person::ADA, person::IN_NESTED_GROUP, person::IN_CYCLE, person::OVERAGE] {
        let finished = stack.browser().sign_in(key).await;
        assert_eq!(finished.status, 200, "{key}: {}", finished.body);
        let person = directory.person(key).expect("a fixture");
        let mut groups: Vec<Oid> = directory.groups_of(&person.oid).iter().map(|group| id(group.id.as_str())).collect();
        groups.sort_unstable();
        let expected = PersonSeen {
            provider: stack.host.gateway.config().providers[0].id.clone(),
            object_id: id(person.oid.as_str()),
            enabled: Some(true),
            groups: SeenGroups::Known(groups),
            epoch: None,
        };
        let found = seen.try_recv().unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(found.epoch.is_some(), "{key}: it is known when that was");
        assert_eq!(PersonSeen { epoch: None, ..found }, expected, "{key}");
    }
    // Unknown is handed on as unknown.
    let denied = FaultAction::GraphError { status: 403, code: "Authorization_RequestDenied".into() };
    stack.entra.control().add_fault(Fault::new(denied).on(Side::Graph).path("*/getMemberGroups"));
    assert_eq!(stack.browser().sign_in(person::IN_GROUPS).await.status, 200);
    let told = seen.try_recv().ok().map(|seen| (seen.enabled, seen.groups));
    assert_eq!(told, Some((Some(true), SeenGroups::Unknown)));
    let (verdict, detail) = check(&stack.host).expect("a check");
    assert!(verdict == "pass" && detail.contains("GroupMember.Read.All"), "{verdict}: {detail}");
}

#[tokio::test]
async fn whatever_the_directory_does_a_good_sign_in_goes_on() {
    let status = |status| FaultAction::Status { status, retry_after: None, html: false };
    let asks_to_wait = FaultAction::Status { status: 429, retry_after: Some("1".into()), html: false };
    let forbidden = FaultAction::GraphError { status: 403, code: "Authorization_RequestDenied".into() };
    let page = FaultAction::Status { status: 404, retry_after: None, html: true };
    let expired = FaultAction::Aadsts { code: 7_000_222, error: "invalid_client".into(), suberror: None };
    let graph = |action: FaultAction| Fault::new(action).on(Side::Graph);
    // The second request for a token in a sign-in is the one for the directory.
    let token = |action: FaultAction| Fault::new(action).on(Side::Login).path("*/token").nth([2]);
    let table = [
        ("forbidden", graph(forbidden), "denied", "User.Read.All"),
        ("throttled", graph(asks_to_wait), "unavailable", "429"),
        ("broken", graph(status(500)), "unavailable", "500"),
        ("down", graph(status(503)), "unavailable", "503"),
        ("another machine's 404", graph(page), "unavailable", "404"),
        ("silence", graph(FaultAction::Hang), "unavailable", ""),
        ("ten seconds", graph(FaultAction::Delay { delay_ms: 10_000 }), "unavailable", ""),
        ("byte after byte", graph(FaultAction::SlowDrip { interval_ms: 500 }), "unavailable", ""),
        ("reset", graph(FaultAction::Reset), "unavailable", ""),
        ("cut short", graph(FaultAction::Truncate { at: 20 }), "unavailable", ""),
        ("JSON that breaks off", graph(FaultAction::BadJson), "malformed", "JSON"),
        ("a page", graph(FaultAction::Html), "malformed", "JSON"),
        ("two megabytes", graph(FaultAction::BigBody { bytes: 2 << 20 }), "unavailable", ""),
        ("a redirect", graph(FaultAction::Redirect { location: "/x".into(), status: 302 }), "unavailable", "302"),
        ("no token: silence", token(FaultAction::Hang), "unavailable", "token"),
        ("no token: broken", token(status(500)), "unavailable", "token"),
        ("no token: the secret expired", token(expired), "credential", "7000222"),
    ];
    let of_graph = Entra::start(options(&[("directory.login_budget_ms", "700")])).await;
    for (name, fault, outcome, part) in table {
        // A token that failed is remembered for a moment: those begin without that.
        let fresh = match fault.matching.host {
            Some(Side::Login) => Some(Entra::start(options(&[("directory.login_budget_ms", "700")])).await),
            _ => None,
        };
        let stack = fresh.as_ref().unwrap_or(&of_graph);
        let control = stack.entra.control();
        let never_answers =
            fault.action == FaultAction::Hang || matches!(fault.action, FaultAction::Delay { delay_ms: 10_000 });
        control.clear_faults();
        control.clear_requests();
        let id = control.add_fault(fault);
        let before = |outcome| counted(&stack.host, outcome);
        let (slow, told) = (before("slow"), before(outcome));
        let answer = stack.browser().sign_in(person::ADA).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.body);
        assert!(control.fault_hits(id) > 0, "{name}: the fault didn't hit");
        let is_pending = control.requests().iter().any(|request| request.fault.is_some() && request.status.is_none());
        assert!(!never_answers || is_pending, "{name}: the sign-in waited for the directory");
        let (verdict, detail) = check(&stack.host).unwrap_or_else(|| panic!("{name}: no check"));
        assert_eq!(verdict, "skip", "{name}: {detail}");
        // On a busy machine the host may be the first to say that the time is over.
        let is_late = outcome == "unavailable" && counted(&stack.host, "slow") == slow + 1;
        assert!(is_late || counted(&stack.host, outcome) == told + 1, "{name}: {detail}");
        assert!(is_late || detail.contains(part), "{name}: {detail}");
        assert_eq!(record(&stack.host)["outcome"], "ok", "{name}");
    }
}

/// More people than half of the instances, and a directory that answers nobody.
#[tokio::test]
async fn a_crowd_gets_in_while_the_directory_hangs() {
    let mut options = options(&[("directory.login_budget_ms", "500")]);
    options.limits.concurrent_calls = 8;
    let stack = Entra::start(options).await;
    let control = stack.entra.control();
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
    let fault = control.add_fault(Fault::new(FaultAction::Hang).on(Side::Graph));
    let answers = join_all((0..20).map(|_| async { stack.browser().sign_in(person::ADA).await })).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert!(control.fault_hits(fault) > 0);
    assert_eq!(counted(&stack.host, "unavailable") + counted(&stack.host, "slow"), 20);
    // No instance is held any more, and nothing is remembered against the directory.
    control.clear_faults();
    let answers = join_all((0..8).map(|_| async { stack.browser().sign_in(person::ADA).await })).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let (verdict, detail) = check(&stack.host).expect("a check");
    assert_eq!((verdict.as_str(), counted(&stack.host, "enabled")), ("pass", 9), "{detail}");
}

#[tokio::test]
async fn the_directory_is_asked_only_where_that_is_wanted_and_makes_sense() {
    for (name, settings) in [
        ("switched off", vec![("directory.login_check", "false")]),
        ("no directory", vec![("directory.enabled", "false")]),
    ] {
        let stack = Entra::start(options(&settings)).await;
        assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200, "{name}");
        assert_eq!((check(&stack.host), graph_requests(&stack.entra)), (None, 0), "{name}");
    }

    // Any other provider, which has no directory.
    let entra = Emulator::start(Seed::demo()).await.expect("the emulator starts");
    let kept = ["id", "base_url", "client_id", "secret"];
    let mut lines = entra_provider(&entra);
    lines.retain(|(key, _)| kept.contains(&key.as_str()));
    lines.push(("kind".into(), "\"oidc\"".into()));
    let host = TestHost::start(HostOptions::default().with_provider(&lines)).await;
    register(&entra, &host);
    let answer = Browser::new(&host.url).sign_in(person::ADA).await;
    assert_eq!((answer.status, check(&host), graph_requests(&entra)), (200, None, 0), "{}", answer.body);

    // A personal account: its object is in Microsoft's tenant, and unknown in ours.
    let lines = [
        ("base_url", format!("{:?}", entra.authority("common"))),
        ("client_id", format!("{:?}", fixtures::MULTI_TENANT_CLIENT_ID)),
        ("allowed_tenants", format!("{:?}", [fixtures::CONTOSO, fixtures::PERSONAL_TENANT])),
        ("personal_accounts", "true".to_owned()),
    ];
    let options = lines.iter().fold(options(&[]), |options, (key, value)| options.set(key, value));
    let host = TestHost::start(options.with_provider(&entra_provider(&entra))).await;
    register(&entra, &host);
    let answer = Browser::new(&host.url).sign_in(person::PERSONAL).await;
    assert_eq!((answer.status, graph_requests(&entra)), (200, 0), "{}", answer.body);
    assert_eq!(
        (check(&host).map(|(verdict, _)| verdict).as_deref(), counted(&host, "not_in_directory")),
        (Some("skip"), 1)
    );
}

/// Who is refused reads why, in their language, and the administrator has the way to undo it.
#[tokio::test]
async fn the_page_says_it() {
    let stack = Entra::start(options(&[])).await;
    for (languages, words) in [("en", "Your account is disabled or locked"), ("de", "Ihr Konto ist deaktiviert")] {
        let browser = stack.browser();
        let callback = browser.callback_url(person::ADA).await;
        disable(&stack.entra.control());
        let page = browser.get_in(&callback, languages).await;
        assert_eq!((page.status, page.code().as_str()), (403, "directory_account_disabled"), "{}", page.body);
        assert!(page.body.contains(words), "{}", page.body);
        stack
            .entra
            .control()
            .edit_person(person::ADA, |ada| ada.outcome = SignInOutcome::SignsIn)
            .expect("Ada is there");
    }
    // Enabled again: in at once, nothing is remembered.
    assert_eq!(stack.browser().sign_in(person::ADA).await.status, 200);
}
