//! Every key that the component reads: the one table behind `describe`, the check for unknown keys, and the reference in
//! the README.

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDescription {
    /// With dots.
    pub path: &'static str,
    /// Type or values.
    pub type_name: &'static str,
    /// If there is one.
    pub default: Option<&'static str>,
    /// Whether it must be there.
    pub required: bool,
    /// What it does.
    pub description: &'static str,
}

const fn option(
    path: &'static str,
    type_name: &'static str,
    default: Option<&'static str>,
    required: bool,
    description: &'static str,
) -> OptionDescription {
    OptionDescription { path, type_name, default, required, description }
}

/// The table.
pub static OPTIONS: &[OptionDescription] = &[
    option("id", "string", None, true, "Names the provider in URLs, storage and logs."),
    option("kind", "\"microsoft\" or \"oidc\"", None, true, "Microsoft Entra ID, or any compliant OpenID provider."),
    option("display_name", "string", None, false, "What the button says; the host has a default."),
    option("base_url", "string", None, true, "Defguard's Base URL: the issuer, with `<TENANT_ID>` for Entra."),
    option("tenant", "string", None, false, "Fills `<TENANT_ID>`: the tenant's GUID, or one of its domains."),
    option(
        "allowed_tenants",
        "list of string",
        None,
        false,
        "Tenant GUIDs; required with `organizations` and `common`.",
    ),
    option("client_id", "string", None, true, "The Application (client) ID."),
    option(
        "id_token_algorithms",
        "list of string",
        Some("[\"RS256\"]"),
        false,
        "What ID tokens may be signed with: RS256; for `oidc` also RS384, RS512, PS256, ES256, EdDSA.",
    ),
    option(
        "scopes",
        "list of string",
        Some("[\"openid\", \"profile\", \"email\"]"),
        false,
        "What is asked for; `openid` must be there.",
    ),
    option("prompt", "\"login\", \"select_account\", \"consent\" or \"none\"", None, false, "Sent as it is."),
    option("login_hint", "string", None, false, "Sent as it is; not with prompt = \"select_account\"."),
    option("domain_hint", "string", None, false, "Sent as it is: Entra then goes straight to that domain's sign-in."),
    option(
        "token_endpoint_auth_method",
        "\"client_secret_post\" or \"client_secret_basic\"",
        None,
        false,
        "Goes before what discovery says.",
    ),
    option(
        "cloud",
        "\"global\", \"us-gov\", \"us-gov-dod\", \"china\" or \"custom\"",
        Some("\"global\""),
        false,
        "Which of Microsoft's clouds; base_url must belong to it.",
    ),
    option("login_url", "string", None, false, "cloud = \"custom\": the origin of base_url."),
    option("graph_url", "string", None, false, "cloud = \"custom\": Microsoft Graph's origin."),
    option(
        "app_id_in_discovery",
        "boolean",
        Some("false"),
        false,
        "Adds ?appid= to the discovery request: for applications with signing keys of their own.",
    ),
    option(
        "userinfo",
        "\"when-needed\", \"always\" or \"never\"",
        Some("\"when-needed\""),
        false,
        "When the userinfo endpoint is asked.",
    ),
    option(
        "username_handling",
        "\"remove_forbidden\", \"replace_forbidden\" or \"prune_email_domain\"",
        Some("\"remove_forbidden\""),
        false,
        "Defguard's: what becomes of characters that a user name can't have.",
    ),
    option(
        "claims.email",
        "list of string",
        Some("[\"email\"]; microsoft: [\"email\", \"preferred_username\"]"),
        false,
        "Claims to take the address from, in order.",
    ),
    option(
        "claims.email_verified",
        "list of string",
        Some("[\"email_verified\"]; microsoft: [\"xms_edov\"]"),
        false,
        "Claims that say that the address is the person's.",
    ),
    option(
        "claims.username",
        "list of string",
        Some("[\"preferred_username\", \"email\"]"),
        false,
        "Claims to make the user name of.",
    ),
    option(
        "claims.given_name",
        "list of string",
        Some("[\"given_name\"]"),
        false,
        "First name; falls back to `name`, then the user name.",
    ),
    option("claims.family_name", "list of string", Some("[\"family_name\"]"), false, "Last name; as given_name."),
    option("claims.name", "list of string", Some("[\"name\"]"), false, "The name as it is shown."),
    option("claims.phone", "list of string", Some("[\"phone_number\"]"), false, "Phone number, if there is one."),
    option("development_loopback", "boolean", Some("false"), false, "Set by the host: development.loopback_http."),
];

/// The key that may have been meant.
pub(super) fn similar(path: &str) -> Option<&'static str> {
    let nearest = OPTIONS.iter().map(|option| (distance(path, option.path), option.path)).min()?;
    (nearest.0 <= 3).then_some(nearest.1)
}

/// Levenshtein's.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, right) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let substitute = at(&row, j) + usize::from(left != *right);
            next.push(substitute.min(at(&row, j + 1) + 1).min(at(&next, j) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
