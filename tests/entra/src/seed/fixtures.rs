//! The built-in seed: Contoso (the tenant to sign in to), Fabrikam (a foreign one), personal accounts, two apps, and a person for each
//! kind of account and each way in which a sign-in ends. Tests and the demo name them by these constants.

use serde_json::Map;

use super::{
    App, Audience, Certificate, DomainOwnerVerified, FederatedCredential, GroupsClaim, Guid, JwkSet, Outcome, Person,
    Secret, Seed, Tenant, UserType,
};

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

/// An app for accounts of Contoso alone, with the optional claims that Defguard's guide ticks and `xms_edov`, `acct`, groups.
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

/// Keys of the persons, for `&x_user=` on an authorization request and for the control interface.
pub mod person {
    /// Ada Example: a member with everything filled in.
    pub const ADA: &str = "ada";
    /// A guest from Fabrikam.
    pub const GUEST: &str = "guest";
    /// A member without any name.
    pub const NO_NAMES: &str = "no-names";
    /// A member without a mailbox: no `email` claim.
    pub const NO_MAIL: &str = "no-mail";
    /// A member with a family name alone.
    pub const NO_GIVEN_NAME: &str = "no-given-name";
    /// A personal account.
    pub const PERSONAL: &str = "personal";
    /// An address with an apostrophe and a plus tag.
    pub const APOSTROPHE: &str = "apostrophe";
    /// A user principal name of the longest form: 113 characters.
    pub const LONG_NAME: &str = "long-name";
    /// Names outside ASCII.
    pub const UNICODE: &str = "unicode";
    /// `xms_edov` is `false`.
    pub const EDOV_FALSE: &str = "edov-false";
    /// `xms_edov` is the string `"1"`.
    pub const EDOV_TEXT: &str = "edov-text";
    /// No `xms_edov`.
    pub const EDOV_ABSENT: &str = "edov-absent";
    /// Cancels the sign-in.
    pub const CANCELS: &str = "cancels";
    /// Needs an admin's consent: AADSTS90094.
    pub const ADMIN_CONSENT: &str = "admin-consent";
    /// Declines consent: AADSTS65004.
    pub const DECLINES: &str = "declines";
    /// Nobody consented: AADSTS65001.
    pub const NOT_CONSENTED: &str = "not-consented";
    /// Not assigned to the single-tenant app: AADSTS50105 on Entra's own page, no callback.
    pub const UNASSIGNED: &str = "unassigned";
    /// Second factor missing: AADSTS50076.
    pub const MFA: &str = "mfa";
    /// Blocked by Conditional Access: AADSTS53003.
    pub const BLOCKED: &str = "blocked";
    /// Disabled account: AADSTS50057.
    pub const DISABLED: &str = "disabled";
    /// `email` only comes from userinfo.
    pub const MAIL_IN_USERINFO: &str = "mail-in-userinfo";
    /// Group overage: `_claim_names` in place of `groups`.
    pub const OVERAGE: &str = "overage";
    /// Group overage of the implicit flow: `hasgroups`.
    pub const HAS_GROUPS: &str = "has-groups";
    /// A member of two groups.
    pub const IN_GROUPS: &str = "in-groups";
    /// A Fabrikam account whose unverified Mail attribute is Ada's address (nOAuth).
    pub const SPOOFER: &str = "spoofer";
    /// An honest member of Fabrikam.
    pub const FABRIKAM_MEMBER: &str = "fabrikam-member";
}

/// The seed made of all of the above.
pub(super) fn demo() -> Seed {
    Seed { tenants: tenants(), apps: vec![single_tenant_app(), multi_tenant_app()], persons: persons() }
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
        optional_claims: ["email", "family_name", "given_name", "xms_edov", "acct"].map(str::to_owned).to_vec(),
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

/// A complete member of Contoso; the entries of [`persons`] change what makes them special.
fn member(number: u32, key: &str, local_part: &str, names: (&str, &str), note: &str) -> Person {
    let address = format!("{local_part}@{CONTOSO_DOMAIN}");
    Person {
        key: key.to_owned(),
        note: note.to_owned(),
        tenant: guid(CONTOSO),
        oid: guid(&format!("33333333-3333-4333-8333-{number:012}")),
        user_principal_name: address.clone(),
        preferred_username: None,
        display_name: Some(format!("{} {}", names.0, names.1)),
        given_name: Some(names.0.to_owned()),
        surname: Some(names.1.to_owned()),
        mail: Some(address),
        mobile_phone: None,
        mail_only_in_userinfo: false,
        user_type: UserType::Member,
        identity_provider: None,
        domain_owner_verified: DomainOwnerVerified::Bool(true),
        groups: GroupsClaim::None,
        outcome: Outcome::SignsIn,
        extra_claims: Map::new(),
    }
}

fn persons() -> Vec<Person> {
    let mut all = complete_and_incomplete_members();
    all.extend(verified_domains_and_groups());
    all.extend(sign_ins_that_fail());
    all.extend(accounts_from_elsewhere());
    all
}

fn complete_and_incomplete_members() -> Vec<Person> {
    // 64 characters before the sign, 48 after it: the most that Entra allows.
    let long_address = concat!(
        "maximiliane-konstantinopel-von-und-zu-hohenfels-wolkenkuckuckshe",
        "@the-longest-subdomain-of-them-al.contoso.example"
    )
    .to_owned();
    vec![
        Person {
            mobile_phone: Some("+48 555 000 001".to_owned()),
            ..member(1, person::ADA, "ada", ("Ada", "Example"), "Complete account")
        },
        Person {
            display_name: None,
            given_name: None,
            surname: None,
            ..member(2, person::NO_NAMES, "svc-printer", ("", ""), "No names at all")
        },
        Person { mail: None, ..member(3, person::NO_MAIL, "nora", ("Nora", "Mailless"), "No mailbox, no email claim") },
        Person {
            given_name: None,
            display_name: Some("Suharto".to_owned()),
            ..member(4, person::NO_GIVEN_NAME, "suharto", ("", "Suharto"), "Family name only")
        },
        member(5, person::APOSTROPHE, "miles.o'brien+tag", ("Miles", "O'Brien"), "Apostrophe and plus in the address"),
        Person {
            user_principal_name: long_address.clone(),
            mail: Some(long_address),
            ..member(6, person::LONG_NAME, "", ("Maximiliane", "von und zu Hohenfels"), "Longest possible sign-in name")
        },
        Person {
            display_name: Some("Zoë Łukasiewicz 中村".to_owned()),
            ..member(7, person::UNICODE, "zoe", ("Zoë", "Łukasiewicz 中村"), "Names outside ASCII")
        },
        Person {
            mail_only_in_userinfo: true,
            ..member(8, person::MAIL_IN_USERINFO, "ulla", ("Ulla", "Infodottir"), "Email only in userinfo")
        },
    ]
}

fn verified_domains_and_groups() -> Vec<Person> {
    let group = |number: u32| guid(&format!("44444444-4444-4444-8444-{number:012}"));
    vec![
        Person {
            domain_owner_verified: DomainOwnerVerified::Bool(false),
            ..member(11, person::EDOV_FALSE, "fay", ("Fay", "Unverified"), "xms_edov is false")
        },
        Person {
            domain_owner_verified: DomainOwnerVerified::Text("1".to_owned()),
            ..member(12, person::EDOV_TEXT, "tex", ("Tex", "Onestring"), "xms_edov is the text \"1\"")
        },
        Person {
            domain_owner_verified: DomainOwnerVerified::Absent,
            ..member(13, person::EDOV_ABSENT, "abe", ("Abe", "Sent"), "No xms_edov")
        },
        Person {
            groups: GroupsClaim::Ids(vec![group(1), group(2)]),
            ..member(14, person::IN_GROUPS, "gil", ("Gil", "Grouped"), "Member of two groups")
        },
        Person {
            groups: GroupsClaim::Overage,
            ..member(15, person::OVERAGE, "olga", ("Olga", "Overage"), "More than 200 groups")
        },
        Person {
            groups: GroupsClaim::HasGroups,
            ..member(16, person::HAS_GROUPS, "hal", ("Hal", "Hasgroups"), "hasgroups marker")
        },
    ]
}

fn sign_ins_that_fail() -> Vec<Person> {
    let with = |number, key, local_part, names, note, outcome| Person {
        outcome,
        ..member(number, key, local_part, names, note)
    };
    vec![
        with(21, person::CANCELS, "carl", ("Carl", "Cancels"), "Cancels", Outcome::Cancels),
        with(
            22,
            person::ADMIN_CONSENT,
            "adam",
            ("Adam", "Minconsent"),
            "Needs admin consent (90094)",
            Outcome::AdminConsentRequired,
        ),
        with(23, person::DECLINES, "dora", ("Dora", "Declines"), "Declines consent (65004)", Outcome::DeclinesConsent),
        with(24, person::NOT_CONSENTED, "nick", ("Nick", "Nonsent"), "Not consented (65001)", Outcome::NotConsented),
        member(25, person::UNASSIGNED, "una", ("Una", "Ssigned"), "Not assigned to the app (50105)"),
        with(26, person::MFA, "mike", ("Mike", "Factor"), "Second factor missing (50076)", Outcome::MfaRequired),
        with(
            27,
            person::BLOCKED,
            "bert",
            ("Bert", "Blocked"),
            "Blocked by Conditional Access (53003)",
            Outcome::BlockedByConditionalAccess,
        ),
        with(28, person::DISABLED, "dina", ("Dina", "Disabled"), "Account disabled (50057)", Outcome::Disabled),
    ]
}

fn accounts_from_elsewhere() -> Vec<Person> {
    vec![
        Person {
            user_principal_name: format!("grace_{FABRIKAM_DOMAIN}#EXT#@{CONTOSO_INITIAL_DOMAIN}"),
            preferred_username: Some(format!("grace@{FABRIKAM_DOMAIN}")),
            mail: Some(format!("grace@{FABRIKAM_DOMAIN}")),
            user_type: UserType::Guest,
            identity_provider: Some(format!("https://sts.windows.net/{FABRIKAM}/")),
            domain_owner_verified: DomainOwnerVerified::Bool(false),
            ..member(31, person::GUEST, "", ("Grace", "Guest"), "Guest from Fabrikam")
        },
        Person {
            tenant: guid(FABRIKAM),
            user_principal_name: format!("spoofer@{FABRIKAM_DOMAIN}"),
            domain_owner_verified: DomainOwnerVerified::Bool(false),
            ..member(32, person::SPOOFER, "ada", ("Ada", "Example"), "Fabrikam account with Ada's address (nOAuth)")
        },
        Person {
            tenant: guid(FABRIKAM),
            user_principal_name: format!("frank@{FABRIKAM_DOMAIN}"),
            mail: Some(format!("frank@{FABRIKAM_DOMAIN}")),
            ..member(33, person::FABRIKAM_MEMBER, "", ("Frank", "Fabrik"), "Member of Fabrikam")
        },
        Person {
            tenant: guid(PERSONAL_TENANT),
            oid: guid("00000000-0000-0000-66f3-3332eca7ea81"),
            user_principal_name: "pia@outlook.example".to_owned(),
            mail: Some("pia@outlook.example".to_owned()),
            user_type: UserType::Personal,
            ..member(34, person::PERSONAL, "", ("Pia", "Private"), "Personal account")
        },
    ]
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
    }

    #[test]
    fn the_long_name_is_as_long_as_entra_allows() {
        let seed = demo();
        let (local_part, domain) = seed.person(person::LONG_NAME).unwrap().user_principal_name.split_once('@').unwrap();
        assert_eq!((local_part.len(), domain.len()), (64, 48));
    }
}
