//! Changes of the directory as orders in JSON, one or several at once, for tests in other languages.

use serde::Deserialize;

use super::{Control, ControlError};
use crate::seed::{Group, Person};

/// One order or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Orders {
    One(Box<Order>),
    Several(Vec<Order>),
}

/// What to do.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Order {
    /// Adds a person, or puts them in place of the one with that id.
    UpsertPerson { person: Box<Person> },
    /// Adds a group, or puts it in place of the one with that id.
    UpsertGroup { group: Group },
    /// Removes a person (by key) or a group (by id).
    Delete {
        person: Option<String>,
        group: Option<String>,
        #[serde(default)]
        permanently: bool,
    },
    /// Brings a person or a group back.
    Restore { person: Option<String>, group: Option<String> },
    /// Disables an account.
    Disable { person: String },
    /// Enables an account.
    Enable { person: String },
    /// Moves a person from one group to another.
    Move { person: String, from: String, to: String },
}

/// What became of several orders: those before the one that was refused have been carried out.
pub(super) fn carry_out(control: &Control, orders: Orders) -> Result<(), ControlError> {
    match orders {
        Orders::One(order) => one(control, *order),
        Orders::Several(orders) => orders.into_iter().try_for_each(|order| one(control, order)),
    }
}

fn one(control: &Control, order: Order) -> Result<(), ControlError> {
    match order {
        Order::UpsertPerson { person } => upsert_person(control, *person),
        Order::UpsertGroup { group } => {
            let id = group.id.clone();
            match control.edit_group(id.as_str(), |old| *old = group.clone()) {
                Err(ControlError::UnknownGroup(_)) => control.add_group(group),
                done => done,
            }
        }
        Order::Delete { person, group, permanently } => {
            let (by_key, by_id) = if permanently {
                (Control::purge_person as Action, Control::purge_group as Action)
            } else {
                (Control::remove_person as Action, Control::remove_group as Action)
            };
            named(control, person, group, by_key, by_id)
        }
        Order::Restore { person, group } => {
            named(control, person, group, Control::restore_person, Control::restore_group)
        }
        Order::Disable { person } => control.disable_person(&person),
        Order::Enable { person } => control.enable_person(&person),
        Order::Move { person, from, to } => {
            let member = control.oid_of(&person)?;
            control.move_member(&member, &from, &to)
        }
    }
}

type Action = fn(&Control, &str) -> Result<(), ControlError>;

/// Acts on the person or the group that is named; on both if both are.
fn named(
    control: &Control,
    person: Option<String>,
    group: Option<String>,
    by_key: Action,
    by_id: Action,
) -> Result<(), ControlError> {
    if person.is_none() && group.is_none() {
        return Err(ControlError::UnknownPerson(String::new()));
    }
    person.map_or(Ok(()), |key| by_key(control, &key))?;
    group.map_or(Ok(()), |id| by_id(control, &id))
}

fn upsert_person(control: &Control, person: Person) -> Result<(), ControlError> {
    match control.key_of(&person.oid) {
        Some(key) => control.edit_person(&key, |old| *old = person),
        None => control.add_person(person),
    }
}
