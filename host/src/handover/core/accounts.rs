//! Users that are there: the one that the identity has, the one that an administrator approved, the one of its address.

use crate::core_api::{Call, CoreError, User};
use crate::handover::HandoverError;
use crate::linking::{Account, EmailLinking, Known, LinkDecision, Linking, Owner, decide};

use super::ownership::Link;
use super::sign_in::{Settled, SignIn};

/// What is decided of a user that is there, or isn't.
pub(super) struct Decided {
    pub(super) linking: Linking,
    pub(super) user: Option<User>,
    /// The user would be the person's, and is disabled. Whose address is merely the same isn't told that.
    is_disabled: bool,
}

impl Decided {
    /// The user, if the decision is that it is the person's.
    pub(super) fn let_through(self) -> Result<(User, Linking), HandoverError> {
        match (self.linking.decision, self.user) {
            (LinkDecision::New | LinkDecision::Linked, Some(user)) => Ok((user, self.linking)),
            (LinkDecision::NeedsApproval, _) => Err(HandoverError::NeedsApproval(self.linking)),
            _ if self.is_disabled => Err(HandoverError::Disabled(self.linking)),
            _ => Err(HandoverError::Refused(self.linking)),
        }
    }
}

fn is_disabled(user: Option<&User>) -> bool {
    user.is_some_and(|user| !user.is_active)
}

/// Nothing is known.
fn nothing() -> Known {
    Known { link: None, linked_account: None, approved: None, same_address: None }
}

fn account(user: &User, owner: Owner) -> Account {
    Account { username: user.username.clone(), enabled: user.is_active, is_admin: user.may_be_admin(), owner }
}

impl SignIn<'_> {
    /// The user that the identity is linked to: the person's, or an end.
    pub(super) async fn linked(&mut self, mut link: Link) -> Result<(User, Linking), HandoverError> {
        let (user, linking) = self.linked_decision(&link).await?.let_through()?;
        let now = Link::to(&user);
        if now != link {
            self.core.ownership.refreshed(&self.key.digest(), &link, &now).await?;
            link = now;
        }
        // Links of before there was an index come into it here.
        self.core.ownership.index(self.identity, &link).await?;
        Ok((user, linking))
    }

    pub(super) async fn linked_decision(&mut self, link: &Link) -> Result<Decided, HandoverError> {
        let user = self.linked_user(link).await?;
        let linked_account = user.as_ref().map(|user| account(user, Owner::Free));
        let name = user.as_ref().map_or(&link.username, |user| &user.username);
        let known = Known { link: Some(name.clone()), linked_account, ..nothing() };
        let linking = decide(&known, self.email_linking);
        Ok(Decided { linking, is_disabled: is_disabled(user.as_ref()), user })
    }

    /// By name, and by number: a user may have been renamed, and the name may be somebody else's now.
    async fn linked_user(&mut self, link: &Link) -> Result<Option<User>, HandoverError> {
        let found = self.get(&link.username).await?;
        if found.as_ref().is_some_and(|user| user.id == link.id) {
            return Ok(found);
        }
        // The address as well: another Core, to which the configuration points now, has these numbers too.
        let fits = |user: &User| {
            user.id == link.id && (user.has_address(&link.email) || user.has_address(&self.identity.email))
        };
        let result = match self.roster {
            Some(roster) => self.of_roster(roster.name(link.id), fits).await,
            None => self.core.client.find(fits, self.budget).await,
        };
        Ok(self.noted(Call::ListUsers, result, |found| match found {
            Some(user) => format!("user {} is called {:?} now", link.id, user.username),
            None => format!("user {} is gone", link.id),
        })?)
    }

    /// The user that an administrator approved.
    pub(super) async fn approved(&mut self, username: &str) -> Result<Settled, HandoverError> {
        let (user, linking) = self.approved_decision(username).await?.let_through()?;
        self.claimed(user, linking).await
    }

    pub(super) async fn approved_decision(&mut self, username: &str) -> Result<Decided, HandoverError> {
        let user = self.get(username).await?;
        let owner = self.owner(user.as_ref()).await?;
        let known = Known {
            approved: Some((username.to_owned(), user.as_ref().map(|user| account(user, owner)))),
            ..nothing()
        };
        let linking = decide(&known, self.email_linking);
        let is_disabled = owner != Owner::SameProvider && is_disabled(user.as_ref());
        Ok(Decided { linking, user, is_disabled })
    }

    async fn owner(&self, user: Option<&User>) -> Result<Owner, HandoverError> {
        match user {
            Some(user) => Ok(self.core.ownership.owner(user.id, &self.holder).await?),
            None => Ok(Owner::Free),
        }
    }

    /// Without making one: the user of the identity's address, if that may be the person's.
    pub(super) async fn existing(&mut self) -> Result<Settled, HandoverError> {
        let decided = self.address_decision(&self.identity.email).await?;
        if decided.linking.decision == LinkDecision::New {
            return Err(HandoverError::CreationOff);
        }
        let (user, linking) = decided.let_through()?;
        self.claimed(user, linking).await
    }

    /// A user whom the list of a moment ago names, as they are now.
    async fn of_roster(&self, username: Option<&str>, fits: impl Fn(&User) -> bool) -> Result<Option<User>, CoreError> {
        match username {
            Some(username) => Ok(self.core.client.user(username, self.budget).await?.filter(|user| fits(user))),
            None => Ok(None),
        }
    }

    /// What becomes of the user of an address. Looks through the list, in 2.x page by page, unless there is a roster.
    pub(super) async fn address_decision(&mut self, email: &str) -> Result<Decided, HandoverError> {
        let fits = |user: &User| user.has_address(email);
        let result = match self.roster {
            Some(roster) => self.of_roster(roster.name_of_address(email), fits).await,
            None => self.core.client.find(fits, self.budget).await,
        };
        let user = self.noted(Call::ListUsers, result, |found| match found {
            Some(user) => format!("user {:?} has the address", user.username),
            None => "nobody has the address".into(),
        })?;
        let owner = self.owner(user.as_ref()).await?;
        let same_address = user.as_ref().map(|user| account(user, owner));
        let linking = decide(&Known { same_address, ..nothing() }, self.email_linking);
        let is_persons = match owner {
            Owner::ThisIdentity => true,
            Owner::Free => matches!(self.email_linking, EmailLinking::Allowed(_)),
            Owner::SameProvider | Owner::OtherProvider => false,
        };
        let is_disabled = is_persons && is_disabled(user.as_ref());
        Ok(Decided { linking, user, is_disabled })
    }

    /// Takes a user for the identity; `None`: another identity was faster, or another host with this one.
    pub(super) async fn claimed(&mut self, user: User, linking: Linking) -> Result<Settled, HandoverError> {
        let is_claimed = self.core.ownership.claim(self.identity, &Link::to(&user)).await?;
        Ok(is_claimed.then_some((user, linking)))
    }

    /// A user by name.
    pub(super) async fn get(&mut self, username: &str) -> Result<Option<User>, HandoverError> {
        let result = self.core.client.user(username, self.budget).await;
        Ok(self.noted(Call::GetUser, result, |found| match found {
            Some(user) => format!("user {username:?} has the number {}", user.id),
            None => format!("there is no user {username:?}"),
        })?)
    }
}
