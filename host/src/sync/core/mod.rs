//! `apply = "core"`: Defguard Core follows the directory. Only users who are linked to an identity of this provider are its users, only
//! groups that the synchronisation made, or that are listed, follow it; everybody and everything else is left alone. No more is changed a
//! second than `steps_per_second`, each time under a lease that is still good; what one step refuses, or fails in, doesn't stop the others.

mod memberships;
mod memory;
mod seen;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Interval, MissedTickBehavior};

use self::memory::{KnownGroup, Memory};
use super::SyncError;
use super::action::Action;
use super::lease::Lease;
use super::mirror::Mirror;
use super::oid::Oid;
use super::plan::{Abilities, Skipped};
use super::prefetch::{Prefetch, Unmade};
use super::state::{Group, State, Unrecognised, User};
use super::target::{Applied, Target};
use crate::config::{DirectoryConfig, Provider};
use crate::core_api::{self, Budget, CoreClient, CoreError, Failure, GroupCreation};
use crate::gateway::Gateway;
use crate::handover::{CoreHandover, Link, Roster};

/// For reading everybody.
const READING: Duration = Duration::from_secs(600);
/// For one step.
const STEP: Duration = Duration::from_secs(60);
/// After so many steps that fail one after the other Core is asked for something else: does it answer, the trouble is theirs.
const FAILURES_IN_A_ROW: u32 = 3;
/// So many are Core's trouble in any case.
const FAILURES_AT_MOST: u32 = 30;

/// Defguard Core, as far as one provider's directory concerns it.
pub struct CoreTarget<'a> {
    core: &'a CoreHandover,
    memory: Memory,
    prefetch: Prefetch<'a>,
    url: String,
    provider: String,
    creates_users: bool,
    steps_per_second: u64,
}

/// A linked user of Core's.
#[derive(Debug, Clone)]
struct Linked {
    id: i64,
    username: String,
    may_be_admin: bool,
}

/// What the steps need to know of Core besides the plan's state.
#[derive(Default)]
struct Ground {
    users: BTreeMap<Oid, Linked>,
    groups: HashMap<Oid, core_api::Group>,
    known: BTreeMap<Oid, KnownGroup>,
    /// Groups that nobody here made, by name.
    others: HashMap<String, core_api::Group>,
    /// The highest number of a group.
    highest: i64,
    roster: Roster,
    /// Core has said that its licence allows no further user: it isn't asked for more.
    is_full: bool,
}

impl Ground {
    /// A group that nobody here made: the one of that name, or the only one that differs by case alone.
    fn other(&self, name: &str) -> Option<&core_api::Group> {
        if let Some(group) = self.others.get(name) {
            return Some(group);
        }
        let mut alike = self.others.values().filter(|group| group.name.to_lowercase() == name.to_lowercase());
        alike.next().filter(|_| alike.next().is_none())
    }
}

/// A step's end, if it isn't an error.
enum Went {
    Done,
    /// This part of it; and why not the rest.
    Partly(Action, Vec<Skipped>, Option<StepError>),
    /// Core doesn't do it.
    Refused(String),
    /// Something of this host's doesn't work.
    Failed(String),
}

/// Why a step failed.
enum StepError {
    Core(CoreError),
    /// The run itself is over.
    Run(SyncError),
}

impl From<CoreError> for StepError {
    fn from(error: CoreError) -> Self {
        Self::Core(error)
    }
}

impl From<SyncError> for StepError {
    fn from(error: SyncError) -> Self {
        Self::Run(error)
    }
}

/// What every change passes.
struct Gate<'l> {
    lease: &'l Lease,
    pace: Interval,
}

impl Gate<'_> {
    async fn pass(&mut self) -> Result<(), SyncError> {
        self.pace.tick().await;
        self.lease.check().await
    }
}

/// Whether Core says no to this one step, and not to everything.
fn is_refusal(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::NotFound(_)
            | Failure::Rejected { .. }
            | Failure::LicenseLimit
            | Failure::UserDisabled
            | Failure::Conflict(_)
            | Failure::GroupName(_)
    )
}

/// Failures one after the other: records that Core can't deal with, however many, keep nobody else from losing their access; a Core that
/// doesn't work isn't asked for everything in turn.
#[derive(Default)]
struct Row {
    failures: u32,
}

impl Row {
    fn worked(&mut self) {
        self.failures = 0;
    }

    /// One more; whether it makes sense to go on.
    async fn failed(&mut self, core: &CoreClient) -> bool {
        self.failures += 1;
        if self.failures >= FAILURES_AT_MOST {
            return false;
        }
        !self.failures.is_multiple_of(FAILURES_IN_A_ROW) || core.groups(Budget::new(STEP)).await.is_ok()
    }
}

/// Steps that failed.
#[derive(Default)]
struct Failures {
    first: Option<String>,
    all: usize,
}

impl Failures {
    fn count(&mut self, action: &Action, failure: &str) {
        tracing::warn!(%action, failure, "a step of the synchronisation failed");
        self.first.get_or_insert_with(|| format!("{}: {action}: {failure}", action.kind()));
        self.all += 1;
    }

    /// Why it isn't all done, if it isn't.
    fn reason(self, of: usize) -> Option<String> {
        let first = self.first?;
        let others = if self.all > 1 { format!("; {} of {of} steps failed", self.all) } else { String::new() };
        Some(format!("{first}{others}"))
    }
}

impl<'a> CoreTarget<'a> {
    /// `core`: the gateway's own hand-over. `mirror`: of the provider's directory.
    pub fn new(
        gateway: &'a Gateway,
        core: &'a CoreHandover,
        provider: &'a Provider,
        config: &DirectoryConfig,
        mirror: Mirror,
    ) -> Self {
        Self {
            core,
            memory: Memory::new(gateway.storage(), gateway.clock(), &provider.id),
            prefetch: Prefetch::new(gateway, core, provider, mirror),
            url: core.url().to_owned(),
            provider: provider.id.to_string(),
            creates_users: config.prefetch_users,
            steps_per_second: config.steps_per_second,
        }
    }

    /// In words, unless the run itself is over.
    fn told(error: StepError) -> Result<String, SyncError> {
        match error {
            StepError::Core(error) => Ok(error.to_string()),
            StepError::Run(error) => Err(error),
        }
    }

    fn failed(&self, error: &CoreError) -> SyncError {
        SyncError::Apply { target: self.name(), reason: error.to_string() }
    }

    fn client(&self) -> &CoreClient {
        self.core.client()
    }

    async fn look(&self) -> Result<(State, Ground), SyncError> {
        let budget = Budget::new(READING);
        let error = |error: CoreError| self.failed(&error);
        let users = self.client().users(budget).await.map_err(error)?;
        let groups = self.client().groups(budget).await.map_err(error)?;
        let links = self.core.ownership().links(&self.provider).await?;
        let disabled = self.memory.disabled().await?;
        let known = self.known_groups(&groups).await?;
        let mut state = State::default();
        let mut ground = Ground::default();
        let by_id: HashMap<i64, &core_api::User> = users.iter().map(|user| (user.id, user)).collect();
        for (oid, link) in &links {
            let (Some(oid), Some(user)) = (Oid::parse(oid), by_id.get(&link.id)) else { continue };
            if !is_the_same(link, user) {
                state.unrecognised.push(Unrecognised {
                    was: format!("{} ({})", link.username, link.email),
                    is: format!("{} ({})", user.username, user.email),
                });
                continue;
            }
            self.note(oid, link, user, disabled.contains(&oid)).await?;
            keep_user(&mut state, &mut ground, oid, user, disabled.contains(&oid));
        }
        let linked: HashSet<i64> = ground.users.values().map(|user| user.id).collect();
        let is_other_admin =
            |user: &&core_api::User| user.is_active && user.is_admin == Some(true) && !linked.contains(&user.id);
        state.other_admins = Some(users.iter().filter(is_other_admin).count());
        if self.creates_users {
            ground.roster = Roster::of(&users);
        }
        ground.highest = groups.iter().map(|group| group.id).max().unwrap_or_default();
        keep_groups(&mut state, &mut ground, groups, &known);
        ground.known = known;
        Ok((state, ground))
    }

    /// Keeps what was noted of a user true: who is active isn't disabled by us any more, whoever enabled them; and names and addresses
    /// change, one after the other perhaps.
    async fn note(&self, oid: Oid, link: &Link, user: &core_api::User, was_disabled: bool) -> Result<(), SyncError> {
        if user.is_active && was_disabled {
            self.memory.enabled(oid).await?;
        }
        let now = Link::to(user);
        if now != *link {
            self.core.ownership().refresh(&self.provider, &oid.to_string(), &now).await?;
        }
        Ok(())
    }

    /// Groups that follow the directory, those included that a run made which didn't end: such a one has nobody in it yet.
    async fn known_groups(&self, groups: &[core_api::Group]) -> Result<BTreeMap<Oid, KnownGroup>, SyncError> {
        let (mut known, intended) = self.memory.groups_and_intended().await?;
        for (id, intended) in intended {
            if let Some(group) = groups.iter().find(|group| intended.is_made_as(group)) {
                let made = KnownGroup::of(group, true);
                self.memory.keep_group(id, &made).await?;
                known.insert(id, made);
            }
        }
        Ok(known)
    }

    /// One step. An error ends the run; what is refused is told.
    async fn step(&self, gate: &mut Gate<'_>, ground: &mut Ground, action: &Action) -> Result<Went, StepError> {
        let budget = Budget::new(STEP);
        match action {
            Action::CreateUser { oid, .. } => return Ok(self.create_user(ground, *oid).await?),
            // Core's addresses are its users' own.
            Action::ChangeEmail { .. } => {}
            Action::EnableUser { oid, .. } => return Ok(self.set_active(ground, *oid, true, budget).await?),
            Action::DisableUser { oid, .. } => return Ok(self.set_active(ground, *oid, false, budget).await?),
            Action::DeleteUser { oid, .. } => return Ok(self.delete_user(ground, *oid, budget).await?),
            Action::CreateGroup { id, name } => return Ok(self.create_group(ground, *id, name, budget).await?),
            Action::TakeGroup { id, name } => {
                let Some(group) = ground.other(name).cloned() else {
                    return Ok(Went::Refused("the group is gone".into()));
                };
                return Ok(self.remember_group(ground, *id, group, false).await);
            }
            Action::RenameGroup { id, name, .. } => return Ok(self.rename_group(ground, *id, name, budget).await?),
            Action::DeleteGroup { id, .. } => {
                if let Some(group) = ground.groups.get(id) {
                    self.client().delete_group(group, budget).await?;
                }
                return Ok(kept(self.memory.forget_group(*id).await));
            }
            Action::ChangeMembers { id, add, remove, .. } => {
                return self.members(gate, ground, action, *id, (add, remove)).await;
            }
        }
        Ok(Went::Done)
    }

    async fn create_user(&self, ground: &mut Ground, oid: Oid) -> Result<Went, CoreError> {
        if ground.is_full {
            return Ok(Went::Refused(Failure::LicenseLimit.to_string()));
        }
        match self.prefetch.make(oid, &ground.roster).await {
            Ok((username, id)) => {
                ground.users.insert(oid, Linked { id, username, may_be_admin: false });
                Ok(Went::Done)
            }
            Err(Unmade::Person(why)) => Ok(Went::Refused(why)),
            Err(Unmade::Host(why)) => Ok(Went::Failed(why)),
            Err(Unmade::Core(error)) => {
                ground.is_full = matches!(error.failure, Failure::LicenseLimit);
                Err(error)
            }
        }
    }

    async fn set_active(&self, ground: &Ground, oid: Oid, active: bool, budget: Budget) -> Result<Went, CoreError> {
        let Some(user) = ground.users.get(&oid) else { return Ok(Went::Refused("the user is gone".into())) };
        if !active && !self.may_go(user, budget).await? {
            return Ok(Went::Refused("it is the last active administrator".into()));
        }
        if active {
            self.client().set_active(user.id, &user.username, true, budget).await?;
            return Ok(kept(self.memory.enabled(oid).await));
        }
        // Noted first: a user whom we disabled and don't know of would stay so for good.
        let noted = kept(self.memory.disabled_now(oid).await);
        if matches!(noted, Went::Done)
            && let Err(error) = self.client().set_active(user.id, &user.username, false, budget).await
        {
            if !error.failure.is_ambiguous()
                && let Err(error) = self.memory.enabled(oid).await
            {
                // The next run that finds them active forgets it.
                tracing::info!(%error, user = user.username, "a note on a user who wasn't disabled stays for now");
            }
            return Err(error);
        }
        Ok(noted)
    }

    async fn delete_user(&self, ground: &Ground, oid: Oid, budget: Budget) -> Result<Went, CoreError> {
        let Some(user) = ground.users.get(&oid) else { return Ok(Went::Done) };
        if !self.may_go(user, budget).await? {
            return Ok(Went::Refused("it is the last active administrator".into()));
        }
        self.client().delete_user(user.id, &user.username, budget).await?;
        let unlinked = self.core.ownership().unlink(&self.provider, &oid.to_string()).await;
        let forgotten = self.memory.enabled(oid).await;
        Ok(kept(unlinked.and(forgotten)))
    }

    /// Whether an active administrator is left without this user: the plan counted too, but that was before other steps, and before
    /// whatever somebody else did meanwhile.
    async fn may_go(&self, user: &Linked, budget: Budget) -> Result<bool, CoreError> {
        if !user.may_be_admin {
            return Ok(true);
        }
        let is_another =
            |other: &core_api::User| other.id != user.id && other.is_active && other.is_admin == Some(true);
        Ok(self.client().find(is_another, budget).await?.is_some())
    }

    async fn rename_group(&self, ground: &mut Ground, id: Oid, name: &str, budget: Budget) -> Result<Went, CoreError> {
        let Some(group) = ground.groups.get_mut(&id) else { return Ok(Went::Done) };
        let known = ground.known.get(&id).cloned().unwrap_or_else(|| KnownGroup::of(group, false));
        let known = KnownGroup { name: name.to_owned(), former_name: Some(group.name.clone()), ..known };
        // Noted first: a group of a name that we don't know of would be another's.
        if let failed @ Went::Failed(_) = kept(self.memory.keep_group(id, &known).await) {
            return Ok(failed);
        }
        self.client().rename_group(group, name, budget).await?;
        name.clone_into(&mut group.name);
        Ok(kept(self.memory.keep_group(id, &KnownGroup { former_name: None, ..known }).await))
    }

    async fn create_group(&self, ground: &mut Ground, id: Oid, name: &str, budget: Budget) -> Result<Went, CoreError> {
        // Noted first: a group that we made and don't know of would be another's.
        if let failed @ Went::Failed(_) = kept(self.memory.intend_group(id, name, ground.highest).await) {
            return Ok(failed);
        }
        let created = match self.client().create_group(name, budget).await {
            Ok(created) => created,
            Err(error) => {
                // It certainly wasn't made: a group of this name is somebody else's from now on.
                if !error.failure.is_ambiguous() {
                    self.forget(id).await;
                }
                return Err(error);
            }
        };
        let group = match created {
            // The answer was lost, or somebody was faster; ours has nobody in it.
            GroupCreation::There(group) => {
                Some(group).filter(|group| group.id > ground.highest && group.members.is_empty() && !group.is_admin)
            }
            GroupCreation::Made => self.client().groups(budget).await?.into_iter().find(|group| group.name == name),
        };
        if let Some(group) = group {
            return Ok(self.remember_group(ground, id, group, true).await);
        }
        self.forget(id).await;
        Ok(Went::Refused("somebody made a group of this name in the same moment, or deleted ours".into()))
    }

    /// What can't be forgotten now ends by itself.
    async fn forget(&self, id: Oid) {
        if let Err(error) = self.memory.forget_group(id).await {
            tracing::info!(%error, group = %id, "a note on a group that wasn't made stays for now");
        }
    }

    async fn remember_group(&self, ground: &mut Ground, id: Oid, group: core_api::Group, was_made: bool) -> Went {
        let known = KnownGroup::of(&group, was_made);
        let went = kept(self.memory.keep_group(id, &known).await);
        if matches!(went, Went::Done) {
            ground.groups.insert(id, group);
            ground.known.insert(id, known);
        }
        went
    }

    fn pace(&self) -> Interval {
        let mut interval =
            tokio::time::interval(Duration::from_secs(1) / u32::try_from(self.steps_per_second.max(1)).unwrap_or(1));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    }
}

/// What the storage couldn't keep isn't done.
fn kept(result: Result<(), crate::storage::StorageError>) -> Went {
    match result {
        Ok(()) => Went::Done,
        Err(error) => Went::Failed(error.to_string()),
    }
}

/// Another Core, to which the configuration points now, has these numbers too.
fn is_the_same(link: &Link, user: &core_api::User) -> bool {
    user.username == link.username || user.has_address(&link.email)
}

fn keep_user(state: &mut State, ground: &mut Ground, oid: Oid, user: &core_api::User, was_disabled_here: bool) {
    let linked = Linked { id: user.id, username: user.username.clone(), may_be_admin: user.may_be_admin() };
    ground.users.insert(oid, linked);
    let user = User {
        email: user.email.clone(),
        active: user.is_active,
        account: user.username.clone(),
        is_admin: user.may_be_admin(),
        disabled_by_hand: !user.is_active && !was_disabled_here,
    };
    state.users.insert(oid, user);
}

fn keep_groups(
    state: &mut State,
    ground: &mut Ground,
    groups: Vec<core_api::Group>,
    known: &BTreeMap<Oid, KnownGroup>,
) {
    let by_name: HashMap<&str, Oid> = ground.users.iter().map(|(oid, user)| (user.username.as_str(), *oid)).collect();
    let ours: HashMap<i64, (Oid, &KnownGroup)> = known.iter().map(|(oid, group)| (group.id, (*oid, group))).collect();
    let (mut renamed, mut as_known) = (None, false);
    for group in groups {
        match ours.get(&group.id) {
            Some((id, known)) => {
                let is_called = known.is_called(&group.name);
                as_known |= is_called;
                if !is_called {
                    renamed.get_or_insert_with(|| (known.name.clone(), group.name.clone()));
                }
                let mut members: Vec<Oid> =
                    group.members.iter().filter_map(|name| by_name.get(name.as_str()).copied()).collect();
                members.sort_unstable();
                // What is called otherwise follows, but it isn't deleted: it may be somebody else's by now.
                let was_made = known.was_made && is_called;
                let kept = Group { name: group.name.clone(), members, is_admin: group.is_admin, was_made };
                state.groups.insert(*id, kept);
                ground.groups.insert(*id, group);
            }
            None => {
                // Of several that differ by case alone, one that makes administrators is enough to be asked for by name.
                *state.other_groups.entry(group.name.to_lowercase()).or_insert(false) |= group.is_admin;
                ground.others.insert(group.name.clone(), group);
            }
        }
    }
    state.unlike = renamed.filter(|_| !as_known);
}

#[async_trait]
impl Target for CoreTarget<'_> {
    fn name(&self) -> String {
        format!("core {}", self.url)
    }

    fn abilities(&self) -> Abilities {
        Abilities { creates_users: self.creates_users, is_document: false, renames_groups: true }
    }

    async fn read(&self) -> Result<State, SyncError> {
        Ok(self.look().await?.0)
    }

    async fn apply(
        &self,
        lease: &Lease,
        state: State,
        actions: Vec<Action>,
        done: &mut (dyn for<'b> FnMut(&'b Action) + Send),
    ) -> Result<Applied, SyncError> {
        let mut applied = Applied { counts: state.counts(), ..Applied::default() };
        drop(state);
        if actions.is_empty() {
            return Ok(applied);
        }
        let mut ground = self.look().await?.1;
        let mut gate = Gate { lease, pace: self.pace() };
        let (mut failures, mut row) = (Failures::default(), Row::default());
        for action in &actions {
            gate.pass().await?;
            let went = self.step(&mut gate, &mut ground, action).await;
            let mut skip =
                |why: String| applied.skipped.push(Skipped::new(format!("{}: {action}", action.kind()), why));
            let failure = match went {
                Ok(Went::Done) => {
                    done(action);
                    None
                }
                Ok(Went::Partly(part, skipped, failure)) => {
                    if !part.is_nothing() {
                        done(&part);
                    }
                    applied.skipped.extend(skipped);
                    failure.map(Self::told).transpose()?
                }
                Ok(Went::Refused(why)) => {
                    skip(why);
                    None
                }
                Ok(Went::Failed(why)) => Some(why),
                Err(StepError::Core(error)) if is_refusal(&error.failure) => {
                    skip(error.to_string());
                    None
                }
                Err(error) => Some(Self::told(error)?),
            };
            let Some(failure) = failure else {
                row.worked();
                continue;
            };
            failures.count(action, &failure);
            if !row.failed(self.client()).await {
                let reason = failures.reason(actions.len()).unwrap_or_default();
                return Err(SyncError::Apply { target: self.name(), reason });
            }
        }
        applied.failed = failures.reason(actions.len());
        applied.counts = self.look().await?.0.counts();
        Ok(applied)
    }
}
