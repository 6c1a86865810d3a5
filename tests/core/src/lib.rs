//! An emulator of the part of Defguard Core's REST that a hand-over and a directory sync use, for tests and for trying things
//! out: Core 1.6 and 2.0, as they are, quirks included. The proxy's `POST /api/v1/enrollment/start` is on the same listener, so
//! that a test can go on with the token that it was given.
//!
//! It runs on loopback, keeps everything in memory, and is deterministic but for the time. It is written from what is known of
//! Core, independently of the host, so that a misunderstanding on one side does not hide on the other. Everything can be made
//! to go wrong: see [`Control`] and [`FaultAction`].
//!
//! ```
//! # async fn example() -> Result<(), core_emulator::StartError> {
//! use core_emulator::{CoreEmulator, Fault, FaultAction, NewUser, Settings, Version, fixtures};
//!
//! let core = CoreEmulator::start(Settings::new(Version::V2_0)).await?;
//! println!("{} with the API token {}", core.url(), fixtures::TOKEN);
//! let control = core.control();
//! control.add_user(&NewUser::new("ada", "ada@contoso.example").password("Correct-horse-7")).ok();
//! control.add_fault(Fault::new(FaultAction::DoneBut { status: 500 }).on("POST", "/api/v1/user").times(1));
//! # Ok(())
//! # }
//! ```

mod api;
mod clock;
mod control;
mod credentials;
mod directory;
mod random;
mod seed;
mod server;
mod settings;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use control::{
    ApiTokenRecord, Auth, Control, Fault, FaultAction, FaultId, FaultMatch, GroupRecord, RequestRecord, TokenRecord,
    UserRecord,
};
pub use credentials::TokenKind;
pub use directory::{DirectoryError, User};
pub use seed::{NewApiToken, NewGroup, NewUser, Seed, SeedError, fixtures};
pub use settings::{Licence, Settings, Version};

use server::Service;
use world::World;

/// A running emulator. Dropping it closes the listener and all connections.
#[derive(Debug)]
pub struct CoreEmulator {
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
}

impl CoreEmulator {
    /// Starts on a free port of 127.0.0.1.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_on(settings, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts on a loopback address; port 0 means a free one.
    pub async fn start_on(settings: Settings, address: SocketAddr) -> Result<Self, StartError> {
        if !address.ip().is_loopback() {
            return Err(StartError::NotLoopback(address));
        }
        let failed = |reason| StartError::Listen { address, reason };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let world = Arc::new(World::new(settings, url).map_err(SeedError::from)?);
        let routes: Router = api::router().merge(control::admin::router()).with_state(Arc::clone(&world));
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(listener, Service { world: Arc::clone(&world), routes }));
        Ok(Self { world, tasks })
    }

    /// Origin, such as `http://127.0.0.1:9103`: what a host's configuration names as Core.
    pub fn url(&self) -> &str {
        &self.world.url
    }

    /// The handle that steers this emulator.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.world))
    }

    /// Closes the listener and all connections, and waits until that is done.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}
