//! Configurations as administrators write them, and worse: `configuration::validate` and `configuration::parse`. Input: the
//! JSON that the host hands in.
//!
//! Asserted: at most 64 problems, each with a bounded text; `parse` succeeds exactly when no problem is an error (of samples
//! apart, which a sign-in doesn't read), gives the same each time, and what it gives is what the rest of the code relies on;
//! a usable configuration can begin a sign-in.

use std::collections::BTreeSet;

use openid::configuration::{Authority, OPTIONS, Problem, Provider, Severity, parse, validate};
use openid::jose::SigningAlgorithm;
use serde_json::{Map, Value, json};
use url::Url;

use crate::Seeds;
use crate::properties::{assert_refusal, is_allowed_address};
use crate::support::{CLIENT_ID, ISSUER, LOGIN, OTHER_TENANT, Stage, TENANT, discovery_url};

/// wit/configuration.wit.
const MAX_PROBLEMS: usize = 64;

/// Checks one configuration; whether it can be used.
pub fn check(input: &[u8]) -> bool {
    let json = String::from_utf8_lossy(input);
    let problems = validate(&json);
    assert!(problems.len() <= MAX_PROBLEMS, "{} problems", problems.len());
    assert_eq!(validate(&json), problems, "twice, and another answer");
    let errors: Vec<&Problem> = problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
    let parsed = parse(&json);
    match (&parsed, errors.first()) {
        (Ok(provider), _) => {
            let error = errors.iter().find(|problem| !is_of_sample(problem));
            assert!(error.is_none(), "it parses, but has an error: {error:?}");
            assert_eq!(parse(&json), parsed, "twice, and another answer");
            assert_provider(provider);
            assert_can_begin(&json, provider);
        }
        (Err(problem), Some(error)) => assert_eq!(&problem, error, "another error than the first one that is told"),
        (Err(error), None) => {
            panic!("it doesn't parse, but none of {} problems is an error: {error:?}", problems.len())
        }
    }
    for problem in &problems {
        assert_problem(problem, json.len());
    }
    parsed.is_ok()
}

fn is_of_sample(problem: &Problem) -> bool {
    problem.path == "sample" || problem.path.starts_with("sample.")
}

/// A problem says something, and repeats the value at most once (escaped: up to six bytes for each).
fn assert_problem(problem: &Problem, input_bytes: usize) {
    assert!(!problem.message.is_empty(), "{problem:?}");
    let bytes = problem.path.len() + problem.message.len() + problem.hint.len();
    assert!(bytes <= 1024 + 8 * input_bytes, "{bytes} bytes of problem for {input_bytes} bytes of configuration");
}

/// What whoever holds a `Provider` needn't look for again.
fn assert_provider(provider: &Provider) {
    let url = Url::parse(&provider.base_url).unwrap();
    assert!(is_allowed_address(&url, provider.loopback), "{}", provider.base_url);
    assert!(url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none());
    assert!(!provider.base_url.ends_with('/'), "{}", provider.base_url);
    if let Some(graph) = &provider.graph_origin {
        assert!(is_allowed_address(&Url::parse(graph).unwrap(), provider.loopback), "{graph}");
    }
    assert_eq!(provider.graph_origin.is_some(), provider.is_microsoft());
    assert_eq!(provider.authority == Authority::Issuer, !provider.is_microsoft());
    if let Authority::Several(tenants) = &provider.authority {
        assert!(!tenants.is_empty(), "every tenant in the world");
    }
    assert!(!provider.algorithms.is_empty());
    assert!(!provider.is_microsoft() || provider.algorithms.iter().all(|only| *only == SigningAlgorithm::Rs256));
    assert!(provider.scopes.iter().any(|scope| scope == "openid"), "{:?}", provider.scopes);
    assert!(!provider.id.is_empty() && !provider.client_id.is_empty() && !provider.mapping.email.sources.is_empty());
    let rules = &provider.policy.rules;
    assert!(rules.iter().all(|rule| rule.name.len() <= 256 && !rule.name.contains(char::is_control)), "{rules:?}");
    let sent = [Some(&provider.client_id), provider.login_hint.as_ref(), provider.domain_hint.as_ref()];
    for text in sent.into_iter().flatten() {
        assert!(text.len() <= 320 && !text.contains(char::is_control), "{text:?}");
    }
    assert_eq!(provider.fingerprint.len(), 43);
}

/// A sign-in with an honest document of that provider.
fn assert_can_begin(json: &str, provider: &Provider) {
    let mut stage = Stage::oidc();
    stage.provider = serde_json::from_str(json).unwrap();
    let base = &provider.base_url;
    let origin = Url::parse(base).unwrap().origin().ascii_serialization();
    let issuer = match &provider.authority {
        Authority::Issuer => base.clone(),
        Authority::Tenant(tenant) => format!("{origin}/{tenant}/v2.0"),
        Authority::Domain(_) => format!("{origin}/{TENANT}/v2.0"),
        Authority::Several(_) => format!("{origin}/{{tenantid}}/v2.0"),
    };
    let document = json!({
        "issuer": issuer, "authorization_endpoint": format!("{origin}/authorize"),
        "token_endpoint": format!("{origin}/token"), "jwks_uri": format!("{origin}/keys"),
    });
    stage.answer_json(&discovery_url(base), &document);
    match stage.begin() {
        Ok(authorization) => {
            let url = Url::parse(&authorization.url).unwrap();
            assert_eq!(url.origin().ascii_serialization(), origin);
            let client = url.query_pairs().find(|(name, _)| name == "client_id").map(|(_, value)| value.into_owned());
            assert_eq!(client.as_ref(), Some(&provider.client_id));
        }
        Err((refusal, checks)) => {
            assert_refusal(&refusal, &checks);
            // What the configuration asks of the provider may be missing there; the two themselves fit.
            let misfits = ["configuration_invalid", "discovery_mismatch"];
            assert!(!misfits.contains(&refusal.rule.code), "a usable configuration can't begin: {:?}", refusal.check);
        }
    }
}

/// Words for the fuzzer: every key and value of the component's own table, and what they are made of.
pub fn dictionary() -> BTreeSet<String> {
    const WORDS: [&str; 32] = [
        "{\"",
        "\":\"",
        "\",\"",
        "\":[\"",
        "\"],\"",
        "\":{\"",
        "\"},\"",
        "\":true,\"",
        "\":null,\"",
        "{}",
        "[]",
        "\\u0000",
        "https://",
        "http://",
        "http://127.0.0.1:8000",
        "http://[::1]:1",
        "http://localhost",
        "https:://",
        "/v2.0",
        "<TENANT_ID>",
        "{tenant}",
        "%3CTENANT_ID%3E",
        "organizations",
        "common",
        "consumers",
        "contoso.example",
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "/.well-known/openid-configuration",
        "graph:mail",
        "9188040d-6c67-4c5b-b112-36a304b66dad",
        "11111111-1111-4111-8111-111111111111",
    ];
    let keys = OPTIONS.iter().flat_map(|option| option.path.split('.'));
    let values = OPTIONS.iter().flat_map(|option| option.type_name.split('"').skip(1).step_by(2));
    let algorithms = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str);
    WORDS.into_iter().chain(keys).chain(values).chain(algorithms).map(str::to_owned).collect()
}

/// The configurations of the plugin's own tests and of the documentation.
pub fn seeds() -> Seeds {
    let entra = |changes: &Value| {
        crate::support::with(
            json!({
                "id": "entra", "kind": "microsoft", "base_url": format!("{LOGIN}/<TENANT_ID>/v2.0"), "tenant": TENANT,
                "client_id": CLIENT_ID,
            }),
            changes,
        )
    };
    let oidc = |changes: &Value| {
        crate::support::with(
            json!({ "id": "idp", "kind": "oidc", "base_url": ISSUER, "client_id": CLIENT_ID }),
            changes,
        )
    };
    let several = |changes: &Value| {
        let base = json!({ "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null });
        crate::support::with(entra(&base), changes)
    };
    // White space around a value is a warning; the error comes after them all.
    let rules: Vec<Value> =
        (0..40).map(|number| json!({ "name": format!(" rule {number}"), "require": " `true`" })).collect();
    #[rustfmt::skip]
    let cases: Vec<(&str, Value)> = vec![
        ("entra", entra(&json!({}))),
        ("entra-tenant-in-the-url", entra(&json!({ "base_url": format!("{LOGIN}/{TENANT}/v2.0/"), "tenant": null }))),
        ("entra-domain", entra(&json!({ "tenant": "contoso.onmicrosoft.com" }))),
        ("entra-several", several(&json!({ "allowed_tenants": [TENANT, OTHER_TENANT] }))),
        ("entra-several-of-all", several(&json!({}))),
        ("entra-government", entra(&json!({ "cloud": "us-gov", "base_url": "https://login.microsoftonline.us/<TENANT_ID>/v2.0" }))),
        ("entra-another-cloud", entra(&json!({ "cloud": "china" }))),
        ("entra-custom", entra(&json!({ "cloud": "custom", "development_loopback": true, "login_url": "http://127.0.0.1:8000", "graph_url": "http://127.0.0.1:8001", "base_url": "http://127.0.0.1:8000/<TENANT_ID>/v2.0" }))),
        ("entra-v1", entra(&json!({ "base_url": format!("{LOGIN}/<TENANT_ID>") }))),
        ("entra-algorithm", entra(&json!({ "id_token_algorithms": ["PS256"] }))),
        ("oidc", oidc(&json!({}))),
        ("oidc-everything", oidc(&json!({ "display_name": "Sign in", "id_token_algorithms": ["RS256", "ES256", "EdDSA"], "scopes": ["openid", "email"], "prompt": "login", "login_hint": "ada@acme.example", "token_endpoint_auth_method": "client_secret_basic", "userinfo": "always", "username_handling": "prune_email_domain", "claims": { "email": ["email", "mail"], "email_verified": ["email_verified"], "username": ["preferred_username"], "given_name": ["given_name"], "family_name": ["family_name"], "name": ["name"], "phone": ["phone_number"] } }))),
        ("oidc-select-account", oidc(&json!({ "prompt": "select_account", "login_hint": "ada@acme.example" }))),
        ("oidc-discovery-address", oidc(&json!({ "base_url": format!("{ISSUER}/.well-known/openid-configuration") }))),
        ("oidc-of-microsoft", oidc(&json!({ "cloud": "global", "domain_hint": "x", "app_id_in_discovery": true }))),
        ("oidc-plain-http", oidc(&json!({ "base_url": "http://idp.example" }))),
        ("oidc-loopback", oidc(&json!({ "base_url": "http://localhost:8080/realm", "development_loopback": true }))),
        ("oidc-loopback-not-allowed", oidc(&json!({ "base_url": "http://localhost:8080/realm" }))),
        ("oidc-none", oidc(&json!({ "id_token_algorithms": ["none", "HS256"] }))),
        ("unknown-keys", oidc(&json!({ "clientid": "x", "claims": { "mail": ["x"] }, "proxy": {} }))),
        ("wrong-types", json!({ "id": 1, "kind": ["oidc"], "base_url": null, "client_id": {}, "scopes": "openid", "claims": "x" })),
        ("white-space", json!({ "id": " idp ", "kind": " oidc ", "base_url": format!(" {ISSUER} "), "client_id": " x " })),
        ("empty", json!({})),
        ("oidc-policy", oidc(&json!({ "policy": { "allowed_domains": ["acme.example", "bücher.example"], "require_verified_email": true, "rules": [{ "name": "staff", "require": "contains(groups, 'staff')", "message": "Staff only." }] }, "linking": { "existing": "verified_email", "verified_domains": ["acme.example"] } }))),
        ("oidc-transforms", oidc(&json!({ "claims": { "email": ["jmespath:lower(mail)", "email"], "transforms": { "username": ["before:@", "replace:.=_"] }, "attributes": { "team": ["department"] } } }))),
        ("entra-groups", entra(&json!({ "groups": { "source": "directory", "names_from": "directory", "timeout_ms": 3000, "names": { TENANT: "Staff" } }, "policy": { "allowed_groups": [TENANT] } }))),
        ("entra-assurance", entra(&json!({ "response_mode": "form_post", "pushed_authorization_requests": "required", "max_age": 3600, "acr_values": ["a", "b"], "required_acr": ["a"], "required_acrs": ["c1"], "guests": true }))),
        ("samples", oidc(&json!({ "sample": [{ "name": "Ada", "claims": { "email": "ada@acme.example" }, "expect": { "email": "ada@acme.example", "username": "adaacme.example" } }, { "name": "nobody", "claims": {}, "expect": { "refused": "email_missing" } }] }))),
        ("sample-that-differs", oidc(&json!({ "sample": [{ "name": "Ada", "claims": { "email": "ada@acme.example" }, "expect": { "email": "eve@acme.example" } }] }))),
        ("warnings-before-an-error", oidc(&json!({ "policy": { "rules": rules }, "groups": { "claim": "x".repeat(300) } }))),
        ("many-problems", (0..100).map(|number| (format!("key-{number}"), Value::Null)).collect::<Map<_, _>>().into()),
    ];
    let doubled = ("doubled".to_owned(), br#"{"id":"a","id":"b"}"#.to_vec());
    cases
        .into_iter()
        .map(|(name, configuration)| (name.to_owned(), configuration.to_string().into_bytes()))
        .chain([doubled])
        .collect()
}
