//! A provider's configuration, parsed: whoever holds a [`Provider`] needn't look for mistakes again.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::Problem;
use super::base_url::{self, is_allowed};
use super::groups::{self, GroupsConfig};
use super::mapping::{self, Mapping};
use super::policy::{self, Linking, Policy};
use super::reader::Reader;
use super::sign_in::{self, SignIn};
use crate::capability::ClientAuthentication;
use crate::entra::TenantId;
use crate::jose::SigningAlgorithm;

/// What sort of provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// Microsoft Entra ID.
    Microsoft,
    /// Any compliant OpenID provider.
    Oidc,
}

/// Who may sign in, as `base_url` says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Not Entra: the issuer is all there is.
    Issuer,
    /// One tenant.
    Tenant(TenantId),
    /// One tenant, by a domain: discovery tells which.
    Domain(String),
    /// `organizations` or `common`, and these of them.
    Several(Vec<TenantId>),
}

/// When userinfo is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserinfoUse {
    /// When the ID token lacks what is required.
    WhenNeeded,
    /// At every login.
    Always,
    /// Not at all.
    Never,
}

/// A provider that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its name.
    pub id: String,
    /// What sort.
    pub kind: ProviderKind,
    /// Without a slash at the end.
    pub base_url: String,
    /// Who may sign in.
    pub authority: Authority,
    /// RFC 6749 section 2.2.
    pub client_id: String,
    /// What ID tokens may be signed with.
    pub algorithms: Vec<SigningAlgorithm>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// `prompt`.
    pub prompt: Option<String>,
    /// `login_hint`.
    pub login_hint: Option<String>,
    /// `domain_hint`.
    pub domain_hint: Option<String>,
    /// Goes before what discovery says.
    pub authentication: Option<ClientAuthentication>,
    /// `?appid=` on discovery.
    pub app_id_in_discovery: bool,
    /// Microsoft Graph's origin.
    pub graph_origin: Option<String>,
    /// When userinfo is asked.
    pub userinfo: UserinfoUse,
    /// How a sign-in is asked for, and who may come back.
    pub sign_in: SignIn,
    /// Where group membership comes from.
    pub groups: GroupsConfig,
    /// How claims become an identity.
    pub mapping: Mapping,
    /// Who is let in.
    pub policy: Policy,
    /// Which existing account may be theirs.
    pub linking: Linking,
    /// Whether plain HTTP to loopback addresses is allowed.
    pub loopback: bool,
    /// Of what makes it another provider or another client, or lets it be elsewhere: a transaction that began under another one isn't
    /// finished, and documents of another one, which were checked against that, aren't met in the cache. A new label on the button
    /// changes nothing.
    pub fingerprint: String,
}

impl Provider {
    /// The properties of Graph's user that a sign-in may want.
    pub fn directory_properties(&self) -> Vec<&str> {
        self.mapping.directory_properties(&self.policy)
    }

    /// The origin of `base_url`, which is that and a path.
    pub fn origin(&self) -> &str {
        let authority = self.base_url.find("://").map_or(0, |scheme| scheme + 3);
        let path = self.base_url.get(authority..).and_then(|rest| rest.find('/'));
        path.and_then(|path| self.base_url.get(..authority + path)).unwrap_or(&self.base_url)
    }

    /// Whether it is Entra.
    pub fn is_microsoft(&self) -> bool {
        self.kind == ProviderKind::Microsoft
    }

    /// Whether a URL may be requested: https, or loopback in development.
    pub fn allows_scheme(&self, url: &Url) -> bool {
        is_allowed(url, self.loopback)
    }
}

/// Microsoft's clouds: login host and Graph's (national cloud deployments).
const CLOUDS: [(&str, &str, &str); 4] = [
    ("global", "login.microsoftonline.com", "https://graph.microsoft.com"),
    ("us-gov", "login.microsoftonline.us", "https://graph.microsoft.us"),
    ("us-gov-dod", "login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    ("china", "login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
];

pub(super) fn read(object: Map<String, Value>) -> (Option<Provider>, Vec<Problem>) {
    let mut reader = Reader::new(object);
    let provider = read_all(&mut reader);
    (provider, reader.problems)
}

fn read_all(reader: &mut Reader) -> Option<Provider> {
    let id = reader.required("id", "");
    // The host shows it; here only its type is looked at.
    reader.text("display_name");
    let kind = kind(reader);
    let loopback = reader.flag("development_loopback");
    let client_id = reader.required("client_id", "the Application (client) ID on the application's Overview page");
    if let Some(client_id) = &client_id {
        check_parameter(reader, "client_id", client_id);
    }
    // Read without condition, so that every problem is told at once.
    let kind_or_oidc = kind.unwrap_or(ProviderKind::Oidc);
    let base = base_url::read(reader, kind_or_oidc, loopback);
    let graph_origin = cloud(reader, kind_or_oidc, base.as_ref().map(|base| base.url.as_str()), loopback);
    let algorithms = algorithms(reader, kind_or_oidc);
    let scopes = scopes(reader);
    let hints = hints(reader);
    let authentication = authentication(reader);
    let userinfo = reader.choice(
        "userinfo",
        &[("when-needed", UserinfoUse::WhenNeeded), ("always", UserinfoUse::Always), ("never", UserinfoUse::Never)],
    );
    let app_id_in_discovery = reader.flag("app_id_in_discovery");
    let sign_in = sign_in::read(reader, kind_or_oidc, base.as_ref().map(|base| &base.authority));
    let policy = policy::read(reader, kind_or_oidc);
    let mapping = mapping::read(reader, kind_or_oidc);
    let groups = groups::read(reader, kind_or_oidc, &|claim| policy.needs_groups(&mapping, claim));
    let linking = policy::read_linking(reader);
    if kind == Some(ProviderKind::Oidc) && policy.needs("directory") {
        let hint = "name its fields one by one, and none of directory";
        reader.error(
            "policy.rules",
            "a rule reads directory, or everything at once: kind = \"oidc\" has no directory",
            hint,
        );
    }
    if userinfo == Some(UserinfoUse::Never) && policy.needs("userinfo") {
        reader.error("policy.rules", "a rule reads userinfo, which is never asked", "userinfo = \"when-needed\"");
    }
    let (base, kind, client_id) = (base?, kind?, client_id?);
    let fingerprint = fingerprint(kind, &base.url, &client_id, app_id_in_discovery, graph_origin.as_deref(), loopback);
    Some(Provider {
        id: id?,
        kind,
        base_url: base.url,
        authority: base.authority,
        client_id,
        algorithms: algorithms?,
        scopes: scopes?,
        prompt: hints.0,
        login_hint: hints.1,
        domain_hint: hints.2,
        authentication,
        app_id_in_discovery,
        graph_origin,
        userinfo: userinfo.unwrap_or(UserinfoUse::WhenNeeded),
        sign_in,
        groups,
        mapping,
        policy,
        linking,
        loopback,
        fingerprint,
    })
}

fn fingerprint(
    kind: ProviderKind,
    base_url: &str,
    client_id: &str,
    app_id_in_discovery: bool,
    graph_origin: Option<&str>,
    loopback: bool,
) -> String {
    // Neither a URL nor a client_id has a line break: it separates.
    let graph = graph_origin.unwrap_or_default();
    let text = format!("{kind:?}\n{base_url}\n{client_id}\n{app_id_in_discovery}\n{graph}\n{loopback}");
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes()))
}

fn kind(reader: &mut Reader) -> Option<ProviderKind> {
    if !reader.has("kind") {
        reader.error("kind", "missing", "\"microsoft\" or \"oidc\"");
    }
    reader.choice("kind", &[("microsoft", ProviderKind::Microsoft), ("oidc", ProviderKind::Oidc)])
}

/// What goes into a URL or form as it is: visible ASCII and spaces, at most 320 bytes.
fn check_parameter(reader: &mut Reader, path: &str, text: &str) {
    if text.len() > 320 || text.chars().any(char::is_control) {
        reader.error(path, "it has control characters, or more than 320 bytes", "");
    }
}

/// The cloud fixes login host and Graph together: tokens of one aren't good in another.
fn cloud(reader: &mut Reader, kind: ProviderKind, base_url: Option<&str>, loopback: bool) -> Option<String> {
    if kind == ProviderKind::Oidc {
        for key in ["allowed_tenants", "cloud", "login_url", "graph_url", "domain_hint", "app_id_in_discovery"] {
            if reader.has(key) {
                reader.error(key, "it is for kind = \"microsoft\" only", "leave it out");
            }
        }
        return None;
    }
    let choices: Vec<(&str, &str)> =
        CLOUDS.iter().map(|(name, ..)| (*name, *name)).chain([("custom", "custom")]).collect();
    let name = if reader.has("cloud") { reader.choice("cloud", &choices)? } else { "global" };
    if name == "custom" {
        return custom_cloud(reader, base_url, loopback);
    }
    for key in ["login_url", "graph_url"] {
        if reader.has(key) {
            reader.error(key, "it goes with cloud = \"custom\" only", "leave it out");
        }
    }
    let (_, login, graph) = CLOUDS.iter().find(|(cloud, ..)| *cloud == name)?;
    let authority = base_url.and_then(|url| url.split_once("://")?.1.split('/').next());
    let host = authority.map(|authority| match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    });
    if let Some(host) = host.filter(|host| host != login) {
        reader.error(
            "base_url",
            format!("its host is {host:?}, but cloud {name:?} signs in at {login:?}"),
            "change cloud or base_url",
        );
    }
    Some((*graph).to_owned())
}

fn custom_cloud(reader: &mut Reader, base_url: Option<&str>, loopback: bool) -> Option<String> {
    if !loopback {
        reader.error(
            "cloud",
            "\"custom\" is for development",
            "development.loopback_http = true, or one of Microsoft's clouds",
        );
    }
    let origin = |url: &str| {
        Url::parse(url).ok().filter(|url| is_allowed(url, loopback)).map(|url| url.origin().ascii_serialization())
    };
    let login = reader.required("login_url", "the emulator's login address");
    let graph = reader.required("graph_url", "the emulator's Graph address");
    if let Some(login) = &login
        && (origin(login).is_none() || origin(login) != base_url.and_then(origin))
    {
        reader.error("login_url", format!("{login:?} isn't the origin of base_url"), "");
    }
    let graph = graph?;
    let found = origin(&graph);
    if found.is_none() {
        reader.error("graph_url", format!("{graph:?} isn't an address that may be requested"), "http://127.0.0.1:PORT");
    }
    found
}

fn algorithms(reader: &mut Reader, kind: ProviderKind) -> Option<Vec<SigningAlgorithm>> {
    let path = "id_token_algorithms";
    if !reader.has(path) {
        return Some(vec![SigningAlgorithm::Rs256]);
    }
    let mut algorithms = Vec::new();
    for name in reader.list(path)? {
        match name.parse::<SigningAlgorithm>() {
            Ok(algorithm) if kind == ProviderKind::Oidc || algorithm == SigningAlgorithm::Rs256 => {
                algorithms.push(algorithm);
            }
            Ok(_) => reader.error(path, format!("{name:?}: Entra signs with RS256 only"), "[\"RS256\"]"),
            Err(()) => {
                let known = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str).join(", ");
                reader.error(
                    path,
                    format!("{name:?} is none of {known}"),
                    "\"none\" and the HS family are never accepted",
                );
            }
        }
    }
    if algorithms.is_empty() {
        reader.error(path, "it lists no usable algorithm", "[\"RS256\"]");
        return None;
    }
    Some(algorithms)
}

fn scopes(reader: &mut Reader) -> Option<Vec<String>> {
    if !reader.has("scopes") {
        return Some(["openid", "profile", "email"].map(str::to_owned).to_vec());
    }
    let scopes = reader.list("scopes")?;
    // RFC 6749 section 3.3.
    let is_scope = |text: &String| text.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
    if let Some(bad) = scopes.iter().find(|scope| !is_scope(scope)) {
        reader.error("scopes", format!("{bad:?} isn't a scope"), "one scope an entry");
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        reader.error("scopes", "openid isn't among them", "without it there is no ID token");
        return None;
    }
    Some(scopes)
}

fn hints(reader: &mut Reader) -> (Option<String>, Option<String>, Option<String>) {
    let prompts = ["login", "select_account", "consent", "none"].map(|name| (name, name));
    let prompt = reader.choice("prompt", &prompts).map(str::to_owned);
    let mut login_hint = reader.text("login_hint");
    let domain_hint = reader.text("domain_hint");
    for (path, text) in [("login_hint", login_hint.clone()), ("domain_hint", domain_hint.clone())] {
        if let Some(text) = text {
            check_parameter(reader, path, &text);
        }
    }
    if prompt.as_deref() == Some("select_account") && login_hint.is_some() {
        let hint = "Entra refuses both together: leave one out";
        reader.warning("login_hint", "it isn't sent with prompt = \"select_account\"", hint);
        login_hint = None;
    }
    (prompt, login_hint, domain_hint)
}

fn authentication(reader: &mut Reader) -> Option<ClientAuthentication> {
    let path = "token_endpoint_auth_method";
    let choices =
        [ClientAuthentication::SecretPost, ClientAuthentication::SecretBasic, ClientAuthentication::PrivateKeyJwt]
            .map(|method| (method.as_str(), method));
    reader.choice(path, &choices)
}
