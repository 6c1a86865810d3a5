//! The directory as it is now: tenants, registrations, people and groups, found by every name without a search, with the log of
//! everything that changed. Objects are shared and replaced, never changed in place, so a reader may hold on to what it has seen.

mod churn;
mod deleted;
mod edit;
pub(crate) mod log;
mod past;
mod shelf;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

pub use churn::Churned;
pub(crate) use deleted::{Deleted, DeletedObject};
pub(crate) use shelf::Place;

use self::log::{ChangeLog, Revision};
use self::shelf::Shelf;
use crate::seed::{self, App, Group, Guid, Member, Person, Seed, Tenant};

/// A group and, apart from it, its direct members: the one changes rarely, the others often.
#[derive(Debug, Clone)]
pub(crate) struct HeldGroup {
    /// The group; its own list of members is empty.
    pub(crate) about: Arc<Group>,
    pub(crate) members: Arc<Vec<Member>>,
}

impl shelf::Object for Arc<Person> {
    fn id(&self) -> &Guid {
        &self.oid
    }

    fn tenant(&self) -> &Guid {
        &self.tenant
    }
}

impl shelf::Object for HeldGroup {
    fn id(&self) -> &Guid {
        &self.about.id
    }

    fn tenant(&self) -> &Guid {
        &self.about.tenant
    }
}

/// A user or a group.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'a> {
    Person(&'a Arc<Person>),
    Group(&'a HeldGroup),
}

/// Everything that the emulator knows.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) apps: Vec<App>,
    people: Shelf<Arc<Person>>,
    groups: Shelf<HeldGroup>,
    /// Places of people by their keys, lower case.
    keys: HashMap<String, Place>,
    /// Places of people by user principal name, lower case; one person in each tenant.
    names: HashMap<String, Vec<Place>>,
    /// Places of the groups that hold an object directly.
    containing: HashMap<Guid, BTreeSet<Place>>,
    hidden: HashSet<Guid>,
    deleted: Vec<Deleted>,
    log: ChangeLog,
}

impl Directory {
    /// The directory of a seed, which has been checked.
    pub(crate) fn new(seed: Seed) -> Self {
        let mut directory = Self {
            tenants: seed.tenants,
            apps: seed.apps,
            people: Shelf::default(),
            groups: Shelf::default(),
            keys: HashMap::new(),
            names: HashMap::new(),
            containing: HashMap::new(),
            hidden: seed.hidden_membership.into_iter().collect(),
            deleted: Vec::new(),
            log: ChangeLog::default(),
        };
        for person in seed.persons {
            directory.shelve_person(Arc::new(person));
        }
        for mut group in seed.groups {
            let members = std::mem::take(&mut group.members);
            directory.shelve_group(HeldGroup { about: Arc::new(group), members: Arc::new(members) });
        }
        directory
    }

    /// The seed that leads to what is here now.
    pub(crate) fn to_seed(&self) -> Seed {
        let mut hidden: Vec<Guid> = self.hidden.iter().cloned().collect();
        hidden.sort_unstable();
        Seed {
            tenants: self.tenants.clone(),
            apps: self.apps.clone(),
            persons: self.people.iter().map(|person| (**person).clone()).collect(),
            groups: self.groups.iter().map(HeldGroup::whole).collect(),
            hidden_membership: hidden,
        }
    }

    /// The tenant with this GUID or domain.
    pub(crate) fn tenant(&self, guid_or_domain: &str) -> Option<&Tenant> {
        seed::find_tenant(&self.tenants, guid_or_domain)
    }

    /// The registration of `client_id`.
    pub(crate) fn app(&self, client_id: &str) -> Option<&App> {
        seed::find_app(&self.apps, client_id)
    }

    /// The person with this key.
    pub(crate) fn person(&self, key: &str) -> Option<&Arc<Person>> {
        let place = self.keys.get(&key.to_ascii_lowercase())?;
        self.people.at(*place).filter(|person| person.key == key)
    }

    /// The person with this object id.
    pub(crate) fn person_by_id(&self, id: &Guid) -> Option<&Arc<Person>> {
        self.people.get(id)
    }

    /// The people with this user principal name, each in another tenant.
    pub(crate) fn people_named(&self, name: &str) -> impl Iterator<Item = &Arc<Person>> {
        let places = self.names.get(&name.to_ascii_lowercase()).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|place| self.people.at(*place))
    }

    /// All people, in order.
    pub(crate) fn people(&self) -> impl Iterator<Item = &Arc<Person>> {
        self.people.iter()
    }

    /// The places of a tenant's people, in order.
    pub(crate) fn people_of(&self, tenant: &Guid) -> &[Place] {
        self.people.of_tenant(tenant)
    }

    /// The person at a place.
    pub(crate) fn person_at(&self, place: Place) -> Option<&Arc<Person>> {
        self.people.at(place)
    }

    /// The group with this id, in any case of its letters.
    pub(crate) fn group(&self, id: &str) -> Option<&HeldGroup> {
        self.groups.get(&Guid::parse(id).ok()?)
    }

    /// The places of a tenant's groups, in order.
    pub(crate) fn groups_of_tenant(&self, tenant: &Guid) -> &[Place] {
        self.groups.of_tenant(tenant)
    }

    /// The group at a place.
    pub(crate) fn group_at(&self, place: Place) -> Option<&HeldGroup> {
        self.groups.at(place)
    }

    /// The user or group with this id in a tenant.
    pub(crate) fn object(&self, tenant: &Guid, id: &Guid) -> Option<Found<'_>> {
        let person = self.people.get(id).filter(|person| person.tenant == *tenant).map(Found::Person);
        person.or_else(|| self.groups.get(id).filter(|group| group.about.tenant == *tenant).map(Found::Group))
    }

    /// The groups that hold an object directly, in order.
    pub(crate) fn direct_groups_of(&self, id: &Guid) -> impl Iterator<Item = &HeldGroup> {
        self.containing.get(id).into_iter().flatten().filter_map(|place| self.groups.at(*place))
    }

    /// The groups that hold an object directly or through other groups, in order, none twice. Circles end.
    pub(crate) fn groups_of(&self, id: &Guid) -> Vec<&Group> {
        let mut reached = BTreeSet::new();
        let mut to_visit: Vec<Place> = self.containing.get(id).into_iter().flatten().copied().collect();
        while let Some(place) = to_visit.pop() {
            if reached.insert(place)
                && let Some(group) = self.groups.at(place)
            {
                to_visit.extend(self.containing.get(&group.about.id).into_iter().flatten());
            }
        }
        reached.into_iter().filter_map(|place| self.groups.at(place)).map(|group| &*group.about).collect()
    }

    /// Everything in a group, directly or through other groups, none twice, the group itself only if a circle leads back to it.
    pub(crate) fn transitive_members<'a>(&'a self, group: &'a HeldGroup) -> Vec<&'a Member> {
        let mut reached = HashSet::new();
        let mut all = Vec::new();
        let mut to_visit = vec![group];
        while let Some(group) = to_visit.pop() {
            for member in group.members.iter() {
                if reached.insert(member) {
                    all.push(member);
                    to_visit.extend(if let Member::Group(id) = member { self.groups.get(id) } else { None });
                }
            }
        }
        all
    }

    /// The groups whose members only `Member.Read.Hidden` shows.
    pub(crate) fn hidden(&self) -> &HashSet<Guid> {
        &self.hidden
    }

    /// Whether only `Member.Read.Hidden` shows who is in a group.
    pub(crate) fn hides_members_of(&self, group: &Guid) -> bool {
        self.hidden.contains(group)
    }

    /// How many changes there were since the start.
    pub(crate) fn revision(&self) -> Revision {
        self.log.revision()
    }

    /// The changes so far.
    pub(crate) fn log(&self) -> &ChangeLog {
        &self.log
    }
}

impl HeldGroup {
    /// The group with its members.
    pub(crate) fn whole(&self) -> Group {
        Group { members: self.members.to_vec(), ..(*self.about).clone() }
    }
}
