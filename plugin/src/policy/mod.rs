//! Decisions about a person whose identity is known: who is let in ([`rules`]), and which existing account may be theirs
//! ([`linking`]). What can't be decided is refused.

pub mod linking;
pub mod rules;
