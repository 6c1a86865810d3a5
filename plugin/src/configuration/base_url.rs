//! `base_url`, as administrators write it: with Defguard's `<TENANT_ID>`, with or without a slash at the end, with the
//! whole discovery address. The right URL comes out, or a sentence that says what to write.

use url::{Host, Url};

use super::provider::{Authority, ProviderKind};
use super::reader::Reader;
use crate::entra::{MSA_TENANT, TenantId, is_domain};

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
const WHERE_THE_ID_IS: &str = "the Directory (tenant) ID on the application's Overview page";
/// Authorities of several tenants, and of personal accounts.
const WELL_KNOWN_TENANTS: [&str; 3] = ["organizations", "common", "consumers"];
/// How the placeholder is written, the last one by people who copy from a browser.
const PLACEHOLDERS: [&str; 4] = ["<TENANT_ID>", "{TENANT_ID}", "{tenant}", "%3CTENANT_ID%3E"];

/// What `base_url` and `tenant` come to.
pub(super) struct Base {
    /// Without a slash at the end.
    pub(super) url: String,
    pub(super) authority: Authority,
}

pub(super) fn read(reader: &mut Reader, kind: ProviderKind, loopback: bool) -> Option<Base> {
    let written = reader.required("base_url", "Entra: \"https://login.microsoftonline.com/<TENANT_ID>/v2.0\"")?;
    let tenant = reader.text("tenant");
    if let Some(tenant) = tenant.as_deref().filter(|tenant| kind == ProviderKind::Microsoft && !is_tenant(tenant)) {
        // Before it is put into a URL, which would escape what is wrong with it.
        reader.error("tenant", format!("{tenant:?} is neither a GUID nor a domain"), WHERE_THE_ID_IS);
        return None;
    }
    let filled = fill(reader, &written, tenant.as_deref())?;
    let url = parse(reader, &filled, loopback)?;
    let path = clean_path(reader, &url);
    let url = format!("{}{path}", url.origin().ascii_serialization());
    let authority = match kind {
        ProviderKind::Oidc => {
            if tenant.is_some() && filled == written {
                reader.error("tenant", "base_url has no <TENANT_ID> to fill", "leave tenant out for kind = \"oidc\"");
            }
            Authority::Issuer
        }
        ProviderKind::Microsoft => authority(reader, &path, tenant.as_deref())?,
    };
    Some(Base { url, authority })
}

fn is_tenant(text: &str) -> bool {
    TenantId::parse(text).is_some()
        || is_domain(text)
        || WELL_KNOWN_TENANTS.iter().any(|name| name.eq_ignore_ascii_case(text))
}

fn fill(reader: &mut Reader, written: &str, tenant: Option<&str>) -> Option<String> {
    let lower = written.to_ascii_lowercase();
    let placeholder = PLACEHOLDERS.iter().find_map(|placeholder| {
        let at = lower.find(&placeholder.to_ascii_lowercase())?;
        Some((written.get(..at)?, written.get(at + placeholder.len()..)?))
    });
    match (placeholder, tenant) {
        (None, _) => Some(written.to_owned()),
        (Some((before, after)), Some(tenant)) => Some(format!("{before}{tenant}{after}")),
        (Some(_), None) => {
            let hint = "set tenant = \"…\" to the Directory (tenant) ID on the application's Overview page, or write it into base_url";
            reader.error("base_url", "the placeholder <TENANT_ID> isn't filled", hint);
            None
        }
    }
}

fn parse(reader: &mut Reader, text: &str, loopback: bool) -> Option<Url> {
    if text.starts_with("https:://") || text.starts_with("http:://") {
        reader.error("base_url", format!("{text:?} has a colon too many"), "write https:// with one colon");
        return None;
    }
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            reader.error("base_url", format!("{text:?} isn't a URL: {error}"), "https://host/path");
            return None;
        }
    };
    if !is_allowed(&url, loopback) {
        let hint = "http is for loopback addresses in development only";
        reader.error("base_url", format!("{text:?} isn't an https address"), hint);
        return None;
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        reader.error("base_url", "it has user information, a query or a fragment", "https://host/path");
        return None;
    }
    Some(url)
}

/// `https`, or plain `http` to a loopback host in development.
pub(crate) fn is_allowed(url: &Url, loopback: bool) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && loopback && is_loopback)
}

fn clean_path(reader: &mut Reader, url: &Url) -> String {
    let mut path = url.path().trim_end_matches('/');
    if let Some(issuer) = path.strip_suffix(WELL_KNOWN) {
        reader.warning(
            "base_url",
            format!("it ends with {WELL_KNOWN}, which is added by itself"),
            "leave that part out",
        );
        path = issuer.trim_end_matches('/');
    }
    path.to_owned()
}

/// The path of an Entra authority is `/{tenant}/v2.0`.
fn authority(reader: &mut Reader, path: &str, tenant: Option<&str>) -> Option<Authority> {
    let hint = "https://login.microsoftonline.com/<TENANT_ID>/v2.0";
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let segment = match segments.as_slice() {
        [segment, "v2.0"] => *segment,
        [segment] if *segment != "v2.0" => {
            reader.error("base_url", format!("its path is {path:?}: without /v2.0 that is the old v1 endpoint"), hint);
            return None;
        }
        ["v2.0"] | [] => {
            reader.error("base_url", format!("its path is {path:?}: the tenant is missing"), hint);
            return None;
        }
        _ => {
            reader.error("base_url", format!("its path is {path:?}, expected /TENANT/v2.0"), hint);
            return None;
        }
    };
    if let Some(tenant) = tenant.filter(|tenant| !tenant.eq_ignore_ascii_case(segment)) {
        let message = format!("it is {tenant:?}, but base_url names {segment:?}");
        reader.error("tenant", message, "write <TENANT_ID> in base_url, or leave tenant out");
        return None;
    }
    let allowed = allowed_tenants(reader);
    match segment.to_ascii_lowercase().as_str() {
        "organizations" | "common" => {
            if allowed.is_empty() {
                let message = format!("it is empty, and {segment} lets every tenant in the world sign in");
                reader.error(
                    "allowed_tenants",
                    message,
                    "list the GUIDs of the tenants that may enroll, or use one tenant's GUID in base_url",
                );
                return None;
            }
            Some(Authority::Several(allowed))
        }
        other => {
            if reader.has("allowed_tenants") {
                reader.error("allowed_tenants", "base_url names one tenant already", "leave one of the two out");
                return None;
            }
            match TenantId::parse(if other == "consumers" { MSA_TENANT } else { other }) {
                Some(tenant) => Some(Authority::Tenant(tenant)),
                None if is_domain(other) => Some(Authority::Domain(other.to_owned())),
                None => {
                    let key = if tenant.is_some() { "tenant" } else { "base_url" };
                    reader.error(key, format!("{segment:?} is neither a GUID nor a domain"), WHERE_THE_ID_IS);
                    None
                }
            }
        }
    }
}

fn allowed_tenants(reader: &mut Reader) -> Vec<TenantId> {
    let mut tenants = Vec::new();
    for text in reader.list("allowed_tenants").unwrap_or_default() {
        match TenantId::parse(&text) {
            Some(tenant) => tenants.push(tenant),
            None => reader.error(
                "allowed_tenants",
                format!("{text:?} isn't a tenant's GUID"),
                "domains can change hands: list GUIDs",
            ),
        }
    }
    tenants
}
