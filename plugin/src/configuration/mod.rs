//! A provider's configuration: the JSON that the host hands in with each call becomes a [`Provider`] that can be used, or
//! a list of everything that is wrong with it.

mod base_url;
mod options;
mod provider;
mod reader;

pub use options::{OPTIONS, OptionDescription};
pub use provider::{Authority, ClaimSources, Provider, ProviderKind, UserinfoUse};

/// Whether a problem keeps the provider from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It does.
    Error,
    /// It doesn't.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// Where, with dots.
    pub path: String,
    /// What was found and what was expected.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// The most problems that are told at once.
const MAX_PROBLEMS: usize = 64;
/// The largest configuration, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// All problems of a configuration; without an error among them it can be used.
pub fn validate(json: &str) -> Vec<Problem> {
    let (_, mut problems) = read(json);
    problems.truncate(MAX_PROBLEMS);
    problems
}

/// The provider, if its configuration has no error; else the first error.
pub fn parse(json: &str) -> Result<Provider, Problem> {
    let (provider, problems) = read(json);
    match problems.into_iter().find(|problem| problem.severity == Severity::Error) {
        Some(problem) => Err(problem),
        None => provider.ok_or_else(|| problem("", "the configuration is incomplete", "")),
    }
}

fn problem(path: &str, message: &str, hint: &str) -> Problem {
    Problem { severity: Severity::Error, path: path.into(), message: message.into(), hint: hint.into() }
}

fn read(json: &str) -> (Option<Provider>, Vec<Problem>) {
    if json.len() > MAX_BYTES {
        return (None, vec![problem("", &format!("{} bytes, at most {MAX_BYTES} are read", json.len()), "")]);
    }
    match crate::jose::parse_unique_object(json.as_bytes()) {
        Ok(object) => provider::read(object),
        Err(error) => (None, vec![problem("", &format!("the configuration is {error}"), "")]),
    }
}
