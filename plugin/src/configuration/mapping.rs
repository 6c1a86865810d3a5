//! How claims become an identity: for each field its sources in order, and what is done to the text that one gives.

use std::collections::BTreeMap;

use super::policy::Policy;
use super::provider::ProviderKind;
use super::reader::Reader;
use crate::claims::expression::Expression;
use crate::claims::transform::Transform;
use crate::claims::username::UsernameHandling;

/// The most sources or transforms of a field.
const MAX_SOURCES: usize = 16;
/// The longest source that isn't an expression, in bytes.
const MAX_SOURCE_BYTES: usize = 256;
/// The most attributes; the contract's bound.
const MAX_ATTRIBUTES: usize = 32;
/// What Graph's user can be asked for (entra_graph §5.2).
const PROPERTIES: [&str; 11] = [
    "id",
    "userPrincipalName",
    "mail",
    "displayName",
    "givenName",
    "surname",
    "otherMails",
    "mobilePhone",
    "department",
    "jobTitle",
    "employeeId",
];
/// As `PROPERTIES`, for accounts that come from a directory on the premises.
const ON_PREMISES: &str = "onPremisesSamAccountName";

/// Where a text may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A claim, taken literally first, then as a path with dots.
    Claim(String),
    /// A property of Graph's user.
    Directory(String),
    /// An expression over the claims.
    Expression(Expression),
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Claim(name) => formatter.write_str(name),
            Self::Directory(property) => write!(formatter, "graph:{property}"),
            Self::Expression(expression) => write!(formatter, "jmespath:{}", expression.source()),
        }
    }
}

/// Sources in order, and the steps after them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// The first that gives something counts.
    pub sources: Vec<Source>,
    /// What is done to it.
    pub transforms: Vec<Transform>,
}

/// Every field of an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Address.
    pub email: Field,
    /// Claims that say that the address is the person's.
    pub email_verified: Vec<String>,
    /// User name.
    pub username: Field,
    /// Defguard's rule for user names.
    pub username_handling: UsernameHandling,
    /// First name.
    pub given_name: Field,
    /// Last name.
    pub family_name: Field,
    /// Name as it is shown.
    pub name: Field,
    /// Phone number.
    pub phone: Field,
    /// What else is carried along, by name.
    pub attributes: BTreeMap<String, Field>,
    /// Names of groups by their ids: they go before the directory's.
    pub group_names: BTreeMap<String, String>,
}

impl Mapping {
    /// All fields that have sources.
    pub fn fields(&self) -> impl Iterator<Item = &Field> {
        [&self.email, &self.username, &self.given_name, &self.family_name, &self.name, &self.phone]
            .into_iter()
            .chain(self.attributes.values())
    }

    /// The properties of Graph's user that some field may want, or a rule of the policy reads.
    pub(super) fn directory_properties(&self, policy: &Policy) -> Vec<&str> {
        let wanted = self.fields().flat_map(|field| &field.sources).filter_map(|source| match source {
            Source::Directory(property) => Some(property.as_str()),
            _ => None,
        });
        let reads = |property: &str| {
            policy.rules.iter().any(|rule| rule.require.sees("directory") && rule.require.mentions(property))
        };
        let read = PROPERTIES.into_iter().chain([ON_PREMISES]).filter(|property| reads(property));
        let mut properties = Vec::new();
        for property in wanted.chain(read) {
            if let Err(place) = properties.binary_search(&property) {
                properties.insert(place, property);
            }
        }
        properties
    }
}

pub(super) fn read(reader: &mut Reader, kind: ProviderKind) -> Mapping {
    let microsoft = kind == ProviderKind::Microsoft;
    let username_handling = reader.choice("username_handling", &UsernameHandling::NAMES);
    let email: &[&str] = if microsoft { &["email", "preferred_username"] } else { &["email"] };
    let mapping = Mapping {
        email: field(reader, kind, "email", email),
        email_verified: email_verified(reader, if microsoft { "xms_edov" } else { "email_verified" }),
        username: field(reader, kind, "username", &["preferred_username", "email"]),
        username_handling: username_handling.unwrap_or(UsernameHandling::RemoveForbidden),
        given_name: field(reader, kind, "given_name", &["given_name"]),
        family_name: field(reader, kind, "family_name", &["family_name"]),
        name: field(reader, kind, "name", &["name"]),
        phone: field(reader, kind, "phone", &["phone_number"]),
        attributes: attributes(reader, kind),
        group_names: group_names(reader),
    };
    if mapping.email.sources.is_empty() {
        reader.error("claims.email", "the list is empty: without an address nobody gets in", "[\"email\"]");
    }
    mapping
}

fn field(reader: &mut Reader, kind: ProviderKind, name: &str, default: &[&str]) -> Field {
    let path = format!("claims.{name}");
    let sources = if reader.has(&path) {
        sources(reader, kind, &path)
    } else {
        default.iter().map(|source| Source::Claim((*source).to_owned())).collect()
    };
    Field { sources, transforms: transforms(reader, &format!("claims.transforms.{name}")) }
}

fn sources(reader: &mut Reader, kind: ProviderKind, path: &str) -> Vec<Source> {
    let texts = reader.list(path).unwrap_or_default();
    if texts.len() > MAX_SOURCES {
        reader.error(path, format!("{} sources, at most {MAX_SOURCES} are read", texts.len()), "");
    }
    texts.iter().filter_map(|text| source(reader, kind, path, text)).collect()
}

fn source(reader: &mut Reader, kind: ProviderKind, path: &str, text: &str) -> Option<Source> {
    if let Some(expression) = text.strip_prefix("jmespath:") {
        return match Expression::compile(expression.trim()) {
            Ok(expression) => Some(Source::Expression(expression)),
            Err(error) => {
                reader.error(path, format!("{text:?}: {error}"), "https://jmespath.org/specification.html");
                None
            }
        };
    }
    if text.len() > MAX_SOURCE_BYTES {
        reader.error(path, format!("a source is longer than {MAX_SOURCE_BYTES} bytes"), "");
        return None;
    }
    let Some(property) = text.strip_prefix("graph:") else { return Some(Source::Claim(text.to_owned())) };
    if kind == ProviderKind::Oidc {
        reader.error(path, format!("{text:?}: only kind = \"microsoft\" has a directory"), "name claims");
        return None;
    }
    if !PROPERTIES.contains(&property) && property != ON_PREMISES {
        let known = PROPERTIES.join(", ");
        reader.error(path, format!("{text:?}: no such property is read"), format!("one of {known}, {ON_PREMISES}"));
        return None;
    }
    Some(Source::Directory(property.to_owned()))
}

/// Claims only: what vouches for an address stands beside it in the token.
fn email_verified(reader: &mut Reader, default: &str) -> Vec<String> {
    let path = "claims.email_verified";
    if !reader.has(path) {
        return vec![default.to_owned()];
    }
    let claims = reader.list(path).unwrap_or_default();
    if claims.len() > MAX_SOURCES || claims.iter().any(|claim| claim.len() > MAX_SOURCE_BYTES) {
        reader.error(path, format!("more than {MAX_SOURCES} claims, or one longer than {MAX_SOURCE_BYTES} bytes"), "");
    }
    if let Some(other) = claims.iter().find(|claim| claim.starts_with("graph:") || claim.starts_with("jmespath:")) {
        reader.error(path, format!("{other:?} isn't a claim: only the token vouches for an address"), "name claims");
    }
    claims
}

fn transforms(reader: &mut Reader, path: &str) -> Vec<Transform> {
    if !reader.has(path) {
        return Vec::new();
    }
    // A space may be what a transform looks for.
    let texts = reader.verbatim_list(path).unwrap_or_default();
    if texts.len() > MAX_SOURCES {
        reader.error(path, format!("{} transforms, at most {MAX_SOURCES} are made", texts.len()), "");
    }
    if texts.iter().any(|text| text.len() > MAX_SOURCE_BYTES) {
        reader.error(path, format!("a transform is longer than {MAX_SOURCE_BYTES} bytes"), "");
        return Vec::new();
    }
    let parsed = texts.iter().filter_map(|text| match Transform::parse(text) {
        Ok(transform) => Some(transform),
        Err(reason) => {
            reader.error(path, reason, "[\"lowercase\", \"before:@\"]");
            None
        }
    });
    parsed.collect()
}

fn attributes(reader: &mut Reader, kind: ProviderKind) -> BTreeMap<String, Field> {
    let names: Vec<String> = reader
        .table("claims.attributes")
        .into_iter()
        .flat_map(|table| table.into_iter().map(|(name, _)| name))
        .collect();
    if names.len() > MAX_ATTRIBUTES {
        reader.error(
            "claims.attributes",
            format!("{} attributes, at most {MAX_ATTRIBUTES} are carried", names.len()),
            "",
        );
    }
    let is_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
    };
    let mut attributes = BTreeMap::new();
    for name in names {
        let path = format!("claims.attributes.{name}");
        if is_name(&name) {
            let field = Field { sources: sources(reader, kind, &path), transforms: Vec::new() };
            attributes.insert(name, field);
        } else {
            reader.error(&path, "an attribute's name has 1 to 64 of A-Z a-z 0-9 _ -", "");
        }
    }
    attributes
}

fn group_names(reader: &mut Reader) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (id, name) in reader.table("groups.names").unwrap_or_default() {
        match name.as_str().map(str::trim) {
            Some(name) if (1..=256).contains(&name.len()) && (1..=256).contains(&id.len()) => {
                // GUIDs are compared in small letters.
                names.insert(crate::entra::TenantId::parse(&id).map_or(id, |guid| guid.to_string()), name.to_owned());
            }
            _ => {
                reader.error(
                    "groups.names",
                    format!("{id:?} has no name of 1 to 256 bytes"),
                    "{ \"<id>\" = \"name\" }",
                );
            }
        }
    }
    names
}
