//! Changing a user's state and deleting a user. Core's `PUT user/{username}` takes a whole record (facts C2): what is sent is
//! what was read a moment before, with one member changed, and afterwards it is read again. Both calls go by the user's
//! number as well as by the name, which may be somebody else's by now.

use serde_json::Value;

use super::client::{ONE_BYTES, is_username};
use super::error::{Failure, Said};
use super::{Budget, Call, CoreClient, CoreError};

/// How often a change is tried that others come in between of.
const ATTEMPTS: usize = 3;

/// How [`CoreClient::set_active`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    /// It was so.
    Unchanged,
    /// It is so now.
    Changed,
    /// It is so now, and somebody changed the user's groups, or state, in the same moment: the groups are those of before
    /// that, since Core takes whole records only.
    Disturbed,
}

/// A user's record with every member that this version of Core has.
struct Record(Value);

impl Record {
    fn is_active(&self) -> Option<bool> {
        self.0.get("is_active").and_then(Value::as_bool)
    }

    fn with_state(&self, is_active: bool) -> Value {
        let mut record = self.0.clone();
        if let Some(member) = record.get_mut("is_active") {
            *member = Value::Bool(is_active);
        }
        record
    }
}

impl CoreClient {
    /// Enables or disables a user, and leaves everything else as it is. Three calls, one if it is so already. Who is disabled
    /// is logged out, and loses their API tokens; nobody disables the account that this host uses (400).
    ///
    /// A change that somebody else makes between the reading and the writing is written over, since Core has no way to
    /// change a single member. Where it concerns the groups this shows, for then Core leaves the state as it is (facts C2):
    /// it is tried again, and the answer is [`StateChange::Disturbed`]. Names, address and telephone number that change
    /// within these milliseconds don't show.
    pub async fn set_active(
        &self,
        id: i64,
        username: &str,
        is_active: bool,
        budget: Budget,
    ) -> Result<StateChange, CoreError> {
        let call = Call::ModifyUser;
        let mut record = self.record(id, username, budget).await?;
        if record.is_active() == Some(is_active) {
            return Ok(StateChange::Unchanged);
        }
        let mut change = StateChange::Changed;
        for _ in 0..ATTEMPTS {
            let path = format!("user/{username}");
            let written = match self.put(call, &path, &record.with_state(is_active), budget).await {
                Ok(reply) => self.expect_status(call, &reply, 200),
                Err(error) => Err(error),
            };
            if let Err(error) = &written
                && !error.failure.is_ambiguous()
            {
                return written.map(|()| change);
            }
            record = match self.record(id, username, budget).await {
                Ok(record) => record,
                Err(error) => return written.and(Err(error)),
            };
            if record.is_active() == Some(is_active) {
                return Ok(change);
            }
            // It certainly wasn't done, or it isn't yet.
            written?;
            change = StateChange::Disturbed;
        }
        let reason = format!("its user {username:?} was changed by others each of the {ATTEMPTS} times");
        Err(CoreError { call, failure: Failure::Conflict(reason) })
    }

    /// The record of the user who has this name and this number.
    async fn record(&self, id: i64, username: &str, budget: Budget) -> Result<Record, CoreError> {
        let call = Call::GetUser;
        let failed = |failure| CoreError { call, failure };
        if !is_username(username) {
            return Err(failed(Failure::NotFound(Said::default())));
        }
        let reply = self.get(call, &format!("user/{username}"), ONE_BYTES, budget).await?;
        let mut details: Value = self.expect(call, &reply, 200)?;
        let record = Record(details.get_mut("user").map(Value::take).unwrap_or_default());
        if record.is_active().is_none() {
            return Err(failed(Failure::Malformed("a user without is_active".into())));
        }
        if record.0.get("id").and_then(Value::as_i64) != Some(id) {
            return Err(failed(Failure::NotFound(Said::default())));
        }
        Ok(record)
    }

    /// Deletes a user, under whatever name by now; whether one was there. Two calls. An answer that is lost is looked after,
    /// so that who tries again deletes nobody else.
    pub async fn delete_user(&self, id: i64, username: &str, budget: Budget) -> Result<bool, CoreError> {
        let call = Call::DeleteUser;
        let named = self.user(username, budget).await?.filter(|user| user.id == id);
        let user = match named {
            Some(user) => user,
            None => match self.find(|user| user.id == id, budget).await? {
                Some(user) => user,
                None => return Ok(false),
            },
        };
        if !is_username(&user.username) {
            let reason = format!("the name {:?} of user {id}", user.username);
            return Err(CoreError { call, failure: Failure::Malformed(reason) });
        }
        let result = self.delete(call, &format!("user/{}", user.username), budget).await;
        let error = match result {
            Ok(reply) if reply.status == 404 => return Ok(false),
            Ok(reply) => match self.expect_status(call, &reply, 200) {
                Ok(()) => return Ok(true),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let is_gone = error.failure.is_ambiguous()
            && self.user(&user.username, budget).await.is_ok_and(|found| found.is_none_or(|found| found.id != id));
        if is_gone { Ok(true) } else { Err(error) }
    }
}
