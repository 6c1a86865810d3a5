//! Which groups a person is in: by the configuration from the claims or from the directory. What can't be learned is
//! unknown with its reason, never "none" (V20); whether that ends the sign-in is the policy's to say.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::trace::Trace;
use crate::claims::group_claim::{self, GroupClaim};
use crate::claims::groups::{Group, Groups};
use crate::configuration::{GroupsConfig, GroupsSource, Overage, Provider};
use crate::entra::TenantId;
use crate::entra::directory::Directory;

const CHECK: &str = "groups";

/// Whoever can be asked for groups: the directory at a sign-in; in a preview, what somebody wrote down in its place.
pub trait GroupDirectory {
    /// All groups, by identifier; else why they can't be learned.
    fn groups(&mut self, security_only: bool, trace: &mut Trace) -> Result<BTreeSet<String>, String>;

    /// The names of some of them, by identifier in small letters.
    fn group_names(&mut self, ids: &[&str], trace: &mut Trace) -> BTreeMap<String, String>;
}

impl GroupDirectory for Directory<'_> {
    fn groups(&mut self, security_only: bool, trace: &mut Trace) -> Result<BTreeSet<String>, String> {
        Directory::groups(self, security_only, trace)
    }

    fn group_names(&mut self, ids: &[&str], trace: &mut Trace) -> BTreeMap<String, String> {
        Directory::group_names(self, ids, trace)
    }
}

/// Whether userinfo may have the groups that the ID token lacks. Entra's never has any.
pub fn lacks_groups(provider: &Provider, id_token: &Map<String, Value>) -> bool {
    !provider.is_microsoft()
        && provider.groups.source == GroupsSource::Claim
        && group_claim::read(&provider.groups.claim, id_token, None) == GroupClaim::Absent
}

/// The groups. The directory is asked only where the configuration and the token leave no other way.
pub fn groups(
    provider: &Provider,
    id_token: &Map<String, Value>,
    userinfo: Option<&Map<String, Value>>,
    directory: &mut dyn GroupDirectory,
    trace: &mut Trace,
) -> Groups {
    let config = &provider.groups;
    let found = match config.source {
        GroupsSource::None => return Groups::NotRequested,
        GroupsSource::Directory => directory.groups(config.security_only, trace),
        GroupsSource::Claim => match group_claim::read(&config.claim, id_token, userinfo) {
            GroupClaim::All(groups) => {
                trace.pass(CHECK, format!("{} in the claim {:?}", groups.len(), config.claim));
                let mut ids = BTreeSet::new();
                // One by one: collected, they would be sorted by another copy of the library's sort.
                ids.extend(groups.into_iter().map(|id| if provider.is_microsoft() { canonical(id) } else { id }));
                Ok(ids)
            }
            GroupClaim::Unreadable(reason) => Err(reason),
            GroupClaim::Elsewhere(reason) => ask_instead(config, reason, directory, trace),
            // Entra leaves the claim out for a member of no group as for an application that isn't set up for it.
            GroupClaim::Absent if provider.is_microsoft() && config.claim == "groups" => {
                let reason = "the token has no groups: App registrations > Token configuration > Add groups claim";
                ask_instead(config, reason, directory, trace)
            }
            GroupClaim::Absent => Err(format!(
                "neither ID token nor userinfo has the claim {:?}: groups.claim, scopes, or the provider's mapper",
                config.claim
            )),
        },
    };
    match found {
        Ok(ids) => Groups::Known(named(ids, provider, directory, trace)),
        Err(reason) => {
            trace.fail(CHECK, format!("unknown: {reason}"));
            Groups::Unknown(reason)
        }
    }
}

/// Object ids in one form, the directory's: a rule that compares them would miss another one.
fn canonical(id: String) -> String {
    TenantId::parse(&id).map_or(id, |id| id.as_str().to_owned())
}

fn ask_instead(
    config: &GroupsConfig,
    reason: &str,
    directory: &mut dyn GroupDirectory,
    trace: &mut Trace,
) -> Result<BTreeSet<String>, String> {
    match config.overage {
        Overage::Unknown => Err(format!("{reason}; groups.overage = \"unknown\" forbids to ask the directory")),
        Overage::Directory => {
            trace.skip(CHECK, format!("{reason}; the directory is asked"));
            directory.groups(config.security_only, trace)
        }
    }
}

/// With their names: the configuration's, else the directory's where those are asked for. Only directory objects have names there.
fn named(
    ids: BTreeSet<String>,
    provider: &Provider,
    directory: &mut dyn GroupDirectory,
    trace: &mut Trace,
) -> Vec<Group> {
    let configured = &provider.mapping.group_names;
    let is_unnamed = |id: &&str| TenantId::parse(id).is_some() && !configured.contains_key(&id.to_ascii_lowercase());
    let objects: Vec<&str> = ids.iter().map(String::as_str).filter(is_unnamed).collect();
    let mut names = if provider.groups.names_from_directory && !objects.is_empty() {
        directory.group_names(&objects, trace)
    } else {
        BTreeMap::new()
    };
    let mut name = |id: &str| {
        let small = id.to_ascii_lowercase();
        configured.get(id).or_else(|| configured.get(&small)).cloned().or_else(|| names.remove(&small))
    };
    ids.into_iter().map(|id| Group { name: name(&id), id }).collect()
}
