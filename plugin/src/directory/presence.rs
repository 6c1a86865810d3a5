//! Whether objects are in the directory now, each asked for by itself: an enumeration, and a delta too, may come from a replica that a
//! change hasn't reached (entra_graph §5.3). Many at once by `$batch`, of which each answer counts for itself.

use super::{Collection, DETAIL_BYTES, Failure, malformed, provider, reach, unanswered, without_token};
use crate::capability::World;
use crate::entra::TenantId;
use crate::entra::graph::{Call, Fetched, GraphError, MAX_REQUESTS};
use crate::login::trace::cut;

/// The most objects of one call (`wit/directory.wit`).
pub const MAX_OBJECTS: usize = 100;
/// For all of it, in milliseconds: the host ends a call after 25 s.
const TIMEOUT_MS: u32 = 20_000;
/// `error.code` of an object that isn't there: a 404 without it is some other machine's (entra_graph §5.6).
const NOT_THERE: &str = "Request_ResourceNotFound";

/// Whether something is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    There,
    /// Graph says that it isn't.
    Gone,
    /// Graph says neither.
    Unknown,
}

/// Of each of these, in their order.
pub fn present(
    world: World<'_>,
    provider_json: &str,
    objects: &[(Collection, String)],
) -> Result<Vec<Presence>, Failure> {
    let provider = provider(provider_json)?;
    if objects.len() > MAX_OBJECTS {
        return Err(Failure::Misconfigured(format!("{} objects are asked for, {MAX_OBJECTS} may be", objects.len())));
    }
    let (mut graph, _) = reach(world, &provider, TIMEOUT_MS)?;
    let mut presences = Vec::with_capacity(objects.len());
    for objects in objects.chunks(MAX_REQUESTS) {
        let mut calls = Vec::with_capacity(objects.len());
        for (collection, id) in objects {
            // An object id has a tenant's form.
            let id = TenantId::parse(id)
                .ok_or_else(|| Failure::Misconfigured(format!("{:?} is no object id", cut(id, 64))))?;
            let path = format!("{}/{id}?$select=id", collection.as_str());
            let url = graph.url(&path).map_err(|error| malformed(&error))?;
            calls.push(Call { url, body: None, permissions: collection.permission() });
        }
        let answers = graph.ask_in_one(&calls).map_err(|error| unasked(&error))?;
        for ((collection, id), answer) in objects.iter().zip(answers) {
            presences.push(presence(*collection, id, &answer)?);
        }
    }
    Ok(presences)
}

/// The whole batch failed.
fn unasked(error: &GraphError) -> Failure {
    match error {
        GraphError::Token { .. } => without_token(error.clone()),
        error => Failure::Retry { wait_ms: 0, detail: cut(&error.to_string(), DETAIL_BYTES), requests: 1 },
    }
}

fn presence(collection: Collection, id: &str, answer: &Fetched) -> Result<Presence, Failure> {
    match &answer.outcome {
        Ok(object) => {
            let is_it = object
                .get("id")
                .and_then(serde_json::Value::as_str)
                .is_some_and(|found| found.eq_ignore_ascii_case(id));
            Ok(if is_it { Presence::There } else { Presence::Unknown })
        }
        Err(GraphError::NotFound(code)) if code.eq_ignore_ascii_case(NOT_THERE) => Ok(Presence::Gone),
        Err(error @ GraphError::Denied { .. }) => Err(unanswered(collection, error, None)),
        Err(_) => Ok(Presence::Unknown),
    }
}
