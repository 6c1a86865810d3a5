//! What a run does to Defguard, one step each, with its reason. A step names whom it is about by object id, so it means the same
//! whenever it is done; done twice, it changes nothing the second time.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::oid::Oid;
use crate::sandbox::sha256_hex;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Somebody new.
    CreateUser {
        /// Who.
        oid: Oid,
        /// The address.
        email: String,
        /// Whether they may do anything.
        active: bool,
    },
    /// Another address.
    ChangeEmail {
        /// Who.
        oid: Oid,
        /// The address.
        email: String,
        /// The one before.
        was: String,
    },
    /// May do something again.
    EnableUser {
        /// Who.
        oid: Oid,
        /// As people know them.
        user: String,
        /// Why.
        reason: String,
    },
    /// May do nothing any more.
    DisableUser {
        /// Who.
        oid: Oid,
        /// As people know them.
        user: String,
        /// Why.
        reason: String,
    },
    /// Gone, with devices and all.
    DeleteUser {
        /// Who.
        oid: Oid,
        /// As people know them.
        user: String,
        /// Why.
        reason: String,
    },
    /// A new group, without rights of its own.
    CreateGroup {
        /// Which.
        id: Oid,
        /// Its name.
        name: String,
    },
    /// A group that is there and is listed: its members follow the directory from now on.
    TakeGroup {
        /// Which.
        id: Oid,
        /// Its name.
        name: String,
    },
    /// Another name.
    RenameGroup {
        /// Which.
        id: Oid,
        /// Its name.
        name: String,
        /// The one before.
        was: String,
    },
    /// Gone.
    DeleteGroup {
        /// Which.
        id: Oid,
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Who is in a group, nested groups resolved.
    ChangeMembers {
        /// Which.
        id: Oid,
        /// Its name.
        name: String,
        /// Who comes, in order.
        add: Vec<Oid>,
        /// Who goes, in order.
        remove: Vec<Oid>,
    },
}

impl Action {
    /// Stable.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CreateUser { .. } => "create_user",
            Self::ChangeEmail { .. } => "change_email",
            Self::EnableUser { .. } => "enable_user",
            Self::DisableUser { .. } => "disable_user",
            Self::DeleteUser { .. } => "delete_user",
            Self::CreateGroup { .. } => "create_group",
            Self::TakeGroup { .. } => "take_group",
            Self::RenameGroup { .. } => "rename_group",
            Self::DeleteGroup { .. } => "delete_group",
            Self::ChangeMembers { .. } => "change_members",
        }
    }

    /// Whom or what it is about.
    pub fn object(&self) -> Oid {
        match self {
            Self::CreateUser { oid, .. }
            | Self::ChangeEmail { oid, .. }
            | Self::EnableUser { oid, .. }
            | Self::DisableUser { oid, .. }
            | Self::DeleteUser { oid, .. } => *oid,
            Self::CreateGroup { id, .. }
            | Self::TakeGroup { id, .. }
            | Self::RenameGroup { id, .. }
            | Self::DeleteGroup { id, .. }
            | Self::ChangeMembers { id, .. } => *id,
        }
    }

    /// Whether somebody loses an account or its use, or a group goes, because the directory has it no more.
    pub fn is_removal(&self) -> bool {
        matches!(self, Self::DeleteUser { .. } | Self::DisableUser { .. } | Self::DeleteGroup { .. })
    }

    /// Whether nothing comes of it: a change of members without any.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::ChangeMembers { add, remove, .. } if add.is_empty() && remove.is_empty())
    }

    /// As [`fmt::Display`], for an audit record: why.
    pub fn reason(&self) -> &str {
        match self {
            Self::EnableUser { reason, .. }
            | Self::DisableUser { reason, .. }
            | Self::DeleteUser { reason, .. }
            | Self::DeleteGroup { reason, .. } => reason,
            Self::CreateUser { .. } => "in the directory",
            Self::ChangeEmail { .. } | Self::RenameGroup { .. } => "changed in the directory",
            Self::CreateGroup { .. } => "a group of the directory",
            Self::TakeGroup { .. } => "listed in group_match",
            Self::ChangeMembers { .. } => "who is in it in the directory",
        }
    }

    /// What of this step is also in another one of the same kind about the same object: what was looked at and still is to be done.
    /// `None`: nothing.
    pub fn common(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (
                Self::ChangeMembers { id, name, add, remove },
                Self::ChangeMembers { id: other_id, add: other_add, remove: other_remove, .. },
            ) if id == other_id => {
                let (add, remove) = (both(add, other_add), both(remove, other_remove));
                let is_any = !add.is_empty() || !remove.is_empty();
                is_any.then(|| Self::ChangeMembers { id: *id, name: name.clone(), add, remove })
            }
            _ => (self == other).then(|| self.clone()),
        }
    }
}

/// Of two sorted lists, what is in both.
fn both(one: &[Oid], other: &[Oid]) -> Vec<Oid> {
    one.iter().filter(|oid| other.binary_search(oid).is_ok()).copied().collect()
}

/// One line for a person.
impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateUser { email, active, .. } => {
                write!(formatter, "{email}{}", if *active { "" } else { ", disabled" })
            }
            Self::ChangeEmail { email, was, .. } => write!(formatter, "{was} -> {email}"),
            Self::EnableUser { user, reason, .. }
            | Self::DisableUser { user, reason, .. }
            | Self::DeleteUser { user, reason, .. } => write!(formatter, "{user}: {reason}"),
            Self::CreateGroup { name, .. } | Self::TakeGroup { name, .. } => formatter.write_str(name),
            Self::RenameGroup { name, was, .. } => write!(formatter, "{was} -> {name}"),
            Self::DeleteGroup { name, reason, .. } => write!(formatter, "{name}: {reason}"),
            Self::ChangeMembers { name, add, remove, .. } => {
                write!(formatter, "{name}: +{} -{}", add.len(), remove.len())
            }
        }
    }
}

/// The hash of a list of steps: SHA-256 of its JSON, in hexadecimal.
pub fn hash(actions: &[Action]) -> String {
    sha256_hex(&serde_json::to_vec(actions).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_differences_have_in_common() {
        let members = |add: &[u128], remove: &[u128]| Action::ChangeMembers {
            id: Oid(1),
            name: "g".into(),
            add: add.iter().map(|oid| Oid(*oid)).collect(),
            remove: remove.iter().map(|oid| Oid(*oid)).collect(),
        };
        let delete = |reason: &str| Action::DeleteUser { oid: Oid(5), user: "u".into(), reason: reason.into() };
        for (name, one, other, expected) in [
            ("the same", delete("gone"), delete("gone"), Some(delete("gone"))),
            ("another reason", delete("gone"), delete("left the groups"), None),
            ("some of the members", members(&[1, 2, 3], &[7]), members(&[2, 9], &[7, 8]), Some(members(&[2], &[7]))),
            ("none of them", members(&[1], &[]), members(&[], &[1]), None),
        ] {
            assert_eq!(one.common(&other), expected, "{name}");
        }
        assert_ne!(hash(&[delete("gone")]), hash(&[delete("left")]));
        let text = serde_json::to_string(&members(&[1], &[2])).unwrap();
        assert!(
            text.starts_with(r#"{"action":"change_members","id":"00000000-0000-0000-0000-000000000001""#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Action>(&text).unwrap(), members(&[1], &[2]));
    }
}
