//! What becomes of Defguard's users and groups, and whether that may happen without an administrator: the difference between the
//! directory and what is there, under the options of `[provider.directory]` and the rules that nobody is removed by mistake. Pure: the
//! directory, what is there, and the options go in.

mod groups;
mod users;

#[cfg(test)]
mod tests;

pub(in crate::sync) use groups::lists;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::oid::Oid;
use super::snapshot::{DirectoryGroup, Person, Snapshot};
use super::state::{State, Unrecognised};
use crate::config::{DirectoryConfig, SyncTarget};

/// As few as these are never too many, however small the directory is.
const ALWAYS_ALLOWED: usize = 3;
/// The same of memberships; and a group of more loses them all at once only if somebody has looked.
const FEW_MEMBERSHIPS: usize = 10;

/// What a target can do, and wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Who is in the directory becomes a user; else only who signs in.
    pub creates_users: bool,
    /// It is a document: who is disabled is in it too, addresses follow the directory, and names needn't be unique.
    pub is_document: bool,
    /// Groups can be given another name.
    pub renames_groups: bool,
}

/// The difference.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// What is to be done, in this order.
    pub actions: Vec<Action>,
    /// Why none of it may be done without an administrator.
    pub held: Option<Held>,
    /// What isn't done for good reason.
    pub skipped: Vec<Skipped>,
    /// People who would go, or leave a group, since the directory doesn't name them (any more); in order.
    pub missing_users: Vec<Oid>,
    /// Groups that would go, or by which people are in another one, likewise.
    pub missing_groups: Vec<Oid>,
    /// Groups that somebody would leave, and the missing ones in them: whoever is in it by one of those doesn't leave.
    pub without: BTreeMap<Oid, Vec<Oid>>,
    /// People who would go for not being in one of `user_groups`, and the missing ones in those.
    pub uncounted: (BTreeSet<Oid>, Vec<Oid>),
}

/// Why something that is missing isn't taken for gone, by object id.
pub type NotGone = HashMap<Oid, &'static str>;

impl Plan {
    /// Without whatever would happen to these for being missing, since they aren't, or nobody knows: what is left out is told.
    pub fn keep(&mut self, users: &NotGone, groups: &NotGone) {
        let Self { actions, skipped, without, uncounted: (uncounted, within), .. } = self;
        let in_one = |missing: &[Oid]| missing.iter().find_map(|id| groups.get(id).copied());
        let may_count = in_one(within);
        actions.retain_mut(|action| {
            let why = match action {
                Action::DeleteUser { oid, .. } | Action::DisableUser { oid, .. } => {
                    let may_count = may_count.filter(|_| uncounted.contains(oid));
                    let may_count = may_count.map(|why| format!("a group in one of user_groups is missing: {why}"));
                    users.get(oid).map(|why| (*why).to_owned()).or(may_count)
                }
                Action::DeleteGroup { id, .. } => groups.get(id).map(|why| (*why).to_owned()),
                Action::ChangeMembers { id, name, add, remove } => {
                    let inner = without.get(id).and_then(|missing| in_one(missing));
                    skipped.extend(stay(name, remove, users, inner));
                    return !add.is_empty() || !remove.is_empty();
                }
                _ => None,
            };
            let is_done = why.is_none();
            skipped.extend(why.map(|why| Skipped::new(format!("{}: {action}", action.kind()), why)));
            is_done
        });
    }
}

/// Who of those who would leave a group stays: everybody, if a group in it may be there after all.
fn stay(group: &str, remove: &mut Vec<Oid>, users: &NotGone, inner: Option<&'static str>) -> Option<Skipped> {
    let before = remove.len();
    let mut why = None;
    if let Some(inner) = inner {
        why = Some(format!("a group in it is missing: {inner}"));
        remove.clear();
    }
    remove.retain(|oid| match users.get(oid) {
        None => true,
        Some(there) => {
            why.get_or_insert_with(|| (*there).to_owned());
            false
        }
    });
    let stay = before - remove.len();
    why.filter(|_| stay > 0).map(|why| Skipped::new(format!("{stay} memberships of group {group}"), why))
}

/// Something that isn't done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Whom or what it is about.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Skipped {
    /// Says it.
    pub fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }
}

/// Why nothing is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// There were some, and now the directory has none at all.
    Empty {
        /// `users`, `members` or `groups`.
        what: &'static str,
        /// How many there are.
        there: usize,
    },
    /// Too many at once.
    TooMany {
        /// `users`, `groups` or `memberships`.
        what: &'static str,
        /// How many would go.
        removals: usize,
        /// Of how many.
        of: usize,
        /// How many may.
        allowed: usize,
    },
    /// A group would lose all its members.
    Emptied {
        /// Its name.
        group: String,
        /// How many it has.
        members: usize,
    },
    /// No group that follows the directory is called as it was.
    Unlike {
        /// The name of one of them.
        was: String,
        /// What is called so now.
        is: String,
    },
}

impl Held {
    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty { .. } => "directory_empty",
            Self::TooMany { .. } => "too_many_removals",
            Self::Emptied { .. } => "group_emptied",
            Self::Unlike { .. } => "groups_unlike",
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty { what, there } => {
                let none = if *what == "groups" { "no group" } else { "nobody" };
                write!(formatter, "the directory has {none}, and {there} {what} are there: nothing is removed")
            }
            Self::TooMany { what, removals, of, allowed } => write!(
                formatter,
                "{removals} of {of} {what} would be removed, {allowed} may at once (max_removal_percent, max_removals of \
                 [provider.directory]): nothing is removed"
            ),
            Self::Emptied { group, members } => {
                write!(formatter, "all {members} members of group {group:?} would leave it at once: nothing is removed")
            }
            Self::Unlike { was, is } => write!(
                formatter,
                "no group that follows the directory is called as it was: {was:?} is {is:?} now. Was Core set up anew, or is it another \
                 one? Then begin with an empty storage, or these groups would be changed. If somebody gave them other names, look at the \
                 difference (--dry-run) and approve it (--apply)"
            ),
        }
    }
}

impl Held {
    /// How much isn't removed for it, as far as it says.
    pub fn removals(&self) -> usize {
        match self {
            Self::Empty { there, .. } => *there,
            Self::TooMany { removals, .. } => *removals,
            Self::Emptied { members, .. } => *members,
            Self::Unlike { .. } => 0,
        }
    }
}

/// Works it out. The first run of all removes nobody, from Defguard or from a group: what is there wasn't made by it.
pub fn plan(
    snapshot: &Snapshot,
    state: &State,
    config: &DirectoryConfig,
    abilities: Abilities,
    is_first: bool,
) -> Plan {
    let mut skipped = Vec::new();
    skipped.extend(of_unknown_state(snapshot));
    skipped.extend(state.unrecognised.iter().map(left_alone));
    let Eligible { people: eligible, missing: missing_user_groups, lost } =
        eligible(snapshot, state, config, abilities, &mut skipped);
    let admin_groups = match config.admin_groups.as_slice() {
        [] => Vec::new(),
        listed => matched(snapshot, state, listed, "admin_groups", &mut skipped).0,
    };
    let mut draft = Draft {
        snapshot,
        state,
        config,
        abilities,
        is_first,
        admins: active_admins(state),
        plan: Plan {
            skipped,
            missing_groups: snapshot.lost.clone(),
            uncounted: (BTreeSet::new(), lost),
            ..Plan::default()
        },
        there: there(snapshot, state, &eligible, config, abilities),
        missing_user_groups,
        leaving: groups::Leaving::default(),
        admin_groups: admin_groups.iter().filter_map(|number| Some(snapshot.groups.get(*number)?.id)).collect(),
    };
    let mut last = Vec::new();
    let nobody = draft.nobody(&eligible);
    if nobody.is_some() {
        // Held in any case; the directory is asked whether it has them, and then it is read anew.
        draft.plan.missing_users = state.users.keys().filter(|oid| !snapshot.has(**oid)).copied().collect();
    }
    if config.target != SyncTarget::Groups && nobody.is_none() {
        draft.users(&eligible, &mut last);
    }
    draft.hold(nobody);
    if let Some((was, is)) = state.unlike.clone().filter(|_| config.target != SyncTarget::Users) {
        draft.hold(Some(Held::Unlike { was, is }));
    }
    if config.target != SyncTarget::Users {
        let no_group = draft.no_group();
        draft.hold(no_group);
        let (wanted, missing) = matched(snapshot, state, &config.group_match, "group_match", &mut draft.plan.skipped);
        draft.groups(&wanted, &missing, &mut last);
    }
    let mut plan = draft.plan;
    plan.actions.append(&mut last);
    if !plan.uncounted.0.is_empty() {
        plan.missing_groups.extend_from_slice(&plan.uncounted.1);
    }
    for missing in [&mut plan.missing_users, &mut plan.missing_groups] {
        missing.sort_unstable();
        missing.dedup();
    }
    plan
}

/// Without a right on their properties, or on those of some, Graph leaves them out and says nothing (entra_graph §5.1).
fn of_unknown_state(snapshot: &Snapshot) -> Option<Skipped> {
    let why = "the directory doesn't say whether they may sign in (accountEnabled): they are made no users, and their state stays as it \
               is; does the application have the permission User.Read.All? `doctor` looks at it";
    Some(snapshot.stateless()).filter(|people| *people > 0).map(|people| Skipped::new(format!("{people} people"), why))
}

/// What is being worked out.
struct Draft<'a> {
    snapshot: &'a Snapshot,
    state: &'a State,
    config: &'a DirectoryConfig,
    abilities: Abilities,
    is_first: bool,
    /// Active administrators, as far as this plan leaves them; `None`: there are none to speak of.
    admins: Option<usize>,
    plan: Plan,
    /// By number, whether a person of the directory is a user afterwards.
    there: Vec<bool>,
    /// Groups that `user_groups` lists, and the directory doesn't have, or doesn't show whole.
    missing_user_groups: Vec<String>,
    /// Groups that `admin_groups` lists.
    admin_groups: HashSet<Oid>,
    leaving: groups::Leaving,
}

impl Draft<'_> {
    /// One administrator less, unless that was the last one; whether it may be.
    fn without_admin(&mut self, what: &str) -> bool {
        let Some(admins) = &mut self.admins else { return true };
        if *admins <= 1 {
            self.plan.skipped.push(Skipped::new(what, "it is the last active administrator"));
            return false;
        }
        *admins -= 1;
        true
    }

    /// A directory without people is never believed, be it users or members that would go.
    fn nobody(&self, eligible: &BTreeMap<u32, bool>) -> Option<Held> {
        if !eligible.is_empty() {
            return None;
        }
        let (users, members) = match self.config.target {
            SyncTarget::Users => (self.state.users.len(), 0),
            SyncTarget::Groups => (0, self.members_there()),
            SyncTarget::All => (self.state.users.len(), self.members_there()),
        };
        match (users, members) {
            (0, 0) => None,
            (0, members) => Some(Held::Empty { what: "members", there: members }),
            (users, _) => Some(Held::Empty { what: "users", there: users }),
        }
    }

    fn members_there(&self) -> usize {
        self.state.groups.values().map(|group| group.members.len()).sum()
    }

    fn no_group(&self) -> Option<Held> {
        let there = self.state.groups.len();
        (!self.is_first && self.snapshot.groups.is_empty() && there > 0)
            .then_some(Held::Empty { what: "groups", there })
    }

    fn hold(&mut self, held: Option<Held>) {
        if self.plan.held.is_none() {
            self.plan.held = held;
        }
    }
}

fn active_admins(state: &State) -> Option<usize> {
    let own = state.users.values().filter(|user| user.is_admin && user.active).count();
    state.other_admins.map(|others| others + own)
}

/// Who of the directory is a user afterwards, as far as the directory decides it.
fn there(
    snapshot: &Snapshot,
    state: &State,
    eligible: &BTreeMap<u32, bool>,
    config: &DirectoryConfig,
    abilities: Abilities,
) -> Vec<bool> {
    // A document of groups alone names everybody who is in one.
    let is_made = abilities.is_document || (abilities.creates_users && config.target != SyncTarget::Groups);
    let counts = |enabled: Option<&bool>| enabled.is_some_and(|enabled| is_made && (*enabled || abilities.is_document));
    let people = snapshot.people.iter().zip(0_u32..);
    people.map(|(person, number)| state.users.contains_key(&person.id) || counts(eligible.get(&number))).collect()
}

/// Whoever isn't followed any more keeps what they have: an administrator has to know.
fn left_alone(user: &Unrecognised) -> Skipped {
    let why = format!(
        "the number is that of {}, and neither the name nor the address is as it was: nothing is done to this user. If it is the same \
         person, give them the former name or address back until a run has ended, or the directory's address until they have signed in. \
         If Core was set up anew, or is another one, begin with an empty storage",
        user.was
    );
    Skipped::new(user.is.clone(), why)
}

/// Who counts.
struct Eligible {
    /// By number, whether they are enabled.
    people: BTreeMap<u32, bool>,
    /// What `user_groups` lists and isn't there, or isn't shown whole.
    missing: Vec<String>,
    /// Groups within those of `user_groups` that the directory didn't name.
    lost: Vec<Oid>,
}

/// People who count, with the state that they have: no guests unless they are wanted, nobody without an address, and if groups are
/// listed only who is in one. A guest who is a user of Core's was let in by the sign-in's own rules.
fn eligible(
    snapshot: &Snapshot,
    state: &State,
    config: &DirectoryConfig,
    abilities: Abilities,
    skipped: &mut Vec<Skipped>,
) -> Eligible {
    let (mut listed, mut missing, mut lost) = (None, Vec::new(), Vec::new());
    if !config.user_groups.is_empty() {
        let mut inside = vec![false; snapshot.people.len()];
        let (groups, not_there) = matched(snapshot, state, &config.user_groups, "user_groups", skipped);
        missing = not_there;
        for group in groups {
            let members = snapshot.inside(group);
            // Whoever isn't shown may be in it.
            if !members.is_all {
                missing.extend(snapshot.groups.get(group).map(|group| group.name.clone()));
            }
            for person in members.people {
                inside.get_mut(person as usize).into_iter().for_each(|inside| *inside = true);
            }
            lost.extend(members.lost);
        }
        listed = Some(inside);
    }
    let counts = |position: usize, person: &Person| {
        person.email.is_some()
            && (config.guests || !person.guest || (!abilities.is_document && state.users.contains_key(&person.id)))
            && listed.as_ref().is_none_or(|inside| inside.get(position).copied().unwrap_or(false))
    };
    let people = snapshot.people.iter().enumerate().filter(|(position, person)| counts(*position, person));
    // Whoever isn't said to be enabled is never made so.
    let people = people.filter_map(|(position, person)| Some((u32::try_from(position).ok()?, person.enabled?)));
    Eligible { people: people.collect(), missing, lost }
}

fn too_many(what: &'static str, removals: usize, of: usize, config: &DirectoryConfig) -> Option<Held> {
    let share = of.saturating_mul(config.max_removal_percent) / 100;
    // Who allows none means none.
    let few = if config.max_removal_percent == 0 { 0 } else { ALWAYS_ALLOWED.min(of.saturating_sub(1)) };
    let allowed = share.max(few).min(config.max_removals);
    (removals > allowed).then_some(Held::TooMany { what, removals, of, allowed })
}

/// Memberships are counted by themselves: people change groups more often than they leave.
fn too_many_memberships(removals: usize, of: usize, config: &DirectoryConfig) -> Option<Held> {
    let share = of.saturating_mul(config.max_removal_percent) / 100;
    let few = if config.max_removal_percent == 0 { 0 } else { FEW_MEMBERSHIPS };
    let allowed = share.max(few);
    (removals > allowed).then_some(Held::TooMany { what: "memberships", removals, of, allowed })
}

/// Groups by id, or by a name that only one has; all of them if none is listed. And what is listed and isn't there, or can't be told from
/// another: whoever makes a second group of a name stops nothing but that name.
fn matched(
    snapshot: &Snapshot,
    state: &State,
    listed: &[String],
    key: &str,
    skipped: &mut Vec<Skipped>,
) -> (Vec<usize>, Vec<String>) {
    if listed.is_empty() {
        return ((0..snapshot.groups.len()).collect(), Vec::new());
    }
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for wanted in listed {
        let by_id = Oid::parse(wanted).and_then(|id| snapshot.groups.iter().position(|group| group.id == id));
        let by_name: Vec<usize> = (0..snapshot.groups.len())
            .filter(|number| snapshot.groups.get(*number).is_some_and(|group| group.name == *wanted))
            .collect();
        match (by_id, by_name.as_slice()) {
            (Some(number), _) | (None, &[number]) => found.push(number),
            // Gone, not visible, or called something else by now.
            (None, []) => {
                tracing::warn!(group = wanted, "{key}: the directory has no such group");
                missing.push(wanted.clone());
            }
            (None, several) => {
                let groups: Vec<&DirectoryGroup> =
                    several.iter().filter_map(|number| snapshot.groups.get(*number)).collect();
                let ids: Vec<String> = groups.iter().map(|group| group.id.to_string()).collect();
                let why =
                    format!("{key}: {} groups are called so: list the id instead ({})", ids.len(), ids.join(", "));
                tracing::warn!(group = wanted, "{why}");
                skipped.push(Skipped::new(format!("group {wanted}"), why));
                missing.push(wanted.clone());
                // The one that follows already goes on to.
                let mut following = several.iter().filter(|number| {
                    snapshot.groups.get(**number).is_some_and(|group| state.groups.contains_key(&group.id))
                });
                if key == "group_match"
                    && let (Some(number), None) = (following.next(), following.next())
                {
                    found.push(*number);
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    (found, missing)
}
