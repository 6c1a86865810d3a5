//! The emulator seen from outside, over HTTP: what each call answers in both versions, every quirk, faults, control, program.
//! One binary, one module per subject; `support` holds the client's side.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test support: a failure here is a failed test"
)]

mod access;
mod admin;
mod binary;
mod control;
mod creation;
mod enrollment;
mod faults;
mod groups;
mod info;
mod modification;
mod support;
mod users;
