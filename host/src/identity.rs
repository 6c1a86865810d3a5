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
