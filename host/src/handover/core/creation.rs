//! Making a user, once, whatever is lost on the way. What is about to be made is written down first ([`Intent`]); if the
//! answer is lost, or the host stops, the next sign-in finds the user by what was written and makes no second one.

use crate::core_api::{Call, CoreError, Failure, NewUser, User};
use crate::handover::HandoverError;
use crate::linking::{LinkDecision, Linking, Owner, username_candidate};
use crate::sandbox::bindings::exports::defguard::openid::login::Verdict;

use super::ownership::{Intent, Reserved};
use super::sign_in::{Settled, SignIn, resumed};

/// User names that are tried.
const NAMES: usize = 8;

/// Whether the intent is this sign-in's own, or one that it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    Resumed,
}

impl SignIn<'_> {
    /// Makes the user, unless its address is another's.
    pub(super) async fn make(&mut self) -> Result<Settled, HandoverError> {
        let address = Reserved::Address(&self.identity.email);
        if self.core.ownership.reserve(address, &self.holder).await?.is_err() {
            self.note_reserved("the address");
            return Err(HandoverError::Refused(Linking {
                decision: LinkDecision::Refused,
                account: None,
                reason: "a user of this address is being made for another identity".into(),
            }));
        }
        let Some(username) = self.free_name().await? else {
            self.core.ownership.release(address, &self.holder).await?;
            return Err(HandoverError::NoFreeName(self.identity.username.clone()));
        };
        let intent = Intent {
            username,
            email: self.identity.email.clone(),
            first_name: self.identity.given_name.clone(),
            last_name: self.identity.family_name.clone(),
        };
        if !self.core.ownership.intend(&self.key, &intent).await? {
            return Ok(None);
        }
        self.create(intent, Stage::Fresh).await
    }

    /// A name that is nobody's, and kept for this identity.
    async fn free_name(&mut self) -> Result<Option<String>, HandoverError> {
        for attempt in 0..NAMES {
            let name = username_candidate(&self.identity.username, &self.key.digest(), attempt);
            let reserved = Reserved::Name(&name);
            if self.core.ownership.reserve(reserved, &self.holder).await?.is_err() {
                self.note_reserved(&format!("the name {name:?}"));
                continue;
            }
            if self.is_available(&name).await? {
                return Ok(Some(name));
            }
            self.core.ownership.release(reserved, &self.holder).await?;
        }
        Ok(None)
    }

    /// As [`SignIn::free_name`], and nothing is kept.
    pub(super) async fn first_free_name(&mut self) -> Result<Option<String>, HandoverError> {
        for attempt in 0..NAMES {
            let name = username_candidate(&self.identity.username, &self.key.digest(), attempt);
            if self.is_available(&name).await? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    async fn is_available(&mut self, name: &str) -> Result<bool, HandoverError> {
        let result = self.core.client.is_available(name, self.budget).await;
        Ok(self.noted(Call::Available, result, |is_free| {
            format!("the name {name:?} is {}", if *is_free { "free" } else { "taken" })
        })?)
    }

    /// Goes on with what an earlier attempt, or another host, has begun.
    pub(super) async fn resume(&mut self, intent: Intent) -> Result<Settled, HandoverError> {
        if let Some(user) = self.get(&intent.username).await? {
            if self.is_made_for(&user, &intent).await? {
                return self.take_over(user, &intent).await;
            }
            // The name went to somebody else before it was ours.
            self.core.ownership.settle(self.identity, &intent).await?;
            return Ok(None);
        }
        if !self.core.options.create_accounts {
            self.core.ownership.settle(self.identity, &intent).await?;
            return Ok(None);
        }
        self.create(intent, Stage::Resumed).await
    }

    async fn take_over(&mut self, user: User, intent: &Intent) -> Result<Settled, HandoverError> {
        self.note("intent", Verdict::Pass, format!("user {:?} was made for this identity", user.username));
        let linking = resumed(&user);
        self.finished(user, linking, intent).await
    }

    /// The user that an intent made, if it is there.
    pub(super) async fn made_for(&mut self, intent: &Intent) -> Result<Option<User>, HandoverError> {
        match self.get(&intent.username).await? {
            Some(user) if self.is_made_for(&user, intent).await? => Ok(Some(user)),
            _ => Ok(None),
        }
    }

    /// Whether a user is what the intent says, and nobody has begun to use it. A user whom an administrator made in the
    /// meantime with the same name, address and names gives nothing away that the administrator didn't mean for the person.
    async fn is_made_for(&mut self, user: &User, intent: &Intent) -> Result<bool, HandoverError> {
        let looks_so = user.username == intent.username
            && user.has_address(&intent.email)
            && user.first_name == intent.first_name
            && user.last_name == intent.last_name
            && !user.enrolled
            && !user.may_be_admin();
        let owner = self.core.ownership.owner(user.id, &self.holder).await?;
        Ok(looks_so && matches!(owner, Owner::Free | Owner::ThisIdentity))
    }

    async fn create(&mut self, intent: Intent, stage: Stage) -> Result<Settled, HandoverError> {
        let new = NewUser {
            username: &intent.username,
            last_name: &intent.last_name,
            first_name: &intent.first_name,
            email: &intent.email,
            phone: None,
            password: None,
        };
        let result = self.core.client.create(&new, self.budget).await;
        let result = self.noted(Call::CreateUser, result, |user| {
            format!("user {:?} was made and has the number {}", user.username, user.id)
        });
        let error = match result {
            Ok(user) => {
                let linking = Linking {
                    decision: LinkDecision::New,
                    account: Some(user.username.clone()),
                    reason: "no account was linked to this identity, and none had its address".into(),
                };
                return self.finished(user, linking, &intent).await;
            }
            Err(error) => error,
        };
        match &error.failure {
            Failure::Rejected { status: 400 | 409, .. } => self.address_taken(&intent, error).await,
            failure if failure.is_ambiguous() => self.in_doubt(&intent, error).await,
            _ => {
                // It certainly wasn't made now; an earlier attempt's may still be on its way.
                if stage == Stage::Fresh {
                    self.core.ownership.settle(self.identity, &intent).await?;
                }
                Err(error.into())
            }
        }
    }

    /// The answer was lost, or is a 500, which also a name that was taken a moment before gives: who has the name?
    async fn in_doubt(&mut self, intent: &Intent, error: CoreError) -> Result<Settled, HandoverError> {
        match self.get(&intent.username).await {
            Ok(Some(user)) if self.is_made_for(&user, intent).await? => self.take_over(user, intent).await,
            Ok(Some(_)) => {
                self.core.ownership.settle(self.identity, intent).await?;
                Ok(None)
            }
            // The intent stays: the next sign-in looks again.
            Ok(None) | Err(_) => Err(error.into()),
        }
    }

    /// Core refuses the data; all but the address was checked before it was asked.
    async fn address_taken(&mut self, intent: &Intent, error: CoreError) -> Result<Settled, HandoverError> {
        let decided = self.address_decision(&intent.email).await?;
        if self.core.ownership.link(&self.key).await?.is_some() {
            // Another host was faster with the same person.
            return Ok(None);
        }
        if let Some(user) = &decided.user
            && self.is_made_for(user, intent).await?
        {
            return self.take_over(user.clone(), intent).await;
        }
        self.core.ownership.settle(self.identity, intent).await?;
        if decided.user.is_none() {
            // Core compares by a pattern (facts D2), this host to the letter.
            let is_pattern = intent.email.contains(['_', '%', '\\']);
            return Err(if is_pattern { HandoverError::AddressLookalike(intent.email.clone()) } else { error.into() });
        }
        let (user, linking) = decided.let_through()?;
        self.claimed(user, linking).await
    }

    /// Links the user and forgets the intent.
    async fn finished(&mut self, user: User, linking: Linking, intent: &Intent) -> Result<Settled, HandoverError> {
        let settled = self.claimed(user, linking).await?;
        self.core.ownership.settle(self.identity, intent).await?;
        Ok(settled)
    }
}
