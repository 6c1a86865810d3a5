//! Carries out an injected fault on one request: in place of the work, or on its answer.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream::{self, StreamExt as _};

use super::faults::FaultAction;
use crate::api::reply::Refusal;

/// The connection is to be reset instead of answered.
#[derive(Debug)]
pub(crate) struct ResetConnection;

/// The answer under the fault. `genuine` does the work; it is asked only if the fault says that the work is done.
pub(crate) async fn apply(
    action: FaultAction,
    genuine: impl Future<Output = Response>,
) -> Result<Response, ResetConnection> {
    Ok(match action {
        FaultAction::Reset => return Err(ResetConnection),
        FaultAction::Hang => std::future::pending().await,
        FaultAction::Delay { delay_ms } => {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            genuine.await
        }
        FaultAction::LateAnswer { delay_ms } => {
            let response = genuine.await;
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            response
        }
        FaultAction::DoneBut { status } => {
            genuine.await;
            failure(status)
        }
        FaultAction::DoneThenReset => {
            genuine.await;
            return Err(ResetConnection);
        }
        FaultAction::DoneThenHang => {
            genuine.await;
            std::future::pending().await
        }
        FaultAction::Status { status, body, retry_after } => {
            with_retry_after(answer(status, body), retry_after.as_deref())
        }
        FaultAction::Truncate { at } => truncated(genuine.await, at).await,
        FaultAction::BadJson => {
            let status = genuine.await.status();
            (status, [(header::CONTENT_TYPE, "application/json")], r#"{"id":1,"user"#).into_response()
        }
        FaultAction::Html { status } => html_page(status),
        FaultAction::Redirect { location } => redirect(&location),
        FaultAction::BigBody { bytes } => big_body(bytes),
        FaultAction::SlowDrip { interval_ms } => slow_drip(genuine.await, Duration::from_millis(interval_ms)).await,
    })
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// As Core says it.
fn failure(status: u16) -> Response {
    let status = code(status);
    Refusal::new(status, status.canonical_reason().unwrap_or_default()).into_response()
}

fn answer(status: u16, body: Option<String>) -> Response {
    match body {
        Some(body) => (code(status), [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        None => failure(status),
    }
}

fn with_retry_after(mut response: Response, retry_after: Option<&str>) -> Response {
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn html_page(status: u16) -> Response {
    let page =
        "<!DOCTYPE html><html><head><title>Gateway</title></head><body><h1>The upstream is away</h1></body></html>";
    (code(status), Html(page)).into_response()
}

fn redirect(location: &str) -> Response {
    match HeaderValue::from_str(location) {
        Ok(location) => (StatusCode::FOUND, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The genuine answers are held in memory: collecting one can't fail.
async fn collected(response: Response) -> (axum::http::response::Parts, Bytes) {
    let (parts, body) = response.into_parts();
    (parts, axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default())
}

/// The whole length in `Content-Length`, fewer bytes, then the connection closes.
async fn truncated(response: Response, at: usize) -> Response {
    let (mut parts, bytes) = collected(response).await;
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let cut = bytes.slice(..at.min(bytes.len().saturating_sub(1)));
    let end = async {
        // A pause lets the server send what it has before the error makes it drop the connection.
        tokio::task::yield_now().await;
        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "cut on purpose"))
    };
    let body = stream::iter([Ok(cut)]).chain(stream::once(end));
    Response::from_parts(parts, Body::from_stream(body))
}

/// `{"padding":"xxxx…"}` of exactly this many bytes, made as it is read.
fn big_body(bytes: u64) -> Response {
    const CHUNK: u64 = 64 * 1024;
    const START: &[u8] = br#"{"padding":""#;
    const END: &[u8] = br#""}"#;
    let padding = bytes.saturating_sub((START.len() + END.len()) as u64);
    let chunk = Bytes::from(vec![b'x'; usize::try_from(CHUNK).unwrap_or_default()]);
    let middle = stream::unfold(padding, move |left| {
        let size = left.min(CHUNK);
        let piece = chunk.slice(..usize::try_from(size).unwrap_or_default());
        async move { (size > 0).then(|| (Ok::<_, Infallible>(piece), left - size)) }
    });
    let edge = |bytes: &'static [u8]| stream::iter([Ok::<_, Infallible>(Bytes::from_static(bytes))]);
    let body = edge(START).chain(middle).chain(edge(END));
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(body)).into_response()
}

async fn slow_drip(response: Response, interval: Duration) -> Response {
    let (mut parts, bytes) = collected(response).await;
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let drops = stream::unfold(bytes, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(interval).await;
        let drop = rest.split_to(1);
        Some((Ok::<_, Infallible>(drop), rest))
    });
    Response::from_parts(parts, Body::from_stream(drops))
}
