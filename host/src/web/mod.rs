//! Sign-in over HTTP: Defguard's JSON API for its web page, and a small site of our own for browsers without it. The
//! address of this host comes from the configuration, never from a request.

mod answer;
mod api;
mod assets;
mod browser;
mod cookies;
mod elsewhere;
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
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};

use crate::config::CallbackPage;
use crate::gateway::Gateway;
use crate::upstream::Upstream;

pub use elsewhere::Elsewhere;
use elsewhere::NotOurs;
pub use test_login::{TestOutcome, test_router};

/// Bytes of a request's body.
const BODY_BYTES: usize = 64 << 10;

/// The routes under `/api/v1/openid` and `/openid`, to merge into an application's router that has nothing else there: any
/// other path below the two is answered with `not_found`.
pub fn router<S: Clone + Send + Sync + 'static>(gateway: Arc<Gateway>) -> Router<S> {
    let api = Router::new().route("/callback/mfa", post(api::callback_mfa)).fallback(api::not_found);
    let site = Router::new().fallback(browser::not_found);
    let api = api.merge(api_routes(&gateway));
    let site = site.merge(site_routes(get(browser::callback_query)));
    layered(Router::new().nest("/api/v1/openid", api).nest("/openid", site)).with_state(gateway)
}

/// The same routes beside Defguard's own: what isn't sign-in for enrollment goes `elsewhere`, and no other path is taken.
pub fn router_beside<S: Clone + Send + Sync + 'static>(gateway: Arc<Gateway>, elsewhere: Elsewhere) -> Router<S> {
    let callback = match gateway.config().pages.callback {
        CallbackPage::Own => get(browser::callback_query),
        CallbackPage::Proxy => get(browser::callback_of_proxy),
    };
    let routes = Router::new().nest("/api/v1/openid", api_routes(&gateway)).nest("/openid", site_routes(callback));
    layered(routes).layer(Extension(elsewhere)).with_state(gateway)
}

fn api_routes(gateway: &Gateway) -> Router<Arc<Gateway>> {
    let api = Router::new()
        .route("/auth_info", post(api::auth_info))
        .route("/callback", post(api::callback))
        .route("/providers", get(api::providers));
    if gateway.handover().redeems() { api.route("/local/redeem", post(api::redeem)) } else { api }
}

fn site_routes(callback: MethodRouter<Arc<Gateway>>) -> Router<Arc<Gateway>> {
    let callback = callback.post(browser::callback_form);
    Router::new()
        .route("/sign-in", get(browser::sign_in))
        .route("/start", get(browser::start))
        .route("/callback", callback.clone())
        .route("/callback/{provider}", callback)
        .route("/finish", get(browser::finish_query))
        .route("/finish/{provider}", get(browser::finish_query))
        .route("/assets/style.css", get(assets::style))
        .route("/assets/page.js", get(assets::script))
        .route("/assets/logo/{provider}", get(assets::logo))
}

/// What every answer of ours goes through.
fn layered(routes: Router<Arc<Gateway>>) -> Router<Arc<Gateway>> {
    routes
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::map_response(protect))
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(answer::after_panic))
}

/// The host of its own: our routes and `/health`; everything else is the proxy's behind us, if there is one, and otherwise
/// the sign-in page is at `/`.
pub fn standalone(gateway: Arc<Gateway>) -> Router {
    let health = Router::new().route("/health", get(health)).with_state(Arc::clone(&gateway));
    let to_sign_in = || get(async || axum::response::Redirect::to("/openid/sign-in"));
    let config = gateway.config();
    let Some(upstream) = &config.upstream else {
        return router(gateway).merge(health).route("/", to_sign_in());
    };
    let elsewhere = Elsewhere::upstream(Upstream::new(upstream, &config.public_url));
    let mut app = health;
    if !config.pages.token_enrollment {
        // Single sign-on only: the pages that ask for a token aren't shown.
        app = app.route("/", to_sign_in()).route("/enrollment-start", to_sign_in());
    }
    let rest = elsewhere.clone();
    app.merge(router_beside(Arc::clone(&gateway), elsewhere))
        .fallback(async move |request: axum::extract::Request| rest.answer(request).await)
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

/// Headers of every answer of ours. Pages load our own script, style sheet and pictures only, and can't be framed.
async fn protect(mut response: Response) -> Response {
    const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
                       form-action 'none'; frame-ancestors 'none'";
    if response.extensions().get::<NotOurs>().is_some() {
        return response;
    }
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
