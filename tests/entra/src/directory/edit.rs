//! Changes of the directory. Each is checked by itself, against what it touches alone, is made whole or not at all, and is noted in
//! the log; `keys`, `names` and `containing` follow.

use std::collections::HashSet;
use std::sync::Arc;

use super::log::{Change, Deletion, Edit};
use super::{Directory, HeldGroup};
use crate::seed::{self, App, Group, Guid, Member, Person, SeedError};

impl Directory {
    /// Replaces the registrations, if they hang together.
    pub(crate) fn set_apps(&mut self, apps: Vec<App>) -> Result<(), SeedError> {
        seed::check_apps(&apps, &self.tenants)?;
        self.apps = apps;
        Ok(())
    }

    /// Adds a person.
    pub(crate) fn add_person(&mut self, person: Person) -> Result<(), SeedError> {
        self.check_person(&person, None)?;
        self.forget_deleted(&person.oid);
        self.put_person(Arc::new(person));
        Ok(())
    }

    /// Puts a person in another's place. With another id or tenant it is another object, and must be in no group.
    pub(crate) fn replace_person(&mut self, old: &Arc<Person>, new: Person) -> Result<(), SeedError> {
        self.check_person(&new, Some(old))?;
        if **old == new {
            return Ok(());
        }
        if old.oid != new.oid || old.tenant != new.tenant {
            self.take_person(&old.oid, Deletion::Permanent);
        }
        self.put_person(Arc::new(new));
        Ok(())
    }

    /// Takes a person out of the directory and out of all groups. Answers the groups that held them.
    pub(super) fn take_person(&mut self, id: &Guid, deletion: Deletion) -> Option<(Arc<Person>, Vec<Guid>)> {
        let person = Arc::clone(self.people.get(id)?);
        let left = self.leave_all_groups(&Member::User(id.clone()));
        self.unindex(&person);
        self.people.take(id);
        let (tenant, before) = (person.tenant.clone(), Some(Arc::clone(&person)));
        self.log.note(Change::Person(Edit { id: id.clone(), tenant, before, after: None, deletion }));
        Some((person, left))
    }

    pub(super) fn put_person(&mut self, person: Arc<Person>) {
        let before = self.people.get(&person.oid).cloned();
        if let Some(before) = &before {
            self.unindex(before);
        }
        self.log.note(Change::Person(Edit {
            id: person.oid.clone(),
            tenant: person.tenant.clone(),
            before,
            after: Some(Arc::clone(&person)),
            deletion: Deletion::Soft,
        }));
        self.shelve_person(person);
    }

    pub(super) fn shelve_person(&mut self, person: Arc<Person>) {
        let (key, name) = (person.key.to_ascii_lowercase(), person.user_principal_name.to_ascii_lowercase());
        let place = self.people.put(person);
        self.keys.insert(key, place);
        self.names.entry(name).or_default().push(place);
    }

    fn unindex(&mut self, person: &Person) {
        let Some(place) = self.people.place(&person.oid) else { return };
        self.keys.remove(&person.key.to_ascii_lowercase());
        let name = person.user_principal_name.to_ascii_lowercase();
        if let Some(places) = self.names.get_mut(&name) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.names.remove(&name);
            }
        }
    }

    /// What [`seed::Seed::check`] says of all people, of one.
    pub(super) fn check_person(&self, person: &Person, old: Option<&Arc<Person>>) -> Result<(), SeedError> {
        let is_old = |other: &Guid| old.is_some_and(|old| old.oid == *other);
        let taken = self.keys.get(&person.key.to_ascii_lowercase()).and_then(|place| self.people.at(*place));
        if taken.is_some_and(|other| !is_old(&other.oid)) {
            return Err(SeedError::Duplicate { kind: "person key", value: person.key.clone() });
        }
        if !is_old(&person.oid) {
            self.check_id_is_free(&person.oid)?;
        }
        self.check_tenant(&person.tenant, || format!("person {}", person.key))?;
        match old.filter(|old| old.oid != person.oid || old.tenant != person.tenant) {
            Some(old) => self.check_is_in_no_group(&old.oid),
            None => Ok(()),
        }
    }

    /// Adds a group.
    pub(crate) fn add_group(&mut self, group: Group) -> Result<(), SeedError> {
        self.check_group(&group, None)?;
        self.forget_deleted(&group.id);
        self.put_group(group);
        Ok(())
    }

    /// Puts a group in another's place. With another id or tenant it is another object, and must be in no group.
    pub(crate) fn replace_group(&mut self, old: &HeldGroup, new: Group) -> Result<(), SeedError> {
        self.check_group(&new, Some(&old.about))?;
        if old.about.id != new.id || old.about.tenant != new.tenant {
            self.take_group(&old.about.id, Deletion::Permanent);
        }
        self.put_group(new);
        Ok(())
    }

    /// Takes a group out of the directory and out of all groups. Answers the groups that held it.
    pub(super) fn take_group(&mut self, id: &Guid, deletion: Deletion) -> Option<(HeldGroup, Vec<Guid>)> {
        let group = self.groups.get(id)?.clone();
        let left = self.leave_all_groups(&Member::Group(id.clone()));
        // Not the clone from before: a group that held itself has just left itself.
        let members = self.groups.get(id).map(|group| Arc::clone(&group.members)).unwrap_or_default();
        self.change_members(id, &[], &members.iter().cloned().collect::<Vec<_>>());
        self.groups.take(id);
        self.log.note(Change::Group(Edit {
            id: id.clone(),
            tenant: group.about.tenant.clone(),
            before: Some(Arc::clone(&group.about)),
            after: None,
            deletion,
        }));
        Some((group, left))
    }

    /// Puts a group and its members, noting what is new about either.
    pub(super) fn put_group(&mut self, mut group: Group) {
        let members = std::mem::take(&mut group.members);
        let id = group.id.clone();
        let before = self.groups.get(&id).cloned();
        if before.as_ref().is_none_or(|before| *before.about != group) {
            let about = Arc::new(group);
            self.log.note(Change::Group(Edit {
                id: id.clone(),
                tenant: about.tenant.clone(),
                before: before.as_ref().map(|before| Arc::clone(&before.about)),
                after: Some(Arc::clone(&about)),
                deletion: Deletion::Soft,
            }));
            let members = before.as_ref().map(|before| Arc::clone(&before.members)).unwrap_or_default();
            self.groups.put(HeldGroup { about, members });
        }
        let old: HashSet<&Member> = before.iter().flat_map(|before| before.members.iter()).collect();
        let new: HashSet<&Member> = members.iter().collect();
        let added: Vec<Member> = members.iter().filter(|member| !old.contains(member)).cloned().collect();
        let gone = before.iter().flat_map(|before| before.members.iter()).filter(|member| !new.contains(member));
        let removed: Vec<Member> = gone.cloned().collect();
        self.change_members(&id, &added, &removed);
        // In the order that was asked for.
        if let Some(held) = self.groups.get_mut(&id)
            && *held.members != members
        {
            held.members = Arc::new(members);
        }
    }

    pub(super) fn shelve_group(&mut self, group: HeldGroup) {
        let members = Arc::clone(&group.members);
        let place = self.groups.put(group);
        for member in members.iter() {
            self.containing.entry(member.id().clone()).or_default().insert(place);
        }
    }

    /// What [`seed::Seed::check`] says of all groups, of one.
    pub(super) fn check_group(&self, group: &Group, old: Option<&Group>) -> Result<(), SeedError> {
        if old.is_none_or(|old| old.id != group.id) {
            self.check_id_is_free(&group.id)?;
        }
        self.check_tenant(&group.tenant, || format!("group {}", group.id))?;
        if let Some(old) = old.filter(|old| old.id != group.id || old.tenant != group.tenant) {
            self.check_is_in_no_group(&old.id)?;
        }
        seed::group::check_members(group, |member| self.tenant_of(member, group, old))
    }

    /// The tenant of a member of a group that is about to be put.
    fn tenant_of<'a>(&'a self, member: &Member, group: &'a Group, old: Option<&Group>) -> Option<&'a Guid> {
        match member {
            Member::User(id) => self.people.get(id).map(|person| &person.tenant),
            Member::Group(id) if *id == group.id => Some(&group.tenant),
            Member::Group(id) if old.is_some_and(|old| old.id == *id) => None,
            Member::Group(id) => self.groups.get(id).map(|group| &group.about.tenant),
        }
    }

    fn check_id_is_free(&self, id: &Guid) -> Result<(), SeedError> {
        if self.people.get(id).is_some() || self.groups.get(id).is_some() {
            return Err(SeedError::Duplicate { kind: "object id", value: id.to_string() });
        }
        Ok(())
    }

    fn check_tenant(&self, tenant: &Guid, what: impl FnOnce() -> String) -> Result<(), SeedError> {
        match self.tenant(tenant.as_str()) {
            Some(_) => Ok(()),
            None => Err(SeedError::UnknownTenant { what: what(), tenant: tenant.clone() }),
        }
    }

    /// What a group lists must stay what it is.
    fn check_is_in_no_group(&self, id: &Guid) -> Result<(), SeedError> {
        match self.direct_groups_of(id).find(|group| group.about.id != *id) {
            None => Ok(()),
            Some(group) => Err(SeedError::UnknownMember { group: group.about.id.clone(), member: id.clone() }),
        }
    }

    /// Puts an object into a group; false if it is there already.
    pub(crate) fn add_member(&mut self, group: &Guid, member: Member) -> Result<bool, SeedError> {
        let unknown = || SeedError::UnknownMember { group: group.clone(), member: member.id().clone() };
        let held = self.groups.get(group).ok_or_else(unknown)?;
        let tenant = self.tenant_of(&member, &held.about, None).ok_or_else(unknown)?;
        if *tenant != held.about.tenant {
            return Err(unknown());
        }
        let is_new = !self.holds(group, member.id());
        if is_new {
            self.change_members(group, &[member], &[]);
        }
        Ok(is_new)
    }

    /// Takes an object out of a group; false if it is not there.
    pub(crate) fn remove_member(&mut self, group: &Guid, id: &Guid) -> bool {
        if !self.holds(group, id) {
            return false;
        }
        let member = if self.people.get(id).is_some() { Member::User(id.clone()) } else { Member::Group(id.clone()) };
        self.change_members(group, &[], &[member]);
        true
    }

    /// Whether a group holds an object directly.
    pub(crate) fn holds(&self, group: &Guid, id: &Guid) -> bool {
        let place = self.groups.place(group);
        place.is_some_and(|place| self.containing.get(id).is_some_and(|places| places.contains(&place)))
    }

    /// Hides or shows who is in a group. The log keeps silent: what a reader sees of it follows who asks.
    pub(crate) fn hide_members_of(&mut self, group: &Guid, hidden: bool) {
        if hidden {
            self.hidden.insert(group.clone());
        } else {
            self.hidden.remove(group);
        }
    }

    fn leave_all_groups(&mut self, member: &Member) -> Vec<Guid> {
        let groups: Vec<Guid> = self.direct_groups_of(member.id()).map(|group| group.about.id.clone()).collect();
        for group in &groups {
            self.change_members(group, &[], std::slice::from_ref(member));
        }
        groups
    }

    /// Adds members that a group does not have and takes away such that it has.
    fn change_members(&mut self, group: &Guid, added: &[Member], removed: &[Member]) {
        let Some(place) = self.groups.place(group).filter(|_| !added.is_empty() || !removed.is_empty()) else { return };
        let Some(held) = self.groups.get_mut(group) else { return };
        // A copy of the list if a delta round still reads the old one.
        let members = Arc::make_mut(&mut held.members);
        match removed {
            [] => {}
            [one] => members.retain(|member| member != one),
            many => {
                let many: HashSet<&Member> = many.iter().collect();
                members.retain(|member| !many.contains(member));
            }
        }
        members.extend_from_slice(added);
        let tenant = held.about.tenant.clone();
        for member in removed {
            if let Some(places) = self.containing.get_mut(member.id()) {
                places.remove(&place);
            }
        }
        for member in added {
            self.containing.entry(member.id().clone()).or_default().insert(place);
        }
        let (added, removed) = (added.to_vec(), removed.to_vec());
        self.log.note(Change::Members { group: group.clone(), tenant, added, removed });
    }
}
