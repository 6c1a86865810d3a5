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
    option(
        "response_mode",
        "\"query\" or \"form_post\"",
        None,
        false,
        "How the provider sends the answer; left out, its default (query). A form keeps the code out of addresses and logs.",
    ),
    option(
        "pushed_authorization_requests",
        "\"never\", \"when-offered\" or \"required\"",
        Some("\"never\""),
        false,
        "Whether the authorization request is pushed to the provider (RFC 9126) instead of travelling through the browser.",
    ),
    option(
        "max_age",
        "integer, seconds",
        None,
        false,
        "How long ago the person may have authenticated. Sent, and auth_time must prove it (Entra: optional claim auth_time).",
    ),
    option(
        "acr_values",
        "list of string",
        None,
        false,
        "Sent as it is: classes of authentication that are wished for.",
    ),
    option("required_acr", "list of string", None, false, "acr must be one of these."),
    option(
        "required_acrs",
        "list of string",
        None,
        false,
        "Entra's authentication contexts (c1 to c99): asked for, and all must be in acrs.",
    ),
    option("guests", "boolean", Some("false"), false, "microsoft: whether invited (guest) accounts are let in."),
    option(
        "personal_accounts",
        "boolean",
        Some("false"),
        false,
        "microsoft: whether personal Microsoft accounts are let in; base_url must admit them.",
    ),
    option("login_hint", "string", None, false, "Sent as it is; not with prompt = \"select_account\"."),
    option("domain_hint", "string", None, false, "Sent as it is: Entra then goes straight to that domain's sign-in."),
    option(
        "token_endpoint_auth_method",
        "\"client_secret_post\", \"client_secret_basic\" or \"private_key_jwt\"",
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
        "Sources of the address, in order: a claim's name or path with dots, `graph:PROPERTY` (microsoft), `jmespath:EXPRESSION`.",
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
    option(
        "claims.attributes",
        "table of lists of string",
        None,
        false,
        "What else is carried along: name = sources, at most 32.",
    ),
    option(
        "claims.transforms.email",
        "list of string",
        None,
        false,
        "What is done to the text, in order: lowercase, uppercase, before:X, after:X, remove_prefix:X, remove_suffix:X, replace:A=B.",
    ),
    option("claims.transforms.username", "list of string", None, false, "As for email; before username_handling."),
    option("claims.transforms.given_name", "list of string", None, false, "As for email."),
    option("claims.transforms.family_name", "list of string", None, false, "As for email."),
    option("claims.transforms.name", "list of string", None, false, "As for email."),
    option("claims.transforms.phone", "list of string", None, false, "As for email."),
    option(
        "groups.names",
        "table of string",
        None,
        false,
        "Names of groups by their ids; they go before the directory's, and never decide.",
    ),
    option(
        "policy.allowed_domains",
        "list of string",
        None,
        false,
        "The address's domain must be one of these, exactly.",
    ),
    option(
        "policy.allowed_groups",
        "list of string",
        None,
        false,
        "The person must be in one of these groups: Object IDs for microsoft.",
    ),
    option(
        "policy.require_verified_email",
        "boolean",
        Some("false"),
        false,
        "Whether the provider must say that the address is the person's.",
    ),
    option(
        "policy.rules",
        "list of table",
        None,
        false,
        "name, require (JMESPath that must be true), message (for the person): every rule must be true.",
    ),
    option(
        "linking.existing",
        "\"never\", \"approval\" or \"verified_email\"",
        Some("\"approval\""),
        false,
        "What may become of an account of the same address that is nobody's yet.",
    ),
    option(
        "linking.verified_domains",
        "list of string",
        None,
        false,
        "Domains whose addresses your organisation gives out: they count as proven for linking.",
    ),
    option("claims.phone", "list of string", Some("[\"phone_number\"]"), false, "Phone number, if there is one."),
    option(
        "groups.source",
        "\"none\", \"claim\" or \"directory\"",
        Some("\"none\"; \"claim\" where the policy decides by groups"),
        false,
        "What is asked for a person's groups: nobody, the ID token, or Microsoft Graph (GroupMember.Read.All and User.Read.All).",
    ),
    option(
        "groups.claim",
        "string",
        Some("\"groups\""),
        false,
        "The claim with the groups, by name or as a path with dots; a list of texts.",
    ),
    option(
        "groups.overage",
        "\"directory\" or \"unknown\"",
        Some("\"unknown\"; for Entra's claim groups \"directory\""),
        false,
        "When the token doesn't hold all groups (Entra: more than 200), or none: Microsoft Graph is asked for their object ids, or they are unknown.",
    ),
    option(
        "groups.names_from",
        "\"none\" or \"directory\"",
        Some("\"none\""),
        false,
        "Where the groups' names are asked for; names are shown, they never decide.",
    ),
    option(
        "groups.security_only",
        "boolean",
        Some("true"),
        false,
        "Whether the directory is asked for security groups only, or for Microsoft 365 groups and distribution lists as well.",
    ),
    option(
        "groups.timeout_ms",
        "integer, milliseconds",
        Some("5000"),
        false,
        "For all that the directory is asked in one sign-in, 500 to 15000. After that groups are unknown.",
    ),
    option(
        "sample",
        "list of table",
        None,
        false,
        "name, claims, userinfo, directory, groups or groups_unknown, expect: claims and what must become of them; run by `check` and at each start.",
    ),
    option("development_loopback", "boolean", Some("false"), false, "Set by the host: development.loopback_http."),
];

/// The key that may have been meant.
pub(super) fn similar(path: &str) -> Option<&'static str> {
    // Others are further away than what is called similar, and may be as long as a configuration.
    let of_like_length = OPTIONS.iter().filter(|option| option.path.len().abs_diff(path.len()) <= 3);
    let nearest = of_like_length.map(|option| (distance(path, option.path), option.path)).min()?;
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
