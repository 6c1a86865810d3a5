//! The identity of a login: the key that never changes, and the fields that Defguard asks for, each from its configured
//! sources. What is required and missing refuses; what is only nice to have is made from what there is.

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::sources::Claims;
use super::username::username;
use crate::configuration::{Authority, Provider};
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;
use crate::oidc::id_token::{IdTokenClaims, Verified};

/// The longest address, in bytes (RFC 5321 section 4.5.3.1.3).
const MAX_EMAIL_BYTES: usize = 254;
/// The longest name, in characters.
const MAX_NAME_CHARACTERS: usize = 128;

/// Who signed in.
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
}

/// Whether the ID token lacks something that userinfo may have.
pub fn lacks_something(provider: &Provider, id_token: &Verified<IdTokenClaims>) -> bool {
    let claims = Claims { id_token: &id_token.claims().all, userinfo: None };
    let sources = &provider.sources;
    let named = claims.text(&sources.name).is_some()
        || (claims.text(&sources.given_name).is_some() && claims.text(&sources.family_name).is_some());
    // A login name in place of an address is good enough only if userinfo has no address either.
    let addressed = email(provider, claims).is_some_and(|(source, _)| !is_login_name(provider, source));
    !addressed || !named || claims.text(&sources.username).is_none()
}

/// Maps the claims.
pub fn identity(
    provider: &Provider,
    id_token: &Verified<IdTokenClaims>,
    userinfo: Option<&Map<String, Value>>,
    trace: &mut Trace,
) -> Result<Identity, Refusal> {
    let token = id_token.claims();
    check_account(provider, token, trace)?;
    let claims = Claims { id_token: &token.all, userinfo };
    let sources = &provider.sources;
    let (email_source, email) = email(provider, claims).ok_or_else(|| {
        let looked = sources.email.join(", ");
        Refusal::new(&refusal::EMAIL_MISSING, "claims.email", format!("none of {looked} gives an address"))
    })?;
    check_email(email)?;
    trace.pass("claims.email", "one address");
    let username = sources
        .username
        .iter()
        .filter_map(|source| claims.one_text(source))
        .find_map(|text| username(&text, provider.username_handling))
        .unwrap_or_else(|| last_resort(token));
    trace.pass("claims.username", username.as_str());
    let name = claims.text(&sources.name);
    let (given_name, family_name) =
        names(claims.text(&sources.given_name), claims.text(&sources.family_name), name.as_deref(), &username);
    let display_name = name.unwrap_or_else(|| format!("{given_name} {family_name}"));
    Ok(Identity {
        issuer: token.issuer.clone(),
        subject: token.subject.clone(),
        tenant_id: token.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
        object_id: token.object_id.clone(),
        username,
        email: email.to_owned(),
        email_verified: email_verified(provider, claims, email_source, email),
        given_name: shorten(&given_name),
        family_name: shorten(&family_name),
        display_name: shorten(&display_name),
        phone: claims.text(&sources.phone).map(|phone| shorten(&phone)),
    })
}

/// Entra: the key of a person is `tid` and `oid`; personal accounts only where the configuration names their tenant.
fn check_account(provider: &Provider, token: &IdTokenClaims, trace: &mut Trace) -> Result<(), Refusal> {
    let Some(tenant) = token.tenant.as_ref().filter(|_| provider.is_microsoft()) else { return Ok(()) };
    let named = match &provider.authority {
        Authority::Tenant(only) => only == tenant,
        Authority::Several(tenants) => tenants.contains(tenant),
        Authority::Domain(_) | Authority::Issuer => false,
    };
    if tenant.is_personal() && !named {
        return Err(Refusal::new(&refusal::PERSONAL_ACCOUNT, "account.kind", "a personal account"));
    }
    if token.object_id.is_none() {
        return Err(Refusal::new(&refusal::OBJECT_ID_MISSING, "account.object_id", "the ID token has no oid"));
    }
    trace.pass("account.object_id", "there");
    Ok(())
}

/// Entra's `preferred_username` names an account; it is an address only by the tenant's custom.
fn is_login_name(provider: &Provider, source: &str) -> bool {
    provider.is_microsoft() && source == "preferred_username"
}

/// The first source that gives an address, and that address. A login name counts if it has the form of an address and one
/// organisation decides over it; of personal accounts nobody does.
fn email<'a>(provider: &'a Provider, claims: Claims<'a>) -> Option<(&'a str, &'a str)> {
    let pinned = match &provider.authority {
        Authority::Tenant(tenant) => !tenant.is_personal(),
        Authority::Domain(_) => true,
        Authority::Several(_) | Authority::Issuer => false,
    };
    provider.sources.email.iter().find_map(|source| {
        let text = claims.exact(source)?;
        let counts =
            !is_login_name(provider, source) || (pinned && check_email(text).is_ok() && !text.contains("#EXT#"));
        counts.then_some((source.as_str(), text))
    })
}

/// What the provider says of the address. `email_verified` (OIDC Core 5.1) and Entra's `xms_edov` speak of the claim `email`
/// beside them: taken for any other address they would call verified what nobody verified (V1).
fn email_verified(provider: &Provider, claims: Claims<'_>, source: &str, email: &str) -> Option<bool> {
    let speaks_of_it = |flag: &&String| source == "email" || !matches!(flag.as_str(), "email_verified" | "xms_edov");
    let mut flags = provider.sources.email_verified.iter().filter(speaks_of_it);
    flags.find_map(|flag| claims.flag_beside(source, email, flag))
}

/// Exactly one `@` with something on both sides, no spaces, a domain of ASCII or IDNA labels (V22).
fn check_email(email: &str) -> Result<(), Refusal> {
    let bad = |why: &str| Err(Refusal::new(&refusal::EMAIL_INVALID, "claims.email", why));
    if email.len() > MAX_EMAIL_BYTES {
        return bad("more than 254 bytes");
    }
    if email
        .chars()
        .any(|character| character.is_whitespace() || character.is_control() || "\"(),:;<>[\\]".contains(character))
    {
        return bad("a character that no address has");
    }
    let Some((local, domain)) = email.split_once('@').filter(|(_, domain)| !domain.contains('@')) else {
        return bad("not exactly one @");
    };
    let labels_good = domain.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|character| character.is_alphanumeric() || character == '-')
    });
    if local.is_empty() || local.len() > 64 || !labels_good {
        return bad("no local part, or no domain");
    }
    // RFC 6531 allows other alphabets; what can't be seen (zero width, direction marks) makes two addresses look the same.
    if local.chars().any(|character| !character.is_ascii() && !character.is_alphanumeric()) {
        return bad("a character that can't be seen, or isn't a letter");
    }
    Ok(())
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
    fn addresses() {
        for (email, good) in [
            ("ada@contoso.example", true),
            ("o'brien+vpn@contoso.example", true),
            ("ada@localhost", true),
            ("ada@bücher.example", true),
            ("ada", false),
            ("@contoso.example", false),
            ("ada@", false),
            ("a@b@c", false),
            ("ada@contoso.example.", false),
            ("ada@.example", false),
            ("ada@-x.example", false),
            ("a b@contoso.example", false),
            ("ada@contoso.example\r\nBcc: x", false),
            ("<ada@contoso.example>", false),
            ("ada@exa_mple.com", false),
            ("ad\u{0}a@contoso.example", false),
            ("ad\u{200b}a@contoso.example", false),
            ("ada@contoso.exam\u{ad}ple", false),
            ("zoë@contoso.example", true),
        ] {
            assert_eq!(check_email(email).is_ok(), good, "{email}");
        }
        assert!(check_email(&format!("{}@contoso.example", "a".repeat(250))).is_err());
    }

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
