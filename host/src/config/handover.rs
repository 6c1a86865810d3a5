//! `[handover]`: what becomes of an identity, and for `kind = "core"` where Core is, who this host is there, and how much
//! it may ask. A secret's file is looked at here, so that a mistake shows before anybody signs in; it is read at use.

use std::path::Path;
use std::time::Duration;

use toml::{Table, Value};
use url::Url;
use zeroize::Zeroizing;

use super::file::{Reader, join};
use super::reference::names;
use super::{HandoverConfig, Problem, Secret};
use crate::capability::origin::is_loopback;
use crate::core_api::{BreakerLimits, CoreCredential, CoreSettings, SecretSource};
use crate::handover::{CoreOptions, EnrollmentMode, LocalAccountSeed};

const PREFIX: &str = "handover";
/// Keys of `kind = "local"`.
const LOCAL: [&str; 1] = ["account"];
/// Keys of `kind = "core"`.
const CORE: [&str; 15] = [
    "url",
    "plain_http",
    "token_file",
    "token_env",
    "token",
    "username",
    "password_file",
    "create_accounts",
    "enrollment",
    "token_life_s",
    "time_budget_ms",
    "call_timeout_ms",
    "concurrent_calls",
    "breaker_failures",
    "breaker_pause_s",
];

const URL_HINT: &str = "the address at which this machine reaches Defguard Core: https://core.example.com";
const WAYS: &str = "token_file = \"PATH\" or token_env = \"NAME\" (an administrator's API token, dg-…), or username with \
                    password_file (a service account)";

/// Reads the table.
pub(super) fn read(reader: &mut Reader, table: &Table, loopback_http: bool) -> Option<HandoverConfig> {
    let handover = reader.table(table, PREFIX, &names(PREFIX));
    match reader.text(&handover, PREFIX, "kind").as_deref() {
        Some("local") => {
            belongs(reader, &handover, &CORE, "core");
            Some(HandoverConfig::Local { accounts: local_accounts(reader, &handover)? })
        }
        Some("core") => {
            belongs(reader, &handover, &LOCAL, "local");
            core(reader, &handover, loopback_http)
        }
        Some(other) => {
            reader.problem("handover.kind", format!("{other:?} is no kind of hand-over"), "\"core\" or \"local\"");
            None
        }
        None => {
            if !handover.contains_key("kind") {
                reader.problem(
                    "handover.kind",
                    "missing",
                    "[handover] with kind = \"core\", or \"local\" to try sign-in",
                );
            }
            None
        }
    }
}

/// A key of the other kind would be ignored silently.
fn belongs(reader: &mut Reader, table: &Table, others: &[&str], kind: &str) {
    for key in others.iter().filter(|key| table.contains_key(**key)) {
        reader.problem(join(PREFIX, key), format!("it goes with kind = {kind:?}"), "leave it out");
    }
}

/// `[[handover.account]]`: accounts that are there already, as Defguard's would be.
fn local_accounts(reader: &mut Reader, handover: &Table) -> Option<Vec<LocalAccountSeed>> {
    let rows = reader.rows(handover, PREFIX, "account", &names("handover.account[]"))?;
    let mut accounts = Vec::new();
    for (path, row) in rows {
        let username = reader.needed(&row, &path, "username", "the account's user name");
        let email = reader.needed(&row, &path, "email", "the account's address");
        accounts.push(LocalAccountSeed { username: username?, email: email? });
    }
    Some(accounts)
}

fn core(reader: &mut Reader, table: &Table, loopback_http: bool) -> Option<HandoverConfig> {
    let url = url(reader, table, loopback_http);
    let credential = credential(reader, table);
    let enrollment = enrollment(reader, table);
    let create_accounts = reader.flag_or(table, PREFIX, "create_accounts", true);
    let token_life = if table.contains_key("token_life_s") {
        reader.number(table, PREFIX, "token_life_s", 0, 60..=2_592_000).map(Duration::from_secs)
    } else {
        None
    };
    let call_timeout = milliseconds(reader, table, "call_timeout_ms", 10_000, 500..=60_000);
    // Four calls of a Core that takes 4 s for each, and room for a fifth that doesn't.
    let time_budget = milliseconds(reader, table, "time_budget_ms", 20_000, 1_000..=60_000);
    let concurrent_calls = reader.number(table, PREFIX, "concurrent_calls", 32, 1..=1024);
    let failures = reader.number(table, PREFIX, "breaker_failures", 5, 1..=1000);
    let pause = reader.number(table, PREFIX, "breaker_pause_s", 30, 1..=3600).map(Duration::from_secs);
    if token_life.is_some() && enrollment == Some(EnrollmentMode::Desktop) {
        let message = "Core gives start_desktop's tokens a life of its own";
        reader.problem("handover.token_life_s", message, "leave it out, or enrollment = \"auto\"");
    }
    let settings = CoreSettings {
        url: url?,
        credential: credential?,
        call_timeout: call_timeout?,
        concurrent_calls: usize::try_from(concurrent_calls?).unwrap_or(usize::MAX),
        breaker: BreakerLimits { failures: u32::try_from(failures?).unwrap_or(u32::MAX), pause: pause? },
    };
    let options = CoreOptions { create_accounts, enrollment: enrollment?, token_life, time_budget: time_budget? };
    Some(HandoverConfig::Core { settings: Box::new(settings), options })
}

fn milliseconds(
    reader: &mut Reader,
    table: &Table,
    key: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Option<Duration> {
    reader.number(table, PREFIX, key, default, range).map(Duration::from_millis)
}

/// Core's origin. Plain http sends the token readable: that must be said, and to another machine it is warned of.
fn url(reader: &mut Reader, table: &Table, loopback_http: bool) -> Option<Url> {
    let plain_http = reader.flag_or(table, PREFIX, "plain_http", false);
    let text = reader.needed(table, PREFIX, "url", URL_HINT)?;
    let path = "handover.url";
    let url = match Url::parse(&text) {
        Ok(url) => url,
        Err(error) => {
            reader.problem(path, format!("{text:?} isn't a URL: {error}"), URL_HINT);
            return None;
        }
    };
    let is_origin = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !is_origin || has_user || url.host().is_none() {
        // Not repeated: a password may be in it.
        reader.problem(path, "it isn't of the form https://host or https://host:port", URL_HINT);
        return None;
    }
    match url.scheme() {
        "https" => {
            if plain_http {
                reader.problem("handover.plain_http", "handover.url is https", "leave it out");
            }
            Some(url)
        }
        "http" if is_loopback(&url) && (loopback_http || plain_http) => Some(url),
        "http" if plain_http => {
            reader.warn(
                "handover.plain_http",
                format!("the API token travels readable to {}", url.origin().ascii_serialization()),
                "anybody on the way can read it, and with it administer Defguard: better put TLS in front of Core",
            );
            Some(url)
        }
        "http" => {
            let hint = "use https, or plain_http = true if nobody else can read what goes there";
            reader.problem(path, format!("{text:?} isn't https: the API token would travel readable"), hint);
            None
        }
        scheme => {
            reader.problem(path, format!("{text:?} begins with {scheme}:, expected https:"), URL_HINT);
            None
        }
    }
}

fn credential(reader: &mut Reader, table: &Table) -> Option<CoreCredential> {
    if table.contains_key("token") {
        reader.problem("handover.token", "a token doesn't belong in this file", WAYS);
        return None;
    }
    let has = |key: &str| table.contains_key(key);
    let present: Vec<&str> = ["token_file", "token_env", "username"].into_iter().filter(|key| has(key)).collect();
    match present.as_slice() {
        [] => {
            let key = if has("password_file") { "username" } else { "token_file" };
            reader.problem(join(PREFIX, key), "missing: who this host is at Core", WAYS);
            None
        }
        [first, second, ..] => {
            let message = format!("there is {first} as well: one credential only");
            reader.problem(join(PREFIX, second), message, WAYS);
            None
        }
        [only] if *only == "username" => {
            let username = reader.needed(table, PREFIX, "username", "the service account's user name");
            if !has("password_file") {
                reader.problem("handover.password_file", "missing", "the file with the service account's password");
                return None;
            }
            let password = file(reader, table, "password_file");
            Some(CoreCredential::Account { username: username?, password: password? })
        }
        [only] => {
            orphan(reader, table);
            let is_file = *only == "token_file";
            Some(CoreCredential::Token(if is_file {
                file(reader, table, "token_file")?
            } else {
                environment(reader, table)?
            }))
        }
    }
}

/// A password without its user name would be ignored silently.
fn orphan(reader: &mut Reader, table: &Table) {
    if table.contains_key("password_file") {
        reader.problem("handover.password_file", "it goes with username, which isn't there", "leave it out");
    }
}

/// A file that is there and holds one line.
fn file(reader: &mut Reader, table: &Table, key: &str) -> Option<SecretSource> {
    let text = reader.needed(table, PREFIX, key, "the path of a file with one line")?;
    let path = reader.resolve(&text);
    match problem_with(&path) {
        None => Some(SecretSource::File(path)),
        Some(message) => {
            reader.problem(
                join(PREFIX, key),
                format!("{text} {message}"),
                "a file with one line, readable by this host's user",
            );
            None
        }
    }
}

fn problem_with(path: &Path) -> Option<String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) => return Some(format!("can't be read: {error}")),
    };
    match std::str::from_utf8(&bytes) {
        Err(_) => Some("isn't text".into()),
        Ok(text) => problem_in(text).map(str::to_owned),
    }
}

fn problem_in(secret: &str) -> Option<&'static str> {
    let secret = secret.trim();
    if secret.is_empty() {
        Some("is empty")
    } else if secret.contains(char::is_control) {
        Some("holds more than one line, or control characters")
    } else {
        None
    }
}

fn environment(reader: &mut Reader, table: &Table) -> Option<SecretSource> {
    let hint = "the name of an environment variable that holds the API token";
    let variable = reader.needed(table, PREFIX, "token_env", hint)?;
    let problem = match std::env::var(&variable).map(Zeroizing::new) {
        Ok(text) => match problem_in(&text) {
            None => return Some(SecretSource::Value(Secret::new(&text))),
            Some(problem) => problem,
        },
        // The error of text that isn't Unicode holds the text.
        Err(std::env::VarError::NotPresent) => "isn't set",
        Err(std::env::VarError::NotUnicode(_)) => "isn't text",
    };
    reader.problem("handover.token_env", format!("the environment variable {variable} {problem}"), hint);
    None
}

fn enrollment(reader: &mut Reader, table: &Table) -> Option<EnrollmentMode> {
    if !table.contains_key("enrollment") {
        return Some(EnrollmentMode::Auto);
    }
    match reader.text(table, PREFIX, "enrollment")?.as_str() {
        "auto" => Some(EnrollmentMode::Auto),
        "enrollment" => Some(EnrollmentMode::Enrollment),
        "desktop" => Some(EnrollmentMode::Desktop),
        other => {
            let message = format!("{other:?} is none of the ways to enroll");
            reader.problem("handover.enrollment", message, "\"auto\", \"enrollment\" or \"desktop\"");
            None
        }
    }
}

impl Reader {
    /// Notes something that is allowed and unwise.
    fn warn(&mut self, path: &str, message: String, hint: &str) {
        self.problems.push(Problem { is_warning: true, ..Problem::error(path, message, hint) });
    }

    /// True or false, with a default.
    pub(super) fn flag_or(&mut self, table: &Table, prefix: &str, key: &str, default: bool) -> bool {
        if table.contains_key(key) { self.flag(table, prefix, key) } else { default }
    }

    /// A whole number within bounds, with a default.
    pub(super) fn number(
        &mut self,
        table: &Table,
        prefix: &str,
        key: &str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let found = match table.get(key) {
            None => return Some(default),
            Some(Value::Integer(number)) => u64::try_from(*number).ok(),
            Some(_) => None,
        };
        let number = found.filter(|number| range.contains(number));
        if number.is_none() {
            let hint = format!("{default} if it is left out");
            let hint = if range.contains(&default) { hint.as_str() } else { "" };
            self.problem(
                join(prefix, key),
                format!("expected a whole number from {} to {}", range.start(), range.end()),
                hint,
            );
        }
        number
    }
}

#[cfg(test)]
mod tests;
