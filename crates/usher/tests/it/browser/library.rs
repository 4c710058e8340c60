//! The library in a real browser: find a song, play it, seek in it, and be shown out of it.

use super::person::{look, until, value};
use crate::support::app::PASSWORD;
use crate::support::browser::{Browser, Scheme, Screen};
use crate::support::server::Server;
use crate::support::shelf::Shelf;
use fantoccini::Locator;
use std::time::Duration;
use usher::accounts::{Buckets, Role};

/// A quiet tone of so many seconds: 8 bits, 8 kHz, one channel (RIFF WAVE, PCM).
fn song(seconds: u32) -> Vec<u8> {
    let samples = 8000 * seconds;
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + samples).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(b"\x01\0\x08\0data");
    wav.extend(samples.to_le_bytes());
    wav.extend((0..samples).map(|n| if n / 20 % 2 == 0 { 126 } else { 130 }));
    wav
}

/// A picture of one color: 64 by 64 points (BMP).
fn picture() -> Vec<u8> {
    let mut bmp = b"BM".to_vec();
    bmp.extend((54 + 64 * 64 * 3_u32).to_le_bytes());
    bmp.extend([0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 64, 0, 0, 0, 64, 0, 0, 0, 1, 0, 24, 0]);
    bmp.extend([0; 24]);
    bmp.extend([90, 60, 160].repeat(64 * 64));
    bmp
}

async fn follow(browser: &Browser, text: &str) {
    browser.page.find(Locator::LinkText(text)).await.unwrap().click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_song_is_found_played_and_sought_in_until_its_listener_logs_out() {
    let shelf = Shelf::new().await;
    shelf.put("Concerts/1 Overture.wav", song(120));
    shelf.put("Concerts/2 Finale.wav", song(120));
    shelf.put("Poster.bmp", picture());
    shelf.put("Notes.txt", "Doors open at seven.\nThe gallery is closed.\n");
    shelf.app.account_with("alice", Role::User, Buckets::from_names(["films"]), PASSWORD).await;
    let server = Server::start(&shelf.app).await;
    let origin = format!("http://localhost:{}", server.addr.port());
    let browser = Browser::open().await;
    browser.page.goto(&format!("{origin}/library")).await.unwrap();
    for (field, text) in [("username", "alice"), ("password", PASSWORD)] {
        browser.page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    browser.page.find(Locator::Id("submit")).await.unwrap().click().await.unwrap();
    until(&browser, "location.pathname === '/library'").await;
    look(&browser, "library").await;

    browser.page.find(Locator::Css("#buckets a")).await.unwrap().click().await.unwrap();
    until(&browser, "document.querySelectorAll('#entries li').length === 6").await;
    look(&browser, "folder").await;
    browser.scheme(Scheme::Dark).await;
    look(&browser, "folder-dark").await;
    browser.screen(Screen::Phone).await;
    look(&browser, "folder-phone").await;
    browser.screen(Screen::Desktop).await;
    browser.scheme(Scheme::Light).await;

    browser.page.goto(&format!("{origin}/library/films/Poster.bmp")).await.unwrap();
    until(&browser, "document.querySelector('.stage img').naturalWidth === 64").await;
    look(&browser, "picture").await;
    browser.page.goto(&format!("{origin}/library/films/Notes.txt")).await.unwrap();
    until(&browser, "document.querySelector('pre').textContent.includes('Doors open')").await;
    look(&browser, "text").await;

    browser.page.goto(&format!("{origin}/library/films/Concerts/")).await.unwrap();
    browser.page.find(Locator::Css("#entries li:first-child a")).await.unwrap().click().await.unwrap();
    until(&browser, "document.getElementById('player')?.readyState >= 1").await;
    value(&browser, "(player.muted = true, player.play(), true)").await;
    until(&browser, "player.currentTime > 0.2 && !player.paused").await;
    value(&browser, "(player.currentTime = 90, true)").await;
    until(&browser, "player.currentTime > 90.2 && !player.seeking").await;
    look(&browser, "player").await;
    let copied = value(&browser, "document.getElementById('media-url').value").await;
    let target = copied.as_str().unwrap().strip_prefix(origin.as_str()).unwrap().to_owned();
    assert_eq!(server.get(&target, &["Range: bytes=0-1"]).await.status, 206);
    follow(&browser, "Concerts").await;
    until(&browser, "document.querySelectorAll('#entries li').length === 2").await;

    browser.page.find(Locator::Id("log-out")).await.unwrap().click().await.unwrap();
    until(&browser, "location.pathname === '/logout'").await;
    assert_eq!(server.get(&target, &["Range: bytes=0-1"]).await.status, 403, "the copied URL is dead");
    browser.page.goto(&format!("{origin}/library/films/Concerts/")).await.unwrap();
    until(&browser, "location.pathname === '/login'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_player_whose_url_has_ended_gets_a_fresh_one_and_goes_on() {
    let shelf = Shelf::new().await;
    // Too long to be held as a whole, so that seeking asks the server.
    shelf.put("song.wav", song(4 * 3600));
    shelf.app.account_with("alice", Role::User, Buckets::from_names(["films"]), PASSWORD).await;
    let server = Server::start(&shelf.app).await;
    let origin = format!("http://localhost:{}", server.addr.port());
    let browser = Browser::open().await;
    browser.page.goto(&format!("{origin}/login?return_to=/library/films/song.wav")).await.unwrap();
    for (field, text) in [("username", "alice"), ("password", PASSWORD)] {
        browser.page.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }
    browser.page.find(Locator::Id("submit")).await.unwrap().click().await.unwrap();
    until(&browser, "document.getElementById('player')?.readyState >= 1").await;
    let first = value(&browser, "player.currentSrc").await;
    value(&browser, "(player.muted = true, player.play(), true)").await;
    until(&browser, "player.currentTime > 0.2").await;
    // Two days later, in the same tab.
    shelf.app.advance(Duration::from_secs(2 * 24 * 3600));
    value(&browser, "(player.currentTime = 3 * 3600, true)").await;
    until(&browser, "player.currentTime > 3 * 3600 && !player.seeking && !player.paused").await;
    assert_ne!(value(&browser, "player.currentSrc").await, first);
}
