//! The built-in seed: Contoso (the tenant to sign in to), Fabrikam (a foreign one), personal accounts, two apps, and a person for each
//! kind of account, each way in which a sign-in ends and each shape of group membership. Tests and the demo name them by these constants.

pub mod group;
pub mod person;

use super::{App, Audience, Certificate, FederatedCredential, Guid, JwkSet, Secret, Seed, Tenant};

/// The tenant that the single-tenant app belongs to.
pub const CONTOSO: &str = "11111111-1111-4111-8111-111111111111";
/// Contoso's primary domain.
pub const CONTOSO_DOMAIN: &str = "contoso.example";
/// Contoso's initial domain.
pub const CONTOSO_INITIAL_DOMAIN: &str = "contoso.onmicrosoft.example";
/// A foreign tenant.
pub const FABRIKAM: &str = "55555555-5555-4555-8555-555555555555";
/// Fabrikam's primary domain.
pub const FABRIKAM_DOMAIN: &str = "fabrikam.example";
/// The tenant of personal accounts; this id is Microsoft's own.
pub const PERSONAL_TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// An app for accounts of Contoso alone, with the optional claims that Defguard's guide ticks and `xms_edov`, `acct`, `auth_time`, groups.
pub const CLIENT_ID: &str = "22222222-2222-4222-8222-222222222222";
/// An app for accounts of any tenant and personal ones.
pub const MULTI_TENANT_CLIENT_ID: &str = "22222222-2222-4222-8222-222222222223";
/// The client secret of both apps. It holds every character that form and Basic encoding treat specially.
pub const CLIENT_SECRET: &str = "emu8Q~not.a-real_secret+of/anyone%26&=:1";
/// A second secret of both apps, expired since 2020.
pub const EXPIRED_SECRET: &str = "old8Q~expired-in.2020";
/// The certificate of the single-tenant app; the other app has none.
pub const CLIENT_CERTIFICATE_PEM: &str = include_str!("../../keys/client.crt.pem");
/// The private key of both certificates, PKCS#8.
pub const CLIENT_CERTIFICATE_KEY_PEM: &str = include_str!("../../keys/client.key.pem");
/// A second certificate of the single-tenant app and of the same key, expired since 2020.
pub const EXPIRED_CERTIFICATE_PEM: &str = include_str!("../../keys/client-expired.crt.pem");
/// The issuer of the single-tenant app's federated credential.
pub const FEDERATED_ISSUER: &str = "https://workloads.issuer.example/cluster-1";
/// The subject of that credential.
pub const FEDERATED_SUBJECT: &str = "system:serviceaccount:defguard:enrollment";
/// The audience of that credential, the one that Entra recommends in the global cloud.
pub const FEDERATED_AUDIENCE: &str = "api://AzureADTokenExchange";
/// The id of that issuer's only key.
pub const FEDERATED_KEY_ID: &str = "workload-1";
/// The private key of that issuer, PKCS#8.
pub const FEDERATED_KEY_PEM: &str = include_str!("../../keys/federated.key.pem");
/// The key set of that issuer.
const FEDERATED_JWKS: &str = include_str!("../../keys/federated.jwks.json");
/// The redirect URI that both apps have registered; `Control::add_redirect_uri` adds more.
pub const DEFAULT_REDIRECT_URI: &str = "http://127.0.0.1:8080/openid/callback";
/// A URI without port, for which any port of `localhost` is accepted.
pub const LOCALHOST_REDIRECT_URI: &str = "http://localhost/openid/callback";

/// The seed made of all of the above.
pub(super) fn demo() -> Seed {
    Seed {
        tenants: tenants(),
        apps: vec![single_tenant_app(), multi_tenant_app()],
        persons: person::all(),
        groups: group::all(),
        hidden_membership: Vec::new(),
    }
}

/// A GUID of this file; a typing error shows as the nil GUID and fails the uniqueness test.
fn guid(text: &str) -> Guid {
    Guid::parse(text).unwrap_or_else(|_| Guid::from_bytes([0; 16]))
}

fn tenants() -> Vec<Tenant> {
    let tenant = |id: &str, domains: &[&str], region: &str| Tenant {
        id: guid(id),
        domains: domains.iter().map(ToString::to_string).collect(),
        region: region.to_owned(),
    };
    vec![
        tenant(CONTOSO, &[CONTOSO_DOMAIN, CONTOSO_INITIAL_DOMAIN], "EU"),
        tenant(FABRIKAM, &[FABRIKAM_DOMAIN, "fabrikam.onmicrosoft.example"], "NA"),
        tenant(PERSONAL_TENANT, &[], "WW"),
    ]
}

fn single_tenant_app() -> App {
    App {
        client_id: guid(CLIENT_ID),
        name: "Defguard".to_owned(),
        home_tenant: guid(CONTOSO),
        audience: Audience::SingleTenant,
        secrets: vec![
            Secret { value: CLIENT_SECRET.to_owned(), expires_at_unix_s: None },
            Secret { value: EXPIRED_SECRET.to_owned(), expires_at_unix_s: Some(1_577_836_800) },
        ],
        certificates: [CLIENT_CERTIFICATE_PEM, EXPIRED_CERTIFICATE_PEM]
            .map(|pem| Certificate { pem: pem.to_owned() })
            .to_vec(),
        federated_credentials: vec![FederatedCredential {
            issuer: FEDERATED_ISSUER.to_owned(),
            subject: FEDERATED_SUBJECT.to_owned(),
            audience: FEDERATED_AUDIENCE.to_owned(),
            jwks: federated_jwks(),
        }],
        redirect_uris: vec![DEFAULT_REDIRECT_URI.to_owned(), LOCALHOST_REDIRECT_URI.to_owned()],
        optional_claims: ["email", "family_name", "given_name", "xms_edov", "acct", "auth_time"]
            .map(str::to_owned)
            .to_vec(),
        groups_claim: true,
        granted_roles: vec!["User.Read.All".to_owned(), "GroupMember.Read.All".to_owned()],
        assignment_required: true,
        unassigned: vec![person::UNASSIGNED.to_owned()],
    }
}

/// The key set of `keys/`; an unreadable file shows as an empty set, and no federated assertion is accepted.
fn federated_jwks() -> JwkSet {
    serde_json::from_str(FEDERATED_JWKS).unwrap_or_default()
}

fn multi_tenant_app() -> App {
    App {
        client_id: guid(MULTI_TENANT_CLIENT_ID),
        name: "Defguard for every tenant".to_owned(),
        audience: Audience::MultiTenantAndPersonal,
        certificates: Vec::new(),
        federated_credentials: Vec::new(),
        assignment_required: false,
        unassigned: Vec::new(),
        ..single_tenant_app()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_seed_hangs_together() {
        let seed = demo();
        seed.check().unwrap();
        assert!(seed.persons.len() >= 14);
        let nil = Guid::from_bytes([0; 16]);
        assert!(seed.tenants.iter().all(|tenant| tenant.id != nil));
        assert!(seed.apps.iter().all(|app| app.client_id != nil && app.home_tenant != nil));
        assert!(seed.persons.iter().all(|person| person.oid != nil && person.tenant != nil));
        assert!(seed.groups.iter().all(|group| group.id != nil && group.tenant != nil));
    }
}
