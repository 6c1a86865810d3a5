//! Pushed authorization requests (RFC 9126): the request goes from us to the provider, authenticated as the client; the
//! browser carries a reference to it. Sent once: a second one would be another request.

use serde_json::Value;
use url::Url;
use url::form_urlencoded;

use super::discovery::Metadata;
use super::fetch::{hinted, said_by_provider, unexpected, unreachable};
use super::token_request::{authentication, form_headers};
use crate::capability::{CredentialFailure, Method, Request, Response, World};
use crate::configuration::{Provider, PushedRequests};
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;

/// How long the provider may take, in milliseconds.
const TIMEOUT_MS: u32 = 10_000;
/// The most that is read, in bytes.
const MAX_BYTES: u32 = 16 << 10;
/// The longest reference, in bytes; section 2.2 has `urn:ietf:params:oauth:request_uri:` and a random part.
const MAX_REFERENCE_BYTES: usize = 1024;
const CHECK: &str = "pushed_request";

/// Pushes the request if configuration and provider say so; the reference then, for `request_uri`.
pub fn push(
    world: World<'_>,
    provider: &Provider,
    metadata: &Metadata,
    parameters: &[(&str, &str)],
    trace: &mut Trace,
) -> Result<Option<String>, Refusal> {
    let refuse = |detail: &str| Err(Refusal::new(&refusal::PUSHED_REQUESTS_MISMATCH, CHECK, detail));
    let endpoint = match (provider.sign_in.pushed_requests, &metadata.pushed_request_endpoint) {
        (PushedRequests::Never, _) if metadata.requires_pushed_requests => {
            return refuse("the provider demands pushed requests, and the configuration says \"never\"");
        }
        (PushedRequests::Never, _) => return Ok(None),
        (PushedRequests::WhenOffered | PushedRequests::Required, Some(endpoint)) => endpoint,
        (PushedRequests::WhenOffered, None) => {
            trace.skip(CHECK, "the provider doesn't offer it");
            return Ok(None);
        }
        (PushedRequests::Required, None) => return refuse("the provider has no endpoint for pushed requests"),
    };
    let method = authentication(world, provider, metadata)?;
    let request = Request {
        method: Method::Post,
        url: endpoint.clone(),
        headers: form_headers(),
        body: Some(form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()),
        timeout_ms: TIMEOUT_MS,
        max_response_bytes: MAX_BYTES,
    };
    let response = world.credentials.send_authenticated(request, method).map_err(|failure| match failure {
        CredentialFailure::Http(error) => unreachable(CHECK, &error),
        other => Refusal::new(&refusal::CREDENTIAL_UNUSABLE, CHECK, other.to_string()),
    })?;
    let reference = read(endpoint, &response)?;
    trace.pass(CHECK, format!("accepted, with {}", method.as_str()));
    Ok(Some(reference))
}

/// Section 2.2: 201 with `request_uri` and `expires_in`. Section 2.3: an error as of the token endpoint.
fn read(endpoint: &str, response: &Response) -> Result<String, Refusal> {
    let object = crate::jose::parse_unique_object(&response.body).ok().filter(|_| response.is_json());
    if let Some(error) = object.as_ref().and_then(|object| object.get("error")).and_then(Value::as_str) {
        let rule = match error {
            _ if response.status == 429 => &refusal::PROVIDER_THROTTLED,
            "invalid_client" | "unauthorized_client" => &refusal::CLIENT_REFUSED,
            "temporarily_unavailable" | "server_error" => &refusal::PROVIDER_ERROR,
            _ if response.status >= 500 => &refusal::PROVIDER_ERROR,
            _ => &refusal::PUSHED_REQUEST_REFUSED,
        };
        let detail = format!("the provider answered {:?}", error.chars().take(64).collect::<String>());
        return Err(hinted(Refusal::new(rule, CHECK, detail), said_by_provider(&response.body)));
    }
    let Some(object) = object.filter(|_| matches!(response.status, 200 | 201)) else {
        return Err(unexpected(CHECK, endpoint, response));
    };
    let bad = |detail: &str| Refusal::new(&refusal::PROVIDER_ANSWER, CHECK, format!("the provider's answer {detail}"));
    if object.get("expires_in").and_then(Value::as_u64).is_none_or(|seconds| seconds == 0) {
        return Err(bad("has no expires_in above 0"));
    }
    let reference = object.get("request_uri").and_then(Value::as_str).unwrap_or_default();
    let is_reference = reference.len() <= MAX_REFERENCE_BYTES
        && reference.bytes().all(|byte| byte.is_ascii_graphic())
        && Url::parse(reference).is_ok_and(|url| matches!(url.scheme(), "urn" | "https"));
    if is_reference { Ok(reference.to_owned()) } else { Err(bad("has no request_uri that is one")) }
}
