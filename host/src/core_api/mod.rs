//! Defguard Core over REST (facts C2, F): the calls that a hand-over and directory synchronisation need, typed, for Core 1.6
//! and 2.x. How a request travels is [`transport`]'s subject, who this host is [`authentication`]'s, what an answer means [`error`]'s. What to make
//! of a person is nobody's here: `handover::core` decides.

mod authentication;
mod breaker;
mod budget;
mod client;
mod error;
mod groups;
mod model;
mod people;
mod state;
mod transport;

#[cfg(test)]
mod directory_tests;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use url::Url;

pub use authentication::{CoreCredential, SecretSource};
pub use breaker::{BreakerLimits, BreakerState};
pub use budget::Budget;
pub use client::{CoreClient, Start};
pub use error::{CoreError, Failure, Said};
pub use groups::{GroupCreation, USERS_A_CALL};
pub use model::{Generation, Group, Info, License, NewUser, Started, User};
pub use state::StateChange;

/// Where Core is, who this host is there, and how much it may ask.
#[derive(Debug, Clone)]
pub struct CoreSettings {
    /// Its origin.
    pub url: Url,
    /// Who this host is there.
    pub credential: CoreCredential,
    /// Longest wait for one answer.
    pub call_timeout: Duration,
    /// Calls that may be under way at once; more of them wait.
    pub concurrent_calls: usize,
    /// When Core isn't asked for a while.
    pub breaker: BreakerLimits,
}

/// A call, as it is named in checks, logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `POST auth`.
    LogIn,
    /// `GET info`.
    Info,
    /// `GET enterprise_info`.
    License,
    /// `GET user`.
    ListUsers,
    /// `GET user/{username}`.
    GetUser,
    /// `POST user/available`.
    Available,
    /// `POST user`.
    CreateUser,
    /// `POST user/{username}/start_enrollment`.
    StartEnrollment,
    /// `POST user/{username}/start_desktop`.
    StartDesktop,
    /// `PUT user/{username}`.
    ModifyUser,
    /// `DELETE user/{username}`.
    DeleteUser,
    /// `GET group-info`.
    ListGroups,
    /// `GET group/{group}`.
    GetGroup,
    /// `POST group`.
    CreateGroup,
    /// `PUT group/{group}`.
    ModifyGroup,
    /// `DELETE group/{group}`.
    DeleteGroup,
    /// `POST group/{group}`.
    AddMember,
    /// `DELETE group/{group}/user/{username}`.
    RemoveMember,
    /// `POST groups-assign`.
    AssignGroups,
}

impl Call {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LogIn => "log_in",
            Self::Info => "info",
            Self::License => "enterprise_info",
            Self::ListUsers => "list_users",
            Self::GetUser => "get_user",
            Self::Available => "available",
            Self::CreateUser => "create_user",
            Self::StartEnrollment => "start_enrollment",
            Self::StartDesktop => "start_desktop",
            Self::ModifyUser => "modify_user",
            Self::DeleteUser => "delete_user",
            Self::ListGroups => "list_groups",
            Self::GetGroup => "get_group",
            Self::CreateGroup => "create_group",
            Self::ModifyGroup => "modify_group",
            Self::DeleteGroup => "delete_group",
            Self::AddMember => "add_member",
            Self::RemoveMember => "remove_member",
            Self::AssignGroups => "assign_groups",
        }
    }

    /// Whether it makes an enrollment token.
    fn starts(self) -> bool {
        matches!(self, Self::StartEnrollment | Self::StartDesktop)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
