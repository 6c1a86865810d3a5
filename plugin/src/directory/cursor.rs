//! Where a round stands: for each collection the link to go on with, and what must be known about the way there. It is all that
//! one call leaves to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::Collection;
use crate::json;

/// The cursor's form.
const VERSION: u32 = 1;
/// The largest cursor, in bytes (`wit/directory.wit`).
const MAX_BYTES: usize = 32 << 10;
/// A delta link is good for 7 days (entra_graph §5.3); an older one than this isn't tried any more. Seconds.
pub const DELTA_LINK_LIFE_S: u64 = 5 * 24 * 3600;
/// How often an enumeration may begin again in one round.
const MAX_RESTARTS: u32 = 5;

/// Everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    v: u32,
    /// The directory that it belongs to, as a hash.
    of: String,
    /// Where reading users stands.
    users: Option<State>,
    /// Where reading groups stands.
    groups: Option<State>,
}

/// Where reading one collection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// All read.
    Ready {
        /// The delta link.
        link: String,
        /// When Graph gave it, in seconds since 1970.
        at_s: u64,
    },
    /// In between.
    Reading(Reading),
}

/// A collection that is being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The page to read.
    pub link: String,
    /// The page before it, if it is in the same enumeration.
    pub previous: Option<String>,
    /// Whether this enumeration's `restart` has to be told with its first page.
    pub announce: bool,
    /// How often it began again, or went back.
    restarts: u32,
    /// Pages of this enumeration.
    pages: u64,
    /// A link of before, as a hash, and the page at which it is replaced by the one of then: whoever comes by it again goes in a
    /// circle (Brent's algorithm).
    mark: String,
    mark_until: u64,
}

/// An enumeration that can't go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The links lead in a circle.
    #[error("the pages lead in a circle")]
    Circle,
    /// It began again too often.
    #[error("the enumeration had to begin again {MAX_RESTARTS} times")]
    Restarts,
}

impl State {
    fn of(value: &Value) -> Option<Self> {
        let (name, content) =
            json::members(value, &["ready", "reading"]).filter(|state| state.len() == 1)?.iter().next()?;
        if name == "reading" {
            return Reading::of(content).map(Self::Reading);
        }
        let members = json::members(content, &["link", "at_s"])?;
        Some(Self::Ready { link: json::string(members, "link")?, at_s: json::number(members, "at_s")? })
    }

    fn value(&self) -> Value {
        match self {
            Self::Ready { link, at_s } => json!({ "ready": { "link": link, "at_s": at_s } }),
            Self::Reading(reading) => json!({ "reading": reading.value() }),
        }
    }
}

impl Reading {
    fn of(value: &Value) -> Option<Self> {
        let known = ["link", "previous", "announce", "restarts", "pages", "mark", "mark_until"];
        let members = json::members(value, &known)?;
        let previous = match members.get("previous") {
            None | Some(Value::Null) => None,
            Some(link) => Some(link.as_str()?.to_owned()),
        };
        Some(Self {
            link: json::string(members, "link")?,
            previous,
            announce: members.get("announce")?.as_bool()?,
            restarts: json::number(members, "restarts")?,
            pages: json::number(members, "pages")?,
            mark: json::string(members, "mark")?,
            mark_until: json::number(members, "mark_until")?,
        })
    }

    fn value(&self) -> Value {
        let Self { link, previous, announce, restarts, pages, mark, mark_until } = self;
        json!({
            "link": link, "previous": previous, "announce": announce, "restarts": restarts, "pages": pages,
            "mark": mark, "mark_until": mark_until,
        })
    }

    /// From a first link. `announce`: from the beginning of everything.
    pub fn from(link: String, announce: bool) -> Self {
        let mark = hash(&link);
        Self { link, previous: None, announce, restarts: 0, pages: 0, mark, mark_until: 1 }
    }

    /// Once more, from the beginning of everything.
    pub fn again(&self, link: String) -> Result<Self, Stuck> {
        let restarts = self.restarts + 1;
        if restarts > MAX_RESTARTS { Err(Stuck::Restarts) } else { Ok(Self { restarts, ..Self::from(link, true) }) }
    }

    /// Goes on to the next page.
    pub fn on_to(&self, link: String) -> Result<Self, Stuck> {
        let (pages, here) = (self.pages + 1, hash(&link));
        if here == self.mark || link == self.link {
            return Err(Stuck::Circle);
        }
        let (mark, mark_until) = if pages >= self.mark_until {
            (here, pages.saturating_mul(2))
        } else {
            (self.mark.clone(), self.mark_until)
        };
        let previous = Some(self.link.clone());
        Ok(Self { link, previous, announce: false, restarts: self.restarts, pages, mark, mark_until })
    }

    /// Back to the page before (entra_graph §5.2: the link of an answer that was asked for twice is no good); `None` if there is
    /// none, or that didn't help several times.
    pub fn back(&self) -> Option<Self> {
        let (link, restarts) = (self.previous.clone()?, self.restarts + 1);
        let mark = hash(&link);
        (restarts <= MAX_RESTARTS).then(|| Self { link, previous: None, mark, restarts, ..self.clone() })
    }
}

fn hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

impl Cursor {
    /// Of a directory, before anything was read.
    pub fn new(directory: &str) -> Self {
        Self { v: VERSION, of: hash(directory), users: None, groups: None }
    }

    /// As it was written, if it is of this directory.
    pub fn read(text: &str, directory: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("{} bytes, at most {MAX_BYTES} are one", text.len()));
        }
        let value = crate::jose::parse_unique_object(text.as_bytes()).map(Value::Object).ok();
        let cursor = value.and_then(|value| Self::of(&value)).ok_or("it isn't one of this plugin's")?;
        if cursor.v != VERSION {
            return Err(format!("it is of version {}, this plugin reads {VERSION}", cursor.v));
        }
        if cursor.of != hash(directory) {
            return Err("it is of another tenant, application or directory".into());
        }
        Ok(cursor)
    }

    /// For the next call; `None` if the provider's links are too long for it.
    pub fn write(&self) -> Option<String> {
        let mut members = Map::new();
        members.insert("v".into(), self.v.into());
        members.insert("of".into(), self.of.as_str().into());
        for (name, state) in [("users", &self.users), ("groups", &self.groups)] {
            if let Some(state) = state {
                members.insert(name.into(), state.value());
            }
        }
        Some(json::text(&Value::Object(members))).filter(|text| text.len() <= MAX_BYTES)
    }

    fn of(value: &Value) -> Option<Self> {
        let members = json::members(value, &["v", "of", "users", "groups"])?;
        let state = |name| match members.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(state) => State::of(state).map(Some),
        };
        let (users, groups) = (state("users")?, state("groups")?);
        Some(Self { v: json::number(members, "v")?, of: json::string(members, "of")?, users, groups })
    }

    /// Where a collection stands.
    pub fn state(&self, collection: Collection) -> Option<&State> {
        match collection {
            Collection::Users => self.users.as_ref(),
            Collection::Groups => self.groups.as_ref(),
        }
    }

    /// Says where a collection stands.
    pub fn set(&mut self, collection: Collection, state: State) {
        match collection {
            Collection::Users => self.users = Some(state),
            Collection::Groups => self.groups = Some(state),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(links: impl Iterator<Item = String>) -> Result<u64, Stuck> {
        let mut reading = Reading::from("start".into(), true);
        for link in links {
            reading = reading.on_to(link)?;
        }
        Ok(reading.pages)
    }

    #[test]
    fn circles_of_any_length_end_and_ways_of_any_length_do_not() {
        assert_eq!(walk((0..5000).map(|page| format!("page {page}"))), Ok(5000));
        for length in [1_usize, 2, 3, 10, 100] {
            for before in [0_usize, 1, 7, 50] {
                let straight = (0..before).map(|page| format!("straight {page}"));
                let circle = (0..length).map(|page| format!("circle {page}")).cycle().take(10 * (length + before) + 10);
                assert_eq!(walk(straight.chain(circle)), Err(Stuck::Circle), "{before} pages, then {length}");
            }
        }
    }

    #[test]
    fn beginning_again_is_bounded() {
        let mut reading = Reading::from("start".into(), true);
        for _ in 0..MAX_RESTARTS {
            reading = reading.again("start".into()).unwrap();
        }
        assert_eq!(reading.again("start".into()), Err(Stuck::Restarts));
    }

    #[test]
    fn going_back_is_bounded_too() {
        let mut reading = Reading::from("first".into(), true);
        for _ in 0..MAX_RESTARTS {
            reading = reading.on_to("second".into()).unwrap().back().unwrap();
            assert_eq!(reading.link, "first");
        }
        let reading = reading.on_to("second".into()).unwrap();
        assert_eq!(reading.back(), None);
        assert_eq!(reading.again("first".into()), Err(Stuck::Restarts));
    }

    #[test]
    fn only_its_own_directorys() {
        let mut cursor = Cursor::new("here");
        cursor.set(Collection::Users, State::Ready { link: "link".into(), at_s: 5 });
        let text = cursor.write().unwrap();
        assert_eq!(Cursor::read(&text, "here"), Ok(cursor.clone()));
        let other_version = text.replace("\"v\":1", "\"v\":2");
        for (name, text, directory) in [
            ("another directory", text.as_str(), "there"),
            ("nothing", "", "here"),
            ("no JSON", "{", "here"),
            ("another version", other_version.as_str(), "here"),
            ("other JSON", "{\"v\":1}", "here"),
            ("too long", &"x".repeat(MAX_BYTES + 1), "here"),
        ] {
            assert!(Cursor::read(text, directory).is_err(), "{name}");
        }
        cursor.set(Collection::Groups, State::Ready { link: "x".repeat(MAX_BYTES), at_s: 5 });
        assert_eq!(cursor.write(), None);
    }
}
