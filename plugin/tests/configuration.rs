//! What `configuration.validate` says of each mistake, and what each good way of writing comes to. A problem has a path, a
//! message with what was found and expected, and a hint where there is something to do.

mod support;

use openid::configuration::{Authority, OPTIONS, Severity, parse, validate};
use openid::jose::SigningAlgorithm;
use serde_json::{Value, json};
use support::{CLIENT_ID, MSA, OTHER_TENANT, Stage, TENANT, with};

fn microsoft() -> Value {
    Stage::microsoft().provider
}

fn oidc() -> Value {
    Stage::oidc().provider
}

fn base_url(url: &str) -> Value {
    json!({ "base_url": url })
}

/// With the tenant in `base_url` and nowhere else.
fn pinned(path: &str) -> Value {
    json!({ "base_url": format!("https://login.microsoftonline.com/{path}"), "tenant": null })
}

#[test]
fn each_mistake_is_named_with_its_path() {
    use Severity::{Error, Warning};
    let several = |tenants: Value| with(pinned("organizations/v2.0"), &json!({ "allowed_tenants": tenants }));
    // Name, configuration, severity, path, a part of the message or hint.
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Severity, &str, &str)> = vec![
        ("no id", with(microsoft(), &json!({ "id": null })), Error, "id", "missing"),
        ("an empty id", with(microsoft(), &json!({ "id": " " })), Error, "id", "empty"),
        ("no kind", with(microsoft(), &json!({ "kind": null })), Error, "kind", "\"microsoft\" or \"oidc\""),
        ("an unknown kind", with(microsoft(), &json!({ "kind": "entra" })), Error, "kind", "\"entra\""),
        ("no client_id", with(microsoft(), &json!({ "client_id": null })), Error, "client_id", "Overview"),
        ("client_id as a number", with(microsoft(), &json!({ "client_id": 7 })), Error, "client_id", "a number"),
        ("a line break in client_id", with(microsoft(), &json!({ "client_id": "a\nb" })), Error, "client_id", "control"),
        ("no base_url", with(microsoft(), &json!({ "base_url": null })), Error, "base_url", "missing"),
        ("an unknown key", with(microsoft(), &json!({ "cleint_id": "x" })), Error, "cleint_id", "did you mean client_id?"),
        ("an unknown claim field", with(microsoft(), &json!({ "claims": { "e-mail": ["email"] } })), Error, "claims.e-mail", "did you mean claims.email?"),
        ("the host's own keys", with(microsoft(), &json!({ "directory": { "enabled": true } })), Error, "directory", "unknown"),
        ("claims as a text", with(microsoft(), &json!({ "claims": "email" })), Error, "claims", ""),
        ("display_name as a number", with(microsoft(), &json!({ "display_name": 5 })), Error, "display_name", "a number"),
        // base_url
        ("an unfilled placeholder", with(microsoft(), &json!({ "tenant": null })), Error, "base_url", "isn't filled"),
        ("Defguard's own misprint", with(microsoft(), &base_url("https:://login.microsoftonline.com/<TENANT_ID>/v2.0")), Error, "base_url", "one colon"),
        ("no scheme", with(oidc(), &base_url("idp.example/realms/acme")), Error, "base_url", "isn't a URL"),
        ("plain http", with(oidc(), &base_url("http://idp.example")), Error, "base_url", "https"),
        ("http to loopback without the switch", with(oidc(), &base_url("http://127.0.0.1:8080")), Error, "base_url", "https"),
        ("http to elsewhere with the switch", with(oidc(), &json!({ "base_url": "http://10.0.0.1", "development_loopback": true })), Error, "base_url", "https"),
        ("a host that only looks like loopback", with(oidc(), &json!({ "base_url": "http://127.0.0.1.evil.example", "development_loopback": true })), Error, "base_url", "https"),
        ("user information", with(oidc(), &base_url("https://ada:pw@idp.example")), Error, "base_url", "user information"),
        ("a query", with(oidc(), &base_url("https://idp.example/?a=b")), Error, "base_url", "query"),
        ("a fragment", with(oidc(), &base_url("https://idp.example/#top")), Error, "base_url", "fragment"),
        ("another scheme", with(oidc(), &base_url("file:///etc/passwd")), Error, "base_url", "https"),
        ("white space around", with(oidc(), &base_url(" https://idp.example ")), Warning, "base_url", "white space"),
        ("the discovery address", with(oidc(), &base_url("https://idp.example/.well-known/openid-configuration")), Warning, "base_url", "leave that part out"),
        ("Entra's v1 endpoint", with(microsoft(), &pinned(TENANT)), Error, "base_url", "v1"),
        ("Entra without a tenant", with(microsoft(), &pinned("v2.0")), Error, "base_url", "tenant is missing"),
        ("Entra with a longer path", with(microsoft(), &pinned(&format!("{TENANT}/v2.0/x"))), Error, "base_url", "/TENANT/v2.0"),
        ("neither GUID nor domain", with(microsoft(), &pinned("contoso/v2.0")), Error, "base_url", "neither a GUID nor a domain"),
        ("a tenant with spaces", with(microsoft(), &json!({ "tenant": "not a tenant!" })), Error, "tenant", "\"not a tenant!\" is neither a GUID nor a domain"),
        ("a tenant that is neither", with(microsoft(), &json!({ "tenant": "contoso" })), Error, "tenant", "neither a GUID nor a domain"),
        ("a GUID with a digit too few", with(microsoft(), &json!({ "tenant": TENANT.get(1..) })), Error, "tenant", "neither"),
        ("two tenants", with(microsoft(), &with(pinned(&format!("{TENANT}/v2.0")), &json!({ "tenant": OTHER_TENANT }))), Error, "tenant", "base_url names"),
        ("a tenant with nothing to fill", with(oidc(), &json!({ "tenant": TENANT })), Error, "tenant", "no <TENANT_ID>"),
        // several tenants (V4)
        ("organizations without tenants", with(microsoft(), &pinned("organizations/v2.0")), Error, "allowed_tenants", "every tenant in the world"),
        ("common without tenants", with(microsoft(), &pinned("common/v2.0")), Error, "allowed_tenants", "every tenant in the world"),
        ("organizations with no tenant", with(microsoft(), &several(json!([]))), Error, "allowed_tenants", "every tenant"),
        ("a tenant list with a domain", with(microsoft(), &several(json!(["contoso.example"]))), Error, "allowed_tenants", "list GUIDs"),
        ("a tenant list as a text", with(microsoft(), &several(json!(TENANT))), Error, "allowed_tenants", "a list of texts"),
        ("a tenant list beside one tenant", with(microsoft(), &json!({ "allowed_tenants": [OTHER_TENANT] })), Error, "allowed_tenants", "one tenant already"),
        ("a tenant list beside consumers", with(microsoft(), &with(pinned("consumers/v2.0"), &json!({ "allowed_tenants": [TENANT] }))), Error, "allowed_tenants", "one tenant already"),
        ("a tenant list that nothing reads", with(oidc(), &json!({ "allowed_tenants": [TENANT] })), Error, "allowed_tenants", "microsoft"),
        // clouds
        ("the login host of another cloud", with(microsoft(), &json!({ "cloud": "us-gov" })), Error, "base_url", "login.microsoftonline.us"),
        ("an unknown cloud", with(microsoft(), &json!({ "cloud": "germany" })), Error, "cloud", "\"germany\""),
        ("a cloud for any provider", with(oidc(), &json!({ "cloud": "global" })), Error, "cloud", "microsoft"),
        ("login_url without custom", with(microsoft(), &json!({ "login_url": "https://x.example" })), Error, "login_url", "custom"),
        ("custom outside development", with(microsoft(), &json!({ "cloud": "custom", "login_url": "https://login.microsoftonline.com", "graph_url": "https://graph.example" })), Error, "cloud", "development"),
        // what is asked for and accepted
        ("RS384 for Entra", with(microsoft(), &json!({ "id_token_algorithms": ["RS384"] })), Error, "id_token_algorithms", "RS256 only"),
        ("none", with(oidc(), &json!({ "id_token_algorithms": ["none"] })), Error, "id_token_algorithms", "never accepted"),
        ("HS256", with(oidc(), &json!({ "id_token_algorithms": ["HS256"] })), Error, "id_token_algorithms", "HS family"),
        ("an algorithm in lower case", with(oidc(), &json!({ "id_token_algorithms": ["rs256"] })), Error, "id_token_algorithms", "\"rs256\""),
        ("no algorithm", with(oidc(), &json!({ "id_token_algorithms": [] })), Error, "id_token_algorithms", "no usable"),
        ("scopes without openid", with(oidc(), &json!({ "scopes": ["profile"] })), Error, "scopes", "openid"),
        ("two scopes in one", with(oidc(), &json!({ "scopes": ["openid profile"] })), Error, "scopes", "one scope an entry"),
        ("an unknown prompt", with(oidc(), &json!({ "prompt": "maybe" })), Error, "prompt", "\"select_account\""),
        ("select_account with a hint", with(microsoft(), &json!({ "prompt": "select_account", "login_hint": "ada@contoso.example" })), Warning, "login_hint", "isn't sent"),
        ("a hint that is too long", with(oidc(), &json!({ "login_hint": "a".repeat(321) })), Error, "login_hint", "320"),
        ("an unknown authentication", with(oidc(), &json!({ "token_endpoint_auth_method": "none" })), Error, "token_endpoint_auth_method", "\"none\""),
        ("a switch as a text", with(microsoft(), &json!({ "app_id_in_discovery": "yes" })), Error, "app_id_in_discovery", "true or false"),
        // mapping
        ("no source for the address", with(oidc(), &json!({ "claims": { "email": [] } })), Error, "claims.email", "empty"),
        ("an empty source", with(oidc(), &json!({ "claims": { "email": [""] } })), Error, "claims.email", "an entry is empty"),
        ("a source as a text", with(oidc(), &json!({ "claims": { "email": "email" } })), Error, "claims.email", "a list of texts"),
        ("too many sources", with(oidc(), &json!({ "claims": { "name": vec!["x"; 17] } })), Error, "claims.name", "16"),
        ("a property that isn't read", with(microsoft(), &json!({ "claims": { "email": ["graph:photo"] } })), Error, "claims.email", "graph:photo"),
        ("a directory that isn't there", with(oidc(), &json!({ "claims": { "email": ["graph:mail"] } })), Error, "claims.email", "microsoft"),
        ("an expression that isn't one", with(oidc(), &json!({ "claims": { "name": ["jmespath:a b"] } })), Error, "claims.name", "JMESPath"),
        ("a transform that isn't one", with(oidc(), &json!({ "claims": { "transforms": { "username": ["lower"] } } })), Error, "claims.transforms.username", "lowercase"),
        ("an unknown key, deep", with(oidc(), &json!({ "claims": { "transforms": { "user": [] } } })), Error, "claims.transforms.user", "unknown"),
        ("a group by its name (V21)", with(microsoft(), &json!({ "policy": { "allowed_groups": ["admins"] } })), Error, "policy.allowed_groups", "GUID"),
        ("nobody's domain", with(oidc(), &json!({ "policy": { "allowed_domains": [] } })), Error, "policy.allowed_domains", "0 entries"),
        ("a rule without a name", with(oidc(), &json!({ "policy": { "rules": [{ "require": "a" }] } })), Error, "policy.rules.1.name", "missing"),
        ("a rule with another key", with(oidc(), &json!({ "policy": { "rules": [{ "name": "x", "require": "a", "if": "b" }] } })), Error, "policy.rules.1.if", "unknown"),
        ("an unknown handling", with(oidc(), &json!({ "username_handling": "keep" })), Error, "username_handling", "remove_forbidden"),
        ("an unknown userinfo", with(oidc(), &json!({ "userinfo": "sometimes" })), Error, "userinfo", "when-needed"),
    ];
    for (name, configuration, severity, path, part) in table {
        let problems = validate(&configuration.to_string());
        let found = problems
            .iter()
            .find(|problem| problem.path == path && format!("{} {}", problem.message, problem.hint).contains(part));
        assert!(found.is_some_and(|problem| problem.severity == severity), "{name}: {problems:#?}");
        assert_eq!(parse(&configuration.to_string()).is_err(), severity == Severity::Error, "{name}");
    }
}

#[test]
fn what_is_no_configuration_at_all() {
    #[rustfmt::skip]
    let table: [(&str, String, &str); 6] = [
        ("nothing", String::new(), "not JSON"),
        ("a list", "[]".into(), "not a JSON object"),
        ("cut short", "{\"id\":".into(), "not JSON"),
        ("a doubled key", "{\"id\":\"a\",\"id\":\"b\"}".into(), "doubled"),
        ("too large", format!("{{\"id\":\"{}\"}}", "a".repeat(256 << 10)), "bytes"),
        ("nested too deep", format!("{{\"id\":{}1{}}}", "[".repeat(40), "]".repeat(40)), "nested"),
    ];
    for (name, text, part) in table {
        let problems = validate(&text);
        assert!(problems.len() == 1 && problems[0].message.contains(part), "{name}: {problems:?}");
        assert!(parse(&text).is_err(), "{name}");
    }
}

#[test]
fn all_problems_are_told_at_once_but_no_more_than_64() {
    let several = with(
        microsoft(),
        &json!({
            "id": null, "client_id": null, "tenant": "contoso", "scopes": ["email"], "id_token_algorithms": ["none"],
            "prompt": "maybe", "userinfo": 1, "claims": { "email": 1, "mail": ["x"] },
        }),
    );
    let problems = validate(&several.to_string());
    for path in [
        "id",
        "client_id",
        "tenant",
        "scopes",
        "id_token_algorithms",
        "prompt",
        "userinfo",
        "claims.email",
        "claims.mail",
    ] {
        assert!(problems.iter().any(|problem| problem.path == path), "{path}: {problems:#?}");
    }

    let mut flood = microsoft();
    for number in 0..100 {
        flood = with(flood, &json!({ format!("unknown-key-{number}"): true }));
    }
    assert_eq!(validate(&flood.to_string()).len(), 64);
    assert!(parse(&flood.to_string()).is_err());
}

/// Found by fuzzing: an error behind 64 warnings was cut off, and the configuration seemed good.
#[test]
fn an_error_is_told_before_any_number_of_warnings() {
    let mut configuration = with(oidc(), &json!({ "groups": { "claim": "\n" } }));
    let spaced: Vec<_> = (0..100).map(|rule| json!({ "name": format!(" {rule} "), "require": " email " })).collect();
    configuration = with(configuration, &json!({ "policy": { "rules": spaced } }));
    let problems = validate(&configuration.to_string());
    assert_eq!(problems.len(), 64);
    assert_eq!(problems[0].severity, openid::configuration::Severity::Error, "{:?}", problems[0]);
}

#[test]
fn good_ways_to_write_the_provider() {
    let guid = |tenant: &str| Authority::Tenant(openid::entra::TenantId::parse(tenant).unwrap());
    let entra = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let us_gov = format!("https://login.microsoftonline.us/{TENANT}/v2.0");
    let several = with(pinned("common/v2.0"), &json!({ "allowed_tenants": [TENANT, MSA], "personal_accounts": true }));
    #[rustfmt::skip]
    let table: Vec<(&str, Value, &str, Authority)> = vec![
        ("the placeholder", microsoft(), &entra, guid(TENANT)),
        ("the placeholder, percent-encoded", with(microsoft(), &base_url("https://login.microsoftonline.com/%3CTENANT_ID%3E/v2.0")), &entra, guid(TENANT)),
        ("the placeholder in braces", with(microsoft(), &base_url("https://login.microsoftonline.com/{tenant}/v2.0")), &entra, guid(TENANT)),
        ("a slash at the end", with(microsoft(), &base_url("https://login.microsoftonline.com/<TENANT_ID>/v2.0/")), &entra, guid(TENANT)),
        ("slashes at the end", with(microsoft(), &base_url("https://login.microsoftonline.com/<TENANT_ID>/v2.0///")), &entra, guid(TENANT)),
        ("the discovery address", with(microsoft(), &base_url("https://login.microsoftonline.com/<TENANT_ID>/v2.0/.well-known/openid-configuration")), &entra, guid(TENANT)),
        ("the tenant in base_url", with(microsoft(), &pinned(&format!("{TENANT}/v2.0"))), &entra, guid(TENANT)),
        ("the tenant in both", with(microsoft(), &base_url(&entra)), &entra, guid(TENANT)),
        ("a domain", with(microsoft(), &json!({ "tenant": "contoso.example" })), "https://login.microsoftonline.com/contoso.example/v2.0", Authority::Domain("contoso.example".into())),
        ("consumers", with(microsoft(), &with(pinned("consumers/v2.0"), &json!({ "personal_accounts": true }))), "https://login.microsoftonline.com/consumers/v2.0", guid(MSA)),
        ("common with tenants", with(microsoft(), &several), "https://login.microsoftonline.com/common/v2.0", Authority::Several([TENANT, MSA].map(|tenant| openid::entra::TenantId::parse(tenant).unwrap()).to_vec())),
        ("us-gov", with(microsoft(), &json!({ "cloud": "us-gov-dod", "base_url": "https://login.microsoftonline.us/<TENANT_ID>/v2.0" })), &us_gov, guid(TENANT)),
        ("any provider", oidc(), "https://idp.example/realms/acme", Authority::Issuer),
        ("any provider with a slash", with(oidc(), &base_url("https://idp.example/")), "https://idp.example", Authority::Issuer),
        ("any provider with a port", with(oidc(), &base_url("https://idp.example:8443/a")), "https://idp.example:8443/a", Authority::Issuer),
        ("loopback in development", with(oidc(), &json!({ "base_url": "http://127.0.0.1:9/x", "development_loopback": true })), "http://127.0.0.1:9/x", Authority::Issuer),
        ("loopback by name", with(oidc(), &json!({ "base_url": "http://localhost:9", "development_loopback": true })), "http://localhost:9", Authority::Issuer),
    ];
    for (name, configuration, url, authority) in table {
        match parse(&configuration.to_string()) {
            Ok(provider) => {
                assert_eq!((provider.base_url.as_str(), provider.authority.clone()), (url, authority), "{name}");
            }
            Err(problem) => panic!("{name}: {problem:?}"),
        }
    }
}

#[test]
fn the_emulators_cloud_needs_both_addresses() {
    let custom = with(
        microsoft(),
        &json!({
            "cloud": "custom", "base_url": "http://127.0.0.1:9101/<TENANT_ID>/v2.0", "development_loopback": true,
            "login_url": "http://127.0.0.1:9101", "graph_url": "http://127.0.0.1:9102",
        }),
    );
    let provider = parse(&custom.to_string()).unwrap_or_else(|problem| panic!("{problem:?}"));
    assert_eq!(provider.graph_origin.as_deref(), Some("http://127.0.0.1:9102"));
    for (name, change, path) in [
        ("no login_url", json!({ "login_url": null }), "login_url"),
        ("no graph_url", json!({ "graph_url": null }), "graph_url"),
        ("another login_url", json!({ "login_url": "http://127.0.0.1:9999" }), "login_url"),
        ("graph_url elsewhere", json!({ "graph_url": "http://graph.example" }), "graph_url"),
    ] {
        let problems = validate(&with(custom.clone(), &change).to_string());
        assert!(problems.iter().any(|problem| problem.path == path), "{name}: {problems:?}");
    }
}

#[test]
fn defaults_are_the_described_ones() {
    let provider = parse(&oidc().to_string()).unwrap();
    assert_eq!(provider.algorithms, [SigningAlgorithm::Rs256]);
    assert_eq!(provider.scopes, ["openid", "profile", "email"]);
    let sources = |provider: &openid::configuration::Provider| -> Vec<String> {
        provider.mapping.email.sources.iter().map(ToString::to_string).collect()
    };
    assert_eq!(sources(&provider), ["email"]);
    assert_eq!(sources(&parse(&microsoft().to_string()).unwrap()), ["email", "preferred_username"]);
    assert_eq!(provider.client_id, CLIENT_ID);
}

#[test]
fn every_described_option_is_read() {
    let full = with(
        microsoft(),
        &json!({
            "display_name": "Sign in with Microsoft", "id_token_algorithms": ["RS256"], "scopes": ["openid", "profile"],
            "prompt": "login", "login_hint": "ada@contoso.example", "domain_hint": "contoso.example",
            "token_endpoint_auth_method": "client_secret_basic", "cloud": "global", "app_id_in_discovery": true,
            "userinfo": "never", "username_handling": "prune_email_domain", "development_loopback": false,
            "claims": {
                "email": ["mail"], "email_verified": ["xms_edov"], "username": ["upn"], "given_name": ["given_name"],
                "family_name": ["family_name"], "name": ["name"], "phone": ["phone_number"],
            },
        }),
    );
    assert_eq!(validate(&full.to_string()), []);
    // A wrong type is noticed for every key: none is ignored. Each is tried in the kind and cloud that it belongs to.
    for option in OPTIONS {
        let wrong = json!([5]);
        let base = match option.path {
            "login_url" | "graph_url" => with(full.clone(), &json!({ "cloud": "custom" })),
            "allowed_tenants" => with(full.clone(), &pinned("common/v2.0")),
            _ => full.clone(),
        };
        let mut keys = option.path.rsplit('.');
        let inner = json!({ keys.next().unwrap(): wrong });
        let configuration = with(base, &keys.fold(inner, |inner, table| json!({ table: inner })));
        let problems = validate(&configuration.to_string());
        assert!(problems.iter().any(|problem| problem.path == option.path), "{}: {problems:?}", option.path);
    }
}

#[test]
fn what_a_transaction_depends_on_is_in_the_fingerprint_and_nothing_else() {
    let fingerprint = |configuration: &Value| parse(&configuration.to_string()).unwrap().fingerprint.clone();
    let before = fingerprint(&oidc());
    for (name, change, same) in [
        ("another display name", json!({ "display_name": "Acme" }), true),
        ("another mapping", json!({ "claims": { "email": ["mail"] } }), true),
        ("a slash more", base_url("https://idp.example/realms/acme/"), true),
        ("another client", json!({ "client_id": "another" }), false),
        ("another provider's address", base_url("https://idp.example/realms/other"), false),
    ] {
        assert_eq!(fingerprint(&with(oidc(), &change)) == before, same, "{name}");
    }
}
