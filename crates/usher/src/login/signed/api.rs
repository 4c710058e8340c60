//! `POST /login` with a signed header, and one's own secret for it.

use super::{SecretError, SignedError, with_header};
use crate::cx::Cx;
use crate::http::cookies;
use crate::http::extract::{Json, Own};
use crate::http::failure::{Failure, Problem};
use crate::http::page::with_cookies;
use crate::login::{LoginError, again};
use crate::sessions::cookie;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

/// Logs in by the header, and answers as the programs expect that send it.
pub async fn login(cx: &Cx, headers: &HeaderMap) -> Response {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(one), None) => one.to_str().unwrap_or_default(),
        _ => "",
    };
    match with_header(cx, value).await {
        Ok(logged_in) => {
            let session = logged_in.session;
            let value = cookie::mint(&cx.app.macs.cookie, session.id, &session.secret);
            let set = cookies::set_session(cx, &value, session.absolute);
            with_cookies(axum::Json(json!({"redirect_url": "/library"})).into_response(), [set])
        }
        Err(SignedError::Malformed) => detail(StatusCode::BAD_REQUEST, "Malformed authorization header"),
        Err(SignedError::Login(error)) => refusal(error),
    }
}

/// The answer to a request that shows nothing at all.
pub fn nothing_shown() -> Response {
    detail(StatusCode::UNAUTHORIZED, "Incorrect username or password")
}

fn detail(status: StatusCode, text: &str) -> Response {
    (status, axum::Json(json!({ "detail": text }))).into_response()
}

fn refusal(error: LoginError) -> Response {
    let failure = match error {
        LoginError::RateLimited(_) | LoginError::Busy(_) | LoginError::Storage(_) => Failure::from(error),
        _ => return nothing_shown(),
    };
    let mut response = detail(failure.status, &failure.public);
    if let Some(after) = failure.retry_after {
        response.headers_mut().insert(RETRY_AFTER, after.as_secs().max(1).into());
    }
    response
}

/// Whether one has a secret for signed headers.
#[derive(Serialize, utoipa::ToSchema)]
pub struct SignedHeaderState {
    /// Whether this server takes signed headers at all.
    pub enabled: bool,
    /// Since when one has a secret; nothing tells it again.
    #[schema(format = DateTime)]
    pub since: Option<String>,
}

/// A secret for signed headers.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSignedHeader {
    /// 8 to 256 characters, and not the password: the server keeps it in a form that it can read again.
    #[schema(format = Password)]
    pub secret: String,
    /// The password, when the last proof is too old.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// A proof for the removal.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The password, when the last proof is too old.
    #[schema(format = Password)]
    pub password: Option<String>,
}

/// Read whether one has a secret for signed-header login.
#[utoipa::path(get, path = "/api/v1/me/signed-header", tag = "me", responses(
    (status = 200, description = "Whether it is set", body = SignedHeaderState),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn show(own: Own) -> Result<axum::Json<SignedHeaderState>, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    let since = super::since(cx, caller.account()).await?.map(|at| at.rfc3339());
    Ok(axum::Json(SignedHeaderState { enabled: cx.app.config.compat.signed_header, since }))
}

/// Set one's own secret for signed-header login. Needs a recent proof, or the password along with it.
#[utoipa::path(put, path = "/api/v1/me/signed-header", tag = "me", request_body = NewSignedHeader, responses(
    (status = 204, description = "It is set"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid credential for one's own account, or the last proof is too old", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "This server takes no signed headers", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "Not a secret that may be used", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many wrong passwords", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too many logins at once, or no storage", body = Problem, content_type = "application/problem+json")))]
pub async fn set(own: Own, Json(body): Json<NewSignedHeader>) -> Result<Response, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    if !cx.app.config.compat.signed_header {
        return Err(Failure::new(StatusCode::CONFLICT, "signed_header_off", "This server takes no signed headers."));
    }
    let proof = again::step_up(cx, body.password.clone().map(Zeroizing::new)).await?;
    super::set(cx, caller, &body.secret, body.password.as_deref(), &proof).await?;
    Ok(done(cx, &proof))
}

/// Remove one's own secret for signed-header login. Idempotent.
#[utoipa::path(delete, path = "/api/v1/me/signed-header", tag = "me", request_body = Confirmation, responses(
    (status = 204, description = "There is none any more"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid credential for one's own account, or the last proof is too old", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field has another type", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many wrong passwords", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "Too many logins at once, or no storage", body = Problem, content_type = "application/problem+json")))]
pub async fn remove(own: Own, body: Option<Json<Confirmation>>) -> Result<Response, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    let password = body.and_then(|Json(body)| body.password).map(Zeroizing::new);
    let proof = again::step_up(cx, password).await?;
    super::remove(cx, caller, &proof).await?;
    Ok(done(cx, &proof))
}

fn done(cx: &Cx, proof: &crate::sessions::Proof) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(cookies::renewed(cx, proof).map(|value| (SET_COOKIE, value)));
    response
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Failure {
        match error {
            SecretError::Form | SecretError::Password => Failure::invalid(sentence(&error.to_string())),
            SecretError::Ended => crate::gate::Refusal::Ended.into(),
            SecretError::Storage(error) => error.into(),
        }
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}
