//! The second step, from the callback to an identity. It reads from top to bottom like OpenID Connect Core section 3.1:
//! the callback's form, the transaction and its browser, the provider's answer, the token request, the ID token, the
//! claims.

use super::Flow;
use super::begin::usable;
use super::callback::{self, Outcome};
use super::refusal::{self, Refusal};
use super::trace::{Check, Trace};
use super::transaction::{self, Transaction};
use crate::capability::{Level, World};
use crate::claims::identity::{self, Identity, identity};
use crate::configuration::{Provider, UserinfoUse};
use crate::oidc::discovery::{self, Metadata};
use crate::oidc::id_token::{Expectations, IdTokenClaims, IdTokenError, UntrustedIdToken, Verified};
use crate::oidc::token_request::{self, Tokens};
use crate::oidc::{keys, userinfo};

/// `login.complete-request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteRequest {
    /// The provider's configuration.
    pub provider: String,
    /// What for.
    pub flow: Flow,
    /// Where the callback arrived, as configured.
    pub redirect_uri: String,
    /// What came.
    pub parameters: Vec<(String, String)>,
    /// The browser's cookie.
    pub browser_binding: Option<String>,
}

/// `login.completion`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// What for.
    pub flow: Flow,
    /// Who.
    pub identity: Identity,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// Validates the callback, redeems the code, verifies the ID token and maps the claims.
pub fn complete(world: World<'_>, request: &CompleteRequest) -> Result<Completion, (Refusal, Vec<Check>)> {
    let mut trace = Trace::default();
    match run(world, request, &mut trace) {
        Ok(identity) => Ok(Completion { flow: request.flow, identity, checks: trace.into_checks() }),
        Err(refusal) => {
            let checks = refusal.checks(trace);
            Err((refusal, checks))
        }
    }
}

fn run(world: World<'_>, request: &CompleteRequest, trace: &mut Trace) -> Result<Identity, Refusal> {
    let provider = usable(&request.provider)?;
    let callback = callback::read(&request.parameters)?;
    trace.pass("callback", "complete, nothing doubled");

    // From here on nobody else can use this state.
    let transaction = transaction::take(world, &callback.state, request.browser_binding.as_deref())?;
    trace.pass("transaction", "taken");
    trace.pass("browser_binding", "this browser began it");
    check_transaction(&transaction, &provider, request)?;
    callback::check_issuer(callback.issuer.as_deref(), &transaction.issuers, transaction.sends_issuer)?;
    trace.pass(
        "callback.issuer",
        if callback.issuer.is_some() { "the provider's" } else { "none sent, none announced" },
    );

    let code = match callback.outcome {
        Outcome::Code(code) => code,
        Outcome::Error(error) => return Err(error.refusal()),
    };
    let metadata = discovery::metadata(world, &provider, trace)?;
    let tokens = token_request::redeem(
        world,
        &provider,
        &metadata,
        &code,
        &transaction.redirect_uri,
        &transaction.code_verifier,
        trace,
    )?;
    let id_token = verify(world, &provider, &metadata, &transaction, &tokens, trace)?;
    let more = more_claims(world, &provider, &metadata, &tokens, &id_token, trace);
    identity(&provider, &id_token, more.as_ref(), trace)
}

/// The transaction belongs to this provider, purpose, address and configuration (RFC 9700 section 4.4.2).
fn check_transaction(transaction: &Transaction, provider: &Provider, request: &CompleteRequest) -> Result<(), Refusal> {
    let mismatch = |what: &str| Err(Refusal::new(&refusal::TRANSACTION_MISMATCH, "transaction", what));
    if transaction.provider != provider.id {
        return mismatch("it began with another provider");
    }
    if transaction.flow != request.flow {
        return mismatch("it began for another purpose");
    }
    if transaction.redirect_uri != request.redirect_uri {
        return mismatch("it began with another redirect URI");
    }
    if transaction.configuration != provider.fingerprint {
        return mismatch("the provider's configuration has changed since it began");
    }
    Ok(())
}

/// The one way from a token to claims.
fn verify(
    world: World<'_>,
    provider: &Provider,
    metadata: &Metadata,
    transaction: &Transaction,
    tokens: &Tokens,
    trace: &mut Trace,
) -> Result<Verified<IdTokenClaims>, Refusal> {
    let token = UntrustedIdToken::parse(&tokens.id_token, &provider.algorithms).map_err(|error| rejected(&error))?;
    trace.pass("id_token.algorithm", token.algorithm().as_str());
    let keys = keys::keys_for(world, provider, metadata, token.algorithm(), token.kid(), trace)?;
    let expected = Expectations {
        issuer: metadata.issuer.clone(),
        client_id: &provider.client_id,
        nonce: &transaction.nonce,
        access_token: tokens.access_token.as_deref(),
        entra: metadata.entra.clone(),
    };
    let now = world.clock.now_unix_s();
    token.verify(&keys, &expected, now, trace).map_err(|error| rejected(&error))
}

fn rejected(error: &IdTokenError) -> Refusal {
    Refusal::new(error.rule(), error.check(), error.to_string())
}

fn more_claims(
    world: World<'_>,
    provider: &Provider,
    metadata: &Metadata,
    tokens: &Tokens,
    id_token: &Verified<IdTokenClaims>,
    trace: &mut Trace,
) -> Option<serde_json::Map<String, serde_json::Value>> {
    let wanted = match provider.userinfo {
        UserinfoUse::Always => true,
        UserinfoUse::Never => false,
        UserinfoUse::WhenNeeded => identity::lacks_something(provider, id_token),
    };
    if !wanted {
        trace.skip("userinfo", "not needed");
        return None;
    }
    let claims = userinfo::ask(world, metadata, tokens.access_token.as_deref(), id_token, trace);
    if claims.is_none() {
        world.log.write(Level::Warn, "userinfo gave nothing", &[]);
    }
    claims
}
