//! A host in this process: the real router, the real component, a configuration file of its own, and a clock that tests
//! move.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use defguard_openid_host::capability::{Clock, SystemClock};
use defguard_openid_host::gateway::StartError;
use defguard_openid_host::sandbox::{Limits, PrepareError};
use defguard_openid_host::service::Server;
use defguard_openid_host::storage::Storage;
use defguard_openid_host::{Config, Gateway, Live};
use tokio::net::TcpListener;

/// The machine's clock and an offset.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Moves it.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_unix_ms(&self) -> u64 {
        SystemClock.now_unix_ms().saturating_add_signed(self.0.load(Ordering::SeqCst))
    }
}

/// How a host is configured.
#[derive(Debug, Clone)]
pub struct HostOptions {
    /// `[[provider]]` tables: keys and TOML values; the key `secret` becomes a file.
    pub providers: Vec<Vec<(String, String)>>,
    /// Keys that go before those of the first provider.
    pub overrides: Vec<(String, String)>,
    /// `storage.url`.
    pub storage: String,
    /// Further lines of `[storage]`.
    pub storage_more: String,
    /// Bounds of the sandbox.
    pub limits: Limits,
    /// The component; by default the one under test.
    pub plugin: Option<PathBuf>,
    /// Without the first provider's client secret: another credential is among `overrides`.
    pub without_secret: bool,
    /// Further lines before the first table.
    pub top: String,
    /// The lines of `[handover]`.
    pub handover: String,
    /// The lines of `[plugins]`.
    pub plugins: String,
    /// Further files beside the configuration: name and content.
    pub files: Vec<(String, String)>,
    /// Further lines at the end of the file.
    pub more: String,
}

impl Default for HostOptions {
    fn default() -> Self {
        // A test runs few calls at once: a small pool starts faster.
        let limits = Limits { concurrent_calls: 64, ..Limits::default() };
        Self {
            providers: Vec::new(),
            overrides: Vec::new(),
            storage: "memory:".into(),
            storage_more: String::new(),
            limits,
            plugin: None,
            without_secret: false,
            top: String::new(),
            handover: "kind = \"local\"".into(),
            // As on a developer's machine; who tests signatures has keys instead.
            plugins: "unsigned = \"allow\"".into(),
            files: Vec::new(),
            more: String::new(),
        }
    }
}

impl HostOptions {
    /// With one more provider.
    #[must_use]
    pub fn with_provider(mut self, provider: &[(String, String)]) -> Self {
        self.providers.push(provider.to_vec());
        self
    }

    /// With a key of the first provider set to a TOML value.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.overrides.push((key.into(), value.into()));
        self
    }

    /// With a storage.
    #[must_use]
    pub fn storage(mut self, url: &str) -> Self {
        self.storage = url.into();
        self
    }

    /// The configuration file's text.
    pub fn toml(&self, public_url: &str, folder: &std::path::Path) -> String {
        let plugin = self.plugin.clone().unwrap_or_else(crate::component);
        let mut text = format!(
            "public_url = {public_url:?}\nplugin = {plugin:?}\n{}\n[storage]\nurl = {:?}\n{}\n[handover]\n{}\n[audit]\nfile = \"audit.jsonl\"\n[development]\nloopback_http = true\n[plugins]\n{}\n",
            self.top, self.storage, self.storage_more, self.handover, self.plugins,
        );
        for (name, content) in &self.files {
            std::fs::write(folder.join(name), content).expect("the folder can be written");
        }
        for (position, provider) in self.providers.iter().enumerate() {
            let mut keys: BTreeMap<String, String> = provider.iter().cloned().collect();
            if position == 0 {
                keys.extend(self.overrides.iter().cloned());
            }
            if let Some(secret) = keys.remove("secret").filter(|_| position > 0 || !self.without_secret) {
                let file = format!("secret-{position}");
                std::fs::write(folder.join(&file), format!("{secret}\n")).expect("the folder can be written");
                keys.insert("client_secret_file".into(), format!("{file:?}"));
            }
            text.push_str("[[provider]]\n");
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").expect("a String takes it");
            }
        }
        text + &self.more
    }
}

/// A host that serves.
pub struct TestHost {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// `<ENROLLMENT_URL>`: the same, but for a twin.
    pub public_url: String,
    /// The service inside, as it started.
    pub gateway: Arc<Gateway>,
    /// What replaces it when the configuration changes.
    pub live: Arc<Live>,
    /// Its clock.
    pub clock: Arc<ManualClock>,
    /// Where its files are.
    pub folder: tempfile::TempDir,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for TestHost {
    fn drop(&mut self) {
        self.server.abort();
        crate::evidence::shown("audit", &self.audit());
    }
}

impl TestHost {
    /// Starts one; a configuration that is refused fails the test.
    pub async fn start(options: HostOptions) -> Self {
        Self::try_start(options).await.unwrap_or_else(|error| panic!("the host doesn't start: {error}"))
    }

    /// A second host behind the same address: the same configuration and storage, a cache and a plugin of its own.
    pub async fn twin(&self, options: HostOptions, storage: &Arc<dyn Storage>) -> Self {
        Self::try_start_at(options, Some(Arc::clone(storage)), Some(&self.public_url))
            .await
            .unwrap_or_else(|error| panic!("the second host doesn't start: {error}"))
    }

    /// A second host as browsers find it at another address, over a storage of its own.
    pub async fn twin_at(&self, public_url: &str, options: HostOptions) -> Self {
        Self::try_start_at(options, None, Some(public_url))
            .await
            .unwrap_or_else(|error| panic!("the second host doesn't start: {error}"))
    }

    /// Starts one, or says why not.
    pub async fn try_start(options: HostOptions) -> Result<Self, StartError> {
        Self::try_start_over(options, None).await
    }

    /// As [`TestHost::try_start`], over another host's storage.
    pub async fn try_start_over(options: HostOptions, storage: Option<Arc<dyn Storage>>) -> Result<Self, StartError> {
        Self::try_start_at(options, storage, None).await
    }

    async fn try_start_at(
        options: HostOptions,
        storage: Option<Arc<dyn Storage>>,
        public_url: Option<&str>,
    ) -> Result<Self, StartError> {
        // A long run of records is kept only if somebody wants to search it.
        if std::env::var_os("OPENID_EVIDENCE").is_some() {
            crate::logs::Logs::capture();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("a bound socket has an address"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("openid.toml");
        let public_url = public_url.unwrap_or(&url).to_owned();
        let text = options.toml(&public_url, folder.path());
        std::fs::write(&path, text).expect("the folder can be written");
        let config = Config::load(&path)?;
        let clock = Arc::new(ManualClock::default());
        let gateway_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let storage = match storage {
            Some(storage) => storage,
            None => config.storage.open(gateway_clock.now_unix_ms()).await?,
        };
        let gateway = Gateway::start_over(config, options.limits.clone(), gateway_clock, storage).await?;
        // For a run of all tests that signs everybody in with a prepared plugin: a service does so some seconds after its start.
        if std::env::var_os("OPENID_PREPARED").is_some() && gateway.plugin().is_preparable() {
            let providers = gateway.config().providers.iter().map(|provider| provider.component_json.clone());
            match gateway.plugin().prepare(&providers.collect::<Vec<_>>(), None).await {
                Ok(()) | Err(PrepareError::TooLarge { .. }) => {}
                Err(error) => panic!("the plugin can't be prepared: {error}"),
            }
        }
        let live = Live::over(Arc::clone(&gateway));
        let app = live.mount(defguard_openid_host::web::standalone);
        let server = Server::new(listener, gateway.config(), gateway.metrics().service());
        let server = tokio::spawn(async move {
            // Ends with the test.
            server.serve(app, std::future::pending(), std::time::Duration::ZERO).await;
        });
        Ok(Self { url, public_url, gateway, live, clock, folder, server })
    }

    /// The audit log so far.
    pub fn audit(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap_or_default()
    }

    /// What is to be registered with the providers.
    pub fn redirect_uris(&self) -> Vec<String> {
        let config = self.gateway.config();
        config.providers.iter().map(|provider| config.redirect_uri(&provider.id)).collect()
    }
}
