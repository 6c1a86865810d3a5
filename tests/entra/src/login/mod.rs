//! The login side: Microsoft Entra ID's v2.0 endpoints, one file per endpoint or subject.
//! Follows the emulator specification's section 6.2; what Entra documents and what was only observed is noted where it matters.

mod attacker;
mod authority;
mod authorize;
mod claims_parameter;
pub(crate) mod client_assertion;
pub(crate) mod client_auth;
pub(crate) mod codes;
mod discovery;
pub(crate) mod errors;
mod forge;
mod id_token;
mod key_set;
mod pages;
mod request;
pub(crate) mod scopes;
mod session;
mod sign_out;
mod spoiled_claims;
pub(crate) mod subject;
pub(crate) mod token;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::world::World;

/// All login endpoints.
pub(crate) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/{tenant}/v2.0/.well-known/openid-configuration", get(discovery::discovery))
        .route("/{tenant}/discovery/v2.0/keys", get(key_set::key_set))
        .route("/common/discovery/instance", get(discovery::instances))
        .route("/{tenant}/oauth2/v2.0/authorize", get(authorize::by_query).post(authorize::by_form))
        .route("/{tenant}/oauth2/v2.0/token", post(token::token))
        .route("/{tenant}/oauth2/v2.0/logout", get(sign_out::by_query).post(sign_out::by_form))
        .route("/{tenant}/adminconsent", get(sign_out::admin_consent))
        .route("/attacker/keys", get(attacker::keys))
        .route("/attacker/certificate", get(attacker::certificate))
        .fallback(errors::no_such_page)
}

/// Adds the headers that Entra sends with every answer.
pub(crate) fn with_service_headers(world: &World, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let headers = response.headers_mut();
    let fixed = [
        ("x-ms-ests-server", "2.1.0 - EMULATOR ProdSlices"),
        ("x-content-type-options", "nosniff"),
        ("p3p", "CP=\"DSP CUR OTPi IND OTRi ONL FIN\""),
        ("set-cookie", "fpc=emulated; path=/; HttpOnly; SameSite=None"),
    ];
    for (name, value) in fixed {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(world.random.guid().as_str()) {
        headers.insert(HeaderName::from_static("x-ms-request-id"), id);
    }
    response
}

/// Entra names the character set of JSON, which axum does not.
pub(crate) fn set_json_type(response: &mut Response) {
    response
        .headers_mut()
        .insert(axum::http::header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
}
