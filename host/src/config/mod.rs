//! The configuration: one TOML file, read at once, every problem with the key and the line. What the host needs it takes
//! out of a `[[provider]]` table; the rest is the component's, which validates it itself.

mod admin;
mod cloud;
mod credential;
mod directory;
mod error;
mod examination;
mod file;
mod handover;
mod limits;
mod logo;
mod plugins;
mod provider;
pub mod reference;
mod secret;
mod storage;
mod telemetry;
mod tls;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use url::Url;

pub use admin::AdminConfig;
pub use directory::{DirectoryApply, DirectoryConfig, LeaverBehavior, SyncTarget};
pub use error::{ConfigError, Problem};
pub use examination::Examination;
pub(crate) use file::locate_in as locate;
pub use limits::{LimitsConfig, Rate};
pub use logo::Logo;
pub use plugins::PluginsConfig;
pub use provider::{ApprovedLink, Provider, ProviderId, ProviderKind};
pub use secret::Secret;
pub use telemetry::TelemetryConfig;
pub use tls::TlsConfig;

use crate::client::TrustedProxies;
use crate::core_api::CoreSettings;
use crate::handover::{CoreOptions, LocalAccountSeed};
use crate::sandbox::Settings;
use crate::storage::StorageConfig;
use crate::upstream::UpstreamConfig;

/// Everything that an administrator says.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from.
    pub source: PathBuf,
    /// `<ENROLLMENT_URL>`: where browsers find this host, without a trailing slash. Never taken from a request.
    pub public_url: PublicUrl,
    /// Where to listen.
    pub listen: SocketAddr,
    /// The component: its file, or the folder of files.
    pub plugin: PathBuf,
    /// Whose plugins are loaded.
    pub plugins: PluginsConfig,
    /// The Defguard proxy behind this host, if there is one.
    pub upstream: Option<UpstreamConfig>,
    /// The reverse proxies in front whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// What one client, and all together, may ask.
    pub limits: LimitsConfig,
    /// The certificate of this host's own listener, if it speaks TLS.
    pub tls: Option<TlsConfig>,
    /// Where traces go, if anywhere.
    pub telemetry: Option<TelemetryConfig>,
    /// Durable state.
    pub storage: StorageConfig,
    /// What becomes of an identity.
    pub handover: HandoverConfig,
    /// At least one.
    pub providers: Vec<Provider>,
    /// What the sign-in page offers.
    pub pages: PagesConfig,
    /// Whether plain HTTP and loopback addresses are allowed for providers.
    pub loopback_http: bool,
    /// How to log.
    pub log: LogConfig,
    /// Where metrics are served, if anywhere.
    pub metrics_listen: Option<SocketAddr>,
    /// Where audit records go, if anywhere.
    pub audit_file: Option<PathBuf>,
    /// What is allowed and unwise.
    pub warnings: Vec<Problem>,
    /// The playground for administrators, if there is one.
    pub admin: Option<AdminConfig>,
}

/// `public_url`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Parses; `loopback_http` allows `http://127.0.0.1:…`.
    pub fn parse(text: &str, loopback_http: bool) -> Result<Self, String> {
        let url = Url::parse(text.trim()).map_err(|error| format!("{text:?} isn't a URL: {error}"))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(format!(
                "{text:?} has a path or query: the redirect URI is made from scheme, host and port only"
            ));
        }
        if !url.username().is_empty() || url.password().is_some() || url.host().is_none() {
            return Err(format!("{text:?} isn't of the form https://host or https://host:port"));
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if loopback_http && crate::capability::origin::is_loopback(&url) => Ok(Self(url)),
            "http" => Err(format!(
                "{text:?} isn't https: providers send codes to https addresses only (http://127.0.0.1:PORT is for \
                 development, with development.loopback_http = true)"
            )),
            scheme => Err(format!("{text:?} begins with {scheme}:, expected https:")),
        }
    }

    /// The origin, without a trailing slash.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Host and, if it isn't the scheme's own, port: what `Host` says.
    pub fn authority(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The host, as certificates name it: without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default().trim_matches(['[', ']'])
    }

    /// Whether it is an address of this machine that no other reaches.
    pub fn is_loopback(&self) -> bool {
        crate::capability::origin::is_loopback(&self.0)
    }

    /// Whether it is `https`.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }
}

/// `[handover]`.
#[derive(Debug, Clone)]
pub enum HandoverConfig {
    /// The host keeps accounts and mints tokens itself: demonstrations and tests.
    Local {
        /// Accounts that are there before anybody signs in.
        accounts: Vec<LocalAccountSeed>,
    },
    /// Defguard Core.
    Core {
        /// Where it is, and who this host is there.
        settings: Box<CoreSettings>,
        /// What is done there.
        options: CoreOptions,
    },
}

/// `[pages]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PagesConfig {
    /// Whether people may still begin with an enrollment token that they have; single sign-on only, if not.
    pub token_enrollment: bool,
    /// Who shows the page that a sign-in comes back to.
    pub callback: CallbackPage,
    /// The page of the Defguard proxy that takes such a token, if there is one beside ours.
    pub token_page: Option<String>,
}

/// `pages.callback`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackPage {
    /// This host: progress, the result, or what went wrong.
    Own,
    /// The proxy's web page, which calls our API. Errors of the provider, which that page drops, are shown by this host.
    Proxy,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// One JSON object a line instead of text.
    pub json: bool,
    /// As `RUST_LOG` has it: `info`, `debug`, `defguard_openid_host=debug`.
    pub level: String,
}

impl Config {
    /// Reads and checks a file. What the component must check is not checked here.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(path, &read(path)?)
    }

    /// Reads a file and says all that is to be said of it, be it good or not.
    pub fn examine(path: &Path) -> Result<Examination, ConfigError> {
        Ok(file::examine(path, &read(path)?))
    }

    /// As [`Config::load`], with the text at hand; relative paths count from the file's folder.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        file::parse(path, text)
    }

    /// Looks again at what keys mean for each other, after some of them were made what they were before.
    pub fn fits_together(&self) -> Result<(), ConfigError> {
        file::fits_together(self)
    }

    /// What a plugin has to fit.
    pub fn plugin_settings(&self) -> Settings {
        let providers = self.providers.iter().map(|one| (one.id.to_string(), one.component_json.clone())).collect();
        let with_directory = self.providers.iter().filter(|one| one.directory.is_some());
        let directories = with_directory.map(|one| one.id.to_string()).collect();
        let PluginsConfig { trust, self_test, .. } = self.plugins.clone();
        Settings { path: self.plugin.clone(), trust, self_test, providers, directories }
    }

    /// The path of a provider's callback: the first provider has the bare one that Defguard documents.
    pub fn callback_path(&self, provider: &ProviderId) -> String {
        match self.providers.first() {
            Some(first) if &first.id == provider => "/openid/callback".to_owned(),
            _ => format!("/openid/callback/{provider}"),
        }
    }

    /// The redirect URI to register for a provider.
    pub fn redirect_uri(&self, provider: &ProviderId) -> String {
        format!("{}{}", self.public_url.origin(), self.callback_path(provider))
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { file: path.into(), reason: error.to_string() })
}
