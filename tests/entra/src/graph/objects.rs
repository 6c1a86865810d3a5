//! Directory objects as Graph writes them: the properties of a type, those that are asked for, and what is left of an object of a type
//! that the caller may not read.

use serde_json::{Map, Value};

use super::bearer::{Permission, Principal};
use super::errors::GraphError;
use super::filter::Field;
use super::{groups, users};
use crate::directory::{Directory, Found};
use crate::seed::{DirectoryRole, Group, Member, Person};

/// A type of object that can be asked for by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    Group,
}

impl Kind {
    /// The type's name without its namespace.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
        }
    }

    /// The collection's name in paths.
    pub(super) fn collection(self) -> &'static str {
        match self {
            Self::User => "users",
            Self::Group => "groups",
        }
    }

    fn properties(self) -> &'static [&'static str] {
        match self {
            Self::User => &users::PROPERTIES,
            Self::Group => &groups::PROPERTIES,
        }
    }
}

/// Refuses the selection of a property that objects of the type do not have.
pub(super) fn check_select(kind: Kind, select: Option<&[String]>) -> Result<(), GraphError> {
    match select.unwrap_or_default().iter().find(|name| !kind.properties().contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(GraphError::UnknownProperty { name: unknown.clone(), type_name: kind.name() }),
    }
}

/// An object of the directory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    User(&'a Person),
    Group(&'a Group),
    DirectoryRole(&'a DirectoryRole),
}

impl<'a> From<Found<'a>> for Object<'a> {
    fn from(found: Found<'a>) -> Self {
        match found {
            Found::Person(person) => Self::User(person),
            Found::Group(group) => Self::Group(&group.about),
        }
    }
}

impl<'a> Object<'a> {
    /// The object that a membership names.
    pub(super) fn of(directory: &'a Directory, member: &Member) -> Option<Self> {
        match member {
            Member::User(id) => directory.person_by_id(id).map(|person| Self::User(person)),
            Member::Group(id) => directory.group(id.as_str()).map(|group| Self::Group(&group.about)),
        }
    }
}

impl Object<'_> {
    /// The type's name without its namespace.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::DirectoryRole(_) => "directoryRole",
        }
    }

    /// Whether the caller may see more of it than that it exists. Roles are shown to whoever may read users.
    fn is_readable_by(self, principal: &Principal) -> bool {
        principal.may_use(match self {
            Self::User(_) | Self::DirectoryRole(_) => Permission::Users,
            Self::Group(_) => Permission::Groups,
        })
    }

    fn properties(self) -> Map<String, Value> {
        match self {
            Self::User(person) => users::properties(person),
            Self::Group(group) => groups::properties(group),
            Self::DirectoryRole(role) => [
                ("id", role.id.as_str().into()),
                ("displayName", role.display_name.as_str().into()),
                ("description", Value::Null),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect(),
        }
    }

    fn default_properties(self) -> &'static [&'static str] {
        match self {
            Self::User(_) => &users::DEFAULT_PROPERTIES,
            Self::Group(_) => &groups::DEFAULT_PROPERTIES,
            Self::DirectoryRole(_) => &["id", "displayName", "description"],
        }
    }

    /// The object alone: its selected properties, as far as it has them; see [`check_select`].
    pub(super) fn selected(self, select: Option<&[String]>) -> Map<String, Value> {
        let mut all = self.properties();
        let mut take = |name: &str| all.remove_entry(name);
        match select {
            Some(names) => names.iter().filter_map(|name| take(name)).collect(),
            None => self.default_properties().iter().filter_map(|name| take(name)).collect(),
        }
    }

    /// A property by which objects of this type can be filtered.
    pub(super) fn field(&self, name: &str) -> Option<Field<'_>> {
        match self {
            Self::User(person) => users::field(person, name),
            Self::Group(group) => groups::field(group, name),
            Self::DirectoryRole(_) => None,
        }
    }

    /// The object in a list of several types: with its type, and those of the selected properties that the type has. Of a type that the
    /// caller may not read only type and id are told; the other properties are null.
    pub(super) fn member(self, select: Option<&[String]>, principal: &Principal) -> Map<String, Value> {
        let mut shown = Map::new();
        shown.insert("@odata.type".to_owned(), format!("#microsoft.graph.{}", self.type_name()).into());
        let all = self.properties();
        let defaults = || self.default_properties().iter().map(ToString::to_string).collect();
        let names: Vec<String> = select.map_or_else(defaults, <[String]>::to_vec);
        let readable = self.is_readable_by(principal);
        for name in names {
            if let Some(value) = all.get(&name) {
                let value = if readable || name == "id" { value.clone() } else { Value::Null };
                shown.insert(name, value);
            }
        }
        shown
    }
}
