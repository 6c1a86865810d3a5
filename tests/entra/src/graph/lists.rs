//! `/users`, `/groups` and the members of a group (`api/user-list`, `api/group-list`, `api/group-list-members`,
//! `api/group-list-transitivemembers`): pages of objects. What is on a page alone is written.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value};

use super::bearer::{self, Permission};
use super::errors::GraphError;
use super::filter::Filter;
use super::objects::{Kind, Object, check_select};
use super::paging::{DEFAULT_PAGE_SIZE, List, Page};
use super::query::Options;
use super::{Answer, context, groups, reply};
use crate::directory::{Directory, Place};
use crate::seed::{Guid, Member};
use crate::world::World;

/// `GET /v1.0/users`.
pub(super) async fn users(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    let answer = read(&state, &headers, &query.0.unwrap_or_default(), Kind::User);
    reply(&state, &headers, answer)
}

/// `GET /v1.0/groups`.
pub(super) async fn groups(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    let answer = read(&state, &headers, &query.0.unwrap_or_default(), Kind::Group);
    reply(&state, &headers, answer)
}

/// What needs to be granted to list objects of a type.
pub(super) fn permission(kind: Kind) -> Permission {
    match kind {
        Kind::User => Permission::Users,
        Kind::Group => Permission::Groups,
    }
}

fn read(world: &World, headers: &HeaderMap, query: &str, kind: Kind) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&[permission(kind)])?;
    let options = Options::parse(query, headers, &["$select", "$top", "$filter", "$count", "$skiptoken"])?;
    check_select(kind, options.select.as_deref())?;
    let state = world.state();
    let items = filtered(&state.directory, principal.tenant(), kind, options.filter.as_deref())?;
    let path = format!("/v1.0/{}", kind.collection());
    let identity = format!("{path}|{}|{:?}", principal.tenant(), options.filter);
    let total = items.len();
    let size = Some(options.top.unwrap_or(DEFAULT_PAGE_SIZE));
    let page = List { items, identity: &identity, size }.page(&state.graph, options.skip_token.as_deref())?;
    let shown = page
        .map(|place| object_at(&state.directory, kind, place).map(|object| object.selected(options.select.as_deref())));
    Ok(Answer::new(body(world, &options, &path, kind.collection(), total, shown)))
}

/// The places of a tenant's objects of a type that pass a filter.
pub(super) fn filtered(
    directory: &Directory,
    tenant: &Guid,
    kind: Kind,
    filter: Option<&str>,
) -> Result<Vec<Place>, GraphError> {
    let all = match kind {
        Kind::User => directory.people_of(tenant),
        Kind::Group => directory.groups_of_tenant(tenant),
    };
    let Some(filter) = filter.map(Filter::parse).transpose()? else { return Ok(all.to_vec()) };
    let mut passing = Vec::new();
    for place in all {
        if let Some(object) = object_at(directory, kind, *place)
            && filter.passes(|name| object.field(name))?
        {
            passing.push(*place);
        }
    }
    Ok(passing)
}

fn object_at(directory: &Directory, kind: Kind, place: Place) -> Option<Object<'_>> {
    match kind {
        Kind::User => directory.person_at(place).map(|person| Object::User(person)),
        Kind::Group => directory.group_at(place).map(|group| Object::Group(&group.about)),
    }
}

/// Whose members are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Those that the group holds itself.
    Direct,
    /// Those of the groups within it too.
    Transitive,
}

/// `GET /v1.0/groups/{id}/members`: direct ones.
pub(super) async fn members(
    state: State<Arc<World>>,
    Path(id): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
) -> Response {
    let wanted = Wanted { id: &id, reach: Reach::Direct, users_only: false };
    let answer = members_of(&state, &headers, &wanted, &query.0.unwrap_or_default());
    reply(&state, &headers, answer)
}

/// `GET /v1.0/groups/{id}/members/microsoft.graph.user`: an advanced query, so it needs `ConsistencyLevel` and `$count=true`.
pub(super) async fn members_that_are_users(
    state: State<Arc<World>>,
    Path(id): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
) -> Response {
    let wanted = Wanted { id: &id, reach: Reach::Direct, users_only: true };
    let answer = members_of(&state, &headers, &wanted, &query.0.unwrap_or_default());
    reply(&state, &headers, answer)
}

/// `GET /v1.0/groups/{id}/transitiveMembers`: nested ones too, flat.
pub(super) async fn transitive_members(
    state: State<Arc<World>>,
    Path(id): Path<String>,
    query: RawQuery,
    headers: HeaderMap,
) -> Response {
    let wanted = Wanted { id: &id, reach: Reach::Transitive, users_only: false };
    let answer = members_of(&state, &headers, &wanted, &query.0.unwrap_or_default());
    reply(&state, &headers, answer)
}

/// A list of members.
struct Wanted<'a> {
    id: &'a str,
    reach: Reach,
    /// The path ends with a cast.
    users_only: bool,
}

impl Wanted<'_> {
    fn path(&self) -> String {
        let name = if self.reach == Reach::Direct { "members" } else { "transitiveMembers" };
        let cast = if self.users_only { "/microsoft.graph.user" } else { "" };
        format!("/v1.0/groups/{}/{name}{cast}", self.id)
    }
}

fn members_of(world: &World, headers: &HeaderMap, wanted: &Wanted<'_>, query: &str) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&[Permission::Groups])?;
    let options = Options::parse(query, headers, &["$select", "$top", "$count", "$skiptoken"])?;
    if wanted.users_only && !options.count {
        return Err(GraphError::UnsupportedQuery { option: "microsoft.graph.user without $count=true".to_owned() });
    }
    let state = world.state();
    let directory = &state.directory;
    let group = groups::find(directory, &principal, wanted.id)?;
    // K: the documentation says that the permission is needed, not what comes without it; a refusal can't be taken for "nobody".
    if directory.hides_members_of(&group.about.id) {
        principal.needs(&[Permission::HiddenMembers])?;
    }
    let mut items: Vec<&Member> = match wanted.reach {
        Reach::Direct => group.members.iter().collect(),
        Reach::Transitive => directory.transitive_members(group),
    };
    if wanted.users_only {
        items.retain(|member| matches!(member, Member::User(_)));
    }
    let (path, total) = (wanted.path(), items.len());
    let size = Some(options.top.unwrap_or(DEFAULT_PAGE_SIZE));
    let page = List { items, identity: &path, size }.page(&state.graph, options.skip_token.as_deref())?;
    let shown = page.map(|member| {
        let mut shown = Object::of(directory, member)?.member(options.select.as_deref(), &principal);
        if wanted.users_only {
            // The path says the type.
            shown.remove("@odata.type");
        }
        Some(shown)
    });
    let what = if wanted.users_only { "users" } else { "directoryObjects" };
    Ok(Answer::new(body(world, &options, &path, what, total, shown)))
}

/// The body of a page, with the link to the next one and, on the first, the count that was asked for.
pub(super) fn body(
    world: &World,
    options: &Options,
    path: &str,
    what: &str,
    total: usize,
    page: Page<Option<Map<String, Value>>>,
) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context(world, what, options.select.as_deref(), ""));
    if options.count && page.first {
        body.insert("@odata.count".to_owned(), total.into());
    }
    if let Some(token) = &page.next {
        let link = format!("{}{path}?{}", world.graph_url, options.next_query(token));
        body.insert("@odata.nextLink".to_owned(), link.into());
    }
    body.insert("value".to_owned(), page.items.into_iter().flatten().map(Value::Object).collect());
    body
}
