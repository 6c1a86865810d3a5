//! The directory as it was at an earlier revision: what is there now, with the changes since then undone. Of what did not change only
//! references are handed out.

use std::collections::HashMap;
use std::sync::Arc;

use super::log::{Change, Revision};
use super::{Directory, HeldGroup};
use crate::seed::{Group, Guid, Member, Person};

impl Directory {
    /// The people of a tenant at a revision.
    pub(crate) fn people_at(&self, tenant: &Guid, revision: Revision) -> Vec<Arc<Person>> {
        let mut earlier: HashMap<&Guid, &Option<Arc<Person>>> = HashMap::new();
        for change in self.log.after(revision) {
            if let Change::Person(edit) = change
                && edit.tenant == *tenant
            {
                earlier.entry(&edit.id).or_insert(&edit.before);
            }
        }
        let now = self.people_of(tenant).iter().filter_map(|place| self.person_at(*place));
        let mut people: Vec<Arc<Person>> = now
            .filter_map(|person| match earlier.remove(&person.oid) {
                None => Some(Arc::clone(person)),
                Some(before) => before.clone(),
            })
            .collect();
        let mut gone: Vec<_> = earlier.into_values().flatten().cloned().collect();
        gone.sort_unstable_by(|one, other| one.oid.cmp(&other.oid));
        people.extend(gone);
        people
    }

    /// The groups of a tenant at a revision, with their members.
    pub(crate) fn groups_at(&self, tenant: &Guid, revision: Revision) -> Vec<HeldGroup> {
        let (mut earlier, mut moves) = (HashMap::<&Guid, &Option<Arc<Group>>>::new(), Moves::new());
        for change in self.log.after(revision) {
            match change {
                Change::Group(edit) if edit.tenant == *tenant => {
                    earlier.entry(&edit.id).or_insert(&edit.before);
                }
                Change::Members { group, tenant: of, added, removed } if of == tenant => {
                    moves.entry(group).or_default().push((added, removed));
                }
                _ => {}
            }
        }
        let now = self.groups_of_tenant(tenant).iter().filter_map(|place| self.group_at(*place));
        let mut groups: Vec<HeldGroup> = now
            .filter_map(|group| {
                let about = match earlier.remove(&group.about.id) {
                    None => Arc::clone(&group.about),
                    Some(before) => before.clone()?,
                };
                Some(HeldGroup { members: undone(&group.members, moves.get(&about.id)), about })
            })
            .collect();
        let mut gone: Vec<Arc<Group>> = earlier.into_values().flatten().cloned().collect();
        gone.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        let nobody = Arc::default();
        groups
            .extend(gone.into_iter().map(|about| HeldGroup { members: undone(&nobody, moves.get(&about.id)), about }));
        groups
    }

    /// One group at a revision, without its members.
    pub(crate) fn group_was(&self, id: &Guid, revision: Revision) -> Option<Arc<Group>> {
        let first = self.log.after(revision).iter().find_map(|change| match change {
            Change::Group(edit) if edit.id == *id => Some(edit.before.clone()),
            _ => None,
        });
        first.unwrap_or_else(|| self.groups.get(id).map(|group| Arc::clone(&group.about)))
    }
}

/// The membership changes of each group, oldest first: added and removed.
type Moves<'a> = HashMap<&'a Guid, Vec<(&'a Vec<Member>, &'a Vec<Member>)>>;

fn undone(now: &Arc<Vec<Member>>, moves: Option<&Vec<(&Vec<Member>, &Vec<Member>)>>) -> Arc<Vec<Member>> {
    let Some(moves) = moves else { return Arc::clone(now) };
    // Of each member the first change counts: one that was added was not there before.
    let mut was: HashMap<&Member, bool> = HashMap::new();
    for (added, removed) in moves {
        added.iter().for_each(|member| {
            was.entry(member).or_insert(false);
        });
        removed.iter().for_each(|member| {
            was.entry(member).or_insert(true);
        });
    }
    let mut members: Vec<Member> = now.iter().filter(|member| was.remove(member) != Some(false)).cloned().collect();
    let mut back: Vec<&Member> = was.into_iter().filter(|(_, was)| *was).map(|(member, _)| member).collect();
    back.sort_unstable();
    members.extend(back.into_iter().cloned());
    Arc::new(members)
}
