//! From a failed login to what the browser gets: a status, a stable code, a sentence, the trace id. The one place where
//! that is decided; the administrator's hint goes to the log.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::capability::TraceId;
use crate::gateway::LoginError;
use crate::gateway::RefusalKind;
use crate::handover::Words;
use crate::sandbox::CallError;

/// What is said of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) code: String,
    pub(super) message: String,
    pub(super) retry_helps: bool,
    /// Whether the transaction may still be finished: the browser then keeps its cookie.
    pub(super) keeps_transaction: bool,
    /// Seconds after which it makes sense to come again (RFC 9110 section 10.2.3).
    pub(super) retry_after_s: Option<u64>,
}

/// The JSON of an error: Defguard's `error`, and what lets a person and a program tell which.
#[derive(Serialize)]
struct Body<'a> {
    error: &'a str,
    code: &'a str,
    trace: &'a str,
}

impl Answer {
    pub(super) fn new(status: StatusCode, code: &str, message: &str, retry_helps: bool) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
            retry_helps,
            keeps_transaction: false,
            retry_after_s: None,
        }
    }

    /// A request that isn't what the API takes.
    pub(super) fn malformed(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request_malformed", message, false)
    }

    /// A callback larger than any provider sends.
    pub(super) fn callback_oversized() -> Self {
        let message = "The sign-in came back with too much data. Please start again.";
        Self::new(StatusCode::BAD_REQUEST, "callback_oversized", message, true)
    }

    /// A callback on another provider's address (RFC 9700 section 4.4, mix-up).
    pub(super) fn provider_mismatch() -> Self {
        let message = "The sign-in came back from another provider than it was started with. Please start again.";
        Self::new(StatusCode::BAD_REQUEST, "provider_mismatch", message, true)
    }

    /// A path that isn't there.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "There is nothing at this address.", false)
    }

    /// As JSON.
    pub(super) fn json(&self, trace: &TraceId) -> Response {
        let body = Body { error: &self.message, code: &self.code, trace: trace.as_str() };
        (self.status, trace.header(), self.retry_after(), axum::Json(body)).into_response()
    }

    /// `Retry-After`, if that is known.
    pub(super) fn retry_after(&self) -> HeaderMap {
        let seconds = self.retry_after_s.map(HeaderValue::from);
        seconds.into_iter().map(|seconds| (RETRY_AFTER, seconds)).collect()
    }
}

impl From<&LoginError> for Answer {
    fn from(error: &LoginError) -> Self {
        match error {
            LoginError::UnknownProvider(_) => {
                let message = "There is no sign-in provider of this name.";
                Self::new(StatusCode::NOT_FOUND, "provider_unknown", message, false)
            }
            LoginError::Refused(refusal) => {
                // The component says the status; that it is one for an error is seen to here.
                let status = StatusCode::from_u16(refusal.http_status)
                    .ok()
                    .filter(|status| status.is_client_error() || status.is_server_error())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                Self {
                    keeps_transaction: refusal.kind == RefusalKind::StorageUnavailable,
                    ..Self::new(status, &refusal.code, &refusal.message, refusal.retry_helps)
                }
            }
            LoginError::ForeignRedirect(_) => {
                let message = "The sign-in isn't set up correctly. Please tell your administrator.";
                Self::new(StatusCode::BAD_GATEWAY, "authorization_url_refused", message, false)
            }
            LoginError::Plugin(error) => plugin_failed(error),
            LoginError::Barred(barred) => said(barred.words()),
            LoginError::Handover(error) => Self { retry_after_s: error.retry_after_s(), ..said(error.words()) },
        }
    }
}

fn said(words: Words) -> Answer {
    let status = StatusCode::from_u16(words.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::new(status, words.code, words.message, words.retry_helps)
}

fn plugin_failed(error: &CallError) -> Answer {
    let (status, message, keeps_transaction) = match error {
        CallError::Busy(_) | CallError::Instantiate(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many people are signing in right now. Please try again in a moment.",
            true,
        ),
        CallError::Timeout(_) => (StatusCode::GATEWAY_TIMEOUT, "The sign-in took too long. Please start again.", false),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "The sign-in failed inside. Please tell your administrator.", false),
    };
    Answer { keeps_transaction, ..Answer::new(status, error.code(), message, true) }
}

/// What a panic of a handler becomes: the connection lives on, the log says where.
#[expect(clippy::needless_pass_by_value, reason = "the layer's signature")]
pub(super) fn after_panic(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_default();
    let trace = TraceId::new();
    tracing::error!(%trace, panic = text, "a request handler panicked");
    let message = "Something failed inside. Please tell your administrator.";
    Answer::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message, true).json(&trace)
}
