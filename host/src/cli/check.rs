//! `check`: every problem that can be found without a request, the host's and the component's, all at once.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anstream::{eprintln, println};
use clap::Args;
use serde::Serialize;

use super::style::{BAD, GOOD, WARN};
use super::{ConfigFile, Failure};
use crate::admin::{self, Site};
use crate::capability::{Clock as _, SystemClock};
use crate::config::{Config, Examination, HandoverConfig, Problem};
use crate::credential::notices;
use crate::gateway::{component_problems, shelf};
use crate::sandbox::{Limits, Refused, Runtime, Settings, Shelf, Trust, choose_any, first};
use crate::service::tls;

#[derive(Debug, Args)]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigFile,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// All that there is to say.
#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    good: bool,
    problems: Vec<Told>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plugin: Option<PluginReport>,
    /// Defguard Core's origin.
    #[serde(skip_serializing_if = "Option::is_none")]
    core: Option<String>,
    providers: Vec<ProviderReport>,
}

#[derive(Debug, Serialize)]
struct Told {
    severity: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
    #[serde(skip)]
    text: String,
}

#[derive(Debug, Serialize)]
struct PluginReport {
    path: PathBuf,
    name: String,
    version: String,
    sha256: String,
    /// Whose signature it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<String>,
}

#[derive(Debug, Serialize)]
struct ProviderReport {
    id: String,
    kind: &'static str,
    /// To be registered with the provider, to the letter.
    redirect_uri: String,
    may_reach: Vec<String>,
}

impl From<Problem> for Told {
    fn from(problem: Problem) -> Self {
        Self {
            severity: if problem.is_warning { "warning" } else { "error" },
            text: problem.to_string(),
            path: problem.path,
            line: problem.line,
            message: problem.message,
            hint: problem.hint,
        }
    }
}

pub(super) async fn check(arguments: &Check) -> Result<ExitCode, Failure> {
    let path = &arguments.config.config;
    let examined = Config::examine(path)?;
    let mut problems = examined.problems.clone();
    let plugin = match &examined.plugin {
        Some(file) => plugin(file, path, &examined, &mut problems).await,
        None => None,
    };
    if let Some(config) = &examined.config {
        problems.extend(expiring(config));
        problems.extend(certificate(config));
        problems.extend(admin(config));
    }
    crate::config::locate(path, &mut problems);
    // As they stand in the file; what has no line comes first.
    problems.sort_by_key(|problem| problem.line);
    let good = problems.iter().all(|problem| problem.is_warning) && plugin.is_some();
    let config = examined.config.as_ref().filter(|_| good);
    let report = Report {
        file: path.clone(),
        good,
        problems: problems.into_iter().map(Told::from).collect(),
        plugin,
        core: config.and_then(core),
        providers: config.map(providers).unwrap_or_default(),
    };
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Finds the component that the service would use, and adds what it finds in the providers' tables where the host found nothing.
async fn plugin(file: &Path, path: &Path, examined: &Examination, problems: &mut Vec<Problem>) -> Option<PluginReport> {
    let loaded = async {
        let runtime = Arc::new(Runtime::new(Limits::default()).map_err(|error| error.to_string())?);
        let (settings, shelf) = way_in(file, examined)?;
        let (plugin, _, refused) = choose_any(&runtime, &settings, shelf.as_ref())
            .await
            .map_err(|errors| first(errors, &settings).to_string())?;
        let mut found = Vec::new();
        for (prefix, json) in &examined.components {
            found.extend(component_problems(&plugin, prefix, json).await.map_err(|error| error.to_string())?);
        }
        Ok::<_, String>((plugin, refused, found))
    };
    match loaded.await {
        Ok((plugin, refused, mut found)) => {
            found.retain(|problem| !problems.iter().any(|known| known.path == problem.path));
            crate::config::locate(path, &mut found);
            problems.extend(found);
            problems.extend(refused.iter().map(passed_over));
            Some(PluginReport {
                path: plugin.path().into(),
                name: plugin.name().to_owned(),
                version: plugin.version().to_owned(),
                sha256: plugin.sha256().to_owned(),
                signed_by: plugin.signed().map(|signed| signed.key.clone()),
            })
        }
        Err(message) => {
            problems.push(Problem::error("plugin", message, ""));
            None
        }
    }
}

/// What a plugin has to fit: but for the configuration, whose problems are told one by one. Without `[plugins]` that can be read, any
/// plugin is good enough to look at the providers' tables.
fn way_in(file: &Path, examined: &Examination) -> Result<(Settings, Option<Shelf>), String> {
    let Some(config) = &examined.config else {
        let trust = Trust { keys: Vec::new(), unsigned_allowed: true };
        return Ok((
            Settings { path: file.into(), trust, self_test: false, providers: Vec::new(), directories: Vec::new() },
            None,
        ));
    };
    let mut config = config.clone();
    config.plugins.notes = false;
    let shelf = shelf(&config).map_err(|error| error.to_string())?;
    Ok((Settings { providers: Vec::new(), ..config.plugin_settings() }, shelf))
}

fn passed_over(refused: &Refused) -> Problem {
    let message = format!("a file is passed over: {}", refused.error);
    Problem { is_warning: true, ..Problem::error("plugin", message, "") }
}

/// What expires within a month, or has.
fn expiring(config: &Config) -> Vec<Problem> {
    let now_unix_s = SystemClock.now_unix_ms() / 1000;
    let notices = config.providers.iter().flat_map(|provider| {
        notices(provider, now_unix_s).into_iter().map(|notice| Problem {
            is_warning: true,
            ..Problem::error(format!("provider.{}", provider.id), notice.message, notice.hint)
        })
    });
    notices.collect()
}

/// The certificate of our own listener.
fn certificate(config: &Config) -> Vec<Problem> {
    const KEY: &str = "tls.certificate_file";
    let Some(tls) = &config.tls else { return Vec::new() };
    let now_unix_s = SystemClock.now_unix_ms() / 1000;
    let facts = match tls::examine(tls, &config.public_url) {
        Ok(facts) => facts,
        Err(error) => return vec![Problem::error(KEY, error.to_string(), "")],
    };
    let is_valid = (facts.not_before_unix_s..=facts.not_after_unix_s).contains(&now_unix_s);
    let told = |text: &str| Problem {
        is_warning: is_valid,
        ..Problem::error(KEY, format!("the certificate {text}"), if is_valid { "" } else { "renew it" })
    };
    tls::warnings(&facts, now_unix_s).into_iter().map(told).collect()
}

/// The playground, tried and not served.
fn admin(config: &Config) -> Option<Problem> {
    let admin = config.admin.as_ref()?;
    let tried = Site::load(&admin.playground, config).and_then(|site| admin::router(admin, site).map(drop));
    tried.err().map(|error| Problem::error("admin.playground", error.to_string(), ""))
}

fn core(config: &Config) -> Option<String> {
    match &config.handover {
        HandoverConfig::Core { settings, .. } => Some(settings.url.origin().ascii_serialization()),
        HandoverConfig::Local { .. } => None,
    }
}

fn providers(config: &Config) -> Vec<ProviderReport> {
    let report = |provider: &crate::config::Provider| ProviderReport {
        id: provider.id.to_string(),
        kind: provider.kind.as_str(),
        redirect_uri: config.redirect_uri(&provider.id),
        may_reach: provider.allowed.iter().map(Into::into).collect(),
    };
    config.providers.iter().map(report).collect()
}

fn print(report: &Report) {
    for problem in &report.problems {
        if problem.severity == "warning" {
            println!("{WARN}warning{WARN:#}: {}", problem.text);
        } else {
            eprintln!("{BAD}error{BAD:#}: {}", problem.text);
        }
    }
    let file = report.file.display();
    if !report.good {
        let errors = report.problems.iter().filter(|problem| problem.severity == "error").count();
        eprintln!("configuration {file}: {BAD}can't be used{BAD:#}, {errors} to put right");
        return;
    }
    println!("configuration {file}: {GOOD}good{GOOD:#}");
    if let Some(plugin) = &report.plugin {
        let signed =
            plugin.signed_by.as_ref().map_or_else(|| "NOT SIGNED".to_owned(), |key| format!("signed by {key}"));
        let PluginReport { path, name, version, sha256, .. } = plugin;
        println!("plugin {}: {name} {version}, sha256 {sha256}, {signed}", path.display());
    }
    if let Some(core) = &report.core {
        println!("hand-over: Defguard Core at {core}");
    }
    for provider in &report.providers {
        println!("provider {} ({}): redirect URI to register: {}", provider.id, provider.kind, provider.redirect_uri);
        println!("    may reach: {}", provider.may_reach.join(", "));
    }
}
