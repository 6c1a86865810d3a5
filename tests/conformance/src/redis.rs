//! A Redis of the tests' own: the real server, on a free port of this machine, with its files in a temporary folder.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

/// A server, until it is dropped.
pub struct RedisServer {
    child: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts `redis-server` with further arguments and waits until it listens.
    pub async fn start(arguments: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { child: None, folder, port, arguments };
        server.run().await;
        server
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Of 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it anew, on the same port and folder.
    pub async fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--daemonize", "no"])
            .arg("--dir")
            .arg(self.folder.path())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is there: `./build.sh test` installs it (Debian, Ubuntu: redis-server)");
        self.child = Some(child);
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(Instant::now() < deadline, "redis-server doesn't listen within 30 s");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Kills it, as a machine that goes down does.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it is our child");
        }
    }

    /// Runs a command of its own command line: what it answers.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output().await;
        let output = output.expect("redis-cli is there: it comes with redis-server");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
