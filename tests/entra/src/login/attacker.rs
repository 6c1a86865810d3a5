//! What an attacker would host for tokens that name their own keys (`jku`, `x5u`). A client that comes here is in the request log.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::key_set::json_web_key;
use crate::world::World;

/// `GET /attacker/keys`: the attacker's key set.
pub(crate) async fn keys(State(world): State<Arc<World>>) -> Json<Value> {
    let stranger = world.state().keys.stranger();
    Json(json!({ "keys": [json_web_key(&world, &stranger, None)] }))
}

/// `GET /attacker/certificate`: the attacker's certificate in PEM.
pub(crate) async fn certificate(State(world): State<Arc<World>>) -> Response {
    let stranger = world.state().keys.stranger();
    let body = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        STANDARD.encode(stranger.certificate())
    );
    ([("content-type", "application/x-pem-file")], body).into_response()
}
