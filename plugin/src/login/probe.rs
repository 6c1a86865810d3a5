//! What a sign-in will need, tried one by one against the provider: discovery, keys, clocks, the credential, the
//! directory's permissions. It makes requests and changes nothing; each failure names what is missing and what to do.

use super::begin::usable;
use super::refusal::Refusal;
use super::trace::{Verdict, cut};
use crate::capability::World;
use crate::configuration::{Authority, GroupsSource, Provider};
use crate::entra::TenantId;
use crate::entra::directory::Permission;
use crate::entra::graph::{Graph, GraphError};
use crate::jose::JwkSet;
use crate::oidc::discovery::{self, Metadata};
use crate::oidc::id_token::LEEWAY_S;
use crate::oidc::{http_date, keys, token_request};

/// The most that a detail may have, in bytes.
const DETAIL_BYTES: usize = 512;
/// From that on a clock is called off, though it still works. Seconds.
const CLOCK_NOTED_S: u64 = 60;
/// For all requests to one tenant's token endpoint and directory, in milliseconds.
const TENANT_TIMEOUT_MS: u32 = 4_000;
/// How many tenants are tried: a call ends after 25 s.
const MAX_TENANTS: usize = 3;

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Stable: `discovery`, `credential`, `permission.GroupMember.Read.All`.
    pub name: String,
    /// How it went.
    pub verdict: Verdict,
    /// What was found, and for a failure what was expected.
    pub detail: String,
    /// What to do; empty if there is nothing to do.
    pub hint: String,
}

/// Tries everything, in the order in which a sign-in needs it. Without a usable configuration, or without a discovery
/// document, there is nothing more to try.
pub fn probe(world: World<'_>, provider: &str) -> Vec<Finding> {
    let mut findings = Findings::default();
    match usable(provider) {
        Ok(provider) => run(world, &provider, &mut findings),
        Err(refusal) => findings.refused("configuration", &refusal),
    }
    findings.0
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn note(&mut self, name: &str, verdict: Verdict, detail: &str, hint: &str) {
        let (name, detail) = (name.to_owned(), cut(detail, DETAIL_BYTES));
        self.0.push(Finding { name, verdict, detail, hint: hint.to_owned() });
    }

    fn pass(&mut self, name: &str, detail: &str) {
        self.note(name, Verdict::Pass, detail, "");
    }

    fn refused(&mut self, name: &str, refusal: &Refusal) {
        self.note(name, Verdict::Fail, &refusal.check.1, refusal.admin_hint());
    }
}

fn run(world: World<'_>, provider: &Provider, findings: &mut Findings) {
    let (metadata, date) = match discovery::probe(world, provider) {
        Ok(found) => found,
        Err(refusal) => return findings.refused("discovery", &refusal),
    };
    findings.pass("discovery", &provider.base_url);
    clock(date.as_deref(), world.clock.now_unix_s(), findings);
    match keys::probe(world, &metadata) {
        Ok(set) => key_set(provider, &set, findings),
        Err(refusal) => findings.refused("key_set", &refusal),
    }
    if !provider.is_microsoft() {
        return offered_credential(world, provider, &metadata, findings);
    }
    let tenants = tenants(provider, &metadata);
    tenant(provider, &tenants, findings);
    if tenants.is_empty() {
        let detail = "personal accounts have no directory: only a sign-in proves it";
        findings.note("credential", Verdict::Skip, detail, "");
    }
    for tenant in tenants.iter().take(MAX_TENANTS) {
        directory(world, provider, &metadata, tenant, findings);
    }
}

/// The provider's clock by its answer's `date`, which is a second old at most, against ours.
fn clock(date: Option<&str>, now_unix_s: u64, findings: &mut Findings) {
    const NAME: &str = "clock";
    let Some(theirs) = date.and_then(http_date::parse) else {
        return findings.note(NAME, Verdict::Skip, "the provider's answer has no date", "");
    };
    let (apart, way) =
        if now_unix_s >= theirs { (now_unix_s - theirs, "ahead") } else { (theirs - now_unix_s, "behind") };
    let detail = format!("this machine's clock is {apart} s {way} of the provider's; up to {LEEWAY_S} s are tolerated");
    if apart > LEEWAY_S {
        findings.note(NAME, Verdict::Fail, &detail, "Set this machine's clock, by NTP.");
    } else if apart > CLOCK_NOTED_S {
        findings.note(NAME, Verdict::Pass, &detail, "It still works; set this machine's clock, by NTP.");
    } else {
        findings.pass(NAME, &detail);
    }
}

/// Whether tokens signed as configured can be verified.
fn key_set(provider: &Provider, set: &JwkSet, findings: &mut Findings) {
    let has_key = |algorithm| {
        set.keys.iter().any(|jwk| jwk.key.fits(algorithm) && jwk.algorithm.is_none_or(|only| only == algorithm))
    };
    let (with, without): (Vec<_>, Vec<_>) = provider.algorithms.iter().partition(|algorithm| has_key(**algorithm));
    let names = |algorithms: &[&crate::jose::SigningAlgorithm]| {
        algorithms.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ")
    };
    let count = set.keys.len();
    if with.is_empty() {
        let detail = format!("{count} keys, none of them for {}", names(&without));
        return findings.note(
            "key_set",
            Verdict::Fail,
            &detail,
            "id_token_algorithms must name what the provider signs with.",
        );
    }
    let lacking = if without.is_empty() { String::new() } else { format!("; none for {}", names(&without)) };
    findings.pass("key_set", &format!("{count} keys; for {}{lacking}", names(&with)));
}

/// Only a sign-in proves the credential of a provider that we know nothing about; but it must be there and be taken.
fn offered_credential(world: World<'_>, provider: &Provider, metadata: &Metadata, findings: &mut Findings) {
    const NAME: &str = "credential";
    let method = match token_request::authentication(world, provider, metadata) {
        Ok(method) => method,
        Err(refusal) => return findings.refused(NAME, &refusal),
    };
    let name = method.as_str();
    if !world.credentials.available().contains(&method) {
        let hint = "Configure a credential for it, or leave token_endpoint_auth_method out.";
        return findings.note(NAME, Verdict::Fail, &format!("there is no credential for {name}"), hint);
    }
    if !metadata.authentication.contains(&method) {
        let hint = "Leave token_endpoint_auth_method out, or register the client for it.";
        return findings.note(NAME, Verdict::Fail, &format!("the provider doesn't offer {name}"), hint);
    }
    let detail = format!("{name} is there and offered; whether the provider accepts it, only a sign-in proves");
    findings.note(NAME, Verdict::Skip, &detail, "");
}

/// The tenants whose directory may be asked: personal accounts have none.
pub(crate) fn tenants(provider: &Provider, metadata: &Metadata) -> Vec<TenantId> {
    let all = match &provider.authority {
        Authority::Tenant(tenant) => vec![tenant.clone()],
        Authority::Several(tenants) => tenants.clone(),
        // Discovery says which one the domain names.
        Authority::Domain(_) => metadata.entra.iter().filter_map(|entra| entra.tenant.clone()).collect(),
        Authority::Issuer => Vec::new(),
    };
    all.into_iter().filter(|tenant| !tenant.is_personal()).collect()
}

fn tenant(provider: &Provider, tenants: &[TenantId], findings: &mut Findings) {
    const NAME: &str = "tenant";
    let listed = tenants.iter().map(TenantId::as_str).collect::<Vec<_>>().join(", ");
    match &provider.authority {
        Authority::Domain(domain) => {
            let hint = "A domain can change hands: the tenant's GUID in base_url never does.";
            findings.note(NAME, Verdict::Pass, &format!("{domain} is {listed}"), hint);
        }
        Authority::Several(_) => {
            let detail = format!("may sign in: {listed} ({} in all, the first {MAX_TENANTS} are tried)", tenants.len());
            findings.pass(NAME, &detail);
        }
        Authority::Tenant(tenant) => findings.pass(NAME, tenant.as_str()),
        Authority::Issuer => {}
    }
}

/// The credential, proven by a token for the application itself, which Entra gives out whatever it may be used for; then
/// each permission that the configuration needs.
fn directory(world: World<'_>, provider: &Provider, metadata: &Metadata, tenant: &TenantId, findings: &mut Findings) {
    const NAME: &str = "credential";
    let mut graph = match Graph::new(world, provider, metadata, tenant, TENANT_TIMEOUT_MS) {
        None => return findings.note(NAME, Verdict::Skip, "the provider has no directory", ""),
        Some(Err(refusal)) => return findings.refused(NAME, &refusal),
        Some(Ok(graph)) => graph,
    };
    match graph.try_credential() {
        Ok(method) => findings.pass(NAME, &format!("{} is accepted for tenant {tenant}", method.as_str())),
        Err(refusal) => {
            let detail = format!("tenant {tenant}: {}", refusal.check.1);
            return findings.note(NAME, Verdict::Fail, &detail, refusal.admin_hint());
        }
    }
    for (name, permission) in needed(provider) {
        match permission.try_with(&mut graph) {
            Ok(()) => findings.pass(name, &format!("granted in tenant {tenant}")),
            Err(error) => findings.note(name, Verdict::Fail, &format!("tenant {tenant}: {error}"), remedy(&error)),
        }
    }
}

/// What the configuration may ask the directory for.
fn needed(provider: &Provider) -> Vec<(&'static str, Permission)> {
    let groups = provider.groups.may_ask_directory();
    let users = groups || !provider.directory_properties().is_empty();
    let names = provider.groups.names_from_directory && provider.groups.source != GroupsSource::None;
    let all = [
        ("permission.User.Read.All", Permission::Users, users),
        ("permission.GroupMember.Read.All", Permission::Groups, groups),
        ("directory.group_names", Permission::Names, names),
    ];
    all.into_iter().filter(|(_, _, needed)| *needed).map(|(name, permission, _)| (name, permission)).collect()
}

fn remedy(error: &GraphError) -> &'static str {
    match error {
        GraphError::Denied { .. } => {
            "App registrations > API permissions > Add a permission > Microsoft Graph > Application permissions, then Grant admin consent."
        }
        GraphError::Status { .. } | GraphError::Shape(_) => {
            "Check cloud: another cloud's Graph doesn't know this tenant."
        }
        _ => "Check the network, and allowed_origins for Graph's host.",
    }
}
