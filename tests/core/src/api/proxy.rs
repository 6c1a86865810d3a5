//! The proxy's `POST /api/v1/enrollment/start`, which the enrollment page calls with the token of a hand-over (facts C1). It
//! needs no session and no `User-Agent`; its errors are `{"error": …}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::credentials::{EnrollmentToken, TokenKind, TokenRefusal};
use crate::directory::User;
use crate::world::{self, World};

#[derive(Deserialize)]
pub(crate) struct Start {
    token: String,
}

/// `POST /api/v1/enrollment/start`: the token's session, begun or gone on with.
pub(crate) async fn start(State(world): State<Arc<World>>, Json(data): Json<Start>) -> Response {
    let mut response = match session(&world, &data.token) {
        Ok((deadline, body)) => {
            let mut response = Json(body).into_response();
            // Encrypted in the real one, so opaque here too.
            let cookie = format!("defguard_proxy={}; Expires={}", world.random.token(), http_date(deadline));
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Err((status, reason)) => (status, Json(json!({ "error": reason }))).into_response(),
    };
    let number = world.state().version.number();
    for (name, value) in
        [("x-powered-by", "Defguard"), ("defguard-core-connected", "true"), ("defguard-core-version", number)]
    {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

fn session(world: &World, token: &str) -> Result<(i64, Value), (StatusCode, &'static str)> {
    let invalid = (StatusCode::UNAUTHORIZED, "invalid token");
    let now = world.clock.now_unix_s();
    let mut state = world.state();
    let session_s = i64::try_from(state.enrollment_session_s).unwrap_or(i64::MAX);
    let position = state.credentials.enrollment_tokens.iter().position(|known| known.token == token).ok_or(invalid)?;
    let owner = state.credentials.enrollment_tokens.get(position).map(|known| (known.user, known.kind));
    let (user, kind) = owner.ok_or(invalid)?;
    if kind == TokenKind::PasswordReset {
        return Err((StatusCode::FORBIDDEN, "invalid token"));
    }
    let user = state.directory.user_by_id(user).cloned().ok_or(invalid)?;
    if !user.is_active {
        return Err((StatusCode::FORBIDDEN, "user is disabled"));
    }
    let known = state.credentials.enrollment_tokens.get_mut(position).ok_or(invalid)?;
    let deadline = known.start_session(now, session_s).map_err(|refusal| match refusal {
        TokenRefusal::Expired => (StatusCode::UNAUTHORIZED, "token expired"),
        TokenRefusal::Used => invalid,
    })?;
    let known = known.clone();
    Ok((deadline, started(&state, &known, &user, deadline)))
}

fn started(state: &world::State, token: &EnrollmentToken, user: &User, deadline: i64) -> Value {
    let admin = token.admin.and_then(|id| state.directory.user_by_id(id)).map(|admin| {
        let name = format!("{} {}", admin.first_name, admin.last_name);
        json!({"name": name, "phone_number": admin.phone, "email": admin.email})
    });
    json!({
        "admin": admin,
        "user": {
            "first_name": user.first_name,
            "last_name": user.last_name,
            "login": user.username,
            "email": user.email,
            "phone_number": user.phone,
            "is_active": user.is_active,
            "device_names": [],
            "enrolled": user.is_enrolled(),
            "is_admin": state.directory.is_admin(user.id),
        },
        "deadline_timestamp": deadline,
        "final_page_content": "",
        "instance": {
            "id": "00000000-0000-4000-8000-000000000000",
            "name": "Defguard",
            "url": "http://localhost:8000/",
            "proxy_url": state.enrollment_url,
            "username": user.username,
            "enterprise_enabled": state.is_licensed(),
            "disable_all_traffic": false,
            "openid_display_name": null,
        },
        "settings": {
            "vpn_setup_optional": true,
            "only_client_activation": false,
            "admin_device_management": false,
        },
    })
}

/// An HTTP date (RFC 9110 section 5.6.7).
fn http_date(unix_s: i64) -> String {
    let form =
        format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
    let moment = OffsetDateTime::from_unix_timestamp(unix_s).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(form).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
