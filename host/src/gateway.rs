//! The sign-in service: it owns the plugin, the storage and the hand-over, and knows the two steps of a login. What a
//! request looks like, and what an answer, is `web`'s subject.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::{self, Audit, CheckRecord, Record, Who};
use crate::capability::origin::UrlRefusal;
use crate::capability::{
    Cache, ClientCredential, Clock, Grant, Outgoing, OutgoingError, ProviderContext, SystemClock, TraceId,
};
use crate::config::{Config, ConfigError, HandoverConfig, Problem, Provider, ProviderId};
use crate::credential;
use crate::handover::{CoreHandover, Enrollment, Handover, HandoverError, HandoverRequest, LocalHandover};
use crate::identity::{AccountKind, Identity};
use crate::linking::{EmailLinking, LinkDecision, Linking};
use crate::metrics::Metrics;
use crate::sandbox::bindings::exports::defguard::openid::configuration::Severity;
use crate::sandbox::bindings::exports::defguard::openid::{directory, login};
use crate::sandbox::{CallError, Finding, Limits, LoadError, Plugin, PluginSlot, Runtime, watch};
use crate::storage::{Namespace, Storage, StorageError, StorageUrl};
use crate::sync::at_login::{self, AtLogin, Barred, PersonSeen, Weighed};

pub use login::{Authorization, Check, Flow, Refusal, RefusalKind, Verdict};

/// How often the plugin's file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_millis(500);
/// How often expired state is deleted.
const SWEEP_INTERVAL: Duration = Duration::from_secs(60);
/// The namespace that this plugin's state lives in.
const PLUGIN_NAMESPACE: &str = "openid";

/// Why the service can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The plugin.
    #[error(transparent)]
    Plugin(#[from] LoadError),
    /// The plugin fails while it validates.
    #[error("the plugin fails while it validates the configuration: {0}")]
    Validation(CallError),
    /// The HTTP client.
    #[error(transparent)]
    Outgoing(#[from] OutgoingError),
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The audit log.
    #[error("{0} (the configuration's `audit.file`)")]
    Audit(String),
}

/// Why a login didn't go on. The texts are the administrator's; what the person reads is `web`'s subject.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// No provider has this id.
    #[error("no provider has the id {0:?}")]
    UnknownProvider(String),
    /// The component says no.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The component would send the browser somewhere that isn't the provider's.
    #[error("the authorization request would go elsewhere: {0}")]
    ForeignRedirect(UrlRefusal),
    /// The component failed.
    #[error(transparent)]
    Plugin(CallError),
    /// The identity is good, and the directory speaks against the account.
    #[error(transparent)]
    Barred(Barred),
    /// The identity is good, and could not be handed over.
    #[error(transparent)]
    Handover(HandoverError),
}

impl LoginError {
    /// Stable, for programs: every code is in docs/refusals.md.
    pub fn code(&self) -> &str {
        match self {
            Self::UnknownProvider(_) => "provider_unknown",
            Self::Refused(refusal) => &refusal.code,
            Self::ForeignRedirect(_) => "authorization_url_refused",
            Self::Plugin(error) => error.code(),
            Self::Barred(barred) => barred.words().code,
            Self::Handover(error) => error.words().code,
        }
    }

    /// What an administrator may do about it; may be empty.
    pub fn hint(&self) -> &str {
        match self {
            Self::Refused(refusal) => &refusal.admin_hint,
            Self::Barred(barred) => barred.words().hint,
            Self::Handover(error) => error.words().hint,
            Self::UnknownProvider(_) | Self::ForeignRedirect(_) | Self::Plugin(_) => "",
        }
    }
}

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

/// The two steps of a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin,
    Complete,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Complete => "complete",
        }
    }
}

/// What one login was about, for the log and the audit record.
#[derive(Default)]
struct Told {
    identity: Option<Identity>,
    linking: Option<Linking>,
    checks: Vec<Check>,
}

impl Told {
    /// Notes which account it is, as a check like the others.
    fn decided(&mut self, outcome: Result<&Linking, &HandoverError>) {
        let linking = outcome.map_or_else(HandoverError::linking, Some);
        let verdict = match (outcome, linking.map(|linking| linking.decision)) {
            (Ok(_), Some(LinkDecision::New | LinkDecision::Linked)) => Verdict::Pass,
            _ => Verdict::Fail,
        };
        let detail = match (linking, outcome) {
            (Some(Linking { decision, account, reason }), _) => {
                let account = account.as_ref().map_or_else(String::new, |account| format!(" {account:?}"));
                format!("{}{account}: {reason}", decision.as_str())
            }
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) => String::new(),
        };
        self.checks.push(Check { name: "handover.account".into(), verdict, detail });
        self.linking = linking.cloned();
    }
}

/// The service.
pub struct Gateway {
    config: Config,
    slot: Arc<PluginSlot>,
    providers: BTreeMap<ProviderId, Arc<ProviderContext>>,
    handover: Box<dyn Handover>,
    audit: Audit,
    metrics: Metrics,
    storage: Arc<dyn Storage>,
    at_login: AtLogin,
    clock: Arc<dyn Clock>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Gateway {
    /// Opens the storage, loads the plugin, has it validate each provider, and starts to watch its file.
    pub async fn start(config: Config) -> Result<Arc<Self>, StartError> {
        Self::start_with(config, Limits::default(), Arc::new(SystemClock)).await
    }

    /// As [`Gateway::start`], with other bounds and another clock.
    pub async fn start_with(config: Config, limits: Limits, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StartError> {
        let storage = config.storage.open(clock.now_unix_ms()).await?;
        Self::start_over(config, limits, clock, storage).await
    }

    /// As [`Gateway::start_with`], over a storage that is open already, perhaps another host's as well.
    pub async fn start_over(
        config: Config,
        limits: Limits,
        clock: Arc<dyn Clock>,
        storage: Arc<dyn Storage>,
    ) -> Result<Arc<Self>, StartError> {
        let audit = Audit::new(config.audit_file.clone());
        audit.try_open().map_err(StartError::Audit)?;
        let runtime = Arc::new(Runtime::new(limits)?);
        let plugin = Plugin::load(&runtime, &config.plugin).await?;
        for warning in validate(&plugin, &config).await? {
            tracing::warn!(key = %warning.path, "{} ({})", warning.message, warning.hint);
        }
        tracing::info!(path = %plugin.path().display(), sha256 = plugin.sha256(), pooling = runtime.is_pooling(), "plugin loaded");
        let outgoing = Arc::new(Outgoing::new(config.loopback_http)?);
        let cache = Arc::new(Cache::default());
        let providers = config
            .providers
            .iter()
            .map(|provider| (provider.id.clone(), Arc::new(context(provider, &storage, &outgoing, &cache, &clock))))
            .collect();
        let metrics = Metrics::new(&config.providers);
        let handover: Box<dyn Handover> = match &config.handover {
            HandoverConfig::Local { accounts } => {
                let url = format!("{}/", config.public_url.origin());
                Box::new(LocalHandover::start(Arc::clone(&storage), Arc::clone(&clock), url, accounts).await?)
            }
            HandoverConfig::Core { settings, options } => {
                let (storage, clock) = (Arc::clone(&storage), Arc::clone(&clock));
                Box::new(CoreHandover::new(settings, options.clone(), storage, clock, metrics.core())?)
            }
        };
        let slot = Arc::new(PluginSlot::new(plugin));
        let tasks = vec![
            tokio::spawn(watch(
                Arc::downgrade(&slot),
                runtime,
                config.plugin.clone(),
                component_configurations(&config),
                RELOAD_INTERVAL,
            )),
            tokio::spawn(sweep(Arc::clone(&storage), Arc::clone(&clock))),
            tokio::spawn(credential::watch(config.providers.clone(), Arc::clone(&clock))),
        ];
        let at_login = AtLogin::new(metrics.directory());
        Ok(Arc::new(Self { config, slot, providers, handover, audit, metrics, storage, at_login, clock, tasks }))
    }

    /// The configuration in use.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The plugin in use.
    pub fn plugin(&self) -> Arc<Plugin> {
        self.slot.current()
    }

    /// The most linear memory that a call of the plugin had since the start, in bytes.
    pub fn guest_memory_peak(&self) -> usize {
        self.slot.current().runtime().memory_peak()
    }

    /// What is measured.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What the directory says of people who sign in.
    pub fn at_login(&self) -> &AtLogin {
        &self.at_login
    }

    /// The hand-over in use.
    pub fn handover(&self) -> &dyn Handover {
        self.handover.as_ref()
    }

    /// The audit log.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The storage in use.
    pub fn storage(&self) -> Arc<dyn Storage> {
        Arc::clone(&self.storage)
    }

    /// Whether no other process can have the storage open.
    pub fn is_alone(&self) -> bool {
        match self.config.storage {
            StorageUrl::Memory | StorageUrl::Redb(_) => true,
        }
    }

    /// The service's clock.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Milliseconds since 1970, by the service's clock.
    pub fn now_unix_ms(&self) -> u64 {
        self.clock.now_unix_ms()
    }

    /// The provider of that id; of none, the first one.
    pub fn provider(&self, id: Option<&str>) -> Result<&Provider, LoginError> {
        let mut providers = self.config.providers.iter();
        match id {
            None => providers.next(),
            Some(id) => providers.find(|provider| provider.id.as_str() == id),
        }
        .ok_or_else(|| LoginError::UnknownProvider(id.unwrap_or_default().to_owned()))
    }

    /// The first step: where to send the browser.
    pub async fn begin(
        &self,
        provider: &Provider,
        flow: Flow,
        login_hint: Option<String>,
        trace: &TraceId,
    ) -> Result<Authorization, LoginError> {
        let request = login::BeginRequest {
            provider: provider.component_json.clone(),
            flow,
            redirect_uri: self.config.redirect_uri(&provider.id),
            login_hint,
        };
        let outcome = self.slot.current().begin(self.grant(provider, trace)?, &request).await;
        // A component, or a provider's document, doesn't make an open redirector of this host (V18).
        let result = settle(outcome).and_then(|begun| match provider.allowed.check(&begun.url) {
            Ok(_) => Ok(begun),
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
        let request = login::CompleteRequest {
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
        request: &login::CompleteRequest,
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
        let request = login::CompleteRequest {
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
        request: &login::CompleteRequest,
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
        request: &login::CompleteRequest,
        trace: &TraceId,
        told: &mut Told,
    ) -> Result<LetIn, LoginError> {
        let outcome = self.slot.current().complete(self.grant(provider, trace)?, request).await;
        let completion = settle(outcome)?;
        let identity = Identity::from_component(provider.id.as_str(), completion.identity);
        identity.check().map_err(|reason| {
            LoginError::Plugin(CallError::Trap(format!("its identity breaks the contract: {reason}")))
        })?;
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
        let result = self.handover.hand_over(&asked, trace, &mut told.checks).await;
        told.decided(result.as_ref().map(|handed_over| &handed_over.linking));
        match result {
            Ok(handed_over) => {
                Ok(Completed { identity, linking: handed_over.linking, enrollment: handed_over.enrollment })
            }
            Err(error) => Err(LoginError::Handover(error)),
        }
    }

    /// The directory's word on whoever signs in, where the configuration asks for it: within its budget, and before anything is made
    /// of the identity. What it learned comes along.
    async fn ask_directory(
        &self,
        provider: &Provider,
        identity: &Identity,
        trace: &TraceId,
        told: &mut Told,
    ) -> (Result<(), Barred>, Option<PersonSeen>) {
        let directory = provider.directory.as_ref();
        let Some(budget) = directory.and_then(|directory| directory.login_check) else { return (Ok(()), None) };
        // A personal account's object is in Microsoft's own tenant.
        let object_id = identity.object_id.as_deref().filter(|_| identity.account != AccountKind::Personal);
        let weighed = match (object_id, self.grant(provider, trace)) {
            (Some(object_id), Ok(grant)) => {
                let plugin = self.slot.current();
                let answer = plugin.person(grant, &provider.component_json, object_id, budget).await;
                at_login::weigh(&provider.id, object_id, answer)
            }
            _ => Weighed::not_in_directory(),
        };
        self.at_login.tell(&provider.id, trace, &weighed);
        told.checks.push(weighed.check);
        (weighed.barred.map_or(Ok(()), Err), weighed.seen)
    }

    /// What the component finds out about a provider; changes nothing.
    pub async fn probe(&self, provider: &Provider, trace: &TraceId) -> Result<Vec<Finding>, LoginError> {
        let grant = self.grant(provider, trace)?;
        self.slot.current().probe(grant, &provider.component_json).await.map_err(LoginError::Plugin)
    }

    /// The next page of a provider's directory.
    pub async fn directory_page(
        &self,
        provider: &Provider,
        read: &[directory::Collection],
        cursor: Option<&str>,
        trace: &TraceId,
    ) -> Result<Result<directory::Page, directory::Failure>, LoginError> {
        let grant = self.grant(provider, trace)?;
        let page = self.slot.current().directory_page(grant, &provider.component_json, read, cursor).await;
        page.map_err(LoginError::Plugin)
    }

    /// "Test connection" of a provider's directory: whether it can be read, permission by permission.
    pub async fn test_connection(&self, provider: &Provider, trace: &TraceId) -> Result<Vec<Finding>, LoginError> {
        let grant = self.grant(provider, trace)?;
        self.slot.current().test_connection(grant, &provider.component_json).await.map_err(LoginError::Plugin)
    }

    /// A step of a login, in the log and the metrics; where a login ended, in the audit record.
    fn tell<T>(
        &self,
        step: Step,
        provider: &Provider,
        flow: Flow,
        trace: &TraceId,
        result: &Result<T, LoginError>,
        told: &Told,
    ) {
        report(step.as_str(), provider, trace, result);
        let (outcome, code) = outcome(result);
        self.metrics.login(step.as_str(), &provider.id, outcome, code);
        if step == Step::Begin && result.is_ok() {
            // It has only begun: the record is that of its end.
            return;
        }
        let checks = match result {
            Err(LoginError::Refused(refusal)) => &refusal.checks,
            _ => &told.checks,
        };
        let record = Record {
            time: audit::rfc3339(self.clock.now_unix_ms()),
            trace: trace.as_str(),
            provider: provider.id.as_str(),
            step: step.as_str(),
            flow: match flow {
                Flow::Enrollment => "enrollment",
                Flow::Mfa => "mfa",
                Flow::Test => "test",
            },
            outcome,
            code,
            hint: result.as_ref().err().map(LoginError::hint).filter(|hint| !hint.is_empty()),
            who: told.identity.as_ref().map(Who::from),
            linking: told.linking.as_ref(),
            checks: checks.iter().map(CheckRecord::from).collect(),
        };
        self.audit.write(&record, trace);
    }

    fn grant(&self, provider: &Provider, trace: &TraceId) -> Result<Grant, LoginError> {
        let context =
            self.providers.get(&provider.id).ok_or_else(|| LoginError::UnknownProvider(provider.id.to_string()))?;
        Ok(Grant::provider(Arc::clone(context), trace.clone()))
    }
}

/// Has the component look at every provider's configuration: the warnings, or all problems as an error.
pub async fn validate(plugin: &Plugin, config: &Config) -> Result<Vec<Problem>, StartError> {
    let mut problems = config.warnings.clone();
    for provider in &config.providers {
        let found = plugin.validate(&provider.component_json).await.map_err(StartError::Validation)?;
        problems.extend(found.into_iter().map(|problem| Problem {
            path: format!("provider.{}.{}", provider.id, problem.path),
            line: None,
            message: problem.message,
            hint: problem.hint,
            is_warning: problem.severity == Severity::Warning,
        }));
    }
    crate::config::locate(&config.source, &mut problems);
    if problems.iter().all(|problem| problem.is_warning) {
        return Ok(problems);
    }
    problems.retain(|problem| !problem.is_warning);
    Err(ConfigError::Invalid { file: config.source.clone(), problems }.into())
}

fn component_configurations(config: &Config) -> Vec<(String, String)> {
    config.providers.iter().map(|provider| (provider.id.to_string(), provider.component_json.clone())).collect()
}

fn context(
    provider: &Provider,
    storage: &Arc<dyn Storage>,
    outgoing: &Arc<Outgoing>,
    cache: &Arc<Cache>,
    clock: &Arc<dyn Clock>,
) -> ProviderContext {
    ProviderContext {
        id: provider.id.clone(),
        namespace: Namespace::new(PLUGIN_NAMESPACE, provider.id.as_str()),
        allowed: provider.allowed.clone(),
        credential_origins: provider.credential_origins.clone(),
        credential: ClientCredential::new(provider.client_id.clone(), provider.credential.clone()),
        outgoing: Arc::clone(outgoing),
        storage: Arc::clone(storage),
        cache: Arc::clone(cache),
        clock: Arc::clone(clock),
    }
}

async fn sweep(storage: Arc<dyn Storage>, clock: Arc<dyn Clock>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match storage.sweep(clock.now_unix_ms()).await {
            Ok(0) => {}
            Ok(entries) => tracing::debug!(entries, "expired state deleted"),
            Err(error) => tracing::warn!(%error, "expired state not deleted"),
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

/// `ok`, `refused` (somebody said no) or `failed` (something doesn't work), and the stable code.
fn outcome<T>(result: &Result<T, LoginError>) -> (&'static str, Option<&str>) {
    match result {
        Ok(_) => ("ok", None),
        Err(error @ (LoginError::Refused(_) | LoginError::UnknownProvider(_))) => ("refused", Some(error.code())),
        Err(error @ LoginError::Barred(_)) => ("refused", Some(error.code())),
        Err(error @ LoginError::Handover(reason)) if reason.is_refusal() => ("refused", Some(error.code())),
        Err(error) => ("failed", Some(error.code())),
    }
}

/// One record for each step. Codes and checks, never parameters, tokens or claims.
fn report<T>(step: &'static str, provider: &Provider, trace: &TraceId, result: &Result<T, LoginError>) {
    let provider = provider.id.as_str();
    let (outcome, code) = outcome(result);
    let code = code.unwrap_or_default();
    match result {
        Ok(_) => tracing::info!(step, provider, %trace, outcome, "login"),
        Err(LoginError::Refused(refusal)) => {
            let failed = refusal
                .checks
                .iter()
                .filter(|check| check.verdict == Verdict::Fail)
                .map(|check| format!("{}: {}", check.name, check.detail))
                .collect::<Vec<_>>()
                .join("; ");
            let provider_said = refusal
                .provider_said
                .iter()
                .map(|(name, value)| format!("{name}={value:?}"))
                .collect::<Vec<_>>()
                .join(" ");
            let hint = refusal.admin_hint.as_str();
            tracing::warn!(step, provider, %trace, outcome, code, failed, provider_said, hint, "login");
        }
        Err(LoginError::UnknownProvider(id)) => tracing::warn!(step, %trace, outcome, code, id, "login"),
        Err(LoginError::Handover(error)) if error.is_refusal() => {
            let hint = error.words().hint;
            tracing::warn!(step, provider, %trace, outcome, code, %error, hint, "login");
        }
        Err(LoginError::Barred(error)) => {
            let hint = error.words().hint;
            tracing::warn!(step, provider, %trace, outcome, code, %error, hint, "login");
        }
        Err(LoginError::Plugin(error)) => tracing::error!(step, provider, %trace, outcome, code, %error, "login"),
        Err(LoginError::ForeignRedirect(error)) => {
            tracing::error!(step, provider, %trace, outcome, code, %error, "login");
        }
        Err(LoginError::Handover(error)) => {
            let hint = error.words().hint;
            tracing::error!(step, provider, %trace, outcome, code, %error, hint, "login");
        }
    }
}
