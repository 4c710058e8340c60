//! The login's further steps, for an account that has a second factor. They work without scripts.
//!
//! What was proven so far is carried by a short-lived cookie that only these pages look at (`step.rs`). It is no
//! session: every other page leads whoever has nothing else to the login.

use super::{carried as carried_link, inside};
use crate::accounts;
use crate::cx::Cx;
use crate::gate::Door;
use crate::http::cookies;
use crate::http::extract::{self, Form};
use crate::http::failure::Failure;
use crate::http::page::{onward, safe_return, shell, show, with_cookies};
use crate::id::AccountId;
use crate::login::links::Kind as LinkKind;
use crate::login::step::{self, Mark, Step};
use crate::login::{Attempt, FirstHalf, LoginError, Wanted, second, with_password};
use crate::login::{factors, passkeys};
use crate::pages::{CodePage, CodeRefusal, Nav, RecoverPage, Refusal};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// What such a step is sealed for.
const PURPOSE: &str = "second factor";

/// What the browser carries from the password to the second proof.
#[derive(Serialize, Deserialize)]
struct Carried {
    half: FirstHalf,
    return_to: String,
}

/// Leads from the password to the second proof.
pub fn go_on(cx: &Cx, half: FirstHalf, return_to: &str) -> Result<Response, Failure> {
    let carried = Carried { half, return_to: safe_return(return_to).to_owned() };
    let step = step::mint(cx, PURPOSE, &carried).and_then(|step| cookies::set_step(cx, &step));
    match step {
        Some(cookie) => Ok(with_cookies(onward("/login/code"), [Some(cookie)])),
        None => Err(LoginError::InvalidCredentials.into()),
    }
}

fn carried(cx: &Cx, headers: &HeaderMap) -> Option<Step<Carried>> {
    step::open(cx, PURPOSE, cookies::find_step(cx, headers)?)
}

/// The half of a login that this browser carries, what uses it up, and where it leads.
pub(in crate::login) fn half(cx: &Cx, headers: &HeaderMap) -> Option<(FirstHalf, Mark, String)> {
    carried(cx, headers).map(|step| (step.body.half, step.mark, step.body.return_to))
}

async fn code_form(
    cx: &Cx,
    account: AccountId,
    status: StatusCode,
    refusal: Option<CodeRefusal>,
) -> Result<Response, Failure> {
    let state = factors::find(&cx.app.db, account).await?;
    let passkeys = state.passkeys > 0 && passkeys::available(cx).is_some();
    let page = CodePage { shell: shell(cx, Nav::Elsewhere), refusal, totp: state.totp.is_some(), passkeys };
    Ok(show(status, &page))
}

/// The page that asks for a passcode. Whoever has not given a password a moment ago is led to where it is asked for.
pub async fn code_page(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    match carried(&cx, &headers) {
        Some(step) => code_form(&cx, step.body.half.account, StatusCode::OK, None).await,
        None if extract::admit(&cx, &headers, Door::FactorPage).await.is_ok() => Ok(onward("/library")),
        None => Ok(onward("/login")),
    }
}

/// The page of a recovery link: it stands in for a second factor that was lost, and the password is asked for all the
/// same.
pub async fn recover_page(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    let username = recovering(&cx, &headers).await?.map(|(_, username)| username);
    let status = if username.is_some() { StatusCode::OK } else { StatusCode::GONE };
    Ok(recover_form(&cx, status, username, None))
}

fn recover_form(cx: &Cx, status: StatusCode, username: Option<String>, refusal: Option<Refusal>) -> Response {
    show(status, &RecoverPage { shell: shell(cx, Nav::Elsewhere), username, refusal })
}

/// The recovery link that the browser carries, and whose it is.
async fn recovering(cx: &Cx, headers: &HeaderMap) -> Result<Option<(String, String)>, Failure> {
    let Some((token, link)) = carried_link(cx, headers, LinkKind::Recover).await? else { return Ok(None) };
    let Some(account) = link.account else { return Ok(None) };
    Ok(accounts::find(&cx.app.db, account).await?.map(|account| (token, account.username)))
}

/// The password form of a recovery link.
#[derive(Deserialize)]
pub struct RecoverForm {
    password: String,
}

/// Logs in with the password and, in place of the lost factor, the link.
pub async fn recover(cx: Cx, headers: HeaderMap, Form(form): Form<RecoverForm>) -> Result<Response, Failure> {
    let Some((token, username)) = recovering(&cx, &headers).await? else {
        return Ok(recover_form(&cx, StatusCode::GONE, None, None));
    };
    let attempt = Attempt {
        username: username.clone(),
        password: Zeroizing::new(form.password),
        passcode: Some(Zeroizing::new(token)),
        wanted: Wanted::browser(),
    };
    let failure = match with_password(&cx, attempt).await {
        Ok(logged_in) => {
            let inside = inside(&cx, &headers, logged_in, "/account/security").await?;
            return Ok(with_cookies(inside, [cookies::clear_link(&cx, LinkKind::Recover)]));
        }
        Err(LoginError::Storage(error)) => return Err(error.into()),
        Err(error) => Failure::from(error),
    };
    let seconds = failure.retry_after.map_or(1, |after| after.as_secs().max(1));
    let refusal = match failure.code {
        "rate_limited" => Refusal::Throttled { seconds },
        "busy" => Refusal::Busy { seconds },
        _ => Refusal::Wrong,
    };
    Ok(recover_form(&cx, failure.status, Some(username), Some(refusal)))
}

/// The passcode form.
#[derive(Deserialize)]
pub struct CodeForm {
    passcode: String,
}

/// Logs in with the passcode and goes where the person wanted to go.
pub async fn code(cx: Cx, headers: HeaderMap, Form(form): Form<CodeForm>) -> Result<Response, Failure> {
    let Some(Step { body, mark }) = carried(&cx, &headers) else {
        return Ok(with_cookies(onward("/login?done=late"), [cookies::clear_step(&cx)]));
    };
    let (status, refusal) = match second(&cx, body.half, mark, Zeroizing::new(form.passcode), Wanted::browser()).await {
        Ok(logged_in) => return inside(&cx, &headers, logged_in, &body.return_to).await,
        Err(LoginError::InvalidCredentials) => {
            return Ok(with_cookies(onward("/login?done=late"), [cookies::clear_step(&cx)]));
        }
        Err(LoginError::PasscodeInvalid) => (StatusCode::UNAUTHORIZED, CodeRefusal::Wrong),
        Err(LoginError::RateLimited(wait)) => {
            let seconds = wait.as_secs().max(1);
            let refusal = Some(CodeRefusal::Throttled { seconds });
            let mut response = code_form(&cx, body.half.account, StatusCode::TOO_MANY_REQUESTS, refusal).await?;
            response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
            return Ok(response);
        }
        Err(other) => return Err(other.into()),
    };
    code_form(&cx, body.half.account, status, Some(refusal)).await
}
