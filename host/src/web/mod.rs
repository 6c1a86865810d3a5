//! Sign-in over HTTP: Defguard's JSON API for its web page, and a small site of our own for browsers without it. The
//! address of this host comes from the configuration, never from a request.

mod answer;
mod api;
mod assets;
mod browser;
mod cookies;
mod language;
mod pages;
mod test_login;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};

use crate::gateway::Gateway;

pub use test_login::{TestOutcome, test_router};

/// Bytes of a request's body.
const BODY_BYTES: usize = 64 << 10;

/// The routes under `/api/v1/openid` and `/openid`, to merge into an application's router.
pub fn router<S: Clone + Send + Sync + 'static>(gateway: Arc<Gateway>) -> Router<S> {
    let mut api = Router::new()
        .route("/auth_info", post(api::auth_info))
        .route("/callback", post(api::callback))
        .route("/callback/mfa", post(api::callback_mfa))
        .route("/providers", get(api::providers));
    if gateway.handover().redeems() {
        api = api.route("/local/redeem", post(api::redeem));
    }
    let site = Router::new()
        .route("/sign-in", get(browser::sign_in))
        .route("/start", get(browser::start))
        .route("/callback", get(browser::callback_query).post(browser::callback_form))
        .route("/callback/{provider}", get(browser::callback_query).post(browser::callback_form))
        .route("/finish", get(browser::finish_query))
        .route("/finish/{provider}", get(browser::finish_query))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/page.js", get(assets::script))
        .route("/assets/logo/{provider}", get(assets::logo));
    Router::new()
        .nest("/api/v1/openid", api.fallback(api::not_found))
        .nest("/openid", site.fallback(browser::not_found))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::map_response(protect))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(answer::after_panic))
        .with_state(gateway)
}

/// [`router`], and what a host of its own has besides: `/health`, and the sign-in page at `/`.
pub fn standalone(gateway: Arc<Gateway>) -> Router {
    let health = Router::new().route("/health", get(health)).with_state(Arc::clone(&gateway));
    router(gateway).merge(health).route("/", get(async || axum::response::Redirect::to("/openid/sign-in")))
}

async fn health(axum::extract::State(gateway): axum::extract::State<Arc<Gateway>>) -> Json<serde_json::Value> {
    let plugin = gateway.plugin();
    let core = gateway.handover().health();
    Json(serde_json::json!({
        "status": if core.is_none_or(|core| core.is_good) { "ok" } else { "degraded" },
        "version": env!("CARGO_PKG_VERSION"),
        "plugin": { "sha256": plugin.sha256() },
        "core": core,
    }))
}

/// Headers of every answer. Pages load our own script, style sheet and pictures only, and can't be framed.
async fn protect(mut response: Response) -> Response {
    const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
                       form-action 'none'; frame-ancestors 'none'";
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 5] = [
        (CONTENT_SECURITY_POLICY, CSP),
        // The callback's address holds a code: it must not travel on.
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
