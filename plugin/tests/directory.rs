//! What a sign-in reads of Microsoft's directory: groups, their names, the person. Whatever goes wrong, groups are then
//! unknown and never none (V20), and the access token goes to Graph and nowhere else (V19).
#![expect(clippy::panic, reason = "a test's own helpers may fail it")]

mod support;

use std::cell::Cell;
use std::rc::Rc;

use openid::capability::{ClientAuthentication, CredentialFailure, HttpError, Method, Request, Response};
use openid::claims::groups::Groups;
use openid::configuration::{Provider, Severity, parse, validate};
use openid::entra::TenantId;
use openid::entra::directory::Directory;
use openid::login::membership;
use openid::login::trace::{Check, Trace, Verdict};
use openid::oidc::discovery;
use openid::oidc::id_token::IdTokenClaims;
use serde_json::{Map, Value, json};
use support::{
    GRAPH, ISSUER, LOGIN, MSA, OID, OTHER_TENANT, Stage, TENANT, app_token, discovery_url, entra_document,
    json_response, parameters, response, verdict, with,
};

fn member_groups() -> String {
    format!("{GRAPH}/v1.0/users/{OID}/getMemberGroups")
}

fn names_url() -> String {
    format!("{GRAPH}/v1.0/directoryObjects/getByIds")
}

fn token_endpoint(tenant: &str) -> String {
    format!("{LOGIN}/{tenant}/oauth2/v2.0/token")
}

/// The `number`-th group.
fn group(number: usize) -> String {
    format!("44444444-4444-4444-8444-{number:012}")
}

fn groups_from(first: usize, count: usize) -> Vec<String> {
    (first..first + count).map(group).collect()
}

fn page(ids: &[String], next: Option<&str>) -> Value {
    with(json!({ "value": ids }), &next.map_or_else(|| json!({}), |next| json!({ "@odata.nextLink": next })))
}

fn graph_error(status: u16, code: &str) -> Response {
    json_response(status, &json!({ "error": { "code": code, "message": "no", "innerError": { "request-id": "x" } } }))
}

/// Entra with `groups.source = "directory"` and nothing but these groups keys besides.
fn stage(keys: &Value) -> Stage {
    let mut stage = Stage::microsoft();
    stage.configure(&json!({ "groups": with(json!({ "source": "directory" }), keys) }));
    stage
}

fn token(stage: &Stage, tenant: &str) -> IdTokenClaims {
    let Value::Object(all) = stage.claims.borrow().clone() else { panic!("claims") };
    IdTokenClaims {
        issuer: format!("{LOGIN}/{tenant}/v2.0"),
        subject: "ada".into(),
        tenant: TenantId::parse(tenant),
        object_id: all.get("oid").and_then(Value::as_str).map(str::to_owned),
        all,
    }
}

/// Does something with the directory of the person who signs in.
fn visit<T>(
    stage: &Stage,
    tenant: &str,
    what: impl FnOnce(&Provider, &mut Directory<'_>, &mut Trace) -> T,
) -> (T, Vec<Check>) {
    let provider = parse(&stage.provider.to_string()).unwrap_or_else(|problem| panic!("{problem:?}"));
    let mut trace = Trace::default();
    let metadata =
        discovery::metadata(stage.world(), &provider, &mut trace).unwrap_or_else(|refusal| panic!("{refusal:?}"));
    let token = token(stage, tenant);
    let mut directory = Directory::of(stage.world(), &provider, &metadata, &token);
    let found = what(&provider, &mut directory, &mut trace);
    (found, trace.into_checks())
}

/// The groups that a sign-in ends with.
fn groups_with(stage: &Stage, userinfo: Option<&Value>) -> (Groups, Vec<Check>) {
    let claims = token(stage, TENANT).all;
    let userinfo = userinfo.and_then(Value::as_object);
    visit(stage, TENANT, |provider, directory, trace| membership::groups(provider, &claims, userinfo, directory, trace))
}

fn groups(stage: &Stage) -> Groups {
    groups_with(stage, None).0
}

fn ids(groups: &Groups) -> Vec<String> {
    match groups {
        Groups::Known(groups) => groups.iter().map(|group| group.id.clone()).collect(),
        other => panic!("not known: {other:?}"),
    }
}

/// The reason, and that the trace has it as a failure.
#[track_caller]
fn unknown(name: &str, (groups, checks): &(Groups, Vec<Check>)) -> String {
    let Groups::Unknown(reason) = groups else { panic!("{name}: {groups:?}") };
    assert!(checks.iter().any(|check| check.verdict == Verdict::Fail && check.name == "groups"), "{name}: {checks:?}");
    reason.clone()
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

/// No request bore a token but those to Graph.
fn assert_token_stays_home(stage: &Stage, name: &str) {
    for request in stage.requests() {
        let is_graph = request.url.starts_with(&format!("{GRAPH}/v1.0/"));
        assert_eq!(header(&request, "authorization").is_some(), is_graph, "{name}: {}", request.url);
    }
}

#[test]
fn what_is_asked_for_and_by_whom() {
    for security_only in [true, false] {
        let stage = stage(&json!({ "security_only": security_only }));
        stage.answer_json(&member_groups(), &page(&groups_from(1, 3), None));
        assert_eq!(ids(&groups(&stage)), groups_from(1, 3));
        let tokens = stage.token_requests();
        let [(token_request, method)] = tokens.as_slice() else { panic!("{tokens:?}") };
        assert_eq!(
            (token_request.url.as_str(), *method),
            (token_endpoint(TENANT).as_str(), ClientAuthentication::SecretPost)
        );
        let form = String::from_utf8(token_request.body.clone().unwrap()).unwrap();
        let form = parameters(&format!("https://x.example/?{form}"));
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["scope"], "https://graph.microsoft.com/.default");
        assert_eq!(form.len(), 2, "client_id and credential are the host's: {form:?}");
        let asked = stage.requests().into_iter().find(|request| request.url == member_groups()).unwrap();
        assert_eq!(asked.method, Method::Post);
        assert_eq!(header(&asked, "authorization"), Some("Bearer the-app-token"));
        assert_eq!(header(&asked, "client-request-id").map(str::len), Some(36));
        let body: Value = serde_json::from_slice(&asked.body.unwrap()).unwrap();
        assert_eq!(body, json!({ "securityEnabledOnly": security_only }));
    }
}

/// `organizations` gives no token for an application (AADSTS9001023): the person's tenant does, with a token of its own.
#[test]
fn each_tenant_has_a_token_of_its_own() {
    let mut stage = stage(&json!({}));
    stage.configure(&json!({
        "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null, "allowed_tenants": [TENANT, OTHER_TENANT],
    }));
    let document = with(entra_document("organizations"), &json!({ "issuer": format!("{LOGIN}/{{tenantid}}/v2.0") }));
    stage.answer_json(&discovery_url(&format!("{LOGIN}/organizations/v2.0")), &document);
    stage.answer_app_tokens(|request| {
        let tenant = if request.url.contains(TENANT) { "home" } else { "other" };
        Ok(json_response(200, &app_token(tenant)))
    });
    stage.answer(&member_groups(), |request| {
        let id = if header(request, "authorization") == Some("Bearer home") { 1 } else { 2 };
        Ok(json_response(200, &page(&[group(id)], None)))
    });
    for (tenant, expected) in [(TENANT, 1), (OTHER_TENANT, 2), (TENANT, 1)] {
        let (found, _) = visit(&stage, tenant, |_, directory, trace| directory.groups(true, trace));
        assert_eq!(found.unwrap().into_iter().collect::<Vec<_>>(), [group(expected)]);
    }
    assert_eq!((stage.count(&token_endpoint(TENANT)), stage.count(&token_endpoint(OTHER_TENANT))), (1, 1));
    assert_eq!(stage.count(&token_endpoint("organizations")), 0);
}

/// V20: the 201st group is on the third page, after an empty one.
#[test]
fn all_pages_are_read() {
    let stage = stage(&json!({}));
    stage.answer(&member_groups(), |request| {
        assert_eq!((request.method, request.body.is_some()), (Method::Post, true), "every page is asked for alike");
        let next = |page: &str| format!("{}?$skiptoken={page}", member_groups());
        Ok(json_response(
            200,
            &match request.url.split_once('=').map(|(_, page)| page) {
                None => page(&groups_from(0, 200), Some(&next("2"))),
                Some("2") => page(&[], Some(&next("3"))),
                Some("3") => page(&[group(200), group(7).to_ascii_uppercase()], None),
                other => panic!("page {other:?}"),
            },
        ))
    });
    let (found, checks) = groups_with(&stage, None);
    assert_eq!(ids(&found), groups_from(0, 201), "in order, none twice");
    assert_eq!(stage.count(&member_groups()), 3);
    assert_eq!(stage.count(&token_endpoint(TENANT)), 1);
    assert!(
        checks.iter().any(|check| check.name == "directory.groups" && check.detail.contains("201 groups, pages: 3")),
        "{checks:?}"
    );
}

/// V19, V20: a page that can't be followed ends it, and what was read until then isn't taken for all.
#[test]
fn pages_that_lead_elsewhere() {
    let graph = |rest: &str| format!("{GRAPH}{rest}");
    #[rustfmt::skip]
    let table: Vec<(&str, Value, &str)> = vec![
        ("another host", json!("https://evil.example/v1.0/users"), "evil.example"),
        ("a host that begins alike", json!("https://graph.microsoft.com.evil.example/v1.0/users"), "isn't the configured Graph"),
        ("another port", json!("https://graph.microsoft.com:8443/v1.0/users"), "isn't the configured Graph"),
        ("another scheme", json!("http://graph.microsoft.com/v1.0/users"), "isn't the configured Graph"),
        ("user information", json!("https://graph.microsoft.com@evil.example/v1.0/users"), "isn't the configured Graph"),
        ("user information before the right host", json!("https://a:b@graph.microsoft.com/v1.0/users"), "isn't the configured Graph"),
        ("a user name before the right host", json!("https://a@graph.microsoft.com/v1.0/users"), "isn't the configured Graph"),
        ("another root", json!(graph("/beta/users")), "isn't the configured Graph"),
        ("a root that begins alike", json!(graph("/v1.01/users")), "isn't the configured Graph"),
        ("out of the root by dots", json!(graph("/v1.0/../beta/users")), "isn't the configured Graph"),
        ("out of the root by encoded dots", json!(graph("/v1.0/%2e%2e/beta/users")), "isn't the configured Graph"),
        ("a fragment", json!(graph("/v1.0/users#x")), "isn't the configured Graph"),
        ("another cloud", json!("https://graph.microsoft.us/v1.0/users"), "isn't the configured Graph"),
        ("a relative link", json!("/v1.0/users"), "isn't the configured Graph"),
        ("the login host", json!(format!("{LOGIN}/v1.0/users")), "isn't the configured Graph"),
        ("no text", json!({ "href": "x" }), "no text"),
        ("the page itself", json!(member_groups()), "circle"),
        ("without an end", json!(format!("{}?n=", member_groups())), "more than 24 pages"),
    ];
    for (name, link, part) in table {
        let stage = stage(&json!({}));
        let pages = Cell::new(0);
        stage.answer(&member_groups(), move |_| {
            pages.set(pages.get() + 1);
            let link = match &link {
                Value::String(link) if link.ends_with("?n=") => json!(format!("{link}{}", pages.get())),
                other => other.clone(),
            };
            Ok(json_response(200, &json!({ "value": [group(1)], "@odata.nextLink": link })))
        });
        let found = groups_with(&stage, None);
        let reason = unknown(name, &found);
        assert!(reason.contains(part), "{name}: {reason}");
        assert_token_stays_home(&stage, name);
        assert!(stage.count(&member_groups()) <= 24, "{name}");
    }
}

#[test]
fn two_pages_that_name_each_other() {
    let stage = stage(&json!({}));
    stage.answer(&member_groups(), |request| {
        let next = if request.url.ends_with("=a") { "b" } else { "a" };
        let next = format!("{}?$skiptoken={next}", member_groups());
        Ok(json_response(200, &page(&[group(1)], Some(&next))))
    });
    assert!(unknown("a, b, a", &groups_with(&stage, None)).contains("circle"));
    assert_eq!(stage.count(&member_groups()), 3);
}

/// Name, what Graph answers, a part of the reason, how often it is asked.
type FailureRow<'a> = (&'a str, Result<Response, HttpError>, &'a str, usize);

/// V20: nothing of that is "no groups".
#[test]
fn whatever_fails_leaves_groups_unknown() {
    let wait = |status: u16, seconds: &str| {
        let mut response = graph_error(status, "TooManyRequests");
        response.headers.push(("retry-after".into(), seconds.into()));
        Ok(response)
    };
    let json = |document: Value| Ok(json_response(200, &document));
    #[rustfmt::skip]
    let table: Vec<FailureRow<'_>> = vec![
        // statuses (entra_graph §5.6)
        ("no permission", Ok(graph_error(403, "Authorization_RequestDenied")), "GroupMember.Read.All and User.Read.All", 1),
        ("no permission, without a body", Ok(response(403, "text/html", "")), "GroupMember.Read.All", 1),
        ("nobody of that oid", Ok(graph_error(404, "Request_ResourceNotFound")), "no such object", 1),
        ("too many groups", Ok(graph_error(400, "Directory_ResultSizeLimitExceeded")), "11000", 1),
        ("too many groups, in lower case", Ok(graph_error(400, "directory_resultsizelimitexceeded")), "11000", 1),
        ("a bad request", Ok(graph_error(400, "Request_BadRequest")), "400 Request_BadRequest", 1),
        ("an expired page", Ok(graph_error(400, "Directory_ExpiredPageToken")), "400", 1),
        ("a token that is never good", Ok(graph_error(401, "InvalidAuthenticationToken")), "401", 2),
        ("throttled, a second to wait", wait(429, "1"), "429", 2),
        ("throttled, no time said", Ok(graph_error(429, "TooManyRequests")), "429", 2),
        ("throttled, two seconds", wait(429, "2"), "429", 2),
        ("throttled, three seconds", wait(429, "3"), "429", 1),
        ("throttled for an hour", wait(429, "3600"), "429", 1),
        ("throttled until a date", wait(429, "Wed, 21 Oct 2026 07:28:00 GMT"), "429", 1),
        ("throttled for longer than there are numbers", wait(429, "99999999999999"), "429", 1),
        ("busy", wait(503, "1"), "503", 2),
        ("broken", Ok(graph_error(500, "UnknownError")), "500", 1),
        ("a gateway", Ok(response(504, "text/html", "<html>")), "504", 1),
        ("a redirect", Ok(Response { headers: vec![("location".into(), "https://evil.example/".into())], ..response(302, "text/html", "") }), "302", 1),
        // answers
        ("no list", json(json!({ "groups": [] })), "no list", 1),
        ("a list that is null", json(json!({ "value": null })), "no list", 1),
        ("a list that is a text", json(json!({ "value": group(1) })), "no list", 1),
        ("a name among the groups", json(json!({ "value": [group(1), "vpn-users"] })), "no GUID", 1),
        ("an object among the groups", json(json!({ "value": [group(1), { "id": group(2) }] })), "no GUID", 1),
        ("a list at the top", Ok(response(200, "application/json", "[]")), "isn't a JSON object", 1),
        ("cut short", Ok(response(200, "application/json", "{\"value\":[\"44444444-")), "isn't a JSON object", 1),
        ("value twice", Ok(response(200, "application/json", "{\"value\":[],\"value\":[]}")), "isn't a JSON object", 1),
        ("HTML", Ok(response(200, "text/html", "<html>")), "isn't JSON", 1),
        ("nothing", Ok(response(204, "application/json", "")), "204", 1),
        ("more than Graph ever gives", json(json!({ "value": groups_from(0, 11_001) })), "11000", 1),
        // no answers
        ("silence", Err(HttpError::Timeout), "no answer in time", 1),
        ("no connection", Err(HttpError::Connect("reset".into())), "reset", 1),
        ("not allowed by the host", Err(HttpError::Denied("graph isn't on the list".into())), "on the list", 1),
        ("larger than we read", Err(HttpError::TooLarge(1 << 20)), "1048576", 1),
        ("a body shorter than announced", Err(HttpError::Protocol("cut short".into())), "cut short", 1),
        ("no request left", Err(HttpError::BudgetExhausted), "budget", 1),
    ];
    for (name, answer, part, asked) in table {
        let stage = stage(&json!({}));
        stage.answer(&member_groups(), move |_| answer.clone());
        let found = groups_with(&stage, None);
        let reason = unknown(name, &found);
        assert!(reason.contains(part), "{name}: {reason}");
        assert_eq!(stage.count(&member_groups()), asked, "{name}: how often Graph was asked");
        assert_token_stays_home(&stage, name);
        assert!(!format!("{found:?} {:?}", stage.log()).contains("the-app-token"), "{name}: the token is nowhere");
    }
}

#[test]
fn a_page_that_fails_spoils_the_others() {
    let stage = stage(&json!({}));
    stage.answer(&member_groups(), |request| {
        if request.url.contains("skiptoken") {
            return Ok(graph_error(500, "UnknownError"));
        }
        let next = format!("{}?$skiptoken=2", member_groups());
        Ok(json_response(200, &page(&groups_from(0, 100), Some(&next))))
    });
    assert!(unknown("page 2", &groups_with(&stage, None)).contains("500"));
}

#[test]
fn eleven_thousand_groups_are_known() {
    let stage = stage(&json!({}));
    stage.answer_json(&member_groups(), &page(&groups_from(0, 11_000), None));
    assert_eq!(ids(&groups(&stage)).len(), 11_000);
}

/// What is waited is what Graph says, and once.
#[test]
fn a_short_wait_is_kept() {
    let stage = stage(&json!({}));
    let clock = Rc::clone(&stage.monotonic_ms);
    let asked = Cell::new(0);
    stage.answer(&member_groups(), move |_| {
        asked.set(asked.get() + 1);
        if asked.get() == 1 {
            let mut response = graph_error(429, "TooManyRequests");
            response.headers.push(("retry-after".into(), "2".into()));
            return Ok(response);
        }
        assert_eq!(clock.get(), 2000, "waited before it was asked again");
        Ok(json_response(200, &page(&groups_from(1, 1), None)))
    });
    assert_eq!(ids(&groups(&stage)), groups_from(1, 1));
}

/// One budget for the token, the person, the groups and their names.
#[test]
fn the_time_budget_is_for_everything() {
    // Name, the budget in ms, what each page takes, how many pages there are, pages asked for, whether it is enough.
    for (name, budget, each, pages, asked, enough) in [
        ("two pages in time", 5000, 2000, 2, 2, true),
        ("the third page too late", 5000, 2500, 3, 2, false),
        ("a shorter budget", 500, 499, 3, 2, false),
        ("the first page takes it all", 500, 500, 2, 1, false),
        ("the only page takes it all, but it came", 500, 500, 1, 1, true),
    ] {
        let stage = stage(&json!({ "timeout_ms": budget }));
        let clock = Rc::clone(&stage.monotonic_ms);
        let count = Cell::new(0);
        stage.answer(&member_groups(), move |request| {
            let left = budget - clock.get();
            assert_eq!(u64::from(request.timeout_ms), left, "{name}: a request may take what is left");
            clock.set(clock.get() + each);
            count.set(count.get() + 1);
            let next = format!("{}?n={}", member_groups(), count.get());
            Ok(json_response(200, &page(&[group(1)], Some(next.as_str()).filter(|_| count.get() < pages))))
        });
        let found = groups_with(&stage, None);
        assert_eq!(stage.count(&member_groups()), asked, "{name}");
        if enough {
            assert_eq!(ids(&found.0), [group(1)], "{name}");
        } else {
            assert!(unknown(name, &found).contains(&format!("{budget} ms")), "{name}: {found:?}");
        }
    }
}

#[test]
fn a_wait_that_the_budget_has_no_room_for_isnt_begun() {
    let stage = stage(&json!({ "timeout_ms": 1500 }));
    stage.answer(&member_groups(), |_| {
        let mut response = graph_error(429, "TooManyRequests");
        response.headers.push(("retry-after".into(), "2".into()));
        Ok(response)
    });
    assert!(unknown("2 s of 1.5", &groups_with(&stage, None)).contains("429"));
    assert_eq!((stage.count(&member_groups()), stage.monotonic_ms.get()), (1, 0));
}

/// `expires_in` less five minutes, for everybody who signs in.
#[test]
fn the_token_is_kept_as_long_as_it_is_good() {
    // `expires_in`, how much later the second sign-in is, token requests in all.
    for (expires_in, later, requests) in [
        (json!(3599), 3298, 1),
        (json!(3599), 3299, 2),
        (json!("3599"), 3298, 1),
        (json!(300), 0, 2),
        (json!(301), 0, 1),
        (Value::Null, 0, 2),
        (json!(-5), 0, 2),
        (json!(10_000_000_000_u64), 86_399, 1),
        (json!(10_000_000_000_u64), 86_400, 2),
    ] {
        let stage = stage(&json!({}));
        let answer = with(app_token("t"), &json!({ "expires_in": expires_in }));
        stage.answer_app_tokens(move |_| Ok(json_response(200, &answer)));
        stage.answer_json(&member_groups(), &page(&groups_from(1, 1), None));
        groups(&stage);
        stage.pass_time(later);
        assert_eq!(ids(&groups(&stage)), groups_from(1, 1));
        assert_eq!(stage.count(&token_endpoint(TENANT)), requests, "{expires_in} after {later} s");
    }
}

/// A token that Graph doesn't take any more is replaced once, for this sign-in and those after it. After a 403 as well, if
/// it is old: consent shows in newer tokens only.
#[test]
fn a_token_that_isnt_taken_is_renewed_once() {
    // Name, what Graph says to the first token, how old that is, token requests, whether it goes well.
    for (name, status, age, requests, good) in [
        ("revoked", 401, 0, 2, true),
        ("revoked later", 401, 1000, 2, true),
        ("a permission was granted meanwhile", 403, 300, 2, true),
        ("no permission a moment ago", 403, 299, 1, false),
    ] {
        let stage = stage(&json!({}));
        let given = Cell::new(0);
        stage.answer_app_tokens(move |_| {
            given.set(given.get() + 1);
            Ok(json_response(200, &app_token(&format!("token-{}", given.get()))))
        });
        stage.answer_json(&member_groups(), &page(&groups_from(1, 1), None));
        groups(&stage);
        stage.pass_time(age);
        stage.answer(&member_groups(), move |request| match header(request, "authorization") {
            Some("Bearer token-1") => Ok(graph_error(status, "no")),
            _ => Ok(json_response(200, &page(&groups_from(2, 1), None))),
        });
        let found = groups_with(&stage, None);
        if good {
            assert_eq!(ids(&found.0), groups_from(2, 1), "{name}");
            assert_eq!(ids(&groups(&stage)), groups_from(2, 1), "{name}: the next one has the new token");
        } else {
            unknown(name, &found);
        }
        assert_eq!(stage.count(&token_endpoint(TENANT)), requests, "{name}");
    }
}

/// Name, what the token endpoint answers, parts of the reason.
type TokenRow<'a> = (&'a str, Result<Response, CredentialFailure>, [&'a str; 2]);

#[test]
fn without_a_token_groups_are_unknown_and_nobody_asks_again_at_once() {
    let entra = |status: u16, error: &str, description: &str| {
        Ok(json_response(status, &json!({ "error": error, "error_description": description })))
    };
    let token = |changes: Value| Ok(json_response(200, &with(app_token("t"), &changes)));
    #[rustfmt::skip]
    let table: Vec<TokenRow<'_>> = vec![
        ("a wrong secret", entra(401, "invalid_client", "AADSTS7000215: Invalid"), ["invalid_client", "Value"]),
        ("an expired secret", entra(401, "invalid_client", "AADSTS7000222: expired"), ["invalid_client", "AADSTS7000222"]),
        ("not in this tenant", entra(400, "unauthorized_client", "AADSTS700016: not found"), ["unauthorized_client", "AADSTS700016"]),
        ("the wrong cloud", entra(400, "invalid_resource", "AADSTS500011: no such resource"), ["invalid_resource", ""]),
        ("throttled", entra(429, "throttled", ""), ["throttled", "429"]),
        ("HTML", Ok(response(200, "text/html", "<html>")), ["text/html", ""]),
        ("not JSON", Ok(response(200, "application/json", "{")), ["isn't a JSON object", ""]),
        ("no token", token(json!({ "access_token": null })), ["no access_token", ""]),
        ("a token with a line break", token(json!({ "access_token": "a\r\nHost: evil" })), ["no access_token", ""]),
        ("a token larger than headers are", token(json!({ "access_token": "a".repeat(7169) })), ["no access_token", ""]),
        ("another type", token(json!({ "token_type": "pop" })), ["token_type", ""]),
        ("silence", Err(CredentialFailure::Http(HttpError::Timeout)), ["in time", ""]),
        ("an unreadable secret", Err(CredentialFailure::Unusable("the file is gone".into())), ["file is gone", ""]),
    ];
    for (name, answer, parts) in table {
        let stage = stage(&json!({}));
        stage.answer_json(&member_groups(), &page(&groups_from(1, 1), None));
        stage.answer_app_tokens(move |_| answer.clone());
        for _ in 0..3 {
            let reason = unknown(name, &groups_with(&stage, None));
            assert!(parts.iter().all(|part| reason.contains(part)), "{name}: {reason}");
        }
        assert_eq!((stage.count(&token_endpoint(TENANT)), stage.count(&member_groups())), (1, 0), "{name}");
        stage.answer_app_tokens(|_| Ok(json_response(200, &app_token("t"))));
        stage.pass_time(10);
        assert_eq!(ids(&groups(&stage)), groups_from(1, 1), "{name}: ten seconds later");
    }
}

#[test]
fn who_waits_for_anothers_token_too_long() {
    let stage = stage(&json!({}));
    stage.somebody_fetches("graph-token/");
    assert!(unknown("busy", &groups_with(&stage, None)).contains("another sign-in"));
    assert_eq!(stage.monotonic_ms.get(), 5000, "no longer than the budget");
}

#[test]
fn a_credential_that_doesnt_fit_is_told() {
    let stage = stage(&json!({}));
    stage.available.borrow_mut().clear();
    assert!(unknown("none", &groups_with(&stage, None)).contains("client_secret_post"));
}

#[test]
fn personal_accounts_and_people_without_oid_are_in_no_directory() {
    let stage = stage(&json!({}));
    for (name, tenant, claims) in [("personal", MSA, json!({})), ("no oid", TENANT, json!({ "oid": null }))] {
        stage.claim(&claims);
        let (found, _) = visit(&stage, tenant, |_, directory, trace| directory.groups(true, trace));
        assert!(found.is_err(), "{name}");
        assert_eq!(stage.token_requests().len(), 0, "{name}");
    }
}

/// What comes of a claim where nobody else may be asked.
enum Then<'a> {
    Known(&'a [&'a str]),
    Unknown(&'a str),
}

/// V20, for the claim: what is read, and what isn't believed.
#[test]
fn what_a_token_says_of_groups() {
    use Then::{Known, Unknown};
    let many = |count: usize| json!({ "groups": (0..count).map(|number| format!("g{number}")).collect::<Vec<_>>() });
    // Name, keys below `groups`, claims of the ID token, of userinfo, what comes of it.
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Value, Value, Then<'_>)> = vec![
        ("a list", json!({}), json!({ "groups": ["b", "a"] }), json!({}), Known(&["a", "b"])),
        ("one twice", json!({}), json!({ "groups": ["a", "a"] }), json!({}), Known(&["a"])),
        ("case counts", json!({}), json!({ "groups": ["VPN", "vpn"] }), json!({}), Known(&["VPN", "vpn"])),
        ("an empty list is an answer", json!({}), json!({ "groups": [] }), json!({}), Known(&[])),
        ("another claim", json!({ "claim": "roles" }), json!({ "roles": ["a"], "groups": ["b"] }), json!({}), Known(&["a"])),
        ("a path", json!({ "claim": "realm_access.roles" }), json!({ "realm_access": { "roles": ["a"] } }), json!({}), Known(&["a"])),
        ("a name with dots goes before a path", json!({ "claim": "https://a.example/groups" }), json!({ "https://a.example/groups": ["a"] }), json!({}), Known(&["a"])),
        ("only userinfo has it", json!({}), json!({}), json!({ "groups": ["a"] }), Known(&["a"])),
        ("the ID token goes first", json!({}), json!({ "groups": ["a"] }), json!({ "groups": ["b"] }), Known(&["a"])),
        ("nobody has it", json!({}), json!({}), json!({}), Unknown("neither ID token nor userinfo")),
        ("a text", json!({}), json!({ "groups": "admins" }), json!({}), Unknown("isn't a list")),
        ("a text, and a list in userinfo", json!({}), json!({ "groups": "admins" }), json!({ "groups": ["b"] }), Unknown("isn't a list")),
        ("an object in userinfo", json!({}), json!({}), json!({ "groups": {} }), Unknown("isn't a list")),
        ("an object", json!({}), json!({ "groups": { "a": true } }), json!({}), Unknown("isn't a list")),
        ("a number among them", json!({}), json!({ "groups": ["a", 1] }), json!({}), Unknown("no group's identifier")),
        ("an empty one among them", json!({}), json!({ "groups": ["a", ""] }), json!({}), Unknown("no group's identifier")),
        ("a control character", json!({}), json!({ "groups": ["a\nb"] }), json!({}), Unknown("no group's identifier")),
        ("one of 257 bytes", json!({}), json!({ "groups": ["g".repeat(257)] }), json!({}), Unknown("no group's identifier")),
        ("too many", json!({}), many(11_001), json!({}), Unknown("11000")),
        // overage (entra_graph §4)
        ("hasgroups", json!({}), json!({ "hasgroups": true }), json!({}), Unknown("hasgroups")),
        ("hasgroups beside a list", json!({}), json!({ "hasgroups": true, "groups": ["a"] }), json!({}), Unknown("hasgroups")),
        ("hasgroups that says no", json!({}), json!({ "hasgroups": false, "groups": ["a"] }), json!({}), Unknown("hasgroups")),
        ("_claim_names", json!({}), json!({ "_claim_names": { "groups": "src1" } }), json!({}), Unknown("_claim_names")),
        ("_claim_names beside a list", json!({}), json!({ "_claim_names": { "groups": "src1" }, "groups": ["a"] }), json!({}), Unknown("_claim_names")),
        ("_claim_names that makes no sense", json!({}), json!({ "_claim_names": "groups", "groups": ["a"] }), json!({}), Unknown("_claim_names")),
        ("_claim_names in userinfo", json!({}), json!({ "groups": ["a"] }), json!({ "_claim_names": { "groups": "x" } }), Unknown("_claim_names")),
        ("_claim_names of something else", json!({}), json!({ "_claim_names": { "photo": "x" }, "groups": ["a"] }), json!({}), Known(&["a"])),
        ("_claim_names of the configured claim", json!({ "claim": "roles" }), json!({ "_claim_names": { "roles": "x" }, "roles": ["a"] }), json!({}), Unknown("_claim_names")),
    ];
    for (name, keys, claims, userinfo, then) in table {
        let mut stage = Stage::oidc();
        stage.configure(&json!({ "groups": with(json!({ "source": "claim" }), &keys) }));
        stage.claim(&claims);
        let found = groups_with(&stage, Some(&userinfo));
        match then {
            Known(expected) => assert_eq!(ids(&found.0), expected, "{name}"),
            Unknown(part) => assert!(unknown(name, &found).contains(part), "{name}: {found:?}"),
        }
    }
}

/// Name, keys below `groups`, claims, whether the directory is asked, what comes of it.
type OverageRow<'a> = (&'a str, Value, Value, bool, Result<Vec<String>, &'a str>);

/// Entra's overage goes to the directory by `oid`; the endpoint that the token names is never called (V19).
#[test]
fn where_entras_overage_leads() {
    let sources =
        json!({ "src1": { "endpoint": format!("https://graph.windows.net/{TENANT}/users/{OID}/getMemberObjects") } });
    #[rustfmt::skip]
    let table: Vec<OverageRow<'_>> = vec![
        ("a list", json!({}), json!({ "groups": [group(9)] }), false, Ok(groups_from(9, 1))),
        ("a list in upper case", json!({}), json!({ "groups": ["AAAAAAAA-4444-4444-8444-00000000000A", "CONTOSO\\VPN"] }), false, Ok(vec!["CONTOSO\\VPN".into(), "aaaaaaaa-4444-4444-8444-00000000000a".into()])),
        ("overage", json!({}), json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": sources }), true, Ok(groups_from(1, 2))),
        ("overage beside a list", json!({}), json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": sources, "groups": [group(9)] }), true, Ok(groups_from(1, 2))),
        ("hasgroups", json!({}), json!({ "hasgroups": true }), true, Ok(groups_from(1, 2))),
        ("no claim at all", json!({}), json!({}), true, Ok(groups_from(1, 2))),
        ("overage, and nobody may be asked", json!({ "overage": "unknown" }), json!({ "hasgroups": true }), false, Err("groups.overage")),
        ("no claim, and nobody may be asked", json!({ "overage": "unknown" }), json!({}), false, Err("Add groups claim")),
        ("not a list", json!({}), json!({ "groups": "x" }), false, Err("isn't a list")),
        ("another claim isn't the directory's to say", json!({ "claim": "roles" }), json!({}), false, Err("roles")),
        ("only the directory counts", json!({ "source": "directory" }), json!({ "groups": [group(9)] }), true, Ok(groups_from(1, 2))),
    ];
    for (name, keys, claims, asks, expected) in table {
        let stage = stage(&with(json!({ "source": "claim" }), &keys));
        stage.claim(&claims);
        stage.answer_json(&member_groups(), &page(&groups_from(1, 2), None));
        let found = groups_with(&stage, None);
        assert_eq!(stage.count(&member_groups()), usize::from(asks), "{name}");
        match expected {
            Ok(expected) => assert_eq!(ids(&found.0), expected, "{name}"),
            Err(part) => assert!(unknown(name, &found).contains(part), "{name}: {found:?}"),
        }
        assert!(stage.requests().iter().all(|request| !request.url.contains("graph.windows.net")), "{name}");
    }
}

#[test]
fn a_configuration_that_doesnt_ask() {
    let stage = Stage::microsoft();
    stage.claim(&json!({ "groups": ["a"], "hasgroups": true }));
    assert_eq!(groups(&stage), Groups::NotRequested);
    assert_eq!(stage.token_requests().len(), 0);
}

fn shown(groups: &Groups) -> Vec<(String, Option<String>)> {
    match groups {
        Groups::Known(groups) => groups.iter().map(|group| (group.id.clone(), group.name.clone())).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_asked_for_in_batches() {
    let stage = stage(&json!({ "names_from": "directory" }));
    stage.answer_json(&member_groups(), &page(&groups_from(0, 2001), None));
    stage.answer(&names_url(), |request| {
        assert!(request.url.ends_with("?$select=id,displayName"), "{}", request.url);
        let body: Value = serde_json::from_slice(request.body.as_deref().unwrap()).unwrap();
        assert_eq!(body["types"], json!(["group"]));
        let asked = body["ids"].as_array().unwrap();
        assert!(asked.len() <= 1000 && request.body.as_ref().unwrap().len() <= 64 << 10, "what the host sends");
        let named: Vec<Value> = asked
            .iter()
            .map(|id| json!({ "id": id, "displayName": format!("name of {}", id.as_str().unwrap()) }))
            .collect();
        Ok(json_response(200, &json!({ "value": named })))
    });
    let shown = shown(&groups(&stage));
    assert_eq!(shown.len(), 2001);
    assert!(shown.iter().all(|(id, name)| *name == Some(format!("name of {id}"))));
    assert_eq!(stage.count(&names_url()), 3);
}

/// Name, what Graph answers, the group's name then, what the trace says.
type NameRow<'a> = (&'a str, Result<Response, HttpError>, Option<&'a str>, Verdict);

/// A name only shows: without it the sign-in goes on.
#[test]
fn names_that_fail_end_nothing() {
    let named = |entry: Value| Ok(json_response(200, &json!({ "value": [entry] })));
    let id = group(1);
    #[rustfmt::skip]
    let table: Vec<NameRow<'_>> = vec![
        ("a name", named(json!({ "id": id, "displayName": " VPN users " })), Some("VPN users"), Verdict::Pass),
        ("an identifier in upper case", named(json!({ "id": id.to_ascii_uppercase(), "displayName": "VPN" })), Some("VPN"), Verdict::Pass),
        ("no name for want of a permission", named(json!({ "id": id, "displayName": null })), None, Verdict::Pass),
        ("an empty name", named(json!({ "id": id, "displayName": "" })), None, Verdict::Pass),
        ("a name of somebody else", named(json!({ "id": group(2), "displayName": "x" })), None, Verdict::Pass),
        ("control characters", named(json!({ "id": id, "displayName": "a\u{1b}b" })), Some("a b"), Verdict::Pass),
        ("no group", Ok(json_response(200, &json!({ "value": [] }))), None, Verdict::Pass),
        ("no permission", Ok(graph_error(403, "Authorization_RequestDenied")), None, Verdict::Fail),
        ("no identifier", named(json!({ "displayName": "x" })), None, Verdict::Fail),
        ("silence", Err(HttpError::Timeout), None, Verdict::Fail),
    ];
    for (name, answer, expected, verdict) in table {
        let stage = stage(&json!({ "names_from": "directory" }));
        stage.answer_json(&member_groups(), &page(&[group(1)], None));
        stage.answer(&names_url(), move |_| answer.clone());
        let (found, checks) = groups_with(&stage, None);
        assert_eq!(shown(&found), [(group(1), expected.map(str::to_owned))], "{name}");
        let check = checks.iter().find(|check| check.name == "directory.group_names").unwrap();
        assert_eq!(check.verdict, verdict, "{name}: {check:?}");
    }
}

#[test]
fn only_what_can_have_a_name_is_asked_for() {
    let stage = stage(&json!({ "source": "claim", "names_from": "directory" }));
    stage.claim(&json!({ "groups": ["CONTOSO\\vpn"] }));
    assert_eq!(shown(&groups(&stage)), [("CONTOSO\\vpn".to_owned(), None)]);
    assert_eq!(stage.token_requests().len(), 0);
}

#[test]
fn the_person_is_read_by_their_own_identifier() {
    let user = format!("{GRAPH}/v1.0/users/{OID}");
    let me = |changes: Value| with(json!({ "id": OID, "mail": "ada@contoso.example" }), &changes);
    #[rustfmt::skip]
    let table: Vec<(&str, Result<Response, HttpError>, bool, &str)> = vec![
        ("as it should be", Ok(json_response(200, &me(json!({})))), true, "2 properties"),
        ("in upper case", Ok(json_response(200, &me(json!({ "id": OID.to_ascii_uppercase() })))), true, ""),
        ("a disabled account isn't ours to refuse", Ok(json_response(200, &me(json!({ "accountEnabled": false })))), true, ""),
        ("somebody else", Ok(json_response(200, &me(json!({ "id": group(1) })))), false, "somebody else"),
        ("nobody", Ok(json_response(200, &me(json!({ "id": null })))), false, "somebody else"),
        ("no permission", Ok(graph_error(403, "Authorization_RequestDenied")), false, "User.Read.All"),
        ("not there", Ok(graph_error(404, "Request_ResourceNotFound")), false, "no such object"),
        ("an unknown property", Ok(graph_error(400, "Request_BadRequest")), false, "400"),
        ("a list", Ok(response(200, "application/json", "[]")), false, "isn't a JSON object"),
        ("silence", Err(HttpError::Timeout), false, "in time"),
    ];
    for (name, answer, good, part) in table {
        let stage = Stage::microsoft();
        stage.answer(&user, move |request| {
            assert!(request.url.ends_with("?$select=id,mail,mobilePhone"), "{}", request.url);
            assert_eq!((request.method, &request.body), (Method::Get, &None));
            answer.clone()
        });
        let (found, checks): (Option<Map<String, Value>>, _) =
            visit(&stage, TENANT, |_, directory, trace| directory.user(&["mail", "mobilePhone"], trace));
        assert_eq!(found.is_some(), good, "{name}");
        let check = checks.last().unwrap();
        assert!(check.name == "directory.user" && check.detail.contains(part), "{name}: {check:?}");
        assert_eq!(check.verdict, if good { Verdict::Pass } else { Verdict::Fail }, "{name}");
    }
}

#[test]
fn a_property_is_a_name_and_nothing_else() {
    for bad in ["", "mail,id", "mail&$expand=manager", "a b", "../me", "manager/mail", "mäil"] {
        let stage = Stage::microsoft();
        let (found, _) = visit(&stage, TENANT, |_, directory, trace| directory.user(&[bad], trace));
        assert_eq!((found, stage.token_requests().len()), (None, 0), "{bad:?}");
    }
}

/// Name, configuration, and of its problem severity, path, and a part of what it says; none: no problem.
type ProblemRow<'a> = (&'a str, Value, Option<(Severity, &'a str, &'a str)>);

#[test]
fn what_the_configuration_may_say() {
    use Severity::{Error, Warning};
    let microsoft = |groups: Value| with(Stage::microsoft().provider, &json!({ "groups": groups }));
    let oidc = |groups: Value| with(Stage::oidc().provider, &json!({ "groups": groups }));
    #[rustfmt::skip]
    let table: Vec<ProblemRow<'_>> = vec![
        ("nothing", microsoft(json!({})), None),
        ("everything", microsoft(json!({ "source": "claim", "claim": "groups", "overage": "directory", "names_from": "directory", "security_only": false, "timeout_ms": 500 })), None),
        ("a claim of any provider", oidc(json!({ "source": "claim", "claim": "realm_access.roles", "overage": "unknown", "names_from": "none" })), None),
        ("an unknown source", microsoft(json!({ "source": "graph" })), Some((Error, "groups.source", "\"graph\""))),
        ("an unknown key", microsoft(json!({ "sources": "claim" })), Some((Error, "groups.sources", "groups.source"))),
        ("groups as a text", microsoft(json!("claim")), Some((Error, "groups", "a table"))),
        ("a directory of any provider", oidc(json!({ "source": "directory" })), Some((Error, "groups.source", "microsoft"))),
        ("overage of any provider", oidc(json!({ "source": "claim", "overage": "directory" })), Some((Error, "groups.overage", "microsoft"))),
        ("names of any provider", oidc(json!({ "source": "claim", "names_from": "directory" })), Some((Error, "groups.names_from", "microsoft"))),
        ("a time for any provider", oidc(json!({ "source": "claim", "timeout_ms": 1000 })), Some((Error, "groups.timeout_ms", "microsoft"))),
        ("too little time", microsoft(json!({ "source": "claim", "timeout_ms": 499 })), Some((Error, "groups.timeout_ms", "500"))),
        ("more time than a call has", microsoft(json!({ "source": "claim", "timeout_ms": 15_001 })), Some((Error, "groups.timeout_ms", "15000"))),
        ("a switch as a text", microsoft(json!({ "source": "claim", "security_only": "no" })), Some((Error, "groups.security_only", "true or false"))),
        ("a claim with a line break", microsoft(json!({ "source": "claim", "claim": "a\nb" })), Some((Error, "groups.claim", "control"))),
        ("roles from the directory", microsoft(json!({ "source": "claim", "claim": "roles", "overage": "directory" })), Some((Error, "groups.overage", "roles"))),
        ("a claim that nobody reads", microsoft(json!({ "claim": "roles" })), Some((Warning, "groups.claim", "isn't read"))),
    ];
    for (name, configuration, expected) in table {
        let problems = validate(&configuration.to_string());
        match expected {
            None => assert_eq!(problems, [], "{name}"),
            Some((severity, path, part)) => {
                let found = problems.iter().find(|problem| {
                    problem.path == path && format!("{} {}", problem.message, problem.hint).contains(part)
                });
                assert!(found.is_some_and(|problem| problem.severity == severity), "{name}: {problems:#?}");
            }
        }
    }
}

/// What Graph does with a request.
type Answer = Box<dyn Fn(&Request) -> Result<Response, HttpError>>;

/// V20 through a whole sign-in: the policy lets somebody in by a group of the third page, and nobody by groups that are
/// unknown.
#[test]
fn the_policy_decides_by_what_the_directory_says() {
    let url = member_groups();
    let pages = move |request: &Request| {
        let next = |page: u8| format!("{url}?$skiptoken={page}");
        Ok(json_response(
            200,
            &match request.url.chars().last() {
                Some('2') => page(&groups_from(100, 100), Some(&next(3))),
                Some('3') => page(&[group(200)], None),
                _ => page(&groups_from(0, 100), Some(&next(2))),
            },
        ))
    };
    let fails = |status: u16| -> Answer { Box::new(move |_| Ok(graph_error(status, "no"))) };
    let overage = || json!({ "_claim_names": { "groups": "src1" }, "groups": [group(200)] });
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Answer, &str)> = vec![
        ("the 201st group, on page 3", overage(), Box::new(pages), "ok"),
        ("in other groups only", overage(), Box::new(|_| Ok(json_response(200, &page(&groups_from(0, 5), None)))), "group_not_allowed"),
        ("in no group", overage(), Box::new(|_| Ok(json_response(200, &page(&[], None)))), "group_not_allowed"),
        ("no permission, and a list that isn't believed", overage(), fails(403), "groups_unknown"),
        ("throttled", overage(), fails(429), "groups_unknown"),
        ("silence", overage(), Box::new(|_| Err(HttpError::Timeout)), "groups_unknown"),
        ("a claim of the group", json!({ "groups": [group(200)] }), fails(500), "ok"),
        ("a claim of another group", json!({ "groups": [group(1)] }), fails(500), "group_not_allowed"),
        ("no claim, and a directory that knows", json!({}), Box::new(|_| Ok(json_response(200, &page(&[group(200)], None)))), "ok"),
    ];
    for (name, claims, answer, code) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&json!({ "policy": { "allowed_groups": [group(200)] } }));
        stage.claim(&claims);
        stage.answer(&member_groups(), answer);
        let outcome = stage.sign_in();
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
        assert_token_stays_home(&stage, name);
        if let Ok(completion) = outcome {
            assert!(ids(&completion.identity.groups).contains(&group(200)), "{name}");
        }
    }
}

/// Without a policy that needs them, unknown groups are told as such and end nothing.
#[test]
fn unknown_groups_alone_end_nothing() {
    let stage = stage(&json!({}));
    stage.answer(&member_groups(), |_| Ok(graph_error(403, "Authorization_RequestDenied")));
    match stage.sign_in() {
        Ok(completion) => assert!(matches!(completion.identity.groups, Groups::Unknown(_)), "{completion:?}"),
        Err((refusal, _)) => panic!("{refusal:?}"),
    }
}

/// Person, groups and names are one token and one budget; the person is asked for only where the claims don't say enough.
#[test]
fn a_sign_in_asks_the_directory_as_little_as_it_can() {
    let user = format!("{GRAPH}/v1.0/users/{OID}");
    for (name, mail, asked, email) in [
        ("the token has an address", json!("ada@contoso.example"), 0, "ada@contoso.example"),
        ("the token has none", Value::Null, 1, "ada@directory.example"),
    ] {
        let mut stage = stage(&json!({ "names_from": "directory" }));
        stage.configure(&json!({ "claims": { "email": ["email", "graph:mail"] } }));
        stage.claim(&json!({ "email": mail }));
        stage.answer_json(&user, &json!({ "id": OID, "mail": "ada@directory.example" }));
        stage.answer_json(&member_groups(), &page(&[group(1)], None));
        stage.answer_json(&names_url(), &json!({ "value": [{ "id": group(1), "displayName": "VPN" }] }));
        let Ok(completion) = stage.sign_in() else { panic!("{name}") };
        assert_eq!(completion.identity.email, email, "{name}");
        assert_eq!(shown(&completion.identity.groups), [(group(1), Some("VPN".to_owned()))], "{name}");
        assert_eq!(stage.count(&user), asked, "{name}");
        let for_the_application = stage.token_requests().len() - 1;
        assert_eq!(for_the_application, 1, "{name}: one token for all of it");
    }
}

/// A provider that has groups in userinfo only: it is asked, though nothing else is missing.
#[test]
fn groups_that_only_userinfo_has() {
    for (name, groups, asked) in [("not in the token", Value::Null, 1), ("in the token", json!(["vpn"]), 0)] {
        let mut stage = Stage::oidc();
        stage.configure(&json!({ "policy": { "allowed_groups": ["vpn"] } }));
        stage.claim(&json!({ "groups": groups }));
        stage.answer_json(&format!("{ISSUER}/userinfo"), &json!({ "sub": "ada-1815", "groups": ["vpn"] }));
        assert_eq!(verdict(&stage.sign_in()).0, "ok", "{name}");
        assert_eq!(stage.count(&format!("{ISSUER}/userinfo")), asked, "{name}");
    }
}
