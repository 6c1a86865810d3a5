//! The two listeners. Each request is logged, then meets a fault or its handler. Connections are driven by hyper directly, because
//! some faults happen below HTTP: a connection that is reset, a body that ends early.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use crate::control::Side;
use crate::control::fault_actions::{self, ResetConnection, Target};
use crate::control::requests::{Observed, text};
use crate::encoding::Parameters;
use crate::graph::{batch, throttle};
use crate::world::World;

/// The largest request body that is read.
const BODY_LIMIT: usize = 4 * 1024 * 1024;

/// One listener with its routes.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) world: Arc<World>,
    pub(crate) side: Side,
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
        let request = Request::from_parts(parts, body);
        let is_batch = self.side == Side::Graph && request.uri().path() == batch::PATH;
        if !is_batch || request.method() != Method::POST {
            return self.met(request, false, |request| async { Ok(self.metered(request).await) }).await;
        }
        let run = |request: Request<Bytes>| async move {
            let item = |item| self.met(item, true, |item| async { Ok(self.metered(item).await) });
            batch::run(&self.world, request.headers(), request.body(), item).await
        };
        Box::pin(self.met(request, false, run)).await
    }

    /// Answers a request: logs it, and lets it meet the fault that hits it or its genuine answer.
    async fn met<G: Future<Output = Result<Response, ResetConnection>>>(
        &self,
        request: Request<Bytes>,
        in_batch: bool,
        genuine: impl FnOnce(Request<Bytes>) -> G,
    ) -> Result<Response, ResetConnection> {
        let observed = Observed {
            side: self.side,
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            headers: request.headers(),
            body: request.body(),
            in_batch,
        };
        let form = observed.form();
        let (seq, fault) = self.arrived(&observed, &form);
        let (uri, headers) = (request.uri().clone(), request.headers().clone());
        let genuine = genuine(request);
        let answer = match fault {
            None => genuine.await,
            Some(action) => {
                let target = Target { world: &self.world, side: self.side, uri: &uri, headers: &headers, form: &form };
                fault_actions::apply(action, target, genuine).await
            }
        };
        if let Ok(response) = &answer {
            let units = text(response.headers(), "x-ms-resource-unit").and_then(|units| units.parse().ok());
            self.world.state().log.answered(seq, response.status().as_u16(), units);
        }
        answer
    }

    /// The answer of the handlers, unless Graph's limits refuse the request.
    async fn metered(&self, request: Request<Bytes>) -> Response {
        if self.side == Side::Login {
            return self.handled(request.map(Body::from)).await;
        }
        match throttle::admit(&self.world, request.uri(), request.headers()) {
            Err(refusal) => *refusal,
            Ok(admitted) => {
                let mut response = self.handled(request.map(Body::from)).await;
                admitted.tell(&mut response);
                response
            }
        }
    }

    /// Logs a request, keeps its secrets for tests to search for, and finds the fault that hits it.
    fn arrived(&self, observed: &Observed<'_>, form: &Parameters) -> (u64, Option<crate::control::FaultAction>) {
        let now = self.world.clock.now_unix_s();
        let mut state = self.world.state();
        let secrets: Vec<String> = state
            .directory
            .apps
            .iter()
            .flat_map(|app| app.secrets.iter().map(|secret| secret.value.clone()))
            .filter(|secret| !secret.is_empty())
            .collect();
        let seq = state.log.arrived(observed, now, &secrets);
        state.confidential.note_request(observed, form);
        let fault = state.faults.pick(self.side, observed.path);
        if let Some(action) = &fault {
            state.log.met_fault(seq, action.kind().to_owned());
        }
        drop(state);
        self.world.arrivals.send_modify(|count| *count += 1);
        (seq, fault)
    }

    async fn handled(&self, request: Request<Body>) -> Response {
        match self.routes.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}
