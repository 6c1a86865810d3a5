//! Groups and who is in them. Paths name a group in 1.6 and number it in 2.x. Every change may be asked for twice: what is
//! so already is done, so that an answer that was lost costs a second call and nothing else.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::client::{LIST_BYTES, is_username};
use super::error::{Failure, Said};
use super::model::{AssignGroups, EditGroup, Username};
use super::transport::Reply;
use super::{Budget, Call, CoreClient, CoreError, Generation, Group};

/// Bytes of a group's name: Entra's have 256 characters.
const MAX_NAME_BYTES: usize = 1024;
/// Users who are put into a group by one call.
pub const USERS_A_CALL: usize = 500;

/// How [`CoreClient::create_group`] ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupCreation {
    /// It was made.
    Made,
    /// One of that name is there: somebody else's, or made by a call whose answer was lost.
    There(Group),
}

fn failed(call: Call, failure: Failure) -> CoreError {
    CoreError { call, failure }
}

/// Whether a path can name the group in both generations: `.` and `..` go to other places, however they are written (URL
/// Standard, 4.4).
fn check_name(call: Call, name: &str) -> Result<(), CoreError> {
    let is_name = (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.contains(char::is_control);
    if is_name && !matches!(name, "." | "..") { Ok(()) } else { Err(failed(call, Failure::GroupName(name.to_owned()))) }
}

impl CoreClient {
    /// All groups with all their members: one call, of at most 96 MiB.
    pub async fn groups(&self, budget: Budget) -> Result<Vec<Group>, CoreError> {
        let reply = self.get(Call::ListGroups, "group-info", LIST_BYTES, budget).await?;
        self.expect(Call::ListGroups, &reply, 200)
    }

    /// Makes a group without members, whose members will be no administrators. Core doesn't say which number it has:
    /// [`CoreClient::groups`] does.
    pub async fn create_group(&self, name: &str, budget: Budget) -> Result<GroupCreation, CoreError> {
        let call = Call::CreateGroup;
        check_name(call, name)?;
        let new = EditGroup { name, members: &[], is_admin: false };
        let result = self.post(call, "group", &new, budget).await;
        let Err(error) = result.and_then(|reply| self.expect_status(call, &reply, 201)) else {
            return Ok(GroupCreation::Made);
        };
        if !error.failure.is_ambiguous() {
            return Err(error);
        }
        // A name that is taken is a 500, as a defect is (facts C2): who has it?
        let groups = self.groups(budget).await.unwrap_or_default();
        groups.into_iter().find(|group| group.name == name).map(GroupCreation::There).ok_or(error)
    }

    /// Gives a group another name and leaves the rest as it is. Core takes its members along with the name: who comes or goes
    /// between the reading and the writing, milliseconds, is as before. Another group that has the name is a
    /// [`Failure::Conflict`].
    pub async fn rename_group(&self, group: &Group, name: &str, budget: Budget) -> Result<(), CoreError> {
        let call = Call::ModifyGroup;
        check_name(call, name)?;
        let groups = self.groups(budget).await?;
        let current = groups.iter().find(|found| found.id == group.id);
        let current = current.ok_or_else(|| failed(call, Failure::NotFound(Said::default())))?;
        if current.name == name {
            return Ok(());
        }
        if groups.iter().any(|other| other.name == name) {
            return Err(failed(call, Failure::Conflict(format!("it has a group {name:?} already"))));
        }
        let edit = EditGroup { name, members: &current.members, is_admin: current.is_admin };
        let path = self.place(call, current, budget).await?;
        let result = self.put(call, &path, &edit, budget).await;
        let Err(error) = result.and_then(|reply| self.expect_of_group(call, &reply, 200)) else { return Ok(()) };
        let is_done = error.failure.is_ambiguous()
            && self
                .groups(budget)
                .await
                .is_ok_and(|groups| groups.iter().any(|now| now.id == group.id && now.name == name));
        if is_done { Ok(()) } else { Err(error) }
    }

    /// Deletes a group, under whatever name by now; whether one was there. Core keeps the last group of administrators (400).
    pub async fn delete_group(&self, group: &Group, budget: Budget) -> Result<bool, CoreError> {
        let call = Call::DeleteGroup;
        let Some(current) = self.current(group, budget).await? else { return Ok(false) };
        let path = self.place(call, &current, budget).await?;
        let error = match self.delete(call, &path, budget).await {
            Ok(reply) if reply.status == 404 => return Ok(false),
            Ok(reply) => match self.expect_of_group(call, &reply, 200) {
                Ok(()) => return Ok(true),
                Err(error) => error,
            },
            Err(error) => error,
        };
        let is_gone =
            error.failure.is_ambiguous() && self.current(&current, budget).await.is_ok_and(|group| group.is_none());
        if is_gone { Ok(true) } else { Err(error) }
    }

    /// Puts a user into a group, or leaves them in. A user or a group that is gone is a [`Failure::NotFound`].
    pub async fn add_member(&self, group: &Group, username: &str, budget: Budget) -> Result<(), CoreError> {
        let call = Call::AddMember;
        let path = self.place(call, group, budget).await?;
        let reply = self.post(call, &path, &Username { username }, budget).await?;
        self.expect_of_group(call, &reply, 200)
    }

    /// Puts users, by number, into a group, or leaves them in: a call for each 500, done for all of these or none. A user or a
    /// group that is gone is a [`Failure::Rejected`] of the call that names it.
    pub async fn add_members(&self, group: &Group, users: &[i64], budget: Budget) -> Result<(), CoreError> {
        let call = Call::AssignGroups;
        let mut users = users.to_vec();
        users.sort_unstable();
        // Core counts rows: one who is named twice counts as unknown (facts C2).
        users.dedup();
        for users in users.chunks(USERS_A_CALL) {
            let assign = AssignGroups { groups: [&group.name], users };
            let reply = self.post(call, "groups-assign", &assign, budget).await?;
            self.expect_status(call, &reply, 200)?;
        }
        Ok(())
    }

    /// Takes a user out of a group. A user or a group that is gone is as good.
    pub async fn remove_member(&self, group: &Group, username: &str, budget: Budget) -> Result<(), CoreError> {
        let call = Call::RemoveMember;
        if !is_username(username) {
            return Ok(());
        }
        let path = format!("{}/user/{username}", self.place(call, group, budget).await?);
        let reply = self.delete(call, &path, budget).await?;
        // Said by Core itself, and not by a server in between that knows no such path.
        if reply.status == 404 && reply.said().has("not found") {
            return Ok(());
        }
        self.expect_of_group(call, &reply, 200)
    }

    /// A group as it is now, whatever its name.
    async fn current(&self, group: &Group, budget: Budget) -> Result<Option<Group>, CoreError> {
        let call = Call::GetGroup;
        let generation = self.learned_generation(budget).await?;
        let path = self.place(call, group, budget).await?;
        let reply = self.get(call, &path, LIST_BYTES, budget).await?;
        if reply.status != 404 {
            if reply.status == 400 {
                self.remember(None);
            }
            let found: Group = self.expect(call, &reply, 200)?;
            if found.id == group.id {
                return Ok(Some(found));
            }
        }
        match generation {
            Generation::V2 => Ok(None),
            // It may be called otherwise by now.
            Generation::V1 => Ok(self.groups(budget).await?.into_iter().find(|found| found.id == group.id)),
        }
    }

    /// The path of a group.
    async fn place(&self, call: Call, group: &Group, budget: Budget) -> Result<String, CoreError> {
        let mut generation = self.learned_generation(budget).await?;
        if generation == Generation::V1 && group.name.parse::<i64>().is_ok() {
            // A Core that was updated since then would take this name for another group's number.
            generation = self.check_rights(budget).await?;
        }
        match generation {
            Generation::V1 => {
                check_name(call, &group.name)?;
                Ok(format!("group/{}", utf8_percent_encode(&group.name, NON_ALPHANUMERIC)))
            }
            Generation::V2 => Ok(format!("group/{}", group.id)),
        }
    }

    /// As [`CoreClient::expect_status`], of a call whose path is a group's: 400 may mean that Core was updated, and numbers
    /// now what it named before.
    fn expect_of_group(&self, call: Call, reply: &Reply, status: u16) -> Result<(), CoreError> {
        if reply.status == 400 {
            self.remember(None);
        }
        self.expect_status(call, reply, status)
    }
}
