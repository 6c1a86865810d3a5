//! `serve`: the service, from the configuration to the last answer after SIGTERM.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing_appender::non_blocking::ErrorCounter;

use super::Failure;
use crate::admin::{self, PLAYGROUND_PATH, Site};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::metrics::ServiceMetrics;
use crate::service::Server;
use crate::service::tls::Tls;
use crate::sync::control;
use crate::sync::schedule::Schedule;
use crate::{metrics, telemetry, web};

/// How long sign-ins under way may take after the signal: the component's call ends within 25 s, the hand-over 20 s later.
const DRAIN: Duration = Duration::from_secs(50);
/// Connections that the system keeps until they are taken; `net.core.somaxconn` may allow fewer. A crowd comes in one moment.
const BACKLOG: u32 = 4096;

/// How often dropped lines of the log are counted.
const COUNTED_EACH: Duration = Duration::from_secs(5);

pub(super) async fn serve(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let telemetry = telemetry::start_traced(&config.log, config.telemetry.as_ref())?;
    let metrics_listener = match config.metrics_listen {
        Some(address) => Some(bind(address, "metrics.listen").await?),
        None => None,
    };
    let admin = match &config.admin {
        Some(admin) => {
            let site = Site::load(&admin.playground, &config)?;
            Some((bind(admin.listen, "admin.listen").await?, admin::router(admin, site)?))
        }
        None => None,
    };
    let live = Live::start(config).await?;
    let gateway = live.gateway();
    for provider in &gateway.config().providers {
        tracing::info!(provider = %provider.id, redirect_uri = gateway.config().redirect_uri(&provider.id), "provider");
    }
    if let Some(listener) = metrics_listener {
        tracing::info!(address = %listener.local_addr()?, "metrics");
        // It ends with the process: a scrape that is cut off comes again.
        let routes = live.mount(|gateway| web::probes(&gateway).merge(metrics::router(gateway)));
        tokio::spawn(Server::aside(listener).serve(routes, std::future::pending(), DRAIN));
    }
    if let Some((listener, router)) = admin {
        tracing::info!(url = format!("http://{}{PLAYGROUND_PATH}", listener.local_addr()?), "playground");
        // As the metrics: nobody waits for a page of text.
        tokio::spawn(Server::aside(listener).serve(router, std::future::pending(), DRAIN));
    }
    tokio::spawn(count_dropped(telemetry.dropped_lines(), gateway.metrics().service()));
    let schedule = Schedule::start(&gateway).await;
    control::serve(&gateway.config().storage, &schedule, gateway.plugins());
    tokio::spawn(on_signal(signal(SignalKind::user_defined1())?, Arc::clone(&schedule)));
    tokio::spawn(follow(live.changes(), schedule));
    tokio::spawn(on_hangup(signal(SignalKind::hangup())?, Arc::clone(&live)));
    // Last, so that whoever is let in here finds the others too.
    let listener = bind(gateway.config().listen, "listen").await?;
    let address = listener.local_addr()?;
    tracing::info!(%address, sign_in = format!("{}/openid/sign-in", gateway.config().public_url.origin()), "serving");
    let tls = match &gateway.config().tls {
        Some(config) => Some(Tls::start(config, &gateway.config().public_url, gateway.metrics().service())?),
        None => None,
    };
    if let Some(tls) = &tls {
        tokio::spawn(Arc::clone(tls).watch());
    }
    let server = Server::new(listener, gateway.config(), gateway.metrics().service()).with_tls(tls);
    drop(gateway);
    let app = live.mount(web::standalone);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let waiting = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        live.gateway().drain();
        tracing::info!("stopping: no new connections, calls under way finish");
    };
    if !server.serve(app, waiting, DRAIN).await {
        tracing::warn!("calls were still under way after {} s", DRAIN.as_secs());
    }
    tracing::info!("stopped");
    telemetry.finish().await;
    Ok(())
}

/// What of the log is lost, in the metrics: the log itself can't say it.
async fn count_dropped(lines: ErrorCounter, metrics: ServiceMetrics) {
    let mut counted = 0;
    let mut turns = tokio::time::interval(COUNTED_EACH);
    loop {
        turns.tick().await;
        let dropped = lines.dropped_lines();
        metrics.log_dropped(dropped.saturating_sub(counted) as u64);
        counted = dropped;
    }
}

/// `USR1`: a run of each provider's synchronisation, now.
async fn on_signal(mut asked: Signal, schedule: Arc<Schedule>) {
    while asked.recv().await.is_some() {
        tracing::info!("signal USR1: directory synchronisation");
        schedule.run_all();
    }
}

/// `HUP`: the configuration, now, its secrets' files too.
async fn on_hangup(mut asked: Signal, live: Arc<Live>) {
    while asked.recv().await.is_some() {
        tracing::info!("signal HUP: configuration");
        // It says what came of it.
        drop(live.reload().await);
    }
}

/// The synchronisation goes the way of the configuration in use, one after the other.
async fn follow(mut changes: watch::Receiver<Arc<Gateway>>, schedule: Arc<Schedule>) {
    while changes.changed().await.is_ok() {
        let gateway = Arc::clone(&changes.borrow_and_update());
        schedule.replace(&gateway).await;
    }
}

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener, String> {
    let listening = async {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // As tokio's own `bind`, but for the queue.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listening
        .await
        .map_err(|error: std::io::Error| format!("can't listen on {address} (the configuration's `{key}`): {error}"))
}
