//! The keys of a `[[provider]]` table that say how the client authenticates (`provider_table::CREDENTIAL_KEYS`): a secret,
//! one or two certificates, or a federated credential, and exactly one of them. Files are read here, once; only a federated
//! token is read at each use.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use time::Date;
use time::macros::format_description;
use toml::{Table, Value};
use url::Url;
use zeroize::Zeroizing;

use super::cloud::cloud;
use super::file::{Reader, join};
use super::{ProviderKind, Secret};
use crate::capability::{Clock as _, SystemClock};
use crate::credential::{
    AssertionAlgorithm, Audience, Certificate, ClientSecret, Credential, FederatedCredential, FederatedToken,
    SigningCertificates, Validity,
};

/// The certificates of one provider: one, and its successor.
const MAX_CERTIFICATES: usize = 2;
/// The largest file of a secret, a certificate or a key, in bytes.
const MAX_FILE_BYTES: u64 = 64 << 10;

const SECRET_HINT: &str =
    "client_secret_file = \"PATH\" or client_secret_env = \"NAME\"; for Entra the secret's Value, not its Secret ID";
const WAYS: &str = "one of: client_secret_file (or client_secret_env), certificate_file with private_key_file, \
                    federated_token_file";

/// The ways to authenticate, by the keys that choose them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Secret,
    Certificate,
    Federated,
}

/// In the order in which a second one is told.
const CHOOSING: [(&str, Way); 5] = [
    ("client_secret_file", Way::Secret),
    ("client_secret_env", Way::Secret),
    ("certificate_file", Way::Certificate),
    ("private_key_file", Way::Certificate),
    ("federated_token_file", Way::Federated),
];
/// Keys that go with one way only.
const BELONGING: [(&str, Way, &str); 4] = [
    ("client_secret_expires", Way::Secret, "client_secret_file"),
    ("client_assertion_algorithm", Way::Certificate, "certificate_file"),
    ("client_assertion_audience", Way::Certificate, "certificate_file"),
    ("federated_audience", Way::Federated, "federated_token_file"),
];

/// What of the provider is known already; a problem with it has been told.
pub(super) struct About<'a> {
    pub(super) kind: Option<ProviderKind>,
    pub(super) base_url: Option<&'a str>,
}

/// Reads the credential, or notes every problem with it.
pub(super) fn read(reader: &mut Reader, table: &Table, prefix: &str, about: &About<'_>) -> Option<Credential> {
    if table.contains_key("client_secret") {
        reader.problem(join(prefix, "client_secret"), "a secret doesn't belong in this file", SECRET_HINT);
        return None;
    }
    let way = way(reader, table, prefix)?;
    let belongs = check_belonging(reader, table, prefix, way);
    check_method(reader, table, prefix, way);
    let audience = if belongs && way != Way::Secret { audience(reader, table, prefix, about) } else { None };
    let credential = match way {
        Way::Secret => Credential::Secret(secret(reader, table, prefix)?),
        Way::Certificate => Credential::Certificates(certificates(reader, table, prefix, audience)?),
        Way::Federated => {
            let path = reader.needed(table, prefix, "federated_token_file", "the path of a file with a JWT")?;
            let named = reader.text(table, prefix, "federated_audience");
            let by_cloud = || match about.kind {
                Some(ProviderKind::Microsoft) => cloud(table.get("cloud").and_then(Value::as_str)),
                Some(ProviderKind::Oidc) | None => None,
            };
            let audience_of_token = named.or_else(|| by_cloud().map(|cloud| cloud.federated_audience.to_owned()));
            let token = FederatedToken::new(reader.resolve(&path)).for_audience(audience_of_token);
            Credential::Federated(FederatedCredential { token, audience: audience? })
        }
    };
    belongs.then_some(credential)
}

/// The one way that is configured.
fn way(reader: &mut Reader, table: &Table, prefix: &str) -> Option<Way> {
    let mut present = CHOOSING.iter().filter(|(key, _)| table.contains_key(*key));
    let Some((first, way)) = present.next() else {
        reader.problem(join(prefix, "client_secret_file"), "the provider has no credential", WAYS);
        return None;
    };
    let other = present.find(|(key, other)| other != way || (*key == "client_secret_env"));
    if let Some((second, _)) = other {
        reader.problem(join(prefix, second), format!("there is {first} as well: one credential only"), WAYS);
        return None;
    }
    Some(*way)
}

/// A key that goes with another way would be ignored silently.
fn check_belonging(reader: &mut Reader, table: &Table, prefix: &str, way: Way) -> bool {
    let mut good = true;
    for (key, belongs_to, companion) in BELONGING {
        if belongs_to != way && table.contains_key(key) {
            let message = format!("it goes with {companion}, which isn't there");
            reader.problem(join(prefix, key), message, "leave it out");
            good = false;
        }
    }
    good
}

/// The component's choice of method must be one that the credential can serve. Other values are the component's to refuse.
fn check_method(reader: &mut Reader, table: &Table, prefix: &str, way: Way) {
    let key = "token_endpoint_auth_method";
    let Some(method) = table.get(key).and_then(Value::as_str) else { return };
    let (is_good, hint) = match (method, way) {
        ("client_secret_post" | "client_secret_basic", _) => {
            (way == Way::Secret, "leave it out, or \"private_key_jwt\"")
        }
        ("private_key_jwt", _) => {
            (way != Way::Secret, "configure certificate_file and private_key_file instead of the secret")
        }
        _ => (true, ""),
    };
    if !is_good {
        let what = match way {
            Way::Secret => "a client secret",
            Way::Certificate => "a certificate",
            Way::Federated => "a federated credential",
        };
        reader.problem(join(prefix, key), format!("it is {method:?}, and the provider's credential is {what}"), hint);
    }
}

fn secret(reader: &mut Reader, table: &Table, prefix: &str) -> Option<ClientSecret> {
    let expires = expires(reader, table, prefix);
    let (key, secret) = if table.contains_key("client_secret_file") {
        let key = "client_secret_file";
        let path = reader.needed(table, prefix, key, SECRET_HINT)?;
        let bytes = read_file(reader, prefix, key, &path, SECRET_HINT)?;
        match std::str::from_utf8(&bytes) {
            Ok(text) => (key, Secret::new(text)),
            Err(_) => {
                reader.problem(join(prefix, key), format!("{path} isn't text"), SECRET_HINT);
                return None;
            }
        }
    } else {
        let key = "client_secret_env";
        let variable = reader.needed(table, prefix, key, SECRET_HINT)?;
        match std::env::var(&variable).map(Zeroizing::new) {
            Ok(text) => (key, Secret::new(&text)),
            // The error of text that isn't Unicode holds the text.
            Err(error) => {
                let reason = match error {
                    std::env::VarError::NotPresent => "isn't set",
                    std::env::VarError::NotUnicode(_) => "isn't text",
                };
                reader.problem(join(prefix, key), format!("the environment variable {variable} {reason}"), SECRET_HINT);
                return None;
            }
        }
    };
    if secret.is_empty() {
        reader.problem(join(prefix, key), "the secret is empty", SECRET_HINT);
        return None;
    }
    Some(ClientSecret { secret, expires: expires? })
}

/// `client_secret_expires`: a TOML date, or the same as a text. None: it is wrong.
#[expect(clippy::option_option, reason = "wrong, left out, or a date")]
fn expires(reader: &mut Reader, table: &Table, prefix: &str) -> Option<Option<Date>> {
    let key = "client_secret_expires";
    let hint = "the day that Entra shows under Certificates & secrets: client_secret_expires = 2027-01-31";
    let text = match table.get(key) {
        None => return Some(None),
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Datetime(moment)) => moment.to_string(),
        Some(other) => {
            let message = format!("expected a date, found {}", other.type_str());
            reader.problem(join(prefix, key), message, hint);
            return None;
        }
    };
    match Date::parse(&text, format_description!("[year]-[month]-[day]")) {
        Ok(date) => Some(Some(date)),
        Err(_) => {
            reader.problem(join(prefix, key), format!("{text:?} isn't a date of the form YYYY-MM-DD"), hint);
            None
        }
    }
}

fn certificates(
    reader: &mut Reader,
    table: &Table,
    prefix: &str,
    audience: Option<Audience>,
) -> Option<SigningCertificates> {
    let algorithm = algorithm(reader, table, prefix);
    let certificate_files = paths(reader, table, prefix, "certificate_file");
    let key_files = paths(reader, table, prefix, "private_key_file");
    let (certificate_files, key_files) = (certificate_files?, key_files?);
    if certificate_files.len() != key_files.len() {
        let message = format!("it names {} files, certificate_file {}", key_files.len(), certificate_files.len());
        let hint = "a key for each certificate, in the same order; both may be in one file";
        reader.problem(join(prefix, "private_key_file"), message, hint);
        return None;
    }
    let mut certificates: Vec<Arc<Certificate>> = Vec::new();
    let mut good = true;
    for (certificate_file, key_file) in certificate_files.iter().zip(&key_files) {
        match certificate(reader, prefix, certificate_file, key_file) {
            Some(certificate) if certificates.iter().any(|other| other.thumbprint() == certificate.thumbprint()) => {
                let message = format!("{certificate_file} is the same certificate again");
                reader.problem(join(prefix, "certificate_file"), message, "the present one and its successor");
                good = false;
            }
            Some(certificate) => certificates.push(Arc::new(certificate)),
            None => good = false,
        }
    }
    if !good || all_expired(reader, prefix, &certificates) {
        return None;
    }
    Some(SigningCertificates { certificates, algorithm: algorithm?, audience: audience? })
}

fn certificate(reader: &mut Reader, prefix: &str, certificate_file: &str, key_file: &str) -> Option<Certificate> {
    let hint = "PEM files; a path counts from the configuration's folder";
    let certificate_pem = read_file(reader, prefix, "certificate_file", certificate_file, hint);
    let key_pem = read_file(reader, prefix, "private_key_file", key_file, hint);
    match Certificate::parse(&certificate_pem?, &key_pem?) {
        Ok(certificate) => Some(certificate),
        Err(error) => {
            let (key, file) = if error.is_of_certificate() {
                ("certificate_file", certificate_file)
            } else {
                ("private_key_file", key_file)
            };
            reader.problem(join(prefix, key), format!("{file}: {error}"), error.hint());
            None
        }
    }
}

/// One expired certificate of two is a warning, in the log and by `check`; with none left nobody could sign in.
fn all_expired(reader: &mut Reader, prefix: &str, certificates: &[Arc<Certificate>]) -> bool {
    let now_unix_s = SystemClock.now_unix_ms() / 1000;
    let Some(last) = certificates.iter().map(|certificate| certificate.not_after_unix_s()).max() else { return false };
    let all = certificates.iter().all(|certificate| certificate.validity(now_unix_s) == Validity::Expired);
    if all {
        let what = if certificates.len() == 1 { "the certificate" } else { "the last of the certificates" };
        reader.problem(
            join(prefix, "certificate_file"),
            format!("{what} expired on {}", crate::credential::date(last)),
            "make a new one, register it with the provider (Entra: Certificates & secrets) and name it here",
        );
    }
    all
}

fn algorithm(reader: &mut Reader, table: &Table, prefix: &str) -> Option<AssertionAlgorithm> {
    let key = "client_assertion_algorithm";
    if !table.contains_key(key) {
        return Some(AssertionAlgorithm::default());
    }
    let text = reader.text(table, prefix, key)?;
    let found = AssertionAlgorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == text);
    if found.is_none() {
        reader.problem(
            join(prefix, key),
            format!("{text:?} is no algorithm for assertions"),
            "\"PS256\", or \"RS256\" for providers that know certificates by their SHA-1 only",
        );
    }
    found
}

/// Whom assertions are for: never taken from a document.
fn audience(reader: &mut Reader, table: &Table, prefix: &str, about: &About<'_>) -> Option<Audience> {
    let key = "client_assertion_audience";
    let hint = "the issuer, or the token endpoint's URL, as the provider expects it";
    let written = match table.get(key) {
        None => None,
        Some(_) => Some(reader.needed(table, prefix, key, hint)?),
    };
    match (about.kind?, written) {
        (ProviderKind::Microsoft, None) => {
            let tenant = table.get("tenant").and_then(Value::as_str);
            Audience::entra(about.base_url?, tenant)
        }
        (ProviderKind::Microsoft, Some(_)) => {
            let message = "it is for kind = \"oidc\" only: Entra's is the token endpoint of base_url";
            reader.problem(join(prefix, key), message, "leave it out");
            None
        }
        (ProviderKind::Oidc, None) => Some(Audience::issuer(about.base_url?)),
        (ProviderKind::Oidc, Some(audience)) => {
            let is_url = Url::parse(&audience).is_ok_and(|url| url.has_host() && url.fragment().is_none());
            if !is_url {
                reader.problem(join(prefix, key), format!("{audience:?} isn't a URL"), hint);
            }
            is_url.then(|| Audience::configured(&audience))
        }
    }
}

/// A path, or a list of at most two.
fn paths(reader: &mut Reader, table: &Table, prefix: &str, key: &str) -> Option<Vec<String>> {
    let hint = "a path, or a list of two while one certificate takes over from the other";
    let items: Vec<Value> = match table.get(key) {
        None => {
            let other = if key == "certificate_file" { "private_key_file" } else { "certificate_file" };
            let message = format!("missing, while {other} is there");
            reader.problem(join(prefix, key), message, "both belong together; they may name the same file");
            return None;
        }
        Some(Value::Array(items)) => items.clone(),
        Some(one) => vec![one.clone()],
    };
    let texts: Option<Vec<String>> = items
        .iter()
        .map(|item| item.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned))
        .collect();
    match texts {
        Some(texts) if (1..=MAX_CERTIFICATES).contains(&texts.len()) => Some(texts),
        Some(texts) => {
            let message = format!("it names {} files, expected one or two", texts.len());
            reader.problem(join(prefix, key), message, hint);
            None
        }
        None => {
            reader.problem(join(prefix, key), "expected a path in quotes, or a list of them", hint);
            None
        }
    }
}

fn read_file(reader: &mut Reader, prefix: &str, key: &str, file: &str, hint: &str) -> Option<Zeroizing<Vec<u8>>> {
    let path = reader.resolve(file);
    match read_bounded(&path) {
        Ok(bytes) if bytes.len() as u64 <= MAX_FILE_BYTES => Some(bytes),
        Ok(_) => {
            let message = format!("{} has more than {MAX_FILE_BYTES} bytes", path.display());
            reader.problem(join(prefix, key), message, hint);
            None
        }
        Err(error) => {
            reader.problem(join(prefix, key), format!("{} can't be read: {error}", path.display()), hint);
            None
        }
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    std::fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
