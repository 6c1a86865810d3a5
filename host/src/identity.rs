//! Who signed in, as the host carries it: the component's record in a form that can be kept and shown.

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
}

/// Group membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Groups {
    /// Not asked for.
    NotRequested,
    /// All of them.
    Known {
        /// Identifiers.
        ids: Vec<String>,
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
            groups: match identity.groups {
                login::Groups::NotRequested => Groups::NotRequested,
                login::Groups::Known(ids) => Groups::Known { ids },
                login::Groups::Unknown(reason) => Groups::Unknown { reason },
            },
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
        } else if matches!(&self.groups, Groups::Known { ids } if ids.len() > 11_000) {
            Err("it has more groups than the contract allows")
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Spoil = fn(&mut Identity);

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
            ("12000 groups", |identity| identity.groups = Groups::Known { ids: vec![String::new(); 12_000] }),
        ];
        assert_eq!(Identity::sample().check(), Ok(()));
        for (name, spoil) in table {
            let mut identity = Identity::sample();
            spoil(&mut identity);
            assert!(identity.check().is_err(), "{name}");
        }
    }
}
