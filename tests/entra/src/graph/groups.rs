//! `/groups/{id}`: one group object (`api/group-get`).

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::bearer::{self, Permission, Principal};
use super::errors::GraphError;
use super::filter::Field;
use super::objects::{Kind, Object, check_select};
use super::query::Options;
use super::{Answer, context, reply};
use crate::directory::{Directory, HeldGroup};
use crate::seed::Group;
use crate::world::World;

/// What Graph answers without `$select`, as far as the emulator knows it.
pub(super) const DEFAULT_PROPERTIES: [&str; 10] = [
    "id",
    "description",
    "displayName",
    "groupTypes",
    "mail",
    "mailEnabled",
    "mailNickname",
    "onPremisesSyncEnabled",
    "securityEnabled",
    "visibility",
];

/// Every property that the emulator knows of a group.
pub(super) const PROPERTIES: [&str; 10] = DEFAULT_PROPERTIES;

/// `GET /v1.0/groups/{id}`.
pub(super) async fn group(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = read(&world, &headers, &id, &query.unwrap_or_default());
    reply(&world, &headers, answer)
}

fn read(world: &World, headers: &HeaderMap, id: &str, query: &str) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&[Permission::Groups])?;
    let options = Options::parse(query, headers, &["$select"])?;
    let state = world.state();
    let group = find(&state.directory, &principal, id)?;
    check_select(Kind::Group, options.select.as_deref())?;
    let mut body = Object::Group(&group.about).selected(options.select.as_deref());
    body.insert("@odata.context".to_owned(), context(world, "groups", options.select.as_deref(), "/$entity"));
    Ok(Answer::new(body))
}

/// The group of the token's tenant with this id.
pub(super) fn find<'a>(directory: &'a Directory, principal: &Principal, id: &str) -> Result<&'a HeldGroup, GraphError> {
    let found = directory.group(id).filter(|group| group.about.tenant == *principal.tenant());
    found.ok_or_else(|| GraphError::NotFound { id: id.to_owned() })
}

/// A property to filter by (`api/group`: those that support `$filter`).
pub(super) fn field<'a>(group: &'a Group, name: &str) -> Option<Field<'a>> {
    match name {
        "id" => Some(Field::Text(Some(group.id.as_str()))),
        "displayName" | "mailNickname" => Some(Field::Text(Some(&group.display_name))),
        "securityEnabled" => Some(Field::Flag(group.security_enabled)),
        "mailEnabled" => Some(Field::Flag(!group.security_enabled)),
        _ => None,
    }
}

/// Every property that the emulator knows. A group that is no security group is a Microsoft 365 group.
pub(super) fn properties(group: &Group) -> Map<String, Value> {
    let unified = !group.security_enabled;
    let all = json!({
        "id": group.id,
        "description": null,
        "displayName": group.display_name,
        "groupTypes": if unified { json!(["Unified"]) } else { json!([]) },
        "mail": null,
        "mailEnabled": unified,
        "mailNickname": group.display_name,
        "onPremisesSyncEnabled": null,
        "securityEnabled": group.security_enabled,
        "visibility": null,
    });
    match all {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}
