//! A plugin that is prepared (`wit/preparation.wit`): it reads the configurations once, in an instance of its own, and every later instance
//! begins with the memory that this left. Nothing of a sign-in is in it: it is made before the first one, of the configurations alone, without
//! anything granted, and without randomness. wasmtime's pre-initialiser (Wizer) writes that memory into a component, which is compiled like any
//! other; the plugin's file stays what it is.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::{Component, Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::call::{CallState, Callee};
use super::export::{Export, Exports, Linked, Prepare};
use super::load::{compiler_threads, give_back, translate};
use super::{CallError, Limits, LoadError, Plugin, Runtime, Shelf, self_test, sha256_hex};
use crate::capability::Grant;

/// Part of the key of what is kept: another number, and nothing that was prepared before is used.
const FORMAT: &str = "2";

/// Why a plugin isn't prepared. It does its work without, some microseconds later.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The call of `prepare`, or reading what it left, ended without an answer.
    #[error("preparation.prepare: {0}")]
    Call(CallError),
    /// It has read fewer configurations than it got.
    #[error("preparation.prepare has read {read} of {given} configurations")]
    Unread {
        /// How many, by its own word.
        read: usize,
        /// The configurations of all providers, and the self-test's.
        given: usize,
    },
    /// Every instance would begin with more memory than leaves a call enough of its own: a crowd would take it from what all calls share.
    #[error(
        "instances would begin with {bytes} bytes of memory, and may with {limit}: fewer or shorter rules take less"
    )]
    TooLarge {
        /// Linear memory that `prepare` left.
        bytes: usize,
        /// [`Limits::memory_first_bytes`].
        limit: usize,
    },
    /// The pre-initialiser doesn't take such a component.
    #[error("the pre-initialiser refuses it: {0}")]
    Unsuitable(String),
    /// What was made of it isn't taken.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It took too long.
    #[error("it took longer than {} s", .0.as_secs())]
    Timeout(Duration),
    /// The work broke off.
    #[error("it broke off: {0}")]
    Broken(String),
}

impl PrepareError {
    /// A stable name, for the metric.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Call(error) => error.code(),
            Self::Unread { .. } => "unread",
            Self::TooLarge { .. } => "too_large",
            Self::Unsuitable(_) => "unsuitable",
            Self::Load(error) => error.code(),
            Self::Timeout(_) => "timeout",
            Self::Broken(_) => "broken",
        }
    }

    /// Whether it would end in the same way again. Else the machine, or a crowd, may have been the cause.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Call(error) => error.is_of_the_instance(),
            Self::Unread { .. } | Self::TooLarge { .. } | Self::Unsuitable(_) => true,
            Self::Load(_) | Self::Timeout(_) | Self::Broken(_) => false,
        }
    }
}

impl Plugin {
    /// Whether it can be prepared at all.
    pub fn is_preparable(&self) -> bool {
        self.original().exports.has(Export::Prepare)
    }

    /// Has it prepared for these configurations, in place of those before, anew: that takes a second or two of one core. Calls go on meanwhile.
    pub async fn prepare(&self, providers: &[String], place: Option<&Shelf>) -> Result<(), PrepareError> {
        let (runtime, bytes, path) = (Arc::clone(self.runtime()), Arc::clone(self.bytes()), self.path().to_owned());
        // What is prepared is to be what the self-test tries.
        let tried = self_test::configuration().map_err(PrepareError::Broken)?;
        let configurations: Vec<String> = providers.iter().cloned().chain([tried]).collect();
        // Two components are compiled.
        let limit = runtime.limits().compile_wall.saturating_mul(2);
        let making = async {
            // Held by the thread itself, as when a plugin is compiled.
            let permit = runtime.compiler().lock_owned().await;
            let runtime = Arc::clone(&runtime);
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let prepared = snapshot(&runtime, &bytes, &configurations);
                let component = prepared.and_then(|prepared| Ok(translate(&runtime, &path, &prepared)?));
                give_back();
                component
            })
            .await
        };
        let component = match tokio::time::timeout(limit, making).await {
            Ok(Ok(component)) => component?,
            Ok(Err(error)) => return Err(PrepareError::Broken(error.to_string())),
            Err(_) => return Err(PrepareError::Timeout(limit)),
        };
        let key = self.key(providers);
        self.begin_as(&component, key.clone()).await?;
        if let Some(place) = place.cloned() {
            let runtime = Arc::clone(self.runtime());
            let keeping = move || place.keep_prepared(runtime.engine(), &key, &component);
            // If that broke off, it is made anew at the next start.
            let _ = tokio::task::spawn_blocking(keeping).await;
        }
        Ok(())
    }

    /// The same, of what the shelf keeps: whether that is there.
    pub async fn prepare_from(&self, place: &Shelf, providers: &[String]) -> Result<bool, PrepareError> {
        let key = self.key(providers);
        let (runtime, place, named) = (Arc::clone(self.runtime()), place.clone(), key.clone());
        let found = tokio::task::spawn_blocking(move || place.compiled(runtime.engine(), &named)).await;
        match found {
            Ok(Some(component)) => self.begin_as(&component, key).await.map(|()| true),
            _ => Ok(false),
        }
    }

    /// Whether it is prepared for these.
    pub fn is_prepared_for(&self, providers: &[String]) -> bool {
        self.beginning().prepared_for() == Some(&self.key(providers))
    }

    /// Whether it is prepared, whatever for.
    pub fn begins_prepared(&self) -> bool {
        self.beginning().prepared_for().is_some()
    }

    /// Whether what was prepared for these failed in use, and isn't used any more.
    pub fn was_given_up_for(&self, providers: &[String]) -> bool {
        self.beginning().was_given_up(&self.key(providers))
    }

    /// For other configurations it begins unprepared.
    pub(super) fn is_used_for(&self, providers: &[String]) {
        self.begins_unprepared_unless_for(&self.key(providers));
    }

    fn key(&self, providers: &[String]) -> String {
        // JSON has no zero byte: it separates.
        let named = [&[FORMAT.to_owned()], providers].concat().join("\0");
        format!("{}.{}", self.sha256(), sha256_hex(named.as_bytes()))
    }

    /// The snapshot is somebody else's work on the plugin: it signs somebody in before it is used, in one of the providers that it has read.
    async fn begin_as(&self, component: &Component, key: String) -> Result<(), PrepareError> {
        let twin = self.twin(component)?;
        let failed = |reason| LoadError::SelfTest { path: self.path().into(), reason };
        let bytes = twin.memory_at_first().await.map_err(|error| failed(error.to_string()))?;
        fits(bytes, self.runtime().limits())?;
        self_test::run(&twin).await.map_err(failed)?;
        self.begins_as(&twin, key);
        Ok(())
    }
}

fn fits(bytes: usize, limits: &Limits) -> Result<(), PrepareError> {
    let limit = limits.memory_first_bytes();
    if bytes > limit { Err(PrepareError::TooLarge { bytes, limit }) } else { Ok(()) }
}

/// The component with the memory that `prepare` leaves.
fn snapshot(runtime: &Runtime, bytes: &[u8], configurations: &[String]) -> Result<Vec<u8>, PrepareError> {
    let unsuitable = |error: wasmtime::Error| PrepareError::Unsuitable(format!("{error:#}"));
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(bytes).map_err(unsuitable)?;
    let scratch = Runtime::scratch(runtime.limits())?;
    let threads = compiler_threads()?;
    let compiled = threads.install(|| Component::from_binary(scratch.engine(), &instrumented));
    let component = compiled.map_err(|error| PrepareError::Broken(format!("{error:#}")))?;
    let exports = Exports::find(&component).map_err(PrepareError::Unsuitable)?;
    let linked = Linked { pre: scratch.linker().instantiate_pre(&component).map_err(unsuitable)?, exports };
    let callee = Callee { runtime: &scratch, linked: &linked };
    let limits = scratch.limits();
    let preparing = callee.run(Export::Prepare, Grant::preparation(), limits, async |store, instance| {
        let read = linked.exports.call::<Prepare>(instance, store, (configurations,)).await? as usize;
        let given = configurations.len();
        if read < given {
            return Ok(Err(PrepareError::Unread { read, given }));
        }
        if let Err(error) = fits(store.data().memory_bytes(), limits) {
            return Ok(Err(error));
        }
        // Its whole memory is read through calls.
        store.set_hostcall_fuel(limits.memory_bytes.saturating_mul(2));
        let written = wizer.snapshot_component(&context, &mut State { store, instance }).await;
        Ok(written.map_err(unsuitable))
    });
    // Not the service's: that may end meanwhile.
    let waiting = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let waiting = waiting.map_err(|error| PrepareError::Broken(error.to_string()))?;
    waiting.block_on(preparing).unwrap_or_else(|error| {
        // The scratch runtime's figures are nobody's.
        runtime.metrics().failed(Export::Prepare, &error);
        Err(PrepareError::Call(error))
    })
}

/// What the pre-initialiser asks an instance for, by the functions that it has put into it.
struct State<'a> {
    store: &'a mut Store<CallState>,
    instance: &'a Instance,
}

impl State<'_> {
    #[expect(
        clippy::expect_used,
        reason = "the pre-initialiser wrote these functions, and its trait knows no error; a panic ends this attempt alone"
    )]
    async fn call<A: Lift + Send + Sync + 'static>(&mut self, instance: &str, function: &str) -> A {
        let (_, instance) = self.instance.get_export(&mut *self.store, None, instance).expect("its instance");
        let (_, place) = self.instance.get_export(&mut *self.store, Some(&instance), function).expect("its function");
        let function = self.instance.get_typed_func::<(), (A,)>(&mut *self.store, place).expect("its type");
        function.call_async(&mut *self.store, ()).await.expect("it only reads").0
    }
}

impl ComponentInstanceState for State<'_> {
    async fn call_func_ret_list_u8(&mut self, instance: &str, function: &str, contents: impl FnOnce(&[u8]) + Send) {
        let list: WasmList<u8> = self.call(instance, function).await;
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, instance: &str, function: &str) -> i32 {
        self.call(instance, function).await
    }

    async fn call_func_ret_s64(&mut self, instance: &str, function: &str) -> i64 {
        self.call(instance, function).await
    }

    async fn call_func_ret_f32(&mut self, instance: &str, function: &str) -> u32 {
        self.call::<f32>(instance, function).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, instance: &str, function: &str) -> u64 {
        self.call::<f64>(instance, function).await.to_bits()
    }
}
