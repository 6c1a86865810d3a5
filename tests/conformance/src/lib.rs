//! What the conformance tests, the demonstration and the benches share: a host with the real component, started in this
//! process, and a browser that is no more than HTTP and a jar of cookies.

pub mod address;
pub mod browser;
pub mod contract_page;
pub mod core;
pub mod crowd;
pub mod directory;
pub mod evidence;
pub mod history;
pub mod host;
pub mod logs;
pub mod oidc_provider;
pub mod raw;
pub mod redis;
pub mod service;
pub mod signing;
pub mod synced;

pub use self::core::EntraAndCore;
pub use self::redis::RedisServer;
pub use address::free_address;
pub use browser::{Answer, Browser};
pub use host::{HostOptions, ManualClock, TestHost};
pub use synced::Synced;

use std::path::PathBuf;

use entra_emulator::{Control, Emulator, Seed, fixtures};

/// Of the workspace, and so of the component.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The component under test: `target/openid.wasm`, or what `OPENID_WASM` names.
pub fn component() -> PathBuf {
    let path = std::env::var_os("OPENID_WASM")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/openid.wasm")), PathBuf::from);
    assert!(path.exists(), "{} isn't there: run `./build.sh build`", path.display());
    path
}

/// The Entra emulator and a host that is configured for its tenant.
pub struct Entra {
    /// Entra.
    pub entra: Emulator,
    /// The host.
    pub host: TestHost,
    _confession: Confession,
}

/// Tells the evidence every secret that went through an emulator, when that is done with.
struct Confession(Control);

impl Drop for Confession {
    fn drop(&mut self) {
        for confidential in self.0.confidential() {
            evidence::secret(&format!("{:?}", confidential.kind), &confidential.value);
        }
    }
}

impl Entra {
    /// Both, as `options` say; `{tenant}` in `provider` lines is the tenant's GUID.
    pub async fn start(options: HostOptions) -> Self {
        Self::start_seeded(Seed::demo(), options).await
    }

    /// As [`Entra::start`], with other people.
    pub async fn start_seeded(seed: Seed, options: HostOptions) -> Self {
        let entra = Emulator::start(seed).await.expect("the emulator starts");
        let provider = entra_provider(&entra);
        Self::over(entra, options.with_provider(&provider)).await
    }

    /// An emulator and a host that knows it already.
    pub async fn over(entra: Emulator, options: HostOptions) -> Self {
        let host = TestHost::start(options).await;
        register(&entra, &host);
        let confession = Confession(entra.control());
        Self { entra, host, _confession: confession }
    }

    /// As [`Entra::start`], with nothing changed.
    pub async fn plain() -> Self {
        Self::start(HostOptions::default()).await
    }

    /// A new browser.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.host.url)
    }
}

/// Registers a host's redirect URI with the emulator's applications.
pub fn register(entra: &Emulator, host: &TestHost) {
    for client in [fixtures::CLIENT_ID, fixtures::MULTI_TENANT_CLIENT_ID] {
        for uri in host.redirect_uris() {
            entra.control().add_redirect_uri(client, &uri).expect("the application is there");
        }
    }
}

/// The `[[provider]]` lines for the emulator's tenant; a test's own lines follow and go before them.
pub fn entra_provider(entra: &Emulator) -> Vec<(String, String)> {
    let text = |text: &str| format!("{text:?}");
    vec![
        ("id".into(), text("entra")),
        ("kind".into(), text("microsoft")),
        ("base_url".into(), text(&entra.authority(fixtures::CONTOSO))),
        ("client_id".into(), text(fixtures::CLIENT_ID)),
        ("secret".into(), fixtures::CLIENT_SECRET.into()),
        ("cloud".into(), text("custom")),
        ("login_url".into(), text(entra.login_url())),
        ("graph_url".into(), text(entra.graph_url())),
    ]
}
