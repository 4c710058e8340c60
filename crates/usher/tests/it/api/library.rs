//! `/library` and beneath: pages for people.

use crate::support::app::Answer;
use crate::support::shelf::{Shelf, url};
use http::StatusCode;
use serde_json::Value;
use usher::accounts::Buckets;

fn attribute(answer: &Answer, name: &str) -> String {
    let text = answer.text();
    let mark = format!("{name}=\"");
    let from = text.find(&mark).unwrap_or_else(|| panic!("no {name} in {text}")) + mark.len();
    text[from..].split('"').next().unwrap().replace("&#38;", "&")
}

#[tokio::test]
async fn whoever_is_not_logged_in_is_led_to_the_login_and_back() {
    let shelf = Shelf::new().await;
    let someone = shelf.app.browser();
    for path in ["/library", "/library/films/", "/library/films/a/k.bin"] {
        let answer = someone.get(path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
        assert!(answer.header("location").starts_with("/login?return_to=%2Flibrary"), "{path}");
    }
}

#[tokio::test]
async fn the_library_shows_one_s_own_buckets_and_says_what_to_do_without_any() {
    let shelf = Shelf::new().await;
    let (id, alice) = shelf.viewer("alice").await;
    let page = alice.get("/library").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("href=\"/library/films/\"") && !page.text().contains("music"));
    shelf.give(id, Buckets::None).await;
    assert!(alice.get("/library").await.text().contains("Ask an administrator"));
    let admin = shelf.app.admin("root").await;
    assert!(admin.get("/library").await.text().contains("href=\"/library/music/\""));
    let bare = crate::support::app::TestApp::new().await;
    let admin = bare.admin("root").await;
    assert!(admin.get("/library").await.text().contains("usher serve films="));
}

#[tokio::test]
async fn a_bucket_that_is_not_given_looks_like_one_that_is_not() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    for path in ["/library/music/", "/library/attic/", "/library/music/x.mp3", "/renew/music/x.mp3"] {
        assert_eq!(alice.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_folder_has_one_address_which_ends_in_a_slash() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    for (path, to) in [
        ("/library/films", "/library/films/"),
        ("/library/films/a", "/library/films/a/"),
        ("/library/films/a?q=x", "/library/films/a/?q=x"),
        ("/library/films/%61", "/library/films/a/"),
    ] {
        let answer = alice.get(path).await;
        assert_eq!((answer.status, answer.header("location")), (StatusCode::MOVED_PERMANENTLY, to), "{path}");
    }
    assert_eq!(alice.get("/library/films/k.bin/").await.status, StatusCode::NOT_FOUND);
    for bad in ["/library/films/../x", "/library/films/a//k.bin", "/library/films/%2e%2e/", "/library/films/%00"] {
        assert_eq!(alice.get(bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

#[tokio::test]
async fn a_folder_is_shown_with_the_way_up_and_without_what_is_hidden() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("Shows/Season 1/<b>one & two.webm", "x");
    shelf.put("Shows/Season 1/.secret", "x");
    let page = alice.get("/library/films/Shows/Season%201/").await;
    let text = page.text();
    assert_eq!(page.status, StatusCode::OK);
    for part in ["href=\"/library\"", "href=\"/library/films/\"", "href=\"/library/films/Shows/\"", "<h1>Season 1</h1>"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(text.contains("href=\"/library/films/Shows/Season%201/%3Cb%3Eone%20%26%20two.webm\""), "{text}");
    assert!(!text.contains("<b>one") && !text.contains(".secret"));
}

#[tokio::test]
async fn a_long_folder_has_a_next_page_and_a_search_tells_the_place() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    for n in 0..201 {
        shelf.put(&format!("many/{n}.mp3"), "x");
    }
    let first = alice.get("/library/films/many/").await;
    assert!(first.text().contains("199.mp3") && !first.text().contains("200.mp3"));
    let text = first.text();
    let link = text.split("id=\"next-page\"").nth(1).unwrap().split("href=\"").nth(1).unwrap();
    let second = alice.get(link.split('"').next().unwrap()).await;
    assert!(second.text().contains("200.mp3") && !second.text().contains("199.mp3"));
    assert!(second.text().contains("id=\"first-page\""));
    let found = alice.get("/library/films/?q=200").await.text();
    assert!(found.contains("href=\"/library/films/many/200.mp3\"") && found.contains("films / many"), "{found}");
}

#[tokio::test]
async fn a_song_s_page_holds_a_player_whose_addresses_work() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    for name in ["1.mp3", "2.mp3", "10.mp3"] {
        shelf.put(&format!("album/{name}"), b"ID3\x04\0\0\0\0\0\0song");
    }
    let page = alice.get("/library/films/album/2.mp3").await;
    let text = page.text();
    assert!(text.contains("<audio id=\"player\""), "{text}");
    assert!(text.contains("rel=\"prev\" href=\"/library/films/album/1.mp3\""), "{text}");
    assert!(text.contains("rel=\"next\" href=\"/library/films/album/10.mp3\""), "{text}");
    assert!(text.contains(" src=\"/m/"), "{text}");
    let renewed: Value = alice.get(&attribute(&page, "data-renew")).await.json();
    let fresh = renewed["url"].as_str().unwrap();
    assert!(fresh.starts_with("/m/") && fresh.ends_with("/album/2.mp3"), "{fresh}");
    assert_eq!(shelf.app.anonymous().get(fresh).await.status, StatusCode::OK);
    let start = text.find("href=\"/m/").unwrap() + 6;
    let saved = alice.get(text[start..].split('"').next().unwrap()).await;
    assert!(saved.header("content-disposition").starts_with("attachment"));
    let start = text.find("href=\"/playlist/").unwrap() + 6;
    let list = alice.get(text[start..].split('"').next().unwrap()).await;
    assert_eq!(list.header("content-type"), "audio/x-mpegurl; charset=utf-8");
    let entry = list.text().lines().last().unwrap().strip_prefix("http://localhost").unwrap().to_owned();
    assert_eq!(shelf.app.anonymous().get(&entry).await.status, StatusCode::OK, "another player needs no cookie");
    assert_eq!(shelf.app.browser().get("/playlist/music/album/2.mp3").await.status, StatusCode::SEE_OTHER);
    assert!(page.header("content-security-policy").contains("media-src 'self'"));
}

#[tokio::test]
async fn renewing_without_a_session_is_said_in_a_form_the_player_reads() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let answer = shelf.app.browser().get("/renew/films/k.bin").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
    alice.form("/logout", &[]).await;
    assert_eq!(alice.get("/renew/films/k.bin").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn the_remembered_position_s_name_is_one_s_own_and_says_nothing() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let (_, bob) = shelf.viewer("bob").await;
    shelf.put("one.mp3", "ID3");
    shelf.put("two.mp3", "ID3");
    let key = async |actor: &crate::support::app::Actor, name: &str| {
        attribute(&actor.get(&format!("/library/films/{name}")).await, "data-key")
    };
    let hers = key(&alice, "one.mp3").await;
    assert_eq!(hers, key(&alice, "one.mp3").await, "the same at each visit");
    assert_ne!(hers, key(&alice, "two.mp3").await);
    assert_ne!(hers, key(&bob, "one.mp3").await);
    assert!(hers.len() == 22 && !hers.contains("one"));
}

#[tokio::test]
async fn what_no_browser_plays_is_named_and_offered_to_another_player() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let mut avi = b"RIFF\0\0\0\0AVI LIST".to_vec();
    avi.resize(4096, 0);
    shelf.put("old.avi", avi);
    let text = alice.get("/library/films/old.avi").await.text();
    assert!(text.contains("an AVI file") && text.contains("open-in-vlc") && !text.contains("id=\"player\""), "{text}");
}

#[tokio::test]
async fn a_text_is_shown_as_text_and_only_its_beginning_when_it_is_long() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("notes.txt", b"\xef\xbb\xbf<script>alert(1)</script> caf\xe9");
    let text = alice.get("/library/films/notes.txt").await.text();
    assert!(text.contains("alert(1)") && !text.contains("<script>alert"), "{text}");
    assert!(text.contains("caf\u{fffd}") && !text.contains("Only the beginning"));
    shelf.put("long.txt", "\u{20ac}".repeat(200_000));
    let page = alice.get("/library/films/long.txt").await;
    assert!(page.text().contains("Only the beginning") && page.body.len() < 400 * 1024, "{}", page.body.len());
    assert!(!page.text().contains('\u{fffd}'));
}

#[tokio::test]
async fn pictures_are_shown_and_other_files_are_offered_for_download() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("p.png", b"\x89PNG\r\n\x1a\n");
    let page = alice.get("/library/films/p.png").await.text();
    assert!(page.contains("<img src=\"/m/"), "{page}");
    let other = alice.get("/library/films/k.bin").await.text();
    assert!(other.contains("There is no preview") && other.contains("?dl=1"), "{other}");
    assert_eq!(alice.get("/library/films/none.png").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_link_out_of_the_bucket_is_neither_listed_nor_opened() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    std::os::unix::fs::symlink("../secret.txt", shelf.path("out.txt")).unwrap();
    std::os::unix::fs::symlink("k.bin", shelf.path("in.bin")).unwrap();
    let text = alice.get("/library/films/").await.text();
    assert!(text.contains("in.bin") && !text.contains("out.txt"), "{text}");
    assert_eq!(alice.get("/library/films/out.txt").await.status, StatusCode::NOT_FOUND);
    assert_eq!(alice.get(&url(&alice, "in.bin").await).await.status, StatusCode::OK);
}
