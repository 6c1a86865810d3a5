//! `/users/$count` and `/groups/$count`: how many there are, as plain text. An advanced query: it needs `ConsistencyLevel: eventual`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};

use super::bearer;
use super::errors::{GraphError, refuse, set_service_headers};
use super::lists::{filtered, permission};
use super::objects::Kind;
use super::query::Options;
use crate::control::requests::text;
use crate::world::World;

/// `GET /v1.0/users/$count`.
pub(super) async fn users(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    answer(&state, &headers, &query.0.unwrap_or_default(), Kind::User)
}

/// `GET /v1.0/groups/$count`.
pub(super) async fn groups(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    answer(&state, &headers, &query.0.unwrap_or_default(), Kind::Group)
}

fn answer(world: &World, headers: &HeaderMap, query: &str, kind: Kind) -> Response {
    match count(world, headers, query, kind) {
        Err(error) => refuse(world, headers, &error),
        Ok(count) => {
            let mut response = count.to_string().into_response();
            set_service_headers(world, headers, &mut response);
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        }
    }
}

fn count(world: &World, headers: &HeaderMap, query: &str, kind: Kind) -> Result<usize, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&[permission(kind)])?;
    let options = Options::parse(query, headers, &["$filter"])?;
    if text(headers, "consistencylevel") != Some("eventual") {
        return Err(GraphError::UnsupportedQuery { option: "$count".to_owned() });
    }
    Ok(filtered(&world.state().directory, principal.tenant(), kind, options.filter.as_deref())?.len())
}
