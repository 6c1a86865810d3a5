//! The binary as an operator meets it: exit codes, words on the terminal, signals, logs, a killed process.

use std::process::Stdio;
use std::time::Duration;

use conformance::service::{Service, all_of, binary, run};
use conformance::{Browser, HostOptions};
use entra_emulator::fixtures::person;
use entra_emulator::{Fault, FaultAction, Side};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStderr, Command};

fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

#[tokio::test]
async fn check_says_what_is_good_and_what_is_not() {
    let service = Service::prepare(HostOptions::default()).await;
    let path = service.folder.path().join("openid.toml");
    let (code, out, err) = run(&["check", "--config", path.to_str().unwrap()]).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&format!("redirect URI to register: {}/openid/callback", service.url)), "{out}");
    let text = std::fs::read_to_string(&path).unwrap().replace("client_id", "clientid");
    std::fs::write(&path, text).unwrap();
    let (code, _, err) = run(&["check", "--config", path.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("client_id") && err.contains("line "), "{err}");
    let (code, _, err) = run(&["check", "--config", "none.toml"]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("none.toml can't be read"), "{err}");
    let (code, _, err) = run(&["chek"]).await;
    assert_eq!(code, Some(2), "{err}");
}

#[tokio::test]
async fn a_port_in_use_is_said() {
    let service = Service::prepare(HostOptions::default()).await;
    let _taken = TcpListener::bind(service.url.trim_start_matches("http://")).await.unwrap();
    let path = service.folder.path().join("openid.toml");
    let (code, _, err) = run(&["serve", "--config", path.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("can't listen on") && err.contains("listen"), "{err}");
}

#[tokio::test]
async fn sigterm_lets_calls_under_way_finish() {
    let service =
        Service::prepare(HostOptions { more: "[log]\nformat = \"json\"\n".into(), ..HostOptions::default() }).await;
    let mut child = service.spawn().await;
    let browser = Browser::new(&service.url);
    let callback = browser.callback_url(person::ADA).await;
    let control = service.entra.control();
    control.add_fault(Fault::new(FaultAction::Delay { delay_ms: 1500 }).on(Side::Login).path("*/token"));
    let (finished, ()) = tokio::join!(browser.finish(&callback), async {
        assert!(control.wait_for_requests(Side::Login, "*/token", 1, Duration::from_secs(20)).await);
        signal(&child, "TERM");
    });
    assert_eq!(finished.status, 200, "{}", finished.body);
    let (code, log) = all_of(&mut child).await;
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(record["level"].is_string() && record["timestamp"].is_string(), "{line}");
    }
    assert!(log.contains("\"stopped\"") || log.contains("stopped"), "{log}");
}

/// The lines of a log up to the first that has this.
async fn until(log: &mut Lines<BufReader<ChildStderr>>, what: &str) -> String {
    let mut text = String::new();
    let reading = async {
        while let Some(line) = log.next_line().await.unwrap() {
            text += &line;
            if line.contains(what) {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(60), reading).await;
    text
}

#[tokio::test]
async fn a_restart_begins_with_what_was_prepared() {
    let plugins = "unsigned = \"allow\"\nfolder = \"kept\"".into();
    let service = Service::prepare(HostOptions { plugins, ..HostOptions::default() }).await;
    for expected in ["plugin prepared for its providers", "plugin prepared for its providers at an earlier start"] {
        let mut child = service.spawn().await;
        let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let text = until(&mut log, "plugin prepared for its providers").await;
        assert!(text.contains(expected), "{text}");
        assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn sigterm_while_the_plugin_is_prepared_ends_in_order() {
    let more = "[log]\nlevel = \"debug\"\n".into();
    let service = Service::prepare(HostOptions { more, ..HostOptions::default() }).await;
    let mut child = service.spawn().await;
    let mut log = BufReader::new(child.stderr.take().expect("it is piped")).lines();
    let before = until(&mut log, "the plugin is being prepared").await;
    assert!(before.contains("the plugin is being prepared"), "{before}");
    signal(&child, "TERM");
    let after = until(&mut log, "no such line").await;
    conformance::evidence::shown("log", &format!("{before}{after}"));
    assert_eq!(child.wait().await.unwrap().code(), Some(0), "{after}");
    assert!(after.contains("stopped") && !after.contains("panicked"), "{after}");
}

/// A collector of logs that stands still: what it doesn't take is dropped in the end, and the service goes on, and ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_nothing_up() {
    let service = Service::prepare(HostOptions::default()).await;
    let mut child = service.spawn().await;
    // A pipe holds 64 KiB, a line of a request some 200 bytes.
    let pages = (0..8).map(|_| async {
        let browser = Browser::new(&service.url);
        for _ in 0..125 {
            assert_eq!(browser.get("/openid/sign-in").await.status, 200);
        }
    });
    futures_util::future::join_all(pages).await;
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    signal(&child, "TERM");
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_killed_host_starts_again_and_accepts_nothing_twice() {
    let service = Service::prepare(HostOptions::default()).await;
    let mut child = service.spawn().await;
    let (begun, done) = (Browser::new(&service.url), Browser::new(&service.url));
    let begun_callback = begun.callback_url(person::ADA).await;
    let done_callback = done.callback_url(person::ADA).await;
    let cookie = done.cookies()[0].clone();
    assert_eq!(done.finish(&done_callback).await.status, 200);
    child.kill().await.unwrap();
    let _child = service.spawn().await;
    assert_eq!(begun.finish(&begun_callback).await.status, 200, "begun before, finished after");
    done.set_cookie(&cookie.0, &cookie.1);
    let replayed = done.finish(&done_callback).await;
    assert_eq!((replayed.status, replayed.code().as_str()), (400, "transaction_unknown"), "{}", replayed.body);
}

/// 200 sign-ins under way, at every step there is, when the process is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_amid_two_hundred_sign_ins_nothing_is_lost_and_nothing_good_twice() {
    // Nobody reads the pipe that its log goes to, and a full one would hold everything up.
    let quiet = HostOptions { more: "[log]\nlevel = \"error\"\n".into(), ..HostOptions::default() };
    let service = Service::prepare(quiet).await;
    let mut child = service.spawn().await;
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    let first = Browser::new(&service.url);
    let mut waiting = Vec::new();
    for _ in 0..200 {
        let browser = first.another();
        let callback = browser.callback_url(person::ADA).await;
        let cookie = browser.cookies()[0].clone();
        waiting.push((browser, callback, cookie));
    }
    let control = service.entra.control();
    control.add_fault(Fault::new(FaultAction::Delay { delay_ms: 200 }).on(Side::Login).path("*/token"));
    // All at once; each remembers whether it was let in before the connection broke.
    let attempts: Vec<_> = waiting
        .into_iter()
        .enumerate()
        .map(|(number, (browser, callback, cookie))| {
            tokio::spawn(async move {
                // Some come late, so that the kill finds every step.
                tokio::time::sleep(std::time::Duration::from_millis(number as u64 * 5)).await;
                let answer = browser.try_finish(&callback).await.map(|answer| answer.status);
                (browser, callback, cookie, answer)
            })
        })
        .collect();
    assert!(control.wait_for_requests(Side::Login, "*/token", 60, std::time::Duration::from_secs(30)).await);
    child.kill().await.unwrap();
    let mut all = Vec::new();
    for attempt in attempts {
        all.push(attempt.await.unwrap());
    }
    control.clear_faults();
    let redeemed = control.count(Side::Login, "*/token");
    // Others may keep this machine busy: the quickest of three starts after a kill.
    let mut starts = Vec::new();
    let mut child = None;
    for _ in 0..3 {
        drop(child.take());
        let begun = std::time::Instant::now();
        child = Some(service.spawn().await);
        starts.push(begun.elapsed());
        if starts.iter().any(|took| *took < Duration::from_secs(1)) {
            break;
        }
        child.as_mut().expect("it was started").kill().await.unwrap();
    }
    println!("the storage is open and the host serves after {starts:?}");
    assert!(starts.iter().any(|took| *took < Duration::from_secs(1)), "{starts:?}");
    let (mut in_before, mut in_after, mut lost) = (0, 0, 0);
    for (browser, callback, cookie, before) in &all {
        browser.set_cookie(&cookie.0, &cookie.1);
        let after = browser.finish(callback).await;
        match (before, after.status, after.code().as_str()) {
            (Some(200), 400, "transaction_unknown") => in_before += 1,
            // Whatever it was doing when it was killed, the transaction was taken: the person starts again.
            (None, 400, "transaction_unknown") => lost += 1,
            // It had not been taken.
            (None, 200, _) => in_after += 1,
            (before, status, code) => panic!("before the kill {before:?}, after it {status} {code}: {}", after.body),
        }
    }
    println!("{in_before} were in before, {lost} were amid it and start again, {in_after} were in after");
    assert_eq!(in_before + lost + in_after, 200);
    assert!(in_after > 0 && lost > 0, "the kill came amid them: {in_before} {lost} {in_after}");
    // No code was redeemed twice: what is new are the sign-ins that had not been worked on.
    assert_eq!(control.count(Side::Login, "*/token") - redeemed, in_after);
    for (browser, callback, cookie, _) in &all {
        browser.set_cookie(&cookie.0, &cookie.1);
        let again = browser.finish(callback).await;
        assert_eq!((again.status, again.code().as_str()), (400, "transaction_unknown"), "{}", again.body);
    }
    assert_eq!(control.count(Side::Login, "*/token") - redeemed, in_after);
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
}

#[tokio::test]
async fn memory_stays_bounded_by_large_answers() {
    let service = Service::prepare(HostOptions::default()).await;
    let child = service.spawn().await;
    let resident = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    assert_eq!(Browser::new(&service.url).sign_in(person::ADA).await.status, 200);
    let before = resident();
    service
        .entra
        .control()
        .add_fault(Fault::new(FaultAction::BigBody { bytes: 50_000_000 }).on(Side::Login).path("*/token"));
    for _ in 0..10 {
        let refused = Browser::new(&service.url).sign_in(person::ADA).await;
        assert_eq!(refused.code(), "provider_answer_invalid", "{}", refused.body);
    }
    let after = resident();
    assert!(after < before + 50, "{before} MiB before, {after} MiB after ten answers of 50 MB");
}

#[tokio::test]
async fn the_demonstration_ends_with_one_line_of_json() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .args(["--once", "--host"])
        .arg(binary())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{err}");
    let last: serde_json::Value =
        serde_json::from_str(out.lines().last().unwrap()).unwrap_or_else(|error| panic!("{error}: {out}"));
    assert_eq!(last["identity"]["email"], "ada@contoso.example");
    assert_eq!(last["token"].as_str().map(str::len), Some(32));
    assert!(last["url"].as_str().unwrap().starts_with("http://127.0.0.1:"));
}
