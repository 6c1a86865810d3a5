//! `credentials`: authenticates a request as the client. The secret, or what the key signed, goes from the host's memory
//! into the request on the wire, never through the component's, and a response that repeats it is not handed over.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::http::{Prepared, note_denial, prepare};
use super::proof::Proof;
use super::{AllowedOrigins, Outgoing, TraceId};
use crate::credential::{Certificate, Credential, SigningCertificates, UseError};
use crate::sandbox::bindings::defguard::openid::credentials::{self, Failure, Method};
use crate::sandbox::bindings::defguard::openid::http::{Error, Method as HttpMethod, Request, Response};
use crate::sandbox::{CallState, Limits};

/// The client, as all calls for one provider use it.
pub struct ClientCredential {
    /// RFC 6749 section 2.2.
    client_id: String,
    credential: Credential,
    /// The certificate that goes first, by its position: the last one that the provider took.
    preferred: AtomicUsize,
}

impl ClientCredential {
    /// A client of that identifier.
    pub fn new(client_id: String, credential: Credential) -> Self {
        Self { client_id, credential, preferred: AtomicUsize::new(0) }
    }

    fn methods(&self) -> Vec<Method> {
        match self.credential {
            Credential::Secret(_) => vec![Method::ClientSecretPost, Method::ClientSecretBasic],
            Credential::Certificates(_) | Credential::Federated(_) => vec![Method::PrivateKeyJwt],
        }
    }
}

impl From<UseError> for Failure {
    fn from(error: UseError) -> Self {
        match error {
            UseError::Unusable(reason) => Self::CredentialUnusable(reason),
            UseError::Request(reason) => Self::InvalidRequest(reason),
        }
    }
}

/// One authenticated request, from the component's words to the answer.
struct Exchange<'a> {
    client: &'a ClientCredential,
    /// Where the credential may go.
    origins: &'a AllowedOrigins,
    outgoing: &'a Outgoing,
    limits: &'a Limits,
    now_unix_s: u64,
    provider: &'a str,
    trace: &'a TraceId,
}

impl Exchange<'_> {
    /// `another`: whether one more request may be spent.
    async fn send(&self, request: Request, method: Method, another: impl FnMut() -> bool) -> Result<Response, Failure> {
        check_form_post(&request)?;
        let prepared = prepare(request, self.origins, self.limits).map_err(Failure::Http)?;
        match (method, &self.client.credential) {
            (Method::ClientSecretPost, Credential::Secret(secret)) => {
                self.once(prepared, Proof::SecretInForm(&secret.secret)).await
            }
            (Method::ClientSecretBasic, Credential::Secret(secret)) => {
                self.once(prepared, Proof::SecretInHeader(&secret.secret)).await
            }
            (Method::PrivateKeyJwt, Credential::Federated(federated)) => {
                // Its `aud` is good at any token endpoint of the provider: so it goes to no other place there.
                federated.audience.of_request(&prepared.url)?;
                let token = federated.token.read(self.now_unix_s).await;
                let token = token.map_err(|error| Failure::CredentialUnusable(error.to_string()))?;
                self.once(prepared, Proof::Assertion(token)).await
            }
            (Method::PrivateKeyJwt, Credential::Certificates(signing)) => self.signed(prepared, signing, another).await,
            _ => Err(Failure::MethodUnavailable),
        }
    }

    async fn once(&self, prepared: Prepared, proof: Proof<'_>) -> Result<Response, Failure> {
        let response = self.deliver(prepared, &proof).await?;
        self.check_echo(&[proof], &response)?;
        Ok(response)
    }

    /// With the certificate that worked last; refused with `invalid_client`, once more with the other. The client is
    /// authenticated before a code is redeemed (RFC 6749 section 4.1.3), so the code is as good as before.
    async fn signed(
        &self,
        prepared: Prepared,
        signing: &SigningCertificates,
        mut another: impl FnMut() -> bool,
    ) -> Result<Response, Failure> {
        let audience = signing.audience.of_request(&prepared.url)?.to_owned();
        let preferred = self.client.preferred.load(Ordering::Relaxed);
        let mut sent = Vec::new();
        let mut refused: Option<(Response, &Certificate)> = None;
        for (position, certificate) in signing.usable(self.now_unix_s, preferred)? {
            if refused.is_some() && !another() {
                break;
            }
            let assertion = signing.assertion(certificate, &self.client.client_id, &audience, self.now_unix_s)?;
            let proof = Proof::Assertion(assertion);
            let delivered = self.deliver(prepared.clone(), &proof).await;
            sent.push(proof);
            let response = match (delivered, &refused) {
                (Ok(response), _) => response,
                // What the provider answered says more than a connection that broke after it.
                (Err(_), Some(_)) => break,
                (Err(failure), None) => return Err(failure),
            };
            self.check_echo(&sent, &response)?;
            if oauth_error(&response).as_deref() == Some("invalid_client") {
                refused = Some((response, certificate));
                continue;
            }
            if is_authenticated(&response) {
                self.prefer(position, certificate, refused.map(|(_, certificate)| certificate));
            }
            return Ok(response);
        }
        let nothing_sent = || Failure::CredentialUnusable("there is no usable certificate".into());
        refused.map(|(response, _)| response).ok_or_else(nothing_sent)
    }

    async fn deliver(&self, mut prepared: Prepared, proof: &Proof<'_>) -> Result<Response, Failure> {
        proof.put_into(&self.client.client_id, &mut prepared)?;
        self.outgoing.send(prepared, self.limits).await.map_err(Failure::Http)
    }

    fn check_echo(&self, sent: &[Proof<'_>], response: &Response) -> Result<(), Failure> {
        let Some(repeated) = sent.iter().find(|proof| proof.is_repeated_in(&self.client.client_id, response)) else {
            return Ok(());
        };
        let name = repeated.name();
        tracing::error!(
            provider = self.provider, trace = %self.trace,
            "the provider's answer repeats the client's {name}: not handed to the plugin",
        );
        Err(Failure::Http(Error::Protocol(format!("the response repeats the client's {name}"))))
    }

    /// From now on this certificate goes first. Said once: the next call begins with it.
    fn prefer(&self, position: usize, certificate: &Certificate, refused: Option<&Certificate>) {
        let before = self.client.preferred.swap(position, Ordering::Relaxed);
        if let Some(refused) = refused.filter(|_| before != position) {
            tracing::warn!(
                provider = self.provider, trace = %self.trace,
                refused = refused.thumbprint(), accepted = certificate.thumbprint(),
                "the provider refuses one client certificate and accepts the other, which goes first from now on: register \
                 the refused one, or take it out of certificate_file",
            );
        }
    }
}

/// RFC 6749 section 5.2: the error of a token endpoint's refusal.
fn oauth_error(response: &Response) -> Option<String> {
    let answer: Value = match response.status {
        400 | 401 => serde_json::from_slice(&response.body).ok()?,
        _ => return None,
    };
    answer.get("error")?.as_str().map(str::to_owned)
}

/// Whether the answer shows that the client was authenticated: tokens, or a complaint about the code. Other errors, a
/// server's own among them, may come before the client is looked at.
fn is_authenticated(response: &Response) -> bool {
    (200..300).contains(&response.status) || oauth_error(response).as_deref() == Some("invalid_grant")
}

/// A credential in the body of anything else would be a credential in a log.
fn check_form_post(request: &Request) -> Result<(), Failure> {
    if request.method != HttpMethod::Post {
        return Err(Failure::InvalidRequest("only a POST carries a credential".into()));
    }
    if request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        return Err(Failure::InvalidRequest("the request has an Authorization header of its own".into()));
    }
    Ok(())
}

impl credentials::Host for CallState {
    async fn available(&mut self) -> wasmtime::Result<Vec<Method>> {
        Ok(self.grant.provider.as_ref().map_or_else(Vec::new, |context| context.credential.methods()))
    }

    async fn send_authenticated(
        &mut self,
        request: Request,
        method: Method,
    ) -> wasmtime::Result<Result<Response, Failure>> {
        let started = std::time::Instant::now();
        let result = send_authenticated(self, request, method).await;
        self.metrics.capability("credentials", outcome(&result));
        if let Some(context) = &self.grant.provider {
            self.metrics.phase(context.id.as_str(), "token_request", started.elapsed());
        }
        if let Err(Failure::Http(error)) = &result {
            note_denial(self, &Err(error.clone()));
        }
        Ok(result)
    }
}

/// The metric's word for how a request ended.
fn outcome(result: &Result<Response, Failure>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(Failure::MethodUnavailable) => "method_unavailable",
        Err(Failure::CredentialUnusable(_)) => "credential_unusable",
        Err(Failure::InvalidRequest(_)) => "invalid_request",
        Err(Failure::Http(error)) => super::http::outcome::<()>(&Err(error.clone())),
    }
}

async fn send_authenticated(state: &mut CallState, request: Request, method: Method) -> Result<Response, Failure> {
    let context = state.spend_request().map_err(Failure::Http)?;
    let exchange = Exchange {
        client: &context.credential,
        origins: &context.credential_origins,
        outgoing: &context.outgoing,
        limits: &state.limits,
        now_unix_s: context.clock.now_unix_ms() / 1000,
        provider: context.id.as_str(),
        trace: &state.grant.trace,
    };
    let left = &mut state.http_requests_left;
    let another = || left.checked_sub(1).map(|fewer| *left = fewer).is_some();
    exchange.send(request, method, another).await
}

#[cfg(test)]
mod tests;
