//! Transfers in flight stop when what they stand on ends, whether or not anybody reads.

use crate::support::app::Actor;
use crate::support::server::{PATIENCE, Server, head, request};
use crate::support::shelf::{Shelf, personal_token, url};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io::ErrorKind;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};
use usher::accounts::Buckets;
use usher::tokens::personal;

/// Far more than all buffers between two sockets hold. The file is one hole and takes no room.
const LENGTH: u64 = 512 * 1024 * 1024;
/// Goal: 200 ms. What is asserted is that it ends at all, with room for a busy machine.
const STOPPED_WITHIN: Duration = Duration::from_secs(2);

/// A film long enough to be still under way, and its URL.
async fn long_film(shelf: &Shelf, actor: &Actor) -> String {
    shelf.put("long.bin", "");
    std::fs::File::options().write(true).open(shelf.path("long.bin")).unwrap().set_len(LENGTH).unwrap();
    url(actor, "long.bin").await
}

/// Asks for the film and reads a little of it.
async fn begun(mut stream: impl AsyncRead + AsyncWrite + Unpin, target: &str) -> impl AsyncRead + AsyncWrite + Unpin {
    stream.write_all(&request("GET", target, &[], false)).await.unwrap();
    let (head, _) = head(&mut stream).await;
    assert!(head.starts_with("HTTP/1.1 200") && head.contains(&format!("content-length: {LENGTH}")), "{head}");
    stream
}

/// Reads to the end: how much came, and how it ended.
async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> (u64, Option<ErrorKind>) {
    let mut piece = vec![0; 64 * 1024];
    let mut count = 0;
    loop {
        match stream.read(&mut piece).await {
            Ok(0) => return (count, None),
            Ok(length) => count += u64::try_from(length).unwrap(),
            Err(error) => return (count, Some(error.kind())),
        }
    }
}

/// Waits until the server has let go of every transfer, without reading anything.
async fn none_in_flight(shelf: &Shelf) {
    let gone = async {
        while shelf.app.app.media.transfers.count() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(STOPPED_WITHIN, gone).await.expect("a transfer goes on");
}

/// Waits until nothing is sent any more, because everything between the sockets is full.
async fn stalled(shelf: &Shelf) {
    let sent = || shelf.app.app.metrics.media_bytes.get();
    let still = async {
        let mut before = 0;
        while before == 0 || sent() != before {
            before = sent();
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, still).await.expect("somebody reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_download_stops_when_its_session_ends() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = long_film(&shelf, &alice).await;
    let server = Server::start(&shelf.app).await;
    let mut stream = begun(server.connect().await, &target).await;
    // About 3 MB a second, as a player takes it.
    let mut piece = vec![0; 16 * 1024];
    for _ in 0..40 {
        stream.read_exact(&mut piece).await.unwrap();
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(shelf.app.app.metrics.transfers.get(), 1);
    let before = Instant::now();
    assert_eq!(alice.form("/logout", &[]).await.status, StatusCode::OK);
    let answered = before.elapsed();
    let (more, how) = timeout(STOPPED_WITHIN, rest(&mut stream)).await.expect("the download goes on");
    eprintln!("throttled: logout {answered:?}, connection dead {:?}, {more} bytes more, {how:?}", before.elapsed());
    assert!(more < LENGTH / 2, "{more} bytes after the end");
    assert_eq!(how, Some(ErrorKind::ConnectionReset), "an end that cannot be taken for the file's");
    none_in_flight(&shelf).await;
    assert_eq!(server.get(&target, &["Range: bytes=5-9"]).await.status, 403);
    assert!(shelf.app.app.metrics.media_bytes.get() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_nobody_reads_stops_too() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = long_film(&shelf, &alice).await;
    let server = Server::start(&shelf.app).await;
    let mut stream = begun(server.connect().await, &target).await;
    stalled(&shelf).await;
    let before = Instant::now();
    alice.form("/logout", &[]).await;
    // Nothing is read here: without the cut the server would wait for its reader for ever.
    none_in_flight(&shelf).await;
    eprintln!("stalled: transfer gone after {:?}", before.elapsed());
    let (more, how) = timeout(STOPPED_WITHIN, rest(&mut stream)).await.expect("the connection stays open");
    assert!(more < LENGTH / 2, "{more}");
    assert_eq!(how, Some(ErrorKind::ConnectionReset));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_tls_it_stops_as_well() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let target = long_film(&shelf, &alice).await;
    let server = Server::start_tls(&shelf.app).await;
    let mut stream = begun(server.connect_tls("http/1.1").await, &target).await;
    stalled(&shelf).await;
    alice.form("/logout", &[]).await;
    none_in_flight(&shelf).await;
    let (more, how) = timeout(STOPPED_WITHIN, rest(&mut stream)).await.expect("the connection stays open");
    assert!(more < LENGTH / 2, "{more}");
    assert!(how.is_some(), "an end that cannot be taken for the file's");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_http2_the_stream_is_reset_and_the_connection_serves_on() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let (_, bob) = shelf.viewer("bob").await;
    let target = long_film(&shelf, &alice).await;
    let his = url(&bob, "k.bin").await;
    let server = Server::start_tls(&shelf.app).await;
    let stream = server.connect_tls("h2").await;
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let get = |target: &str| Request::get(format!("https://localhost{target}")).body(Empty::<Bytes>::new()).unwrap();
    let mut response = sender.send_request(get(&target)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.frame().await.unwrap().unwrap();
    alice.form("/logout", &[]).await;
    let reading = async {
        let mut count = 0;
        while let Some(frame) = response.frame().await {
            match frame {
                Ok(frame) => count += frame.into_data().map_or(0, |data| data.len()),
                Err(_) => return (count, true),
            }
        }
        (count, false)
    };
    let (count, failed) = timeout(PATIENCE, reading).await.expect("the stream goes on");
    assert!(failed && u64::try_from(count).unwrap() < LENGTH / 2, "{count} bytes more, failed: {failed}");
    let response = sender.send_request(get(&his)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 1000);
    none_in_flight(&shelf).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_token_s_transfer_stops_when_it_is_revoked_and_nobody_else_s_does() {
    let shelf = Shelf::new().await;
    let (id, alice) = shelf.viewer("alice").await;
    let target = long_film(&shelf, &alice).await;
    let (token, text) = personal_token(&shelf.app, id).await;
    let scripts = url(&shelf.app.anonymous().bearing(&text), "long.bin").await;
    let server = Server::start(&shelf.app).await;
    let mut hers = begun(server.connect().await, &target).await;
    let mut its = begun(server.connect().await, &scripts).await;
    let cx = shelf.app.cx();
    let now = cx.now;
    assert!(cx.write("test.revoke", async move |tx| personal::revoke(tx, id, token, now).await).await.unwrap());
    let (more, _) = timeout(STOPPED_WITHIN, rest(&mut its)).await.expect("it goes on");
    assert!(more < LENGTH / 2);
    let mut piece = vec![0; 16 * 1024 * 1024];
    timeout(PATIENCE, hers.read_exact(&mut piece)).await.expect("hers stands still").unwrap();
    assert_eq!(shelf.app.app.media.transfers.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_transfer_leaves_its_connection_to_others() {
    let shelf = Shelf::new().await;
    let (_, alice) = shelf.viewer("alice").await;
    let (_, bob) = shelf.viewer("bob").await;
    let (hers, his) = (url(&alice, "k.bin").await, url(&bob, "k.bin").await);
    let server = Server::start(&shelf.app).await;
    // A proxy keeps one connection for many people.
    let mut stream = server.connect().await;
    for target in [&hers, &his] {
        stream.write_all(&request("GET", target, &[], false)).await.unwrap();
        let (head, beyond) = head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut body = vec![0; 1000 - beyond];
        stream.read_exact(&mut body).await.unwrap();
        if target == &hers {
            alice.form("/logout", &[]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_begins_after_the_bucket_was_taken_is_refused() {
    let shelf = Shelf::new().await;
    let (id, alice) = shelf.viewer("alice").await;
    let target = long_film(&shelf, &alice).await;
    let server = Server::start(&shelf.app).await;
    let mut stream = server.connect().await;
    for (buckets, status) in [(Buckets::Every, "206"), (Buckets::None, "403")] {
        shelf.give(id, buckets).await;
        stream.write_all(&request("GET", &target, &["Range: bytes=0-0"], false)).await.unwrap();
        let (head, beyond) = head(&mut stream).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        if status == "206" && beyond == 0 {
            stream.read_exact(&mut [0]).await.unwrap();
        }
    }
}
