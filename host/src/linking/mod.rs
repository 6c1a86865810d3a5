//! Which Defguard account a verified identity belongs to. The identity's key decides, alone and for good; the e-mail
//! address only points at an account that *might* be the person's, and what may happen then the component has said
//! ([`EmailLinking`], facts: nOAuth). Pure: what is known goes in, a decision with its reason comes out.

mod store;

use serde::{Deserialize, Serialize};

pub use store::LinkStore;

use crate::sandbox::bindings::exports::defguard::openid::login;

/// The component's word on an unlinked account of the same address; each with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmailLinking {
    /// It may be linked, once.
    Allowed(String),
    /// An administrator must say so first.
    NeedsApproval(String),
    /// It must not be linked.
    Never(String),
}

impl From<login::EmailLinking> for EmailLinking {
    fn from(linking: login::EmailLinking) -> Self {
        match linking {
            login::EmailLinking::Allowed(reason) => Self::Allowed(reason),
            login::EmailLinking::NeedsApproval(reason) => Self::NeedsApproval(reason),
            login::EmailLinking::Never(reason) => Self::Never(reason),
        }
    }
}

/// What becomes of the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkDecision {
    /// Nobody's account yet: one is made.
    New,
    /// An account is the person's.
    Linked,
    /// An account may be the person's: an administrator has to say so.
    NeedsApproval,
    /// It ends here.
    Refused,
}

impl LinkDecision {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Linked => "linked",
            Self::NeedsApproval => "needs_approval",
            Self::Refused => "refused",
        }
    }
}

/// A decision, the account that it is about, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linking {
    /// What.
    pub decision: LinkDecision,
    /// The account's user name, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// In a sentence, for the administrator.
    pub reason: String,
}

impl Linking {
    fn new(decision: LinkDecision, account: Option<&str>, reason: impl Into<String>) -> Self {
        Self { decision, account: account.map(str::to_owned), reason: reason.into() }
    }
}

/// What linking must know of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its user name.
    pub username: String,
    /// Whether it may be used.
    pub enabled: bool,
    /// Whether it is an administrator's, or nobody knows: such an account is never linked by its address.
    pub is_admin: bool,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose an account is, seen from one identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's yet.
    Free,
    /// This identity's already: given to it by a sign-in that has not noted the link yet, or was stopped before it could.
    ThisIdentity,
    /// An identity of the same provider has it: another person, or another account of the same one.
    SameProvider,
    /// Only identities of other providers have it.
    OtherProvider,
}

/// What is known when the decision is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The user name that the identity's key is linked to.
    pub link: Option<String>,
    /// That account, if it is still there.
    pub linked_account: Option<Account>,
    /// The user name that an administrator approved for this identity, and that account.
    pub approved: Option<(String, Option<Account>)>,
    /// The account of the same address.
    pub same_address: Option<Account>,
}

/// Decides.
pub fn decide(known: &Known, email: &EmailLinking) -> Linking {
    use LinkDecision::{Linked, NeedsApproval, New, Refused};
    if let Some(username) = &known.link {
        return match &known.linked_account {
            Some(account) if account.enabled => Linking::new(Linked, Some(username), "linked by the identity's key"),
            Some(_) => Linking::new(Refused, Some(username), "the linked account is disabled"),
            // Somebody deleted it on purpose: signing in doesn't bring it back (V23).
            None => Linking::new(Refused, Some(username), "the linked account was deleted"),
        };
    }
    if let Some((username, account)) = &known.approved {
        return match account {
            Some(account) if account.owner == Owner::SameProvider => {
                Linking::new(Refused, Some(username), "the approved account is linked to another identity")
            }
            Some(account) if account.enabled => Linking::new(Linked, Some(username), "approved in the configuration"),
            Some(_) => Linking::new(Refused, Some(username), "the approved account is disabled"),
            None => Linking::new(Refused, Some(username), "the approved account doesn't exist"),
        };
    }
    let Some(account) = &known.same_address else {
        return Linking::new(New, None, "no account is linked to this identity, and none has its address");
    };
    let username = Some(account.username.as_str());
    if account.owner == Owner::ThisIdentity && account.enabled {
        return Linking::new(Linked, username, "this identity's already");
    }
    if account.owner == Owner::SameProvider {
        return Linking::new(Refused, username, "the account of this address is linked to another identity");
    }
    if !account.enabled {
        return Linking::new(Refused, username, "the account of this address is disabled");
    }
    // Two providers may say the same address of two people: none of them decides over what the other one gave.
    if account.owner == Owner::OtherProvider && !matches!(email, EmailLinking::Never(_)) {
        let reason = "an account has this address, and an identity of another provider is linked to it";
        return Linking::new(NeedsApproval, username, reason);
    }
    if account.is_admin && !matches!(email, EmailLinking::Never(_)) {
        let reason = "an account has this address, and it is an administrator's";
        return Linking::new(NeedsApproval, username, reason);
    }
    match email {
        EmailLinking::Allowed(reason) => Linking::new(Linked, username, format!("by its address: {reason}")),
        EmailLinking::NeedsApproval(reason) => {
            Linking::new(NeedsApproval, username, format!("an account has this address: {reason}"))
        }
        EmailLinking::Never(reason) => {
            Linking::new(Refused, username, format!("an account has this address: {reason}"))
        }
    }
}

/// The `attempt`-th user name to try for an identity when those before are taken: the name itself, then with a suffix
/// that is the same at every login, never longer than Defguard's 63 characters.
pub fn username_candidate(base: &str, key_digest: &str, attempt: usize) -> String {
    if attempt == 0 {
        return base.to_owned();
    }
    // Four digits of the key's hash, then six, eight …: deterministic, and free before long.
    let digits = key_digest.get(..(2 + 2 * attempt).min(key_digest.len())).unwrap_or_default();
    let kept: String = base.chars().take(62_usize.saturating_sub(digits.len())).collect();
    format!("{kept}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "it is a field of `Known`")]
    fn account(enabled: bool, linked: bool) -> Option<Account> {
        let owner = if linked { Owner::SameProvider } else { Owner::Free };
        Some(Account { username: "ada".into(), enabled, is_admin: false, owner })
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is a field of `Known`")]
    fn at_another_provider() -> Option<Account> {
        Some(Account { username: "ada".into(), enabled: true, is_admin: false, owner: Owner::OtherProvider })
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is a field of `Known`")]
    fn this_identity_s(enabled: bool) -> Option<Account> {
        Some(Account { username: "ada".into(), enabled, is_admin: false, owner: Owner::ThisIdentity })
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is a field of `Known`")]
    fn administrators() -> Option<Account> {
        Some(Account { username: "ada".into(), enabled: true, is_admin: true, owner: Owner::Free })
    }

    #[test]
    fn decisions() {
        use LinkDecision::{Linked, NeedsApproval, New, Refused};
        let allowed = || EmailLinking::Allowed("verified".into());
        let approval = || EmailLinking::NeedsApproval("not verified".into());
        let never = || EmailLinking::Never("a guest".into());
        let nothing = || Known { link: None, linked_account: None, approved: None, same_address: None };
        let link = |linked_account| Known { link: Some("ada".into()), linked_account, ..nothing() };
        let approved = |account| Known { approved: Some(("ada".into(), account)), ..nothing() };
        let address = |same_address| Known { same_address, ..nothing() };
        let table = [
            ("nobody knows the person", nothing(), never(), New),
            ("linked by key", link(account(true, true)), never(), Linked),
            ("linked, disabled", link(account(false, true)), allowed(), Refused),
            ("linked, deleted: not revived (V23)", link(None), allowed(), Refused),
            ("approved", approved(account(true, false)), approval(), Linked),
            ("approved, but another's by now", approved(account(true, true)), approval(), Refused),
            ("approved, disabled", approved(account(false, false)), approval(), Refused),
            ("approved, not there", approved(None), approval(), Refused),
            ("same address, proven", address(account(true, false)), allowed(), Linked),
            ("same address, not proven (V1)", address(account(true, false)), approval(), NeedsApproval),
            ("same address, never", address(account(true, false)), never(), Refused),
            ("same address, another identity's (V1)", address(account(true, true)), allowed(), Refused),
            ("same address, another provider's", address(at_another_provider()), allowed(), NeedsApproval),
            ("same address, another provider's, never", address(at_another_provider()), never(), Refused),
            ("approved, another provider's as well", approved(at_another_provider()), never(), Linked),
            ("same address, an administrator's, proven", address(administrators()), allowed(), NeedsApproval),
            ("same address, an administrator's", address(administrators()), approval(), NeedsApproval),
            ("same address, an administrator's, never", address(administrators()), never(), Refused),
            ("an administrator's, approved", approved(administrators()), never(), Linked),
            ("an administrator's, linked", link(administrators()), never(), Linked),
            ("same address, disabled", address(account(false, false)), allowed(), Refused),
            ("this identity's, not linked yet", address(this_identity_s(true)), approval(), Linked),
            ("this identity's, and never by the address", address(this_identity_s(true)), never(), Linked),
            ("this identity's, disabled", address(this_identity_s(false)), allowed(), Refused),
        ];
        for (name, known, email, expected) in table {
            let linking = decide(&known, &email);
            assert_eq!(linking.decision, expected, "{name}");
            assert!(!linking.reason.is_empty(), "{name}");
            assert_eq!(linking.account.is_some(), expected != New, "{name}");
        }
    }

    #[test]
    fn a_link_goes_before_the_address() {
        let known = Known {
            link: Some("ada".into()),
            linked_account: account(true, true),
            approved: None,
            same_address: Some(Account {
                username: "mallory".into(),
                enabled: true,
                is_admin: false,
                owner: Owner::Free,
            }),
        };
        assert_eq!(decide(&known, &EmailLinking::Allowed(String::new())).account.as_deref(), Some("ada"));
    }

    #[test]
    fn suffixes_are_deterministic_and_short_enough() {
        let digest = "0123456789abcdef";
        assert_eq!(username_candidate("ada", digest, 0), "ada");
        assert_eq!(username_candidate("ada", digest, 1), "ada-0123");
        assert_eq!(username_candidate("ada", digest, 2), "ada-012345");
        for attempt in 1..20 {
            let name = username_candidate(&"a".repeat(63), digest, attempt);
            assert!(name.len() <= 63 && name.contains("-0123"), "{name}");
        }
    }
}
