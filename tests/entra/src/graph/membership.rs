//! Which groups a user is in: `getMemberGroups`, `getMemberObjects`, `checkMemberGroups`, `memberOf` and `transitiveMemberOf`
//! (`api/directoryobject-getmembergroups`, `…-getmemberobjects`, `…-checkmembergroups`, `api/user-list-memberof`,
//! `api/user-list-transitivememberof`).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::bearer::{self, Permission, Principal};
use super::errors::GraphError;
use super::objects::{Kind, Object, check_select};
use super::paging::{DEFAULT_PAGE_SIZE, List, Page};
use super::query::Options;
use super::{Answer, context, json_body, reply, users};
use crate::seed::{Group, Guid, Person};
use crate::world::{State as Directory, World};

/// How many groups one `checkMemberGroups` may ask about.
const MOST_CHECKED: usize = 20;
/// What both `POST` actions need; either permission alone is not enough.
const FOR_ACTIONS: [Permission; 2] = [Permission::Users, Permission::Groups];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MemberGroupsBody {
    security_enabled_only: bool,
}

/// What an action lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listed {
    Groups,
    /// Directory roles too.
    Objects,
}

/// `POST /v1.0/users/{id}/getMemberObjects`: as `getMemberGroups`, directory roles too.
pub(super) async fn get_member_objects(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = member_ids(&world, &id, &uri, &headers, &body, Listed::Objects);
    reply(&world, &headers, answer)
}

/// `POST /v1.0/users/{id}/getMemberGroups`; a next link is followed with the same method and body.
pub(super) async fn get_member_groups(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = member_ids(&world, &id, &uri, &headers, &body, Listed::Groups);
    reply(&world, &headers, answer)
}

fn member_ids(
    world: &World,
    id: &str,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    listed: Listed,
) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&FOR_ACTIONS)?;
    let options = Options::parse(uri.query().unwrap_or_default(), headers, &["$skiptoken"])?;
    let MemberGroupsBody { security_enabled_only } = json_body(headers, body)?;
    let state = world.state();
    let person = user(&state, &principal, id)?;
    let groups = groups_of(&state, &principal, person)
        .filter(|group| group.security_enabled || !security_enabled_only)
        .map(|group| group.id.as_str().into());
    let roles = person.directory_roles.iter().filter(|_| listed == Listed::Objects && !security_enabled_only);
    let ids: Vec<Value> = groups.chain(roles.map(|role| role.id.as_str().into())).collect();
    let limit = state.graph.member_groups_limit;
    if ids.len() > limit {
        return Err(GraphError::ResultTooLarge { limit });
    }
    let identity = format!("{listed:?}|{}|{security_enabled_only}", person.oid);
    let list = List { items: ids, identity: &identity, size: None };
    let page = list.page(&state.graph, options.skip_token.as_deref())?;
    let context = context(world, "Collection(Edm.String)", None, "");
    Ok(Answer::new(list_body(world, uri, &options, context, page)))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CheckBody {
    group_ids: Vec<Guid>,
}

/// `POST /v1.0/users/{id}/checkMemberGroups`: those of the groups that the user is in.
pub(super) async fn check_member_groups(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let answer = checked_groups(&world, &id, &query.unwrap_or_default(), &headers, &body);
    reply(&world, &headers, answer)
}

fn checked_groups(
    world: &World,
    id: &str,
    query: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&FOR_ACTIONS)?;
    Options::parse(query, headers, &[])?;
    let CheckBody { group_ids } = json_body(headers, body)?;
    if group_ids.len() > MOST_CHECKED {
        let reason = format!("the collection 'groupIds' has {} items, and {MOST_CHECKED} are allowed", group_ids.len());
        return Err(GraphError::BodyInvalid { reason });
    }
    let state = world.state();
    let person = user(&state, &principal, id)?;
    let of: Vec<&Guid> =
        groups_of(&state, &principal, person).map(|group| &group.id).filter(|id| group_ids.contains(id)).collect();
    let body = json!({"@odata.context": context(world, "Collection(Edm.String)", None, ""), "value": of});
    Ok(Answer::new(body))
}

/// `GET /v1.0/users/{id}/transitiveMemberOf`: groups, and directory roles among them.
pub(super) async fn transitive_member_of(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = memberships(&world, &id, &uri, &headers, Reach::Transitive, Cast::None);
    reply(&world, &headers, answer)
}

/// `GET /v1.0/users/{id}/memberOf`: the groups that hold the user directly, and directory roles.
pub(super) async fn member_of(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = memberships(&world, &id, &uri, &headers, Reach::Direct, Cast::None);
    reply(&world, &headers, answer)
}

/// `GET /v1.0/users/{id}/memberOf/microsoft.graph.group`: groups alone.
pub(super) async fn member_of_groups(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = memberships(&world, &id, &uri, &headers, Reach::Direct, Cast::Group);
    reply(&world, &headers, answer)
}

/// `GET /v1.0/users/{id}/transitiveMemberOf/microsoft.graph.group`: groups alone.
pub(super) async fn transitive_member_of_groups(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let answer = memberships(&world, &id, &uri, &headers, Reach::Transitive, Cast::Group);
    reply(&world, &headers, answer)
}

/// The OData cast at the end of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cast {
    None,
    Group,
}

/// Through how many groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    Direct,
    Transitive,
}

fn memberships(
    world: &World,
    id: &str,
    uri: &Uri,
    headers: &HeaderMap,
    reach: Reach,
    cast: Cast,
) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    // One of the two is enough; what it does not cover comes without properties.
    principal.needs(&[Permission::Users]).or_else(|_| principal.needs(&[Permission::Groups]))?;
    let allowed = ["$select", "$top", "$count", "$skiptoken"];
    let options = Options::parse(uri.query().unwrap_or_default(), headers, &allowed)?;
    let select = options.select.as_deref();
    let state = world.state();
    let person = user(&state, &principal, id)?;
    let roles = person.directory_roles.iter().filter(|_| cast == Cast::None).map(Object::DirectoryRole);
    let objects: Vec<Object<'_>> = roles.chain(held_by(&state, &principal, person, reach).map(Object::Group)).collect();
    check_select(Kind::Group, select)?;
    let items = objects.iter().map(|object| {
        let mut shown = object.member(select, &principal);
        if cast == Cast::Group {
            // The path says the type.
            shown.remove("@odata.type");
        }
        Value::from(shown)
    });
    let total = objects.len();
    let identity = format!("{reach:?} memberOf|{}|{cast:?}|{select:?}|{:?}", person.oid, options.top);
    let list =
        List { items: items.collect(), identity: &identity, size: Some(options.top.unwrap_or(DEFAULT_PAGE_SIZE)) };
    let page = list.page(&state.graph, options.skip_token.as_deref())?;
    let count = (options.count && page.first).then_some(total);
    let kind = if cast == Cast::Group { "groups" } else { "directoryObjects" };
    let mut body = list_body(world, uri, &options, context(world, kind, select, ""), page);
    if let Some(count) = count {
        body.insert("@odata.count".to_owned(), count.into());
    }
    Ok(Answer::new(body))
}

/// The user of the token's tenant.
fn user<'a>(state: &'a Directory, principal: &Principal, id: &str) -> Result<&'a Person, GraphError> {
    let found = users::find(&state.directory, principal.tenant(), id);
    found.ok_or_else(|| GraphError::NotFound { id: id.to_owned() })
}

/// The groups that hold a person at any depth.
fn groups_of<'a>(
    state: &'a Directory,
    principal: &Principal,
    person: &Person,
) -> impl Iterator<Item = &'a Group> + use<'a> {
    held_by(state, principal, person, Reach::Transitive)
}

/// The groups that hold a person; those that hide their members only for who may see that (K: the documentation is silent).
fn held_by<'a>(
    state: &'a Directory,
    principal: &Principal,
    person: &Person,
    reach: Reach,
) -> impl Iterator<Item = &'a Group> + use<'a> {
    let groups: Vec<&Group> = match reach {
        Reach::Direct => state.directory.direct_groups_of(&person.oid).map(|group| &*group.about).collect(),
        Reach::Transitive => state.directory.groups_of(&person.oid),
    };
    let sees_hidden = principal.may_use(Permission::HiddenMembers);
    groups.into_iter().filter(move |group| sees_hidden || !state.directory.hides_members_of(&group.id))
}

/// The body of a page of a list.
fn list_body(world: &World, uri: &Uri, options: &Options, context: Value, page: Page<Value>) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context);
    if let Some(token) = &page.next {
        let link = format!("{}{}?{}", world.graph_url, uri.path(), options.next_query(token));
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    body.insert("value".to_owned(), page.items.into());
    body
}
