//! The handle by which tests steer the emulator: clock, keys, faults, mischief, directory, request log.
//! `admin` offers the same over HTTP for the binary.

pub(crate) mod admin;
pub(crate) mod confidential;
pub(crate) mod fault_actions;
pub(crate) mod faults;
pub(crate) mod mischief;
pub(crate) mod page_faults;
pub(crate) mod requests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

pub use confidential::{Confidential, ConfidentialKind};
pub use faults::{Fault, FaultAction, FaultId, FaultMatch, Side};
pub use mischief::{ClaimMischief, DocumentMischief, TokenMischief};
pub use page_faults::PageLie;
pub use requests::RequestRecord;

use crate::graph::settings::GraphSettings;
use crate::keys::Rotation;
use crate::login::client_assertion::UsedAssertions;
use crate::seed::{App, Group, Person, Seed, SeedError};
use crate::world::World;

/// Steers a running emulator. Clones steer the same one.
#[derive(Debug, Clone)]
pub struct Control {
    world: Arc<World>,
}

/// The directory could not be changed as asked.
#[derive(Debug, Error)]
pub enum ControlError {
    /// No app has this client id.
    #[error("the emulator has no app {0:?}")]
    UnknownApp(String),
    /// No group has this id.
    #[error("the emulator has no group {0:?}")]
    UnknownGroup(String),
    /// No person has this key.
    #[error("the emulator has no person {0:?}")]
    UnknownPerson(String),
    /// The change would leave the directory ambiguous; nothing was changed.
    #[error("the change is refused: {0}")]
    Inconsistent(#[from] SeedError),
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

    /// What the directory holds now.
    pub fn directory(&self) -> Seed {
        self.world.state().directory.clone()
    }

    /// Registers a redirect URI.
    pub fn add_redirect_uri(&self, client_id: &str, uri: impl Into<String>) -> Result<(), ControlError> {
        let uri = uri.into();
        self.edit_app(client_id, |app| app.redirect_uris.push(uri))
    }

    /// Changes an app registration: expire a secret, take consent away, unassign a person.
    pub fn edit_app(&self, client_id: &str, change: impl FnOnce(&mut App)) -> Result<(), ControlError> {
        self.edit_directory(|directory| {
            let app = directory.apps.iter_mut().find(|app| app.client_id.as_str() == client_id);
            change(app.ok_or_else(|| ControlError::UnknownApp(client_id.to_owned()))?);
            Ok(())
        })
    }

    /// Changes a person.
    pub fn edit_person(&self, key: &str, change: impl FnOnce(&mut Person)) -> Result<(), ControlError> {
        self.edit_directory(|directory| {
            let person = directory.persons.iter_mut().find(|person| person.key == key);
            change(person.ok_or_else(|| ControlError::UnknownPerson(key.to_owned()))?);
            Ok(())
        })
    }

    /// Adds a person.
    pub fn add_person(&self, person: Person) -> Result<(), ControlError> {
        self.edit_directory(|directory| {
            directory.persons.push(person);
            Ok(())
        })
    }

    /// Takes a person out of the directory and out of all groups. A code that was issued before still works; Graph knows nobody.
    pub fn remove_person(&self, key: &str) -> Result<(), ControlError> {
        self.edit_directory(|directory| {
            let unknown = || ControlError::UnknownPerson(key.to_owned());
            let position = directory.persons.iter().position(|person| person.key == key).ok_or_else(unknown)?;
            let person = directory.persons.remove(position);
            directory.leave_all_groups(&person.oid);
            Ok(())
        })
    }

    /// Adds a group.
    pub fn add_group(&self, group: Group) -> Result<(), ControlError> {
        self.edit_directory(|directory| {
            directory.groups.push(group);
            Ok(())
        })
    }

    /// Changes a group: its name, its members. The id stays as it is in others' lists of members.
    pub fn edit_group(&self, id: &str, change: impl FnOnce(&mut Group)) -> Result<(), ControlError> {
        self.edit_directory(|directory| {
            let group = directory.groups.iter_mut().find(|group| group.id == id);
            change(group.ok_or_else(|| ControlError::UnknownGroup(id.to_owned()))?);
            Ok(())
        })
    }

    /// Takes a group out of the directory and out of all groups that hold it.
    pub fn remove_group(&self, id: &str) -> Result<(), ControlError> {
        self.edit_directory(|directory| {
            let unknown = || ControlError::UnknownGroup(id.to_owned());
            let position = directory.groups.iter().position(|group| group.id == id).ok_or_else(unknown)?;
            let group = directory.groups.remove(position);
            directory.leave_all_groups(&group.id);
            Ok(())
        })
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

    /// Makes a change to a copy and keeps it if the directory still hangs together.
    fn edit_directory(&self, change: impl FnOnce(&mut Seed) -> Result<(), ControlError>) -> Result<(), ControlError> {
        let mut state = self.world.state();
        let mut changed = state.directory.clone();
        change(&mut changed)?;
        changed.check()?;
        state.directory = changed;
        Ok(())
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
