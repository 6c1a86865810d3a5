//! Microsoft Graph v1.0, asked as the application itself (entra_graph §5): access token, time budget, pages, errors. The
//! token goes to the configured Graph origin and nowhere else, whatever an answer links to (V19). What is asked for is
//! `entra::directory`'s subject.

mod batch;

pub use batch::MAX_REQUESTS;

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::TenantId;
use crate::capability::{Claimed, ClientAuthentication, HttpError, Method, Request, Response, World};
use crate::configuration::Provider;
use crate::json;
use crate::login::refusal::{self, Refusal, RefusalKind};
use crate::login::trace::cut;
use crate::oidc::client_credentials::{self, AppToken};
use crate::oidc::discovery::{Metadata, cache_key};
use crate::oidc::http_date;
use crate::oidc::token_request::{authentication, request_id};

/// The root of all addresses; a link that leaves it isn't followed.
const ROOT: &str = "/v1.0/";
/// The most that is read of one answer, in bytes: the host's limit. 11 000 identifiers have 430 KiB.
const MAX_BYTES: u32 = 1 << 20;
/// The longest that one request may take, in milliseconds.
const REQUEST_MS: u32 = 10_000;
/// The most pages of one list.
const MAX_PAGES: usize = 24;
/// A token isn't used in its last seconds: clocks differ, and requests take time (entra_graph §3).
const TOKEN_MARGIN_S: u64 = 300;
/// The longest that a token is kept, in seconds.
const TOKEN_KEPT_S: u64 = 86_400;
/// How long a failed token request isn't made again, in seconds.
const FAILURE_KEPT_S: u32 = 10;
/// How long to wait for another sign-in that asks for the token, in milliseconds.
const WAIT_MS: u32 = 6_000;
/// A permission that was granted shows in newer tokens only: an older one is renewed after a 403. Seconds.
const STALE_AFTER_S: u64 = 300;
/// The longest `Retry-After` that is waited for, and what is waited without one, in milliseconds.
const RETRY_AFTER_MS: (u32, u32) = (2_000, 1_000);

/// The most that is read of one page of the directory, in bytes: the host's limit there. 60 000 members have 7 MB.
const MAX_PAGE_BYTES: u32 = 8 << 20;
/// How many requests go out at once: the host's limit.
pub const AT_ONCE: usize = 16;
/// `error.code` of a delta or page token that Graph doesn't know any more (entra_graph §5.3), in lower case.
const RESYNC_CODES: [&str; 4] =
    ["syncstatenotfound", "syncstateinvalid", "resyncrequired", "directory_expiredpagetoken"];
/// Of a link whose answer was lost on the way, in lower case (entra_graph §5.2).
const PAGE_TOKEN_CODE: &str = "directorypagetokennotfoundexception";

/// Why Graph didn't give what was asked for. The texts go to the administrator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// There is no access token.
    #[error("no access token for Microsoft Graph: {detail}; {hint}")]
    Token {
        /// What happened.
        detail: String,
        /// What to do.
        hint: String,
        /// Whether it may be otherwise in a moment.
        passes: bool,
    },
    /// 403.
    #[error(
        "Microsoft Graph refuses it (403 {code}): the application needs, as application permissions, {permissions}: App \
         registrations > API permissions > Microsoft Graph, then Grant admin consent"
    )]
    Denied {
        /// Graph's.
        code: String,
        /// Which.
        permissions: &'static str,
    },
    /// 404.
    #[error("the directory has no such object (404 {0})")]
    NotFound(String),
    /// 400 `Directory_ResultSizeLimitExceeded`.
    #[error("the person is in more groups than Microsoft Graph lists (11000)")]
    TooMany,
    /// 410, or a 400 or 404 about the token of a page or of a delta link.
    #[error("Microsoft Graph wants the directory to be read from the beginning (status {status} {code})")]
    Resync {
        /// As received.
        status: u16,
        /// Graph's.
        code: String,
    },
    /// The link belongs to an answer that was asked for twice.
    #[error("Microsoft Graph doesn't know this page ({0})")]
    PageToken(String),
    /// 429 or 503, and no time to wait.
    #[error("Microsoft Graph asks to wait (status {0})")]
    Throttled(u16),
    /// Any other status.
    #[error("Microsoft Graph answered status {status} {code}")]
    Status {
        /// As received.
        status: u16,
        /// Graph's.
        code: String,
    },
    /// The time for everything is over.
    #[error("Microsoft Graph took longer than the {0} ms that it has in all")]
    OutOfTime(u32),
    /// No answer.
    #[error("the request to Microsoft Graph failed: {0}")]
    Http(#[from] HttpError),
    /// An answer that isn't one of Graph's.
    #[error("Microsoft Graph's answer {0}")]
    Shape(&'static str),
    /// A link to the next page that isn't Graph's.
    #[error("Microsoft Graph's next page is at {0}, which isn't the configured Graph: not followed")]
    ForeignLink(String),
    /// A link that was followed before.
    #[error("Microsoft Graph's pages lead in a circle")]
    Circle,
    /// More than 24 pages.
    #[error("Microsoft Graph has more than {MAX_PAGES} pages")]
    TooManyPages,
}

impl GraphError {
    /// There is no token, as this says.
    pub fn token(refusal: &Refusal) -> Self {
        let passes = refusal.rule.kind == RefusalKind::ProviderUnavailable;
        Self::Token { detail: refusal.check.1.clone(), hint: refusal.admin_hint().to_owned(), passes }
    }
}

/// A request to Graph.
pub struct Call<'a> {
    /// Graph's.
    pub url: Url,
    /// JSON; `None`: a `GET`.
    pub body: Option<&'a Value>,
    /// What a 403 means.
    pub permissions: &'static str,
}

/// How Graph is asked for several things at once.
struct Manner {
    /// The most that is read of each answer, in bytes.
    max_bytes: u32,
    /// Whether others go before us.
    is_low: bool,
}

/// Nobody waits for a page of the directory, and it may be large.
const PAGES: Manner = Manner { max_bytes: MAX_PAGE_BYTES, is_low: true };
/// Somebody waits.
const ANSWERS: Manner = Manner { max_bytes: MAX_BYTES, is_low: false };

/// The access token, as it is used.
struct Token {
    access_token: String,
    issued_at_s: u64,
}

/// As it is in the cache.
enum Cached {
    Good { access_token: String, issued_at_s: u64, used_until_s: u64 },
    Failed { detail: String, hint: String, passes: bool },
}

impl Cached {
    fn read(bytes: &[u8]) -> Option<Self> {
        let (name, content) = crate::jose::parse_unique_object(bytes).ok()?.into_iter().next()?;
        let members = content.as_object()?;
        let (text, number) = (|name| json::string(members, name), |name| json::number(members, name));
        match name.as_str() {
            "Good" => Some(Self::Good {
                access_token: text("access_token")?,
                issued_at_s: number("issued_at_s")?,
                used_until_s: number("used_until_s")?,
            }),
            "Failed" => Some(Self::Failed {
                detail: text("detail")?,
                hint: text("hint")?,
                passes: members.get("passes")?.as_bool()?,
            }),
            _ => None,
        }
    }

    fn write(&self) -> String {
        json::text(&match self {
            Self::Good { access_token, issued_at_s, used_until_s } => json!({
                "Good": { "access_token": access_token, "issued_at_s": issued_at_s, "used_until_s": used_until_s }
            }),
            Self::Failed { detail, hint, passes } => {
                json!({ "Failed": { "detail": detail, "hint": hint, "passes": passes } })
            }
        })
    }
}

/// One answer of several ([`Graph::fetch`]).
#[derive(Debug)]
pub struct Fetched {
    /// The page, or why there is none.
    pub outcome: Result<Map<String, Value>, GraphError>,
    /// What `Retry-After` asks for, in milliseconds.
    pub retry_after_ms: Option<u32>,
    /// How near to its limit Graph says that we are, in percent (`x-ms-throttle-limit-percentage`); 0 if it doesn't say.
    pub load_percent: u32,
    /// `Location`.
    pub location: Option<String>,
}

/// Graph for one sign-in: one time budget for everything, at most one renewal of the token, at most one wait.
pub struct Graph<'a> {
    world: World<'a>,
    origin: &'a str,
    token_endpoint: String,
    method: ClientAuthentication,
    cache_key: String,
    timeout_ms: u32,
    /// Of the first use, by the monotonic clock.
    started_ms: Option<u64>,
    token: Option<Token>,
    renewed: bool,
    waited: bool,
    /// Whether time that ran out says something about the provider.
    is_patient: bool,
}

impl<'a> Graph<'a> {
    /// For the directory of one tenant; `None` if the provider has no Graph. Asks for nothing yet.
    pub fn new(
        world: World<'a>,
        provider: &'a Provider,
        metadata: &Metadata,
        tenant: &TenantId,
        timeout_ms: u32,
    ) -> Option<Result<Self, Refusal>> {
        let origin = provider.graph_origin.as_deref()?;
        let login = provider.origin();
        let place = URL_SAFE_NO_PAD.encode(Sha256::digest(format!("{origin}\n{tenant}").as_bytes()));
        Some(authentication(world, provider, metadata).map(|method| Self {
            world,
            origin,
            // Entra refuses the grant at `common` and `organizations` (AADSTS9001023), and a domain may move.
            token_endpoint: format!("{login}/{tenant}/oauth2/v2.0/token"),
            method,
            cache_key: format!("{}/{place}", cache_key(provider, "graph-token")),
            timeout_ms,
            started_ms: None,
            token: None,
            renewed: false,
            waited: false,
            is_patient: true,
        }))
    }

    /// With a time budget that counts from a moment before, by the monotonic clock, and is so short that its end says nothing about
    /// the provider: others, who have more time, try for themselves. Nothing is waited for.
    #[must_use]
    pub fn in_haste_since(self, started_ms: u64) -> Self {
        Self { started_ms: Some(started_ms), waited: true, is_patient: false, ..self }
    }

    /// One object; `path` without the root, with its query.
    pub fn object(&mut self, path: &str, permissions: &'static str) -> Result<Map<String, Value>, GraphError> {
        let url = self.address(path)?;
        self.send(&Call { url, body: None, permissions })
    }

    /// All pages of the list that a `POST` gives. `accept` says of each entry whether it is what was asked for.
    pub fn list(
        &mut self,
        path: &str,
        body: &Value,
        permissions: &'static str,
        accept: impl FnMut(&Value) -> Result<(), GraphError>,
    ) -> Result<usize, GraphError> {
        let call = Call { url: self.address(path)?, body: Some(body), permissions };
        let first = self.send(&call)?;
        self.list_from(call, first, accept)
    }

    /// All pages of a list, whose first one is there already.
    pub fn list_from(
        &mut self,
        mut call: Call<'_>,
        first: Map<String, Value>,
        mut accept: impl FnMut(&Value) -> Result<(), GraphError>,
    ) -> Result<usize, GraphError> {
        let mut seen = BTreeSet::new();
        seen.insert(call.url.to_string());
        let mut answer = first;
        for page in 1..=MAX_PAGES {
            let entries = answer.get("value").and_then(Value::as_array).ok_or(GraphError::Shape("has no list"))?;
            entries.iter().try_for_each(&mut accept)?;
            // An empty page may have a next one; none is the end (entra_graph §5.2).
            call.url = match answer.get("@odata.nextLink") {
                None | Some(Value::Null) => return Ok(page),
                Some(Value::String(link)) => self.next(link)?,
                Some(_) => return Err(GraphError::Shape("has a next link that is no text")),
            };
            if !seen.insert(call.url.to_string()) {
                return Err(GraphError::Circle);
            }
            if page < MAX_PAGES {
                answer = self.send(&call)?;
            }
        }
        Err(GraphError::TooManyPages)
    }

    /// Asks for a token, past the cache: whether the credential is good. Says how the application authenticated.
    pub fn try_credential(&mut self) -> Result<ClientAuthentication, Refusal> {
        let timeout = self.remaining_ms().unwrap_or(1);
        let AppToken { access_token, .. } = self.request_token(timeout)?;
        self.token = Some(Token { access_token, issued_at_s: self.world.clock.now_unix_s() });
        self.renewed = true;
        Ok(self.method)
    }

    /// Pages at once, in the order of their links, each with the permissions that a 403 means; with a newer token once if this
    /// one isn't good any more. Nothing is waited for: what Graph asks for is told.
    pub fn fetch(&mut self, pages: &[(Url, &'static str)]) -> Result<Vec<Fetched>, GraphError> {
        let calls: Vec<_> =
            pages.iter().map(|(url, permissions)| Call { url: url.clone(), body: None, permissions }).collect();
        self.fetch_in(&calls, &PAGES)
    }

    /// As [`Graph::fetch`], for somebody who waits: answers of the usual size, at the usual priority.
    pub fn ask(&mut self, calls: &[Call<'_>]) -> Result<Vec<Fetched>, GraphError> {
        self.fetch_in(calls, &ANSWERS)
    }

    fn fetch_in(&mut self, calls: &[Call<'_>], manner: &Manner) -> Result<Vec<Fetched>, GraphError> {
        let (access_token, issued_at_s) = self.token()?;
        let answers = self.send_all(calls, &access_token, manner)?;
        let age_s = self.world.clock.now_unix_s().saturating_sub(issued_at_s);
        let is_stale = |answer: &Result<Response, HttpError>| {
            answer
                .as_ref()
                .is_ok_and(|response| response.status == 401 || (response.status == 403 && age_s >= STALE_AFTER_S))
        };
        let answers = if answers.iter().any(is_stale) && !self.renewed {
            self.renew(&access_token)?;
            let (access_token, _) = self.token()?;
            self.send_all(calls, &access_token, manner)?
        } else {
            answers
        };
        let now_s = self.world.clock.now_unix_s();
        Ok(answers.into_iter().zip(calls).map(|(answer, call)| fetched(answer, call.permissions, now_s)).collect())
    }

    fn send_all(
        &mut self,
        calls: &[Call<'_>],
        access_token: &str,
        manner: &Manner,
    ) -> Result<Vec<Result<Response, HttpError>>, GraphError> {
        let mut requests = Vec::new();
        for call in calls.iter().take(AT_ONCE) {
            let mut request = self.request(call, access_token)?;
            request.max_response_bytes = manner.max_bytes;
            if manner.is_low {
                // entra_graph §5.5: people who sign in go before us.
                request.headers.push(("x-ms-throttle-priority".to_owned(), "Low".to_owned()));
            }
            requests.push(request);
        }
        Ok(self.world.http.send_all(requests))
    }

    /// The address of a path below the root, with its query.
    pub fn url(&self, path: &str) -> Result<Url, GraphError> {
        self.address(path)
    }

    /// A link of Graph's, if it is one.
    pub fn link(&self, link: &str) -> Result<Url, GraphError> {
        self.next(link)
    }

    fn address(&self, path: &str) -> Result<Url, GraphError> {
        Url::parse(&format!("{}{ROOT}{path}", self.origin)).map_err(|_| GraphError::Shape("can't be asked for"))
    }

    /// The next page, if it is Graph's: the token goes nowhere else (V19).
    fn next(&self, link: &str) -> Result<Url, GraphError> {
        let foreign = || GraphError::ForeignLink(cut(link.split('?').next().unwrap_or_default(), 128));
        let url = Url::parse(link).map_err(|_| foreign())?;
        let is_graph = url.origin().ascii_serialization() == self.origin
            && url.username().is_empty()
            && url.password().is_none()
            && url.fragment().is_none()
            && url.path().starts_with(ROOT);
        if is_graph { Ok(url) } else { Err(foreign()) }
    }

    /// Sends; with a newer token once if this one isn't good (any more), and again once if Graph asks to wait a little.
    fn send(&mut self, call: &Call<'_>) -> Result<Map<String, Value>, GraphError> {
        loop {
            let (access_token, issued_at_s) = self.token()?;
            let response = self.send_with(call, &access_token)?;
            let age_s = self.world.clock.now_unix_s().saturating_sub(issued_at_s);
            match response.status {
                200 => return read(&response),
                401 if !self.renewed => self.renew(&access_token)?,
                403 if !self.renewed && age_s >= STALE_AFTER_S => self.renew(&access_token)?,
                429 | 503 if self.wait(&response)? => {}
                _ => return Err(refused(call.permissions, &response)),
            }
        }
    }

    fn send_with(&mut self, call: &Call<'_>, access_token: &str) -> Result<Response, GraphError> {
        let request = self.request(call, access_token)?;
        Ok(self.world.http.send(request)?)
    }

    fn request(&mut self, call: &Call<'_>, access_token: &str) -> Result<Request, GraphError> {
        let mut headers = vec![
            ("accept".to_owned(), "application/json".to_owned()),
            ("authorization".to_owned(), format!("Bearer {access_token}")),
        ];
        headers.extend(request_id(self.world).map(|id| ("client-request-id".to_owned(), id)));
        if call.body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        Ok(Request {
            method: if call.body.is_some() { Method::Post } else { Method::Get },
            url: call.url.to_string(),
            headers,
            body: call.body.map(|body| json::text(body).into_bytes()),
            timeout_ms: self.remaining_ms()?.min(REQUEST_MS),
            max_response_bytes: MAX_BYTES,
        })
    }

    /// What is left of the budget, in milliseconds; nothing left ends it.
    fn remaining_ms(&mut self) -> Result<u32, GraphError> {
        let now = self.world.clock.monotonic_ms();
        let elapsed = now.saturating_sub(*self.started_ms.get_or_insert(now));
        let left = u64::from(self.timeout_ms).saturating_sub(elapsed);
        u32::try_from(left).ok().filter(|left| *left > 0).ok_or(GraphError::OutOfTime(self.timeout_ms))
    }

    /// Waits as long as Graph asks for, if that is short, fits the budget, and is the first time.
    fn wait(&mut self, response: &Response) -> Result<bool, GraphError> {
        let (longest, without) = RETRY_AFTER_MS;
        let asked = match response.header("retry-after") {
            None => Some(without),
            // RFC 9110 section 10.2.3: seconds; a date isn't waited for.
            Some(text) => text.trim().parse::<u32>().ok().and_then(|seconds| seconds.checked_mul(1000)),
        };
        let Some(asked) = asked.filter(|asked| *asked <= longest && !self.waited) else { return Ok(false) };
        if asked >= self.remaining_ms()? {
            return Ok(false);
        }
        self.waited = true;
        Ok(pause(self.world, asked))
    }

    /// The token: this sign-in's, the cached one, or a new one that one sign-in asks for while others wait.
    fn token(&mut self) -> Result<(String, u64), GraphError> {
        if let Some(token) = &self.token {
            return Ok((token.access_token.clone(), token.issued_at_s));
        }
        let timeout = self.remaining_ms()?;
        let token = match self.world.cache.claim(&self.cache_key, timeout.min(WAIT_MS)) {
            Claimed::Value(bytes) => match Cached::read(&bytes) {
                Some(Cached::Failed { detail, hint, passes }) => {
                    return Err(GraphError::Token { detail, hint, passes });
                }
                Some(Cached::Good { access_token, issued_at_s, used_until_s })
                    if used_until_s > self.world.clock.now_unix_s() =>
                {
                    Token { access_token, issued_at_s }
                }
                _ => self.fetch_token(timeout)?,
            },
            Claimed::Fetch => {
                let outcome = self.fetch_token(timeout);
                // Whoever waits gets what was put; without it the next one asks.
                self.world.cache.release(&self.cache_key);
                outcome?
            }
            Claimed::Busy => {
                return Err(GraphError::Token {
                    detail: "another sign-in is still waiting for it".into(),
                    hint: "the token endpoint is slow".into(),
                    passes: true,
                });
            }
        };
        let found = (token.access_token.clone(), token.issued_at_s);
        self.token = Some(token);
        Ok(found)
    }

    /// Drops the token that Graph didn't like. Another sign-in may have a newer one already.
    fn renew(&mut self, disliked: &str) -> Result<(), GraphError> {
        self.renewed = true;
        let cached = self.world.cache.get(&self.cache_key).and_then(|bytes| Cached::read(&bytes));
        self.token = match cached {
            Some(Cached::Good { access_token, issued_at_s, .. }) if access_token != disliked => {
                Some(Token { access_token, issued_at_s })
            }
            _ => {
                let timeout = self.remaining_ms()?;
                Some(self.fetch_token(timeout)?)
            }
        };
        Ok(())
    }

    /// Asks for a token and keeps it; a failure is kept for a moment.
    fn fetch_token(&self, timeout_ms: u32) -> Result<Token, GraphError> {
        let now = self.world.clock.now_unix_s();
        match self.request_token(timeout_ms) {
            Ok(AppToken { access_token, expires_in_s }) => {
                let ttl_s = expires_in_s.saturating_sub(TOKEN_MARGIN_S).min(TOKEN_KEPT_S);
                let token = Token { access_token: access_token.clone(), issued_at_s: now };
                let used_until_s = now.saturating_add(ttl_s);
                self.put(&Cached::Good { access_token, issued_at_s: now, used_until_s }, ttl_s);
                Ok(token)
            }
            Err(refusal) => {
                let error = GraphError::token(&refusal);
                let is_impatience = !self.is_patient && refusal.rule.code == refusal::PROVIDER_TIMEOUT.code;
                if let GraphError::Token { detail, hint, passes } = &error
                    && !is_impatience
                {
                    let failed = Cached::Failed { detail: detail.clone(), hint: hint.clone(), passes: *passes };
                    self.put(&failed, u64::from(FAILURE_KEPT_S));
                }
                Err(error)
            }
        }
    }

    fn request_token(&self, timeout_ms: u32) -> Result<AppToken, Refusal> {
        let scope = format!("{}/.default", self.origin);
        client_credentials::request(self.world, &self.token_endpoint, self.method, &scope, timeout_ms.min(REQUEST_MS))
    }

    fn put(&self, cached: &Cached, ttl_s: u64) {
        if let Ok(ttl_s @ 1..) = u32::try_from(ttl_s) {
            self.world.cache.put(&self.cache_key, cached.write().as_bytes(), ttl_s);
        }
    }
}

fn read(response: &Response) -> Result<Map<String, Value>, GraphError> {
    if !response.is_json() {
        return Err(GraphError::Shape("isn't JSON"));
    }
    crate::jose::parse_unique_object(&response.body).map_err(|_| GraphError::Shape("isn't a JSON object"))
}

/// The status decides; of the body only `error.code` is read, for one case and for people (entra_graph §5.6).
fn refused(permissions: &'static str, response: &Response) -> GraphError {
    let body = crate::jose::parse_unique_object(&response.body).unwrap_or_default();
    let code = body.get("error").and_then(|error| error.get("code")).and_then(Value::as_str).unwrap_or_default();
    let code = cut(code, 64);
    let lower = code.to_ascii_lowercase();
    let is_resync = RESYNC_CODES.contains(&lower.as_str()) || is_about_the_token(&body);
    match response.status {
        410 => GraphError::Resync { status: 410, code },
        400 | 404 if lower == PAGE_TOKEN_CODE => GraphError::PageToken(code),
        status @ (400 | 404) if is_resync => GraphError::Resync { status, code },
        400 if code.eq_ignore_ascii_case("Directory_ResultSizeLimitExceeded") => GraphError::TooMany,
        403 => GraphError::Denied { code, permissions },
        404 => GraphError::NotFound(code),
        status @ (429 | 503) => GraphError::Throttled(status),
        status => GraphError::Status { status, code },
    }
}

/// Codes differ; the message says it (entra_graph §5.3).
fn is_about_the_token(body: &Map<String, Value>) -> bool {
    let message = body.get("error").and_then(|error| error.get("message")).and_then(Value::as_str).unwrap_or_default();
    let message = message.to_ascii_lowercase();
    ["delta token", "deltatoken", "deltalink", "skip token", "skiptoken", "page token"]
        .iter()
        .any(|words| message.contains(words))
}

fn fetched(answer: Result<Response, HttpError>, permissions: &'static str, now_s: u64) -> Fetched {
    let response = match answer {
        Ok(response) => response,
        Err(error) => {
            return Fetched { outcome: Err(error.into()), retry_after_ms: None, load_percent: 0, location: None };
        }
    };
    let outcome = if response.status == 200 { read(&response) } else { Err(refused(permissions, &response)) };
    Fetched {
        outcome,
        retry_after_ms: response.header("retry-after").and_then(|text| retry_after_ms(text, now_s)),
        load_percent: response.header("x-ms-throttle-limit-percentage").map_or(0, load_percent),
        location: response.header("location").map(str::to_owned),
    }
}

/// RFC 9110 section 10.2.3: seconds, or a date. An hour at most.
fn retry_after_ms(text: &str, now_s: u64) -> Option<u32> {
    const MAX_S: u64 = 3600;
    let text = text.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => http_date::parse(text)?.saturating_sub(now_s),
    };
    u32::try_from(seconds.min(MAX_S) * 1000).ok()
}

/// `0.95` is 95 %.
fn load_percent(text: &str) -> u32 {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = format!("{part:0<2}");
    let number = |text: &str| text.parse::<u32>().unwrap_or(0);
    number(whole).min(10) * 100 + number(digits.get(..2).unwrap_or("0"))
}

/// Waits. The contract has no timer, but waiting for a key of the cache that this very call was elected for is one.
fn pause(world: World<'_>, milliseconds: u32) -> bool {
    let Ok(random) = world.random.bytes() else { return false };
    let key = format!("pause/{}", URL_SAFE_NO_PAD.encode(random));
    let elected = world.cache.claim(&key, 0) == Claimed::Fetch;
    if elected && milliseconds > 0 {
        world.cache.claim(&key, milliseconds);
    }
    world.cache.release(&key);
    elected
}
