//! `preparation.prepare` of a plugin that misbehaves: it isn't prepared, and works as before.

use defguard_openid_host::sandbox::{Export, Limits, Plugin, PrepareError, Shelf};
use hostile::stage::{configuration, short};
use hostile::{Server, Stage, hostile};

/// Why it isn't prepared.
async fn unprepared(plugin: &Plugin, behaviour: &str) -> PrepareError {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::open(&folder.path().join("plugins")).unwrap();
    let providers = [configuration(&[("behaviour", behaviour), ("at", "prepare")])];
    let outcome = plugin.prepare(&providers, Some(&shelf)).await;
    assert!(!plugin.is_prepared_for(&providers), "{behaviour}");
    assert!(!plugin.prepare_from(&shelf, &providers).await.unwrap(), "{behaviour}: nothing of it is kept");
    outcome.expect_err(behaviour)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prepare_may_not_do_ends_the_attempt_and_nothing_else() {
    let server = Server::start().await;
    let stage = Stage::new(Limits { call_wall: std::time::Duration::from_secs(20), ..short() }, true);
    let plugin = stage.load(&hostile()).await;
    for (behaviour, code, expected, is_lasting) in [
        ("loop", "plugin_cpu_exhausted", "processor time", true),
        ("memory-at-once", "plugin_memory_exhausted", "memory", true),
        ("memory-little-by-little", "plugin_memory_exhausted", "memory", true),
        ("recursion", "plugin_stack_overflow", "stack", true),
        ("panic", "plugin_trapped", "trap", true),
        ("abort", "plugin_trapped", "trap", true),
        // Every sign-in would begin with the same randomness, or at the same time.
        ("draw", "plugin_interface_broken", "random", true),
        ("loop-of-calls", "plugin_interface_broken", "clock", true),
        // A crowd of instances would take it from what all calls share.
        ("hoard", "too_large", "bytes of memory", true),
        ("few", "unread", "1 of 2 configurations", true),
        // It ends well, but nobody can sign in with this plugin.
        ("nothing", "self_test_failed", "self-test", false),
    ] {
        let before = stage.runtime.metrics().failures(Export::Prepare, code);
        let error = unprepared(&plugin, behaviour).await;
        assert!(error.to_string().contains(expected), "{behaviour}: {error}");
        assert_eq!((error.code(), error.is_lasting()), (code, is_lasting), "{behaviour}");
        let counted = stage.runtime.metrics().failures(Export::Prepare, code) - before;
        assert_eq!(counted, u64::from(code.starts_with("plugin_")), "{behaviour}: calls of prepare that failed");
        stage.sign_in(&plugin, &server.url).await.unwrap_or_else(|error| panic!("after {behaviour}: {error}"));
    }
}
