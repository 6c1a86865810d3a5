//! Whom and what a Core knows at first: users, groups, API tokens. From a JSON file, or built by a test.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The seed that tests start from.
pub mod fixtures {
    /// The administrator's name.
    pub const ADMIN: &str = "admin";
    /// The administrator's password.
    pub const ADMIN_PASSWORD: &str = "Correct-horse-7";
    /// The administrator's address.
    pub const ADMIN_EMAIL: &str = "admin@defguard.example";
    /// The group that makes its members administrators.
    pub const ADMIN_GROUP: &str = "admin";
    /// The administrator's API token.
    pub const TOKEN: &str = "dg-Emulator0Emulator1Emulator2Emulat";
}

/// Everything there is at first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seed {
    /// Groups, numbered from 1 in this order.
    pub groups: Vec<NewGroup>,
    /// Users, numbered from 1 in this order.
    pub users: Vec<NewUser>,
    /// API tokens.
    pub api_tokens: Vec<NewApiToken>,
}

/// A group to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewGroup {
    /// Unique.
    pub name: String,
    /// Whether its members are administrators.
    #[serde(default)]
    pub is_admin: bool,
}

/// An API token to be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApiToken {
    /// The user whose rights it has.
    pub owner: String,
    /// What it is called.
    pub name: String,
    /// `dg-` and 32 letters or digits.
    pub token: String,
}

impl std::fmt::Debug for NewApiToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NewApiToken")
            .field("owner", &self.owner)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A user to be: active, without password, in no group, unless said otherwise.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// Unique, compared to the letter.
    pub username: String,
    /// Unique.
    pub email: String,
    /// Given name.
    #[serde(default)]
    pub first_name: String,
    /// Family name.
    #[serde(default)]
    pub last_name: String,
    /// Telephone.
    #[serde(default)]
    pub phone: Option<String>,
    /// Whoever has one is enrolled.
    #[serde(default)]
    pub password: Option<String>,
    /// The subject of Core's own OpenID login. Whoever has one is enrolled.
    #[serde(default)]
    pub openid_sub: Option<String>,
    /// Whether the user may do anything.
    #[serde(default = "yes")]
    pub is_active: bool,
    /// Whether a password alone isn't enough.
    #[serde(default)]
    pub mfa_enabled: bool,
    /// Names of groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

fn yes() -> bool {
    true
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("NewUser")
            .field("username", &self.username)
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

impl NewUser {
    /// An active user without password.
    pub fn new(username: impl Into<String>, email: impl Into<String>) -> Self {
        Self {
            username: username.into(),
            email: email.into(),
            first_name: "Local".to_owned(),
            last_name: "User".to_owned(),
            phone: None,
            password: None,
            openid_sub: None,
            is_active: true,
            mfa_enabled: false,
            groups: Vec::new(),
        }
    }

    /// With this given and family name.
    #[must_use]
    pub fn names(mut self, first: impl Into<String>, last: impl Into<String>) -> Self {
        self.first_name = first.into();
        self.last_name = last.into();
        self
    }

    /// With a password, so enrolled.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// As Core's own OpenID login leaves a user: enrolled without password.
    #[must_use]
    pub fn openid_sub(mut self, sub: impl Into<String>) -> Self {
        self.openid_sub = Some(sub.into());
        self
    }

    /// Not active.
    #[must_use]
    pub fn disabled(mut self) -> Self {
        self.is_active = false;
        self
    }

    /// With a second factor.
    #[must_use]
    pub fn mfa(mut self) -> Self {
        self.mfa_enabled = true;
        self
    }

    /// In this group too.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.groups.push(name.into());
        self
    }
}

impl Seed {
    /// An administrator with password and API token ([`fixtures`]), in the one group there is.
    pub fn demo() -> Self {
        Self {
            groups: vec![NewGroup { name: fixtures::ADMIN_GROUP.to_owned(), is_admin: true }],
            users: vec![
                NewUser::new(fixtures::ADMIN, fixtures::ADMIN_EMAIL)
                    .names("DefGuard", "Administrator")
                    .password(fixtures::ADMIN_PASSWORD)
                    .group(fixtures::ADMIN_GROUP),
            ],
            api_tokens: vec![NewApiToken {
                owner: fixtures::ADMIN.to_owned(),
                name: "emulator".to_owned(),
                token: fixtures::TOKEN.to_owned(),
            }],
        }
    }

    /// With this user too.
    #[must_use]
    pub fn user(mut self, user: NewUser) -> Self {
        self.users.push(user);
        self
    }

    /// With this group too.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>, is_admin: bool) -> Self {
        self.groups.push(NewGroup { name: name.into(), is_admin });
        self
    }

    /// With this API token too.
    #[must_use]
    pub fn api_token(mut self, owner: impl Into<String>, token: impl Into<String>) -> Self {
        self.api_tokens.push(NewApiToken { owner: owner.into(), name: "seed".to_owned(), token: token.into() });
        self
    }

    /// A seed from JSON.
    pub fn from_json(text: &str) -> Result<Self, SeedError> {
        Ok(serde_json::from_str(text)?)
    }
}

/// A seed is unusable.
#[derive(Debug, Error)]
pub enum SeedError {
    /// Not JSON, or not of this shape.
    #[error("the seed isn't what `core-emulator --print-seed` shows: {0}")]
    Json(#[from] serde_json::Error),
    /// Two of what must be unique, or a name of nothing.
    #[error("the seed doesn't hang together: {0}")]
    Inconsistent(#[from] crate::directory::DirectoryError),
}
