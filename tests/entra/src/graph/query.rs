//! OData query options. What is not implemented is refused, never ignored: a client must not mistake an unfiltered answer for a filtered one.

use axum::http::HeaderMap;

use super::errors::GraphError;
use crate::control::requests::text;
use crate::encoding::Parameters;

/// The options of a request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The property names of `$select`.
    pub(super) select: Option<Vec<String>>,
    /// `$top`: items on a page, 1 to 999.
    pub(super) top: Option<usize>,
    /// `$count=true`: the number of all items.
    pub(super) count: bool,
    /// `$skiptoken` of a next link.
    pub(super) skip_token: Option<String>,
    /// `$filter` as it came.
    pub(super) filter: Option<String>,
    /// `$deltatoken` of a delta link.
    pub(super) delta_token: Option<String>,
}

impl Options {
    /// Reads those options that the resource allows; any other one is refused, and so is one that comes twice.
    pub(super) fn parse(query: &str, headers: &HeaderMap, allowed: &[&str]) -> Result<Self, GraphError> {
        let parameters = Parameters::parse(query.as_bytes());
        let unsupported = |option: &str| GraphError::UnsupportedQuery { option: option.to_owned() };
        if let Some(twice) = parameters.duplicate() {
            return Err(unsupported(twice));
        }
        let mut options = Self::default();
        for (option, value) in parameters.pairs() {
            if !allowed.contains(&option) {
                return Err(unsupported(option));
            }
            match option {
                "$select" => options.select = Some(value.split(',').map(|name| name.trim().to_owned()).collect()),
                "$top" => options.top = Some(page_size(value)?),
                "$count" => options.count = value == "true",
                "$filter" => options.filter = Some(value.to_owned()),
                "$skiptoken" => options.skip_token = Some(value.to_owned()),
                "$deltatoken" => options.delta_token = Some(value.to_owned()),
                other => return Err(unsupported(other)),
            }
        }
        // An advanced query (aad-advanced-queries): on every page, the header has to come again.
        if options.count && text(headers, "consistencylevel") != Some("eventual") {
            return Err(unsupported("$count"));
        }
        Ok(options)
    }

    /// The query of the next page's link, in Graph's way of writing it.
    pub(super) fn next_query(&self, token: &str) -> String {
        let select = self.select.as_ref().map(|names| format!("$select={}", names.join(",")));
        let top = self.top.map(|top| format!("$top={top}"));
        let count = self.count.then(|| "$count=true".to_owned());
        let encoded = |filter: &String| url::form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>();
        let filter = self.filter.as_ref().map(|filter| format!("$filter={}", encoded(filter)));
        let parts = [select, top, filter, count, Some(format!("$skiptoken={token}"))];
        parts.into_iter().flatten().collect::<Vec<_>>().join("&")
    }
}

fn page_size(value: &str) -> Result<usize, GraphError> {
    let refused = || GraphError::PageSize { sent: value.to_owned() };
    value.parse().ok().filter(|size| (1..=999).contains(size)).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused() {
        let all = ["$select", "$top", "$count", "$skiptoken"];
        let selected = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
        let unsupported = |option: &str| Err(GraphError::UnsupportedQuery { option: option.to_owned() });
        let size = |sent: &str| Err(GraphError::PageSize { sent: sent.to_owned() });
        let plain = Options::default;
        let table = [
            ("none", "", "", Ok(plain())),
            ("select", "$select=id, mail", "", Ok(Options { select: selected(&["id", "mail"]), ..plain() })),
            ("top", "%24top=999", "", Ok(Options { top: Some(999), ..plain() })),
            ("token", "$skiptoken=x", "", Ok(Options { skip_token: Some("x".to_owned()), ..plain() })),
            ("count", "$count=true", "eventual", Ok(Options { count: true, ..plain() })),
            ("count without its header", "$count=true", "", unsupported("$count")),
            ("no page", "$top=0", "", size("0")),
            ("page too large", "$top=1000", "", size("1000")),
            ("page that is no number", "$top=x", "", size("x")),
            ("twice", "$top=1&$top=2", "", unsupported("$top")),
            ("unknown", "$skip=1", "", unsupported("$skip")),
            ("without the dollar sign", "select=id", "", unsupported("select")),
        ];
        for (name, query, consistency, expected) in table {
            let mut headers = HeaderMap::new();
            if !consistency.is_empty() {
                headers.insert("consistencylevel", consistency.parse().unwrap());
            }
            assert_eq!(Options::parse(query, &headers, &all), expected, "{name}");
        }
        assert_eq!(Options::parse("$top=5", &HeaderMap::new(), &["$select"]), unsupported("$top"), "not here");
    }
}
