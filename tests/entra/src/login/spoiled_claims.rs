//! Carries out [`ClaimMischief`]: claims that decide policies, given a wrong form or an unwelcome value. The token around them stays
//! honest, its key included.

use serde_json::{Map, Value, json};

use super::id_token::{issuer, overage_markers};
use crate::control::mischief::ClaimMischief as M;
use crate::seed::{Person, fixtures};
use crate::world::World;

/// How far `auth_time` lies in the future, seconds: a year.
const FAR_FUTURE_S: i64 = 365 * 86_400;

/// Spoils the claims of the ID token that is being made for a person.
pub(super) fn spoil(world: &World, mischief: M, person: &Person, claims: &mut Map<String, Value>) {
    let group = || json!(fixtures::group::VPN_USERS);
    let now = world.clock.now_unix_s();
    let mut set = |name: &str, value: Value| {
        claims.insert(name.to_owned(), value);
    };
    match mischief {
        M::AcrsAsText => set("acrs", json!("c1")),
        M::AcrsWithNonTexts => set("acrs", json!(["c1", 1, null])),
        M::AuthTimeMissing => {
            claims.remove("auth_time");
        }
        M::AuthTimeAsText => set("auth_time", json!(now.to_string())),
        M::AuthTimeInFuture => set("auth_time", json!(now + FAR_FUTURE_S)),
        M::GroupsAsText => set("groups", group()),
        M::GroupsWithNonTexts => set("groups", json!([group(), 7, null, {"id": group()}])),
        M::GroupsWithOverage => {
            set("groups", json!([group()]));
            claims.extend(overage_markers(world, &person.tenant, &person.oid));
        }
        M::AcctAsText => set("acct", json!("1")),
        M::AcctGuest => set("acct", json!(1)),
        M::IdpForeign => set("idp", json!(format!("https://sts.windows.net/{}/", fixtures::FABRIKAM))),
        M::TidPersonal => {
            set("tid", json!(fixtures::PERSONAL_TENANT));
            set("iss", json!(issuer(world, fixtures::PERSONAL_TENANT)));
        }
    }
}
