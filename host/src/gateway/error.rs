//! Why the service doesn't start, and why a login doesn't go on.

use crate::capability::OutgoingError;
use crate::capability::origin::UrlRefusal;
use crate::config::ConfigError;
use crate::handover::HandoverError;
use crate::sandbox::shelf::ShelfError;
use crate::sandbox::{CallError, LoadError};
use crate::storage::StorageError;
use crate::sync::at_login::Barred;

use super::Refusal;

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plugin.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// The host's own folder for plugins.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// It couldn't be read anew.
    #[error("the configuration wasn't read: {0}")]
    Reload(String),
    /// The plugin fails while it validates.
    #[error("the plugin fails while it validates the configuration: {0}")]
    Validation(CallError),
    /// The HTTP client.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The audit log.
    #[error("{0} (the configuration's `audit.file`)")]
    Audit(String),
}

/// Why a login didn't go on. The texts are the administrator's; what the person reads is `web`'s subject.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No provider has this id.
    #[error("no provider has the id {0:?}")]
    UnknownProvider(String),
    /// The component says no.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The component would send the browser somewhere that isn't the provider's.
    #[error("the authorization request would go elsewhere: {0}")]
    ForeignRedirect(UrlRefusal),
    /// The component failed.
    #[error(transparent)]
    Plugin(CallError),
    /// The identity is good, and the directory speaks against the account.
    #[error(transparent)]
    Barred(Barred),
    /// The identity is good, and could not be handed over.
    #[error(transparent)]
    Handover(HandoverError),
}

impl LoginError {
    /// Stable, for programs: every code is in docs/refusals.md.
    pub fn code(&self) -> &str {
        match self {
            Self::UnknownProvider(_) => "provider_unknown",
            Self::Refused(refusal) => &refusal.code,
            Self::ForeignRedirect(_) => "authorization_url_refused",
            Self::Plugin(error) => error.code(),
            Self::Barred(barred) => barred.words().code,
            Self::Handover(error) => error.words().code,
        }
    }

    /// What an administrator may do about it; may be empty.
    pub fn hint(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.admin_hint,
            Self::Barred(barred) => barred.words().hint,
            Self::Handover(error) => error.words().hint,
            Self::UnknownProvider(_) | Self::ForeignRedirect(_) | Self::Plugin(_) => "",
        }
    }
}
