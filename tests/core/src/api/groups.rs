//! Reading groups. 1.6 names a group in a path, 2.0 numbers it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::reply::{Answer, Refusal, ok};
use super::session::{Admin, Caller};
use crate::directory::{Directory, Group};
use crate::settings::Version;
use crate::world::{self, World};

/// A group as Core shows one.
#[derive(Debug, Serialize)]
struct GroupInfo {
    id: i64,
    name: String,
    members: Vec<String>,
    vpn_locations: Vec<String>,
    is_admin: bool,
}

impl GroupInfo {
    fn of(directory: &Directory, group: &Group) -> Self {
        Self {
            id: group.id,
            name: group.name.clone(),
            members: directory.members_of(group),
            vpn_locations: Vec::new(),
            is_admin: group.is_admin,
        }
    }
}

/// `GET /api/v1/group-info`.
pub(crate) async fn all(_: Admin, State(world): State<Arc<World>>) -> Response {
    let state = world.state();
    ok(state.directory.groups.iter().map(|group| GroupInfo::of(&state.directory, group)).collect::<Vec<_>>())
}

/// `GET /api/v1/group`.
pub(crate) async fn names(_: Caller, State(world): State<Arc<World>>) -> Response {
    let state = world.state();
    ok(json!({"groups": state.directory.groups.iter().map(|group| &group.name).collect::<Vec<_>>()}))
}

/// `GET /api/v1/group/{group}`.
pub(crate) async fn one(_: Caller, State(world): State<Arc<World>>, Path(place): Path<String>) -> Answer {
    let state = world.state();
    let group = find(&state, &place)?;
    Ok(ok(GroupInfo::of(&state.directory, group)))
}

/// The group that a path names.
pub(crate) fn find<'a>(state: &'a world::State, place: &str) -> Result<&'a Group, Refusal> {
    let found = match state.version {
        Version::V1_6 => state.directory.group(place),
        Version::V2_0 => {
            let not_a_number = |_| Refusal::by_framework(format!("Invalid URL: Cannot parse `{place}` to a `i64`"));
            let number: i64 = place.parse().map_err(not_a_number)?;
            state.directory.groups.iter().find(|group| group.id == number)
        }
    };
    found.ok_or_else(|| Refusal::not_found(format!("Group {place} not found")))
}
