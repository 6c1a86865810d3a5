//! The sandbox: it turns a file into a checked component and runs calls of it, each in a fresh instance under the bounds
//! of [`limits`]. It knows nothing of HTTP routes, cookies or Defguard.

mod allocator;
mod answer;
pub mod bindings;
mod call;
mod engine;
mod error;
mod export;
mod form;
pub mod limits;
mod memory;
mod plugin;
mod reload;

pub use call::CallState;
pub use engine::Runtime;
pub use error::CallError;
pub use export::Export;
pub use limits::Limits;
pub(crate) use plugin::sha256_hex;
pub use plugin::{Description, Finding, Plugin, Preview, Problem};
pub use reload::{PluginSlot, watch};

use std::path::PathBuf;

/// Why a plugin can't be used. The one in use before, if any, stays.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// wasmtime can't run here.
    #[error("the WebAssembly engine can't start: {0}")]
    Engine(String),
    /// The file isn't there, or can't be read.
    #[error(
        "the plugin {path} can't be read: {reason}; `./build.sh build` makes target/openid.wasm, `plugin = …` in the configuration names the file"
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
    #[error("the plugin {path} doesn't fit the contract defguard:openid@0.1.0: {reason}")]
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
    },
}
