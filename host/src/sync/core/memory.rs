//! What the synchronisation remembers of Core between runs, in the storage: which group it made for which one of the directory, and whom
//! it disabled. Whatever it doesn't remember is somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::capability::Clock;
use crate::config::ProviderId;
use crate::core_api;
use crate::storage::{Entry, Key, Namespace, Storage, StorageError};
use crate::sync::oid::Oid;

/// How long a group that is about to be made is waited for: a run that was killed is begun anew before that, if it ever is.
const INTENT_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Entries of one page of a list.
const PAGE: usize = 1000;

/// A group of Core's that follows the directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KnownGroup {
    /// Core's own number; of a group that is about to be made none yet.
    pub(super) id: i64,
    /// As it was called when it came, or was last given another name.
    pub(super) name: String,
    /// As it was called before that: a run that was killed may not have come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) former_name: Option<String>,
    /// Whether the synchronisation made it.
    pub(super) was_made: bool,
    /// Of one that is about to be made: the highest number of a group until then. Ours has a higher one.
    #[serde(default)]
    pub(super) after: i64,
}

impl KnownGroup {
    /// One that is there.
    pub(super) fn of(group: &core_api::Group, was_made: bool) -> Self {
        Self { id: group.id, name: group.name.clone(), former_name: None, was_made, after: 0 }
    }

    /// Whether a group of this number is called as we know it. Another Core, or this one after it was set up anew, has the
    /// number too.
    pub(super) fn is_called(&self, name: &str) -> bool {
        self.name == name || self.former_name.as_deref() == Some(name)
    }

    /// Whether a group was made by the run that was about to, and didn't end.
    pub(super) fn is_made_as(&self, group: &core_api::Group) -> bool {
        group.name == self.name && group.id > self.after && !group.is_admin && group.members.is_empty()
    }
}

/// No group has it: what is about to be made.
const NOT_YET: i64 = -1;

pub(super) struct Memory {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    provider: String,
}

impl Memory {
    pub(super) fn new(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>, provider: &ProviderId) -> Self {
        Self { storage, clock, provider: provider.to_string() }
    }

    fn key(&self, kind: &str, id: Oid) -> Key {
        Key { namespace: Namespace::new("host", kind), name: format!("{}/{id}", self.provider) }
    }

    async fn put(&self, key: Key, value: Vec<u8>) -> Result<(), StorageError> {
        self.storage.put(key, Entry::lasting(value), self.clock.now_unix_ms()).await
    }

    async fn list(&self, kind: &str) -> Result<Vec<(Oid, Vec<u8>)>, StorageError> {
        let (namespace, prefix) = (Namespace::new("host", kind), format!("{}/", self.provider));
        let mut all = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let now = self.clock.now_unix_ms();
            let page = self.storage.list(&namespace, &prefix, after.as_deref(), PAGE, now).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|(name, _)| name.clone());
            all.extend(
                page.into_iter()
                    .filter_map(|(name, value)| Some((Oid::parse(name.strip_prefix(prefix.as_str())?)?, value))),
            );
            if is_last {
                return Ok(all);
            }
        }
    }

    /// Groups that follow the directory, and those that were about to be made ([`KnownGroup::is_made_as`]).
    pub(super) async fn groups_and_intended(
        &self,
    ) -> Result<(BTreeMap<Oid, KnownGroup>, BTreeMap<Oid, KnownGroup>), StorageError> {
        let (mut groups, mut intended) = (BTreeMap::new(), BTreeMap::new());
        for (oid, value) in self.list("sync-groups").await? {
            match serde_json::from_slice::<KnownGroup>(&value) {
                Ok(group) if group.id == NOT_YET => drop(intended.insert(oid, group)),
                Ok(group) => drop(groups.insert(oid, group)),
                // It isn't ours then: nothing is done to it.
                Err(error) => tracing::warn!(%error, group = %oid, "what was noted of a group can't be read"),
            }
        }
        Ok((groups, intended))
    }

    /// `after`: the highest number of a group until now.
    pub(super) async fn intend_group(&self, id: Oid, name: &str, after: i64) -> Result<(), StorageError> {
        let group = KnownGroup { id: NOT_YET, name: name.to_owned(), former_name: None, was_made: true, after };
        let value = serde_json::to_vec(&group).map_err(|error| StorageError::Unavailable(error.to_string()))?;
        let now = self.clock.now_unix_ms();
        self.storage.put(self.key("sync-groups", id), Entry::expiring(value, now, INTENT_LIFE), now).await
    }

    pub(super) async fn keep_group(&self, id: Oid, group: &KnownGroup) -> Result<(), StorageError> {
        let value = serde_json::to_vec(group).map_err(|error| StorageError::Unavailable(error.to_string()))?;
        self.put(self.key("sync-groups", id), value).await
    }

    pub(super) async fn forget_group(&self, id: Oid) -> Result<(), StorageError> {
        self.storage.take(self.key("sync-groups", id), self.clock.now_unix_ms()).await.map(drop)
    }

    /// Whom the synchronisation disabled: it may enable them again.
    pub(super) async fn disabled(&self) -> Result<BTreeSet<Oid>, StorageError> {
        Ok(self.list("sync-disabled").await?.into_iter().map(|(oid, _)| oid).collect())
    }

    pub(super) async fn disabled_now(&self, id: Oid) -> Result<(), StorageError> {
        self.put(self.key("sync-disabled", id), b"1".to_vec()).await
    }

    pub(super) async fn enabled(&self, id: Oid) -> Result<(), StorageError> {
        self.storage.take(self.key("sync-disabled", id), self.clock.now_unix_ms()).await.map(drop)
    }
}
