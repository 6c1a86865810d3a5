//! What directory synchronisation asks of Core, of both generations, with answers that are lost and others who change things
//! in the same moment.

use std::time::Duration;

use serde_json::{Value, json};

use super::fake::{FakeCore, Fault, World};
use super::*;
use crate::metrics::CoreMetrics;

const BOTH: [Generation; 2] = [Generation::V1, Generation::V2];
/// A name that would be many things in a path.
const ODD: &str = " a b/../c?d#e%2ff+g\\h\"ü;1";

fn budget() -> Budget {
    Budget::new(Duration::from_secs(20))
}

fn client(core: &FakeCore) -> CoreClient {
    let settings = CoreSettings { call_timeout: Duration::from_millis(1500), ..core.settings() };
    CoreClient::new(&settings, CoreMetrics::default()).unwrap()
}

async fn crowd(generation: Generation) -> FakeCore {
    let core = FakeCore::start(generation).await;
    for number in 0..250 {
        core.add(&format!("user{number}"), &format!("user{number}@a.example"), json!({}));
    }
    core
}

/// Ada, who is in staff, and Bob, in a Core with an administrators' group.
async fn staff(generation: Generation) -> FakeCore {
    let core = FakeCore::start(generation).await;
    core.add("ada", "ada@a.example", json!({ "phone": "123", "enrolled": true, "new_member": { "of": [2.5] } }));
    core.add("bob", "bob@a.example", json!({}));
    core.add_group("admin", true, &[]);
    core.add_group("staff", false, &["ada"]);
    core
}

async fn group(client: &CoreClient, name: &str) -> Group {
    let groups = client.groups(budget()).await.unwrap();
    groups.into_iter().find(|group| group.name == name).unwrap_or_else(|| panic!("no group {name}"))
}

#[tokio::test]
async fn everybody_of_both_generations() {
    for generation in BOTH {
        let core = crowd(generation).await;
        core.add_group("staff", false, &["user7", "user249"]);
        core.add_group("vpn", false, &["user7"]);
        core.edit("user7", json!({ "phone": "123", "is_active": false }));
        let client = client(&core);
        let users = client.users(budget()).await.unwrap();
        assert_eq!(core.calls().len(), if generation == Generation::V1 { 1 } else { 3 }, "{generation:?}");
        let numbers: Vec<i64> = users.iter().map(|user| user.id).collect();
        assert_eq!(numbers, (1..=250).collect::<Vec<_>>(), "{generation:?}");
        let seven = &users[7];
        assert_eq!((seven.username.as_str(), seven.phone.as_deref(), seven.is_active), ("user7", Some("123"), false));
        assert_eq!((&seven.groups[..], users[249].groups.len()), (&["staff".to_owned(), "vpn".to_owned()][..], 1));
        assert_eq!(client.users(budget()).await.unwrap(), users, "{generation:?}: and again");
    }
    let nobody = FakeCore::start(Generation::V2).await;
    assert_eq!(client(&nobody).users(budget()).await.unwrap(), []);
}

#[tokio::test]
async fn pages_that_shift_are_read_again() {
    type Change = fn(&mut World);
    let table: [(&str, Change, usize); 4] = [
        ("one goes who was read", |world| world.delete("user3"), 249),
        ("one goes who wasn't", |world| world.delete("user249"), 249),
        ("one comes", World::newcomer, 251),
        ("they stand in another order", World::reorder, 250),
    ];
    for (name, change, expected) in table {
        let core = crowd(Generation::V2).await;
        core.once("GET user", Fault::Late(Duration::ZERO));
        core.once("GET user", Fault::Meanwhile(change));
        let users = client(&core).users(budget()).await.unwrap();
        assert_eq!(users.len(), expected, "{name}");
        assert!(users.windows(2).all(|pair| pair[0].id < pair[1].id), "{name}: nobody twice");
        assert!((5..=6).contains(&core.calls().len()), "{name}: two looks");
    }
    let core = crowd(Generation::V2).await;
    core.always(Some(("GET user", Fault::Meanwhile(World::newcomer))));
    let error = client(&core).users(budget()).await.unwrap_err();
    assert!(matches!(&error.failure, Failure::Conflict(reason) if reason.contains("3 times")), "{error}");
}

#[tokio::test]
async fn lists_without_end_or_number_are_refused() {
    let endless = r#"{"data":[],"pagination":{"total_pages":20001,"total_items":2000001}}"#;
    let unnumbered = r#"{"data":[],"pagination":{"total_pages":2}}"#;
    for (name, answer, words) in [("endless", endless, "more than 20000"), ("unnumbered", unnumbered, "how many users")]
    {
        let core = FakeCore::start(Generation::V2).await;
        core.always(Some(("GET user", Fault::Answer(200, answer))));
        let error = client(&core).users(budget()).await.unwrap_err();
        assert!(matches!(&error.failure, Failure::Malformed(reason) if reason.contains(words)), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_state_changes_and_nothing_else() {
    for generation in BOTH {
        let core = staff(generation).await;
        let client = client(&core);
        let before = core.user("ada");
        for (is_active, change, calls) in [
            (true, StateChange::Unchanged, &["GET user/ada"][..]),
            (false, StateChange::Changed, &["GET user/ada", "PUT user/ada", "GET user/ada"]),
            (false, StateChange::Unchanged, &["GET user/ada"]),
            (true, StateChange::Changed, &["GET user/ada", "PUT user/ada", "GET user/ada"]),
        ] {
            let found = client.set_active(1, "ada", is_active, budget()).await.unwrap();
            assert_eq!((found, core.calls().as_slice()), (change, calls.map_owned().as_slice()), "{generation:?}");
            let mut expected = before.clone();
            expected["is_active"] = Value::Bool(is_active);
            assert_eq!(core.user("ada"), expected, "{generation:?}: members that nobody here knows are kept too");
        }
    }
}

/// For comparisons with what the fake gives.
trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|text| (*text).to_owned()).collect()
    }
}

#[tokio::test]
async fn a_state_meets_others_changes_and_lost_answers() {
    use StateChange::{Changed, Disturbed};
    type Faults = Vec<(&'static str, Fault)>;
    type Ended = Result<StateChange, &'static str>;
    let late = || Fault::Late(Duration::ZERO);
    // name, faults, how it ended, whether Ada is active, the calls
    let table: [(&str, Faults, Ended, bool, usize); 10] = [
        ("done, and a 500", vec![("PUT", Fault::DoneBut(500))], Ok(Changed), false, 3),
        ("done, and nothing is heard", vec![("PUT", Fault::DoneThenSilence)], Ok(Changed), false, 3),
        ("not done, and a 500", vec![("PUT", Fault::Answer(500, "{}"))], Err("fails with 500"), true, 3),
        ("not done, and nothing is heard", vec![("PUT", Fault::Silence)], Err("within 1500 ms"), true, 3),
        (
            "refused: it is this host's own account",
            vec![("PUT", Fault::Answer(400, "{}"))],
            Err("answers 400"),
            true,
            2,
        ),
        (
            "done, lost, and then it is away",
            vec![("PUT", Fault::DoneBut(502)), ("GET", late()), ("GET", Fault::Answer(503, "{}"))],
            Err("fails with 502"),
            false,
            3,
        ),
        (
            "somebody puts her into a group in between",
            vec![("PUT", Fault::Meanwhile(|world| world.join("ada", "admin")))],
            Ok(Disturbed),
            false,
            5,
        ),
        (
            "somebody changes her afterwards",
            vec![("GET", late()), ("GET", Fault::Meanwhile(|world| world.edit("ada", json!({ "phone": "new" }))))],
            Ok(Changed),
            false,
            3,
        ),
        (
            "somebody enables her afterwards",
            vec![("GET", late()), ("GET", Fault::Meanwhile(|world| world.edit("ada", json!({ "is_active": true }))))],
            Ok(Disturbed),
            false,
            5,
        ),
        (
            "she is deleted in between",
            vec![("PUT", Fault::Meanwhile(|world| world.delete("ada")))],
            Err("no such user"),
            true,
            2,
        ),
    ];
    for (name, faults, expected, is_active, calls) in table {
        let core = staff(Generation::V2).await;
        for (method, fault) in faults {
            core.once(&format!("{method} user/ada"), fault);
        }
        let client = client(&core);
        let found = client.set_active(1, "ada", false, budget()).await;
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{name}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{name}: {error}"),
            _ => panic!("{name}: {found:?}"),
        }
        assert_eq!(core.calls().len(), calls, "{name}");
        let user = core.user("ada");
        if user.is_null() {
            continue;
        }
        assert_eq!(user["is_active"], is_active, "{name}");
        assert_eq!(user["phone"], if name.contains("changes her") { "new" } else { "123" }, "{name}");
        // Who tries again ends well, and at what was wanted.
        client.set_active(1, "ada", false, budget()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(core.user("ada")["is_active"], false, "{name}: again");
    }
    let core = staff(Generation::V1).await;
    core.always(Some(("PUT user/ada", Fault::Meanwhile(|world| world.join("ada", "admin")))));
    let error = client(&core).set_active(1, "ada", false, budget()).await.unwrap_err();
    assert!(matches!(&error.failure, Failure::Conflict(reason) if reason.contains("\"ada\"")), "{error}");
}

#[tokio::test]
async fn a_name_that_is_somebody_else_s_by_now_is_left_alone() {
    for generation in BOTH {
        let core = staff(generation).await;
        let client = client(&core);
        // Ada, number 1, is called lovelace now, and her name is number 3's.
        core.edit("ada", json!({ "username": "lovelace" }));
        core.add("ada", "other@a.example", json!({}));
        let error = client.set_active(1, "ada", false, budget()).await.unwrap_err();
        assert!(matches!(error.failure, Failure::NotFound(_)), "{generation:?}: {error}");
        assert!(core.user("ada")["is_active"] == true && core.user("lovelace")["is_active"] == true, "{generation:?}");
        assert!(client.delete_user(1, "ada", budget()).await.unwrap(), "{generation:?}: under her new name");
        assert_eq!(core.names(), ["bob", "ada"], "{generation:?}");
        assert!(!client.delete_user(1, "ada", budget()).await.unwrap(), "{generation:?}: she is gone");
        assert_eq!(core.names(), ["bob", "ada"], "{generation:?}: and nobody else");
    }
}

#[tokio::test]
async fn a_user_is_deleted_once() {
    type Ended = Result<bool, &'static str>;
    let table: [(&str, Option<Fault>, Ended, bool); 7] = [
        ("as it should be", None, Ok(true), true),
        ("done, and a 500", Some(Fault::DoneBut(500)), Ok(true), true),
        ("done, and nothing is heard", Some(Fault::DoneThenSilence), Ok(true), true),
        ("somebody was faster", Some(Fault::Meanwhile(|world| world.delete("ada"))), Ok(false), true),
        ("not done, and a 500", Some(Fault::Answer(500, "{}")), Err("fails with 500"), false),
        ("not done, and nothing is heard", Some(Fault::Silence), Err("within 1500 ms"), false),
        ("refused: it is this host's own account", Some(Fault::Answer(400, "{}")), Err("answers 400"), false),
    ];
    for (name, fault, expected, is_gone) in table {
        let core = staff(Generation::V2).await;
        if let Some(fault) = fault {
            core.once("DELETE user/ada", fault);
        }
        let client = client(&core);
        let found = client.delete_user(1, "ada", budget()).await;
        match (&found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(*found, expected, "{name}"),
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{name}: {error}"),
            _ => panic!("{name}: {found:?}"),
        }
        assert_eq!(core.names().contains(&"ada".to_owned()), !is_gone, "{name}");
        assert_eq!(client.delete_user(1, "ada", budget()).await.unwrap(), !is_gone, "{name}: again");
        assert_eq!(core.names(), ["bob"], "{name}");
    }
}

/// One change, as it can be asked for twice.
#[derive(Debug, Clone, Copy)]
enum Change {
    Create,
    Rename,
    Delete,
    Add,
    AddMany,
    Remove,
}

impl Change {
    const ALL: [Self; 6] = [Self::Create, Self::Rename, Self::Delete, Self::Add, Self::AddMany, Self::Remove];

    async fn ask(self, client: &CoreClient, staff: &Group) -> Result<(), CoreError> {
        match self {
            Self::Create => client.create_group(ODD, budget()).await.map(|_| ()),
            Self::Rename => client.rename_group(staff, ODD, budget()).await,
            Self::Delete => client.delete_group(staff, budget()).await.map(|_| ()),
            Self::Add => client.add_member(staff, "bob", budget()).await,
            Self::AddMany => client.add_members(staff, &[2, 1, 2], budget()).await,
            Self::Remove => client.remove_member(staff, "ada", budget()).await,
        }
    }

    /// The call that changes something, and all groups afterwards.
    fn expected(self, generation: Generation) -> (String, Vec<String>) {
        let place = if generation == Generation::V1 { "group/staff" } else { "group/2" };
        let groups =
            |lines: &[&str]| std::iter::once("admin*: ").chain(lines.iter().copied()).map(str::to_owned).collect();
        match self {
            Self::Create => ("POST group".into(), groups(&["staff: ada", &format!("{ODD}: ")])),
            Self::Rename => (format!("PUT {place}"), groups(&[&format!("{ODD}: ada")])),
            Self::Delete => (format!("DELETE {place}"), groups(&[])),
            Self::Add => (format!("POST {place}"), groups(&["staff: ada bob"])),
            Self::AddMany => ("POST groups-assign".into(), groups(&["staff: ada bob"])),
            Self::Remove => (format!("DELETE {place}/user/ada"), groups(&["staff: "])),
        }
    }

    fn call(self) -> Call {
        match self {
            Self::Create => Call::CreateGroup,
            Self::Rename => Call::ModifyGroup,
            Self::Delete => Call::DeleteGroup,
            Self::Add => Call::AddMember,
            Self::AddMany => Call::AssignGroups,
            Self::Remove => Call::RemoveMember,
        }
    }
}

#[tokio::test]
async fn groups_change_and_a_lost_answer_changes_nothing_twice() {
    // name, fault, whether one asking is enough
    let table: [(&str, Option<Fault>, Option<bool>); 6] = [
        ("as it should be", None, Some(true)),
        ("done, and a 500", Some(Fault::DoneBut(500)), None),
        ("done, and a proxy's 504", Some(Fault::DoneBut(504)), None),
        ("done, and nothing is heard", Some(Fault::DoneThenSilence), None),
        ("not done, and a 503", Some(Fault::Answer(503, "{}")), Some(false)),
        ("not done, and nothing is heard", Some(Fault::Silence), Some(false)),
    ];
    let mut scenarios = Vec::new();
    for generation in BOTH {
        for change in Change::ALL {
            for (name, fault, is_done) in &table {
                let name = format!("{generation:?}, {change:?}, {name}");
                scenarios.push(ask_three_times(name, generation, change, fault.clone(), *is_done));
            }
        }
    }
    // Those who wait wait together.
    futures_util::future::join_all(scenarios).await;
}

async fn ask_three_times(
    name: String,
    generation: Generation,
    change: Change,
    fault: Option<Fault>,
    is_done: Option<bool>,
) {
    let core = staff(generation).await;
    let client = client(&core);
    let staff = group(&client, "staff").await;
    let (place, expected) = change.expected(generation);
    let before = core.groups();
    core.once(&place, fault.unwrap_or(Fault::Late(Duration::ZERO)));
    let first = change.ask(&client, &staff).await;
    let name = format!("{name}: {first:?}");
    if let Some(is_done) = is_done {
        assert_eq!(first.is_ok(), is_done, "{name}");
    }
    if let Err(error) = &first {
        assert_eq!(error.call, change.call(), "{name}");
    }
    assert_eq!(core.groups(), if is_done == Some(false) { before } else { expected.clone() }, "{name}");
    for turn in ["again", "and again"] {
        change.ask(&client, &staff).await.unwrap_or_else(|error| panic!("{name}, {turn}: {error}"));
        assert_eq!(core.groups(), expected, "{name}, {turn}");
    }
}

#[tokio::test]
async fn odd_names_are_parts_of_a_path() {
    for generation in BOTH {
        let core = staff(generation).await;
        let client = client(&core);
        assert_eq!(client.create_group(ODD, budget()).await.unwrap(), GroupCreation::Made, "{generation:?}");
        let odd = group(&client, ODD).await;
        assert!(!odd.is_admin && odd.members.is_empty(), "{generation:?}: {odd:?}");
        let there = client.create_group(ODD, budget()).await.unwrap();
        assert_eq!(there, GroupCreation::There(odd.clone()), "{generation:?}");
        client.add_member(&odd, "ada", budget()).await.unwrap();
        assert_eq!(group(&client, ODD).await.members, ["ada"], "{generation:?}");
        client.remove_member(&odd, "ada", budget()).await.unwrap();
        assert_eq!(group(&client, ODD).await.members, [""; 0], "{generation:?}");
        client.rename_group(&odd, "even", budget()).await.unwrap();
        assert!(client.delete_group(&odd, budget()).await.unwrap(), "{generation:?}: under its new name");
        assert_eq!(core.groups(), ["admin*: ", "staff: ada"], "{generation:?}");
    }
}

#[tokio::test]
async fn names_that_no_path_can_hold_are_never_asked_for() {
    let long = "x".repeat(1025);
    for generation in BOTH {
        let core = staff(generation).await;
        let client = client(&core);
        let staff = group(&client, "staff").await;
        core.calls();
        for name in ["", ".", "..", "a\nb", "a\0", &long] {
            let created = client.create_group(name, budget()).await.unwrap_err();
            let renamed = client.rename_group(&staff, name, budget()).await.unwrap_err();
            for error in [created, renamed] {
                assert!(matches!(&error.failure, Failure::GroupName(found) if found == name), "{name:?}: {error}");
            }
        }
        for name in ["", "..", "a/b", "ä"] {
            client.remove_member(&staff, name, budget()).await.unwrap();
            let error = client.set_active(1, name, false, budget()).await.unwrap_err();
            assert!(matches!(error.failure, Failure::NotFound(_)), "{name:?}: {error}");
        }
        assert_eq!(core.calls(), [""; 0], "{generation:?}");
    }
}

#[tokio::test]
async fn what_is_gone_and_what_is_somebody_else_s() {
    for generation in BOTH {
        let core = staff(generation).await;
        let client = client(&core);
        let staff = group(&client, "staff").await;
        let gone = Group { id: 99, name: "gone".into(), ..staff.clone() };
        assert!(!client.delete_group(&gone, budget()).await.unwrap(), "{generation:?}");
        client.remove_member(&gone, "ada", budget()).await.unwrap();
        client.remove_member(&staff, "nobody", budget()).await.unwrap();
        for error in [
            client.add_member(&gone, "ada", budget()).await.unwrap_err(),
            client.add_member(&staff, "nobody", budget()).await.unwrap_err(),
            client.rename_group(&gone, "new", budget()).await.unwrap_err(),
        ] {
            assert!(matches!(error.failure, Failure::NotFound(_)), "{generation:?}: {error}");
        }
        let error = client.add_members(&staff, &[2, 99], budget()).await.unwrap_err();
        assert!(matches!(&error.failure, Failure::Rejected { status: 400, .. }), "{generation:?}: {error}");
        let error = client.rename_group(&staff, "admin", budget()).await.unwrap_err();
        assert!(matches!(&error.failure, Failure::Conflict(_)), "{generation:?}: {error}");
        let admin = group(&client, "admin").await;
        let error = client.delete_group(&admin, budget()).await.unwrap_err();
        assert!(matches!(&error.failure, Failure::Rejected { status: 400, .. }), "{generation:?}: {error}");
        // A server in between that knows no such path says nothing of members.
        core.once("DELETE group", Fault::Answer(404, "<html>Not Found"));
        assert!(client.remove_member(&staff, "ada", budget()).await.is_err(), "{generation:?}");
        // Renamed, and the name given to another group: that one is left alone.
        core.rename_group("staff", "crew");
        core.add_group("staff", false, &["bob"]);
        assert!(client.delete_group(&staff, budget()).await.unwrap(), "{generation:?}");
        assert_eq!(core.groups(), ["admin*: ", "staff: bob"], "{generation:?}");
    }
}

#[tokio::test]
async fn many_members_cost_few_calls() {
    for generation in BOTH {
        let core = FakeCore::start(generation).await;
        for number in 0..1201 {
            core.add(&format!("user{number}"), &format!("user{number}@a.example"), json!({}));
        }
        core.add_group("all", false, &[]);
        let client = client(&core);
        let all = group(&client, "all").await;
        core.calls();
        client.add_members(&all, &[], budget()).await.unwrap();
        assert_eq!(core.calls(), [""; 0], "{generation:?}: nobody, nothing");
        client.add_members(&all, &(1..=1201).collect::<Vec<_>>(), budget()).await.unwrap();
        assert_eq!(core.calls().len(), 3, "{generation:?}");
        assert_eq!(group(&client, "all").await.members.len(), 1201, "{generation:?}");
    }
}

#[tokio::test]
async fn refusals_name_their_call() {
    for generation in BOTH {
        for change in Change::ALL {
            let core = staff(generation).await;
            let client = client(&core);
            let staff = group(&client, "staff").await;
            let (place, _) = change.expected(generation);
            let before = core.groups();
            core.always(Some((&place, Fault::Answer(403, r#"{"msg":"access denied"}"#))));
            let error = change.ask(&client, &staff).await.unwrap_err();
            assert_eq!(error.call, change.call(), "{generation:?}, {change:?}");
            assert!(matches!(&error.failure, Failure::Forbidden(said) if said.has("denied")), "{error}");
            assert_eq!(core.groups(), before, "{generation:?}, {change:?}");
        }
    }
}

#[tokio::test]
async fn a_group_that_is_there_is_no_failure_of_core() {
    let core = staff(Generation::V2).await;
    let client = client(&core);
    for _ in 0..10 {
        assert!(matches!(client.create_group("staff", budget()).await.unwrap(), GroupCreation::There(_)));
    }
    assert_eq!(client.breaker(), BreakerState::Closed);
}
