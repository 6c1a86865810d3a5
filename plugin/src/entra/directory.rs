//! What a sign-in reads of Microsoft's directory, by the person's `oid` (entra_graph §5): the person, their groups, the
//! groups' names. A failure is a reason, never an empty list (V20); `entra::graph` holds tokens, time and pages.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::TenantId;
use super::graph::{Graph, GraphError};
use crate::capability::World;
use crate::claims::groups::MAX_GROUPS;
use crate::configuration::Provider;
use crate::login::trace::{Trace, cut};
use crate::oidc::discovery::Metadata;
use crate::oidc::id_token::IdTokenClaims;

/// What reading a person needs (application permissions, `api/user-get`).
pub const READ_USER: &str = "User.Read.All";
/// What reading a group needs (`api/group-get`).
const READ_GROUP: &str = "GroupMember.Read.All";
/// What reading their groups needs (`api/directoryobject-getmembergroups`).
pub const READ_GROUPS: &str = "GroupMember.Read.All and User.Read.All";
/// What reading names needs: enough in practice; Microsoft's page of `getByIds` names a higher one.
const READ_NAMES: &str = "GroupMember.Read.All (where that isn't enough, Directory.Read.All)";
/// Of no object: what may be read answers 404, what may not 403, and nothing of anybody is read.
pub const NOBODY: &str = "00000000-0000-0000-0000-000000000000";
/// How many names one request asks for (`api/directoryobject-getbyids`).
const NAMES_AT_ONCE: usize = 1000;
/// The longest name of a group that is passed on, in bytes (`wit/login.wit`).
const MAX_NAME_BYTES: usize = 256;

/// The directory of one person's tenant, for one sign-in. Most sign-ins ask for nothing, so the way there is looked for at the first read.
pub struct Directory<'a> {
    world: World<'a>,
    provider: &'a Provider,
    metadata: &'a Metadata,
    token: &'a IdTokenClaims,
    reached: Option<Result<Reachable<'a>, String>>,
}

struct Reachable<'a> {
    graph: Graph<'a>,
    /// The person, in the form that Graph has it.
    object_id: String,
}

impl<'a> Directory<'a> {
    /// Of the person whom the token is about. Asks for nothing yet; if there is nothing to ask, every read says why.
    pub fn of(world: World<'a>, provider: &'a Provider, metadata: &'a Metadata, token: &'a IdTokenClaims) -> Self {
        Self { world, provider, metadata, token, reached: None }
    }

    fn reached(&mut self) -> Result<&mut Reachable<'a>, String> {
        let (world, provider, metadata, token) = (self.world, self.provider, self.metadata, self.token);
        let reached = self.reached.get_or_insert_with(|| reach(world, provider, metadata, token));
        reached.as_mut().map_err(|reason| reason.clone())
    }

    /// The person's properties by Graph's names, `id` besides. A failure is noted and ends nothing.
    pub fn user(&mut self, properties: &[&str], trace: &mut Trace) -> Option<Map<String, Value>> {
        const CHECK: &str = "directory.user";
        match self.reached().and_then(|reachable| reachable.user(properties)) {
            Ok(user) => {
                trace.pass(CHECK, format!("{} properties", properties.len()));
                Some(user)
            }
            Err(reason) => {
                trace.fail(CHECK, reason);
                None
            }
        }
    }

    /// The identifiers of all groups that the person is in, nested ones as well, in order; or why they can't be learned.
    pub fn groups(&mut self, security_only: bool, trace: &mut Trace) -> Result<BTreeSet<String>, String> {
        const CHECK: &str = "directory.groups";
        match self.reached().and_then(|reachable| reachable.groups(security_only)) {
            Ok((groups, pages)) => {
                trace.pass(CHECK, format!("{} groups, pages: {pages}", groups.len()));
                Ok(groups)
            }
            Err(reason) => {
                trace.fail(CHECK, reason.clone());
                Err(reason)
            }
        }
    }

    /// Names of groups; what isn't there has none. A failure leaves all without: it is noted and ends nothing.
    pub fn group_names(&mut self, ids: &[&str], trace: &mut Trace) -> BTreeMap<String, String> {
        const CHECK: &str = "directory.group_names";
        match self.reached().and_then(|reachable| reachable.names(ids)) {
            Ok(names) => {
                trace.pass(CHECK, format!("{} of {}", names.len(), ids.len()));
                names
            }
            Err(reason) => {
                trace.fail(CHECK, reason);
                BTreeMap::new()
            }
        }
    }
}

/// What the directory may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// A person's properties.
    Users,
    /// A person's groups.
    Groups,
    /// Groups' names.
    Names,
}

impl Permission {
    /// Tries whether the application has it, without reading anything.
    pub fn try_with(self, graph: &mut Graph<'_>) -> Result<(), GraphError> {
        let found = match self {
            Self::Users => graph.object(&format!("users/{NOBODY}?$select=id"), READ_USER).map(|_| ()),
            Self::Groups => graph.object(&format!("groups/{NOBODY}?$select=id"), READ_GROUP).map(|_| ()),
            Self::Names => names_of(graph, &[NOBODY], &mut |_| Ok(())),
        };
        match found {
            Err(GraphError::NotFound(_)) => Ok(()),
            other => other,
        }
    }
}

fn names_of(
    graph: &mut Graph<'_>,
    ids: &[&str],
    accept: &mut dyn FnMut(&Value) -> Result<(), GraphError>,
) -> Result<(), GraphError> {
    let body = json!({ "ids": ids, "types": ["group"] });
    graph.list("directoryObjects/getByIds?$select=id,displayName", &body, READ_NAMES, accept).map(|_| ())
}

fn reach<'a>(
    world: World<'a>,
    provider: &'a Provider,
    metadata: &Metadata,
    token: &IdTokenClaims,
) -> Result<Reachable<'a>, String> {
    let (Some(tenant), Some(object_id)) = (&token.tenant, &token.object_id) else {
        return Err("the ID token doesn't name an object of a directory (tid and oid)".into());
    };
    if tenant.is_personal() {
        return Err("personal accounts are in no directory".into());
    }
    let graph = Graph::new(world, provider, metadata, tenant, provider.groups.timeout_ms)
        .ok_or("the provider has no directory")?
        .map_err(|refusal| refusal.check.1)?;
    Ok(Reachable { graph, object_id: object_id.clone() })
}

impl Reachable<'_> {
    fn user(&mut self, properties: &[&str]) -> Result<Map<String, Value>, String> {
        // They come from the configuration, which has looked at them; here they become part of an address.
        let is_name =
            |name: &&str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if let Some(bad) = properties.iter().find(|name| !is_name(name)) {
            return Err(format!("{bad:?} isn't a property's name"));
        }
        let select = std::iter::once("id").chain(properties.iter().copied().filter(|name| *name != "id"));
        let path = format!("users/{}?$select={}", self.object_id, select.collect::<Vec<_>>().join(","));
        let user = self.graph.object(&path, READ_USER).map_err(|error| error.to_string())?;
        let found = user.get("id").and_then(Value::as_str).unwrap_or_default();
        if found.eq_ignore_ascii_case(&self.object_id) {
            Ok(user)
        } else {
            Err("the answer is about somebody else: dropped".into())
        }
    }

    fn groups(&mut self, security_only: bool) -> Result<(BTreeSet<String>, usize), String> {
        let path = format!("users/{}/getMemberGroups", self.object_id);
        let mut groups = BTreeSet::new();
        let accept = |entry: &Value| {
            let id =
                entry.as_str().and_then(TenantId::parse).ok_or(GraphError::Shape("has a group that is no GUID"))?;
            groups.insert(id.as_str().to_owned());
            if groups.len() > MAX_GROUPS { Err(GraphError::TooMany) } else { Ok(()) }
        };
        let body = json!({ "securityEnabledOnly": security_only });
        let pages = self.graph.list(&path, &body, READ_GROUPS, accept).map_err(|error| error.to_string())?;
        Ok((groups, pages))
    }

    fn names(&mut self, ids: &[&str]) -> Result<BTreeMap<String, String>, String> {
        let mut names = BTreeMap::new();
        for batch in ids.chunks(NAMES_AT_ONCE) {
            let mut accept = |entry: &Value| {
                let text = |name: &str| entry.get(name).and_then(Value::as_str);
                let id = text("id").and_then(TenantId::parse).ok_or(GraphError::Shape("has a group without id"))?;
                // Without the permission for it Graph leaves the name out (entra_graph §5.1).
                if let Some(name) = text("displayName").map(str::trim).filter(|name| !name.is_empty()) {
                    names.insert(id.as_str().to_owned(), cut(name, MAX_NAME_BYTES));
                }
                Ok(())
            };
            names_of(&mut self.graph, batch, &mut accept).map_err(|error| error.to_string())?;
        }
        Ok(names)
    }
}
