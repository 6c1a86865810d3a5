//! Plugins that misbehave, and what they are set upon: the real sandbox with real capabilities, and a server that counts
//! what reaches it. `guest/` is one plugin with many behaviours; `raw` makes plugins that break the encoding itself.

pub mod raw;
pub mod server;
pub mod stage;

use std::path::PathBuf;

pub use server::Server;
pub use stage::Stage;

/// The plugin of `guest/`: `target/hostile.wasm`, or what `OPENID_HOSTILE` names.
pub fn hostile() -> PathBuf {
    let path = std::env::var_os("OPENID_HOSTILE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/hostile.wasm")),
        PathBuf::from,
    );
    assert!(path.exists(), "{} isn't there: run `./build.sh test`", path.display());
    path
}

/// The client's secret in these tests, long enough to be searched for.
pub const SECRET: &str = "hostile-client-secret-0123456789";

/// A host whose plugin it is: it would fail the self-test at once, and what comes after is what matters here.
pub fn options() -> conformance::HostOptions {
    conformance::HostOptions {
        plugin: Some(hostile()),
        plugins: "unsigned = \"allow\"\nself_test = false".into(),
        ..conformance::HostOptions::default()
    }
}
