//! The discovery document (OpenID Connect Discovery section 4) with the fields of Entra's, in Entra's order.
//! As there: no `code_challenge_methods_supported` although PKCE works, and a template issuer where the tenant is not known.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::authority::Authority;
use super::errors::metadata_error;
use super::{set_json_type, with_service_headers};
use crate::control::mischief::DocumentMischief;
use crate::encoding::Parameters;
use crate::world::World;

/// The document. What may be missing is optional: on purpose, by a [`DocumentMischief`].
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the members of Entra's document")]
struct Discovery {
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_methods_supported: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
    response_modes_supported: [&'static str; 3],
    subject_types_supported: [&'static str; 1],
    id_token_signing_alg_values_supported: [&'static str; 1],
    response_types_supported: [&'static str; 4],
    scopes_supported: [&'static str; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    request_uri_parameter_supported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    userinfo_endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization_endpoint: Option<String>,
    device_authorization_endpoint: String,
    http_logout_supported: bool,
    frontchannel_logout_supported: bool,
    end_session_endpoint: String,
    claims_supported: [&'static str; 19],
    kerberos_endpoint: String,
    mtls_endpoint_aliases: MtlsEndpointAliases,
    tls_client_certificate_bound_access_tokens: bool,
    tenant_region_scope: Option<String>,
    cloud_instance_name: String,
    cloud_graph_host_name: &'static str,
    msgraph_host: String,
    rbac_url: &'static str,
}

#[derive(Debug, Serialize)]
struct MtlsEndpointAliases {
    token_endpoint: String,
}

/// `GET /{tenant}/v2.0/.well-known/openid-configuration[?appid=]`.
pub(crate) async fn discovery(
    State(world): State<Arc<World>>,
    Path(segment): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let app_id = Parameters::parse(query.unwrap_or_default().as_bytes()).get("appid").map(str::to_owned);
    let (authority, region) = {
        let state = world.state();
        match Authority::resolve(&state.directory, &segment) {
            Ok(authority) => {
                let region = state.directory.tenant(authority.segment()).map(|tenant| tenant.region.clone());
                (authority, region)
            }
            Err(refusal) => {
                drop(state);
                return metadata_error(&world, &headers, &refusal);
            }
        }
    };
    let mut document = honest(&world, &authority, region, app_id.as_deref());
    spoil(&world, &authority, &mut document);
    let headers = [("cache-control", "max-age=86400, private"), ("access-control-allow-origin", "*")];
    let mut response = with_service_headers(&world, (headers, Json(document)));
    set_json_type(&mut response);
    response
}

fn honest(world: &World, authority: &Authority, region: Option<String>, app_id: Option<&str>) -> Discovery {
    let (login, graph) = (&world.login_url, &world.graph_url);
    let base = format!("{login}/{}", authority.segment());
    let oauth = format!("{base}/oauth2/v2.0");
    let app = app_id.map(|id| format!("?appid={id}")).unwrap_or_default();
    Discovery {
        token_endpoint: Some(format!("{oauth}/token")),
        token_endpoint_auth_methods_supported: Some(vec![
            "client_secret_post",
            "private_key_jwt",
            "client_secret_basic",
        ]),
        jwks_uri: Some(format!("{base}/discovery/v2.0/keys{app}")),
        response_modes_supported: ["query", "fragment", "form_post"],
        subject_types_supported: ["pairwise"],
        id_token_signing_alg_values_supported: ["RS256"],
        response_types_supported: ["code", "id_token", "code id_token", "id_token token"],
        scopes_supported: ["openid", "profile", "email", "offline_access"],
        issuer: Some(format!("{login}/{}/v2.0", authority.issuer_segment())),
        request_uri_parameter_supported: false,
        userinfo_endpoint: Some(format!("{graph}/oidc/userinfo")),
        authorization_endpoint: Some(format!("{oauth}/authorize")),
        device_authorization_endpoint: format!("{oauth}/devicecode"),
        http_logout_supported: true,
        frontchannel_logout_supported: true,
        end_session_endpoint: format!("{oauth}/logout"),
        claims_supported: [
            "sub",
            "iss",
            "cloud_instance_name",
            "cloud_instance_host_name",
            "cloud_graph_host_name",
            "msgraph_host",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "acr",
            "nonce",
            "preferred_username",
            "name",
            "tid",
            "ver",
            "at_hash",
            "c_hash",
            "email",
        ],
        kerberos_endpoint: format!("{base}/kerberos"),
        mtls_endpoint_aliases: MtlsEndpointAliases { token_endpoint: format!("{oauth}/token") },
        tls_client_certificate_bound_access_tokens: true,
        tenant_region_scope: region,
        cloud_instance_name: host(login).to_owned(),
        cloud_graph_host_name: "graph.windows.net",
        msgraph_host: host(graph).to_owned(),
        rbac_url: "https://pas.windows.net",
    }
}

/// The authority part of an origin.
pub(crate) fn host(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(_, host)| host)
}

fn spoil(world: &World, authority: &Authority, document: &mut Discovery) {
    use DocumentMischief as M;
    let on = |mischief| world.document_mischief(mischief);
    let endpoints_at = |document: &mut Discovery, origin: &str| {
        let base = format!("{origin}/{}", authority.segment());
        document.token_endpoint = Some(format!("{base}/oauth2/v2.0/token"));
        document.authorization_endpoint = Some(format!("{base}/oauth2/v2.0/authorize"));
        document.jwks_uri = Some(format!("{base}/discovery/v2.0/keys"));
    };
    if on(M::DiscoveryForeignEndpoints) {
        let port = world.login_url.rsplit(':').next().unwrap_or_default();
        endpoints_at(document, &format!("http://localhost:{port}"));
    }
    if on(M::DiscoveryPlainHttpEndpoints) {
        endpoints_at(document, "http://login.attacker.example");
    }
    if on(M::DiscoveryLinkLocalEndpoints) {
        endpoints_at(document, "https://169.254.169.254");
    }
    if on(M::DiscoveryWrongIssuer) {
        document.issuer = Some(format!("https://login.attacker.example/{}/v2.0", authority.issuer_segment()));
    }
    if on(M::DiscoveryNoIssuer) {
        document.issuer = None;
    }
    if on(M::DiscoveryNoTokenEndpoint) {
        document.token_endpoint = None;
    }
    if on(M::DiscoveryTokenEndpointNotAUrl) {
        document.token_endpoint = Some("not a url".to_owned());
    }
    if on(M::DiscoveryNoAuthorizationEndpoint) {
        document.authorization_endpoint = None;
    }
    if on(M::DiscoveryNoJwksUri) {
        document.jwks_uri = None;
    }
    if on(M::DiscoveryNoUserinfo) {
        document.userinfo_endpoint = None;
    }
    if on(M::DiscoveryOnlyBasic) {
        document.token_endpoint_auth_methods_supported = Some(vec!["client_secret_basic"]);
    }
    if on(M::DiscoveryNoAuthMethods) {
        document.token_endpoint_auth_methods_supported = None;
    }
}

/// The answer of instance discovery.
#[derive(Debug, Serialize)]
struct Instances {
    tenant_discovery_endpoint: String,
    #[serde(rename = "api-version")]
    api_version: &'static str,
    metadata: [Cloud; 1],
}

#[derive(Debug, Serialize)]
struct Cloud {
    preferred_network: String,
    preferred_cache: String,
    aliases: Vec<String>,
}

/// `GET /common/discovery/instance`: the one cloud there is.
pub(crate) async fn instances(State(world): State<Arc<World>>) -> Response {
    let name = host(&world.login_url).to_owned();
    let answer = Instances {
        tenant_discovery_endpoint: format!("{}/common/v2.0/.well-known/openid-configuration", world.login_url),
        api_version: "1.1",
        metadata: [Cloud { preferred_network: name.clone(), preferred_cache: name.clone(), aliases: vec![name] }],
    };
    let mut response = with_service_headers(&world, Json(answer));
    set_json_type(&mut response);
    response
}
