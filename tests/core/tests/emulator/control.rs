//! The control handle: users, groups, the log of requests, secrets, reset, the end.

use core_emulator::{
    Auth, CoreEmulator, DirectoryError, Licence, NewUser, Seed, SeedError, Settings, StartError, Version,
};
use core_emulator::{Fault, FaultAction, fixtures};
use reqwest::Method;
use serde_json::json;

use crate::support::{Lab, PASSWORD, client, new_user, with_json};

#[tokio::test]
async fn users_are_changed_past_core() {
    let lab = Lab::start(Version::V2_0).await;
    let control = &lab.control;
    control.add_group("staff", false).unwrap();
    assert_eq!(control.add_user(&NewUser::new("ada", "ada@x.example").group("staff")), Ok(2));
    control.edit_user("ada", |user| user.password = Some(PASSWORD.into())).unwrap();
    control.set_groups("ada", &["admin", "staff"]).unwrap();
    let ada = control.user("ada").unwrap();
    assert!(ada.enrolled && ada.has_password && ada.is_admin && ada.groups == ["admin", "staff"]);
    control.set_active("ada", false).unwrap();
    assert!(!control.user("ada").unwrap().is_active);

    let taken = |name: &str| Err(DirectoryError::UsernameTaken(name.into()));
    assert_eq!(control.add_user(&NewUser::new("ada", "other@x.example")).map(|_| ()), taken("ada"));
    assert_eq!(control.edit_user("ada", |user| user.username = "admin".into()), taken("admin"));
    let email = Err(DirectoryError::EmailTaken("ada@x.example".into()));
    assert_eq!(control.add_user(&NewUser::new("other", "ada@x.example")).map(|_| ()), email);
    let group = Err(DirectoryError::UnknownGroup("vpn".into()));
    assert_eq!(control.set_groups("ada", &["vpn"]), group);
    assert_eq!(control.set_active("nobody", true), Err(DirectoryError::UnknownUser("nobody".into())));
    assert_eq!(control.users().len(), 2, "nothing of what was refused");
}

#[tokio::test]
async fn requests_are_recorded_without_their_secrets() {
    let lab = Lab::start(Version::V2_0).await;
    let session = lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session();
    lab.get("user?page=2").await;
    let body =
        json!({"username": "ada", "last_name": "L", "first_name": "A", "email": "a@x.example", "password": PASSWORD});
    lab.send(with_json(lab.as_session(&session, Method::POST, "user"), &body)).await;
    lab.send(lab.bare(Method::GET, "health")).await;

    assert_eq!(
        lab.control.lines(),
        ["POST /api/v1/auth", "GET /api/v1/user", "POST /api/v1/user", "GET /api/v1/health"]
    );
    let records = lab.control.requests();
    let auth: Vec<Auth> = records.iter().map(|record| record.auth).collect();
    assert_eq!(auth, [Auth::None, Auth::Token, Auth::Session, Auth::None]);
    assert_eq!(records[0].body, Some(json!({"username": "admin", "password": "(hidden)"})));
    assert_eq!((records[1].query.as_str(), records[1].user_agent.as_deref()), ("page=2", Some("tests")));
    assert_eq!((records[2].status, records[3].user_agent.as_deref()), (Some(201), None));
    let text = serde_json::to_string(&records).unwrap();
    for secret in [fixtures::TOKEN, fixtures::ADMIN_PASSWORD, PASSWORD, session.as_str()] {
        assert!(!text.contains(secret));
        assert!(lab.control.secrets().contains(&secret.to_owned()), "but a test can ask for them");
    }
    assert_eq!(lab.control.count("POST", "/api/v1/*"), 2);
    assert_eq!(lab.control.count("", "/api/v1/user"), 2);
    lab.control.clear_requests();
    assert!(lab.control.requests().is_empty());
}

#[tokio::test]
async fn issued_tokens_are_secrets_too() {
    let lab = Lab::start(Version::V1_6).await;
    lab.add("ada");
    let token = lab.post("user/ada/start_desktop", &json!({})).await.json()["enrollment_token"].clone();
    assert!(lab.control.secrets().iter().any(|secret| token == secret.as_str()));
}

#[tokio::test]
async fn a_reset_is_a_new_start() {
    let lab = Lab::start(Version::V1_6).await;
    let session = lab.log_in(fixtures::ADMIN, fixtures::ADMIN_PASSWORD).await.session();
    lab.post("user", &new_user("ada", "ada@x.example")).await;
    let first = lab.control.add_api_token(fixtures::ADMIN).unwrap();
    lab.control.set_version(Version::V2_0);
    lab.control.set_licence(Licence::None);
    lab.control.advance_clock(1_000_000);
    lab.control.add_fault(Fault::new(FaultAction::status(500)));
    lab.control.reset();
    assert!(lab.get("user").await.json().is_array(), "version, licence, faults");
    assert_eq!((lab.control.users().len(), lab.control.session_count(), lab.control.requests().len()), (1, 0, 1));
    assert_eq!(lab.send(lab.as_session(&session, Method::GET, "me")).await.status, 401);
    assert_ne!(lab.control.add_api_token(fixtures::ADMIN).unwrap(), first, "no token comes twice");
}

#[tokio::test]
async fn a_seed_must_hang_together() {
    let unknown_owner = Seed::demo().api_token("nobody", "dg-x");
    let twice = Seed::demo().user(NewUser::new("admin", "other@x.example"));
    let no_group = Seed::demo().user(NewUser::new("ada", "ada@x.example").group("vpn"));
    for (name, seed) in [("an owner", unknown_owner), ("a name", twice), ("a group", no_group)] {
        let start = CoreEmulator::start(Settings::new(Version::V2_0).seed(seed)).await;
        assert!(matches!(start, Err(StartError::Seed(SeedError::Inconsistent(_)))), "{name}: {start:?}");
    }
}

#[tokio::test]
async fn when_it_is_dropped_nobody_answers() {
    let lab = Lab::start(Version::V2_0).await;
    let url = format!("{}/api/v1/health", lab.core.url());
    assert!(client().get(&url).send().await.is_ok());
    lab.core.stop().await;
    assert!(client().get(&url).send().await.unwrap_err().is_connect());
}
