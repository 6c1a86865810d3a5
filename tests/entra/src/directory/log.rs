//! The append-only log of changes. A revision is the number of changes up to it; what lies between two of them is a slice of the log.
//! Each change keeps what was before it, so that the directory can be seen as it was at any revision.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::seed::{Group, Guid, Member, Person};

/// How many changes there were.
pub(crate) type Revision = u64;

/// Whether what was deleted can come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deletion {
    /// It can be restored (`@removed.reason` is `changed`).
    Soft,
    /// It is gone for good (`deleted`).
    Permanent,
}

/// An object before and after a change; absent where it did not exist. Groups come without members.
#[derive(Debug, Clone)]
pub(crate) struct Edit<T> {
    pub(crate) id: Guid,
    pub(crate) tenant: Guid,
    pub(crate) before: Option<Arc<T>>,
    pub(crate) after: Option<Arc<T>>,
    /// Of an object that is gone afterwards.
    pub(crate) deletion: Deletion,
}

/// One change.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Person(Edit<Person>),
    Group(Edit<Group>),
    Members { group: Guid, tenant: Guid, added: Vec<Member>, removed: Vec<Member> },
}

/// All changes, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChangeLog {
    changes: Vec<Change>,
}

impl ChangeLog {
    /// The revision now.
    pub(crate) fn revision(&self) -> Revision {
        self.changes.len() as Revision
    }

    /// Notes a change.
    pub(super) fn note(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The changes after one revision, up to and with another.
    pub(crate) fn between(&self, from: Revision, to: Revision) -> &[Change] {
        let index = |revision| usize::try_from(revision).unwrap_or(usize::MAX).min(self.changes.len());
        self.changes.get(index(from)..index(to)).unwrap_or_default()
    }

    /// The changes after a revision.
    pub(crate) fn after(&self, from: Revision) -> &[Change] {
        self.between(from, self.revision())
    }
}

/// What several changes of one object come to.
#[derive(Debug, Clone)]
pub(crate) struct Net<T> {
    pub(crate) id: Guid,
    /// First and last state; none if its properties were left alone.
    pub(crate) edit: Option<Edit<T>>,
    /// The members that it has now and had not before, and the other way round.
    pub(crate) added: Vec<Member>,
    pub(crate) removed: Vec<Member>,
}

/// What changes come to, one entry for each object, in the order of the last change.
#[derive(Debug)]
struct Folding<T> {
    entries: HashMap<Guid, Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    last: usize,
    edit: Option<Edit<T>>,
    /// Of each member whether it was one before and is one after.
    members: BTreeMap<Member, (bool, bool)>,
}

impl<T> Folding<T> {
    fn new() -> Self {
        Self { entries: HashMap::new() }
    }

    fn entry(&mut self, id: &Guid, number: usize) -> &mut Entry<T> {
        let fresh = || Entry { last: number, edit: None, members: BTreeMap::new() };
        let entry = self.entries.entry(id.clone()).or_insert_with(fresh);
        entry.last = number;
        entry
    }

    fn edit(&mut self, edit: &Edit<T>, number: usize) {
        let entry = self.entry(&edit.id, number);
        let before = match entry.edit.take() {
            Some(earlier) => earlier.before,
            None => edit.before.clone(),
        };
        entry.edit = Some(Edit {
            id: edit.id.clone(),
            tenant: edit.tenant.clone(),
            before,
            after: edit.after.clone(),
            deletion: edit.deletion,
        });
    }

    fn members(&mut self, group: &Guid, added: &[Member], removed: &[Member], number: usize) {
        let entry = self.entry(group, number);
        for (members, is_in) in [(added, true), (removed, false)] {
            for member in members {
                entry.members.entry(member.clone()).or_insert((!is_in, is_in)).1 = is_in;
            }
        }
    }

    fn finish(self) -> Vec<Net<T>> {
        let mut entries: Vec<(Guid, Entry<T>)> = self.entries.into_iter().collect();
        entries.sort_unstable_by_key(|(_, entry)| entry.last);
        let net = |(id, entry): (Guid, Entry<T>)| {
            let (mut added, mut removed) = (Vec::new(), Vec::new());
            for (member, (was, is)) in entry.members {
                match (was, is) {
                    (false, true) => added.push(member),
                    (true, false) => removed.push(member),
                    _ => {}
                }
            }
            Net { id, edit: entry.edit, added, removed }
        };
        entries.into_iter().map(net).collect()
    }
}

/// What changes come to for the people of a tenant.
pub(crate) fn net_people(changes: &[Change], tenant: &Guid) -> Vec<Net<Person>> {
    let mut folding = Folding::new();
    for (number, change) in changes.iter().enumerate() {
        if let Change::Person(edit) = change
            && edit.tenant == *tenant
        {
            folding.edit(edit, number);
        }
    }
    folding.finish()
}

/// What changes come to for the groups of a tenant, memberships with them.
pub(crate) fn net_groups(changes: &[Change], tenant: &Guid) -> Vec<Net<Group>> {
    let mut folding = Folding::new();
    for (number, change) in changes.iter().enumerate() {
        match change {
            Change::Group(edit) if edit.tenant == *tenant => folding.edit(edit, number),
            Change::Members { group, tenant: of, added, removed } if of == tenant => {
                folding.members(group, added, removed, number);
            }
            _ => {}
        }
    }
    folding.finish()
}
