//! Defguard's user names: 1 to 63 of `A-Z a-z 0-9 . _ -`, the first a letter or digit. Defguard's Core cuts at 64 and then
//! refuses 64; here every name that comes out is good.

/// The longest, in characters.
pub const MAX_LENGTH: usize = 63;

/// Defguard's setting for characters that a name can't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsernameHandling {
    /// They are left out: `john@acme.com` becomes `johnacme.com`.
    RemoveForbidden,
    /// They become `_`: `john_acme.com`.
    ReplaceForbidden,
    /// What stands before the first `@`, and then as above: `john`.
    PruneEmailDomain,
}

impl UsernameHandling {
    /// By Defguard's names.
    pub const NAMES: [(&str, Self); 3] = [
        ("remove_forbidden", Self::RemoveForbidden),
        ("replace_forbidden", Self::ReplaceForbidden),
        ("prune_email_domain", Self::PruneEmailDomain),
    ];
}

/// The user name for a text; `None`: nothing of it can stand in one.
pub fn username(text: &str, handling: UsernameHandling) -> Option<String> {
    let text = match handling {
        UsernameHandling::PruneEmailDomain => text.split('@').next().unwrap_or_default(),
        _ => text,
    };
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    let name: String = text
        .chars()
        .filter_map(|character| match handling {
            _ if allowed(character) => Some(character),
            UsernameHandling::RemoveForbidden => None,
            UsernameHandling::ReplaceForbidden | UsernameHandling::PruneEmailDomain => Some('_'),
        })
        .skip_while(|character| !character.is_ascii_alphanumeric())
        .take(MAX_LENGTH)
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_each_handling() {
        use UsernameHandling::{PruneEmailDomain, RemoveForbidden, ReplaceForbidden};
        let table: &[(&str, UsernameHandling, Option<&str>)] = &[
            ("john.doe@acme.com", RemoveForbidden, Some("john.doeacme.com")),
            ("john.doe@acme.com", ReplaceForbidden, Some("john.doe_acme.com")),
            ("john.doe@acme.com", PruneEmailDomain, Some("john.doe")),
            ("o'brien+vpn@acme.com", RemoveForbidden, Some("obrienvpnacme.com")),
            ("o'brien+vpn@acme.com", ReplaceForbidden, Some("o_brien_vpn_acme.com")),
            ("o'brien+vpn@acme.com", PruneEmailDomain, Some("o_brien_vpn")),
            ("user_home.com#EXT#@acme.onmicrosoft.com", RemoveForbidden, Some("user_home.comEXTacme.onmicrosoft.com")),
            ("user_home.com#EXT#@acme.onmicrosoft.com", PruneEmailDomain, Some("user_home.com_EXT_")),
            ("__.john", RemoveForbidden, Some("john")),
            ("-", RemoveForbidden, None),
            ("@@@", ReplaceForbidden, None),
            ("@acme.com", PruneEmailDomain, None),
            ("Żółw", RemoveForbidden, Some("w")),
            ("Żółw", ReplaceForbidden, Some("w")),
            ("日本", ReplaceForbidden, None),
            ("", RemoveForbidden, None),
        ];
        for (text, handling, expected) in table {
            assert_eq!(username(text, *handling).as_deref(), *expected, "{text} {handling:?}");
        }
    }

    #[test]
    fn names_of_any_length_are_cut_to_63() {
        for length in [1, 62, 63, 64, 65, 200, 10_000] {
            let name = username(&"a".repeat(length), UsernameHandling::RemoveForbidden).unwrap();
            assert_eq!(name.len(), length.min(63), "{length}");
        }
        let cut_after_symbols =
            username(&format!("{}{}", "@".repeat(100), "b".repeat(100)), UsernameHandling::ReplaceForbidden);
        assert_eq!(cut_after_symbols.unwrap(), "b".repeat(63));
    }
}
