//! What `doctor` finds out about Core, one thing after the other; after the first that fails the others make no sense. It
//! reads and changes nothing, but that it opens a session where that is how this host authenticates.

use crate::core_api::{CoreError, Failure, Generation, Info};
use crate::handover::{Finding, HandoverError};
use crate::sandbox::bindings::exports::defguard::openid::login::Verdict;

use super::CoreHandover;

const LICENSE: &str = "core.license";
/// In the order in which they are tried.
const NAMES: [&str; 5] = ["core.reachable", "core.credential", "core.version", LICENSE, "core.rights"];

fn finding(name: &str, verdict: Verdict, detail: impl Into<String>, hint: &str) -> Finding {
    Finding { name: name.into(), verdict, detail: detail.into(), hint: hint.into() }
}

pub(super) async fn examine(core: &CoreHandover) -> Vec<Finding> {
    let mut findings = Vec::new();
    let info = match core.client.info(core.budget()).await {
        Ok(info) => info,
        Err(error) => {
            fail(&mut findings, place_of(&error), error);
            return skip_rest(findings);
        }
    };
    findings.push(finding("core.reachable", Verdict::Pass, format!("{} answers", core.url), ""));
    findings.push(finding("core.credential", Verdict::Pass, "Core accepts it", ""));
    findings.push(version(&info));
    findings.push(license(core, &info).await);
    match core.client.check_rights(core.budget()).await {
        Ok(_) => findings.push(finding("core.rights", Verdict::Pass, "an administrator's: it may list users", "")),
        Err(error) => fail(&mut findings, "core.rights", error),
    }
    findings
}

/// What the very first call shows to be wrong.
fn place_of(error: &CoreError) -> &'static str {
    match error.failure {
        Failure::Credential(_) | Failure::TokenInvalid | Failure::Unauthorized(_) | Failure::MfaDue => {
            "core.credential"
        }
        Failure::LicenseMissing => LICENSE,
        // Only an administrator may use a token.
        Failure::Forbidden(_) => "core.rights",
        Failure::NotFound(_) | Failure::Rejected { .. } | Failure::Malformed(_) => "core.version",
        _ => "core.reachable",
    }
}

fn fail(findings: &mut Vec<Finding>, name: &'static str, error: CoreError) {
    let detail = error.to_string();
    let hint = HandoverError::from(error).words().hint;
    findings.push(finding(name, Verdict::Fail, detail, hint));
}

/// Everything has its line, in order.
fn skip_rest(mut findings: Vec<Finding>) -> Vec<Finding> {
    for name in NAMES {
        if !findings.iter().any(|found| found.name == name) {
            findings.push(finding(name, Verdict::Skip, "not tried", ""));
        }
    }
    findings.sort_by_key(|found| NAMES.iter().position(|name| *name == found.name));
    findings
}

fn version(info: &Info) -> Finding {
    // Before 1.6 users don't say who is an administrator, and proxies speak another protocol.
    let is_old = matches!(info.version.split('.').map(str::parse).collect::<Vec<Result<u32, _>>>().as_slice(),
        [Ok(1), Ok(minor), ..] if *minor < 6);
    match Generation::of(&info.version) {
        Some(_) if !is_old => finding("core.version", Verdict::Pass, info.version.clone(), ""),
        _ => finding(
            "core.version",
            Verdict::Fail,
            format!("{:?} is no version that this host knows", info.version),
            "Core 1.6 and 2.x are supported.",
        ),
    }
}

/// What Core says of its licence, be it that it says nothing.
async fn license(core: &CoreHandover, info: &Info) -> Finding {
    if let Some(license) = &info.license_info {
        return match (license.enterprise, license.is_enterprise_free) {
            (true, true) => licensed("none, and below the limits that need none"),
            (true, false) => licensed("active"),
            (false, _) => unlicensed(core, "none that is active"),
        };
    }
    match core.client.license(core.budget()).await {
        Ok(Some(license)) if license.expired => {
            let until = license.valid_until.as_deref().unwrap_or("a day that Core doesn't say");
            unlicensed(core, &format!("it expired: it was valid until {until}"))
        }
        Ok(Some(license)) if license.is_exceeded() => {
            unlicensed(core, "there are more users, devices or locations than it allows")
        }
        Ok(Some(_)) => licensed("active"),
        Ok(None) => unlicensed(core, "there is none"),
        Err(error) => match error.failure {
            // The next finding says what is the matter.
            Failure::Forbidden(_) | Failure::NotFound(_) => {
                finding(LICENSE, Verdict::Skip, format!("Core doesn't say: {}", error.failure), "")
            }
            _ => finding(LICENSE, Verdict::Fail, error.to_string(), HandoverError::from(error).words().hint),
        },
    }
}

fn licensed(detail: &str) -> Finding {
    finding(LICENSE, Verdict::Pass, detail, "")
}

/// A service account needs no licence; an API token does.
fn unlicensed(core: &CoreHandover, detail: &str) -> Finding {
    if core.needs_license {
        let hint =
            "Core looks at API tokens only with a licence, or below the limits that need none: see its settings.";
        finding(LICENSE, Verdict::Fail, detail, hint)
    } else {
        finding(LICENSE, Verdict::Skip, format!("{detail}; a service account needs none"), "")
    }
}
