//! Reading users: one, all, oneself, and whether a name is free. 1.6 gives all at once, 2.0 page by page.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::reply::{Answer, Refusal, ok, with};
use super::session::{Admin, Caller, admin_or_self};
use super::user_info::UserInfo;
use crate::directory::rules::is_username;
use crate::settings::Version;
use crate::world::World;

const DEFAULT_PER_PAGE: u32 = 50;
const MAX_PER_PAGE: u32 = 100;

/// `page` and `per_page`; what is out of range is moved into it.
#[derive(Debug, Deserialize)]
pub(crate) struct Page {
    page: Option<u32>,
    per_page: Option<u32>,
}

/// `GET /api/v1/user`.
pub(crate) async fn list(
    _: Admin,
    State(world): State<Arc<World>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Response {
    let state = world.state();
    let info = |user| UserInfo::of(&state.directory, user);
    if state.version == Version::V1_6 {
        return ok(state.directory.users.iter().map(info).collect::<Vec<_>>());
    }
    let Query(page) = match page {
        Ok(page) => page,
        Err(rejection) => return rejection.into_response(),
    };
    let (number, size) = (page.page.unwrap_or(1).max(1), page.per_page.unwrap_or(DEFAULT_PER_PAGE));
    let size = size.clamp(1, MAX_PER_PAGE);
    let total = u32::try_from(state.directory.users.len()).unwrap_or(u32::MAX);
    let pages = total.div_ceil(size);
    let skipped = usize::try_from(u64::from(number - 1) * u64::from(size)).unwrap_or(usize::MAX);
    let users = state.directory.users.iter().skip(skipped).take(usize::try_from(size).unwrap_or(usize::MAX));
    let body = json!({
        "data": users.map(info).collect::<Vec<_>>(),
        "pagination": {
            "current_page": number,
            "page_size": size,
            "total_items": total,
            "total_pages": pages,
            "next_page": (number < pages).then(|| number + 1),
        },
    });
    // Core gives a page no `Content-Type`.
    Response::new(Body::from(body.to_string()))
}

/// `GET /api/v1/user/{username}`.
pub(crate) async fn one(caller: Caller, State(world): State<Arc<World>>, Path(username): Path<String>) -> Answer {
    let state = world.state();
    let user = admin_or_self(&state, &caller, &username)?;
    let details = json!({
        "user": UserInfo::of(&state.directory, user),
        "biometric_enabled_devices": [],
        "security_keys": [],
    });
    Ok(match state.version {
        Version::V1_6 => ok(with(details, "devices", json!([]))),
        Version::V2_0 => ok(details),
    })
}

/// `GET /api/v1/me`.
pub(crate) async fn me(caller: Caller, State(world): State<Arc<World>>) -> Response {
    let state = world.state();
    ok(UserInfo::of(&state.directory, &caller.user))
}

#[derive(Deserialize)]
pub(crate) struct Username {
    pub(crate) username: String,
}

/// `POST /api/v1/user/available`: 200 if free, 400 if taken or invalid. No change, so no `User-Agent` is asked for.
pub(crate) async fn available(_: Admin, State(world): State<Arc<World>>, Json(data): Json<Username>) -> Answer {
    let is_free = is_username(&data.username) && world.state().directory.user(&data.username).is_none();
    if is_free { Ok(ok(json!({}))) } else { Err(Refusal::silent(StatusCode::BAD_REQUEST)) }
}
