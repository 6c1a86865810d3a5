//! The mirror in memory, small: people and groups by number, memberships as lists of numbers. Nested groups are resolved here; a circle
//! of groups is a set of groups with the same members, and nothing worse.

use std::collections::HashMap;

use super::mirror::{GroupRecord, Mirror, MirrorError, UserRecord};
use super::oid::Oid;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The object id.
    pub id: Oid,
    /// Where they are written to: the Mail attribute; else the user principal name, if it is an address of the tenant's own; else
    /// the first further address.
    pub email: Option<String>,
    /// Whether the account may sign in, if that is known.
    pub enabled: Option<bool>,
    /// Whether it was invited.
    pub guest: bool,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGroup {
    /// The object id.
    pub id: Oid,
    /// Never unique; the id, if it has none.
    pub name: String,
    people: Vec<u32>,
    nested: Vec<u32>,
    /// Groups in it that the directory didn't name: whether they are gone has to be asked.
    lost: Vec<Oid>,
    /// Who is in it may not be seen: that somebody isn't says nothing.
    is_unseen: bool,
}

impl DirectoryGroup {
    /// One whose members aren't asked for.
    pub(super) fn named(id: Oid, name: &str) -> Self {
        Self { id, name: name.to_owned(), people: Vec::new(), nested: Vec::new(), lost: Vec::new(), is_unseen: false }
    }

    /// With people by number.
    #[cfg(test)]
    pub(super) fn with(id: Oid, name: &str, people: Vec<u32>) -> Self {
        Self { people, ..Self::named(id, name) }
    }

    /// Whose members may not be seen.
    #[cfg(test)]
    pub(super) fn unseen(self) -> Self {
        Self { is_unseen: true, ..self }
    }

    /// With groups in it that weren't named.
    #[cfg(test)]
    pub(super) fn without(self, lost: Vec<Oid>) -> Self {
        Self { lost, ..self }
    }
}

/// The directory at the end of a round. People and groups are in the order of their ids.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// People.
    pub people: Vec<Person>,
    /// Groups.
    pub groups: Vec<DirectoryGroup>,
    /// Groups that were in others, and that an enumeration didn't name any more: whether they are gone has to be asked, in order.
    pub lost: Vec<Oid>,
}

/// Who is in a group, those in groups within it too.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Inside {
    /// Numbers of people, in order.
    pub people: Vec<u32>,
    /// Whether that is all: of a group within whose members may not be seen nobody knows.
    pub is_all: bool,
    /// Groups within that the directory didn't name, in order: whoever is in it by one of them isn't among these people.
    pub lost: Vec<Oid>,
}

fn person(id: u128, record: UserRecord) -> Person {
    let is_external = |name: &String| name.to_ascii_uppercase().contains("#EXT#");
    let address = |name: &String| name.contains('@');
    let own = record.user_principal_name.filter(|name| address(name) && !is_external(name));
    let email = record.mail.filter(address).or(own).or_else(|| record.other_mails.into_iter().find(address));
    Person { id: Oid(id), email, enabled: record.enabled, guest: record.guest.unwrap_or(false) }
}

fn group(id: u128, record: GroupRecord) -> DirectoryGroup {
    let id = Oid(id);
    let name = record.display_name.unwrap_or_else(|| id.to_string());
    DirectoryGroup { is_unseen: record.unseen_members, ..DirectoryGroup::named(id, &name) }
}

impl Snapshot {
    /// Of a mirror whose round is complete.
    pub fn read(mirror: &Mirror) -> Result<Self, MirrorError> {
        let mut snapshot = Self::default();
        let (mut people, mut groups) = (HashMap::new(), HashMap::new());
        mirror.users(|id, record| {
            people.insert(id, index(snapshot.people.len()));
            snapshot.people.push(person(id, record));
        })?;
        mirror.groups(|id, record| {
            groups.insert(id, index(snapshot.groups.len()));
            snapshot.groups.push(group(id, record));
        })?;
        // Members of what was removed, and people who were, are left out.
        mirror.members(|of, member, is_group| {
            let Some(of) = groups.get(&of).and_then(|of| snapshot.groups.get_mut(*of as usize)) else { return };
            match (is_group, groups.get(&member)) {
                (true, Some(inner)) => of.nested.push(*inner),
                (true, None) => of.lost.push(Oid(member)),
                (false, _) => of.people.extend(people.get(&member)),
            }
        })?;
        mirror.lost(|of, inner| {
            let Some(of) = groups.get(&of).and_then(|of| snapshot.groups.get_mut(*of as usize)) else { return };
            if !groups.contains_key(&inner) {
                of.lost.push(Oid(inner));
                snapshot.lost.push(Oid(inner));
            }
        })?;
        snapshot.lost.sort_unstable();
        snapshot.lost.dedup();
        Ok(snapshot)
    }

    /// Whether somebody is in the directory.
    pub fn has(&self, oid: Oid) -> bool {
        self.people.binary_search_by_key(&oid, |person| person.id).is_ok()
    }

    /// Of how many people it isn't known whether their accounts are enabled.
    pub fn stateless(&self) -> usize {
        self.people.iter().filter(|person| person.enabled.is_none()).count()
    }

    /// Everybody in a group, those of nested groups too.
    pub fn inside(&self, group: usize) -> Inside {
        let mut seen = vec![false; self.groups.len()];
        let mut todo = vec![index(group)];
        let mut inside = Inside { is_all: true, ..Inside::default() };
        while let Some(next) = todo.pop() {
            let Some(is_seen) = seen.get_mut(next as usize) else { continue };
            if std::mem::replace(is_seen, true) {
                continue;
            }
            if let Some(group) = self.groups.get(next as usize) {
                inside.people.extend_from_slice(&group.people);
                inside.lost.extend_from_slice(&group.lost);
                todo.extend_from_slice(&group.nested);
                inside.is_all &= !group.is_unseen;
            }
        }
        inside.people.sort_unstable();
        inside.people.dedup();
        inside.lost.sort_unstable();
        inside.lost.dedup();
        inside
    }
}

/// There are fewer than four billion of anything.
fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
