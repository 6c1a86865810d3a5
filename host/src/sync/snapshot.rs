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
    /// Who is in it may not be seen: that somebody isn't says nothing.
    is_unseen: bool,
}

impl DirectoryGroup {
    /// One whose members aren't asked for.
    pub(super) fn named(id: Oid, name: &str) -> Self {
        Self { id, name: name.to_owned(), people: Vec::new(), nested: Vec::new(), is_unseen: false }
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
}

/// The directory at the end of a round. People and groups are in the order of their ids.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// People.
    pub people: Vec<Person>,
    /// Groups.
    pub groups: Vec<DirectoryGroup>,
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
    DirectoryGroup { id, name, people: Vec::new(), nested: Vec::new(), is_unseen: record.unseen_members }
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
        // Members of what was removed, or that were, are left out.
        mirror.members(|of, member, is_group| {
            let Some(of) = groups.get(&of).and_then(|of| snapshot.groups.get_mut(*of as usize)) else { return };
            if is_group {
                of.nested.extend(groups.get(&member));
            } else {
                of.people.extend(people.get(&member));
            }
        })?;
        Ok(snapshot)
    }

    /// Everybody in a group, those of nested groups too, as numbers in order.
    pub fn everybody_in(&self, group: usize) -> Vec<u32> {
        self.known_in(group).0
    }

    /// The same, and whether that is all: of a group within whose members may not be seen nobody knows.
    pub fn known_in(&self, group: usize) -> (Vec<u32>, bool) {
        let mut seen = vec![false; self.groups.len()];
        let mut todo = vec![index(group)];
        let (mut everybody, mut is_all) = (Vec::new(), true);
        while let Some(next) = todo.pop() {
            let Some(is_seen) = seen.get_mut(next as usize) else { continue };
            if std::mem::replace(is_seen, true) {
                continue;
            }
            if let Some(group) = self.groups.get(next as usize) {
                everybody.extend_from_slice(&group.people);
                todo.extend_from_slice(&group.nested);
                is_all &= !group.is_unseen;
            }
        }
        everybody.sort_unstable();
        everybody.dedup();
        (everybody, is_all)
    }
}

/// There are fewer than four billion of anything.
fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}
