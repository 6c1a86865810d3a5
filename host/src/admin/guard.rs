//! Who is let in to the administrators' listener. The `Host` header must name it, else a page of anybody's whose name was
//! made to point here could read it (DNS rebinding); if there is a password, it must be told (RFC 7617); and if there is none,
//! a request that came through a proxy may be anybody's.

use std::net::IpAddr;
use std::str::FromStr as _;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::error::Unspecified;
use ring::hmac;
use ring::rand::SystemRandom;
use url::Host;
use zeroize::Zeroizing;

use crate::config::AdminConfig;

/// The user name that goes with the password.
const USER: &str = "admin";
/// What proxies add: RFC 7239, RFC 9110 section 7.6.3, and what they did before. A tunnel adds nothing.
const FORWARDED: [&str; 5] = ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
const CHALLENGE: &str = r#"Basic realm="Defguard OpenID administration", charset="UTF-8""#;

/// What a request must bring.
pub(super) struct Guard {
    hosts: Vec<Host>,
    credentials: Option<Credentials>,
}

/// User name and password as a keyed hash: compared in constant time, and not kept.
struct Credentials {
    key: hmac::Key,
    tag: hmac::Tag,
}

impl Credentials {
    fn are(&self, given: &[u8]) -> bool {
        hmac::verify(&self.key, given, self.tag.as_ref()).is_ok()
    }
}

impl Guard {
    /// As configured. It fails only if the machine gives no randomness.
    pub(super) fn new(config: &AdminConfig) -> Result<Self, Unspecified> {
        let ip = config.listen.ip();
        let mut hosts = config.names.clone();
        if !ip.is_unspecified() {
            hosts.push(match ip {
                IpAddr::V4(ip) => Host::Ipv4(ip),
                IpAddr::V6(ip) => Host::Ipv6(ip),
            });
        }
        if ip.is_loopback() {
            // Browsers resolve this name themselves, so nobody can make it point elsewhere.
            hosts.push(Host::Domain("localhost".to_owned()));
        }
        let credentials = match &config.password {
            None => None,
            Some(password) => {
                let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())?;
                let expected = Zeroizing::new(format!("{USER}:{}", password.expose()));
                let tag = hmac::sign(&key, expected.as_bytes());
                Some(Credentials { key, tag })
            }
        };
        Ok(Self { hosts, credentials })
    }

    /// Whether the one `Host` header names this listener. The port doesn't matter: a tunnel has another, and what rebinds
    /// is a name.
    fn is_host(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Some(host) = host.to_str().ok().filter(|host| !host.contains('@')) else { return false };
        let Ok(authority) = Authority::from_str(host) else { return false };
        Host::parse(authority.host()).is_ok_and(|host| self.hosts.contains(&host))
    }

    /// Whether a proxy on this machine brought somebody to a listener that is open because only this machine can connect.
    fn is_brought(&self, headers: &HeaderMap) -> bool {
        self.credentials.is_none() && FORWARDED.iter().any(|name| headers.contains_key(*name))
    }

    fn is_authorized(&self, headers: &HeaderMap) -> bool {
        let Some(credentials) = &self.credentials else { return true };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let given = value.to_str().ok().and_then(|value| value.split_once(' '));
        let Some((_, encoded)) = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic")) else { return false };
        STANDARD.decode(encoded.trim()).map(Zeroizing::new).is_ok_and(|given| credentials.are(&given))
    }
}

/// Lets a request through, or refuses it.
pub(super) async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    if !guard.is_host(request.headers()) {
        let text = "This listener isn't called by that name: see `names` of [admin] in the host's configuration.\n";
        return (StatusCode::MISDIRECTED_REQUEST, text).into_response();
    }
    if guard.is_brought(request.headers()) {
        let text = "This came through a proxy, and this listener has no password: set `password_file` of [admin] in the host's \
                    configuration.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    if !guard.is_authorized(request.headers()) {
        if request.headers().contains_key(AUTHORIZATION) {
            tracing::warn!("playground: a request with wrong credentials");
        }
        let text = "The user name is admin, the password that of `password_file` of [admin].\n";
        return (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, CHALLENGE)], text).into_response();
    }
    next.run(request).await
}
