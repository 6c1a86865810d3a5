//! `doctor`'s first look: name, connection and certificate of each origin that a provider's component may reach.

use url::Url;

use super::doctor::Finding;
use super::style::{FAIL, PASS, SKIP};
use crate::capability::{Connected, Inspector};
use crate::credential::date;
use crate::sandbox::bindings::defguard::openid::http::Error;

/// Seconds before its end from which on a server's certificate is worth a word.
const SOON_S: u64 = 7 * 24 * 60 * 60;

/// Of each origin a finding `dns`, and one `tls` if it has an address.
pub(super) async fn reach(inspector: &Inspector, origins: impl Iterator<Item = &str>, now_unix_s: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for text in origins {
        let Ok(origin) = Url::parse(text) else { continue };
        match inspector.addresses(&origin).await {
            Ok(addresses) => {
                let addresses = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                findings.push(Finding::new("dns", PASS, format!("{text}: {addresses}"), ""));
                findings.push(connection(text, inspector.connect(&origin).await, now_unix_s));
            }
            Err(error) => {
                findings.push(Finding::new("dns", FAIL, format!("{text}: {}", words(&error)), advice(&error)));
            }
        }
    }
    findings
}

fn connection(origin: &str, connected: Result<Connected, Error>, now_unix_s: u64) -> Finding {
    match connected {
        Ok(Connected::Plain) => Finding::new("tls", SKIP, format!("{origin}: reached, by plain http"), ""),
        Ok(Connected::Tls { not_after_unix_s: None }) => {
            Finding::new("tls", PASS, format!("{origin}: its certificate is trusted"), "")
        }
        Ok(Connected::Tls { not_after_unix_s: Some(end) }) => {
            let detail = format!("{origin}: its certificate is trusted, and good until {}", date(end));
            let hint =
                if end < now_unix_s.saturating_add(SOON_S) { "whoever runs it must renew it these days" } else { "" };
            Finding::new("tls", PASS, detail, hint)
        }
        Err(error) => Finding::new("tls", FAIL, format!("{origin}: {}", words(&error)), advice(&error)),
    }
}

/// The error's own words.
fn words(error: &Error) -> String {
    match error {
        Error::Denied(text) | Error::InvalidRequest(text) | Error::Dns(text) => text.clone(),
        Error::Connect(text) | Error::Tls(text) | Error::Protocol(text) => text.clone(),
        Error::Timeout => "no answer within 10 s".into(),
        other => format!("{other:?}"),
    }
}

fn advice(error: &Error) -> &'static str {
    match error {
        Error::Denied(_) => "the name must have a public address; behind a split DNS, ask the outer one",
        Error::Dns(_) => "is the name spelt right, and does this machine have a resolver (/etc/resolv.conf)?",
        Error::Tls(_) => {
            "this machine must trust the issuer, and have the right time; a proxy that opens TLS needs its authority in the system's store (ca-certificates)"
        }
        _ => "a firewall must let this machine connect there, on that port",
    }
}
