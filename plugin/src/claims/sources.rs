//! Reading claims through ordered sources: a claim's name (taken literally first, then as a path with dots), a property of
//! the directory's user, or an expression.

use serde_json::{Map, Value};

use crate::configuration::{Field, Source};
use crate::login::trace::Trace;

/// What is known of one person: what the ID token says goes before what userinfo says; the directory is asked by name.
#[derive(Debug, Clone, Copy)]
pub struct Documents<'a> {
    /// The ID token's claims.
    pub id_token: &'a Map<String, Value>,
    /// Userinfo's, if it was asked.
    pub userinfo: Option<&'a Map<String, Value>>,
    /// Graph's user, if it was asked.
    pub directory: Option<&'a Map<String, Value>>,
}

/// A text, and the source that gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) source: &'a Source,
    /// As the source gave it.
    pub(super) raw: String,
    /// After the transforms.
    pub(super) text: String,
}

impl<'a> Documents<'a> {
    /// The first text that a field's sources give, cleaned. An expression that fails gives none, and says so.
    pub(super) fn text(self, field: &Field, trace: &mut Trace) -> Option<String> {
        let found = self.find(field, trace, |found| cleaned(&found.text).is_some())?;
        cleaned(&found.text)
    }

    /// The first text that `counts`, with the source that gave it.
    pub(super) fn find<'f>(
        self,
        field: &'f Field,
        trace: &mut Trace,
        counts: impl Fn(&Found<'f>) -> bool,
    ) -> Option<Found<'f>> {
        field.sources.iter().find_map(|source| {
            let raw = self.one(source, trace)?;
            let text = field.transforms.iter().try_fold(raw.clone(), |text, transform| transform.apply(&text))?;
            Some(Found { source, raw, text }).filter(&counts)
        })
    }

    /// The text of one source to the letter, but for white space around it.
    fn one(self, source: &Source, trace: &mut Trace) -> Option<String> {
        match source {
            Source::Claim(name) => self.claims().find_map(|claims| exact(claims, name)).map(str::to_owned),
            Source::Directory(property) => exact(self.directory?, property).map(str::to_owned),
            Source::Expression(expression) => match expression.evaluate(&self.merged()) {
                Ok(value) => text_of(&value).map(str::to_owned),
                Err(error) => {
                    trace.fail("claims.expression", format!("{}: {error}", expression.source()));
                    None
                }
            },
        }
    }

    /// What `flag` says where the claim `name` gives `text`: yes or no. A document that has another text there says nothing
    /// of it.
    pub(super) fn flag_beside(self, name: &str, text: &str, flag: &str) -> Option<bool> {
        self.claims()
            .filter(|claims| exact(claims, name) == Some(text))
            .find_map(|claims| as_flag(look_up(claims, flag)?))
    }

    /// All claims as one document.
    pub(crate) fn merged(self) -> Value {
        let mut claims = self.userinfo.cloned().unwrap_or_default();
        claims.extend(self.id_token.clone());
        Value::Object(claims)
    }

    fn claims(self) -> impl Iterator<Item = &'a Map<String, Value>> {
        std::iter::once(self.id_token).chain(self.userinfo)
    }
}

pub(super) fn look_up<'a>(claims: &'a Map<String, Value>, source: &str) -> Option<&'a Value> {
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

fn text_of(value: &Value) -> Option<&str> {
    raw(value).map(str::trim).filter(|text| !text.is_empty())
}

fn exact<'a>(claims: &'a Map<String, Value>, source: &str) -> Option<&'a str> {
    text_of(look_up(claims, source)?)
}

/// Without control characters, which don't belong into anything that is shown or stored.
pub(super) fn cleaned(text: &str) -> Option<String> {
    let cleaned: String = text.chars().filter(|character| !character.is_control()).collect();
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
