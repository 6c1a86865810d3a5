//! The Graph side: the part of Microsoft Graph v1.0 that exists so far, and OpenID Connect's userinfo, which Entra serves from Graph's host.
//! One file per resource; a request is checked in `bearer`, refused through `errors`. Unknown paths and query options fail loudly.

pub(crate) mod access_token;
mod bearer;
pub(crate) mod errors;
mod query;
mod userinfo;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::errors::{GraphError, refuse};
use crate::world::World;

/// All Graph endpoints.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/v1.0/users/{id}", get(users::user))
        .route("/oidc/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .fallback(unknown_resource)
}

/// Graph asks for a token first and only then says that there is no such resource.
async fn unknown_resource(State(world): State<Arc<World>>, uri: Uri, headers: HeaderMap) -> Response {
    let segment = uri.path().rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default().to_owned();
    let error = match bearer::principal(&world, &headers) {
        Ok(_) => GraphError::UnknownSegment { segment },
        Err(error) => error,
    };
    refuse(&world, &headers, &error)
}

/// A successful answer with Graph's headers. `resource_units` is the request's price in Graph's throttling model.
fn answer(world: &World, headers: &HeaderMap, resource_units: u32, body: &serde_json::Value) -> Response {
    let mut response = axum::Json(body).into_response();
    errors::set_service_headers(world, headers, &mut response);
    response.headers_mut().insert("x-ms-resource-unit", resource_units.into());
    response
}
