//! `./build.sh demo`: the emulator, the host and a page to open; `--once`: one sign-in without a browser, its identity as
//! one JSON line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use conformance::{Browser, HostOptions, entra_provider};
use entra_emulator::{Emulator, Seed, fixtures};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

/// Runs everything on this machine.
#[derive(Debug, Parser)]
struct Arguments {
    /// Sign one person in without a browser, print the identity as one JSON line, and end
    #[arg(long)]
    once: bool,
    /// Whom: a key of the emulator's people
    #[arg(long, default_value = fixtures::person::ADA)]
    person: String,
    /// The port of the page
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The host's binary
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/defguard-openid"))]
    host: PathBuf,
}

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result<(), Failure> {
    let entra = Emulator::start(Seed::demo()).await?;
    let folder = tempfile::tempdir()?;
    let port = if arguments.once { free_port().await? } else { arguments.port };
    let url = format!("http://127.0.0.1:{port}");
    let config = write_config(&entra, &url, folder.path())?;
    entra.control().add_redirect_uri(fixtures::CLIENT_ID, format!("{url}/openid/callback"))?;
    let mut host = start_host(&arguments.host, &config, arguments.once)?;
    wait_until_ready(&mut host, &url).await?;
    if arguments.once {
        once(&url, &arguments.person).await?;
        return Ok(());
    }
    println!("Entra emulator:  {}", entra.login_url());
    println!("Configuration:   {}", config.display());
    println!("Open this page:  {url}/openid/sign-in");
    println!("End it with Ctrl-C.");
    std::io::stdout().flush()?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        signal = tokio::signal::ctrl_c() => signal?,
        _ = terminate.recv() => {}
        status = host.wait() => return Err(format!("the host ended: {}", status?).into()),
    }
    Ok(())
}

async fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?.port())
}

fn write_config(entra: &Emulator, url: &str, folder: &Path) -> Result<PathBuf, Failure> {
    let options = HostOptions::default().with_provider(&entra_provider(entra)).storage("redb:state.redb");
    let listen = url.trim_start_matches("http://");
    let text = format!("listen = {listen:?}\n{}", options.toml(url, folder));
    let path = folder.join("openid.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}

fn start_host(binary: &Path, config: &Path, quiet: bool) -> Result<Child, Failure> {
    let mut command = Command::new(binary);
    command.arg("serve").arg("--config").arg(config).stdin(Stdio::null()).kill_on_drop(true);
    if quiet {
        command.env("RUST_LOG", "warn");
    }
    let missing = |error| format!("{} can't be started ({error}): run ./build.sh build", binary.display());
    Ok(command.spawn().map_err(missing)?)
}

async fn wait_until_ready(host: &mut Child, url: &str) -> Result<(), Failure> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let address = url.trim_start_matches("http://");
    while tokio::net::TcpStream::connect(address).await.is_err() {
        if let Some(status) = host.try_wait()? {
            return Err(format!("the host ended at once: {status}").into());
        }
        if Instant::now() > deadline {
            return Err("the host doesn't answer within 30 s".into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // It listens before the plugin is compiled; the first answer comes after that.
    Ok(())
}

/// What a browser does, and at the end what a program does with the token.
async fn once(url: &str, person: &str) -> Result<(), Failure> {
    let browser = Browser::new(url);
    let finished = browser.sign_in(person).await;
    if finished.status != 200 {
        return Err(format!("the sign-in was refused ({}): {}", finished.status, finished.body).into());
    }
    let enrollment = finished.json();
    let identity = browser.identity(&finished).await;
    println!("{}", json!({ "identity": identity, "url": enrollment["url"], "token": enrollment["token"] }));
    Ok(())
}
