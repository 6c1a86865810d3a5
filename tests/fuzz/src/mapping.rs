//! Claims that become an identity, or a refusal: `claims::preview`, which maps, holds against the policy and decides on
//! linking as a sign-in does. Input: the kind of provider on the first line (oidc, microsoft, several), what is changed on its
//! configuration on the second, and on the rest what somebody says of a person, both JSON.
//!
//! Asserted: mapping twice gives the same; what comes out keeps the contract (wit/login.wit, and what the host's
//! `Identity::check` holds against it); nobody is let in whom the policy doesn't name; an address that is called verified
//! stands in a document; whoever is let in with unknown groups would be let in with any (V20); an account is linked by its
//! address only where the rule on linking allows it.

use std::collections::BTreeSet;

use openid::claims::account::AccountKind;
use openid::claims::groups::Groups;
use openid::claims::preview::{Preview, PreviewError, preview};
use openid::configuration::{Authority, ExistingAccounts, GroupsSource, Provider, parse};
use openid::policy::linking::EmailLinking;
use serde_json::{Map, Value, json};
use url::Url;

use crate::Seeds;
use crate::properties::{assert_checks, assert_refusal};
use crate::support::{CLIENT_ID, ISSUER, LOGIN, MSA, OID, OTHER_TENANT, TENANT, with};

/// wit/login.wit.
const MAX_ATTRIBUTES: usize = 32;
const MAX_ATTRIBUTE_BYTES: usize = 1024;
const MAX_GROUPS: usize = 11_000;
const MAX_GROUP_BYTES: usize = 256;
const MAX_REASON_BYTES: usize = 512;
/// host/src/identity.rs.
const MAX_TEXT_BYTES: usize = 1024;
/// RFC 5321 section 4.5.3.1.3.
const MAX_EMAIL_BYTES: usize = 254;
const GROUP: &str = "00000000-0000-4000-8000-0000000000a1";
const OTHER_GROUP: &str = "00000000-0000-4000-8000-0000000000a2";

/// Maps one person; whether they are let in.
pub fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (kind, changes, person) = (next(), next(), next());
    let Ok(changes @ Value::Object(_)) = serde_json::from_str::<Value>(changes) else { return false };
    let configuration = with(base(kind), &changes).to_string();
    let provider = parse(&configuration);
    let found = preview(&configuration, person);
    assert_eq!(found, preview(&configuration, person), "twice, and another answer");
    match (provider, found) {
        (Err(problem), found) => {
            assert_eq!(found, Err(PreviewError::Configuration(problem)));
            false
        }
        (Ok(_), Err(error)) => {
            let path = error.into_problem().path;
            assert!(path == "input" || path.starts_with("input."), "{path}");
            false
        }
        (Ok(provider), Ok(found)) => {
            assert_preview(&provider, &found);
            assert_verified_address(&provider, &found, person);
            assert_unknown_groups(&configuration, person);
            assert_overage(&provider, &configuration, person);
            found.refusal.is_none()
        }
    }
}

fn assert_preview(provider: &Provider, found: &Preview) {
    assert_groups(&found.groups);
    let fields = Fields(found.fields());
    if !fields.0.is_empty() {
        assert_fields(&fields);
    }
    assert_eq!(fields.0.is_empty(), found.email_linking.is_none());
    if let Some(linking) = &found.email_linking {
        assert_linking(provider, found, &fields, linking);
    }
    if let Some(refusal) = &found.refusal {
        assert_refusal(refusal, &found.checks);
    } else {
        assert_checks(&found.checks);
        assert_let_in(provider, found, &fields);
    }
}

/// The mapped fields by name.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// As the host folds and compares it.
    fn email_domain(&self) -> Option<String> {
        let domain = self.get("email")?.split_once('@')?.1;
        Url::parse(&format!("https://{domain}/")).ok()?.host_str().map(str::to_owned)
    }
}

/// The contract, and what the host holds against it.
fn assert_fields(fields: &Fields) {
    let username = fields.get("username").unwrap();
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    assert!((1..=63).contains(&username.len()) && username.bytes().all(is_allowed), "{username:?}");
    assert!(username.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric), "{username:?}");
    let email = fields.get("email").unwrap();
    assert!(email.len() <= MAX_EMAIL_BYTES && email.matches('@').count() == 1, "{email:?}");
    assert!(!email.starts_with('@') && !email.ends_with('@') && !email.contains(char::is_whitespace), "{email:?}");
    for name in ["given_name", "family_name", "display_name", "email", "phone"] {
        let Some(text) = fields.get(name) else {
            assert_eq!(name, "phone", "{name} is missing");
            continue;
        };
        assert!((1..=MAX_TEXT_BYTES).contains(&text.len()) && !text.contains(char::is_control), "{name}: {text:?}");
    }
    let attributes: Vec<_> = fields.0.iter().filter(|(name, _)| name.starts_with("attributes.")).collect();
    assert!(attributes.len() <= MAX_ATTRIBUTES, "{} attributes", attributes.len());
    for (name, value) in attributes {
        assert!(
            (1..=MAX_ATTRIBUTE_BYTES).contains(&value.len()) && name.len() <= MAX_ATTRIBUTE_BYTES,
            "{name}: {value:?}"
        );
        assert!(!value.contains(char::is_control), "{name}: {value:?}");
    }
    assert!(matches!(fields.get("email_verified"), None | Some("true" | "false")));
}

/// None twice, each with a name that can be stored.
fn assert_groups(groups: &Groups) {
    let Groups::Known(groups) = groups else { return };
    assert!(groups.len() <= MAX_GROUPS, "{} groups", groups.len());
    assert!(groups.is_sorted_by(|a, b| a.id < b.id), "a group twice, or out of order: {groups:?}");
    for group in groups {
        assert!((1..=MAX_GROUP_BYTES).contains(&group.id.len()), "{group:?}");
        assert!(group.name.as_ref().is_none_or(|name| (1..=MAX_GROUP_BYTES).contains(&name.len())), "{group:?}");
    }
}

/// Each condition of the configuration by itself, beside the code that decides.
fn assert_let_in(provider: &Provider, found: &Preview, fields: &Fields) {
    assert!(!fields.0.is_empty(), "let in without an identity");
    let policy = &provider.policy;
    if let Some(domains) = &policy.allowed_domains {
        let domain = fields.email_domain();
        assert!(domains.iter().any(|allowed| Some(allowed.as_str()) == domain.as_deref()), "{domain:?} is let in");
    }
    if let Some(allowed) = &policy.allowed_groups {
        let Groups::Known(groups) = &found.groups else { panic!("let in with {:?}", found.groups) };
        assert!(groups.iter().any(|group| allowed.contains(&group.id)), "let in with {groups:?}");
    }
    if policy.require_verified_email {
        assert_eq!(fields.get("email_verified"), Some("true"));
    }
    match found.account {
        AccountKind::Guest => assert!(provider.sign_in.guests, "a guest is let in"),
        AccountKind::Personal => assert!(provider.sign_in.personal_accounts, "a personal account is let in"),
        AccountKind::Unknown => assert!(!provider.is_microsoft()),
        AccountKind::Member => {}
    }
}

/// nOAuth (entra_graph §4): an address is no proof by itself.
fn assert_linking(provider: &Provider, found: &Preview, fields: &Fields, linking: &EmailLinking) {
    let (EmailLinking::Allowed(reason) | EmailLinking::NeedsApproval(reason) | EmailLinking::Never(reason)) = linking;
    assert!((1..=MAX_REASON_BYTES).contains(&reason.len()), "{reason:?}");
    if !matches!(linking, EmailLinking::Allowed(_)) {
        return;
    }
    assert_eq!(provider.linking.existing, ExistingAccounts::VerifiedEmail, "linked against the configuration");
    assert!(!matches!(found.account, AccountKind::Guest | AccountKind::Personal), "{:?} is linked", found.account);
    assert!(!matches!(provider.authority, Authority::Several(_)), "linked across tenants");
    let domain = fields.email_domain();
    let is_ours = provider.linking.verified_domains.iter().any(|own| Some(own.as_str()) == domain.as_deref());
    match fields.get("email_verified") {
        Some("true") => {}
        Some(_) => panic!("an address that isn't verified is linked"),
        None => assert!(is_ours, "an address of {domain:?} is linked"),
    }
}

/// V1: what is called verified is said by the token or userinfo, to the letter; the standard's flag and Entra's speak of
/// the claim `email` and of no other.
fn assert_verified_address(provider: &Provider, found: &Preview, person: &str) {
    let fields = Fields(found.fields());
    if fields.get("email_verified") != Some("true") {
        return;
    }
    let person: Value = serde_json::from_str(person).unwrap();
    let has_parts = person.get("claims").is_some_and(Value::is_object);
    let documents = if has_parts { vec![person.get("claims"), person.get("userinfo")] } else { vec![Some(&person)] };
    let email = fields.get("email").unwrap();
    let is_standard = |flag: &String| matches!(flag.as_str(), "email_verified" | "xms_edov");
    let says_it = |document: &Value| {
        if provider.mapping.email_verified.iter().all(is_standard) {
            document.get("email").is_some_and(|claim| has_text(claim, email))
        } else {
            has_text(document, email)
        }
    };
    assert!(documents.into_iter().flatten().any(says_it), "{email:?} is called verified, and nobody says it");
}

fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found.trim() == text,
        Value::Array(items) => items.iter().any(|item| has_text(item, text)),
        Value::Object(members) => members.values().any(|member| has_text(member, text)),
        _ => false,
    }
}

/// V20: unknown groups are never taken for none, nor for any others. Where the directory states them, everything else stays.
fn assert_unknown_groups(configuration: &str, person: &str) {
    let Ok(Value::Object(mut person)) = serde_json::from_str::<Value>(person) else { return };
    if !person.get("claims").is_some_and(Value::is_object) {
        return;
    }
    person.remove("groups_unknown");
    let mut outcome = |groups: Value| {
        person.insert("groups".to_owned(), groups);
        preview(configuration, &Value::Object(person.clone()).to_string()).ok().map(|found| found.refusal)
    };
    if outcome(Value::Null) == Some(None) {
        for groups in [json!([]), json!([GROUP]), json!([GROUP, OTHER_GROUP])] {
            let known = outcome(groups.clone());
            assert_eq!(known, Some(None), "let in with unknown groups, but not with {groups}");
        }
    }
}

/// V20 once more, where the token itself says that it has too many groups: whoever is let in like that would be let in with
/// any. People who are mapped otherwise are others, and rules on the marker itself may say what they want.
fn assert_overage(provider: &Provider, configuration: &str, person: &str) {
    let claim = provider.groups.claim.as_str();
    if provider.groups.source != GroupsSource::Claim
        || ["_claim_names", "hasgroups"].iter().any(|marker| configuration.contains(marker))
    {
        return;
    }
    let Ok(mut person) = serde_json::from_str::<Value>(person) else { return };
    let mut outcome = |name: &str, value: Value| {
        let claims = if person.get("claims").is_some_and(Value::is_object) {
            person.get_mut("claims")
        } else {
            Some(&mut person)
        };
        let claims = claims.and_then(Value::as_object_mut)?;
        claims.retain(|name, _| name != claim && name != "_claim_names" && name != "hasgroups");
        claims.insert(name.to_owned(), value);
        preview(configuration, &person.to_string()).ok()
    };
    let is_same = |a: &Preview, b: &Preview| {
        let fields = |found: &Preview| {
            found.fields().into_iter().filter(|(name, _)| !name.starts_with("attributes.")).collect::<Vec<_>>()
        };
        fields(a) == fields(b)
    };
    let Some(unknown) = outcome("_claim_names", json!({ claim: "src1" })) else { return };
    if unknown.refusal.is_some() || !matches!(unknown.groups, Groups::Unknown(_)) {
        return;
    }
    for groups in [json!([]), json!([GROUP]), json!([GROUP, OTHER_GROUP])] {
        let Some(known) = outcome(claim, groups.clone()).filter(|known| is_same(known, &unknown)) else { continue };
        assert_eq!(known.refusal, None, "let in with too many groups for the token, but not with {groups}");
    }
}

fn base(kind: &str) -> Value {
    match kind {
        "microsoft" => json!({
            "id": "entra", "kind": "microsoft", "base_url": format!("{LOGIN}/{TENANT}/v2.0"), "client_id": CLIENT_ID,
        }),
        "several" => json!({
            "id": "entra", "kind": "microsoft", "base_url": format!("{LOGIN}/common/v2.0"), "client_id": CLIENT_ID,
            "allowed_tenants": [TENANT, OTHER_TENANT, MSA], "personal_accounts": true,
        }),
        _ => json!({ "id": "idp", "kind": "oidc", "base_url": ISSUER, "client_id": CLIENT_ID }),
    }
}

/// The mappings, policies and people of the plugin's own tests.
pub fn seeds() -> Seeds {
    let ada = json!({
        "sub": "ada-1815", "email": "ada@acme.example", "email_verified": true, "preferred_username": "ada",
        "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace", "groups": ["staff", "engineers"],
        "department": "Engines", "roles": ["admin"],
    });
    let entra = json!({
        "tid": TENANT, "oid": OID, "email": "ada@contoso.example", "preferred_username": "ada@contoso.example",
        "name": "Ada Lovelace", "xms_edov": true, "acct": 0,
    });
    let and = |person: &Value, changes: Value| with(person.clone(), &changes);
    let stated = |claims: &Value, more: Value| with(json!({ "claims": claims }), &more);
    let rule =
        |require: &str| json!({ "policy": { "rules": [{ "name": "r", "require": require, "message": "No." }] } });
    let linking =
        |existing: &str| json!({ "linking": { "existing": existing, "verified_domains": ["contoso.example"] } });
    #[rustfmt::skip]
    let cases: Vec<(&str, &str, Value, Value)> = vec![
        ("plain", "oidc", json!({}), ada.clone()),
        ("entra", "microsoft", json!({}), entra.clone()),
        ("several-tenants", "several", json!({}), and(&entra, json!({ "tid": OTHER_TENANT }))),
        ("personal", "several", json!({}), and(&entra, json!({ "tid": MSA }))),
        ("another-tenant", "microsoft", json!({}), and(&entra, json!({ "tid": OTHER_TENANT }))),
        ("guest", "microsoft", json!({ "guests": true }), and(&entra, json!({ "acct": 1 }))),
        ("guest-by-name", "microsoft", json!({}), and(&entra, json!({ "preferred_username": "ada_x#EXT#@contoso.example" }))),
        ("guest-by-provider", "microsoft", json!({}), and(&entra, json!({ "idp": "live.com" }))),
        ("names-from-one", "oidc", json!({}), and(&ada, json!({ "given_name": null, "family_name": null }))),
        ("no-address", "oidc", json!({}), json!({ "sub": "x" })),
        ("address-with-line-break", "oidc", json!({}), and(&ada, json!({ "email": "ada@acme.example\r\nBcc: x" }))),
        ("other-alphabet", "oidc", json!({}), and(&ada, json!({ "preferred_username": "日本", "email": "zoë@bücher.example" }))),
        ("symbols-first", "oidc", json!({}), and(&ada, json!({ "preferred_username": "-.@ada" }))),
        ("long", "oidc", json!({}), and(&ada, json!({ "preferred_username": "a".repeat(80), "name": "n".repeat(300) }))),
        ("pruned", "oidc", json!({ "username_handling": "prune_email_domain", "claims": { "username": ["email"] } }), ada.clone()),
        ("transforms", "oidc", json!({ "claims": { "username": ["email"], "transforms": { "username": ["before:@", "lowercase", "replace:.=_"] } } }), ada.clone()),
        ("attributes", "oidc", json!({ "claims": { "attributes": { "team": ["department"], "role": ["jmespath:roles[0]"] } } }), ada.clone()),
        ("expression", "oidc", json!({ "claims": { "email": ["jmespath:lower(email)"], "name": ["jmespath:join(' ', [given_name, family_name])"] } }), ada.clone()),
        ("paths", "oidc", json!({ "claims": { "email": ["user.mail", "email"] } }), json!({ "user": { "mail": ["ada@acme.example"] }, "email_verified": "true" })),
        ("verified-elsewhere", "oidc", json!({ "claims": { "email": ["mail"] } }), and(&ada, json!({ "mail": "eve@acme.example" }))),
        ("domains", "oidc", json!({ "policy": { "allowed_domains": ["ACME.example", "bücher.example"], "require_verified_email": true } }), ada.clone()),
        ("domain-that-ends-alike", "oidc", json!({ "policy": { "allowed_domains": ["acme.example"] } }), and(&ada, json!({ "email": "eve@evilacme.example" }))),
        ("groups-by-claim", "oidc", json!({ "policy": { "allowed_groups": ["staff"] }, "groups": { "names": { "staff": "Staff" } } }), ada.clone()),
        ("overage", "microsoft", json!({ "policy": { "allowed_groups": [GROUP] } }), stated(&and(&entra, json!({ "_claim_names": { "groups": "src1" } })), json!({ "groups": [GROUP] }))),
        ("overage-unknown", "microsoft", json!({ "groups": { "source": "claim", "overage": "unknown" } }), and(&entra, json!({ "hasgroups": true }))),
        ("overage-of-another-claim", "microsoft", and(&rule(&format!("!contains(claims.roles || `[]`, '{GROUP}')")), json!({ "groups": { "source": "claim", "claim": "roles" } })), and(&entra, json!({ "roles": [] }))),
        ("overage-behind-an-attribute", "microsoft", and(&rule("attributes.blocked != 'true'"), json!({ "groups": { "source": "claim", "overage": "unknown" }, "claims": { "attributes": { "blocked": [format!("jmespath:to_string(contains(groups || `[]`, '{GROUP}'))")] } } })), entra.clone()),
        ("groups-unknown", "microsoft", rule(&format!("!contains(groups, '{GROUP}')")), stated(&entra, json!({ "groups": null }))),
        ("groups-compared", "microsoft", rule(&format!("groups != ['{GROUP}']")), stated(&entra, json!({ "groups": null }))),
        ("groups-by-everything", "microsoft", rule("length(values(@)) > `0`"), stated(&entra, json!({ "groups": [GROUP] }))),
        ("rule-on-claims", "oidc", rule("contains(claims.roles, 'admin') && email_domain == 'acme.example'"), ada.clone()),
        ("rule-on-userinfo", "oidc", and(&rule("userinfo.locale == 'en'"), json!({ "userinfo": "always" })), stated(&ada, json!({ "userinfo": { "locale": "en" } }))),
        ("rule-of-another-type", "oidc", rule("email"), ada.clone()),
        ("directory", "microsoft", json!({ "claims": { "email": ["graph:mail"], "phone": ["graph:mobilePhone"] } }), stated(&entra, json!({ "directory": { "mail": "ada@contoso.example", "mobilePhone": "+48 1" } }))),
        ("directory-groups", "microsoft", json!({ "groups": { "source": "directory" } }), stated(&entra, json!({ "groups": [GROUP, OTHER_GROUP] }))),
        ("linking-verified", "microsoft", linking("verified_email"), entra.clone()),
        ("linking-domain", "microsoft", linking("verified_email"), and(&entra, json!({ "xms_edov": null }))),
        ("linking-never", "microsoft", linking("never"), entra.clone()),
        ("linking-guest", "microsoft", and(&linking("verified_email"), json!({ "guests": true })), and(&entra, json!({ "acct": 1 }))),
    ];
    cases
        .into_iter()
        .map(|(name, kind, changes, person)| (name.to_owned(), format!("{kind}\n{changes}\n{person}").into_bytes()))
        .collect()
}

/// Words for the fuzzer: those of configurations, JMESPath's, and every name of the seeds' people.
pub fn dictionary() -> BTreeSet<String> {
    const WORDS: [&str; 22] = [
        "jmespath:",
        "graph:mail",
        "graph:userPrincipalName",
        "contains(",
        "ends_with(email, '@",
        "not_null(",
        "lower(",
        "join(",
        "values(@)",
        "[?",
        "[*]",
        "&&",
        "||",
        "_claim_names",
        "hasgroups",
        "#EXT#",
        "idp",
        "upn",
        "groups_unknown",
        "userinfo",
        "directory",
        "https://sts.windows.net/",
    ];
    let seeds = seeds().into_iter().flat_map(|(_, input)| {
        let lines = String::from_utf8(input).unwrap();
        let objects = lines.lines().skip(1).filter_map(|line| serde_json::from_str::<Map<String, Value>>(line).ok());
        objects.flat_map(|object| object.into_iter().map(|(name, _)| name)).collect::<Vec<_>>()
    });
    WORDS.into_iter().map(str::to_owned).chain(seeds).chain(crate::configuration::dictionary()).collect()
}
