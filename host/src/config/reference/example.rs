//! A configuration to begin with: what must be there, and everything else as a comment with its default.

use std::fmt::Write as _;

use super::ConfigOption;

/// What a first configuration has besides what it must have.
const STARTER: [&str; 7] = [
    "plugin",
    "plugins.trusted_keys_file",
    "storage.url",
    "handover.url",
    "handover.token_file",
    "provider[].tenant",
    "provider[].client_secret_file",
];

/// Examples for the component's keys, which describes no examples itself.
const COMPONENT: [(&str, &str); 8] = [
    ("base_url", "\"https://login.microsoftonline.com/<TENANT_ID>/v2.0\""),
    ("tenant", "\"00000000-0000-0000-0000-000000000000\""),
    ("client_id", "\"00000000-0000-0000-0000-000000000000\""),
    ("claims.attributes", "{ department = [\"graph:department\"] }"),
    ("groups.names", "{ \"00000000-0000-0000-0000-000000000000\" = \"vpn\" }"),
    (
        "policy.rules",
        "[{ name = \"members\", require = \"account == 'member'\", message = \"Ask the service desk.\" }]",
    ),
    (
        "sample",
        "[{ name = \"a guest stays out\", claims = { acct = 1 }, expect = { refused = \"guest_not_allowed\" } }]",
    ),
    ("max_age", "3600"),
];

/// How a key of the component may be written.
pub(super) fn of_component(path: &str, type_name: &str, default: Option<&str>) -> String {
    if let Some((_, example)) = COMPONENT.iter().find(|(known, _)| *known == path) {
        return (*example).to_owned();
    }
    if let Some(default) = default.filter(|default| super::value(default).is_some()) {
        return default.to_owned();
    }
    if let Some(first) = type_name.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
        return format!("\"{first}\"");
    }
    let by_type = match type_name.split(',').next().unwrap_or_default() {
        "boolean" => "true",
        "integer" => "0",
        "list of string" => "[]",
        _ => "\"\"",
    };
    by_type.to_owned()
}

/// The configuration, as text.
pub fn example(options: &[ConfigOption]) -> String {
    let mut text = String::from(
        "# defguard-openid: what must be there, and what a first configuration has; everything else is a comment that\n\
         # shows the default, or an example where there is none. `defguard-openid check` says what is wrong with it.\n",
    );
    let mut current = "";
    for option in options {
        let (table, name) = option.place();
        if table != current {
            let is_used = options.iter().any(|other| other.place().0 == table && is_shown(other));
            let mark = if is_used { "" } else { "#" };
            // Writing to a String can't fail.
            let _ = writeln!(text, "\n{mark}{}", header(table));
            current = table;
        }
        let mark = if is_shown(option) { "" } else { "#" };
        let value = option.default.as_deref().filter(|_| !is_shown(option) && option.default_value().is_some());
        let value = value.unwrap_or(&option.example);
        let _ = writeln!(text, "# {}\n{mark}{name} = {value}", option.description.replace('`', ""));
    }
    text
}

fn is_shown(option: &ConfigOption) -> bool {
    option.is_required || STARTER.contains(&option.path.as_str())
}

/// `[a.b]`, or `[[a.b]]` for one table of several.
fn header(table: &str) -> String {
    let name = table.replace("[]", "");
    if table.ends_with("[]") { format!("[[{name}]]") } else { format!("[{name}]") }
}
