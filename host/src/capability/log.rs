//! `log`: the component's records, in the host's log, bounded and with nothing marked secret.

use std::fmt::Write as _;

use crate::sandbox::CallState;
use crate::sandbox::bindings::defguard::openid::log::{self, Entry, Level, Value};
use crate::text::clean;

const NAME_BYTES: usize = 64;
const VALUE_BYTES: usize = 512;
const FIELDS: usize = 16;
/// What an event may have besides letters and digits.
const EVENT_MARKS: &str = " _.,:;-/()'";

impl log::Host for CallState {
    async fn write(&mut self, entry: Entry) -> wasmtime::Result<()> {
        let Some(left) = self.log_records_left.checked_sub(1) else {
            self.log_records_dropped = self.log_records_dropped.saturating_add(1);
            self.metrics.capability("log", "budget_exhausted");
            return Ok(());
        };
        self.log_records_left = left;
        self.metrics.capability("log", "ok");
        let event = plain(&entry.event, NAME_BYTES, EVENT_MARKS);
        let fields = fields(&entry);
        let trace = self.grant.trace.as_str();
        let provider = self.grant.provider.as_ref().map_or("", |context| context.id.as_str());
        match entry.level {
            Level::Debug => tracing::debug!(target: "plugin", provider, trace, fields, "{event}"),
            Level::Info => tracing::info!(target: "plugin", provider, trace, fields, "{event}"),
            Level::Warn => tracing::warn!(target: "plugin", provider, trace, fields, "{event}"),
            Level::Error => tracing::error!(target: "plugin", provider, trace, fields, "{event}"),
        }
        Ok(())
    }
}

/// `name=value` pairs; a secret is there by name only.
fn fields(entry: &Entry) -> String {
    let mut text = String::new();
    for (name, value) in entry.fields.iter().take(FIELDS) {
        let separator = if text.is_empty() { "" } else { " " };
        let name = plain(name, NAME_BYTES, "_.-");
        // Writing to a String can't fail.
        let _ = match value {
            Value::Text(value) => write!(text, "{separator}{name}={:?}", clean(value, VALUE_BYTES)),
            Value::Number(value) => write!(text, "{separator}{name}={value}"),
            Value::Flag(value) => write!(text, "{separator}{name}={value}"),
            Value::Secret => write!(text, "{separator}{name}=[secret]"),
        };
    }
    text
}

/// What happened, and the names of fields: letters, digits and a little between them, so that no event looks like fields of
/// its own, and no field like two.
fn plain(text: &str, limit: usize, may_have: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || may_have.contains(character);
    clean(text, limit).chars().map(|character| if is_plain(character) { character } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_cut_cleaned_and_keep_secrets() {
        let entry = Entry {
            level: Level::Info,
            event: "x".into(),
            fields: vec![
                ("code".into(), Value::Text("a\r\nb\u{1b}[31m".into())),
                ("token".into(), Value::Secret),
                ("n".into(), Value::Number(-1)),
                ("a=1 b".into(), Value::Flag(true)),
                ("long".into(), Value::Text("ä".repeat(400))),
            ],
        };
        let text = fields(&entry);
        assert!(text.starts_with("code=\"a  b [31m\" token=[secret] n=-1 a_1_b=true long="), "{text}");
        assert!(!text.contains(|c: char| c.is_control()));
        assert_eq!(text.matches('ä').count(), 256);
    }

    #[test]
    fn an_event_is_words() {
        let table = [
            ("key set refreshed", "key set refreshed"),
            ("login outcome=\"ok\" provider=entra", "login outcome__ok_ provider_entra"),
            ("a\nERROR plugin: b", "a ERROR plugin: b"),
        ];
        for (event, expected) in table {
            assert_eq!(plain(event, NAME_BYTES, EVENT_MARKS), expected);
        }
    }
}
