//! Faults of Graph alone: tokens of pages, of delta links and of apps that are no longer good (delta-query-overview, paging).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::fault_actions::Target;
use super::page_faults::other_name;
use crate::graph::bearer::token_id;
use crate::graph::errors::error_response;

/// How Graph says that a delta token is no longer good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoneForm {
    /// 410 with a `Location` to begin again at: the same path with an empty `$deltatoken`.
    #[default]
    WithLocation,
    /// 410 without a `Location`.
    WithoutLocation,
    /// 410 with a `Location` on another origin, which is this emulator under another name.
    ForeignLocation,
    /// 400 with the code `syncStateNotFound`.
    SyncStateNotFound,
}

impl GoneForm {
    /// Every variant, for tables that must leave none out.
    pub const ALL: &[Self] =
        &[Self::WithLocation, Self::WithoutLocation, Self::ForeignLocation, Self::SyncStateNotFound];
}

/// The answer to a request with a delta token that is given up.
pub(super) fn gone(target: &Target<'_>, form: GoneForm) -> Response {
    let (status, code) = match form {
        GoneForm::SyncStateNotFound => (StatusCode::BAD_REQUEST, "syncStateNotFound"),
        _ => (StatusCode::GONE, "resyncRequired"),
    };
    let message = "The delta token is no longer valid: synchronise from the beginning.";
    let mut response = error_response(target.world, target.headers, status, code, message);
    let graph = &target.world.graph_url;
    let origin = match form {
        GoneForm::WithLocation => graph.clone(),
        GoneForm::ForeignLocation => other_name(graph),
        GoneForm::WithoutLocation | GoneForm::SyncStateNotFound => return response,
    };
    if let Ok(location) = HeaderValue::from_str(&format!("{origin}{}?$deltatoken=", target.uri.path())) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}

/// The answer to a next link that came too late.
pub(super) fn expired_page_token(target: &Target<'_>) -> Response {
    refused(target, "Directory_ExpiredPageToken", "The specified page token value has expired.")
}

/// The answer to a next link that Graph has lost.
pub(super) fn page_token_not_found(target: &Target<'_>) -> Response {
    refused(target, "DirectoryPageTokenNotFoundException", "The specified page token value was not found.")
}

fn refused(target: &Target<'_>, code: &str, message: &str) -> Response {
    error_response(target.world, target.headers, StatusCode::BAD_REQUEST, code, message)
}

/// Takes the application permissions from the request's token.
pub(super) fn make_stale(target: &Target<'_>) {
    if let Some(id) = token_id(target.world, target.headers) {
        target.world.state().stale_tokens.insert(id);
    }
}

/// Makes the request's token invalid.
pub(super) fn revoke(target: &Target<'_>) {
    if let Some(id) = token_id(target.world, target.headers) {
        target.world.state().access_tokens.remove(&id);
    }
}
