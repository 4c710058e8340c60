//! Clients that take their time: with a head, with a body, with reading. None of them keeps what others need.

use crate::support::server::{PATIENCE, Server, head, request};
use crate::support::shelf::{Shelf, url};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use usher::http::accept::Limits;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(300);

/// No limit but the one a test is about.
fn patient() -> Limits {
    Limits { head: HOUR, body: HOUR, idle: HOUR, unread: HOUR, unread_answer: HOUR, ..Limits::default() }
}

/// All that comes until the end of the connection.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut all = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("the connection stays open");
    String::from_utf8_lossy(&all).into_owned()
}

const LOGIN: &str = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_hung_up_on_and_others_are_served_meanwhile() {
    let shelf = Shelf::new().await;
    let server = Server::start_within(&shelf.app, Limits { head: SHORT, ..patient() }).await;
    let mut slow = server.connect().await;
    for byte in b"GET /login HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\nX-C: d\r\nX-E: f\r\n".iter().cycle() {
        // The connection ends while we write.
        if slow.write_all(&[*byte]).await.is_err() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(server.get("/login", &[]).await.status, 200);
    let mut silent = server.connect().await;
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_in_time_is_answered_408_and_the_connection_ends() {
    let shelf = Shelf::new().await;
    let server = Server::start_within(&shelf.app, Limits { body: SHORT, ..patient() }).await;
    for begun in [
        format!("{LOGIN}Content-Length: 100\r\n\r\n{{"),
        format!("{LOGIN}Transfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n"),
        format!("{LOGIN}Transfer-Encoding: chunked\r\n\r\nffffffff\r\n{{"),
        format!("{LOGIN}Expect: 100-continue\r\nContent-Length: 100\r\n\r\n"),
        "POST /login HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nusername"
            .to_owned(),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(begun.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        let last = answer.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
        assert!(last.starts_with("HTTP/1.1 408 "), "{begun:?}: {answer}");
        assert_eq!(last.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_gets_no_more_time_than_one_that_stops() {
    let shelf = Shelf::new().await;
    let server = Server::start_within(&shelf.app, Limits { body: SHORT, ..patient() }).await;
    let (mut reader, mut writer) = server.connect().await.into_split();
    writer.write_all(format!("{LOGIN}Content-Length: 60000\r\n\r\n").as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(rest(&mut reader).await.starts_with("HTTP/1.1 408 "));
    timeout(PATIENCE, trickle).await.expect("the server goes on reading").unwrap();
}

/// A film far longer than all buffers between two sockets, and the target of its URL.
async fn long_film(shelf: &Shelf) -> String {
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("long.bin", "");
    std::fs::File::options().write(true).open(shelf.path("long.bin")).unwrap().set_len(512 << 20).unwrap();
    url(&alice, "long.bin").await
}

async fn none_in_flight(shelf: &Shelf) {
    let gone = async {
        while shelf.app.app.media.transfers.count() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("a transfer that nobody reads goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_nothing_of_an_answer_loses_the_connection() {
    let shelf = Shelf::new().await;
    let target = long_film(&shelf).await;
    let limits = Limits { unread: SHORT, ..patient() };
    let plain = Server::start_within(&shelf.app, limits).await;
    let mut stream = plain.connect().await;
    stream.write_all(&request("GET", &target, &[], false)).await.unwrap();
    assert!(head(&mut stream).await.0.starts_with("HTTP/1.1 200"));
    none_in_flight(&shelf).await;
    let tls = Server::start_tls_within(&shelf.app, limits).await;
    let mut stream = tls.connect_tls("http/1.1").await;
    stream.write_all(&request("GET", &target, &[], false)).await.unwrap();
    assert!(head(&mut stream).await.0.starts_with("HTTP/1.1 200"));
    none_in_flight(&shelf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reads_slowly_but_reads_is_served_for_as_long_as_it_takes() {
    let shelf = Shelf::new().await;
    let target = long_film(&shelf).await;
    let limits = Limits { unread: Duration::from_secs(2), ..patient() };
    let server = Server::start_within(&shelf.app, limits).await;
    let mut stream = server.connect().await;
    stream.write_all(&request("GET", &target, &[], false)).await.unwrap();
    let mut piece = vec![0; 64 * 1024];
    // Twice the limit, at a rate at which the buffers are full all the time.
    for _ in 0..80 {
        stream.read_exact(&mut piece).await.unwrap();
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(shelf.app.app.media.transfers.count(), 1);
}
