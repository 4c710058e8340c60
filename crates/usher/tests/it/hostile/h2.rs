//! HTTP/2 under TLS: floods, malformed requests, and readers who leave an answer lying.

use super::frames::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR,
    HEADERS, PING, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS, Said, WINDOW_UPDATE, asking, block, frame,
    window,
};
use crate::support::app::TestApp;
use crate::support::server::{PATIENCE, Server};
use crate::support::shelf::{Shelf, url};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use usher::http::accept::Limits;

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(400);
/// CANCEL.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn patient() -> Limits {
    Limits { head: HOUR, body: HOUR, idle: HOUR, unread: HOUR, unread_answer: HOUR, ..Limits::default() }
}

/// The server is there for others.
async fn serves(server: &Server) {
    let mut other = Client::new(server, &[]).await;
    other.get(1, "/login").await;
    assert_eq!(other.said(1).await, Said::Status(200));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_reset_as_fast_as_they_are_sent_end_the_connection() {
    let app = TestApp::new().await;
    let server = Server::start_tls(&app).await;
    let mut client = Client::new(&server, &[]).await;
    let ask = block(&asking("GET", "/login"));
    let flood = |from: u32| {
        let streams = (0..500).map(move |n| from + 2 * n);
        streams.flat_map(|stream| {
            [frame(HEADERS, END_STREAM | END_HEADERS, stream, &ask), frame(RST_STREAM, 0, stream, &CANCEL)].concat()
        })
    };
    let mut from = 1;
    while from < 200_000 && client.send(&flood(from).collect::<Vec<u8>>()).await {
        from += 1_000;
    }
    let said = client.said(u32::MAX).await;
    assert!(matches!(said, Said::GoAway(ENHANCE_YOUR_CALM) | Said::Nothing) && from < 200_000, "{said:?}");
    serves(&server).await;
}

/// The same the other way round: each request is one that the server itself has to reset.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_the_server_reset_them_end_the_connection() {
    let app = TestApp::new().await;
    let server = Server::start_tls(&app).await;
    let mut client = Client::new(&server, &[]).await;
    let ask = block(&[&asking("GET", "/login")[..], &[("content-length", "5")]].concat());
    let flood = |from: u32| {
        (0..500).flat_map(|n| frame(HEADERS, END_STREAM | END_HEADERS, from + 2 * n, &ask)).collect::<Vec<u8>>()
    };
    let mut from = 1;
    while from < 200_000 && client.send(&flood(from)).await {
        from += 1_000;
    }
    let said = client.said(u32::MAX).await;
    assert!(matches!(said, Said::GoAway(ENHANCE_YOUR_CALM) | Said::Nothing) && from < 200_000, "{said:?}");
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_empty_pieces_gets_no_more_time_than_one_that_stops() {
    let app = TestApp::new().await;
    let server = Server::start_tls_within(&app, Limits { body: SHORT, ..patient() }).await;
    let mut client = Client::new(&server, &[]).await;
    let begun = [&asking("POST", "/api/v1/login")[..], &[("content-type", "application/json")]].concat();
    client.send(&frame(HEADERS, END_HEADERS, 1, &block(&begun))).await;
    let pieces = frame(DATA, 0, 1, &[]).repeat(1_000);
    let _ = timeout(SHORT * 3, async { while client.send(&pieces).await {} }).await;
    let told = client.said(1).await;
    assert!(matches!(told, Said::Status(408) | Said::GoAway(_) | Said::Nothing), "{told:?}");
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_ends_the_connection() {
    let app = TestApp::new().await;
    let server = Server::start_tls(&app).await;
    for (what, piece) in [("empty", Vec::new()), ("full", block(&[("x-filler", &"y".repeat(100))]).repeat(9))] {
        let mut client = Client::new(&server, &[]).await;
        client.send(&frame(HEADERS, END_STREAM, 1, &block(&asking("GET", "/login")))).await;
        let more = frame(CONTINUATION, 0, 1, &piece).repeat(100);
        let mut rounds = 0;
        while rounds < 1_000 && client.send(&more).await {
            rounds += 1;
        }
        let said = client.said(1).await;
        assert!(rounds < 1_000, "{what}: it goes on listening: {said:?}");
        assert!(matches!(said, Said::GoAway(ENHANCE_YOUR_CALM) | Said::Nothing), "{what}: {said:?}");
    }
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_and_pings_without_end_are_answered_while_the_answers_are_read_and_hung_up_on_else() {
    let app = TestApp::new().await;
    let server = Server::start_tls_within(&app, Limits { unread: SHORT, ..patient() }).await;
    for (kind, payload) in [(SETTINGS, window(65_535)), (PING, vec![7; 8])] {
        let mut reads = Client::new(&server, &[]).await;
        for _ in 0..100 {
            assert!(reads.send(&frame(kind, 0, 0, &payload).repeat(10)).await);
            let mut acknowledged = 0;
            while acknowledged < 10 {
                let next = reads.next().await.expect("the connection goes on");
                acknowledged += u32::from(next.kind == kind && next.flags == ACK && next.payload != [1; 8]);
            }
        }
        reads.get(1, "/login").await;
        assert_eq!(reads.said(1).await, Said::Status(200));

        let mut deaf = Client::new(&server, &[]).await;
        let flood = frame(kind, 0, 0, &payload).repeat(10_000);
        let ended = timeout(PATIENCE, async { while deaf.send(&flood).await {} }).await;
        assert!(ended.is_ok(), "it goes on taking frames whose answers nobody reads");
    }
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_malformed_has_one_answer() {
    let app = TestApp::new().await;
    let server = Server::start_tls(&app).await;
    let with = |more: &[(&'static str, &'static str)]| [&asking("GET", "/login")[..], more].concat();
    let without = |name: &str| asking("GET", "/login").into_iter().filter(|(key, _)| *key != name).collect::<Vec<_>>();
    let table = [
        (with(&[("accept", "*/*")]), Said::Status(200)),
        // Line ends and NUL in a field would be two fields for whoever writes it out as HTTP/1.1.
        (with(&[("x", "a\r\nb: c")]), Said::GoAway(PROTOCOL_ERROR)),
        (with(&[("x", "a\nb")]), Said::GoAway(PROTOCOL_ERROR)),
        (with(&[("x", "a\rb")]), Said::GoAway(PROTOCOL_ERROR)),
        (with(&[("x", "a\0b")]), Said::GoAway(PROTOCOL_ERROR)),
        (with(&[("x\r\ny", "a")]), Said::GoAway(PROTOCOL_ERROR)),
        (with(&[("x: y", "a")]), Said::GoAway(PROTOCOL_ERROR)),
        (with(&[("X-Upper", "a")]), Said::GoAway(PROTOCOL_ERROR)),
        (with(&[("", "a")]), Said::GoAway(PROTOCOL_ERROR)),
        // Framing that HTTP/2 does not have.
        (with(&[("transfer-encoding", "chunked")]), Said::Reset(PROTOCOL_ERROR)),
        (with(&[("connection", "keep-alive")]), Said::Reset(PROTOCOL_ERROR)),
        (with(&[("upgrade", "h2c")]), Said::Reset(PROTOCOL_ERROR)),
        (with(&[("te", "gzip")]), Said::Reset(PROTOCOL_ERROR)),
        (with(&[("content-length", "5")]), Said::Reset(PROTOCOL_ERROR)),
        (with(&[("content-length", "x")]), Said::Reset(PROTOCOL_ERROR)),
        // Pseudo-fields.
        (without(":method"), Said::Reset(PROTOCOL_ERROR)),
        (without(":path"), Said::Reset(PROTOCOL_ERROR)),
        (without(":scheme"), Said::Reset(PROTOCOL_ERROR)),
        (without(":authority"), Said::Status(400)),
        (with(&[(":path", "/other")]), Said::Reset(PROTOCOL_ERROR)),
        (with(&[(":status", "200")]), Said::Reset(PROTOCOL_ERROR)),
        (with(&[(":unknown", "x")]), Said::GoAway(PROTOCOL_ERROR)),
        ([&[("accept", "*/*")][..], &asking("GET", "/login")].concat(), Said::Reset(PROTOCOL_ERROR)),
        (asking("GET", "login").to_vec(), Said::Reset(PROTOCOL_ERROR)),
        (asking("GET", "").to_vec(), Said::Reset(PROTOCOL_ERROR)),
        (asking("GET", "/lo\r\ngin").to_vec(), Said::Reset(PROTOCOL_ERROR)),
        (asking("G ET", "/login").to_vec(), Said::GoAway(PROTOCOL_ERROR)),
        // Hosts.
        (with(&[("host", "localhost")]), Said::Status(200)),
        (with(&[("host", "evil.example")]), Said::Status(400)),
        (with(&[("host", "localhost"), ("host", "localhost")]), Said::Status(400)),
        ([&without(":authority")[..], &[("host", "evil.example")]].concat(), Said::Status(421)),
        ([&without(":authority")[..], &[(":authority", "evil.example")]].concat(), Said::Status(421)),
        ([&without(":authority")[..], &[(":authority", "a@localhost")]].concat(), Said::Status(400)),
    ];
    let mut wrong = Vec::new();
    for (fields, expected) in table {
        let mut client = Client::new(&server, &[]).await;
        client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields))).await;
        let said = client.said(1).await;
        if said != expected {
            wrong.push(format!("{fields:?}: {said:?} instead of {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_may_not_be_have_one_answer() {
    let app = TestApp::new().await;
    let server = Server::start_tls(&app).await;
    let begun = frame(HEADERS, END_HEADERS, 1, &block(&asking("POST", "/login")));
    let table = [
        (
            "more than a window can hold",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]).repeat(2),
            FLOW_CONTROL_ERROR,
        ),
        ("a frame beyond the agreed size", frame(DATA, 0, 1, &[0; 16_385]), FRAME_SIZE_ERROR),
        ("a ping of seven bytes", frame(PING, 0, 0, &[0; 7]), PROTOCOL_ERROR),
        ("settings of five bytes", frame(SETTINGS, 0, 0, &[0; 5]), PROTOCOL_ERROR),
        ("data for nobody", frame(DATA, 0, 0, b"x"), PROTOCOL_ERROR),
        ("data for a stream that was not begun", frame(DATA, 0, 3, b"x"), PROTOCOL_ERROR),
        (
            "a request from our side",
            frame(HEADERS, END_STREAM | END_HEADERS, 2, &block(&asking("GET", "/"))),
            PROTOCOL_ERROR,
        ),
        (
            "another frame inside a head",
            [frame(HEADERS, 0, 3, &block(&asking("GET", "/"))), frame(PING, 0, 0, &[0; 8])].concat(),
            PROTOCOL_ERROR,
        ),
        ("a head continued that was not begun", frame(CONTINUATION, END_HEADERS, 1, &[]), PROTOCOL_ERROR),
        ("compression that is none", frame(HEADERS, END_HEADERS, 3, &[0x80]), PROTOCOL_ERROR),
    ];
    let mut wrong = Vec::new();
    for (what, bytes, code) in table {
        let mut client = Client::new(&server, &[]).await;
        client.send(&begun).await;
        client.send(&bytes).await;
        let said = client.said(u32::MAX).await;
        if said != Said::GoAway(code) {
            wrong.push(format!("{what}: {said:?} instead of go away {code}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    serves(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_number_at_once_are_refused_and_those_inside_go_on() {
    let app = TestApp::new().await;
    let server = Server::start_tls_within(&app, Limits { body: SHORT, ..patient() }).await;
    let mut client = Client::new(&server, &[]).await;
    let begun = [&asking("POST", "/api/v1/login")[..], &[("content-type", "application/json")]].concat();
    for n in 0..101 {
        client.send(&frame(HEADERS, END_HEADERS, 1 + 2 * n, &block(&begun))).await;
    }
    assert_eq!(client.said(201).await, Said::Reset(REFUSED_STREAM));
    // Their bodies never come, which each of them is told.
    let mut told = Client::new(&server, &[]).await;
    told.send(&frame(HEADERS, END_HEADERS, 1, &block(&begun))).await;
    told.send(&frame(DATA, 0, 1, b"{")).await;
    assert_eq!(told.said(1).await, Said::Status(408));
}

/// A film far longer than any window, begun on a stream whose window is so wide.
async fn film_left_lying(shelf: &Shelf, server: &Server, width: u32) -> (crate::support::app::Actor, Client) {
    let (_, alice) = shelf.viewer("alice").await;
    shelf.put("long.bin", "");
    std::fs::File::options().write(true).open(shelf.path("long.bin")).unwrap().set_len(512 << 20).unwrap();
    let target = url(&alice, "long.bin").await;
    let mut client = Client::new(server, &window(width)).await;
    client.get(1, &target).await;
    assert_eq!(client.said(1).await, Said::Status(200));
    (alice, client)
}

async fn none_in_flight(shelf: &Shelf) {
    let gone = async {
        while shelf.app.app.media.transfers.count() > 0 || shelf.app.app.metrics.transfers.get() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, gone).await.expect("a transfer keeps its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_left_lying_does_not_keep_its_place_for_ever() {
    for width in [0, 1, 20_000] {
        let shelf = Shelf::new().await;
        let server = Server::start_tls_within(&shelf.app, Limits { unread_answer: SHORT, ..patient() }).await;
        let (_, mut client) = film_left_lying(&shelf, &server, width).await;
        assert_eq!(shelf.app.app.media.transfers.count(), 1);
        none_in_flight(&shelf).await;
        client.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_answer_that_is_left_lying_ends_its_connection_too_and_one_that_is_read_does_not() {
    let app = TestApp::new().await;
    let server = Server::start_tls_within(&app, Limits { unread_answer: SHORT, ..patient() }).await;
    for width in [0, 1] {
        let mut client = Client::new(&server, &window(width)).await;
        client.get(1, "/login").await;
        client.end().await;
    }
    // Nothing is left lying here, for much longer than the limit.
    let mut kept = Client::new(&server, &[]).await;
    kept.get(1, "/login").await;
    assert_eq!(kept.said(1).await, Said::Status(200));
    let mut lies = Client::new(&server, &window(0)).await;
    lies.get(1, "/login").await;
    lies.end().await;
    kept.get(3, "/static/none/none").await;
    assert!(matches!(kept.said(3).await, Said::Status(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_left_lying_goes_when_its_session_ends() {
    for width in [0, 1, 20_000] {
        let shelf = Shelf::new().await;
        let server = Server::start_tls_within(&shelf.app, patient()).await;
        let (alice, mut client) = film_left_lying(&shelf, &server, width).await;
        alice.form("/logout", &[]).await;
        none_in_flight(&shelf).await;
        client.end().await;
    }
}
