//! Creating, changing and deleting users, with what Core checks, what it leaves to its database, and what it forgets.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::reply::{Answer, Refusal, nothing, reply};
use super::session::{Admin, Caller, UserAgent, admin_or_self};
use super::user_info::UserInfo;
use crate::directory::User;
use crate::directory::rules::{is_password, is_phone, is_username};
use crate::seed::NewUser;
use crate::world::{self, World};

#[derive(Deserialize)]
pub(crate) struct AddUser {
    username: String,
    last_name: String,
    first_name: String,
    email: String,
    phone: Option<String>,
    password: Option<String>,
}

/// `POST /api/v1/user`. Core looks whether the address is there, by pattern (facts D2), but not whether the name is: that is
/// its database's business, and so a 500.
pub(crate) async fn create(
    _: Admin,
    _: UserAgent,
    State(world): State<Arc<World>>,
    Json(data): Json<AddUser>,
) -> Answer {
    let mut state = world.state();
    if state.licence.is_full(state.directory.active_users()) {
        return Err(Refusal::forbidden("License limit reached."));
    }
    let is_valid = is_username(&data.username)
        && state.directory.user_by_email(&data.email)?.is_none()
        && data.phone.as_deref().is_none_or(is_phone)
        && data.password.as_deref().is_none_or(is_password);
    if !is_valid {
        return Err(Refusal::silent(StatusCode::BAD_REQUEST));
    }
    let new = NewUser {
        phone: data.phone,
        password: data.password,
        ..NewUser::new(data.username, data.email).names(data.first_name, data.last_name)
    };
    let id = state.directory.add_user(&new)?;
    let user = state.directory.user_by_id(id).ok_or_else(Refusal::internal)?;
    Ok(reply(StatusCode::CREATED, UserInfo::of(&state.directory, user)))
}

/// `PUT /api/v1/user/{username}`: the whole `UserInfo`. Only administrators change more than the telephone number.
pub(crate) async fn modify(
    caller: Caller,
    _: UserAgent,
    State(world): State<Arc<World>>,
    Path(username): Path<String>,
    Json(info): Json<UserInfo>,
) -> Answer {
    let mut state = world.state();
    let mut user = admin_or_self(&state, &caller, &username)?.clone();
    let is_valid = is_username(&info.username) && info.phone.as_deref().is_none_or(is_phone);
    let disables_self = caller.is_admin && caller.user.username == username && !info.is_active;
    if !is_valid || disables_self {
        return Err(Refusal::silent(StatusCode::BAD_REQUEST));
    }
    user.phone.clone_from(&info.phone);
    if caller.is_admin {
        modify_as_admin(&mut state, user, info)?;
    } else {
        state.directory.replace(user)?;
    }
    Ok(nothing())
}

/// Core's order: groups, status, the rest. It looks at the status only if no group changes (`changed() || status_changes()`),
/// so who is disabled and moved in one request stays active.
fn modify_as_admin(state: &mut world::State, mut user: User, info: UserInfo) -> Result<(), Refusal> {
    let was_active = user.is_active;
    let groups_change = {
        let wanted = |name: &String| info.groups.contains(name);
        let current = state.directory.groups_of(user.id);
        let is_new = |name: &&String| !current.contains(name) && state.directory.group(name).is_some();
        !current.iter().all(wanted) || info.groups.iter().any(|name| is_new(&name))
    };
    if !groups_change {
        user.is_active = info.is_active;
    }
    user.username = info.username;
    user.last_name = info.last_name;
    user.first_name = info.first_name;
    user.email = info.email;
    let (id, is_active) = (user.id, user.is_active);
    // One transaction: if the database refuses the row, the groups stay too.
    state.directory.replace(user)?;
    state.directory.set_groups(id, &info.groups);
    if was_active && !is_active {
        state.credentials.end_sessions_of(id);
        state.credentials.delete_api_tokens_of(id);
    }
    Ok(())
}

/// `DELETE /api/v1/user/{username}`; not oneself.
pub(crate) async fn delete(
    Admin(caller): Admin,
    State(world): State<Arc<World>>,
    Path(username): Path<String>,
    _: UserAgent,
) -> Answer {
    if caller.user.username == username {
        return Err(Refusal::silent(StatusCode::BAD_REQUEST));
    }
    let mut state = world.state();
    let user = state.directory.remove_user(&username);
    let user = user.ok_or_else(|| Refusal::not_found(format!("User {username} not found")))?;
    state.credentials.forget(user.id);
    Ok(nothing())
}
