//! Whom an assertion is for. The rule against audience injection (CVE-2025-27370, CVE-2025-27371): a document that a
//! provider publishes never chooses `aud`, or a malicious provider could have us sign assertions for an honest one. It is
//! configured; where Entra has an endpoint for each tenant, it is that endpoint at the configured login host.

use std::borrow::Cow;

use url::Url;

use super::UseError;

/// How administrators write the tenant that is to be filled in; as `base_url` in the component, which checks it.
const PLACEHOLDERS: [&str; 4] = ["<TENANT_ID>", "{TENANT_ID}", "{tenant}", "%3CTENANT_ID%3E"];
/// Added to an issuer by people who copy the discovery address.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

/// Whom assertions are for, and where they may be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audience(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// This token endpoint, or another tenant's at the same host.
    Entra(Url),
    /// Always this text; the credential's origins bound where it goes.
    Configured(String),
}

impl Audience {
    /// Entra's token endpoint (its documentation of certificate credentials): `base_url` as the administrator wrote it,
    /// `tenant` in its placeholder. None if that is no URL.
    pub fn entra(base_url: &str, tenant: Option<&str>) -> Option<Self> {
        let filled = fill(base_url.trim(), tenant);
        let mut url = Url::parse(&filled).ok().filter(Url::has_host)?;
        let path = without_well_known(url.path());
        let authority = path.strip_suffix("/v2.0").unwrap_or(path);
        let path = format!("{authority}/oauth2/v2.0/token");
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        Some(Self(Kind::Entra(url)))
    }

    /// One value for all requests: the issuer, or the token endpoint's URL (RFC 7523 section 3 (3)).
    pub fn configured(audience: &str) -> Self {
        Self(Kind::Configured(audience.to_owned()))
    }

    /// The issuer that `base_url` names, to the letter: whether it ends with a slash is the administrator's word.
    pub fn issuer(base_url: &str) -> Self {
        Self::configured(base_url.trim().strip_suffix(WELL_KNOWN).unwrap_or(base_url.trim()))
    }

    /// The `aud` of an assertion that goes to `url`, or why none goes there.
    pub fn of_request<'a>(&'a self, url: &'a Url) -> Result<&'a str, UseError> {
        match &self.0 {
            Kind::Configured(audience) => Ok(audience),
            Kind::Entra(endpoint) if endpoint == url => Ok(endpoint.as_str()),
            Kind::Entra(endpoint) if endpoint.origin() == url.origin() && is_token_endpoint(url) => Ok(url.as_str()),
            Kind::Entra(endpoint) => Err(UseError::Request(format!(
                "a signed assertion goes to {endpoint} only, or to another tenant's token endpoint at that host; this \
                 request goes to {}{}",
                url.origin().ascii_serialization(),
                url.path(),
            ))),
        }
    }
}

fn fill<'a>(base_url: &'a str, tenant: Option<&str>) -> Cow<'a, str> {
    let lower = base_url.to_ascii_lowercase();
    let parts = PLACEHOLDERS.iter().find_map(|placeholder| {
        let at = lower.find(&placeholder.to_ascii_lowercase())?;
        Some((base_url.get(..at)?, base_url.get(at + placeholder.len()..)?))
    });
    match (parts, tenant) {
        (Some((before, after)), Some(tenant)) => Cow::Owned(format!("{before}{tenant}{after}")),
        _ => Cow::Borrowed(base_url),
    }
}

fn without_well_known(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.strip_suffix(WELL_KNOWN).unwrap_or(path).trim_end_matches('/')
}

/// Exactly `/{tenant}/oauth2/v2.0/token`, without a query: the tenant a GUID, a domain or one of Microsoft's words.
fn is_token_endpoint(url: &Url) -> bool {
    let Some(tenant) = url.path().strip_prefix('/').and_then(|path| path.strip_suffix("/oauth2/v2.0/token")) else {
        return false;
    };
    let is_tenant = !tenant.is_empty()
        && tenant.len() <= 253
        && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    is_tenant
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "11111111-1111-4111-8111-111111111111";

    #[test]
    fn entras_token_endpoint_from_the_configuration() {
        let of_guid = "https://login.example/11111111-1111-4111-8111-111111111111/oauth2/v2.0/token";
        let table: [(&str, &str, Option<&str>, &str); 8] = [
            ("written out", "https://login.example/11111111-1111-4111-8111-111111111111/v2.0", None, of_guid),
            ("placeholder of Defguard", "https://login.example/<TENANT_ID>/v2.0", Some(GUID), of_guid),
            ("placeholder in braces", "https://login.example/{tenant}/v2.0/", Some(GUID), of_guid),
            ("placeholder from a browser", "https://login.example/%3ctenant_id%3E/v2.0", Some(GUID), of_guid),
            (
                "discovery address",
                "https://login.example/organizations/v2.0/.well-known/openid-configuration",
                None,
                "https://login.example/organizations/oauth2/v2.0/token",
            ),
            (
                "domain",
                " https://login.example/contoso.example/v2.0 ",
                None,
                "https://login.example/contoso.example/oauth2/v2.0/token",
            ),
            ("port", "http://127.0.0.1:9101/common/v2.0", None, "http://127.0.0.1:9101/common/oauth2/v2.0/token"),
            (
                "default port",
                "https://login.example:443/common/v2.0",
                None,
                "https://login.example/common/oauth2/v2.0/token",
            ),
        ];
        for (name, base_url, tenant, expected) in table {
            let audience = Audience::entra(base_url, tenant).unwrap();
            assert_eq!(audience.of_request(&Url::parse(expected).unwrap()), Ok(expected), "{name}: {audience:?}");
            assert_eq!(audience, Audience(Kind::Entra(Url::parse(expected).unwrap())), "{name}");
        }
        assert_eq!(Audience::entra("login.example/common/v2.0", None), None, "no URL");
    }

    #[test]
    fn where_an_assertion_for_entra_goes() {
        let audience = Audience::entra(&format!("https://login.example/{GUID}/v2.0"), None).unwrap();
        let table = [
            ("another tenant", "https://login.example/55555555-5555-4555-8555-555555555555/oauth2/v2.0/token", true),
            ("a domain", "https://login.example/contoso.example/oauth2/v2.0/token", true),
            ("another host", "https://evil.example/common/oauth2/v2.0/token", false),
            ("another port", "https://login.example:444/common/oauth2/v2.0/token", false),
            ("plain http", "http://login.example/common/oauth2/v2.0/token", false),
            ("the old endpoint", "https://login.example/common/oauth2/token", false),
            ("another endpoint", "https://login.example/common/oauth2/v2.0/devicecode", false),
            ("a prefix", "https://login.example/x/common/oauth2/v2.0/token", false),
            ("a suffix", "https://login.example/common/oauth2/v2.0/token/x", false),
            ("a slash at the end", "https://login.example/common/oauth2/v2.0/token/", false),
            ("no tenant", "https://login.example//oauth2/v2.0/token", false),
            ("an encoded slash", "https://login.example/a%2Fb/oauth2/v2.0/token", false),
            ("a query", "https://login.example/common/oauth2/v2.0/token?x=y", false),
            ("an empty query", "https://login.example/common/oauth2/v2.0/token?", false),
            ("upper case", "https://login.example/common/OAuth2/v2.0/token", false),
        ];
        for (name, url, goes) in table {
            let parsed = Url::parse(url).unwrap();
            match audience.of_request(&parsed) {
                Ok(aud) => assert!(goes && aud == url, "{name}: {aud}"),
                Err(UseError::Request(reason)) => {
                    assert!(
                        !goes && reason.contains(&format!("https://login.example/{GUID}/oauth2/v2.0/token")),
                        "{name}: {reason}"
                    );
                }
                Err(error) => panic!("{name}: {error:?}"),
            }
        }
    }

    #[test]
    fn elsewhere_it_is_what_is_configured_wherever_it_goes() {
        let anywhere = Url::parse("https://op.example/whatever/the/document/says").unwrap();
        let table = [
            ("the issuer", Audience::issuer("https://op.example/realm"), "https://op.example/realm"),
            ("the issuer with its slash", Audience::issuer("https://op.example/"), "https://op.example/"),
            (
                "the discovery address",
                Audience::issuer("https://op.example/.well-known/openid-configuration"),
                "https://op.example",
            ),
            ("written out", Audience::configured("https://op.example/token"), "https://op.example/token"),
        ];
        for (name, audience, expected) in table {
            assert_eq!(audience.of_request(&anywhere), Ok(expected), "{name}");
        }
    }
}
