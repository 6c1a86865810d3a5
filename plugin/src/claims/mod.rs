//! From verified claims to an identity by Defguard's rules.

pub mod account;
pub mod email;
pub mod expression;
pub mod group_claim;
pub mod groups;
pub mod identity;
pub mod preview;
pub mod sources;
pub mod transform;
pub mod username;
