//! `login-test`: one real round trip through the provider in the administrator's own browser, with everything that was
//! found printed here. Nothing is made of it: no account, no token, and the service's storage isn't touched.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::report::Report;
use super::{ConfigFile, Failure, REFUSED, one_provider};
use crate::config::{Config, PublicUrl};
use crate::gateway::Gateway;
use crate::storage::{StorageConfig, StorageUrl};
use crate::{telemetry, web};

#[derive(Debug, Args)]
pub(super) struct LoginTest {
    #[command(flatten)]
    config: ConfigFile,
    /// Which provider; the first one if it isn't said
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// Listen here instead of the configuration's `listen`, which the running service may have
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The address that your browser reaches this command at, instead of `public_url`; with the callback's path it must be
    /// registered with the provider. Entra takes http://localhost with any port
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// One JSON object as the last line instead of text
    #[arg(long)]
    json: bool,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout: u64,
}

pub(super) async fn login_test(arguments: &LoginTest) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&arguments.config.config)?;
    let provider = match &arguments.provider {
        Some(id) => one_provider(&config, Some(id))?.id.clone(),
        None => config.providers.first().ok_or("the configuration has no provider")?.id.clone(),
    };
    if let Some(url) = &arguments.public_url {
        // A browser on this machine is what this command is for: loopback is fine.
        config.public_url = PublicUrl::parse(url, true)?;
    }
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.storage = StorageConfig::plain(StorageUrl::Memory);
    config.audit_file = None;
    config.plugins.notes = false;
    telemetry::start(&config.log);
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        format!(
            "can't listen on {}: {error}; if the service is running, use --listen 127.0.0.1:PORT and --public-url \
             http://localhost:PORT, and register the redirect URI that is printed then",
            config.listen
        )
    })?;
    let (redirect_uri, origin) = (config.redirect_uri(&provider), config.public_url.origin());
    let gateway = Gateway::start(config).await?;
    let (sender, outcome) = oneshot::channel();
    let app = web::test_router(Arc::clone(&gateway), provider.clone(), sender);
    // Standard output is for the report.
    eprintln!("Registered with the provider must be: {redirect_uri}");
    eprintln!("Open this page and sign in: {origin}/");
    let (finished, stop) = oneshot::channel::<()>();
    let server = tokio::spawn(
        axum::serve(listener, app)
            .with_graceful_shutdown(async move {
                // Either the sign-in ended, or this command does.
                let _ = stop.await;
            })
            .into_future(),
    );
    let waited = tokio::time::timeout(Duration::from_secs(arguments.timeout), outcome).await;
    let _ = finished.send(());
    // The browser still gets its last page.
    let _ = tokio::time::timeout(Duration::from_secs(5), server).await;
    let (trace, outcome) = waited
        .map_err(|_| format!("nobody had signed in after {} s", arguments.timeout))?
        .map_err(|_| "the page was closed down before anybody signed in")?;
    let report = match &outcome {
        Ok(tested) => Report::of_test(provider.as_str(), trace.as_str(), tested),
        Err(error) => Report::of_error(provider.as_str(), trace.as_str(), error),
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{}", report.text());
    }
    Ok(if report.is_let_in() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}
