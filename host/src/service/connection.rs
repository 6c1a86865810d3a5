//! One connection: HTTP/1.1 within its limits. HTTP/2 isn't spoken: a sign-in takes a dozen small requests, and a protocol
//! with streams has floods of its own.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::Times;
use super::guard::{Guarded, Held, Passing};
use crate::metrics::ServiceMetrics;

/// Bytes of the head of a request: the longest callback has 16 KiB, and browsers bring cookies.
const HEAD_BYTES: usize = 48 << 10;
/// The longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Header lines of a request.
const HEADERS: usize = 100;
/// Bytes that are read ahead, and kept back of an answer: also the pieces that a stream passes in.
const BUFFER_BYTES: usize = 64 << 10;

/// What is known of a connection.
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    pub(super) times: Times,
    pub(super) held: Held,
    pub(super) metrics: ServiceMetrics,
}

impl Connection {
    /// As [`Connection::run`], after the handshake, which has as long as the head of a request.
    pub(super) async fn run_tls<S>(
        self,
        stream: S,
        acceptor: TlsAcceptor,
        app: Router,
        mut stopping: watch::Receiver<()>,
    ) where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = tokio::time::timeout(self.times.header.min(HANDSHAKE), acceptor.accept(stream));
        let outcome = tokio::select! {
            outcome = handshake => outcome,
            _ = stopping.changed() => return,
        };
        match outcome {
            Ok(Ok(stream)) => self.run(stream, app, stopping).await,
            Ok(Err(_)) => self.metrics.turned_away("tls_handshake"),
            Err(_) => self.metrics.turned_away("tls_handshake_timeout"),
        }
    }

    /// Answers its requests, until it ends or `stopping` says something: then the request under way is the last.
    pub(super) async fn run<S>(self, stream: S, app: Router, mut stopping: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { peer, times, held, metrics } = self;
        let passing = Passing::default();
        let stream = Guarded::new(stream, times.write, passing.clone(), held);
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            passing.ours();
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(passing.clone());
            app.clone().oneshot(request)
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(times.header)
            .max_header_size(HEAD_BYTES)
            .max_headers(HEADERS)
            .max_buf_size(BUFFER_BYTES);
        let serving = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        tokio::pin!(serving);
        let outcome = tokio::select! {
            outcome = serving.as_mut() => outcome,
            _ = stopping.changed() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = outcome {
            metrics.turned_away(reason(&error));
        }
    }
}

/// Stable, for the metric.
fn reason(error: &hyper::Error) -> &'static str {
    use std::error::Error as _;
    let io = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    if error.is_timeout() {
        "header_timeout"
    } else if error.is_parse_too_large() {
        "header_oversized"
    } else if error.is_parse() {
        "malformed"
    } else if io.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
        "write_timeout"
    } else {
        "broken"
    }
}
