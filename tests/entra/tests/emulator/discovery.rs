//! Discovery documents: shape, issuers, unknown tenants, and their deviations.

use entra_emulator::{DocumentMischief as M, fixtures};
use serde_json::Value;

use crate::support::Lab;

type Holds = fn(&Value, &Lab) -> bool;

/// Every member of Entra's document, in Entra's order.
const MEMBERS: [&str; 25] = [
    "token_endpoint",
    "token_endpoint_auth_methods_supported",
    "jwks_uri",
    "response_modes_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "response_types_supported",
    "scopes_supported",
    "issuer",
    "request_uri_parameter_supported",
    "userinfo_endpoint",
    "authorization_endpoint",
    "device_authorization_endpoint",
    "http_logout_supported",
    "frontchannel_logout_supported",
    "end_session_endpoint",
    "claims_supported",
    "kerberos_endpoint",
    "mtls_endpoint_aliases",
    "tls_client_certificate_bound_access_tokens",
    "tenant_region_scope",
    "cloud_instance_name",
    "cloud_graph_host_name",
    "msgraph_host",
    "rbac_url",
];

#[tokio::test]
async fn the_document_has_entras_members_in_entras_order() {
    let lab = Lab::start().await;
    let reply = lab.get(&lab.login(&format!("/{}/v2.0/.well-known/openid-configuration", fixtures::CONTOSO))).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(reply.header("cache-control"), "max-age=86400, private");
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(!reply.header("x-ms-request-id").is_empty());
    assert!(!reply.header("set-cookie").is_empty());
    let positions: Vec<usize> = MEMBERS
        .iter()
        .map(|name| reply.body.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("{name} is missing")))
        .collect();
    assert!(positions.is_sorted(), "{}", reply.body);
    let document = reply.json();
    assert_eq!(document.as_object().unwrap().len(), MEMBERS.len());
    assert_eq!(document["subject_types_supported"], serde_json::json!(["pairwise"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], serde_json::json!(["RS256"]));
    for never in ["code_challenge_methods_supported", "grant_types_supported", "revocation_endpoint"] {
        assert!(document.get(never).is_none(), "Entra has no {never}");
    }
}

#[tokio::test]
async fn issuer_and_endpoints_follow_the_authority() {
    let lab = Lab::start().await;
    let upper = fixtures::CONTOSO.to_uppercase();
    // name, segment in the path, segment of the endpoints, segment of the issuer, region
    let table = [
        ("GUID", fixtures::CONTOSO, fixtures::CONTOSO, fixtures::CONTOSO, Some("EU")),
        ("GUID, upper case", upper.as_str(), fixtures::CONTOSO, fixtures::CONTOSO, Some("EU")),
        ("domain", "contoso.example", fixtures::CONTOSO, fixtures::CONTOSO, Some("EU")),
        ("initial domain", "Contoso.OnMicrosoft.example", fixtures::CONTOSO, fixtures::CONTOSO, Some("EU")),
        ("foreign tenant", fixtures::FABRIKAM, fixtures::FABRIKAM, fixtures::FABRIKAM, Some("NA")),
        ("common", "common", "common", "{tenantid}", None),
        ("organizations", "organizations", "organizations", "{tenantid}", None),
        ("consumers", "consumers", "consumers", fixtures::PERSONAL_TENANT, None),
    ];
    for (name, segment, endpoints, issuer, region) in table {
        let document = lab.discovery(segment).await;
        let base = lab.login(&format!("/{endpoints}"));
        assert_eq!(document["issuer"], lab.login(&format!("/{issuer}/v2.0")), "{name}");
        assert_eq!(document["authorization_endpoint"], format!("{base}/oauth2/v2.0/authorize"), "{name}");
        assert_eq!(document["token_endpoint"], format!("{base}/oauth2/v2.0/token"), "{name}");
        assert_eq!(document["jwks_uri"], format!("{base}/discovery/v2.0/keys"), "{name}");
        assert_eq!(document["userinfo_endpoint"], lab.graph("/oidc/userinfo"), "{name}");
        assert_eq!(document["tenant_region_scope"].as_str(), region, "{name}");
    }
}

#[tokio::test]
async fn the_app_id_flows_into_the_key_set_address() {
    let lab = Lab::start().await;
    let path = format!("/common/v2.0/.well-known/openid-configuration?appid={}", fixtures::CLIENT_ID);
    let document = lab.get(&lab.login(&path)).await.json();
    let expected = lab.login(&format!("/common/discovery/v2.0/keys?appid={}", fixtures::CLIENT_ID));
    assert_eq!(document["jwks_uri"], expected);
}

#[tokio::test]
async fn an_unknown_tenant_is_told_in_json() {
    let lab = Lab::start().await;
    for path in ["/nowhere.example/v2.0/.well-known/openid-configuration", "/nowhere.example/discovery/v2.0/keys"] {
        let reply = lab.get(&lab.login(path)).await;
        let body = reply.json();
        assert_eq!((reply.status, &body["error"]), (400, &"invalid_tenant".into()), "{path}");
        assert_eq!(body["error_codes"], serde_json::json!([90002]), "{path}");
        assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS90002: Tenant 'nowhere.example'"));
    }
}

#[tokio::test]
async fn instance_discovery_lists_this_cloud_alone() {
    let lab = Lab::start().await;
    let body = lab.get(&lab.login("/common/discovery/instance?api-version=1.1")).await.json();
    let host = lab.entra.login_url().trim_start_matches("http://").to_owned();
    assert_eq!(body["metadata"][0]["aliases"], serde_json::json!([host]));
}

#[tokio::test]
async fn each_deviation_changes_what_it_names() {
    let elsewhere: Holds = |document, lab| {
        ["token_endpoint", "authorization_endpoint", "jwks_uri"]
            .iter()
            .all(|name| !document[name].as_str().unwrap().starts_with(lab.entra.login_url()))
    };
    let table: [(M, Holds); 12] = [
        (M::DiscoveryWrongIssuer, |d, lab| !d["issuer"].as_str().unwrap().starts_with(lab.entra.login_url())),
        (M::DiscoveryNoIssuer, |d, _| d.get("issuer").is_none()),
        (M::DiscoveryForeignEndpoints, elsewhere),
        (M::DiscoveryPlainHttpEndpoints, elsewhere),
        (M::DiscoveryLinkLocalEndpoints, elsewhere),
        (M::DiscoveryNoTokenEndpoint, |d, _| d.get("token_endpoint").is_none()),
        (M::DiscoveryNoAuthorizationEndpoint, |d, _| d.get("authorization_endpoint").is_none()),
        (M::DiscoveryNoJwksUri, |d, _| d.get("jwks_uri").is_none()),
        (M::DiscoveryTokenEndpointNotAUrl, |d, _| url::Url::parse(d["token_endpoint"].as_str().unwrap()).is_err()),
        (M::DiscoveryOnlyBasic, |d, _| {
            d["token_endpoint_auth_methods_supported"] == serde_json::json!(["client_secret_basic"])
        }),
        (M::DiscoveryNoAuthMethods, |d, _| d.get("token_endpoint_auth_methods_supported").is_none()),
        (M::DiscoveryNoUserinfo, |d, _| d.get("userinfo_endpoint").is_none()),
    ];
    let lab = Lab::start().await;
    let honest = lab.discovery(fixtures::CONTOSO).await;
    for (mischief, holds) in table {
        assert!(!holds(&honest, &lab), "{mischief:?} while it is off");
        lab.control.set_document_mischief(mischief, true);
        let document = lab.discovery(fixtures::CONTOSO).await;
        assert!(holds(&document, &lab), "{mischief:?}: {document}");
        lab.control.set_document_mischief(mischief, false);
        assert_eq!(lab.discovery(fixtures::CONTOSO).await, honest, "{mischief:?} after it is off");
    }
}

#[tokio::test]
async fn foreign_endpoints_answer_so_that_a_client_who_follows_them_is_seen() {
    let lab = Lab::start().await;
    lab.control.set_document_mischief(M::DiscoveryForeignEndpoints, true);
    let document = lab.discovery(fixtures::CONTOSO).await;
    lab.control.clear_requests();
    let reply = lab.get(document["jwks_uri"].as_str().unwrap()).await;
    assert_eq!(reply.status, 200);
    let record = lab.control.requests().remove(0);
    assert!(record.host_header.unwrap().starts_with("localhost:"));
}
