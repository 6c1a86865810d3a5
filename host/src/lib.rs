//! The host of the Defguard OpenID plugin: it carries the component of `plugin/` in a sandbox, gives it HTTP, storage and
//! the client's credential under the contract of `wit/`, and serves sign-in over HTTP.
//!
//! To mount it in a proxy of one's own:
//!
//! ```no_run
//! # async fn mount() -> Result<(), Box<dyn std::error::Error>> {
//! let config = defguard_openid_host::Config::load("openid.toml".as_ref())?;
//! let gateway = defguard_openid_host::Gateway::start(config).await?;
//! let app: axum::Router = axum::Router::new().merge(defguard_openid_host::router(gateway));
//! # Ok(()) }
//! ```
//!
//! Dependencies point one way: `cli` → `web` → `gateway` → `sandbox` → `capability` → `storage`; `gateway` →
//! `handover` → `core_api`.

pub mod admin;
pub mod audit;
pub mod capability;
pub mod cli;
pub mod client;
pub mod config;
pub mod core_api;
pub mod credential;
pub mod gateway;
pub mod handover;
mod identity;
pub mod linking;
pub mod live;
pub mod metrics;
pub mod sandbox;
pub mod service;
pub mod storage;
pub mod sync;
pub mod telemetry;
mod text;
pub mod upstream;
pub mod web;

pub use config::Config;
pub use gateway::Gateway;
pub use identity::{AccountKind, Group, Groups, Identity, IdentityKey};
pub use live::Live;
pub use web::{Elsewhere, router, router_beside};
