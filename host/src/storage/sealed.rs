//! Encryption at rest, over any backend. Each value is sealed with AES-256-GCM under a key of its own, derived from the configured one and
//! 32 random bytes (HKDF, RFC 5869), so no nonce is used twice however many values there are. Namespace and name are authenticated
//! with it: a value that was moved to another name doesn't open. Names, sizes and times stay readable.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::{Entry, Key, Namespace, Renewed, Storage, StorageError};

/// What a sealed value begins with.
const MARK: &[u8; 5] = b"DGSV\x01";
/// Bytes of a key's name in the envelope.
const KEY_NAME: usize = 4;
/// Random bytes of each value.
const SALT: usize = 32;
/// Mark, the key's name, salt: then the sealed value and its tag of 16 bytes.
const HEADER: usize = MARK.len() + KEY_NAME + SALT;
/// How often a compare-and-swap looks again after another host changed the same value to what it was.
const ATTEMPTS: usize = 8;
/// Entries that are looked at together while everything is sealed anew.
const PAGE: usize = 256;

/// A key of 256 bits. It can't be printed.
#[derive(Clone)]
pub struct SealingKey {
    bytes: Zeroizing<[u8; 32]>,
    name: [u8; KEY_NAME],
}

impl SealingKey {
    /// From base64 with or without padding: `openssl rand -base64 32` makes one.
    pub fn parse(text: &str) -> Result<Self, String> {
        let hint = "`openssl rand -base64 32` makes one";
        let engine = base64::engine::GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            base64::engine::GeneralPurposeConfig::new()
                .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
        );
        let decoded = Zeroizing::new(engine.decode(text.trim()).map_err(|_| format!("it isn't base64; {hint}"))?);
        let bytes: [u8; 32] =
            decoded.as_slice().try_into().map_err(|_| format!("it has {} bytes, not 32; {hint}", decoded.len()))?;
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let mut name = [0; KEY_NAME];
        name.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Ok(Self { bytes: Zeroizing::new(bytes), name })
    }

    /// Tells keys apart without showing them: the beginning of the key's SHA-256.
    pub fn name(&self) -> String {
        shown(&self.name)
    }

    /// Whether it sealed this.
    fn sealed(&self, stored: &[u8]) -> bool {
        stored.strip_prefix(MARK).is_some_and(|rest| rest.starts_with(&self.name))
    }

    /// The key of one value.
    fn derived(&self, salt: &[u8]) -> Result<LessSafeKey, StorageError> {
        let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(self.bytes.as_slice());
        let expanded = extracted.expand(&[b"defguard-openid storage 1"], &AES_256_GCM).map_err(|_| broken("no key"))?;
        Ok(LessSafeKey::new(UnboundKey::from(expanded)))
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "[key {}]", self.name())
    }
}

impl PartialEq for SealingKey {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for SealingKey {}

/// How values are protected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Protection {
    /// What seals, and opens. `None`: values are stored as they are.
    pub key: Option<SealingKey>,
    /// What opens only: the key before.
    pub previous_key: Option<SealingKey>,
    /// Whether values that aren't sealed are read all the same: for the time after a first key was configured.
    pub accept_unencrypted: bool,
}

/// A storage whose values are sealed.
pub struct Sealed {
    inner: Arc<dyn Storage>,
    protection: Protection,
    random: SystemRandom,
}

impl Sealed {
    /// Over a storage. Without a key it only sees to it that nobody takes sealed values for plain ones.
    pub fn new(inner: Arc<dyn Storage>, protection: Protection) -> Self {
        Self { inner, protection, random: SystemRandom::new() }
    }

    fn seal(&self, place: &str, value: Vec<u8>) -> Result<Vec<u8>, StorageError> {
        let Some(key) = &self.protection.key else { return Ok(value) };
        let mut salt = [0; SALT];
        self.random.fill(&mut salt).map_err(|_| broken("the system has no randomness"))?;
        let mut body = value;
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]); // the key is this value's alone
        key.derived(&salt)?
            .seal_in_place_append_tag(nonce, Aad::from(place.as_bytes()), &mut body)
            .map_err(|_| broken("a value can't be encrypted"))?;
        Ok([MARK.as_slice(), &key.name, &salt, &body].concat())
    }

    fn open(&self, place: &str, stored: Vec<u8>) -> Result<Vec<u8>, StorageError> {
        if !stored.starts_with(MARK) {
            return match &self.protection {
                Protection { key: Some(_), accept_unencrypted: false, .. } => Err(StorageError::Unavailable(format!(
                    "{place} isn't encrypted, though there is a key: storage.accept_unencrypted = true reads what was stored before"
                ))),
                _ => Ok(stored),
            };
        }
        let (header, body) = stored.split_at_checked(HEADER).ok_or_else(|| damaged(place))?;
        let (name, salt) = header.split_at_checked(MARK.len() + KEY_NAME).ok_or_else(|| damaged(place))?;
        let name = name.get(MARK.len()..).unwrap_or_default();
        let keys = [&self.protection.key, &self.protection.previous_key];
        let key = keys.into_iter().flatten().find(|key| key.name == *name).ok_or_else(|| {
            let has: Vec<String> = keys.into_iter().flatten().map(SealingKey::name).collect();
            let has =
                if has.is_empty() { "there is none".to_owned() } else { format!("there is {}", has.join(" and ")) };
            StorageError::Unavailable(format!(
                "{place} is encrypted with the key {}, and {has}: storage.key_file, or storage.previous_key_file",
                shown(name)
            ))
        })?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        let opened = key.derived(salt)?.open_in_place(nonce, Aad::from(place.as_bytes()), &mut body);
        let length = opened.map_err(|_| damaged(place))?.len();
        body.truncate(length);
        Ok(body)
    }

    fn sealed(&self, place: &str, entry: Entry) -> Result<Entry, StorageError> {
        Ok(Entry { value: self.seal(place, entry.value)?, ..entry })
    }
}

#[async_trait]
impl Storage for Sealed {
    async fn get(&self, key: &Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let stored = self.inner.get(key, now_unix_ms).await?;
        stored.map(|stored| self.open(&key.path(), stored)).transpose()
    }

    async fn put(&self, key: Key, entry: Entry, now_unix_ms: u64) -> Result<(), StorageError> {
        let entry = self.sealed(&key.path(), entry)?;
        self.inner.put(key, entry, now_unix_ms).await
    }

    async fn take(&self, key: Key, now_unix_ms: u64) -> Result<Option<Vec<u8>>, StorageError> {
        let place = key.path();
        let stored = self.inner.take(key, now_unix_ms).await?;
        stored.map(|stored| self.open(&place, stored)).transpose()
    }

    async fn compare_and_swap(
        &self,
        key: Key,
        expected: Option<Vec<u8>>,
        entry: Entry,
        now_unix_ms: u64,
    ) -> Result<bool, StorageError> {
        let place = key.path();
        let entry = self.sealed(&place, entry)?;
        // The same value is sealed to other bytes each time: compared is what is in it, swapped what is stored.
        for _ in 0..ATTEMPTS {
            let stored = self.inner.get(&key, now_unix_ms).await?;
            let opened = stored.clone().map(|stored| self.open(&place, stored)).transpose()?;
            if opened != expected {
                return Ok(false);
            }
            if self.inner.compare_and_swap(key.clone(), stored, entry.clone(), now_unix_ms).await? {
                return Ok(true);
            }
        }
        Err(StorageError::Unavailable(format!("{place} was changed by others each time")))
    }

    async fn list(
        &self,
        namespace: &Namespace,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        now_unix_ms: u64,
    ) -> Result<Vec<(String, Vec<u8>)>, StorageError> {
        let stored = self.inner.list(namespace, prefix, after, limit, now_unix_ms).await?;
        let open = |(name, stored): (String, Vec<u8>)| {
            let key = Key { namespace: namespace.clone(), name };
            let value = self.open(&key.path(), stored)?;
            Ok((key.name, value))
        };
        stored.into_iter().map(open).collect()
    }

    async fn namespaces(&self) -> Result<Vec<Namespace>, StorageError> {
        self.inner.namespaces().await
    }

    /// One value after the other, beside everything else that is done. A value that changes meanwhile is sealed by who changes it.
    async fn renew(&self, now_unix_ms: u64) -> Result<Renewed, StorageError> {
        let mut renewed = Renewed::default();
        let Some(present) = &self.protection.key else { return Ok(renewed) };
        for namespace in self.inner.namespaces().await? {
            let mut after: Option<String> = None;
            loop {
                let page = self.inner.list(&namespace, "", after.as_deref(), PAGE, now_unix_ms).await?;
                let is_last = page.len() < PAGE;
                after = page.last().map(|(name, _)| name.clone());
                for (name, stored) in page.into_iter().filter(|(_, stored)| !present.sealed(stored)) {
                    let key = Key { namespace: namespace.clone(), name };
                    let place = key.path();
                    let Ok(value) = self.open(&place, stored.clone()) else {
                        renewed.unreadable += 1;
                        continue;
                    };
                    let value = self.seal(&place, value)?;
                    renewed.sealed += u64::from(self.inner.replace(key, stored, value, now_unix_ms).await?);
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(renewed)
    }

    async fn sweep(&self, now_unix_ms: u64) -> Result<u64, StorageError> {
        self.inner.sweep(now_unix_ms).await
    }

    async fn ping(&self) -> Result<(), StorageError> {
        self.inner.ping().await
    }
}

fn shown(name: &[u8]) -> String {
    base16ct::lower::encode_string(name)
}

fn broken(what: &str) -> StorageError {
    StorageError::Unavailable(what.to_owned())
}

fn damaged(place: &str) -> StorageError {
    StorageError::Unavailable(format!("{place} was damaged, or moved there from another place: it doesn't open"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    const NOW: u64 = 1_000_000;

    fn generated(byte: u8) -> SealingKey {
        SealingKey::parse(&base64::engine::general_purpose::STANDARD.encode([byte; 32])).unwrap()
    }

    fn with(inner: &Arc<MemoryStorage>, key: Option<u8>, previous: Option<u8>, accept_unencrypted: bool) -> Sealed {
        let protection =
            Protection { key: key.map(generated), previous_key: previous.map(generated), accept_unencrypted };
        Sealed::new(Arc::clone(inner) as Arc<dyn Storage>, protection)
    }

    fn key(name: &str) -> Key {
        Key { namespace: Namespace::new("openid", "entra"), name: name.into() }
    }

    fn lasting(value: &[u8]) -> Entry {
        Entry::lasting(value.to_vec())
    }

    #[tokio::test]
    async fn what_is_stored_tells_nothing_and_is_other_bytes_each_time() {
        let inner = Arc::default();
        let sealed = with(&inner, Some(1), None, false);
        let value = b"a person's identity".repeat(3);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..20 {
            sealed.put(key("a"), lasting(&value), NOW).await.unwrap();
            let stored = inner.get(&key("a"), NOW).await.unwrap().unwrap();
            assert!(!stored.windows(6).any(|bytes| bytes == b"person"), "{stored:?}");
            assert!(seen.insert(stored));
            assert_eq!(sealed.get(&key("a"), NOW).await.unwrap(), Some(value.clone()));
        }
    }

    #[tokio::test]
    async fn who_opens_what() {
        // Stored with which key, read with which key, previous key, and whether what isn't encrypted is accepted.
        for (name, stored_with, read_with, expected) in [
            ("the same key", Some(1), (Some(1), None, false), Ok(())),
            ("rotated", Some(1), (Some(2), Some(1), false), Ok(())),
            ("rotated, the old one forgotten", Some(1), (Some(2), None, false), Err("encrypted with the key")),
            ("no key any more", Some(1), (None, None, false), Err("there is none")),
            ("a first key", None, (Some(1), None, false), Err("accept_unencrypted")),
            ("a first key, told so", None, (Some(1), None, true), Ok(())),
            ("never a key", None, (None, None, false), Ok(())),
        ] {
            let inner = Arc::default();
            with(&inner, stored_with, None, false).put(key("a"), lasting(b"value"), NOW).await.unwrap();
            let (key_now, previous, accept) = read_with;
            let reader = with(&inner, key_now, previous, accept);
            let errors = [
                reader
                    .get(&key("a"), NOW)
                    .await
                    .map(|value| assert_eq!(value.as_deref(), Some(&b"value"[..]), "{name}")),
                reader
                    .list(&key("a").namespace, "", None, 9, NOW)
                    .await
                    .map(|found| assert_eq!(found.len(), 1, "{name}")),
                reader
                    .compare_and_swap(key("a"), Some(b"value".to_vec()), lasting(b"value"), NOW)
                    .await
                    .map(|swapped| assert!(swapped, "{name}")),
            ];
            for found in errors {
                match (found, expected) {
                    (Ok(()), Ok(())) => {}
                    (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{name}: {error}"),
                    (found, _) => panic!("{name}: {found:?}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn what_was_changed_or_moved_does_not_open() {
        let inner = Arc::default();
        let sealed = with(&inner, Some(1), None, false);
        sealed.put(key("a"), lasting(b"hers"), NOW).await.unwrap();
        let stored = inner.get(&key("a"), NOW).await.unwrap().unwrap();
        let other_namespace = Key { namespace: Namespace::new("openid", "other"), name: "a".into() };
        for (name, place, bytes) in [
            ("another name", key("b"), stored.clone()),
            ("another provider's", other_namespace, stored.clone()),
            ("cut short", key("a"), stored[..stored.len() - 1].to_vec()),
            ("without a body", key("a"), stored[..HEADER].to_vec()),
            ("without a header", key("a"), stored[..MARK.len() + 2].to_vec()),
        ] {
            inner.put(place.clone(), lasting(&bytes), NOW).await.unwrap();
            let error = sealed.get(&place, NOW).await.unwrap_err().to_string();
            assert!(error.contains("damaged"), "{name}: {error}");
        }
        for at in MARK.len() + KEY_NAME..stored.len() {
            let mut bytes = stored.clone();
            bytes[at] ^= 1;
            inner.put(key("a"), lasting(&bytes), NOW).await.unwrap();
            assert!(sealed.get(&key("a"), NOW).await.is_err(), "byte {at}");
        }
    }

    #[test]
    fn keys() {
        for (text, expected) in [
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", Ok("66687aad")),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Ok("66687aad")),
            ("AAAA", Err("it has 3 bytes")),
            ("not base64!", Err("it isn't base64")),
            ("", Err("it has 0 bytes")),
        ] {
            match (SealingKey::parse(text), expected) {
                (Ok(key), Ok(name)) => assert_eq!(format!("{key:?}"), format!("[key {name}]")),
                (Err(message), Err(part)) => assert!(message.contains(part), "{text:?}: {message}"),
                (found, _) => panic!("{text:?}: {found:?}"),
            }
        }
    }
}
