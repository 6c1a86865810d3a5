//! One request to Core and its answer: bounded in time, size and number, counted, and watched by the breaker. No redirect
//! is followed and no proxy used: a token must not travel to anybody else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, SET_COOKIE};
use tokio::sync::Semaphore;
use url::Url;

use super::authentication::{Proof, session_in};
use super::breaker::{Breaker, BreakerState, Verdict};
use super::error::{Failure, Said};
use super::{Budget, Call, CoreSettings};
use crate::capability::OutgoingError;
use crate::capability::causes::{chain, tls_error};
use crate::config::Secret;
use crate::metrics::CoreMetrics;

/// A request. The body is JSON.
pub(super) struct Outbound {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) body: Option<Arc<Vec<u8>>>,
    /// Bytes of the answer.
    pub(super) max_bytes: usize,
}

/// An answer of whatever status.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// The id of a session that it opens.
    pub(super) session: Option<Secret>,
}

impl Reply {
    /// Core's words in it.
    pub(super) fn said(&self) -> Said {
        Said::from_body(&self.body)
    }
}

/// The way to Core.
pub(super) struct Transport {
    client: reqwest::Client,
    breaker: Breaker,
    permits: Semaphore,
    call_timeout: Duration,
    metrics: CoreMetrics,
}

impl Transport {
    pub(super) fn new(settings: &CoreSettings, metrics: CoreMetrics) -> Result<Self, OutgoingError> {
        // Fails only if there is one already, which then is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            // Core refuses every change without one (facts C2).
            .user_agent(concat!("defguard-openid/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            // What changes something isn't sent twice behind our back.
            .retry(reqwest::retry::never())
            .connect_timeout(settings.call_timeout)
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(settings.concurrent_calls)
            .build()
            .map_err(|error| OutgoingError::new(&error))?;
        Ok(Self {
            client,
            breaker: Breaker::new(settings.breaker),
            permits: Semaphore::new(settings.concurrent_calls),
            call_timeout: settings.call_timeout,
            metrics,
        })
    }

    /// Whether Core is asked.
    pub(super) fn breaker(&self) -> BreakerState {
        self.breaker.state(Instant::now())
    }

    /// Sends a request and reads the answer.
    pub(super) async fn send(
        &self,
        call: Call,
        outbound: &Outbound,
        proof: Option<&Proof>,
        budget: Budget,
    ) -> Result<Reply, Failure> {
        let started = Instant::now();
        let result = self.admitted(call, outbound, proof, budget).await;
        let outcome = match &result {
            Ok(reply) if reply.status < 400 => "ok",
            Ok(_) => "refused",
            Err(failure) => label(failure),
        };
        self.metrics.call(call.as_str(), outcome, started.elapsed());
        self.metrics.breaker(self.breaker() == BreakerState::Closed);
        result
    }

    async fn admitted(
        &self,
        call: Call,
        outbound: &Outbound,
        proof: Option<&Proof>,
        budget: Budget,
    ) -> Result<Reply, Failure> {
        let out_of_time = || Failure::Slow(budget.total().as_millis());
        if budget.left().is_zero() {
            return Err(out_of_time());
        }
        // The semaphore is never closed: the only error is the clock's.
        let Ok(Ok(_permit)) = tokio::time::timeout(budget.left(), self.permits.acquire()).await else {
            return Err(Failure::Busy);
        };
        let admission = self
            .breaker
            .admit(Instant::now())
            .map_err(|(failures, retry_after_s)| Failure::Open { failures, retry_after_s })?;
        let allowed = self.call_timeout.min(budget.left());
        let result = match tokio::time::timeout(allowed, self.exchange(outbound, proof)).await {
            Ok(result) => result,
            Err(_) if allowed < self.call_timeout => Err(out_of_time()),
            Err(_) => Err(Failure::Slow(allowed.as_millis())),
        };
        admission.say(verdict(call, &result, allowed >= self.call_timeout / 2), Instant::now());
        result
    }

    async fn exchange(&self, outbound: &Outbound, proof: Option<&Proof>) -> Result<Reply, Failure> {
        let mut request = self.client.request(outbound.method.clone(), outbound.url.clone());
        if let Some(proof) = proof {
            request = request.header(proof.name.clone(), proof.value.clone());
        }
        if let Some(body) = &outbound.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.as_ref().clone());
        }
        let mut response = request.send().await.map_err(|error| classify(&error))?;
        let status = response.status().as_u16();
        let session =
            response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok()).find_map(session_in);
        let too_large = || Failure::Malformed(format!("it has more than {} bytes", outbound.max_bytes));
        if response.content_length().is_some_and(|length| length > outbound.max_bytes as u64) {
            return Err(too_large());
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| classify(&error))? {
            if body.len() + chunk.len() > outbound.max_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status, body, session })
    }
}

/// What a call says of Core's health.
fn verdict(call: Call, result: &Result<Reply, Failure>, had_time: bool) -> Verdict {
    match result {
        // A name that is taken is a 500 too (facts C2).
        Ok(reply) if reply.status == 500 && matches!(call, Call::CreateUser | Call::CreateGroup) => Verdict::Neutral,
        Ok(reply) if reply.status >= 500 => Verdict::Bad,
        Ok(_) | Err(Failure::Malformed(_)) => Verdict::Good,
        // Only our own time was up.
        Err(Failure::Slow(_)) if !had_time => Verdict::Neutral,
        Err(_) => Verdict::Bad,
    }
}

/// Texts name causes, never the address with its path.
fn classify(error: &reqwest::Error) -> Failure {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(tls) = tls_error(cause) {
            return Failure::Tls(tls.to_string());
        }
        source = cause.source();
    }
    Failure::Unreachable(chain(error))
}

/// As a label of the metrics.
fn label(failure: &Failure) -> &'static str {
    match failure {
        Failure::Tls(_) => "tls",
        Failure::Slow(_) => "slow",
        Failure::Busy => "busy",
        Failure::Open { .. } => "not_asked",
        Failure::Malformed(_) => "malformed",
        _ => "unreachable",
    }
}
