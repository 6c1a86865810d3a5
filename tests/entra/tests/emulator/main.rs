//! The emulator seen from outside, over HTTP: every endpoint's shape, every refusal, the whole code flow, roll-over, mischief, faults.
//! One binary, one module per subject; `support` holds the client's side.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support: a failure here is a failed test"
)]

mod assertions;
mod authorize;
mod binary;
mod client_assertion;
mod control;
mod discovery;
mod faults;
mod graph;
mod id_token;
mod key_set;
mod mischief;
mod support;
mod token_endpoint;
