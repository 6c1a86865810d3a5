//! `kind = "core"`: the identity's user is found or made in Defguard Core over REST, and Core makes the enrollment token.
//! Which user an identity has is kept here ([`ownership`]); the decision about a user of the same address is
//! [`crate::linking`]'s. A first sign-in costs three calls (`available`, `create_user`, `start_enrollment`), a later one two.

mod accounts;
mod creation;
mod enrollment;
mod examination;
mod links;
mod ownership;
mod preparation;
mod sign_in;

#[cfg(test)]
mod preparation_tests;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{Finding, HandedOver, Handover, HandoverError, HandoverRequest, Health};
use crate::capability::{Clock, OutgoingError, TraceId};
use crate::core_api::{BreakerState, Budget, CoreClient, CoreCredential, CoreSettings};
use crate::linking::Linking;
use crate::metrics::CoreMetrics;
use crate::sandbox::bindings::exports::defguard::openid::login::Check;
use crate::storage::Storage;
pub use ownership::{Link, Ownership};
pub use preparation::{Prepared, Roster};
use sign_in::SignIn;

/// Which of Core's two enrollment tokens a person gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EnrollmentMode {
    /// `start_desktop` for who is enrolled, `start_enrollment` for who isn't.
    #[default]
    Auto,
    /// Always `start_enrollment`: Core refuses who is enrolled.
    Enrollment,
    /// Always `start_desktop`: nobody is asked for a password.
    Desktop,
}

/// What `[handover]` says besides where Core is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreOptions {
    /// Whether users are made; else an administrator makes them first.
    pub create_accounts: bool,
    /// Which token.
    pub enrollment: EnrollmentMode,
    /// How long tokens of `start_enrollment` live; of `None` as long as Core says.
    pub token_life: Option<Duration>,
    /// All calls of one hand-over together.
    pub time_budget: Duration,
}

/// Hands identities to Core.
pub struct CoreHandover {
    client: CoreClient,
    ownership: Ownership,
    options: CoreOptions,
    url: String,
    /// Core looks at tokens only with a licence; a session needs none.
    needs_license: bool,
}

impl CoreHandover {
    /// Makes no request.
    pub fn new(
        settings: &CoreSettings,
        options: CoreOptions,
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        metrics: CoreMetrics,
    ) -> Result<Self, OutgoingError> {
        Ok(Self {
            client: CoreClient::new(settings, metrics)?,
            ownership: Ownership::new(storage, clock),
            options,
            url: settings.url.origin().ascii_serialization(),
            needs_license: matches!(settings.credential, CoreCredential::Token(_)),
        })
    }

    /// The way to Core that hand-overs take, with their limits.
    pub fn client(&self) -> &CoreClient {
        &self.client
    }

    /// Core's origin.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whose users Core's are.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    fn budget(&self) -> Budget {
        Budget::new(self.options.time_budget)
    }
}

#[async_trait]
impl Handover for CoreHandover {
    async fn hand_over(
        &self,
        request: &HandoverRequest<'_>,
        trace: &TraceId,
        checks: &mut Vec<Check>,
    ) -> Result<HandedOver, HandoverError> {
        let result = SignIn::new(self, request, checks).hand_over().await;
        if let Ok(handed_over) = &result {
            let account = handed_over.linking.account.as_deref().unwrap_or_default();
            tracing::info!(%trace, account, decision = handed_over.linking.decision.as_str(), "handed over to Defguard Core");
        }
        result
    }

    async fn preview(&self, request: &HandoverRequest<'_>, checks: &mut Vec<Check>) -> Result<Linking, HandoverError> {
        SignIn::new(self, request, checks).preview().await
    }

    async fn examine(&self) -> Vec<Finding> {
        examination::examine(self).await
    }

    fn core(&self) -> Option<&CoreHandover> {
        Some(self)
    }

    fn health(&self) -> Option<Health> {
        let breaker = self.client.breaker();
        let retry_after_s = match breaker {
            BreakerState::Open { retry_after_s } => Some(retry_after_s),
            BreakerState::Closed | BreakerState::HalfOpen => None,
        };
        Some(Health { is_good: breaker == BreakerState::Closed, breaker: breaker.as_str(), retry_after_s })
    }
}
