//! The userinfo endpoint (OpenID Connect Core section 5.3). Its `sub` is the pairwise one of the app, equal to the ID token's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value};

use super::bearer::{self, Principal};
use super::errors::GraphError;
use super::{Answer, reply};
use crate::control::mischief::DocumentMischief;
use crate::world::World;

/// `GET` or `POST /oidc/userinfo`.
pub(super) async fn userinfo(State(world): State<Arc<World>>, headers: HeaderMap) -> Response {
    let answer = read(&world, &headers).map(Answer::new);
    reply(&world, &headers, answer)
}

fn read(world: &World, headers: &HeaderMap) -> Result<Value, GraphError> {
    let Principal::Person { oid, subject, scopes, .. } = bearer::principal(world, headers)? else {
        return Err(GraphError::Denied);
    };
    let has = |scope: &str| scopes.iter().any(|granted| granted == scope);
    if !has("openid") {
        return Err(GraphError::Denied);
    }
    let state = world.state();
    let person = state.directory.person_by_id(&oid);
    let person = person.ok_or_else(|| GraphError::NotFound { id: oid.to_string() })?;
    let subject = if state.switches.document(DocumentMischief::UserinfoOtherSubject) {
        Some("a-subject-that-is-another-person".to_owned())
    } else {
        Some(subject).filter(|_| !state.switches.document(DocumentMischief::UserinfoNoSubject))
    };
    let claims = [
        ("sub", subject),
        ("name", person.display_name.clone().filter(|_| has("profile"))),
        ("family_name", person.surname.clone().filter(|_| has("profile"))),
        ("given_name", person.given_name.clone().filter(|_| has("profile"))),
        ("picture", Some(format!("{}/v1.0/me/photo/$value", world.graph_url))),
        ("email", person.mail.clone().filter(|_| has("email"))),
    ];
    let present = claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    Ok(present.collect::<Map<String, Value>>().into())
}
