//! JSON objects whose members have different names. RFC 7515 section 4 and RFC 7519 section 4 let a parser refuse
//! doubled names or take the last one; two parsers that differ are an attack, so they are refused. Depth is bounded by
//! serde_json (128) and, for what we read, by [`MAX_DEPTH`].

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// How deep arrays and objects may nest.
const MAX_DEPTH: usize = 32;
/// Ends "the header is …".
const TOO_DEEP: &str = "nested deeper than 32 levels";
/// Ends "the header is …".
const DOUBLED: &str = "an object with a doubled member";

/// An object without doubled members at its top.
#[derive(Debug, Clone, PartialEq)]
pub struct UniqueObject(pub Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = UniqueObject;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueObject, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if depth(&value) > MAX_DEPTH {
                        return Err(A::Error::custom(TOO_DEEP));
                    }
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom(DOUBLED));
                    }
                }
                Ok(UniqueObject(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// Parses an object. The error never repeats a value.
pub fn parse_unique_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice::<UniqueObject>(bytes).map(|object| object.0).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            let text = error.to_string();
            let known = [DOUBLED, TOO_DEEP].into_iter().find(|known| text.contains(known));
            known.unwrap_or("not a JSON object").to_owned()
        }
        _ => format!("not JSON (line {}, column {})", error.line(), error.column()),
    })
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
