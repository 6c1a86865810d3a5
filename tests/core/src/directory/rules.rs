//! What Core accepts as a name, a password, a telephone number (facts C2, D6). Lengths are bytes, as Core counts them.

/// Whether a username is valid: 1 to 63 of `A-Z a-z 0-9 . _ -`, a letter or digit first.
pub(crate) fn is_username(name: &str) -> bool {
    let first_fits = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let all_fit = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
    name.len() < 64 && first_fits && all_fit
}

/// Whether a password is strong enough: 8 to 128, and one of each kind.
pub(crate) fn is_password(password: &str) -> bool {
    let has = |kind: fn(&u8) -> bool| password.bytes().any(|byte| kind(&byte));
    (8..=128).contains(&password.len())
        && has(u8::is_ascii_punctuation)
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_uppercase)
}

/// Whether it looks like a telephone number. Core's own pattern isn't in the facts: this is the usual one.
pub(crate) fn is_phone(phone: &str) -> bool {
    let digits = phone.bytes().filter(u8::is_ascii_digit).count();
    let rest = phone.strip_prefix('+').unwrap_or(phone);
    (4..=15).contains(&digits)
        && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.' | b'(' | b')'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        let (long, longest, too_long) = ("a".repeat(62), "a".repeat(63), "a".repeat(64));
        let table = [
            ("a letter", "a", true),
            ("a digit first", "7of9", true),
            ("all that may be", "a.B-c_9", true),
            ("62", long.as_str(), true),
            ("63", longest.as_str(), true),
            ("64", too_long.as_str(), false),
            ("empty", "", false),
            ("a point first", ".a", false),
            ("a dash first", "-a", false),
            ("a space", "a b", false),
            ("an address", "ada@contoso.example", false),
            ("beyond ASCII", "josé", false),
            ("beyond ASCII first", "émile", false),
        ];
        for (name, username, expected) in table {
            assert_eq!(is_username(username), expected, "{name}");
        }
    }

    #[test]
    fn passwords() {
        let table = [
            ("strong", "Correct-horse-7", true),
            ("short", "Aa-7", false),
            ("without punctuation", "Correcthorse7", false),
            ("without a digit", "Correct-horse", false),
            ("without a capital", "correct-horse-7", false),
            ("without a small letter", "CORRECT-HORSE-7", false),
        ];
        for (name, password, expected) in table {
            assert_eq!(is_password(password), expected, "{name}");
        }
        assert!(is_password(&format!("Aa-7{}", "x".repeat(124))) && !is_password(&format!("Aa-7{}", "x".repeat(125))));
    }

    #[test]
    fn telephone_numbers() {
        for (phone, expected) in [("+48 123 456 789", true), ("000000000", true), ("call me", false), ("", false)] {
            assert_eq!(is_phone(phone), expected, "{phone:?}");
        }
    }
}
