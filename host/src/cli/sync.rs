//! `sync`: one run by hand. Standard error shows how far it is; the last line of standard output is a JSON object.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;

use super::{ConfigFile, Failure, REFUSED, one_provider};
use crate::config::Config;
use crate::gateway::Gateway;
use crate::storage::StorageUrl;
use crate::sync::{self, Outcome, Progress, Report};
use crate::telemetry;

/// How often the line on a terminal changes.
const REDRAWN: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal.
const REPEATED: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(super) struct Sync {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this provider; needed if there are several
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Make one run, and wait for its end
    #[arg(long, required = true)]
    now: bool,
}

pub(super) async fn sync(arguments: &Sync) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&arguments.config.config)?;
    let storage = config.storage.clone();
    // The running service may hold its storage; the mirror is a file of its own, and whoever has it open is alone.
    config.storage = StorageUrl::Memory;
    config.audit_file = None;
    telemetry::start(&config.log);
    let id = one_provider(&config, arguments.provider.as_deref())?.id.clone();
    let gateway = Gateway::start(config).await?;
    let provider = gateway.config().providers.iter().find(|provider| provider.id == id).ok_or("no such provider")?;
    let mut shown = Shown::default();
    let report = sync::run_with(&gateway, provider, &storage, |progress| shown.show(progress)).await;
    shown.end();
    tell(&report);
    println!("{}", serde_json::to_string(&report)?);
    Ok(match report.outcome {
        Outcome::Done => ExitCode::SUCCESS,
        Outcome::Held => ExitCode::from(REFUSED),
        Outcome::Failed => ExitCode::FAILURE,
    })
}

fn tell(report: &Report) {
    if let Some(detail) = &report.detail {
        eprintln!("{}: {detail}", report.reason.as_deref().unwrap_or_default());
    }
}

/// One line that changes on a terminal, a line now and then elsewhere.
struct Shown {
    is_terminal: bool,
    begun: Instant,
    last: Option<Instant>,
    is_open: bool,
}

impl Default for Shown {
    fn default() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), begun: Instant::now(), last: None, is_open: false }
    }
}

impl Shown {
    fn show(&mut self, progress: &Progress) {
        let pause = if self.is_terminal { REDRAWN } else { REPEATED };
        if self.last.unwrap_or(self.begun).elapsed() < pause {
            return;
        }
        self.last = Some(Instant::now());
        let seconds = self.begun.elapsed().as_secs().max(1);
        let Progress { pages, requests, refused, users, groups, memberships } = *progress;
        let rate = (users + groups + memberships) / seconds;
        let line = format!(
            "{users} users, {groups} groups, {memberships} memberships in {pages} pages; {requests} requests, {refused} \
             refused; {rate}/s"
        );
        // What can't be shown is no reason to stop.
        let mut out = std::io::stderr().lock();
        if self.is_terminal {
            self.is_open = write!(out, "\r{line}\x1b[K").and_then(|()| out.flush()).is_ok();
        } else {
            let _ = writeln!(out, "{line}");
        }
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.is_open) {
            eprintln!();
        }
    }
}
