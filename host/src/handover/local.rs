//! `kind = "local"`: the host mints the token itself and keeps the identity for whoever redeems it, once, within a day.
//! For demonstrations, tests, and programs of one's own; Defguard Core isn't asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ring::rand::{SecureRandom, SystemRandom};

use super::{Enrollment, Handover, HandoverError};
use crate::capability::{Clock, TraceId};
use crate::identity::Identity;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};

/// As long as Defguard's own enrollment tokens live by default.
const TOKEN_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Characters of a token: as many as Defguard's, 190 bits.
const TOKEN_LENGTH: usize = 32;

/// Mints tokens.
pub struct LocalHandover {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    url: String,
}

impl LocalHandover {
    /// `url` is where people enroll.
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, url: String) -> Self {
        Self { storage, clock, url }
    }

    /// Only the token's hash is kept.
    fn key(token: &str) -> Key {
        let hash = crate::sandbox::sha256_hex(token.as_bytes());
        Key { namespace: Namespace::new("host", "enrollment"), name: hash }
    }
}

impl From<StorageError> for HandoverError {
    fn from(error: StorageError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[async_trait]
impl Handover for LocalHandover {
    async fn hand_over(&self, identity: &Identity, _trace: &TraceId) -> Result<Enrollment, HandoverError> {
        let token = mint()?;
        let value = serde_json::to_vec(identity).map_err(|error| HandoverError::Unavailable(error.to_string()))?;
        let now = self.clock.now_unix_ms();
        self.storage.put(Self::key(&token), Entry::expiring(value, now, TOKEN_LIFE), now).await?;
        Ok(Enrollment { url: self.url.clone(), token })
    }

    async fn redeem(&self, token: &str) -> Result<Option<Identity>, HandoverError> {
        let found = self.storage.take(Self::key(token), self.clock.now_unix_ms()).await?;
        found
            .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| HandoverError::Unavailable(error.to_string())))
            .transpose()
    }

    fn redeems(&self) -> bool {
        true
    }
}

/// 32 letters and digits, each equally likely.
fn mint() -> Result<String, HandoverError> {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut token = String::with_capacity(TOKEN_LENGTH);
    let mut bytes = [0_u8; 64];
    while token.len() < TOKEN_LENGTH {
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| HandoverError::Unavailable("the system has no randomness".into()))?;
        // Bytes from 248 on would favour the first characters.
        let fair = bytes.iter().filter(|byte| **byte < 248).filter_map(|byte| ALPHABET.get(usize::from(byte % 62)));
        token.extend(fair.map(|byte| char::from(*byte)).take(TOKEN_LENGTH - token.len()));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::SystemClock;
    use crate::storage::MemoryStorage;

    #[tokio::test]
    async fn a_token_is_redeemed_once_and_stored_as_a_hash() {
        let handover =
            LocalHandover::new(Arc::new(MemoryStorage::default()), Arc::new(SystemClock), "https://e".into());
        let identity = Identity::sample();
        let enrollment = handover.hand_over(&identity, &TraceId::new()).await.unwrap();
        assert_eq!(enrollment.token.len(), 32);
        assert!(!LocalHandover::key(&enrollment.token).name.contains(&enrollment.token));
        assert_eq!(handover.redeem("no such token").await.unwrap(), None);
        assert_eq!(handover.redeem(&enrollment.token).await.unwrap(), Some(identity));
        assert_eq!(handover.redeem(&enrollment.token).await.unwrap(), None);
    }

    #[test]
    fn tokens_differ() {
        let tokens: std::collections::BTreeSet<_> = (0..1000).map(|_| mint().unwrap()).collect();
        assert_eq!(tokens.len(), 1000);
        assert!(tokens.iter().all(|token| token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_alphanumeric())));
    }
}
