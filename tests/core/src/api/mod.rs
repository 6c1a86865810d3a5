//! Core's REST under `/api/v1`, as far as it is emulated, and the one route of the proxy's that follows a hand-over.

pub(crate) mod enrollment_start;
pub(crate) mod group_changes;
pub(crate) mod groups;
pub(crate) mod info;
pub(crate) mod login;
pub(crate) mod proxy;
pub(crate) mod reply;
pub(crate) mod session;
pub(crate) mod user_changes;
pub(crate) mod user_info;
pub(crate) mod users;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{delete, get, post};

use crate::world::World;

/// All routes.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/api/v1/health", get(info::health))
        .route("/api/v1/info", get(info::info))
        .route("/api/v1/enterprise_info", get(info::enterprise_info))
        .route("/api/v1/auth", post(login::log_in))
        .route("/api/v1/auth/logout", post(login::log_out))
        .route("/api/v1/me", get(users::me))
        .route("/api/v1/user", get(users::list).post(user_changes::create))
        .route("/api/v1/user/available", post(users::available))
        .route("/api/v1/user/{username}", get(users::one).put(user_changes::modify).delete(user_changes::delete))
        .route("/api/v1/user/{username}/api_token", get(login::api_tokens).post(login::add_api_token))
        .route("/api/v1/user/{username}/start_enrollment", post(enrollment_start::start_enrollment))
        .route("/api/v1/user/{username}/start_desktop", post(enrollment_start::start_desktop))
        .route("/api/v1/group", get(groups::names).post(group_changes::create))
        .route("/api/v1/group-info", get(groups::all))
        .route(
            "/api/v1/group/{group}",
            get(groups::one).put(group_changes::modify).post(group_changes::add_member).delete(group_changes::delete),
        )
        .route("/api/v1/group/{group}/user/{username}", delete(group_changes::remove_member))
        .route("/api/v1/groups-assign", post(group_changes::assign))
        .route("/api/v1/enrollment/start", post(proxy::start))
        .fallback(async || (StatusCode::NOT_FOUND, "Not found"))
}
