//! The other end of a plugin's requests: a server on this machine that answers well, badly, without end or not at all, and
//! remembers what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_util::{StreamExt as _, stream};
use tokio::net::TcpListener;

/// A piece of a body without end.
static CHUNK: [u8; 64 << 10] = [b'x'; 64 << 10];

/// It serves until it is dropped.
pub struct Server {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    seen: Seen,
    task: tokio::task::JoinHandle<()>,
}

type Seen = Arc<Mutex<Vec<String>>>;

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    /// Starts one on a free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let seen = Seen::default();
        let app = Router::new()
            .route("/ok", any(async || "ok"))
            .route("/redirect", any(redirect))
            .route("/silent", any(std::future::pending::<Response>))
            .route("/drip", any(async || endless(b".", Some(std::time::Duration::from_millis(50)))))
            .route("/endless", any(async || endless(&CHUNK, None)))
            .route("/large", any(async || vec![b'x'; (1 << 20) + 1]))
            .route("/full", any(async || vec![b'x'; 1 << 20]))
            .route("/gzip", any(gzip))
            .route("/headers", any(many_headers))
            .route("/cookie", any(async || ([(header::SET_COOKIE, "a=b")], "")))
            .route("/token", any(echo))
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&seen), remember))
            .with_state(());
        let task = tokio::spawn(async move {
            // Ends with the test.
            let _ = axum::serve(listener, app).await;
        });
        Self { url, seen, task }
    }

    /// Every request so far: method, path and headers, one text each.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("the URL has one")
    }
}

async fn remember(State(seen): State<Seen>, request: Request, next: axum::middleware::Next) -> Response {
    let text = format!("{} {} {:?}", request.method(), request.uri(), request.headers());
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    next.run(request).await
}

async fn redirect(Query(to): Query<std::collections::HashMap<String, String>>) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, to.get("to").cloned().unwrap_or_default())]).into_response()
}

/// A body without end.
fn endless(chunk: &'static [u8], pause: Option<std::time::Duration>) -> Response {
    let chunks = stream::repeat(()).then(move |()| async move {
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        Ok::<_, std::convert::Infallible>(Bytes::from_static(chunk))
    });
    Body::from_stream(Box::pin(chunks)).into_response()
}

/// 100 KB that say they are compressed: whoever unpacks them gets an error or a flood, whoever doesn't gets 100 KB.
async fn gzip() -> Response {
    let mut body = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    body.resize(100_000, 0);
    ([(header::CONTENT_ENCODING, "gzip")], body).into_response()
}

async fn many_headers() -> Response {
    let mut headers = HeaderMap::new();
    for number in 0..80 {
        let name = HeaderName::try_from(format!("x-{number}")).expect("a name");
        headers.insert(name, HeaderValue::from_static("y"));
    }
    (headers, "ok").into_response()
}

/// As a token endpoint that repeats what it was sent.
async fn echo(body: String) -> String {
    body
}
