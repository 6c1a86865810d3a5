//! A provider's directory as a stream of changes (`wit/directory.wit`): everything once, then what changed. What a page says is
//! `objects`' subject, where a round stands `cursor`'s, its order `round`'s; whether it can be read at all `connection`'s. One person,
//! asked for by name, is `person`'s; whether something is there at all, `presence`'s.

pub mod connection;
pub mod cursor;
pub mod objects;
pub mod person;
pub mod presence;
pub mod round;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::capability::World;
use crate::configuration::Provider;
use crate::entra::TenantId;
use crate::entra::graph::{Graph, GraphError};
use crate::login::begin::usable;
use crate::login::probe;
use crate::login::refusal::{Refusal, RefusalKind};
use crate::login::trace::{Trace, cut};
use crate::oidc::discovery;

/// What a directory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collection {
    /// People.
    Users,
    /// Groups, and who is in them directly.
    Groups,
}

impl Collection {
    /// Both, in the order in which they are read.
    pub const ALL: [Self; 2] = [Self::Users, Self::Groups];

    /// As Graph calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
        }
    }

    /// The application permission that reading it needs (`api/user-delta`, `api/group-delta`).
    pub fn permission(self) -> &'static str {
        match self {
            Self::Users => "User.Read.All",
            Self::Groups => "GroupMember.Read.All",
        }
    }
}

/// What is said of one property.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Text {
    /// Nothing.
    #[default]
    Unsaid,
    /// It has no value.
    None,
    /// It has this one.
    Value(String),
}

/// A person there, or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// The object id.
    pub id: String,
    /// `userPrincipalName`.
    pub user_principal_name: Text,
    /// `mail`.
    pub mail: Text,
    /// `otherMails`.
    pub other_mails: Option<Vec<String>>,
    /// `displayName`.
    pub display_name: Text,
    /// `givenName`.
    pub given_name: Text,
    /// `surname`.
    pub surname: Text,
    /// `mobilePhone`.
    pub mobile_phone: Text,
    /// `accountEnabled`.
    pub enabled: Option<bool>,
    /// `userType`.
    pub guest: Option<bool>,
}

/// A group there, or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The object id.
    pub id: String,
    /// `displayName`.
    pub display_name: Text,
    /// `visibility` is `HiddenMembership`.
    pub hidden_members: Option<bool>,
}

/// Why an object isn't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// `@removed.reason` is `changed`.
    Restorable,
    /// `@removed.reason` is `deleted`.
    Permanent,
}

/// Direct members of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Whose.
    pub group: String,
    /// People.
    pub users: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A collection comes from the beginning.
    Restart(Collection),
    /// There, or changed.
    User(User),
    /// Gone.
    UserRemoved(String, Removal),
    /// There, or changed.
    Group(Group),
    /// Gone.
    GroupRemoved(String, Removal),
    /// In a group.
    MembersAdded(Members),
    /// Not in a group (any more).
    MembersRemoved(Members),
    /// All of a collection was read.
    Complete(Collection),
}

/// One call's worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In order.
    pub changes: Vec<Change>,
    /// For the next call.
    pub cursor: String,
    /// The round is over.
    pub is_last: bool,
    /// Before the next call.
    pub wait_ms: u32,
    /// To Graph.
    pub requests: u32,
    /// Of these.
    pub refused: u32,
    /// Why a part has to be tried again.
    pub setback: Option<String>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The configuration.
    Misconfigured(String),
    /// A permission is missing.
    Denied {
        /// Of what.
        collection: Collection,
        /// What Graph said.
        detail: String,
    },
    /// The application can't authenticate.
    Credential {
        /// What happened.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// It passes.
    Retry {
        /// How long, in milliseconds.
        wait_ms: u32,
        /// What happened.
        detail: String,
        /// To Graph.
        requests: u32,
    },
    /// An answer makes no sense.
    Malformed(String),
    /// Not a cursor of this provider.
    CursorInvalid(String),
}

/// The longest text about a failure, in bytes.
const DETAIL_BYTES: usize = 512;

/// What a missing permission wants.
pub fn permission_hint(permission: &str) -> String {
    format!(
        "App registrations > API permissions > Add a permission > Microsoft Graph > Application permissions > {permission}, \
         then Grant admin consent."
    )
}

/// The provider of a configuration.
fn provider(json: &str) -> Result<Arc<Provider>, Failure> {
    usable(json).map_err(|refusal| Failure::Misconfigured(refusal.check.1))
}

/// The directory of the provider's one tenant. Finding it may need the discovery document.
fn reach<'a>(world: World<'a>, provider: &'a Provider, timeout_ms: u32) -> Result<(Graph<'a>, TenantId), Failure> {
    if provider.graph_origin.is_none() {
        return Err(Failure::Misconfigured("the provider has no directory that could be read: it isn't Entra".into()));
    }
    let metadata = discovery::metadata(world, provider, &mut Trace::default()).map_err(|refusal| refused(&refusal))?;
    let tenants = probe::tenants(provider, &metadata);
    let [tenant] = tenants.as_slice() else {
        return Err(Failure::Misconfigured(format!(
            "a directory is one tenant's, and {} may sign in here: one [[provider]] for each",
            tenants.len()
        )));
    };
    match Graph::new(world, provider, &metadata, tenant, timeout_ms) {
        Some(Ok(graph)) => Ok((graph, tenant.clone())),
        Some(Err(refusal)) => Err(refused(&refusal)),
        None => Err(Failure::Misconfigured("the provider has no directory".into())),
    }
}

/// What stopped us before Graph was asked.
fn refused(refusal: &Refusal) -> Failure {
    let detail = refusal.check.1.clone();
    match refusal.rule.kind {
        RefusalKind::Misconfigured => Failure::Credential { detail, hint: refusal.admin_hint().to_owned() },
        _ => Failure::Retry { wait_ms: 0, detail, requests: 0 },
    }
}

/// The same, of the access token.
fn without_token(error: GraphError) -> Failure {
    match error {
        GraphError::Token { detail, hint, passes: false } => Failure::Credential { detail, hint },
        other => Failure::Retry { wait_ms: 0, detail: other.to_string(), requests: 0 },
    }
}

fn malformed(reason: &impl ToString) -> Failure {
    Failure::Malformed(cut(&reason.to_string(), DETAIL_BYTES))
}

/// What Graph answered instead of what was asked for.
fn unanswered(collection: Collection, error: &GraphError, retry_after_ms: Option<u32>) -> Failure {
    match error {
        GraphError::Denied { code, .. } => {
            Failure::Denied { collection, detail: format!("Microsoft Graph refuses it (403 {code})") }
        }
        GraphError::Shape(_) | GraphError::ForeignLink(_) => malformed(error),
        GraphError::Status { status, .. } if (400..500).contains(status) && *status != 408 => malformed(error),
        error => Failure::Retry {
            wait_ms: retry_after_ms.unwrap_or(0),
            detail: cut(&error.to_string(), DETAIL_BYTES),
            requests: 0,
        },
    }
}
