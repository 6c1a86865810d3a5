//! `plugin`: what lies in the plugin's folder and what the service makes of it, a file put into place, and the way back. If a service
//! runs over the same storage it is asked; else it is told by what is noted in the host's own folder.

mod sign;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{ConfigFile, Failure};
use crate::config::Config;
use crate::gateway::shelf;
use crate::sandbox::shelf::{Release, State, put};
use crate::sandbox::{Candidate, Limits, LoadError, Plugin, Runtime, Shelf, against, candidate, examine};
use crate::sandbox::{Checked, Settings};
use crate::storage::StorageConfig;
use crate::sync::control::{self, Answer, Ask, PluginAsk};
use crate::telemetry;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// The files that there are: whose, which is in use, which ones were
    List(List),
    /// Try a file: signature, imports, contract, the configuration, and a sign-in. Nothing is changed. Exit code 1: it would be refused
    Verify(FileOf),
    /// Try a file, and put it into place
    Load(FileOf),
    /// Back to the former plugin; the one in use isn't loaded again
    Rollback(Rollback),
    /// Sign a file, for those who trust the key
    Sign(sign::Sign),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    config: ConfigFile,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct FileOf {
    /// The component; its signature is FILE.minisig
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    config: ConfigFile,
    /// Noted with it
    #[arg(long, value_name = "TEXT", default_value = "rolled back by hand")]
    reason: String,
}

pub(super) async fn plugin(command: &PluginCommand) -> Result<ExitCode, Failure> {
    match command {
        PluginCommand::List(arguments) => list(arguments).await,
        PluginCommand::Verify(arguments) => {
            let bench = Bench::new(&arguments.config.config)?;
            println!("{}", Described::of(&bench.try_file(&arguments.file).await?.0));
            Ok(ExitCode::SUCCESS)
        }
        PluginCommand::Load(arguments) => load(arguments).await,
        PluginCommand::Rollback(arguments) => rollback(arguments).await,
        PluginCommand::Sign(arguments) => sign::sign(arguments).await,
    }
}

/// The configuration, and what tries a file under it.
struct Bench {
    config: Config,
    settings: Settings,
    runtime: Arc<Runtime>,
    /// Read only.
    shelf: Option<Shelf>,
    state: State,
}

impl Bench {
    fn new(path: &Path) -> Result<Self, Failure> {
        let mut config = Config::load(path)?;
        config.plugins.notes = false;
        telemetry::start(&config.log);
        for warning in &config.warnings {
            eprintln!("warning: {warning}");
        }
        let shelf = shelf(&config)?;
        let state = shelf.as_ref().map(Shelf::state).unwrap_or_default();
        let runtime = Arc::new(Runtime::new(Limits { concurrent_calls: 4, ..Limits::default() })?);
        Ok(Self { settings: config.plugin_settings(), config, runtime, shelf, state })
    }

    /// Everything that is tried before a plugin takes over.
    async fn try_file(&self, path: &Path) -> Result<(Plugin, Candidate), LoadError> {
        let candidate = Candidate::read(path, self.runtime.limits().plugin_bytes).await?;
        let checked = Checked::new(candidate.clone(), &self.settings.trust)?;
        if let Some(error) = against(&checked, &self.state) {
            return Err(error);
        }
        let plugin = examine(&self.runtime, checked, &self.settings, self.shelf.as_ref()).await?;
        Ok((plugin, candidate))
    }

    /// What the service says that runs, if one does.
    async fn ask(&self, ask: PluginAsk) -> Result<Option<Release>, Failure> {
        ask_service(&self.config.storage, ask).await
    }
}

async fn ask_service(storage: &StorageConfig, ask: PluginAsk) -> Result<Option<Release>, Failure> {
    match control::ask(storage, &Ask::Plugin(ask), |_| {}).await? {
        None => Ok(None),
        Some(Answer::Plugin(release)) => Ok(Some(release)),
        Some(Answer::Refused(reason)) => Err(reason.into()),
        Some(_) => Err("the service that runs answers something else: is it another version?".into()),
    }
}

/// A plugin that passed, for people.
struct Described(String);

impl Described {
    fn of(plugin: &Plugin) -> Self {
        let signature = match plugin.signed() {
            None => "not signed, which this configuration allows".to_owned(),
            Some(signed) => format!("signed by {} at {} (seconds since 1970)", signed.key, signed.signed_at_unix_s),
        };
        Self(format!(
            "{}: good\n    {} {}, sha256 {}\n    {signature}\n    imports nothing but the contract, takes this configuration, passes the self-test",
            plugin.path().display(),
            plugin.name(),
            plugin.version(),
            plugin.sha256()
        ))
    }
}

impl std::fmt::Display for Described {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One file of the folder.
#[derive(Debug, Serialize)]
struct Row {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_at_unix_s: Option<u64>,
    in_use: bool,
    /// Why it can't be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Listed {
    /// Whether a service says so, or what is noted.
    service: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_use: Option<Release>,
    former: Vec<Release>,
    set_aside: Vec<crate::sandbox::shelf::SetAside>,
    files: Vec<Row>,
}

async fn list(arguments: &List) -> Result<ExitCode, Failure> {
    let bench = Bench::new(&arguments.config.config)?;
    let asked = bench.ask(PluginAsk::Status).await?;
    let service = asked.is_some();
    let in_use = asked.or_else(|| bench.state.in_use.clone());
    let mut files = Vec::new();
    for path in candidate::files(&bench.settings.path)? {
        files.push(row(&bench, &path, in_use.as_ref()).await);
    }
    let State { former, set_aside, .. } = bench.state;
    let listed = Listed { service, in_use, former, set_aside, files };
    if arguments.json {
        println!("{}", serde_json::to_string(&listed)?);
    } else {
        print!("{}", text(&listed));
    }
    Ok(ExitCode::SUCCESS)
}

async fn row(bench: &Bench, path: &Path, in_use: Option<&Release>) -> Row {
    let mut row = Row {
        file: path.into(),
        sha256: None,
        name: None,
        version: None,
        signed_by: None,
        signed_at_unix_s: None,
        in_use: false,
        problem: None,
        code: None,
    };
    let looked = async {
        let candidate = Candidate::read(path, bench.runtime.limits().plugin_bytes).await?;
        row.sha256 = Some(candidate.sha256.clone());
        row.in_use = in_use.is_some_and(|in_use| in_use.sha256 == candidate.sha256);
        let checked = Checked::new(candidate, &bench.settings.trust)?;
        if let Some(signed) = &checked.signed {
            row.signed_by = Some(signed.key.clone());
            row.signed_at_unix_s = Some(signed.signed_at_unix_s);
        }
        if let Some(error) = against(&checked, &bench.state) {
            return Err(error);
        }
        // Nothing of the configuration is tried: that is `verify`'s.
        let settings = Settings { providers: Vec::new(), self_test: false, ..bench.settings.clone() };
        let plugin = examine(&bench.runtime, checked, &settings, bench.shelf.as_ref()).await?;
        row.name = Some(plugin.name().to_owned());
        row.version = Some(plugin.version().to_owned());
        Ok::<_, LoadError>(())
    };
    if let Err(error) = looked.await {
        row.code = Some(error.code());
        row.problem = Some(error.to_string());
    }
    row
}

fn text(listed: &Listed) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    // Writing to a String can't fail.
    for row in &listed.files {
        let mark = if row.in_use { "*" } else { " " };
        let who = match (&row.name, &row.version) {
            (Some(name), Some(version)) => format!("{name} {version}"),
            _ => "-".into(),
        };
        let signature = row.signed_by.as_ref().map_or_else(|| "not signed".into(), |key| format!("signed by {key}"));
        let _ = writeln!(text, "{mark} {}  {who}  {signature}", row.file.display());
        if let Some(sha256) = &row.sha256 {
            let _ = writeln!(text, "    sha256 {sha256}");
        }
        if let Some(problem) = &row.problem {
            let _ = writeln!(text, "    {problem}");
        }
    }
    let source = if listed.service { "by the service's word" } else { "when a service last ran" };
    match &listed.in_use {
        Some(release) => {
            let _ = writeln!(text, "in use, {source}: {} {}, sha256 {}", release.name, release.version, release.sha256);
        }
        None => text.push_str("no service runs here, and none is known to have run\n"),
    }
    for release in &listed.former {
        let _ = writeln!(text, "former: {} {}, sha256 {}", release.name, release.version, release.sha256);
    }
    for aside in &listed.set_aside {
        let _ = writeln!(text, "set aside: sha256 {}: {}", aside.sha256, aside.reason);
    }
    text
}

async fn load(arguments: &FileOf) -> Result<ExitCode, Failure> {
    let bench = Bench::new(&arguments.config.config)?;
    let (plugin, mut candidate) = bench.try_file(&arguments.file).await?;
    println!("{}", Described::of(&plugin));
    let place = &bench.settings.path;
    let target = if place.is_dir() { place.join(&candidate.file) } else { place.clone() };
    // minisign's own comments name the file, which may have another name there.
    candidate.file = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Checked::new(candidate.clone(), &bench.settings.trust)?;
    if target != arguments.file {
        put(&candidate, &target).map_err(|error| not_written(&target, &error))?;
    }
    match bench.ask(PluginAsk::Look).await? {
        Some(release) if release.sha256 == candidate.sha256 => println!("the service uses it"),
        Some(release) => {
            return Err(format!("the service stays with {} {}: its log says why", release.name, release.version).into());
        }
        None => println!("{}: in place; no service was found to ask, a running one looks by itself", target.display()),
    }
    Ok(ExitCode::SUCCESS)
}

fn not_written(target: &Path, error: &std::io::Error) -> String {
    let hint = match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "\n    let `plugin` be a folder of the user that runs this: plugin = \"/var/lib/defguard-openid/plugin\", as the package has it"
        }
        _ => "",
    };
    format!("{} can't be written: {error}{hint}", target.display())
}

async fn rollback(arguments: &Rollback) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&arguments.config.config)?;
    telemetry::start(&config.log);
    if let Some(release) =
        ask_service(&config.storage, PluginAsk::RollBack { reason: arguments.reason.clone() }).await?
    {
        println!("the service is back at {} {}, sha256 {}", release.name, release.version, release.sha256);
        return Ok(ExitCode::SUCCESS);
    }
    config.plugins.notes = true;
    // Without it there is no way back: why it can't be used is to be said, named or not.
    config.plugins.folder_is_named = true;
    let shelf = shelf(&config)?.ok_or(
        "no former plugin is known: the storage isn't a file, and there is no plugins.folder to remember plugins in",
    )?;
    let state = shelf.state();
    let Some((from, to)) = state.in_use.as_ref().zip(state.back_to()) else {
        return Err("there is no former plugin to go back to".into());
    };
    let (from, to) = (from.clone(), to.clone());
    // A start that can't use it would have no plugin at all.
    shelf.kept_and_trusted(&to, Limits::default().plugin_bytes, &config.plugins.trust).await?;
    shelf.change(|state| state.went_back(to.clone(), &from.sha256, &arguments.reason))?;
    println!(
        "{} {} is set aside: the next start uses {} {}, sha256 {}",
        from.name, from.version, to.name, to.version, to.sha256
    );
    println!("a service that runs over another storage goes back by itself");
    Ok(ExitCode::SUCCESS)
}
