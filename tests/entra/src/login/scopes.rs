//! The `scope` parameter: OpenID Connect's scopes that Entra knows, and Graph permissions.

use super::errors::Refusal;

/// What an authorization request asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one flag for each scope, each on its own")]
pub(crate) struct Scopes {
    /// An ID token.
    pub(crate) openid: bool,
    /// Names, `oid` and `tid`.
    pub(crate) profile: bool,
    /// The mail address.
    pub(crate) email: bool,
    /// A refresh token.
    pub(crate) offline_access: bool,
    /// Delegated Graph permissions, unqualified.
    pub(crate) graph: Vec<String>,
}

/// The delegated permissions of Graph that the emulator's apps have.
const GRAPH_PERMISSIONS: [&str; 2] = ["User.Read", ".default"];

impl Scopes {
    /// Reads the parameter. Entra supports neither `address` nor `phone`; an unqualified scope is a Graph permission.
    pub(crate) fn parse(parameter: &str, graph_url: &str) -> Result<Self, Refusal> {
        let mut scopes = Self::default();
        for scope in parameter.split_ascii_whitespace() {
            match scope {
                "openid" => scopes.openid = true,
                "profile" => scopes.profile = true,
                "email" => scopes.email = true,
                "offline_access" => scopes.offline_access = true,
                other => {
                    let permission =
                        other.strip_prefix(graph_url).and_then(|rest| rest.strip_prefix('/')).unwrap_or(other);
                    if !GRAPH_PERMISSIONS.contains(&permission) {
                        return Err(Refusal::ScopeInvalid { scope: other.to_owned() });
                    }
                    scopes.graph.push(permission.to_owned());
                }
            }
        }
        Ok(scopes)
    }

    /// The scopes as the token response and the access token's `scp` list them.
    pub(crate) fn granted(&self) -> String {
        let standard = [(self.openid, "openid"), (self.profile, "profile"), (self.email, "email")];
        let mut granted: Vec<&str> = standard.iter().filter(|(asked, _)| *asked).map(|(_, name)| *name).collect();
        granted.extend(self.graph.iter().map(String::as_str).filter(|permission| *permission != ".default"));
        granted.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_that_entra_knows() {
        let graph = "http://127.0.0.1:9102";
        let table = [
            ("sign-in", "openid profile email", Ok("openid profile email")),
            ("order and doubles", "email openid email", Ok("openid email")),
            ("refresh token is not listed", "openid offline_access", Ok("openid")),
            ("unqualified permission", "openid User.Read", Ok("openid User.Read")),
            ("qualified permission", "http://127.0.0.1:9102/User.Read", Ok("User.Read")),
            ("default", "http://127.0.0.1:9102/.default", Ok("")),
            ("address", "openid address", Err("address")),
            ("phone", "openid phone", Err("phone")),
            ("foreign resource", "https://graph.microsoft.com/User.Read", Err("https://graph.microsoft.com/User.Read")),
            ("case counts", "OpenID", Err("OpenID")),
        ];
        for (name, parameter, expected) in table {
            let expected =
                expected.map(str::to_owned).map_err(|scope: &str| Refusal::ScopeInvalid { scope: scope.to_owned() });
            assert_eq!(Scopes::parse(parameter, graph).map(|scopes| scopes.granted()), expected, "{name}");
        }
    }
}
