//! The userinfo endpoint (OIDC Core 5.3): asked when the ID token doesn't say enough. Its answer only adds: it never
//! overrides a claim of the ID token, and it is dropped if it is about somebody else.

use serde_json::{Map, Value};

use super::discovery::Metadata;
use super::id_token::{IdTokenClaims, Verified};
use crate::capability::{Method, Request, World};
use crate::login::trace::Trace;

/// How long it may take, in milliseconds.
const TIMEOUT_MS: u32 = 5_000;
/// The most that is read, in bytes.
const MAX_BYTES: u32 = 128 << 10;
const CHECK: &str = "userinfo";

/// The claims that userinfo gives, or none. A failure is noted and ends nothing: whether something is still missing is
/// the caller's to say.
pub fn ask(
    world: World<'_>,
    metadata: &Metadata,
    access_token: Option<&str>,
    id_token: &Verified<IdTokenClaims>,
    trace: &mut Trace,
) -> Option<Map<String, Value>> {
    let (Some(url), Some(access_token)) = (&metadata.userinfo_endpoint, access_token) else {
        trace.skip(CHECK, "the provider has no userinfo endpoint, or gave no access token");
        return None;
    };
    let request = Request {
        method: Method::Get,
        url: url.clone(),
        headers: vec![
            ("accept".into(), "application/json".into()),
            ("authorization".into(), format!("Bearer {access_token}")),
        ],
        body: None,
        timeout_ms: TIMEOUT_MS,
        max_response_bytes: MAX_BYTES,
    };
    match world.http.send(request) {
        Err(error) => {
            trace.fail(CHECK, error.to_string());
            None
        }
        Ok(response) if response.status != 200 || !response.is_json() => {
            // A signed answer (application/jwt) was never asked for.
            trace.fail(
                CHECK,
                format!("status {}, {:?}", response.status, response.header("content-type").unwrap_or_default()),
            );
            None
        }
        Ok(response) => match crate::jose::parse_unique_object(&response.body) {
            Err(problem) => {
                trace.fail(CHECK, format!("the answer is {problem}"));
                None
            }
            Ok(claims) => accept(claims, id_token, trace),
        },
    }
}

/// Section 5.3.4: `sub` must be there, and the ID token's.
fn accept(
    claims: Map<String, Value>,
    id_token: &Verified<IdTokenClaims>,
    trace: &mut Trace,
) -> Option<Map<String, Value>> {
    if claims.get("sub").and_then(Value::as_str) == Some(id_token.claims().subject.as_str()) {
        trace.pass(CHECK, "about the same person");
        Some(claims)
    } else {
        trace.fail(CHECK, "its sub isn't the ID token's: dropped");
        None
    }
}
