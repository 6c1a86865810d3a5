//! A federated credential: a JWT that another issuer made for this workload (Kubernetes, a cloud's metadata agent) and
//! renews in a file. It is read at every use and never kept; what can be said about it without its issuer's key is said.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::expiry::date_and_time;
use crate::config::Secret;

/// The largest token, in bytes.
const MAX_BYTES: usize = 16 << 10;

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FederatedToken {
    path: PathBuf,
    audience: Option<String>,
}

/// Why there is no usable token now. Nothing of the token is in the texts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The system's words.
    #[error("{0} can't be read: {1}")]
    Unreadable(PathBuf, String),
    /// Nothing in it.
    #[error("{0} is empty: does the issuer's agent write it?")]
    Empty(PathBuf),
    /// More than [`MAX_BYTES`].
    #[error("{0} has more than {MAX_BYTES} bytes: that is no token")]
    TooLarge(PathBuf),
    /// Not the compact form of RFC 7519.
    #[error("{0} doesn't hold a JWT: {1}")]
    NotJwt(PathBuf, &'static str),
    /// RFC 7519 section 4.1.4.
    #[error("the token in {0} expired at {1}: does the issuer's agent still renew it?")]
    Expired(PathBuf, String),
    /// RFC 7519 section 4.1.3: it is for somebody else, or for another of Microsoft's clouds.
    #[error("the token in {0} isn't for {1:?}: compare the issuer's audience with `cloud`, or set federated_audience")]
    Audience(PathBuf, String),
}

impl FederatedToken {
    /// The token of that file, whatever it is at the time.
    pub fn new(path: PathBuf) -> Self {
        Self { path, audience: None }
    }

    /// With the `aud` that its token must name.
    #[must_use]
    pub fn for_audience(mut self, audience: Option<String>) -> Self {
        self.audience = audience;
        self
    }

    /// Where.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token as it is now.
    pub async fn read(&self, now_unix_s: u64) -> Result<Secret, TokenError> {
        let unreadable = |error: std::io::Error| TokenError::Unreadable(self.path.clone(), error.to_string());
        let file = tokio::fs::File::open(&self.path).await.map_err(unreadable)?;
        // No reallocation leaves a copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes).await.map_err(unreadable)?;
        if bytes.len() > MAX_BYTES {
            return Err(TokenError::TooLarge(self.path.clone()));
        }
        let Ok(text) = std::str::from_utf8(&bytes) else {
            return Err(TokenError::NotJwt(self.path.clone(), "it isn't text"));
        };
        let token = Secret::new(text);
        if token.is_empty() {
            return Err(TokenError::Empty(self.path.clone()));
        }
        let claims = claims(token.expose()).map_err(|reason| TokenError::NotJwt(self.path.clone(), reason))?;
        if let Some(audience) = &self.audience
            && !names(claims.get("aud"), audience)
        {
            return Err(TokenError::Audience(self.path.clone(), audience.clone()));
        }
        match expiry(&claims) {
            Some(expires) if expires <= now_unix_s => {
                Err(TokenError::Expired(self.path.clone(), date_and_time(expires)))
            }
            _ => Ok(token),
        }
    }
}

/// Whether `aud` is this, or lists it.
fn names(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(found)) => found == audience,
        Some(Value::Array(list)) => list.iter().any(|found| found.as_str() == Some(audience)),
        _ => false,
    }
}

/// The token's claims; the form is checked, the signature is its issuer's and the provider's business.
fn claims(token: &str) -> Result<Map<String, Value>, &'static str> {
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("expected three parts with dots between them");
    };
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok().filter(|bytes| !bytes.is_empty()).map(Zeroizing::new);
    let (Some(header), Some(payload), Some(_)) = (decode(header), decode(payload), decode(signature)) else {
        return Err("expected base64url in each of its three parts");
    };
    let object = |json: &[u8]| serde_json::from_slice::<Map<String, Value>>(json).ok();
    let (Some(_), Some(payload)) = (object(&header), object(&payload)) else {
        return Err("its header and payload aren't JSON objects");
    };
    Ok(payload)
}

/// The token's `exp`, if it names one.
fn expiry(claims: &Map<String, Value>) -> Option<u64> {
    // Whole seconds are enough; a fraction is allowed (RFC 7519 section 2, NumericDate).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates: 0 is past, the maximum to come"
    )]
    let seconds = |value: &Value| value.as_u64().or_else(|| value.as_f64().map(|seconds| seconds as u64));
    claims.get("exp").and_then(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_UNIX_S: u64 = 1_782_864_000;

    fn jwt(payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{}", encode(r#"{"alg":"RS256"}"#), encode(payload), encode("signature"))
    }

    #[tokio::test]
    async fn what_is_in_the_file_and_what_comes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let token = FederatedToken::new(folder.path().join("token"));
        let good = jwt(r#"{"sub":"marker","exp":1782864001}"#);
        let table: [(&str, Vec<u8>, Result<&str, &str>); 17] = [
            ("a token", good.clone().into(), Ok(&good)),
            ("white space around it", format!(" {good}\r\n\n").into(), Ok(&good)),
            ("empty", Vec::new(), Err("is empty")),
            ("white space only", b" \n".to_vec(), Err("is empty")),
            ("as large as can be, and no token", vec![b'x'; MAX_BYTES], Err("three parts")),
            ("too large", vec![b'x'; MAX_BYTES + 1], Err("more than 16384 bytes")),
            ("not text", vec![0xff, 0xfe], Err("isn't text")),
            ("two parts", b"marker.e30".to_vec(), Err("three parts")),
            ("five parts, as encrypted ones have", b"e30.e30.e30.e30.e30".to_vec(), Err("three parts")),
            ("an empty part", b"e30.e30.".to_vec(), Err("base64url")),
            ("padding", b"e30=.e30.e30".to_vec(), Err("base64url")),
            ("the other alphabet", b"e30.e30.+/+/".to_vec(), Err("base64url")),
            ("a line break inside", b"e30.e3\n0.e30".to_vec(), Err("base64url")),
            ("no JSON", b"e30.bWFya2Vy.e30".to_vec(), Err("JSON objects")),
            ("expired", jwt(r#"{"sub":"marker","exp":1782863999}"#).into(), Err("expired at 2026-06-30T23:59:59Z")),
            (
                "expiring now",
                jwt(r#"{"sub":"marker","exp":1782864000}"#).into(),
                Err("expired at 2026-07-01T00:00:00Z"),
            ),
            ("expired half a second ago", jwt(r#"{"sub":"marker","exp":1782863999.5}"#).into(), Err("expired at")),
        ];
        for (name, content, expected) in table {
            std::fs::write(token.path(), content).unwrap();
            match (token.read(NOW_UNIX_S).await, expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found.expose(), expected, "{name}"),
                (Err(error), Err(expected)) => {
                    let text = error.to_string();
                    assert!(text.contains(expected) && text.contains("token"), "{name}: {text}");
                    assert!(
                        !text.contains("marker") && !text.contains("e30") && !text.contains("eyJ"),
                        "{name}: {text}"
                    );
                }
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }

    #[tokio::test]
    async fn whom_it_is_for() {
        let folder = tempfile::tempdir().unwrap();
        let ours = "api://AzureADTokenExchange";
        for (name, payload, good) in [
            ("ours", format!(r#"{{"aud":"{ours}"}}"#), true),
            ("ours in a list", format!(r#"{{"aud":["x","{ours}"]}}"#), true),
            ("another cloud's", format!(r#"{{"aud":"{ours}China"}}"#), false),
            ("a list without ours", r#"{"aud":["x"]}"#.to_owned(), false),
            ("nobody's", "{}".to_owned(), false),
            ("a number", r#"{"aud":1}"#.to_owned(), false),
        ] {
            let path = folder.path().join("token");
            std::fs::write(&path, jwt(&payload)).unwrap();
            let token = FederatedToken::new(path).for_audience(Some(ours.to_owned()));
            let found = token.read(NOW_UNIX_S).await;
            assert_eq!(found.is_ok(), good, "{name}: {found:?}");
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let token = FederatedToken::new(folder.path().join("no-such-token"));
        let text = token.read(NOW_UNIX_S).await.unwrap_err().to_string();
        assert!(text.contains("no-such-token") && text.contains("can't be read"), "{text}");
        let text = FederatedToken::new(folder.path().into()).read(NOW_UNIX_S).await.unwrap_err().to_string();
        assert!(text.contains("can't be read"), "a folder: {text}");
    }

    #[tokio::test]
    async fn every_use_reads_the_file_again() {
        let folder = tempfile::tempdir().unwrap();
        let token = FederatedToken::new(folder.path().join("token"));
        for payload in [r#"{"jti":"1"}"#, r#"{"jti":"2","exp":4102444800}"#] {
            // As Kubernetes does: a new file takes the old one's name.
            let new = folder.path().join("new");
            std::fs::write(&new, jwt(payload)).unwrap();
            std::fs::rename(&new, token.path()).unwrap();
            assert_eq!(token.read(NOW_UNIX_S).await.unwrap().expose(), jwt(payload));
        }
    }
}
