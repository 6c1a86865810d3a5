//! The second step up to the token request: whose callback it is, what it may look like, and what the provider's errors
//! become. Nothing that isn't good to the end makes a token request.

mod support;

use openid::capability::StorageError;
use openid::login::Flow;
use openid::login::begin::Authorization;
use openid::login::complete::CompleteRequest;
use openid::login::refusal::RefusalKind;
use serde_json::json;
use support::{ISSUER, LOGIN, Stage, TENANT, discovery_url, oidc_document, parameters, verdict, with};

/// Whether the browser that began can still finish.
#[derive(Debug, PartialEq, Eq)]
enum Then {
    Usable,
    Gone,
}

type Change = fn(&mut CompleteRequest, &Authorization);

fn set(request: &mut CompleteRequest, name: &str, value: &str) {
    request.parameters.retain(|(found, _)| found != name);
    add(request, name, value);
}

fn add(request: &mut CompleteRequest, name: &str, value: &str) {
    request.parameters.push((name.into(), value.into()));
}

fn remove(request: &mut CompleteRequest, name: &str) {
    request.parameters.retain(|(found, _)| found != name);
}

#[test]
fn callbacks_of_every_form() {
    use Then::{Gone, Usable};
    // Name, what is changed on an honest callback, code, and whether the transaction is still there for an honest one.
    #[rustfmt::skip]
    let table: Vec<(&str, Change, &str, Then)> = vec![
        ("an honest one", |_, _| (), "ok", Gone),
        ("parameters of others", |request, _| { add(request, "session_state", "x"); add(request, "utm", "y"); }, "ok", Gone),
        ("parameters of others, twice", |request, _| { add(request, "x", "1"); add(request, "x", "2"); }, "ok", Gone),
        ("an access token in it (V24)", |request, _| { add(request, "access_token", "evil"); add(request, "id_token", "evil"); }, "ok", Gone),
        ("the right iss", |request, _| add(request, "iss", &format!("{LOGIN}/{TENANT}/v2.0")), "ok", Gone),
        ("an empty error", |request, _| add(request, "error", ""), "ok", Gone),
        ("a code of 8 KiB", |request, _| set(request, "code", &"c".repeat(8192)), "ok", Gone),
        ("nothing at all", |request, _| request.parameters.clear(), "callback_incomplete", Usable),
        ("no state", |request, _| remove(request, "state"), "callback_incomplete", Usable),
        ("an empty state", |request, _| set(request, "state", ""), "callback_incomplete", Usable),
        ("no code", |request, _| remove(request, "code"), "callback_incomplete", Usable),
        ("an empty code", |request, _| set(request, "code", ""), "callback_incomplete", Usable),
        ("CODE in upper case", |request, _| { remove(request, "code"); add(request, "CODE", "x"); }, "callback_incomplete", Usable),
        ("two states, the first honest (V26)", |request, _| add(request, "state", "evil"), "callback_parameter_doubled", Usable),
        ("two states, the same", |request, begun| add(request, "state", &begun.state), "callback_parameter_doubled", Usable),
        ("two codes", |request, _| add(request, "code", "evil"), "callback_parameter_doubled", Usable),
        ("two codes, one empty", |request, _| add(request, "code", ""), "callback_parameter_doubled", Usable),
        ("two iss (V8)", |request, _| { add(request, "iss", &format!("{LOGIN}/{TENANT}/v2.0")); add(request, "iss", "https://evil.example"); }, "callback_parameter_doubled", Usable),
        ("two errors", |request, _| { remove(request, "code"); add(request, "error", "a"); add(request, "error", "b"); }, "callback_parameter_doubled", Usable),
        ("two descriptions", |request, _| { add(request, "error_description", "a"); add(request, "error_description", "b"); }, "callback_parameter_doubled", Usable),
        ("code and error", |request, _| add(request, "error", "access_denied"), "callback_contradictory", Usable),
        ("a state of 513 bytes", |request, _| set(request, "state", &"s".repeat(513)), "callback_parameter_oversized", Usable),
        ("a code of 8193 bytes", |request, _| set(request, "code", &"c".repeat(8193)), "callback_parameter_oversized", Usable),
        ("an error of 5 KiB", |request, _| { remove(request, "code"); add(request, "error", &"e".repeat(5 << 10)); }, "callback_parameter_oversized", Usable),
        ("a description of 5 KiB", |request, _| { remove(request, "code"); add(request, "error", "x"); add(request, "error_description", &"e".repeat(5 << 10)); }, "callback_parameter_oversized", Usable),
        ("an iss of 5 KiB", |request, _| add(request, "iss", &"i".repeat(5 << 10)), "callback_parameter_oversized", Usable),
        ("somebody's state (V5)", |request, _| set(request, "state", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), "transaction_unknown", Usable),
        ("the state with a letter more", |request, begun| set(request, "state", &format!("{}x", begun.state)), "transaction_unknown", Usable),
        ("the state without its last letter", |request, begun| set(request, "state", begun.state.get(..42).unwrap()), "transaction_unknown", Usable),
        ("a state with path and zero", |request, _| set(request, "state", "../txn/\u{0}"), "transaction_unknown", Usable),
        ("no cookie (V6)", |request, _| request.browser_binding = None, "browser_mismatch", Usable),
        ("an empty cookie", |request, _| request.browser_binding = Some(String::new()), "browser_mismatch", Usable),
        ("another browser's cookie (V6)", |request, _| request.browser_binding = Some("A".repeat(43)), "browser_mismatch", Usable),
        ("the state as the cookie", |request, begun| request.browser_binding = Some(begun.state.clone()), "browser_mismatch", Usable),
        ("an error in another browser", |request, _| { remove(request, "code"); add(request, "error", "access_denied"); request.browser_binding = None; }, "browser_mismatch", Usable),
        ("another flow", |request, _| request.flow = Flow::Mfa, "transaction_mismatch", Gone),
        ("another redirect URI", |request, _| request.redirect_uri = "https://vpn.example/openid/callback/other".into(), "transaction_mismatch", Gone),
        ("another issuer (V8)", |request, _| add(request, "iss", "https://evil.example"), "callback_issuer_mismatch", Gone),
        ("the issuer with a slash", |request, _| add(request, "iss", &format!("{LOGIN}/{TENANT}/v2.0/")), "callback_issuer_mismatch", Gone),
        ("an error with another issuer", |request, _| { remove(request, "code"); add(request, "error", "access_denied"); add(request, "iss", "https://evil.example"); }, "callback_issuer_mismatch", Gone),
    ];
    for (name, change, code, then) in table {
        let stage = Stage::microsoft();
        let begun = stage.begun();
        let mut request = stage.callback(&begun);
        change(&mut request, &begun);
        let (found, detail) = verdict(&stage.finish(&begun, &request));
        assert_eq!(found, code, "{name}: {detail}");
        let asked = stage.token_requests().len();
        assert_eq!(asked, usize::from(code == "ok"), "{name}: token requests");
        let retried = verdict(&stage.finish(&begun, &stage.callback(&begun))).0;
        let expected = if then == Usable { "ok" } else { "transaction_unknown" };
        assert_eq!(retried, expected, "{name}: an honest callback afterwards");
    }
}

/// V7: whatever came of it, a transaction is finished once.
#[test]
fn a_callback_again_is_refused_without_a_request() {
    for (name, parameter, first) in
        [("after a success", "code", "ok"), ("after an error", "error", "denied_by_provider")]
    {
        let stage = Stage::microsoft();
        let begun = stage.begun();
        let request = stage.callback_with(&begun, &[(parameter, "x"), ("state", &begun.state)]);
        assert_eq!(verdict(&stage.finish(&begun, &request)).0, first, "{name}");
        let asked = stage.token_requests().len();
        assert_eq!(verdict(&stage.finish(&begun, &request)).0, "transaction_unknown", "{name}");
        assert_eq!(stage.token_requests().len(), asked, "{name}");
    }
}

/// V7: of two at once, the one that didn't get the transaction asks for nothing.
#[test]
fn the_loser_of_two_parallel_callbacks_makes_no_request() {
    let stage = Stage::microsoft();
    let begun = stage.begun();
    stage.transactions_are_stolen.set(true);
    assert_eq!(verdict(&stage.finish(&begun, &stage.callback(&begun))).0, "transaction_used");
    assert_eq!(stage.token_requests().len(), 0);
}

/// T3: state, not the browser, names a transaction.
#[test]
fn two_tabs_both_finish_in_any_order() {
    let stage = Stage::microsoft();
    let (first, second) = (stage.begun(), stage.begun());
    for begun in [&second, &first] {
        assert_eq!(verdict(&stage.finish(begun, &stage.callback(begun))).0, "ok");
    }
    let (first, second) = (stage.begun(), stage.begun());
    let mut crossed = stage.callback(&first);
    crossed.browser_binding = Some(second.browser_binding);
    assert_eq!(verdict(&stage.finish(&first, &crossed)).0, "browser_mismatch", "the other tab's cookie");
}

#[test]
fn a_transaction_lives_ten_minutes() {
    for (seconds, code) in [(599, "ok"), (600, "transaction_unknown")] {
        let stage = Stage::microsoft();
        let begun = stage.begun();
        stage.pass_time(seconds);
        assert_eq!(verdict(&stage.finish(&begun, &stage.callback(&begun))).0, code, "{seconds} s");
    }
}

#[test]
fn a_provider_that_changed_in_between() {
    for (name, change, code) in [
        ("another label", json!({ "display_name": "Acme" }), "ok"),
        ("another client", json!({ "client_id": "another" }), "transaction_mismatch"),
        ("another id", json!({ "id": "entra-2" }), "transaction_mismatch"),
        (
            "another kind",
            json!({ "kind": "oidc", "tenant": null, "base_url": format!("{LOGIN}/{TENANT}/v2.0") }),
            "transaction_mismatch",
        ),
    ] {
        let mut stage = Stage::microsoft();
        let begun = stage.begun();
        stage.configure(&change);
        assert_eq!(verdict(&stage.finish(&begun, &stage.callback(&begun))).0, code, "{name}");
        assert_eq!(stage.token_requests().len(), usize::from(code == "ok"), "{name}");
    }
}

#[test]
fn a_stored_form_of_another_version_is_unknown() {
    for (name, change) in [
        ("a newer schema", (|transaction| transaction["schema"] = json!(2)) as fn(&mut serde_json::Value)),
        ("a member less", |transaction| drop(transaction.as_object_mut().unwrap().remove("nonce"))),
        ("not an object", |transaction| *transaction = json!("x")),
    ] {
        let stage = Stage::microsoft();
        let begun = stage.begun();
        stage.rewrite_transaction(change);
        assert_eq!(verdict(&stage.finish(&begun, &stage.callback(&begun))).0, "transaction_unknown", "{name}");
    }
}

/// RFC 9207 section 2.4.
#[test]
fn iss_is_demanded_where_discovery_announces_it() {
    for (name, announced, iss, code) in [
        ("announced and sent", true, Some(ISSUER), "ok"),
        ("announced and not sent", true, None, "callback_issuer_mismatch"),
        ("announced and empty", true, Some(""), "callback_issuer_mismatch"),
        ("not announced, not sent", false, None, "ok"),
        ("not announced, sent", false, Some(ISSUER), "ok"),
        ("not announced, another", false, Some("https://idp.example/realms/other"), "callback_issuer_mismatch"),
    ] {
        let stage = Stage::oidc();
        let document = with(oidc_document(), &json!({ "authorization_response_iss_parameter_supported": announced }));
        stage.answer_json(&discovery_url(ISSUER), &document);
        let begun = stage.begun();
        let mut request = stage.callback(&begun);
        if let Some(iss) = iss {
            add(&mut request, "iss", iss);
        }
        assert_eq!(verdict(&stage.finish(&begun, &request)).0, code, "{name}");
    }
}

#[test]
fn what_the_provider_says_no_with() {
    use RefusalKind::{DeniedByProvider, Misconfigured, ProviderUnavailable};
    // Error, subcode, description, code, kind, a part of the administrator's hint.
    #[rustfmt::skip]
    let table: Vec<(&str, &str, &str, &str, RefusalKind, &str)> = vec![
        ("access_denied", "cancel", "", "login_cancelled", DeniedByProvider, "cancelled"),
        ("access_denied", "", "", "access_denied", DeniedByProvider, "sign-in log"),
        ("access_denied", "", "AADSTS65004: User declined to consent.", "access_denied", DeniedByProvider, "AADSTS65004"),
        ("consent_required", "", "AADSTS65001: no consent", "consent_required", DeniedByProvider, "Grant admin consent"),
        ("interaction_required", "", "AADSTS50076: MFA", "interaction_required", DeniedByProvider, "Multi-factor"),
        ("login_required", "", "AADSTS50058: no session", "interaction_required", DeniedByProvider, "prompt"),
        ("account_selection_required", "", "", "interaction_required", DeniedByProvider, "prompt"),
        ("server_error", "", "", "provider_error", ProviderUnavailable, "status"),
        ("temporarily_unavailable", "", "AADSTS90033: transient", "provider_error", ProviderUnavailable, "passing"),
        ("invalid_request", "", "AADSTS900971: No reply address", "request_refused", Misconfigured, "AADSTS900971"),
        ("unauthorized_client", "", "AADSTS700016: not found", "request_refused", Misconfigured, "AADSTS700016"),
        ("unsupported_response_type", "", "AADSTS700054", "request_refused", Misconfigured, "response type"),
        ("invalid_scope", "", "", "request_refused", Misconfigured, "scopes"),
        ("invalid_resource", "", "", "request_refused", Misconfigured, "compare"),
        ("something_new", "", "AADSTS1: unknown number", "denied_by_provider", DeniedByProvider, "see what it said"),
        ("ACCESS_DENIED", "cancel", "", "denied_by_provider", DeniedByProvider, ""),
        ("server_error", "cancel", "AADSTS50105: not assigned", "provider_error", ProviderUnavailable, "AADSTS50105"),
    ];
    for (error, subcode, description, code, kind, hint) in table {
        let stage = Stage::microsoft();
        let begun = stage.begun();
        let sent =
            [("error", error), ("error_subcode", subcode), ("error_description", description), ("state", &begun.state)];
        let Err((refusal, checks)) = stage.finish(&begun, &stage.callback_with(&begun, &sent)) else {
            panic!("{error} was accepted");
        };
        assert_eq!((refusal.rule.code, refusal.rule.kind), (code, kind), "{error} {subcode}");
        assert!(refusal.admin_hint().contains(hint), "{error}: {}", refusal.admin_hint());
        assert!(refusal.provider_said.contains(&("error".into(), error.into())), "{error}");
        assert!(!refusal.rule.message.contains(error), "{error}: the person reads a sentence, not a code");
        assert_eq!(checks.last().map(|check| check.name), Some("provider"), "{error}");
        assert_eq!(stage.token_requests().len(), 0, "{error}");
    }
}

#[test]
fn a_providers_text_is_cleaned_and_cut() {
    let stage = Stage::microsoft();
    let begun = stage.begun();
    let description = format!("first\r\nSet-Cookie: x\u{1b}[31m\u{0}{}", "ä".repeat(1000));
    let sent = [("error", "x\r\ny"), ("error_description", description.as_str()), ("state", &begun.state)];
    let Err((refusal, checks)) = stage.finish(&begun, &stage.callback_with(&begun, &sent)) else { panic!("accepted") };
    for text in refusal.provider_said.iter().map(|(_, value)| value).chain(checks.iter().map(|check| &check.detail)) {
        assert!(text.len() <= 512 && !text.chars().any(char::is_control), "{text:?}");
    }
    assert!(refusal.provider_said.iter().all(|(_, value)| value.len() <= 300));
}

/// V28: what is refused, accepted, logged and traced never holds what was secret.
#[test]
fn no_secret_is_in_any_trace_log_or_refusal() {
    let changes: [(&str, Change); 6] = [
        ("a success", |_, _| ()),
        ("another browser", |request, _| request.browser_binding = Some("foreign-binding".into())),
        ("another state", |request, _| set(request, "state", "foreign-state")),
        ("another issuer", |request, _| add(request, "iss", "https://evil.example")),
        ("an error", |request, _| {
            remove(request, "code");
            add(request, "error", "access_denied");
        }),
        ("a doubled code", |request, _| add(request, "code", "foreign-code")),
    ];
    for (name, change) in changes {
        let stage = Stage::microsoft();
        let begun = stage.begun();
        let transaction: serde_json::Value = serde_json::from_str(&stage.stored_text()).unwrap();
        let mut request = stage.callback(&begun);
        change(&mut request, &begun);
        let outcome = stage.finish(&begun, &request);
        let said = match outcome {
            Ok(completion) => format!("{:?} {:?}", completion.checks, begun.checks),
            Err((refusal, checks)) => format!("{refusal:?} {checks:?} {:?}", begun.checks),
        };
        let said = format!("{said} {:?}", stage.log());
        let sent = parameters(&begun.url);
        let token = stage.tokens()["id_token"].as_str().unwrap().to_owned();
        for secret in [
            begun.state.as_str(),
            &begun.browser_binding,
            &sent["nonce"],
            &sent["code_challenge"],
            transaction["code_verifier"].as_str().unwrap(),
            "the-code",
            "the-access-token",
            "foreign-binding",
            "foreign-state",
            "foreign-code",
            &token,
        ] {
            assert!(!said.contains(secret), "{name}: {secret} in {said}");
        }
    }
}

#[test]
fn a_storage_that_fails_leaves_the_transaction() {
    let stage = Stage::microsoft();
    let begun = stage.begun();
    *stage.storage_fails.borrow_mut() = Some(StorageError::Unavailable("down".into()));
    assert_eq!(verdict(&stage.finish(&begun, &stage.callback(&begun))).0, "storage_unavailable");
    assert_eq!(stage.token_requests().len(), 0);
    *stage.storage_fails.borrow_mut() = None;
    assert_eq!(verdict(&stage.finish(&begun, &stage.callback(&begun))).0, "ok");
}
