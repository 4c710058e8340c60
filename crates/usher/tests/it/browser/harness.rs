//! The browser harness does what it promises.

use crate::support::browser::{Browser, Scheme, Screen, names, processes};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PAGE: &str = "<!doctype html><meta charset=utf-8><meta name=viewport content='width=device-width'>\
    <title>The foyer</title><style>body{background:rgb(250,250,250)}\
    @media (prefers-color-scheme:dark){body{background:rgb(10,10,10)}}</style><h1>Welcome</h1>";

/// Serves one page at every path until the test ends; returns its address.
async fn foyer() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    address
}

async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = [0; 4096];
    if stream.read(&mut request).await? == 0 {
        return Ok(());
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\ncontent-length:";
    stream.write_all(format!("{head} {}\r\n\r\n{PAGE}", PAGE.len()).as_bytes()).await
}

/// Width and height from the header of a PNG (PNG specification, 11.2.2).
fn png_size(path: &Path) -> (u32, u32) {
    let png = std::fs::read(path).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

fn processes_of(profile: &Path) -> usize {
    processes().into_iter().filter(|&id| names(id, profile)).count()
}

#[tokio::test]
async fn a_page_is_seen_in_the_size_of_each_screen() {
    let browser = Browser::open().await;
    browser.page.goto(&foyer().await).await.unwrap();
    assert_eq!(browser.page.title().await.unwrap(), "The foyer");

    let folder = tempfile::tempdir().unwrap();
    for screen in [Screen::Phone, Screen::Desktop, Screen::Tv] {
        browser.screen(screen).await;
        let picture = folder.path().join("foyer.png");
        browser.screenshot(&picture).await;
        assert_eq!(png_size(&picture), screen.size(), "{screen:?}");
    }
}

#[tokio::test]
async fn the_preferred_scheme_reaches_the_page_and_the_next_one() {
    let browser = Browser::open().await;
    let address = foyer().await;
    for (scheme, color) in [(Scheme::Dark, "rgb(10, 10, 10)"), (Scheme::Light, "rgb(250, 250, 250)")] {
        browser.scheme(scheme).await;
        for path in ["", "again"] {
            browser.page.goto(&format!("{address}{path}")).await.unwrap();
            let script = "return getComputedStyle(document.body).backgroundColor";
            assert_eq!(browser.page.execute(script, Vec::new()).await.unwrap(), color, "{scheme:?} at /{path}");
        }
    }
}

#[tokio::test]
async fn a_dropped_browser_leaves_no_process_and_no_profile() {
    let browser = Browser::open().await;
    let profile = browser.profile().to_owned();
    assert!(processes_of(&profile) > 0);
    drop(browser);
    assert!(!profile.exists());
    assert_eq!(processes_of(&profile), 0);
}

#[tokio::test]
async fn a_missing_browser_is_a_failure_that_names_the_remedy() {
    let refusal = Browser::try_open("chromedriver-that-is-not-installed").await.err().unwrap();
    assert!(refusal.contains("run scripts/test"), "{refusal}");
}
