//! How many connections may be open: of everybody together, and of one client. What is remembered of clients is bounded by
//! the connections that there are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All places.
pub(super) struct Places {
    all: Arc<Semaphore>,
    each: u32,
    clients: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// One that nobody has yet.
pub(super) struct Free<'a> {
    places: &'a Places,
    permit: Option<OwnedSemaphorePermit>,
}

/// One that a connection has, until it is dropped.
pub(super) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
    client: Option<IpAddr>,
    clients: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

impl Places {
    pub(super) fn new(all: u32, each: u32) -> Self {
        Self { all: Arc::new(Semaphore::new(all as usize)), each, clients: Arc::default() }
    }

    /// Waits for one: connections beyond wait in the system's queue.
    pub(super) async fn free(&self) -> Free<'_> {
        if self.all.available_permits() == 0 {
            tracing::warn!("as many connections are open as `limits.connections` allows: others wait");
        }
        // The semaphore is never closed.
        Free { places: self, permit: Arc::clone(&self.all).acquire_owned().await.ok() }
    }
}

impl Free<'_> {
    /// For a client, if it may have one more; `None` of a client: nobody who is counted.
    pub(super) fn taken_by(self, client: Option<IpAddr>) -> Option<Place> {
        if let Some(client) = client {
            // A map of numbers is whole whatever its last user did.
            let mut clients = self.places.clients.lock().unwrap_or_else(PoisonError::into_inner);
            let open = clients.entry(client).or_insert(0);
            if *open >= self.places.each {
                return None;
            }
            *open = open.saturating_add(1);
        }
        Some(Place { _permit: self.permit, client, clients: Arc::clone(&self.places.clients) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = clients.get_mut(&client) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_client_has_its_share_and_nobody_is_remembered_for_ever() {
        let places = Places::new(4, 2);
        let one: Option<IpAddr> = Some("192.0.2.1".parse().unwrap());
        let first = places.free().await.taken_by(one).unwrap();
        let second = places.free().await.taken_by(one).unwrap();
        assert!(places.free().await.taken_by(one).is_none(), "a third");
        let other = places.free().await.taken_by(Some("192.0.2.2".parse().unwrap())).expect("another client");
        let proxy = places.free().await.taken_by(None).expect("a proxy");
        assert_eq!(places.all.available_permits(), 0, "all are taken");
        drop(first);
        let again = places.free().await.taken_by(one).expect("as one is free again");
        drop((second, other, proxy, again));
        assert_eq!(places.all.available_permits(), 4);
        assert!(places.clients.lock().unwrap().is_empty());
    }
}
