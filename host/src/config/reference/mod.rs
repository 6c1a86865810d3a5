//! What can be configured, as data: the host's own keys, and with the component's description the whole. From it come the
//! check for unknown keys, a JSON Schema for editors, a commented example and the reference page.

mod example;
mod keys;
mod page;
mod schema;

pub use example::example;
pub use page::page;
pub use schema::schema;

use crate::sandbox::Description;

/// Keys that are known in order to say why they aren't taken: secrets don't belong in the file.
const REFUSED: [&str; 2] = ["provider[].client_secret", "handover.token"];
/// What the component reads and the host sets.
const SET_BY_HOST: &str = "development_loopback";

/// One key of the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    /// With dots; `[]` after a name: tables `[[name]]`.
    path: &'static str,
    /// Type, or the values in quotes; as the component says it.
    type_name: &'static str,
    /// As it would be written, or in words; `None`: there is no default.
    default: Option<&'static str>,
    is_required: bool,
    /// As it would be written.
    example: &'static str,
    /// A sentence or two, with backquotes around what is code.
    description: &'static str,
}

/// One key, the host's or the component's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigOption {
    path: String,
    type_name: String,
    default: Option<String>,
    is_required: bool,
    example: String,
    description: String,
}

impl ConfigOption {
    /// The table that it is in, and its name there.
    fn place(&self) -> (&str, &str) {
        self.path.rsplit_once('.').unwrap_or(("", &self.path))
    }

    /// The default, if it can be written as it is.
    fn default_value(&self) -> Option<toml::Value> {
        self.default.as_deref().and_then(value)
    }
}

/// A value as TOML writes it.
fn value(text: &str) -> Option<toml::Value> {
    let mut table = format!("value = {text}").parse::<toml::Table>().ok()?;
    // More than one value is a sentence that happens to be TOML.
    if table.len() == 1 { table.remove("value") } else { None }
}

/// Names that a table may hold, as the check for unknown keys wants them. `table` is a path as in [`Key::path`], empty for the
/// file itself.
pub(super) fn names(table: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    for path in keys::KEYS.iter().map(|key| key.path).chain(REFUSED) {
        let within = if table.is_empty() {
            Some(path)
        } else {
            path.strip_prefix(table).and_then(|rest| rest.strip_prefix('.'))
        };
        if let Some(name) = within.and_then(|rest| rest.split('.').next()) {
            let name = name.trim_end_matches("[]");
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// Every key: of the host, and of a component if there is one.
pub fn options(component: Option<&Description>) -> Vec<ConfigOption> {
    let mut options: Vec<ConfigOption> = keys::KEYS
        .iter()
        .map(|key| ConfigOption {
            path: key.path.to_owned(),
            type_name: key.type_name.to_owned(),
            default: key.default.map(str::to_owned),
            is_required: key.is_required,
            example: key.example.to_owned(),
            description: key.description.to_owned(),
        })
        .collect();
    for option in component.map(|component| component.options.as_slice()).unwrap_or_default() {
        let path = format!("provider[].{}", option.path);
        if option.path == SET_BY_HOST || options.iter().any(|known| known.path == path) {
            continue;
        }
        options.push(ConfigOption {
            example: example::of_component(&option.path, &option.type_name, option.default_value.as_deref()),
            path,
            type_name: option.type_name.clone(),
            default: option.default_value.clone(),
            is_required: option.required,
            description: option.description.clone(),
        });
    }
    in_order(options)
}

/// A table's own keys before the tables in it, as TOML wants it; otherwise as they came.
fn in_order(options: Vec<ConfigOption>) -> Vec<ConfigOption> {
    let mut tables: Vec<String> = Vec::new();
    for option in &options {
        let (table, _) = option.place();
        if !tables.iter().any(|known| known == table) {
            // Beside the other tables of the same one.
            let root = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
            let after =
                tables.iter().rposition(|known| root(known) == root(table)).map_or(tables.len(), |last| last + 1);
            tables.insert(after, table.to_owned());
        }
    }
    let mut ordered = options;
    ordered.sort_by_key(|option| tables.iter().position(|table| table == option.place().0));
    ordered
}

#[cfg(test)]
mod tests;
