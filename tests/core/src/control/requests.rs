//! The log of requests, for assertions: what was asked, by which credential, under which name. It holds no password and no
//! token: those of a body are replaced.

use std::collections::VecDeque;

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use super::faults::glob_matches;
use crate::api::session::{SESSION_COOKIE, bearer, cookie};

/// How many requests are kept; older ones are forgotten.
const CAPACITY: usize = 100_000;

/// Members of a body that are never kept.
const SECRETS: [&str; 4] = ["password", "token", "old_password", "new_password"];

/// What stands in their place.
const HIDDEN: &str = "(hidden)";

/// What a request showed of who it came from. Not whether it was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Auth {
    /// Nothing.
    None,
    /// `Authorization: Bearer`.
    Token,
    /// The cookie `defguard_session`.
    Session,
    /// Both.
    Both,
}

/// One request.
#[derive(Debug, Clone, Serialize)]
pub struct RequestRecord {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// When, by the emulator's clock.
    pub at_unix_s: i64,
    /// The method.
    pub method: String,
    /// The path, percent-encoded as it came.
    pub path: String,
    /// The query; empty without one.
    pub query: String,
    /// The credential it showed.
    pub auth: Auth,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The names of the headers, lower case, sorted.
    pub header_names: Vec<String>,
    /// The body, if it is JSON; passwords and tokens in it are replaced.
    pub body: Option<Value>,
    /// The status of the answer; none while it is under way, or if there never was one.
    pub status: Option<u16>,
    /// The kind of the fault that was injected.
    pub fault: Option<String>,
}

impl RequestRecord {
    /// `METHOD /path`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What a record is made of.
pub(crate) struct Observed<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
}

impl Observed<'_> {
    fn record(&self, seq: u64, now_unix_s: i64) -> RequestRecord {
        let header = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut header_names: Vec<String> = self.headers.keys().map(ToString::to_string).collect();
        header_names.sort();
        let auth = match (bearer(self.headers), cookie(self.headers, SESSION_COOKIE)) {
            (None, None) => Auth::None,
            (Some(_), None) => Auth::Token,
            (None, Some(_)) => Auth::Session,
            (Some(_), Some(_)) => Auth::Both,
        };
        let mut body = serde_json::from_slice(self.body).ok();
        if let Some(body) = &mut body {
            hide_secrets(body);
        }
        RequestRecord {
            seq,
            at_unix_s: now_unix_s,
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            query: self.query.to_owned(),
            auth,
            user_agent: header("user-agent"),
            content_type: header("content-type"),
            header_names,
            body,
            status: None,
            fault: None,
        }
    }

    /// The secrets that it brings: API token, session, passwords, tokens of a body.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let body = serde_json::from_slice::<Value>(self.body).unwrap_or_default();
        let of_body = SECRETS.iter().filter_map(|name| body.get(name).and_then(Value::as_str)).map(str::to_owned);
        let of_headers = [bearer(self.headers), cookie(self.headers, SESSION_COOKIE)].into_iter().flatten();
        of_body.chain(of_headers.map(str::to_owned)).filter(|secret| !secret.is_empty()).collect()
    }
}

fn hide_secrets(body: &mut Value) {
    let Some(members) = body.as_object_mut() else { return };
    for (name, value) in members {
        if SECRETS.contains(&name.as_str()) && value.is_string() {
            *value = HIDDEN.into();
        }
    }
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    records: VecDeque<RequestRecord>,
    last: u64,
}

impl RequestLog {
    /// Notes a request that has arrived. Returns its number.
    pub(crate) fn arrived(&mut self, observed: &Observed<'_>, now_unix_s: i64) -> u64 {
        self.last += 1;
        if self.records.len() >= CAPACITY {
            self.records.pop_front();
        }
        self.records.push_back(observed.record(self.last, now_unix_s));
        self.last
    }

    /// Notes the fault that a request met.
    pub(crate) fn met_fault(&mut self, seq: u64, kind: &str) {
        if let Some(record) = self.find(seq) {
            record.fault = Some(kind.to_owned());
        }
    }

    /// Notes the answer to a request.
    pub(crate) fn answered(&mut self, seq: u64, status: u16) {
        if let Some(record) = self.find(seq) {
            record.status = Some(status);
        }
    }

    fn find(&mut self, seq: u64) -> Option<&mut RequestRecord> {
        let first = self.records.front()?.seq;
        self.records.get_mut(usize::try_from(seq.checked_sub(first)?).ok()?)
    }

    /// All records, oldest first.
    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        self.records.iter().cloned().collect()
    }

    /// How many requests of this method fit the glob; an empty method is any.
    pub(crate) fn count(&self, method: &str, glob: &str) -> usize {
        let fits = |record: &&RequestRecord| {
            (method.is_empty() || record.method == method) && glob_matches(glob, &record.path)
        };
        self.records.iter().filter(fits).count()
    }

    /// Forgets all; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_which_credential_and_holds_none() {
        type Headers = &'static [(&'static str, &'static str)];
        let table: [(&str, Headers, Auth); 5] = [
            ("nothing", &[], Auth::None),
            ("a token", &[("authorization", "Bearer dg-hunter2")], Auth::Token),
            ("a session", &[("cookie", "a=b; defguard_session=hunter2")], Auth::Session),
            ("both", &[("authorization", "bearer dg-hunter2"), ("cookie", "defguard_session=hunter2")], Auth::Both),
            ("of another kind", &[("authorization", "Basic hunter2"), ("cookie", "a=hunter2")], Auth::None),
        ];
        let body = br#"{"username":"ada","password":"hunter2","phone":null,"token":"hunter2"}"#;
        for (name, headers, expected) in table {
            let mut map = HeaderMap::new();
            for &(header, value) in headers {
                map.insert(axum::http::HeaderName::from_static(header), value.parse().unwrap());
            }
            let observed = Observed { method: "POST", path: "/x", query: "", headers: &map, body };
            let mut log = RequestLog::default();
            log.arrived(&observed, 0);
            let record = log.all().remove(0);
            assert_eq!(record.auth, expected, "{name}");
            assert!(!serde_json::to_string(&record).unwrap().contains("hunter2"), "{name}");
            assert!(observed.secrets().contains(&"hunter2".to_owned()), "{name}");
        }
    }
}
