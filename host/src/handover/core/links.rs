//! Links by directory object. A link is kept under the identity's digest, which names nobody; directory synchronisation has an
//! object id and wants to know whose user that is, and who else is linked. So every link of an identity with an object id
//! stands in an index as well, `core-objects/<provider>/<object id>`, written before the link and removed after it.

use serde::{Deserialize, Serialize};

use super::ownership::{ATTEMPTS, Link, Owners, Ownership, key, link_key, owners_key, parse, write};
use crate::identity::Identity;
use crate::storage::{Entry, Key, Namespace, StorageError};

/// Links of one page of the storage.
const PAGE: usize = 1000;

/// An entry of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Indexed {
    #[serde(flatten)]
    link: Link,
    /// The identity's, under which the link itself is.
    digest: String,
}

/// Object ids are GUIDs, which mean the same in any case.
fn object_key(provider: &str, object_id: &str) -> Key {
    key("core-objects", format!("{provider}/{}", object_id.to_ascii_lowercase()))
}

fn outpaced() -> StorageError {
    StorageError::Unavailable("other hosts changed a user's link each time".into())
}

impl Ownership {
    /// The user that a directory object has, if its person has signed in, or was prepared, since this index is kept.
    pub async fn link_of(&self, provider: &str, object_id: &str) -> Result<Option<Link>, StorageError> {
        let found: Option<Indexed> = self.read(&object_key(provider, object_id)).await?;
        Ok(found.map(|indexed| indexed.link))
    }

    /// Everybody who is linked, in the order of their object ids, which are in lower case.
    pub async fn links(&self, provider: &str) -> Result<Vec<(String, Link)>, StorageError> {
        let (namespace, prefix) = (Namespace::new("host", "core-objects"), format!("{provider}/"));
        let mut links = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = self.storage().list(&namespace, &prefix, after.as_deref(), PAGE, self.now()).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|(name, _)| name.clone());
            for (name, record) in page {
                let indexed: Indexed = parse(&record)?;
                links.push((name.get(prefix.len()..).unwrap_or_default().to_owned(), indexed.link));
            }
            if is_last {
                return Ok(links);
            }
        }
    }

    /// Notes the name and the address that a directory object's user has by now; whether the object is linked to that user.
    pub async fn refresh(&self, provider: &str, object_id: &str, now: &Link) -> Result<bool, StorageError> {
        let key = object_key(provider, object_id);
        for _ in 0..ATTEMPTS {
            let found = self.storage().get(&key, self.now()).await?;
            let Some(mut indexed) = found.as_deref().map(parse::<Indexed>).transpose()? else { return Ok(false) };
            if indexed.link.id != now.id {
                return Ok(false);
            }
            if let Some(link) = self.read::<Link>(&link_key(indexed.digest.clone())).await?
                && link.id == now.id
                && link != *now
            {
                self.refreshed(&indexed.digest, &link, now).await?;
            }
            if indexed.link == *now {
                return Ok(true);
            }
            indexed.link.clone_from(now);
            let entry = Entry::lasting(write(&indexed)?);
            if self.storage().compare_and_swap(key.clone(), found, entry, self.now()).await? {
                return Ok(true);
            }
        }
        Err(outpaced())
    }

    /// Forgets a directory object's link after its user was deleted in Core: the link itself, the provider's share in the
    /// user, and last the index, so that one that was interrupted can be ended. The person's next sign-in is a first one.
    /// Of other providers' links to the user nothing is forgotten. The link, if there was one.
    pub async fn unlink(&self, provider: &str, object_id: &str) -> Result<Option<Link>, StorageError> {
        let key = object_key(provider, object_id);
        let Some(Indexed { link, digest }) = self.read(&key).await? else { return Ok(None) };
        let place = link_key(digest.clone());
        if self.read::<Link>(&place).await?.is_some_and(|there| there.id == link.id) {
            self.storage().take(place, self.now()).await?;
        }
        self.give_back(link.id, provider, &digest).await?;
        // Another user may have been linked in this moment; then this entry is that link's.
        if self.read::<Indexed>(&key).await?.is_some_and(|now| now.link.id == link.id) {
            self.storage().take(key, self.now()).await?;
        }
        Ok(Some(link))
    }

    /// Ends an identity's share in a user.
    async fn give_back(&self, id: i64, provider: &str, digest: &str) -> Result<(), StorageError> {
        let key = owners_key(id);
        for _ in 0..ATTEMPTS {
            let found = self.storage().get(&key, self.now()).await?;
            let Some(mut owners) = found.as_deref().map(parse::<Owners>).transpose()? else { return Ok(()) };
            if owners.identities.get(provider).is_none_or(|owner| owner != digest) {
                return Ok(());
            }
            owners.identities.remove(provider);
            let entry = Entry::lasting(write(&owners)?);
            if self.storage().compare_and_swap(key.clone(), found, entry, self.now()).await? {
                return Ok(());
            }
        }
        Err(outpaced())
    }

    /// Makes the index say what the link says. Nothing is written if it does already, or if the identity has no object id.
    pub(super) async fn index(&self, identity: &Identity, link: &Link) -> Result<(), StorageError> {
        let Some(object_id) = identity.object_id.as_deref().filter(|id| !id.is_empty()) else { return Ok(()) };
        let key = object_key(&identity.provider, object_id);
        let wanted = write(&Indexed { link: link.clone(), digest: identity.key().digest() })?;
        for _ in 0..ATTEMPTS {
            let found = self.storage().get(&key, self.now()).await?;
            if found.as_ref() == Some(&wanted) {
                return Ok(());
            }
            let entry = Entry::lasting(wanted.clone());
            if self.storage().compare_and_swap(key.clone(), found, entry, self.now()).await? {
                return Ok(());
            }
        }
        Err(outpaced())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::capability::SystemClock;
    use crate::handover::core::ownership::Holder;
    use crate::linking::Owner;
    use crate::storage::{MemoryStorage, RedbStorage, Storage};

    fn person(provider: &str, object: &str) -> Identity {
        Identity { provider: provider.into(), object_id: Some(object.into()), ..Identity::sample() }
    }

    fn link(id: i64) -> Link {
        Link { id, username: format!("user-{id}"), email: format!("user-{id}@a.example") }
    }

    fn over(storage: &Arc<MemoryStorage>) -> Ownership {
        Ownership::new(Arc::clone(storage) as Arc<dyn Storage>, Arc::new(SystemClock))
    }

    async fn lines(ownership: &Ownership, provider: &str) -> Vec<String> {
        let links = ownership.links(provider).await.unwrap();
        links.iter().map(|(object, link)| format!("{object} {} {}", link.id, link.username)).collect()
    }

    #[tokio::test]
    async fn who_is_linked_is_listed_by_object() {
        let storage = Arc::default();
        let ownership = over(&storage);
        assert!(ownership.claim(&person("entra", "B0-B"), &link(2)).await.unwrap());
        assert!(ownership.claim(&person("entra", "a0-a"), &link(1)).await.unwrap());
        assert!(ownership.claim(&person("okta", "c"), &link(1)).await.unwrap());
        assert!(!ownership.claim(&person("entra", "eve"), &link(1)).await.unwrap(), "Ada's");
        let without = Identity { object_id: None, subject: "of no directory".into(), ..person("entra", "") };
        assert!(ownership.claim(&without, &link(4)).await.unwrap());
        assert_eq!(lines(&ownership, "entra").await, ["a0-a 1 user-1", "b0-b 2 user-2"]);
        assert_eq!(lines(&ownership, "okta").await, ["c 1 user-1"]);
        assert_eq!(lines(&ownership, "entr").await, [""; 0]);
        assert_eq!(ownership.link_of("entra", "b0-B").await.unwrap(), Some(link(2)));
        assert_eq!(ownership.link_of("entra", "eve").await.unwrap(), None);
    }

    #[tokio::test]
    async fn links_of_before_the_index_come_into_it() {
        let storage = Arc::default();
        let (ownership, ada) = (over(&storage), person("entra", "ada"));
        ownership.claim(&ada, &link(1)).await.unwrap();
        storage.take(object_key("entra", "ada"), 0).await.unwrap();
        assert_eq!(lines(&ownership, "entra").await, [""; 0]);
        ownership.index(&ada, &link(1)).await.unwrap();
        assert_eq!(lines(&ownership, "entra").await, ["ada 1 user-1"]);
    }

    #[tokio::test]
    async fn a_claim_that_was_interrupted_can_be_ended_with_another_user() {
        let storage = Arc::default();
        let (ownership, ada) = (over(&storage), person("entra", "ada"));
        // The host stopped between the index and the link; then user 1 was deleted in Core.
        ownership.index(&ada, &link(1)).await.unwrap();
        assert!(ownership.claim(&ada, &link(2)).await.unwrap());
        assert_eq!(lines(&ownership, "entra").await, ["ada 2 user-2"]);
        // Another host was a moment faster: the index says what the link says.
        assert!(!ownership.claim(&ada, &link(3)).await.unwrap());
        assert_eq!(lines(&ownership, "entra").await, ["ada 2 user-2"]);
        assert_eq!(ownership.link(&ada.key()).await.unwrap(), Some(link(2)));
    }

    #[tokio::test]
    async fn names_and_addresses_are_kept_true() {
        let storage = Arc::default();
        let (ownership, ada) = (over(&storage), person("entra", "ada"));
        ownership.claim(&ada, &link(1)).await.unwrap();
        let countess = Link { username: "countess".into(), email: "countess@a.example".into(), ..link(1) };
        for turn in ["once", "twice"] {
            assert!(ownership.refresh("entra", "ADA", &countess).await.unwrap(), "{turn}");
            assert_eq!(ownership.link_of("entra", "ada").await.unwrap().as_ref(), Some(&countess), "{turn}");
            assert_eq!(ownership.link(&ada.key()).await.unwrap().as_ref(), Some(&countess), "{turn}");
        }
        assert!(!ownership.refresh("entra", "ada", &link(7)).await.unwrap(), "another user");
        assert!(!ownership.refresh("entra", "eve", &link(1)).await.unwrap(), "another object");
        assert_eq!(lines(&ownership, "entra").await, ["ada 1 countess"]);
    }

    #[tokio::test]
    async fn who_is_unlinked_may_come_again() {
        let storage = Arc::default();
        let (ownership, ada, there) = (over(&storage), person("entra", "ada"), person("okta", "ada-there"));
        ownership.claim(&ada, &link(1)).await.unwrap();
        ownership.claim(&there, &link(1)).await.unwrap();
        assert_eq!(ownership.unlink("entra", "ADA").await.unwrap(), Some(link(1)));
        assert_eq!(ownership.unlink("entra", "ada").await.unwrap(), None, "once");
        assert_eq!(ownership.link(&ada.key()).await.unwrap(), None);
        assert_eq!(ownership.owner(1, &Holder::of(&ada)).await.unwrap(), Owner::OtherProvider, "okta's link stays");
        assert_eq!(lines(&ownership, "entra").await, [""; 0]);
        assert_eq!(lines(&ownership, "okta").await, ["ada-there 1 user-1"]);
        assert!(ownership.claim(&ada, &link(2)).await.unwrap());
        assert_eq!(lines(&ownership, "entra").await, ["ada 2 user-2"]);
    }

    #[tokio::test]
    async fn an_unlinking_that_was_interrupted_is_ended() {
        let storage = Arc::default();
        let (ownership, ada) = (over(&storage), person("entra", "ada"));
        ownership.claim(&ada, &link(1)).await.unwrap();
        storage.take(link_key(ada.key().digest()), 0).await.unwrap();
        assert_eq!(ownership.unlink("entra", "ada").await.unwrap(), Some(link(1)));
        let owner = async |id| ownership.owner(id, &Holder::of(&ada)).await.unwrap();
        assert_eq!(owner(1).await, Owner::Free);
        // The object has another user by now, which an unlinking of the one before leaves alone.
        ownership.claim(&ada, &link(2)).await.unwrap();
        ownership.give_back(1, "entra", &ada.key().digest()).await.unwrap();
        assert_eq!(owner(2).await, Owner::ThisIdentity);
    }

    #[tokio::test]
    async fn thousands_are_listed_page_by_page_on_both_backends() {
        let folder = tempfile::tempdir().unwrap();
        let redb = RedbStorage::open(folder.path().join("state.redb"), 0).await.unwrap();
        let backends: [(&str, Arc<dyn Storage>); 2] =
            [("memory", Arc::new(MemoryStorage::default())), ("redb", Arc::new(redb))];
        for (name, storage) in backends {
            let ownership = Ownership::new(storage, Arc::new(SystemClock));
            let everybody: Vec<_> = (0..2000).map(|number| person("entra", &format!("{number:04}"))).collect();
            let indexing = everybody.iter().zip(0..).map(|(person, id)| {
                let (ownership, link) = (&ownership, link(id));
                async move { ownership.index(person, &link).await.unwrap() }
            });
            futures_util::future::join_all(indexing).await;
            let links = ownership.links("entra").await.unwrap();
            assert_eq!(links.len(), 2000, "{name}: two full pages, and an empty one");
            assert!(
                (0..)
                    .zip(&links)
                    .all(|(number, (object, link))| { *object == format!("{number:04}") && link.id == number }),
                "{name}"
            );
        }
    }
}
