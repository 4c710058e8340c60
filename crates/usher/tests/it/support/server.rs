//! The accept loop on a real loopback socket, and clients that send exactly the bytes a test gives them.

use super::app::TestApp;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;
use usher::config::Tls;
use usher::http::accept::{Limits, Listener, serve};
use usher::http::tls::Certificates;

/// What must come, comes within this time; a test that waits longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A server that listens until it is dropped.
pub struct Server {
    /// Where it listens.
    pub addr: SocketAddr,
    trust: Option<rustls::RootCertStore>,
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Serves the application in clear.
    pub async fn start(app: &TestApp) -> Server {
        Server::start_within(app, Limits::default()).await
    }

    /// The same within other limits.
    pub async fn start_within(app: &TestApp, limits: Limits) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        Server::serving(app, Listener::Plain(listener), addr, limits)
    }

    /// Serves the application under TLS, with a certificate of its own.
    pub async fn start_tls(app: &TestApp) -> Server {
        Server::start_tls_within(app, Limits::default()).await
    }

    /// The same within other limits.
    pub async fn start_tls_within(app: &TestApp, limits: Limits) -> Server {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = app.folder();
        let files = Tls { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
        std::fs::write(&files.cert, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        let mut trust = rustls::RootCertStore::empty();
        trust.add(made.cert.der().clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let certificates = Certificates::load(&files).unwrap();
        let server = Server::serving(app, Listener::Tls(listener, certificates), addr, limits);
        Server { trust: Some(trust), ..server }
    }

    fn serving(app: &TestApp, listener: Listener, addr: SocketAddr, limits: Limits) -> Server {
        let (stop, stopped) = oneshot::channel::<()>();
        let limits = Limits { drain: Duration::from_millis(50), ..limits };
        tokio::spawn(serve(vec![listener], app.router.clone(), limits, async {
            let _ = stopped.await;
        }));
        Server { addr, trust: None, _stop: stop }
    }

    /// A connection in clear.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// A connection under TLS that speaks `protocol` (`http/1.1`, `h2`).
    pub async fn connect_tls(&self, protocol: &str) -> TlsStream<TcpStream> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.trust.clone().unwrap())
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        connector.connect("localhost".try_into().unwrap(), self.connect().await).await.unwrap()
    }

    /// Sends these bytes and reads all that comes back until the connection ends.
    pub async fn raw(&self, bytes: &[u8]) -> Raw {
        self.raw_in_pieces(bytes, usize::MAX).await
    }

    /// The same, with the bytes in packets of this length.
    pub async fn raw_in_pieces(&self, bytes: &[u8], length: usize) -> Raw {
        let mut stream = self.connect().await;
        stream.set_nodelay(true).unwrap();
        for piece in bytes.chunks(length) {
            // Who has heard enough answers and hangs up before all was said.
            if stream.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut all = Vec::new();
        // A reset ends it too; what came before it counts.
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await;
        let _ = ended.unwrap_or_else(|_| panic!("no end of the answer to {}", bytes.escape_ascii()));
        Raw::parse(&all)
    }

    /// A GET of `target` as it stands, with further header lines, on a connection of its own.
    pub async fn get(&self, target: &str, lines: &[&str]) -> Raw {
        self.ask("GET", target, lines).await
    }

    /// Any method.
    pub async fn ask(&self, method: &str, target: &str, lines: &[&str]) -> Raw {
        self.raw(&request(method, target, lines, true)).await
    }
}

/// The bytes of a request.
pub fn request(method: &str, target: &str, lines: &[&str], close: bool) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str(if close { "Connection: close\r\n\r\n" } else { "\r\n" });
    text.into_bytes()
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub struct Raw {
    /// The status; 0 when the connection ended without one.
    pub status: u16,
    head: String,
    /// What follows the head.
    pub body: Vec<u8>,
}

impl Raw {
    fn parse(all: &[u8]) -> Raw {
        let end = all.windows(4).position(|four| four == b"\r\n\r\n").map_or(all.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&all[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Raw { status, head, body: all[end..].to_vec() }
    }

    /// What follows the head, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's text, empty when it is absent.
    pub fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next().unwrap_or("")
    }
}

/// Reads an answer's head from an open connection; what was read beyond it is returned.
pub async fn head(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> (String, usize) {
    let mut all = Vec::new();
    loop {
        let mut piece = [0; 2048];
        let length = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.expect("no head").unwrap();
        assert_ne!(length, 0, "the connection ended in the head");
        all.extend_from_slice(&piece[..length]);
        if let Some(at) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            return (String::from_utf8_lossy(&all[..at]).into_owned(), all.len() - at - 4);
        }
    }
}
