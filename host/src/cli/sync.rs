//! `sync`: one run by hand, or how the last one went. If a service runs over the same storage it is asked; else the run is made here.
//! Standard error shows how far it is; the last line of standard output is a JSON object.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};

use super::progress::Shown;
use super::{ConfigFile, Failure, REFUSED, difference, one_provider};
use crate::config::{Config, DirectoryApply};
use crate::gateway::Gateway;
use crate::storage::{StorageConfig, StorageUrl};
use crate::sync::control::{self, Answer, Ask};
use crate::sync::mirror::{Mirror, MirrorError};
use crate::sync::proposal::Proposal;
use crate::sync::status::Status;
use crate::sync::{self, Ended, Job, Outcome, Report};
use crate::telemetry;

/// The longest difference that is read, in bytes.
const MAX_PLAN: u64 = 512 << 20;

#[derive(Debug, Args)]
#[command(subcommand_negates_reqs = true, args_conflicts_with_subcommands = true)]
#[command(group = ArgGroup::new("what").required(true).args(["now", "dry_run", "apply"]))]
pub(super) struct Sync {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this provider; needed if there are several
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Read, apply what changed, and wait for the end
    #[arg(long)]
    now: bool,
    /// Read, and print the whole difference; nothing is applied
    #[arg(long)]
    dry_run: bool,
    /// Read, and apply of what changed what is in this difference too: limits don't hold what you have seen
    #[arg(long, value_name = "PLAN")]
    apply: Option<PathBuf>,
    /// With --dry-run: the difference as JSON instead of a table, as --apply takes it
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// With --dry-run: the difference as JSON into this file as well
    #[arg(long, value_name = "PLAN", requires = "dry_run")]
    out: Option<PathBuf>,
    #[command(subcommand)]
    status: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How the last run ended, when the last one succeeded, and how old the cursor is
    Status(StatusOf),
}

#[derive(Debug, Args)]
struct StatusOf {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this provider; needed if there are several
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn sync(arguments: &Sync) -> Result<ExitCode, Failure> {
    if let Some(What::Status(status)) = &arguments.status {
        return show_status(status).await;
    }
    let config = Config::load(&arguments.config.config)?;
    telemetry::start(&config.log);
    let provider = one_provider(&config, arguments.provider.as_deref())?.id.to_string();
    let job = match &arguments.apply {
        Some(path) => Job::Apply(Box::new(read_plan(path)?)),
        None if arguments.dry_run => Job::DryRun,
        None => Job::Now,
    };
    let ended = run(config, &provider, job).await?;
    tell(&ended.report);
    if let Some(proposal) = &ended.proposal {
        show_difference(arguments, proposal)?;
    }
    // Whoever reads JSON hears in JSON that there is no difference.
    if !arguments.json || ended.proposal.is_none() {
        println!("{}", serde_json::to_string(&ended.report)?);
    }
    Ok(match ended.report.outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Held => ExitCode::from(REFUSED),
        Outcome::Failed => ExitCode::FAILURE,
    })
}

async fn run(mut config: Config, provider: &str, job: Job) -> Result<Ended, Failure> {
    let storage = config.storage.clone();
    let mut shown = Shown::new();
    let ask = Ask::Run { provider: provider.to_owned(), job };
    let answer = control::ask(&storage, &ask, |progress| shown.show(progress)).await?;
    let Ask::Run { job, .. } = ask else { return Err("no run".into()) };
    let ended = match answer {
        Some(Answer::Ended(ended)) => *ended,
        Some(Answer::Refused(why)) => return Err(why.into()),
        Some(_) => return Err("the service that runs answers something else: is it another version?".into()),
        None => {
            let needs_storage = (config.providers.iter())
                .filter(|configured| configured.id.as_str() == provider)
                .filter_map(|configured| configured.directory.as_ref())
                .any(|directory| !matches!(directory.apply, DirectoryApply::File(_)));
            if !needs_storage && storage.is_alone() {
                // A service may be started meanwhile; the mirror is a file of its own, and whoever has it open is alone.
                config.storage = StorageConfig::plain(StorageUrl::Memory);
            }
            config.plugins.notes = false;
            let gateway = Gateway::start(config).await?;
            let providers = &gateway.config().providers;
            let provider = providers.iter().find(|found| found.id.as_str() == provider).ok_or("no such provider")?;
            sync::perform(&gateway, provider, &storage, job, |progress| shown.show(progress)).await
        }
    };
    shown.end();
    Ok(ended)
}

fn tell(report: &Report) {
    for skipped in &report.skipped {
        eprintln!("skipped: {}: {}", skipped.what, skipped.why);
    }
    if report.lapsed > 0 {
        eprintln!("{} steps of this difference: there is no reason for them any more", report.lapsed);
    }
    if let Some(detail) = &report.detail {
        eprintln!("{}: {detail}", report.reason.as_deref().unwrap_or_default());
    }
}

fn show_difference(arguments: &Sync, proposal: &Proposal) -> Result<(), Failure> {
    if let Some(path) = &arguments.out {
        let text = serde_json::to_vec(proposal)?;
        std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string(proposal)?);
    } else {
        print!("{}", difference::text(proposal));
    }
    Ok(())
}

fn read_plan(path: &Path) -> Result<Proposal, Failure> {
    use std::io::Read as _;
    let name = path.display();
    let mut text = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_PLAN).read_to_end(&mut text))
        .map_err(|error| format!("the difference {name} can't be read: {error}"))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("{name} is no difference as `sync --dry-run --out` writes it: {error}").into())
}

/// Another process than a service makes a run, and has the mirror to itself: nothing else can be known until it ends.
fn show_under_way(arguments: &StatusOf, provider: &str) -> ExitCode {
    if arguments.json {
        println!("{}", serde_json::json!({ "provider": provider, "is_running": true }));
    } else {
        println!(
            "{provider}: a run is under way in another process; how the last one ended can be read when it has ended"
        );
    }
    ExitCode::SUCCESS
}

async fn show_status(arguments: &StatusOf) -> Result<ExitCode, Failure> {
    let config = Config::load(&arguments.config.config)?;
    let provider = one_provider(&config, arguments.provider.as_deref())?;
    let id = provider.id.to_string();
    if provider.directory.is_none() {
        return Err(sync::SyncError::Off(id).into());
    }
    let ask = Ask::Status { provider: id.clone() };
    let status = match control::ask(&config.storage, &ask, |_| {}).await? {
        Some(Answer::Status(status)) => *status,
        Some(Answer::Refused(why)) => return Err(why.into()),
        Some(_) => return Err("the service that runs answers something else: is it another version?".into()),
        None => match Mirror::open(&config.storage, &provider.id).await {
            Ok(mirror) => Status::read(&mirror, &id)?,
            Err(MirrorError::InUse(_)) => return Ok(show_under_way(arguments, &id)),
            Err(error) => return Err(error.into()),
        },
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&status)?);
    } else {
        print!("{}", difference::status_text(&status));
    }
    Ok(ExitCode::SUCCESS)
}
