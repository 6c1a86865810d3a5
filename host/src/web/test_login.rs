//! The site of `login-test`: the same begin and callback as for people, for one sign-in whose outcome goes to the terminal
//! and of which nothing is made.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::sync::oneshot;

use super::answer::Answer;
use super::api::{self, CallbackAddress, Finish};
use super::browser::{self, InPath};
use super::language::Language;
use super::{BODY_BYTES, Protection, assets, pages, protect};
use crate::capability::TraceId;
use crate::config::{Provider, ProviderId};
use crate::gateway::{Flow, Gateway, LoginError, Tested};

/// How the test ended, and the sign-in's id.
pub type TestOutcome = (TraceId, Result<Tested, LoginError>);

struct Test {
    gateway: Arc<Gateway>,
    provider: ProviderId,
    outcome: Mutex<Option<oneshot::Sender<TestOutcome>>>,
}

/// `/` begins at `provider`; the outcome of the first sign-in that comes back to its own browser is sent.
pub fn test_router(gateway: Arc<Gateway>, provider: ProviderId, outcome: oneshot::Sender<TestOutcome>) -> Router {
    let protection = Protection::of(gateway.config());
    let test = Arc::new(Test { gateway, provider, outcome: Mutex::new(Some(outcome)) });
    Router::new()
        .route("/", get(start))
        .route("/openid/callback", get(callback_query).post(callback_form))
        .route("/openid/callback/{provider}", get(callback_query).post(callback_form))
        .route("/openid/sign-in", get(async || axum::response::Redirect::to("/")))
        .route("/openid/assets/style.css", get(assets::style))
        .fallback(browser::not_found)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(axum::middleware::map_response_with_state(protection, protect))
        .with_state(test)
}

async fn start(State(test): State<Arc<Test>>, headers: HeaderMap) -> Response {
    let trace = TraceId::new();
    match api::begin(&test.gateway, &headers, Some(test.provider.as_str()), Flow::Test, &trace).await {
        Ok((url, _, cookies)) => match HeaderValue::try_from(url) {
            Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)], cookies).into_response(),
            Err(_) => browser::refuse(Language::of(&headers), &Answer::not_found(), HeaderMap::new(), &trace),
        },
        Err(error) => {
            let answer = browser::refuse(Language::of(&headers), &Answer::from(&error), HeaderMap::new(), &trace);
            test.send(trace, Err(error));
            answer
        }
    }
}

async fn callback_query(
    State(test): State<Arc<Test>>,
    InPath(provider): InPath,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    finish(&test, provider, &headers, query.unwrap_or_default().as_bytes()).await
}

async fn callback_form(
    State(test): State<Arc<Test>>,
    InPath(provider): InPath,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match browser::form_as_query(&test.gateway, provider.as_deref(), &headers, &body) {
        Some(redirect) => redirect,
        None => finish(&test, provider, &headers, &body).await,
    }
}

/// For a test: the outcome is kept aside, the browser learns only whether it would be let in.
struct Testing<'a> {
    test: &'a Test,
    trace: &'a TraceId,
}

impl Finish for Testing<'_> {
    type Outcome = bool;

    async fn finish(
        &self,
        provider: &Provider,
        parameters: Vec<(String, String)>,
        browser_binding: Option<String>,
    ) -> Result<bool, LoginError> {
        // A callback that isn't this browser's ends nothing: the administrator is still on the way.
        let is_ours = browser_binding.is_some();
        let outcome = self.test.gateway.complete_test(provider, parameters, browser_binding, self.trace).await;
        if !is_ours {
            return outcome.map(|_| true);
        }
        let let_in = outcome.is_ok();
        self.test.send(self.trace.clone(), outcome);
        Ok(let_in)
    }
}

async fn finish(test: &Test, provider: Option<String>, headers: &HeaderMap, form: &[u8]) -> Response {
    let trace = TraceId::new();
    let testing = Testing { test, trace: &trace };
    let parameters = browser::parameters(form);
    let address = CallbackAddress::Path(provider);
    let (result, cookies) = api::complete(&test.gateway, headers, address, parameters, &testing).await;
    match result {
        Ok(let_in) => {
            (cookies, Html(pages::tested(Language::of(headers), let_in, &trace).into_string())).into_response()
        }
        Err(answer) => browser::refuse(Language::of(headers), &answer, cookies, &trace),
    }
}

impl Test {
    /// The first one counts; whoever waits may have gone.
    fn send(&self, trace: TraceId, outcome: Result<Tested, LoginError>) {
        let sender = self.outcome.lock().ok().and_then(|mut sender| sender.take());
        if let Some(sender) = sender {
            let _ = sender.send((trace, outcome));
        }
    }
}
