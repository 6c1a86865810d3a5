//! Making, changing and deleting groups, and moving users in and out.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::groups::find;
use super::reply::{Answer, Refusal, nothing, ok, reply};
use super::session::{Admin, UserAgent};
use super::users::Username;
use crate::seed::NewGroup;
use crate::world::{self, World};

#[derive(Deserialize, Serialize)]
pub(crate) struct EditGroup {
    name: String,
    members: Vec<String>,
    is_admin: bool,
}

/// `POST /api/v1/group`. The group is made before its members are looked up, outside the transaction: if one is unknown, the
/// answer is 404 and an empty group without rights is left behind. A name that is there is a 500.
pub(crate) async fn create(
    _: Admin,
    State(world): State<Arc<World>>,
    _: UserAgent,
    Json(data): Json<EditGroup>,
) -> Answer {
    let mut state = world.state();
    let id = state.directory.add_group(&NewGroup { name: data.name.clone(), is_admin: false })?;
    let mut members = BTreeSet::new();
    for name in &data.members {
        let unknown = || Refusal::not_found(format!("Failed to find user {name}"));
        members.insert(state.directory.user(name).ok_or_else(unknown)?.id);
    }
    if let Some(group) = state.directory.groups.iter_mut().find(|group| group.id == id) {
        group.members = members;
        group.is_admin = data.is_admin;
    }
    Ok(reply(StatusCode::CREATED, data))
}

/// `PUT /api/v1/group/{group}`: name, members and rights are replaced by these. Core has no error for an unknown member,
/// whom it leaves out, and keeps the rights of the last group of administrators (handlers/group.rs of Core 1.6, as published).
pub(crate) async fn modify(
    _: Admin,
    State(world): State<Arc<World>>,
    _: UserAgent,
    Path(place): Path<String>,
    Json(data): Json<EditGroup>,
) -> Answer {
    let mut state = world.state();
    let found = find(&state, &place)?;
    let (id, loses_rights) = (found.id, found.is_admin && !data.is_admin);
    if state.directory.groups.iter().any(|group| group.id != id && group.name == data.name) {
        return Err(Refusal::internal());
    }
    if loses_rights && is_last_of_administrators(&state, id) {
        return Err(Refusal::silent(StatusCode::BAD_REQUEST));
    }
    let members = data.members.iter().filter_map(|name| state.directory.user(name)).map(|user| user.id).collect();
    if let Some(group) = state.directory.groups.iter_mut().find(|group| group.id == id) {
        group.name = data.name;
        group.is_admin = data.is_admin;
        group.members = members;
    }
    Ok(nothing())
}

/// `DELETE /api/v1/group/{group}`; not the last group of administrators.
pub(crate) async fn delete(
    _: Admin,
    State(world): State<Arc<World>>,
    _: UserAgent,
    Path(place): Path<String>,
) -> Answer {
    let mut state = world.state();
    let id = find(&state, &place)?.id;
    if is_last_of_administrators(&state, id) {
        return Err(Refusal::silent(StatusCode::BAD_REQUEST));
    }
    state.directory.groups.retain(|group| group.id != id);
    Ok(nothing())
}

fn is_last_of_administrators(state: &world::State, id: i64) -> bool {
    let mut with_rights = state.directory.groups.iter().filter(|group| group.is_admin);
    with_rights.next().is_some_and(|first| first.id == id) && with_rights.next().is_none()
}

/// `POST /api/v1/group/{group}`; no error if the user is in it.
pub(crate) async fn add_member(
    _: Admin,
    State(world): State<Arc<World>>,
    _: UserAgent,
    Path(place): Path<String>,
    Json(data): Json<Username>,
) -> Answer {
    change_membership(&mut world.state(), &place, &data.username, true)?;
    Ok(nothing())
}

/// `DELETE /api/v1/group/{group}/user/{username}`; no error if the user isn't in it.
pub(crate) async fn remove_member(
    _: Admin,
    State(world): State<Arc<World>>,
    _: UserAgent,
    Path((place, username)): Path<(String, String)>,
) -> Answer {
    change_membership(&mut world.state(), &place, &username, false)?;
    Ok(ok(json!({})))
}

fn change_membership(state: &mut world::State, place: &str, username: &str, is_member: bool) -> Result<(), Refusal> {
    let id = find(state, place)?.id;
    let unknown = || Refusal::not_found(format!("User {username} not found"));
    let user = state.directory.user(username).ok_or_else(unknown)?.id;
    for group in state.directory.groups.iter_mut().filter(|group| group.id == id) {
        if is_member {
            group.members.insert(user);
        } else {
            group.members.remove(&user);
        }
    }
    Ok(())
}

#[derive(Deserialize)]
pub(crate) struct Assign {
    groups: Vec<String>,
    users: Vec<i64>,
}

/// `POST /api/v1/groups-assign`: adds every user to every group, or does nothing if one is unknown. One that is named twice
/// counts as unknown: Core compares numbers of rows.
pub(crate) async fn assign(
    _: Admin,
    State(world): State<Arc<World>>,
    _: UserAgent,
    Json(data): Json<Assign>,
) -> Answer {
    let mut state = world.state();
    let directory = &mut state.directory;
    let users = directory.users.iter().filter(|user| data.users.contains(&user.id)).count();
    if users != data.users.len() {
        return Err(Refusal::bad_request("Request contained users that doesn't exists in db."));
    }
    let groups = directory.groups.iter().filter(|group| data.groups.contains(&group.name)).count();
    if groups != data.groups.len() {
        return Err(Refusal::bad_request("Request contained groups that doesn't exists in db."));
    }
    for group in directory.groups.iter_mut().filter(|group| data.groups.contains(&group.name)) {
        group.members.extend(&data.users);
    }
    Ok(ok(json!({})))
}
