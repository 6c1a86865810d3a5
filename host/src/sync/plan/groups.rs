//! Groups: which come and go, what they are called, and who is in them.

use std::collections::{HashMap, HashSet};

use super::{Draft, FEW_MEMBERSHIPS, Held, Skipped, too_many, too_many_memberships};
use crate::sync::action::Action;
use crate::sync::oid::Oid;
use crate::sync::snapshot::DirectoryGroup;
use crate::sync::state::Group;

/// Characters of an object id that tell groups of the same name apart.
const SUFFIX: usize = 8;

impl Draft<'_> {
    /// `wanted`: numbers of the directory's groups; `missing`: what is listed and isn't there. `last`: what is done after everything
    /// else.
    pub(super) fn groups(&mut self, wanted: &[usize], missing: &[String], last: &mut Vec<Action>) {
        let (snapshot, state) = (self.snapshot, self.state);
        let mut names = Names::new(self, wanted);
        // By `users`, which came first.
        self.leaving.going = self.plan.actions.iter().chain(last.iter()).filter_map(goes).collect();
        let mut there = HashSet::with_capacity(wanted.len());
        for number in wanted {
            let Some(group) = snapshot.groups.get(*number) else { continue };
            there.insert(group.id);
            match state.groups.get(&group.id) {
                Some(known) if known.is_admin && !self.is_opted_in(group) => {
                    self.plan.skipped.push(Skipped::new(
                        format!("group {}", known.name),
                        "it makes administrators: list it in admin_groups if its members may follow the directory",
                    ));
                }
                Some(known) => self.known(*number, group, known, &mut names),
                None => {
                    if let Some(name) = self.new_group(group, &mut names) {
                        self.members(*number, group.id, &name, &[], false);
                    }
                }
            }
        }
        self.gone(&there, missing, last);
        self.memberships();
    }

    /// What was found of memberships that end.
    fn memberships(&mut self) {
        let Leaving { count, emptied, withheld, .. } = std::mem::take(&mut self.leaving);
        if withheld > 0 {
            let why = "the first run removes nobody from a group: the next one does";
            self.plan.skipped.push(Skipped::new(format!("{withheld} memberships"), why));
        }
        let there = self.state.groups.values().map(|group| group.members.len()).sum();
        self.hold(too_many_memberships(count, there, self.config));
        if self.config.max_removal_percent < 100 {
            self.hold(emptied);
        }
    }

    fn known(&mut self, number: usize, group: &DirectoryGroup, known: &Group, names: &mut Names) {
        if self.abilities.renames_groups && !names.is_called(group, &known.name) {
            let (name, was) = (names.renamed(group), known.name.clone());
            self.plan.actions.push(Action::RenameGroup { id: group.id, name, was });
        }
        self.members(number, group.id, &known.name, &known.members, known.is_admin);
    }

    /// A group that doesn't follow the directory yet: its name, if it does from now on.
    fn new_group(&mut self, group: &DirectoryGroup, names: &mut Names) -> Option<String> {
        let other = self.state.other_groups.get(&group.name.to_lowercase()).copied();
        let skip = |draft: &mut Self, why: &str| {
            draft.plan.skipped.push(Skipped::new(format!("group {}", group.name), why));
            None
        };
        match other {
            Some(is_admin) if !self.abilities.is_document => {
                if names.twins(group) {
                    return skip(
                        self,
                        "a group of this name is there and wasn't made by the synchronisation, and more than one of the directory's is \
                         called so: give them different names",
                    );
                }
                if !self.is_listed(group) {
                    return skip(
                        self,
                        "a group of this name is there and wasn't made by the synchronisation: list it in group_match if its \
                         members may follow the directory",
                    );
                }
                if is_admin && !self.is_opted_in(group) {
                    return skip(
                        self,
                        "it makes administrators: list it in admin_groups if its members may follow the directory",
                    );
                }
                self.plan.actions.push(Action::TakeGroup { id: group.id, name: group.name.clone() });
                Some(group.name.clone())
            }
            _ if !self.config.create_groups => skip(self, "there is no such group, and create_groups is off"),
            _ => {
                let name = names.unique(group);
                self.plan.actions.push(Action::CreateGroup { id: group.id, name: name.clone() });
                Some(name)
            }
        }
    }

    /// Who comes and who goes.
    fn members(&mut self, number: usize, id: Oid, name: &str, before: &[Oid], is_admin: bool) {
        let inside = self.snapshot.inside(number);
        // People are in the order of their ids, and so are the members.
        let now: Vec<Oid> = inside
            .people
            .into_iter()
            .filter(|person| self.there.get(*person as usize) == Some(&true))
            .filter_map(|person| self.snapshot.people.get(person as usize))
            .map(|person| person.id)
            .collect();
        let mut remove: Vec<Oid> = before.iter().filter(|oid| now.binary_search(oid).is_err()).copied().collect();
        if !inside.is_all {
            let why = "its membership is hidden, or that of a group in it, and nobody of it is shown: grant Member.Read.Hidden, if \
                       there is anybody; who is in it stays so";
            self.plan.skipped.push(Skipped::new(format!("group {name}"), why));
            remove.clear();
        }
        if self.is_first {
            self.leaving.withheld += remove.len();
            remove.clear();
        }
        self.leaving.add(name, before, &remove);
        let mut add = now;
        add.retain(|oid| before.binary_search(oid).is_err());
        if is_admin {
            remove.retain(|oid| self.may_lose_rights(*oid));
        }
        self.unconfirmed(id, &remove, inside.lost);
        if !add.is_empty() || !remove.is_empty() {
            add.shrink_to_fit();
            self.plan.actions.push(Action::ChangeMembers { id, name: name.to_owned(), add, remove });
        }
    }

    /// What has to be asked of the directory before these leave a group: whether they are gone themselves, or the groups by which they
    /// were in it.
    fn unconfirmed(&mut self, group: Oid, leaving: &[Oid], mut lost: Vec<Oid>) {
        // In a document who doesn't count is in no group either.
        if self.abilities.is_document {
            lost.extend_from_slice(&self.plan.uncounted.1);
        }
        self.plan.missing_users.extend(leaving.iter().filter(|oid| !self.snapshot.has(**oid)));
        if !leaving.is_empty() && !lost.is_empty() {
            self.plan.missing_groups.extend_from_slice(&lost);
            self.plan.without.insert(group, lost);
        }
    }

    /// Whether somebody may leave a group that makes administrators.
    fn may_lose_rights(&mut self, oid: Oid) -> bool {
        let state = self.state;
        match state.users.get(&oid) {
            Some(user) if user.is_admin && user.active => self.without_admin(&user.label()),
            _ => true,
        }
    }

    /// Groups that follow the directory and aren't there (any more), or aren't matched.
    fn gone(&mut self, there: &HashSet<Oid>, missing: &[String], last: &mut Vec<Action>) {
        if self.is_first {
            return;
        }
        let state = self.state;
        let here: HashSet<Oid> = self.snapshot.groups.iter().map(|group| group.id).collect();
        let gone = state.groups.iter().filter(|(id, _)| !there.contains(id));
        let mut removals = 0;
        for (id, group) in gone {
            let label = format!("group {}", group.name);
            if here.contains(id) && !missing.is_empty() {
                let why = format!(
                    "it is in the directory; group_match lists {missing:?}, which nobody there is called: was it renamed?"
                );
                self.plan.skipped.push(Skipped::new(label, why));
            } else if !group.was_made {
                self.plan
                    .skipped
                    .push(Skipped::new(label, "gone from the directory; it isn't as the synchronisation made it"));
            } else if group.is_admin {
                self.plan.skipped.push(Skipped::new(label, "gone from the directory; it makes administrators"));
            } else {
                removals += 1;
                if !here.contains(id) {
                    self.plan.missing_groups.push(*id);
                }
                let reason = "not in the directory, or not matched, any more".to_owned();
                last.push(Action::DeleteGroup { id: *id, name: group.name.clone(), reason });
            }
        }
        self.hold(too_many("groups", removals, state.groups.len(), self.config));
    }

    fn is_listed(&self, group: &DirectoryGroup) -> bool {
        lists(&self.config.group_match, group)
    }

    fn is_opted_in(&self, group: &DirectoryGroup) -> bool {
        self.admin_groups.contains(&group.id)
    }
}

/// Who loses their account, or its use.
fn goes(action: &Action) -> Option<Oid> {
    matches!(action, Action::DisableUser { .. } | Action::DeleteUser { .. }).then(|| action.object())
}

/// Memberships that end.
#[derive(Default)]
pub(super) struct Leaving {
    /// People who are disabled or deleted: they count as users.
    going: HashSet<Oid>,
    /// Of everybody else, be they in the directory or not.
    count: usize,
    emptied: Option<Held>,
    /// By the first run.
    withheld: usize,
}

impl Leaving {
    fn add(&mut self, name: &str, before: &[Oid], remove: &[Oid]) {
        let leaving = remove.iter().filter(|oid| !self.going.contains(*oid)).count();
        self.count += leaving;
        if remove.len() == before.len() && leaving > FEW_MEMBERSHIPS && self.emptied.is_none() {
            self.emptied = Some(Held::Emptied { group: name.to_owned(), members: before.len() });
        }
    }
}

/// Whether a list of ids and names means a group.
pub(in crate::sync) fn lists(list: &[String], group: &DirectoryGroup) -> bool {
    list.iter().any(|listed| *listed == group.name || Oid::parse(listed) == Some(group.id))
}

/// Names that new groups get: the directory's own aren't unique.
struct Names {
    is_needed: bool,
    taken: HashMap<String, usize>,
    /// How many of the wanted groups have a name in the directory, whether they are there already or not: what one is called must not
    /// depend on how far a run got that was killed.
    wanted: HashMap<String, usize>,
}

impl Names {
    fn new(draft: &Draft<'_>, wanted: &[usize]) -> Self {
        let is_needed = !draft.abilities.is_document;
        let (mut taken, mut all) = (HashMap::new(), HashMap::new());
        if is_needed {
            let there = draft.state.groups.values().map(|group| group.name.to_lowercase());
            for name in there.chain(draft.state.other_groups.keys().cloned()) {
                // One that is there keeps its name, whoever comes.
                *taken.entry(name).or_insert(0) += 2;
            }
            for group in wanted.iter().filter_map(|number| draft.snapshot.groups.get(*number)) {
                *taken.entry(group.name.to_lowercase()).or_insert(0) += 1;
                *all.entry(group.name.to_lowercase()).or_insert(0) += 1;
            }
        }
        Self { is_needed, taken, wanted: all }
    }

    /// Whether it isn't the only one of its name in the directory.
    fn twins(&self, group: &DirectoryGroup) -> bool {
        self.wanted.get(&group.name.to_lowercase()).copied().unwrap_or(0) > 1
    }

    /// Its own, or with the beginning of its id if it isn't the only one of that name: the same in each run, whoever comes first.
    fn unique(&mut self, group: &DirectoryGroup) -> String {
        if !self.is_needed || self.count(&group.name) <= 1 {
            return group.name.clone();
        }
        let short = with_id(group, SUFFIX);
        let seen = self.taken.entry(short.to_lowercase()).or_insert(0);
        *seen += 1;
        if *seen == 1 { short } else { with_id(group, usize::MAX) }
    }

    /// As [`Names::unique`], of a group that has another name yet.
    fn renamed(&mut self, group: &DirectoryGroup) -> String {
        let name = self.unique(group);
        *self.taken.entry(name.to_lowercase()).or_insert(0) += 2;
        name
    }

    /// Whether a name is the group's, with its id or without.
    fn is_called(&self, group: &DirectoryGroup, name: &str) -> bool {
        name == group.name || (self.is_needed && (name == with_id(group, SUFFIX) || name == with_id(group, usize::MAX)))
    }

    fn count(&self, name: &str) -> usize {
        self.taken.get(&name.to_lowercase()).copied().unwrap_or(0)
    }
}

/// The name, and so many characters of the id.
fn with_id(group: &DirectoryGroup, characters: usize) -> String {
    format!("{} ({})", group.name, group.id.to_string().chars().take(characters).collect::<String>())
}
