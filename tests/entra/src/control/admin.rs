//! The control interface over HTTP, under `/__admin` on both listeners: for the binary, and for tests in other languages.
//! Requests to it are not logged and meet no faults. It is reachable from this machine only, as both listeners are.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::orders::{self, Orders};
use super::{ClaimMischief, Control, ControlError, DocumentMischief, Fault, FaultId, TokenMischief};
use crate::directory::Churned;
use crate::graph::settings::GraphSettings;
use crate::keys::Rotation;
use crate::seed::{Group, Person};
use crate::world::World;

/// The control interface.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/__admin/clock", get(clock).post(set_clock))
        .route("/__admin/keys", get(keys))
        .route("/__admin/keys/rotate", post(rotate))
        .route("/__admin/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/__admin/faults/{id}", delete(remove_fault))
        .route("/__admin/mischief", post(add_mischief).delete(clear_mischief))
        .route("/__admin/documents", post(set_document))
        .route("/__admin/requests", get(requests).delete(clear_requests))
        .route("/__admin/requests/counts", get(counts))
        .route("/__admin/directory", get(directory).post(change_directory))
        .route("/__admin/directory/churn", post(churn))
        .route("/__admin/persons", post(add_person))
        .route("/__admin/persons/{key}", patch(edit_person).delete(remove_person))
        .route("/__admin/groups", post(add_group))
        .route("/__admin/groups/{id}", patch(edit_group).delete(remove_group))
        .route("/__admin/graph", get(graph).patch(edit_graph))
        .route("/__admin/apps/{client_id}", patch(edit_app))
        .route("/__admin/assertions", post(set_assertions))
        .route("/__admin/tokens/revoke", post(revoke))
        .route("/__admin/reset", post(reset))
}

/// A change that was refused.
struct AdminError(StatusCode, String);

impl IntoResponse for AdminError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl From<ControlError> for AdminError {
    fn from(error: ControlError) -> Self {
        let status = match error {
            ControlError::UnknownApp(_) | ControlError::UnknownGroup(_) | ControlError::UnknownPerson(_) => {
                StatusCode::NOT_FOUND
            }
            ControlError::Inconsistent(_) => StatusCode::CONFLICT,
        };
        Self(status, error.to_string())
    }
}

type Handle = State<Arc<World>>;

async fn clock(State(world): Handle) -> Json<Value> {
    Json(json!({"now_unix_s": world.clock.now_unix_s(), "offset_s": world.clock.offset_s()}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetClock {
    #[serde(default)]
    advance_s: i64,
    offset_s: Option<i64>,
}

async fn set_clock(State(world): Handle, Json(change): Json<SetClock>) -> Json<Value> {
    if let Some(offset_s) = change.offset_s {
        world.clock.set_offset(offset_s);
    }
    world.clock.advance(change.advance_s);
    clock(State(world)).await
}

async fn keys(State(world): Handle) -> Json<Value> {
    let control = Control::new(world);
    Json(json!({"signing": control.signing_kid(), "published": control.published_kids()}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotate {
    mode: Rotation,
}

async fn rotate(State(world): Handle, Json(order): Json<Rotate>) -> Json<Value> {
    Control::new(Arc::clone(&world)).rotate_keys(order.mode);
    keys(State(world)).await
}

async fn faults(State(world): Handle) -> Json<Value> {
    let state = world.state();
    let list: Vec<Value> =
        state.faults.list().map(|(id, fault, hits)| json!({"id": id, "fault": fault, "hits": hits})).collect();
    Json(list.into())
}

async fn add_fault(State(world): Handle, Json(fault): Json<Fault>) -> (StatusCode, Json<Value>) {
    let id = Control::new(world).add_fault(fault);
    (StatusCode::CREATED, Json(json!({ "id": id })))
}

async fn remove_fault(State(world): Handle, Path(id): Path<u64>) -> StatusCode {
    if Control::new(world).remove_fault(FaultId(id)) { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn clear_faults(State(world): Handle) -> StatusCode {
    Control::new(world).clear_faults();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddMischief {
    token: Option<TokenMischief>,
    claim: Option<ClaimMischief>,
    /// For every token response instead of the next one.
    #[serde(default)]
    always: bool,
}

async fn add_mischief(State(world): Handle, Json(order): Json<AddMischief>) -> StatusCode {
    let control = Control::new(world);
    if order.token.is_none() && order.claim.is_none() {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    if let Some(mischief) = order.token {
        let spoil = if order.always { Control::mischief_always } else { Control::mischief_once };
        spoil(&control, mischief);
    }
    if let Some(mischief) = order.claim {
        let spoil = if order.always { Control::claim_mischief_always } else { Control::claim_mischief_once };
        spoil(&control, mischief);
    }
    StatusCode::NO_CONTENT
}

async fn clear_mischief(State(world): Handle) -> StatusCode {
    Control::new(world).clear_mischief();
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetDocument {
    document: DocumentMischief,
    on: bool,
}

async fn set_document(State(world): Handle, Json(order): Json<SetDocument>) -> StatusCode {
    Control::new(world).set_document_mischief(order.document, order.on);
    StatusCode::NO_CONTENT
}

async fn requests(State(world): Handle) -> Response {
    Json(Control::new(world).requests()).into_response()
}

async fn clear_requests(State(world): Handle) -> StatusCode {
    Control::new(world).clear_requests();
    StatusCode::NO_CONTENT
}

async fn counts(State(world): Handle) -> Response {
    Json(Control::new(world).counts()).into_response()
}

async fn directory(State(world): Handle) -> Response {
    Json(Control::new(world).directory()).into_response()
}

async fn change_directory(State(world): Handle, Json(orders): Json<Orders>) -> Result<StatusCode, AdminError> {
    orders::carry_out(&Control::new(world), orders)?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Churn {
    percent: Option<u32>,
    changes: Option<usize>,
    seed: u64,
}

async fn churn(State(world): Handle, Json(order): Json<Churn>) -> Result<Json<Churned>, AdminError> {
    let control = Control::new(world);
    Ok(Json(match (order.percent, order.changes) {
        (Some(percent), None) => control.churn(percent, order.seed)?,
        (None, Some(changes)) => control.churn_exactly(changes, order.seed)?,
        _ => {
            let problem = "either 'percent' or 'changes' must be given".to_owned();
            return Err(AdminError(StatusCode::UNPROCESSABLE_ENTITY, problem));
        }
    }))
}

async fn add_person(State(world): Handle, Json(person): Json<Person>) -> Result<StatusCode, AdminError> {
    Control::new(world).add_person(person)?;
    Ok(StatusCode::CREATED)
}

async fn edit_person(
    State(world): Handle,
    Path(key): Path<String>,
    Json(patch): Json<Value>,
) -> Result<StatusCode, AdminError> {
    let control = Control::new(world);
    let changed = merged(&control.person(&key)?, &patch)?;
    control.edit_person(&key, |person| *person = changed)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_person(State(world): Handle, Path(key): Path<String>) -> Result<StatusCode, AdminError> {
    Control::new(world).remove_person(&key)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn add_group(State(world): Handle, Json(group): Json<Group>) -> Result<StatusCode, AdminError> {
    Control::new(world).add_group(group)?;
    Ok(StatusCode::CREATED)
}

async fn edit_group(
    State(world): Handle,
    Path(id): Path<String>,
    Json(patch): Json<Value>,
) -> Result<StatusCode, AdminError> {
    let control = Control::new(world);
    let changed = merged(&control.group(&id)?, &patch)?;
    control.edit_group(&id, |group| *group = changed)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove_group(State(world): Handle, Path(id): Path<String>) -> Result<StatusCode, AdminError> {
    Control::new(world).remove_group(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn graph(State(world): Handle) -> Json<GraphSettings> {
    Json(Control::new(world).graph_settings())
}

async fn edit_graph(State(world): Handle, Json(patch): Json<Value>) -> Result<StatusCode, AdminError> {
    let control = Control::new(world);
    let changed = merged(&control.graph_settings(), &patch)?;
    control.edit_graph(|settings| *settings = changed);
    Ok(StatusCode::NO_CONTENT)
}

async fn edit_app(
    State(world): Handle,
    Path(client_id): Path<String>,
    Json(patch): Json<Value>,
) -> Result<StatusCode, AdminError> {
    let control = Control::new(Arc::clone(&world));
    let unknown = || ControlError::UnknownApp(client_id.clone());
    let app = world.state().directory.app(&client_id).cloned().ok_or_else(unknown)?;
    let changed = merged(&app, &patch)?;
    control.edit_app(&client_id, |app| *app = changed)?;
    Ok(StatusCode::NO_CONTENT)
}

/// A JSON merge patch (RFC 7396) of one level: named members replace, `null` takes away.
fn merged<T: serde::Serialize + DeserializeOwned>(current: &T, patch: &Value) -> Result<T, AdminError> {
    let unusable = |error: serde_json::Error| AdminError(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
    let mut value = serde_json::to_value(current).map_err(unusable)?;
    let (Some(members), Some(changes)) = (value.as_object_mut(), patch.as_object()) else {
        return Err(AdminError(StatusCode::UNPROCESSABLE_ENTITY, "the change must be a JSON object".to_owned()));
    };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), change.clone());
        }
    }
    serde_json::from_value(value).map_err(unusable)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SetAssertions {
    refuse_replays: bool,
}

async fn set_assertions(State(world): Handle, Json(order): Json<SetAssertions>) -> StatusCode {
    Control::new(world).refuse_replayed_assertions(order.refuse_replays);
    StatusCode::NO_CONTENT
}

async fn revoke(State(world): Handle) -> StatusCode {
    Control::new(world).revoke_access_tokens();
    StatusCode::NO_CONTENT
}

async fn reset(State(world): Handle) -> StatusCode {
    Control::new(world).reset();
    StatusCode::NO_CONTENT
}
