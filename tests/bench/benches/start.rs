//! From nothing to the first sign-in: compiling, loading what was compiled, the real process from the compiled cache to the first completed
//! sign-in, and the swap of a plugin while the service runs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::built;
use bench::emulator::{Emulator, Scale};
use bench::report::Report;
use bench::sample::Sample;
use conformance::{Browser, Entra, HostOptions, component};
use defguard_openid_host::Config;
use defguard_openid_host::gateway::load_plugin;
use defguard_openid_host::sandbox::{Limits, Looked, Plugin, Runtime};
use entra_emulator::fixtures::{self, person};

/// Starts of the process.
const STARTS: usize = 15;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The process, and how long it took from its start to the first sign-in: begun, approved by the emulator, completed.
async fn first_sign_in(config: &Path, url: &str) -> (Process, Duration) {
    let browser = Browser::new(url);
    let address = url.trim_start_matches("http://");
    let started = Instant::now();
    let mut command = Command::new(built("release/defguard-openid"));
    command.args(["serve", "--config"]).arg(config).stdin(Stdio::null()).stdout(Stdio::null());
    let process = Process(command.spawn().expect("it starts"));
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "it doesn't listen");
        tokio::time::sleep(Duration::from_micros(500)).await;
    }
    let answer = browser.sign_in(person::ADA).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    (process, started.elapsed())
}

async fn process(report: &mut Report) {
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
    let url = format!("http://{address}");
    let redirect_uris = [format!("{url}/openid/callback")];
    let entra = Emulator::start_for(Scale { users: 0, groups: 0, memberships: 0 }, &redirect_uris);
    let folder = tempfile::tempdir().unwrap();
    let addresses = &entra.addresses;
    let text = format!(
        "public_url = {url:?}\nlisten = \"{address}\"\nplugin = {:?}\n[storage]\nurl = \"redb:state.redb\"\n[handover]\nkind = \"local\"\n\
         [log]\nlevel = \"warn\"\n[plugins]\nunsigned = \"allow\"\nfolder = \"plugins\"\n[development]\nloopback_http = true\n\
         [[provider]]\nid = \"entra\"\nkind = \"microsoft\"\nbase_url = {:?}\nclient_id = {:?}\nclient_secret_file = \"secret\"\n\
         cloud = \"custom\"\nlogin_url = {:?}\ngraph_url = {:?}\n",
        component(),
        addresses.authority,
        addresses.client_id,
        addresses.login_url,
        addresses.graph_url,
    );
    std::fs::write(folder.path().join("secret"), fixtures::CLIENT_SECRET).unwrap();
    let file = folder.path().join("openid.toml");
    std::fs::write(&file, text).unwrap();
    // The first start compiles, and keeps what was compiled.
    let (first, cold) = first_sign_in(&file, &url).await;
    drop(first);
    report.figure("start_to_first_login.uncached_ms", cold.as_secs_f64() * 1e3);
    let mut starts = Sample::default();
    for _ in 0..STARTS {
        let (process, duration) = first_sign_in(&file, &url).await;
        starts.add(duration);
        drop(process);
    }
    report.figure("start_to_first_login_ms", starts.median_us() / 1e3);
    loading(&file, report).await;
}

/// What of it is the plugin: from bytes to what can be called, without and with the compiled cache.
async fn loading(config: &Path, report: &mut Report) {
    let (mut compiled, mut loaded) = (Sample::default(), Sample::default());
    let config = Config::load(config).unwrap();
    for turn in 0..6 {
        let runtime = Arc::new(Runtime::new(Limits { concurrent_calls: 8, ..Limits::default() }).unwrap());
        if turn < 3 {
            let started = Instant::now();
            drop(Plugin::load(&runtime, &component()).await.unwrap());
            compiled.add(started.elapsed());
        }
        let started = Instant::now();
        drop(load_plugin(&config, &runtime).await.unwrap());
        loaded.add(started.elapsed());
    }
    report.figure("compile_ms", compiled.median_us() / 1e3);
    report.figure("load_from_cache_ms", loaded.median_us() / 1e3);
}

/// A component that does the same: with a custom section, which nobody reads.
fn variant(number: u8) -> Vec<u8> {
    let mut bytes = std::fs::read(component()).unwrap();
    // Section 0, four bytes: a name of two, and one of content.
    bytes.extend([0, 4, 2, b'v', b'n', number]);
    bytes
}

async fn swap(report: &mut Report) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("openid.wasm");
    let put = |number: u8| {
        let partial = folder.path().join("partial");
        std::fs::write(&partial, variant(number)).unwrap();
        std::fs::rename(&partial, &path).unwrap();
    };
    put(0);
    let plugins = "unsigned = \"allow\"\nfolder = \"plugins\"".into();
    let stack = Entra::start(HostOptions { plugin: Some(path.clone()), plugins, ..HostOptions::default() }).await;
    let plugins = stack.host.gateway.plugins();
    let mut swaps = [Sample::default(), Sample::default()];
    for turn in 1..=11_u8 {
        // The first two are compiled, those after them are kept already.
        put(turn % 2);
        let started = Instant::now();
        let looked = plugins.look().await;
        swaps[usize::from(turn > 1)].add(started.elapsed());
        assert!(matches!(looked, Looked::TookOver(_)), "{looked:?}");
    }
    let [compiled, kept] = swaps;
    report.figure("hot_swap.compiling_ms", compiled.median_us() / 1e3);
    report.figure("hot_swap_ms", kept.median_us() / 1e3);
}

fn main() {
    if !bench::is_chosen("start") {
        return;
    }
    let mut report = Report::default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(process(&mut report));
    runtime.block_on(swap(&mut report));
    for (name, value) in &report.figures {
        println!("{name}: {value:.1}");
    }
    report.add().unwrap();
}
