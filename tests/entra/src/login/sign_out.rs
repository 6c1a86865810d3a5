//! The end session endpoint (OpenID Connect RP-Initiated Logout) and the page where an admin consents for a tenant.
//! The emulator keeps no browser session, so signing out only leads back.

use std::sync::Arc;

use axum::extract::{Path, RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::authority::Authority;
use super::errors::{Refusal, error_page};
use super::{pages, with_service_headers};
use crate::directory::Directory;
use crate::encoding::Parameters;
use crate::world::World;

/// `GET /{tenant}/oauth2/v2.0/logout`.
pub(crate) async fn by_query(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    sign_out(&world, &segment, &Parameters::parse(query.unwrap_or_default().as_bytes()), &headers)
}

/// `POST /{tenant}/oauth2/v2.0/logout`.
pub(crate) async fn by_form(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    headers: HeaderMap,
    RawForm(form): RawForm,
) -> Response {
    sign_out(&world, &segment, &Parameters::parse(&form), &headers)
}

fn sign_out(world: &World, segment: &str, parameters: &Parameters, headers: &HeaderMap) -> Response {
    let state = world.state();
    if let Err(refusal) = Authority::resolve(&state.directory, segment) {
        drop(state);
        return error_page(world, headers, &refusal);
    }
    // Only a registered URI is followed; Entra shows its page otherwise.
    let target = parameters
        .get("post_logout_redirect_uri")
        .filter(|sent| state.directory.apps.iter().any(|app| app.redirect_uris.iter().any(|uri| uri == sent)))
        .and_then(|registered| url::Url::parse(registered).ok());
    drop(state);
    match target {
        Some(mut target) => {
            if let Some(echo) = parameters.get("state") {
                target.query_pairs_mut().append_pair("state", echo);
            }
            with_service_headers(world, (StatusCode::FOUND, [(header::LOCATION, target.to_string())]))
        }
        None => with_service_headers(world, pages::signed_out().into_response()),
    }
}

/// `GET /{tenant}/adminconsent?client_id&redirect_uri&state`: consents at once.
pub(crate) async fn admin_consent(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes());
    let consented = consent(&world.state().directory, &segment, &parameters);
    match consented {
        Ok(location) => with_service_headers(&world, (StatusCode::FOUND, [(header::LOCATION, location)])),
        Err(refusal) => error_page(&world, &headers, &refusal),
    }
}

fn consent(directory: &Directory, segment: &str, parameters: &Parameters) -> Result<String, Refusal> {
    let authority = Authority::resolve(directory, segment)?;
    let client_id = parameters.get("client_id").ok_or(Refusal::MissingParameter { name: "client_id" })?;
    let app = directory.app(client_id).ok_or_else(|| Refusal::AppNotFound {
        client_id: client_id.to_owned(),
        tenant: authority.segment().to_owned(),
    })?;
    authority.knows(app)?;
    let redirect_uri = parameters.get("redirect_uri").ok_or(Refusal::MissingParameter { name: "redirect_uri" })?;
    let mismatch =
        || Refusal::RedirectUriMismatch { redirect_uri: redirect_uri.to_owned(), client_id: client_id.to_owned() };
    if !app.redirect_uris.iter().any(|registered| registered == redirect_uri) {
        return Err(mismatch());
    }
    let mut target = url::Url::parse(redirect_uri).map_err(|_| mismatch())?;
    let tenant = match &authority {
        Authority::Tenant(id) => id.as_str(),
        _ => app.home_tenant.as_str(),
    };
    target.query_pairs_mut().append_pair("tenant", tenant);
    if let Some(state) = parameters.get("state") {
        target.query_pairs_mut().append_pair("state", state);
    }
    target.query_pairs_mut().append_pair("admin_consent", "True");
    Ok(target.into())
}
