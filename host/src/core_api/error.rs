//! Why a call of Core failed. Core says little (`{"msg":…}`, or nothing), and says the same for different reasons; what can
//! be told apart is told apart here, once (facts C2, F).

use std::fmt;

use super::Call;

/// Characters of Core's own words that are repeated in a log.
const SAID_CHARACTERS: usize = 200;

/// A call of Core that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Defguard Core, {call}: {failure}")]
pub struct CoreError {
    /// Which call.
    pub call: Call,
    /// How.
    pub failure: Failure,
}

/// How a call failed. No text holds a token, a password or a cookie.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// No connection, or one that broke.
    #[error("it can't be reached: {0}")]
    Unreachable(String),
    /// A connection without trust.
    #[error("TLS fails: {0}")]
    Tls(String),
    /// No answer in time: of one call, or of all calls of one hand-over together.
    #[error("no answer within {0} ms")]
    Slow(u128),
    /// As many calls as may be under way were, until the hand-over's time was up.
    #[error("too many calls are under way (handover.concurrent_calls)")]
    Busy,
    /// It failed too often just now: it isn't asked.
    #[error("it failed {failures} times in a row and isn't asked for another {retry_after_s} s")]
    Open {
        /// In a row.
        failures: u32,
        /// Seconds until it is asked again.
        retry_after_s: u64,
    },
    /// The token's or password's file can't be used.
    #[error("{0}")]
    Credential(String),
    /// 401 "Invalid API token".
    #[error("it doesn't know the API token")]
    TokenInvalid,
    /// 401 "Session is required", although a token was sent: it looks at tokens only with an active licence.
    #[error("it didn't look at the API token, as Core does without an active licence")]
    LicenseMissing,
    /// 401 for a reason that Core doesn't say.
    #[error("it doesn't accept the credential{0}")]
    Unauthorized(Said),
    /// The service account has a second factor, which nobody here can give.
    #[error("it asks for the service account's second factor")]
    MfaDue,
    /// 403: not an administrator's.
    #[error("it refuses{0}")]
    Forbidden(Said),
    /// 403 "License limit reached".
    #[error("its licence allows no further user")]
    LicenseLimit,
    /// 401 "… disabled user …", of the user that the call is about.
    #[error("the user is disabled")]
    UserDisabled,
    /// 404, or another user or group has the name by now.
    #[error("there is no such user or group{0}")]
    NotFound(Said),
    /// Any other status of 400 and above, below 500.
    #[error("it answers {status}{said}")]
    Rejected {
        /// HTTP's.
        status: u16,
        /// Its reason.
        said: Said,
    },
    /// 500 and above.
    #[error("it fails with {status}{said}")]
    Failed {
        /// HTTP's.
        status: u16,
        /// Its reason.
        said: Said,
    },
    /// Not what Core answers.
    #[error("its answer makes no sense: {0}")]
    Malformed(String),
    /// Somebody else changes the same thing.
    #[error("{0}")]
    Conflict(String),
    /// Nothing was asked: no path can name such a group.
    #[error("{0:?} can't be a group's name: 1 to 1024 bytes without control characters, not . or ..")]
    GroupName(String),
}

impl Failure {
    /// Whether the call may have done its work all the same.
    pub fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::Tls(_) | Self::Slow(_) | Self::Failed { .. } | Self::Malformed(_))
    }
}

/// Core's own words, cut to a line of a log; empty if it said nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said(String);

impl Said {
    /// From an answer's body.
    pub(super) fn from_body(body: &[u8]) -> Self {
        let said = serde_json::from_slice::<serde_json::Value>(body).ok();
        let said = said.as_ref().and_then(|value| value.get("msg")).and_then(serde_json::Value::as_str);
        Self(
            said.unwrap_or_default()
                .chars()
                .filter(|character| !character.is_control())
                .take(SAID_CHARACTERS)
                .collect(),
        )
    }

    /// Whether these words are in it, in any case.
    pub fn has(&self, words: &str) -> bool {
        self.0.to_lowercase().contains(&words.to_lowercase())
    }
}

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(formatter, " ({:?})", self.0) }
    }
}

/// How this host showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Token,
    Session,
}

/// What a status that isn't the expected one means (facts C2).
pub(super) fn refused(call: Call, shown: Shown, status: u16, said: Said) -> Failure {
    match status {
        401 if call.starts() && said.has("disabled") => Failure::UserDisabled,
        401 if said.has("mfa not verified") => Failure::MfaDue,
        401 if shown == Shown::Token && said.has("invalid api token") => Failure::TokenInvalid,
        401 if shown == Shown::Token && said.has("session is required") => Failure::LicenseMissing,
        401 => Failure::Unauthorized(said),
        403 if said.has("license limit") => Failure::LicenseLimit,
        403 => Failure::Forbidden(said),
        404 => Failure::NotFound(said),
        // It may have done its work; a redirect's target is none that the configuration names.
        _ if status < 400 => Failure::Malformed(format!("status {status} is none that this call ends with")),
        500.. => Failure::Failed { status, said },
        _ => Failure::Rejected { status, said },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_core_means() {
        let said = |text: &str| Said::from_body(serde_json::json!({ "msg": text }).to_string().as_bytes());
        let disabled = "Can't create enrollment token for disabled user ada";
        let table = [
            ("a wrong token", Call::GetUser, Shown::Token, 401, "Invalid API token", Failure::TokenInvalid),
            ("no licence", Call::GetUser, Shown::Token, 401, "Session is required", Failure::LicenseMissing),
            ("of another sort", Call::GetUser, Shown::Token, 401, "", Failure::Unauthorized(Said::default())),
            ("MFA", Call::GetUser, Shown::Session, 401, "MFA not verified", Failure::MfaDue),
            ("a disabled user", Call::StartEnrollment, Shown::Token, 401, disabled, Failure::UserDisabled),
            ("a disabled user", Call::StartDesktop, Shown::Session, 401, disabled, Failure::UserDisabled),
            ("of another call", Call::GetUser, Shown::Token, 401, disabled, Failure::Unauthorized(said(disabled))),
            ("the limit", Call::CreateUser, Shown::Token, 403, "License limit reached.", Failure::LicenseLimit),
            ("rights", Call::CreateUser, Shown::Token, 403, "access denied", Failure::Forbidden(said("access denied"))),
            ("nobody", Call::GetUser, Shown::Token, 404, "", Failure::NotFound(Said::default())),
            (
                "no User-Agent",
                Call::CreateUser,
                Shown::Token,
                400,
                "Missing UserAgent header",
                Failure::Rejected { status: 400, said: said("Missing UserAgent header") },
            ),
            (
                "a defect",
                Call::CreateUser,
                Shown::Token,
                500,
                "Internal server error",
                Failure::Failed { status: 500, said: said("Internal server error") },
            ),
        ];
        for (name, call, shown, status, words, expected) in table {
            assert_eq!(refused(call, shown, status, said(words)), expected, "{name}");
        }
    }

    #[test]
    fn words_are_cut_and_cleaned() {
        let long = serde_json::json!({ "msg": format!("a\r\nb{}", "x".repeat(5000)) }).to_string();
        let said = Said::from_body(long.as_bytes()).to_string();
        assert!(said.starts_with(" (\"abx") && said.len() < 250, "{said}");
        for nothing in ["", "{}", "[]", "<html>", r#"{"msg":1}"#] {
            assert_eq!(Said::from_body(nothing.as_bytes()), Said::default(), "{nothing}");
        }
    }
}
