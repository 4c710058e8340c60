//! One's own account: its facts and its password.

use super::profile::{DisplayName, Email};
use super::{Account, Rights};
use crate::cx::Cx;
use crate::http::cookies;
use crate::http::extract::{Json, Own, OwnPassword, Profile, caller};
use crate::http::failure::{Failure, Problem};
use crate::login::again::{self, Given, PasswordChange, ProfileChange};
use crate::login::letters;
use crate::time::Time;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

/// One's own account.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Me {
    /// The account's id.
    pub id: String,
    /// The name as its owner spells it.
    pub username: String,
    /// How pages address its owner.
    pub display_name: Option<String>,
    /// Where mail goes.
    pub email: Option<String>,
    /// Whether the address is proven.
    pub verified: bool,
    /// `user` or `admin`.
    pub role: &'static str,
    /// The names of its groups.
    pub groups: Vec<String>,
    /// The buckets it may open, its groups' among them; `all` for every one.
    pub buckets: Vec<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// The last login.
    #[schema(format = DateTime)]
    pub last_login_at: Option<String>,
}

impl Me {
    fn of(account: Account, rights: &Rights) -> Me {
        Me {
            id: account.id.to_string(),
            username: account.username,
            display_name: account.display_name,
            email: account.email,
            verified: account.verified_at.is_some(),
            role: account.role.word(),
            groups: rights.groups.clone(),
            buckets: rights.buckets.names(),
            created_at: account.created_at.rfc3339(),
            last_login_at: account.last_login_at.map(Time::rfc3339),
        }
    }
}

async fn load(cx: &Cx) -> Result<Account, Failure> {
    // Admitted a moment ago; what is gone now has ended.
    super::find(&cx.app.db, caller(cx)?.account()).await?.ok_or_else(|| crate::gate::Refusal::Ended.into())
}

/// Read the facts of one's own account.
#[utoipa::path(get, path = "/api/v1/me", tag = "me", responses(
    (status = 200, description = "The account", body = Me),
    (status = 401, description = "No valid credential", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "A personal token without the scope `profile`, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn me(Profile(cx): Profile) -> Result<axum::Json<Me>, Failure> {
    let account = load(&cx).await?;
    Ok(axum::Json(Me::of(account, &caller(&cx)?.rights)))
}

/// A change of one's own facts. Absent fields stay as they are; `null` removes.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeChange {
    /// How pages address its owner.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub display_name: Option<Option<String>>,
    /// Where mail goes. A new address is unproven.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub email: Option<Option<String>>,
    /// The account's password. A new address needs it when the last login is more than five minutes ago.
    #[schema(format = Password)]
    pub password: Option<String>,
    /// A passcode of the account's authenticator app, in place of the password.
    #[schema(format = Password)]
    pub passcode: Option<String>,
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

/// Change one's own display name or email address.
#[utoipa::path(patch, path = "/api/v1/me", tag = "me", request_body = MeChange, responses(
    (status = 200, description = "The account as it is now", body = Me),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid credential for one's own account, or its last proof is too old (`reauthentication_required`)", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "Another account has this email address", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or is not what it must be", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn change(own: Own, Json(body): Json<MeChange>) -> Result<Response, Failure> {
    let cx = &own.0;
    let display_name = body.display_name.map(|name| DisplayName::parse(&name.unwrap_or_default())).transpose()?;
    let email = body.email.map(|email| email.as_deref().map(Email::parse).transpose()).transpose()?;
    let given = Given::new(body.password, body.passcode);
    let proof = again::change_profile(cx, ProfileChange { display_name, email, given }).await?;
    let mut response = axum::Json(Me::of(load(cx).await?, &own.caller()?.rights)).into_response();
    response.headers_mut().extend(cookies::renewed(cx, &proof).map(|value| (SET_COOKIE, value)));
    Ok(response)
}

/// Send a letter with a link that proves the account's email address. The link before it is withdrawn.
#[utoipa::path(post, path = "/api/v1/me/email/verification", tag = "me", responses(
    (status = 202, description = "The letter is on its way"),
    (status = 401, description = "No valid credential for one's own account", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "There is no address, it is proven already (`nothing_to_prove`), or this server sends no mail (`no_mail`)", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Several letters were sent already", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn verify_again(own: Own) -> Result<StatusCode, Failure> {
    letters::verify_again(&own.0, own.caller()?.account()).await?;
    Ok(StatusCode::ACCEPTED)
}

/// A change of one's own password.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// The present password.
    #[schema(format = Password)]
    pub current: String,
    /// The new one.
    #[schema(format = Password)]
    pub password: String,
    /// Whether all other sessions end. They always do when an admin demanded the change.
    #[serde(default)]
    pub end_others: bool,
}

/// Change one's own password. Access tokens made before are out of date afterwards; refresh them.
#[utoipa::path(post, path = "/api/v1/me/password", tag = "me", request_body = NewPassword, responses(
    (status = 204, description = "Changed. A browser gets a new cookie; the old one is dead"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid credential for one's own account, or the present password is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing, or the new password is too weak (`password_too_weak`)", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn change_password(OwnPassword(cx): OwnPassword, Json(body): Json<NewPassword>) -> Result<Response, Failure> {
    let change = PasswordChange {
        current: Zeroizing::new(body.current),
        password: Zeroizing::new(body.password),
        end_others: body.end_others,
    };
    let proof = again::change_password(&cx, change).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(cookies::renewed(&cx, &proof).map(|value| (SET_COOKIE, value)));
    Ok(response)
}

/// A password, to prove again who one is.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reauthentication {
    /// The present password.
    #[schema(format = Password)]
    pub password: String,
}

/// Prove again who one is. For five minutes, what answers `reauthentication_required` is open to this session.
#[utoipa::path(post, path = "/api/v1/me/reauthenticate", tag = "me", request_body = Reauthentication, responses(
    (status = 204, description = "Proven. A browser gets a new cookie; the old one is dead"),
    (status = 400, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
    (status = 401, description = "No valid credential for one's own account, or the password is wrong", body = Problem, content_type = "application/problem+json"),
    (status = 403, description = "The request came from another site, or a new password must be chosen first", body = Problem, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
    (status = 415, description = "The body is not sent as JSON", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing or has another type", body = Problem, content_type = "application/problem+json"),
    (status = 429, description = "Too many attempts", body = Problem, content_type = "application/problem+json"),
    (status = 503, description = "No storage", body = Problem, content_type = "application/problem+json")))]
pub async fn reauthenticate(own: Own, Json(body): Json<Reauthentication>) -> Result<Response, Failure> {
    let (cx, proof) = again::prove_again(&own.0, Zeroizing::new(body.password)).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().extend(cookies::renewed(&cx, &proof).map(|value| (SET_COOKIE, value)));
    Ok(response)
}
