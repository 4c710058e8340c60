//! What a person does at a browser: look, fill in, press, wait until the page has answered.

use crate::support::browser::{Browser, Scheme, Screen};
use crate::support::server::PATIENCE;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::Locator;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::key::Key;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Where pictures are kept, when somebody wants to look at them: set it when the tests are built.
const PICTURES: Option<&str> = option_env!("USHER_SCREENSHOTS");

/// The judge of pages: axe-core, which `scripts/test` fetches from npm.
#[expect(clippy::disallowed_methods, reason = "a tool of the tests, no setting of the program")]
fn axe() -> String {
    let file = std::env::var("USHER_TEST_AXE").expect("USHER_TEST_AXE names axe.min.js; scripts/test fetches it");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}; scripts/test fetches it"))
}

/// Lets axe judge the page: nothing serious may be found.
async fn judge(browser: &Browser, name: &str) {
    browser.page.execute(&axe(), Vec::new()).await.unwrap();
    let run = "const [done] = arguments; axe.run(document, { resultTypes: ['violations'] }).then((result) => done(
        result.violations.filter((one) => ['serious', 'critical'].includes(one.impact))
            .map((one) => one.id + ': ' + one.nodes.map((node) => node.target.join(' ')).join(', '))))";
    let found = browser.page.execute_async(run, Vec::new()).await.unwrap();
    assert_eq!(found, json!([]), "{name}");
}

/// What `script`, an expression, is on the page.
pub async fn value(browser: &Browser, script: &str) -> Value {
    browser.page.execute(&format!("return {script}"), Vec::new()).await.unwrap()
}

/// The same as text.
pub async fn text(browser: &Browser, script: &str) -> String {
    value(browser, script).await.as_str().unwrap_or_else(|| panic!("no text: {script}")).to_owned()
}

/// Waits until the page says so.
pub async fn until(browser: &Browser, script: &str) {
    let met = async {
        while value(browser, script).await != Value::Bool(true) {
            sleep(Duration::from_millis(50)).await;
        }
    };
    if timeout(PATIENCE, met).await.is_err() {
        let (at, text) = (value(browser, "location.href").await, value(browser, "document.body.innerText").await);
        panic!("never: {script}\nat {at}: {text}");
    }
}

/// Waits until the browser has arrived at `path`, and the page is complete.
pub async fn arrive(browser: &Browser, path: &str) {
    until(browser, &format!("location.pathname === '{path}' && document.readyState === 'complete'")).await;
}

/// Fills fields in, by their ids.
pub async fn fill(browser: &Browser, fields: &[(&str, &str)]) {
    for (id, text) in fields {
        browser.page.find(Locator::Id(id)).await.unwrap().send_keys(text).await.unwrap();
    }
}

/// Presses what the CSS selector finds first.
pub async fn press(browser: &Browser, selector: &str) {
    browser.page.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
}

/// Keeps what is on the screen, where somebody wants to look at it.
pub async fn look(browser: &Browser, name: &str) {
    if let Some(folder) = PICTURES {
        browser.screenshot(&Path::new(folder).join(format!("{name}.png"))).await;
    }
}

/// Looks at the page on every screen, in light and in dark: nowhere does it have to be moved sideways.
pub async fn look_everywhere(browser: &Browser, name: &str) {
    everywhere(browser, name, false).await;
}

/// The same, with a judge beside.
pub async fn judge_everywhere(browser: &Browser, name: &str) {
    everywhere(browser, name, true).await;
}

async fn everywhere(browser: &Browser, name: &str, judged: bool) {
    for screen in [Screen::Phone, Screen::Tv, Screen::Desktop] {
        browser.screen(screen).await;
        let wide = value(browser, "document.documentElement.scrollWidth").await.as_u64().unwrap();
        assert!(wide <= u64::from(screen.size().0), "{name} is {wide} points wide, wider than a {screen:?}");
        for scheme in [Scheme::Dark, Scheme::Light] {
            browser.scheme(scheme).await;
            if judged {
                judge(browser, &format!("{name}, {screen:?}, {scheme:?}")).await;
            }
            if let Some(folder) = PICTURES {
                let whole = json!({ "captureBeyondViewport": true });
                let shot = browser.devtools("Page.captureScreenshot", whole).await;
                let png = STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
                let file = format!("{name}-{screen:?}-{scheme:?}.png").to_lowercase();
                std::fs::write(Path::new(folder).join(file), png).unwrap();
            }
        }
    }
}

/// Presses a key of the keyboard, wherever the page has its focus.
pub async fn key(browser: &Browser, key: Key) {
    typed(browser, &char::from(key).to_string()).await;
}

/// Types letters on the keyboard, wherever the page has its focus.
pub async fn typed(browser: &Browser, letters: &str) {
    let mut keys = KeyActions::new("keyboard".to_owned());
    for value in letters.chars() {
        keys = keys.then(KeyAction::Down { value }).then(KeyAction::Up { value });
    }
    browser.page.perform_actions(keys).await.unwrap();
}

/// Pastes what was copied.
pub async fn paste(browser: &Browser) {
    let control = char::from(Key::Control);
    let keys = KeyActions::new("keyboard".to_owned())
        .then(KeyAction::Down { value: control })
        .then(KeyAction::Down { value: 'v' })
        .then(KeyAction::Up { value: 'v' })
        .then(KeyAction::Up { value: control });
    browser.page.perform_actions(keys).await.unwrap();
}

/// Presses Tab until the focus is on what the selector finds.
pub async fn tab_to(browser: &Browser, selector: &str) {
    for _ in 0..60 {
        if value(browser, &format!("document.activeElement.matches({})", json!(selector))).await == Value::Bool(true) {
            return;
        }
        key(browser, Key::Tab).await;
    }
    panic!("Tab never comes to {selector}");
}
