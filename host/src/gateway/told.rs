//! What is told of a login: in the log, the metrics and the audit record.

use crate::audit::{self, CheckRecord, Record, Who};
use crate::capability::TraceId;
use crate::config::Provider;
use crate::handover::HandoverError;
use crate::identity::Identity;
use crate::linking::{LinkDecision, Linking};

use super::{Check, Flow, Gateway, LoginError, Verdict};

/// The two steps of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Begin,
    Complete,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Complete => "complete",
        }
    }
}

/// What one login was about, for the log and the audit record.
#[derive(Default)]
pub(super) struct Told {
    pub(super) identity: Option<Identity>,
    pub(super) linking: Option<Linking>,
    pub(super) checks: Vec<Check>,
}

impl Told {
    /// Notes which account it is, as a check like the others.
    pub(super) fn decided(&mut self, outcome: Result<&Linking, &HandoverError>) {
        let linking = outcome.map_or_else(HandoverError::linking, Some);
        let verdict = match (outcome, linking.map(|linking| linking.decision)) {
            (Ok(_), Some(LinkDecision::New | LinkDecision::Linked)) => Verdict::Pass,
            _ => Verdict::Fail,
        };
        let detail = match (linking, outcome) {
            (Some(Linking { decision, account, reason }), _) => {
                let account = account.as_ref().map_or_else(String::new, |account| format!(" {account:?}"));
                format!("{}{account}: {reason}", decision.as_str())
            }
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => String::new(),
        };
        self.checks.push(Check { name: "handover.account".into(), verdict, detail });
        self.linking = linking.cloned();
    }
}

impl Gateway {
    /// A step of a login, in the log and the metrics; where a login ended, in the audit record.
    pub(super) fn tell<T>(
        &self,
        step: Step,
        provider: &Provider,
        flow: Flow,
        trace: &TraceId,
        result: &Result<T, LoginError>,
        told: &Told,
    ) {
        report(step.as_str(), provider, trace, result);
        let (outcome, code) = outcome(result);
        self.lasting.metrics.login(step.as_str(), &provider.id, outcome, code);
        if step == Step::Begin && result.is_ok() {
            // It has only begun: the record is that of its end.
            return;
        }
        let checks = match result {
            Err(LoginError::Refused(refusal)) => &refusal.checks,
            _ => &told.checks,
        };
        let record = Record {
            time: audit::rfc3339(self.lasting.clock.now_unix_ms()),
            trace: trace.as_str(),
            client: trace.client(),
            provider: provider.id.as_str(),
            step: step.as_str(),
            flow: match flow {
                Flow::Enrollment => "enrollment",
                Flow::Mfa => "mfa",
                Flow::Test => "test",
            },
            outcome,
            code,
            hint: result.as_ref().err().map(LoginError::hint).filter(|hint| !hint.is_empty()),
            who: told.identity.as_ref().map(Who::from),
            linking: told.linking.as_ref(),
            checks: checks.iter().map(CheckRecord::from).collect(),
        };
        self.audit.write(&record, trace);
    }
}

/// `ok`, `refused` (somebody said no) or `failed` (something doesn't work), and the stable code.
fn outcome<T>(result: &Result<T, LoginError>) -> (&'static str, Option<&str>) {
    match result {
        Ok(_) => ("ok", None),
        // A provider that doesn't answer, a storage that is full: the component says so, and nobody was refused.
        Err(error @ LoginError::Refused(refusal)) if refusal.http_status >= 500 => ("failed", Some(error.code())),
        Err(error @ (LoginError::Refused(_) | LoginError::UnknownProvider(_))) => ("refused", Some(error.code())),
        Err(error @ LoginError::Barred(_)) => ("refused", Some(error.code())),
        Err(error @ LoginError::Handover(reason)) if reason.is_refusal() => ("refused", Some(error.code())),
        Err(error) => ("failed", Some(error.code())),
    }
}

/// One record for each step. Codes and checks, never parameters, tokens or claims.
fn report<T>(step: &'static str, provider: &Provider, trace: &TraceId, result: &Result<T, LoginError>) {
    let provider = provider.id.as_str();
    let (outcome, code) = outcome(result);
    let code = code.unwrap_or_default();
    match result {
        Ok(_) => tracing::info!(step, provider, %trace, outcome, "login"),
        Err(LoginError::Refused(refusal)) => {
            let failed = refusal
                .checks
                .iter()
                .filter(|check| check.verdict == Verdict::Fail)
                .map(|check| format!("{}: {}", check.name, check.detail))
                .collect::<Vec<_>>()
                .join("; ");
            let provider_said = refusal
                .provider_said
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect::<Vec<_>>()
                .join(" ");
            let hint = refusal.admin_hint.as_str();
            tracing::warn!(step, provider, %trace, outcome, code, failed, provider_said, hint, "login");
        }
        Err(LoginError::UnknownProvider(id)) => tracing::warn!(step, %trace, outcome, code, id, "login"),
        Err(LoginError::Handover(error)) if error.is_refusal() => {
            let hint = error.words().hint;
            tracing::warn!(step, provider, %trace, outcome, code, %error, hint, "login");
        }
        Err(LoginError::Barred(error)) => {
            let hint = error.words().hint;
            tracing::warn!(step, provider, %trace, outcome, code, %error, hint, "login");
        }
        Err(LoginError::Plugin(error)) => tracing::error!(step, provider, %trace, outcome, code, %error, "login"),
        Err(LoginError::ForeignRedirect(error)) => {
            tracing::error!(step, provider, %trace, outcome, code, %error, "login");
        }
        Err(LoginError::Handover(error)) => {
            let hint = error.words().hint;
            tracing::error!(step, provider, %trace, outcome, code, %error, hint, "login");
        }
    }
}
