//! What the objects of a delta page say (entra_graph §5.3): a property that isn't there wasn't said, `null` has been cleared. An
//! object that can't be understood makes the page useless; nothing is guessed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Change, Group, Members, Removal, Text, User};
use crate::entra::TenantId;
use crate::login::trace::cut;

/// What is asked for of people.
pub const USER_PROPERTIES: &str =
    "id,userPrincipalName,mail,otherMails,displayName,givenName,surname,accountEnabled,userType,mobilePhone";
/// What is asked for of groups.
pub const GROUP_PROPERTIES: &str = "id,displayName,visibility,members";

/// The longest text that is passed on, in bytes (`wit/directory.wit`).
const MAX_TEXT_BYTES: usize = 1024;
/// The most further addresses.
const MAX_OTHER_MAILS: usize = 64;
const TYPE_OF_USERS: &str = "#microsoft.graph.user";
const TYPE_OF_GROUPS: &str = "#microsoft.graph.group";

/// What is wrong with an object.
pub type Wrong = &'static str;

/// A person, or that one is gone.
pub fn user(entry: &Value) -> Result<Vec<Change>, Wrong> {
    let object = entry.as_object().ok_or("has a user that is no object")?;
    let id = id(object, "has a user without a proper id")?;
    if let Some(removal) = removal(object)? {
        return Ok(vec![Change::UserRemoved(id, removal)]);
    }
    let user_principal_name = text(object, "userPrincipalName")?;
    let is_external = matches!(&user_principal_name, Text::Value(name) if name.to_ascii_uppercase().contains("#EXT#"));
    let user_type = match text(object, "userType")? {
        Text::Value(kind) if kind.eq_ignore_ascii_case("guest") => Some(true),
        Text::Value(kind) if kind.eq_ignore_ascii_case("member") => Some(false),
        // Entra may have a third one some day: it isn't a guest's, as long as the name doesn't say so.
        Text::Value(_) | Text::None => Some(is_external),
        Text::Unsaid => is_external.then_some(true),
    };
    Ok(vec![Change::User(User {
        id,
        user_principal_name,
        mail: text(object, "mail")?,
        other_mails: texts(object, "otherMails")?,
        display_name: text(object, "displayName")?,
        given_name: text(object, "givenName")?,
        surname: text(object, "surname")?,
        mobile_phone: text(object, "mobilePhone")?,
        enabled: match object.get("accountEnabled") {
            // Without the permission it is null: that isn't "disabled" (entra_graph §5.1).
            None | Some(Value::Null) => None,
            Some(Value::Bool(enabled)) => Some(*enabled),
            Some(_) => return Err("has an accountEnabled that is neither true nor false"),
        },
        guest: user_type,
    })])
}

/// A group and what it says of its members, or that it is gone. Part of its members, if there are many: the same group comes
/// again.
pub fn group(entry: &Value) -> Result<Vec<Change>, Wrong> {
    let object = entry.as_object().ok_or("has a group that is no object")?;
    let id = id(object, "has a group without a proper id")?;
    if let Some(removal) = removal(object)? {
        return Ok(vec![Change::GroupRemoved(id, removal)]);
    }
    let hidden_members = match text(object, "visibility")? {
        Text::Unsaid => None,
        Text::None => Some(false),
        Text::Value(visibility) => Some(visibility.eq_ignore_ascii_case("HiddenMembership")),
    };
    let display_name = text(object, "displayName")?;
    let mut changes = vec![Change::Group(Group { id: id.clone(), display_name, hidden_members })];
    let entries = match object.get("members@delta") {
        None | Some(Value::Null) => return Ok(changes),
        Some(Value::Array(entries)) => entries,
        Some(_) => return Err("has a members@delta that is no list"),
    };
    let (added, removed) = members(&id, entries)?;
    changes.extend(added.map(Change::MembersAdded));
    changes.extend(removed.map(Change::MembersRemoved));
    Ok(changes)
}

/// What is neither a person nor a group (devices, service principals, contacts) is no member for us. Of the same one named twice
/// the later word counts.
fn members(group: &str, entries: &[Value]) -> Result<(Option<Members>, Option<Members>), Wrong> {
    const NO_OBJECT: Wrong = "has a member that is no object";
    let mut last: BTreeMap<String, (bool, bool)> = BTreeMap::new();
    for entry in entries {
        let member = entry.as_object().ok_or(NO_OBJECT)?;
        let is_group = match member.get("@odata.type").and_then(Value::as_str) {
            Some(TYPE_OF_USERS) => false,
            Some(TYPE_OF_GROUPS) => true,
            Some(_) => continue,
            None => return Err("has a member without a type"),
        };
        let is_there = removal(member)?.is_none();
        last.insert(id(member, "has a member without a proper id")?, (is_group, is_there));
    }
    let none = || Members { group: group.to_owned(), ..Members::default() };
    let (mut added, mut removed) = (none(), none());
    for (id, (is_group, is_there)) in last {
        let members = if is_there { &mut added } else { &mut removed };
        if is_group { members.groups.push(id) } else { members.users.push(id) }
    }
    let some = |members: Members| (!members.users.is_empty() || !members.groups.is_empty()).then_some(members);
    Ok((some(added), some(removed)))
}

/// In the form that is compared.
fn id(object: &Map<String, Value>, wrong: Wrong) -> Result<String, Wrong> {
    let id = object.get("id").and_then(Value::as_str).and_then(TenantId::parse).ok_or(wrong)?;
    Ok(id.as_str().to_owned())
}

fn removal(object: &Map<String, Value>) -> Result<Option<Removal>, Wrong> {
    match object.get("@removed") {
        None => Ok(None),
        Some(Value::Object(removed)) => Ok(Some(match removed.get("reason").and_then(Value::as_str) {
            Some("deleted") => Removal::Permanent,
            _ => Removal::Restorable,
        })),
        Some(_) => Err("has an @removed that is no object"),
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Result<Text, Wrong> {
    match object.get(name) {
        None => Ok(Text::Unsaid),
        Some(Value::Null) => Ok(Text::None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(Text::None),
        Some(Value::String(text)) => Ok(Text::Value(cut(text.trim(), MAX_TEXT_BYTES))),
        Some(_) => Err("has a property that is no text"),
    }
}

fn texts(object: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, Wrong> {
    match object.get(name) {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(Vec::new())),
        Some(Value::Array(texts)) => texts
            .iter()
            .take(MAX_OTHER_MAILS)
            .map(|text| text.as_str().map(|text| cut(text.trim(), MAX_TEXT_BYTES)))
            .collect::<Option<Vec<_>>>()
            .map(Some)
            .ok_or("has a list that isn't one of texts"),
        Some(_) => Err("has a property that is no list"),
    }
}
