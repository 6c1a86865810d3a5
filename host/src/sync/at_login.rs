//! What the directory says of whoever signs in right now. Two words keep them out: disabled, and nobody there. Everything else, a
//! directory that is slow, silent or forbids it most of all, lets a good sign-in go on, and is told. What was learned is handed on
//! to whoever brings the person's memberships up to date.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::epoch::Epoch;
use super::oid::Oid;
use crate::capability::TraceId;
use crate::config::ProviderId;
use crate::handover::Words;
use crate::metrics::DirectoryMetrics;
use crate::sandbox::CallError;
use crate::sandbox::bindings::exports::defguard::openid::directory::{Failure, Memberships, PersonState};
use crate::sandbox::bindings::exports::defguard::openid::login::{Check, Verdict};

/// The check's name in traces and audit records.
pub const CHECK: &str = "directory.login_check";
/// The most groups of one person (`wit/directory.wit`).
const MAX_GROUPS: usize = 20_000;
/// How many people may wait for the receiver: what comes then is dropped, and the next run of the synchronisation has it.
const WAITING: usize = 256;
/// How often one provider's trouble is worth a line in the log.
const WARNED_EACH: Duration = Duration::from_secs(60);
/// The outcome of what was never asked.
const NOT_IN_DIRECTORY: &str = "not_in_directory";
/// The longest detail of a check, in bytes.
const DETAIL_BYTES: usize = 512;

/// What the component answered.
pub type Answer = Result<Result<Option<PersonState>, Failure>, CallError>;

/// The directory's word against a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Barred {
    /// `accountEnabled` is false.
    #[error("the account is disabled in the directory")]
    Disabled,
    /// Nobody has the object id (any more).
    #[error("the directory has nobody of this object id (any more)")]
    Missing,
}

impl Barred {
    /// Both.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 2] = [Self::Disabled, Self::Missing];

    /// The row of the table (docs/refusals.md).
    pub fn words(self) -> Words {
        let row = |code, message, retry_helps, hint| Words { code, status: 403, message, hint, retry_helps };
        match self {
            Self::Disabled => row(
                "directory_account_disabled",
                "Your account is disabled or locked. Please ask your administrator.",
                false,
                "The provider signed the person in, and its directory says that the account is disabled: enable it there if \
                 that is over, which may take some minutes to show.",
            ),
            Self::Missing => row(
                "directory_account_missing",
                "Your account isn't in your organisation's directory. Please ask your administrator.",
                true,
                "The provider signed the person in, and its directory has nobody of this object id: deleted in this moment, or \
                 made so recently that the directory doesn't show it everywhere yet.",
            ),
        }
    }
}

/// The groups that somebody was seen in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenGroups {
    /// All of them, nested ones included.
    Known(Vec<Oid>),
    /// They aren't known, which never means none.
    Unknown,
}

/// Somebody as the directory had them when they signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonSeen {
    /// Whose directory.
    pub provider: ProviderId,
    /// The object id.
    pub object_id: Oid,
    /// Whether the account is enabled; `None`: unsaid.
    pub enabled: Option<bool>,
    /// Their groups.
    pub groups: SeenGroups,
    /// When the directory was asked, as runs count; `None`: nobody knows.
    pub epoch: Option<Epoch>,
}

/// What became of the question.
#[derive(Debug)]
pub struct Weighed {
    /// For metrics: stable.
    pub outcome: &'static str,
    /// For the trace and the audit record.
    pub check: Check,
    /// What keeps the person out.
    pub barred: Option<Barred>,
    /// What was learned.
    pub seen: Option<PersonSeen>,
}

impl Weighed {
    fn new(outcome: &'static str, verdict: Verdict, detail: &str) -> Self {
        let end = detail.floor_char_boundary(DETAIL_BYTES);
        let detail = detail.get(..end).unwrap_or_default().to_owned();
        Self { outcome, check: Check { name: CHECK.into(), verdict, detail }, barred: None, seen: None }
    }

    /// Whoever it is, they are in no directory: personal accounts, and identities without an object id.
    pub fn not_in_directory() -> Self {
        Self::new(NOT_IN_DIRECTORY, Verdict::Skip, "the account isn't one of a directory: nobody was asked")
    }

    fn barred(outcome: &'static str, barred: Barred) -> Self {
        Self { barred: Some(barred), ..Self::new(outcome, Verdict::Fail, &barred.to_string()) }
    }

    /// Whether the administrator should know: the directory couldn't be asked.
    fn is_trouble(&self) -> bool {
        self.check.verdict == Verdict::Skip && self.outcome != NOT_IN_DIRECTORY
    }
}

/// What follows from an answer about `object_id`.
pub fn weigh(provider: &ProviderId, object_id: &str, answer: Answer) -> Weighed {
    let skip = |outcome, detail: &str| Weighed::new(outcome, Verdict::Skip, detail);
    let state = match answer {
        Ok(Ok(Some(state))) => state,
        Ok(Ok(None)) => return Weighed::barred("missing", Barred::Missing),
        Ok(Err(failure)) => {
            let (outcome, detail) = of_failure(failure);
            return skip(outcome, &detail);
        }
        Err(error @ CallError::Timeout(_)) => return skip("slow", &error.to_string()),
        Err(error) => return skip("plugin_failed", &error.to_string()),
    };
    let (Some(number), Some(groups)) = (Oid::parse(object_id), seen_groups(&state.groups)) else {
        return skip("malformed", "the component's answer breaks the contract");
    };
    let enabled = state.enabled;
    let seen = PersonSeen { provider: provider.clone(), object_id: number, enabled, groups, epoch: None };
    let weighed = match enabled {
        Some(false) => Weighed::barred("disabled", Barred::Disabled),
        Some(true) => Weighed::new("enabled", Verdict::Pass, &told(&state)),
        None => skip(
            "unsaid",
            "the directory doesn't say whether the account is enabled: the application permission User.Read.All may be missing",
        ),
    };
    Weighed { seen: Some(seen), ..weighed }
}

fn of_failure(failure: Failure) -> (&'static str, String) {
    match failure {
        Failure::Misconfigured(reason) => ("misconfigured", reason),
        Failure::Denied(denial) => {
            let (detail, permission) = (denial.detail, denial.permission);
            ("denied", format!("{detail}: the application permission {permission} is missing"))
        }
        Failure::Credential((detail, hint)) => ("credential", format!("{detail}. {hint}")),
        Failure::Retry(setback) => ("unavailable", setback.detail),
        Failure::Malformed(reason) | Failure::CursorInvalid(reason) => ("malformed", reason),
    }
}

/// `None`: not what the contract allows.
fn seen_groups(groups: &Memberships) -> Option<SeenGroups> {
    match groups {
        Memberships::Known(ids) if ids.len() > MAX_GROUPS => None,
        Memberships::Known(ids) => {
            ids.iter().map(|id| Oid::parse(id)).collect::<Option<Vec<_>>>().map(SeenGroups::Known)
        }
        Memberships::Unknown(_) => Some(SeenGroups::Unknown),
    }
}

fn told(state: &PersonState) -> String {
    let kind = match state.guest {
        Some(true) => "enabled, a guest",
        _ => "enabled",
    };
    match &state.groups {
        Memberships::Known(groups) => format!("{kind}, in {} groups", groups.len()),
        Memberships::Unknown(reason) => format!("{kind}; groups unknown: {reason}"),
    }
}

/// What all sign-ins' questions share: the way to the receiver, the counts, and when the log was last told.
pub struct AtLogin {
    receiver: Mutex<Option<mpsc::Sender<PersonSeen>>>,
    warned: Mutex<BTreeMap<ProviderId, Warned>>,
    metrics: DirectoryMetrics,
}

/// When a provider's trouble was last told, and how often it wasn't since.
struct Warned {
    at: Instant,
    untold: u64,
}

impl AtLogin {
    /// Nobody receives yet.
    pub fn new(metrics: DirectoryMetrics) -> Self {
        Self { receiver: Mutex::default(), warned: Mutex::default(), metrics }
    }

    /// From now on what sign-ins learn goes there, and to no earlier receiver.
    pub fn receive(&self) -> mpsc::Receiver<PersonSeen> {
        let (sender, receiver) = mpsc::channel(WAITING);
        *locked(&self.receiver) = Some(sender);
        receiver
    }

    /// Hands on what was learned; never waits. Without a receiver, or with one that can't follow, it is dropped.
    pub fn hand_on(&self, seen: PersonSeen) {
        let mut receiver = locked(&self.receiver);
        let Some(sender) = receiver.as_ref() else { return };
        match sender.try_send(seen) {
            Ok(()) => {}
            Err(TrySendError::Full(seen)) => self.metrics.dropped(&seen.provider),
            Err(TrySendError::Closed(_)) => *receiver = None,
        }
    }

    /// Counts a question, and has the log say that it went without an answer: at most once a minute for each provider.
    pub fn tell(&self, provider: &ProviderId, trace: &TraceId, weighed: &Weighed) {
        self.metrics.login_check(provider, weighed.outcome);
        if let Some(untold) = weighed.is_trouble().then(|| self.due(provider, Instant::now())).flatten() {
            let (outcome, reason) = (weighed.outcome, weighed.check.detail.as_str());
            tracing::warn!(
                %provider, %trace, outcome, reason, untold,
                "the directory gave no word on a sign-in, which goes on without"
            );
        }
    }

    /// How often it wasn't told since the last time; `None`: it isn't time yet.
    fn due(&self, provider: &ProviderId, now: Instant) -> Option<u64> {
        let mut warned = locked(&self.warned);
        match warned.get_mut(provider) {
            Some(last) if now.saturating_duration_since(last.at) < WARNED_EACH => {
                last.untold += 1;
                None
            }
            last => {
                let untold = last.map_or(0, |last| last.untold);
                warned.insert(provider.clone(), Warned { at: now, untold: 0 });
                Some(untold)
            }
        }
    }
}

/// What is in there is whole whatever its last user did.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Provider;
    use crate::metrics::Metrics;
    use crate::sandbox::bindings::exports::defguard::openid::directory::{Collection, Denial, Setback};

    const ADA: &str = "00000000-0000-4000-8000-00000000ada0";
    const VPN: &str = "44444444-4444-4444-8444-000000000001";

    fn provider() -> ProviderId {
        ProviderId::parse("entra").unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "the form of an answer")]
    fn state(enabled: Option<bool>, groups: Memberships) -> Answer {
        Ok(Ok(Some(PersonState { enabled, guest: Some(false), groups })))
    }

    fn known(groups: &[&str]) -> Memberships {
        Memberships::Known(groups.iter().map(|&group| group.to_owned()).collect())
    }

    fn unknown() -> Memberships {
        Memberships::Unknown("slow".into())
    }

    #[test]
    fn two_words_keep_somebody_out_and_nothing_else_does() {
        type Row = (&'static str, Answer, &'static str, Verdict, Option<Barred>, bool);

        let denial = Denial {
            collection: Collection::Users,
            permission: "User.Read.All".into(),
            detail: "403".into(),
            hint: String::new(),
        };
        let retry = Setback { wait_ms: 9, detail: "status 503".into(), requests: 1 };
        let long = Failure::Malformed("\u{e9}".repeat(2000));
        let (yes, no) = (Some(true), Some(false));
        #[rustfmt::skip]
        let table: Vec<Row> = vec![
            ("enabled", state(yes, known(&[VPN])), "enabled", Verdict::Pass, None, true),
            ("enabled, groups unknown", state(yes, unknown()), "enabled", Verdict::Pass, None, true),
            ("disabled", state(no, known(&[])), "disabled", Verdict::Fail, Some(Barred::Disabled), true),
            ("disabled, groups unknown", state(no, unknown()), "disabled", Verdict::Fail, Some(Barred::Disabled), true),
            ("unsaid", state(None, known(&[])), "unsaid", Verdict::Skip, None, true),
            ("nobody", Ok(Ok(None)), "missing", Verdict::Fail, Some(Barred::Missing), false),
            ("a permission", Ok(Err(Failure::Denied(denial))), "denied", Verdict::Skip, None, false),
            ("it passes", Ok(Err(Failure::Retry(retry))), "unavailable", Verdict::Skip, None, false),
            ("the credential", Ok(Err(Failure::Credential(("no".into(), "new".into())))), "credential", Verdict::Skip, None, false),
            ("two tenants", Ok(Err(Failure::Misconfigured("two".into()))), "misconfigured", Verdict::Skip, None, false),
            ("nonsense", Ok(Err(long)), "malformed", Verdict::Skip, None, false),
            ("too slow", Err(CallError::Timeout(Duration::from_secs(1))), "slow", Verdict::Skip, None, false),
            ("a trap", Err(CallError::Trap("unreachable".into())), "plugin_failed", Verdict::Skip, None, false),
            ("busy", Err(CallError::Busy(1)), "plugin_failed", Verdict::Skip, None, false),
            ("a group that is none, of somebody disabled", state(no, known(&["vpn"])), "malformed", Verdict::Skip, None, false),
            ("too many groups", state(yes, known(&[VPN; 20_001])), "malformed", Verdict::Skip, None, false),
        ];
        for (name, answer, outcome, verdict, barred, is_seen) in table {
            let weighed = weigh(&provider(), ADA, answer);
            let check = &weighed.check;
            assert_eq!((weighed.outcome, check.verdict, weighed.barred), (outcome, verdict, barred), "{name}");
            assert_eq!(weighed.seen.is_some(), is_seen, "{name}");
            assert_eq!(weighed.is_trouble(), verdict == Verdict::Skip, "{name}");
            assert!((1..=DETAIL_BYTES).contains(&check.detail.len()), "{name}: {check:?}");
        }
    }

    #[test]
    fn whom_no_directory_has_is_nobodys_trouble() {
        let weighed = Weighed::not_in_directory();
        assert_eq!((weighed.check.verdict, weighed.barred, weighed.is_trouble()), (Verdict::Skip, None, false));
        assert!(weighed.seen.is_none());
    }

    #[test]
    fn unknown_groups_are_never_none() {
        for (groups, expected) in [
            (unknown(), SeenGroups::Unknown),
            (known(&[]), SeenGroups::Known(Vec::new())),
            (known(&[VPN]), SeenGroups::Known(vec![Oid::parse(VPN).unwrap()])),
        ] {
            let seen = weigh(&provider(), ADA, state(Some(true), groups)).seen.unwrap();
            assert_eq!((seen.object_id, seen.groups), (Oid::parse(ADA).unwrap(), expected));
        }
    }

    fn at_login() -> (Metrics, AtLogin) {
        let none: &[Provider] = &[];
        let metrics = Metrics::new(none);
        let at_login = AtLogin::new(metrics.directory());
        (metrics, at_login)
    }

    fn seen(number: u128) -> PersonSeen {
        PersonSeen {
            provider: provider(),
            object_id: Oid(number),
            enabled: Some(true),
            groups: SeenGroups::Unknown,
            epoch: None,
        }
    }

    fn dropped(metrics: &Metrics) -> Option<String> {
        let text = metrics.text().unwrap();
        let row = text.lines().find(|line| line.starts_with("defguard_openid_directory_people_dropped_total{"));
        row.and_then(|row| row.rsplit(' ').next()).map(str::to_owned)
    }

    #[test]
    fn what_is_learned_goes_to_the_receiver_and_waits_for_nobody() {
        let (metrics, at_login) = at_login();
        at_login.hand_on(seen(0));
        let mut first = at_login.receive();
        assert!(first.try_recv().is_err(), "what came before is kept for nobody");
        for number in 0..WAITING as u128 + 3 {
            at_login.hand_on(seen(number));
        }
        assert_eq!(dropped(&metrics).as_deref(), Some("3"));
        assert_eq!((first.len(), first.try_recv().unwrap()), (WAITING, seen(0)));
        drop(first);
        at_login.hand_on(seen(7));
        assert!(locked(&at_login.receiver).is_none(), "a receiver that has gone is forgotten");
        let (mut second, mut third) = (at_login.receive(), at_login.receive());
        at_login.hand_on(seen(8));
        assert_eq!((second.try_recv().ok(), third.try_recv().ok()), (None, Some(seen(8))));
        assert_eq!(dropped(&metrics).as_deref(), Some("3"));
    }

    #[test]
    fn the_log_is_told_once_a_minute_of_each_provider() {
        let (_, at_login) = at_login();
        let (start, other) = (Instant::now(), ProviderId::parse("other").unwrap());
        let after = |seconds| start + Duration::from_secs(seconds);
        for (name, provider, seconds, expected) in [
            ("the first", provider(), 0, Some(0)),
            ("at once again", provider(), 0, None),
            ("another provider", other.clone(), 1, Some(0)),
            ("within the minute", provider(), 59, None),
            ("after it", provider(), 60, Some(2)),
            ("again", provider(), 61, None),
            ("much later", provider(), 600, Some(1)),
            ("the other one", other, 600, Some(0)),
        ] {
            assert_eq!(at_login.due(&provider, after(seconds)), expected, "{name}");
        }
    }

    #[test]
    fn every_code_has_its_row() {
        const DOCUMENT: &str = include_str!("../../../docs/refusals.md");
        for barred in Barred::ALL {
            let words = barred.words();
            let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{}` |", words.code)));
            let row = row.unwrap_or_else(|| panic!("docs/refusals.md has no row for {}", words.code));
            assert!(row.contains(&format!("| {} |", words.status)), "{row}");
            assert!(words.message.ends_with('.') && words.hint.len() > 40, "{}", words.code);
        }
    }
}
