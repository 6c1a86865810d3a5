//! OpenID Connect, a file for each step of the protocol: discovery, PKCE, the token request, the key set, the ID token,
//! userinfo.

pub mod client_credentials;
pub mod discovery;
mod fetch;
pub(crate) mod http_date;
pub mod id_token;
pub mod key_set;
pub mod keys;
pub mod pkce;
pub mod pushed_request;
pub mod token_request;
pub mod userinfo;
