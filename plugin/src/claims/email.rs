//! Addresses: what one looks like, and which domain it belongs to. A domain is compared whole, after IDNA and case folding
//! of both sides, never by its end (V22).

use url::Host;

use crate::login::refusal::{self, Refusal};

/// The longest address, in bytes (RFC 5321 section 4.5.3.1.3).
const MAX_EMAIL_BYTES: usize = 254;

/// A domain as it is compared: ASCII (IDNA), small letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// Parses a name of one or more labels; no address, no dot at the end.
    pub fn parse(text: &str) -> Option<Self> {
        let labels_good = text.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .chars()
                    .all(|character| character.is_alphanumeric() || character == '-' || !character.is_ascii())
        });
        if !labels_good || text.len() > MAX_EMAIL_BYTES {
            return None;
        }
        match Host::parse(text).ok()? {
            // IDNA may map another sign to a dot, and leave an empty label.
            Host::Domain(ascii) if is_ascii_domain(&ascii) => Some(Self(ascii)),
            _ => None,
        }
    }

    /// The domain of an address: what follows its only `@`.
    pub fn of_address(email: &str) -> Option<Self> {
        let (local, domain) = email.split_once('@')?;
        if local.is_empty() || domain.contains('@') { None } else { Self::parse(domain) }
    }

    /// As it is compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_ascii_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// Exactly one `@` with something on both sides, no spaces, a domain of ASCII or IDNA labels (V22).
pub fn check(email: &str) -> Result<(), Refusal> {
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
            assert_eq!(check(email).is_ok(), good, "{email}");
        }
        assert!(check(&format!("{}@contoso.example", "a".repeat(250))).is_err());
    }

    #[test]
    fn domains_are_compared_whole_and_folded() {
        let acme = Domain::parse("acme.example").unwrap();
        for (email, same) in [
            ("ada@acme.example", true),
            ("ada@ACME.Example", true),
            ("ada@a\u{ff43}me.example", true), // a wide c: IDNA maps it
            ("ada@acme\u{3002}example", true), // an ideographic full stop: IDNA maps it
            ("ada@evil.acme.example", false),
            ("ada@evilacme.example", false),
            ("ada@evil-acme.example", false),
            ("ada@acme.example.evil", false),
            ("ada@acme.example.", false),
            ("ada@.acme.example", false),
            ("ada@evil@acme.example", false),
            ("ada@acme.example@evil.example", false),
            ("@acme.example", false),
            ("acme.example", false),
            ("ada@\u{430}cme.example", false), // a Cyrillic a
            ("ada@acme.exampl\u{e9}", false),
            ("", false),
        ] {
            assert_eq!(Domain::of_address(email).as_ref() == Some(&acme), same, "{email}");
        }
    }

    #[test]
    fn what_is_a_domain() {
        for (text, ascii) in [
            ("acme.example", Some("acme.example")),
            ("Bücher.Example", Some("xn--bcher-kva.example")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
            ("localhost", Some("localhost")),
            ("", None),
            ("acme.example.", None),
            (".acme.example", None),
            ("acme..example", None),
            ("*.acme.example", None),
            ("@acme.example", None),
            ("acme.example/path", None),
            ("https://acme.example", None),
            ("acme.example:443", None),
            ("192.0.2.1", None),
            ("0x7f.1", None),
            ("[::1]", None),
            ("a b.example", None),
            ("xn--a.example", None),
        ] {
            assert_eq!(Domain::parse(text).as_ref().map(Domain::as_str), ascii, "{text}");
        }
    }
}
