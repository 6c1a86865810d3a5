//! `[[provider]]`: the host reads what is its own (the credential, the allow-list) and hands the rest to the component as
//! JSON (`provider_table`). Which keys the component knows, and what they mean, is its `configuration` interface's subject.

use std::fmt;
use std::path::Component;

use toml::{Table, Value};
use url::Url;

use super::cloud::cloud;
use super::credential;
use super::directory::{self, DirectoryApply, DirectoryConfig};
use super::file::{Reader, join};
use super::logo::Logo;
use super::reference::names;
use crate::capability::AllowedOrigins;
use crate::credential::Credential;
use crate::identity::Identity;

/// Names a provider in URLs, storage and logs: 1 to 32 of `a-z 0-9 -`, a letter or digit first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(String);

impl ProviderId {
    /// Parses.
    pub fn parse(text: &str) -> Result<Self, String> {
        let good = (1..=32).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !text.starts_with('-');
        if good { Ok(Self(text.to_owned())) } else { Err(format!("{text:?} isn't 1 to 32 of a-z, 0-9 and -")) }
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What sort of provider it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// Microsoft Entra ID.
    Microsoft,
    /// Any compliant OpenID provider.
    Oidc,
}

impl ProviderKind {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Microsoft => "microsoft",
            Self::Oidc => "oidc",
        }
    }
}

/// One provider, as the host sees it.
#[derive(Debug, Clone)]
pub struct Provider {
    /// Its name in URLs, storage and logs.
    pub id: ProviderId,
    /// What sort it is.
    pub kind: ProviderKind,
    /// What the button says.
    pub display_name: String,
    /// What the button shows, if it isn't the kind's own.
    pub logo: Option<Logo>,
    /// RFC 6749 section 2.2.
    pub client_id: String,
    /// How the client proves who it is.
    pub credential: Credential,
    /// Where the component's requests may go.
    pub allowed: AllowedOrigins,
    /// Where the credential may go.
    pub credential_origins: AllowedOrigins,
    /// The table as the component gets it.
    pub component_json: String,
    /// The component's keys as they were written: without secrets, or where those are.
    pub component_table: Table,
    /// Accounts that an administrator gave to identities.
    pub approved_links: Vec<ApprovedLink>,
    /// Whether and how the directory is synchronised.
    pub directory: Option<DirectoryConfig>,
    /// `response_mode = "form_post"`: the answer comes as a form of the provider's site.
    pub answers_with_form: bool,
}

/// `[[provider.approved_link]]`: this identity's account is that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovedLink {
    /// Entra's `oid`; elsewhere `sub`.
    pub identity: String,
    /// The account's user name.
    pub account: String,
}

impl Provider {
    /// The account that an administrator gave to an identity of this provider.
    pub fn approved_account(&self, identity: &Identity) -> Option<&str> {
        let key = identity.object_id.as_deref().unwrap_or(&identity.subject);
        self.approved_links.iter().find(|link| link.identity == key).map(|link| link.account.as_str())
    }
}

pub(super) fn read_all(reader: &mut Reader, table: &Table, loopback_http: bool) -> Vec<Provider> {
    let tables = match table.get("provider") {
        Some(Value::Array(tables)) => tables.clone(),
        Some(other) => {
            let message = format!("expected [[provider]] tables, found {}", other.type_str());
            reader.problem("provider", message, "write [[provider]], with two brackets");
            return Vec::new();
        }
        None => {
            reader.problem("provider", "missing", "at least one [[provider]] table");
            return Vec::new();
        }
    };
    let mut providers: Vec<Provider> = Vec::new();
    for (position, value) in tables.iter().enumerate() {
        let Value::Table(table) = value else {
            reader.problem("provider", format!("expected a table, found {}", value.type_str()), "");
            continue;
        };
        let prefix = place(&tables, position);
        if let Some(id) = id_before(&tables, position) {
            let message = format!("two providers have this id: {id:?}");
            reader.problem(join(&prefix, "id"), message, "ids are unique: it is part of the callback's path");
        }
        providers.extend(read(reader, table, &prefix, loopback_http));
    }
    refuse_shared_documents(reader, &providers);
    if tables.is_empty() {
        reader.problem("provider", "there is none", "at least one [[provider]] table");
    }
    providers
}

/// Each provider's synchronisation would take away what the other has written.
fn refuse_shared_documents(reader: &mut Reader, providers: &[Provider]) {
    for (position, provider) in providers.iter().enumerate() {
        let file = |provider: &Provider| match provider.directory.as_ref().map(|directory| directory.apply.clone()) {
            // Without the `.` that paths may have in them; links are followed where the file is there.
            Some(DirectoryApply::File(path)) => Some(
                path.canonicalize()
                    .unwrap_or_else(|_| path.components().filter(|part| *part != Component::CurDir).collect()),
            ),
            _ => None,
        };
        let Some(ours) = file(provider) else { continue };
        if let Some(other) = providers.iter().take(position).find(|other| file(other).as_ref() == Some(&ours)) {
            let message = format!("provider {:?} writes {} too", other.id.as_str(), ours.display());
            reader.problem(format!("provider.{}.directory.apply", provider.id), message, "a file for each");
        }
    }
}

fn id_of(table: &Value) -> Option<&str> {
    table.get("id").and_then(Value::as_str)
}

/// The id of the table at `position`, if one before it has the same.
fn id_before(tables: &[Value], position: usize) -> Option<&str> {
    let id = id_of(tables.get(position)?)?;
    tables.iter().take(position).any(|other| id_of(other) == Some(id)).then_some(id)
}

/// What problems of a table begin with: its id; its number from 1, if it has none of its own.
pub(super) fn place(tables: &[Value], position: usize) -> String {
    let id = tables.get(position).and_then(id_of).filter(|_| id_before(tables, position).is_none());
    id.map_or_else(|| format!("provider.{}", position + 1), |id| format!("provider.{id}"))
}

fn read(reader: &mut Reader, table: &Table, prefix: &str, loopback_http: bool) -> Option<Provider> {
    // Without a name the rest of the table is looked at all the same: everything that is wrong is said at once.
    let id = match reader.text(table, prefix, "id") {
        Some(text) => {
            let wrong = |message| reader.problem(join(prefix, "id"), message, "it is part of the callback's path");
            ProviderId::parse(&text).map_err(wrong).ok()
        }
        None => {
            if !table.contains_key("id") {
                reader.problem(join(prefix, "id"), "missing", "a short name such as \"entra\"");
            }
            None
        }
    };
    let kind = kind(reader, table, prefix);
    let client_id = required(reader, table, prefix, "client_id", "the Application (client) ID of the app registration");
    let display_name = reader.text(table, prefix, "display_name");
    refuse_inner_key(reader, table, prefix);
    let directory = directory::read(reader, table, prefix, kind);
    let base_url = required(reader, table, prefix, "base_url", "Defguard's Base URL, without a trailing slash");
    let about = credential::About { kind, base_url: base_url.as_deref() };
    let credential = credential::read(reader, table, prefix, &about);
    let approved_links = approved_links(reader, table, prefix);
    let logo = logo(reader, table, prefix);
    let component_json = component_json(reader, table, prefix, loopback_http);
    let origins = origins(reader, table, prefix, kind, base_url.as_deref(), loopback_http);
    let (kind, (allowed, credential_origins)) = (kind?, origins?);
    let display_name = display_name.unwrap_or_else(|| provider_table::default_display_name(kind.as_str()).to_owned());
    Some(Provider {
        id: id?,
        kind,
        display_name,
        logo,
        client_id: client_id?,
        credential: credential?,
        allowed,
        credential_origins,
        component_json: component_json?,
        component_table: provider_table::component_table(table),
        approved_links: approved_links?,
        directory: directory?,
        // Whether the word is one of the component's is for the component to say.
        answers_with_form: table.get("response_mode").and_then(Value::as_str).map(str::trim) == Some("form_post"),
    })
}

fn logo(reader: &mut Reader, table: &Table, prefix: &str) -> Option<Logo> {
    let file = reader.text(table, prefix, "logo_file")?;
    let path = join(prefix, "logo_file");
    Logo::read(&reader.resolve(&file)).map_err(|message| reader.problem(path, message, "an SVG or PNG file")).ok()
}

fn approved_links(reader: &mut Reader, table: &Table, prefix: &str) -> Option<Vec<ApprovedLink>> {
    let rows = reader.rows(table, prefix, "approved_link", &names("provider[].approved_link[]"))?;
    let mut links: Vec<ApprovedLink> = Vec::new();
    for (path, row) in rows {
        let identity = reader.needed(&row, &path, "identity", "Entra: the person's Object ID; elsewhere sub");
        let account = reader.needed(&row, &path, "account", "the user name in Defguard");
        let link = ApprovedLink { identity: identity?, account: account? };
        if links.iter().any(|other| other.identity == link.identity) {
            reader.problem(join(&path, "identity"), "two links are for this identity", "one account a person");
        }
        links.push(link);
    }
    Some(links)
}

fn required(reader: &mut Reader, table: &Table, prefix: &str, key: &str, hint: &str) -> Option<String> {
    match reader.text(table, prefix, key) {
        Some(text) if !text.trim().is_empty() => Some(text),
        Some(_) => {
            reader.problem(join(prefix, key), "empty", hint);
            None
        }
        None => {
            if !table.contains_key(key) {
                reader.problem(join(prefix, key), "missing", hint);
            }
            None
        }
    }
}

fn kind(reader: &mut Reader, table: &Table, prefix: &str) -> Option<ProviderKind> {
    match required(reader, table, prefix, "kind", "\"microsoft\" or \"oidc\"")?.as_str() {
        "microsoft" => Some(ProviderKind::Microsoft),
        "oidc" => Some(ProviderKind::Oidc),
        other => {
            reader.problem(join(prefix, "kind"), format!("{other:?} is no kind"), "\"microsoft\" or \"oidc\"");
            None
        }
    }
}

/// A key that is the host's own word to the component.
fn refuse_inner_key(reader: &mut Reader, table: &Table, prefix: &str) {
    if table.contains_key("development_loopback") {
        reader.problem(join(prefix, "development_loopback"), "unknown key", "it is [development] loopback_http = true");
    }
}

/// The allow-list, and the part of it that may see the credential.
fn origins(
    reader: &mut Reader,
    table: &Table,
    prefix: &str,
    kind: Option<ProviderKind>,
    base_url: Option<&str>,
    loopback_http: bool,
) -> Option<(AllowedOrigins, AllowedOrigins)> {
    let mut credential = AllowedOrigins::new(loopback_http);
    let mut good = base_url.is_some_and(|url| add(reader, &mut credential, &join(prefix, "base_url"), url));
    if let Some(login_url) = reader.text(table, prefix, "login_url") {
        good &= add(reader, &mut credential, &join(prefix, "login_url"), &login_url);
    }
    match table.get("allowed_origins") {
        None => {}
        Some(Value::Array(origins)) => {
            let path = join(prefix, "allowed_origins");
            for origin in origins {
                match origin.as_str() {
                    Some(origin) => good &= add(reader, &mut credential, &path, origin),
                    None => reader.problem(&path, "expected texts", "[\"https://oauth2.example.com\"]"),
                }
            }
        }
        Some(_) => reader.problem(
            join(prefix, "allowed_origins"),
            "expected a list of texts",
            "[\"https://oauth2.example.com\"]",
        ),
    }
    let mut allowed = credential.clone();
    if kind == Some(ProviderKind::Microsoft) {
        let path = join(prefix, "graph_url");
        let graph = match reader.text(table, prefix, "graph_url") {
            Some(url) => Some(url),
            None => cloud(reader.text(table, prefix, "cloud").as_deref()).map(|cloud| cloud.graph.to_owned()),
        };
        if let Some(graph) = graph {
            good &= add(reader, &mut allowed, &path, &graph);
        }
    }
    good.then_some((allowed, credential))
}

fn add(reader: &mut Reader, origins: &mut AllowedOrigins, path: &str, text: &str) -> bool {
    // Only the origin counts here: a placeholder in the path is the component's to fill.
    let outcome = Url::parse(text.trim())
        .map_err(|error| format!("{text:?} isn't a URL: {error}"))
        .and_then(|url| origins.add(&url).map_err(|refusal| refusal.to_string()));
    match outcome {
        Ok(()) => true,
        Err(message) => {
            reader.problem(path, message, "an https:// address; http://127.0.0.1:PORT only for development");
            false
        }
    }
}

fn component_json(reader: &mut Reader, table: &Table, prefix: &str, loopback_http: bool) -> Option<String> {
    provider_table::component_json(table, loopback_http)
        .map_err(|error| reader.problem(prefix, format!("can't be handed to the plugin: {error}"), ""))
        .ok()
}
