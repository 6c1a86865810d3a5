//! The audit log: one JSON object a line for each sign-in that ended, good or bad, with its trace id, the decision and
//! every check, and for each step of directory synchronisation. It says who signed in; no code, token or secret is ever in it. The file is only ever appended to, and
//! opened anew for each record, so that it can be rotated by renaming it.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::capability::TraceId;
use crate::gateway::{Check, Verdict};
use crate::identity::{AccountKind, Identity};
use crate::linking::Linking;
use crate::metrics::ServiceMetrics;

/// Where records go.
#[derive(Clone)]
pub struct Audit {
    file: Option<PathBuf>,
    /// Whether the last write failed, perhaps in the middle of a line.
    torn: Arc<AtomicBool>,
    metrics: ServiceMetrics,
}

/// One record.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    /// RFC 3339, in UTC.
    pub time: String,
    /// As on the person's page, and in the log.
    pub trace: &'a str,
    /// The address that the request came from, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<IpAddr>,
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
        Self { file, torn: Arc::default(), metrics: ServiceMetrics::default() }
    }

    /// The same, counting what couldn't be written there.
    #[must_use]
    pub fn counted(mut self, metrics: ServiceMetrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Whether the file can be written, before anybody signs in.
    pub fn try_open(&self) -> Result<(), String> {
        let Some(path) = &self.file else { return Ok(()) };
        open(path).map(drop).map_err(|error| format!("the audit log {} can't be written: {error}", path.display()))
    }

    /// Appends a record. One that can't be written, to a disk that is full or a file that isn't writable any more, is an error in
    /// the log and a count in the metrics, and ends no sign-in: whoever can fill the disk could otherwise lock everybody out.
    pub fn write(&self, record: &impl Serialize, trace: &TraceId) {
        let Some(path) = &self.file else { return };
        // What a failed write left of a line mustn't spoil this one.
        let is_torn = self.torn.load(Ordering::Relaxed) && !ends_with_line(path);
        let mut line = if is_torn { vec![b'\n'] } else { Vec::new() };
        let outcome = serde_json::to_writer(&mut line, record).map_err(std::io::Error::from).and_then(|()| {
            line.push(b'\n');
            // One write: lines of two hosts don't mix (POSIX, O_APPEND).
            open(path)?.write_all(&line)
        });
        self.torn.store(outcome.is_err(), Ordering::Relaxed);
        if let Err(error) = outcome {
            self.metrics.audit_failed();
            tracing::error!(%trace, path = %path.display(), %error, "audit record not written");
        }
    }
}

/// Whether the last byte is the end of a line; of a file that has none, or can't be read, it is.
fn ends_with_line(path: &std::path::Path) -> bool {
    let last = std::fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [b'\n'];
        file.read_exact(&mut byte)?;
        Ok(byte)
    });
    !last.is_ok_and(|byte| byte != [b'\n'])
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
                client: Some("192.0.2.1".parse().unwrap()),
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
    fn a_full_disk_is_counted_and_spoils_no_later_record() {
        #[derive(Serialize)]
        struct Line(&'static str);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let metrics = crate::metrics::Metrics::new(&[]);
        let audit = Audit::new(Some(path.clone())).counted(metrics.service());
        let failures = || {
            let text = metrics.text().unwrap();
            text.lines().find_map(|line| line.strip_prefix("defguard_openid_audit_failures_total ")).unwrap().to_owned()
        };
        audit.write(&Line("first"), &TraceId::new());
        std::fs::rename(&path, folder.path().join("aside")).unwrap();
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        assert_eq!(audit.try_open(), Ok(()), "it can be opened all the same");
        audit.write(&Line("lost"), &TraceId::new());
        assert_eq!(failures(), "1");
        std::fs::remove_file(&path).unwrap();
        // As much of the line as there was room for.
        std::fs::write(&path, "[\"first\"]\n[\"lo").unwrap();
        audit.write(&Line("second"), &TraceId::new());
        audit.write(&Line("third"), &TraceId::new());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[\"first\"]\n[\"lo\n\"second\"\n\"third\"\n");
        assert_eq!(failures(), "1");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told_before_anybody_signs_in() {
        let error = Audit::new(Some("/nonexistent/audit.jsonl".into())).try_open().unwrap_err();
        assert!(error.contains("/nonexistent/audit.jsonl"), "{error}");
        assert_eq!(Audit::new(None).try_open(), Ok(()));
    }
}
