//! One's own personal tokens.

use super::issue::{self, USUAL_DAYS, Wish};
use super::personal::{PersonalToken, Scope};
use crate::http::cookies;
use crate::http::extract::{Id, Json, Own};
use crate::http::failure::{Failure, Problem};
use crate::id::PersonalTokenId;
use crate::login::again::{self, Given};
use crate::time::Time;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};

/// A personal token, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenFacts {
    /// The token's id. Public; it proves nothing.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// Its end.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Whether it is past its end.
    pub expired: bool,
    /// The last use.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
}

impl TokenFacts {
    fn of(token: &PersonalToken, now: Time) -> TokenFacts {
        TokenFacts {
            id: token.id.to_string(),
            name: token.name.clone(),
            scopes: token.scopes.clone(),
            created_at: token.made_at.rfc3339(),
            expires_at: token.expires_at.map(Time::rfc3339),
            expired: token.expires_at.is_some_and(|end| now >= end),
            last_used_at: token.last_used_at.map(Time::rfc3339),
        }
    }
}

/// One's personal tokens.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TokenList {
    /// Newest first.
    pub tokens: Vec<TokenFacts>,
}

/// A token to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    #[schema(example = "Backup script")]
    pub name: String,
    /// What it may be used for; `admin` for admins only.
    pub scopes: Vec<Scope>,
    /// How long it lives, 1 to 3650 days; 90 if absent.
    pub expires_days: Option<u32>,
    /// The account's password. Needed when the last login is more than five minutes ago.
    #[schema(format = Password)]
    pub password: Option<String>,
    /// A passcode of the account's authenticator app, in place of the password.
    #[schema(format = Password)]
    pub passcode: Option<String>,
}

/// A token that was made.
#[derive(Serialize, utoipa::ToSchema)]
pub struct MadeToken {
    /// Its facts.
    pub token: TokenFacts,
    /// The token itself, told this once.
    pub secret: String,
}

/// List one's own personal tokens.
#[utoipa::path(get, path = "/api/v1/me/tokens", tag = "me", responses(
    (status = 200, description = "The tokens that were not revoked", body = TokenList),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn list(own: Own) -> Result<axum::Json<TokenList>, Failure> {
    let tokens = issue::list(&own.0, own.caller()?.account()).await?;
    let now = own.0.now;
    Ok(axum::Json(TokenList { tokens: tokens.iter().map(|token| TokenFacts::of(token, now)).collect() }))
}

/// Make a personal token. Its secret is told this once.
#[utoipa::path(post, path = "/api/v1/me/tokens", tag = "me", request_body = NewToken, responses(
    (status = 201, description = "Made", body = MadeToken),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid credential for one's own account, or its last proof is too old (`reauthentication_required`)", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The scope `admin` without being one, a request from another site, or a password to choose first", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "There are as many tokens as one account may have", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or is not what it must be", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn create(own: Own, Json(body): Json<NewToken>) -> Result<Response, Failure> {
    let (caller, cx) = (own.caller()?, &own.0);
    let proof = again::step_up_by(cx, Given::new(body.password, body.passcode)).await?;
    let wish = Wish { name: body.name, scopes: body.scopes, expires_days: body.expires_days.unwrap_or(USUAL_DAYS) };
    let made = issue::issue(cx, caller, wish, &proof).await?;
    let answer = MadeToken { token: TokenFacts::of(&made.token, cx.now), secret: made.plain.expose().to_owned() };
    let mut response = (StatusCode::CREATED, axum::Json(answer)).into_response();
    response.headers_mut().extend(cookies::renewed(cx, &proof).map(|value| (SET_COOKIE, value)));
    Ok(response)
}

/// Revoke one of one's own personal tokens.
#[utoipa::path(delete, path = "/api/v1/me/tokens/{id}", tag = "me",
    params(("id" = String, Path, description = "The token's id")), responses(
    (status = 204, description = "Revoked"),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "No such live token of this account", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn revoke(own: Own, Id(id): Id<PersonalTokenId>) -> Result<StatusCode, Failure> {
    let account = own.caller()?.account();
    if issue::revoke(&own.0, account, id).await? { Ok(StatusCode::NO_CONTENT) } else { Err(Failure::not_found()) }
}
