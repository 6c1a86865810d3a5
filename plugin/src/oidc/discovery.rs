//! OpenID Connect Discovery 1.0 (section 4) and RFC 8414: where the provider's endpoints are. What the document says is
//! believed only as far as it fits the configuration; for Entra see entra_graph §1.

use serde::{Deserialize, Serialize};
use url::Url;

use super::fetch::Document;
use super::id_token::{EntraExpectations, ExpectedIssuer, fill};
use crate::capability::{ClientAuthentication, World};
use crate::configuration::{Authority, Provider};
use crate::entra::TenantId;
use crate::json;
use crate::login::refusal::{self, Refusal};
use crate::login::trace::Trace;

/// The most that is read, in bytes; Entra's has 2 KiB.
const MAX_BYTES: u32 = 256 << 10;
/// The trace's name.
const CHECK: &str = "discovery";

/// What a sign-in must know of a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// What ID tokens must say.
    pub issuer: ExpectedIssuer,
    /// Where browsers go.
    pub authorization_endpoint: String,
    /// Where codes are redeemed.
    pub token_endpoint: String,
    /// Where the keys are.
    pub jwks_uri: String,
    /// Where userinfo is.
    pub userinfo_endpoint: Option<String>,
    /// What the token endpoint takes; RFC 8414: Basic, if it doesn't say.
    pub authentication: Vec<ClientAuthentication>,
    /// RFC 9207: whether callbacks bring `iss`.
    pub sends_issuer: bool,
    /// Where requests are pushed (RFC 9126 section 5).
    pub pushed_request_endpoint: Option<String>,
    /// Whether they must be.
    pub requires_pushed_requests: bool,
    /// How answers may be sent; `None`: the document doesn't say, which means query and fragment.
    pub response_modes: Option<Vec<String>>,
    /// For Entra.
    pub entra: Option<EntraExpectations>,
}

/// The members that are read; kept, it was checked, and its addresses are in the form that the URL Standard gives them.
#[derive(Serialize, Deserialize)]
struct RawDocument {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    pushed_authorization_request_endpoint: Option<String>,
    #[serde(default)]
    require_pushed_authorization_requests: bool,
    response_modes_supported: Option<Vec<String>>,
}

/// The provider's metadata, from the cache or the provider.
pub fn metadata(world: World<'_>, provider: &Provider, trace: &mut Trace) -> Result<Metadata, Refusal> {
    let (url, key) = (address(provider), cache_key(provider, "discovery"));
    let document = Document { key: &key, name: CHECK, url: &url, max_bytes: MAX_BYTES };
    // What makes the check come out otherwise is in the provider's fingerprint, and so in the cache's key.
    let document = document.get(world, &|body| checked(provider, parse(body)?))?;
    let metadata = read(provider, document)?;
    trace.pass(CHECK, provider.base_url.as_str());
    Ok(metadata)
}

/// The metadata as the provider has it now, past the cache, and the time that its answer bears (RFC 9110 section 6.6.1).
pub fn probe(world: World<'_>, provider: &Provider) -> Result<(Metadata, Option<String>), Refusal> {
    let url = address(provider);
    let response = Document { key: "", name: CHECK, url: &url, max_bytes: MAX_BYTES }.request(world)?;
    let document = checked(provider, parse(&response.body)?)?;
    Ok((read(provider, document)?, response.header("date").map(str::to_owned)))
}

/// Section 4.1 of Discovery: the well-known path after the issuer; Entra's `appid` where the configuration wants it.
fn address(provider: &Provider) -> String {
    let mut url = format!("{}/.well-known/openid-configuration", provider.base_url);
    if provider.app_id_in_discovery {
        url.push_str("?appid=");
        url.extend(url::form_urlencoded::byte_serialize(provider.client_id.as_bytes()));
    }
    url
}

/// Keys in the cache belong to one configuration: another one doesn't meet them.
pub(crate) fn cache_key(provider: &Provider, name: &str) -> String {
    format!("{name}/{}", provider.fingerprint.get(..16).unwrap_or_default())
}

fn parse(body: &[u8]) -> Result<RawDocument, Refusal> {
    json::object(body).map_err(|error| {
        // serde's text names the missing member; of a value it says the type only.
        let reason = match error.classify() {
            serde_json::error::Category::Data => error.to_string(),
            _ => "it isn't JSON".to_owned(),
        };
        Refusal::new(&refusal::PROVIDER_ANSWER, CHECK, format!("the discovery document can't be used: {reason}"))
    })
}

/// The document, if it can be believed.
fn checked(provider: &Provider, mut document: RawDocument) -> Result<RawDocument, Refusal> {
    issuer(provider, &document.issuer)?;
    let endpoints = [
        ("authorization_endpoint", Some(&mut document.authorization_endpoint)),
        ("token_endpoint", Some(&mut document.token_endpoint)),
        ("jwks_uri", Some(&mut document.jwks_uri)),
        ("userinfo_endpoint", document.userinfo_endpoint.as_mut()),
        ("pushed_authorization_request_endpoint", document.pushed_authorization_request_endpoint.as_mut()),
    ];
    for (name, url) in endpoints {
        if let Some(url) = url {
            *url = endpoint(provider, name, url)?.into();
        }
    }
    Ok(document)
}

fn read(provider: &Provider, document: RawDocument) -> Result<Metadata, Refusal> {
    let (issuer, entra) = issuer(provider, &document.issuer)?;
    let authentication = document.token_endpoint_auth_methods_supported.map_or_else(
        || vec![ClientAuthentication::SecretBasic],
        |names| names.iter().filter_map(|name| ClientAuthentication::from_name(name)).collect(),
    );
    Ok(Metadata {
        issuer,
        authorization_endpoint: document.authorization_endpoint,
        token_endpoint: document.token_endpoint,
        jwks_uri: document.jwks_uri,
        userinfo_endpoint: document.userinfo_endpoint,
        authentication,
        sends_issuer: document.authorization_response_iss_parameter_supported,
        pushed_request_endpoint: document.pushed_authorization_request_endpoint,
        requires_pushed_requests: document.require_pushed_authorization_requests,
        response_modes: document.response_modes_supported,
        entra,
    })
}

/// Whose document it is (OpenID Connect Discovery section 4.3), and what follows for tokens.
fn issuer(provider: &Provider, found: &str) -> Result<(ExpectedIssuer, Option<EntraExpectations>), Refusal> {
    let mismatch = |expected: &str| {
        let detail = format!("the document's issuer is {found:?}, expected {expected:?} by base_url");
        Refusal::new(&refusal::DISCOVERY_MISMATCH, CHECK, detail)
    };
    let one = |tenant: TenantId| {
        Ok((ExpectedIssuer::Exact(found.to_owned()), Some(EntraExpectations { tenant: Some(tenant) })))
    };
    let origin = provider.origin();
    match &provider.authority {
        // Some issuers end with a slash; tokens then must as well, so the document's form counts.
        Authority::Issuer if found.trim_end_matches('/') == provider.base_url => {
            Ok((ExpectedIssuer::Exact(found.to_owned()), None))
        }
        Authority::Issuer => Err(mismatch(&provider.base_url)),
        Authority::Tenant(tenant) => {
            let expected = format!("{origin}/{tenant}/v2.0");
            if found == expected { one(tenant.clone()) } else { Err(mismatch(&expected)) }
        }
        Authority::Domain(_) => {
            let expected = format!("{origin}/{{the tenant's GUID}}/v2.0");
            let tenant = found
                .strip_prefix(&format!("{origin}/"))
                .and_then(|rest| rest.strip_suffix("/v2.0"))
                .and_then(TenantId::parse);
            // The written form counts later on: it must be the canonical one.
            match tenant.filter(|tenant| found == format!("{origin}/{tenant}/v2.0")) {
                Some(tenant) => one(tenant),
                None => Err(mismatch(&expected)),
            }
        }
        Authority::Several(tenants) => {
            let expected = format!("{origin}/{{tenantid}}/v2.0");
            if !found.eq_ignore_ascii_case(&expected) {
                return Err(mismatch(&expected));
            }
            let issuer = ExpectedIssuer::Template { template: found.to_owned(), tenants: tenants.clone() };
            Ok((issuer, Some(EntraExpectations { tenant: None })))
        }
    }
}

/// An endpoint's URL: https, without user information and fragment (RFC 6749 section 3.1); Entra's are all on the host of
/// base_url, but for userinfo, which is Graph's. The host's allow-list stands behind this.
fn endpoint(provider: &Provider, name: &'static str, text: &str) -> Result<Url, Refusal> {
    let bad =
        |reason: String| Refusal::new(&refusal::PROVIDER_ANSWER, CHECK, format!("the document's {name} {reason}"));
    let shown = text.chars().take(256).collect::<String>();
    let url = Url::parse(text).map_err(|error| bad(format!("{shown:?} isn't a URL: {error}")))?;
    if !provider.allows_scheme(&url) {
        return Err(bad(format!("{shown:?} isn't an https address")));
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(bad(format!("{shown:?} has user information or a fragment")));
    }
    if provider.is_microsoft() {
        let origin = url.origin().ascii_serialization();
        let login = provider.origin();
        let allowed = match name {
            "userinfo_endpoint" => provider.graph_origin.as_deref() == Some(origin.as_str()) || origin == login,
            _ => origin == login,
        };
        if !allowed {
            return Err(bad(format!("{shown:?} isn't on {login}")));
        }
    }
    Ok(url)
}

impl Metadata {
    /// The issuers that a callback's `iss` may name (RFC 9207 section 2.4).
    pub fn callback_issuers(&self) -> Vec<String> {
        match &self.issuer {
            ExpectedIssuer::Exact(issuer) => vec![issuer.clone()],
            ExpectedIssuer::Template { template, tenants } => {
                tenants.iter().map(|tenant| fill(template, Some(tenant))).collect()
            }
        }
    }
}
