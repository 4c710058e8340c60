//! What stands around every answer, in one future: the context, the protective headers, the end of a panic, the count.
//!
//! The routes behind it are a table of boxed services, and each layer around such a table is one more allocation and
//! one more copy of everything inside it, for every request. So what all answers share stands here, before the table.
//! The few routes that are asked for most do not pass through the table at all: their handlers, the very ones that the
//! table names, are called from here with the extractors they declare. Who is admitted is decided by those, in both ways.

use super::{context, failure, headers};
use crate::App;
use crate::audit::refused::Refused;
use crate::cx::Cx;
use crate::http::accept::{Outgoing, Peer, Sending};
use crate::media::api as media_api;
use crate::media::deliver::{self, Metered};
use crate::time::Time;
use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower::{Service, ServiceExt};
use tracing::{Instrument, Span};

/// Everything the server answers.
#[derive(Clone)]
pub struct Front {
    app: Arc<App>,
    routes: Router,
}

/// The pattern that a request's path matched, in the extensions of its answer.
#[derive(Clone)]
struct Route(MatchedPath);

/// Tells [`Front`] which route answered. A layer of the table, because only the table knows.
pub async fn name_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

impl Front {
    /// Before `routes`, which tell their names by [`name_route`].
    pub fn new(app: &Arc<App>, routes: Router) -> Front {
        Front { app: app.clone(), routes }
    }

    async fn answer(self, request: Request) -> Response<Answer> {
        let Front { app, routes } = self;
        let id = app.request_names.next();
        let cx = match context::establish(&app, &request, &id) {
            Ok(cx) => cx,
            Err(failure) => {
                let address = request.extensions().get::<Peer>().map(|peer| peer.addr.ip().to_string());
                let told = refused(&failure, app.clock.now(), format!("{} none", request.method()));
                app.refusals.note(Refused { request: id, address: address.unwrap_or_default(), ..told });
                let mut response = failure.into_response().map(Answer::Made);
                headers::add(&mut response, context::peer_speaks_tls(&request));
                app.metrics.request("none", response.status());
                return response;
            }
        };
        let (secure, now, asked, method) = (cx.request.secure(), cx.now, cx.request.clone(), request.method().clone());
        // Whatever a change logs carries its request's id. What is only read logs next to nothing, and is asked for most.
        let span =
            if request.method().is_safe() { Span::none() } else { tracing::info_span!("request", request = %id) };
        let (route, answered) = match Hot::of(&request) {
            Some(hot) => (Some(hot.route()), AssertUnwindSafe(hot.answer(cx, request)).catch_unwind().await),
            None => (None, AssertUnwindSafe(through(routes, cx, request)).catch_unwind().instrument(span).await),
        };
        let mut response = answered.unwrap_or_else(|_| panicked().map(Answer::Made));
        headers::add(&mut response, secure);
        match (route, response.extensions().get::<Route>()) {
            (Some(route), _) => app.metrics.request(route, response.status()),
            (None, Some(Route(route))) => app.metrics.request(route.as_str(), response.status()),
            (None, None) => app.metrics.request("none", response.status()),
        }
        if let Some(failure) = response.extensions().get::<failure::Failure>() {
            failure.log(&id);
            let pattern = match (route, response.extensions().get::<Route>()) {
                (Some(route), _) => route,
                (None, Some(Route(route))) => route.as_str(),
                (None, None) => "none",
            };
            let told = refused(failure, now, format!("{method} {pattern}"));
            let (why, address) = (asked.why.get().cloned(), asked.address.to_string());
            app.refusals.note(Refused { request: id.clone(), why, address, ..told });
        }
        if let Ok(value) = id.try_into() {
            response.headers_mut().insert(headers::REQUEST_ID, value);
        }
        response
    }
}

/// What is kept of a refusal. The route is the pattern, never the address: that may hold a secret.
fn refused(failure: &failure::Failure, now: Time, route: String) -> Refused {
    Refused {
        request: String::new(),
        at: now,
        route,
        status: failure.status.as_u16(),
        code: failure.code.to_owned(),
        told: failure.public.clone(),
        why: None,
        address: String::new(),
    }
}

/// The routes that are asked for most.
#[derive(Clone, Copy)]
enum Hot {
    Buckets,
    Media,
}

impl Hot {
    /// Which of them would answer this request, if one does. What the table answers otherwise than by a handler (another
    /// method, a missing path) is left to it.
    fn of(request: &Request) -> Option<Hot> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/api/v1/buckets") => Some(Hot::Buckets),
            (_, path) if path.len() > "/m/".len() && path.starts_with("/m/") => Some(Hot::Media),
            _ => None,
        }
    }

    /// Its pattern in the table, for the count.
    fn route(self) -> &'static str {
        match self {
            Hot::Buckets => "/api/v1/buckets",
            Hot::Media => "/m/{*rest}",
        }
    }

    async fn answer(self, cx: Cx, mut request: Request) -> Response<Answer> {
        match self {
            Hot::Buckets => {
                request.extensions_mut().insert(cx);
                media_api::buckets.call(request, ()).await.map(Answer::Made)
            }
            Hot::Media => deliver::respond(&cx, &request.into_parts().0).await.map(Answer::File),
        }
    }
}

async fn through(routes: Router, cx: Cx, mut request: Request) -> Response<Answer> {
    request.extensions_mut().insert(cx);
    let Ok(response) = routes.oneshot(request).await;
    response.map(Answer::Made)
}

/// The body of an answer.
pub enum Answer {
    /// Whatever a handler made.
    Made(Body),
    /// What was asked for under `/m/`.
    File(Metered),
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Answer::Made(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Answer::File(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Made(body) => body.is_end_stream(),
            Answer::File(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Made(body) => body.size_hint(),
            Answer::File(body) => body.size_hint(),
        }
    }
}

impl Outgoing for Answer {
    fn send_file<'a>(&'a mut self, socket: &'a TcpStream) -> Option<Sending<'a>> {
        match self {
            Answer::File(body) if body.is_file() => {
                Some(Box::pin(async { body.send_to(socket).await.map_err(Into::into) }))
            }
            _ => None,
        }
    }
}

fn panicked() -> Response {
    failure::Failure::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong on the server. The log tells what, under this request's id.",
    )
    .into_response()
}

impl<B> Service<http::Request<B>> for Front
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let answer = self.clone().answer(request.map(Body::new));
        Box::pin(async { Ok(answer.await) })
    }
}
