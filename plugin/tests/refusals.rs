//! `docs/refusals.md` against the table of refusals: the same codes in the same order, with the same status, kind and
//! sentences. A code has a heading of its own there: ``### `code` ``.

use std::collections::BTreeSet;

use openid::login::refusal::{ALL, RefusalKind, Rule};

const DOCUMENT: &str = include_str!("../../docs/refusals.md");

/// As `wit/login.wit` spells it.
fn kind(kind: RefusalKind) -> &'static str {
    match kind {
        RefusalKind::InvalidRequest => "invalid-request",
        RefusalKind::TransactionUnknown => "transaction-unknown",
        RefusalKind::BrowserMismatch => "browser-mismatch",
        RefusalKind::DeniedByProvider => "denied-by-provider",
        RefusalKind::ProviderUnavailable => "provider-unavailable",
        RefusalKind::TokenRejected => "token-rejected",
        RefusalKind::AccountRejected => "account-rejected",
        RefusalKind::Misconfigured => "misconfigured",
        RefusalKind::StorageUnavailable => "storage-unavailable",
        RefusalKind::Internal => "internal",
    }
}

/// The entries: a code and the lines below its heading.
fn entries() -> Vec<(&'static str, Vec<&'static str>)> {
    let mut entries: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in DOCUMENT.lines() {
        if let Some(code) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            entries.push((code, Vec::new()));
        } else if line.starts_with("## ") {
            // The heading of a part belongs to no entry.
        } else if let Some((_, lines)) = entries.last_mut() {
            lines.push(line);
        }
    }
    entries
}

#[test]
fn the_document_lists_exactly_the_tables_codes_in_its_order() {
    let documented: Vec<&str> = entries().iter().map(|(code, _)| *code).collect();
    let table: Vec<&str> = ALL.iter().map(|rule| rule.code).collect();
    assert_eq!(documented, table);
    assert_eq!(table.iter().collect::<BTreeSet<_>>().len(), table.len(), "a code is there twice");
}

#[test]
fn each_entry_says_what_the_table_says() {
    for (rule, (code, lines)) in ALL.iter().zip(entries()) {
        let Rule { status, message, hint, .. } = rule;
        let retry = if rule.retry_helps { "starting again may help" } else { "starting again does not help" };
        for wanted in [
            format!("{status} · `{}` · {retry}", kind(rule.kind)),
            format!("> {message}"),
            format!("Administrator: {hint}"),
        ] {
            assert!(lines.contains(&wanted.as_str()), "{code}: expected the line {wanted:?}, found {lines:#?}");
        }
        // Status, sentence and hint aside, a paragraph says what happened.
        assert!(lines.iter().filter(|line| !line.is_empty()).count() >= 4, "{code}: it doesn't say what happened");
    }
}

/// A host answers with the status as it is: it must be one for an error, and a person must be told a sentence.
#[test]
fn every_rule_can_be_answered_with() {
    for rule in ALL {
        let Rule { code, status, message, hint, .. } = rule;
        assert!((400..600).contains(status), "{code}: {status}");
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        assert!(message.ends_with('.') && message.len() > 10 && !message.contains("AADSTS"), "{code}: {message}");
        assert!(hint.ends_with('.') && hint.len() > 10, "{code}: {hint}");
        let by_kind = match rule.kind {
            RefusalKind::InvalidRequest | RefusalKind::TransactionUnknown => *status == 400,
            RefusalKind::BrowserMismatch => *status == 401,
            RefusalKind::DeniedByProvider => matches!(status, 400 | 403),
            RefusalKind::TokenRejected | RefusalKind::AccountRejected => *status == 403,
            RefusalKind::ProviderUnavailable => (502..=504).contains(status),
            RefusalKind::Misconfigured => matches!(status, 500 | 502),
            RefusalKind::StorageUnavailable => *status == 503,
            RefusalKind::Internal => *status == 500,
        };
        assert!(by_kind, "{code}: {status} isn't a status of {:?}", rule.kind);
    }
}

#[test]
fn the_words_for_entras_numbers_are_documented() {
    let (_, section) = DOCUMENT.split_once("## Words for Entra's numbers").unwrap();
    let section = section.split_once("\n## ").unwrap().0;
    let mut documented = Vec::new();
    let mut numbers: Vec<u32> = Vec::new();
    for line in section.lines() {
        if let Some(sentence) = line.strip_prefix("> ") {
            documented.extend(numbers.drain(..).map(|number| (number, sentence)));
        } else if let Some(list) = line.strip_suffix(':') {
            numbers = list.split(", ").map(|number| number.parse().unwrap()).collect();
        }
    }
    documented.sort_unstable();
    let table: Vec<(u32, &str)> =
        (0..1_000_000).filter_map(|number| Some((number, openid::entra::aadsts::sentence(number)?))).collect();
    assert_eq!(documented, table);
}
