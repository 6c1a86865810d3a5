//! Carries out an injected fault on one request: in place of the genuine answer, or on it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream::{self, StreamExt as _};

use super::faults::FaultAction;
use super::{Side, graph_faults, page_faults};
use crate::encoding::{Parameters, http_date};
use crate::graph::errors::error_response;
use crate::login::client_auth::basic_credentials;
use crate::login::errors::{ErrorBody, Refusal, Trace};
use crate::world::World;

/// The connection is to be reset instead of answered.
#[derive(Debug)]
pub(crate) struct ResetConnection;

/// What a fault knows of the request it hits.
pub(crate) struct Target<'a> {
    pub(crate) world: &'a World,
    pub(crate) side: Side,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) form: &'a Parameters,
}

/// The answer under the fault. `genuine` is asked only if the fault builds on the genuine answer.
pub(crate) async fn apply(
    action: FaultAction,
    target: Target<'_>,
    genuine: impl Future<Output = Result<Response, ResetConnection>>,
) -> Result<Response, ResetConnection> {
    Ok(match action {
        FaultAction::Reset => return Err(ResetConnection),
        FaultAction::Hang => std::future::pending().await,
        FaultAction::Delay { delay_ms } => {
            tokio::time::sleep(Duration::from_millis(delay_ms)).await;
            genuine.await?
        }
        FaultAction::Status { status, retry_after, html } => {
            with_retry_after(status_answer(&target, status, html), retry_after.as_deref())
        }
        FaultAction::DiscoveryDown | FaultAction::JwksDown => status_answer(&target, 503, false),
        FaultAction::RetryAt { status, seconds } => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let at = i64::try_from(now.as_secs().saturating_add(seconds)).unwrap_or(i64::MAX);
            with_retry_after(status_answer(&target, status, false), Some(&http_date(at)))
        }
        FaultAction::Gone { form } => graph_faults::gone(&target, form),
        FaultAction::ExpiredPageToken => graph_faults::expired_page_token(&target),
        FaultAction::PageTokenNotFound => graph_faults::page_token_not_found(&target),
        FaultAction::StaleRoles => {
            graph_faults::make_stale(&target);
            genuine.await?
        }
        FaultAction::TokenRefused => {
            graph_faults::revoke(&target);
            genuine.await?
        }
        FaultAction::TruncateQuietly { at } => {
            let (mut parts, bytes) = collected(genuine.await?).await;
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(bytes.slice(..at.min(bytes.len().saturating_sub(1)))))
        }
        FaultAction::Truncate { at } => truncated(genuine.await?, at).await,
        FaultAction::BadJson => {
            ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], r#"{"token_type":"Bearer","acc"#)
                .into_response()
        }
        FaultAction::Html => html_page(StatusCode::OK),
        FaultAction::WrongContentType { content_type } => {
            let mut response = genuine.await?;
            if let Ok(value) = HeaderValue::from_str(&content_type) {
                response.headers_mut().insert(header::CONTENT_TYPE, value);
            }
            response
        }
        FaultAction::Redirect { location, status } => redirect(&location, status),
        FaultAction::BigBody { bytes } => big_body(bytes),
        FaultAction::SlowDrip { interval_ms } => slow_drip(genuine.await?, Duration::from_millis(interval_ms)).await,
        FaultAction::Aadsts { code, error, suberror } => {
            aadsts(&target, &error, code, "An error that was injected.", suberror)
        }
        FaultAction::EchoSecret => {
            let secret = sent_secret(&target);
            let message = format!("Invalid client secret provided: '{secret}'.");
            let code = Refusal::WrongSecret { client_id: String::new() }.code();
            aadsts(&target, "invalid_client", code, &message, None)
        }
        FaultAction::GraphError { status, code } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            error_response(target.world, target.headers, status, &code, "An error that was injected.")
        }
        FaultAction::ForeignNextlink { origin } => {
            let origin = origin.unwrap_or_else(|| page_faults::other_name(&target.world.graph_url));
            page_faults::foreign_nextlink(&origin, target.uri, collected(genuine.await?).await)
        }
        FaultAction::NextlinkLoop => {
            page_faults::nextlink_loop(&target.world.graph_url, target.uri, collected(genuine.await?).await)
        }
        FaultAction::LyingPage { lie } => page_faults::lie(lie, collected(genuine.await?).await),
    })
}

/// The error body of the side that was asked.
fn status_answer(target: &Target<'_>, status: u16, html: bool) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if html {
        return html_page(status);
    }
    match target.side {
        Side::Login => {
            let trace = Trace::new(target.world, target.headers);
            let code = 90_033; // "a transient error has occurred"
            ErrorBody::new(
                target.world,
                &trace,
                "temporarily_unavailable",
                code,
                "The service is temporarily unavailable.",
            )
            .respond(target.world, status)
        }
        Side::Graph => {
            let code = match status.as_u16() {
                401 => "InvalidAuthenticationToken",
                403 => "Authorization_RequestDenied",
                404 => "Request_ResourceNotFound",
                429 => "TooManyRequests",
                503 | 504 => "serviceNotAvailable",
                _ => "UnknownError",
            };
            error_response(target.world, target.headers, status, code, "An error that was injected.")
        }
    }
}

fn with_retry_after(mut response: Response, retry_after: Option<&str>) -> Response {
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

fn html_page(status: StatusCode) -> Response {
    let page = "<!DOCTYPE html><html><head><title>Service</title></head><body><h1>Our services aren't available right now</h1></body></html>";
    (status, Html(page)).into_response()
}

fn redirect(location: &str, status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    match HeaderValue::from_str(location) {
        Ok(location) => (status, [(header::LOCATION, location)]).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn aadsts(target: &Target<'_>, error: &str, code: u32, message: &str, suberror: Option<String>) -> Response {
    let trace = Trace::new(target.world, target.headers);
    let status = if error == "invalid_client" { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
    ErrorBody::new(target.world, &trace, error, code, message).with_suberror(suberror).respond(target.world, status)
}

fn sent_secret(target: &Target<'_>) -> String {
    let basic = basic_credentials(target.headers).map(|(_, secret)| secret);
    target.form.get("client_secret").map(str::to_owned).or(basic).unwrap_or_default()
}

/// The genuine answers are small; an error while collecting one cannot happen with bodies held in memory.
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
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], Body::from_stream(body)).into_response()
}

async fn slow_drip(response: Response, interval: Duration) -> Response {
    let (mut parts, bytes) = collected(response).await;
    parts.headers.insert(HeaderName::from_static("content-length"), HeaderValue::from(bytes.len()));
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
