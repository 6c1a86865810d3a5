//! `sync --now` as an administrator runs it: exit codes, the last line, and a process that is killed wherever it is.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::{Duration, Instant};

use conformance::HostOptions;
use conformance::core::handed_over_to;
use conformance::directory::State;
use conformance::service::{Service, binary, run};
use core_emulator::{CoreEmulator, Settings, Version};
use entra_emulator::Side;
use entra_emulator::fixtures::{self, person};
use serde_json::Value;
use tokio::process::Command;

async fn service(more: &[(&str, &str)]) -> Service {
    let all = [
        ("directory.enabled", "true"),
        ("directory.apply", "\"file:state.json\""),
        ("directory.user_behavior", "\"delete\""),
    ];
    Service::prepare(
        all.iter().chain(more).fold(HostOptions::default(), |options, (key, value)| options.set(key, value)),
    )
    .await
}

fn document(service: &Service) -> Option<Value> {
    let bytes = std::fs::read(service.folder.path().join("state.json")).ok()?;
    Some(serde_json::from_slice(&bytes).expect("a whole document, or none"))
}

async fn sync(service: &Service) -> (Option<i32>, Value, String) {
    let (code, out, err) = run(&["sync", "--now", "--config", &service.config()]).await;
    let last = out.lines().last().unwrap_or_else(|| panic!("no output: {err}"));
    (code, serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {out}")), err)
}

#[tokio::test]
async fn exit_codes_and_the_last_line() {
    let service = service(&[]).await;
    let control = service.entra.control();
    let (code, last, err) = sync(&service).await;
    assert_eq!((code, &last["outcome"]), (Some(0), &"done".into()), "{last} {err}");
    let known = document(&service).unwrap();
    assert_eq!(last["users"], known["users"].as_array().unwrap().len(), "{last}");
    assert_eq!(last["groups"], known["groups"].as_array().unwrap().len(), "{last}");
    let (code, last, _) = sync(&service).await;
    assert_eq!((code, &last["requests"]), (Some(0), &2.into()), "unchanged: {last}");
    // A service beside it doesn't mind.
    let mut serving = service.spawn().await;
    let (code, ..) = sync(&service).await;
    assert_eq!(code, Some(0), "beside the service");
    serving.kill().await.unwrap();
    // Held, then failed; the document is as it was.
    let seed = control.directory();
    for person in seed.persons.iter().take(20) {
        control.remove_person(&person.key).unwrap();
    }
    let (code, last, err) = sync(&service).await;
    assert_eq!(
        (code, &last["outcome"], &last["reason"]),
        (Some(3), &"held".into(), &"too_many_removals".into()),
        "{last}"
    );
    assert!(err.contains("max_removal_percent"), "what to do: {err}");
    control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles.clear()).unwrap();
    control.revoke_access_tokens();
    let (code, last, err) = sync(&service).await;
    assert_eq!(
        (code, &last["outcome"], &last["reason"]),
        (Some(1), &"failed".into(), &"permission_missing".into()),
        "{last}"
    );
    assert!(err.contains("User.Read.All") && err.contains("Grant admin consent"), "{err}");
    assert_eq!(document(&service).unwrap(), known);
}

#[tokio::test]
async fn switched_off_it_says_so() {
    for lines in ["false", ""] {
        let settings: Vec<(&str, &str)> = if lines.is_empty() { vec![] } else { vec![("directory.enabled", lines)] };
        let options = settings.iter().fold(HostOptions::default(), |options, (key, value)| options.set(key, value));
        let service = Service::prepare(options).await;
        let (code, last, err) = sync(&service).await;
        assert_eq!((code, &last["reason"]), (Some(1), &"sync_off".into()), "{last} {err}");
    }
}

/// Starts a run and kills it once Graph had so many more requests and this time is over, if it hasn't ended until then.
async fn killed_after(service: &Service, requests: usize, then: Duration) -> bool {
    let control = service.entra.control();
    let enough = control.count(Side::Graph, "*/delta") + requests;
    let mut child = Command::new(binary())
        .args(["sync", "--now", "--config", &service.config()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while control.count(Side::Graph, "*/delta") < enough && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it makes no request");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(then).await;
    let is_killed = child.try_wait().unwrap().is_none();
    child.kill().await.unwrap();
    // Whole, whenever it was.
    document(service);
    is_killed
}

#[tokio::test]
async fn killed_at_fifty_points_it_ends_the_same() {
    let service = service(&[]).await;
    let control = service.entra.control();
    control.edit_graph(|graph| graph.page_size = Some(2));
    // Some runs end before they are killed, the more so the busier this machine is: they are no point, and others take their place.
    let (mut killed, mut runs) = (0, 0_usize);
    // Reading everything: from one to four requests further each time, and up to 3 ms, in which a page is kept.
    while killed < 38 {
        assert!(runs < 200, "{killed} of {runs} were killed");
        let then = Duration::from_micros((runs * 1_100 % 3_000) as u64);
        killed += usize::from(killed_after(&service, 1 + (runs * 7 + runs / 3) % 4, then).await);
        if runs == 20 {
            control.remove_person(person::ADA).unwrap();
        }
        runs += 1;
    }
    // The round that was under way ends with what was there when it began; the next one knows everything.
    for _ in 0..2 {
        let (code, last, err) = sync(&service).await;
        assert_eq!(code, Some(0), "{last} {err}");
    }
    // Working out and writing the document: each time something has changed, and both collections were read.
    control.edit_graph(|graph| graph.page_size = None);
    let mut round = 0_u64;
    while killed < 50 {
        assert!(round < 200, "{killed} were killed");
        let mail = Some(format!("round-{round}@contoso.example"));
        control.edit_person(person::UNICODE, |person| person.mail = mail).unwrap();
        killed += usize::from(killed_after(&service, 2, Duration::from_micros(round % 8 * 500)).await);
        round += 1;
    }
    let (code, last, err) = sync(&service).await;
    assert_eq!(code, Some(0), "{last} {err}");
    let disturbed = document(&service).unwrap();
    std::fs::remove_file(service.folder.path().join("state.json")).unwrap();
    std::fs::remove_file(service.folder.path().join("state.directory-entra.redb")).unwrap();
    assert_eq!(sync(&service).await.0, Some(0));
    assert!(document(&service).unwrap() == disturbed, "another result than that of an undisturbed run");
    let truth = State::of_directory(&control.directory(), fixtures::CONTOSO, false);
    assert!(State::of_document(disturbed.to_string().as_bytes()) == truth, "another result than the directory's");
}

/// `sync --now` against Defguard Core, killed at points that a random number chooses: each time Core is as far as it got, and in the
/// end where an undisturbed run would have brought it.
#[tokio::test]
async fn killed_while_core_is_changed_it_ends_the_same() {
    let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let mut state = u64::from(seed) | 1;
    // An LCG (Knuth's MMIX): points of time need no better one, and the seed is printed.
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let always = [
        ("directory.enabled", "true"),
        ("directory.apply", "\"core\""),
        ("directory.prefetch_users", "true"),
        ("directory.steps_per_second", "400"),
    ];
    let options = always.iter().fold(HostOptions::default(), |options, (key, value)| options.set(key, value));
    let after = |core: &CoreEmulator| {
        let control = core.control();
        let mut users: Vec<_> = control.users().into_iter().map(|user| (user.email, user.is_active)).collect();
        let mut groups: Vec<_> = control
            .groups()
            .into_iter()
            .map(|group| (group.name, group.members.into_iter().collect::<BTreeSet<_>>()))
            .collect();
        users.sort();
        groups.sort();
        (users, groups)
    };
    let undisturbed = {
        let emulator = CoreEmulator::start(Settings::new(Version::V2_0)).await.unwrap();
        let service = Service::prepare(handed_over_to(&emulator, options.clone(), "")).await;
        let (code, last, said) = sync(&service).await;
        assert_eq!(code, Some(0), "{last} {said}");
        after(&emulator)
    };
    assert!(undisturbed.0.len() > 10 && undisturbed.1.len() > 100, "there is something to do");
    let emulator = CoreEmulator::start(Settings::new(Version::V2_0)).await.unwrap();
    let service = Service::prepare(handed_over_to(&emulator, options, "")).await;
    let (mut killed, mut amid) = (0, 0);
    for _ in 0..50 {
        let before = emulator.control().requests().len();
        let mut child = Command::new(binary())
            .args(["sync", "--now", "--config", &service.config()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let enough = before + 1 + usize::try_from(random(40)).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while emulator.control().requests().len() < enough && child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "seed {seed}: it does nothing");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        tokio::time::sleep(Duration::from_micros(random(3_000))).await;
        if child.try_wait().unwrap().is_none() {
            killed += 1;
            amid += usize::from(after(&emulator) != undisturbed);
        }
        child.kill().await.unwrap();
    }
    println!("seed {seed}: {killed} of 50 killed, {amid} while there was something to do");
    assert!(amid >= 10, "seed {seed}: {killed} killed, {amid} of them amid it");
    for _ in 0..2 {
        let (code, last, said) = sync(&service).await;
        assert_eq!(code, Some(0), "seed {seed}: {last} {said}");
    }
    assert!(after(&emulator) == undisturbed, "seed {seed}: another result than that of an undisturbed run");
    let (_, last, _) = sync(&service).await;
    assert_eq!(last["steps"], 0, "seed {seed}: {last}");
}
