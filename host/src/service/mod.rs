//! What is below the router: the listener, TLS, connections and their limits, and the orderly end. It knows nothing of
//! sign-in; `web` answers the requests.

mod connection;
mod guard;
mod places;
pub mod tls;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::client::TrustedProxies;
use crate::config::Config;
use crate::metrics::ServiceMetrics;

pub(crate) use guard::Passing;
use places::Places;
use tls::Tls;

/// After a failure to take a connection that isn't the connection's own: too many open files, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);
/// Connections of trusted proxies stay open longer: a proxy that uses one again at the moment of its end would answer 502.
const PROXY_IDLE: Duration = Duration::from_secs(120);

/// A listener for scrapes and for the playground has so few connections, and none that stays silent: the main one must find file descriptors.
const ASIDE: (u32, Times) = (64, Times { header: Duration::from_secs(15), write: Duration::from_secs(15) });

/// The time limits of connections.
#[derive(Debug, Clone, Copy)]
struct Times {
    header: Duration,
    write: Duration,
}

/// A listener with everything that its connections go by.
pub struct Server {
    listener: TcpListener,
    places: Places,
    trusted: TrustedProxies,
    times: Times,
    metrics: ServiceMetrics,
    tls: Option<Arc<Tls>>,
}

impl Server {
    /// With the limits of a configuration.
    pub fn new(listener: TcpListener, config: &Config, metrics: ServiceMetrics) -> Self {
        let limits = &config.limits;
        Self {
            listener,
            places: Places::new(limits.connections, limits.client_connections),
            trusted: config.trusted_proxies.clone(),
            times: Times { header: limits.header_timeout, write: limits.write_timeout },
            metrics,
            tls: None,
        }
    }

    /// For administrators' listeners, which few may reach, and which aren't in the metrics.
    pub fn aside(listener: TcpListener) -> Self {
        let (connections, times) = ASIDE;
        let (trusted, metrics) = (TrustedProxies::default(), ServiceMetrics::default());
        Self { listener, places: Places::new(connections, connections), trusted, times, metrics, tls: None }
    }

    /// The same, speaking TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Serves until `stop`; then takes no connection any more, and comes back when the requests under way are answered, after
    /// `drain` at the latest: whether all of them were. Connections that changed their protocol aren't waited for.
    pub async fn serve(self, app: Router, stop: impl Future<Output = ()>, drain: Duration) -> bool {
        // Each connection holds a receiver: when the last is gone, so is the last connection.
        let (stopping, _) = watch::channel(());
        let stopped = stopping.clone();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                () = self.one(&app, &stopping) => {}
            }
        }
        drop(self.listener);
        // Without receivers there is nobody to tell.
        let _ = stopped.send(());
        drop(stopping);
        tokio::time::timeout(drain, stopped.closed()).await.is_ok()
    }

    /// Takes one connection.
    async fn one(&self, app: &Router, stopping: &watch::Sender<()>) {
        let place = self.places.free().await;
        let (stream, peer) = match self.listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => return self.not_accepted(&error).await,
        };
        let is_proxy = self.trusted.contains(peer.ip());
        let counted = if is_proxy { None } else { crate::client::limited(Some(peer.ip())) };
        let Some(place) = place.taken_by(counted) else {
            // Closed without a word: an answer would cost what the limit is to save.
            self.metrics.turned_away("client_connections");
            return;
        };
        prepare(&stream);
        let mut times = self.times;
        if is_proxy {
            times.header = times.header.max(PROXY_IDLE);
        }
        let held = guard::Held { _place: place, _present: self.metrics.connection() };
        let connection = connection::Connection { peer, times, held, metrics: self.metrics.clone() };
        let (app, stopping) = (app.clone(), stopping.subscribe());
        match &self.tls {
            Some(tls) => drop(tokio::spawn(connection.run_tls(stream, tls.acceptor(), app, stopping))),
            None => drop(tokio::spawn(connection.run(stream, app, stopping))),
        }
    }

    async fn not_accepted(&self, error: &std::io::Error) {
        use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        self.metrics.turned_away("not_accepted");
        tracing::error!(%error, "no connection can be taken (too many open files? see LimitNOFILE and limits.connections)");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

/// Options of the socket; one that can't be set changes nothing that anybody relies on.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    // A tunnel whose client is gone without a word would hold its place for ever.
    let keepalive =
        socket2::TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));
    let _ = socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive);
}
