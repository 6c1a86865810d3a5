//! A plugin that is prepared (`wit/preparation.wit`): it reads the configurations once, in an instance of its own, and every later instance
//! begins with the memory that this left. Nothing of a sign-in is in it: it is made before the first one, of the configurations alone, without
//! anything granted, and without randomness. wasmtime's pre-initialiser (Wizer) writes that memory into a component, which is compiled like any
//! other; the plugin's file stays what it is.

use std::sync::Arc;

use tokio::runtime::Handle;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentInstanceState, Wizer};

use super::call::{CallState, Callee};
use super::export::{Export, Exports, Linked, Prepare};
use super::load::{compiled_on_threads_that_end, give_back, translate};
use super::{LoadError, Plugin, Runtime, Shelf, self_test, sha256_hex};
use crate::capability::Grant;

/// Why a plugin isn't prepared. It does its work without, some microseconds later.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The call of `prepare` failed, or what it left can't be kept.
    #[error("{0}")]
    Snapshot(String),
    /// What was made of it isn't taken.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Plugin {
    /// Whether it can be prepared at all.
    pub fn is_preparable(&self) -> bool {
        self.original().exports.has(Export::Prepare)
    }

    /// Has it prepared for these configurations, in place of those before, anew: that takes a second or two of one core. Calls go on meanwhile.
    pub async fn prepare(&self, providers: &[String], place: Option<&Shelf>) -> Result<(), PrepareError> {
        let key = self.key(providers);
        let (runtime, bytes, path) = (Arc::clone(self.runtime()), Arc::clone(self.bytes()), self.path().to_owned());
        let (place, providers, named) = (place.cloned(), providers.to_vec(), key.clone());
        // Two components are compiled.
        let limit = runtime.limits().compile_wall.saturating_mul(2);
        let handle = Handle::current();
        let making = async {
            // Held by the thread itself, as when a plugin is compiled.
            let permit = runtime.compiler().lock_owned().await;
            let runtime = Arc::clone(&runtime);
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                let component = snapshot(&runtime, &bytes, &providers, &handle)
                    .map_err(|error| PrepareError::Snapshot(format!("{error:#}")))
                    .and_then(|prepared| Ok(translate(&runtime, &path, &prepared)?));
                if let (Some(place), Ok(component)) = (place, &component) {
                    place.keep_prepared(runtime.engine(), &named, component);
                }
                give_back();
                component
            })
            .await
        };
        let component = match tokio::time::timeout(limit, making).await {
            Ok(Ok(component)) => component?,
            Ok(Err(error)) => return Err(PrepareError::Snapshot(error.to_string())),
            Err(_) => return Err(PrepareError::Snapshot(format!("it took longer than {} s", limit.as_secs()))),
        };
        self.begin_as(&component, key).await
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
        self.prepared_for().is_some_and(|key| *key == self.key(providers))
    }

    fn key(&self, providers: &[String]) -> String {
        // JSON has no zero byte: it separates.
        format!("{}.{}", self.sha256(), sha256_hex(providers.join("\0").as_bytes()))
    }

    /// The snapshot is somebody else's work on the plugin: it signs somebody in before it is used.
    async fn begin_as(&self, component: &Component, key: String) -> Result<(), PrepareError> {
        let twin = self.twin(component)?;
        let failed = |reason| LoadError::SelfTest { path: self.path().into(), reason };
        self_test::run(&twin).await.map_err(failed)?;
        self.begins_as(&twin, key);
        Ok(())
    }
}

/// The component with the memory that `prepare` leaves.
fn snapshot(runtime: &Runtime, bytes: &[u8], providers: &[String], handle: &Handle) -> wasmtime::Result<Vec<u8>> {
    let wizer = Wizer::new();
    let (context, instrumented) = wizer.instrument_component(bytes)?;
    let scratch = Runtime::scratch(runtime.limits())?;
    let component = compiled_on_threads_that_end(scratch.engine(), &instrumented)?;
    let exports = Exports::find(&component).map_err(wasmtime::Error::msg)?;
    let linked = Linked { pre: scratch.linker().instantiate_pre(&component)?, exports };
    let callee = Callee { runtime: &scratch, linked: &linked };
    let preparing = callee.run(Export::Prepare, Grant::preparation(), scratch.limits(), async |store, instance| {
        linked.exports.call::<Prepare>(instance, store, (providers,)).await?;
        wizer.snapshot_component(&context, &mut State { store, instance }).await
    });
    Ok(handle.block_on(preparing)?)
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
