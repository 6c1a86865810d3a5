//! Injected faults: which requests they hit and what happens to those. `fault_actions` carries them out.

use serde::{Deserialize, Serialize};

/// Which requests a fault hits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultMatch {
    /// One method, upper case; empty: every method.
    pub method: String,
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
    /// A fault for every request, until removed.
    pub fn new(action: FaultAction) -> Self {
        Self { matching: FaultMatch::default(), action, times: None }
    }

    /// Only for this method and for paths that fit the glob.
    #[must_use]
    pub fn on(mut self, method: impl Into<String>, glob: impl Into<String>) -> Self {
        self.matching.method = method.into();
        self.matching.path = glob.into();
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

    /// At most this often; afterwards the route works.
    #[must_use]
    pub fn times(mut self, count: u32) -> Self {
        self.times = Some(count);
        self
    }

    fn concerns(&self, method: &str, path: &str) -> bool {
        (self.matching.method.is_empty() || self.matching.method == method)
            && (self.matching.path.is_empty() || glob_matches(&self.matching.path, path))
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultAction {
    /// Nothing is done, and this is the answer.
    Status {
        /// The HTTP status.
        status: u16,
        /// The body; without one `{"msg": <the status's name>}`.
        #[serde(default)]
        body: Option<String>,
        /// The `Retry-After` header.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The work is done and answered later. Not at all if the client leaves before.
    Delay {
        /// Milliseconds of real time.
        delay_ms: u64,
    },
    /// The work is done at once, and answered later.
    LateAnswer {
        /// Milliseconds of real time.
        delay_ms: u64,
    },
    /// Nothing is done, and there is no answer until the client leaves.
    Hang,
    /// Nothing is done, and the connection is reset.
    Reset,
    /// The work is done, and this is the answer all the same, with Core's own body for a failure.
    DoneBut {
        /// The HTTP status.
        status: u16,
    },
    /// The work is done, and the connection is reset.
    DoneThenReset,
    /// The work is done, and there is no answer until the client leaves.
    DoneThenHang,
    /// The work is done; the genuine answer has its whole length announced and is cut after `at` bytes.
    Truncate {
        /// How many bytes of the body arrive.
        at: usize,
    },
    /// The work is done; status as genuine and JSON that breaks off.
    BadJson,
    /// Nothing is done; an HTML page, as of a reverse proxy or a login portal.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// Nothing is done; a redirect, as of a reverse proxy.
    Redirect {
        /// The `Location` header.
        location: String,
    },
    /// Nothing is done; status 200 and a JSON body of this size, streamed without announcing the length.
    BigBody {
        /// How many bytes.
        bytes: u64,
    },
    /// The work is done; the genuine answer, one byte at a time.
    SlowDrip {
        /// Milliseconds of real time before each byte.
        interval_ms: u64,
    },
}

impl FaultAction {
    /// This status with Core's own body for it.
    pub fn status(status: u16) -> Self {
        Self::Status { status, body: None, retry_after: None }
    }

    /// This status and body.
    pub fn answer(status: u16, body: impl Into<String>) -> Self {
        Self::Status { status, body: Some(body.into()), retry_after: None }
    }

    /// The action's name in JSON, for the request log.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Delay { .. } => "delay",
            Self::LateAnswer { .. } => "late_answer",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::DoneBut { .. } => "done_but",
            Self::DoneThenReset => "done_then_reset",
            Self::DoneThenHang => "done_then_hang",
            Self::Truncate { .. } => "truncate",
            Self::BadJson => "bad_json",
            Self::Html { .. } => "html",
            Self::Redirect { .. } => "redirect",
            Self::BigBody { .. } => "big_body",
            Self::SlowDrip { .. } => "slow_drip",
        }
    }
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
    pub(crate) fn pick(&mut self, method: &str, path: &str) -> Option<FaultAction> {
        let mut chosen = None;
        for active in &mut self.active {
            if !active.fault.concerns(method, path) {
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
            ("exact", "/api/v1/user", "/api/v1/user", true),
            ("exact, longer", "/api/v1/user", "/api/v1/user/ada", false),
            ("star at the end", "/api/v1/user/*", "/api/v1/user/ada/start_desktop", true),
            ("star in the middle", "/*/start_*", "/api/v1/user/ada/start_desktop", true),
            ("all", "*", "/anything", true),
            ("pieces may not overlap", "/ab*ba", "/aba", false),
        ];
        for (name, glob, path, expected) in table {
            assert_eq!(glob_matches(glob, path), expected, "{name}");
        }
    }

    #[test]
    fn a_fault_hits_the_requests_it_names_and_no_more() {
        let failure = FaultAction::status(500);
        let create = [("POST", "/api/v1/user"), ("POST", "/api/v1/user"), ("GET", "/api/v1/user")];
        let table = [
            ("always", Fault::new(failure.clone()), [true, true, true]),
            ("one method", Fault::new(failure.clone()).on("POST", "/api/v1/user"), [true, true, false]),
            ("fails once, then works", Fault::new(failure.clone()).times(1), [true, false, false]),
            ("the second", Fault::new(failure.clone()).nth([2]), [false, true, false]),
            ("another path", Fault::new(failure).path("/api/v1/group*"), [false, false, false]),
        ];
        for (name, fault, expected) in table {
            let mut faults = Faults::default();
            let id = faults.add(fault);
            assert_eq!(create.map(|(method, path)| faults.pick(method, path).is_some()), expected, "{name}");
            let count = expected.iter().filter(|hit| **hit).count();
            assert_eq!(usize::try_from(faults.hits(id)).unwrap(), count, "{name}");
        }
    }

    #[test]
    fn faults_are_written_in_json() {
        let text = r#"{"match":{"method":"POST","path":"/api/v1/user","nth":[3]},
                       "action":{"kind":"done_but","status":500},"times":2}"#;
        let fault: Fault = serde_json::from_str(text).unwrap();
        let same = Fault::new(FaultAction::DoneBut { status: 500 }).on("POST", "/api/v1/user").nth([3]).times(2);
        assert_eq!(fault, same);
        assert!(serde_json::from_str::<Fault>(r#"{"action":{"kind":"no_such"}}"#).is_err());
        assert!(serde_json::from_str::<Fault>(r#"{"match":{"pth":"/x"},"action":{"kind":"hang"}}"#).is_err());
    }
}
