//! Everything that is logged in this process, to be searched for what must not be in it.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// A buffer that all records go to.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// Starts to keep the records of this process, at every level. The first call counts.
    pub fn capture() -> Self {
        static LOGS: OnceLock<Logs> = OnceLock::new();
        LOGS.get_or_init(|| {
            let logs = Self::default();
            // Another subscriber would keep them away: then the search below finds nothing, and says so.
            let _ = tracing_subscriber::fmt()
                .with_max_level(tracing::Level::TRACE)
                .with_ansi(false)
                .with_writer(logs.clone())
                .try_init();
            logs
        })
        .clone()
    }

    /// What was written so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// Whether a record is our host's. Others in this process are the emulators' and the test browser's HTTP client's, which
/// handle secrets.
pub fn is_ours(line: &str) -> bool {
    // The browser tests' driver writes what is on the page, within spans of its own.
    if line.contains(" thirtyfour::") {
        return false;
    }
    let target = line.split_whitespace().find(|word| word.ends_with(':') && !word.contains('T')).unwrap_or_default();
    !["entra_emulator", "core_emulator", "reqwest", "hyper", "hyper_util", "conformance"]
        .iter()
        .any(|other| target.starts_with(other))
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        // One record at a time: the subscriber writes each at once.
        if is_ours(&text) {
            crate::evidence::shown("log", &text);
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logs {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
