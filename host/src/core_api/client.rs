//! The calls, typed. Each says what it may answer; everything else is an error. Which generation of the API Core speaks is
//! seen from its answers and kept until one doesn't fit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::authentication::{Proof, Proofs};
use super::breaker::BreakerState;
use super::error::{Failure, Shown, refused};
use super::model::{EnterpriseInfo, LogIn, StartRequest, UserDetails, Username};
use super::transport::{Outbound, Reply, Transport};
use super::{Budget, Call, CoreCredential, CoreError, CoreSettings, Generation, Info, License, NewUser, Started, User};
use crate::capability::OutgoingError;
use crate::metrics::CoreMetrics;

/// Bytes of an answer about one thing.
pub(super) const ONE_BYTES: usize = 1 << 20;
/// Bytes of a list: 1.6 gives all users at once, some 600 bytes each, and both all groups with all their members.
pub(super) const LIST_BYTES: usize = 96 << 20;

/// What an enrollment token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The person sets a password and adds a device.
    Enrollment {
        /// How long the token lives; of `None` as long as Core says.
        token_life: Option<Duration>,
    },
    /// The person adds a device.
    Desktop,
}

/// Core.
pub struct CoreClient {
    base: Url,
    credential: CoreCredential,
    proofs: Proofs,
    transport: Transport,
    generation: Mutex<Option<Generation>>,
}

impl CoreClient {
    /// Makes no request.
    pub fn new(settings: &CoreSettings, metrics: CoreMetrics) -> Result<Self, OutgoingError> {
        Ok(Self {
            base: settings.url.clone(),
            credential: settings.credential.clone(),
            proofs: Proofs::default(),
            transport: Transport::new(settings, metrics)?,
            generation: Mutex::default(),
        })
    }

    /// Whether Core is asked.
    pub fn breaker(&self) -> BreakerState {
        self.transport.breaker()
    }

    /// What Core's answers showed so far.
    pub fn generation(&self) -> Option<Generation> {
        *self.generation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, generation: Option<Generation>) {
        *self.generation.lock().unwrap_or_else(PoisonError::into_inner) = generation;
    }

    /// Version, and of 1.6 the licence. Any session may ask.
    pub async fn info(&self, budget: Budget) -> Result<Info, CoreError> {
        let reply = self.get(Call::Info, "info", ONE_BYTES, budget).await?;
        let info: Info = self.expect(Call::Info, &reply, 200)?;
        self.remember(Generation::of(&info.version).or_else(|| self.generation()));
        Ok(info)
    }

    /// The licence's key, if there is one. Administrators only.
    pub async fn license(&self, budget: Budget) -> Result<Option<License>, CoreError> {
        let reply = self.get(Call::License, "enterprise_info", ONE_BYTES, budget).await?;
        let info: EnterpriseInfo = self.expect(Call::License, &reply, 200)?;
        Ok(info.license_info)
    }

    /// A user by name, to the letter.
    pub async fn user(&self, username: &str, budget: Budget) -> Result<Option<User>, CoreError> {
        if !is_username(username) {
            return Ok(None);
        }
        let reply = self.get(Call::GetUser, &format!("user/{username}"), ONE_BYTES, budget).await?;
        if reply.status == 404 {
            return Ok(None);
        }
        let details: UserDetails = self.expect(Call::GetUser, &reply, 200)?;
        Ok(Some(details.user))
    }

    /// Whether a user name is free, and one of Core's.
    pub async fn is_available(&self, username: &str, budget: Budget) -> Result<bool, CoreError> {
        let call = Call::Available;
        let reply = self.post(call, "user/available", &Username { username }, budget).await?;
        match reply.status {
            200 => Ok(true),
            // A request without User-Agent is told so; a name that is taken is told nothing.
            400 if !reply.said().has("useragent") => Ok(false),
            _ => Err(self.refusal(call, &reply)),
        }
    }

    /// Makes a user. 400 may mean that the address is taken, 500 that the name is (facts C2).
    pub async fn create(&self, user: &NewUser<'_>, budget: Budget) -> Result<User, CoreError> {
        let reply = self.post(Call::CreateUser, "user", user, budget).await?;
        self.expect(Call::CreateUser, &reply, 201)
    }

    /// Makes an enrollment token. Core forgets the unused ones that the user had before (facts C2, differences).
    pub async fn start(&self, username: &str, start: Start, budget: Budget) -> Result<Started, CoreError> {
        let (call, action, token_life) = match start {
            Start::Enrollment { token_life } => (Call::StartEnrollment, "start_enrollment", token_life),
            Start::Desktop => (Call::StartDesktop, "start_desktop", None),
        };
        if !is_username(username) {
            let failure = Failure::NotFound(super::Said::default());
            return Err(CoreError { call, failure });
        }
        let request = StartRequest {
            send_enrollment_notification: false,
            token_expiration_time: token_life.map(|life| format!("{}s", life.as_secs())),
        };
        let reply = self.post(call, &format!("user/{username}/{action}"), &request, budget).await?;
        let started: Started = self.expect(call, &reply, 201)?;
        match started.check() {
            Ok(()) => Ok(started),
            Err(reason) => Err(CoreError { call, failure: Failure::Malformed(reason.into()) }),
        }
    }

    pub(super) async fn get(
        &self,
        call: Call,
        path: &str,
        max_bytes: usize,
        budget: Budget,
    ) -> Result<Reply, CoreError> {
        let outbound = Outbound { method: Method::GET, url: self.url(call, path)?, body: None, max_bytes };
        self.authorized(call, &outbound, budget).await
    }

    pub(super) async fn post(
        &self,
        call: Call,
        path: &str,
        body: &impl Serialize,
        budget: Budget,
    ) -> Result<Reply, CoreError> {
        self.authorized(call, &sending(call, Method::POST, self.url(call, path)?, body)?, budget).await
    }

    pub(super) async fn put(
        &self,
        call: Call,
        path: &str,
        body: &impl Serialize,
        budget: Budget,
    ) -> Result<Reply, CoreError> {
        self.authorized(call, &sending(call, Method::PUT, self.url(call, path)?, body)?, budget).await
    }

    pub(super) async fn delete(&self, call: Call, path: &str, budget: Budget) -> Result<Reply, CoreError> {
        let url = self.url(call, path)?;
        let outbound = Outbound { method: Method::DELETE, url, body: None, max_bytes: ONE_BYTES };
        self.authorized(call, &outbound, budget).await
    }

    fn url(&self, call: Call, path: &str) -> Result<Url, CoreError> {
        self.base
            .join(&format!("/api/v1/{path}"))
            .map_err(|error| CoreError { call, failure: Failure::Malformed(format!("our address: {error}")) })
    }

    /// Sends a request, and after a 401 once more if this host can show something newer.
    async fn authorized(&self, call: Call, outbound: &Outbound, budget: Budget) -> Result<Reply, CoreError> {
        let proof = match self.proofs.current() {
            Some(proof) => proof,
            None => self.renewed(call, None, budget).await?,
        };
        let failed = |failure| CoreError { call, failure };
        let reply = self.transport.send(call, outbound, Some(&proof), budget).await.map_err(failed)?;
        let is_about_us = reply.status == 401
            && !matches!(
                refused(call, proof.shown, reply.status, reply.said()),
                Failure::UserDisabled | Failure::MfaDue
            );
        if !is_about_us {
            return Ok(reply);
        }
        let newer = self.renewed(call, Some(&proof), budget).await?;
        if newer.value == proof.value {
            return Ok(reply);
        }
        self.transport.send(call, outbound, Some(&newer), budget).await.map_err(failed)
    }

    /// Reads the token again, or opens another session, unless somebody else just did.
    async fn renewed(&self, call: Call, old: Option<&Proof>, budget: Budget) -> Result<Proof, CoreError> {
        let failed = |failure| CoreError { call, failure };
        let Ok(_renewing) = tokio::time::timeout(budget.left(), self.proofs.renewing.lock()).await else {
            return Err(failed(Failure::Slow(budget.total().as_millis())));
        };
        if let Some(newer) = self.proofs.newer_than(old) {
            return Ok(newer);
        }
        let proof = match &self.credential {
            CoreCredential::Token(source) => {
                let token = source.read().await.map_err(failed)?;
                Proof::token(&token).map_err(failed)?
            }
            CoreCredential::Account { username, password } => {
                let password = password.read().await.map_err(failed)?;
                self.log_in(&LogIn { username, password: password.expose() }, budget).await?
            }
        };
        Ok(self.proofs.replace(proof))
    }

    /// Opens a session: 200, or 201 when a second factor is due (facts C2).
    async fn log_in(&self, log_in: &LogIn<'_>, budget: Budget) -> Result<Proof, CoreError> {
        let call = Call::LogIn;
        let failed = |failure| CoreError { call, failure };
        let outbound = sending(call, Method::POST, self.url(call, "auth")?, log_in)?;
        let reply = self.transport.send(call, &outbound, None, budget).await.map_err(failed)?;
        match (reply.status, &reply.session) {
            (200, Some(session)) => Proof::session(session).map_err(failed),
            (200, None) => Err(failed(Failure::Malformed("it sets no session cookie".into()))),
            (201, _) => Err(failed(Failure::MfaDue)),
            _ => Err(failed(refused(call, Shown::Session, reply.status, reply.said()))),
        }
    }

    pub(super) fn refusal(&self, call: Call, reply: &Reply) -> CoreError {
        let shown = match self.credential {
            CoreCredential::Token(_) => Shown::Token,
            CoreCredential::Account { .. } => Shown::Session,
        };
        CoreError { call, failure: refused(call, shown, reply.status, reply.said()) }
    }

    /// Nothing, if the answer has the status that is expected: Core says `null`, `{}` or what it was sent.
    pub(super) fn expect_status(&self, call: Call, reply: &Reply, status: u16) -> Result<(), CoreError> {
        if reply.status == status { Ok(()) } else { Err(self.refusal(call, reply)) }
    }

    /// The answer, if it has the status and the form that are expected.
    pub(super) fn expect<T: DeserializeOwned>(&self, call: Call, reply: &Reply, status: u16) -> Result<T, CoreError> {
        if reply.status == status {
            return serde_json::from_slice(&reply.body).map_err(|error| {
                // What was learned of Core may be over: it was updated, or another server is there now.
                self.remember(None);
                let place = format!("{} at line {}, column {}", category(&error), error.line(), error.column());
                CoreError { call, failure: Failure::Malformed(place) }
            });
        }
        Err(self.refusal(call, reply))
    }
}

/// A request with a body.
fn sending(call: Call, method: Method, url: Url, body: &impl Serialize) -> Result<Outbound, CoreError> {
    let body = serde_json::to_vec(body)
        .map_err(|error| CoreError { call, failure: Failure::Malformed(format!("our request: {error}")) })?;
    Ok(Outbound { method, url, body: Some(Arc::new(body)), max_bytes: ONE_BYTES })
}

/// The error's own text may repeat a value.
fn category(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "JSON of another form",
        serde_json::error::Category::Eof => "JSON that ends too early",
        _ => "no JSON",
    }
}

/// Whether Core can have a user of that name. Any other never gets into an address.
pub(super) fn is_username(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}
