//! The two steps of a sign-in, and what both need: the transaction between them, the trace of their checks, and the
//! refusals that end them.

pub mod assurance;
pub mod begin;
pub mod callback;
pub mod complete;
pub mod membership;
pub mod probe;
pub mod refusal;
pub mod trace;
pub mod transaction;

/// What the person signs in for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Enrollment.
    Enrollment,
    /// Multi-factor sign-in.
    Mfa,
    /// The administrator's test.
    Test,
}
