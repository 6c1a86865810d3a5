//! `/users`, `/groups` and `/groups/{id}/members` (`api/user-list`, `api/group-list`, `api/group-list-members`): pages of objects.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value};

use super::bearer::{self, Permission};
use super::errors::GraphError;
use super::objects::Object;
use super::paging::{DEFAULT_PAGE_SIZE, List};
use super::query::Options;
use super::{Answer, context, reply};
use crate::seed::Member;
use crate::world::World;

const OPTIONS: [&str; 3] = ["$select", "$top", "$skiptoken"];

/// `GET /v1.0/users`.
pub(super) async fn users(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    let answer = read(&state, &headers, &query.0.unwrap_or_default(), "users", 2);
    reply(&state, &headers, answer)
}

/// `GET /v1.0/groups`.
pub(super) async fn groups(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    let answer = read(&state, &headers, &query.0.unwrap_or_default(), "groups", 1);
    reply(&state, &headers, answer)
}

/// `GET /v1.0/groups/{id}/members`: direct ones.
pub(super) async fn members(
    state: State<Arc<World>>,
    Path(id): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = members_of(&state, &headers, &id, &query.0.unwrap_or_default());
    reply(&state, &headers, answer)
}

fn read(world: &World, headers: &HeaderMap, query: &str, what: &str, price: u32) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    let is_users = what == "users";
    principal.needs(&[if is_users { Permission::ReadUsers } else { Permission::ReadGroups }])?;
    let options = Options::parse(query, headers, &OPTIONS)?;
    let state = world.state();
    let tenant = principal.tenant();
    let select = options.select.as_deref();
    let items: Vec<Map<String, Value>> = if is_users {
        let people = state.directory.persons.iter().filter(|person| person.tenant == *tenant);
        people.map(|person| Object::User(person).entity(select)).collect::<Result<_, _>>()?
    } else {
        let groups = state.directory.groups.iter().filter(|group| group.tenant == *tenant);
        groups.map(|group| Object::Group(group).entity(select)).collect::<Result<_, _>>()?
    };
    let body = page(world, &state.graph, &options, &format!("/v1.0/{what}"), what, items)?;
    Ok(Answer::new(price, &options, body))
}

fn members_of(world: &World, headers: &HeaderMap, id: &str, query: &str) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&[Permission::ReadGroups])?;
    let options = Options::parse(query, headers, &OPTIONS)?;
    let state = world.state();
    let found = state.directory.group(id).filter(|group| group.tenant == *principal.tenant());
    let group = found.ok_or_else(|| GraphError::NotFound { id: id.to_owned() })?;
    let objects = group.members.iter().filter_map(|member| match member {
        Member::User(id) => state.directory.persons.iter().find(|person| person.oid == *id).map(Object::User),
        Member::Group(id) => state.directory.group(id.as_str()).map(Object::Group),
    });
    let items = objects.map(|object| object.member(options.select.as_deref(), &principal)).collect();
    let body = page(world, &state.graph, &options, &format!("/v1.0/groups/{id}/members"), "directoryObjects", items)?;
    Ok(Answer::new(3, &options, body))
}

fn page(
    world: &World,
    settings: &super::settings::GraphSettings,
    options: &Options,
    path: &str,
    what: &str,
    items: Vec<Map<String, Value>>,
) -> Result<Map<String, Value>, GraphError> {
    let size = Some(options.top.unwrap_or(DEFAULT_PAGE_SIZE));
    let page = List { items, identity: path, size }.page(settings, options.skip_token.as_deref())?;
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context(world, what, options.select.as_deref(), ""));
    if let Some(token) = &page.next {
        let link = format!("{}{path}?{}", world.graph_url, options.next_query(token));
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    body.insert("value".to_owned(), page.items.into_iter().map(Value::Object).collect());
    Ok(body)
}
