//! Which identity is linked to which account, kept in the host's storage under the identity key's hash. Whether the
//! account is there, and whose it is, is for the owner of the accounts to say.

use std::sync::Arc;

use crate::capability::Clock;
use crate::identity::IdentityKey;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};

/// The links of one host, or of several that share a storage.
#[derive(Clone)]
pub struct LinkStore {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
}

impl LinkStore {
    /// Over a storage.
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock }
    }

    fn key(identity: &IdentityKey) -> Key {
        Key { namespace: Namespace::new("host", "links"), name: identity.digest() }
    }

    /// The user name that the identity is linked to.
    pub async fn find(&self, identity: &IdentityKey) -> Result<Option<String>, StorageError> {
        let found = self.storage.get(&Self::key(identity), self.clock.now_unix_ms()).await?;
        found
            .map(|bytes| String::from_utf8(bytes).map_err(|_| StorageError::Unavailable("a link isn't text".into())))
            .transpose()
    }

    /// Links the identity to an account, unless it is linked already; whether it did. For good: a link has no end.
    pub async fn link(&self, identity: &IdentityKey, username: &str) -> Result<bool, StorageError> {
        let entry = Entry::lasting(username.as_bytes().to_vec());
        self.storage.compare_and_swap(Self::key(identity), None, entry, self.clock.now_unix_ms()).await
    }
}
