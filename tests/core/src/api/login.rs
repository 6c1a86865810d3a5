//! Logging in with a password, and the API tokens that administrators make for themselves (facts C2).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header::{SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::reply::{Answer, Refusal, nothing, ok, reply};
use super::session::{Admin, Licensed, SESSION_COOKIE, UserAgent, admin_or_self, cookie};
use super::user_info::UserInfo;
use crate::directory::User;
use crate::settings::Version;
use crate::world::{self, World};

#[derive(Deserialize)]
pub(crate) struct LogIn {
    username: String,
    password: String,
}

/// `POST /api/v1/auth`: 200, or 201 when the second factor is due; the session's cookie with both.
pub(crate) async fn log_in(State(world): State<Arc<World>>, headers: HeaderMap, Json(data): Json<LogIn>) -> Response {
    // Refused by the web framework, not by Core: hence plain text.
    if !headers.contains_key(USER_AGENT) {
        return Refusal::by_framework("Header of type `user-agent` was missing").into_response();
    }
    let now = world.clock.now_unix_s();
    let mut state = world.state();
    if !state.credentials.may_log_in(&data.username, now) {
        return Refusal::new(StatusCode::TOO_MANY_REQUESTS, "Too many login attempts").into_response();
    }
    let Some(user) = authenticated(&state, &data) else {
        state.credentials.failed_login(&data.username, now);
        return match state.version {
            Version::V1_6 => Refusal::unauthorized("invalid password"),
            Version::V2_0 => Refusal::silent(StatusCode::UNAUTHORIZED),
        }
        .into_response();
    };
    let session = world.random.token();
    state.credentials.add_session(&session, user.id, now);
    state.secrets.insert(session.clone());
    let mut response = if user.mfa_enabled {
        let factors = json!({
            "mfa_method": "OneTimePassword", "totp_available": true, "webauthn_available": false, "email_available": false,
        });
        reply(StatusCode::CREATED, factors)
    } else {
        ok(json!({"user": UserInfo::of(&state.directory, &user), "url": null}))
    };
    // Without `Secure`, as a Core with `cookie_insecure` does: the emulator speaks plain HTTP.
    let cookie = format!("{SESSION_COOKIE}={session}; HttpOnly; SameSite=Lax; Path=/; Max-Age=604800");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

/// By name, else by address; who is disabled is nobody.
fn authenticated(state: &world::State, data: &LogIn) -> Option<User> {
    let by_email = || state.directory.user_by_email(&data.username).ok().flatten();
    let user = state.directory.user(&data.username).or_else(by_email)?;
    let is_right = user.password.as_ref().is_some_and(|password| *password == data.password);
    (is_right && user.is_active).then(|| user.clone())
}

/// `POST /api/v1/auth/logout`.
pub(crate) async fn log_out(State(world): State<Arc<World>>, headers: HeaderMap) -> Answer {
    let id = cookie(&headers, SESSION_COOKIE).ok_or_else(|| Refusal::unauthorized("Session is required"))?;
    match world.state().credentials.sessions.remove(id) {
        Some(_) => Ok(nothing()),
        None => Err(Refusal::unauthorized("Session not found")),
    }
}

#[derive(Deserialize)]
pub(crate) struct AddApiToken {
    name: String,
}

/// `POST /api/v1/user/{username}/api_token`: a token without end, for an administrator.
pub(crate) async fn add_api_token(
    _: Licensed,
    Admin(caller): Admin,
    _: UserAgent,
    State(world): State<Arc<World>>,
    Path(username): Path<String>,
    Json(data): Json<AddApiToken>,
) -> Answer {
    let now = world.clock.now_unix_s();
    let mut state = world.state();
    let owner = admin_or_self(&state, &caller, &username)?.id;
    if !state.directory.is_admin(owner) {
        return Err(Refusal::forbidden("Cannot create API token for non-admin user"));
    }
    let token = format!("dg-{}", world.random.token());
    state.credentials.add_api_token(owner, &data.name, &token, now);
    state.secrets.insert(token.clone());
    Ok(reply(StatusCode::CREATED, json!({ "token": token })))
}

/// `GET /api/v1/user/{username}/api_token`: what they are called, never what they are.
pub(crate) async fn api_tokens(
    _: Licensed,
    Admin(caller): Admin,
    State(world): State<Arc<World>>,
    Path(username): Path<String>,
) -> Answer {
    let state = world.state();
    let owner = admin_or_self(&state, &caller, &username)?.id;
    let tokens: Vec<_> = state
        .credentials
        .api_tokens
        .iter()
        .filter(|token| token.owner == owner)
        .map(|token| json!({"id": token.id, "name": token.name, "created_at": timestamp(token.created_at_unix_s)}))
        .collect();
    Ok(ok(tokens))
}

/// RFC 3339 without a zone, as Core writes a naive time.
fn timestamp(unix_s: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc3339).unwrap_or_default().trim_end_matches('Z').to_owned()
}
