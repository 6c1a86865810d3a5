//! The whole difference of a dry run, as `--dry-run` writes it and `--apply` takes it: its steps, for which provider and target, and
//! the hash that names it. Who approves it has seen exactly this.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::action::{self, Action};
use super::oid::Oid;
use super::plan::Skipped;

/// The form.
const VERSION: u32 = 1;

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    version: u32,
    /// Whose directory.
    pub provider: String,
    /// Where it would be applied.
    pub target: String,
    /// RFC 3339, in UTC.
    pub made_at: String,
    /// SHA-256 of the steps' JSON, in hexadecimal.
    pub hash: String,
    /// Why it would be held: a stable code and a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<(String, String)>,
    /// What isn't done, and why.
    #[serde(default)]
    pub skipped: Vec<Skipped>,
    /// What is done, in this order.
    pub actions: Vec<Action>,
}

impl Proposal {
    /// Of these steps.
    pub fn new(
        provider: &str,
        target: &str,
        made_at: String,
        held: Option<(String, String)>,
        skipped: Vec<Skipped>,
        actions: Vec<Action>,
    ) -> Self {
        let hash = action::hash(&actions);
        Self {
            version: VERSION,
            provider: provider.into(),
            target: target.into(),
            made_at,
            hash,
            held,
            skipped,
            actions,
        }
    }

    /// Whether it is one, as it was made, and for here. The text says why not.
    pub fn check(&self, provider: &str, target: &str) -> Result<(), String> {
        if self.version != VERSION {
            return Err(format!("it is of version {}, this host reads {VERSION}", self.version));
        }
        if self.provider != provider {
            return Err(format!("it is for provider {}, not for {provider}", self.provider));
        }
        if self.target != target {
            return Err(format!("it is for {}, and the configuration says {target}", self.target));
        }
        if self.hash != action::hash(&self.actions) {
            return Err(
                "its steps aren't those that its hash is of: it was changed; make a new one with --dry-run".into()
            );
        }
        Ok(())
    }

    /// Of these steps, what is in it too; and how many of its own there is no reason for any more.
    pub fn of(&self, actions: &[Action]) -> (Vec<Action>, u64) {
        let mut approved = HashMap::new();
        for action in &self.actions {
            approved.insert((action.kind(), action.object()), action);
        }
        let mut common: Vec<Action> = actions
            .iter()
            .filter_map(|action| approved.get(&(action.kind(), action.object()))?.common(action))
            .collect();
        // Whoever isn't made now is nobody's member either.
        let made: HashSet<Oid> = common.iter().filter_map(created).collect();
        let left_out: HashSet<Oid> = actions.iter().filter_map(created).filter(|oid| !made.contains(oid)).collect();
        if !left_out.is_empty() {
            for action in &mut common {
                if let Action::ChangeMembers { add, .. } = action {
                    add.retain(|oid| !left_out.contains(oid));
                }
            }
        }
        let lapsed = self.actions.len().saturating_sub(common.len()) as u64;
        (common, lapsed)
    }
}

fn created(action: &Action) -> Option<Oid> {
    match action {
        Action::CreateUser { oid, .. } => Some(*oid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(oid: u128) -> Action {
        Action::DeleteUser { oid: Oid(oid), user: "u".into(), reason: "left".into() }
    }

    fn proposal(actions: Vec<Action>) -> Proposal {
        Proposal::new("entra", "file:x", "2026-01-01T00:00:00Z".into(), None, Vec::new(), actions)
    }

    #[test]
    fn only_as_it_was_made_and_only_for_here() {
        let made = proposal(vec![delete(1)]);
        assert_eq!(made.check("entra", "file:x"), Ok(()));
        let changed = Proposal { actions: vec![delete(2)], ..made.clone() };
        for (name, proposal, provider, target, expected) in [
            ("another provider", &made, "okta", "file:x", "provider entra"),
            ("another target", &made, "entra", "core", "file:x"),
            ("changed", &changed, "entra", "file:x", "changed"),
            ("another version", &Proposal { version: 2, ..made.clone() }, "entra", "file:x", "version"),
        ] {
            let why = proposal.check(provider, target).unwrap_err();
            assert!(why.contains(expected), "{name}: {why}");
        }
    }

    #[test]
    fn nothing_is_done_that_was_not_seen_and_nothing_that_is_over() {
        let seen = proposal(vec![delete(1), delete(2)]);
        assert_eq!(seen.of(&[delete(2), delete(3)]), (vec![delete(2)], 1));
        assert_eq!(seen.of(&[]), (Vec::new(), 2));
        let create = |email: &str| Action::CreateUser { oid: Oid(7), email: email.into(), active: true };
        let join = |add: &[u128]| {
            let add = add.iter().map(|oid| Oid(*oid)).collect();
            Action::ChangeMembers { id: Oid(9), name: "g".into(), add, remove: Vec::new() }
        };
        let seen = proposal(vec![create("old@a.example"), join(&[6, 7])]);
        assert_eq!(
            seen.of(&[create("new@a.example"), join(&[6, 7])]),
            (vec![join(&[6])], 1),
            "who isn't made joins nothing"
        );
    }
}
