//! Real Chromium, driven through chromedriver.
//!
//! Each [`Browser`] is a person at a machine of their own: a fresh profile, no cookies, nothing
//! shared with the next test, so tests may run side by side. It talks to no one but the server under
//! test; background updates and look-ups are switched off. Dropping it kills every process of it.

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A browser with one window.
pub struct Browser {
    /// The page: go somewhere, find things, press them.
    pub page: Client,
    // Dropped in this order: the processes end before their profile is removed.
    _driver: Driver,
    profile: TempDir,
}

/// The screens that every page has to look right on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// 390 x 844, with touch.
    Phone,
    /// 1280 x 800.
    Desktop,
    /// 1920 x 1080.
    Tv,
}

impl Screen {
    /// Width and height in CSS pixels.
    pub fn size(self) -> (u32, u32) {
        match self {
            Screen::Phone => (390, 844),
            Screen::Desktop => (1280, 800),
            Screen::Tv => (1920, 1080),
        }
    }
}

/// What the person prefers, as `prefers-color-scheme` tells the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark text on light.
    Light,
    /// Light text on dark.
    Dark,
}

const REMEDY: &str = "run scripts/test, which installs chromium and chromedriver";

impl Browser {
    /// Opens a desktop-sized browser on an empty page.
    ///
    /// # Panics
    /// When chromium or chromedriver is missing or does not start: a browser test that cannot run has failed.
    pub async fn open() -> Browser {
        match Browser::try_open("chromedriver").await {
            Ok(browser) => browser,
            Err(why) => panic!("{why}"),
        }
    }

    /// Opens a browser through the driver program `driver`, or says what is missing.
    pub async fn try_open(driver: &str) -> Result<Browser, String> {
        let profile = tempfile::tempdir().map_err(|e| format!("no folder for the browser's profile: {e}"))?;
        let (driver, port) = Driver::start(driver, profile.path()).await?;
        let page = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(profile.path()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .map_err(|e| format!("chromium did not start; {REMEDY}: {e}"))?;
        let browser = Browser { page, _driver: driver, profile };
        browser.screen(Screen::Desktop).await;
        Ok(browser)
    }

    /// Gives the page the size of `screen`, exactly: a window's own frame is not counted.
    pub async fn screen(&self, screen: Screen) {
        let (width, height) = screen.size();
        let phone = screen == Screen::Phone;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self.devtools("Emulation.setTouchEmulationEnabled", json!({ "enabled": phone })).await;
    }

    /// Makes the person prefer `scheme`, on this page and those after it.
    pub async fn scheme(&self, scheme: Scheme) {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// Saves what the window shows as a PNG.
    pub async fn screenshot(&self, to: &Path) {
        let png = self.page.screenshot().await.expect("the browser should give a screenshot");
        std::fs::write(to, png).expect("the screenshot should be saved");
    }

    /// Calls a method of the Chrome DevTools Protocol and returns its result.
    pub async fn devtools(&self, method: &'static str, params: Value) -> Value {
        match self.page.issue_cmd(DevTools { method, params }).await {
            Ok(result) => result,
            Err(why) => panic!("{method}: {why}"),
        }
    }

    /// Asks for a virtual authenticator or changes one (WebAuthn Level 3 section 11): `POST ../webauthn/authenticator{path}`.
    pub async fn webauthn(&self, path: &str, body: Value) -> Value {
        match self.page.issue_cmd(VirtualAuthenticator { path: path.to_owned(), body }).await {
            Ok(result) => result,
            Err(why) => panic!("webauthn{path}: {why}"),
        }
    }

    /// The folder of this browser's profile; it names the browser's processes.
    pub fn profile(&self) -> &Path {
        self.profile.path()
    }
}

/// Chromedriver's own addition to WebDriver: `POST session/{id}/goog/cdp/execute`.
#[derive(Debug)]
struct DevTools {
    method: &'static str,
    params: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({ "cmd": self.method, "params": self.params }).to_string()))
    }
}

/// WebAuthn's addition to WebDriver.
#[derive(Debug)]
struct VirtualAuthenticator {
    path: String,
    body: Value,
}

impl WebDriverCompatibleCommand for VirtualAuthenticator {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/webauthn/authenticator{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}

fn capabilities(profile: &Path) -> serde_json::Map<String, Value> {
    let profile = format!("--user-data-dir={}", profile.display());
    let arguments = [
        "--headless=new",
        // The sandbox cannot be set up by root or in a container, where CI runs; the pages are our own.
        "--no-sandbox",
        "--disable-gpu",
        // Containers have a tiny /dev/shm, and a full one crashes the page.
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--disable-breakpad",
        "--no-proxy-server",
        "--autoplay-policy=no-user-gesture-required",
        &profile,
    ];
    let chrome = json!({ "args": arguments });
    serde_json::Map::from_iter([("goog:chromeOptions".to_owned(), chrome)])
}

/// A running chromedriver and the browser below it.
struct Driver {
    process: Child,
    /// A folder of this driver's own; its processes name it.
    home: PathBuf,
}

impl Driver {
    /// Starts `program` on a port that the system chooses; returns it with that port.
    async fn start(program: &str, home: &Path) -> Result<(Driver, u16), String> {
        let child = Command::new(program)
            .arg("--port=0")
            // What the browser keeps outside its profile goes there as well, and goes with it.
            .envs(["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "TMPDIR"].map(|name| (name, home)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut driver = match child {
            Ok(process) => Driver { process, home: home.to_owned() },
            Err(why) => return Err(format!("{program} could not be started; {REMEDY}: {why}")),
        };

        let output = driver.process.stdout.take().ok_or("chromedriver has no output")?;
        let (tell, told) = oneshot::channel();
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            // Read to the end, or the driver would stand still once the pipe is full.
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some(port) = port(&line) else { continue };
                if let Some(tell) = tell.take() {
                    let _ = tell.send(port);
                }
            }
        });
        match tokio::time::timeout(Duration::from_secs(60), told).await {
            Ok(Ok(port)) => Ok((driver, port)),
            _ => Err(format!("{program} started but named no port; {REMEDY}")),
        }
    }
}

/// The port in `ChromeDriver was started successfully on port 12345.`
fn port(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("started successfully on port ")?;
    rest.trim_end_matches('.').parse().ok()
}

impl Drop for Driver {
    #[expect(clippy::disallowed_methods, reason = "nobody tells of the end of a process that is no child of ours")]
    fn drop(&mut self) {
        // Named before the first kill makes orphans of them: some of Chromium's helpers leave the group.
        let below = descendants(self.process.id());
        if let Some(group) = pid(self.process.id()) {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.wait();
        // Until the last one has ended: the profile cannot be removed while somebody writes to it.
        for _ in 0..2000 {
            let mut left = processes();
            left.retain(|&id| runs(id) && (below.contains(&id) || names(id, &self.home)));
            if left.is_empty() {
                return;
            }
            for process in left.into_iter().filter_map(pid) {
                let _ = rustix::process::kill_process(process, Signal::KILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Whether the process still runs. One that has ended but is not buried yet stays listed, without a
/// command line.
fn runs(id: u32) -> bool {
    std::fs::read(format!("/proc/{id}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Whether the command line or the environment of the process names the folder `home`.
pub fn names(id: u32, home: &Path) -> bool {
    let home = home.as_os_str().as_bytes();
    ["cmdline", "environ"].iter().any(|file| {
        let text = std::fs::read(format!("/proc/{id}/{file}")).unwrap_or_default();
        text.windows(home.len()).any(|part| part == home)
    })
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

/// Every living process below `root`, from `/proc`.
fn descendants(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for id in processes() {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        // The second field is the program's name in brackets and may itself hold spaces and brackets.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(id) = found.get(next) {
        found.extend(children.remove(id).unwrap_or_default());
        next += 1;
    }
    found.split_off(1)
}

/// The ids of all processes that live at this moment.
pub fn processes() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("/proc should be readable");
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}
