//! The self-test: before a plugin takes over, somebody signs in with it at a provider that lives in this file's neighbour. What
//! `begin` and `complete` do is looked at from outside, by RFC 6749, RFC 7636 and OpenID Connect Core; and a token that is forged,
//! and a callback that comes twice, must be refused. No socket is opened, no storage of the service is touched.

mod provider;

use std::collections::BTreeMap;
use std::sync::Arc;

use url::Url;

use super::bindings::exports::defguard::openid::login::{
    Authorization, BeginRequest, CompleteRequest, Completion, Flow, Refusal,
};
use super::plugin::Plugin;
use crate::capability::{
    AllowedOrigins, Cache, ClientCredential, Grant, Outgoing, ProviderContext, SystemClock, TraceId,
};
use crate::config::{ProviderId, Secret};
use crate::credential::{ClientSecret, Credential};
use crate::storage::{MemoryStorage, Namespace};
use provider::{CLIENT_ID, CLIENT_SECRET, EMAIL, Expected, ISSUER, SUBJECT, SelfTestProvider, Token};

const REDIRECT_URI: &str = "https://host.self-test.invalid/openid/callback";

/// The configuration that it signs in with: the same each time.
pub(super) fn configuration() -> Result<String, String> {
    provider::configuration()
}

/// Signs in once, then tries what must not work. The error says what went wrong.
pub async fn run(plugin: &Plugin) -> Result<(), String> {
    let bench = Bench::new(plugin)?;
    let good = bench.begin().await?;
    bench.provider.expect(good.expected.clone(), Token::Good);
    let completion = bench.complete(&good).await?.map_err(|refusal| refused("a good sign-in", &refusal))?;
    check_identity(&completion)?;
    if bench.complete(&good).await?.is_ok() {
        return Err("a callback that came before is completed again".into());
    }
    for (name, token) in [("with a signature of another key", Token::Forged), ("with another nonce", Token::OtherNonce)]
    {
        let begun = bench.begin().await?;
        bench.provider.expect(begun.expected.clone(), token);
        if bench.complete(&begun).await?.is_ok() {
            return Err(format!("an ID token {name} is taken for good"));
        }
    }
    Ok(())
}

/// A provider, and the plugin that knows no other.
struct Bench<'a> {
    plugin: &'a Plugin,
    provider: Arc<SelfTestProvider>,
    context: Arc<ProviderContext>,
    json: String,
}

/// A sign-in that began.
struct Begun {
    authorization: Authorization,
    expected: Expected,
}

impl<'a> Bench<'a> {
    fn new(plugin: &'a Plugin) -> Result<Self, String> {
        let provider = Arc::new(SelfTestProvider::new()?);
        let mut allowed = AllowedOrigins::new(false);
        let issuer = Url::parse(ISSUER).map_err(|error| error.to_string())?;
        allowed.add(&issuer).map_err(|error| error.to_string())?;
        let secret = ClientSecret { secret: Secret::new(CLIENT_SECRET), expires: None };
        let id = ProviderId::parse("self-test")?;
        let context = ProviderContext {
            namespace: Namespace::new("self-test", id.as_str()),
            id,
            credential_origins: allowed.clone(),
            allowed,
            credential: ClientCredential::new(CLIENT_ID.into(), Credential::Secret(secret)),
            outgoing: Arc::new(Outgoing::scripted(Arc::clone(&provider) as _)),
            storage: Arc::new(MemoryStorage::default()),
            cache: Arc::new(Cache::default()),
            clock: Arc::new(SystemClock),
        };
        Ok(Self { plugin, provider, context: Arc::new(context), json: configuration()? })
    }

    fn grant(&self) -> Grant {
        Grant::provider(Arc::clone(&self.context), TraceId::new()).uncounted()
    }

    async fn begin(&self) -> Result<Begun, String> {
        let request = BeginRequest {
            provider: self.json.clone(),
            flow: Flow::Enrollment,
            redirect_uri: REDIRECT_URI.into(),
            login_hint: None,
        };
        let begun = self.plugin.begin(self.grant(), &request).await.map_err(|error| format!("begin: {error}"))?;
        let authorization = begun.map_err(|refusal| refused("begin", &refusal))?;
        let expected = check_request(&authorization)?;
        Ok(Begun { authorization, expected })
    }

    async fn complete(&self, begun: &Begun) -> Result<Result<Completion, Refusal>, String> {
        let request = CompleteRequest {
            provider: self.json.clone(),
            flow: Flow::Enrollment,
            redirect_uri: REDIRECT_URI.into(),
            parameters: vec![
                ("code".into(), begun.expected.code.clone()),
                ("state".into(), begun.authorization.state.clone()),
            ],
            browser_binding: Some(begun.authorization.browser_binding.clone()),
        };
        self.plugin.complete(self.grant(), &request).await.map_err(|error| format!("complete: {error}"))
    }
}

fn refused(step: &str, refusal: &Refusal) -> String {
    format!("{step} is refused with {}: {}", refusal.code, refusal.message)
}

/// What the authorization request must say (RFC 6749 section 4.1.1, RFC 7636 section 4.3, OIDC Core 3.1.2.1).
fn check_request(authorization: &Authorization) -> Result<Expected, String> {
    let url =
        Url::parse(&authorization.url).map_err(|error| format!("the authorization request is no URL: {error}"))?;
    if url.origin().ascii_serialization() != ISSUER {
        return Err(format!("the authorization request goes to {}", url.origin().ascii_serialization()));
    }
    let parameters: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, expected) in [
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", REDIRECT_URI),
        ("state", authorization.state.as_str()),
        ("code_challenge_method", "S256"),
    ] {
        let found = parameters.get(name).map_or("", String::as_str);
        if found != expected {
            return Err(format!("{name} of the authorization request is {found:?}, expected {expected:?}"));
        }
    }
    let value = |name: &str| match parameters.get(name) {
        Some(value) if !value.is_empty() => Ok(value.clone()),
        _ => Err(format!("the authorization request has no {name}")),
    };
    if authorization.state.is_empty() || authorization.browser_binding.is_empty() {
        return Err("the authorization has no state or no browser binding".into());
    }
    Ok(Expected {
        nonce: value("nonce")?,
        challenge: value("code_challenge")?,
        redirect_uri: REDIRECT_URI.into(),
        code: format!("code-{}", authorization.state),
    })
}

fn check_identity(completion: &Completion) -> Result<(), String> {
    let identity = &completion.identity;
    for (name, found, expected) in [
        ("issuer", &identity.key.issuer, ISSUER),
        ("subject", &identity.key.subject, SUBJECT),
        ("email", &identity.email, EMAIL),
    ] {
        if found != expected {
            return Err(format!("{name} of the identity is {found:?}, expected {expected:?}"));
        }
    }
    if completion.flow != Flow::Enrollment {
        return Err("the sign-in ends in another flow than it began in".into());
    }
    Ok(())
}
