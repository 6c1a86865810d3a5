//! `/directory/deletedItems/microsoft.graph.user` and `….group` (`api/directory-deleteditems-list`): what can still be restored. The
//! cast in the path is required.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::bearer::{self, Permission};
use super::errors::GraphError;
use super::lists::body;
use super::objects::{Kind, Object, check_select};
use super::paging::{DEFAULT_PAGE_SIZE, List};
use super::query::Options;
use super::{Answer, reply};
use crate::directory::{Deleted, DeletedObject};
use crate::encoding::graph_timestamp;
use crate::world::World;

/// `GET /v1.0/directory/deletedItems/microsoft.graph.user`.
pub(super) async fn users(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    let answer = read(&state, &headers, &query.0.unwrap_or_default(), Kind::User);
    reply(&state, &headers, answer)
}

/// `GET /v1.0/directory/deletedItems/microsoft.graph.group`.
pub(super) async fn groups(state: State<Arc<World>>, query: RawQuery, headers: HeaderMap) -> Response {
    let answer = read(&state, &headers, &query.0.unwrap_or_default(), Kind::Group);
    reply(&state, &headers, answer)
}

fn read(world: &World, headers: &HeaderMap, query: &str, kind: Kind) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&[match kind {
        Kind::User => Permission::Users,
        Kind::Group => Permission::WholeGroups,
    }])?;
    let options = Options::parse(query, headers, &["$select", "$top", "$skiptoken"])?;
    let wants_date = |name: &String| name == "deletedDateTime";
    let names: Option<Vec<String>> =
        options.select.as_ref().map(|names| names.iter().filter(|name| !wants_date(name)).cloned().collect());
    let with_date = options.select.as_ref().is_none_or(|names| names.iter().any(wants_date));
    check_select(kind, names.as_deref())?;
    let state = world.state();
    let deleted = state.directory.deleted_of(principal.tenant(), world.clock.now_unix_s());
    let items: Vec<&Deleted> = deleted.filter(|deleted| kind_of(deleted) == kind).collect();
    let path = format!("/v1.0/directory/deletedItems/microsoft.graph.{}", kind.name());
    let total = items.len();
    let list = List { items, identity: &path, size: Some(options.top.unwrap_or(DEFAULT_PAGE_SIZE)) };
    let page = list.page(&state.graph, options.skip_token.as_deref())?;
    let shown = page.map(|deleted| {
        let object = match &deleted.object {
            DeletedObject::Person(person) => Object::User(person),
            DeletedObject::Group(group) => Object::Group(&group.about),
        };
        let mut shown = object.selected(names.as_deref());
        if with_date {
            let at = format!("{}Z", graph_timestamp(deleted.at_unix_s));
            shown.insert("deletedDateTime".to_owned(), at.into());
        }
        Some(shown)
    });
    Ok(Answer::new(body(world, &options, &path, kind.collection(), total, shown)))
}

fn kind_of(deleted: &Deleted) -> Kind {
    match deleted.object {
        DeletedObject::Person(_) => Kind::User,
        DeletedObject::Group(_) => Kind::Group,
    }
}
