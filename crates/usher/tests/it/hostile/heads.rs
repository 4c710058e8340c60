//! Requests that two readers could take for different things (RFC 9112 section 11.2), and heads that are none.

use crate::support::app::TestApp;
use crate::support::server::{Raw, Server};

/// What would be routed if it got through.
pub const INSIDE: &str = "GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A request whose fields are these, followed by one that somebody tries to smuggle.
fn post(fields: &str) -> String {
    format!("POST /login HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n0\r\n\r\n{INSIDE}")
}

fn get(fields: &str) -> String {
    format!("GET /login HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n{INSIDE}")
}

/// How many answers came, whatever they say.
fn answers(raw: &Raw) -> usize {
    1 + raw.body.windows(9).filter(|nine| *nine == b"HTTP/1.1 ").count()
}

/// Requests with two readings, or with none, each with another one inside it or behind it.
pub fn corpus() -> Vec<String> {
    vec![
        // Framed twice.
        post("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        post("Content-Length: 0\r\nX: y\r\nTransfer-Encoding: chunked"),
        post("Content-Length: 5\r\nContent-Length: 5"),
        post("Content-Length: 5\r\nContent-Length: 6"),
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        post("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
        post("content-length: 5\r\ntransfer-encoding:chunked"),
        // Lengths that are none.
        post("Content-Length: 5, 5"),
        post("Content-Length: +5"),
        post("Content-Length: -5"),
        post("Content-Length: 0x5"),
        post("Content-Length: 5 5"),
        post("Content-Length: 5.0"),
        post("Content-Length:"),
        post("Content-Length: 18446744073709551616"),
        // Codings that we do not take, or that another reader would overlook.
        post("Transfer-Encoding: gzip, chunked"),
        post("Transfer-Encoding: chunked, identity"),
        post("Transfer-Encoding: chunked, chunked"),
        post("Transfer-Encoding: xchunked"),
        post("Transfer-Encoding: \"chunked\""),
        post("Transfer-Encoding: identity"),
        post("Transfer-Encoding:"),
        post("Transfer-Encoding:\u{b}chunked"),
        post("Transfer-Encoding : chunked"),
        post("Content-Length : 5"),
        post(" Transfer-Encoding: chunked"),
        post("Transfer-Encoding:\r\n chunked"),
        post("X: y\r\n Transfer-Encoding: chunked"),
        post("X: y\r\n\tContent-Length: 5"),
        post("Transfer-Encoding\0: chunked"),
        post("Transfer_Encoding: chunked")
            .replace("HTTP/1.1\r\nHost: localhost\r\nT", "HTTP/1.1\nHost: localhost\r\nT"),
        format!("POST /login HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{INSIDE}"),
        // Lines that do not end as lines do.
        get("X: y").replace("\r\n", "\n"),
        get("X: y\nZ: w"),
        get("X: y\rZ: w"),
        get("X: y\r\r\nZ: w"),
        format!("GET /login HTTP/1.1\r\nHost: localhost\r\n\n{INSIDE}"),
        format!("GET /login HTTP/1.1\nHost: localhost\r\n\r\n{INSIDE}"),
        // What is no field, and no request line.
        get("no colon"),
        get(": no name"),
        get("na me: x"),
        get("nul: a\0b"),
        get("n\0ul: ab"),
        get("bell: \u{7}"),
        get("(name): x"),
        format!("GET /lo\0gin HTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET  /login HTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET /login  HTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET /log in HTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET\t/login\tHTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET /login HTTP/1.1 x\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET /login HTTP/1.2\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET /login HTTP/2.0\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET /login HTTP/0.9\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET /login\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!(" GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("G\u{e4}T /login HTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
        format!("GET(/) /login HTTP/1.1\r\nHost: localhost\r\n\r\n{INSIDE}"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_with_two_readings_is_refused_before_anything_is_routed_and_the_connection_ends() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    let mut wrong = Vec::new();
    for request in corpus() {
        let raw = server.raw(request.as_bytes()).await;
        let told = (raw.status, answers(&raw), raw.header("x-request-id"));
        if told != (400, 1, "") {
            wrong.push(format!("{request:?}: {told:?}"));
        }
        let slowly = server.raw_in_pieces(request.as_bytes(), 7).await;
        if (slowly.status, answers(&slowly), slowly.header("x-request-id")) != (400, 1, "") {
            wrong.push(format!("in pieces: {request:?}: {}", slowly.status));
        }
        // Behind a request that is as it should be, the same.
        let behind = server.raw(format!("{INSIDE}{request}").as_bytes()).await;
        if !(behind.status == 200 && answers(&behind) == 2 && behind.text().contains("HTTP/1.1 400")) {
            wrong.push(format!("behind a good one: {request:?}: {}, {} answers", behind.status, answers(&behind)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_beyond_its_bounds_is_answered_431() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    for fields in [
        format!("X: {}", "y".repeat(17 * 1024)),
        "X: y\r\n".repeat(101).trim_end().to_owned(),
        format!("{}: y", "X".repeat(17 * 1024)),
    ] {
        let raw = server.raw(get(&fields).as_bytes()).await;
        assert_eq!((raw.status, answers(&raw)), (431, 1), "{} bytes", fields.len());
    }
    let line = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(17 * 1024));
    assert_eq!(server.raw(line.as_bytes()).await.status, 431);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_or_host_that_is_none_of_ours_is_refused_with_one_status() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    let host = |host: &str| format!("GET /login HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let line = |line: &str| format!("{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let table = [
        (host("localhost"), 200),
        (host("LOCALHOST:8080"), 200),
        (host("[::1]:8080"), 200),
        (host("evil.example"), 421),
        (host("localhost.evil.example"), 421),
        (host("evil.example:80"), 421),
        (host("127.0.0.1.evil.example"), 421),
        (host(""), 400),
        (host("localhost\r\nHost: localhost"), 400),
        (host("localhost\r\nHost: evil.example"), 400),
        (host("localhost, evil.example"), 400),
        (host("localhost:x"), 400),
        (host("localhost:65536"), 400),
        (host("localhost:"), 400),
        (host("localhost@evil.example"), 400),
        (host("evil.example@localhost"), 400),
        (host("localhost/evil"), 400),
        (host("localhost evil.example"), 400),
        (host("http://localhost"), 400),
        (host("local\u{e4}host"), 400),
        ("GET /login HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned(), 400),
        ("GET /login HTTP/1.0\r\n\r\n".to_owned(), 400),
        // An absolute target names the host, whatever the field says (RFC 9112 section 3.2.2).
        (line("GET http://localhost/login"), 200),
        (line("GET http://evil.example/login"), 421),
        (line("GET http://user@localhost/login"), 400),
        (line("GET http://localhost:99999/login"), 400),
        ("GET http://localhost/login HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".to_owned(), 200),
        (line("CONNECT localhost:8080"), 400),
        (line("CONNECT evil.example:443"), 400),
        (line("OPTIONS *"), 400),
        (line("GET login"), 400),
        (line("GET login/"), 400),
        (line("GET ?x"), 400),
        (line("TRACE /login"), 405),
    ];
    let mut wrong = Vec::new();
    for (request, status) in table {
        let raw = server.raw(request.as_bytes()).await;
        if (raw.status, answers(&raw)) != (status, 1) {
            wrong.push(format!("{request:?}: {} instead of {status}", raw.status));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_chunks_are_none_is_refused_and_nothing_behind_it_is_read() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    let login = r#"{"username":"nobody","password":"whatever"}"#;
    let good = format!("{:x};a=b\r\n{login}\r\n0\r\nX-Trailer: y\r\n\r\n", login.len());
    let post = |chunks: &str| {
        format!(
            "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{chunks}{INSIDE}"
        )
    };
    // A good one first: both are answered, the second because the first ended where it says.
    let raw = server
        .raw(post(&good).replace("GET /login HTTP/1.1", "GET /login HTTP/1.1\r\nConnection: close").as_bytes())
        .await;
    assert_eq!((raw.status, answers(&raw)), (401, 2));
    let table = [
        "x\r\n",
        "\r\n",
        "-1\r\n",
        "+2c\r\n",
        "0x2c\r\n",
        "2c\n{\"a\":1}",
        "2;\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{} \r\n0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "2\u{b}\r\n{}\r\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
    ];
    let mut wrong = Vec::new();
    for chunks in table {
        let raw = server.raw(post(chunks).as_bytes()).await;
        if (raw.status, answers(&raw)) != (400, 1) {
            wrong.push(format!("{chunks:?}: {}, {} answers", raw.status, answers(&raw)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_its_bound_is_refused_however_it_is_framed() {
    let app = TestApp::new().await;
    let server = Server::start(&app).await;
    let head = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                Content-Type: application/json\r\n";
    let most = "x".repeat(64 * 1024);
    for (framing, status) in [
        (format!("Content-Length: {}\r\n\r\n{most}x", most.len() + 1), 413),
        (format!("Transfer-Encoding: chunked\r\n\r\n10001\r\n{most}x\r\n0\r\n\r\n"), 413),
        (format!("Content-Length: {}\r\n\r\n{most}", most.len()), 400),
    ] {
        let raw = server.raw(format!("{head}{framing}").as_bytes()).await;
        assert_eq!((raw.status, answers(&raw)), (status, 1), "{}", framing.get(..60).unwrap_or(&framing));
    }
    let packed = format!("{head}Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}");
    assert_eq!(server.raw(packed.as_bytes()).await.status, 415, "no body is unpacked");
}
