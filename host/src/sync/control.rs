//! The control socket: how `sync` and `plugin` ask a service that runs already. A socket in the file system beside the storage, which only the
//! service's user may open; one request a connection, lines of JSON back. Whoever can open it can read the storage's file as well.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::schedule::Schedule;
use super::status::Status;
use super::{Ended, Job, Progress};
use crate::sandbox::shelf::Release;
use crate::sandbox::{Looked, Plugins};
use crate::storage::StorageConfig;

/// The longest request or answer, in bytes: a difference of a million memberships is 40 MB.
const MAX_BYTES: u64 = 512 << 20;
/// What a system allows for a socket's path, in bytes (unix(7)).
const MAX_PATH: usize = 107;

/// What is asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A run.
    Run {
        /// Whose.
        provider: String,
        /// What it is to do.
        job: Job,
    },
    /// How it stands.
    Status {
        /// Whose.
        provider: String,
    },
    /// The plugin.
    Plugin(PluginAsk),
}

/// What is asked about the plugin.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginAsk {
    /// Which one is in use.
    Status,
    /// Whether there is a new one: now, not in a moment.
    Look,
    /// Back to the former one.
    RollBack {
        /// Why.
        reason: String,
    },
}

/// What is answered: any number of `Progress`, then one of the others.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// How far a run is.
    Progress(Progress),
    /// It ended.
    Ended(Box<Ended>),
    /// How it stands.
    Status(Box<Status>),
    /// The plugin in use, after what was asked.
    Plugin(Release),
    /// Why there is nothing else.
    Refused(String),
}

/// Where the socket is, if there is one: beside a storage that is a file, or in the folder beside one that isn't.
pub fn path(storage: &StorageConfig) -> Option<PathBuf> {
    storage.beside("control")
}

/// Serves it until the runtime ends. Without one the service does everything but be asked.
pub fn serve(storage: &StorageConfig, schedule: &Arc<Schedule>, plugins: &Arc<Plugins>) {
    let Some(path) = path(storage) else { return };
    match bind(&path) {
        Ok(listener) => {
            tokio::spawn(accept(listener, Arc::clone(schedule), Arc::clone(plugins)));
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "no control socket: `sync` and `plugin` can't ask this service, signal USR1 can");
        }
    }
}

fn bind(path: &Path) -> std::io::Result<UnixListener> {
    if path.as_os_str().len() > MAX_PATH {
        return Err(std::io::Error::other(format!("its path is longer than {MAX_PATH} bytes")));
    }
    // What another process left behind; the storage's lock says that it has ended.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn accept(listener: UnixListener, schedule: Arc<Schedule>, plugins: Arc<Plugins>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (schedule, plugins) = (Arc::clone(&schedule), Arc::clone(&plugins));
                tokio::spawn(async move {
                    if let Err(error) = answer(stream, &schedule, &plugins).await {
                        tracing::debug!(%error, "control socket");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "control socket");
                // So that a lack of file handles isn't a busy loop.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(stream: UnixStream, schedule: &Arc<Schedule>, plugins: &Plugins) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    BufReader::new(read).take(MAX_BYTES).read_until(b'\n', &mut line).await?;
    match serde_json::from_slice(&line) {
        Err(error) => say(&mut write, &Answer::Refused(format!("this service doesn't know that: {error}"))).await,
        Ok(Ask::Plugin(ask)) => say(&mut write, &about_plugin(plugins, ask).await).await,
        Ok(Ask::Status { provider }) => {
            let status = schedule.status(&provider);
            let answer = status.map_or_else(|| no_directory(&provider), |status| Answer::Status(Box::new(status)));
            say(&mut write, &answer).await
        }
        Ok(Ask::Run { provider, job }) => {
            let (told, mut hear) = mpsc::channel(1);
            let listener = Box::new(move |progress: &Progress| {
                // Whoever is slow to listen hears the next one.
                let _ = told.try_send(*progress);
            });
            let schedule = Arc::clone(schedule);
            let run = tokio::spawn(async move {
                let ended = schedule.run(&provider, job, listener).await;
                ended.map_or_else(|| no_directory(&provider), |ended| Answer::Ended(Box::new(ended)))
            });
            while let Some(progress) = hear.recv().await {
                say(&mut write, &Answer::Progress(progress)).await?;
            }
            let ended = run.await.unwrap_or_else(|error| Answer::Refused(error.to_string()));
            say(&mut write, &ended).await
        }
    }
}

async fn about_plugin(plugins: &Plugins, ask: PluginAsk) -> Answer {
    let refused = match ask {
        PluginAsk::Status => None,
        PluginAsk::Look => match plugins.look().await {
            Looked::Same | Looked::TookOver(_) => None,
            Looked::Refused(error) => Some(error.to_string()),
        },
        PluginAsk::RollBack { reason } => plugins.roll_back(&reason).await.err(),
    };
    refused.map_or_else(|| Answer::Plugin(Release::of(&plugins.current())), Answer::Refused)
}

fn no_directory(provider: &str) -> Answer {
    Answer::Refused(format!(
        "provider {provider} has no directory synchronisation here, or the service is ending or takes another configuration"
    ))
}

async fn say(write: &mut (impl tokio::io::AsyncWrite + Unpin), answer: &Answer) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    write.write_all(&line).await
}

/// Asks the service, if one runs over this storage; `None`: none does.
pub async fn ask(
    storage: &StorageConfig,
    ask: &Ask,
    mut progress: impl FnMut(&Progress),
) -> std::io::Result<Option<Answer>> {
    let Some(path) = path(storage) else { return Ok(None) };
    let Ok(stream) = UnixStream::connect(&path).await else { return Ok(None) };
    let (read, mut write) = stream.into_split();
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    let mut read = BufReader::new(read.take(MAX_BYTES));
    let mut line = Vec::new();
    loop {
        line.clear();
        if read.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::Error::other("the service ended before it answered"));
        }
        match serde_json::from_slice(&line)? {
            Answer::Progress(told) => progress(&told),
            answer => return Ok(Some(answer)),
        }
    }
}
