//! The identifier of tenants, apps and objects: a GUID in its 36 character text form, lower case.
//! Only the form is checked; Entra's ids carry no version that a client could rely on.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A GUID in lower case with hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid(String);

/// The text is not a GUID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a GUID (expected 8-4-4-4-12 hexadecimal digits)")]
pub struct NotAGuid(String);

impl Guid {
    /// Reads the 36 character form, any case.
    pub fn parse(text: &str) -> Result<Self, NotAGuid> {
        let well_formed = text.len() == 36
            && text.bytes().enumerate().all(|(position, byte)| match position {
                8 | 13 | 18 | 23 => byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            });
        if well_formed { Ok(Self(text.to_ascii_lowercase())) } else { Err(NotAGuid(text.to_owned())) }
    }

    /// A GUID of version 4 form from 16 bytes.
    pub(crate) fn from_bytes(mut bytes: [u8; 16]) -> Self {
        // RFC 9562 section 4: version and variant bits.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let mut text = String::with_capacity(36);
        for (position, byte) in bytes.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.extend([byte >> 4, byte & 0x0f].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')));
        }
        Self(text)
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl PartialEq<&str> for Guid {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl PartialEq<str> for Guid {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl TryFrom<String> for Guid {
    type Error = NotAGuid;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> Self {
        guid.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_plain_text_form_is_a_guid() {
        let table = [
            ("lower case", "11111111-1111-4111-8111-111111111111", true),
            ("upper case", "AAAAAAAA-BBBB-4CCC-8DDD-EEEEEEEEEEEE", true),
            ("braces", "{1111111-1111-4111-8111-11111111111}", false),
            ("no hyphens", "111111111111411181111111111111111111", false),
            ("domain", "contoso.example", false),
            ("empty", "", false),
            ("letter out of range", "g1111111-1111-4111-8111-111111111111", false),
        ];
        for (name, text, expected) in table {
            assert_eq!(Guid::parse(text).is_ok(), expected, "{name}");
        }
    }

    #[test]
    fn bytes_make_a_version_4_guid() {
        let guid = Guid::from_bytes([0xff; 16]);
        assert_eq!(guid, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert!(Guid::parse(guid.as_str()).is_ok());
    }
}
