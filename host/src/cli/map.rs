//! `map`: what mapping and policy make of claims in a file, offline. Nothing is requested, stored or proven.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::report::Report;
use super::{ConfigFile, Failure, REFUSED, one_provider};
use crate::config::Config;
use crate::gateway::load_plugin;
use crate::sandbox::{Limits, Runtime};

/// The most that is read, in bytes; the contract's bound.
const MAX_BYTES: u64 = 64 << 10;

#[derive(Debug, Args)]
pub(super) struct Map {
    #[command(flatten)]
    config: ConfigFile,
    /// JSON: the claims of an ID token, or {"claims", "userinfo", "directory", "groups"}; "-" reads standard input
    #[arg(long, value_name = "FILE")]
    claims: std::path::PathBuf,
    /// Whose mapping; needed if there are several providers
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

pub(super) async fn map(arguments: &Map) -> Result<ExitCode, Failure> {
    let config = Config::load(&arguments.config.config)?;
    let provider = one_provider(&config, arguments.provider.as_deref())?;
    let input = read(&arguments.claims)?;
    let runtime = Arc::new(Runtime::new(Limits::default())?);
    let (plugin, ..) = load_plugin(&config, &runtime).await?;
    let preview = plugin.map_claims(&provider.component_json, &input).await?.map_err(|problem| {
        let hint = if problem.hint.is_empty() { String::new() } else { format!("\n    {}", problem.hint) };
        format!("{}: {}{hint}", problem.path, problem.message)
    })?;
    let claims = serde_json::from_str(&input)?;
    let report = Report::of_preview(provider.id.as_str(), claims, &preview);
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", report.text());
    }
    Ok(if report.is_let_in() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

fn read(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let name = path.display();
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().take(MAX_BYTES + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
    };
    read.map_err(|error| format!("the claims {name} can't be read: {error}"))?;
    if text.len() as u64 > MAX_BYTES {
        return Err(format!("the claims {name} have more than {MAX_BYTES} bytes").into());
    }
    Ok(text)
}
