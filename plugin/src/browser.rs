//! The playground's functions for JavaScript: the one file that knows wasm-bindgen. Text goes in, JSON comes out
//! ([`crate::playground`]); no decision is made here, nothing is kept, and nothing is imported but what the glue needs.
#![allow(unsafe_code, reason = "what the macro generates")]
#![allow(unreachable_pub, reason = "the macro wants `pub`; JavaScript reaches it")]

use serde::Serialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::playground;

/// [`playground::check`], as JSON.
#[wasm_bindgen]
pub fn check(configuration: &str, position: usize) -> String {
    json(&playground::check(configuration, position))
}

/// [`playground::preview`], as JSON; an input that can't be played is `{"problem": …}`.
#[wasm_bindgen]
pub fn preview(configuration: &str, position: usize, input: &str) -> String {
    match playground::preview(configuration, position, input) {
        Ok(preview) => json(&preview),
        Err(problem) => json(&serde_json::json!({ "problem": problem })),
    }
}

/// The version of the plugin that this page was built from.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

fn json(value: &impl Serialize) -> String {
    // Texts, numbers and lists of them: there is nothing that JSON can't say.
    serde_json::to_string(value).unwrap_or_default()
}
