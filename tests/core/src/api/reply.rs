//! Core's answers: JSON, an empty object, or the `null` that it gives where a handler says nothing; refusals as `{"msg": …}`.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::directory::DirectoryError;
use crate::directory::pattern::EndsInEscape;

/// What a handler comes to.
pub(crate) type Answer = Result<Response, Refusal>;

/// A refusal as Core words it.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Json(Value),
    Text(String),
}

impl Refusal {
    /// `{"msg": …}`.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, body: Body::Json(json!({ "msg": message.into() })) }
    }

    /// `{}`: Core keeps the reason to itself.
    pub(crate) fn silent(status: StatusCode) -> Self {
        Self { status, body: Body::Json(json!({})) }
    }

    /// Plain text: refused by the web framework before any of Core's own code.
    pub(crate) fn by_framework(text: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: Body::Text(text.into()) }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// What every error of the database becomes.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }
}

impl From<DirectoryError> for Refusal {
    fn from(_: DirectoryError) -> Self {
        Self::internal()
    }
}

impl From<EndsInEscape> for Refusal {
    fn from(_: EndsInEscape) -> Self {
        Self::internal()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self.body {
            Body::Json(body) => (self.status, Json(body)).into_response(),
            Body::Text(text) => (self.status, text).into_response(),
        }
    }
}

/// JSON with a status.
pub(crate) fn reply(status: StatusCode, body: impl Serialize) -> Response {
    (status, Json(body)).into_response()
}

/// 200 and JSON.
pub(crate) fn ok(body: impl Serialize) -> Response {
    reply(StatusCode::OK, body)
}

/// An object with one member more.
pub(crate) fn with(mut object: Value, name: &str, value: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
    object
}

/// 200 and `null`: what Core answers where a change has nothing to say.
pub(crate) fn nothing() -> Response {
    ok(Value::Null)
}
