//! A service that takes another configuration while it runs. The file is read anew when it changes, or when somebody asks: all of it
//! is checked, the plugin looks at it, and only then is there a new gateway over the same storage, plugin, cache and metrics, and new
//! routes, swapped in at once. Requests under way finish on the old ones; on any failure those stay.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures_util::future::BoxFuture;
use tokio::sync::watch;
use tower::{Service, ServiceExt as _};

use crate::capability::{Clock, SystemClock};
use crate::config::{Config, LimitsConfig};
use crate::gateway::{Gateway, StartError};
use crate::sandbox::Limits;

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_millis(500);

type Build = Box<dyn Fn(Arc<Gateway>) -> Router + Send + Sync>;

/// A gateway that can be replaced.
pub struct Live {
    source: PathBuf,
    gateway: watch::Sender<Arc<Gateway>>,
    mounts: Mutex<Vec<Mount>>,
    /// Held by whoever reloads.
    reloading: tokio::sync::Mutex<()>,
}

/// Routes, and how they are made of a gateway.
struct Mount {
    build: Build,
    routes: Weak<ArcSwap<Router>>,
}

impl Live {
    /// Starts a gateway, and watches its configuration's file as long as this lives.
    pub async fn start(config: Config) -> Result<Arc<Self>, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Self::over(Gateway::start_with(config, Limits::default(), clock).await?))
    }

    /// As [`Live::start`], with a gateway that is there already.
    pub fn over(gateway: Arc<Gateway>) -> Arc<Self> {
        let source = gateway.config().source.clone();
        let gateway = watch::Sender::new(gateway);
        let live =
            Arc::new(Self { source, gateway, mounts: Mutex::default(), reloading: tokio::sync::Mutex::default() });
        tokio::spawn(watch_file(Arc::downgrade(&live)));
        live
    }

    /// The gateway in use; hold it for one request only.
    pub fn gateway(&self) -> Arc<Gateway> {
        Arc::clone(&self.gateway.borrow())
    }

    /// Hears of each gateway that comes into use.
    pub fn changes(&self) -> watch::Receiver<Arc<Gateway>> {
        self.gateway.subscribe()
    }

    /// Routes that are always those that `build` makes of the gateway in use: the whole application's, its own routes and state
    /// among them. They take every request, so they are merged with no others.
    pub fn mount(&self, build: impl Fn(Arc<Gateway>) -> Router + Send + Sync + 'static) -> Router {
        // Whoever swaps holds the list: a gateway that comes meanwhile isn't missed.
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        let routes = Arc::new(ArcSwap::from_pointee(build(self.gateway())));
        mounts.push(Mount { build: Box::new(build), routes: Arc::downgrade(&routes) });
        Router::new().fallback_service(Dispatch(routes))
    }

    /// Reads the configuration anew and uses it, if all of it is good. Says in the log what came of it.
    pub async fn reload(&self) -> Result<(), StartError> {
        let _one_at_a_time = self.reloading.lock().await;
        let reloaded = self.try_reload().await;
        match &reloaded {
            Ok(kept) => {
                for key in kept {
                    tracing::warn!(key, "this changes with a restart only: it stays as it was");
                }
                tracing::info!(file = %self.source.display(), "configuration reloaded");
            }
            Err(error) => {
                tracing::error!(%error, file = %self.source.display(), "configuration not reloaded: the one in use stays");
            }
        }
        self.gateway().metrics().configuration(reloaded.is_ok());
        reloaded.map(drop)
    }

    async fn try_reload(&self) -> Result<Vec<&'static str>, StartError> {
        let source = self.source.clone();
        let read = tokio::task::spawn_blocking(move || Config::load(&source)).await;
        let mut config = read.map_err(|error| StartError::Reload(error.to_string()))??;
        let now = self.gateway();
        let kept = keep(now.config(), &mut config);
        // What was in order with the file's `listen` needn't be so with the one that stays.
        config.fits_together()?;
        let next = now.reconfigured(config).await?;
        let mut mounts = self.mounts.lock().unwrap_or_else(PoisonError::into_inner);
        mounts.retain(|mount| mount.routes.strong_count() > 0);
        // All are made before the first is swapped in: they fail together or not at all.
        let made: Vec<Router> = mounts.iter().map(|mount| (mount.build)(Arc::clone(&next))).collect();
        for (mount, routes) in mounts.iter().zip(made) {
            if let Some(place) = mount.routes.upgrade() {
                place.store(Arc::new(routes));
            }
        }
        self.gateway.send_replace(next);
        Ok(kept)
    }
}

/// What was bound, opened or begun at the start stays as it was: which keys would have been others.
fn keep(now: &Config, next: &mut Config) -> Vec<&'static str> {
    let mut kept = Vec::new();
    let mut differs = |key, differs: bool| {
        if differs {
            kept.push(key);
        }
    };
    differs("listen", now.listen != next.listen);
    differs("metrics.listen", now.metrics_listen != next.metrics_listen);
    differs("storage", !now.storage.is_as(&next.storage));
    // The storage goes on with the one that it was opened with.
    differs("storage.password_file", now.storage.is_as(&next.storage) && !now.storage.has_password_of(&next.storage));
    differs("log", now.log != next.log);
    differs("plugins.folder", now.plugins.folder != next.plugins.folder && now.storage.is_as(&next.storage));
    differs("trusted_proxies", now.trusted_proxies != next.trusted_proxies);
    differs("tls", now.tls != next.tls);
    let listener = |limits: &LimitsConfig| {
        (limits.connections, limits.client_connections, limits.header_timeout, limits.write_timeout)
    };
    differs("limits, of connections", listener(&now.limits) != listener(&next.limits));
    // Secrets have no equals; they print as such, and a new password is one more reason for a restart.
    differs("admin", format!("{:?}", now.admin) != format!("{:?}", next.admin));
    differs("telemetry", format!("{:?}", now.telemetry) != format!("{:?}", next.telemetry));
    next.listen = now.listen;
    next.metrics_listen = now.metrics_listen;
    next.storage = now.storage.clone();
    next.log = now.log.clone();
    next.plugins.folder.clone_from(&now.plugins.folder);
    next.admin.clone_from(&now.admin);
    next.trusted_proxies.clone_from(&now.trusted_proxies);
    next.tls.clone_from(&now.tls);
    next.telemetry.clone_from(&now.telemetry);
    next.limits = LimitsConfig {
        connections: now.limits.connections,
        client_connections: now.limits.client_connections,
        header_timeout: now.limits.header_timeout,
        write_timeout: now.limits.write_timeout,
        ..next.limits.clone()
    };
    kept
}

/// Sends each request to the routes in use when it came.
#[derive(Clone)]
struct Dispatch(Arc<ArcSwap<Router>>);

impl Service<Request> for Dispatch {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let routes = Router::clone(&self.0.load());
        Box::pin(routes.oneshot(request))
    }
}

/// Looks at the file until the service is gone, and reloads it when it has changed and rests.
async fn watch_file(live: Weak<Live>) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let (mut checked, mut last_seen): (Option<Stamp>, Option<Stamp>) = (None, None);
    loop {
        ticks.tick().await;
        let Some(live) = live.upgrade() else { return };
        let seen = stamp(&live.source).await;
        if checked.is_none() {
            // As it was read at the start.
            checked = seen;
        }
        let rests = seen == last_seen;
        last_seen = seen;
        if rests && seen != checked {
            checked = seen;
            // It says what came of it.
            drop(live.reload().await);
        }
    }
}

type Stamp = (u64, Option<SystemTime>);

/// `None`: it isn't there, or can't be read.
async fn stamp(path: &std::path::Path) -> Option<Stamp> {
    let metadata = tokio::fs::metadata(path).await.ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A configuration over Redis; `more`: further lines of `[storage]`, and then of the provider.
    fn over_redis(folder: &Path, password: &str, storage: &str, provider: &str) -> Config {
        std::fs::write(folder.join("password"), password).unwrap();
        let text = format!(
            "public_url = \"https://enroll.example.com\"\n[storage]\nurl = \"redis://127.0.0.1:1/0\"\npassword_file = \"password\"\n\
             {storage}\n[handover]\nkind = \"local\"\n[[provider]]\nid = \"a\"\nkind = \"microsoft\"\n\
             base_url = \"https://a.example\"\nclient_id = \"c\"\nclient_secret_env = \"CARGO_PKG_NAME\"\n{provider}"
        );
        Config::parse(&folder.join("openid.toml"), &text).unwrap()
    }

    #[test]
    fn another_password_waits_for_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let now = over_redis(folder.path(), "one", "", "");
        for (password, storage, expected) in [
            ("one\n", "", Vec::new()),
            ("two", "", vec!["storage.password_file"]),
            ("one", "folder = \".\"", vec!["storage"]),
        ] {
            let mut next = over_redis(folder.path(), password, storage, "");
            let mut kept = keep(&now, &mut next);
            kept.retain(|key| *key != "plugins.folder");
            assert_eq!(kept, expected, "{password:?} {storage}");
            assert!(next.storage.has_password_of(&now.storage), "{password:?}: what is used is what is open");
        }
    }

    #[test]
    fn a_mirror_needs_the_folder_that_the_storage_in_use_has() {
        let folder = tempfile::tempdir().unwrap();
        let now = over_redis(folder.path(), "one", "", "");
        let directory = "[provider.directory]\napply = \"file:defguard.json\"";
        let mut next = over_redis(folder.path(), "one", "folder = \".\"", directory);
        next.fits_together().unwrap();
        assert_eq!(keep(&now, &mut next), ["storage"]);
        let error = next.fits_together().unwrap_err().to_string();
        assert!(error.contains("storage.folder: missing"), "{error}");
    }
}
