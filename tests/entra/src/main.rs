//! The emulator as a program: starts, prints one line of JSON with its addresses, and serves until it is told to end.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Parser;
use entra_emulator::{Emulator, Seed, SeedError, StartError, fixtures, seed};
use serde_json::json;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

/// Emulator of Microsoft Entra ID and Microsoft Graph for tests. Serves this machine only; steer it under /__admin.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address of the login side; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9101")]
    login: SocketAddr,
    /// Address of the Graph side; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:9102")]
    graph: SocketAddr,
    /// JSON file with tenants, apps, persons and groups; without it the built-in seed.
    #[arg(long)]
    seed: Option<PathBuf>,
    /// The built-in seed with so many users, groups and memberships more, such as 100000,10000,1000000.
    #[arg(long, value_name = "USERS,GROUPS,MEMBERSHIPS", conflicts_with = "seed")]
    scale: Option<Scale>,
    /// Redirect URI to register for every app; can be repeated.
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Prints the built-in seed, a model for --seed, and ends.
    #[arg(long)]
    print_seed: bool,
}

/// How many users, groups and memberships.
#[derive(Debug, Clone)]
struct Scale([usize; 3]);

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Option<Vec<usize>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
        let numbers = numbers.and_then(|numbers| numbers.try_into().ok());
        numbers.map(Self).ok_or_else(|| "three numbers with commas between are expected".to_owned())
    }
}

#[derive(Debug, Error)]
enum Failure {
    #[error("cannot read the seed file {path}: {reason}")]
    ReadSeed { path: PathBuf, reason: std::io::Error },
    #[error(transparent)]
    Seed(#[from] SeedError),
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
            eprintln!("entra-emulator: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.print_seed {
        writeln!(std::io::stdout(), "{}", serde_json::to_string_pretty(&Seed::demo())?)?;
        return Ok(());
    }
    let mut seed = match (arguments.seed, arguments.scale) {
        (None, None) => Seed::demo(),
        (None, Some(Scale([users, groups, memberships]))) => seed::scale(users, groups, memberships),
        (Some(path), _) => {
            let text = std::fs::read_to_string(&path).map_err(|reason| Failure::ReadSeed { path, reason })?;
            Seed::from_json(&text)?
        }
    };
    for app in &mut seed.apps {
        app.redirect_uris.extend(arguments.redirect_uris.iter().cloned());
    }
    let (tenant, client_id) = seed.apps.first().map_or_else(
        || (fixtures::CONTOSO.to_owned(), String::new()),
        |app| (app.home_tenant.to_string(), app.client_id.to_string()),
    );

    // Before the line is printed: whoever reads it may send a signal at once.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let emulator = Emulator::start_on(seed, arguments.login, arguments.graph).await?;
    let line = json!({
        "login_url": emulator.login_url(),
        "graph_url": emulator.graph_url(),
        "authority": emulator.authority(&tenant),
        "client_id": client_id,
    });
    writeln!(std::io::stdout(), "{line}")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    emulator.stop().await;
    Ok(())
}
