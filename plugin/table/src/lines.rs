//! The line of a key in TOML text, for problems that are told by path.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A text, parsed for where its keys are.
#[derive(Debug)]
pub struct Lines<'text> {
    text: &'text str,
    document: Spanned<DeTable<'text>>,
}

impl<'text> Lines<'text> {
    /// `None`: the text isn't TOML.
    pub fn parse(text: &'text str) -> Option<Self> {
        Some(Self { text, document: DeTable::parse(text).ok()? })
    }

    /// The line of a path with dots, from 1: of the key, or of the nearest table around it that is there. A table of a list
    /// goes by its `id`, or, where none has that one, by its number from 1: `provider.entra.base_url`, `provider.2.id`.
    pub fn of(&self, path: &str) -> Option<usize> {
        offset(self.document.get_ref(), path).map(|offset| line_at(self.text, offset))
    }

    /// As [`Lines::of`], with a path that begins in the `[[provider]]` table of this number from 0.
    pub fn of_provider(&self, position: usize, path: &str) -> Option<usize> {
        let (_, providers) = self.document.get_ref().iter().find(|(key, _)| key.get_ref() == "provider")?;
        let item = providers.get_ref().as_array()?.get(position)?;
        let inside = item.get_ref().as_table().and_then(|table| offset(table, path));
        Some(line_at(self.text, inside.unwrap_or(item.span().start)))
    }
}

/// The line, from 1, of a place in a text, in bytes from 0.
pub fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn offset(table: &DeTable<'_>, path: &str) -> Option<usize> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    let here = key.span().start;
    match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => Some(offset(inner, rest).unwrap_or(here)),
        DeValue::Array(items) if !rest.is_empty() => {
            let (name, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let named = items.iter().find(|item| id_of(item) == Some(name));
            let item = named.or_else(|| items.get(name.parse::<usize>().ok()?.checked_sub(1)?))?;
            match item.get_ref() {
                DeValue::Table(inner) => Some(offset(inner, rest).unwrap_or(item.span().start)),
                _ => Some(item.span().start),
            }
        }
        _ => Some(here),
    }
}

fn id_of<'item>(item: &'item Spanned<DeValue<'_>>) -> Option<&'item str> {
    let (_, id) = item.get_ref().as_table()?.iter().find(|(key, _)| key.get_ref() == "id")?;
    id.get_ref().as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "public_url = \"x\"\n\n[[provider]]\nid = \"entra\"\nclaims.email = []\n[[provider.sample]]\nname = \"a\"\n\
                        [[provider.sample]]\nname = \"b\"\nexpect = { email = \"x\" }\n[[provider]]\nkind = \"oidc\"\n";

    #[test]
    fn lines_by_path() {
        let lines = Lines::parse(TEXT).unwrap();
        for (path, line) in [
            ("public_url", Some(1)),
            ("provider", Some(3)),
            ("provider.entra.id", Some(4)),
            ("provider.entra.claims.email", Some(5)),
            ("provider.entra.claims.username", Some(5)),
            ("provider.entra.client_id", Some(3)),
            ("provider.entra.sample.2.expect.email", Some(10)),
            ("provider.1.id", Some(4)),
            ("provider.2.kind", Some(12)),
            ("provider.3.kind", None),
            ("provider.none.kind", None),
            ("handover.kind", None),
        ] {
            assert_eq!(lines.of(path), line, "{path}");
        }
    }

    #[test]
    fn lines_in_a_provider() {
        let lines = Lines::parse(TEXT).unwrap();
        for (position, path, line) in [
            (0, "id", Some(4)),
            (0, "client_id", Some(3)),
            (0, "sample.1.name", Some(7)),
            (0, "sample.2.claims", Some(8)),
            (1, "kind", Some(12)),
            (1, "", Some(11)),
            (2, "kind", None),
        ] {
            assert_eq!(lines.of_provider(position, path), line, "{position} {path}");
        }
        assert!(Lines::parse("a = ").is_none());
    }
}
