//! What an enumeration doesn't name isn't gone for that: people stay in their groups, whatever becomes of leavers, and so do people who are
//! in a group by another one; the next run reads everything. And what isn't said isn't "no".

use conformance::{Synced, history};
use defguard_openid_host::sync::{Outcome, Report};
use entra_emulator::seed::{Group, Guid, Member, Person};
use entra_emulator::{Fault, FaultAction, PageLie, Seed, Side, fixtures};

const PEOPLE: u32 = 60;
const USERS: &str = "/v1.0/users/delta";
const GROUPS: &str = "/v1.0/groups/delta";

fn guid(kind: &str, number: u32) -> Guid {
    Guid::parse(&format!("{kind}-0000-4000-8000-{number:012x}")).unwrap()
}

fn person(number: u32) -> Person {
    let template = history::seed().persons.remove(0);
    Person {
        key: format!("p{number}"),
        oid: guid("30000000", number),
        user_principal_name: format!("p{number}@contoso.example"),
        mail: Some(format!("p{number}@contoso.example")),
        ..template
    }
}

fn group(number: u32, name: &str, members: Vec<Member>) -> Group {
    Group {
        id: guid("40000000", number),
        tenant: Guid::parse(fixtures::CONTOSO).unwrap(),
        display_name: name.into(),
        security_enabled: true,
        members,
    }
}

fn members(numbers: std::ops::Range<u32>) -> Vec<Member> {
    numbers.map(|number| Member::User(guid("30000000", number))).collect()
}

fn seed(groups: Vec<Group>) -> Seed {
    Seed { persons: (0..PEOPLE).map(person).collect(), groups, ..Seed::demo() }
}

/// The next run reads one collection from the beginning, and its first page lies.
fn lied_to(synced: &Synced, path: &str, lie: PageLie) {
    let gone = FaultAction::GraphError { status: 410, code: "resyncRequired".into() };
    for (nth, action) in [(1, gone), (2, FaultAction::LyingPage { lie })] {
        synced.control().add_fault(Fault::new(action).on(Side::Graph).path(path).nth([nth]));
    }
}

fn told(report: &Report, words: &str) -> bool {
    report.skipped.iter().any(|skipped| skipped.what.contains(words) || skipped.why.contains(words))
}

#[tokio::test]
async fn who_is_not_named_stays_in_their_groups() {
    // What is synchronised, what becomes of leavers; the limit; how the run ends.
    for (target, behavior, percent, held) in [
        ("all", "keep", "20", Some("too_many_removals")),
        ("groups", "delete", "20", Some("too_many_removals")),
        ("all", "keep", "100", None),
        ("all", "disable", "100", None),
        ("groups", "keep", "100", None),
    ] {
        let name = format!("{target}, {behavior}, {percent} %");
        let (wanted, becomes) = (format!("{target:?}"), format!("{behavior:?}"));
        let settings = [
            ("directory.target", wanted.as_str()),
            ("directory.user_behavior", &becomes),
            ("directory.max_removal_percent", percent),
        ];
        let everybody = group(1, "everybody", members(0..PEOPLE));
        let synced = Synced::start_seeded(seed(vec![everybody]), &settings).await;
        assert_eq!(synced.done(&name).await.memberships, 60, "{name}");
        let before = synced.document();
        lied_to(&synced, USERS, PageLie::EndsEarly);
        let report = synced.run().await;
        let expected = if held.is_some() { Outcome::Held } else { Outcome::Done };
        assert_eq!((report.outcome, report.reason.as_deref()), (expected, held), "{name}: {report:?}");
        assert!(held.is_some() || told(&report, "30 memberships"), "{name}: it is told: {report:?}");
        assert!(synced.document() == before, "{name}: nobody is removed: {report:?}");
        // What the mirror lacks is read again, though its delta link goes on.
        let requests = synced.done(&name).await.requests;
        assert!(synced.document() == before, "{name}: as it was");
        assert_eq!((requests, synced.done(&name).await.requests), (2, 2), "{name}: nothing is asked any more");
        synced.control().remove_person("p7").unwrap();
        synced.done(&name).await;
        assert_eq!(synced.state().memberships(), 59, "{name}: who is gone is in no group any more");
    }
}

#[tokio::test]
async fn many_who_have_left_leave_their_groups_only_if_somebody_has_looked() {
    for target in ["all", "groups"] {
        let everybody = group(1, "everybody", members(0..PEOPLE));
        let wanted = format!("{target:?}");
        let synced = Synced::start_seeded(seed(vec![everybody]), &[("directory.target", wanted.as_str())]).await;
        synced.done(target).await;
        let before = synced.document();
        for number in 0..45 {
            synced.control().remove_person(&format!("p{number}")).unwrap();
        }
        let report = synced.run().await;
        assert_eq!(report.reason.as_deref(), Some("too_many_removals"), "{target}: {report:?}");
        assert_eq!(report.held_removals, 45, "{target}: {report:?}");
        assert!(synced.document() == before, "{target}");
    }
}

/// `outer` has ten people of its own and fifty by `inner`, whose place in the list is cut off.
#[tokio::test]
async fn a_nested_group_that_is_not_named_takes_nobody_out_of_the_outer_one() {
    for (name, key) in [("who is in it", "directory.group_match"), ("who counts", "directory.user_groups")] {
        let mut own = members(0..10);
        own.push(Member::Group(guid("40000000", 2)));
        let groups = vec![group(1, "outer", own), group(2, "inner", members(10..PEOPLE))];
        let settings = [
            (key, "[\"outer\"]"),
            ("directory.user_behavior", "\"delete\""),
            ("directory.max_removal_percent", "100"),
            ("directory.max_removals", "1000"),
        ];
        let synced = Synced::start_seeded(seed(groups), &settings).await;
        let control = synced.control();
        control.edit_graph(|graph| graph.members_at_once = 1_000);
        synced.done(name).await;
        let before = synced.document();
        lied_to(&synced, GROUPS, PageLie::EndsEarly);
        let report = synced.done(name).await;
        assert!(synced.document() == before, "{name}: {report:?}");
        assert!(told(&report, "is missing: the directory has it"), "{name}: {report:?}");
        synced.done(name).await;
        assert!(synced.document() == before, "{name}: it was read again");
        assert_eq!(synced.done(name).await.requests, 2, "{name}: nothing is asked any more");
        // Really gone is gone.
        control.remove_group(guid("40000000", 2).as_str()).unwrap();
        synced.done(name).await;
        assert_eq!(synced.state().groups[guid("40000000", 1).as_str()].len(), 10, "{name}");
    }
}

/// A missing right nulls what it doesn't cover: nobody's state is known, which isn't "nobody is there".
#[tokio::test]
async fn people_without_their_state_are_a_missing_permission() {
    let everybody = || group(1, "everybody", members(0..PEOPLE));
    for (name, was_read) in [("the first run", false), ("a later one", true)] {
        let synced = Synced::start_seeded(seed(vec![everybody()]), &[]).await;
        if was_read {
            synced.done(name).await;
        }
        let before = was_read.then(|| synced.document());
        if was_read {
            lied_to(&synced, USERS, PageLie::StateUnsaid);
        } else {
            let lie = FaultAction::LyingPage { lie: PageLie::StateUnsaid };
            synced.control().add_fault(Fault::new(lie).on(Side::Graph).path(USERS).times(1));
        }
        let report = synced.run().await;
        assert_eq!(report.reason.as_deref(), Some("permission_missing"), "{name}: {report:?}");
        let detail = report.detail.unwrap_or_default();
        assert!(detail.contains("User.Read.All") && detail.contains("Grant admin consent"), "{name}: {detail}");
        assert_eq!(std::fs::read(&synced.file).ok(), before, "{name}: the document is as it was");
        // Once it is granted everything is read: a delta wouldn't say it.
        synced.done(name).await;
        synced.is_as_expected(name);
    }
    // Of some of them: the others are as ever.
    let synced = Synced::start_seeded(seed(vec![everybody()]), &[]).await;
    synced.control().edit_graph(|graph| graph.page_size = Some(20));
    let lie = FaultAction::LyingPage { lie: PageLie::StateUnsaid };
    synced.control().add_fault(Fault::new(lie).on(Side::Graph).path(USERS).nth([2]));
    let report = synced.done("of a page").await;
    assert!(report.users == 40 && told(&report, "20 people") && told(&report, "User.Read.All"), "{report:?}");
}
