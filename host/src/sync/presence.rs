//! Before anybody goes for not being in the directory (any more), the directory is asked for exactly them: an enumeration may have been
//! read from a replica that their creation hasn't reached (entra_graph §5.3), and what is deleted in Defguard doesn't come back.

use std::collections::{HashMap, HashSet};

use super::oid::Oid;
use super::plan::{NotGone, Plan};
use super::{Progress, SyncError};
use crate::capability::TraceId;
use crate::config::Provider;
use crate::gateway::Gateway;
use crate::sandbox::bindings::exports::defguard::openid::directory::{Collection, Failure, Object, Presence};

/// Objects of one call (`wit/directory.wit`).
const AT_ONCE: usize = 100;
/// Of these, in one request.
const IN_A_REQUEST: usize = 20;
const THERE: &str = "the directory has it, though it didn't name it: the next run reads everything";
const UNKNOWN: &str = "the directory couldn't be asked whether it is there: the next run asks again";

/// What was learned.
#[derive(Debug, Default)]
pub(super) struct Confirmed {
    /// Something is there that the mirror lacks: a delta will never name it, so everything has to be read.
    pub is_mirror_wrong: bool,
    /// Groups that are gone.
    pub gone: HashSet<u128>,
}

/// Takes out of a plan whatever would happen to who is there after all, or of whom it can't be learned.
pub(super) async fn confirm(
    gateway: &Gateway,
    provider: &Provider,
    trace: &TraceId,
    plan: &mut Plan,
    read: &mut Progress,
) -> Result<Confirmed, SyncError> {
    let users = Asked { gateway, provider, trace, collection: Collection::Users };
    let users = users.not_gone(&plan.missing_users, read).await?;
    let groups = Asked { gateway, provider, trace, collection: Collection::Groups };
    let groups = groups.not_gone(&plan.missing_groups, read).await?;
    if !users.is_empty() || !groups.is_empty() {
        plan.keep(&users, &groups);
    }
    let gone = plan.missing_groups.iter().filter(|id| !groups.contains_key(id)).map(|id| id.0).collect();
    Ok(Confirmed { is_mirror_wrong: is_any_there(&users) || is_any_there(&groups), gone })
}

/// Of a plan that is held and changes nothing, whether the mirror is why: a few of what is missing are enough for that.
pub(super) async fn sample(
    gateway: &Gateway,
    provider: &Provider,
    trace: &TraceId,
    plan: &Plan,
    read: &mut Progress,
) -> Result<Confirmed, SyncError> {
    let mut is_mirror_wrong = false;
    for (collection, ids) in [(Collection::Users, &plan.missing_users), (Collection::Groups, &plan.missing_groups)] {
        let asked = Asked { gateway, provider, trace, collection };
        let few = ids.get(..ids.len().min(IN_A_REQUEST)).unwrap_or_default();
        is_mirror_wrong |= is_any_there(&asked.not_gone(few, read).await?);
    }
    Ok(Confirmed { is_mirror_wrong, gone: HashSet::new() })
}

fn is_any_there(not_gone: &NotGone) -> bool {
    not_gone.values().any(|why| *why == THERE)
}

struct Asked<'a> {
    gateway: &'a Gateway,
    provider: &'a Provider,
    trace: &'a TraceId,
    collection: Collection,
}

impl Asked<'_> {
    /// Those of them that aren't gone, and why not.
    async fn not_gone(&self, ids: &[Oid], read: &mut Progress) -> Result<NotGone, SyncError> {
        let mut kept = HashMap::new();
        for ids in ids.chunks(AT_ONCE) {
            let object = |oid: &Oid| Object { collection: self.collection, id: oid.to_string() };
            let objects: Vec<Object> = ids.iter().map(object).collect();
            read.requests += objects.len().div_ceil(IN_A_REQUEST) as u64;
            let presences = match self.gateway.directory_presence(self.provider, &objects, self.trace).await? {
                Ok(presences) => presences,
                Err(failure) => {
                    self.unanswered(failure)?;
                    vec![Presence::Unknown; objects.len()]
                }
            };
            let not_gone = ids.iter().zip(presences).filter_map(|(oid, presence)| match presence {
                Presence::There => Some((*oid, THERE)),
                Presence::Unknown => Some((*oid, UNKNOWN)),
                Presence::Gone => None,
            });
            kept.extend(not_gone);
        }
        Ok(kept)
    }

    /// What passes is no error: nobody goes until it has.
    fn unanswered(&self, failure: Failure) -> Result<(), SyncError> {
        match failure {
            Failure::Denied(denial) => {
                Err(SyncError::Denied { permission: denial.permission, detail: denial.detail, hint: denial.hint })
            }
            Failure::Credential((detail, hint)) => Err(SyncError::Credential { detail, hint }),
            Failure::Misconfigured(detail) => Err(SyncError::Misconfigured(detail)),
            Failure::Retry(setback) => {
                tracing::warn!(provider = %self.provider.id, trace = %self.trace, "directory: {}", setback.detail);
                Ok(())
            }
            Failure::Malformed(detail) | Failure::CursorInvalid(detail) => {
                tracing::warn!(provider = %self.provider.id, trace = %self.trace, "directory: {detail}");
                Ok(())
            }
        }
    }
}
