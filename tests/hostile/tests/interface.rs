//! What crosses the border in a form that it shouldn't have: answers with pointers, lengths, cases and texts that the
//! component model doesn't allow, allocators that lie, and code that runs where it isn't expected (start functions,
//! allocators, clean-up after an answer).

use std::time::Duration;

use defguard_openid_host::sandbox::{Limits, Plugin};
use hostile::raw::Module;
use hostile::stage::short;
use hostile::{Server, Stage, hostile};

const BROKEN: &str = "plugin_interface_broken";
const CPU: &str = "plugin_cpu_exhausted";
const TRAP: &str = "plugin_trapped";
/// The clock, which gives no list: only what the component hands over needs its allocator then.
const CLOCK: &str = "(import \"defguard:openid/clock@0.2.0\" \"now-unix-ms\" (func $now (result i64)))";
/// Its answer is a list, which the host puts where the component's allocator says.
const RANDOM: &str = "(import \"defguard:openid/random@0.2.0\" \"bytes\" (func $random (param i32 i32)))";

/// A call of `random.bytes`, then an empty answer.
const ASK: &str = "(call $random (i32.const 32) (i32.const 0x200)) (i32.const 0x10000)";

fn begin(body: &'static str) -> Module {
    Module { begin: body, ..Module::default() }
}

fn realloc(body: &'static str) -> Module {
    Module { head: RANDOM, begin: ASK, realloc: body, ..Module::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_no_answers() {
    // The answer of `begin` is at 0x10000: which case at 0, then url (8), state (16), binding (24), expiry (32), checks (40).
    let table = [
        (
            "a URL outside the memory",
            begin(
                "(i32.store (i32.const 0x10008) (i32.const 0x7fffff00)) (i32.store (i32.const 0x1000c) (i32.const 8)) (i32.const 0x10000)",
            ),
            BROKEN,
        ),
        ("a URL of 4 GiB", begin("(i32.store (i32.const 0x1000c) (i32.const 0xffffffff)) (i32.const 0x10000)"), BROKEN),
        (
            "a URL that ends outside the memory",
            begin(
                "(i32.store (i32.const 0x10008) (i32.const 0x1fff0)) (i32.store (i32.const 0x1000c) (i32.const 0x20)) (i32.const 0x10000)",
            ),
            BROKEN,
        ),
        (
            "a list of a billion checks",
            begin("(i32.store (i32.const 0x1002c) (i32.const 0x3fffffff)) (i32.const 0x10000)"),
            BROKEN,
        ),
        (
            "a list whose length overflows",
            begin("(i32.store (i32.const 0x1002c) (i32.const 0xffffffff)) (i32.const 0x10000)"),
            BROKEN,
        ),
        (
            "a list that isn't aligned",
            begin(
                "(i32.store (i32.const 0x10028) (i32.const 1)) (i32.store (i32.const 0x1002c) (i32.const 1)) (i32.const 0x10000)",
            ),
            BROKEN,
        ),
        ("an answer that isn't aligned", begin("(i32.const 0x10003)"), BROKEN),
        ("an answer outside the memory", begin("(i32.const 0x7ffffff8)"), BROKEN),
        ("an answer that ends outside the memory", begin("(i32.const 0x1fff8)"), BROKEN),
        (
            "a case that a result doesn't have",
            begin("(i32.store8 (i32.const 0x10000) (i32.const 7)) (i32.const 0x10000)"),
            BROKEN,
        ),
        (
            "a verdict that there isn't",
            begin(
                "(i32.store (i32.const 0x10028) (i32.const 0x11000)) (i32.store (i32.const 0x1002c) (i32.const 1)) (i32.store8 (i32.const 0x11008) (i32.const 9)) (i32.const 0x10000)",
            ),
            BROKEN,
        ),
        (
            "a URL that isn't UTF-8",
            begin(
                "(i32.store (i32.const 0x10008) (i32.const 0x11000)) (i32.store (i32.const 0x1000c) (i32.const 2)) (i32.store16 (i32.const 0x11000) (i32.const 0xfeff)) (i32.const 0x10000)",
            ),
            BROKEN,
        ),
        (
            "a URL with a surrogate",
            begin(
                "(i32.store (i32.const 0x10008) (i32.const 0x11000)) (i32.store (i32.const 0x1000c) (i32.const 3)) (i32.store (i32.const 0x11000) (i32.const 0x80a0ed)) (i32.const 0x10000)",
            ),
            BROKEN,
        ),
        ("an empty answer", begin("(i32.const 0x10000)"), "plugin_contract_broken"),
        ("a load outside the memory", begin("(i32.load (i32.const 0x7fffffff))"), TRAP),
        ("a division by zero", begin("(i32.div_u (i32.const 1) (i32.const 0))"), TRAP),
        ("an allocator that gives a place outside", realloc("(i32.const 0xfffffff0)"), BROKEN),
        ("an allocator that gives a place at the very end", realloc("(i32.const 0x1fff0)"), BROKEN),
        ("an allocator that traps", realloc("unreachable"), TRAP),
        ("an allocator without end", realloc("(loop $again (br $again)) unreachable"), CPU),
        (
            "an allocator that calls the host",
            realloc("(call $random (i32.const 1) (i32.const 0x300)) (i32.const 0x400)"),
            TRAP,
        ),
        (
            "an allocator that calls an export",
            realloc(
                "(drop (call $begin (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) (i32.const 0x400)",
            ),
            TRAP,
        ),
        (
            "a place for the host's answer outside",
            Module {
                head: RANDOM,
                begin: "(call $random (i32.const 1) (i32.const 0x7ffffff0)) (i32.const 0)",
                ..Module::default()
            },
            BROKEN,
        ),
        (
            "a table without end",
            Module {
                head: "(table $table 1 funcref)",
                begin: "(loop $again (br_if $again (i32.ne (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable",
                ..Module::default()
            },
            "plugin_table_exhausted",
        ),
        (
            "memory by its own instruction",
            begin("(loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable"),
            "plugin_memory_exhausted",
        ),
        (
            "a start function without end",
            Module {
                head: CLOCK,
                tail: "(func $start (if (i32.eqz (i32.load (i32.const 0))) (then (i32.store (i32.const 0) (i32.const 1)) (if (i64.gt_u (call $now) (i64.const 0)) (then (loop $again (br $again)))))))",
                ..begin("(call $start) (i32.const 0)")
            },
            CPU,
        ),
        (
            "clean-up that traps",
            Module {
                tail: "(func (export \"cabi_post_defguard:openid/login@0.2.0#begin\") (param i32) unreachable)",
                ..Module::default()
            },
            TRAP,
        ),
        (
            "clean-up without end",
            Module {
                tail: "(func (export \"cabi_post_defguard:openid/login@0.2.0#begin\") (param i32) (loop $again (br $again)))",
                ..Module::default()
            },
            CPU,
        ),
        (
            "clean-up that calls the host",
            Module {
                head: CLOCK,
                tail: "(func (export \"cabi_post_defguard:openid/login@0.2.0#begin\") (param i32) (drop (call $now)))",
                ..Module::default()
            },
            TRAP,
        ),
    ];
    let stage = Stage::new(Limits { call_wall: Duration::from_secs(60), ..short() }, true);
    let server = Server::start().await;
    let neighbour = stage.load(&hostile()).await;
    for (name, module, code) in table {
        let plugin: Plugin =
            stage.load_bytes(&module.component()).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let outcome = stage.begin(&plugin, &server.url, "{}").await;
        let error = outcome.err().unwrap_or_else(|| panic!("{name}: it has an answer"));
        assert_eq!(error.code(), code, "{name}: {error}");
        stage.sign_in(&neighbour, &server.url).await.unwrap_or_else(|error| panic!("{name}: the neighbour: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plugins_that_fail_while_they_are_loaded() {
    let describe = |body| Module { describe: body, ..Module::default() };
    let table = [
        (
            "a start function without end",
            Module { tail: "(func $start (loop $again (br $again))) (start $start)", ..Module::default() },
            "processor time",
        ),
        (
            "a start function that traps",
            Module { tail: "(func $start unreachable) (start $start)", ..Module::default() },
            "trapped",
        ),
        (
            "a start function that takes all memory",
            Module {
                tail: "(func $start (loop $again (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable) (start $start)",
                ..Module::default()
            },
            "bytes of memory",
        ),
        ("a description without end", describe("(loop $again (br $again)) unreachable"), "processor time"),
        ("a description that traps", describe("unreachable"), "trapped"),
        ("a description outside the memory", describe("(i32.const 0x7ffffff0)"), "rules of the interface"),
        ("a description that overflows the stack", describe("(call $deep)"), "stack"),
    ];
    let stage = Stage::new(Limits { call_wall: Duration::from_secs(60), ..short() }, true);
    for (name, mut module, words) in table {
        if words == "stack" {
            module.tail = "(func $deep (result i32) (i32.add (call $deep) (i32.const 1)))";
        }
        let error = stage.load_bytes(&module.component()).await.err().unwrap_or_else(|| panic!("{name}: it is loaded"));
        assert!(error.to_string().contains("fails when asked to describe itself"), "{name}: {error}");
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
    let server = Server::start().await;
    let neighbour = stage.load(&hostile()).await;
    stage.sign_in(&neighbour, &server.url).await.unwrap();
}
