//! `docs/requirements.md` against the repository: each test that it names is there, no number is missing, and each row has a
//! test or a reason.
#![expect(clippy::unwrap_used, reason = "a repository without these files fails the test")]

use std::path::Path;

const DOCUMENT: &str = include_str!("../../docs/requirements.md");

/// The rows of its tables: requirement, and what shows it.
fn rows() -> Vec<(&'static str, &'static str)> {
    DOCUMENT
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| requirement"))
        .map(|line| line.trim_matches('|').rsplit_once('|').unwrap())
        .map(|(requirement, shown)| (requirement.trim(), shown.trim()))
        .collect()
}

/// The tests that a cell names: path and function.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    cell.split('`').filter_map(|part| part.split_once("::")).filter(|(path, _)| path.contains('/')).collect()
}

/// Whether a source has a test function of that name.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let signatures = [format!("fn {name}("), format!("async fn {name}(")];
    lines.iter().enumerate().any(|(number, line)| {
        let is_it = signatures.iter().any(|signature| line.starts_with(signature.as_str()));
        let above = lines.get(number.saturating_sub(4)..number).unwrap_or_default();
        is_it && above.iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn each_test_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut missing = Vec::new();
    let mut named = 0;
    for (requirement, shown) in rows() {
        for (path, name) in tests(shown) {
            named += 1;
            let source = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            if !has_test(&source, name) {
                missing.push(format!("{requirement}: {path}::{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named > 100, "{named} tests are named");
}

#[test]
fn each_row_has_a_test_or_a_reason() {
    for (requirement, shown) in rows() {
        assert!(!tests(shown).is_empty() || shown.len() > 20, "{requirement}: {shown:?}");
    }
}

#[test]
fn no_number_is_missing() {
    let attacks = (1..=31).map(|number| format!("V{number} "));
    let weaknesses = (1..=17).map(|number| format!("T{number} "));
    let steps = (1..=13).map(|number| format!("({number}) "));
    for number in attacks.chain(weaknesses).chain(steps) {
        assert!(rows().iter().any(|(requirement, _)| requirement.starts_with(&number)), "{number}is missing");
    }
}
