//! A configuration looked at as a whole: what the host finds wrong, and what the component must still be asked, though the
//! host found something wrong already.

use std::path::PathBuf;

use toml::{Table, Value};

use super::provider::place;
use super::{Config, Problem};

/// What a file says, good or not.
#[derive(Debug, Default)]
pub struct Examination {
    /// The configuration, if it could be read as far as that; whether it can be used is for `problems` to say.
    pub config: Option<Config>,
    /// What the host finds, in the order in which it reads.
    pub problems: Vec<Problem>,
    /// The component's file, if that much is clear.
    pub plugin: Option<PathBuf>,
    /// By the place of each `[[provider]]`, as problems name it: what the component would get.
    pub components: Vec<(String, String)>,
}

/// Of each provider what the component would get. What is no table, or has a number that JSON can't say, the host has said.
pub(super) fn components(table: &Table) -> Vec<(String, String)> {
    let development = table.get("development").and_then(Value::as_table);
    let loopback_http = development.and_then(|table| table.get("loopback_http")).and_then(Value::as_bool);
    let providers = table.get("provider").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let tables = providers.iter().enumerate().filter_map(|(position, value)| Some((position, value.as_table()?)));
    tables
        .filter_map(|(position, provider)| {
            let json = provider_table::component_json(provider, loopback_http.unwrap_or_default()).ok()?;
            Some((place(providers, position), json))
        })
        .collect()
}
