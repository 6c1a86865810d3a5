//! What a directory synchronisation must come to: users and groups as sets, read from its document, and worked out from the emulator's
//! own directory by another way than the host's.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use entra_emulator::Seed;
use entra_emulator::seed::{Group, Guid, Member, Outcome, Person, UserType};
use serde::{Deserialize, Serialize};

/// The state after a run. All keys and members are object ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Address, and whether the user is active.
    pub users: BTreeMap<String, (String, bool)>,
    /// Everybody in a group, nested groups resolved.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// The groups' names.
    pub names: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    users: Vec<DocumentUser>,
    groups: Vec<DocumentGroup>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentUser {
    oid: String,
    email: String,
    active: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentGroup {
    id: String,
    name: String,
    members: Vec<String>,
}

impl State {
    /// Of the document that `apply = "file:…"` writes. It must be sorted, and have nothing besides.
    pub fn of_document(bytes: &[u8]) -> Self {
        let document: Document = serde_json::from_slice(bytes).expect("a whole document");
        sorted("users", document.users.iter().map(|user| &user.oid));
        sorted("groups", document.groups.iter().map(|group| &group.id));
        for group in &document.groups {
            sorted(&group.id, group.members.iter());
        }
        let mut state = Self::default();
        state.users.extend(document.users.into_iter().map(|user| (user.oid, (user.email, user.active))));
        for group in document.groups {
            state.names.insert(group.id.clone(), group.name);
            state.groups.insert(group.id, group.members.into_iter().collect());
        }
        state
    }

    /// Of one tenant's part of the emulator's directory; with its guests, if they count.
    pub fn of_directory(directory: &Seed, tenant: &str, guests: bool) -> Self {
        let is_here = |of: &Guid| of.as_str() == tenant;
        let people = directory.persons.iter().filter(|person| is_here(&person.tenant));
        let counting = people.filter(|person| guests || person.user_type != UserType::Guest);
        let users: BTreeMap<String, (String, bool)> = counting
            .filter_map(|person| {
                Some((person.oid.to_string(), (address(person)?, person.outcome != Outcome::Disabled)))
            })
            .collect();
        let groups: HashMap<&str, &Group> = directory
            .groups
            .iter()
            .filter(|group| is_here(&group.tenant))
            .map(|group| (group.id.as_str(), group))
            .collect();
        let everybody = groups.keys().map(|id| {
            let inside = people_in(&groups, id).into_iter().filter(|oid| users.contains_key(*oid));
            ((*id).to_owned(), inside.map(str::to_owned).collect())
        });
        let names = groups.values().map(|group| (group.id.to_string(), group.display_name.clone())).collect();
        Self { groups: everybody.collect(), users, names }
    }

    /// How many memberships there are.
    pub fn memberships(&self) -> usize {
        self.groups.values().map(BTreeSet::len).sum()
    }

    /// As the document of `apply = "file:…"` has to look, byte by byte.
    pub fn document(&self) -> Vec<u8> {
        let users = self.users.iter().map(|(oid, (email, active))| DocumentUser {
            oid: oid.clone(),
            email: email.clone(),
            active: *active,
        });
        let groups = self.groups.iter().map(|(id, members)| DocumentGroup {
            id: id.clone(),
            name: self.names.get(id).cloned().unwrap_or_default(),
            members: members.iter().cloned().collect(),
        });
        let document = Document { users: users.collect(), groups: groups.collect() };
        let mut bytes = serde_json::to_vec(&document).expect("texts are JSON");
        bytes.push(b'\n');
        bytes
    }
}

fn sorted<'a>(what: &str, ids: impl Iterator<Item = &'a String>) {
    let ids: Vec<&String> = ids.collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{what}: not sorted, or not unique: {ids:?}");
}

/// The Mail attribute; else the user principal name, if it is an address of the tenant's own; else the first further address.
fn address(person: &Person) -> Option<String> {
    let own = Some(&person.user_principal_name).filter(|name| !name.contains("#EXT#"));
    person.mail.as_ref().or(own).or(person.other_mails.first()).cloned()
}

/// Who is in a group, by walking down. Groups may be in each other.
fn people_in<'a>(groups: &HashMap<&str, &'a Group>, id: &str) -> HashSet<&'a str> {
    let (mut people, mut seen, mut ahead) = (HashSet::new(), HashSet::new(), vec![id]);
    while let Some(id) = ahead.pop() {
        // A circle, or a group that isn't there.
        let Some(group) = groups.get(id).filter(|group| seen.insert(group.id.as_str())) else { continue };
        for member in &group.members {
            match member {
                Member::User(oid) => {
                    people.insert(oid.as_str());
                }
                Member::Group(inner) => ahead.push(inner.as_str()),
            }
        }
    }
    people
}
