//! A real browser for tests: one chromedriver and one Chromium with a profile of its own for each, both ended with the test.
//! Chromium and chromedriver are Debian's; `./build.sh test` installs them.

mod axe;
mod driver;
mod net_log;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use thirtyfour::prelude::*;

use driver::Driver;
pub use net_log::NetLog;

/// How long a condition may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

/// How the browser is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// Its language, as `de-AT`; English if empty.
    pub language: &'static str,
    /// Whether it refuses all cookies.
    pub without_cookies: bool,
    /// Whether it runs no script.
    pub without_scripts: bool,
    /// Whether everything that its network stack does is written down, for [`Chrome::end`].
    pub net_log: bool,
}

/// A browser with one window.
pub struct Chrome {
    driver: WebDriver,
    // Goes after the session: whatever that leaves behind ends with it.
    _process: Driver,
    profile: tempfile::TempDir,
}

impl Chrome {
    /// Starts one.
    pub async fn start(settings: Settings) -> Self {
        // The client that talks to the driver wants one, for TLS that it never uses. There may be one already, the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let process = Driver::start();
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut capabilities = DesiredCapabilities::chrome();
        let language = if settings.language.is_empty() { "en-US" } else { settings.language };
        let mut arguments = vec![
            "--headless=new".to_owned(),
            // Containers rarely have what Chromium's own sandbox needs, and its pages are ours.
            "--no-sandbox".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-gpu".to_owned(),
            "--no-proxy-server".to_owned(),
            format!("--lang={language}"),
            format!("--accept-lang={language}"),
            format!("--user-data-dir={}", profile.path().display()),
            "--window-size=900,1100".to_owned(),
        ];
        if settings.net_log {
            arguments.push(format!("--log-net-log={}", net_log::path(profile.path()).display()));
            // With every byte that is sent, before TLS.
            arguments.push("--net-log-capture-mode=Everything".to_owned());
        }
        for argument in &arguments {
            capabilities.add_arg(argument).expect("an argument is a text");
        }
        let block = |on: bool| if on { 2 } else { 1 };
        let preferences = json!({
            "profile.default_content_setting_values.cookies": block(settings.without_cookies),
            "profile.default_content_setting_values.javascript": block(settings.without_scripts),
            "intl.accept_languages": language,
        });
        capabilities.add_experimental_option("prefs", preferences).expect("preferences are JSON");
        let driver = WebDriver::new(&process.url, capabilities).await.unwrap_or_else(|error| {
            panic!("Chromium doesn't start: {error}. Install Debian's packages chromium and chromium-driver")
        });
        Self { driver, _process: process, profile }
    }

    /// With nothing special.
    pub async fn plain() -> Self {
        Self::start(Settings::default()).await
    }

    /// Ends it, and what its network stack did: for a browser that was started with [`Settings::net_log`].
    pub async fn end(self) -> NetLog {
        // The log is whole only when the browser has gone.
        self.driver.quit().await.expect("Chromium ends");
        NetLog::read(self.profile.path())
    }

    /// The WebDriver session.
    pub fn driver(&self) -> &WebDriver {
        &self.driver
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    }

    /// The element of a selector, as soon as it is there.
    pub async fn element(&self, selector: &str) -> WebElement {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Ok(element) = self.driver.find(By::Css(selector.to_owned())).await {
                return element;
            }
            assert!(Instant::now() < deadline, "there is no {selector} in {}", self.describe().await);
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// The text of the element of a selector, as soon as it is there.
    pub async fn text(&self, selector: &str) -> String {
        self.element(selector).await.text().await.expect("an element has a text")
    }

    /// Clicks.
    pub async fn click(&self, selector: &str) {
        self.element(selector).await.click().await.unwrap_or_else(|error| panic!("{selector}: {error}"));
    }

    /// Whether an element is there now.
    pub async fn has(&self, selector: &str) -> bool {
        self.driver.find(By::Css(selector.to_owned())).await.is_ok()
    }

    /// The heading of the page.
    pub async fn heading(&self) -> String {
        self.text("h1").await
    }

    /// The value of an expression in the page; a promise's when it is there.
    pub async fn evaluate(&self, expression: &str) -> Value {
        evaluate(&self.driver, expression).await
    }

    /// Runs a script in each page from now on, before any of the page's own.
    pub async fn on_each_page(&self, source: &str) {
        let request = json!({ "source": source });
        self.driver.cdp().send_raw("Page.addScriptToEvaluateOnNewDocument", request).await.expect("Chromium takes it");
    }

    /// What `prefers-color-scheme` says from now on.
    pub async fn prefer(&self, scheme: &str) {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.driver.cdp().send_raw("Emulation.setEmulatedMedia", media).await.expect("Chromium takes it");
    }

    /// No violation of WCAG 2.2 A and AA, nor of axe's best practices, in light and in dark; and a picture of both.
    pub async fn accessible(&self, name: &str) {
        for scheme in ["light", "dark"] {
            self.prefer(scheme).await;
            let violations = axe::violations(&self.driver).await;
            self.picture(&format!("{name}-{scheme}")).await;
            assert!(violations.is_empty(), "{name}, {scheme}: {violations:#?}");
        }
    }

    /// A picture of the page, kept as an artifact of the run in `target/screenshots`.
    pub async fn picture(&self, name: &str) {
        let folder = artifacts();
        std::fs::create_dir_all(&folder).expect("the folder can be made");
        let picture = self.driver.cdp().send_raw("Page.captureScreenshot", json!({})).await.expect("Chromium draws");
        let picture = STANDARD.decode(picture["data"].as_str().unwrap_or_default()).expect("Base64");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("the folder can be written");
    }

    async fn describe(&self) -> String {
        let url = self.driver.current_url().await.map_or_else(|error| error.to_string(), String::from);
        let page: String = self.driver.source().await.unwrap_or_default().chars().take(2000).collect();
        format!("{url}: {page}")
    }
}

/// `Runtime.evaluate` of the DevTools protocol.
async fn evaluate(driver: &WebDriver, expression: &str) -> Value {
    let request = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
    match driver.cdp().send_raw("Runtime.evaluate", request).await {
        Ok(answer) => answer["result"]["value"].clone(),
        // The page went away meanwhile.
        Err(_) => Value::Null,
    }
}

/// `OPENID_SCREENSHOTS`, or `target/screenshots`.
fn artifacts() -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/screenshots");
    std::env::var_os("OPENID_SCREENSHOTS").map_or_else(|| PathBuf::from(folder), PathBuf::from)
}
