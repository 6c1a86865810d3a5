//! `UserInfo`: a user as Core shows one, and as it takes one back in `PUT`. There every member must be there.

use serde::{Deserialize, Serialize};

use crate::directory::{Directory, User};

/// How a second factor is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MfaMethod {
    None,
    OneTimePassword,
    Webauthn,
    Email,
}

/// An application that the user let Core sign in to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AuthorizedApp {
    oauth2client_id: i64,
    user_id: i64,
    oauth2client_name: String,
}

/// A user.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "Core's own record")]
pub(crate) struct UserInfo {
    pub(crate) id: i64,
    pub(crate) username: String,
    pub(crate) last_name: String,
    pub(crate) first_name: String,
    pub(crate) email: String,
    pub(crate) phone: Option<String>,
    pub(crate) mfa_enabled: bool,
    pub(crate) totp_enabled: bool,
    pub(crate) email_mfa_enabled: bool,
    pub(crate) groups: Vec<String>,
    pub(crate) mfa_method: MfaMethod,
    pub(crate) authorized_apps: Vec<AuthorizedApp>,
    pub(crate) is_active: bool,
    pub(crate) enrolled: bool,
    pub(crate) is_admin: bool,
    pub(crate) ldap_pass_requires_change: bool,
}

impl UserInfo {
    pub(crate) fn of(directory: &Directory, user: &User) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
            last_name: user.last_name.clone(),
            first_name: user.first_name.clone(),
            email: user.email.clone(),
            phone: user.phone.clone(),
            mfa_enabled: user.mfa_enabled,
            totp_enabled: user.mfa_enabled,
            email_mfa_enabled: false,
            groups: directory.groups_of(user.id),
            mfa_method: if user.mfa_enabled { MfaMethod::OneTimePassword } else { MfaMethod::None },
            authorized_apps: Vec::new(),
            is_active: user.is_active,
            enrolled: user.is_enrolled(),
            is_admin: directory.is_admin(user.id),
            ldap_pass_requires_change: false,
        }
    }
}
