//! `/directoryObjects/getByIds`: objects of any type by their ids (`api/directoryobject-getbyids`). Ids that mean nothing are left out.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::bearer::{self, Permission};
use super::errors::GraphError;
use super::objects::Object;
use super::query::Options;
use super::{Answer, context, json_body, reply};
use crate::seed::Guid;
use crate::world::World;

/// How many ids one request may name.
const MOST_IDS: usize = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    ids: Vec<Guid>,
    /// Types such as `group`; without them all.
    #[serde(default)]
    types: Vec<String>,
}

/// `POST /v1.0/directoryObjects/getByIds`.
pub(super) async fn get_by_ids(
    State(world): State<Arc<World>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = read(&world, &headers, &query.unwrap_or_default(), &body);
    reply(&world, &headers, answer)
}

fn read(world: &World, headers: &HeaderMap, query: &str, body: &[u8]) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    // K: the documentation names a permission for each type; with one of them the other type's objects come without properties.
    principal.needs(&[Permission::Users]).or_else(|_| principal.needs(&[Permission::Groups]))?;
    let options = Options::parse(query, headers, &["$select"])?;
    let wanted: Wanted = json_body(headers, body)?;
    if wanted.ids.len() > MOST_IDS {
        let reason = format!("the collection 'ids' has {} items, and {MOST_IDS} are allowed", wanted.ids.len());
        return Err(GraphError::BodyInvalid { reason });
    }
    let is_wanted = |object: &Object<'_>| {
        wanted.types.is_empty()
            || wanted.types.iter().any(|name| name == object.type_name() || name == "directoryObject")
    };
    let select = options.select.as_deref();
    let state = world.state();
    let value: Vec<Value> = wanted
        .ids
        .iter()
        .filter_map(|id| state.directory.object(principal.tenant(), id).map(Object::from))
        .filter(is_wanted)
        .map(|object| object.member(select, &principal).into())
        .collect();
    let body = json!({"@odata.context": context(world, "directoryObjects", select, ""), "value": value});
    Ok(Answer::new(body))
}
