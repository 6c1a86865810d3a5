//! How, and how long ago, the person authenticated: what the configuration demands of `acr`, `acrs` and `auth_time` (OpenID
//! Connect Core 2, 3.1.2.1 and 3.1.3.7 (12) and (13); Entra's authentication contexts). A claim that isn't there, or
//! isn't of its type, fails.

use serde_json::Value;

use super::refusal::{self, Refusal};
use super::trace::Trace;
use crate::configuration::SignIn;
use crate::oidc::id_token::{IdTokenClaims, LEEWAY_S, Verified};

/// Holds the ID token against the configuration.
pub fn check(
    options: &SignIn,
    id_token: &Verified<IdTokenClaims>,
    now_unix_s: u64,
    trace: &mut Trace,
) -> Result<(), Refusal> {
    let token = id_token.claims();
    check_age(options, token, now_unix_s, trace)?;
    check_class(options, token, trace)?;
    check_contexts(options, token, trace)
}

fn check_age(options: &SignIn, token: &IdTokenClaims, now: u64, trace: &mut Trace) -> Result<(), Refusal> {
    const CHECK: &str = "assurance.auth_time";
    let Some(max_age) = options.max_age else {
        trace.skip(CHECK, "max_age isn't configured");
        return Ok(());
    };
    let missing = |detail: &str| Err(Refusal::new(&refusal::AUTH_TIME_MISSING, CHECK, detail));
    let at = match token.all.get("auth_time") {
        None => return missing("the ID token has no auth_time"),
        Some(value) => match value.as_u64() {
            Some(at) => at,
            None => return missing("auth_time isn't a time in whole seconds"),
        },
    };
    if at > now.saturating_add(LEEWAY_S) {
        return missing("auth_time is in the future: compare the clocks");
    }
    let age = now.saturating_sub(at);
    if age > max_age.saturating_add(LEEWAY_S) {
        let detail = format!("authenticated {age} s ago, at most {max_age} s are allowed (leeway {LEEWAY_S} s)");
        return Err(Refusal::new(&refusal::AUTHENTICATION_TOO_OLD, CHECK, detail));
    }
    trace.pass(CHECK, format!("authenticated {age} s ago"));
    Ok(())
}

fn check_class(options: &SignIn, token: &IdTokenClaims, trace: &mut Trace) -> Result<(), Refusal> {
    const CHECK: &str = "assurance.acr";
    if options.required_acr.is_empty() {
        trace.skip(CHECK, "required_acr isn't configured");
        return Ok(());
    }
    let found = token.all.get("acr").and_then(Value::as_str);
    match found.filter(|found| options.required_acr.iter().any(|wanted| wanted == found)) {
        Some(found) => {
            trace.pass(CHECK, found);
            Ok(())
        }
        None => {
            let found = found.map_or_else(|| "missing".to_owned(), |found| format!("{found:?}"));
            let detail = format!("acr is {found}, expected one of {}", options.required_acr.join(", "));
            Err(Refusal::new(&refusal::AUTHENTICATION_CONTEXT, CHECK, detail))
        }
    }
}

fn check_contexts(options: &SignIn, token: &IdTokenClaims, trace: &mut Trace) -> Result<(), Refusal> {
    const CHECK: &str = "assurance.acrs";
    if options.required_acrs.is_empty() {
        trace.skip(CHECK, "required_acrs isn't configured");
        return Ok(());
    }
    let wanted = options.required_acrs.join(", ");
    let refuse = |found: &str| {
        let detail = format!("acrs is {found}, expected {wanted} in it");
        Err(Refusal::new(&refusal::AUTHENTICATION_CONTEXT, CHECK, detail))
    };
    let Some(claim) = token.all.get("acrs") else { return refuse("missing") };
    let contexts = claim.as_array().and_then(|items| items.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
    let Some(contexts) = contexts else { return refuse("not a list of texts") };
    if !options.required_acrs.iter().all(|wanted| contexts.contains(&wanted.as_str())) {
        return refuse(&format!("{:?}", contexts.iter().take(8).collect::<Vec<_>>()));
    }
    trace.pass(CHECK, wanted);
    Ok(())
}

/// The `claims` parameter that asks Entra for authentication contexts (OIDC Core 5.5): a step-up happens at the sign-in.
pub fn claims_parameter(options: &SignIn) -> Option<String> {
    let wanted = match options.required_acrs.as_slice() {
        [] => return None,
        [one] => serde_json::json!({ "essential": true, "value": one }),
        several => serde_json::json!({ "essential": true, "values": several }),
    };
    Some(crate::json::text(&serde_json::json!({ "id_token": { "acrs": wanted } })))
}
