//! Cookies that a browser, or somebody between, sends: `host/src/web/cookies.rs`. Input: the `state` on the first line, the
//! component's secret on the second, then a `Cookie` header on each; `@name` stands for the name of that state's cookie.
//!
//! Asserted: what is found was sent exactly once under that name and is a token; no answer's `Set-Cookie` has other
//! attributes than ours, a longer life, or a name that isn't ours; a cookie that was set is found again.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue};

use crate::Seeds;
use crate::config::ProviderId;
use crate::host_cookies::{Fresh, SameSite, any, find, remove, set};

/// The host's time and the transaction's end, in seconds.
const NOW_S: u64 = 1_800_000_000;
const EXPIRES_S: u64 = NOW_S + 600;

/// Checks one request; whether it has the cookie of its state.
pub fn check(input: &[u8]) -> bool {
    let mut lines = input.split(|byte| *byte == b'\n');
    let state = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let secret = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let name = cookie_name(&state);
    let sent: Vec<Vec<u8>> = lines.take(8).map(|line| fill(line, &name)).collect();
    let mut request = HeaderMap::new();
    for value in sent.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
        request.append(COOKIE, value);
    }

    let found = find(&request, &state);
    if let Some(binding) = &found {
        assert!(is_token(&binding.secret), "{:?}", binding.secret);
        assert!(any(&request));
        let named = pairs(&request).into_iter().filter(|(found, _)| *found == name).collect::<Vec<_>>();
        assert_eq!(named.len(), 1, "of two of one name none counts: {named:?}");
        let value = &named.first().unwrap().1;
        assert!(value.starts_with(&format!("{}.", binding.provider)), "{value:?}");
        assert!(value.ends_with(&format!(".{}", binding.secret)), "{value:?}");
    }

    for (same_site, written) in [(SameSite::Lax, "SameSite=Lax"), (SameSite::None, "SameSite=None")] {
        let provider = ProviderId::parse("entra").unwrap();
        let mut answer = HeaderMap::new();
        let life = (NOW_S, EXPIRES_S);
        set(&mut answer, &request, &Fresh { state: &state, secret: &secret, provider: &provider, life, same_site });
        let fresh = assert_answer(&answer, &name, written);
        assert_eq!(fresh.len(), usize::from(is_token(&secret)), "{secret:?}");
        if let Some(cookie) = fresh.first() {
            let mut again = HeaderMap::new();
            again.append(COOKIE, HeaderValue::try_from(cookie).unwrap());
            assert_eq!(
                find(&again, &state).map(|binding| binding.secret).as_ref(),
                Some(&secret),
                "set, and not found"
            );
        }
    }

    let mut answer = HeaderMap::new();
    remove(&mut answer, &state);
    assert_eq!((assert_answer(&answer, &name, "").len(), answer.len()), (0, 1));
    found.is_some()
}

/// RFC 6265bis: gives `name=value` of those that are set, with their `same_site`, and not removed.
fn assert_answer(answer: &HeaderMap, name: &str, same_site: &str) -> Vec<String> {
    let mut fresh = Vec::new();
    for value in answer.get_all(SET_COOKIE) {
        let value = value.to_str().unwrap();
        let parts: Vec<&str> = value.split("; ").collect();
        let [pair, "Path=/", "Secure", "HttpOnly", found_same_site, life] = parts.as_slice() else {
            panic!("other attributes: {value:?}");
        };
        let (found, content) = pair.split_once('=').unwrap();
        let rest = found.strip_prefix("__Host-openid-").unwrap();
        assert!(
            rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "a name that isn't ours: {value:?}"
        );
        let life: u64 = life.strip_prefix("Max-Age=").unwrap().parse().unwrap();
        if content.is_empty() {
            assert!(life == 0 && *found_same_site == "SameSite=Lax", "{value:?}");
        } else {
            assert!(found == name && life <= 3600 && *found_same_site == same_site, "{value:?}");
            fresh.push((*pair).to_owned());
        }
    }
    assert!(answer.len() <= 1 + 32 * 1024 / 17, "{} cookies", answer.len());
    fresh
}

fn cookie_name(state: &str) -> String {
    let mut answer = HeaderMap::new();
    remove(&mut answer, state);
    let value = answer.get(SET_COOKIE).and_then(|value| value.to_str().ok()).unwrap();
    value.split_once('=').unwrap().0.to_owned()
}

fn is_token(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.chars().all(|character| character.is_ascii_alphanumeric() || character == '-' || character == '_')
}

/// RFC 6265 section 5.4: names and values, by another reader than the host's.
fn pairs(request: &HeaderMap) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for value in request.get_all(COOKIE) {
        // Headers that aren't visible ASCII, or too long, aren't read.
        let Ok(text) = value.to_str() else { continue };
        if text.len() > 16 << 10 {
            continue;
        }
        for pair in text.split(';') {
            let pair = pair.trim();
            if let Some(equals) = pair.find('=') {
                let (name, value) = pair.split_at(equals);
                pairs.push((name.to_owned(), value.trim_start_matches('=').to_owned()));
            }
        }
    }
    pairs
}

fn fill(line: &[u8], name: &str) -> Vec<u8> {
    String::from_utf8_lossy(line).replace("@name", name).into_bytes()
}

/// The cases of the host's own tests.
pub fn seeds() -> Seeds {
    let many: Vec<String> =
        (0..10).map(|age| format!("{}=entra.{}.x", cookie_name(&age.to_string()), 100 + age)).collect();
    #[rustfmt::skip]
    let cases = [
        ("honest", "@name=entra.1800000000.the-secret".to_owned()),
        ("among-others", "a=b; @name=entra.1800000000.the-secret; c".into()),
        ("no-value", "@name=".into()),
        ("no-dots", "@name=abc".into()),
        ("no-secret", "@name=entra.1.".into()),
        ("provider-with-a-slash", "@name=a/b.1.x".into()),
        ("time-is-no-number", "@name=entra.x.y".into()),
        ("twice", "@name=entra.1.a; @name=entra.1.b".into()),
        ("twice-in-two-headers", "@name=entra.1.a\n@name=entra.1.b".into()),
        ("too-long", format!("@name=entra.1.{}", "x".repeat(129))),
        ("other-prefix", "openid-0123456789abcdef=entra.1.a".into()),
        ("many", many.join("; ")),
    ];
    cases
        .into_iter()
        .map(|(name, cookies)| (name.to_owned(), format!("state\nsecret\n{cookies}").into_bytes()))
        .collect()
}
