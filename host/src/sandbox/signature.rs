//! Whose plugins are loaded: detached signatures in the format of minisign(1), checked over the exact bytes before anything
//! reads them. The trusted comment is signed too. It says what was signed and when, so that neither another file of the same key
//! nor an older release takes the plugin's place.

use std::fmt;

use minisign_verify::{Error, PublicKey, Signature};

/// What begins a trusted comment of `plugin sign`.
pub const PURPOSE: &str = "defguard-openid";
/// The longest signature file, in bytes: four lines.
pub const MAX_SIGNATURE_BYTES: u64 = 4 << 10;

/// A public key whose plugins are loaded.
#[derive(Clone)]
pub struct TrustedKey {
    text: String,
    key: PublicKey,
}

impl TrustedKey {
    /// Parses the second line of `minisign.pub`: `RW…`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match PublicKey::from_base64(text) {
            Ok(key) => Ok(Self { text: text.to_owned(), key }),
            Err(error) => Err(format!("{text:?} is no minisign public key: {error}")),
        }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PartialEq for TrustedKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Whose plugins are loaded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trust {
    /// Several, while one takes over from another.
    pub keys: Vec<TrustedKey>,
    /// Whether a file without a signature is loaded as well: development on one's own machine.
    pub unsigned_allowed: bool,
}

/// What a signature says of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedAs {
    /// The key that signed it.
    pub key: String,
    /// Seconds since 1970, by the signer's clock.
    pub signed_at_unix_s: u64,
    /// What the plugin calls itself, with its version; of minisign's own comments nothing.
    pub named: Option<(String, String)>,
}

/// Why a signature isn't one that is trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The file has none.
    #[error("has no signature: {0} isn't there; `defguard-openid plugin sign` makes it")]
    Missing(String),
    /// It was loaded when none was needed.
    #[error("was loaded without a signature, and the configuration asks for one now")]
    Unchecked,
    /// No key is configured.
    #[error(
        "can't be trusted: the configuration has no plugins.trusted_keys (on one's own machine plugins.unsigned = \"allow\" does without)"
    )]
    NoKeys,
    /// It can't be read as one.
    #[error("has a signature that can't be read: {0}")]
    Malformed(String),
    /// By a key that isn't trusted.
    #[error("is signed by a key that isn't among plugins.trusted_keys ({0})")]
    OtherKey(String),
    /// A former format, which isn't made any more.
    #[error(
        "has a signature in minisign's legacy format: sign it again with minisign 0.11 or later, or `defguard-openid plugin sign`"
    )]
    Legacy,
    /// Of other bytes.
    #[error("isn't what was signed: it was altered or cut off, or the signature is another file's")]
    Altered,
    /// The trusted comment says too little, or of something else.
    #[error("has a signature for something else: its trusted comment {0}")]
    Purpose(String),
}

impl SignatureError {
    /// A stable name, for metrics and `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::Unchecked => "signature_missing",
            Self::NoKeys => "signature_no_keys",
            Self::Malformed(_) => "signature_malformed",
            Self::OtherKey(_) => "signature_other_key",
            Self::Legacy => "signature_legacy",
            Self::Altered => "signature_altered",
            Self::Purpose(_) => "signature_purpose",
        }
    }
}

impl Trust {
    /// Checks a signature over `bytes`. `Ok(None)`: there is none, and none is needed. `file` is the name of the plugin's file.
    pub fn check(&self, file: &str, bytes: &[u8], signature: Option<&str>) -> Result<Option<SignedAs>, SignatureError> {
        let signature = match (signature, self.keys.is_empty()) {
            (Some(signature), false) => signature,
            // A signature that nobody can check is as good as none.
            _ if self.unsigned_allowed => return Ok(None),
            (_, true) => return Err(SignatureError::NoKeys),
            (None, false) => return Err(SignatureError::Missing(format!("{file}.minisig"))),
        };
        let malformed = |error: Error| SignatureError::Malformed(error.to_string());
        let signature = Signature::decode(signature).map_err(malformed)?;
        for trusted in &self.keys {
            match trusted.key.verify(bytes, &signature, false) {
                Ok(()) => return signed_as(&trusted.text, file, bytes, signature.trusted_comment()).map(Some),
                Err(Error::UnexpectedKeyId) => {}
                Err(Error::UnexpectedAlgorithm | Error::UnsupportedAlgorithm) => return Err(SignatureError::Legacy),
                Err(_) => return Err(SignatureError::Altered),
            }
        }
        Err(self.other_key())
    }

    /// Whether a plugin that was checked before, perhaps under other keys, would be loaded now.
    pub fn still_trusts(&self, signed: Option<&SignedAs>) -> Result<(), SignatureError> {
        match signed {
            Some(signed) if self.keys.iter().any(|trusted| trusted.text == signed.key) => Ok(()),
            // As above: a signature that nobody can check is as good as none.
            Some(_) if self.unsigned_allowed && self.keys.is_empty() => Ok(()),
            None if self.unsigned_allowed => Ok(()),
            _ if self.keys.is_empty() => Err(SignatureError::NoKeys),
            Some(_) => Err(self.other_key()),
            None => Err(SignatureError::Unchecked),
        }
    }

    fn other_key(&self) -> SignatureError {
        SignatureError::OtherKey(self.keys.iter().map(TrustedKey::as_str).collect::<Vec<_>>().join(", "))
    }
}

/// The trusted comment as `plugin sign` writes it.
pub fn trusted_comment(name: &str, version: &str, bytes: &[u8], now_unix_s: u64) -> String {
    format!("{PURPOSE} name={name} version={version} sha256={} timestamp={now_unix_s}", super::sha256_hex(bytes))
}

/// Reads a trusted comment that was verified: `plugin sign`'s, or minisign's own (`timestamp:… file:… hashed`), of which the
/// file's name must be this one's.
fn signed_as(key: &str, file: &str, bytes: &[u8], comment: &str) -> Result<SignedAs, SignatureError> {
    let purpose = |what: &str| SignatureError::Purpose(format!("{comment:?} {what}"));
    let ours = comment.split_ascii_whitespace().next() == Some(PURPOSE);
    let separator = if ours { '=' } else { ':' };
    let value = |name: &str| {
        comment
            .split_ascii_whitespace()
            .find_map(|word| word.split_once(separator).filter(|(key, _)| *key == name).map(|(_, value)| value))
    };
    let signed_at = value("timestamp").and_then(|text| text.parse().ok());
    let signed_at_unix_s = signed_at.ok_or_else(|| purpose("has no timestamp"))?;
    if !ours {
        let named = value("file").ok_or_else(|| purpose("names neither a plugin nor a file"))?;
        if named != file {
            return Err(purpose(&format!("names another file than {file}")));
        }
        return Ok(SignedAs { key: key.to_owned(), signed_at_unix_s, named: None });
    }
    if value("sha256").is_some_and(|hash| hash != super::sha256_hex(bytes)) {
        return Err(purpose("has another sha256"));
    }
    let named = value("name").zip(value("version")).ok_or_else(|| purpose("has no name and version"))?;
    Ok(SignedAs { key: key.to_owned(), signed_at_unix_s, named: Some((named.0.to_owned(), named.1.to_owned())) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use minisign::KeyPair;

    fn keys() -> (KeyPair, TrustedKey) {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let trusted = TrustedKey::parse(&pair.pk.to_base64()).unwrap();
        (pair, trusted)
    }

    fn sign(pair: &KeyPair, bytes: &[u8], comment: &str) -> String {
        minisign::sign(None, &pair.sk, bytes, Some(comment), None).unwrap().into_string()
    }

    #[test]
    fn what_was_trusted_once() {
        let ((_, first), (_, second)) = (keys(), keys());
        let by = |key: &TrustedKey| SignedAs { key: key.as_str().to_owned(), signed_at_unix_s: 1, named: None };
        let (signed, other) = (by(&first), by(&second));
        let trust = |keys: &[&TrustedKey], unsigned_allowed| Trust {
            keys: keys.iter().map(|key| (*key).clone()).collect(),
            unsigned_allowed,
        };
        let code = |trust: &Trust, signed| trust.still_trusts(signed).err().map(|error| error.code());
        let table = [
            ("its key is there", trust(&[&second, &first], false), Some(&signed), None),
            ("its key is gone", trust(&[&second], false), Some(&signed), Some("signature_other_key")),
            ("its key is gone, unsigned ones may", trust(&[&second], true), Some(&signed), Some("signature_other_key")),
            ("all keys are gone", trust(&[], false), Some(&other), Some("signature_no_keys")),
            ("all keys are gone, and none is needed", trust(&[], true), Some(&other), None),
            ("it has none, and needs none", trust(&[&first], true), None, None),
            ("it has none, and needs one", trust(&[&first], false), None, Some("signature_missing")),
        ];
        for (case, trust, signed, expected) in table {
            assert_eq!(code(&trust, signed), expected, "{case}");
        }
    }

    #[test]
    fn what_is_trusted() {
        let ((first, first_key), (second, second_key), (stranger, _)) = (keys(), keys(), keys());
        let trust = Trust { keys: vec![first_key, second_key], unsigned_allowed: false };
        let ours = trusted_comment("defguard-openid", "1.2.3", b"plugin", 1_700_000_000);
        let good = sign(&first, b"plugin", &ours);
        let altered_comment = good.replace("version=1.2.3", "version=9.2.3");
        let lines: Vec<&str> = good.lines().collect();
        let legacy = {
            use base64::Engine as _;
            let mut raw = base64::engine::general_purpose::STANDARD.decode(lines[1]).unwrap();
            raw[..2].copy_from_slice(b"Ed");
            good.replace(lines[1], &base64::engine::general_purpose::STANDARD.encode(raw))
        };
        let table: [(&str, &[u8], Option<String>, &str); 14] = [
            ("the first key", b"plugin", Some(good.clone()), ""),
            ("the second key", b"plugin", Some(sign(&second, b"plugin", &ours)), ""),
            (
                "minisign's own comment",
                b"plugin",
                Some(sign(&first, b"plugin", "timestamp:17\tfile:a.wasm\thashed")),
                "",
            ),
            ("none", b"plugin", None, "signature_missing"),
            ("a stranger's key", b"plugin", Some(sign(&stranger, b"plugin", &ours)), "signature_other_key"),
            ("an altered file", b"plugIn", Some(good.clone()), "signature_altered"),
            ("a file cut off", b"plug", Some(good.clone()), "signature_altered"),
            ("an altered comment", b"plugin", Some(altered_comment), "signature_altered"),
            ("half a signature", b"plugin", Some(good[..good.len() / 2].to_owned()), "signature_malformed"),
            ("legacy", b"plugin", Some(legacy), "signature_legacy"),
            (
                "another file's comment",
                b"plugin",
                Some(sign(&first, b"plugin", "timestamp:17\tfile:b.wasm\thashed")),
                "signature_purpose",
            ),
            ("a comment without a time", b"plugin", Some(sign(&first, b"plugin", "file:a.wasm")), "signature_purpose"),
            (
                "a comment of another product",
                b"plugin",
                Some(sign(&first, b"plugin", "release timestamp:17")),
                "signature_purpose",
            ),
            (
                "a comment with another hash",
                b"plugin",
                Some(sign(&first, b"plugin", &trusted_comment("a", "1", b"other", 17))),
                "signature_purpose",
            ),
        ];
        for (name, bytes, signature, expected) in table {
            let found = trust.check("a.wasm", bytes, signature.as_deref());
            assert_eq!(found.as_ref().map_or_else(SignatureError::code, |_| ""), expected, "{name}: {found:?}");
        }
        let signed = trust.check("a.wasm", b"plugin", Some(&good)).unwrap().unwrap();
        assert_eq!(signed.signed_at_unix_s, 1_700_000_000);
        assert_eq!(signed.named, Some(("defguard-openid".to_owned(), "1.2.3".to_owned())));
    }

    #[test]
    fn without_keys_nothing_is_trusted_unless_all_is() {
        let (pair, key) = keys();
        let signature = sign(&pair, b"plugin", &trusted_comment("a", "1", b"plugin", 17));
        let nobody = Trust::default();
        assert_eq!(nobody.check("a.wasm", b"plugin", Some(&signature)), Err(SignatureError::NoKeys));
        let anybody = Trust { unsigned_allowed: true, ..Trust::default() };
        assert_eq!(anybody.check("a.wasm", b"plugin", Some("rubbish")), Ok(None));
        let both = Trust { keys: vec![key], unsigned_allowed: true };
        assert_eq!(both.check("a.wasm", b"plugin", None), Ok(None));
        assert_eq!(
            both.check("a.wasm", b"plugIn", Some(&signature)),
            Err(SignatureError::Altered),
            "a bad one is no none"
        );
    }

    #[test]
    fn what_is_no_key() {
        for text in ["", "RW", "untrusted comment: minisign public key", "ssh-ed25519 AAAA"] {
            assert!(TrustedKey::parse(text).is_err(), "{text}");
        }
    }
}
