//! Access tokens for Graph. Clients must take them as opaque; the emulator's own Graph side reads them back in `bearer`.

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use crate::encoding::base64url;
use crate::keys::Scheme;
use crate::login::client_auth::ClientAuth;
use crate::login::errors::Refusal;
use crate::login::scopes::Scopes;
use crate::login::subject;
use crate::login::token::{ACCESS_TOKEN_LIFETIME_S, Client};
use crate::seed::{App, Guid, Person};
use crate::world::World;

/// Graph's own application id, the audience of delegated tokens.
pub(crate) const GRAPH_APP_ID: &str = "00000003-0000-0000-c000-000000000000";

/// A token with which the app acts for a signed-in person (userinfo, `User.Read`).
pub(crate) fn for_person(
    world: &World,
    client: Client<'_>,
    person: &Person,
    scopes: &Scopes,
) -> Result<String, Refusal> {
    let app = client.app;
    let mut claims = common(world, client, &person.tenant);
    extend(
        &mut claims,
        json!({
            "aud": GRAPH_APP_ID,
            "idtyp": "user",
            "oid": person.oid,
            "scp": scopes.granted(),
            "sub": subject::pairwise(person, &app.home_tenant),
            "upn": person.user_principal_name,
            // The subject that the app knows: what userinfo answers.
            "xms_st": {"sub": subject::pairwise(person, &app.client_id)},
        }),
    );
    issue(world, &claims)
}

/// A token with which the app acts for itself. `roles` is absent when nothing is consented; the token is issued all the same.
pub(crate) fn for_app(world: &World, client: Client<'_>, tenant: &Guid) -> Result<String, Refusal> {
    let app = client.app;
    let mut claims = common(world, client, tenant);
    extend(
        &mut claims,
        json!({
            "aud": world.graph_url,
            "idtyp": "app",
            "oid": service_principal(app, tenant),
            "sub": service_principal(app, tenant),
        }),
    );
    if !app.granted_roles.is_empty() {
        extend(&mut claims, json!({"roles": app.granted_roles}));
    }
    issue(world, &claims)
}

/// The object id of the app's service principal in a tenant.
fn service_principal(app: &App, tenant: &Guid) -> Guid {
    let digest = digest(&SHA256, format!("service principal|{tenant}|{}", app.client_id).as_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    Guid::from_bytes(bytes)
}

fn common(world: &World, client: Client<'_>, tenant: &Guid) -> Value {
    let now = world.clock.now_unix_s();
    json!({
        "appid": client.app.client_id,
        // "1" for a secret, "2" for a certificate or another provider's token.
        "appidacr": if client.auth == ClientAuth::Assertion { "2" } else { "1" },
        "exp": now + ACCESS_TOKEN_LIFETIME_S,
        "iat": now,
        "iss": format!("https://sts.windows.net/{tenant}/"),
        "nbf": now,
        "tid": tenant,
        "uti": world.random.text(16),
        "ver": "1.0",
    })
}

fn extend(claims: &mut Value, more: Value) {
    if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
        claims.extend(more);
    }
}

fn issue(world: &World, claims: &Value) -> Result<String, Refusal> {
    let key = {
        let mut state = world.state();
        let uti = claims.get("uti").and_then(Value::as_str).unwrap_or_default();
        state.access_tokens.insert(uti.to_owned());
        state.keys.signing_key().ok_or_else(|| Refusal::Internal { reason: "no key signs".to_owned() })?
    };
    let header =
        json!({"typ": "JWT", "alg": "RS256", "x5t": key.kid(), "kid": key.kid(), "nonce": world.random.text(32)});
    let input = format!("{}.{}", base64url(header.to_string()), base64url(claims.to_string()));
    let signature =
        key.sign(Scheme::Rs256, input.as_bytes()).map_err(|error| Refusal::Internal { reason: error.to_string() })?;
    Ok(format!("{input}.{}", base64url(signature)))
}
