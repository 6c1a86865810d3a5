//! OData query options. What is not implemented is refused, never ignored: a client must not mistake an unfiltered answer for a filtered one.

use super::errors::GraphError;
use crate::encoding::Parameters;

/// The property names of `$select`, if any, where `$select` is the only option allowed.
pub(super) fn select_only(query: &str) -> Result<Option<Vec<String>>, GraphError> {
    let parameters = Parameters::parse(query.as_bytes());
    let mut select = None;
    for (option, value) in parameters.pairs() {
        if option != "$select" || select.is_some() {
            return Err(GraphError::UnsupportedQuery { option: option.to_owned() });
        }
        select = Some(value.split(',').map(|name| name.trim().to_owned()).collect());
    }
    Ok(select)
}
