//! Whether an account that Defguard has already, and that is nobody's yet, may become a person's because it has the same
//! address. Addresses can be set by those who use them (nOAuth), so one is proof only where one organisation decides over
//! it and vouches for it (entra_graph §4).

use std::fmt;

use crate::claims::account::AccountKind;
use crate::claims::email::Domain;
use crate::claims::identity::Mapped;
use crate::configuration::{Authority, ExistingAccounts, Provider};

/// What may happen; each with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailLinking {
    /// The account may be linked, once.
    Allowed(String),
    /// An administrator must say so first.
    NeedsApproval(String),
    /// It must not be linked.
    Never(String),
}

impl fmt::Display for EmailLinking {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(reason) => write!(formatter, "an account of this address may be linked: {reason}"),
            Self::NeedsApproval(reason) => write!(formatter, "an account of this address needs approval: {reason}"),
            Self::Never(reason) => write!(formatter, "an account of this address is never linked: {reason}"),
        }
    }
}

/// Decides for one person.
pub fn email_linking(provider: &Provider, account: AccountKind, mapped: &Mapped) -> EmailLinking {
    let rule = &provider.linking;
    match rule.existing {
        ExistingAccounts::Never => return EmailLinking::Never("linking.existing is \"never\"".to_owned()),
        ExistingAccounts::Approval => {
            return EmailLinking::NeedsApproval("linking.existing is \"approval\"".to_owned());
        }
        ExistingAccounts::VerifiedEmail => {}
    }
    match account {
        AccountKind::Guest => return EmailLinking::NeedsApproval("the person is a guest".to_owned()),
        AccountKind::Personal => return EmailLinking::NeedsApproval("the account is a personal one".to_owned()),
        AccountKind::Member | AccountKind::Unknown => {}
    }
    if matches!(provider.authority, Authority::Several(_)) {
        return EmailLinking::NeedsApproval("several tenants may sign in".to_owned());
    }
    let email_verified = mapped.email_verified;
    if email_verified == Some(true) {
        return EmailLinking::Allowed("the provider says that the address is the person's".to_owned());
    }
    if !mapped.email_is_said {
        return EmailLinking::NeedsApproval("the address was made here, or the person may have set it".to_owned());
    }
    let domain = Domain::of_address(&mapped.email);
    if domain.is_some_and(|domain| rule.verified_domains.contains(&domain)) && email_verified.is_none() {
        return EmailLinking::Allowed("its domain is in linking.verified_domains".to_owned());
    }
    let reason = match email_verified {
        Some(_) => "the provider says that the address isn't verified",
        None => "nobody says that the address is the person's",
    };
    EmailLinking::NeedsApproval(reason.to_owned())
}
