//! Requests on our paths that aren't ours to answer, such as multi-factor sign-in: they go on, as they came, to whoever does,
//! the proxy behind us or the application around us.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, Request, State};
use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tower::ServiceExt as _;

use super::answer::Answer;
use super::browser;
use super::language::Language;
use super::protection::{Protection, protect};
use crate::capability::TraceId;
use crate::service::Passing;
use crate::upstream::Upstream;

/// To a person whose request can't be passed on.
pub(super) const UNREACHABLE: &str = "Defguard can't be reached right now. Please try again in a few minutes.";

/// On an answer that isn't ours, or has our headers already: they aren't put on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct NotOurs;

type Handler = dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync;

/// Who answers them.
#[derive(Clone)]
pub struct Elsewhere(Arc<Handler>);

impl Elsewhere {
    /// A handler of the application around us: it gets the request with its body.
    pub fn new<F, R>(handler: F) -> Self
    where
        F: Fn(Request) -> R + Send + Sync + 'static,
        R: Future<Output = Response> + Send + 'static,
    {
        Self(Arc::new(move |request| handler(request).boxed()))
    }

    /// Routes of the application around us, at the paths that requests come with: `/api/v1/openid/auth_info`, and
    /// `/openid/callback` if `pages.callback` is `proxy`.
    pub fn router(routes: Router) -> Self {
        Self::new(move |request| {
            let answer = routes.clone().oneshot(request);
            async move {
                match answer.await {
                    Ok(answer) => answer,
                    Err(never) => match never {},
                }
            }
        })
    }

    /// The proxy behind us.
    pub(super) fn upstream(upstream: Upstream, protection: Protection) -> Self {
        Self::new(move |request| {
            let upstream = upstream.clone();
            async move { pass(&upstream, protection, request).await }
        })
    }

    /// The answer. Whoever gives it sees the path that was asked for, not the rest of it that our routers have left.
    pub(super) async fn answer(&self, mut request: Request) -> Response {
        if let Some(OriginalUri(uri)) = request.extensions_mut().remove() {
            *request.uri_mut() = uri;
        }
        if let Some(passing) = request.extensions().get::<Passing>() {
            passing.theirs();
        }
        let mut answer = (self.0)(request).await;
        answer.extensions_mut().insert(NotOurs);
        answer
    }
}

/// Passes a request on to the proxy behind us; a failure is answered in the form that the path has.
async fn pass(upstream: &Upstream, protection: Protection, request: Request) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let language = Language::of(request.headers());
    let trace = request.extensions().get::<TraceId>().cloned().unwrap_or_default();
    match upstream.pass(request).await {
        Ok(answer) => answer,
        Err(error) => {
            tracing::warn!(%trace, code = error.code(), "{error}");
            let answer = Answer::new(error.status(), error.code(), UNREACHABLE, true);
            let answer = if is_api {
                answer.json(&trace)
            } else {
                browser::refuse(language, &answer, axum::http::HeaderMap::new(), &trace)
            };
            protect(State(protection), answer).await
        }
    }
}
