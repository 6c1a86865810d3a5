//! Reading claims through ordered sources: a source is a claim's name, taken literally first, then as a path with dots.

use serde_json::{Map, Value};

/// The claims of one login: what the ID token says goes before what userinfo says.
#[derive(Clone, Copy)]
pub(super) struct Claims<'a> {
    pub(super) id_token: &'a Map<String, Value>,
    pub(super) userinfo: Option<&'a Map<String, Value>>,
}

impl<'a> Claims<'a> {
    /// The first text that a source gives, without white space around it.
    pub(super) fn text(self, sources: &[String]) -> Option<String> {
        sources.iter().find_map(|source| self.one_text(source))
    }

    /// The text of one source.
    pub(super) fn one_text(self, source: &str) -> Option<String> {
        self.documents().find_map(|claims| as_text(look_up(claims, source)?))
    }

    /// The text of one source to the letter, but for white space around it: for what isn't the same any more once a
    /// character is left out.
    pub(super) fn exact(self, source: &str) -> Option<&'a str> {
        self.documents().find_map(|claims| exact(claims, source))
    }

    /// What `flag` says where `source` gives `text`: yes or no. A document that has another text there says nothing of it.
    pub(super) fn flag_beside(self, source: &str, text: &str, flag: &str) -> Option<bool> {
        self.documents()
            .filter(|claims| exact(claims, source) == Some(text))
            .find_map(|claims| as_flag(look_up(claims, flag)?))
    }

    fn documents(self) -> impl Iterator<Item = &'a Map<String, Value>> {
        std::iter::once(self.id_token).chain(self.userinfo)
    }
}

fn look_up<'a>(claims: &'a Map<String, Value>, source: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(source) {
        return Some(value);
    }
    let (first, rest) = source.split_once('.')?;
    look_up(claims.get(first)?.as_object()?, rest)
}

/// A text, or the first of a list of texts.
fn raw(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        Value::Array(items) => items.first()?.as_str(),
        _ => None,
    }
}

fn exact<'a>(claims: &'a Map<String, Value>, source: &str) -> Option<&'a str> {
    raw(look_up(claims, source)?).map(str::trim).filter(|text| !text.is_empty())
}

/// Control characters don't belong into anything that is shown or stored.
fn as_text(value: &Value) -> Option<String> {
    let cleaned: String = raw(value)?.chars().filter(|character| !character.is_control()).collect();
    let trimmed = cleaned.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Providers say it in different ways: true, "true", 1, "1".
fn as_flag(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_i64() == Some(1)),
        Value::String(text) => Some(matches!(text.as_str(), "1" | "true" | "True")),
        _ => None,
    }
}
