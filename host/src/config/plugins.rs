//! `[plugins]`: whose plugins are loaded, and where the host keeps what it knows of them. Without a trusted key nothing is loaded,
//! unless a development machine says that anything may be.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::file::Reader;
use super::reference::names;
use super::{Config, Problem, PublicUrl};
use crate::sandbox::{Trust, TrustedKey};
use crate::storage::{StorageConfig, StorageUrl};

/// Of whether plugins need a signature.
const PATH: &str = "plugins.unsigned";
const SIGN_HINT: &str = "sign the plugin (`defguard-openid plugin sign`) and name the key in plugins.trusted_keys";

/// `[plugins]`.
#[derive(Debug, Clone, PartialEq)]
pub struct PluginsConfig {
    /// Whose plugins are loaded.
    pub trust: Trust,
    /// Whether a plugin has to sign somebody in at a built-in provider before it is used.
    pub self_test: bool,
    /// The host's own folder: former plugins, compiled code, which one is in use. `None`: it has none.
    pub folder: Option<PathBuf>,
    /// Whether the folder was named: then it has to be usable.
    pub folder_is_named: bool,
    /// Whether what happens is noted there: what a command only tries is not.
    pub notes: bool,
}

/// What `[plugins]` depends on.
pub(super) struct About<'a> {
    pub(super) loopback_http: bool,
    pub(super) public_url: Option<&'a PublicUrl>,
    pub(super) listen: Option<SocketAddr>,
    pub(super) storage: Option<&'a StorageConfig>,
}

pub(super) fn read(reader: &mut Reader, table: &Table, about: &About<'_>) -> Option<PluginsConfig> {
    let plugins = reader.table(table, "plugins", &names("plugins"));
    let (keys, from_file) = (trusted_keys(reader, &plugins), trusted_keys_file(reader, &plugins));
    let unsigned_allowed = unsigned(reader, &plugins, about);
    let self_test = !plugins.contains_key("self_test") || reader.flag(&plugins, "plugins", "self_test");
    if !self_test {
        let hint = "a plugin that signs in whom it shouldn't is found by it; leave the key out";
        warn(reader, "plugins.self_test", "plugins are used without the self-test", hint);
    }
    let folder_is_named = plugins.contains_key("folder");
    let folder = if folder_is_named {
        Some(reader.text(&plugins, "plugins", "folder").map(|path| reader.resolve(&path))?)
    } else {
        about.storage.and_then(beside)
    };
    Some(PluginsConfig {
        trust: Trust { keys: [keys?, from_file?].concat(), unsigned_allowed: unsigned_allowed? },
        self_test,
        folder,
        folder_is_named,
        notes: true,
    })
}

/// Beside a storage that is a file: `state.plugins` beside `state.redb`; with Redis, in this host's own folder.
fn beside(storage: &StorageConfig) -> Option<PathBuf> {
    match &storage.url {
        StorageUrl::Redb(path) => Some(Path::with_extension(path, "plugins")),
        StorageUrl::Redis(_) => storage.folder.as_ref().map(|folder| folder.join("plugins")),
        StorageUrl::Memory => None,
    }
}

fn trusted_keys(reader: &mut Reader, plugins: &Table) -> Option<Vec<TrustedKey>> {
    const PATH: &str = "plugins.trusted_keys";
    let hint = "a list of public keys as minisign writes them, the second line of minisign.pub: [\"RW…\"]";
    let items = match plugins.get("trusted_keys") {
        None => return Some(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => {
            reader.problem(PATH, format!("expected a list of texts, found {}", other.type_str()), hint);
            return None;
        }
    };
    let parsed: Vec<_> = items
        .iter()
        .map(|item| match item.as_str() {
            Some(text) => TrustedKey::parse(text),
            None => Err(format!("expected texts, found {}", item.type_str())),
        })
        .collect();
    let mut keys = Some(Vec::new());
    for key in parsed {
        match key {
            Ok(key) => keys.iter_mut().for_each(|keys| keys.push(key.clone())),
            Err(message) => {
                reader.problem(PATH, message, hint);
                keys = None;
            }
        }
    }
    keys
}

/// The key of a `minisign.pub`, as a package brings it beside its plugin.
fn trusted_keys_file(reader: &mut Reader, plugins: &Table) -> Option<Vec<TrustedKey>> {
    const PATH: &str = "plugins.trusted_keys_file";
    if !plugins.contains_key("trusted_keys_file") {
        return Some(Vec::new());
    }
    let file = reader.text(plugins, "plugins", "trusted_keys_file").map(|path| reader.resolve(&path))?;
    let wrong = match std::fs::read_to_string(&file) {
        Err(error) => format!("{} can't be read: {error}", file.display()),
        Ok(text) => {
            let lines = text.lines().map(str::trim);
            let keys = lines.filter(|line| !line.is_empty() && !line.starts_with("untrusted comment:"));
            match keys.map(TrustedKey::parse).collect::<Result<Vec<_>, _>>() {
                Ok(keys) if keys.is_empty() => format!("{} holds no key", file.display()),
                Ok(keys) => return Some(keys),
                Err(message) => format!("{}: {message}", file.display()),
            }
        }
    };
    reader.problem(
        PATH,
        wrong,
        "a minisign.pub: `defguard-openid plugin sign --new-key FILE` makes one beside the secret key",
    );
    None
}

/// `"allow"` is for one's own machine: nobody else may be able to sign in by a plugin that nobody signed.
fn unsigned(reader: &mut Reader, plugins: &Table, about: &About<'_>) -> Option<bool> {
    if !plugins.contains_key("unsigned") {
        return Some(false);
    }
    match reader.text(plugins, "plugins", "unsigned")?.as_str() {
        "refuse" => return Some(false),
        "allow" => {}
        other => {
            reader.problem(PATH, format!("{other:?} is none of \"refuse\", \"allow\""), "leave it out: \"refuse\"");
            return None;
        }
    }
    if let Some(open) = about.open_to_others() {
        reader.problem(PATH, not_here(open), SIGN_HINT);
        return None;
    }
    let hint = "whoever can write that file decides who signs in; in production: plugins.trusted_keys";
    warn(reader, PATH, "PLUGINS ARE LOADED WITHOUT A SIGNATURE: this is for development only", hint);
    Some(true)
}

impl About<'_> {
    /// What lets others come to this host, if anything does.
    fn open_to_others(&self) -> Option<&'static str> {
        let listens_here = self.listen.is_none_or(|listen| listen.ip().is_loopback());
        let is_here = self.public_url.is_none_or(PublicUrl::is_loopback);
        match (self.loopback_http, listens_here, is_here) {
            (false, _, _) => Some("development.loopback_http is off"),
            (_, false, _) => Some("`listen` is an address that others can reach"),
            (_, _, false) => Some("`public_url` isn't this machine's loopback address"),
            (true, true, true) => None,
        }
    }
}

fn not_here(open: &str) -> String {
    format!("\"allow\" is for development on one's own machine, and {open}")
}

/// The same of a configuration that was put together of two: a service that runs listens where it did.
pub(super) fn unsigned_still_fits(config: &Config) -> Option<Problem> {
    let Config { loopback_http, public_url, listen, storage, plugins, .. } = config;
    let about = About {
        loopback_http: *loopback_http,
        public_url: Some(public_url),
        listen: Some(*listen),
        storage: Some(storage),
    };
    let open = about.open_to_others().filter(|_| plugins.trust.unsigned_allowed)?;
    let message = format!("{} until a restart (listen = \"{listen}\")", not_here(open));
    Some(Problem::error(PATH, message, SIGN_HINT))
}

fn warn(reader: &mut Reader, path: &str, message: &str, hint: &str) {
    reader.problems.push(Problem { is_warning: true, ..Problem::error(path, message, hint) });
}
