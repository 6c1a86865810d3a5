//! What a whole test run has shown to people and logs, and every secret that went through it: kept aside when
//! `OPENID_EVIDENCE` names a folder, one file a process, to be searched by the program `scan` at the end (V28, T16).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Deserialize, Serialize};

/// One line of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum Evidence {
    /// Text that somebody could read: a log record, a page, an error, an audit record.
    Shown {
        /// Which of these.
        r#where: String,
        /// The text.
        text: String,
    },
    /// A value that must be in none of them.
    Secret {
        /// Code, state, token …
        kind: String,
        /// The value.
        value: String,
    },
}

/// The shortest value that is searched for: a shorter one would be found by chance.
pub const SHORTEST: usize = 20;

/// What no record may hold, whatever its value: a token's payload or header, and what stands before a secret. Long enough
/// that no random name of a folder holds one by chance.
pub const MARKERS: [&str; 8] = [
    ".eyJ",
    "eyJhbGciOi",
    "eyJ0eXAiOi",
    "eyJraWQiOi",
    "Bearer ",
    "client_secret=",
    "client_assertion=",
    "code_verifier=",
];

fn file() -> Option<&'static Mutex<File>> {
    static FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    FILE.get_or_init(|| {
        let folder = PathBuf::from(std::env::var_os("OPENID_EVIDENCE")?);
        std::fs::create_dir_all(&folder).expect("the folder for evidence can be made");
        let path = folder.join(format!("{}.jsonl", std::process::id()));
        let file = File::options().append(true).create(true).open(path).expect("evidence can be written");
        Some(Mutex::new(file))
    })
    .as_ref()
}

fn keep(evidence: &Evidence) {
    let Some(file) = file() else { return };
    let mut line = serde_json::to_vec(evidence).expect("texts are JSON");
    line.push(b'\n');
    file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line).expect("evidence can be written");
}

/// Keeps a text that somebody could read.
pub fn shown(place: &str, text: &str) {
    if !text.is_empty() {
        keep(&Evidence::Shown { r#where: place.to_owned(), text: text.to_owned() });
    }
}

/// Keeps a secret.
pub fn secret(kind: &str, value: &str) {
    if value.len() >= SHORTEST {
        keep(&Evidence::Secret { kind: kind.to_owned(), value: value.to_owned() });
    }
}

/// All lines of all files of a folder, one after the other.
pub fn read(folder: &Path, mut each: impl FnMut(Evidence)) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        for line in BufReader::new(File::open(entry?.path())?).lines() {
            each(serde_json::from_str(&line?).map_err(std::io::Error::other)?);
        }
    }
    Ok(())
}
