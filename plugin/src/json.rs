//! JSON that is seldom read or written goes through here, as [`Value`]s: one copy of the code for all of it. What every sign-in reads has
//! structures of its own, which are read faster, and bring 3 to 8 KB each.

use serde_json::{Map, Value};

/// A value's text. (Its `Display` would be two copies more of what writes values.)
pub(crate) fn text(value: &Value) -> String {
    // Every key is a text, and memory doesn't fail: this can't either.
    serde_json::to_string(value).unwrap_or_default()
}

/// The members of an object that has none but the known ones.
pub(crate) fn members<'a>(value: &'a Value, known: &[&str]) -> Option<&'a Map<String, Value>> {
    value.as_object().filter(|members| members.keys().all(|name| known.contains(&name.as_str())))
}

/// A member that is a text.
pub(crate) fn string(members: &Map<String, Value>, name: &str) -> Option<String> {
    Some(members.get(name)?.as_str()?.to_owned())
}

/// A member that is a whole number.
pub(crate) fn number<T: TryFrom<u64>>(members: &Map<String, Value>, name: &str) -> Option<T> {
    T::try_from(members.get(name)?.as_u64()?).ok()
}
