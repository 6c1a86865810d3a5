//! The accounts of the local hand-over: a name, an address, and the identity that it belongs to. Every step is a
//! compare-and-swap, so two sign-ins at once, on one host or on two that share a storage, end with one account each.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capability::Clock;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};

/// An account as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LocalAccount {
    pub(super) username: String,
    pub(super) email: String,
    /// By provider the digest of the identity's key: one identity of each provider. None: nobody's yet.
    pub(super) identities: BTreeMap<String, String>,
}

/// All of them.
pub(super) struct Accounts {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
}

/// Addresses are compared without regard to case, as Defguard's Core does.
fn address_key(email: &str) -> Key {
    // Addresses may be longer than a key, and hold any letter.
    let name = crate::sandbox::sha256_hex(email.to_lowercase().as_bytes());
    Key { namespace: Namespace::new("host", "account-addresses"), name }
}

fn account_key(username: &str) -> Key {
    Key { namespace: Namespace::new("host", "accounts"), name: username.to_lowercase() }
}

impl Accounts {
    pub(super) fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock }
    }

    pub(super) async fn by_name(&self, username: &str) -> Result<Option<LocalAccount>, StorageError> {
        let found = self.storage.get(&account_key(username), self.clock.now_unix_ms()).await?;
        found.map(|bytes| read(&bytes)).transpose()
    }

    pub(super) async fn by_address(&self, email: &str) -> Result<Option<LocalAccount>, StorageError> {
        let found = self.storage.get(&address_key(email), self.clock.now_unix_ms()).await?;
        match found {
            None => Ok(None),
            Some(name) => self.by_name(&String::from_utf8_lossy(&name)).await,
        }
    }

    /// Makes an account, unless the name or the address is another's; whether it did. What was made for the same
    /// identity before counts as made now.
    pub(super) async fn create(&self, account: &LocalAccount) -> Result<Created, StorageError> {
        let now = self.clock.now_unix_ms();
        let key = account_key(&account.username);
        if !self.storage.compare_and_swap(key.clone(), None, Entry::lasting(write(account)?), now).await? {
            let holder = self.by_name(&account.username).await?;
            if holder.is_none_or(|holder| holder.identities.is_empty() || holder.identities != account.identities) {
                return Ok(Created::NameTaken);
            }
        }
        let name = account.username.to_lowercase().into_bytes();
        let address = address_key(&account.email);
        if self.storage.compare_and_swap(address.clone(), None, Entry::lasting(name.clone()), now).await?
            || self.storage.get(&address, now).await? == Some(name)
        {
            return Ok(Created::Yes);
        }
        // Nobody has seen this name yet: it is given back.
        self.storage.take(key, now).await?;
        Ok(Created::AddressTaken)
    }

    /// Gives an account to an identity of a provider that has none there; whether it did.
    pub(super) async fn give(
        &self,
        account: &LocalAccount,
        provider: &str,
        identity: &str,
    ) -> Result<bool, StorageError> {
        match account.identities.get(provider) {
            Some(owner) if owner == identity => return Ok(true),
            Some(_) => return Ok(false),
            None => {}
        }
        let mut given = account.clone();
        given.identities.insert(provider.to_owned(), identity.to_owned());
        let (old, new) = (write(account)?, Entry::lasting(write(&given)?));
        self.storage.compare_and_swap(account_key(&account.username), Some(old), new, self.clock.now_unix_ms()).await
    }
}

/// How making an account went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Created {
    Yes,
    NameTaken,
    AddressTaken,
}

fn read(bytes: &[u8]) -> Result<LocalAccount, StorageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StorageError::Unavailable(format!("an account can't be read: {error}")))
}

fn write(account: &LocalAccount) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(account)
        .map_err(|error| StorageError::Unavailable(format!("an account can't be written: {error}")))
}
