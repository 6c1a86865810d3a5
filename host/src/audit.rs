//! The audit log: one JSON object a line for each sign-in that ended, good or bad, with its trace id, the decision and
//! every check, and for each step of directory synchronisation. It says who signed in; no code, token or secret is ever in it. The file is only ever appended to, and
//! opened anew for each record, so that it can be rotated by renaming it.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::capability::TraceId;
use crate::gateway::{Check, Verdict};
use crate::identity::{AccountKind, Identity};
use crate::linking::Linking;

/// Where records go.
#[derive(Debug, Clone)]
pub struct Audit {
    file: Option<PathBuf>,
}

/// One record.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// RFC 3339, in UTC.
    pub time: String,
    /// As on the person's page, and in the log.
    pub trace: &'a str,
    /// The provider's id.
    pub provider: &'a str,
    /// `begin` or `complete`: where it ended.
    pub step: &'static str,
    /// `enrollment`, `mfa` or `test`.
    pub flow: &'static str,
    /// `ok`, `refused` or `failed`.
    pub outcome: &'static str,
    /// The refusal's or failure's stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    /// What an administrator may do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// Who, as far as that was proven.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Who<'a>>,
    /// Which account, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linking: Option<&'a Linking>,
    /// Everything that was looked at, in order.
    pub checks: Vec<CheckRecord<'a>>,
}

/// Who signed in.
#[derive(Debug, Serialize)]
pub struct Who<'a> {
    issuer: &'a str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_id: Option<&'a str>,
    account: AccountKind,
    email: &'a str,
}

impl<'a> From<&'a Identity> for Who<'a> {
    fn from(identity: &'a Identity) -> Self {
        Self {
            issuer: &identity.issuer,
            subject: &identity.subject,
            tenant_id: identity.tenant_id.as_deref(),
            object_id: identity.object_id.as_deref(),
            account: identity.account,
            email: &identity.email,
        }
    }
}

/// One check.
#[derive(Debug, Serialize)]
pub struct CheckRecord<'a> {
    name: &'a str,
    verdict: &'static str,
    detail: &'a str,
}

impl<'a> From<&'a Check> for CheckRecord<'a> {
    fn from(check: &'a Check) -> Self {
        Self { name: &check.name, verdict: verdict(check.verdict), detail: &check.detail }
    }
}

impl CheckRecord<'_> {
    /// Stable.
    pub fn name(&self) -> &str {
        self.name
    }

    /// `pass`, `fail` or `skip`.
    pub fn verdict(&self) -> &'static str {
        self.verdict
    }

    /// What was found.
    pub fn detail(&self) -> &str {
        self.detail
    }
}

/// As it is written.
pub fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Skip => "skip",
    }
}

/// A moment as RFC 3339 has it.
pub fn rfc3339(unix_ms: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix_ms} ms since 1970"))
}

impl Audit {
    /// To a file; of `None` nothing is written: the log has the trace ids all the same.
    pub fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Whether the file can be written, before anybody signs in.
    pub fn try_open(&self) -> Result<(), String> {
        let Some(path) = &self.file else { return Ok(()) };
        open(path).map(drop).map_err(|error| format!("the audit log {} can't be written: {error}", path.display()))
    }

    /// Appends a record. A record that can't be written is an error in the log, and ends no sign-in.
    pub fn write(&self, record: &impl Serialize, trace: &TraceId) {
        let Some(path) = &self.file else { return };
        let outcome = serde_json::to_vec(record).map_err(std::io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            // One write: lines of two hosts don't mix (POSIX, O_APPEND).
            open(path)?.write_all(&line)
        });
        if let Err(error) = outcome {
            tracing::error!(%trace, path = %path.display(), %error, "audit record not written");
        }
    }
}

fn open(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn times() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_414_342_123), "2026-11-23T06:12:22.123Z");
        assert_eq!(rfc3339(u64::MAX), "18446744073709551615 ms since 1970");
    }

    #[test]
    fn lines_are_appended_also_after_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::new(Some(path.clone()));
        let identity = Identity::sample();
        let write = |code| {
            let record = Record {
                time: rfc3339(0),
                trace: "t",
                provider: "entra",
                step: "complete",
                flow: "enrollment",
                outcome: "refused",
                code: Some(code),
                hint: None,
                who: Some(Who::from(&identity)),
                linking: None,
                checks: Vec::new(),
            };
            audit.write(&record, &TraceId::new());
        };
        write("first");
        write("second");
        std::fs::rename(&path, folder.path().join("audit.1")).unwrap();
        write("third");
        let codes = |name: &str| -> Vec<String> {
            let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
            text.lines()
                .map(|line| {
                    serde_json::from_str::<serde_json::Value>(line).unwrap()["code"].as_str().unwrap().to_owned()
                })
                .collect()
        };
        assert_eq!(codes("audit.1"), ["first", "second"]);
        assert_eq!(codes("audit.jsonl"), ["third"]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_before_anybody_signs_in() {
        let error = Audit::new(Some("/nonexistent/audit.jsonl".into())).try_open().unwrap_err();
        assert!(error.contains("/nonexistent/audit.jsonl"), "{error}");
        assert_eq!(Audit::new(None).try_open(), Ok(()));
    }
}
