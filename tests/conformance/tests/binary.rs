//! The binary as an operator meets it: exit codes, words on the terminal, signals, logs, a killed process.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use conformance::{Browser, HostOptions, entra_provider};
use entra_emulator::fixtures::{self, person};
use entra_emulator::{Emulator, Fault, FaultAction, Seed, Side};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

fn binary() -> PathBuf {
    let path = std::env::var_os("OPENID_HOST").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/defguard-openid")),
        PathBuf::from,
    );
    assert!(path.exists(), "{} isn't there: run `./build.sh build`", path.display());
    path
}

/// A configuration on disk and the process that serves it.
struct Service {
    entra: Emulator,
    folder: tempfile::TempDir,
    url: String,
}

impl Service {
    async fn prepare(more: &str) -> Self {
        let entra = Emulator::start(Seed::demo()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let url = format!("http://{address}");
        let options = HostOptions::default().with_provider(&entra_provider(&entra)).storage("redb:state.redb");
        let text = format!("listen = \"{address}\"\n{}{more}", options.toml(&url, folder.path()));
        std::fs::write(folder.path().join("openid.toml"), text).unwrap();
        entra.control().add_redirect_uri(fixtures::CLIENT_ID, format!("{url}/openid/callback")).unwrap();
        Self { entra, folder, url }
    }

    async fn spawn(&self) -> Child {
        let mut child = Command::new(binary())
            .args(["serve", "--config"])
            .arg(self.folder.path().join("openid.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let address = self.url.trim_start_matches("http://");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "it ended: {}", all_of(&mut child).await.1);
            assert!(Instant::now() < deadline, "it doesn't listen within 30 s");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child
    }
}

async fn all_of(child: &mut Child) -> (Option<i32>, String) {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
    (child.wait().await.unwrap().code(), text)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary()).args(arguments).stdin(Stdio::null()).output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn check_says_what_is_good_and_what_is_not() {
    let service = Service::prepare("").await;
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
    let service = Service::prepare("").await;
    let _taken = TcpListener::bind(service.url.trim_start_matches("http://")).await.unwrap();
    let path = service.folder.path().join("openid.toml");
    let (code, _, err) = run(&["serve", "--config", path.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    assert!(err.contains("can't listen on") && err.contains("listen"), "{err}");
}

#[tokio::test]
async fn sigterm_lets_calls_under_way_finish() {
    let service = Service::prepare("[log]\nformat = \"json\"\n").await;
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

#[tokio::test]
async fn a_killed_host_starts_again_and_accepts_nothing_twice() {
    let service = Service::prepare("").await;
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

#[tokio::test]
async fn memory_stays_bounded_by_large_answers() {
    let service = Service::prepare("").await;
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
