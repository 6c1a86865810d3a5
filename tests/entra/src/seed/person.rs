//! One person of a directory and what happens when they sign in.
//! The properties are those that claims and Graph's user resource come from; absent ones stay absent in both.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Guid;

/// A user object with a scripted sign-in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Short name for `?x_user=` and the control interface.
    pub key: String,
    /// What is special about this person, for the picker.
    #[serde(default)]
    pub note: String,
    /// The tenant that holds the user object.
    pub tenant: Guid,
    /// The object id: `oid` in tokens, `id` in Graph.
    pub oid: Guid,
    /// The user principal name in this tenant; of a guest the `#EXT#` form.
    pub user_principal_name: String,
    /// What `preferred_username` says, if not the user principal name (a guest's home address).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    /// `name` in tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The given name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// The family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surname: Option<String>,
    /// The Mail attribute: settable without verification, absent without a mailbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
    /// The mobile phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mobile_phone: Option<String>,
    /// Whether `email` is left out of the ID token though asked for, and only userinfo has it.
    #[serde(default)]
    pub mail_only_in_userinfo: bool,
    /// Member, guest or personal account.
    #[serde(default)]
    pub user_type: UserType,
    /// Where a guest's identity lives: `live.com` or a token service's URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<String>,
    /// The value of `xms_edov`, where that optional claim is configured.
    #[serde(default)]
    pub domain_owner_verified: DomainOwnerVerified,
    /// How group membership shows, where the groups claim is configured.
    #[serde(default)]
    pub groups: GroupsClaim,
    /// How the sign-in ends.
    #[serde(default)]
    pub outcome: Outcome,
    /// Claims to add to the ID token as they are, over computed ones.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra_claims: Map<String, Value>,
}

/// The kind of account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserType {
    /// An account of the tenant (`acct` 0).
    #[default]
    Member,
    /// An invited account (`acct` 1).
    Guest,
    /// A personal Microsoft account.
    Personal,
}

/// `xms_edov`: "email domain owner verified"; seen as a boolean and as a string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum DomainOwnerVerified {
    /// A JSON boolean.
    Bool(bool),
    /// A JSON string, such as `"1"`.
    Text(String),
    /// No such claim (JSON `null` in a seed).
    #[default]
    Absent,
}

/// How membership in groups shows in the ID token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupsClaim {
    /// No `groups` claim: a member of none.
    #[default]
    None,
    /// `groups` lists these ids.
    Ids(Vec<Guid>),
    /// `hasgroups: true`, the marker for more than the token carries in the implicit flow.
    HasGroups,
    /// `_claim_names` and `_claim_sources`: more than 200 groups.
    Overage,
}

/// How a person's sign-in ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A code goes back to the app.
    #[default]
    SignsIn,
    /// `access_denied` with `error_subcode=cancel` and no description.
    Cancels,
    /// AADSTS90094: an admin has to consent.
    AdminConsentRequired,
    /// AADSTS65004: the consent prompt was declined.
    DeclinesConsent,
    /// AADSTS65001: nobody consented.
    NotConsented,
    /// AADSTS50076: a second factor is demanded and not given.
    MfaRequired,
    /// AADSTS53003: Conditional Access blocks.
    BlockedByConditionalAccess,
    /// AADSTS50057: the account is disabled.
    Disabled,
}

impl Person {
    /// What the sign-in page calls the person: a name, else the sign-in name.
    pub(crate) fn label(&self) -> &str {
        self.display_name.as_deref().unwrap_or(self.sign_in_name())
    }

    /// What the person types to sign in, and `preferred_username` shows.
    pub(crate) fn sign_in_name(&self) -> &str {
        self.preferred_username.as_deref().unwrap_or(&self.user_principal_name)
    }

    /// The opaque `login_hint` claim; it selects the account without naming it.
    pub(crate) fn opaque_login_hint(&self) -> String {
        crate::encoding::base64url(format!("O.{}.{}", self.tenant, self.oid))
    }

    /// Whether a `login_hint` parameter means this person: a name, the mail address or the opaque hint.
    pub(crate) fn is_meant_by(&self, hint: &str) -> bool {
        self.user_principal_name.eq_ignore_ascii_case(hint)
            || self.sign_in_name().eq_ignore_ascii_case(hint)
            || self.mail.as_deref().is_some_and(|mail| mail.eq_ignore_ascii_case(hint))
            || self.opaque_login_hint() == hint
    }
}
