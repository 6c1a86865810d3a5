//! The token request (RFC 6749 section 4.1.3, OIDC Core 3.1.3): one form, sent once. The host adds the credential. A
//! request whose answer is lost isn't repeated: the code is spent.

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::discovery::Metadata;
use super::fetch::{hinted, said_by_provider, unexpected, unreachable};
use crate::capability::{ClientAuthentication, CredentialFailure, Method, Request, Response, World};
use crate::configuration::Provider;
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;

/// How long the provider may take, in milliseconds.
const TIMEOUT_MS: u32 = 10_000;
/// The most that is read, in bytes: an ID token of 16 KiB, and an access token and a refresh token as large.
const MAX_BYTES: u32 = 128 << 10;
const CHECK: &str = "token_request";

/// What the token endpoint gave.
pub struct Tokens {
    /// OIDC Core 3.1.3.3.
    pub id_token: String,
    /// For userinfo; some providers send none.
    pub access_token: Option<String>,
}

/// Redeems a code.
pub fn redeem(
    world: World<'_>,
    provider: &Provider,
    metadata: &Metadata,
    code: &str,
    redirect_uri: &str,
    code_verifier: &str,
    trace: &mut Trace,
) -> Result<Tokens, Refusal> {
    let method = authentication(world, provider, metadata)?;
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", code_verifier)
        .finish();
    let mut headers = form_headers();
    if provider.is_microsoft() {
        // Microsoft's support finds the request by it (entra_graph §3).
        headers.extend(request_id(world).map(|id| ("client-request-id".to_owned(), id)));
    }
    let request = Request {
        method: Method::Post,
        url: metadata.token_endpoint.clone(),
        headers,
        body: Some(form.into_bytes()),
        timeout_ms: TIMEOUT_MS,
        max_response_bytes: MAX_BYTES,
    };
    let response = world.credentials.send_authenticated(request, method).map_err(|failure| match failure {
        CredentialFailure::Http(error) => unreachable(CHECK, &error),
        other => Refusal::new(&refusal::CREDENTIAL_UNUSABLE, CHECK, other.to_string()),
    })?;
    let tokens = read(metadata, &response)?;
    trace.pass(CHECK, format!("redeemed with {}", method.as_str()));
    Ok(tokens)
}

/// Of a form whose answer is JSON.
pub(super) fn form_headers() -> Vec<(String, String)> {
    vec![
        ("accept".to_owned(), "application/json".to_owned()),
        ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()),
    ]
}

/// A random GUID (RFC 9562 section 5.4); none if there is no randomness, which ends nothing here.
pub(crate) fn request_id(world: World<'_>) -> Option<String> {
    let random = world.random.bytes().ok()?;
    let bytes = *random.first_chunk::<16>()?;
    // Version 4, variant 10.
    let id = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{id:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    Some(format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)))
}

/// The configured method, else the first of ours that the provider takes: for Entra the form, as its documentation does;
/// elsewhere Basic, which RFC 6749 section 2.3.1 prefers.
pub(crate) fn authentication(
    world: World<'_>,
    provider: &Provider,
    metadata: &Metadata,
) -> Result<ClientAuthentication, Refusal> {
    use ClientAuthentication::{PrivateKeyJwt, SecretBasic, SecretPost};
    let available = world.credentials.available();
    let order = if provider.is_microsoft() {
        [PrivateKeyJwt, SecretPost, SecretBasic]
    } else {
        [PrivateKeyJwt, SecretBasic, SecretPost]
    };
    let chosen = match provider.authentication {
        Some(method) => Some(method),
        None => order.into_iter().find(|method| available.contains(method) && metadata.authentication.contains(method)),
    };
    chosen.ok_or_else(|| {
        let names = |methods: &[ClientAuthentication]| {
            methods.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ")
        };
        let detail =
            format!("the provider takes {:?}, we have {:?}", names(&metadata.authentication), names(&available));
        Refusal::new(&refusal::CREDENTIAL_UNUSABLE, CHECK, detail)
    })
}

fn read(metadata: &Metadata, response: &Response) -> Result<Tokens, Refusal> {
    let bad =
        |detail: &str| Refusal::new(&refusal::PROVIDER_ANSWER, CHECK, format!("the token endpoint's answer {detail}"));
    let object = crate::jose::parse_unique_object(&response.body).ok().filter(|_| response.is_json());
    if let Some(error) = object.as_ref().and_then(|object| object.get("error")).and_then(Value::as_str) {
        return Err(refused(CHECK, error, response));
    }
    let Some(object) = object.filter(|_| response.status == 200) else {
        let mut refusal = unexpected(CHECK, &metadata.token_endpoint, response);
        if response.status == 200 && response.is_json() {
            refusal.check.1 = "the token endpoint's answer isn't a JSON object".into();
        }
        return Err(refusal);
    };
    let text = |name: &str| text_of(&object, name);
    // OIDC Core 3.1.3.3: it must be there and say Bearer; case doesn't count (RFC 6749 section 5.1).
    let token_type = text("token_type").unwrap_or_default();
    if !token_type.eq_ignore_ascii_case("Bearer") {
        let found = token_type.chars().take(32).collect::<String>();
        return Err(bad(&format!("has token_type {found:?}, expected \"Bearer\"")));
    }
    Ok(Tokens {
        id_token: text("id_token").ok_or_else(|| bad("has no id_token: is the scope openid registered?"))?,
        access_token: text("access_token"),
    })
}

pub(super) fn text_of(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// RFC 6749 section 5.2. Only `error` decides; Entra's number chooses the hint.
pub(super) fn refused(check: &'static str, error: &str, response: &Response) -> Refusal {
    let rule = match error {
        _ if response.status == 429 => &refusal::PROVIDER_THROTTLED,
        "invalid_grant" => &refusal::CODE_REFUSED,
        "invalid_client" | "unauthorized_client" => &refusal::CLIENT_REFUSED,
        "interaction_required" | "login_required" => &refusal::INTERACTION_REQUIRED,
        "consent_required" => &refusal::CONSENT_REQUIRED,
        "invalid_request" | "invalid_scope" | "unsupported_grant_type" | "invalid_resource" => {
            &refusal::REQUEST_REFUSED
        }
        "temporarily_unavailable" | "server_error" => &refusal::PROVIDER_ERROR,
        _ if response.status >= 500 => &refusal::PROVIDER_ERROR,
        _ => &refusal::DENIED_OTHER,
    };
    let detail = format!("the token endpoint answered {:?}", error.chars().take(64).collect::<String>());
    hinted(Refusal::new(rule, check, detail), said_by_provider(&response.body))
}
