//! `check`: every problem that can be found without a request.

use std::path::Path;
use std::sync::Arc;

use super::Failure;
use crate::admin::{self, Site};
use crate::capability::{Clock as _, SystemClock};
use crate::config::{Config, HandoverConfig};
use crate::credential::notices;
use crate::gateway::validate;
use crate::sandbox::{Limits, Plugin, Runtime};

pub(super) async fn check(path: &Path) -> Result<(), Failure> {
    let config = Config::load(path)?;
    let runtime = Arc::new(Runtime::new(Limits::default())?);
    let plugin = Plugin::load(&runtime, &config.plugin).await?;
    for warning in validate(&plugin, &config).await? {
        println!("warning: {warning}");
    }
    let now_unix_s = SystemClock.now_unix_ms() / 1000;
    for provider in &config.providers {
        for notice in notices(provider, now_unix_s) {
            println!("warning: provider {}: {}\n    {}", provider.id, notice.message, notice.hint);
        }
    }
    if let Some(admin) = &config.admin {
        // Tried, not served.
        drop(admin::router(admin, Site::load(&admin.playground, &config)?)?);
    }
    let description = plugin.describe().await?;
    println!("configuration {}: good", path.display());
    println!(
        "plugin {}: {} {}, sha256 {}",
        plugin.path().display(),
        description.name,
        description.version,
        plugin.sha256()
    );
    if let HandoverConfig::Core { settings, .. } = &config.handover {
        println!("hand-over: Defguard Core at {}", settings.url.origin().ascii_serialization());
    }
    for provider in &config.providers {
        println!(
            "provider {} ({}): redirect URI to register: {}",
            provider.id,
            provider.kind.as_str(),
            config.redirect_uri(&provider.id)
        );
        println!("    may reach: {}", provider.allowed.iter().collect::<Vec<_>>().join(", "));
    }
    Ok(())
}
