//! Pages of a list: how many items, and the token in `$skiptoken` that leads to the next page. A token is opaque, signed, and only
//! fits the list that it was made for.

use ring::hmac;

use super::errors::GraphError;
use super::settings::GraphSettings;
use crate::encoding::{base64url, from_base64url};

/// A page without `$top` and without a configured size.
pub(super) const DEFAULT_PAGE_SIZE: usize = 100;

/// One page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// Whether it is the first one; only that may carry `@odata.count`.
    pub(super) first: bool,
    /// The token of the next one.
    pub(super) next: Option<String>,
}

impl<T> Page<T> {
    /// The same page of other items.
    pub(super) fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(change).collect(), first: self.first, next: self.next }
    }
}

/// What makes a list: its items, and a text that is the same on each of its pages and on no other list's.
pub(super) struct List<'a, T> {
    pub(super) items: Vec<T>,
    pub(super) identity: &'a str,
    /// Items on a page; none: all.
    pub(super) size: Option<usize>,
}

impl<T> List<'_, T> {
    /// The page that a token leads to, the first one without.
    pub(super) fn page(self, settings: &GraphSettings, token: Option<&str>) -> Result<Page<T>, GraphError> {
        let position = match token {
            None => Position { page: 1, offset: 0 },
            Some(token) => Position::read(token, self.identity).ok_or(GraphError::PageToken)?,
        };
        let all = self.items.len();
        let size = match (self.size, settings.page_size) {
            (Some(asked), Some(most)) => asked.min(most),
            (asked, most) => asked.or(most).unwrap_or(all),
        };
        // A size of nothing would never come to an end.
        let size = if settings.empty_pages.contains(&position.page) { 0 } else { size.max(1) };
        let next = Position { page: position.page + 1, offset: position.offset + size };
        let more = next.offset < all || settings.empty_pages.contains(&next.page);
        Ok(Page {
            items: self.items.into_iter().skip(position.offset).take(size).collect(),
            first: position.page == 1,
            next: more.then(|| next.token(self.identity)),
        })
    }
}

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
struct Position {
    /// Counted from 1.
    page: usize,
    /// How many items are on the pages before.
    offset: usize,
}

impl Position {
    fn token(self, identity: &str) -> String {
        let text = format!("{}.{}", self.page, self.offset);
        let signature = hmac::sign(&key(), format!("{identity}|{text}").as_bytes());
        format!("{}.{}", base64url(&text), base64url(signature))
    }

    fn read(token: &str, identity: &str) -> Option<Self> {
        let (text, signature) = token.split_once('.')?;
        let text = String::from_utf8(from_base64url(text)?).ok()?;
        let signed = format!("{identity}|{text}");
        hmac::verify(&key(), signed.as_bytes(), &from_base64url(signature)?).ok()?;
        let (page, offset) = text.split_once('.')?;
        Some(Self { page: page.parse().ok()?, offset: offset.parse().ok()? })
    }
}

fn key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, b"entra-emulator page tokens")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(items: usize, size: Option<usize>, settings: &GraphSettings) -> Vec<Vec<usize>> {
        let (mut found, mut token) = (Vec::new(), None);
        loop {
            let list = List { items: (0..items).collect(), identity: "list", size };
            let page = list.page(settings, token.as_deref()).unwrap();
            assert_eq!(page.first, found.is_empty());
            found.push(page.items);
            match page.next {
                Some(next) => token = Some(next),
                None => return found,
            }
        }
    }

    #[test]
    fn every_item_is_on_one_page() {
        /// Name, items, size asked for, settings, sizes of the pages.
        type Case = (&'static str, usize, Option<usize>, GraphSettings, &'static [usize]);
        let with = |page_size, empty_pages: &[usize]| GraphSettings {
            page_size,
            empty_pages: empty_pages.to_vec(),
            ..GraphSettings::default()
        };
        let table: [Case; 9] = [
            ("one page", 5, None, with(None, &[]), &[5]),
            ("no items", 0, None, with(None, &[]), &[0]),
            ("asked for", 5, Some(2), with(None, &[]), &[2, 2, 1]),
            ("exactly", 4, Some(2), with(None, &[]), &[2, 2]),
            ("configured", 5, None, with(Some(3), &[]), &[3, 2]),
            ("the smaller one", 5, Some(4), with(Some(3), &[]), &[3, 2]),
            ("empty ones", 5, Some(3), with(None, &[1, 3]), &[0, 3, 0, 2]),
            ("empty one at the end", 3, Some(3), with(None, &[2]), &[3, 0]),
            ("a size of nothing", 2, None, with(Some(0), &[]), &[1, 1]),
        ];
        for (name, items, size, settings, expected) in table {
            let pages = pages(items, size, &settings);
            assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), expected, "{name}");
            assert_eq!(pages.concat(), (0..items).collect::<Vec<_>>(), "{name}");
        }
    }

    #[test]
    fn a_token_fits_its_list_and_no_other() {
        let list = |identity| List { items: vec![1, 2, 3], identity, size: Some(1) };
        let settings = GraphSettings::default();
        let token = list("a").page(&settings, None).unwrap().next.unwrap();
        assert_eq!(list("a").page(&settings, Some(&token)).unwrap().items, [2]);
        for (name, identity, token) in [
            ("other list", "b", token.clone()),
            ("changed", "a", format!("x{token}")),
            ("made up", "a", "Mi4w.".into()),
        ] {
            assert_eq!(list(identity).page(&settings, Some(&token)), Err(GraphError::PageToken), "{name}");
        }
    }
}
