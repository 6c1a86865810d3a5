//! From the text that somebody is editing to what the component gets. A whole `openid.toml` will do: of it, the
//! `[[provider]]` tables and `development.loopback_http` are read.

use provider_table::{Lines, Table, component_json, line_at};
use toml::Value;

use super::ProblemReport;
use crate::configuration::{Problem, Severity};

/// The largest text, in bytes: as much as the component reads of one provider.
const MAX_BYTES: usize = 256 << 10;
/// What to write where there is no provider.
const HINT: &str = "write [[provider]], with two brackets, and its keys below";

/// One provider of a text.
#[derive(Debug)]
pub(super) struct Snippet<'text> {
    /// As [`super::Check::providers`].
    pub(super) providers: Vec<String>,
    /// What the component gets.
    pub(super) json: String,
    table: Table,
    position: usize,
    lines: Option<Lines<'text>>,
}

/// Why there is no provider to look at.
#[derive(Debug)]
pub(super) struct Unread {
    /// As [`super::Check::providers`].
    pub(super) providers: Vec<String>,
    /// What is wrong.
    pub(super) problem: ProblemReport,
}

impl<'text> Snippet<'text> {
    /// Reads the provider of this number, from 0.
    pub(super) fn read(text: &'text str, position: usize) -> Result<Self, Box<Unread>> {
        let fail = |providers: &[String], path: &str, line: Option<usize>, message: String, hint: &str| {
            let problem = Problem { severity: Severity::Error, path: path.into(), message, hint: hint.into() };
            Err(Box::new(Unread { providers: providers.to_vec(), problem: ProblemReport::new(problem, line) }))
        };
        if text.len() > MAX_BYTES {
            return fail(&[], "", None, format!("{} bytes, at most {MAX_BYTES} are read", text.len()), "");
        }
        let document = match text.parse::<Table>() {
            Ok(document) => document,
            Err(error) => {
                let line = error.span().map(|span| line_at(text, span.start));
                return fail(&[], "TOML", line, error.message().to_owned(), "the text isn't valid TOML at this place");
            }
        };
        let lines = Lines::parse(text);
        let line = |path: &str| lines.as_ref().and_then(|lines| lines.of(path));
        let items = match document.get("provider") {
            Some(Value::Array(items)) => items.as_slice(),
            Some(other) => {
                let message = format!("expected [[provider]] tables, found {}", other.type_str());
                return fail(&[], "provider", line("provider"), message, HINT);
            }
            None => return fail(&[], "provider", None, "missing".to_owned(), HINT),
        };
        let providers: Vec<String> = items.iter().enumerate().map(|(index, item)| name(item, index)).collect();
        let loopback_http = match document.get("development").and_then(|table| table.get("loopback_http")) {
            None => false,
            Some(Value::Boolean(loopback_http)) => *loopback_http,
            Some(other) => {
                let path = "development.loopback_http";
                let message = format!("expected true or false, found {}", other.type_str());
                return fail(&providers, path, line(path), message, "");
            }
        };
        let table = match items.get(position) {
            Some(Value::Table(table)) => table.clone(),
            Some(other) => {
                let message = format!("expected a table, found {}", other.type_str());
                return fail(&providers, "provider", line("provider"), message, HINT);
            }
            None => {
                let message = format!("there are {}, asked for number {}", items.len(), position.saturating_add(1));
                return fail(&providers, "provider", line("provider"), message, "");
            }
        };
        match component_json(&table, loopback_http) {
            Ok(json) => Ok(Self { providers, json, table, position, lines }),
            Err(error) => fail(&providers, "provider", None, format!("can't be handed to the plugin: {error}"), ""),
        }
    }

    /// The provider's `id`; empty if it has none yet.
    pub(super) fn id(&self) -> &str {
        self.table.get("id").and_then(Value::as_str).unwrap_or_default()
    }

    /// The line of a path in the provider's table.
    pub(super) fn line(&self, path: &str) -> Option<usize> {
        self.lines.as_ref().and_then(|lines| lines.of_provider(self.position, path))
    }

    /// A problem of the component's, with its line.
    pub(super) fn locate(&self, problem: Problem) -> ProblemReport {
        let line = self.line(&problem.path);
        ProblemReport::new(problem, line)
    }

    /// The names of the samples; a sample without one is called by its number.
    pub(super) fn samples(&self) -> impl Iterator<Item = String> {
        let samples = self.table.get("sample").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        samples.iter().enumerate().map(|(index, sample)| {
            let name = sample.get("name").and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
            name.map_or_else(|| format!("sample {}", index + 1), str::to_owned)
        })
    }
}

/// What a provider is called in a list.
fn name(item: &Value, index: usize) -> String {
    let id = item.get("id").and_then(Value::as_str).map(str::trim).filter(|id| !id.is_empty());
    id.map_or_else(|| format!("{}.", index + 1), str::to_owned)
}
