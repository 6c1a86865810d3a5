//! How the person authenticated, and when: `max_age`, `acr`, Entra's `acrs`. What isn't proven is refused.

mod support;

use serde_json::{Value, json};
use support::{NOW_S, Stage, parameters, verdict};

/// Name, configuration, claims, the code.
type Row<'a> = (&'a str, Value, Value, &'a str);

#[test]
fn what_the_token_must_prove() {
    let age = || json!({ "max_age": 600 });
    let acr = || json!({ "required_acr": ["silver", "gold"] });
    let one = || json!({ "required_acrs": ["c1"] });
    let two = || json!({ "required_acrs": ["c1", "c25"] });
    #[rustfmt::skip]
    let table: Vec<Row<'_>> = vec![
        ("nothing is demanded", json!({}), json!({ "auth_time": 1, "acr": "0" }), "ok"),
        ("just now", age(), json!({ "auth_time": NOW_S }), "ok"),
        ("as old as allowed", age(), json!({ "auth_time": NOW_S - 600 }), "ok"),
        ("within the leeway", age(), json!({ "auth_time": NOW_S - 900 }), "ok"),
        ("too old", age(), json!({ "auth_time": NOW_S - 901 }), "authentication_too_old"),
        ("since 1970", age(), json!({ "auth_time": 0 }), "authentication_too_old"),
        ("not said", age(), json!({}), "auth_time_missing"),
        ("a text", age(), json!({ "auth_time": NOW_S.to_string() }), "auth_time_missing"),
        ("negative", age(), json!({ "auth_time": -1 }), "auth_time_missing"),
        ("a list", age(), json!({ "auth_time": [NOW_S] }), "auth_time_missing"),
        ("the provider's clock is ahead", age(), json!({ "auth_time": NOW_S + 300 }), "ok"),
        ("in the future", age(), json!({ "auth_time": NOW_S + 301 }), "auth_time_missing"),
        ("far in the future", age(), json!({ "auth_time": u64::MAX }), "auth_time_missing"),
        ("max_age 0", json!({ "max_age": 0 }), json!({ "auth_time": NOW_S - 301 }), "authentication_too_old"),
        ("the class", acr(), json!({ "acr": "gold" }), "ok"),
        ("another class", acr(), json!({ "acr": "bronze" }), "authentication_context_missing"),
        ("a class in other letters", acr(), json!({ "acr": "Gold" }), "authentication_context_missing"),
        ("no class", acr(), json!({}), "authentication_context_missing"),
        ("a list of classes", acr(), json!({ "acr": ["gold"] }), "authentication_context_missing"),
        ("the context", one(), json!({ "acrs": ["c1"] }), "ok"),
        ("the context among others", one(), json!({ "acrs": ["c9", "c1"] }), "ok"),
        ("no context", one(), json!({}), "authentication_context_missing"),
        ("an empty list", one(), json!({ "acrs": [] }), "authentication_context_missing"),
        ("a text in place of the list", one(), json!({ "acrs": "c1" }), "authentication_context_missing"),
        ("a list with something else in it", one(), json!({ "acrs": ["c1", 1] }), "authentication_context_missing"),
        ("a context that begins like it", one(), json!({ "acrs": ["c11"] }), "authentication_context_missing"),
        ("both", two(), json!({ "acrs": ["c25", "c1"] }), "ok"),
        ("one of two", two(), json!({ "acrs": ["c25"] }), "authentication_context_missing"),
        ("acr doesn't stand for acrs", one(), json!({ "acr": "c1" }), "authentication_context_missing"),
    ];
    for (name, configuration, claims, code) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&configuration);
        stage.claim(&claims);
        let (found, detail) = verdict(&stage.sign_in());
        assert_eq!(found, code, "{name}: {detail}");
    }
}

#[test]
fn what_is_asked_for() {
    #[rustfmt::skip]
    let table: Vec<(&str, Value, &str, Option<&str>)> = vec![
        ("no max_age", json!({}), "max_age", None),
        ("max_age", json!({ "max_age": 600 }), "max_age", Some("600")),
        ("max_age 0", json!({ "max_age": 0 }), "max_age", Some("0")),
        ("classes", json!({ "acr_values": ["gold", "silver"] }), "acr_values", Some("gold silver")),
        ("no claims", json!({}), "claims", None),
        ("a context", json!({ "required_acrs": ["c1"] }), "claims", Some(r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#)),
        ("contexts", json!({ "required_acrs": ["c1", "c2"] }), "claims", Some(r#"{"id_token":{"acrs":{"essential":true,"values":["c1","c2"]}}}"#)),
        ("no response mode", json!({}), "response_mode", None),
        ("query", json!({ "response_mode": "query" }), "response_mode", Some("query")),
        ("a form", json!({ "response_mode": "form_post" }), "response_mode", Some("form_post")),
    ];
    for (name, configuration, parameter, expected) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&configuration);
        assert_eq!(parameters(&stage.begun().url).get(parameter).map(String::as_str), expected, "{name}");
    }
}

#[test]
fn mistakes_in_the_configuration() {
    #[rustfmt::skip]
    let table: Vec<(Value, &str)> = vec![
        (json!({ "max_age": -1 }), "max_age"),
        (json!({ "max_age": "600" }), "max_age"),
        (json!({ "max_age": 31_536_001 }), "max_age"),
        (json!({ "acr_values": [] }), "acr_values"),
        (json!({ "acr_values": ["two words"] }), "acr_values"),
        (json!({ "required_acr": "gold" }), "required_acr"),
        (json!({ "required_acrs": ["c0"] }), "required_acrs"),
        (json!({ "required_acrs": ["c100"] }), "required_acrs"),
        (json!({ "required_acrs": ["c01"] }), "required_acrs"),
        (json!({ "required_acrs": ["urn:x"] }), "required_acrs"),
        (json!({ "response_mode": "fragment" }), "response_mode"),
        (json!({ "pushed_authorization_requests": true }), "pushed_authorization_requests"),
        (json!({ "pushed_authorization_requests": "always" }), "pushed_authorization_requests"),
    ];
    for (configuration, path) in table {
        let mut stage = Stage::microsoft();
        stage.configure(&configuration);
        let problems = openid::configuration::validate(&stage.provider.to_string());
        assert!(problems.iter().any(|problem| problem.path == path), "{configuration}: {problems:?}");
    }
}
