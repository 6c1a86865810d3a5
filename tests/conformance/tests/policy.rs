//! The administrator's rules through the whole host: who is let in, what they are told, what the log and the audit record
//! say.

use conformance::{Entra, HostOptions};
use entra_emulator::fixtures::{group, person};
use entra_emulator::{Fault, FaultAction, Side};
use serde_json::Value;

async fn with(settings: &[(&str, &str)]) -> Entra {
    let options = settings.iter().fold(HostOptions::default(), |options, (key, value)| options.set(key, value));
    Entra::start(options).await
}

#[tokio::test]
async fn who_is_let_in() {
    let vpn = format!("[{:?}]", group::VPN_USERS);
    let rule = |require: &str| {
        format!("[{{ name = \"staff only\", require = {require:?}, message = \"Only staff, please.\" }}]")
    };
    let expression = |require: &str| rule(require);
    let in_vpn =
        expression(&format!("contains(groups, '{}') && ends_with(email, '@contoso.example')", group::VPN_USERS));
    let table: Vec<(&str, Vec<(&str, &str)>, &str, &str)> = vec![
        (
            "a domain that is listed",
            vec![("policy.allowed_domains", "[\"other.example\", \"CONTOSO.example\"]")],
            person::ADA,
            "",
        ),
        ("a domain that isn't", vec![("policy.allowed_domains", "[\"example\"]")], person::ADA, "domain_not_allowed"),
        (
            "a domain that ends like it",
            vec![("policy.allowed_domains", "[\"toso.example\"]")],
            person::ADA,
            "domain_not_allowed",
        ),
        ("an address that is verified", vec![("policy.require_verified_email", "true")], person::ADA, ""),
        (
            "an address that isn't",
            vec![("policy.require_verified_email", "true")],
            person::EDOV_FALSE,
            "email_unverified",
        ),
        (
            "an address of which nothing is said",
            vec![("policy.require_verified_email", "true")],
            person::EDOV_ABSENT,
            "email_unverified",
        ),
        ("a group that is listed", vec![("policy.allowed_groups", &vpn)], person::IN_GROUPS, ""),
        ("none of the groups", vec![("policy.allowed_groups", &vpn)], person::IN_NESTED_GROUP, "group_not_allowed"),
        ("a rule that holds", vec![("groups.source", "\"claim\""), ("policy.rules", &in_vpn)], person::IN_GROUPS, ""),
        (
            "a rule that doesn't",
            vec![("groups.source", "\"claim\""), ("policy.rules", &in_vpn)],
            person::ADA,
            "policy_refused",
        ),
    ];
    for (name, settings, person, code) in table {
        let stack = with(&settings).await;
        let finished = stack.browser().sign_in(person).await;
        assert_eq!(finished.code(), code, "{name}: {}", finished.body);
        assert_eq!(finished.status, if code.is_empty() { 200 } else { 403 }, "{name}: {}", finished.body);
    }
    // The administrator's sentence is the person's; the rule's name is the administrator's.
    let stack = with(&[("policy.rules", &rule("username == 'nobody'"))]).await;
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let page = browser.get(&callback).await;
    assert_eq!(page.element("message"), "Only staff, please.", "{}", page.body);
    assert!(!page.body.contains("staff only"), "{}", page.body);
    let record: Value = serde_json::from_str(stack.host.audit().lines().last().unwrap()).unwrap();
    let last = record["checks"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["name"], &last["verdict"]), (&"policy.rule".into(), &"fail".into()), "{record}");
    assert!(last["detail"].as_str().unwrap().contains("staff only"), "{record}");
}

#[tokio::test]
async fn rules_that_cannot_be_evaluated_refuse_and_name_themselves() {
    for (name, require, code) in [
        ("no truth value", "username", "policy_unevaluable"),
        ("a claim that isn't there", "contains(claims.roles, 'x')", "policy_unevaluable"),
        ("nothing", "claims.nothing", "policy_unevaluable"),
        ("groups that nobody asks for", "contains(groups, 'x')", "group_not_asked"),
    ] {
        let rules = format!("[{{ name = {name:?}, require = {require:?} }}]");
        let stack = with(&[("policy.rules", &rules)]).await;
        let refused = stack.browser().sign_in(person::ADA).await;
        assert_eq!(refused.status, 403, "{name}: {}", refused.body);
        let record: Value = serde_json::from_str(stack.host.audit().lines().last().unwrap()).unwrap();
        let detail = record["checks"].as_array().unwrap().last().unwrap()["detail"].as_str().unwrap().to_owned();
        if code == "group_not_asked" {
            // A rule over groups makes the claim the source; Ada is in none, so the rule is simply false.
            assert_eq!(refused.code(), "policy_refused", "{name}: {detail}");
        } else {
            assert_eq!(refused.code(), code, "{name}: {detail}");
        }
        assert!(detail.contains(name), "{name}: {detail}");
    }
}

/// One id for a sign-in: on the page, in the answer's header, in the JSON, in the log and in the audit record.
#[tokio::test]
async fn one_id_leads_from_the_page_to_the_record() {
    let logs = conformance::logs::Logs::capture();
    let stack = Entra::plain().await;
    let header = |answer: &conformance::Answer| {
        answer
            .headers
            .iter()
            .find(|(name, _)| name == "x-request-id")
            .map(|(_, value)| value.clone())
            .unwrap_or_default()
    };
    let browser = stack.browser();
    let callback = browser.callback_url(person::ADA).await;
    let good = browser.get(&callback).await;
    let callback = browser.callback_url(person::CANCELS).await;
    let refused = browser.get(&callback).await;
    let json = stack.browser().finish(&callback).await;
    let records: Vec<Value> = stack.host.audit().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found = |trace: &str| records.iter().find(|record| record["trace"] == trace).cloned();
    for (name, trace, answer, outcome) in [
        ("a page", good.element("trace"), &good, "ok"),
        ("a refusal", refused.element("trace"), &refused, "refused"),
        ("JSON", json.json()["trace"].as_str().unwrap_or_default().to_owned(), &json, "refused"),
    ] {
        assert_eq!(trace.len(), 10, "{name}: {trace}");
        assert_eq!(header(answer), trace, "{name}");
        let record = found(&trace).unwrap_or_else(|| panic!("{name}: no record of {trace}: {records:?}"));
        assert_eq!(record["outcome"], outcome, "{name}: {record}");
        assert!(record["checks"].as_array().is_some_and(|checks| !checks.is_empty()), "{name}: {record}");
        assert!(logs.text().contains(&trace), "{name}: not in the log");
    }
    let record = found(&good.element("trace")).unwrap();
    assert_eq!(
        (&record["who"]["email"], &record["linking"]["decision"]),
        (&"ada@contoso.example".into(), &"new".into())
    );
    let names: Vec<_> =
        record["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in [
        "callback",
        "transaction",
        "browser_binding",
        "discovery",
        "token_request",
        "id_token.signature",
        "id_token.nonce",
        "account.kind",
        "claims.email",
        "linking",
    ] {
        assert!(names.contains(&name), "{name} isn't among {names:?}");
    }
}

#[tokio::test]
async fn a_sign_in_that_cannot_begin_has_a_record_too() {
    let stack = Entra::plain().await;
    let down = Fault::new(FaultAction::Status { status: 503, retry_after: None, html: true }).on(Side::Login);
    stack.entra.control().add_fault(down);
    let refused = stack.browser().auth_info().await;
    let record: Value = serde_json::from_str(stack.host.audit().lines().last().unwrap()).unwrap();
    assert_eq!((&record["step"], &record["outcome"]), (&"begin".into(), &"failed".into()), "{record}");
    assert_eq!((&record["trace"], &record["code"]), (&refused.json()["trace"], &refused.json()["code"]), "{record}");
}
