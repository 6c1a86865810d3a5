//! `/health`: whether this process lives, for who would restart it. `/ready`: whether it should be sent people, for who shares
//! them out. Both say why, and nothing that is secret: ids of providers, a digest, states. Words of the storage and of Core are
//! the log's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::protection::plain;
use crate::gateway::Gateway;

/// Why something isn't as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Reason {
    /// Stable.
    code: &'static str,
    /// For people.
    message: &'static str,
}

const DRAINING: Reason =
    Reason { code: "draining", message: "This host is stopping: it finishes what is under way and takes nothing new." };
const EPOCHS: Reason =
    Reason { code: "epoch_thread_stopped", message: "The clock that stops runaway calls of the plugin stands still." };
const STORAGE: Reason =
    Reason { code: "storage_unreachable", message: "The storage doesn't answer. The log has its words." };
const CORE: Reason = Reason {
    code: "core_breaker_open",
    message: "Defguard Core failed several times in a row and isn't asked for a while.",
};

/// `GET /health` and `GET /ready`, for any listener.
pub fn probes<S: Clone + Send + Sync + 'static>(gateway: &Arc<Gateway>) -> Router<S> {
    let probes = Router::new().route("/health", get(health)).route("/ready", get(ready));
    plain(probes, gateway.config()).with_state(Arc::clone(gateway))
}

/// Alive: 503 only for what a restart mends.
async fn health(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let core = gateway.handover().health();
    let is_alive = gateway.plugin().runtime().is_ticking();
    let mut reasons = Vec::new();
    let mut status = "ok";
    if core.is_some_and(|core| !core.is_good) {
        status = "degraded";
        reasons.push(CORE);
    }
    if gateway.is_draining() {
        status = "draining";
        reasons.push(DRAINING);
    }
    if !is_alive {
        status = "failing";
        reasons.push(EPOCHS);
    }
    let body = json!({
        "status": status,
        "reasons": reasons,
        "version": env!("CARGO_PKG_VERSION"),
        "plugin": { "sha256": gateway.plugin().sha256() },
        "core": core,
    });
    (code(is_alive), Json(body))
}

/// Ready: 503 while nobody could sign in here who could on another host. Core and the providers are the same for all hosts, so
/// what they do is told and counts for nothing.
async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, Json<Value>) {
    let core = gateway.handover().health();
    let has_storage = gateway.storage_answers().await;
    let checks = [
        (gateway.is_draining(), DRAINING),
        (!gateway.plugin().runtime().is_ticking(), EPOCHS),
        (!has_storage, STORAGE),
    ];
    let mut reasons: Vec<Reason> = checks.into_iter().filter(|(is_so, _)| *is_so).map(|(_, reason)| reason).collect();
    let is_ready = reasons.is_empty();
    if core.is_some_and(|core| !core.is_good) {
        reasons.push(CORE);
    }
    let status = match (is_ready, reasons.is_empty()) {
        (false, _) => "unready",
        (true, false) => "degraded",
        (true, true) => "ready",
    };
    let providers: Vec<Value> = gateway
        .config()
        .providers
        .iter()
        .map(|provider| {
            let age = gateway.key_set_age(&provider.id);
            json!({
                "id": provider.id.as_str(),
                "keys": if age.is_some() { "known" } else { "unknown" },
                "keys_age_s": age.map(|age| age.as_secs()),
            })
        })
        .collect();
    let body = json!({
        "status": status,
        "reasons": reasons,
        "plugin": { "loaded": true, "sha256": gateway.plugin().sha256() },
        "storage": { "reachable": has_storage },
        "core": core,
        "providers": providers,
    });
    (code(is_ready), Json(body))
}

fn code(is_good: bool) -> StatusCode {
    if is_good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
