//! Group membership, as far as it is known. Unknown never means none (V20): whoever decides by groups must refuse then.

/// One group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What names it for good: Entra's object id; elsewhere what the provider's claim says.
    pub id: String,
    /// How people call it; never unique, never decides (V21).
    pub name: Option<String>,
}

/// Membership in groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Groups {
    /// The configuration doesn't ask.
    NotRequested,
    /// All of them, at most [`MAX_GROUPS`], in the order of their ids, none twice.
    Known(Vec<Group>),
    /// Why they could not be learned.
    Unknown(String),
}

/// The most that the contract carries; also where Graph's `getMemberGroups` ends.
pub const MAX_GROUPS: usize = 11_000;
