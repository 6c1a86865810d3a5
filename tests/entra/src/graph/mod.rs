//! The Graph side: the part of Microsoft Graph v1.0 that reads users and groups, and OpenID Connect's userinfo, which Entra serves from Graph's host.
//! One file per resource; a request is checked in `bearer`, refused through `errors`. Unknown paths and query options fail loudly.

pub(crate) mod access_token;
pub(crate) mod batch;
pub(crate) mod bearer;
mod count;
mod deleted_items;
pub(crate) mod delta;
mod directory_objects;
pub(crate) mod errors;
mod filter;
mod groups;
mod lists;
mod membership;
mod objects;
mod paging;
mod query;
mod seal;
pub(crate) mod settings;
pub(crate) mod throttle;
mod userinfo;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use serde::de::DeserializeOwned;
use serde_json::Value;

use self::errors::{GraphError, refuse};
use crate::control::requests::text;
use crate::world::World;

/// All Graph endpoints.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/v1.0/users", get(lists::users))
        .route("/v1.0/users/$count", get(count::users))
        .route("/v1.0/users/delta", get(delta::users))
        .route("/v1.0/users/microsoft.graph.delta", get(delta::users))
        .route("/v1.0/groups", get(lists::groups))
        .route("/v1.0/groups/$count", get(count::groups))
        .route("/v1.0/groups/delta", get(delta::groups))
        .route("/v1.0/groups/microsoft.graph.delta", get(delta::groups))
        .route("/v1.0/groups/{id}/members", get(lists::members))
        .route("/v1.0/groups/{id}/members/microsoft.graph.user", get(lists::members_that_are_users))
        .route("/v1.0/groups/{id}/transitiveMembers", get(lists::transitive_members))
        .route("/v1.0/users/{id}", get(users::user))
        .route("/v1.0/users/{id}/getMemberGroups", post(membership::get_member_groups))
        .route("/v1.0/users/{id}/getMemberObjects", post(membership::get_member_objects))
        .route("/v1.0/users/{id}/checkMemberGroups", post(membership::check_member_groups))
        .route("/v1.0/users/{id}/memberOf", get(membership::member_of))
        .route("/v1.0/users/{id}/memberOf/microsoft.graph.group", get(membership::member_of_groups))
        .route("/v1.0/users/{id}/transitiveMemberOf", get(membership::transitive_member_of))
        .route(
            "/v1.0/users/{id}/transitiveMemberOf/microsoft.graph.group",
            get(membership::transitive_member_of_groups),
        )
        .route("/v1.0/groups/{id}", get(groups::group))
        .route("/v1.0/directoryObjects/getByIds", post(directory_objects::get_by_ids))
        .route("/v1.0/directory/deletedItems/microsoft.graph.user", get(deleted_items::users))
        .route("/v1.0/directory/deletedItems/microsoft.graph.group", get(deleted_items::groups))
        .route("/oidc/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .fallback(unknown_resource)
        .method_not_allowed_fallback(wrong_method)
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

/// A known resource, and a method that it does not have.
async fn wrong_method(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let error = bearer::principal(&world, &headers).err().unwrap_or(GraphError::MethodNotAllowed);
    refuse(&world, &headers, &error)
}

/// A successful answer.
struct Answer(Value);

impl Answer {
    fn new(body: impl Into<Value>) -> Self {
        Self(body.into())
    }
}

/// The answer or the refusal, with Graph's headers.
fn reply(world: &World, headers: &HeaderMap, answer: Result<Answer, GraphError>) -> Response {
    match answer {
        Err(error) => refuse(world, headers, &error),
        Ok(Answer(body)) => {
            let mut response = axum::Json(body).into_response();
            errors::set_service_headers(world, headers, &mut response);
            response
        }
    }
}

/// The `@odata.context` of an answer: what it holds, the selected properties, and whether it is one entity.
fn context(world: &World, what: &str, select: Option<&[String]>, suffix: &str) -> Value {
    let properties = select.map(|names| format!("({})", names.join(","))).unwrap_or_default();
    format!("{}/v1.0/$metadata#{what}{properties}{suffix}", world.graph_url).into()
}

/// The JSON body of a request. Unknown members are refused: a client must not believe that they had an effect.
fn json_body<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, GraphError> {
    let content_type = text(headers, "content-type").unwrap_or_default().to_ascii_lowercase();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(GraphError::BodyInvalid { reason: "the content type is not application/json".to_owned() });
    }
    serde_json::from_slice(body).map_err(|error| GraphError::BodyInvalid { reason: error.to_string() })
}
