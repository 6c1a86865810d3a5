//! What opens doors: API tokens, sessions, enrollment tokens, and the count of failed logins.

use std::collections::HashMap;

use serde::Serialize;

/// Seconds a session lives: a real Core's default, 7 days.
const SESSION_LIFE_S: i64 = 7 * 24 * 60 * 60;
/// Failed logins of one name within a minute until Core stops looking.
const FAILED_LOGINS: usize = 5;
const FAILED_LOGIN_WINDOW_S: i64 = 60;
/// Seconds it doesn't look.
const FAILED_LOGIN_PAUSE_S: i64 = 5 * 60;

/// An API token.
#[derive(Debug, Clone)]
pub(crate) struct ApiToken {
    pub(crate) id: i64,
    pub(crate) owner: i64,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) created_at_unix_s: i64,
}

/// A login.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) user: i64,
    pub(crate) expires_at_unix_s: i64,
}

/// What an enrollment token was made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// `start_enrollment`.
    Enrollment,
    /// `start_desktop`. Core itself doesn't tell it from the former: both are of the type `ENROLLMENT`.
    Desktop,
    /// A reset of the password, of the type `PASSWORD_RESET`.
    PasswordReset,
}

/// A token that the proxy exchanges for an enrollment session.
#[derive(Debug, Clone)]
pub(crate) struct EnrollmentToken {
    pub(crate) token: String,
    pub(crate) user: i64,
    pub(crate) admin: Option<i64>,
    pub(crate) email: Option<String>,
    pub(crate) kind: TokenKind,
    pub(crate) created_at_unix_s: i64,
    pub(crate) expires_at_unix_s: i64,
    pub(crate) used_at_unix_s: Option<i64>,
}

/// Why a token doesn't start a session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenRefusal {
    Expired,
    Used,
}

impl EnrollmentToken {
    /// Starts the token's session, or goes on with it; the session's end.
    pub(crate) fn start_session(&mut self, now_unix_s: i64, session_s: i64) -> Result<i64, TokenRefusal> {
        if self.expires_at_unix_s < now_unix_s {
            return Err(TokenRefusal::Expired);
        }
        let end = *self.used_at_unix_s.get_or_insert(now_unix_s) + session_s;
        if now_unix_s < end { Ok(end) } else { Err(TokenRefusal::Used) }
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    pub(crate) api_tokens: Vec<ApiToken>,
    pub(crate) sessions: HashMap<String, Session>,
    pub(crate) enrollment_tokens: Vec<EnrollmentToken>,
    failed_logins: HashMap<String, Vec<i64>>,
    last_api_token: i64,
}

impl Credentials {
    pub(crate) fn add_api_token(&mut self, owner: i64, name: &str, token: &str, now_unix_s: i64) {
        self.last_api_token += 1;
        self.api_tokens.push(ApiToken {
            id: self.last_api_token,
            owner,
            name: name.to_owned(),
            token: token.to_owned(),
            created_at_unix_s: now_unix_s,
        });
    }

    pub(crate) fn add_session(&mut self, id: &str, user: i64, now_unix_s: i64) {
        let session = Session { user, expires_at_unix_s: now_unix_s + SESSION_LIFE_S };
        self.sessions.insert(id.to_owned(), session);
    }

    /// Adds a token and deletes all unused ones of its user, of whatever type (facts C2, difference 4).
    pub(crate) fn replace_enrollment_token(&mut self, token: EnrollmentToken) {
        self.enrollment_tokens.retain(|other| other.user != token.user || other.used_at_unix_s.is_some());
        self.enrollment_tokens.push(token);
    }

    pub(crate) fn end_sessions_of(&mut self, user: i64) {
        self.sessions.retain(|_, session| session.user != user);
    }

    pub(crate) fn delete_api_tokens_of(&mut self, user: i64) {
        self.api_tokens.retain(|token| token.owner != user);
    }

    /// Everything of a user who is gone.
    pub(crate) fn forget(&mut self, user: i64) {
        self.end_sessions_of(user);
        self.delete_api_tokens_of(user);
        self.enrollment_tokens.retain(|token| token.user != user);
    }

    /// Whether Core looks at a login of this name at all.
    pub(crate) fn may_log_in(&self, name: &str, now_unix_s: i64) -> bool {
        let Some(failed) = self.failed_logins.get(name) else { return true };
        let last = failed.last().copied().unwrap_or(i64::MIN);
        failed.len() < FAILED_LOGINS || now_unix_s >= last + FAILED_LOGIN_PAUSE_S
    }

    pub(crate) fn failed_login(&mut self, name: &str, now_unix_s: i64) {
        let failed = self.failed_logins.entry(name.to_owned()).or_default();
        failed.retain(|at| now_unix_s - at < FAILED_LOGIN_WINDOW_S);
        failed.push(now_unix_s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(used_at_unix_s: Option<i64>) -> EnrollmentToken {
        EnrollmentToken {
            token: "t".into(),
            user: 1,
            admin: None,
            email: None,
            kind: TokenKind::Enrollment,
            created_at_unix_s: 0,
            expires_at_unix_s: 1000,
            used_at_unix_s,
        }
    }

    #[test]
    fn a_token_starts_one_session_that_can_be_gone_on_with() {
        let table = [
            ("fresh", None, 10, Ok(610)),
            ("again, within the session", Some(10), 600, Ok(610)),
            ("again, after the session", Some(10), 610, Err(TokenRefusal::Used)),
            ("at its last second", None, 1000, Ok(1600)),
            ("expired", None, 1001, Err(TokenRefusal::Expired)),
            ("expired within the session", Some(900), 1001, Err(TokenRefusal::Expired)),
        ];
        for (name, used_at, now, expected) in table {
            assert_eq!(token(used_at).start_session(now, 600), expected, "{name}");
        }
    }

    #[test]
    fn five_failed_logins_lock_a_name_for_a_while() {
        let mut credentials = Credentials::default();
        for at in 0..5 {
            assert!(credentials.may_log_in("ada", at), "{at}");
            credentials.failed_login("ada", at);
        }
        assert!(!credentials.may_log_in("ada", 5) && credentials.may_log_in("bob", 5));
        assert!(!credentials.may_log_in("ada", 303) && credentials.may_log_in("ada", 304));
    }
}
