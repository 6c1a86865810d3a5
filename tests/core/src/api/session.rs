//! Who asks, in Core's order: an API token if the licence is active, else the session's cookie; then the second factor, then
//! what the role needs, then the `User-Agent` that every change must carry (facts C2).

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, COOKIE, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};

use super::reply::Refusal;
use crate::directory::User;
use crate::world::{State, World};

/// Core's session cookie.
pub(crate) const SESSION_COOKIE: &str = "defguard_session";

/// Whoever shows a session or an API token that counts.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    pub(crate) is_admin: bool,
}

/// A caller who is an active administrator.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) Caller);

/// A request with a `User-Agent`, as every change must be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserAgent;

/// An active licence, which the making of API tokens needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Licensed;

impl FromRequestParts<Arc<World>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, Refusal> {
        let now = world.clock.now_unix_s();
        caller(&mut world.state(), &parts.headers, now)
    }
}

impl FromRequestParts<Arc<World>> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, world: &Arc<World>) -> Result<Self, Refusal> {
        let caller = Caller::from_request_parts(parts, world).await?;
        if !caller.user.is_active {
            return Err(Refusal::forbidden("user is disabled"));
        }
        if caller.is_admin { Ok(Self(caller)) } else { Err(Refusal::forbidden("access denied")) }
    }
}

impl FromRequestParts<Arc<World>> for UserAgent {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<World>) -> Result<Self, Refusal> {
        let is_there = parts.headers.get(USER_AGENT).is_some_and(|value| value.to_str().is_ok());
        if is_there { Ok(Self) } else { Err(Refusal::bad_request("Missing UserAgent header")) }
    }
}

impl FromRequestParts<Arc<World>> for Licensed {
    type Rejection = Refusal;

    async fn from_request_parts(_: &mut Parts, world: &Arc<World>) -> Result<Self, Refusal> {
        if world.state().is_licensed() {
            Ok(Self)
        } else {
            Err(Refusal::new(StatusCode::FORBIDDEN, "Enterprise features are disabled"))
        }
    }
}

/// Which credential a request is accepted by.
enum Shown {
    Token,
    Session,
}

fn caller(state: &mut State, headers: &HeaderMap, now_unix_s: i64) -> Result<Caller, Refusal> {
    let (id, shown) = user_of(state, headers, now_unix_s)?;
    let user = state.directory.user_by_id(id).cloned().ok_or_else(|| Refusal::unauthorized("User not found"))?;
    let is_admin = state.directory.is_admin(id);
    match shown {
        Shown::Session if user.mfa_enabled => Err(Refusal::unauthorized("MFA not verified")),
        Shown::Token if !is_admin => Err(Refusal::forbidden("Token authentication is not allowed for normal users")),
        Shown::Session | Shown::Token => Ok(Caller { user, is_admin }),
    }
}

fn user_of(state: &mut State, headers: &HeaderMap, now_unix_s: i64) -> Result<(i64, Shown), Refusal> {
    // Without an active licence the header isn't looked at, so a client that sends one hears of a session.
    if state.is_licensed() && headers.contains_key(AUTHORIZATION) {
        let token = bearer(headers).ok_or_else(|| Refusal::unauthorized("Invalid auth header"))?;
        let known = state.credentials.api_tokens.iter().find(|known| known.token == token);
        let known = known.ok_or_else(|| Refusal::unauthorized("Invalid API token"))?;
        return Ok((known.owner, Shown::Token));
    }
    let id = cookie(headers, SESSION_COOKIE).ok_or_else(|| Refusal::unauthorized("Session is required"))?;
    let sessions = &mut state.credentials.sessions;
    let session = sessions.get(id).copied().ok_or_else(|| Refusal::unauthorized("Session not found"))?;
    if session.expires_at_unix_s < now_unix_s {
        sessions.remove(id);
        return Err(Refusal::unauthorized("Session expired"));
    }
    Ok((session.user, Shown::Session))
}

/// The token of an `Authorization: Bearer` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The value of a cookie.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// A user as administrators, and the user in person, may see and change them.
pub(crate) fn admin_or_self<'a>(state: &'a State, caller: &Caller, username: &str) -> Result<&'a User, Refusal> {
    if !caller.is_admin && caller.user.username != username {
        return Err(Refusal::forbidden("requires privileged access"));
    }
    state.directory.user(username).ok_or_else(|| Refusal::not_found(format!("user {username} not found")))
}
