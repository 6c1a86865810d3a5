//! Entra in all its forms: guests and personal accounts, groups that the token doesn't hold, step-up, answers as a form. The
//! real component in the real host against the emulator of Entra and Graph.

use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::{self, group, person};
use entra_emulator::{ClaimMischief, Fault, FaultAction, PageLie, Side};
use serde_json::{Value, json};

/// The answer of a sign-in: the identity, or the refusal's code.
async fn outcome(stack: &Entra, person: &str) -> Result<Value, String> {
    let browser = stack.browser();
    let finished = browser.sign_in(person).await;
    if finished.status == 200 { Ok(browser.identity(&finished).await) } else { Err(finished.code()) }
}

fn options(settings: &[(&str, &str)]) -> HostOptions {
    settings.iter().fold(HostOptions::default(), |options, (key, value)| options.set(key, value))
}

#[tokio::test]
async fn guests_are_let_in_only_where_the_configuration_says_so() {
    let people = [person::GUEST, person::GUEST_PERSONAL, person::GUEST_WITHOUT_ACCT];
    let closed = Entra::plain().await;
    let open = Entra::start(options(&[("guests", "true")])).await;
    for person in people {
        assert_eq!(outcome(&closed, person).await, Err("guest_not_allowed".into()), "{person}");
        let identity = outcome(&open, person).await.unwrap_or_else(|code| panic!("{person}: {code}"));
        assert_eq!((&identity["account"], &identity["tenant_id"]), (&json!("guest"), &json!(fixtures::CONTOSO)));
    }
    let member = outcome(&closed, person::ADA).await.unwrap();
    assert_eq!(member["account"], "member");
    for mischief in [ClaimMischief::AcctAsText, ClaimMischief::AcctGuest, ClaimMischief::IdpForeign] {
        closed.entra.control().claim_mischief_once(mischief);
        assert_eq!(outcome(&closed, person::ADA).await, Err("guest_not_allowed".into()), "{mischief:?}");
    }
}

#[tokio::test]
async fn personal_accounts_are_let_in_only_where_the_configuration_says_so() {
    let entra = entra_emulator::Emulator::start(entra_emulator::Seed::demo()).await.unwrap();
    let options = |tenants: &[&str], personal: &str| {
        HostOptions::default()
            .set("base_url", &format!("{:?}", entra.authority("common")))
            .set("client_id", &format!("{:?}", fixtures::MULTI_TENANT_CLIENT_ID))
            .set("allowed_tenants", &format!("{tenants:?}"))
            .set("personal_accounts", personal)
            .with_provider(&conformance::entra_provider(&entra))
    };
    let table = [
        ("their tenant isn't listed", vec![fixtures::CONTOSO], "false", Some("tenant_not_allowed")),
        ("listed and allowed", vec![fixtures::CONTOSO, fixtures::PERSONAL_TENANT], "true", None),
    ];
    for (name, tenants, personal, code) in table {
        let host = conformance::TestHost::start(options(&tenants, personal)).await;
        conformance::register(&entra, &host);
        let browser = conformance::Browser::new(&host.url);
        let finished = browser.sign_in(person::PERSONAL).await;
        match code {
            Some(code) => assert_eq!(finished.code(), code, "{name}: {}", finished.body),
            None => assert_eq!(browser.identity(&finished).await["account"], "personal", "{name}"),
        }
    }
    let error = conformance::TestHost::try_start(options(&[fixtures::PERSONAL_TENANT], "false")).await.err();
    let error = error.expect("listed and not allowed is a contradiction").to_string();
    assert!(error.contains("personal_accounts"), "{error}");
}

/// A person, where groups come from, how many there are, and whether the directory is asked.
#[tokio::test]
async fn groups_from_the_token_or_from_the_directory() {
    let table = [
        ("two in the token", person::IN_GROUPS, "claim", 2, false),
        ("as many as a token holds", person::AT_GROUP_LIMIT, "claim", 200, false),
        ("more than a token holds", person::OVERAGE, "claim", 250, true),
        ("the other mark of too many", person::HAS_GROUPS, "claim", 6, true),
        ("none, which the token doesn't say", person::ADA, "claim", 0, true),
        ("nested", person::IN_NESTED_GROUP, "claim", 3, false),
        ("in a circle", person::IN_CYCLE, "claim", 2, false),
        ("two in the directory", person::IN_GROUPS, "directory", 2, true),
        ("nested in the directory", person::IN_NESTED_GROUP, "directory", 3, true),
    ];
    for (name, person, source, count, asked) in table {
        let stack = Entra::start(options(&[("groups.source", &format!("{source:?}"))])).await;
        // Pages of 60, the second one empty (V20: the 201st group is on a later page).
        stack.entra.control().edit_graph(|graph| {
            graph.page_size = Some(60);
            graph.empty_pages = vec![2];
        });
        let identity = outcome(&stack, person).await.unwrap_or_else(|code| panic!("{name}: {code}"));
        let groups = &identity["groups"];
        assert_eq!(groups["state"], "known", "{name}: {groups}");
        assert_eq!(groups["groups"].as_array().map(Vec::len), Some(count), "{name}: {groups}");
        assert_eq!(stack.entra.control().count(Side::Graph, "*getMemberGroups*") > 0, asked, "{name}");
        // What the token names as the place to ask is never asked.
        let requests = stack.entra.control().requests();
        let strange: Vec<_> = requests.iter().filter(|request| request.path.contains("getMemberObjects")).collect();
        assert!(strange.is_empty(), "{name}: {strange:?}");
    }
}

#[tokio::test]
async fn groups_have_names_by_configuration_or_directory() {
    let names = format!("{{ \"{}\" = \"Administrators\" }}", group::TWIN_A.to_uppercase());
    let stack = Entra::start(options(&[
        ("groups.source", "\"claim\""),
        ("groups.names_from", "\"directory\""),
        ("groups.names", &names),
    ]))
    .await;
    let identity = outcome(&stack, person::IN_TWIN_GROUPS).await.unwrap();
    // Two groups of one name in the directory (V21): ids tell them apart, the configuration's name goes first.
    assert_eq!(
        identity["groups"]["groups"],
        json!([{"id": group::TWIN_A, "name": "Administrators"}, {"id": group::TWIN_B, "name": "admins"}])
    );
}

/// V19, V20: whatever goes wrong at the directory, the groups are unknown; where they decide, nobody gets in.
#[tokio::test]
async fn a_directory_that_fails_leaves_groups_unknown_and_never_none() {
    let stack = Entra::start(options(&[("groups.source", "\"claim\""), ("groups.timeout_ms", "1500")])).await;
    let allowed = format!("[{:?}]", group::team(3));
    let strict = Entra::start(options(&[
        ("groups.source", "\"claim\""),
        ("groups.timeout_ms", "1500"),
        ("policy.allowed_groups", &allowed),
    ]))
    .await;
    assert!(outcome(&strict, person::OVERAGE).await.is_ok(), "a group beyond the token's 200 lets in");
    assert_eq!(outcome(&strict, person::ADA).await, Err("group_not_allowed".into()), "none, and known");
    let status = |status| FaultAction::Status { status, retry_after: None, html: false };
    let mut faults = vec![
        ("forbidden", FaultAction::GraphError { status: 403, code: "Authorization_RequestDenied".into() }),
        (
            "too many for one answer",
            FaultAction::GraphError { status: 400, code: "Directory_ResultSizeLimitExceeded".into() },
        ),
        ("throttled", FaultAction::Status { status: 429, retry_after: Some("60".into()), html: false }),
        ("down", status(503)),
        ("broken", status(500)),
        ("a page", FaultAction::Status { status: 200, retry_after: None, html: true }),
        ("silence", FaultAction::Hang),
        ("reset", FaultAction::Reset),
        ("cut short", FaultAction::Truncate { at: 40 }),
        ("a link to another host (V19)", FaultAction::ForeignNextlink { origin: None }),
        ("a link in a circle", FaultAction::NextlinkLoop),
    ];
    // These can't be told from the truth, and a list of ids has no states.
    let can_be_told = |lie: &&PageLie| !matches!(lie, PageLie::EndsEarly | PageLie::StateUnsaid);
    for lie in PageLie::ALL.iter().filter(can_be_told) {
        faults.push(("a lie", FaultAction::LyingPage { lie: *lie }));
    }
    for (name, action) in faults {
        let fault = || Fault::new(action.clone()).on(Side::Graph).path("*/getMemberGroups*");
        for stack in [&stack, &strict] {
            stack.entra.control().clear_faults();
            stack.entra.control().add_fault(fault());
            stack.entra.control().clear_requests();
        }
        let identity =
            outcome(&stack, person::OVERAGE).await.unwrap_or_else(|code| panic!("{name} {action:?}: {code}"));
        let groups = &identity["groups"];
        assert_eq!(groups["state"], "unknown", "{name} {action:?}: {groups}");
        assert!(groups["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{name} {action:?}: {groups}");
        assert_eq!(outcome(&strict, person::OVERAGE).await, Err("groups_unknown".into()), "{name} {action:?}");
        for request in stack.entra.control().requests() {
            let host = request.host_header.as_deref().unwrap_or_default();
            assert!(!host.starts_with("localhost"), "{name}: a foreign link was followed: {request:?}");
        }
    }
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let stack = Entra::start(options(&[("groups.source", "\"directory\"")])).await;
    let control = stack.entra.control();
    control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles = vec!["User.Read.All".into()]).unwrap();
    let identity = outcome(&stack, person::IN_GROUPS).await.unwrap();
    let reason = identity["groups"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("GroupMember.Read.All"), "{reason}");
}

#[tokio::test]
async fn graphs_token_is_fetched_once_and_again_when_it_is_refused() {
    let stack = Entra::start(options(&[("groups.source", "\"directory\"")])).await;
    let control = stack.entra.control();
    let tokens = || {
        control.requests().iter().filter(|request| request.grant_type.as_deref() == Some("client_credentials")).count()
    };
    for _ in 0..3 {
        outcome(&stack, person::IN_GROUPS).await.unwrap();
    }
    assert_eq!(tokens(), 1);
    control.revoke_access_tokens();
    let identity = outcome(&stack, person::IN_GROUPS).await.unwrap();
    assert_eq!((identity["groups"]["state"].as_str(), tokens()), (Some("known"), 2));
}

#[tokio::test]
async fn claims_about_groups_that_make_no_sense() {
    let stack = Entra::start(options(&[("groups.source", "\"claim\""), ("groups.overage", "\"unknown\"")])).await;
    for mischief in [ClaimMischief::GroupsAsText, ClaimMischief::GroupsWithNonTexts, ClaimMischief::GroupsWithOverage] {
        stack.entra.control().claim_mischief_once(mischief);
        let identity = outcome(&stack, person::IN_GROUPS).await.unwrap();
        assert_eq!(identity["groups"]["state"], "unknown", "{mischief:?}: {}", identity["groups"]);
    }
}

#[tokio::test]
async fn fields_from_the_directory() {
    let stack = Entra::start(options(&[
        ("claims.email", "[\"graph:mail\", \"email\"]"),
        ("claims.username", "[\"graph:onPremisesSamAccountName\", \"preferred_username\"]"),
        ("claims.attributes", "{ department = [\"graph:department\"], title = [\"graph:jobTitle\"] }"),
    ]))
    .await;
    let identity = outcome(&stack, person::ADA).await.unwrap();
    assert_eq!(identity["email_verified"], Value::Null, "the directory's address is verified by nobody");
    assert!(identity["attributes"]["department"].as_str().is_some_and(|text| !text.is_empty()), "{identity}");
    // The directory is down: what the claims have is used.
    stack.entra.control().add_fault(Fault::new(FaultAction::Reset).on(Side::Graph));
    let identity = outcome(&stack, person::ADA).await.unwrap();
    assert_eq!(identity["email"], "ada@contoso.example");
    assert_eq!(identity["attributes"], Value::Null, "{identity}");
}

#[tokio::test]
async fn step_up_is_asked_for_and_proven() {
    let stack = Entra::start(options(&[("required_acrs", "[\"c1\"]")])).await;
    assert!(outcome(&stack, person::STEPPED_UP).await.is_ok());
    assert_eq!(outcome(&stack, person::ADA).await, Err("authentication_context_missing".into()));
    assert_eq!(outcome(&stack, person::STEP_UP_REFUSED).await, Err("interaction_required".into()));
    for mischief in [ClaimMischief::AcrsAsText, ClaimMischief::AcrsWithNonTexts] {
        stack.entra.control().claim_mischief_once(mischief);
        let refused = outcome(&stack, person::STEPPED_UP).await;
        assert_eq!(refused, Err("authentication_context_missing".into()), "{mischief:?}");
    }
    // Who doesn't ask for it doesn't get it.
    let lax = Entra::plain().await;
    assert!(outcome(&lax, person::ADA).await.is_ok());
}

#[tokio::test]
async fn the_age_of_an_authentication_is_proven() {
    let stack = Entra::start(options(&[("max_age", "3600")])).await;
    assert!(outcome(&stack, person::ADA).await.is_ok());
    assert!(outcome(&stack, person::OLD_SESSION).await.is_ok(), "Entra asks again");
    for mischief in [ClaimMischief::AuthTimeMissing, ClaimMischief::AuthTimeAsText, ClaimMischief::AuthTimeInFuture] {
        stack.entra.control().claim_mischief_once(mischief);
        assert_eq!(outcome(&stack, person::ADA).await, Err("auth_time_missing".into()), "{mischief:?}");
    }
    // The token is good for longer than the authentication may be old.
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let strict = Entra::start(options(&[("max_age", "0")])).await;
    let late = strict.browser();
    let url = late.begin().await;
    let late_callback = late.at_entra(&url, person::OLD_SESSION).await.location.unwrap();
    strict.entra.control().edit_person(person::OLD_SESSION, |person| person.session_age_s = 7200).unwrap();
    assert_eq!(late.finish(&late_callback).await.status, 200);
    assert_eq!(browser.finish(&callback).await.status, 200);
}

#[tokio::test]
async fn the_answer_comes_as_a_form_without_cookies() {
    let stack = Entra::start(options(&[("response_mode", "\"form_post\"")])).await;
    let browser = stack.browser();
    let start = browser.get("/openid/start?provider=entra").await;
    let page = browser.at_entra(&start.location.unwrap(), person::ADA).await;
    let form = page.form().unwrap_or_else(|| panic!("no form: {} {}", page.status, page.body));
    assert_eq!(form.action, format!("{}/openid/callback", stack.host.url));
    assert!(browser.cookies().len() == 1, "one sign-in is under way");
    let done = browser.submit_from_elsewhere(&form).await;
    assert_eq!((done.status, done.location.as_deref()), (200, None), "no redirect shows the code: {}", done.body);
    assert!(done.body.contains("Ada Example"), "{}", done.body);
    // A refusal comes the same way.
    let start = browser.get("/openid/start?provider=entra").await;
    let page = browser.at_entra(&start.location.unwrap(), person::CANCELS).await;
    let refused = browser.submit_from_elsewhere(&page.form().expect("a form")).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "login_cancelled"), "{}", refused.body);
}
