//! "Test connection": what of the directory can be read, with one verdict for each permission. One object of each kind is looked at, at
//! most.

use super::{Collection, Failure, permission_hint, provider, reach, without_token};
use crate::capability::World;
use crate::entra::directory::NOBODY;
use crate::entra::graph::{Call, GraphError};
use crate::login::probe::Finding;
use crate::login::trace::{Verdict, cut};

const TIMEOUT_MS: u32 = 20_000;
const DETAIL_BYTES: usize = 512;

/// What is tried: its name, the path, the permission. Reading members of nobody's group is 404 for who may, 403 for who may not.
fn trials() -> [(&'static str, String, &'static str); 3] {
    [
        ("users", "users?$select=id,accountEnabled&$top=1".into(), Collection::Users.permission()),
        ("groups", "groups?$select=id,displayName&$top=1".into(), Collection::Groups.permission()),
        ("members", format!("groups/{NOBODY}/members?$select=id"), Collection::Groups.permission()),
    ]
}

/// A finding for each of `users`, `groups` and `members`; one alone if there is no way to the directory.
pub fn test_connection(world: World<'_>, provider_json: &str) -> Vec<Finding> {
    match run(world, provider_json) {
        Ok(findings) => findings,
        Err(failure) => vec![no_way(&failure)],
    }
}

fn run(world: World<'_>, provider_json: &str) -> Result<Vec<Finding>, Failure> {
    let provider = provider(provider_json)?;
    let (mut graph, _) = reach(world, &provider, TIMEOUT_MS)?;
    // What was granted shows in new tokens only, and so does what was taken away.
    graph.try_credential().map_err(|refusal| without_token(GraphError::token(&refusal)))?;
    let mut calls = Vec::new();
    for (_, path, permission) in trials() {
        let url = graph.url(&path).map_err(|error| Failure::Malformed(error.to_string()))?;
        calls.push(Call { url, body: None, permissions: permission });
    }
    let fetched = graph.ask_in_one(&calls).map_err(without_token)?;
    Ok(trials()
        .into_iter()
        .zip(fetched)
        .map(|((name, _, permission), fetched)| {
            let (verdict, detail, hint) = match fetched.outcome {
                Ok(page) => seen(name, page.get("value").and_then(|value| value.get(0))),
                // Of nobody's group; of a collection it is an answer like any other that isn't Graph's.
                Err(GraphError::NotFound(_)) if name == "members" => {
                    (Verdict::Pass, "can be read".to_owned(), String::new())
                }
                Err(GraphError::Denied { code, .. }) => (
                    Verdict::Fail,
                    format!("the application permission {permission} is missing (403 {code})"),
                    permission_hint(permission),
                ),
                Err(error) => (Verdict::Fail, error.to_string(), "Try again; if it stays so, look at the log.".into()),
            };
            Finding { name: name.to_owned(), verdict, detail: cut(&detail, DETAIL_BYTES), hint }
        })
        .collect())
}

/// Without a right on the properties Graph leaves them out, and says nothing (entra_graph §5.1).
fn seen(name: &str, first: Option<&serde_json::Value>) -> (Verdict, String, String) {
    let is_blind =
        name == "users" && first.is_some_and(|user| user.get("accountEnabled").is_none_or(serde_json::Value::is_null));
    if is_blind {
        let permission = Collection::Users.permission();
        let detail =
            format!("people are listed without their state: the application permission {permission} is missing");
        return (Verdict::Fail, detail, permission_hint(permission));
    }
    (Verdict::Pass, "can be read".into(), String::new())
}

fn no_way(failure: &Failure) -> Finding {
    let (name, detail, hint) = match failure {
        Failure::Misconfigured(detail) => ("configuration", detail.clone(), String::new()),
        Failure::Credential { detail, hint } => ("credential", detail.clone(), hint.clone()),
        Failure::Denied { detail, .. } | Failure::Malformed(detail) | Failure::CursorInvalid(detail) => {
            ("directory", detail.clone(), String::new())
        }
        Failure::Retry { detail, .. } => ("directory", detail.clone(), "Try again in a moment.".into()),
    };
    Finding { name: name.into(), verdict: Verdict::Fail, detail: cut(&detail, DETAIL_BYTES), hint }
}
