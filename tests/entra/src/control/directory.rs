//! The part of the control handle that changes the directory. Each change is checked, is made whole or not at all, and is in the log
//! that delta queries read.

use std::sync::Arc;

use thiserror::Error;

use super::Control;
use crate::directory::{Churned, Directory, HeldGroup};
use crate::seed::{App, Group, Guid, Member, Outcome, Person, Seed, SeedError, fixtures};

/// The directory could not be changed as asked.
#[derive(Debug, Error)]
pub enum ControlError {
    /// No app has this client id.
    #[error("the emulator has no app {0:?}")]
    UnknownApp(String),
    /// No group has this id.
    #[error("the emulator has no group {0:?}")]
    UnknownGroup(String),
    /// No person has this key.
    #[error("the emulator has no person {0:?}")]
    UnknownPerson(String),
    /// The change would leave the directory ambiguous; nothing was changed.
    #[error("the change is refused: {0}")]
    Inconsistent(#[from] SeedError),
}

impl Control {
    /// What the directory holds now, as a copy of its own.
    pub fn directory(&self) -> Seed {
        self.world.state().directory.to_seed()
    }

    /// How many changes there were since the start or the last reset: one for each object, and one for each group's members.
    pub fn revision(&self) -> u64 {
        self.world.state().directory.revision()
    }

    /// Registers a redirect URI.
    pub fn add_redirect_uri(&self, client_id: &str, uri: impl Into<String>) -> Result<(), ControlError> {
        let uri = uri.into();
        self.edit_app(client_id, |app| app.redirect_uris.push(uri))
    }

    /// Changes an app registration: expire a secret, take consent away, unassign a person.
    pub fn edit_app(&self, client_id: &str, change: impl FnOnce(&mut App)) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let mut apps = state.directory.apps.clone();
        let app = apps.iter_mut().find(|app| app.client_id.as_str() == client_id);
        change(app.ok_or_else(|| ControlError::UnknownApp(client_id.to_owned()))?);
        Ok(state.directory.set_apps(apps)?)
    }

    /// Changes a person.
    pub fn edit_person(&self, key: &str, change: impl FnOnce(&mut Person)) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let old = person(&state.directory, key)?;
        let mut new = (*old).clone();
        change(&mut new);
        Ok(state.directory.replace_person(&old, new)?)
    }

    /// Adds a person. One with the id of somebody who could be restored takes that one's place.
    pub fn add_person(&self, person: Person) -> Result<(), ControlError> {
        Ok(self.world.state().directory.add_person(person)?)
    }

    /// Takes a person out of the directory and out of all groups; for 30 days they can be restored. A code that was issued before
    /// still works; Graph knows nobody.
    pub fn remove_person(&self, key: &str) -> Result<(), ControlError> {
        let now = self.world.clock.now_unix_s();
        let mut state = self.world.state();
        let old = person(&state.directory, key)?;
        state.directory.delete_person(&old.oid, now);
        Ok(())
    }

    /// Brings a removed person back, with the memberships that can still be.
    pub fn restore_person(&self, key: &str) -> Result<(), ControlError> {
        let now = self.world.clock.now_unix_s();
        let mut state = self.world.state();
        let unknown = || ControlError::UnknownPerson(key.to_owned());
        let deleted = state.directory.deleted_person(key, now).ok_or_else(unknown)?;
        if state.directory.restore(&deleted.oid, now)? { Ok(()) } else { Err(unknown()) }
    }

    /// Removes a person for good, whether they are there or could be restored.
    pub fn purge_person(&self, key: &str) -> Result<(), ControlError> {
        let now = self.world.clock.now_unix_s();
        let mut state = self.world.state();
        let unknown = || ControlError::UnknownPerson(key.to_owned());
        let there = state.directory.person(key).cloned();
        let old = there.or_else(|| state.directory.deleted_person(key, now)).ok_or_else(unknown)?;
        if state.directory.purge(&old.oid) { Ok(()) } else { Err(unknown()) }
    }

    /// The object id of the person with this key.
    pub(super) fn oid_of(&self, key: &str) -> Result<Guid, ControlError> {
        person(&self.world.state().directory, key).map(|person| person.oid.clone())
    }

    /// The key of the person with this object id.
    pub(super) fn key_of(&self, oid: &Guid) -> Option<String> {
        self.world.state().directory.person_by_id(oid).map(|person| person.key.clone())
    }

    /// A person as they are now.
    pub(super) fn person(&self, key: &str) -> Result<Person, ControlError> {
        person(&self.world.state().directory, key).map(|person| (*person).clone())
    }

    /// A group as it is now.
    pub(super) fn group(&self, id: &str) -> Result<Group, ControlError> {
        self.world.state().directory.group(id).map(HeldGroup::whole).ok_or_else(|| unknown_group(id))
    }

    /// Disables an account.
    pub fn disable_person(&self, key: &str) -> Result<(), ControlError> {
        self.edit_person(key, |person| person.outcome = Outcome::Disabled)
    }

    /// Enables a disabled account; one with another script of its sign-in stays as it is.
    pub fn enable_person(&self, key: &str) -> Result<(), ControlError> {
        self.edit_person(key, |person| {
            if person.outcome == Outcome::Disabled {
                person.outcome = Outcome::SignsIn;
            }
        })
    }

    /// Adds a group.
    pub fn add_group(&self, group: Group) -> Result<(), ControlError> {
        Ok(self.world.state().directory.add_group(group)?)
    }

    /// Changes a group: its name, its members. The id stays as it is in others' lists of members.
    pub fn edit_group(&self, id: &str, change: impl FnOnce(&mut Group)) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let old = state.directory.group(id).cloned().ok_or_else(|| unknown_group(id))?;
        let mut new = old.whole();
        change(&mut new);
        Ok(state.directory.replace_group(&old, new)?)
    }

    /// Takes a group out of the directory and out of all groups that hold it. A Microsoft 365 group can be restored for 30 days, a
    /// security group is gone for good.
    pub fn remove_group(&self, id: &str) -> Result<(), ControlError> {
        let now = self.world.clock.now_unix_s();
        let guid = group_id(id)?;
        if self.world.state().directory.delete_group(&guid, now) { Ok(()) } else { Err(unknown_group(id)) }
    }

    /// Brings a removed Microsoft 365 group back, with the memberships that can still be.
    pub fn restore_group(&self, id: &str) -> Result<(), ControlError> {
        let now = self.world.clock.now_unix_s();
        let guid = group_id(id)?;
        if self.world.state().directory.restore(&guid, now)? { Ok(()) } else { Err(unknown_group(id)) }
    }

    /// Removes a group for good, whether it is there or could be restored.
    pub fn purge_group(&self, id: &str) -> Result<(), ControlError> {
        let guid = group_id(id)?;
        if self.world.state().directory.purge(&guid) { Ok(()) } else { Err(unknown_group(id)) }
    }

    /// Puts an object into a group; nothing happens if it is there already.
    pub fn add_member(&self, group: &str, member: Member) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let group = there(&state.directory, group)?;
        state.directory.add_member(&group, member)?;
        Ok(())
    }

    /// Takes an object out of a group; nothing happens if it is not there.
    pub fn remove_member(&self, group: &str, member: &Guid) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let group = there(&state.directory, group)?;
        state.directory.remove_member(&group, member);
        Ok(())
    }

    /// Takes a person or group out of one group and puts it into another.
    pub fn move_member(&self, member: &Guid, from: &str, to: &str) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let (from, to) = (there(&state.directory, from)?, there(&state.directory, to)?);
        let is_person = state.directory.person_by_id(member).is_some();
        let moved = if is_person { Member::User(member.clone()) } else { Member::Group(member.clone()) };
        // First what can be refused.
        state.directory.add_member(&to, moved)?;
        state.directory.remove_member(&from, member);
        Ok(())
    }

    /// Hides who is in a group from all but those with `Member.Read.Hidden`, or shows it again.
    pub fn hide_membership(&self, group: &str, hidden: bool) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let group = there(&state.directory, group)?;
        state.directory.hide_members_of(&group, hidden);
        Ok(())
    }

    /// Makes as many random changes in Contoso as this share of its people is, in percent; the same for the same seed. Of ten changes
    /// five are edits, two disable or enable somebody, three move a membership.
    pub fn churn(&self, percent: u32, seed: u64) -> Result<Churned, ControlError> {
        let mut state = self.world.state();
        let tenant = contoso()?;
        let people = state.directory.people_of(&tenant).len();
        let changes = people.saturating_mul(usize::try_from(percent).unwrap_or(usize::MAX)) / 100;
        Ok(state.directory.churn(&tenant, changes, seed)?)
    }

    /// The same, with the number of changes.
    pub fn churn_exactly(&self, changes: usize, seed: u64) -> Result<Churned, ControlError> {
        Ok(self.world.state().directory.churn(&contoso()?, changes, seed)?)
    }
}

fn contoso() -> Result<Guid, ControlError> {
    group_id(fixtures::CONTOSO)
}

fn person(directory: &Directory, key: &str) -> Result<Arc<Person>, ControlError> {
    directory.person(key).cloned().ok_or_else(|| ControlError::UnknownPerson(key.to_owned()))
}

fn there(directory: &Directory, id: &str) -> Result<Guid, ControlError> {
    directory.group(id).map(|group| group.about.id.clone()).ok_or_else(|| unknown_group(id))
}

fn group_id(id: &str) -> Result<Guid, ControlError> {
    Guid::parse(id).map_err(|_| unknown_group(id))
}

fn unknown_group(id: &str) -> ControlError {
    ControlError::UnknownGroup(id.to_owned())
}
