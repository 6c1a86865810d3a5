//! What a call may take: processor time, wall clock, memory, tables, stack, and how much it may say. Each ends alone, with
//! a code of its own; the neighbour signs people in all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use defguard_openid_host::sandbox::bindings::exports::defguard::openid::login::{CompleteRequest, Flow};
use defguard_openid_host::sandbox::{CallError, Export, Limits, Plugin};
use hostile::stage::{begin_request, configuration, short};
use hostile::{Server, Stage, hostile};

/// Signs in again and again until it is told to stop; how often, and every failure.
struct Neighbour {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
    task: tokio::task::JoinHandle<()>,
}

impl Neighbour {
    fn start(stage: &Arc<Stage>, plugin: &Arc<Plugin>, server: &Arc<Server>) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let task = tokio::spawn({
            let (stage, plugin, server) = (Arc::clone(stage), Arc::clone(plugin), Arc::clone(server));
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            async move {
                while !stop.load(Ordering::SeqCst) {
                    stage.sign_in(&plugin, &server.url).await.unwrap_or_else(|error| panic!("the neighbour: {error}"));
                    done.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Self { stop, done, task }
    }

    fn count(&self) -> u32 {
        self.done.load(Ordering::SeqCst)
    }

    /// Waits for `more` sign-ins from now on.
    async fn goes_on(&self, name: &str, more: u32) {
        let (from, waits) = (self.count(), async {
            while !self.task.is_finished() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let enough = async {
            while self.count() < from + more {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = enough => {}
            () = waits => panic!("{name}: the neighbour's sign-in failed"),
            () = tokio::time::sleep(Duration::from_secs(30)) => panic!("{name}: no sign-in of the neighbour for 30 s"),
        }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.task.await.unwrap();
    }
}

/// Calls an export with a behaviour: how it failed.
async fn call(stage: &Stage, plugin: &Plugin, server: &Server, export: Export, behaviour: &str) -> Option<CallError> {
    let text = configuration(&[("behaviour", behaviour), ("at", export.as_str()), ("base_url", &server.url)]);
    let grant = || stage.grant("hostile", &[&server.url]);
    match export {
        Export::Begin => plugin.begin(grant(), &begin_request(&text)).await.err(),
        Export::Complete => {
            let request = CompleteRequest {
                provider: text,
                flow: Flow::Enrollment,
                redirect_uri: String::new(),
                parameters: Vec::new(),
                browser_binding: None,
            };
            plugin.complete(grant(), &request).await.err()
        }
        Export::Describe | Export::Prepare => None,
        Export::Validate => plugin.validate(&text).await.err(),
        Export::MapClaims => plugin.map_claims(&text, "{}").await.err(),
        Export::Probe => plugin.probe(grant(), &text).await.err(),
        Export::TestConnection => plugin.test_connection(grant(), &text).await.err(),
        Export::NextPage => plugin.directory_page(grant(), &text, &[], None).await.err(),
        Export::Person => plugin.person(grant(), &text, "o", Duration::from_secs(2)).await.err(),
        Export::Present => plugin.present(grant(), &text, &[]).await.err(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bound_ends_the_call_that_breaks_it_and_no_other() {
    const CPU: &str = "plugin_cpu_exhausted";
    const MEMORY: &str = "plugin_memory_exhausted";
    const TRAP: &str = "plugin_trapped";
    const DATA: &str = "plugin_too_much_data";
    const TIME: &str = "plugin_timeout";
    // A bound that ends the call, and the others so far away that they don't, however slow the machine is.
    let far = Limits { call_cpu_ticks: 6000, call_wall: Duration::from_secs(60), ..short() };
    let processor_time = Limits { call_cpu_ticks: 20, ..far.clone() };
    let wall_clock = Limits { call_wall: Duration::from_secs(1), ..far.clone() };
    let tables: [(Limits, &[(&str, Export, &str, &str)]); 3] = [
        (
            processor_time,
            &[
                ("an endless loop in begin", Export::Begin, "loop", CPU),
                ("in complete", Export::Complete, "loop", CPU),
                ("in validate", Export::Validate, "loop", CPU),
                ("in map-claims", Export::MapClaims, "loop", CPU),
                ("in probe", Export::Probe, "loop", CPU),
                ("in test-connection", Export::TestConnection, "loop", CPU),
                ("in next-page", Export::NextPage, "loop", CPU),
                ("in person", Export::Person, "loop", CPU),
                ("in present", Export::Present, "loop", CPU),
                ("an endless loop of imports", Export::Begin, "loop-of-calls", CPU),
                ("an endless loop of imports that work", Export::Begin, "loop-of-random", CPU),
            ],
        ),
        (
            wall_clock,
            &[
                ("an endless wait for answers", Export::Begin, "wait", TIME),
                ("an endless wait where a sign-in waits", Export::Person, "wait", TIME),
                ("an endless loop, if nothing else ended it", Export::Complete, "loop", TIME),
            ],
        ),
        (
            far,
            &[
                ("100 MiB at once", Export::Begin, "memory-at-once", MEMORY),
                ("64 MiB in small pieces", Export::Begin, "memory-little-by-little", MEMORY),
                ("the same in a directory's page", Export::NextPage, "memory-little-by-little", MEMORY),
                ("recursion without end", Export::Begin, "recursion", "plugin_stack_overflow"),
                ("a panic", Export::Begin, "panic", TRAP),
                ("a panic with a novel", Export::Complete, "long-panic", TRAP),
                ("unreachable", Export::Begin, "abort", TRAP),
                ("a trap after a write", Export::Begin, "trap-after-put", TRAP),
                ("a log record of 6 MiB", Export::Begin, "huge-log", DATA),
                ("a log record of a million fields", Export::Begin, "many-fields", DATA),
                ("more randomness than there is", Export::Begin, "too-much-random", "plugin_interface_broken"),
            ],
        ),
    ];
    let server = Arc::new(Server::start().await);
    for (limits, table) in tables {
        let stage = Arc::new(Stage::new(limits, true));
        let plugin = Arc::new(stage.load(&hostile()).await);
        let neighbour = Neighbour::start(&stage, &plugin, &server);
        neighbour.goes_on("before", 3).await;
        for (name, export, behaviour, code) in table {
            let before = stage.runtime.metrics().failures(*export, code);
            let (error, ()) =
                tokio::join!(call(&stage, &plugin, &server, *export, behaviour), neighbour.goes_on(name, 1));
            let error = error.unwrap_or_else(|| panic!("{name}: it ended well"));
            assert_eq!(error.code(), *code, "{name}: {error}");
            assert_eq!(stage.runtime.metrics().failures(*export, code), before + 1, "{name}: it is counted");
            let words = error.to_string();
            assert!(!words.contains(char::is_control) && words.len() < 512, "{name}: {words:?}");
            neighbour.goes_on(name, 2).await;
        }
        neighbour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_takes_all_memory_leaves_the_others_theirs() {
    // Room for two such calls at a time, and every other call has its own 4 MiB.
    let far = Limits { call_cpu_ticks: 6000, call_wall: Duration::from_secs(60), ..short() };
    let stage = Arc::new(Stage::new(Limits { memory_shared_bytes: 130 << 20, ..far }, true));
    let server = Arc::new(Server::start().await);
    let plugin = Arc::new(stage.load(&hostile()).await);
    let neighbour = Neighbour::start(&stage, &plugin, &server);
    for _ in 0..3 {
        let bombs = (0..8).map(|_| call(&stage, &plugin, &server, Export::Begin, "memory-little-by-little"));
        for error in futures_util::future::join_all(bombs).await {
            assert_eq!(error.map(|error| error.code()), Some("plugin_memory_exhausted"));
        }
        neighbour.goes_on("between bombs", 1).await;
    }
    neighbour.stop().await;
    // All of it came back: one call alone has its 64 MiB again.
    call(&stage, &plugin, &server, Export::Begin, "memory-little-by-little").await;
    let peak = stage.runtime.memory_peak();
    assert!((60 << 20..=64 << 20).contains(&peak), "{peak}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_are_let_in_in_their_turn_and_no_more_than_fit() {
    let server = Arc::new(Server::start().await);
    // 2 at a time, each waiting 300 ms for its provider: the last one of 20 has waited ten times that.
    let limits = Limits { concurrent_calls: 2, queued_calls: 18, http_timeout: Duration::from_millis(300), ..short() };
    let stage = Arc::new(Stage::new(limits, true));
    let plugin = Arc::new(stage.load(&hostile()).await);
    let text = configuration(&[("behaviour", "requests"), ("urls", &format!("{}/silent", server.url))]);
    let calls = || (0..20).map(|_| stage.begin(&plugin, &server.url, &text));
    for outcome in futures_util::future::join_all(calls()).await {
        assert_eq!(outcome.unwrap().unwrap_err().message, "timeout");
    }
    // Two more than there are places: they are told at once.
    let outcomes = futures_util::future::join_all(calls().chain(calls().take(2))).await;
    let busy = outcomes.iter().filter(|outcome| matches!(outcome, Err(CallError::Busy(2)))).count();
    assert_eq!((busy, outcomes.len()), (2, 22));
    assert_eq!(stage.runtime.metrics().failures(Export::Begin, "plugin_busy"), 2);
    stage.sign_in(&plugin, &server.url).await.unwrap();
}
