//! `apply = "core"`: Defguard Core follows the directory. Only users who are linked to an identity of this provider are its users, only
//! groups that the synchronisation made, or that are listed, follow it; everybody and everything else is left alone. Each step is a call
//! or two, no more a second than `steps_per_second`, and what one of them refuses doesn't stop the others.

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
use super::prefetch::Prefetch;
use super::state::{Group, State, User};
use super::target::{Applied, Target};
use crate::config::{DirectoryConfig, Provider};
use crate::core_api::{self, Budget, CoreClient, CoreError, Failure, GroupCreation};
use crate::gateway::Gateway;
use crate::handover::{CoreHandover, Link, Roster};

/// For reading everybody.
const READING: Duration = Duration::from_secs(600);
/// For one step.
const STEP: Duration = Duration::from_secs(60);

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
    /// Groups that nobody here made, by name.
    others: HashMap<String, core_api::Group>,
    roster: Roster,
}

/// A step's end, if it isn't an error.
enum Went {
    Done,
    /// This part of it.
    Partly(Action, Vec<Skipped>),
    /// Core doesn't do it.
    Refused(String),
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
            if is_the_same(link, user) {
                keep_user(&mut state, &mut ground, oid, user, disabled.contains(&oid));
            }
        }
        let linked: HashSet<i64> = ground.users.values().map(|user| user.id).collect();
        let is_other_admin =
            |user: &&core_api::User| user.is_active && user.is_admin == Some(true) && !linked.contains(&user.id);
        state.other_admins = Some(users.iter().filter(is_other_admin).count());
        if self.creates_users {
            ground.roster = Roster::of(&users);
        }
        keep_groups(&mut state, &mut ground, groups, &known);
        Ok((state, ground))
    }

    /// Groups that follow the directory, those included that a run made which didn't end.
    async fn known_groups(&self, groups: &[core_api::Group]) -> Result<BTreeMap<Oid, KnownGroup>, SyncError> {
        let (mut known, intended) = self.memory.groups_and_intended().await?;
        for group in groups.iter().filter(|group| !group.is_admin) {
            if let Some(id) = intended.get(&group.name) {
                let made = KnownGroup { id: group.id, name: group.name.clone(), was_made: true };
                self.memory.keep_group(*id, &made).await?;
                known.insert(*id, made);
            }
        }
        Ok(known)
    }

    /// One step. An error ends the run; what is refused is told.
    async fn step(&self, ground: &mut Ground, action: &Action) -> Result<Went, CoreError> {
        let budget = Budget::new(STEP);
        match action {
            Action::CreateUser { oid, .. } => return Ok(self.create_user(ground, *oid).await),
            // Core's addresses are its users' own.
            Action::ChangeEmail { .. } => {}
            Action::EnableUser { oid, .. } => return self.set_active(ground, *oid, true, budget).await,
            Action::DisableUser { oid, .. } => return self.set_active(ground, *oid, false, budget).await,
            Action::DeleteUser { oid, .. } => return self.delete_user(ground, *oid, budget).await,
            Action::CreateGroup { id, name } => return self.create_group(ground, *id, name, budget).await,
            Action::TakeGroup { id, name } => {
                let Some(group) = ground.others.get(name).cloned() else {
                    return Ok(Went::Refused("the group is gone".into()));
                };
                return Ok(self.remember_group(ground, *id, group, false).await);
            }
            Action::RenameGroup { id, name, .. } => {
                if let Some(group) = ground.groups.get_mut(id) {
                    self.client().rename_group(group, name, budget).await?;
                    group.name.clone_from(name);
                }
            }
            Action::DeleteGroup { id, .. } => {
                if let Some(group) = ground.groups.get(id) {
                    self.client().delete_group(group, budget).await?;
                }
                return Ok(kept(self.memory.forget_group(*id).await));
            }
            Action::ChangeMembers { id, add, remove, .. } => {
                return self.members(ground, action, *id, (add, remove)).await;
            }
        }
        Ok(Went::Done)
    }

    async fn create_user(&self, ground: &mut Ground, oid: Oid) -> Went {
        match self.prefetch.make(oid, &ground.roster).await {
            Ok((username, id)) => {
                ground.users.insert(oid, Linked { id, username, may_be_admin: false });
                Went::Done
            }
            Err(why) => Went::Refused(why),
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
        if matches!(noted, Went::Done) {
            self.client().set_active(user.id, &user.username, false, budget).await?;
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

    async fn create_group(&self, ground: &mut Ground, id: Oid, name: &str, budget: Budget) -> Result<Went, CoreError> {
        // Noted first: a group that we made and don't know of would be another's.
        if let refused @ Went::Refused(_) = kept(self.memory.intend_group(id, name).await) {
            return Ok(refused);
        }
        let group = match self.client().create_group(name, budget).await? {
            GroupCreation::There(group) => Some(group),
            GroupCreation::Made => self.client().groups(budget).await?.into_iter().find(|group| group.name == name),
        };
        match group {
            Some(group) if !group.is_admin => Ok(self.remember_group(ground, id, group, true).await),
            Some(_) => Ok(Went::Refused(
                "somebody made a group of this name in the same moment, with administrators' rights".into(),
            )),
            None => Ok(Went::Refused("it was made, and is gone".into())),
        }
    }

    async fn remember_group(&self, ground: &mut Ground, id: Oid, group: core_api::Group, was_made: bool) -> Went {
        let known = KnownGroup { id: group.id, name: group.name.clone(), was_made };
        let went = kept(self.memory.keep_group(id, &known).await);
        if matches!(went, Went::Done) {
            ground.groups.insert(id, group);
        }
        went
    }

    async fn members(
        &self,
        ground: &Ground,
        action: &Action,
        id: Oid,
        (add, remove): (&[Oid], &[Oid]),
    ) -> Result<Went, CoreError> {
        let Some(group) = ground.groups.get(&id) else { return Ok(Went::Refused("the group is gone".into())) };
        let mut skipped = Vec::new();
        let there = |oid: &&Oid| ground.users.contains_key(*oid);
        let mut added: Vec<Oid> = add.iter().filter(there).copied().collect();
        let numbers: Vec<i64> = added.iter().filter_map(|oid| ground.users.get(oid)).map(|user| user.id).collect();
        if let Err(error) = self.client().add_members(group, &numbers, Budget::new(STEP)).await {
            if !is_refusal(&error.failure) {
                return Err(error);
            }
            // Somebody of them is gone: one by one.
            added = self.add_one_by_one(ground, group, &added, &mut skipped).await?;
        }
        let mut removed = Vec::new();
        for oid in remove {
            let Some(user) = ground.users.get(oid) else { continue };
            let budget = Budget::new(STEP);
            if group.is_admin && !self.may_go(user, budget).await? {
                skipped.push(Skipped::new(user.username.clone(), "it is the last active administrator"));
                continue;
            }
            self.client().remove_member(group, &user.username, budget).await?;
            removed.push(*oid);
        }
        let name = match action {
            Action::ChangeMembers { name, .. } => name.clone(),
            _ => group.name.clone(),
        };
        Ok(Went::Partly(Action::ChangeMembers { id, name, add: added, remove: removed }, skipped))
    }

    async fn add_one_by_one(
        &self,
        ground: &Ground,
        group: &core_api::Group,
        oids: &[Oid],
        skipped: &mut Vec<Skipped>,
    ) -> Result<Vec<Oid>, CoreError> {
        let mut added = Vec::new();
        for oid in oids {
            let Some(user) = ground.users.get(oid) else { continue };
            match self.client().add_member(group, &user.username, Budget::new(STEP)).await {
                Ok(()) => added.push(*oid),
                Err(error) if is_refusal(&error.failure) => {
                    skipped
                        .push(Skipped::new(format!("{} in {}", user.username, group.name), error.failure.to_string()));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(added)
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
        Err(error) => Went::Refused(error.to_string()),
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
    let ours: HashMap<i64, (Oid, bool)> = known.iter().map(|(oid, group)| (group.id, (*oid, group.was_made))).collect();
    for group in groups {
        match ours.get(&group.id) {
            Some((id, was_made)) => {
                let mut members: Vec<Oid> =
                    group.members.iter().filter_map(|name| by_name.get(name.as_str()).copied()).collect();
                members.sort_unstable();
                let kept = Group { name: group.name.clone(), members, is_admin: group.is_admin, was_made: *was_made };
                state.groups.insert(*id, kept);
                ground.groups.insert(*id, group);
            }
            None => {
                state.other_groups.insert(group.name.to_lowercase(), group.is_admin);
                ground.others.insert(group.name.clone(), group);
            }
        }
    }
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
        let mut pace = self.pace();
        for action in &actions {
            pace.tick().await;
            lease.check().await?;
            match self.step(&mut ground, action).await {
                Ok(Went::Done) => done(action),
                Ok(Went::Partly(action, skipped)) => {
                    done(&action);
                    applied.skipped.extend(skipped);
                }
                Ok(Went::Refused(why)) => {
                    applied.skipped.push(Skipped::new(format!("{}: {action}", action.kind()), why));
                }
                Err(error) if is_refusal(&error.failure) => {
                    applied.skipped.push(Skipped::new(format!("{}: {action}", action.kind()), error.to_string()));
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
        applied.counts = self.look().await?.0.counts();
        Ok(applied)
    }
}
