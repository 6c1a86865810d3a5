//! What the claims of a login say of groups: all of them, or that they can't be learned from here. Nothing that a token
//! says of another place to ask is followed (entra_graph §4, "Overage").

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::groups::MAX_GROUPS;
use super::sources::look_up;

/// The longest identifier, in bytes (`wit/login.wit`).
const MAX_ID_BYTES: usize = 256;

/// What the claims say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupClaim {
    /// All groups, by identifier.
    All(BTreeSet<String>),
    /// The provider says that there are more than the token holds; why we think so.
    Elsewhere(&'static str),
    /// Nothing.
    Absent,
    /// Something that can't be read.
    Unreadable(String),
}

/// Reads the configured claim, of the ID token first. `Elsewhere` wins: a list beside the marker is part of the truth at
/// best, so it isn't looked at.
pub fn read(claim: &str, id_token: &Map<String, Value>, userinfo: Option<&Map<String, Value>>) -> GroupClaim {
    for claims in std::iter::once(id_token).chain(userinfo) {
        if let Some(marker) = overage(claim, claims) {
            return GroupClaim::Elsewhere(marker);
        }
    }
    match std::iter::once(id_token).chain(userinfo).find_map(|claims| look_up(claims, claim)) {
        None => GroupClaim::Absent,
        Some(Value::Array(items)) => list(claim, items),
        // One text could be one group, or several in a way of writing that nobody told us.
        Some(_) => GroupClaim::Unreadable(format!("the claim {claim:?} isn't a list")),
    }
}

/// Entra's marks of overage; `_claim_names` is OIDC Core 5.6.2, whoever sends it.
fn overage(claim: &str, claims: &Map<String, Value>) -> Option<&'static str> {
    if claim == "groups" && claims.contains_key("hasgroups") {
        return Some("the token has hasgroups in place of the groups");
    }
    let top = claim.split('.').next().unwrap_or(claim);
    match claims.get("_claim_names") {
        None => None,
        Some(Value::Object(names)) if !names.contains_key(claim) && !names.contains_key(top) => None,
        Some(_) => Some("the token has _claim_names in place of the groups: there are too many for it"),
    }
}

fn list(claim: &str, items: &[Value]) -> GroupClaim {
    let mut groups = BTreeSet::new();
    for item in items {
        let is_id = |text: &&str| !text.is_empty() && text.len() <= MAX_ID_BYTES && !text.chars().any(char::is_control);
        match item.as_str().filter(is_id) {
            Some(id) => groups.insert(id.to_owned()),
            None => {
                return GroupClaim::Unreadable(format!(
                    "the claim {claim:?} has an entry that is no group's identifier"
                ));
            }
        };
    }
    if groups.len() > MAX_GROUPS {
        return GroupClaim::Unreadable(format!("the claim {claim:?} has more than {MAX_GROUPS} groups"));
    }
    GroupClaim::All(groups)
}
