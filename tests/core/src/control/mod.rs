//! The handle by which tests steer the emulator: users, groups, tokens, licence, clock, faults, request log.
//! `admin` offers the same over HTTP for the binary.

pub(crate) mod admin;
pub(crate) mod fault_actions;
pub(crate) mod faults;
pub(crate) mod records;
pub(crate) mod requests;

use std::sync::Arc;
use std::time::Duration;

pub use faults::{Fault, FaultAction, FaultId, FaultMatch};
pub use records::{ApiTokenRecord, GroupRecord, TokenRecord, UserRecord};
pub use requests::{Auth, RequestRecord};

use crate::credentials::{EnrollmentToken, TokenKind};
use crate::directory::{DirectoryError, User};
use crate::seed::{NewGroup, NewUser};
use crate::settings::{Licence, Version};
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

    /// All users, in the order they were made.
    pub fn users(&self) -> Vec<UserRecord> {
        let state = self.world.state();
        state.directory.users.iter().map(|user| UserRecord::of(&state, user)).collect()
    }

    /// A user by name.
    pub fn user(&self, username: &str) -> Option<UserRecord> {
        let state = self.world.state();
        state.directory.user(username).map(|user| UserRecord::of(&state, user))
    }

    /// Adds a user, unless the database would refuse; the number. Core's own rules for names and addresses don't apply.
    pub fn add_user(&self, user: &NewUser) -> Result<i64, DirectoryError> {
        self.world.state().directory.add_user(user)
    }

    /// Changes a user's row, unless the database would refuse. The number can't change.
    pub fn edit_user(&self, username: &str, change: impl FnOnce(&mut User)) -> Result<(), DirectoryError> {
        let mut state = self.world.state();
        let user = state.directory.user(username).ok_or_else(|| DirectoryError::UnknownUser(username.to_owned()))?;
        let mut changed = user.clone();
        change(&mut changed);
        changed.id = user.id;
        state.directory.replace(changed)
    }

    /// Makes a user active or not, by the database alone: sessions and API tokens stay.
    pub fn set_active(&self, username: &str, is_active: bool) -> Result<(), DirectoryError> {
        self.edit_user(username, |user| user.is_active = is_active)
    }

    /// Makes these the user's groups. Unlike Core's own call, it refuses unknown ones.
    pub fn set_groups(&self, username: &str, groups: &[&str]) -> Result<(), DirectoryError> {
        let mut state = self.world.state();
        let user = state.directory.user(username).ok_or_else(|| DirectoryError::UnknownUser(username.to_owned()))?.id;
        if let Some(unknown) = groups.iter().find(|name| state.directory.group(name).is_none()) {
            return Err(DirectoryError::UnknownGroup((*unknown).to_owned()));
        }
        let names: Vec<String> = groups.iter().map(|name| (*name).to_owned()).collect();
        state.directory.set_groups(user, &names);
        Ok(())
    }

    /// Deletes a user with everything that is theirs; false if there is none.
    pub fn delete_user(&self, username: &str) -> bool {
        let mut state = self.world.state();
        let Some(user) = state.directory.remove_user(username) else { return false };
        state.credentials.forget(user.id);
        true
    }

    /// All groups, in the order they were made.
    pub fn groups(&self) -> Vec<GroupRecord> {
        let state = self.world.state();
        state.directory.groups.iter().map(|group| GroupRecord::of(&state.directory, group)).collect()
    }

    /// Adds a group; the number.
    pub fn add_group(&self, name: &str, is_admin: bool) -> Result<i64, DirectoryError> {
        self.world.state().directory.add_group(&NewGroup { name: name.to_owned(), is_admin })
    }

    /// Gives a group another name, as an administrator does; false if there is none of that name, or one of the new.
    pub fn rename_group(&self, name: &str, new: &str) -> bool {
        let mut state = self.world.state();
        if state.directory.group(new).is_some() {
            return false;
        }
        let group = state.directory.groups.iter_mut().find(|group| group.name == name);
        group.map(|group| new.clone_into(&mut group.name)).is_some()
    }

    /// All enrollment tokens, used and expired ones too, oldest first.
    pub fn enrollment_tokens(&self) -> Vec<TokenRecord> {
        let state = self.world.state();
        let tokens = &state.credentials.enrollment_tokens;
        tokens.iter().map(|token| TokenRecord::of(&state.directory, token)).collect()
    }

    /// Adds a token as of a password reset, which `start_…` deletes like all others; the token.
    pub fn add_password_reset(&self, username: &str) -> Result<String, DirectoryError> {
        let now = self.now_unix_s();
        let mut state = self.world.state();
        let user = state.directory.user(username).ok_or_else(|| DirectoryError::UnknownUser(username.to_owned()))?.id;
        let token = self.world.random.token();
        state.credentials.enrollment_tokens.push(EnrollmentToken {
            token: token.clone(),
            user,
            admin: None,
            email: None,
            kind: TokenKind::PasswordReset,
            created_at_unix_s: now,
            expires_at_unix_s: now.saturating_add(24 * 60 * 60),
            used_at_unix_s: None,
        });
        Ok(token)
    }

    /// All API tokens.
    pub fn api_tokens(&self) -> Vec<ApiTokenRecord> {
        let state = self.world.state();
        state.credentials.api_tokens.iter().map(|token| ApiTokenRecord::of(&state.directory, token)).collect()
    }

    /// Makes an API token for a user, administrator or not; the token.
    pub fn add_api_token(&self, owner: &str) -> Result<String, DirectoryError> {
        let now = self.now_unix_s();
        let mut state = self.world.state();
        let id = state.directory.user(owner).ok_or_else(|| DirectoryError::UnknownUser(owner.to_owned()))?.id;
        let token = format!("dg-{}", self.world.random.token());
        state.credentials.add_api_token(id, "control", &token, now);
        state.secrets.insert(token.clone());
        Ok(token)
    }

    /// Deletes an API token; false if there is none.
    pub fn revoke_api_token(&self, token: &str) -> bool {
        let mut state = self.world.state();
        let before = state.credentials.api_tokens.len();
        state.credentials.api_tokens.retain(|known| known.token != token);
        state.credentials.api_tokens.len() != before
    }

    /// Ends every session.
    pub fn end_sessions(&self) {
        self.world.state().credentials.sessions.clear();
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.world.state().credentials.sessions.len()
    }

    /// Changes the licence, from the next request on.
    pub fn set_licence(&self, licence: Licence) {
        self.world.state().licence = licence;
    }

    /// Which Core it is like, from the next request on: an upgrade while a client runs.
    pub fn set_version(&self, version: Version) {
        self.world.state().version = version;
    }

    /// Changes the `enrollment_url` of the answers.
    pub fn set_enrollment_url(&self, url: impl Into<String>) {
        self.world.state().enrollment_url = url.into();
    }

    /// Unix seconds by the emulator's clock.
    pub fn now_unix_s(&self) -> i64 {
        self.world.clock.now_unix_s()
    }

    /// Moves the emulator's clock, backwards if negative. Tokens and sessions live by it.
    pub fn advance_clock(&self, seconds: i64) {
        self.world.clock.advance(seconds);
    }

    /// Lets every call wait so long before anything else; zero ends that. A call that meets a fault waits for both.
    pub fn delay_all(&self, delay: Duration) {
        self.world.state().delay = delay;
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

    /// The requests so far as `METHOD /path`, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(RequestRecord::line).collect()
    }

    /// How many requests of this method (empty: any) fit the glob (`*` for any text with slashes).
    pub fn count(&self, method: &str, path_glob: &str) -> usize {
        self.world.state().log.count(method, path_glob)
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.world.state().log.clear();
    }

    /// Waits until `count` requests fit; false if that takes longer than the timeout.
    pub async fn wait_for_requests(&self, method: &str, path_glob: &str, count: usize, timeout: Duration) -> bool {
        let mut arrivals = self.world.arrivals.subscribe();
        let enough = arrivals.wait_for(|_| self.count(method, path_glob) >= count);
        matches!(tokio::time::timeout(timeout, enough).await, Ok(Ok(_)))
    }

    /// Every secret value since the start or the last reset, sorted: API tokens, sessions, enrollment tokens, passwords; those
    /// that requests brought (refused ones too) and those that were issued. For a test to search logs and pages for.
    pub fn secrets(&self) -> Vec<String> {
        self.world.state().secrets.iter().cloned().collect()
    }

    /// Everything back to how it was at start: version, licence, users, tokens, clock, faults, delay, log, secrets.
    pub fn reset(&self) {
        self.world.reset();
    }
}
