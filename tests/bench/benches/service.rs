//! The whole service against the native one (`src/bin/native-service.rs`): the same provider, the same load, on all cores, in turns. Both
//! are processes of their own, as is the provider; what generates the load is this process. A sign-in at the provider itself, between the
//! two steps, isn't in the figures: first everybody begins, then everybody signs in there, then everybody comes back.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bench::built;
use bench::emulator::{Addresses, Emulator, Scale};
use bench::report::Report;
use bench::sample::Sample;
use entra_emulator::fixtures::{self, person};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

/// Sign-ins of one turn.
const SIGN_INS: usize = 400;
/// Of which so many are under way at once, each over a connection that stays open.
const AT_ONCE: usize = 16;

fn turns() -> usize {
    std::env::var("OPENID_BENCH_TURNS").ok().and_then(|turns| turns.parse().ok()).unwrap_or(12)
}

/// A service under load.
struct Service {
    url: String,
    child: Child,
    client: reqwest::Client,
    begins: Sample,
    completes: Sample,
    /// Seconds of both steps, turn by turn.
    seconds: Vec<f64>,
    /// Where its metrics are: ours.
    metrics: Option<String>,
    _folder: tempfile::TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A sign-in that is under way.
struct SignIn {
    url: String,
    cookie: String,
    callback: Value,
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").to_string()
}

fn client() -> reqwest::Client {
    // Fails only if there is one already, which then is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    builder.tcp_nodelay(true).build().expect("an HTTP client")
}

/// Ours, with what it has by default: metrics, log at "warn" so that nobody must read it, no audit file, sign-ins handed over to accounts of
/// its own. Limits of rate are off: one client here is a whole company.
fn ours(address: &str, entra: &Addresses) -> Service {
    let (folder, metrics) = (tempfile::tempdir().expect("a temporary folder"), free_address());
    let text = format!(
        "public_url = \"http://{address}\"\nlisten = {address:?}\nplugin = {:?}\n[storage]\nurl = \"memory:\"\n\
         [handover]\nkind = \"local\"\n[limits]\nclient_rate = 0\nglobal_rate = 0\n[log]\nlevel = \"warn\"\n\
         [plugins]\nunsigned = \"allow\"\n[metrics]\nlisten = {metrics:?}\n[development]\nloopback_http = true\n\
         [[provider]]\nid = \"entra\"\nkind = \"microsoft\"\nbase_url = {:?}\nclient_id = {:?}\nclient_secret_file = \"secret\"\n\
         cloud = \"custom\"\nlogin_url = {:?}\ngraph_url = {:?}\n",
        conformance::component(),
        entra.authority,
        entra.client_id,
        entra.login_url,
        entra.graph_url,
    );
    std::fs::write(folder.path().join("secret"), fixtures::CLIENT_SECRET).expect("the folder can be written");
    let file = folder.path().join("openid.toml");
    std::fs::write(&file, text).expect("the folder can be written");
    let mut command = Command::new(built("release/defguard-openid"));
    command.args(["serve", "--config"]).arg(&file);
    let mut service = service(address, command, folder);
    service.metrics = Some(metrics);
    service
}

fn native(address: &str, entra: &Addresses) -> Service {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let public_url = format!("http://{address}");
    let mut command = Command::new(built("release/native-service"));
    command.args([address, &public_url, &entra.authority, &entra.client_id, fixtures::CLIENT_SECRET]);
    service(address, command, folder)
}

fn service(address: &str, mut command: Command, folder: tempfile::TempDir) -> Service {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    Service {
        url: format!("http://{address}"),
        child,
        client: client(),
        begins: Sample::default(),
        completes: Sample::default(),
        seconds: Vec::new(),
        metrics: None,
        _folder: folder,
    }
}

impl Service {
    async fn is_up(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.client.get(format!("{}/health", self.url)).send().await.is_err() {
            assert!(self.child.try_wait().expect("it is our child").is_none(), "it ended");
            assert!(Instant::now() < deadline, "it doesn't listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The plugin is prepared some seconds after the start: whoever runs for a day is measured, not for a moment.
    async fn is_prepared(&self) {
        let Some(metrics) = &self.metrics else { return };
        let deadline = Instant::now() + Duration::from_secs(60);
        let shown = async || self.client.get(format!("http://{metrics}/metrics")).send().await.ok()?.text().await.ok();
        while !shown().await.is_some_and(|text| text.lines().any(|line| line == "defguard_openid_plugin_prepared 1")) {
            assert!(Instant::now() < deadline, "it isn't prepared");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn post(&self, path: &str, body: &Value, cookie: &str) -> (Value, String) {
        let request = self.client.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let request = if cookie.is_empty() { request } else { request.header("cookie", cookie) };
        let answer = request.body(body.to_string()).send().await.expect("it answers");
        let status = answer.status();
        let cookies = answer.headers().get_all("set-cookie").iter();
        let cookie = cookies.filter_map(|value| Some(value.to_str().ok()?.split(';').next()?.to_owned()));
        let cookie = cookie.collect::<Vec<_>>().join("; ");
        let bytes = answer.bytes().await.expect("a whole answer");
        assert!(status.is_success(), "{path}: {status} {}", String::from_utf8_lossy(&bytes));
        (serde_json::from_slice(&bytes).expect("JSON"), cookie)
    }

    /// One turn: the seconds that its sign-ins took in the two steps.
    async fn turn(&mut self, sign_ins: usize) -> (f64, Sample, Sample) {
        let (mut begins, mut completes) = (Sample::default(), Sample::default());
        let this = &*self;
        let started = Instant::now();
        let begun: Vec<(SignIn, Duration)> = each(sign_ins, |_| async move {
            let started = Instant::now();
            let (answer, cookie) = this.post("/api/v1/openid/auth_info", &json!({ "type": "enrollment" }), "").await;
            let url = answer["url"].as_str().expect("an address").to_owned();
            (SignIn { url, cookie, callback: Value::Null }, started.elapsed())
        })
        .await;
        let mut seconds = started.elapsed().as_secs_f64();
        let mut begun: Vec<Option<SignIn>> = begun
            .into_iter()
            .map(|(sign_in, duration)| {
                begins.add(duration);
                Some(sign_in)
            })
            .collect();
        let arrived = {
            let taken: Vec<_> = begun.iter_mut().map(|sign_in| std::sync::Mutex::new(sign_in.take())).collect();
            let taken = Arc::new(taken);
            each(sign_ins, |number| {
                let sign_in = taken.get(number).and_then(|taken| taken.lock().ok()?.take()).expect("each once");
                async move { at_entra(&this.client, sign_in).await }
            })
            .await
        };
        let started = Instant::now();
        let durations = each(sign_ins, |number| {
            let sign_in = arrived.get(number).expect("each of them");
            async move {
                let started = Instant::now();
                let (answer, _) = this.post("/api/v1/openid/callback", &sign_in.callback, &sign_in.cookie).await;
                assert!(answer["token"].is_string(), "{answer}");
                started.elapsed()
            }
        })
        .await;
        seconds += started.elapsed().as_secs_f64();
        for duration in durations {
            completes.add(duration);
        }
        (seconds, begins, completes)
    }

    /// Processor time so far, in seconds (proc_pid_stat(5): fields 14 and 15, in hundredths): what others on the machine do isn't in it.
    fn processor_s(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs");
        // The name, in brackets, may have spaces.
        let (_, fields) = stat.rsplit_once(") ").expect("proc_pid_stat(5)");
        fields.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
    }

    fn rss_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc_pid_status(5)");
        line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
    }
}

/// So many of them, [`AT_ONCE`] at a time, in order.
async fn each<T, F: Future<Output = T>>(many: usize, work: impl Fn(usize) -> F) -> Vec<T> {
    futures_util::stream::iter(0..many).map(work).buffered(AT_ONCE).collect().await
}

/// Ada signs in there, and is sent back.
async fn at_entra(client: &reqwest::Client, mut sign_in: SignIn) -> SignIn {
    let url = format!("{}&x_user={}", sign_in.url, person::ADA);
    let answer = client.get(url).send().await.expect("it answers");
    let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).expect("a redirect");
    let location = url::Url::parse(location).expect("an address");
    sign_in.callback = json!({ "type": "enrollment" });
    for (name, value) in location.query_pairs() {
        sign_in.callback[name.as_ref()] = json!(value);
    }
    sign_in
}

async fn compare(report: &mut Report) {
    let addresses = [free_address(), free_address()];
    let redirect_uris = addresses.clone().map(|address| format!("http://{address}/openid/callback"));
    let entra = Emulator::start_for(Scale { users: 0, groups: 0, memberships: 0 }, &redirect_uris);
    let mut services = [ours(&addresses[0], &entra.addresses), native(&addresses[1], &entra.addresses)];
    for service in &mut services {
        service.is_up().await;
        service.is_prepared().await;
        // The documents are fetched, connections opened.
        service.turn(SIGN_INS / 4).await;
    }
    let before = services.each_ref().map(Service::processor_s);
    for turn in 0..turns() {
        // Whoever comes first has a provider that rested.
        let mut order = [0, 1];
        order.rotate_left(turn % 2);
        for position in order {
            let service = &mut services[position];
            let (seconds, begins, completes) = service.turn(SIGN_INS).await;
            service.seconds.push(seconds);
            service.begins.extend(&begins);
            service.completes.extend(&completes);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "thousands")]
    let sign_ins = (turns() * SIGN_INS) as f64;
    let processor_us = [0, 1].map(|position| (services[position].processor_s() - before[position]) / sign_ins * 1e6);
    for (name, value) in ["service", "native-service"].into_iter().zip(processor_us) {
        report.figure(&format!("{name}.processor_us"), value);
    }
    report.ratio("service.processor/native", processor_us[0], processor_us[1]);
    println!("processor time of a sign-in: ours {:.0} µs, native {:.0} µs", processor_us[0], processor_us[1]);
    let figures = services.each_ref().map(|service| {
        let mut seconds = service.seconds.clone();
        seconds.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "hundreds")]
        let rate = SIGN_INS as f64 / seconds[seconds.len() / 2];
        let mut steps = service.begins.clone();
        steps.extend(&service.completes);
        (
            rate,
            service.completes.median_us(),
            service.completes.quantile_us(0.99),
            service.rss_mib(),
            service.begins.median_us(),
        )
    });
    for (name, (rate, p50, p99, rss, begin)) in ["service", "native-service"].into_iter().zip(figures) {
        report.figure(&format!("{name}.sign_ins_per_s"), rate);
        report.figure(&format!("{name}.begin.p50_us"), begin);
        report.figure(&format!("{name}.complete.p50_us"), p50);
        report.figure(&format!("{name}.complete.p99_us"), p99);
        report.figure(&format!("{name}.rss_mib"), rss);
        println!(
            "{name}: {rate:.0} sign-ins/s, begin p50 {begin:.0} µs, complete p50 {p50:.0} µs, p99 {p99:.0} µs, {rss:.1} MiB"
        );
    }
    let [ours, theirs] = figures;
    report.ratio("service.throughput/native", ours.0, theirs.0);
    report.ratio("service.p50/native", ours.1, theirs.1);
    report.ratio("service.p99/native", ours.2, theirs.2);
}

fn main() {
    if !bench::is_chosen("service") {
        return;
    }
    let mut report = Report::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(compare(&mut report));
    report.add().unwrap();
}
