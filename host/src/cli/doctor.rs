//! `doctor`: tries what a sign-in will need, one thing after the other, and says what is missing and where to put it
//! right. It makes requests and changes nothing.

use std::process::ExitCode;

use anstream::println;
use clap::Args;
use serde::Serialize;

use super::reach::reach;
use super::style::{BAD, DIM, FAIL, GOOD, PASS};
use super::{ConfigFile, Failure, storage};
use crate::audit;
use crate::capability::{Inspector, TraceId};
use crate::config::{Config, HandoverConfig, Provider};
use crate::credential::{Credential, Verdict as Expiring, date, expiries, notices, verdict};
use crate::gateway::{Gateway, Verdict};
use crate::storage::{StorageConfig, StorageUrl};
use crate::telemetry;

#[derive(Debug, Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    config: ConfigFile,
    /// Only this provider
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// One thing that was tried.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    name: String,
    verdict: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
}

impl Finding {
    pub(super) fn new(name: &str, verdict: &'static str, detail: String, hint: &str) -> Self {
        Self { name: name.to_owned(), verdict, detail, hint: hint.to_owned() }
    }
}

#[derive(Debug, Serialize)]
struct ProviderReport {
    provider: String,
    kind: &'static str,
    /// To be registered with the provider, to the letter.
    redirect_uri: String,
    /// Where the component's requests may go.
    may_reach: Vec<String>,
    findings: Vec<Finding>,
}

/// What becomes of an identity, and whether that works.
#[derive(Debug, Serialize)]
struct HandoverReport {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    findings: Vec<Finding>,
}

pub(super) async fn doctor(arguments: &Doctor) -> Result<ExitCode, Failure> {
    let mut config = Config::load(&arguments.config.config)?;
    // The running service may hold its storage; nothing is kept here.
    let storage = std::mem::replace(&mut config.storage, StorageConfig::plain(StorageUrl::Memory));
    config.audit_file = None;
    config.plugins.notes = false;
    telemetry::start(&config.log);
    let gateway = Gateway::start(config).await?;
    let inspector = Inspector::new(gateway.config().loopback_http)?;
    let mut reports = Vec::new();
    for provider in &gateway.config().providers {
        if arguments.provider.as_deref().is_none_or(|id| id == provider.id.as_str()) {
            reports.push(examine(&gateway, &inspector, provider).await);
        }
    }
    if reports.is_empty() {
        return Err(super::no_such_provider(gateway.config(), arguments.provider.as_deref().unwrap_or_default()).into());
    }
    let handover = examine_handover(&gateway).await;
    let storage = storage::storage(&storage, gateway.now_unix_ms()).await;
    let all = reports.iter().flat_map(|report| &report.findings).chain(&handover.findings).chain(&storage);
    let failed = all.filter(|finding| finding.verdict == "fail").count();
    if arguments.json {
        println!(
            "{}",
            serde_json::json!({ "failed": failed, "providers": reports, "handover": handover, "storage": storage })
        );
    } else {
        reports.iter().for_each(print);
        print_handover(&handover);
        println!("Storage");
        print_findings(&storage);
        println!("{}", if failed == 0 { "All good.".to_owned() } else { format!("{failed} to put right.") });
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(gateway: &Gateway, inspector: &Inspector, provider: &Provider) -> ProviderReport {
    let mut findings = reach(inspector, provider.allowed.iter(), gateway.now_unix_ms() / 1000).await;
    findings.extend(credential_findings(gateway, provider));
    let found = match gateway.probe(provider, &TraceId::new()).await {
        Ok(findings) => findings
            .into_iter()
            .map(|finding| Finding {
                name: finding.name,
                verdict: audit::verdict(finding.verdict),
                detail: finding.detail,
                hint: finding.hint,
            })
            .collect(),
        Err(error) => vec![Finding {
            name: "plugin".into(),
            verdict: audit::verdict(Verdict::Fail),
            detail: error.to_string(),
            hint: String::new(),
        }],
    };
    findings.extend(found);
    if provider.directory.is_some() {
        findings.extend(directory_findings(gateway, provider).await);
    }
    ProviderReport {
        provider: provider.id.to_string(),
        kind: provider.kind.as_str(),
        redirect_uri: gateway.config().redirect_uri(&provider.id),
        may_reach: provider.allowed.iter().map(Into::into).collect(),
        findings,
    }
}

/// "Test connection": whether the directory can be read, permission by permission.
async fn directory_findings(gateway: &Gateway, provider: &Provider) -> Vec<Finding> {
    let named = |name: &str| format!("directory.{name}");
    match gateway.test_connection(provider, &TraceId::new()).await {
        Ok(found) => found
            .into_iter()
            .map(|finding| Finding {
                name: named(&finding.name),
                verdict: audit::verdict(finding.verdict),
                detail: finding.detail,
                hint: finding.hint,
            })
            .collect(),
        Err(error) => vec![Finding {
            name: named("plugin"),
            verdict: audit::verdict(Verdict::Fail),
            detail: error.to_string(),
            hint: String::new(),
        }],
    }
}

async fn examine_handover(gateway: &Gateway) -> HandoverReport {
    let (kind, url) = match &gateway.config().handover {
        HandoverConfig::Local { .. } => ("local", None),
        HandoverConfig::Core { settings, .. } => ("core", Some(settings.url.origin().ascii_serialization())),
    };
    let found = gateway.handover().examine().await.into_iter();
    let findings = found.map(|finding| Finding {
        name: finding.name,
        verdict: audit::verdict(finding.verdict),
        detail: finding.detail,
        hint: finding.hint,
    });
    HandoverReport { kind, url, findings: findings.collect() }
}

/// What expires, and when.
fn credential_findings(gateway: &Gateway, provider: &Provider) -> Vec<Finding> {
    let now_unix_s = gateway.now_unix_ms() / 1000;
    let notices = notices(provider, now_unix_s);
    let good = expiries(provider).into_iter().filter(|expiry| verdict(expiry, now_unix_s) == Expiring::Good);
    let good = good.map(|expiry| Finding {
        name: "expiry".into(),
        verdict: audit::verdict(Verdict::Pass),
        detail: format!("{} expires on {}", expiry.what, date(expiry.at_unix_s)),
        hint: String::new(),
    });
    let bad = notices.into_iter().map(|notice| Finding {
        name: "expiry".into(),
        // What can still wait a while isn't to be put right today.
        verdict: audit::verdict(if notice.is_urgent() { Verdict::Fail } else { Verdict::Pass }),
        detail: notice.message,
        hint: notice.hint,
    });
    let mut findings: Vec<Finding> = good.chain(bad).collect();
    if findings.is_empty() && matches!(provider.credential, Credential::Secret(_)) {
        findings.push(Finding {
            name: "expiry".into(),
            verdict: audit::verdict(Verdict::Skip),
            detail: "nobody wrote down when the client secret expires".into(),
            hint: "client_secret_expires = 2027-01-31: then there is a warning a month before".into(),
        });
    }
    findings
}

fn print(report: &ProviderReport) {
    println!("Provider {} ({})", report.provider, report.kind);
    println!("  redirect URI to register: {}", report.redirect_uri);
    println!("  may reach: {}", report.may_reach.join(", "));
    print_findings(&report.findings);
}

fn print_handover(report: &HandoverReport) {
    println!("Hand-over {}", report.kind);
    if let Some(url) = &report.url {
        println!("  Defguard Core: {url}");
    }
    print_findings(&report.findings);
}

fn print_findings(findings: &[Finding]) {
    let width = findings.iter().map(|finding| finding.name.len()).max().unwrap_or_default();
    for Finding { name, verdict, detail, hint } in findings {
        let style = match *verdict {
            PASS => GOOD,
            FAIL => BAD,
            _ => DIM,
        };
        println!("  {style}{verdict:<4}{style:#}  {name:<width$}  {detail}");
        if !hint.is_empty() {
            println!("  {:<4}  {:<width$}  → {hint}", "", "");
        }
    }
    println!();
}
