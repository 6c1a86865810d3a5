//! Every refusal of the login side with its AADSTS number, OAuth error and text, and the JSON body that carries it.
//! Numbers and meanings follow Microsoft's error code reference; texts are our own words in Entra's tone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use thiserror::Error;

use super::{pages, with_service_headers};
use crate::control::requests::text;
use crate::encoding::entra_timestamp;
use crate::seed::Guid;
use crate::world::World;

/// Why a request of the login side is refused. The text is that of the error description, without the number.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Refusal {
    #[error(
        "Tenant '{tenant}' not found. Check that the tenant ID is right and that you sign in to the right cloud. This may also \
         happen if there are no active subscriptions for the tenant."
    )]
    TenantNotFound { tenant: String },
    #[error(
        "Application with identifier '{client_id}' was not found in the directory '{tenant}'. The application may not be installed \
         by the administrator of the tenant, or the request was sent to the wrong tenant."
    )]
    AppNotFound { client_id: String, tenant: String },
    #[error(
        "Application '{client_id}' is not configured as a multi-tenant application. Use a tenant-specific endpoint or \
         configure the application to be multi-tenant."
    )]
    NotMultiTenant { client_id: String },
    #[error("Application '{client_id}' is configured for use by work or school accounts only.")]
    PersonalAccountsNotAllowed { client_id: String },
    #[error(
        "The redirect URI '{redirect_uri}' specified in the request does not match the redirect URIs configured for the \
         application '{client_id}'. Make sure the redirect URI sent in the request matches one added in the portal."
    )]
    RedirectUriMismatch { redirect_uri: String, client_id: String },
    #[error("The request has no reply address, and none is registered for the application '{client_id}'.")]
    NoRedirectUri { client_id: String },
    #[error("The request body must contain the following parameter: '{name}'.")]
    MissingParameter { name: &'static str },
    #[error("The request is not properly formatted. The parameter '{name}' is duplicated.")]
    DuplicateParameter { name: String },
    #[error("The request selects the person '{name}', who is not in the emulator's directory.")]
    UnknownPerson { name: String },
    #[error("response_type '{response_type}' is not enabled for the application.")]
    ResponseTypeNotEnabled { response_type: String },
    #[error("The 'response_type' of the request, '{response_type}', is not supported.")]
    ResponseTypeUnknown { response_type: String },
    #[error("'{response_mode}' is not a supported value of 'response_mode'.")]
    ResponseModeUnknown { response_mode: String },
    #[error("The provided value for the input parameter 'scope' is not valid. The scope '{scope}' does not exist.")]
    ScopeInvalid { scope: String },
    #[error("Invalid value of the parameter 'prompt': {reason}.")]
    PromptInvalid { reason: &'static str },
    #[error("The parameter 'claims' is malformed: {reason}.")]
    ClaimsMalformed { reason: &'static str },
    #[error("The request has a code_challenge_method but no code_challenge.")]
    ChallengeMissing,
    #[error("The code_challenge_method '{method}' is not supported.")]
    ChallengeMethodUnknown { method: String },
    #[error("Invalid size of Code_Challenge parameter.")]
    ChallengeSize,
    #[error("Session information is not sufficient for single-sign-on: nobody is signed in.")]
    NobodySignedIn,

    // How a person's sign-in ends
    #[error("The user cancelled.")]
    Cancelled,
    #[error("User account '{account}' does not exist in this tenant and cannot access the application.")]
    AccountNotInTenant { account: String },
    #[error("An administrator of the tenant needs to consent to the application '{app}' before users can access it.")]
    AdminConsentRequired { app: String },
    #[error("User declined to consent to access the app.")]
    ConsentDeclined,
    #[error(
        "The user or administrator has not consented to use the application with ID '{client_id}'. Send an interactive \
         authorization request for this user and resource."
    )]
    NotConsented { client_id: String },
    #[error(
        "Your administrator has configured the application '{app}' to block users unless they are specifically granted \
         ('assigned') access. The signed in user '{account}' is blocked because they are not assigned."
    )]
    NotAssigned { app: String, account: String },
    #[error(
        "Due to a configuration change made by your administrator, or because you moved to a new location, you must use \
         multi-factor authentication to access the application."
    )]
    MfaRequired,
    #[error(
        "Strong Authentication is required: none of the authentication contexts asked for is satisfied ({contexts})."
    )]
    ContextUnmet { contexts: String },
    #[error("Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.")]
    BlockedByConditionalAccess,
    #[error("The user account is disabled.")]
    AccountDisabled,

    // Token endpoint
    #[error("The grant type '{grant_type}' is not supported by this endpoint.")]
    GrantTypeUnknown { grant_type: String },
    #[error(
        "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. Request origin: \
         '{origin}'."
    )]
    CrossOrigin { origin: String },
    #[error("The request names two different clients, one in the body and one in the Authorization header.")]
    ClientIdsDiffer,
    #[error("The request body must contain the following parameter: 'client_assertion' or 'client_secret'.")]
    NoCredential,
    #[error("The request must not contain more than one client credential.")]
    SeveralCredentials,
    #[error("The client_assertion_type '{sent}' is not supported; '{expected}' is.")]
    AssertionTypeUnknown { sent: String, expected: &'static str },
    #[error("JWT token is invalid or malformed: {reason}.")]
    AssertionMalformed { reason: &'static str },
    #[error("Authentication failed: the client assertion does not name a certificate in a supported way: {reason}.")]
    AssertionHeader { reason: &'static str },
    #[error(
        "Client assertion contains an invalid signature. [Reason - {reason}, Thumbprint of key used by client: '{key}']"
    )]
    AssertionSignature { reason: &'static str, key: String },
    #[error(
        "Client assertion application identifier doesn't match 'client_id' parameter: both 'iss' and 'sub' must be \
         '{client_id}'."
    )]
    AssertionOtherClient { client_id: String },
    #[error("Client assertion audience claim does not match Realm issuer: it must be '{expected}'.")]
    AssertionAudience { expected: String },
    #[error(
        "Client assertion is not within its valid time range: {reason}. Current time: {now}, assertion valid {validity}."
    )]
    AssertionTime { reason: &'static str, now: String, validity: String },
    #[error("Assertion is invalid: the 'jti' '{jti}' was used before.")]
    AssertionReplayed { jti: String },
    #[error("No matching federated identity record found for presented assertion. {presented}")]
    NoFederatedCredential { presented: String },
    #[error(
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the \
         client secret ID, for a secret added to app '{client_id}'."
    )]
    WrongSecret { client_id: String },
    #[error(
        "The provided client secret keys for app '{client_id}' are expired. Create new keys for your app, or use certificate \
         credentials."
    )]
    ExpiredSecret { client_id: String },
    #[error("The provided authorization code is malformed, unknown, or for another application.")]
    CodeInvalid,
    #[error("The OAuth2 Authorization code was already redeemed, please retry with a new valid code.")]
    CodeRedeemed,
    #[error(
        "The provided authorization code has expired due to inactivity. Send a new interactive authorization request."
    )]
    CodeExpired,
    #[error(
        "The provided authorization code is intended to use against other tenant, thus rejected. The code must be redeemed \
         against the same tenant it was acquired for."
    )]
    CodeForOtherTenant,
    #[error(
        "The reply address '{sent}' does not match the reply address '{expected}' provided when requesting the authorization \
         code."
    )]
    CodeRedirectUriMismatch { sent: String, expected: String },
    #[error("The Code_Verifier does not match the code_challenge supplied in the authorization request.")]
    VerifierMismatch,
    #[error("The request has a code_verifier, but the authorization request had no code_challenge.")]
    VerifierUnexpected,
    #[error("The resource principal named '{resource}' was not found in the tenant.")]
    ResourceNotFound { resource: String },
    #[error(
        "The provided value for scope '{scope}' is not valid. Client credential flows must have one scope value with /.default \
         after the resource identifier."
    )]
    ScopeNotDefault { scope: String },
    #[error(
        "The grant type is not supported over the /common or /consumers endpoints. Use a tenant-specific endpoint."
    )]
    GrantNeedsTenant,
    #[error("An internal error of the emulator: {reason}.")]
    Internal { reason: String },
}

impl Refusal {
    /// The number after `AADSTS`. Those marked K are known from practice, not from the reference.
    pub(crate) fn code(&self) -> u32 {
        match self {
            Self::TenantNotFound { .. } => 90_002,
            Self::AppNotFound { .. } => 700_016,
            Self::NotMultiTenant { .. } => 50_194,
            Self::PersonalAccountsNotAllowed { .. } => 500_208,
            Self::RedirectUriMismatch { .. } => 50_011,
            Self::NoRedirectUri { .. } => 900_971,
            Self::MissingParameter { .. } => 900_144,
            Self::DuplicateParameter { .. } | Self::ClientIdsDiffer | Self::SeveralCredentials => 9_000_411, // K
            Self::UnknownPerson { .. } => 50_034,
            Self::ResponseTypeNotEnabled { .. } => 700_054,
            Self::ResponseTypeUnknown { .. } => 70_005,
            Self::ResponseModeUnknown { .. } => 70_007, // K
            Self::ScopeInvalid { .. } | Self::ScopeNotDefault { .. } => 70_011,
            Self::PromptInvalid { .. } | Self::ClaimsMalformed { .. } => 90_023, // K
            Self::ChallengeMissing | Self::VerifierUnexpected => 50_147,
            Self::ChallengeMethodUnknown { .. } => 50_149, // K
            Self::ChallengeSize => 501_491,
            Self::NobodySignedIn => 50_058,
            Self::Cancelled | Self::ConsentDeclined => 65_004,
            Self::AccountNotInTenant { .. } => 50_020,
            Self::AdminConsentRequired { .. } => 90_094,
            Self::NotConsented { .. } => 65_001,
            Self::NotAssigned { .. } => 50_105,
            Self::MfaRequired => 50_076,
            Self::ContextUnmet { .. } => 50_074, // K for this cause
            Self::BlockedByConditionalAccess => 53_003,
            Self::AccountDisabled => 50_057,
            Self::GrantTypeUnknown { .. } => 70_003,
            Self::CrossOrigin { .. } => 9_002_326,
            Self::NoCredential => 7_000_218,
            Self::AssertionTypeUnknown { .. } => 90_023, // K
            Self::AssertionMalformed { .. } => 50_027,
            Self::AssertionHeader { .. } => 50_012,
            Self::AssertionSignature { .. } => 700_027,
            Self::AssertionOtherClient { .. } => 700_021,
            Self::AssertionAudience { .. } => 700_023,
            Self::AssertionTime { .. } => 700_024,
            Self::AssertionReplayed { .. } => 50_013,     // K
            Self::NoFederatedCredential { .. } => 70_021, // K
            Self::WrongSecret { .. } => 7_000_215,
            Self::ExpiredSecret { .. } => 7_000_222,
            Self::CodeInvalid => 70_000,
            Self::CodeRedeemed => 54_005,
            Self::CodeExpired => 70_008,
            Self::CodeForOtherTenant => 700_005,
            Self::CodeRedirectUriMismatch { .. } => 500_112, // K
            Self::VerifierMismatch => 501_481,
            Self::ResourceNotFound { .. } => 500_011,
            Self::GrantNeedsTenant => 9_001_023,
            Self::Internal { .. } => 90_033,
        }
    }

    /// The OAuth error (RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core section 3.1.2.6, and Entra's additions).
    pub(crate) fn error(&self) -> &'static str {
        match self {
            Self::AppNotFound { .. } | Self::NotMultiTenant { .. } | Self::PersonalAccountsNotAllowed { .. } => {
                "unauthorized_client"
            }
            Self::ResponseTypeNotEnabled { .. } | Self::ResponseTypeUnknown { .. } => "unsupported_response_type",
            Self::ScopeInvalid { .. } | Self::ScopeNotDefault { .. } => "invalid_scope",
            Self::ResourceNotFound { .. } => "invalid_resource",
            Self::NobodySignedIn => "login_required",
            Self::MfaRequired | Self::ContextUnmet { .. } => "interaction_required",
            Self::NotConsented { .. } => "consent_required",
            Self::Cancelled
            | Self::ConsentDeclined
            | Self::AdminConsentRequired { .. }
            | Self::AccountNotInTenant { .. }
            | Self::NotAssigned { .. }
            | Self::BlockedByConditionalAccess
            | Self::AccountDisabled => "access_denied",
            Self::GrantTypeUnknown { .. } => "unsupported_grant_type",
            Self::NoCredential
            | Self::AssertionHeader { .. }
            | Self::AssertionSignature { .. }
            | Self::AssertionOtherClient { .. }
            | Self::AssertionAudience { .. }
            | Self::AssertionTime { .. }
            | Self::AssertionReplayed { .. }
            | Self::WrongSecret { .. }
            | Self::ExpiredSecret { .. } => "invalid_client",
            Self::CodeInvalid
            | Self::CodeRedeemed
            | Self::CodeExpired
            | Self::CodeForOtherTenant
            | Self::CodeRedirectUriMismatch { .. }
            | Self::VerifierMismatch
            | Self::VerifierUnexpected => "invalid_grant",
            Self::Internal { .. } => "temporarily_unavailable",
            _ => "invalid_request",
        }
    }

    /// The status of the token endpoint's answer: 401 if the client is not authenticated (RFC 6749 section 5.2), else 400.
    fn status(&self) -> StatusCode {
        match self.error() {
            "invalid_client" => StatusCode::UNAUTHORIZED,
            "temporarily_unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

/// Identifies one answer in Entra's logs; shown in error bodies and on error pages.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// New for each answer.
    pub(crate) id: Guid,
    /// The client's `client-request-id`, or a new one.
    pub(crate) correlation_id: Guid,
    /// When, in Entra's form.
    pub(crate) timestamp: String,
}

impl Trace {
    /// A trace of the answer that is being made.
    pub(crate) fn new(world: &World, headers: &HeaderMap) -> Self {
        let sent = text(headers, "client-request-id").and_then(|id| Guid::parse(id).ok());
        Self {
            id: world.random.guid(),
            correlation_id: sent.unwrap_or_else(|| world.random.guid()),
            timestamp: entra_timestamp(world.clock.now_unix_s()),
        }
    }
}

/// The JSON body of an error.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody {
    error: String,
    error_description: String,
    error_codes: [u32; 1],
    timestamp: String,
    trace_id: Guid,
    correlation_id: Guid,
    error_uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    suberror: Option<String>,
}

impl ErrorBody {
    /// A body with the trace written into the description, as Entra does, lines ended by CR LF.
    pub(crate) fn new(world: &World, trace: &Trace, error: &str, code: u32, message: &str) -> Self {
        let Trace { id: trace_id, correlation_id, timestamp } = trace;
        Self {
            error: error.to_owned(),
            error_description: format!(
                "AADSTS{code}: {message}\r\nTrace ID: {trace_id}\r\nCorrelation ID: {correlation_id}\r\nTimestamp: {timestamp}"
            ),
            error_codes: [code],
            timestamp: timestamp.clone(),
            trace_id: trace_id.clone(),
            correlation_id: correlation_id.clone(),
            error_uri: error_uri(world, code),
            suberror: None,
        }
    }

    /// With a `suberror`.
    pub(crate) fn with_suberror(mut self, suberror: Option<String>) -> Self {
        self.suberror = suberror;
        self
    }

    /// The answer with this body.
    pub(crate) fn respond(self, world: &World, status: StatusCode) -> Response {
        let headers = [("cache-control", "no-store, no-cache"), ("pragma", "no-cache")];
        let mut response = with_service_headers(world, (status, headers, Json(self)));
        super::set_json_type(&mut response);
        response
    }
}

/// Where Entra explains an error code.
pub(crate) fn error_uri(world: &World, code: u32) -> String {
    format!("{}/error?code={code}", world.login_url)
}

/// The token endpoint's answer to a refused request.
pub(crate) fn token_error(world: &World, headers: &HeaderMap, refusal: &Refusal) -> Response {
    let trace = Trace::new(world, headers);
    ErrorBody::new(world, &trace, refusal.error(), refusal.code(), &refusal.to_string())
        .respond(world, refusal.status())
}

/// The metadata endpoints' answer about a tenant that does not exist.
pub(crate) fn metadata_error(world: &World, headers: &HeaderMap, refusal: &Refusal) -> Response {
    let trace = Trace::new(world, headers);
    ErrorBody::new(world, &trace, "invalid_tenant", refusal.code(), &refusal.to_string())
        .respond(world, StatusCode::BAD_REQUEST)
}

/// Entra's own page: shown where no callback may be made.
pub(crate) fn error_page(world: &World, headers: &HeaderMap, refusal: &Refusal) -> Response {
    let trace = Trace::new(world, headers);
    with_service_headers(world, (StatusCode::BAD_REQUEST, pages::error(refusal, &trace)))
}

/// A path that does not exist.
pub(crate) async fn no_such_page(State(world): State<Arc<World>>) -> Response {
    with_service_headers(&world, (StatusCode::NOT_FOUND, pages::not_found()))
}
