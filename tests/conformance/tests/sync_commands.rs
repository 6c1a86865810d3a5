//! `sync --dry-run`, `--apply`, `sync status`, and a service that is asked: by the control socket, by signal. What an administrator sees
//! before anything happens, and what is done of it.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use conformance::HostOptions;
use conformance::service::{Service, run};
use entra_emulator::fixtures::{self, group, person};
use entra_emulator::seed::Person;
use serde_json::Value;

async fn service(more: &[(&str, &str)]) -> Service {
    let all = [
        ("directory.enabled", "true"),
        ("directory.apply", "\"file:state.json\""),
        ("directory.user_behavior", "\"delete\""),
        ("directory.interval_s", "86400"),
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

fn has(service: &Service, oid: &str) -> bool {
    let document = document(service).expect("there is a document");
    document["users"].as_array().unwrap().iter().any(|user| user["oid"] == oid)
}

/// Exit code, standard output, standard error.
async fn sync(service: &Service, arguments: &[&str]) -> (Option<i32>, String, String) {
    let config = service.config();
    let mut all = vec!["sync"];
    all.extend_from_slice(arguments);
    all.extend_from_slice(&["--config", &config]);
    run(&all).await
}

fn last_line(out: &str) -> Value {
    serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap_or_else(|error| panic!("{error}: {out}"))
}

fn plan(service: &Service) -> String {
    service.folder.path().join("plan.json").display().to_string()
}

/// People of the tenant who count.
fn people(service: &Service) -> Vec<Person> {
    let directory = service.entra.control().directory();
    let mine =
        |person: &&Person| person.tenant.as_str() == fixtures::CONTOSO && !person.user_principal_name.contains("#EXT#");
    directory.persons.iter().filter(mine).cloned().collect()
}

#[tokio::test]
async fn the_whole_difference_and_then_exactly_that() {
    let service = service(&[]).await;
    let plan = plan(&service);
    let (code, table, err) = sync(&service, &["--dry-run", "--out", &plan]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(document(&service).is_none(), "nothing is applied");
    assert!(err.contains(" users, ") && err.contains(" requests"), "no terminal: how far it is, in lines: {err}");
    let written: Value = serde_json::from_slice(&std::fs::read(&plan).unwrap()).unwrap();
    let hash = written["hash"].as_str().unwrap();
    let count = people(&service).len();
    let created = |kind: &str| written["actions"].as_array().unwrap().iter().filter(|it| it["action"] == kind).count();
    assert_eq!(created("create_user"), count);
    assert!(created("create_group") > 200 && created("change_members") > 2, "{written}");
    assert!(table.contains(hash) && table.matches("create_user").count() == count, "{table}");
    assert_eq!(last_line(&table)["steps"], written["actions"].as_array().unwrap().len(), "{table}");
    let (_, json, _) = sync(&service, &["--dry-run", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["hash"], hash, "the same difference, the same hash");

    // Somebody changes in the meantime: that wasn't looked at, so it isn't done.
    service
        .entra
        .control()
        .edit_person(person::IN_GROUPS, |who| who.mail = Some("new@contoso.example".into()))
        .unwrap();
    let (code, out, err) = sync(&service, &["--apply", &plan]).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!((&last_line(&out)["lapsed"], &last_line(&out)["users"]), (&1.into(), &(count - 1).into()), "{out}");
    assert!(err.contains("no reason for them any more"), "{err}");
    let (code, out, err) = sync(&service, &["--now"]).await;
    assert!(
        code == Some(0) && last_line(&out)["steps"].as_u64() >= Some(4),
        "one person, and their groups: {out} {err}"
    );
    assert_eq!(last_line(&out)["users"], count, "{out}");
    let (code, out, _) = sync(&service, &["--apply", &plan]).await;
    assert_eq!((code, &last_line(&out)["steps"]), (Some(0), &0.into()), "a second time: {out}");
}

#[tokio::test]
async fn what_is_held_is_done_once_it_was_seen() {
    let service = service(&[]).await;
    let (control, plan) = (service.entra.control(), plan(&service));
    assert_eq!(sync(&service, &["--now"]).await.0, Some(0));
    let leavers: Vec<Person> = people(&service).into_iter().take(12).collect();
    for leaver in &leavers {
        control.remove_person(&leaver.key).unwrap();
    }
    let (code, out, _) = sync(&service, &["--now"]).await;
    assert_eq!((code, &last_line(&out)["held_removals"]), (Some(3), &12.into()), "{out}");
    let (code, table, err) = sync(&service, &["--dry-run", "--out", &plan]).await;
    assert_eq!(code, Some(3), "{err}");
    assert!(table.contains("held: ") && table.matches("delete_user").count() == 12, "{table}");
    let (code, out, _) = sync(&service, &["status"]).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("held: too_many_removals") && out.contains("12 removals are held"), "{out}");

    // One comes back after the administrator looked.
    control.add_person(leavers[0].clone()).unwrap();
    let (code, out, err) = sync(&service, &["--apply", &plan]).await;
    assert_eq!((code, &last_line(&out)["outcome"]), (Some(0), &"done".into()), "{out} {err}");
    assert!(has(&service, leavers[0].oid.as_str()), "who is back stays");
    assert!(leavers.iter().skip(1).all(|gone| !has(&service, gone.oid.as_str())), "the others were seen to go");
}

/// A difference of which nothing is left to do is no first run: the one after it removes nobody either.
#[tokio::test]
async fn what_was_not_applied_as_a_whole_was_not_the_first_run() {
    let service = service(&[]).await;
    let (control, plan) = (service.entra.control(), plan(&service));
    assert_eq!(sync(&service, &["--now"]).await.0, Some(0));
    // Whoever loses the mirror begins anew: with the document of before, whose people must not go.
    std::fs::remove_file(service.folder.path().join("state.directory-entra.redb")).unwrap();
    let (code, _, err) = sync(&service, &["--dry-run", "--out", &plan]).await;
    assert_eq!(code, Some(0), "{err}");
    control.edit_person(person::UNICODE, |who| who.mail = Some("new@contoso.example".into())).unwrap();
    let (code, out, _) = sync(&service, &["--apply", &plan]).await;
    assert_eq!((code, &last_line(&out)["steps"]), (Some(0), &0.into()), "it has nothing of it: {out}");
    control.remove_person(person::ADA).unwrap();
    let ada = "33333333-3333-4333-8333-000000000001";
    assert_eq!(sync(&service, &["--now"]).await.0, Some(0));
    assert!(has(&service, ada), "the first run removes nobody");
    assert_eq!(sync(&service, &["--now"]).await.0, Some(0));
    assert!(!has(&service, ada), "the next one does");
}

#[tokio::test]
async fn a_difference_that_does_not_fit_is_refused() {
    let service = service(&[]).await;
    let path = plan(&service);
    assert_eq!(sync(&service, &["--dry-run", "--out", &path]).await.0, Some(0));
    let good: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let changed = |pointer: &str, value: Value| {
        let mut plan = good.clone();
        *plan.pointer_mut(pointer).unwrap() = value;
        plan.to_string()
    };
    for (name, text, expected) in [
        ("nothing", String::new(), "no difference"),
        ("no JSON", "{".to_owned(), "no difference"),
        ("another form", "{\"steps\":[]}".to_owned(), "no difference"),
        ("changed", changed("/actions/0/email", "eve@x.example".into()), "it was changed"),
        ("another provider's", changed("/provider", "other".into()), "for provider other"),
        ("another target's", changed("/target", "file:elsewhere".into()), "file:elsewhere"),
        ("another version", changed("/version", 9.into()), "version 9"),
    ] {
        std::fs::write(&path, text).unwrap();
        let (code, _, err) = sync(&service, &["--apply", &path]).await;
        assert_eq!(code, Some(1), "{name}: {err}");
        assert!(err.contains(expected), "{name}: {err}");
        assert!(document(&service).is_none(), "{name}");
    }
    let (code, _, err) = sync(&service, &["--apply", "/nowhere/plan.json"]).await;
    assert!(code == Some(1) && err.contains("/nowhere/plan.json can't be read"), "{err}");
    assert_eq!(sync(&service, &[]).await.0, Some(2), "one of --now, --dry-run, --apply");
    assert_eq!(sync(&service, &["--now", "--dry-run"]).await.0, Some(2), "and not two of them");
}

#[tokio::test]
async fn how_it_stands() {
    let service = service(&[]).await;
    let status = async || -> Value {
        let (code, out, err) = sync(&service, &["status", "--json"]).await;
        assert_eq!(code, Some(0), "{err}");
        last_line(&out)
    };
    let before = status().await;
    assert!(before["ended_at_unix_s"].is_null() && before["succeeded_at_unix_s"].is_null(), "{before}");
    assert!(sync(&service, &["status"]).await.1.contains("last success  never"));
    assert_eq!(sync(&service, &["--now"]).await.0, Some(0));
    let after = status().await;
    assert_eq!(after["last"]["outcome"], "done", "{after}");
    assert!(after["mirror"]["users"].as_u64() > Some(20) && after["cursor_at_unix_s"].is_u64(), "{after}");
    // A failed run leaves the last success as it was.
    let control = service.entra.control();
    control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles.clear()).unwrap();
    control.revoke_access_tokens();
    assert_eq!(sync(&service, &["--now"]).await.0, Some(1));
    let failed = status().await;
    assert_eq!(
        (&failed["last"]["reason"], &failed["succeeded_at_unix_s"]),
        (&"permission_missing".into(), &after["succeeded_at_unix_s"])
    );
    assert_eq!(failed["cursor_at_unix_s"], after["cursor_at_unix_s"]);
    let (_, text, _) = sync(&service, &["status"]).await;
    assert!(text.contains("User.Read.All"), "{text}");
    // Another process than a service has the mirror while it makes a run.
    let path = service.folder.path().join("state.directory-entra.redb");
    let mirror = defguard_openid_host::sync::mirror::Mirror::open_at(Some(&path)).unwrap();
    assert_eq!(status().await["is_running"], true);
    let (code, text, _) = sync(&service, &["status"]).await;
    assert!(code == Some(0) && text.contains("under way in another process"), "{text}");
    drop(mirror);
    assert_eq!(status().await["is_running"], false);
}

async fn becomes(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_service_that_runs_is_asked() {
    let service = service(&[]).await;
    let control = service.entra.control();
    let mut serving = service.spawn().await;
    let socket = service.folder.path().join("state.control");
    let mode = std::fs::metadata(&socket).expect("there is a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the service's user");
    let (code, out, err) = sync(&service, &["--now"]).await;
    assert_eq!((code, &last_line(&out)["outcome"]), (Some(0), &"done".into()), "{out} {err}");
    control.remove_person(person::ADA).unwrap();
    let ada = "33333333-3333-4333-8333-000000000001";
    let (code, table, _) = sync(&service, &["--dry-run"]).await;
    assert_eq!(code, Some(0));
    assert!(table.contains("delete_user") && has(&service, ada), "seen, not done: {table}");
    let id = serving.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-USR1", &id]).status().unwrap().success());
    becomes("the signal makes a run", || !has(&service, ada)).await;
    let (code, out, _) = sync(&service, &["status", "--json"]).await;
    assert_eq!((code, &last_line(&out)["last"]["outcome"]), (Some(0), &"done".into()), "{out}");
    // Several at once wait for each other.
    control.edit_group(group::STAFF, |staff| staff.members.clear()).unwrap();
    let (one, two, three) =
        tokio::join!(sync(&service, &["--now"]), sync(&service, &["--now"]), sync(&service, &["--now"]));
    for (code, out, err) in [one, two, three] {
        assert_eq!((code, &last_line(&out)["outcome"]), (Some(0), &"done".into()), "{out} {err}");
    }
    serving.kill().await.unwrap();
    // What the killed service left behind is in nobody's way.
    assert!(socket.exists());
    assert_eq!(sync(&service, &["--now"]).await.0, Some(0));
    let mut again = service.spawn().await;
    assert_eq!(sync(&service, &["--now"]).await.0, Some(0));
    again.kill().await.unwrap();
}
