//! Every way in which a sign-in is refused, in one table: stable code, kind, status, the sentence for the person, the hint
//! for the administrator. `docs/refusals.md` lists the same; a test compares them.

use super::trace::{Check, Trace};
use crate::entra::aadsts;

/// What a host can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// The callback is malformed.
    InvalidRequest,
    /// No such transaction.
    TransactionUnknown,
    /// Another browser.
    BrowserMismatch,
    /// The provider said no.
    DeniedByProvider,
    /// The provider can't be reached or understood.
    ProviderUnavailable,
    /// A token failed.
    TokenRejected,
    /// The person isn't let in.
    AccountRejected,
    /// The configuration.
    Misconfigured,
    /// The storage.
    StorageUnavailable,
    /// A defect.
    Internal,
}

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Stable.
    pub code: &'static str,
    /// What a host can do.
    pub kind: RefusalKind,
    /// HTTP status.
    pub status: u16,
    /// Whether starting again may help.
    pub retry_helps: bool,
    /// For the person.
    pub message: &'static str,
    /// For the administrator.
    pub hint: &'static str,
}

/// A refusal on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which.
    pub rule: &'static Rule,
    /// The failed check and its detail.
    pub check: (&'static str, String),
    /// Goes before the rule's hint. (Boxes: a refusal is moved through every step of a sign-in.)
    pub hint: Option<Box<str>>,
    /// What the provider said.
    pub provider_said: Box<[(String, String)]>,
    /// Goes before the rule's sentence: the administrator's own words, or those for a number of Entra's.
    pub message: Option<Box<str>>,
}

impl Refusal {
    /// By a rule; `check` and `detail` say what failed.
    #[inline(never)] // these are in many places, and seldom gone through
    pub fn new(rule: &'static Rule, check: &'static str, detail: impl Into<String>) -> Self {
        Self { rule, check: (check, detail.into()), hint: None, provider_said: Box::default(), message: None }
    }

    /// With a hint that knows more than the rule.
    #[must_use]
    #[inline(never)]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into());
        self
    }

    /// With the provider's words.
    #[must_use]
    pub fn with_provider_said(mut self, said: Vec<(String, String)>) -> Self {
        self.provider_said = said.into();
        self
    }

    /// With a sentence of the administrator's for the person.
    #[must_use]
    #[inline(never)]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into().into());
        self
    }

    /// With what is known of a number in Entra's error text: the hint, and, where the provider denies, the sentence.
    #[must_use]
    pub fn explained_by(mut self, number: Option<u32>) -> Self {
        let denied = self.rule.kind == RefusalKind::DeniedByProvider;
        if let Some(sentence) = number.filter(|_| denied).and_then(aadsts::sentence) {
            self = self.with_message(sentence);
        }
        match number.and_then(aadsts::hint) {
            Some(hint) => self.with_hint(hint),
            None => self,
        }
    }

    /// The sentence for the person.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or(self.rule.message)
    }

    /// The hint.
    pub fn admin_hint(&self) -> &str {
        self.hint.as_deref().unwrap_or(self.rule.hint)
    }

    /// Ends a trace with the failed check.
    pub fn checks(&self, mut trace: Trace) -> Vec<Check> {
        trace.fail(self.check.0, self.check.1.clone());
        trace.into_checks()
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $kind:ident, $status:literal, retry $retry:literal, $message:literal, $hint:literal;)*) => {
        $($(#[$doc])* pub static $name: Rule = Rule {
            code: $code, kind: RefusalKind::$kind, status: $status, retry_helps: $retry, message: $message, hint: $hint,
        };)*
        /// All rules, in the order of the table.
        pub static ALL: &[&Rule] = &[$(&$name),*];
    };
}

rules! {
    /// No `state`, or neither `code` nor `error`.
    CALLBACK_INCOMPLETE = "callback_incomplete", InvalidRequest, 400, retry true,
        "The sign-in came back incomplete. Please start again.",
        "The callback lacks state, or both code and error: a proxy in between may drop the query.";
    /// A parameter twice.
    CALLBACK_DOUBLED = "callback_parameter_doubled", InvalidRequest, 400, retry true,
        "The sign-in came back garbled. Please start again.",
        "A callback parameter is there twice (RFC 6749 section 3.1): no provider sends that.";
    /// A parameter too long.
    CALLBACK_OVERSIZED = "callback_parameter_oversized", InvalidRequest, 400, retry true,
        "The sign-in came back garbled. Please start again.",
        "A callback parameter is longer than any provider's.";
    /// Both `code` and `error`.
    CALLBACK_CONTRADICTORY = "callback_contradictory", InvalidRequest, 400, retry true,
        "The sign-in came back garbled. Please start again.",
        "The callback has both code and error (RFC 6749 section 4.1.2).";
    /// `iss` of another provider, or none where one was announced.
    CALLBACK_ISSUER = "callback_issuer_mismatch", InvalidRequest, 400, retry true,
        "The sign-in came back from another provider than it was started with. Please start again.",
        "The callback's iss isn't this provider's issuer (RFC 9207 section 2.4): a mix-up, or a wrong base_url.";
    /// No transaction of that state.
    TRANSACTION_UNKNOWN = "transaction_unknown", TransactionUnknown, 400, retry true,
        "This sign-in has expired or was finished already. Please start again.",
        "The state is unknown: older than 10 minutes, used before, or begun on a host with another storage.";
    /// The same callback twice at once.
    TRANSACTION_USED = "transaction_used", TransactionUnknown, 400, retry true,
        "This sign-in was finished already. Please start again if you aren't signed in.",
        "Another request finished this transaction at the same time.";
    /// The transaction is of another provider, flow or configuration.
    TRANSACTION_MISMATCH = "transaction_mismatch", TransactionUnknown, 400, retry true,
        "This sign-in was started in another way than it came back. Please start again.",
        "The transaction began with another provider, purpose, redirect URI or configuration.";
    /// Another browser, or no cookie.
    BROWSER_MISMATCH = "browser_mismatch", BrowserMismatch, 401, retry true,
        "This sign-in was started in another browser or window, or cookies are blocked. Please start again here.",
        "The callback came without the cookie of its transaction: another browser, blocked cookies, or a stolen link.";
    /// `access_denied` with `error_subcode=cancel`.
    LOGIN_CANCELLED = "login_cancelled", DeniedByProvider, 403, retry true,
        "You cancelled the sign-in.",
        "The person cancelled; nothing to do.";
    /// `access_denied`.
    ACCESS_DENIED = "access_denied", DeniedByProvider, 403, retry true,
        "Your organisation's sign-in didn't let you in.",
        "The provider answered access_denied: look at its sign-in log.";
    /// `consent_required`.
    CONSENT_REQUIRED = "consent_required", DeniedByProvider, 403, retry false,
        "This application needs to be approved first. Please ask your administrator.",
        "Grant admin consent: App registrations > API permissions > Grant admin consent.";
    /// `login_required`, `interaction_required`, `account_selection_required`.
    INTERACTION_REQUIRED = "interaction_required", DeniedByProvider, 403, retry true,
        "The provider needs you to sign in again, perhaps with a second factor. Please start again.",
        "The provider can't sign the person in without interaction: prompt = \"none\" doesn't fit here.";
    /// `server_error`, `temporarily_unavailable` in the callback.
    PROVIDER_ERROR = "provider_error", ProviderUnavailable, 502, retry true,
        "The sign-in provider has a problem right now. Please try again in a few minutes.",
        "The provider answered server_error or temporarily_unavailable: see its status page.";
    /// The provider says that our request is wrong.
    REQUEST_REFUSED = "request_refused", Misconfigured, 502, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "The provider refuses our authorization request: compare client_id, redirect URI and scopes with its registration.";
    /// Any other `error`.
    DENIED_OTHER = "denied_by_provider", DeniedByProvider, 403, retry true,
        "The sign-in provider didn't let you in.",
        "The provider answered an error that has no rule of its own: see what it said.";
    /// No answer.
    PROVIDER_UNREACHABLE = "provider_unreachable", ProviderUnavailable, 502, retry true,
        "The sign-in provider can't be reached right now. Please try again in a few minutes.",
        "The request to the provider failed: see the check's detail (name, TLS, allowed_origins, network).";
    /// No answer in time.
    PROVIDER_TIMEOUT = "provider_timeout", ProviderUnavailable, 504, retry true,
        "The sign-in provider takes too long. Please try again in a few minutes.",
        "The provider didn't answer in time.";
    /// 429.
    PROVIDER_THROTTLED = "provider_throttled", ProviderUnavailable, 503, retry true,
        "The sign-in provider is overloaded. Please try again in a few minutes.",
        "The provider answered 429: too many sign-ins at once, or a loop.";
    /// An answer that isn't what the protocol says.
    PROVIDER_ANSWER = "provider_answer_invalid", ProviderUnavailable, 502, retry true,
        "The sign-in provider's answer makes no sense. Please tell your administrator.",
        "The provider's answer isn't what the protocol says: base_url may name a web page, or a proxy answers instead.";
    /// The discovery document is another provider's.
    DISCOVERY_MISMATCH = "discovery_mismatch", Misconfigured, 502, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "The discovery document's issuer isn't base_url (OpenID Connect Discovery section 4.3): see both in the check.";
    /// The provider refuses a pushed request.
    PUSHED_REQUEST_REFUSED = "pushed_request_refused", Misconfigured, 502, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "The provider refuses our pushed authorization request (RFC 9126): compare redirect URI, scopes and parameters with its registration.";
    /// Configuration and provider don't agree on pushed requests.
    PUSHED_REQUESTS_MISMATCH = "pushed_requests_mismatch", Misconfigured, 502, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "pushed_authorization_requests doesn't fit what the provider's discovery document says: see the check.";
    /// The provider hasn't the configured response mode.
    RESPONSE_MODE_UNSUPPORTED = "response_mode_unsupported", Misconfigured, 502, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "The provider doesn't offer the configured response_mode: leave it out, or see the check.";
    /// `invalid_grant`.
    CODE_REFUSED = "code_refused", DeniedByProvider, 400, retry true,
        "This sign-in has expired. Please start again.",
        "The provider refuses the code: expired, used, or sent twice.";
    /// `invalid_client`, `unauthorized_client`.
    CLIENT_REFUSED = "client_refused", Misconfigured, 502, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "The provider refuses client_id or secret: for Entra paste the secret's Value, not its Secret ID, and check its expiry.";
    /// No credential for the provider's method.
    CREDENTIAL_UNUSABLE = "credential_unusable", Misconfigured, 500, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "The configured credential doesn't fit what the provider takes (token_endpoint_auth_methods_supported).";
    /// Longer than 16 KiB.
    ID_TOKEN_TOO_LARGE = "id_token_too_large", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token has more than 16 KiB: reduce its claims (groups assigned to the application only).";
    /// Not a signed token in compact form.
    ID_TOKEN_MALFORMED = "id_token_malformed", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token isn't a signed JWT: an encrypted token, or something between us and the provider.";
    /// A header that brings its own key or rules.
    ID_TOKEN_HEADER = "id_token_header_refused", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token's header has a member that no provider needs (crit, jwk, jku, x5u, x5c, zip, b64, typ): somebody may be attacking.";
    /// An algorithm that isn't configured.
    ID_TOKEN_ALGORITHM = "id_token_algorithm_refused", TokenRejected, 403, retry false,
        "Your sign-in couldn't be verified. Please tell your administrator.",
        "The ID token is signed with an algorithm that id_token_algorithms doesn't list: see both in the check.";
    /// No key of that name.
    ID_TOKEN_KEY_UNKNOWN = "id_token_key_unknown", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The key set has no key with the token's kid: a key change, or a forged token. The set is fetched again at most every 5 minutes.";
    /// A key for something else.
    ID_TOKEN_KEY_UNFIT = "id_token_key_unfit", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The key with the token's kid is for another algorithm: compare id_token_algorithms with the provider's keys.";
    /// Several keys could be meant.
    ID_TOKEN_KEY_AMBIGUOUS = "id_token_key_ambiguous", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "Several different keys could be meant: the provider must give each key its own kid.";
    /// Not signed by the provider.
    ID_TOKEN_SIGNATURE = "id_token_signature_invalid", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token isn't signed by the provider's key: somebody may be attacking.";
    /// Another issuer.
    ID_TOKEN_ISSUER = "id_token_issuer_mismatch", TokenRejected, 403, retry false,
        "Your sign-in couldn't be verified. Please tell your administrator.",
        "The ID token's iss isn't the discovery document's issuer: see both in the check.";
    /// A key of another issuer.
    ID_TOKEN_KEY_ISSUER = "id_token_key_issuer_mismatch", TokenRejected, 403, retry false,
        "Your sign-in couldn't be verified. Please tell your administrator.",
        "The signing key is published for another issuer than the token's: see both in the check.";
    /// For another client.
    ID_TOKEN_AUDIENCE = "id_token_audience_mismatch", TokenRejected, 403, retry false,
        "Your sign-in couldn't be verified. Please tell your administrator.",
        "The ID token is for another client_id: see both in the check.";
    /// Past its time.
    ID_TOKEN_EXPIRED = "id_token_expired", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token had expired when it came: compare this machine's clock with the provider's.";
    /// Before its time.
    ID_TOKEN_NOT_YET_VALID = "id_token_not_yet_valid", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token isn't valid yet: this machine's clock is more than 5 minutes behind the provider's.";
    /// A claim is missing or of the wrong type.
    ID_TOKEN_CLAIM = "id_token_claim_invalid", TokenRejected, 403, retry false,
        "Your sign-in couldn't be verified. Please tell your administrator.",
        "A claim that OpenID Connect demands is missing or of another type: see the check.";
    /// Of another login.
    ID_TOKEN_NONCE = "id_token_nonce_mismatch", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token's nonce is another login's: a replayed or injected code.";
    /// Not with this access token.
    ID_TOKEN_AT_HASH = "id_token_at_hash_mismatch", TokenRejected, 403, retry true,
        "Your sign-in couldn't be verified. Please start again.",
        "The ID token's at_hash isn't the access token's: one of the two was exchanged.";
    /// Of Entra's old endpoint.
    ID_TOKEN_VERSION = "id_token_version_refused", TokenRejected, 403, retry false,
        "Your sign-in couldn't be verified. Please tell your administrator.",
        "The ID token is of Entra's v1 endpoint: base_url must end with /v2.0.";
    /// The ID token is for another tenant.
    TENANT_NOT_ALLOWED = "tenant_not_allowed", AccountRejected, 403, retry false,
        "Your account's organisation isn't allowed to enroll here.",
        "The account is of another tenant: add it to allowed_tenants if it should get in.";
    /// An invited account.
    GUEST_NOT_ALLOWED = "guest_not_allowed", AccountRejected, 403, retry false,
        "Guest accounts can't enroll here. Please use your own organisation's account.",
        "The account is a guest of the tenant: guests = true lets guests in.";
    /// Authenticated too long ago.
    AUTHENTICATION_TOO_OLD = "authentication_too_old", AccountRejected, 403, retry true,
        "You signed in to your account too long ago. Please start again and enter your credentials.",
        "auth_time is older than max_age: prompt = \"login\" makes the provider ask each time.";
    /// Not said when.
    AUTH_TIME_MISSING = "auth_time_missing", AccountRejected, 403, retry false,
        "Your account's provider doesn't say when you signed in. Please tell your administrator.",
        "max_age is configured, and the ID token has no usable auth_time. Entra: Token configuration > Add optional claim > ID > auth_time.";
    /// Not authenticated as demanded.
    AUTHENTICATION_CONTEXT = "authentication_context_missing", AccountRejected, 403, retry true,
        "Your sign-in wasn't as strong as it has to be here. Please start again and complete every step.",
        "required_acr or required_acrs isn't met. Entra: the authentication context must be published, and a Conditional Access policy must grant it for this application.";
    /// Entra without `oid`.
    OBJECT_ID_MISSING = "object_id_missing", AccountRejected, 403, retry false,
        "Your account can't be identified. Please tell your administrator.",
        "The ID token has no oid: the scope profile must be requested (scopes).";
    /// A personal Microsoft account.
    PERSONAL_ACCOUNT = "personal_account", AccountRejected, 403, retry false,
        "Personal Microsoft accounts can't enroll here. Please use your work account.",
        "The account is a personal one (tenant 9188040d-6c67-4c5b-b112-36a304b66dad).";
    /// No e-mail address.
    EMAIL_MISSING = "email_missing", AccountRejected, 403, retry false,
        "Your account has no e-mail address that we can see. Please tell your administrator.",
        "No source in claims.email gave an address. Entra: Token configuration > Add optional claim > ID > email, and the account needs a mailbox address.";
    /// No e-mail address that looks like one.
    EMAIL_INVALID = "email_invalid", AccountRejected, 403, retry false,
        "Your account's e-mail address can't be used. Please tell your administrator.",
        "The address isn't one (exactly one @, no spaces, at most 254 bytes).";
    /// The address's domain isn't listed.
    DOMAIN_NOT_ALLOWED = "domain_not_allowed", AccountRejected, 403, retry false,
        "Your e-mail address isn't one that may enroll here. Please use your work account.",
        "The address's domain isn't in policy.allowed_domains. Domains are compared whole: sub-domains are listed one by one.";
    /// The provider doesn't vouch for the address.
    EMAIL_UNVERIFIED = "email_unverified", AccountRejected, 403, retry false,
        "Your e-mail address isn't confirmed. Please tell your administrator.",
        "policy.require_verified_email is on, and the provider doesn't say that the address is the person's (claims.email_verified; Entra: xms_edov).";
    /// In none of the groups.
    GROUP_NOT_ALLOWED = "group_not_allowed", AccountRejected, 403, retry false,
        "Your account isn't in a group that may enroll here. Please ask your administrator.",
        "The person is in none of policy.allowed_groups.";
    /// Groups decide, and can't be learned.
    GROUPS_UNKNOWN = "groups_unknown", AccountRejected, 403, retry true,
        "Your groups can't be checked right now. Please try again in a few minutes, or ask your administrator.",
        "A rule needs the person's groups, and they are unknown: see the check for the reason (groups.source, Graph permissions).";
    /// A rule says no.
    POLICY_REFUSED = "policy_refused", AccountRejected, 403, retry false,
        "Your account may not enroll here. Please ask your administrator.",
        "A rule of policy.rules doesn't hold: the check names it. `defguard-openid map` shows what it sees.";
    /// A rule has no answer.
    POLICY_UNEVALUABLE = "policy_unevaluable", AccountRejected, 403, retry false,
        "Your account can't be checked. Please tell your administrator.",
        "A rule of policy.rules can't be evaluated, or gives something else than true or false: the check names it. `defguard-openid map` shows what it sees.";
    /// The configuration can't be used.
    CONFIGURATION_INVALID = "configuration_invalid", Misconfigured, 500, retry false,
        "The sign-in isn't set up correctly. Please tell your administrator.",
        "Run `defguard-openid check`.";
    /// The storage failed.
    STORAGE_UNAVAILABLE = "storage_unavailable", StorageUnavailable, 503, retry true,
        "The sign-in can't go on right now. Please try again in a few minutes.",
        "The storage failed: see the check's detail.";
    /// No randomness, or a defect.
    INTERNAL = "internal", Internal, 500, retry true,
        "The sign-in failed inside. Please tell your administrator.",
        "A defect: please report it with the trace.";
}
