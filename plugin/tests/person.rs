//! One person of the directory, asked for while they sign in: what is asked, what is made of every answer, and that nothing but
//! Graph's own word makes somebody disabled or gone.
#![expect(clippy::panic, reason = "a test's own helpers may fail it")]

mod support;

use std::rc::Rc;

use openid::capability::{CredentialFailure, HttpError, Method, Request, Response};
use openid::directory::person::{MAX_GROUPS, Memberships, PersonState, person};
use openid::directory::{Collection, Failure};
use serde_json::{Value, json};
use support::{GRAPH, LOGIN, OID, Stage, TENANT, app_token, json_response, response};

const BUDGET_MS: u32 = 1500;

fn user_url() -> String {
    format!("{GRAPH}/v1.0/users/{OID}")
}

fn groups_url() -> String {
    format!("{GRAPH}/v1.0/users/{OID}/getMemberGroups")
}

fn pages_url() -> String {
    format!("{GRAPH}/v1.0/users/{OID}/transitiveMemberOf/microsoft.graph.group")
}

fn token_endpoint() -> String {
    format!("{LOGIN}/{TENANT}/oauth2/v2.0/token")
}

fn group(number: usize) -> String {
    format!("44444444-4444-4444-8444-{number:012}")
}

fn groups_from(first: usize, count: usize) -> Vec<String> {
    (first..first + count).map(group).collect()
}

fn ada() -> Value {
    json!({ "id": OID, "userPrincipalName": "ada@contoso.example", "accountEnabled": true, "userType": "Member" })
}

fn graph_error(status: u16, code: &str) -> Response {
    json_response(status, &json!({ "error": { "code": code, "message": "no" } }))
}

/// Ada, enabled, in two groups.
fn stage() -> Stage {
    let stage = Stage::microsoft();
    stage.answer_json(&user_url(), &ada());
    stage.answer_json(&groups_url(), &json!({ "value": groups_from(1, 2) }));
    stage
}

fn ask(stage: &Stage) -> Result<Option<PersonState>, Failure> {
    person(stage.world(), &stage.provider.to_string(), OID, BUDGET_MS)
}

#[track_caller]
fn there(name: &str, found: Result<Option<PersonState>, Failure>) -> PersonState {
    match found {
        Ok(Some(state)) => state,
        other => panic!("{name}: {other:?}"),
    }
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

#[test]
fn what_is_asked_for() {
    let stage = stage();
    let found = there("Ada", ask(&stage));
    let groups = Memberships::Known(groups_from(1, 2));
    assert_eq!(found, PersonState { enabled: Some(true), guest: Some(false), groups });
    let asked: Vec<_> = stage.requests().into_iter().filter(|request| request.url.starts_with(GRAPH)).collect();
    let [user, groups] = asked.as_slice() else { panic!("{asked:?}") };
    let select = "?$select=id,userPrincipalName,accountEnabled,userType";
    assert_eq!((user.method, user.url.clone()), (Method::Get, format!("{}{select}", user_url())));
    assert_eq!((groups.method, groups.url.clone()), (Method::Post, groups_url()));
    let body: Value = serde_json::from_slice(groups.body.as_deref().unwrap_or_default()).unwrap_or_default();
    assert_eq!(body, json!({ "securityEnabledOnly": false }), "groups of every kind, as the synchronisation has them");
    for request in &asked {
        assert_eq!(header(request, "authorization"), Some("Bearer the-app-token"));
        assert_eq!(header(request, "x-ms-throttle-priority"), None, "somebody waits");
        assert!(request.timeout_ms <= BUDGET_MS && request.max_response_bytes <= 1 << 20, "{request:?}");
    }
    let _ = ask(&stage);
    assert_eq!(stage.count(&token_endpoint()), 1, "the token is the cache's");
    assert!(stage.token_requests().iter().all(|(request, _)| request.timeout_ms <= BUDGET_MS));
}

#[test]
fn what_the_directory_says_of_the_account() {
    let with = |changes: Value| support::with(ada(), &changes);
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Option<bool>, Option<bool>)> = vec![
        ("enabled", ada(), Some(true), Some(false)),
        ("disabled", with(json!({ "accountEnabled": false })), Some(false), Some(false)),
        ("without the right to see it: null", with(json!({ "accountEnabled": Value::Null })), None, Some(false)),
        ("a guest", with(json!({ "userType": "Guest" })), Some(true), Some(true)),
        ("an id in capitals", with(json!({ "id": OID.to_ascii_uppercase() })), Some(true), Some(false)),
        ("nothing but the id", json!({ "id": OID }), None, None),
        ("null in both", json!({ "id": OID, "accountEnabled": null, "userType": null }), None, Some(false)),
        ("a guest by name", json!({ "id": OID, "userPrincipalName": "a#EXT#@x.example", "userType": null }), None, Some(true)),
    ];
    for (name, user, enabled, guest) in table {
        let stage = stage();
        stage.answer_json(&user_url(), &user);
        let found = there(name, ask(&stage));
        assert_eq!((found.enabled, found.guest), (enabled, guest), "{name}");
        assert_eq!(found.groups, Memberships::Known(groups_from(1, 2)), "{name}");
    }
}

/// What an answer about the account comes to, if not to a state.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Gone,
    Denied,
    Retry(u32),
    Malformed,
}

type Answer = Box<dyn Fn(&Request) -> Result<Response, HttpError>>;

#[test]
fn nobody_is_gone_but_by_graphs_own_word() {
    let says = |response: Response| -> Answer { Box::new(move |_| Ok(response.clone())) };
    let error = |status, code| says(graph_error(status, code));
    let object = |object: Value| says(json_response(200, &object));
    let mut busy = graph_error(429, "TooManyRequests");
    busy.headers.push(("retry-after".into(), "7".into()));
    let mut briefly_busy = graph_error(429, "TooManyRequests");
    briefly_busy.headers.push(("retry-after".into(), "1".into()));
    #[rustfmt::skip]
    let table: Vec<(&str, Answer, Told)> = vec![
        ("not there", error(404, "Request_ResourceNotFound"), Told::Gone),
        ("404 of another kind", error(404, "UnknownError"), Told::Retry(0)),
        ("404 of another machine", says(response(404, "text/html", "<h1>Not Found</h1>")), Told::Retry(0)),
        ("410", error(410, "Gone"), Told::Retry(0)),
        ("forbidden", error(403, "Authorization_RequestDenied"), Told::Denied),
        ("the token isn't good", error(401, "InvalidAuthenticationToken"), Told::Malformed),
        ("throttled", says(busy), Told::Retry(7000)),
        ("throttled for a moment, which isn't waited for", says(briefly_busy), Told::Retry(1000)),
        ("down", error(503, "ServiceUnavailable"), Told::Retry(0)),
        ("broken", error(500, "InternalServerError"), Told::Retry(0)),
        ("a bad request", error(400, "Request_BadRequest"), Told::Malformed),
        ("silence", Box::new(|_| Err(HttpError::Timeout)), Told::Retry(0)),
        ("no connection", Box::new(|_| Err(HttpError::Connect("reset".into()))), Told::Retry(0)),
        ("too much", Box::new(|_| Err(HttpError::TooLarge(1))), Told::Retry(0)),
        ("a page", says(response(200, "text/html", "<html>")), Told::Malformed),
        ("JSON that breaks off", says(response(200, "application/json", "{\"id\":")), Told::Malformed),
        ("somebody else", object(json!({ "id": TENANT, "accountEnabled": false })), Told::Malformed),
        ("nobody in particular", object(json!({ "accountEnabled": false })), Told::Malformed),
        ("removed, which only a page of changes says", object(json!({ "id": OID, "@removed": {} })), Told::Malformed),
        ("a state that is none", object(json!({ "id": OID, "accountEnabled": "false" })), Told::Malformed),
        ("twice, and different", says(response(200, "application/json", format!("{{\"id\":\"{OID}\",\"accountEnabled\":false,\"accountEnabled\":true}}"))), Told::Malformed),
    ];
    for (name, answer, expected) in table {
        let stage = stage();
        stage.answer(&user_url(), answer);
        let found = match ask(&stage) {
            Ok(None) => Told::Gone,
            Err(Failure::Denied { collection: Collection::Users, detail }) => {
                assert!(detail.contains("403"), "{name}: {detail}");
                Told::Denied
            }
            Err(Failure::Retry { wait_ms, .. }) => Told::Retry(wait_ms),
            Err(Failure::Malformed(_)) => Told::Malformed,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(found, expected, "{name}");
        assert_eq!(stage.monotonic_ms.get(), 0, "{name}: nothing is waited for");
    }
}

/// Name, answer, and the groups, or a part of why they aren't known.
type GroupsRow<'a> = (&'a str, Answer, Result<Vec<String>, &'a str>);

#[test]
fn groups_are_all_of_them_or_unknown() {
    let says = |response: Response| -> Answer { Box::new(move |_| Ok(response.clone())) };
    let list = |ids: Vec<String>| says(json_response(200, &json!({ "value": ids })));
    let link = |to: &str| says(json_response(200, &json!({ "value": [group(1)], "@odata.nextLink": to })));
    let url = groups_url();
    let pages: Answer = Box::new(move |request| {
        assert!(request.body.is_some(), "every page is asked for alike");
        Ok(json_response(
            200,
            &match request.url.split_once('=') {
                None => json!({ "value": groups_from(1, 1), "@odata.nextLink": format!("{url}?$skiptoken=2") }),
                Some(_) => json!({ "value": [group(3).to_ascii_uppercase(), group(1)] }),
            },
        ))
    });
    let known = |ids: Vec<String>| Ok(ids);
    #[rustfmt::skip]
    let table: Vec<GroupsRow<'_>> = vec![
        ("none", list(Vec::new()), known(Vec::new())),
        ("several, out of order", list(vec![group(2), group(1)]), known(groups_from(1, 2))),
        ("two pages", pages, known(vec![group(1), group(3)])),
        ("forbidden", says(graph_error(403, "Authorization_RequestDenied")), Err("GroupMember.Read.All")),
        ("throttled", says(graph_error(429, "TooManyRequests")), Err("asks to wait")),
        ("not there, though the account is", says(graph_error(404, "Request_ResourceNotFound")), Err("no such object")),
        ("silence", Box::new(|_| Err(HttpError::Timeout)), Err("Microsoft Graph failed")),
        ("no list", says(json_response(200, &json!({}))), Err("no list")),
        ("something that is no group", list(vec!["vpn".into()]), Err("no GUID")),
        ("a link elsewhere", link("https://graph.example/v1.0/x"), Err("isn't the configured Graph")),
        ("a link in a circle", link(&groups_url()), Err("circle")),
        ("more than are passed on", list(groups_from(0, MAX_GROUPS + 1)), Err("more than 20000")),
    ];
    for (name, answer, expected) in table {
        let stage = stage();
        stage.answer(&groups_url(), answer);
        let found = there(name, ask(&stage));
        assert_eq!(found.enabled, Some(true), "{name}: the account's state doesn't need them");
        match (found.groups, expected) {
            (Memberships::Known(groups), Ok(expected)) => assert_eq!(groups, expected, "{name}"),
            (Memberships::Unknown(reason), Err(part)) => assert!(reason.contains(part), "{name}: {reason}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

/// Beyond 11000 `getMemberGroups` gives up, and pages have them all.
#[test]
fn groups_that_are_too_many_for_one_answer_come_in_pages() {
    for (name, count, expected) in
        [("11001", 11_001, Some(11_001)), ("20000", MAX_GROUPS, Some(MAX_GROUPS)), ("20001", MAX_GROUPS + 1, None)]
    {
        let stage = stage();
        stage.answer(&groups_url(), |_| Ok(graph_error(400, "Directory_ResultSizeLimitExceeded")));
        let url = pages_url();
        stage.answer(&pages_url(), move |request| {
            assert_eq!((request.method, request.body.is_some()), (Method::Get, false));
            assert!(request.url.contains("$select=id&$top=999"), "{}", request.url);
            let skip = request.url.split_once("&at=").map_or(0, |(_, at)| at.parse::<usize>().unwrap_or(usize::MAX));
            let page = groups_from(skip, 999.min(count - skip));
            let next = skip + page.len();
            let value: Vec<_> = page.into_iter().map(|id| json!({ "id": id })).collect();
            let link = (next < count).then(|| format!("{url}?$select=id&$top=999&at={next}"));
            Ok(json_response(200, &json!({ "value": value, "@odata.nextLink": link })))
        });
        match (there(name, ask(&stage)).groups, expected) {
            (Memberships::Known(groups), Some(expected)) => assert_eq!(groups.len(), expected, "{name}"),
            (Memberships::Unknown(reason), None) => assert!(reason.contains("more than 20000"), "{name}: {reason}"),
            (found, _) => panic!("{name}: {found:?}"),
        }
    }
}

#[test]
fn only_an_object_id_is_asked_for() {
    for id in ["", "ada", "ada@contoso.example", "me", "../groups", &format!("{OID}/manager"), &format!("{OID} ")] {
        let stage = stage();
        let found = person(stage.world(), &stage.provider.to_string(), id, BUDGET_MS);
        assert!(matches!(found, Err(Failure::Misconfigured(_))), "{id:?}: {found:?}");
        assert_eq!((stage.requests().len(), stage.token_requests().len()), (0, 0), "{id:?}");
    }
    let stage = Stage::oidc();
    assert!(matches!(ask(&stage), Err(Failure::Misconfigured(_))), "a provider without a directory");
    assert_eq!(stage.requests().len(), 0);
}

/// The end of so short a time says nothing to those who have more; what the provider says is remembered for a moment.
#[test]
fn a_token_that_took_too_long_is_asked_for_again() {
    type TokenFails = Box<dyn Fn(&Request) -> Result<Response, CredentialFailure>>;
    let slow: TokenFails = Box::new(|_| Err(CredentialFailure::Http(HttpError::Timeout)));
    let down: TokenFails = Box::new(|_| Ok(response(503, "text/html", "busy")));
    let refused: TokenFails = Box::new(|_| {
        let error = json!({ "error": "invalid_client", "error_description": "AADSTS7000222: expired" });
        Ok(json_response(401, &error))
    });
    for (name, answer, is_credential, tokens) in
        [("slow", slow, false, 2), ("down", down, false, 1), ("refused", refused, true, 1)]
    {
        let stage = stage();
        stage.answer_app_tokens(answer);
        let failure = ask(&stage).err();
        let found = matches!(failure, Some(Failure::Credential { .. }));
        assert_eq!(found, is_credential, "{name}: {failure:?}");
        assert!(found || matches!(failure, Some(Failure::Retry { .. })), "{name}: {failure:?}");
        stage.answer_app_tokens(|_| Ok(json_response(200, &app_token("the-app-token"))));
        assert_eq!(ask(&stage).is_ok(), tokens == 2, "{name}");
        assert_eq!(stage.count(&token_endpoint()), tokens, "{name}");
    }
}

#[test]
fn one_time_is_for_everything() {
    // The token takes most of it: what is left is for both answers, and then there is none.
    let stage = stage();
    let clock = Rc::clone(&stage.monotonic_ms);
    stage.answer_app_tokens(move |_| {
        clock.set(clock.get() + 1400);
        Ok(json_response(200, &app_token("the-app-token")))
    });
    assert!(ask(&stage).is_ok());
    let left: Vec<u32> = stage
        .requests()
        .iter()
        .filter(|request| request.url.starts_with(GRAPH))
        .map(|request| request.timeout_ms)
        .collect();
    assert_eq!(left, [100, 100]);

    stage.forget();
    let clock = Rc::clone(&stage.monotonic_ms);
    stage.answer_app_tokens(move |_| {
        clock.set(clock.get() + u64::from(BUDGET_MS));
        Ok(json_response(200, &app_token("the-app-token")))
    });
    let before = stage.count(&user_url());
    let failure = ask(&stage).err();
    assert!(matches!(&failure, Some(Failure::Retry { detail, .. }) if detail.contains("1500 ms")), "{failure:?}");
    assert_eq!(stage.count(&user_url()), before);

    let stage = self::stage();
    stage.somebody_fetches("graph-token/");
    let failure = ask(&stage).err();
    assert!(matches!(failure, Some(Failure::Retry { .. })), "somebody else still waits for the token: {failure:?}");
    assert_eq!(stage.monotonic_ms.get(), u64::from(BUDGET_MS), "and no longer than that is waited for it");
}
