//! `GET /api/v1/buckets`, `GET /api/v1/buckets/{bucket}/entries`.

use crate::support::shelf::{Shelf, personal_token};
use http::StatusCode;
use serde_json::{Value, json};
use usher::accounts::{Buckets, Role};

fn names(list: &Value) -> Vec<&str> {
    list["entries"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn one_sees_the_buckets_one_was_given() {
    let shelf = Shelf::new().await;
    let (id, alice) = shelf.viewer("alice").await;
    let nobody = shelf.app.member("nobody").await;
    let admin = shelf.app.admin("root").await;
    assert_eq!(
        alice.get("/api/v1/buckets").await.json(),
        json!({"buckets": [{"name": "films", "entries": "/api/v1/buckets/films/entries?path="}]})
    );
    assert_eq!(nobody.get("/api/v1/buckets").await.json(), json!({"buckets": []}));
    assert_eq!(admin.get("/api/v1/buckets").await.json()["buckets"].as_array().unwrap().len(), 2);
    shelf.give(id, Buckets::from_names(["music"])).await;
    assert_eq!(alice.get("/api/v1/buckets").await.json()["buckets"][0]["name"], "music");
    assert_eq!(shelf.app.anonymous().get("/api/v1/buckets").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_bucket_that_is_not_given_looks_like_one_that_is_not() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let (closed, missing) =
        (alice.get("/api/v1/buckets/music/entries").await, alice.get("/api/v1/buckets/attic/entries").await);
    assert_eq!((closed.status, missing.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(closed.body, missing.body);
    assert_eq!(alice.get("/api/v1/buckets/%ff/entries").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_folder_is_listed_with_folders_first_and_links_that_work() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("Season 1/e10.webm", "x");
    shelf.put("Season 1/e2.webm", "xy");
    shelf.put(".hidden/x", "x");
    let list = alice.get("/api/v1/buckets/films/entries").await.json();
    assert_eq!(names(&list), ["a", "ab", "Season 1", "k.bin"]);
    let season = &list["entries"][2];
    assert_eq!((&season["kind"], &season["path"]), (&json!("folder"), &json!("Season 1")));
    assert_eq!(season["entries"], "/api/v1/buckets/films/entries?path=Season%201/");
    assert!(season.get("url").is_none() && season.get("size").is_none());
    let inside = alice.get(season["entries"].as_str().unwrap()).await.json();
    assert_eq!(names(&inside), ["e2.webm", "e10.webm"]);
    let film = &inside["entries"][0];
    assert_eq!((&film["kind"], &film["size"], &film["path"]), (&json!("video"), &json!(2), &json!("Season 1/e2.webm")));
    let url = film["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    assert_eq!(shelf.app.anonymous().get(url).await.text(), "xy", "a media URL needs no cookie");
    let form = alice.get("/api/v1/buckets/films/entries?path=Season+1").await.json();
    assert_eq!(names(&form), ["e2.webm", "e10.webm"]);
}

#[tokio::test]
async fn long_folders_come_in_pages_that_join_without_gap_or_overlap() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    for n in 0..25 {
        shelf.put(&format!("many/{n}.mp3"), "x");
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let list = alice.get(&format!("/api/v1/buckets/films/entries?path=many&limit=10&after={after}")).await.json();
        seen.extend(names(&list).into_iter().map(str::to_owned));
        pages += 1;
        match list["next"].as_str() {
            Some(next) => after = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, (0..25).map(|n| format!("{n}.mp3")).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_search_finds_names_beneath_the_folder() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("deep/er/Night Train.webm", "x");
    shelf.put("deep/night.txt", "x");
    let found = alice.get("/api/v1/buckets/films/entries?q=train+NIGHT").await.json();
    assert_eq!(names(&found), ["Night Train.webm"]);
    assert_eq!(found["entries"][0]["path"], "deep/er/Night Train.webm");
    let below = alice.get("/api/v1/buckets/films/entries?q=night&path=deep/er").await.json();
    assert_eq!(names(&below), ["Night Train.webm"]);
    assert_eq!(below["entries"][0]["path"], "deep/er/Night Train.webm");
    assert_eq!(alice.get("/api/v1/buckets/films/entries?q=nothing-like-it").await.json()["entries"], json!([]));
    let long = "x".repeat(201);
    let answer = alice.get(&format!("/api/v1/buckets/films/entries?q={long}")).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn parameters_that_are_none_are_refused_by_name() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    for (query, status) in [
        ("limit=0", 422),
        ("limit=1001", 422),
        ("limit=x", 422),
        ("after=%21", 422),
        ("path=../secret.txt", 422),
        ("path=%2e%2e", 422),
        ("path=a//b", 422),
        ("path=/etc", 422),
        ("path=a%00", 422),
        ("path=none", 404),
        ("path=k.bin", 404),
        ("path=.hidden", 404),
    ] {
        let answer = alice.get(&format!("/api/v1/buckets/films/entries?{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}: {}", answer.text());
        assert_eq!(answer.header("content-type"), "application/problem+json", "{query}");
    }
}

#[tokio::test]
async fn a_name_that_is_no_text_is_shown_as_well_as_can_be_and_its_link_is_exact() {
    use std::os::unix::ffi::OsStrExt;
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let folder = shelf.path("").join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("x.txt"), "found").unwrap();
    let list = alice.get("/api/v1/buckets/films/entries").await.json();
    let entry = list["entries"].as_array().unwrap().iter().find(|entry| entry["name"] == "\u{fffd}").unwrap();
    let inside = alice.get(entry["entries"].as_str().unwrap()).await.json();
    let url = inside["entries"][0]["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
    assert_eq!(alice.get(url).await.text(), "found");
}

#[tokio::test]
async fn programs_and_scripts_come_in_with_their_tokens() {
    let shelf = Shelf::new().await;
    let (id, _) = shelf.viewer("alice").await;
    let program = shelf.app.program("alice").await;
    assert_eq!(names(&program.get("/api/v1/buckets/films/entries").await.json()), ["a", "ab", "k.bin"]);
    let (_, text) = personal_token(&shelf.app, id).await;
    let script = shelf.app.anonymous().bearing(&text);
    assert_eq!(names(&script.get("/api/v1/buckets/films/entries").await.json()), ["a", "ab", "k.bin"]);
    let wrong = shelf.app.anonymous().bearing("usp_nonsense").get("/api/v1/buckets").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let media = shelf.app.tokens("alice").await["media_token"].as_str().unwrap().to_owned();
    let answer = shelf.app.anonymous().bearing(&media).get("/api/v1/buckets").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "a media token opens locations only");
}

#[tokio::test]
async fn urls_name_the_public_address_where_there_is_one() {
    let shelf = Shelf::with(|config| config.server.public_url = "https://media.example".parse().ok()).await;
    shelf.app.account_with("alice", Role::User, Buckets::Every, crate::support::app::PASSWORD).await;
    let program = shelf.app.program("alice").await;
    let list = program.get("/api/v1/buckets/films/entries?path=a").await.json();
    assert!(list["entries"][0]["url"].as_str().unwrap().starts_with("https://media.example/m/"), "{list}");
}
