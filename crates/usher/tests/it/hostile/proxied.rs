//! The same requests through a proxy: whatever it makes of them, the server reads as many as it does, and nobody gets
//! another one's answer.

use super::heads::{INSIDE, corpus};
use crate::support::app::TestApp;
use crate::support::proxy::Proxy;
use crate::support::server::{PATIENCE, Server};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use usher::ops::RequestLabels;

/// How many requests the server has answered, at the routes that a smuggled one could reach.
fn routed(app: &TestApp) -> u64 {
    let of = |route: &str, status| {
        let labels = RequestLabels { route: route.to_owned(), status };
        app.app.metrics.requests.get_or_create(&labels).get()
    };
    let statuses = ["2xx", "3xx", "4xx", "5xx"];
    ["/login", "none"].into_iter().flat_map(|route| statuses.map(|status| of(route, status))).sum()
}

/// Everything that comes back for these bytes, until the other end hangs up or waits for more.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut all = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
    let _ = ended.unwrap_or_else(|_| panic!("no end of the answer to {}", bytes.escape_ascii()));
    String::from_utf8_lossy(&all).into_owned()
}

async fn smuggle(proxy: impl Fn(SocketAddr) -> Proxy) {
    let app = TestApp::with(|config| config.server.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let server = Server::start(&app).await;
    let proxy = proxy(server.addr);
    let me = "GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut wrong = Vec::new();
    let mut through = 0;
    for request in corpus().iter().flat_map(|request| [request.clone(), format!("{INSIDE}{request}")]) {
        let before = routed(&app);
        let answers = exchange(proxy.address, request.as_bytes()).await.matches("HTTP/1.1 ").count();
        let read = routed(&app) - before;
        through += read;
        if read > answers as u64 {
            wrong.push(format!("{request:?}: {answers} answers, but {read} requests were routed"));
        }
        // Whoever comes next, on a connection that the proxy may use again, gets an answer to their own question.
        let next = exchange(proxy.address, me.as_bytes()).await;
        if !next.starts_with("HTTP/1.1 401") {
            wrong.push(format!("after {request:?}: {next}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(through > 0, "something came through, so the count is not blind");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled_past_nginx() {
    smuggle(Proxy::nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_smuggled_past_caddy() {
    smuggle(Proxy::caddy).await;
}
