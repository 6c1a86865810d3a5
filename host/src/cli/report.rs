//! What `login-test` and `map` print: claims, mapped identity, decisions and checks, for people or as one JSON object.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::audit::CheckRecord;
use crate::gateway::{Check, LoginError, Refusal, Tested};
use crate::identity::{AccountKind, Groups, Identity};
use crate::linking::{EmailLinking, Linking};
use crate::sandbox::Preview;

/// All that there is to say of one sign-in.
#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    /// `let_in` or `refused`.
    outcome: &'static str,
    provider: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<Value>,
    /// Name and value, in the contract's order.
    #[serde(skip_serializing_if = "Option::is_none")]
    mapped: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Groups>,
    /// What may happen with an account of the same address that is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    existing_account: Option<(&'static str, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    linking: Option<Linking>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<RefusalReport>,
    checks: Vec<CheckRecord<'a>>,
}

#[derive(Debug, Serialize)]
struct RefusalReport {
    code: String,
    message: String,
    hint: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    provider_said: Vec<(String, String)>,
}

impl From<&Refusal> for RefusalReport {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code.clone(),
            message: refusal.message.clone(),
            hint: refusal.admin_hint.clone(),
            provider_said: refusal.provider_said.clone(),
        }
    }
}

impl<'a> Report<'a> {
    fn of_nothing(provider: &'a str, trace: Option<&'a str>) -> Self {
        Self {
            outcome: "refused",
            provider,
            trace,
            claims: None,
            mapped: None,
            account: None,
            groups: None,
            existing_account: None,
            linking: None,
            refusal: None,
            checks: Vec::new(),
        }
    }

    /// Of a test that was let in.
    pub(super) fn of_test(provider: &'a str, trace: &'a str, tested: &'a Tested) -> Self {
        Self {
            outcome: "let_in",
            claims: tested.raw_claims.as_deref().and_then(|claims| serde_json::from_str(claims).ok()),
            mapped: Some(mapped(&tested.identity)),
            account: Some(tested.identity.account),
            groups: Some(tested.identity.groups.clone()),
            existing_account: Some(email_linking(&tested.email_linking)),
            linking: Some(tested.linking.clone()),
            checks: checks(&tested.checks),
            ..Self::of_nothing(provider, Some(trace))
        }
    }

    /// Of a test that ended badly.
    pub(super) fn of_error(provider: &'a str, trace: &'a str, error: &'a LoginError) -> Self {
        let mut report = Self::of_nothing(provider, Some(trace));
        let plain = |hint: &str| RefusalReport {
            code: error.code().to_owned(),
            message: error.to_string(),
            hint: hint.to_owned(),
            provider_said: Vec::new(),
        };
        match error {
            LoginError::Refused(refusal) => {
                report.checks = checks(&refusal.checks);
                report.refusal = Some(RefusalReport::from(refusal.as_ref()));
            }
            LoginError::Handover(error) => {
                report.linking = error.linking().cloned();
                report.refusal = Some(plain(error.words().hint));
            }
            other => report.refusal = Some(plain(other.hint())),
        }
        report
    }

    /// Of claims that somebody wrote down.
    pub(super) fn of_preview(provider: &'a str, claims: Value, preview: &'a Preview) -> Self {
        let fields = preview.mapped.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect();
        Self {
            outcome: if preview.refusal.is_some() { "refused" } else { "let_in" },
            claims: Some(claims),
            mapped: Some(Value::Object(fields)),
            account: Some(preview.account.into()),
            groups: Some(preview.groups.clone().into()),
            existing_account: preview.email_linking.clone().map(|linking| email_linking(&linking.into())),
            refusal: preview.refusal.as_ref().map(RefusalReport::from),
            checks: checks(&preview.checks),
            ..Self::of_nothing(provider, None)
        }
    }

    /// Whether the sign-in would be let in.
    pub(super) fn is_let_in(&self) -> bool {
        self.outcome == "let_in"
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(claims) = &self.claims {
            section(&mut text, "Claims", &[]);
            let pretty = serde_json::to_string_pretty(claims).unwrap_or_default();
            pretty.lines().for_each(|line| put(&mut text, &format!("  {line}")));
        }
        if let Some(Value::Object(fields)) = &self.mapped {
            let rows: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
                .collect();
            section(&mut text, "Mapped identity", &rows);
        }
        section(&mut text, "Decisions", &self.decisions());
        if let Some(refusal) = &self.refusal {
            let mut rows = vec![
                ("code".to_owned(), refusal.code.clone()),
                ("to the person".to_owned(), refusal.message.clone()),
                ("to you".to_owned(), refusal.hint.clone()),
            ];
            rows.extend(refusal.provider_said.iter().map(|(name, value)| (format!("provider {name}"), value.clone())));
            section(&mut text, "Refused", &rows);
        }
        if !self.checks.is_empty() {
            section(&mut text, "Checks", &[]);
            let width = self.checks.iter().map(|check| check.name().len()).max().unwrap_or_default();
            for check in &self.checks {
                let (verdict, name, detail) = (check.verdict(), check.name(), check.detail());
                put(&mut text, &format!("  {verdict:<4}  {name:<width$}  {detail}"));
            }
        }
        let trace = self.trace.map_or_else(String::new, |trace| format!("; its id is {trace}"));
        let outcome = if self.is_let_in() { "would be let in" } else { "would be refused" };
        put(&mut text, &format!("\nThis sign-in at {:?} {outcome}{trace}. Nothing was made of it.", self.provider));
        text
    }

    fn decisions(&self) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push((name.to_owned(), value));
        if let Some(account) = self.account {
            row("account", account.as_str().to_owned());
        }
        match &self.groups {
            None => {}
            Some(Groups::NotRequested) => row("groups", "not asked for (groups.source)".into()),
            Some(Groups::Unknown { reason }) => row("groups", format!("UNKNOWN: {reason}")),
            Some(Groups::Known { groups }) => {
                row("groups", groups.len().to_string());
                for group in groups.iter().take(20) {
                    row(
                        "",
                        group.name.as_ref().map_or_else(|| group.id.clone(), |name| format!("{} {name}", group.id)),
                    );
                }
                if groups.len() > 20 {
                    row("", format!("and {} more (--json shows all)", groups.len() - 20));
                }
            }
        }
        if let Some(linking) = &self.linking {
            let account = linking.account.as_ref().map_or_else(String::new, |account| format!(" {account:?}"));
            row("linking", format!("{}{account}: {}", linking.decision.as_str(), linking.reason));
        }
        if let Some((verdict, reason)) = &self.existing_account {
            row("same address", format!("an account that is nobody's: {verdict}: {reason}"));
        }
        rows
    }
}

fn mapped(identity: &Identity) -> Value {
    // The identity's own names; what has a place of its own in the report is left out.
    let mut value = serde_json::to_value(identity).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        for name in ["groups", "account", "provider"] {
            fields.remove(name);
        }
        fields.retain(|_, value| !value.is_null());
    }
    value
}

fn email_linking(linking: &EmailLinking) -> (&'static str, String) {
    match linking {
        EmailLinking::Allowed(reason) => ("may be linked", reason.clone()),
        EmailLinking::NeedsApproval(reason) => ("needs approval", reason.clone()),
        EmailLinking::Never(reason) => ("is never linked", reason.clone()),
    }
}

fn checks(checks: &[Check]) -> Vec<CheckRecord<'_>> {
    checks.iter().map(CheckRecord::from).collect()
}

fn put(text: &mut String, line: &str) {
    // Writing to a String can't fail.
    let _ = writeln!(text, "{line}");
}

fn section(text: &mut String, title: &str, rows: &[(String, String)]) {
    if !text.is_empty() {
        put(text, "");
    }
    put(text, title);
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in rows {
        put(text, &format!("  {name:<width$}  {value}"));
    }
}
