//! Reading one round: the component is asked for page after page, each is kept with its cursor, and what the provider asks to wait is
//! waited. What passes is tried again, for a while; what doesn't ends the run.

use std::time::Duration;

use super::lease::Lease;
use super::mirror::Mirror;
use super::{Progress, SyncError};
use crate::capability::TraceId;
use crate::config::{Provider, SyncTarget};
use crate::gateway::{Gateway, LoginError};
use crate::sandbox::CallError;
use crate::sandbox::bindings::exports::defguard::openid::directory::{Change, Collection, Failure, Page, Setback};

/// Attempts in a row that came to nothing.
const ATTEMPTS: u32 = 8;
/// The longest wait that a provider may ask for.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Before the second attempt; doubled before each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// The longest of these.
const LONGEST_BACKOFF: Duration = Duration::from_secs(20);

/// Reads until the round is complete; one that an earlier run began, and that may be as old as it, and then what has changed since.
pub async fn read(
    gateway: &Gateway,
    provider: &Provider,
    trace: &TraceId,
    mirror: &Mirror,
    lease: &Lease,
    read: &mut Progress,
    mut progress: impl FnMut(&Progress),
) -> Result<(), SyncError> {
    let collections = collections(provider);
    let mut in_a_row = 0;
    let mut is_old = blocking(mirror, Mirror::is_within_a_round).await?;
    loop {
        lease.check().await?;
        let cursor = blocking(mirror, Mirror::cursor).await?;
        let answer = gateway.directory_page(provider, &collections, cursor.as_deref(), trace).await;
        let answer = answer.or_else(|error| busy(error).map(Err))?;
        let wait = match answer {
            Ok(page) => {
                in_a_row = 0;
                tally(read, &page);
                let (is_last, wait_ms) = (page.is_last, page.wait_ms);
                if let Some(setback) = &page.setback {
                    tracing::info!(provider = %provider.id, %trace, "directory: {setback}");
                }
                let now_s = gateway.now_unix_ms() / 1000;
                blocking(mirror, move |mirror| mirror.keep(&page, now_s)).await?;
                progress(read);
                if is_last && !std::mem::take(&mut is_old) {
                    return Ok(());
                }
                Duration::from_millis(wait_ms.into())
            }
            Err(failure) => {
                in_a_row += 1;
                if matches!(failure, Failure::Malformed(_)) && in_a_row >= ATTEMPTS {
                    // Where it stands leads nowhere: the next run begins from the beginning.
                    blocking(mirror, Mirror::forget_cursor).await?;
                }
                let wait = passes(failure, in_a_row, read)?;
                if let Some(Forget) = wait.1 {
                    blocking(mirror, Mirror::forget_cursor).await?;
                }
                progress(read);
                wait.0
            }
        };
        if wait > LONGEST_WAIT {
            return Err(SyncError::Throttled(wait.as_secs()));
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// What is no word of the directory's, and passes.
fn busy(error: LoginError) -> Result<Failure, SyncError> {
    match error {
        LoginError::Plugin(error @ (CallError::Busy(_) | CallError::Timeout(_))) => {
            Ok(Failure::Retry(Setback { wait_ms: 0, detail: error.to_string(), requests: 0 }))
        }
        error => Err(error.into()),
    }
}

/// The cursor is no good: from the beginning.
struct Forget;

/// How long to wait before the next attempt, if there is to be one.
fn passes(failure: Failure, in_a_row: u32, read: &mut Progress) -> Result<(Duration, Option<Forget>), SyncError> {
    let backoff = FIRST_BACKOFF.saturating_mul(2_u32.saturating_pow(in_a_row.saturating_sub(1))).min(LONGEST_BACKOFF);
    let (detail, wait, forget) = match failure {
        Failure::Misconfigured(detail) => return Err(SyncError::Misconfigured(detail)),
        Failure::Denied(denial) => {
            let (permission, detail, hint) = (denial.permission, denial.detail, denial.hint);
            return Err(SyncError::Denied { permission, detail, hint });
        }
        Failure::Credential((detail, hint)) => return Err(SyncError::Credential { detail, hint }),
        Failure::Retry(setback) => {
            read.requests += u64::from(setback.requests);
            read.refused += u64::from(setback.requests);
            (setback.detail, Duration::from_millis(setback.wait_ms.into()).max(backoff), None)
        }
        Failure::Malformed(detail) => {
            if in_a_row >= ATTEMPTS {
                return Err(SyncError::Malformed(detail));
            }
            (detail, backoff, None)
        }
        Failure::CursorInvalid(detail) => (detail, Duration::ZERO, Some(Forget)),
    };
    tracing::info!(attempt = in_a_row, "directory: {detail}");
    if in_a_row >= ATTEMPTS {
        return Err(SyncError::Unavailable { detail, attempts: in_a_row });
    }
    Ok((wait, forget))
}

/// People are read in any case: who is in a group is one of them.
fn collections(provider: &Provider) -> Vec<Collection> {
    let target = provider.directory.as_ref().map(|directory| directory.target);
    let needs_groups = provider.directory.as_ref().is_some_and(|directory| !directory.user_groups.is_empty());
    if target == Some(SyncTarget::Users) && !needs_groups {
        vec![Collection::Users]
    } else {
        vec![Collection::Users, Collection::Groups]
    }
}

fn tally(read: &mut Progress, page: &Page) {
    read.pages += 1;
    read.requests += u64::from(page.requests);
    read.refused += u64::from(page.refused);
    for change in &page.changes {
        match change {
            Change::User(_) | Change::UserRemoved(_) => read.users += 1,
            Change::Group(_) | Change::GroupRemoved(_) => read.groups += 1,
            Change::MembersAdded(members) | Change::MembersRemoved(members) => {
                read.memberships += (members.users.len() + members.groups.len()) as u64;
            }
            Change::Restart(_) | Change::Complete(_) => {}
        }
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    mirror: &Mirror,
    work: impl FnOnce(&Mirror) -> Result<T, super::mirror::MirrorError> + Send + 'static,
) -> Result<T, SyncError> {
    let mirror = mirror.clone();
    let done = tokio::task::spawn_blocking(move || work(&mirror)).await;
    Ok(done.map_err(|error| super::mirror::MirrorError::Broken(error.to_string()))??)
}
