//! What the component can do to the world: one file for each interface that it imports, and [`Grant`], which says what
//! one call may use. The checks are here and nowhere else; a call without a provider is granted nothing.

pub mod address;
mod cache;
pub(crate) mod causes;
pub mod clock;
mod credentials;
mod http;
mod inspect;
mod log;
pub mod origin;
mod proof;
mod random;
mod storage;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use cache::Cache;
pub use clock::{Clock, SystemClock};
pub use credentials::ClientCredential;
pub use http::{Outgoing, OutgoingError, Script};
pub use inspect::{Connected, Inspector};
pub use origin::AllowedOrigins;

use crate::config::ProviderId;
use crate::storage::{Namespace, Storage};

/// Names one request of a browser in its error page, the log and the component's checks, and remembers who asked. It is no
/// secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceId {
    id: String,
    client: Option<IpAddr>,
}

impl TraceId {
    /// A new one: ten letters and digits that can be read out over the phone (no i, l, o, u).
    pub fn new() -> Self {
        Self::asked_by(None)
    }

    /// As [`TraceId::new`], for a request of this client.
    pub fn asked_by(client: Option<IpAddr>) -> Self {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let mut bytes = [0_u8; 10];
        // If the system has no randomness the id is all zeros: it only names.
        let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
        let letters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)).copied());
        Self { id: letters.map(char::from).collect(), client }
    }

    /// Who asked, if that is known.
    pub fn client(&self) -> Option<IpAddr> {
        self.client
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// As a header of the answer, for programs that don't read pages.
    pub(crate) fn header(&self) -> [(&'static str, String); 1] {
        [("x-request-id", self.id.clone())]
    }
}

impl Default for TraceId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.id)
    }
}

/// What the calls for one provider share.
pub struct ProviderContext {
    /// The provider.
    pub id: ProviderId,
    /// Its namespace in `storage` and `cache`.
    pub namespace: Namespace,
    /// Where requests may go.
    pub allowed: AllowedOrigins,
    /// Where the client's credential may go: never to the directory's origin.
    pub credential_origins: AllowedOrigins,
    /// The client's credential.
    pub credential: ClientCredential,
    /// Sockets.
    pub outgoing: Arc<Outgoing>,
    /// Durable state.
    pub storage: Arc<dyn Storage>,
    /// Memory of this host.
    pub cache: Arc<Cache>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// What one call may use.
pub struct Grant {
    /// Names the call.
    pub trace: TraceId,
    provider: Option<Arc<ProviderContext>>,
    leases: Vec<cache::Lease>,
    /// Whether the call's memory is to be that of many: then it must not draw what each of them has to draw anew.
    is_preparation: bool,
    /// Whether what it does is in the metrics: a self-test's calls are nobody's sign-in.
    is_counted: bool,
}

impl Grant {
    /// For calls that only compute: any use of the world is refused.
    pub fn nothing() -> Self {
        Self { trace: TraceId::new(), provider: None, leases: Vec::new(), is_preparation: false, is_counted: true }
    }

    /// For the call that prepares a plugin: it only computes, and draws nothing.
    pub fn preparation() -> Self {
        Self { is_preparation: true, ..Self::nothing() }
    }

    /// For a call in the name of one provider.
    pub fn provider(context: Arc<ProviderContext>, trace: TraceId) -> Self {
        Self { trace, provider: Some(context), leases: Vec::new(), is_preparation: false, is_counted: true }
    }

    /// The same, and nothing of it in the metrics.
    #[must_use]
    pub fn uncounted(self) -> Self {
        Self { is_counted: false, ..self }
    }

    pub(crate) fn is_counted(&self) -> bool {
        self.is_counted
    }
}
