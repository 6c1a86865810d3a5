//! Whether objects are in the directory now: nothing but Graph's own word makes one gone.

mod support;

use openid::capability::{HttpError, Request, Response};
use openid::directory::presence::{MAX_OBJECTS, Presence, present};
use openid::directory::{Collection, Failure};
use serde_json::{Value, json};
use support::{GRAPH, OID, Stage, json_response};

fn ask(stage: &Stage, objects: &[(Collection, String)]) -> Result<Vec<Presence>, Failure> {
    present(stage.world(), &stage.provider.to_string(), objects)
}

fn batch_url() -> String {
    format!("{GRAPH}/v1.0/$batch")
}

/// Graph answers each request of a batch by what `answer` says of its path.
fn stage(answer: impl Fn(&str) -> (u16, Value) + 'static) -> Stage {
    let stage = Stage::microsoft();
    let answered = move |request: &Request| -> Result<Response, HttpError> {
        let body: Value = serde_json::from_slice(request.body.as_deref().unwrap_or_default()).unwrap_or_default();
        let requests = body.get("requests").and_then(Value::as_array).cloned().unwrap_or_default();
        // In another order than they were asked for.
        let responses: Vec<Value> = requests
            .iter()
            .rev()
            .map(|request| {
                let url = request.get("url").and_then(Value::as_str).unwrap_or_default();
                let (status, body) = answer(url);
                json!({ "id": request.get("id"), "status": status, "body": body })
            })
            .collect();
        Ok(json_response(200, &json!({ "responses": responses })))
    };
    stage.answer(&batch_url(), answered);
    stage
}

fn error(status: u16, code: &str) -> (u16, Value) {
    (status, json!({ "error": { "code": code, "message": "no" } }))
}

#[test]
fn nothing_is_gone_but_by_graphs_own_word() {
    #[rustfmt::skip]
    let table: Vec<(&str, (u16, Value), Option<Presence>)> = vec![
        ("it is there", (200, json!({ "id": OID })), Some(Presence::There)),
        ("in capitals", (200, json!({ "id": OID.to_ascii_uppercase() })), Some(Presence::There)),
        ("somebody else", (200, json!({ "id": "99999999-9999-4999-8999-999999999999" })), Some(Presence::Unknown)),
        ("nobody", (200, json!({})), Some(Presence::Unknown)),
        ("gone", error(404, "Request_ResourceNotFound"), Some(Presence::Gone)),
        ("a 404 of another machine's", error(404, "NotFound"), Some(Presence::Unknown)),
        ("a 404 without a word", (404, Value::Null), Some(Presence::Unknown)),
        ("busy", error(429, "TooManyRequests"), Some(Presence::Unknown)),
        ("down", error(503, "serviceNotAvailable"), Some(Presence::Unknown)),
        ("a bad request", error(400, "Request_BadRequest"), Some(Presence::Unknown)),
        ("not allowed", error(403, "Authorization_RequestDenied"), None),
    ];
    for (name, answer, expected) in table {
        for collection in [Collection::Users, Collection::Groups] {
            let answer = answer.clone();
            let stage = stage(move |path| {
                assert_eq!(path, format!("/{}/{OID}?$select=id", collection.as_str()));
                answer.clone()
            });
            match (ask(&stage, &[(collection, OID.to_owned())]), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, [expected], "{name}"),
                (Err(Failure::Denied { collection: of, .. }), None) => assert_eq!(of, collection, "{name}"),
                (other, _) => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn many_are_asked_for_at_once_and_told_apart() {
    let id = |number: usize| format!("44444444-4444-4444-8444-{number:012}");
    let is_there = |id: &str| id.ends_with(['0', '3', '7']);
    let stage = stage(move |path| {
        let found = path.split(['/', '?']).nth(2).unwrap_or_default();
        if is_there(found) { (200, json!({ "id": found })) } else { error(404, "Request_ResourceNotFound") }
    });
    let objects: Vec<_> = (0..MAX_OBJECTS).map(|number| (Collection::Users, id(number))).collect();
    let found = ask(&stage, &objects).unwrap_or_else(|failure| panic!("{failure:?}"));
    let expected: Vec<Presence> =
        objects.iter().map(|(_, id)| if is_there(id) { Presence::There } else { Presence::Gone }).collect();
    assert_eq!(found, expected);
    assert_eq!(stage.count(&batch_url()), MAX_OBJECTS / 20);
    let too_many: Vec<_> = (0..=MAX_OBJECTS).map(|number| (Collection::Users, id(number))).collect();
    assert!(matches!(ask(&stage, &too_many), Err(Failure::Misconfigured(_))));
    assert!(matches!(ask(&stage, &[(Collection::Users, "ada/..".into())]), Err(Failure::Misconfigured(_))));
    assert_eq!(ask(&stage, &[]).ok(), Some(Vec::new()));
}
