//! The command line: one file for each subcommand.

mod check;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// Signs people in for Defguard enrollment with Microsoft Entra ID or any OpenID provider.
#[derive(Debug, Parser)]
#[command(name = "defguard-openid", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve sign-in over HTTP until SIGTERM or SIGINT
    Serve(ConfigFile),
    /// Check the configuration and the plugin, without making a request
    Check(ConfigFile),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "openid.toml")]
    config: PathBuf,
}

/// Parses the command line and runs it. 0: done; 1: failed; 2: the command line is wrong.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no asynchronous runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve(file) => serve::serve(&file.config).await,
            Command::Check(file) => check::check(&file.config).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Any error that ends a command; its text is for the terminal.
type Failure = Box<dyn std::error::Error>;
