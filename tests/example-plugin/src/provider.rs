//! The provider: its configuration, and the endpoints that its discovery document names.

use serde::Deserialize;

use crate::bindings::defguard::openid::http::{Method, Request, Response, send};

/// What this plugin reads of a `[[provider]]` table. The host passes the other keys of the table too.
#[derive(Debug, Deserialize)]
pub(crate) struct Provider {
    pub(crate) base_url: String,
    pub(crate) client_id: String,
}

/// OpenID Connect Discovery 1.0, as much as is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) userinfo_endpoint: String,
}

impl Provider {
    /// `Err`: the key, and what is wrong with it.
    pub(crate) fn parse(json: &str) -> Result<Self, (&'static str, String)> {
        let provider: Self = serde_json::from_str(json).map_err(|error| ("base_url", error.to_string()))?;
        match url::Url::parse(&provider.base_url) {
            Ok(url) if url.has_host() => Ok(provider),
            _ => Err(("base_url", format!("{:?} isn't a URL", provider.base_url))),
        }
    }

    /// Asked anew each time: a real plugin keeps it in `cache`.
    pub(crate) fn endpoints(&self) -> Result<Endpoints, String> {
        let base_url = self.base_url.trim_end_matches('/');
        let answer = get(format!("{base_url}/.well-known/openid-configuration"), None)?;
        let endpoints: Endpoints = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        if endpoints.issuer.trim_end_matches('/') == base_url {
            Ok(endpoints)
        } else {
            Err(format!("the document is of {}, not of {base_url}", endpoints.issuer))
        }
    }
}

/// A `GET` that must be answered with 200. Where it may go the host decides, not we.
pub(crate) fn get(url: String, bearer: Option<&str>) -> Result<Response, String> {
    let authorization = bearer.map(|token| ("authorization".to_owned(), format!("Bearer {token}")));
    let request = Request {
        method: Method::Get,
        headers: authorization.into_iter().collect(),
        body: None,
        timeout_ms: 10_000,
        max_response_bytes: 64 << 10,
        url,
    };
    match send(&request) {
        Ok(answer) if answer.status == 200 => Ok(answer),
        Ok(answer) => Err(format!("status {}", answer.status)),
        Err(error) => Err(format!("{error:?}")),
    }
}
