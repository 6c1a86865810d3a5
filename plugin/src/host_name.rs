//! Host names in other scripts, as they are written and not as they are asked for: to ASCII by small letters and Punycode. The tables by
//! which UTS 46 would also take what is written in another way (150 KB of the component) aren't there: see docs/decisions/0010.

use std::borrow::Cow;

use idna::punycode;
use url::{ParseError, Url};

/// What goes before a label in Punycode (RFC 5890 section 2.3.2.1).
const PREFIX: &str = "xn--";
/// What to write instead of a name that isn't taken.
pub(crate) const HINT: &str = "write the name in its ASCII form, xn--…";

/// Letters of which each has one form but for its capital, and which make no other letter with what stands beside them.
/// All were held against UTS 46, letter by letter and side by side. Other scripts need it, for their marks and directions.
const LETTERS: [(char, char); 20] = [
    // Latin, with Vietnamese
    ('\u{c0}', '\u{d6}'),
    ('\u{d8}', '\u{f6}'),
    ('\u{f8}', '\u{131}'),
    ('\u{134}', '\u{13e}'),
    ('\u{141}', '\u{148}'),
    ('\u{14a}', '\u{17e}'),
    ('\u{1a0}', '\u{1a1}'),
    ('\u{1af}', '\u{1b0}'),
    ('\u{218}', '\u{21b}'),
    ('\u{1ea0}', '\u{1ef9}'),
    // Greek
    ('\u{388}', '\u{38a}'),
    ('\u{38e}', '\u{3a1}'),
    ('\u{3a3}', '\u{3ce}'),
    // Cyrillic
    ('\u{400}', '\u{481}'),
    ('\u{48a}', '\u{4bf}'),
    // Georgian
    ('\u{10d0}', '\u{10f0}'),
    // Japanese, Chinese, Korean
    ('\u{3041}', '\u{3096}'),
    ('\u{30a1}', '\u{30fa}'),
    ('\u{4e00}', '\u{9fff}'),
    ('\u{ac00}', '\u{d7a3}'),
];

/// A name in ASCII; nothing, if it isn't in the form in which it is usually written. What is ASCII already stays as it is.
pub(crate) fn to_ascii(name: &str) -> Option<Cow<'_, str>> {
    if name.is_ascii() {
        return name.split('.').all(is_well_encoded).then_some(Cow::Borrowed(name));
    }
    let mut ascii = String::new();
    for label in name.split('.') {
        if !ascii.is_empty() {
            ascii.push('.');
        }
        if label.is_ascii() {
            ascii.push_str(label);
        } else {
            ascii.push_str(PREFIX);
            ascii.push_str(&punycode::encode_str(&small(label)?)?);
        }
    }
    ascii.split('.').all(is_well_encoded).then_some(Cow::Owned(ascii))
}

/// A URL whose host may be in another script.
pub(crate) fn parse_url(text: &str) -> Result<Url, ParseError> {
    let url = Url::parse(with_ascii_host(text).as_deref().unwrap_or(text))?;
    match url.domain() {
        Some(name) if to_ascii(name).is_none() => Err(ParseError::IdnaError),
        _ => Ok(url),
    }
}

/// The text with its host in ASCII, if that is in another script, and the rest as it was. Neither is a sign that ends a host in ASCII
/// made of a letter, nor a letter of it.
fn with_ascii_host(text: &str) -> Option<String> {
    let (scheme, rest) =
        text.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))?;
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()));
    let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
    if authority.is_ascii() {
        return None;
    }
    Some(format!("{scheme}://{}{port}{path}", to_ascii(host)?))
}

/// A label in small letters, each of them one that is known.
fn small(label: &str) -> Option<String> {
    if label.starts_with(PREFIX) {
        return None;
    }
    label.chars().map(small_letter).collect()
}

fn small_letter(character: char) -> Option<char> {
    let is_known = |letter: char| LETTERS.iter().any(|(first, last)| (*first..=*last).contains(&letter));
    if character.is_ascii() {
        return (character.is_ascii_alphanumeric() || character == '-').then(|| character.to_ascii_lowercase());
    }
    let mut letters = character.to_lowercase();
    letters.next().filter(|small| letters.next().is_none() && is_known(character) && is_known(*small))
}

/// Whether a label in ASCII is what Punycode makes of another one in small letters, if it says so.
fn is_well_encoded(label: &str) -> bool {
    let Some(encoded) =
        label.get(..PREFIX.len()).filter(|start| start.eq_ignore_ascii_case(PREFIX)).and(label.get(PREFIX.len()..))
    else {
        return true;
    };
    punycode::decode_to_string(&encoded.to_ascii_lowercase()).is_some_and(|decoded| {
        let is_written_so =
            |character: char| !character.is_control() && small_letter(character).is_none_or(|small| small == character);
        !decoded.is_ascii()
            && decoded.chars().all(is_written_so)
            && punycode::encode_str(&decoded).is_some_and(|again| again.eq_ignore_ascii_case(encoded))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_url_leads() {
        for (text, expected) in [
            ("https://idp.example/x", Some("https://idp.example/x")),
            ("https://bücher.example:8443/ü?ö#ä", Some("https://xn--bcher-kva.example:8443/%C3%BC?%C3%B6#%C3%A4")),
            ("https://BÜCHER.Example", Some("https://xn--bcher-kva.example/")),
            ("https://xn--bcher-kva.example/", Some("https://xn--bcher-kva.example/")),
            ("https://ΒΟΛΟΣ.example/", Some("https://xn--nxaslbu.example/")), // UTS 46 knows no ς made of Σ
            ("https://straße.example/", Some("https://xn--strae-oqa.example/")),
            ("https://bücher.example\\@evil.example/", Some("https://xn--bcher-kva.example/@evil.example/")),
            ("https://idp.example/https://bücher.example/", Some("https://idp.example/https://b%C3%BCcher.example/")),
            ("https://idp.example?://ü", Some("https://idp.example/?://%C3%BC")),
            // what UTS 46 would map, drop or forbid
            ("https://bu\u{308}cher.example/", None),
            ("https://\u{ff49}dp.example/", None),
            ("https://idp\u{3002}example/", None),
            ("https://evil.example\u{ff0f}.idp.example/", None),
            ("https://evil.example\u{2044}.idp.example/", None),
            ("https://evil.example\u{ff1f}.idp.example/", None),
            ("https://id\u{ad}p.example/", None),
            ("https://id\u{200b}p.example/", None),
            ("https://\u{212a}ino.example/", None), // the sign of kelvins, no k
            ("https://\u{130}dp.example/", None),
            ("https://\u{5d0}\u{5d1}.example/", None),
            ("https://b%C3%BCcher.example/", None),
            ("https://ü_.example/", None),
            ("https://xn--ü.example/", None),
            ("https://xn--a.example/", None),
            ("https://xn--bcher-2pa.example/", None), // Ü
            ("https://xn--idp-.example/", None),
            // user information is found where it was written
            ("https://ada\u{ff20}idp.example/", None),
            ("https://ü@idp.example/", Some("https://%C3%BC@idp.example/")),
        ] {
            let found = parse_url(text);
            assert_eq!(found.as_ref().ok().map(Url::as_str), expected, "{text}: {found:?}");
        }
    }
}
