//! The chromedriver process.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

/// Runs until it is dropped, and so does every browser that it started: they are one process group.
pub(crate) struct Driver {
    /// Where it listens.
    pub(crate) url: String,
    child: Child,
}

impl Driver {
    /// On a port that it chooses. It may find that port taken in the other of IPv4 and IPv6, and ends then: it chooses anew.
    pub(crate) fn start() -> Self {
        (0..10).find_map(|_| Self::try_start()).expect("chromedriver ended ten times without saying its port")
    }

    fn try_start() -> Option<Self> {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("chromedriver can't be started: {error}. Install Debian's chromium-driver"));
        let output = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(output).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_owned())
        });
        let Some(port) = port else {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        };
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { url: format!("http://127.0.0.1:{port}"), child })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
        let _ = self.child.wait();
    }
}
