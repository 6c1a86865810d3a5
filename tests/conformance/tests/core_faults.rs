//! Defguard Core fails: each way has a code of its own, loses nothing, and the next sign-in ends well with one user (T15).

use conformance::core::handed_over_to;
use conformance::{Entra, EntraAndCore, HostOptions};
use core_emulator::{CoreEmulator, Fault, FaultAction, Licence, NewUser, Settings, Version, fixtures};
use entra_emulator::fixtures::person;

const VERSIONS: [Version; 2] = [Version::V1_6, Version::V2_0];
const ADA: &str = "ada@contoso.example";
/// Short enough for a test of a Core that hangs.
const IMPATIENT: &str = "call_timeout_ms = 1000\ntime_budget_ms = 3000\n";

#[tokio::test]
async fn each_fault_at_each_call() {
    use FaultAction as Action;
    let actions: Vec<(&str, FaultAction, &[&str])> = vec![
        ("answers 500", Action::status(500), &["core_failed"]),
        ("answers 503", Action::status(503), &["core_failed"]),
        ("resets the connection", Action::Reset, &["core_unreachable"]),
        ("hangs", Action::Hang, &["core_slow"]),
        ("did it, and answers 500", Action::DoneBut { status: 500 }, &["core_failed"]),
        ("did it, and resets", Action::DoneThenReset, &["core_unreachable"]),
        ("did it, and hangs", Action::DoneThenHang, &["core_slow"]),
        ("cuts the answer off", Action::Truncate { at: 10 }, &["core_unreachable", "core_malformed"]),
        ("answers nonsense", Action::BadJson, &["core_malformed"]),
        ("is something else", Action::Html { status: 200 }, &["core_malformed"]),
        (
            "redirects",
            Action::Redirect { location: "http://127.0.0.1:1/".into() },
            &["core_malformed", "core_rejected"],
        ),
        ("answers without end", Action::BigBody { bytes: 64 << 20 }, &["core_malformed"]),
        ("drips", Action::SlowDrip { interval_ms: 300 }, &["core_slow"]),
        ("refuses", Action::status(418), &["core_rejected", "core_malformed"]),
        ("says too many requests", Action::status(429), &["core_rejected", "core_failed", "core_busy"]),
    ];
    // The calls of a first sign-in, each for another person. A creation whose answer was lost is looked for, so some end well at once.
    let calls = [(1, "available", person::ADA), (2, "creation", person::UNICODE), (3, "start", person::NO_MAIL)];
    for version in VERSIONS {
        for (name, action, codes) in &actions {
            let all = EntraAndCore::start(Settings::new(version), HostOptions::default(), IMPATIENT).await;
            let control = all.core.control();
            for (people, (nth, call, who)) in (1..).zip(calls) {
                let title = format!("{version:?}: {call}: {name}");
                let fault = control.add_fault(Fault::new(action.clone()).nth([nth]).times(1));
                let finished = all.stack.browser().sign_in(who).await;
                assert_eq!(control.fault_hits(fault), 1, "{title}: {:?}", control.lines());
                control.remove_fault(fault);
                if finished.status != 200 {
                    assert!(codes.contains(&finished.code().as_str()), "{title}: {}", finished.body);
                }
                let again = all.stack.browser().sign_in(who).await;
                assert_eq!(again.status, 200, "{title}, then works: {}", again.body);
                assert_eq!(all.new_users().len(), people, "{title}: {:?}", all.new_users());
            }
        }
    }
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_makes_no_second_user() {
    let lost = [FaultAction::DoneBut { status: 500 }, FaultAction::DoneThenReset, FaultAction::DoneThenHang];
    for version in VERSIONS {
        for action in &lost {
            let all = EntraAndCore::start(Settings::new(version), HostOptions::default(), IMPATIENT).await;
            let control = all.core.control();
            let fault = control.add_fault(Fault::new(action.clone()).on("POST", "/api/v1/user").times(1));
            let first = all.stack.browser().sign_in(person::ADA).await;
            assert_eq!(control.fault_hits(fault), 1, "{version:?} {action:?}");
            let made = all.new_users();
            assert_eq!(made.len(), 1, "{version:?} {action:?}: Core has made it");
            let again = all.stack.browser().sign_in(person::ADA).await;
            assert_eq!(again.status, 200, "{version:?} {action:?}: {} {}", first.body, again.body);
            let users = all.new_users();
            assert_eq!((users.len(), users[0].id), (1, made[0].id), "{version:?} {action:?}: {users:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_everybodys_user() {
    // Ada's creation was lost before Core did anything; then an administrator made a user of her address.
    for version in VERSIONS {
        let all = EntraAndCore::start(Settings::new(version), HostOptions::default(), IMPATIENT).await;
        let control = all.core.control();
        control.add_fault(Fault::new(FaultAction::Reset).on("POST", "/api/v1/user").times(1));
        assert_ne!(all.stack.browser().sign_in(person::ADA).await.status, 200, "{version:?}");
        control.add_user(&NewUser::new("countess", ADA).names("Augusta", "King")).unwrap();
        let refused = all.stack.browser().sign_in(person::ADA).await;
        assert_eq!(refused.code(), "link_needs_approval", "{version:?}: {}", refused.body);
        assert_eq!(control.user("countess").unwrap().tokens.len(), 0, "{version:?}");
    }
}

#[tokio::test]
async fn credentials_and_licences() {
    type Spoil = fn(&core_emulator::Control);
    let table: [(&str, Version, Spoil, &[&str]); 8] = [
        (
            "the token was revoked",
            Version::V1_6,
            |core| assert!(core.revoke_api_token(fixtures::TOKEN)),
            &["core_token_invalid", "core_unauthorized"],
        ),
        (
            "the token was revoked",
            Version::V2_0,
            |core| assert!(core.revoke_api_token(fixtures::TOKEN)),
            &["core_token_invalid", "core_unauthorized"],
        ),
        ("no licence", Version::V2_0, |core| core.set_licence(Licence::None), &["core_license_missing"]),
        ("the licence expired", Version::V2_0, |core| core.set_licence(Licence::Expired), &["core_license_missing"]),
        ("the licence expired", Version::V1_6, |core| core.set_licence(Licence::Expired), &["core_license_missing"]),
        (
            "the licence is full",
            Version::V2_0,
            |core| core.set_licence(Licence::Business { users: Some(1) }),
            &["core_license_limit"],
        ),
        (
            "the owner isn't an administrator any more",
            Version::V2_0,
            |core| core.set_groups(fixtures::ADMIN, &[]).unwrap(),
            &["core_forbidden"],
        ),
        (
            "the owner is disabled",
            Version::V1_6,
            |core| core.set_active(fixtures::ADMIN, false).unwrap(),
            &["core_forbidden", "core_token_invalid"],
        ),
    ];
    for (name, version, spoil, codes) in table {
        let all = EntraAndCore::start(Settings::new(version), HostOptions::default(), "").await;
        spoil(&all.core.control());
        let refused = all.stack.browser().sign_in(person::ADA).await;
        assert!(codes.contains(&refused.code().as_str()), "{version:?} {name}: {}", refused.body);
        assert!(all.new_users().is_empty(), "{version:?} {name}");
    }
}

#[tokio::test]
async fn a_core_that_stays_away_is_left_alone_for_a_while() {
    let all = EntraAndCore::start(
        Settings::new(Version::V2_0),
        HostOptions::default(),
        "breaker_failures = 3\nbreaker_pause_s = 30\n",
    )
    .await;
    let control = all.core.control();
    let fault = control.add_fault(Fault::new(FaultAction::status(503)));
    for _ in 0..3 {
        assert_eq!(all.stack.browser().sign_in(person::ADA).await.code(), "core_failed");
    }
    control.clear_requests();
    let refused = all.stack.browser().sign_in(person::ADA).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "core_unavailable_for_now"), "{}", refused.body);
    assert!(refused.headers.iter().any(|(name, _)| name == "retry-after"), "{:?}", refused.headers);
    assert!(control.lines().is_empty(), "Core isn't asked: {:?}", control.lines());
    let health = all.stack.browser().get("/health").await.json();
    assert_eq!(
        (health["status"].as_str(), health["core"]["breaker"].as_str()),
        (Some("degraded"), Some("open")),
        "{health}"
    );
    control.remove_fault(fault);
}

#[tokio::test]
async fn a_core_that_is_upgraded_under_way() {
    let all = EntraAndCore::start(Settings::new(Version::V1_6), HostOptions::default(), "").await;
    let control = all.core.control();
    assert_eq!(all.stack.browser().sign_in(person::ADA).await.status, 200);
    control.set_version(Version::V2_0);
    for who in [person::ADA, person::NO_MAIL] {
        let finished = all.stack.browser().sign_in(who).await;
        assert_eq!(finished.status, 200, "{who}: {}", finished.body);
    }
    assert_eq!(all.new_users().len(), 2);
}

#[tokio::test]
async fn a_core_that_is_not_there() {
    let core = CoreEmulator::start(Settings::new(Version::V2_0)).await.unwrap();
    let stack = Entra::start(handed_over_to(&core, HostOptions::default(), IMPATIENT)).await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    core.stop().await;
    let refused = browser.finish(&callback).await;
    assert_eq!((refused.status, refused.code().as_str()), (502, "core_unreachable"), "{}", refused.body);
    assert!(refused.json()["error"].as_str().unwrap().starts_with("You are signed in"), "{}", refused.body);
}
