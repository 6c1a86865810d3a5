//! Users and groups as Core's database holds them: who they are, who belongs where, and what must be unique.

pub(crate) mod pattern;
pub(crate) mod rules;

use std::collections::BTreeSet;

use serde::Serialize;
use thiserror::Error;

use crate::seed::{NewGroup, NewUser, Seed};
use pattern::{EndsInEscape, ilike};

/// A user.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Never given twice.
    pub id: i64,
    /// Unique, compared to the letter.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Unique to the letter; looked up by pattern.
    pub email: String,
    /// Telephone.
    pub phone: Option<String>,
    /// In clear text: nobody is real here.
    #[serde(skip)]
    pub password: Option<String>,
    /// The subject of Core's own OpenID login.
    pub openid_sub: Option<String>,
    /// Whether the user may do anything.
    pub is_active: bool,
    /// Whether a password alone isn't enough.
    pub mfa_enabled: bool,
    /// Whether an enrollment was started: the client asks such a user for a password.
    pub enrollment_pending: bool,
}

impl User {
    /// Whether the user has a password, or came through Core's own OpenID login.
    pub fn is_enrolled(&self) -> bool {
        self.password.is_some() || self.openid_sub.is_some()
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("User").field("id", &self.id).field("username", &self.username).finish_non_exhaustive()
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) is_admin: bool,
    pub(crate) members: BTreeSet<i64>,
}

/// What Core's database would refuse.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectoryError {
    /// A username is there already.
    #[error("there is a user {0:?} already")]
    UsernameTaken(String),
    /// An address is there already.
    #[error("there is a user with the address {0:?} already")]
    EmailTaken(String),
    /// A group's name is there already.
    #[error("there is a group {0:?} already")]
    GroupTaken(String),
    /// No user of this name.
    #[error("there is no user {0:?}")]
    UnknownUser(String),
    /// No group of this name.
    #[error("there is no group {0:?}")]
    UnknownGroup(String),
}

/// All users and groups, in the order they were made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory {
    pub(crate) users: Vec<User>,
    pub(crate) groups: Vec<Group>,
    last_user: i64,
    last_group: i64,
}

impl Directory {
    pub(crate) fn from_seed(seed: &Seed) -> Result<Self, DirectoryError> {
        let mut directory = Self::default();
        for group in &seed.groups {
            directory.add_group(group)?;
        }
        for user in &seed.users {
            directory.add_user(user)?;
        }
        match seed.api_tokens.iter().find(|token| directory.user(&token.owner).is_none()) {
            Some(orphan) => Err(DirectoryError::UnknownUser(orphan.owner.clone())),
            None => Ok(directory),
        }
    }

    pub(crate) fn user(&self, username: &str) -> Option<&User> {
        self.users.iter().find(|user| user.username == username)
    }

    pub(crate) fn user_mut(&mut self, username: &str) -> Option<&mut User> {
        self.users.iter_mut().find(|user| user.username == username)
    }

    pub(crate) fn user_by_id(&self, id: i64) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The first user whose address fits, which may be somebody else's (facts D2).
    pub(crate) fn user_by_email(&self, pattern: &str) -> Result<Option<&User>, EndsInEscape> {
        for user in &self.users {
            if ilike(&user.email, pattern)? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    pub(crate) fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// Active users: what a licence counts.
    pub(crate) fn active_users(&self) -> u32 {
        let count = self.users.iter().filter(|user| user.is_active).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The names of a user's groups.
    pub(crate) fn groups_of(&self, id: i64) -> Vec<String> {
        self.groups.iter().filter(|group| group.members.contains(&id)).map(|group| group.name.clone()).collect()
    }

    /// Whether one of the user's groups makes administrators.
    pub(crate) fn is_admin(&self, id: i64) -> bool {
        self.groups.iter().any(|group| group.is_admin && group.members.contains(&id))
    }

    /// The names of a group's members, sorted.
    pub(crate) fn members_of(&self, group: &Group) -> Vec<String> {
        let names = group.members.iter().filter_map(|id| self.user_by_id(*id));
        let sorted: BTreeSet<String> = names.map(|user| user.username.clone()).collect();
        sorted.into_iter().collect()
    }

    /// Adds a user; nothing is changed if the database would refuse.
    pub(crate) fn add_user(&mut self, new: &NewUser) -> Result<i64, DirectoryError> {
        if self.user(&new.username).is_some() {
            return Err(DirectoryError::UsernameTaken(new.username.clone()));
        }
        if self.users.iter().any(|user| user.email == new.email) {
            return Err(DirectoryError::EmailTaken(new.email.clone()));
        }
        if let Some(unknown) = new.groups.iter().find(|name| self.group(name).is_none()) {
            return Err(DirectoryError::UnknownGroup(unknown.clone()));
        }
        self.last_user += 1;
        let id = self.last_user;
        self.users.push(User {
            id,
            username: new.username.clone(),
            first_name: new.first_name.clone(),
            last_name: new.last_name.clone(),
            email: new.email.clone(),
            phone: new.phone.clone(),
            password: new.password.clone(),
            openid_sub: new.openid_sub.clone(),
            is_active: new.is_active,
            mfa_enabled: new.mfa_enabled,
            enrollment_pending: false,
        });
        for group in &mut self.groups {
            if new.groups.contains(&group.name) {
                group.members.insert(id);
            }
        }
        Ok(id)
    }

    /// Puts a user's row in place of the one with its id; nothing is changed if the database would refuse.
    pub(crate) fn replace(&mut self, changed: User) -> Result<(), DirectoryError> {
        let mut others = self.users.iter().filter(|user| user.id != changed.id);
        if others.clone().any(|user| user.username == changed.username) {
            return Err(DirectoryError::UsernameTaken(changed.username));
        }
        if others.any(|user| user.email == changed.email) {
            return Err(DirectoryError::EmailTaken(changed.email));
        }
        match self.users.iter_mut().find(|user| user.id == changed.id) {
            Some(user) => {
                *user = changed;
                Ok(())
            }
            None => Err(DirectoryError::UnknownUser(changed.username)),
        }
    }

    /// Takes a user away, out of all groups too.
    pub(crate) fn remove_user(&mut self, username: &str) -> Option<User> {
        let position = self.users.iter().position(|user| user.username == username)?;
        let user = self.users.remove(position);
        for group in &mut self.groups {
            group.members.remove(&user.id);
        }
        Some(user)
    }

    /// Makes these the user's groups, of those there are. Says whether anything changed.
    pub(crate) fn set_groups(&mut self, id: i64, names: &[String]) -> bool {
        let mut changed = false;
        for group in &mut self.groups {
            changed |= if names.contains(&group.name) { group.members.insert(id) } else { group.members.remove(&id) };
        }
        changed
    }

    pub(crate) fn add_group(&mut self, new: &NewGroup) -> Result<i64, DirectoryError> {
        if self.group(&new.name).is_some() {
            return Err(DirectoryError::GroupTaken(new.name.clone()));
        }
        self.last_group += 1;
        let group =
            Group { id: self.last_group, name: new.name.clone(), is_admin: new.is_admin, members: BTreeSet::new() };
        self.groups.push(group);
        Ok(self.last_group)
    }
}
