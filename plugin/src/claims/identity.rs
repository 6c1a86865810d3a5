//! The identity of a login: the key that never changes, and the fields that Defguard asks for, each from its configured
//! sources. What is required and missing refuses; what is only nice to have is made from what there is.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::account::AccountKind;
use super::email;
use super::groups::Groups;
use super::sources::{Documents, Found};
use super::username::username;
use crate::configuration::{Authority, Field, Provider, Source, UserinfoUse};
use crate::login::membership;
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;
use crate::oidc::id_token::{IdTokenClaims, Verified};
use crate::policy::linking::{EmailLinking, email_linking};
use crate::policy::rules;

/// The longest name, in characters.
const MAX_NAME_CHARACTERS: usize = 128;
/// The longest attribute, in bytes; the contract's bound.
const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// Who signed in. It is made of verified claims and of nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// Entra's `tid`.
    pub tenant_id: Option<String>,
    /// Entra's `oid`.
    pub object_id: Option<String>,
    /// By Defguard's rules.
    pub username: String,
    /// Never a key.
    pub email: String,
    /// What the provider says of it.
    pub email_verified: Option<bool>,
    /// Never empty.
    pub given_name: String,
    /// Never empty.
    pub family_name: String,
    /// As it is shown.
    pub display_name: String,
    /// If there is one.
    pub phone: Option<String>,
    /// Unknown never means none.
    pub groups: Groups,
    /// Whose account it is.
    pub account: AccountKind,
    /// What the configuration maps besides.
    pub attributes: Vec<(String, String)>,
}

/// The mapped fields, proven or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// By Defguard's rules.
    pub username: String,
    /// An address.
    pub email: String,
    /// What the provider says of it.
    pub email_verified: Option<bool>,
    /// Whether the provider or the directory names this address, as it stands, as the account's: it isn't the work of a
    /// transform or an expression, and no further address that people add themselves.
    pub email_is_said: bool,
    /// Never empty.
    pub given_name: String,
    /// Never empty.
    pub family_name: String,
    /// As it is shown.
    pub display_name: String,
    /// If there is one.
    pub phone: Option<String>,
    /// What the configuration maps besides.
    pub attributes: Vec<(String, String)>,
}

/// Whether userinfo is asked: as the configuration says, or when the ID token lacks something that userinfo may have.
pub fn wants_userinfo(provider: &Provider, id_token: &Map<String, Value>) -> bool {
    match provider.userinfo {
        UserinfoUse::Always => true,
        UserinfoUse::Never => false,
        UserinfoUse::WhenNeeded => lacks_something(provider, id_token) || membership::lacks_groups(provider, id_token),
    }
}

fn lacks_something(provider: &Provider, id_token: &Map<String, Value>) -> bool {
    let documents = Documents { id_token, userinfo: None, directory: None };
    let (mapping, mut unseen) = (&provider.mapping, Trace::default());
    if provider.policy.needs("userinfo") {
        return true;
    }
    let can_say = |field: &Field| field.sources.iter().any(|source| !matches!(source, Source::Directory(_)));
    let named = documents.text(&mapping.name, &mut unseen).is_some()
        || (documents.text(&mapping.given_name, &mut unseen).is_some()
            && documents.text(&mapping.family_name, &mut unseen).is_some());
    // A login name in place of an address is good enough only if userinfo has no address either.
    let addressed =
        address(provider, documents, &mut unseen).is_some_and(|found| !is_login_name(provider, found.source));
    (!addressed && can_say(&mapping.email))
        || (!named && [&mapping.name, &mapping.given_name, &mapping.family_name].into_iter().any(can_say))
        || (can_say(&mapping.username) && documents.text(&mapping.username, &mut unseen).is_none())
}

/// Whether some field would come from the directory, if that were asked, or a rule reads it.
pub fn lacks_directory(provider: &Provider, documents: Documents<'_>) -> bool {
    let mut unseen = Trace::default();
    provider.policy.needs("directory")
        || provider.mapping.fields().any(|field| {
            let Some(first) = field.sources.iter().position(|source| matches!(source, Source::Directory(_))) else {
                return false;
            };
            let before = Field { sources: field.sources.iter().take(first).cloned().collect(), ..field.clone() };
            let found = if std::ptr::eq(field, &raw const provider.mapping.email) {
                documents.find(&before, &mut unseen, |found| counts_as_address(provider, found)).is_some()
            } else {
                documents.text(&before, &mut unseen).is_some()
            };
            !found
        })
}

/// Maps verified claims, and holds what comes out against the policy.
pub fn identity(
    provider: &Provider,
    id_token: &Verified<IdTokenClaims>,
    documents: Documents<'_>,
    groups: Groups,
    account: AccountKind,
    trace: &mut Trace,
) -> Result<(Identity, EmailLinking), Refusal> {
    let token = id_token.claims();
    let mapped = map(provider, token, documents, trace)?;
    rules::check(provider, &rules::Subject { token, documents, mapped: &mapped, groups: &groups, account }, trace)?;
    let linking = email_linking(provider, account, &mapped);
    trace.pass("linking", linking.to_string());
    let identity = Identity {
        issuer: token.issuer.clone(),
        subject: token.subject.clone(),
        tenant_id: token.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
        object_id: token.object_id.clone(),
        username: mapped.username,
        email: mapped.email,
        email_verified: mapped.email_verified,
        given_name: mapped.given_name,
        family_name: mapped.family_name,
        display_name: mapped.display_name,
        phone: mapped.phone,
        groups,
        account,
        attributes: mapped.attributes,
    };
    Ok((identity, linking))
}

/// Maps claims, whoever wrote them.
pub fn map(
    provider: &Provider,
    token: &IdTokenClaims,
    documents: Documents<'_>,
    trace: &mut Trace,
) -> Result<Mapped, Refusal> {
    let mapping = &provider.mapping;
    let found = address(provider, documents, trace).ok_or_else(|| {
        let looked = mapping.email.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        Refusal::new(&refusal::EMAIL_MISSING, "claims.email", format!("none of {looked} gives an address"))
    })?;
    email::check(&found.text)?;
    trace.pass("claims.email", format!("one address, from {}", found.source));
    let username = documents
        .find(&mapping.username, trace, |found| username(&found.text, mapping.username_handling).is_some())
        .and_then(|found| username(&found.text, mapping.username_handling))
        .unwrap_or_else(|| last_resort(token));
    trace.pass("claims.username", username.as_str());
    let mut text = |field: &Field| documents.text(field, trace);
    let name = text(&mapping.name);
    let (given_name, family_name) =
        names(text(&mapping.given_name), text(&mapping.family_name), name.as_deref(), &username);
    let phone = text(&mapping.phone).map(|phone| shorten(&phone));
    let attributes = mapping
        .attributes
        .iter()
        .filter_map(|(name, field)| Some((name.clone(), crate::login::trace::cut(&text(field)?, MAX_ATTRIBUTE_BYTES))))
        .collect();
    let display_name = name.unwrap_or_else(|| format!("{given_name} {family_name}"));
    Ok(Mapped {
        username,
        email_verified: email_verified(provider, documents, &found),
        email_is_said: found.raw == found.text
            && match found.source {
                Source::Claim(_) => true,
                Source::Directory(property) => property != "otherMails",
                Source::Expression(_) => false,
            },
        email: found.text,
        given_name: shorten(&given_name),
        family_name: shorten(&family_name),
        display_name: shorten(&display_name),
        phone,
        attributes,
    })
}

/// Entra's login names name an account; they are an address only by the tenant's custom.
fn is_login_name(provider: &Provider, source: &Source) -> bool {
    provider.is_microsoft()
        && match source {
            Source::Claim(name) => matches!(name.as_str(), "preferred_username" | "upn"),
            Source::Directory(property) => property == "userPrincipalName",
            Source::Expression(_) => false,
        }
}

/// A login name counts if it has the form of an address and one organisation decides over it; of personal accounts nobody
/// does.
fn counts_as_address(provider: &Provider, found: &Found<'_>) -> bool {
    let pinned = match &provider.authority {
        Authority::Tenant(tenant) => !tenant.is_personal(),
        Authority::Domain(_) => true,
        Authority::Several(_) | Authority::Issuer => false,
    };
    // As it was said: a transform can make anything look like an address.
    let form_is_good = || email::check(&found.raw).is_ok() && !found.raw.contains("#EXT#");
    !is_login_name(provider, found.source) || (pinned && form_is_good())
}

/// The first source that gives an address, and that address.
fn address<'a>(provider: &'a Provider, documents: Documents<'_>, trace: &mut Trace) -> Option<Found<'a>> {
    documents.find(&provider.mapping.email, trace, |found| counts_as_address(provider, found))
}

/// What the provider says of the address. `email_verified` (OIDC Core 5.1) and Entra's `xms_edov` speak of the claim `email`
/// beside them, as it stands there: taken for any other address they would call verified what nobody verified (V1).
fn email_verified(provider: &Provider, documents: Documents<'_>, found: &Found<'_>) -> Option<bool> {
    let Source::Claim(name) = found.source else { return None };
    if found.raw != found.text {
        return None;
    }
    let speaks_of_it = |flag: &&String| name == "email" || !matches!(flag.as_str(), "email_verified" | "xms_edov");
    let mut flags = provider.mapping.email_verified.iter().filter(speaks_of_it);
    flags.find_map(|flag| documents.flag_beside(name, &found.text, flag))
}

/// A name for somebody of whose claims nothing can be one: the same at every login.
fn last_resort(token: &IdTokenClaims) -> String {
    let key = token.object_id.as_deref().unwrap_or(&token.subject);
    let hash = Sha256::digest(format!("{}\n{key}", token.issuer).as_bytes());
    let [a, b, c, d, ..] = hash.0;
    format!("user-{:08x}", u32::from_be_bytes([a, b, c, d]))
}

/// First and last name; what isn't there is taken from the shown name, else from the user name (Defguard #1674).
fn names(given: Option<String>, family: Option<String>, name: Option<&str>, username: &str) -> (String, String) {
    let split = name.and_then(|name| name.rsplit_once(char::is_whitespace));
    let from_name = |part: Option<&str>| part.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    let given_from_name = || from_name(split.map(|(given, _)| given)).or_else(|| from_name(name));
    let family_from_name = || from_name(split.map(|(_, family)| family));
    let given = given.or_else(given_from_name).unwrap_or_else(|| username.to_owned());
    let family = family.or_else(family_from_name).unwrap_or_else(|| username.to_owned());
    (given, family)
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_NAME_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fall_back_in_order() {
        let some = |text: &str| Some(text.to_owned());
        let table = [
            (some("Ada"), some("Lovelace"), Some("X Y"), ("Ada", "Lovelace")),
            (None, some("Lovelace"), Some("Ada King Lovelace"), ("Ada King", "Lovelace")),
            (some("Ada"), None, Some("Ada King Lovelace"), ("Ada", "Lovelace")),
            (None, None, Some("Ada King Lovelace"), ("Ada King", "Lovelace")),
            (None, None, Some("Ada"), ("Ada", "ada.l")),
            (some("Ada"), None, None, ("Ada", "ada.l")),
            (None, None, None, ("ada.l", "ada.l")),
        ];
        for (given, family, name, expected) in table {
            let (found_given, found_family) = names(given.clone(), family.clone(), name, "ada.l");
            assert_eq!((found_given.as_str(), found_family.as_str()), expected, "{given:?} {family:?} {name:?}");
        }
    }
}
