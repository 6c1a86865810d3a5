//! What Defguard has of a directory: users and groups by object id. A target reads it before a run; the plan is the difference
//! between it and the directory.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::action::Action;
use super::oid::Oid;

/// A user of this directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The address.
    pub email: String,
    /// Whether they may do anything.
    pub active: bool,
    /// What the target calls them; empty if it has no name of its own for them.
    pub account: String,
    /// Whether they administer Defguard.
    pub is_admin: bool,
    /// Whether an administrator of Defguard disabled them: then nobody else enables them.
    pub disabled_by_hand: bool,
}

impl User {
    /// As people know them.
    pub fn label(&self) -> String {
        if self.account.is_empty() { self.email.clone() } else { format!("{} ({})", self.account, self.email) }
    }
}

/// A group that follows the directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Users of this directory, in order. Whoever else is in it isn't here.
    pub members: Vec<Oid>,
    /// Whether it makes administrators.
    pub is_admin: bool,
    /// Whether the synchronisation made it: only then it may delete it.
    pub was_made: bool,
}

/// A user of a number that is linked, and who has neither the name nor the address of before: it may be somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecognised {
    /// As they were known.
    pub was: String,
    /// As they are.
    pub is: String,
}

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Users of this directory.
    pub users: BTreeMap<Oid, User>,
    /// Groups that follow it.
    pub groups: BTreeMap<Oid, Group>,
    /// Names of groups that don't, in lower case, and whether they make administrators.
    pub other_groups: HashMap<String, bool>,
    /// Active administrators that aren't users of this directory; `None`: the target has no administrators.
    pub other_admins: Option<usize>,
    /// If not one of the groups that follow is called as it was: the name of one of them then, and now. It may be another place, that
    /// has groups of the same numbers.
    pub unlike: Option<(String, String)>,
    /// Users who are left alone since nobody knows whether they are this directory's.
    pub unrecognised: Vec<Unrecognised>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships, nested groups resolved.
    pub memberships: u64,
}

impl State {
    /// How much there is.
    pub fn counts(&self) -> Counts {
        Counts {
            users: self.users.len() as u64,
            groups: self.groups.len() as u64,
            memberships: self.groups.values().map(|group| group.members.len() as u64).sum(),
        }
    }

    /// As it is after these steps.
    #[must_use]
    pub fn after(mut self, actions: &[Action]) -> Self {
        let mut gone = HashSet::new();
        for action in actions {
            self.step(action, &mut gone);
        }
        if !gone.is_empty() {
            for group in self.groups.values_mut() {
                group.members.retain(|member| !gone.contains(member));
            }
        }
        self
    }

    fn step(&mut self, action: &Action, gone: &mut HashSet<Oid>) {
        match action {
            Action::CreateUser { oid, email, active } => {
                self.users.insert(*oid, User { email: email.clone(), active: *active, ..User::default() });
            }
            Action::ChangeEmail { oid, email, .. } => self.user(*oid, |user| user.email.clone_from(email)),
            Action::EnableUser { oid, .. } => self.user(*oid, |user| user.active = true),
            Action::DisableUser { oid, .. } => self.user(*oid, |user| user.active = false),
            Action::DeleteUser { oid, .. } => {
                self.users.remove(oid);
                gone.insert(*oid);
            }
            Action::CreateGroup { id, name } => self.group(*id, name, true),
            Action::TakeGroup { id, name } => self.group(*id, name, false),
            Action::RenameGroup { id, name, .. } => {
                if let Some(group) = self.groups.get_mut(id) {
                    group.name.clone_from(name);
                }
            }
            Action::DeleteGroup { id, .. } => {
                self.groups.remove(id);
            }
            Action::ChangeMembers { id, add, remove, .. } => {
                if let Some(group) = self.groups.get_mut(id) {
                    change(&mut group.members, add, remove);
                }
            }
        }
    }

    fn group(&mut self, id: Oid, name: &str, was_made: bool) {
        self.groups.insert(id, Group { name: name.to_owned(), was_made, ..Group::default() });
    }

    fn user(&mut self, oid: Oid, change: impl FnOnce(&mut User)) {
        if let Some(user) = self.users.get_mut(&oid) {
            change(user);
        }
    }
}

fn change(members: &mut Vec<Oid>, add: &[Oid], remove: &[Oid]) {
    members.retain(|member| remove.binary_search(member).is_err());
    members.reserve_exact(add.len());
    members.extend_from_slice(add);
    members.sort_unstable();
    members.dedup();
}
