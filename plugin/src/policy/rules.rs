//! Who is let in: domains, groups, and rules in JMESPath, all of which must hold. A rule that can't be evaluated, or whose
//! value isn't true or false, refuses and names itself; unknown groups are never taken for none (V20).

use serde_json::{Map, Value, json};

use crate::claims::account::AccountKind;
use crate::claims::email::Domain;
use crate::claims::groups::Groups;
use crate::claims::identity::Mapped;
use crate::claims::sources::Documents;
use crate::configuration::{Policy, Provider, Rule, depends_on_groups};
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;
use crate::oidc::id_token::IdTokenClaims;

/// Whom the policy looks at.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// What never changes about them.
    pub token: &'a IdTokenClaims,
    /// What was said of them.
    pub documents: Documents<'a>,
    /// What became of it.
    pub mapped: &'a Mapped,
    /// Their groups.
    pub groups: &'a Groups,
    /// Whose account it is.
    pub account: AccountKind,
}

/// Holds somebody against the policy.
pub fn check(provider: &Provider, subject: &Subject<'_>, trace: &mut Trace) -> Result<(), Refusal> {
    let policy = &provider.policy;
    check_domain(policy, subject.mapped, trace)?;
    check_verified(policy, subject.mapped, trace)?;
    check_groups(policy, subject.groups, trace)?;
    if policy.rules.is_empty() {
        trace.skip("policy.rules", "none is configured");
        return Ok(());
    }
    let input = input(subject);
    policy.rules.iter().try_for_each(|rule| check_rule(provider, rule, &input, subject, trace))
}

fn check_domain(policy: &Policy, mapped: &Mapped, trace: &mut Trace) -> Result<(), Refusal> {
    const CHECK: &str = "policy.allowed_domains";
    let Some(allowed) = &policy.allowed_domains else {
        trace.skip(CHECK, "not configured");
        return Ok(());
    };
    match Domain::of_address(&mapped.email).filter(|domain| allowed.contains(domain)) {
        Some(domain) => {
            trace.pass(CHECK, domain.as_str());
            Ok(())
        }
        None => Err(Refusal::new(&refusal::DOMAIN_NOT_ALLOWED, CHECK, "the address's domain is none of them")),
    }
}

fn check_verified(policy: &Policy, mapped: &Mapped, trace: &mut Trace) -> Result<(), Refusal> {
    const CHECK: &str = "policy.require_verified_email";
    match (policy.require_verified_email, mapped.email_verified) {
        (false, _) => trace.skip(CHECK, "not configured"),
        (true, Some(true)) => trace.pass(CHECK, "the provider says so"),
        (true, found) => {
            let detail = if found.is_some() { "the provider says that it isn't" } else { "the provider says nothing" };
            return Err(Refusal::new(&refusal::EMAIL_UNVERIFIED, CHECK, detail));
        }
    }
    Ok(())
}

fn check_groups(policy: &Policy, groups: &Groups, trace: &mut Trace) -> Result<(), Refusal> {
    const CHECK: &str = "policy.allowed_groups";
    let Some(allowed) = &policy.allowed_groups else {
        trace.skip(CHECK, "not configured");
        return Ok(());
    };
    let groups = match groups {
        Groups::Known(groups) => groups,
        Groups::Unknown(reason) => return Err(Refusal::new(&refusal::GROUPS_UNKNOWN, CHECK, reason.as_str())),
        Groups::NotRequested => {
            return Err(Refusal::new(&refusal::GROUPS_UNKNOWN, CHECK, "they aren't asked for (groups.source)"));
        }
    };
    match groups.iter().find(|group| allowed.contains(&group.id)) {
        Some(group) => {
            trace.pass(CHECK, group.id.as_str());
            Ok(())
        }
        None => {
            let detail = format!("in none of {}, but in {} others", allowed.len(), groups.len());
            Err(Refusal::new(&refusal::GROUP_NOT_ALLOWED, CHECK, detail))
        }
    }
}

fn check_rule(
    provider: &Provider,
    rule: &Rule,
    input: &Value,
    subject: &Subject<'_>,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    const CHECK: &str = "policy.rule";
    let Rule { name, require, message } = rule;
    if depends_on_groups(require, &provider.mapping, &provider.groups.claim) {
        let why = match subject.groups {
            Groups::Known(_) => None,
            Groups::Unknown(reason) => Some(reason.as_str()),
            Groups::NotRequested => Some("they aren't asked for (groups.source)"),
        };
        if let Some(why) = why {
            let detail = format!("rule {name:?} needs groups, which are unknown: {why}");
            return Err(Refusal::new(&refusal::GROUPS_UNKNOWN, CHECK, detail));
        }
    }
    let refuse = |detail: String| Err(Refusal::new(&refusal::POLICY_UNEVALUABLE, CHECK, detail));
    // What wasn't got isn't empty either: `directory.department != 'x'` would be true of everybody.
    let documents = [("userinfo", subject.documents.userinfo), ("directory", subject.documents.directory)];
    if let Some((missing, _)) = documents.iter().find(|(field, found)| found.is_none() && require.sees(field)) {
        return refuse(format!("rule {name:?} reads {missing}, which wasn't asked or gave no answer"));
    }
    match require.evaluate(input) {
        Ok(Value::Bool(true)) => {
            trace.pass(CHECK, format!("rule {name:?} holds"));
            Ok(())
        }
        Ok(Value::Bool(false)) => {
            let refusal = Refusal::new(&refusal::POLICY_REFUSED, CHECK, format!("rule {name:?} doesn't hold"));
            Err(match message {
                Some(message) => refusal.with_message(message.as_str()),
                None => refusal,
            })
        }
        Ok(other) => refuse(format!("rule {name:?} gives {}, expected true or false", kind(&other))),
        Err(error) => refuse(format!("rule {name:?} can't be evaluated: {error}")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing (null)",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// What rules are written over: the mapped fields by name, and the documents behind them.
fn input(subject: &Subject<'_>) -> Value {
    let Subject { token, documents, mapped, groups, account } = subject;
    let (ids, names) = match groups {
        Groups::Known(groups) => (
            groups.iter().map(|group| Value::from(group.id.as_str())).collect(),
            groups.iter().filter_map(|group| group.name.as_deref()).map(Value::from).collect(),
        ),
        Groups::NotRequested | Groups::Unknown(_) => (Value::Null, Value::Null),
    };
    let object = |map: Option<&Map<String, Value>>| map.map_or(Value::Null, |map| Value::Object(map.clone()));
    let mut attributes = Map::new();
    attributes.extend(mapped.attributes.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))));
    json!({
        "issuer": token.issuer,
        "subject": token.subject,
        "tenant_id": token.tenant.as_ref().map(crate::entra::TenantId::as_str),
        "object_id": token.object_id,
        "account": account.as_str(),
        "username": mapped.username,
        "email": mapped.email,
        "email_domain": Domain::of_address(&mapped.email).as_ref().map(Domain::as_str),
        "email_verified": mapped.email_verified,
        "given_name": mapped.given_name,
        "family_name": mapped.family_name,
        "display_name": mapped.display_name,
        "phone": mapped.phone,
        "attributes": attributes,
        "groups": ids,
        "group_names": names,
        "claims": documents.id_token,
        "userinfo": object(documents.userinfo),
        "directory": object(documents.directory),
    })
}
