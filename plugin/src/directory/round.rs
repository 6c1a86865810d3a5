//! One call of a round: the next page of each collection, at once; what they say, in order; and where to go on. A collection that
//! fails this time is where it was, and nothing of its answer was taken for true.

use serde_json::{Map, Value};
use url::Url;

use super::cursor::{Cursor, DELTA_LINK_LIFE_S, Reading, State, Stuck};
use super::objects::{self, GROUP_PROPERTIES, USER_PROPERTIES};
use super::{Change, Collection, DETAIL_BYTES, Failure, Page, malformed, provider, reach, unanswered, without_token};
use crate::capability::World;
use crate::entra::graph::{Fetched, Graph, GraphError};
use crate::login::trace::cut;

/// For all that one call asks, in milliseconds: the host ends it after 25 s.
const TIMEOUT_MS: u32 = 20_000;
/// From this share of its limit on, Graph is asked more slowly (entra_graph §5.5). Percent.
const SLOW_FROM_PERCENT: u32 = 80;
/// How slowly, in milliseconds, and beyond the limit.
const SLOWLY_MS: (u32, u32) = (1_000, 5_000);

/// The next page of a directory.
pub fn next_page(
    world: World<'_>,
    provider_json: &str,
    read: &[Collection],
    cursor: Option<&str>,
) -> Result<Page, Failure> {
    let provider = provider(provider_json)?;
    let (mut graph, tenant) = reach(world, &provider, TIMEOUT_MS)?;
    let directory =
        format!("{}\n{tenant}\n{}", provider.graph_origin.as_deref().unwrap_or_default(), provider.client_id);
    let mut cursor = match cursor {
        None => Cursor::new(&directory),
        Some(text) => Cursor::read(text, &directory).map_err(Failure::CursorInvalid)?,
    };
    let read: Vec<_> = Collection::ALL.into_iter().filter(|collection| read.contains(collection)).collect();
    if read.is_empty() {
        return Err(Failure::Misconfigured("nothing is to be read".into()));
    }
    let now_s = world.clock.now_unix_s();
    begin(&mut cursor, &graph, &read, now_s)?;
    Call { graph: &mut graph, now_s, changes: Vec::new(), wait_ms: 0, refused: 0, setback: None }.run(cursor, &read)
}

/// A new round, if the last one is over. A delta link that is too old isn't tried any more.
fn begin(cursor: &mut Cursor, graph: &Graph<'_>, read: &[Collection], now_s: u64) -> Result<(), Failure> {
    let is_over = !read.iter().any(|collection| matches!(cursor.state(*collection), Some(State::Reading(_))));
    for collection in read {
        let reading = match cursor.state(*collection) {
            Some(State::Reading(_)) => continue,
            // Of this round, and done.
            Some(State::Ready { .. }) if !is_over => continue,
            Some(State::Ready { link, at_s }) if now_s.saturating_sub(*at_s) <= DELTA_LINK_LIFE_S => {
                Reading::from(link.clone(), false)
            }
            _ => Reading::from(first_link(graph, *collection).map_err(|error| malformed(&error))?, true),
        };
        cursor.set(*collection, State::Reading(reading));
    }
    Ok(())
}

/// From the beginning of everything.
fn first_link(graph: &Graph<'_>, collection: Collection) -> Result<String, GraphError> {
    let select = match collection {
        Collection::Users => USER_PROPERTIES,
        Collection::Groups => GROUP_PROPERTIES,
    };
    graph.url(&format!("{}/delta?$select={select}", collection.as_str())).map(Into::into)
}

/// What one page of one collection came to.
enum Went {
    /// On, with these changes.
    On(Vec<Change>, State),
    /// From the beginning, or a page back.
    Elsewhere(Reading, String),
}

struct Call<'a, 'w> {
    graph: &'a mut Graph<'w>,
    now_s: u64,
    changes: Vec<Change>,
    wait_ms: u32,
    refused: u32,
    setback: Option<String>,
}

impl Call<'_, '_> {
    fn run(mut self, mut cursor: Cursor, read: &[Collection]) -> Result<Page, Failure> {
        let pending: Vec<(Collection, Reading)> = read
            .iter()
            .filter_map(|collection| match cursor.state(*collection) {
                Some(State::Reading(reading)) => Some((*collection, reading.clone())),
                _ => None,
            })
            .collect();
        let mut pages = Vec::new();
        for (collection, reading) in &pending {
            pages.push((self.link(*collection, &reading.link)?, collection.permission()));
        }
        let fetched = self.graph.fetch(&pages).map_err(without_token)?;
        let requests = u32::try_from(fetched.len()).unwrap_or(u32::MAX);
        let mut failures = Vec::new();
        let mut is_progress = false;
        for ((collection, reading), fetched) in pending.into_iter().zip(fetched) {
            match self.page(collection, &reading, fetched) {
                Ok(Went::On(changes, state)) => {
                    self.changes.extend(changes);
                    cursor.set(collection, state);
                    is_progress = true;
                }
                Ok(Went::Elsewhere(reading, why)) => {
                    self.note(collection, &why);
                    cursor.set(collection, State::Reading(reading));
                    is_progress = true;
                }
                Err(failure) => failures.push((collection, failure)),
            }
        }
        self.weigh(failures, is_progress, requests)?;
        let is_last = read.iter().all(|collection| matches!(cursor.state(*collection), Some(State::Ready { .. })));
        Ok(Page {
            changes: self.changes,
            cursor: cursor.write().ok_or_else(|| malformed(&"has links that are too long to keep"))?,
            is_last,
            wait_ms: self.wait_ms,
            requests,
            refused: self.refused,
            setback: self.setback,
        })
    }

    /// What won't pass ends the call, whatever the other collection came to: it will come to that again.
    fn weigh(&mut self, failures: Vec<(Collection, Failure)>, is_progress: bool, made: u32) -> Result<(), Failure> {
        for (collection, failure) in failures {
            match failure {
                Failure::Retry { wait_ms, detail, .. } => {
                    self.wait_ms = self.wait_ms.max(wait_ms);
                    self.refused += 1;
                    self.note(collection, &detail);
                }
                Failure::Malformed(detail) if is_progress => {
                    self.refused += 1;
                    self.note(collection, &detail);
                }
                other => return Err(other),
            }
        }
        match self.setback.take() {
            Some(detail) if !is_progress => Err(Failure::Retry { wait_ms: self.wait_ms, detail, requests: made }),
            setback => {
                self.setback = setback;
                Ok(())
            }
        }
    }

    fn note(&mut self, collection: Collection, detail: &str) {
        let note = format!("{}: {detail}", collection.as_str());
        let all = self.setback.take().map_or_else(|| note.clone(), |before| format!("{before}; {note}"));
        self.setback = Some(cut(&all, DETAIL_BYTES));
    }

    /// A link of this collection's delta at Graph: nothing else is followed (V19).
    fn link(&self, collection: Collection, link: &str) -> Result<Url, Failure> {
        let url = self.graph.link(link).map_err(|error| malformed(&error))?;
        let path = url.path().trim_end_matches("()");
        let root = format!("/v1.0/{}/", collection.as_str());
        match path.strip_prefix(root.as_str()) {
            Some("delta" | "microsoft.graph.delta") => Ok(url),
            _ => Err(malformed(&GraphError::ForeignLink(cut(url.path(), 128)))),
        }
    }

    fn page(&mut self, collection: Collection, reading: &Reading, fetched: Fetched) -> Result<Went, Failure> {
        self.slow_down(fetched.load_percent);
        match fetched.outcome {
            Ok(page) => self.read(collection, reading, &page),
            Err(GraphError::Resync { .. }) => self.again(collection, reading, fetched.location.as_deref()),
            Err(error @ GraphError::PageToken(_)) => match reading.back() {
                Some(before) => Ok(Went::Elsewhere(before, error.to_string())),
                None => self.again(collection, reading, None),
            },
            Err(error) => Err(unanswered(collection, &error, fetched.retry_after_ms)),
        }
    }

    fn slow_down(&mut self, load_percent: u32) {
        let (slow, slowest) = SLOWLY_MS;
        let wait = match load_percent {
            ..SLOW_FROM_PERCENT => 0,
            SLOW_FROM_PERCENT..100 => slow,
            _ => slowest,
        };
        self.wait_ms = self.wait_ms.max(wait);
    }

    /// From the beginning: where Graph says, if that is this collection's own beginning.
    fn again(&self, collection: Collection, reading: &Reading, location: Option<&str>) -> Result<Went, Failure> {
        // `latest` would be the beginning of nothing.
        let is_beginning = |url: &Url| {
            url.query_pairs().all(|(name, value)| match name.as_ref() {
                "$deltatoken" | "$skiptoken" => value.is_empty(),
                _ => true,
            }) && url.query_pairs().any(|(name, _)| name == "$select")
        };
        let theirs = location.and_then(|location| self.link(collection, location).ok()).filter(is_beginning);
        let link = match theirs {
            Some(url) => url.into(),
            None => first_link(self.graph, collection).map_err(|error| malformed(&error))?,
        };
        let why = "Microsoft Graph wants it to be read from the beginning".to_owned();
        Ok(Went::Elsewhere(reading.again(link).map_err(|error| malformed(&error))?, why))
    }

    fn read(&self, collection: Collection, reading: &Reading, page: &Map<String, Value>) -> Result<Went, Failure> {
        let shape = |reason| malformed(&GraphError::Shape(reason));
        let entries = page.get("value").and_then(Value::as_array).ok_or_else(|| shape("has no list"))?;
        let link = |name: &str| match page.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(link)) => self.link(collection, link).map(|_| Some(link.clone())),
            Some(_) => Err(shape("has a link that is no text")),
        };
        let (next, delta) = (link("@odata.nextLink")?, link("@odata.deltaLink")?);
        let state = match (next, delta) {
            (Some(next), None) => State::Reading(reading.on_to(next).map_err(|stuck: Stuck| malformed(&stuck))?),
            (None, Some(delta)) => State::Ready { link: delta, at_s: self.now_s },
            (Some(_), Some(_)) => return Err(shape("has both a next page and a delta link")),
            (None, None) => return Err(shape("has neither a next page nor a delta link")),
        };
        let mut changes = Vec::new();
        if reading.announce {
            changes.push(Change::Restart(collection));
        }
        for entry in entries {
            let read = match collection {
                Collection::Users => objects::user(entry),
                Collection::Groups => objects::group(entry),
            };
            changes.extend(read.map_err(shape)?);
        }
        if matches!(state, State::Ready { .. }) {
            changes.push(Change::Complete(collection));
        }
        Ok(Went::On(changes, state))
    }
}
