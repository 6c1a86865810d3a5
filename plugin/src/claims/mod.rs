//! From verified claims to an identity by Defguard's rules.

pub mod identity;
mod sources;
pub mod username;
