//! `preparation.prepare` of a plugin that misbehaves: it isn't prepared, and works as before.

use defguard_openid_host::sandbox::{Limits, Plugin};
use hostile::stage::{configuration, short};
use hostile::{Server, Stage, hostile};

/// Why it isn't prepared.
async fn unprepared(plugin: &Plugin, behaviour: &str) -> String {
    let providers = [configuration(&[("behaviour", behaviour), ("at", "prepare")])];
    let outcome = plugin.prepare(&providers, None).await;
    assert!(!plugin.is_prepared_for(&providers), "{behaviour}");
    outcome.expect_err(behaviour).to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_prepare_may_not_do_ends_the_attempt_and_nothing_else() {
    let server = Server::start().await;
    let stage = Stage::new(Limits { call_wall: std::time::Duration::from_secs(20), ..short() }, true);
    let plugin = stage.load(&hostile()).await;
    for (behaviour, expected) in [
        ("loop", "processor time"),
        ("loop-of-calls", "processor time"),
        ("memory-at-once", "memory"),
        ("memory-little-by-little", "memory"),
        ("recursion", "stack"),
        ("panic", "trap"),
        ("abort", "trap"),
        // Every sign-in would begin with the same randomness.
        ("draw", "random"),
        // It ends well, but nobody can sign in with this plugin.
        ("nothing", "self-test"),
    ] {
        let reason = unprepared(&plugin, behaviour).await;
        assert!(reason.contains(expected), "{behaviour}: {reason}");
        stage.sign_in(&plugin, &server.url).await.unwrap_or_else(|error| panic!("after {behaviour}: {error}"));
    }
}
