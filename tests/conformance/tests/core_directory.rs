//! What directory synchronisation asks of Core, below its planner, against Core 1.6 and 2.0: users, groups, states, and people
//! who get their user ahead of their first sign-in. No component is needed for any of it.

use std::sync::Arc;
use std::time::Duration;

use core_emulator::{Control, CoreEmulator, Fault, FaultAction, Licence, NewUser, Seed, Settings, Version, fixtures};
use defguard_openid_host::capability::{SystemClock, TraceId};
use defguard_openid_host::config::Secret;
use defguard_openid_host::core_api::{
    BreakerLimits, Budget, CoreClient, CoreCredential, CoreSettings, Failure, Group, GroupCreation, SecretSource,
    StateChange,
};
use defguard_openid_host::handover::{
    CoreHandover, CoreOptions, EnrollmentMode, HandoverError, HandoverRequest, Prepared, Roster,
};
use defguard_openid_host::linking::EmailLinking;
use defguard_openid_host::metrics::CoreMetrics;
use defguard_openid_host::storage::MemoryStorage;
use serde_json::{Value, json};

const VERSIONS: [Version; 2] = [Version::V1_6, Version::V2_0];

/// Core, and the host's part that hands over to it.
struct Lab {
    core: CoreEmulator,
    host: CoreHandover,
}

impl Lab {
    async fn start(version: Version, seed: Seed) -> Self {
        Self::with(Settings::new(version).seed(seed)).await
    }

    async fn with(settings: Settings) -> Self {
        let core = CoreEmulator::start(settings).await.unwrap();
        let settings = CoreSettings {
            url: core.url().parse().unwrap(),
            credential: CoreCredential::Token(SecretSource::Value(Secret::new(fixtures::TOKEN))),
            call_timeout: Duration::from_secs(2),
            concurrent_calls: 16,
            breaker: BreakerLimits { failures: 20, pause: Duration::from_secs(30) },
        };
        let options = CoreOptions {
            create_accounts: true,
            enrollment: EnrollmentMode::Auto,
            token_life: None,
            time_budget: Duration::from_secs(30),
        };
        let (storage, clock) = (Arc::new(MemoryStorage::default()), Arc::new(SystemClock));
        let host = CoreHandover::new(&settings, options, storage, clock, CoreMetrics::default()).unwrap();
        Self { core, host }
    }

    fn control(&self) -> Control {
        self.core.control()
    }

    fn client(&self) -> &CoreClient {
        self.host.client()
    }

    async fn group(&self, name: &str) -> Group {
        let groups = self.client().groups(budget()).await.unwrap();
        groups.into_iter().find(|group| group.name == name).unwrap_or_else(|| panic!("no group {name:?}"))
    }

    async fn roster(&self) -> Roster {
        Roster::of(&self.client().users(budget()).await.unwrap())
    }

    async fn prepare(&self, person: &Value, roster: &Roster) -> Result<Prepared, HandoverError> {
        let identity = serde_json::from_value(person.clone()).unwrap();
        let email_linking = EmailLinking::Allowed("verified".into());
        let request = HandoverRequest { identity: &identity, email_linking: &email_linking, approved_account: None };
        self.host.prepare(&request, roster, &TraceId::new(), &mut Vec::new()).await
    }
}

fn budget() -> Budget {
    Budget::new(Duration::from_secs(60))
}

/// An identity, as the host keeps one.
fn person(object: &str, username: &str, email: &str) -> Value {
    json!({
        "provider": "entra", "issuer": "https://login.example/t/v2.0", "subject": format!("sub of {object}"),
        "tenant_id": "t", "object_id": object, "username": username, "email": email, "given_name": "Ada",
        "family_name": "Example", "display_name": "Ada Example", "groups": { "state": "not_requested" },
    })
}

fn staff() -> Seed {
    let ada = NewUser::new("ada", "ada@x.example").password("Correct-horse-8").group("staff");
    Seed::demo().group("staff", false).group("vpn", false).user(ada).user(NewUser::new("bob", "bob@x.example"))
}

#[tokio::test]
async fn everybody_is_read_with_their_groups() {
    for version in VERSIONS {
        let mut seed = staff();
        for number in 0..350 {
            seed = seed.user(NewUser::new(format!("user{number}"), format!("user{number}@x.example")));
        }
        let lab = Lab::start(version, seed).await;
        let users = lab.client().users(budget()).await.unwrap();
        let expected = lab.control().users();
        assert_eq!(users.len(), expected.len(), "{version:?}");
        for (user, expected) in users.iter().zip(&expected) {
            assert_eq!(
                (user.id, &user.username, &user.groups, user.is_admin, user.is_active, user.enrolled),
                (
                    expected.id,
                    &expected.username,
                    &expected.groups,
                    Some(expected.is_admin),
                    expected.is_active,
                    expected.enrolled
                ),
                "{version:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_state_changes_nothing_else_and_ends_sessions() {
    for version in VERSIONS {
        let lab = Lab::start(version, staff()).await;
        let ada = lab.control().user("ada").unwrap();
        for (is_active, expected) in
            [(false, StateChange::Changed), (false, StateChange::Unchanged), (true, StateChange::Changed)]
        {
            let change = lab.client().set_active(ada.id, "ada", is_active, budget()).await.unwrap();
            assert_eq!(change, expected, "{version:?}");
            let now = lab.control().user("ada").unwrap();
            assert_eq!((now.is_active, &now.groups, &now.email), (is_active, &ada.groups, &ada.email), "{version:?}");
            assert!(now.has_password, "{version:?}");
        }
        // Nobody disables the account that this host is.
        let error = lab.client().set_active(1, fixtures::ADMIN, false, budget()).await.unwrap_err();
        assert!(matches!(error.failure, Failure::Rejected { status: 400, .. }), "{version:?}: {error}");
        let error = lab.client().delete_user(1, fixtures::ADMIN, budget()).await.unwrap_err();
        assert!(matches!(error.failure, Failure::Rejected { status: 400, .. }), "{version:?}: {error}");
    }
}

#[tokio::test]
async fn groups_live_through_their_whole_life() {
    const ODD: &str = "R&D / \"Küche\" 100%?#";
    for version in VERSIONS {
        let lab = Lab::start(version, staff()).await;
        let client = lab.client();
        assert_eq!(client.create_group(ODD, budget()).await.unwrap(), GroupCreation::Made, "{version:?}");
        let group = lab.group(ODD).await;
        assert!(!group.is_admin && group.members.is_empty(), "{version:?}: {group:?}");
        let again = client.create_group(ODD, budget()).await.unwrap();
        assert_eq!(again, GroupCreation::There(group.clone()), "{version:?}");
        for _ in 0..2 {
            client.add_member(&group, "bob", budget()).await.unwrap();
            client.add_members(&group, &[1, 2, 2], budget()).await.unwrap();
            assert_eq!(lab.group(ODD).await.members, ["ada", "admin", "bob"], "{version:?}");
        }
        for _ in 0..2 {
            client.remove_member(&group, "admin", budget()).await.unwrap();
            assert_eq!(lab.group(ODD).await.members, ["ada", "bob"], "{version:?}");
        }
        for _ in 0..2 {
            client.rename_group(&group, "kitchen", budget()).await.unwrap();
            assert_eq!(lab.group("kitchen").await.members, ["ada", "bob"], "{version:?}");
        }
        assert!(client.delete_group(&group, budget()).await.unwrap(), "{version:?}: under its new name");
        assert!(!client.delete_group(&group, budget()).await.unwrap(), "{version:?}: once");
        let admin = lab.group(fixtures::ADMIN_GROUP).await;
        let error = client.delete_group(&admin, budget()).await.unwrap_err();
        assert!(matches!(error.failure, Failure::Rejected { status: 400, .. }), "{version:?}: {error}");
    }
}

#[tokio::test]
async fn answers_that_are_lost_end_well() {
    let actions = [
        ("done, and a 500", FaultAction::DoneBut { status: 500 }),
        ("done, and the connection breaks", FaultAction::DoneThenReset),
        ("done, and nothing is heard", FaultAction::DoneThenHang),
    ];
    for version in VERSIONS {
        for (name, action) in &actions {
            let lab = Lab::start(version, staff()).await;
            let (client, control) = (lab.client(), lab.control());
            let staff = lab.group("staff").await;
            for method in ["PUT", "DELETE"] {
                control.add_fault(Fault::new(action.clone()).on(method, "*").times(1));
            }
            control.add_fault(Fault::new(action.clone()).on("POST", "/api/v1/group").times(1));
            let change = client.set_active(2, "ada", false, budget()).await.unwrap();
            assert_eq!(change, StateChange::Changed, "{version:?}, {name}");
            assert!(client.delete_user(2, "ada", budget()).await.unwrap(), "{version:?}, {name}");
            let created = client.create_group("new", budget()).await.unwrap();
            assert!(matches!(created, GroupCreation::There(group) if group.members.is_empty()), "{version:?}, {name}");
            control.add_fault(Fault::new(action.clone()).on("PUT", "*").times(1));
            client.rename_group(&staff, "crew", budget()).await.unwrap();
            control.add_fault(Fault::new(action.clone()).on("DELETE", "*").times(1));
            assert!(client.delete_group(&staff, budget()).await.unwrap(), "{version:?}, {name}");
            let names: Vec<_> = control.groups().into_iter().map(|group| group.name).collect();
            assert_eq!(names, [fixtures::ADMIN_GROUP, "vpn", "new"], "{version:?}, {name}");
        }
    }
}

#[tokio::test]
async fn an_update_of_core_is_noticed() {
    let lab = Lab::start(Version::V1_6, staff().group("2", false)).await;
    let client = lab.client();
    let (staff, two) = (lab.group("staff").await, lab.group("2").await);
    client.users(budget()).await.unwrap();
    client.add_member(&two, "bob", budget()).await.unwrap();
    lab.control().set_version(Version::V2_0);
    // Its name is the number of staff now, which is left alone.
    client.remove_member(&two, "bob", budget()).await.unwrap();
    client.add_member(&two, "ada", budget()).await.unwrap();
    assert_eq!(lab.group("2").await.members, ["ada"]);
    assert_eq!(lab.group("staff").await.members, ["ada"]);
    client.add_member(&staff, "bob", budget()).await.unwrap();
    assert_eq!(lab.group("staff").await.members, ["ada", "bob"]);
    // And without a name that is a number: refused once, and then noticed.
    let lab = Lab::start(Version::V1_6, self::staff()).await;
    let staff = lab.group("staff").await;
    lab.client().users(budget()).await.unwrap();
    lab.control().set_version(Version::V2_0);
    let error = lab.client().add_member(&staff, "bob", budget()).await.unwrap_err();
    assert!(matches!(error.failure, Failure::Rejected { status: 400, .. }), "{error}");
    lab.client().add_member(&staff, "bob", budget()).await.unwrap();
    assert_eq!(lab.group("staff").await.members, ["ada", "bob"]);
}

#[tokio::test]
async fn who_is_prepared_is_linked_and_has_no_token() {
    for version in VERSIONS {
        let lab = Lab::start(version, staff()).await;
        let roster = lab.roster().await;
        lab.control().clear_requests();
        // object, name and address of the directory; the user, and whether it was made
        let table =
            [("o-grace", "grace", "grace@x.example", "grace", true), ("o-ada", "ada.l", "ADA@x.example", "ada", false)];
        for (object, username, email, expected, is_made) in table {
            let prepared = lab.prepare(&person(object, username, email), &roster).await.unwrap();
            assert_eq!(
                (prepared.user.username.as_str(), prepared.is_made),
                (expected, is_made),
                "{version:?} {object}"
            );
            let again = lab.prepare(&person(object, username, email), &roster).await.unwrap();
            assert_eq!((again.user.id, again.is_made), (prepared.user.id, false), "{version:?} {object}: again");
        }
        // `bob` is another person's name here: a suffix, as at a sign-in.
        let other = lab.prepare(&person("o-bob", "bob", "robert@x.example"), &roster).await.unwrap();
        assert!(other.is_made && other.user.username.starts_with("bob-"), "{version:?}: {:?}", other.user);
        let links = lab.host.ownership().links("entra").await.unwrap();
        let objects: Vec<_> = links.iter().map(|(object, _)| object.as_str()).collect();
        assert_eq!(objects, ["o-ada", "o-bob", "o-grace"], "{version:?}");
        assert!(lab.control().enrollment_tokens().is_empty(), "{version:?}: nobody is there for one");
        assert_eq!(lab.control().count("GET", "/api/v1/user"), 0, "{version:?}: the list was read before");
    }
}

#[tokio::test]
async fn who_cannot_be_prepared_keeps_nobody_from_it() {
    for version in VERSIONS {
        let lab = Lab::start(version, staff()).await;
        let roster = lab.roster().await;
        let mut codes = Vec::new();
        for (object, username, email) in
            [("1", "boss", fixtures::ADMIN_EMAIL), ("2", "pattern", "%@x.example"), ("3", "carol", "carol@x.example")]
        {
            let prepared = lab.prepare(&person(object, username, email), &roster).await;
            codes.push(prepared.map_or_else(|error| error.words().code.to_owned(), |prepared| prepared.user.username));
        }
        assert_eq!(codes, ["link_needs_approval", "core_address_lookalike", "carol"], "{version:?}");
    }
}

#[tokio::test]
async fn a_full_licence_is_told_and_nobody_is_half_made() {
    for version in VERSIONS {
        let settings = Settings::new(version).seed(staff()).licence(Licence::Business { users: Some(3) });
        let lab = Lab::with(settings).await;
        let roster = lab.roster().await;
        let grace = person("o-grace", "grace", "grace@x.example");
        let error = lab.prepare(&grace, &roster).await.unwrap_err();
        assert!(
            matches!(&error, HandoverError::Core(error) if error.failure == Failure::LicenseLimit),
            "{version:?}: {error}"
        );
        assert_eq!(lab.host.ownership().links("entra").await.unwrap(), [], "{version:?}");
        lab.control().set_licence(Licence::BUSINESS);
        assert!(lab.prepare(&grace, &roster).await.unwrap().is_made, "{version:?}: as soon as there is room");
    }
}
