//! Faults of a page of a list (OData JSON): links that lead astray, and content that is not what it claims to be.
//! The genuine answer is changed; one that is no JSON object goes out as it is.

use axum::body::{Body, Bytes};
use axum::http::response::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const NEXT_LINK: &str = "@odata.nextLink";

/// What is wrong with a page of a list whose JSON is sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageLie {
    /// No `value`.
    NoValue,
    /// `value` is an object.
    ValueNotAList,
    /// `value` lists a number, `null` and a list besides.
    ItemsOfOtherTypes,
    /// The ids in `value` are no GUIDs.
    IdsNotGuids,
    /// The first half of the items, and no link to the others: nothing shows that something is missing.
    EndsEarly,
    /// `@odata.nextLink` is a number.
    NextlinkNotText,
    /// `@odata.nextLink` is a path, not an absolute URL.
    NextlinkNotAUrl,
    /// Status 200 with an `error` object.
    ErrorInside,
    /// `accountEnabled` is `null`, as for an application that may not read the property: nothing shows that something is missing.
    StateUnsaid,
}

impl PageLie {
    /// Every variant, for tables that must leave none out.
    pub const ALL: &[Self] = &[
        Self::NoValue,
        Self::ValueNotAList,
        Self::ItemsOfOtherTypes,
        Self::IdsNotGuids,
        Self::EndsEarly,
        Self::NextlinkNotText,
        Self::NextlinkNotAUrl,
        Self::ErrorInside,
        Self::StateUnsaid,
    ];
}

/// A genuine answer, read to its end.
type Genuine = (Parts, Bytes);

/// The same listener under another name: another origin that answers and is logged.
pub(super) fn other_name(origin: &str) -> String {
    format!("http://localhost:{}", origin.rsplit(':').next().unwrap_or_default())
}

/// The next link, or one to this page, on another origin.
pub(super) fn foreign_nextlink(origin: &str, uri: &Uri, genuine: Genuine) -> Response {
    changed(genuine, |page| {
        let genuine_link = page.get(NEXT_LINK).and_then(Value::as_str).and_then(|link| link.parse::<Uri>().ok());
        let link = format!("{origin}{}", path_and_query(genuine_link.as_ref().unwrap_or(uri)));
        page.insert(NEXT_LINK.to_owned(), link.into());
    })
}

/// The next link is this page's own address.
pub(super) fn nextlink_loop(origin: &str, uri: &Uri, genuine: Genuine) -> Response {
    changed(genuine, |page| {
        page.insert(NEXT_LINK.to_owned(), format!("{origin}{}", path_and_query(uri)).into());
    })
}

/// A page with something about it changed.
pub(super) fn lie(lie: PageLie, genuine: Genuine) -> Response {
    changed(genuine, |page| match lie {
        PageLie::NoValue => {
            page.remove("value");
        }
        PageLie::ValueNotAList => {
            page.insert("value".to_owned(), json!({}));
        }
        PageLie::ItemsOfOtherTypes => items(page, |items| items.extend([json!(7), Value::Null, json!([])])),
        PageLie::IdsNotGuids => items(page, |items| items.iter_mut().for_each(spoil_id)),
        PageLie::EndsEarly => {
            items(page, |items| items.truncate(items.len() / 2));
            page.remove(NEXT_LINK);
        }
        PageLie::NextlinkNotText => {
            page.insert(NEXT_LINK.to_owned(), json!(7));
        }
        PageLie::NextlinkNotAUrl => {
            page.insert(NEXT_LINK.to_owned(), json!("/v1.0/users?$skiptoken=relative"));
        }
        PageLie::StateUnsaid => items(page, |items| items.iter_mut().for_each(leave_state_out)),
        PageLie::ErrorInside => {
            page.clear();
            page.insert("error".to_owned(), json!({"code": "UnknownError", "message": "An error that was injected."}));
        }
    })
}

fn path_and_query(uri: &Uri) -> &str {
    uri.path_and_query().map_or("/", |both| both.as_str())
}

fn items(page: &mut Map<String, Value>, change: impl FnOnce(&mut Vec<Value>)) {
    if let Some(Value::Array(items)) = page.get_mut("value") {
        change(items);
    }
}

fn leave_state_out(item: &mut Value) {
    if let Some(state) = item.get_mut("accountEnabled") {
        *state = Value::Null;
    }
}

/// The id of an item, which is the id itself or an object that has one.
fn spoil_id(item: &mut Value) {
    let id = match item {
        Value::Object(members) => members.get_mut("id"),
        other => Some(other),
    };
    if let Some(id) = id {
        *id = json!("../../users");
    }
}

fn changed((mut parts, bytes): Genuine, change: impl FnOnce(&mut Map<String, Value>)) -> Response {
    if parts.status != StatusCode::OK {
        return Response::from_parts(parts, Body::from(bytes));
    }
    let Ok(mut page) = serde_json::from_slice::<Map<String, Value>>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    change(&mut page);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(Value::from(page).to_string()))
}
