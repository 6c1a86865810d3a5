//! What the benches share: the figures of a run, durations that are compared, providers without a network and as a process of their own, and
//! the native peer. The benches are in `benches/`.

pub mod emulator;
pub mod native;
pub mod offline;
pub mod report;
pub mod sample;

use std::path::PathBuf;

/// A file of `target/`, where `./build.sh bench` puts what is measured.
pub fn built(name: &str) -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")).join(name);
    assert!(path.exists(), "{} isn't there: use `./build.sh bench`", path.display());
    path
}

/// Whether the bench of that name is to run: `./build.sh bench WORD...` chooses those that a word is part of. `--bench` is cargo's own.
pub fn is_chosen(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(word.as_str()))
}
