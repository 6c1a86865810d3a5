//! A world made of scripts: a provider that answers what a scenario says, a clock that stands until it is moved, a storage
//! and a cache in memory, and a record of everything that was sent. The tests of this directory play sign-ins in it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's own arrangement may fail it")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openid::capability::{
    Cache, Claimed, ClientAuthentication, Clock, CredentialFailure, Credentials, Http, HttpError, Level, Log, Method,
    Random, RandomUnavailable, Request, Response, Storage, StorageError, World,
};
use openid::login::Flow;
use openid::login::begin::{Authorization, BeginRequest, begin};
use openid::login::complete::{CompleteRequest, Completion, complete};
use openid::login::refusal::Refusal;
use openid::login::trace::{Check, Verdict};
use ring::rsa::PublicKeyComponents;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const OTHER_TENANT: &str = "22222222-2222-4222-8222-222222222222";
pub(crate) const MSA: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
pub(crate) const OID: &str = "00000000-0000-4000-8000-00000000ada0";
pub(crate) const CLIENT_ID: &str = "33333333-3333-4333-8333-333333333333";
pub(crate) const REDIRECT_URI: &str = "https://vpn.example/openid/callback";
pub(crate) const LOGIN: &str = "https://login.microsoftonline.com";
/// Microsoft Graph's origin.
pub(crate) const GRAPH: &str = "https://graph.microsoft.com";
pub(crate) const USERINFO: &str = "https://graph.microsoft.com/oidc/userinfo";
/// The issuer of the provider of kind `oidc`.
pub(crate) const ISSUER: &str = "https://idp.example/realms/acme";
/// What the clock says at first, in seconds.
pub(crate) const NOW_S: u64 = 1_800_000_000;
/// The `kid` of the provider's key.
pub(crate) const KID: &str = "key-1";

/// What a scripted endpoint does with a request.
pub(crate) type Answer = Box<dyn Fn(&Request) -> Result<Response, HttpError>>;
/// What the token endpoint does for the application itself.
pub(crate) type AppTokenAnswer = Box<dyn Fn(&Request) -> Result<Response, CredentialFailure>>;
/// What the token endpoint does.
pub(crate) type TokenAnswer = Box<dyn Fn() -> Result<Response, CredentialFailure>>;
/// What a step came to.
pub(crate) type Outcome<T> = Result<T, (Refusal, Vec<Check>)>;

/// The world of one scenario.
pub(crate) struct Stage {
    pub(crate) provider: Value,
    /// The claims of the next ID token; `nonce` is put in by [`Stage::finish`].
    pub(crate) claims: RefCell<Value>,
    pub(crate) now_s: Cell<u64>,
    pub(crate) available: RefCell<Vec<ClientAuthentication>>,
    /// What the token endpoint does, if not the honest thing.
    pub(crate) token_answer: RefCell<Option<TokenAnswer>>,
    /// What it does for the application itself, if not the honest thing.
    pub(crate) app_token_answer: RefCell<Option<AppTokenAnswer>>,
    /// The monotonic clock, in milliseconds; waiting moves it, and so may an answer.
    pub(crate) monotonic_ms: Rc<Cell<u64>>,
    pub(crate) random_is_broken: Cell<bool>,
    /// The storage fails from then on.
    pub(crate) storage_fails: RefCell<Option<StorageError>>,
    /// Somebody else takes each transaction between our look at it and our taking it.
    pub(crate) transactions_are_stolen: Cell<bool>,
    answers: RefCell<BTreeMap<String, Answer>>,
    requests: RefCell<Vec<Request>>,
    token_requests: RefCell<Vec<(Request, ClientAuthentication)>>,
    stored: RefCell<BTreeMap<String, (Vec<u8>, u64)>>,
    cached: RefCell<BTreeMap<String, (Vec<u8>, u64)>>,
    claimed: RefCell<BTreeSet<String>>,
    log: RefCell<Vec<String>>,
    drawn: Cell<u64>,
}

impl Stage {
    /// Entra with one tenant, and Ada in it.
    pub(crate) fn microsoft() -> Self {
        let authority = format!("{LOGIN}/{TENANT}");
        let provider = json!({
            "id": "entra", "kind": "microsoft", "base_url": format!("{LOGIN}/<TENANT_ID>/v2.0"), "tenant": TENANT,
            "client_id": CLIENT_ID,
        });
        let claims = json!({
            "iss": format!("{authority}/v2.0"), "aud": CLIENT_ID, "sub": "ada-at-this-application", "ver": "2.0",
            "tid": TENANT, "oid": OID, "iat": NOW_S, "nbf": NOW_S, "exp": NOW_S + 3900,
            "email": "ada@contoso.example", "preferred_username": "ada@contoso.example",
            "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace",
        });
        let stage = Self::new(provider, claims);
        stage.answer_json(&discovery_url(&format!("{authority}/v2.0")), &entra_document(TENANT));
        stage.answer_json(&format!("{authority}/discovery/v2.0/keys"), &key_set(&[(KID, Key::Provider)]));
        stage
    }

    /// Any other provider, and Ada at it.
    pub(crate) fn oidc() -> Self {
        let provider = json!({ "id": "idp", "kind": "oidc", "base_url": ISSUER, "client_id": CLIENT_ID });
        let claims = json!({
            "iss": ISSUER, "aud": CLIENT_ID, "sub": "ada-1815", "iat": NOW_S, "exp": NOW_S + 300,
            "email": "ada@acme.example", "email_verified": true, "preferred_username": "ada",
            "given_name": "Ada", "family_name": "Lovelace", "name": "Ada Lovelace",
        });
        let stage = Self::new(provider, claims);
        stage.answer_json(&discovery_url(ISSUER), &oidc_document());
        stage.answer_json(&format!("{ISSUER}/keys"), &key_set(&[(KID, Key::Provider)]));
        stage
    }

    fn new(provider: Value, claims: Value) -> Self {
        Self {
            provider,
            claims: RefCell::new(claims),
            now_s: Cell::new(NOW_S),
            available: RefCell::new(vec![ClientAuthentication::SecretPost, ClientAuthentication::SecretBasic]),
            token_answer: RefCell::new(None),
            app_token_answer: RefCell::new(None),
            monotonic_ms: Rc::default(),
            random_is_broken: Cell::new(false),
            storage_fails: RefCell::new(None),
            transactions_are_stolen: Cell::new(false),
            answers: RefCell::default(),
            requests: RefCell::default(),
            token_requests: RefCell::default(),
            stored: RefCell::default(),
            cached: RefCell::default(),
            claimed: RefCell::default(),
            log: RefCell::default(),
            drawn: Cell::new(0),
        }
    }

    /// Sets keys of the configuration; `null` takes one away.
    pub(crate) fn configure(&mut self, keys: &Value) {
        merge(&mut self.provider, keys);
    }

    /// Sets claims of the next ID token; `null` takes one away.
    pub(crate) fn claim(&self, claims: &Value) {
        merge(&mut self.claims.borrow_mut(), claims);
    }

    /// Scripts an address, named without its query.
    pub(crate) fn answer(&self, url: &str, answer: impl Fn(&Request) -> Result<Response, HttpError> + 'static) {
        self.answers.borrow_mut().insert(url.to_owned(), Box::new(answer));
    }

    /// Scripts an address with a JSON document.
    pub(crate) fn answer_json(&self, url: &str, document: &Value) {
        let document = document.clone();
        self.answer(url, move |_| Ok(json_response(200, &document)));
    }

    /// Scripts the token endpoint.
    pub(crate) fn answer_tokens(&self, answer: impl Fn() -> Result<Response, CredentialFailure> + 'static) {
        *self.token_answer.borrow_mut() = Some(Box::new(answer));
    }

    /// Scripts the token endpoint for the application itself.
    pub(crate) fn answer_app_tokens(&self, answer: impl Fn(&Request) -> Result<Response, CredentialFailure> + 'static) {
        *self.app_token_answer.borrow_mut() = Some(Box::new(answer));
    }

    /// Moves the clock; what the storage and the cache keep for less is gone.
    pub(crate) fn pass_time(&self, seconds: u64) {
        self.now_s.set(self.now_s.get() + seconds);
    }

    pub(crate) fn world(&self) -> World<'_> {
        World { http: self, storage: self, cache: self, clock: self, random: self, log: self, credentials: self }
    }

    pub(crate) fn begin_request(&self) -> BeginRequest {
        BeginRequest {
            provider: self.provider.to_string(),
            flow: Flow::Enrollment,
            redirect_uri: REDIRECT_URI.into(),
            login_hint: None,
        }
    }

    pub(crate) fn begin(&self) -> Outcome<Authorization> {
        begin(self.world(), &self.begin_request())
    }

    /// The first step, which succeeds.
    pub(crate) fn begun(&self) -> Authorization {
        self.begin().unwrap_or_else(|(refusal, _)| panic!("begin: {} {:?}", refusal.rule.code, refusal.check))
    }

    /// The callback that an honest provider sends.
    pub(crate) fn callback(&self, authorization: &Authorization) -> CompleteRequest {
        self.callback_with(authorization, &[("code", "the-code"), ("state", &authorization.state)])
    }

    /// A callback with these parameters, in the browser that began.
    pub(crate) fn callback_with(&self, authorization: &Authorization, parameters: &[(&str, &str)]) -> CompleteRequest {
        CompleteRequest {
            provider: self.provider.to_string(),
            flow: Flow::Enrollment,
            redirect_uri: REDIRECT_URI.into(),
            parameters: parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            browser_binding: Some(authorization.browser_binding.clone()),
        }
    }

    /// The second step; the provider puts the nonce of `authorization` into the ID token.
    pub(crate) fn finish(&self, authorization: &Authorization, request: &CompleteRequest) -> Outcome<Completion> {
        if self.claims.borrow().get("nonce").is_none_or(|nonce| nonce.as_str().is_some_and(|nonce| nonce.len() == 43)) {
            // A pushed request isn't in the address: then the test says the nonce.
            if let Some(nonce) = parameters(&authorization.url).get("nonce") {
                self.claim(&json!({ "nonce": nonce }));
            }
        }
        complete(self.world(), request)
    }

    /// Both steps, as they should be.
    pub(crate) fn sign_in(&self) -> Outcome<Completion> {
        let authorization = self.begun();
        self.finish(&authorization, &self.callback(&authorization))
    }

    /// The token endpoint's honest answer.
    pub(crate) fn tokens(&self) -> Value {
        json!({
            "token_type": "Bearer", "expires_in": 3599, "access_token": "the-access-token",
            "id_token": id_token(&self.claims.borrow()),
        })
    }

    /// How many requests went to an address, token requests included.
    pub(crate) fn count(&self, url: &str) -> usize {
        let without_query = |request: &Request| request.url.split('?').next() == Some(url);
        self.requests.borrow().iter().filter(|request| without_query(request)).count()
            + self.token_requests.borrow().iter().filter(|(request, _)| without_query(request)).count()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.borrow().clone()
    }

    pub(crate) fn token_requests(&self) -> Vec<(Request, ClientAuthentication)> {
        self.token_requests.borrow().clone()
    }

    pub(crate) fn stored_keys(&self) -> Vec<String> {
        let now = self.now_s.get();
        self.stored.borrow().iter().filter(|(_, (_, until))| *until > now).map(|(key, _)| key.clone()).collect()
    }

    pub(crate) fn stored_text(&self) -> String {
        let stored = self.stored.borrow();
        stored.values().map(|(value, _)| String::from_utf8_lossy(value).into_owned()).collect()
    }

    /// Replaces what is stored of the one transaction.
    pub(crate) fn rewrite_transaction(&self, change: impl Fn(&mut Value)) {
        for (value, _) in self.stored.borrow_mut().values_mut() {
            let mut transaction = serde_json::from_slice(value).unwrap();
            change(&mut transaction);
            *value = serde_json::to_vec(&transaction).unwrap();
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }

    pub(crate) fn cached_keys(&self) -> Vec<String> {
        self.cached.borrow().keys().cloned().collect()
    }

    /// The cache forgets everything, as it may at any time.
    pub(crate) fn forget(&self) {
        self.cached.borrow_mut().clear();
    }

    /// Another login is fetching this key and takes too long.
    pub(crate) fn somebody_fetches(&self, key_prefix: &str) {
        self.claimed.borrow_mut().insert(key_prefix.to_owned());
    }

    pub(crate) fn nobody_fetches(&self) {
        self.claimed.borrow_mut().clear();
    }
}

fn merge(target: &mut Value, changes: &Value) {
    let (target, changes) = (target.as_object_mut().unwrap(), changes.as_object().unwrap());
    for (name, value) in changes {
        match value {
            Value::Null => drop(target.remove(name)),
            _ => drop(target.insert(name.clone(), value.clone())),
        }
    }
}

/// The parameters of a URL's query; none is there twice.
pub(crate) fn parameters(url: &str) -> BTreeMap<String, String> {
    let url = Url::parse(url).unwrap();
    let pairs: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs.len(), url.query_pairs().count(), "a parameter is there twice: {url}");
    pairs
}

pub(crate) fn discovery_url(issuer: &str) -> String {
    format!("{issuer}/.well-known/openid-configuration")
}

pub(crate) fn entra_document(tenant: &str) -> Value {
    let authority = format!("{LOGIN}/{tenant}");
    json!({
        "issuer": format!("{authority}/v2.0"),
        "authorization_endpoint": format!("{authority}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{authority}/oauth2/v2.0/token"),
        "jwks_uri": format!("{authority}/discovery/v2.0/keys"),
        "userinfo_endpoint": USERINFO,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "tenant_region_scope": null,
    })
}

/// What the token endpoint gives the application itself.
pub(crate) fn app_token(access_token: &str) -> Value {
    json!({ "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": access_token })
}

pub(crate) fn oidc_document() -> Value {
    json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{ISSUER}/auth"),
        "token_endpoint": format!("{ISSUER}/token"),
        "jwks_uri": format!("{ISSUER}/keys"),
        "userinfo_endpoint": format!("{ISSUER}/userinfo"),
    })
}

pub(crate) fn with(mut document: Value, changes: &Value) -> Value {
    merge(&mut document, changes);
    document
}

pub(crate) fn response(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Response {
    Response { status, headers: vec![("content-type".into(), content_type.into())], body: body.into() }
}

pub(crate) fn json_response(status: u16, document: &Value) -> Response {
    response(status, "application/json; charset=utf-8", document.to_string())
}

/// Who signs.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    /// The provider.
    Provider,
    /// Somebody whose key is in no honest key set.
    Stranger,
}

impl Key {
    fn pair(self) -> RsaKeyPair {
        let pkcs8: &[u8] = match self {
            Self::Provider => include_bytes!("../keys/provider_rsa.pk8"),
            Self::Stranger => include_bytes!("../keys/stranger_rsa.pk8"),
        };
        RsaKeyPair::from_pkcs8(pkcs8).unwrap()
    }
}

pub(crate) fn key_set(keys: &[(&str, Key)]) -> Value {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(kid, key)| {
            let public = PublicKeyComponents::<Vec<u8>>::from(key.pair().public());
            let (n, e) = (URL_SAFE_NO_PAD.encode(public.n), URL_SAFE_NO_PAD.encode(public.e));
            json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e })
        })
        .collect();
    json!({ "keys": keys })
}

pub(crate) fn id_token(claims: &Value) -> String {
    id_token_by(claims, KID, Key::Provider)
}

pub(crate) fn id_token_by(claims: &Value, kid: &str, key: Key) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = part(&json!({ "typ": "JWT", "alg": "RS256", "kid": kid }));
    let message = format!("{header}.{}", part(claims));
    let pair = key.pair();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &ring::rand::SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The refusal's code, the check that failed and its detail; of a success `ok`.
pub(crate) fn verdict<T>(outcome: &Outcome<T>) -> (String, String) {
    match outcome {
        Ok(_) => ("ok".into(), String::new()),
        Err((refusal, checks)) => {
            // The last check of a refused login is the one that failed: a trace that doesn't say so is a defect.
            let last = checks.last().unwrap();
            assert_eq!(last.verdict, Verdict::Fail, "{checks:?}");
            (refusal.rule.code.into(), format!("{}: {}", last.name, last.detail))
        }
    }
}

impl Http for Stage {
    fn send(&self, request: Request) -> Result<Response, HttpError> {
        // Forms go with the credential; only Graph is asked by posting JSON.
        let posts_json = request.url.starts_with(GRAPH)
            && request.headers.contains(&("content-type".into(), "application/json".into()));
        assert!(request.method == Method::Get || posts_json, "{request:?}");
        assert!(request.timeout_ms <= 10_000 && request.max_response_bytes <= 8 << 20, "{request:?}");
        let url = request.url.split('?').next().unwrap_or_default().to_owned();
        self.requests.borrow_mut().push(request.clone());
        match self.answers.borrow().get(&url) {
            Some(answer) => answer(&request).and_then(|response| {
                let limit = request.max_response_bytes;
                let fits = response.body.len() <= limit as usize;
                if fits { Ok(response) } else { Err(HttpError::TooLarge(limit.into())) }
            }),
            None => Err(HttpError::Connect(format!("nobody listens at {url}"))),
        }
    }

    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, HttpError>> {
        assert!(requests.len() <= 16, "{requests:?}");
        requests.into_iter().map(|request| self.send(request)).collect()
    }
}

impl Credentials for Stage {
    fn available(&self) -> Vec<ClientAuthentication> {
        self.available.borrow().clone()
    }

    fn send_authenticated(
        &self,
        request: Request,
        method: ClientAuthentication,
    ) -> Result<Response, CredentialFailure> {
        self.token_requests.borrow_mut().push((request, method));
        if !self.available.borrow().contains(&method) {
            return Err(CredentialFailure::MethodUnavailable);
        }
        let (request, _) = self.token_requests.borrow().last().unwrap().clone();
        if let Some(answer) = self.answers.borrow().get(&request.url) {
            return answer(&request).map_err(CredentialFailure::Http);
        }
        let form = String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned();
        if form.contains("grant_type=client_credentials") {
            return match self.app_token_answer.borrow().as_ref() {
                Some(answer) => answer(&request),
                None => Ok(json_response(200, &app_token("the-app-token"))),
            };
        }
        match self.token_answer.borrow().as_ref() {
            Some(answer) => answer(),
            None => Ok(json_response(200, &self.tokens())),
        }
    }
}

impl Storage for Stage {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        self.storage_works()?;
        let now = self.now_s.get();
        Ok(self.stored.borrow().get(key).filter(|(_, until)| *until > now).map(|(value, _)| value.clone()))
    }

    fn put_if_absent(&self, key: &str, value: &[u8], ttl_s: u32) -> Result<bool, StorageError> {
        self.storage_works()?;
        assert!((1..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
        if Storage::get(self, key)?.is_some() {
            return Ok(false);
        }
        self.stored.borrow_mut().insert(key.into(), (value.into(), self.now_s.get() + u64::from(ttl_s)));
        Ok(true)
    }

    fn take(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let value = Storage::get(self, key)?;
        self.stored.borrow_mut().remove(key);
        Ok(value.filter(|_| !self.transactions_are_stolen.get()))
    }
}

impl Stage {
    fn storage_works(&self) -> Result<(), StorageError> {
        self.storage_fails.borrow().clone().map_or(Ok(()), Err)
    }
}

impl Cache for Stage {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        let now = self.now_s.get();
        self.cached.borrow().get(key).filter(|(_, until)| *until > now).map(|(value, _)| value.clone())
    }

    fn claim(&self, key: &str, wait_ms: u32) -> Claimed {
        assert!(wait_ms <= 10_000);
        if let Some(value) = Cache::get(self, key) {
            return Claimed::Value(value);
        }
        if self.claimed.borrow().iter().any(|prefix| key.starts_with(prefix.as_str())) {
            self.monotonic_ms.set(self.monotonic_ms.get() + u64::from(wait_ms));
            return Claimed::Busy;
        }
        self.claimed.borrow_mut().insert(key.into());
        Claimed::Fetch
    }

    fn release(&self, key: &str) {
        self.claimed.borrow_mut().remove(key);
    }

    fn put(&self, key: &str, value: &[u8], ttl_s: u32) {
        assert!((1..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()), "{key}");
        assert!((1..=604_800).contains(&ttl_s));
        self.claimed.borrow_mut().remove(key);
        if value.len() <= 1 << 20 {
            self.cached.borrow_mut().insert(key.into(), (value.into(), self.now_s.get() + u64::from(ttl_s)));
        }
    }

    fn put_if_absent(&self, key: &str, value: &[u8], ttl_s: u32) -> bool {
        let free = Cache::get(self, key).is_none();
        if free {
            self.put(key, value, ttl_s);
        }
        free
    }
}

impl Clock for Stage {
    fn now_unix_ms(&self) -> u64 {
        self.now_s.get() * 1000
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.get()
    }
}

impl Random for Stage {
    fn bytes(&self) -> Result<[u8; 32], RandomUnavailable> {
        if self.random_is_broken.get() {
            return Err(RandomUnavailable);
        }
        // Different each time, and the same in each run.
        self.drawn.set(self.drawn.get() + 1);
        Ok(Sha256::digest(self.drawn.get().to_le_bytes()).into())
    }
}

impl Log for Stage {
    fn write(&self, _level: Level, event: &str, fields: &[(&str, &str)]) {
        self.log.borrow_mut().push(format!("{event} {fields:?}"));
    }
}
