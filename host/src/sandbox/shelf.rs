//! The host's own folder for plugins: which one is in use, which ones were, which ones are never to be loaded again, a copy of
//! each, and what was compiled of them. Only the host's user may open it; what lies there is checked like any other file.

mod compiled;

pub(super) use compiled::moved;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};

use super::candidate::{Candidate, signature_path};
use super::{Checked, LoadError, Plugin, Trust};

/// How many former plugins are kept, to go back to.
const FORMER: usize = 3;
/// How many that were rolled back are remembered.
const SET_ASIDE: usize = 32;
/// The largest state file, in bytes.
const MAX_STATE: u64 = 64 << 10;
const KEY_BYTES: usize = 32;

/// A plugin that was in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// What the component calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The name of the file that it came in.
    pub file: String,
    /// When it was signed, in seconds since 1970; of an unsigned one nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_at_unix_s: Option<u64>,
}

impl Release {
    /// Of a plugin.
    pub fn of(plugin: &Plugin) -> Self {
        Self {
            sha256: plugin.sha256().to_owned(),
            name: plugin.name().to_owned(),
            version: plugin.version().to_owned(),
            file: plugin.file().to_owned(),
            signed_at_unix_s: plugin.signed().map(|signed| signed.signed_at_unix_s),
        }
    }
}

/// A plugin that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// Why.
    pub reason: String,
}

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The one in use, or last in use.
    pub in_use: Option<Release>,
    /// Those before it, the latest first.
    pub former: Vec<Release>,
    /// Those that are not loaded again.
    pub set_aside: Vec<SetAside>,
}

impl State {
    /// Notes that a plugin took over.
    pub fn took_over(&mut self, release: Release) {
        self.former.retain(|former| former.sha256 != release.sha256);
        if let Some(before) = self.in_use.replace(release).filter(|before| Some(before) != self.in_use.as_ref()) {
            self.former.insert(0, before);
        }
        self.former.truncate(FORMER);
    }

    /// Notes that it goes back to `release`, and why the one in use is set aside.
    pub fn went_back(&mut self, release: Release, sha256: &str, reason: &str) {
        self.former.retain(|former| former.sha256 != release.sha256);
        self.in_use = Some(release);
        if self.reason_against(sha256).is_none() {
            self.set_aside.insert(0, SetAside { sha256: sha256.to_owned(), reason: reason.to_owned() });
            self.set_aside.truncate(SET_ASIDE);
        }
    }

    /// Why a plugin isn't loaded again, if it isn't.
    pub fn reason_against(&self, sha256: &str) -> Option<&str> {
        self.set_aside.iter().find(|aside| aside.sha256 == sha256).map(|aside| aside.reason.as_str())
    }

    /// The former one that a roll-back goes to.
    pub fn back_to(&self) -> Option<&Release> {
        self.former.iter().find(|former| self.reason_against(&former.sha256).is_none())
    }
}

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the plugins' folder {folder} can't be used: {reason} (plugins.folder)")]
pub struct ShelfError {
    folder: PathBuf,
    reason: String,
}

/// The folder.
#[derive(Clone)]
pub struct Shelf {
    folder: PathBuf,
    /// `None`: it is another user's, whose machine code isn't run.
    key: Option<Arc<hmac::Key>>,
    /// Whether what happens is noted: a command that only tries something isn't the service.
    notes: bool,
}

impl Shelf {
    /// Opens it, or makes it: a folder of this user's that nobody else can open, with a key of its own.
    pub fn open(folder: &Path) -> Result<Self, ShelfError> {
        let failed = |reason: String| ShelfError { folder: folder.into(), reason };
        let io = |error: std::io::Error| failed(error.to_string());
        match std::fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        let found = std::fs::symlink_metadata(folder).map_err(io)?;
        let own = std::fs::metadata("/proc/self").map_err(io)?.uid();
        if !found.is_dir() {
            return Err(failed("it isn't a folder".into()));
        }
        if found.uid() != own {
            let owner = found.uid();
            return Err(failed(format!(
                "it belongs to user {owner}, not to user {own}, who runs this: run it as that user"
            )));
        }
        if found.mode() & 0o077 != 0 {
            std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).map_err(io)?;
        }
        let key = key(&folder.join("key")).map_err(failed)?;
        let key = Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &key));
        Ok(Self { folder: folder.into(), key: Some(key), notes: true })
    }

    /// Opens one that is there, in which nothing is changed. Root may look into that of the service's user; but what was compiled there
    /// isn't run, or that user could run anything as root.
    pub fn look_into(folder: &Path) -> Result<Self, ShelfError> {
        let owner = |path: &Path| std::fs::metadata(path).map(|found| found.uid());
        let is_root = owner(Path::new("/proc/self")).is_ok_and(|own| own == 0);
        let is_anothers = std::fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir() && found.uid() != 0);
        if is_root && is_anothers {
            return Ok(Self { folder: folder.into(), key: None, notes: false });
        }
        Ok(Self { notes: false, ..Self::open(folder)? })
    }

    /// Where the state is: whoever changes it renames a new file into place.
    pub fn state_path(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// What is remembered; nothing, if it can't be read, which is said.
    pub fn state(&self) -> State {
        let path = self.state_path();
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return State::default(),
            Ok(found) if found.len() > MAX_STATE => {
                tracing::warn!(path = %path.display(), "more than {MAX_STATE} bytes: what was known of former plugins is lost");
                return State::default();
            }
            _ => {}
        }
        let read = std::fs::read(&path).map_err(|error| error.to_string());
        read.and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string())).unwrap_or_else(
            |error| {
                tracing::warn!(path = %path.display(), %error, "what was known of former plugins is lost");
                State::default()
            },
        )
    }

    /// Changes what is remembered, between no two others who do, and forgets the copies that are not among it.
    pub fn change(&self, change: impl FnOnce(&mut State)) -> std::io::Result<State> {
        if !self.notes {
            return Ok(self.state());
        }
        let lock = private(&self.folder.join("lock"))?;
        lock.lock()?;
        let mut state = self.state();
        change(&mut state);
        self.write("state.json", &serde_json::to_vec_pretty(&state)?)?;
        self.prune(&state);
        Ok(state)
    }

    /// Keeps a copy of a plugin, to go back to.
    pub fn keep(&self, candidate: &Candidate) -> std::io::Result<()> {
        if !self.notes {
            return Ok(());
        }
        let name = format!("{}.wasm", candidate.sha256);
        if let Some(signature) = &candidate.signature {
            self.write(&format!("{name}.minisig"), signature.as_bytes())?;
        }
        if self.folder.join(&name).exists() {
            return Ok(());
        }
        self.write(&name, &candidate.bytes)
    }

    /// Reads a copy; it has to be what it was.
    pub async fn kept(&self, release: &Release, limit: u64) -> Result<Candidate, LoadError> {
        let path = self.folder.join(format!("{}.wasm", release.sha256));
        let mut candidate = Candidate::read(&path, limit).await?;
        if candidate.sha256 != release.sha256 {
            return Err(LoadError::Unreadable { path, reason: "the copy isn't what was kept".into() });
        }
        candidate.file.clone_from(&release.file);
        Ok(candidate)
    }

    /// As [`Shelf::kept`], of somebody who is trusted now.
    pub async fn kept_and_trusted(&self, release: &Release, limit: u64, trust: &Trust) -> Result<Checked, LoadError> {
        Checked::new(self.kept(release, limit).await?, trust).map_err(|error| match error {
            LoadError::Signature { reason, .. } => LoadError::FormerUntrusted {
                name: format!("{} {}", release.name, release.version),
                sha256: release.sha256.clone(),
                reason,
            },
            error => error,
        })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let (path, partial) = (self.folder.join(name), self.folder.join(format!(".{name}.partial")));
        let mut file = private(&partial)?;
        file.set_len(0)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, &path)
    }

    /// Deletes copies and compiled code of plugins that nobody goes back to.
    fn prune(&self, state: &State) {
        let kept: Vec<&str> = state.in_use.iter().chain(&state.former).map(|release| release.sha256.as_str()).collect();
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let ours = [".wasm", ".minisig", ".compiled"].iter().any(|end| name.ends_with(end));
            if ours && !name.starts_with('.') && !kept.iter().any(|sha256| name.starts_with(sha256)) {
                // It is in nobody's way.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// Opens a file that only this user may open, and makes it if it isn't there.
fn private(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The key that proves that something was put here by this host.
fn key(path: &Path) -> Result<[u8; KEY_BYTES], String> {
    let mut fresh = [0_u8; KEY_BYTES];
    SystemRandom::new().fill(&mut fresh).map_err(|_| "the system has no randomness".to_owned())?;
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => file.write_all(&fresh).and_then(|()| file.sync_all()).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.to_string()),
    }
    let mode = std::fs::symlink_metadata(path).map_err(|error| error.to_string())?.mode();
    if mode & 0o077 != 0 {
        return Err("others may open its file \"key\": delete it, and it is made anew".into());
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    bytes.try_into().map_err(|_| format!("its file \"key\" hasn't {KEY_BYTES} bytes: delete it, and it is made anew"))
}

/// Puts a plugin and its signature into place, each at once, the signature first: whoever looks between the two finds a file
/// that isn't signed, and looks again.
pub fn put(candidate: &Candidate, target: &Path) -> std::io::Result<()> {
    let place = |path: &Path, bytes: &[u8]| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.partial"));
        std::fs::write(&partial, bytes)?;
        File::open(&partial)?.sync_all()?;
        std::fs::rename(&partial, path)
    };
    let beside = signature_path(target);
    match &candidate.signature {
        Some(signature) => place(&beside, signature.as_bytes())?,
        None => match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        },
    }
    place(target, &candidate.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(name: &str) -> Release {
        let text = name.to_owned();
        Release { sha256: text.clone(), name: text.clone(), version: "1".into(), file: text, signed_at_unix_s: Some(1) }
    }

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&folder.path().join("plugins")).unwrap();
        (folder, shelf)
    }

    #[test]
    fn what_was_in_use_and_what_is_gone_back_to() {
        let mut state = State::default();
        for name in ["a", "b", "b", "c", "d", "e"] {
            state.took_over(release(name));
        }
        let names = |state: &State| state.former.iter().map(|former| former.name.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(names(&state), "d c b");
        state.went_back(release("d"), "e", "it traps");
        assert_eq!((state.in_use.clone(), names(&state)), (Some(release("d")), "c b".to_owned()));
        assert_eq!(state.reason_against("e"), Some("it traps"));
        state.went_back(release("c"), "d", "so does it");
        assert_eq!(state.back_to(), Some(&release("b")));
        state.took_over(release("f"));
        assert_eq!(names(&state), "c b");
    }

    #[test]
    fn it_is_this_users_alone_and_survives() {
        let (folder, shelf) = shelf();
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(folder.path().join("plugins")), 0o700);
        assert_eq!(mode(folder.path().join("plugins/key")), 0o600);
        shelf.change(|state| state.took_over(release("a"))).unwrap();
        assert_eq!(mode(shelf.state_path()), 0o600);
        std::fs::set_permissions(folder.path().join("plugins"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let again = Shelf::open(&folder.path().join("plugins")).unwrap();
        assert_eq!(mode(folder.path().join("plugins")), 0o700, "it is closed again");
        assert_eq!(again.state().in_use, Some(release("a")));
    }

    #[test]
    fn what_is_no_folder_for_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("real")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let open_key = folder.path().join("open");
        drop(Shelf::open(&open_key).unwrap());
        std::fs::set_permissions(open_key.join("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
        let short_key = folder.path().join("short");
        drop(Shelf::open(&short_key).unwrap());
        std::fs::write(short_key.join("key"), "short").unwrap();
        for (name, expected) in [
            ("link", "isn't a folder"),
            ("file", "isn't a folder"),
            ("open", "others may open"),
            ("short", "32 bytes"),
            ("no/such", "No such"),
        ] {
            let error = Shelf::open(&folder.path().join(name)).err().map(|error| error.to_string());
            assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{name}: {error:?}");
        }
    }
}
