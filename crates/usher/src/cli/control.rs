//! The control socket: how a command reaches the server that holds the database.
//!
//! One command in, one result out, as JSON over HTTP/1.1. The socket (0600, in a directory of mode 0700) is the
//! credential, and the accept loop has asked the kernel whose process is at the other end.

use super::commands::{self, Command, CommandError, Output};
use super::stop::{Code, Stop};
use crate::App;
use crate::http::accept::Local;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::net::UnixStream;

/// The longest command, in bytes: a whole declaration, each character of it escaped.
const LONGEST: usize = 1024 * 1024;

type Answer = Result<Output, CommandError>;

/// What the server answers at the control socket. Apart from the public routes, so that neither can reach the other.
pub fn router(app: &Arc<App>) -> Router {
    Router::new().route("/control", post(take)).layer(DefaultBodyLimit::max(LONGEST)).with_state(app.clone())
}

async fn take(State(app): State<Arc<App>>, local: Option<Extension<Local>>, Json(command): Json<Command>) -> Response {
    let Some(Extension(local)) = local else { return StatusCode::NOT_FOUND.into_response() };
    tracing::info!(target: "usher::control", command = command.name(), uid = local.uid, "command");
    let answer: Answer = commands::run(&app, command).await;
    Json(answer).into_response()
}

/// Whether a server is behind `socket`.
pub async fn answers(socket: &Path) -> Result<bool, Stop> {
    Ok(connect(socket).await?.is_some())
}

/// A connection. `None` when there is no server: no socket, or one that a dead process left.
async fn connect(socket: &Path) -> Result<Option<UnixStream>, Stop> {
    match UnixStream::connect(socket).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(unreachable(socket, error)),
    }
}

/// Asks the server behind `socket`. `None` when there is none.
pub async fn ask(socket: &Path, command: &Command) -> Result<Option<Answer>, Stop> {
    let Some(stream) = connect(socket).await? else { return Ok(None) };
    // A stranger who could make a socket here would be told passwords. Root asks whom it names.
    let own = rustix::process::geteuid().as_raw();
    let server = stream.peer_cred().map_err(|error| unreachable(socket, error))?.uid();
    if ![server, 0].contains(&own) && server != 0 {
        let what = format!("it belongs to user {server} and this command runs as user {own}");
        return Err(unreachable(socket, what));
    }
    let failed = |error: hyper::Error| unreachable(socket, error);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let driver = tokio::spawn(connection);
    let body = serde_json::to_vec(command).map_err(|error| unreachable(socket, error))?;
    let request = Request::post("/control").header("host", "control").header("content-type", "application/json");
    let request = request.body(Full::<bytes::Bytes>::from(body)).map_err(|error| unreachable(socket, error))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(failed)?.to_bytes();
    driver.abort();
    if status != StatusCode::OK {
        let what = format!("it answered {status}; is the server another version than this command?");
        return Err(unreachable(socket, what));
    }
    serde_json::from_slice(&body).map(Some).map_err(|error| unreachable(socket, error))
}

fn unreachable(socket: &Path, error: impl std::fmt::Display) -> Stop {
    let message =
        format!("the server at {} could not be asked: {error}. Run this as the server's user", socket.display());
    Stop::new(Code::Unavailable, "server_unreachable", message)
}
