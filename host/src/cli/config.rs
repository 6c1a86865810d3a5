//! `config`: what can be configured, as a JSON Schema for editors, as a file to begin with, or as the reference page.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::Failure;
use crate::config::reference::{ConfigOption, example, options, page, schema};
use crate::sandbox::{Limits, Plugin, Runtime};

#[derive(Debug, Args)]
pub(super) struct Configuration {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a JSON Schema (draft 2020-12) of the configuration, for editors
    Schema(Source),
    /// Print a configuration to begin with: every key with its default and what it does
    Example(Source),
    /// Print the reference page, in Markdown
    Reference(Source),
}

#[derive(Debug, Args)]
struct Source {
    /// The plugin, which says what it reads of a [[provider]]; else openid.wasm here, beside this program, or where a package has it
    #[arg(long, value_name = "FILE")]
    plugin: Option<PathBuf>,
    /// Leave out what the plugin reads
    #[arg(long, conflicts_with = "plugin")]
    host_only: bool,
}

pub(super) async fn config(arguments: &Configuration) -> Result<ExitCode, Failure> {
    match &arguments.what {
        What::Schema(source) => {
            let schema = schema(&described(source).await?, !source.host_only);
            println!("{}", serde_json::to_string_pretty(&schema)?);
        }
        What::Example(source) => print!("{}", example(&described(source).await?)),
        What::Reference(source) => print!("{}", page(&described(source).await?)),
    }
    Ok(ExitCode::SUCCESS)
}

async fn described(source: &Source) -> Result<Vec<ConfigOption>, Failure> {
    if source.host_only {
        return Ok(options(None));
    }
    let file = source.plugin.clone().unwrap_or_else(found);
    let runtime = Arc::new(Runtime::new(Limits::default())?);
    let described = match Plugin::load(&runtime, &file).await {
        Ok(plugin) => plugin.describe().await?,
        Err(error) => return Err(format!("{error}\n    say --plugin FILE, or --host-only").into()),
    };
    Ok(options(Some(&described)))
}

/// The plugin that is there without being named: the first of these, or the name that it would have here.
fn found() -> PathBuf {
    let program = std::env::current_exe().ok();
    let folders = program.as_deref().and_then(Path::parent).into_iter().flat_map(|folder| {
        // As it is unpacked, as `./build.sh build` leaves it, as a package installs it.
        ["openid.wasm", "../openid.wasm", "../share/defguard-openid/openid.wasm"].map(|file| folder.join(file))
    });
    let here = PathBuf::from("openid.wasm");
    let packaged = PathBuf::from("/usr/share/defguard-openid/openid.wasm");
    let mut places = std::iter::once(here.clone()).chain(folders).chain([packaged]);
    places.find(|place| place.is_file()).unwrap_or(here)
}
