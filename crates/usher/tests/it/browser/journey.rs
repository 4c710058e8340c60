//! The front door from end to end, with the built program and a real browser: from the setup link to the dead copy
//! of a media URL.

use super::person::{arrive, fill, key, look_everywhere, paste, press, tab_to, text, typed, until, value};
use crate::support::browser::Browser;
use crate::support::program::{Home, PASSWORD, Server};
use fantoccini::key::Key;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const FIRST_PASSWORD: &str = "velvet-otter-ladder-82";
const OWN_PASSWORD: &str = "marble-kettle-quiver-19";

/// Makes a file of `seconds` of test picture and tone, or of one of them, as the arguments say.
fn film(to: &Path, seconds: u32, args: &[&str]) {
    let (picture, tone) = (format!("testsrc2=size=320x180:rate=8:duration={seconds}"), format!("sine=d={seconds}"));
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone])
        .args(args)
        .arg(to)
        .output()
        .expect("ffmpeg is missing; run scripts/test, which installs it");
    assert!(made.status.success() && made.stderr.is_empty(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// One of everything, in the order in which the library shows it.
const FILES: [&str; 6] = ["1 Opening.webm", "2 Song.mp3", "3 Tune.ogg", "10 Film.mkv", "11 Poster.png", "12 Notes.txt"];

fn stock(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let to = |name: &str| folder.join(name);
    let webm = ["-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "16", "-c:a", "libvorbis"];
    film(&to(FILES[0]), 70, &webm);
    film(&to(FILES[1]), 40, &["-map", "1", "-c:a", "libmp3lame"]);
    film(&to(FILES[2]), 40, &["-map", "1", "-c:a", "libvorbis"]);
    let mkv = ["-c:v", "libx265", "-x265-params", "log-level=none", "-preset", "ultrafast", "-c:a", "ac3"];
    film(&to(FILES[3]), 3, &mkv);
    film(&to(FILES[4]), 1, &["-map", "0", "-frames:v", "1"]);
    std::fs::write(to(FILES[5]), "Doors open at seven.\nThe gallery is closed.\n").unwrap();
}

/// Where the printed setup link leads, and the origin before it.
fn printed(server: &Server) -> (String, String) {
    let link = server.said.lines().find_map(|line| line.strip_prefix("setup")).unwrap().trim();
    (link.to_owned(), link.split("/setup/").next().unwrap().to_owned())
}

/// The statuses of these addresses of the server, without any cookie.
fn statuses(server: &Server, origin: &str, urls: &[String]) -> Vec<u16> {
    urls.iter().map(|url| server.get(url.strip_prefix(origin).unwrap()).status).collect()
}

/// Plays what is on the page from its beginning, then from `second` on.
async fn plays(browser: &Browser, second: u32) {
    until(browser, "document.getElementById('player')?.readyState >= 1").await;
    value(browser, "(player.muted = true, player.play(), true)").await;
    until(browser, "player.currentTime > 0.2 && !player.paused").await;
    value(browser, &format!("(player.currentTime = {second}, true)")).await;
    until(browser, &format!("player.currentTime > {second}.2 && !player.seeking && player.readyState >= 2")).await;
    assert_eq!(value(browser, "player.error").await, Value::Null);
    assert!(value(browser, "player.webkitAudioDecodedByteCount").await.as_u64().unwrap() > 0, "there is sound");
    assert_eq!(value(browser, "document.getElementById('trouble').hidden").await, true);
}

/// Follows "next" or "previous" to the file of this name.
async fn turn(browser: &Browser, to: &str, name: &str) {
    press(browser, &format!("#{to}")).await;
    until(browser, &format!("document.querySelector('h1').textContent === '{name}'")).await;
}

async fn copied(browser: &Browser) -> String {
    text(browser, "document.getElementById('media-url').value").await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_setup_link_to_a_played_film_and_out_again() {
    let home = Home::new();
    stock(&home.path("films/Summer Fair"));
    let films = format!("films={}", home.path("films").display());
    let server = home.serve_with(&[&films]);
    let (link, origin) = printed(&server);
    let browser = Browser::open().await;

    // The first admin, who sees every bucket.
    browser.page.goto(&link).await.unwrap();
    arrive(&browser, "/setup").await;
    look_everywhere(&browser, "setup").await;
    fill(&browser, &[("username", "Maria"), ("password", PASSWORD), ("password2", PASSWORD)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, "/library").await;
    look_everywhere(&browser, "library-of-admin").await;
    assert_eq!(value(&browser, "document.querySelectorAll('#buckets a').length").await, 2);
    browser.page.goto(&link).await.unwrap();
    // It worked once: who is logged in has nothing to set up, and is sent on.
    arrive(&browser, "/admin/accounts").await;
    press(&browser, ".brand").await;
    arrive(&browser, "/library").await;

    // An account for somebody who may see one of the two.
    press(&browser, ".main-nav a[href='/admin']").await;
    arrive(&browser, "/admin/accounts").await;
    fill(&browser, &[("username", "bob"), ("password", FIRST_PASSWORD)]).await;
    press(&browser, "#new-account-form input[name=buckets][value=films]").await;
    look_everywhere(&browser, "admin-accounts").await;
    press(&browser, "#create-account").await;
    until(&browser, "location.search === '?done=created' && !!document.getElementById('account-form')").await;
    look_everywhere(&browser, "admin-account").await;
    press(&browser, ".tabs a[href='/admin/audit']").await;
    until(&browser, "document.querySelectorAll('#audit tbody tr').length >= 3").await;
    look_everywhere(&browser, "admin-audit").await;
    press(&browser, "#log-out").await;
    arrive(&browser, "/logout").await;
    look_everywhere(&browser, "logout").await;

    // Bob, who is asked for a password of his own at his first login.
    press(&browser, "#log-in").await;
    arrive(&browser, "/login").await;
    look_everywhere(&browser, "login").await;
    fill(&browser, &[("username", "bob"), ("password", FIRST_PASSWORD)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, "/password").await;
    look_everywhere(&browser, "password").await;
    fill(&browser, &[("current", FIRST_PASSWORD), ("password", OWN_PASSWORD), ("password2", OWN_PASSWORD)]).await;
    press(&browser, "#submit").await;
    arrive(&browser, "/library").await;
    look_everywhere(&browser, "library").await;
    let buckets = "[...document.querySelectorAll('#buckets .card-name')].map(name => name.textContent)";
    assert_eq!(value(&browser, buckets).await, json!(["films"]), "the other bucket is not for bob");
    press(&browser, "#buckets a").await;
    arrive(&browser, "/library/films/").await;
    press(&browser, "#entries a").await;
    arrive(&browser, "/library/films/Summer%20Fair/").await;
    look_everywhere(&browser, "folder").await;
    let names = "[...document.querySelectorAll('#entries .entry-name')].map(name => name.textContent)";
    assert_eq!(value(&browser, names).await, json!(FILES));

    // A film, and the next one, which no browser plays.
    press(&browser, "#entries a").await;
    plays(&browser, 20).await;
    assert_eq!(value(&browser, "player.videoWidth").await, 320, "there is a picture");
    look_everywhere(&browser, "player").await;
    let mut urls = vec![copied(&browser).await];
    turn(&browser, "next", FILES[3]).await;
    until(&browser, "document.getElementById('player-status').textContent.includes('cannot play this file')").await;
    look_everywhere(&browser, "cannot-play").await;
    assert_eq!(value(&browser, "document.querySelector('.stage').hidden").await, true, "no dead player is shown");
    let trouble = text(&browser, "document.getElementById('trouble').innerText").await;
    for word in ["Your browser cannot play this", "Matroska (MKV)", "HEVC", "AC-3", "no transcoding"] {
        assert!(trouble.contains(word), "{word} is not in {trouble:?}");
    }
    let url = copied(&browser).await;
    let playlist = text(&browser, "document.getElementById('open-in-vlc').getAttribute('href')").await;
    assert!(playlist.starts_with("/playlist/films/"), "{playlist}");
    press(&browser, "[data-copy=media-url]").await;
    until(&browser, "document.querySelector('[data-copied=media-url]').textContent === 'Copied.'").await;
    let download = text(&browser, "document.getElementById('download').href").await;
    let got = server.get(download.strip_prefix(&origin).unwrap());
    assert!(got.status == 200 && got.header("content-disposition").unwrap().starts_with("attachment"), "{}", got.head);
    let size = std::fs::metadata(home.path("films/Summer Fair").join(FILES[3])).unwrap().len();
    assert_eq!(got.header("content-length"), Some(size.to_string().as_str()));
    urls.extend([url.clone(), download]);
    turn(&browser, "previous", FILES[0]).await;
    until(&browser, "player.currentTime >= 20").await;
    press(&browser, ".crumbs li:nth-last-child(2) a").await;
    arrive(&browser, "/library/films/Summer%20Fair/").await;
    press(&browser, "#q").await;
    paste(&browser).await;
    assert_eq!(text(&browser, "document.getElementById('q').value").await, url, "what was copied is the link");

    // The songs, forth and back; the picture; the text.
    press(&browser, "#entries li:nth-child(2) a").await;
    plays(&browser, 20).await;
    urls.push(copied(&browser).await);
    turn(&browser, "next", FILES[2]).await;
    plays(&browser, 20).await;
    urls.push(copied(&browser).await);
    look_everywhere(&browser, "sound").await;
    turn(&browser, "previous", FILES[1]).await;
    press(&browser, ".crumbs li:nth-last-child(2) a").await;
    arrive(&browser, "/library/films/Summer%20Fair/").await;
    press(&browser, "#entries a.picture").await;
    until(&browser, "document.querySelector('.stage img')?.naturalWidth === 320").await;
    browser.page.back().await.unwrap();
    arrive(&browser, "/library/films/Summer%20Fair/").await;
    press(&browser, "#entries li:last-child a").await;
    until(&browser, "!!document.querySelector('pre')?.textContent.includes('Doors open at seven.')").await;

    press(&browser, ".main-nav a[href='/account']").await;
    arrive(&browser, "/account").await;
    look_everywhere(&browser, "account").await;
    let here = text(&browser, "document.querySelector('#sessions li.this').innerText").await;
    assert!(here.contains("Chrome") && here.contains("This one"), "{here}");

    // Out: everything that was copied dies with the session, and no page is left behind.
    assert_eq!(statuses(&server, &origin, &urls), [200; 5]);
    press(&browser, "#log-out").await;
    arrive(&browser, "/logout").await;
    assert_eq!(statuses(&server, &origin, &urls), [403; 5]);
    browser.page.back().await.unwrap();
    arrive(&browser, "/login").await;
    assert_eq!(text(&browser, "document.querySelector('h1').textContent").await, "Log in");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_leads_in_through_the_library_and_out() {
    let home = Home::new();
    home.add_user("Maria", &["--admin"]);
    home.add_user("bob", &["--buckets", "music"]);
    let server = home.serve();
    let browser = Browser::open().await;
    browser.page.goto(&format!("http://localhost:{}/library", server.address.port())).await.unwrap();
    arrive(&browser, "/login").await;

    // The first field has the focus; Tab leads to the second, and Enter sends.
    typed(&browser, "bob").await;
    key(&browser, Key::Tab).await;
    typed(&browser, "no-such-password-5").await;
    key(&browser, Key::Enter).await;
    until(&browser, "!!document.getElementById('problem')").await;
    assert_eq!(text(&browser, "document.activeElement.id").await, "password", "the name stands; the password is next");
    typed(&browser, PASSWORD).await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/library").await;

    // Past the header at once, and down to the file.
    key(&browser, Key::Tab).await;
    assert_eq!(text(&browser, "document.activeElement.className").await, "skip");
    key(&browser, Key::Enter).await;
    key(&browser, Key::Tab).await;
    assert_eq!(value(&browser, "document.activeElement.matches('#buckets a')").await, true);
    key(&browser, Key::Enter).await;
    arrive(&browser, "/library/music/").await;
    typed(&browser, "/note").await;
    key(&browser, Key::Enter).await;
    until(&browser, "location.search === '?q=note' && document.readyState === 'complete'").await;
    tab_to(&browser, "#entries a").await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/library/music/note.txt").await;
    assert_eq!(text(&browser, "document.querySelector('pre').textContent").await, "la\n");

    tab_to(&browser, "#log-out").await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/logout").await;
    tab_to(&browser, "#log-in").await;
    key(&browser, Key::Enter).await;
    arrive(&browser, "/login").await;
}
