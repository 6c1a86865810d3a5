//! The listener. Each request is logged, then meets a fault or its handler. Connections are driven by hyper directly, because
//! some faults happen below HTTP: a connection that is reset, a body that ends early.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::control::fault_actions::{self, ResetConnection};
use crate::control::faults::FaultAction;
use crate::control::requests::Observed;
use crate::world::World;

/// The largest request body that is read.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// The routes and what they share.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) world: Arc<World>,
    pub(crate) routes: Router,
}

/// Accepts connections until the task is aborted, which ends the connections too.
pub(crate) async fn serve(listener: TcpListener, service: Service) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(stream, peer, service.clone()));
                }
                // Out of file descriptors, or the peer has gone: the next connection may work.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, service: Service) {
    if !peer.ip().is_loopback() {
        return;
    }
    let reset = Arc::new(AtomicBool::new(false));
    let wanted = Arc::clone(&reset);
    let handler = service_fn(move |request: Request<Incoming>| {
        let (service, wanted) = (service.clone(), Arc::clone(&wanted));
        // Boxed because a connection that is driven by hand must be movable.
        Box::pin(async move {
            service.answer(request).await.map_err(|ResetConnection| {
                wanted.store(true, Ordering::SeqCst);
                std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset on purpose")
            })
        })
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new());
    let mut connection = builder.serve_connection(TokioIo::new(stream), handler);
    let end = std::future::poll_fn(|context| connection.poll_without_shutdown(context)).await;
    let stream = connection.into_parts().io.into_inner();
    if end.is_err() && reset.load(Ordering::SeqCst) {
        // Closing without lingering sends a reset in place of an orderly end. If the option is refused, the close is orderly.
        let _ = stream.set_zero_linger();
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response, ResetConnection> {
        if request.uri().path().starts_with("/__admin/") {
            return Ok(self.handled(request.map(Body::new)).await);
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(Body::new(body), BODY_LIMIT).await else {
            return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        };
        let observed = Observed {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body: &body,
        };
        let (seq, delay, fault) = self.arrived(&observed);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let genuine = self.handled(Request::from_parts(parts, Body::from(body)));
        let answer = match fault {
            None => Ok(genuine.await),
            Some(action) => fault_actions::apply(action, genuine).await,
        };
        if let Ok(response) = &answer {
            self.world.state().log.answered(seq, response.status().as_u16());
        }
        answer
    }

    /// Logs a request, keeps its secrets for tests to search for, and finds the delay and the fault that hit it.
    fn arrived(&self, observed: &Observed<'_>) -> (u64, Duration, Option<FaultAction>) {
        let now = self.world.clock.now_unix_s();
        let mut state = self.world.state();
        let seq = state.log.arrived(observed, now);
        state.secrets.extend(observed.secrets());
        let fault = state.faults.pick(observed.method, observed.path);
        if let Some(action) = &fault {
            state.log.met_fault(seq, action.kind());
        }
        let delay = state.delay;
        drop(state);
        self.world.arrivals.send_modify(|count| *count += 1);
        (seq, delay, fault)
    }

    async fn handled(&self, request: Request<Body>) -> Response {
        match self.routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
