//! `/m/{token}/{path}`: from a request to bytes, in one order.
//!
//! The token's form, its key, its MAC over the very bytes that are opened; then, and only then, whether its
//! grant lives, whether its time is over, whether its owner still has the bucket, and last whether there is a
//! file. Nothing before the MAC depends on grants or files, so that an address that was made up learns
//! nothing. The path is taken from the request target as it was sent: whoever decodes it first decides what
//! is opened.
//!
//! A transfer is registered before its grant is asked for. An end of the grant forgets the grant first and
//! stops its transfers second, so that every transfer either sees the end or is seen by it.

use super::buckets::Bucket;
use super::disk;
use super::kind::{self, ContentType};
use super::path::CanonicalPath;
use super::probe::ReadAt;
use super::root::{OpenError, OpenFile, Root};
use super::send::{self, FileBody, Meta, Refusal};
use super::token::{Token, Verified};
use super::transfers::Cancel;
use super::{lease, urls};
use crate::cx::Cx;
use crate::gate;
use crate::ops::Metrics;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderValue, Method, Version};
use http_body::{Body, Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// The longest request target that is looked at, in bytes.
const LONGEST_TARGET: usize = 8 * 1024;

/// Answers everything under `/m/`, as the route table has it.
pub async fn deliver(cx: Cx, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    respond(&cx, &parts).await.map(axum::body::Body::new)
}

/// Answers everything under `/m/`.
pub async fn respond(cx: &Cx, parts: &Parts) -> http::Response<Metered> {
    let response = match parts.method {
        Method::OPTIONS => send::preflight(),
        Method::GET | Method::HEAD => answer(cx, parts).await.unwrap_or_else(|refusal| refuse(refusal, parts)),
        _ => send::refuse(Refusal::Method),
    };
    response.map(|body| Metered::new(body, &cx.app.metrics))
}

/// The refusal, and the end of a connection whose client does not take no for an answer.
fn refuse(refusal: Refusal, parts: &Parts) -> http::Response<FileBody> {
    let mut response = send::refuse(refusal);
    let over = matches!(refusal, Refusal::Forbidden | Refusal::Revoked | Refusal::Expired | Refusal::TooMany(_));
    // HTTP/2 has no such field (RFC 9113 section 8.2.2).
    if over && parts.version < Version::HTTP_2 {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn answer(cx: &Cx, parts: &Parts) -> Result<http::Response<FileBody>, Refusal> {
    let target = parts.uri.path().len() + parts.uri.query().map_or(0, |query| query.len() + 1);
    if target > LONGEST_TARGET {
        return Err(Refusal::TooLong);
    }
    let (token, path) = split(parts.uri.path()).ok_or(Refusal::NotFound)?;
    let token = Token::parse(token)?;
    let path = CanonicalPath::decode(path.as_bytes())?;
    let media = &cx.app.media;
    let url = token.verify(&media.keys, &path, cx.now)?;
    if let Some(wait) = media.dead.wait(&url.id, cx.now) {
        return Err(Refusal::TooMany(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1)));
    }
    let cancel = parts.extensions.get::<Cancel>().cloned().unwrap_or_default();
    let guard = media.transfers.register_with(url.fields.gid, cancel);
    let bucket = standing(cx, &url).await.inspect_err(|_| media.dead.refused(&url.id, cx.now))?;
    let download = wants_download(parts.uri.query());
    if download && !url.fields.download {
        return Err(Refusal::Forbidden);
    }
    let (file, content) = open(&bucket.root()?, &path).await.inspect_err(|error| {
        if let OpenError::Failed(errno) = error {
            tracing::error!(url = ?token, bucket = bucket.name, %errno, "a file could not be opened");
        }
    })?;
    let meta = Meta { name: path.name().unwrap_or_default(), content, download };
    Ok(send::answer(file, parts, &meta, guard, cx.now))
}

/// The token and the path after it, both as they were sent.
fn split(target: &str) -> Option<(&str, &str)> {
    let rest = target.strip_prefix("/m/")?;
    Some(rest.split_once('/').unwrap_or((rest, "")))
}

/// Whether a URL whose MAC held may be used now, and the bucket that it reads.
async fn standing(cx: &Cx, url: &Verified) -> Result<Arc<Bucket>, Refusal> {
    let media = &cx.app.media;
    let rights = gate::admit_grant(cx, url.fields.gid).await.map_err(|refusal| match refusal {
        gate::Refusal::Unavailable => Refusal::Busy,
        _ => Refusal::Revoked,
    })?;
    if url.fields.generation != urls::GENERATION {
        return Err(Refusal::Revoked);
    }
    if media.leases.used(&url.id, url.fields.exp, cx.now) == lease::Standing::Expired {
        return Err(Refusal::Expired);
    }
    if !url.admits(&media.keys, cx.request.address, cx.now) {
        return Err(Refusal::Forbidden);
    }
    let bucket = media.buckets.numbered(url.fields.bucket);
    bucket.filter(|bucket| rights.buckets.contains(&bucket.name)).ok_or(Refusal::Forbidden)
}

fn wants_download(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|pair| pair == "dl=1"))
}

/// Opens a file and finds out its type: here when the kernel knows the way by heart, else where waiting
/// harms nobody.
async fn open(root: &Arc<Root>, path: &CanonicalPath) -> Result<(OpenFile, ContentType), OpenError> {
    let name = path.name().unwrap_or_default();
    if !kind::needs_head(name)
        && let Some(file) = root.open_remembered(path)
    {
        return Ok((file, kind::of_name(name)));
    }
    let (root, path) = (root.clone(), path.clone());
    disk::opening(move || open_and_look(&root, &path)).await
}

/// Opens a file and reads as much of it as its type depends on. Blocks.
pub(super) fn open_and_look(root: &Root, path: &CanonicalPath) -> Result<(OpenFile, ContentType), OpenError> {
    let file = root.open_file(path)?;
    let name = path.name().unwrap_or_default();
    let mut head = [0; kind::HEAD];
    // A head that cannot be read says nothing; sending the file will tell the reason.
    let length = if kind::needs_head(name) { file.read_at(&mut head, 0).unwrap_or(0) } else { 0 };
    let content = kind::of(name, head.get(..length).unwrap_or_default());
    Ok((file, content))
}

/// The body of an answer, counted while it is sent when it is a file.
pub struct Metered {
    body: FileBody,
    count: Option<Count>,
}

struct Count {
    bytes: Counter,
    under_way: Gauge,
}

impl Drop for Count {
    fn drop(&mut self) {
        self.under_way.dec();
    }
}

impl Metered {
    fn new(body: FileBody, metrics: &Metrics) -> Metered {
        let count = body.is_file().then(|| {
            metrics.transfers.inc();
            Count { bytes: metrics.media_bytes.clone(), under_way: metrics.transfers.clone() }
        });
        Metered { body, count }
    }

    /// Whether it is a file, or a piece of one.
    pub fn is_file(&self) -> bool {
        self.body.is_file()
    }

    /// Sends what is left of the file from the kernel's memory; see [`FileBody::send_to`].
    pub async fn send_to(&mut self, socket: &TcpStream) -> Result<(), send::SendError> {
        let Metered { body, count } = self;
        let counted = |sent| {
            if let Some(count) = count {
                count.bytes.inc_by(sent);
            }
        };
        body.send_to(socket, counted).await
    }
}

impl Body for Metered {
    type Data = Bytes;
    type Error = send::SendError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, send::SendError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(count)) = (&polled, &self.count)
            && let Some(piece) = frame.data_ref()
        {
            count.bytes.inc_by(u64::try_from(piece.len()).unwrap_or(0));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
