//! What tests look at: users, groups and tokens with names in place of numbers.

use serde::Serialize;

use crate::credentials::{ApiToken, EnrollmentToken, TokenKind};
use crate::directory::{Directory, Group, User};
use crate::world::State;

/// A user with everything that is known of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "answers to independent questions")]
pub struct UserRecord {
    /// Never given twice.
    pub id: i64,
    /// The name.
    pub username: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// The address.
    pub email: String,
    /// Telephone.
    pub phone: Option<String>,
    /// Whether the user may do anything.
    pub is_active: bool,
    /// Whether a group makes the user an administrator.
    pub is_admin: bool,
    /// Whether the user has a password, or came through Core's own OpenID login.
    pub enrolled: bool,
    /// Whether the user has a password.
    pub has_password: bool,
    /// The subject of Core's own OpenID login.
    pub openid_sub: Option<String>,
    /// Whether `start_enrollment` was called.
    pub enrollment_pending: bool,
    /// Whether a password alone isn't enough.
    pub mfa_enabled: bool,
    /// Names of groups, in the order those were made.
    pub groups: Vec<String>,
    /// Sessions that weren't ended; expired ones count.
    pub sessions: usize,
    /// Enrollment tokens, used and expired ones too.
    pub tokens: Vec<TokenRecord>,
}

impl UserRecord {
    pub(crate) fn of(state: &State, user: &User) -> Self {
        let tokens = state.credentials.enrollment_tokens.iter().filter(|token| token.user == user.id);
        Self {
            id: user.id,
            username: user.username.clone(),
            first_name: user.first_name.clone(),
            last_name: user.last_name.clone(),
            email: user.email.clone(),
            phone: user.phone.clone(),
            is_active: user.is_active,
            is_admin: state.directory.is_admin(user.id),
            enrolled: user.is_enrolled(),
            has_password: user.password.is_some(),
            openid_sub: user.openid_sub.clone(),
            enrollment_pending: user.enrollment_pending,
            mfa_enabled: user.mfa_enabled,
            groups: state.directory.groups_of(user.id),
            sessions: state.credentials.sessions.values().filter(|session| session.user == user.id).count(),
            tokens: tokens.map(|token| TokenRecord::of(&state.directory, token)).collect(),
        }
    }
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupRecord {
    /// Never given twice.
    pub id: i64,
    /// The name.
    pub name: String,
    /// Whether its members are administrators.
    pub is_admin: bool,
    /// Names of its members, sorted.
    pub members: Vec<String>,
}

impl GroupRecord {
    pub(crate) fn of(directory: &Directory, group: &Group) -> Self {
        let members = directory.members_of(group);
        Self { id: group.id, name: group.name.clone(), is_admin: group.is_admin, members }
    }
}

/// An enrollment token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenRecord {
    /// The token itself.
    pub token: String,
    /// Whose it is.
    pub username: String,
    /// Who made it: the owner of the API token or of the session.
    pub admin: Option<String>,
    /// The address that came with it, or for `start_desktop` the user's.
    pub email: Option<String>,
    /// Which call made it.
    pub kind: TokenKind,
    /// When it was made.
    pub created_at_unix_s: i64,
    /// When it ends.
    pub expires_at_unix_s: i64,
    /// When its session began.
    pub used_at_unix_s: Option<i64>,
}

impl TokenRecord {
    pub(crate) fn of(directory: &Directory, token: &EnrollmentToken) -> Self {
        let name = |id: i64| directory.user_by_id(id).map(|user| user.username.clone());
        Self {
            token: token.token.clone(),
            username: name(token.user).unwrap_or_default(),
            admin: token.admin.and_then(name),
            email: token.email.clone(),
            kind: token.kind,
            created_at_unix_s: token.created_at_unix_s,
            expires_at_unix_s: token.expires_at_unix_s,
            used_at_unix_s: token.used_at_unix_s,
        }
    }
}

/// An API token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApiTokenRecord {
    /// The token itself. Core keeps a hash only.
    pub token: String,
    /// Whose rights it has.
    pub owner: String,
    /// What it is called.
    pub name: String,
}

impl ApiTokenRecord {
    pub(crate) fn of(directory: &Directory, token: &ApiToken) -> Self {
        let owner = directory.user_by_id(token.owner).map(|user| user.username.clone()).unwrap_or_default();
        Self { token: token.token.clone(), owner, name: token.name.clone() }
    }
}
