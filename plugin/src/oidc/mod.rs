//! OpenID Connect, a file for each step of the protocol: discovery, PKCE, the token request, the key set, the ID token,
//! userinfo.

pub mod discovery;
mod fetch;
pub mod id_token;
pub mod key_set;
pub mod keys;
pub mod pkce;
pub mod token_request;
pub mod userinfo;
