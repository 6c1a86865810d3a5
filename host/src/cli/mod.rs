//! The command line: one file for each subcommand.

mod check;
mod config;
mod difference;
mod doctor;
mod login_test;
mod map;
mod plugin;
mod progress;
mod reach;
mod report;
mod serve;
mod shell;
mod storage;
mod style;
mod sync;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Provider};

/// The exit code of `login-test` and `map` for a sign-in that would be refused, of `sync` for a run that is held.
const REFUSED: u8 = 3;

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
    /// Check the configuration and the plugin, and run the configuration's samples, without making a request
    Check(check::Check),
    /// Try the provider and Defguard Core: discovery, keys, clock, credentials, permissions, version, licence, rights. Exit
    /// code 1: something is to be put right
    Doctor(doctor::Doctor),
    /// Sign in once in your browser and print claims, mapped identity and every decision; nothing is made of it. Exit code
    /// 3: it would be refused
    LoginTest(login_test::LoginTest),
    /// Map claims from a file, offline. Exit code 3: the sign-in would be refused
    Map(map::Map),
    /// Read the directory and apply what changed, or say how the last run ended. Exit code 3: a safety rule holds it
    Sync(sync::Sync),
    /// Print what can be configured: a JSON Schema, an example, or the reference page
    Config(config::Configuration),
    /// Print a script that completes this command in a shell
    Completions(shell::Completions),
    /// Print the manual page
    Man(shell::Man),
    /// The plugin's files: list, try, put into place, go back, sign
    #[command(subcommand)]
    Plugin(plugin::PluginCommand),
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "openid.toml")]
    config: PathBuf,
}

/// How long threads that block, on a file most likely, have to end after the command has.
const END: Duration = Duration::from_secs(5);

/// Parses the command line and runs it. 0: done; 1: failed; 2: the command line is wrong; 3: see the subcommand.
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
            Command::Serve(file) => serve::serve(&file.config).await.map(|()| ExitCode::SUCCESS),
            Command::Check(arguments) => check::check(&arguments).await,
            Command::Doctor(arguments) => doctor::doctor(&arguments).await,
            Command::LoginTest(arguments) => login_test::login_test(&arguments).await,
            Command::Map(arguments) => map::map(&arguments).await,
            Command::Sync(arguments) => sync::sync(&arguments).await,
            Command::Config(arguments) => config::config(&arguments).await,
            Command::Completions(arguments) => shell::completions(&arguments),
            Command::Man(arguments) => shell::man(&arguments),
            Command::Plugin(command) => plugin::plugin(&command).await,
        }
    });
    // What waits for a file has that long; a plugin that is being compiled is nobody's any more.
    runtime.shutdown_timeout(END);
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Any error that ends a command; its text is for the terminal.
type Failure = Box<dyn std::error::Error>;

/// The provider that is meant: the named one, or the only one.
fn one_provider<'a>(config: &'a Config, id: Option<&str>) -> Result<&'a Provider, String> {
    match (id, config.providers.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("there are several providers: say which with --provider ({})", names(config))),
        (Some(id), providers) => {
            providers.iter().find(|provider| provider.id.as_str() == id).ok_or_else(|| no_such_provider(config, id))
        }
    }
}

fn no_such_provider(config: &Config, id: &str) -> String {
    format!("no provider has the id {id:?}; there are: {}", names(config))
}

fn names(config: &Config) -> String {
    config.providers.iter().map(|provider| provider.id.as_str()).collect::<Vec<_>>().join(", ")
}
