//! The token: Core makes it, for a person who enrolls or for one who only adds a device.

use crate::core_api::{Call, CoreError, Failure, Start, Started, User};
use crate::handover::HandoverError;
use crate::linking::{LinkDecision, Linking};

use super::EnrollmentMode;
use super::sign_in::SignIn;

impl SignIn<'_> {
    /// Has Core make a token for the user.
    pub(super) async fn start(&mut self, user: &User, linking: &Linking) -> Result<Started, HandoverError> {
        let options = &self.core.options;
        let enrolling = Start::Enrollment { token_life: options.token_life };
        let start = match options.enrollment {
            EnrollmentMode::Auto if user.enrolled => Start::Desktop,
            EnrollmentMode::Auto | EnrollmentMode::Enrollment => enrolling,
            EnrollmentMode::Desktop => Start::Desktop,
        };
        let mut result = self.try_start(user, start).await;
        let is_enrolled_by_now = |error: &CoreError| matches!(&error.failure, Failure::Rejected { status: 400, said } if said.has("already activated"));
        if options.enrollment == EnrollmentMode::Auto
            && start == enrolling
            && result.as_ref().is_err_and(is_enrolled_by_now)
        {
            result = self.try_start(user, Start::Desktop).await;
        }
        result.map_err(|error| {
            let ended = |reason: &str| Linking {
                decision: LinkDecision::Refused,
                account: linking.account.clone().or_else(|| Some(user.username.clone())),
                reason: reason.into(),
            };
            match error.failure {
                Failure::UserDisabled => HandoverError::Disabled(ended("the account was disabled in this moment")),
                Failure::NotFound(_) => HandoverError::Refused(ended("the account was deleted in this moment")),
                _ => error.into(),
            }
        })
    }

    async fn try_start(&mut self, user: &User, start: Start) -> Result<Started, CoreError> {
        let result = self.core.client.start(&user.username, start, self.budget).await;
        let call = match start {
            Start::Enrollment { .. } => Call::StartEnrollment,
            Start::Desktop => Call::StartDesktop,
        };
        self.noted(call, result, |_| format!("a token for user {:?} was made", user.username))
    }
}
