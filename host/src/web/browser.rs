//! The site for browsers without Defguard's web page: a sign-in page, the redirect to the provider, the callback, and the
//! page that a browser shows while the callback is worked on. No script is needed.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::rejection::ExtensionRejection;
use axum::extract::{FromRequestParts, OptionalFromRequestParts, Path, RawQuery, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use url::form_urlencoded;

use super::answer::Answer;
use super::api::{self, CallbackAddress, Enrolling};
use super::elsewhere::Elsewhere;
use super::guard::Guard;
use super::language::Language;
use super::{cookies, pages};
use crate::capability::TraceId;
use crate::gateway::{Flow, Gateway};

/// The largest form that becomes a query, in bytes: no provider's is larger.
const MAX_FORM_BYTES: usize = 16 << 10;

/// The provider in the callback's path, if it names one.
pub(super) struct InPath(pub(super) Option<String>);

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for InPath {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let path = <Path<String> as OptionalFromRequestParts<S>>::from_request_parts(parts, state).await;
        Ok(Self(path.ok().flatten().map(|Path(id)| id)))
    }
}

/// A request's name, and what it goes by.
pub(super) struct Asked {
    trace: TraceId,
    guard: Extension<Arc<Guard>>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ExtensionRejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let guard = <Extension<Arc<Guard>> as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let Ok(trace) = TraceId::from_request_parts(parts, state).await;
        Ok(Self { trace, guard })
    }
}

/// `GET /openid/sign-in`.
pub(super) async fn sign_in(State(gateway): State<Arc<Gateway>>, headers: HeaderMap) -> Response {
    let pages = &gateway.config().pages;
    let token_page = pages.token_page.as_deref().filter(|_| pages.token_enrollment);
    Html(pages::sign_in(Language::of(&headers), &gateway.config().providers, token_page).into_string()).into_response()
}

/// `GET /openid/start?provider=ID`: begins, and sends the browser to the provider.
pub(super) async fn start(
    method: Method,
    State(gateway): State<Arc<Gateway>>,
    Extension(guard): Extension<Arc<Guard>>,
    trace: TraceId,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if method == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    // A browser that only looks ahead would begin logins that nobody finishes.
    if ["sec-purpose", "purpose"]
        .iter()
        .any(|name| headers.get(*name).is_some_and(|value| value.as_bytes().starts_with(b"prefetch")))
    {
        return StatusCode::NO_CONTENT.into_response();
    }
    if let Err(answer) = guard.step(&trace) {
        return refuse(Language::of(&headers), &answer, HeaderMap::new(), &trace);
    }
    let query = query.unwrap_or_default();
    let provider =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "provider").map(|(_, value)| value);
    match api::begin(&gateway, &headers, provider.as_deref(), Flow::Enrollment, &trace).await {
        Ok((url, _, mut cookies)) => match HeaderValue::try_from(url) {
            Ok(location) => {
                cookies.insert(header::LOCATION, location);
                (StatusCode::SEE_OTHER, trace.header(), cookies).into_response()
            }
            Err(_) => refuse(
                Language::of(&headers),
                &Answer::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "The sign-in failed inside. Please tell your administrator.",
                    true,
                ),
                HeaderMap::new(),
                &trace,
            ),
        },
        Err(error) => refuse(Language::of(&headers), &Answer::from(&error), HeaderMap::new(), &trace),
    }
}

/// `GET /openid/callback[/{provider}]`: `response_mode=query`. What must be worked on, with calls to the provider and to
/// whoever owns the users, is answered with a page that says so; the browser goes on to [`finish_query`] by itself.
pub(super) async fn callback_query(
    method: Method,
    State(gateway): State<Arc<Gateway>>,
    asked: Asked,
    InPath(provider): InPath,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if method == Method::HEAD {
        // A look at the callback must not redeem its code.
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let query = query.unwrap_or_default();
    match progress(provider.as_deref(), &headers, query.as_bytes()) {
        Some(page) => page,
        None => finish(&gateway, &asked, provider, &headers, query.as_bytes()).await,
    }
}

/// `GET /openid/callback[/{provider}]` where the proxy's web page shows what becomes of it (`pages.callback = "proxy"`): that
/// page sends code and state to our API. It knows nothing of errors, so those are ours.
pub(super) async fn callback_of_proxy(
    State(gateway): State<Arc<Gateway>>,
    Extension(elsewhere): Extension<Elsewhere>,
    asked: Asked,
    InPath(provider): InPath,
    request: Request,
) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    if parameters(query.as_bytes()).iter().any(|(name, _)| name == "error") && request.method() != Method::HEAD {
        return finish(&gateway, &asked, provider, request.headers(), query.as_bytes()).await;
    }
    elsewhere.answer(request).await
}

/// `GET /openid/finish[/{provider}]`: where the progress page leads, with the callback's own parameters.
pub(super) async fn finish_query(
    method: Method,
    State(gateway): State<Arc<Gateway>>,
    asked: Asked,
    InPath(provider): InPath,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    if method == Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    finish(&gateway, &asked, provider, &headers, query.unwrap_or_default().as_bytes()).await
}

/// The progress page, for a callback with a code that comes back to its own browser; `None`: there is nothing to wait for.
fn progress(provider: Option<&str>, headers: &HeaderMap, query: &[u8]) -> Option<Response> {
    let parameters = parameters(query);
    let value = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
    value("code")?;
    cookies::find(headers, value("state")?)?;
    // Parsed and written anew: nothing but parameters gets into the header.
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(query)).finish();
    let path = provider.map_or_else(|| "/openid/finish".to_owned(), |id| format!("/openid/finish/{id}"));
    let refresh = HeaderValue::try_from(format!("0; url={path}?{query}")).ok()?;
    let page = pages::progress(Language::of(headers)).into_string();
    Some(([(header::REFRESH, refresh)], Html(page)).into_response())
}

/// `POST /openid/callback[/{provider}]`: `response_mode=form_post`, a form that the provider's page sends. Its cookie is
/// `SameSite=None` where that is configured. A provider may send a form unasked: then browsers keep our `SameSite=Lax` cookies
/// back from a request of another site; so it is answered with a redirect to the same address, with
/// the form as its query, which is a request of ours.
pub(super) async fn callback_form(
    State(gateway): State<Arc<Gateway>>,
    asked: Asked,
    InPath(provider): InPath,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match form_as_query(&gateway, provider.as_deref(), &headers, &body) {
        Some(redirect) => redirect,
        None => finish(&gateway, &asked, provider, &headers, &body).await,
    }
}

/// The redirect that [`callback_form`] speaks of; `None`: the form came with our cookies, or makes no sense.
pub(super) fn form_as_query(
    gateway: &Gateway,
    provider: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Option<Response> {
    let path = provider.map_or_else(|| "/openid/callback".to_owned(), |id| format!("/openid/callback/{id}"));
    let known = gateway.config().providers.iter().any(|known| gateway.config().callback_path(&known.id) == path);
    if !known || super::cookies::any(headers) || body.len() > MAX_FORM_BYTES || body.is_empty() {
        return None;
    }
    // Parsed and written anew: nothing but parameters gets into the address.
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(body)).finish();
    let location = HeaderValue::try_from(format!("{path}?{query}")).ok()?;
    Some((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

async fn finish(
    gateway: &Gateway,
    asked: &Asked,
    provider: Option<String>,
    headers: &HeaderMap,
    form: &[u8],
) -> Response {
    let Asked { trace, guard: Extension(guard) } = asked;
    if let Err(answer) = guard.step(trace) {
        return refuse(Language::of(headers), &answer, HeaderMap::new(), trace);
    }
    let enrolling = Enrolling(gateway, trace);
    let address = CallbackAddress::Path(provider);
    let (result, cookies) = api::complete(gateway, headers, address, parameters(form), &enrolling).await;
    match result {
        Ok(completed) => {
            let page = pages::signed_in(Language::of(headers), &completed, trace);
            (trace.header(), cookies, Html(page.into_string())).into_response()
        }
        Err(answer) => refuse(Language::of(headers), &answer, cookies, trace),
    }
}

/// Decoded as far as the bounds may need, no further.
pub(super) fn parameters(form: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(form).take(64).map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

/// Any other path below `/openid`.
pub(super) async fn not_found(trace: TraceId, headers: HeaderMap) -> Response {
    refuse(Language::of(&headers), &Answer::not_found(), HeaderMap::new(), &trace)
}

pub(super) fn refuse(language: Language, answer: &Answer, cookies: HeaderMap, trace: &TraceId) -> Response {
    let page = pages::refused(language, answer, trace).into_string();
    (answer.status, trace.header(), answer.retry_after(), cookies, Html(page)).into_response()
}
