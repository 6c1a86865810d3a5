//! The sandbox: it turns a file into a checked component and runs calls of it, each in a fresh instance under the bounds
//! of [`limits`]. It knows nothing of HTTP routes, cookies or Defguard.

mod allocator;
mod answer;
mod beginning;
pub mod bindings;
mod call;
mod call_error;
pub mod candidate;
mod choice;
mod contract;
mod engine;
mod export;
mod form;
pub mod limits;
mod load;
mod load_error;
mod memory;
pub mod metrics;
mod plugin;
mod prepared;
mod preparing;
mod probation;
mod reload;
pub mod self_test;
pub mod shelf;
pub mod signature;

pub use call::CallState;
pub use call_error::CallError;
pub use candidate::Candidate;
pub use choice::{Choice, Refused, against, choose, choose_any, trusted};
pub use contract::ContractVersion;
pub use engine::Runtime;
pub use export::Export;
pub use limits::Limits;
pub(crate) use load::sha256_hex;
pub use load::{Checked, Settings, examine};
pub use load_error::LoadError;
pub use plugin::{Description, Finding, Plugin, Preview, Problem};
pub use prepared::PrepareError;
pub use preparing::keep_prepared;
pub(crate) use reload::first;
pub use reload::{Change, Looked, Plugins, watch};
pub use shelf::Shelf;
pub use signature::{Trust, TrustedKey};
