//! The pairwise subject: another one per app, tenant and person, and the same at every sign-in (OpenID Connect Core section 8.1).

use ring::digest::{SHA256, digest};

use crate::encoding::base64url;
use crate::seed::{Guid, Person};

/// Makes the subjects of this emulator differ from any other's.
const SALT: &str = "entra-emulator";

/// `sub` of a person for an app, 43 characters.
pub(crate) fn pairwise(person: &Person, client_id: &Guid) -> String {
    base64url(digest(&SHA256, format!("{SALT}|{}|{client_id}|{}", person.tenant, person.oid).as_bytes()))
}
