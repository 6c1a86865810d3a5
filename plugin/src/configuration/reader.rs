//! Typed access to the JSON object, which remembers every problem instead of stopping at the first.

use serde_json::{Map, Value};

use super::options::{OPTIONS, similar};
use super::{Problem, Severity};
use crate::json;
use crate::login::trace::cut;

/// The longest message: a value that is repeated in it may be as long as a configuration. Bytes.
const MAX_MESSAGE_BYTES: usize = 1024;

pub(super) struct Reader {
    /// The values that the table of options knows, by path. A configuration has a dozen of them, and is asked for sixty.
    values: Vec<(String, Value)>,
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        let mut reader = Self { values: Vec::new(), problems: Vec::new() };
        reader.take(object, &mut String::new());
        reader
    }

    pub(super) fn error(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem {
            severity: Severity::Error,
            path: path.into(),
            message: cut(&message.into(), MAX_MESSAGE_BYTES),
            hint: hint.into(),
        });
    }

    pub(super) fn warning(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.error(path, message, hint);
        if let Some(problem) = self.problems.last_mut() {
            problem.severity = Severity::Warning;
        }
    }

    /// A path of the table of options is a value; what begins such a path is a table; all else is unknown, and refused.
    fn take(&mut self, object: Map<String, Value>, path: &mut String) {
        let above = path.len();
        for (key, value) in object {
            path.truncate(above);
            path.push_str(&key);
            if OPTIONS.iter().any(|option| option.path == path) {
                self.values.push((path.clone(), value));
                continue;
            }
            let is_table = OPTIONS
                .iter()
                .any(|option| option.path.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with('.')));
            match value {
                Value::Object(inner) if is_table => {
                    path.push('.');
                    self.take(inner, path);
                }
                _ if is_table => self.error(path, format!("expected a table, found {}", kind(&value)), ""),
                _ => {
                    let hint = similar(path).map_or_else(String::new, |known| format!("did you mean {known}?"));
                    self.error(path, "unknown key", hint);
                }
            }
        }
    }

    /// By a path with dots; of a list of tables the first is `.1`.
    fn find(&self, path: &str) -> Option<&Value> {
        // The path itself, or one that it goes on from; what can't be either is told by its length.
        let ends_well = |known: &str| path.as_bytes().get(known.len()).is_none_or(|next| *next == b'.');
        let (known, value) = self
            .values
            .iter()
            .find(|(known, _)| known.len() <= path.len() && ends_well(known) && path.starts_with(known.as_str()))?;
        let rest = path.get(known.len() + 1..).unwrap_or_default();
        rest.split('.').filter(|key| !key.is_empty()).try_fold(value, |value, key| match value {
            Value::Object(table) => table.get(key),
            Value::Array(items) => items.get(key.parse::<usize>().ok()?.checked_sub(1)?),
            _ => None,
        })
    }

    fn value(&self, path: &str) -> Option<Value> {
        self.find(path).cloned()
    }

    /// How many tables a list of tables has; each with none but the known keys. The paths in them are `PATH.1.KEY`.
    pub(super) fn tables(&mut self, path: &str, known: &[&str]) -> usize {
        let items = match self.value(path) {
            None => return 0,
            Some(Value::Array(items)) if items.iter().all(Value::is_object) => items,
            Some(other) => {
                self.error(path, format!("expected a list of tables, found {}", kind(&other)), format!("[[{path}]]"));
                return 0;
            }
        };
        for (position, item) in items.iter().enumerate() {
            for key in item.as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains(&key.as_str())) {
                let hint = format!("known here: {}", known.join(", "));
                self.error(&format!("{path}.{}.{key}", position + 1), "unknown key", hint);
            }
        }
        items.len()
    }

    /// A table whose keys are the administrator's own.
    pub(super) fn table(&mut self, path: &str) -> Option<Map<String, Value>> {
        match self.value(path)? {
            Value::Object(table) => Some(table),
            other => {
                self.error(path, format!("expected a table, found {}", kind(&other)), "");
                None
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn integer(&mut self, path: &str, least: u64, most: u64) -> Option<u64> {
        let value = self.value(path)?;
        let found = value.as_u64().filter(|number| (least..=most).contains(number));
        if found.is_none() {
            let shown = if value.is_number() { json::text(&value) } else { kind(&value).to_owned() };
            self.error(path, format!("expected a whole number from {least} to {most}, found {shown}"), "");
        }
        found
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.find(path).is_some()
    }

    /// A text without white space around it.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        let (trimmed, had_space) = match self.find(path)? {
            Value::String(text) => (text.trim().to_owned(), text.trim().len() != text.len()),
            other => {
                let found = kind(other);
                self.error(path, format!("expected a text, found {found}"), "");
                return None;
            }
        };
        if trimmed.is_empty() {
            self.error(path, "empty", "");
            return None;
        }
        if had_space {
            self.warning(path, "white space around the value is ignored", "");
        }
        Some(trimmed)
    }

    pub(super) fn required(&mut self, path: &str, hint: &str) -> Option<String> {
        if !self.has(path) {
            self.error(path, "missing", hint);
        }
        self.text(path)
    }

    pub(super) fn flag(&mut self, path: &str) -> bool {
        match self.find(path) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                let found = kind(other);
                self.error(path, format!("expected true or false, found {found}"), "");
                false
            }
        }
    }

    /// Texts without white space around them.
    pub(super) fn list(&mut self, path: &str) -> Option<Vec<String>> {
        let texts = self.verbatim_list(path)?;
        Some(texts.into_iter().map(|text| text.trim().to_owned()).collect())
    }

    /// Texts as they were written, none of white space alone.
    pub(super) fn verbatim_list(&mut self, path: &str) -> Option<Vec<String>> {
        let value = self.value(path)?;
        let texts = value
            .as_array()
            .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
        match texts {
            None => {
                self.error(path, format!("expected a list of texts, found {}", kind(&value)), "[\"…\", \"…\"]");
                None
            }
            Some(texts) if texts.iter().any(|text| text.trim().is_empty()) => {
                self.error(path, "an entry is empty", "");
                None
            }
            Some(texts) => Some(texts),
        }
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, path: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(path)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let names = choices.iter().map(|(name, _)| format!("{name:?}")).collect::<Vec<_>>().join(", ");
            self.error(path, format!("found {text:?}, expected one of {names}"), "");
        }
        found
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}
