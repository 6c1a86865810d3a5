//! `http`: one request at a time, or a few at once, to allowed origins at checked addresses. Everything that a response
//! may do is bounded: time, size, headers; redirects are handed back, never followed.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use tracing::Instrument as _;
use tracing::field::Empty;
use url::{Host, Url};

use super::address::{self, AddressRefusal};
use super::causes::{chain, tls_error};
use super::{AllowedOrigins, ProviderContext};
use crate::sandbox::bindings::defguard::openid::http::{self, Error, Method, Request, Response};
use crate::sandbox::{CallState, Limits};
use crate::telemetry::span;

/// Bytes of a URL.
const URL_BYTES: usize = 8192;
/// Request headers: how many, and their bytes.
const REQUEST_HEADERS: (usize, usize) = (32, 8 << 10);
/// Response headers: how many, and their bytes.
const RESPONSE_HEADERS: (usize, usize) = (64, 16 << 10);
/// Headers that only the host sets, or nobody.
const FORBIDDEN: [&str; 16] = [
    "connection",
    "content-length",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "referer",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-real-ip",
];

/// The process's HTTP client. One for all providers: what each may reach is checked before it.
pub struct Outgoing {
    way: Way,
    loopback_allowed: bool,
}

enum Way {
    Network(reqwest::Client),
    Script(Arc<dyn Script>),
}

/// Answers in the place of the network: the built-in provider of the plugin's self-test, and that of the benches.
pub trait Script: Send + Sync {
    /// The answer to a request that has passed every check.
    fn answer(&self, url: &Url, body: &[u8]) -> Response;
}

/// Why there can be no HTTP client.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client can't start: {0}")]
pub struct OutgoingError(String);

impl OutgoingError {
    /// With the library's reason.
    pub(crate) fn new(error: &reqwest::Error) -> Self {
        Self(chain(error))
    }
}

impl Outgoing {
    /// A client with the system's certificate authorities.
    pub fn new(loopback_allowed: bool) -> Result<Self, OutgoingError> {
        // Fails only if there is one already, which then is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("defguard-openid/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .retry(reqwest::retry::never())
            .connect_timeout(Duration::from_secs(5))
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(64)
            .dns_resolver(Arc::new(CheckedResolver { loopback_allowed }))
            .build()
            .map_err(|error| OutgoingError::new(&error))?;
        Ok(Self { way: Way::Network(client), loopback_allowed })
    }

    /// No sockets at all: every request is answered by a script.
    pub fn scripted(script: Arc<dyn Script>) -> Self {
        Self { way: Way::Script(script), loopback_allowed: false }
    }

    /// Sends one request of the component, already checked against the allow-list by [`prepare`].
    pub(super) async fn send(&self, prepared: Prepared, limits: &Limits) -> Result<Response, Error> {
        if let Some(address) = literal_address(&prepared.url) {
            // A literal address isn't resolved, so it is checked here.
            address::check(address, self.loopback_allowed).map_err(|refusal| denied(&prepared.url, refusal))?;
        }
        let Prepared { method, url, headers, body, timeout, max_bytes } = prepared;
        let url_host = url.host_str().unwrap_or_default().to_owned();
        let client = match &self.way {
            Way::Network(client) => client,
            Way::Script(script) => return Ok(script.answer(&url, body.as_deref().unwrap_or_default())),
        };
        let mut request = client.request(method, url.clone()).headers(headers);
        if let Some(body) = body {
            request = request.body(body);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| classify(&url, &error))?;
            receive(response, max_bytes).await
        };
        // The origin's host only: paths and queries hold tenants and people. No `traceparent` goes along.
        let span = span!("http", server.address = url_host, http.response.status_code = Empty, outcome = Empty);
        let exchange = tokio::time::timeout(timeout.min(limits.http_timeout), exchange).instrument(span.clone());
        let result = exchange.await.unwrap_or(Err(Error::Timeout));
        span.record("outcome", outcome(&result));
        if let Ok(response) = &result {
            span.record("http.response.status_code", response.status);
        }
        result
    }
}

/// A request that has passed every check but the address.
#[derive(Clone)]
pub(super) struct Prepared {
    method: reqwest::Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Vec<u8>>,
    timeout: Duration,
    max_bytes: u64,
}

/// Checks a request of the component against the contract and the allow-list.
pub(super) fn prepare(request: Request, allowed: &AllowedOrigins, limits: &Limits) -> Result<Prepared, Error> {
    if request.url.len() > URL_BYTES {
        return Err(Error::InvalidRequest(format!("the URL has more than {URL_BYTES} bytes")));
    }
    let url = allowed.check(&request.url).map_err(|refusal| Error::Denied(refusal.to_string()))?;
    if request.body.as_ref().is_some_and(|body| body.len() > limits.http_request_bytes) {
        return Err(Error::InvalidRequest(format!("the body has more than {} bytes", limits.http_request_bytes)));
    }
    Ok(Prepared {
        method: match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        },
        url,
        headers: request_headers(&request.headers)?,
        body: request.body,
        timeout: Duration::from_millis(u64::from(request.timeout_ms)),
        max_bytes: u64::from(request.max_response_bytes).min(limits.http_response_bytes),
    })
}

fn request_headers(pairs: &[(String, String)]) -> Result<HeaderMap, Error> {
    let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    if pairs.len() > REQUEST_HEADERS.0 || bytes > REQUEST_HEADERS.1 {
        return Err(Error::InvalidRequest("too many or too large headers".into()));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let lower = name.to_ascii_lowercase();
        if FORBIDDEN.contains(&lower.as_str()) || lower.starts_with("x-forwarded-") || lower.starts_with("proxy-") {
            return Err(Error::InvalidRequest(format!("the header {lower} is not the component's to set")));
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(Error::InvalidRequest(format!("the value of header {lower} isn't visible ASCII")));
        }
        let (Ok(name), Ok(value)) = (HeaderName::try_from(lower.as_str()), HeaderValue::try_from(value)) else {
            return Err(Error::InvalidRequest("a header's name or value is malformed".into()));
        };
        // Of two kinds of body the provider would choose one, and what adds the credential another.
        if name == CONTENT_TYPE && headers.contains_key(CONTENT_TYPE) {
            return Err(Error::InvalidRequest("the header content-type is there twice".into()));
        }
        headers.append(name, value);
    }
    Ok(headers)
}

/// Reads a response up to its limit.
async fn receive(mut response: reqwest::Response, max_bytes: u64) -> Result<Response, Error> {
    if response.content_length().is_some_and(|length| length > max_bytes) {
        return Err(Error::TooLarge(max_bytes));
    }
    let status = response.status().as_u16();
    let headers = response_headers(response.headers());
    let url = response.url().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| classify(&url, &error))? {
        if (body.len() + chunk.len()) as u64 > max_bytes {
            return Err(Error::TooLarge(max_bytes));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body })
}

fn response_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut bytes = 0;
    headers
        .iter()
        .filter(|(name, _)| *name != reqwest::header::SET_COOKIE)
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .take(RESPONSE_HEADERS.0)
        .take_while(|(name, value)| {
            bytes += name.len() + value.len();
            bytes <= RESPONSE_HEADERS.1
        })
        .collect()
}

fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain(_) => None,
    }
}

fn denied(url: &Url, refusal: AddressRefusal) -> Error {
    Error::Denied(format!("{} is {refusal}", url.origin().ascii_serialization()))
}

/// Resolves a name and drops every address that must not be connected to. The connection is made to what is left, so no
/// second look-up can change it.
pub(super) struct CheckedResolver {
    pub(super) loopback_allowed: bool,
}

#[derive(Debug, thiserror::Error)]
enum ResolveError {
    #[error("{0} has {1}")]
    Denied(String, AddressRefusal),
    #[error("{0} can't be resolved: {1}")]
    Failed(String, String),
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let loopback_allowed = self.loopback_allowed;
        Box::pin(async move {
            let name = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0))
                .await
                .map_err(|error| ResolveError::Failed(name.clone(), error.to_string()))?
                .collect();
            let mut refusal = None;
            let mut good = Vec::new();
            for socket in found {
                match address::check(socket.ip(), loopback_allowed) {
                    Ok(()) => good.push(socket),
                    Err(reason) => refusal = Some(reason),
                }
            }
            match (good.is_empty(), refusal) {
                (false, _) => Ok(Box::new(good.into_iter()) as Addrs),
                (true, Some(reason)) => Err(ResolveError::Denied(name, reason).into()),
                (true, None) => Err(ResolveError::Failed(name, "it has no address".into()).into()),
            }
        })
    }
}

/// Which of the contract's errors it was. The texts name the origin at most, never a path, a query or a header.
pub(super) fn classify(url: &Url, error: &reqwest::Error) -> Error {
    let origin = url.origin().ascii_serialization();
    if error.is_timeout() {
        return Error::Timeout;
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(resolve) = cause.downcast_ref::<ResolveError>() {
            return match resolve {
                ResolveError::Denied(..) => Error::Denied(resolve.to_string()),
                ResolveError::Failed(..) => Error::Dns(resolve.to_string()),
            };
        }
        let tls = tls_error(cause);
        if let Some(tls) = tls {
            return Error::Tls(format!("{origin}: {tls}"));
        }
        source = cause.source();
    }
    let text = format!("{origin}: {}", chain(error));
    if error.is_connect() { Error::Connect(text) } else { Error::Protocol(text) }
}

impl CallState {
    /// The provider's context, and one request less to go.
    pub(super) fn spend_request(&mut self) -> Result<Arc<ProviderContext>, Error> {
        let context =
            self.grant.provider.clone().ok_or_else(|| Error::Denied("this call is granted no network".into()))?;
        self.http_requests_left = self.http_requests_left.checked_sub(1).ok_or(Error::BudgetExhausted)?;
        Ok(context)
    }

    fn prepare_spent(&mut self, request: Request) -> Result<(Arc<ProviderContext>, Prepared), Error> {
        let context = self.spend_request()?;
        let prepared = prepare(request, &context.allowed, &self.limits)?;
        Ok((context, prepared))
    }
}

/// The metric's word for how a request ended.
pub(super) fn outcome<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Error::Denied(_)) => "denied",
        Err(Error::InvalidRequest(_)) => "invalid_request",
        Err(Error::Dns(_)) => "dns",
        Err(Error::Connect(_)) => "connect",
        Err(Error::Tls(_)) => "tls",
        Err(Error::Timeout) => "timeout",
        Err(Error::TooLarge(_)) => "too_large",
        Err(Error::Protocol(_)) => "protocol",
        Err(Error::BudgetExhausted) => "budget_exhausted",
        Err(Error::Other(_)) => "other",
    }
}

/// Says in the log that a component asked for what it may not have: worth an operator's look.
pub(super) fn note_denial(state: &CallState, result: &Result<Response, Error>) {
    if let Err(Error::Denied(reason)) = result {
        let provider = state.grant.provider.as_ref().map_or("", |context| context.id.as_str());
        tracing::warn!(provider, trace = %state.grant.trace, %reason, "request denied");
    }
}

impl http::Host for CallState {
    async fn send(&mut self, request: Request) -> wasmtime::Result<Result<Response, Error>> {
        let result = match self.prepare_spent(request) {
            Ok((context, prepared)) => context.outgoing.send(prepared, &self.limits).await,
            Err(error) => Err(error),
        };
        self.metrics.capability("http", outcome(&result));
        note_denial(self, &result);
        Ok(result)
    }

    async fn send_all(&mut self, requests: Vec<Request>) -> wasmtime::Result<Vec<Result<Response, Error>>> {
        let batch = self.limits.http_batch;
        if requests.len() > batch {
            let error =
                Error::InvalidRequest(format!("at most {batch} requests at once, these are {}", requests.len()));
            self.metrics.capability("http", "invalid_request");
            return Ok(requests.iter().map(|_| Err(error.clone())).collect());
        }
        let prepared: Vec<_> = requests.into_iter().map(|request| self.prepare_spent(request)).collect();
        let limits = Arc::clone(&self.limits);
        let results = join_all(prepared.into_iter().map(|prepared| {
            let limits = Arc::clone(&limits);
            async move {
                let (context, prepared) = prepared?;
                context.outgoing.send(prepared, &limits).await
            }
        }))
        .await;
        for result in &results {
            self.metrics.capability("http", outcome(result));
            note_denial(self, result);
        }
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    fn allowed(urls: &[&str]) -> AllowedOrigins {
        let mut origins = AllowedOrigins::new(true);
        for url in urls {
            origins.add(&Url::parse(url).unwrap()).unwrap();
        }
        origins
    }

    fn request(url: &str) -> Request {
        Request {
            method: Method::Get,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout_ms: 2000,
            max_response_bytes: 1000,
        }
    }

    async fn send(loopback_allowed: bool, url: &str) -> Result<Response, Error> {
        let limits = Limits::default();
        let prepared = prepare(request(url), &allowed(&[url]), &limits)?;
        Outgoing::new(loopback_allowed).unwrap().send(prepared, &limits).await
    }

    /// A server that gives the same bytes to everybody.
    async fn serve(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 2048];
                // Whatever was asked.
                let _ = socket.read(&mut request).await;
                let _ = socket.write_all(answer).await;
            }
        });
        format!("http://{address}")
    }

    #[tokio::test]
    async fn addresses_of_our_own_network_are_denied_by_number_and_by_name() {
        for url in [
            "https://127.0.0.1:1/",
            "https://[::1]:1/",
            "https://localhost:1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/",
            "https://[::ffff:192.168.1.1]/",
            "https://2130706433/",
            "https://0x7f.1/",
        ] {
            assert!(matches!(send(false, url).await, Err(Error::Denied(_))), "{url}: {:?}", send(false, url).await);
        }
        assert!(matches!(send(true, "https://169.254.169.254/").await, Err(Error::Denied(_))));
    }

    #[tokio::test]
    async fn failures_have_names() {
        let plain = serve(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let tls = plain.replace("http://", "https://");
        assert!(matches!(send(true, &tls).await, Err(Error::Tls(_))), "{:?}", send(true, &tls).await);
        assert!(matches!(send(true, "http://127.0.0.1:1/").await, Err(Error::Connect(_))));
        assert!(matches!(send(true, "https://no-such-name.invalid/").await, Err(Error::Dns(_))));
        let rubbish = serve(b"rubbish\r\n\r\n").await;
        assert!(matches!(send(true, &rubbish).await, Err(Error::Protocol(_))), "{:?}", send(true, &rubbish).await);
        let short = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
        assert!(matches!(send(true, &short).await, Err(Error::Protocol(_))));
        let announced = serve(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n").await;
        assert_eq!(send(true, &announced).await, Err(Error::TooLarge(1000)));
        let silent = {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let started = std::time::Instant::now();
            assert_eq!(send(true, &url).await, Err(Error::Timeout));
            started.elapsed()
        };
        assert!(silent < Duration::from_secs(10), "{silent:?}");
    }

    #[tokio::test]
    async fn redirects_come_back_and_cookies_stay_away() {
        let url = serve(
            b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\nset-cookie: a=b\r\ncontent-length: 0\r\n\r\n",
        )
        .await;
        let response = send(true, &url).await.unwrap();
        assert_eq!(response.status, 302);
        assert!(response.headers.iter().all(|(name, _)| name != "set-cookie"), "{:?}", response.headers);
    }

    #[test]
    fn what_a_request_may_not_have() {
        let limits = Limits::default();
        let origins = allowed(&["https://a.example"]);
        let bad = |change: &dyn Fn(&mut Request)| {
            let mut request = request("https://a.example/");
            change(&mut request);
            prepare(request, &origins, &limits).err()
        };
        assert_eq!(bad(&|_| {}), None);
        for header in
            ["Cookie", "Origin", "HOST", "Content-Length", "X-Forwarded-For", "Proxy-Authorization", "a b", ""]
        {
            let error = bad(&|request| request.headers = vec![(header.into(), "x".into())]);
            assert!(matches!(error, Some(Error::InvalidRequest(_))), "{header}: {error:?}");
        }
        for value in ["a\r\nb: c", "a\nb", "\u{e9}", "\0"] {
            let error = bad(&|request| request.headers = vec![("accept".into(), value.into())]);
            assert!(matches!(error, Some(Error::InvalidRequest(_))), "{value:?}: {error:?}");
        }
        assert!(matches!(bad(&|request| request.url = "https://b.example/".into()), Some(Error::Denied(_))));
        assert!(matches!(
            bad(&|request| request.url = format!("https://a.example/{}", "x".repeat(9000))),
            Some(Error::InvalidRequest(_))
        ));
        assert!(matches!(bad(&|request| request.body = Some(vec![0; 65 << 10])), Some(Error::InvalidRequest(_))));
    }
}
