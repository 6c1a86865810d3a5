//! The application's own access token (RFC 6749 section 4.4): nobody's in particular, for what the application itself may
//! read. The host adds the credential. Whether a token is kept is the caller's to say.

use serde_json::Value;
use url::form_urlencoded;

use super::fetch::{unexpected, unreachable};
use super::token_request::{form_headers, refused, request_id, text_of};
use crate::capability::{ClientAuthentication, CredentialFailure, Method, Request, Response, World};
use crate::login::refusal::{self, Refusal};

/// The most that is read, in bytes; Entra's answers have 2 KiB.
const MAX_BYTES: u32 = 64 << 10;
/// The longest token, in bytes: it must fit beside other headers (`wit/http.wit`: 8 KiB).
const MAX_TOKEN_BYTES: usize = 7 << 10;
/// The trace's name.
pub(crate) const CHECK: &str = "directory.token";

/// An access token of the application. Nothing prints it.
pub struct AppToken {
    /// Opaque (RFC 6749 section 1.4): never looked into.
    pub access_token: String,
    /// From its receipt, in seconds; 0: the answer doesn't say.
    pub expires_in_s: u64,
}

/// Asks for a token. Sent once, within `timeout_ms`.
pub fn request(
    world: World<'_>,
    token_endpoint: &str,
    method: ClientAuthentication,
    scope: &str,
    timeout_ms: u32,
) -> Result<AppToken, Refusal> {
    let form = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", scope)
        .finish();
    let mut headers = form_headers();
    headers.extend(request_id(world).map(|id| ("client-request-id".to_owned(), id)));
    let request = Request {
        method: Method::Post,
        url: token_endpoint.to_owned(),
        headers,
        body: Some(form.into_bytes()),
        timeout_ms,
        max_response_bytes: MAX_BYTES,
    };
    let response = world.credentials.send_authenticated(request, method).map_err(|failure| match failure {
        CredentialFailure::Http(error) => unreachable(CHECK, &error),
        other => Refusal::new(&refusal::CREDENTIAL_UNUSABLE, CHECK, other.to_string()),
    })?;
    read(token_endpoint, &response)
}

fn read(token_endpoint: &str, response: &Response) -> Result<AppToken, Refusal> {
    let bad =
        |detail: &str| Refusal::new(&refusal::PROVIDER_ANSWER, CHECK, format!("the token endpoint's answer {detail}"));
    let object = crate::jose::parse_unique_object(&response.body).ok().filter(|_| response.is_json());
    if let Some(error) = object.as_ref().and_then(|object| object.get("error")).and_then(Value::as_str) {
        return Err(refused(CHECK, error, response));
    }
    if response.status == 200 && response.is_json() && object.is_none() {
        return Err(bad("isn't a JSON object"));
    }
    let object =
        object.filter(|_| response.status == 200).ok_or_else(|| unexpected(CHECK, token_endpoint, response))?;
    if !text_of(&object, "token_type").is_some_and(|token_type| token_type.eq_ignore_ascii_case("Bearer")) {
        return Err(bad("has no token_type \"Bearer\""));
    }
    // RFC 6750 section 2.1: it goes into a header as it is.
    let access_token = text_of(&object, "access_token")
        .filter(|token| token.len() <= MAX_TOKEN_BYTES && token.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or_else(|| bad("has no access_token that fits a header"))?;
    // Entra's older endpoint writes numbers as texts.
    let expires_in_s = match object.get("expires_in") {
        Some(Value::Number(seconds)) => seconds.as_u64(),
        Some(Value::String(seconds)) => seconds.parse().ok(),
        _ => None,
    };
    Ok(AppToken { access_token, expires_in_s: expires_in_s.unwrap_or(0) })
}
