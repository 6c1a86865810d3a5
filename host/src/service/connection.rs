//! One connection: HTTP/1.1 within its limits. HTTP/2 isn't spoken: a sign-in takes a dozen small requests, and a protocol
//! with streams has floods of its own.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

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

/// At the end: how long a connection may go on that has no request of which we work on the answer; and if it is what passes.
const LAST: Duration = Duration::from_secs(1);
const LAST_PASSING: Duration = Duration::from_secs(5);

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
        let under_way = Arc::new(AtomicU32::new(0));
        let (passes, works) = (passing.clone(), Arc::clone(&under_way));
        let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
            let mut request: Request = request.map(Body::new);
            passes.ours();
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(passes.clone());
            let working = Working::on(&works);
            let answering = app.clone().oneshot(request);
            async move {
                let answer = answering.await;
                drop(working);
                answer
            }
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
                let Some(outcome) = last(serving, &under_way, &passing).await else { return };
                outcome
            }
        };
        if let Err(error) = outcome {
            metrics.turned_away(reason(&error));
        }
    }
}

/// Counts one request for as long as its answer is worked on.
struct Working(Arc<AtomicU32>);

impl Working {
    fn on(under_way: &Arc<AtomicU32>) -> Self {
        under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(under_way))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that ends with its request. `None`: it had none that is worked on, half a head perhaps, or a client that takes nothing of its answer;
/// nobody waits for these.
async fn last<T>(
    mut serving: Pin<&mut impl Future<Output = T>>,
    under_way: &AtomicU32,
    passing: &Passing,
) -> Option<T> {
    let since = Instant::now();
    loop {
        if let Ok(outcome) = tokio::time::timeout(LAST, serving.as_mut()).await {
            return Some(outcome);
        }
        let is_over = !passing.is_theirs() || since.elapsed() >= LAST_PASSING;
        if under_way.load(Ordering::Relaxed) == 0 && is_over {
            return None;
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
