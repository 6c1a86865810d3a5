//! The component: the one file that knows WIT. It translates the contract's records into ours and back, binds the
//! capabilities to the imports, and gives `getrandom` and panics a way out. No decision is made here.
#![allow(unsafe_code, reason = "the generated ABI glue, and getrandom's custom backend below")]

use crate::capability::{
    self, Cache, Claimed, ClientAuthentication, Clock, CredentialFailure, Credentials, Http, HttpError, Level, Log,
    Random, RandomUnavailable, Request, Response, Storage, StorageError, World,
};
use crate::claims::account::AccountKind;
use crate::claims::groups::Groups;
use crate::claims::preview;
use crate::configuration;
use crate::directory::person::Memberships;
use crate::directory::{self, connection, person, presence, round};
use crate::login::begin::{self, BeginRequest};
use crate::login::complete::{self, CompleteRequest};
use crate::login::probe;
use crate::login::refusal::{Refusal, RefusalKind};
use crate::login::trace::{Check, Verdict};
use crate::login::{self as login_logic};
use crate::policy::linking::EmailLinking;

#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::indexing_slicing, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ world: "prepared-plugin", path: "../wit", pub_export_macro: false });
}

use bindings::defguard::openid as imports;
use bindings::exports::defguard::openid::configuration as config_wit;
use bindings::exports::defguard::openid::directory as directory_wit;
use bindings::exports::defguard::openid::login as login_wit;
use bindings::exports::defguard::openid::preparation as preparation_wit;

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: crate::allocator::SizeClasses = crate::allocator::SizeClasses::new();

struct Component;

bindings::export!(Component with_types_in bindings);

impl login_wit::Guest for Component {
    fn begin(request: login_wit::BeginRequest) -> Result<login_wit::Authorization, login_wit::Refusal> {
        report_panics();
        let host = Host;
        let request = BeginRequest {
            provider: request.provider,
            flow: flow(request.flow),
            redirect_uri: request.redirect_uri,
            login_hint: request.login_hint,
        };
        let begun = begin::begin(host.world(), &request).map_err(refusal)?;
        Ok(login_wit::Authorization {
            url: begun.url,
            state: begun.state,
            browser_binding: begun.browser_binding,
            expires_at_unix_s: begun.expires_at_unix_s,
            checks: checks(begun.checks),
        })
    }

    fn complete(request: login_wit::CompleteRequest) -> Result<login_wit::Completion, login_wit::Refusal> {
        report_panics();
        let host = Host;
        let wit_flow = request.flow;
        let request = CompleteRequest {
            provider: request.provider,
            flow: flow(wit_flow),
            redirect_uri: request.redirect_uri,
            parameters: request.parameters,
            browser_binding: request.browser_binding,
        };
        let done = complete::complete(host.world(), &request).map_err(refusal)?;
        let identity = done.identity;
        Ok(login_wit::Completion {
            flow: wit_flow,
            identity: login_wit::Identity {
                key: login_wit::IdentityKey {
                    issuer: identity.issuer,
                    subject: identity.subject,
                    tenant_id: identity.tenant_id,
                    object_id: identity.object_id,
                },
                username: identity.username,
                email: identity.email,
                email_verified: identity.email_verified,
                given_name: identity.given_name,
                family_name: identity.family_name,
                display_name: identity.display_name,
                phone: identity.phone,
                groups: groups(identity.groups),
                account: account(identity.account),
                attributes: identity.attributes,
            },
            email_linking: email_linking(done.email_linking),
            raw_claims: done.raw_claims,
            checks: checks(done.checks),
        })
    }
}

impl config_wit::Guest for Component {
    fn describe() -> config_wit::Description {
        config_wit::Description {
            name: "defguard-openid".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            options: configuration::OPTIONS
                .iter()
                .map(|option| config_wit::OptionDescription {
                    path: option.path.into(),
                    type_name: option.type_name.into(),
                    default_value: option.default.map(Into::into),
                    required: option.required,
                    description: option.description.into(),
                })
                .collect(),
        }
    }

    fn validate(provider: String) -> Vec<config_wit::Problem> {
        report_panics();
        configuration::validate(&provider).into_iter().map(problem).collect()
    }

    fn map_claims(provider: String, input: String) -> Result<config_wit::Preview, config_wit::Problem> {
        report_panics();
        let preview = preview::preview(&provider, &input).map_err(|error| problem(error.into_problem()))?;
        Ok(config_wit::Preview {
            mapped: preview.fields(),
            account: account(preview.account),
            groups: groups(preview.groups),
            email_linking: preview.email_linking.map(email_linking),
            refusal: preview.refusal.map(|reason| refusal((reason, Vec::new()))),
            checks: checks(preview.checks),
        })
    }

    fn probe(provider: String) -> Vec<config_wit::Finding> {
        report_panics();
        findings(probe::probe(Host.world(), &provider))
    }
}

impl preparation_wit::Guest for Component {
    fn prepare(providers: Vec<String>) -> u32 {
        report_panics();
        u32::try_from(configuration::prepare(providers)).unwrap_or(u32::MAX)
    }
}

impl directory_wit::Guest for Component {
    fn test_connection(provider: String) -> Vec<config_wit::Finding> {
        report_panics();
        findings(connection::test_connection(Host.world(), &provider))
    }

    fn next_page(
        provider: String,
        read: Vec<directory_wit::Collection>,
        cursor: Option<String>,
    ) -> Result<directory_wit::Page, directory_wit::Failure> {
        report_panics();
        let read: Vec<_> = read.into_iter().map(asked).collect();
        let page = round::next_page(Host.world(), &provider, &read, cursor.as_deref()).map_err(failure)?;
        Ok(directory_wit::Page {
            changes: page.changes.into_iter().map(change).collect(),
            cursor: page.cursor,
            is_last: page.is_last,
            wait_ms: page.wait_ms,
            requests: page.requests,
            refused: page.refused,
            setback: page.setback,
        })
    }

    fn person(
        provider: String,
        object_id: String,
        timeout_ms: u32,
    ) -> Result<Option<directory_wit::PersonState>, directory_wit::Failure> {
        report_panics();
        let found = person::person(Host.world(), &provider, &object_id, timeout_ms).map_err(failure)?;
        Ok(found.map(|state| directory_wit::PersonState {
            enabled: state.enabled,
            guest: state.guest,
            groups: match state.groups {
                Memberships::Known(groups) => directory_wit::Memberships::Known(groups),
                Memberships::Unknown(reason) => directory_wit::Memberships::Unknown(reason),
            },
        }))
    }

    fn present(
        provider: String,
        objects: Vec<directory_wit::Object>,
    ) -> Result<Vec<directory_wit::Presence>, directory_wit::Failure> {
        report_panics();
        let objects: Vec<_> = objects.into_iter().map(|object| (asked(object.collection), object.id)).collect();
        let found = presence::present(Host.world(), &provider, &objects).map_err(failure)?;
        let found = found.into_iter().map(|presence| match presence {
            presence::Presence::There => directory_wit::Presence::There,
            presence::Presence::Gone => directory_wit::Presence::Gone,
            presence::Presence::Unknown => directory_wit::Presence::Unknown,
        });
        Ok(found.collect())
    }
}

fn asked(collection: directory_wit::Collection) -> directory::Collection {
    match collection {
        directory_wit::Collection::Users => directory::Collection::Users,
        directory_wit::Collection::Groups => directory::Collection::Groups,
    }
}

fn findings(findings: Vec<probe::Finding>) -> Vec<config_wit::Finding> {
    findings
        .into_iter()
        .map(|finding| config_wit::Finding {
            name: finding.name,
            verdict: verdict(finding.verdict),
            detail: finding.detail,
            hint: finding.hint,
        })
        .collect()
}

fn collection(collection: directory::Collection) -> directory_wit::Collection {
    match collection {
        directory::Collection::Users => directory_wit::Collection::Users,
        directory::Collection::Groups => directory_wit::Collection::Groups,
    }
}

fn text(text: directory::Text) -> directory_wit::Text {
    match text {
        directory::Text::Unsaid => directory_wit::Text::Unsaid,
        directory::Text::None => directory_wit::Text::None,
        directory::Text::Value(value) => directory_wit::Text::Value(value),
    }
}

fn removal(removal: directory::Removal) -> directory_wit::Removal {
    match removal {
        directory::Removal::Restorable => directory_wit::Removal::Restorable,
        directory::Removal::Permanent => directory_wit::Removal::Permanent,
    }
}

fn members(members: directory::Members) -> directory_wit::Members {
    directory_wit::Members { group: members.group, users: members.users, groups: members.groups }
}

fn change(change: directory::Change) -> directory_wit::Change {
    use directory::Change;
    match change {
        Change::Restart(of) => directory_wit::Change::Restart(collection(of)),
        Change::User(user) => directory_wit::Change::User(directory_wit::User {
            id: user.id,
            user_principal_name: text(user.user_principal_name),
            mail: text(user.mail),
            other_mails: user.other_mails,
            display_name: text(user.display_name),
            given_name: text(user.given_name),
            surname: text(user.surname),
            mobile_phone: text(user.mobile_phone),
            enabled: user.enabled,
            guest: user.guest,
        }),
        Change::UserRemoved(id, why) => directory_wit::Change::UserRemoved((id, removal(why))),
        Change::Group(group) => directory_wit::Change::Group(directory_wit::Group {
            id: group.id,
            display_name: text(group.display_name),
            hidden_members: group.hidden_members,
        }),
        Change::GroupRemoved(id, why) => directory_wit::Change::GroupRemoved((id, removal(why))),
        Change::MembersAdded(added) => directory_wit::Change::MembersAdded(members(added)),
        Change::MembersRemoved(removed) => directory_wit::Change::MembersRemoved(members(removed)),
        Change::Complete(of) => directory_wit::Change::Complete(collection(of)),
    }
}

fn failure(failure: directory::Failure) -> directory_wit::Failure {
    use directory::Failure;
    match failure {
        Failure::Misconfigured(reason) => directory_wit::Failure::Misconfigured(reason),
        Failure::Denied { collection: of, detail } => directory_wit::Failure::Denied(directory_wit::Denial {
            collection: collection(of),
            permission: of.permission().into(),
            detail,
            hint: directory::permission_hint(of.permission()),
        }),
        Failure::Credential { detail, hint } => directory_wit::Failure::Credential((detail, hint)),
        Failure::Retry { wait_ms, detail, requests } => {
            directory_wit::Failure::Retry(directory_wit::Setback { wait_ms, detail, requests })
        }
        Failure::Malformed(reason) => directory_wit::Failure::Malformed(reason),
        Failure::CursorInvalid(reason) => directory_wit::Failure::CursorInvalid(reason),
    }
}

fn groups(groups: Groups) -> login_wit::Groups {
    match groups {
        Groups::NotRequested => login_wit::Groups::NotRequested,
        Groups::Known(groups) => login_wit::Groups::Known(
            groups.into_iter().map(|group| login_wit::Group { id: group.id, name: group.name }).collect(),
        ),
        Groups::Unknown(reason) => login_wit::Groups::Unknown(reason),
    }
}

fn account(kind: AccountKind) -> login_wit::AccountKind {
    match kind {
        AccountKind::Member => login_wit::AccountKind::Member,
        AccountKind::Guest => login_wit::AccountKind::Guest,
        AccountKind::Personal => login_wit::AccountKind::Personal,
        AccountKind::Unknown => login_wit::AccountKind::Unknown,
    }
}

fn email_linking(linking: EmailLinking) -> login_wit::EmailLinking {
    match linking {
        EmailLinking::Allowed(reason) => login_wit::EmailLinking::Allowed(reason),
        EmailLinking::NeedsApproval(reason) => login_wit::EmailLinking::NeedsApproval(reason),
        EmailLinking::Never(reason) => login_wit::EmailLinking::Never(reason),
    }
}

fn flow(flow: login_wit::Flow) -> login_logic::Flow {
    match flow {
        login_wit::Flow::Enrollment => login_logic::Flow::Enrollment,
        login_wit::Flow::Mfa => login_logic::Flow::Mfa,
        login_wit::Flow::Test => login_logic::Flow::Test,
    }
}

fn refusal((refusal, trace): (Refusal, Vec<Check>)) -> login_wit::Refusal {
    let admin_hint = refusal.admin_hint().to_owned();
    login_wit::Refusal {
        kind: match refusal.rule.kind {
            RefusalKind::InvalidRequest => login_wit::RefusalKind::InvalidRequest,
            RefusalKind::TransactionUnknown => login_wit::RefusalKind::TransactionUnknown,
            RefusalKind::BrowserMismatch => login_wit::RefusalKind::BrowserMismatch,
            RefusalKind::DeniedByProvider => login_wit::RefusalKind::DeniedByProvider,
            RefusalKind::ProviderUnavailable => login_wit::RefusalKind::ProviderUnavailable,
            RefusalKind::TokenRejected => login_wit::RefusalKind::TokenRejected,
            RefusalKind::AccountRejected => login_wit::RefusalKind::AccountRejected,
            RefusalKind::Misconfigured => login_wit::RefusalKind::Misconfigured,
            RefusalKind::StorageUnavailable => login_wit::RefusalKind::StorageUnavailable,
            RefusalKind::Internal => login_wit::RefusalKind::Internal,
        },
        code: refusal.rule.code.into(),
        message: refusal.message().to_owned(),
        admin_hint,
        http_status: refusal.rule.status,
        retry_helps: refusal.rule.retry_helps,
        provider_said: refusal.provider_said.into_vec(),
        checks: checks(trace),
    }
}

fn verdict(verdict: Verdict) -> login_wit::Verdict {
    match verdict {
        Verdict::Pass => login_wit::Verdict::Pass,
        Verdict::Fail => login_wit::Verdict::Fail,
        Verdict::Skip => login_wit::Verdict::Skip,
    }
}

fn problem(problem: configuration::Problem) -> config_wit::Problem {
    config_wit::Problem {
        severity: match problem.severity {
            configuration::Severity::Error => config_wit::Severity::Error,
            configuration::Severity::Warning => config_wit::Severity::Warning,
        },
        path: problem.path,
        message: problem.message,
        hint: problem.hint,
    }
}

fn checks(checks: Vec<Check>) -> Vec<login_wit::Check> {
    checks
        .into_iter()
        .map(|check| login_wit::Check {
            name: check.name.into(),
            verdict: verdict(check.verdict),
            detail: check.detail,
        })
        .collect()
}

/// The imports, as capabilities.
struct Host;

impl Host {
    fn world(&self) -> World<'_> {
        World { http: self, storage: self, cache: self, clock: self, random: self, log: self, credentials: self }
    }
}

fn to_wit(request: Request) -> imports::http::Request {
    imports::http::Request {
        method: match request.method {
            capability::Method::Get => imports::http::Method::Get,
            capability::Method::Post => imports::http::Method::Post,
        },
        url: request.url,
        headers: request.headers,
        body: request.body,
        timeout_ms: request.timeout_ms,
        max_response_bytes: request.max_response_bytes,
    }
}

fn from_wit(response: imports::http::Response) -> Response {
    Response { status: response.status, headers: response.headers, body: response.body }
}

fn http_error(error: imports::http::Error) -> HttpError {
    use imports::http::Error;
    match error {
        Error::Denied(reason) => HttpError::Denied(reason),
        Error::InvalidRequest(reason) => HttpError::InvalidRequest(reason),
        Error::Dns(reason) => HttpError::Dns(reason),
        Error::Connect(reason) => HttpError::Connect(reason),
        Error::Tls(reason) => HttpError::Tls(reason),
        Error::Timeout => HttpError::Timeout,
        Error::TooLarge(limit) => HttpError::TooLarge(limit),
        Error::Protocol(reason) => HttpError::Protocol(reason),
        Error::BudgetExhausted => HttpError::BudgetExhausted,
        Error::Other(reason) => HttpError::Other(reason),
    }
}

impl Http for Host {
    fn send(&self, request: Request) -> Result<Response, HttpError> {
        imports::http::send(&to_wit(request)).map(from_wit).map_err(http_error)
    }

    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, HttpError>> {
        let requests: Vec<_> = requests.into_iter().map(to_wit).collect();
        let answers = imports::http::send_all(&requests);
        answers.into_iter().map(|answer| answer.map(from_wit).map_err(http_error)).collect()
    }
}

fn storage_error(error: imports::storage::Error) -> StorageError {
    use imports::storage::Error;
    match error {
        Error::Invalid(reason) => StorageError::Invalid(reason),
        Error::QuotaExceeded => StorageError::QuotaExceeded,
        Error::Unavailable(reason) => StorageError::Unavailable(reason),
        Error::Other(reason) => StorageError::Other(reason),
    }
}

impl Storage for Host {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        imports::storage::get(key).map_err(storage_error)
    }

    fn put_if_absent(&self, key: &str, value: &[u8], ttl_s: u32) -> Result<bool, StorageError> {
        imports::storage::put_if_absent(key, value, ttl_s).map_err(storage_error)
    }

    fn take(&self, key: &str) -> Result<Option<Vec<u8>>, StorageError> {
        imports::storage::take(key).map_err(storage_error)
    }
}

impl Cache for Host {
    fn get(&self, key: &str) -> Option<Vec<u8>> {
        imports::cache::get(key)
    }

    fn claim(&self, key: &str, wait_ms: u32) -> Claimed {
        match imports::cache::claim(key, wait_ms) {
            imports::cache::Claimed::Value(value) => Claimed::Value(value),
            imports::cache::Claimed::Fetch => Claimed::Fetch,
            imports::cache::Claimed::Busy => Claimed::Busy,
        }
    }

    fn release(&self, key: &str) {
        imports::cache::release(key);
    }

    fn put(&self, key: &str, value: &[u8], ttl_s: u32) {
        imports::cache::put(key, value, ttl_s);
    }

    fn put_if_absent(&self, key: &str, value: &[u8], ttl_s: u32) -> bool {
        imports::cache::put_if_absent(key, value, ttl_s)
    }
}

impl Clock for Host {
    fn now_unix_ms(&self) -> u64 {
        imports::clock::now_unix_ms()
    }

    fn monotonic_ms(&self) -> u64 {
        imports::clock::monotonic_ms()
    }
}

impl Random for Host {
    fn bytes(&self) -> Result<[u8; 32], RandomUnavailable> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| RandomUnavailable)?;
        Ok(bytes)
    }
}

/// getrandom's custom backend (README of getrandom 0.3 and 0.4, which share this symbol): the contract's `random`.
///
/// # Safety
/// getrandom calls it with a buffer of `length` bytes that it may write.
#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(buffer: *mut u8, length: usize) -> Result<(), getrandom::Error> {
    // SAFETY: the caller's promise; zeroed first, since the buffer may not be initialised.
    let buffer = unsafe {
        buffer.write_bytes(0, length);
        std::slice::from_raw_parts_mut(buffer, length)
    };
    for chunk in buffer.chunks_mut(1024) {
        let bytes = imports::random::bytes(u32::try_from(chunk.len()).map_err(|_| getrandom::Error::UNEXPECTED)?);
        if bytes.len() != chunk.len() {
            return Err(getrandom::Error::UNEXPECTED);
        }
        chunk.copy_from_slice(&bytes);
    }
    Ok(())
}

impl Log for Host {
    fn write(&self, level: Level, event: &str, fields: &[(&str, &str)]) {
        imports::log::write(&imports::log::Entry {
            level: match level {
                Level::Info => imports::log::Level::Info,
                Level::Warn => imports::log::Level::Warn,
            },
            event: event.into(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).to_owned(), imports::log::Value::Text((*value).to_owned())))
                .collect(),
        });
    }
}

fn method_to_wit(method: ClientAuthentication) -> imports::credentials::Method {
    match method {
        ClientAuthentication::SecretPost => imports::credentials::Method::ClientSecretPost,
        ClientAuthentication::SecretBasic => imports::credentials::Method::ClientSecretBasic,
        ClientAuthentication::PrivateKeyJwt => imports::credentials::Method::PrivateKeyJwt,
    }
}

impl Credentials for Host {
    fn available(&self) -> Vec<ClientAuthentication> {
        imports::credentials::available()
            .into_iter()
            .map(|method| match method {
                imports::credentials::Method::ClientSecretPost => ClientAuthentication::SecretPost,
                imports::credentials::Method::ClientSecretBasic => ClientAuthentication::SecretBasic,
                imports::credentials::Method::PrivateKeyJwt => ClientAuthentication::PrivateKeyJwt,
            })
            .collect()
    }

    fn send_authenticated(
        &self,
        request: Request,
        method: ClientAuthentication,
    ) -> Result<Response, CredentialFailure> {
        use imports::credentials::Failure;
        imports::credentials::send_authenticated(&to_wit(request), method_to_wit(method)).map(from_wit).map_err(
            |failure| match failure {
                Failure::MethodUnavailable => CredentialFailure::MethodUnavailable,
                Failure::CredentialUnusable(reason) => CredentialFailure::Unusable(reason),
                Failure::InvalidRequest(reason) => CredentialFailure::InvalidRequest(reason),
                Failure::Http(error) => CredentialFailure::Http(http_error(error)),
            },
        )
    }
}

/// A panic ends in a trap without words; this says where it was, and never what with.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        imports::log::write(&imports::log::Entry {
            level: imports::log::Level::Error,
            event: "the plugin panicked".into(),
            fields: vec![("place".into(), imports::log::Value::Text(place))],
        });
    }));
}
