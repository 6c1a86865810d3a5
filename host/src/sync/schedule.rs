//! Runs by themselves, each `interval_s`: a provider's never two at a time, and of several providers not all at once.

use std::sync::Arc;
use std::time::Duration;

use ring::rand::{SecureRandom as _, SystemRandom};

use crate::config::ProviderId;
use crate::gateway::Gateway;

/// Starts a task for each provider that has one; they end with the runtime.
pub fn start(gateway: &Arc<Gateway>) {
    for provider in &gateway.config().providers {
        if let Some(directory) = provider.directory.as_ref().filter(|directory| directory.enabled) {
            tokio::spawn(each(Arc::clone(gateway), provider.id.clone(), directory.interval));
        }
    }
}

async fn each(gateway: Arc<Gateway>, id: ProviderId, interval: Duration) {
    // The first one soon, so that a restart isn't an interval without.
    let mut wait = jittered(interval.min(Duration::from_secs(10)));
    loop {
        tokio::time::sleep(wait).await;
        if let Some(provider) = gateway.config().providers.iter().find(|provider| provider.id == id) {
            super::run(&gateway, provider, |_| {}).await;
        }
        wait = jittered(interval);
    }
}

/// Up to a tenth more.
fn jittered(interval: Duration) -> Duration {
    let mut byte = [0_u8];
    // Without randomness they run without jitter.
    let share = SystemRandom::new().fill(&mut byte).map_or(0, |()| u32::from(byte[0]));
    interval + interval.saturating_mul(share) / 2560
}
