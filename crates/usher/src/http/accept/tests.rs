//! On real sockets. Time limits are tried with short limits and an end that must come, never with a stopwatch.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::http::tls::tests::pair;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Says who is calling, or waits until it is told to go on.
async fn answer(request: Asked, go: Arc<Notify>, waiting: Arc<Notify>) -> Result<Response<String>, Infallible> {
    let peer = request.extensions().get::<Peer>();
    let local = request.extensions().get::<Local>();
    if request.uri().path() == "/wait" {
        waiting.notify_one();
        go.notified().await;
    }
    let tls = peer.map(|peer| peer.tls);
    Ok(Response::new(format!("tls {tls:?} local {}", local.is_some())))
}

struct Running {
    addr: std::net::SocketAddr,
    go: Arc<Notify>,
    waiting: Arc<Notify>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<bool>,
}

async fn running(limits: Limits, certificates: Option<Arc<Certificates>>) -> Running {
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = tcp.local_addr().unwrap();
    let listener = match certificates {
        None => Listener::Plain(tcp),
        Some(certificates) => Listener::Tls(tcp, certificates),
    };
    serving(vec![listener], addr, limits)
}

fn serving(listeners: Vec<Listener>, addr: std::net::SocketAddr, limits: Limits) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let (go, waiting) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (g, w) = (Arc::clone(&go), Arc::clone(&waiting));
    let service = tower::service_fn(move |request| answer(request, Arc::clone(&g), Arc::clone(&w)));
    let task = tokio::spawn(serve(listeners, service, limits, async {
        let _ = stopped.await;
    }));
    Running { addr, go, waiting, stop, task }
}

async fn said<I: AsyncRead + AsyncWrite + Unpin>(mut stream: I, text: &str) -> String {
    stream.write_all(text.as_bytes()).await.unwrap();
    rest(stream).await
}

async fn rest<I: AsyncRead + Unpin>(mut stream: I) -> String {
    let mut all = Vec::new();
    // A connection that is cut may end in a reset, which is an end too.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn the_service_is_told_who_calls() {
    let server = running(Limits::default(), None).await;
    let text = said(TcpStream::connect(server.addr).await.unwrap(), GET).await;
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("tls Some(false) local false"), "{text}");
}

#[tokio::test]
async fn a_head_that_is_too_long_or_has_too_many_fields_is_answered_431() {
    let server = running(Limits::default(), None).await;
    let long = format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "x".repeat(17 * 1024));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(100));
    for head in [long, many] {
        let text = said(TcpStream::connect(server.addr).await.unwrap(), &head).await;
        assert!(text.starts_with("HTTP/1.1 431"), "{text}");
    }
    let allowed = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{}\r\n", "x: y\r\n".repeat(98));
    let text = said(TcpStream::connect(server.addr).await.unwrap(), &allowed).await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[tokio::test]
async fn who_is_too_slow_to_finish_a_head_is_hung_up_on() {
    // The idle time would keep the test waiting for an hour.
    let hour = Duration::from_secs(3600);
    let limits = Limits { head: Duration::from_millis(300), idle: hour, ..Limits::default() };
    let server = running(limits, None).await;
    let silent = TcpStream::connect(server.addr).await.unwrap();
    rest(silent).await;
    let partial = TcpStream::connect(server.addr).await.unwrap();
    said(partial, "GET / HTTP/1.1\r\nhost").await;
    // The second head of a kept connection has the same time.
    let mut kept = TcpStream::connect(server.addr).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut seen = vec![0; 4096];
    assert!(kept.read(&mut seen).await.unwrap() > 0);
    said(kept, "GET / HTTP/1.1\r\nhost").await;
}

#[tokio::test]
async fn a_kept_connection_may_rest_for_longer_than_a_head_may_take() {
    let limits = Limits { head: Duration::from_millis(300), idle: Duration::from_secs(3600), ..Limits::default() };
    let server = running(limits, None).await;
    let mut kept = TcpStream::connect(server.addr).await.unwrap();
    kept.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut seen = vec![0; 4096];
    assert!(kept.read(&mut seen).await.unwrap() > 0);
    // Another connection, opened later, is hung up on for its silence; the kept one is still there.
    rest(TcpStream::connect(server.addr).await.unwrap()).await;
    rest(TcpStream::connect(server.addr).await.unwrap()).await;
    assert!(said(kept, GET).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn an_idle_connection_is_hung_up_on_in_the_end() {
    let limits = Limits { idle: Duration::from_millis(50), ..Limits::default() };
    let server = running(limits, None).await;
    let text = said(TcpStream::connect(server.addr).await.unwrap(), "GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
}

#[tokio::test]
async fn beyond_the_cap_new_connections_are_closed_and_those_inside_are_served() {
    let server = running(Limits { max_connections: 1, ..Limits::default() }, None).await;
    let mut inside = TcpStream::connect(server.addr).await.unwrap();
    inside.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    server.waiting.notified().await;
    assert_eq!(rest(TcpStream::connect(server.addr).await.unwrap()).await, "");
    server.go.notify_one();
    assert!(rest(inside).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_shutdown_lets_an_answer_finish_and_closes_idle_connections() {
    let server = running(Limits::default(), None).await;
    let idle = TcpStream::connect(server.addr).await.unwrap();
    let mut busy = TcpStream::connect(server.addr).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.waiting.notified().await;
    server.stop.send(()).unwrap();
    assert_eq!(rest(idle).await, "");
    server.go.notify_one();
    assert!(rest(busy).await.starts_with("HTTP/1.1 200"));
    assert!(server.task.await.unwrap());
    assert!(TcpStream::connect(server.addr).await.is_err());
}

#[tokio::test]
async fn what_does_not_finish_in_time_is_cut() {
    let server = running(Limits { drain: Duration::from_millis(50), ..Limits::default() }, None).await;
    let mut busy = TcpStream::connect(server.addr).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.waiting.notified().await;
    server.stop.send(()).unwrap();
    assert_eq!(rest(busy).await, "");
    assert!(!server.task.await.unwrap());
}

#[tokio::test]
async fn under_tls_the_handshake_chooses_the_protocol() {
    let dir = tempfile::tempdir().unwrap();
    let (files, client) = pair(dir.path());
    let server = running(Limits::default(), Some(Certificates::load(&files).unwrap())).await;
    for (alpn, start) in [("http/1.1", "HTTP/1.1 200"), ("h2", "")] {
        let mut config = client.clone();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let tcp = TcpStream::connect(server.addr).await.unwrap();
        let stream = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(alpn.as_bytes()));
        if alpn == "http/1.1" {
            let text = said(stream, GET).await;
            assert!(text.starts_with(start) && text.contains("tls Some(true)"), "{text}");
            continue;
        }
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::new(String::new());
        *request.uri_mut() = "https://localhost/".parse().unwrap();
        for _ in 0..101 {
            request.headers_mut().append("x", "y".parse().unwrap());
        }
        assert_eq!(sender.send_request(request.clone()).await.unwrap().status(), 431);
        request.headers_mut().clear();
        assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn who_does_not_shake_hands_in_time_is_hung_up_on() {
    let dir = tempfile::tempdir().unwrap();
    let (files, _) = pair(dir.path());
    let limits = Limits { handshake: Duration::from_millis(50), ..Limits::default() };
    let server = running(limits, Some(Certificates::load(&files).unwrap())).await;
    assert_eq!(rest(TcpStream::connect(server.addr).await.unwrap()).await, "");
}

#[tokio::test]
async fn the_control_socket_is_its_owner_s_and_knows_who_calls() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    let listener = bind_control(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let _server = serving(vec![Listener::Control(listener)], "127.0.0.1:0".parse().unwrap(), Limits::default());
    let text = said(UnixStream::connect(&path).await.unwrap(), GET).await;
    assert!(text.ends_with("tls None local true"), "{text}");
    let file = dir.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(bind_control(&file).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}
