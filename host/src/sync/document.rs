//! `apply = "file:PATH"`: the state that Defguard would have after the run, as one JSON document: `{"users":[{"oid","email","active"}],
//! "groups":[{"id","name","members":[oid,…]}]}`, sorted, nested groups resolved. It is replaced as a whole or not at all.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::SyncError;
use super::action::Action;
use super::lease::Lease;
use super::oid::Oid;
use super::plan::Abilities;
use super::state::{Group, State, User};
use super::target::{Applied, Target};

/// The document at a path.
#[derive(Debug, Clone)]
pub struct DocumentTarget {
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct DocumentUser {
    oid: Oid,
    email: String,
    active: bool,
}

#[derive(Debug, Deserialize)]
struct DocumentGroup {
    id: Oid,
    name: String,
    members: Vec<Oid>,
}

#[derive(Serialize)]
struct WrittenGroup<'a> {
    id: Oid,
    name: &'a str,
    members: &'a [Oid],
}

#[derive(Debug, Default, Deserialize)]
struct Document {
    users: Vec<DocumentUser>,
    groups: Vec<DocumentGroup>,
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> SyncError {
    SyncError::Apply { target: path.display().to_string(), reason: reason.to_string() }
}

impl DocumentTarget {
    /// Reads and writes nothing yet.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

#[async_trait]
impl Target for DocumentTarget {
    fn name(&self) -> String {
        format!("file:{}", self.path.display())
    }

    fn abilities(&self) -> Abilities {
        Abilities { creates_users: true, is_document: true, renames_groups: true }
    }

    /// The document of the run before; empty if there is none. One that can't be read isn't overwritten.
    async fn read(&self) -> Result<State, SyncError> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        read.map_err(|error| failed(&self.path, error))?
    }

    async fn apply(
        &self,
        lease: &Lease,
        state: State,
        actions: Vec<Action>,
        done: &mut (dyn for<'a> FnMut(&'a Action) + Send),
    ) -> Result<Applied, SyncError> {
        lease.check().await?;
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || {
            let is_new = !path.exists();
            let after = state.after(&actions);
            if is_new || !actions.is_empty() {
                write(&path, &after)?;
            }
            Ok::<_, SyncError>((after.counts(), actions))
        });
        let (counts, actions) = written.await.map_err(|error| failed(&self.path, error))??;
        // All of it or nothing.
        for action in &actions {
            done(action);
        }
        Ok(Applied { counts, ..Applied::default() })
    }
}

fn read(path: &Path) -> Result<State, SyncError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::default()),
        Err(error) => return Err(failed(path, error)),
    };
    let document: Document = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| failed(path, format!("it isn't a document of an earlier run: {error}")))?;
    let users = document.users.into_iter().map(|user| {
        let known = User { email: user.email, active: user.active, ..User::default() };
        (user.oid, known)
    });
    let groups = document.groups.into_iter().map(|mut group| {
        group.members.sort_unstable();
        group.members.dedup();
        (group.id, Group { name: group.name, members: group.members, is_admin: false, was_made: true })
    });
    Ok(State { users: users.collect(), groups: groups.collect(), ..State::default() })
}

/// Replaces the document.
fn write(path: &Path, state: &State) -> Result<(), SyncError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = path.with_extension("partial");
    write_to(&partial, state).map_err(|error| failed(&partial, error))?;
    std::fs::rename(&partial, path).map_err(|error| failed(path, error))?;
    // So that the new name outlives a crash.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, error))
}

fn write_to(path: &Path, state: &State) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(b"{\"users\":[")?;
    for (position, (oid, user)) in state.users.iter().enumerate() {
        separate(&mut out, position)?;
        let user = DocumentUser { oid: *oid, email: user.email.clone(), active: user.active };
        serde_json::to_writer(&mut out, &user)?;
    }
    out.write_all(b"],\"groups\":[")?;
    for (position, (id, group)) in state.groups.iter().enumerate() {
        separate(&mut out, position)?;
        serde_json::to_writer(&mut out, &WrittenGroup { id: *id, name: &group.name, members: &group.members })?;
    }
    out.write_all(b"]}\n")?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
}

fn separate(out: &mut BufWriter<File>, position: usize) -> std::io::Result<()> {
    if position > 0 { out.write_all(b",") } else { Ok(()) }
}
