//! One loaded plugin: bytes from a file, checked, compiled, and linked so that an instance costs microseconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::allocator;
use super::answer::{Bounded, authorization};
use super::bindings::PluginPre;
use super::bindings::exports::defguard::openid::{configuration, directory, login};
use super::call::{CallState, Callee};
use super::export::Export;
use super::form::{self, FormError};
use super::{CallError, LoadError, Runtime};
use crate::capability::Grant;
use crate::text::clean;

/// Bytes of a name that a file gives to something, where it is shown.
const NAME_BYTES: usize = 128;

/// What the component says of itself.
pub type Description = configuration::Description;
/// What the component makes of claims that somebody wrote down.
pub type Preview = configuration::Preview;
/// What the component found out about a provider.
pub type Finding = configuration::Finding;
/// A problem that the component finds in a provider's configuration.
pub type Problem = configuration::Problem;

/// A component, ready to be called. Calls under way keep it alive when another one takes its place.
pub struct Plugin {
    runtime: Arc<Runtime>,
    pre: PluginPre<CallState>,
    sha256: String,
    path: PathBuf,
}

impl Plugin {
    /// Reads, checks and compiles the file at `path`, and asks the component to describe itself.
    pub async fn load(runtime: &Arc<Runtime>, path: &Path) -> Result<Self, LoadError> {
        let bytes = read(path, runtime.limits().plugin_bytes).await?;
        let sha256 = sha256_hex(&bytes);
        let (engine, owned_path) = (runtime.engine().clone(), path.to_path_buf());
        // Compiling takes a second or so of both cores: not on a worker that serves logins.
        let compiling = tokio::task::spawn_blocking(move || {
            let component = compile(&engine, &owned_path, &bytes);
            allocator::give_back();
            component
        });
        let component =
            compiling.await.map_err(|error| LoadError::Invalid { path: path.into(), reason: error.to_string() })??;
        refuse_foreign_imports(runtime, &component, path)?;
        let contract = |error: wasmtime::Error| LoadError::Contract { path: path.into(), reason: format!("{error:#}") };
        let pre = runtime.linker().instantiate_pre(&component).map_err(contract)?;
        let pre = PluginPre::new(pre).map_err(contract)?;
        let plugin = Self { runtime: Arc::clone(runtime), pre, sha256, path: path.into() };
        plugin.describe().await.map_err(|error| LoadError::Smoke { path: path.into(), reason: error.to_string() })?;
        Ok(plugin)
    }

    /// SHA-256 of the file, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Where it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The runtime that it was compiled by.
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    fn callee(&self) -> Callee<'_> {
        Callee { runtime: &self.runtime, pre: &self.pre }
    }

    /// `configuration.describe`.
    pub async fn describe(&self) -> Result<Description, CallError> {
        let called = self.callee().run(Export::Describe, Grant::nothing(), async |store, plugin| {
            plugin.defguard_openid_configuration().call_describe(store).await
        });
        Ok(called.await?.bounded())
    }

    /// `configuration.validate`.
    pub async fn validate(&self, provider: &str) -> Result<Vec<Problem>, CallError> {
        let called = self.callee().run(Export::Validate, Grant::nothing(), async |store, plugin| {
            plugin.defguard_openid_configuration().call_validate(store, provider).await
        });
        Ok(called.await?.bounded())
    }

    /// `configuration.map-claims`.
    pub async fn map_claims(
        &self,
        provider: &str,
        input: &str,
    ) -> Result<Result<configuration::Preview, Problem>, CallError> {
        let called = self.callee().run(Export::MapClaims, Grant::nothing(), async |store, plugin| {
            plugin.defguard_openid_configuration().call_map_claims(store, provider, input).await
        });
        Ok(called.await?.bounded())
    }

    /// `configuration.probe`.
    pub async fn probe(&self, grant: Grant, provider: &str) -> Result<Vec<configuration::Finding>, CallError> {
        let called = self.callee().run(Export::Probe, grant, async |store, plugin| {
            plugin.defguard_openid_configuration().call_probe(store, provider).await
        });
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
        let limits = self.runtime.directory_limits();
        let called = self.callee().run_within(Export::NextPage, grant, limits, async |store, plugin| {
            plugin.defguard_openid_directory().call_next_page(store, provider, read, cursor).await
        });
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
        let limits = Arc::new(self.runtime.limits().of_person(budget));
        let wall = limits.call_wall;
        let called = async {
            let asides = limits.asides();
            // The semaphore is never closed.
            let _aside = self.runtime.asides().acquire().await.map_err(|_| CallError::Busy(asides))?;
            let timeout_ms = u32::try_from(budget.as_millis()).unwrap_or(u32::MAX);
            let called = self.callee().run_within(Export::Person, grant, &limits, async |store, plugin| {
                plugin.defguard_openid_directory().call_person(store, provider, object_id, timeout_ms).await
            });
            called.await
        };
        Ok(tokio::time::timeout(wall, called).await.unwrap_or(Err(CallError::Timeout(wall)))?.bounded())
    }

    /// `directory.test-connection`.
    pub async fn test_connection(
        &self,
        grant: Grant,
        provider: &str,
    ) -> Result<Vec<configuration::Finding>, CallError> {
        let called = self.callee().run(Export::TestConnection, grant, async |store, plugin| {
            plugin.defguard_openid_directory().call_test_connection(store, provider).await
        });
        Ok(called.await?.bounded())
    }

    /// `login.begin`.
    pub async fn begin(
        &self,
        grant: Grant,
        request: &login::BeginRequest,
    ) -> Result<Result<login::Authorization, login::Refusal>, CallError> {
        let called = self.callee().run(Export::Begin, grant, async |store, plugin| {
            plugin.defguard_openid_login().call_begin(store, request).await
        });
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
        let called = self.callee().run(Export::Complete, grant, async |store, plugin| {
            plugin.defguard_openid_login().call_complete(store, request).await
        });
        Ok(called.await?.bounded())
    }

    /// An answer that isn't what the contract says, counted as the other ways to fail are.
    pub(crate) fn breaks_contract(&self, export: Export, broken: &'static str) -> CallError {
        let error = CallError::Contract(broken);
        self.runtime.metrics().failed(export, &error);
        error
    }

    /// An instance made and dropped, nothing called: for the bench.
    pub async fn instantiate_only(&self) -> Result<(), CallError> {
        self.callee().run(Export::Describe, Grant::nothing(), async |_, _| Ok(())).await
    }
}

async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    let unreadable = |error: std::io::Error| LoadError::Unreadable { path: path.into(), reason: error.to_string() };
    let found = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if found > limit {
        return Err(LoadError::TooLarge { path: path.into(), found, limit });
    }
    tokio::fs::read(path).await.map_err(unreadable)
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        use std::fmt::Write as _;
        // Writing to a String can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn compile(engine: &wasmtime::Engine, path: &Path, bytes: &[u8]) -> Result<Component, LoadError> {
    if wasmtime::Engine::detect_precompiled(bytes).is_some() {
        return Err(LoadError::Precompiled(path.into()));
    }
    form::check(bytes).map_err(|error| match error {
        FormError::Malformed(reason) => LoadError::Invalid { path: path.into(), reason },
        FormError::Excessive(reason) => LoadError::Form { path: path.into(), reason },
    })?;
    // `from_binary`, not `new`: the text format is never taken for a plugin.
    Component::from_binary(engine, bytes)
        .map_err(|error| LoadError::Invalid { path: path.into(), reason: format!("{error:#}") })
}

/// Says which import is foreign; the linker would refuse it as well, in wasmtime's words.
fn refuse_foreign_imports(runtime: &Runtime, component: &Component, path: &Path) -> Result<(), LoadError> {
    let engine = runtime.engine();
    for (name, item) in component.component_type().imports(engine) {
        let ours = name.starts_with("defguard:openid/") && matches!(item.ty, ComponentItem::ComponentInstance(_));
        if !ours {
            return Err(LoadError::ForeignImport { path: path.into(), import: clean(name, NAME_BYTES) });
        }
    }
    Ok(())
}
