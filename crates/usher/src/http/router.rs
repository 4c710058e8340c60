//! The route table.

use super::{assets, context, cors, csrf, failure, headers, page};
use crate::App;
use crate::login::{api as login_api, pages as login_pages};
use crate::media::{api as media_api, deliver, pages as media_pages};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use http::StatusCode;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The largest body of a request that uploads nothing.
const BODY_LIMIT: usize = 64 * 1024;

/// Everything the server answers.
pub fn build(app: &Arc<App>) -> Router {
    let (api, document) = api().split_for_parts();
    Router::new()
        .merge(pages())
        .merge(library())
        .merge(api)
        // The address is the credential: no cookie, no cross-site rule, and methods are refused as players expect.
        .route("/m/{*rest}", any(deliver::deliver))
        .merge(super::openapi::routes(document))
        .route("/static/{hash}/{name}", get(assets::serve))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_like_this)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(headers::protect))
        .layer(from_fn_with_state(app.clone(), context::establish))
        .with_state(())
}

fn pages() -> Router {
    Router::new()
        .route("/", get(|| async { page::onward("/library") }))
        .route("/setup", get(login_pages::setup_page).post(login_pages::setup))
        .route("/setup/{token}", get(login_pages::take_setup))
        .route("/login", get(login_pages::login_page).post(login_pages::login))
        .route("/signup", get(login_pages::signup_page).post(login_pages::signup))
        .route("/signup/{token}", get(login_pages::take_invite))
        .route("/reset", get(login_pages::reset_page).post(login_pages::reset))
        .route("/reset/{token}", get(login_pages::take_reset))
        .route("/logout", get(login_pages::logout_page).post(login_pages::logout))
        .layer(from_fn(csrf::protect))
        .layer(from_fn(page::failures))
}

fn library() -> Router {
    let pages = Router::new()
        .route("/library", get(media_pages::library))
        .route("/library/", get(|| async { page::onward("/library") }))
        .route("/library/{*path}", get(media_pages::entry))
        .layer(from_fn(page::failures));
    // The player asks for this, and wants an answer it can read rather than a page to log in.
    pages.route("/renew/{*path}", get(media_pages::renew)).layer(from_fn(csrf::protect))
}

fn media_api() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(media_api::buckets))
        .routes(routes!(media_api::entries))
        .layer(from_fn(csrf::protect))
}

fn api() -> OpenApiRouter {
    // The routes that a registered app's page may call from its own origin.
    let shared = OpenApiRouter::new()
        .routes(routes!(login_api::login))
        .routes(routes!(login_api::refresh))
        .routes(routes!(login_api::logout))
        .routes(routes!(login_api::token))
        .layer(from_fn(csrf::protect))
        .layer(from_fn(cors::share));
    OpenApiRouter::new().merge(shared).merge(media_api())
}

async fn nothing_here() -> Response {
    failure::Failure::not_found().into_response()
}

async fn not_like_this() -> Response {
    failure::Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This address does not take that method.",
    )
    .into_response()
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    failure::Failure::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "Something went wrong on the server. The log tells what, under this request's id.",
    )
    .into_response()
}
