//! `usher health`: asks the server on this machine whether it is ready, for containers that have no other program to ask
//! with.

use super::place::Place;
use super::stop::{Code, Stop};
use super::{Common, print_line};
use crate::config::{Overrides, Strings};
use http::Request;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;

/// What the answer may take; whoever supervises asks again soon.
const PATIENCE: Duration = Duration::from_secs(4);

pub async fn run(common: &Common, env: &Strings) -> Result<(), Stop> {
    let place = Place::find(common, Overrides::default(), env)?;
    let Some(address) = place.config.server.ops_listen.map(on_this_machine) else {
        return Err(Stop::refused("nobody can be asked: server.ops_listen is off"));
    };
    let unready = |why: String| Stop::new(Code::Unavailable, "not_ready", format!("{address}: {why}"));
    match tokio::time::timeout(PATIENCE, ask(address)).await {
        Ok(Ok(200)) => {
            print_line(&if common.json { json!({ "ready": true }).to_string() } else { "ready".to_owned() });
            Ok(())
        }
        Ok(Ok(status)) => Err(unready(format!("not ready (it answers {status})"))),
        Ok(Err(why)) => Err(unready(why)),
        Err(_) => Err(unready("it does not answer".to_owned())),
    }
}

/// Where this machine reaches a listener that may listen everywhere.
fn on_this_machine(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        named => named,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(address: SocketAddr) -> Result<u16, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let driver = tokio::spawn(connection);
    let request = Request::get("/health/ready").header("host", "localhost").body(Empty::<bytes::Bytes>::new());
    let answer = sender.send_request(request.map_err(|error| error.to_string())?).await;
    driver.abort();
    answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string())
}
