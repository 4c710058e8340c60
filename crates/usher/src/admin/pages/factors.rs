//! Second factors of an account: demanded, taken away, stood in for.

use super::accounts::{Beside, edit_page};
use super::asked::Asked;
use super::sentence;
use crate::admin::{AdminError, factors};
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Id, Pairs};
use crate::http::failure::Failure;
use crate::http::page::{onward, totp_setup};
use crate::id::AccountId;
use crate::login::factors::FactorError;
use crate::pages::{Notice, Problems};
use axum::response::Response;
use http::StatusCode;

async fn refused(cx: &Cx, id: AccountId, error: AdminError) -> Result<Response, Failure> {
    let notice = Some(Notice::failed(sentence(error)?));
    edit_page(cx, StatusCode::CONFLICT, id, Beside { notice, ..Beside::default() }).await
}

/// Demands a second factor of the account, or no more.
pub async fn demand(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}/factors/demand")).await? {
        Ok(asked) => {
            let done = factors::demand(&asked.cx, id, form.first("required") == "yes").await;
            let done = done.map(|()| onward(&format!("/admin/accounts/{id}?done=saved"))).map_err(Failure::from);
            asked.answer(&form, done)
        }
        Err(page) => Ok(page),
    }
}

/// Takes its factors away.
pub async fn remove(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}/factors/remove")).await? {
        Ok(asked) => {
            let done = match factors::remove(&asked.cx, id).await {
                Ok(()) => Ok(onward(&format!("/admin/accounts/{id}?done=saved"))),
                Err(error) => refused(&asked.cx, id, error).await,
            };
            asked.answer(&form, done)
        }
        Err(page) => Ok(page),
    }
}

/// Makes a recovery link and shows it, this once.
pub async fn recovery_link(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}/recovery-link")).await? {
        Ok(asked) => {
            let done = match factors::make_recovery_link(&asked.cx, id).await {
                Ok(made) => {
                    let beside = Beside { recovery_link: Some(made), ..Beside::default() };
                    edit_page(&asked.cx, StatusCode::OK, id, beside).await
                }
                Err(error) => refused(&asked.cx, id, error).await,
            };
            asked.answer(&form, done)
        }
        Err(page) => Ok(page),
    }
}

/// Makes a secret for the owner's authenticator app and shows it, this once.
pub async fn begin_totp(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}/factors/totp")).await? {
        Ok(asked) => {
            let done = match factors::begin_totp(&asked.cx, id).await {
                Ok(waiting) => {
                    let beside = Beside { setup: Some(totp_setup(&waiting)), ..Beside::default() };
                    edit_page(&asked.cx, StatusCode::OK, id, beside).await
                }
                Err(error) => refused(&asked.cx, id, error).await,
            };
            asked.answer(&form, done)
        }
        Err(page) => Ok(page),
    }
}

/// Switches that app on by its first code, and shows the recovery codes that come with it.
pub async fn confirm_totp(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    match Asked::or_page(cx, &form, &format!("/admin/accounts/{id}/factors/totp/confirm")).await? {
        Ok(asked) => {
            let done = match factors::confirm_totp(&asked.cx, id, form.first("passcode")).await {
                Ok(codes) => {
                    let codes = codes.iter().map(|code| code.expose().to_string()).collect();
                    let notice = Some(Notice::done("The authenticator app is on."));
                    edit_page(&asked.cx, StatusCode::OK, id, Beside { notice, codes, ..Beside::default() }).await
                }
                Err(AdminError::Factor(FactorError::WrongCode)) => {
                    let text = "That is not what the app shows now. Try the code that it shows next.";
                    let beside = Beside { problems: Problems::one("passcode", text), ..Beside::default() };
                    edit_page(&asked.cx, StatusCode::UNPROCESSABLE_ENTITY, id, beside).await
                }
                Err(error) => refused(&asked.cx, id, error).await,
            };
            asked.answer(&form, done)
        }
        Err(page) => Ok(page),
    }
}
