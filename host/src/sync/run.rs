//! One run, from the lease to the report: read the directory, work out the difference, see whether it may be applied, apply it.

use std::time::Instant;

use super::action::Action;
use super::at_login::PersonSeen;
use super::core::CoreTarget;
use super::document::DocumentTarget;
use super::epoch::Since;
use super::lease::Lease;
use super::mirror::Mirror;
use super::plan::{self, Held, Plan, Skipped};
use super::presence::Confirmed;
use super::proposal::Proposal;
use super::snapshot::Snapshot;
use super::state::{Counts, State};
use super::target::Target;
use super::{Ended, Job, Outcome, Progress, Report, SyncError, presence, record, round};
use crate::audit::rfc3339;
use crate::capability::TraceId;
use crate::config::{DirectoryApply, DirectoryConfig, Provider, SyncTarget};
use crate::gateway::Gateway;
use crate::storage::StorageConfig;

/// How much of what was skipped is in a report.
const REPORTED: usize = 100;

/// Never fails: what went wrong is in the report.
pub(super) async fn run(
    gateway: &Gateway,
    provider: &Provider,
    storage: &StorageConfig,
    job: Job,
    progress: impl FnMut(&Progress) + Send,
) -> Ended {
    let started = Instant::now();
    let mut run = Run {
        gateway,
        provider,
        trace: TraceId::new(),
        progress,
        told: Progress::default(),
        mirror: None,
        came_to: CameTo::default(),
    };
    let is_dry = matches!(job, Job::DryRun);
    let failure = run.begin(storage, job).await.err();
    let report = run.report(started, failure.as_ref());
    let Run { trace, mirror, came_to, .. } = run;
    tell(provider, &trace, &report, is_dry);
    if !is_dry {
        keep(gateway, provider, mirror, &report).await;
    }
    Ended { report, proposal: came_to.proposal }
}

/// What a run came to so far.
#[derive(Default)]
struct CameTo {
    counts: Counts,
    steps: u64,
    held: Option<Held>,
    held_removals: u64,
    skipped: Vec<Skipped>,
    lapsed: u64,
    proposal: Option<Proposal>,
    /// Whether it came so far that something may have been changed.
    applied: bool,
}

struct Run<'a, P> {
    gateway: &'a Gateway,
    provider: &'a Provider,
    trace: TraceId,
    progress: P,
    told: Progress,
    mirror: Option<Mirror>,
    came_to: CameTo,
}

impl<P: FnMut(&Progress) + Send> Run<'_, P> {
    async fn begin(&mut self, storage: &StorageConfig, job: Job) -> Result<(), SyncError> {
        let config = self.provider.directory.clone();
        let config = config.ok_or_else(|| SyncError::Off(self.provider.id.to_string()))?;
        let mirror = Mirror::open(storage, &self.provider.id).await?;
        self.mirror = Some(mirror.clone());
        let (gateway, provider) = (self.gateway, self.provider);
        let target = target(gateway, provider, &config, &mirror)?;
        if let Job::Apply(proposal) = &job {
            proposal.check(provider.id.as_str(), &target.name()).map_err(SyncError::Proposal)?;
        }
        let (shared, clock) = (self.gateway.storage(), self.gateway.clock());
        let lease = Lease::acquire(shared, clock, &self.provider.id, self.gateway.is_alone()).await?;
        let epochs = gateway.epochs(&provider.id);
        let before = epochs.begin().await?;
        let outcome = self.leased(&mirror, &lease, &config, target.as_ref(), job).await;
        // Whoever lost the lease may be in the middle of another's run.
        if !matches!(outcome, Err(SyncError::LeaseLost))
            && let Err(error) = epochs.end(before, self.came_to.applied).await
        {
            tracing::warn!(provider = %self.provider.id, %error, "that a synchronisation has ended can't be noted");
        }
        // It would end by itself a little later.
        if let Err(error) = lease.release().await {
            tracing::warn!(provider = %self.provider.id, %error, "the lease of a synchronisation can't be given back");
        }
        outcome
    }

    async fn leased(
        &mut self,
        mirror: &Mirror,
        lease: &Lease,
        config: &DirectoryConfig,
        target: &dyn Target,
        job: Job,
    ) -> Result<(), SyncError> {
        let Self { gateway, provider, trace, progress, told, .. } = self;
        round::read(gateway, provider, trace, mirror, lease, told, progress).await?;
        let (state, mut plan) = difference(mirror, config, target).await?;
        // What is held goes nowhere yet, and nobody at all is never believed, whoever approves it.
        let is_held = match &plan.held {
            Some(Held::Empty { .. }) => true,
            held => held.is_some() && !matches!(job, Job::Apply(_)),
        };
        let confirmed = if is_held {
            presence::sample(gateway, provider, trace, &plan, told).await?
        } else {
            presence::confirm(gateway, provider, trace, &mut plan, told).await?
        };
        note(mirror, confirmed).await?;
        self.came_to.counts = state.counts();
        self.came_to.skipped = std::mem::take(&mut plan.skipped);
        match job {
            Job::DryRun => {
                self.hold(plan.held, &plan.actions);
                self.came_to.steps = plan.actions.len() as u64;
                self.propose(target, plan.actions);
                Ok(())
            }
            Job::Now if plan.held.is_some() => {
                self.hold(plan.held, &plan.actions);
                Ok(())
            }
            Job::Apply(_) if matches!(plan.held, Some(Held::Empty { .. })) => {
                self.hold(plan.held, &plan.actions);
                Ok(())
            }
            Job::Now => self.apply(mirror, lease, target, state, plan.actions, true).await,
            Job::Apply(proposal) => {
                let (actions, lapsed) = proposal.of(&plan.actions);
                self.came_to.lapsed = lapsed;
                // Of a first difference that was only partly seen, the rest is still a first one, and removes nobody.
                let is_whole = actions == plan.actions;
                self.apply(mirror, lease, target, state, actions, is_whole).await
            }
        }
    }

    fn hold(&mut self, held: Option<Held>, actions: &[Action]) {
        if let Some(held) = &held {
            let planned = actions.iter().filter(|action| action.is_removal()).count();
            self.came_to.held_removals = planned.max(held.removals()) as u64;
        }
        self.came_to.held = held;
    }

    fn propose(&mut self, target: &dyn Target, actions: Vec<Action>) {
        let held = self.came_to.held.as_ref().map(|held| (held.code().to_owned(), held.to_string()));
        let made_at = rfc3339(self.gateway.now_unix_ms());
        let skipped = self.came_to.skipped.clone();
        self.came_to.proposal =
            Some(Proposal::new(self.provider.id.as_str(), &target.name(), made_at, held, skipped, actions));
    }

    /// `is_whole`: whether these steps are all that there is to do.
    async fn apply(
        &mut self,
        mirror: &Mirror,
        lease: &Lease,
        target: &dyn Target,
        state: State,
        actions: Vec<Action>,
        is_whole: bool,
    ) -> Result<(), SyncError> {
        lease.check().await?;
        self.came_to.applied = true;
        self.told.steps = actions.len() as u64;
        let Self { gateway, provider, trace, progress, told, .. } = self;
        progress(told);
        let name = target.name();
        let mut done = |action: &Action| {
            told.done += 1;
            progress(told);
            let run = record::Run { provider: &provider.id, target: &name, lease: lease.token(), trace };
            record::write(gateway.audit(), gateway.now_unix_ms(), &run, action);
        };
        let applied = target.apply(lease, state, actions, &mut done).await;
        self.came_to.steps = self.told.done;
        let applied = applied?;
        self.came_to.counts = applied.counts;
        self.came_to.skipped.extend(applied.skipped);
        if is_whole {
            let target = name.clone();
            round::blocking(mirror, move |mirror| mirror.set_applied(&target)).await?;
        }
        applied.failed.map_or(Ok(()), |reason| Err(SyncError::Apply { target: name, reason }))
    }

    fn report(&mut self, started: Instant, failure: Option<&SyncError>) -> Report {
        let came_to = &mut self.came_to;
        let (outcome, reason) = match (failure, &came_to.held) {
            (Some(error), _) => (Outcome::Failed, Some((error.code(), error.to_string()))),
            (None, Some(held)) => (Outcome::Held, Some((held.code(), held.to_string()))),
            (None, None) => (Outcome::Done, None),
        };
        for skipped in &came_to.skipped {
            tracing::info!(provider = %self.provider.id, trace = %self.trace, what = skipped.what, "skipped: {}", skipped.why);
        }
        let (reason, detail) = reason.map_or((None, None), |(code, text)| (Some(code.to_owned()), Some(text)));
        Report {
            outcome,
            reason,
            detail,
            requests: self.told.requests,
            refused: self.told.refused,
            users: came_to.counts.users,
            groups: came_to.counts.groups,
            memberships: came_to.counts.memberships,
            steps: came_to.steps,
            held_removals: came_to.held_removals,
            skipped: std::mem::take(&mut came_to.skipped).into_iter().take(REPORTED).collect(),
            lapsed: came_to.lapsed,
            duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn tell(provider: &Provider, trace: &TraceId, report: &Report, is_dry: bool) {
    let (id, detail) = (&provider.id, report.detail.as_deref().unwrap_or_default());
    match report.outcome {
        Outcome::Done => tracing::info!(
            provider = %id, %trace, requests = report.requests, users = report.users, groups = report.groups,
            memberships = report.memberships, steps = report.steps, duration_ms = report.duration_ms,
            "directory {}", if is_dry { "compared" } else { "synchronised" }
        ),
        Outcome::Held => {
            tracing::warn!(provider = %id, %trace, reason = report.reason, "directory synchronisation held: {detail}");
        }
        Outcome::Failed => {
            tracing::error!(provider = %id, %trace, reason = report.reason, "directory synchronisation failed: {detail}");
        }
    }
}

/// For metrics and `sync status`. A note that can't be kept ends no run.
async fn keep(gateway: &Gateway, provider: &Provider, mirror: Option<Mirror>, report: &Report) {
    let now_s = gateway.now_unix_ms() / 1000;
    let mut cursor_at = None;
    if let Some(mirror) = mirror {
        let kept = report.clone();
        let noted = round::blocking(&mirror, move |mirror| {
            mirror.set_kept(&mirror.kept()?.with(&kept, now_s))?;
            mirror.round_ended_at()
        });
        match noted.await {
            Ok(at) => cursor_at = at,
            Err(error) => tracing::warn!(provider = %provider.id, %error, "how the run went isn't noted"),
        }
    }
    gateway.metrics().sync().ended(&provider.id, report, now_s, cursor_at);
}

fn target<'a>(
    gateway: &'a Gateway,
    provider: &'a Provider,
    config: &DirectoryConfig,
    mirror: &Mirror,
) -> Result<Box<dyn Target + 'a>, SyncError> {
    match &config.apply {
        DirectoryApply::File(path) => Ok(Box::new(DocumentTarget::new(path.clone()))),
        DirectoryApply::Core => {
            let core = gateway.handover().core().ok_or_else(|| {
                SyncError::Misconfigured(
                    "directory.apply is \"core\", and handover.kind isn't: there is no Core".into(),
                )
            })?;
            Ok(Box::new(CoreTarget::new(gateway, core, provider, config, mirror.clone())))
        }
    }
}

/// Brings somebody who just signed in up to date; only Core has anything to bring. What goes wrong is left to the next run. Whether that
/// should come soon: a run was under way when the directory was asked, so nobody can say which of the two knows better.
pub(super) async fn seen(gateway: &Gateway, provider: &Provider, person: &PersonSeen) -> bool {
    let trace = TraceId::new();
    match seen_with(gateway, provider, person, &trace).await {
        Ok(since) => since == Since::PartOfARun,
        Err(error) => {
            tracing::info!(provider = %provider.id, %trace, %error, "memberships at sign-in are left to the next synchronisation");
            false
        }
    }
}

async fn seen_with(
    gateway: &Gateway,
    provider: &Provider,
    person: &PersonSeen,
    trace: &TraceId,
) -> Result<Since, SyncError> {
    let Some(config) = provider.directory.as_ref().filter(|config| config.target != SyncTarget::Users) else {
        return Ok(Since::Nothing);
    };
    let (DirectoryApply::Core, Some(core)) = (&config.apply, gateway.handover().core()) else {
        return Ok(Since::Nothing);
    };
    // Without a number nobody knows how old it is.
    let Some(epoch) = person.epoch else { return Ok(Since::Nothing) };
    let mirror = Mirror::open(&gateway.config().storage, &provider.id).await?;
    let target = CoreTarget::new(gateway, core, provider, config, mirror);
    let lease = Lease::acquire(gateway.storage(), gateway.clock(), &provider.id, gateway.is_alone()).await?;
    // No run begins under this lease.
    let since = epoch.until(gateway.epochs(&provider.id).now().await?);
    if since != Since::Nothing {
        lease.release().await?;
        return Ok(since);
    }
    let outcome = target.seen(config, person, &lease).await;
    if let Ok(actions) = &outcome {
        let name = target.name();
        let run = record::Run { provider: &provider.id, target: &name, lease: lease.token(), trace };
        for action in actions {
            record::write(gateway.audit(), gateway.now_unix_ms(), &run, action);
        }
    }
    lease.release().await?;
    outcome.map(|_| since)
}

/// What the directory said of what the mirror lacks.
async fn note(mirror: &Mirror, confirmed: Confirmed) -> Result<(), SyncError> {
    let Confirmed { is_mirror_wrong, gone } = confirmed;
    if is_mirror_wrong {
        // The next run's round begins from the beginning: no run reads everything twice.
        round::blocking(mirror, Mirror::forget_cursor).await?;
    }
    if !gone.is_empty() {
        round::blocking(mirror, move |mirror| mirror.forget_lost(&gone)).await?;
    }
    Ok(())
}

/// People of whom nothing but the id may be seen are no directory: Graph leaves out what there is no right to, and says nothing.
fn readable(snapshot: &Snapshot) -> Result<(), SyncError> {
    let people = snapshot.people.len();
    if people == 0 || snapshot.stateless() < people {
        return Ok(());
    }
    Err(SyncError::Denied {
        permission: "User.Read.All".into(),
        detail: format!("all {people} people are listed without their state (accountEnabled)"),
        hint: "App registrations > API permissions > Add a permission > Microsoft Graph > Application permissions > User.Read.All, \
               then Grant admin consent."
            .into(),
    })
}

/// What is there, and what is to be done to it.
async fn difference(
    mirror: &Mirror,
    config: &DirectoryConfig,
    target: &dyn Target,
) -> Result<(State, Plan), SyncError> {
    let state = target.read().await?;
    let (mirror, config, abilities, name) = (mirror.clone(), config.clone(), target.abilities(), target.name());
    // This machine's work, and not a little.
    let worked_out = tokio::task::spawn_blocking(move || {
        let snapshot = Snapshot::read(&mirror)?;
        if let Err(error) = readable(&snapshot) {
            // What is seen with the permission isn't news to a delta.
            mirror.forget_cursor()?;
            return Err(error);
        }
        let is_first = !mirror.was_applied(&name)?;
        let plan = plan::plan(&snapshot, &state, &config, abilities, is_first);
        Ok((state, plan))
    });
    worked_out.await.map_err(|error| SyncError::Malformed(error.to_string()))?
}
