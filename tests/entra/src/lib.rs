//! An emulator of Microsoft Entra ID v2.0 and of the part of Microsoft Graph v1.0 that reads users and groups, for tests and for trying
//! things out.
//!
//! It runs on loopback, knows only made-up people, and is deterministic but for the time. It is written from Microsoft's documentation
//! and from observed traffic, independently of the plugin and the host, so that a misunderstanding on one side does not hide on the
//! other. Everything can be made to go wrong: see [`Control`], [`TokenMischief`],
//! [`ClaimMischief`], [`DocumentMischief`] and [`FaultAction`].
//!
//! ```
//! # async fn example() -> Result<(), entra_emulator::StartError> {
//! use entra_emulator::{Emulator, Seed, TokenMischief, fixtures};
//!
//! let entra = Emulator::start(Seed::demo()).await?;
//! println!("sign in at {}", entra.authority(fixtures::CONTOSO));
//! entra.control().mischief_once(TokenMischief::Expired);
//! # Ok(())
//! # }
//! ```

mod certificate;
mod clock;
mod control;
mod directory;
mod encoding;
mod graph;
mod keys;
mod login;
mod random;
pub mod seed;
mod server;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use certificate::CertificateError;
pub use control::{
    ClaimMischief, Confidential, ConfidentialKind, Control, ControlError, DocumentMischief, Fault, FaultAction,
    FaultId, FaultMatch, GoneForm, PageLie, RequestRecord, Side, TokenMischief,
};
pub use directory::Churned;
pub use graph::settings::{GraphSettings, Throttling};
pub use keys::{KeyError, Rotation};
pub use login::client_auth::ClientAuth;
pub use seed::{Seed, SeedError, fixtures};

use server::Service;
use world::World;

/// A running emulator. Dropping it closes both listeners and all connections.
#[derive(Debug)]
pub struct Emulator {
    world: Arc<World>,
    tasks: JoinSet<()>,
}

/// The emulator could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The address is not on this machine alone; anyone who reaches the emulator can steer it.
    #[error("{0} is not a loopback address; the emulator serves this machine only")]
    NotLoopback(SocketAddr),
    /// The address is taken, or not allowed.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        reason: std::io::Error,
    },
    /// The seed does not hang together.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// A fixture key is unusable.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Emulator {
    /// Starts on two free ports of 127.0.0.1.
    pub async fn start(seed: Seed) -> Result<Self, StartError> {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(seed, any, any).await
    }

    /// Starts on two loopback addresses; port 0 means a free one.
    pub async fn start_on(seed: Seed, login: SocketAddr, graph: SocketAddr) -> Result<Self, StartError> {
        seed.check()?;
        let (login, login_url) = listen(login).await?;
        let (graph, graph_url) = listen(graph).await?;
        let world = Arc::new(World::new(seed, login_url, graph_url)?);
        let mut tasks = JoinSet::new();
        for (listener, side, routes) in [(login, Side::Login, login::router()), (graph, Side::Graph, graph::router())] {
            let routes: Router = routes.merge(control::admin::router()).with_state(Arc::clone(&world));
            tasks.spawn(server::serve(listener, Service { world: Arc::clone(&world), side, routes }));
        }
        Ok(Self { world, tasks })
    }

    /// Origin of the login side, such as `http://127.0.0.1:9101`.
    pub fn login_url(&self) -> &str {
        &self.world.login_url
    }

    /// Origin of the Graph side.
    pub fn graph_url(&self) -> &str {
        &self.world.graph_url
    }

    /// The authority of a tenant (GUID or domain) or alias, with `/v2.0` and without a slash at the end.
    pub fn authority(&self, tenant: &str) -> String {
        format!("{}/{tenant}/v2.0", self.world.login_url)
    }

    /// The handle that steers this emulator.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.world))
    }

    /// Closes both listeners and all connections, and waits until that is done.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, String), StartError> {
    if !address.ip().is_loopback() {
        return Err(StartError::NotLoopback(address));
    }
    let failed = |reason| StartError::Listen { address, reason };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{bound}")))
}
