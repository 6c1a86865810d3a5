//! What expires, and when to say so: certificates by their own date, secrets by the date that the administrator wrote
//! down. The service says it at its start and once a day; `check`, `doctor` and the metrics say it as well.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Credential;
use crate::capability::Clock;
use crate::config::{Provider, ProviderKind};

/// From how many days before the end there is a warning.
const SOON_DAYS: u64 = 30;
/// From how many days before the end it is an error.
const URGENT_DAYS: u64 = 7;
/// How often the service says it.
const INTERVAL: Duration = Duration::from_secs(DAY_S);
const DAY_S: u64 = 86_400;

/// A part of a credential that expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The client secret.
    Secret,
    /// The client certificate of this number, from 1, of so many.
    Certificate {
        /// Which.
        number: usize,
        /// Of how many.
        of: usize,
    },
}

impl What {
    /// One word, for labels of metrics: `secret`, `certificate_1`.
    pub fn label(self) -> String {
        match self {
            Self::Secret => "secret".into(),
            Self::Certificate { number, .. } => format!("certificate_{number}"),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret => formatter.write_str("the client secret"),
            Self::Certificate { of: 1, .. } => formatter.write_str("the client certificate"),
            Self::Certificate { number, .. } => write!(formatter, "client certificate {number}"),
        }
    }
}

/// When a part of a credential expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// What.
    pub what: What,
    /// When, in seconds since 1970. Of a secret, the beginning of the day that is written down, in UTC.
    pub at_unix_s: u64,
}

/// What an expiry means now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// More than 30 days to go.
    Good,
    /// So many whole days to go, 30 at most.
    Soon(u64),
    /// It expired so many whole days ago.
    Expired(u64),
}

/// What an administrator should know about an expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub what: What,
    /// What it means.
    pub verdict: Verdict,
    /// What expires, and when.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Notice {
    /// Whether it can't wait: expired, or 7 days or less to go.
    pub fn is_urgent(&self) -> bool {
        match self.verdict {
            Verdict::Good => false,
            Verdict::Soon(days) => days <= URGENT_DAYS,
            Verdict::Expired(_) => true,
        }
    }
}

/// Everything of a provider's credential whose end is known: certificates, in their order, or the secret if its date is
/// configured. A federated token is renewed by its issuer and isn't among them.
pub fn expiries(provider: &Provider) -> Vec<Expiry> {
    match &provider.credential {
        Credential::Secret(secret) => secret
            .expires
            .map(|date| Expiry {
                what: What::Secret,
                at_unix_s: u64::try_from(date.midnight().assume_utc().unix_timestamp()).unwrap_or_default(),
            })
            .into_iter()
            .collect(),
        Credential::Certificates(signing) => signing
            .certificates
            .iter()
            .enumerate()
            .map(|(position, certificate)| Expiry {
                what: What::Certificate { number: position + 1, of: signing.certificates.len() },
                at_unix_s: certificate.not_after_unix_s(),
            })
            .collect(),
        Credential::Federated(_) => Vec::new(),
    }
}

/// What an expiry means at a time.
pub fn verdict(expiry: &Expiry, now_unix_s: u64) -> Verdict {
    match expiry.at_unix_s.checked_sub(now_unix_s) {
        None | Some(0) => Verdict::Expired(now_unix_s.saturating_sub(expiry.at_unix_s) / DAY_S),
        Some(left) if left <= SOON_DAYS * DAY_S => Verdict::Soon(left / DAY_S),
        Some(_) => Verdict::Good,
    }
}

/// What there is to say about a provider's credential: nothing while all is good.
pub fn notices(provider: &Provider, now_unix_s: u64) -> Vec<Notice> {
    expiries(provider).iter().filter_map(|expiry| notice(provider.kind, expiry, now_unix_s)).collect()
}

fn notice(kind: ProviderKind, expiry: &Expiry, now_unix_s: u64) -> Option<Notice> {
    let what = expiry.what;
    let on = date(expiry.at_unix_s);
    let verdict = verdict(expiry, now_unix_s);
    let message = match verdict {
        Verdict::Good => return None,
        Verdict::Soon(0) => format!("{what} expires on {on}, in less than a day"),
        Verdict::Soon(days) => format!("{what} expires on {on}, in {}", count(days)),
        Verdict::Expired(0) => format!("{what} expired on {on}"),
        Verdict::Expired(days) => format!("{what} expired on {on}, {} ago", count(days)),
    };
    Some(Notice { what, verdict, message, hint: hint(kind, what).to_owned() })
}

fn count(days: u64) -> String {
    if days == 1 { "1 day".into() } else { format!("{days} days") }
}

fn hint(kind: ProviderKind, what: What) -> &'static str {
    match (kind, what) {
        (ProviderKind::Microsoft, What::Secret) => {
            "Entra, App registrations, the application, Certificates & secrets: add a new client secret, put its Value \
             where client_secret_file (or client_secret_env) has the old one and its date into client_secret_expires, and \
             restart"
        }
        (ProviderKind::Microsoft, What::Certificate { .. }) => {
            "Entra, App registrations, the application, Certificates & secrets: upload a new certificate, list it and its \
             key in certificate_file and private_key_file (two may stand there, until one has taken over), and restart"
        }
        (ProviderKind::Oidc, What::Secret) => {
            "get a new secret from the provider, put it where client_secret_file (or client_secret_env) has the old one \
             and its date into client_secret_expires, and restart"
        }
        (ProviderKind::Oidc, What::Certificate { .. }) => {
            "register a new certificate with the provider, list it and its key in certificate_file and private_key_file \
             (two may stand there, until one has taken over), and restart"
        }
    }
}

/// `2027-01-31`, in UTC.
pub(crate) fn date(unix_s: u64) -> String {
    moment(unix_s).map_or_else(|| format!("second {unix_s}"), |moment| moment.date().to_string())
}

/// `2027-01-31T12:00:00Z`.
pub(super) fn date_and_time(unix_s: u64) -> String {
    moment(unix_s).and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("second {unix_s}"))
}

fn moment(unix_s: u64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(i64::try_from(unix_s).ok()?).ok()
}

/// Says in the log what there is to say: now, and once a day.
pub(crate) async fn watch(providers: Vec<Provider>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now_unix_s = clock.now_unix_ms() / 1000;
        for provider in &providers {
            for notice in notices(provider, now_unix_s) {
                log(provider, &notice);
            }
        }
    }
}

fn log(provider: &Provider, notice: &Notice) {
    let (provider, credential, hint) = (provider.id.as_str(), notice.what.label(), notice.hint.as_str());
    if notice.is_urgent() {
        tracing::error!(provider, credential, hint, "{}", notice.message);
    } else {
        tracing::warn!(provider, credential, hint, "{}", notice.message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2027-01-31T00:00:00Z.
    const AT: u64 = 1_801_353_600;

    #[test]
    fn when_it_is_said_and_how() {
        let secret = Expiry { what: What::Secret, at_unix_s: AT };
        let second = Expiry { what: What::Certificate { number: 2, of: 2 }, at_unix_s: AT };
        let only = Expiry { what: What::Certificate { number: 1, of: 1 }, at_unix_s: AT };
        // name, expiry, now, verdict, message, urgent
        let table: [(&str, Expiry, u64, Verdict, &str, bool); 11] = [
            ("a year before", secret, AT - 365 * DAY_S, Verdict::Good, "", false),
            ("a second more than 30 days", secret, AT - 30 * DAY_S - 1, Verdict::Good, "", false),
            (
                "30 days",
                secret,
                AT - 30 * DAY_S,
                Verdict::Soon(30),
                "the client secret expires on 2027-01-31, in 30 days",
                false,
            ),
            (
                "eight days",
                second,
                AT - 8 * DAY_S,
                Verdict::Soon(8),
                "client certificate 2 expires on 2027-01-31, in 8 days",
                false,
            ),
            (
                "seven days and an hour",
                only,
                AT - 7 * DAY_S - 3600,
                Verdict::Soon(7),
                "the client certificate expires on 2027-01-31, in 7 days",
                true,
            ),
            ("a day", secret, AT - DAY_S, Verdict::Soon(1), "the client secret expires on 2027-01-31, in 1 day", true),
            (
                "a second",
                secret,
                AT - 1,
                Verdict::Soon(0),
                "the client secret expires on 2027-01-31, in less than a day",
                true,
            ),
            ("the moment", secret, AT, Verdict::Expired(0), "the client secret expired on 2027-01-31", true),
            (
                "a day after",
                secret,
                AT + DAY_S,
                Verdict::Expired(1),
                "the client secret expired on 2027-01-31, 1 day ago",
                true,
            ),
            (
                "a year after",
                second,
                AT + 365 * DAY_S,
                Verdict::Expired(365),
                "client certificate 2 expired on 2027-01-31, 365 days ago",
                true,
            ),
            ("an end beyond all calendars", Expiry { at_unix_s: u64::MAX, ..secret }, AT, Verdict::Good, "", false),
        ];
        for (name, expiry, now, expected, message, urgent) in table {
            assert_eq!(verdict(&expiry, now), expected, "{name}");
            let notice = notice(ProviderKind::Microsoft, &expiry, now);
            assert_eq!(notice.as_ref().map_or("", |notice| &notice.message), message, "{name}");
            assert_eq!(notice.as_ref().is_some_and(Notice::is_urgent), urgent, "{name}");
        }
    }

    #[test]
    fn the_hint_says_where_to_go() {
        for (kind, what, expected) in [
            (ProviderKind::Microsoft, What::Secret, ["Certificates & secrets", "client_secret_expires"]),
            (
                ProviderKind::Microsoft,
                What::Certificate { number: 1, of: 1 },
                ["Certificates & secrets", "certificate_file"],
            ),
            (ProviderKind::Oidc, What::Secret, ["the provider", "client_secret_expires"]),
            (ProviderKind::Oidc, What::Certificate { number: 1, of: 2 }, ["the provider", "private_key_file"]),
        ] {
            let notice = notice(kind, &Expiry { what, at_unix_s: AT }, AT).unwrap();
            for part in expected {
                assert!(notice.hint.contains(part), "{kind:?} {what:?}: {}", notice.hint);
            }
        }
    }

    #[test]
    fn dates() {
        assert_eq!(date(AT), "2027-01-31");
        assert_eq!(date_and_time(AT + 1), "2027-01-31T00:00:01Z");
        assert_eq!(date(u64::MAX), format!("second {}", u64::MAX));
    }
}
