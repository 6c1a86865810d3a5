//! The handle by which tests steer the emulator: clock, keys, faults, mischief, directory, request log.
//! `admin` offers the same over HTTP for the binary.

pub(crate) mod admin;
pub(crate) mod confidential;
mod directory;
pub(crate) mod fault_actions;
pub(crate) mod faults;
mod graph_faults;
pub(crate) mod mischief;
mod orders;
pub(crate) mod page_faults;
pub(crate) mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use confidential::{Confidential, ConfidentialKind};
pub use directory::ControlError;
pub use faults::{Fault, FaultAction, FaultId, FaultMatch, Side};
pub use graph_faults::GoneForm;
pub use mischief::{ClaimMischief, DocumentMischief, TokenMischief};
pub use page_faults::PageLie;
pub use requests::RequestRecord;

use crate::graph::settings::GraphSettings;
use crate::keys::Rotation;
use crate::login::client_assertion::UsedAssertions;
use crate::world::World;

/// Steers a running emulator. Clones steer the same one.
#[derive(Debug, Clone)]
pub struct Control {
    world: Arc<World>,
}

impl Control {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// Unix seconds by the emulator's clock.
    pub fn now_unix_s(&self) -> i64 {
        self.world.clock.now_unix_s()
    }

    /// Moves the emulator's clock, backwards if negative. Codes, secrets and tokens live by it.
    pub fn advance_clock(&self, seconds: i64) {
        self.world.clock.advance(seconds);
    }

    /// Sets how far the emulator's clock is from real time; 0 at start.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.world.clock.set_offset(seconds);
    }

    /// Rolls the signing keys over and returns the id of the key that signs afterwards.
    pub fn rotate_keys(&self, rotation: Rotation) -> String {
        self.world.state().keys.rotate(rotation)
    }

    /// The id of the key that signs for work and school tenants.
    pub fn signing_kid(&self) -> String {
        self.world.state().keys.signing_key().map(|key| key.kid().to_owned()).unwrap_or_default()
    }

    /// The ids of the published keys of work and school tenants, oldest first.
    pub fn published_kids(&self) -> Vec<String> {
        self.world.state().keys.published().iter().map(|key| key.kid().to_owned()).collect()
    }

    /// Spoils the next token response to an authorization code; several queue up.
    pub fn mischief_once(&self, mischief: TokenMischief) {
        self.world.state().switches.once(mischief);
    }

    /// Spoils every token response to an authorization code that has nothing queued, in place of an earlier such order.
    pub fn mischief_always(&self, mischief: TokenMischief) {
        self.world.state().switches.always(mischief);
    }

    /// Spoils a claim of the next token response to an authorization code; several queue up. Goes together with token mischief.
    pub fn claim_mischief_once(&self, mischief: ClaimMischief) {
        self.world.state().switches.claims_once(mischief);
    }

    /// Spoils a claim of every token response to an authorization code that has nothing queued, in place of an earlier such order.
    pub fn claim_mischief_always(&self, mischief: ClaimMischief) {
        self.world.state().switches.claims_always(mischief);
    }

    /// Ends all mischief, of tokens, of claims and of documents.
    pub fn clear_mischief(&self) {
        self.world.state().switches = mischief::Switches::default();
    }

    /// Switches the deviation of a document on or off; several can be on at once.
    pub fn set_document_mischief(&self, mischief: DocumentMischief, on: bool) {
        self.world.state().switches.set_document(mischief, on);
    }

    /// Adds a fault. Of several that fit a request, the one added first hits.
    pub fn add_fault(&self, fault: Fault) -> FaultId {
        self.world.state().faults.add(fault)
    }

    /// Takes a fault away; false if there is none of this name.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        self.world.state().faults.remove(id)
    }

    /// Takes all faults away.
    pub fn clear_faults(&self) {
        self.world.state().faults.clear();
    }

    /// How often a fault has hit.
    pub fn fault_hits(&self, id: FaultId) -> u32 {
        self.world.state().faults.hits(id)
    }

    /// The request log, oldest first; the last 100 000 requests.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.world.state().log.all()
    }

    /// How many requests to one side fit the glob (`*` for any text with slashes).
    pub fn count(&self, side: Side, path_glob: &str) -> usize {
        self.world.state().log.count(side, path_glob)
    }

    /// How many requests came, by `"login /path"` and `"graph /path"`.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.world.state().log.counts()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.world.state().log.clear();
    }

    /// Waits until `count` requests to one side fit the glob; false if that takes longer than the timeout.
    pub async fn wait_for_requests(&self, side: Side, path_glob: &str, count: usize, timeout: Duration) -> bool {
        let mut arrivals = self.world.arrivals.subscribe();
        let enough = arrivals.wait_for(|_| self.count(side, path_glob) >= count);
        matches!(tokio::time::timeout(timeout, enough).await, Ok(Ok(_)))
    }

    /// How Graph cuts its lists into pages, and where it gives up.
    pub fn graph_settings(&self) -> GraphSettings {
        self.world.state().graph.clone()
    }

    /// Changes how Graph cuts its lists into pages, and where it gives up.
    pub fn edit_graph(&self, change: impl FnOnce(&mut GraphSettings)) {
        change(&mut self.world.state().graph);
    }

    /// Every secret value since the start or the last reset, each once, oldest first; at most the latest 50 000. What requests
    /// brought (refused ones too), and the codes and tokens that were issued. For a test to search logs and pages for.
    pub fn confidential(&self) -> Vec<Confidential> {
        self.world.state().confidential.all()
    }

    /// Whether a client assertion is refused if an accepted one had its `jti` before; off at start. Entra asks for a `jti` that is
    /// unique, and is not known to check it. Turning it on or off forgets those seen.
    pub fn refuse_replayed_assertions(&self, on: bool) {
        self.world.state().used_assertions = UsedAssertions::remembering(on);
    }

    /// Makes all access tokens issued so far invalid.
    pub fn revoke_access_tokens(&self) {
        self.world.state().access_tokens.clear();
    }

    /// Everything back to how it was at start: directory, keys, clock, faults, mischief, replay check, Graph's settings, log, secrets.
    /// Redirect URIs added since are gone.
    pub fn reset(&self) {
        self.world.reset();
    }
}
