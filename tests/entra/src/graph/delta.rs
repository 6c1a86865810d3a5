//! `/users/delta` and `/groups/delta` (`api/user-delta`, `api/group-delta`, delta-query-overview): everything first, then what changed
//! since a delta link was given. What a link knew is kept as it was then and compared with what is there now, so no change of the
//! directory can be missed, however it came about. Tokens are opaque, of one collection and one tenant, and live seven days.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::bearer::{self, Permission, Principal};
use super::errors::{self, GraphError};
use super::objects::Object;
use super::query::Options;
use super::settings::GraphSettings;
use super::{Answer, context, reply};
use crate::seed::{Guid, Member, Seed};
use crate::world::World;

/// How long a delta token is good, in seconds.
const TOKEN_LIFE_S: i64 = 7 * 24 * 3600;
/// Objects on a page, if the settings don't say.
const PAGE_SIZE: usize = 100;

/// Which collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Collection {
    Users,
    Groups,
}

impl Collection {
    fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::Groups => "groups",
        }
    }
}

/// An object as a link knew it: its properties, and of a group its direct members with their types.
#[derive(Debug, Clone, Default, PartialEq)]
struct Known {
    properties: Map<String, Value>,
    members: BTreeMap<String, &'static str>,
}

/// A collection as it was.
type Snapshot = BTreeMap<String, Known>;

/// What was asked for at first; tokens carry it on.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    collection: Collection,
    tenant: Guid,
    select: Option<Vec<String>>,
}

/// Rounds that are being read, and delta links that were given out.
#[derive(Debug, Default)]
pub(crate) struct DeltaStore {
    rounds: HashMap<String, Arc<Round>>,
    links: HashMap<String, Arc<Link>>,
}

#[derive(Debug)]
struct Round {
    asked: Asked,
    items: Vec<Value>,
    page_size: usize,
    empty_pages: Vec<usize>,
    then: Arc<Snapshot>,
}

#[derive(Debug)]
struct Link {
    asked: Asked,
    snapshot: Arc<Snapshot>,
    at_unix_s: i64,
    /// What its own round said: some of it may come again.
    said: Vec<Value>,
}

/// `GET /v1.0/users/delta`.
pub(super) async fn users(state: State<Arc<World>>, uri: OriginalUri, query: RawQuery, headers: HeaderMap) -> Response {
    answer(&state.0, Collection::Users, uri.0.path(), &query.0.unwrap_or_default(), &headers)
}

/// `GET /v1.0/groups/delta`.
pub(super) async fn groups(
    state: State<Arc<World>>,
    uri: OriginalUri,
    query: RawQuery,
    headers: HeaderMap,
) -> Response {
    answer(&state.0, Collection::Groups, uri.0.path(), &query.0.unwrap_or_default(), &headers)
}

fn answer(world: &World, collection: Collection, path: &str, query: &str, headers: &HeaderMap) -> Response {
    match read(world, collection, path, query, headers) {
        Ok(page) => reply(world, headers, Ok(page)),
        Err(Refused::Graph(error)) => reply(world, headers, Err(error)),
        Err(Refused::Resync(asked)) => resync(world, headers, path, &asked),
    }
}

enum Refused {
    Graph(GraphError),
    /// 410, and where to begin again.
    Resync(Asked),
}

impl From<GraphError> for Refused {
    fn from(error: GraphError) -> Self {
        Self::Graph(error)
    }
}

fn resync(world: &World, headers: &HeaderMap, path: &str, asked: &Asked) -> Response {
    let message = "The delta token is expired: synchronise from the beginning.";
    let mut response = errors::error_response(world, headers, StatusCode::GONE, "resyncRequired", message);
    let select = asked.select.as_ref().map(|names| format!("$select={}&", names.join(","))).unwrap_or_default();
    let location = format!("{}{path}?{select}$deltatoken=", world.graph_url);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

fn read(
    world: &World,
    collection: Collection,
    path: &str,
    query: &str,
    headers: &HeaderMap,
) -> Result<Answer, Refused> {
    let principal = bearer::principal(world, headers)?;
    principal.needs(&[match collection {
        Collection::Users => Permission::ReadUsers,
        Collection::Groups => Permission::ReadGroups,
    }])?;
    let mut options = Options::parse(query, headers, &["$select", "$skiptoken", "$deltatoken"])?;
    // Empty: the beginning of everything.
    let delta_token = options.delta_token.take().filter(|token| !token.is_empty());
    let (round, token, offset, page) = match (&options.skip_token, delta_token) {
        (Some(_), Some(_)) => return Err(GraphError::PageToken.into()),
        (Some(token), None) => on(world, &principal, collection, token)?,
        (None, token) => begin(world, &principal, collection, &options, token.as_deref())?,
    };
    Ok(Answer::new(1, &options, one_page(world, path, &round, &token, offset, page)))
}

/// Round, its token, the first item and the number of a page.
type Place = (Arc<Round>, String, usize, usize);

fn on(world: &World, principal: &Principal, collection: Collection, token: &str) -> Result<Place, GraphError> {
    let (id, place) = token.rsplit_once('.').ok_or(GraphError::PageToken)?;
    let (offset, page) = place.split_once('-').ok_or(GraphError::PageToken)?;
    let (Ok(offset), Ok(page)) = (offset.parse(), page.parse()) else { return Err(GraphError::PageToken) };
    let round = world.state().deltas.rounds.get(id).cloned().ok_or(GraphError::PageToken)?;
    if round.asked.collection != collection || round.asked.tenant != *principal.tenant() {
        return Err(GraphError::PageToken);
    }
    Ok((round, id.to_owned(), offset, page))
}

fn begin(
    world: &World,
    principal: &Principal,
    collection: Collection,
    options: &Options,
    token: Option<&str>,
) -> Result<Place, Refused> {
    let mut state = world.state();
    let link = match token {
        None => None,
        Some(token) => {
            let link = state.deltas.links.get(token).cloned().ok_or(GraphError::PageToken)?;
            if link.asked.collection != collection || link.asked.tenant != *principal.tenant() {
                return Err(GraphError::PageToken.into());
            }
            if world.clock.now_unix_s() - link.at_unix_s > TOKEN_LIFE_S {
                return Err(Refused::Resync(link.asked.clone()));
            }
            Some(link)
        }
    };
    let asked = match &link {
        Some(link) => link.asked.clone(),
        None => Asked { collection, tenant: principal.tenant().clone(), select: options.select.clone() },
    };
    let now = snapshot(&state.directory, &asked)?;
    let nothing = Snapshot::new();
    let mut items = differences(link.as_ref().map_or(&nothing, |link| &link.snapshot), &now, &state.graph);
    if state.graph.delta_replays {
        // Old news first, so that the last word is the new one.
        let old = link.iter().flat_map(|link| link.said.iter().cloned());
        items = old.chain(items).collect();
    }
    let round = Arc::new(Round {
        asked,
        items,
        page_size: state.graph.page_size.unwrap_or(PAGE_SIZE).max(1),
        empty_pages: state.graph.empty_pages.clone(),
        then: Arc::new(now),
    });
    let id = world.random.guid().to_string();
    state.deltas.rounds.insert(id.clone(), Arc::clone(&round));
    Ok((round, id, 0, 1))
}

fn one_page(world: &World, path: &str, round: &Arc<Round>, id: &str, offset: usize, page: usize) -> Map<String, Value> {
    let size = if round.empty_pages.contains(&page) { 0 } else { round.page_size };
    let items: Vec<Value> = round.items.iter().skip(offset).take(size).cloned().collect();
    let next = offset + items.len();
    let mut body = Map::new();
    body.insert(
        "@odata.context".to_owned(),
        context(world, round.asked.collection.name(), round.asked.select.as_deref(), ""),
    );
    if next < round.items.len() || round.empty_pages.contains(&(page + 1)) {
        let link = format!("{}{path}?$skiptoken={id}.{next}-{}", world.graph_url, page + 1);
        body.insert("@odata.nextLink".to_owned(), link.into());
    } else {
        let token = world.random.guid().to_string();
        let link = Link {
            asked: round.asked.clone(),
            snapshot: Arc::clone(&round.then),
            at_unix_s: world.clock.now_unix_s(),
            said: round.items.clone(),
        };
        world.state().deltas.links.insert(token.clone(), Arc::new(link));
        body.insert("@odata.deltaLink".to_owned(), format!("{}{path}?$deltatoken={token}", world.graph_url).into());
    }
    body.insert("value".to_owned(), items.into());
    body
}

fn snapshot(directory: &Seed, asked: &Asked) -> Result<Snapshot, GraphError> {
    // `members` isn't a property but a relation.
    let select: Option<Vec<String>> =
        asked.select.as_ref().map(|names| names.iter().filter(|name| *name != "members").cloned().collect());
    let with_members = asked.select.as_ref().is_none_or(|names| names.iter().any(|name| name == "members"));
    let select = select.as_deref();
    match asked.collection {
        Collection::Users => directory
            .persons
            .iter()
            .filter(|person| person.tenant == asked.tenant)
            .map(|person| {
                let properties = Object::User(person).entity(select)?;
                Ok((person.oid.to_string(), Known { properties, members: BTreeMap::new() }))
            })
            .collect(),
        Collection::Groups => directory
            .groups
            .iter()
            .filter(|group| group.tenant == asked.tenant)
            .map(|group| {
                let members = group.members.iter().filter(|_| with_members).map(|member| match member {
                    Member::User(id) => (id.to_string(), "#microsoft.graph.user"),
                    Member::Group(id) => (id.to_string(), "#microsoft.graph.group"),
                });
                let known = Known { properties: Object::Group(group).entity(select)?, members: members.collect() };
                Ok((group.id.to_string(), known))
            })
            .collect(),
    }
}

/// What a round says: each object that is new or changed, big groups in several parts, and what is gone.
fn differences(before: &Snapshot, now: &Snapshot, settings: &GraphSettings) -> Vec<Value> {
    let nothing = Known::default();
    let mut items = Vec::new();
    for (id, known) in now {
        let old = before.get(id).unwrap_or(&nothing);
        if known == old {
            continue;
        }
        let added = known.members.iter().filter(|(id, _)| !old.members.contains_key(*id));
        let added = added.map(|(id, kind)| json!({ "@odata.type": kind, "id": id }));
        let removed = old.members.iter().filter(|(id, _)| !known.members.contains_key(*id));
        let removed =
            removed.map(|(id, kind)| json!({ "@odata.type": kind, "id": id, "@removed": { "reason": "deleted" } }));
        let members: Vec<Value> = added.chain(removed).collect();
        let set = |members: Option<&[Value]>| {
            let mut properties = known.properties.clone();
            properties.extend(members.map(|members| ("members@delta".to_owned(), members.into())));
            Value::Object(properties)
        };
        if members.is_empty() {
            items.push(set(None));
        }
        items.extend(members.chunks(settings.members_at_once.max(1)).map(|part| set(Some(part))));
    }
    let gone = before.keys().filter(|id| !now.contains_key(*id));
    items.extend(gone.map(|id| json!({ "id": id, "@removed": { "reason": "changed" } })));
    if settings.delta_backwards {
        items.reverse();
    }
    items
}
