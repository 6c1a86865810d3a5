//! The rules that nobody is removed by mistake, one line a case.

use std::time::Duration;

use super::*;
use crate::config::{DirectoryApply, LeaverBehavior};
use crate::sync::oid::Oid;
use crate::sync::snapshot::DirectoryGroup;
use crate::sync::state::{Group, User};

const CORE: Abilities = Abilities { creates_users: false, is_document: false, renames_groups: true };
const DOCUMENT: Abilities = Abilities { creates_users: true, is_document: true, renames_groups: true };

fn config(behavior: LeaverBehavior) -> DirectoryConfig {
    DirectoryConfig {
        target: SyncTarget::Users,
        interval: Duration::from_secs(600),
        user_behavior: behavior,
        admin_behavior: behavior,
        group_match: Vec::new(),
        prefetch_users: false,
        create_groups: true,
        admin_groups: Vec::new(),
        steps_per_second: 20,
        user_groups: Vec::new(),
        guests: false,
        max_removal_percent: 20,
        max_removals: 100,
        login_check: None,
        apply: DirectoryApply::Core,
    }
}

/// People with the numbers from 1 on, enabled.
fn people(number: u128) -> Vec<Person> {
    (1..=number)
        .map(|id| Person { id: Oid(id), email: Some(format!("p{id}@a.example")), enabled: Some(true), guest: false })
        .collect()
}

fn users(number: u128) -> State {
    let user = |id| User { email: format!("p{id}@a.example"), active: true, ..User::default() };
    State { users: (1..=number).map(|id| (Oid(id), user(id))).collect(), ..State::default() }
}

fn kinds(plan: &Plan) -> Vec<&'static str> {
    plan.actions.iter().map(Action::kind).collect()
}

#[test]
fn limits_hold_what_is_too_much() {
    // Users, of whom so many are left in the directory; percent; at most; what holds it.
    for (name, before, left, percent, most, held) in [
        ("nobody leaves", 100, 100, 20, 100, None),
        ("a fifth", 100, 80, 20, 100, None),
        ("one more", 100, 79, 20, 100, Some("too_many_removals")),
        ("more than may at once", 1000, 899, 20, 100, Some("too_many_removals")),
        ("as many as may", 1000, 900, 20, 100, None),
        ("three of ten are never too many", 10, 7, 20, 100, None),
        ("four are", 10, 6, 20, 100, Some("too_many_removals")),
        ("but never all", 3, 0, 20, 100, Some("directory_empty")),
        ("nor by a wide limit", 50, 0, 100, 1000, Some("directory_empty")),
        ("none may", 10, 9, 0, 0, Some("too_many_removals")),
        ("no per cent is none, however few they are", 100, 99, 0, 100, Some("too_many_removals")),
        ("half, where that may be", 100, 50, 50, 100, None),
    ] {
        let snapshot = Snapshot { people: people(left), ..Snapshot::default() };
        let config =
            DirectoryConfig { max_removal_percent: percent, max_removals: most, ..config(LeaverBehavior::Delete) };
        let plan = plan(&snapshot, &users(before), &config, DOCUMENT, false);
        assert_eq!(plan.held.as_ref().map(Held::code), held, "{name}: {:?}", plan.held);
        let first = super::plan(&snapshot, &users(before), &config, DOCUMENT, true);
        assert!(!kinds(&first).contains(&"delete_user"), "{name}: the first run removes nobody");
    }
}

#[test]
fn an_active_administrator_is_always_left() {
    let admin = |id: u128, active: bool| {
        (Oid(id), User { email: format!("p{id}@a.example"), active, is_admin: true, ..User::default() })
    };
    // Linked administrators who left or are disabled in the directory, active ones besides; how many lose something.
    for (name, linked, others, expected) in [
        ("one, and another one is there", 1, 1, 1),
        ("one, and nobody else", 1, 0, 0),
        ("three, and nobody else", 3, 0, 2),
        ("three, and another one", 3, 1, 3),
    ] {
        let state = State {
            users: (1..=linked).map(|id| admin(id, true)).chain(users(20).users.into_iter().skip(10)).collect(),
            other_admins: Some(others),
            ..State::default()
        };
        let left = people(20).into_iter().skip(10).collect();
        let gone = Snapshot { people: left, ..Snapshot::default() };
        let mut disabled = Snapshot { people: people(20), ..Snapshot::default() };
        for person in disabled.people.iter_mut().take(10) {
            person.enabled = Some(false);
        }
        for (how, snapshot) in [("left", &gone), ("disabled", &disabled)] {
            for behavior in [LeaverBehavior::Disable, LeaverBehavior::Delete] {
                let plan = plan(snapshot, &state, &config(behavior), CORE, false);
                let removed = plan.actions.iter().filter(|action| action.is_removal()).count();
                assert_eq!(removed, expected, "{name}, {how}, {behavior:?}: {plan:?}");
                let told = plan.skipped.iter().any(|skipped| skipped.why.contains("last active administrator"));
                assert_eq!(told, removed < usize::try_from(linked).unwrap(), "{name}, {how}, {behavior:?}");
            }
        }
        let kept = plan(&disabled, &state, &config(LeaverBehavior::Keep), CORE, false);
        assert!(kept.actions.is_empty(), "{name}: administrators are kept: {kept:?}");
    }
}

#[test]
fn whose_state_is_whose() {
    let table = [
        ("enabled, and active", Some(true), true, false, &[][..]),
        ("disabled, and active", Some(false), true, false, &["disable_user"]),
        ("enabled, and we disabled them", Some(true), false, false, &["enable_user"]),
        ("enabled, and an administrator disabled them", Some(true), false, true, &[]),
        ("disabled both", Some(false), false, false, &[]),
        ("unknown is neither", None, true, false, &[]),
        ("nor does it enable", None, false, false, &[]),
    ];
    for (name, enabled, active, disabled_by_hand, expected) in table {
        let mut directory = people(5);
        directory[0].enabled = enabled;
        let mut state = users(5);
        let first = state.users.get_mut(&Oid(1)).unwrap();
        (first.active, first.disabled_by_hand) = (active, disabled_by_hand);
        let snapshot = Snapshot { people: directory, ..Snapshot::default() };
        let plan = plan(&snapshot, &state, &config(LeaverBehavior::Delete), CORE, false);
        assert_eq!(kinds(&plan), expected, "{name}");
    }
}

#[test]
fn a_guest_whom_the_sign_in_let_in_has_not_left() {
    for (name, abilities, expected) in [("Core", CORE, &[][..]), ("a document", DOCUMENT, &["delete_user"])] {
        let mut directory = people(20);
        directory[0].guest = true;
        let snapshot = Snapshot { people: directory, ..Snapshot::default() };
        let plan = plan(&snapshot, &users(20), &config(LeaverBehavior::Delete), abilities, false);
        assert_eq!(kinds(&plan), expected, "{name}");
    }
}

#[test]
fn who_becomes_a_user() {
    let person =
        |enabled, guest, email: Option<&str>| Person { id: Oid(9), email: email.map(str::to_owned), enabled, guest };
    let prefetch = Abilities { creates_users: true, ..CORE };
    for (name, person, in_core, in_document) in [
        ("an employee", person(Some(true), false, Some("a@b")), 1, 1),
        ("a guest", person(Some(true), true, Some("a@b")), 0, 0),
        ("disabled", person(Some(false), false, Some("a@b")), 0, 1),
        ("of unknown state", person(None, false, Some("a@b")), 0, 0),
        ("without an address", person(Some(true), false, None), 0, 0),
    ] {
        let snapshot = Snapshot { people: vec![person], ..Snapshot::default() };
        let made = |abilities| {
            plan(&snapshot, &State::default(), &config(LeaverBehavior::Keep), abilities, false).actions.len()
        };
        assert_eq!((made(prefetch), made(DOCUMENT), made(CORE)), (in_core, in_document, 0), "{name}");
    }
}

#[test]
fn who_is_disabled_counts_as_one_who_is_lost() {
    // Active users, inactive ones, of the active so many disabled in the directory; what holds it, on the first run too.
    for (name, active, inactive, disabled, held) in [
        ("a fifth", 100, 0, 20, None),
        ("one more", 100, 0, 21, Some("too_many_removals")),
        ("everybody", 100, 0, 100, Some("too_many_removals")),
        ("three are never too many", 10, 0, 3, None),
        ("but never all", 3, 0, 3, Some("too_many_removals")),
        ("of those who can lose something", 50, 150, 11, Some("too_many_removals")),
    ] {
        let mut state = users(active + inactive);
        for number in active + 1..=active + inactive {
            state.users.get_mut(&Oid(number)).unwrap().active = false;
        }
        let mut directory = people(active + inactive);
        for person in directory.iter_mut().filter(|person| person.id.0 <= disabled || person.id.0 > active) {
            person.enabled = Some(false);
        }
        let snapshot = Snapshot { people: directory, ..Snapshot::default() };
        for is_first in [false, true] {
            let plan = plan(&snapshot, &state, &config(LeaverBehavior::Disable), CORE, is_first);
            assert_eq!(plan.held.as_ref().map(Held::code), held, "{name}, {is_first}: {:?}", plan.held);
        }
    }
}

/// Groups of ours with these ids, called `g1` and so on, of these members.
fn following(ids: &[u128], members: &[u128]) -> BTreeMap<Oid, Group> {
    let members: Vec<Oid> = members.iter().copied().map(Oid).collect();
    let group = |id: &u128| Group { name: format!("g{id}"), members: members.clone(), is_admin: false, was_made: true };
    ids.iter().map(|id| (Oid(*id), group(id))).collect()
}

fn directory(people: Vec<Person>, groups: &[(u128, &str)]) -> Snapshot {
    let everybody: Vec<u32> = (0..u32::try_from(people.len()).unwrap()).collect();
    let groups = groups.iter().map(|(id, name)| DirectoryGroup::with(Oid(*id), name, everybody.clone())).collect();
    Snapshot { people, groups, ..Snapshot::default() }
}

#[test]
fn a_directory_that_has_lost_something_whole_is_not_believed() {
    use SyncTarget::{All, Groups, Users};
    let state = State { groups: following(&[1, 2, 3, 4, 5], &[1, 2]), ..users(2) };
    let names = [(1, "g1"), (2, "g2"), (3, "g3"), (4, "g4"), (5, "g5")];
    for (name, target, people_left, groups_left, held) in [
        ("all there", All, 2, &names[..], None),
        ("no people", All, 0, &names[..], Some("directory_empty")),
        ("no people, and groups alone are synchronised", Groups, 0, &names[..], Some("directory_empty")),
        ("no people, and users alone are", Users, 0, &names[..], Some("directory_empty")),
        ("no groups", All, 2, &[][..], Some("directory_empty")),
        ("no groups, and users alone are synchronised", Users, 2, &[][..], None),
        ("one group less", All, 2, &names[1..], None),
        ("one group is left", All, 2, &names[4..], Some("too_many_removals")),
    ] {
        let config = DirectoryConfig { target, max_removal_percent: 20, ..config(LeaverBehavior::Disable) };
        let plan = plan(&directory(people(people_left), groups_left), &state, &config, CORE, false);
        assert_eq!(plan.held.as_ref().map(Held::code), held, "{name}: {plan:?}");
        if held.is_none() {
            assert!(!kinds(&plan).contains(&"disable_user"), "{name}: {plan:?}");
        }
    }
}

#[test]
fn a_listed_group_that_is_called_something_else_goes_nowhere() {
    let state = State { groups: following(&[1, 2], &[1]), ..users(1) };
    for (name, listed, groups, deleted, told) in [
        ("as it was", vec!["g1", "g2"], vec![(1, "g1"), (2, "g2")], 0, 0),
        ("one is renamed", vec!["g1", "g2"], vec![(1, "other"), (2, "g2")], 0, 1),
        ("one is deleted", vec!["g1", "g2"], vec![(2, "g2")], 1, 0),
        ("one isn't listed any more", vec!["g2"], vec![(1, "g1"), (2, "g2")], 1, 0),
        (
            "listed by id, and renamed",
            vec!["00000000-0000-0000-0000-000000000001", "g2"],
            vec![(1, "o"), (2, "g2")],
            0,
            0,
        ),
    ] {
        let listed = listed.into_iter().map(str::to_owned).collect();
        let config =
            DirectoryConfig { target: SyncTarget::Groups, group_match: listed, ..config(LeaverBehavior::Keep) };
        let plan = plan(&directory(people(1), &groups), &state, &config, CORE, false);
        let found = kinds(&plan).iter().filter(|kind| **kind == "delete_group").count();
        assert_eq!((found, plan.skipped.len()), (deleted, told), "{name}: {plan:?}");
    }
}

#[test]
fn a_user_group_that_is_called_something_else_makes_nobody_leave() {
    for (name, group, expected) in [("as it was", "staff", 0), ("renamed", "employees", 0)] {
        let config = DirectoryConfig { user_groups: vec!["staff".into()], ..config(LeaverBehavior::Delete) };
        let snapshot = directory(people(10), &[(1, group), (2, "else")]);
        let plan = plan(&snapshot, &users(10), &config, CORE, false);
        assert_eq!(kinds(&plan).len(), expected, "{name}: {plan:?}");
    }
}

#[test]
fn rights_are_given_by_opt_in_only() {
    let admins = |is_admin| Group { name: "g1".into(), members: Vec::new(), is_admin, was_made: false };
    for (name, ours, others, opted_in, expected) in [
        ("no rights", Some(false), vec![], vec![], &["change_members"][..]),
        ("rights, not opted in", Some(true), vec![], vec![], &[]),
        ("rights, opted in", Some(true), vec![], vec!["g1"], &["change_members"]),
        ("another's, listed", None, vec![("g1", false)], vec![], &["take_group", "change_members"]),
        ("another's, with rights", None, vec![("g1", true)], vec![], &[]),
        ("another's, with rights, opted in", None, vec![("g1", true)], vec!["g1"], &["take_group", "change_members"]),
    ] {
        let mut state = users(1);
        state.groups.extend(ours.map(|is_admin| (Oid(1), admins(is_admin))));
        state.other_groups.extend(others.into_iter().map(|(name, is_admin)| (name.to_owned(), is_admin)));
        let config = DirectoryConfig {
            target: SyncTarget::Groups,
            group_match: vec!["g1".into()],
            admin_groups: opted_in.into_iter().map(str::to_owned).collect(),
            ..config(LeaverBehavior::Keep)
        };
        let plan = plan(&directory(people(1), &[(1, "g1")]), &state, &config, CORE, false);
        assert_eq!(kinds(&plan), expected, "{name}: {plan:?}");
    }
    // Whoever makes a second group of that name gets no rights, and stops nothing else.
    let twins = directory(people(1), &[(1, "twin"), (2, "twin"), (3, "g3")]);
    let mut state = State { groups: following(&[3], &[]), ..users(1) };
    state.groups.insert(Oid(1), Group { name: "twin".into(), ..admins(true) });
    let config = DirectoryConfig {
        target: SyncTarget::Groups,
        admin_groups: vec!["twin".into()],
        create_groups: false,
        ..config(LeaverBehavior::Keep)
    };
    let plan = plan(&twins, &state, &config, CORE, false);
    assert_eq!(kinds(&plan), ["change_members"], "g3: {plan:?}");
    let ids = [1, 2].map(|id| Oid(id).to_string()).join(", ");
    assert!(plan.skipped.iter().any(|skipped| skipped.why.contains(&ids)), "which ones there are: {plan:?}");
}

/// What a group becomes is the same, however far a run got that was killed.
#[test]
fn names_of_twins() {
    // The directory's groups; which of them are there already, and as what; others' groups; what is made, taken or renamed.
    let made = |plan: &Plan| -> Vec<String> {
        let name = |action: &Action| match action {
            Action::CreateGroup { name, .. } => Some(format!("+{name}")),
            Action::TakeGroup { name, .. } => Some(format!("={name}")),
            Action::RenameGroup { name, .. } => Some(format!(">{name}")),
            _ => None,
        };
        plan.actions.iter().filter_map(name).collect()
    };
    let (twins, short) = ([(1, "twin"), (2, "twin"), (3, "else")], "twin (00000000)");
    for (name, there, others, expected) in [
        (
            "none is there",
            vec![],
            vec![],
            &["+twin (00000000)", "+twin (00000000-0000-0000-0000-000000000002)", "+else"][..],
        ),
        ("the first is", vec![(1, short)], vec![], &["+twin (00000000-0000-0000-0000-000000000002)", "+else"]),
        ("the first is, as what it is called", vec![(1, "twin")], vec![], &["+twin (00000000)", "+else"]),
        ("all are", vec![(1, short), (2, "twin (00000000-0000-0000-0000-000000000002)"), (3, "else")], vec![], &[]),
        (
            "one got its name later",
            vec![(1, short), (2, "old"), (3, "else")],
            vec![],
            &[">twin (00000000-0000-0000-0000-000000000002)"],
        ),
        (
            "two did, of which one is there",
            vec![(1, "old"), (2, "older"), (3, "twin")],
            vec![],
            &[">twin (00000000)", ">twin (00000000-0000-0000-0000-000000000002)", ">else"],
        ),
        ("somebody else has a group of that name", vec![(3, "else")], vec!["twin"], &[]),
        (
            "and of another one's",
            vec![(1, short)],
            vec!["ELSE"],
            &["+twin (00000000-0000-0000-0000-000000000002)", "=else"],
        ),
    ] {
        let group =
            |(id, name): (u128, &str)| (Oid(id), Group { name: name.into(), was_made: true, ..Group::default() });
        let state = State {
            groups: there.into_iter().map(group).collect(),
            other_groups: others.into_iter().map(|name| (name.to_lowercase(), false)).collect(),
            ..State::default()
        };
        let ids = [1, 2, 3].map(|id| Oid(id).to_string()).to_vec();
        let config = DirectoryConfig { target: SyncTarget::Groups, group_match: ids, ..config(LeaverBehavior::Keep) };
        let plan = plan(&directory(people(1), &twins), &state, &config, CORE, false);
        assert_eq!(made(&plan), expected, "{name}: {plan:?}");
    }
}

#[test]
fn another_core_of_the_same_numbers_is_left_alone_until_somebody_looks() {
    let unlike = Some(("g1".to_owned(), "finance".to_owned()));
    for (name, target, unlike, held) in [
        ("as it was", SyncTarget::All, None, None),
        ("no group is called as it was", SyncTarget::All, unlike.clone(), Some("groups_unlike")),
        ("and groups alone are synchronised", SyncTarget::Groups, unlike.clone(), Some("groups_unlike")),
        ("and only users are", SyncTarget::Users, unlike, None),
    ] {
        let state = State { groups: following(&[1], &[1]), unlike, ..users(1) };
        let config = DirectoryConfig { target, ..config(LeaverBehavior::Keep) };
        let plan = plan(&directory(people(1), &[(1, "g1")]), &state, &config, CORE, false);
        assert_eq!(plan.held.as_ref().map(Held::code), held, "{name}: {plan:?}");
    }
}

/// A name that is listed and that a second group gets: the one that follows goes on to, no other begins, and users are as ever.
#[test]
fn a_second_group_of_a_listed_name() {
    for (name, following_already, created) in [("one follows", &[1_u128][..], 0), ("none does", &[], 0)] {
        let state = State { groups: following(following_already, &[]), ..users(20) };
        let state = State {
            groups: state.groups.into_iter().map(|(id, group)| (id, Group { name: "vpn".into(), ..group })).collect(),
            ..state
        };
        let snapshot = directory(people(19), &[(1, "vpn"), (2, "vpn")]);
        let config = DirectoryConfig {
            target: SyncTarget::All,
            group_match: vec!["vpn".into()],
            ..config(LeaverBehavior::Delete)
        };
        let plan = plan(&snapshot, &state, &config, CORE, false);
        let count = |kind: &str| kinds(&plan).iter().filter(|found| **found == kind).count();
        assert_eq!((count("create_group"), count("delete_group")), (created, 0), "{name}: {plan:?}");
        assert_eq!(count("change_members"), following_already.len(), "{name}: {plan:?}");
        assert_eq!(count("delete_user"), 1, "{name}: who left leaves: {plan:?}");
        assert!(plan.skipped.iter().any(|skipped| skipped.why.contains("list the id instead")), "{name}: {plan:?}");
    }
}

#[test]
fn memberships_have_a_limit_of_their_own() {
    let percent = |max_removal_percent| DirectoryConfig {
        target: SyncTarget::All,
        max_removal_percent,
        ..config(LeaverBehavior::Keep)
    };
    // In each of two groups so many; of the first so many stay, who left is in the directory or isn't; percent; what holds it.
    for (name, members, stay, are_here, config, held) in [
        ("nobody leaves", 100, 100, true, percent(20), None),
        ("a fifth of all", 100, 60, true, percent(20), None),
        ("one more", 100, 59, true, percent(20), Some("too_many_removals")),
        ("ten of a few", 20, 10, true, percent(20), None),
        ("a small group is emptied", 10, 0, true, percent(20), None),
        ("a larger one", 11, 0, true, percent(60), Some("group_emptied")),
        ("where that may be", 11, 0, true, percent(100), None),
        ("they have left the directory, and are kept", 100, 60, false, percent(20), Some("too_many_removals")),
        ("all of them", 11, 0, false, percent(60), Some("too_many_removals")),
        ("none may", 100, 99, true, percent(0), Some("too_many_removals")),
    ] {
        let all: Vec<u128> = (1..=members).collect();
        let state = State { groups: following(&[1, 2], &all), ..users(members) };
        let left = if are_here { members } else { stay };
        let everybody: Vec<u32> = (0..u32::try_from(left).unwrap()).collect();
        let some: Vec<u32> = (0..u32::try_from(stay).unwrap()).collect();
        let snapshot = Snapshot {
            people: people(left.max(1)),
            groups: vec![DirectoryGroup::with(Oid(1), "g1", some), DirectoryGroup::with(Oid(2), "g2", everybody)],
            ..Snapshot::default()
        };
        let found = plan(&snapshot, &state, &config, CORE, false);
        assert_eq!(found.held.as_ref().map(Held::code), held, "{name}: {:?}", found.held);
        let first = plan(&snapshot, &state, &config, CORE, true);
        let removes = |action: &Action| matches!(action, Action::ChangeMembers { remove, .. } if !remove.is_empty());
        assert!(!first.actions.iter().any(removes), "{name}: the first run removes nobody from a group");
        let told = first.skipped.iter().any(|skipped| skipped.what.ends_with("memberships"));
        assert_eq!(told, stay < members, "{name}: and says so: {:?}", first.skipped);
    }
}

/// Without the permission nobody of a hidden membership is shown: that isn't "nobody".
#[test]
fn who_may_not_be_seen_stays() {
    for (name, is_unseen, expected) in [("all may be seen", false, &["change_members"][..]), ("nobody may", true, &[])]
    {
        let inner = DirectoryGroup::with(Oid(2), "g2", Vec::new());
        let inner = if is_unseen { inner.unseen() } else { inner };
        let snapshot = Snapshot {
            people: people(5),
            groups: vec![DirectoryGroup::with(Oid(1), "g1", vec![0, 1, 2]), inner],
            ..Snapshot::default()
        };
        let state = State { groups: following(&[2], &[1, 2, 3]), ..users(5) };
        let config = DirectoryConfig {
            target: SyncTarget::Groups,
            group_match: vec!["g2".into()],
            ..config(LeaverBehavior::Keep)
        };
        let plan = plan(&snapshot, &state, &config, CORE, false);
        assert_eq!(kinds(&plan), expected, "{name}: {plan:?}");
        let told = plan.skipped.iter().any(|skipped| skipped.why.contains("Member.Read.Hidden"));
        assert_eq!(told, is_unseen, "{name}: {plan:?}");
    }
}

/// Whoever is disabled or deleted counts as a user, and their memberships don't count again; of everybody else they do.
#[test]
fn memberships_of_who_has_left() {
    use LeaverBehavior::{Delete, Disable, Keep};
    // What becomes of leavers, what is synchronised; what holds that twenty of a hundred have left, who alone are in the groups.
    for (behavior, target, held) in [
        (Delete, SyncTarget::All, None),
        (Disable, SyncTarget::All, None),
        (Keep, SyncTarget::All, Some("too_many_removals")),
        (Delete, SyncTarget::Groups, Some("too_many_removals")),
        (Keep, SyncTarget::Groups, Some("too_many_removals")),
    ] {
        let members: Vec<u128> = (81..=100).collect();
        let state = State { groups: following(&[1, 2], &members), ..users(100) };
        let groups = [1, 2].map(|id| DirectoryGroup::with(Oid(id), &format!("g{id}"), Vec::new())).to_vec();
        let snapshot = Snapshot { people: people(80), groups, ..Snapshot::default() };
        let plan = plan(&snapshot, &state, &DirectoryConfig { target, ..config(behavior) }, CORE, false);
        assert_eq!(plan.held.as_ref().map(Held::code), held, "{behavior:?} {target:?}: {:?}", plan.held);
        let asked: Vec<Oid> = members.iter().copied().map(Oid).collect();
        assert_eq!(plan.missing_users, asked, "{behavior:?} {target:?}: each of them is asked for, once");
    }
}

#[test]
fn who_is_kept_and_there_after_all_leaves_no_group() {
    for target in [SyncTarget::All, SyncTarget::Groups] {
        let state = State { groups: following(&[1], &[1, 2, 3]), ..users(20) };
        let left = people(20).into_iter().skip(2).collect();
        let groups = vec![DirectoryGroup::with(Oid(1), "g1", vec![0])];
        let snapshot = Snapshot { people: left, groups, ..Snapshot::default() };
        let mut plan =
            plan(&snapshot, &state, &DirectoryConfig { target, ..config(LeaverBehavior::Keep) }, CORE, false);
        assert_eq!(plan.missing_users, [Oid(1), Oid(2)], "{target:?}");
        plan.keep(&HashMap::from([(Oid(1), "there")]), &HashMap::new());
        assert_eq!(leaving(&plan), [Oid(2)], "{target:?}: {plan:?}");
        let told = Skipped::new("1 memberships of group g1", "there");
        assert!(plan.skipped.contains(&told), "{target:?}: {plan:?}");
        plan.keep(&HashMap::from([(Oid(2), "unknown")]), &HashMap::new());
        assert!(plan.actions.is_empty(), "{target:?}: {plan:?}");
    }
}

/// Who leaves a group.
fn leaving(plan: &Plan) -> Vec<Oid> {
    let removed = plan.actions.iter().filter_map(|action| match action {
        Action::ChangeMembers { remove, .. } => Some(remove.clone()),
        _ => None,
    });
    removed.flatten().collect()
}

/// A group in another one that wasn't named may be there: whoever is in the other one by it doesn't leave before that is known.
#[test]
fn a_missing_group_within_another_one() {
    let state = State { groups: following(&[1, 2], &[1, 2, 3]), ..users(20) };
    let outer = DirectoryGroup::with(Oid(1), "g1", vec![0]).without(vec![Oid(9)]);
    let other = DirectoryGroup::with(Oid(2), "g2", vec![0, 1]);
    let snapshot = Snapshot { people: people(20), groups: vec![outer, other], ..Snapshot::default() };
    let config = DirectoryConfig { target: SyncTarget::All, ..config(LeaverBehavior::Delete) };
    for (name, groups, expected) in
        [("it is gone", HashMap::new(), &[2, 3, 3][..]), ("it is there", HashMap::from([(Oid(9), "there")]), &[3])]
    {
        let mut plan = plan(&snapshot, &state, &config, CORE, false);
        assert_eq!((plan.missing_users.len(), plan.missing_groups.as_slice()), (0, &[Oid(9)][..]), "{name}");
        plan.keep(&HashMap::new(), &groups);
        let expected: Vec<Oid> = expected.iter().copied().map(Oid).collect();
        assert_eq!(leaving(&plan), expected, "{name}: {plan:?}");
        let told = plan.skipped.iter().any(|skipped| skipped.what == "2 memberships of group g1");
        assert_eq!(told, !groups.is_empty(), "{name}: {plan:?}");
    }
    // Nobody leaves: nothing is asked, unless an enumeration has just lost it.
    let state = State { groups: following(&[1, 2], &[1]), ..users(20) };
    assert!(plan(&snapshot, &state, &config, CORE, false).missing_groups.is_empty());
    let snapshot = Snapshot { lost: vec![Oid(9)], ..snapshot };
    assert_eq!(plan(&snapshot, &state, &config, CORE, false).missing_groups, [Oid(9)]);
}

#[test]
fn a_missing_group_within_one_of_user_groups() {
    let staff = DirectoryGroup::with(Oid(1), "staff", (0..18).collect()).without(vec![Oid(9)]);
    let snapshot = Snapshot { people: people(20), groups: vec![staff], ..Snapshot::default() };
    for behavior in [LeaverBehavior::Disable, LeaverBehavior::Delete] {
        let config = DirectoryConfig { user_groups: vec!["staff".into()], ..config(behavior) };
        for (name, groups, expected) in
            [("it is gone", HashMap::new(), 2), ("it is there", HashMap::from([(Oid(9), "there")]), 0)]
        {
            let mut plan = plan(&snapshot, &users(20), &config, CORE, false);
            assert_eq!(plan.missing_groups, [Oid(9)], "{name}");
            plan.keep(&HashMap::new(), &groups);
            assert_eq!(plan.actions.len(), expected, "{name}: {plan:?}");
            assert_eq!(plan.skipped.len(), 2 - expected, "{name}: {plan:?}");
        }
    }
}

#[test]
fn whoever_may_be_in_a_user_group_that_is_not_shown_stays() {
    for (name, is_unseen, expected) in [("all may be seen", false, 2), ("not all may", true, 0)] {
        let hidden = DirectoryGroup::with(Oid(2), "hidden", Vec::new());
        let hidden = if is_unseen { hidden.unseen() } else { hidden };
        let groups = vec![DirectoryGroup::with(Oid(1), "staff", (0..18).collect()), hidden];
        let snapshot = Snapshot { people: people(20), groups, ..Snapshot::default() };
        let listed = vec!["staff".to_owned(), "hidden".to_owned()];
        let config = DirectoryConfig { user_groups: listed, ..config(LeaverBehavior::Delete) };
        let plan = plan(&snapshot, &users(20), &config, CORE, false);
        let told = plan.skipped.iter().filter(|skipped| skipped.why.contains("Member.Read.Hidden")).count();
        assert_eq!((plan.actions.len(), told), (expected, 2 - expected), "{name}: {plan:?}");
    }
}

/// Whom the directory disabled may do nothing any more, be it that they don't count any more, or that nobody knows whether they do.
#[test]
fn who_is_disabled_and_does_not_count() {
    use LeaverBehavior::{Delete, Disable, Keep};
    // What `user_groups` lists; guest or not; what becomes of leavers; of the disabled one, and once they are inactive.
    for (name, listed, guest, behavior, expected, then) in [
        ("kept", "staff", false, Keep, "disable_user", None),
        ("disabled", "staff", false, Disable, "disable_user", None),
        ("deleted", "staff", false, Delete, "delete_user", Some("delete_user")),
        ("of a group that isn't there", "gone", false, Keep, "disable_user", None),
        ("of one that isn't there, and deleted", "gone", false, Delete, "disable_user", None),
        (
            "of a group within that wasn't named, and deleted",
            "partly",
            false,
            Delete,
            "disable_user",
            Some("delete_user"),
        ),
        ("a guest", "staff", true, Keep, "disable_user", None),
    ] {
        let mut directory = people(20);
        (directory[19].enabled, directory[19].guest) = (Some(false), guest);
        let group = |(id, name)| DirectoryGroup::with(Oid(id), name, (0..19).collect());
        let mut groups = [(1, "staff"), (2, "other")].map(group).to_vec();
        groups.push(group((3, "partly")).without(vec![Oid(9)]));
        let snapshot = Snapshot { people: directory, groups, ..Snapshot::default() };
        let listed = vec![listed.to_owned(), "other".to_owned()];
        let config = DirectoryConfig { user_groups: listed, ..config(behavior) };
        let mut state = users(20);
        assert_eq!(kinds(&plan(&snapshot, &state, &config, CORE, false)), [expected], "{name}");
        let first = plan(&snapshot, &state, &config, CORE, true);
        assert_eq!(kinds(&first), ["disable_user"], "{name}: by the first run too");
        state.users.get_mut(&Oid(20)).unwrap().active = false;
        assert_eq!(kinds(&plan(&snapshot, &state, &config, CORE, false)), Vec::from_iter(then), "{name}: then");
    }
    let mut directory = people(20);
    directory[19].enabled = Some(false);
    let groups = vec![DirectoryGroup::with(Oid(1), "staff", (0..19).collect())];
    let snapshot = Snapshot { people: directory, groups, ..Snapshot::default() };
    let config = DirectoryConfig { user_groups: vec!["staff".into()], ..config(Keep) };
    let mut state = users(20);
    state.users.get_mut(&Oid(20)).unwrap().is_admin = true;
    let kept = plan(&snapshot, &state, &config, CORE, false);
    assert!(kept.actions.is_empty() && kept.skipped.len() == 1, "an administrator is kept, and that is told: {kept:?}");
}

#[test]
fn who_is_not_followed_is_told() {
    let mut directory = people(5);
    (directory[0].enabled, directory[1].enabled) = (None, None);
    let snapshot = Snapshot { people: directory, ..Snapshot::default() };
    let unrecognised = vec![Unrecognised { was: "u3 (u3@a.example)".into(), is: "u3x (other@a.example)".into() }];
    for (name, state, told) in [
        ("of unknown state", users(5), vec!["2 people"]),
        ("not recognised", State { unrecognised, ..users(5) }, vec!["2 people", "u3x (other@a.example)"]),
    ] {
        let plan = plan(&snapshot, &state, &config(LeaverBehavior::Delete), CORE, false);
        let found: Vec<&str> = plan.skipped.iter().map(|skipped| skipped.what.as_str()).collect();
        assert_eq!((found, plan.actions.len()), (told, 0), "{name}: {plan:?}");
    }
}

#[test]
fn who_is_there_after_all_stays_and_so_do_their_memberships() {
    let state = State { groups: following(&[1], &[1, 2, 3]), ..users(20) };
    let left = people(20).into_iter().skip(2).collect();
    let snapshot =
        Snapshot { people: left, groups: vec![DirectoryGroup::with(Oid(1), "g1", vec![0])], ..Snapshot::default() };
    let config = DirectoryConfig { target: SyncTarget::All, ..config(LeaverBehavior::Delete) };
    let mut plan = plan(&snapshot, &state, &config, CORE, false);
    assert_eq!((plan.missing_users.as_slice(), plan.missing_groups.len()), (&[Oid(1), Oid(2)][..], 0));
    plan.keep(&HashMap::from([(Oid(1), "there")]), &HashMap::new());
    let deleted: Vec<Oid> = plan
        .actions
        .iter()
        .filter_map(|action| match action {
            Action::DeleteUser { oid, .. } => Some(*oid),
            _ => None,
        })
        .collect();
    assert_eq!(deleted, [Oid(2)]);
    let removed = plan.actions.iter().find_map(|action| match action {
        Action::ChangeMembers { remove, .. } => Some(remove.clone()),
        _ => None,
    });
    assert_eq!(removed, Some(vec![Oid(2)]), "{plan:?}");
    assert!(plan.skipped.iter().any(|skipped| skipped.why == "there"), "{plan:?}");
}
