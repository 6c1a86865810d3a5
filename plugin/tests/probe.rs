//! What `configuration.probe` finds: each thing that a sign-in needs, tried alone, with what is missing and what to do. It
//! reads nothing of anybody, and changes nothing.
#![expect(clippy::panic, reason = "a test's own helpers may fail it")]

mod support;

use openid::capability::{ClientAuthentication, CredentialFailure, HttpError, Request, Response};
use openid::login::probe::{Finding, probe};
use openid::login::trace::Verdict::{self, Fail, Pass, Skip};
use serde_json::{Value, json};
use support::{
    GRAPH, ISSUER, Key, LOGIN, MSA, OTHER_TENANT, Stage, TENANT, app_token, discovery_url, entra_document,
    json_response, key_set, oidc_document, response, with,
};

const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

fn graph(path: &str) -> String {
    format!("{GRAPH}/v1.0/{path}")
}

fn graph_error(status: u16, code: &str) -> Response {
    json_response(status, &json!({ "error": { "code": code, "message": "no" } }))
}

/// Entra with everything that the directory may be asked for, and every permission.
fn entra() -> Stage {
    let mut stage = Stage::microsoft();
    stage.configure(&json!({
        "groups": { "source": "directory", "names_from": "directory" }, "claims": { "email": ["graph:mail"] },
    }));
    for path in [format!("users/{NOBODY}"), format!("groups/{NOBODY}")] {
        stage.answer(&graph(&path), |_| Ok(graph_error(404, "Request_ResourceNotFound")));
    }
    stage.answer_json(&graph("directoryObjects/getByIds"), &json!({ "value": [] }));
    stage
}

fn run(stage: &Stage) -> Vec<Finding> {
    probe(stage.world(), &stage.provider.to_string())
}

fn summary(findings: &[Finding]) -> Vec<(&str, Verdict)> {
    findings.iter().map(|finding| (finding.name.as_str(), finding.verdict)).collect()
}

#[track_caller]
fn find<'a>(findings: &'a [Finding], name: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.name == name).unwrap_or_else(|| panic!("no {name}: {findings:#?}"))
}

#[test]
fn entra_as_it_should_be() {
    let stage = entra();
    stage.answer(&discovery_url(&format!("{LOGIN}/{TENANT}/v2.0")), |_| {
        let mut answer = json_response(200, &entra_document(TENANT));
        answer.headers.push(("date".into(), "Fri, 15 Jan 2027 08:00:00 GMT".into()));
        Ok(answer)
    });
    let findings = run(&stage);
    assert_eq!(
        summary(&findings),
        [
            ("discovery", Pass),
            ("clock", Pass),
            ("key_set", Pass),
            ("tenant", Pass),
            ("credential", Pass),
            ("permission.User.Read.All", Pass),
            ("permission.GroupMember.Read.All", Pass),
            ("directory.group_names", Pass),
        ],
        "{findings:#?}"
    );
    assert!(findings.iter().all(|finding| finding.hint.is_empty()), "{findings:#?}");
    assert!(find(&findings, "credential").detail.contains("client_secret_post"));
    assert!(!format!("{findings:?}{:?}", stage.log()).contains("the-app-token"));
}

#[test]
fn any_provider_as_it_should_be() {
    let findings = run(&Stage::oidc());
    let expected = [("discovery", Pass), ("clock", Skip), ("key_set", Pass), ("credential", Skip)];
    assert_eq!(summary(&findings), expected, "{findings:#?}");
    assert!(find(&findings, "credential").detail.contains("only a sign-in proves"));
}

/// Nothing is stored or left in the cache, and nothing of it is used: it says how things are now.
#[test]
fn it_changes_nothing_and_believes_nothing_old() {
    let stage = entra();
    stage.begun();
    let stored = stage.stored_keys();
    let url = discovery_url(&format!("{LOGIN}/{TENANT}/v2.0"));
    assert_eq!((stage.count(&url), stage.cached_keys().len()), (1, 1));
    for times in 2..4 {
        run(&stage);
        assert_eq!(stage.count(&url), times);
    }
    assert_eq!((stage.stored_keys(), stage.cached_keys().len()), (stored, 1));
    for request in stage.requests() {
        let asks_nobody = request.url.contains(NOBODY) || !request.url.starts_with(&graph(""));
        let body = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
        assert!(asks_nobody || body.contains(NOBODY), "{} {body}", request.url);
    }
}

#[test]
fn only_what_the_configuration_needs_is_tried() {
    const USERS: &str = "permission.User.Read.All";
    const GROUPS: &str = "permission.GroupMember.Read.All";
    const NAMES: &str = "directory.group_names";
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Value, &[&str])> = vec![
        ("nothing of the directory", json!(null), json!(null), &[]),
        ("a property of the person", json!(null), json!({ "phone": ["phone_number", "graph:mobilePhone"] }), &[USERS]),
        ("groups", json!({ "source": "directory" }), json!(null), &[USERS, GROUPS]),
        ("groups on overage", json!({ "source": "claim" }), json!(null), &[USERS, GROUPS]),
        ("groups of the claim only", json!({ "source": "claim", "overage": "unknown" }), json!(null), &[]),
        ("their names", json!({ "source": "claim", "overage": "unknown", "names_from": "directory" }), json!(null), &[NAMES]),
    ];
    for (name, groups, claims, expected) in table {
        let mut stage = entra();
        stage.configure(&json!({ "groups": groups, "claims": claims }));
        let findings = run(&stage);
        let tried: Vec<&str> = findings
            .iter()
            .map(|finding| finding.name.as_str())
            .filter(|name| [USERS, GROUPS, NAMES].contains(name))
            .collect();
        assert_eq!(tried, expected, "{name}");
        assert_eq!(find(&findings, "credential").verdict, Pass, "{name}: a credential is always proven");
    }
}

/// Scripts the stage.
type Arrange = Box<dyn Fn(&mut Stage)>;

fn arrange(change: impl Fn(&mut Stage) + 'static) -> Arrange {
    Box::new(change)
}

fn answers(path: String, answer: Result<Response, HttpError>) -> Arrange {
    arrange(move |stage| {
        let answer = answer.clone();
        stage.answer(&path, move |_| answer.clone());
    })
}

fn entra_says(error: &'static str, description: &'static str) -> Arrange {
    arrange(move |stage| {
        stage.answer_app_tokens(move |_| {
            Ok(json_response(401, &json!({ "error": error, "error_description": description })))
        });
    })
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let discovery = || discovery_url(&format!("{LOGIN}/{TENANT}/v2.0"));
    let keys = || format!("{LOGIN}/{TENANT}/discovery/v2.0/keys");
    let document = |changes: Value| Ok(json_response(200, &with(entra_document(TENANT), &changes)));
    // Name, arrangement, the finding that fails, a part of its detail, of its hint, how many findings there are.
    #[rustfmt::skip]
    let table: Vec<(&str, Arrange, &str, &str, &str, usize)> = vec![
        ("a configuration with a mistake", arrange(|stage| stage.configure(&json!({ "client_id": null }))), "configuration", "client_id: missing", "Overview", 1),
        ("no such tenant", answers(discovery(), Ok(json_response(400, &json!({ "error": "invalid_tenant", "error_description": "AADSTS90002: not found" })))), "discovery", "400", "AADSTS90002", 1),
        ("no connection", answers(discovery(), Err(HttpError::Connect("refused".into()))), "discovery", "refused", "allowed_origins", 1),
        ("another issuer", answers(discovery(), document(json!({ "issuer": "https://evil.example" }))), "discovery", "evil.example", "issuer", 1),
        ("an endpoint elsewhere", answers(discovery(), document(json!({ "token_endpoint": "https://evil.example" }))), "discovery", "token_endpoint", "", 1),
        ("no keys", answers(keys(), Ok(json_response(200, &json!({ "keys": [] })))), "key_set", "empty", "", 8),
        ("keys that can't be reached", answers(keys(), Err(HttpError::Timeout)), "key_set", "in time", "", 8),
        ("keys for something else", answers(keys(), Ok(json_response(200, &json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }] })))), "key_set", "none of them for RS256", "id_token_algorithms", 8),
        ("a wrong secret", entra_says("invalid_client", "AADSTS7000215: Invalid client secret"), "credential", "invalid_client", "Value, not its Secret ID", 5),
        ("an expired secret", entra_says("invalid_client", "AADSTS7000222: expired"), "credential", TENANT, "New client secret", 5),
        ("an unknown certificate", entra_says("invalid_client", "AADSTS700027: assertion"), "credential", "invalid_client", "upload the certificate", 5),
        ("not in this tenant", entra_says("unauthorized_client", "AADSTS700016: not found"), "credential", "unauthorized_client", "Check client_id and tenant", 5),
        ("no credential that fits", arrange(|stage| stage.available.borrow_mut().clear()), "credential", "we have \"\"", "", 5),
        ("a secret that can't be read", arrange(|stage| stage.answer_app_tokens(|_| Err(CredentialFailure::Unusable("the file is gone".into())))), "credential", "file is gone", "", 5),
        ("no permission for people", answers(graph(&format!("users/{NOBODY}")), Ok(graph_error(403, "Authorization_RequestDenied"))), "permission.User.Read.All", "User.Read.All", "Grant admin consent", 8),
        ("no permission for groups", answers(graph(&format!("groups/{NOBODY}")), Ok(graph_error(403, "Authorization_RequestDenied"))), "permission.GroupMember.Read.All", "GroupMember.Read.All", "Application permissions", 8),
        ("no permission for names", answers(graph("directoryObjects/getByIds"), Ok(graph_error(403, "Authorization_RequestDenied"))), "directory.group_names", "Directory.Read.All", "Application permissions", 8),
        ("another cloud's Graph", answers(graph(&format!("users/{NOBODY}")), Ok(graph_error(401, "InvalidAuthenticationToken"))), "permission.User.Read.All", "401", "cloud", 8),
        ("Graph can't be reached", answers(graph(&format!("groups/{NOBODY}")), Err(HttpError::Denied("not on the list".into()))), "permission.GroupMember.Read.All", "not on the list", "allowed_origins", 8),
    ];
    for (name, arrange, failed, detail, hint, count) in table {
        let mut stage = entra();
        arrange(&mut stage);
        let findings = run(&stage);
        let finding = find(&findings, failed);
        assert_eq!(finding.verdict, Fail, "{name}: {findings:#?}");
        assert!(finding.detail.contains(detail), "{name}: {}", finding.detail);
        assert!(finding.hint.contains(hint) && !finding.hint.is_empty(), "{name}: {}", finding.hint);
        assert_eq!(findings.len(), count, "{name}: {findings:#?}");
        let others = findings.iter().filter(|other| other.verdict == Fail && other.name != failed).count();
        assert_eq!(others, 0, "{name}: {findings:#?}");
    }
}

#[test]
fn clocks_are_compared() {
    #[rustfmt::skip]
    let table = [
        ("the same second", Some("Fri, 15 Jan 2027 08:00:00 GMT"), Pass, "0 s", false),
        ("a minute ahead", Some("Fri, 15 Jan 2027 07:59:00 GMT"), Pass, "60 s ahead", false),
        ("more than a minute ahead", Some("Fri, 15 Jan 2027 07:58:59 GMT"), Pass, "61 s ahead", true),
        ("five minutes behind", Some("Fri, 15 Jan 2027 08:05:00 GMT"), Pass, "300 s behind", true),
        ("more than five minutes behind", Some("Fri, 15 Jan 2027 08:05:01 GMT"), Fail, "301 s behind", true),
        ("more than five minutes ahead", Some("Fri, 15 Jan 2027 07:54:59 GMT"), Fail, "301 s ahead", true),
        ("a year", Some("Sat, 15 Jan 2028 08:00:00 GMT"), Fail, "behind", true),
        ("no date", None, Skip, "no date", false),
        ("no date of today's form", Some("Friday, 15-Jan-27 08:00:00 GMT"), Skip, "no date", false),
    ];
    for (name, date, verdict, part, hinted) in table {
        let stage = Stage::oidc();
        stage.answer(&discovery_url(ISSUER), move |_| {
            let mut answer = json_response(200, &oidc_document());
            answer.headers.extend(date.map(|date| ("date".to_owned(), date.to_owned())));
            Ok(answer)
        });
        let findings = run(&stage);
        let clock = find(&findings, "clock");
        assert!(clock.verdict == verdict && clock.detail.contains(part), "{name}: {clock:?}");
        assert_eq!(!clock.hint.is_empty(), hinted, "{name}: {clock:?}");
    }
}

#[test]
fn keys_are_held_against_the_configured_algorithms() {
    let rsa_only_for = |algorithm: &str| {
        let mut set = key_set(&[("k", Key::Provider)]);
        if let Some(key) = set.pointer_mut("/keys/0") {
            *key = with(key.clone(), &json!({ "alg": algorithm }));
        }
        set
    };
    for (name, algorithms, set, verdict, part) in [
        (
            "one of two",
            json!(["ES256", "RS256"]),
            key_set(&[("k", Key::Provider)]),
            Pass,
            "1 keys; for RS256; none for ES256",
        ),
        ("all of them", json!(["RS256", "PS256"]), key_set(&[("k", Key::Provider)]), Pass, "for RS256, PS256"),
        (
            "none of them",
            json!(["ES256", "EdDSA"]),
            key_set(&[("k", Key::Provider)]),
            Fail,
            "none of them for ES256, EdDSA",
        ),
        ("a key for one only", json!(["PS256"]), rsa_only_for("RS256"), Fail, "none of them for PS256"),
    ] {
        let mut stage = Stage::oidc();
        stage.configure(&json!({ "id_token_algorithms": algorithms }));
        stage.answer_json(&format!("{ISSUER}/keys"), &set);
        let findings = run(&stage);
        let found = find(&findings, "key_set");
        assert!(found.verdict == verdict && found.detail.contains(part), "{name}: {found:?}");
    }
}

/// Name, what is offered, what is there, what is configured, the verdict, a part of its detail.
type CredentialRow<'a> = (&'a str, Value, &'a [ClientAuthentication], Option<&'a str>, Verdict, &'a str);

#[test]
fn a_credential_that_only_a_sign_in_proves_must_be_there_and_be_offered() {
    use ClientAuthentication::{PrivateKeyJwt, SecretBasic, SecretPost};
    let secret: &[ClientAuthentication] = &[SecretPost, SecretBasic];
    #[rustfmt::skip]
    let table: [CredentialRow<'_>; 6] = [
        ("in common", json!(["client_secret_basic"]), secret, None, Skip, "client_secret_basic is there and offered"),
        ("nothing in common", json!(["private_key_jwt"]), secret, None, Fail, "the provider takes \"private_key_jwt\""),
        ("configured and offered", json!(["client_secret_post"]), secret, Some("client_secret_post"), Skip, "client_secret_post"),
        ("configured, not offered", json!(["client_secret_post"]), secret, Some("client_secret_basic"), Fail, "doesn't offer"),
        ("configured, not there", json!(["private_key_jwt"]), secret, Some("private_key_jwt"), Fail, "no credential"),
        ("an assertion", json!(["private_key_jwt"]), &[PrivateKeyJwt], None, Skip, "private_key_jwt"),
    ];
    for (name, offered, available, configured, verdict, part) in table {
        let mut stage = Stage::oidc();
        stage.configure(&json!({ "token_endpoint_auth_method": configured }));
        *stage.available.borrow_mut() = available.to_vec();
        let document = with(oidc_document(), &json!({ "token_endpoint_auth_methods_supported": offered }));
        stage.answer_json(&discovery_url(ISSUER), &document);
        let findings = run(&stage);
        let found = find(&findings, "credential");
        assert!(found.verdict == verdict && found.detail.contains(part), "{name}: {found:?}");
        assert_eq!(stage.token_requests().len(), 0, "{name}");
    }
}

/// Name, configuration, the authority's segment, discovery's issuer, the tenants that are tried, a part of the detail.
type AuthorityRow<'a> = (&'a str, Value, &'a str, String, &'a [&'a str], &'a str);

#[test]
fn each_authority_has_its_tenants() {
    const THIRD: &str = "55555555-5555-4555-8555-555555555555";
    const FOURTH: &str = "66666666-6666-4666-8666-666666666666";
    let several = |tenants: Value, personal: bool| json!({ "base_url": format!("{LOGIN}/common/v2.0"), "tenant": null, "allowed_tenants": tenants, "personal_accounts": personal });
    #[rustfmt::skip]
    let table: Vec<AuthorityRow<'_>> = vec![
        ("one tenant", json!({}), TENANT, format!("{LOGIN}/{TENANT}/v2.0"), &[TENANT], TENANT),
        ("a domain", json!({ "tenant": "contoso.example" }), "contoso.example", format!("{LOGIN}/{TENANT}/v2.0"), &[TENANT], "contoso.example is"),
        ("two", several(json!([TENANT, OTHER_TENANT]), false), "common", format!("{LOGIN}/{{tenantid}}/v2.0"), &[TENANT, OTHER_TENANT], "2 in all"),
        ("more than are tried", several(json!([TENANT, OTHER_TENANT, THIRD, FOURTH]), false), "common", format!("{LOGIN}/{{tenantid}}/v2.0"), &[TENANT, OTHER_TENANT, THIRD], "the first 3"),
        ("one, and personal accounts", several(json!([MSA, TENANT]), true), "common", format!("{LOGIN}/{{tenantid}}/v2.0"), &[TENANT], "1 in all"),
        ("personal accounts only", json!({ "base_url": format!("{LOGIN}/consumers/v2.0"), "tenant": null, "personal_accounts": true }), "consumers", format!("{LOGIN}/{MSA}/v2.0"), &[], MSA),
    ];
    for (name, change, segment, issuer, tried, part) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&change);
        let keys = format!("{LOGIN}/{segment}/discovery/v2.0/keys");
        stage.answer_json(&keys, &key_set(&[("k", Key::Provider)]));
        let document = with(entra_document(segment), &json!({ "issuer": issuer }));
        stage.answer_json(&discovery_url(&format!("{LOGIN}/{segment}/v2.0")), &document);
        let findings = run(&stage);
        let asked: Vec<String> = stage.token_requests().into_iter().map(|(request, _)| request.url).collect();
        let expected: Vec<String> = tried.iter().map(|tenant| format!("{LOGIN}/{tenant}/oauth2/v2.0/token")).collect();
        assert_eq!(asked, expected, "{name}: {findings:#?}");
        let tenant = find(&findings, "tenant");
        assert!(tenant.verdict == Pass && tenant.detail.contains(part), "{name}: {tenant:?}");
        let credential = find(&findings, "credential");
        assert_eq!(credential.verdict, if tried.is_empty() { Skip } else { Pass }, "{name}");
    }
}

/// A thing that fails in one tenant is told with it, and the others are tried all the same.
#[test]
fn one_tenant_of_two_may_fail() {
    let mut stage = entra();
    stage.configure(&json!({
        "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null, "allowed_tenants": [TENANT, OTHER_TENANT],
        "groups": null, "claims": null,
    }));
    let document = with(entra_document("organizations"), &json!({ "issuer": format!("{LOGIN}/{{tenantid}}/v2.0") }));
    stage.answer_json(&discovery_url(&format!("{LOGIN}/organizations/v2.0")), &document);
    let not_there = |request: &Request| request.url.contains(TENANT);
    stage.answer_app_tokens(move |request| {
        Ok(if not_there(request) {
            json_response(400, &json!({ "error": "unauthorized_client", "error_description": "AADSTS700016: x" }))
        } else {
            json_response(200, &app_token("t"))
        })
    });
    let findings = run(&stage);
    let credentials: Vec<(Verdict, bool)> = findings
        .iter()
        .filter(|finding| finding.name == "credential")
        .map(|finding| (finding.verdict, finding.detail.contains(TENANT)))
        .collect();
    assert_eq!(credentials, [(Fail, true), (Pass, false)], "{findings:#?}");
}

#[test]
fn a_provider_behind_a_web_page_is_told_as_such() {
    let stage = Stage::oidc();
    stage.answer(&discovery_url(ISSUER), |_| Ok(response(200, "text/html", "<html>secret-of-the-page")));
    let findings = run(&stage);
    assert_eq!(summary(&findings), [("discovery", Fail)]);
    assert!(findings.iter().all(|finding| !finding.detail.contains("secret-of-the-page")));
}
