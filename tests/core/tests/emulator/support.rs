//! A client of the emulator: plain HTTP without redirects, an API token and a name unless a test leaves them out.

use core_emulator::{Control, CoreEmulator, NewUser, Settings, Version, fixtures};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Both versions, for what they have in common.
pub(crate) const BOTH: [Version; 2] = [Version::V1_6, Version::V2_0];

/// A password that Core accepts.
pub(crate) const PASSWORD: &str = "Correct-horse-8";

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Status and `msg`; the body as it is if there is none.
    pub(crate) fn said(&self) -> (u16, String) {
        let body = serde_json::from_str::<Value>(&self.body).unwrap_or_default();
        (self.status, body["msg"].as_str().map_or_else(|| self.body.clone(), str::to_owned))
    }

    /// The session in the cookie.
    #[track_caller]
    pub(crate) fn session(&self) -> String {
        let cookie = self.header("set-cookie");
        let value = cookie.strip_prefix("defguard_session=").unwrap_or_else(|| panic!("no session in {cookie:?}"));
        value.split(';').next().unwrap().to_owned()
    }
}

/// Status and words, for comparison with [`Reply::said`].
pub(crate) fn says(status: u16, words: &str) -> (u16, String) {
    (status, words.to_owned())
}

/// A running emulator and a client for it.
pub(crate) struct Lab {
    pub(crate) core: CoreEmulator,
    pub(crate) control: Control,
    pub(crate) client: reqwest::Client,
}

/// A client that follows no redirects and has no name. reqwest is built without a default TLS provider here and asks for one
/// even for plain http.
pub(crate) fn client() -> reqwest::Client {
    // Fails if another test of this process was first; then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

impl Lab {
    pub(crate) async fn start(version: Version) -> Self {
        Self::with(Settings::new(version)).await
    }

    pub(crate) async fn with(settings: Settings) -> Self {
        let core = CoreEmulator::start(settings).await.unwrap();
        let control = core.control();
        Self { core, control, client: client() }
    }

    /// A request of nobody without a name.
    pub(crate) fn bare(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/api/v1/{path}", self.core.url()))
    }

    /// A request with the administrator's API token and a name.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("user-agent", "tests").bearer_auth(fixtures::TOKEN)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(with_json(self.request(Method::POST, path), body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(with_json(self.request(Method::PUT, path), body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn log_in(&self, username: &str, password: &str) -> Reply {
        let body = json!({"username": username, "password": password});
        self.send(with_json(self.bare(Method::POST, "auth").header("user-agent", "tests"), &body)).await
    }

    /// A request with a session in place of a token.
    pub(crate) fn as_session(&self, session: &str, method: Method, path: &str) -> RequestBuilder {
        self.bare(method, path).header("user-agent", "tests").header("cookie", format!("defguard_session={session}"))
    }

    /// Adds an active user who isn't enrolled.
    #[track_caller]
    pub(crate) fn add(&self, username: &str) -> i64 {
        self.control.add_user(&NewUser::new(username, format!("{username}@contoso.example"))).unwrap()
    }
}

/// A JSON body; reqwest's own `json` is a feature that the workspace leaves out.
pub(crate) fn with_json(request: RequestBuilder, body: &Value) -> RequestBuilder {
    request.header("content-type", "application/json").body(body.to_string())
}

/// The body of `POST /api/v1/user`.
pub(crate) fn new_user(username: &str, email: &str) -> Value {
    json!({"username": username, "last_name": "L", "first_name": "A", "email": email, "phone": null, "password": null})
}

/// A value with some members changed.
pub(crate) fn changed(mut value: Value, changes: &Value) -> Value {
    for (name, change) in changes.as_object().unwrap() {
        value[name] = change.clone();
    }
    value
}
