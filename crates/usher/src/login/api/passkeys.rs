//! Passkeys: logging in by one, and one's own.

use super::factors::{FreshProof, RecoveryCodes, proven, told};
use crate::cx::Cx;
use crate::gate::Door;
use crate::http::answers::{AtTheDoor, OwnOnly, Slowed, Unread};
use crate::http::cookies;
use crate::http::extract::{self, Id, Json, OwnFactors, caller};
use crate::http::failure::{Failure, Problem};
use crate::http::page::safe_return;
use crate::id::{AccountId, PasskeyId};
use crate::login::again::{self, Given};
use crate::login::pages::{landing, steps};
use crate::login::passkeys::{self, Challenge, Passkey};
use crate::login::{LoginError, Wanted, api, with_passkey};
use crate::sessions::cookie;
use axum::response::{IntoResponse, Response};
use http::header::SET_COOKIE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};

/// What a browser is asked.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Asked {
    /// The options of `navigator.credentials.create` or `.get`, with base64url in place of bytes.
    pub options: Value,
    /// To be sent back with the answer, within five minutes and once.
    pub step: String,
}

impl From<Challenge> for Asked {
    fn from(challenge: Challenge) -> Asked {
        Asked { options: challenge.options, step: challenge.step }
    }
}

fn not_here() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, "no_passkeys", "There are no passkeys at this address.")
}

fn refused() -> Failure {
    LoginError::PasskeyInvalid.into()
}

/// Which passkey is asked for.
#[derive(Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginAsk {
    /// Whether it is the second step of a login whose password was right in this browser.
    #[serde(default)]
    pub second: bool,
}

/// Ask for a passkey to log in with: whoever's, or as the second step of a login.
#[utoipa::path(post, path = "/api/v1/login/passkey/options", tag = "session", request_body = LoginAsk, security(()), responses(
    (status = 200, description = "What to ask the browser", body = Asked),
    (status = 401, description = "No password was given in this browser a moment ago", body = Problem, content_type = "application/problem+json"),
    (status = 404, description = "There are no passkeys at this address", body = Problem, content_type = "application/problem+json"),
    Unread, AtTheDoor))]
pub async fn ask_login(cx: Cx, headers: HeaderMap, Json(body): Json<LoginAsk>) -> Result<axum::Json<Asked>, Failure> {
    let known = match body.second {
        true => Some(steps::half(&cx, &headers).ok_or_else(refused)?.0.account),
        false => None,
    };
    let challenge = passkeys::ask(&cx, known, None).await?.ok_or_else(not_here)?;
    Ok(axum::Json(challenge.into()))
}

/// A browser's answer at the login.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginAnswered {
    /// As it was given with the options.
    pub step: String,
    /// What the browser answered.
    #[schema(value_type = Object)]
    pub answer: PublicKeyCredential,
    /// Whether it is the second step of a login.
    #[serde(default)]
    pub second: bool,
    /// A path of this server to go on to.
    #[serde(default)]
    pub return_to: String,
}

/// Where to go on to.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Onward {
    /// A path of this server.
    pub go: String,
}

/// Log a browser in by a passkey. The answer sets the session cookie.
#[utoipa::path(post, path = "/api/v1/login/passkey", tag = "session", request_body = LoginAnswered, security(()), responses(
    (status = 200, description = "Logged in", body = Onward),
    (status = 401, description = "The passkey was not accepted (`passkey_invalid`)", body = Problem, content_type = "application/problem+json"),
    Unread, AtTheDoor))]
pub async fn login(cx: Cx, headers: HeaderMap, Json(body): Json<LoginAnswered>) -> Result<Response, Failure> {
    let (half, return_to) = match body.second {
        true => {
            let (half, mark, return_to) = steps::half(&cx, &headers).ok_or_else(refused)?;
            (Some((half, mark)), return_to)
        }
        false => (None, body.return_to),
    };
    let logged_in = with_passkey(&cx, half, &body.step, &body.answer, Wanted::browser()).await?;
    if let Ok(before) = extract::admit(&cx, &headers, Door::PasswordPage).await
        && let Some(session) = before.session()
    {
        api::end_own(&cx.admitted(before), session).await?;
    }
    let go = landing(&cx, logged_in.account, safe_return(&return_to)).await?;
    let session = logged_in.session;
    let value = cookie::mint(&cx.app.macs.cookie, session.id, &session.secret);
    let set = cookies::set_session(&cx, &value, session.absolute);
    let known = logged_in.device.and_then(|device| cookies::set_device(&cx, &device));
    let step = cookies::find_step(&cx, &headers).and_then(|_| cookies::clear_step(&cx));
    let mut response = axum::Json(Onward { go }).into_response();
    for cookie in [set, known, step].into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A passkey of one's own.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PasskeyFacts {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// When it was registered.
    #[schema(format = DateTime)]
    pub made_at: String,
    /// The last login or proof by it.
    #[schema(format = DateTime)]
    pub last_used_at: Option<String>,
}

impl From<Passkey> for PasskeyFacts {
    fn from(passkey: Passkey) -> PasskeyFacts {
        PasskeyFacts {
            id: passkey.id.to_string(),
            name: passkey.name,
            made_at: passkey.made_at.rfc3339(),
            last_used_at: passkey.last_used_at.map(|at| at.rfc3339()),
        }
    }
}

/// One's own passkeys.
#[derive(Serialize, utoipa::ToSchema)]
pub struct PasskeyList {
    /// Oldest first.
    pub passkeys: Vec<PasskeyFacts>,
}

/// List one's own passkeys.
#[utoipa::path(get, path = "/api/v1/me/passkeys", tag = "me", responses(
    (status = 200, description = "The passkeys", body = PasskeyList),
    OwnOnly))]
pub async fn list(OwnFactors(cx): OwnFactors) -> Result<axum::Json<PasskeyList>, Failure> {
    let passkeys = passkeys::list(&cx.app.db, caller(&cx)?.account()).await?;
    Ok(axum::Json(PasskeyList { passkeys: passkeys.into_iter().map(PasskeyFacts::from).collect() }))
}

/// Begin to register a passkey.
#[utoipa::path(post, path = "/api/v1/me/passkeys/options", tag = "me", request_body = FreshProof, responses(
    (status = 200, description = "What to ask the browser", body = Asked),
    (status = 404, description = "There are no passkeys at this address", body = Problem, content_type = "application/problem+json"),
    Unread, Slowed, OwnOnly))]
pub async fn ask_registration(OwnFactors(cx): OwnFactors, body: Option<Json<FreshProof>>) -> Result<Response, Failure> {
    let body = body.map(|Json(body)| body).unwrap_or_default();
    let given = Given::new(body.password, body.passcode);
    let proof = if given.is_empty() {
        again::step_up_by(&cx, given).await?
    } else {
        again::prove_again_by(&cx, given).await?.1
    };
    let caller = caller(&cx)?;
    let asked = passkeys::begin_registration(&cx, caller.account(), &caller.rights.username).await?;
    Ok(proven(&cx, Some(&proof), axum::Json(Asked::from(asked)).into_response()))
}

/// A passkey that a browser made.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPasskey {
    /// As it was given with the options.
    pub step: String,
    /// What to call it.
    pub name: String,
    /// What the browser answered.
    #[schema(value_type = Object)]
    pub answer: RegisterPublicKeyCredential,
    /// Whether all other sessions end. They always do when the account must have a second factor.
    #[serde(default)]
    pub end_others: bool,
}

/// Register a passkey. Access tokens made before are out of date afterwards.
#[utoipa::path(post, path = "/api/v1/me/passkeys", tag = "me", request_body = NewPasskey, responses(
    (status = 201, description = "Registered", body = RecoveryCodes),
    (status = 404, description = "There are no passkeys at this address", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The challenge has expired or was answered, the passkey is somebody's, or there are too many", body = Problem, content_type = "application/problem+json"),
    Unread, OwnOnly))]
pub async fn register(OwnFactors(cx): OwnFactors, Json(body): Json<NewPasskey>) -> Result<Response, Failure> {
    let account = caller(&cx)?.account();
    let made = passkeys::register(&cx, account, &body.step, &body.answer, &body.name, body.end_others).await?;
    let answer = (StatusCode::CREATED, told(&made.codes)).into_response();
    Ok(proven(&cx, made.proof.as_ref(), answer))
}

/// The caller's account, when the passkey is theirs. Somebody else's reads as none, before anything is asked.
async fn own(cx: &Cx, id: PasskeyId) -> Result<AccountId, Failure> {
    let account = caller(cx)?.account();
    let theirs = passkeys::list(&cx.app.db, account).await?.iter().any(|passkey| passkey.id == id);
    if theirs { Ok(account) } else { Err(Failure::not_found()) }
}

/// A new name.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyName {
    /// What to call it.
    pub name: String,
}

/// Give one's own passkey another name.
#[utoipa::path(patch, path = "/api/v1/me/passkeys/{id}", tag = "me", request_body = PasskeyName, params(("id" = String, Path, description = "The passkey's id")), responses(
    (status = 204, description = "Renamed"),
    (status = 404, description = "No such passkey of this account", body = Problem, content_type = "application/problem+json"),
    Unread, OwnOnly))]
pub async fn rename(
    OwnFactors(cx): OwnFactors,
    Id(id): Id<PasskeyId>,
    body: Result<Json<PasskeyName>, Failure>,
) -> Result<StatusCode, Failure> {
    let account = own(&cx, id).await?;
    let Json(body) = body?;
    passkeys::rename(&cx, account, id, &body.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove one's own passkey. It is of no use when the answer arrives.
#[utoipa::path(delete, path = "/api/v1/me/passkeys/{id}", tag = "me", request_body = FreshProof, params(("id" = String, Path, description = "The passkey's id")), responses(
    (status = 204, description = "Removed"),
    (status = 404, description = "No such passkey of this account", body = Problem, content_type = "application/problem+json"),
    (status = 409, description = "The account must have a second factor, and this is its last (`factor_required`)", body = Problem, content_type = "application/problem+json"),
    Unread, Slowed, OwnOnly))]
pub async fn remove(
    OwnFactors(cx): OwnFactors,
    Id(id): Id<PasskeyId>,
    body: Result<Option<Json<FreshProof>>, Failure>,
) -> Result<Response, Failure> {
    let account = own(&cx, id).await?;
    let body = body?.map(|Json(body)| body).unwrap_or_default();
    let proof = again::step_up_by(&cx, Given::new(body.password, body.passcode)).await?;
    passkeys::remove(&cx, account, id, &proof).await?;
    Ok(proven(&cx, Some(&proof), StatusCode::NO_CONTENT.into_response()))
}

/// Ask for a passkey as a fresh proof, for acts that need one.
#[utoipa::path(post, path = "/api/v1/me/passkeys/proof-options", tag = "me", responses(
    (status = 200, description = "What to ask the browser", body = Asked),
    (status = 404, description = "There are no passkeys at this address", body = Problem, content_type = "application/problem+json"),
    OwnOnly))]
pub async fn ask_proof(OwnFactors(cx): OwnFactors) -> Result<axum::Json<Asked>, Failure> {
    let challenge = passkeys::ask(&cx, None, Some(caller(&cx)?.account())).await?.ok_or_else(not_here)?;
    Ok(axum::Json(challenge.into()))
}

/// A browser's answer as a fresh proof.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofAnswered {
    /// As it was given with the options.
    pub step: String,
    /// What the browser answered.
    #[schema(value_type = Object)]
    pub answer: PublicKeyCredential,
}

/// Prove by a passkey who is there. The acts that need a fresh proof are open for five minutes.
#[utoipa::path(post, path = "/api/v1/me/passkeys/proof", tag = "me", request_body = ProofAnswered, responses(
    Unread, OwnOnly,
    (status = 204, description = "Proven. A browser gets a new cookie; the old one is dead"),
    (status = 401, description = "No valid credential for one's own account, or the passkey was not accepted (`passkey_invalid`)", body = Problem, content_type = "application/problem+json")))]
pub async fn prove(OwnFactors(cx): OwnFactors, Json(body): Json<ProofAnswered>) -> Result<Response, Failure> {
    let proof = again::prove_by_passkey(&cx, &body.step, &body.answer).await?;
    Ok(proven(&cx, Some(&proof), StatusCode::NO_CONTENT.into_response()))
}
