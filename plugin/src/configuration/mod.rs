//! A provider's configuration: the JSON that the host hands in with each call becomes a [`Provider`] that can be used, or
//! a list of everything that is wrong with it.

mod base_url;
mod groups;
mod mapping;
mod options;
mod policy;
mod provider;
mod reader;
mod sample;
mod sign_in;

use std::sync::{Arc, OnceLock};

pub use groups::{GroupsConfig, GroupsSource, Overage};
pub use mapping::{Field, Mapping, Source};
pub use options::{OPTIONS, OptionDescription};
pub use policy::{ExistingAccounts, Linking, Policy, Rule, depends_on_groups};
pub use provider::{Authority, Provider, ProviderKind, UserinfoUse};
pub use sign_in::{PushedRequests, ResponseMode, SignIn};

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
pub(crate) const MAX_PROBLEMS: usize = 64;
/// The largest configuration, in bytes.
const MAX_BYTES: usize = 256 << 10;

/// All problems of a configuration, its samples run; without an error among them it can be used.
pub fn validate(json: &str) -> Vec<Problem> {
    let (provider, mut problems, samples) = read(json);
    let is_usable = problems.iter().all(|problem| problem.severity != Severity::Error);
    if let (Some(provider), Some(samples)) = (provider.filter(|_| is_usable), samples) {
        problems.extend(sample::run(&provider, &samples));
    }
    // What is cut off must not be the only error.
    let (mut first, rest): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| problem.severity == Severity::Error);
    first.extend(rest);
    first.truncate(MAX_PROBLEMS);
    first
}

/// What [`prepare`] has read: each text, and the provider that it is.
static PREPARED: OnceLock<Vec<(String, Arc<Provider>)>> = OnceLock::new();

/// Reads configurations ahead: [`parse`] has them at hand from now on, as many as the answer says. Those with an error aren't among them.
pub fn prepare(configurations: Vec<String>) -> usize {
    let read = configurations.into_iter().filter_map(|json| {
        let provider = parse(&json).ok()?;
        Some((json, provider))
    });
    let read = read.collect();
    // A second time changes nothing.
    PREPARED.get_or_init(|| read).len()
}

/// The provider, if its configuration has no error; else the first error.
pub fn parse(json: &str) -> Result<Arc<Provider>, Problem> {
    // The whole text is compared: another one is another provider.
    let prepared = PREPARED.get().and_then(|prepared| prepared.iter().find(|(text, _)| text == json));
    if let Some((_, provider)) = prepared {
        return Ok(Arc::clone(provider));
    }
    let (provider, problems, _) = read(json);
    match problems.into_iter().find(|problem| problem.severity == Severity::Error) {
        Some(problem) => Err(problem),
        None => provider.map(Arc::new).ok_or_else(|| problem("", "the configuration is incomplete", "")),
    }
}

fn problem(path: &str, message: &str, hint: &str) -> Problem {
    Problem { severity: Severity::Error, path: path.into(), message: message.into(), hint: hint.into() }
}

/// The provider, what is wrong with it, and its samples.
fn read(json: &str) -> (Option<Provider>, Vec<Problem>, Option<serde_json::Value>) {
    if json.len() > MAX_BYTES {
        return (None, vec![problem("", &format!("{} bytes, at most {MAX_BYTES} are read", json.len()), "")], None);
    }
    match crate::jose::parse_unique_object(json.as_bytes()) {
        Ok(mut object) => {
            let samples = object.remove("sample");
            let (provider, problems) = provider::read(object);
            (provider, problems, samples)
        }
        Err(error) => (None, vec![problem("", &format!("the configuration is {error}"), "")], None),
    }
}
