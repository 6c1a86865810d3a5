//! Sign-in that ends in Defguard Core: which user each person is afterwards, in Core 1.6 and 2.0.

use std::sync::Arc;
use std::time::Duration;

use conformance::core::handed_over_to;
use conformance::{Browser, Entra, EntraAndCore, HostOptions, TestHost, entra_provider, register};
use core_emulator::{CoreEmulator, NewUser, Settings, TokenKind, Version, fixtures};
use defguard_openid_host::storage::{MemoryStorage, Storage};
use entra_emulator::fixtures::person;
use entra_emulator::{Emulator, Fault, FaultAction, Seed};
use futures_util::future::join_all;
use serde_json::{Value, json};

const VERSIONS: [Version; 2] = [Version::V1_6, Version::V2_0];

async fn plain(version: Version) -> EntraAndCore {
    EntraAndCore::start(Settings::new(version), HostOptions::default(), "").await
}

#[tokio::test]
async fn each_person_has_a_user_afterwards() {
    // Who; user name, names and address in Core. Missing names: Defguard #1674; the address in userinfo only: #1748.
    let table = [
        (person::ADA, "ada", "Ada", "Example", "ada@contoso.example"),
        (person::NO_NAMES, "svc-printer", "svc-printer", "svc-printer", "svc-printer@contoso.example"),
        (person::NO_GIVEN_NAME, "suharto", "Suharto", "Suharto", "suharto@contoso.example"),
        (person::NO_MAIL, "nora", "Nora", "Mailless", "nora@contoso.example"),
        (person::MAIL_IN_USERINFO, "ulla", "Ulla", "Infodottir", "ulla@contoso.example"),
        (person::UNICODE, "zoe", "Zoë", "Łukasiewicz 中村", "zoe@contoso.example"),
        (person::APOSTROPHE, "miles.o_brien_tag", "Miles", "O'Brien", "miles.o'brien+tag@contoso.example"),
        (person::GUEST, "grace", "Grace", "Guest", "grace@fabrikam.example"),
    ];
    for version in VERSIONS {
        let options = HostOptions::default().set("guests", "true").set("username_handling", "\"prune_email_domain\"");
        let all = EntraAndCore::start(Settings::new(version), options, "").await;
        let control = all.core.control();
        for (who, username, first_name, last_name, email) in table {
            let browser = all.stack.browser();
            control.clear_requests();
            let finished = browser.sign_in(who).await;
            assert_eq!(finished.status, 200, "{version:?} {who}: {}", finished.body);
            assert_eq!(control.lines().len(), 3, "{version:?} {who}: {:?}", control.lines());
            let user = all.user_of(email).unwrap_or_else(|| panic!("{version:?} {who}: {:?}", all.new_users()));
            assert_eq!(
                (user.username.as_str(), user.first_name.as_str(), user.last_name.as_str()),
                (username, first_name, last_name),
                "{version:?} {who}"
            );
            assert!(user.is_active && !user.is_admin && !user.has_password && user.groups.is_empty(), "{user:?}");
            // Exactly what Defguard's page expects, and a token that its next call takes.
            let answer = finished.json();
            assert_eq!(answer.as_object().map(serde_json::Map::len), Some(2), "{answer}");
            assert_eq!(answer["url"], format!("{}/", all.core.url()), "{answer}");
            let token = user.tokens.iter().find(|token| answer["token"] == token.token.as_str()).unwrap();
            assert_eq!(token.kind, TokenKind::Enrollment, "{version:?} {who}");
            assert_eq!(enrollment(&all, &answer["token"]).await["user"]["email"], email, "{version:?} {who}");
            // Again: the same user, and one call less.
            control.clear_requests();
            assert_eq!(all.stack.browser().sign_in(who).await.status, 200, "{version:?} {who}: again");
            assert_eq!(control.lines().len(), 2, "{version:?} {who}: {:?}", control.lines());
            assert_eq!(all.user_of(email).map(|user| user.id), Some(user.id), "{version:?} {who}");
        }
        assert_eq!(all.new_users().len(), table.len(), "{version:?}");
    }
}

/// What the proxy's page does with the token.
async fn enrollment(all: &EntraAndCore, token: &Value) -> Value {
    let url = format!("{}/api/v1/enrollment/start", all.core.url());
    all.stack.browser().post_json(&url, &json!({ "token": token })).await.json()
}

#[tokio::test]
async fn who_is_not_let_in_has_no_user() {
    let table = [
        ("a guest", person::GUEST, "guest_not_allowed"),
        ("disabled in Entra", person::DISABLED, "access_denied"),
        ("not assigned to the application", person::UNASSIGNED, "access_denied"),
    ];
    for version in VERSIONS {
        let all = plain(version).await;
        for (name, who, code) in table {
            let browser = all.stack.browser();
            let url = browser.begin().await;
            let back = browser.at_entra(&url, who).await;
            // Entra keeps some refusals to itself: those people don't come back.
            if let Some(callback) = back.location {
                let finished = browser.finish(&callback).await;
                assert!(finished.status >= 400 && finished.code() == code, "{version:?} {name}: {}", finished.body);
            }
        }
        assert_eq!(all.core.control().lines(), [""; 0], "{version:?}: Core is asked nothing");
        assert!(all.new_users().is_empty(), "{version:?}");
    }
}

#[tokio::test]
async fn users_who_are_there_already() {
    let same_address = || NewUser::new("countess", "Ada@Contoso.example").names("Ada", "L");
    let verified = "linking.existing";
    // Name; the user that is there; setting; code; how many users have the address afterwards.
    let table = [
        ("the same address: not taken over", same_address(), "\"approval\"", "link_needs_approval"),
        ("never linked", same_address(), "\"never\"", "link_refused"),
        ("the same address, proven", same_address(), "\"verified_email\"", ""),
        (
            "an administrator's, proven",
            same_address().group(fixtures::ADMIN_GROUP),
            "\"verified_email\"",
            "link_needs_approval",
        ),
        ("disabled, proven", same_address().disabled(), "\"verified_email\"", "account_disabled"),
        ("disabled, not proven: nobody learns that", same_address().disabled(), "\"approval\"", "link_refused"),
        ("signed in by Core's own OpenID", same_address().openid_sub("another"), "\"approval\"", "link_needs_approval"),
    ];
    for version in VERSIONS {
        for (name, there, setting, code) in &table {
            let options = HostOptions::default().set(verified, setting);
            let all = EntraAndCore::start(Settings::new(version), options, "").await;
            let control = all.core.control();
            control.add_user(there).unwrap();
            let before = control.user("countess").unwrap();
            let finished = all.stack.browser().sign_in(person::ADA).await;
            assert_eq!(finished.code(), *code, "{version:?} {name}: {}", finished.body);
            assert_eq!(finished.status, if code.is_empty() { 200 } else { 403 }, "{version:?} {name}");
            let after = control.user("countess").unwrap();
            assert_eq!(all.new_users().len(), 1, "{version:?} {name}: {:?}", all.new_users());
            assert_eq!(after.tokens.len(), usize::from(code.is_empty()), "{version:?} {name}: {after:?}");
            assert_eq!((after.email, after.groups, after.is_active), (before.email, before.groups, before.is_active));
        }
    }
}

#[tokio::test]
async fn names_that_are_taken_get_a_suffix_that_stays() {
    for version in VERSIONS {
        // Two installations beside one tenant: each gives the same name, so that it isn't chance.
        let entra = Emulator::start(Seed::demo()).await.unwrap();
        let mut names = Vec::new();
        for _ in 0..2 {
            let core = CoreEmulator::start(Settings::new(version)).await.unwrap();
            core.control().add_user(&NewUser::new("ada", "someone@else.example")).unwrap();
            let options = handed_over_to(&core, HostOptions::default(), "")
                .set("username_handling", "\"prune_email_domain\"")
                .with_provider(&entra_provider(&entra));
            let host = TestHost::start(options).await;
            register(&entra, &host);
            for _ in 0..2 {
                let finished = Browser::new(&host.url).sign_in(person::ADA).await;
                assert_eq!(finished.status, 200, "{version:?}: {}", finished.body);
            }
            let users = core.control().users();
            let hers: Vec<_> = users.into_iter().filter(|user| user.email == "ada@contoso.example").collect();
            assert_eq!(hers.len(), 1, "{version:?}: {hers:?}");
            names.push(hers[0].username.clone());
        }
        assert!(names[0].starts_with("ada-"), "{version:?}: {names:?}");
        assert_eq!(names[0], names[1], "{version:?}");
    }
}

#[tokio::test]
async fn a_disabled_user_is_told_so() {
    for version in VERSIONS {
        let all = plain(version).await;
        assert_eq!(all.stack.browser().sign_in(person::ADA).await.status, 200);
        let username = all.user_of("ada@contoso.example").unwrap().username;
        all.core.control().set_active(&username, false).unwrap();
        let refused = all.stack.browser().sign_in(person::ADA).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "account_disabled"), "{}", refused.body);
        all.core.control().set_active(&username, true).unwrap();
        assert_eq!(all.stack.browser().sign_in(person::ADA).await.status, 200, "and is let in again");
        // Deleted by an administrator: nobody is made again by signing in.
        all.core.control().delete_user(&username);
        let refused = all.stack.browser().sign_in(person::ADA).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "link_refused"), "{}", refused.body);
        assert!(all.new_users().is_empty());
    }
}

#[tokio::test]
async fn who_is_enrolled_gets_a_token_for_another_device() {
    for version in VERSIONS {
        let all = plain(version).await;
        assert_eq!(all.stack.browser().sign_in(person::ADA).await.status, 200);
        let username = all.user_of("ada@contoso.example").unwrap().username;
        let _ = all.core.control().edit_user(&username, |user| user.openid_sub = Some("ada".into()));
        let finished = all.stack.browser().sign_in(person::ADA).await;
        assert_eq!(finished.status, 200, "{}", finished.body);
        let tokens = all.core.control().user(&username).unwrap().tokens;
        let token = tokens.iter().find(|token| finished.json()["token"] == token.token.as_str()).unwrap();
        assert_eq!(token.kind, TokenKind::Desktop, "{version:?}");
    }
}

/// Fifty members of the tenant; in each pair one person's user name is the other's before their domains are pruned.
fn fifty() -> (Seed, Vec<String>) {
    let mut seed = Seed::demo();
    let ada = seed.person(person::ADA).unwrap().clone();
    let mut keys = Vec::new();
    for number in 0..50_u32 {
        let domain = if number % 2 == 0 { "contoso.example" } else { "sub.contoso.example" };
        let address = format!("person-{}@{domain}", number / 2);
        let mut person = ada.clone();
        person.key = format!("fifty-{number}");
        person.oid = format!("33333333-3333-4333-8333-9{number:011}").try_into().unwrap();
        person.user_principal_name.clone_from(&address);
        person.mail = Some(address);
        person.other_mails.clear();
        keys.push(person.key.clone());
        seed.persons.push(person);
    }
    (seed, keys)
}

#[tokio::test]
async fn fifty_people_at_once() {
    for version in VERSIONS {
        let (seed, keys) = fifty();
        let options = HostOptions::default().set("username_handling", "\"prune_email_domain\"");
        let all = EntraAndCore::start_seeded(seed, Settings::new(version), options, "").await;
        // Core takes its time, so that they really meet.
        all.core.control().delay_all(Duration::from_millis(20));
        let finished = join_all(keys.iter().map(|key| async { all.stack.browser().sign_in(key).await })).await;
        for (key, answer) in keys.iter().zip(&finished) {
            assert_eq!(answer.status, 200, "{version:?} {key}: {}", answer.body);
        }
        let users = all.new_users();
        assert_eq!(users.len(), 50, "{version:?}");
        let addresses: std::collections::BTreeSet<&str> = users.iter().map(|user| user.email.as_str()).collect();
        assert_eq!(addresses.len(), 50, "{version:?}: one each");
        // Each got a token of their own user.
        for (key, answer) in keys.iter().zip(&finished) {
            let token = answer.json()["token"].as_str().unwrap().to_owned();
            let owner = users.iter().find(|user| user.tokens.iter().any(|of| of.token == token)).unwrap();
            let person = all.stack.entra.control().directory().person(key).unwrap().mail.clone();
            assert_eq!(Some(&owner.email), person.as_ref(), "{version:?} {key}");
        }
    }
}

#[tokio::test]
async fn one_person_in_ten_browsers_at_two_hosts_is_one_user() {
    for version in VERSIONS {
        let core = CoreEmulator::start(Settings::new(version)).await.unwrap();
        core.control().delay_all(Duration::from_millis(20));
        let entra = Emulator::start(Seed::demo()).await.unwrap();
        let options = handed_over_to(&core, HostOptions::default(), "").with_provider(&entra_provider(&entra));
        let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::default());
        let first = TestHost::try_start_over(options.clone(), Some(Arc::clone(&storage))).await.unwrap();
        let second = first.twin(options, &storage).await;
        register(&entra, &first);
        let finished = join_all((0..10).map(|number| {
            let (first, second) = (&first, &second);
            async move {
                let browser = Browser::new(&first.url);
                let callback = browser.callback_url(person::ADA).await;
                let there = browser.in_front_of(if number % 2 == 0 { &first.url } else { &second.url });
                there.finish(&callback).await
            }
        }))
        .await;
        for answer in &finished {
            assert_eq!(answer.status, 200, "{version:?}: {}", answer.body);
        }
        let control = core.control();
        let users = control.users();
        assert_eq!(
            users.iter().filter(|user| user.email == "ada@contoso.example").count(),
            1,
            "{version:?}: {users:?}"
        );
        assert_eq!(control.count("POST", "/api/v1/user"), 1, "{version:?}: made once");
    }
}

#[tokio::test]
async fn every_call_four_seconds_late_still_ends_well() {
    // Defguard #1640: the provider, Graph and Core, all of them slow, and nothing in any cache.
    let table = [("groups are asked for and may be unknown", "5000"), ("groups are waited for", "12000")];
    for (name, timeout) in table {
        let options = HostOptions::default().set("groups.source", "\"directory\"").set("groups.timeout_ms", timeout);
        let all = EntraAndCore::start(Settings::new(Version::V2_0), options, "").await;
        let callback = all.stack.browser();
        let url = callback.begin().await;
        let back = callback.at_entra(&url, person::IN_GROUPS).await.location.unwrap();
        all.stack.entra.control().add_fault(Fault::new(FaultAction::Delay { delay_ms: 4000 }));
        all.core.control().delay_all(Duration::from_secs(4));
        let finished = callback.finish(&back).await;
        assert_eq!(finished.status, 200, "{name}: {}", finished.body);
        assert_eq!(all.new_users().len(), 1, "{name}");
    }
}

#[tokio::test]
async fn nobody_is_made_where_administrators_do_that() {
    for version in VERSIONS {
        let options = HostOptions::default().set("linking.existing", "\"verified_email\"");
        let all = EntraAndCore::start(Settings::new(version), options, "create_accounts = false\n").await;
        let refused = all.stack.browser().sign_in(person::ADA).await;
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (403, "account_missing"),
            "{version:?}: {}",
            refused.body
        );
        assert!(all.new_users().is_empty(), "{version:?}");
        all.core.control().add_user(&NewUser::new("countess", "ada@contoso.example")).unwrap();
        assert_eq!(all.stack.browser().sign_in(person::ADA).await.status, 200, "{version:?}");
        assert_eq!(all.core.control().user("countess").unwrap().tokens.len(), 1, "{version:?}");
    }
}

#[tokio::test]
async fn a_service_account_instead_of_a_token() {
    for version in VERSIONS {
        let core = CoreEmulator::start(Settings::new(version)).await.unwrap();
        let url = core.url();
        let handover =
            format!("kind = \"core\"\nurl = {url:?}\nusername = {:?}\npassword_file = \"password\"\n", fixtures::ADMIN);
        let files = vec![("password".into(), fixtures::ADMIN_PASSWORD.into())];
        let options = HostOptions { handover, files, ..HostOptions::default() };
        let stack = Entra::start(options).await;
        let control = core.control();
        for attempt in ["signs in", "keeps its session", "signs in again when that has ended"] {
            if attempt.starts_with("signs in again") {
                control.end_sessions();
            }
            let finished = stack.browser().sign_in(person::ADA).await;
            assert_eq!(finished.status, 200, "{version:?} {attempt}: {}", finished.body);
        }
        assert_eq!(control.count("POST", "/api/v1/auth"), 2, "{version:?}");
    }
}
