//! Sign-in inside an application that is built like Defguard's proxy 1.6: its own state, its own routes, its web page at every
//! other path. `cargo run --release --example in_proxy -- openid.toml`; docs/embedding.md explains the steps.
//!
//! Handlers of the proxy's are shortened to what tells them apart; where they hold on to Core over gRPC, this one has nobody.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use defguard_openid_host::{Config, Elsewhere, Gateway, router_beside};
use serde_json::{Value, json};

/// What the proxy's handlers share. The sign-in's routes have their own state and don't see it.
#[derive(Clone)]
struct AppState {
    core_connected: Arc<AtomicBool>,
    page: &'static str,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("openid.toml"), PathBuf::from);
    let config = Config::load(&file)?;
    let listener = tokio::net::TcpListener::bind(config.listen).await?;
    let gateway = Gateway::start(config).await?;
    println!("listening on {}", listener.local_addr()?);
    // Who connects is what rate limits, log and audit log go by.
    let app = app(gateway).into_make_service_with_connect_info::<std::net::SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

fn app(gateway: Arc<Gateway>) -> Router {
    let state = AppState {
        core_connected: Arc::new(AtomicBool::new(false)),
        page: "<!doctype html><html lang=en><title>Defguard</title><p>The proxy's web page",
    };
    // Multi-factor sign-in stays Defguard's own: the handlers that it has today, at the paths that they have.
    let multi_factor = Router::new().route("/api/v1/openid/auth_info", post(mfa_auth_info)).with_state(state.clone());
    Router::new()
        .nest("/api/v1", proxy_routes())
        .merge(router_beside(gateway, Elsewhere::router(multi_factor)))
        .fallback(web_page)
        .with_state(state)
}

/// As in the proxy's `src/http.rs`, without its `openid` routes but the one that is left to it.
fn proxy_routes() -> Router<AppState> {
    let enrollment = Router::new()
        .route("/start", post(core_call))
        .route("/activate_user", post(core_call))
        .route("/create_device", post(core_call))
        .route("/network_info", post(core_call))
        .route("/register_mobile", post(core_call));
    let password_reset = Router::new()
        .route("/request", post(core_call))
        .route("/start", post(core_call))
        .route("/reset", post(core_call));
    let client_mfa = Router::new().route("/start", post(core_call)).route("/finish", post(core_call));
    Router::new()
        .nest("/enrollment", enrollment)
        .nest("/password-reset", password_reset)
        .nest("/client-mfa", client_mfa)
        .route("/openid/callback/mfa", post(core_call))
        .route("/poll", post(core_call))
        .route("/health", get(async || "Defguard proxy is up"))
        .route("/health-grpc", get(health_of_core))
        .route("/info", get(async || Json(json!({ "version": env!("CARGO_PKG_VERSION") }))))
}

/// What the proxy answers while no Core is connected.
async fn core_call(State(_state): State<AppState>) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": "Internal server error" }))).into_response()
}

async fn mfa_auth_info(state: State<AppState>, Json(_request): Json<Value>) -> Response {
    core_call(state).await
}

async fn health_of_core(State(state): State<AppState>) -> Response {
    if state.core_connected.load(Ordering::Relaxed) {
        "Alive".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "Not connected to core").into_response()
    }
}

async fn web_page(State(state): State<AppState>) -> Html<&'static str> {
    Html(state.page)
}
