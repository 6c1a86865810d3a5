//! Typed access to the JSON object, which remembers every problem instead of stopping at the first.

use serde_json::{Map, Value};

use super::options::{OPTIONS, similar};
use super::{Problem, Severity};

pub(super) struct Reader {
    object: Map<String, Value>,
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(object: Map<String, Value>) -> Self {
        let mut reader = Self { object, problems: Vec::new() };
        reader.refuse_unknown();
        reader
    }

    pub(super) fn error(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem {
            severity: Severity::Error,
            path: path.into(),
            message: message.into(),
            hint: hint.into(),
        });
    }

    pub(super) fn warning(&mut self, path: &str, message: impl Into<String>, hint: impl Into<String>) {
        self.error(path, message, hint);
        if let Some(problem) = self.problems.last_mut() {
            problem.severity = Severity::Warning;
        }
    }

    fn refuse_unknown(&mut self) {
        let mut paths = Vec::new();
        for (key, value) in &self.object {
            match value {
                Value::Object(inner) if key == "claims" => {
                    paths.extend(inner.keys().map(|inner| format!("{key}.{inner}")));
                }
                _ => paths.push(key.clone()),
            }
        }
        for path in paths.iter().filter(|path| !OPTIONS.iter().any(|option| option.path == path.as_str())) {
            let hint = similar(path).map_or_else(String::new, |known| format!("did you mean {known}?"));
            self.error(path, "unknown key", hint);
        }
    }

    fn value(&self, path: &str) -> Option<Value> {
        match path.split_once('.') {
            None => self.object.get(path).cloned(),
            Some((table, key)) => self.object.get(table)?.get(key).cloned(),
        }
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.value(path).is_some()
    }

    /// A text without white space around it.
    pub(super) fn text(&mut self, path: &str) -> Option<String> {
        match self.value(path)? {
            Value::String(text) => {
                let trimmed = text.trim();
                if trimmed.is_empty() {
                    self.error(path, "empty", "");
                    return None;
                }
                if trimmed.len() != text.len() {
                    self.warning(path, "white space around the value is ignored", "");
                }
                Some(trimmed.to_owned())
            }
            other => {
                self.error(path, format!("expected a text, found {}", kind(&other)), "");
                None
            }
        }
    }

    pub(super) fn required(&mut self, path: &str, hint: &str) -> Option<String> {
        if !self.has(path) {
            self.error(path, "missing", hint);
        }
        self.text(path)
    }

    pub(super) fn flag(&mut self, path: &str) -> bool {
        match self.value(path) {
            None => false,
            Some(Value::Bool(flag)) => flag,
            Some(other) => {
                self.error(path, format!("expected true or false, found {}", kind(&other)), "");
                false
            }
        }
    }

    pub(super) fn list(&mut self, path: &str) -> Option<Vec<String>> {
        let value = self.value(path)?;
        let texts = value.as_array().and_then(|items| {
            items.iter().map(|item| item.as_str().map(|text| text.trim().to_owned())).collect::<Option<Vec<_>>>()
        });
        match texts {
            None => {
                self.error(path, format!("expected a list of texts, found {}", kind(&value)), "[\"…\", \"…\"]");
                None
            }
            Some(texts) if texts.iter().any(String::is_empty) => {
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
