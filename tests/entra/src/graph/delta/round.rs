//! A round that is being read: its objects in the order in which they are told, and the pages that they make. A page costs what is on
//! it; objects are shared with the directory until they are written.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Asked;
use super::plan::Item;
use crate::directory::log::Revision;
use crate::graph::objects::{Kind, Object};
use crate::graph::settings::GraphSettings;
use crate::seed::{Guid, Member};

/// Objects on a page, if the settings don't say.
const PAGE_SIZE: usize = 100;

/// Which changes a round tells, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// The revision after which they come; none: everything.
    pub(super) before: Option<Revision>,
    /// The last revision among them.
    pub(super) upto: Revision,
    pub(super) begun_at_unix_s: i64,
    /// Whether of a changed object only that is told which changed (`Prefer: return=minimal`).
    pub(super) minimal: bool,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Objects before it.
    item: usize,
    /// Memberships of the object that were told before.
    member: usize,
    /// The page's number, from 1.
    page: usize,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { item: 0, member: 0, page: 1 }
    }
}

/// A planned round.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) asked: Asked,
    pub(super) span: Span,
    pub(super) begun_at_unix_s: i64,
    items: Vec<Item>,
    properties: Option<Vec<String>>,
    page_size: usize,
    members_on_page: usize,
    members_at_once: usize,
    empty_pages: Vec<usize>,
    omits_unset: bool,
    /// Groups whose `visibility` is `HiddenMembership`.
    hidden: HashSet<Guid>,
}

impl Round {
    /// With these groups' members hidden.
    pub(super) fn hiding(self, hidden: HashSet<Guid>) -> Self {
        Self { hidden, ..self }
    }

    pub(super) fn new(asked: Asked, items: Vec<Item>, settings: &GraphSettings, span: Span) -> Self {
        Self {
            properties: asked.properties(),
            asked,
            span,
            begun_at_unix_s: span.begun_at_unix_s,
            items,
            page_size: settings.page_size.unwrap_or(PAGE_SIZE).max(1),
            members_on_page: settings.members_on_page.max(1),
            members_at_once: settings.members_at_once.max(1),
            empty_pages: settings.empty_pages.clone(),
            omits_unset: settings.delta_omits_unset,
            hidden: HashSet::new(),
        }
    }

    /// How much memory it takes, counted in objects.
    pub(super) fn size(&self) -> usize {
        self.items.len()
    }

    /// A page, and where the next one begins.
    pub(super) fn page(&self, mut cursor: Cursor) -> (Vec<Value>, Option<Cursor>) {
        let size = if self.empty_pages.contains(&cursor.page) { 0 } else { self.page_size };
        let (mut values, mut members) = (Vec::new(), 0);
        while values.len() < size
            && members < self.members_on_page
            && let Some(item) = self.items.get(cursor.item)
        {
            let part = cursor.member..item.memberships().min(cursor.member + self.members_at_once);
            members += part.len();
            values.push(self.value(item, part.clone()));
            cursor = if part.end < item.memberships() {
                Cursor { member: part.end, ..cursor }
            } else {
                Cursor { item: cursor.item + 1, member: 0, ..cursor }
            };
        }
        let next = Cursor { page: cursor.page + 1, ..cursor };
        let more = next.item < self.items.len() || self.empty_pages.contains(&next.page);
        (values, more.then_some(next))
    }

    fn value(&self, item: &Item, part: std::ops::Range<usize>) -> Value {
        let id = item.id();
        let mut shown = match item {
            Item::Gone { reason, .. } => return json!({ "id": id, "@removed": { "reason": reason } }),
            Item::Person { now, before } => self.properties(Object::User(now), before.as_deref().map(Object::User)),
            Item::Group { now, before, .. } => {
                self.properties(Object::Group(now), before.as_deref().map(Object::Group))
            }
        };
        if let Some(visibility) = shown.get_mut("visibility").filter(|_| self.hidden.contains(id)) {
            *visibility = "HiddenMembership".into();
        }
        shown.insert("id".to_owned(), id.as_str().into());
        if !part.is_empty() {
            let members: Vec<Value> = part.filter_map(|number| item.membership(number)).collect();
            shown.insert("members@delta".to_owned(), members.into());
        }
        shown.into()
    }

    fn properties(&self, now: Object<'_>, before: Option<Object<'_>>) -> Map<String, Value> {
        let mut shown = now.selected(self.properties.as_deref());
        if !self.span.minimal && !self.omits_unset {
            return shown;
        }
        let before = before.map(|before| before.selected(self.properties.as_deref()));
        let was = |name: &str| before.as_ref().and_then(|before| before.get(name));
        shown.retain(|name, value| {
            let is_news = !self.span.minimal || was(name) != Some(value);
            let is_set = !self.omits_unset || !value.is_null() || was(name).is_some_and(|was| !was.is_null());
            is_news && is_set
        });
        shown
    }
}

impl Item {
    fn id(&self) -> &Guid {
        match self {
            Self::Person { now, .. } => &now.oid,
            Self::Group { now, .. } => &now.id,
            Self::Gone { id, .. } => id,
        }
    }

    /// How many memberships it tells.
    fn memberships(&self) -> usize {
        match self {
            Self::Group { added, removed, .. } => added.len() + removed.len(),
            Self::Person { .. } | Self::Gone { .. } => 0,
        }
    }

    fn membership(&self, number: usize) -> Option<Value> {
        let Self::Group { added, removed, .. } = self else { return None };
        let (member, is_gone) = match number.checked_sub(added.len()) {
            None => (added.get(number)?, false),
            Some(number) => (removed.get(number)?, true),
        };
        let kind = match member {
            Member::User(_) => Kind::User,
            Member::Group(_) => Kind::Group,
        };
        let mut shown = json!({ "@odata.type": format!("#microsoft.graph.{}", kind.name()), "id": member.id() });
        if let Some(shown) = shown.as_object_mut().filter(|_| is_gone) {
            shown.insert("@removed".to_owned(), json!({ "reason": "deleted" }));
        }
        Some(shown)
    }
}

/// The members of a group at one moment, shared with the directory.
pub(super) type Members = Arc<Vec<Member>>;
