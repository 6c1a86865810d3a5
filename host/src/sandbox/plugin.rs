//! One loaded plugin, linked so that an instance costs microseconds: each export as a function, and how its calls ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use wasmtime::component::Component;

use super::answer::{Bounded, authorization};
use super::beginning::Beginning;
use super::bindings::exports::defguard::openid::{configuration, directory, login};
use super::call::{Callee, admit};
use super::candidate::Candidate;
use super::contract::ContractVersion;
use super::export::{self, Export, Exported, Linked};
use super::probation::Tally;
use super::signature::SignedAs;
use super::{CallError, Limits, LoadError, Runtime};
use crate::capability::Grant;

/// What the component says of itself.
pub type Description = configuration::Description;
/// What the component makes of claims that somebody wrote down.
pub type Preview = configuration::Preview;
/// What the component found out about a provider.
pub type Finding = configuration::Finding;
/// A problem that the component finds in a provider's configuration.
pub type Problem = configuration::Problem;

/// Which plugin it is.
#[derive(Clone)]
pub(super) struct Identification {
    sha256: String,
    path: PathBuf,
    file: String,
    signed: Option<SignedAs>,
    name: String,
    version: String,
}

impl Identification {
    /// Before the component was asked for its name.
    pub(super) fn unknown(candidate: Candidate, signed: Option<SignedAs>) -> Self {
        let Candidate { path, file, sha256, .. } = candidate;
        Self { sha256, path, file, signed, name: String::new(), version: String::new() }
    }
}

/// A component, ready to be called. Calls under way keep it alive when another one takes its place.
pub struct Plugin {
    runtime: Arc<Runtime>,
    /// As its file is.
    original: Arc<Linked>,
    /// What instances are made of: the original, until it is prepared.
    begins: ArcSwap<Beginning>,
    /// The code for which it isn't prepared any more, until somebody has told it.
    gave_up: ArcSwapOption<&'static str>,
    bytes: Arc<[u8]>,
    who: Identification,
    tally: Tally,
}

impl Plugin {
    pub(super) fn new(runtime: Arc<Runtime>, linked: Linked, bytes: Arc<[u8]>, who: Identification) -> Self {
        let original = Arc::new(linked);
        let begins = ArcSwap::from_pointee(Beginning::original(&original));
        Self { runtime, original, begins, gave_up: ArcSwapOption::empty(), bytes, who, tally: Tally::default() }
    }

    /// As its file is.
    pub(super) fn original(&self) -> &Linked {
        &self.original
    }

    /// What was read of its file.
    pub(super) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    /// Another component that is to take this one's place in all but its name, to be tried before.
    pub(super) fn twin(&self, component: &Component) -> Result<Self, LoadError> {
        let contract = |reason| LoadError::Contract { path: self.path().into(), reason };
        let linked = Linked::new(&self.runtime, component).map_err(contract)?;
        Ok(Self::new(Arc::clone(&self.runtime), linked, Arc::clone(&self.bytes), self.who.clone()))
    }

    /// What instances are made of now.
    pub(super) fn beginning(&self) -> Arc<Beginning> {
        self.begins.load_full()
    }

    /// From now on instances are made of what a twin is made of.
    pub(super) fn begins_as(&self, twin: &Self, prepared_for: String) {
        self.begins.store(Arc::new(Beginning::prepared(&twin.original, prepared_for)));
    }

    /// From now on instances are made of the plugin as its file is, unless they are prepared for this: what they would begin with otherwise is
    /// of no use.
    pub(super) fn begins_unprepared_unless_for(&self, key: &str) {
        if self.beginning().prepared_for().is_some_and(|of| of != key) {
            self.begins.store(Arc::new(Beginning::original(&self.original)));
        }
    }

    /// A call failed whose instance began so: whether that may be the cause. Then the next instances are made of the plugin as its file is,
    /// and whatever that does is its own.
    fn gives_up(&self, beginning: &Beginning, error: &CallError) -> bool {
        let Some(key) = beginning.prepared_for().filter(|_| error.is_of_the_instance()) else { return false };
        let now = self.begins.load();
        // Calls beside this one fail as well: one of them says so.
        if now.prepared_for() == Some(key) {
            let original = Arc::new(Beginning::given_up(&self.original, key.to_owned()));
            let before = self.begins.compare_and_swap(&now, original);
            if Arc::ptr_eq(&before, &now) {
                tracing::error!(%error, code = error.code(), sha256 = self.sha256(), "a prepared instance failed: the plugin is used unprepared from now on");
                self.gave_up.store(Some(Arc::new(error.code())));
            }
        }
        true
    }

    /// The code for which it isn't prepared any more: once.
    pub(super) fn tells_that_it_gave_up(&self) -> Option<&'static str> {
        self.gave_up.swap(None).map(|code| *code)
    }

    /// With what the component calls itself.
    pub(super) fn named(self, name: String, version: String) -> Self {
        Self { who: Identification { name, version, ..self.who }, ..self }
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.who.sha256
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.who.path
    }

    /// The name of the file that it came in.
    pub fn file(&self) -> &str {
        &self.who.file
    }

    /// What the component calls itself.
    pub fn name(&self) -> &str {
        &self.who.name
    }

    /// Of the component, by its own word.
    pub fn version(&self) -> &str {
        &self.who.version
    }

    /// What its signature says; `None`: it has none that was checked.
    pub fn signed(&self) -> Option<&SignedAs> {
        self.who.signed.as_ref()
    }

    /// How its calls ended.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Which version of the contract it is built for.
    pub fn contract(&self) -> ContractVersion {
        self.original.exports.version
    }

    /// Calls an export on a fresh instance that has what `grant` gives; counted.
    async fn call<E: Exported>(
        &self,
        grant: Grant,
        limits: &Arc<Limits>,
        parameters: E::Parameters<'_>,
    ) -> Result<E::Answer, CallError> {
        let _under_way = self.tally.begin();
        let place = admit(&self.runtime, E::EXPORT, limits).await?;
        // Not before it is its turn: what those before it began with may have failed meanwhile.
        let beginning = self.beginning();
        let linked = beginning.linked();
        let callee = Callee { runtime: &self.runtime, linked };
        let exports = &linked.exports;
        let running = callee.run_in(place, E::EXPORT, grant, limits, async |store, instance| {
            exports.call::<E>(instance, store, parameters).await
        });
        let outcome = running.await;
        let failed = outcome.as_ref().err();
        if !failed.is_some_and(|error| self.gives_up(&beginning, error)) {
            self.tally.ended(failed);
        }
        outcome
    }

    /// Holds what it exports against the contract's types; the inner error says which function isn't as it should be.
    pub(super) async fn check_types(&self) -> Result<Result<(), String>, CallError> {
        let callee = Callee { runtime: &self.runtime, linked: &self.original };
        let exports = &self.original.exports;
        let limits = self.runtime.limits();
        callee
            .run(Export::Describe, Grant::nothing(), limits, async |store, instance| {
                Ok(exports.check_types(instance, store).map_err(|error| format!("{error:#}")))
            })
            .await
    }

    /// The runtime that it was compiled by.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// `configuration.describe`.
    pub async fn describe(&self) -> Result<Description, CallError> {
        let called = self.call::<export::Describe>(Grant::nothing(), self.runtime.limits(), ());
        Ok(called.await?.bounded())
    }

    /// `configuration.validate`.
    pub async fn validate(&self, provider: &str) -> Result<Vec<Problem>, CallError> {
        let called = self.call::<export::Validate>(Grant::nothing(), self.runtime.limits(), (provider,));
        Ok(called.await?.bounded())
    }

    /// `configuration.map-claims`.
    pub async fn map_claims(
        &self,
        provider: &str,
        input: &str,
    ) -> Result<Result<configuration::Preview, Problem>, CallError> {
        let called = self.call::<export::MapClaims>(Grant::nothing(), self.runtime.limits(), (provider, input));
        Ok(called.await?.bounded())
    }

    /// `configuration.probe`.
    pub async fn probe(&self, grant: Grant, provider: &str) -> Result<Vec<configuration::Finding>, CallError> {
        let called = self.call::<export::Probe>(grant, self.runtime.limits(), (provider,));
        Ok(called.await?.bounded())
    }

    /// `directory.next-page`, within the limits of a directory's pages.
    pub async fn directory_page(
        &self,
        grant: Grant,
        provider: &str,
        read: &[directory::Collection],
        cursor: Option<&str>,
    ) -> Result<Result<directory::Page, directory::Failure>, CallError> {
        if !self.contract().has_directory() {
            return Ok(Err(no_directory(self.contract())));
        }
        let limits = self.runtime.directory_limits();
        let called = self.call::<export::NextPage>(grant, limits, (provider, read, cursor));
        Ok(called.await?.bounded())
    }

    /// `directory.person`, for a sign-in that waits for it: over after `budget` and a little, the wait for an instance included.
    pub async fn person(
        &self,
        grant: Grant,
        provider: &str,
        object_id: &str,
        budget: Duration,
    ) -> Result<Result<Option<directory::PersonState>, directory::Failure>, CallError> {
        if !self.contract().has_directory() {
            return Ok(Err(no_directory(self.contract())));
        }
        let limits = Arc::new(self.runtime.limits().of_person(budget));
        let wall = limits.call_wall;
        let called = async {
            let asides = limits.asides();
            // The semaphore is never closed.
            let _aside = self.runtime.asides().acquire().await.map_err(|_| CallError::Busy(asides))?;
            let timeout_ms = u32::try_from(budget.as_millis()).unwrap_or(u32::MAX);
            let called = self.call::<export::Person>(grant, &limits, (provider, object_id, timeout_ms));
            called.await
        };
        Ok(tokio::time::timeout(wall, called).await.unwrap_or(Err(CallError::Timeout(wall)))?.bounded())
    }

    /// `directory.present`: a list of another length than that of `objects` breaks the contract.
    pub async fn present(
        &self,
        grant: Grant,
        provider: &str,
        objects: &[directory::Object],
    ) -> Result<Result<Vec<directory::Presence>, directory::Failure>, CallError> {
        if !self.contract().has_directory() {
            return Ok(Err(no_directory(self.contract())));
        }
        let called = self.call::<export::Present>(grant, self.runtime.limits(), (provider, objects));
        let presences = match called.await? {
            Ok(presences) => presences,
            Err(failure) => return Ok(Err(failure.bounded())),
        };
        if presences.len() != objects.len() {
            return Err(
                self.breaks_contract(Export::Present, "present answers for other objects than it was asked for")
            );
        }
        Ok(Ok(presences))
    }

    /// `directory.test-connection`.
    pub async fn test_connection(
        &self,
        grant: Grant,
        provider: &str,
    ) -> Result<Vec<configuration::Finding>, CallError> {
        if !self.contract().has_directory() {
            let detail = format!("a plugin of the contract {} reads no directory", self.contract().as_str());
            let hint = "load a plugin of a later one".to_owned();
            let verdict = configuration::Verdict::Fail;
            return Ok(vec![configuration::Finding { name: "contract".into(), verdict, detail, hint }]);
        }
        let called = self.call::<export::TestConnection>(grant, self.runtime.limits(), (provider,));
        Ok(called.await?.bounded())
    }

    /// `login.begin`.
    pub async fn begin(
        &self,
        grant: Grant,
        request: &login::BeginRequest,
    ) -> Result<Result<login::Authorization, login::Refusal>, CallError> {
        let called = self.call::<export::Begin>(grant, self.runtime.limits(), (request,));
        let answer = called.await?.bounded();
        if let Ok(begun) = &answer {
            authorization(begun).map_err(|broken| self.breaks_contract(Export::Begin, broken))?;
        }
        Ok(answer)
    }

    /// `login.complete`. The identity is held against the contract by whoever makes the host's own of it.
    pub async fn complete(
        &self,
        grant: Grant,
        request: &login::CompleteRequest,
    ) -> Result<Result<login::Completion, login::Refusal>, CallError> {
        let called = self.call::<export::Complete>(grant, self.runtime.limits(), (request,));
        Ok(called.await?.bounded())
    }

    /// An answer that isn't what the contract says, counted as the other ways to fail are.
    pub(crate) fn breaks_contract(&self, export: Export, broken: &'static str) -> CallError {
        let error = CallError::Contract(broken);
        let beginning = self.beginning();
        // Its call has ended: what that began with was this, or was given up a moment ago.
        let of_the_prepared = beginning.was_given_up_within(self.runtime.limits().call_wall);
        if !of_the_prepared && !self.gives_up(&beginning, &error) {
            self.tally.broke_the_contract();
        }
        self.runtime.metrics().failed(export, &error);
        error
    }

    /// An instance made and dropped, nothing called: for the bench.
    pub async fn instantiate_only(&self) -> Result<(), CallError> {
        self.memory_at_first().await.map(drop)
    }

    /// The linear memory that an instance begins with, in bytes.
    pub(super) async fn memory_at_first(&self) -> Result<usize, CallError> {
        let beginning = self.beginning();
        let callee = Callee { runtime: &self.runtime, linked: beginning.linked() };
        let limits = self.runtime.limits();
        callee.run(Export::Describe, Grant::nothing(), limits, async |store, _| Ok(store.data().memory_bytes())).await
    }
}

/// What a plugin that was built before there was a directory in the contract says of one.
fn no_directory(contract: ContractVersion) -> directory::Failure {
    directory::Failure::Misconfigured(format!("a plugin of the contract {} reads no directory", contract.as_str()))
}
