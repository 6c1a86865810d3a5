//! Where group membership comes from: the ID token, Microsoft's directory, or nowhere. How it is read is
//! `login::membership`'s subject, what is made of it the policy's.

use super::provider::ProviderKind;
use super::reader::Reader;

/// The shortest and the longest `groups.timeout_ms`; a whole call ends after 25 s.
const TIMEOUT_MS: (u64, u64) = (500, 15_000);
/// Without `groups.timeout_ms`.
const DEFAULT_TIMEOUT_MS: u32 = 5_000;
/// The longest name of a claim, in bytes.
const MAX_CLAIM_BYTES: usize = 256;
/// What Entra and most others call the claim.
const DEFAULT_CLAIM: &str = "groups";

/// What is asked for the groups of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupsSource {
    /// Nobody.
    None,
    /// The ID token, or userinfo where that is asked anyway.
    Claim,
    /// Microsoft Graph.
    Directory,
}

/// What happens when a token says that it doesn't hold all groups (entra_graph §4, "Overage").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overage {
    /// Microsoft Graph is asked.
    Directory,
    /// They are unknown.
    Unknown,
}

/// The options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsConfig {
    /// What is asked.
    pub source: GroupsSource,
    /// The claim, taken literally first, then as a path with dots.
    pub claim: String,
    /// When the claim doesn't hold them.
    pub overage: Overage,
    /// Whether the directory is asked for the groups' names.
    pub names_from_directory: bool,
    /// Only groups that Entra calls security groups; else those of Microsoft 365 and distribution lists as well.
    pub security_only: bool,
    /// For all that the directory is asked in one sign-in, in milliseconds.
    pub timeout_ms: u32,
}

impl GroupsConfig {
    /// Whether a sign-in may ask the directory for groups: an application without the permissions for that isn't set up.
    pub fn may_ask_directory(&self) -> bool {
        match self.source {
            GroupsSource::None => false,
            GroupsSource::Claim => self.overage == Overage::Directory,
            GroupsSource::Directory => true,
        }
    }
}

/// `needed`: the policy decides by groups, so they must come from somewhere.
pub(super) fn read(reader: &mut Reader, kind: ProviderKind, needed: &dyn Fn(&str) -> bool) -> GroupsConfig {
    let source = reader.choice(
        "groups.source",
        &[("none", GroupsSource::None), ("claim", GroupsSource::Claim), ("directory", GroupsSource::Directory)],
    );
    let overage = reader.choice("groups.overage", &[("directory", Overage::Directory), ("unknown", Overage::Unknown)]);
    let names_from_directory = reader.choice("groups.names_from", &[("none", false), ("directory", true)]);
    let security_only = !reader.has("groups.security_only") || reader.flag("groups.security_only");
    let timeout_ms = reader.integer("groups.timeout_ms", TIMEOUT_MS.0, TIMEOUT_MS.1);
    if kind == ProviderKind::Oidc {
        refuse_directory(reader, source, overage, names_from_directory);
    }
    let claim = claim(reader);
    let needed = needed(&claim);
    let default = if needed { GroupsSource::Claim } else { GroupsSource::None };
    let source = source.unwrap_or(default);
    if source == GroupsSource::None {
        check_unused(reader, needed);
    }
    GroupsConfig {
        source,
        overage: overage_of(reader, kind, &claim, overage),
        claim,
        names_from_directory: names_from_directory.unwrap_or(false),
        security_only,
        timeout_ms: timeout_ms.and_then(|timeout| u32::try_from(timeout).ok()).unwrap_or(DEFAULT_TIMEOUT_MS),
    }
}

fn claim(reader: &mut Reader) -> String {
    let claim = reader.text("groups.claim").unwrap_or_else(|| DEFAULT_CLAIM.to_owned());
    if claim.len() > MAX_CLAIM_BYTES || claim.chars().any(char::is_control) {
        reader.error("groups.claim", "it has control characters, or more than 256 bytes", "\"groups\"");
    }
    claim
}

/// The directory stands in for Entra's claim `groups` only: in any other the same words may mean something else.
fn overage_of(reader: &mut Reader, kind: ProviderKind, claim: &str, written: Option<Overage>) -> Overage {
    let stands_in = kind == ProviderKind::Microsoft && claim == DEFAULT_CLAIM;
    if written == Some(Overage::Directory) && kind == ProviderKind::Microsoft && !stands_in {
        let message = format!("the directory has groups, and groups.claim is {claim:?}");
        reader.error("groups.overage", message, "\"unknown\", or groups.claim = \"groups\"");
    }
    written.unwrap_or(if stands_in { Overage::Directory } else { Overage::Unknown })
}

/// Only Microsoft's directory can be read.
fn refuse_directory(reader: &mut Reader, source: Option<GroupsSource>, overage: Option<Overage>, names: Option<bool>) {
    let directory = [
        ("groups.source", source == Some(GroupsSource::Directory), "groups.source = \"claim\""),
        ("groups.overage", overage == Some(Overage::Directory), "leave it out"),
        ("groups.names_from", names == Some(true), "leave it out"),
    ];
    for (key, _, hint) in directory.into_iter().filter(|(_, found, _)| *found) {
        reader.error(key, "\"directory\" is for kind = \"microsoft\" only", hint);
    }
    for key in ["groups.security_only", "groups.timeout_ms"] {
        if reader.has(key) {
            reader.error(key, "it is for kind = \"microsoft\" only", "leave it out");
        }
    }
}

fn check_unused(reader: &mut Reader, needed: bool) {
    if needed {
        let hint = "\"claim\" or \"directory\", or a policy that doesn't name groups";
        reader.error("groups.source", "\"none\", but the policy decides by groups", hint);
        return;
    }
    for key in ["groups.claim", "groups.overage", "groups.names_from", "groups.security_only"] {
        if reader.has(key) {
            let hint = "groups.source = \"claim\", or leave it out";
            reader.warning(key, "it isn't read: groups.source is \"none\"", hint);
        }
    }
}
