//! The same sign-in in native code, by the `openidconnect` crate, as Defguard's Core does it: the peer that we are measured against.

use std::pin::Pin;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata,
    CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalClaims, AsyncHttpClient, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken,
    EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IdTokenFields,
    Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse,
    TokenResponse as _,
};
use serde::{Deserialize, Serialize};

/// What Entra's tokens say besides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EntraClaims {
    /// The tenant.
    pub tid: Option<String>,
    /// The person's object.
    pub oid: Option<String>,
    /// Of which groups she is.
    #[serde(default)]
    pub groups: Vec<String>,
}

impl AdditionalClaims for EntraClaims {}

type Fields = IdTokenFields<
    EntraClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type Discovered = Client<
    EntraClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A client with the provider's metadata and keys, parsed once and kept.
pub struct Native(Discovered);

/// What is between the two steps.
pub struct Begun {
    /// Where the browser goes.
    pub url: String,
    /// The `state` in it.
    pub state: String,
    /// The `nonce` in it.
    pub nonce: Nonce,
    /// RFC 7636.
    pub verifier: PkceCodeVerifier,
}

/// Who signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// `sub`.
    pub subject: String,
    /// `email`.
    pub email: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `preferred_username`.
    pub username: Option<String>,
    /// `tid`.
    pub tenant: Option<String>,
    /// `oid`.
    pub object: Option<String>,
    /// `groups`.
    pub groups: Vec<String>,
}

impl Native {
    /// From the documents as they are fetched.
    pub fn new(discovery: &[u8], key_set: &[u8], client: (&str, &str), redirect_uri: &str) -> Self {
        let metadata: CoreProviderMetadata = serde_json::from_slice(discovery).expect("a discovery document");
        let keys: CoreJsonWebKeySet = serde_json::from_slice(key_set).expect("a key set");
        let (id, secret) = (ClientId::new(client.0.to_owned()), ClientSecret::new(client.1.to_owned()));
        let client = Client::from_provider_metadata(metadata.set_jwks(keys), id, Some(secret))
            .set_redirect_uri(RedirectUrl::new(redirect_uri.to_owned()).expect("an address"))
            .set_auth_type(openidconnect::AuthType::RequestBody);
        Self(client)
    }

    /// The first step: state, nonce and PKCE.
    pub fn begin(&self) -> Begun {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = self
            .0
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
            .add_scope(Scope::new("profile".into()))
            .add_scope(Scope::new("email".into()))
            .set_pkce_challenge(challenge)
            .url();
        Begun { url: url.into(), state: state.secret().clone(), nonce, verifier }
    }

    /// The second step after the network has answered: the answer parsed, the ID token's signature and claims verified (issuer,
    /// audience, time, nonce), its claims read.
    pub fn complete(&self, answer: &[u8], nonce: &Nonce) -> Person {
        let tokens: Tokens = serde_json::from_slice(answer).expect("a token endpoint's answer");
        self.verify(&tokens, nonce)
    }

    fn verify(&self, tokens: &Tokens, nonce: &Nonce) -> Person {
        let id_token = tokens.id_token().expect("an ID token");
        let claims = id_token.claims(&self.0.id_token_verifier(), nonce).expect("a good token");
        let more = claims.additional_claims();
        Person {
            subject: claims.subject().to_string(),
            email: claims.email().map(|email| email.to_string()),
            name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()),
            username: claims.preferred_username().map(|name| name.to_string()),
            tenant: more.tid.clone(),
            object: more.oid.clone(),
            groups: more.groups.clone(),
        }
    }

    /// The second step whole, the token request included.
    pub async fn redeem(&self, code: String, begun: Begun, client: &Outgoing) -> Person {
        let request = self.0.exchange_code(AuthorizationCode::new(code)).expect("a token endpoint");
        let tokens = request.set_pkce_verifier(begun.verifier).request_async(client).await.expect("tokens");
        self.verify(&tokens, &begun.nonce)
    }
}

/// The HTTP client: the same that our host has, of the same version.
pub struct Outgoing(pub reqwest::Client);

impl<'c> AsyncHttpClient<'c> for Outgoing {
    type Error = reqwest::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, reqwest::Error>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let request = self.0.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
            let response = request.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            let mut answer = HttpResponse::new(response.bytes().await?.to_vec());
            *answer.status_mut() = status;
            *answer.headers_mut() = headers;
            Ok(answer)
        })
    }
}
