//! JMESPath expressions and what they are evaluated over: `claims::expression`. Input: the expression on the first line, the
//! input of a policy rule as JSON on the rest.
//!
//! Asserted: evaluation ends, gives the same each time, and no more than the bound on growth says; and what a policy relies
//! on: where `sees_groups` or `sees` says no, the value is the same whether the groups, userinfo or the directory are known
//! or not (an unknown group is never taken for none).

use openid::claims::expression::{Expression, ExpressionError, MAX_BYTES};
use serde_json::{Value, json};

use crate::Seeds;

/// `claims::expression`: how many units a value may become, and how many bytes of a literal are one.
const MAX_GROWTH: usize = 64;
const LITERAL_UNIT_BYTES: usize = 32;
/// The shortest element of a list, with its comma.
const LEAST_ELEMENT_BYTES: usize = 2;
/// What a problem may say, in bytes.
const MAX_ERROR_BYTES: usize = MAX_BYTES + 1024;

/// Compiles and evaluates; whether there is a value.
pub fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let (source, document) = text.split_once('\n').unwrap_or((text, "{}"));
    let expression = match Expression::compile(source) {
        Ok(expression) => expression,
        Err(error) => {
            let text = error.to_string();
            assert!((1..=MAX_ERROR_BYTES).contains(&text.len()), "{} bytes of error", text.len());
            return false;
        }
    };
    assert!(source.len() <= MAX_BYTES && expression.source() == source);
    let Ok(document) = serde_json::from_str::<Value>(document) else { return false };
    let outcome = expression.evaluate(&document);
    assert_eq!(outcome, expression.evaluate(&document), "twice, and another value");
    match &outcome {
        Ok(value) => assert_growth(source, &document, value),
        Err(error) => assert!(!matches!(error, ExpressionError::Syntax { .. } | ExpressionError::UnknownFunction(_))),
    }
    if !document.is_object() {
        return outcome.is_ok();
    }
    if !expression.sees_groups() {
        assert_blind(&expression, &document, &["groups", "group_names"]);
    }
    for field in ["userinfo", "directory", "claims", "email"] {
        if !expression.sees(field) {
            assert_blind(&expression, &document, &[field]);
        }
    }
    outcome.is_ok()
}

/// `MAX_GROWTH` units for each element of the input, with the expression's own literals.
fn assert_growth(source: &str, document: &Value, value: &Value) {
    let (before, after) = (document.to_string().len(), value.to_string().len());
    let elements = before / LEAST_ELEMENT_BYTES + 1;
    let limit = MAX_GROWTH * (LITERAL_UNIT_BYTES * elements + before) + source.len();
    assert!(after <= limit, "{before} bytes became {after}, at most {limit} are foreseen: {source}");
}

/// The value doesn't depend on these fields of the input, nor, of groups, on those of the documents in it.
fn assert_blind(expression: &Expression, document: &Value, fields: &[&str]) {
    let values = [json!([]), json!(["a", "b"]), json!({ "groups": ["a"], "x": "y" }), json!("x@y.example")];
    let with = |value: &Value| {
        let mut changed = document.clone();
        set(&mut changed, fields, value);
        let documents = ["claims", "userinfo", "directory"].into_iter().filter(|_| fields.contains(&"groups"));
        for name in documents {
            changed.get_mut(name).into_iter().for_each(|document| set(document, fields, value));
        }
        expression.evaluate(&changed)
    };
    let unknown = with(&Value::Null);
    for value in &values {
        assert_eq!(with(value), unknown, "{:?} depends on {fields:?}, and says that it doesn't", expression.source());
    }
}

fn set(object: &mut Value, fields: &[&str], value: &Value) {
    if let Some(members) = object.as_object_mut() {
        members.extend(fields.iter().map(|field| ((*field).to_owned(), value.clone())));
    }
}

/// Expressions of the plugin's own tests and of the documentation, over one person.
pub fn seeds() -> Seeds {
    let person = json!({
        "issuer": "https://idp.example", "subject": "ada-1815", "tenant_id": null, "object_id": null, "account": "member",
        "username": "ada", "email": "ada@acme.example", "email_domain": "acme.example", "email_verified": true,
        "given_name": "Ada", "family_name": "Lovelace", "display_name": "Ada Lovelace", "phone": null,
        "attributes": { "team": "engines" }, "groups": ["staff", "engineers"], "group_names": ["Staff", "Engineers"],
        "claims": { "sub": "ada-1815", "roles": [{ "name": "admin", "level": 3 }, { "name": "user", "level": 1 }], "amr": ["pwd", "mfa"] },
        "userinfo": { "locale": "en" }, "directory": { "department": "Engines" },
    });
    #[rustfmt::skip]
    let cases = [
        ("field", "email"),
        ("quoted-field", "\"email\""),
        ("group-and-domain", "contains(groups, 'staff') && ends_with(email, '@acme.example')"),
        ("group-names", "contains(group_names[], 'Staff')"),
        ("not-or", "!email_verified || account == 'member'"),
        ("comparison", "claims.roles[0].level >= `2`"),
        ("filter", "claims.roles[?level > `1`].name"),
        ("projection", "claims.roles[*].name | [0]"),
        ("flatten", "[claims.amr, groups][] | length(@)"),
        ("values", "values(@)"),
        ("keys-of-claims", "keys(claims)"),
        ("object-values", "claims.*"),
        ("everything-in-a-list", "[@][0]"),
        ("reference", "sort_by(claims.roles, &level)[-1].name"),
        ("map", "map(&upper(name), claims.roles)"),
        ("reference-to-everything", "map(&[@], claims.roles)"),
        ("slice", "claims.amr[::-1]"),
        ("literal", "`{\"a\":[1,2]}`.a"),
        ("raw-text", "'it\\'s'"),
        ("pairs", "{mail: email, first: given_name}"),
        ("split", "split(email, '@')[1]"),
        ("split-by-nothing", "split(email, '')"),
        ("lower", "lower(directory.department)"),
        ("join", "join(', ', claims.amr)"),
        ("merge", "merge(userinfo, directory)"),
        ("not-null", "not_null(phone, attributes.team)"),
        ("text-of-all", "to_string(to_string(claims))"),
        ("number", "to_number('12')"),
        ("unknown-function", "eval('x')"),
        ("too-few", "contains(groups)"),
        ("reference-alone", "&email"),
        ("doubling", "[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]"),
        ("doubling-too-far", "[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]|[@,@]"),
        ("document-in-a-list", "claims.[@][0]"),
        ("document-in-pairs", "claims.{all: @}"),
        ("literal-for-each", "claims.amr[*].'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'"),
        ("huge-index", "groups[1000001]"),
        ("least-index", "groups[-2147483648]"),
        ("deep", "((((((((((((((((email))))))))))))))))"),
        ("not-jmespath", "email =="),
    ];
    cases.map(|(name, source)| (name.to_owned(), format!("{source}\n{person}").into_bytes())).into()
}
