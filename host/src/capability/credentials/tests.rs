//! Scenarios over a real connection: a token endpoint on loopback answers by a rule and notes what it was sent.

use std::sync::atomic::AtomicU32;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::{Url, form_urlencoded};

use super::*;
use crate::config::Secret;
use crate::credential::fixtures::{BOTH_VALID_UNIX_S, NONE_UNIX_S, ONLY_FIRST_UNIX_S, both, first, second};
use crate::credential::{Audience, ClientSecret, FederatedCredential, FederatedToken};

const CLIENT: &str = "22222222-2222-4222-8222-222222222222";
const PATH: &str = "/contoso.example/oauth2/v2.0/token";

/// One form as the endpoint got it.
#[derive(Debug, Clone)]
struct Seen {
    path: String,
    fields: Vec<(String, String)>,
}

impl Seen {
    fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value)
    }

    /// A part of the assertion, from 0, as JSON.
    fn part(&self, position: usize) -> Value {
        let part = self.field("client_assertion").split('.').nth(position).unwrap().to_owned();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    fn is_signed_by(&self, certificate: &Certificate) -> bool {
        self.part(0)["x5t#S256"] == URL_SAFE_NO_PAD.encode(certificate.sha256())
    }
}

/// What the endpoint answers: a status and a body, or none to break the connection.
type Rule = Box<dyn Fn(&Seen) -> Option<(u16, String)> + Send + Sync>;

struct Endpoint {
    origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Endpoint {
    async fn start(rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let notes = Arc::clone(&seen);
        let rule = Arc::new(rule);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (rule, notes) = (Arc::clone(&rule), Arc::clone(&notes));
                tokio::spawn(async move { answer(socket, &rule, &notes).await });
            }
        });
        Self { origin, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn audience(&self) -> Audience {
        Audience::entra(&format!("{}/contoso.example/v2.0", self.origin), None).unwrap()
    }
}

async fn answer(mut socket: TcpStream, rule: &Rule, notes: &Mutex<Vec<Seen>>) {
    let mut request = Vec::new();
    let (head, length) = loop {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
        let lower = head.to_ascii_lowercase();
        let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap_or("0");
        break (head.to_owned(), length.parse::<usize>().unwrap());
    };
    while request.len() < head.len() + 4 + length {
        if socket.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let path = head.split(' ').nth(1).unwrap().to_owned();
    let fields = form_urlencoded::parse(&request[head.len() + 4..]).into_owned().collect();
    let seen = Seen { path, fields };
    notes.lock().unwrap().push(seen.clone());
    if let Some((status, body)) = rule(&seen) {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        // A client that is gone has its reasons.
        let _ = socket.write_all(answer.as_bytes()).await;
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what a rule gives")]
fn error(status: u16, code: &str) -> Option<(u16, String)> {
    Some((status, json!({ "error": code, "error_description": "AADSTS…" }).to_string()))
}

#[expect(clippy::unnecessary_wraps, reason = "what a rule gives")]
fn tokens() -> Option<(u16, String)> {
    Some((200, json!({ "token_type": "Bearer", "id_token": "x" }).to_string()))
}

/// One host's view of the endpoint, call after call.
struct Client {
    credential: ClientCredential,
    origins: AllowedOrigins,
    outgoing: Outgoing,
    /// Requests that may still be spent on second attempts.
    spare: AtomicU32,
}

impl Client {
    fn new(endpoint: &Endpoint, credential: Credential) -> Self {
        let mut origins = AllowedOrigins::new(true);
        origins.add(&Url::parse(&endpoint.origin).unwrap()).unwrap();
        Self {
            credential: ClientCredential::new(CLIENT.into(), credential),
            origins,
            outgoing: Outgoing::new(true).unwrap(),
            spare: AtomicU32::new(64),
        }
    }

    async fn post(&self, url: &str, method: Method, now_unix_s: u64) -> Result<Response, Failure> {
        let exchange = Exchange {
            client: &self.credential,
            origins: &self.origins,
            outgoing: &self.outgoing,
            limits: &Limits::default(),
            now_unix_s,
            provider: "entra",
            trace: &TraceId::new(),
        };
        let request = Request {
            method: HttpMethod::Post,
            url: url.into(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: Some(b"grant_type=authorization_code&code=abc".to_vec()),
            timeout_ms: 5000,
            max_response_bytes: 10_000,
        };
        let another = || {
            let fewer = |left: u32| left.checked_sub(1);
            self.spare.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok()
        };
        exchange.send(request, method, another).await
    }
}

async fn with_two_certificates(rule: Rule) -> (Endpoint, Client) {
    let endpoint = Endpoint::start(rule).await;
    let credential = Credential::Certificates(both(endpoint.audience()));
    let client = Client::new(&endpoint, credential);
    (endpoint, client)
}

/// Which certificates signed, in order: 1 and 2.
fn signers(endpoint: &Endpoint) -> Vec<u8> {
    let (first, second) = (first(), second());
    endpoint
        .seen()
        .iter()
        .map(|seen| match (seen.is_signed_by(&first), seen.is_signed_by(&second)) {
            (true, false) => 1,
            (false, true) => 2,
            _ => 0,
        })
        .collect()
}

/// What is said to an assertion.
type Say = fn() -> Option<(u16, String)>;
/// Name, to the first certificate, to the second, the time, who signed in two calls, the status of each (0: a failure).
type Case = (&'static str, Say, Say, u64, &'static [u8], [u16; 2]);

#[tokio::test]
async fn two_certificates_and_what_the_provider_says_to_each() {
    let invalid: Say = || error(401, "invalid_client");
    let table: [Case; 13] = [
        ("both known", tokens, tokens, BOTH_VALID_UNIX_S, &[1, 1], [200, 200]),
        ("the first unknown: remembered", invalid, tokens, BOTH_VALID_UNIX_S, &[1, 2, 2], [200, 200]),
        (
            "the first unknown, said with 400",
            || error(400, "invalid_client"),
            tokens,
            BOTH_VALID_UNIX_S,
            &[1, 2, 2],
            [200; 2],
        ),
        (
            "a spent code shows as well that the client is known",
            invalid,
            || error(400, "invalid_grant"),
            BOTH_VALID_UNIX_S,
            &[1, 2, 2],
            [400; 2],
        ),
        (
            "the second breaks down: not remembered",
            invalid,
            || error(500, "server_error"),
            BOTH_VALID_UNIX_S,
            &[1, 2, 1, 2],
            [500; 2],
        ),
        ("both unknown", invalid, invalid, BOTH_VALID_UNIX_S, &[1, 2, 1, 2], [401; 2]),
        (
            "the second's connection breaks: the first answer counts",
            invalid,
            || None,
            BOTH_VALID_UNIX_S,
            &[1, 2, 1, 2],
            [401; 2],
        ),
        (
            "another refusal isn't the certificate's",
            || error(400, "invalid_grant"),
            tokens,
            BOTH_VALID_UNIX_S,
            &[1, 1],
            [400; 2],
        ),
        (
            "unauthorized_client isn't either",
            || error(400, "unauthorized_client"),
            tokens,
            BOTH_VALID_UNIX_S,
            &[1, 1],
            [400; 2],
        ),
        (
            "nor a server's error with those words",
            || error(500, "invalid_client"),
            tokens,
            BOTH_VALID_UNIX_S,
            &[1, 1],
            [500; 2],
        ),
        ("nor a broken connection", || None, tokens, BOTH_VALID_UNIX_S, &[1, 1], [0; 2]),
        ("the second isn't valid yet: no second attempt", invalid, tokens, ONLY_FIRST_UNIX_S, &[1, 1], [401; 2]),
        ("none is valid any more: nothing is sent", tokens, tokens, NONE_UNIX_S, &[], [0; 2]),
    ];
    for (name, to_first, to_second, now, expected, statuses) in table {
        let known = first();
        let rule = move |seen: &Seen| if seen.is_signed_by(&known) { to_first() } else { to_second() };
        let (endpoint, client) = with_two_certificates(Box::new(rule)).await;
        let url = format!("{}{PATH}", endpoint.origin);
        for status in statuses {
            let outcome = client.post(&url, Method::PrivateKeyJwt, now).await;
            assert_eq!(outcome.as_ref().map_or(0, |response| response.status), status, "{name}: {outcome:?}");
        }
        assert_eq!(signers(&endpoint), expected, "{name}");
        let ids: Vec<_> = endpoint.seen().iter().map(|seen| seen.part(1)["jti"].to_string()).collect();
        assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len(), "{name}: a jti again");
    }
}

#[tokio::test]
async fn the_one_that_worked_is_given_up_when_it_is_refused_in_turn() {
    let refused = Arc::new(Mutex::new(1_u8));
    let (known, rule_refused) = (first(), Arc::clone(&refused));
    let (endpoint, client) = with_two_certificates(Box::new(move |seen| {
        let signer = if seen.is_signed_by(&known) { 1 } else { 2 };
        if *rule_refused.lock().unwrap() == signer { error(401, "invalid_client") } else { tokens() }
    }))
    .await;
    let url = format!("{}{PATH}", endpoint.origin);
    for now_refused in [1, 1, 2, 2] {
        *refused.lock().unwrap() = now_refused;
        assert_eq!(client.post(&url, Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await.unwrap().status, 200);
    }
    assert_eq!(signers(&endpoint), [1, 2, 2, 2, 1, 1]);
}

#[tokio::test]
async fn a_second_attempt_counts_as_a_request() {
    let (endpoint, client) = with_two_certificates(Box::new(|_| error(401, "invalid_client"))).await;
    client.spare.store(0, Ordering::Relaxed);
    let url = format!("{}{PATH}", endpoint.origin);
    assert_eq!(client.post(&url, Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await.unwrap().status, 401);
    assert_eq!(signers(&endpoint), [1]);
}

#[tokio::test]
async fn what_is_sent_with_a_certificate() {
    let (endpoint, client) = with_two_certificates(Box::new(|_| tokens())).await;
    let url = format!("{}{PATH}", endpoint.origin);
    client.post(&url, Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await.unwrap();
    let seen = &endpoint.seen()[0];
    assert_eq!(seen.path, PATH);
    let names: Vec<&str> = seen.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["grant_type", "code", "client_id", "client_assertion_type", "client_assertion"]);
    assert_eq!((seen.field("code"), seen.field("client_id")), ("abc", CLIENT));
    assert_eq!(seen.field("client_assertion_type"), "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(seen.part(1)["aud"], url.as_str());
    assert_eq!((&seen.part(1)["iss"], &seen.part(1)["sub"]), (&json!(CLIENT), &json!(CLIENT)));
}

#[tokio::test]
async fn where_an_assertion_goes_and_where_it_does_not() {
    let (endpoint, client) = with_two_certificates(Box::new(|_| tokens())).await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "e30.e30.e30").unwrap();
    let federated = FederatedCredential { token: FederatedToken::new(token), audience: endpoint.audience() };
    let federated = Client::new(&endpoint, Credential::Federated(federated));
    let origin = &endpoint.origin;
    // name, URL, whether it is sent
    let table = [
        ("the configured endpoint", format!("{origin}{PATH}"), true),
        ("another tenant's", format!("{origin}/55555555-5555-4555-8555-555555555555/oauth2/v2.0/token"), true),
        ("another endpoint", format!("{origin}/contoso.example/oauth2/v2.0/devicecode"), false),
        ("with a query", format!("{origin}{PATH}?next=x"), false),
        ("another origin", format!("https://evil.example{PATH}"), false),
    ];
    for (name, url, is_sent) in table {
        for (client, signs) in [(&client, true), (&federated, false)] {
            let before = endpoint.seen().len();
            match client.post(&url, Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await {
                Ok(response) => {
                    assert!(is_sent && response.status == 200, "{name}");
                    let seen = endpoint.seen().pop().unwrap();
                    assert!(!signs || seen.part(1)["aud"] == url.as_str(), "{name}: {}", seen.part(1));
                }
                Err(Failure::InvalidRequest(_) | Failure::Http(Error::Denied(_))) => {
                    assert!(!is_sent, "{name}");
                    assert_eq!(endpoint.seen().len(), before, "{name}: something was sent");
                }
                Err(failure) => panic!("{name}: {failure:?}"),
            }
        }
    }
}

#[tokio::test]
async fn elsewhere_the_audience_is_the_configured_one_whatever_the_endpoint() {
    let endpoint = Endpoint::start(Box::new(|_| tokens())).await;
    let credential = Credential::Certificates(both(Audience::configured("https://op.example/realm")));
    let client = Client::new(&endpoint, credential);
    for path in ["/token", "/par"] {
        client.post(&format!("{}{path}", endpoint.origin), Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await.unwrap();
    }
    for seen in endpoint.seen() {
        assert_eq!(seen.part(1)["aud"], "https://op.example/realm", "{}", seen.path);
    }
}

#[tokio::test]
async fn a_federated_token_is_sent_as_it_is_at_the_time() {
    let endpoint = Endpoint::start(Box::new(|_| tokens())).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let audience = endpoint.audience();
    let federated = FederatedCredential { token: FederatedToken::new(path.clone()), audience };
    let client = Client::new(&endpoint, Credential::Federated(federated));
    let url = format!("{}{PATH}", endpoint.origin);
    let missing = client.post(&url, Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await;
    assert!(
        matches!(&missing, Err(Failure::CredentialUnusable(reason)) if reason.contains("can't be read")),
        "{missing:?}"
    );
    for token in ["e30.e30.MQ", "e30.e30.Mg"] {
        std::fs::write(&path, format!("{token}\n")).unwrap();
        client.post(&url, Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await.unwrap();
        let seen = endpoint.seen().pop().unwrap();
        assert_eq!((seen.field("client_assertion"), seen.field("client_id")), (token, CLIENT));
    }
    std::fs::write(&path, "e30.eyJleHAiOjF9.MQ").unwrap();
    let expired = client.post(&url, Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await;
    let says = |reason: &str| reason.contains("expired at 1970-01-01T00:00:01Z") && !reason.contains("eyJ");
    assert!(matches!(&expired, Err(Failure::CredentialUnusable(reason)) if says(reason)), "{expired:?}");
    assert_eq!(endpoint.seen().len(), 2);
}

#[tokio::test]
async fn an_answer_that_repeats_the_assertion_is_kept_from_the_component() {
    let echo = |status| {
        move |seen: &Seen| Some((status, json!({ "error": "x", "got": seen.field("client_assertion") }).to_string()))
    };
    for status in [200, 400, 500] {
        let (endpoint, client) = with_two_certificates(Box::new(echo(status))).await;
        let outcome =
            client.post(&format!("{}{PATH}", endpoint.origin), Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await;
        let says = Failure::Http(Error::Protocol("the response repeats the client's assertion".into()));
        assert_eq!(outcome, Err(says), "{status}");
    }
    // The answer to the second that repeats the first, too.
    let first_one: Mutex<Option<String>> = Mutex::default();
    let (endpoint, client) = with_two_certificates(Box::new(move |seen| {
        let mut first_one = first_one.lock().unwrap();
        match first_one.take() {
            None => {
                *first_one = Some(seen.field("client_assertion").to_owned());
                error(401, "invalid_client")
            }
            Some(first) => error(400, &first),
        }
    }))
    .await;
    let outcome = client.post(&format!("{}{PATH}", endpoint.origin), Method::PrivateKeyJwt, BOTH_VALID_UNIX_S).await;
    assert!(matches!(outcome, Err(Failure::Http(Error::Protocol(_)))), "{outcome:?}");
}

#[tokio::test]
async fn each_credential_has_its_methods_and_no_other() {
    use Method::{ClientSecretBasic, ClientSecretPost, PrivateKeyJwt};
    let endpoint = Endpoint::start(Box::new(|_| tokens())).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "e30.e30.e30").unwrap();
    let secret = ClientSecret { secret: Secret::new("hunter2"), expires: None };
    let federated = FederatedCredential { token: FederatedToken::new(path), audience: endpoint.audience() };
    let table = [
        ("a secret", Credential::Secret(secret), vec![ClientSecretPost, ClientSecretBasic]),
        ("certificates", Credential::Certificates(both(endpoint.audience())), vec![PrivateKeyJwt]),
        ("a federated credential", Credential::Federated(federated), vec![PrivateKeyJwt]),
    ];
    for (name, credential, methods) in table {
        let client = Client::new(&endpoint, credential);
        assert_eq!(client.credential.methods(), methods, "{name}");
        for method in [ClientSecretPost, ClientSecretBasic, PrivateKeyJwt] {
            let outcome = client.post(&format!("{}{PATH}", endpoint.origin), method, BOTH_VALID_UNIX_S).await;
            let is_sent = outcome.as_ref().is_ok_and(|response| response.status == 200);
            assert_eq!(is_sent, methods.contains(&method), "{name}, {method:?}: {outcome:?}");
            assert!(is_sent || outcome == Err(Failure::MethodUnavailable), "{name}, {method:?}: {outcome:?}");
        }
    }
}

#[test]
fn requests_that_no_credential_goes_with() {
    let request = |method, header: &str| Request {
        method,
        url: "https://a.example/".into(),
        headers: vec![(header.into(), "x".into())],
        body: Some(b"a=b".to_vec()),
        timeout_ms: 1,
        max_response_bytes: 1,
    };
    for (name, request, good) in [
        ("a form POST", request(HttpMethod::Post, "accept"), true),
        ("a GET", request(HttpMethod::Get, "accept"), false),
        ("an Authorization header of its own", request(HttpMethod::Post, "AUTHORIZATION"), false),
    ] {
        let outcome = check_form_post(&request);
        assert_eq!(outcome.is_ok(), good, "{name}: {outcome:?}");
    }
}
