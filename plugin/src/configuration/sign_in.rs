//! How a sign-in is asked for, and who may come back from it: response mode, pushed requests, age and class of the
//! authentication, guests and personal accounts.

use super::provider::{Authority, ProviderKind};
use super::reader::Reader;

/// The longest `max_age`, in seconds: a year.
const MAX_AGE_S: u64 = 31_536_000;

/// How the provider sends its answer (OAuth 2.0 Multiple Response Types, Form Post Response Mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseMode {
    /// In the address.
    Query,
    /// As a form.
    FormPost,
}

impl ResponseMode {
    /// As it is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::FormPost => "form_post",
        }
    }
}

/// When the authorization request is pushed (RFC 9126).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushedRequests {
    /// Not at all.
    Never,
    /// If the provider has the endpoint.
    WhenOffered,
    /// Always; a provider without the endpoint can't be used.
    Required,
}

/// The options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    /// Sent only if it is configured.
    pub response_mode: Option<ResponseMode>,
    /// When the request is pushed.
    pub pushed_requests: PushedRequests,
    /// Seconds; sent, and `auth_time` held against it.
    pub max_age: Option<u64>,
    /// Sent; by itself a wish (OIDC Core 3.1.2.1).
    pub acr_values: Vec<String>,
    /// `acr` must be one of them, if there are any.
    pub required_acr: Vec<String>,
    /// All of them must be in `acrs`.
    pub required_acrs: Vec<String>,
    /// Whether invited accounts are let in.
    pub guests: bool,
    /// Whether personal Microsoft accounts are let in.
    pub personal_accounts: bool,
}

pub(super) fn read(reader: &mut Reader, kind: ProviderKind, authority: Option<&Authority>) -> SignIn {
    let response_mode =
        reader.choice("response_mode", &[("query", ResponseMode::Query), ("form_post", ResponseMode::FormPost)]);
    let pushed_requests = reader.choice(
        "pushed_authorization_requests",
        &[
            ("never", PushedRequests::Never),
            ("when-offered", PushedRequests::WhenOffered),
            ("required", PushedRequests::Required),
        ],
    );
    let max_age = reader.integer("max_age", 0, MAX_AGE_S);
    let (guests, personal_accounts) = accounts(reader, kind, authority);
    SignIn {
        response_mode,
        pushed_requests: pushed_requests.unwrap_or(PushedRequests::Never),
        max_age,
        acr_values: words(reader, "acr_values"),
        required_acr: words(reader, "required_acr"),
        required_acrs: contexts(reader, kind),
        guests,
        personal_accounts,
    }
}

/// Texts that go into one parameter, separated by spaces.
fn words(reader: &mut Reader, path: &str) -> Vec<String> {
    if !reader.has(path) {
        return Vec::new();
    }
    let words = reader.list(path).unwrap_or_default();
    let is_word = |word: &String| word.len() <= 256 && word.bytes().all(|byte| byte.is_ascii_graphic());
    if words.is_empty() || words.len() > 16 || !words.iter().all(is_word) {
        reader.error(path, "expected 1 to 16 texts of visible ASCII without spaces", "[\"urn:…\"]");
    }
    words
}

/// Entra has the authentication contexts c1 to c99.
fn contexts(reader: &mut Reader, kind: ProviderKind) -> Vec<String> {
    let path = "required_acrs";
    let contexts = words(reader, path);
    if kind == ProviderKind::Oidc && reader.has(path) {
        reader.error(path, "it is for kind = \"microsoft\" only", "use required_acr");
        return contexts;
    }
    let is_context = |text: &str| {
        let number = text.strip_prefix('c').and_then(|digits| digits.parse::<u8>().ok());
        number.is_some_and(|number| (1..=99).contains(&number) && format!("c{number}") == text)
    };
    if let Some(bad) = contexts.iter().find(|context| !is_context(context)) {
        let hint = "Entra: Protection > Conditional Access > Authentication contexts";
        reader.error(path, format!("{bad:?} isn't an authentication context, c1 to c99"), hint);
    }
    contexts
}

fn accounts(reader: &mut Reader, kind: ProviderKind, authority: Option<&Authority>) -> (bool, bool) {
    let (guests, personal) = (reader.flag("guests"), reader.flag("personal_accounts"));
    if kind == ProviderKind::Oidc {
        for key in ["guests", "personal_accounts"] {
            if reader.has(key) {
                reader.error(key, "it is for kind = \"microsoft\" only", "leave it out");
            }
        }
        return (guests, personal);
    }
    let admitted = match authority {
        None => return (guests, personal),
        Some(Authority::Tenant(tenant)) => tenant.is_personal(),
        Some(Authority::Several(tenants)) => tenants.iter().any(crate::entra::TenantId::is_personal),
        Some(Authority::Domain(_) | Authority::Issuer) => false,
    };
    match (personal, admitted) {
        (true, false) => reader.error(
            "personal_accounts",
            "true, but base_url admits no personal account",
            "common with 9188040d-6c67-4c5b-b112-36a304b66dad in allowed_tenants, or consumers",
        ),
        (false, true) => reader.error(
            "personal_accounts",
            "base_url admits personal accounts, and they aren't allowed here",
            "personal_accounts = true, or another tenant",
        ),
        _ => {}
    }
    (guests, personal)
}
