//! `/users/delta` and `/groups/delta` (`api/user-delta`, `api/group-delta`, delta-query-overview): everything first, then what changed
//! since a delta link was given. A delta link is a revision of the directory's log, sealed with what was asked for, and lives seven
//! days. A round is planned when it begins, as of one revision: what changes while it is read comes with the next one.

mod plan;
mod round;

use std::collections::VecDeque;
use std::sync::Arc;

use axum::extract::{OriginalUri, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::round::{Cursor, Round};
use super::bearer::{self, Permission, Principal};
use super::errors::{self, GraphError};
use super::filter;
use super::objects::{self, Kind};
use super::query::Options;
use super::seal::{open, seal};
use super::{Answer, context, reply};
use crate::control::requests::text;
use crate::directory::log::Revision;
use crate::seed::Guid;
use crate::world::World;

/// How long a token is good, in seconds (delta-query-overview: seven days for directory objects).
const TOKEN_LIFE_S: i64 = 7 * 24 * 3600;
/// How many rounds can be read at once, and how many objects they may tell together; the oldest ones are given up for another.
const MOST_ROUNDS: usize = 64;
const MOST_OBJECTS: usize = 1_000_000;
/// How many objects `$filter` may name.
const MOST_FILTERED: usize = 50;

/// Which collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

    fn kind(self) -> Kind {
        match self {
            Self::Users => Kind::User,
            Self::Groups => Kind::Group,
        }
    }
}

/// What was asked for at first; tokens carry it on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Asked {
    collection: Collection,
    tenant: Guid,
    select: Option<Vec<String>>,
    /// The objects of `$filter`; none: all.
    only: Option<Vec<Guid>>,
}

impl Asked {
    /// The selected properties; `members` is a relation and none of them.
    fn properties(&self) -> Option<Vec<String>> {
        let names = self.select.as_ref()?;
        Some(names.iter().filter(|name| *name != "members").cloned().collect())
    }

    /// Memberships come unless other things are selected.
    fn with_members(&self) -> bool {
        self.select.as_ref().is_none_or(|names| names.iter().any(|name| name == "members"))
    }
}

/// What a delta link says.
#[derive(Debug, Serialize, Deserialize)]
struct Link {
    asked: Asked,
    /// The revision up to which everything was told.
    revision: Revision,
    /// The revision from which the round before began; none: from nothing.
    before: Option<Revision>,
    issued_at_unix_s: i64,
    epoch: u64,
}

/// What a next link says.
#[derive(Debug, Serialize, Deserialize)]
struct NextLink {
    round: u64,
    cursor: Cursor,
    epoch: u64,
}

/// The rounds that are being read.
#[derive(Debug, Default)]
pub(crate) struct DeltaStore {
    rounds: VecDeque<(u64, Arc<Round>)>,
    begun: u64,
    /// Counts resets: the revisions of an earlier log mean nothing in a new one.
    epoch: u64,
}

impl DeltaStore {
    /// Forgets all rounds; no token from before is good any more.
    pub(crate) fn reset(&mut self) {
        self.rounds.clear();
        self.epoch += 1;
    }

    fn begin(&mut self, round: Round) -> (u64, Arc<Round>) {
        self.begun += 1;
        let round = Arc::new(round);
        self.rounds.push_back((self.begun, Arc::clone(&round)));
        let mut objects: usize = self.rounds.iter().map(|(_, round)| round.size()).sum();
        while self.rounds.len() > MOST_ROUNDS || (self.rounds.len() > 1 && objects > MOST_OBJECTS) {
            objects -= self.rounds.pop_front().map_or(0, |(_, round)| round.size());
        }
        (self.begun, round)
    }

    fn find(&self, number: u64) -> Option<Arc<Round>> {
        self.rounds.iter().find(|(other, _)| *other == number).map(|(_, round)| Arc::clone(round))
    }
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
        Collection::Users => Permission::Users,
        Collection::Groups => Permission::Groups,
    }])?;
    let options = Options::parse(query, headers, &["$select", "$filter", "$skiptoken", "$deltatoken"])?;
    let (number, round, cursor) = match &options.skip_token {
        // What was asked for is in the token; to ask for something else with it is not possible.
        Some(_) if options.delta_token.is_some() => return Err(GraphError::PageToken.into()),
        Some(_) if options.select.is_some() || options.filter.is_some() => {
            return Err(GraphError::UnsupportedQuery { option: "$skiptoken".to_owned() }.into());
        }
        Some(token) => go_on(world, &principal, collection, token)?,
        None => {
            let minimal = text(headers, "prefer").is_some_and(|value| value.contains("return=minimal"));
            let (number, round) = begin(world, &principal, collection, &options, minimal)?;
            (number, round, Cursor::default())
        }
    };
    Ok(Answer::new(one_page(world, path, number, &round, cursor)))
}

fn go_on(
    world: &World,
    principal: &Principal,
    collection: Collection,
    token: &str,
) -> Result<(u64, Arc<Round>, Cursor), GraphError> {
    let link: NextLink = open("page", token).ok_or(GraphError::PageToken)?;
    let state = world.state();
    if link.epoch != state.deltas.epoch {
        return Err(GraphError::ExpiredPageToken);
    }
    let round = state.deltas.find(link.round).ok_or(GraphError::ExpiredPageToken)?;
    if round.asked.collection != collection || round.asked.tenant != *principal.tenant() {
        return Err(GraphError::PageToken);
    }
    if world.clock.now_unix_s() - round.begun_at_unix_s > TOKEN_LIFE_S {
        return Err(GraphError::ExpiredPageToken);
    }
    Ok((link.round, round, link.cursor))
}

/// Plans a round: from the beginning, from a delta link, or (`latest`) from now.
fn begin(
    world: &World,
    principal: &Principal,
    collection: Collection,
    options: &Options,
    minimal: bool,
) -> Result<(u64, Arc<Round>), Refused> {
    let now = world.clock.now_unix_s();
    let mut state = world.state();
    let visible = state.directory.revision().saturating_sub(state.graph.delta_hidden_revisions);
    // Empty: the beginning of everything.
    let token = options.delta_token.as_deref().filter(|token| !token.is_empty());
    let (asked, from, before) = match token {
        None | Some("latest") => {
            let select = options.select.clone();
            let asked = Asked { collection, tenant: principal.tenant().clone(), select, only: only(options)? };
            objects::check_select(collection.kind(), asked.properties().as_deref())?;
            let from = if token.is_some() { Start::Revision(visible) } else { Start::Nothing };
            (asked, from, None)
        }
        Some(token) => {
            let link: Link = open("delta", token).ok_or(GraphError::PageToken)?;
            if link.asked.collection != collection || link.asked.tenant != *principal.tenant() {
                return Err(GraphError::PageToken.into());
            }
            if now - link.issued_at_unix_s > TOKEN_LIFE_S || link.epoch != state.deltas.epoch {
                return Err(Refused::Resync(link.asked));
            }
            let from = Start::Link { revision: link.revision, before: link.before };
            (link.asked, from, Some(link.revision))
        }
    };
    let upto = visible.max(before.unwrap_or_default());
    let see_hidden = principal.may_use(Permission::HiddenMembers);
    let order = plan::Order { from, upto, see_hidden };
    let items = plan::items(&state.directory, &asked, &order, &state.graph);
    let round = Round::new(asked, items, &state.graph, round::Span { before, upto, begun_at_unix_s: now, minimal });
    let round = round.hiding(state.directory.hidden().clone());
    Ok(state.deltas.begin(round))
}

/// Where a round begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// All that there is.
    Nothing,
    /// Everything is known up to here.
    Revision(Revision),
    /// The same, told by a link whose own round began there; none: at the beginning.
    Link { revision: Revision, before: Option<Revision> },
}

fn only(options: &Options) -> Result<Option<Vec<Guid>>, GraphError> {
    let Some(filter) = &options.filter else { return Ok(None) };
    let refused = || GraphError::UnsupportedQuery { option: "$filter".to_owned() };
    let ids = filter::ids(filter).ok_or_else(refused)?;
    if ids.len() > MOST_FILTERED {
        return Err(refused());
    }
    ids.iter().map(|id| Guid::parse(id).map_err(|_| refused())).collect::<Result<_, _>>().map(Some)
}

fn one_page(world: &World, path: &str, number: u64, round: &Round, cursor: Cursor) -> Map<String, Value> {
    let (items, next) = round.page(cursor);
    let asked = &round.asked;
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context(world, asked.collection.name(), asked.select.as_deref(), ""));
    let epoch = world.state().deltas.epoch;
    let (name, option, token) = match next {
        Some(cursor) => ("@odata.nextLink", "skiptoken", seal("page", &NextLink { round: number, cursor, epoch })),
        None => {
            let link = Link {
                asked: asked.clone(),
                revision: round.span.upto,
                before: round.span.before,
                issued_at_unix_s: world.clock.now_unix_s(),
                epoch,
            };
            ("@odata.deltaLink", "deltatoken", seal("delta", &link))
        }
    };
    body.insert(name.to_owned(), format!("{}{path}?${option}={token}", world.graph_url).into());
    body.insert("value".to_owned(), items.into());
    body
}
