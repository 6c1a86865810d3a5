//! What an emulator is started with: which Core it is like, which licence that Core has, and how long its tokens live.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::seed::Seed;

/// Which Core the emulator is like (facts C2: the two differ in lists, in group paths and in what they say of the licence).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Version {
    /// 1.6.6: lists are plain arrays, groups are named in paths, features are free for few users.
    #[serde(rename = "1.6")]
    V1_6,
    /// 2.0.1: lists have pages, groups are numbered in paths, features need a key.
    #[serde(rename = "2.0")]
    V2_0,
}

impl Version {
    /// The number that `GET /api/v1/info` answers with.
    pub fn number(self) -> &'static str {
        match self {
            Self::V1_6 => "1.6.6",
            Self::V2_0 => "2.0.1",
        }
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "1.6" | "1.6.6" => Ok(Self::V1_6),
            "2.0" | "2.0.1" => Ok(Self::V2_0),
            _ => Err(format!("version {text:?} isn't known; 1.6 and 2.0 are")),
        }
    }
}

/// What Core is licensed for. Only an active licence makes it look at API tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Licence {
    /// No key. 1.6 has its enterprise features all the same while there are no more active users than this (5 in a real one);
    /// 2.0 has none.
    Free {
        /// The most active users.
        users: u32,
    },
    /// No key, and beyond the free limits.
    None,
    /// A Business key. Above its limit it isn't valid any more.
    Business {
        /// The most active users; none: any number.
        #[serde(default)]
        users: Option<u32>,
    },
    /// A Business key whose time is over.
    Expired,
}

impl Licence {
    /// The free limit of a real 1.6.
    pub const FREE: Self = Self::Free { users: 5 };
    /// A Business key without limit.
    pub const BUSINESS: Self = Self::Business { users: None };

    /// Whether enterprise features work.
    pub(crate) fn is_active(self, version: Version, active_users: u32) -> bool {
        match self {
            Self::Free { .. } => self.is_free(version, active_users),
            Self::None | Self::Expired => false,
            Self::Business { users } => users.is_none_or(|limit| active_users <= limit),
        }
    }

    /// Whether they work without a key.
    pub(crate) fn is_free(self, version: Version, active_users: u32) -> bool {
        matches!(self, Self::Free { users } if version == Version::V1_6 && active_users <= users)
    }

    /// Whether there are more active users than allowed.
    pub(crate) fn is_exceeded(self, active_users: u32) -> bool {
        match self {
            Self::Free { users } | Self::Business { users: Some(users) } => active_users > users,
            Self::None => true,
            Self::Business { users: None } | Self::Expired => false,
        }
    }

    /// Whether `POST /api/v1/user` is refused: exactly at the key's limit. Core compares for equality.
    pub(crate) fn is_full(self, active_users: u32) -> bool {
        matches!(self, Self::Business { users: Some(users) } if users == active_users)
    }
}

/// What an emulator is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which Core it is like.
    pub version: Version,
    /// Its licence.
    pub licence: Licence,
    /// Whom and what it knows at first.
    pub seed: Seed,
    /// The `enrollment_url` of its answers; without one the emulator itself, which has the proxy's enrollment start too.
    pub enrollment_url: Option<String>,
    /// How long an enrollment token lives, in seconds; a real Core's default is a day.
    pub token_life_s: u64,
    /// How long an enrollment session lives once a token is used, in seconds; a real Core's default is 10 minutes.
    pub enrollment_session_s: u64,
}

impl Settings {
    /// This version with a Business licence, an administrator and an API token ([`crate::fixtures`]).
    pub fn new(version: Version) -> Self {
        Self {
            version,
            licence: Licence::BUSINESS,
            seed: Seed::demo(),
            enrollment_url: None,
            token_life_s: 24 * 60 * 60,
            enrollment_session_s: 10 * 60,
        }
    }

    /// With this licence.
    #[must_use]
    pub fn licence(mut self, licence: Licence) -> Self {
        self.licence = licence;
        self
    }

    /// With these users, groups and tokens.
    #[must_use]
    pub fn seed(mut self, seed: Seed) -> Self {
        self.seed = seed;
        self
    }

    /// With this `enrollment_url` in its answers.
    #[must_use]
    pub fn enrollment_url(mut self, url: impl Into<String>) -> Self {
        self.enrollment_url = Some(url.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_licence_allows() {
        let limited = Licence::Business { users: Some(3) };
        // name, licence, version, active users, (active, free, exceeded, full)
        let table = [
            ("free, few users", Licence::FREE, Version::V1_6, 5, (true, true, false, false)),
            ("free, more users", Licence::FREE, Version::V1_6, 6, (false, false, true, false)),
            ("nothing is free in 2.0", Licence::FREE, Version::V2_0, 1, (false, false, false, false)),
            ("none", Licence::None, Version::V1_6, 1, (false, false, true, false)),
            ("Business", Licence::BUSINESS, Version::V2_0, 100_000, (true, false, false, false)),
            ("below the limit", limited, Version::V2_0, 2, (true, false, false, false)),
            ("at the limit", limited, Version::V2_0, 3, (true, false, false, true)),
            ("above the limit", limited, Version::V2_0, 4, (false, false, true, false)),
            ("expired", Licence::Expired, Version::V1_6, 1, (false, false, false, false)),
        ];
        for (name, licence, version, users, expected) in table {
            let found = (
                licence.is_active(version, users),
                licence.is_free(version, users),
                licence.is_exceeded(users),
                licence.is_full(users),
            );
            assert_eq!(found, expected, "{name}");
        }
    }
}
