//! What the playground page shows: the problems of a `[[provider]]` table as it is being written, with their lines, and what
//! would become of claims or of a pasted token. The answers are those of [`configuration::validate`] and
//! [`claims::preview`](crate::claims::preview), in the form that `defguard-openid map --json` has. Nothing is verified and
//! nothing is requested.

mod input;
mod report;
mod snippet;

pub use input::{Input, InputKind};
pub use report::{Groups, Played, Preview, ProblemReport, Refusal, Sample};

use serde::Serialize;
use serde_json::Value;

use crate::claims::preview::{self as claims_preview, PreviewError};
use crate::configuration::{self, MAX_PROBLEMS, Severity};
use snippet::Snippet;

/// What is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The `[[provider]]` tables by their `id`, or by their number (`2.`) where they have none.
    pub providers: Vec<String>,
    /// Whether a sign-in could use it: there is no error.
    pub usable: bool,
    /// All problems, errors first.
    pub problems: Vec<ProblemReport>,
    /// The samples of the configuration, in its order.
    pub samples: Vec<Sample>,
}

/// Checks the `[[provider]]` table of this number, from 0, as `defguard-openid check` does with the component's part of it:
/// keys, values, expressions, samples. Keys of the host (the credential, the allow-list, approved links) aren't looked at.
pub fn check(text: &str, position: usize) -> Check {
    let snippet = match Snippet::read(text, position) {
        Ok(snippet) => snippet,
        Err(unread) => {
            return Check {
                providers: unread.providers,
                usable: false,
                problems: vec![unread.problem],
                samples: Vec::new(),
            };
        }
    };
    let problems = configuration::validate(&snippet.json);
    // Samples are run only if nothing else is an error, and problems beyond the bound aren't told.
    let is_complete = problems.len() < MAX_PROBLEMS;
    let is_run = problems
        .iter()
        .all(|problem| problem.severity != Severity::Error || problem.path.split('.').next() == Some("sample"));
    let samples = snippet.samples().enumerate().map(|(index, name)| {
        let path = format!("sample.{}", index + 1);
        let failed = problems.iter().any(|problem| is_below(&problem.path, &path));
        let verdict = match (failed, is_run && is_complete) {
            (true, _) => "fail",
            (false, true) => "pass",
            (false, false) => "skip",
        };
        Sample { name, verdict, line: snippet.line(&path) }
    });
    let samples = samples.collect();
    Check {
        usable: problems.iter().all(|problem| problem.severity != Severity::Error),
        problems: problems.into_iter().map(|problem| snippet.locate(problem)).collect(),
        samples,
        providers: snippet.providers,
    }
}

/// Whether a path is another one, or in it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Plays a sign-in with claims or a token that somebody pasted, by the `[[provider]]` table of this number, from 0. A
/// token's payload is decoded, never verified.
///
/// The problem is the configuration's first error, or the input's: then its path begins with `input`.
pub fn preview(text: &str, position: usize, pasted: &str) -> Result<Played, ProblemReport> {
    let snippet = Snippet::read(text, position).map_err(|unread| unread.problem)?;
    let input = Input::read(pasted).map_err(ProblemReport::of_input)?;
    let preview = match claims_preview::preview(&snippet.json, &input.json) {
        Ok(preview) => preview,
        Err(PreviewError::Configuration(problem)) => return Err(snippet.locate(problem)),
        Err(error @ PreviewError::Input(_)) => return Err(ProblemReport::new(error.into_problem(), None)),
    };
    // It was parsed a line above.
    let mut claims = serde_json::from_str::<Value>(&input.json).unwrap_or_default();
    if input.kind == InputKind::UnverifiedToken {
        claims = claims.get_mut("claims").map(Value::take).unwrap_or_default();
    }
    Ok(Played { input: input.kind, header: input.header, preview: Preview::new(snippet.id(), claims, preview) })
}
