//! `$filter`, as much of it as the emulator knows: `eq`, `in`, `startswith`, joined by `or`. Everything else is refused, as is what
//! would need an advanced query (`ne`, `not`, `endswith`).

use super::errors::GraphError;

/// How many clauses `or` may join, and how many values `in` may list (O).
const MOST_CLAUSES: usize = 15;

/// A value that a property is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    Text(String),
    Flag(bool),
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Clause {
    /// The property is one of these.
    Equals { property: String, values: Vec<Literal> },
    /// The property begins with this.
    StartsWith { property: String, text: String },
}

/// The value of an object's property, as far as it can be filtered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Text(Option<&'a str>),
    Flag(bool),
}

/// A filter: an object passes if one of the clauses holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter(Vec<Clause>);

impl Filter {
    /// Reads the option's value.
    pub(super) fn parse(text: &str) -> Result<Self, GraphError> {
        let clauses = clauses(text).ok_or_else(|| GraphError::UnsupportedFilter { filter: text.to_owned() })?;
        let count = clauses.len().max(clauses.iter().map(Clause::values).max().unwrap_or_default());
        if count > MOST_CLAUSES {
            return Err(GraphError::TooManyClauses { count, limit: MOST_CLAUSES });
        }
        Ok(Self(clauses))
    }

    /// Whether an object passes; `field` gives its property of a name, none if it has no such property to filter by.
    pub(super) fn passes<'a>(&self, field: impl Fn(&str) -> Option<Field<'a>>) -> Result<bool, GraphError> {
        for clause in &self.0 {
            let name = clause.property();
            let found = field(name).ok_or_else(|| GraphError::UnsupportedFilter { filter: name.to_owned() })?;
            if clause.holds(found) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Clause {
    fn property(&self) -> &str {
        match self {
            Self::Equals { property, .. } | Self::StartsWith { property, .. } => property,
        }
    }

    fn values(&self) -> usize {
        match self {
            Self::Equals { values, .. } => values.len(),
            Self::StartsWith { .. } => 1,
        }
    }

    /// Text compares without case, as in the directory.
    fn holds(&self, field: Field<'_>) -> bool {
        match (self, field) {
            (Self::Equals { values, .. }, Field::Text(Some(found))) => values
                .iter()
                .any(|value| matches!(value, Literal::Text(text) if text.to_lowercase() == found.to_lowercase())),
            (Self::Equals { values, .. }, Field::Flag(found)) => values.contains(&Literal::Flag(found)),
            (Self::StartsWith { text, .. }, Field::Text(Some(found))) => {
                found.to_lowercase().starts_with(&text.to_lowercase())
            }
            (_, Field::Text(None)) | (Self::StartsWith { .. }, Field::Flag(_)) => false,
        }
    }
}

/// The ids of a filter that names objects by nothing else, as a delta's does.
pub(super) fn ids(text: &str) -> Option<Vec<String>> {
    let id = |clause: Clause| match clause {
        Clause::Equals { property, values } if property == "id" => match values.as_slice() {
            [Literal::Text(id)] => Some(id.clone()),
            _ => None,
        },
        _ => None,
    };
    clauses(text)?.into_iter().map(id).collect()
}

fn clauses(text: &str) -> Option<Vec<Clause>> {
    let mut rest = text.trim();
    let mut clauses = Vec::new();
    loop {
        let (clause, after) = clause(rest)?;
        clauses.push(clause);
        if after.is_empty() {
            return Some(clauses);
        }
        rest = after.strip_prefix("or ")?.trim_start();
    }
}

/// One clause, and what follows it.
fn clause(text: &str) -> Option<(Clause, &str)> {
    if let Some(inside) = text.strip_prefix("startswith(") {
        let (property, rest) = name(inside)?;
        let (value, rest) = literal(rest.trim_start().strip_prefix(',')?.trim_start())?;
        let rest = rest.trim_start().strip_prefix(')')?.trim_start();
        let Literal::Text(text) = value else { return None };
        return Some((Clause::StartsWith { property, text }, rest));
    }
    let (property, rest) = name(text)?;
    let rest = rest.trim_start();
    if let Some(rest) = rest.strip_prefix("eq ") {
        let (value, rest) = literal(rest.trim_start())?;
        return Some((Clause::Equals { property, values: vec![value] }, rest.trim_start()));
    }
    let mut rest = rest.strip_prefix("in")?.trim_start().strip_prefix('(')?;
    let mut values = Vec::new();
    loop {
        let (value, after) = literal(rest.trim_start())?;
        values.push(value);
        let after = after.trim_start();
        if let Some(after) = after.strip_prefix(')') {
            return Some((Clause::Equals { property, values }, after.trim_start()));
        }
        rest = after.strip_prefix(',')?;
    }
}

fn name(text: &str) -> Option<(String, &str)> {
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    (!name.is_empty()).then(|| (name.to_owned(), rest))
}

/// A text in single quotes, one inside it doubled; or `true`, `false`.
fn literal(text: &str) -> Option<(Literal, &str)> {
    for (word, flag) in [("true", true), ("false", false)] {
        if let Some(rest) = text.strip_prefix(word) {
            return Some((Literal::Flag(flag), rest));
        }
    }
    let mut rest = text.strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let (piece, after) = rest.split_once('\'')?;
        value.push_str(piece);
        match after.strip_prefix('\'') {
            Some(after) => {
                value.push('\'');
                rest = after;
            }
            None => return Some((Literal::Text(value), after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str) -> Option<Field<'static>> {
        match name {
            "displayName" => Some(Field::Text(Some("Ada O'Brien"))),
            "mail" => Some(Field::Text(None)),
            "accountEnabled" => Some(Field::Flag(true)),
            _ => None,
        }
    }

    #[test]
    fn filters_let_through_what_they_say() {
        let table = [
            ("equal", "displayName eq 'Ada O''Brien'", true),
            ("equal without case", "displayName eq 'ADA o''brien'", true),
            ("not equal", "displayName eq 'Ada'", false),
            ("a flag", "accountEnabled eq true", true),
            ("the other flag", "accountEnabled eq false", false),
            ("one of several", "displayName in ('Ada', 'Ada O''Brien')", true),
            ("none of several", "displayName in ('Ada','Eve')", false),
            ("beginning", "startswith(displayName,'ada')", true),
            ("another beginning", "startswith(displayName, 'O')", false),
            ("or", "mail eq 'x' or startswith(displayName,'Ada') or accountEnabled eq false", true),
            ("or of nothing true", "mail eq 'x' or accountEnabled eq false", false),
            ("nothing is equal to null", "mail eq ''", false),
        ];
        for (name, text, expected) in table {
            assert_eq!(Filter::parse(text).unwrap().passes(field), Ok(expected), "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let many = |count: usize| vec!["displayName eq 'x'"; count].join(" or ");
        let long_in = format!("displayName in ({})", vec!["'x'"; 16].join(","));
        let table: [(&str, &str, bool); 12] = [
            ("ne", "displayName ne 'x'", false),
            ("not", "not(displayName eq 'x')", false),
            ("and", "displayName eq 'x' and accountEnabled eq true", false),
            ("endswith", "endswith(mail,'x')", false),
            ("lambda", "otherMails/any(m:m eq 'x')", false),
            ("quote left open", "displayName eq 'x", false),
            ("a word after", "displayName eq 'x' y", false),
            ("empty", "", false),
            ("null", "mail eq null", false),
            ("15 clauses", &many(15), true),
            ("16 clauses", &many(16), false),
            ("16 values", &long_in, false),
        ];
        for (name, text, is_read) in table {
            assert_eq!(Filter::parse(text).is_ok(), is_read, "{name}");
        }
        assert!(Filter::parse("shoeSize eq '7'").unwrap().passes(field).is_err());
        assert_eq!(ids("id eq 'a' or id eq 'b'"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(ids("id in ('a')").map(|ids| ids.len()), Some(1));
        assert_eq!(ids("id eq 'a' or mail eq 'b'"), None);
    }
}
