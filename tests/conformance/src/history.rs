//! Histories of a small directory, as data: what administrators do to people and groups, played on the emulator. A step that makes no
//! sense where the directory stands (somebody leaves a group that isn't there) does nothing, so any part of a history is one too.

use std::collections::BTreeSet;

use entra_emulator::seed::{Group, Guid, Member, Person, UserType};
use entra_emulator::{Control, ControlError, Seed, fixtures};

/// People that there can be. The first one is always there and a member: a directory without anybody is never believed.
pub const PEOPLE: u8 = 9;
/// Groups that there can be.
pub const GROUPS: u8 = 6;

/// One thing that happens. People and groups are numbers below [`PEOPLE`] and [`GROUPS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Somebody new, or with another name if they are there: the last number makes it.
    Person(u8, u8),
    /// The Mail attribute is cleared.
    LoseMailbox(u8),
    /// May not sign in.
    Disable(u8),
    /// May again.
    Enable(u8),
    /// Becomes a guest.
    Guest(u8),
    /// Becomes a member.
    Member(u8),
    /// Deleted; in no group any more.
    Delete(u8),
    /// Deleted for good, wherever they are.
    Purge(u8),
    /// Back from the deleted ones, in the groups of before that are still there.
    Restore(u8),
    /// A new group, or another name for it.
    Group(u8, u8),
    /// Deleted; every second group is a security group, and so gone for good.
    DeleteGroup(u8),
    /// Back, with those of its members that are still there, in the groups of before.
    RestoreGroup(u8),
    /// A person joins a group.
    Join(u8, u8),
    /// A person leaves a group.
    Leave(u8, u8),
    /// A person goes from one group to another.
    Move(u8, u8, u8),
    /// The second group joins the first, whatever is in it: circles come of it.
    Nest(u8, u8),
    /// The second group leaves the first.
    Unnest(u8, u8),
    /// The two groups are in each other.
    Circle(u8, u8),
    /// Everybody in the group leaves it.
    Empty(u8),
}

/// The applications of the demonstration, everybody, and every group with two people: most steps make sense from the beginning.
pub fn seed() -> Seed {
    let group = |which| {
        let members = [which, which + 1].map(|who| Member::User(oid(who))).to_vec();
        Group { members, ..new_group(which, 0) }
    };
    Seed {
        persons: (0..PEOPLE).map(|who| new_person(who, 0)).collect(),
        groups: (0..GROUPS).map(group).collect(),
        ..Seed::demo()
    }
}

/// Plays histories on an emulator that was started with [`seed`].
pub struct Player {
    control: Control,
    /// Deleted people and groups: an object id is never given again.
    people: BTreeSet<u8>,
    groups: BTreeSet<u8>,
}

impl Player {
    /// Brings the directory back to its beginning.
    pub fn start(control: Control) -> Self {
        control.reset();
        Self { control, people: BTreeSet::new(), groups: BTreeSet::new() }
    }

    /// Does it. What makes no sense is refused by the directory, and that is that.
    pub fn play(&mut self, step: Step) {
        let control = self.control.clone();
        let _ = match step {
            Step::Person(who, name) => self.person(who, name),
            Step::LoseMailbox(who) => control.edit_person(&key(who), |person| {
                // A guest has no other address.
                if person.user_type == UserType::Member {
                    person.mail = None;
                }
            }),
            Step::Disable(who) => control.disable_person(&key(who)),
            Step::Enable(who) => control.enable_person(&key(who)),
            Step::Guest(0) | Step::Delete(0) | Step::Purge(0) => Ok(()),
            Step::Guest(who) => control.edit_person(&key(who), |person| {
                person.user_type = UserType::Guest;
                person.mail = new_person(who, 0).mail;
            }),
            Step::Member(who) => control.edit_person(&key(who), |person| person.user_type = UserType::Member),
            Step::Delete(who) => control.remove_person(&key(who)).inspect(|()| self.gone(who)),
            Step::Purge(who) => control.purge_person(&key(who)).inspect(|()| self.gone(who)),
            Step::Restore(who) => control.restore_person(&key(who)).inspect(|()| {
                self.people.remove(&who);
            }),
            Step::Group(which, name) => self.group(which, name),
            Step::DeleteGroup(which) => control.remove_group(group_id(which).as_str()).inspect(|()| {
                self.groups.insert(which);
            }),
            Step::RestoreGroup(which) => control.restore_group(group_id(which).as_str()).inspect(|()| {
                self.groups.remove(&which);
            }),
            Step::Join(who, to) => control.add_member(group_id(to).as_str(), Member::User(oid(who))),
            Step::Leave(who, from) => control.remove_member(group_id(from).as_str(), &oid(who)),
            Step::Move(who, from, to) => control.move_member(&oid(who), group_id(from).as_str(), group_id(to).as_str()),
            Step::Nest(outer, inner) => self.nest(outer, inner),
            Step::Unnest(outer, inner) => control.remove_member(group_id(outer).as_str(), &group_id(inner)),
            Step::Circle(one, other) => self.nest(one, other).and_then(|()| self.nest(other, one)),
            Step::Empty(which) => control.edit_group(group_id(which).as_str(), |group| group.members.clear()),
        };
    }

    fn gone(&mut self, who: u8) {
        self.people.insert(who);
    }

    fn person(&self, who: u8, name: u8) -> Result<(), ControlError> {
        let named = new_person(who, name);
        if self.control.directory().person(&key(who)).is_some() {
            let change = |person: &mut Person| (person.mail, person.display_name) = (named.mail, named.display_name);
            self.control.edit_person(&key(who), change)
        } else if self.people.contains(&who) {
            Ok(())
        } else {
            self.control.add_person(named)
        }
    }

    fn group(&self, which: u8, name: u8) -> Result<(), ControlError> {
        let named = new_group(which, name);
        let id = named.id.clone();
        if self.control.directory().group(id.as_str()).is_some() {
            self.control.edit_group(id.as_str(), |group| group.display_name = named.display_name)
        } else if self.groups.contains(&which) {
            Ok(())
        } else {
            self.control.add_group(named)
        }
    }

    fn nest(&self, outer: u8, inner: u8) -> Result<(), ControlError> {
        // Entra refuses a group in itself.
        if outer == inner {
            return Ok(());
        }
        self.control.add_member(group_id(outer).as_str(), Member::Group(group_id(inner)))
    }
}

fn key(who: u8) -> String {
    format!("person-{who}")
}

fn oid(who: u8) -> Guid {
    Guid::parse(&format!("33333333-3333-4333-8333-1000000000{who:02x}")).expect("a GUID")
}

fn group_id(which: u8) -> Guid {
    Guid::parse(&format!("44444444-4444-4444-8444-1000000000{which:02x}")).expect("a GUID")
}

fn new_person(who: u8, name: u8) -> Person {
    let ada = Seed::demo().person(fixtures::person::ADA).cloned().expect("she is in the demonstration");
    Person {
        key: key(who),
        oid: oid(who),
        user_principal_name: format!("person-{who}@contoso.example"),
        mail: Some(format!("called-{name}.{who}@contoso.example")),
        display_name: Some(format!("Person {who}, called {name}")),
        ..ada
    }
}

fn new_group(which: u8, name: u8) -> Group {
    Group {
        id: group_id(which),
        tenant: Guid::parse(fixtures::CONTOSO).expect("a GUID"),
        display_name: format!("group {which}, called {name}"),
        security_enabled: which.is_multiple_of(2),
        members: Vec::new(),
    }
}
