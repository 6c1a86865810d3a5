//! Sample claims with what must become of them, inside the configuration: its own unit tests. They are run by `validate`,
//! and so by `check`, at start and at each reload; a sign-in doesn't read them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Problem, Provider, problem};
use crate::claims::account::AccountKind;
use crate::claims::groups::Groups;
use crate::claims::preview::{self, Preview, Statement};
use crate::json;
use crate::login::refusal;
use crate::policy::linking::EmailLinking;

/// The most samples.
const MAX_SAMPLES: usize = 64;
/// The largest sample, in bytes of JSON.
const MAX_SAMPLE_BYTES: usize = 32 << 10;
/// What a sample has.
const KEYS: [&str; 7] = ["name", "claims", "userinfo", "directory", "groups", "groups_unknown", "expect"];
/// What can be expected.
const EXPECTATIONS: [&str; 12] = [
    "username",
    "email",
    "email_verified",
    "given_name",
    "family_name",
    "display_name",
    "phone",
    "attributes",
    "account",
    "groups",
    "email_linking",
    "refused",
];

/// Everything that is wrong with the samples, or comes out differently than it should.
pub(super) fn run(provider: &Provider, samples: &Value) -> Vec<Problem> {
    let Some(samples) = samples.as_array().filter(|samples| samples.iter().all(Value::is_object)) else {
        return vec![problem("sample", "expected a list of tables", "[[provider.sample]]")];
    };
    if samples.len() > MAX_SAMPLES {
        return vec![problem("sample", &format!("{} samples, at most {MAX_SAMPLES} are run", samples.len()), "")];
    }
    let samples = samples.iter().filter_map(Value::as_object).enumerate();
    samples.flat_map(|(index, sample)| run_one(provider, &format!("sample.{}", index + 1), sample)).collect()
}

fn run_one(provider: &Provider, path: &str, sample: &Map<String, Value>) -> Vec<Problem> {
    let bytes = serde_json::to_string(sample).map_or(usize::MAX, |text| text.len());
    if bytes > MAX_SAMPLE_BYTES {
        return vec![problem(path, &format!("{bytes} bytes, at most {MAX_SAMPLE_BYTES} are read"), "")];
    }
    let mut problems = unknown(path, sample, &KEYS);
    let name = sample.get("name").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
    if name.is_none() {
        problems.push(problem(&format!("{path}.name"), "missing: what this sample shows, as a text", ""));
    }
    let expect = match sample.get("expect").and_then(Value::as_object) {
        Some(expect) if !expect.is_empty() => expect,
        _ => {
            let hint = format!("a table with some of {}", EXPECTATIONS.join(", "));
            problems.push(problem(&format!("{path}.expect"), "nothing is expected: nothing would be shown", &hint));
            return problems;
        }
    };
    problems.extend(unknown(&format!("{path}.expect"), expect, &EXPECTATIONS));
    let outcome = Statement::read(sample).and_then(|statement| preview::run(provider, &statement));
    match outcome {
        Err(error) => problems.push(problem(&format!("{path}.{}", error.path), &error.message, "")),
        Ok(preview) => problems.extend(differences(path, name.unwrap_or_default(), expect, &preview)),
    }
    problems
}

fn unknown(path: &str, table: &Map<String, Value>, known: &[&str]) -> Vec<Problem> {
    let hint = format!("known here: {}", known.join(", "));
    let keys = table.keys().filter(|key| !known.contains(&key.as_str()));
    keys.map(|key| problem(&format!("{path}.{key}"), "unknown key", &hint)).collect()
}

/// Each expectation against what came of it; being let in is expected where nothing is said of a refusal.
fn differences(path: &str, name: &str, expect: &Map<String, Value>, preview: &Preview) -> Vec<Problem> {
    let mut problems: Vec<Problem> = expect
        .iter()
        .filter_map(|(key, expected)| {
            let (message, hint) = difference(key, expected, preview)?;
            Some(problem(&format!("{path}.expect.{key}"), &format!("{name:?}: {message}"), &hint))
        })
        .collect();
    if let Some(refusal) = preview.refusal.as_ref().filter(|_| !expect.contains_key("refused")) {
        let (check, detail) = &refusal.check;
        let message = format!("{name:?}: expected to be let in, found {:?}: {check}: {detail}", refusal.rule.code);
        problems.push(problem(&format!("{path}.expect.refused"), &message, refusal.admin_hint()));
    }
    problems
}

/// What differs, and what to do; `None`: nothing does, or nobody knows the expectation.
fn difference(key: &str, expected: &Value, preview: &Preview) -> Option<(String, String)> {
    let found = match key {
        "refused" => return refused(expected, preview),
        "groups" => return groups(expected, &preview.groups),
        "attributes" => return attributes(expected, preview),
        "email_verified" => preview.mapped.as_ref().and_then(|mapped| mapped.email_verified).map(Value::Bool),
        "account" => Some(Value::from(preview.account.as_str())),
        "email_linking" => preview.email_linking.as_ref().map(|linking| Value::from(linking_word(linking))),
        known if EXPECTATIONS.contains(&known) => field(preview, known),
        _ => return None,
    };
    let fits = match key {
        "email_verified" => expected.is_boolean(),
        "account" => ACCOUNTS.iter().any(|account| expected == account.as_str()),
        "email_linking" => LINKINGS.iter().any(|word| expected == word),
        _ => expected.is_string(),
    };
    if !fits {
        let possible = match key {
            "email_verified" => "true or false".to_owned(),
            "account" => ACCOUNTS.map(AccountKind::as_str).join(", "),
            "email_linking" => LINKINGS.join(", "),
            _ => "a text".to_owned(),
        };
        return Some((unexpectable(expected), possible));
    }
    (found.as_ref() != Some(expected)).then(|| (compared(expected, found.as_ref()), String::new()))
}

const ACCOUNTS: [AccountKind; 4] =
    [AccountKind::Member, AccountKind::Guest, AccountKind::Personal, AccountKind::Unknown];
const LINKINGS: [&str; 3] = ["allowed", "needs_approval", "never"];

fn linking_word(linking: &EmailLinking) -> &'static str {
    match linking {
        EmailLinking::Allowed(_) => "allowed",
        EmailLinking::NeedsApproval(_) => "needs_approval",
        EmailLinking::Never(_) => "never",
    }
}

fn compared(expected: &Value, found: Option<&Value>) -> String {
    let found = found.map_or_else(|| "nothing".to_owned(), json::text);
    format!("expected {}, found {found}", json::text(expected))
}

fn unexpectable(expected: &Value) -> String {
    format!("found {}, which can't be expected", json::text(expected))
}

fn field(preview: &Preview, name: &str) -> Option<Value> {
    preview.fields().into_iter().find(|(field, _)| field == name).map(|(_, value)| Value::String(value))
}

fn refused(expected: &Value, preview: &Preview) -> Option<(String, String)> {
    let code = expected.as_str().filter(|code| refusal::ALL.iter().any(|rule| rule.code == *code));
    let Some(code) = code else {
        return Some((format!("{} is no refusal's code", json::text(expected)), "docs/refusals.md".into()));
    };
    match &preview.refusal {
        Some(refusal) if refusal.rule.code == code => None,
        Some(refusal) => {
            let found = format!("{:?}: {}: {}", refusal.rule.code, refusal.check.0, refusal.check.1);
            Some((format!("expected {code:?}, found {found}"), refusal.admin_hint().to_owned()))
        }
        None => Some((format!("expected {code:?}, found nobody refused"), String::new())),
    }
}

/// As sets of identifiers.
fn groups(expected: &Value, found: &Groups) -> Option<(String, String)> {
    let Some(items) = expected.as_array().filter(|items| items.iter().all(Value::is_string)) else {
        return Some((unexpectable(expected), "a list of identifiers".into()));
    };
    // One by one: collected, they would be sorted by another copy of the library's sort.
    let (mut expected, mut known) = (BTreeSet::new(), BTreeSet::new());
    expected.extend(items.iter().filter_map(Value::as_str));
    let found = match found {
        Groups::Known(groups) => {
            known.extend(groups.iter().map(|group| group.id.as_str()));
            known
        }
        Groups::Unknown(reason) => {
            return Some((format!("expected {expected:?}, found them unknown: {reason}"), String::new()));
        }
        Groups::NotRequested => {
            let hint = "groups.source = \"claim\" or \"directory\"".to_owned();
            return Some((format!("expected {expected:?}, but nobody is asked for groups"), hint));
        }
    };
    (found != expected).then(|| (format!("expected {expected:?}, found {found:?}"), String::new()))
}

/// Those that are named; others may be there.
fn attributes(expected: &Value, preview: &Preview) -> Option<(String, String)> {
    let Some(expected) = expected.as_object().filter(|table| !table.is_empty() && table.values().all(Value::is_string))
    else {
        return Some((unexpectable(expected), "{ name = \"text\" }".into()));
    };
    expected.iter().find_map(|(name, expected)| {
        let found = field(preview, &format!("attributes.{name}"));
        (found.as_ref() != Some(expected))
            .then(|| (format!("{name}: {}", compared(expected, found.as_ref())), String::new()))
    })
}
