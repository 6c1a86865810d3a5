//! How fresh and how strong a person's sign-in is for one request: `prompt=login` and `max_age`, and the authentication contexts of
//! Conditional Access that the request asks for. A person's session is as old as the seed says; nothing is kept between requests.

use super::errors::Refusal;
use super::request::{AuthorizationRequest, Prompt};
use crate::seed::{Person, UnmetContext};

/// What a code remembers of the sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Session {
    /// When the person proved who they are.
    pub(crate) auth_time_unix_s: i64,
    /// Of the authentication contexts that were asked for, those that the person can satisfy, in the order of the request.
    pub(crate) satisfied_contexts: Vec<String>,
}

impl Session {
    /// The session with which the request is answered. That `max_age` works at all is known from practice (K), not documented: a
    /// session that is older makes the person sign in again, as `prompt=login` does.
    pub(crate) fn of(request: &AuthorizationRequest, person: &Person, now_unix_s: i64) -> Result<Self, Refusal> {
        let too_old = request.max_age_s.is_some_and(|limit| person.session_age_s > limit);
        if too_old && request.prompt == Prompt::Silent {
            return Err(Refusal::NobodySignedIn);
        }
        let age_s = if too_old || request.prompt == Prompt::Login { 0 } else { person.session_age_s };
        Ok(Self {
            auth_time_unix_s: now_unix_s.saturating_sub(age_s),
            satisfied_contexts: satisfied(&request.asked_contexts, person)?,
        })
    }
}

/// Those of the contexts that the person can satisfy. None at all is a refusal where a policy makes it one.
fn satisfied(asked: &[String], person: &Person) -> Result<Vec<String>, Refusal> {
    let satisfied: Vec<String> =
        asked.iter().filter(|context| person.authentication_contexts.contains(context)).cloned().collect();
    if satisfied.is_empty() && !asked.is_empty() && person.unmet_context == UnmetContext::Refused {
        return Err(Refusal::ContextUnmet { contexts: asked.join(", ") });
    }
    Ok(satisfied)
}
