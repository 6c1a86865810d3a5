//! Whose account it is: one of the tenant's own, an invited one, or a personal one. Decided by `acct`, `idp` and `tid` of the
//! verified ID token (entra_graph §4); what speaks for a guest wins over what speaks for a member.

use serde_json::Value;

use crate::configuration::Provider;
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;
use crate::oidc::id_token::IdTokenClaims;

/// Whose account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// Of the tenant itself.
    Member,
    /// Invited into the tenant.
    Guest,
    /// A personal Microsoft account.
    Personal,
    /// The provider doesn't tell them apart.
    Unknown,
}

impl AccountKind {
    /// In the configuration's words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Guest => "guest",
            Self::Personal => "personal",
            Self::Unknown => "unknown",
        }
    }
}

/// Whose account these claims speak of, and what says so.
pub fn kind(provider: &Provider, token: &IdTokenClaims) -> (AccountKind, &'static str) {
    let Some(tenant) = token.tenant.as_ref().filter(|_| provider.is_microsoft()) else {
        return (AccountKind::Unknown, "the provider doesn't tell accounts apart");
    };
    if tenant.is_personal() {
        return (AccountKind::Personal, "its tenant is that of personal accounts");
    }
    let is_elsewhere = token.all.get("idp").is_some_and(|home| !is_this_tenant(home, &token.issuer, tenant.as_str()));
    if is_elsewhere {
        return (AccountKind::Guest, "idp names another identity provider");
    }
    let is_external_name = |claim: &str| {
        let name = token.all.get(claim).and_then(Value::as_str).unwrap_or_default();
        name.to_ascii_uppercase().contains("#EXT#")
    };
    if ["upn", "preferred_username"].into_iter().any(is_external_name) {
        return (AccountKind::Guest, "its name is that of an invited account (#EXT#)");
    }
    match token.all.get("acct").map(account_number) {
        Some(Some(1)) => (AccountKind::Guest, "acct says guest"),
        Some(Some(0)) => (AccountKind::Member, "acct says member"),
        Some(_) => (AccountKind::Guest, "acct says something that isn't documented: taken for a guest"),
        // Entra's documentation of `idp`: it is there unless the account is in the token's own tenant.
        None => (AccountKind::Member, "no idp, so it is of the token's tenant; the optional claim acct would say it"),
    }
}

/// `idp` is the tenant's own when it names the token's issuer, or the tenant's older token service.
fn is_this_tenant(home: &Value, issuer: &str, tenant: &str) -> bool {
    let Some(home) = home.as_str() else { return false };
    home == issuer || home.trim_end_matches('/').eq_ignore_ascii_case(&format!("https://sts.windows.net/{tenant}"))
}

/// 0 or 1, as a number or a text.
fn account_number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Whether accounts of this kind are let in.
pub fn check(provider: &Provider, token: &IdTokenClaims, trace: &mut Trace) -> Result<AccountKind, Refusal> {
    let (kind, why) = kind(provider, token);
    let detail = format!("{}: {why}", kind.as_str());
    match kind {
        AccountKind::Personal if !provider.sign_in.personal_accounts => {
            return Err(Refusal::new(&refusal::PERSONAL_ACCOUNT, "account.kind", detail));
        }
        AccountKind::Guest if !provider.sign_in.guests => {
            return Err(Refusal::new(&refusal::GUEST_NOT_ALLOWED, "account.kind", detail));
        }
        AccountKind::Unknown => trace.skip("account.kind", detail),
        _ => trace.pass("account.kind", detail),
    }
    if provider.is_microsoft() {
        if token.object_id.is_none() {
            return Err(Refusal::new(&refusal::OBJECT_ID_MISSING, "account.object_id", "the ID token has no oid"));
        }
        trace.pass("account.object_id", "there");
    }
    Ok(kind)
}
