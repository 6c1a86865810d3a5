//! The `claims` parameter of an authorization request (OpenID Connect Core section 5.5). Only `id_token.acrs` has an effect: the request
//! for authentication contexts of Conditional Access. Other claims are checked for their form and otherwise ignored.

use serde_json::{Map, Value};

use super::errors::Refusal;

/// The sections whose members are requests for claims; `access_token` is Microsoft's addition.
const SECTIONS: [&str; 3] = ["id_token", "userinfo", "access_token"];

/// The authentication contexts that the parameter asks for in the ID token, each once, in order.
pub(crate) fn asked_contexts(parameter: &str) -> Result<Vec<String>, Refusal> {
    let malformed = |reason| Refusal::ClaimsMalformed { reason };
    let value: Value = serde_json::from_str(parameter).map_err(|_| malformed("it is not JSON"))?;
    let sections = value.as_object().ok_or_else(|| malformed("it is not an object"))?;
    let mut contexts = Vec::new();
    for (name, section) in sections.iter().filter(|(name, _)| SECTIONS.contains(&name.as_str())) {
        let requests = section.as_object().ok_or_else(|| malformed("a section is not an object"))?;
        for (claim, request) in requests {
            let values = match request {
                Value::Null => Vec::new(), // asked for in the default manner
                Value::Object(members) => requested_values(members).map_err(malformed)?,
                _ => return Err(malformed("the request for a claim is neither null nor an object")),
            };
            if name == "id_token" && claim == "acrs" {
                for value in values {
                    let context = value.as_str().ok_or_else(|| malformed("an authentication context is not text"))?;
                    if !contexts.iter().any(|known| known == context) {
                        contexts.push(context.to_owned());
                    }
                }
            }
        }
    }
    Ok(contexts)
}

/// The members `value` and `values` of a request (section 5.5.1), together. Members of other names are ignored.
fn requested_values(members: &Map<String, Value>) -> Result<Vec<&Value>, &'static str> {
    if members.get("essential").is_some_and(|essential| !essential.is_boolean()) {
        return Err("'essential' is not a boolean");
    }
    let listed = match members.get("values") {
        None => &[],
        Some(values) => values.as_array().ok_or("'values' is not a list")?.as_slice(),
    };
    Ok(members.get("value").into_iter().chain(listed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_requests_are_read() {
        type Expected = Result<&'static [&'static str], &'static str>;
        let table: [(&str, &str, Expected); 19] = [
            ("one", r#"{"id_token":{"acrs":{"essential":true,"value":"c1"}}}"#, Ok(&["c1"])),
            ("several", r#"{"id_token":{"acrs":{"values":["c1","c2"]}}}"#, Ok(&["c1", "c2"])),
            (
                "both members, one twice",
                r#"{"id_token":{"acrs":{"value":"c2","values":["c1","c2"]}}}"#,
                Ok(&["c2", "c1"]),
            ),
            ("voluntary", r#"{"id_token":{"acrs":null}}"#, Ok(&[])),
            ("other claims", r#"{"id_token":{"auth_time":{"essential":true},"x":{"value":7,"y":[]}}}"#, Ok(&[])),
            ("other sections", r#"{"userinfo":{"acrs":{"value":"c1"}},"access_token":{"xms_cc":null}}"#, Ok(&[])),
            ("unknown section of any form", r#"{"verified_claims":[1]}"#, Ok(&[])),
            ("nothing", "{}", Ok(&[])),
            ("not JSON", r#"{"id_token":"#, Err("it is not JSON")),
            ("empty text after JSON", "{} x", Err("it is not JSON")),
            ("a list", "[]", Err("it is not an object")),
            ("section is null", r#"{"id_token":null}"#, Err("a section is not an object")),
            ("section is a list", r#"{"userinfo":["email"]}"#, Err("a section is not an object")),
            ("request is text", r#"{"id_token":{"acrs":"c1"}}"#, Err("neither null nor an object")),
            ("request is true", r#"{"userinfo":{"email":true}}"#, Err("neither null nor an object")),
            ("essential is text", r#"{"id_token":{"acrs":{"essential":"true"}}}"#, Err("'essential' is not a boolean")),
            ("values is text", r#"{"id_token":{"acrs":{"values":"c1"}}}"#, Err("'values' is not a list")),
            ("value is a number", r#"{"id_token":{"acrs":{"value":1}}}"#, Err("context is not text")),
            ("a value is null", r#"{"id_token":{"acrs":{"values":["c1",null]}}}"#, Err("context is not text")),
        ];
        for (name, parameter, expected) in table {
            match (asked_contexts(parameter), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{name}"),
                (Err(found), Err(expected)) => assert!(found.to_string().contains(expected), "{name}: {found}"),
                (found, _) => panic!("{name}: {found:?}"),
            }
        }
    }
}
