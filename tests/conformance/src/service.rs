//! The binary as an operator has it: a configuration on disk, the emulator behind it, and the process.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entra_emulator::{Emulator, Seed, fixtures};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::{HostOptions, entra_provider, free_address};

/// `target/release/defguard-openid`, or what `OPENID_HOST` names.
pub fn binary() -> PathBuf {
    let path = std::env::var_os("OPENID_HOST").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/defguard-openid")),
        PathBuf::from,
    );
    assert!(path.exists(), "{} isn't there: run `./build.sh build`", path.display());
    path
}

/// A configuration on disk.
pub struct Service {
    /// Entra.
    pub entra: Arc<Emulator>,
    /// Where its files are.
    pub folder: tempfile::TempDir,
    /// Where it serves.
    pub url: String,
}

impl Service {
    /// Writes the configuration, for the emulator and a free port.
    pub async fn prepare(options: HostOptions) -> Self {
        Self::prepare_over(options.storage("redb:state.redb")).await
    }

    /// As [`Service::prepare`], with the storage that the options name.
    pub async fn prepare_over(options: HostOptions) -> Self {
        let entra = Arc::new(Emulator::start(Seed::demo()).await.expect("the emulator starts"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let url = format!("http://{address}");
        let options = options.with_provider(&entra_provider(&entra));
        let text = format!("listen = \"{address}\"\n{}", options.toml(&url, folder.path()));
        std::fs::write(folder.path().join("openid.toml"), text).expect("the folder can be written");
        let redirect_uri = format!("{url}/openid/callback");
        entra.control().add_redirect_uri(fixtures::CLIENT_ID, redirect_uri).expect("the application is there");
        Self { entra, folder, url }
    }

    /// A second host with the same configuration but the address it listens on, and files of its own.
    #[must_use]
    pub fn twin(&self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let files = std::fs::read_dir(self.folder.path()).expect("the folder is there");
        for file in files.map(|entry| entry.expect("a file").path()) {
            let name = file.file_name().expect("it has a name");
            std::fs::copy(&file, folder.path().join(name)).expect("the folder can be written");
        }
        let address = free_address();
        let config = folder.path().join("openid.toml");
        let text = std::fs::read_to_string(&config).expect("it was copied");
        let ours = format!("listen = {:?}", self.url.trim_start_matches("http://"));
        std::fs::write(&config, text.replace(&ours, &format!("listen = \"{address}\""))).expect("it can be written");
        Self { entra: Arc::clone(&self.entra), folder, url: format!("http://{address}") }
    }

    /// The configuration's path.
    pub fn config(&self) -> String {
        self.folder.path().join("openid.toml").to_str().expect("a path in UTF-8").to_owned()
    }

    /// Starts `serve` and waits until it listens.
    pub async fn spawn(&self) -> Child {
        self.run(Command::new(binary()).args(["serve", "--config", &self.config()])).await
    }

    /// Starts another program that serves the same, and waits until it listens.
    pub async fn run(&self, command: &mut Command) -> Child {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let address = self.url.trim_start_matches("http://");
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(address).await.is_err() {
            let ended = child.try_wait().expect("it is our child").is_some();
            assert!(!ended, "it ended: {}", all_of(&mut child).await.1);
            assert!(Instant::now() < deadline, "it doesn't listen within 30 s");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        child
    }
}

/// The exit code and standard error of a process that ends.
pub async fn all_of(child: &mut Child) -> (Option<i32>, String) {
    let mut text = String::new();
    child.stderr.take().expect("it is piped").read_to_string(&mut text).await.expect("it is text");
    crate::evidence::shown("log", &text);
    (child.wait().await.expect("it is our child").code(), text)
}

/// Runs the binary to its end: exit code, standard output, standard error.
pub async fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(binary()).args(arguments).stdin(Stdio::null()).output().await.expect("the binary starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is text");
    let (out, err) = (text(output.stdout), text(output.stderr));
    crate::evidence::shown("log", &err);
    crate::evidence::shown("report", &out);
    (output.status.code(), out, err)
}
