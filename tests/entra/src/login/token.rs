//! The token endpoint: authorization codes and client credentials. Refresh tokens are issued where asked for but cannot be redeemed:
//! the plugin keeps none.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::authority::Authority;
use super::client_auth::{ClientAuth, authenticate};
use super::codes::{IssuedCode, Redemption};
use super::errors::{Refusal, token_error};
use super::{forge, id_token, set_json_type, spoiled_claims, with_service_headers};
use crate::control::confidential::{ConfidentialKind, Confidentials};
use crate::control::mischief::{ClaimMischief, TokenMischief};
use crate::control::requests::text;
use crate::encoding::Parameters;
use crate::graph::access_token;
use crate::seed::App;
use crate::world::World;

/// `expires_in` of access tokens, seconds.
pub(crate) const ACCESS_TOKEN_LIFETIME_S: i64 = 3599;

/// The app that a token is for, and how it proved itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) app: &'a App,
    pub(crate) auth: ClientAuth,
}

/// A successful answer, in Entra's order. For client credentials only the four always-present members.
#[derive(Debug, Serialize)]
struct TokenResponse {
    token_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    expires_in: i64,
    ext_expires_in: i64,
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

impl TokenResponse {
    fn note_in(&self, confidential: &mut Confidentials) {
        let tokens = [
            (ConfidentialKind::AccessToken, Some(&self.access_token)),
            (ConfidentialKind::RefreshToken, self.refresh_token.as_ref()),
            (ConfidentialKind::IdToken, self.id_token.as_ref()),
        ];
        for (kind, token) in tokens {
            confidential.note(kind, token.map_or("", String::as_str));
        }
    }
}

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) async fn token(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match answer(&world, &segment, &headers, &body) {
        Ok(tokens) => {
            tokens.note_in(&mut world.state().confidential);
            let no_store = [("cache-control", "no-store, no-cache"), ("pragma", "no-cache")];
            let mut response = with_service_headers(&world, (no_store, Json(tokens)));
            set_json_type(&mut response);
            response
        }
        Err(refusal) => token_error(&world, &headers, &refusal),
    }
}

fn answer(world: &World, segment: &str, headers: &HeaderMap, body: &[u8]) -> Result<TokenResponse, Refusal> {
    let form = form(headers, body);
    let authority = Authority::resolve(&world.state().directory, segment)?;
    if let Some(name) = form.duplicate() {
        return Err(Refusal::DuplicateParameter { name: name.to_owned() });
    }
    let grant_type = form.get("grant_type").ok_or(Refusal::MissingParameter { name: "grant_type" })?;
    refuse_browsers(headers, &form)?;
    let app = authenticate(world, headers, &form, &authority)?;
    authority.knows(&app)?;
    let client = Client { app: &app, auth: ClientAuth::of(headers, &form) };
    match grant_type {
        "authorization_code" => redeem_code(world, client, &authority, &form),
        "client_credentials" => client_credentials(world, client, &authority, &form),
        other => Err(Refusal::GrantTypeUnknown { grant_type: other.to_owned() }),
    }
}

/// A body of another type has no parameters, so the first required one is missed.
fn form(headers: &HeaderMap, body: &[u8]) -> Parameters {
    let is_form = text(headers, "content-type")
        .is_some_and(|value| value.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"));
    if is_form { Parameters::parse(body) } else { Parameters::default() }
}

/// A "Web" app's credentials do not come out of a browser.
fn refuse_browsers(headers: &HeaderMap, form: &Parameters) -> Result<(), Refusal> {
    match text(headers, "origin") {
        Some(origin) if ClientAuth::of(headers, form) != ClientAuth::None => {
            Err(Refusal::CrossOrigin { origin: origin.to_owned() })
        }
        _ => Ok(()),
    }
}

fn redeem_code(
    world: &World,
    client: Client<'_>,
    authority: &Authority,
    form: &Parameters,
) -> Result<TokenResponse, Refusal> {
    let code = form.get("code").ok_or(Refusal::MissingParameter { name: "code" })?;
    let redirect_uri = form.get("redirect_uri").ok_or(Refusal::MissingParameter { name: "redirect_uri" })?;
    let redemption = Redemption {
        app: client.app,
        authority,
        redirect_uri,
        code_verifier: form.get("code_verifier"),
        now_unix_s: world.clock.now_unix_s(),
    };
    let (issued, mischief) = {
        let mut state = world.state();
        let issued = state.codes.get_mut(code).ok_or(Refusal::CodeInvalid)?;
        issued.check(&redemption)?;
        issued.redeemed = true;
        let issued = issued.clone();
        (issued, (state.switches.take_claims(), state.switches.take()))
    };
    tokens_for(world, client, &issued, mischief)
}

fn tokens_for(
    world: &World,
    client: Client<'_>,
    issued: &IssuedCode,
    (claim_mischief, mischief): (Option<ClaimMischief>, Option<TokenMischief>),
) -> Result<TokenResponse, Refusal> {
    let access_token = access_token::for_person(world, client, &issued.person, &issued.scopes)?;
    let id_token = if issued.scopes.openid && mischief != Some(TokenMischief::NoIdToken) {
        let mut claims = id_token::claims(world, client.app, issued);
        if let Some(mischief) = claim_mischief {
            spoiled_claims::spoil(world, mischief, &issued.person, &mut claims);
        }
        Some(forge::id_token(world, claims, mischief, &access_token)?)
    } else {
        None
    };
    Ok(TokenResponse {
        token_type: if mischief == Some(TokenMischief::TokenTypeMac) { "mac" } else { "Bearer" },
        scope: Some(issued.scopes.granted()),
        expires_in: ACCESS_TOKEN_LIFETIME_S,
        ext_expires_in: ACCESS_TOKEN_LIFETIME_S,
        access_token,
        refresh_token: issued.scopes.offline_access.then(|| format!("1.A{}", world.random.text(600))),
        id_token,
    })
}

fn client_credentials(
    world: &World,
    client: Client<'_>,
    authority: &Authority,
    form: &Parameters,
) -> Result<TokenResponse, Refusal> {
    let Authority::Tenant(tenant) = authority else { return Err(Refusal::GrantNeedsTenant) };
    let scope = form.get("scope").ok_or(Refusal::MissingParameter { name: "scope" })?;
    let not_default = || Refusal::ScopeNotDefault { scope: scope.to_owned() };
    if scope.split_ascii_whitespace().count() != 1 {
        return Err(not_default());
    }
    let resource = scope.strip_suffix("/.default").ok_or_else(not_default)?;
    if resource != world.graph_url {
        return Err(Refusal::ResourceNotFound { resource: resource.to_owned() });
    }
    Ok(TokenResponse {
        token_type: "Bearer",
        scope: None,
        expires_in: ACCESS_TOKEN_LIFETIME_S,
        ext_expires_in: ACCESS_TOKEN_LIFETIME_S,
        access_token: access_token::for_app(world, client, tenant)?,
        refresh_token: None,
        id_token: None,
    })
}
