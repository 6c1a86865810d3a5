//! The answers' form, for JSON. A preview has the members that `defguard-openid map --json` prints, so that both can be
//! compared.

use serde::Serialize;
use serde_json::{Map, Value};

use super::InputKind;
use crate::claims::groups;
use crate::claims::preview::{self, InputError, PreviewError};
use crate::configuration::{Problem, Severity};
use crate::login::refusal;
use crate::login::trace::Verdict;
use crate::policy::linking::EmailLinking;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProblemReport {
    /// `error` or `warning`.
    pub severity: &'static str,
    /// With dots, from the `[[provider]]` table; `TOML`: the text as a whole.
    pub path: String,
    /// From 1, of the text as it was handed in.
    pub line: Option<usize>,
    /// What was found and what was expected.
    pub message: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl ProblemReport {
    pub(super) fn new(problem: Problem, line: Option<usize>) -> Self {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        Self { severity, path: problem.path, line, message: problem.message, hint: problem.hint }
    }

    pub(super) fn of_input(error: InputError) -> Self {
        Self::new(PreviewError::Input(error).into_problem(), None)
    }
}

/// One sample of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// What it shows.
    pub name: String,
    /// `pass`; `fail`: problems say why; `skip`: it wasn't run, since the configuration has other errors.
    pub verdict: &'static str,
    /// Where it begins.
    pub line: Option<usize>,
}

/// What became of an input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Played {
    /// What was pasted.
    pub input: InputKind,
    /// A token's header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<Map<String, Value>>,
    /// What would become of it.
    pub preview: Preview,
}

/// What would become of a sign-in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preview {
    /// `let_in` or `refused`.
    pub outcome: &'static str,
    /// The provider's `id`.
    pub provider: String,
    /// What was played: of a token its payload.
    pub claims: Value,
    /// The mapped fields by their names.
    pub mapped: Map<String, Value>,
    /// Whose account it would be.
    pub account: &'static str,
    /// Group membership.
    pub groups: Groups,
    /// What may happen with an account of the same address that is nobody's, and why; without an address `None`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_account: Option<(&'static str, String)>,
    /// Why the person would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What was looked at, in order.
    pub checks: Vec<Check>,
}

/// Group membership: unknown never means none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Groups {
    /// Not asked for.
    NotRequested,
    /// All of them.
    Known {
        /// None twice.
        groups: Vec<Group>,
    },
    /// They could not be learned.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What names it for good.
    pub id: String,
    /// How people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// Stable: docs/refusals.md.
    pub code: &'static str,
    /// What the person reads.
    pub message: String,
    /// What an administrator can do.
    pub hint: String,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable.
    pub name: &'static str,
    /// `pass`, `fail` or `skip`.
    pub verdict: &'static str,
    /// What was found.
    pub detail: String,
}

impl Preview {
    pub(super) fn new(provider: &str, claims: Value, preview: preview::Preview) -> Self {
        let mapped = preview.fields().into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        Self {
            outcome: if preview.refusal.is_some() { "refused" } else { "let_in" },
            provider: provider.to_owned(),
            claims,
            mapped,
            account: preview.account.as_str(),
            groups: preview.groups.into(),
            existing_account: preview.email_linking.map(existing_account),
            refusal: preview.refusal.as_ref().map(Refusal::from),
            checks: preview.checks.into_iter().map(Check::from).collect(),
        }
    }
}

impl From<groups::Groups> for Groups {
    fn from(found: groups::Groups) -> Self {
        match found {
            groups::Groups::NotRequested => Self::NotRequested,
            groups::Groups::Known(groups) => Self::Known {
                groups: groups.into_iter().map(|group| Group { id: group.id, name: group.name }).collect(),
            },
            groups::Groups::Unknown(reason) => Self::Unknown { reason },
        }
    }
}

impl From<&refusal::Refusal> for Refusal {
    fn from(refusal: &refusal::Refusal) -> Self {
        let hint = refusal.admin_hint().to_owned();
        Self { code: refusal.rule.code, message: refusal.message().to_owned(), hint }
    }
}

impl From<crate::login::trace::Check> for Check {
    fn from(check: crate::login::trace::Check) -> Self {
        let verdict = match check.verdict {
            Verdict::Pass => "pass",
            Verdict::Fail => "fail",
            Verdict::Skip => "skip",
        };
        Self { name: check.name, verdict, detail: check.detail }
    }
}

fn existing_account(linking: EmailLinking) -> (&'static str, String) {
    match linking {
        EmailLinking::Allowed(reason) => ("may be linked", reason),
        EmailLinking::NeedsApproval(reason) => ("needs approval", reason),
        EmailLinking::Never(reason) => ("is never linked", reason),
    }
}
