//! The playground's functions say of a text exactly what `validate` and `preview` say of the JSON that the host makes of it,
//! and add lines, samples, and the decoding of a pasted token.
#![expect(clippy::unwrap_used, clippy::type_complexity, reason = "a test may fail by it; tables")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openid::claims::preview::{self, PreviewError};
use openid::configuration::{Severity, validate};
use openid::playground::{self, Check, InputKind, Played, ProblemReport};
use serde_json::{Value, json};
use support::{MSA, OID, OTHER_TENANT, Stage, TENANT, id_token, with};

const STAFF: &str = "44444444-4444-4444-8444-000000000001";

fn microsoft() -> Value {
    Stage::microsoft().provider
}

fn oidc() -> Value {
    Stage::oidc().provider
}

fn claims() -> Value {
    json!({ "email": "ada@contoso.example", "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace" })
}

/// A provider as an administrator writes it: with a credential, and without what the host adds.
fn text(provider: &Value) -> String {
    let mut table =
        with(provider.clone(), &json!({ "client_secret_file": "secret", "allowed_origins": ["https://x.example"] }));
    let object = table.as_object_mut().unwrap();
    object.remove("development_loopback");
    toml::to_string(&json!({ "public_url": "https://enroll.example", "provider": [table] })).unwrap()
}

/// A provider as the host hands it to the component.
fn handed(provider: &Value) -> String {
    let kind = &provider["kind"];
    let name = if kind == "microsoft" { "Sign in with Microsoft" } else { "Sign in with OpenID" };
    with(json!({ "display_name": name }), &with(provider.clone(), &json!({ "development_loopback": false })))
        .to_string()
}

fn play(provider: &Value, input: &str) -> Result<Played, ProblemReport> {
    playground::preview(&text(provider), 0, input)
}

/// Severity, path, message and hint: all but the line.
fn told(problems: &[ProblemReport]) -> Vec<(&str, &str, &str, &str)> {
    problems
        .iter()
        .map(|problem| (problem.severity, problem.path.as_str(), problem.message.as_str(), problem.hint.as_str()))
        .collect()
}

fn providers() -> Vec<(&'static str, Value)> {
    let rule =
        |require: &str| json!({ "policy": { "rules": [{ "name": "r", "require": require, "message": "Ask." }] } });
    let sample = |expect: Value| json!({ "sample": [{ "name": "s", "claims": claims(), "expect": expect }] });
    vec![
        ("plain", microsoft()),
        ("any provider", oidc()),
        ("guests are let in", with(microsoft(), &json!({ "guests": true }))),
        (
            "groups of the token",
            with(microsoft(), &json!({ "groups": { "source": "claim", "names": { STAFF: "Staff" } } })),
        ),
        ("a rule", with(microsoft(), &rule(&format!("contains(groups, '{STAFF}')")))),
        ("a rule that can't be evaluated", with(microsoft(), &rule("contains(attributes.x, 'y')"))),
        ("domains", with(oidc(), &json!({ "policy": { "allowed_domains": ["contoso.example"] } }))),
        (
            "transforms and attributes",
            with(
                microsoft(),
                &json!({ "claims": { "transforms": { "username": ["before:@", "uppercase"] }, "attributes": { "department": ["graph:department"] } } }),
            ),
        ),
        (
            "linking",
            with(
                microsoft(),
                &json!({ "linking": { "existing": "verified_email", "verified_domains": ["contoso.example"] } }),
            ),
        ),
        ("a label", with(oidc(), &json!({ "display_name": "Go" }))),
        ("a good sample", with(microsoft(), &sample(json!({ "given_name": "Ada" })))),
        ("a sample that fails", with(microsoft(), &sample(json!({ "given_name": "Eve" })))),
        ("an unknown key", with(microsoft(), &json!({ "clientid": "x" }))),
        ("a broken expression", with(microsoft(), &rule("contains(groups"))),
        ("no kind", with(microsoft(), &json!({ "kind": "google" }))),
        ("a warning", with(microsoft(), &json!({ "client_id": format!("{} ", support::CLIENT_ID) }))),
        (
            "everything wrong",
            json!({ "id": "x", "kind": "oidc", "base_url": 5, "prompt": "always", "scopes": ["email"], "sample": "x" }),
        ),
    ]
}

#[test]
fn it_says_of_a_configuration_what_validate_says() {
    for (name, provider) in providers() {
        let Check { providers, usable, problems, .. } = playground::check(&text(&provider), 0);
        let expected = validate(&handed(&provider));
        let expected_words: Vec<_> = expected
            .iter()
            .map(|problem| {
                let severity = if problem.severity == Severity::Error { "error" } else { "warning" };
                (severity, problem.path.as_str(), problem.message.as_str(), problem.hint.as_str())
            })
            .collect();
        assert_eq!(told(&problems), expected_words, "{name}");
        assert_eq!(usable, expected.iter().all(|problem| problem.severity != Severity::Error), "{name}");
        assert_eq!(providers, [provider["id"].as_str().unwrap()], "{name}");
        assert!(problems.iter().all(|problem| problem.line.is_some()), "{name}: {problems:#?}");
    }
}

#[test]
fn it_says_of_claims_what_preview_says() {
    let inputs = [
        ("a member", with(claims(), &json!({ "acct": 0, "groups": [STAFF] }))),
        ("a guest", with(claims(), &json!({ "acct": 1 }))),
        ("a personal account", with(claims(), &json!({ "tid": MSA }))),
        ("another tenant", with(claims(), &json!({ "tid": OTHER_TENANT }))),
        ("too many groups", with(claims(), &json!({ "_claim_names": { "groups": "src1" } }))),
        ("no address", json!({ "name": "Ada" })),
        ("nothing", json!({})),
        (
            "documents",
            json!({ "claims": claims(), "userinfo": { "phone_number": "1" }, "directory": { "department": "R&D" } }),
        ),
        (
            "groups of the directory",
            json!({ "claims": with(claims(), &json!({ "hasgroups": true })), "groups": [STAFF] }),
        ),
        ("groups unknown", json!({ "claims": claims(), "groups_unknown": "403" })),
        ("an identifier that is none", json!({ "oid": "x" })),
    ];
    for (name, provider) in providers() {
        for (person, input) in &inputs {
            let name = format!("{name}, {person}");
            let found = play(&provider, &input.to_string());
            match preview::preview(&handed(&provider), &input.to_string()) {
                Err(error) => {
                    let problem = found.err().unwrap_or_else(|| panic!("{name}: it is played"));
                    let is_configuration = matches!(error, PreviewError::Configuration(_));
                    assert_eq!(problem.line.is_some(), is_configuration, "{name}: {problem:?}");
                    let expected = error.into_problem();
                    assert_eq!(
                        (problem.path, problem.message, problem.hint),
                        (expected.path, expected.message, expected.hint),
                        "{name}"
                    );
                }
                Ok(expected) => {
                    let played = found.unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
                    assert_eq!((played.input, played.header), (InputKind::Json, None), "{name}");
                    let found = played.preview;
                    assert_eq!(&found.claims, input, "{name}");
                    let mapped: Vec<(String, Value)> =
                        expected.fields().into_iter().map(|(field, value)| (field, value.into())).collect();
                    assert_eq!(found.mapped, mapped.into_iter().collect(), "{name}");
                    assert_eq!(found.account, expected.account.as_str(), "{name}");
                    assert_eq!(found.outcome, if expected.refusal.is_some() { "refused" } else { "let_in" }, "{name}");
                    let refusal = found.refusal.map(|refusal| (refusal.code, refusal.message, refusal.hint));
                    let expected_refusal = expected.refusal.map(|refusal| {
                        (refusal.rule.code, refusal.message().to_owned(), refusal.admin_hint().to_owned())
                    });
                    assert_eq!(refusal, expected_refusal, "{name}");
                    let checks: Vec<_> = found.checks.into_iter().map(|check| (check.name, check.detail)).collect();
                    let expected_checks: Vec<_> =
                        expected.checks.into_iter().map(|check| (check.name, check.detail)).collect();
                    assert_eq!(checks, expected_checks, "{name}");
                }
            }
        }
    }
}

/// The form that the page, and whoever compares it with `map --json`, relies on.
#[test]
fn the_form_of_an_answer() {
    let provider = with(
        microsoft(),
        &json!({ "groups": { "source": "claim", "names": { STAFF: "Staff" } }, "policy": { "allowed_groups": [STAFF] } }),
    );
    let answer = |input: Value| serde_json::to_value(play(&provider, &input.to_string()).unwrap()).unwrap();
    let good = answer(with(claims(), &json!({ "groups": [STAFF, OID] })));
    assert_eq!(good["input"], "json");
    assert_eq!(
        good["preview"]["groups"],
        json!({ "state": "known", "groups": [{ "id": OID }, { "id": STAFF, "name": "Staff" }] })
    );
    assert_eq!(good["preview"]["existing_account"], json!(["needs approval", "linking.existing is \"approval\""]));
    assert!(good["preview"].get("refusal").is_none() && good.get("header").is_none(), "{good}");
    assert!(
        good["preview"]["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|check| ["pass", "skip"].contains(&check["verdict"].as_str().unwrap())),
        "{good}"
    );
    let bad = answer(json!({ "claims": claims(), "groups_unknown": "403" }));
    assert_eq!(bad["preview"]["groups"]["state"], "unknown", "{bad}");
    assert_eq!(bad["preview"]["refusal"]["code"], "groups_unknown", "{bad}");
    assert_eq!(bad["preview"]["checks"].as_array().unwrap().last().unwrap()["verdict"], "fail", "{bad}");
}

/// Text, number of the provider; path, line and a part of the message or hint.
#[test]
fn texts_that_have_no_provider_to_look_at() {
    let two = format!("{}\n[[provider]]\nkind = 5\n", text(&microsoft()));
    let large = format!("# {}", "x".repeat(256 << 10));
    #[rustfmt::skip]
    let table: Vec<(&str, &str, usize, &str, Option<usize>, &str)> = vec![
        ("nothing", "", 0, "provider", None, "write [[provider]]"),
        ("not TOML", "[[provider]]\nid = \"x\"\nkind = \n", 0, "TOML", Some(3), "isn't valid TOML"),
        ("a key twice", "[[provider]]\nid = \"x\"\nid = \"y\"\n", 0, "TOML", Some(3), "duplicate"),
        ("one bracket", "\n[provider]\nid = \"x\"\n", 0, "provider", Some(2), "two brackets"),
        ("not tables", "provider = [5]", 0, "provider", Some(1), "expected a table, found integer"),
        ("an empty list", "provider = []", 0, "provider", Some(1), "there are 0"),
        ("a third of two", &two, 2, "provider", Some(3), "there are 2, asked for number 3"),
        ("a number beyond numbers", &two, usize::MAX, "provider", Some(3), "there are 2"),
        ("loopback that is no word", "[[provider]]\nid = \"x\"\n[development]\nloopback_http = 1\n", 0, "development.loopback_http", Some(4), "true or false"),
        ("too large", &large, 0, "", None, "at most 262144 are read"),
    ];
    for (name, text, position, path, line, part) in table {
        let check = playground::check(text, position);
        let [problem] = check.problems.as_slice() else { panic!("{name}: {check:#?}") };
        assert_eq!(
            (problem.path.as_str(), problem.line, problem.severity),
            (path, line, "error"),
            "{name}: {problem:?}"
        );
        assert!(format!("{} {}", problem.message, problem.hint).contains(part), "{name}: {problem:?}");
        assert!(!check.usable && check.samples.is_empty(), "{name}");
        let unplayed =
            playground::preview(text, position, "{}").err().unwrap_or_else(|| panic!("{name}: it is played"));
        assert_eq!(&unplayed, problem, "{name}");
    }
    assert_eq!(playground::check(&two, 2).providers, [microsoft()["id"].as_str().unwrap(), "2."]);
    // Each problem is on its own line, of the provider that is meant.
    let second = playground::check(&two, 1);
    let kind = second.problems.iter().find(|problem| problem.path == "kind").unwrap();
    assert_eq!(kind.line, Some(two.lines().count()), "{kind:?}");
}

/// As the host: of `[development]`, and not by a key of the provider's.
#[test]
fn loopback_is_the_hosts_word() {
    let provider = |more: &str| {
        format!(
            "[[provider]]\nid = \"op\"\nkind = \"oidc\"\nbase_url = \"http://127.0.0.1:9\"\nclient_id = \"x\"\n{more}"
        )
    };
    for (name, more, usable) in [
        ("not said", "", false),
        ("the provider says so", "development_loopback = true\n", false),
        ("it is on", "[development]\nloopback_http = true\n", true),
        ("it is off", "[development]\nloopback_http = false\n", false),
    ] {
        let check = playground::check(&provider(more), 0);
        assert_eq!(check.usable, usable, "{name}: {check:#?}");
    }
}

#[test]
fn samples_are_listed_with_their_verdicts() {
    let text = |kind: &str, more: &str| {
        format!(
            "[[provider]]\nid = \"op\"\nkind = \"{kind}\"\nbase_url = \"https://idp.example\"\nclient_id = \"x\"\n\
             [[provider.sample]]\nname = \"good\"\nclaims = {{ email = \"ada@acme.example\" }}\nexpect = {{ email = \"ada@acme.example\" }}\n\
             [[provider.sample]]\nclaims = {{ email = \"ada@acme.example\" }}\nexpect = {{ email = \"x\" }}\n{more}"
        )
    };
    let verdicts = |text: &str| {
        let samples = playground::check(text, 0).samples;
        samples.into_iter().map(|sample| (sample.name, sample.verdict, sample.line)).collect::<Vec<_>>()
    };
    let found = verdicts(&text("oidc", ""));
    assert_eq!(found, [("good".into(), "pass", Some(6)), ("sample 2".into(), "fail", Some(10))]);
    let found = verdicts(&text("google", ""));
    assert!(found.iter().all(|(_, verdict, _)| *verdict == "skip"), "another error, they aren't run: {found:?}");
    // So many problems that not all are told: a sample without one isn't known to pass.
    let many = "[[provider.sample]]\nname = \"bad\"\nclaims = {}\nexpect = { email = \"x\", username = \"x\", phone = \"x\" }\n".repeat(40);
    let found = verdicts(&text("oidc", &many));
    assert!(found.iter().all(|(_, verdict, _)| ["fail", "skip"].contains(verdict)), "{found:?}");
}

/// A signed token's payload is played as the same claims are; its signature isn't looked at.
#[test]
fn a_token_is_decoded_and_nothing_more() {
    let claims = with(claims(), &json!({ "tid": TENANT, "oid": OID, "sub": "s", "exp": 1 }));
    let token = id_token(&claims);
    let expected = play(&microsoft(), &claims.to_string()).unwrap().preview;
    let (signed, _) = token.rsplit_once('.').unwrap();
    for (name, pasted) in [
        ("as it is", token.clone()),
        ("with white space around it", format!("\n  {token}\t\n")),
        (
            "in lines",
            token
                .as_bytes()
                .chunks(64)
                .map(|line| String::from_utf8(line.to_vec()).unwrap())
                .collect::<Vec<_>>()
                .join("\n"),
        ),
        ("with another signature", format!("{signed}.AAAA")),
        ("without one", format!("{signed}.")),
    ] {
        let played = play(&microsoft(), &pasted).unwrap_or_else(|problem| panic!("{name}: {problem:?}"));
        assert_eq!(played.input, InputKind::UnverifiedToken, "{name}");
        assert_eq!(played.header.unwrap()["alg"], "RS256", "{name}");
        assert_eq!(played.preview, expected, "{name}");
    }
    // A claim of that name doesn't make documents of it.
    let odd = with(claims, &json!({ "claims": { "email": "eve@evil.example" }, "groups": [STAFF] }));
    let played = play(&microsoft(), &id_token(&odd)).unwrap().preview;
    assert_eq!((&played.mapped["email"], &played.claims), (&json!("ada@contoso.example"), &odd));
}

#[test]
fn what_is_neither_claims_nor_a_token() {
    let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (header, payload) = (part(b"{\"alg\":\"none\"}"), part(b"{}"));
    let large = format!("{header}.{}.x", "A".repeat(97 << 10));
    let payload_too_large = format!("{header}.{}.", part(json!({ "x": "x".repeat(65 << 10) }).to_string().as_bytes()));
    #[rustfmt::skip]
    let table: Vec<(&str, String, &str, &str)> = vec![
        ("nothing", " \n".into(), "input", "nothing"),
        ("a word", "token".into(), "input", "neither"),
        ("a list", "[]".into(), "input", "not a JSON object"),
        ("half a list", "{\"a\": ".into(), "input", "not JSON"),
        ("two parts", format!("{header}.{payload}"), "input.token", "2 parts"),
        ("an encrypted token", "a.b.c.d.e".into(), "input.token", "encrypted"),
        ("a header that isn't base64url", format!("+/.{payload}."), "input.token.header", "base64url"),
        ("a header that isn't JSON", format!("{}.{payload}.", part(b"x")), "input.token.header", "not JSON"),
        ("a payload that isn't base64url", format!("{header}.@@."), "input.token.payload", "base64url"),
        ("a payload that is a list", format!("{header}.{}.", part(b"[]")), "input.token.payload", "not a JSON object"),
        ("a payload that isn't UTF-8", format!("{header}.{}.", part(&[b'"', 0xff, b'"'])), "input.token.payload", "not JSON"),
        ("a claim twice", format!("{header}.{}.", part(b"{\"a\":1,\"a\":2}")), "input.token.payload", "doubled"),
        ("a payload that is too large", payload_too_large, "input", "at most 65536"),
        ("too large", large, "input", "at most 98304"),
    ];
    for (name, pasted, path, part) in table {
        let problem = play(&oidc(), &pasted).err().unwrap_or_else(|| panic!("{name}: it is played"));
        assert_eq!(
            (problem.path.as_str(), problem.line, problem.severity),
            (path, None, "error"),
            "{name}: {problem:?}"
        );
        assert!(problem.message.contains(part), "{name}: {problem:?}");
    }
}
