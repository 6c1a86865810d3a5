//! A client of the emulator: plain HTTP without redirects, an authorization request to vary, and the reading of tokens.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entra_emulator::seed::Guid;
use entra_emulator::{Control, Emulator, Seed, fixtures};
use reqwest::header::HeaderMap;
use ring::digest::{SHA256, digest};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde_json::Value;
use url::Url;

/// A PKCE verifier of 43 characters.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Parameters, later ones replacing earlier ones of the same name.
pub(crate) type Params = BTreeMap<String, String>;

/// Builds [`Params`].
pub(crate) fn params(pairs: &[(&str, &str)]) -> Params {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A change to parameters: a value, or none to take it away.
pub(crate) type Change<'a> = (&'a str, Option<&'a str>);

/// Applies changes.
pub(crate) fn changed(mut params: Params, changes: &[Change<'_>]) -> Params {
    for (name, value) in changes {
        match value {
            Some(value) => params.insert((*name).to_owned(), (*value).to_owned()),
            None => params.remove(*name),
        };
    }
    params
}

/// `application/x-www-form-urlencoded`.
pub(crate) fn encoded(params: &Params) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish()
}

/// The S256 challenge of a verifier.
pub(crate) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

/// `Authorization: Basic` with both parts form-encoded (RFC 6749 section 2.3.1).
pub(crate) fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    format!("Basic {}", STANDARD.encode(format!("{}:{}", encode(id), encode(secret))))
}

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

    /// The parameters of the redirect's query.
    #[track_caller]
    pub(crate) fn redirect_query(&self) -> Params {
        assert_eq!(self.status, 302, "{}", self.body);
        Url::parse(self.header("location")).unwrap().query_pairs().into_owned().collect()
    }
}

/// A running emulator and a client for it.
pub(crate) struct Lab {
    pub(crate) entra: Emulator,
    pub(crate) control: Control,
    pub(crate) client: reqwest::Client,
}

/// A client that follows no redirects. reqwest is built without a default TLS provider here and asks for one even for plain http.
pub(crate) fn client() -> reqwest::Client {
    // Fails if another test of this process was first; then there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

impl Lab {
    pub(crate) async fn start() -> Self {
        let entra = Emulator::start(Seed::demo()).await.unwrap();
        let control = entra.control();
        Self { entra, control, client: client() }
    }

    pub(crate) fn login(&self, path: &str) -> String {
        format!("{}{path}", self.entra.login_url())
    }

    pub(crate) fn graph(&self, path: &str) -> String {
        format!("{}{path}", self.entra.graph_url())
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, body: response.text().await.unwrap() }
    }

    pub(crate) async fn get(&self, url: &str) -> Reply {
        self.send(self.client.get(url)).await
    }

    pub(crate) async fn get_with_token(&self, url: &str, token: &str) -> Reply {
        self.send(self.client.get(url).header("authorization", format!("Bearer {token}"))).await
    }

    pub(crate) async fn post_json(&self, url: &str, body: &Value) -> Reply {
        let request = self.client.post(url).header("content-type", "application/json").body(body.to_string());
        self.send(request).await
    }

    pub(crate) async fn post_json_with_token(&self, url: &str, token: &str, body: &Value) -> Reply {
        let request = self.client.post(url).header("authorization", format!("Bearer {token}"));
        self.send(request.header("content-type", "application/json").body(body.to_string())).await
    }

    pub(crate) fn form(&self, url: &str, form: &Params) -> reqwest::RequestBuilder {
        self.client.post(url).header("content-type", "application/x-www-form-urlencoded").body(encoded(form))
    }

    pub(crate) async fn discovery(&self, segment: &str) -> Value {
        self.get(&self.login(&format!("/{segment}/v2.0/.well-known/openid-configuration"))).await.json()
    }

    pub(crate) async fn key_set(&self, segment: &str) -> Vec<Value> {
        let reply = self.get(&self.login(&format!("/{segment}/discovery/v2.0/keys"))).await;
        reply.json()["keys"].as_array().unwrap().clone()
    }

    pub(crate) async fn authorize(&self, segment: &str, params: &Params) -> Reply {
        self.get(&self.login(&format!("/{segment}/oauth2/v2.0/authorize?{}", encoded(params)))).await
    }

    pub(crate) async fn token(&self, segment: &str, form: &Params) -> Reply {
        let url = self.login(&format!("/{segment}/oauth2/v2.0/token"));
        self.send(self.form(&url, form)).await
    }

    /// A code for a person of Contoso at the single-tenant app.
    pub(crate) async fn code(&self, person: &str) -> String {
        let request = changed(authorization_request(), &[("x_user", Some(person))]);
        self.authorize(fixtures::CONTOSO, &request).await.redirect_query().remove("code").unwrap()
    }

    /// The token response for a person of Contoso at the single-tenant app.
    pub(crate) async fn sign_in(&self, person: &str) -> Value {
        self.sign_in_as(fixtures::CONTOSO, person, &[]).await
    }

    /// The token response for a person at any authority, the authorization request varied.
    pub(crate) async fn sign_in_as(&self, segment: &str, person: &str, changes: &[Change<'_>]) -> Value {
        let request = changed(changed(authorization_request(), &[("x_user", Some(person))]), changes);
        let code = self.authorize(segment, &request).await.redirect_query().remove("code").unwrap();
        let form = changed(token_request(&code), &[("client_id", Some(request["client_id"].as_str()))]);
        let reply = self.token(segment, &form).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.json()
    }

    /// The claims of the ID token for a person of Contoso at the single-tenant app, the authorization request varied.
    pub(crate) async fn id_token_of(&self, person: &str, changes: &[Change<'_>]) -> Value {
        let tokens = self.sign_in_as(fixtures::CONTOSO, person, changes).await;
        claims(tokens["id_token"].as_str().unwrap())
    }

    /// The object id of a person.
    pub(crate) fn oid(&self, person: &str) -> String {
        self.control.directory().person(person).unwrap().oid.to_string()
    }

    /// The same, as a GUID.
    pub(crate) fn oid_as_guid(&self, person: &str) -> Guid {
        self.control.directory().person(person).unwrap().oid.clone()
    }

    /// An app-only token for Contoso's Graph with these application permissions.
    pub(crate) async fn app_token_with(&self, roles: &[&str]) -> String {
        let roles = roles.iter().map(ToString::to_string).collect();
        self.control.edit_app(fixtures::CLIENT_ID, |app| app.granted_roles = roles).unwrap();
        self.app_token().await
    }

    /// An app-only token for Graph.
    pub(crate) async fn app_token(&self) -> String {
        let reply = self.token(fixtures::CONTOSO, &app_token_request(self.entra.graph_url())).await;
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }
}

/// A complete authorization request of the single-tenant app.
pub(crate) fn authorization_request() -> Params {
    params(&[
        ("client_id", fixtures::CLIENT_ID),
        ("response_type", "code"),
        ("redirect_uri", fixtures::DEFAULT_REDIRECT_URI),
        ("scope", "openid profile email"),
        ("state", "state-1"),
        ("nonce", "nonce-1"),
        ("code_challenge", &challenge(VERIFIER)),
        ("code_challenge_method", "S256"),
    ])
}

/// The token request that goes with it.
pub(crate) fn token_request(code: &str) -> Params {
    params(&[
        ("grant_type", "authorization_code"),
        ("client_id", fixtures::CLIENT_ID),
        ("client_secret", fixtures::CLIENT_SECRET),
        ("code", code),
        ("redirect_uri", fixtures::DEFAULT_REDIRECT_URI),
        ("code_verifier", VERIFIER),
    ])
}

/// A token request of the single-tenant app for itself.
pub(crate) fn app_token_request(graph_url: &str) -> Params {
    params(&[
        ("grant_type", "client_credentials"),
        ("client_id", fixtures::CLIENT_ID),
        ("client_secret", fixtures::CLIENT_SECRET),
        ("scope", &format!("{graph_url}/.default")),
    ])
}

/// The bytes of a token's part.
pub(crate) fn part(token: &str, index: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()
}

/// The header of a token.
pub(crate) fn header(token: &str) -> Value {
    serde_json::from_slice(&part(token, 0)).unwrap()
}

/// The claims of a token.
pub(crate) fn claims(token: &str) -> Value {
    serde_json::from_slice(&part(token, 1)).unwrap()
}

/// Whether the key of the set that the token names made its RS256 signature.
pub(crate) fn signed_by(token: &str, keys: &[Value]) -> bool {
    let kid = header(token)["kid"].clone();
    keys.iter().filter(|key| key["kid"] == kid).any(|key| verifies(token, key))
}

/// Whether this key made the token's RS256 signature.
pub(crate) fn verifies(token: &str, key: &Value) -> bool {
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let (input, _) = token.rsplit_once('.').unwrap();
    RsaPublicKeyComponents { n: number("n"), e: number("e") }
        .verify(&RSA_PKCS1_2048_8192_SHA256, input.as_bytes(), &part(token, 2))
        .is_ok()
}
