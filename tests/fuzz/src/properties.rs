//! What holds of every refusal, trace and URL, whatever the input: shared by the targets.

use openid::login::refusal::{ALL, Refusal};
use openid::login::trace::{Check, Verdict};
use url::{Host, Url};

/// Everything of a refusal that somebody will read: the person, the administrator, the log.
pub(crate) fn text_of_refusal(refusal: &Refusal, checks: &[Check]) -> String {
    let said = refusal.provider_said.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let of_rule =
        [refusal.rule.code, refusal.message(), refusal.admin_hint(), refusal.check.0, refusal.check.1.as_str()];
    let texts: Vec<&str> = of_rule.into_iter().chain(said).collect();
    format!("{}\n{}", texts.join("\n"), text_of_checks(checks))
}

/// A trace as text.
pub(crate) fn text_of_checks(checks: &[Check]) -> String {
    checks.iter().flat_map(|check| [check.name, check.detail.as_str()]).collect::<Vec<_>>().join("\n")
}

/// wit/login.wit: a refusal is a line of the table, and its last check is the one that failed.
pub(crate) fn assert_refusal(refusal: &Refusal, checks: &[Check]) {
    assert!(ALL.iter().any(|rule| std::ptr::eq(*rule, refusal.rule)), "{} isn't in the table", refusal.rule.code);
    assert_ne!(refusal.rule.code, "internal", "no input may be a defect: {:?}", refusal.check);
    assert!((400..=599).contains(&refusal.rule.status), "{}: status {}", refusal.rule.code, refusal.rule.status);
    let last = checks.last().unwrap();
    assert_eq!(last.verdict, Verdict::Fail, "{}: {checks:?}", refusal.rule.code);
    for (name, value) in &refusal.provider_said {
        assert!(value.len() <= 512 && !value.contains(char::is_control), "{name}: {value:?}");
    }
    assert_checks(checks);
}

/// wit/login.wit: at most 512 bytes for each detail; a trace has one line for each check.
pub(crate) fn assert_checks(checks: &[Check]) {
    assert!(checks.len() <= 128, "{} checks", checks.len());
    for check in checks {
        assert!(check.detail.len() <= 512 && !check.detail.contains(char::is_control), "{check:?}");
    }
}

/// Whether a request or a browser may go there: https, or http to this machine where the configuration allows it.
pub(crate) fn is_allowed_address(url: &Url, loopback: bool) -> bool {
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Ipv4(address))) => loopback && address.is_loopback(),
        ("http", Some(Host::Ipv6(address))) => loopback && address.is_loopback(),
        ("http", Some(Host::Domain(name))) => loopback && name == "localhost",
        _ => false,
    }
}

/// No `secret` is in `text`.
pub(crate) fn assert_secret(text: &str, what: &str, secret: &str) {
    assert!(!text.contains(secret), "the {what} is in what is shown or logged: {text}");
}
