//! The playground for administrators, on a listener of its own: a page and its files, nothing else. It shows the running
//! configuration without the host's keys; what is done on it is done in the browser.

mod guard;
mod site;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;

use crate::config::AdminConfig;
use guard::Guard;
pub use site::{Site, SiteError};

/// Where the page is.
pub const PLAYGROUND_PATH: &str = "/admin/playground/";
/// What the page may do: run its own scripts and its own WebAssembly, and connect to nothing; and no text becomes markup or
/// a script (Trusted Types: the one policy gives the worker's address). The page says the same in its head, but for who may
/// frame it, which only a header can say.
const PLAYGROUND_CSP: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; \
                              img-src data:; connect-src 'none'; base-uri 'none'; form-action 'none'; \
                              require-trusted-types-for 'script'; trusted-types worker; frame-ancestors 'none'";

/// `GET /admin/playground/` and the files beside it, for whom `[admin]` lets in.
pub fn router(config: &AdminConfig, site: Site) -> Result<Router, SiteError> {
    let guard = Arc::new(Guard::new(config).map_err(|_| SiteError::Random)?);
    Ok(Router::new()
        .route("/admin/playground", get(async || Redirect::permanent(PLAYGROUND_PATH)))
        .route(PLAYGROUND_PATH, get(page))
        .route("/admin/playground/{file}", get(file))
        .fallback(async || (StatusCode::NOT_FOUND, "There is nothing at this address.\n"))
        .with_state(Arc::new(site))
        .layer(from_fn_with_state(guard, guard::check))
        .layer(map_response(protect)))
}

async fn page(State(site): State<Arc<Site>>) -> Response {
    answer(&site, "index.html")
}

async fn file(State(site): State<Arc<Site>>, Path(name): Path<String>) -> Response {
    answer(&site, &name)
}

fn answer(site: &Site, name: &str) -> Response {
    match site.file(name) {
        Some((media_type, bytes)) => ([(CONTENT_TYPE, media_type)], bytes).into_response(),
        None => (StatusCode::NOT_FOUND, "There is nothing at this address.\n").into_response(),
    }
}

/// Headers of every answer, refusals too. A worker has the policy of its own file's answer, so files have it as well.
async fn protect(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 7] = [
        (CONTENT_SECURITY_POLICY, PLAYGROUND_CSP),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests;
