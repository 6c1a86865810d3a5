//! A plugin's file as it was read once: its bytes and its signature, which are all that any later step looks at. What happens
//! to the file meanwhile changes nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::signature::MAX_SIGNATURE_BYTES;
use super::{LoadError, sha256_hex};

/// The most files of a plugin folder that are looked at.
const MAX_FILES: usize = 16;

/// A file that may become the plugin.
#[derive(Clone)]
pub struct Candidate {
    /// Where it was read from.
    pub path: PathBuf,
    /// The file's name, which a signature may name.
    pub file: String,
    /// What was read.
    pub bytes: Arc<[u8]>,
    /// Of the bytes, in hexadecimal.
    pub sha256: String,
    /// The text of the signature beside it.
    pub signature: Option<String>,
    /// When the file was written, where the file system says.
    pub modified: Option<SystemTime>,
}

impl Candidate {
    /// Reads a file of at most `limit` bytes, and the signature beside it.
    pub async fn read(path: &Path, limit: u64) -> Result<Self, LoadError> {
        let unreadable = |path: &Path, reason: &dyn std::fmt::Display| LoadError::Unreadable {
            path: path.into(),
            reason: reason.to_string(),
        };
        let metadata = tokio::fs::metadata(path).await.map_err(|error| unreadable(path, &error))?;
        let found = metadata.len();
        if found > limit {
            return Err(LoadError::TooLarge { path: path.into(), found, limit });
        }
        let bytes = tokio::fs::read(path).await.map_err(|error| unreadable(path, &error))?;
        let beside = signature_path(path);
        let signature = match tokio::fs::metadata(&beside).await {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(&beside, &error)),
            Ok(metadata) if metadata.len() > MAX_SIGNATURE_BYTES => {
                return Err(unreadable(&beside, &format!("it has more than {MAX_SIGNATURE_BYTES} bytes")));
            }
            Ok(_) => Some(tokio::fs::read_to_string(&beside).await.map_err(|error| unreadable(&beside, &error))?),
        };
        let sha256 = sha256_hex(&bytes);
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path: path.into(), file, bytes: bytes.into(), sha256, signature, modified: metadata.modified().ok() })
    }

    /// Names the file and its signature together: a refused one is tried again when either has changed.
    pub fn fingerprint(&self) -> String {
        let signature = self.signature.as_deref().unwrap_or_default();
        format!("{}/{}", self.sha256, sha256_hex(signature.as_bytes()))
    }
}

/// `name.wasm.minisig` beside `name.wasm`.
pub fn signature_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// The plugin's files: the one that `path` is, or those in the folder that it is, sorted by name. A name that begins with a dot
/// is somebody's who is still writing.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, LoadError> {
    if !path.is_dir() {
        return Ok(vec![path.into()]);
    }
    let unreadable = |reason: String| LoadError::Unreadable { path: path.into(), reason };
    let entries = std::fs::read_dir(path).map_err(|error| unreadable(error.to_string()))?;
    let mut files: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|file| is_plugin(file)).collect();
    files.sort();
    if files.len() > MAX_FILES {
        return Err(unreadable(format!("the folder holds {} .wasm files, more than {MAX_FILES}", files.len())));
    }
    if files.is_empty() {
        return Err(unreadable("the folder holds no .wasm file".into()));
    }
    Ok(files)
}

fn is_plugin(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "wasm")
}

/// What tells cheaply that something may have changed: of each file and signature, size and time.
pub fn stamp(path: &Path) -> Vec<(PathBuf, u64, Option<SystemTime>)> {
    let files = files(path).unwrap_or_default();
    files
        .iter()
        .flat_map(|file| [file.clone(), signature_path(file)])
        .filter_map(|file| {
            let metadata = std::fs::metadata(&file).ok()?;
            Some((file, metadata.len(), metadata.modified().ok()))
        })
        .collect()
}
