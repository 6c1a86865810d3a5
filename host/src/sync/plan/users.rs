//! Users: who comes, whose state or address changes, and what becomes of who isn't in the directory any more.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Draft, Skipped, too_many};
use crate::config::LeaverBehavior;
use crate::sync::action::Action;
use crate::sync::oid::Oid;
use crate::sync::snapshot::Person;
use crate::sync::state::User;

const DISABLED: &str = "disabled in the directory";
const ENABLED: &str = "enabled in the directory";
const LEFT: &str = "not in the directory any more";
const NOT_COUNTING: &str = "in the directory, and doesn't count (any more): user_groups, guests";

impl Draft<'_> {
    /// `last`: what is done after everything else.
    pub(super) fn users(&mut self, eligible: &BTreeMap<u32, bool>, last: &mut Vec<Action>) {
        let counting = self.present(eligible);
        self.leavers(&counting, last);
        // Whoever loses their access counts, whatever the reason: a directory that disables everybody is as wrong as one that
        // has lost them.
        let is_removal = |action: &&Action| matches!(action, Action::DisableUser { .. } | Action::DeleteUser { .. });
        let removals = self.plan.actions.iter().chain(last.iter()).filter(is_removal).count();
        let is_deleting = [self.config.user_behavior, self.config.admin_behavior].contains(&LeaverBehavior::Delete);
        let losable = self.state.users.values().filter(|user| user.active || is_deleting).count();
        self.hold(too_many("users", removals, losable, self.config));
    }

    /// Who counts: their state and address, and who of them is new.
    fn present(&mut self, eligible: &BTreeMap<u32, bool>) -> HashSet<Oid> {
        let mut counting = HashSet::with_capacity(eligible.len());
        let (mut created, mut changed) = (Vec::new(), Vec::new());
        for (number, enabled) in eligible {
            let Some(person) = self.snapshot.people.get(*number as usize) else { continue };
            let Some(email) = &person.email else { continue };
            counting.insert(person.id);
            match self.state.users.get(&person.id) {
                // Whoever is disabled isn't made: they would be active for a moment.
                None if self.abilities.creates_users && (*enabled || self.abilities.is_document) => {
                    created.push(Action::CreateUser { oid: person.id, email: email.clone(), active: *enabled });
                }
                None => {}
                Some(user) => {
                    changed.extend(self.state_of(person.id, user, *enabled));
                    if self.abilities.is_document && user.email != *email {
                        let (email, was) = (email.clone(), user.email.clone());
                        changed.push(Action::ChangeEmail { oid: person.id, email, was });
                    }
                }
            }
        }
        // Who may do nothing any more comes first.
        changed.sort_by_key(|action| !action.is_removal());
        self.plan.actions.append(&mut changed);
        self.plan.actions.append(&mut created);
        counting
    }

    /// What becomes of somebody whose account the directory has enabled or disabled.
    fn state_of(&mut self, oid: Oid, user: &User, enabled: bool) -> Option<Action> {
        match (user.active, enabled) {
            (true, false) => {
                if user.is_admin && self.config.admin_behavior == LeaverBehavior::Keep {
                    self.plan.skipped.push(Skipped::new(
                        user.label(),
                        "disabled in the directory, and an administrator: admin_behavior is \"keep\"",
                    ));
                    return None;
                }
                let label = user.label();
                (!user.is_admin || self.without_admin(&label)).then(|| Action::DisableUser {
                    oid,
                    user: label,
                    reason: DISABLED.into(),
                })
            }
            (false, true) if user.disabled_by_hand => None,
            (false, true) => Some(Action::EnableUser { oid, user: user.label(), reason: ENABLED.into() }),
            _ => None,
        }
    }

    /// Users who are there and don't count (any more).
    fn leavers(&mut self, counting: &HashSet<Oid>, last: &mut Vec<Action>) {
        let snapshot = self.snapshot;
        let here: HashMap<Oid, &Person> = snapshot.people.iter().map(|person| (person.id, person)).collect();
        let state = self.state;
        for (oid, user) in state.users.iter().filter(|(oid, _)| !counting.contains(oid)) {
            let person = here.get(oid);
            // In the directory, and only their state or their address isn't known: they haven't left.
            let is_blurred = person.is_some_and(|person| person.enabled.is_none() || person.email.is_none());
            let enabled = person.and_then(|person| person.enabled);
            // Whom the directory disabled may do nothing any more, whether they count or not; nor do they once they are deleted.
            let is_disabled = user.active && enabled == Some(false) && !self.is_deleted(user);
            if is_blurred || is_disabled {
                let action = enabled.and_then(|enabled| self.state_of(*oid, user, enabled));
                self.plan.actions.extend(action);
                continue;
            }
            let reason = if person.is_some() { NOT_COUNTING } else { LEFT };
            if reason == NOT_COUNTING && !self.missing_user_groups.is_empty() {
                let why = format!(
                    "it isn't clear whether they count: user_groups lists {:?}, which the directory doesn't have, or of which it \
                     doesn't show all members (Member.Read.Hidden)",
                    self.missing_user_groups
                );
                self.plan.skipped.push(Skipped::new(user.label(), why));
                continue;
            }
            match self.leaver(*oid, user, reason) {
                Some(action @ Action::DisableUser { .. }) => self.plan.actions.push(action),
                Some(action) => last.push(action),
                None => {}
            }
        }
    }

    /// Whether whoever doesn't count is certainly deleted by this run.
    fn is_deleted(&self, user: &User) -> bool {
        let is_certain = !self.is_first && self.missing_user_groups.is_empty() && self.plan.uncounted.1.is_empty();
        is_certain && self.behavior(user) == LeaverBehavior::Delete
    }

    fn behavior(&self, user: &User) -> LeaverBehavior {
        if user.is_admin { self.config.admin_behavior } else { self.config.user_behavior }
    }

    fn leaver(&mut self, oid: Oid, user: &User, reason: &str) -> Option<Action> {
        let behavior = self.behavior(user);
        let is_lost = match behavior {
            LeaverBehavior::Keep => false,
            LeaverBehavior::Disable => user.active,
            LeaverBehavior::Delete => true,
        };
        if is_lost && self.is_first {
            self.plan
                .skipped
                .push(Skipped::new(user.label(), format!("{reason}; the first run removes nobody: the next one does")));
        }
        if self.is_first || !is_lost {
            return None;
        }
        let label = user.label();
        if user.is_admin && user.active && !self.without_admin(&label) {
            return None;
        }
        if reason == LEFT {
            self.plan.missing_users.push(oid);
        } else if !self.plan.uncounted.1.is_empty() {
            self.plan.uncounted.0.insert(oid);
        }
        let reason = reason.to_owned();
        Some(match behavior {
            LeaverBehavior::Delete => Action::DeleteUser { oid, user: label, reason },
            LeaverBehavior::Keep | LeaverBehavior::Disable => Action::DisableUser { oid, user: label, reason },
        })
    }
}
