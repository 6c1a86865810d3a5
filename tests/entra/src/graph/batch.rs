//! `POST /v1.0/$batch` (json-batching): up to twenty requests in one. Each is a request of its own for faults, throttling and the log;
//! the batch succeeds even if they all fail. Answers come in another order than the requests, as they may.

use std::collections::{HashMap, HashSet};
use std::future::Future;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use axum::response::Response;
use base64::Engine as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors::GraphError;
use super::{Answer, bearer, json_body, reply};
use crate::control::fault_actions::ResetConnection;
use crate::world::World;

/// The path of the endpoint.
pub(crate) const PATH: &str = "/v1.0/$batch";
/// How many requests one batch may hold.
const MOST_ITEMS: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    requests: Vec<Item>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Item {
    id: String,
    method: String,
    url: String,
    #[serde(default)]
    headers: HashMap<String, String>,
    body: Option<Value>,
    #[serde(default)]
    depends_on: Vec<String>,
}

/// The answer to a batch; `answer` answers one of its requests. A reset of one is a reset of the connection.
pub(crate) async fn run<A: Future<Output = Result<Response, ResetConnection>>>(
    world: &World,
    headers: &HeaderMap,
    body: &[u8],
    answer: impl Fn(Request<Bytes>) -> A,
) -> Result<Response, ResetConnection> {
    let requests = match read(world, headers, body) {
        Ok(requests) => requests,
        Err(error) => return Ok(reply(world, headers, Err(error))),
    };
    let mut failed = HashSet::new();
    let mut responses = Vec::new();
    for (item, request) in requests {
        let depends_on_failure = item.depends_on.iter().any(|id| failed.contains(id));
        let response = if depends_on_failure {
            failed_dependency(&item.id)
        } else {
            shown(&item.id, answer(request).await?).await
        };
        if response.get("status").and_then(Value::as_u64).is_none_or(|status| status >= 400) {
            failed.insert(item.id);
        }
        responses.push(response);
    }
    responses.reverse();
    Ok(reply(world, headers, Ok(Answer::new(json!({ "responses": responses })))))
}

fn read(world: &World, headers: &HeaderMap, body: &[u8]) -> Result<Vec<(Item, Request<Bytes>)>, GraphError> {
    bearer::principal(world, headers)?;
    let batch: Batch = json_body(headers, body)?;
    if batch.requests.len() > MOST_ITEMS {
        return Err(GraphError::BatchTooLarge { limit: MOST_ITEMS });
    }
    let refused = |reason: String| GraphError::BodyInvalid { reason };
    let mut ids = HashSet::new();
    let mut requests = Vec::new();
    for item in batch.requests {
        if let Some(unknown) = item.depends_on.iter().find(|id| !ids.contains(*id)) {
            return Err(refused(format!("request '{}' depends on '{unknown}', which is not before it", item.id)));
        }
        if item.id.is_empty() || !ids.insert(item.id.clone()) {
            return Err(refused(format!("the id '{}' is empty or not unique", item.id)));
        }
        let request = request(&item, headers).map_err(|reason| refused(format!("request '{}': {reason}", item.id)))?;
        requests.push((item, request));
    }
    Ok(requests)
}

/// An item as the request that it stands for. The token of the batch is the item's, unless it brings one.
fn request(item: &Item, outer: &HeaderMap) -> Result<Request<Bytes>, String> {
    if item.url.contains("://") || item.url.starts_with("//") {
        return Err("the url is not relative".to_owned());
    }
    let uri: Uri = format!("/v1.0/{}", item.url.trim_start_matches('/'))
        .parse()
        .map_err(|error| format!("the url is not one: {error}"))?;
    let method: Method = item.method.parse().map_err(|error| format!("the method is not one: {error}"))?;
    let body = item.body.as_ref().map(Value::to_string).unwrap_or_default();
    let mut request = Request::new(Bytes::from(body));
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    for name in [header::AUTHORIZATION, header::USER_AGENT, HeaderName::from_static("client-request-id")] {
        if let Some(value) = outer.get(&name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    for (name, value) in &item.headers {
        let name: HeaderName = name.parse().map_err(|error| format!("a header's name is not one: {error}"))?;
        let value: HeaderValue = value.parse().map_err(|error| format!("a header's value is not one: {error}"))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// An answer as an element of `responses`. One that breaks off is what a gateway makes of it.
async fn shown(id: &str, response: Response) -> Value {
    let (parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(Body::new(body), usize::MAX).await else {
        return error(id, StatusCode::BAD_GATEWAY, "UnknownError", "The answer broke off.");
    };
    let headers: Map<String, Value> = parts
        .headers
        .iter()
        .filter(|(name, _)| *name != header::CONTENT_LENGTH)
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    let mut shown = json!({ "id": id, "status": parts.status.as_u16(), "headers": headers });
    if let Some(shown) = shown.as_object_mut().filter(|_| !bytes.is_empty()) {
        // What is no JSON comes as base64 text.
        let encoded = || base64::engine::general_purpose::STANDARD.encode(&bytes).into();
        shown.insert("body".to_owned(), serde_json::from_slice(&bytes).unwrap_or_else(|_| encoded()));
    }
    shown
}

fn failed_dependency(id: &str) -> Value {
    let message = "A request that this one depends on has failed.";
    error(id, StatusCode::FAILED_DEPENDENCY, "FailedDependency", message)
}

fn error(id: &str, status: StatusCode, code: &str, message: &str) -> Value {
    json!({ "id": id, "status": status.as_u16(), "headers": {}, "body": { "error": { "code": code, "message": message } } })
}
