//! The emulator as a program: starts, prints one line of JSON with its address, and serves until it is told to end.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use core_emulator::{CoreEmulator, Licence, NewApiToken, Seed, SeedError, Settings, StartError, Version, fixtures};
use serde_json::json;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// Emulator of Defguard Core's REST for tests. Serves this machine only; steer it under /__admin.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9103")]
    listen: SocketAddr,
    /// Which Core it is like: 1.6 or 2.0.
    #[arg(long, default_value = "2.0")]
    version: Version,
    /// The licence.
    #[arg(long, value_enum, default_value_t = LicenceKind::Business)]
    licence: LicenceKind,
    /// JSON file with users, groups and API tokens; without it one administrator.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// The enrollment URL of the answers; without it the emulator's own.
    #[arg(long, value_name = "URL")]
    enrollment_url: Option<String>,
    /// An API token of the first user's, instead of the seed's tokens.
    #[arg(long)]
    token: Option<String>,
    /// A file with that token.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Prints the built-in seed, a model for --seed, and ends.
    #[arg(long)]
    print_seed: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LicenceKind {
    Free,
    None,
    Business,
    Expired,
}

impl From<LicenceKind> for Licence {
    fn from(kind: LicenceKind) -> Self {
        match kind {
            LicenceKind::Free => Self::FREE,
            LicenceKind::None => Self::None,
            LicenceKind::Business => Self::BUSINESS,
            LicenceKind::Expired => Self::Expired,
        }
    }
}

#[derive(Debug, Error)]
enum Failure {
    #[error("cannot read {path}: {reason}")]
    Read { path: PathBuf, reason: std::io::Error },
    #[error(transparent)]
    Seed(#[from] SeedError),
    #[error("a token needs a user, and the seed has none")]
    NoOwner,
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot write to standard output or wait for signals: {0}")]
    Io(#[from] std::io::Error),
    #[error("cannot write the seed as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("core-emulator: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.print_seed {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&Seed::demo())?)?;
        return Ok(());
    }
    let settings = settings(&arguments)?;
    let version = settings.version.number();
    // Before the line is printed: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let core = CoreEmulator::start_on(settings, arguments.listen).await?;
    let line = json!({"url": core.url(), "version": version, "admin": fixtures::ADMIN});
    writeln!(std::io::stdout(), "{line}")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    core.stop().await;
    Ok(())
}

fn settings(arguments: &Arguments) -> Result<Settings, Failure> {
    let mut seed = match &arguments.seed {
        None => Seed::demo(),
        Some(path) => Seed::from_json(&read(path)?)?,
    };
    let token = match &arguments.token_file {
        Some(path) => Some(read(path)?.trim().to_owned()),
        None => arguments.token.clone(),
    };
    if let Some(token) = token {
        let owner = seed.users.first().ok_or(Failure::NoOwner)?.username.clone();
        seed.api_tokens = vec![NewApiToken { owner, name: "command line".to_owned(), token }];
    }
    let mut settings = Settings::new(arguments.version).licence(arguments.licence.into()).seed(seed);
    settings.enrollment_url.clone_from(&arguments.enrollment_url);
    Ok(settings)
}

fn read(path: &PathBuf) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|reason| Failure::Read { path: path.clone(), reason })
}
