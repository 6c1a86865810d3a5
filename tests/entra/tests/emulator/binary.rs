//! The program: its first line, its options, its end.

use std::process::Stdio;
use std::time::Duration;

use entra_emulator::{Seed, fixtures};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::support::client;

const PATIENCE: Duration = Duration::from_secs(20);

async fn start(arguments: &[&str]) -> (Child, Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_entra-emulator"))
        .args(["--login", "127.0.0.1:0", "--graph", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap().unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[tokio::test]
async fn it_says_where_it_is_serves_and_ends_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let (mut child, line) = start(&["--redirect-uri", "http://127.0.0.1:4711/openid/callback"]).await;
        let login = line["login_url"].as_str().unwrap();
        assert_eq!(line["authority"], format!("{login}/{}/v2.0", fixtures::CONTOSO), "{signal}");
        assert_eq!(line["client_id"], fixtures::CLIENT_ID, "{signal}");
        let text = client().get(format!("{login}/__admin/directory")).send().await.unwrap().text().await.unwrap();
        assert!(text.contains("http://127.0.0.1:4711/openid/callback"), "{signal}");
        let pid = child.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().await.unwrap().success(), "{signal}");
        let status = timeout(PATIENCE, child.wait()).await.expect("an end in time").unwrap();
        assert!(status.success(), "{signal}: {status}");
    }
}

#[tokio::test]
async fn it_prints_a_seed_that_it_can_read_back() {
    let output = Command::new(env!("CARGO_BIN_EXE_entra-emulator")).arg("--print-seed").output().await.unwrap();
    assert!(output.status.success());
    let mut seed = Seed::from_json(&String::from_utf8(output.stdout).unwrap()).unwrap();
    assert_eq!(seed, Seed::demo());

    seed.apps.truncate(1);
    seed.apps[0].name = "From a file".into();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{}.json", std::process::id()));
    std::fs::write(&path, serde_json::to_string(&seed).unwrap()).unwrap();
    let (_child, line) = start(&["--seed", path.to_str().unwrap()]).await;
    let directory = format!("{}/__admin/directory", line["graph_url"].as_str().unwrap());
    let text = client().get(directory).send().await.unwrap().text().await.unwrap();
    assert!(text.contains("From a file"));
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn it_has_a_directory_of_any_size_beside_the_built_in_one() {
    let (_child, line) = start(&["--scale", "50,5,100"]).await;
    assert_eq!(line["client_id"], fixtures::CLIENT_ID);
    let directory = format!("{}/__admin/directory", line["graph_url"].as_str().unwrap());
    let text = client().get(directory).send().await.unwrap().text().await.unwrap();
    assert_eq!(Seed::from_json(&text).unwrap(), entra_emulator::seed::scale(50, 5, 100));
}

#[tokio::test]
async fn it_refuses_what_it_cannot_serve_and_says_why() {
    let table: [(&str, &[&str], &str); 5] = [
        ("not loopback", &["--login", "0.0.0.0:0"], "is not a loopback address"),
        ("no such seed", &["--seed", "/nonexistent/seed.json"], "cannot read the seed file"),
        ("not a size", &["--scale", "many"], "three numbers"),
        ("a size and a seed", &["--scale", "1,1,1", "--seed", "x"], "cannot be used with"),
        ("not an address", &["--login", "nowhere"], "invalid"),
    ];
    for (name, arguments, expected) in table {
        let program = Command::new(env!("CARGO_BIN_EXE_entra-emulator")).args(arguments).output();
        let output = timeout(PATIENCE, program).await.expect("an end in time").unwrap();
        assert!(!output.status.success(), "{name}");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains(expected), "{name}: {message}");
    }
}
