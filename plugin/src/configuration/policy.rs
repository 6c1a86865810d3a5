//! Who is let in once the ID token is good, and which existing account may be theirs.

use std::collections::BTreeSet;

use super::mapping::{Mapping, Source};
use super::provider::ProviderKind;
use super::reader::Reader;
use crate::claims::email::Domain;
use crate::claims::expression::Expression;
use crate::entra::TenantId;

/// The most entries of a list, and rules.
const MAX_ENTRIES: usize = 256;
/// The longest name or sentence of a rule, in bytes.
const MAX_TEXT_BYTES: usize = 256;

/// What must be true of everybody who is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The address's domain is one of these; `None`: any.
    pub allowed_domains: Option<Vec<Domain>>,
    /// The person is in one of these groups; `None`: in any or none.
    pub allowed_groups: Option<Vec<String>>,
    /// The provider says that the address is the person's.
    pub require_verified_email: bool,
    /// All of these are true.
    pub rules: Vec<Rule>,
}

/// An expression that must be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What a refusal calls it.
    pub name: String,
    /// What must be true.
    pub require: Expression,
    /// What the person is told; else the general sentence.
    pub message: Option<String>,
}

/// What may become of an account that has the person's address and is nobody's yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingAccounts {
    /// Nothing.
    Never,
    /// An administrator says.
    Approval,
    /// It is the person's if the address is proven; else an administrator says.
    VerifiedEmail,
}

/// `[provider.linking]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linking {
    /// What may become of it.
    pub existing: ExistingAccounts,
    /// Domains whose addresses are given by the organisation itself.
    pub verified_domains: Vec<Domain>,
}

impl Policy {
    /// Whether somebody's groups decide over whether they get in.
    pub fn needs_groups(&self, mapping: &Mapping, claim: &str) -> bool {
        self.allowed_groups.is_some() || self.rules.iter().any(|rule| depends_on_groups(&rule.require, mapping, claim))
    }

    /// Whether a rule reads this field of its input.
    pub fn needs(&self, field: &str) -> bool {
        self.rules.iter().any(|rule| rule.require.sees(field))
    }
}

/// Whether a rule's value may depend on the person's groups: it reads them, or the claim that they are in, or a mapped field
/// one of which is made of them. More is taken for dependent than is; nothing that is goes unseen (V20).
pub fn depends_on_groups(require: &Expression, mapping: &Mapping, claim: &str) -> bool {
    const MAPPED: [&str; 9] = [
        "email",
        "email_domain",
        "email_verified",
        "username",
        "given_name",
        "family_name",
        "display_name",
        "phone",
        "attributes",
    ];
    let names_claim =
        |expression: &Expression| expression.mentions(claim) || claim.split('.').any(|part| expression.mentions(part));
    let is_made_of_groups = |source: &Source| match source {
        Source::Claim(name) => {
            let top = |path: &str| path.split('.').next().map(str::to_owned);
            top(name) == top(claim) || name == claim || top(name).as_deref() == Some("groups")
        }
        Source::Directory(_) => false,
        Source::Expression(expression) => expression.sees_groups() || names_claim(expression),
    };
    require.sees_groups()
        || names_claim(require)
        || (MAPPED.iter().any(|field| require.sees(field))
            && mapping.fields().flat_map(|field| &field.sources).any(is_made_of_groups))
}

pub(super) fn read(reader: &mut Reader, kind: ProviderKind) -> Policy {
    Policy {
        allowed_domains: domains(reader, "policy.allowed_domains", false),
        allowed_groups: groups(reader, kind),
        require_verified_email: reader.flag("policy.require_verified_email"),
        rules: rules(reader),
    }
}

pub(super) fn read_linking(reader: &mut Reader) -> Linking {
    let existing = reader.choice(
        "linking.existing",
        &[
            ("never", ExistingAccounts::Never),
            ("approval", ExistingAccounts::Approval),
            ("verified_email", ExistingAccounts::VerifiedEmail),
        ],
    );
    Linking {
        existing: existing.unwrap_or(ExistingAccounts::Approval),
        verified_domains: domains(reader, "linking.verified_domains", true).unwrap_or_default(),
    }
}

fn domains(reader: &mut Reader, path: &str, may_be_empty: bool) -> Option<Vec<Domain>> {
    if !reader.has(path) {
        return None;
    }
    let texts = reader.list(path).unwrap_or_default();
    if texts.len() > MAX_ENTRIES || (texts.is_empty() && !may_be_empty) {
        let message = format!("{} entries, expected 1 to {MAX_ENTRIES}", texts.len());
        reader.error(path, message, "leave it out to let every domain in");
    }
    let parsed = texts.iter().filter_map(|text| match Domain::parse(text) {
        Some(domain) => Some(domain),
        None => {
            let hint = "the domain alone, as in \"acme.example\"; sub-domains are listed one by one";
            reader.error(path, format!("{text:?} isn't a domain"), hint);
            None
        }
    });
    Some(parsed.collect())
}

fn groups(reader: &mut Reader, kind: ProviderKind) -> Option<Vec<String>> {
    let path = "policy.allowed_groups";
    if !reader.has(path) {
        return None;
    }
    let texts = reader.list(path).unwrap_or_default();
    if texts.is_empty() || texts.len() > MAX_ENTRIES || texts.iter().any(|text| text.len() > MAX_TEXT_BYTES) {
        let message = format!("expected 1 to {MAX_ENTRIES} entries of at most {MAX_TEXT_BYTES} bytes");
        reader.error(path, message, "leave it out to let members of any group in");
    }
    if kind == ProviderKind::Oidc {
        return Some(texts);
    }
    // Anybody may make a group of any name (V21).
    let parsed = texts.iter().filter_map(|text| match TenantId::parse(text) {
        Some(id) => Some(id.to_string()),
        None => {
            let hint = "Entra admin centre > Groups > Object ID: names aren't unique";
            reader.error(path, format!("{text:?} isn't a group's Object ID (a GUID)"), hint);
            None
        }
    });
    Some(parsed.collect())
}

fn rules(reader: &mut Reader) -> Vec<Rule> {
    let count = reader.tables("policy.rules", &["name", "require", "message"]);
    if count > MAX_ENTRIES {
        reader.error("policy.rules", format!("{count} rules, at most {MAX_ENTRIES} are read"), "");
    }
    let (mut rules, mut names) = (Vec::new(), BTreeSet::new());
    for position in 1..=count.min(MAX_ENTRIES) {
        let path = |key: &str| format!("policy.rules.{position}.{key}");
        let name = reader.required(&path("name"), "what a refusal calls the rule, as in \"staff only\"");
        let require = reader.required(&path("require"), "a JMESPath expression that must be true");
        let message = reader.text(&path("message"));
        for (key, text) in [("name", &name), ("message", &message)] {
            if text.as_ref().is_some_and(|text| text.len() > MAX_TEXT_BYTES || text.contains(char::is_control)) {
                reader.error(&path(key), format!("more than {MAX_TEXT_BYTES} bytes, or control characters"), "");
            }
        }
        let require = require.and_then(|text| match Expression::compile(&text) {
            Ok(expression) => Some(expression),
            Err(error) => {
                reader.error(&path("require"), error.to_string(), "https://jmespath.org/specification.html");
                None
            }
        });
        let (Some(name), Some(require)) = (name, require) else { continue };
        if !names.insert(name.clone()) {
            reader.error(&path("name"), format!("another rule is called {name:?} as well"), "names tell rules apart");
        }
        rules.push(Rule { name, require, message });
    }
    rules
}
