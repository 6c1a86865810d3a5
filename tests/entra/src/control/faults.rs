//! Injected faults: which requests they hit and what happens to those. `fault_actions` carries them out.

use serde::{Deserialize, Serialize};

use super::graph_faults::GoneForm;
use super::page_faults::PageLie;

/// Which of the two listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The identity provider.
    Login,
    /// Microsoft Graph.
    Graph,
}

impl Side {
    /// The name in logs and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Graph => "graph",
        }
    }
}

/// Which requests a fault hits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultMatch {
    /// One listener, or both.
    pub host: Option<Side>,
    /// A glob over the path, `*` for any text with slashes; empty: every path.
    pub path: String,
    /// Which of the matching requests, counted from 1; empty: all.
    pub nth: Vec<u32>,
}

/// A fault as it is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests.
    #[serde(default, rename = "match")]
    pub matching: FaultMatch,
    /// What happens to them.
    pub action: FaultAction,
    /// How often at most; none: until removed.
    #[serde(default)]
    pub times: Option<u32>,
}

impl Fault {
    /// A fault for every request on both sides, until removed. [`FaultAction::DiscoveryDown`] and [`FaultAction::JwksDown`]
    /// bring their own path.
    pub fn new(action: FaultAction) -> Self {
        Self { matching: FaultMatch::default(), action, times: None }
    }

    /// Only on this listener.
    #[must_use]
    pub fn on(mut self, side: Side) -> Self {
        self.matching.host = Some(side);
        self
    }

    /// Only for paths that fit the glob.
    #[must_use]
    pub fn path(mut self, glob: impl Into<String>) -> Self {
        self.matching.path = glob.into();
        self
    }

    /// Only the n-th matching requests, counted from 1.
    #[must_use]
    pub fn nth(mut self, which: impl IntoIterator<Item = u32>) -> Self {
        self.matching.nth = which.into_iter().collect();
        self
    }

    /// At most this often.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }

    fn concerns(&self, side: Side, path: &str) -> bool {
        let own_path = match self.action {
            FaultAction::DiscoveryDown => Some("/*/.well-known/openid-configuration"),
            FaultAction::JwksDown => Some("/*/discovery/v2.0/keys"),
            _ => None,
        };
        self.matching.host.is_none_or(|host| host == side)
            && own_path.is_none_or(|glob| glob_matches(glob, path))
            && (self.matching.path.is_empty() || glob_matches(&self.matching.path, path))
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultAction {
    /// This status with an error body of the listener's kind.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` header: seconds, or an HTTP date.
        #[serde(default)]
        retry_after: Option<String>,
        /// An HTML page for a body.
        #[serde(default)]
        html: bool,
    },
    /// The genuine answer, later.
    Delay {
        /// Milliseconds of real time.
        delay_ms: u64,
    },
    /// No answer until the client leaves.
    Hang,
    /// The connection is reset without an answer.
    Reset,
    /// The genuine answer with its whole length announced, cut after `at` bytes.
    Truncate {
        /// How many bytes of the body arrive.
        at: usize,
    },
    /// Status 200 and JSON that breaks off.
    BadJson,
    /// Status 200 and an HTML page.
    Html,
    /// The genuine answer under another content type.
    WrongContentType {
        /// The content type.
        content_type: String,
    },
    /// A redirect.
    Redirect {
        /// The `Location` header.
        location: String,
        /// The status; 302 if absent.
        #[serde(default = "found")]
        status: u16,
    },
    /// Status 200 and a JSON body of this size, streamed without announcing the length.
    BigBody {
        /// How many bytes.
        bytes: u64,
    },
    /// The genuine answer, one byte at a time.
    SlowDrip {
        /// Milliseconds of real time before each byte.
        interval_ms: u64,
    },
    /// An error of the token endpoint.
    Aadsts {
        /// The number after `AADSTS`.
        code: u32,
        /// The OAuth error.
        error: String,
        /// The `suberror`.
        #[serde(default)]
        suberror: Option<String>,
    },
    /// Status 503 for discovery documents alone.
    DiscoveryDown,
    /// Status 503 for key sets alone.
    JwksDown,
    /// Status 401 with the client secret of the request repeated in the error description.
    EchoSecret,
    /// An error of Graph.
    GraphError {
        /// The HTTP status.
        status: u16,
        /// `error.code`.
        code: String,
    },
    /// The status with a `Retry-After` that is an HTTP date.
    RetryAt {
        /// The HTTP status.
        status: u16,
        /// How far the date is from now by the machine's clock, seconds.
        seconds: u64,
    },
    /// Graph gives up a delta token.
    Gone {
        /// How it says so.
        #[serde(default)]
        form: GoneForm,
    },
    /// Status 400 `Directory_ExpiredPageToken`.
    ExpiredPageToken,
    /// Status 400 `DirectoryPageTokenNotFoundException`.
    PageTokenNotFound,
    /// The bearer token counts as issued before an admin consented, from now on: it has no application permissions. Another token
    /// has them.
    StaleRoles,
    /// The bearer token is revoked: 401 for this request and all others with it. Another token is accepted.
    #[serde(alias = "token_401_once")]
    TokenRefused,
    /// The genuine answer cut after `at` bytes, with a length that fits what is left: only its content shows the loss.
    TruncateQuietly {
        /// How many bytes of the body arrive.
        at: usize,
    },
    /// The genuine page with an `@odata.nextLink` on another origin: with the genuine path if there is a next page, else with
    /// the path of this one.
    ForeignNextlink {
        /// The origin; without one `http://localhost:<port>`, which is this emulator under another name, so that a client that
        /// goes there is in the log (`host_header`).
        #[serde(default)]
        origin: Option<String>,
    },
    /// The genuine page with an `@odata.nextLink` to itself.
    NextlinkLoop,
    /// The genuine page with something about it changed.
    LyingPage {
        /// What.
        lie: PageLie,
    },
}

impl FaultAction {
    /// The action's name in JSON, for the request log.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Delay { .. } => "delay",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Truncate { .. } => "truncate",
            Self::BadJson => "bad_json",
            Self::Html => "html",
            Self::WrongContentType { .. } => "wrong_content_type",
            Self::Redirect { .. } => "redirect",
            Self::BigBody { .. } => "big_body",
            Self::SlowDrip { .. } => "slow_drip",
            Self::Aadsts { .. } => "aadsts",
            Self::DiscoveryDown => "discovery_down",
            Self::JwksDown => "jwks_down",
            Self::EchoSecret => "echo_secret",
            Self::GraphError { .. } => "graph_error",
            Self::RetryAt { .. } => "retry_at",
            Self::Gone { .. } => "gone",
            Self::ExpiredPageToken => "expired_page_token",
            Self::PageTokenNotFound => "page_token_not_found",
            Self::StaleRoles => "stale_roles",
            Self::TokenRefused => "token_refused",
            Self::TruncateQuietly { .. } => "truncate_quietly",
            Self::ForeignNextlink { .. } => "foreign_nextlink",
            Self::NextlinkLoop => "nextlink_loop",
            Self::LyingPage { .. } => "lying_page",
        }
    }
}

fn found() -> u16 {
    302
}

/// Names an added fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// The faults that are in force, in the order they were added.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    active: Vec<ActiveFault>,
    added: u64,
}

#[derive(Debug)]
struct ActiveFault {
    id: FaultId,
    fault: Fault,
    seen: u32,
    hits: u32,
}

impl Faults {
    /// Adds a fault.
    pub(crate) fn add(&mut self, fault: Fault) -> FaultId {
        self.added += 1;
        let id = FaultId(self.added);
        self.active.push(ActiveFault { id, fault, seen: 0, hits: 0 });
        id
    }

    /// Takes a fault away; false if there is none of this name.
    pub(crate) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() != before
    }

    /// Takes all faults away.
    pub(crate) fn clear(&mut self) {
        self.active.clear();
    }

    /// How often a fault has hit; 0 for an unknown one.
    pub(crate) fn hits(&self, id: FaultId) -> u32 {
        self.active.iter().find(|active| active.id == id).map_or(0, |active| active.hits)
    }

    /// The faults with their hits.
    pub(crate) fn list(&self) -> impl Iterator<Item = (FaultId, &Fault, u32)> {
        self.active.iter().map(|active| (active.id, &active.fault, active.hits))
    }

    /// What happens to this request: the first fault that hits. All that match count it.
    pub(crate) fn pick(&mut self, side: Side, path: &str) -> Option<FaultAction> {
        let mut chosen = None;
        for active in &mut self.active {
            if !active.fault.concerns(side, path) {
                continue;
            }
            active.seen += 1;
            let its_turn = active.fault.matching.nth.is_empty() || active.fault.matching.nth.contains(&active.seen);
            let left = active.fault.times.is_none_or(|times| active.hits < times);
            if chosen.is_none() && its_turn && left {
                active.hits += 1;
                chosen = Some(active.fault.action.clone());
            }
        }
        chosen
    }
}

/// Whether a path fits a glob in which `*` stands for any text.
pub(crate) fn glob_matches(glob: &str, path: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        let Some(position) = rest.find(piece) else { return false };
        rest = rest.get(position + piece.len()..).unwrap_or_default();
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_a_shell_without_slash_rules() {
        let table = [
            ("exact", "/a/b", "/a/b", true),
            ("exact, longer", "/a/b", "/a/b/c", false),
            ("star at the end", "/v1.0/users*", "/v1.0/users/1?", true),
            ("star in the middle", "/*/token", "/t/oauth2/v2.0/token", true),
            ("star in the middle, other end", "/*/token", "/t/oauth2/v2.0/tokens", false),
            ("two stars", "/*/oauth2/*", "/t/oauth2/v2.0/token", true),
            ("all", "*", "/anything", true),
            ("pieces may not overlap", "/ab*ba", "/aba", false),
            ("pieces in order", "*b*a", "/a/b", false),
        ];
        for (name, glob, path, expected) in table {
            assert_eq!(glob_matches(glob, path), expected, "{name}");
        }
    }

    type Requests = &'static [(Side, &'static str)];
    const LOGIN_TWICE: Requests = &[(Side::Login, "/t/token"), (Side::Login, "/t/token"), (Side::Login, "/t/token")];
    const BOTH: Requests = &[(Side::Login, "/x"), (Side::Graph, "/x")];
    const DOCUMENTS: Requests = &[
        (Side::Login, "/t/v2.0/.well-known/openid-configuration"),
        (Side::Login, "/t/discovery/v2.0/keys"),
        (Side::Login, "/t/oauth2/v2.0/token"),
    ];

    #[test]
    fn a_fault_hits_the_requests_it_names_and_no_more() {
        let status = FaultAction::Status { status: 503, retry_after: None, html: false };
        let table: Vec<(&str, Fault, Requests, Vec<bool>)> = vec![
            ("always", Fault::new(status.clone()), LOGIN_TWICE, vec![true, true, true]),
            ("second", Fault::new(status.clone()).nth([2]), LOGIN_TWICE, vec![false, true, false]),
            ("once", Fault::new(status.clone()).times(1), LOGIN_TWICE, vec![true, false, false]),
            ("graph", Fault::new(status.clone()).on(Side::Graph), BOTH, vec![false, true]),
            ("other path", Fault::new(status.clone()).path("/y"), BOTH, vec![false, false]),
            ("discovery", Fault::new(FaultAction::DiscoveryDown), DOCUMENTS, vec![true, false, false]),
            ("keys", Fault::new(FaultAction::JwksDown), DOCUMENTS, vec![false, true, false]),
        ];
        for (name, fault, requests, expected) in table {
            let mut faults = Faults::default();
            let id = faults.add(fault);
            let hit: Vec<bool> = requests.iter().map(|&(side, path)| faults.pick(side, path).is_some()).collect();
            assert_eq!(hit, expected, "{name}");
            let count = expected.iter().filter(|hit| **hit).count();
            assert_eq!(usize::try_from(faults.hits(id)).unwrap(), count, "{name}");
        }
    }

    #[test]
    fn faults_are_written_in_json_as_the_specification_shows() {
        let text = r#"{"match":{"host":"graph","path":"/v1.0/users*","nth":[3]},
                       "action":{"kind":"status","status":429,"retry_after":"7"},"times":2}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        let same = Fault::new(FaultAction::Status { status: 429, retry_after: Some("7".into()), html: false })
            .on(Side::Graph)
            .path("/v1.0/users*")
            .nth([3])
            .times(2);
        assert_eq!(fault, same);
        assert!(serde_json::from_str::<Fault>(r#"{"action":{"kind":"no_such"}}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"match":{"hots":"graph"},"action":{"kind":"hang"}}"#).is_err());
    }
}
