//! The two steps of a login.

use std::time::Instant;

use tracing::Instrument as _;

use crate::capability::TraceId;
use crate::config::Provider;
use crate::handover::{Enrollment, HandoverRequest};
use crate::identity::Identity;
use crate::linking::{EmailLinking, Linking};
use crate::sandbox::{CallError, Export};
use crate::telemetry::span;

use super::contract::{BeginRequest, CompleteRequest};
use super::told::{Step, Told};
use super::{Authorization, Check, Flow, Gateway, LoginError, Refusal};

/// A finished login.
#[derive(Debug)]
pub struct Completed {
    /// Who.
    pub identity: Identity,
    /// Which account, and why.
    pub linking: Linking,
    /// Defguard's answer.
    pub enrollment: Enrollment,
}

/// A finished test of the administrator's: nothing was made of it.
#[derive(Debug)]
pub struct Tested {
    /// The claims as the provider gave them: a JSON object.
    pub raw_claims: Option<String>,
    /// Who.
    pub identity: Identity,
    /// What would become of it.
    pub linking: Linking,
    /// The component's word on accounts of the same address.
    pub email_linking: EmailLinking,
    /// Everything that was looked at.
    pub checks: Vec<Check>,
}

/// A login that the component let in.
struct LetIn {
    identity: Identity,
    email_linking: EmailLinking,
    raw_claims: Option<String>,
}

impl Gateway {
    /// Does a part of a sign-in: timed, and in a span of its own.
    pub(super) async fn phase<T>(&self, phase: &'static str, provider: &Provider, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let result = work.instrument(span!("phase", otel.name = phase, provider = provider.id.as_str())).await;
        self.plugin().runtime().metrics().phase(provider.id.as_str(), phase, started.elapsed());
        result
    }

    /// A call of the component, when it is its provider's turn.
    async fn in_its_share<T>(
        &self,
        provider: &Provider,
        export: Export,
        calling: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        match self.shares.take(&provider.id).await {
            Ok(_place) => calling.await,
            Err(busy) => {
                self.plugin().runtime().metrics().failed(export, &busy);
                Err(busy)
            }
        }
    }

    /// The first step: where to send the browser.
    pub async fn begin(
        &self,
        provider: &Provider,
        flow: Flow,
        login_hint: Option<String>,
        trace: &TraceId,
    ) -> Result<Authorization, LoginError> {
        let request = BeginRequest {
            provider: provider.component_json.clone(),
            flow,
            redirect_uri: self.config.redirect_uri(&provider.id),
            login_hint,
        };
        let plugin = self.plugin();
        let calling = self.in_its_share(provider, Export::Begin, plugin.begin(self.grant(provider, trace)?, &request));
        let outcome = self.phase("begin", provider, calling).await;
        // A component, or a provider's document, doesn't make an open redirector of this host (V18).
        let result = settle(outcome).and_then(|begun| match provider.allowed.allows(&begun.url) {
            Ok(()) => Ok(begun),
            Err(refusal) => Err(LoginError::ForeignRedirect(refusal)),
        });
        self.tell(Step::Begin, provider, flow, trace, &result, &Told::default());
        result
    }

    /// The second step: from the callback's parameters to an enrollment.
    pub async fn complete(
        &self,
        provider: &Provider,
        flow: Flow,
        parameters: Vec<(String, String)>,
        browser_binding: Option<String>,
        trace: &TraceId,
    ) -> Result<Completed, LoginError> {
        let request = CompleteRequest {
            provider: provider.component_json.clone(),
            flow,
            redirect_uri: self.config.redirect_uri(&provider.id),
            parameters,
            browser_binding,
        };
        let mut told = Told::default();
        let result = self.complete_told(provider, &request, trace, &mut told).await;
        self.tell(Step::Complete, provider, flow, trace, &result, &told);
        result
    }

    async fn complete_told(
        &self,
        provider: &Provider,
        request: &CompleteRequest,
        trace: &TraceId,
        told: &mut Told,
    ) -> Result<Completed, LoginError> {
        let let_in = self.let_in(provider, request, trace, told).await?;
        let (allowed, seen) = self.ask_directory(provider, &let_in.identity, trace, told).await;
        let result = match allowed {
            Ok(()) => self.hand_over(provider, let_in, trace, told).await,
            Err(barred) => Err(LoginError::Barred(barred)),
        };
        // Now there is a user whose memberships can be brought up to date, or one to disable.
        if let Some(seen) = seen.filter(|_| matches!(result, Ok(_) | Err(LoginError::Barred(_)))) {
            self.at_login.hand_on(seen);
        }
        result
    }

    /// As [`Gateway::complete`] for [`Flow::Test`]: says what would become of the identity, and makes nothing of it.
    pub async fn complete_test(
        &self,
        provider: &Provider,
        parameters: Vec<(String, String)>,
        browser_binding: Option<String>,
        trace: &TraceId,
    ) -> Result<Tested, LoginError> {
        let request = CompleteRequest {
            provider: provider.component_json.clone(),
            flow: Flow::Test,
            redirect_uri: self.config.redirect_uri(&provider.id),
            parameters,
            browser_binding,
        };
        let mut told = Told::default();
        let result = self.test_told(provider, &request, trace, &mut told).await;
        self.tell(Step::Complete, provider, Flow::Test, trace, &result, &told);
        result
    }

    async fn test_told(
        &self,
        provider: &Provider,
        request: &CompleteRequest,
        trace: &TraceId,
        told: &mut Told,
    ) -> Result<Tested, LoginError> {
        let LetIn { identity, email_linking, raw_claims } = self.let_in(provider, request, trace, told).await?;
        let (allowed, _) = self.ask_directory(provider, &identity, trace, told).await;
        allowed.map_err(LoginError::Barred)?;
        let asked = handover_request(provider, &identity, &email_linking);
        let previewed = self.handover.preview(&asked, &mut told.checks).await;
        told.decided(previewed.as_ref());
        match previewed {
            Ok(linking) => Ok(Tested { raw_claims, identity, linking, email_linking, checks: told.checks.clone() }),
            Err(error) => Err(LoginError::Handover(error)),
        }
    }

    /// The component's part of the second step.
    async fn let_in(
        &self,
        provider: &Provider,
        request: &CompleteRequest,
        trace: &TraceId,
        told: &mut Told,
    ) -> Result<LetIn, LoginError> {
        let plugin = self.plugin();
        let calling =
            self.in_its_share(provider, Export::Complete, plugin.complete(self.grant(provider, trace)?, request));
        let outcome = self.phase("complete", provider, calling).await;
        let completion = settle(outcome)?;
        let broken = |reason| LoginError::Plugin(plugin.breaks_contract(Export::Complete, reason));
        if completion.flow != request.flow {
            return Err(broken("it completes another flow than the one that was asked for"));
        }
        let identity = Identity::from_component(provider.id.as_str(), completion.identity);
        identity.check().map_err(broken)?;
        // A key is found under its issuer: nobody's is of a provider that isn't the one that was asked.
        if provider.credential_origins.allows(&identity.issuer).is_err() {
            return Err(broken("its issuer is none of this provider's addresses"));
        }
        told.identity = Some(identity.clone());
        told.checks = completion.checks;
        Ok(LetIn { identity, email_linking: completion.email_linking.into(), raw_claims: completion.raw_claims })
    }

    async fn hand_over(
        &self,
        provider: &Provider,
        let_in: LetIn,
        trace: &TraceId,
        told: &mut Told,
    ) -> Result<Completed, LoginError> {
        let LetIn { identity, email_linking, .. } = let_in;
        let asked = handover_request(provider, &identity, &email_linking);
        let handing_over = self.handover.hand_over(&asked, trace, &mut told.checks);
        let result = self.phase("handover", provider, handing_over).await;
        told.decided(result.as_ref().map(|handed_over| &handed_over.linking));
        match result {
            Ok(handed_over) => {
                Ok(Completed { identity, linking: handed_over.linking, enrollment: handed_over.enrollment })
            }
            Err(error) => Err(LoginError::Handover(error)),
        }
    }
}

fn settle<T>(outcome: Result<Result<T, Refusal>, CallError>) -> Result<T, LoginError> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => Err(LoginError::Refused(Box::new(refusal))),
        Err(error) => Err(LoginError::Plugin(error)),
    }
}

fn handover_request<'a>(
    provider: &'a Provider,
    identity: &'a Identity,
    email_linking: &'a EmailLinking,
) -> HandoverRequest<'a> {
    HandoverRequest { identity, email_linking, approved_account: provider.approved_account(identity) }
}
