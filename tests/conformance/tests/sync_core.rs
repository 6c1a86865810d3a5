//! `apply = "core"`: Defguard Core 1.6 and 2.0 follow the directory, and nobody else's users, groups and administrators are touched
//! (T10, T11, T14, T17; Defguard #1623, #1637, #2833, #3184, #2863).

use std::time::{Duration, Instant};

use conformance::{EntraAndCore, HostOptions};
use core_emulator::{Fault, FaultAction, NewUser, Seed as CoreSeed, Settings, UserRecord, Version, fixtures as core};
use defguard_openid_host::sync::schedule::Schedule;
use defguard_openid_host::sync::{self, Outcome, Report};
use entra_emulator::fixtures::{group, person};
use entra_emulator::seed::{Group, Guid, Member, Outcome as SignInOutcome};
use entra_emulator::{Fault as EntraFault, FaultAction as EntraFaultAction, Side};

const VERSIONS: [Version; 2] = [Version::V1_6, Version::V2_0];
const ADA: &str = "ada@contoso.example";
const ZOE: &str = "zoe@contoso.example";

struct Follows {
    all: EntraAndCore,
}

impl Follows {
    async fn start(version: Version, seed: CoreSeed, settings: &[(&str, &str)]) -> Self {
        let always = [
            ("directory.enabled", "true"),
            ("directory.apply", "\"core\""),
            ("directory.interval_s", "86400"),
            ("directory.steps_per_second", "1000"),
            ("username_handling", "\"prune_email_domain\""),
        ];
        let options =
            always.iter().chain(settings).fold(HostOptions::default(), |options, (key, value)| options.set(key, value));
        let all = EntraAndCore::start(Settings::new(version).seed(seed), options.storage("redb:state.redb"), "").await;
        let entra = all.stack.entra.control();
        let ada = entra.directory().person(person::ADA).unwrap().oid.clone();
        entra.add_member(group::VPN_USERS, Member::User(ada)).unwrap();
        Self { all }
    }

    async fn sign_in(&self, who: &str) -> UserRecord {
        let finished = self.all.stack.browser().sign_in(who).await;
        assert_eq!(finished.status, 200, "{who}: {}", finished.body);
        let token = finished.json()["token"].as_str().unwrap().to_owned();
        let users = self.all.core.control().users();
        users.into_iter().find(|user| user.tokens.iter().any(|known| known.token == token)).expect("the token's user")
    }

    async fn run(&self) -> Report {
        let gateway = &self.all.stack.host.gateway;
        sync::run(gateway, &gateway.config().providers[0], |_| {}).await
    }

    async fn done(&self, name: &str) -> Report {
        let report = self.run().await;
        assert_eq!(report.outcome, Outcome::Done, "{name}: {report:?}");
        report
    }

    /// The user of that address, wherever they are by now.
    fn user(&self, email: &str) -> Option<UserRecord> {
        self.all.user_of(email)
    }

    fn members(&self, name: &str) -> Option<Vec<String>> {
        let groups = self.all.core.control().groups();
        groups.into_iter().find(|group| group.name == name).map(|group| {
            let mut members = group.members;
            members.sort();
            members
        })
    }
}

fn skipped(report: &Report, words: &str) -> bool {
    report.skipped.iter().any(|skipped| skipped.what.contains(words) || skipped.why.contains(words))
}

#[tokio::test]
async fn who_is_linked_follows_and_nobody_else() {
    for version in VERSIONS {
        let seed = CoreSeed::demo().user(NewUser::new("local", "local@contoso.example").names("Lo", "Cal"));
        let follows = Follows::start(version, seed, &[("directory.user_behavior", "\"delete\"")]).await;
        let (entra, core) = (follows.all.stack.entra.control(), follows.all.core.control());
        let ada = follows.sign_in(person::ADA).await;
        follows.sign_in(person::UNICODE).await;
        let first = follows.done("first").await;
        assert!(first.users == 2 && first.groups > 200 && first.steps > 200, "{version:?}: {first:?}");
        assert_eq!(follows.members("vpn-users").as_deref(), Some(&[ada.username.clone()][..]), "{version:?}");
        core.clear_requests();
        let again = follows.done("unchanged").await;
        assert_eq!((again.steps, again.requests), (0, 2), "{version:?}: {again:?}");
        assert!(core.requests().iter().all(|request| request.method == "GET"), "{version:?}: nothing is written");

        entra.edit_person(person::ADA, |ada| ada.outcome = SignInOutcome::Disabled).unwrap();
        follows.done("disabled").await;
        assert!(!follows.user(ADA).unwrap().is_active, "{version:?}: disabled");
        entra.edit_person(person::ADA, |ada| ada.outcome = SignInOutcome::SignsIn).unwrap();
        follows.done("enabled").await;
        assert!(follows.user(ADA).unwrap().is_active, "{version:?}: enabled again, by whoever disabled her");

        core.set_active(&ada.username, false).unwrap();
        follows.done("by hand").await;
        assert!(!follows.user(ADA).unwrap().is_active, "{version:?}: whom an administrator disabled stays so");
        core.set_active(&ada.username, true).unwrap();

        entra.edit_group(group::VPN_USERS, |group| group.members.clear()).unwrap();
        follows.done("left the group").await;
        assert_eq!(follows.members("vpn-users").map(|members| members.len()), Some(0), "{version:?}");

        entra.remove_person(person::ADA).unwrap();
        let report = follows.done("left").await;
        assert!(follows.user(ADA).is_none() && report.users == 1, "{version:?}: deleted: {report:?}");
        let local = follows.user("local@contoso.example").expect("made by hand");
        assert!(local.is_active && local.groups.is_empty(), "{version:?}: never touched: {local:?}");
        assert!(core.user(core::ADMIN).is_some_and(|admin| admin.is_active), "{version:?}");
        // Who comes back is a new person.
        entra.restore_person(person::ADA).unwrap();
        assert_eq!(follows.sign_in(person::ADA).await.username, ada.username, "{version:?}");
    }
}

#[tokio::test]
async fn what_becomes_of_leavers() {
    for version in VERSIONS {
        // Behaviour for users and for administrators; Ada is one or isn't; what she is afterwards.
        for (users, admins, is_admin, expected) in [
            ("keep", "delete", false, Some(true)),
            ("disable", "delete", false, Some(false)),
            ("delete", "keep", false, None),
            ("delete", "keep", true, Some(true)),
            ("keep", "disable", true, Some(false)),
            ("keep", "delete", true, None),
        ] {
            let name = format!("{version:?}: users {users}, admins {admins}, an admin: {is_admin}");
            let (user_behavior, admin_behavior) = (format!("{users:?}"), format!("{admins:?}"));
            let settings =
                [("directory.user_behavior", user_behavior.as_str()), ("directory.admin_behavior", &admin_behavior)];
            let follows = Follows::start(version, CoreSeed::demo(), &settings).await;
            let ada = follows.sign_in(person::ADA).await;
            follows.sign_in(person::UNICODE).await;
            if is_admin {
                follows.all.core.control().set_groups(&ada.username, &[core::ADMIN_GROUP]).unwrap();
            }
            // The first run removes nobody.
            follows.all.stack.entra.control().remove_person(person::ADA).unwrap();
            follows.done(&name).await;
            assert!(follows.user(ADA).is_some_and(|ada| ada.is_active), "{name}: the first run");
            follows.done(&name).await;
            assert_eq!(follows.user(ADA).map(|ada| ada.is_active), expected, "{name}");
        }
    }
}

#[tokio::test]
async fn groups_that_are_somebody_elses() {
    for version in VERSIONS {
        // Listed or not; opted in or not; whether Core's group makes administrators; whether Ada is in it afterwards.
        for (listed, opted_in, is_admin, expected) in [
            (false, false, false, false),
            (true, false, false, true),
            (true, false, true, false),
            (true, true, true, true),
            (false, false, true, false),
        ] {
            let name = format!("{version:?}: listed {listed}, opted in {opted_in}, admin group {is_admin}");
            let list = format!("[{:?}]", group::VPN_USERS);
            let mut settings = vec![];
            if listed {
                settings.push(("directory.group_match", list.as_str()));
            }
            if opted_in {
                settings.push(("directory.admin_groups", list.as_str()));
            }
            let follows = Follows::start(version, CoreSeed::demo().group("vpn-users", is_admin), &settings).await;
            let ada = follows.sign_in(person::ADA).await;
            let report = follows.done(&name).await;
            let is_in = follows.members("vpn-users").unwrap().contains(&ada.username);
            assert_eq!(is_in, expected, "{name}: {report:?}");
            assert_eq!(follows.user(ADA).unwrap().is_admin, expected && is_admin, "{name}");
            assert_eq!(skipped(&report, "vpn-users"), !expected, "{name}: it is said why: {report:?}");
            // It is gone from the directory, and Core's own group stays.
            follows.all.stack.entra.control().remove_group(group::VPN_USERS).unwrap();
            follows.done(&name).await;
            assert!(follows.members("vpn-users").is_some(), "{name}: not ours to delete");
        }
    }
}

#[tokio::test]
async fn names_of_groups() {
    for version in VERSIONS {
        let follows = Follows::start(version, CoreSeed::demo(), &[]).await;
        let entra = follows.all.stack.entra.control();
        let ada = follows.sign_in(person::ADA).await;
        let directory = entra.directory();
        let oid = directory.person(person::ADA).unwrap().oid.clone();
        let tenant = directory.group(group::VPN_USERS).unwrap().tenant.clone();
        let new = |last: u32, name: &str| Group {
            id: Guid::parse(&format!("{last:08x}-0000-4000-8000-0000000000bb")).unwrap(),
            tenant: tenant.clone(),
            display_name: name.to_owned(),
            security_enabled: true,
            members: vec![Member::User(oid.clone())],
        };
        // A group called like that of Core's administrators gives no rights (T11); twins stay two; any letters.
        for (number, name) in [core::ADMIN_GROUP, "twin", "twin", "A, B / C?", "グループ"].into_iter().enumerate() {
            entra.add_group(new(u32::try_from(number).unwrap() + 1, name)).unwrap();
        }
        let report = follows.done("first").await;
        assert!(!follows.user(ADA).unwrap().is_admin && skipped(&report, core::ADMIN_GROUP), "{version:?}: {report:?}");
        for name in ["twin (00000002)", "twin (00000003)", "A, B / C?", "グループ"] {
            assert_eq!(follows.members(name), Some(vec![ada.username.clone()]), "{version:?} {name}");
        }
        entra
            .edit_group("00000004-0000-4000-8000-0000000000bb", |group| group.display_name = "renamed".into())
            .unwrap();
        follows.done("renamed").await;
        assert!(follows.members("A, B / C?").is_none(), "{version:?}");
        assert_eq!(follows.members("renamed"), Some(vec![ada.username.clone()]), "{version:?}");
        let again = follows.done("again").await;
        assert_eq!(again.steps, 0, "{version:?}: names that differ are no difference: {again:?}");
    }
    // Defguard #1637: only groups that are there.
    let seed = CoreSeed::demo().group("vpn-users", false);
    let list = format!("[{:?}, {:?}]", group::VPN_USERS, group::STAFF);
    let settings = [("directory.create_groups", "false"), ("directory.group_match", list.as_str())];
    let follows = Follows::start(Version::V2_0, seed, &settings).await;
    let before = follows.all.core.control().groups().len();
    let ada = follows.sign_in(person::ADA).await;
    follows.done("create_groups").await;
    assert_eq!(follows.all.core.control().groups().len(), before);
    assert_eq!(follows.members("vpn-users"), Some(vec![ada.username]));
}

/// In Core a user may get another address, and later another name: they are followed all the same. Both at once, and nobody knows who it is.
#[tokio::test]
async fn users_whose_name_and_address_change_in_core() {
    for version in VERSIONS {
        // What changes before each run; whether Ada, who has left then, is disabled.
        for (name, changes, expected) in [
            ("the address", &[(None, Some("ada@other.example"))][..], true),
            ("the address, and later the name", &[(None, Some("ada@other.example")), (Some("adax"), None)], true),
            ("the name, and later the address", &[(Some("adax"), None), (None, Some("ada@other.example"))], true),
            ("both at once", &[(Some("adax"), Some("ada@other.example"))], false),
        ] {
            let follows =
                Follows::start(version, CoreSeed::demo(), &[("directory.user_behavior", "\"disable\"")]).await;
            let core = follows.all.core.control();
            let ada = follows.sign_in(person::ADA).await;
            follows.sign_in(person::UNICODE).await;
            follows.done(name).await;
            let mut username = ada.username.clone();
            for &(new, email) in changes {
                let change = |user: &mut core_emulator::User| {
                    user.username = new.map_or(user.username.clone(), String::from);
                    user.email = email.map_or(user.email.clone(), String::from);
                };
                core.edit_user(&username, change).unwrap();
                username = new.map_or(username, String::from);
                follows.done(name).await;
            }
            follows.all.stack.entra.control().remove_person(person::ADA).unwrap();
            let report = follows.done(name).await;
            let is_active = core.user(&username).unwrap().is_active;
            assert_eq!(!is_active, expected, "{version:?} {name}: {report:?}");
            assert_eq!(skipped(&report, &username) && skipped(&report, "former name"), !expected, "{name}: {report:?}");
            if !expected {
                core.edit_user(&username, |user| user.username.clone_from(&ada.username)).unwrap();
                follows.done(name).await;
                assert!(!core.user(&ada.username).unwrap().is_active, "{version:?} {name}: as it is told");
            }
        }
    }
}

/// A group's number is not enough: Core that was set up anew has it too.
#[tokio::test]
async fn groups_that_somebody_gave_another_name() {
    for version in VERSIONS {
        let follows = Follows::start(version, CoreSeed::demo(), &[]).await;
        let (entra, core) = (follows.all.stack.entra.control(), follows.all.core.control());
        let ada = follows.sign_in(person::ADA).await;
        follows.done("first").await;
        assert!(core.rename_group("vpn-users", "by hand"), "{version:?}");
        follows.done("one of them").await;
        assert_eq!(follows.members("vpn-users"), Some(vec![ada.username]), "{version:?}: it gets its name again");
        assert!(follows.members("by hand").is_none(), "{version:?}");
        // It follows, but it may be somebody else's by now.
        assert!(core.rename_group("vpn-users", "by hand"), "{version:?}");
        entra.remove_group(group::VPN_USERS).unwrap();
        let report = follows.done("and gone from the directory").await;
        assert!(follows.members("by hand").is_some() && skipped(&report, "by hand"), "{version:?}: {report:?}");
        for group in core.groups().into_iter().filter(|group| !group.is_admin) {
            assert!(core.rename_group(&group.name, &format!("other {}", group.id)), "{version:?}");
        }
        let state = || core.groups().into_iter().map(|group| (group.id, group.name, group.members)).collect::<Vec<_>>();
        let before = state();
        let report = follows.run().await;
        assert_eq!(report.outcome, Outcome::Held, "{version:?}: {report:?}");
        assert_eq!(report.reason.as_deref(), Some("groups_unlike"), "{version:?}: {report:?}");
        assert_eq!(state(), before, "{version:?}: nothing is changed");
    }
}

#[tokio::test]
async fn people_ahead_of_their_first_sign_in() {
    for version in VERSIONS {
        let seed = CoreSeed::demo().user(NewUser::new("zoe", ZOE).names("Local", "Zoe"));
        let follows = Follows::start(version, seed, &[("directory.prefetch_users", "true")]).await;
        let entra = follows.all.stack.entra.control();
        entra.edit_person(person::NO_MAIL, |nora| nora.outcome = SignInOutcome::Disabled).unwrap();
        let report = follows.done("first").await;
        let ada = follows.user(ADA).unwrap_or_else(|| panic!("{version:?}: {report:?}"));
        assert!(ada.is_active && !ada.enrolled && ada.groups.contains(&"vpn-users".to_owned()), "{version:?}: {ada:?}");
        assert!(follows.user("nora@contoso.example").is_none(), "{version:?}: who is disabled isn't made");
        assert!(follows.user("grace@fabrikam.example").is_none(), "{version:?}: nor are guests");
        let zoe = follows.user(ZOE).expect("she is there");
        assert_eq!((zoe.first_name.as_str(), zoe.groups.len()), ("Local", 0), "{version:?}: nobody is taken over");
        assert!(skipped(&report, ZOE), "{version:?}: and that is said: {report:?}");
        let before = follows.all.core.control().users().len();
        assert_eq!(follows.sign_in(person::ADA).await.id, ada.id, "{version:?}: the person finds their own user");
        assert_eq!(follows.all.core.control().users().len(), before, "{version:?}");
        let again = follows.done("again").await;
        assert!(again.steps == 0, "{version:?}: {again:?}");
    }
}

#[tokio::test]
async fn core_that_fails_in_between_is_gone_on_with() {
    let table: [(&str, &str, &str, FaultAction); 7] = [
        ("a group's answer is lost", "POST", "/api/v1/group", FaultAction::DoneThenReset),
        ("a group can't be made", "POST", "/api/v1/group", FaultAction::status(503)),
        ("a membership's answer is lost", "POST", "/api/v1/groups-assign", FaultAction::DoneThenReset),
        ("a membership fails", "POST", "/api/v1/groups-assign", FaultAction::status(500)),
        ("the list of groups isn't whole", "GET", "/api/v1/group-info", FaultAction::Truncate { at: 30 }),
        ("users can't be listed", "GET", "/api/v1/user", FaultAction::status(502)),
        ("nonsense", "GET", "/api/v1/group-info", FaultAction::BadJson),
    ];
    for version in VERSIONS {
        for (name, method, path, action) in table.clone() {
            let follows = Follows::start(version, CoreSeed::demo(), &[]).await;
            let core = follows.all.core.control();
            let ada = follows.sign_in(person::ADA).await;
            core.add_fault(Fault::new(action).on(method, path).times(1));
            let report = follows.run().await;
            if report.outcome != Outcome::Done {
                assert_eq!(report.reason.as_deref(), Some("apply_failed"), "{version:?} {name}: {report:?}");
                assert!(report.detail.is_some_and(|detail| detail.contains("Defguard Core")), "{version:?} {name}");
            }
            core.clear_faults();
            follows.done(name).await;
            assert_eq!(follows.members("vpn-users"), Some(vec![ada.username]), "{version:?} {name}");
            let again = follows.done(name).await;
            assert_eq!(again.steps, 0, "{version:?} {name}: {again:?}");
            let names: Vec<String> = core.groups().into_iter().map(|group| group.name).collect();
            let unique: std::collections::BTreeSet<&String> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{version:?} {name}: none twice");
        }
    }
}

/// What Core keeps refusing is told and tried again; nothing else suffers, and nothing is lost.
#[tokio::test]
async fn core_that_refuses_one_kind_of_change_for_long() {
    let keep = [("directory.user_behavior", "\"delete\""), ("directory.max_removal_percent", "100")];
    let table: [(&str, &str, &str); 5] = [
        ("nobody can be disabled", "PUT", "/api/v1/user/*"),
        ("nobody can be deleted", "DELETE", "/api/v1/user/*"),
        ("nobody leaves a group", "DELETE", "/api/v1/group/*"),
        ("nobody joins a group", "POST", "/api/v1/groups-assign"),
        ("no group can be made", "POST", "/api/v1/group"),
    ];
    for version in VERSIONS {
        for (name, method, path) in table {
            let follows = Follows::start(version, CoreSeed::demo(), &keep).await;
            let (entra, core) = (follows.all.stack.entra.control(), follows.all.core.control());
            let ada = follows.sign_in(person::ADA).await;
            let zoe = follows.sign_in(person::UNICODE).await;
            follows.sign_in(person::IN_GROUPS).await;
            follows.done(name).await;
            // One joins, one leaves and is disabled, one is gone, and there is a new group.
            let zoes = entra.directory().person(person::UNICODE).unwrap().oid.clone();
            entra.edit_group(group::VPN_USERS, |group| group.members = vec![Member::User(zoes)]).unwrap();
            entra.edit_person(person::ADA, |ada| ada.outcome = SignInOutcome::Disabled).unwrap();
            entra.remove_person(person::IN_GROUPS).unwrap();
            let users = core.users().len();
            core.add_fault(Fault::new(FaultAction::status(500)).on(method, path));
            for attempt in ["at first", "again"] {
                let report = follows.run().await;
                if report.outcome == Outcome::Done {
                    assert!(
                        !report.skipped.is_empty() || method == "POST",
                        "{version:?} {name}, {attempt}: {report:?}"
                    );
                } else {
                    assert_eq!(report.reason.as_deref(), Some("apply_failed"), "{version:?} {name}: {report:?}");
                }
                assert!(core.users().len() >= users - 1, "{version:?} {name}: one is gone in the directory");
                assert!(core.user(core::ADMIN).is_some_and(|admin| admin.is_active), "{version:?} {name}");
            }
            core.clear_faults();
            follows.done(name).await;
            assert!(!follows.user(ADA).unwrap().is_active, "{version:?} {name}: {}", ada.username);
            assert_eq!(follows.members("vpn-users"), Some(vec![zoe.username.clone()]), "{version:?} {name}");
            assert_eq!(core.users().len(), users - 1, "{version:?} {name}: who left is deleted");
            assert_eq!(follows.done(name).await.steps, 0, "{version:?} {name}: all is done");
        }
    }
}

/// A record that Core can't deal with is told, and holds up nobody else in the group: neither who leaves nor who joins.
#[tokio::test]
async fn one_bad_record_holds_up_nobody_else() {
    for version in VERSIONS {
        for (name, method, path) in
            [("one can't leave", "DELETE", "*/user/{bad}"), ("nobody can join", "POST", "/api/v1/groups-assign")]
        {
            let follows = Follows::start(version, CoreSeed::demo(), &[]).await;
            let (entra, core) = (follows.all.stack.entra.control(), follows.all.core.control());
            let people = [person::ADA, person::UNICODE, person::IN_GROUPS, person::MAIL_IN_USERINFO];
            let mut names = Vec::new();
            for who in people {
                names.push(follows.sign_in(who).await.username);
            }
            let member = |who: &str| Member::User(entra.directory().person(who).unwrap().oid.clone());
            let set = |who: &[&str]| {
                let members: Vec<_> = who.iter().map(|who| member(who)).collect();
                entra.edit_group(group::VPN_USERS, |group| group.members = members).unwrap();
            };
            set(&people[..3]);
            follows.done(name).await;
            assert_eq!(follows.members("vpn-users").map(|members| members.len()), Some(3), "{version:?} {name}");
            // All three leave, the fourth comes.
            set(&people[3..]);
            let bad = names[0].clone();
            core.add_fault(Fault::new(FaultAction::status(500)).on(method, path.replace("{bad}", &bad)));
            let report = follows.run().await;
            assert_eq!(report.reason.as_deref(), Some("apply_failed"), "{version:?} {name}: {report:?}");
            let left = follows.members("vpn-users").unwrap();
            let expected: Vec<String> = if method == "POST" { Vec::new() } else { vec![bad, names[3].clone()] };
            assert_eq!(
                left.into_iter().collect::<std::collections::BTreeSet<_>>(),
                expected.into_iter().collect(),
                "{version:?} {name}"
            );
            core.clear_faults();
            follows.done(name).await;
            assert_eq!(follows.members("vpn-users"), Some(vec![names[3].clone()]), "{version:?} {name}");
        }
    }
}

/// One step that fails from the beginning on is told, and doesn't make each run a first one.
#[tokio::test]
async fn a_step_that_always_fails_keeps_nobody_who_left() {
    let disable = [("directory.user_behavior", "\"disable\"")];
    for version in VERSIONS {
        let follows = Follows::start(version, CoreSeed::demo(), &disable).await;
        let (entra, core) = (follows.all.stack.entra.control(), follows.all.core.control());
        follows.sign_in(person::ADA).await;
        follows.sign_in(person::UNICODE).await;
        core.add_fault(Fault::new(FaultAction::status(500)).on("POST", "/api/v1/group").times(1));
        let report = follows.run().await;
        assert_eq!(report.reason.as_deref(), Some("apply_failed"), "{version:?}: {report:?}");
        assert!(report.steps > 100, "{version:?}: the others are done: {report:?}");
        entra.remove_person(person::ADA).unwrap();
        core.add_fault(Fault::new(FaultAction::status(500)).on("POST", "/api/v1/group"));
        follows.run().await;
        assert!(!follows.user(ADA).unwrap().is_active, "{version:?}: who left has no access any more");
    }
}

/// Records that Core can't deal with, however many, starve nobody behind them.
#[tokio::test]
async fn bad_records_starve_nobody() {
    for version in VERSIONS {
        let follows = Follows::start(version, CoreSeed::demo(), &[("directory.max_removal_percent", "100")]).await;
        let (entra, core) = (follows.all.stack.entra.control(), follows.all.core.control());
        let mut users = Vec::new();
        for who in [person::ADA, person::UNICODE, person::IN_GROUPS, person::MAIL_IN_USERINFO, person::IN_CYCLE] {
            users.push((entra.directory().person(who).unwrap().oid.clone(), who, follows.sign_in(who).await.username));
        }
        follows.done("first").await;
        for (_, who, _) in &users {
            entra.edit_person(who, |person| person.outcome = SignInOutcome::Disabled).unwrap();
        }
        // In the order of their object ids the first four can't be written.
        users.sort();
        let (_, _, last) = users.pop().unwrap();
        for (_, _, bad) in &users {
            core.add_fault(Fault::new(FaultAction::status(500)).on("PUT", format!("/api/v1/user/{bad}")));
        }
        let report = follows.run().await;
        assert_eq!(report.reason.as_deref(), Some("apply_failed"), "{version:?}: {report:?}");
        assert!(report.detail.as_ref().is_some_and(|detail| detail.contains("4 of 5")), "{version:?}: {report:?}");
        assert!(!core.user(&last).unwrap().is_active, "{version:?}: {last} has no access any more: {report:?}");
    }
}

/// What a sign-in was told while a run was reading is older than what that run did: it undoes nothing, and another run tells.
#[tokio::test]
async fn a_sign_in_undoes_no_newer_run() {
    for (name, is_in_before, is_in_after) in [("who joins", false, true), ("who leaves", true, false)] {
        let follows = Follows::start(Version::V2_0, CoreSeed::demo(), &[]).await;
        let (entra, gateway) = (follows.all.stack.entra.control(), &follows.all.stack.host.gateway);
        let ada = follows.sign_in(person::ADA).await;
        let oid = entra.directory().person(person::ADA).unwrap().oid.clone();
        if !is_in_before {
            entra.remove_member(group::VPN_USERS, &oid).unwrap();
        }
        follows.done(name).await;
        assert_eq!(follows.members("vpn-users").unwrap().contains(&ada.username), is_in_before, "{name}");
        // While this run waits for the groups, she signs in; then she joins or leaves; and then the run reads it.
        let mut seen = gateway.at_login().receive();
        let busy = EntraFaultAction::Status { status: 429, retry_after: Some("1".into()), html: false };
        let busy = entra.add_fault(EntraFault::new(busy).on(Side::Graph).path("/v1.0/groups/delta"));
        let provider = &gateway.config().providers[0];
        let changed = async {
            while entra.fault_hits(busy) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(follows.all.stack.browser().sign_in(person::ADA).await.status, 200, "{name}");
            if is_in_after {
                entra.add_member(group::VPN_USERS, Member::User(oid.clone())).unwrap();
            } else {
                entra.remove_member(group::VPN_USERS, &oid).unwrap();
            }
            entra.clear_faults();
        };
        let (report, ()) = tokio::join!(sync::run(gateway, provider, |_| {}), changed);
        assert_eq!(report.outcome, Outcome::Done, "{name}: {report:?}");
        assert_eq!(follows.members("vpn-users").unwrap().contains(&ada.username), is_in_after, "{name}: by the run");
        let person = seen.try_recv().expect("she was seen");
        assert!(sync::seen(gateway, provider, &person).await, "{name}: another run is wanted");
        let is_in = follows.members("vpn-users").unwrap().contains(&ada.username);
        assert_eq!(is_in, is_in_after, "{name}: and what she was told then is too old");
    }
}

#[tokio::test]
async fn every_step_is_in_the_audit_log_with_its_reason() {
    let settings = [("directory.user_behavior", "\"delete\""), ("directory.max_removal_percent", "100")];
    let follows = Follows::start(Version::V2_0, CoreSeed::demo(), &settings).await;
    let entra = follows.all.stack.entra.control();
    let ada = follows.sign_in(person::ADA).await;
    follows.sign_in(person::UNICODE).await;
    let first = follows.done("first").await;
    entra.remove_person(person::ADA).unwrap();
    entra.edit_person(person::UNICODE, |zoe| zoe.outcome = SignInOutcome::Disabled).unwrap();
    entra.remove_group(group::VPN_USERS).unwrap();
    let then = follows.done("then").await;
    let records: Vec<serde_json::Value> =
        follows.all.stack.host.audit().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let records: Vec<_> = records.into_iter().filter(|record| record["step"] == "sync").collect();
    assert_eq!(records.len() as u64, first.steps + then.steps, "one for each step");
    for (action, about, reason) in [
        ("create_group", "vpn-users", ""),
        ("change_members", "vpn-users", ""),
        ("delete_user", ada.username.as_str(), "not in the directory any more"),
        ("disable_user", ZOE, "disabled in the directory"),
        ("delete_group", "vpn-users", "not in the directory"),
    ] {
        let found = records.iter().any(|record| {
            let text = record.to_string();
            record["action"] == action && text.contains(about) && text.contains(reason)
        });
        assert!(found, "{action} {about}: {records:#?}");
    }
    assert!(records.iter().all(|record| record["trace"].is_string() && record["provider"] == "entra"), "{records:#?}");
    let metrics = follows.all.stack.host.gateway.metrics().text().unwrap();
    for expected in [
        "defguard_openid_sync_runs_total{provider=\"entra\",outcome=\"done\",reason=\"\"} 2",
        "defguard_openid_sync_last_success_timestamp_seconds{provider=\"entra\"} 1",
        "defguard_openid_sync_last_duration_seconds{provider=\"entra\"}",
        "defguard_openid_sync_requests_total{provider=\"entra\"}",
        "defguard_openid_sync_throttled_requests_total{provider=\"entra\"} 0",
        "defguard_openid_sync_held_removals{provider=\"entra\"} 0",
        "defguard_openid_sync_cursor_timestamp_seconds{provider=\"entra\"} 1",
        "defguard_openid_sync_objects{provider=\"entra\",object=\"users\"} 1",
    ] {
        assert!(metrics.contains(expected), "{expected}: {metrics}");
    }
}

#[tokio::test]
async fn who_signs_in_is_in_their_groups_at_once() {
    let follows = Follows::start(Version::V2_0, CoreSeed::demo(), &[]).await;
    follows.done("the groups").await;
    let schedule = Schedule::start(&follows.all.stack.host.gateway).await;
    let ada = follows.sign_in(person::ADA).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while follows.members("vpn-users") != Some(vec![ada.username.clone()]) {
        assert!(Instant::now() < deadline, "{:?}", follows.members("vpn-users"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(schedule);
}

/// What a sign-in is told may be without hidden groups, and nobody counts what it would end: it adds, and a run takes away.
#[tokio::test]
async fn a_sign_in_ends_no_membership() {
    let follows = Follows::start(Version::V2_0, CoreSeed::demo(), &[]).await;
    let (entra, gateway) = (follows.all.stack.entra.control(), &follows.all.stack.host.gateway);
    let ada = follows.sign_in(person::ADA).await;
    follows.done("she is in").await;
    assert_eq!(follows.members("vpn-users").unwrap(), [ada.username.as_str()]);
    let oid = entra.directory().person(person::ADA).unwrap().oid.clone();
    entra.remove_member(group::VPN_USERS, &oid).unwrap();
    let mut seen = gateway.at_login().receive();
    follows.sign_in(person::ADA).await;
    let told = seen.try_recv().expect("she was seen");
    assert!(!sync::seen(gateway, &gateway.config().providers[0], &told).await);
    assert_eq!(follows.members("vpn-users").unwrap(), [ada.username.as_str()], "by the sign-in");
    follows.done("a run").await;
    assert!(follows.members("vpn-users").unwrap().is_empty(), "by the run");
}
