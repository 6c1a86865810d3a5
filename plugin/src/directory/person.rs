//! One person's state and groups, now: for whoever signs in, within a time of its own. That nobody has the object id is said only
//! where Graph says just that; of what can't be learned it is said that it is unknown.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::objects;
use super::{Change, Collection, DETAIL_BYTES, Failure, User, malformed, provider, reach, unanswered, without_token};
use crate::capability::World;
use crate::entra::TenantId;
use crate::entra::directory::{READ_GROUPS, READ_USER};
use crate::entra::graph::{Call, Fetched, Graph, GraphError};
use crate::login::trace::cut;

/// The most groups that are passed on (`wit/directory.wit`). `getMemberGroups` lists 11000; with more, pages have the rest.
pub const MAX_GROUPS: usize = 20_000;
/// The longest time that may be given, in milliseconds: the host ends a call after 25 s.
const MAX_TIMEOUT_MS: u32 = 20_000;
/// `error.code` of an object that isn't there: a 404 without it is some other machine's (entra_graph §5.6).
const NOT_THERE: &str = "Request_ResourceNotFound";
/// Without `userPrincipalName` it can't be told whether an account without `userType` was invited.
const PROPERTIES: &str = "id,userPrincipalName,accountEnabled,userType";

/// The groups that a person is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Memberships {
    /// All of them, in order, none twice.
    Known(Vec<String>),
    /// Why they aren't known.
    Unknown(String),
}

/// One person's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonState {
    /// `accountEnabled`.
    pub enabled: Option<bool>,
    /// `userType`.
    pub guest: Option<bool>,
    /// Nested ones included.
    pub groups: Memberships,
}

/// The person of that object id; `None`: there is nobody (any more).
pub fn person(
    world: World<'_>,
    provider_json: &str,
    object_id: &str,
    timeout_ms: u32,
) -> Result<Option<PersonState>, Failure> {
    let started_ms = world.clock.monotonic_ms();
    let provider = provider(provider_json)?;
    // An object id has a tenant's form.
    let id = TenantId::parse(object_id)
        .ok_or_else(|| Failure::Misconfigured(format!("{:?} is no object id", cut(object_id, 64))))?;
    let (graph, _) = reach(world, &provider, timeout_ms.min(MAX_TIMEOUT_MS))?;
    Asked { graph: graph.in_haste_since(started_ms), id: id.as_str() }.person()
}

struct Asked<'a, 'w> {
    graph: Graph<'w>,
    id: &'a str,
}

impl Asked<'_, '_> {
    /// State and groups are asked for at once: neither needs the other's answer.
    fn person(mut self) -> Result<Option<PersonState>, Failure> {
        let every_kind = json!({ "securityEnabledOnly": false });
        let user = self.call(&format!("?$select={PROPERTIES}"), None, READ_USER)?;
        let groups = self.call("/getMemberGroups", Some(&every_kind), READ_GROUPS)?;
        let calls = [user, groups];
        let mut answers = self.graph.ask(&calls).map_err(without_token)?.into_iter();
        let (Some(user), Some(member_of)) = (answers.next(), answers.next()) else {
            return Err(malformed(&GraphError::Shape("is missing")));
        };
        let Some(User { enabled, guest, .. }) = self.user(user)? else { return Ok(None) };
        let [_, call] = calls;
        let groups = match self.groups(call, member_of.outcome) {
            Ok(groups) => Memberships::Known(groups.into_iter().collect()),
            Err(error) => Memberships::Unknown(cut(&error.to_string(), DETAIL_BYTES)),
        };
        Ok(Some(PersonState { enabled, guest, groups }))
    }

    fn call<'b>(&self, rest: &str, body: Option<&'b Value>, permissions: &'static str) -> Result<Call<'b>, Failure> {
        let url = self.graph.url(&format!("users/{}{rest}", self.id)).map_err(|error| malformed(&error))?;
        Ok(Call { url, body, permissions })
    }

    fn user(&self, answer: Fetched) -> Result<Option<User>, Failure> {
        let object = match answer.outcome {
            Ok(object) => object,
            Err(GraphError::NotFound(code)) if code.eq_ignore_ascii_case(NOT_THERE) => return Ok(None),
            Err(error) => return Err(unanswered(Collection::Users, &error, answer.retry_after_ms)),
        };
        let read = objects::user(&Value::Object(object)).map_err(|reason| malformed(&GraphError::Shape(reason)))?;
        match read.into_iter().next() {
            Some(Change::User(user)) if user.id == self.id => Ok(Some(user)),
            _ => Err(malformed(&GraphError::Shape("is about somebody else"))),
        }
    }

    fn groups(
        &mut self,
        call: Call<'_>,
        first: Result<Map<String, Value>, GraphError>,
    ) -> Result<BTreeSet<String>, GraphError> {
        let mut groups = BTreeSet::new();
        match first {
            Ok(first) => self.graph.list_from(call, first, |entry| keep(&mut groups, entry.as_str()))?,
            Err(GraphError::TooMany) => self.groups_by_pages(&mut groups)?,
            Err(error) => return Err(error),
        };
        Ok(groups)
    }

    /// The same with pages, for who is in more groups than one answer may list (entra_graph §5.2).
    fn groups_by_pages(&mut self, groups: &mut BTreeSet<String>) -> Result<usize, GraphError> {
        let path = format!("users/{}/transitiveMemberOf/microsoft.graph.group?$select=id&$top=999", self.id);
        let call = Call { url: self.graph.url(&path)?, body: None, permissions: READ_GROUPS };
        let first = self.graph.ask(std::slice::from_ref(&call))?.into_iter().next();
        let first = first.ok_or(GraphError::Shape("is missing"))?.outcome?;
        self.graph.list_from(call, first, |entry| keep(groups, entry.get("id").and_then(Value::as_str)))
    }
}

fn keep(groups: &mut BTreeSet<String>, id: Option<&str>) -> Result<(), GraphError> {
    let id = id.and_then(TenantId::parse).ok_or(GraphError::Shape("has a group that is no GUID"))?;
    groups.insert(id.as_str().to_owned());
    if groups.len() > MAX_GROUPS { Err(GraphError::Shape("lists more than 20000 groups")) } else { Ok(()) }
}
