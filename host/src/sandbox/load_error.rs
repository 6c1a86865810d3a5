//! Why a plugin isn't loaded: each check of the way in has its own error, with a stable code and what to do.

use std::path::PathBuf;
use std::time::Duration;

use super::signature::SignatureError;

/// Why a plugin can't be used. The one in use before, if any, stays.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// wasmtime can't run here.
    #[error("the WebAssembly engine can't start: {0}")]
    Engine(String),
    /// The file isn't there, or can't be read.
    #[error(
        "the plugin {path} can't be read: {reason} (a package has one in /usr/share/defguard-openid, `./build.sh build` makes target/openid.wasm; the configuration's `plugin` names the file)"
    )]
    Unreadable {
        /// Where it was looked for.
        path: PathBuf,
        /// The system's words.
        reason: String,
    },
    /// The file is too large to be a plugin.
    #[error("the plugin {path} has {found} bytes, more than the {limit} allowed")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// It is compiled machine code: never loaded, whoever made it.
    #[error("the plugin {0} is precompiled machine code, which is never loaded: give the .wasm file")]
    Precompiled(PathBuf),
    /// It isn't a component, or not a valid one.
    #[error("the plugin {path} isn't a WebAssembly component: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The compiler's words.
        reason: String,
    },
    /// It isn't built as a plugin is, and could cost more to compile than it has bytes.
    #[error("the plugin {path} isn't built as a plugin is: {reason}")]
    Form {
        /// The file.
        path: PathBuf,
        /// What it has too many of.
        reason: String,
    },
    /// It imports more than the contract has.
    #[error("the plugin {path} imports {import}, which is not in the contract (wit/): it is refused, not given")]
    ForeignImport {
        /// The file.
        path: PathBuf,
        /// The import.
        import: String,
    },
    /// It doesn't fit the contract's types.
    #[error("the plugin {path} doesn't fit the contract defguard:openid (0.2.0, or 0.1.0): {reason}")]
    Contract {
        /// The file.
        path: PathBuf,
        /// What doesn't fit.
        reason: String,
    },
    /// It loads, and fails when asked to describe itself.
    #[error("the plugin {path} fails when asked to describe itself: {reason}")]
    Smoke {
        /// The file.
        path: PathBuf,
        /// How it failed.
        reason: String,
    },
    /// It refuses the configuration that is in use.
    #[error("the plugin {path} refuses the configuration of provider \"{provider}\": {problem}")]
    Configuration {
        /// The file.
        path: PathBuf,
        /// Provider id.
        provider: String,
        /// The first problem.
        problem: String,
        /// All of them, with their providers; none, if it failed while it looked.
        problems: Vec<(String, super::Problem)>,
    },
    /// It is built for a version of the contract that has no directory, and one is to be read.
    #[error(
        "the plugin {path} is built for the contract {contract}, which reads no directory, and provider \"{provider}\" has a [provider.directory]"
    )]
    NoDirectory {
        /// The file.
        path: PathBuf,
        /// Provider id.
        provider: String,
        /// Its version.
        contract: &'static str,
    },
    /// It isn't signed by anybody who is trusted.
    #[error("the plugin {path} {reason}")]
    Signature {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: SignatureError,
    },
    /// The signature names another plugin than the file is.
    #[error("the plugin {path} is signed as {signed}, and calls itself {found}")]
    Misnamed {
        /// The file.
        path: PathBuf,
        /// Name and version of the signature.
        signed: String,
        /// Name and version of the component.
        found: String,
    },
    /// There is nothing to go back to.
    #[error("there is no former plugin to go back to: {0}")]
    NoFormer(&'static str),
    /// What it would go back to isn't trusted any more.
    #[error(
        "the former plugin {name} (sha256 {sha256}) {reason}: it isn't used again; `defguard-openid plugin load` puts a plugin of a trusted key into place"
    )]
    FormerUntrusted {
        /// What it calls itself, with its version.
        name: String,
        /// Of its file.
        sha256: String,
        /// Why not.
        reason: SignatureError,
    },
    /// It was signed before the one that was last in use.
    #[error(
        "the plugin {path} was signed before the one last in use ({signed_at} is before {last}, seconds since 1970): it may have flaws that are mended; `defguard-openid plugin rollback` goes back deliberately"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// When it was signed, in seconds since 1970.
        signed_at: u64,
        /// When the other one was.
        last: u64,
    },
    /// It was rolled back.
    #[error("the plugin {path} was rolled back and isn't loaded again until its file changes: {reason}")]
    SetAside {
        /// The file.
        path: PathBuf,
        /// Why it was.
        reason: String,
    },
    /// The compiler takes too long.
    #[error("the plugin {path} wasn't compiled within {} s", .limit.as_secs())]
    CompileTimeout {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// A sign-in at the built-in provider goes wrong with it.
    #[error("the plugin {path} fails its self-test, a sign-in at a built-in provider: {reason}")]
    SelfTest {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}

impl LoadError {
    /// A stable name, for metrics and `--json`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Engine(_) => "engine",
            Self::Unreadable { .. } => "unreadable",
            Self::TooLarge { .. } => "too_large",
            Self::Precompiled(_) => "precompiled",
            Self::Invalid { .. } => "invalid",
            Self::Form { .. } => "form",
            Self::ForeignImport { .. } => "foreign_import",
            Self::Contract { .. } => "contract",
            Self::Smoke { .. } => "describe_failed",
            Self::Configuration { .. } => "configuration_refused",
            Self::NoDirectory { .. } => "no_directory",
            Self::Signature { reason, .. } => reason.code(),
            Self::Misnamed { .. } => "misnamed",
            Self::NoFormer(_) => "no_former",
            Self::FormerUntrusted { .. } => "former_untrusted",
            Self::Older { .. } => "older",
            Self::SetAside { .. } => "set_aside",
            Self::CompileTimeout { .. } => "compile_timeout",
            Self::SelfTest { .. } => "self_test_failed",
        }
    }
}
