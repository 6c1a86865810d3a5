//! `serve`: the service, from the configuration to the last answer after SIGTERM.

use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::{telemetry, web};

/// How long calls under way may take after the signal: a call ends within 25 s.
const DRAIN: Duration = Duration::from_secs(30);

pub(super) async fn serve(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path)?;
    telemetry::start(&config.log);
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| format!("can't listen on {} (the configuration's `listen`): {error}", config.listen))?;
    let address = listener.local_addr()?;
    let gateway = Gateway::start(config).await?;
    for provider in &gateway.config().providers {
        tracing::info!(provider = %provider.id, redirect_uri = gateway.config().redirect_uri(&provider.id), "provider");
    }
    tracing::info!(%address, sign_in = format!("{}/openid/sign-in", gateway.config().public_url.origin()), "serving");
    let app = web::standalone(gateway);
    let (stopped, mut stop) = tokio::sync::watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let waiting = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new connections, calls under way finish");
        // The receiver below lives as long as this function.
        let _ = stopped.send(true);
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(waiting).into_future();
    tokio::select! {
        outcome = serving => outcome?,
        () = async {
            // The sender is dropped only after it has sent.
            let _ = stop.wait_for(|stopped| *stopped).await;
            tokio::time::sleep(DRAIN).await;
        } => tracing::warn!("calls were still under way after {} s", DRAIN.as_secs()),
    }
    tracing::info!("stopped");
    Ok(())
}
