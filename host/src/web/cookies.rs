//! The browser's half of a transaction: one `__Host-` cookie for each login under way, named after its `state`, so that
//! two tabs both finish. RFC 6265bis: `Secure`, `Path=/`, no `Domain`, so no other host can set or shadow it.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};

use crate::config::ProviderId;
use crate::sandbox::sha256_hex;

/// The first part of each cookie's name.
const PREFIX: &str = "__Host-openid-";
/// Logins under way that one browser keeps: an older one gives way. Pages that reload begin one each time.
const KEPT: usize = 8;
/// What is read of a request's cookies, in bytes.
const COOKIE_BYTES: usize = 16 << 10;

/// The binding of one transaction, and which provider it began with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binding {
    /// As the first step got it from the component.
    pub(super) secret: String,
    /// Where the transaction began.
    pub(super) provider: ProviderId,
    issued_unix_s: u64,
}

/// The longest life of a cookie, in seconds.
const MAX_LIFE_S: u64 = 3600;

/// 1 to 128 characters of base64url.
fn is_token(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn name(state: &str) -> String {
    let hash = sha256_hex(state.as_bytes());
    format!("{PREFIX}{}", hash.get(..16).unwrap_or_default())
}

/// Whether `name` could have made it: only such a name is ever sent back.
fn is_name(name: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    name.strip_prefix(PREFIX).is_some_and(|hash| hash.len() == 16 && hash.bytes().all(is_digit))
}

/// Every cookie of ours, by name. Of two of one name none counts: only one of them can be ours.
fn ours(headers: &HeaderMap) -> Vec<(String, Binding)> {
    let mut found: Vec<(String, Option<Binding>)> = Vec::new();
    let pairs = headers
        .get_all(COOKIE)
        .iter()
        .filter(|value| value.len() <= COOKIE_BYTES)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| is_name(name));
    for (name, value) in pairs {
        match found.iter_mut().find(|(other, _)| other == name) {
            Some((_, binding)) => *binding = None,
            None => found.push((name.to_owned(), decode(value))),
        }
    }
    found.into_iter().filter_map(|(name, binding)| Some((name, binding?))).collect()
}

fn decode(value: &str) -> Option<Binding> {
    let mut parts = value.splitn(3, '.');
    let provider = ProviderId::parse(parts.next()?).ok()?;
    let issued_unix_s = parts.next()?.parse().ok()?;
    let secret = parts.next().filter(|secret| is_token(secret))?.to_owned();
    Some(Binding { secret, provider, issued_unix_s })
}

/// Whether the browser sent any binding at all.
pub(super) fn any(headers: &HeaderMap) -> bool {
    !ours(headers).is_empty()
}

/// The binding that belongs to a `state`, if this browser has it.
pub(super) fn find(headers: &HeaderMap, state: &str) -> Option<Binding> {
    let wanted = name(state);
    ours(headers).into_iter().find(|(name, _)| *name == wanted).map(|(_, binding)| binding)
}

/// From which sites a browser sends a cookie back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SameSite {
    /// Ours, and others when they send the browser here by a link or redirect.
    Lax,
    /// All, also with a form: `response_mode=form_post`. The transaction's `state` keeps others from making use of that.
    None,
}

impl SameSite {
    fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// The cookie of a new transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh<'a> {
    /// The transaction's name.
    pub(super) state: &'a str,
    /// The component's binding.
    pub(super) secret: &'a str,
    /// Where it begins.
    pub(super) provider: &'a ProviderId,
    /// Seconds since 1970: now, and when it ends.
    pub(super) life: (u64, u64),
    /// From which sites it comes back.
    pub(super) same_site: SameSite,
}

/// Sets the cookie of a new transaction, and lets the oldest go when there are too many.
pub(super) fn set(answer: &mut HeaderMap, request: &HeaderMap, fresh: &Fresh<'_>) {
    let Fresh { state, secret, provider, life: (now_unix_s, expires_at_unix_s), same_site } = *fresh;
    // The component's word counts within bounds: nothing of it may become an attribute, or stay for years.
    if !is_token(secret) {
        return;
    }
    let life = expires_at_unix_s.saturating_sub(now_unix_s).min(MAX_LIFE_S);
    let (name, same_site) = (name(state), same_site.as_str());
    let value = format!("{name}={provider}.{now_unix_s}.{secret}; {ATTRIBUTES}; SameSite={same_site}; Max-Age={life}");
    append(answer, &value);
    let mut present = ours(request);
    present.sort_by_key(|(_, binding)| binding.issued_unix_s);
    let surplus = (present.len() + 1).saturating_sub(KEPT);
    for (name, _) in present.iter().take(surplus) {
        append(answer, &removal(name));
    }
}

/// Deletes the cookie of a finished transaction, with the attributes that it was set with.
pub(super) fn remove(answer: &mut HeaderMap, state: &str) {
    append(answer, &removal(&name(state)));
}

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly";

/// A cookie goes by name, domain and path: what it says of sites doesn't matter here.
fn removal(name: &str) -> String {
    format!("{name}=; {ATTRIBUTES}; SameSite=Lax; Max-Age=0")
}

fn append(answer: &mut HeaderMap, value: &str) {
    // Names are hexadecimal, values tokens: always a header.
    if let Ok(value) = HeaderValue::try_from(value) {
        answer.append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> ProviderId {
        ProviderId::parse("entra").unwrap()
    }

    fn request(cookies: &str) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::try_from(cookies).unwrap())])
    }

    fn sent(answer: &HeaderMap) -> Vec<&str> {
        answer.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect()
    }

    #[test]
    fn a_cookie_comes_back_to_its_own_state_only() {
        let mut answer = HeaderMap::new();
        set(
            &mut answer,
            &HeaderMap::new(),
            &Fresh {
                state: "state-a",
                secret: "secret-a",
                provider: &provider(),
                life: (1000, 1600),
                same_site: SameSite::Lax,
            },
        );
        let cookie = sent(&answer)[0].to_owned();
        assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
        assert!(!cookie.contains("state-a"));
        let back = request(cookie.split(';').next().unwrap());
        assert_eq!(find(&back, "state-a").unwrap().secret, "secret-a");
        assert_eq!(find(&back, "state-b"), None);
    }

    fn newest(provider: &ProviderId) -> Fresh<'_> {
        Fresh { state: "new", secret: "y", provider, life: (200, 800), same_site: SameSite::Lax }
    }

    #[test]
    fn a_form_of_another_site_brings_its_cookie() {
        let mut answer = HeaderMap::new();
        set(
            &mut answer,
            &HeaderMap::new(),
            &Fresh {
                state: "state-a",
                secret: "secret-a",
                provider: &provider(),
                life: (1000, 1600),
                same_site: SameSite::None,
            },
        );
        assert!(sent(&answer)[0].contains("; Secure; HttpOnly; SameSite=None; "), "{:?}", sent(&answer));
    }

    #[test]
    fn broken_cookies_are_no_cookies() {
        let name = name("s");
        for (case, cookies) in [
            ("no value", format!("{name}=")),
            ("no dots", format!("{name}=abc")),
            ("no secret", format!("{name}=entra.1.")),
            ("provider with a slash", format!("{name}=a/b.1.x")),
            ("time is no number", format!("{name}=entra.x.y")),
            ("twice", format!("{name}=entra.1.a; {name}=entra.1.b")),
            ("too long", format!("{name}=entra.1.{}", "x".repeat(129))),
            ("other prefix", format!("openid-{}=entra.1.a", &name[PREFIX.len()..])),
        ] {
            assert_eq!(find(&request(&cookies), "s"), None, "{case}");
        }
    }

    #[test]
    fn a_name_that_we_never_made_is_not_sent_back() {
        // Found by fuzzing: the oldest gave way under whatever name the request had for it.
        for odd in ["5feceb66ffc86f3?", "5feceb66ffc86f38a", "", "5FECEB66FFC86F38"] {
            let cookies: Vec<_> = (0..10).map(|age| format!("{PREFIX}{odd}{age}=entra.{age}.x")).collect();
            let mut answer = HeaderMap::new();
            set(&mut answer, &request(&cookies.join("; ")), &newest(&provider()));
            assert_eq!(sent(&answer).len(), 1, "{odd}: {:?}", sent(&answer));
        }
    }

    #[test]
    fn a_component_sets_no_attributes() {
        for secret in ["", "x; Domain=example.com", "x y", "a,b", &"x".repeat(129)] {
            let mut answer = HeaderMap::new();
            set(
                &mut answer,
                &HeaderMap::new(),
                &Fresh { state: "s", secret, provider: &provider(), life: (0, 600), same_site: SameSite::Lax },
            );
            assert_eq!(sent(&answer), Vec::<&str>::new(), "{secret}");
        }
        let mut answer = HeaderMap::new();
        set(
            &mut answer,
            &HeaderMap::new(),
            &Fresh { state: "s", secret: "x", provider: &provider(), life: (0, u64::MAX), same_site: SameSite::Lax },
        );
        assert!(sent(&answer)[0].ends_with("Max-Age=3600"), "{:?}", sent(&answer));
    }

    #[test]
    fn the_oldest_give_way() {
        let cookies: Vec<_> = (0..10).map(|age| format!("{}=entra.{}.x", name(&age.to_string()), 100 + age)).collect();
        let mut answer = HeaderMap::new();
        set(&mut answer, &request(&cookies.join("; ")), &newest(&provider()));
        let removed: Vec<_> = sent(&answer).into_iter().filter(|cookie| cookie.contains("Max-Age=0")).collect();
        assert_eq!(removed.len(), 3);
        for age in 0..3 {
            assert!(removed.iter().any(|cookie| cookie.starts_with(&name(&age.to_string()))), "{age}");
        }
    }
}
