//! What is Microsoft's own: tenants, clouds, and the numbers in its error texts (facts of `learn.microsoft.com`, identity
//! platform).

pub mod aadsts;
pub mod directory;
pub mod graph;
mod tenant;

pub use tenant::{MSA_TENANT, TenantId, is_domain};
