//! The service that we are measured against: axum and the `openidconnect` crate in native code, as little as a fair one may be. It has the
//! provider's documents from its start, keeps state, nonce and verifier in memory between the two steps, and answers as ours does. It has no
//! page, no limits, no log, no metrics, no audit, no policy; and nothing of a sign-in outlives it.
//!
//! `native-service LISTEN PUBLIC_URL AUTHORITY CLIENT_ID CLIENT_SECRET`

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use axum::{Json, Router};
use bench::native::{Begun, Native, Outgoing};
use serde::Deserialize;
use serde_json::{Value, json};

struct Service {
    native: Native,
    client: Outgoing,
    public_url: String,
    begun: Mutex<HashMap<String, Begun>>,
}

#[derive(Deserialize)]
struct Callback {
    code: String,
    state: String,
}

async fn begin(State(service): State<Arc<Service>>) -> Json<Value> {
    let begun = service.native.begin();
    let answer = json!({ "url": begun.url, "button_display_name": "Sign in with Microsoft" });
    service.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(begun.state.clone(), begun);
    Json(answer)
}

async fn complete(
    State(service): State<Arc<Service>>,
    Json(callback): Json<Callback>,
) -> Result<Json<Value>, StatusCode> {
    let begun = service.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&callback.state);
    let begun = begun.ok_or(StatusCode::BAD_REQUEST)?;
    let person = service.native.redeem(callback.code, begun, &service.client).await;
    Ok(Json(json!({ "url": service.public_url, "token": person.subject })))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, public_url, authority, id, secret] = arguments.as_slice() else {
        return Err("usage: native-service LISTEN PUBLIC_URL AUTHORITY CLIENT_ID CLIENT_SECRET".into());
    };
    // Fails only if there is one already, which then is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
    let discovery = client.get(format!("{authority}/.well-known/openid-configuration")).send().await?.bytes().await?;
    let addresses: Value = serde_json::from_slice(&discovery)?;
    let keys = client.get(addresses["jwks_uri"].as_str().ok_or("no jwks_uri")?).send().await?.bytes().await?;
    let redirect_uri = format!("{public_url}/openid/callback");
    let service = Arc::new(Service {
        native: Native::new(&discovery, &keys, (id, secret), &redirect_uri),
        client: Outgoing(client),
        public_url: public_url.clone(),
        begun: Mutex::default(),
    });
    let routes = Router::new()
        .route("/health", get(async || "ok"))
        .route("/api/v1/openid/auth_info", post(begin))
        .route("/api/v1/openid/callback", post(complete))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind(listen).await?;
    // As ours; what the system does if it can't be set is slower, and no error.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, routes).await?;
    Ok(())
}
