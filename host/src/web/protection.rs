//! Headers of every answer of ours: what its pages may load, who may show them, and what a browser keeps of them.

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::{map_response, map_response_with_state};
use axum::response::Response;

use super::elsewhere::NotOurs;
use crate::capability::TraceId;
use crate::config::Config;

/// Our own script, style sheet and pictures only; no frames, no forms, no base. Scripts can't make markup of text.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
                   form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
/// A year, for this host only: what else is under its name is somebody else's to say.
const HSTS: &str = "max-age=31536000";
/// What a page could ask the person for, and ours never does.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), hid=(), \
                           magnetometer=(), microphone=(), midi=(), payment=(), serial=(), usb=()";

/// What depends on the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Protection {
    is_https: bool,
}

impl Protection {
    pub(super) fn of(config: &Config) -> Self {
        Self { is_https: config.public_url.is_https() }
    }
}

/// Puts the headers on an answer of ours; the proxy's answers stay its own.
pub(super) async fn protect(State(protection): State<Protection>, mut response: Response) -> Response {
    if response.extensions().get::<NotOurs>().is_some() {
        return response;
    }
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &str); 7] = [
        (CONTENT_SECURITY_POLICY, CSP),
        // The callback's address holds a code: it must not travel on.
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if protection.is_https {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(HSTS));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Routes of ours that are no step of a sign-in, and so neither limited nor told in the log: with the headers of every answer.
pub(super) fn plain<S: Clone + Send + Sync + 'static>(routes: Router<S>, config: &Config) -> Router<S> {
    routes.layer(map_response(named)).layer(map_response_with_state(Protection::of(config), protect))
}

/// Gives an answer a name of its own.
async fn named(response: Response) -> ([(&'static str, String); 1], Response) {
    (TraceId::default().header(), response)
}
