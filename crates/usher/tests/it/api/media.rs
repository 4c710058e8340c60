//! `/m/{token}/{path}`: what a media URL opens, what it never opens, and when it is over.

use crate::support::server::Server;
use crate::support::shelf::{Shelf, parts, thousand, url};
use http::{Method, StatusCode};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};
use usher::accounts::Buckets;

const HOUR: Duration = Duration::from_secs(3600);

/// A media URL of `k.bin` for a folder's worth of other paths: the token is bound to one path, so that a test
/// of a path needs a token that was made for it.
fn at(url: &str, path: &str) -> String {
    format!("/m/{}/{path}", parts(url).0)
}

#[tokio::test]
async fn the_file_is_sent_with_the_headers_that_keep_it_harmless() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let server = Server::start(&shelf.app).await;
    let target = url(&alice, "k.bin").await;
    let answer = server.get(&target, &[]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, thousand().as_slice()));
    for (name, value) in [
        ("content-length", "1000"),
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment; filename=\"k.bin\""),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache, no-transform"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
        ("set-cookie", ""),
        ("access-control-allow-credentials", ""),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(answer.header("etag").starts_with('"') && !answer.header("last-modified").is_empty());
    shelf.put("page.html", "<script>");
    let page = server.get(&url(&alice, "page.html").await, &[]).await;
    assert!(page.header("content-disposition").starts_with("attachment"), "a page is never shown in place");
}

#[tokio::test]
async fn ranges_are_answered_as_the_rfc_says() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let server = Server::start(&shelf.app).await;
    let target = url(&alice, "k.bin").await;
    let all = thousand();
    for (range, from, to) in [
        ("bytes=0-99", 0, 99),
        ("bytes=0-1", 0, 1),
        ("bytes=0-", 0, 999),
        ("bytes=-100", 900, 999),
        ("bytes=999-", 999, 999),
        ("bytes=0-5000", 0, 999),
        ("bytes=0-99999999999999999999", 0, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=0-9,", 0, 9),
        ("Bytes=0-9", 0, 9),
    ] {
        let answer = server.get(&target, &[&format!("Range: {range}")]).await;
        assert_eq!(answer.status, 206, "{range}");
        assert_eq!(answer.body, all[from..=to], "{range}");
        assert_eq!(answer.header("content-range"), format!("bytes {from}-{to}/1000"), "{range}");
        assert_eq!(answer.header("content-length"), (to - from + 1).to_string(), "{range}");
    }
    for range in ["bytes=1000-", "bytes=-0", "bytes=99999999999999999999-"] {
        let answer = server.get(&target, &[&format!("Range: {range}")]).await;
        assert_eq!((answer.status, answer.body.len()), (416, 0), "{range}");
        assert_eq!(answer.header("content-range"), "bytes */1000", "{range}");
    }
    for range in ["items=0-9", "bytes=500-400", "bytes=abc", "bytes=+0-9"] {
        let answer = server.get(&target, &[&format!("Range: {range}")]).await;
        assert_eq!((answer.status, answer.body.len()), (200, 1000), "{range}");
    }
    let two = server.get(&target, &["Range: bytes=0-9", "Range: bytes=20-29"]).await;
    assert_eq!(two.status, 400);
}

#[tokio::test]
async fn head_tells_of_the_whole_file_whatever_range_is_asked_for() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let server = Server::start(&shelf.app).await;
    let target = url(&alice, "k.bin").await;
    let answer = server.ask("HEAD", &target, &["Range: bytes=0-9"]).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!((answer.header("content-length"), answer.header("content-range")), ("1000", ""));
}

#[tokio::test]
async fn a_range_is_never_cut_from_another_version_of_the_file() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    std::fs::File::options().append(true).open(shelf.path("k.bin")).unwrap().set_modified(old).unwrap();
    let server = Server::start(&shelf.app).await;
    let target = url(&alice, "k.bin").await;
    let first = server.get(&target, &[]).await;
    let (etag, date) = (first.header("etag").to_owned(), first.header("last-modified").to_owned());
    for (if_range, status) in [
        (etag.as_str(), 206),
        (date.as_str(), 206),
        ("\"other\"", 200),
        (&format!("W/{etag}"), 200),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
    ] {
        let answer = server.get(&target, &["Range: bytes=0-9", &format!("If-Range: {if_range}")]).await;
        assert_eq!(answer.status, status, "{if_range}");
    }
    assert_eq!(server.get(&target, &["Range: bytes=0-9", &format!("If-None-Match: {etag}")]).await.status, 304);
    assert_eq!(server.get(&target, &["If-Match: \"other\""]).await.status, 412);
    shelf.put("k.bin", "another file altogether");
    let answer = server.get(&target, &["Range: bytes=0-9", &format!("If-Range: {etag}")]).await;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"another file altogether"[..]));
}

#[tokio::test]
async fn a_path_that_would_need_normalising_is_malformed_on_the_wire() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let server = Server::start(&shelf.app).await;
    let target = url(&alice, "k.bin").await;
    assert_eq!(server.get(&target, &[]).await.status, 200);
    for path in [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "a/../../secret.txt",
        "..%2fsecret.txt",
        ".%2e/secret.txt",
        "a/../k.bin",
        "./k.bin",
        "/k.bin",
        "a//k.bin",
        "a%2fk.bin",
        "k.bin%00",
        "%00",
        "%zz",
        "%",
        "%4",
        "k.bin/.",
        "k.bin/..",
    ] {
        let answer = server.get(&at(&target, path), &[]).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("reach"), "{path}");
    }
    assert_eq!(server.raw(format!("GET {target} x HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.status, 400);
    assert_eq!(server.raw(b"GET k.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.status, 400);
    assert_eq!(server.raw(b"GET * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.status, 400);
    assert_eq!(server.get(&format!("http://evil.example{target}"), &[]).await.status, 421);
}

#[tokio::test]
async fn what_is_not_there_for_everybody_is_not_there_for_a_good_token() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let server = Server::start(&shelf.app).await;
    // Each name is first a plain file, so that a token for it can be had; then it becomes something else.
    let names = ["out", "abs", "loop", "pipe", "gone", "folder"];
    for name in names {
        shelf.put(name, "x");
    }
    let mut targets = Vec::new();
    for name in names {
        targets.push(url(&alice, name).await);
        std::fs::remove_file(shelf.path(name)).unwrap();
    }
    symlink("../secret.txt", shelf.path("out")).unwrap();
    symlink(shelf.path("").parent().unwrap().join("secret.txt"), shelf.path("abs")).unwrap();
    symlink("loop", shelf.path("loop")).unwrap();
    mknodat(CWD, shelf.path("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    std::fs::create_dir(shelf.path("folder")).unwrap();
    for (name, target) in names.iter().zip(&targets) {
        let answer = server.get(target, &[]).await;
        assert_eq!(answer.status, 404, "{name}");
        assert_eq!(answer.body, b"There is nothing at this address.\n", "{name}");
    }
    let target = url(&alice, "k.bin").await;
    assert_eq!(server.get(&format!("{target}/"), &[]).await.status, 404, "a file is no folder");
}

#[tokio::test]
async fn odd_names_are_served_byte_for_byte_and_hidden_ones_never() {
    use std::os::unix::ffi::OsStrExt;
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let server = Server::start(&shelf.app).await;
    for name in [&b"a\\b"[..], b"k;x=1", b"what?.txt", b"\xff\xfe.bin", b"%2e%2e", b"tail ", b"k.bin."] {
        std::fs::write(shelf.path("").join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
    }
    std::fs::write(shelf.path(".env"), "secret").unwrap();
    let list = alice.get("/api/v1/buckets/films/entries").await.json();
    let mut served = 0;
    for entry in list["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] != "folder") {
        let target = entry["url"].as_str().unwrap().strip_prefix("http://localhost").unwrap();
        assert_eq!(server.get(target, &[]).await.status, 200, "{entry}");
        assert_ne!(entry["name"], ".env");
        served += 1;
    }
    assert_eq!(served, 8);
    let folder = url(&alice, "k.bin").await;
    assert_eq!(server.get(&at(&folder, ".env"), &[]).await.status, 403, "the token is for another path");
}

#[tokio::test]
async fn a_tampered_token_opens_nothing_and_every_refusal_looks_the_same() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = url(&alice, "k.bin").await;
    let (token, path) = parts(&target);
    let someone = shelf.app.anonymous();
    let mut bodies = BTreeSet::new();
    for at in 0..token.len() {
        let mut other = token.to_owned().into_bytes();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let other = String::from_utf8(other).unwrap();
        let answer = someone.get(&format!("/m/{other}/{path}")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "character {at}");
        assert_eq!(answer.header("usher-reason"), "", "nothing is said of grants before the token is proven");
        bodies.insert(answer.body);
    }
    for path in ["a/k.bin", "ab/k.bin", "k.bin2", "K.BIN", "none", ""] {
        let answer = someone.get(&format!("/m/{token}/{path}")).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path:?}");
        bodies.insert(answer.body);
    }
    assert_eq!(bodies.len(), 1);
    for other in [&token[..75], &format!("{token}A"), &format!("{token}="), &token.replace('A', "!"), "x"] {
        if other != token {
            let answer = someone.get(&format!("/m/{other}/{path}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{other}");
        }
    }
    let padded = someone.get(&format!("/m/{token}/%6B.bin")).await;
    assert_eq!(padded.status, StatusCode::OK, "another spelling of the same bytes is the same path");
}

#[tokio::test]
async fn a_token_for_one_folder_opens_no_sibling_of_a_like_name() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = url(&alice, "a/k.bin").await;
    assert_eq!(alice.get(&target).await.status, StatusCode::OK);
    for path in ["ab/k.bin", "a/k.bin/x", "k.bin", "a"] {
        assert_eq!(alice.get(&at(&target, path)).await.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_copied_url_is_dead_before_the_logout_is_answered() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let (_, bob) = shelf.viewer("bob").await;
    let server = Server::start(&shelf.app).await;
    let (hers, his) = (url(&alice, "k.bin").await, url(&bob, "k.bin").await);
    assert_eq!(server.get(&hers, &[]).await.status, 200);
    assert_eq!(alice.form("/logout", &[]).await.status, StatusCode::OK);
    let answer = server.raw(&crate::support::server::request("GET", &hers, &["Range: bytes=5-9"], false)).await;
    assert_eq!((answer.status, answer.header("usher-reason")), (403, "revoked"));
    assert_eq!(answer.header("connection"), "close", "a player that hammers has to knock again");
    assert_eq!(server.get(&his, &[]).await.status, 200, "nobody else's");
}

#[tokio::test]
async fn a_bucket_taken_away_is_closed_to_urls_made_before() {
    let shelf = Shelf::new().await;
    let (id, alice) = shelf.viewer("alice").await;
    let target = url(&alice, "k.bin").await;
    assert_eq!(alice.get(&target).await.status, StatusCode::OK);
    for left in [Buckets::None, Buckets::from_names(["music"])] {
        shelf.give(id, left).await;
        let answer = alice.get(&target).await;
        assert_eq!((answer.status, answer.header("usher-reason")), (StatusCode::FORBIDDEN, ""));
    }
    shelf.give(id, Buckets::Every).await;
    assert_eq!(alice.get(&target).await.status, StatusCode::OK, "rights are today's");
}

#[tokio::test]
async fn a_url_past_its_end_is_gone_and_one_in_use_is_not() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let (idle, used) = (url(&alice, "k.bin").await, url(&alice, "a/k.bin").await);
    shelf.app.advance(HOUR * 4 - Duration::from_secs(60));
    assert_eq!(alice.get(&used).await.status, StatusCode::OK);
    shelf.app.advance(Duration::from_secs(61));
    let answer = alice.get(&idle).await;
    assert_eq!(answer.status, StatusCode::GONE);
    assert_eq!(answer.header("connection"), "close");
    // Seeked now and then: the lease carries it on, until it rests.
    for _ in 0..6 {
        assert_eq!(alice.get(&used).await.status, StatusCode::OK);
        shelf.app.advance(Duration::from_secs(14 * 60));
    }
    shelf.app.advance(Duration::from_secs(2 * 60));
    assert_eq!(alice.get(&used).await.status, StatusCode::GONE);
    assert_eq!(alice.get(&url(&alice, "k.bin").await).await.status, StatusCode::OK, "a fresh one is to be had");
}

#[tokio::test]
async fn a_leased_url_ends_with_its_session_all_the_same() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let used = url(&alice, "k.bin").await;
    shelf.app.advance(HOUR * 4 - Duration::from_secs(60));
    assert_eq!(alice.get(&used).await.status, StatusCode::OK);
    shelf.app.advance(Duration::from_secs(120));
    assert_eq!(alice.get(&used).await.status, StatusCode::OK);
    alice.form("/logout", &[]).await;
    assert_eq!(shelf.app.anonymous().get(&used).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn film_and_music_get_the_longest_life() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("film.webm", "x");
    let target = url(&alice, "film.webm").await;
    shelf.app.advance(HOUR * 23);
    assert_eq!(alice.get(&target).await.status, StatusCode::OK);
    shelf.app.advance(HOUR);
    assert_eq!(alice.get(&target).await.status, StatusCode::GONE);
}

#[tokio::test]
async fn a_dead_url_that_is_hammered_is_told_to_wait() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = url(&alice, "k.bin").await;
    alice.form("/logout", &[]).await;
    let someone = shelf.app.anonymous();
    let mut statuses = Vec::new();
    for _ in 0..30 {
        statuses.push(someone.get(&target).await.status);
    }
    assert_eq!(statuses[0], StatusCode::FORBIDDEN);
    assert_eq!(statuses[29], StatusCode::TOO_MANY_REQUESTS);
    let answer = someone.get(&target).await;
    assert_eq!((answer.header("retry-after"), answer.header("usher-reason")), ("1", ""));
    shelf.app.advance(Duration::from_secs(1));
    assert_eq!(someone.get(&target).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn files_are_only_read_and_any_page_may_read_them() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = url(&alice, "k.bin").await;
    let someone = shelf.app.anonymous();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let answer = someone.json(method.clone(), &target, json!({})).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    }
    let request = someone.request(Method::OPTIONS, &target).header("access-control-request-method", "GET");
    let answer = someone.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-headers"), "Range, If-Range");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn a_download_is_asked_for_in_the_query_and_nothing_else_is() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("a \u{20ac}.txt", "x");
    let target = url(&alice, "a \u{20ac}.txt").await;
    let shown = alice.get(&target).await;
    assert!(shown.header("content-disposition").starts_with("inline"), "{}", shown.header("content-disposition"));
    let saved = alice.get(&format!("{target}?dl=1")).await;
    assert_eq!(saved.status, StatusCode::OK);
    assert_eq!(
        saved.header("content-disposition"),
        "attachment; filename=\"a _.txt\"; filename*=UTF-8''a%20%E2%82%AC.txt"
    );
    let token = parts(&target).0;
    let elsewhere = alice.get(&format!("/m/{}/k.bin?token={token}", "A".repeat(76))).await;
    assert_eq!(elsewhere.status, StatusCode::FORBIDDEN, "no credential from a query");
}

#[tokio::test]
async fn a_target_of_more_than_eight_kibibytes_is_too_long() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = url(&alice, "k.bin").await;
    let long = |length: usize| format!("{target}?{}", "x".repeat(length - target.len() - 1));
    assert_eq!(alice.get(&long(8192)).await.status, StatusCode::OK);
    assert_eq!(alice.get(&long(8193)).await.status, StatusCode::URI_TOO_LONG);
    let deep = at(&target, &vec!["a"; 100].join("/"));
    assert_eq!(alice.get(&deep).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_url_of_a_personal_token_dies_with_the_token() {
    use usher::id::PersonalTokenId;
    use usher::tokens::personal;
    let shelf = Shelf::new().await;
    let (id, _) = shelf.viewer("alice").await;
    let (token, text) = crate::support::shelf::personal_token(&shelf.app, id).await;
    let script = shelf.app.anonymous().bearing(&text);
    let target = url(&script, "k.bin").await;
    assert_eq!(shelf.app.anonymous().get(&target).await.status, StatusCode::OK);
    let cx = shelf.app.cx();
    let (now, token): (_, PersonalTokenId) = (cx.now, token);
    assert!(cx.write("test.revoke", async move |tx| personal::revoke(tx, id, token, now).await).await.unwrap());
    let answer = shelf.app.anonymous().get(&target).await;
    assert_eq!((answer.status, answer.header("usher-reason")), (StatusCode::FORBIDDEN, "revoked"));
}

#[tokio::test]
async fn every_method_and_range_meets_the_same_refusals() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let (_, bob) = shelf.viewer("bob").await;
    let server = Server::start(&shelf.app).await;
    let (good, dead) = (url(&alice, "k.bin").await, url(&bob, "k.bin").await);
    assert_eq!(bob.form("/logout", &[]).await.status, StatusCode::OK);
    let (token, path) = parts(&good);
    let forged = format!("/m/{}{}/{path}", &token[..70], if token.ends_with('A') { "BBBBBB" } else { "AAAAAA" });
    let elsewhere = format!("/m/{token}/a/k.bin");
    for lines in [&[][..], &["Range: bytes=0-9"], &["Range: bytes=2000-"], &["If-None-Match: *"], &["If-Match: \"x\""]]
    {
        for method in ["GET", "HEAD"] {
            for (what, target, status) in [
                ("forged", forged.as_str(), 403),
                ("elsewhere", elsewhere.as_str(), 403),
                ("ended", dead.as_str(), 403),
                ("malformed", &format!("/m/{token}/../k.bin"), 400),
            ] {
                let answer = server.ask(method, target, lines).await;
                assert_eq!(answer.status, status, "{method} {what} {lines:?}");
                assert_eq!(
                    (answer.header("etag"), answer.header("content-range")),
                    ("", ""),
                    "{method} {what} {lines:?}"
                );
                shelf.app.advance(Duration::from_secs(5));
            }
        }
    }
    assert_eq!(server.ask("HEAD", &good, &["Range: bytes=0-9"]).await.status, 200);
}
