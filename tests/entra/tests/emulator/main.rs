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
mod batch;
mod binary;
mod claim_mischief;
mod client_assertion;
mod confidential;
mod control;
mod delta;
mod delta_client;
mod directory_lists;
mod discovery;
mod faults;
mod graph;
mod graph_directory;
mod graph_faults;
mod groups_claim;
mod id_token;
mod key_set;
mod member_groups;
mod mischief;
mod page_faults;
mod scale;
mod session;
mod support;
mod throttling;
mod token_endpoint;
