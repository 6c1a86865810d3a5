//! What was deleted and can come back: users and Microsoft 365 groups, for 30 days. A deleted security group is gone at once
//! (`api/directory-deleteditems-list`).

use std::sync::Arc;

use super::log::{Change, Deletion, Edit};
use super::{Directory, HeldGroup};
use crate::seed::{Group, Guid, Member, Person, SeedError};

/// How long a deleted object can be restored, in seconds (K: 30 days).
const KEPT_S: i64 = 30 * 24 * 3600;

/// A deleted object and the groups that held it.
#[derive(Debug, Clone)]
pub(crate) struct Deleted {
    pub(crate) object: DeletedObject,
    pub(crate) at_unix_s: i64,
    held_by: Vec<Guid>,
}

/// The object itself.
#[derive(Debug, Clone)]
pub(crate) enum DeletedObject {
    Person(Arc<Person>),
    Group(HeldGroup),
}

impl DeletedObject {
    /// The object id.
    pub(crate) fn id(&self) -> &Guid {
        match self {
            Self::Person(person) => &person.oid,
            Self::Group(group) => &group.about.id,
        }
    }

    /// The tenant that held it.
    pub(crate) fn tenant(&self) -> &Guid {
        match self {
            Self::Person(person) => &person.tenant,
            Self::Group(group) => &group.about.tenant,
        }
    }
}

impl Directory {
    /// What of a tenant can be restored at this time, oldest deletion first.
    pub(crate) fn deleted_of(&self, tenant: &Guid, now_unix_s: i64) -> impl Iterator<Item = &Deleted> {
        let kept = move |deleted: &&Deleted| now_unix_s - deleted.at_unix_s <= KEPT_S;
        self.deleted.iter().filter(move |deleted| deleted.object.tenant() == tenant).filter(kept)
    }

    /// Deletes a person, who can be restored. False if there is none of this id.
    pub(crate) fn delete_person(&mut self, id: &Guid, now_unix_s: i64) -> bool {
        let Some((person, held_by)) = self.take_person(id, Deletion::Soft) else { return false };
        self.deleted.push(Deleted { object: DeletedObject::Person(person), at_unix_s: now_unix_s, held_by });
        true
    }

    /// Deletes a group, which can be restored unless it is a security group. False if there is none of this id.
    pub(crate) fn delete_group(&mut self, id: &Guid, now_unix_s: i64) -> bool {
        let Some(group) = self.groups.get(id) else { return false };
        let deletion = if group.about.security_enabled { Deletion::Permanent } else { Deletion::Soft };
        let Some((group, held_by)) = self.take_group(id, deletion) else { return false };
        if deletion == Deletion::Soft {
            self.deleted.push(Deleted { object: DeletedObject::Group(group), at_unix_s: now_unix_s, held_by });
        }
        true
    }

    /// Deletes an object for good, whether it is there or can still be restored. False if neither.
    pub(crate) fn purge(&mut self, id: &Guid) -> bool {
        if self.take_person(id, Deletion::Permanent).is_some() || self.take_group(id, Deletion::Permanent).is_some() {
            return true;
        }
        let Some(deleted) = self.forget_deleted(id) else { return false };
        let (id, tenant) = (id.clone(), deleted.object.tenant().clone());
        self.log.note(match deleted.object {
            DeletedObject::Person(_) => {
                Change::Person(Edit { id, tenant, before: None, after: None, deletion: Deletion::Permanent })
            }
            DeletedObject::Group(_) => {
                Change::Group(Edit { id, tenant, before: None, after: None, deletion: Deletion::Permanent })
            }
        });
        true
    }

    /// The person with this key who can be restored.
    pub(crate) fn deleted_person(&self, key: &str, now_unix_s: i64) -> Option<Arc<Person>> {
        self.deleted.iter().filter(|deleted| now_unix_s - deleted.at_unix_s <= KEPT_S).find_map(
            |deleted| match &deleted.object {
                DeletedObject::Person(person) if person.key == key => Some(Arc::clone(person)),
                _ => None,
            },
        )
    }

    /// Restores an object with the memberships that can still be. False if there is nothing to restore.
    pub(crate) fn restore(&mut self, id: &Guid, now_unix_s: i64) -> Result<bool, SeedError> {
        let kept = |deleted: &&Deleted| now_unix_s - deleted.at_unix_s <= KEPT_S && deleted.object.id() == id;
        let Some(deleted) = self.deleted.iter().find(kept).cloned() else { return Ok(false) };
        let member = match deleted.object {
            DeletedObject::Person(person) => {
                self.check_person(&person, None)?;
                self.put_person(person);
                Member::User(id.clone())
            }
            DeletedObject::Group(group) => {
                let there = |member: &&Member| self.object(&group.about.tenant, member.id()).is_some();
                let members = group.members.iter().filter(there).cloned().collect();
                let group = Group { members, ..(*group.about).clone() };
                self.check_group(&group, None)?;
                self.put_group(group);
                Member::Group(id.clone())
            }
        };
        self.forget_deleted(id);
        for group in &deleted.held_by {
            if self.groups.get(group).is_some() {
                self.add_member(group, member.clone())?;
            }
        }
        Ok(true)
    }

    /// Forgets a deleted object, which then cannot come back.
    pub(super) fn forget_deleted(&mut self, id: &Guid) -> Option<Deleted> {
        let position = self.deleted.iter().position(|deleted| deleted.object.id() == id)?;
        Some(self.deleted.remove(position))
    }
}
