//! A `[[provider]]` table of `openid.toml` on its way to the component: which keys are the host's alone, what is filled in,
//! and the line of each key. The host uses it natively, the playground in the browser, so that both hand the component the
//! same JSON for the same text. What the remaining keys mean is the component's business.

mod lines;

pub use lines::{Lines, line_at};
pub use toml::Table;

use toml::Value;

/// Keys that say how the client authenticates. They name secrets and where those are: no component and no page sees them.
pub const CREDENTIAL_KEYS: [&str; 10] = [
    "client_secret",
    "client_secret_file",
    "client_secret_env",
    "client_secret_expires",
    "certificate_file",
    "private_key_file",
    "client_assertion_algorithm",
    "client_assertion_audience",
    "federated_token_file",
    "federated_audience",
];

/// Further keys that are the host's alone.
pub const HOST_KEYS: [&str; 5] = ["allowed_origins", "directory", "development_loopback", "approved_link", "logo_file"];

/// The table without [`CREDENTIAL_KEYS`] and [`HOST_KEYS`], in the order in which it was written.
pub fn component_table(table: &Table) -> Table {
    let mut kept = table.clone();
    kept.retain(|key, _| !CREDENTIAL_KEYS.contains(&key) && !HOST_KEYS.contains(&key));
    kept
}

/// What the component gets for a table: [`component_table`] with what the host adds, as JSON. `loopback_http` is that of
/// `[development]`. It fails for what JSON can't say: a number that is infinite or none.
pub fn component_json(table: &Table, loopback_http: bool) -> Result<String, serde_json::Error> {
    let mut component = component_table(table);
    if !component.contains_key("display_name") {
        let kind = table.get("kind").and_then(Value::as_str).unwrap_or_default();
        component.insert("display_name".into(), Value::String(default_display_name(kind).to_owned()));
    }
    component.insert("development_loopback".into(), Value::Boolean(loopback_http));
    serde_json::to_string(&component)
}

/// What the button says where the configuration doesn't, by `kind`.
pub fn default_display_name(kind: &str) -> &'static str {
    if kind == "microsoft" { "Sign in with Microsoft" } else { "Sign in with OpenID" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, table, JSON members that the component must get, members that it must not get.
    #[test]
    fn what_the_component_gets() {
        let secrets = CREDENTIAL_KEYS.map(|key| format!("{key} = \"s3cret\"")).join("\n");
        let table: &[(&str, String, bool, &[&str])] = &[
            (
                "the label by kind",
                "kind = \"microsoft\"".into(),
                false,
                &["\"display_name\":\"Sign in with Microsoft\""],
            ),
            ("of another kind", "kind = \"oidc\"".into(), false, &["\"display_name\":\"Sign in with OpenID\""]),
            ("of no kind", String::new(), false, &["\"display_name\":\"Sign in with OpenID\""]),
            ("a label of one's own", "display_name = \"Go\"".into(), false, &["\"display_name\":\"Go\""]),
            (
                "a label of the wrong type stays for the component",
                "display_name = 5".into(),
                false,
                &["\"display_name\":5"],
            ),
            (
                "loopback is the host's word",
                "development_loopback = true".into(),
                false,
                &["\"development_loopback\":false"],
            ),
            ("loopback", String::new(), true, &["\"development_loopback\":true"]),
            ("no secret", secrets, false, &["{\"display_name\":"]),
            (
                "nested",
                "[claims]\nemail = [\"email\"]\n[[approved_link]]\nidentity = \"x\"\naccount = \"s3cret\"".into(),
                false,
                &["\"claims\":{\"email\":[\"email\"]}"],
            ),
        ];
        for (name, text, loopback, expected) in table {
            let json = component_json(&text.parse().unwrap(), *loopback).unwrap();
            for part in *expected {
                assert!(json.contains(part), "{name}: {part} isn't in {json}");
            }
            assert!(!json.contains("s3cret"), "{name}: {json}");
        }
    }

    #[test]
    fn the_written_order_is_kept() {
        let table: Table =
            "kind = \"oidc\"\nclient_secret_file = \"x\"\nid = \"op\"\nclient_id = \"c\"\nbase_url = \"u\""
                .parse()
                .unwrap();
        let keys: Vec<_> = component_table(&table).keys().cloned().collect();
        assert_eq!(keys, ["kind", "id", "client_id", "base_url"]);
    }

    #[test]
    fn what_json_cannot_say() {
        assert!(
            component_json(&"[[sample]]\nclaims = { x = inf }".parse().unwrap(), false)
                .is_ok_and(|json| json.contains("null"))
        );
    }
}
