//! The Defguard proxy behind this host (`upstream`): what isn't ours is passed on to it and back, streaming in both
//! directions, web sockets included. Nothing is buffered, followed or rewritten but the headers that a reverse proxy must set.

mod headers;
mod tunnel;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::uri::{Authority, PathAndQuery, Scheme, Uri};
use axum::http::{HeaderValue, StatusCode, Version};
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::client::{TrustedProxies, peer};
use crate::config::PublicUrl;

/// For a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// From a whole request to the head of its answer. What comes after it may take as long as it likes: downloads, web sockets.
const HEAD: Duration = Duration::from_mins(1);
/// The same for a request that has a body, which has to get there first.
const HEAD_AFTER_BODY: Duration = Duration::from_mins(10);

/// `upstream` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// `host:port` of the proxy.
    pub authority: String,
}

impl UpstreamConfig {
    /// `http://host:port`, without a path. The proxy stands beside this host: TLS ends in front of both.
    pub fn parse(text: &str) -> Result<String, String> {
        let url = url::Url::parse(text.trim()).map_err(|error| format!("{text:?} isn't a URL: {error}"))?;
        let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        if url.scheme() != "http" || !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("{text:?} isn't of the form http://host:port"));
        }
        let host = url.host_str().ok_or_else(|| format!("{text:?} names no host"))?;
        Ok(format!("{host}:{}", url.port_or_known_default().unwrap_or(80)))
    }
}

/// Why the proxy behind gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No connection, or it broke before the answer.
    #[error("the Defguard proxy at {0} can't be reached: {1}")]
    Unreachable(String, String),
    /// No answer in time.
    #[error("the Defguard proxy at {0} didn't answer within {1} s")]
    Timeout(String, u64),
}

impl UpstreamError {
    /// Stable: docs/refusals.md has its row.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable(..) => "upstream_unreachable",
            Self::Timeout(..) => "upstream_timeout",
        }
    }

    /// HTTP's.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unreachable(..) => StatusCode::BAD_GATEWAY,
            Self::Timeout(..) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// The way to the proxy behind.
#[derive(Debug, Clone)]
pub struct Upstream {
    client: Client<HttpConnector, Body>,
    authority: String,
    public: Arc<PublicUrl>,
    trusted: TrustedProxies,
}

impl Upstream {
    /// Connections are kept and used again.
    pub fn new(config: &UpstreamConfig, public: &PublicUrl, trusted: &TrustedProxies) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            authority: config.authority.clone(),
            public: Arc::new(public.clone()),
            trusted: trusted.clone(),
        }
    }

    /// Passes a request on, and the answer back.
    pub async fn pass(&self, mut request: Request) -> Result<Response, UpstreamError> {
        let peer = peer(request.extensions());
        let has_body = !http_body::Body::is_end_stream(request.body());
        let waiting = tunnel::wanted(&mut request);
        self.address(&mut request)?;
        let upgrade = waiting.as_ref().map(|waiting| waiting.protocol.clone());
        headers::towards_upstream(request.headers_mut(), &self.forwarding(peer), upgrade);
        let limit = if has_body { HEAD_AFTER_BODY } else { HEAD };
        let answer = tokio::time::timeout(limit, self.client.request(request)).await;
        let mut answer =
            answer.map_err(|_| UpstreamError::Timeout(self.authority.clone(), limit.as_secs()))?.map_err(|error| {
                UpstreamError::Unreachable(self.authority.clone(), crate::capability::causes::chain(&error))
            })?;
        let switched = waiting.filter(|_| answer.status() == StatusCode::SWITCHING_PROTOCOLS);
        let protocol = switched.and_then(|waiting| tunnel::join(waiting, &mut answer));
        headers::towards_client(answer.headers_mut(), protocol);
        Ok(answer.map(Body::new))
    }

    fn forwarding(&self, peer: Option<IpAddr>) -> headers::Forwarding<'_> {
        let is_trusted = peer.is_some_and(|peer| self.trusted.contains(peer));
        headers::Forwarding { peer, is_trusted, public: &self.public }
    }

    /// The same path and query at the proxy.
    fn address(&self, request: &mut Request) -> Result<(), UpstreamError> {
        let path = request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
        let authority = Authority::try_from(self.authority.as_str());
        let uri = authority.map_err(axum::http::Error::from).and_then(|authority| {
            Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query(path).build()
        });
        *request.uri_mut() =
            uri.map_err(|error| UpstreamError::Unreachable(self.authority.clone(), error.to_string()))?;
        *request.version_mut() = Version::HTTP_11;
        Ok(())
    }
}

/// A header's value that is made here.
fn value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_proxy() {
        for (text, expected) in [
            ("http://127.0.0.1:8081", Some("127.0.0.1:8081")),
            ("http://proxy:8080/", Some("proxy:8080")),
            ("http://[::1]:8080", Some("[::1]:8080")),
            ("http://proxy", Some("proxy:80")),
            ("https://proxy", None),
            ("http://proxy/path", None),
            ("http://user:pass@proxy", None),
            ("proxy:8080", None),
            ("", None),
        ] {
            assert_eq!(UpstreamConfig::parse(text).ok().as_deref(), expected, "{text:?}");
        }
    }
}
