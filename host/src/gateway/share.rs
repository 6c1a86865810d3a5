//! What one provider's sign-ins may take of the component while there are others: half of its instances. A provider that hangs then leaves the
//! other half to everybody else, and those that wait for it don't wait long: each holds one of the places that all requests share.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::{Config, ProviderId};
use crate::sandbox::{CallError, Limits};

/// How long a step waits for its provider's other steps: a crowd of a thousand is through by then, and what hangs isn't.
const WAIT: Duration = Duration::from_secs(5);

/// Of each provider, if there are several: one alone has nobody to leave anything to.
#[derive(Default)]
pub(super) struct Shares {
    of: BTreeMap<ProviderId, Semaphore>,
    calls: u32,
    wait: Duration,
}

impl Shares {
    pub(super) fn new(config: &Config, limits: &Limits) -> Self {
        if config.providers.len() < 2 {
            return Self::default();
        }
        let calls = (limits.concurrent_calls / 2).max(1);
        let of =
            config.providers.iter().map(|provider| (provider.id.clone(), Semaphore::new(calls as usize))).collect();
        Self { of, calls, wait: limits.queue_wait.min(WAIT) }
    }

    /// A place among the provider's calls; `None`: it may have all there are.
    pub(super) async fn take(&self, provider: &ProviderId) -> Result<Option<SemaphorePermit<'_>>, CallError> {
        let Some(share) = self.of.get(provider) else { return Ok(None) };
        match tokio::time::timeout(self.wait, share.acquire()).await {
            Ok(Ok(place)) => Ok(Some(place)),
            _ => Err(CallError::Busy(self.calls)),
        }
    }
}
