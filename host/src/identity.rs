//! Who signed in, as the host carries it: the component's record in a form that can be kept and shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sandbox::bindings::exports::defguard::openid::login;

/// A verified and mapped identity. The meaning of each field: `wit/login.wit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The provider's id in the configuration.
    pub provider: String,
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// Entra's `tid`.
    pub tenant_id: Option<String>,
    /// Entra's `oid`.
    pub object_id: Option<String>,
    /// By Defguard's rules; not necessarily free.
    pub username: String,
    /// Never a key.
    pub email: String,
    /// What the provider says of the address.
    pub email_verified: Option<bool>,
    /// Never empty.
    pub given_name: String,
    /// Never empty.
    pub family_name: String,
    /// As the provider shows it.
    pub display_name: String,
    /// If there is one.
    pub phone: Option<String>,
    /// Unknown never means none.
    pub groups: Groups,
    /// Whose account it is.
    #[serde(default)]
    pub account: AccountKind,
    /// What the configuration maps besides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
}

/// Whose account it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountKind {
    /// Of the tenant itself.
    Member,
    /// Invited into the tenant.
    Guest,
    /// A personal Microsoft account.
    Personal,
    /// The provider doesn't tell them apart.
    #[default]
    Unknown,
}

impl AccountKind {
    /// In the configuration's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Guest => "guest",
            Self::Personal => "personal",
            Self::Unknown => "unknown",
        }
    }
}

impl From<login::AccountKind> for AccountKind {
    fn from(kind: login::AccountKind) -> Self {
        match kind {
            login::AccountKind::Member => Self::Member,
            login::AccountKind::Guest => Self::Guest,
            login::AccountKind::Personal => Self::Personal,
            login::AccountKind::Unknown => Self::Unknown,
        }
    }
}

/// One group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What names it for good.
    pub id: String,
    /// How people call it; never unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl From<login::Groups> for Groups {
    fn from(groups: login::Groups) -> Self {
        match groups {
            login::Groups::NotRequested => Self::NotRequested,
            login::Groups::Known(groups) => Self::Known {
                groups: groups.into_iter().map(|group| Group { id: group.id, name: group.name }).collect(),
            },
            login::Groups::Unknown(reason) => Self::Unknown { reason },
        }
    }
}

/// Group membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Groups {
    /// Not asked for.
    NotRequested,
    /// All of them.
    Known {
        /// None twice.
        groups: Vec<Group>,
    },
    /// They could not be learned.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl Identity {
    pub(crate) fn from_component(provider: &str, identity: login::Identity) -> Self {
        Self {
            provider: provider.to_owned(),
            issuer: identity.key.issuer,
            subject: identity.key.subject,
            tenant_id: identity.key.tenant_id,
            object_id: identity.key.object_id,
            username: identity.username,
            email: identity.email,
            email_verified: identity.email_verified,
            given_name: identity.given_name,
            family_name: identity.family_name,
            display_name: identity.display_name,
            phone: identity.phone,
            groups: identity.groups.into(),
            account: identity.account.into(),
            attributes: identity.attributes.into_iter().collect(),
        }
    }

    /// What finds the person's account, for good: `tid` and `oid` at Entra, `sub` elsewhere; always under the issuer.
    pub fn key(&self) -> IdentityKey {
        match (&self.tenant_id, &self.object_id) {
            (Some(tenant), Some(object)) => {
                IdentityKey(vec![self.issuer.clone(), format!("tid:{tenant}"), format!("oid:{object}")])
            }
            _ => IdentityKey(vec![self.issuer.clone(), format!("sub:{}", self.subject)]),
        }
    }

    /// What the contract promises of an identity (wit/login.wit), held against what the component gave.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let is_username_character = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let username_good = (1..=63).contains(&self.username.len())
            && self.username.bytes().all(is_username_character)
            && self.username.starts_with(|first: char| first.is_ascii_alphanumeric());
        let texts = [&self.issuer, &self.subject, &self.email, &self.given_name, &self.family_name, &self.display_name];
        if !username_good {
            Err("its user name isn't one of Defguard's")
        } else if self.email.matches('@').count() != 1 {
            Err("its address isn't one")
        } else if texts.iter().any(|text| text.is_empty() || text.len() > 1024 || text.contains(char::is_control)) {
            Err("one of its texts is empty, too long, or has control characters")
        } else if [&self.tenant_id, &self.object_id, &self.phone]
            .into_iter()
            .flatten()
            .any(|text| text.is_empty() || text.len() > 1024 || text.contains(char::is_control))
        {
            Err("its tenant, object id or phone is empty, too long, or has control characters")
        } else if matches!(&self.groups, Groups::Known { groups } if groups.len() > 11_000 || groups.iter().any(is_oversized))
        {
            Err("it has more groups than the contract allows, or one whose name is too long or has control characters")
        } else if self.attributes.len() > 32
            || self.attributes.iter().any(|(name, value)| {
                name.len() + value.len() > 2048 || [name, value].iter().any(|text| text.contains(char::is_control))
            })
        {
            Err("it has more attributes than the contract allows, or one that is too long or has control characters")
        } else {
            Ok(())
        }
    }

    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            provider: "entra".into(),
            issuer: "https://login.example/t/v2.0".into(),
            subject: "s".into(),
            tenant_id: Some("t".into()),
            object_id: Some("o".into()),
            username: "ada".into(),
            email: "ada@contoso.example".into(),
            email_verified: None,
            given_name: "Ada".into(),
            family_name: "Example".into(),
            display_name: "Ada Example".into(),
            phone: None,
            groups: Groups::NotRequested,
            account: AccountKind::Member,
            attributes: BTreeMap::new(),
        }
    }
}

fn is_oversized(group: &Group) -> bool {
    let texts = std::iter::once(&group.id).chain(&group.name);
    group.id.is_empty()
        || texts.into_iter().any(|text| text.contains(char::is_control))
        || group.id.len() > 256
        || group.name.as_ref().is_some_and(|name| name.len() > 256)
}

/// What finds a person's account and never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IdentityKey(Vec<String>);

impl IdentityKey {
    /// As a storage key: a hash, since issuers have any length and character.
    pub fn digest(&self) -> String {
        // No part has a line break (`Identity::check`): it separates.
        crate::sandbox::sha256_hex(self.0.join("\n").as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Identity);

    fn group(id: &str) -> Group {
        Group { id: id.into(), name: None }
    }

    #[test]
    fn the_key_is_what_never_changes() {
        let ada = Identity::sample();
        let same: &[(&str, Spoil)] = &[
            ("another address", |identity| identity.email = "new@contoso.example".into()),
            ("another user name", |identity| identity.username = "new".into()),
            ("another sub: the registration was made anew", |identity| identity.subject = "new".into()),
        ];
        let other: &[(&str, Spoil)] = &[
            ("another oid", |identity| identity.object_id = Some("o2".into())),
            ("another tenant", |identity| identity.tenant_id = Some("t2".into())),
            ("another issuer", |identity| identity.issuer = "https://other.example".into()),
            ("no oid", |identity| identity.object_id = None),
        ];
        for (table, equal) in [(same, true), (other, false)] {
            for (name, spoil) in table {
                let mut identity = Identity::sample();
                spoil(&mut identity);
                assert_eq!(identity.key() == ada.key(), equal, "{name}");
                assert_eq!(identity.key().digest() == ada.key().digest(), equal, "{name}");
            }
        }
    }

    #[test]
    fn what_a_component_may_not_give() {
        let table: &[(&str, Spoil)] = &[
            ("no user name", |identity| identity.username.clear()),
            ("64 characters", |identity| identity.username = "a".repeat(64)),
            ("a space", |identity| identity.username = "a b".into()),
            ("a dot first", |identity| identity.username = ".a".into()),
            ("no address", |identity| identity.email = "ada".into()),
            ("two addresses", |identity| identity.email = "a@b@c".into()),
            ("a line break in the address", |identity| identity.email = "a@b\r\nBcc: c".into()),
            ("no name", |identity| identity.given_name.clear()),
            ("a name of 2 KiB", |identity| identity.family_name = "x".repeat(2048)),
            ("no subject", |identity| identity.subject.clear()),
            ("an empty object id", |identity| identity.object_id = Some(String::new())),
            ("a line break in the object id", |identity| identity.object_id = Some("o\nsub:s".into())),
            ("a phone number of 2 KiB", |identity| identity.phone = Some("1".repeat(2048))),
            ("a line break in a group", |identity| identity.groups = Groups::Known { groups: vec![group("g\n")] }),
            ("an escape in an attribute", |identity| {
                identity.attributes = [("a".to_owned(), "\u{1b}[2J".to_owned())].into();
            }),
            ("12000 groups", |identity| identity.groups = Groups::Known { groups: vec![group("g"); 12_000] }),
            ("a group without id", |identity| identity.groups = Groups::Known { groups: vec![group("")] }),
            ("33 attributes", |identity| {
                identity.attributes = (0..33).map(|n| (n.to_string(), String::new())).collect();
            }),
        ];
        assert_eq!(Identity::sample().check(), Ok(()));
        for (name, spoil) in table {
            let mut identity = Identity::sample();
            spoil(&mut identity);
            assert!(identity.check().is_err(), "{name}");
        }
    }
}
