//! `prefetch_users`: who is in the directory becomes a user of Core's before they sign in. The component maps what the directory says of
//! them exactly as it maps a token's claims, and the hand-over makes the user exactly as for a sign-in: so the person who signs in later
//! finds the same name, and their own account.

use serde_json::{Value, json};

use super::mirror::{Mirror, UserRecord};
use super::oid::Oid;
use crate::capability::TraceId;
use crate::config::Provider;
use crate::core_api::CoreError;
use crate::gateway::Gateway;
use crate::handover::{CoreHandover, HandoverError, HandoverRequest, Roster};
use crate::identity::{AccountKind, Groups, Identity};
use crate::sandbox::bindings::exports::defguard::openid::configuration::Preview;

/// Makes users ahead of their first sign-in.
pub(super) struct Prefetch<'a> {
    gateway: &'a Gateway,
    core: &'a CoreHandover,
    provider: &'a Provider,
    mirror: Mirror,
}

/// The provider's issuer and tenant: an identity is known by both.
struct Authority {
    issuer: String,
    tenant: Oid,
}

/// Why there is no user.
pub(super) enum Unmade {
    /// Of this person's: their record, their name, their address.
    Person(String),
    /// Of this host's.
    Host(String),
    /// What Core said; whether to this one or to everybody, its failure says.
    Core(CoreError),
}

impl From<String> for Unmade {
    fn from(why: String) -> Self {
        Self::Person(why)
    }
}

impl From<&str> for Unmade {
    fn from(why: &str) -> Self {
        Self::Person(why.to_owned())
    }
}

impl<'a> Prefetch<'a> {
    pub(super) fn new(gateway: &'a Gateway, core: &'a CoreHandover, provider: &'a Provider, mirror: Mirror) -> Self {
        Self { gateway, core, provider, mirror }
    }

    /// Finds or makes the user: name and Core's number, or why not.
    pub(super) async fn make(&self, oid: Oid, roster: &Roster) -> Result<(String, i64), Unmade> {
        let authority = authority(self.provider)?;
        let record = super::round::blocking(&self.mirror, move |mirror| mirror.user(oid)).await;
        let record = record
            .map_err(|error| Unmade::Host(error.to_string()))?
            .ok_or("the directory has nobody of this object id any more")?;
        let input = statement(&authority, oid, &record).to_string();
        let preview = self.gateway.plugin().map_claims(&self.provider.component_json, &input).await;
        let preview = preview.map_err(|error| Unmade::Host(error.to_string()))?.map_err(|problem| problem.message)?;
        let email_linking = preview.email_linking.clone();
        let identity = identity(self.provider, &authority, oid, preview)?;
        let email_linking = email_linking.ok_or("the mapping gives no address")?.into();
        let approved_account = self.provider.approved_account(&identity);
        let request = HandoverRequest { identity: &identity, email_linking: &email_linking, approved_account };
        let prepared = self.core.prepare(&request, roster, &TraceId::new(), &mut Vec::new()).await;
        match prepared {
            Ok(prepared) => Ok((prepared.user.username, prepared.user.id)),
            Err(HandoverError::Core(error)) => Err(Unmade::Core(error)),
            Err(HandoverError::Unavailable(why)) => Err(Unmade::Host(why)),
            Err(error) => Err(Unmade::Person(error.to_string())),
        }
    }
}

/// From the configuration's address: a tenant that is named there by a domain isn't known here by its id. The issuer is written as
/// Entra writes it (entra_graph §1.1): a person who signs in later has to be the same one.
fn authority(provider: &Provider) -> Result<Authority, String> {
    let text = |key: &str| provider.component_table.get(key).and_then(toml::Value::as_str).unwrap_or_default();
    let base = url::Url::parse(text("base_url")).map_err(|_| "prefetch_users: base_url is no address")?;
    let in_path = base.path_segments().and_then(|mut parts| parts.find_map(Oid::parse));
    let tenant = in_path.or_else(|| Oid::parse(text("tenant").trim()));
    let tenant =
        tenant.ok_or("prefetch_users needs the tenant's id, a GUID, in base_url or tenant: a domain isn't enough")?;
    Ok(Authority { issuer: format!("{}/{tenant}/v2.0", base.origin().ascii_serialization()), tenant })
}

/// What `map-claims` reads: the claims that Entra's token would have, and the directory's own words.
fn statement(authority: &Authority, oid: Oid, record: &UserRecord) -> Value {
    let claims = [
        ("iss", Some(&authority.issuer)),
        ("preferred_username", record.user_principal_name.as_ref()),
        ("email", record.mail.as_ref()),
        ("name", record.display_name.as_ref()),
        ("given_name", record.given_name.as_ref()),
        ("family_name", record.surname.as_ref()),
    ];
    // What has no value isn't in a token (entra_graph §4).
    let mut claims: serde_json::Map<String, Value> =
        claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone().into()))).collect();
    claims.insert("ver".into(), "2.0".into());
    claims.insert("sub".into(), oid.to_string().into());
    claims.insert("oid".into(), oid.to_string().into());
    claims.insert("tid".into(), authority.tenant.to_string().into());
    if record.guest == Some(true) {
        claims.insert("acct".into(), 1.into());
    }
    json!({
        "claims": claims,
        "directory": {
            "id": oid.to_string(),
            "userPrincipalName": record.user_principal_name,
            "mail": record.mail,
            "otherMails": record.other_mails,
            "displayName": record.display_name,
            "givenName": record.given_name,
            "surname": record.surname,
            "mobilePhone": record.mobile_phone,
            "accountEnabled": record.enabled,
            "userType": record.guest.map(|guest| if guest { "Guest" } else { "Member" }),
        },
        "groups_unknown": "a person who hasn't signed in",
    })
}

/// The identity that the mapping comes to, or the refusal that the person would meet.
fn identity(provider: &Provider, authority: &Authority, oid: Oid, preview: Preview) -> Result<Identity, String> {
    if let Some(refusal) = preview.refusal {
        return Err(format!("they wouldn't be let in: {} ({})", refusal.message, refusal.code));
    }
    let mapped = |field: &str| preview.mapped.iter().find(|(name, _)| name == field).map(|(_, value)| value.clone());
    let needed = |field: &str| mapped(field).ok_or_else(|| format!("the mapping gives no {field}"));
    let identity = Identity {
        provider: provider.id.to_string(),
        issuer: authority.issuer.clone(),
        subject: oid.to_string(),
        tenant_id: Some(authority.tenant.to_string()),
        object_id: Some(oid.to_string()),
        username: needed("username")?,
        email: needed("email")?,
        email_verified: None,
        given_name: needed("given_name")?,
        family_name: needed("family_name")?,
        display_name: mapped("display_name").unwrap_or_default(),
        phone: mapped("phone"),
        groups: Groups::NotRequested,
        account: AccountKind::from(preview.account),
        attributes: std::collections::BTreeMap::new(),
    };
    identity.check().map_err(str::to_owned)?;
    Ok(identity)
}
