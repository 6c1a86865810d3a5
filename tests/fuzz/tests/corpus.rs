//! The seeds without a fuzzer: every property holds for each, the honest ones go all the way, and the files in `corpus/` are
//! those that the program makes.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::Path;

/// The greatest seed, in bytes.
const MAX_SEED_BYTES: usize = 32 << 10;
/// The most seeds of a target.
const MAX_SEEDS: usize = 40;

/// Target, seed, whether it goes all the way: signed in, found, verified, begun, evaluated, let in, usable.
const REACH: [(&str, &str, bool); 32] = [
    ("callback", "honest", true),
    ("callback", "announced-issuer", true),
    ("callback", "announced-issuer-missing", false),
    ("callback", "two-tabs", true),
    ("callback", "too-late", false),
    ("callback", "two-states", false),
    ("configuration", "entra", true),
    ("configuration", "entra-custom", true),
    ("configuration", "oidc-policy", true),
    ("configuration", "entra-groups", true),
    ("configuration", "entra-assurance", true),
    ("configuration", "entra-several-of-all", false),
    ("cookies", "honest", true),
    ("cookies", "twice", false),
    ("discovery", "microsoft", true),
    ("discovery", "several", true),
    ("discovery", "loopback", true),
    ("discovery", "pushed", true),
    ("discovery", "javascript", false),
    ("expression", "group-and-domain", true),
    ("expression", "unknown-function", false),
    ("mapping", "plain", true),
    ("mapping", "groups-by-claim", true),
    ("mapping", "overage", true),
    ("mapping", "groups-unknown", false),
    ("mapping", "linking-verified", true),
    ("token", "known-ps256", true),
    ("token", "known-es256-negated", true),
    ("token", "known-entra", true),
    ("token", "written-rs256", true),
    ("token", "padded", false),
    ("token", "known-own-key", false),
];

fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn every_property_holds_for_every_seed_and_the_honest_go_all_the_way() {
    let mut wrong = Vec::new();
    for (target, check, _) in fuzz::TARGETS {
        for (name, input) in corpus(target) {
            let wanted = REACH.iter().find(|(of, seed, _)| *of == target && *seed == name).map(|(.., reach)| *reach);
            match (catch_unwind(|| check(&input)), wanted) {
                (Err(_), _) => wrong.push(format!("{target}/{name}: a property doesn't hold, see above")),
                (Ok(found), Some(wanted)) if found != wanted => {
                    wrong.push(format!("{target}/{name}: all the way: {found}, expected {wanted}"));
                }
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_corpus_is_what_the_program_makes_and_small() {
    for (target, _, seeds) in fuzz::TARGETS {
        let found = corpus(target);
        let made: BTreeMap<String, Vec<u8>> = seeds().into_iter().collect();
        assert!(found == made, "{target}: run `cargo run --example seeds` in tests/fuzz");
        assert!((1..=MAX_SEEDS).contains(&found.len()), "{target}: {} seeds", found.len());
        let oversized = found.iter().find(|(_, input)| input.len() > MAX_SEED_BYTES);
        assert!(oversized.is_none(), "{target}: {oversized:?}");
    }
    let is_seed = |target: &str, seed: &str| corpus(target).contains_key(seed);
    assert!(REACH.iter().all(|(target, seed, _)| is_seed(target, seed)), "a name of the table is no seed");
}
