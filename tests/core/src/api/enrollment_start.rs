//! `start_enrollment` and `start_desktop`: an enrollment token for a user. Both delete all of the user's unused tokens, of
//! whatever type (facts C2).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::reply::{Answer, Refusal, reply};
use super::session::{Admin, Caller, UserAgent, admin_or_self};
use crate::credentials::{EnrollmentToken, TokenKind};
use crate::directory::User;
use crate::world::World;

#[derive(Deserialize)]
pub(crate) struct Start {
    #[serde(default)]
    send_enrollment_notification: bool,
    email: Option<String>,
    token_expiration_time: Option<String>,
}

/// `POST /api/v1/user/{username}/start_enrollment`: for whoever isn't enrolled. The client then asks for a password.
pub(crate) async fn start_enrollment(
    Admin(caller): Admin,
    _: UserAgent,
    State(world): State<Arc<World>>,
    Path(username): Path<String>,
    Json(data): Json<Start>,
) -> Answer {
    if data.send_enrollment_notification && data.email.is_none() {
        return Err(Refusal::bad_request("Email notification is enabled, but email was not provided"));
    }
    let user = {
        let state = world.state();
        let unknown = || Refusal::not_found(format!("user {username} not found"));
        state.directory.user(&username).cloned().ok_or_else(unknown)?
    };
    let life_s = data.token_expiration_time.as_deref().map(lifetime_s).transpose()?;
    if user.is_enrolled() {
        return Err(Refusal::bad_request("User account is already activated"));
    }
    issue(&world, &caller, &user, data.email, TokenKind::Enrollment, life_s)
}

/// `POST /api/v1/user/{username}/start_desktop`: for any active user; the life that was asked for is ignored.
pub(crate) async fn start_desktop(
    caller: Caller,
    _: UserAgent,
    State(world): State<Arc<World>>,
    Path(username): Path<String>,
    Json(data): Json<Start>,
) -> Answer {
    let user = admin_or_self(&world.state(), &caller, &username)?.clone();
    let email = data.email.or_else(|| Some(user.email.clone()));
    issue(&world, &caller, &user, email, TokenKind::Desktop, None)
}

/// `1h`, `30m`, `1day 2hours`: parsed by the crate that Core uses.
fn lifetime_s(text: &str) -> Result<u64, Refusal> {
    let unusable = |_| Refusal::bad_request("Failed to parse token expiration time");
    humantime::parse_duration(text).map(|life| life.as_secs()).map_err(unusable)
}

fn issue(
    world: &World,
    caller: &Caller,
    user: &User,
    email: Option<String>,
    kind: TokenKind,
    life_s: Option<u64>,
) -> Answer {
    if !user.is_active {
        return Err(Refusal::unauthorized("Enrollment user is disabled"));
    }
    let now = world.clock.now_unix_s();
    let token = world.random.token();
    let mut state = world.state();
    let life_s = i64::try_from(life_s.unwrap_or(state.token_life_s)).unwrap_or(i64::MAX);
    state.credentials.replace_enrollment_token(EnrollmentToken {
        token: token.clone(),
        user: user.id,
        admin: Some(caller.user.id),
        email,
        kind,
        created_at_unix_s: now,
        expires_at_unix_s: now.saturating_add(life_s),
        used_at_unix_s: None,
    });
    state.secrets.insert(token.clone());
    if kind == TokenKind::Enrollment
        && let Some(user) = state.directory.user_mut(&user.username)
    {
        user.enrollment_pending = true;
    }
    let body = json!({"enrollment_token": token, "enrollment_url": state.enrollment_url});
    Ok(reply(StatusCode::CREATED, body))
}
