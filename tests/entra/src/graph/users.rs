//! `/users/{id | userPrincipalName}`: one user object (`api/user-get`).

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::errors::{GraphError, refuse};
use super::{bearer, query};
use crate::seed::{Outcome, Person, UserType};
use crate::world::World;

/// What Graph answers without `$select`.
const DEFAULT_PROPERTIES: [&str; 11] = [
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];

/// `GET /v1.0/users/{id}`.
pub(super) async fn user(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    match read(&world, &headers, &id, &query.unwrap_or_default()) {
        Ok(body) => super::answer(&world, &headers, 1, &body),
        Err(error) => refuse(&world, &headers, &error),
    }
}

fn read(world: &World, headers: &HeaderMap, id: &str, query: &str) -> Result<Value, GraphError> {
    let principal = bearer::principal(world, headers)?;
    let select = query::select_only(query)?;
    let state = world.state();
    let found = state.directory.persons.iter().find(|person| {
        person.tenant == *principal.tenant()
            && (person.oid.as_str().eq_ignore_ascii_case(id) || person.user_principal_name.eq_ignore_ascii_case(id))
    });
    let Some(person) = found else {
        // Without the permission nobody learns who exists.
        let missing = GraphError::NotFound { id: id.to_owned() };
        return Err(if principal.may_read_all_users() { missing } else { GraphError::Denied });
    };
    if !principal.may_read_user(&person.oid) {
        return Err(GraphError::Denied);
    }
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), context(world, select.as_deref()).into());
    let all = properties(person);
    let defaults = || DEFAULT_PROPERTIES.map(str::to_owned).to_vec();
    for name in select.unwrap_or_else(defaults) {
        let value = all.get(&name).ok_or_else(|| GraphError::UnknownProperty { name: name.clone() })?;
        body.insert(name, value.clone());
    }
    Ok(body.into())
}

fn context(world: &World, select: Option<&[String]>) -> String {
    let properties = select.map(|names| format!("({})", names.join(","))).unwrap_or_default();
    format!("{}/v1.0/$metadata#users{properties}/$entity", world.graph_url)
}

/// Every property that the emulator knows; those of [`DEFAULT_PROPERTIES`] and those that need `$select`.
fn properties(person: &Person) -> Map<String, Value> {
    let all = json!({
        "id": person.oid,
        "businessPhones": [],
        "displayName": person.display_name,
        "givenName": person.given_name,
        "jobTitle": null,
        "mail": person.mail,
        "mobilePhone": person.mobile_phone,
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": person.surname,
        "userPrincipalName": person.user_principal_name,
        "accountEnabled": person.outcome != Outcome::Disabled,
        "userType": if person.user_type == UserType::Guest { "Guest" } else { "Member" },
        "otherMails": [],
        "proxyAddresses": person.mail.iter().map(|mail| format!("SMTP:{mail}")).collect::<Vec<_>>(),
    });
    match all {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}
