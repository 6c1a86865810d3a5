//! `scan FOLDER`: searches everything that a test run has shown for every secret that went through it, and for errors that
//! docs/refusals.md doesn't list. Exit code 1: something was found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use aho_corasick::{AhoCorasick, MatchKind};
use conformance::evidence::{Evidence, MARKERS, SHORTEST, read};

/// The code by which the plugin of `tests/hostile` says what it found: of no plugin that anybody runs.
const OF_THE_HOSTILE: &str = "reported";

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: scan FOLDER");
        return ExitCode::from(2);
    };
    match scan(&folder) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(found) => {
            eprintln!("scan: {found} findings");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("scan: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn scan(folder: &std::path::Path) -> std::io::Result<usize> {
    let mut secrets: BTreeMap<String, String> = BTreeMap::new();
    read(folder, |evidence| {
        if let Evidence::Secret { kind, value } = evidence {
            // Also as it would stand in an address or a form.
            let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            secrets.insert(encoded, kind.clone());
            secrets.insert(value, kind);
        }
    })?;
    let kinds: BTreeSet<&String> = secrets.values().collect();
    let patterns: Vec<&str> = secrets.keys().map(String::as_str).chain(MARKERS).collect();
    let automaton =
        AhoCorasick::builder().match_kind(MatchKind::Standard).build(&patterns).map_err(std::io::Error::other)?;
    let (mut texts, mut bytes, mut found) = (BTreeMap::<String, usize>::new(), 0, 0);
    read(folder, |evidence| {
        let Evidence::Shown { r#where, text } = evidence else { return };
        bytes += text.len();
        if let Some(hit) = automaton.find(&text) {
            let pattern = patterns[hit.pattern().as_usize()];
            let kind = secrets.get(pattern).map_or("marker", String::as_str);
            eprintln!("scan: {where}: {kind} {pattern:?} in {text:?}", r#where = r#where);
            found += 1;
        }
        if r#where == "error"
            && let Err(problem) = check_error(&text)
        {
            eprintln!("scan: {problem}: {text:?}");
            found += 1;
        }
        *texts.entry(r#where).or_default() += 1;
    })?;
    println!("scan: {} secrets ({}), of {SHORTEST} characters and more", secrets.len(), list(&kinds));
    let counts = texts.iter().map(|(place, count)| format!("{count} {place}")).collect::<Vec<_>>().join(", ");
    println!("scan: {bytes} bytes shown: {counts}");
    // A search through nothing, or for nothing, proves nothing.
    for kind in [
        "AuthorizationCode",
        "State",
        "Nonce",
        "CodeVerifier",
        "ClientSecret",
        "ClientAssertion",
        "IdToken",
        "AccessToken",
    ] {
        if !kinds.iter().any(|found| found.as_str() == kind) {
            eprintln!("scan: no {kind} was among the secrets: was the whole test run kept?");
            found += 1;
        }
    }
    for place in ["audit", "error", "log", "page"] {
        if !texts.contains_key(place) {
            eprintln!("scan: no {place} was kept: was the whole test run kept?");
            found += 1;
        }
    }
    Ok(found)
}

/// Every error has a code that docs/refusals.md lists, and what `/ready` says one that docs/operating.md lists; only what the HTTP library itself refuses may have none, and that
/// is never a 500.
fn check_error(text: &str) -> Result<(), String> {
    const REFUSALS: &str = include_str!("../../../../docs/refusals.md");
    const OPERATING: &str = include_str!("../../../../docs/operating.md");
    let (name, document) =
        if text.contains("\"reasons\":[") { ("operating", OPERATING) } else { ("refusals", REFUSALS) };
    let between = |start: &str, end: char| text.split_once(start).and_then(|(_, rest)| rest.split_once(end));
    let code = between("\"code\":\"", '"').or_else(|| between("id=\"code\">", '<')).map(|(code, _)| code);
    match code {
        Some(OF_THE_HOSTILE) => Ok(()),
        Some(code) if document.contains(&format!("`{code}`")) => Ok(()),
        Some(code) => Err(format!("docs/{name}.md doesn't list {code:?}")),
        None if text.starts_with('4') => Ok(()),
        None => Err("an error without a code".to_owned()),
    }
}

fn list(kinds: &BTreeSet<&String>) -> String {
    kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ")
}
