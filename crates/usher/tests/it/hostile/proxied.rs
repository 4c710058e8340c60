//! The same requests through a proxy: whatever it makes of them, the server reads as many as it does, and nobody gets
//! another one's answer.

use super::heads::{INSIDE, corpus};
use crate::support::app::TestApp;
use crate::support::proxy::Proxy;
use crate::support::server::{PATIENCE, Server};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use usher::ops::RequestLabels;

/// Silence after which nothing more is expected, unless an answer is still owed.
const SILENCE: Duration = Duration::from_millis(60);

/// How many requests the server has answered, at the routes that a smuggled one could reach.
fn routed(app: &TestApp) -> usize {
    let of = |route: &str, status| {
        let labels = RequestLabels { route: route.to_owned(), status };
        usize::try_from(app.app.metrics.requests.get_or_create(&labels).get()).unwrap()
    };
    let statuses = ["2xx", "3xx", "4xx", "5xx"];
    ["/login", "none"].into_iter().flat_map(|route| statuses.map(|status| of(route, status))).sum()
}

/// A connection to the proxy, and all that it was answered. Our half stays open: a proxy drops the request of a client
/// that seems to be gone.
struct Line {
    stream: TcpStream,
    heard: Vec<u8>,
    ended: bool,
}

impl Line {
    async fn saying(proxy: SocketAddr, bytes: &[u8]) -> Line {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        // It may hang up before it has heard everything.
        let _ = stream.write_all(bytes).await;
        Line { stream, heard: Vec::new(), ended: false }
    }

    /// Listens until there is silence for so long, or the other end has hung up.
    async fn listen(&mut self, silence: Duration) {
        while let Ok(read) = timeout(silence, self.stream.read_buf(&mut self.heard)).await {
            if read.unwrap_or(0) == 0 {
                self.ended = true;
                return;
            }
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    /// How many answers came: heads, or bodies where one is sent without a head, as HTTP/0.9 has it.
    fn answers(&self) -> usize {
        let text = self.text();
        let count = |what: &str| text.matches(what).count();
        (count("HTTP/1.1 ") + count("HTTP/1.0 ")).max(count("<!doctype html>") + count("\"about:blank\""))
    }
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
        let mut line = Line::saying(proxy.address, request.as_bytes()).await;
        line.listen(SILENCE).await;
        // An answer may be late.
        for _ in 0..300 {
            if routed(&app) - before <= line.answers() || line.ended {
                break;
            }
            line.listen(SILENCE).await;
        }
        let (read, answers) = (routed(&app) - before, line.answers());
        through += read;
        if read > answers {
            wrong.push(format!("{request:?}: {answers} answers, but {read} requests were routed"));
        }
        // Whoever comes next, on a connection that the proxy may use again, gets an answer to their own question.
        let mut next = Line::saying(proxy.address, me.as_bytes()).await;
        next.listen(PATIENCE).await;
        if !next.text().starts_with("HTTP/1.1 401") {
            wrong.push(format!("after {request:?}: {}", next.text()));
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
