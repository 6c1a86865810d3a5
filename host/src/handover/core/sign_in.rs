//! One sign-in's hand-over: the order of its steps, and the record of each. What a step does is in the files beside this.

use crate::core_api::{Budget, Call, CoreError, User};
use crate::handover::{Enrollment, HandedOver, HandoverError, HandoverRequest};
use crate::identity::{Identity, IdentityKey};
use crate::linking::{EmailLinking, LinkDecision, Linking};
use crate::sandbox::bindings::exports::defguard::openid::login::{Check, Verdict};

use super::CoreHandover;
use super::ownership::Holder;
use super::preparation::Roster;

/// How often a sign-in that lost a race looks again: each time somebody else has got further.
const ATTEMPTS: usize = 8;

/// One hand-over.
pub(super) struct SignIn<'a> {
    pub(super) core: &'a CoreHandover,
    pub(super) identity: &'a Identity,
    pub(super) key: IdentityKey,
    pub(super) holder: Holder,
    pub(super) email_linking: &'a EmailLinking,
    pub(super) approved_account: Option<&'a str>,
    pub(super) budget: Budget,
    /// Who is there, if somebody has just read the whole list.
    pub(super) roster: Option<&'a Roster>,
    checks: &'a mut Vec<Check>,
}

/// A user that is the person's, and why. `None` in its place: somebody else got further, look again.
pub(super) type Settled = Option<(User, Linking)>;

impl<'a> SignIn<'a> {
    pub(super) fn new(core: &'a CoreHandover, request: &HandoverRequest<'a>, checks: &'a mut Vec<Check>) -> Self {
        Self {
            core,
            identity: request.identity,
            key: request.identity.key(),
            holder: Holder::of(request.identity),
            email_linking: request.email_linking,
            approved_account: request.approved_account,
            budget: core.budget(),
            roster: None,
            checks,
        }
    }

    /// With a list, in which users are looked for instead of Core's.
    pub(super) fn with_roster(self, roster: &'a Roster) -> Self {
        Self { roster: Some(roster), ..self }
    }

    /// Finds or makes the user, and has Core make a token.
    pub(super) async fn hand_over(mut self) -> Result<HandedOver, HandoverError> {
        let (user, linking) = self.settled().await?;
        let started = self.start(&user, &linking).await?;
        let enrollment = Enrollment { url: started.enrollment_url, token: started.enrollment_token };
        Ok(HandedOver { enrollment, linking })
    }

    /// Finds or makes the user.
    pub(super) async fn settled(&mut self) -> Result<(User, Linking), HandoverError> {
        for _ in 0..ATTEMPTS {
            if let Some(settled) = self.account().await? {
                return Ok(settled);
            }
        }
        Err(HandoverError::Unavailable("other sign-ins of this person were faster each time".into()))
    }

    async fn account(&mut self) -> Result<Settled, HandoverError> {
        if let Some(link) = self.core.ownership.link(&self.key).await? {
            return self.linked(link).await.map(Some);
        }
        if let Some(username) = self.approved_account {
            return self.approved(username).await;
        }
        if let Some(intent) = self.core.ownership.intent(&self.key).await? {
            return self.resume(intent).await;
        }
        if self.core.options.create_accounts { self.make().await } else { self.existing().await }
    }

    /// What [`SignIn::hand_over`] would decide now. Core and the storage are read and not changed.
    pub(super) async fn preview(mut self) -> Result<Linking, HandoverError> {
        if let Some(link) = self.core.ownership.link(&self.key).await? {
            return Ok(self.linked_decision(&link).await?.linking);
        }
        if let Some(username) = self.approved_account {
            return Ok(self.approved_decision(username).await?.linking);
        }
        if let Some(intent) = self.core.ownership.intent(&self.key).await?
            && let Some(user) = self.made_for(&intent).await?
        {
            return Ok(resumed(&user));
        }
        let mut linking = self.address_decision(&self.identity.email).await?.linking;
        if linking.decision == LinkDecision::New {
            if !self.core.options.create_accounts {
                linking.decision = LinkDecision::Refused;
                linking.reason = HandoverError::CreationOff.to_string();
            } else if let Some(username) = self.first_free_name().await? {
                linking.reason = format!("{}; it would be called {username:?}", linking.reason);
            }
        }
        Ok(linking)
    }

    /// Notes a step.
    pub(super) fn note(&mut self, name: &str, verdict: Verdict, detail: impl Into<String>) {
        self.checks.push(Check { name: format!("core.{name}"), verdict, detail: detail.into() });
    }

    /// Notes that a name or an address is another identity's for now.
    pub(super) fn note_reserved(&mut self, what: &str) {
        self.note(
            "reservation",
            Verdict::Fail,
            format!("{what} is kept for another identity whose user is being made"),
        );
    }

    /// Notes how a call went.
    pub(super) fn noted<T>(
        &mut self,
        call: Call,
        result: Result<T, CoreError>,
        detail: impl FnOnce(&T) -> String,
    ) -> Result<T, CoreError> {
        match &result {
            Ok(value) => self.note(call.as_str(), Verdict::Pass, detail(value)),
            Err(error) => self.note(call.as_str(), Verdict::Fail, error.failure.to_string()),
        }
        result
    }
}

/// Of a user that an earlier attempt made.
pub(super) fn resumed(user: &User) -> Linking {
    Linking {
        decision: LinkDecision::Linked,
        account: Some(user.username.clone()),
        reason: "made for this identity by a sign-in that didn't end".into(),
    }
}
