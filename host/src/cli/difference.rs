//! The difference of a dry run, and how synchronisation stands, as text.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::audit::rfc3339;
use crate::sync::action::Action;
use crate::sync::proposal::Proposal;
use crate::sync::status::Status;

/// Object ids that are written out for one group; the JSON has them all.
const MEMBERS: usize = 20;

/// One line for each step, and who comes into a group and who leaves it.
pub(super) fn text(proposal: &Proposal) -> String {
    let mut text = String::new();
    // Writing into a string can't fail.
    let _ = writeln!(text, "{:<15} {:<36} what", "step", "object");
    for action in &proposal.actions {
        let _ = writeln!(text, "{:<15} {} {action}", action.kind(), action.object());
        if let Action::ChangeMembers { add, remove, .. } = action {
            for (sign, oids) in [('+', add), ('-', remove)] {
                for oid in oids.iter().take(MEMBERS) {
                    let _ = writeln!(text, "{:<14} {sign}{oid}", "");
                }
                if oids.len() > MEMBERS {
                    let _ = writeln!(text, "{:<14} {sign}{} more: --json has them all", "", oids.len() - MEMBERS);
                }
            }
        }
    }
    for skipped in &proposal.skipped {
        let _ = writeln!(text, "{:<15} {}: {}", "skipped", skipped.what, skipped.why);
    }
    if let Some((_, why)) = &proposal.held {
        let _ = writeln!(text, "held: {why}");
    }
    let _ = writeln!(text, "{} steps to {}, hash {}", proposal.actions.len(), proposal.target, proposal.hash);
    text
}

pub(super) fn status_text(status: &Status) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let moment = |at: Option<u64>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| format!("{} ({} s ago)", rfc3339(at.saturating_mul(1000)), now.saturating_sub(at)),
        )
    };
    let mut text = String::new();
    let kept = &status.kept;
    let _ = writeln!(
        text,
        "provider      {}{}",
        status.provider,
        if status.is_running { ", a run is under way" } else { "" }
    );
    let _ = writeln!(text, "last run      {}", moment(kept.ended_at_unix_s));
    if let Some(report) = &kept.last {
        let reason = report.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        let _ = writeln!(text, "              {}{reason}", report.outcome.as_str());
        if let Some(detail) = &report.detail {
            let _ = writeln!(text, "              {detail}");
        }
        let _ = writeln!(
            text,
            "              {} steps, {} requests, {} refused, {} ms",
            report.steps, report.requests, report.refused, report.duration_ms
        );
        if report.held_removals > 0 {
            let _ = writeln!(text, "              {} removals are held", report.held_removals);
        }
        for skipped in &report.skipped {
            let _ = writeln!(text, "              skipped: {}: {}", skipped.what, skipped.why);
        }
    }
    let _ = writeln!(text, "last success  {}", moment(kept.succeeded_at_unix_s));
    let _ = writeln!(text, "cursor        {}", moment(status.cursor_at_unix_s));
    let _ = writeln!(
        text,
        "directory     {} users, {} groups, {} direct memberships",
        status.mirror.users, status.mirror.groups, status.mirror.memberships
    );
    text
}
