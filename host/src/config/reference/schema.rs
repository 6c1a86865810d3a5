//! The configuration as a JSON Schema (draft 2020-12), by which editors complete and check a TOML file.

use serde_json::{Map, Value, json};

use super::ConfigOption;

/// The schema. Without a component's description, a provider may have keys that aren't in it.
pub fn schema(options: &[ConfigOption], has_component: bool) -> Value {
    let mut root = object(true);
    for option in options {
        insert(&mut root, &option.path, option, has_component);
    }
    let mut schema = Map::from_iter([
        ("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema")),
        ("title".to_owned(), json!("defguard-openid")),
        (
            "description".to_owned(),
            json!(format!("The configuration of defguard-openid {}", env!("CARGO_PKG_VERSION"))),
        ),
    ]);
    if let Value::Object(root) = root {
        schema.extend(root);
    }
    Value::Object(schema)
}

fn object(is_closed: bool) -> Value {
    json!({ "type": "object", "properties": {}, "additionalProperties": !is_closed })
}

/// Puts an option where its path says, and makes the tables on the way there.
fn insert(table: &mut Value, path: &str, option: &ConfigOption, has_component: bool) {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let (name, is_list) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    if option.is_required {
        require(table, name);
    }
    let Some(properties) = table.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let Some(rest) = rest else {
        properties.insert(name.to_owned(), described(option));
        return;
    };
    let is_closed = has_component || path != option.path || !path.starts_with("provider[].");
    let inner = properties.entry(name).or_insert_with(|| {
        if is_list { json!({ "type": "array", "minItems": 1, "items": object(is_closed) }) } else { object(true) }
    });
    let inner = if is_list { inner.get_mut("items") } else { Some(inner) };
    if let Some(inner) = inner {
        insert(inner, rest, option, has_component);
    }
}

fn require(table: &mut Value, name: &str) {
    let Some(table) = table.as_object_mut() else { return };
    let required = table.entry("required").or_insert_with(|| json!([]));
    if let Some(required) = required.as_array_mut().filter(|names| !names.iter().any(|known| known == name)) {
        required.push(json!(name));
    }
}

fn described(option: &ConfigOption) -> Value {
    let mut schema = of_type(&option.type_name);
    let Some(members) = schema.as_object_mut() else { return schema };
    let mut description = option.description.replace('`', "");
    match (option.default_value(), &option.default) {
        (Some(default), _) => {
            members.insert("default".into(), serde_json::to_value(default).unwrap_or_default());
        }
        (None, Some(words)) => description = format!("{description} Default: {}.", words.replace('`', "")),
        (None, None) => {}
    }
    members.insert("description".into(), description.into());
    schema
}

/// The types of [`super::Key::type_name`]; what it doesn't know may be anything.
fn of_type(name: &str) -> Value {
    let list = |items: Value| json!({ "type": "array", "items": items });
    let text = || json!({ "type": "string" });
    if name.starts_with('"') {
        let values: Vec<&str> = name.split('"').skip(1).step_by(2).collect();
        return json!({ "type": "string", "enum": values });
    }
    // The unit stands behind a comma.
    match name.split(',').next().unwrap_or_default() {
        "string" => text(),
        "date" => json!({ "type": "string", "format": "date" }),
        "boolean" => json!({ "type": "boolean" }),
        "integer" => json!({ "type": "integer", "minimum": 0 }),
        "number" => json!({ "type": "number", "minimum": 0 }),
        "list of string" => list(text()),
        "string or list of string" => json!({ "anyOf": [text(), list(text())] }),
        "list of table" => list(json!({ "type": "object" })),
        "table of string" => json!({ "type": "object", "additionalProperties": text() }),
        "table of lists of string" => json!({ "type": "object", "additionalProperties": list(text()) }),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::reference::options;

    #[test]
    fn every_type_is_known() {
        for option in options(None) {
            assert_ne!(of_type(&option.type_name), json!({}), "{}: {:?}", option.path, option.type_name);
        }
    }

    #[test]
    fn tables_lists_and_what_must_be_there() {
        let schema = schema(&options(None), false);
        let at = |path: &str| schema.pointer(path).cloned().unwrap_or_default();
        let provider = "/properties/provider/items";
        for (path, expected) in [
            ("/required", json!(["public_url", "handover", "provider"])),
            ("/additionalProperties", json!(false)),
            ("/properties/listen/default", json!("127.0.0.1:8080")),
            ("/properties/handover/required", json!(["kind"])),
            ("/properties/handover/properties/kind/enum", json!(["core", "local"])),
            ("/properties/handover/properties/account/items/properties/email/type", json!("string")),
            (&format!("{provider}/required"), json!(["id", "kind"])),
            (&format!("{provider}/additionalProperties"), json!(true)),
            (&format!("{provider}/properties/directory/properties/interval_s/default"), json!(600)),
            (&format!("{provider}/properties/directory/additionalProperties"), json!(false)),
            (&format!("{provider}/properties/client_secret"), Value::Null),
        ] {
            assert_eq!(at(path), expected, "{path}");
        }
    }
}
