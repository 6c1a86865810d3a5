//! The `{tenant}` segment of Entra's paths: a tenant by GUID or domain, or one of the three aliases, and who can sign in there.

use crate::directory::Directory;
use crate::seed::{App, Audience, Guid, Person, UserType, fixtures};

use super::errors::Refusal;

/// What the `{tenant}` segment means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Authority {
    /// One tenant.
    Tenant(Guid),
    /// Work, school and personal accounts.
    Common,
    /// Work and school accounts.
    Organizations,
    /// Personal accounts.
    Consumers,
}

impl Authority {
    /// Finds what a path segment means.
    pub(crate) fn resolve(directory: &Directory, segment: &str) -> Result<Self, Refusal> {
        match segment.to_ascii_lowercase().as_str() {
            "common" => Ok(Self::Common),
            "organizations" => Ok(Self::Organizations),
            "consumers" => Ok(Self::Consumers),
            _ => match directory.tenant(segment) {
                Some(tenant) => Ok(Self::Tenant(tenant.id.clone())),
                None => Err(Refusal::TenantNotFound { tenant: segment.to_owned() }),
            },
        }
    }

    /// The segment in the endpoints of this authority's documents: a domain becomes the GUID.
    pub(crate) fn segment(&self) -> &str {
        match self {
            Self::Tenant(id) => id.as_str(),
            Self::Common => "common",
            Self::Organizations => "organizations",
            Self::Consumers => "consumers",
        }
    }

    /// The segment in the issuer: literal braces where the tenant is only known from the token.
    pub(crate) fn issuer_segment(&self) -> &str {
        match self {
            Self::Tenant(id) => id.as_str(),
            Self::Common | Self::Organizations => "{tenantid}",
            Self::Consumers => fixtures::PERSONAL_TENANT,
        }
    }

    /// Whether this person can sign in here. Guests only through the tenant that invited them.
    pub(crate) fn admits(&self, person: &Person) -> bool {
        match self {
            Self::Tenant(id) => person.tenant == *id,
            Self::Common => person.user_type != UserType::Guest,
            Self::Organizations => person.user_type == UserType::Member,
            Self::Consumers => person.user_type == UserType::Personal,
        }
    }

    /// Whether a code from this authority can be redeemed at that one: the same, or the tenant that signed the person in.
    pub(crate) fn hands_code_to(&self, other: &Self, person: &Person) -> bool {
        self == other || *other == Self::Tenant(person.tenant.clone())
    }

    /// Whether the app can be used here at all.
    pub(crate) fn knows(&self, app: &App) -> Result<(), Refusal> {
        let personal = matches!(self, Self::Consumers)
            || matches!(self, Self::Tenant(id) if *id == fixtures::PERSONAL_TENANT && app.home_tenant != *id);
        match (app.audience, self) {
            (Audience::SingleTenant, Self::Tenant(id)) if *id == app.home_tenant => Ok(()),
            (Audience::SingleTenant, Self::Tenant(id)) => {
                Err(Refusal::AppNotFound { client_id: app.client_id.to_string(), tenant: id.to_string() })
            }
            (Audience::SingleTenant, _) => Err(Refusal::NotMultiTenant { client_id: app.client_id.to_string() }),
            (Audience::MultiTenant, _) if personal => {
                Err(Refusal::PersonalAccountsNotAllowed { client_id: app.client_id.to_string() })
            }
            (Audience::MultiTenant | Audience::MultiTenantAndPersonal, _) => Ok(()),
        }
    }
}
