//! Discovery documents that a provider, or somebody in its place, sends: `login::begin` and `discovery::metadata`. Input: the
//! provider on the first line, with the answer's status and media type if they aren't 200 and JSON; the rest is the document.
//!
//! Asserted: an accepted document is of the configured issuer and its endpoints are https (http to this machine where the
//! configuration says so), Entra's on its own origins; the browser is sent to the document's authorization endpoint with
//! each of our parameters once, or with the reference of a pushed request; a second sign-in doesn't ask again; nothing is
//! requested anywhere else.

use openid::configuration;
use openid::login::complete::complete;
use openid::login::trace::Trace;
use openid::oidc::discovery::{Metadata, metadata};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::Seeds;
use crate::properties::{assert_checks, assert_refusal, is_allowed_address};
use crate::support::{
    CLIENT_ID, ISSUER, LOGIN, OTHER_TENANT, REDIRECT_URI, Stage, TENANT, discovery_url, entra_document, oidc_document,
    response, with,
};

/// Microsoft's login and Graph in the cloud that the stage configures.
const GRAPH: &str = "https://graph.microsoft.com";
/// What the endpoint for pushed requests gives.
const REFERENCE: &str = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c";
const LOOPBACK_ISSUER: &str = "http://127.0.0.1:8000/realms/acme";

/// Checks one document; whether a sign-in begins with it.
pub fn check(input: &[u8]) -> bool {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (first, rest) = input.split_at(end);
    let first = String::from_utf8_lossy(first).into_owned();
    let mut words = first.splitn(3, ' ');
    let case = Case::by_name(words.next().unwrap_or_default());
    let status: u16 = words.next().and_then(|word| word.parse().ok()).unwrap_or(200);
    let media_type = words.next().unwrap_or("application/json").to_owned();
    let body = rest.strip_prefix(b"\n").unwrap_or_default().to_vec();
    let is_proper = status == 200 && media_type.to_ascii_lowercase().contains("json");

    let stage = case.stage();
    let asked = discovery_url(&case.base_url);
    let document: Said = serde_json::from_slice(&body).unwrap_or_default();
    stage.answer(&asked, move |_| Ok(response(status, &media_type, body.clone())));
    let outcome = stage.begin();
    assert_eq!(stage.begin().is_ok(), outcome.is_ok(), "a second sign-in, another outcome");
    assert_eq!(stage.count(&asked), 1, "a second sign-in asks again");
    let authorization = match outcome {
        Err((refusal, checks)) => {
            assert_refusal(&refusal, &checks);
            let is_refused_here = refusal.check.0 == "discovery";
            assert!(!is_refused_here || stage.stored_keys().is_empty(), "a transaction of a refused sign-in");
            case.assert_requests(&stage, &document);
            return false;
        }
        Ok(authorization) => authorization,
    };
    assert!(is_proper, "accepted with status {status}");
    assert_checks(&authorization.checks);
    case.assert_browser(&authorization.url, &authorization.state, &document);
    case.assert_metadata(&metadata_of(&stage), &document);

    let callback = stage.callback(&authorization);
    if let Err((refusal, checks)) = complete(stage.world(), &callback) {
        assert_refusal(&refusal, &checks);
    }
    case.assert_requests(&stage, &document);
    true
}

fn metadata_of(stage: &Stage) -> Metadata {
    let provider = configuration::parse(&stage.provider.to_string()).unwrap();
    metadata(stage.world(), &provider, &mut Trace::default()).unwrap_or_else(|refusal| panic!("{:?}", refusal.check))
}

/// What a document says, all else passed over: JSON's own rules aren't looked at in what nobody reads.
#[derive(Default, Deserialize)]
struct Said {
    issuer: Option<String>,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    pushed_authorization_request_endpoint: Option<String>,
}

/// As a URL parser writes it.
fn written(endpoint: Option<&String>) -> Option<String> {
    Url::parse(endpoint?).ok().map(Into::into)
}

/// A provider's configuration, and what its documents may say.
struct Case {
    name: &'static str,
    base_url: String,
}

impl Case {
    fn by_name(name: &str) -> Self {
        let (name, base_url) = match name {
            "microsoft" => ("microsoft", format!("{LOGIN}/{TENANT}/v2.0")),
            "domain" => ("domain", format!("{LOGIN}/contoso.example/v2.0")),
            "several" => ("several", format!("{LOGIN}/organizations/v2.0")),
            "loopback" => ("loopback", LOOPBACK_ISSUER.to_owned()),
            "pushed" => ("pushed", ISSUER.to_owned()),
            _ => ("oidc", ISSUER.to_owned()),
        };
        Self { name, base_url }
    }

    fn stage(&self) -> Stage {
        let mut stage = if self.is_microsoft() { Stage::microsoft() } else { Stage::oidc() };
        match self.name {
            "domain" => stage.configure(&json!({ "base_url": self.base_url, "tenant": null })),
            "several" => stage.configure(&json!({
                "base_url": self.base_url, "tenant": null, "allowed_tenants": [TENANT, OTHER_TENANT],
            })),
            "loopback" => stage.configure(&json!({ "base_url": self.base_url, "development_loopback": true })),
            "pushed" => {
                stage.configure(
                    &json!({ "pushed_authorization_requests": "when-offered", "response_mode": "form_post" }),
                );
                let accepted = json!({ "request_uri": REFERENCE, "expires_in": 60 });
                stage.answer_json(&format!("{ISSUER}/par"), &accepted);
            }
            _ => {}
        }
        stage
    }

    fn is_microsoft(&self) -> bool {
        ["microsoft", "domain", "several"].contains(&self.name)
    }

    /// Whether a document's issuer is the configured one (OpenID Connect Discovery section 4.3; Entra's templates).
    fn is_issuer(&self, issuer: &str) -> bool {
        let tenant =
            issuer.strip_prefix("https://login.microsoftonline.com/").and_then(|rest| rest.strip_suffix("/v2.0"));
        match self.name {
            "microsoft" => issuer == self.base_url,
            "domain" => tenant.is_some_and(|tenant| {
                tenant.len() == 36 && tenant.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
            }),
            // The placeholder is the same in either case.
            "several" => {
                tenant.is_some_and(|tenant| tenant.eq_ignore_ascii_case("{tenantid}"))
                    || issuer.eq_ignore_ascii_case("https://login.microsoftonline.com/{tenantid}/v2.0")
            }
            _ => issuer.trim_end_matches('/') == self.base_url,
        }
    }

    fn assert_browser(&self, url: &str, state: &str, document: &Said) {
        self.assert_endpoint("the browser", url, false);
        let url = Url::parse(url).unwrap();
        let endpoint = document.authorization_endpoint.as_deref().unwrap();
        let endpoint = Url::parse(endpoint).unwrap();
        assert_eq!((url.origin(), url.path()), (endpoint.origin(), endpoint.path()), "not the document's endpoint");
        let values = |name: &str| -> Vec<String> {
            url.query_pairs().filter(|(found, _)| found == name).map(|(_, value)| value.into_owned()).collect()
        };
        if self.name == "pushed" && document.pushed_authorization_request_endpoint.is_some() {
            // RFC 9126 section 4: the rest was pushed.
            assert_eq!((values("client_id"), values("request_uri")), (vec![CLIENT_ID.into()], vec![REFERENCE.into()]));
            return;
        }
        let ours = [
            ("response_type", "code"),
            ("client_id", CLIENT_ID),
            ("redirect_uri", REDIRECT_URI),
            ("state", state),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in ours {
            assert_eq!(values(name), [value], "{name} in {url}");
        }
        for name in ["scope", "nonce", "code_challenge"] {
            assert_eq!(values(name).len(), 1, "{name} in {url}");
        }
    }

    /// Nothing is asked elsewhere than the configuration and the document say; of what carries the credential one
    /// request for each step.
    fn assert_requests(&self, stage: &Stage, document: &Said) {
        let with_credential: Vec<String> = stage.token_requests().into_iter().map(|(request, _)| request.url).collect();
        for url in stage.requests().iter().map(|request| &request.url).chain(&with_credential) {
            self.assert_endpoint("a request", url, url.starts_with(GRAPH));
        }
        let known = [&document.token_endpoint, &document.pushed_authorization_request_endpoint];
        let known = known.map(|endpoint| written(endpoint.as_ref()));
        assert!(
            with_credential.iter().all(|url| known.iter().flatten().any(|known| known == url)),
            "{with_credential:?}"
        );
        // Two sign-ins begin, one ends.
        assert!(with_credential.len() <= 3, "{with_credential:?}");
    }

    fn assert_metadata(&self, metadata: &Metadata, document: &Said) {
        let issuer = document.issuer.as_deref().unwrap();
        assert!(self.is_issuer(issuer), "{}: accepted the issuer {issuer:?}", self.name);
        let issuers = metadata.callback_issuers();
        if self.name == "several" {
            assert!(issuers.len() == 2 && issuers.iter().all(|issuer| !issuer.contains('{')), "{issuers:?}");
        } else {
            assert_eq!(issuers, [issuer]);
        }
        self.assert_endpoint("authorization_endpoint", metadata.authorization_endpoint.as_str(), false);
        self.assert_endpoint("token_endpoint", &metadata.token_endpoint, false);
        self.assert_endpoint("jwks_uri", &metadata.jwks_uri, false);
        if let Some(userinfo) = &metadata.userinfo_endpoint {
            self.assert_endpoint("userinfo_endpoint", userinfo, true);
        }
        assert_eq!(metadata.entra.is_some(), self.is_microsoft());
    }

    /// RFC 6749 section 3.1: https, no fragment; no user information; Entra's on its login host, userinfo on Graph.
    fn assert_endpoint(&self, what: &str, text: &str, may_be_graph: bool) {
        let url = Url::parse(text).unwrap();
        assert!(is_allowed_address(&url, self.name == "loopback"), "{what}: {text}");
        assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{what}: {text}");
        if self.is_microsoft() {
            let origin = url.origin().ascii_serialization();
            assert!(origin == LOGIN || (may_be_graph && origin == GRAPH), "{what}: {text}");
        }
    }
}

/// The documents of the plugin's own tests, and the attacks on them.
pub fn seeds() -> Seeds {
    let several = with(entra_document("organizations"), &json!({ "issuer": format!("{LOGIN}/{{tenantid}}/v2.0") }));
    let loopback: Value = serde_json::from_str(&oidc_document().to_string().replace(ISSUER, LOOPBACK_ISSUER)).unwrap();
    let oidc = |changes: &Value| with(oidc_document(), changes);
    let entra = |changes: &Value| with(entra_document(TENANT), changes);
    #[rustfmt::skip]
    let cases: Vec<(&str, &str, Value)> = vec![
        ("microsoft", "microsoft", entra_document(TENANT)),
        ("domain", "domain", entra_document(TENANT)),
        ("several", "several", several),
        ("oidc", "oidc", oidc_document()),
        ("loopback", "loopback", loopback.clone()),
        ("loopback-not-allowed", "oidc", loopback),
        ("not-found", "oidc 404", json!({ "error": "not_found", "error_description": "AADSTS90002: no such tenant" })),
        ("throttled", "microsoft 429", json!({})),
        ("redirect", "oidc 302 text/html", json!({})),
        ("html", "oidc 200 text/html", json!({})),
        ("json-of-another-name", "oidc 200 application/problem+json", oidc_document()),
        ("slash-at-the-end", "oidc", oidc(&json!({ "issuer": format!("{ISSUER}/") }))),
        ("another-issuer", "oidc", oidc(&json!({ "issuer": "https://evil.example" }))),
        ("another-tenant", "microsoft", entra_document(OTHER_TENANT)),
        ("template-for-one-tenant", "microsoft", entra(&json!({ "issuer": format!("{LOGIN}/{{tenantid}}/v2.0") }))),
        ("javascript", "oidc", oidc(&json!({ "authorization_endpoint": "javascript:alert(1)//" }))),
        ("plain-http", "oidc", oidc(&json!({ "authorization_endpoint": "http://idp.example/auth" }))),
        ("data", "oidc", oidc(&json!({ "authorization_endpoint": "data:text/html,x" }))),
        ("user-information", "oidc", oidc(&json!({ "token_endpoint": "https://idp.example@evil.example/token" }))),
        ("fragment", "oidc", oidc(&json!({ "authorization_endpoint": format!("{ISSUER}/auth#x") }))),
        ("query-of-its-own", "oidc", oidc(&json!({ "authorization_endpoint": format!("{ISSUER}/auth?p=B2C_1&state=evil&nonce=x") }))),
        ("metadata-service", "oidc", oidc(&json!({ "jwks_uri": "http://169.254.169.254/keys" }))),
        ("token-endpoint-elsewhere", "microsoft", entra(&json!({ "token_endpoint": "https://evil.example/token" }))),
        ("userinfo-elsewhere", "microsoft", entra(&json!({ "userinfo_endpoint": "https://evil.example/userinfo" }))),
        ("announces-issuer", "oidc", oidc(&json!({ "authorization_response_iss_parameter_supported": true }))),
        ("authentication", "oidc", oidc(&json!({ "token_endpoint_auth_methods_supported": ["client_secret_post", "none"] }))),
        ("pushed", "pushed", oidc(&json!({ "pushed_authorization_request_endpoint": format!("{ISSUER}/par"), "response_modes_supported": ["query", "form_post"] }))),
        ("pushed-elsewhere", "pushed", oidc(&json!({ "pushed_authorization_request_endpoint": "https://elsewhere.example/par" }))),
        ("pushed-plainly", "pushed", oidc(&json!({ "pushed_authorization_request_endpoint": "http://idp.example/par" }))),
        ("pushed-nowhere", "oidc", oidc(&json!({ "require_pushed_authorization_requests": true }))),
        ("no-form-post", "pushed", oidc(&json!({ "response_modes_supported": ["query"] }))),
        ("unpaired-surrogate", "oidc", oidc(&json!({ "x": "@surrogate" }))),
        ("without-keys", "oidc", oidc(&json!({ "jwks_uri": null }))),
    ];
    cases
        .into_iter()
        .map(|(name, first, document)| {
            (name.to_owned(), format!("{first}\n{document}").replace("@surrogate", "\\ud800").into_bytes())
        })
        .collect()
}
