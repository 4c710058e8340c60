//! The route table.

use super::front::{self, Front};
use super::{assets, cors, csrf, door, failure, page};
use crate::App;
use crate::accounts::{api as accounts_api, pages as accounts_pages};
use crate::admin::{api as admin_api, pages as admin_pages};
use crate::cx::Cx;
use crate::devices::pages as device_pages;
use crate::login::api::factors as factors_api;
use crate::login::api::passkeys as passkeys_api;
use crate::login::pages::{letters as letter_pages, security, steps};
use crate::login::{api as login_api, pages as login_pages, signed};
use crate::media::{api as media_api, deliver, pages as media_pages};
use crate::oauth::{api as oauth_api, introspect};
use crate::sessions::api as sessions_api;
use crate::takeout::{self, api as takeout_api};
use crate::tokens::api as tokens_api;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::StatusCode;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The largest body of a request that uploads nothing.
const BODY_LIMIT: usize = 64 * 1024;

/// Everything the server answers.
pub fn build(app: &Arc<App>) -> Front {
    let (api, document) = api().split_for_parts();
    let routes = Router::new()
        .merge(pages())
        .merge(account_pages())
        .merge(link_pages())
        .merge(tv_pages())
        .merge(takeout_api(app))
        .merge(admin_pages())
        .merge(library())
        .merge(api)
        // The address is the credential: no cookie, no cross-site rule, and methods are refused as players expect.
        .route("/m/{*rest}", any(deliver::deliver))
        .merge(super::openapi::routes(document))
        .route("/static/{hash}/{name}", get(assets::serve))
        .fallback(nothing_here);
    dressed(app, routes)
}

/// Routes with what stands around all of them: what every answer shares, and the largest body.
pub fn dressed(app: &Arc<App>, routes: Router) -> Front {
    let routes = routes
        .method_not_allowed_fallback(not_like_this)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(from_fn(front::name_route));
    Front::new(app, routes)
}

fn pages() -> Router {
    Router::new()
        .route("/", get(|| async { page::onward("/library") }))
        .route("/setup", get(login_pages::setup_page).post(login_pages::setup))
        .route("/setup/{token}", get(login_pages::take_setup))
        .route("/login", get(login_pages::login_page).post(door::enter))
        .route("/login/code", get(steps::code_page).post(steps::code))
        .route("/signup", get(login_pages::signup_page).post(login_pages::signup))
        .route("/signup/{token}", get(login_pages::take_invite))
        .route("/reset", get(login_pages::reset_page).post(login_pages::reset))
        .route("/reset/{token}", get(login_pages::take_reset))
        .route("/recover", get(steps::recover_page).post(steps::recover))
        .route("/recover/{token}", get(login_pages::take_recover))
        .route("/forgot", get(letter_pages::forgot_page).post(letter_pages::forgot))
        .route("/verify", get(letter_pages::verify_page).post(letter_pages::verify))
        .route("/verify/{token}", get(letter_pages::take_verify))
        .route("/logout", get(login_pages::logout_page).post(login_pages::logout))
        .method_not_allowed_fallback(not_like_this)
        .layer(from_fn(csrf::protect))
        .layer(from_fn(page::failures))
}

fn library() -> Router {
    let pages = Router::new()
        .route("/library", get(media_pages::library))
        .route("/library/", get(|| async { page::onward("/library") }))
        .route("/library/{*path}", get(media_pages::entry))
        .route("/playlist/{*path}", get(media_pages::playlist))
        .method_not_allowed_fallback(not_like_this)
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

fn account_pages() -> Router {
    Router::new()
        .route("/account", get(accounts_pages::account_page))
        .route("/account/profile", post(accounts_pages::change_profile))
        .route("/account/verification", post(accounts_pages::verify_again))
        .route("/account/password", post(accounts_pages::change_password))
        .route("/account/again", post(security::prove_again))
        .route("/account/news", get(security::news_page).post(security::seen))
        .route("/account/security", get(security::security_page))
        .route("/account/security/totp", post(security::begin_totp))
        .route("/account/security/totp/confirm", post(security::confirm_totp))
        .route("/account/security/totp/remove", post(security::remove_totp))
        .route("/account/security/codes", post(security::new_codes))
        .route("/account/security/passkeys", post(security::register_passkey))
        .route("/account/security/passkeys/{id}/name", post(security::rename_passkey))
        .route("/account/security/passkeys/{id}/remove", post(security::remove_passkey))
        .route("/account/sessions/{id}/end", post(accounts_pages::end_session))
        .route("/account/sessions/end-others", post(accounts_pages::end_others))
        .route("/account/sessions/end-all", post(accounts_pages::end_all))
        .route("/account/signed-header", get(signed::pages::page).post(signed::pages::set))
        .route("/account/signed-header/remove", post(signed::pages::remove))
        .route("/account/tokens", post(accounts_pages::create_token))
        .route("/account/tokens/{id}/revoke", post(accounts_pages::revoke_token))
        .route("/password", get(accounts_pages::must_change_page).post(accounts_pages::must_change))
        .layer(from_fn(csrf::protect))
        .layer(from_fn(page::failures))
}

fn link_pages() -> Router {
    Router::new()
        .route("/link", get(device_pages::link_page).post(device_pages::open))
        .route("/link/approve", post(device_pages::approve))
        .route("/link/refuse", post(device_pages::refuse))
        .method_not_allowed_fallback(not_like_this)
        .layer(from_fn(csrf::protect))
        .layer(from_fn(page::failures))
}

/// Nothing, unless the owner switched it on. The same under a doubled slash, which these clients send when somebody
/// typed one behind the host; a redirect would turn their POST into a GET.
fn takeout_api(app: &App) -> Router {
    if !app.config.compat.takeout {
        return Router::new();
    }
    let [token, code, link] = takeout::PATHS;
    let mut routes = Router::new();
    for slash in ["", "/"] {
        routes = routes
            .route(&format!("{slash}{token}"), get(takeout_api::refresh).post(takeout_api::log_in))
            .route(&format!("{slash}{code}"), get(takeout_api::make_code).post(takeout_api::poll_code))
            .route(&format!("{slash}{link}"), post(takeout_api::link));
    }
    routes.method_not_allowed_fallback(not_like_this).layer(from_fn(csrf::protect))
}

fn tv_pages() -> Router {
    use device_pages::tv;
    let pages = Router::new()
        .route("/tv", get(tv::page))
        .route("/tv/switch", post(tv::switch))
        .route("/tv/forget", post(tv::forget))
        .route("/tv/pin", post(tv::set_pin))
        .method_not_allowed_fallback(not_like_this)
        .layer(from_fn(page::failures));
    // The page's script asks for these, and wants an answer it can read.
    let script = Router::new()
        .route("/tv/code", post(tv::code))
        .route("/tv/poll", post(tv::poll))
        .method_not_allowed_fallback(not_like_this);
    pages.merge(script).layer(from_fn(csrf::protect))
}

fn oauth_api() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(oauth_api::device_authorization))
        .routes(routes!(oauth_api::token))
        .routes(routes!(introspect::introspect))
        .layer(from_fn(csrf::protect))
}

fn account_api() -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(accounts_api::me, accounts_api::change))
        .routes(routes!(accounts_api::change_password))
        .routes(routes!(accounts_api::reauthenticate))
        .routes(routes!(factors_api::totp, factors_api::begin_totp, factors_api::remove_totp))
        .routes(routes!(factors_api::confirm_totp))
        .routes(routes!(factors_api::recovery_codes, factors_api::renew_codes))
        .routes(routes!(passkeys_api::list, passkeys_api::register))
        .routes(routes!(passkeys_api::ask_registration))
        .routes(routes!(passkeys_api::rename, passkeys_api::remove))
        .routes(routes!(passkeys_api::ask_proof))
        .routes(routes!(passkeys_api::prove))
        .routes(routes!(passkeys_api::ask_login))
        .routes(routes!(passkeys_api::login))
        .routes(routes!(accounts_api::verify_again))
        .routes(routes!(sessions_api::list))
        .routes(routes!(sessions_api::end))
        .routes(routes!(sessions_api::end_others))
        .routes(routes!(sessions_api::end_all))
        .routes(routes!(sessions_api::data_of_own, sessions_api::data_clear))
        .routes(routes!(sessions_api::data_of_anybody))
        .routes(routes!(sessions_api::data_keys))
        .routes(routes!(sessions_api::data_get, sessions_api::data_put, sessions_api::data_delete))
        .routes(routes!(signed::api::show, signed::api::set, signed::api::remove))
        .routes(routes!(tokens_api::list, tokens_api::create))
        .routes(routes!(tokens_api::revoke))
        .layer(from_fn(csrf::protect))
}

fn api() -> OpenApiRouter {
    // The routes that a registered app's page may call from its own origin.
    let shared = OpenApiRouter::new()
        .routes(routes!(login_api::login))
        .routes(routes!(login_api::refresh))
        .routes(routes!(login_api::logout))
        .routes(routes!(login_api::token));
    // A layer wraps only the refusals that were chosen before it. Without this, the answer to a preflight, whose
    // method no route has, would come from outside of `cors::share`.
    let (routes, document) = shared.split_for_parts();
    let routes =
        routes.method_not_allowed_fallback(not_like_this).layer(from_fn(csrf::protect)).layer(from_fn(cors::share));
    let shared = OpenApiRouter::with_openapi(document).merge(routes.into());
    OpenApiRouter::new().merge(shared).merge(oauth_api()).merge(account_api()).merge(admin_api()).merge(media_api())
}

fn admin_api() -> OpenApiRouter {
    use admin_api::{audit, bulk, factors, groups, invites, keys, requests, users};
    OpenApiRouter::new()
        .routes(routes!(users::list, users::create))
        .routes(routes!(bulk::run))
        .routes(routes!(users::show, users::change, users::remove))
        .routes(routes!(users::reset_link))
        .routes(routes!(users::forgive))
        .routes(routes!(factors::show, factors::demand, factors::remove))
        .routes(routes!(factors::demand_of_group))
        .routes(routes!(factors::recovery_link))
        .routes(routes!(users::end_sessions))
        .routes(routes!(users::list_sessions))
        .routes(routes!(users::end_session))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::show, groups::change, groups::remove))
        .routes(routes!(groups::add_member, groups::remove_member))
        .routes(routes!(invites::list, invites::create))
        .routes(routes!(invites::revoke))
        .routes(routes!(audit::list))
        .routes(routes!(audit::export))
        .routes(routes!(requests::list))
        .routes(routes!(requests::show))
        .routes(routes!(keys::list))
        .routes(routes!(keys::rotate))
        .layer(from_fn(csrf::protect))
}

fn admin_pages() -> Router {
    use admin_pages::{accounts, audit, bulk, factors, groups, invites, keys, refusals, server, sessions, tokens};
    Router::new()
        .route("/admin", get(admin_pages::begin))
        .route("/admin/accounts", get(accounts::list).post(accounts::create))
        .route("/admin/accounts/bulk", post(bulk::run))
        .route("/admin/accounts/{id}", get(accounts::edit).post(accounts::save))
        .route("/admin/accounts/{id}/end-sessions", post(accounts::end_sessions))
        .route("/admin/accounts/{id}/sessions/{session}/end", post(accounts::end_session))
        .route("/admin/accounts/{id}/reset-link", post(accounts::reset_link))
        .route("/admin/accounts/{id}/forgive", post(accounts::forgive))
        .route("/admin/accounts/{id}/factors/demand", post(factors::demand))
        .route("/admin/accounts/{id}/factors/remove", post(factors::remove))
        .route("/admin/accounts/{id}/factors/totp", post(factors::begin_totp))
        .route("/admin/accounts/{id}/factors/totp/confirm", post(factors::confirm_totp))
        .route("/admin/accounts/{id}/recovery-link", post(factors::recovery_link))
        .route("/admin/accounts/{id}/delete", post(accounts::delete))
        .route("/admin/groups", get(groups::list).post(groups::create))
        .route("/admin/groups/{id}", get(groups::edit).post(groups::save))
        .route("/admin/groups/{id}/members", post(groups::add_member))
        .route("/admin/groups/{id}/members/{account}/remove", post(groups::remove_member))
        .route("/admin/groups/{id}/factors/demand", post(groups::demand_factor))
        .route("/admin/groups/{id}/delete", post(groups::delete))
        .route("/admin/invites", get(invites::list).post(invites::create))
        .route("/admin/invites/{id}/revoke", post(invites::revoke))
        .route("/admin/audit", get(audit::list))
        .route("/admin/refusals", get(refusals::list))
        .route("/admin/server", get(server::show_server))
        .route("/admin/sessions", get(sessions::list))
        .route("/admin/sessions/{id}/end", post(sessions::end))
        .route("/admin/tokens", get(tokens::list))
        .route("/admin/tokens/{id}/revoke", post(tokens::revoke))
        .route("/admin/keys", get(keys::list).post(keys::rotate))
        .method_not_allowed_fallback(not_like_this)
        .layer(from_fn(csrf::protect))
        .layer(from_fn(page::failures))
}

/// A program gets a problem document, a person a page with a way on.
async fn nothing_here(cx: Cx, request: Request) -> Response {
    let program =
        ["/api/", "/m/", "/oauth/", "/.well-known/"].iter().any(|root| request.uri().path().starts_with(root));
    let failure = failure::Failure::not_found().into_response();
    if program { failure } else { page::not_found(&cx, request.headers(), failure).await }
}

async fn not_like_this() -> Response {
    failure::Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "This address does not take that method.",
    )
    .into_response()
}
