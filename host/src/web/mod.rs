//! Sign-in over HTTP: Defguard's JSON API for its web page, and a small site of our own for browsers without it. The
//! address of this host comes from the configuration, never from a request.

mod answer;
mod api;
mod assets;
mod browser;
mod cookies;
mod elsewhere;
mod guard;
mod health;
mod language;
mod pages;
mod protection;
mod rates;
mod test_login;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn_with_state, map_response_with_state};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use tower::ServiceBuilder;

use crate::config::CallbackPage;
use crate::gateway::Gateway;
use crate::upstream::Upstream;

pub use elsewhere::Elsewhere;
use guard::Guard;
pub use health::probes;
use protection::{Protection, plain, protect};
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
    layered(Router::new().nest("/api/v1/openid", api).nest("/openid", site), &gateway).with_state(gateway)
}

/// The same routes beside Defguard's own: what isn't sign-in for enrollment goes `elsewhere`, and no other path is taken.
pub fn router_beside<S: Clone + Send + Sync + 'static>(gateway: Arc<Gateway>, elsewhere: Elsewhere) -> Router<S> {
    let callback = match gateway.config().pages.callback {
        CallbackPage::Own => get(browser::callback_query),
        CallbackPage::Proxy => get(browser::callback_of_proxy),
    };
    let routes = Router::new().nest("/api/v1/openid", api_routes(&gateway)).nest("/openid", site_routes(callback));
    layered(routes.layer(Extension(elsewhere)), &gateway).with_state(gateway)
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

/// What every request of ours, and every answer, goes through; the first layer is the outermost.
fn layered(routes: Router<Arc<Gateway>>, gateway: &Gateway) -> Router<Arc<Gateway>> {
    let guard = Guard::new(gateway.config(), gateway.metrics().service());
    // In one piece: a router boxes each route once more for each layer, and copies all the boxes for each request.
    let layers = ServiceBuilder::new()
        .layer(from_fn_with_state(Arc::clone(&guard), guard::observe))
        .layer(map_response_with_state(Protection::of(gateway.config()), protect))
        .map_response(IntoResponse::into_response) // the layer below has a body of its own
        .layer(tower_http::catch_panic::CatchPanicLayer::custom(answer::after_panic))
        .layer(from_fn_with_state(Arc::clone(&guard), guard::admit))
        .layer(Extension(guard))
        .layer(DefaultBodyLimit::max(BODY_BYTES));
    routes.layer(layers)
}

/// The host of its own: our routes, `/health` and `/ready`; everything else is the proxy's behind us, if there is one, and
/// otherwise the sign-in page is at `/`.
pub fn standalone(gateway: Arc<Gateway>) -> Router {
    let probes = probes(&gateway);
    let to_sign_in = || get(async || axum::response::Redirect::to("/openid/sign-in"));
    let config = gateway.config();
    let Some(upstream) = &config.upstream else {
        // Nobody is behind us: what isn't there isn't anywhere.
        let rest = Router::new().route("/", to_sign_in()).fallback(async || axum::http::StatusCode::NOT_FOUND);
        let rest = plain(rest, config);
        return router(gateway).merge(probes).merge(rest);
    };
    let upstream = Upstream::new(upstream, &config.public_url, &config.trusted_proxies);
    let elsewhere = Elsewhere::upstream(upstream, Protection::of(config));
    let mut app = probes;
    if !config.pages.token_enrollment {
        // Single sign-on only: the pages that ask for a token aren't shown.
        let pages = Router::new().route("/", to_sign_in()).route("/enrollment-start", to_sign_in());
        app = app.merge(plain(pages, config));
    }
    let rest = elsewhere.clone();
    app.merge(router_beside(Arc::clone(&gateway), elsewhere))
        .fallback(async move |request: axum::extract::Request| rest.answer(request).await)
}
