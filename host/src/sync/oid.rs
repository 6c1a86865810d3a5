//! Object ids. The directory names everything by a GUID that never changes and is never given again; a million memberships are
//! kept as numbers, and written as people know them.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An object id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(pub u128);

impl Oid {
    /// From a GUID with its four hyphens, in any case; `None`: it is none.
    pub fn parse(text: &str) -> Option<Self> {
        const HYPHENS: [usize; 4] = [8, 13, 18, 23];
        if text.len() != 36 {
            return None;
        }
        let mut number = 0_u128;
        for (position, byte) in text.bytes().enumerate() {
            if HYPHENS.contains(&position) {
                if byte != b'-' {
                    return None;
                }
            } else {
                number = number << 4 | u128::from(char::from(byte).to_digit(16)?);
            }
        }
        Some(Self(number))
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = (self.0 >> 64, self.0 & u128::from(u64::MAX));
        write!(
            formatter,
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }
}

impl Serialize for Oid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Oid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Guid;
        impl serde::de::Visitor<'_> for Guid {
            type Value = Oid;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object id (a GUID)")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Oid, E> {
                Oid::parse(text).ok_or_else(|| E::custom("it is no object id"))
            }
        }
        deserializer.deserialize_str(Guid).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_it_was_written_or_not_at_all() {
        for text in [
            "00000000-0000-0000-0000-000000000000",
            "33333333-3333-4333-8333-000000000001",
            "fedcba98-7654-3210-0123-456789abcdef",
        ] {
            assert_eq!(Oid::parse(text).unwrap().to_string(), text);
            assert_eq!(Oid::parse(&text.to_uppercase()).unwrap().to_string(), text);
            assert_eq!(serde_json::from_str::<Oid>(&format!("{text:?}")).unwrap().to_string(), text);
        }
        for text in [
            "",
            "33333333-3333-4333-8333-00000000000",
            "3333333333333-4333-8333-000000000001",
            "x3333333-3333-4333-8333-000000000001",
        ] {
            assert_eq!(Oid::parse(text), None, "{text:?}");
        }
        let positions = "33333333-3333-4333-8333-00000000000\u{e9}";
        assert_eq!(Oid::parse(positions), None);
    }
}
