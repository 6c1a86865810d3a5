//! What Core says of itself: alive, which version, which licence. 1.6 has the licence in `info`; 2.0 only in `enterprise_info`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::reply::{ok, with};
use super::session::{Admin, Caller};
use crate::settings::{Licence, Version};
use crate::world::{self, World};

/// `GET /api/v1/health`, for anybody.
pub(crate) async fn health() -> &'static str {
    "alive"
}

/// `GET /api/v1/info`, for any session.
pub(crate) async fn info(_: Caller, State(world): State<Arc<World>>) -> Response {
    let state = world.state();
    let info = json!({
        "version": state.version.number(),
        "network_present": false,
        "smtp_enabled": false,
        "ldap_info": {"enabled": false, "ad": false},
        "external_openid_enabled": false,
    });
    match state.version {
        Version::V1_6 => ok(with(info, "license_info", license_of_1_6(&state))),
        Version::V2_0 => ok(info),
    }
}

fn license_of_1_6(state: &world::State) -> Value {
    let users = state.directory.active_users();
    let exceeded = state.licence.is_exceeded(users);
    json!({
        "enterprise": state.licence.is_active(state.version, users),
        "limits_exceeded": {"user": exceeded, "device": false, "wireguard_network": false},
        "any_limit_exceeded": exceeded,
        "is_enterprise_free": state.licence.is_free(state.version, users),
        "tier": tier(state.licence),
    })
}

fn tier(licence: Licence) -> Option<&'static str> {
    match licence {
        Licence::Business { .. } | Licence::Expired => Some("Business"),
        Licence::Free { .. } | Licence::None => None,
    }
}

/// `GET /api/v1/enterprise_info`, for administrators: the key, or null without one.
pub(crate) async fn enterprise_info(_: Admin, State(world): State<Arc<World>>) -> Response {
    let state = world.state();
    let key = match state.licence {
        Licence::Free { .. } | Licence::None => Value::Null,
        Licence::Business { users } => key(&state, false, users),
        Licence::Expired => key(&state, true, None),
    };
    ok(json!({ "license_info": key }))
}

fn key(state: &world::State, expired: bool, limit: Option<u32>) -> Value {
    let users = state.directory.active_users();
    let key = json!({
        "valid_until": if expired { "2020-01-01T00:00:00Z" } else { "2099-01-01T00:00:00Z" },
        "subscription": true,
        "expired": expired,
        "limits_exceeded": state.licence.is_exceeded(users),
        "tier": tier(state.licence),
    });
    if state.version == Version::V1_6 {
        return key;
    }
    let limits = limit.map_or(Value::Null, |limit| json!({"users": {"current": users, "limit": limit}}));
    with(with(key, "free", json!(false)), "limits", limits)
}
