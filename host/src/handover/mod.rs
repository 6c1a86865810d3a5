//! What becomes of a verified identity: it is handed to whoever owns the users, and comes back as what Defguard's
//! enrollment page expects, `{url, token}`, with the decision which account it is.

mod accounts;
mod core;
mod error;
mod local;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::core::{CoreHandover, CoreOptions, EnrollmentMode, Link, Ownership, Prepared, Roster};
#[cfg(test)]
pub(crate) use error::tests::all as all_errors;
pub use error::{HandoverError, Words};
pub use local::{LocalAccountSeed, LocalHandover};

use crate::capability::TraceId;
use crate::identity::Identity;
use crate::linking::{EmailLinking, Linking};
use crate::sandbox::bindings::exports::defguard::openid::login::{Check, Verdict};

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

/// One thing that was tried about whoever owns the users, for `doctor`.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What: stable.
    pub name: String,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// What was found.
    pub detail: String,
    /// What to do; may be empty.
    pub hint: String,
}

/// Whether people can be handed over now, as far as that is known without asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Health {
    /// Whether nothing keeps it from working.
    #[serde(skip)]
    pub is_good: bool,
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Seconds until it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

/// Who owns the users.
#[async_trait]
pub trait Handover: Send + Sync {
    /// Finds or makes the person's account, and an enrollment token for it. Each step goes to `checks`, by name, with no
    /// token in it.
    async fn hand_over(
        &self,
        request: &HandoverRequest<'_>,
        trace: &TraceId,
        checks: &mut Vec<Check>,
    ) -> Result<HandedOver, HandoverError>;

    /// What [`Handover::hand_over`] would decide now; changes nothing.
    async fn preview(&self, request: &HandoverRequest<'_>, checks: &mut Vec<Check>) -> Result<Linking, HandoverError>;

    /// What can be found out about whoever owns the users; changes nothing.
    async fn examine(&self) -> Vec<Finding> {
        Vec::new()
    }

    /// Defguard Core, if that is it.
    fn core(&self) -> Option<&CoreHandover> {
        None
    }

    /// Whether it works now; `None`: there is nobody to depend on.
    fn health(&self) -> Option<Health> {
        None
    }

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
