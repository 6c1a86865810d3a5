//! Every fault that Graph and the token endpoint can have, at every point of a run: nobody is removed by mistake, no change is lost,
//! and the run ends done, or failed with a reason.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use conformance::directory::State;
use conformance::{HostOptions, Synced, history};
use defguard_openid_host::config::LeaverBehavior;
use defguard_openid_host::sandbox::Limits;
use defguard_openid_host::sync::Outcome;
use entra_emulator::seed::{Group, Guid, Member, Outcome as SignInOutcome, Person};
use entra_emulator::{Fault, FaultAction, GoneForm, PageLie, Seed, Side, fixtures};

/// Directories that are read at the same time: the waits of one are the others' turn.
const LANES: usize = 17;
/// Objects on a page.
const PAGE: usize = 3;
/// A token of this age isn't the newest any more: another one may have been given more. Seconds.
const STALE_AFTER_S: i64 = 301;
const PEOPLE: u32 = 14;
const GROUPS: u32 = 8;

/// How a run ends that meets the fault once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// As if nothing had been.
    Done,
    /// Nobody is removed who is there; the run after it has read everything, if anything known wasn't named.
    Later,
    /// At once, with this reason.
    Failed(&'static str),
}

/// A point of a run: the requests of one kind, and which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    /// The request for an access token.
    Token,
    /// A page of everything.
    Full(&'static str, Nth),
    /// A page of what changed.
    Delta(&'static str, Nth),
}

/// Which page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Nth {
    First,
    Middle,
    Last,
}

const USERS: &str = "/v1.0/users/delta";
const GROUPS_PATH: &str = "/v1.0/groups/delta";
const AT_GRAPH: [(&str, Phase); 10] = [
    ("first page of users", Phase::Full(USERS, Nth::First)),
    ("middle page of users", Phase::Full(USERS, Nth::Middle)),
    ("last page of users", Phase::Full(USERS, Nth::Last)),
    ("first page of groups", Phase::Full(GROUPS_PATH, Nth::First)),
    ("middle page of groups", Phase::Full(GROUPS_PATH, Nth::Middle)),
    ("last page of groups", Phase::Full(GROUPS_PATH, Nth::Last)),
    ("delta link of users", Phase::Delta(USERS, Nth::First)),
    ("page with removed users", Phase::Delta(USERS, Nth::Last)),
    ("delta link of groups", Phase::Delta(GROUPS_PATH, Nth::First)),
    ("page with removed groups", Phase::Delta(GROUPS_PATH, Nth::Last)),
];

fn status(status: u16, retry_after: Option<&str>, html: bool) -> FaultAction {
    FaultAction::Status { status, retry_after: retry_after.map(str::to_owned), html }
}

fn graph_error(status: u16, code: &str) -> FaultAction {
    FaultAction::GraphError { status, code: code.into() }
}

fn redirect(location: &str) -> FaultAction {
    FaultAction::Redirect { location: location.into(), status: 302 }
}

/// Those that any HTTP server can have.
fn of_http() -> Vec<(&'static str, FaultAction, Ends)> {
    use FaultAction as Action;
    vec![
        ("429 with seconds", status(429, Some("1"), false), Ends::Done),
        ("429 with a date", Action::RetryAt { status: 429, seconds: 1 }, Ends::Done),
        ("429 with a date in the past", status(429, Some("Wed, 21 Oct 2015 07:28:00 GMT"), false), Ends::Done),
        ("429 without", status(429, None, false), Ends::Done),
        ("429 with a page", status(429, Some("1"), true), Ends::Done),
        ("500", status(500, None, false), Ends::Done),
        ("502 with a page", status(502, None, true), Ends::Done),
        ("503 with a date", Action::RetryAt { status: 503, seconds: 1 }, Ends::Done),
        ("503 with seconds", status(503, Some("1"), false), Ends::Done),
        ("504", status(504, None, false), Ends::Done),
        ("509", status(509, None, false), Ends::Done),
        ("408", status(408, None, false), Ends::Done),
        ("a late answer", Action::Delay { delay_ms: 200 }, Ends::Done),
        ("no answer", Action::Hang, Ends::Done),
        ("one byte at a time", Action::SlowDrip { interval_ms: 100 }, Ends::Done),
        ("a broken connection", Action::Reset, Ends::Done),
        ("cut at once", Action::Truncate { at: 0 }, Ends::Done),
        ("cut in between", Action::Truncate { at: 90 }, Ends::Done),
        ("cut, and the length fits", Action::TruncateQuietly { at: 90 }, Ends::Done),
        ("half JSON", Action::BadJson, Ends::Done),
        ("an HTML page", Action::Html, Ends::Done),
        ("no end of it", Action::BigBody { bytes: 64 << 20 }, Ends::Done),
    ]
}

/// Those of Graph's own.
fn of_graph() -> Vec<(&'static str, FaultAction, Ends)> {
    use FaultAction as Action;
    let lie = |lie| Action::LyingPage { lie };
    let gone = |form| Action::Gone { form };
    vec![
        ("429 for longer than a run", status(429, Some("3600"), false), Ends::Failed("directory_throttled")),
        ("503 for longer than a run", status(503, Some("3600"), false), Ends::Failed("directory_throttled")),
        ("another content type", Action::WrongContentType { content_type: "text/plain".into() }, Ends::Done),
        ("a redirect", redirect("http://localhost:1/v1.0/users/delta"), Ends::Done),
        ("410 and where to begin", gone(GoneForm::WithLocation), Ends::Done),
        ("410 and not where", gone(GoneForm::WithoutLocation), Ends::Done),
        ("410 and to somebody else", gone(GoneForm::ForeignLocation), Ends::Done),
        ("410 as 400", gone(GoneForm::SyncStateNotFound), Ends::Done),
        ("410 in other words", graph_error(410, "SyncStateNotFound"), Ends::Done),
        ("410 as 404", graph_error(404, "resyncRequired"), Ends::Done),
        ("an expired page", Action::ExpiredPageToken, Ends::Done),
        ("an unknown page", Action::PageTokenNotFound, Ends::Done),
        ("an unknown page as 404", graph_error(404, "DirectoryPageTokenNotFoundException"), Ends::Done),
        ("400", graph_error(400, "Request_BadRequest"), Ends::Done),
        ("404", graph_error(404, "Request_ResourceNotFound"), Ends::Done),
        ("the token isn't taken", graph_error(401, "InvalidAuthenticationToken"), Ends::Done),
        ("the token is revoked", Action::TokenRefused, Ends::Done),
        ("the token is of before the consent", Action::StaleRoles, Ends::Done),
        ("not allowed", graph_error(403, "Authorization_RequestDenied"), Ends::Failed("permission_missing")),
        ("another origin", Action::ForeignNextlink { origin: None }, Ends::Done),
        ("a circle", Action::NextlinkLoop, Ends::Done),
        ("no list", lie(PageLie::NoValue), Ends::Done),
        ("an object for a list", lie(PageLie::ValueNotAList), Ends::Done),
        ("a list of other things", lie(PageLie::ItemsOfOtherTypes), Ends::Done),
        ("ids that are none", lie(PageLie::IdsNotGuids), Ends::Done),
        ("half a list and no link", lie(PageLie::EndsEarly), Ends::Done),
        ("a number for a link", lie(PageLie::NextlinkNotText), Ends::Done),
        ("half a link", lie(PageLie::NextlinkNotAUrl), Ends::Done),
        ("200 and an error", lie(PageLie::ErrorInside), Ends::Done),
    ]
}

/// Those of the token endpoint's own.
fn of_tokens() -> Vec<(&'static str, FaultAction, Ends)> {
    let aadsts = |code, error: &str| FaultAction::Aadsts { code, error: error.into(), suberror: None };
    let refused = Ends::Failed("credential_refused");
    vec![
        ("a passing problem of Entra", aadsts(90_033, "temporarily_unavailable"), Ends::Done),
        ("a wrong secret", aadsts(7_000_215, "invalid_client"), refused),
        ("an expired secret", aadsts(7_000_222, "invalid_client"), refused),
        ("no such application", aadsts(700_016, "unauthorized_client"), refused),
        // The host hands no answer over that repeats it.
        ("the secret comes back", FaultAction::EchoSecret, Ends::Done),
    ]
}

/// Graph's last page of a round can keep something back, and nothing shows it. Of everything that is known what isn't named is asked for;
/// of changes no client can know.
fn ends(fault: &FaultAction, phase: Phase, otherwise: Ends) -> Option<Ends> {
    match phase {
        _ if *fault != (FaultAction::LyingPage { lie: PageLie::EndsEarly }) => Some(otherwise),
        Phase::Full(_, Nth::Last) => Some(Ends::Later),
        Phase::Delta(_, Nth::Last) => None,
        _ => Some(otherwise),
    }
}

#[derive(Clone)]
struct Cell {
    name: String,
    action: FaultAction,
    phase: Phase,
    /// The request that it hits, counted from 1.
    nth: u32,
    ends: Ends,
    /// What becomes of leavers.
    behavior: LeaverBehavior,
}

fn table(nth: &HashMap<Phase, u32>) -> Vec<Cell> {
    let mut cells = Vec::new();
    let mut add = |(fault, action, ends): &(&str, FaultAction, Ends), (at, phase): (&str, Phase)| {
        let Some(ends) = self::ends(action, phase, *ends) else { return };
        for behavior in [LeaverBehavior::Keep, LeaverBehavior::Delete] {
            let (name, action) = (format!("{fault}, {at}, {behavior:?}"), action.clone());
            cells.push(Cell { name, action, phase, nth: nth[&phase], ends, behavior });
        }
    };
    // The longest ones first.
    for fault in of_tokens().iter().chain(&of_http()) {
        add(fault, ("access token", Phase::Token));
    }
    for fault in of_http().iter().chain(&of_graph()) {
        for phase in AT_GRAPH {
            add(fault, phase);
        }
    }
    cells
}

fn guid(kind: &str, number: u32) -> Guid {
    Guid::parse(&format!("{kind}-0000-4000-8000-{number:012x}")).unwrap()
}

fn person(number: u32) -> Person {
    let template = history::seed().persons.remove(0);
    Person {
        key: format!("p{number}"),
        oid: guid("30000000", number),
        user_principal_name: format!("p{number}@contoso.example"),
        mail: Some(format!("mail-{number}@contoso.example")),
        ..template
    }
}

/// People, and groups that are a chain with three people each.
fn seed() -> Seed {
    let member = |number: u32| Member::User(guid("30000000", number % PEOPLE));
    let group = |number: u32| Group {
        id: guid("40000000", number),
        tenant: Guid::parse(fixtures::CONTOSO).unwrap(),
        display_name: format!("group {number}"),
        security_enabled: true,
        members: [member(number), member(number + 3), member(number + 6)]
            .into_iter()
            .chain((number > 0).then(|| Member::Group(guid("40000000", number - 1))))
            .collect(),
    };
    Seed { persons: (0..PEOPLE).map(person).collect(), groups: (0..GROUPS).map(group).collect(), ..Seed::demo() }
}

/// Somebody and a group go, others come and change: more than a page of it.
fn change(synced: &Synced) {
    let control = synced.control();
    control.remove_person("p3").unwrap();
    control.remove_person("p4").unwrap();
    control.add_person(person(90)).unwrap();
    for number in 5..9 {
        let mail = Some(format!("other-{number}@contoso.example"));
        control.edit_person(&format!("p{number}"), |person| person.mail = mail).unwrap();
    }
    control.edit_person("p9", |person| person.outcome = SignInOutcome::Disabled).unwrap();
    control.remove_group(guid("40000000", 2).as_str()).unwrap();
    for number in [0, 4, 5, 6] {
        let id = guid("40000000", number);
        let joins = Member::User(guid("30000000", 90));
        control.edit_group(id.as_str(), |group| group.members.push(joins)).unwrap();
    }
    control.edit_group(guid("40000000", 7).as_str(), |group| group.members.clear()).unwrap();
}

/// Brings a lane to the start of the run that is disturbed: everything was read once, and much has changed since.
async fn prepare(synced: &mut Synced, phase: Phase) {
    synced.afresh();
    let control = synced.control();
    control.reset();
    control.edit_graph(|graph| (graph.page_size, graph.members_at_once) = (Some(PAGE), 2));
    synced.done("before").await;
    change(synced);
    match phase {
        Phase::Token => control.revoke_access_tokens(),
        Phase::Delta(..) => {}
        Phase::Full(..) => {
            for path in [USERS, GROUPS_PATH] {
                let gone = Fault::new(graph_error(410, "resyncRequired"));
                control.add_fault(gone.on(Side::Graph).path(path).nth([1]));
            }
        }
    }
    control.clear_requests();
}

/// For each phase the request that it means, counted from 1: from how many a run makes that nothing disturbs.
async fn rehearse(synced: &mut Synced) -> HashMap<Phase, u32> {
    let mut numbers = HashMap::new();
    for phase in AT_GRAPH.into_iter().map(|(_, phase)| phase).chain([Phase::Token]) {
        prepare(synced, phase).await;
        synced.done("rehearsal").await;
        let (side, path) = path(phase);
        let requests = u32::try_from(synced.control().count(side, path)).unwrap();
        numbers.insert(phase, number(phase, requests));
        assert_eq!(phase == Phase::Token, requests == 1, "{phase:?} has {requests} pages");
    }
    numbers
}

fn path(phase: Phase) -> (Side, &'static str) {
    match phase {
        Phase::Token => (Side::Login, "*/token"),
        Phase::Full(path, _) | Phase::Delta(path, _) => (Side::Graph, path),
    }
}

/// The number of the request that the fault hits, counted from 1.
fn number(phase: Phase, of: u32) -> u32 {
    // The first request of a run that reads everything is told to.
    let (first, nth) = match phase {
        Phase::Token => return 1,
        Phase::Full(_, nth) => (2, nth),
        Phase::Delta(_, nth) => (1, nth),
    };
    match nth {
        Nth::First => first,
        Nth::Middle => u32::midpoint(first, of),
        Nth::Last => of,
    }
}

/// What is wrong with it, if anything is.
async fn check(synced: &mut Synced, cell: &Cell) -> Result<(), String> {
    synced.leavers(cell.behavior);
    prepare(synced, cell.phase).await;
    let before = synced.document();
    let mut truth = synced.expected(false);
    if cell.behavior == LeaverBehavior::Keep {
        for (oid, user) in State::of_document(&before).users {
            truth.users.entry(oid).or_insert(user);
        }
    }
    let control = synced.control();
    let (side, path) = path(cell.phase);
    let fault = Fault::new(cell.action.clone()).on(side).path(path).nth([cell.nth]);
    let fault = control.add_fault(fault);
    if cell.action == FaultAction::StaleRoles {
        synced.host.clock.advance(STALE_AFTER_S);
    }
    let report = synced.run().await;
    let found = (report.outcome, report.reason.as_deref());
    let expected = match cell.ends {
        Ends::Done | Ends::Later => (Outcome::Done, None),
        Ends::Failed(reason) => (Outcome::Failed, Some(reason)),
    };
    if control.fault_hits(fault) != 1 {
        return Err(format!("the fault has hit {} requests: {report:?}", control.fault_hits(fault)));
    }
    if found != expected {
        return Err(format!("ends {found:?}, expected {expected:?}: {report:?}"));
    }
    let after = synced.document();
    if cell.ends == Ends::Later {
        nobody_lost(&State::of_document(&before), &State::of_document(&after), &truth)
            .map_err(|error| format!("{error}: {report:?}"))?;
    } else if report.outcome == Outcome::Done {
        compare(&after, &truth).map_err(|error| format!("{error}: {report:?}"))?;
    } else if after != before {
        return Err(format!("it failed, and the document has changed: {report:?}"));
    } else if report.detail.is_none_or(|detail| detail.len() < 20) {
        return Err("it failed, and doesn't say why".into());
    }
    control.clear_faults();
    forget_failed_token(synced, cell).await;
    let report = synced.run().await;
    if report.outcome != Outcome::Done {
        return Err(format!("the next run isn't done: {report:?}"));
    }
    let mut found = synced.state();
    if cell.ends == Ends::Later {
        // A newcomer who isn't named isn't missed: they come once everything is read.
        for state in [&mut found, &mut truth] {
            without_newcomers(state, &State::of_document(&before));
        }
    }
    same(&found, &truth).map_err(|error| format!("after the next run: {error}"))
}

fn without_newcomers(state: &mut State, before: &State) {
    state.users.retain(|oid, _| before.users.contains_key(oid));
    for members in state.groups.values_mut() {
        members.retain(|oid| before.users.contains_key(oid));
    }
}

/// A refused credential isn't sent again for a moment. Another plugin instance's cache would know nothing of it; ours waits.
async fn forget_failed_token(synced: &Synced, cell: &Cell) {
    let is_kept = cell.phase == Phase::Token && cell.ends != Ends::Done;
    while is_kept && synced.run().await.outcome != Outcome::Done {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// Whether all that was there and still is has been removed nowhere.
fn nobody_lost(before: &State, after: &State, truth: &State) -> Result<(), String> {
    let users = before.users.keys().filter(|oid| truth.users.contains_key(*oid));
    let lost: Vec<_> = users.filter(|oid| !after.users.contains_key(*oid)).collect();
    let stay = before.groups.iter().filter_map(|(id, members)| Some((id, members & truth.groups.get(id)?)));
    let left: Vec<_> = stay
        .map(|(id, members)| (id, &members - after.groups.get(id).unwrap_or(&std::collections::BTreeSet::new())))
        .filter(|(id, left)| !left.is_empty() || !after.groups.contains_key(*id))
        .collect();
    if lost.is_empty() && left.is_empty() { Ok(()) } else { Err(format!("removed: {lost:?}, from groups: {left:?}")) }
}

fn compare(document: &[u8], truth: &State) -> Result<(), String> {
    same(&State::of_document(document), truth)
}

fn same(found: &State, truth: &State) -> Result<(), String> {
    for (what, same) in [
        ("users", found.users == truth.users),
        ("groups", found.names == truth.names),
        ("members", found.groups == truth.groups),
    ] {
        if !same {
            return Err(format!("other {what} than the directory has: {found:?} instead of {truth:?}"));
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_at_every_point_of_a_run() {
    let settings = [("directory.max_removal_percent", "100"), ("directory.max_removals", "1000000")];
    // Graph's answers here are small and come at once: whoever waits a second has met a fault.
    let limits = Limits { http_timeout: std::time::Duration::from_secs(1), ..HostOptions::default().limits };
    let options = HostOptions { limits, ..HostOptions::default() };
    let mut lanes = Synced::several((0..LANES).map(|_| seed()).collect(), &settings, options).await;
    let mut cells = table(&rehearse(&mut lanes[0]).await);
    let all = cells.len();
    cells.reverse();
    // These move the clock, which all lanes have in common.
    let alone: Vec<Cell> = cells.extract_if(.., |cell| cell.action == FaultAction::StaleRoles).collect();
    let cells = Arc::new(Mutex::new(cells));
    let mut running = tokio::task::JoinSet::new();
    for mut lane in lanes.split_off(1) {
        let cells = Arc::clone(&cells);
        running.spawn(async move {
            let mut wrong = Vec::new();
            loop {
                let Some(cell) = cells.lock().unwrap().pop() else { return wrong };
                wrong.extend(check(&mut lane, &cell).await.err().map(|error| format!("{}: {error}", cell.name)));
            }
        });
    }
    let mut wrong: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    for cell in alone {
        wrong.extend(check(&mut lanes[0], &cell).await.err().map(|error| format!("{}: {error}", cell.name)));
    }
    assert!(wrong.is_empty(), "{} of {all} cells:\n{}", wrong.len(), wrong.join("\n"));
    assert!(all > 1000, "{all} cells");
}
