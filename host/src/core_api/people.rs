//! The list of users. 1.6 gives everybody at once, 2.x page by page, and in no order that it promises: users who come and go
//! while the pages are read shift the others from one page to the next.

use futures_util::StreamExt as _;

use super::client::LIST_BYTES;
use super::error::Failure;
use super::model::UserList;
use super::{Budget, Call, CoreClient, CoreError, Generation, User};

/// Users a page: the most that 2.x gives.
const PER_PAGE: u32 = 100;
/// Pages of one look-up: two million users.
const MAX_PAGES: u32 = 20_000;
/// Pages asked for at once.
const PAGES_AT_ONCE: usize = 4;
/// How often everybody is read until nothing shifts.
const LOOKS: usize = 3;

/// A page of users.
struct Page {
    users: Vec<User>,
    /// How many pages there are.
    pages: u32,
    /// How many users there are on all of them, if that is said.
    total: Option<u64>,
}

fn failed(failure: Failure) -> CoreError {
    CoreError { call: Call::ListUsers, failure }
}

impl CoreClient {
    /// The first user that fits, of all. In 2.x a call for each 100 users: only for what no other call tells.
    pub async fn find(&self, fits: impl Fn(&User) -> bool + Sync, budget: Budget) -> Result<Option<User>, CoreError> {
        let first = self.first_page(budget).await?;
        if let Some(found) = first.users.into_iter().find(&fits) {
            return Ok(Some(found));
        }
        let pages = 2..=first.pages;
        let mut others =
            futures_util::stream::iter(pages.map(|page| self.page(page, budget))).buffer_unordered(PAGES_AT_ONCE);
        while let Some(page) = others.next().await {
            if let Some(found) = page?.users.into_iter().find(&fits) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Everybody, by number, nobody twice: a call for each 100 users in 2.x, with the bound of two million; in 1.6 one call, of
    /// at most 96 MiB. It is read again if users came or went meanwhile, which shows in the number of users that each page
    /// tells and in who is on two pages; a [`Failure::Conflict`] says that this went on.
    ///
    /// One who goes in the same moment as another one comes doesn't show, and may hide a third who moved to a page that was
    /// read already: before something is taken from somebody for not being here, look with [`CoreClient::user`].
    pub async fn users(&self, budget: Budget) -> Result<Vec<User>, CoreError> {
        for _ in 0..LOOKS {
            if let Some(users) = self.look(budget).await? {
                return Ok(users);
            }
        }
        Err(failed(Failure::Conflict(format!("its list of users changed each of the {LOOKS} times that it was read"))))
    }

    /// Everybody; `None`: pages shifted.
    async fn look(&self, budget: Budget) -> Result<Option<Vec<User>>, CoreError> {
        let first = self.first_page(budget).await?;
        if first.pages > 1 && first.total.is_none() {
            return Err(failed(Failure::Malformed("its pages don't say how many users there are".into())));
        }
        let (total, mut users) = (first.total, first.users);
        let pages = 2..=first.pages;
        let mut others =
            futures_util::stream::iter(pages.map(|page| self.page(page, budget))).buffer_unordered(PAGES_AT_ONCE);
        while let Some(page) = others.next().await {
            let page = page?;
            if page.total != total {
                return Ok(None);
            }
            users.extend(page.users);
        }
        let listed = users.len();
        users.sort_unstable_by_key(|user| user.id);
        users.dedup_by_key(|user| user.id);
        let is_whole = users.len() == listed && total.is_none_or(|total| total == listed as u64);
        Ok(is_whole.then_some(users))
    }

    /// Whether this host may administer users: the list is for administrators only.
    pub async fn check_rights(&self, budget: Budget) -> Result<Generation, CoreError> {
        self.page(1, budget).await?;
        // Every list shows it.
        Ok(self.generation().unwrap_or(Generation::V2))
    }

    /// Which generation Core speaks, asked if nothing has shown it yet.
    pub(super) async fn learned_generation(&self, budget: Budget) -> Result<Generation, CoreError> {
        match self.generation() {
            Some(generation) => Ok(generation),
            None => self.check_rights(budget).await,
        }
    }

    async fn first_page(&self, budget: Budget) -> Result<Page, CoreError> {
        let page = self.page(1, budget).await?;
        if page.pages > MAX_PAGES {
            let pages = page.pages;
            return Err(failed(Failure::Malformed(format!("{pages} pages of users, more than {MAX_PAGES}"))));
        }
        Ok(page)
    }

    async fn page(&self, page: u32, budget: Budget) -> Result<Page, CoreError> {
        // 1.6 doesn't look at the query; a Core that was updated a moment ago does.
        let path = format!("user?page={page}&per_page={PER_PAGE}");
        let reply = self.get(Call::ListUsers, &path, LIST_BYTES, budget).await?;
        match self.expect(Call::ListUsers, &reply, 200)? {
            UserList::All(users) => {
                self.remember(Some(Generation::V1));
                Ok(Page { users, pages: 1, total: None })
            }
            UserList::Page(page) => {
                self.remember(Some(Generation::V2));
                let (pages, total) = (page.pagination.total_pages, page.pagination.total_items);
                Ok(Page { users: page.data, pages, total })
            }
        }
    }
}
