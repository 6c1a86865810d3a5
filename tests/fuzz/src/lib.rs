//! What the fuzz targets assert, a module for each target: `check` takes a fuzzer's bytes and panics where a property
//! doesn't hold, `seeds` gives the inputs to begin with. It is a library so that seeds and findings run without a fuzzer
//! too (`tests/corpus.rs`, stable Rust). The worlds are those of the plugin's own tests.
//!
//! Inputs are text that people can read: a line of setting, then JSON or a script. What a fuzzer can't guess (the `state` of
//! a transaction, a signature) is written as a name with `@` and filled in by the target.

#![expect(clippy::unwrap_used, reason = "the harness's own arrangement may fail it")]

pub mod callback;
pub mod configuration;
pub mod cookies;
pub mod discovery;
pub mod expression;
pub mod json;
pub mod mapping;
pub mod token;

mod host;
mod properties;

/// Seeds: name and content.
pub type Seeds = Vec<(String, Vec<u8>)>;

/// A target: its name, its check, its seeds. A check says whether the input went all the way (a person is let in, a token is
/// good), so that a test can see that the harness reaches that far.
pub type Target = (&'static str, fn(&[u8]) -> bool, fn() -> Seeds);

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("callback", callback::check, callback::seeds),
    ("configuration", configuration::check, configuration::seeds),
    ("cookies", cookies::check, cookies::seeds),
    ("discovery", discovery::check, discovery::seeds),
    ("expression", expression::check, expression::seeds),
    ("mapping", mapping::check, mapping::seeds),
    ("token", token::check, token::seeds),
];

// The host's file as it is, without the host: what it imports from its crate stands in `host`.
#[path = "../../../host/src/web/cookies.rs"]
#[expect(clippy::redundant_pub_crate, reason = "private in the host's `web`")]
mod host_cookies;
pub(crate) use host::{config, sandbox};

#[path = "../../../plugin/tests/common/mod.rs"]
mod common;
#[path = "../../../plugin/tests/support/mod.rs"]
mod support;
