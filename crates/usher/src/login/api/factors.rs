//! One's own second factors: the authenticator app and the recovery codes.

use crate::cx::Cx;
use crate::gate;
use crate::http::answers::{OwnOnly, Slowed, Unread};
use crate::http::cookies;
use crate::http::extract::{Json, OwnFactors, caller};
use crate::http::failure::{Failure, Problem};
use crate::login::again::{self, Given};
use crate::login::factors::{self, FactorError};
use crate::login::qr;
use crate::login::totp::{Algorithm, Shape};
use crate::sessions::Proof;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::SET_COOKIE;
use serde::{Deserialize, Serialize};

/// A fresh proof for an act that needs one. Both may be left out within five minutes after a login.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreshProof {
    /// The account's password.
    #[schema(format = Password)]
    pub password: Option<String>,
    /// A passcode of its authenticator app, or a recovery code.
    #[schema(format = Password)]
    pub passcode: Option<String>,
}

/// The authenticator app of an account. Its secret is told by nothing.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TotpState {
    /// Whether a passcode is asked for at a login.
    pub active: bool,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: Option<String>,
    /// `SHA1`, `SHA256` or `SHA512`.
    pub algorithm: Option<&'static str>,
    /// 6 or 8.
    pub digits: Option<u32>,
    /// Whether a secret waits for its first good code.
    pub pending: bool,
    /// Whether this account must have a second factor.
    pub required: bool,
}

/// Look at one's own authenticator app.
#[utoipa::path(get, path = "/api/v1/me/totp", tag = "me", responses(
    (status = 200, description = "How it stands", body = TotpState),
    OwnOnly))]
pub async fn totp(OwnFactors(cx): OwnFactors) -> Result<axum::Json<TotpState>, Failure> {
    let caller = caller(&cx)?;
    let state = factors::find(&cx.app.db, caller.account()).await?;
    let totp = state.totp.as_ref();
    Ok(axum::Json(TotpState {
        active: totp.is_some(),
        since: totp.map(|secret| secret.since.rfc3339()),
        algorithm: totp.map(|secret| secret.shape.algorithm.word()),
        digits: totp.map(|secret| secret.shape.digits),
        pending: factors::waits(&cx, caller.account()).await?,
        required: gate::demands_factor(&cx, &caller.rights),
    }))
}

/// Which codes the app is to show. The usual ones are understood by every app.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTotp {
    /// `SHA1` if absent, `SHA256` or `SHA512`.
    #[schema(example = "SHA1")]
    pub algorithm: Option<String>,
    /// 6 if absent, or 8.
    #[schema(example = 6)]
    pub digits: Option<u32>,
    /// The account's password, needed when the last login is more than five minutes ago.
    #[schema(format = Password)]
    pub password: Option<String>,
    /// A passcode of the app that is set up already, or a recovery code, in place of the password.
    #[schema(format = Password)]
    pub passcode: Option<String>,
}

/// A secret for an authenticator app, told this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct TotpSecret {
    /// For apps that read no picture: base32, in groups of four.
    pub secret: String,
    /// For apps that are on this device.
    pub otpauth_url: String,
    /// The same as a picture (SVG).
    pub qr_svg: String,
    /// Until when it waits for its first good code.
    #[schema(format = DateTime)]
    pub expires_at: String,
}

/// Begin to set up an authenticator app. It is asked for from its first good code on.
#[utoipa::path(post, path = "/api/v1/me/totp", tag = "me", request_body = NewTotp, responses(
    (status = 201, description = "The secret, told this once", body = TotpSecret),
    Unread, Slowed, OwnOnly))]
pub async fn begin_totp(OwnFactors(cx): OwnFactors, Json(body): Json<NewTotp>) -> Result<Response, Failure> {
    let algorithm = body.algorithm.as_deref().map_or(Ok(Algorithm::Sha1), str::parse);
    let shape = algorithm.ok().and_then(|algorithm| Shape::new(algorithm, body.digits.unwrap_or(6)));
    let shape = shape.ok_or_else(|| Failure::invalid("Codes have 6 or 8 digits, by SHA1, SHA256 or SHA512."))?;
    let proof = again::step_up_by(&cx, Given::new(body.password, body.passcode)).await?;
    let caller = caller(&cx)?;
    let waiting = factors::begin_totp(&cx, caller.account(), &caller.rights.username, shape, Some(&proof)).await?;
    let url = waiting.told.address();
    let answer = TotpSecret {
        secret: waiting.told.secret_text().to_string(),
        qr_svg: qr::svg(&url).unwrap_or_default(),
        otpauth_url: url.to_string(),
        expires_at: waiting.until.rfc3339(),
    };
    Ok(proven(&cx, Some(&proof), (StatusCode::CREATED, axum::Json(answer)).into_response()))
}

/// The answer, with the new cookie that the proof brought.
pub(super) fn proven(cx: &Cx, proof: Option<&Proof>, mut response: Response) -> Response {
    let cookie = proof.and_then(|proof| cookies::renewed(cx, proof));
    response.headers_mut().extend(cookie.map(|value| (SET_COOKIE, value)));
    response
}

/// The first code of an app that is being set up.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstCode {
    /// What the app shows now.
    #[schema(format = Password)]
    pub passcode: String,
    /// Whether all other sessions end. They always do when the account must have a second factor.
    #[serde(default)]
    pub end_others: bool,
}

/// Recovery codes, told this once.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RecoveryCodes {
    /// Each is good once, in place of a passcode. Empty when the account keeps those it has.
    pub recovery_codes: Vec<String>,
}

pub(super) fn told(codes: &[crate::login::passcode::RecoveryCode]) -> axum::Json<RecoveryCodes> {
    axum::Json(RecoveryCodes { recovery_codes: codes.iter().map(|code| code.expose().to_string()).collect() })
}

/// Finish setting up an authenticator app, by a code of it. Access tokens made before are out of date afterwards.
#[utoipa::path(post, path = "/api/v1/me/totp/confirm", tag = "me", request_body = FirstCode, responses(
    Unread, OwnOnly,
    (status = 200, description = "Passcodes are asked for from now on", body = RecoveryCodes),
    (status = 409, description = "No secret waits for a code (`nothing_waits`)", body = Problem, content_type = "application/problem+json"),
    (status = 422, description = "A field is missing, or that is no code of the app now (`passcode_invalid`)", body = Problem, content_type = "application/problem+json")))]
pub async fn confirm_totp(OwnFactors(cx): OwnFactors, Json(body): Json<FirstCode>) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    let confirmed = factors::confirm_totp(&cx, account, &body.passcode, body.end_others).await?;
    Ok(proven(&cx, confirmed.proof.as_ref(), told(&confirmed.codes).into_response()))
}

/// Remove one's own authenticator app. Recovery codes go with the last factor.
#[utoipa::path(delete, path = "/api/v1/me/totp", tag = "me", request_body = FreshProof, responses(
    (status = 204, description = "Removed"),
    (status = 404, description = "There is none", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The account must have a second factor, and this is its last (`factor_required`)", body = Problem, content_type = "application/problem+json"),
    Unread, Slowed, OwnOnly))]
pub async fn remove_totp(OwnFactors(cx): OwnFactors, body: Option<Json<FreshProof>>) -> Result<Response, Failure> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let account = caller(&cx)?.account();
    if factors::find(&cx.app.db, account).await?.totp.is_none() {
        return Err(FactorError::NotFound.into());
    }
    let proof = again::step_up_by(&cx, Given::new(body.password, body.passcode)).await?;
    factors::remove_totp(&cx, account, Some(&proof)).await?;
    Ok(proven(&cx, Some(&proof), StatusCode::NO_CONTENT.into_response()))
}

/// The recovery codes of an account, without the codes.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RecoveryState {
    /// How many are unused.
    pub left: u32,
    /// When they were made.
    #[schema(format = DateTime)]
    pub made_at: Option<String>,
}

/// See how many of one's recovery codes are left.
#[utoipa::path(get, path = "/api/v1/me/recovery-codes", tag = "me", responses(
    (status = 200, description = "How many", body = RecoveryState),
    OwnOnly))]
pub async fn recovery_codes(OwnFactors(cx): OwnFactors) -> Result<axum::Json<RecoveryState>, Failure> {
    let state = factors::find(&cx.app.db, caller(&cx)?.account()).await?;
    let made_at = state.recovery.made_at.map(|at| at.rfc3339());
    Ok(axum::Json(RecoveryState { left: state.recovery.left, made_at }))
}

/// Make ten new recovery codes. The ones before are of no use any more.
#[utoipa::path(post, path = "/api/v1/me/recovery-codes", tag = "me", request_body = FreshProof, responses(
    (status = 201, description = "The codes, told this once", body = RecoveryCodes),
    (status = 409, description = "There is no factor that they could stand in for (`no_factor`)", body = Problem, content_type = "application/problem+json"),
    Unread, Slowed, OwnOnly))]
pub async fn renew_codes(OwnFactors(cx): OwnFactors, body: Option<Json<FreshProof>>) -> Result<Response, Failure> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let proof = again::step_up_by(&cx, Given::new(body.password, body.passcode)).await?;
    let codes = factors::renew_codes(&cx, caller(&cx)?.account(), Some(&proof)).await?;
    Ok(proven(&cx, Some(&proof), (StatusCode::CREATED, told(&codes)).into_response()))
}
