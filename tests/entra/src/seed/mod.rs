//! What the emulator knows at start: tenants, app registrations, groups and persons, with the behaviour of each person's sign-in.
//! Only data, loadable from JSON; how it shows in documents and tokens is the business of `login` and `graph`.
//! The vocabulary is that of Entra's portal (tenant, app registration, optional claims, guest).

mod credentials;
pub mod fixtures;
pub(crate) mod group;
mod guid;
mod person;
mod scale;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::certificate::CertificateError;

pub use credentials::{Certificate, FederatedCredential, JwkSet, RsaJwk};
pub use group::{Group, Member};
pub use guid::{Guid, NotAGuid};
pub use person::{DirectoryRole, DomainOwnerVerified, GroupsClaim, Outcome, Person, UnmetContext, UserType};
pub use scale::{scale, scale_group, scale_user};

/// Everything the emulator is started with, and returns to on a reset.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seed {
    /// The directories. The tenant of personal accounts (`9188040d-…`) is one of them.
    pub tenants: Vec<Tenant>,
    /// The app registrations.
    pub apps: Vec<App>,
    /// The people, each in one tenant; the same human as a guest elsewhere is a second entry.
    pub persons: Vec<Person>,
    /// The groups, each in one tenant.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The groups whose members only an app with `Member.Read.Hidden` sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden_membership: Vec<Guid>,
}

impl Seed {
    /// Two organisations, personal accounts, two apps, and the people and groups of [`fixtures`].
    pub fn demo() -> Self {
        fixtures::demo()
    }

    /// Reads a seed from JSON and checks that it hangs together.
    pub fn from_json(text: &str) -> Result<Self, SeedError> {
        let seed: Self = serde_json::from_str(text)?;
        seed.check()?;
        Ok(seed)
    }

    /// Refuses what would make later look-ups ambiguous or empty.
    pub fn check(&self) -> Result<(), SeedError> {
        check_unique("tenant", self.tenants.iter().map(|tenant| tenant.id.as_str()))?;
        check_unique("domain", self.tenants.iter().flat_map(|tenant| tenant.domains.iter().map(String::as_str)))?;
        check_unique("person key", self.persons.iter().map(|person| person.key.as_str()))?;
        let groups = self.groups.iter().map(|group| group.id.as_str());
        check_unique("object id", self.persons.iter().map(|person| person.oid.as_str()).chain(groups))?;
        for person in &self.persons {
            if self.tenant(person.tenant.as_str()).is_none() {
                return Err(SeedError::UnknownTenant {
                    what: format!("person {}", person.key),
                    tenant: person.tenant.clone(),
                });
            }
        }
        check_apps(&self.apps, &self.tenants)?;
        group::check(self)
    }

    /// The tenant with this GUID or domain; both compare without case, as in Entra's paths.
    pub fn tenant(&self, guid_or_domain: &str) -> Option<&Tenant> {
        find_tenant(&self.tenants, guid_or_domain)
    }

    /// The registration of `client_id`.
    pub fn app(&self, client_id: &str) -> Option<&App> {
        find_app(&self.apps, client_id)
    }

    /// The person with this key.
    pub fn person(&self, key: &str) -> Option<&Person> {
        self.persons.iter().find(|person| person.key == key)
    }
}

impl Default for Seed {
    fn default() -> Self {
        Self::demo()
    }
}

pub(crate) fn find_tenant<'a>(tenants: &'a [Tenant], guid_or_domain: &str) -> Option<&'a Tenant> {
    tenants.iter().find(|tenant| {
        tenant.id.as_str().eq_ignore_ascii_case(guid_or_domain)
            || tenant.domains.iter().any(|domain| domain.eq_ignore_ascii_case(guid_or_domain))
    })
}

pub(crate) fn find_app<'a>(apps: &'a [App], client_id: &str) -> Option<&'a App> {
    apps.iter().find(|app| app.client_id.as_str().eq_ignore_ascii_case(client_id))
}

/// Refuses registrations that are there twice, belong to no tenant or hold a credential that never fits.
pub(crate) fn check_apps(apps: &[App], tenants: &[Tenant]) -> Result<(), SeedError> {
    check_unique("app", apps.iter().map(|app| app.client_id.as_str()))?;
    for app in apps {
        if find_tenant(tenants, app.home_tenant.as_str()).is_none() {
            let what = format!("app {}", app.client_id);
            return Err(SeedError::UnknownTenant { what, tenant: app.home_tenant.clone() });
        }
        credentials::check(app.client_id.as_str(), &app.certificates, &app.federated_credentials)?;
    }
    Ok(())
}

fn check_unique<'a>(kind: &'static str, values: impl Iterator<Item = &'a str>) -> Result<(), SeedError> {
    let mut seen = std::collections::HashSet::new();
    for value in values {
        if !seen.insert(value.to_ascii_lowercase()) {
            return Err(SeedError::Duplicate { kind, value: value.to_owned() });
        }
    }
    Ok(())
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The tenant id, `tid` in tokens.
    pub id: Guid,
    /// Verified domains, the first one primary; each names the tenant in an authority.
    pub domains: Vec<String>,
    /// `tenant_region_scope` of the discovery document: `WW`, `NA`, `EU` or `AS`.
    #[serde(default = "default_region")]
    pub region: String,
}

fn default_region() -> String {
    "EU".to_owned()
}

/// Who may sign in to an app ("Supported account types").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Accounts of the home tenant, guests among them.
    SingleTenant,
    /// Work and school accounts of any tenant.
    MultiTenant,
    /// Work and school accounts of any tenant, and personal ones.
    MultiTenantAndPersonal,
}

/// A client secret of an app registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The secret's value, as the portal shows it once.
    pub value: String,
    /// Unix seconds from which it is refused; none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_unix_s: Option<i64>,
}

/// An app registration of platform type "Web".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// The application (client) id.
    pub client_id: Guid,
    /// Shown on the pages.
    pub name: String,
    /// The tenant that the registration belongs to.
    pub home_tenant: Guid,
    /// Who may sign in.
    pub audience: Audience,
    /// Client secrets; several may be valid at once.
    pub secrets: Vec<Secret>,
    /// Certificates for `private_key_jwt`; several may be valid at once.
    #[serde(default)]
    pub certificates: Vec<Certificate>,
    /// Other identity providers whose tokens authenticate the app.
    #[serde(default)]
    pub federated_credentials: Vec<FederatedCredential>,
    /// Registered redirect URIs; compared by case, the port is ignored for `localhost` alone.
    pub redirect_uris: Vec<String>,
    /// Optional claims of the ID token by name, as in the manifest's `optionalClaims.idToken`.
    #[serde(default)]
    pub optional_claims: Vec<String>,
    /// Whether the `groups` claim is configured; without it a person's [`GroupsClaim`] has no effect.
    #[serde(default)]
    pub groups_claim: bool,
    /// Graph application permissions with admin consent (`roles` of an app-only token).
    #[serde(default)]
    pub granted_roles: Vec<String>,
    /// "Assignment required?" of the enterprise application.
    #[serde(default)]
    pub assignment_required: bool,
    /// Keys of the persons who are not assigned; they meet AADSTS50105 if assignment is required.
    #[serde(default)]
    pub unassigned: Vec<String>,
}

impl App {
    /// Whether this person meets AADSTS50105.
    pub(crate) fn keeps_out(&self, person: &Person) -> bool {
        self.assignment_required && self.unassigned.contains(&person.key)
    }
}

/// Why a seed cannot be used.
#[derive(Debug, Error)]
pub enum SeedError {
    /// Not the JSON that [`Seed`] is written as.
    #[error("the seed is not valid: {0}; `--print-seed` shows a valid one")]
    Json(#[from] serde_json::Error),
    /// A name that must be unique is used twice.
    #[error("the seed has two entries with the {kind} {value:?}")]
    Duplicate {
        /// What the name is of.
        kind: &'static str,
        /// The name.
        value: String,
    },
    /// Something belongs to a tenant that the seed does not define.
    #[error("{what} belongs to tenant {tenant}, which the seed does not define")]
    UnknownTenant {
        /// What belongs to it.
        what: String,
        /// The missing tenant.
        tenant: Guid,
    },
    /// A group has a member that its tenant does not.
    #[error("group {group} has the member {member}, which its tenant does not have as an object of that kind")]
    UnknownMember {
        /// The group.
        group: Guid,
        /// The object id of the member.
        member: Guid,
    },
    /// Hidden membership is told of a group that the seed does not define.
    #[error("hidden_membership names {group}, which is no group of the seed")]
    UnknownHiddenGroup {
        /// The missing group.
        group: Guid,
    },
    /// A registered certificate is none.
    #[error("a certificate of app {client_id} cannot be used: {reason}")]
    Certificate {
        /// The app.
        client_id: String,
        /// What is wrong with it.
        reason: CertificateError,
    },
    /// A federated credential could never match, or is one too many.
    #[error("a federated credential of app {client_id} cannot be used: {reason}")]
    FederatedCredential {
        /// The app.
        client_id: String,
        /// What is wrong with it.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_seed_survives_its_own_json_form() {
        let seed = Seed::demo();
        let text = serde_json::to_string(&seed).unwrap();
        assert_eq!(Seed::from_json(&text).unwrap(), seed);
    }

    #[test]
    fn an_older_seed_has_no_groups() {
        let mut value = serde_json::to_value(Seed::demo()).unwrap();
        assert!(value.as_object_mut().unwrap().remove("groups").is_some());
        assert_eq!(Seed::from_json(&value.to_string()).unwrap().groups, []);
    }

    fn twice(credentials: &mut Vec<FederatedCredential>) {
        credentials.extend(credentials.clone());
    }

    fn numbered(count: usize) -> Vec<FederatedCredential> {
        let credential = |number| FederatedCredential {
            issuer: "https://issuer.example".to_owned(),
            subject: format!("workload-{number}"),
            audience: fixtures::FEDERATED_AUDIENCE.to_owned(),
            jwks: JwkSet::default(),
        };
        (0..count).map(credential).collect()
    }

    #[test]
    fn an_app_of_an_older_seed_has_neither_certificates_nor_federated_credentials() {
        let mut value = serde_json::to_value(Seed::demo()).unwrap();
        let app = value["apps"][0].as_object_mut().unwrap();
        assert!(app.remove("certificates").is_some() && app.remove("federated_credentials").is_some());
        let seed = Seed::from_json(&value.to_string()).unwrap();
        assert_eq!((seed.apps[0].certificates.len(), seed.apps[0].federated_credentials.len()), (0, 0));
    }

    #[test]
    fn unusable_seeds_are_refused_with_the_reason() {
        type Change = fn(&mut Seed);
        let table: &[(&str, Change, &str)] = &[
            ("tenant twice", |s| s.tenants.push(s.tenants[0].clone()), "two entries with the tenant"),
            ("domain twice", |s| s.tenants[1].domains.push("Contoso.Example".into()), "two entries with the domain"),
            ("app twice", |s| s.apps.push(s.apps[0].clone()), "two entries with the app"),
            ("person key twice", |s| s.persons[1].key = "ada".into(), "two entries with the person key"),
            ("object id twice", |s| s.persons[1].oid = s.persons[0].oid.clone(), "two entries with the object id"),
            ("certificate that is none", |s| s.apps[0].certificates[0].pem.clear(), "is not PEM"),
            ("federated credential twice", |s| twice(&mut s.apps[0].federated_credentials), "occur twice"),
            (
                "federated key that is none",
                |s| s.apps[0].federated_credentials[0].jwks.keys[0].kty = "EC".into(),
                "not an RSA",
            ),
            ("21 federated credentials", |s| s.apps[0].federated_credentials = numbered(21), "there are 21"),
            (
                "group with a person's id",
                |s| s.groups[0].id = s.persons[0].oid.clone(),
                "two entries with the object id",
            ),
            ("group without tenant", |s| s.groups[0].tenant = s.persons[0].oid.clone(), "which the seed does not"),
            ("member of another tenant", |s| s.groups[0].tenant = s.tenants[1].id.clone(), "has the member"),
            (
                "member twice",
                |s| s.groups[0].members = [&s.groups[0].members[..]; 2].concat(),
                "two entries with the member",
            ),
            (
                "person as a group",
                |s| s.groups[0].members = vec![Member::Group(s.persons[0].oid.clone())],
                "has the member",
            ),
            (
                "hidden membership of no group",
                |s| s.hidden_membership.push(s.persons[0].oid.clone()),
                "which is no group",
            ),
            ("person without tenant", |s| s.tenants.retain(|t| t.id != fixtures::FABRIKAM), "which the seed does not"),
        ];
        for (name, change, expected) in table {
            let mut seed = Seed::demo();
            change(&mut seed);
            let problem = seed.check().expect_err(name).to_string();
            assert!(problem.contains(expected), "{name}: {problem}");
        }
    }
}
