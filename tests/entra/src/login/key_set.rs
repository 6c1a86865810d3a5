//! The key set document (RFC 7517) as Entra publishes it: `kid` equal to `x5t`, no `alg`, a certificate and an issuer on each key,
//! more than one key, and the key of personal accounts among them with an issuer of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::authority::Authority;
use super::discovery::host;
use super::errors::metadata_error;
use super::{set_json_type, with_service_headers};
use crate::control::mischief::DocumentMischief;
use crate::keys::SigningKey;
use crate::seed::fixtures;
use crate::world::World;

/// `GET /{tenant}/discovery/v2.0/keys`.
pub(crate) async fn key_set(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    headers: HeaderMap,
) -> Response {
    let resolved = Authority::resolve(&world.state().directory, &segment);
    let authority = match resolved {
        Ok(authority) => authority,
        Err(refusal) => return metadata_error(&world, &headers, &refusal),
    };
    let mut keys = honest(&world, &authority);
    spoil(&world, &mut keys);
    let headers = [("cache-control", "max-age=86400, private"), ("access-control-allow-origin", "*")];
    let mut response = with_service_headers(&world, (headers, Json(json!({ "keys": keys }))));
    set_json_type(&mut response);
    response
}

fn honest(world: &World, authority: &Authority) -> Vec<Value> {
    let (published, personal) = {
        let state = world.state();
        (state.keys.published(), state.keys.personal())
    };
    let issuer = |tenant: &str| format!("{}/{tenant}/v2.0", world.login_url);
    let mut keys: Vec<Value> = published
        .iter()
        .enumerate()
        .map(|(position, key)| {
            // On a tenant's endpoint both forms occur: the template, and that tenant's own issuer.
            let tenant = if position % 2 == 0 { "{tenantid}" } else { authority.issuer_segment() };
            json_web_key(world, key, Some(&issuer(tenant)))
        })
        .collect();
    keys.insert(1.min(keys.len()), json_web_key(world, &personal, Some(&issuer(fixtures::PERSONAL_TENANT))));
    keys
}

/// One key as Entra writes it.
pub(crate) fn json_web_key(world: &World, key: &SigningKey, issuer: Option<&str>) -> Value {
    let (n, e) = key.modulus_and_exponent();
    let mut jwk = json!({
        "kty": "RSA",
        "use": "sig",
        "kid": key.kid(),
        "x5t": key.kid(),
        "n": n,
        "e": e,
        "x5c": [STANDARD.encode(key.certificate())],
        "cloud_instance_name": host(&world.login_url),
    });
    if let (Some(issuer), Some(object)) = (issuer, jwk.as_object_mut()) {
        object.insert("issuer".to_owned(), issuer.into());
    }
    jwk
}

fn spoil(world: &World, keys: &mut Vec<Value>) {
    use DocumentMischief as M;
    let on = |mischief| world.document_mischief(mischief);
    if on(M::KeySetNoIssuers) {
        each(keys, |key| {
            key.remove("issuer");
        });
    }
    if on(M::KeySetForeignIssuers) {
        let foreign = format!("{}/{}/v2.0", world.login_url, fixtures::FABRIKAM);
        each(keys, |key| {
            key.insert("issuer".to_owned(), foreign.clone().into());
        });
    }
    if on(M::KeySetForEncryption) {
        each(keys, |key| {
            key.insert("use".to_owned(), "enc".into());
        });
    }
    if on(M::KeySetDuplicateKid) {
        keys.insert(0, strangers_key_in_disguise(world));
    }
    if on(M::KeySetUnknownTypes) {
        for odd in odd_entries() {
            keys.insert(0, odd);
        }
    }
    if on(M::KeySetHuge) {
        let stranger = world.state().keys.stranger();
        let mut further = vec![json_web_key(world, &stranger, None); 1000];
        for (number, key) in further.iter_mut().filter_map(Value::as_object_mut).enumerate() {
            key.insert("kid".to_owned(), format!("further-key-{number}").into());
        }
        keys.splice(0..0, further);
    }
    if on(M::KeySetEmpty) {
        keys.clear();
    }
}

fn each(keys: &mut [Value], change: impl Fn(&mut Map<String, Value>)) {
    keys.iter_mut().filter_map(Value::as_object_mut).for_each(change);
}

/// The attacker's key under the id of the key that signs.
fn strangers_key_in_disguise(world: &World) -> Value {
    let (stranger, signing) = {
        let state = world.state();
        (state.keys.stranger(), state.keys.signing_key())
    };
    let mut key = json_web_key(world, &stranger, Some(&format!("{}/{{tenantid}}/v2.0", world.login_url)));
    if let (Some(object), Some(signing)) = (key.as_object_mut(), signing) {
        object.insert("kid".to_owned(), signing.kid().into());
        object.insert("x5t".to_owned(), signing.kid().into());
    }
    key
}

/// Entries that a client must step over (RFC 7517 section 5: ignore keys that are not understood).
fn odd_entries() -> [Value; 5] {
    [
        json!({"kty": "FUTURE", "kid": "of-a-future-type", "use": "sig", "q": "AQAB"}),
        json!({"kty": "EC", "kid": "incomplete", "use": "sig", "crv": "P-256", "x": "AA"}),
        json!({"kty": "RSA", "kid": "bad-base64", "use": "sig", "n": "***", "e": "AQAB"}),
        json!({"kty": "oct", "kid": "symmetric", "k": "c2VjcmV0"}),
        json!({"kty": "RSA", "use": "sig", "n": "AQAB", "e": "AQAB"}),
    ]
}
