//! Who this host is at Core: an API token, or the session of a service account. The secret is read from its file when it is
//! needed first, and again when Core says 401: so a token can be replaced while the host runs.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use reqwest::header::{AUTHORIZATION, COOKIE, HeaderName, HeaderValue};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::error::{Failure, Shown};
use crate::config::Secret;

/// Bytes of a token or password.
const MAX_SECRET_BYTES: usize = 4096;

/// Who this host is at Core.
#[derive(Debug, Clone)]
pub enum CoreCredential {
    /// An administrator's API token, `dg-…`.
    Token(SecretSource),
    /// A service account without second factor.
    Account {
        /// Its user name.
        username: String,
        /// Its password.
        password: SecretSource,
    },
}

/// Where a secret is.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// In a file, which may change.
    File(PathBuf),
    /// In an environment variable, read at start.
    Value(Secret),
}

impl SecretSource {
    /// The secret as it is now.
    pub(super) async fn read(&self) -> Result<Secret, Failure> {
        let path = match self {
            Self::Value(secret) => return Ok(secret.clone()),
            Self::File(path) => path,
        };
        let unusable = |reason: &str| Failure::Credential(format!("{} {reason}", path.display()));
        let unreadable = |error: std::io::Error| unusable(&format!("can't be read: {error}"));
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        // No reallocation leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_SECRET_BYTES + 1));
        file.take(MAX_SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| unusable("isn't text"))?;
        let secret = Secret::new(text);
        if bytes.len() > MAX_SECRET_BYTES {
            Err(unusable("has more than 4096 bytes: that is no secret of Core's"))
        } else if secret.is_empty() {
            Err(unusable("is empty"))
        } else {
            Ok(secret)
        }
    }
}

/// What a request shows: a header, and which of several it is.
#[derive(Clone)]
pub(super) struct Proof {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
    pub(super) shown: Shown,
    number: u64,
}

impl Proof {
    pub(super) fn token(token: &Secret) -> Result<Self, Failure> {
        let value = Zeroizing::new(format!("Bearer {}", token.expose()));
        Self::new(AUTHORIZATION, &value, Shown::Token)
            .ok_or_else(|| Failure::Credential("the API token isn't one line of visible ASCII".into()))
    }

    pub(super) fn session(id: &Secret) -> Result<Self, Failure> {
        let value = Zeroizing::new(format!("{SESSION_COOKIE}={}", id.expose()));
        Self::new(COOKIE, &value, Shown::Session)
            .ok_or_else(|| Failure::Malformed("its session cookie isn't one".into()))
    }

    fn new(name: HeaderName, value: &str, shown: Shown) -> Option<Self> {
        let mut value = HeaderValue::from_str(value).ok()?;
        // HTTP/2 keeps it out of its tables, and debug output out of logs.
        value.set_sensitive(true);
        Some(Self { name, value, shown, number: 0 })
    }
}

/// Core's session cookie.
pub(super) const SESSION_COOKIE: &str = "defguard_session";

/// The session's id in a `Set-Cookie` header, if it is that cookie.
pub(super) fn session_in(set_cookie: &str) -> Option<Secret> {
    let (name, value) = set_cookie.split(';').next()?.split_once('=')?;
    let is_value = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
    (name.trim() == SESSION_COOKIE && is_value).then(|| Secret::new(value))
}

/// The proof in use, and the right to get another.
#[derive(Default)]
pub(super) struct Proofs {
    current: RwLock<Option<Proof>>,
    /// One at a time gets another: fifty calls with an old session log in once.
    pub(super) renewing: tokio::sync::Mutex<()>,
}

impl Proofs {
    pub(super) fn current(&self) -> Option<Proof> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one in use, if it isn't `old`.
    pub(super) fn newer_than(&self, old: Option<&Proof>) -> Option<Proof> {
        self.current().filter(|current| old.is_none_or(|old| current.number != old.number))
    }

    /// Takes another into use. The caller holds `renewing`.
    pub(super) fn replace(&self, mut proof: Proof) -> Proof {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        proof.number = current.as_ref().map_or(1, |old| old.number + 1);
        *current = Some(proof.clone());
        proof
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_a_secret_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let source = SecretSource::File(path.clone());
        let read =
            async || source.read().await.map(|secret| secret.expose().to_owned()).map_err(|error| error.to_string());
        let long = "x".repeat(5000);
        for (name, content, expected) in [
            ("a token", Some(b"dg-abc\n".as_slice()), Ok("dg-abc")),
            ("another, later", Some(b"dg-def"), Ok("dg-def")),
            ("nothing", Some(b" \n"), Err("is empty")),
            ("no text", Some(&[0xff, 0xfe]), Err("isn't text")),
            ("too much", Some(long.as_bytes()), Err("more than 4096 bytes")),
            ("no file", None, Err("can't be read")),
        ] {
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            match (read().await, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
                (Err(found), Err(expected)) => {
                    assert!(found.contains(expected) && found.contains("token"), "{name}: {found}");
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[test]
    fn cookies_of_core() {
        let id = |text: &str| session_in(text).map(|id| id.expose().to_owned());
        assert_eq!(id("defguard_session=abc; Path=/; HttpOnly; Secure"), Some("abc".into()));
        for other in ["other=abc", "defguard_session=", "defguard_session", "", "defguard_session=a b"] {
            assert_eq!(id(other), None, "{other}");
        }
    }

    #[test]
    fn proofs_print_nothing() {
        let proof = Proof::token(&Secret::new("dg-hunter2")).unwrap();
        assert!(!format!("{:?}", proof.value).contains("hunter2"));
        assert!(Proof::token(&Secret::new("dg\nhunter2")).is_err());
    }
}
