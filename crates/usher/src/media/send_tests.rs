#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]
use super::super::kind;
use super::super::path::CanonicalPath;
use super::super::root::{Root, RootOptions};
use super::super::transfers::{Cancel, Transfers};
use super::*;
use http_body_util::BodyExt;
use std::fs;
use tempfile::TempDir;

const NOW: Time = Time(2_000_000_000_000);

struct Shelf {
    dir: TempDir,
    root: Root,
}

impl Shelf {
    fn with(name: &str, content: &[u8]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(name), content).unwrap();
        let root = Root::open(dir.path(), RootOptions::default()).unwrap();
        Shelf { dir, root }
    }

    fn open(&self, name: &str) -> OpenFile {
        self.root.open_file(&CanonicalPath::from_bytes(name.as_bytes()).unwrap()).unwrap()
    }

    fn ask(&self, method: Method, name: &str, lines: &[(&str, &str)]) -> Response<FileBody> {
        self.ask_with(method, name, lines, Guard::unregistered(Cancel::new()))
    }

    fn ask_with(&self, method: Method, name: &str, lines: &[(&str, &str)], guard: Guard) -> Response<FileBody> {
        let mut request = http::Request::builder().method(method).uri("/m/x");
        for (header, value) in lines {
            request = request.header(*header, *value);
        }
        let parts = request.body(()).unwrap().into_parts().0;
        let meta = Meta { name: name.as_bytes(), content: kind::of_name(name.as_bytes()), download: false };
        answer(self.open(name), &parts, &meta, guard, NOW)
    }
}

fn thousand() -> Vec<u8> {
    (0..1000_u32).map(|n| u8::try_from(n % 251).unwrap_or(0)).collect()
}

fn header<'a>(response: &'a Response<FileBody>, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

async fn bytes(response: Response<FileBody>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_whole_file_comes_with_every_header() {
    let shelf = Shelf::with("song.mp3", &thousand());
    let response = shelf.ask(Method::GET, "song.mp3", &[("accept-encoding", "gzip")]);
    assert_eq!(response.status(), 200);
    for (name, value) in [
        ("content-type", "audio/mpeg"),
        ("content-length", "1000"),
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-cache, no-transform"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "sandbox; default-src 'none'"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
        ("access-control-expose-headers", "Content-Range, Content-Length, ETag, Accept-Ranges"),
        ("content-disposition", "inline; filename=\"song.mp3\""),
    ] {
        assert_eq!(header(&response, name), Some(value), "{name}");
    }
    assert!(header(&response, "etag").is_some_and(|etag| etag.starts_with('"') && etag.contains("-3e8-")));
    assert!(header(&response, "last-modified").is_some_and(|date| date.ends_with(" GMT")));
    for absent in ["set-cookie", "content-encoding", "access-control-allow-credentials", "content-range"] {
        assert_eq!(header(&response, absent), None, "{absent}");
    }
    assert_eq!(bytes(response).await, thousand());
}

#[tokio::test]
async fn a_range_is_exact_and_a_wrong_one_says_the_size() {
    let shelf = Shelf::with("k.bin", &thousand());
    let part = shelf.ask(Method::GET, "k.bin", &[("range", "bytes=0-1")]);
    assert_eq!(part.status(), 206);
    assert_eq!(header(&part, "content-range"), Some("bytes 0-1/1000"));
    assert_eq!(header(&part, "content-length"), Some("2"));
    assert_eq!(bytes(part).await, thousand()[..2]);
    let end = shelf.ask(Method::GET, "k.bin", &[("range", "bytes=-100")]);
    assert_eq!(header(&end, "content-range"), Some("bytes 900-999/1000"));
    assert_eq!(bytes(end).await, thousand()[900..]);
    let beyond = shelf.ask(Method::GET, "k.bin", &[("range", "bytes=1000-")]);
    assert_eq!(beyond.status(), 416);
    assert_eq!(header(&beyond, "content-range"), Some("bytes */1000"));
    assert!(bytes(beyond).await.is_empty());
    let several = shelf.ask(Method::GET, "k.bin", &[("range", "bytes=0-0,2-2")]);
    assert_eq!(several.status(), 200);
    assert_eq!(bytes(several).await.len(), 1000);
    let twice = shelf.ask(Method::GET, "k.bin", &[("range", "bytes=0-0"), ("range", "bytes=0-0")]);
    assert_eq!(twice.status(), 400);
}

#[tokio::test]
async fn head_tells_of_the_whole_file_and_sends_nothing() {
    let shelf = Shelf::with("k.bin", &thousand());
    let head = shelf.ask(Method::HEAD, "k.bin", &[("range", "bytes=0-1")]);
    assert_eq!(head.status(), 200);
    assert_eq!(header(&head, "content-length"), Some("1000"));
    assert_eq!(header(&head, "content-range"), None);
    assert!(bytes(head).await.is_empty());
}

#[tokio::test]
async fn an_empty_file_is_empty() {
    let shelf = Shelf::with("k.bin", b"");
    let whole = shelf.ask(Method::GET, "k.bin", &[]);
    assert_eq!((whole.status().as_u16(), header(&whole, "content-length")), (200, Some("0")));
    assert!(bytes(whole).await.is_empty());
    let from = shelf.ask(Method::GET, "k.bin", &[("range", "bytes=0-")]);
    assert_eq!((from.status().as_u16(), header(&from, "content-range")), (416, Some("bytes */0")));
    assert_eq!(shelf.ask(Method::GET, "k.bin", &[("range", "bytes=-5")]).status(), 200);
}

#[tokio::test]
async fn conditions_come_before_ranges() {
    let shelf = Shelf::with("k.bin", &thousand());
    let etag = header(&shelf.ask(Method::GET, "k.bin", &[]), "etag").unwrap().to_owned();
    let status = |lines: &[(&str, &str)]| shelf.ask(Method::GET, "k.bin", lines).status().as_u16();
    let range = ("range", "bytes=0-9");
    assert_eq!(status(&[("if-range", &etag), range]), 206);
    assert_eq!(status(&[("if-range", &format!("W/{etag}")), range]), 200);
    assert_eq!(
        status(&[("if-range", "\"other\""), ("range", "bytes=5000-")]),
        200,
        "of another version nothing is out of range"
    );
    assert_eq!(status(&[("if-none-match", &etag), range]), 304);
    assert_eq!(status(&[("if-none-match", "*"), range]), 304);
    assert_eq!(status(&[("if-match", "\"other\""), range]), 412);
    let unchanged = shelf.ask(Method::GET, "k.bin", &[("if-none-match", &etag)]);
    assert_eq!(header(&unchanged, "etag"), Some(etag.as_str()));
    assert_eq!(header(&unchanged, "content-type"), None);
    fs::write(shelf.dir.path().join("k.bin"), b"changed").unwrap();
    assert_eq!(status(&[("if-range", &etag), range]), 200, "another version is sent whole");
}

#[test]
fn other_methods_are_told_which_ones_there_are() {
    let shelf = Shelf::with("k.bin", b"x");
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let response = shelf.ask(method, "k.bin", &[]);
        assert_eq!(response.status(), 405);
        assert_eq!(header(&response, "allow"), Some("GET, HEAD, OPTIONS"));
    }
    let preflight = preflight();
    assert_eq!(preflight.status(), 204);
    assert_eq!(header(&preflight, "access-control-allow-headers"), Some("Range, If-Range"));
    assert_eq!(header(&preflight, "access-control-max-age"), Some("86400"));
}

#[test]
fn what_a_browser_would_run_is_saved_and_a_pdf_shown_only_as_a_page() {
    let how = |name: &str, lines: &[(&str, &str)]| {
        let shelf = Shelf::with(name, b"x");
        let response = shelf.ask(Method::GET, name, lines);
        let disposition = header(&response, "content-disposition").unwrap();
        let policy = header(&response, "content-security-policy").unwrap().to_owned();
        (disposition.split(';').next().unwrap().to_owned(), policy)
    };
    let sandbox = "sandbox; default-src 'none'".to_owned();
    for name in ["a.html", "a.svg", "a.xml", "a", "a.exe"] {
        assert_eq!(how(name, &[]), ("attachment".to_owned(), sandbox.clone()), "{name}");
    }
    assert_eq!(how("a.jpg", &[]), ("inline".to_owned(), sandbox.clone()));
    assert_eq!(how("a.pdf", &[]).0, "attachment");
    assert_eq!(how("a.pdf", &[("sec-fetch-dest", "iframe")]), ("attachment".to_owned(), sandbox));
    assert_eq!(how("a.pdf", &[("sec-fetch-dest", "document")]), ("inline".to_owned(), "default-src 'none'".to_owned()));
}

#[test]
fn names_cannot_break_out_of_their_header() {
    let rows: [(&[u8], &str); 6] = [
        (b"a.mp3", "attachment; filename=\"a.mp3\""),
        (b"a\"; x=\"b", "attachment; filename=\"a; x=b\"; filename*=UTF-8''a%22%3B%20x%3D%22b"),
        (b"a\r\nSet-Cookie: x", "attachment; filename=\"aSet-Cookie: x\""),
        (b"..\\x", "attachment; filename=\".._x\""),
        ("é.mp3".as_bytes(), "attachment; filename=\"_.mp3\"; filename*=UTF-8''%C3%A9.mp3"),
        ("a\u{202e}3pm.exe".as_bytes(), "attachment; filename=\"a3pm.exe\""),
    ];
    for (name, expected) in rows {
        assert_eq!(disposition(name, false), expected);
    }
    assert!(HeaderValue::try_from(disposition(b"\xff\xfe\0\x7f", true)).is_ok());
}

#[test]
fn every_refusal_has_its_status_and_no_status_two_bodies() {
    let rows = [
        (Refusal::from(PathError::Bad), 400),
        (Refusal::from(PathError::TooLong), 404),
        (Refusal::from(TokenError::Malformed), 404),
        (Refusal::from(TokenError::NotAFolder), 404),
        (Refusal::from(TokenError::Forged), 403),
        (Refusal::from(TokenError::UnknownKey), 403),
        (Refusal::Revoked, 403),
        (Refusal::from(OpenError::NotFound), 404),
        (Refusal::from(OpenError::Busy), 503),
        (Refusal::from(OpenError::Away), 503),
        (Refusal::from(OpenError::Failed(Errno::IO)), 500),
        (Refusal::Expired, 410),
        (Refusal::TooLong, 414),
        (Refusal::TooMany(3), 429),
    ];
    for (refusal, status) in rows {
        assert_eq!(refuse(refusal).status(), status, "{refusal:?}");
    }
    let length = |refusal| header(&refuse(refusal), "content-length").map(str::to_owned);
    assert_eq!(length(Refusal::Forbidden), length(Refusal::Revoked));
    assert_eq!(header(&refuse(Refusal::Revoked), "usher-reason"), Some("revoked"));
    assert_eq!(header(&refuse(Refusal::Forbidden), "usher-reason"), None);
    assert_eq!(header(&refuse(Refusal::TooMany(3)), "retry-after"), Some("3"));
    assert!(header(&refuse(Refusal::Busy), "retry-after").is_some());
}

#[tokio::test]
async fn a_long_file_comes_in_pieces_of_bounded_size() {
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 253).unwrap_or(0)).collect();
    let shelf = Shelf::with("film.mp4", &content);
    let mut body = shelf.ask(Method::GET, "film.mp4", &[("range", "bytes=77-2999990")]).into_body();
    assert_eq!(body.size_hint().exact(), Some(2_999_914));
    let mut got = Vec::new();
    while let Some(frame) = body.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(!piece.is_empty() && piece.len() <= PIECE);
        got.extend_from_slice(&piece);
    }
    assert!(got == content[77..=2_999_990]);
    assert!(body.is_end_stream());
}

#[tokio::test]
async fn reading_by_a_blocking_task_gives_the_same_bytes() {
    let content: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 249).unwrap_or(0)).collect();
    let shelf = Shelf::with("film.mp4", &content);
    let mut body = shelf.ask(Method::GET, "film.mp4", &[]).into_body();
    if let Content::File(stream) = &mut body.0 {
        // As on a file system that cannot tell whether a read would wait.
        stream.nowait = false;
    }
    assert!(body.collect().await.unwrap().to_bytes() == content);
}

#[tokio::test]
async fn a_stopped_transfer_sends_no_further_piece() {
    let shelf = Shelf::with("film.mp4", &vec![7; 1_000_000]);
    let transfers = Transfers::new();
    let mut body = shelf.ask_with(Method::GET, "film.mp4", &[], transfers.register(5)).into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(transfers.stop(5), 1);
    assert!(matches!(body.frame().await, Some(Err(SendError::Stopped))));
    assert!(body.frame().await.is_none());
    assert_eq!(transfers.count(), 0, "it gave its place back though the body still stands");
}

#[tokio::test]
async fn a_finished_or_dropped_transfer_leaves_the_registry() {
    let shelf = Shelf::with("film.mp4", &vec![7; 100_000]);
    let transfers = Transfers::new();
    let whole = shelf.ask_with(Method::GET, "film.mp4", &[], transfers.register(5));
    let dropped = shelf.ask_with(Method::GET, "film.mp4", &[], transfers.register(5));
    let head = shelf.ask_with(Method::HEAD, "film.mp4", &[], transfers.register(5));
    assert_eq!(transfers.count(), 2, "a HEAD transfers nothing");
    drop(head);
    assert_eq!(bytes(whole).await.len(), 100_000);
    drop(dropped);
    assert_eq!(transfers.count(), 0);
}

#[tokio::test]
async fn a_file_that_became_shorter_ends_in_an_error_and_is_not_padded() {
    let shelf = Shelf::with("film.mp4", &vec![7; 500_000]);
    for nowait in [true, false] {
        fs::write(shelf.dir.path().join("film.mp4"), vec![7; 500_000]).unwrap();
        let mut body = shelf.ask(Method::GET, "film.mp4", &[]).into_body();
        if let Content::File(stream) = &mut body.0 {
            stream.nowait = nowait;
        }
        fs::OpenOptions::new().write(true).open(shelf.dir.path().join("film.mp4")).unwrap().set_len(50_000).unwrap();
        let mut sent = 0;
        let mut end = None;
        // More often than there are pieces in the whole file.
        for _ in 0..100 {
            match body.frame().await {
                Some(Ok(frame)) => sent += frame.into_data().unwrap().len(),
                other => {
                    end = other;
                    break;
                }
            }
        }
        assert_eq!(sent, 50_000);
        assert!(matches!(end, Some(Err(SendError::Truncated))));
    }
}

#[tokio::test]
async fn a_replaced_file_is_sent_as_it_was_opened() {
    let shelf = Shelf::with("film.mp4", &vec![7; 300_000]);
    let mut body = shelf.ask(Method::GET, "film.mp4", &[]).into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    fs::write(shelf.dir.path().join("new"), vec![8; 300_000]).unwrap();
    fs::rename(shelf.dir.path().join("new"), shelf.dir.path().join("film.mp4")).unwrap();
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), 300_000);
    assert!(rest.iter().all(|byte| *byte == 7));
}
