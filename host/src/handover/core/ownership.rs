//! Whose Core's users are. Core can't be told (its REST API knows no `openid_sub`, facts C2), so this host keeps it: which
//! user an identity has, whose a user is, and what is just being made for whom. Every step is a compare-and-swap, so that
//! two sign-ins at once, on one host or on several that share a storage, end with one user each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::capability::Clock;
use crate::core_api::User;
use crate::identity::{Identity, IdentityKey};
use crate::linking::Owner;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};

/// How long a half-made user waits for its person: who met an error on Friday comes back on Monday.
const INTENT_LIFE: Duration = Duration::from_secs(4 * 24 * 60 * 60);
/// How often a change is tried anew when another host was faster.
pub(super) const ATTEMPTS: usize = 8;

/// An identity, as records name it: its provider, and the digest of its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holder {
    provider: String,
    digest: String,
}

impl Holder {
    pub(super) fn of(identity: &Identity) -> Self {
        Self { provider: identity.provider.clone(), digest: identity.key().digest() }
    }
}

/// The user that an identity has, for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Core's number of the user. A name may be given to somebody else one day; a number isn't.
    pub id: i64,
    /// As Core had it last.
    pub username: String,
    /// Likewise.
    pub email: String,
}

impl Link {
    /// To this one, as Core has it now.
    pub fn to(user: &User) -> Self {
        Self { id: user.id, username: user.username.clone(), email: user.email.clone() }
    }
}

/// Whose a user is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owners {
    /// By provider the digest of the identity's key: one identity of each provider.
    pub(super) identities: BTreeMap<String, String>,
}

/// A user that is being made. It is written before Core is asked and after Core said that the name is free: a user of this
/// name and address that is there later was made for this identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) username: String,
    pub(super) email: String,
    pub(super) first_name: String,
    pub(super) last_name: String,
}

/// Whose Core's users are, in the storage that one host has, or several share.
pub struct Ownership {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
}

pub(super) fn key(kind: &str, name: String) -> Key {
    Key { namespace: Namespace::new("host", kind), name }
}

/// Of the identity with this digest.
pub(super) fn link_key(digest: String) -> Key {
    key("core-links", digest)
}

pub(super) fn owners_key(id: i64) -> Key {
    key("core-owners", id.to_string())
}

fn intent_key(identity: &IdentityKey) -> Key {
    key("core-intents", identity.digest())
}

/// What one sign-in keeps others from while it makes a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reserved<'a> {
    /// A user name; in any case, so that no two users of ours differ by it alone.
    Name(&'a str),
    /// An address, which may be longer than a key, and hold any letter.
    Address(&'a str),
}

impl Reserved<'_> {
    fn key(self) -> Key {
        let digest = |text: &str| crate::sandbox::sha256_hex(text.to_lowercase().as_bytes());
        match self {
            Self::Name(name) => key("core-names", name.to_lowercase()),
            Self::Address(email) => key("core-addresses", digest(email)),
        }
    }
}

impl Ownership {
    /// Over a storage: what a hand-over with the same storage keeps, and nothing else.
    pub fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock }
    }

    pub(super) fn storage(&self) -> &dyn Storage {
        self.storage.as_ref()
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now_unix_ms()
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, StorageError> {
        self.storage.get(key, self.now()).await?.as_deref().map(parse).transpose()
    }

    /// The user that the identity has.
    pub(super) async fn link(&self, identity: &IdentityKey) -> Result<Option<Link>, StorageError> {
        self.read(&link_key(identity.digest())).await
    }

    /// Whose a user is, seen from an identity.
    pub(super) async fn owner(&self, id: i64, holder: &Holder) -> Result<Owner, StorageError> {
        let owners: Owners = self.read(&owners_key(id)).await?.unwrap_or_default();
        Ok(match owners.identities.get(&holder.provider) {
            Some(digest) if *digest == holder.digest => Owner::ThisIdentity,
            Some(_) => Owner::SameProvider,
            None if owners.identities.is_empty() => Owner::Free,
            None => Owner::OtherProvider,
        })
    }

    /// Gives a user to an identity and links the two, unless another identity of the provider has the user, or the identity
    /// another user; whether that is so now.
    pub(super) async fn claim(&self, identity: &Identity, link: &Link) -> Result<bool, StorageError> {
        let key = identity.key();
        if let Some(there) = self.link(&key).await? {
            return Ok(there.id == link.id);
        }
        if !self.give(link.id, &Holder::of(identity)).await? {
            return Ok(false);
        }
        // First, so that nobody is linked whom a list of links leaves out.
        self.index(identity, link).await?;
        let entry = Entry::lasting(write(link)?);
        if self.storage.compare_and_swap(link_key(key.digest()), None, entry, self.now()).await? {
            return Ok(true);
        }
        let Some(there) = self.link(&key).await? else { return Ok(false) };
        self.index(identity, &there).await?;
        Ok(there.id == link.id)
    }

    /// Notes the name that a linked user has by now. Whoever was faster noted the same.
    pub(super) async fn refreshed(&self, digest: &str, old: &Link, new: &Link) -> Result<(), StorageError> {
        let entry = Entry::lasting(write(new)?);
        self.storage.compare_and_swap(link_key(digest.to_owned()), Some(write(old)?), entry, self.now()).await?;
        Ok(())
    }

    async fn give(&self, id: i64, holder: &Holder) -> Result<bool, StorageError> {
        let key = owners_key(id);
        for _ in 0..ATTEMPTS {
            let found = self.storage.get(&key, self.now()).await?;
            let mut owners: Owners = found.as_deref().map(parse).transpose()?.unwrap_or_default();
            match owners.identities.get(&holder.provider) {
                Some(digest) => return Ok(*digest == holder.digest),
                None => owners.identities.insert(holder.provider.clone(), holder.digest.clone()),
            };
            let entry = Entry::lasting(write(&owners)?);
            if self.storage.compare_and_swap(key.clone(), found, entry, self.now()).await? {
                return Ok(true);
            }
        }
        Err(StorageError::Unavailable("other sign-ins changed a user's owners each time".into()))
    }

    /// The user that is being made for an identity.
    pub(super) async fn intent(&self, identity: &IdentityKey) -> Result<Option<Intent>, StorageError> {
        self.read(&intent_key(identity)).await
    }

    /// Notes that a user is about to be made, unless one is already; whether it did.
    pub(super) async fn intend(&self, identity: &IdentityKey, intent: &Intent) -> Result<bool, StorageError> {
        let entry = Entry::expiring(write(intent)?, self.now(), INTENT_LIFE);
        self.storage.compare_and_swap(intent_key(identity), None, entry, self.now()).await
    }

    /// Keeps a name or an address for an identity while its user is made; `Err`: whose it is.
    pub(super) async fn reserve(
        &self,
        what: Reserved<'_>,
        holder: &Holder,
    ) -> Result<Result<(), Holder>, StorageError> {
        let key = what.key();
        let entry = Entry::expiring(write(holder)?, self.now(), INTENT_LIFE);
        if self.storage.compare_and_swap(key.clone(), None, entry, self.now()).await? {
            return Ok(Ok(()));
        }
        match self.read::<Holder>(&key).await? {
            Some(other) if other != *holder => Ok(Err(other)),
            // It is this identity's, or was given back in this moment: nobody else's at any rate.
            _ => Ok(Ok(())),
        }
    }

    /// Gives back a name or an address, if it is this identity's.
    pub(super) async fn release(&self, what: Reserved<'_>, holder: &Holder) -> Result<(), StorageError> {
        let key = what.key();
        if self.read::<Holder>(&key).await?.as_ref() == Some(holder) {
            self.storage.take(key, self.now()).await?;
        }
        Ok(())
    }

    /// Forgets what was about to be made: it is there and linked, or certainly isn't made.
    pub(super) async fn settle(&self, identity: &Identity, intent: &Intent) -> Result<(), StorageError> {
        let holder = Holder::of(identity);
        self.storage.take(intent_key(&identity.key()), self.now()).await?;
        self.release(Reserved::Address(&intent.email), &holder).await?;
        self.release(Reserved::Name(&intent.username), &holder).await
    }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StorageError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StorageError::Unavailable(format!("a record of a user can't be read: {error}")))
}

pub(super) fn write(value: &impl Serialize) -> Result<Vec<u8>, StorageError> {
    serde_json::to_vec(value)
        .map_err(|error| StorageError::Unavailable(format!("a record of a user can't be written: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::SystemClock;
    use crate::storage::MemoryStorage;

    fn ownership() -> Ownership {
        Ownership::new(Arc::new(MemoryStorage::default()), Arc::new(SystemClock))
    }

    fn person(provider: &str, object: &str) -> Identity {
        Identity { provider: provider.into(), object_id: Some(object.into()), ..Identity::sample() }
    }

    fn link(id: i64) -> Link {
        Link { id, username: format!("user-{id}"), email: format!("user-{id}@a.example") }
    }

    #[tokio::test]
    async fn a_user_is_one_identity_s_of_each_provider() {
        let ownership = ownership();
        let (ada, eve, elsewhere) = (person("entra", "ada"), person("entra", "eve"), person("okta", "ada-there"));
        let owner = async |id, identity: &Identity| ownership.owner(id, &Holder::of(identity)).await.unwrap();
        assert_eq!(owner(7, &ada).await, Owner::Free);
        assert!(ownership.claim(&ada, &link(7)).await.unwrap());
        assert!(ownership.claim(&ada, &link(7)).await.unwrap(), "twice is once");
        assert!(!ownership.claim(&eve, &link(7)).await.unwrap(), "it is another's");
        assert!(!ownership.claim(&ada, &link(8)).await.unwrap(), "she has one");
        assert_eq!(owner(7, &ada).await, Owner::ThisIdentity);
        assert_eq!(owner(8, &ada).await, Owner::Free, "and nothing of the other");
        assert_eq!(owner(7, &eve).await, Owner::SameProvider);
        assert_eq!(owner(7, &elsewhere).await, Owner::OtherProvider);
        assert!(ownership.claim(&elsewhere, &link(7)).await.unwrap(), "for whoever decided that it may be");
        assert_eq!(ownership.link(&ada.key()).await.unwrap(), Some(link(7)));
        assert_eq!(ownership.link(&eve.key()).await.unwrap(), None);
        let countess = Link { username: "countess".into(), email: "countess@a.example".into(), ..link(7) };
        ownership.refreshed(&ada.key().digest(), &link(7), &countess).await.unwrap();
        assert_eq!(ownership.link(&ada.key()).await.unwrap(), Some(countess));
    }

    #[tokio::test]
    async fn what_is_being_made_is_kept_from_others() {
        let ownership = ownership();
        let (ada, eve) = (person("entra", "ada"), person("entra", "eve"));
        let (of_ada, of_eve) = (Holder::of(&ada), Holder::of(&eve));
        let intent = Intent {
            username: "ada".into(),
            email: "Ada@a.example".into(),
            first_name: "Ada".into(),
            last_name: "L".into(),
        };
        let (name, address) = (Reserved::Name("ADA"), Reserved::Address("ada@A.example"));
        for what in [name, address] {
            assert_eq!(ownership.reserve(what, &of_ada).await.unwrap(), Ok(()), "{what:?}");
            assert_eq!(ownership.reserve(what, &of_ada).await.unwrap(), Ok(()), "{what:?}: again");
            assert_eq!(ownership.reserve(what, &of_eve).await.unwrap(), Err(of_ada.clone()), "{what:?}: another");
            ownership.release(what, &of_eve).await.unwrap();
            assert_eq!(
                ownership.reserve(what, &of_eve).await.unwrap(),
                Err(of_ada.clone()),
                "{what:?}: not hers to give"
            );
        }
        assert!(ownership.intend(&ada.key(), &intent).await.unwrap());
        assert!(!ownership.intend(&ada.key(), &Intent { username: "b".into(), ..intent.clone() }).await.unwrap());
        assert_eq!(ownership.intent(&ada.key()).await.unwrap(), Some(intent.clone()));
        ownership.settle(&ada, &intent).await.unwrap();
        assert_eq!(ownership.intent(&ada.key()).await.unwrap(), None);
        for what in [name, address] {
            assert_eq!(ownership.reserve(what, &of_eve).await.unwrap(), Ok(()), "{what:?}: free again");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_many_at_once_one_gets_it() {
        let ownership = Arc::new(ownership());
        let mut tasks = Vec::new();
        for number in 0..64 {
            let ownership = Arc::clone(&ownership);
            tasks.push(tokio::spawn(async move {
                ownership.claim(&person("entra", &format!("p{number}")), &link(1)).await.unwrap()
            }));
        }
        let mut claimed = 0;
        for task in tasks {
            claimed += usize::from(task.await.unwrap());
        }
        assert_eq!(claimed, 1);
    }
}
