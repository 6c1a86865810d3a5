//! What a round tells, object by object: all that was there at a revision, or what changes between two revisions come to. The settings
//! then make it harder to read, as Graph may: old news first, another order, repetitions.

use std::sync::Arc;

use ring::hmac;

use super::round::Members;
use super::{Asked, Collection, Start};
use crate::directory::log::{Deletion, Edit, Net, Revision, net_groups, net_people};
use crate::directory::{Directory, HeldGroup};
use crate::graph::objects::Object;
use crate::graph::settings::GraphSettings;
use crate::seed::{Group, Guid, Person};

/// One object of a round.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Person {
        now: Arc<Person>,
        before: Option<Arc<Person>>,
    },
    Group {
        now: Arc<Group>,
        before: Option<Arc<Group>>,
        added: Members,
        removed: Members,
    },
    Gone {
        id: Guid,
        /// `changed` or `deleted`.
        reason: &'static str,
    },
}

/// Which changes to tell, and to whom.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) from: Start,
    pub(super) upto: Revision,
    /// Whether the reader may know who is in groups that hide it.
    pub(super) see_hidden: bool,
}

/// The objects of a round in the order in which they are told.
pub(super) fn items(directory: &Directory, asked: &Asked, order: &Order, settings: &GraphSettings) -> Vec<Item> {
    let view = View { directory, asked, see_hidden: order.see_hidden, properties: asked.properties() };
    let (old, news) = match order.from {
        Start::Nothing => {
            let mut news = view.all(order.upto);
            if settings.delta_removed_at_first {
                news.extend(view.gone(order.upto));
            }
            (Vec::new(), news)
        }
        Start::Revision(revision) => (Vec::new(), view.changes(revision, order.upto)),
        Start::Link { revision, before } => {
            let old = match before.filter(|_| settings.delta_replays) {
                Some(before) => view.changes(before, revision),
                None if settings.delta_replays => view.all(revision),
                None => Vec::new(),
            };
            (old, view.changes(revision, order.upto))
        }
    };
    // Old news first, so that the last word is the new one.
    [old, news].into_iter().flat_map(|items| arranged(items, settings)).collect()
}

/// The directory as a reader with these wishes and rights may see it.
struct View<'a> {
    directory: &'a Directory,
    asked: &'a Asked,
    see_hidden: bool,
    properties: Option<Vec<String>>,
}

impl View<'_> {
    /// Everything at a revision.
    fn all(&self, upto: Revision) -> Vec<Item> {
        let tenant = &self.asked.tenant;
        match self.asked.collection {
            Collection::Users => {
                let people = self.directory.people_at(tenant, upto).into_iter();
                people.filter(|now| self.wants(&now.oid)).map(|now| Item::Person { now, before: None }).collect()
            }
            Collection::Groups => {
                let groups = self.directory.groups_at(tenant, upto).into_iter();
                let item = |HeldGroup { about, members }: HeldGroup| {
                    let added = if self.shows_members_of(&about.id) { members } else { Members::default() };
                    Item::Group { now: about, before: None, added, removed: Members::default() }
                };
                groups.filter(|group| self.wants(&group.about.id)).map(item).collect()
            }
        }
    }

    /// What is there no longer at a revision.
    fn gone(&self, upto: Revision) -> Vec<Item> {
        let all = self.changes(0, upto).into_iter();
        all.filter(|item| matches!(item, Item::Gone { .. })).collect()
    }

    /// What the changes between two revisions come to, as far as they concern what was asked for.
    fn changes(&self, from: Revision, upto: Revision) -> Vec<Item> {
        let changes = self.directory.log().between(from, upto);
        let tenant = &self.asked.tenant;
        match self.asked.collection {
            Collection::Users => {
                let people = net_people(changes, tenant).into_iter().filter(|net| self.wants(&net.id));
                people.filter_map(|net| self.person(net)).collect()
            }
            Collection::Groups => {
                let groups = net_groups(changes, tenant).into_iter().filter(|net| self.wants(&net.id));
                groups.filter_map(|net| self.group(net, upto)).collect()
            }
        }
    }

    fn person(&self, net: Net<Person>) -> Option<Item> {
        let edit = net.edit?;
        let Some(now) = edit.after else { return Some(gone(&edit)) };
        let changed = edit.before.as_deref().is_none_or(|before| self.differ(Object::User(before), Object::User(&now)));
        changed.then_some(Item::Person { now, before: edit.before })
    }

    fn group(&self, net: Net<Group>, upto: Revision) -> Option<Item> {
        let (now, before) = match net.edit {
            Some(edit) => match edit.after.clone() {
                Some(now) => (now, edit.before),
                None => return Some(gone(&edit)),
            },
            None => {
                let group = self.directory.group_was(&net.id, upto)?;
                (Arc::clone(&group), Some(group))
            }
        };
        let (added, removed) =
            if self.shows_members_of(&net.id) { (net.added, net.removed) } else { Default::default() };
        let changed = !added.is_empty()
            || !removed.is_empty()
            || before.as_deref().is_none_or(|before| self.differ(Object::Group(before), Object::Group(&now)));
        changed.then(|| Item::Group { now, before, added: Arc::new(added), removed: Arc::new(removed) })
    }

    /// A change of what was not selected does not surface.
    fn differ(&self, one: Object<'_>, other: Object<'_>) -> bool {
        one.selected(self.properties.as_deref()) != other.selected(self.properties.as_deref())
    }

    fn wants(&self, id: &Guid) -> bool {
        self.asked.only.as_ref().is_none_or(|only| only.contains(id))
    }

    fn shows_members_of(&self, group: &Guid) -> bool {
        self.asked.with_members() && (self.see_hidden || !self.directory.hides_members_of(group))
    }
}

fn gone<T>(edit: &Edit<T>) -> Item {
    let reason = match edit.deletion {
        Deletion::Soft => "changed",
        Deletion::Permanent => "deleted",
    };
    Item::Gone { id: edit.id.clone(), reason }
}

/// The same objects in the order, and as often, as the settings say.
fn arranged(mut items: Vec<Item>, settings: &GraphSettings) -> Vec<Item> {
    if let Some(seed) = settings.delta_shuffle {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &seed.to_be_bytes());
        let mut tagged: Vec<(Vec<u8>, Item)> = items
            .into_iter()
            .enumerate()
            .map(|(number, item)| (hmac::sign(&key, &number.to_be_bytes()).as_ref().to_vec(), item))
            .collect();
        tagged.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        items = tagged.into_iter().map(|(_, item)| item).collect();
    }
    if settings.delta_backwards {
        items.reverse();
    }
    if let Some(every) = settings.delta_duplicates {
        let again: Vec<Item> = items.iter().skip(every.max(1) - 1).step_by(every.max(1)).cloned().collect();
        items.extend(again);
    }
    items
}
