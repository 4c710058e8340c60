//! Second factors of an account: demanded, taken away, stood in for.

use super::accounts::{Beside, edit_page};
use super::sentence;
use crate::admin::{AdminError, factors};
use crate::cx::Cx;
use crate::http::extract::{AdminPage, Id, Pairs};
use crate::http::failure::Failure;
use crate::http::page::onward;
use crate::id::AccountId;
use crate::pages::Notice;
use axum::response::Response;
use http::StatusCode;

async fn refused(cx: &Cx, id: AccountId, error: AdminError) -> Result<Response, Failure> {
    let notice = Some(Notice::failed(sentence(error)?));
    edit_page(cx, StatusCode::CONFLICT, id, Beside { notice, ..Beside::default() }).await
}

/// Demands a second factor of the account, or no more.
pub async fn demand(AdminPage(cx): AdminPage, Id(id): Id<AccountId>, form: Pairs) -> Result<Response, Failure> {
    factors::demand(&cx, id, form.first("required") == "yes").await?;
    Ok(onward(&format!("/admin/accounts/{id}?done=saved")))
}

/// Takes its factors away.
pub async fn remove(AdminPage(cx): AdminPage, Id(id): Id<AccountId>) -> Result<Response, Failure> {
    match factors::remove(&cx, id).await {
        Ok(()) => Ok(onward(&format!("/admin/accounts/{id}?done=saved"))),
        Err(error) => refused(&cx, id, error).await,
    }
}

/// Makes a recovery link and shows it, this once.
pub async fn recovery_link(AdminPage(cx): AdminPage, Id(id): Id<AccountId>) -> Result<Response, Failure> {
    match factors::make_recovery_link(&cx, id).await {
        Ok(made) => edit_page(&cx, StatusCode::OK, id, Beside { recovery_link: Some(made), ..Beside::default() }).await,
        Err(error) => refused(&cx, id, error).await,
    }
}
