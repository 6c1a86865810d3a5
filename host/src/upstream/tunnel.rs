//! Connections that change their protocol (RFC 9110 section 7.8), web sockets above all: after the 101 both sides' bytes are
//! copied until one of them ends.

use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, UPGRADE};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// A client that asked for another protocol.
pub(super) struct Waiting {
    /// Which.
    pub(super) protocol: HeaderValue,
    client: OnUpgrade,
}

/// Whether the client asks for another protocol.
pub(super) fn wanted(request: &mut Request) -> Option<Waiting> {
    let asks = request
        .headers()
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|option| option.trim().eq_ignore_ascii_case("upgrade"));
    let protocol = request.headers().get(UPGRADE).filter(|_| asks)?.clone();
    Some(Waiting { protocol, client: hyper::upgrade::on(request) })
}

/// Joins both sides as soon as the client has its 101; the protocol.
pub(super) fn join(waiting: Waiting, answer: &mut axum::http::Response<Incoming>) -> Option<HeaderValue> {
    let protocol = answer.headers().get(UPGRADE).cloned();
    let server = hyper::upgrade::on(answer);
    tokio::spawn(async move {
        let (client, server) = match futures_util::future::try_join(waiting.client, server).await {
            Ok(both) => both,
            Err(error) => {
                tracing::debug!(%error, "a connection didn't change its protocol");
                return;
            }
        };
        // It ends when either side does; how, is between the two.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(server)).await;
    });
    protocol
}
