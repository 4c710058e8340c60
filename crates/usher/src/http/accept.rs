//! The accept loop: our own, so that every bound on a connection stands in one place.
//!
//! Plain connections speak HTTP/1.1; under TLS the handshake (ALPN, RFC 7301) chooses HTTP/2 or HTTP/1.1. HTTP/2 in
//! clear is not served: no browser speaks it, and a second way to frame the same bytes is what smuggling lives on.
//! Beyond the connection cap new connections are closed at once, so that those inside are served. A process that is
//! out of file descriptors waits and recovers. Shutdown lets answers under way finish, then cuts what is left.
//! An HTTP/1.1 connection carries one answer at a time, so whoever sends one may cut it: its requests carry a
//! [`Cancel`], and telling it drops the connection even when nobody reads from it. On HTTP/2 other answers share the
//! connection; there a stopped body resets its own stream, and only a reader who does not let it end loses the
//! connection. Whoever takes nothing of an answer for a while is hung up on in either: a player that was paused asks
//! again, from where it was.

mod answers;
mod date;
mod direct;
pub mod framing;
mod head;
mod limits;
mod signal;
mod timed;
mod wire;

pub use limits::{Limits, Local, Peer};
pub use timed::{Timed, TooSlow};

use super::tls::Certificates;
use crate::media::transfers::Cancel;
use answers::{Answers, Watched};
use bytes::Bytes;
use direct::Stream;
use framing::Framed;
use head::HeadTimer;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use signal::Beside;
use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tower::{Service, ServiceExt};
use wire::{Line, Wire};

/// What a service is given.
pub type Asked = Request<Timed<Incoming>>;

/// The body of an answer.
pub trait Outgoing: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + Unpin + 'static {
    /// Sends a file, or a piece of one, from the kernel's memory to `socket`. None when the body is no file, or the
    /// system cannot do that; then it is read like any other.
    fn send_file<'a>(&'a mut self, _socket: &'a TcpStream) -> Option<Sending<'a>> {
        None
    }
}

/// A file on its way, until its last byte was taken.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'a>>;

impl Outgoing for axum::body::Body {}

#[cfg(test)]
impl Outgoing for String {}

/// Where connections come from.
pub enum Listener {
    /// Plain TCP.
    Plain(TcpListener),
    /// TCP under TLS, with whatever certificate is current when the handshake begins.
    Tls(TcpListener, Arc<Certificates>),
    /// The control socket: only the process's own user and root are heard.
    Control(UnixListener),
}

/// Binds the control socket at `path`, for its owner only (0600). The caller holds the lock on the data directory, so
/// a socket left behind by a dead process is in nobody's use. Anything else at `path` is left alone and refused.
pub fn bind_control(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "not a socket, and not ours to remove")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    // Until this line the mode of the directory (0700) guards the socket, and after it both do.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serves until `shutdown`, then drains. True when every connection ended by itself, false when some were cut.
pub async fn serve<S, B>(
    listeners: Vec<Listener>,
    service: S,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> bool
where
    S: Service<Asked, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Outgoing,
{
    let (phase, heard) = watch::channel(Phase::Open);
    let (alive, mut all_gone) = mpsc::channel::<Infallible>(1);
    let hall = Hall {
        service,
        limits,
        places: Arc::new(Semaphore::new(limits.max_connections)),
        control_places: Arc::new(Semaphore::new(limits.max_control_connections)),
        phase: heard,
        alive,
    };
    let accepting = futures_util::future::join_all(listeners.into_iter().map(|listener| hall.accept_all(listener)));
    // Whichever ends, the listeners are closed with it: nobody is accepted whom nobody will answer.
    tokio::select! {
        _ = accepting => {}
        () = shutdown => {}
    }
    drop(hall);
    phase.send_replace(Phase::Closing);
    let finished = tokio::time::timeout(limits.drain, all_gone.recv()).await.is_ok();
    phase.send_replace(Phase::Cut);
    all_gone.recv().await;
    finished
}

/// How far the shutdown has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// Answers under way finish; nothing new begins.
    Closing,
    /// The time for that is over.
    Cut,
}

/// What every connection shares.
#[derive(Clone)]
struct Hall<S> {
    service: S,
    limits: Limits,
    places: Arc<Semaphore>,
    control_places: Arc<Semaphore>,
    phase: watch::Receiver<Phase>,
    /// Held by every connection; the channel closes when the last has gone.
    alive: mpsc::Sender<Infallible>,
}

impl<S, B> Hall<S>
where
    S: Service<Asked, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Outgoing,
{
    async fn accept_all(&self, listener: Listener) {
        let mut pause = Pause::default();
        loop {
            let accepted = match &listener {
                Listener::Plain(tcp) => tcp.accept().await.map(|(stream, addr)| self.admit_tcp(stream, addr, None)),
                Listener::Tls(tcp, certificates) => {
                    tcp.accept().await.map(|(stream, addr)| self.admit_tcp(stream, addr, Some(certificates)))
                }
                Listener::Control(unix) => unix.accept().await.map(|(stream, _)| self.admit_control(stream)),
            };
            match accepted {
                Ok(()) => pause = Pause::default(),
                Err(error) => pause.after(&error).await,
            }
        }
    }

    fn admit_tcp(&self, stream: TcpStream, addr: std::net::SocketAddr, certificates: Option<&Arc<Certificates>>) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            tracing::debug!(target: "usher::accept", %addr, "refused: all connections are in use");
            return;
        };
        self.prepare(&stream);
        match certificates {
            None => self.spawn(place, self.clone().plain(stream, Peer { addr, tls: false })),
            Some(certificates) => {
                let acceptor = tokio_rustls::TlsAcceptor::from(certificates.current());
                self.spawn(place, self.clone().tls(stream, acceptor, Peer { addr, tls: true }));
            }
        }
    }

    /// Small answers leave at once, a peer that has vanished is noticed, and one that takes nothing is given up
    /// (RFC 5482, and on Linux a closed window too). None of it is worth refusing a connection for.
    fn prepare(&self, stream: &TcpStream) {
        let unread = u32::try_from(self.limits.unread.as_millis()).unwrap_or(u32::MAX);
        let _ = stream.set_nodelay(true);
        let _ = rustix::net::sockopt::set_socket_keepalive(stream, true);
        let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, unread);
    }

    fn admit_control(&self, stream: UnixStream) {
        let Ok(place) = Arc::clone(&self.control_places).try_acquire_owned() else { return };
        let own = rustix::process::geteuid().as_raw();
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == own || peer.uid() == 0 => {
                let caller = Caller::Local(Local { uid: peer.uid() });
                let wire = Wire::new(stream, Cancel::new());
                let line = wire.line();
                self.spawn(place, self.clone().http1(wire, caller, line, Cancel::new()));
            }
            Ok(peer) => tracing::warn!(target: "usher::accept", uid = peer.uid(), "refused at the control socket"),
            Err(error) => tracing::warn!(target: "usher::accept", %error, "refused at the control socket"),
        }
    }

    fn spawn(&self, place: OwnedSemaphorePermit, connection: impl Future<Output = ()> + Send + 'static) {
        let alive = self.alive.clone();
        let (phase, mut heard) = (self.phase.clone(), self.phase.clone());
        let mut cut = Beside::new(async move {
            let _ = heard.wait_for(|phase| *phase == Phase::Cut).await;
        });
        tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            poll_fn(|cx| {
                let over = connection.as_mut().poll(cx).is_ready()
                    || cut.poll(cx, || *phase.borrow() != Phase::Open).is_ready();
                if over { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
            drop((place, alive));
        });
    }

    async fn plain(self, stream: TcpStream, peer: Peer) {
        let cut = Cancel::new();
        let wire = Wire::new(stream, cut.clone());
        let line = wire.line();
        self.direct(wire, peer, line, cut).await;
    }

    /// HTTP/1.1 of a client on the network: here as long as it is simple, then by the library.
    async fn direct<I: Stream + 'static>(self, stream: I, peer: Peer, line: Arc<Line>, cut: Cancel) {
        let signals = (&cut, self.phase.clone());
        let handed = direct::converse(stream, peer, self.service.clone(), self.limits, signals).await;
        if let Some(stream) = handed {
            self.http1(stream, Caller::Remote(peer), line, cut).await;
        }
    }

    async fn tls(mut self, stream: TcpStream, acceptor: tokio_rustls::TlsAcceptor, peer: Peer) {
        let cut = Cancel::new();
        let wire = Wire::new(stream, cut.clone());
        let line = wire.line();
        let handshake = tokio::time::timeout(self.limits.handshake, acceptor.accept(wire));
        // A shutdown does not wait for those who have not said anything yet.
        let handshake = tokio::select! {
            handshake = handshake => handshake,
            _ = self.phase.wait_for(|phase| *phase >= Phase::Closing) => return,
        };
        let mut stream = match handshake {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(target: "usher::accept", addr = %peer.addr, %error, "no TLS"),
            Err(_) => return tracing::debug!(target: "usher::accept", addr = %peer.addr, "no TLS in time"),
        };
        // What was encrypted and not sent is all that a slow reader holds of ours: a piece of a file, not several.
        stream.get_mut().1.set_buffer_limit(Some(crate::media::send::PIECE));
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            self.http2(stream, Caller::Remote(peer), cut).await;
        } else {
            self.direct(stream, peer, line, cut).await;
        }
    }

    async fn http1<I>(self, stream: I, caller: Caller, line: Arc<Line>, cut: Cancel)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = self.limits;
        let guarded = Guarded { service: self.service, caller, limits, stop: Stop::Connection(cut.clone()) };
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(HeadTimer::new(limits.head, limits.idle, Arc::clone(&line)))
            .header_read_timeout(limits.head)
            .max_header_size(limits.head_bytes)
            .max_headers(limits.head_fields)
            .max_buf_size(limits.buffer)
            .serve_connection(TokioIo::new(Framed::new(stream)), guarded);
        tokio::select! {
            () = converse(connection, self.phase) => {}
            () = cut.cancelled() => tracing::debug!(target: "usher::accept", "connection cut"),
        }
    }

    async fn http2<I>(self, stream: I, caller: Caller, cut: Cancel)
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let limits = self.limits;
        let answers = Arc::new(Answers::default());
        let guarded = Guarded { service: self.service, caller, limits, stop: Stop::Answer(Arc::clone(&answers)) };
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.streams)
            .max_pending_accept_reset_streams(limits.resets)
            .max_local_error_reset_streams(limits.resets)
            .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
            .initial_stream_window_size(65_535)
            .initial_connection_window_size(1 << 20)
            .max_send_buf_size(limits.buffer)
            .keep_alive_interval(limits.idle / 2)
            .keep_alive_timeout(limits.idle / 2)
            .serve_connection(TokioIo::new(stream), guarded);
        tokio::select! {
            () = converse(connection, self.phase) => {}
            () = answers.stalled(limits.unread_answer) => {
                tracing::debug!(target: "usher::accept", "hung up: an answer is not read");
                // The wire, dropped next, throws away what is left for its reader.
                cut.cancel();
            }
        }
    }
}

/// Drives a connection to its end; from the closing on it answers what it has begun and takes nothing new.
async fn converse<C>(connection: C, mut phase: watch::Receiver<Phase>)
where
    C: GracefulConnection,
    C::Error: std::fmt::Display,
{
    let mut connection = std::pin::pin!(connection);
    let closing = async {
        // The sender outlives every connection; should it not, there is nothing left to wait for.
        let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(target: "usher::accept", %error, "connection ended");
    }
}

/// How long to wait after a failed accept: not at all when the one connection failed, longer and longer when the
/// machine is out of something (EMFILE, ENFILE, ENOBUFS, ENOMEM).
#[derive(Default)]
struct Pause(Duration);

impl Pause {
    async fn after(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
            return;
        }
        let first = self.0.is_zero();
        self.0 = (self.0 * 2).clamp(Duration::from_millis(20), Duration::from_secs(1));
        if first {
            tracing::error!(target: "usher::accept", %error, "cannot accept connections; waiting");
        }
        tokio::time::sleep(self.0).await;
    }
}

#[derive(Clone, Copy)]
enum Caller {
    Remote(Peer),
    Local(Local),
}

/// Tells the service who is calling, and refuses what the HTTP/2 library has no bound for.
struct Guarded<S> {
    service: S,
    caller: Caller,
    limits: Limits,
    stop: Stop,
}

/// How an answer is stopped from outside.
enum Stop {
    /// With its connection, where that harms nobody else.
    Connection(Cancel),
    /// By itself, among others.
    Answer(Arc<Answers>),
}

type Answer<B> = Response<Watched<B>>;

impl<S, B> hyper::service::Service<Request<Incoming>> for Guarded<S>
where
    S: Service<Asked, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Answer<B>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Answer<B>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        if request.headers().len() > self.limits.head_fields {
            let mut refusal = Response::new(Watched::empty());
            *refusal.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Box::pin(std::future::ready(Ok(refusal)));
        }
        let limit = self.limits.body;
        let mut request = request.map(|body| Timed::new(body, limit));
        match self.caller {
            Caller::Remote(peer) => request.extensions_mut().insert(peer).map(|_| ()),
            Caller::Local(local) => request.extensions_mut().insert(local).map(|_| ()),
        };
        let watched = match &self.stop {
            Stop::Connection(cut) => {
                request.extensions_mut().insert(cut.clone());
                None
            }
            Stop::Answer(answers) => {
                let answer = answers.expect();
                request.extensions_mut().insert(answer.stop());
                Some((Arc::clone(answers), answer))
            }
        };
        let answer = self.service.clone().oneshot(request);
        Box::pin(async move {
            let response = answer.await?;
            let watched = watched.map(|(answers, answer)| {
                answers.begin(&answer);
                answer
            });
            Ok(response.map(|body| Watched::new(body, watched)))
        })
    }
}

#[cfg(test)]
mod tests;
