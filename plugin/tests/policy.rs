//! Who is let in, and what may become of an account that has the same address: domains, groups, rules, linking. Each row is
//! a whole sign-in unless its test says otherwise.

mod support;

use openid::claims::account::AccountKind;
use openid::claims::groups::Groups;
use openid::configuration::{Severity, parse, validate};
use openid::login::complete::Completion;
use openid::login::trace::{Check, Verdict};
use openid::policy::linking::EmailLinking;
use serde_json::{Value, json};
use support::{GRAPH, LOGIN, MSA, OID, OTHER_TENANT, Outcome, Stage, TENANT, json_response, verdict, with};

const STAFF: &str = "44444444-4444-4444-8444-000000000001";
const ADMINS: &str = "44444444-4444-4444-8444-000000000002";

fn sign_in(mut stage: Stage, configuration: &Value, claims: &Value) -> Outcome<Completion> {
    stage.configure(configuration);
    stage.claim(claims);
    stage.sign_in()
}

/// The claims of a member of these groups.
fn member_of(groups: &[&str]) -> Value {
    json!({ "groups": groups })
}

/// Entra's way to say that a token doesn't hold all groups, and a configuration that asks nobody else.
fn overage() -> Value {
    json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": { "src1": { "endpoint": "https://graph.windows.net/x" } } })
}

fn rule(require: &str) -> Value {
    json!({ "policy": { "rules": [{ "name": "the rule", "require": require }] } })
}

fn refused<T: std::fmt::Debug>(name: &str, outcome: &Outcome<T>) -> (String, String) {
    let (code, detail) = verdict(outcome);
    assert!(outcome.is_err(), "{name}: let in");
    (code, detail)
}

/// V22: a domain is compared whole, after IDNA and case folding of both sides.
#[test]
fn domains() {
    let denied = "domain_not_allowed";
    let invalid = "email_invalid";
    #[rustfmt::skip]
    let table: Vec<(&str, Value, &str, &str)> = vec![
        ("the domain", json!(["acme.example"]), "ada@acme.example", "ok"),
        ("one of several", json!(["x.example", "acme.example"]), "ada@acme.example", "ok"),
        ("another", json!(["acme.example"]), "ada@evil.example", denied),
        ("capitals in the address", json!(["acme.example"]), "Ada@ACME.Example", "ok"),
        ("capitals in the list", json!(["ACME.example"]), "ada@acme.example", "ok"),
        ("a sub-domain", json!(["acme.example"]), "ada@vpn.acme.example", denied),
        ("the domain above", json!(["vpn.acme.example"]), "ada@acme.example", denied),
        ("one that ends alike", json!(["acme.example"]), "ada@evilacme.example", denied),
        ("one that ends alike, with a hyphen", json!(["acme.example"]), "ada@evil-acme.example", denied),
        ("one that begins alike", json!(["acme.example"]), "ada@acme.example.evil", denied),
        ("two @, ours last (CVE-2026-40574)", json!(["acme.example"]), "attacker@evil.example@acme.example", invalid),
        ("two @, ours first", json!(["acme.example"]), "attacker@acme.example@evil.example", invalid),
        ("a@b@c", json!(["c"]), "a@b@c", invalid),
        ("a dot at the end", json!(["acme.example"]), "ada@acme.example.", invalid),
        ("a dot in front", json!(["acme.example"]), "ada@.acme.example", invalid),
        ("our domain as the local part", json!(["acme.example"]), "acme.example@evil.example", denied),
        ("a zero between", json!(["acme.example"]), "ada@evil.example\u{0}@acme.example", invalid),
        ("a comment", json!(["acme.example"]), "ada@evil.example(@acme.example)", invalid),
        ("an address literal", json!(["acme.example"]), "ada@[192.0.2.1]", invalid),
        ("a number that IDNA reads as an address", json!(["acme.example"]), "ada@3221225985", denied),
        ("umlauts in both", json!(["bücher.example"]), "ada@bücher.example", "ok"),
        ("umlauts in the address, ASCII in the list", json!(["xn--bcher-kva.example"]), "ada@bücher.example", "ok"),
        ("ASCII in the address, umlauts in the list", json!(["bücher.example"]), "ada@xn--bcher-kva.example", "ok"),
        ("umlauts in capitals", json!(["bücher.example"]), "ada@BÜCHER.example", "ok"),
        ("u for umlaut", json!(["bücher.example"]), "ada@bucher.example", denied),
        ("a Cyrillic letter that looks alike", json!(["acme.example"]), "ada@\u{430}cme.example", denied),
        ("a Greek letter that looks alike", json!(["acme.example"]), "ada@acme.ex\u{3b1}mple", denied),
        ("a wide letter, which IDNA maps", json!(["acme.example"]), "ada@\u{ff41}cme.example", "ok"),
        ("a soft hyphen, which IDNA drops", json!(["acme.example"]), "ada@ac\u{ad}me.example", invalid),
        ("a full stop of another alphabet", json!(["acme.example"]), "ada@acme\u{3002}example", invalid),
    ];
    for (name, domains, email, code) in table {
        let configuration = json!({ "policy": { "allowed_domains": domains } });
        let outcome = sign_in(Stage::oidc(), &configuration, &json!({ "email": email }));
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
        assert!(!detail.contains(email), "{name}: the address is told: {detail}");
        if code == denied {
            assert!(detail.starts_with("policy.allowed_domains: "), "{name}: {detail}");
        }
    }
}

#[test]
fn groups() {
    let staff = || json!({ "policy": { "allowed_groups": [STAFF] } });
    let and = |configuration: Value, keys: Value| with(configuration, &keys);
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Value, &str)> = vec![
        ("a member", staff(), member_of(&[ADMINS, STAFF]), "ok"),
        ("a member of others", staff(), member_of(&[ADMINS]), "group_not_allowed"),
        ("a member of none", staff(), member_of(&[]), "group_not_allowed"),
        ("of any of several", json!({ "policy": { "allowed_groups": [STAFF, ADMINS] } }), member_of(&[ADMINS]), "ok"),
        ("capitals in the list", json!({ "policy": { "allowed_groups": [STAFF.to_uppercase()] } }), member_of(&[STAFF]), "ok"),
        ("a group whose identifier is a name (V21)", staff(), member_of(&["staff"]), "group_not_allowed"),
        ("a group of that name (V21)", and(staff(), json!({ "groups": { "names": { ADMINS: STAFF } } })), member_of(&[ADMINS]), "group_not_allowed"),
        // unknown is never none (V20)
        ("more than the token holds", and(staff(), json!({ "groups": { "overage": "unknown" } })), overage(), "groups_unknown"),
        ("and a part of them beside it", and(staff(), json!({ "groups": { "overage": "unknown" } })), with(overage(), &member_of(&[STAFF])), "groups_unknown"),
        ("hasgroups", and(staff(), json!({ "groups": { "overage": "unknown" } })), json!({ "hasgroups": true }), "groups_unknown"),
        ("a text in place of a list", staff(), json!({ "groups": STAFF }), "groups_unknown"),
        ("numbers", staff(), json!({ "groups": [1, 2] }), "groups_unknown"),
        ("nothing said, and nobody to ask", and(staff(), json!({ "groups": { "overage": "unknown" } })), json!({}), "groups_unknown"),
        ("the directory is silent", staff(), overage(), "groups_unknown"),
    ];
    for (name, configuration, claims, code) in table {
        let outcome = sign_in(Stage::microsoft(), &configuration, &claims);
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
        assert!(code == "ok" || detail.starts_with("policy.allowed_groups: "), "{name}: {detail}");
    }
}

#[test]
fn another_providers_groups() {
    let staff = json!({ "policy": { "allowed_groups": ["staff"] } });
    for (name, claims, code) in [
        ("a member", member_of(&["staff"]), "ok"),
        ("capitals make another group", member_of(&["Staff"]), "group_not_allowed"),
        ("a path that ends alike", member_of(&["/staff"]), "group_not_allowed"),
        ("no claim", json!({}), "groups_unknown"),
    ] {
        let (found, detail) = verdict(&sign_in(Stage::oidc(), &staff, &claims));
        assert_eq!(found, code, "{name}: {detail}");
    }
}

/// The 201st group: the directory is asked, and what it says counts.
#[test]
fn groups_of_the_directory() {
    for (name, groups, code) in
        [("a member", json!([ADMINS, STAFF]), "ok"), ("not a member", json!([ADMINS]), "group_not_allowed")]
    {
        let stage = Stage::microsoft();
        let url = format!("{GRAPH}/v1.0/users/{OID}/getMemberGroups");
        stage.answer_json(&url, &json!({ "value": groups }));
        let outcome = sign_in(stage, &json!({ "policy": { "allowed_groups": [STAFF] } }), &overage());
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
    }
}

#[test]
fn verified_addresses() {
    let must = || json!({ "policy": { "require_verified_email": true } });
    let and = |keys: Value| with(must(), &keys);
    let lower = || json!({ "claims": { "transforms": { "email": ["lowercase"] } } });
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Value, &str)> = vec![
        ("verified", must(), json!({}), "ok"),
        ("not verified", must(), json!({ "email_verified": false }), "email_unverified"),
        ("nothing said", must(), json!({ "email_verified": null }), "email_unverified"),
        ("said of another claim (V1)", and(json!({ "claims": { "email": ["upn"] } })), json!({ "upn": "victim@acme.example" }), "email_unverified"),
        ("a transform that changes nothing", and(lower()), json!({}), "ok"),
        ("a transform that changes the address", and(lower()), json!({ "email": "Ada@acme.example" }), "email_unverified"),
        ("an expression that gives the same address", and(json!({ "claims": { "email": ["jmespath:email"] } })), json!({}), "email_unverified"),
        ("not asked for", json!({}), json!({ "email_verified": false }), "ok"),
    ];
    for (name, configuration, claims, code) in table {
        let (found, detail) = verdict(&sign_in(Stage::oidc(), &configuration, &claims));
        assert_eq!(found, code, "{name}: {detail}");
    }
}

/// Every field that a rule can read, and every way in which one has no answer.
#[test]
fn rules() {
    let (refused, unevaluable) = ("policy_refused", "policy_unevaluable");
    let member = || with(member_of(&[STAFF]), &json!({ "roles": ["vpn"], "acct": 0, "department": "R&D" }));
    let design = format!("contains(groups, '{STAFF}') && ends_with(email, '@contoso.example')");
    let named = format!("groups[0] == '{STAFF}' && length(groups) == `1`");
    let issuer = format!("issuer == '{LOGIN}/{TENANT}/v2.0' && subject == 'ada-at-this-application'");
    let key = format!("tenant_id == '{TENANT}' && object_id == '{OID}'");
    #[rustfmt::skip]
    let table: Vec<(&str, &str, Value, &str)> = vec![
        ("the example of DESIGN.md", &design, member(), "ok"),
        ("the same, of another domain", &design, with(member(), &json!({ "email": "ada@evil.example" })), refused),
        ("the same, of another group", &design, member_of(&[ADMINS]), refused),
        ("true", "`true`", json!({}), "ok"),
        ("false", "`false`", json!({}), refused),
        // what there is to read
        ("groups", &named, member(), "ok"),
        ("the address", "email == 'ada@contoso.example'", json!({}), "ok"),
        ("its domain, as it is compared", "email_domain == 'contoso.example'", json!({ "email": "Ada@CONTOSO.example" }), "ok"),
        ("verified", "email_verified", json!({ "xms_edov": true }), "ok"),
        ("names", "given_name == 'Ada' && family_name == 'Lovelace' && display_name == 'Ada Lovelace'", json!({}), "ok"),
        ("the user name", "username == 'adacontoso.example'", json!({}), "ok"),
        ("the phone number", "phone == '1'", json!({ "phone_number": "1" }), "ok"),
        ("the issuer and the subject", &issuer, json!({}), "ok"),
        ("the key", &key, json!({}), "ok"),
        ("the account", "account == 'member'", json!({}), "ok"),
        ("a claim", "contains(claims.roles, 'vpn')", member(), "ok"),
        ("a claim that isn't there", "claims.roles[0] == 'vpn'", json!({}), refused),
        ("our functions", "lower(claims.department) == 'r&d' && split(email, '@')[1] == 'contoso.example'", member(), "ok"),
        // no answer
        ("nothing", "claims.nothing", json!({}), unevaluable),
        ("a text", "email", json!({}), unevaluable),
        ("a text that says true", "'true'", json!({}), unevaluable),
        ("a number", "`1`", json!({}), unevaluable),
        ("a list", "claims.roles", member(), unevaluable),
        ("an empty list", "claims.roles[?@ == 'x']", member(), unevaluable),
        ("an object", "{a: email}", json!({}), unevaluable),
        ("nothing said of the address", "email_verified", json!({}), unevaluable),
        ("a comparison that isn't one", "email > `1`", json!({}), unevaluable),
        ("a function on the wrong type", "contains(claims.nothing, 'x')", json!({}), unevaluable),
        ("the same, behind what is true already", "`true` || contains(claims.nothing, 'x')", json!({}), "ok"),
        ("the same, behind what is true", "`true` && contains(claims.nothing, 'x')", json!({}), unevaluable),
    ];
    for (name, require, claims, code) in table {
        let outcome = sign_in(Stage::microsoft(), &rule(require), &claims);
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
        let names_itself = detail.starts_with("policy.rule: ") && detail.contains("\"the rule\"");
        assert!(code == "ok" || names_itself, "{name}: {detail}");
        assert!(!detail.contains("ada@") && !detail.contains("R&D"), "{name} tells a claim: {detail}");
    }
}

/// What isn't known is never taken for none: whatever a rule would make of it, the person stays out (V20).
#[test]
fn rules_over_what_is_not_known() {
    let unknown = "groups_unknown";
    let unknown_groups = || json!({ "groups": { "overage": "unknown" } });
    let not_in = format!("!contains(groups || `[]`, '{ADMINS}')");
    let not_in_claim = format!("!contains(claims.groups || `[]`, '{ADMINS}')");
    let not_in_anything = format!("!contains(values(@)[], '{ADMINS}')");
    let not_in_any_claim = format!("!contains(values(claims)[], '{ADMINS}')");
    let not_in_a_star = format!("!contains(claims.*[], '{ADMINS}')");
    let not_in_a_copy = format!("!contains(merge(@, `{{}}`).*[], '{ADMINS}')");
    let not_in_a_text = format!("!contains(to_string(@), '{ADMINS}')");
    let behind = format!("email_domain == 'contoso.example' || contains(groups, '{ADMINS}')");
    #[rustfmt::skip]
    let table: Vec<(&str, &str, &str)> = vec![
        ("a member", "contains(groups, 'x')", unknown),
        ("no member", &not_in, unknown),
        ("no member, by the claim", &not_in_claim, unknown),
        ("no group of that name", "!contains(group_names || `[]`, 'admins')", unknown),
        ("there are none", "groups == `null`", unknown),
        ("behind what is true already", &behind, unknown),
        ("in quotes", "\"groups\" == `null`", unknown),
        ("under another name", "{g: groups}.g == `null`", unknown),
        ("through a reference", "length(map(&groups, [@])) == `0`", unknown),
        ("in everything at once", &not_in_anything, unknown),
        ("in all claims at once", &not_in_any_claim, unknown),
        ("in all claims by a star", &not_in_a_star, unknown),
        ("in a copy of everything", &not_in_a_copy, unknown),
        ("in everything as a text", &not_in_a_text, unknown),
        ("a rule that reads none", "email_domain == 'contoso.example'", "ok"),
        ("a word in a text", "email_domain != 'groups'", "ok"),
        ("@ before a field", "@.email_domain == 'contoso.example'", "ok"),
        ("@ in a list of another claim", "length(claims.roles[?@ == 'vpn']) == `1`", "ok"),
    ];
    for (name, require, code) in table {
        let configuration = with(rule(require), &unknown_groups());
        let outcome = sign_in(Stage::microsoft(), &configuration, &with(overage(), &json!({ "roles": ["vpn"] })));
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
        assert!(code == "ok" || detail.contains("\"the rule\""), "{name} doesn't name itself: {detail}");
    }
}

/// As groups: a directory that doesn't answer isn't one without a department.
#[test]
fn rules_over_documents() {
    let user = format!("{GRAPH}/v1.0/users/{OID}");
    let require = "directory.department != 'Contractors'";
    for (name, department, code) in [
        ("the directory says another", Some("R&D"), "ok"),
        ("the directory says this", Some("Contractors"), "policy_refused"),
        ("the directory is silent", None, "policy_unevaluable"),
    ] {
        let stage = Stage::microsoft();
        stage.answer(&user, move |request| match department {
            Some(department) => {
                assert!(request.url.contains("department"), "it isn't asked for: {}", request.url);
                Ok(json_response(200, &json!({ "id": OID, "department": department })))
            }
            None => Ok(json_response(503, &json!({}))),
        });
        let outcome = sign_in(stage, &rule(require), &json!({}));
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
    }

    for (name, status, code) in
        [("userinfo says another", 200, "ok"), ("userinfo is silent", 500, "policy_unevaluable")]
    {
        let stage = Stage::oidc();
        let answer = json!({ "sub": "ada-1815", "department": "R&D" });
        stage.answer("https://idp.example/realms/acme/userinfo", move |_| Ok(json_response(status, &answer)));
        let outcome = sign_in(stage, &rule("userinfo.department != 'Contractors'"), &json!({}));
        let (found, detail) = verdict(&outcome);
        assert_eq!(found, code, "{name}: {detail}");
    }
}

#[test]
fn every_rule_must_hold_and_the_first_that_does_not_is_named() {
    let rules = json!({ "policy": { "rules": [
        { "name": "first", "require": "`true`" },
        { "name": "staff only", "require": "claims.staff == `true`", "message": "Only staff may enroll. Ask IT." },
        { "name": "last", "require": "`false`" },
    ] } });
    let outcome = sign_in(Stage::oidc(), &rules, &json!({}));
    let (code, detail) = refused("a rule in the middle", &outcome);
    assert_eq!((code.as_str(), detail.as_str()), ("policy_refused", "policy.rule: rule \"staff only\" doesn't hold"));
    let Err((refusal, checks)) = outcome else { unreachable!() };
    assert_eq!(refusal.message(), "Only staff may enroll. Ask IT.");
    assert!(!refusal.rule.message.contains("staff"), "the rule's own sentence is another");
    let seen: Vec<(&str, Verdict)> = checks
        .iter()
        .filter(|check| check.name == "policy.rule")
        .map(|check| (check.detail.as_str(), check.verdict))
        .collect();
    assert_eq!(seen, [("rule \"first\" holds", Verdict::Pass), ("rule \"staff only\" doesn't hold", Verdict::Fail)]);

    let outcome = sign_in(Stage::oidc(), &rules, &json!({ "staff": true }));
    let (_, detail) = refused("the last rule", &outcome);
    assert!(detail.contains("\"last\""), "{detail}");
    let Err((refusal, _)) = outcome else { unreachable!() };
    assert_eq!(refusal.message(), refusal.rule.message, "a rule without a message of its own");
}

/// Each list and rule leaves a check, in order.
#[test]
fn the_trace_of_a_policy() {
    let configuration = json!({ "policy": {
        "allowed_domains": ["contoso.example"], "allowed_groups": [STAFF], "require_verified_email": true,
        "rules": [{ "name": "a", "require": "`true`" }, { "name": "b", "require": "`true`" }],
    } });
    let names = |checks: &[Check]| -> Vec<(String, Verdict)> {
        let named = checks.iter().filter(|check| check.name.starts_with("policy") || check.name == "linking");
        named.map(|check| (check.name.to_owned(), check.verdict)).collect()
    };
    let claims = with(member_of(&[STAFF]), &json!({ "xms_edov": true }));
    let completion = sign_in(Stage::microsoft(), &configuration, &claims).unwrap();
    let pass = |name: &str| (name.to_owned(), Verdict::Pass);
    let expected = [
        "policy.allowed_domains",
        "policy.require_verified_email",
        "policy.allowed_groups",
        "policy.rule",
        "policy.rule",
        "linking",
    ];
    assert_eq!(names(&completion.checks), expected.map(pass));

    let completion = Stage::microsoft().sign_in().unwrap();
    let skipped: Vec<Verdict> = names(&completion.checks).into_iter().map(|(_, verdict)| verdict).collect();
    assert_eq!(skipped, [Verdict::Skip, Verdict::Skip, Verdict::Skip, Verdict::Skip, Verdict::Pass]);
}

/// A claim that is too large or too deep for a rule's input keeps the person out, and says so.
#[test]
fn inputs_beyond_the_bounds() {
    let mut deep = json!("x");
    for _ in 0..31 {
        deep = json!([deep]);
    }
    let outcome = sign_in(Stage::oidc(), &rule("email_domain == 'acme.example'"), &json!({ "deep": deep }));
    let (code, detail) = refused("too deep", &outcome);
    assert_eq!(code, "policy_unevaluable");
    assert!(detail.contains("\"the rule\"") && detail.contains("deep"), "{detail}");
}

#[test]
fn mistakes_in_a_policy() {
    use Severity::{Error, Warning};
    let rules = |rules: Value| json!({ "policy": { "rules": rules } });
    let require = |require: &str| rules(json!([{ "name": "a", "require": require }]));
    let bomb = format!("length(to_string([@,@]{}))", "|[@,@]".repeat(9));
    let compared = format!("[@,@]{} == `1`", "|[@,@]".repeat(9));
    let deep = format!("{}`true`{}", "(".repeat(200), ")".repeat(200));
    let long = format!("email == '{}'", "x".repeat(3000));
    // Name, kind is Entra, configuration, severity, path, a part of the message or hint.
    #[rustfmt::skip]
    let table: Vec<(&str, bool, Value, Severity, &str, &str)> = vec![
        ("no domain", false, json!({ "policy": { "allowed_domains": [] } }), Error, "policy.allowed_domains", "leave it out"),
        ("an address", false, json!({ "policy": { "allowed_domains": ["ada@acme.example"] } }), Error, "policy.allowed_domains", "isn't a domain"),
        ("an @", false, json!({ "policy": { "allowed_domains": ["@acme.example"] } }), Error, "policy.allowed_domains", "the domain alone"),
        ("a star", false, json!({ "policy": { "allowed_domains": ["*.acme.example"] } }), Error, "policy.allowed_domains", "listed one by one"),
        ("a dot in front", false, json!({ "policy": { "allowed_domains": [".acme.example"] } }), Error, "policy.allowed_domains", "isn't a domain"),
        ("a dot at the end", false, json!({ "policy": { "allowed_domains": ["acme.example."] } }), Error, "policy.allowed_domains", "isn't a domain"),
        ("an address of a machine", false, json!({ "policy": { "allowed_domains": ["192.0.2.1"] } }), Error, "policy.allowed_domains", "isn't a domain"),
        ("a text in place of the list", false, json!({ "policy": { "allowed_domains": "acme.example" } }), Error, "policy.allowed_domains", "a list of texts"),
        ("no group", true, json!({ "policy": { "allowed_groups": [] } }), Error, "policy.allowed_groups", "leave it out"),
        ("a group by its name (V21)", true, json!({ "policy": { "allowed_groups": ["VPN users"] } }), Error, "policy.allowed_groups", "names aren't unique"),
        ("groups that nobody asks for", true, json!({ "policy": { "allowed_groups": [STAFF] }, "groups": { "source": "none" } }), Error, "groups.source", "the policy decides by groups"),
        ("a rule over groups that nobody asks for", true, json!({ "policy": { "rules": [{ "name": "a", "require": "contains(groups, 'x')" }] }, "groups": { "source": "none" } }), Error, "groups.source", "the policy decides by groups"),
        ("a rule over everything, groups among it", true, json!({ "policy": { "rules": [{ "name": "a", "require": "length(values(@)) > `1`" }] }, "groups": { "source": "none" } }), Error, "groups.source", "the policy decides by groups"),
        ("yes", false, json!({ "policy": { "require_verified_email": "yes" } }), Error, "policy.require_verified_email", "true or false"),
        ("an unknown key", false, json!({ "policy": { "allowed_domain": ["a.example"] } }), Error, "policy.allowed_domain", "allowed_domains"),
        ("an unknown key of a rule", false, rules(json!([{ "name": "a", "require": "`true`", "deny": "x" }])), Error, "policy.rules.1.deny", "known here"),
        ("a table in place of the list", false, rules(json!({ "name": "a", "require": "`true`" })), Error, "policy.rules", "list of tables"),
        ("a rule without a name", false, rules(json!([{ "require": "`true`" }])), Error, "policy.rules.1.name", "missing"),
        ("a rule that demands nothing", false, rules(json!([{ "name": "a" }])), Error, "policy.rules.1.require", "missing"),
        ("an empty rule", false, rules(json!([{ "name": "a", "require": " " }])), Error, "policy.rules.1.require", "empty"),
        ("two of one name", false, rules(json!([{ "name": "a", "require": "`true`" }, { "name": "a", "require": "`false`" }])), Error, "policy.rules.2.name", "tell rules apart"),
        ("a line break in a message", false, rules(json!([{ "name": "a", "require": "`true`", "message": "a\nb" }])), Error, "policy.rules.1.message", "control characters"),
        ("no JMESPath", false, require("email ="), Error, "policy.rules.1.require", "column 7"),
        ("a half expression", false, require("contains(groups,"), Error, "policy.rules.1.require", "isn't JMESPath"),
        ("an unknown function", false, require("matches(email, 'x')"), Error, "policy.rules.1.require", "no function matches()"),
        ("an argument too few", false, require("contains(email)"), Error, "policy.rules.1.require", "takes 2 arguments"),
        ("too long", false, require(&long), Error, "policy.rules.1.require", "bytes"),
        ("too deep", false, require(&deep), Error, "policy.rules.1.require", "brackets"),
        ("a bomb whose size is counted", false, require(&bomb), Error, "policy.rules.1.require", "times its input"),
        ("a bomb that is compared", false, require(&compared), Error, "policy.rules.1.require", "times its input"),
        ("a directory that there isn't", false, require("directory.department == 'x'"), Error, "policy.rules", "no directory"),
        ("userinfo that is never asked", false, with(require("userinfo.x == 'y'"), &json!({ "userinfo": "never" })), Error, "policy.rules", "never asked"),
        ("an unknown way of linking", false, json!({ "linking": { "existing": "always" } }), Error, "linking.existing", "verified_email"),
        ("an address for a domain", false, json!({ "linking": { "verified_domains": ["@acme.example"] } }), Error, "linking.verified_domains", "isn't a domain"),
        ("names that nothing reads", true, json!({ "groups": { "names_from": "directory" } }), Warning, "groups.names_from", "isn't read"),
    ];
    for (name, entra, keys, severity, path, part) in table {
        let stage = if entra { Stage::microsoft() } else { Stage::oidc() };
        let configuration = with(stage.provider.clone(), &keys).to_string();
        let problems = validate(&configuration);
        let said = |problem: &openid::configuration::Problem| format!("{} {}", problem.message, problem.hint);
        let found = problems.iter().find(|problem| problem.path == path && said(problem).contains(part));
        assert!(found.is_some_and(|problem| problem.severity == severity), "{name}: {problems:#?}");
        assert_eq!(parse(&configuration).is_err(), severity == Severity::Error, "{name}");
    }
}

/// nOAuth (entra_graph §4): by its address alone an account is linked only where one organisation vouches for it.
#[test]
fn linking() {
    let linking =
        |existing: &str, domains: Value| json!({ "linking": { "existing": existing, "verified_domains": domains } });
    let several =
        || json!({ "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null, "allowed_tenants": [TENANT] });
    let and = |one: Value, other: Value| with(one, &other);
    let by_email = || linking("verified_email", json!([]));
    let by_domain = || linking("verified_email", json!(["contoso.example"]));
    let verified = || json!({ "xms_edov": true });
    let (allowed, approval, never) = ("allowed", "needs approval", "never");
    let map = |keys: Value| json!({ "claims": keys });
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Value, &str, &str)> = vec![
        ("nothing configured", json!({}), verified(), approval, "approval"),
        ("approval, though verified", linking("approval", json!(["contoso.example"])), verified(), approval, "approval"),
        ("never, though verified", linking("never", json!(["contoso.example"])), verified(), never, "never"),
        ("verified", by_email(), verified(), allowed, "says that the address is the person's"),
        ("nothing said", by_email(), json!({}), approval, "nobody says"),
        ("said not to be", by_email(), json!({ "xms_edov": false }), approval, "isn't verified"),
        ("the domain is listed", by_domain(), json!({}), allowed, "verified_domains"),
        ("the domain is listed, in capitals", by_domain(), json!({ "email": "ada@CONTOSO.example" }), allowed, "verified_domains"),
        ("another domain is listed", by_domain(), json!({ "email": "ada@fabrikam.example" }), approval, "nobody says"),
        ("a sub-domain", by_domain(), json!({ "email": "ada@vpn.contoso.example" }), approval, "nobody says"),
        ("listed, but said not to be verified", by_domain(), json!({ "xms_edov": false }), approval, "isn't verified"),
        ("no tenant is pinned", and(several(), by_email()), verified(), approval, "several tenants"),
        ("no tenant is pinned, the domain listed", and(several(), by_domain()), json!({}), approval, "several tenants"),
        ("no tenant is pinned, and never", and(several(), linking("never", json!([]))), verified(), never, "never"),
        ("a guest", and(by_email(), json!({ "guests": true })), json!({ "xms_edov": true, "acct": 1 }), approval, "guest"),
        ("a guest, the domain listed", and(by_domain(), json!({ "guests": true })), json!({ "acct": 1 }), approval, "guest"),
        ("the login name of a pinned tenant", by_domain(), json!({ "email": null }), allowed, "verified_domains"),
        ("the login name isn't what xms_edov speaks of", by_email(), json!({ "email": null, "xms_edov": true }), approval, "nobody says"),
        ("a transform made the address", and(by_domain(), map(json!({ "transforms": { "email": ["replace:@evil.example=@contoso.example"] } }))), json!({ "email": "victim@evil.example", "xms_edov": true }), approval, "made here"),
        ("an expression made the address", and(by_domain(), map(json!({ "email": ["jmespath:join('@', [nick, 'contoso.example'])"] }))), json!({ "nick": "victim", "xms_edov": true }), approval, "made here"),
    ];
    for (name, configuration, claims, expected, reason) in table {
        let stage = with_template();
        let completion =
            sign_in(stage, &configuration, &claims).unwrap_or_else(|(refusal, _)| panic!("{name}: {refusal:?}"));
        let (found, said) = decision(&completion.email_linking);
        assert_eq!(found, expected, "{name}: {said}");
        assert!(said.contains(reason), "{name}: {said}");
    }
}

fn decision(linking: &EmailLinking) -> (&'static str, &str) {
    match linking {
        EmailLinking::Allowed(reason) => ("allowed", reason),
        EmailLinking::NeedsApproval(reason) => ("needs approval", reason),
        EmailLinking::Never(reason) => ("never", reason),
    }
}

/// Entra, and its `organizations` besides.
fn with_template() -> Stage {
    let stage = Stage::microsoft();
    for (segment, issuer) in [("organizations", "{tenantid}"), ("consumers", MSA)] {
        let document = with(support::entra_document(segment), &json!({ "issuer": format!("{LOGIN}/{issuer}/v2.0") }));
        stage.answer_json(&support::discovery_url(&format!("{LOGIN}/{segment}/v2.0")), &document);
        let keys = support::key_set(&[(support::KID, support::Key::Provider)]);
        stage.answer_json(&format!("{LOGIN}/{segment}/discovery/v2.0/keys"), &keys);
    }
    stage
}

#[test]
fn personal_accounts_and_further_addresses_are_never_linked_by_themselves() {
    let consumers = json!({
        "base_url": format!("{LOGIN}/consumers/v2.0"), "tenant": null, "personal_accounts": true,
        "linking": { "existing": "verified_email", "verified_domains": ["contoso.example"] },
    });
    let claims = json!({ "tid": MSA, "iss": format!("{LOGIN}/{MSA}/v2.0"), "xms_edov": true });
    let completion = sign_in(with_template(), &consumers, &claims).unwrap();
    assert_eq!(completion.identity.account, AccountKind::Personal);
    assert_eq!(decision(&completion.email_linking).0, "needs approval");

    // People may add to otherMails what they like.
    let user = format!("{GRAPH}/v1.0/users/{OID}");
    for (property, expected) in [("mail", "allowed"), ("otherMails", "needs approval")] {
        let stage = Stage::microsoft();
        stage.answer_json(
            &user,
            &json!({ "id": OID, "mail": "ada@contoso.example", "otherMails": ["victim@contoso.example"] }),
        );
        let configuration = json!({
            "claims": { "email": [format!("graph:{property}")] },
            "linking": { "existing": "verified_email", "verified_domains": ["contoso.example"] },
        });
        let completion = sign_in(stage, &configuration, &json!({ "xms_edov": true })).unwrap();
        assert_eq!(decision(&completion.email_linking).0, expected, "{property}");
        assert_eq!(completion.identity.email_verified, None, "{property}: xms_edov speaks of the token's address");
    }
}

#[test]
fn any_other_provider_is_one_issuer() {
    let by_email = json!({ "linking": { "existing": "verified_email" } });
    for (name, claims, expected) in [
        ("verified", json!({}), "allowed"),
        ("not verified", json!({ "email_verified": false }), "needs approval"),
        ("nothing said", json!({ "email_verified": null }), "needs approval"),
    ] {
        let completion = sign_in(Stage::oidc(), &by_email, &claims).unwrap();
        assert_eq!(decision(&completion.email_linking).0, expected, "{name}");
    }
}

/// V1 and V2: the same address in other hands is another key, and nothing is linked; a changed address keeps the key.
#[test]
fn addresses_and_keys() {
    let configuration = json!({
        "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null, "allowed_tenants": [TENANT, OTHER_TENANT],
        "linking": { "existing": "verified_email", "verified_domains": ["contoso.example"] },
    });
    let person = |claims: Value| {
        let completion = sign_in(with_template(), &configuration, &claims).unwrap();
        assert_ne!(decision(&completion.email_linking).0, "allowed");
        (completion.identity.tenant_id, completion.identity.object_id)
    };
    let ada = person(json!({}));
    let evil_oid = "00000000-0000-4000-8000-00000000eeee";
    let other_tenant = json!({ "tid": OTHER_TENANT, "iss": format!("{LOGIN}/{OTHER_TENANT}/v2.0"), "xms_edov": true });
    for (name, claims, same) in [
        ("the address changed", json!({ "email": "married@contoso.example" }), true),
        ("the login name changed", json!({ "preferred_username": "new@contoso.example" }), true),
        ("somebody else got the address", json!({ "oid": evil_oid }), false),
        ("somebody of another tenant says the address", with(other_tenant.clone(), &json!({ "oid": evil_oid })), false),
        ("the same oid of another tenant", other_tenant, false),
    ] {
        assert_eq!(person(claims) == ada, same, "{name}");
    }
}

/// Names are shown and never decide: the configuration's go before the directory's, and two groups may share one (V21).
#[test]
fn names_of_groups() {
    let stage = Stage::microsoft();
    let (third, url) = ("44444444-4444-4444-8444-000000000003", format!("{GRAPH}/v1.0/directoryObjects/getByIds"));
    let object =
        |id: &str, name: &str| json!({ "@odata.type": "#microsoft.graph.group", "id": id, "displayName": name });
    stage.answer_json(&url, &json!({ "value": [object(ADMINS, "Everybody"), object(third, "VPN")] }));
    let configuration = json!({ "groups": {
        "source": "claim", "names_from": "directory", "names": { STAFF: "VPN", ADMINS.to_uppercase(): "Administrators" },
    } });
    let completion = sign_in(stage, &configuration, &member_of(&[STAFF, ADMINS, third])).unwrap();
    let Groups::Known(groups) = completion.identity.groups else { panic!("unknown") };
    let found: Vec<(&str, Option<&str>)> =
        groups.iter().map(|group| (group.id.as_str(), group.name.as_deref())).collect();
    assert_eq!(found, [(STAFF, Some("VPN")), (ADMINS, Some("Administrators")), (third, Some("VPN"))]);
}

/// V20, found by fuzzing: a rule that forbids a group may read it by another way than its name.
#[test]
fn groups_that_a_rule_reads_in_a_roundabout_way() {
    let by_claim = || {
        json!({
            "groups": { "source": "claim", "claim": "roles", "overage": "unknown" },
            "policy": { "rules": [{ "name": "the rule", "require": "!contains(claims.roles || `[]`, 'blocked')" }] },
        })
    };
    let by_attribute = || {
        json!({
            "groups": { "source": "claim", "overage": "unknown" },
            "claims": { "attributes": { "blocked": ["jmespath:to_string(contains(groups || `[]`, 'blocked'))"] } },
            "policy": { "rules": [{ "name": "the rule", "require": "attributes.blocked != 'true'" }] },
        })
    };
    let elsewhere = |claim: &str| json!({ "_claim_names": { claim: "src1" }, "_claim_sources": { "src1": {} } });
    #[rustfmt::skip]
    let table = [
        ("a claim of another name: in it", by_claim(), json!({ "roles": ["blocked"] }), "policy_refused"),
        ("a claim of another name: not in it", by_claim(), json!({ "roles": ["staff"] }), "ok"),
        ("a claim of another name: overage", by_claim(), elsewhere("roles"), "groups_unknown"),
        ("an attribute: in it", by_attribute(), json!({ "groups": ["blocked"] }), "policy_refused"),
        ("an attribute: not in it", by_attribute(), json!({ "groups": ["staff"] }), "ok"),
        ("an attribute: overage", by_attribute(), elsewhere("groups"), "groups_unknown"),
    ];
    for (name, configuration, claims, code) in table {
        let (found, detail) = verdict(&sign_in(Stage::microsoft(), &configuration, &claims));
        assert_eq!(found, code, "{name}: {detail}");
    }
}
