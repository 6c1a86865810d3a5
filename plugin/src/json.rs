//! JSON that is seldom read or written goes through here, as [`Value`]s: one copy of the code for all of it. What every sign-in reads has
//! structures of its own, which are read faster, and bring 3 to 8 KB each.

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
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

/// Reads a structure of what each sign-in reads.
pub(crate) fn object<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let object = as_object(&mut deserializer)?;
    deserializer.end()?;
    Ok(object)
}

/// Reads a structure as an object and nothing else. Derived code can read it as a list as well, which nobody writes: a third of its size.
pub(crate) fn as_object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::deserialize(AsObject(deserializer))
}

struct AsObject<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for AsObject<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
