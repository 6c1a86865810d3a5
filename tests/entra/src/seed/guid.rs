//! The identifier of tenants, apps and objects: a GUID in its 36 character text form, lower case.
//! Only the form is checked; Entra's ids carry no version that a client could rely on.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The length of the text form.
const LENGTH: usize = 36;

/// A GUID in lower case with hyphens. The text is held in place: a directory of a million memberships has no allocation for each.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid([u8; LENGTH]);

/// The text is not a GUID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a GUID (expected 8-4-4-4-12 hexadecimal digits)")]
pub struct NotAGuid(String);

impl Guid {
    /// Reads the 36 character form, any case.
    pub fn parse(text: &str) -> Result<Self, NotAGuid> {
        let well_formed = text.bytes().enumerate().all(|(position, byte)| match position {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
        let bytes: Option<[u8; LENGTH]> = text.as_bytes().try_into().ok().filter(|_| well_formed);
        bytes.map(|bytes| Self(bytes.map(|byte| byte.to_ascii_lowercase()))).ok_or_else(|| NotAGuid(text.to_owned()))
    }

    /// A GUID of version 4 form from 16 bytes.
    pub(crate) fn from_bytes(mut bytes: [u8; 16]) -> Self {
        // RFC 9562 section 4: version and variant bits.
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
        let mut text = [b'-'; LENGTH];
        let places = (0..LENGTH).filter(|place| !matches!(place, 8 | 13 | 18 | 23));
        for (place, nibble) in places.zip(bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f])) {
            if let Some(to) = text.get_mut(place) {
                *to = digit(nibble);
            }
        }
        Self(text)
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits and hyphens are always UTF-8.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Guid").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PartialEq<&str> for Guid {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialEq<str> for Guid {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
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
        guid.as_str().to_owned()
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
