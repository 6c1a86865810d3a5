//! From TOML text to [`Config`]: collects every problem before it gives up, and finds the line of each key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use provider_table::{Lines, line_at};
use toml::{Table, Value};
use tracing_subscriber::filter::LevelFilter;

use super::examination::{self, Examination};
use super::reference::names;
use super::{CallbackPage, Config, ConfigError, LogConfig, PagesConfig, Problem, PublicUrl};
use super::{
    DirectoryApply, HandoverConfig, Provider, admin, handover, limits, plugins, provider, storage, telemetry, tls,
};
use crate::client::TrustedProxies;
use crate::upstream::UpstreamConfig;

/// Reads tables and remembers what was wrong.
pub(super) struct Reader {
    pub(super) folder: PathBuf,
    pub(super) problems: Vec<Problem>,
}

impl Reader {
    /// Notes a problem.
    pub(super) fn problem(&mut self, path: impl Into<String>, message: impl Into<String>, hint: &str) {
        self.problems.push(Problem::error(path, message, hint));
    }

    /// A key's text, if it is there.
    pub(super) fn text(&mut self, table: &Table, prefix: &str, key: &str) -> Option<String> {
        match table.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.problem(join(prefix, key), format!("expected a text in quotes, found {}", other.type_str()), "");
                None
            }
        }
    }

    /// True or false; false if it isn't there.
    pub(super) fn flag(&mut self, table: &Table, prefix: &str, key: &str) -> bool {
        match table.get(key) {
            None => false,
            Some(Value::Boolean(flag)) => *flag,
            Some(other) => {
                self.problem(join(prefix, key), format!("expected true or false, found {}", other.type_str()), "");
                false
            }
        }
    }

    /// A table, with these keys at most; empty if it isn't there.
    pub(super) fn table(&mut self, table: &Table, key: &str, known: &[&str]) -> Table {
        match table.get(key) {
            None => Table::new(),
            Some(Value::Table(inner)) => {
                self.refuse_unknown(inner, key, known);
                inner.clone()
            }
            Some(other) => {
                self.problem(key, format!("expected a table [{key}], found {}", other.type_str()), "");
                Table::new()
            }
        }
    }

    pub(super) fn refuse_unknown(&mut self, table: &Table, prefix: &str, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            self.problem(join(prefix, key), "unknown key", &format!("known here: {}", known.join(", ")));
        }
    }

    /// A list of tables `[[prefix.key]]`, each with its path; none if it isn't there.
    pub(super) fn rows(
        &mut self,
        table: &Table,
        prefix: &str,
        key: &str,
        known: &[&str],
    ) -> Option<Vec<(String, Table)>> {
        let path = join(prefix, key);
        let items = match table.get(key) {
            None => return Some(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(other) => {
                let hint = format!("write [[{path}]], with two brackets");
                self.problem(&path, format!("expected tables, found {}", other.type_str()), &hint);
                return None;
            }
        };
        let mut rows = Vec::new();
        for (position, item) in items.iter().enumerate() {
            let path = format!("{path}.{}", position + 1);
            match item {
                Value::Table(row) => {
                    self.refuse_unknown(row, &path, known);
                    rows.push((path, row.clone()));
                }
                other => self.problem(path, format!("expected a table, found {}", other.type_str()), ""),
            }
        }
        Some(rows)
    }

    /// A key's text that must be there and not be empty.
    pub(super) fn needed(&mut self, table: &Table, prefix: &str, key: &str, hint: &str) -> Option<String> {
        match self.text(table, prefix, key) {
            Some(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Some(_) => {
                self.problem(join(prefix, key), "empty", hint);
                None
            }
            None => {
                if !table.contains_key(key) {
                    self.problem(join(prefix, key), "missing", hint);
                }
                None
            }
        }
    }

    /// A path, counted from the configuration's folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }
}

/// `a.b`.
pub(super) fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let Examination { config, mut problems, .. } = examine(path, text);
    match config {
        Some(config) if problems.iter().all(|problem| problem.is_warning) => {
            Ok(Config { warnings: problems, ..config })
        }
        _ => {
            problems.retain(|problem| !problem.is_warning);
            Err(ConfigError::Invalid { file: path.into(), problems })
        }
    }
}

/// What keys mean for each other, of a configuration in which some stayed as they were: those of the file alone are in order.
pub(super) fn fits_together(config: &Config) -> Result<(), ConfigError> {
    let mut problems: Vec<Problem> = plugins::unsigned_still_fits(config).into_iter().collect();
    // The storage may be the former one as well.
    problems.extend(storage::mirrors_have_their_folder(&config.storage, &config.providers));
    if problems.is_empty() {
        return Ok(());
    }
    locate_in(&config.source, &mut problems);
    Err(ConfigError::Invalid { file: config.source.clone(), problems })
}

/// Everything that the host finds, whatever it finds.
pub(super) fn examine(path: &Path, text: &str) -> Examination {
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let mut reader = Reader { folder, problems: Vec::new() };
    let table = match text.parse::<Table>() {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map(|span| line_at(text, span.start));
            let problem =
                Problem { line, ..Problem::error("TOML", error.message(), "the file isn't valid TOML at this place") };
            return Examination { problems: vec![problem], ..Examination::default() };
        }
    };
    let config = read(&mut reader, path, &table);
    let mut problems = std::mem::take(&mut reader.problems);
    locate(text, &mut problems);
    // Said above, if there is something to say of it.
    let plugin = plugin(&mut reader, &table);
    Examination { config, problems, plugin, components: examination::components(&table) }
}

/// `apply = "core"` goes the hand-over's way to Core.
fn directories_have_their_core(reader: &mut Reader, handover: &HandoverConfig, providers: &[Provider]) {
    let to_core = |provider: &&Provider| {
        provider.directory.as_ref().is_some_and(|directory| directory.apply == DirectoryApply::Core)
    };
    if matches!(handover, HandoverConfig::Local { .. }) {
        for provider in providers.iter().filter(to_core) {
            let message = "there is no Defguard Core: handover.kind is \"local\"";
            let hint = "[handover] kind = \"core\"; or apply = \"file:PATH\": the state that Defguard would have after the run";
            reader.problem(format!("provider.{}.directory.apply", provider.id), message, hint);
        }
    }
}

fn read(reader: &mut Reader, path: &Path, table: &Table) -> Option<Config> {
    reader.refuse_unknown(table, "", &names(""));
    let development = reader.table(table, "development", &names("development"));
    let loopback_http = reader.flag(&development, "development", "loopback_http");
    let public_url = public_url(reader, table, loopback_http);
    let listen = listen(reader, table);
    let plugin = plugin(reader, table);
    let upstream = upstream(reader, table);
    let trusted_proxies = trusted_proxies(reader, table);
    let limits = limits::read(reader, table);
    let tls = tls::read(reader, table);
    let telemetry = telemetry::read(reader, table);
    let storage = storage::read(reader, table);
    let about = plugins::About { loopback_http, public_url: public_url.as_ref(), listen, storage: storage.as_ref() };
    let plugins = plugins::read(reader, table, &about);
    let handover = handover::read(reader, table, loopback_http);
    let log = log(reader, table);
    let metrics_listen = metrics_listen(reader, table);
    let audit = reader.table(table, "audit", &names("audit"));
    let audit_file = reader.text(&audit, "audit", "file").map(|file| reader.resolve(&file));
    if let Some(file) = &audit_file {
        in_a_folder(reader, "audit.file", file);
    }
    let pages = pages(reader, table, table.contains_key("upstream"));
    let admin = admin::read(reader, table, plugin.as_deref());
    let providers = provider::read_all(reader, table, loopback_http);
    if let Some(handover) = &handover {
        directories_have_their_core(reader, handover, &providers);
    }
    if let Some(storage) = &storage {
        reader.problems.extend(storage::mirrors_have_their_folder(storage, &providers));
    }
    Some(Config {
        source: path.into(),
        public_url: public_url?,
        listen: listen?,
        plugin: plugin?,
        plugins: plugins?,
        upstream: upstream?,
        trusted_proxies: trusted_proxies?,
        limits: limits?,
        tls: tls?,
        telemetry: telemetry?,
        storage: storage?,
        handover: handover?,
        providers,
        pages,
        loopback_http,
        log: log?,
        metrics_listen: metrics_listen?,
        audit_file,
        warnings: Vec::new(),
        admin: admin?,
    })
}

/// What the service makes when it starts needs a folder that is there.
pub(super) fn in_a_folder(reader: &mut Reader, key: &str, file: &Path) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The configuration's own was there when it was read.
    if folder != reader.folder && !folder.is_dir() {
        let message = format!("there is no folder {}", folder.display());
        reader.problem(key, message, "make it, and let the service's user, and nobody else, write there");
    }
}

fn public_url(reader: &mut Reader, table: &Table, loopback_http: bool) -> Option<PublicUrl> {
    let hint =
        "the address under which browsers reach this host, Defguard's <ENROLLMENT_URL>: https://enroll.example.com";
    let Some(text) = reader.text(table, "", "public_url") else {
        if !table.contains_key("public_url") {
            reader.problem("public_url", "missing", hint);
        }
        return None;
    };
    PublicUrl::parse(&text, loopback_http).map_err(|message| reader.problem("public_url", message, hint)).ok()
}

fn listen(reader: &mut Reader, table: &Table) -> Option<SocketAddr> {
    if !table.contains_key("listen") {
        return Some(SocketAddr::from(([127, 0, 0, 1], 8080)));
    }
    address(reader, table, "", "\"127.0.0.1:8080\"")
}

/// `[metrics]`: without that table there are none.
#[expect(clippy::option_option, reason = "wrong, switched off, or an address")]
fn metrics_listen(reader: &mut Reader, table: &Table) -> Option<Option<SocketAddr>> {
    if !table.contains_key("metrics") {
        return Some(None);
    }
    let metrics = reader.table(table, "metrics", &names("metrics"));
    if !metrics.contains_key("listen") {
        return Some(Some(SocketAddr::from(([127, 0, 0, 1], 9464))));
    }
    address(reader, &metrics, "metrics", "\"127.0.0.1:9464\"").map(Some)
}

/// `listen` of a table.
pub(super) fn address(reader: &mut Reader, table: &Table, prefix: &str, example: &str) -> Option<SocketAddr> {
    let text = reader.text(table, prefix, "listen")?;
    let wrong = format!("{text:?} isn't ADDRESS:PORT");
    text.parse().map_err(|_| reader.problem(join(prefix, "listen"), wrong, &format!("for example {example}"))).ok()
}

/// A file, or a folder of files.
fn plugin(reader: &mut Reader, table: &Table) -> Option<PathBuf> {
    let path = if table.contains_key("plugin") { reader.text(table, "", "plugin")? } else { "openid.wasm".to_owned() };
    Some(reader.resolve(&path))
}

/// `upstream`.
#[expect(clippy::option_option, reason = "wrong, none, or one")]
fn upstream(reader: &mut Reader, table: &Table) -> Option<Option<UpstreamConfig>> {
    if !table.contains_key("upstream") {
        return Some(None);
    }
    let text = reader.text(table, "", "upstream")?;
    let hint = "the Defguard proxy's own address, beside this host: \"http://127.0.0.1:8081\"";
    let authority = UpstreamConfig::parse(&text).map_err(|message| reader.problem("upstream", message, hint)).ok()?;
    Some(Some(UpstreamConfig { authority }))
}

fn trusted_proxies(reader: &mut Reader, table: &Table) -> Option<TrustedProxies> {
    let hint = "[\"10.0.0.0/8\"]: the reverse proxies in front of this host";
    let Some(value) = table.get("trusted_proxies") else { return Some(TrustedProxies::default()) };
    let Value::Array(items) = value else {
        reader.problem("trusted_proxies", format!("expected a list, found {}", value.type_str()), hint);
        return None;
    };
    let mut nets: Vec<IpNet> = Vec::new();
    for item in items {
        let text = item.as_str().unwrap_or_default();
        match text.parse().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from)) {
            Ok(net) if net.prefix_len() == 0 => {
                let message =
                    format!("{item} is everybody: whoever connects could write any address into X-Forwarded-For");
                reader.problem(
                    "trusted_proxies",
                    message,
                    "name the proxies that are in front of this host, and nobody else",
                );
            }
            Ok(net) => nets.push(net),
            Err(_) => reader.problem("trusted_proxies", format!("{item} is neither an address nor a network"), hint),
        }
    }
    (nets.len() == items.len()).then(|| nets.into())
}

fn pages(reader: &mut Reader, table: &Table, has_upstream: bool) -> PagesConfig {
    let pages = reader.table(table, "pages", &names("pages"));
    let callback = match reader.text(&pages, "pages", "callback").as_deref() {
        None | Some("own") => CallbackPage::Own,
        Some("proxy") if has_upstream => CallbackPage::Proxy,
        Some("proxy") => {
            reader.problem(
                "pages.callback",
                "there is no proxy behind this host",
                "upstream = \"http://…\", or \"own\"",
            );
            CallbackPage::Own
        }
        Some(other) => {
            reader.problem("pages.callback", format!("{other:?} is nobody"), "\"own\" or \"proxy\"");
            CallbackPage::Own
        }
    };
    let token_enrollment = !pages.contains_key("token_enrollment") || reader.flag(&pages, "pages", "token_enrollment");
    let token_page = reader.text(&pages, "pages", "token_page");
    if let Some(page) = token_page.as_deref().filter(|page| !page.starts_with('/') || page.starts_with("//")) {
        let message = format!("{page:?} isn't a path of this site");
        reader.problem("pages.token_page", message, "\"/enrollment-start\", where Defguard's proxy asks for a token");
    }
    // Where Defguard's proxy 1.6 asks for a token.
    let token_page = token_page.or_else(|| has_upstream.then(|| "/enrollment-start".to_owned()));
    PagesConfig { token_enrollment, callback, token_page }
}

fn log(reader: &mut Reader, table: &Table) -> Option<LogConfig> {
    let log = reader.table(table, "log", &names("log"));
    let json = match reader.text(&log, "log", "format").as_deref() {
        None | Some("text") => false,
        Some("json") => true,
        Some(other) => {
            reader.problem("log.format", format!("{other:?} is no format"), "\"text\" or \"json\"");
            return None;
        }
    };
    let level = reader.text(&log, "log", "level").unwrap_or_else(|| "info".into());
    // A word that is no level would be taken for a module's name, and switch everything else off.
    let is_directive = |part: &str| match part.split_once('=') {
        Some((_, level)) => level.parse::<LevelFilter>().is_ok(),
        None => part.parse::<LevelFilter>().is_ok(),
    };
    if !level.split(',').all(|part| is_directive(part.trim())) {
        reader.problem("log.level", format!("{level:?} is no level"), "error, warn, info, debug or trace");
        return None;
    }
    Some(LogConfig { json, level })
}

/// Fills in the lines: of the key, or of the nearest table around it that is there.
fn locate(text: &str, problems: &mut [Problem]) {
    let Some(lines) = Lines::parse(text) else { return };
    for problem in problems {
        problem.line = lines.of(&problem.path);
    }
}

/// Lines for problems that the component found, whose paths begin at the provider's table.
pub(crate) fn locate_in(file: &Path, problems: &mut [Problem]) {
    if let Ok(text) = std::fs::read_to_string(file) {
        locate(&text, problems);
    }
}
