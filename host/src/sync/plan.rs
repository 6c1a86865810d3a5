//! What becomes of Defguard's users and groups, and whether that may happen without an administrator: the options of
//! `[provider.directory]`, and the rules that nobody is removed by mistake. Pure: the directory, what is there, and the options go in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::document::Before;
use super::snapshot::{Person, Snapshot};
use crate::config::{DirectoryConfig, LeaverBehavior, SyncTarget};

/// As few as these are never too many, however small the directory is.
const ALWAYS_ALLOWED: usize = 3;

/// What a run does.
#[derive(Debug)]
pub enum Verdict {
    /// This.
    Apply(Plan),
    /// Nothing, for now.
    Hold(Held),
}

/// What is to be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// People of the directory, by their number in the snapshot: address and state afterwards. `None`: untouched.
    pub people: Option<BTreeMap<u32, bool>>,
    /// Users who aren't in the directory (any more) and stay: their state afterwards.
    pub others: BTreeMap<String, bool>,
    /// Groups, by their number in the snapshot. `None`: untouched.
    pub groups: Option<Vec<usize>>,
    /// Groups that aren't in the directory (any more) and stay, without their members that don't.
    pub other_groups: Vec<String>,
    /// Who loses their account, or its use, and why.
    pub removals: Vec<(String, &'static str)>,
}

/// Why nothing is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// There were users, and now the directory has nobody.
    Empty {
        /// How many there were.
        users: usize,
    },
    /// Too many at once.
    TooMany {
        /// `users` or `groups`.
        what: &'static str,
        /// How many would go.
        removals: usize,
        /// Of how many.
        of: usize,
        /// How many may.
        allowed: usize,
    },
}

impl Held {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "directory_empty",
            Self::TooMany { .. } => "too_many_removals",
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { users } => {
                write!(formatter, "the directory has nobody, and {users} users are there: nothing is removed")
            }
            Self::TooMany { what, removals, of, allowed } => write!(
                formatter,
                "{removals} of {of} {what} would be removed, {allowed} may at once (max_removal_percent, max_removals of \
                 [provider.directory]): nothing is removed"
            ),
        }
    }
}

/// Works it out. The first run of all removes nobody: what is there wasn't made by it. The error says which groups the options can't
/// mean.
pub fn plan(snapshot: &Snapshot, before: &Before, config: &DirectoryConfig, is_first: bool) -> Result<Verdict, String> {
    let mut plan = Plan::default();
    if config.target != SyncTarget::Groups {
        let eligible = eligible(snapshot, config)?;
        if let Some(held) = leavers(&mut plan, snapshot, before, config, &eligible, is_first) {
            return Ok(Verdict::Hold(held));
        }
        plan.people = Some(eligible);
    }
    if config.target != SyncTarget::Users {
        let wanted = matched(snapshot, &config.group_match, "group_match")?;
        if let Some(held) = gone_groups(&mut plan, snapshot, before, config, &wanted, is_first) {
            return Ok(Verdict::Hold(held));
        }
        plan.groups = Some(wanted);
    }
    Ok(Verdict::Apply(plan))
}

/// People who count, with the state that they have: no guests unless they are wanted, nobody without an address, and if groups are
/// listed only who is in one.
fn eligible(snapshot: &Snapshot, config: &DirectoryConfig) -> Result<BTreeMap<u32, bool>, String> {
    let mut listed = None;
    if !config.user_groups.is_empty() {
        let mut inside = vec![false; snapshot.people.len()];
        for group in matched(snapshot, &config.user_groups, "user_groups")? {
            for person in snapshot.everybody_in(group) {
                inside.get_mut(person as usize).into_iter().for_each(|inside| *inside = true);
            }
        }
        listed = Some(inside);
    }
    let counts = |position: usize, person: &Person| {
        person.email.is_some()
            && (config.guests || !person.guest)
            && listed.as_ref().is_none_or(|inside| inside.get(position).copied().unwrap_or(false))
    };
    let people = snapshot.people.iter().enumerate().filter(|(position, person)| counts(*position, person));
    Ok(people
        // Whoever isn't said to be enabled is never made so.
        .filter_map(|(position, person)| Some((u32::try_from(position).ok()?, person.enabled?)))
        .collect())
}

/// Users who are there and don't count (any more).
fn leavers(
    plan: &mut Plan,
    snapshot: &Snapshot,
    before: &Before,
    config: &DirectoryConfig,
    eligible: &BTreeMap<u32, bool>,
    is_first: bool,
) -> Option<Held> {
    let counting: HashSet<&str> = eligible
        .keys()
        .filter_map(|number| snapshot.people.get(*number as usize))
        .map(|person| person.id.as_str())
        .collect();
    if counting.is_empty() && !before.users.is_empty() {
        return Some(Held::Empty { users: before.users.len() });
    }
    // In the directory, and only their state or their address isn't known: they haven't left.
    let blurred: HashMap<&str, Option<bool>> = snapshot
        .people
        .iter()
        .filter(|person| person.enabled.is_none() || person.email.is_none())
        .map(|person| (person.id.as_str(), person.enabled))
        .collect();
    for (id, user) in before.users.iter().filter(|(id, _)| !counting.contains(id.as_str())) {
        if let Some(enabled) = blurred.get(id.as_str()) {
            plan.others.insert(id.clone(), enabled.unwrap_or(user.active));
            continue;
        }
        let behavior = if is_first { LeaverBehavior::Keep } else { config.user_behavior };
        match behavior {
            LeaverBehavior::Keep => {
                plan.others.insert(id.clone(), user.active);
            }
            LeaverBehavior::Disable => {
                if user.active {
                    plan.removals.push((id.clone(), "disabled: not in the directory any more"));
                }
                plan.others.insert(id.clone(), false);
            }
            LeaverBehavior::Delete => plan.removals.push((id.clone(), "deleted: not in the directory any more")),
        }
    }
    too_many("users", plan.removals.len(), before.users.len(), config)
}

fn gone_groups(
    plan: &mut Plan,
    snapshot: &Snapshot,
    before: &Before,
    config: &DirectoryConfig,
    wanted: &[usize],
    is_first: bool,
) -> Option<Held> {
    let there: HashSet<&str> =
        wanted.iter().filter_map(|number| snapshot.groups.get(*number)).map(|group| group.id.as_str()).collect();
    let gone: Vec<&String> = before.groups.keys().filter(|id| !there.contains(id.as_str())).collect();
    if is_first {
        plan.other_groups = gone.into_iter().cloned().collect();
        return None;
    }
    too_many("groups", gone.len(), before.groups.len(), config)
}

fn too_many(what: &'static str, removals: usize, of: usize, config: &DirectoryConfig) -> Option<Held> {
    let share = of.saturating_mul(config.max_removal_percent) / 100;
    let allowed = share.max(ALWAYS_ALLOWED.min(of.saturating_sub(1))).min(config.max_removals);
    (removals > allowed).then_some(Held::TooMany { what, removals, of, allowed })
}

/// Groups by id, or by a name that only one has; all of them if none is listed.
fn matched(snapshot: &Snapshot, listed: &[String], key: &str) -> Result<Vec<usize>, String> {
    if listed.is_empty() {
        return Ok((0..snapshot.groups.len()).collect());
    }
    let mut found = Vec::new();
    for wanted in listed {
        let by_id = snapshot.groups.iter().position(|group| group.id.eq_ignore_ascii_case(wanted));
        let by_name: Vec<usize> = (0..snapshot.groups.len())
            .filter(|number| snapshot.groups.get(*number).is_some_and(|group| group.name == *wanted))
            .collect();
        match (by_id, by_name.as_slice()) {
            (Some(number), _) | (None, &[number]) => found.push(number),
            // Gone, or not visible: what it gave goes by the rules for what is gone.
            (None, []) => tracing::warn!(group = wanted, "{key}: the directory has no such group"),
            (None, several) => {
                let ids: Vec<&str> = several
                    .iter()
                    .filter_map(|number| snapshot.groups.get(*number))
                    .map(|group| group.id.as_str())
                    .collect();
                return Err(format!(
                    "{key}: {} groups are called {wanted:?}: list the id instead ({})",
                    ids.len(),
                    ids.join(", ")
                ));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}
