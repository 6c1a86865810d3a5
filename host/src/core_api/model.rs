//! Core's records, as far as this host reads or writes them (facts C2, F). Unknown fields are left alone: 1.6 and 2.x, and
//! what comes after them, differ in many that nobody here needs.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Characters of an enrollment token; Core's have 32.
const MAX_TOKEN_CHARACTERS: usize = 256;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct User {
    /// Core's own number: it stays when the user is renamed, and is never given twice.
    pub id: i64,
    /// Compared to the letter.
    pub username: String,
    /// Compared without regard to case.
    pub email: String,
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// Whether the user may do anything.
    pub is_active: bool,
    /// Whether the user has a password, or signed in through Core's own OpenID.
    pub enrolled: bool,
    /// Core 1.5 and older don't say.
    #[serde(default)]
    pub is_admin: Option<bool>,
    /// The names of the user's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// If there is one.
    #[serde(default)]
    pub phone: Option<String>,
}

impl User {
    /// Whether the user is an administrator, or Core doesn't say.
    pub fn may_be_admin(&self) -> bool {
        self.is_admin.unwrap_or(true)
    }

    /// Whether the user has this address: to the letter, but for case. Never by a pattern, as Core itself does
    /// (facts D2).
    pub fn has_address(&self, email: &str) -> bool {
        self.email.to_lowercase() == email.to_lowercase()
    }
}

/// `GET user/{username}`.
#[derive(Debug, Deserialize)]
pub(super) struct UserDetails {
    pub(super) user: User,
}

/// `GET user`: 1.6 answers with everybody, 2.x page by page.
#[derive(Debug)]
pub(super) enum UserList {
    All(Vec<User>),
    Page(UserPage),
}

#[derive(Debug, Deserialize)]
pub(super) struct UserPage {
    pub(super) data: Vec<User>,
    pub(super) pagination: Pagination,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pagination {
    pub(super) total_pages: u32,
    #[serde(default)]
    pub(super) total_items: Option<u64>,
}

/// By hand, since an untagged enum keeps the whole text a second time before it decides: 1.6 gives 60 MB for 100 000 users.
impl<'de> Deserialize<'de> for UserList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = UserList;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("users, or a page of them")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, users: A) -> Result<UserList, A::Error> {
                Deserialize::deserialize(SeqAccessDeserializer::new(users)).map(UserList::All)
            }

            fn visit_map<A: MapAccess<'de>>(self, page: A) -> Result<UserList, A::Error> {
                Deserialize::deserialize(MapAccessDeserializer::new(page)).map(UserList::Page)
            }
        }

        deserializer.deserialize_any(Either)
    }
}

/// `POST user`.
#[derive(Debug, Clone, Serialize)]
pub struct NewUser<'a> {
    /// 1 to 63 of `A-Z a-z 0-9 . _ -`, a letter or digit first.
    pub username: &'a str,
    /// Family name.
    pub last_name: &'a str,
    /// Given name.
    pub first_name: &'a str,
    /// The address.
    pub email: &'a str,
    /// Always null: Core refuses a number whose form it doesn't like, for no reason that it says.
    pub phone: Option<&'a str>,
    /// Always null: the person chooses one while enrolling. One made up here would mark the user as enrolled, and go to
    /// LDAP (facts C2, differences).
    pub password: Option<&'a str>,
}

/// `POST user/available`.
#[derive(Debug, Serialize)]
pub(super) struct Username<'a> {
    pub(super) username: &'a str,
}

/// `POST user/{username}/start_…`.
#[derive(Debug, Serialize)]
pub(super) struct StartRequest {
    pub(super) send_enrollment_notification: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token_expiration_time: Option<String>,
}

/// What comes of it.
#[derive(Clone, Deserialize)]
pub struct Started {
    /// A secret of the person's.
    pub enrollment_token: String,
    /// Where the person enrolls.
    pub enrollment_url: String,
}

impl Started {
    /// Whether it can be shown to a person and put into a link.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let is_url = url::Url::parse(&self.enrollment_url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        let token = &self.enrollment_token;
        let is_token = (1..=MAX_TOKEN_CHARACTERS).contains(&token.len())
            && token.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'&'));
        match (is_url, is_token) {
            (true, true) => Ok(()),
            (false, _) => Err("its enrollment_url is no http or https address"),
            (true, false) => Err("its enrollment_token is no token"),
        }
    }
}

impl std::fmt::Debug for Started {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Started").field("enrollment_url", &self.enrollment_url).finish_non_exhaustive()
    }
}

/// A group, of `GET group-info` and `GET group/{group}`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Group {
    /// Core's own number, in 1.6 as well; paths name a group by it in 2.x only.
    pub id: i64,
    /// Compared to the letter; no two have the same.
    pub name: String,
    /// User names.
    pub members: Vec<String>,
    /// Whether its members are administrators; so, if Core doesn't say.
    #[serde(default = "yes")]
    pub is_admin: bool,
}

fn yes() -> bool {
    true
}

/// `POST group` and `PUT group/{group}`: there the members are replaced by these.
#[derive(Debug, Serialize)]
pub(super) struct EditGroup<'a> {
    pub(super) name: &'a str,
    pub(super) members: &'a [String],
    pub(super) is_admin: bool,
}

/// `POST groups-assign`.
#[derive(Debug, Serialize)]
pub(super) struct AssignGroups<'a> {
    pub(super) groups: [&'a str; 1],
    pub(super) users: &'a [i64],
}

/// `POST auth`.
#[derive(Serialize)]
pub(super) struct LogIn<'a> {
    pub(super) username: &'a str,
    pub(super) password: &'a str,
}

/// `GET info`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Info {
    /// `1.6.6`, `2.0.1+ea1a50c`.
    pub version: String,
    /// 1.6 says it here.
    #[serde(default)]
    pub license_info: Option<InfoLicense>,
}

/// What 1.6 says of the licence in `GET info`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InfoLicense {
    /// Whether enterprise features work.
    #[serde(default)]
    pub enterprise: bool,
    /// Whether they do so without a key, below the free limits.
    #[serde(default)]
    pub is_enterprise_free: bool,
}

/// `GET enterprise_info`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct EnterpriseInfo {
    pub(super) license_info: Option<License>,
}

/// The licence's key, as 2.x says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct License {
    /// The end of its time.
    #[serde(default)]
    pub expired: bool,
    /// More users, devices or locations than it allows.
    #[serde(default)]
    pub limits_exceeded: Option<serde_json::Value>,
    /// RFC 3339.
    #[serde(default)]
    pub valid_until: Option<String>,
}

impl License {
    /// Whether a limit is exceeded: 1.6 says it for all together, 2.x for each.
    pub fn is_exceeded(&self) -> bool {
        match &self.limits_exceeded {
            Some(serde_json::Value::Bool(exceeded)) => *exceeded,
            Some(serde_json::Value::Object(limits)) => limits.values().any(|limit| limit.as_bool() == Some(true)),
            _ => false,
        }
    }
}

/// Which generation of the API Core speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// 1.x: lists are plain arrays, groups are named in paths.
    V1,
    /// 2.x: lists have pages, groups are numbered in paths.
    V2,
}

impl Generation {
    /// From a version number; `None`: a number that this host doesn't know.
    pub fn of(version: &str) -> Option<Self> {
        match version.split('.').next()? {
            "1" => Some(Self::V1),
            "2" => Some(Self::V2),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_to_the_letter_but_for_case() {
        let user = |email: &str| User {
            id: 1,
            username: "ada".into(),
            email: email.into(),
            first_name: "Ada".into(),
            last_name: "L".into(),
            is_active: true,
            enrolled: true,
            is_admin: None,
            groups: Vec::new(),
            phone: None,
        };
        for (name, one, other, same) in [
            ("the same", "ada@a.example", "ada@a.example", true),
            ("case", "Ada@A.example", "aDA@a.EXAMPLE", true),
            ("case beyond ASCII", "ÄDA@a.example", "äda@a.example", true),
            ("an underscore is no pattern", "a_a@a.example", "aba@a.example", false),
            ("nor is a percent sign", "%@a.example", "ada@a.example", false),
            ("a part of it", "ada@a.example", "ada@a.example.org", false),
        ] {
            assert_eq!(user(one).has_address(other), same, "{name}");
            assert_eq!(user(other).has_address(one), same, "{name}");
        }
        assert!(user("a@b").may_be_admin(), "who doesn't say so isn't ruled out");
    }

    #[test]
    fn both_shapes_of_a_list() {
        let user = r#"{"id":1,"username":"ada","email":"a@b","first_name":"A","last_name":"L","is_active":true,
                       "enrolled":false,"is_admin":false,"groups":[],"new":{"field":1}}"#;
        let all: UserList = serde_json::from_str(&format!("[{user},{user}]")).unwrap();
        assert!(matches!(all, UserList::All(users) if users.len() == 2));
        let page = format!(r#"{{"data":[{user}],"pagination":{{"current_page":1,"total_pages":7,"next_page":2}}}}"#);
        let page: UserList = serde_json::from_str(&page).unwrap();
        assert!(matches!(page, UserList::Page(page) if page.data.len() == 1 && page.pagination.total_pages == 7));
        for other in ["{}", "null", "7", r#"[{"id":1}]"#, r#"{"data":[],"pagination":{}}"#] {
            assert!(serde_json::from_str::<UserList>(other).is_err(), "{other}");
        }
    }

    #[test]
    fn what_a_person_may_be_given() {
        let started = |url: &str, token: &str| Started { enrollment_token: token.into(), enrollment_url: url.into() };
        assert_eq!(started("https://enroll.example/", "abc").check(), Ok(()));
        for (name, url, token) in [
            ("another scheme", "javascript:alert(1)", "abc"),
            ("no address", "enroll", "abc"),
            ("no token", "https://enroll.example/", ""),
            ("a token with a break", "https://enroll.example/", "a\nb"),
            ("a token with markup", "https://enroll.example/", "<b>"),
            ("a token without end", "https://enroll.example/", &"a".repeat(257)),
        ] {
            assert!(started(url, token).check().is_err(), "{name}");
        }
        assert!(!format!("{:?}", started("https://enroll.example/", "hunter2")).contains("hunter2"));
    }

    #[test]
    fn generations() {
        for (version, expected) in [
            ("1.6.6", Some(Generation::V1)),
            ("2.0.1+ea1a50c", Some(Generation::V2)),
            ("20.1", None),
            ("", None),
            ("three", None),
        ] {
            assert_eq!(Generation::of(version), expected, "{version:?}");
        }
    }
}
