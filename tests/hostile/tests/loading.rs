//! Files that are no plugins of ours: what they import, what they leave out, and what they are built of. None is run.

use std::time::{Duration, Instant};

use defguard_openid_host::sandbox::LoadError;
use hostile::raw::Module;
use hostile::stage::short;
use hostile::{Server, Stage, hostile};

/// Components that each instantiate the one before twice: 2^`levels` instances in as many lines.
fn doubling(levels: usize) -> String {
    let mut text = "(component $c0)".to_owned();
    for level in 1..=levels {
        text = format!(
            "(component $c{level} {text} (instance (instantiate $c{0})) (instance (instantiate $c{0})))",
            level - 1
        );
    }
    format!("(component {text})")
}

#[tokio::test]
async fn what_is_not_loaded() {
    type Is = fn(&LoadError) -> bool;
    let foreign: Is = |error| matches!(error, LoadError::ForeignImport { .. });
    let contract: Is = |error| matches!(error, LoadError::Contract { .. });
    let form: Is = |error| matches!(error, LoadError::Form { .. });
    let invalid: Is = |error| matches!(error, LoadError::Invalid { .. });
    let import = |text: &str| format!("(component (import {text}))");
    let many =
        |count: usize| format!("(component (core module $m) {})", "(core instance (instantiate $m))".repeat(count));
    let texts: [(&str, String, Is); 17] = [
        ("WASI", import("\"wasi:random/random@0.2.0\" (instance)"), foreign),
        ("the file system of WASI", import("\"wasi:filesystem/preopens@0.2.0\" (instance)"), foreign),
        ("sockets of WASI", import("\"wasi:sockets/tcp@0.2.0\" (instance)"), foreign),
        ("another package under our name", import("\"defguard:openid-more/http@0.2.0\" (instance)"), foreign),
        ("a function by itself", import("\"now\" (func (result u64))"), foreign),
        ("a core module", import("\"m\" (core module)"), foreign),
        ("a component", import("\"c\" (component)"), invalid),
        ("a function under an interface's name", import("\"defguard:openid/http@0.2.0\" (func)"), foreign),
        (
            "an interface that there isn't",
            import("\"defguard:openid/process@0.2.0\" (instance (export \"run\" (func)))"),
            contract,
        ),
        (
            "a function that an interface doesn't have",
            import("\"defguard:openid/clock@0.2.0\" (instance (export \"set\" (func (param \"to\" u64))))"),
            contract,
        ),
        (
            "a function of other types",
            import("\"defguard:openid/clock@0.2.0\" (instance (export \"now-unix-ms\" (func (result string))))"),
            contract,
        ),
        (
            "an interface of a newer contract",
            import("\"defguard:openid/clock@0.3.0\" (instance (export \"now-unix-ms\" (func (result u64))))"),
            contract,
        ),
        ("nothing exported", "(component)".into(), contract),
        ("2^30 instances", doubling(30), form),
        ("nested ninety times", format!("{}{}", "(component".repeat(90), ")".repeat(90)), form),
        ("a thousand instances", many(1000), form),
        ("60 instances, more than a call has in the pool", many(60), invalid),
    ];
    let modules: [(&str, Module, Is); 5] = [
        (
            "128 MiB from the start",
            Module { memory: "(memory (export \"memory\") 2000)", ..Module::default() },
            invalid,
        ),
        ("a table of a million", Module { head: "(table 1000000 funcref)", ..Module::default() }, invalid),
        (
            "64-bit memory",
            Module { memory: "(memory i64 1) (memory (export \"memory\") 1)", ..Module::default() },
            invalid,
        ),
        ("SIMD", Module { tail: "(func (drop (v128.const i64x2 0 0)))", ..Module::default() }, invalid),
        ("shared memory", Module { memory: "(memory (export \"memory\") 1 2 shared)", ..Module::default() }, invalid),
    ];
    let stage = Stage::new(short(), true);
    let server = Server::start().await;
    let neighbour = stage.load(&hostile()).await;
    let texts = texts.into_iter().map(|(name, text, is_expected)| {
        let bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, bytes, is_expected)
    });
    let modules = modules.into_iter().map(|(name, module, is_expected)| (name, module.component(), is_expected));
    let core = ("a core module", Module::default().core(), invalid);
    let compiled = stage.runtime.engine().precompile_component(&Module::default().component()).unwrap();
    let compiled: (&str, Vec<u8>, Is) = ("machine code", compiled, |error| matches!(error, LoadError::Precompiled(_)));
    for (name, bytes, is_expected) in texts.chain(modules).chain([core, compiled]) {
        let begun = Instant::now();
        let error = stage.load_bytes(&bytes).await.err().unwrap_or_else(|| panic!("{name}: it is loaded"));
        assert!(is_expected(&error), "{name}: {error:?}");
        assert!(!error.to_string().contains(char::is_control), "{name}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{name}: {:?}", begun.elapsed());
        stage.sign_in(&neighbour, &server.url).await.unwrap_or_else(|error| panic!("{name}: the neighbour: {error}"));
    }
    // The control: what these are made from is loaded.
    stage.load_bytes(&Module::default().component()).await.unwrap();
}
