//! Graph's refusals: status, code, message, and the JSON body with `innerError`.

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use thiserror::Error;

use crate::control::requests::text;
use crate::encoding::graph_timestamp;
use crate::world::World;

/// Why Graph refuses a request. The text is the message of the body.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum GraphError {
    #[error("Access token is empty.")]
    TokenMissing,
    #[error("CompactToken parsing failed with error code: 80049217")]
    TokenMalformed,
    #[error("Access token validation failure. Signature is invalid.")]
    TokenSignature,
    #[error("Access token validation failure. Invalid audience.")]
    TokenAudience,
    #[error("Lifetime validation failed, the token is expired.")]
    TokenExpired,
    #[error("Continuous access evaluation resulted in challenge: the token was revoked.")]
    TokenRevoked,
    #[error("Insufficient privileges to complete the operation.")]
    Denied,
    #[error("Resource '{id}' does not exist or one of its queried reference-property objects are not present.")]
    NotFound { id: String },
    #[error("Resource not found for the segment '{segment}'.")]
    UnknownSegment { segment: String },
    #[error("Could not find a property named '{name}' on type 'microsoft.graph.{type_name}'.")]
    UnknownProperty { name: String, type_name: &'static str },
    #[error("The query option '{option}' is not supported here.")]
    UnsupportedQuery { option: String },
    #[error("Invalid page size specified: '{sent}'. Must be between 1 and 999 inclusive.")]
    PageSize { sent: String },
    #[error("The specified page token is not valid for this request.")]
    PageToken,
    #[error("The page token has expired: begin the enumeration again.")]
    ExpiredPageToken,
    #[error("Invalid or unsupported filter clause: '{filter}'.")]
    UnsupportedFilter { filter: String },
    #[error(
        "Too many child clauses specified in search filter expression containing 'OR' operators: {count}. Max allowed: {limit}."
    )]
    TooManyClauses { count: usize, limit: usize },
    #[error("Number of batch request steps exceeds the maximum value of {limit}.")]
    BatchTooLarge { limit: usize },
    #[error("Unable to read the request body: {reason}.")]
    BodyInvalid { reason: String },
    #[error("The number of results exceeds the limit of {limit}. Use transitiveMemberOf, which has pages.")]
    ResultTooLarge { limit: usize },
    #[error("Specified HTTP method is not allowed for the request target.")]
    MethodNotAllowed,
}

impl GraphError {
    /// Status and code.
    pub(crate) fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::TokenMissing
            | Self::TokenMalformed
            | Self::TokenSignature
            | Self::TokenAudience
            | Self::TokenExpired
            | Self::TokenRevoked => (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken"),
            Self::Denied => (StatusCode::FORBIDDEN, "Authorization_RequestDenied"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "Request_ResourceNotFound"),
            Self::UnknownSegment { .. } => (StatusCode::BAD_REQUEST, "BadRequest"),
            Self::UnknownProperty { .. } | Self::PageSize { .. } | Self::PageToken | Self::BodyInvalid { .. } => {
                (StatusCode::BAD_REQUEST, "Request_BadRequest")
            }
            Self::ResultTooLarge { .. } => (StatusCode::BAD_REQUEST, "Directory_ResultSizeLimitExceeded"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Request_BadRequest"),
            Self::ExpiredPageToken => (StatusCode::BAD_REQUEST, "Directory_ExpiredPageToken"),
            Self::BatchTooLarge { .. } => (StatusCode::BAD_REQUEST, "MaximumValueExceeded"),
            Self::UnsupportedQuery { .. } | Self::UnsupportedFilter { .. } | Self::TooManyClauses { .. } => {
                (StatusCode::BAD_REQUEST, "Request_UnsupportedQuery")
            }
        }
    }
}

/// The answer to a refused request.
pub(crate) fn refuse(world: &World, headers: &HeaderMap, error: &GraphError) -> Response {
    let (status, code) = error.kind();
    let mut response = error_response(world, headers, status, code, &error.to_string());
    if status == StatusCode::UNAUTHORIZED {
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{}/common/oauth2/authorize\", client_id=\"{}\"",
            world.login_url,
            super::access_token::GRAPH_APP_ID
        );
        if let Ok(challenge) = HeaderValue::from_str(&challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
    }
    response
}

/// A body of Graph's shape with any status, code and message.
pub(crate) fn error_response(
    world: &World,
    headers: &HeaderMap,
    status: StatusCode,
    code: &str,
    message: &str,
) -> Response {
    let request_id = world.random.guid();
    let client_request_id = text(headers, "client-request-id").unwrap_or(request_id.as_str());
    let body = json!({
        "error": {
            "code": code,
            "message": message,
            "innerError": {
                "date": graph_timestamp(world.clock.now_unix_s()),
                "request-id": request_id,
                "client-request-id": client_request_id,
            },
        },
    });
    let mut response = (status, Json(body)).into_response();
    set_service_headers(world, headers, &mut response);
    response
}

/// The headers that Graph sends with every answer.
pub(crate) fn set_service_headers(world: &World, request: &HeaderMap, response: &mut Response) {
    let request_id = world.random.guid();
    let client_request_id = text(request, "client-request-id").unwrap_or(request_id.as_str());
    let pairs = [
        ("request-id", request_id.as_str()),
        ("client-request-id", client_request_id),
        ("x-ms-ags-diagnostic", r#"{"ServerInfo":{"DataCenter":"Emulator","Slice":"E","Ring":"1","ScaleUnit":"000"}}"#),
        ("cache-control", "no-cache"),
        ("odata-version", "4.0"),
        (
            "content-type",
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8",
        ),
    ];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}
