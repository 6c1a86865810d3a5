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
    /// Further addresses, those of a guest's home among them (`otherMails`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_mails: Vec<String>,
    /// The department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// The job title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_title: Option<String>,
    /// The employee's number or name in the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub employee_id: Option<String>,
    /// The account name in a directory on premises, if synchronised from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_premises_sam_account_name: Option<String>,
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
    /// Roles in the directory; Graph lists them among a person's memberships.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directory_roles: Vec<DirectoryRole>,
    /// How the sign-in ends.
    #[serde(default)]
    pub outcome: Outcome,
    /// How long ago the person last proved who they are, seconds; what `auth_time` tells.
    #[serde(default)]
    pub session_age_s: i64,
    /// The authentication contexts of Conditional Access that the person can satisfy, such as `c1`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authentication_contexts: Vec<String>,
    /// What becomes of a request for authentication contexts of which the person can satisfy none.
    #[serde(default)]
    pub unmet_context: UnmetContext,
    /// Claims to add to the ID token as they are, over computed ones.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra_claims: Map<String, Value>,
    /// Claims to leave out of the ID token though configured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub omitted_claims: Vec<String>,
}

/// A role in the directory, such as that of its readers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryRole {
    /// The object id of the role.
    pub id: Guid,
    /// Its name.
    pub display_name: String,
}

/// What becomes of a request for authentication contexts (`acrs`) of which none can be satisfied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnmetContext {
    /// The sign-in succeeds and the ID token has no `acrs`.
    #[default]
    LeftOut,
    /// `interaction_required` (AADSTS50074), as a policy of Conditional Access has it.
    Refused,
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
    /// No `groups` claim, whatever the directory says.
    None,
    /// The security groups of the directory that hold the person, nested ones too; without any no claim. Beyond 200 of them
    /// as [`GroupsClaim::Overage`].
    #[default]
    FromDirectory,
    /// `groups` lists these ids.
    Ids(Vec<Guid>),
    /// `hasgroups: true`, the marker for more than the token carries in the implicit flow.
    HasGroups,
    /// `_claim_names` and `_claim_sources`, the markers for more than 200 groups, whatever the directory says.
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
            // Encoded, "O." begins so: the hint of a large directory's every person is not worth making.
            || (hint.starts_with("Ty") && self.opaque_login_hint() == hint)
    }
}
