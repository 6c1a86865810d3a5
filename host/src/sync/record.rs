//! Steps in the audit log: one line each, with what was done, to whom, and why. Who came into a group and who left it is told in
//! full, in lines of a bounded length.

use serde::Serialize;

use super::action::Action;
use super::oid::Oid;
use crate::audit::{Audit, rfc3339};
use crate::capability::TraceId;
use crate::config::ProviderId;

/// Object ids in one line.
const MEMBERS: usize = 1000;

/// Which run did it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    /// Whose directory.
    pub provider: &'a ProviderId,
    /// To what.
    pub target: &'a str,
    /// The fencing token.
    pub lease: u64,
    /// As in the log.
    pub trace: &'a TraceId,
}

#[derive(Serialize)]
struct Line<'a> {
    time: &'a str,
    trace: &'a str,
    provider: &'a str,
    step: &'static str,
    target: &'a str,
    lease: u64,
    action: &'static str,
    object: Oid,
    what: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "<[Oid]>::is_empty")]
    add: &'a [Oid],
    #[serde(skip_serializing_if = "<[Oid]>::is_empty")]
    remove: &'a [Oid],
}

/// Writes a step that was done.
pub(super) fn write(audit: &Audit, now_unix_ms: u64, run: &Run<'_>, action: &Action) {
    let (time, what) = (rfc3339(now_unix_ms), action.to_string());
    let line = |add, remove| {
        let record = Line {
            time: &time,
            trace: run.trace.as_str(),
            provider: run.provider.as_str(),
            step: "sync",
            target: run.target,
            lease: run.lease,
            action: action.kind(),
            object: action.object(),
            what: what.clone(),
            reason: action.reason(),
            add,
            remove,
        };
        audit.write(&record, run.trace);
    };
    match action {
        Action::ChangeMembers { add, remove, .. } => {
            add.chunks(MEMBERS).for_each(|add| line(add, &[]));
            remove.chunks(MEMBERS).for_each(|remove| line(&[], remove));
        }
        _ => line(&[], &[]),
    }
}
