//! Prints `docs/contract.md`.

use std::path::Path;

fn main() {
    print!("{}", conformance::contract_page::page(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit")));
}
