//! The yardstick: axum with one route and nothing around it. What a server costs that does nothing.

use crate::Told;
use axum::Router;
use axum::routing::get;
use clap::Args;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use usher::config::Tls;
use usher::http::tls::Certificates;

/// `usher-bench hello`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to answer
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// A certificate chain, PEM: then under TLS
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// Serves until it is killed. The accept loop is the server's in kind: one task a connection, no delay, HTTP/1.1.
pub async fn run(arguments: Arguments) -> Told<()> {
    let router: Router = Router::new().route("/", get(|| async { "Hello, World!" }));
    let listener = TcpListener::bind(arguments.listen).await?;
    let tls = match (arguments.cert, arguments.key) {
        // The server's own way to read a pair, so that both offer the same protocols and algorithms.
        (Some(cert), Some(key)) => Some(TlsAcceptor::from(Certificates::load(&Tls { cert, key })?.current())),
        _ => None,
    };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        match tls.clone() {
            None => drop(tokio::spawn(serve(stream, service))),
            Some(tls) => drop(tokio::spawn(async move {
                if let Ok(stream) = tls.accept(stream).await {
                    serve(stream, service).await;
                }
            })),
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, service: TowerToHyperService<Router>) {
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // A driver that goes away is no event.
    let _ = connection.await;
}
