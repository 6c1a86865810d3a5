//! The second step, from the callback to an identity. It reads from top to bottom like OpenID Connect Core section 3.1:
//! the callback's form, the transaction and its browser, the provider's answer, the token request, the ID token, the
//! claims.

use super::Flow;
use super::assurance;
use super::begin::usable;
use super::callback::{self, Outcome};
use super::membership;
use super::refusal::{self, Refusal};
use super::trace::{Check, Trace};
use super::transaction::{self, Transaction};
use crate::capability::{Level, World};
use crate::claims::account;
use crate::claims::identity::{self, Identity, identity};
use crate::claims::sources::Documents;
use crate::configuration::Provider;
use crate::entra::directory::Directory;
use crate::oidc::discovery::{self, Metadata};
use crate::oidc::id_token::{Expectations, IdTokenClaims, IdTokenError, UntrustedIdToken, Verified};
use crate::oidc::token_request::{self, Tokens};
use crate::oidc::{keys, userinfo};
use crate::policy::linking::EmailLinking;

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
    /// What may become of an account of the same address.
    pub email_linking: EmailLinking,
    /// For [`Flow::Test`] only: the ID token's claims as JSON.
    pub raw_claims: Option<String>,
    /// What was looked at.
    pub checks: Vec<Check>,
}

/// Validates the callback, redeems the code, verifies the ID token and maps the claims.
pub fn complete(world: World<'_>, request: &CompleteRequest) -> Result<Completion, (Refusal, Vec<Check>)> {
    let mut trace = Trace::default();
    match run(world, request, &mut trace) {
        Ok((identity, email_linking, raw_claims)) => {
            Ok(Completion { flow: request.flow, identity, email_linking, raw_claims, checks: trace.into_checks() })
        }
        Err(refusal) => {
            let checks = refusal.checks(trace);
            Err((refusal, checks))
        }
    }
}

/// Who, what may become of an account of the same address, and for a test the claims.
type Outcomes = (Identity, EmailLinking, Option<String>);

fn run(world: World<'_>, request: &CompleteRequest, trace: &mut Trace) -> Result<Outcomes, Refusal> {
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
    let account = account::check(&provider, id_token.claims(), trace)?;
    assurance::check(&provider.sign_in, &id_token, world.clock.now_unix_s(), trace)?;
    let userinfo = more_claims(world, &provider, &metadata, &tokens, &id_token, trace);
    let all = &id_token.claims().all;
    let mut documents = Documents { id_token: all, userinfo: userinfo.as_ref(), directory: None };
    let mut directory = Directory::of(world, &provider, &metadata, id_token.claims());
    let user = if identity::lacks_directory(&provider, documents) {
        directory.user(&provider.directory_properties(), trace)
    } else {
        None
    };
    documents.directory = user.as_ref();
    let groups = membership::groups(&provider, all, userinfo.as_ref(), &mut directory, trace);
    let (identity, email_linking) = identity(&provider, &id_token, documents, groups, account, trace)?;
    let raw_claims = (request.flow == Flow::Test).then(|| raw_claims(&id_token));
    Ok((identity, email_linking, raw_claims))
}

/// What the provider said, for the administrator's test: without what belongs to this one login.
fn raw_claims(id_token: &Verified<IdTokenClaims>) -> String {
    const OF_THIS_LOGIN: [&str; 8] = ["nonce", "at_hash", "c_hash", "s_hash", "sid", "rh", "uti", "aio"];
    let mut claims = id_token.claims().all.clone();
    claims.retain(|name, _| !OF_THIS_LOGIN.contains(&name.as_str()));
    crate::json::text(&serde_json::Value::Object(claims))
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
    if !identity::wants_userinfo(provider, &id_token.claims().all) {
        trace.skip("userinfo", "not needed");
        return None;
    }
    let claims = userinfo::ask(world, metadata, tokens.access_token.as_deref(), id_token, trace);
    if claims.is_none() {
        world.log.write(Level::Warn, "userinfo gave nothing", &[]);
    }
    claims
}
