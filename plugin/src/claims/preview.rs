//! What account rules, mapping, policy and linking make of claims that somebody wrote down, offline: for `map` and for the
//! samples of a configuration. The steps are those of a sign-in after its token was verified (`login::complete`); how and
//! when the person authenticated isn't looked at. Nothing here is proven, so no [`super::identity::Identity`] comes of it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::account::{self, AccountKind};
use super::groups::Groups;
use super::identity::{self, Mapped};
use super::sources::Documents;
use crate::configuration::{self, Authority, GroupsSource, Problem, Provider, Severity};
use crate::entra::TenantId;
use crate::jose::parse_unique_object;
use crate::login::membership::{self, GroupDirectory};
use crate::login::refusal::{self, Refusal};
use crate::login::trace::{Check, Trace, cut};
use crate::oidc::id_token::IdTokenClaims;
use crate::policy::linking::{EmailLinking, email_linking};
use crate::policy::rules;

/// The largest input, in bytes; the contract's bound.
const MAX_BYTES: usize = 64 << 10;
/// The longest identifier of a group, in bytes; the contract's bound.
const MAX_ID_BYTES: usize = 256;
/// The longest reason for which groups are unknown, in bytes.
const MAX_REASON_BYTES: usize = 256;
/// Stands in where nobody says whose tenant it is.
const SAMPLE_TENANT: &str = "00000000-0000-4000-8000-000000000000";
/// Stands in where nobody says who it is.
const SAMPLE_OBJECT: &str = "00000000-0000-4000-8000-000000000001";
/// As [`SAMPLE_OBJECT`].
const SAMPLE_SUBJECT: &str = "sample";

/// What would become of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// What the mapping gave, even if the policy refuses.
    pub mapped: Option<Mapped>,
    /// Whose account it would be.
    pub account: AccountKind,
    /// As the configuration asks for them.
    pub groups: Groups,
    /// `None`: there is no address.
    pub email_linking: Option<EmailLinking>,
    /// `None`: the person would be let in.
    pub refusal: Option<Refusal>,
    /// What was looked at; the last one failed if there is a refusal.
    pub checks: Vec<Check>,
}

impl Preview {
    /// The mapped fields by the names of `login.identity`, in its order; without those that nothing gave.
    pub fn fields(&self) -> Vec<(String, String)> {
        let Some(mapped) = &self.mapped else { return Vec::new() };
        let verified = mapped.email_verified.map(|verified| verified.to_string());
        let fields = [
            ("username", Some(&mapped.username)),
            ("email", Some(&mapped.email)),
            ("email_verified", verified.as_ref()),
            ("given_name", Some(&mapped.given_name)),
            ("family_name", Some(&mapped.family_name)),
            ("display_name", Some(&mapped.display_name)),
            ("phone", mapped.phone.as_ref()),
        ];
        let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
        let attributes = mapped.attributes.iter().map(|(name, value)| (format!("attributes.{name}"), value.clone()));
        fields.chain(attributes).collect()
    }
}

/// What is wrong with what somebody wrote down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct InputError {
    /// Where in it, with dots; empty: all of it.
    pub path: String,
    /// What was found and expected.
    pub message: String,
}

impl InputError {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

/// Why there is no preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviewError {
    /// The provider's configuration can't be used.
    Configuration(Problem),
    /// The input can't be read.
    Input(InputError),
}

impl PreviewError {
    /// As a problem; of the input its path begins with `input`.
    pub fn into_problem(self) -> Problem {
        match self {
            Self::Configuration(problem) => problem,
            Self::Input(InputError { path, message }) => Problem {
                severity: Severity::Error,
                path: if path.is_empty() { "input".to_owned() } else { format!("input.{path}") },
                message,
                hint: "the claims of an ID token, or {\"claims\", \"userinfo\", \"directory\", \"groups\"}".to_owned(),
            },
        }
    }
}

/// Maps what somebody wrote down by a provider's configuration: the claims of an ID token, or `{"claims", "userinfo",
/// "directory", "groups", "groups_unknown"}`.
pub fn preview(provider: &str, input: &str) -> Result<Preview, PreviewError> {
    let provider = configuration::parse(provider).map_err(PreviewError::Configuration)?;
    let statement = read(input).map_err(PreviewError::Input)?;
    run(&provider, &statement).map_err(PreviewError::Input)
}

fn read(input: &str) -> Result<Statement, InputError> {
    if input.len() > MAX_BYTES {
        return Err(InputError::new("", format!("{} bytes, at most {MAX_BYTES} are read", input.len())));
    }
    let object =
        parse_unique_object(input.as_bytes()).map_err(|error| InputError::new("", format!("it is {error}")))?;
    if !object.get("claims").is_some_and(Value::is_object) {
        return Ok(Statement { claims: object, userinfo: None, directory: None, groups: StatedGroups::Nothing });
    }
    match object.keys().find(|key| !Statement::KEYS.contains(&key.as_str())) {
        Some(key) => Err(InputError::new(key, format!("beside claims there may be {}", Statement::KEYS.join(", ")))),
        None => Statement::read(&object),
    }
}

/// A person's documents, as somebody wrote them down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    claims: Map<String, Value>,
    userinfo: Option<Map<String, Value>>,
    directory: Option<Map<String, Value>>,
    groups: StatedGroups,
}

/// What the directory says of groups.
#[derive(Debug, Clone, PartialEq)]
enum StatedGroups {
    Nothing,
    Known(BTreeSet<String>),
    Unknown(String),
}

impl Statement {
    /// What is read of a table.
    pub(crate) const KEYS: [&str; 5] = ["claims", "userinfo", "directory", "groups", "groups_unknown"];

    /// Reads a table's [`Self::KEYS`].
    pub(crate) fn read(table: &Map<String, Value>) -> Result<Self, InputError> {
        let object = |key: &str| match table.get(key) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(object.clone())),
            Some(_) => Err(InputError::new(key, "expected a table")),
        };
        let (claims, userinfo, directory) = (object("claims")?, object("userinfo")?, object("directory")?);
        let claims = claims.ok_or_else(|| InputError::new("claims", "missing: the claims of the ID token"))?;
        Ok(Self { claims, userinfo, directory, groups: StatedGroups::read(table)? })
    }
}

impl StatedGroups {
    fn read(table: &Map<String, Value>) -> Result<Self, InputError> {
        match (table.get("groups"), table.get("groups_unknown")) {
            (None, None) => Ok(Self::Nothing),
            (Some(Value::Null), None) => Ok(Self::Unknown("the input says so".to_owned())),
            (None, Some(Value::String(reason))) => Ok(Self::Unknown(cut(reason, MAX_REASON_BYTES))),
            (None, Some(_)) => Err(InputError::new("groups_unknown", "expected a text: why they are unknown")),
            (Some(_), Some(_)) => Err(InputError::new("groups", "there is groups_unknown as well: one or the other")),
            (Some(groups), None) => {
                let id =
                    |id: &Value| id.as_str().filter(|id| (1..=MAX_ID_BYTES).contains(&id.len())).map(str::to_owned);
                let mut ids = BTreeSet::new();
                let is_good = groups
                    .as_array()
                    .is_some_and(|items| items.iter().all(|item| id(item).map(|id| ids.insert(id)).is_some()));
                let expected = || format!("expected a list of identifiers of 1 to {MAX_ID_BYTES} bytes");
                if is_good { Ok(Self::Known(ids)) } else { Err(InputError::new("groups", expected())) }
            }
        }
    }
}

impl GroupDirectory for &StatedGroups {
    fn groups(&mut self, _security_only: bool, trace: &mut Trace) -> Result<BTreeSet<String>, String> {
        match self {
            StatedGroups::Known(groups) => {
                trace.pass("directory.groups", format!("{} groups, as stated", groups.len()));
                Ok(groups.clone())
            }
            StatedGroups::Unknown(reason) => Err(reason.clone()),
            StatedGroups::Nothing => Err("groups doesn't state what the directory would say".to_owned()),
        }
    }

    /// The directory's names aren't stated; the configuration's go before them anyway.
    fn group_names(&mut self, _ids: &[&str], _trace: &mut Trace) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

/// Plays the sign-in. What the token says of account and tenant refuses first, as it would there; the fields are mapped
/// nevertheless.
pub(crate) fn run(provider: &Provider, statement: &Statement) -> Result<Preview, InputError> {
    let token = token(provider, &statement.claims)?;
    check_groups(provider, &statement.groups)?;
    let mut trace = Trace::default();
    let mut refusal = admit(provider, &token, &mut trace).err();
    // What comes after a refusal is shown, but not as a check: a sign-in would have ended there.
    let mut unseen = Trace::default();
    let notes = if refusal.is_some() { &mut unseen } else { &mut trace };

    let mut documents = Documents { id_token: &token.all, userinfo: None, directory: None };
    if identity::wants_userinfo(provider, &token.all) {
        documents.userinfo = statement.userinfo.as_ref();
    } else if statement.userinfo.is_some() {
        notes.skip("userinfo", "stated, but a sign-in wouldn't ask for it");
    }
    if provider.is_microsoft() && identity::lacks_directory(provider, documents) {
        documents.directory = statement.directory.as_ref();
    } else if statement.directory.is_some() {
        notes.skip("directory.user", "stated, but a sign-in wouldn't ask for it");
    }
    let groups = membership::groups(provider, &token.all, documents.userinfo, &mut &statement.groups, notes);
    let (account, _) = account::kind(provider, &token);
    let mapped = match identity::map(provider, &token, documents, notes) {
        Ok(mapped) => Some(mapped),
        Err(missing) => {
            refusal.get_or_insert(missing);
            None
        }
    };
    if let (Some(mapped), None) = (&mapped, &refusal) {
        let subject = rules::Subject { token: &token, documents, mapped, groups: &groups, account };
        refusal = rules::check(provider, &subject, &mut trace).err();
    }
    let email_linking = mapped.as_ref().map(|mapped| email_linking(provider, account, mapped));
    let checks = match &refusal {
        Some(refusal) => refusal.checks(trace),
        None => trace.into_checks(),
    };
    Ok(Preview { mapped, account, groups, email_linking, refusal, checks })
}

/// The tenants that verification would have let through, and the kinds of accounts.
fn admit(provider: &Provider, token: &IdTokenClaims, trace: &mut Trace) -> Result<(), Refusal> {
    let allowed = match &provider.authority {
        Authority::Tenant(tenant) => std::slice::from_ref(tenant),
        Authority::Several(tenants) => tenants.as_slice(),
        // Discovery would tell which tenant a domain names.
        Authority::Domain(_) | Authority::Issuer => &[],
    };
    if let Some(tenant) = token.tenant.as_ref().filter(|tenant| !allowed.is_empty() && !allowed.contains(tenant)) {
        let expected = allowed.iter().map(TenantId::as_str).collect::<Vec<_>>().join(", ");
        let detail = format!("tid is {tenant}, expected {expected}");
        return Err(Refusal::new(&refusal::TENANT_NOT_ALLOWED, "id_token.tenant", detail));
    }
    account::check(provider, token, trace).map(|_| ())
}

/// Elsewhere than in Entra's directory groups are claims.
fn check_groups(provider: &Provider, groups: &StatedGroups) -> Result<(), InputError> {
    let is_read = provider.groups.source != GroupsSource::None;
    match groups {
        StatedGroups::Known(_) | StatedGroups::Unknown(_) if !provider.is_microsoft() && is_read => {
            let claim = &provider.groups.claim;
            Err(InputError::new("groups", format!("kind = \"oidc\" has no directory: state the claim {claim:?}")))
        }
        _ => Ok(()),
    }
}

/// The token that would say so: what nobody stated and every token has is made up.
fn token(provider: &Provider, claims: &Map<String, Value>) -> Result<IdTokenClaims, InputError> {
    let mut all = claims.clone();
    let mut add = |claim: &str, value: String| {
        all.entry(claim).or_insert(Value::String(value));
    };
    add("aud", provider.client_id.clone());
    add("sub", SAMPLE_SUBJECT.to_owned());
    if provider.is_microsoft() {
        let tenant = match &provider.authority {
            Authority::Tenant(tenant) => tenant.to_string(),
            Authority::Several(tenants) => tenants.first().map_or(SAMPLE_TENANT.to_owned(), ToString::to_string),
            Authority::Domain(_) | Authority::Issuer => SAMPLE_TENANT.to_owned(),
        };
        add("ver", "2.0".to_owned());
        add("oid", SAMPLE_OBJECT.to_owned());
        add("tid", tenant);
    }
    let guid = |all: &Map<String, Value>, claim: &str| match all.get(claim).filter(|_| provider.is_microsoft()) {
        None => Ok(None),
        Some(value) => match value.as_str().and_then(TenantId::parse) {
            Some(guid) => Ok(Some(guid)),
            None => Err(InputError::new(&format!("claims.{claim}"), "expected a GUID")),
        },
    };
    let (tenant, object_id) = (guid(&all, "tid")?, guid(&all, "oid")?);
    all.entry("iss").or_insert_with(|| Value::String(issuer(provider, tenant.as_ref())));
    let text = |claim: &str| {
        let text = all.get(claim).and_then(Value::as_str).map(str::to_owned);
        text.ok_or_else(|| InputError::new(&format!("claims.{claim}"), "expected a text"))
    };
    let (issuer, subject) = (text("iss")?, text("sub")?);
    Ok(IdTokenClaims { issuer, subject, tenant, object_id: object_id.map(|id| id.to_string()), all })
}

fn issuer(provider: &Provider, tenant: Option<&TenantId>) -> String {
    tenant.map_or_else(|| provider.base_url.clone(), |tenant| format!("{}/{tenant}/v2.0", provider.origin()))
}
