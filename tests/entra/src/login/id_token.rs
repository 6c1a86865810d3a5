//! The claims of an honest v2.0 ID token: by scope, by the app's optional claims, and by what the person has.
//! As at Entra: back-dated by five minutes, no `email_verified`, no `at_hash` from the token endpoint.

use serde_json::{Map, Value, json};

use super::codes::IssuedCode;
use super::subject;
use crate::seed::{App, DomainOwnerVerified, GroupsClaim, Guid, Person, UserType};
use crate::world::World;

/// How far `iat` and `nbf` lie in the past.
const BACK_DATED_S: i64 = 300;
/// How long a token is valid from now on.
const LIFETIME_S: i64 = 3600;
/// How many groups an ID token of the code flow holds at most; with more it holds none and says so.
const MOST_GROUPS: usize = 200;

/// The issuer of a tenant's tokens.
pub(super) fn issuer(world: &World, tenant: &str) -> String {
    format!("{}/{tenant}/v2.0", world.login_url)
}

/// All claims of the token for a redeemed code.
pub(super) fn claims(world: &World, app: &App, code: &IssuedCode) -> Map<String, Value> {
    let (person, scopes) = (&code.person, &code.scopes);
    let now = world.clock.now_unix_s();
    let mut claims = Map::new();
    let mut put = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    put("aud", app.client_id.as_str().into());
    put("iss", issuer(world, person.tenant.as_str()).into());
    put("iat", (now - BACK_DATED_S).into());
    put("nbf", (now - BACK_DATED_S).into());
    put("exp", (now + LIFETIME_S).into());
    put("aio", world.random.text(48).into());
    put("rh", format!("0.{}", world.random.text(24)).into());
    put("sub", subject::pairwise(person, &app.client_id).into());
    put("uti", world.random.text(16).into());
    put("ver", "2.0".into());
    if let Some(nonce) = &code.nonce {
        put("nonce", nonce.as_str().into());
    }
    if scopes.profile {
        claims.extend(profile_claims(app, person));
    }
    claims.extend(mail_claims(app, person, scopes.email));
    claims.extend(account_claims(app, person));
    claims.extend(session_claims(app, code));
    claims.extend(group_claims(world, app, person));
    claims.extend(person.extra_claims.clone());
    claims.retain(|name, _| !person.omitted_claims.contains(name));
    claims
}

type Claims = Vec<(String, Value)>;

fn wants(app: &App, claim: &str) -> bool {
    app.optional_claims.iter().any(|configured| configured == claim)
}

fn claim(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

/// Claims that need the scope `profile`. Whether `tid` does is not confirmed; Microsoft's access token page says so.
fn profile_claims(app: &App, person: &Person) -> Claims {
    let mut claims = vec![
        claim("oid", person.oid.as_str()),
        claim("tid", person.tenant.as_str()),
        claim("preferred_username", person.sign_in_name()),
    ];
    let optional = [
        ("given_name", person.given_name.as_deref()),
        ("family_name", person.surname.as_deref()),
        // Guests' principal names only with a further setting, which no app of the emulator has.
        ("upn", (person.user_type == UserType::Member).then_some(person.user_principal_name.as_str())),
    ];
    claims.extend(person.display_name.as_deref().map(|name| claim("name", name)));
    for (name, value) in optional {
        if let Some(value) = value.filter(|_| wants(app, name)) {
            claims.push(claim(name, value));
        }
    }
    claims
}

/// `email` by scope or configuration, for guests always; `xms_edov` and `verified_primary_email` beside it.
fn mail_claims(app: &App, person: &Person, scope: bool) -> Claims {
    let asked = scope || wants(app, "email") || person.user_type == UserType::Guest;
    let Some(mail) = person.mail.as_deref().filter(|_| asked && !person.mail_only_in_userinfo) else {
        return Vec::new();
    };
    let mut claims = vec![claim("email", mail)];
    if wants(app, "xms_edov") {
        match &person.domain_owner_verified {
            DomainOwnerVerified::Absent => {}
            DomainOwnerVerified::Bool(value) => claims.push(claim("xms_edov", *value)),
            DomainOwnerVerified::Text(value) => claims.push(claim("xms_edov", value.as_str())),
        }
    }
    if wants(app, "verified_primary_email") && person.domain_owner_verified == DomainOwnerVerified::Bool(true) {
        claims.push(claim("verified_primary_email", json!([mail])));
    }
    claims
}

fn account_claims(app: &App, person: &Person) -> Claims {
    let mut claims = Vec::new();
    if let Some(provider) = &person.identity_provider {
        claims.push(claim("idp", provider.as_str()));
    }
    if wants(app, "acct") {
        claims.push(claim("acct", i32::from(person.user_type == UserType::Guest)));
    }
    if wants(app, "login_hint") {
        claims.push(claim("login_hint", person.opaque_login_hint()));
    }
    claims
}

/// When the person proved who they are, and which of the authentication contexts that were asked for they satisfied.
fn session_claims(app: &App, code: &IssuedCode) -> Claims {
    let mut claims = Vec::new();
    if wants(app, "auth_time") {
        claims.push(claim("auth_time", code.session.auth_time_unix_s));
    }
    if !code.session.satisfied_contexts.is_empty() {
        claims.push(claim("acrs", json!(code.session.satisfied_contexts)));
    }
    claims
}

/// `groups`, or the markers for too many.
fn group_claims(world: &World, app: &App, person: &Person) -> Claims {
    if !app.groups_claim {
        return Vec::new();
    }
    match &person.groups {
        GroupsClaim::None => Vec::new(),
        GroupsClaim::Ids(ids) => vec![claim("groups", json!(ids))],
        GroupsClaim::HasGroups => vec![claim("hasgroups", true)],
        GroupsClaim::Overage => overage_markers(world, &person.tenant, &person.oid),
        GroupsClaim::FromDirectory => {
            let state = world.state();
            let groups = state.directory.groups_of(&person.oid);
            let ids: Vec<_> = groups.iter().filter(|group| group.security_enabled).map(|group| &group.id).collect();
            match ids.len() {
                0 => Vec::new(),
                1..=MOST_GROUPS => vec![claim("groups", json!(ids))],
                _ => overage_markers(world, &person.tenant, &person.oid),
            }
        }
    }
}

/// The claims that stand for more groups than the token holds (OpenID Connect Core section 5.6.2). The endpoint that `_claim_sources`
/// names is never to be called: the emulator's own address stands in for the retired one, so that a call shows in the request log.
pub(super) fn overage_markers(world: &World, tenant: &Guid, oid: &Guid) -> Claims {
    let endpoint = format!("{}/{tenant}/users/{oid}/getMemberObjects", world.graph_url);
    vec![
        claim("_claim_names", json!({"groups": "src1"})),
        claim("_claim_sources", json!({"src1": {"endpoint": endpoint}})),
    ]
}
