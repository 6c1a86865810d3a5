//! What becomes of a verified identity: it is handed to whoever owns the users, and comes back as what Defguard's
//! enrollment page expects, `{url, token}`, with the decision which account it is.

mod accounts;
mod local;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use local::{LocalAccountSeed, LocalHandover};

use crate::capability::TraceId;
use crate::identity::Identity;
use crate::linking::{EmailLinking, Linking};

/// Defguard's answer to a finished sign-in: `AuthCallbackResponse`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrollment {
    /// Where the person enrolls.
    pub url: String,
    /// The enrollment token: a secret of the person.
    pub token: String,
}

/// An identity that was handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedOver {
    /// For the person.
    pub enrollment: Enrollment,
    /// Which account, and why.
    pub linking: Linking,
}

/// What is kept behind a token that this host minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeemed {
    /// Who; the user name is the account's.
    pub identity: Identity,
    /// Which account, and why.
    pub linking: Linking,
}

/// Why the identity couldn't be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// The place where it should be kept can't be used.
    #[error("the enrollment can't be kept: {0}")]
    Unavailable(String),
    /// An account may be the person's: an administrator has to say so.
    #[error("{} (account {:?})", .0.reason, .0.account.as_deref().unwrap_or_default())]
    NeedsApproval(Linking),
    /// The person's account can't be used, or isn't theirs.
    #[error("{} (account {:?})", .0.reason, .0.account.as_deref().unwrap_or_default())]
    Refused(Linking),
}

/// What is asked for one identity.
#[derive(Debug, Clone)]
pub struct HandoverRequest<'a> {
    /// Who signed in.
    pub identity: &'a Identity,
    /// The component's word on accounts of the same address.
    pub email_linking: &'a EmailLinking,
    /// The account that the configuration approves for this identity.
    pub approved_account: Option<&'a str>,
}

/// Who owns the users.
#[async_trait]
pub trait Handover: Send + Sync {
    /// Finds or makes the person's account, and an enrollment token for it.
    async fn hand_over(&self, request: &HandoverRequest<'_>, trace: &TraceId) -> Result<HandedOver, HandoverError>;

    /// What [`Handover::hand_over`] would decide now; changes nothing.
    async fn preview(&self, request: &HandoverRequest<'_>) -> Result<Linking, HandoverError>;

    /// Gives the identity behind a token that this hand-over minted itself, once. `None`: the kind keeps none, or the
    /// token isn't known.
    async fn redeem(&self, _token: &str) -> Result<Option<Redeemed>, HandoverError> {
        Ok(None)
    }

    /// Whether [`Handover::redeem`] ever gives anything.
    fn redeems(&self) -> bool {
        false
    }
}
