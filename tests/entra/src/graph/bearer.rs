//! The check of bearer tokens: signature, audience, lifetime by the emulator's clock, revocation; and whom the token speaks for.

use axum::http::HeaderMap;
use serde::Deserialize;

use super::access_token::GRAPH_APP_ID;
use super::errors::GraphError;
use crate::control::requests::text;
use crate::encoding::from_base64url;
use crate::seed::Guid;
use crate::world::World;

/// What an app may be allowed to read in a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Any user.
    Users,
    /// Groups and who is in them.
    Groups,
    /// Groups with all that belongs to them, deleted ones too.
    WholeGroups,
    /// Who is in groups that hide it.
    HiddenMembers,
}

impl Permission {
    /// The application permissions (`roles`) that grant it, the least one first.
    fn granted_by(self) -> &'static [&'static str] {
        match self {
            Self::Users => &["User.Read.All"],
            Self::Groups => &["GroupMember.Read.All", "Group.Read.All"],
            Self::WholeGroups => &["Group.Read.All"],
            Self::HiddenMembers => &["Member.Read.Hidden"],
        }
    }
}

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Principal {
    /// The app itself, with application permissions in one tenant.
    App { tenant: Guid, roles: Vec<String> },
    /// A signed-in person through an app, with delegated permissions.
    Person { tenant: Guid, oid: Guid, subject: String, scopes: Vec<String> },
}

impl Principal {
    /// The directory that the token can see.
    pub(super) fn tenant(&self) -> &Guid {
        match self {
            Self::App { tenant, .. } | Self::Person { tenant, .. } => tenant,
        }
    }

    /// Whether the token grants an application permission. A person's token never does.
    pub(super) fn may_use(&self, permission: Permission) -> bool {
        matches!(self, Self::App { roles, .. } if roles.iter().any(|role| permission.granted_by().contains(&role.as_str())))
    }

    /// Refuses a token that lacks one of these permissions.
    pub(super) fn needs(&self, permissions: &[Permission]) -> Result<(), GraphError> {
        if permissions.iter().all(|permission| self.may_use(*permission)) { Ok(()) } else { Err(GraphError::Denied) }
    }

    /// Whether the token lets the caller read this user; oneself with the delegated permission `User.Read`.
    pub(super) fn may_read_user(&self, user: &Guid) -> bool {
        match self {
            Self::App { .. } => self.may_use(Permission::Users),
            Self::Person { oid, scopes, .. } => oid == user && scopes.iter().any(|scope| scope == "User.Read"),
        }
    }
}

#[derive(Debug, Deserialize)]
struct Header {
    kid: String,
    alg: String,
}

#[derive(Debug, Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    nbf: i64,
    idtyp: String,
    tid: Guid,
    uti: String,
    appid: Guid,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scp: String,
    oid: Guid,
    #[serde(default)]
    xms_st: AppSubject,
}

#[derive(Debug, Default, Deserialize)]
struct AppSubject {
    sub: String,
}

/// The app that a request comes from and the tenant that it asks; none without a genuine token.
pub(super) fn app_and_tenant(world: &World, headers: &HeaderMap) -> Option<(Guid, Guid)> {
    let claims = read(world, headers).ok()?;
    Some((claims.appid, claims.tid))
}

/// The `uti` of a request's token, which tells one token from another; none without a genuine token.
pub(crate) fn token_id(world: &World, headers: &HeaderMap) -> Option<String> {
    read(world, headers).ok().map(|claims| claims.uti)
}

fn read(world: &World, headers: &HeaderMap) -> Result<Claims, GraphError> {
    let value = text(headers, "authorization").ok_or(GraphError::TokenMissing)?;
    let (scheme, token) = value.split_once(' ').ok_or(GraphError::TokenMissing)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(GraphError::TokenMissing);
    }
    verify(world, token.trim())
}

/// The principal of a request, or why its token is not accepted.
pub(super) fn principal(world: &World, headers: &HeaderMap) -> Result<Principal, GraphError> {
    let claims = read(world, headers)?;
    let now = world.clock.now_unix_s();
    if claims.aud != world.graph_url && claims.aud != GRAPH_APP_ID {
        return Err(GraphError::TokenAudience);
    }
    if claims.exp <= now || claims.nbf > now {
        return Err(GraphError::TokenExpired);
    }
    let is_stale = {
        let state = world.state();
        if !state.access_tokens.contains(&claims.uti) {
            return Err(GraphError::TokenRevoked);
        }
        state.stale_tokens.contains(&claims.uti)
    };
    Ok(if claims.idtyp == "app" {
        Principal::App { tenant: claims.tid, roles: if is_stale { Vec::new() } else { claims.roles } }
    } else {
        let scopes = claims.scp.split_ascii_whitespace().map(str::to_owned).collect();
        Principal::Person { tenant: claims.tid, oid: claims.oid, subject: claims.xms_st.sub, scopes }
    })
}

fn verify(world: &World, token: &str) -> Result<Claims, GraphError> {
    let (input, signature) = token.rsplit_once('.').ok_or(GraphError::TokenMalformed)?;
    let (header, payload) = input.split_once('.').ok_or(GraphError::TokenMalformed)?;
    let part = |text: &str| from_base64url(text).ok_or(GraphError::TokenMalformed);
    let header: Header = serde_json::from_slice(&part(header)?).map_err(|_| GraphError::TokenMalformed)?;
    let key = world.state().keys.own_key(&header.kid).ok_or(GraphError::TokenSignature)?;
    if header.alg != "RS256" || !key.verifies(input.as_bytes(), &part(signature)?) {
        return Err(GraphError::TokenSignature);
    }
    // A genuine token of another kind (an ID token) lacks what an access token has.
    serde_json::from_slice(&part(payload)?).map_err(|_| GraphError::TokenAudience)
}
