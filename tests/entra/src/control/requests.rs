//! The log of requests, for assertions: what was asked, how the client authenticated, whether a secret went where it must not.
//! It never holds the value of a secret, a code or a token; names of parameters and answers to yes-or-no questions only.

use std::collections::{BTreeMap, VecDeque};

use axum::http::HeaderMap;
use serde::Serialize;

use super::Side;
use super::faults::glob_matches;
use crate::encoding::Parameters;
use crate::login::client_auth::{ClientAuth, basic_credentials};

/// How many requests are kept; older ones are forgotten.
const CAPACITY: usize = 100_000;

/// Parameters that may never stand in a URL (RFC 6749 sections 2.3.1 and 4.1.3, RFC 6750 section 2.3).
const NEVER_IN_URL: [&str; 6] =
    ["client_secret", "client_assertion", "code_verifier", "access_token", "refresh_token", "id_token"];

/// One request.
#[derive(Debug, Clone, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "answers to independent questions")]
pub struct RequestRecord {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// When, by the emulator's clock.
    pub at_unix_s: i64,
    /// Which listener.
    pub side: Side,
    /// The method.
    pub method: String,
    /// The path, percent-encoded as it came.
    pub path: String,
    /// The names of the query's parameters.
    pub query_keys: Vec<String>,
    /// The `Host` header.
    pub host_header: Option<String>,
    /// The names of the headers, lower case, sorted.
    pub header_names: Vec<String>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `Accept` header.
    pub accept: Option<String>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// The `client-request-id` header.
    pub client_request_id: Option<String>,
    /// The `Origin` header: a confidential client must not send one.
    pub origin: Option<String>,
    /// Whether cookies came along.
    pub has_cookie: bool,
    /// Whether a `Referer` came along.
    pub has_referer: bool,
    /// Whether a bearer token came along.
    pub has_bearer: bool,
    /// The names of the form's parameters.
    pub form_keys: Vec<String>,
    /// The `grant_type` of a token request.
    pub grant_type: Option<String>,
    /// How the client authenticated.
    pub client_auth: ClientAuth,
    /// Whether a PKCE verifier came along.
    pub has_code_verifier: bool,
    /// Whether the URL holds a client secret, or a parameter that belongs into the body.
    pub secret_in_url: bool,
    /// Whether a client secret of any app came to another path than a token endpoint, anywhere in the request.
    pub secret_outside_token_endpoint: bool,
    /// The size of the body.
    pub body_bytes: usize,
    /// The status of the answer; none while it is under way, or if there never was one.
    pub status: Option<u16>,
    /// The kind of the fault that was injected.
    pub fault: Option<String>,
    /// Whether it came inside a `$batch`.
    pub in_batch: bool,
    /// What it cost in Graph's throttling model, if the answer told.
    pub resource_units: Option<u32>,
}

/// What a record is made of.
pub(crate) struct Observed<'a> {
    pub(crate) side: Side,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// Whether it is an item of a `$batch`.
    pub(crate) in_batch: bool,
}

impl Observed<'_> {
    /// The form, if the body is one.
    pub(crate) fn form(&self) -> Parameters {
        let is_form = text(self.headers, "content-type")
            .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
        if is_form { Parameters::parse(self.body) } else { Parameters::default() }
    }

    fn record(&self, seq: u64, now_unix_s: i64, secrets: &[String]) -> RequestRecord {
        let (query, form) = (Parameters::parse(self.query.as_bytes()), self.form());
        let in_url = |secret: &String| {
            self.path.contains(secret.as_str()) || query.pairs().any(|(_, value)| value.contains(secret.as_str()))
        };
        let secret_in_url = query.names().any(|name| NEVER_IN_URL.contains(&name)) || secrets.iter().any(in_url);
        let elsewhere = secrets.iter().any(|secret| {
            in_url(secret)
                || form.pairs().any(|(_, value)| value.contains(secret.as_str()))
                || String::from_utf8_lossy(self.body).contains(secret.as_str())
                || self
                    .headers
                    .values()
                    .any(|value| String::from_utf8_lossy(value.as_bytes()).contains(secret.as_str()))
                || basic_credentials(self.headers).is_some_and(|(_, password)| password.contains(secret.as_str()))
        });
        let mut header_names: Vec<String> = self.headers.keys().map(ToString::to_string).collect();
        header_names.sort();
        let header = |name| text(self.headers, name).map(str::to_owned);
        RequestRecord {
            seq,
            at_unix_s: now_unix_s,
            side: self.side,
            method: self.method.to_owned(),
            path: self.path.to_owned(),
            query_keys: query.names().map(str::to_owned).collect(),
            host_header: header("host"),
            header_names,
            user_agent: header("user-agent"),
            accept: header("accept"),
            content_type: header("content-type"),
            client_request_id: header("client-request-id"),
            origin: header("origin"),
            has_cookie: self.headers.contains_key("cookie"),
            has_referer: self.headers.contains_key("referer"),
            has_bearer: text(self.headers, "authorization")
                .is_some_and(|value| value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "))),
            form_keys: form.names().map(str::to_owned).collect(),
            grant_type: form.get("grant_type").map(str::to_owned),
            client_auth: ClientAuth::of(self.headers, &form),
            has_code_verifier: form.get("code_verifier").is_some(),
            secret_in_url,
            secret_outside_token_endpoint: elsewhere && !glob_matches("/*/oauth2/v2.0/token", self.path),
            body_bytes: self.body.len(),
            status: None,
            fault: None,
            in_batch: self.in_batch,
            resource_units: None,
        }
    }
}

/// A header as text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The log.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    records: VecDeque<RequestRecord>,
    last: u64,
}

impl RequestLog {
    /// Notes a request that has arrived; `secrets` are the values to watch for. Returns its number.
    pub(crate) fn arrived(&mut self, observed: &Observed<'_>, now_unix_s: i64, secrets: &[String]) -> u64 {
        self.last += 1;
        if self.records.len() >= CAPACITY {
            self.records.pop_front();
        }
        self.records.push_back(observed.record(self.last, now_unix_s, secrets));
        self.last
    }

    /// Notes the fault that a request met.
    pub(crate) fn met_fault(&mut self, seq: u64, kind: String) {
        if let Some(record) = self.find(seq) {
            record.fault = Some(kind);
        }
    }

    /// Notes the answer to a request.
    pub(crate) fn answered(&mut self, seq: u64, status: u16, resource_units: Option<u32>) {
        if let Some(record) = self.find(seq) {
            (record.status, record.resource_units) = (Some(status), resource_units);
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

    /// How many requests to this side fit the glob.
    pub(crate) fn count(&self, side: Side, glob: &str) -> usize {
        self.records.iter().filter(|record| record.side == side && glob_matches(glob, &record.path)).count()
    }

    /// Requests by `"side path"`.
    pub(crate) fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for record in &self.records {
            *counts.entry(format!("{} {}", record.side.name(), record.path)).or_default() += 1;
        }
        counts
    }

    /// Forgets all; numbers go on.
    pub(crate) fn clear(&mut self) {
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const SECRET: &str = "emu8Q~s+e/c%r&e=t";

    /// Path, query, headers and body of a request.
    type Sent<'a> = (&'a str, &'a str, Vec<(&'static str, &'a str)>, &'a str);

    fn record((path, query, headers, body): &Sent<'_>) -> RequestRecord {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let observed = Observed {
            side: Side::Login,
            method: "POST",
            path,
            query,
            headers: &map,
            body: body.as_bytes(),
            in_batch: false,
        };
        let mut log = RequestLog::default();
        log.arrived(&observed, 0, &[SECRET.to_owned()]);
        log.all().remove(0)
    }

    #[test]
    fn a_secret_is_noticed_where_it_must_not_be_and_never_kept() {
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        let encoded: String = url::form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
        let basic = {
            use base64::Engine as _;
            let encoded_pair = format!("id:{encoded}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(encoded_pair))
        };
        let form = format!("client_secret={encoded}&grant_type=x");
        let query = format!("a={encoded}");
        let token = "/t/oauth2/v2.0/token";
        // name, (path, query, headers, body), secret in URL, secret elsewhere
        let table: Vec<(&str, Sent<'_>, bool, bool)> = vec![
            ("form at the token endpoint", (token, "", vec![FORM], &form), false, false),
            ("form elsewhere", ("/v1.0/users", "", vec![FORM], &form), false, true),
            ("query at the token endpoint", (token, &query, vec![], ""), true, false),
            ("query elsewhere", ("/x", &query, vec![], ""), true, true),
            ("verifier in the query", (token, "code_verifier=v", vec![], ""), true, false),
            ("code in the query is a callback's business", ("/x", "code=c", vec![], ""), false, false),
            ("Basic at the token endpoint", (token, "", vec![("authorization", &basic)], ""), false, false),
            ("Basic elsewhere", ("/x", "", vec![("authorization", &basic)], ""), false, true),
            ("raw in a header", ("/x", "", vec![("x-debug", SECRET)], ""), false, true),
            ("raw in a JSON body", ("/x", "", vec![("content-type", "application/json")], SECRET), false, true),
            ("nothing", ("/x", "a=b", vec![FORM], "c=d"), false, false),
        ];
        for (name, sent, in_url, elsewhere) in table {
            let record = record(&sent);
            assert_eq!(record.secret_in_url, in_url, "{name}");
            assert_eq!(record.secret_outside_token_endpoint, elsewhere, "{name}");
            let text = serde_json::to_string(&record).unwrap();
            assert!(!text.contains(SECRET) && !text.contains(&encoded) && !text.contains(&basic), "{name}: {text}");
        }
    }

    #[test]
    fn answers_reach_their_request_after_a_clear_too() {
        let headers = HeaderMap::new();
        let observed = Observed {
            side: Side::Graph,
            method: "GET",
            path: "/x",
            query: "",
            headers: &headers,
            body: b"",
            in_batch: false,
        };
        let mut log = RequestLog::default();
        let first = log.arrived(&observed, 0, &[]);
        log.clear();
        let second = log.arrived(&observed, 0, &[]);
        log.answered(first, 200, None);
        log.answered(second, 404, Some(2));
        let records = log.all();
        assert_eq!(records.len(), 1);
        assert_eq!((records[0].seq, records[0].status, records[0].resource_units), (2, Some(404), Some(2)));
    }
}
