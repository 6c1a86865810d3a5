//! `/users/{id | userPrincipalName}`: one user object (`api/user-get`).

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::bearer::{self, Permission};
use super::errors::GraphError;
use super::filter::Field;
use super::objects::{Kind, Object, check_select};
use super::query::Options;
use super::{Answer, context, reply};
use crate::directory::Directory;
use crate::seed::{Guid, Outcome, Person, UserType};
use crate::world::World;

/// What Graph answers without `$select`.
pub(super) const DEFAULT_PROPERTIES: [&str; 11] = [
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

/// Every property that the emulator knows of a user.
pub(super) const PROPERTIES: [&str; 18] = [
    "id",
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
    "accountEnabled",
    "userType",
    "otherMails",
    "department",
    "employeeId",
    "onPremisesSamAccountName",
    "proxyAddresses",
];

/// `GET /v1.0/users/{id}`.
pub(super) async fn user(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let answer = read(&world, &headers, &id, &query.unwrap_or_default());
    reply(&world, &headers, answer)
}

fn read(world: &World, headers: &HeaderMap, id: &str, query: &str) -> Result<Answer, GraphError> {
    let principal = bearer::principal(world, headers)?;
    let options = Options::parse(query, headers, &["$select"])?;
    let state = world.state();
    let Some(person) = find(&state.directory, principal.tenant(), id) else {
        // Without the permission nobody learns who exists.
        let missing = GraphError::NotFound { id: id.to_owned() };
        return Err(if principal.may_use(Permission::Users) { missing } else { GraphError::Denied });
    };
    if !principal.may_read_user(&person.oid) {
        return Err(GraphError::Denied);
    }
    check_select(Kind::User, options.select.as_deref())?;
    let mut body = Object::User(person).selected(options.select.as_deref());
    body.insert("@odata.context".to_owned(), context(world, "users", options.select.as_deref(), "/$entity"));
    Ok(Answer::new(body))
}

/// The user of a tenant with this object id or user principal name.
pub(super) fn find<'a>(directory: &'a Directory, tenant: &Guid, id: &str) -> Option<&'a Person> {
    let by_id = Guid::parse(id).ok().and_then(|id| directory.person_by_id(&id));
    by_id.into_iter().chain(directory.people_named(id)).find(|person| person.tenant == *tenant).map(|person| &**person)
}

/// A property to filter by (`api/user`: those that support `$filter`).
pub(super) fn field<'a>(person: &'a Person, name: &str) -> Option<Field<'a>> {
    Some(Field::Text(match name {
        "id" => Some(person.oid.as_str()),
        "userPrincipalName" => Some(&person.user_principal_name),
        "displayName" => person.display_name.as_deref(),
        "givenName" => person.given_name.as_deref(),
        "surname" => person.surname.as_deref(),
        "mail" => person.mail.as_deref(),
        "department" => person.department.as_deref(),
        "jobTitle" => person.job_title.as_deref(),
        "employeeId" => person.employee_id.as_deref(),
        "userType" => Some(user_type(person)),
        "accountEnabled" => return Some(Field::Flag(person.outcome != Outcome::Disabled)),
        _ => return None,
    }))
}

fn user_type(person: &Person) -> &'static str {
    if person.user_type == UserType::Guest { "Guest" } else { "Member" }
}

/// Every property that the emulator knows; those of [`DEFAULT_PROPERTIES`] and those that need `$select`.
pub(super) fn properties(person: &Person) -> Map<String, Value> {
    let all = json!({
        "id": person.oid,
        "businessPhones": [],
        "displayName": person.display_name,
        "givenName": person.given_name,
        "jobTitle": person.job_title,
        "mail": person.mail,
        "mobilePhone": person.mobile_phone,
        "officeLocation": null,
        "preferredLanguage": null,
        "surname": person.surname,
        "userPrincipalName": person.user_principal_name,
        "accountEnabled": person.outcome != Outcome::Disabled,
        "userType": user_type(person),
        "otherMails": person.other_mails,
        "department": person.department,
        "employeeId": person.employee_id,
        "onPremisesSamAccountName": person.on_premises_sam_account_name,
        "proxyAddresses": person.mail.iter().map(|mail| format!("SMTP:{mail}")).collect::<Vec<_>>(),
    });
    match all {
        Value::Object(properties) => properties,
        _ => Map::new(),
    }
}
