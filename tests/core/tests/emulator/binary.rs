//! The program: its first line, its options, its end.

use std::process::Stdio;
use std::time::Duration;

use core_emulator::{Seed, fixtures};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::client;

const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "dg-CommandLine0CommandLine1CommandLi";

async fn start(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_core-emulator"))
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap().unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

async fn get(line: &Value, path: &str, token: &str) -> (u16, String) {
    let url = format!("{}/api/v1/{path}", line["url"].as_str().unwrap());
    let response = client().get(url).bearer_auth(token).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn it_says_where_it_is_serves_and_ends_on_a_signal() {
    for (signal, version, number) in [("TERM", "1.6", "1.6.6"), ("INT", "2.0", "2.0.1")] {
        let (mut child, line) = start(&["--version", version]).await;
        assert_eq!(line["version"], number, "{signal}");
        let (status, body) = get(&line, "info", fixtures::TOKEN).await;
        assert!(status == 200 && body.contains(number), "{signal}: {body}");
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap().success(), "{signal}");
        let status = timeout(PATIENCE, child.wait()).await.expect("an end in time").unwrap();
        assert!(status.success(), "{signal}: {status}");
    }
}

#[tokio::test]
async fn a_token_takes_the_place_of_the_seed_s() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("token-{}", std::process::id()));
    std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
    for arguments in [["--token", TOKEN], ["--token-file", path.to_str().unwrap()]] {
        let (_child, line) = start(&arguments).await;
        assert_eq!(get(&line, "me", TOKEN).await.0, 200, "{arguments:?}");
        assert_eq!(get(&line, "me", fixtures::TOKEN).await.0, 401, "{arguments:?}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn it_prints_a_seed_that_it_can_read_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_core-emulator")).arg("--print-seed").output().await.unwrap();
    assert!(output.status.success());
    let mut seed = Seed::from_json(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert_eq!(seed, Seed::demo());

    seed.users[0].first_name = "From a file".into();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("core-{}.json", std::process::id()));
    std::fs::write(&path, serde_json::to_string(&seed).unwrap()).unwrap();
    let (_child, line) = start(&["--seed", path.to_str().unwrap()]).await;
    assert!(get(&line, "me", fixtures::TOKEN).await.1.contains("From a file"));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn it_refuses_what_it_cannot_serve_and_says_why() {
    let table: [(&str, &[&str], &str); 5] = [
        ("not loopback", &["--listen", "0.0.0.0:0"], "is not a loopback address"),
        ("no such seed", &["--seed", "/nonexistent/seed.json"], "cannot read /nonexistent/seed.json"),
        ("no such version", &["--version", "3.0"], "isn't known; 1.6 and 2.0 are"),
        ("no such licence", &["--licence", "stolen"], "invalid value"),
        ("two tokens", &["--token", "a", "--token-file", "b"], "cannot be used with"),
    ];
    for (name, arguments, expected) in table {
        let program = Command::new(env!("CARGO_BIN_EXE_core-emulator")).args(arguments).output();
        let output = timeout(PATIENCE, program).await.expect("an end in time").unwrap();
        assert!(!output.status.success(), "{name}");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains(expected), "{name}: {message}");
    }
}
