//! Users who are made ahead of their person's first sign-in, and what their first sign-in finds.

use std::time::Duration;

use serde_json::json;

use super::tests::{Stack, ada, allowed, approval, options, person, sign_in, sign_in_as};
use super::*;
use crate::core_api::fake::Fault;
use crate::core_api::{CoreError, Failure, Generation};
use crate::identity::Identity;
use crate::linking::EmailLinking;

const BOTH: [Generation; 2] = [Generation::V1, Generation::V2];

async fn roster(host: &CoreHandover) -> Roster {
    Roster::of(&host.client().users(Budget::new(Duration::from_secs(20))).await.unwrap())
}

async fn prepare_by(
    host: &CoreHandover,
    roster: &Roster,
    identity: &Identity,
    email_linking: EmailLinking,
) -> Result<Prepared, HandoverError> {
    let request = HandoverRequest { identity, email_linking: &email_linking, approved_account: None };
    host.prepare(&request, roster, &TraceId::new(), &mut Vec::new()).await
}

/// `made` or `found`, and the user; or the code.
fn line(prepared: &Result<Prepared, HandoverError>) -> String {
    match prepared {
        Ok(prepared) => {
            let Prepared { user, is_made, .. } = prepared;
            format!("{} {} {}", if *is_made { "made" } else { "found" }, user.username, user.id)
        }
        Err(error) => error.words().code.to_owned(),
    }
}

async fn prepare(host: &CoreHandover, identity: &Identity, email_linking: EmailLinking) -> String {
    line(&prepare_by(host, &roster(host).await, identity, email_linking).await)
}

#[tokio::test]
async fn who_is_prepared_signs_in_as_that_user() {
    for generation in BOTH {
        let stack = Stack::start(generation).await;
        let host = stack.host();
        let roster = roster(&host).await;
        stack.core.calls();
        assert_eq!(line(&prepare_by(&host, &roster, &ada(), approval()).await), "made ada 1", "{generation:?}");
        assert_eq!(stack.core.calls(), ["POST user/available", "POST user"], "{generation:?}: and no token");
        assert_eq!(line(&prepare_by(&host, &roster, &ada(), approval()).await), "found ada 1", "{generation:?}: again");
        assert_eq!(stack.core.calls(), ["GET user/ada"], "{generation:?}");
        assert_eq!(sign_in(&host, &ada()).await.line(), "linked ada enrollment-ada", "{generation:?}");
        let links = host.ownership().links("entra").await.unwrap();
        let links: Vec<_> = links.iter().map(|(object, link)| (object.as_str(), link.id, &*link.username)).collect();
        assert_eq!(links, [("ada", 1, "ada")], "{generation:?}");
        assert_eq!(stack.core.names(), ["ada"], "{generation:?}");
    }
}

#[tokio::test]
async fn the_rules_are_a_sign_in_s() {
    let never = || EmailLinking::Never("off".into());
    // name, the user of her address, the rule, what becomes of it
    let table = [
        ("it may be linked", json!({}), allowed(), "found local 1"),
        ("an administrator must say so", json!({}), approval(), "link_needs_approval"),
        ("it must not be", json!({}), never(), "link_refused"),
        ("an administrator's", json!({ "is_admin": true }), allowed(), "link_needs_approval"),
        ("disabled", json!({ "is_active": false }), allowed(), "account_disabled"),
        ("another address", json!({ "email": "other@a.example" }), allowed(), "made ada 2"),
        ("another case", json!({ "email": "ADA@A.EXAMPLE" }), allowed(), "found local 1"),
        ("another's name", json!({ "username": "ada", "email": "other@a.example" }), allowed(), "made ada-9f40 2"),
    ];
    for generation in BOTH {
        for (name, change, rule, expected) in &table {
            let stack = Stack::start(generation).await;
            stack.core.add("local", "ada@a.example", json!({}));
            stack.core.edit("local", change.clone());
            let before = stack.core.user("local");
            let host = stack.host();
            let found = prepare(&host, &ada(), rule.clone()).await;
            let expected =
                expected.replace("ada-9f40", &crate::linking::username_candidate("ada", &ada().key().digest(), 1));
            assert_eq!(found, expected, "{generation:?}, {name}");
            // What a sign-in on another host, with nothing kept, comes to.
            let other = Stack::start(generation).await;
            other.core.add("local", "ada@a.example", json!({}));
            other.core.edit("local", change.clone());
            let signed_in = sign_in_as(&other.host(), &ada(), rule.clone(), None).await;
            match &signed_in.result {
                Ok((_, account, _)) => {
                    assert_eq!(found.split(' ').nth(1), Some(account.as_str()), "{generation:?}, {name}");
                }
                Err(error) => assert_eq!(found, error.words().code, "{generation:?}, {name}"),
            }
            assert_eq!(stack.core.user("local"), before, "{generation:?}, {name}: the local user is as it was");
        }
    }
}

#[tokio::test]
async fn the_list_is_read_once_for_all() {
    let stack = Stack::start(Generation::V2).await;
    for number in 0..500 {
        stack.core.add(&format!("local{number}"), &format!("p{number}@a.example"), json!({}));
    }
    let host = stack.host();
    let roster = roster(&host).await;
    stack.core.calls();
    for number in [0, 250, 499] {
        let person = person(&format!("p{number}"), &format!("name{number}"), &format!("p{number}@a.example"));
        let prepared = prepare_by(&host, &roster, &person, allowed()).await;
        assert_eq!(line(&prepared), format!("found local{number} {}", number + 1));
        let asked = ["POST user/available", "POST user", &format!("GET user/local{number}")].map(str::to_owned);
        assert_eq!(stack.core.calls(), asked);
    }
    // Renamed since then: nobody is taken for them.
    stack.core.edit("local7", json!({ "username": "new7" }));
    stack.core.add("local7", "other@a.example", json!({}));
    let seven = person("p7", "seven", "p7@a.example");
    assert_eq!(line(&prepare_by(&host, &roster, &seven, allowed()).await), "core_rejected");
    assert_eq!(prepare(&host, &seven, allowed()).await, "found new7 8", "by a list of now");
}

#[tokio::test]
async fn one_person_s_collision_is_nobody_else_s() {
    for generation in BOTH {
        let stack = Stack::start(generation).await;
        let host = stack.host();
        stack.core.add("alan", "alan@a.example", json!({ "is_admin": true }));
        let roster = roster(&host).await;
        let mut lines = Vec::new();
        for (object, username, email) in [
            ("1", "ada", "ada@a.example"),
            ("2", "alan", "alan@a.example"),
            ("3", "eve", "ada@a.example"),
            ("4", "bob", "b_b@a.example"),
            ("5", "lookalike", "b%b@a.example"),
            ("6", "grace", "grace@a.example"),
        ] {
            lines.push(line(&prepare_by(&host, &roster, &person(object, username, email), allowed()).await));
        }
        assert_eq!(
            lines,
            [
                "made ada 2",
                "link_needs_approval",
                "core_rejected",
                "made bob 3",
                "core_address_lookalike",
                "made grace 4"
            ],
            "{generation:?}"
        );
        let fresh = self::roster(&host).await;
        let third = prepare_by(&host, &fresh, &person("3", "eve", "ada@a.example"), allowed()).await;
        assert_eq!(line(&third), "link_refused", "{generation:?}: a list of now says whose the address is");
        assert_eq!(stack.core.names(), ["alan", "ada", "bob", "grace"], "{generation:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_user() {
    // name, fault, the first time, the second
    let table = [
        ("done, and a 500", Fault::DoneBut(500), "found ada 1", "found ada 1"),
        ("done, and nothing is heard", Fault::DoneThenSilence, "found ada 1", "found ada 1"),
        ("not done, and a 504", Fault::Answer(504, "{}"), "core_failed", "made ada 1"),
        ("not done, and nothing is heard", Fault::Silence, "core_slow", "made ada 1"),
        (
            "no licence for one more",
            Fault::Answer(403, r#"{"msg":"License limit reached."}"#),
            "core_license_limit",
            "made ada 1",
        ),
    ];
    for generation in BOTH {
        for (name, fault, first, second) in &table {
            let stack = Stack::start(generation).await;
            let settings = CoreSettings { call_timeout: Duration::from_millis(1500), ..stack.core.settings() };
            let host = stack.host_with(&settings);
            // The first of these is `available`.
            stack.core.once("POST user", Fault::Late(Duration::ZERO));
            stack.core.once("POST user", fault.clone());
            assert_eq!(prepare(&host, &ada(), approval()).await, *first, "{generation:?}, {name}");
            assert_eq!(prepare(&stack.host(), &ada(), approval()).await, *second, "{generation:?}, {name}");
            assert_eq!(stack.core.names(), ["ada"], "{generation:?}, {name}");
        }
    }
}

#[tokio::test]
async fn who_was_deleted_is_not_brought_back_until_unlinked() {
    for generation in BOTH {
        let stack = Stack::start(generation).await;
        let host = stack.host();
        assert_eq!(prepare(&host, &ada(), approval()).await, "made ada 1", "{generation:?}");
        stack.core.delete("ada");
        assert_eq!(prepare(&host, &ada(), approval()).await, "link_refused", "{generation:?}");
        assert!(host.ownership().unlink("entra", "ADA").await.unwrap().is_some(), "{generation:?}");
        assert_eq!(prepare(&host, &ada(), approval()).await, "made ada 2", "{generation:?}");
        // A linked user who is renamed is found by number, and the index follows.
        stack.core.edit("ada", json!({ "username": "countess" }));
        assert_eq!(prepare(&host, &ada(), approval()).await, "found countess 2", "{generation:?}");
        let link = host.ownership().link_of("entra", "ada").await.unwrap().unwrap();
        assert_eq!((link.id, link.username.as_str()), (2, "countess"), "{generation:?}");
    }
}

#[tokio::test]
async fn who_makes_no_accounts_prepares_only_who_is_there() {
    let mut stack = Stack::start(Generation::V2).await;
    stack.options = CoreOptions { create_accounts: false, ..options() };
    let host = stack.host();
    assert_eq!(prepare(&host, &ada(), allowed()).await, "account_missing");
    stack.core.add("local", "ada@a.example", json!({}));
    assert_eq!(prepare(&host, &ada(), allowed()).await, "found local 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_and_signed_in_at_once_is_one_user() {
    for generation in BOTH {
        let stack = Stack::start(generation).await;
        let (one, other) = (stack.host(), stack.host());
        let barrier = Arc::new(tokio::sync::Barrier::new(2));
        stack.core.once("POST user/available", Fault::Together(Arc::clone(&barrier)));
        stack.core.once("POST user/available", Fault::Together(barrier));
        let (roster, identity, twin) = (Roster::default(), ada(), ada());
        let (prepared, signed_in) =
            tokio::join!(prepare_by(&one, &roster, &identity, approval()), sign_in(&other, &twin));
        assert!(line(&prepared).ends_with(" ada 1"), "{generation:?}: {prepared:?}");
        assert!(signed_in.line().ends_with(" ada enrollment-ada"), "{generation:?}: {signed_in:?}");
        assert_eq!(stack.core.names(), ["ada"], "{generation:?}");
    }
}

#[tokio::test]
async fn what_is_everybody_s_is_told_apart() {
    let stack = Stack::start(Generation::V2).await;
    let host = stack.host();
    stack.core.always(Some(("POST", Fault::Answer(401, r#"{"msg":"Invalid API token"}"#))));
    let error = prepare_by(&host, &Roster::default(), &ada(), approval()).await.unwrap_err();
    assert!(matches!(error, HandoverError::Core(CoreError { failure: Failure::TokenInvalid, .. })), "{error}");
}
