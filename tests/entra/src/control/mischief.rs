//! The ways in which the emulator can be told to lie: in ID tokens and token responses, and in its documents.
//! Only the vocabulary and the switches; `login::forge`, `login::spoiled_claims`, `login::discovery`, `login::key_set` and
//! `graph::userinfo` carry them out.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

/// One deviation of an ID token, or of the token response around it. Every variant is to be refused by a careful client,
/// except where its comment says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenMischief {
    // Audience and issuer
    /// `aud` is another app.
    WrongAudience,
    /// `aud` lists the client and another app, without `azp`.
    ForeignAudienceList,
    /// `aud` lists the client and another app, and `azp` is the other one.
    ForeignAudienceListAzp,
    /// `aud` is the client, `azp` another app.
    ForeignAzp,
    /// No `aud`.
    NoAudience,
    /// `iss` is on a foreign host.
    WrongIssuer,
    /// `iss` has a slash too many at the end.
    IssuerTrailingSlash,
    /// No `iss`.
    NoIssuer,

    // Tenant and subject
    /// `tid` is another tenant than the one in `iss`.
    WrongTenant,
    /// `tid` and the issuer's path say `organizations`.
    TidNotGuid,
    /// No `tid`.
    NoTid,
    /// A token of a foreign tenant (`iss`, `tid`), signed with a genuine key.
    ForeignTenantValidKey,
    /// No `oid`.
    NoOid,
    /// No `sub`.
    NoSub,
    /// `sub` is the empty string.
    EmptySub,
    /// `sub` is a number.
    NumericSub,

    // Nonce and times
    /// Another nonce than the one sent.
    WrongNonce,
    /// No nonce.
    NoNonce,
    /// `nonce` is an array that contains the right one.
    NonceArray,
    /// Ended an hour ago.
    Expired,
    /// `nbf` is in an hour.
    NotYetValid,
    /// `iat` is in an hour.
    IssuedInFuture,
    /// No `exp`.
    NoExpiry,
    /// `exp` is a string.
    ExpiryAsText,
    /// `exp` is 1e300.
    ExpiryHuge,
    /// No `iat`.
    NoIssuedAt,

    // Keys and algorithms
    /// Signed genuinely under a `kid` made up for this token: a different one each time.
    UnknownKid,
    /// Signed genuinely without `kid`.
    NoKid,
    /// `alg` is `none`, the signature empty.
    AlgNone,
    /// `alg` is `nOnE`, the signature empty.
    AlgNoneMixedCase,
    /// HS256 with the public key's DER as the secret.
    Hs256WithPublicKey,
    /// Signed with the published key of personal accounts, whose issuer is another.
    ForeignKey,
    /// Signed with an attacker's key under the genuine `kid`.
    StrangerKey,
    /// Genuine, but the key set lists a second key with the same `kid` first (stays so until mischief is cleared).
    DuplicateKid,
    /// PS256 with the genuine key.
    RequestedPs256,
    /// RS384 with the genuine key.
    RequestedRs384,
    /// One bit of the signature is flipped.
    BadSignature,
    /// The signature is empty, `alg` RS256.
    EmptySignature,

    // Header parameters that let a token bring its own rules
    /// `crit` names an extension.
    HeaderCrit,
    /// `jwk` brings the attacker's key, which signed.
    HeaderJwk,
    /// `jku` leads to the attacker's key set (served and logged at `/attacker/keys`); the attacker's key signed.
    HeaderJku,
    /// `x5u` leads to the attacker's certificate (`/attacker/certificate`); the attacker's key signed.
    HeaderX5u,
    /// `x5c` brings the attacker's certificate; the attacker's key signed.
    HeaderX5c,
    /// `zip` is `DEF`; signed genuinely.
    HeaderZip,
    /// `typ` is `at+jwt`: an access token (RFC 9068) in place of an ID token; signed genuinely.
    HeaderAccessTokenType,

    // Form
    /// The third part is missing.
    TruncatedToken,
    /// Five parts, as an encrypted token has.
    Jwe5Parts,
    /// Base64 padding at the end of each part.
    PaddedBase64,
    /// The payload is not JSON; signed genuinely.
    PayloadNotJson,
    /// The payload is a JSON array; signed genuinely.
    PayloadArray,
    /// `sub`, `email` and `oid` occur twice, the attacker's first; signed genuinely.
    DuplicateClaims,
    /// An unknown claim nests 5000 arrays; signed genuinely.
    DeepNesting,
    /// An unknown claim of 70 KiB; signed genuinely.
    OversizedToken,
    /// A token of the v1 endpoint; signed genuinely.
    V1Token,
    /// `at_hash` does not fit the access token.
    WrongAtHash,
    /// `at_hash` fits the access token. Entra does not send it from the token endpoint, but it is right: accept.
    RightAtHash,

    // The token response
    /// No `id_token` though `openid` was asked for.
    NoIdToken,
    /// `id_token` is the empty string.
    EmptyIdToken,
    /// `token_type` is `mac`.
    TokenTypeMac,
}

impl TokenMischief {
    /// Every variant, for tables that must leave none out.
    pub const ALL: &[Self] = &[
        Self::WrongAudience,
        Self::ForeignAudienceList,
        Self::ForeignAudienceListAzp,
        Self::ForeignAzp,
        Self::NoAudience,
        Self::WrongIssuer,
        Self::IssuerTrailingSlash,
        Self::NoIssuer,
        Self::WrongTenant,
        Self::TidNotGuid,
        Self::NoTid,
        Self::ForeignTenantValidKey,
        Self::NoOid,
        Self::NoSub,
        Self::EmptySub,
        Self::NumericSub,
        Self::WrongNonce,
        Self::NoNonce,
        Self::NonceArray,
        Self::Expired,
        Self::NotYetValid,
        Self::IssuedInFuture,
        Self::NoExpiry,
        Self::ExpiryAsText,
        Self::ExpiryHuge,
        Self::NoIssuedAt,
        Self::UnknownKid,
        Self::NoKid,
        Self::AlgNone,
        Self::AlgNoneMixedCase,
        Self::Hs256WithPublicKey,
        Self::ForeignKey,
        Self::StrangerKey,
        Self::DuplicateKid,
        Self::RequestedPs256,
        Self::RequestedRs384,
        Self::BadSignature,
        Self::EmptySignature,
        Self::HeaderCrit,
        Self::HeaderJwk,
        Self::HeaderJku,
        Self::HeaderX5u,
        Self::HeaderX5c,
        Self::HeaderZip,
        Self::HeaderAccessTokenType,
        Self::TruncatedToken,
        Self::Jwe5Parts,
        Self::PaddedBase64,
        Self::PayloadNotJson,
        Self::PayloadArray,
        Self::DuplicateClaims,
        Self::DeepNesting,
        Self::OversizedToken,
        Self::V1Token,
        Self::WrongAtHash,
        Self::RightAtHash,
        Self::NoIdToken,
        Self::EmptyIdToken,
        Self::TokenTypeMac,
    ];
}

/// One deviation of a claim that only matters to a client whose configuration makes something depend on it: on authentication
/// contexts, on the age of the session, on groups, on guests. The token is signed genuinely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimMischief {
    /// `acrs` is the text `c1` in place of a list.
    AcrsAsText,
    /// `acrs` lists `c1`, a number and `null`.
    AcrsWithNonTexts,
    /// No `auth_time` though configured.
    AuthTimeMissing,
    /// `auth_time` is a string.
    AuthTimeAsText,
    /// `auth_time` is in a year.
    AuthTimeInFuture,
    /// `groups` is one id as text in place of a list.
    GroupsAsText,
    /// `groups` lists an id, a number, `null` and an object.
    GroupsWithNonTexts,
    /// `groups` beside the markers of overage, which say that it is not complete.
    GroupsWithOverage,
    /// `acct` is the string `1`.
    AcctAsText,
    /// `acct` is 1: a guest.
    AcctGuest,
    /// `idp` is another tenant's token service: a guest, whatever `acct` says.
    IdpForeign,
    /// `tid` and `iss` are those of personal accounts, signed with the published key of that issuer.
    TidPersonal,
}

impl ClaimMischief {
    /// Every variant, for tables that must leave none out.
    pub const ALL: &[Self] = &[
        Self::AcrsAsText,
        Self::AcrsWithNonTexts,
        Self::AuthTimeMissing,
        Self::AuthTimeAsText,
        Self::AuthTimeInFuture,
        Self::GroupsAsText,
        Self::GroupsWithNonTexts,
        Self::GroupsWithOverage,
        Self::AcctAsText,
        Self::AcctGuest,
        Self::IdpForeign,
        Self::TidPersonal,
    ];
}

/// One deviation of a document that stays until it is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentMischief {
    /// `issuer` is on a foreign host.
    DiscoveryWrongIssuer,
    /// `issuer` is missing.
    DiscoveryNoIssuer,
    /// The endpoints are on another origin, one that answers and is logged: `http://localhost:<login port>`.
    DiscoveryForeignEndpoints,
    /// The endpoints are plain `http` on a host that is not loopback.
    DiscoveryPlainHttpEndpoints,
    /// The endpoints are on the link-local address of cloud metadata services.
    DiscoveryLinkLocalEndpoints,
    /// `token_endpoint` is missing.
    DiscoveryNoTokenEndpoint,
    /// `authorization_endpoint` is missing.
    DiscoveryNoAuthorizationEndpoint,
    /// `jwks_uri` is missing.
    DiscoveryNoJwksUri,
    /// `token_endpoint` is not a URL.
    DiscoveryTokenEndpointNotAUrl,
    /// `token_endpoint_auth_methods_supported` lists `client_secret_basic` alone. Honest.
    DiscoveryOnlyBasic,
    /// `token_endpoint_auth_methods_supported` is missing: `client_secret_basic` by default (Discovery section 3). Honest.
    DiscoveryNoAuthMethods,
    /// `userinfo_endpoint` is missing. Honest.
    DiscoveryNoUserinfo,
    /// The key set has no keys.
    KeySetEmpty,
    /// The keys carry no `issuer`, as other providers' keys. Honest.
    KeySetNoIssuers,
    /// The keys carry the issuer of another tenant.
    KeySetForeignIssuers,
    /// An attacker's key stands first under the `kid` of the signing key.
    KeySetDuplicateKid,
    /// The keys are for encryption (`use` is `enc`).
    KeySetForEncryption,
    /// Keys of unknown types and broken entries stand among the good ones, which must still be found. Honest.
    KeySetUnknownTypes,
    /// 1000 further keys stand before the good ones.
    KeySetHuge,
    /// Userinfo's `sub` is another person's.
    UserinfoOtherSubject,
    /// Userinfo has no `sub`.
    UserinfoNoSubject,
}

/// Orders to spoil token responses: for the next ones, or for all that have none of their own.
#[derive(Debug)]
struct Orders<T> {
    once: VecDeque<T>,
    always: Option<T>,
}

impl<T> Default for Orders<T> {
    fn default() -> Self {
        Self { once: VecDeque::new(), always: None }
    }
}

impl<T: Copy> Orders<T> {
    fn take(&mut self) -> Option<T> {
        self.once.pop_front().or(self.always)
    }
}

/// Which switches are on.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    tokens: Orders<TokenMischief>,
    claims: Orders<ClaimMischief>,
    documents: BTreeSet<DocumentMischief>,
}

impl Switches {
    /// Spoils the next token response; several queue up.
    pub(crate) fn once(&mut self, mischief: TokenMischief) {
        self.needs(mischief);
        self.tokens.once.push_back(mischief);
    }

    /// Spoils every token response that has none queued.
    pub(crate) fn always(&mut self, mischief: TokenMischief) {
        self.needs(mischief);
        self.tokens.always = Some(mischief);
    }

    /// Some token mischief only means something with a document to match.
    fn needs(&mut self, mischief: TokenMischief) {
        if mischief == TokenMischief::DuplicateKid {
            self.documents.insert(DocumentMischief::KeySetDuplicateKid);
        }
    }

    /// What to do to the token response that is being made.
    pub(crate) fn take(&mut self) -> Option<TokenMischief> {
        self.tokens.take()
    }

    /// Spoils a claim of the next token response; several queue up.
    pub(crate) fn claims_once(&mut self, mischief: ClaimMischief) {
        self.claims.once.push_back(mischief);
    }

    /// Spoils a claim of every token response that has none queued.
    pub(crate) fn claims_always(&mut self, mischief: ClaimMischief) {
        self.claims.always = Some(mischief);
    }

    /// Which claim of the token response that is being made to spoil.
    pub(crate) fn take_claims(&mut self) -> Option<ClaimMischief> {
        self.claims.take()
    }

    /// Switches a document's deviation.
    pub(crate) fn set_document(&mut self, mischief: DocumentMischief, on: bool) {
        if on {
            self.documents.insert(mischief);
        } else {
            self.documents.remove(&mischief);
        }
    }

    /// Whether a document's deviation is on.
    pub(crate) fn document(&self, mischief: DocumentMischief) -> bool {
        self.documents.contains(&mischief)
    }
}
