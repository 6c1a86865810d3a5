//! What becomes of a verified identity: it is handed to whoever owns the users, and comes back as what Defguard's
//! enrollment page expects, `{url, token}`.

mod local;

use async_trait::async_trait;
use serde::Serialize;

pub use local::LocalHandover;

use crate::capability::TraceId;
use crate::identity::Identity;

/// Defguard's answer to a finished sign-in: `AuthCallbackResponse`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Enrollment {
    /// Where the person enrolls.
    pub url: String,
    /// The enrollment token: a secret of the person.
    pub token: String,
}

/// Why the identity couldn't be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// The place where it should be kept can't be used.
    #[error("the enrollment can't be kept: {0}")]
    Unavailable(String),
}

/// Who owns the users.
#[async_trait]
pub trait Handover: Send + Sync {
    /// Finds or makes the person's account, and an enrollment token for it.
    async fn hand_over(&self, identity: &Identity, trace: &TraceId) -> Result<Enrollment, HandoverError>;

    /// Gives the identity behind a token that this hand-over minted itself, once. `None`: the kind keeps none, or the
    /// token isn't known.
    async fn redeem(&self, _token: &str) -> Result<Option<Identity>, HandoverError> {
        Ok(None)
    }

    /// Whether [`Handover::redeem`] ever gives anything.
    fn redeems(&self) -> bool {
        false
    }
}
