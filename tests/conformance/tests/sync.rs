//! Directory synchronisation from Graph to the document of `apply = "file:…"`: everything, then what changed; and nobody removed
//! by mistake (T9 to T12, T14, T17).

use conformance::Synced;
use defguard_openid_host::gateway::Verdict;
use defguard_openid_host::sync::Outcome;
use entra_emulator::fixtures::{self, group, person};
use entra_emulator::seed::{Group, Guid, Member, Outcome as SignInOutcome};
use entra_emulator::{Fault, FaultAction, Side};

fn oid(seed: &entra_emulator::Seed, key: &str) -> Guid {
    seed.person(key).unwrap().oid.clone()
}

#[tokio::test]
async fn everything_and_then_what_changed() {
    let synced = Synced::start(&[("directory.user_behavior", "\"delete\"")]).await;
    let control = synced.control();
    let first = synced.done("first").await;
    synced.is_as_expected("first");
    assert!(first.users > 20 && first.groups > 250 && first.memberships > 250, "{first:?}");

    // Without changes: two requests.
    let before = synced.graph_requests();
    let report = synced.done("unchanged").await;
    assert_eq!((report.requests, synced.graph_requests() - before), (2, 2), "{report:?}");
    synced.is_as_expected("unchanged");

    let seed = control.directory();
    let new_group = Group {
        id: Guid::parse("44444444-4444-4444-8444-0000000000aa").unwrap(),
        tenant: Guid::parse(fixtures::CONTOSO).unwrap(),
        display_name: "new".into(),
        security_enabled: true,
        members: vec![Member::User(oid(&seed, person::ADA)), Member::Group(Guid::parse(group::CYCLE_A).unwrap())],
    };
    let steps: Vec<(&str, Box<dyn Fn()>)> = vec![
        (
            "renamed",
            Box::new(|| {
                control.edit_person(person::ADA, |ada| ada.mail = Some("countess@contoso.example".into())).unwrap();
            }),
        ),
        (
            "an apostrophe and a plus",
            Box::new(|| {
                control.edit_person(person::ADA, |ada| ada.mail = Some("a.o'brien+x@contoso.example".into())).unwrap();
            }),
        ),
        ("without a mailbox", Box::new(|| control.edit_person(person::ADA, |ada| ada.mail = None).unwrap())),
        (
            "disabled",
            Box::new(|| control.edit_person(person::ADA, |ada| ada.outcome = SignInOutcome::Disabled).unwrap()),
        ),
        ("enabled", Box::new(|| control.edit_person(person::ADA, |ada| ada.outcome = SignInOutcome::SignsIn).unwrap())),
        ("a new group with a circle inside", Box::new(|| control.add_group(new_group.clone()).unwrap())),
        (
            "left the group",
            Box::new(|| {
                control
                    .edit_group("44444444-4444-4444-8444-0000000000aa", |group| {
                        group.members.remove(0);
                    })
                    .unwrap();
            }),
        ),
        (
            "the circle is broken",
            Box::new(|| control.edit_group(group::CYCLE_B, |group| group.members.clear()).unwrap()),
        ),
        ("the group is deleted", Box::new(|| control.remove_group("44444444-4444-4444-8444-0000000000aa").unwrap())),
        ("somebody is deleted", Box::new(|| control.remove_person(person::UNICODE).unwrap())),
        ("and restored", Box::new(|| control.add_person(seed.person(person::UNICODE).unwrap().clone()).unwrap())),
        (
            "the last group is left",
            Box::new(|| {
                for id in [group::VPN_USERS, group::STAFF, group::NEWSLETTER] {
                    control.edit_group(id, |group| group.members.clear()).unwrap();
                }
            }),
        ),
    ];
    for (name, step) in steps {
        step();
        let report = synced.done(name).await;
        synced.is_as_expected(name);
        assert!(report.requests <= 3, "{name}: {report:?}");
    }
}

#[tokio::test]
async fn however_graph_cuts_and_orders_it() {
    let table: [(&str, fn(&mut entra_emulator::GraphSettings)); 5] = [
        ("small pages", |graph| graph.page_size = Some(7)),
        ("big groups in parts", |graph| (graph.page_size, graph.members_at_once) = (Some(3), 1)),
        ("empty pages", |graph| graph.empty_pages = vec![1, 3, 4]),
        ("backwards", |graph| graph.delta_backwards = true),
        ("old news again", |graph| graph.delta_replays = true),
    ];
    for (name, settings) in table {
        let synced = Synced::start(&[("directory.user_behavior", "\"delete\"")]).await;
        let control = synced.control();
        control.edit_graph(settings);
        synced.done(name).await;
        synced.is_as_expected(name);
        control.remove_person(person::ADA).unwrap();
        control.edit_group(group::STAFF, |group| group.members.clear()).unwrap();
        control.edit_person(person::UNICODE, |zoe| zoe.mail = Some("zoe2@contoso.example".into())).unwrap();
        for again in ["then", "and then"] {
            synced.done(name).await;
            synced.is_as_expected(&format!("{name}, {again}"));
        }
    }
}

#[tokio::test]
async fn what_does_not_pass_changes_nothing() {
    type Spoil = fn(&Synced);
    let table: [(&str, Spoil, &str); 4] = [
        ("no permission for people", |synced| synced.revoke("User.Read.All"), "permission_missing"),
        ("no permission for groups", |synced| synced.revoke("GroupMember.Read.All"), "permission_missing"),
        (
            "a wrong secret",
            |synced| {
                let control = synced.control();
                control.revoke_access_tokens();
                control.edit_app(fixtures::CLIENT_ID, |app| app.secrets.clear()).unwrap();
            },
            "credential_refused",
        ),
        (
            "a directory that never comes to an end",
            |synced| {
                let fault = Fault::new(FaultAction::GraphError { status: 410, code: "resyncRequired".into() });
                synced.control().add_fault(fault.on(Side::Graph).path("*/delta"));
            },
            "directory_malformed",
        ),
    ];
    for (name, spoil, code) in table {
        let synced = Synced::start(&[("directory.user_behavior", "\"delete\"")]).await;
        synced.done(name).await;
        let before = std::fs::read(&synced.file).unwrap();
        synced.control().remove_person(person::ADA).unwrap();
        spoil(&synced);
        let report = synced.run().await;
        assert_eq!((report.outcome, report.reason.as_deref()), (Outcome::Failed, Some(code)), "{name}: {report:?}");
        assert!(report.detail.is_some_and(|detail| detail.len() > 20), "{name}");
        assert_eq!(std::fs::read(&synced.file).unwrap(), before, "{name}: the document is as it was");
        if code == "directory_malformed" {
            synced.control().clear_faults();
            synced.done("once that is over").await;
            synced.is_as_expected("once that is over");
        }
    }
}

/// The token endpoint is found by the discovery document: without it a first run reads nothing, and a later one removes nobody.
#[tokio::test]
async fn discovery_that_is_down_is_waited_for() {
    let synced = Synced::start(&[("directory.user_behavior", "\"delete\"")]).await;
    let control = synced.control();
    control.add_fault(Fault::new(FaultAction::DiscoveryDown));
    let report = synced.run().await;
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    assert!(report.reason.is_some() && report.detail.is_some_and(|detail| detail.len() > 20), "it says why");
    assert!(!synced.file.exists(), "nothing was read, so nothing is written");
    control.clear_faults();
    // What failed isn't asked for again for some seconds.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while synced.run().await.outcome != Outcome::Done {
        assert!(std::time::Instant::now() < deadline, "not well again within 60 s");
        tokio::time::sleep(std::time::Duration::from_millis(250)).await;
    }
    synced.is_as_expected("once it is back");
    control.add_fault(Fault::new(FaultAction::DiscoveryDown));
    control.remove_person(person::ADA).unwrap();
    control.revoke_access_tokens();
    synced.done("the document is known").await;
    synced.is_as_expected("one is gone, and nobody else");
}

#[tokio::test]
async fn nobody_is_removed_by_mistake() {
    let delete = ("directory.user_behavior", "\"delete\"");
    let synced = Synced::start(&[delete]).await;
    synced.done("first").await;
    let before = synced.state();
    let control = synced.control();
    let seed = control.directory();
    // More than a fifth of everybody.
    for person in seed.persons.iter().filter(|person| person.tenant.as_str() == fixtures::CONTOSO).take(15) {
        control.remove_person(&person.key).unwrap();
    }
    for attempt in ["held", "and held again"] {
        let report = synced.run().await;
        assert_eq!(
            (report.outcome, report.reason.as_deref()),
            (Outcome::Held, Some("too_many_removals")),
            "{attempt}: {report:?}"
        );
        assert_eq!(synced.state(), before, "{attempt}");
    }
    // They come back: nothing has happened.
    for person in seed.persons.iter().filter(|person| control.directory().person(&person.key).is_none()) {
        control.restore_person(&person.key).unwrap();
    }
    synced.done("they are back").await;
    assert_eq!(synced.state().users, before.users);
    // Nobody at all is never believed.
    for person in &control.directory().persons {
        control.remove_person(&person.key).unwrap();
    }
    let report = synced.run().await;
    assert_eq!((report.outcome, report.reason.as_deref()), (Outcome::Held, Some("directory_empty")), "{report:?}");
    assert_eq!(synced.state().users, before.users);
}

#[tokio::test]
async fn what_becomes_of_leavers() {
    let ada = "33333333-3333-4333-8333-000000000001";
    for (behavior, expected) in [("keep", Some(true)), ("disable", Some(false)), ("delete", None)] {
        let synced = Synced::start(&[("directory.user_behavior", &format!("{behavior:?}"))]).await;
        synced.done(behavior).await;
        synced.control().remove_person(person::ADA).unwrap();
        synced.done(behavior).await;
        assert_eq!(synced.state().users.get(ada).map(|user| user.1), expected, "{behavior}");
        assert!(
            synced.state().groups.values().all(|members| !members.contains(ada)),
            "{behavior}: in no group any more"
        );
    }
    // A document of before belongs to somebody: the first run removes nobody.
    let synced = Synced::start(&[("directory.user_behavior", "\"delete\"")]).await;
    let stranger = "00000000-0000-4000-8000-000000000001";
    std::fs::write(
        &synced.file,
        format!("{{\"users\":[{{\"oid\":\"{stranger}\",\"email\":\"x@y.example\",\"active\":true}}],\"groups\":[]}}"),
    )
    .unwrap();
    synced.done("first").await;
    assert!(synced.state().users.contains_key(stranger));
    synced.done("second").await;
    assert!(!synced.state().users.contains_key(stranger), "it is the directory's now");
}

#[tokio::test]
async fn who_counts_and_what_is_matched() {
    let vpn = group::VPN_USERS;
    let guests = Synced::start(&[("directory.guests", "true")]).await;
    guests.done("guests").await;
    assert_eq!(guests.state().users, guests.expected(true).users);
    let only = Synced::start(&[("directory.user_groups", &format!("[{vpn:?}]"))]).await;
    only.done("user_groups").await;
    assert_eq!(only.state().users.len(), only.expected(false).groups[vpn].len());
    let by_name = Synced::start(&[("directory.group_match", "[\"vpn-users\"]")]).await;
    by_name.done("group_match").await;
    let directory = by_name.control().directory();
    assert_eq!(directory.group(vpn).unwrap().display_name, "vpn-users", "the fixture's name");
    assert_eq!(by_name.state().groups.keys().collect::<Vec<_>>(), [vpn]);
    let twin = directory.group(group::TWIN_A).unwrap().display_name.clone();
    let twins = Synced::start(&[("directory.group_match", &format!("[{twin:?}]"))]).await;
    let report = twins.done("twins").await;
    assert!(twins.state().groups.is_empty() && report.users > 20, "{report:?}");
    let told = report.skipped.iter().find(|skipped| skipped.what.contains(&twin)).expect("it is told");
    assert!(told.why.contains(group::TWIN_A) && told.why.contains(group::TWIN_B), "which ids there are: {told:?}");
    let users = Synced::start(&[("directory.target", "\"users\"")]).await;
    users.done("users only").await;
    assert_eq!(users.state().users, users.expected(false).users);
    assert!(users.state().groups.is_empty());
}

/// Without `Member.Read.Hidden` a group of hidden membership looks empty, after a reading from the beginning too: it isn't.
#[tokio::test]
async fn a_hidden_membership_never_reads_as_empty() {
    let synced = Synced::start(&[("directory.max_removal_percent", "100")]).await;
    let control = synced.control();
    control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles.push("Member.Read.Hidden".into())).unwrap();
    control.hide_membership(group::VPN_USERS, true).unwrap();
    synced.done("with the permission").await;
    synced.is_as_expected("with the permission");
    assert!(!synced.state().groups[group::VPN_USERS].is_empty(), "there is somebody to lose");
    let resync = || {
        let gone = FaultAction::GraphError { status: 410, code: "resyncRequired".into() };
        control.add_fault(Fault::new(gone).on(Side::Graph).path("/v1.0/groups/delta").times(1));
    };
    synced.revoke("Member.Read.Hidden");
    synced.done("with a token that knows it").await;
    for name in ["from the beginning", "and again"] {
        resync();
        let report = synced.done(name).await;
        synced.is_as_expected(name);
        let told = report.skipped.iter().any(|skipped| skipped.why.contains("Member.Read.Hidden"));
        assert!(told, "{name}: it is told what to grant: {report:?}");
    }
    // With the permission again, who is in it is believed again.
    control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles.push("Member.Read.Hidden".into())).unwrap();
    control.revoke_access_tokens();
    let one = control.directory().group(group::VPN_USERS).unwrap().members[..1].to_vec();
    control.edit_group(group::VPN_USERS, |group| group.members.clone_from(&one)).unwrap();
    synced.done("with a token that knows it again").await;
    resync();
    let report = synced.done("granted again").await;
    synced.is_as_expected("granted again");
    assert!(report.skipped.is_empty(), "{report:?}");
}

/// A replica that a creation hasn't reached answers as if there were nobody (entra_graph §5.3): whoever isn't named is asked for.
#[tokio::test]
async fn a_replica_that_lags_removes_nobody() {
    let synced = Synced::start(&[("directory.user_behavior", "\"delete\"")]).await;
    let control = synced.control();
    synced.done("first").await;
    let ada = control.directory().person(person::ADA).unwrap().clone();
    let new = Group {
        id: Guid::parse("44444444-4444-4444-8444-0000000000ab").unwrap(),
        tenant: ada.tenant.clone(),
        display_name: "new".into(),
        security_enabled: true,
        members: Vec::new(),
    };
    let newcomer = entra_emulator::seed::Person {
        key: "newcomer".into(),
        oid: Guid::parse("33333333-3333-4333-8333-0000000000ab").unwrap(),
        user_principal_name: "newcomer@contoso.example".into(),
        mail: Some("newcomer@contoso.example".into()),
        ..ada
    };
    control.add_person(newcomer.clone()).unwrap();
    control.add_group(new.clone()).unwrap();
    synced.done("they come").await;
    synced.is_as_expected("they come");
    for path in ["/v1.0/users/delta", "/v1.0/groups/delta"] {
        let gone = FaultAction::GraphError { status: 410, code: "resyncRequired".into() };
        control.add_fault(Fault::new(gone).on(Side::Graph).path(path).times(1));
    }
    control.edit_graph(|graph| graph.delta_hidden_revisions = 2);
    let report = synced.done("the replica doesn't have them").await;
    synced.is_as_expected("they stay");
    let kept: Vec<&str> = report.skipped.iter().map(|skipped| skipped.why.as_str()).collect();
    assert_eq!(kept.iter().filter(|why| why.contains("though it didn't name it")).count(), 2, "{report:?}");
    // Really gone is gone, at once.
    control.edit_graph(|graph| graph.delta_hidden_revisions = 0);
    synced.done("it has caught up").await;
    synced.is_as_expected("it has caught up");
    control.remove_person(&newcomer.key).unwrap();
    control.remove_group(new.id.as_str()).unwrap();
    let report = synced.done("gone").await;
    synced.is_as_expected("gone");
    assert_eq!((report.steps, report.requests), (2, 4), "two deltas, a batch for each kind: {report:?}");
    // As long as nobody can say, nobody goes.
    control.remove_person(person::UNICODE).unwrap();
    control.add_fault(Fault::new(FaultAction::Hang).on(Side::Graph).path("/v1.0/$batch").times(1));
    let report = synced.done("no answer").await;
    assert!(
        report.steps == 0 && report.skipped.iter().any(|kept| kept.why.contains("couldn't be asked")),
        "{report:?}"
    );
    synced.done("an answer").await;
    synced.is_as_expected("an answer");
}

/// A delta link lives for seven days: after five, everything is read again before Graph refuses it.
#[tokio::test]
async fn a_delta_link_is_renewed_before_it_ends() {
    const DAY_S: i64 = 24 * 3600;
    for (name, days, is_whole) in [("the next day", 1, false), ("after six", 6, true)] {
        let synced = Synced::start(&[]).await;
        let control = synced.control();
        synced.done("first").await;
        synced.host.clock.advance(days * DAY_S);
        control.advance_clock(days * DAY_S);
        control.clear_requests();
        let report = synced.done(name).await;
        synced.is_as_expected(name);
        assert_eq!(report.requests > 2, is_whole, "{name}: {report:?}");
        let requests = control.requests();
        let deltas: Vec<_> = requests.iter().filter(|request| request.path.ends_with("/delta")).collect();
        assert!(deltas.iter().all(|request| request.status == Some(200)), "{name}: nothing is refused: {deltas:?}");
    }
}

#[tokio::test]
async fn test_connection_names_what_is_missing() {
    let table: [(&str, &[&str], &[&str]); 3] = [
        ("all there", &[], &[]),
        ("people", &["User.Read.All"], &["users"]),
        ("groups", &["GroupMember.Read.All", "Group.Read.All"], &["groups", "members"]),
    ];
    for (name, revoked, failing) in table {
        let synced = Synced::start(&[]).await;
        for role in revoked {
            synced.revoke(role);
        }
        let gateway = &synced.host.gateway;
        let trace = defguard_openid_host::capability::TraceId::new();
        let findings = gateway.test_connection(&gateway.config().providers[0], &trace).await.unwrap();
        let names: Vec<&str> = findings.iter().map(|finding| finding.name.as_str()).collect();
        assert_eq!(names, ["users", "groups", "members"], "{name}: {findings:?}");
        let failed: Vec<&str> = findings
            .iter()
            .filter(|finding| finding.verdict == defguard_openid_host::gateway::Verdict::Fail)
            .map(|finding| finding.name.as_str())
            .collect();
        assert_eq!(failed, failing, "{name}: {findings:?}");
        for finding in findings.iter().filter(|finding| failing.contains(&finding.name.as_str())) {
            assert!(finding.hint.contains("Grant admin consent"), "{name}: {finding:?}");
        }
    }
}

#[tokio::test]
async fn a_batch_whose_parts_fail_is_asked_again_for_these() {
    let busy = |retry_after: Option<&str>| FaultAction::Status {
        status: 429,
        retry_after: retry_after.map(str::to_owned),
        html: false,
    };
    // A part that fails, how often, and how; what is found of it, and how many parts were asked for in all.
    for (name, fault, times, expected, parts) in [
        ("one is throttled once", busy(Some("1")), 1, Verdict::Pass, 4),
        ("without saying for how long", busy(None), 1, Verdict::Pass, 4),
        ("for longer than a test may wait", busy(Some("60")), 1, Verdict::Fail, 3),
        ("again and again", busy(Some("1")), 9, Verdict::Fail, 4),
        (
            "it fails otherwise",
            FaultAction::Status { status: 500, retry_after: None, html: false },
            1,
            Verdict::Fail,
            3,
        ),
    ] {
        let synced = Synced::start(&[]).await;
        let control = synced.control();
        control.add_fault(Fault::new(fault).on(Side::Graph).path("/v1.0/groups").times(times));
        let gateway = &synced.host.gateway;
        let trace = defguard_openid_host::capability::TraceId::new();
        let findings = gateway.test_connection(&gateway.config().providers[0], &trace).await.unwrap();
        let verdict = |of: &str| findings.iter().find(|finding| finding.name == of).map(|finding| finding.verdict);
        assert_eq!(verdict("groups"), Some(expected), "{name}: {findings:?}");
        assert_eq!((verdict("users"), verdict("members")), (Some(Verdict::Pass), Some(Verdict::Pass)), "{name}");
        let requests = control.requests();
        assert_eq!(requests.iter().filter(|request| request.in_batch).count(), parts, "{name}: only that part again");
    }
}

/// A run that failed, or was killed, between its pages leaves what it read until then; the next one goes on there, and asks what has changed since.
#[tokio::test]
async fn what_an_interrupted_run_had_read_is_not_taken_for_new() {
    let settings = [("directory.user_behavior", "\"delete\""), ("directory.max_removal_percent", "100")];
    let synced = Synced::start(&settings).await;
    let control = synced.control();
    control.edit_graph(|graph| graph.page_size = Some(20));
    synced.done("before").await;
    synced.is_as_expected("before");
    // Everything once more, and no further than a page of the groups: all people are read by then.
    let (users, groups) = ("/v1.0/users/delta", "/v1.0/groups/delta");
    let gone = FaultAction::Gone { form: entra_emulator::GoneForm::WithoutLocation };
    for path in [users, groups] {
        control.add_fault(Fault::new(gone.clone()).on(Side::Graph).path(path).times(1));
    }
    let refused = FaultAction::GraphError { status: 403, code: "Authorization_RequestDenied".into() };
    control.add_fault(Fault::new(refused).on(Side::Graph).path(groups).nth([8]));
    let mut read = (0, 0);
    let report = synced.run_watched(|progress| read = (progress.users, progress.groups)).await;
    assert_eq!(report.outcome, Outcome::Failed, "{report:?}");
    assert!(read.0 > 20 && (40..200).contains(&read.1), "the people, and some of the groups: {read:?}");
    control.clear_faults();

    control.remove_person(person::ADA).unwrap();
    control.edit_person(person::UNICODE, |zoe| zoe.outcome = SignInOutcome::Disabled).unwrap();
    let report = synced.done("went on").await;
    synced.is_as_expected("went on");
    let report_then = synced.done("then").await;
    assert_eq!(report_then.requests, 2, "nothing was left for another run: {report:?}, {report_then:?}");
}
