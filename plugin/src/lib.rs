//! Sign-in for Defguard by OpenID Connect, Microsoft Entra ID first: the logic of the WebAssembly component.
//!
//! A login has two steps. [`login::begin`] finds the provider's endpoints ([`oidc::discovery`]), stores a transaction
//! ([`login::transaction`]) and builds the authorization request with `state`, `nonce` and PKCE. The browser goes to the
//! provider and comes back; [`login::complete`] reads the callback ([`login::callback`]), takes the transaction if it is
//! this browser's, redeems the code ([`oidc::token_request`]), verifies the ID token ([`oidc::id_token`], with the keys of
//! [`oidc::keys`] and the algorithms of [`jose`]) and maps the claims ([`claims`]) by the provider's [`configuration`].
//!
//! The logic knows the world through [`capability`] only, so it runs and is tested natively; `component` binds it to the
//! contract of `wit/`, and `browser` binds the part that needs no world, the configuration and the preview of claims
//! (`playground`), to JavaScript. Nothing is kept between calls but what is stored.

pub mod capability;
pub mod claims;
pub mod configuration;
pub mod directory;
pub mod entra;
pub mod jose;
mod json;
pub mod login;
pub mod oidc;
#[cfg(feature = "browser")]
pub mod playground;
pub mod policy;

#[cfg(any(feature = "component", test))]
mod allocator;
#[cfg(feature = "browser")]
mod browser;
#[cfg(feature = "component")]
mod component;

#[cfg(all(feature = "browser", feature = "component", target_family = "wasm"))]
compile_error!(
    "`component` imports the contract and nothing else, `browser` brings JavaScript's glue: one or the other"
);
