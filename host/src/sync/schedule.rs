//! Runs by themselves, each `interval_s`, and runs that are asked for: by signal, or through the control socket. A provider's are
//! never two at a time, and those of several providers don't all begin at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::at_login::PersonSeen;
use super::mirror::Mirror;
use super::status::Status;
use super::{Ended, Job, Progress, SyncError};
use crate::config::{Provider, ProviderId};
use crate::gateway::Gateway;

/// Runs, and people who signed in, that may wait for each other.
const WAITING: usize = 64;
/// Before the first one, so that a restart isn't an interval without.
const FIRST: Duration = Duration::from_secs(10);
/// Before one that somebody's sign-in asks for: others may come at the same time.
const SOON: Duration = Duration::from_secs(1);
/// Before another attempt when somebody else's run was under way.
const AGAIN: Duration = Duration::from_secs(30);

/// Hears how far a run is.
pub type Listener = Box<dyn FnMut(&Progress) + Send>;

/// What is asked for.
enum Request {
    Run {
        job: Job,
        listener: Listener,
        /// Nobody may be waiting for it.
        reply: Option<oneshot::Sender<Ended>>,
    },
    /// Somebody signed in.
    Seen(PersonSeen),
}

struct Worker {
    requests: mpsc::Sender<Request>,
    is_running: Arc<AtomicBool>,
    /// As it was when the last run ended; a run has the mirror to itself.
    status: Arc<Mutex<Option<Status>>>,
}

/// The workers, one for each provider that has a directory.
#[derive(Default)]
pub struct Schedule {
    workers: Mutex<BTreeMap<ProviderId, Worker>>,
    /// Held by whoever replaces the workers.
    tasks: tokio::sync::Mutex<Vec<JoinHandle<()>>>,
}

impl Schedule {
    /// Starts a task for each provider that has one; they end with the runtime.
    pub async fn start(gateway: &Arc<Gateway>) -> Arc<Self> {
        let schedule = Arc::new(Self::default());
        schedule.replace(gateway).await;
        schedule
    }

    /// The same for another configuration, when the runs under way have ended: no provider is read by two at a time.
    pub async fn replace(self: &Arc<Self>, gateway: &Arc<Gateway>) {
        let mut tasks = self.tasks.lock().await;
        // Without a sender a worker ends after its run.
        self.workers().clear();
        for task in tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a worker of the synchronisation has ended badly");
            }
        }
        let mut workers = BTreeMap::new();
        for provider in &gateway.config().providers {
            if let Some(directory) = provider.directory.as_ref() {
                let (requests, queue) = mpsc::channel(WAITING);
                let worker = Worker { requests, is_running: Arc::default(), status: Arc::default() };
                let each = Each {
                    gateway: Arc::clone(gateway),
                    provider: provider.clone(),
                    is_running: Arc::clone(&worker.is_running),
                    status: Arc::clone(&worker.status),
                };
                tasks.push(tokio::spawn(each.run(queue, directory.interval)));
                workers.insert(provider.id.clone(), worker);
            }
        }
        *self.workers() = workers;
        // Ends with the gateway.
        tokio::spawn(hand_on(gateway.at_login().receive(), Arc::downgrade(self)));
    }

    fn workers(&self) -> MutexGuard<'_, BTreeMap<ProviderId, Worker>> {
        // A map of senders is whole whatever its last user did.
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks each provider's worker for a run as soon as may be, and waits for none.
    pub fn run_all(&self) {
        for (provider, worker) in self.workers().iter() {
            let request = Request::Run { job: Job::Now, listener: Box::new(|_| {}), reply: None };
            if worker.requests.try_send(request).is_err() {
                tracing::info!(%provider, "{WAITING} runs of the synchronisation wait already");
            }
        }
    }

    /// One run, when those before it are done; `None`: the provider has no directory, or the service is ending.
    pub async fn run(&self, provider: &str, job: Job, listener: Listener) -> Option<Ended> {
        let (reply, answer) = oneshot::channel();
        let requests = self.worker(provider, |worker| worker.requests.clone())?;
        let sent = requests.send(Request::Run { job, listener, reply: Some(reply) }).await;
        // Or the worker never ends.
        drop(requests);
        sent.ok()?;
        answer.await.ok()
    }

    /// How a provider's synchronisation stands; `None`: it has no directory.
    pub fn status(&self, provider: &str) -> Option<Status> {
        self.worker(provider, |worker| {
            let status = worker.status.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default();
            let is_running = worker.is_running.load(Ordering::SeqCst);
            Status { provider: provider.to_owned(), is_running, ..status }
        })
    }

    fn worker<T>(&self, provider: &str, look: impl FnOnce(&Worker) -> T) -> Option<T> {
        self.workers().iter().find(|(id, _)| id.as_str() == provider).map(|(_, worker)| look(worker))
    }
}

/// Whoever signs in goes to their provider's worker; if that has too much to do, its next run has them too.
async fn hand_on(mut people: mpsc::Receiver<PersonSeen>, schedule: Weak<Schedule>) {
    while let Some(person) = people.recv().await {
        let Some(schedule) = schedule.upgrade() else { return };
        if let Some(worker) = schedule.workers().get(&person.provider) {
            let _ = worker.requests.try_send(Request::Seen(person));
        }
    }
}

/// One provider's.
struct Each {
    gateway: Arc<Gateway>,
    provider: Provider,
    is_running: Arc<AtomicBool>,
    status: Arc<Mutex<Option<Status>>>,
}

impl Each {
    async fn run(self, mut queue: mpsc::Receiver<Request>, interval: Duration) {
        self.read_status().await;
        if let Some(status) = self.status.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            self.gateway.metrics().sync().restore(&self.provider.id, status);
        }
        let mut next = Instant::now() + jittered(interval.min(FIRST));
        loop {
            // When the time has come nobody goes before it, however many sign in.
            let is_due = Instant::now() >= next;
            let asked = if is_due { None } else { tokio::time::timeout_at(next, queue.recv()).await.ok() };
            let (job, listener, reply) = match asked {
                Some(Some(Request::Run { job, listener, reply })) => (job, listener, reply),
                Some(Some(Request::Seen(person))) => {
                    if super::seen(&self.gateway, &self.provider, &person).await {
                        next = next.min(Instant::now() + SOON);
                    }
                    continue;
                }
                Some(None) => return,
                None => (Job::Now, Box::new(|_: &Progress| {}) as Listener, None),
            };
            self.is_running.store(true, Ordering::SeqCst);
            let storage = &self.gateway.config().storage;
            let is_look = matches!(job, Job::DryRun);
            let ended = super::perform(&self.gateway, &self.provider, storage, job, listener).await;
            let was_under_way = ended.report.reason.as_deref() == Some(SyncError::UNDER_WAY);
            self.is_running.store(false, Ordering::SeqCst);
            self.read_status().await;
            if let Some(reply) = reply {
                // Whoever asked may have gone.
                let _ = reply.send(ended);
            }
            next = match (is_look, was_under_way) {
                // Whoever only looks puts nothing off.
                (true, _) => next,
                (false, true) => Instant::now() + jittered(interval.min(AGAIN)),
                (false, false) => Instant::now() + jittered(interval),
            };
        }
    }

    async fn read_status(&self) {
        let id = &self.provider.id;
        let Ok(mirror) = Mirror::open(&self.gateway.config().storage, id).await else { return };
        let name = id.to_string();
        match super::round::blocking(&mirror, move |mirror| Status::read(mirror, &name)).await {
            Ok(status) => *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status),
            Err(error) => tracing::warn!(provider = %id, %error, "how the synchronisation stands can't be read"),
        }
    }
}

/// Up to a tenth more.
fn jittered(interval: Duration) -> Duration {
    let mut byte = [0_u8];
    // Without randomness they run without jitter.
    let share = SystemRandom::new().fill(&mut byte).map_or(0, |()| u32::from(byte[0]));
    interval + interval.saturating_mul(share) / 2560
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_do_not_all_run_at_the_same_moment() {
        let interval = Duration::from_secs(600);
        let waits: std::collections::BTreeSet<Duration> = (0..200).map(|_| jittered(interval)).collect();
        assert!(waits.iter().all(|wait| (interval..interval + interval / 10).contains(wait)), "{waits:?}");
        assert!(waits.len() > 20, "{waits:?}");
    }
}
