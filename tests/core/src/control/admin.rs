//! The control interface over HTTP, under `/__admin`: for the binary, and for tests in other languages. Requests to it are not
//! logged and meet no faults. It is reachable from this machine only, as the listener is.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, Fault, FaultId};
use crate::directory::DirectoryError;
use crate::seed::{NewGroup, NewUser};
use crate::settings::Licence;
use crate::world::World;

/// The control interface.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/__admin/users", get(users).post(add_user))
        .route("/__admin/users/{username}", get(user).patch(edit_user).delete(delete_user))
        .route("/__admin/groups", get(groups).post(add_group))
        .route("/__admin/licence", post(set_licence))
        .route("/__admin/clock", post(advance_clock))
        .route("/__admin/delay", post(set_delay))
        .route("/__admin/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/__admin/faults/{id}", delete(remove_fault))
        .route("/__admin/requests", get(requests).delete(clear_requests))
        .route("/__admin/sessions", delete(end_sessions))
        .route("/__admin/reset", post(reset))
}

type Handle = State<Arc<World>>;

/// A change that the database would refuse.
struct Refused(DirectoryError);

impl From<DirectoryError> for Refused {
    fn from(error: DirectoryError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = match self.0 {
            DirectoryError::UnknownUser(_) | DirectoryError::UnknownGroup(_) => StatusCode::NOT_FOUND,
            DirectoryError::UsernameTaken(_) | DirectoryError::EmailTaken(_) | DirectoryError::GroupTaken(_) => {
                StatusCode::CONFLICT
            }
        };
        (status, Json(json!({"error": self.0.to_string()}))).into_response()
    }
}

async fn users(State(world): Handle) -> Response {
    Json(Control::new(world).users()).into_response()
}

async fn user(State(world): Handle, Path(username): Path<String>) -> Result<Response, Refused> {
    let user = Control::new(world).user(&username).ok_or(DirectoryError::UnknownUser(username))?;
    Ok(Json(user).into_response())
}

async fn add_user(State(world): Handle, Json(user): Json<NewUser>) -> Result<Response, Refused> {
    let id = Control::new(world).add_user(&user)?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditUser {
    is_active: Option<bool>,
    groups: Option<Vec<String>>,
}

async fn edit_user(
    State(world): Handle,
    Path(username): Path<String>,
    Json(change): Json<EditUser>,
) -> Result<StatusCode, Refused> {
    let control = Control::new(world);
    if let Some(groups) = change.groups {
        control.set_groups(&username, &groups.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    if let Some(is_active) = change.is_active {
        control.set_active(&username, is_active)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_user(State(world): Handle, Path(username): Path<String>) -> StatusCode {
    if Control::new(world).delete_user(&username) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn groups(State(world): Handle) -> Response {
    Json(Control::new(world).groups()).into_response()
}

async fn add_group(State(world): Handle, Json(group): Json<NewGroup>) -> Result<Response, Refused> {
    let id = Control::new(world).add_group(&group.name, group.is_admin)?;
    Ok((StatusCode::CREATED, Json(json!({ "id": id }))).into_response())
}

async fn set_licence(State(world): Handle, Json(licence): Json<Licence>) -> StatusCode {
    Control::new(world).set_licence(licence);
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_s: i64,
}

async fn advance_clock(State(world): Handle, Json(change): Json<Advance>) -> Json<Value> {
    let control = Control::new(world);
    control.advance_clock(change.advance_s);
    Json(json!({"now_unix_s": control.now_unix_s()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delay {
    delay_ms: u64,
}

async fn set_delay(State(world): Handle, Json(delay): Json<Delay>) -> StatusCode {
    Control::new(world).delay_all(Duration::from_millis(delay.delay_ms));
    StatusCode::NO_CONTENT
}

async fn faults(State(world): Handle) -> Json<Value> {
    let state = world.state();
    let list: Vec<Value> =
        state.faults.list().map(|(id, fault, hits)| json!({"id": id, "fault": fault, "hits": hits})).collect();
    Json(list.into())
}

async fn add_fault(State(world): Handle, Json(fault): Json<Fault>) -> Response {
    let id = Control::new(world).add_fault(fault);
    (StatusCode::CREATED, Json(json!({ "id": id }))).into_response()
}

async fn remove_fault(State(world): Handle, Path(id): Path<u64>) -> StatusCode {
    if Control::new(world).remove_fault(FaultId(id)) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn clear_faults(State(world): Handle) -> StatusCode {
    Control::new(world).clear_faults();
    StatusCode::NO_CONTENT
}

async fn requests(State(world): Handle) -> Response {
    Json(Control::new(world).requests()).into_response()
}

async fn clear_requests(State(world): Handle) -> StatusCode {
    Control::new(world).clear_requests();
    StatusCode::NO_CONTENT
}

async fn end_sessions(State(world): Handle) -> StatusCode {
    Control::new(world).end_sessions();
    StatusCode::NO_CONTENT
}

async fn reset(State(world): Handle) -> StatusCode {
    Control::new(world).reset();
    StatusCode::NO_CONTENT
}
