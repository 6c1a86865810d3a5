//! The reference page, docs/configuration.md: one section a table.

use std::fmt::Write as _;

use super::ConfigOption;

/// The page, in Markdown.
pub fn page(options: &[ConfigOption]) -> String {
    let mut text = String::from(
        "# Configuration reference\n\n\
         Made by `defguard-openid config reference`: the host's keys, and what the component says of its own. Relative paths\n\
         count from the configuration's folder. An unknown key is an error. `defguard-openid config example` prints all of it as\n\
         a file to begin with, `defguard-openid config schema` as a JSON Schema for editors. What the keys are for, and\n\
         how they go together: [README](../README.md).\n",
    );
    let mut current = None;
    for option in options {
        let (table, name) = option.place();
        if current != Some(table) {
            // Writing to a String can't fail.
            let _ = write!(text, "\n## {}\n\n| key | type | default | meaning |\n|---|---|---|---|\n", title(table));
            current = Some(table);
        }
        let default = match &option.default {
            _ if option.is_required => "required".to_owned(),
            None => "–".to_owned(),
            Some(default) if option.default_value().is_some() => format!("`{default}`"),
            Some(words) => words.clone(),
        };
        let cell = |text: &str| text.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} | {} |",
            cell(&option.type_name.replace('"', "`")),
            cell(&default),
            cell(&option.description)
        );
    }
    text
}

fn title(table: &str) -> String {
    let name = table.replace("[]", "");
    match table {
        "" => "The file itself".into(),
        _ if table.ends_with("[]") => format!("`[[{name}]]`"),
        _ => format!("`[{name}]`"),
    }
}
