//! The way in: from bytes to a plugin that has passed every check. Each step can only say no; nothing here changes what is in
//! use. The order is that of the price, and the signature comes before anything reads the bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

use super::bindings::exports::defguard::openid::configuration::Severity;
use super::candidate::Candidate;
use super::export::Linked;
use super::form::{self, FormError};
use super::plugin::{Identification, Plugin, Problem};
use super::signature::{SignedAs, Trust};
use super::{CallError, LoadError, Runtime, Shelf, self_test, shelf};

pub(super) use super::allocator::give_back;
use crate::text::clean;

/// Bytes of a name that a file gives to something, where it is shown.
const NAME_BYTES: usize = 128;

/// What a plugin has to fit.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its file, or the folder of files.
    pub path: PathBuf,
    /// Whose plugins are loaded.
    pub trust: Trust,
    /// Whether it has to pass the self-test.
    pub self_test: bool,
    /// Provider id and configuration, as the component gets them.
    pub providers: Vec<(String, String)>,
    /// Ids of the providers whose directory is read.
    pub directories: Vec<String>,
}

/// A file whose signature is trusted, before anything was made of it.
pub struct Checked {
    /// What was read.
    pub candidate: Candidate,
    /// What its signature says; `None`: it has none, and needs none.
    pub signed: Option<SignedAs>,
}

impl Checked {
    /// Checks the signature.
    pub fn new(candidate: Candidate, trust: &Trust) -> Result<Self, LoadError> {
        let signature = candidate.signature.as_deref();
        match trust.check(&candidate.file, &candidate.bytes, signature) {
            Ok(signed) => Ok(Self { candidate, signed }),
            Err(reason) => Err(LoadError::Signature { path: candidate.path, reason }),
        }
    }

    /// Newer ones have more: signed ones by the signer's clock, the others by the file's time.
    pub fn age_key(&self) -> (u64, Option<std::time::SystemTime>) {
        (self.signed.as_ref().map_or(0, |signed| signed.signed_at_unix_s), self.candidate.modified)
    }
}

impl Plugin {
    /// Reads, checks and compiles the file at `path`, and asks the component to describe itself. Its signature, the configuration
    /// and the self-test are [`examine`]'s.
    pub async fn load(runtime: &Arc<Runtime>, path: &Path) -> Result<Self, LoadError> {
        let candidate = Candidate::read(path, runtime.limits().plugin_bytes).await?;
        build(runtime, Checked { candidate, signed: None }, None).await
    }
}

/// Every step after the signature: a plugin that may take over, or the first reason why not.
pub async fn examine(
    runtime: &Arc<Runtime>,
    checked: Checked,
    settings: &Settings,
    shelf: Option<&Shelf>,
) -> Result<Plugin, LoadError> {
    let plugin = build(runtime, checked, shelf).await?;
    accepts(&plugin, settings).await?;
    if settings.self_test {
        let failed = |reason| LoadError::SelfTest { path: plugin.path().into(), reason };
        self_test::run(&plugin).await.map_err(failed)?;
    }
    Ok(plugin)
}

/// Compiles, links, and asks it who it is.
async fn build(runtime: &Arc<Runtime>, checked: Checked, shelf: Option<&Shelf>) -> Result<Plugin, LoadError> {
    let Checked { candidate, signed } = checked;
    let path = candidate.path.clone();
    let component = compile(runtime, &candidate, shelf).await?;
    refuse_foreign_imports(runtime, &component, &path)?;
    let contract = |reason: String| LoadError::Contract { path: path.clone(), reason };
    let smoke = |error: CallError| LoadError::Smoke { path: path.clone(), reason: error.to_string() };
    let linked = Linked::new(runtime, &component).map_err(contract)?;
    let plugin = {
        let bytes = Arc::clone(&candidate.bytes);
        Plugin::new(Arc::clone(runtime), linked, bytes, Identification::unknown(candidate, signed))
    };
    plugin.check_types().await.map_err(smoke)?.map_err(contract)?;
    let description = plugin.describe().await.map_err(smoke)?;
    let plugin = plugin.named(description.name, description.version);
    refuse_misnamed(&plugin)?;
    Ok(plugin)
}

/// Compiling takes a second or so of all cores: not on a worker that serves logins, one at a time, and not for ever.
async fn compile(runtime: &Arc<Runtime>, candidate: &Candidate, shelf: Option<&Shelf>) -> Result<Component, LoadError> {
    let path = candidate.path.clone();
    if wasmtime::Engine::detect_precompiled(&candidate.bytes).is_some() {
        return Err(LoadError::Precompiled(path));
    }
    let limit = runtime.limits().compile_wall;
    let compiled = async {
        // Held by the thread itself: one that never ends keeps others from starting, and the service goes on.
        let permit = runtime.compiler().lock_owned().await;
        let (runtime, owned_path, bytes) = (Arc::clone(runtime), path.clone(), Arc::clone(&candidate.bytes));
        let (shelf, sha256) = (shelf.cloned(), candidate.sha256.clone());
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let engine = runtime.engine();
            if let Some(component) = shelf.as_ref().and_then(|shelf| shelf.compiled(engine, &sha256)) {
                return Ok(component);
            }
            let component = translate(&runtime, &owned_path, &bytes);
            if let (Some(shelf), Ok(component)) = (shelf, &component) {
                shelf.keep_compiled(engine, &sha256, component);
            }
            give_back();
            component
        })
        .await
    };
    match tokio::time::timeout(limit, compiled).await {
        Err(_) => Err(LoadError::CompileTimeout { path, limit }),
        Ok(Err(error)) => Err(LoadError::Invalid { path, reason: error.to_string() }),
        Ok(Ok(result)) => result,
    }
}

/// Threads to compile on, which end with this: what each of them had of the allocator would be theirs for as long as they live.
pub(super) fn compiler_threads() -> Result<rayon::ThreadPool, LoadError> {
    let pool = rayon::ThreadPoolBuilder::new().thread_name(|number| format!("compiler-{number}"));
    pool.build().map_err(|error| LoadError::Engine(format!("no threads to compile on: {error}")))
}

/// Machine code of what is formed as a plugin is.
pub(super) fn translate(runtime: &Runtime, path: &Path, bytes: &[u8]) -> Result<Component, LoadError> {
    form::check(bytes).map_err(|error| match error {
        FormError::Malformed(reason) => LoadError::Invalid { path: path.into(), reason },
        FormError::Excessive(reason) => LoadError::Form { path: path.into(), reason },
    })?;
    let invalid = |error: wasmtime::Error| LoadError::Invalid { path: path.into(), reason: format!("{error:#}") };
    // `from_binary`, not `new`: the text format is never taken for a plugin.
    let throwaway = runtime.compiler_engine().map_err(|error| LoadError::Engine(format!("{error:#}")))?;
    let threads = compiler_threads()?;
    let compiled = threads.install(|| Component::from_binary(&throwaway, bytes)).map_err(invalid)?;
    drop(throwaway);
    shelf::moved(runtime.engine(), compiled).map_err(invalid)
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

/// A signature for one plugin isn't good for another.
fn refuse_misnamed(plugin: &Plugin) -> Result<(), LoadError> {
    let Some((name, version)) = plugin.signed().and_then(|signed| signed.named.as_ref()) else { return Ok(()) };
    if (name.as_str(), version.as_str()) == (plugin.name(), plugin.version()) {
        return Ok(());
    }
    Err(LoadError::Misnamed {
        path: plugin.path().into(),
        signed: format!("{name} {version}"),
        found: format!("{} {}", plugin.name(), plugin.version()),
    })
}

/// Has the plugin look at each provider's configuration.
pub(super) async fn accepts(plugin: &Plugin, settings: &Settings) -> Result<(), LoadError> {
    let contract = plugin.contract();
    if let Some(provider) = settings.directories.first().filter(|_| !contract.has_directory()) {
        let (path, provider) = (plugin.path().into(), provider.clone());
        return Err(LoadError::NoDirectory { path, provider, contract: contract.as_str() });
    }
    let mut problems: Vec<(String, Problem)> = Vec::new();
    let refused = |provider: &str, problem: String, problems| LoadError::Configuration {
        path: plugin.path().into(),
        provider: provider.to_owned(),
        problem,
        problems,
    };
    for (provider, json) in &settings.providers {
        let found = plugin.validate(json).await.map_err(|error| refused(provider, error.to_string(), Vec::new()))?;
        let errors = found.into_iter().filter(|problem| problem.severity == Severity::Error);
        problems.extend(errors.map(|problem| (provider.clone(), problem)));
    }
    match problems.first() {
        None => Ok(()),
        Some((provider, problem)) => {
            let (provider, problem) = (provider.clone(), format!("{}: {}", problem.path, problem.message));
            Err(refused(&provider, problem, problems))
        }
    }
}

/// In hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}
