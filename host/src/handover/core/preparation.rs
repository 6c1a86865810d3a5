//! A user ahead of the person's first sign-in: the same steps as a sign-in's, with the same rules, up to the enrollment token,
//! which nobody is there for yet. Who prepares thousands has read the list of users just now, so it isn't read again for
//! each of them.

use std::collections::HashMap;

use super::CoreHandover;
use super::sign_in::SignIn;
use crate::capability::TraceId;
use crate::core_api::User;
use crate::handover::{HandoverError, HandoverRequest};
use crate::linking::{LinkDecision, Linking};
use crate::sandbox::bindings::exports::defguard::openid::login::Check;

/// A person's user in Core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// As Core has it now. The identity is linked to it.
    pub user: User,
    /// Whether it was made now. One that an interrupted attempt made before counts as found.
    pub is_made: bool,
    /// Why it is the person's.
    pub linking: Linking,
}

/// Core's users by number and address, as [`crate::core_api::CoreClient::users`] gave them. It says where to look: what is
/// found is asked for again before anything is decided on it.
#[derive(Debug, Default)]
pub struct Roster {
    names: Vec<Box<str>>,
    by_id: HashMap<i64, u32>,
    by_address: HashMap<Box<str>, u32>,
}

impl Roster {
    /// Of all users. Of two with the same address but for case, the one with the lower number counts, as it does where the
    /// list is read for one person.
    pub fn of(users: &[User]) -> Self {
        let mut roster = Self::default();
        for (user, position) in users.iter().zip(0..) {
            roster.names.push(user.username.as_str().into());
            roster.by_id.insert(user.id, position);
            roster.by_address.entry(user.email.to_lowercase().into()).or_insert(position);
        }
        roster
    }

    pub(super) fn name(&self, id: i64) -> Option<&str> {
        self.at(*self.by_id.get(&id)?)
    }

    pub(super) fn name_of_address(&self, email: &str) -> Option<&str> {
        self.at(*self.by_address.get(email.to_lowercase().as_str())?)
    }

    fn at(&self, position: u32) -> Option<&str> {
        self.names.get(position as usize).map(AsRef::as_ref)
    }
}

impl CoreHandover {
    /// Finds or makes the person's user exactly as a sign-in does, with its reservations, suffixes and rules of linking, and
    /// links the identity to it; no enrollment token is made. The error is the one person's: a name that is taken, an address
    /// that is another's, a user that is disabled or was deleted. Only [`HandoverError::Core`] and
    /// [`HandoverError::Unavailable`] may be everybody's. Asking again for whom an answer was lost makes no second user.
    ///
    /// Three calls for a person who is new (the third only if the address is taken), one for who is linked already, and at
    /// most as long as a hand-over may take.
    pub async fn prepare(
        &self,
        request: &HandoverRequest<'_>,
        roster: &Roster,
        trace: &TraceId,
        checks: &mut Vec<Check>,
    ) -> Result<Prepared, HandoverError> {
        let (user, linking) = SignIn::new(self, request, checks).with_roster(roster).settled().await?;
        let is_made = linking.decision == LinkDecision::New;
        tracing::info!(%trace, account = user.username, is_made, "prepared in Defguard Core");
        Ok(Prepared { user, is_made, linking })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_where() {
        let user = |id: i64, username: &str, email: &str| {
            let record = serde_json::json!({
                "id": id, "username": username, "email": email, "first_name": "A", "last_name": "B", "is_active": true,
                "enrolled": true,
            });
            serde_json::from_value::<User>(record).unwrap()
        };
        let roster =
            Roster::of(&[user(3, "ada", "Ada@A.example"), user(4, "eve", "aDa@a.example"), user(5, "bob", "ä@b")]);
        for (name, found, expected) in [
            ("by number", roster.name(4), Some("eve")),
            ("nobody's number", roster.name(6), None),
            ("by address, in any case", roster.name_of_address("ADA@a.example"), Some("ada")),
            ("beyond ASCII", roster.name_of_address("Ä@B"), Some("bob")),
            ("never by a pattern", roster.name_of_address("a_a@a.example"), None),
        ] {
            assert_eq!(found, expected, "{name}");
        }
    }
}
