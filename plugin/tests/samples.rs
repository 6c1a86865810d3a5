//! Samples of a configuration, and previews: claims that somebody wrote down, played through account rules, mapping, policy
//! and linking without a provider. A sample that comes out differently than it should is an error of the configuration.
#![expect(clippy::panic, reason = "in a helper of these tests, where it fails the test")]

mod support;

use openid::claims::account::AccountKind;
use openid::claims::groups::Groups;
use openid::claims::preview::{Preview, PreviewError, preview};
use openid::configuration::{Problem, Severity, parse, validate};
use openid::login::trace::Verdict;
use openid::policy::linking::EmailLinking;
use serde_json::{Value, json};
use support::{GRAPH, LOGIN, MSA, OID, OTHER_TENANT, Stage, TENANT, with};

const STAFF: &str = "44444444-4444-4444-8444-000000000001";
const ADMINS: &str = "44444444-4444-4444-8444-000000000002";

fn microsoft() -> Value {
    Stage::microsoft().provider
}

fn oidc() -> Value {
    Stage::oidc().provider
}

fn claims() -> Value {
    json!({ "email": "ada@contoso.example", "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace" })
}

/// A sample of these keys, of Ada otherwise.
fn sample(keys: &Value) -> Value {
    with(json!({ "name": "Ada", "claims": claims() }), keys)
}

fn problems(provider: &Value, samples: &Value) -> Vec<Problem> {
    validate(&with(provider.clone(), &json!({ "sample": samples })).to_string())
}

/// Name, provider, the sample's keys; the path of its one problem and a part of what is told.
type Row<'a> = (&'a str, Value, Value, Option<(&'a str, &'a str)>);

/// What each expectation is compared with. Where a part of a message is given, it is the one problem.
#[test]
fn expectations() {
    let staff_only = || {
        with(
            microsoft(),
            &json!({
                "policy": { "rules": [{ "name": "staff only", "require": format!("contains(groups, '{STAFF}')") }], "allowed_domains": ["contoso.example"] },
                "groups": { "source": "directory", "names": { STAFF: "Staff" } },
                "linking": { "existing": "verified_email" },
            }),
        )
    };
    let attributes = || {
        with(
            microsoft(),
            &json!({ "claims": { "attributes": { "department": ["graph:department"], "team": ["team"] } } }),
        )
    };
    let expect = |expectations: Value| json!({ "expect": expectations });
    let in_staff = |expectations: Value| json!({ "groups": [STAFF], "expect": expectations });
    #[rustfmt::skip]
    let table: Vec<Row<'_>> = vec![
        // it comes out as it should
        ("the address", microsoft(), expect(json!({ "email": "ada@contoso.example" })), None),
        ("every name", microsoft(), expect(json!({ "username": "adacontoso.example", "given_name": "Ada", "family_name": "Lovelace", "display_name": "Ada Lovelace" })), None),
        ("verified", microsoft(), json!({ "claims": with(claims(), &json!({ "xms_edov": true })), "expect": { "email_verified": true } }), None),
        ("said not to be", microsoft(), json!({ "claims": with(claims(), &json!({ "xms_edov": "0" })), "expect": { "email_verified": false } }), None),
        ("a member", microsoft(), expect(json!({ "account": "member" })), None),
        ("a guest is refused", microsoft(), json!({ "claims": with(claims(), &json!({ "acct": 1 })), "expect": { "refused": "guest_not_allowed", "account": "guest", "email": "ada@contoso.example" } }), None),
        ("a guest is let in", with(microsoft(), &json!({ "guests": true })), json!({ "claims": with(claims(), &json!({ "acct": 1 })), "expect": { "account": "guest" } }), None),
        ("another tenant", microsoft(), json!({ "claims": with(claims(), &json!({ "tid": OTHER_TENANT })), "expect": { "refused": "tenant_not_allowed" } }), None),
        ("a personal account", microsoft(), json!({ "claims": with(claims(), &json!({ "tid": MSA })), "expect": { "refused": "tenant_not_allowed", "account": "personal" } }), None),
        ("no address", microsoft(), json!({ "claims": { "name": "Ada" }, "expect": { "refused": "email_missing" } }), None),
        ("the directory's address", with(microsoft(), &json!({ "claims": { "email": ["graph:mail"] } })), json!({ "directory": { "mail": "mail@contoso.example" }, "expect": { "email": "mail@contoso.example" } }), None),
        ("userinfo's address", oidc(), json!({ "claims": {}, "userinfo": { "email": "info@acme.example" }, "expect": { "email": "info@acme.example", "account": "unknown" } }), None),
        ("groups of the directory", staff_only(), in_staff(json!({ "groups": [STAFF], "email_linking": "needs_approval" })), None),
        ("the rule says no", staff_only(), json!({ "groups": [ADMINS], "expect": { "refused": "policy_refused", "groups": [ADMINS] } }), None),
        ("groups unknown", staff_only(), json!({ "groups_unknown": "403", "expect": { "refused": "groups_unknown" } }), None),
        ("groups not stated are unknown", staff_only(), expect(json!({ "refused": "groups_unknown" })), None),
        ("linked", staff_only(), json!({ "groups": [STAFF], "claims": with(claims(), &json!({ "xms_edov": true })), "expect": { "email_linking": "allowed" } }), None),
        ("some attributes of all", attributes(), json!({ "directory": { "department": "R&D" }, "claims": with(claims(), &json!({ "team": "x" })), "expect": { "attributes": { "department": "R&D" } } }), None),
        // it doesn't
        ("another address", microsoft(), expect(json!({ "email": "eve@contoso.example" })), Some(("sample.1.expect.email", "\"Ada\": expected \"eve@contoso.example\", found \"ada@contoso.example\""))),
        ("another user name", microsoft(), expect(json!({ "username": "ada" })), Some(("sample.1.expect.username", "found \"adacontoso.example\""))),
        ("nothing said of the address", microsoft(), expect(json!({ "email_verified": true })), Some(("sample.1.expect.email_verified", "expected true, found nothing"))),
        ("no phone number", microsoft(), expect(json!({ "phone": "1" })), Some(("sample.1.expect.phone", "found nothing"))),
        ("not a guest", microsoft(), expect(json!({ "account": "guest" })), Some(("sample.1.expect.account", "found \"member\""))),
        ("refused, though nobody said so", staff_only(), json!({ "groups": [ADMINS], "expect": { "email": "ada@contoso.example" } }), Some(("sample.1.expect.refused", "expected to be let in, found \"policy_refused\": policy.rule: rule \"staff only\" doesn't hold"))),
        ("let in, though it shouldn't", microsoft(), expect(json!({ "refused": "guest_not_allowed" })), Some(("sample.1.expect.refused", "found nobody refused"))),
        ("refused for another reason", staff_only(), json!({ "groups": [ADMINS], "expect": { "refused": "domain_not_allowed" } }), Some(("sample.1.expect.refused", "expected \"domain_not_allowed\", found \"policy_refused\""))),
        ("other groups", staff_only(), json!({ "groups": [STAFF, ADMINS], "expect": { "groups": [STAFF] } }), Some(("sample.1.expect.groups", ADMINS))),
        ("groups that nobody asks for", microsoft(), json!({ "groups": [STAFF], "expect": { "groups": [STAFF] } }), Some(("sample.1.expect.groups", "groups.source"))),
        ("not linked", staff_only(), in_staff(json!({ "email_linking": "allowed" })), Some(("sample.1.expect.email_linking", "found \"needs_approval\""))),
        ("another attribute", attributes(), json!({ "directory": { "department": "R&D" }, "expect": { "attributes": { "department": "IT" } } }), Some(("sample.1.expect.attributes", "department: expected \"IT\", found \"R&D\""))),
        ("userinfo that a sign-in doesn't ask for", oidc(), json!({ "claims": with(claims(), &json!({ "preferred_username": "ada" })), "userinfo": { "phone_number": "1" }, "expect": { "phone": "1" } }), Some(("sample.1.expect.phone", "found nothing"))),
    ];
    for (name, provider, keys, expected) in table {
        let found = problems(&provider, &json!([sample(&keys)]));
        match expected {
            None => assert!(found.is_empty(), "{name}: {found:#?}"),
            Some((path, part)) => {
                let [problem] = found.as_slice() else { panic!("{name}: {found:#?}") };
                assert_eq!((problem.path.as_str(), problem.severity), (path, Severity::Error), "{name}: {problem:?}");
                assert!(format!("{} {}", problem.message, problem.hint).contains(part), "{name}: {problem:?}");
            }
        }
    }
}

#[test]
fn mistakes_in_samples() {
    let good = || json!({ "email": "ada@contoso.example" });
    let expect = |expectations: Value| json!([sample(&json!({ "expect": expectations }))]);
    let one = |keys: Value| json!([with(sample(&json!({ "expect": good() })), &keys)]);
    let many = || Value::Array(vec![sample(&json!({ "expect": good() })); 65]);
    let large = || with(claims(), &json!({ "x": "x".repeat(33 << 10) }));
    // Name, kind is Entra, samples, path, a part of the message or hint.
    #[rustfmt::skip]
    let table: Vec<(&str, bool, Value, &str, &str)> = vec![
        ("not a list", true, sample(&json!({ "expect": good() })), "sample", "list of tables"),
        ("not tables", true, json!(["x"]), "sample", "list of tables"),
        ("65 of them", true, many(), "sample", "at most 64"),
        ("too large", true, one(json!({ "claims": large() })), "sample.1", "at most 32768"),
        ("no name", true, one(json!({ "name": null })), "sample.1.name", "missing"),
        ("a name of spaces", true, one(json!({ "name": " " })), "sample.1.name", "missing"),
        ("no claims", true, one(json!({ "claims": null })), "sample.1.claims", "missing"),
        ("claims as a text", true, one(json!({ "claims": "x" })), "sample.1.claims", "a table"),
        ("a directory as a list", true, one(json!({ "directory": [] })), "sample.1.directory", "a table"),
        ("an unknown key", true, one(json!({ "claim": {} })), "sample.1.claim", "known here"),
        ("nothing expected", true, one(json!({ "expect": null })), "sample.1.expect", "nothing is expected"),
        ("an empty expectation", true, expect(json!({})), "sample.1.expect", "nothing is expected"),
        ("an unknown expectation", true, expect(json!({ "mail": "x" })), "sample.1.expect.mail", "known here"),
        ("a number for an address", true, expect(json!({ "email": 5 })), "sample.1.expect.email", "a text"),
        ("a text for a truth", true, expect(json!({ "email_verified": "yes" })), "sample.1.expect.email_verified", "true or false"),
        ("an account that there isn't", true, expect(json!({ "account": "admin" })), "sample.1.expect.account", "member, guest"),
        ("a linking that there isn't", true, expect(json!({ "email_linking": "yes" })), "sample.1.expect.email_linking", "needs_approval"),
        ("a code that there isn't", true, expect(json!({ "refused": "because" })), "sample.1.expect.refused", "docs/refusals.md"),
        ("refused as a truth", true, expect(json!({ "refused": true })), "sample.1.expect.refused", "docs/refusals.md"),
        ("groups as a text", true, expect(json!({ "groups": STAFF })), "sample.1.expect.groups", "list of identifiers"),
        ("attributes as a list", true, expect(json!({ "attributes": [] })), "sample.1.expect.attributes", "name"),
        ("a tenant that is none", true, one(json!({ "claims": { "tid": "contoso" } })), "sample.1.claims.tid", "a GUID"),
        ("an object that is none", true, one(json!({ "claims": { "oid": 5 } })), "sample.1.claims.oid", "a GUID"),
        ("a subject that is none", true, one(json!({ "claims": { "sub": [] } })), "sample.1.claims.sub", "a text"),
        ("groups of numbers", true, one(json!({ "groups": [1] })), "sample.1.groups", "list of identifiers"),
        ("an empty group", true, one(json!({ "groups": [""] })), "sample.1.groups", "1 to 256 bytes"),
        ("groups both known and unknown", true, one(json!({ "groups": [STAFF], "groups_unknown": "x" })), "sample.1.groups", "one or the other"),
        ("unknown without a reason", true, one(json!({ "groups_unknown": true })), "sample.1.groups_unknown", "a text"),
        ("a directory's groups where there is none", false, one(json!({ "groups": ["staff"] })), "sample.1.groups", "state the claim \"groups\""),
        ("the second of two", true, json!([sample(&json!({ "expect": good() })), sample(&json!({ "expect": { "email": "x" } }))]), "sample.2.expect.email", "expected \"x\""),
    ];
    for (name, entra, samples, path, part) in table {
        let provider = if entra { microsoft() } else { with(oidc(), &json!({ "groups": { "source": "claim" } })) };
        let found = problems(&provider, &samples);
        let told = |problem: &Problem| format!("{} {}", problem.message, problem.hint).contains(part);
        let problem = found.iter().find(|problem| problem.path == path && told(problem));
        assert!(problem.is_some_and(|problem| problem.severity == Severity::Error), "{name}: {found:#?}");
    }
}

/// A sign-in doesn't run samples: what is wrong with them keeps a configuration from being loaded, not a person from getting
/// in with the one that is loaded.
#[test]
fn samples_are_for_validation() {
    let configuration = with(microsoft(), &json!({ "sample": [sample(&json!({ "expect": { "email": "x" } }))] }));
    assert_eq!(validate(&configuration.to_string()).len(), 1);
    assert!(parse(&configuration.to_string()).is_ok());
    // With another mistake there is no provider to run them with.
    let configuration = with(configuration, &json!({ "client_id": 5 })).to_string();
    let found: Vec<String> = validate(&configuration).into_iter().map(|problem| problem.path).collect();
    assert_eq!(found, ["client_id"]);
}

fn preview_of(provider: &Value, input: &Value) -> Preview {
    preview(&provider.to_string(), &input.to_string()).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn previews_of_both_forms() {
    let provider = with(microsoft(), &json!({ "claims": { "attributes": { "team": ["team"] } } }));
    let claims = with(claims(), &json!({ "team": "x", "xms_edov": true, "mobile": "1" }));
    let bare = preview_of(&provider, &claims);
    let wrapped = preview_of(&provider, &json!({ "claims": claims }));
    assert_eq!(bare, wrapped);
    let fields = bare.fields();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        fields,
        [
            ("username", "adacontoso.example"),
            ("email", "ada@contoso.example"),
            ("email_verified", "true"),
            ("given_name", "Ada"),
            ("family_name", "Lovelace"),
            ("display_name", "Ada Lovelace"),
            ("attributes.team", "x"),
        ]
    );
    assert_eq!((bare.account, &bare.groups, &bare.refusal), (AccountKind::Member, &Groups::NotRequested, &None));
    assert!(matches!(bare.email_linking, Some(EmailLinking::NeedsApproval(_))));
    assert!(bare.checks.iter().all(|check| check.verdict != Verdict::Fail));
}

/// What the mapping gave is seen even if somebody isn't let in; the trace ends where a sign-in would have.
#[test]
fn previews_of_the_refused() {
    let denied = json!({ "policy": { "allowed_domains": ["fabrikam.example"], "rules": [{ "name": "a", "require": "`true`" }] } });
    // Name, configuration, claims, code, whether fields are mapped, the last check.
    #[rustfmt::skip]
    let table: Vec<(&str, Value, Value, &str, bool, &str)> = vec![
        ("by the policy", denied, claims(), "domain_not_allowed", true, "policy.allowed_domains"),
        ("a guest", json!({}), with(claims(), &json!({ "idp": "live.com" })), "guest_not_allowed", true, "account.kind"),
        ("another tenant", json!({}), with(claims(), &json!({ "tid": OTHER_TENANT })), "tenant_not_allowed", true, "id_token.tenant"),
        ("without an address", json!({}), json!({ "name": "Ada" }), "email_missing", false, "claims.email"),
        ("with two @", json!({}), json!({ "email": "a@b@c" }), "email_invalid", false, "claims.email"),
        ("a guest without an address", json!({}), json!({ "acct": 1 }), "guest_not_allowed", false, "account.kind"),
    ];
    for (name, configuration, claims, code, mapped, check) in table {
        let preview = preview_of(&with(microsoft(), &configuration), &claims);
        assert_eq!(preview.refusal.as_ref().map(|refusal| refusal.rule.code), Some(code), "{name}");
        assert_eq!((preview.mapped.is_some(), !preview.fields().is_empty()), (mapped, mapped), "{name}");
        assert_eq!(preview.email_linking.is_some(), mapped, "{name}");
        let last = preview.checks.last().map(|check| (check.name, check.verdict));
        assert_eq!(last, Some((check, Verdict::Fail)), "{name}: {:?}", preview.checks);
        let failed = preview.checks.iter().filter(|check| check.verdict == Verdict::Fail).count();
        assert_eq!(failed, 1, "{name}: {:?}", preview.checks);
    }
}

#[test]
fn previews_with_groups() {
    let provider = with(microsoft(), &json!({ "groups": { "source": "claim", "names": { STAFF: "Staff" } } }));
    let input = |groups: Value| json!({ "claims": claims(), "groups": groups });
    let ids = |preview: Preview| match preview.groups {
        Groups::Known(groups) => groups.into_iter().map(|group| (group.id, group.name)).collect(),
        other => vec![(format!("{other:?}"), None)],
    };
    let known = |id: &str, name: Option<&str>| (id.to_owned(), name.map(str::to_owned));
    assert_eq!(
        ids(preview_of(&provider, &input(json!([STAFF, ADMINS])))),
        [known(STAFF, Some("Staff")), known(ADMINS, None)]
    );
    assert_eq!(ids(preview_of(&provider, &input(json!([])))), []);
    let in_the_token = json!({ "claims": with(claims(), &json!({ "groups": [ADMINS] })), "groups": [STAFF] });
    assert_eq!(
        ids(preview_of(&provider, &in_the_token)),
        [known(ADMINS, None)],
        "the token's go before the directory's"
    );
    for (name, input) in [("null", input(Value::Null)), ("nothing", claims())] {
        assert!(matches!(preview_of(&provider, &input).groups, Groups::Unknown(_)), "{name}");
    }
    assert_eq!(preview_of(&microsoft(), &input(json!([STAFF]))).groups, Groups::NotRequested);
}

/// The steps are those of a sign-in: the same claims come to the same fields, groups and decisions.
#[test]
fn a_preview_says_what_a_sign_in_does() {
    let keys = json!({
        "claims": { "email": ["jmespath:mails[0]", "graph:mail"], "username": ["graph:mail"], "transforms": { "username": ["before:@"] },
            "attributes": { "department": ["graph:department"] } },
        "policy": { "rules": [{ "name": "a", "require": "directory.department == 'R&D'" }], "allowed_groups": [STAFF] },
        "linking": { "existing": "verified_email", "verified_domains": ["contoso.example"] },
    });
    let user = json!({ "id": OID, "mail": "ada.mail@contoso.example", "department": "R&D" });
    for (name, claims) in [
        ("let in", json!({ "groups": [STAFF] })),
        ("by an expression", json!({ "groups": [STAFF], "mails": ["ada@mails.example"] })),
        ("not a member", json!({ "groups": [ADMINS] })),
        ("a guest", json!({ "groups": [STAFF], "acct": 1 })),
        ("groups elsewhere", json!({ "hasgroups": true })),
    ] {
        let mut stage = Stage::microsoft();
        stage.configure(&keys);
        stage.claim(&claims);
        stage.answer_json(&format!("{GRAPH}/v1.0/users/{OID}"), &user);
        stage.answer_json(&format!("{GRAPH}/v1.0/users/{OID}/getMemberGroups"), &json!({ "value": [STAFF] }));
        let outcome = stage.sign_in();
        let input = json!({ "claims": *stage.claims.borrow(), "directory": user, "groups": [STAFF] });
        let preview = preview_of(&stage.provider, &input);
        match outcome {
            Ok(completion) => {
                let identity = completion.identity;
                assert_eq!(preview.refusal, None, "{name}");
                let mapped = preview.mapped.unwrap();
                assert_eq!(
                    (mapped.email, mapped.username, mapped.attributes),
                    (identity.email, identity.username, identity.attributes),
                    "{name}"
                );
                assert_eq!((preview.groups, preview.account), (identity.groups, identity.account), "{name}");
                assert_eq!(preview.email_linking, Some(completion.email_linking), "{name}");
            }
            Err((refusal, checks)) => {
                assert_eq!(preview.refusal.as_ref(), Some(&refusal), "{name}");
                assert_eq!(preview.checks.last(), checks.last(), "{name}");
            }
        }
    }
}

#[test]
fn inputs_that_are_none() {
    let (path, part) = ("input", "not JSON");
    let large = json!({ "x": "x".repeat(65 << 10) }).to_string();
    // Name, input, path, a part of the message.
    #[rustfmt::skip]
    let table: Vec<(&str, String, &str, &str)> = vec![
        ("nothing", String::new(), path, part),
        ("half", "{".into(), path, part),
        ("a list", "[]".into(), path, "not a JSON object"),
        ("a doubled claim", "{\"email\": \"a\", \"email\": \"b\"}".into(), path, "doubled"),
        ("too large", large, path, "at most 65536"),
        ("an unknown document", json!({ "claims": {}, "user": {} }).to_string(), "input.user", "there may be claims, userinfo"),
        ("groups as a text", json!({ "claims": {}, "groups": "x" }).to_string(), "input.groups", "list of identifiers"),
        ("a tenant that is none", json!({ "tid": "x" }).to_string(), "input.claims.tid", "a GUID"),
    ];
    for (name, input, path, part) in table {
        let error = preview(&microsoft().to_string(), &input).err().unwrap_or_else(|| panic!("{name}: read"));
        assert!(matches!(error, PreviewError::Input(_)), "{name}: {error:?}");
        let problem = error.into_problem();
        assert!(problem.path == path && problem.message.contains(part), "{name}: {problem:?}");
    }
    let error = preview(&with(microsoft(), &json!({ "client_id": 5 })).to_string(), "{}").err();
    assert!(matches!(&error, Some(PreviewError::Configuration(problem)) if problem.path == "client_id"), "{error:?}");
}

/// What isn't stated is made up by the configuration, and what is stated stays.
#[test]
fn what_is_made_up() {
    let rule = |require: &str| json!({ "policy": { "rules": [{ "name": "a", "require": require }] } });
    let several = json!({ "base_url": format!("{LOGIN}/organizations/v2.0"), "tenant": null, "allowed_tenants": [OTHER_TENANT, TENANT] });
    let domain = json!({ "tenant": "contoso.example" });
    let issuer =
        |tenant: &str| format!("issuer == '{LOGIN}/{tenant}/v2.0' && tenant_id == '{tenant}' && subject == 'sample'");
    let stated = format!("issuer == 'https://x.example' && subject == 'ada' && object_id == '{OID}'");
    #[rustfmt::skip]
    let table: Vec<(&str, Value, String, Value)> = vec![
        ("a tenant", microsoft(), issuer(TENANT), json!({})),
        ("the first of several", with(microsoft(), &several), issuer(OTHER_TENANT), json!({})),
        ("the one of several that is stated", with(microsoft(), &several), issuer(TENANT), json!({ "tid": TENANT })),
        ("a domain's", with(microsoft(), &domain), issuer("00000000-0000-4000-8000-000000000000"), json!({})),
        ("any provider", oidc(), format!("issuer == '{}' && tenant_id == `null` && claims.aud == '{}'", support::ISSUER, support::CLIENT_ID), json!({})),
        ("what is stated", microsoft(), stated, json!({ "iss": "https://x.example", "sub": "ada", "oid": OID.to_uppercase() })),
    ];
    for (name, provider, require, changes) in table {
        let preview = preview_of(&with(provider, &rule(&require)), &with(claims(), &changes));
        assert_eq!(preview.refusal, None, "{name}");
    }
}
