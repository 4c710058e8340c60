//! The pages around letters: a lost password, and the proof of an address.

use super::{carried, take_link};
use crate::accounts;
use crate::cx::Cx;
use crate::http::cookies;
use crate::http::extract::Form;
use crate::http::failure::Failure;
use crate::http::page::{shell, show, with_cookies};
use crate::login::letters;
use crate::login::links::{self, Kind, LinkError};
use crate::pages::{ForgotPage, ForgotState, Nav, VerifyPage, VerifyState};
use axum::extract::Path;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

/// The page on which a letter is asked for.
pub async fn forgot_page(cx: Cx) -> Response {
    let state = if cx.app.courier.is_some() { ForgotState::Form } else { ForgotState::NoMail };
    forgot_form(&cx, state)
}

fn forgot_form(cx: &Cx, state: ForgotState) -> Response {
    show(StatusCode::OK, &ForgotPage { shell: shell(cx, Nav::Elsewhere), state })
}

/// Whose password is lost.
#[derive(Deserialize)]
pub struct ForgotForm {
    username: String,
}

/// Takes the request, with one answer for everybody.
pub async fn forgot(cx: Cx, Form(form): Form<ForgotForm>) -> Result<Response, Failure> {
    if cx.app.courier.is_none() {
        return Ok(forgot_form(&cx, ForgotState::NoMail));
    }
    letters::ask_reset(&cx, &form.username).await?;
    Ok(forgot_form(&cx, ForgotState::Asked))
}

/// The first GET of a link that proves an address. It proves nothing yet.
pub async fn take_verify(cx: Cx, Path(token): Path<String>) -> Response {
    take_link(cx, Kind::Verify, &token).await
}

/// The page on which an address is confirmed.
pub async fn verify_page(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    let link = carried(&cx, &headers, Kind::Verify).await?.map(|(_, link)| link);
    let account = match link.as_ref().and_then(|link| link.account) {
        Some(account) => accounts::find(&cx.app.db, account).await?,
        None => None,
    };
    let state = match (link, account) {
        (Some(link), Some(account)) if account.email.as_ref() == Some(&link.note) => {
            VerifyState::Confirm { username: account.username, email: link.note }
        }
        _ => VerifyState::NoLink,
    };
    Ok(verify_form(&cx, StatusCode::OK, state))
}

fn verify_form(cx: &Cx, status: StatusCode, state: VerifyState) -> Response {
    show(status, &VerifyPage { shell: shell(cx, Nav::Elsewhere), state })
}

/// Confirms the address. Logs nobody in.
pub async fn verify(cx: Cx, headers: HeaderMap) -> Result<Response, Failure> {
    let Some((token, _)) = carried(&cx, &headers, Kind::Verify).await? else {
        return Ok(verify_form(&cx, StatusCode::GONE, VerifyState::NoLink));
    };
    match links::prove_email(&cx, &token).await {
        Ok(_) => {
            let done = verify_form(&cx, StatusCode::OK, VerifyState::Done);
            Ok(with_cookies(done, [cookies::clear_link(&cx, Kind::Verify)]))
        }
        Err(LinkError::Unusable) => Ok(verify_form(&cx, StatusCode::GONE, VerifyState::NoLink)),
        Err(error) => Err(error.into()),
    }
}
