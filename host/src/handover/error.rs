//! Why an identity couldn't be handed over, and what is said of it: one table with code, status, the person's sentence and
//! the administrator's hint. docs/refusals.md has the same rows.

use crate::core_api::{CoreError, Failure};
use crate::linking::Linking;
use crate::storage::StorageError;

/// What an administrator may do about an account of the same address.
const LINK_HINT: &str = "if the account is this person's, approve it: [[provider.approved_link]] with identity = the \
                         person's oid (elsewhere sub) and account = the user name; or see linking.existing";

/// Why the identity couldn't be handed over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandoverError {
    /// The place where it should be kept can't be used.
    #[error("the enrollment can't be kept: {0}")]
    Unavailable(String),
    /// An account may be the person's: an administrator has to say so.
    #[error("{} (account {:?})", .0.reason, .0.account.as_deref().unwrap_or_default())]
    NeedsApproval(Linking),
    /// The account isn't the person's, or is gone.
    #[error("{} (account {:?})", .0.reason, .0.account.as_deref().unwrap_or_default())]
    Refused(Linking),
    /// The person's account is disabled.
    #[error("{} (account {:?})", .0.reason, .0.account.as_deref().unwrap_or_default())]
    Disabled(Linking),
    /// The person has no account, and none is made.
    #[error("nobody has this identity or its address, and handover.create_accounts is false")]
    CreationOff,
    /// Every user name that could be made of the identity's is taken.
    #[error("{0:?} is taken, and so is every name made of it")]
    NoFreeName(String),
    /// Core takes the address for a pattern that fits another user's.
    #[error("Core says that the address {0:?} is taken, and no user has it: it takes _ and % for wildcards")]
    AddressLookalike(String),
    /// A call of Core failed.
    #[error(transparent)]
    Core(#[from] CoreError),
}

/// What is said of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// Stable, for programs.
    pub code: &'static str,
    /// HTTP's.
    pub status: u16,
    /// For the person.
    pub message: &'static str,
    /// For the administrator: what to do.
    pub hint: &'static str,
    /// Whether it helps to start again.
    pub retry_helps: bool,
}

const NOT_PREPARED: &str =
    "You are signed in, but the enrollment could not be prepared. Please try again in a few minutes.";
const NOT_SET_UP: &str =
    "You are signed in, but the connection to Defguard isn't set up correctly. Please tell your administrator.";

impl HandoverError {
    /// The row of the table.
    pub fn words(&self) -> Words {
        let row = |code, status, message, retry_helps, hint| Words { code, status, message, hint, retry_helps };
        match self {
            Self::Unavailable(_) => row(
                "handover_unavailable",
                503,
                NOT_PREPARED,
                true,
                "The host's storage failed: see the log, the disk and storage.url.",
            ),
            Self::NeedsApproval(_) => row(
                "link_needs_approval",
                403,
                "There is an account with your e-mail address already. Your administrator must confirm that it is yours.",
                false,
                LINK_HINT,
            ),
            Self::Refused(_) => row(
                "link_refused",
                403,
                "You are signed in, but your account here can't be used. Please tell your administrator.",
                false,
                LINK_HINT,
            ),
            Self::Disabled(_) => row(
                "account_disabled",
                403,
                "You are signed in, but your account in Defguard is disabled. Please tell your administrator.",
                false,
                "An administrator disabled the user in Defguard: enable it there if that is over.",
            ),
            Self::CreationOff => row(
                "account_missing",
                403,
                "You are signed in, but you have no account in Defguard yet. Please ask your administrator for one.",
                false,
                "Make the user in Defguard and approve it ([[provider.approved_link]]), or set handover.create_accounts = \
                 true.",
            ),
            Self::NoFreeName(_) => row(
                "username_taken",
                409,
                "You are signed in, but every user name that fits you is taken. Please tell your administrator.",
                false,
                "Map another user name (claims.username), or rename the users who have these.",
            ),
            Self::AddressLookalike(_) => row(
                "core_address_lookalike",
                409,
                "You are signed in, but Defguard takes your e-mail address for another user's. Please tell your \
                 administrator.",
                false,
                "This version of Core compares addresses as patterns: _ is any character, % any text. Update Core, or give \
                 the user whose address looks alike another one.",
            ),
            Self::Core(error) => of_core(&error.failure),
        }
    }

    /// Whether somebody said no, and not something broke.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Unavailable(_) | Self::Core(_))
    }

    /// The account that it is about, and why.
    pub fn linking(&self) -> Option<&Linking> {
        match self {
            Self::NeedsApproval(linking) | Self::Refused(linking) | Self::Disabled(linking) => Some(linking),
            _ => None,
        }
    }

    /// Seconds after which it makes sense to try again, if that is known.
    pub fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Core(CoreError { failure: Failure::Open { retry_after_s, .. }, .. }) => Some(*retry_after_s),
            Self::Core(CoreError { failure: Failure::Busy, .. }) => Some(5),
            _ => None,
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn of_core(failure: &Failure) -> Words {
    let row = |code, status, message, retry_helps, hint| Words { code, status, message, hint, retry_helps };
    match failure {
        Failure::Unreachable(_) => row(
            "core_unreachable",
            502,
            NOT_PREPARED,
            true,
            "Is Core running, and is handover.url its address as this machine reaches it? `defguard-openid doctor` tries it.",
        ),
        Failure::Tls(_) => row(
            "core_tls",
            502,
            NOT_SET_UP,
            false,
            "This machine doesn't trust the certificate at handover.url: add its authority to the system's, or correct the \
             name.",
        ),
        Failure::Slow(_) => row(
            "core_slow",
            504,
            "You are signed in, but Defguard took too long. Please try again in a few minutes.",
            true,
            "Core answers too slowly: see its load and its database; handover.call_timeout_ms and handover.time_budget_ms \
             are the limits.",
        ),
        Failure::Busy => row(
            "core_busy",
            503,
            "Too many people are enrolling right now. Please try again in a moment.",
            true,
            "More calls of Core were waiting than could be made in time: handover.concurrent_calls is how many run at once.",
        ),
        Failure::Open { .. } => row(
            "core_unavailable_for_now",
            503,
            "Defguard doesn't answer at the moment. Please try again in a few minutes.",
            true,
            "Core failed several times in a row and isn't asked for handover.breaker_pause_s seconds: the records before say \
             how it failed.",
        ),
        Failure::Credential(_) => row(
            "core_credential_unusable",
            502,
            NOT_SET_UP,
            false,
            "The file of handover.token_file or password_file can't be used: it holds one line, and this host's user must \
             be able to read it.",
        ),
        Failure::TokenInvalid => row(
            "core_token_invalid",
            502,
            NOT_SET_UP,
            false,
            "Core doesn't know the API token: it was deleted, or its owner disabled. Make a new one in an administrator's \
             profile; the file is read again by itself.",
        ),
        Failure::LicenseMissing => row(
            "core_license_missing",
            502,
            NOT_SET_UP,
            false,
            "Core looks at API tokens only with an active licence, or below the limits that need none: see its settings, or \
             use username and password_file. A reverse proxy that drops the Authorization header looks the same.",
        ),
        Failure::Unauthorized(_) => row(
            "core_unauthorized",
            502,
            NOT_SET_UP,
            false,
            "The API token is wrong or Core's licence is missing, which Core doesn't tell apart here; with username: the \
             password is wrong, or the account is disabled.",
        ),
        Failure::MfaDue => row(
            "core_mfa_due",
            502,
            NOT_SET_UP,
            false,
            "The service account has a second factor, which this host can't give: switch it off for that account, or use an \
             API token.",
        ),
        Failure::Forbidden(_) => row(
            "core_forbidden",
            502,
            NOT_SET_UP,
            false,
            "The owner of the token, or the service account, must be in a group with administrator rights, and active.",
        ),
        Failure::LicenseLimit => row(
            "core_license_limit",
            403,
            "You are signed in, but Defguard has no free place for another user. Please tell your administrator.",
            false,
            "Core's licence allows no further user: delete or disable some, or extend the licence.",
        ),
        // Of a user that nobody signs in as: the hand-over says it better where it is the person's. Conflicts and groups are
        // directory synchronisation's.
        Failure::UserDisabled
        | Failure::NotFound(_)
        | Failure::Rejected { .. }
        | Failure::Conflict(_)
        | Failure::GroupName(_) => row(
            "core_rejected",
            502,
            "You are signed in, but Defguard doesn't accept your data. Please tell your administrator.",
            false,
            "Core refuses the request: the log has its status and words. Core 1.6 and 2.x are supported, directly or behind \
             a proxy that changes nothing.",
        ),
        Failure::Failed { .. } => {
            row("core_failed", 502, NOT_PREPARED, true, "Core failed inside: its own log, at the same time, says why.")
        }
        Failure::Malformed(_) => row(
            "core_malformed",
            502,
            NOT_SET_UP,
            false,
            "What answers at handover.url isn't Defguard Core 1.6 or 2.x: is it the Core's address, not the enrollment \
             proxy's?",
        ),
    }
}

impl From<StorageError> for HandoverError {
    fn from(error: StorageError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::core_api::{Call, Said};
    use crate::linking::{LinkDecision, Linking};

    /// One of each.
    pub(crate) fn all() -> Vec<HandoverError> {
        let linking = || Linking { decision: LinkDecision::Refused, account: Some("ada".into()), reason: "why".into() };
        let failures = [
            Failure::Unreachable("refused".into()),
            Failure::Tls("expired".into()),
            Failure::Slow(1),
            Failure::Busy,
            Failure::Open { failures: 5, retry_after_s: 30 },
            Failure::Credential("file".into()),
            Failure::TokenInvalid,
            Failure::LicenseMissing,
            Failure::Unauthorized(Said::default()),
            Failure::MfaDue,
            Failure::Forbidden(Said::default()),
            Failure::LicenseLimit,
            Failure::Rejected { status: 418, said: Said::default() },
            Failure::Failed { status: 500, said: Said::default() },
            Failure::Malformed("no JSON".into()),
        ];
        let mut all = vec![
            HandoverError::Unavailable("disk".into()),
            HandoverError::NeedsApproval(linking()),
            HandoverError::Refused(linking()),
            HandoverError::Disabled(linking()),
            HandoverError::CreationOff,
            HandoverError::NoFreeName("ada".into()),
            HandoverError::AddressLookalike("a_a@a.example".into()),
        ];
        all.extend(failures.map(|failure| HandoverError::Core(CoreError { call: Call::CreateUser, failure })));
        all
    }

    /// The document and the table say the same: code, status, and one row for each.
    #[test]
    fn every_code_has_its_row() {
        const DOCUMENT: &str = include_str!("../../../docs/refusals.md");
        let mut codes = std::collections::BTreeSet::new();
        for error in all() {
            let words = error.words();
            assert!(codes.insert(words.code), "{error}: {} is another's code", words.code);
            let row = DOCUMENT.lines().find(|line| line.starts_with(&format!("| `{}` |", words.code)));
            let row = row.unwrap_or_else(|| panic!("{error}: docs/refusals.md has no row for {}", words.code));
            assert!(row.contains(&format!("| {} |", words.status)), "{error}: {row}");
            assert!((400..600).contains(&words.status), "{error}");
            assert!(words.message.ends_with('.') && words.hint.len() > 40, "{error}");
            assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn who_may_wait() {
        let waits: Vec<_> =
            all().into_iter().filter_map(|error| Some((error.words().code, error.retry_after_s()?))).collect();
        assert_eq!(waits, [("core_busy", 5), ("core_unavailable_for_now", 30)]);
    }
}
