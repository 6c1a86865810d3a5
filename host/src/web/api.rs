//! Defguard's JSON API, as its enrollment web page calls it (proxy 1.6, `openid_login.rs`).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use super::cookies::{self, Fresh, SameSite};
use super::elsewhere::Elsewhere;
use super::guard::{self, Guard};
use crate::capability::TraceId;
use crate::config::Provider;
use crate::gateway::{Completed, Flow, Gateway, LoginError};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum FlowType {
    Enrollment,
    Mfa,
}

#[derive(Deserialize)]
struct AuthInfoRequest {
    #[serde(rename = "type")]
    flow: FlowType,
    provider: Option<String>,
}

#[derive(Serialize)]
struct AuthInfoResponse<'a> {
    url: &'a str,
    button_display_name: &'a str,
}

/// The callback's parameters, as the web page passes them on.
#[derive(Deserialize)]
struct CallbackRequest {
    #[serde(rename = "type")]
    flow: FlowType,
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    error_subcode: Option<String>,
}

#[derive(Deserialize)]
struct RedeemRequest {
    token: String,
}

#[derive(Serialize)]
struct ProviderInfo<'a> {
    id: &'a str,
    kind: &'a str,
    display_name: &'a str,
}

/// `POST /api/v1/openid/auth_info`.
pub(super) async fn auth_info(
    State(gateway): State<Arc<Gateway>>,
    Extension(guard): Extension<Arc<Guard>>,
    elsewhere: Option<Extension<Elsewhere>>,
    trace: TraceId,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = guard::bytes(body).await;
    let headers = &parts.headers;
    let request: AuthInfoRequest = match read(headers, &body) {
        Ok(request) => request,
        Err(answer) => return answer.json(&trace),
    };
    if request.flow == FlowType::Mfa {
        return match elsewhere {
            Some(Extension(elsewhere)) => elsewhere.answer(Request::from_parts(parts, body.into())).await,
            None => no_mfa().json(&trace),
        };
    }
    if let Err(answer) = guard.step(&trace) {
        return answer.json(&trace);
    }
    match begin(&gateway, headers, request.provider.as_deref(), Flow::Enrollment, &trace).await {
        Ok((url, display_name, cookies)) => {
            let body = AuthInfoResponse { url: &url, button_display_name: &display_name };
            (StatusCode::OK, trace.header(), cookies, Json(body)).into_response()
        }
        Err(error) => Answer::from(&error).json(&trace),
    }
}

/// Begins a sign-in: the address to send the browser to, the button's text, and the cookie.
pub(super) async fn begin(
    gateway: &Gateway,
    headers: &HeaderMap,
    provider: Option<&str>,
    flow: Flow,
    trace: &TraceId,
) -> Result<(String, String, HeaderMap), LoginError> {
    let provider = gateway.provider(provider)?;
    let begun = gateway.begin(provider, flow, None, trace).await?;
    let mut answer = HeaderMap::new();
    let fresh = Fresh {
        state: &begun.state,
        secret: &begun.browser_binding,
        provider: &provider.id,
        life: (gateway.now_unix_ms() / 1000, begun.expires_at_unix_s),
        same_site: if provider.answers_with_form { SameSite::None } else { SameSite::Lax },
    };
    cookies::set(&mut answer, headers, &fresh);
    Ok((begun.url, provider.display_name.clone(), answer))
}

/// `POST /api/v1/openid/callback`.
pub(super) async fn callback(
    State(gateway): State<Arc<Gateway>>,
    Extension(guard): Extension<Arc<Guard>>,
    elsewhere: Option<Extension<Elsewhere>>,
    trace: TraceId,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = guard::bytes(body).await;
    let headers = &parts.headers;
    let request: CallbackRequest = match read(headers, &body) {
        Ok(request) => request,
        Err(answer) => return answer.json(&trace),
    };
    if request.flow == FlowType::Mfa {
        if let Some(Extension(elsewhere)) = elsewhere {
            return elsewhere.answer(Request::from_parts(parts, body.into())).await;
        }
        return Answer::malformed("Invalid flow type for OpenID enrollment callback").json(&trace);
    }
    if let Err(answer) = guard.step(&trace) {
        return answer.json(&trace);
    }
    let parameters: Vec<(String, String)> = [
        ("code", request.code),
        ("state", request.state),
        ("iss", request.iss),
        ("error", request.error),
        ("error_description", request.error_description),
        ("error_subcode", request.error_subcode),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect();
    let (result, cookies) =
        complete(&gateway, headers, CallbackAddress::Api, parameters, &Enrolling(&gateway, &trace)).await;
    match result {
        Ok(completed) => (StatusCode::OK, trace.header(), cookies, Json(completed.enrollment)).into_response(),
        Err(answer) => (cookies, answer.json(&trace)).into_response(),
    }
}

/// Where a callback arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CallbackAddress {
    /// The web page's JSON call, which doesn't say.
    Api,
    /// `/openid/callback`, or `/openid/callback/{provider}`.
    Path(Option<String>),
}

/// What a finished sign-in is for.
pub(super) trait Finish {
    /// What comes of it.
    type Outcome;

    /// The second step.
    async fn finish(
        &self,
        provider: &Provider,
        parameters: Vec<(String, String)>,
        browser_binding: Option<String>,
    ) -> Result<Self::Outcome, LoginError>;
}

/// For an enrollment.
pub(super) struct Enrolling<'a>(pub(super) &'a Gateway, pub(super) &'a TraceId);

impl Finish for Enrolling<'_> {
    type Outcome = Completed;

    async fn finish(
        &self,
        provider: &Provider,
        parameters: Vec<(String, String)>,
        browser_binding: Option<String>,
    ) -> Result<Completed, LoginError> {
        self.0.complete(provider, Flow::Enrollment, parameters, browser_binding, self.1).await
    }
}

/// Finishes a login, whichever way the callback came in; and says what becomes of the cookie.
pub(super) async fn complete<F: Finish>(
    gateway: &Gateway,
    headers: &HeaderMap,
    address: CallbackAddress,
    parameters: Vec<(String, String)>,
    finish: &F,
) -> (Result<F::Outcome, Answer>, HeaderMap) {
    let mut answer_headers = HeaderMap::new();
    if is_oversized(&parameters) {
        return (Err(Answer::callback_oversized()), answer_headers);
    }
    // With two states the component refuses; the cookie of neither is touched.
    let mut states = parameters.iter().filter(|(name, _)| name == "state").map(|(_, value)| value.clone());
    let state = states.next().filter(|_| states.next().is_none());
    let binding = state.as_deref().and_then(|state| cookies::find(headers, state));
    let provider = match addressed(gateway, &address, binding.as_ref()) {
        Ok(provider) => provider,
        Err(answer) => return (Err(answer), answer_headers),
    };
    let secret = binding.map(|binding| binding.secret);
    let had_cookie = secret.is_some();
    let result = finish.finish(provider, parameters, secret).await.map_err(|error| Answer::from(&error));
    if let Some(state) = state.filter(|_| had_cookie)
        && !result.as_ref().is_err_and(|answer| answer.keeps_transaction)
    {
        cookies::remove(&mut answer_headers, &state);
    }
    (result, answer_headers)
}

/// Whose callback it is: the cookie says it, and the path must say the same.
fn addressed<'a>(
    gateway: &'a Gateway,
    address: &CallbackAddress,
    binding: Option<&cookies::Binding>,
) -> Result<&'a Provider, Answer> {
    let named = match (binding, address) {
        (Some(binding), _) => Some(binding.provider.as_str().to_owned()),
        (None, CallbackAddress::Path(provider)) => provider.clone(),
        (None, CallbackAddress::Api) => None,
    };
    let provider = gateway.provider(named.as_deref()).map_err(|error| Answer::from(&error))?;
    if let CallbackAddress::Path(path) = address {
        let arrived =
            path.as_ref().map_or_else(|| "/openid/callback".to_owned(), |id| format!("/openid/callback/{id}"));
        if arrived != gateway.config().callback_path(&provider.id) {
            return Err(Answer::provider_mismatch());
        }
    }
    Ok(provider)
}

/// The contract's bounds for callbacks: 32 parameters, 16 KiB.
fn is_oversized(parameters: &[(String, String)]) -> bool {
    parameters.len() > 32 || parameters.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > 16 << 10
}

/// `POST /api/v1/openid/callback/mfa`.
pub(super) async fn callback_mfa(trace: TraceId) -> Response {
    no_mfa().json(&trace)
}

fn no_mfa() -> Answer {
    let message = "This host signs people in for enrollment; multi-factor sign-in is Defguard's own.";
    Answer::new(StatusCode::BAD_REQUEST, "flow_not_supported", message, false)
}

/// `GET /api/v1/openid/providers`.
pub(super) async fn providers(State(gateway): State<Arc<Gateway>>) -> Response {
    let providers: Vec<_> = gateway
        .config()
        .providers
        .iter()
        .map(|provider| ProviderInfo {
            id: provider.id.as_str(),
            kind: provider.kind.as_str(),
            display_name: &provider.display_name,
        })
        .collect();
    Json(providers).into_response()
}

/// `POST /api/v1/openid/local/redeem`: the identity behind a token that this host minted, once.
pub(super) async fn redeem(
    State(gateway): State<Arc<Gateway>>,
    Extension(guard): Extension<Arc<Guard>>,
    trace: TraceId,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(answer) = guard.step(&trace) {
        return answer.json(&trace);
    }
    let request: RedeemRequest = match read(&headers, &body) {
        Ok(request) => request,
        Err(answer) => return answer.json(&trace),
    };
    match gateway.handover().redeem(&request.token).await {
        Ok(Some(redeemed)) => Json(redeemed).into_response(),
        Ok(None) => Answer::new(StatusCode::NOT_FOUND, "token_unknown", "This token isn't known, or was used.", false)
            .json(&trace),
        Err(error) => Answer::from(&LoginError::Handover(error)).json(&trace),
    }
}

/// Any other path below the API.
pub(super) async fn not_found(trace: TraceId) -> Response {
    Answer::not_found().json(&trace)
}

/// JSON, and said to be: a page of another origin can't send that without asking the browser first.
fn read<'a, T: Deserialize<'a>>(headers: &HeaderMap, body: &'a Bytes) -> Result<T, Answer> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let message = "The request's Content-Type must be application/json.";
        return Err(Answer::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request_malformed", message, false));
    }
    serde_json::from_slice(body).map_err(|error| {
        // The error's text may repeat a value: say the place only.
        Answer::malformed(&format!(
            "The request isn't the expected JSON (line {}, column {}).",
            error.line(),
            error.column()
        ))
    })
}
