//! Which of the files becomes the plugin: the newest that passes every check. When none does at a start, the one that was last in
//! use is taken from the host's own folder, so that a bad file doesn't end the service at its next restart.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::candidate::{self, Candidate};
use super::load::{Checked, examine};
use super::shelf::{Release, State};
use super::{LoadError, Plugin, Runtime, Settings, Shelf};

/// A file that isn't the plugin, and why.
pub struct Refused {
    /// Names file and signature.
    pub fingerprint: String,
    /// Why.
    pub error: LoadError,
}

/// What was found.
pub struct Choice {
    /// The plugin, and what it was read from; `None`: no file is one.
    pub found: Option<(Plugin, Candidate)>,
    /// The files that were tried before it.
    pub refused: Vec<Refused>,
}

/// Reads all files and checks their signatures: the trusted ones, the newest first, and the others.
pub async fn trusted(runtime: &Runtime, settings: &Settings) -> Result<(Vec<Checked>, Vec<Refused>), LoadError> {
    let (mut trusted, mut refused) = (Vec::new(), Vec::new());
    for path in candidate::files(&settings.path)? {
        match Candidate::read(&path, runtime.limits().plugin_bytes).await {
            Err(error) => refused.push(Refused { fingerprint: format!("{}: {error}", path.display()), error }),
            Ok(candidate) => {
                let fingerprint = candidate.fingerprint();
                match Checked::new(candidate, &settings.trust) {
                    Ok(checked) => trusted.push(checked),
                    Err(error) => refused.push(Refused { fingerprint, error }),
                }
            }
        }
    }
    trusted.sort_by_key(|checked| std::cmp::Reverse(checked.age_key()));
    Ok((trusted, refused))
}

/// Tries the files, the newest first, until one is `in_use` already (which is no choice), or passes. Those whose fingerprint is in
/// `known` failed before.
pub async fn choose(
    runtime: &Arc<Runtime>,
    settings: &Settings,
    shelf: Option<&Shelf>,
    in_use: Option<&Plugin>,
    known: &BTreeSet<String>,
) -> Result<Choice, LoadError> {
    let mut state = shelf.map(Shelf::state).unwrap_or_default();
    if state.in_use.is_none() {
        // Without a folder of its own the host knows what it runs all the same.
        state.in_use = in_use.map(Release::of);
    }
    let (trusted, mut refused) = trusted(runtime, settings).await?;
    refused.retain(|refused| !known.contains(&refused.fingerprint));
    for checked in trusted {
        if in_use.map(Plugin::sha256) == Some(checked.candidate.sha256.as_str()) {
            break;
        }
        let fingerprint = checked.candidate.fingerprint();
        if known.contains(&fingerprint) {
            continue;
        }
        let candidate = checked.candidate.clone();
        let examined = match against(&checked, &state) {
            Some(error) => Err(error),
            None => examine(runtime, checked, settings, shelf).await,
        };
        match examined {
            Ok(plugin) => return Ok(Choice { found: Some((plugin, candidate)), refused }),
            Err(error) => refused.push(Refused { fingerprint, error }),
        }
    }
    Ok(Choice { found: None, refused })
}

/// What is remembered against a file.
pub fn against(checked: &Checked, state: &State) -> Option<LoadError> {
    let candidate = &checked.candidate;
    let path = candidate.path.clone();
    if let Some(reason) = state.reason_against(&candidate.sha256) {
        return Some(LoadError::SetAside { path, reason: reason.to_owned() });
    }
    let last = state.in_use.as_ref().filter(|last| last.sha256 != candidate.sha256)?.signed_at_unix_s?;
    let signed_at = checked.signed.as_ref()?.signed_at_unix_s;
    (signed_at < last).then_some(LoadError::Older { path, signed_at, last })
}

/// As [`choose`] at a start: when no file is a plugin, the one that was last in use. The first refusal, if there is none at all.
pub async fn choose_any(
    runtime: &Arc<Runtime>,
    settings: &Settings,
    shelf: Option<&Shelf>,
) -> Result<(Plugin, Candidate, Vec<Refused>), Vec<LoadError>> {
    let chosen = choose(runtime, settings, shelf, None, &BTreeSet::new()).await;
    let Choice { found, refused } = chosen.unwrap_or_else(|error| Choice {
        found: None,
        refused: vec![Refused { fingerprint: error.to_string(), error }],
    });
    let found = match (found, shelf) {
        (None, Some(shelf)) => kept(runtime, settings, shelf).await,
        (found, _) => found,
    };
    match found {
        Some((plugin, candidate)) => Ok((plugin, candidate, refused)),
        None => Err(refused.into_iter().map(|refused| refused.error).collect()),
    }
}

/// A copy that was kept, the one last in use first: as carefully examined as any file.
async fn kept(runtime: &Arc<Runtime>, settings: &Settings, shelf: &Shelf) -> Option<(Plugin, Candidate)> {
    let state = shelf.state();
    for release in state.in_use.iter().chain(&state.former) {
        if state.reason_against(&release.sha256).is_some() {
            continue;
        }
        let examined = async {
            let candidate = shelf.kept(release, runtime.limits().plugin_bytes).await?;
            let checked = Checked::new(candidate.clone(), &settings.trust)?;
            Ok::<_, LoadError>((examine(runtime, checked, settings, Some(shelf)).await?, candidate))
        };
        match examined.await {
            Ok(found) => return Some(found),
            Err(error) => tracing::warn!(%error, code = error.code(), "a kept plugin isn't used either"),
        }
    }
    None
}
