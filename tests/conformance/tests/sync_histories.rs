//! Whatever happens to a directory, and however Graph tells it, the document ends as a host has it that reads everything for the first
//! time, and as the directory is. Histories are data: one that fails is made smaller until only what matters is left.

use conformance::Synced;
use conformance::history::{self, GROUPS, PEOPLE, Player, Step};
use defguard_openid_host::config::LeaverBehavior;
use defguard_openid_host::sync::Outcome;
use entra_emulator::GraphSettings;
use proptest::collection::vec;
use proptest::option::of as of_some;
use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Histories that are tried, unless `PROPTEST_CASES` says otherwise.
const HISTORIES: u32 = 160;
/// How long Graph lets a delta link live, and a day. Seconds.
const LINKS_EXPIRE_S: i64 = 8 * 24 * 3600;

/// What happens until a run, and how Graph tells it in that one.
#[derive(Debug, Clone)]
struct Round {
    before: Vec<Step>,
    /// One after each page.
    meanwhile: Vec<Step>,
    /// Whether the last round is so long ago that everything has to be read again.
    is_late: bool,
    graph: GraphSettings,
}

fn step() -> impl Strategy<Value = Step> {
    let (person, group, name) = (|| 0..PEOPLE, || 0..GROUPS, || 0..4_u8);
    prop_oneof![
        4 => (person(), name()).prop_map(|(who, name)| Step::Person(who, name)),
        1 => person().prop_map(Step::LoseMailbox),
        1 => person().prop_map(Step::Disable),
        1 => person().prop_map(Step::Enable),
        1 => person().prop_map(Step::Guest),
        1 => person().prop_map(Step::Member),
        2 => person().prop_map(Step::Delete),
        1 => person().prop_map(Step::Purge),
        2 => person().prop_map(Step::Restore),
        4 => (group(), name()).prop_map(|(which, name)| Step::Group(which, name)),
        2 => group().prop_map(Step::DeleteGroup),
        2 => group().prop_map(Step::RestoreGroup),
        5 => (person(), group()).prop_map(|(who, to)| Step::Join(who, to)),
        2 => (person(), group()).prop_map(|(who, from)| Step::Leave(who, from)),
        2 => (person(), group(), group()).prop_map(|(who, from, to)| Step::Move(who, from, to)),
        3 => (group(), group()).prop_map(|(outer, inner)| Step::Nest(outer, inner)),
        1 => (group(), group()).prop_map(|(outer, inner)| Step::Unnest(outer, inner)),
        1 => (group(), group()).prop_map(|(one, other)| Step::Circle(one, other)),
        1 => group().prop_map(Step::Empty),
    ]
}

/// How Graph may cut and order what it tells.
fn graph() -> impl Strategy<Value = GraphSettings> {
    let pages = (prop_oneof![Just(100), 1..6_usize], subsequence(vec![1, 2, 3, 5], 0..=2), 1..4_usize, 1..9_usize);
    let order = (any::<bool>(), of_some(1..4_usize), of_some(any::<u64>()));
    let news = (any::<bool>(), any::<bool>(), prop_oneof![3 => Just(0), 1 => 1..8_u64]);
    (pages, order, news).prop_map(|(pages, (backwards, duplicates, shuffle), (replays, removed, hidden))| {
        let (page_size, empty_pages, members_at_once, members_on_page) = pages;
        GraphSettings {
            page_size: Some(page_size),
            empty_pages,
            members_at_once,
            members_on_page,
            delta_replays: replays,
            delta_backwards: backwards,
            delta_duplicates: duplicates,
            delta_shuffle: shuffle,
            delta_removed_at_first: removed,
            delta_hidden_revisions: hidden,
            ..GraphSettings::default()
        }
    })
}

/// What becomes of leavers.
fn behavior() -> impl Strategy<Value = LeaverBehavior> {
    prop_oneof![Just(LeaverBehavior::Delete), Just(LeaverBehavior::Keep)]
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let round = (vec(step(), 0..12), vec(step(), 0..4), proptest::bool::weighted(0.3), graph());
    let round = round.prop_map(|(before, meanwhile, is_late, graph)| Round { before, meanwhile, is_late, graph });
    vec(round, 1..5)
}

struct Bench {
    synced: Synced,
    behavior: LeaverBehavior,
}

impl Bench {
    /// The property, for one history.
    async fn ends_as_a_full_read(&mut self, rounds: &[Round]) -> Result<(), TestCaseError> {
        self.synced.afresh();
        let control = self.synced.control();
        let mut player = Player::start(control.clone());
        for (number, round) in rounds.iter().enumerate() {
            for step in &round.before {
                player.play(*step);
            }
            control.edit_graph(|graph| *graph = round.graph.clone());
            if round.is_late {
                control.advance_clock(LINKS_EXPIRE_S);
            }
            let mut meanwhile = round.meanwhile.iter();
            let run = self.synced.run_watched(|_| {
                if let Some(step) = meanwhile.next() {
                    player.play(*step);
                }
            });
            let report = run.await;
            prop_assert_eq!(report.outcome, Outcome::Done, "round {}: {:?}", number, report);
            if round.meanwhile.is_empty() && round.graph.delta_hidden_revisions == 0 {
                self.is_right(&format!("round {number}"))?;
            }
        }
        control.edit_graph(|graph| *graph = GraphSettings::default());
        self.run("the last run").await?;
        self.is_right("after the last run")?;
        if self.behavior == LeaverBehavior::Keep {
            // Whoever reads everything for the first time knows nobody who has left.
            return Ok(());
        }
        let document = self.synced.document();
        self.synced.afresh();
        self.run("the full read").await?;
        let full = self.synced.document();
        prop_assert_eq!(String::from_utf8(document), String::from_utf8(full), "another document than a full read's");
        Ok(())
    }

    async fn run(&self, name: &str) -> Result<(), TestCaseError> {
        let report = self.synced.run().await;
        prop_assert_eq!(report.outcome, Outcome::Done, "{}: {:?}", name, report);
        Ok(())
    }

    fn is_right(&self, name: &str) -> Result<(), TestCaseError> {
        let (mut found, expected) = (self.synced.state(), self.synced.expected(false));
        if self.behavior == LeaverBehavior::Keep {
            // Whoever has left is kept, and follows the directory's groups as long as it has them.
            let with_guests = self.synced.expected(true);
            for (id, members) in &mut found.groups {
                let there = with_guests.groups.get(id).cloned().unwrap_or_default();
                let strangers: Vec<_> = members.difference(&there).collect();
                prop_assert!(strangers.is_empty(), "{name}: members of {id} who aren't: {strangers:?}");
                members.retain(|oid| expected.users.contains_key(oid));
            }
            found.users.retain(|oid, _| expected.users.contains_key(oid));
        }
        prop_assert_eq!(found.users, expected.users, "{}: users", name);
        prop_assert_eq!(found.names, expected.names, "{}: groups", name);
        prop_assert_eq!(found.groups, expected.groups, "{}: members", name);
        Ok(())
    }
}

#[test]
fn every_history_ends_as_a_full_read() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = [("directory.max_removal_percent", "100"), ("directory.max_removals", "1000000")];
    let synced = runtime.block_on(Synced::start_seeded(history::seed(), &settings));
    let bench = std::cell::RefCell::new(Bench { synced, behavior: LeaverBehavior::Delete });
    let default = Config::default();
    let cases = std::env::var_os("PROPTEST_CASES").map_or(HISTORIES, |_| default.cases);
    // What is found is printed whole; nothing is kept beside the sources.
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..default };
    let found = TestRunner::new(config).run(&(rounds(), behavior()), |(rounds, behavior)| {
        let mut bench = bench.borrow_mut();
        bench.behavior = behavior;
        bench.synced.leavers(behavior);
        runtime.block_on(bench.ends_as_a_full_read(&rounds))
    });
    if let Err(error) = found {
        panic!("{error}");
    }
}
