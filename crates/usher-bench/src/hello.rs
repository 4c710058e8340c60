//! The yardstick: axum with one route and nothing around it. What a server costs that does nothing.

use crate::Told;
use axum::Router;
use axum::routing::get;
use clap::Args;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// `usher-bench hello`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Where to answer
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
}

/// Serves until it is killed. The accept loop is the server's in kind: one task a connection, no delay, HTTP/1.1.
pub async fn run(arguments: Arguments) -> Told<()> {
    let router: Router = Router::new().route("/", get(|| async { "Hello, World!" }));
    let listener = TcpListener::bind(arguments.listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A driver that goes away is no event.
            let _ = connection.await;
        });
    }
}
