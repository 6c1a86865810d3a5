//! The directory as it was read, on disk: people, groups, direct memberships, and the cursor. A page is one transaction, so whoever is
//! killed goes on where the last page ended. What an enumeration from the beginning doesn't name again goes when it is complete,
//! by generations: nothing is looked for, nothing is forgotten.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata as _, Table,
    TableDefinition, WriteTransaction,
};
use serde::{Deserialize, Serialize};

use super::oid::Oid;
use super::status::Kept;
use crate::config::ProviderId;
use crate::sandbox::bindings::exports::defguard::openid::directory::{
    Change, Collection, Group, Members, Page, Text, User,
};
use crate::storage::StorageConfig;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta_v1");
/// Object id → [`UserRecord`] as JSON.
const USERS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("users_v1");
/// Object id → [`GroupRecord`] as JSON.
const GROUPS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("groups_v1");
/// (group, member) → generation, and whether the member is a group, in the last bit.
const MEMBERS: TableDefinition<'_, (u128, u128), u64> = TableDefinition::new("members_v1");
/// (group, group that was in it): the last enumeration from the beginning named neither the second nor that it is in the first.
const LOST: TableDefinition<'_, (u128, u128), ()> = TableDefinition::new("lost_v1");

const CURSOR: &str = "cursor";
const ROUNDS: &str = "rounds";
/// And the target's name.
const APPLIED: &str = "applied ";
const STATUS: &str = "status";
const ROUND_ENDED: &str = "round.ended_at_s";
/// Whether the page that was kept last isn't the last of its round.
const ROUND_OPEN: &str = "round.open";
/// What redb may keep in memory, in bytes.
const CACHE_BYTES: usize = 48 << 20;

/// Why the mirror can't be used.
#[derive(Debug, thiserror::Error)]
pub enum MirrorError {
    /// Another process has it open.
    #[error("{0} is in use: another run is under way")]
    InUse(PathBuf),
    /// The disk, or the file.
    #[error("the directory's mirror can't be used: {0}")]
    Broken(String),
    /// The component said something that isn't in the contract.
    #[error("the plugin's page can't be kept: {0}")]
    Page(String),
}

fn broken(error: impl std::fmt::Display) -> MirrorError {
    MirrorError::Broken(error.to_string())
}

/// A person, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRecord {
    generation: u64,
    /// `userPrincipalName`.
    pub user_principal_name: Option<String>,
    /// The Mail attribute.
    pub mail: Option<String>,
    /// Further addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_mails: Vec<String>,
    /// The display name.
    pub display_name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The family name.
    pub surname: Option<String>,
    /// The telephone number.
    pub mobile_phone: Option<String>,
    /// Whether the account may sign in, if that is known.
    pub enabled: Option<bool>,
    /// Whether it was invited, if that is known.
    pub guest: Option<bool>,
}

/// A group, as far as is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    generation: u64,
    /// The display name.
    pub display_name: Option<String>,
    /// Whether only who has a permission of its own sees who is in it.
    #[serde(default, skip_serializing_if = "is_false")]
    hidden_members: bool,
    /// Such a group, and the last enumeration from the beginning named nobody in it: whoever was known to be in it still is, as far as
    /// anybody knows.
    #[serde(default, skip_serializing_if = "is_false")]
    pub unseen_members: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The mirror of one provider's directory. Only one process has it open at a time.
#[derive(Clone)]
pub struct Mirror {
    database: Arc<Database>,
}

impl Mirror {
    /// Opens or makes it: beside the storage's file, or in memory with that.
    pub async fn open(storage: &StorageConfig, provider: &ProviderId) -> Result<Self, MirrorError> {
        let path = storage.beside(&format!("directory-{provider}.redb"));
        tokio::task::spawn_blocking(move || Self::open_at(path.as_deref())).await.map_err(broken)?
    }

    /// As [`Mirror::open`], with the file at hand; `None`: in memory.
    pub fn open_at(path: Option<&Path>) -> Result<Self, MirrorError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let database = match path {
            None => builder.create_with_backend(InMemoryBackend::new()),
            Some(path) => {
                crate::storage::private_file(path).map_err(broken)?;
                builder.create(path)
            }
        };
        let database = database.map_err(|error| match (error, path) {
            (DatabaseError::DatabaseAlreadyOpen, Some(path)) => MirrorError::InUse(path.into()),
            (error, _) => broken(error),
        })?;
        let mirror = Self { database: Arc::new(database) };
        let write = mirror.database.begin_write().map_err(broken)?;
        write.open_table(META).map_err(broken)?;
        write.open_table(USERS).map_err(broken)?;
        write.open_table(GROUPS).map_err(broken)?;
        write.open_table(MEMBERS).map_err(broken)?;
        write.open_table(LOST).map_err(broken)?;
        write.commit().map_err(broken)?;
        Ok(mirror)
    }

    /// What the next call of the component gets.
    pub fn cursor(&self) -> Result<Option<String>, MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        let meta = read.open_table(META).map_err(broken)?;
        let cursor = meta.get(CURSOR).map_err(broken)?;
        cursor.map(|cursor| String::from_utf8(cursor.value().to_vec()).map_err(broken)).transpose()
    }

    /// Drops the cursor: the next round begins from the beginning. What is known stays until that is complete.
    pub fn forget_cursor(&self) -> Result<(), MirrorError> {
        let write = self.database.begin_write().map_err(broken)?;
        write.open_table(META).map_err(broken)?.remove(CURSOR).map_err(broken)?;
        write.commit().map_err(broken)
    }

    /// Whether the next page is one of a round that began before: what was read of it then may be old.
    pub fn is_within_a_round(&self) -> Result<bool, MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        let meta = read.open_table(META).map_err(broken)?;
        Ok(meta.get(CURSOR).map_err(broken)?.is_some() && number(&meta, ROUND_OPEN)? == 1)
    }

    /// Keeps a page and its cursor, both or neither.
    pub fn keep(&self, page: &Page, now_unix_s: u64) -> Result<(), MirrorError> {
        let write = self.database.begin_write().map_err(broken)?;
        for change in &page.changes {
            apply(&write, change)?;
        }
        {
            let mut meta = write.open_table(META).map_err(broken)?;
            meta.insert(CURSOR, page.cursor.as_bytes()).map_err(broken)?;
        }
        set(&write, ROUND_OPEN, u64::from(!page.is_last))?;
        if page.is_last {
            count(&write, ROUNDS)?;
            set(&write, ROUND_ENDED, now_unix_s)?;
        }
        write.commit().map_err(broken)
    }

    /// Rounds that were completed.
    pub fn rounds(&self) -> Result<u64, MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        number(&read.open_table(META).map_err(broken)?, ROUNDS)
    }

    /// Whether its content was applied to that target before.
    pub fn was_applied(&self, target: &str) -> Result<bool, MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        Ok(number(&read.open_table(META).map_err(broken)?, &format!("{APPLIED}{target}"))? > 0)
    }

    /// Notes that it was.
    pub fn set_applied(&self, target: &str) -> Result<(), MirrorError> {
        let write = self.database.begin_write().map_err(broken)?;
        count(&write, &format!("{APPLIED}{target}"))?;
        write.commit().map_err(broken)
    }

    /// When the last round was completed, in seconds since 1970.
    pub fn round_ended_at(&self) -> Result<Option<u64>, MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        let ended = number(&read.open_table(META).map_err(broken)?, ROUND_ENDED)?;
        Ok(Some(ended).filter(|ended| *ended > 0))
    }

    /// How the runs went; nothing if that can't be read any more.
    pub fn kept(&self) -> Result<Kept, MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        let meta = read.open_table(META).map_err(broken)?;
        let kept = meta.get(STATUS).map_err(broken)?;
        Ok(kept.and_then(|kept| serde_json::from_slice(kept.value()).ok()).unwrap_or_default())
    }

    /// Notes how a run went.
    pub fn set_kept(&self, kept: &Kept) -> Result<(), MirrorError> {
        let kept = serde_json::to_vec(kept).map_err(broken)?;
        let write = self.database.begin_write().map_err(broken)?;
        write.open_table(META).map_err(broken)?.insert(STATUS, kept.as_slice()).map_err(broken)?;
        write.commit().map_err(broken)
    }

    /// One person; `None`: nobody has the object id.
    pub fn user(&self, oid: Oid) -> Result<Option<UserRecord>, MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        let users = read.open_table(USERS).map_err(broken)?;
        let record = users.get(oid.0).map_err(broken)?;
        record.map(|record| serde_json::from_slice(record.value()).map_err(broken)).transpose()
    }

    /// Every person.
    pub fn users(&self, mut visit: impl FnMut(u128, UserRecord)) -> Result<(), MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        for entry in read.open_table(USERS).map_err(broken)?.iter().map_err(broken)? {
            let (id, record) = entry.map_err(broken)?;
            visit(id.value(), serde_json::from_slice(record.value()).map_err(broken)?);
        }
        Ok(())
    }

    /// Every group.
    pub fn groups(&self, mut visit: impl FnMut(u128, GroupRecord)) -> Result<(), MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        for entry in read.open_table(GROUPS).map_err(broken)?.iter().map_err(broken)? {
            let (id, record) = entry.map_err(broken)?;
            visit(id.value(), serde_json::from_slice(record.value()).map_err(broken)?);
        }
        Ok(())
    }

    /// Every direct membership: group, member, and whether that is a group. In the order of groups.
    pub fn members(&self, mut visit: impl FnMut(u128, u128, bool)) -> Result<(), MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        for entry in read.open_table(MEMBERS).map_err(broken)?.iter().map_err(broken)? {
            let (key, mark) = entry.map_err(broken)?;
            let (group, member) = key.value();
            visit(group, member, mark.value() & 1 == 1);
        }
        Ok(())
    }

    /// Every group, and what was in it, that an enumeration from the beginning didn't name any more: whether it is gone isn't known.
    pub fn lost(&self, mut visit: impl FnMut(u128, u128)) -> Result<(), MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        for entry in read.open_table(LOST).map_err(broken)?.iter().map_err(broken)? {
            let (group, inner) = entry.map_err(broken)?.0.value();
            visit(group, inner);
        }
        Ok(())
    }

    /// Of these groups it is known by now that they are gone.
    pub fn forget_lost(&self, gone: &HashSet<u128>) -> Result<(), MirrorError> {
        let write = self.database.begin_write().map_err(broken)?;
        forget_lost(&write, gone)?;
        write.commit().map_err(broken)
    }

    /// How many people, groups and direct memberships there are.
    pub fn counts(&self) -> Result<(u64, u64, u64), MirrorError> {
        let read = self.database.begin_read().map_err(broken)?;
        Ok((
            read.open_table(USERS).map_err(broken)?.len().map_err(broken)?,
            read.open_table(GROUPS).map_err(broken)?.len().map_err(broken)?,
            read.open_table(MEMBERS).map_err(broken)?.len().map_err(broken)?,
        ))
    }
}

/// The key of a collection's generation, and of the note that it is being read from the beginning.
fn keys(collection: Collection) -> (&'static str, &'static str) {
    match collection {
        Collection::Users => ("generation.users", "full.users"),
        Collection::Groups => ("generation.groups", "full.groups"),
    }
}

fn number(meta: &impl ReadableTable<&'static str, &'static [u8]>, key: &str) -> Result<u64, MirrorError> {
    let value = meta.get(key).map_err(broken)?;
    Ok(value.and_then(|value| value.value().try_into().ok().map(u64::from_be_bytes)).unwrap_or(0))
}

fn set(write: &WriteTransaction, key: &str, number: u64) -> Result<(), MirrorError> {
    let mut meta = write.open_table(META).map_err(broken)?;
    meta.insert(key, number.to_be_bytes().as_slice()).map_err(broken)?;
    Ok(())
}

fn get(write: &WriteTransaction, key: &str) -> Result<u64, MirrorError> {
    number(&write.open_table(META).map_err(broken)?, key)
}

fn count(write: &WriteTransaction, key: &str) -> Result<(), MirrorError> {
    set(write, key, get(write, key)? + 1)
}

/// An object id as the component writes it.
fn id(text: &str) -> Result<u128, MirrorError> {
    let oid = Oid::parse(text).map(|oid| oid.0);
    oid.ok_or_else(|| MirrorError::Page(format!("{:?} is no object id", text.chars().take(64).collect::<String>())))
}

fn apply(write: &WriteTransaction, change: &Change) -> Result<(), MirrorError> {
    match change {
        Change::Restart(collection) => {
            let (generation, full) = keys(*collection);
            count(write, generation)?;
            set(write, full, 1)
        }
        Change::User(user) => keep_user(write, user),
        Change::UserRemoved((user, _)) => {
            write.open_table(USERS).map_err(broken)?.remove(id(user)?).map_err(broken)?;
            Ok(())
        }
        Change::Group(group) => keep_group(write, group),
        Change::GroupRemoved((group, _)) => {
            let group = id(group)?;
            write.open_table(GROUPS).map_err(broken)?.remove(group).map_err(broken)?;
            forget_lost(write, &HashSet::from([group]))?;
            let mut members = write.open_table(MEMBERS).map_err(broken)?;
            members.retain_in((group, 0)..=(group, u128::MAX), |_, _| false).map_err(broken)
        }
        Change::MembersAdded(added) => add_members(write, added),
        Change::MembersRemoved(removed) => remove_members(write, removed),
        Change::Complete(collection) => complete(write, *collection),
    }
}

/// What an enumeration from the beginning didn't name is gone.
fn complete(write: &WriteTransaction, collection: Collection) -> Result<(), MirrorError> {
    let (generation, full) = keys(collection);
    if get(write, full)? == 0 {
        return Ok(());
    }
    let generation = get(write, generation)?;
    match collection {
        Collection::Users => {
            let mut users = write.open_table(USERS).map_err(broken)?;
            users
                .retain(|_, record| of_generation::<UserRecord>(record, |user| user.generation, generation))
                .map_err(broken)?;
        }
        Collection::Groups => {
            let mut groups = write.open_table(GROUPS).map_err(broken)?;
            let mut unnamed = HashSet::new();
            groups
                .retain(|id, record| {
                    let is_named = of_generation::<GroupRecord>(record, |group| group.generation, generation);
                    if !is_named {
                        unnamed.insert(id);
                    }
                    is_named
                })
                .map_err(broken)?;
            let mut members = write.open_table(MEMBERS).map_err(broken)?;
            keep_hidden(&mut groups, &mut members, generation)?;
            let mut lost = Vec::new();
            members
                .retain(|(group, member), mark| {
                    let is_named = mark >> 1 == generation;
                    if !is_named && unnamed.contains(&member) {
                        lost.push((group, member));
                    }
                    is_named
                })
                .map_err(broken)?;
            keep_lost(write, &groups, &lost)?;
        }
    }
    set(write, full, 0)
}

/// Of groups that are there, those in them that aren't any more; of former ones, those that still aren't.
fn keep_lost(
    write: &WriteTransaction,
    groups: &Table<'_, u128, &'static [u8]>,
    found: &[(u128, u128)],
) -> Result<(), MirrorError> {
    let mut lost = write.open_table(LOST).map_err(broken)?;
    for key in found {
        lost.insert(key, ()).map_err(broken)?;
    }
    let is_there = |id| groups.get(id).map_err(broken).map(|record| record.is_some());
    let all: Vec<(u128, u128)> = lost
        .iter()
        .map_err(broken)?
        .map(|entry| entry.map(|(key, _)| key.value()).map_err(broken))
        .collect::<Result<_, _>>()?;
    for (group, inner) in all {
        if !is_there(group)? || is_there(inner)? {
            lost.remove((group, inner)).map_err(broken)?;
        }
    }
    Ok(())
}

fn forget_lost(write: &WriteTransaction, gone: &HashSet<u128>) -> Result<(), MirrorError> {
    let mut lost = write.open_table(LOST).map_err(broken)?;
    lost.retain(|(_, inner), ()| !gone.contains(&inner)).map_err(broken)
}

/// Nobody in a group whose members are hidden means that they may not be seen (entra_graph §5.2): whoever was known stays.
fn keep_hidden(
    groups: &mut Table<'_, u128, &'static [u8]>,
    members: &mut Table<'_, (u128, u128), u64>,
    generation: u64,
) -> Result<(), MirrorError> {
    let mut hidden = Vec::new();
    for entry in groups.iter().map_err(broken)? {
        let (id, record) = entry.map_err(broken)?;
        let record: GroupRecord = serde_json::from_slice(record.value()).map_err(broken)?;
        if record.hidden_members {
            hidden.push((id.value(), record));
        }
    }
    for (group, record) in hidden {
        let known = members.range((group, 0)..=(group, u128::MAX)).map_err(broken)?;
        let known: Vec<((u128, u128), u64)> = known
            .map(|entry| entry.map(|(key, mark)| (key.value(), mark.value())))
            .collect::<Result<_, _>>()
            .map_err(broken)?;
        if known.iter().any(|(_, mark)| mark >> 1 == generation) {
            continue;
        }
        for (key, mark) in known {
            members.insert(key, generation << 1 | (mark & 1)).map_err(broken)?;
        }
        let record = serde_json::to_vec(&GroupRecord { unseen_members: true, ..record }).map_err(broken)?;
        groups.insert(group, record.as_slice()).map_err(broken)?;
    }
    Ok(())
}

fn of_generation<T: for<'a> Deserialize<'a>>(record: &[u8], of: impl Fn(&T) -> u64, generation: u64) -> bool {
    serde_json::from_slice::<T>(record).is_ok_and(|record| of(&record) == generation)
}

/// What is said of a property goes before what was known; nothing said leaves it.
fn said(known: &mut Option<String>, text: &Text) {
    match text {
        Text::Unsaid => {}
        Text::None => *known = None,
        Text::Value(value) => *known = Some(value.clone()),
    }
}

fn keep_user(write: &WriteTransaction, user: &User) -> Result<(), MirrorError> {
    let id = id(&user.id)?;
    let generation = get(write, keys(Collection::Users).0)?;
    let mut users = write.open_table(USERS).map_err(broken)?;
    let known = users.get(id).map_err(broken)?;
    let known = known.and_then(|record| serde_json::from_slice::<UserRecord>(record.value()).ok());
    // In an enumeration from the beginning, what isn't said isn't there.
    let mut record = known.filter(|record| record.generation == generation).unwrap_or_default();
    record.generation = generation;
    said(&mut record.user_principal_name, &user.user_principal_name);
    said(&mut record.mail, &user.mail);
    said(&mut record.display_name, &user.display_name);
    said(&mut record.given_name, &user.given_name);
    said(&mut record.surname, &user.surname);
    said(&mut record.mobile_phone, &user.mobile_phone);
    if let Some(other_mails) = &user.other_mails {
        record.other_mails.clone_from(other_mails);
    }
    record.enabled = user.enabled.or(record.enabled);
    record.guest = user.guest.or(record.guest);
    let record = serde_json::to_vec(&record).map_err(broken)?;
    users.insert(id, record.as_slice()).map_err(broken)?;
    Ok(())
}

fn keep_group(write: &WriteTransaction, group: &Group) -> Result<(), MirrorError> {
    let id = id(&group.id)?;
    let generation = get(write, keys(Collection::Groups).0)?;
    let mut groups = write.open_table(GROUPS).map_err(broken)?;
    let known = groups.get(id).map_err(broken)?;
    let known = known.and_then(|record| serde_json::from_slice::<GroupRecord>(record.value()).ok());
    let mut record = known.filter(|record| record.generation == generation).unwrap_or_default();
    record.generation = generation;
    said(&mut record.display_name, &group.display_name);
    record.hidden_members = group.hidden_members.unwrap_or(record.hidden_members);
    let record = serde_json::to_vec(&record).map_err(broken)?;
    groups.insert(id, record.as_slice()).map_err(broken)?;
    Ok(())
}

fn add_members(write: &WriteTransaction, added: &Members) -> Result<(), MirrorError> {
    let group = id(&added.group)?;
    let generation = get(write, keys(Collection::Groups).0)?;
    now_seen(write, group)?;
    let mut members = write.open_table(MEMBERS).map_err(broken)?;
    for (ids, is_group) in [(&added.users, 0), (&added.groups, 1)] {
        for member in ids {
            members.insert((group, id(member)?), generation << 1 | is_group).map_err(broken)?;
        }
    }
    Ok(())
}

/// Somebody in it is shown.
fn now_seen(write: &WriteTransaction, group: u128) -> Result<(), MirrorError> {
    let mut groups = write.open_table(GROUPS).map_err(broken)?;
    let record = groups.get(group).map_err(broken)?;
    let record = record.and_then(|record| serde_json::from_slice::<GroupRecord>(record.value()).ok());
    if let Some(record) = record.filter(|record| record.unseen_members) {
        let record = serde_json::to_vec(&GroupRecord { unseen_members: false, ..record }).map_err(broken)?;
        groups.insert(group, record.as_slice()).map_err(broken)?;
    }
    Ok(())
}

fn remove_members(write: &WriteTransaction, removed: &Members) -> Result<(), MirrorError> {
    let group = id(&removed.group)?;
    let mut members = write.open_table(MEMBERS).map_err(broken)?;
    for member in removed.users.iter().chain(&removed.groups) {
        members.remove((group, id(member)?)).map_err(broken)?;
    }
    Ok(())
}
