//! `apply = "file:PATH"`: the state that Defguard would have after the run, as one JSON document: `{"users":[{"oid","email","active"}],
//! "groups":[{"id","name","members":[oid,…]}]}`, sorted, nested groups resolved. It is replaced as a whole or not at all.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::SyncError;
use super::plan::Plan;
use super::snapshot::Snapshot;

/// A user of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentUser {
    /// The object id.
    pub oid: String,
    /// The address.
    pub email: String,
    /// Whether they may do anything.
    pub active: bool,
}

/// A group of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentGroup {
    /// The object id.
    pub id: String,
    /// The name.
    pub name: String,
    /// Object ids.
    pub members: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Document {
    users: Vec<DocumentUser>,
    groups: Vec<DocumentGroup>,
}

/// What was there before the run.
#[derive(Debug, Default)]
pub struct Before {
    /// By object id.
    pub users: BTreeMap<String, DocumentUser>,
    /// By object id.
    pub groups: BTreeMap<String, DocumentGroup>,
}

/// How much there is of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
}

fn failed(path: &Path, reason: impl std::fmt::Display) -> SyncError {
    SyncError::Apply { path: path.display().to_string(), reason: reason.to_string() }
}

/// The document of the run before; empty if there is none. One that can't be read isn't overwritten.
pub fn read(path: &Path) -> Result<Before, SyncError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Before::default()),
        Err(error) => return Err(failed(path, error)),
    };
    let document: Document = serde_json::from_reader(BufReader::new(file))
        .map_err(|error| failed(path, format!("it isn't a document of an earlier run: {error}")))?;
    Ok(Before {
        users: document.users.into_iter().map(|user| (user.oid.clone(), user)).collect(),
        groups: document.groups.into_iter().map(|group| (group.id.clone(), group)).collect(),
    })
}

/// Replaces the document.
pub fn write(path: &Path, snapshot: &Snapshot, before: &Before, plan: &Plan) -> Result<Counts, SyncError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = path.with_extension("partial");
    let counts = write_to(&partial, snapshot, before, plan).map_err(|error| failed(&partial, error))?;
    std::fs::rename(&partial, path).map_err(|error| failed(path, error))?;
    // So that the new name outlives a crash.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, error))?;
    Ok(counts)
}

fn write_to(path: &Path, snapshot: &Snapshot, before: &Before, plan: &Plan) -> std::io::Result<Counts> {
    let users = users(snapshot, before, plan);
    let there: HashSet<&str> = users.keys().map(String::as_str).collect();
    let mut counts = Counts { users: users.len() as u64, ..Counts::default() };
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(b"{\"users\":[")?;
    for (position, user) in users.values().enumerate() {
        separate(&mut out, position)?;
        serde_json::to_writer(&mut out, user)?;
    }
    out.write_all(b"],\"groups\":[")?;
    let mut keep = |out: &mut BufWriter<File>, group: &DocumentGroup| {
        separate(out, usize::try_from(counts.groups).unwrap_or(usize::MAX))?;
        serde_json::to_writer(&mut *out, group)?;
        counts.groups += 1;
        counts.memberships += group.members.len() as u64;
        Ok::<(), std::io::Error>(())
    };
    for source in sources(snapshot, before, plan) {
        keep(&mut out, &source.group(snapshot, &there))?;
    }
    out.write_all(b"]}\n")?;
    out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    Ok(counts)
}

fn separate(out: &mut BufWriter<File>, position: usize) -> std::io::Result<()> {
    if position > 0 { out.write_all(b",") } else { Ok(()) }
}

/// Everybody afterwards.
fn users(snapshot: &Snapshot, before: &Before, plan: &Plan) -> BTreeMap<String, DocumentUser> {
    let Some(people) = &plan.people else { return before.users.clone() };
    let stay = plan.others.iter().filter_map(|(id, active)| {
        let user = before.users.get(id)?;
        Some((id.clone(), DocumentUser { active: *active, ..user.clone() }))
    });
    let present = people.iter().filter_map(|(number, active)| {
        let person = snapshot.people.get(*number as usize)?;
        let user = DocumentUser { oid: person.id.clone(), email: person.email.clone()?, active: *active };
        Some((person.id.clone(), user))
    });
    stay.chain(present).collect()
}

/// Where a group of the document comes from.
enum Source<'a> {
    Directory(usize),
    Before(&'a DocumentGroup),
}

impl Source<'_> {
    fn group(&self, snapshot: &Snapshot, there: &HashSet<&str>) -> DocumentGroup {
        match self {
            Self::Before(group) => {
                let members = group.members.iter().filter(|id| there.contains(id.as_str())).cloned().collect();
                DocumentGroup { members, ..(*group).clone() }
            }
            Self::Directory(number) => {
                let people = snapshot.everybody_in(*number);
                let ids =
                    people.iter().filter_map(|person| snapshot.people.get(*person as usize)).map(|person| &person.id);
                let members = ids.filter(|id| there.contains(id.as_str())).cloned().collect();
                let group = snapshot.groups.get(*number);
                let (id, name) = group.map(|group| (group.id.clone(), group.name.clone())).unwrap_or_default();
                DocumentGroup { id, name, members }
            }
        }
    }
}

/// The groups afterwards, in the order of their ids.
fn sources<'a>(snapshot: &Snapshot, before: &'a Before, plan: &Plan) -> Vec<Source<'a>> {
    let Some(groups) = &plan.groups else { return before.groups.values().map(Source::Before).collect() };
    let mut all: BTreeMap<&str, Source<'a>> = BTreeMap::new();
    all.extend(plan.other_groups.iter().filter_map(|id| {
        let group = before.groups.get(id)?;
        Some((group.id.as_str(), Source::Before(group)))
    }));
    let ids: Vec<(String, usize)> =
        groups.iter().filter_map(|number| Some((snapshot.groups.get(*number)?.id.clone(), *number))).collect();
    let mut named: BTreeMap<String, Source<'a>> = all.into_iter().map(|(id, source)| (id.to_owned(), source)).collect();
    named.extend(ids.into_iter().map(|(id, number)| (id, Source::Directory(number))));
    named.into_values().collect()
}
