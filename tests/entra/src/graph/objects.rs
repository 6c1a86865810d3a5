//! Directory objects as Graph writes them: the properties of a type, those that are asked for, and what is left of an object of a type
//! that the caller may not read.

use serde_json::{Map, Value};

use super::bearer::{Permission, Principal};
use super::errors::GraphError;
use super::{groups, users};
use crate::seed::{DirectoryRole, Group, Person};

/// An object of the directory.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    User(&'a Person),
    Group(&'a Group),
    DirectoryRole(&'a DirectoryRole),
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
            Self::User(_) | Self::DirectoryRole(_) => Permission::ReadUsers,
            Self::Group(_) => Permission::ReadGroups,
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

    /// The object alone: its selected properties, each of which must exist.
    pub(super) fn entity(self, select: Option<&[String]>) -> Result<Map<String, Value>, GraphError> {
        let all = self.properties();
        let defaults = || self.default_properties().iter().map(ToString::to_string).collect();
        let names: Vec<String> = select.map_or_else(defaults, <[String]>::to_vec);
        let unknown = |name: &String| GraphError::UnknownProperty { name: name.clone(), type_name: self.type_name() };
        names
            .into_iter()
            .map(|name| {
                let value = all.get(&name).cloned().ok_or_else(|| unknown(&name))?;
                Ok((name, value))
            })
            .collect()
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
