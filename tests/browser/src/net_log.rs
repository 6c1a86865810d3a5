//! Chromium's own record of its network stack: every request of pages, workers and the browser itself, and every byte sent.
//! What isn't in it didn't leave, whatever a page's own clocks and counters say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::PATIENCE;

/// Where the browser of a profile writes it.
pub(crate) fn path(profile: &Path) -> PathBuf {
    profile.join("net-log.json")
}

/// All that was sent, and what for.
#[derive(Debug)]
pub struct NetLog {
    /// The addresses that were requested.
    pub urls: BTreeSet<String>,
    /// What was sent, byte for byte, in order.
    pub sent: Vec<u8>,
    text: String,
}

impl NetLog {
    /// Of a browser that ends, or has ended.
    pub(crate) fn read(profile: &Path) -> Self {
        let path = path(profile);
        let deadline = Instant::now() + PATIENCE;
        let (text, log) = loop {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            // Its last bracket is written last.
            if let Ok(log) = serde_json::from_str::<Value>(&text) {
                break (text, log);
            }
            assert!(Instant::now() < deadline, "{} isn't finished: {} bytes", path.display(), text.len());
            std::thread::sleep(Duration::from_millis(25));
        };
        let events = log["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        // A name that this release of Chromium doesn't know is a panic, not a filter that finds nothing.
        let number = |name: &str| log["constants"]["logEventTypes"][name].as_u64().expect("Chromium knows the event");
        let of = |names: &[&str]| {
            let numbers: Vec<u64> = names.iter().map(|name| number(name)).collect();
            events.iter().filter(move |event| event["type"].as_u64().is_some_and(|number| numbers.contains(&number)))
        };
        let sent = of(&["SOCKET_BYTES_SENT", "SSL_SOCKET_BYTES_SENT", "UDP_BYTES_SENT"])
            .filter_map(|event| event["params"]["bytes"].as_str());
        let sent = sent.flat_map(|bytes| STANDARD.decode(bytes).expect("Base64")).collect();
        let urls =
            of(&["URL_REQUEST_START_JOB"]).filter_map(|event| event["params"]["url"].as_str()).map(str::to_owned);
        let urls = urls.collect();
        Self { urls, sent, text }
    }

    /// Whether it is anywhere: in what was sent, in an address, or in anything else that was written down.
    pub fn mentions(&self, what: &str) -> bool {
        self.text.contains(what) || self.sent.windows(what.len()).any(|part| part == what.as_bytes())
    }
}
